//! A snapshot of an index, and the search in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use looksee_kernels::search::scan::{Scored, top_k, top_k_of};
use rayon::prelude::*;
use rusqlite::Connection;

use super::Space;
use super::bits::Bits;
use super::collection::{described, expect_known_fields, reads_title};
use super::record::{Record, Stored, json};
use super::segment::{self, Segment, SegmentKind};
use super::store::{self, Format, Location, Opened, Raw, damaged};
use super::watch::Watch;
use crate::error::{Error, ErrorKind, Fact, Result};
use crate::files::Stamp;
use crate::filter::{Fields, Filter};
use crate::units::ItemId;
use crate::vectors::Vectors;

/// How often a snapshot is taken anew because a compaction deleted its files in the meantime.
const OPEN_TRIES: usize = 5;
/// Below this share of a segment's rows, the rows that pass are visited one by one.
const FEW: usize = 8;
/// Answers of filters that are kept: paging and several queries ask with the same one.
const KEPT_FILTERS: usize = 8;
/// Records that are read before their fields are looked at on all cores.
const RECORDS_A_BLOCK: usize = 8192;
/// The owner of a row whose item was removed.
const NOBODY: u32 = u32::MAX;

/// A snapshot of an index for reading; unaffected by a writer at work.
///
/// Rows are numbered from 0 in the order of the items' names. A snapshot holds the log of its
/// database: a process that keeps one for long should open a new one when [`Index::is_current`]
/// says so.
pub struct Index {
    folder: PathBuf,
    space: Space,
    connection: Mutex<Connection>,
    format: Format,
    generation: i64,
    watch: Watch,
    /// Where relative places of pictures are looked up.
    root: Option<PathBuf>,
    /// Whether the root is one that the caller named, not the one that the index remembers.
    is_told_root: bool,
    items: Items,
    segments: Vec<Segment>,
    /// The segments with pictures, each with the item that owns each row.
    pictures: Vec<Owned>,
    field_names: OnceLock<Vec<String>>,
    passing: Mutex<Vec<(Filter, Arc<Bits>)>>,
}

/// The items of a snapshot, ascending by name; a row of the snapshot is a place in these lists.
#[derive(Debug, Default)]
struct Items {
    names: Names,
    keys: Vec<i64>,
    /// Checksums of the records.
    records: Vec<u64>,
    contents: Vec<u64>,
    /// `segment` is a place in [`Index::segments`].
    pictures: Vec<Location>,
    texts: Vec<Option<Location>>,
}

/// Many short strings in one piece.
#[derive(Debug, Default)]
struct Names {
    text: String,
    ends: Vec<usize>,
}

