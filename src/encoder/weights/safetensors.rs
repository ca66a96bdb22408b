//! Safetensors: a length, a JSON header, the values. Read through the `safetensors` package;
//! written here, because the package orders metadata by chance and ours must be the same bytes for
//! the same content.

use std::collections::BTreeMap;
use std::io::Write;

use ::safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::{Map, Value, json};

use super::floats::{self, ByteOrder, Element};
use super::{NamedTensor, Weights};
use crate::error::{Error, ErrorKind, Result};
use crate::files;

/// The header's field for metadata; no tensor can have this name.
const METADATA: &str = "__metadata__";

/// The format's own bound on a header.
const LONGEST_HEADER: u64 = 100_000_000;

/// Whether `bytes` begin as safetensors do: a believable header length, then a JSON object.
pub(super) fn begins(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk() else { return false };
    rest.first() == Some(&b'{') && u64::from_le_bytes(*length) <= LONGEST_HEADER
}

/// The float tensors of a whole file.
pub(super) fn read(bytes: &[u8]) -> Result<Weights> {
    let tensors = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let mut weights = Weights::new();
    for (name, view) in tensors.iter() {
        if let Some(element) = element_of(name, view.dtype())? {
            weights.insert(name.to_owned(), tensor(&view, element));
        }
    }
    Ok(weights)
}

/// The string metadata of a whole file.
pub(super) fn metadata(bytes: &[u8]) -> Result<BTreeMap<String, String>> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    Ok(header.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect())
}

/// Everything before the values: length and JSON, padded so that the values are aligned.
pub(super) fn header<'a>(
    tensors: impl IntoIterator<Item = (&'a str, &'a [usize])>,
    metadata: &BTreeMap<String, String>,
) -> Vec<u8> {
    let mut fields = Map::new();
    if !metadata.is_empty() {
        fields.insert(METADATA.to_owned(), json!(metadata));
    }
    let mut start = 0;
    for (name, shape) in tensors {
        let end = start + shape.iter().product::<usize>() * 4;
        let field = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]});
        fields.insert(name.to_owned(), field);
        start = end;
    }
    let mut text = Value::Object(fields).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    [(text.len() as u64).to_le_bytes().as_slice(), &text].concat()
}

/// Writes a header made by [`header`] and the values after it.
pub(super) fn write(out: &mut impl Write, header: &[u8], weights: &Weights) -> Result<()> {
    let failed = |error| Error::io("cannot write the weights", error);
    out.write_all(header).map_err(failed)?;
    for tensor in weights.values() {
        out.write_all(&files::f32_bytes(&tensor.values)).map_err(failed)?;
    }
    Ok(())
}

/// Refuses a tensor that cannot be written.
pub(super) fn check(name: &str, tensor: &NamedTensor) -> Result<()> {
    if name == METADATA {
        return Err(Error::invalid(format!("a tensor cannot be named {METADATA}; rename it")));
    }
    let expected = tensor.shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
    if expected != Some(tensor.values.len()) {
        let (shape, found) = (shown(&tensor.shape), tensor.values.len());
        return Err(Error::new(
            ErrorKind::Mismatch,
            format!("tensor {name} of shape {shape} has {found} values"),
        ));
    }
    Ok(())
}

/// Sizes as `[64, 3, 7, 7]`.
fn shown(shape: &[usize]) -> String {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("[{}]", sizes.join(", "))
}

/// How to read a tensor, or `None` for whole numbers.
fn element_of(name: &str, dtype: Dtype) -> Result<Option<Element>> {
    Ok(match dtype {
        Dtype::F16 => Some(Element::F16),
        Dtype::BF16 => Some(Element::Bf16),
        Dtype::F32 => Some(Element::F32),
        Dtype::F64 => Some(Element::F64),
        Dtype::BOOL
        | Dtype::U8
        | Dtype::I8
        | Dtype::U16
        | Dtype::I16
        | Dtype::U32
        | Dtype::I32
        | Dtype::U64
        | Dtype::I64 => None,
        other => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("tensor {name} is stored as {other}; convert it to f32, f16 or bf16"),
            ));
        }
    })
}

fn tensor(view: &TensorView<'_>, element: Element) -> NamedTensor {
    let values = floats::decode(element, ByteOrder::Little, view.data());
    NamedTensor { shape: view.shape().to_vec(), values }
}

fn damaged(error: ::safetensors::SafeTensorError) -> Error {
    Error::new(ErrorKind::Corrupt, "the safetensors file is cut off or damaged; download it again")
        .with_source(error)
}
