//! Catalogues and files through an encoder: into vectors, or into an index.
//!
//! [`update`] walks over the catalogue once, in batches. For each item it asks the sink what it
//! knows and does the least that is needed: nothing, a new record, or a new embedding. The
//! pictures of the next batch are read and decoded on another thread while the encoder works on
//! this one.

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::catalogue::{Item, Items, Ledger, Reason, Skip, Source};
use crate::encoder::{self, Encoder, Model};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, Blob};
use crate::images::{self, Frame, Framed, ImageBatch, Limits};
use crate::index::{Companion, Known, Record, Sink, Space, Stamp};
use crate::units::{Event, ItemId, Listener, Stop};
use crate::vectors::Vectors;

/// What was embedded is committed after this long, or so many items.
const COMMIT_EVERY: Duration = Duration::from_secs(20);
const COMMIT_ITEMS: usize = 8192;
/// Unchanged items between two reports of progress.
const REPORT_ITEMS: usize = 1024;

/// The space of an encoder's vectors, as an index knows it.
pub fn space_of(encoder: &dyn Encoder) -> Space {
    Space { fingerprint: encoder.fingerprint().to_owned(), dim: encoder.dim() }
}

/// How [`update`] treats what it finds.
#[derive(Clone, Copy, Debug)]
pub struct UpdateOptions {
    /// Keep items that the catalogue no longer has.
    pub keep_missing: bool,
    /// Compare contents, not only size and time.
    pub verify: bool,
    /// Part `shard.0` (from 1) of `shard.1`, for `looksee merge`.
    pub shard: Option<(usize, usize)>,
    /// Pictures a batch.
    pub batch_size: usize,
    /// Bounds on pictures.
    pub limits: Limits,
}

impl Default for UpdateOptions {
    fn default() -> Self {
        Self {
            keep_missing: false,
            verify: false,
            shard: None,
            batch_size: 64,
            limits: Limits::default(),
        }
    }
}

/// What [`update`] did.
#[derive(Clone, Debug, Default)]
pub struct Updated {
    /// Items new in the index.
    pub added: usize,
    /// Items whose picture, texts or fields changed.
    pub changed: usize,
    /// Items left as they were.
    pub unchanged: usize,
    /// Items taken out.
    pub removed: usize,
    /// Items that were damaged in the index and embedded again.
    pub mended: usize,
    /// What was used and what was not.
    pub ledger: Ledger,
}

/// Brings an index up to date with a catalogue.
///
/// A stop that is asked for commits what is done and returns an
/// [`Interrupted`](crate::ErrorKind::Interrupted) error; another run goes on from there. Items
/// that the catalogue no longer has are taken out at the end of a whole run, but not by a shard,
/// which sees only its part. An item whose picture became unreadable is taken out in any case.
///
/// A file that only has another time is compared by its content, which is much faster than to
/// embed it again. When not one picture can be used, that is an error and the index stays as it
/// is: the likely cause is a disk that is not there.
///
/// The index keeps the pictures' places relative to the catalogue's root ([`Source::root`]). When that
/// is another one than before, as after a move, items that lie below it as they did are unchanged.
///
/// First the whole index is compared with its checksums. Items that are damaged are embedded again
/// and counted as mended; one that the catalogue no longer has is taken out.
pub fn update(
    source: &Source,
    encoder: &dyn Encoder,
    writer: &mut dyn Sink,
    options: &UpdateOptions,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<Updated> {
    check_shard(options.shard)?;
    let mut items = source.open()?;
    // Where items of other catalogues are kept, theirs stays for as long as it is there.
    let is_shared = options.keep_missing && writer.root().is_some_and(Path::is_dir);
    if !is_shared {
        writer.set_root(source.root()?);
    }
    let lost = writer.look_for_damage()?;
    if lost > 0 {
        let warning = format!("{lost} items of the index are damaged and are embedded again");
        listener(Event::Warning(&warning));
    }
    let mut update = Update {
        encoder,
        writer,
        options,
        done: Updated::default(),
        failed: Vec::new(),
        truncated: 0,
        committed: (0, Instant::now()),
    };
    let walked = with_loader(encoder.frame(), options.limits, |loader| {
        update.walk(&mut items, &loader, stop, listener)
    });
    // What was embedded before an interruption or an error is whole, and kept.
    update.writer.commit()?;
    walked?;
    update.refuse_nothing()?;
    update.remove_gone()?;
    update.writer.finish()?;
    let mut ledger = items.into_ledger();
    ledger.used = update.used();
    ledger.skipped.append(&mut update.failed);
    ledger.truncated += update.truncated;
    Ok(Updated { ledger, ..update.done })
}

/// An update under way.
struct Update<'a> {
    encoder: &'a dyn Encoder,
    writer: &'a mut dyn Sink,
    options: &'a UpdateOptions,
    done: Updated,
    failed: Vec<Skip>,
    truncated: usize,
    /// Items and time of the last commit.
    committed: (usize, Instant),
}

