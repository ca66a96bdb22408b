//! Making the database, and opening it as what it must be.
//!
//! What a stranger sent may be any database: one whose tables are views that never end, or whose
//! numbers ask for more memory than there is. So nothing is asked of a database before its schema
//! was seen to hold our tables and nothing else.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, params};

use super::{
    APPLICATION, FORMAT, Format, MAGIC, MOST_DIM, PATIENCE, SCHEMA, TABLES, beyond_use, failed,
    items, looked_at, meta, newer, path,
};
use crate::error::{Error, ErrorKind, Fact, Result};
use crate::files::{self, FileKind};
use crate::index::Space;
use crate::index::folder;

/// Where the name of the program stands in the header of an SQLite file.
const APPLICATION_AT: usize = 68;
const HEADER_BYTES: usize = 100;
/// Where it says which versions of SQLite may write and read it: the same, 1 or 2. A larger one to
/// write makes SQLite call the database read-only.
const VERSIONS_AT: usize = 18;

/// An open database of ours.
#[derive(Debug)]
pub(in crate::index) struct Opened {
    pub(in crate::index) connection: Connection,
    pub(in crate::index) space: Space,
    pub(in crate::index) format: Format,
    /// The folder that relative places of pictures are below.
    pub(in crate::index) root: Option<PathBuf>,
}

impl Opened {
    fn of(connection: Connection) -> Result<Self> {
        expect_our_tables(&connection)?;
        let (space, format) = read_space(&connection)?;
        let root = super::root(&connection, format)?;
        Ok(Self { connection, space, format, root })
    }
}

/// Makes the database of an empty index; it appears whole.
pub(in crate::index) fn create(index: &Path, space: &Space) -> Result<()> {
    let temporary = index.join(folder::DATABASE_IN_THE_MAKING);
    folder::remove_database(&temporary)?;
    let made = fill(&temporary, space).and_then(|()| flush(&temporary)).and_then(|()| {
        // Nothing of it may be left in a log that the new name would not have beside it.
        folder::expect_no_log(&temporary)?;
        fs_err::rename(&temporary, path(index))
            .map_err(|e| Error::io("cannot put the database in place", e))
    });
    if made.is_err() {
        let _ = folder::remove_database(&temporary);
    }
    made.map_err(|e| e.at_file(index))?;
    files::flush_folder(index);
    Ok(())
}

fn fill(file: &Path, space: &Space) -> Result<()> {
    let connection = Connection::open(file).map_err(failed)?;
    let write = || -> rusqlite::Result<()> {
        connection.execute_batch(&format!("BEGIN; {SCHEMA}"))?;
        connection.pragma_update(None, "application_id", APPLICATION)?;
        let mut insert = connection.prepare("INSERT INTO meta VALUES (?1, ?2)")?;
        insert.execute(params!["magic", MAGIC])?;
        insert.execute(params!["format", FORMAT])?;
        insert.execute(params!["made_by", env!("CARGO_PKG_VERSION")])?;
        insert.execute(params!["fingerprint", space.fingerprint])?;
        insert.execute(params!["dim", space.dim as i64])?;
        insert.execute(params!["next_segment", 1])?;
        insert.execute(params!["generation", 0])?;
        insert.execute(params!["root", b""])?;
        drop(insert);
        connection.execute_batch("COMMIT")?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    };
    write().map_err(failed)?;
    connection.close().map_err(|(_, e)| failed(e))
}

fn flush(file: &Path) -> Result<()> {
    fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .open(file)
        .and_then(|file| file.sync_all())
        .map_err(|e| Error::io("cannot write the database to the disk", e))
}

/// Opens the database for the one writer.
pub(in crate::index) fn for_writing(index: &Path) -> Result<Opened> {
    let open = || {
        expect_file(index)?;
        let connection =
            Connection::open_with_flags(path(index), shared_flags()).map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        trust_nothing(&connection).map_err(failed)?;
        let opened = Opened::of(connection)?;
        opened.connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
        Ok(opened)
    };
    open().map_err(|e: Error| e.at_file(index))
}

/// Opens the database with a read transaction that lasts as long as the connection.
pub(in crate::index) fn for_reading(index: &Path) -> Result<Opened> {
    if !index.exists() {
        return Err(Error::new(ErrorKind::NotFound, "there is no such index")
            .with_fact(Fact::NoIndex)
            .at_file(index));
    }
    let open = || {
        expect_file(index)?;
        Opened::of(connect(index)?)
    };
    open().map_err(|e: Error| e.at_file(index))
}

fn connect(index: &Path) -> Result<Connection> {
    let error = match open_shared(index) {
        Ok(connection) => return Ok(connection),
        Err(error) => error,
    };
    match error.sqlite_error_code() {
        // A read-only disk, or one with no room for the file that readers and the writer share.
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure,
        ) => open_unchanging(index, error),
        _ => Err(failed(error)),
    }
}

