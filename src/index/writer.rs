//! The one process that changes an index.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::Space;
use super::bits::Bits;
use super::reader::Index;
use super::record::{Known, Record, Stored};
use super::segment::{self, Entry, Kind, Segment};
use super::store::{self, Change, Location, failed};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, FolderLock};
use crate::units::ItemId;
use crate::vectors::Vectors;

/// Items held in memory before their vectors are written to a segment.
const PENDING_ITEMS: usize = 16_384;
/// Rows of the largest segment that a compaction writes: 1 GiB at 256 values.
const SEGMENT_ROWS: usize = 1 << 20;
/// The one process that changes an index. Nothing is visible to readers before [`Writer::commit`].
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
    seen: Bits,
    _lock: FolderLock,
}

/// An item whose vectors are not in a segment yet.
#[derive(Debug)]
struct Pending {
    stored: Stored,
    picture: Change<Vec<f32>>,
    text: Change<Option<Vec<f32>>>,
}

/// An item with the places of its vectors.
struct Placed {
    id: String,
    picture: Location,
    text: Option<Location>,
}

impl Writer {
    /// Opens or makes the index folder. `copy_model` fills the `model` folder of a new index.
    ///
    /// Fails when another writer is at work, when the folder holds something else, and, as
    /// [`ErrorKind::Mismatch`], when the index was made by another model.
    pub fn open(
        folder: &Path,
        space: &Space,
        copy_model: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Self> {
        files::make_folder(folder)?;
        refuse_other_content(folder)?;
        let lock = FolderLock::take(folder)?;
        if store::path(folder).exists() {
            let (_, found) = store::open_for_writing(folder)?;
            if found != *space {
                return Err(mismatch(folder, &found, space));
            }
        }
        take_model(folder, copy_model)?;
        files::make_folder(&segment::folder(folder))?;
        if !store::path(folder).exists() {
            store::create(folder, space)?;
        }
        let (connection, space) = store::open_for_writing(folder)?;
        let folder = folder.to_path_buf();
        let (pending, seen) = (BTreeMap::new(), Bits::default());
        let writer = Self { folder, space, connection, pending, seen, _lock: lock };
        writer.delete_left_overs()?;
        Ok(writer)
    }

    /// The model whose vectors the index takes.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// What is known of `id`, committed or not.
    pub fn known(&self, id: &ItemId) -> Result<Option<Known>> {
        if let Some(pending) = self.pending.get(id) {
            return Ok(Some(pending.stored.known()));
        }
        Ok(self.item(id)?.map(|item| item.known))
    }

    /// Marks an unchanged item as seen in this run.
    pub fn keep(&mut self, id: &ItemId) -> Result<()> {
        if !self.pending.contains_key(id) {
            let item = self.item(id)?.ok_or_else(|| self.here(store::unknown(id)))?;
            self.seen.insert(item.key as usize);
        }
        Ok(())
    }

    /// New texts or fields for an item whose picture is unchanged; keeps its picture vector.
    /// `text_vector` is `Some` when the texts changed; `None` with changed texts means that there
    /// is no text any more.
    pub fn renew(&mut self, record: &Record, text_vector: Option<&[f32]>) -> Result<()> {
        let stored = Stored::of(record);
        let known = self.known(&stored.id)?.ok_or_else(|| self.here(store::unknown(&stored.id)))?;
        let same_texts = known.texts == stored.texts_checksum();
        let text = match text_vector {
            Some(vector) => Change::Set(Some(self.unit(&stored.id, vector)?)),
            None if same_texts => Change::Keep,
            None => Change::Set(None),
        };
        self.put(Pending { stored, picture: Change::Keep, text })
    }

    /// Adds or replaces items: picture vectors `[n, dim]`, text vectors for items that have texts.
    pub fn add(
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
            let stored = Stored::of(record);
            let picture = Change::Set(self.unit(&stored.id, picture)?);
            let text = text.as_deref().map(|text| self.unit(&stored.id, text)).transpose()?;
            self.put(Pending { stored, picture, text: Change::Set(text) })?;
        }
        Ok(())
    }

    /// Writes, flushes and names what was added so far; a run that is killed later keeps it.
    pub fn commit(&mut self) -> Result<()> {
        self.whole(|writer| {
            writer.flush()?;
            if writer.connection.is_autocommit() {
                return Ok(());
            }
            let generation: i64 = store::meta(&writer.connection, "generation")?;
            store::set_meta(&writer.connection, "generation", generation + 1)?;
            writer.connection.execute_batch("COMMIT").map_err(failed)
        })
    }

