//! The weight file of a model, open and read a part at a time.
//!
//! The values of the image tower lie before those of the text tower, each without a gap, because a
//! file is written in the order of its names. Which names and shapes those are follows from the
//! architecture; so the header is not taken apart but compared with the one that the architecture
//! calls for, and before memory is taken for values, the file must be exactly as long as they are.
//!
//! The file is read, not mapped: it stays the one that was opened when its name is given to another
//! or taken away, and one that is cut short under a running program is an error, not a signal.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::card::{Card, hex};
use super::parameters::Parameters;
use super::towers::Towers;
use super::weights;
use crate::error::{Error, ErrorKind, Result};
use crate::files;

/// What lies after the longest header that could be; a file of format 1 is held to its sum with
/// the values.
const HEADER_MOST: u64 = 16 << 20;

/// One of the two towers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Image,
    Text,
}

/// What the bytes of a weight file must be.
#[derive(Clone, Debug)]
pub(super) enum Guard {
    /// Header and towers, each by itself.
    Parts { header: Vec<u8>, image: Part, text: Part },
    /// Format 1: the whole file by one checksum in hex, and the most bytes that it may have.
    Whole { checksum: String, most: u64 },
}

/// Bytes that lie together, and their checksum in hex.
#[derive(Clone, Debug)]
pub(super) struct Part {
    bytes: u64,
    checksum: String,
}

#[cfg(test)]
impl Part {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Guard {
    /// What guards the file of a card of this build.
    pub(super) fn parts(card: &Card, towers: &Towers) -> Self {
        let (image, text) = (towers.waiting_image(), towers.waiting_text());
        Self::Parts {
            header: header(&image, &text),
            image: Part { bytes: values(&image), checksum: card.checksums.image.clone() },
            text: Part { bytes: values(&text), checksum: card.checksums.text.clone() },
        }
    }

    /// What guards the file of a card of format 1.
    pub(super) fn whole(checksum: String, towers: &Towers) -> Self {
        let values = values(&towers.waiting_image()) + values(&towers.waiting_text());
        Self::Whole { checksum, most: values + HEADER_MOST }
    }
}

/// The header of a file of both towers.
fn header(image: &Parameters, text: &Parameters) -> Vec<u8> {
    let shapes: Vec<_> = image.file_shapes().chain(text.file_shapes()).collect();
    let shapes = shapes.iter().map(|(name, shape)| (*name, shape.as_slice()));
    weights::header(shapes, &BTreeMap::new())
}

/// Bytes of all values.
fn values(parameters: &Parameters) -> u64 {
    let counts = parameters.file_shapes().map(|(_, shape)| shape.iter().product::<usize>());
    4 * counts.sum::<usize>() as u64
}

/// An open weight file.
#[derive(Debug)]
pub(super) struct WeightFile {
    file: Mutex<File>,
    path: PathBuf,
    guard: Guard,
}

impl WeightFile {
    /// Opens the file and looks at its length and, where the parts are guarded, its header.
    pub(super) fn open(path: &Path, guard: Guard) -> Result<Self> {
        let file = files::open(path).map_err(|e| match e.kind() {
            ErrorKind::NotFound => Error::new(
                ErrorKind::NotFound,
                "the model's weight file is missing; copy the whole model folder, or train again",
            )
            .at_file(path),
            _ => e,
        })?;
        let found = file.metadata().map_err(|e| Error::io("cannot read", e).at_file(path))?.len();
        let opened = Self { file: Mutex::new(file), path: path.to_path_buf(), guard };
        opened.check(found)?;
        Ok(opened)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn guard(&self) -> &Guard {
        &self.guard
    }

    fn check(&self, found: u64) -> Result<()> {
        match &self.guard {
            Guard::Whole { most, .. } if found > *most => Err(self.another(&format!(
                "has {found} bytes and the architecture calls for {most} at most"
            ))),
            Guard::Whole { .. } => Ok(()),
            Guard::Parts { header, image, text } => {
                let expected = header.len() as u64 + image.bytes + text.bytes;
                if found != expected {
                    let lengths = format!("has {found} bytes and not {expected}");
                    return Err(self.another(&lengths));
                }
                if self.read(0, header.len() as u64)? != *header {
                    return Err(self.another("names other tensors than the architecture has"));
                }
                Ok(())
            }
        }
    }

    /// The values of a tower, compared with their checksum.
    pub(super) fn tower(&self, side: Side) -> Result<Vec<u8>> {
        let Guard::Parts { header, image, text } = &self.guard else {
            return Err(self.another("is guarded only as a whole"));
        };
        let start = header.len() as u64;
        let (start, part, name) = match side {
            Side::Image => (start, image, "the image tower"),
            Side::Text => (start + image.bytes, text, "the text tower"),
        };
        let bytes = self.read(start, part.bytes)?;
        if hex(files::checksum(&bytes)) != part.checksum {
            return Err(self.another(&format!("holds other values of {name}")));
        }
        Ok(bytes)
    }

    /// All bytes, every part of them compared with its checksum.
    pub(super) fn whole(&self) -> Result<Vec<u8>> {
        match &self.guard {
            Guard::Parts { header, .. } => {
                let (image, text) = (self.tower(Side::Image)?, self.tower(Side::Text)?);
                Ok([header.as_slice(), &image, &text].concat())
            }
            Guard::Whole { checksum, most } => {
                let bytes = self.read_to_end(*most)?;
                if hex(files::checksum(&bytes)) != *checksum {
                    return Err(self.another(&format!("has {} bytes of its own", bytes.len())));
                }
                Ok(bytes)
            }
        }
    }

    fn read(&self, start: u64, count: u64) -> Result<Vec<u8>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = vec![0; usize::try_from(count).unwrap_or(usize::MAX)];
        let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut bytes));
        match read {
            Ok(()) => Ok(bytes),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(self.another("became shorter while it was open"))
            }
            Err(e) => Err(Error::io("cannot read", e).at_file(&self.path)),
        }
    }

    fn read_to_end(&self, most: u64) -> Result<Vec<u8>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0))
            .and_then(|_| (&mut *file).take(most).read_to_end(&mut bytes))
            .map_err(|e| Error::io("cannot read", e).at_file(&self.path))?;
        Ok(bytes)
    }

    /// The error about a file that is not the one that was written.
    fn another(&self, found: &str) -> Error {
        Error::new(
            ErrorKind::Corrupt,
            format!(
                "the weight file is not the one that model.toml was written with, it {found}: cut \
                 short or changed; copy the model folder again, or train again"
            ),
        )
        .at_file(&self.path)
    }
}