fn shared_flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// Opens the database beside a writer. The connection may write so that the last one to close can
/// tidy the log away, but refuses changes.
fn open_shared(index: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path(index), shared_flags())?;
    connection.busy_timeout(PATIENCE)?;
    trust_nothing(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    begin_reading(&connection)?;
    Ok(connection)
}

/// Opens the database where nothing can be written, as on a read-only or a full disk, and so
/// nobody writes. What was committed last may be in the log only, which cannot be read in this
/// way: then that is said, and `error`, which kept us from the usual way.
fn open_unchanging(index: &Path, error: rusqlite::Error) -> Result<Connection> {
    let log = folder::beside(&path(index), "-wal");
    if folder::has_content(&log) {
        let message = "the last commits are in index.sqlite-wal, which cannot be read here, \
                       because nothing can be written beside it: make room on the disk, or copy \
                       the whole folder to where it can be written";
        return Err(Error::new(ErrorKind::Io, message).with_source(error).at_file(log));
    }
    let connection = unchanging(&path(index)).map_err(failed)?;
    begin_reading(&connection).map_err(failed)?;
    Ok(connection)
}

/// Opens a database that nobody changes; nothing is written beside it.
fn unchanging(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let name = file.to_string_lossy().replace('%', "%25");
    let name = name.replace('?', "%3f").replace('#', "%23");
    let connection = Connection::open_with_flags(format!("file:{name}?immutable=1"), flags)?;
    trust_nothing(&connection)?;
    Ok(connection)
}

/// Functions of the schema are not run, and pages are looked at before they are followed.
fn trust_nothing(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)
}

fn begin_reading(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN")?;
    // The transaction sees the state at its first read.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

/// Looks at the file before SQLite does: a regular one that is not another program's.
pub(in crate::index) fn expect_file(index: &Path) -> Result<()> {
    for name in folder::DATABASE_FILES {
        files::refuse_link(&index.join(name))?;
    }
    let file = path(index);
    if files::kind(&file)? != FileKind::File {
        return Err(Error::invalid("this is not an index: it has no index.sqlite")
            .with_fact(Fact::NoIndex)
            .at_file(index));
    }
    let header = header(&file)?;
    if header.is_empty() {
        let message = "index.sqlite is empty: it was cut short";
        return Err(Error::new(ErrorKind::Corrupt, message).with_fact(Fact::DamagedItems));
    }
    if is_of_another_program(&header) {
        return Err(Error::invalid(
            "this is not an index: its index.sqlite belongs to another program",
        ));
    }
    if let Some(&[write, read]) = header.get(VERSIONS_AT..VERSIONS_AT + 2)
        && !(write == read && matches!(write, 1 | 2))
    {
        let what = format!("the header of the database is damaged (versions {write} and {read})");
        return Err(beyond_use(&what));
    }
    Ok(())
}

fn header(file: &Path) -> Result<Vec<u8>> {
    looked_at::first_bytes(file, HEADER_BYTES)
        .map_err(|e| Error::io("cannot read", e).at_file(file))
}

/// Whether these first bytes of a file are those of an SQLite database that is not ours.
fn is_of_another_program(header: &[u8]) -> bool {
    header.starts_with(folder::DATABASE_BEGINS_WITH)
        && header.get(APPLICATION_AT..APPLICATION_AT + 4)
            != Some(APPLICATION.to_be_bytes().as_slice())
}

/// Refuses a schema with anything but our tables: a view or a virtual table of such a name runs
/// what a stranger wrote, and may never end.
fn expect_our_tables(connection: &Connection) -> Result<()> {
    let mut select = connection
        .prepare("SELECT name, type, sql FROM sqlite_schema ORDER BY name LIMIT 99")
        .map_err(failed)?;
    let mut rows = select.query([]).map_err(failed)?;
    let mut tables: Vec<String> = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let name: String = row.get(0).map_err(failed)?;
        let kind: String = row.get(1).map_err(failed)?;
        let sql: Option<String> = row.get(2).map_err(failed)?;
        let sql = sql.unwrap_or_default().to_uppercase();
        let is_plain = kind == "table" && sql.starts_with("CREATE TABLE");
        if !is_plain || !TABLES.contains(&name.as_str()) {
            let what = format!("the database holds a {kind} \"{name}\", which no index has");
            return Err(beyond_use(&what));
        }
        tables.push(name);
    }
    if tables != TABLES {
        return Err(beyond_use("the database lacks tables that every index has"));
    }
    TABLES.iter().try_for_each(|table| expect_plain_columns(connection, table))
}

/// Refuses columns that are computed.
fn expect_plain_columns(connection: &Connection, table: &str) -> Result<()> {
    let count = "SELECT count(*) FROM pragma_table_xinfo(?1) WHERE hidden <> 0";
    let computed: i64 = connection.query_row(count, [table], |row| row.get(0)).map_err(failed)?;
    if computed == 0 {
        return Ok(());
    }
    Err(beyond_use(&format!("its table \"{table}\" has computed columns, which no index has")))
}

