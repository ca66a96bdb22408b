//! The index's database: which items there are, where their vectors lie, what is said of them.
//!
//! Functions over a connection; [`super::Writer`] and [`super::Index`] own one each. The small
//! table `items` is read whole when an index is opened, in the order of its key; the wide table
//! `records` is read an item at a time. The write-ahead log lets readers keep their snapshot while
//! a writer commits. Commits are flushed to the disk (`synchronous = FULL`), because a compaction
//! deletes files that only the state before it needs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, params};

use super::Space;
use super::record::{Known, Stamp, Stored};
use super::segment::{Entry, Kind};
use crate::error::{Error, ErrorKind, Result};
use crate::units::ItemId;

/// The format this build writes, and the newest it reads.
const FORMAT: i64 = 1;
const MAGIC: &str = "looksee index";
/// "look" in the header of the SQLite file, so that `file` and the like can tell it.
const APPLICATION: i64 = 0x6C6F_6F6B;
/// How long a connection waits for another that holds the file for a moment.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

const SCHEMA: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
    CREATE TABLE segments (
        number INTEGER PRIMARY KEY,
        kind INTEGER NOT NULL,
        rows INTEGER NOT NULL,
        checksum INTEGER NOT NULL
    );
    CREATE TABLE records (
        item INTEGER PRIMARY KEY,
        image BLOB NOT NULL,
        texts TEXT NOT NULL,
        fields TEXT NOT NULL,
        item_group TEXT
    );
    CREATE TABLE items (
        id TEXT PRIMARY KEY,
        item INTEGER NOT NULL,
        picture_segment INTEGER NOT NULL,
        picture_row INTEGER NOT NULL,
        text_segment INTEGER,
        text_row INTEGER,
        size INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        content INTEGER NOT NULL,
        record INTEGER NOT NULL,
        texts INTEGER NOT NULL
    ) WITHOUT ROWID;
";

/// Where a vector lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) segment: u32,
    pub(super) row: u32,
}

/// A row of the table `items`.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// The key of its record.
    pub(super) key: i64,
    pub(super) picture: Location,
    pub(super) text: Option<Location>,
    pub(super) known: Known,
}

/// What a change does to a vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Change<T> {
    Keep,
    Set(T),
}

/// The database's file.
pub(super) fn path(index: &Path) -> PathBuf {
    index.join("index.sqlite")
}

/// The error of a database call.
pub(super) fn failed(error: rusqlite::Error) -> Error {
    let (kind, sentence) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (
            ErrorKind::Corrupt,
            "the index's database is damaged; copy the index again or make it anew",
        ),
        _ => (ErrorKind::Io, "the index's database cannot be used"),
    };
    Error::new(kind, sentence).with_source(error)
}

/// The error for something that a later version wrote.
pub(super) fn newer(found: i64, known: i64) -> Error {
    let message = format!(
        "made by a newer looksee (format {found}, this build reads {known}): update looksee"
    );
    Error::new(ErrorKind::Unsupported, message)
}

/// Makes the database of an empty index; it appears whole.
pub(super) fn create(index: &Path, space: &Space) -> Result<()> {
    let temporary = index.join(".index.sqlite.tmp");
    let _ = std::fs::remove_file(&temporary);
    let made = Connection::open(&temporary).and_then(|connection| {
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "application_id", APPLICATION)?;
        connection.execute_batch(&format!("BEGIN; {SCHEMA}"))?;
        let mut insert = connection.prepare("INSERT INTO meta VALUES (?1, ?2)")?;
        insert.execute(params!["magic", MAGIC])?;
        insert.execute(params!["format", FORMAT])?;
        insert.execute(params!["made_by", env!("CARGO_PKG_VERSION")])?;
        insert.execute(params!["fingerprint", space.fingerprint])?;
        insert.execute(params!["dim", space.dim as i64])?;
        insert.execute(params!["next_segment", 1])?;
        insert.execute(params!["generation", 0])?;
        drop(insert);
        connection.execute_batch("COMMIT")
    });
    made.map_err(|e| failed(e).at_file(index))?;
    fs_err::rename(&temporary, path(index))
        .map_err(|e| Error::io("cannot put the database in place", e).at_file(index))
}

/// Opens the database for the one writer and says which model it belongs to.
pub(super) fn open_for_writing(index: &Path) -> Result<(Connection, Space)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> Result<(Connection, Space)> {
        let connection = Connection::open_with_flags(path(index), flags).map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        let space = read_space(&connection)?;
        connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
        Ok((connection, space))
    };
    open().map_err(|e| e.at_file(index))
}

