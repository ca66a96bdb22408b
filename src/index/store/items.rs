//! Rows of `items` and `records`, each compared with its checksum when it is read.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Format, damaged, failed};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, Stamp};
use crate::index::record::{Known, Stored};
use crate::units::ItemId;

/// Where a vector lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::index) struct Location {
    pub(in crate::index) segment: u32,
    pub(in crate::index) row: u32,
}

/// A row of the table `items`.
#[derive(Clone, Debug)]
pub(in crate::index) struct Item {
    /// The key of its record.
    pub(in crate::index) key: i64,
    pub(in crate::index) picture: Location,
    pub(in crate::index) text: Option<Location>,
    pub(in crate::index) known: Known,
}

impl Item {
    /// Checksum of the row of the item `id`: each part at a place of its own.
    fn checksum(&self, id: &str) -> u64 {
        let stamp = self.known.stamp;
        let text = self.text.map_or([u64::MAX; 2], |text| [text.segment.into(), text.row.into()]);
        let mut bytes = Vec::with_capacity(80 + id.len());
        for number in [
            self.key as u64,
            self.picture.segment.into(),
            self.picture.row.into(),
            text[0],
            text[1],
            stamp.size,
            stamp.modified_ns as u64,
            stamp.content,
            self.known.record,
            self.known.texts,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(id.as_bytes());
        files::checksum(&bytes)
    }
}

/// What a change does to a vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::index) enum Change<T> {
    Keep,
    Set(T),
}

/// A row of the table `records`.
#[derive(Debug)]
pub(in crate::index) struct Raw {
    pub(in crate::index) image: Vec<u8>,
    pub(in crate::index) texts: String,
    pub(in crate::index) fields: String,
    pub(in crate::index) group: Option<String>,
}

impl Raw {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { image: row.get(0)?, texts: row.get(1)?, fields: row.get(2)?, group: row.get(3)? })
    }

    /// The record of the item `id`.
    pub(in crate::index) fn into_stored(self, id: ItemId, stamp: Stamp) -> Stored {
        Stored {
            id,
            image: self.image,
            texts: self.texts,
            fields: self.fields,
            group: self.group.map(Into::into),
            stamp,
        }
    }
}

const ITEM: &str = "id, item, picture_segment, picture_row, text_segment, text_row, size, \
                    modified_ns, content, record, texts";
const RECORD: &str = "image, texts, fields, item_group";

impl Format {
    /// The columns of an item, the checksum last.
    fn columns(self) -> String {
        let checksum = match self {
            Self::One => "NULL",
            Self::Two | Self::Three => "checksum",
        };
        format!("{ITEM}, {checksum}")
    }
}

/// Why a row of `items` is not what was written.
const CHANGED_ROW: &str = "its row in the database is not the one that was written";

/// Reads a row of `items`: its id, and itself if it is what was written.
fn read_item<'r>(row: &'r Row<'_>) -> rusqlite::Result<(&'r str, Option<Item>)> {
    let id = row
        .get_ref(0)?
        .as_str()
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(e)))?;
    let checksum: Option<i64> = row.get(11)?;
    let sound = |item: &Item| checksum.is_none_or(|sum| sum as u64 == item.checksum(id));
    // A number that is out of its range, or no number, is as bad as a wrong one.
    Ok((id, read_numbers(row).ok().flatten().filter(sound)))
}

/// The numbers of a row of `items`; `None` where half a place is given.
fn read_numbers(row: &Row<'_>) -> rusqlite::Result<Option<Item>> {
    let text: (Option<u32>, Option<u32>) = (row.get(4)?, row.get(5)?);
    if text.0.is_some() != text.1.is_some() {
        return Ok(None);
    }
    let size: i64 = row.get(6)?;
    let content: i64 = row.get(8)?;
    let record: i64 = row.get(9)?;
    let texts: i64 = row.get(10)?;
    let stamp = Stamp { size: size as u64, modified_ns: row.get(7)?, content: content as u64 };
    Ok(Some(Item {
        key: row.get(1)?,
        picture: Location { segment: row.get(2)?, row: row.get(3)? },
        text: text.0.zip(text.1).map(|(segment, row)| Location { segment, row }),
        known: Known { stamp, record: record as u64, texts: texts as u64 },
    }))
}

