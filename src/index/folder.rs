//! What may lie in the folder of an index, and what of it looksee may take away.
//!
//! A folder that is named as the place of an index may be a person's own, or one that a stranger
//! sent. So an index is made only where nothing else is; only files are removed whose name and
//! beginning are looksee's; and no link is followed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::companion::Companion;
use super::{segment, store};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, Cut, FileKind, FolderLock, Made};

/// The folder of the model.
pub(super) const MODEL: &str = "model";
/// The model while it is written.
const MODEL_IN_THE_MAKING: &str = ".model.tmp";
/// The database while it is made.
pub(super) const DATABASE_IN_THE_MAKING: &str = ".index.sqlite.tmp";
/// The database and what SQLite keeps beside it.
pub(super) const DATABASE_FILES: [&str; 3] =
    ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"];
/// What an SQLite database begins with.
pub(super) const DATABASE_BEGINS_WITH: &[u8] = b"SQLite format 3\0";
/// What SQLite keeps beside a database, and what those files begin with.
const BESIDE_A_DATABASE: [(&str, &[u8]); 4] = [
    ("-wal", &[0x37, 0x7F, 0x06, 0x82]),
    ("-wal", &[0x37, 0x7F, 0x06, 0x83]),
    ("-shm", &3_007_000_u32.to_ne_bytes()),
    ("-journal", &[0xD9, 0xD5, 0x05, 0xF9, 0x20, 0xA1, 0x63, 0xD7]),
];

/// The file `NAME-wal` and the like of a database.
pub(super) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Whether there is anything under this name but an empty file.
pub(super) fn has_content(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|about| !about.is_file() || about.len() > 0)
}

/// Refuses a link under a name that looksee writes to, and a folder that is neither empty nor an
/// index. What a killed [`Writer::open`](super::Writer::open) left does not count.
pub(super) fn expect_ours(folder: &Path) -> Result<()> {
    let names = ["segments", MODEL, MODEL_IN_THE_MAKING, DATABASE_IN_THE_MAKING];
    for name in names.into_iter().chain(DATABASE_FILES) {
        files::refuse_link(&folder.join(name))?;
    }
    match files::kind(&store::path(folder))? {
        FileKind::Absent => expect_nothing_else(folder),
        _ => Ok(()),
    }
}

/// Refuses everything but what a killed [`Writer::open`](super::Writer::open) left, and the
/// database itself.
pub(super) fn expect_nothing_else(folder: &Path) -> Result<()> {
    let Some(foreign) = list(folder)?.into_iter().find(|path| !is_ours(path)) else {
        return Ok(());
    };
    let name = foreign.strip_prefix(folder).unwrap_or(&foreign);
    let message = format!(
        "the folder is not an index and holds other files ({}); name a new folder",
        name.display()
    );
    Err(Error::invalid(message).at_file(folder))
}

fn is_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let kind = files::kind(path).ok();
    match name {
        name if files::is_of_the_system(name) => true,
        ".lock" | "index.sqlite" => kind == Some(FileKind::File),
        // Beside a database that holds nothing, and not alone.
        "index.sqlite-wal" | "index.sqlite-shm" => {
            path.with_file_name("index.sqlite").exists() && is_database(path)
        }
        // What is in it is looked at by those who know models, see `take_model`.
        MODEL | MODEL_IN_THE_MAKING => kind == Some(FileKind::Folder),
        "segments" => {
            kind == Some(FileKind::Folder)
                && list(path).is_ok_and(|files| files.iter().all(|file| is_segment_of_ours(file)))
        }
        name => name.starts_with(DATABASE_IN_THE_MAKING) && is_database(path),
    }
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |e| Error::io("cannot list the folder", e).at_file(folder);
    let entries = fs_err::read_dir(folder).map_err(unreadable)?;
    entries.map(|entry| Ok(entry.map_err(unreadable)?.path())).collect()
}

/// A segment, or one that a killed run left half-written.
fn is_segment_of_ours(path: &Path) -> bool {
    files::is_left_over(path, half_written) || (is_segment(path) && begins(path, segment::MAGIC))
}

/// Whether a file has the name of a segment.
fn is_segment(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    segment::number_of(name).is_some()
}

/// What a file begins with that becomes a segment of this name.
fn half_written(name: &str) -> Option<files::Beginning> {
    segment::number_of(name).map(|_| (0, segment::MAGIC.as_slice()))
}

/// Whether this is a regular file with this beginning, as far as it goes.
fn begins(path: &Path, beginning: &'static [u8]) -> bool {
    files::begins(path, (0, beginning), Cut::Anywhere)
}

/// Removes a file that begins so, as far as it goes.
fn remove(path: &Path, beginning: &'static [u8]) {
    files::remove_own(path, (0, beginning), Cut::Anywhere);
}

/// Whether this is the file of a database that is being made, or one that SQLite keeps beside it.
fn is_database(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    (name == DATABASE_IN_THE_MAKING && begins(path, DATABASE_BEGINS_WITH))
        || BESIDE_A_DATABASE
            .iter()
            .any(|(ending, beginning)| name.ends_with(ending) && begins(path, beginning))
}