    /// Takes out all items that were neither kept, renewed nor added by this writer; the number.
    pub fn remove_unseen(&mut self) -> Result<usize> {
        self.whole(|writer| {
            writer.flush()?;
            let mut unseen = Vec::new();
            store::each_item(&writer.connection, |id, item| {
                if !writer.seen.contains(item.key as usize) {
                    unseen.push(ItemId::from(id));
                }
                Ok(())
            })?;
            writer.delete(&unseen)
        })
    }

    /// Takes out these items; the number that was there.
    pub fn remove(&mut self, ids: &[ItemId]) -> Result<usize> {
        self.whole(|writer| {
            writer.flush()?;
            writer.delete(ids)
        })
    }

    /// Rewrites segments so that no removed row takes up space. Commits first. Readers that are
    /// open keep the old files until they close.
    pub fn compact(&mut self) -> Result<()> {
        self.commit()?;
        if self.wastes_space()? {
            self.whole(Self::rewrite)?;
            self.commit()?;
            self.delete_left_overs()?;
        }
        self.shrink_database();
        Ok(())
    }

    /// Takes over everything of another index of the same model (`looksee merge`); the number of
    /// items. Where both have an item, the other's wins.
    pub fn merge(&mut self, other: &Index) -> Result<usize> {
        if *other.space() != self.space {
            return Err(mismatch(&self.folder, &self.space, other.space()));
        }
        for row in 0..other.len() {
            let stored = other.stored(row)?;
            let picture = Change::Set(other.picture(row).to_vec());
            let text = Change::Set(other.text(row).map(<[f32]>::to_vec));
            self.put(Pending { stored, picture, text })?;
        }
        Ok(other.len())
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

    fn item(&self, id: &ItemId) -> Result<Option<store::Item>> {
        store::item(&self.connection, id).map_err(|e| self.here(e))
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
        let mut picture_places = self.write_rows(Kind::Pictures, pictures)?.into_iter();
        let mut text_places = self.write_rows(Kind::Texts, texts)?.into_iter();
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
            let key = store::put(&self.connection, &item.stored, picture, text)?;
            self.seen.insert(key as usize);
        }
        Ok(())
    }

