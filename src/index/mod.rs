//! The index: vectors in mapped segments, everything else in SQLite, searched exactly.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::error::Result;
use crate::filter::{Fields, Filter};
use crate::units::ItemId;
use crate::vectors::Vectors;

/// What tells a picture's file from a newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes of the file.
    pub size: u64,
    /// Nanoseconds since 1970 of its last change.
    pub modified_ns: i64,
    /// XXH3-64 of its bytes.
    pub content: u64,
}

/// Everything an index keeps of an item but its vectors.
#[derive(Clone, Debug)]
pub struct Record {
    /// The item's name.
    pub id: ItemId,
    /// The picture's file (absolute).
    pub image: PathBuf,
    /// Its texts.
    pub texts: Vec<String>,
    /// Its other fields.
    pub fields: Fields,
    /// Its group.
    pub group: Option<Arc<str>>,
    /// The file as it was embedded.
    pub stamp: Stamp,
}

/// What is known of an item that is in the index already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The file as it was embedded.
    pub stamp: Stamp,
    /// Checksum of texts, fields, group and path, as [`Record::checksum`] gives it.
    pub record: u64,
    /// Checksum of the texts alone: another one means that the text must be embedded again.
    pub texts: u64,
}

impl Record {
    /// Checksum of all but the stamp.
    pub fn checksum(&self) -> u64 {
        unimplemented!()
    }
    /// Checksum of the texts alone.
    pub fn texts_checksum(&self) -> u64 {
        unimplemented!()
    }
}

/// Which model made an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// The encoder's fingerprint.
    pub fingerprint: String,
    /// Values a vector.
    pub dim: usize,
}

/// The one process that changes an index. Nothing is visible to readers before [`Writer::commit`].
#[derive(Debug)]
pub struct Writer {}

impl Writer {
    /// Opens or makes the index folder. `copy_model` fills the `model` folder of a new index.
    pub fn open(
        folder: &Path,
        space: &Space,
        copy_model: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Self> {
        let _ = (folder, space, copy_model);
        unimplemented!()
    }

    /// What is known of `id`, committed or not.
    pub fn known(&self, id: &ItemId) -> Result<Option<Known>> {
        let _ = id;
        unimplemented!()
    }

    /// Marks an unchanged item as seen in this run.
    pub fn keep(&mut self, id: &ItemId) -> Result<()> {
        let _ = id;
        unimplemented!()
    }

    /// New texts or fields for an item whose picture is unchanged; keeps its picture vector.
    /// `text_vector` is `Some` when the texts changed.
    pub fn renew(&mut self, record: &Record, text_vector: Option<&[f32]>) -> Result<()> {
        let _ = (record, text_vector);
        unimplemented!()
    }

    /// Adds or replaces items: picture vectors `[n, dim]`, text vectors for items that have texts.
    pub fn add(
        &mut self,
        records: &[Record],
        pictures: &Vectors,
        texts: &[Option<Vec<f32>>],
    ) -> Result<()> {
        let _ = (records, pictures, texts);
        unimplemented!()
    }

    /// Writes, flushes and names what was added so far; a run that is killed later keeps it.
    pub fn commit(&mut self) -> Result<()> {
        unimplemented!()
    }

    /// Takes out all items that were neither kept, renewed nor added by this writer; the number.
    pub fn remove_unseen(&mut self) -> Result<usize> {
        unimplemented!()
    }

    /// Takes out these items; the number that was there.
    pub fn remove(&mut self, ids: &[ItemId]) -> Result<usize> {
        let _ = ids;
        unimplemented!()
    }

    /// Rewrites segments so that no removed row takes up space.
    pub fn compact(&mut self) -> Result<()> {
        unimplemented!()
    }

    /// Takes over everything of another index of the same model (`looksee merge`).
    pub fn merge(&mut self, other: &Index) -> Result<usize> {
        let _ = other;
        unimplemented!()
    }
}

/// A snapshot of an index for reading; unaffected by a writer at work.
#[derive(Debug)]
pub struct Index {}

/// One answer of a search.
#[derive(Clone, Debug, Serialize)]
pub struct Hit {
    /// The item's name.
    pub id: ItemId,
    /// Cosine with the query, -1 to 1; greater is closer.
    pub score: f32,
    /// Number of the row within the snapshot, for [`Index::record`] and [`Index::picture`].
    pub row: usize,
}

/// What to look for.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    /// One query a row, `[n, dim]`.
    pub vectors: &'a Vectors,
    /// How many answers a query.
    pub top: usize,
    /// Only among items that pass.
    pub filter: Option<&'a Filter>,
}

/// The result of [`Index::check`].
#[derive(Clone, Debug, Default, Serialize)]
pub struct Check {
    /// Items whose rows and checksums are right.
    pub items: usize,
    /// Segments.
    pub segments: usize,
    /// A sentence for everything that is wrong.
    pub problems: Vec<String>,
}

impl Index {
    /// Opens a snapshot.
    pub fn open(folder: &Path) -> Result<Self> {
        let _ = folder;
        unimplemented!()
    }

    /// The model that made it.
    pub fn space(&self) -> &Space {
        unimplemented!()
    }

    /// The folder with the model that travels inside the index.
    pub fn model_folder(&self) -> PathBuf {
        unimplemented!()
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        unimplemented!()
    }

    /// Whether it holds no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `top` closest pictures of each query, closest first, ties by id; exact.
    pub fn search(&self, query: &Query<'_>) -> Result<Vec<Vec<Hit>>> {
        let _ = query;
        unimplemented!()
    }

    /// How many items pass a filter.
    pub fn count(&self, filter: Option<&Filter>) -> Result<usize> {
        let _ = filter;
        unimplemented!()
    }

    /// The names of all fields that items have.
    pub fn field_names(&self) -> Result<Vec<String>> {
        unimplemented!()
    }

    /// The row of the item with this name.
    pub fn find(&self, id: &ItemId) -> Result<Option<usize>> {
        let _ = id;
        unimplemented!()
    }

    /// Everything about the item in `row`.
    pub fn record(&self, row: usize) -> Result<Record> {
        let _ = row;
        unimplemented!()
    }

    /// The picture vector of `row`, `[dim]`.
    pub fn picture(&self, row: usize) -> &[f32] {
        let _ = row;
        unimplemented!()
    }

    /// The text vector of `row`, `[dim]`, if the item has texts.
    pub fn text(&self, row: usize) -> Option<&[f32]> {
        let _ = row;
        unimplemented!()
    }

    /// Reads everything and compares every checksum and count.
    pub fn check(&self) -> Result<Check> {
        unimplemented!()
    }

    /// Bytes on disk, and rows that removed items still take up.
    pub fn size(&self) -> Result<(u64, usize)> {
        unimplemented!()
    }
}
