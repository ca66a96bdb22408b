//! Catalogues: what there is to learn from and to search in.
//!
//! A [`Source`] says which files and folders to read and how; [`Source::open`] streams their
//! [`Item`]s, [`Source::load`] holds them in memory, and [`Source::remotes`] lists the pictures that are
//! still to be fetched. Each format lives in a file of its own and hands
//! over what it found item by item; everything that all formats share (which field is which, the
//! filter, ids that occur twice, limits and samples) is done once, here and in `layout`.
//!
//! Rows are taken as they come and never collected, because catalogues have millions of them and one
//! bad row must not cost the others: it becomes a line of the [`Ledger`], with its place and what is
//! wrong with it. Only what no row can repair ends the stream: a file that breaks off, or a field
//! that no row has.
//!
//! Pictures are not opened here. Whether a picture's file is there and can be decoded is found out by
//! whoever decodes it, so that each file is touched once.
//!
//! ```
//! use looksee::catalogue::Source;
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("hats.csv");
//! # std::fs::write(&path, "image,title,price\nred.jpg,Red hat,7.5\n,Blue hat,8\n").unwrap();
//! let mut items = Source::new([&path]).open()?;
//! let hat = items.next().unwrap()?;
//! assert_eq!(hat.texts, ["Red hat"]);
//! assert_eq!(hat.fields["price"], 7.5);
//! assert!(items.next().is_none());
//! assert_eq!(items.ledger().summary(), "1 picture, 1 skipped (1 bad row)");
//! # Ok::<(), looksee::Error>(())
//! ```

mod amazon;
mod csv;
mod folder;
mod format;
mod json;
mod layout;
mod learnt;
mod ledger;
mod lines;
mod markup;
mod parts;
mod pictures;
mod python;
mod rows;
mod split;
mod table;
mod telling;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use format::Format;
pub use learnt::{Learnt, Overlap};
pub use ledger::{Ledger, Place, Reason, Skip};
pub use parts::Parts;
pub use split::{Catalogue, Split};
pub use telling::{Telling, as_typed};

use crate::error::{Error, ErrorKind, Fact, Result};
use crate::files::Blob;
use crate::filter::{Fields, Filter};
use crate::units::{ItemId, Seed};

/// The endings of picture files.
const PICTURE_ENDINGS: [&str; 8] = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"];

/// One picture of a catalogue with the texts that belong to it.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name, unique within the catalogue.
    pub id: ItemId,
    /// Where its picture is, ready to be opened.
    pub image: Blob,
    /// Its texts, most telling first; may be empty.
    pub texts: Vec<String>,
    /// All other fields.
    pub fields: Fields,
    /// Items of one group show the same thing: never negatives of each other, never split.
    pub group: Option<Arc<str>>,
    /// Where it was read.
    pub place: Place,
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
    /// Keep in [`Item::fields`] also what an item's other parts were made of, as a row that gives the
    /// same item wherever it is written.
    pub whole_rows: bool,
}

/// A picture that is not here yet: `urls` lists these for a downloader.
///
/// Both are visible ASCII without blanks, whatever the catalogue holds: neither can end its line or
/// its column, be taken for an option, or lead out of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Where it can be fetched; what a URL may not hold is percent-encoded.
    pub url: String,
    /// The file name under which looksee will look for it.
    pub file: String,
}

/// What [`Source::remotes`] found.
#[derive(Clone, Debug, Default)]
pub struct Remotes {
    /// The pictures to fetch, each file once.
    pub pictures: Vec<Remote>,
    /// Rows whose picture has an address that no downloader should be given.
    pub refused: Vec<Skip>,
}

/// What a format's reader came upon.
enum Found {
    Item(Item),
    Skip(Skip),
    /// A row whose picture is still to be fetched.
    Absent(Skip, Remote),
    /// A row whose picture has an address that is not passed on.
    Refused(Skip),
    /// A row that the filter leaves out.
    Filtered,
}

/// The things found in one path, in order.
type Reader = Box<dyn Iterator<Item = Result<Found>> + Send>;