/// Opens the database with a read transaction that lasts as long as the connection.
pub(super) fn open_for_reading(index: &Path) -> Result<(Connection, Space)> {
    if !index.exists() {
        let message = "there is no such index; make one with `looksee index`";
        return Err(Error::new(ErrorKind::NotFound, message).at_file(index));
    }
    if !path(index).is_file() {
        let message = "this is not an index: it has no index.sqlite; make one with `looksee index`";
        return Err(Error::invalid(message).at_file(index));
    }
    let connection = open_shared(index).or_else(|error| match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly) => open_unchanging(index),
        _ => Err(error),
    });
    let connection = connection.map_err(|e| failed(e).at_file(index))?;
    let space = read_space(&connection).map_err(|e| e.at_file(index))?;
    Ok((connection, space))
}

/// Opens the database beside a writer. The connection may write so that the last one to close can
/// tidy the log away, but refuses changes.
fn open_shared(index: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path(index), flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "query_only", true)?;
    begin_reading(&connection)?;
    Ok(connection)
}

/// Opens the database where nothing can be written, as on a read-only disk, and so nobody writes.
fn open_unchanging(index: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let name = path(index).to_string_lossy().replace('%', "%25");
    let name = name.replace('?', "%3f").replace('#', "%23");
    let connection = Connection::open_with_flags(format!("file:{name}?immutable=1"), flags)?;
    begin_reading(&connection)?;
    Ok(connection)
}

fn begin_reading(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN")?;
    // The transaction sees the state at its first read.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

fn read_space(connection: &Connection) -> Result<Space> {
    let application: i64 =
        connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(failed)?;
    if application != APPLICATION {
        return Err(Error::invalid(
            "this is not an index: its index.sqlite belongs to another program",
        ));
    }
    let magic: String = meta(connection, "magic")?;
    let format: i64 = meta(connection, "format")?;
    if magic != MAGIC {
        return Err(Error::invalid(format!("this is a \"{magic}\", not a \"{MAGIC}\"")));
    }
    if format > FORMAT {
        return Err(newer(format, FORMAT));
    }
    let dim: i64 = meta(connection, "dim")?;
    if dim <= 0 {
        let message = format!("its vectors are said to have {dim} values; the index is damaged");
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    Ok(Space { fingerprint: meta(connection, "fingerprint")?, dim: dim as usize })
}

/// A value of the table `meta`.
pub(super) fn meta<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> Result<T> {
    connection
        .query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0))
        .map_err(failed)
}

/// Sets a number of the table `meta`.
pub(super) fn set_meta(connection: &Connection, name: &str, value: i64) -> Result<()> {
    connection
        .execute("UPDATE meta SET value = ?2 WHERE name = ?1", params![name, value])
        .map(drop)
        .map_err(failed)
}

/// The segments in order of their numbers.
pub(super) fn segments(connection: &Connection) -> Result<Vec<Entry>> {
    let mut select = connection
        .prepare("SELECT number, kind, rows, checksum FROM segments ORDER BY number")
        .map_err(failed)?;
    let entry = |row: &Row<'_>| -> rusqlite::Result<(u32, i64, u32, i64)> {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    };
    let rows = select.query_map([], entry).map_err(failed)?;
    let mut entries = Vec::new();
    for row in rows {
        let (number, kind, rows, checksum) = row.map_err(failed)?;
        let Some(kind) = Kind::of_code(kind) else {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("segment {number} is of unknown kind {kind}; the index is damaged"),
            ));
        };
        entries.push(Entry { number, kind, rows: rows as usize, checksum: checksum as u64 });
    }
    Ok(entries)
}

/// Names a segment.
pub(super) fn insert_segment(connection: &Connection, entry: &Entry) -> Result<()> {
    let (kind, rows, checksum) = (entry.kind.code(), entry.rows as i64, entry.checksum as i64);
    connection
        .execute(
            "INSERT INTO segments VALUES (?1, ?2, ?3, ?4)",
            params![entry.number, kind, rows, checksum],
        )
        .map(drop)
        .map_err(failed)
}

const ITEM: &str = "item, picture_segment, picture_row, text_segment, text_row, size, modified_ns, \
                    content, record, texts";

fn read_item(row: &Row<'_>) -> rusqlite::Result<Item> {
    let text: (Option<u32>, Option<u32>) = (row.get(3)?, row.get(4)?);
    let size: i64 = row.get(5)?;
    let content: i64 = row.get(7)?;
    let record: i64 = row.get(8)?;
    let texts: i64 = row.get(9)?;
    let stamp = Stamp { size: size as u64, modified_ns: row.get(6)?, content: content as u64 };
    Ok(Item {
        key: row.get(0)?,
        picture: Location { segment: row.get(1)?, row: row.get(2)? },
        text: text.0.zip(text.1).map(|(segment, row)| Location { segment, row }),
        known: Known { stamp, record: record as u64, texts: texts as u64 },
    })
}

/// The item with this name.
pub(super) fn item(connection: &Connection, id: &ItemId) -> Result<Option<Item>> {
    let mut select = connection
        .prepare_cached(&format!("SELECT {ITEM} FROM items WHERE id = ?1"))
        .map_err(failed)?;
    select.query_row([id.as_str()], read_item).optional().map_err(failed)
}

