//! Zip files: PyTorch's own form, and archives (a Python wheel, a `.zip`) that carry one weight
//! file.
//!
//! The two are told apart by the entry `data.pkl`, which every PyTorch zip has. What an entry
//! unpacks to is bounded by the size of the zip, so that a small file cannot fill the memory.

use std::borrow::Cow;
use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::floats::ByteOrder;
use super::torch::{self, Storages};
use super::{Form, Weights, clipped, read_bare};
use crate::error::{Error, ErrorKind, Result};

/// The pickle of a PyTorch zip.
const PICKLE: &str = "data.pkl";

/// Names of weight files inside an archive end so.
const ENDINGS: [&str; 3] = [".safetensors", ".pth", ".pt"];

/// All entries together may unpack to so many bytes for each byte of the zip. Weights hardly
/// compress, runs of zeros do; deflate's own bound is about 1,000.
const UNPACKED_PER_BYTE: u64 = 16;

/// What a zip of any size may unpack to.
const UNPACKED_AT_LEAST: u64 = 1 << 20;

/// Reads a PyTorch zip, or the one weight file of another archive.
pub(super) fn read(bytes: &[u8]) -> Result<Weights> {
    let mut zip = Zip::open(bytes)?;
    if let Some(pickle) = zip.only_pickle()? {
        return read_torch(zip, &pickle, bytes.len());
    }
    let name = zip.only_weight_file()?;
    let inner = zip.unpack(&name)?;
    read_inner(&inner).map_err(|error| error.at_item(clipped(&name)))
}

fn read_inner(bytes: &[u8]) -> Result<Weights> {
    let Form::Zip = Form::of(bytes) else { return read_bare(bytes) };
    let zip = Zip::open(bytes)?;
    match zip.only_pickle()? {
        Some(pickle) => read_torch(zip, &pickle, bytes.len()),
        None => Err(Error::new(
            ErrorKind::Unsupported,
            "an archive inside an archive; unpack the outer one first",
        )),
    }
}

fn read_torch(mut zip: Zip<'_>, pickle: &str, file_bytes: usize) -> Result<Weights> {
    let folder = pickle.strip_suffix(PICKLE).unwrap_or_default().to_owned();
    let program = zip.unpack(pickle)?;
    let order = byte_order(&mut zip, &folder)?;
    torch::read_program(&program, &mut TorchZip { zip, folder, order }, file_bytes)
}

fn byte_order(zip: &mut Zip<'_>, folder: &str) -> Result<ByteOrder> {
    let name = format!("{folder}byteorder");
    if zip.archive.index_for_name(&name).is_none() {
        return Ok(ByteOrder::Little);
    }
    match zip.unpack(&name)?.as_slice() {
        b"little" => Ok(ByteOrder::Little),
        b"big" => Ok(ByteOrder::Big),
        _ => Err(Error::new(
            ErrorKind::Corrupt,
            "the entry \"byteorder\" is neither little nor big; download the file again",
        )),
    }
}

/// The storages of a PyTorch zip: entries `data/0`, `data/1` and so on.
struct TorchZip<'a> {
    zip: Zip<'a>,
    folder: String,
    order: ByteOrder,
}

impl Storages for TorchZip<'_> {
    fn bytes(&mut self, key: &str) -> Result<Cow<'_, [u8]>> {
        let name = format!("{}data/{key}", self.folder);
        self.zip.unpack(&name).map(Cow::Owned)
    }

    fn order(&self) -> ByteOrder {
        self.order
    }
}

/// A zip in memory and how much it may still unpack.
struct Zip<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    bytes_left: u64,
}

impl<'a> Zip<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
        let bytes_left = UNPACKED_AT_LEAST + UNPACKED_PER_BYTE * bytes.len() as u64;
        Ok(Self { archive, bytes_left })
    }

    fn only_pickle(&self) -> Result<Option<String>> {
        let is_pickle = |name: &str| {
            name.strip_suffix(PICKLE)
                .is_some_and(|folder| folder.is_empty() || folder.ends_with('/'))
        };
        let names = self.names(is_pickle);
        match names.as_slice() {
            [] => Ok(None),
            [name] => Ok(Some(name.clone())),
            _ => Err(several(&names)),
        }
    }

    fn only_weight_file(&self) -> Result<String> {
        let mut names = self.names(|name| ENDINGS.iter().any(|ending| name.ends_with(ending)));
        match names.len() {
            0 => Err(none(&self.names(|_| true))),
            1 => Ok(names.remove(0)),
            _ => Err(several(&names)),
        }
    }

    fn names(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut names: Vec<String> =
            self.archive.file_names().filter(|name| wanted(name)).map(str::to_owned).collect();
        names.sort_unstable();
        names
    }

    fn unpack(&mut self, name: &str) -> Result<Vec<u8>> {
        let entry = self.archive.by_name(name).map_err(|error| missing(name, error))?;
        let mut bytes = Vec::new();
        entry.take(self.bytes_left + 1).read_to_end(&mut bytes).map_err(damaged)?;
        match self.bytes_left.checked_sub(bytes.len() as u64) {
            Some(left) => self.bytes_left = left,
            None => return Err(too_large()),
        }
        Ok(bytes)
    }
}

fn several(names: &[String]) -> Error {
    Error::invalid(format!(
        "the archive holds several weight files ({}); unpack it and name one of them",
        listed(names)
    ))
}

fn none(names: &[String]) -> Error {
    let found = if names.is_empty() { "nothing".to_owned() } else { listed(names) };
    Error::new(
        ErrorKind::NotFound,
        format!("the archive holds no .safetensors, .pth or .pt file (found: {found})"),
    )
}

/// The first names, and how many more there are.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let first: Vec<String> = names.iter().take(SHOWN).map(|name| clipped(name)).collect();
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => first.join(", "),
        Some(more) => format!("{} and {more} more", first.join(", ")),
    }
}

fn missing(name: &str, error: ZipError) -> Error {
    match error {
        ZipError::FileNotFound => Error::new(
            ErrorKind::Corrupt,
            format!("the zip has no entry {}; download the file again", clipped(name)),
        ),
        ZipError::UnsupportedArchive(what) => Error::new(
            ErrorKind::Unsupported,
            format!("the zip cannot be read ({what}); unpack it with another program"),
        ),
        other => damaged(other),
    }
}

fn damaged(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Corrupt, "the zip is cut off or damaged; download the file again")
        .with_source(error)
}

fn too_large() -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!(
            "the zip unpacks to more than {UNPACKED_PER_BYTE} times its size, which weights never \
             do; unpack it with another program if you trust it"
        ),
    )
}
