//! Reading, from regular files only.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// What stands under a name; a link is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Nothing.
    Absent,
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, wherever it leads.
    Link,
    /// A pipe, a socket, a device.
    Special,
}

/// What stands at `path` itself.
pub fn kind(path: &Path) -> Result<FileKind> {
    match std::fs::symlink_metadata(path) {
        Ok(about) if about.is_file() => Ok(FileKind::File),
        Ok(about) if about.is_dir() => Ok(FileKind::Folder),
        Ok(about) if about.is_symlink() => Ok(FileKind::Link),
        Ok(_) => Ok(FileKind::Special),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(FileKind::Absent),
        Err(e) => Err(Error::io("cannot look at the file", e).at_file(path)),
    }
}

/// Opens a regular file for reading, also through a link. Never waits: a pipe without a writer, a
/// device and a folder are [`ErrorKind::Invalid`].
pub fn open(path: &Path) -> Result<File> {
    let open = || {
        let file = without_waiting(OpenOptions::new().read(true))
            .open(path)
            .map_err(|e| Error::io("cannot read", e))?;
        let about = file.metadata().map_err(|e| Error::io("cannot read", e))?;
        if about.is_file() { Ok(file) } else { Err(not_regular()) }
    };
    open().map_err(|e: Error| e.at_file(path))
}

/// Opens a regular file or a pipe for reading, where a user has named the place of rows or lines:
/// `<(zcat rows.gz)` is a pipe. Waits for the pipe's other end. A device, which may never end, a
/// socket and a folder are [`ErrorKind::Invalid`].
pub fn open_stream(path: &Path) -> Result<File> {
    let cannot = |e| Error::io("cannot read", e).at_file(path);
    let about = std::fs::metadata(path).map_err(cannot)?;
    if is_pipe(&about) { File::open(path).map_err(cannot) } else { open(path) }
}

#[cfg(unix)]
fn is_pipe(about: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    about.file_type().is_fifo()
}

/// Elsewhere no file name is a pipe.
#[cfg(not(unix))]
fn is_pipe(_: &std::fs::Metadata) -> bool {
    false
}

/// Reads a whole regular file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    read_at_most(path, u64::MAX)
}

/// Reads a whole regular file of at most `most` bytes; a longer one is [`ErrorKind::TooLarge`]
/// before memory is taken for it.
pub fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut file = open(path)?;
    let read = |file: &mut File| {
        let cannot = |e| Error::io("cannot read", e);
        let length = file.metadata().map_err(cannot)?.len();
        if length > most {
            return Err(too_long(length, most));
        }
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX))
            .map_err(|_| too_long(length, most))?;
        // The file may grow meanwhile, and some report no length at all.
        file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(cannot)?;
        if bytes.len() as u64 > most {
            return Err(too_long(bytes.len() as u64, most));
        }
        Ok(bytes)
    };
    read(&mut file).map_err(|e| e.at_file(path))
}

/// The longest text that is read whole: a map of ten million points has less.
const TEXT_MOST: u64 = 1 << 30;

/// Reads a whole UTF-8 file of at most 1 GiB.
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read_at_most(path, TEXT_MOST)?).map_err(|_| {
        Error::invalid("the file is not UTF-8 text; save it as UTF-8 and try again").at_file(path)
    })
}

fn not_regular() -> Error {
    Error::invalid("this is a folder, a pipe or a device, and a regular file is needed here")
}

fn too_long(length: u64, most: u64) -> Error {
    let message = if most == u64::MAX {
        format!("the file has {length} bytes, more than there is memory for")
    } else {
        format!("the file has {length} bytes or more; at most {most} are read here")
    };
    Error::new(ErrorKind::TooLarge, message)
}

/// Makes opening a pipe or a device return at once.
#[cfg(unix)]
pub(super) fn without_waiting(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
}

/// Elsewhere no file name waits for a writer.
#[cfg(not(unix))]
pub(super) fn without_waiting(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_longer_than_its_bound_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let error = read_at_most(&path, 1000).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains("1099511627776 bytes"), "{error}");
        assert_eq!(read_text(&path).unwrap_err().kind(), ErrorKind::TooLarge);
        std::fs::write(&path, [7; 1000]).unwrap();
        assert_eq!(read_at_most(&path, 1000).unwrap(), [7; 1000]);
        assert!(read_at_most(&path, 999).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_are_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for (path, found) in [
            (pipe.as_path(), FileKind::Special),
            (&link, FileKind::Link),
            ("/dev/zero".as_ref(), FileKind::Special),
            (folder.path(), FileKind::Folder),
        ] {
            assert_eq!(kind(path).unwrap(), found, "{}", path.display());
            assert_eq!(read(path).unwrap_err().kind(), ErrorKind::Invalid, "{}", path.display());
        }
        assert_eq!(kind(&folder.path().join("none")).unwrap(), FileKind::Absent);
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_that_the_user_named_is_read_and_a_device_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let (writer, text) = (pipe.clone(), "rows");
        let writing = std::thread::spawn(move || std::fs::write(writer, text).unwrap());
        let mut read = String::new();
        open_stream(&pipe).unwrap().read_to_string(&mut read).unwrap();
        writing.join().unwrap();
        assert_eq!(read, text);
        for other in [Path::new("/dev/zero"), folder.path()] {
            assert_eq!(open_stream(other).unwrap_err().kind(), ErrorKind::Invalid);
        }
    }
}