/// The item with this name; a damaged row is an error.
pub(in crate::index) fn item(
    connection: &Connection,
    format: Format,
    id: &ItemId,
) -> Result<Option<Item>> {
    let mut select = connection
        .prepare_cached(&format!("SELECT {} FROM items WHERE id = ?1", format.columns()))
        .map_err(failed)?;
    let found =
        select.query_row([id.as_str()], |row| Ok(read_item(row)?.1)).optional().map_err(failed)?;
    match found {
        Some(None) => Err(damaged(id.as_str(), CHANGED_ROW)),
        Some(item) => Ok(item),
        None => Ok(None),
    }
}

/// Calls `visit` with the name of each item, ascending, and its row if that is what was written.
pub(in crate::index) fn each_row(
    connection: &Connection,
    format: Format,
    mut visit: impl FnMut(&str, Option<Item>) -> Result<()>,
) -> Result<()> {
    let mut select = connection
        .prepare(&format!("SELECT {} FROM items ORDER BY id", format.columns()))
        .map_err(failed)?;
    let mut rows = select.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let (id, item) = read_item(row).map_err(failed)?;
        visit(id, item)?;
    }
    Ok(())
}

/// Calls `visit` with each item, ascending by name; a damaged row is an error.
pub(in crate::index) fn each_item(
    connection: &Connection,
    format: Format,
    mut visit: impl FnMut(&str, Item) -> Result<()>,
) -> Result<()> {
    each_row(connection, format, |id, item| match item {
        Some(item) => visit(id, item),
        None => Err(damaged(id, CHANGED_ROW)),
    })
}

/// Calls `visit` with the key of each record and what it holds, if that can be read.
pub(in crate::index) fn each_record(
    connection: &Connection,
    mut visit: impl FnMut(i64, Option<Raw>) -> Result<()>,
) -> Result<()> {
    let mut select =
        connection.prepare(&format!("SELECT {RECORD}, item FROM records")).map_err(failed)?;
    let mut rows = select.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        visit(row.get(4).map_err(failed)?, Raw::read(row).ok())?;
    }
    Ok(())
}

/// Writes an item, new or not, and returns the key of its record. A new item needs a picture.
pub(in crate::index) fn put(
    connection: &Connection,
    stored: &Stored,
    picture: Change<Location>,
    text: Change<Option<Location>>,
) -> Result<i64> {
    let old = item(connection, Format::NEWEST, &stored.id)?;
    let picture = match (picture, &old) {
        (Change::Set(picture), _) => picture,
        (Change::Keep, Some(old)) => old.picture,
        (Change::Keep, None) => return Err(unknown(&stored.id)),
    };
    let text = match text {
        Change::Set(text) => text,
        Change::Keep => old.as_ref().and_then(|old| old.text),
    };
    let mut insert = connection
        .prepare_cached("INSERT OR REPLACE INTO records VALUES (?1, ?2, ?3, ?4, ?5)")
        .map_err(failed)?;
    let group = stored.group.as_deref();
    insert
        .execute(params![old.map(|old| old.key), stored.image, stored.texts, stored.fields, group])
        .map_err(failed)?;
    let item = Item { key: connection.last_insert_rowid(), picture, text, known: stored.known() };
    put_item(connection, stored.id.as_str(), &item)?;
    Ok(item.key)
}

