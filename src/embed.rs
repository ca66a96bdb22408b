//! Catalogues and files through an encoder: into vectors, or into an index.
//!
//! [`update`] walks over the catalogue once, in batches. For each item it asks the index what it
//! knows and does the least that is needed: nothing, a new record, or a new embedding. The
//! pictures of the next batch are read and decoded on another thread while the encoder works on
//! this one.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant, UNIX_EPOCH};

use rayon::prelude::*;

use crate::catalogue::{Item, Items, Ledger, Skip, Source};
use crate::encoder::Encoder;
use crate::error::{Error, Result};
use crate::files;
use crate::images::{self, Frame, Framed, ImageBatch, Limits};
use crate::index::{Known, Record, Stamp, Writer};
use crate::units::{Event, ItemId, Listener, Stop};
use crate::vectors::Vectors;

/// What was embedded is committed after this long, or so many items.
const COMMIT_EVERY: Duration = Duration::from_secs(20);
const COMMIT_ITEMS: usize = 8192;

/// How [`update`] treats what it finds.
#[derive(Clone, Copy, Debug)]
pub struct UpdateOptions {
    /// Keep items that the catalogue no longer has.
    pub keep_missing: bool,
    /// Compare contents, not only size and time.
    pub verify: bool,
    /// Part `shard.0` (from 1) of `shard.1`.
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
    /// Items embedded again.
    pub changed: usize,
    /// Items left as they were.
    pub unchanged: usize,
    /// Items taken out.
    pub removed: usize,
    /// What was used and what was not.
    pub ledger: Ledger,
}

/// Brings an index up to date with a catalogue.
///
/// A stop that is asked for commits what is done and returns an
/// [`Interrupted`](crate::ErrorKind::Interrupted) error; another run goes on from there. Items
/// that the catalogue no longer has are taken out at the end of a whole run, but not by a shard,
/// which sees only its part.
pub fn update(
    source: &Source,
    encoder: &dyn Encoder,
    writer: &mut Writer,
    options: &UpdateOptions,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<Updated> {
    let mut items = source.open()?;
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
    if !options.keep_missing && options.shard.is_none() {
        update.done.removed = update.writer.remove_unseen()?;
        update.writer.commit()?;
    }
    let mut ledger = items.into_ledger();
    ledger.used = update.done.added + update.done.changed + update.done.unchanged;
    ledger.skipped.append(&mut update.failed);
    ledger.truncated += update.truncated;
    Ok(Updated { ledger, ..update.done })
}

/// An update under way.
struct Update<'a> {
    encoder: &'a dyn Encoder,
    writer: &'a mut Writer,
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
            stop.check()?;
            let next = self.gather(items)?;
            if let Some(next) = &next {
                loader.ask(next.iter().map(|planned| planned.record.image.clone()).collect());
            }
            if let Some(batch) = ahead.take() {
                self.embed(batch, loader.answer())?;
                let done = self.done.added + self.done.changed + self.done.unchanged;
                listener(Event::Progress { what: "embedding", done, total: 0 });
                self.commit_if_due(done)?;
            }
            match next {
                Some(next) => ahead = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// The next items whose pictures must be embedded, everything cheaper done on the way.
    fn gather(&mut self, items: &mut Items) -> Result<Option<Vec<Planned>>> {
        let mut batch = Vec::with_capacity(self.options.batch_size);
        for item in items {
            let item = item?;
            if !in_shard(&item.id, self.options.shard) {
                continue;
            }
            match self.need(item) {
                Ok(Need::Nothing) => self.done.unchanged += 1,
                Ok(Need::Renewal(record, known)) => self.renew(&record, &known)?,
                Ok(Need::Embedding(planned)) => batch.push(*planned),
                Err(Unusable::Skipped(skip)) => self.failed.push(*skip),
                Err(Unusable::Fatal(error)) => return Err(error),
            }
            if batch.len() == self.options.batch_size {
                return Ok(Some(batch));
            }
        }
        Ok((!batch.is_empty()).then_some(batch))
    }

    /// Compares the item with what the index knows of it.
    fn need(&mut self, item: Item) -> Result<Need, Unusable> {
        let image = std::path::absolute(&item.image)
            .map_err(|e| Unusable::skipped(&item, Error::io("cannot read", e)))?;
        let mut stamp = stamp(&image).map_err(|error| Unusable::skipped(&item, error))?;
        let known = self.writer.known(&item.id)?;
        let same_picture = match &known {
            Some(known) if self.options.verify => {
                let bytes =
                    files::read(&image).map_err(|error| Unusable::skipped(&item, error))?;
                known.stamp.content == files::checksum(&bytes)
            }
            Some(known) => (known.stamp.size, known.stamp.modified_ns)
                == (stamp.size, stamp.modified_ns),
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
                if known.record == record.checksum() && known.stamp == record.stamp {
                    self.writer.keep(&record.id)?;
                    Ok(Need::Nothing)
                } else {
                    Ok(Need::Renewal(Box::new(record), known))
                }
            }
            known => Ok(Need::Embedding(Box::new(Planned { item, record, known }))),
        }
    }

    fn renew(&mut self, record: &Record, known: &Known) -> Result<()> {
        let texts_changed = known.texts != record.texts_checksum();
        let vector = if texts_changed { self.text_vectors(&[record])?.remove(0) } else { None };
        self.writer.renew(record, vector.as_deref())?;
        if known.record == record.checksum() {
            self.done.unchanged += 1;
        } else {
            self.done.changed += 1;
        }
        Ok(())
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
                    records.push(record);
                    if known.is_some() {
                        self.done.changed += 1;
                    } else {
                        self.done.added += 1;
                    }
                }
                Err(error) => self.failed.push(skip(&item, &error)),
            }
        }
        if records.is_empty() {
            return Ok(());
        }
        let vectors = self.encoder.images(&pictures)?;
        let texts = self.text_vectors(&records.iter().collect::<Vec<_>>())?;
        self.writer.add(&records, &vectors, &texts)
    }

    /// A vector for each record that has texts.
    fn text_vectors(&self, records: &[&Record]) -> Result<Vec<Option<Vec<f32>>>> {
        let joined: Vec<Option<String>> = records
            .iter()
            .map(|record| (!record.texts.is_empty()).then(|| record.texts.join(". ")))
            .collect();
        let asked: Vec<&str> = joined.iter().flatten().map(String::as_str).collect();
        if asked.is_empty() {
            return Ok(vec![None; records.len()]);
        }
        let vectors = self.encoder.texts(&asked)?;
        let mut rows = vectors.rows();
        Ok(joined
            .iter()
            .map(|text| text.as_ref().and_then(|_| rows.next()).map(<[f32]>::to_vec))
            .collect())
    }

    fn commit_if_due(&mut self, done: usize) -> Result<()> {
        let (items, time) = self.committed;
        if done - items >= COMMIT_ITEMS || time.elapsed() >= COMMIT_EVERY {
            self.writer.commit()?;
            self.committed = (done, Instant::now());
        }
        Ok(())
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
    fn skipped(item: &Item, error: Error) -> Self {
        Self::Skipped(Box::new(skip(item, &error)))
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
        message: error.to_string(),
    }
}