    /// Writes rows `[n, dim]` as new segments and says where each went.
    fn write_rows<'a>(
        &self,
        kind: Kind,
        mut rows: impl Iterator<Item = &'a [f32]> + Clone,
    ) -> Result<Vec<Location>> {
        let mut places = Vec::new();
        while rows.clone().next().is_some() {
            let number: u32 = store::meta(&self.connection, "next_segment")?;
            store::set_meta(&self.connection, "next_segment", i64::from(number) + 1)?;
            let entry = segment::write(
                &self.folder,
                number,
                kind,
                self.space.dim,
                rows.clone().take(SEGMENT_ROWS),
            )?;
            store::insert_segment(&self.connection, &entry)?;
            places.extend((0..entry.rows as u32).map(|row| Location { segment: number, row }));
            rows.by_ref().take(SEGMENT_ROWS).for_each(drop);
        }
        Ok(places)
    }

    fn delete(&mut self, ids: &[ItemId]) -> Result<usize> {
        let mut removed = 0;
        for id in ids {
            self.begin()?;
            removed += usize::from(store::delete(&self.connection, id)?);
        }
        Ok(removed)
    }

    /// Whether a compaction would leave fewer rows or fewer segments.
    fn wastes_space(&self) -> Result<bool> {
        let entries = store::segments(&self.connection)?;
        let (mut pictures, mut texts) = (0, 0);
        store::each_item(&self.connection, |_, item| {
            pictures += 1;
            texts += usize::from(item.text.is_some());
            Ok(())
        })?;
        let rows: usize = entries.iter().map(|entry| entry.rows).sum();
        let needed = usize::div_ceil(pictures, SEGMENT_ROWS) + texts.div_ceil(SEGMENT_ROWS);
        Ok(rows > pictures + texts || entries.len() > needed)
    }

    /// Copies all living rows into new segments, in the open transaction.
    fn rewrite(&mut self) -> Result<()> {
        self.begin()?;
        let entries = store::segments(&self.connection)?;
        let segments = self.map(&entries)?;
        let mut items = self.placed()?;
        let row = |place: Location| segments[&place.segment].row(place.row as usize);
        let pictures = items.iter().map(|item| row(item.picture));
        let texts = items.iter().filter_map(|item| item.text.map(row));
        let picture_places = self.write_rows(Kind::Pictures, pictures)?;
        let mut text_places = self.write_rows(Kind::Texts, texts)?.into_iter();
        for (item, picture) in items.iter_mut().zip(picture_places) {
            let text = item.text.and_then(|_| text_places.next());
            store::relocate(&self.connection, &item.id, picture, text)?;
        }
        for entry in entries {
            self.connection
                .execute("DELETE FROM segments WHERE number = ?1", [entry.number])
                .map_err(failed)?;
        }
        Ok(())
    }

    fn map(&self, entries: &[Entry]) -> Result<BTreeMap<u32, Segment>> {
        let open = |entry: &Entry| {
            let segment = Segment::open(&self.folder, *entry, self.space.dim)?;
            Ok((entry.number, segment))
        };
        entries.iter().map(open).collect()
    }

    /// All items ascending by name; each place is one that a segment has.
    fn placed(&self) -> Result<Vec<Placed>> {
        let rows: BTreeMap<u32, usize> = store::segments(&self.connection)?
            .iter()
            .map(|entry| (entry.number, entry.rows))
            .collect();
        let exists = |place: Location| {
            rows.get(&place.segment).is_some_and(|&rows| (place.row as usize) < rows)
        };
        let mut items = Vec::new();
        store::each_item(&self.connection, |id, item| {
            if ![Some(item.picture), item.text].into_iter().flatten().all(exists) {
                let message =
                    "its vector is in no segment; the index is damaged, see `looksee check`";
                return Err(Error::new(ErrorKind::Corrupt, message).at_item(id));
            }
            items.push(Placed { id: id.to_owned(), picture: item.picture, text: item.text });
            Ok(())
        })?;
        Ok(items)
    }

    /// Deletes the files in `segments` that the committed state does not name. One that cannot be
    /// deleted, because a reader of this system still holds it, stays for the next writer.
    fn delete_left_overs(&self) -> Result<()> {
        let named = store::segments(&self.connection)?;
        let named: Vec<PathBuf> =
            named.iter().map(|entry| segment::path(&self.folder, entry.number)).collect();
        let folder = segment::folder(&self.folder);
        let entries = fs_err::read_dir(&folder)
            .map_err(|e| Error::io("cannot list the segments", e).at_file(&folder))?;
        for entry in entries.flatten() {
            if named.binary_search(&entry.path()).is_err() {
                let _ = fs_err::remove_file(entry.path());
            }
        }
        Ok(())
    }
}

/// A folder that is no index and not empty was probably named by mistake. What a killed
/// [`Writer::open`] left does not count.
fn refuse_other_content(folder: &Path) -> Result<()> {
    if store::path(folder).exists() {
        return Ok(());
    }
    let entries = fs_err::read_dir(folder)
        .map_err(|e| Error::io("cannot list the folder", e).at_file(folder))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let hidden = name.as_encoded_bytes().starts_with(b".");
        if !hidden && name != "model" && name != "segments" {
            let message = format!(
                "the folder is not an index and holds other files ({}); name a new folder",
                name.display()
            );
            return Err(Error::invalid(message).at_file(folder));
        }
    }
    Ok(())
}

/// Fills `model`, whole or not at all, unless it is there.
fn take_model(folder: &Path, copy_model: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let model = folder.join("model");
    if model.exists() {
        return Ok(());
    }
    let temporary = folder.join(".model.tmp");
    let _ = std::fs::remove_dir_all(&temporary);
    files::make_folder(&temporary)?;
    copy_model(&temporary)?;
    fs_err::rename(&temporary, &model)
        .map_err(|e| Error::io("cannot put the model in place", e).at_file(folder))
}

fn mismatch(folder: &Path, index: &Space, given: &Space) -> Error {
    let message = format!(
        "index {} was made by model {index} but this is from model {given}; use the model in {}, or make an index in a new folder",
        folder.display(),
        folder.join("model").display()
    );
    Error::new(ErrorKind::Mismatch, message)
}
