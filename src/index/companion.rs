//! What travels inside an index.

use std::path::Path;

use crate::error::{Error, Result};
use crate::files::{self, FileKind};

/// What travels inside an index: the model that made its vectors.
///
/// An index never sees a model. It only has to know whether the folder `model` holds what made
/// its vectors, and how that is put there.
pub trait Companion {
    /// Whether `folder` holds exactly this, whole and undamaged.
    fn is_in(&self, folder: &Path) -> bool;
    /// Writes it into `folder`, which is there and empty.
    fn write_to(&self, folder: &Path) -> Result<()>;
    /// Takes a model of any kind out of `folder`: only files that are looksee's own; an error, and
    /// nothing is taken out, when there is anything else.
    fn clear(&self, folder: &Path) -> Result<()>;
}

/// No model: for vectors that another program made. Words cannot be searched in such an index.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoModel;

impl Companion for NoModel {
    fn is_in(&self, folder: &Path) -> bool {
        is_empty(folder)
    }

    fn write_to(&self, _: &Path) -> Result<()> {
        Ok(())
    }

    fn clear(&self, folder: &Path) -> Result<()> {
        if is_empty(folder) {
            return Ok(());
        }
        Err(Error::invalid("this folder should be empty, for an index without a model")
            .at_file(folder))
    }
}

fn is_empty(folder: &Path) -> bool {
    files::kind(folder).is_ok_and(|kind| kind == FileKind::Folder)
        && fs_err::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}
