//! The one process that changes an index.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::Space;
use super::bits::Keys;
use super::check;
use super::collection::Rows;
use super::companion::Companion;
use super::examine::{self, Part};
use super::folder;
use super::reader::Index;
use super::record::{Known, Record, Stored};
use super::segment::{self, Segment, SegmentKind};
use super::sink::Sink;
use super::store::{self, Change, Format, Item, Location, Opened, failed};
use crate::error::{Error, ErrorKind, Fact, Result};
use crate::files::{self, Blob, FileKind, FolderLock};
use crate::units::ItemId;
use crate::vectors::Vectors;

/// Items held in memory before their vectors are written to a segment.
const PENDING_ITEMS: usize = 16_384;

/// The one process that changes an index. Nothing is visible to readers before [`Sink::commit`].
///
/// After an error nothing since the last commit is kept: drop the writer and begin again.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    space: Space,
    connection: Connection,
    /// What was added since the last segment was written, by name: the order of a segment's rows.
    pending: BTreeMap<ItemId, Pending>,
    /// Keys of the records that this writer kept, renewed or added.
    seen: Keys,
    damage: Damage,
    /// What new places of pictures are relative to.
    root: Option<PathBuf>,
    /// What those in the database are relative to.
    written_root: Option<PathBuf>,
    /// What was not there before, when this writer made the index.
    new: Option<folder::New>,
    _lock: FolderLock,
}

/// What [`Sink::look_for_damage`] found, as far as it is not mended.
#[derive(Debug, Default)]
struct Damage {
    /// Items that must be embedded again.
    lost: BTreeSet<ItemId>,
    /// Segments that are damaged; those of which some rows are sound.
    segments: BTreeMap<u32, Option<Segment>>,
    /// Whether there is a record that no item names.
    orphans: bool,
}

/// An item whose vectors are not in a segment yet.
#[derive(Debug)]
struct Pending {
    stored: Stored,
    picture: Change<Vec<f32>>,
    text: Change<Option<Vec<f32>>>,
}

impl Writer {
    /// Opens or makes the index folder, with the model that travels in it.
    ///
    /// Fails when another writer is at work, when the folder holds something else, when a link
    /// stands where looksee writes, and, as [`ErrorKind::Mismatch`], when the index was made by
    /// another model. Nothing is taken away then but what a killed run left.
    pub fn open(folder: &Path, space: &Space, companion: &dyn Companion) -> Result<Self> {
        let (lock, new) = folder::New::make(folder, || {
            folder::expect_ours(folder)?;
            has_database(folder)?;
            FolderLock::take(folder)
        })?;
        let opened = prepare(folder, space, companion).and_then(|()| open_database(folder));
        // A folder that is refused stays as it was.
        let opened = opened.inspect_err(|_| new.take_away(folder, companion))?;
        Ok(Self { new: Some(new), ..Self::of(folder, opened, lock)? })
    }

    /// Takes the index away again if this writer made it and nothing was ever committed to it, so
    /// that a run that fails leaves no folder that looks like an index.
    ///
    /// Only what was not there before goes, and of that only what is looksee's own.
    pub fn discard_if_empty(self, companion: &dyn Companion) {
        let generation = store::meta(&self.connection, "generation").unwrap_or(i64::MAX);
        let Self { folder, connection, new, _lock, .. } = self;
        drop(connection);
        if let Some(new) = new.filter(|_| generation == 0) {
            new.take_away(&folder, companion);
        }
    }

    /// Opens an index that is there, whichever model made it.
    pub fn open_existing(folder: &Path) -> Result<Self> {
        folder::expect_ours(folder)?;
        // Before a lock is left in a folder that is none of ours.
        drop(store::for_reading(folder)?);
        let lock = FolderLock::take(folder)?;
        files::make_own_folder(&segment::folder(folder))?;
        Self::of(folder, open_database(folder)?, lock)
    }

    fn of(folder: &Path, opened: Opened, lock: FolderLock) -> Result<Self> {
        let writer = Self {
            folder: folder.to_path_buf(),
            space: opened.space,
            connection: opened.connection,
            pending: BTreeMap::new(),
            seen: Keys::default(),
            damage: Damage::default(),
            root: opened.root.clone(),
            written_root: opened.root,
            new: None,
            _lock: lock,
        };
        writer.delete_left_overs()?;
        Ok(writer)
    }

