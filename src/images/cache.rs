//! The framed pictures of a training set in one file, so that an epoch never decodes.
//!
//! Decoding takes longer than many a training step, and an epoch visits every picture. The file is
//! mapped: pictures in use stay in the operating system's cache, and a set larger than memory still
//! works.
//!
//! Layout, numbers little-endian:
//!
//! ```text
//! 4096 bytes    header: magic, version, frame, counts, key, checksum of the tail, own checksum
//! stored · f    pixels of the pictures that could be used, [height, width, 3] each
//! tail          for each picture its place among the pixels (u32, u32::MAX for none), for each
//!               stored picture the checksum of its pixels (u64), then what failed and what was
//!               truncated as JSON
//! ```
//!
//! The key is a hash over places, sizes and times of the pictures, the frame and the limits, and is part
//! of the file's name: another set of pictures never meets these pixels. A cache is written under
//! another name and renamed when whole. Opening one compares all of it with its checksums, which
//! reads every pixel: a training run does so within its first epoch anyway, and the pictures are
//! then in memory. One that does not check out is made again.
//!
//! A cache that another program cuts short while it is mapped ends the run with a signal (SIGBUS);
//! looksee itself never writes to one that is in place.

use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use looksee_kernels::cpu::mapped::Mapped;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Fit, Frame, Framed, Limits, load_many};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, Blob, Cut, FileKind};
use crate::units::{Event, Listener, Stop};

const MAGIC: [u8; 8] = *b"lookpix\0";
/// Counts changes of the layout and of how pictures are decoded and framed.
const VERSION: u32 = 2;
/// One page, so that the pixels begin on a page of their own.
const HEADER_BYTES: usize = 4096;
const CHUNK: usize = 256;
const ABSENT: u32 = u32::MAX;

/// Framed pictures of a training set in one mapped file, so that an epoch never decodes.
#[derive(Debug)]
pub struct PixelCache {
    map: Mapped,
    frame: Frame,
    places: Vec<u32>,
}

/// A cache and what did not get into it.
#[derive(Debug)]
pub struct Cached {
    /// The pictures.
    pub cache: PixelCache,
    /// Numbers of the pictures that could not be used, each with its error.
    pub failed: Vec<(usize, Error)>,
    /// Numbers of the pictures whose file ended early.
    pub truncated: Vec<usize>,
}

impl PixelCache {
    /// Opens the cache for exactly these pictures (place, size, time) and this frame under `folder`,
    /// or makes it. Made under another name and renamed when whole.
    ///
    /// A folder holds one cache: when a new one is made, those for other files or frames go.
    pub fn open_or_make(
        folder: &Path,
        pictures: &[Blob],
        frame: Frame,
        limits: Limits,
        stop: &Stop,
        listener: Listener<'_>,
    ) -> Result<Cached> {
        let order = Order { key: key(pictures, frame, limits), pictures, frame, limits };
        let path = folder.join(format!("cache-{}.pixels", order.key));
        if let Some(cached) = open(&path, &order, stop)? {
            return Ok(cached);
        }
        files::make_folder(folder)?;
        files::replace(&path, |out| make(out, &order, stop, listener))?;
        remove_others(folder, &path);
        open(&path, &order, stop)?.ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, "the cache cannot be read back; is the disk failing?")
                .at_file(&path)
        })
    }

    /// Picture `number` as `[height, width, 3]`; `None` for one that failed.
    pub fn get(&self, number: usize) -> Option<&[u8]> {
        let place = *self.places.get(number)?;
        let size = self.frame.bytes();
        (place != ABSENT).then(|| &self.map.bytes()[HEADER_BYTES + place as usize * size..][..size])
    }

    /// The frame that all pictures are in.
    pub fn frame(&self) -> Frame {
        self.frame
    }

    /// Number of pictures, failed ones included.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a cache must be to be the one asked for.
struct Order<'a> {
    key: String,
    pictures: &'a [Blob],
    frame: Frame,
    limits: Limits,
}

fn key(pictures: &[Blob], frame: Frame, limits: Limits) -> String {
    let settings = format!("{VERSION} {frame:?} {limits:?}").into_bytes();
    let parts: Vec<Vec<u8>> =
        std::iter::once(settings).chain(pictures.iter().map(signature)).collect();
    files::fingerprint(parts.iter().map(Vec::as_slice))
}

/// A picture's place, size and time of change; the place alone for one that is not there.
fn signature(picture: &Blob) -> Vec<u8> {
    let mut signature = picture.to_bytes(None);
    if let Ok(stamp) = picture.stamp() {
        signature.push(0);
        signature.extend(stamp.size.to_le_bytes());
        signature.extend(i128::from(stamp.modified_ns).to_le_bytes());
    }
    signature
}

