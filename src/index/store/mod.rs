//! The index's database: which items there are, where their vectors lie, what is said of them.
//!
//! Functions over a connection; [`super::Writer`] and [`super::Index`] own one each. The small
//! table `items` is read whole when an index is opened, in the order of its key; the wide table
//! `records` is read an item at a time. The write-ahead log lets readers keep their snapshot while
//! a writer commits. Commits are flushed to the disk (`synchronous = FULL`), because a compaction
//! deletes files that only the state before it needs.
//!
//! SQLite tells a damaged page from a whole one only where its own structure is hit. So each row
//! of `items` has a checksum, which also covers the checksum of the item's record; both are
//! compared whenever the row is read.
//!
//! Format 1 had no checksums of the rows, and format 2 whole paths of all pictures: a writer adds
//! the one, and says that there is no root for the other.

mod items;
mod looked_at;
mod open;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Row, params};

use super::segment::{self, SegmentEntry, SegmentKind};
use crate::error::{Error, ErrorKind, Fact, Result};
use crate::files;

pub(super) use items::{
    Change, Item, Location, Raw, delete, each_item, each_record, each_row, forget, item, move_item,
    put, record, remove_orphans, unknown,
};
pub(super) use open::{Opened, create, expect_file, for_reading, for_writing, is_unfinished};

/// The format this build writes, and the newest it reads.
const FORMAT: i64 = 3;
const MAGIC: &str = "looksee index";
/// "look" in the header of the SQLite file, so that `file` and the like can tell it.
const APPLICATION: i32 = 0x6C6F_6F6B;
/// Values of the longest vectors that an index takes.
const MOST_DIM: i64 = 1 << 16;
/// How long a connection waits for another that holds the file for a moment.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

const TABLES: [&str; 4] = ["items", "meta", "records", "segments"];
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
        texts INTEGER NOT NULL,
        checksum INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
";

/// What a database of ours can look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Format {
    /// Without checksums of the rows of `items`.
    One,
    /// With them, and without a root of the pictures.
    Two,
    /// With it.
    Three,
}

impl Format {
    /// The one that a writer writes, and brings older ones to.
    pub(super) const NEWEST: Self = Self::Three;
}

/// The database's file.
pub(super) fn path(index: &Path) -> PathBuf {
    index.join("index.sqlite")
}

/// The error of a database call.
pub(super) fn failed(error: rusqlite::Error) -> Error {
    use rusqlite::Error as Database;
    let damaged = match &error {
        Database::QueryReturnedNoRows
        | Database::FromSqlConversionFailure(..)
        | Database::IntegralValueOutOfRange(..)
        | Database::InvalidColumnType(..)
        | Database::Utf8Error(..) => true,
        other => matches!(
            other.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        ),
    };
    if damaged {
        return beyond_use("the index's database is damaged").with_source(error);
    }
    Error::new(ErrorKind::Io, "the index's database cannot be used").with_source(error)
}

/// The error for a database that no command can mend.
pub(super) fn beyond_use(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, what).with_fact(Fact::DamagedIndex)
}

/// The error for a part of the database that an update with the catalogue mends.
pub(super) fn damaged(id: &str, what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, what).with_fact(Fact::DamagedItems).at_item(id)
}

/// The error for something that a later version wrote.
pub(super) fn newer(found: i64, known: i64) -> Error {
    let message = format!(
        "made by a newer looksee (format {found}, this build reads {known}): update looksee"
    );
    Error::new(ErrorKind::Unsupported, message)
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

/// The folder that relative places of pictures are below; none is kept as nothing.
pub(super) fn root(connection: &Connection, format: Format) -> Result<Option<PathBuf>> {
    if format < Format::Three {
        return Ok(None);
    }
    let bytes: Vec<u8> = meta(connection, "root")?;
    Ok((!bytes.is_empty()).then(|| files::path_from_bytes(bytes)))
}

/// Keeps another root; what is said of the pictures is not touched.
pub(super) fn set_root(connection: &Connection, root: Option<&Path>) -> Result<()> {
    let bytes = root.map(files::path_bytes).unwrap_or_default();
    connection
        .execute("INSERT OR REPLACE INTO meta VALUES ('root', ?1)", [bytes])
        .map(drop)
        .map_err(failed)
}

/// The segments in order of their numbers.
pub(super) fn segments(connection: &Connection) -> Result<Vec<SegmentEntry>> {
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
        let rows = rows as usize;
        let Some(kind) = SegmentKind::of_code(kind).filter(|_| rows <= segment::MOST_ROWS) else {
            let message = format!(
                "segment {number} is said to be of kind {kind} with {rows} vectors (kinds are 0 \
                 and 1, and it takes at most {})",
                segment::MOST_ROWS
            );
            return Err(beyond_use(&message));
        };
        entries.push(SegmentEntry { number, kind, rows, checksum: checksum as u64 });
    }
    Ok(entries)
}

/// Takes a number that no segment had yet.
pub(super) fn next_segment(connection: &Connection) -> Result<u32> {
    let promised: u32 = meta(connection, "next_segment")?;
    let largest: Option<u32> = connection
        .query_row("SELECT max(number) FROM segments", [], |row| row.get(0))
        .map_err(failed)?;
    let number = promised.max(largest.map_or(0, |largest| largest.saturating_add(1)));
    if number == u32::MAX {
        return Err(beyond_use("all numbers of segments are taken"));
    }
    set_meta(connection, "next_segment", i64::from(number) + 1)?;
    Ok(number)
}

/// Names a segment.
pub(super) fn insert_segment(connection: &Connection, entry: &SegmentEntry) -> Result<()> {
    let (kind, rows, checksum) = (entry.kind.code(), entry.rows as i64, entry.checksum as i64);
    connection
        .execute(
            "INSERT INTO segments VALUES (?1, ?2, ?3, ?4)",
            params![entry.number, kind, rows, checksum],
        )
        .map(drop)
        .map_err(failed)
}

/// Takes the name of a segment away.
pub(super) fn delete_segment(connection: &Connection, number: u32) -> Result<()> {
    connection.execute("DELETE FROM segments WHERE number = ?1", [number]).map(drop).map_err(failed)
}

/// What SQLite finds wrong with the structure of its file.
pub(super) fn structure_problems(connection: &Connection) -> Result<Vec<String>> {
    let mut check = connection.prepare("PRAGMA integrity_check").map_err(failed)?;
    let lines = check.query_map([], |row| row.get(0)).map_err(failed)?;
    let mut problems: Vec<String> = lines.collect::<rusqlite::Result<_>>().map_err(failed)?;
    problems.retain(|line| line != "ok");
    Ok(problems)
}