    fn find_damage(&mut self) -> Result<()> {
        let problems = store::structure_problems(&self.connection)?;
        if let Some(first) = problems.first() {
            return Err(store::beyond_use(&format!("the index's database is damaged ({first})")));
        }
        let parts = check::open_all(&self.folder, &self.connection, self.space.dim)?;
        let findings = examine::examine(&self.connection, Format::NEWEST, &parts)?;
        let damaged = |part: &Part<Segment>| findings.segments.contains_key(&part.entry.number);
        let segments = parts.into_iter().filter(damaged);
        self.damage = Damage {
            segments: segments.map(|part| (part.entry.number, part.segment.ok())).collect(),
            orphans: !findings.others.is_empty(),
            lost: findings.lost.into_keys().collect(),
        };
        Ok(())
    }

    /// Rewrites segments so that no removed row takes up space. Commits first. Readers that are
    /// open keep the old files until they close.
    ///
    /// Fails as [`ErrorKind::Corrupt`], and nothing is changed, when a vector or a row of the
    /// database is not the one that was written.
    pub fn compact(&mut self) -> Result<()> {
        self.commit()?;
        if self.wastes_space()? {
            self.whole(Self::rewrite)?;
            self.finish()?;
        }
        self.shrink_database();
        Ok(())
    }

    /// Takes over everything of another index of the same model (`looksee merge`); the number of
    /// items. Where both have an item, the other's wins.
    ///
    /// Fails as [`ErrorKind::Corrupt`], and nothing is taken over, when a vector or a record of the
    /// other is not the one that was written.
    pub fn merge(&mut self, other: &Index) -> Result<usize> {
        if *other.made_by() != self.space {
            return Err(mismatch(&self.folder, &self.space, other.made_by()));
        }
        let vectors = other.all_vectors()?;
        if self.root.is_none() {
            self.root = other.root().map(Path::to_path_buf);
        }
        self.whole(|writer| {
            for row in 0..other.len() {
                let stored = other.stored(row)?.with_root(other.root(), writer.root())?;
                let picture = Change::Set(vectors.picture(row).to_vec());
                let text = Change::Set(vectors.text(row).map(<[f32]>::to_vec));
                writer.put(Pending { stored, picture, text })?;
            }
            Ok(other.len())
        })
    }

    /// Gives back what the database does not need. A reader that is open may keep this from
    /// happening: then it happens the next time, and nobody waits for it.
    fn shrink_database(&self) {
        let patience = |time| self.connection.busy_timeout(time);
        if patience(std::time::Duration::ZERO).is_ok() {
            let _ = self.connection.execute_batch("VACUUM");
            let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
        let _ = patience(store::PATIENCE);
    }

    fn item(&self, id: &ItemId) -> Result<Option<Item>> {
        store::item(&self.connection, Format::NEWEST, id).map_err(|e| self.here(e))
    }

    fn here(&self, error: Error) -> Error {
        error.at_file(&self.folder)
    }

    /// A copy of a vector that fits this index.
    fn unit(&self, id: &ItemId, vector: &[f32]) -> Result<Vec<f32>> {
        if vector.len() == self.space.dim {
            return Ok(vector.to_vec());
        }
        let message =
            format!("its vector has {} values, the index takes {}", vector.len(), self.space.dim);
        Err(self.here(Error::new(ErrorKind::Mismatch, message).at_item(id.as_str())))
    }

    fn put(&mut self, mut new: Pending) -> Result<()> {
        // An item that is renewed before its vectors were written keeps those that wait.
        if let Some(old) = self.pending.remove(&new.stored.id) {
            if new.picture == Change::Keep {
                new.picture = old.picture;
            }
            if new.text == Change::Keep {
                new.text = old.text;
            }
        }
        self.pending.insert(new.stored.id.clone(), new);
        if self.pending.len() >= PENDING_ITEMS { self.whole(Self::flush) } else { Ok(()) }
    }

    /// Does `work` on the open transaction; when it fails, takes back everything since the last
    /// commit, files included.
    fn whole<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        work(self).map_err(|error| {
            self.pending.clear();
            if !self.connection.is_autocommit() {
                let _ = self.connection.execute_batch("ROLLBACK");
            }
            let _ = self.delete_left_overs();
            self.here(error)
        })
    }

    fn begin(&self) -> Result<()> {
        if self.connection.is_autocommit() {
            self.connection.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
        }
        Ok(())
    }

