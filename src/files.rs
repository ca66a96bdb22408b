//! How looksee touches the disk: whole files or none, one writer at a time, checked bytes.
//!
//! Every file that another program may read is written beside its place under a temporary name,
//! flushed to the disk and renamed. A reader thus sees the old file or the new one, and a full
//! disk or a killed process leaves the old one.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use fs_err::File;

use crate::error::{Error, ErrorKind, Result};

/// Writes `path` through `write` so that it is either whole or untouched.
pub fn replace(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    let temporary = temporary_beside(path);
    let outcome = write_new(&temporary, write).and_then(|()| {
        fs_err::rename(&temporary, path).map_err(|e| Error::io("cannot put the file in place", e))
    });
    if outcome.is_err() {
        let _ = fs_err::remove_file(&temporary);
    }
    outcome.map_err(|e| e.at_file(path))?;
    sync_folder_of(path);
    Ok(())
}

/// Writes `bytes` to `path`, whole or not at all.
pub fn replace_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, |out| out.write_all(bytes).map_err(|e| Error::io("cannot write", e)))
}

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| Error::io("cannot read", e).at_file(path))
}

/// Reads a whole UTF-8 file.
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).map_err(|_| {
        Error::invalid("the file is not UTF-8 text; save it as UTF-8 and try again").at_file(path)
    })
}

/// Makes `path` and its parents.
pub fn make_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|e| Error::io("cannot make the folder", e).at_file(path))
}

/// The right to write into a folder; released when dropped, also when the process is killed.
#[derive(Debug)]
pub struct FolderLock {
    _file: std::fs::File,
}

impl FolderLock {
    /// Takes the lock of `folder`, or says that another process writes there.
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(".lock");
        let file = std::fs::File::create(&path)
            .map_err(|e| Error::io("cannot write into the folder", e).at_file(folder))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => Err(Error::new(
                ErrorKind::Io,
                "another looksee is writing here; wait for it to end and run the command again",
            )
            .at_file(folder)),
            Err(std::fs::TryLockError::Error(e)) => {
                Err(Error::io("cannot lock the folder", e).at_file(folder))
            }
        }
    }
}

/// 64-bit XXH3 of `bytes`, the checksum in all our files.
pub fn checksum(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// A short name for content: 12 hex digits of XXH3-128 over all `parts`.
pub fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    format!("{:032x}", hash.digest128())[..12].to_owned()
}

/// `f32` values as little-endian bytes.
pub fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Little-endian bytes as `f32` values; trailing bytes that make no value are left out.
pub fn f32_values(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

fn temporary_beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

fn write_new(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    let file = File::create(path).map_err(|e| Error::io("cannot create", e))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    write(&mut out)?;
    out.flush().map_err(|e| Error::io("cannot write", e))?;
    out.get_ref().sync_all().map_err(|e| Error::io("cannot write to the disk", e))
}

fn sync_folder_of(path: &Path) {
    // A rename is lost with the power only if its folder is not flushed; not all systems allow it.
    if let Some(folder) = path.parent()
        && let Ok(folder) =
            std::fs::File::open(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
    {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        replace_bytes(&path, b"old").unwrap();
        let error = replace(&path, |out| {
            out.write_all(b"half").unwrap();
            Err(Error::invalid("stopped"))
        });
        assert!(error.is_err());
        assert_eq!(read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_second_writer_is_refused_until_the_first_ends() {
        let folder = tempfile::tempdir().unwrap();
        let first = FolderLock::take(folder.path()).unwrap();
        assert!(FolderLock::take(folder.path()).is_err());
        drop(first);
        assert!(FolderLock::take(folder.path()).is_ok());
    }

    #[test]
    fn fingerprints_tell_where_parts_end() {
        assert_ne!(fingerprint([b"ab".as_slice(), b"c"]), fingerprint([b"a".as_slice(), b"bc"]));
    }
}