fn read_space(connection: &Connection) -> Result<(Space, Format)> {
    let magic: String = meta(connection, "magic")?;
    let format: i64 = meta(connection, "format")?;
    if magic != MAGIC {
        return Err(Error::invalid(format!("this is a \"{magic}\", not a \"{MAGIC}\"")));
    }
    let format = match format {
        1 => Format::One,
        2 => Format::Two,
        FORMAT => Format::Three,
        later if later > FORMAT => return Err(newer(later, FORMAT)),
        _ => return Err(beyond_use(&format!("the database says that its format is {format}"))),
    };
    let dim: i64 = meta(connection, "dim")?;
    if !(1..=MOST_DIM).contains(&dim) {
        let message = format!("its vectors are said to have {dim} values (1 to {MOST_DIM})");
        return Err(beyond_use(&message));
    }
    Ok((Space { fingerprint: meta(connection, "fingerprint")?, dim: dim as usize }, format))
}

impl Opened {
    /// Brings a database of an older format to this one, for the writer.
    pub(in crate::index) fn upgrade(&mut self) -> Result<()> {
        if self.format == Format::NEWEST {
            return Ok(());
        }
        let connection = &self.connection;
        connection.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
        let upgraded = upgrade_from(connection, self.format)
            .and_then(|()| connection.execute_batch("COMMIT").map_err(failed));
        if upgraded.is_err() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        self.format = Format::NEWEST;
        upgraded
    }
}

/// Adds what `format` lacks, in the open transaction.
fn upgrade_from(connection: &Connection, format: Format) -> Result<()> {
    if format == Format::One {
        connection
            .execute_batch("ALTER TABLE items ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0")
            .map_err(failed)?;
        items::add_checksums(connection)?;
    }
    // Its pictures have whole paths, which need no root.
    super::set_root(connection, None)?;
    super::set_meta(connection, "format", FORMAT)
}

/// Whether the database cannot be used and holds nothing that is worth keeping: an empty file, or,
/// where there is no segment, what a run left that had no room for the tables.
pub(in crate::index) fn is_unfinished(index: &Path) -> Result<bool> {
    let file = path(index);
    let header = header(&file)?;
    if header.is_empty() {
        return Ok(true);
    }
    if !header.starts_with(folder::DATABASE_BEGINS_WITH) || folder::has_segments(index) {
        return Ok(false);
    }
    if is_of_another_program(&header) {
        return Ok(is_without_tables(&file));
    }
    Ok(for_writing(index).is_err_and(|error| error.kind() == ErrorKind::Corrupt))
}

/// Whether this is a database without a table, of whatever program, and without a log that could
/// hold one: nothing is lost with it.
fn is_without_tables(file: &Path) -> bool {
    let has_log = folder::has_content(&folder::beside(file, "-wal"));
    let tables = unchanging(file).and_then(|connection| {
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
    });
    !has_log && tables.is_ok_and(|tables| tables == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> Space {
        Space { fingerprint: "f".to_owned(), dim: 2 }
    }

    fn made() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        create(folder.path(), &space()).unwrap();
        folder
    }

    fn no_room() -> rusqlite::Error {
        let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_SHMSIZE);
        rusqlite::Error::SqliteFailure(full, None)
    }

    #[test]
    fn a_database_appears_whole_and_alone() {
        let folder = made();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let header = header(&path(folder.path())).unwrap();
        assert!(!is_of_another_program(&header));
        assert_eq!(header[18..20], [2, 2], "the log is on from the start");
    }

    #[test]
    fn a_database_where_nothing_can_be_written_is_read_under_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join("a #1 50%3f? index");
        std::fs::create_dir(&index).unwrap();
        create(&index, &space()).unwrap();
        let connection = open_unchanging(&index, no_room()).unwrap();
        assert_eq!(Opened::of(connection).unwrap().space, space());
        assert_eq!(std::fs::read_dir(&index).unwrap().count(), 1, "nothing was written beside it");
    }

    #[test]
    fn commits_that_are_in_the_log_alone_are_never_passed_over() {
        let folder = made();
        std::fs::write(folder.path().join("index.sqlite-wal"), "").unwrap();
        assert!(open_unchanging(folder.path(), no_room()).is_ok());
        std::fs::write(folder.path().join("index.sqlite-wal"), "commits").unwrap();
        let error = open_unchanging(folder.path(), no_room()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.message().starts_with("the last commits are in index.sqlite-wal"), "{error}");
    }

    #[test]
    fn a_reader_cannot_change_the_index() {
        let folder = made();
        let opened = for_reading(folder.path()).unwrap();
        assert!(super::super::set_meta(&opened.connection, "generation", 7).is_err());
    }

    #[test]
    fn a_reader_does_not_see_what_is_committed_later() {
        let folder = made();
        let reader = for_reading(folder.path()).unwrap();
        let writer = for_writing(folder.path()).unwrap();
        super::super::set_meta(&writer.connection, "generation", 7).unwrap();
        let generation = |opened: &Opened| meta::<i64>(&opened.connection, "generation").unwrap();
        assert_eq!(generation(&reader), 0);
        assert_eq!(generation(&for_reading(folder.path()).unwrap()), 7);
    }
}