impl Source {
    /// A source with defaults for everything but its paths.
    pub fn new(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Self { paths: paths.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Starts to read.
    ///
    /// All paths are looked at first, so that a file without a usable field, the last one too, is an
    /// error before any work is done.
    pub fn open(&self) -> Result<Items> {
        if let Some(folder) = &self.images
            && !folder.is_dir()
        {
            let message = "no such folder; it was named as the place of the pictures";
            return Err(Error::new(ErrorKind::NotFound, message).at_file(folder));
        }
        Ok(Items {
            stream: Stream::open(self)?,
            sample: self.sample,
            sampled: None,
            seed: self.seed,
        })
    }

    /// Reads everything. An empty catalogue is an error that says what was seen.
    pub fn load(&self) -> Result<Catalogue> {
        let mut items = self.open()?;
        let mut kept = Vec::new();
        for item in &mut items {
            kept.push(item?);
        }
        if kept.is_empty() {
            return Err(items.nothing_found());
        }
        Ok(Catalogue { items: kept, ledger: items.into_ledger() })
    }

    /// The folder that pictures are looked up in, absolute: the one named for them, else the
    /// catalogue's own. Of several, the deepest that all lie in; `None` where that is the whole disk.
    ///
    /// What an index keeps of pictures below it is relative to it, so that both can be moved together.
    pub fn root(&self) -> Result<Option<PathBuf>> {
        let folders = self.paths.iter().map(|path| self.folder_of(path));
        let folders: Vec<PathBuf> = folders.collect::<Result<_>>()?;
        let Some((first, others)) = folders.split_first() else { return Ok(None) };
        let holds_all = |root: &&Path| others.iter().all(|folder| folder.starts_with(root));
        let root = first.ancestors().find(holds_all);
        // What only the root of the disk holds has nothing in common.
        let root = root.filter(|root| others.is_empty() || root.parent().is_some());
        Ok(root.map(Path::to_path_buf))
    }

    /// Where the pictures of one path are looked up.
    fn folder_of(&self, path: &Path) -> Result<PathBuf> {
        let folder = match &self.images {
            _ if path.is_dir() => path,
            Some(images) => images,
            None => path.parent().unwrap_or(Path::new("")),
        };
        // An empty path, which is the working directory, is no path to the system.
        std::path::absolute(Path::new(".").join(folder))
            .map(|folder| folder.components().collect())
            .map_err(|e| Error::io("cannot look up the folder of the pictures", e).at_file(folder))
    }

    /// The pictures that rows name by URL and whose files are not there, each file once.
    ///
    /// The folder of pictures need not exist yet. The filter is heeded, and so is the limit, which
    /// counts rows with and without their pictures; a sample is not, because it is drawn from the
    /// pictures that are there.
    pub fn remotes(&self) -> Result<Remotes> {
        let mut remotes = Remotes::default();
        let mut known = HashSet::new();
        let mut stream = Stream::open(self)?;
        let mut rows = 0;
        while self.limit.is_none_or(|limit| rows < limit)
            && let Some(found) = stream.next_found()?
        {
            rows += usize::from(matches!(found, Found::Item(_) | Found::Absent(..)));
            match found {
                Found::Absent(_, remote) if known.insert(remote.file.clone()) => {
                    remotes.pictures.push(remote);
                }
                Found::Refused(skip) => remotes.refused.push(skip),
                _ => {}
            }
        }
        Ok(remotes)
    }

    /// The reader for one path.
    fn reader(source: &Arc<Self>, path: &Path) -> Result<Reader> {
        let format = match source.format {
            Some(format) => format.of(path)?,
            None => Format::detect(path)?,
        };
        match format {
            Format::Folder => Ok(Box::new(folder::Folder::open(path, source)?)),
            format => Ok(Box::new(table::Table::open(path, format, source)?)),
        }
    }
}

/// Items and the rest, path by path.
struct Stream {
    source: Arc<Source>,
    /// Number of the next path.
    next: usize,
    reader: Option<Reader>,
    ledger: Ledger,
    filtered: usize,
    /// Checksums of the ids that were used.
    ids: HashSet<u128>,
    groups: HashSet<Arc<str>>,
}

impl Stream {
    fn open(source: &Source) -> Result<Self> {
        let source = Arc::new(source.clone());
        let Some((first, others)) = source.paths.split_first() else {
            return Err(Error::invalid("no catalogue was named: expected a folder or a file"));
        };
        let reader = Source::reader(&source, first)?;
        // Opened once to see what is wrong with them; a pipe can be read only once.
        for path in others.iter().filter(|path| !path.exists() || path.is_file()) {
            drop(Source::reader(&source, path)?);
        }
        Ok(Self {
            source,
            next: 1,
            reader: Some(reader),
            ledger: Ledger::default(),
            filtered: 0,
            ids: HashSet::new(),
            groups: HashSet::new(),
        })
    }

    fn next_found(&mut self) -> Result<Option<Found>> {
        loop {
            if let Some(found) = self.reader.as_mut().and_then(Iterator::next) {
                return found.map(Some);
            }
            let Some(path) = self.source.paths.get(self.next) else { return Ok(None) };
            self.reader = Some(Source::reader(&self.source, path)?);
            self.next += 1;
        }
    }

    /// The next item that can be used.
    fn next_item(&mut self) -> Result<Option<Item>> {
        if self.source.limit.is_some_and(|limit| self.ledger.used >= limit) {
            return Ok(None);
        }
        while let Some(found) = self.next_found()? {
            match found {
                Found::Item(item) => match self.admitted(item) {
                    Ok(item) => return Ok(Some(item)),
                    Err(skip) => self.ledger.skip(skip),
                },
                Found::Skip(skip) | Found::Refused(skip) => self.ledger.skip(skip),
                Found::Absent(skip, _) => {
                    self.ledger.not_fetched += 1;
                    self.ledger.skip(skip);
                }
                Found::Filtered => self.filtered += 1,
            }
        }
        Ok(None)
    }

    /// An item whose id is new, its group shared with the others that have it.
    fn admitted(&mut self, mut item: Item) -> Result<Item, Skip> {
        if !self.ids.insert(xxhash_rust::xxh3::xxh3_128(item.id.as_str().as_bytes())) {
            return Err(Skip {
                message: format!("the id {} was used by an earlier item", item.id),
                reason: Reason::DuplicateId,
                id: Some(item.id),
                place: item.place,
            });
        }
        if let Some(group) = &mut item.group {
            match self.groups.get(group) {
                Some(known) => *group = Arc::clone(known),
                None => drop(self.groups.insert(Arc::clone(group))),
            }
        }
        self.ledger.used += 1;
        Ok(item)
    }
}

/// A stream of items; rows that cannot be used go to the ledger.
pub struct Items {
    stream: Stream,
    sample: Option<usize>,
    /// What is left of the sample, once it is drawn.
    sampled: Option<std::vec::IntoIter<Item>>,
    seed: Seed,
}

impl std::fmt::Debug for Items {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Items").field("ledger", &self.stream.ledger).finish_non_exhaustive()
    }
}

impl Iterator for Items {
    /// An error ends the stream: a file that vanished, a field that no row has.
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = match self.sample {
            None => self.stream.next_item(),
            Some(count) => self.next_sampled(count),
        };
        if found.is_err() {
            self.end();
        }
        found.transpose()
    }
}

