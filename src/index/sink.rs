//! What those who fill a collection see of it, wherever it lies.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use super::Space;
use super::record::{Known, Record};
use crate::error::Result;
use crate::units::ItemId;
use crate::vectors::Vectors;

/// The one who changes a collection: [`Writer`](super::Writer) for a local index.
///
/// What every implementation keeps to:
///
/// * Nothing is visible to a [`Collection`](super::Collection) before [`Sink::commit`], and a
///   commit shows as a whole. What was not committed when a sink is dropped never was.
/// * A name that is added again replaces the item.
/// * After an error nothing since the last commit is kept: drop the sink and begin again.
/// * It remembers which items it kept, renewed or added, for [`Sink::remove_unseen`].
///
/// The look for damage is for a place that can lose parts of itself; the defaults are right for one
/// that cannot.
pub trait Sink: Debug + Send {
    /// The model whose vectors it takes.
    fn space(&self) -> &Space;

    /// The folder that places of pictures are kept relative to; `None` where they are kept whole.
    fn root(&self) -> Option<&Path> {
        None
    }

    /// From now on, places of pictures are kept relative to this folder. Items that are kept, renewed
    /// or added from here on lie below it as their records say; the others stay where they are.
    ///
    /// A sink that keeps whole places has nothing to do.
    fn set_root(&mut self, _root: Option<PathBuf>) {}

    /// What is known of `id`, committed or not.
    fn known(&self, id: &ItemId) -> Result<Option<Known>>;

    /// Marks an unchanged item as seen in this run. Fails as
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of that name.
    fn keep(&mut self, id: &ItemId) -> Result<()>;

    /// New texts or fields for an item whose picture is unchanged; keeps its picture vector.
    /// `text_vector` is `Some` when the texts changed; `None` with changed texts means that there
    /// is no text any more.
    ///
    /// Fails as [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of that name.
    fn renew(&mut self, record: &Record, text_vector: Option<&[f32]>) -> Result<()>;

    /// Adds or replaces items: picture vectors `[n, dim]`, text vectors for items that have texts.
    ///
    /// Fails as [`ErrorKind::Mismatch`](crate::ErrorKind::Mismatch) when the numbers or the sizes
    /// do not fit.
    fn add(
        &mut self,
        records: &[Record],
        pictures: &Vectors,
        texts: &[Option<Vec<f32>>],
    ) -> Result<()>;

    /// Takes out these items; the number that was there.
    fn remove(&mut self, ids: &[ItemId]) -> Result<usize>;

    /// Takes out all items that were neither kept, renewed nor added by this sink; the number.
    /// Lost ones stay for [`Sink::drop_damaged`].
    fn remove_unseen(&mut self) -> Result<usize>;

    /// Makes what was done so far visible, and safe from a crash.
    fn commit(&mut self) -> Result<()>;

    /// Like [`Sink::commit`], at the end of a whole run: also gives back what is no longer needed,
    /// as far as that is cheap.
    fn finish(&mut self) -> Result<()> {
        self.commit()
    }

    /// Compares everything with its checksums. From now on items that are damaged are unknown, so
    /// that they are added again; [`Sink::drop_damaged`] ends the mending. The number of such items.
    ///
    /// Fails as [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) when it is beyond mending.
    fn look_for_damage(&mut self) -> Result<usize> {
        Ok(0)
    }

    /// Whether an item was damaged and was not added again yet.
    fn is_lost(&self, _id: &ItemId) -> bool {
        false
    }

    /// Takes out the items that are damaged and were not added again. The number of items taken
    /// out. To be committed.
    fn drop_damaged(&mut self) -> Result<usize> {
        Ok(0)
    }
}