/// Calls `visit` with each item, ascending by name.
pub(super) fn each_item(
    connection: &Connection,
    mut visit: impl FnMut(&str, Item) -> Result<()>,
) -> Result<()> {
    let mut select =
        connection.prepare(&format!("SELECT {ITEM}, id FROM items ORDER BY id")).map_err(failed)?;
    let mut rows = select.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let id = row.get_ref(10).map_err(failed)?.as_str().map_err(|e| failed(e.into()))?;
        visit(id, read_item(row).map_err(failed)?)?;
    }
    Ok(())
}

/// Writes an item, new or not, and returns the key of its record. A new item needs a picture.
pub(super) fn put(
    connection: &Connection,
    stored: &Stored,
    picture: Change<Location>,
    text: Change<Option<Location>>,
) -> Result<i64> {
    let old = item(connection, &stored.id)?;
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
    put_item(connection, &stored.id, &item)?;
    Ok(item.key)
}

fn put_item(connection: &Connection, id: &ItemId, item: &Item) -> Result<()> {
    let mut insert = connection
        .prepare_cached(
            "INSERT OR REPLACE INTO items VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )
        .map_err(failed)?;
    let stamp = item.known.stamp;
    insert
        .execute(params![
            id.as_str(),
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
        ])
        .map(drop)
        .map_err(failed)
}

/// Says that the vectors of an item lie elsewhere.
pub(super) fn relocate(
    connection: &Connection,
    id: &str,
    picture: Location,
    text: Option<Location>,
) -> Result<()> {
    let mut update = connection
        .prepare_cached(
            "UPDATE items SET picture_segment = ?2, picture_row = ?3, text_segment = ?4, \
             text_row = ?5 WHERE id = ?1",
        )
        .map_err(failed)?;
    let (segment, row) = (text.map(|text| text.segment), text.map(|text| text.row));
    update
        .execute(params![id, picture.segment, picture.row, segment, row])
        .map(drop)
        .map_err(failed)
}

/// Takes out an item; whether it was there.
pub(super) fn delete(connection: &Connection, id: &ItemId) -> Result<bool> {
    let Some(old) = item(connection, id)? else { return Ok(false) };
    for (sql, key) in [
        ("DELETE FROM items WHERE id = ?1", &id.as_str() as &dyn rusqlite::ToSql),
        ("DELETE FROM records WHERE item = ?1", &old.key),
    ] {
        let mut delete = connection.prepare_cached(sql).map_err(failed)?;
        delete.execute([key]).map_err(failed)?;
    }
    Ok(true)
}

/// The record of an item.
pub(super) fn record(connection: &Connection, id: &ItemId) -> Result<Stored> {
    let item = item(connection, id)?.ok_or_else(|| unknown(id))?;
    let mut select = connection
        .prepare_cached("SELECT image, texts, fields, item_group FROM records WHERE item = ?1")
        .map_err(failed)?;
    let stored = select.query_row([item.key], |row| {
        let group: Option<String> = row.get(3)?;
        Ok(Stored {
            id: id.clone(),
            image: row.get(0)?,
            texts: row.get(1)?,
            fields: row.get(2)?,
            group: group.map(Into::into),
            stamp: item.known.stamp,
        })
    });
    stored.map_err(|e| failed(e).at_item(id.as_str()))
}

/// The error for an item that is not in the index.
pub(super) fn unknown(id: &ItemId) -> Error {
    Error::new(ErrorKind::NotFound, "the index has no such item").at_item(id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> Space {
        Space { fingerprint: "f".to_owned(), dim: 2 }
    }

    #[test]
    fn a_database_where_nothing_can_be_written_is_read_under_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join("a #1 50%3f? index");
        std::fs::create_dir(&index).unwrap();
        create(&index, &space()).unwrap();
        let connection = open_unchanging(&index).unwrap();
        assert_eq!(read_space(&connection).unwrap(), space());
        drop(connection);
        assert_eq!(std::fs::read_dir(&index).unwrap().count(), 1, "nothing was written beside it");
    }

    #[test]
    fn a_reader_cannot_change_the_index() {
        let folder = tempfile::tempdir().unwrap();
        create(folder.path(), &space()).unwrap();
        let (connection, _) = open_for_reading(folder.path()).unwrap();
        assert!(set_meta(&connection, "generation", 7).is_err());
    }

    #[test]
    fn a_reader_does_not_see_what_is_committed_later() {
        let folder = tempfile::tempdir().unwrap();
        create(folder.path(), &space()).unwrap();
        let (reader, _) = open_for_reading(folder.path()).unwrap();
        let (writer, _) = open_for_writing(folder.path()).unwrap();
        set_meta(&writer, "generation", 7).unwrap();
        assert_eq!(meta::<i64>(&reader, "generation").unwrap(), 0);
        let (later, _) = open_for_reading(folder.path()).unwrap();
        assert_eq!(meta::<i64>(&later, "generation").unwrap(), 7);
    }
}
