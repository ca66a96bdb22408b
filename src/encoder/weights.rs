//! Weight files: named tensors from safetensors and PyTorch files, without running pickle code.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::Result;

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
pub fn read(path: &Path) -> Result<Weights> {
    let _ = path;
    unimplemented!()
}

/// Writes safetensors with string metadata, whole or not at all; same content, same bytes.
pub fn write(path: &Path, weights: &Weights, metadata: &BTreeMap<String, String>) -> Result<()> {
    let _ = (path, weights, metadata);
    unimplemented!()
}