/// The outcome of decoding, in the order of the pictures.
#[derive(Debug, Default)]
struct Tail {
    places: Vec<u32>,
    /// XXH3-64 of the pixels of each stored picture.
    checksums: Vec<u64>,
    report: Report,
}

impl Tail {
    /// Notes the next picture and gives back the pixels to be stored.
    fn note(&mut self, outcome: Result<Framed>) -> Option<Framed> {
        let number = self.places.len();
        match outcome {
            Ok(picture) => {
                self.places.push(self.stored());
                self.checksums.push(files::checksum(&picture.rgb));
                if picture.truncated {
                    self.report.truncated.push(number);
                }
                Some(picture)
            }
            Err(error) => {
                self.places.push(ABSENT);
                self.report.failed.push(Failure::new(number, &error));
                None
            }
        }
    }

    /// How many pictures are stored.
    fn stored(&self) -> u32 {
        self.checksums.len() as u32
    }

    fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes: Vec<u8> = self.places.iter().flat_map(|place| place.to_le_bytes()).collect();
        bytes.extend(self.checksums.iter().flat_map(|checksum| checksum.to_le_bytes()));
        serde_json::to_writer(&mut bytes, &self.report)
            .map_err(|e| Error::invalid("cannot write down what failed").with_source(e))?;
        Ok(bytes)
    }

    /// `None` when these are not the bytes of a tail for `count` pictures and `stored` pictures.
    fn from_bytes(bytes: &[u8], count: usize, stored: u32) -> Option<Self> {
        let (places, rest) = bytes.split_at_checked(count.checked_mul(4)?)?;
        let (places, _) = places.as_chunks::<4>();
        let places: Vec<u32> = places.iter().map(|place| u32::from_le_bytes(*place)).collect();
        let (checksums, report) = rest.split_at_checked((stored as usize).checked_mul(8)?)?;
        let (checksums, _) = checksums.as_chunks::<8>();
        let checksums = checksums.iter().map(|checksum| u64::from_le_bytes(*checksum)).collect();
        let report: Report = serde_json::from_slice(report).ok()?;
        let known = |number: &usize| *number < count;
        let sound = places.iter().all(|&place| place < stored || place == ABSENT)
            && report.failed.iter().all(|failure| known(&failure.number))
            && report.truncated.iter().all(known);
        sound.then_some(Self { places, checksums, report })
    }
}

/// What the ledger needs to know again when the cache is opened later.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Report {
    failed: Vec<Failure>,
    truncated: Vec<usize>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Failure {
    number: usize,
    kind: FailureKind,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FailureKind {
    Missing,
    TooLarge,
    Unsupported,
    Invalid,
    Io,
}

impl Failure {
    fn new(number: usize, error: &Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::NotFound => FailureKind::Missing,
            ErrorKind::TooLarge => FailureKind::TooLarge,
            ErrorKind::Unsupported => FailureKind::Unsupported,
            ErrorKind::Io => FailureKind::Io,
            _ => FailureKind::Invalid,
        };
        let source = std::error::Error::source(error).map(|source| format!(": {source}"));
        let message = format!("{}{}", error.message(), source.unwrap_or_default());
        Self { number, kind, message }
    }

    fn error(&self, picture: &Blob) -> Error {
        let kind = match self.kind {
            FailureKind::Missing => ErrorKind::NotFound,
            FailureKind::TooLarge => ErrorKind::TooLarge,
            FailureKind::Unsupported => ErrorKind::Unsupported,
            FailureKind::Io => ErrorKind::Io,
            FailureKind::Invalid => ErrorKind::Invalid,
        };
        Error::new(kind, self.message.clone()).at_file(picture.shown())
    }
}

/// The first bytes of a cache.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    frame: Frame,
    count: u64,
    stored: u32,
    tail_bytes: u64,
    tail_checksum: u64,
    key: String,
}

impl Header {
    fn to_bytes(&self) -> Vec<u8> {
        let fit = match self.frame.fit {
            Fit::Letterbox => 0,
            Fit::Crop => 1,
            Fit::Stretch => 2,
        };
        let mut bytes = MAGIC.to_vec();
        for number in
            [VERSION, self.frame.width_px as u32, self.frame.height_px as u32, fit, self.stored]
        {
            bytes.extend(number.to_le_bytes());
        }
        for number in [self.count, self.tail_bytes, self.tail_checksum] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(self.key.as_bytes());
        bytes.resize(HEADER_BYTES - 8, 0);
        bytes.extend(files::checksum(&bytes).to_le_bytes());
        bytes
    }
}