/// Removes the database `file`, which holds nothing, with what SQLite keeps beside it.
///
/// Anything under these names that SQLite did not write is an error and stays.
pub(super) fn remove_database(file: &Path) -> Result<()> {
    let beside_it = BESIDE_A_DATABASE.map(|(ending, beginning)| (beside(file, ending), beginning));
    let all = beside_it.into_iter().chain([(file.to_path_buf(), DATABASE_BEGINS_WITH)]);
    for (path, beginning) in all {
        remove(&path, beginning);
    }
    let endings = BESIDE_A_DATABASE.map(|(ending, _)| beside(file, ending));
    for path in endings.iter().chain([&file.to_path_buf()]) {
        if files::kind(path)? != FileKind::Absent {
            let message = "this is not what looksee keeps under this name; move it away";
            return Err(Error::invalid(message).at_file(path));
        }
    }
    Ok(())
}

/// An error when the log of a database that was closed still holds something.
pub(super) fn expect_no_log(database: &Path) -> Result<()> {
    let log = beside(database, "-wal");
    if has_content(&log) {
        let message = "the database could not be written as a whole; is the disk full?";
        return Err(Error::new(ErrorKind::Io, message).at_file(log));
    }
    for ending in ["-wal", "-shm"] {
        files::remove_own(&beside(database, ending), (0, b""), Cut::Nowhere);
    }
    Ok(())
}

/// Whether there is a segment, be it named or not.
pub(super) fn has_segments(folder: &Path) -> bool {
    list(&segment::folder(folder)).is_ok_and(|files| files.iter().any(|file| is_segment(file)))
}

/// Deletes the segments that the committed state does not name, and those that killed runs left
/// half-written; any other file stays. One that cannot be deleted, because a reader of this system
/// still holds it, stays for the next writer.
pub(super) fn delete_left_overs(folder: &Path, named: &BTreeSet<u32>) -> Result<()> {
    let segments = segment::folder(folder);
    files::tidy(&segments, half_written);
    for path in list(&segments)? {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if segment::number_of(name).is_some_and(|number| !named.contains(&number)) {
            remove(&path, segment::MAGIC);
        }
    }
    Ok(())
}

/// An error when a new segment would take the place of a file that is none.
pub(super) fn expect_room_for_segment(folder: &Path, number: u32) -> Result<()> {
    let path = segment::path(folder, number);
    if files::kind(&path)? == FileKind::Absent || is_segment_of_ours(&path) {
        return Ok(());
    }
    let message = "a new file with vectors goes here, and this is none; move it away";
    Err(Error::invalid(message).at_file(path))
}

/// Puts the model in place, unless exactly this one is there. It is written beside its place: a
/// run that is killed on the way leaves what the next one clears away.
pub(super) fn take_model(folder: &Path, companion: &dyn Companion) -> Result<()> {
    let (model, temporary) = (folder.join(MODEL), folder.join(MODEL_IN_THE_MAKING));
    if files::kind(&model)? == FileKind::Folder && companion.is_in(&model) {
        return take_away(&temporary, companion);
    }
    // Before anything is written: what is there may be somebody's own.
    take_away(&model, companion)?;
    take_away(&temporary, companion)?;
    files::make_own_folder(&temporary)?;
    companion.write_to(&temporary)?;
    fs_err::rename(&temporary, &model)
        .map_err(|e| Error::io("cannot put the model in place", e).at_file(folder))?;
    files::flush_folder(folder);
    Ok(())
}

/// What was not there when a writer began to make an index: what it may take away again.
#[derive(Debug)]
pub(super) struct New {
    folders: Made,
    /// Of the names that an index has.
    absent: Vec<&'static str>,
}

const LOCK: &str = ".lock";
/// What a new index consists of, without the lock.
const PARTS: [&str; 4] = ["index.sqlite", "segments", MODEL, MODEL_IN_THE_MAKING];

impl New {
    /// Makes the folder, locks it with `lock`, and then looks at what is in it.
    pub(super) fn make(
        folder: &Path,
        lock: impl FnOnce() -> Result<FolderLock>,
    ) -> Result<(FolderLock, Self)> {
        let is_absent =
            |name: &&str| files::kind(&folder.join(name)).ok() == Some(FileKind::Absent);
        let folders = Made::folder(folder)?;
        let is_new = is_absent(&LOCK);
        let lock = lock().inspect_err(|_| folders.undo())?;
        let mut absent: Vec<_> = PARTS.into_iter().filter(is_absent).collect();
        absent.extend(is_new.then_some(LOCK));
        Ok((lock, Self { folders, absent }))
    }

    /// Takes away what was made since, unless there was a database before. What cannot be taken
    /// away, because somebody put something of his own into it, stays. Call it under the lock.
    pub(super) fn take_away(&self, folder: &Path, companion: &dyn Companion) {
        if !self.absent.contains(&"index.sqlite") {
            return;
        }
        for &name in &self.absent {
            let path = folder.join(name);
            match name {
                "segments" => {
                    let _ = delete_left_overs(folder, &BTreeSet::new());
                    let _ = std::fs::remove_dir(path);
                }
                MODEL | MODEL_IN_THE_MAKING => drop(take_away(&path, companion)),
                LOCK => {
                    files::remove_own(&path, (0, b""), Cut::Nowhere);
                }
                _ => drop(remove_database(&path)),
            }
        }
        self.folders.undo();
    }
}

/// Takes away a folder with a model, if it is there.
fn take_away(model: &Path, companion: &dyn Companion) -> Result<()> {
    if files::kind(model)? == FileKind::Absent {
        return Ok(());
    }
    companion.clear(model)?;
    match std::fs::remove_dir(model) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("cannot take the old model away", e).at_file(model))
        }
        _ => Ok(()),
    }
}
