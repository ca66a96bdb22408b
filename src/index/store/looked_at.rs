//! Looking into a database file beside SQLite, without taking its locks away.
//!
//! SQLite tells other processes what it does with POSIX locks, and these belong to the process: when
//! it closes *any* file that it has open on a database, all its locks on that database are gone. A
//! writer that only looked at the header again would lose its own, the next reader that ends would
//! take itself for the last one and delete the log, and commits would be lost. So a file that was
//! opened here stays open for as long as it has a name, and is used again for the next look.

pub(super) use system::first_bytes;

#[cfg(unix)]
mod system {
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::{FileExt, MetadataExt};
    use std::path::Path;
    use std::sync::{Mutex, PoisonError};

    use crate::files;

    /// One file for each database that this process looked into.
    static OPEN: Mutex<Vec<File>> = Mutex::new(Vec::new());

    /// At most the first `most` bytes of a regular file.
    pub(in super::super) fn first_bytes(path: &Path, most: usize) -> io::Result<Vec<u8>> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody else can have a lock on what has no name any more.
        open.retain(|file| file.metadata().is_ok_and(|about| about.nlink() > 0));
        let sought = identity(&std::fs::metadata(path)?);
        let known = |file: &File| file.metadata().is_ok_and(|about| identity(&about) == sought);
        if let Some(file) = open.iter().find(|file| known(file)) {
            return read(file, most);
        }
        let file = files::open(path).map_err(io::Error::other)?;
        let bytes = read(&file, most);
        open.push(file);
        bytes
    }

    fn identity(about: &std::fs::Metadata) -> (u64, u64) {
        (about.dev(), about.ino())
    }

    fn read(file: &File, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; most];
        let mut filled = 0;
        while filled < most {
            match file.read_at(&mut bytes[filled..], filled as u64)? {
                0 => break,
                count => filled += count,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

#[cfg(not(unix))]
mod system {
    use std::io::{self, Read};
    use std::path::Path;

    use crate::files;

    /// At most the first `most` bytes of a regular file. Elsewhere locks belong to open files.
    pub(in super::super) fn first_bytes(path: &Path, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = files::open(path).map_err(io::Error::other)?;
        file.take(most as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}