impl Names {
    fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends.push(self.text.len());
    }

    fn get(&self, number: usize) -> &str {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[number]]
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn last(&self) -> Option<&str> {
        self.len().checked_sub(1).map(|last| self.get(last))
    }

    /// The place of `name`; names must ascend.
    fn find(&self, name: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.get(middle).cmp(name) {
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

/// A segment and whose rows it holds.
#[derive(Debug)]
struct Owned {
    /// A place in [`Index::segments`].
    segment: usize,
    /// The row of the snapshot for each row of the segment, or [`NOBODY`]; ascending.
    owners: Vec<u32>,
    /// Rows with an owner; `None` when all have one.
    live: Option<Bits>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index")
            .field("folder", &self.folder)
            .field("space", &self.space)
            .field("items", &self.len())
            .field("segments", &self.segments.len())
            .finish_non_exhaustive()
    }
}

impl Index {
    /// Opens a snapshot.
    ///
    /// Fails when there is no index, when a newer looksee made it, when a row of its database is not
    /// the one that was written, and when a file is missing or has another length than the database
    /// says. Vectors and records are compared with their checksums when they are read; use
    /// [`Check::of`](super::Check::of) to look at all of them.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut tries = 1;
        loop {
            match Self::open_once(folder) {
                // A compaction ended between the look at the database and the look at the files.
                Err(error) if lost_segment(&error) && tries < OPEN_TRIES => tries += 1,
                Err(error) if lost_segment(&error) => {
                    return Err(Error::new(ErrorKind::Corrupt, "a file with vectors is gone")
                        .with_fact(Fact::DamagedItems)
                        .at_file(error.file().unwrap_or(folder)));
                }
                outcome => return outcome.map_err(|e| e.at_file(folder)),
            }
        }
    }

    fn open_once(folder: &Path) -> Result<Self> {
        let watch = Watch::of(folder);
        let Opened { connection, space, format, root } = store::for_reading(folder)?;
        let entries = store::segments(&connection)?;
        let places = (0..).zip(&entries).map(|(place, entry)| (entry.number, place)).collect();
        let open = |entry| Segment::open(folder, entry, space.dim);
        let segments = entries.into_iter().map(open).collect::<Result<Vec<_>>>()?;
        let items = read_items(&connection, format, &segments, &places)?;
        Ok(Self {
            folder: folder.to_path_buf(),
            generation: store::meta(&connection, "generation")?,
            watch,
            pictures: owned_rows(&segments, &items)?,
            space,
            connection: Mutex::new(connection),
            format,
            root,
            is_told_root: false,
            items,
            segments,
            field_names: OnceLock::new(),
            passing: Mutex::default(),
        })
    }

    /// The model that made it.
    pub(super) fn made_by(&self) -> &Space {
        &self.space
    }

    /// The folder of the index.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder below which the pictures lie: the catalogue's, as it was remembered or named with
    /// [`Index::at_root`]. None when all pictures have whole paths.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    pub(super) fn with_root(self, root: PathBuf) -> Self {
        Self { root: Some(root), is_told_root: true, ..self }
    }

    /// The root that the caller named, if it did.
    pub(super) fn told_root(&self) -> Option<&Path> {
        self.root().filter(|_| self.is_told_root)
    }

    /// The folder with the model that travels inside the index.
    pub fn model_folder(&self) -> PathBuf {
        self.folder.join("model")
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.items.names.len()
    }

    /// Whether it holds no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing was committed since this snapshot was taken, and no other index was put in
    /// its place. One small read, but for the first call.
    pub fn is_current(&self) -> Result<bool> {
        Ok(self.watch.generation()? == Some(self.generation))
    }

    /// The scores and rows of the `top` closest pictures of each query, closest first, ties by row.
    pub(super) fn nearest(
        &self,
        vectors: &Vectors,
        top: usize,
        filter: Option<&Filter>,
    ) -> Result<Vec<Vec<(f32, usize)>>> {
        let passing = filter.map(|filter| self.passing(filter)).transpose()?;
        let queries = segment::pad(vectors.rows(), self.space.dim);
        let mut found = vec![Vec::new(); vectors.len()];
        for owned in &self.pictures {
            let scored = self.scan(owned, passing.as_deref(), &queries, top)?;
            for (found, scored) in found.iter_mut().zip(scored) {
                found.extend(scored.iter().map(|s| (s.score, owned.owners[s.row] as usize)));
            }
        }
        Ok(found.into_iter().map(|found| best(found, top)).collect())
    }

    /// The names of all fields that items have, ascending.
    pub(super) fn known_fields(&self) -> Result<&[String]> {
        if let Some(names) = self.field_names.get() {
            return Ok(names);
        }
        let names = self.read_field_names()?;
        Ok(self.field_names.get_or_init(|| names))
    }

    fn read_field_names(&self) -> Result<Vec<String>> {
        let mut names = BTreeSet::new();
        self.each_record(
            |id, stored| {
                let fields: Fields = json(id, "fields", &stored.fields)?;
                Ok(fields.into_iter().map(|(name, _)| name).collect::<Vec<_>>())
            },
            |_, fields| names.extend(fields),
        )
        .map_err(|e| e.at_file(&self.folder))?;
        Ok(names.into_iter().collect())
    }

    /// The row of the item with this name.
    pub(super) fn row_of(&self, id: &ItemId) -> Option<usize> {
        self.items.names.find(id.as_str())
    }

    /// The name of the item in `row`.
    pub(super) fn id(&self, row: usize) -> ItemId {
        self.items.names.get(row).into()
    }

    /// XXH3-64 of the picture file of `row` as it was embedded: the same for copies of a file.
    pub(super) fn content(&self, row: usize) -> u64 {
        self.items.contents[row]
    }

    /// Everything about the item in `row`.
    pub(super) fn record(&self, row: usize) -> Result<Record> {
        self.stored(row)?.into_record(self.root()).map_err(|e| e.at_file(&self.folder))
    }

    pub(super) fn stored(&self, row: usize) -> Result<Stored> {
        store::record(&self.connection(), self.format, &self.id(row))
            .map_err(|e| e.at_file(&self.folder))
    }

    /// The picture vector of `row`, `[dim]`; fails when it is damaged.
    pub(super) fn picture(&self, row: usize) -> Result<&[f32]> {
        let place = self.items.pictures[row];
        self.segments[place.segment as usize].row(place.row as usize)
    }

    /// The text vector of `row`, `[dim]`, if the item has texts; fails when it is damaged.
    pub(super) fn text(&self, row: usize) -> Result<Option<&[f32]>> {
        let Some(place) = self.items.texts[row] else { return Ok(None) };
        self.segments[place.segment as usize].row(place.row as usize).map(Some)
    }

    /// Compares all vectors with their checksums; fails when one is damaged.
    pub(super) fn compare_vectors(&self) -> Result<()> {
        self.segments.iter().try_for_each(|segment| segment.rows().map(drop))
    }

    /// The picture vector of `row`, `[dim]`, for those who called [`Index::compare_vectors`].
    pub(super) fn compared_picture(&self, row: usize) -> &[f32] {
        self.compared_vector(self.items.pictures[row])
    }

    /// The text vector of `row`, `[dim]`, if the item has texts; likewise.
    pub(super) fn compared_text(&self, row: usize) -> Option<&[f32]> {
        self.items.texts[row].map(|place| self.compared_vector(place))
    }

    fn compared_vector(&self, place: Location) -> &[f32] {
        self.segments[place.segment as usize].uncompared_row(place.row as usize)
    }

    /// Bytes on disk, and rows that removed items still take up.
    pub fn size(&self) -> Result<(u64, usize)> {
        let bytes = folder_bytes(&self.folder)?;
        let rows: usize = self.segments.iter().map(|segment| segment.entry().rows).sum();
        let used = self.len() + self.items.texts.iter().flatten().count();
        Ok((bytes, rows - used))
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub(super) fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic while reading leaves a connection that reads as before.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The closest rows of one segment among those that live and pass.
    fn scan(
        &self,
        owned: &Owned,
        passing: Option<&Bits>,
        queries: &[f32],
        top: usize,
    ) -> Result<Vec<Vec<Scored>>> {
        let (segment, dim) = (&self.segments[owned.segment], segment::padded(self.space.dim));
        let Some(passing) = passing else {
            let live = owned.live.as_ref().map(Bits::words);
            return Ok(top_k(segment.rows()?, dim, live, queries, top));
        };
        let passes = |&owner: &u32| owner != NOBODY && passing.contains(owner as usize);
        let rows_that_pass: Vec<u32> = (0..)
            .zip(&owned.owners)
            .filter(|(_, owner)| passes(owner))
            .map(|(row, _)| row)
            .collect();
        let rows = segment.rows_for(&rows_that_pass)?;
        if rows_that_pass.len() < owned.owners.len() / FEW {
            return Ok(top_k_of(rows, dim, &rows_that_pass, queries, top));
        }
        let mut bits = Bits::with_room(owned.owners.len());
        for row in rows_that_pass {
            bits.insert(row as usize);
        }
        Ok(top_k(rows, dim, Some(bits.words()), queries, top))
    }

    /// The rows of the snapshot that pass `filter`.
    pub(super) fn passing(&self, filter: &Filter) -> Result<Arc<Bits>> {
        let kept = || self.passing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bits)) = kept().iter().find(|(known, _)| known == filter) {
            return Ok(bits.clone());
        }
        let bits = self.look_at_fields(filter).map_err(|e| e.at_file(&self.folder))?;
        let bits = Arc::new(bits);
        let mut kept = kept();
        kept.truncate(KEPT_FILTERS - 1);
        kept.insert(0, (filter.clone(), bits.clone()));
        Ok(bits)
    }

    fn look_at_fields(&self, filter: &Filter) -> Result<Bits> {
        expect_known_fields(filter, self.known_fields()?)?;
        let wants_title = reads_title(filter);
        let mut bits = Bits::with_room(self.len());
        self.each_record(
            |_, stored| Ok(filter.matches(&seen_of(stored, wants_title)?)),
            |row, passes| {
                if passes {
                    bits.insert(row);
                }
            },
        )?;
        Ok(bits)
    }

    /// Reads all records, compares them with their checksums and looks at each: `look` on all
    /// cores, `take` with the row and what was seen, one after the other.
    fn each_record<T: Send>(
        &self,
        look: impl Fn(&ItemId, &Stored) -> Result<T> + Sync,
        mut take: impl FnMut(usize, T),
    ) -> Result<()> {
        let mut by_key: Vec<u32> = (0..self.len() as u32).collect();
        by_key.par_sort_unstable_by_key(|&row| self.items.keys[row as usize]);
        let row_of = |key: i64| {
            let place = by_key.binary_search_by_key(&key, |&row| self.items.keys[row as usize]);
            place.ok().map(|place| by_key[place] as usize)
        };
        let look = |(row, raw): (usize, Option<Raw>)| {
            let stored = self.compared(row, raw)?;
            Ok((row, look(&stored.id, &stored)?))
        };
        let (mut block, mut count) = (Vec::with_capacity(RECORDS_A_BLOCK), 0);
        let mut look_at_block = |block: &mut Vec<(usize, Option<Raw>)>| -> Result<()> {
            let seen: Vec<(usize, T)> =
                std::mem::take(block).into_par_iter().map(look).collect::<Result<_>>()?;
            count += seen.len();
            for (row, seen) in seen {
                take(row, seen);
            }
            Ok(())
        };
        store::each_record(&self.connection(), |key, raw| {
            block.extend(row_of(key).map(|row| (row, raw)));
            if block.len() == RECORDS_A_BLOCK { look_at_block(&mut block) } else { Ok(()) }
        })?;
        look_at_block(&mut block)?;
        if count == self.len() {
            return Ok(());
        }
        let message = format!("there are {} items but {count} records of them", self.len());
        Err(Error::new(ErrorKind::Corrupt, message).with_fact(Fact::DamagedItems))
    }

    /// The record of `row` if it is the one that was written.
    fn compared(&self, row: usize, raw: Option<Raw>) -> Result<Stored> {
        let stamp = Stamp { size: 0, modified_ns: 0, content: self.items.contents[row] };
        raw.map(|raw| raw.into_stored(self.id(row), stamp))
            .filter(|stored| stored.checksum() == self.items.records[row])
            .ok_or_else(|| {
                let what = "its record is not the one that was written";
                damaged(self.items.names.get(row), what)
            })
    }
}