    /// Writes down a root that has changed, in the open transaction. Items that this writer has not
    /// seen stay where they are: below the old root, under their whole paths from now on.
    fn settle_root(&mut self) -> Result<()> {
        if self.root == self.written_root {
            return Ok(());
        }
        if self.written_root.is_some() {
            for id in self.unseen()? {
                let stored = store::record(&self.connection, Format::NEWEST, &id)?;
                if Blob::is_below_root(&stored.image) {
                    let stored = stored.with_root(self.written_root.as_deref(), None)?;
                    store::put(&self.connection, &stored, Change::Keep, Change::Keep)?;
                }
            }
        }
        store::set_root(&self.connection, self.root())?;
        self.written_root.clone_from(&self.root);
        Ok(())
    }

    /// The items that were neither kept, renewed nor added by this writer, without lost ones.
    fn unseen(&self) -> Result<Vec<ItemId>> {
        let mut unseen = Vec::new();
        store::each_row(&self.connection, Format::NEWEST, |id, item| {
            let id = ItemId::from(id);
            let is_seen = item.is_some_and(|item| self.seen.contains(item.key));
            if !is_seen && !self.is_lost(&id) {
                unseen.push(id);
            }
            Ok(())
        })?;
        Ok(unseen)
    }

    /// Writes what is pending into segments and names them in the open transaction.
    fn flush(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.begin()?;
        let pending = std::mem::take(&mut self.pending);
        let pictures = pending.values().filter_map(|item| match &item.picture {
            Change::Set(picture) => Some(picture.as_slice()),
            Change::Keep => None,
        });
        let texts = pending.values().filter_map(|item| match &item.text {
            Change::Set(Some(text)) => Some(text.as_slice()),
            _ => None,
        });
        let mut picture_places = self.write_rows(SegmentKind::Pictures, pictures)?.into_iter();
        let mut text_places = self.write_rows(SegmentKind::Texts, texts)?.into_iter();
        for item in pending.values() {
            let picture = match &item.picture {
                Change::Set(_) => picture_places.next().map_or(Change::Keep, Change::Set),
                Change::Keep => Change::Keep,
            };
            let text = match &item.text {
                Change::Set(Some(_)) => Change::Set(text_places.next()),
                Change::Set(None) => Change::Set(None),
                Change::Keep => Change::Keep,
            };
            if self.damage.lost.remove(&item.stored.id) {
                store::forget(&self.connection, item.stored.id.as_str())?;
                self.damage.orphans = true;
            }
            let key = store::put(&self.connection, &item.stored, picture, text)?;
            self.seen.insert(key);
        }
        Ok(())
    }

