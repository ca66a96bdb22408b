//! Pictures that are not where they were.

use std::path::{Path, PathBuf};

use super::Index;
use crate::error::{Error, ErrorKind, Result};
use crate::files::Blob;

impl Index {
    /// This snapshot with the pictures below its root looked up below `root`, for a library that has
    /// moved. Nothing is written: an update with the catalogue in its new place remembers it.
    ///
    /// Fails when there is no such folder, and when the index remembers no root, because an earlier
    /// build made it: then all its pictures have whole paths.
    pub fn at_root(self, root: &Path) -> Result<Self> {
        if self.root().is_none() {
            let message = "the index keeps the whole paths of its pictures and no folder that they \
                           are in, so another one cannot be named; update it with its catalogue";
            return Err(Error::invalid(message).at_file(self.folder()));
        }
        if !root.is_dir() {
            let message = "no such folder; it was named as the place of the pictures";
            return Err(Error::new(ErrorKind::NotFound, message).at_file(root));
        }
        let root = std::path::absolute(root)
            .map_err(|e| Error::io("cannot look up the folder", e).at_file(root))?;
        Ok(self.with_root(root))
    }
}

/// Pictures of an index that are not where it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    index: PathBuf,
    /// What the pictures of the index lie below, if it remembers that.
    pub root: Option<PathBuf>,
    /// How many were looked for.
    pub looked_for: usize,
    /// How many of them are not there.
    pub count: usize,
    /// The first of these.
    pub first: Option<Blob>,
    /// Another folder, near the index, below which the first one is.
    pub found_below: Option<PathBuf>,
}

impl Gone {
    /// None so far, of this index.
    pub fn of(index: &Index) -> Self {
        Self {
            index: index.folder().to_path_buf(),
            root: index.root().map(Path::to_path_buf),
            looked_for: 0,
            count: 0,
            first: None,
            found_below: None,
        }
    }

    /// Looks for pictures of the index; their files are not opened.
    pub fn look<'a>(&mut self, pictures: impl IntoIterator<Item = &'a Blob>) {
        for picture in pictures {
            self.looked_for += 1;
            if picture.is_there() {
                continue;
            }
            self.count += 1;
            if self.first.is_none() {
                self.first = Some(picture.clone());
                self.found_below = self.folder_with(picture);
            }
        }
    }

    /// A folder near the index below which this picture is, where it lay as it did below the root: to
    /// be suggested to a person. Nothing is taken from there unasked, for it may hold other pictures
    /// of the same names.
    fn folder_with(&self, picture: &Blob) -> Option<PathBuf> {
        let root = self.root.as_deref()?;
        let below = picture.to_bytes(Some(root));
        let index = std::path::absolute(&self.index).ok()?;
        let beside = index.parent()?;
        let named_alike = root.file_name().map(|name| beside.join(name));
        let folders = [Some(beside.to_path_buf()), named_alike, Some(index.clone())];
        folders.into_iter().flatten().filter(|_| Blob::is_below_root(&below)).find(|folder| {
            Blob::from_bytes(&below, Some(folder)).is_ok_and(|picture| picture.is_there())
        })
    }
}