impl Items {
    /// What was used and left out so far.
    pub fn ledger(&self) -> &Ledger {
        &self.stream.ledger
    }

    /// The ledger, to be added to.
    pub fn into_ledger(self) -> Ledger {
        self.stream.ledger
    }

    /// Makes sure that nothing follows.
    fn end(&mut self) {
        self.stream.reader = None;
        self.stream.next = self.stream.source.paths.len();
        self.sampled = Some(Vec::new().into_iter());
    }

    fn next_sampled(&mut self, count: usize) -> Result<Option<Item>> {
        if self.sampled.is_none() {
            let sample = self.draw(count)?;
            self.stream.ledger.used = sample.len();
            self.sampled = Some(sample.into_iter());
        }
        Ok(self.sampled.as_mut().and_then(Iterator::next))
    }

    /// A sample of `count` items in file order (a reservoir: the n-th item replaces one of those
    /// kept with chance count/n).
    fn draw(&mut self, count: usize) -> Result<Vec<Item>> {
        let mut rng = self.seed.stream("catalogue sample", 0);
        let mut kept: Vec<(usize, Item)> = Vec::new();
        let mut number = 0;
        while let Some(item) = self.stream.next_item()? {
            let slot = if number < count { number } else { rng.usize(0..=number) };
            match kept.get_mut(slot) {
                Some(place) => *place = (number, item),
                None if number < count => kept.push((number, item)),
                None => {}
            }
            number += 1;
        }
        kept.sort_unstable_by_key(|(number, _)| *number);
        Ok(kept.into_iter().map(|(_, item)| item).collect())
    }

    /// The error for a catalogue without one usable item.
    fn nothing_found(&self) -> Error {
        let ledger = self.ledger();
        let mut message = format!("no picture can be used: {}", ledger.summary());
        if self.stream.filtered > 0 {
            let filtered = ledger::with_commas(self.stream.filtered);
            message = format!("{message}, {filtered} left out by the filter");
        }
        if let Some(first) = ledger.skipped.first() {
            message = format!("{message}; the first one: {}: {}", first.place, first.message);
        }
        let error = Error::invalid(message);
        if ledger.not_fetched > 0 { error.with_fact(Fact::NotFetched) } else { error }
    }
}