    /// Writes rows `[n, dim]` as new segments and says where each went.
    fn write_rows<'a>(
        &self,
        kind: SegmentKind,
        mut rows: impl Iterator<Item = &'a [f32]> + Clone,
    ) -> Result<Vec<Location>> {
        let mut places = Vec::new();
        while rows.clone().next().is_some() {
            let number = store::next_segment(&self.connection)?;
            folder::expect_room_for_segment(&self.folder, number)?;
            let entry = segment::write(
                &self.folder,
                number,
                kind,
                self.space.dim,
                rows.clone().take(segment::MOST_ROWS),
            )?;
            store::insert_segment(&self.connection, &entry)?;
            places.extend((0..entry.rows as u32).map(|row| Location { segment: number, row }));
            rows.by_ref().take(segment::MOST_ROWS).for_each(drop);
        }
        Ok(places)
    }

    fn delete(&mut self, ids: &[ItemId]) -> Result<usize> {
        let mut removed = 0;
        for id in ids.iter().filter(|id| !self.damage.lost.contains(id)) {
            self.begin()?;
            removed += usize::from(store::delete(&self.connection, id)?);
        }
        Ok(removed)
    }

    /// Whether a compaction would leave fewer rows or fewer segments.
    fn wastes_space(&self) -> Result<bool> {
        let entries = store::segments(&self.connection)?;
        let (mut pictures, mut texts) = (0, 0);
        store::each_item(&self.connection, Format::NEWEST, |_, item| {
            pictures += 1;
            texts += usize::from(item.text.is_some());
            Ok(())
        })?;
        let rows: usize = entries.iter().map(|entry| entry.rows).sum();
        let needed =
            usize::div_ceil(pictures, segment::MOST_ROWS) + texts.div_ceil(segment::MOST_ROWS);
        Ok(rows > pictures + texts || entries.len() > needed)
    }

    /// Copies all living rows into new segments, in the open transaction, once every row was
    /// compared with its checksum.
    fn rewrite(&mut self) -> Result<()> {
        let entries = store::segments(&self.connection)?;
        let open = |entry: &segment::SegmentEntry| {
            let segment = Segment::open(&self.folder, *entry, self.space.dim)?;
            segment.rows()?;
            Ok((entry.number, Some(segment)))
        };
        let segments = entries.iter().map(open).collect::<Result<_>>()?;
        self.move_rows(&segments)
    }

    /// Copies the living rows of these segments, which must be sound, into new ones and takes the
    /// names of the old ones away, in the open transaction.
    fn move_rows(&mut self, segments: &BTreeMap<u32, Option<Segment>>) -> Result<()> {
        self.begin()?;
        let mut items = Vec::new();
        store::each_item(&self.connection, Format::NEWEST, |id, item| {
            let moves = [Some(item.picture), item.text].into_iter().flatten();
            if moves.into_iter().any(|place| segments.contains_key(&place.segment)) {
                items.push((id.to_owned(), item));
            }
            Ok(())
        })?;
        let pictures = rows_in(segments, items.iter().map(|(id, item)| (id, Some(item.picture))))?;
        let texts = rows_in(segments, items.iter().map(|(id, item)| (id, item.text)))?;
        let pictures = self.write_rows(SegmentKind::Pictures, pictures.into_iter().flatten())?;
        let texts = self.write_rows(SegmentKind::Texts, texts.into_iter().flatten())?;
        let (mut pictures, mut texts) = (pictures.into_iter(), texts.into_iter());
        for (id, item) in &items {
            let moved = |place: Location, new: &mut dyn Iterator<Item = Location>| {
                let moves = segments.contains_key(&place.segment);
                if moves { new.next().unwrap_or(place) } else { place }
            };
            let picture = moved(item.picture, &mut pictures);
            let text = item.text.map(|text| moved(text, &mut texts));
            store::move_item(&self.connection, id, item, picture, text)?;
        }
        segments.keys().try_for_each(|&number| store::delete_segment(&self.connection, number))
    }

    /// Deletes the segments that the committed state does not name.
    fn delete_left_overs(&self) -> Result<()> {
        let named = store::segments(&self.connection)?;
        folder::delete_left_overs(&self.folder, &named.iter().map(|entry| entry.number).collect())
    }
}

impl Sink for Writer {
    fn space(&self) -> &Space {
        &self.space
    }

    fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    fn set_root(&mut self, root: Option<PathBuf>) {
        self.root = root;
    }

    fn known(&self, id: &ItemId) -> Result<Option<Known>> {
        if let Some(pending) = self.pending.get(id) {
            return Ok(Some(pending.stored.known()));
        }
        if self.is_lost(id) {
            return Ok(None);
        }
        Ok(self.item(id)?.map(|item| item.known))
    }

    fn keep(&mut self, id: &ItemId) -> Result<()> {
        if !self.pending.contains_key(id) {
            let item = self.item(id)?.ok_or_else(|| self.here(store::unknown(id)))?;
            self.seen.insert(item.key);
        }
        Ok(())
    }

    fn renew(&mut self, record: &Record, text_vector: Option<&[f32]>) -> Result<()> {
        let stored = Stored::of(record, self.root.as_deref());
        let known = self.known(&stored.id)?.ok_or_else(|| self.here(store::unknown(&stored.id)))?;
        let same_texts = known.texts == stored.texts_checksum();
        let text = match text_vector {
            Some(vector) => Change::Set(Some(self.unit(&stored.id, vector)?)),
            None if same_texts => Change::Keep,
            None => Change::Set(None),
        };
        self.put(Pending { stored, picture: Change::Keep, text })
    }

    fn add(
        &mut self,
        records: &[Record],
        pictures: &Vectors,
        texts: &[Option<Vec<f32>>],
    ) -> Result<()> {
        if records.len() != pictures.len() || records.len() != texts.len() {
            return Err(Error::new(
                ErrorKind::Mismatch,
                format!(
                    "{} records came with {} picture vectors and {} texts; each needs one",
                    records.len(),
                    pictures.len(),
                    texts.len()
                ),
            ));
        }
        for ((record, picture), text) in records.iter().zip(pictures.rows()).zip(texts) {
            let stored = Stored::of(record, self.root.as_deref());
            let picture = Change::Set(self.unit(&stored.id, picture)?);
            let text = text.as_deref().map(|text| self.unit(&stored.id, text)).transpose()?;
            self.put(Pending { stored, picture, text: Change::Set(text) })?;
        }
        Ok(())
    }