/// The best of what the segments gave. Rows of the snapshot ascend by name, and so do those of each
/// segment: a tie broken by row, here or in the scan, is one broken by name.
fn best(mut found: Vec<(f32, usize)>, top: usize) -> Vec<(f32, usize)> {
    found.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    found.truncate(top);
    for (score, _) in &mut found {
        *score = score.clamp(-1.0, 1.0);
    }
    found
}

/// What a filter sees of an item. The texts are read only where the title is wanted.
fn seen_of(stored: &Stored, wants_title: bool) -> Result<Fields> {
    let fields: Fields = json(&stored.id, "fields", &stored.fields)?;
    let texts: Vec<String> =
        if wants_title { json(&stored.id, "texts", &stored.texts)? } else { Vec::new() };
    let title = texts.first().map(String::as_str);
    Ok(described(fields, &stored.id, stored.group.as_deref(), title))
}

fn lost_segment(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound
        && error.file().is_some_and(|file| file.extension().is_some_and(|end| end == "vectors"))
}

/// Reads the small table; every place must be one that a segment of its kind has.
fn read_items(
    connection: &Connection,
    format: Format,
    segments: &[Segment],
    places: &BTreeMap<u32, usize>,
) -> Result<Items> {
    let place_of = |id: &str, at: Location, kind: SegmentKind| -> Result<Location> {
        let Some(&place) = places.get(&at.segment) else {
            return Err(damaged(
                id,
                &format!("its vector is in segment {}, which is not there", at.segment),
            ));
        };
        let entry = segments[place].entry();
        if entry.kind != kind || at.row as usize >= entry.rows {
            return Err(damaged(
                id,
                &format!("segment {} has no row {} for it", at.segment, at.row),
            ));
        }
        Ok(Location { segment: place as u32, row: at.row })
    };
    let mut items = Items::default();
    store::each_item(connection, format, |id, item| {
        if items.names.last().is_some_and(|last| last >= id) {
            return Err(store::beyond_use("the items in the database are out of order").at_item(id));
        }
        items.names.push(id);
        items.keys.push(item.key);
        items.records.push(item.known.record);
        items.contents.push(item.known.stamp.content);
        items.pictures.push(place_of(id, item.picture, SegmentKind::Pictures)?);
        items.texts.push(item.text.map(|text| place_of(id, text, SegmentKind::Texts)).transpose()?);
        Ok(())
    })?;
    Ok(items)
}