fn put_item(connection: &Connection, id: &str, item: &Item) -> Result<()> {
    let mut insert = connection
        .prepare_cached(
            "INSERT OR REPLACE INTO items \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )
        .map_err(failed)?;
    let stamp = item.known.stamp;
    insert
        .execute(params![
            id,
            item.key,
            item.picture.segment,
            item.picture.row,
            item.text.map(|text| text.segment),
            item.text.map(|text| text.row),
            stamp.size as i64,
            stamp.modified_ns,
            stamp.content as i64,
            item.known.record as i64,
            item.known.texts as i64,
            item.checksum(id) as i64,
        ])
        .map(drop)
        .map_err(failed)
}

/// Says that the vectors of an item lie elsewhere.
pub(in crate::index) fn move_item(
    connection: &Connection,
    id: &str,
    item: &Item,
    picture: Location,
    text: Option<Location>,
) -> Result<()> {
    put_item(connection, id, &Item { picture, text, ..item.clone() })
}

/// Gives each row the checksum that format 1 did not have. A row that cannot be read gets none,
/// and is damaged from then on.
pub(super) fn add_checksums(connection: &Connection) -> Result<()> {
    let mut checksums = Vec::new();
    each_row(connection, Format::One, |id, item| {
        checksums.extend(item.map(|item| (id.to_owned(), item.checksum(id))));
        Ok(())
    })?;
    let mut update =
        connection.prepare("UPDATE items SET checksum = ?2 WHERE id = ?1").map_err(failed)?;
    for (id, checksum) in checksums {
        update.execute(params![id, checksum as i64]).map_err(failed)?;
    }
    Ok(())
}

/// Takes out an item; whether it was there.
pub(in crate::index) fn delete(connection: &Connection, id: &ItemId) -> Result<bool> {
    let Some(old) = item(connection, Format::NEWEST, id)? else { return Ok(false) };
    forget(connection, id.as_str())?;
    let mut delete =
        connection.prepare_cached("DELETE FROM records WHERE item = ?1").map_err(failed)?;
    delete.execute([old.key]).map_err(failed)?;
    Ok(true)
}

/// Takes out the row of an item and leaves the record that it names: a damaged row may name the
/// record of another item. See [`remove_orphans`].
pub(in crate::index) fn forget(connection: &Connection, id: &str) -> Result<bool> {
    let mut delete =
        connection.prepare_cached("DELETE FROM items WHERE id = ?1").map_err(failed)?;
    Ok(delete.execute([id]).map_err(failed)? > 0)
}

/// Takes out the records that no item names.
pub(in crate::index) fn remove_orphans(connection: &Connection) -> Result<()> {
    connection
        .execute("DELETE FROM records WHERE item NOT IN (SELECT item FROM items)", [])
        .map(drop)
        .map_err(failed)
}

/// The record of an item, if it is what was written.
pub(in crate::index) fn record(
    connection: &Connection,
    format: Format,
    id: &ItemId,
) -> Result<Stored> {
    let item = item(connection, format, id)?.ok_or_else(|| unknown(id))?;
    let mut select = connection
        .prepare_cached(&format!("SELECT {RECORD} FROM records WHERE item = ?1"))
        .map_err(failed)?;
    let raw = select.query_row([item.key], |row| Ok(Raw::read(row).ok())).optional();
    let raw = raw.map_err(failed)?.flatten();
    let stored = raw.map(|raw| raw.into_stored(id.clone(), item.known.stamp));
    stored
        .filter(|stored| stored.known() == item.known)
        .ok_or_else(|| damaged(id.as_str(), "its record is not the one that was written"))
}

/// The error for an item that is not in the index.
pub(in crate::index) fn unknown(id: &ItemId) -> Error {
    Error::new(ErrorKind::NotFound, "the index has no such item").at_item(id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_row_changes_its_checksum() {
        let stamp = Stamp { size: 1, modified_ns: 2, content: 3 };
        let row = Item {
            key: 4,
            picture: Location { segment: 5, row: 6 },
            text: Some(Location { segment: 7, row: 8 }),
            known: Known { stamp, record: 9, texts: 10 },
        };
        let changes: [fn(&mut Item); 11] = [
            |row| row.key = 0,
            |row| row.picture.segment = 0,
            |row| row.picture.row = 0,
            |row| row.text = None,
            |row| row.text = Some(Location { segment: 0, row: 8 }),
            |row| row.text = Some(Location { segment: 7, row: 0 }),
            |row| row.known.stamp.size = 0,
            |row| row.known.stamp.modified_ns = 0,
            |row| row.known.stamp.content = 0,
            |row| row.known.record = 0,
            |row| row.known.texts = 0,
        ];
        assert_ne!(row.checksum("a"), row.checksum("b"));
        for (number, change) in changes.iter().enumerate() {
            let mut changed = row.clone();
            change(&mut changed);
            assert_ne!(row.checksum("a"), changed.checksum("a"), "{number}");
        }
    }
}