    fn remove(&mut self, ids: &[ItemId]) -> Result<usize> {
        self.whole(|writer| {
            writer.flush()?;
            writer.delete(ids)
        })
    }

    fn remove_unseen(&mut self) -> Result<usize> {
        self.whole(|writer| {
            writer.flush()?;
            let unseen = writer.unseen()?;
            writer.delete(&unseen)
        })
    }

    fn commit(&mut self) -> Result<()> {
        self.whole(|writer| {
            writer.flush()?;
            if writer.connection.is_autocommit() {
                return Ok(());
            }
            writer.settle_root()?;
            let generation: i64 = store::meta(&writer.connection, "generation")?;
            store::set_meta(&writer.connection, "generation", generation.wrapping_add(1))?;
            writer.connection.execute_batch("COMMIT").map_err(failed)
        })
    }

    fn finish(&mut self) -> Result<()> {
        if self.root != self.written_root {
            self.begin().map_err(|e| self.here(e))?;
        }
        self.commit()?;
        self.delete_left_overs()
    }

    fn look_for_damage(&mut self) -> Result<usize> {
        self.find_damage().map_err(|e| self.here(e))?;
        Ok(self.damage.lost.len())
    }

    fn is_lost(&self, id: &ItemId) -> bool {
        self.damage.lost.contains(id)
    }

    fn drop_damaged(&mut self) -> Result<usize> {
        self.whole(|writer| {
            writer.flush()?;
            let Damage { lost, segments, orphans } = std::mem::take(&mut writer.damage);
            if lost.is_empty() && segments.is_empty() && !orphans {
                return Ok(0);
            }
            writer.begin()?;
            lost.iter()
                .try_for_each(|id| store::forget(&writer.connection, id.as_str()).map(drop))?;
            store::remove_orphans(&writer.connection)?;
            writer.move_rows(&segments)?;
            Ok(lost.len())
        })
    }
}

/// The rows of those of these places that lie in `segments`; `None` for the others. Each row must
/// be there and sound.
fn rows_in(
    segments: &BTreeMap<u32, Option<Segment>>,
    places: impl Iterator<Item = (impl AsRef<str>, Option<Location>)>,
) -> Result<Vec<Option<&[f32]>>> {
    let row = |(id, place): (_, Option<Location>)| {
        let Some(place) = place else { return Ok(None) };
        let Some(segment) = segments.get(&place.segment) else { return Ok(None) };
        let there = segment.as_ref().filter(|it| (place.row as usize) < it.entry().rows);
        match there {
            Some(segment) => segment.row(place.row as usize).map(Some),
            None => Err(store::damaged(AsRef::as_ref(&id), "its vector is in no segment")),
        }
    };
    places.map(row).collect()
}

/// Opens the database and brings it to the newest format.
fn open_database(folder: &Path) -> Result<Opened> {
    let mut opened = store::for_writing(folder)?;
    opened.upgrade().map_err(|e| e.at_file(folder))?;
    Ok(opened)
}

/// Brings the folder to where its database can be opened.
fn prepare(folder: &Path, space: &Space, companion: &dyn Companion) -> Result<()> {
    let has_database = has_database(folder)?;
    if has_database {
        let found = store::for_writing(folder)?.space;
        if found != *space {
            return Err(mismatch(folder, &found, space));
        }
    }
    folder::take_model(folder, companion)?;
    files::make_own_folder(&segment::folder(folder))?;
    if has_database {
        return Ok(());
    }
    folder::remove_database(&store::path(folder))?;
    store::create(folder, space)
}

/// Whether there is a database of ours with something in it. What a run left that could not write
/// its tables counts as none, if everything else in the folder is ours.
fn has_database(folder: &Path) -> Result<bool> {
    match files::kind(&store::path(folder))? {
        FileKind::Absent => Ok(false),
        FileKind::File if store::is_unfinished(folder)? => {
            folder::expect_nothing_else(folder)?;
            Ok(false)
        }
        _ => store::expect_file(folder).map(|()| true).map_err(|e| e.at_file(folder)),
    }
}

fn mismatch(folder: &Path, index: &Space, given: &Space) -> Error {
    let message = format!(
        "index {} was made by model {index} but this is from model {given}; use the model in {}, or make an index in a new folder",
        folder.display(),
        folder.join("model").display()
    );
    let (made_by, given) = (index.to_string(), given.to_string());
    Error::new(ErrorKind::Mismatch, message).with_fact(Fact::OtherModel { made_by, given })
}
