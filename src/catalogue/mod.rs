//! Catalogues: what there is to learn from and to search in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Result;
use crate::filter::{Fields, Filter};
use crate::units::{ItemId, Seed};

/// Where in which file an item stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The catalogue file, or the picture itself in a folder.
    pub file: Arc<Path>,
    /// The line (from 1), where the format has lines.
    pub line: Option<u64>,
}

/// One picture of a catalogue with the texts that belong to it.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name, unique within the catalogue.
    pub id: ItemId,
    /// The picture's file, ready to be opened.
    pub image: PathBuf,
    /// Its texts, most telling first; may be empty.
    pub texts: Vec<String>,
    /// All other fields. Empty in a [`Catalogue`], whole from [`Source::open`].
    pub fields: Fields,
    /// Items of one group show the same thing: never negatives of each other, never split.
    pub group: Option<Arc<str>>,
    /// Where it was read.
    pub place: Place,
}

/// Why something was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The file is there but is no picture that can be decoded.
    Unreadable,
    /// The picture's file is not there.
    Missing,
    /// Beyond the limits on bytes or pixels.
    TooLarge,
    /// The row breaks its format or lacks a field.
    BadRow,
    /// The id was used by an earlier item.
    DuplicateId,
    /// No text, where one is needed.
    NoText,
}

/// One thing that was left out.
#[derive(Clone, Debug)]
pub struct Skip {
    /// Where it stands.
    pub place: Place,
    /// The item's name, if it got that far.
    pub id: Option<ItemId>,
    /// What kind of trouble.
    pub reason: Reason,
    /// The sentence for a person.
    pub message: String,
}

/// Counts what was used and lists what was not.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Items that were used.
    pub used: usize,
    /// Items that were not.
    pub skipped: Vec<Skip>,
    /// Pictures that end early and were used with their rest grey.
    pub truncated: usize,
}

impl Ledger {
    /// `12,345 pictures, 12 skipped (9 unreadable, 2 missing, 1 too large)`; truncated pictures
    /// are added when there are any.
    pub fn summary(&self) -> String {
        unimplemented!()
    }

    /// Writes the skipped things as JSON lines (`file`, `line`, `id`, `reason`, `message`).
    pub fn write(&self, path: &Path) -> Result<()> {
        let _ = path;
        unimplemented!()
    }
}

/// How a catalogue is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// A folder of pictures.
    Folder,
    /// JSON lines, or one JSON array of objects.
    Json,
    /// Comma-separated with a header line.
    Csv,
    /// Tab-separated with a header line.
    Tsv,
    /// Amazon product metadata of 2014, 2018, 2018 v2 or 2023 (told apart row by row).
    Amazon,
}

impl Format {
    /// The format with this name as `--format` takes it.
    pub fn named(name: &str) -> Result<Self> {
        let _ = name;
        unimplemented!()
    }
}

/// Which catalogue to read and how.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Files and folders, read in this order.
    pub paths: Vec<PathBuf>,
    /// Found by looking when `None`.
    pub format: Option<Format>,
    /// Where relative picture paths (and Amazon pictures) are looked up.
    pub images: Option<PathBuf>,
    /// Field with the picture's path; usual names are tried when `None`.
    pub image_field: Option<String>,
    /// Fields with texts, most telling first; usual names are tried when empty.
    pub text_fields: Vec<String>,
    /// Field with the item's name; usual names, then the picture's path, when `None`.
    pub id_field: Option<String>,
    /// Field with the group; usual names when `None`.
    pub group_field: Option<String>,
    /// Stop after so many items.
    pub limit: Option<usize>,
    /// Keep a random sample of so many items, in file order.
    pub sample: Option<usize>,
    /// Keep only items whose fields pass.
    pub filter: Option<Filter>,
    /// Chance for `sample`.
    pub seed: Seed,
}

/// A stream of items; rows that cannot be used go to the ledger.
pub struct Items {}

impl std::fmt::Debug for Items {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Items").finish_non_exhaustive()
    }
}

impl Iterator for Items {
    /// An error ends the stream: a file that vanished, a field that no row has.
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        unimplemented!()
    }
}

impl Items {
    /// What was used and left out so far.
    pub fn ledger(&self) -> &Ledger {
        unimplemented!()
    }

    /// The ledger, to be added to.
    pub fn into_ledger(self) -> Ledger {
        unimplemented!()
    }
}

/// A picture that is not here yet: `urls` lists these for a downloader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Where it can be fetched.
    pub url: String,
    /// The file name under which looksee will look for it.
    pub file: String,
}

impl Source {
    /// A source with defaults for everything but its paths.
    pub fn new(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Self { paths: paths.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Starts to read.
    pub fn open(&self) -> Result<Items> {
        unimplemented!()
    }

    /// Reads everything but the fields. An empty catalogue is an error that says what was seen.
    pub fn load(&self) -> Result<Catalogue> {
        unimplemented!()
    }

    /// The pictures that rows name by URL.
    pub fn remotes(&self) -> Result<Vec<Remote>> {
        unimplemented!()
    }
}

/// A whole catalogue in memory, without fields.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// Items in file order.
    pub items: Vec<Item>,
    /// What was left out.
    pub ledger: Ledger,
}

/// Item numbers of a [`Catalogue::split`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// To learn from.
    pub training: Vec<usize>,
    /// To measure on.
    pub validation: Vec<usize>,
}

impl Catalogue {
    /// Puts about `fraction` of the items aside for validation: a group goes whole to one side,
    /// and an item's side depends only on the seed and its group (or id), so that a catalogue
    /// that grows keeps its split.
    pub fn split(&self, fraction: f64, seed: Seed) -> Split {
        let _ = (fraction, seed);
        unimplemented!()
    }
}