fn make(
    out: &mut BufWriter<fs_err::File>,
    order: &Order<'_>,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<()> {
    let cannot = |e| Error::io("cannot write the decoded pictures", e);
    out.write_all(&[0; HEADER_BYTES]).map_err(cannot)?;
    let mut tail = Tail::default();
    for chunk in order.pictures.chunks(CHUNK) {
        stop.check()?;
        for outcome in load_many(chunk, order.frame, order.limits) {
            if let Some(picture) = tail.note(outcome) {
                out.write_all(&picture.rgb).map_err(cannot)?;
            }
        }
        let (done, total) = (tail.places.len(), order.pictures.len());
        listener(Event::Progress { what: "decoding", done, total });
    }
    let bytes = tail.to_bytes()?;
    out.write_all(&bytes).map_err(cannot)?;
    out.seek(SeekFrom::Start(0)).map_err(cannot)?;
    out.write_all(&header(order, tail.stored(), &bytes).to_bytes()).map_err(cannot)
}

fn header(order: &Order<'_>, stored: u32, tail: &[u8]) -> Header {
    Header {
        frame: order.frame,
        count: order.pictures.len() as u64,
        stored,
        tail_bytes: tail.len() as u64,
        tail_checksum: files::checksum(tail),
        key: order.key.clone(),
    }
}

/// The cache at `path` if it is whole and the one asked for.
fn open(path: &Path, order: &Order<'_>, stop: &Stop) -> Result<Option<Cached>> {
    if files::kind(path)? != FileKind::File {
        return Ok(None);
    }
    let Ok(map) = Mapped::open(path) else { return Ok(None) };
    let Some(tail) = tail(map.bytes(), order) else { return Ok(None) };
    // The reason may be gone (a permission, a network drive) without the file having changed.
    if tail.report.failed.iter().any(|failure| failure.kind == FailureKind::Io) {
        return Ok(None);
    }
    if !holds_the_pixels(map.bytes(), order.frame, &tail, stop)? {
        return Ok(None);
    }
    let Report { failed, truncated } = tail.report;
    let failed = failed
        .iter()
        .map(|failure| (failure.number, failure.error(&order.pictures[failure.number])))
        .collect();
    let cache = PixelCache { map, frame: order.frame, places: tail.places };
    Ok(Some(Cached { cache, failed, truncated }))
}

/// Whether every stored picture has its checksum; all threads read, so that the disk is the bound.
fn holds_the_pixels(bytes: &[u8], frame: Frame, tail: &Tail, stop: &Stop) -> Result<bool> {
    let pixels = &bytes[HEADER_BYTES..];
    let pictures = pixels.par_chunks(frame.bytes().max(1)).zip(tail.checksums.par_iter());
    let sound = |(rgb, checksum): (&[u8], &u64)| !stop.asked() && files::checksum(rgb) == *checksum;
    let all_sound = pictures.all(sound);
    stop.check()?;
    Ok(all_sound)
}

/// The tail of a whole cache. The header is not taken apart but compared with the one that the
/// order, the number of stored pictures and the tail call for.
fn tail(bytes: &[u8], order: &Order<'_>) -> Option<Tail> {
    let number = bytes.get(24..28)?;
    let stored = u32::from_le_bytes([number[0], number[1], number[2], number[3]]);
    let pixels = (stored as usize).checked_mul(order.frame.bytes())?;
    let tail = bytes.get(HEADER_BYTES.checked_add(pixels)?..)?;
    if bytes[..HEADER_BYTES] != header(order, stored, tail).to_bytes() {
        return None;
    }
    Tail::from_bytes(tail, order.pictures.len(), stored)
}

/// Removes the caches of other keys.
fn remove_others(folder: &Path, keep: &Path) {
    let Ok(entries) = fs_err::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path != keep && is_named_as_cache(&path) {
            // One that another process holds open, or that is gone already, is no trouble.
            files::remove_own(&path, (0, &MAGIC), Cut::Nowhere);
        }
    }
}

fn is_named_as_cache(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| beginning_of(name).is_some())
}

/// What a file called `name` begins with when it is a cache: `cache-`, 12 hex digits, `.pixels`.
pub(crate) fn beginning_of(name: &str) -> Option<&'static [u8]> {
    let key = name.strip_prefix("cache-")?.strip_suffix(".pixels")?;
    let is_key = key.len() == 12 && key.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_key.then_some(&MAGIC)
}

#[cfg(test)]
mod tests;