/// Size and time of a file; its content is not read.
fn stamp(path: &Path) -> Result<Stamp> {
    let about =
        std::fs::metadata(path).map_err(|e| Error::io("cannot read", e).at_file(path))?;
    let modified = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Ok(Stamp {
        size: about.len(),
        modified_ns: modified.map_or(0, |time| time.as_nanos() as i64),
        content: 0,
    })
}

/// Whether this part takes the item: by its name alone, so that parts are disjoint and stay so.
fn in_shard(id: &ItemId, shard: Option<(usize, usize)>) -> bool {
    shard.is_none_or(|(part, parts)| {
        files::checksum(id.as_str().as_bytes()) % parts.max(1) as u64 == (part - 1) as u64
    })
}

type Loaded = Vec<Result<(Framed, u64)>>;

/// The other end of a thread that loads pictures.
struct Loader {
    paths: SyncSender<Vec<std::path::PathBuf>>,
    pictures: Receiver<Loaded>,
}

impl Loader {
    fn ask(&self, paths: Vec<std::path::PathBuf>) {
        // The thread ends only after this value.
        let _ = self.paths.send(paths);
    }

    fn answer(&self) -> Loaded {
        self.pictures.recv().unwrap_or_default()
    }
}

/// Runs `work` beside a thread that loads the pictures it asks for, in order, on all cores.
fn with_loader<R>(frame: Frame, limits: Limits, work: impl FnOnce(Loader) -> R) -> R {
    std::thread::scope(|scope| {
        let (paths, asked) = sync_channel::<Vec<std::path::PathBuf>>(1);
        let (answers, pictures) = sync_channel(1);
        scope.spawn(move || {
            for paths in asked {
                let load = |path| images::load_with_checksum(path, frame, limits);
                let loaded: Loaded = paths.par_iter().map(|path| load(path)).collect();
                if answers.send(loaded).is_err() {
                    break;
                }
            }
        });
        work(Loader { paths, pictures })
    })
}

/// Vectors of files in order; a file that cannot be used is left out and returned with its error.
pub fn pictures<P: AsRef<Path> + Sync>(
    paths: &[P],
    encoder: &dyn Encoder,
    limits: Limits,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<(Vectors, Vec<(usize, Error)>)> {
    let batches: Vec<&[P]> = paths.chunks(UpdateOptions::default().batch_size).collect();
    let asked = |batch: &[P]| batch.iter().map(|path| path.as_ref().to_path_buf()).collect();
    with_loader(encoder.frame(), limits, |loader| {
        let mut vectors = Vectors::empty(encoder.dim());
        let mut failed = Vec::new();
        let mut first = 0;
        if let Some(batch) = batches.first() {
            loader.ask(asked(batch));
        }
        for (number, batch) in batches.iter().enumerate() {
            stop.check()?;
            let loaded = loader.answer();
            if let Some(next) = batches.get(number + 1) {
                loader.ask(asked(next));
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
            listener(Event::Progress { what: "embedding", done: first, total: paths.len() });
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