/// An item whose picture must be embedded.
struct Planned {
    item: Item,
    record: Record,
    known: Option<Known>,
}

/// What an item needs.
enum Need {
    Nothing,
    Renewal(Box<Record>, Known),
    Embedding(Box<Planned>),
}

impl Update<'_> {
    fn walk(
        &mut self,
        items: &mut Items,
        loader: &Loader,
        stop: &Stop,
        listener: Listener<'_>,
    ) -> Result<()> {
        let mut ahead: Option<Vec<Planned>> = None;
        loop {
            let next = self.gather(items, stop, listener)?;
            if let Some(next) = &next {
                loader.ask(next.iter().map(|planned| planned.record.image.clone()).collect());
            }
            if let Some(batch) = ahead.take() {
                self.embed(batch, loader.answer())?;
                listener(Event::Progress { what: "embedding", done: self.used(), total: 0 });
                self.commit_if_due()?;
            }
            match next {
                Some(next) => ahead = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Items that are in the index and right, so far.
    fn used(&self) -> usize {
        self.done.added + self.done.changed + self.done.unchanged + self.done.mended
    }

    /// The next items whose pictures must be embedded, everything cheaper done on the way.
    fn gather(
        &mut self,
        items: &mut Items,
        stop: &Stop,
        listener: Listener<'_>,
    ) -> Result<Option<Vec<Planned>>> {
        let batch_size = self.options.batch_size.max(1);
        let mut batch = Vec::new();
        let mut renewals = Vec::new();
        while batch.len() < batch_size {
            stop.check()?;
            let Some(item) = items.next().transpose()? else { break };
            if !in_shard(&item.id, self.options.shard) {
                continue;
            }
            match self.need(item) {
                Ok(Need::Nothing) => self.count_unchanged(listener),
                Ok(Need::Renewal(record, known)) => renewals.push((*record, known)),
                Ok(Need::Embedding(planned)) => batch.push(*planned),
                Err(Unusable::Skipped(skip)) => self.failed.push(*skip),
                Err(Unusable::Fatal(error)) => return Err(error),
            }
            if renewals.len() == batch_size {
                self.renew(&renewals)?;
                renewals.clear();
            }
        }
        self.renew(&renewals)?;
        Ok((!batch.is_empty()).then_some(batch))
    }

    fn count_unchanged(&mut self, listener: Listener<'_>) {
        self.done.unchanged += 1;
        if self.done.unchanged.is_multiple_of(REPORT_ITEMS) {
            listener(Event::Progress { what: "comparing", done: self.used(), total: 0 });
        }
    }

    /// Compares the item with what the index knows of it.
    fn need(&mut self, item: Item) -> Result<Need, Unusable> {
        let place = item.image.absolute().and_then(|image| Ok((image.stamp()?, image)));
        let (mut stamp, image) = place.map_err(|error| Unusable::skipped(&item, &error))?;
        let known = self.writer.known(&item.id)?;
        let same_picture = match &known {
            Some(known) => self
                .shows_the_same(&image, &stamp, &known.stamp)
                .map_err(|error| Unusable::skipped(&item, &error))?,
            None => false,
        };
        if let (Some(known), true) = (&known, same_picture) {
            stamp.content = known.stamp.content;
        }
        let record = Record {
            id: item.id.clone(),
            image,
            texts: item.texts.clone(),
            fields: item.fields.clone(),
            group: item.group.clone(),
            stamp,
        };
        match known {
            Some(known) if same_picture => {
                if known.record == record.checksum(self.writer.root())
                    && known.stamp == record.stamp
                {
                    self.writer.keep(&record.id)?;
                    Ok(Need::Nothing)
                } else {
                    Ok(Need::Renewal(Box::new(record), known))
                }
            }
            known => Ok(Need::Embedding(Box::new(Planned { item, record, known }))),
        }
    }

    /// Whether the picture is the one that was embedded; its content is read only where size and time do
    /// not tell.
    fn shows_the_same(&self, image: &Blob, found: &Stamp, embedded: &Stamp) -> Result<bool> {
        if found.size != embedded.size {
            return Ok(false);
        }
        if found.modified_ns == embedded.modified_ns && !self.options.verify {
            return Ok(true);
        }
        Ok(image.checksum(self.options.limits.file_bytes)? == embedded.content)
    }

    /// Writes the records of items whose pictures are unchanged, with the texts that are not.
    fn renew(&mut self, renewals: &[(Record, Known)]) -> Result<()> {
        let texts_changed =
            |(record, known): &(Record, Known)| known.texts != record.texts_checksum();
        let changed: Vec<bool> = renewals.iter().map(texts_changed).collect();
        let texts = renewals.iter().zip(&changed);
        let texts = texts.map(|((record, _), &changed)| changed.then_some(&*record.texts));
        let vectors = self.text_vectors(texts.map(Option::unwrap_or_default))?;
        for ((record, known), vector) in renewals.iter().zip(vectors) {
            self.writer.renew(record, vector.as_deref())?;
            if known.record == record.checksum(self.writer.root()) {
                self.done.unchanged += 1;
            } else {
                self.done.changed += 1;
            }
        }
        self.commit_if_due()
    }

    fn embed(&mut self, batch: Vec<Planned>, loaded: Vec<Result<(Framed, u64)>>) -> Result<()> {
        let mut pictures = ImageBatch::new(self.encoder.frame());
        let mut records = Vec::with_capacity(batch.len());
        for (planned, loaded) in batch.into_iter().zip(loaded) {
            let Planned { item, mut record, known } = planned;
            match loaded {
                Ok((framed, content)) => {
                    pictures.push(&framed.rgb);
                    self.truncated += usize::from(framed.truncated);
                    record.stamp.content = content;
                    *if known.is_some() {
                        &mut self.done.changed
                    } else if self.writer.is_lost(&record.id) {
                        &mut self.done.mended
                    } else {
                        &mut self.done.added
                    } += 1;
                    records.push(record);
                }
                Err(error) => self.failed.push(skip(&item, &error)),
            }
        }
        if records.is_empty() {
            return Ok(());
        }
        let vectors = self.encoder.images(&pictures)?;
        let texts = self.text_vectors(records.iter().map(|record| &*record.texts))?;
        self.writer.add(&records, &vectors, &texts)
    }

    /// A vector for each item that has texts.
    fn text_vectors<'t>(
        &self,
        texts: impl Iterator<Item = &'t [String]>,
    ) -> Result<Vec<Option<Vec<f32>>>> {
        let joined: Vec<Option<String>> = texts.map(|texts| self.encoder.join(texts)).collect();
        let asked: Vec<&str> = joined.iter().flatten().map(String::as_str).collect();
        if asked.is_empty() {
            return Ok(vec![None; joined.len()]);
        }
        let vectors = self.encoder.texts(&asked)?;
        let mut rows = vectors.rows();
        let row = |text: &Option<String>| text.as_ref().and_then(|_| rows.next());
        Ok(joined.iter().map(row).map(|row| row.map(<[f32]>::to_vec)).collect())
    }

    fn commit_if_due(&mut self) -> Result<()> {
        let (items, time) = self.committed;
        if self.used() - items >= COMMIT_ITEMS || time.elapsed() >= COMMIT_EVERY {
            self.writer.commit()?;
            self.committed = (self.used(), Instant::now());
        }
        Ok(())
    }

    /// An error when there were pictures and none could be used.
    fn refuse_nothing(&self) -> Result<()> {
        let Some(first) = self.failed.first().filter(|_| self.used() == 0) else { return Ok(()) };
        let kind = match first.reason {
            Reason::Missing => ErrorKind::NotFound,
            _ => ErrorKind::Invalid,
        };
        let message = format!(
            "none of the {} pictures can be used, so the index stays as it is; the first: {}",
            self.failed.len(),
            first.message
        );
        Err(Error::new(kind, message))
    }

    /// Takes out what the catalogue no longer has, as far as the options allow, and items whose
    /// pictures can no longer be used.
    fn remove_gone(&mut self) -> Result<()> {
        let stays = |skip: &&Skip| self.options.keep_missing && skip.reason == Reason::Missing;
        let failed = self.failed.iter().filter(|skip| !stays(skip));
        let ids: Vec<ItemId> = failed.filter_map(|skip| skip.id.clone()).collect();
        self.done.removed = self.writer.remove(&ids)?;
        if !self.options.keep_missing && self.options.shard.is_none() {
            self.done.removed += self.writer.remove_unseen()?;
        }
        self.done.removed += self.writer.drop_damaged()?;
        Ok(())
    }
}

/// A model travels inside the index that it made.
impl Companion for Model {
    fn is_in(&self, folder: &Path) -> bool {
        Self::is_in(self, folder)
    }

    fn write_to(&self, folder: &Path) -> Result<()> {
        Self::write_to(self, folder)
    }

    fn clear(&self, folder: &Path) -> Result<()> {
        encoder::clear(folder)
    }
}

fn check_shard(shard: Option<(usize, usize)>) -> Result<()> {
    match shard {
        Some((part, parts)) if part == 0 || part > parts => Err(Error::invalid(format!(
            "there is no part {part} of {parts}; parts are numbered from 1/{parts} to {parts}/{parts}"
        ))),
        _ => Ok(()),
    }
}

/// Why [`Update::need`] has no answer.
enum Unusable {
    /// The item cannot be used; the rest can.
    Skipped(Box<Skip>),
    /// The index cannot be used.
    Fatal(Error),
}

impl Unusable {
    fn skipped(item: &Item, error: &Error) -> Self {
        Self::Skipped(Box::new(skip(item, error)))
    }
}

impl From<Error> for Unusable {
    fn from(error: Error) -> Self {
        Self::Fatal(error)
    }
}

fn skip(item: &Item, error: &Error) -> Skip {
    Skip {
        place: item.place.clone(),
        id: Some(item.id.clone()),
        reason: images::reason(error),
        message: error.whole(),
    }
}

/// Whether this part takes the item: by its name alone, so that parts are disjoint and stay so.
fn in_shard(id: &ItemId, shard: Option<(usize, usize)>) -> bool {
    shard.is_none_or(|(part, parts)| {
        files::checksum(id.as_str().as_bytes()) % parts as u64 == (part - 1) as u64
    })
}

type Loaded = Vec<Result<(Framed, u64)>>;

/// The other end of a thread that loads pictures.
struct Loader {
    asks: SyncSender<Vec<Blob>>,
    pictures: Receiver<Loaded>,
}

impl Loader {
    fn ask(&self, pictures: Vec<Blob>) {
        // The thread ends only after this value.
        let _ = self.asks.send(pictures);
    }

    fn answer(&self) -> Loaded {
        self.pictures.recv().unwrap_or_default()
    }
}

/// Runs `work` beside a thread that loads the pictures it asks for, in order, on all cores.
fn with_loader<R>(frame: Frame, limits: Limits, work: impl FnOnce(Loader) -> R) -> R {
    std::thread::scope(|scope| {
        let (asks, asked) = sync_channel::<Vec<Blob>>(1);
        let (answers, pictures) = sync_channel(1);
        scope.spawn(move || {
            for pictures in asked {
                let load = |picture| images::load_with_checksum(picture, frame, limits);
                let loaded: Loaded = pictures.par_iter().map(load).collect();
                if answers.send(loaded).is_err() {
                    break;
                }
            }
        });
        work(Loader { asks, pictures })
    })
}

/// Vectors of pictures in order; one that cannot be used is left out and returned with its error.
pub fn pictures(
    all: &[Blob],
    encoder: &dyn Encoder,
    limits: Limits,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<(Vectors, Vec<(usize, Error)>)> {
    let batches: Vec<&[Blob]> = all.chunks(UpdateOptions::default().batch_size).collect();
    with_loader(encoder.frame(), limits, |loader| {
        let mut vectors = Vectors::empty(encoder.dim());
        let mut failed = Vec::new();
        let mut first = 0;
        if let Some(batch) = batches.first() {
            loader.ask(batch.to_vec());
        }
        for (number, batch) in batches.iter().enumerate() {
            stop.check()?;
            let loaded = loader.answer();
            if let Some(next) = batches.get(number + 1) {
                loader.ask(next.to_vec());
            }
            let mut pictures = ImageBatch::new(encoder.frame());
            for (offset, loaded) in loaded.into_iter().enumerate() {
                match loaded {
                    Ok((framed, _)) => pictures.push(&framed.rgb),
                    Err(error) => failed.push((first + offset, error)),
                }
            }
            if !pictures.is_empty() {
                vectors.append(&encoder.images(&pictures)?)?;
            }
            first += batch.len();
            listener(Event::Progress { what: "embedding", done: first, total: all.len() });
        }
        Ok((vectors, failed))
    })
}

/// Vectors of texts in order.
pub fn texts<T: AsRef<str>>(
    texts: &[T],
    encoder: &dyn Encoder,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<Vectors> {
    let mut vectors = Vectors::empty(encoder.dim());
    let mut done = 0;
    for batch in texts.chunks(UpdateOptions::default().batch_size) {
        stop.check()?;
        let batch: Vec<&str> = batch.iter().map(AsRef::as_ref).collect();
        vectors.append(&encoder.texts(&batch)?)?;
        done += batch.len();
        listener(Event::Progress { what: "reading", done, total: texts.len() });
    }
    Ok(vectors)
}
