//! Whole files or none.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use fs_err::File;

use super::regular::{FileKind, kind};
use crate::error::{Error, Result};

/// Writes `path` through `write` so that it is either whole or untouched.
///
/// A link, a folder or a device of this name is refused and stays.
pub fn replace(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    refuse_to_write_over(path)?;
    let (temporary, file) = create_beside(path).map_err(|e| e.at_file(path))?;
    let outcome = write_all(file, write).and_then(|()| {
        fs_err::rename(&temporary, path).map_err(|e| Error::io("cannot put the file in place", e))
    });
    if outcome.is_err() {
        let _ = fs_err::remove_file(&temporary);
    }
    outcome.map_err(|e| e.at_file(path))?;
    if let Some(folder) = path.parent() {
        flush_folder(folder);
    }
    Ok(())
}

/// Writes `bytes` to `path`, whole or not at all.
pub fn replace_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, |out| out.write_all(bytes).map_err(|e| Error::io("cannot write", e)))
}

/// Makes the folder `path` through `write`, which is given an empty one to write into, so that all of
/// it is there or nothing.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) where `path` is neither new nor an empty folder.
pub fn fill_folder(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let is_free = match kind(path)? {
        FileKind::Absent => path.file_name().is_some(),
        FileKind::Folder => {
            std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
        }
        _ => false,
    };
    if !is_free {
        return Err(Error::invalid(
            "there is something of this name; name a new folder, or an empty one",
        )
        .at_file(path));
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_folder(parent)?;
    }
    let temporary = temporary_beside(path, u64::from(std::process::id()));
    let cannot = |e| Error::io("cannot make the folder", e).at_file(path);
    // What stands there, if anything does, is not written into.
    fs_err::create_dir(&temporary).map_err(cannot)?;
    let outcome = write(&temporary).and_then(|()| {
        // Some systems rename to an empty folder, some only to none.
        let _ = std::fs::remove_dir(path);
        fs_err::rename(&temporary, path).map_err(cannot)
    });
    if outcome.is_err() {
        let _ = std::fs::remove_dir_all(&temporary);
    }
    outcome?;
    if let Some(parent) = path.parent() {
        flush_folder(parent);
    }
    Ok(())
}

/// Makes `path` and its parents.
pub fn make_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|e| Error::io("cannot make the folder", e).at_file(path))
}

/// Flushes the names in a folder to the disk. A rename is lost with the power only if its folder
/// is not flushed; not all systems allow it, and none needs it for what readers see.
pub fn flush_folder(folder: &Path) {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    if let Ok(folder) = std::fs::File::open(folder) {
        let _ = folder.sync_all();
    }
}

fn refuse_to_write_over(path: &Path) -> Result<()> {
    let what = match kind(path)? {
        FileKind::Absent | FileKind::File => return Ok(()),
        FileKind::Link => "this is a symbolic link; name the file that it leads to",
        FileKind::Folder => "this is a folder; name a file",
        FileKind::Special => "this is a pipe or a device; name a file",
    };
    Err(Error::invalid(what).at_file(path))
}

/// A new file `.NAME.NUMBER.tmp` in the same folder, so that it can be renamed. The number is the
/// process's, or a larger one where that name is taken: what stands there is never written through.
fn create_beside(path: &Path) -> Result<(PathBuf, File)> {
    const TRIES: u64 = 16;
    for turn in 0..TRIES {
        let temporary = temporary_beside(path, (turn << 32) | u64::from(std::process::id()));
        match fs_err::OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io("cannot create", e)),
        }
    }
    Err(Error::invalid("cannot create a temporary file beside it: all names for one are taken"))
}

fn temporary_beside(path: &Path, number: u64) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{number}.tmp"));
    path.with_file_name(name)
}

/// The `NAME` of a `.NAME.NUMBER.tmp`.
pub(super) fn name_of_temporary(name: &str) -> Option<&str> {
    let (name, number) = name.strip_prefix('.')?.strip_suffix(".tmp")?.rsplit_once('.')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && !name.is_empty()).then_some(name)
}

fn write_all(file: File, write: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, file);
    write(&mut out)?;
    out.flush().map_err(|e| Error::io("cannot write", e))?;
    out.get_ref().sync_all().map_err(|e| Error::io("cannot write to the disk", e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::read;

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
    fn a_folder_is_filled_as_a_whole_or_not_made_and_what_is_there_stays() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("deep/parts");
        let fill = |path: &Path, last: Result<()>| {
            fill_folder(path, |folder| {
                replace_bytes(&folder.join("a"), b"a")?;
                last
            })
        };
        assert!(fill(&path, Err(Error::invalid("stopped"))).is_err());
        assert_eq!(std::fs::read_dir(parent.path().join("deep")).unwrap().count(), 0);
        std::fs::create_dir(&path).unwrap();
        fill(&path, Ok(())).unwrap();
        assert_eq!(read(&path.join("a")).unwrap(), b"a");
        let error = fill(&path, Ok(())).unwrap_err();
        assert!(error.message().contains("name a new folder"), "{error}");
        assert_eq!(std::fs::read_dir(parent.path().join("deep")).unwrap().count(), 1);
    }

    #[test]
    fn a_temporary_is_known_by_its_name() {
        let folder = Path::new("folder");
        let temporary = temporary_beside(&folder.join("a.b"), 4711);
        let name = temporary.file_name().unwrap().to_str().unwrap();
        assert_eq!(name_of_temporary(name), Some("a.b"));
        for other in ["a.b", ".a.b.tmp", ".a.12", ".12.tmp", "..12.tmp", ".a.-1.tmp"] {
            assert_eq!(name_of_temporary(other), None, "{other}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_written_through_a_link_or_over_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let precious = folder.path().join("precious");
        std::fs::write(&precious, "years of work").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&precious, &link).unwrap();
        for path in [&link, Path::new("/dev/null"), folder.path()] {
            assert!(replace_bytes(path, b"new").is_err(), "{}", path.display());
        }
        // Nor through a link that waits where the temporary will be.
        let target = folder.path().join("target");
        std::os::unix::fs::symlink(
            &precious,
            temporary_beside(&target, u64::from(std::process::id())),
        )
        .unwrap();
        replace_bytes(&target, b"new").unwrap();
        assert_eq!(read(&precious).unwrap(), b"years of work");
        assert_eq!(read(&target).unwrap(), b"new");
    }
}
