//! A small disk of its own, so that it can be full: a tmpfs where that may be mounted.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::say;
use crate::steps::{Result, Step};

/// A mounted disk; gone when dropped.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) folder: PathBuf,
}

/// What takes up its room.
const FILLING: &str = "filling";

impl Disk {
    /// Mounts a disk of so many bytes at `folder`; `None` where that is not allowed.
    pub(super) fn mount(folder: PathBuf, bytes: u64) -> Result<Option<Self>> {
        std::fs::create_dir_all(&folder).map_err(say("cannot make a folder", &folder))?;
        let (size, place) = (format!("size={bytes}"), folder.to_string_lossy().into_owned());
        let words = ["mount", "-t", "tmpfs", "-o", &size, "tmpfs", &place];
        let mounted = Step::new(&words).succeeds(Path::new("/"));
        Ok(mounted.then_some(Self { folder }))
    }

    /// Takes up all room but so many bytes.
    pub(super) fn fill(&self, free: u64) -> Result<()> {
        let path = self.folder.join(FILLING);
        let mut file = File::create(&path).map_err(say("cannot write", &path))?;
        let (block, mut length) = ([0; 1 << 14], 0);
        while let Ok(written) = file.write(&block) {
            length += written as u64;
        }
        let pages = free.div_ceil(4096) * 4096;
        file.set_len(length.saturating_sub(pages)).map_err(say("cannot cut", &path))
    }

    /// Gives the room back.
    pub(super) fn empty(&self) -> Result<()> {
        let path = self.folder.join(FILLING);
        std::fs::remove_file(&path).map_err(say("cannot remove", &path))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let place = self.folder.to_string_lossy().into_owned();
        // A program that still looks at it keeps it until it ends.
        Step::new(&["umount", "-l", &place]).succeeds(Path::new("/"));
    }
}