/// Whose rows the segments with pictures hold.
fn owned_rows(segments: &[Segment], items: &Items) -> Result<Vec<Owned>> {
    let mut owners: Vec<Vec<u32>> =
        segments.iter().map(|segment| vec![NOBODY; segment.entry().rows]).collect();
    let mut last: Vec<Option<u32>> = vec![None; segments.len()];
    for (row, place) in items.pictures.iter().enumerate() {
        let segment = place.segment as usize;
        // Also refuses a row that two items share.
        if last[segment].is_some_and(|last| last >= place.row) {
            return Err(damaged(items.names.get(row), "its vector is out of order"));
        }
        last[segment] = Some(place.row);
        owners[segment][place.row as usize] = row as u32;
    }
    let pictures = |place: &usize| segments[*place].entry().kind == SegmentKind::Pictures;
    Ok((0..segments.len())
        .filter(pictures)
        .map(|place| owned(place, std::mem::take(&mut owners[place])))
        .collect())
}

fn owned(segment: usize, owners: Vec<u32>) -> Owned {
    let mut live = Bits::with_room(owners.len());
    for (row, _) in owners.iter().enumerate().filter(|(_, owner)| **owner != NOBODY) {
        live.insert(row);
    }
    let live = (live.len() < owners.len()).then_some(live);
    Owned { segment, owners, live }
}

fn folder_bytes(folder: &Path) -> Result<u64> {
    let unreadable = |e| Error::io("cannot list the folder", e).at_file(folder);
    let mut bytes = 0;
    for entry in fs_err::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        // A file that a writer deletes at this moment counts for nothing.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { folder_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
