//! Weight files: named float tensors from safetensors and PyTorch files, without running pickle
//! code.
//!
//! A `.pth` file is a program for Python's pickle machine, and running a stranger's program is how
//! a download takes over a computer. [`read`] therefore interprets only the opcodes and names that
//! a plain state dict needs (`pickle`), and says which name it refused otherwise. What a file is,
//! is found from its bytes, never from its name: people rename weights.
//!
//! Everything in a file is a claim to be checked against the file's own length before memory is
//! taken for it; a damaged or hostile file ends in an error.
//!
//! ```no_run
//! let weights = looksee::encoder::weights::read("resnet50.pth".as_ref())?;
//! println!("{:?}", weights["conv1.weight"].shape); // [64, 3, 7, 7]
//! # Ok::<(), looksee::error::Error>(())
//! ```

mod archive;
mod floats;
mod pickle;
mod safetensors;
mod torch;

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::files;

/// The longest file that is read, 8 GiB: several times what the largest tower needs.
pub(super) const MOST_BYTES: u64 = 8 << 30;

/// One tensor of a weight file.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// Sizes, slowest first.
    pub shape: Vec<usize>,
    /// Row-major values; f16, bf16 and f64 are converted.
    pub values: Vec<f32>,
}

/// The floating-point tensors of a file by name.
pub type Weights = BTreeMap<String, NamedTensor>;

/// Reads `.safetensors`, `.pth`/`.pt` (zip and old pickle form), or a `.whl`/`.zip` holding one.
///
/// Integer tensors such as `num_batches_tracked` are left out. Of a training checkpoint the state
/// dict under `state_dict_ema`, `state_dict`, `model_state_dict` or `model` is taken, and a
/// `module.` that parallel training put before every name is removed.
///
/// The kind of an error tells a missing file (`NotFound`), a damaged one (`Corrupt`), one that
/// needs more than a state dict does (`Unsupported`) and one that unpacks to far more than its own
/// size (`TooLarge`).
pub fn read(path: &Path) -> Result<Weights> {
    let bytes = files::read_at_most(path, MOST_BYTES)?;
    read_bytes(&bytes).map_err(|error| error.at_file(path))
}

/// [`read`], and the string metadata of the file; that of other files than safetensors is empty.
pub(crate) fn read_with_metadata(path: &Path) -> Result<(Weights, BTreeMap<String, String>)> {
    let bytes = files::read_at_most(path, MOST_BYTES)?;
    let read = || {
        let metadata = match Form::of(&bytes) {
            Form::Safetensors => safetensors::metadata(&bytes)?,
            Form::Zip | Form::Pickle | Form::Unknown => BTreeMap::new(),
        };
        Ok((read_bytes(&bytes)?, metadata))
    };
    read().map_err(|error: Error| error.at_file(path))
}

/// Writes safetensors with string metadata, whole or not at all; same content, same bytes.
///
/// A tensor whose shape does not multiply to its number of values is refused.
pub fn write(path: &Path, weights: &Weights, metadata: &BTreeMap<String, String>) -> Result<()> {
    for (name, tensor) in weights {
        safetensors::check(name, tensor).map_err(|error| error.at_file(path))?;
    }
    let header = header(shapes(weights), metadata);
    files::replace(path, |out| safetensors::write(out, &header, weights))
}

/// The bytes of the file that [`write`] makes, without metadata.
pub(super) fn to_bytes(weights: &Weights) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    safetensors::write(&mut bytes, &header(shapes(weights), &BTreeMap::new()), weights)?;
    Ok(bytes)
}

/// The bytes before the values in the file that [`write`] makes of tensors of these names and
/// shapes.
pub(crate) fn header<'a>(
    tensors: impl IntoIterator<Item = (&'a str, &'a [usize])>,
    metadata: &BTreeMap<String, String>,
) -> Vec<u8> {
    safetensors::header(tensors, metadata)
}

/// Names and shapes, in the order of a file.
pub(crate) fn shapes(weights: &Weights) -> impl Iterator<Item = (&str, &[usize])> {
    weights.iter().map(|(name, tensor)| (name.as_str(), tensor.shape.as_slice()))
}

/// The float tensors and the string metadata of a safetensors file.
pub(crate) fn parse(bytes: &[u8]) -> Result<(Weights, BTreeMap<String, String>)> {
    match Form::of(bytes) {
        Form::Safetensors => Ok((safetensors::read(bytes)?, safetensors::metadata(bytes)?)),
        _ => Err(unknown(bytes)),
    }
}

/// The string metadata of a safetensors file; empty if it has none.
pub fn read_metadata(path: &Path) -> Result<BTreeMap<String, String>> {
    let bytes = files::read_at_most(path, MOST_BYTES)?;
    metadata_of(&bytes).map_err(|error| error.at_file(path))
}

/// What the first bytes of a file say it is.
enum Form {
    Safetensors,
    Zip,
    Pickle,
    Unknown,
}

impl Form {
    fn of(bytes: &[u8]) -> Self {
        if safetensors::begins(bytes) {
            Self::Safetensors
        } else if bytes.starts_with(b"PK") {
            Self::Zip
        } else if bytes.first() == Some(&pickle::FIRST_BYTE) {
            Self::Pickle
        } else {
            Self::Unknown
        }
    }
}

fn read_bytes(bytes: &[u8]) -> Result<Weights> {
    match Form::of(bytes) {
        Form::Zip => archive::read(bytes),
        _ => read_bare(bytes),
    }
}

/// A weight file that is not a zip.
fn read_bare(bytes: &[u8]) -> Result<Weights> {
    match Form::of(bytes) {
        Form::Safetensors => safetensors::read(bytes),
        Form::Pickle => torch::read_old(bytes),
        Form::Zip | Form::Unknown => Err(unknown(bytes)),
    }
}

fn metadata_of(bytes: &[u8]) -> Result<BTreeMap<String, String>> {
    match Form::of(bytes) {
        Form::Safetensors => safetensors::metadata(bytes),
        Form::Zip | Form::Pickle => Err(Error::new(
            ErrorKind::Unsupported,
            "a PyTorch file holds no metadata; only safetensors files do",
        )),
        Form::Unknown => Err(unknown(bytes)),
    }
}

/// The sentence for bytes that are no weight file, with the likely cause where it shows.
fn unknown(bytes: &[u8]) -> Error {
    let (kind, found) = if bytes.is_empty() {
        (ErrorKind::Corrupt, "the file is empty; download it again")
    } else if bytes.starts_with(b"version https://git-lfs") {
        (ErrorKind::Invalid, "this is a Git LFS pointer, not the weights; run `git lfs pull`")
    } else if bytes.trim_ascii_start().first() == Some(&b'<') {
        (ErrorKind::Invalid, "this is a web page, not weights; download the file itself")
    } else if bytes.get(257..262) == Some(b"ustar") {
        (
            ErrorKind::Unsupported,
            "this is a tar file; if it is a PyTorch file from before 0.2, load it there and save \
             `model.state_dict()` again, else unpack it",
        )
    } else {
        (
            ErrorKind::Unsupported,
            "not a weight file (expected .safetensors, a PyTorch .pth or .pt, or a .whl or .zip \
             that holds one); if it is one of these, it is damaged: download it again",
        )
    };
    Error::new(kind, found)
}

/// A name from a file, fit for a message: no control characters, not longer than a line.
pub(super) fn clipped(name: &str) -> String {
    const LONGEST: usize = 80;
    let mut shown: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
