//! PyTorch files: a pickle that describes tensors, and storages that hold their numbers.
//!
//! The zip form keeps each storage as an entry (`archive`). The old form is a row of five pickles
//! (magic number, protocol, system, the object, the keys of the storages) and then the storages,
//! each a 64-bit count before its bytes. In both a tensor is a strided view of a storage, which
//! several tensors may share.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::floats::{self, ByteOrder, Element};
use super::pickle::{Handle, Node, Pickle, Tensor};
use super::{NamedTensor, Weights, clipped};
use crate::error::{Error, ErrorKind, Result};

/// The number an old file begins with, 0x1950a86a20f9469cfc6c.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// The protocol of all old files.
const PROTOCOL: i64 = 1001;

/// Where training programs put the state dict into a checkpoint, best first.
const WRAPPERS: [&str; 4] = ["state_dict_ema", "state_dict", "model_state_dict", "model"];

/// What wrappers for parallel or compiled training put before every name.
const PREFIXES: [&str; 2] = ["module.", "_orig_mod."];

/// PyTorch's own bound on the number of sizes of a tensor.
const MOST_SIZES: usize = 64;

/// Where the numbers of a pickle's tensors are.
pub(super) trait Storages {
    /// The bytes of the storage with this key; asked once a key.
    fn bytes(&mut self, key: &str) -> Result<Cow<'_, [u8]>>;

    /// The byte order of all storages.
    fn order(&self) -> ByteOrder;
}

/// Reads the old form.
pub(super) fn read_old(bytes: &[u8]) -> Result<Weights> {
    let mut rest = bytes;
    let magic = next(&mut rest)?;
    if magic.node(magic.root()) != &Node::Long(&MAGIC) {
        return Err(no_torch_file());
    }
    check_protocol(&next(&mut rest)?)?;
    check_system(&next(&mut rest)?)?;
    let program = next(&mut rest)?;
    let keys = next(&mut rest)?;
    let mut storages = OldStorages::find(rest, &program, &keys)?;
    assemble(&program, &mut storages, bytes.len())
}

/// Reads the tensors that `program` describes, of a file of `file_bytes` bytes in all.
pub(super) fn read_program(
    program: &[u8],
    storages: &mut dyn Storages,
    file_bytes: usize,
) -> Result<Weights> {
    assemble(&Pickle::read(program)?, storages, file_bytes)
}

/// Runs the pickle at the start of `rest` and steps over it.
fn next<'a>(rest: &mut &'a [u8]) -> Result<Pickle<'a>> {
    let pickle = Pickle::read(rest)?;
    *rest = &rest[pickle.length..];
    Ok(pickle)
}

fn check_protocol(pickle: &Pickle<'_>) -> Result<()> {
    match pickle.node(pickle.root()) {
        Node::Int(PROTOCOL) => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            format!("an old PyTorch file of a protocol other than {PROTOCOL}; save it again"),
        )),
    }
}

fn check_system(pickle: &Pickle<'_>) -> Result<()> {
    let little = entry(pickle, pickle.root(), "little_endian").map(|flag| pickle.node(flag));
    match little {
        Some(Node::Bool(false)) => Err(Error::new(
            ErrorKind::Unsupported,
            "an old PyTorch file from a big-endian machine; save it again with torch 1.6 or later",
        )),
        _ => Ok(()),
    }
}

/// The storages at the end of an old file, by key.
struct OldStorages<'a>(HashMap<&'a str, &'a [u8]>);

impl<'a> OldStorages<'a> {
    fn find(mut rest: &'a [u8], program: &Pickle<'a>, keys: &Pickle<'a>) -> Result<Self> {
        let elements: HashMap<&str, Element> = program
            .storages()
            .filter_map(|storage| Some((program.text(storage.key)?, storage.element)))
            .collect();
        let mut storages = HashMap::new();
        for &key in keys.sequence(keys.root()).ok_or_else(|| damaged("no list of storages"))? {
            let key = keys.text(key).ok_or_else(|| damaged("a storage without a name"))?;
            let element = elements.get(key).ok_or_else(|| damaged("a storage that is not used"))?;
            storages.insert(key, take_storage(&mut rest, *element)?);
        }
        Ok(Self(storages))
    }
}

fn take_storage<'a>(rest: &mut &'a [u8], element: Element) -> Result<&'a [u8]> {
    let cut_off = || damaged("it ends within the numbers");
    let (count, numbers) = rest.split_first_chunk().ok_or_else(cut_off)?;
    let length = usize::try_from(i64::from_le_bytes(*count))
        .ok()
        .and_then(|count| count.checked_mul(element.bytes()));
    let (taken, others) =
        length.and_then(|length| numbers.split_at_checked(length)).ok_or_else(cut_off)?;
    *rest = others;
    Ok(taken)
}

impl Storages for OldStorages<'_> {
    fn bytes(&mut self, key: &str) -> Result<Cow<'_, [u8]>> {
        let bytes = self.0.get(key).ok_or_else(|| damaged("a tensor without its storage"))?;
        Ok(Cow::Borrowed(bytes))
    }

    fn order(&self) -> ByteOrder {
        ByteOrder::Little
    }
}

/// The float tensors of the state dict, storage by storage, so that one is unpacked at a time.
fn assemble(
    pickle: &Pickle<'_>,
    storages: &mut dyn Storages,
    file_bytes: usize,
) -> Result<Weights> {
    let mut left = Budget(file_bytes);
    let mut weights = Weights::new();
    for (key, tensors) in by_storage(pickle)? {
        let order = storages.order();
        let bytes = storages.bytes(key)?;
        for (name, tensor) in tensors {
            let values = View::of(pickle, tensor)
                .and_then(|view| left.spend(&view).map(|()| view))
                .and_then(|view| view.read(order, &bytes))
                .map_err(|error| error.at_item(clipped(name)))?;
            weights.insert(name.to_owned(), values);
        }
    }
    Ok(without_prefixes(weights))
}

/// How many more values the tensors of a file may have in all: one for each of its bytes, which
/// is four times what f32 needs. Only views that repeat a number take more.
struct Budget(usize);

impl Budget {
    fn spend(&mut self, view: &View) -> Result<()> {
        let left =
            self.0.checked_sub(view.shape.len()).and_then(|left| left.checked_sub(view.count));
        self.0 = left.ok_or_else(|| {
            Error::new(
                ErrorKind::TooLarge,
                "the tensors are many times larger than the file; save them with .contiguous()",
            )
        })?;
        Ok(())
    }
}

type Named<'a> = (&'a str, Tensor);

fn by_storage<'a>(pickle: &Pickle<'a>) -> Result<BTreeMap<&'a str, Vec<Named<'a>>>> {
    let mut groups: BTreeMap<&str, Vec<Named<'_>>> = BTreeMap::new();
    for (name, tensor) in float_tensors(pickle)? {
        let key = pickle.text(tensor.storage.key).unwrap_or_default();
        groups.entry(key).or_default().push((name, tensor));
    }
    Ok(groups)
}

fn float_tensors<'a>(pickle: &Pickle<'a>) -> Result<BTreeMap<&'a str, Tensor>> {
    let entries = state_dict(pickle)?;
    let mut tensors = BTreeMap::new();
    for &(key, value) in entries {
        if let (Some(name), &Node::Tensor(tensor)) = (pickle.text(key), pickle.node(value))
            && tensor.storage.element.is_float()
        {
            tensors.insert(name, tensor);
        }
    }
    if tensors.is_empty() { Err(no_tensors(pickle, entries)) } else { Ok(tensors) }
}

/// The root, or what a checkpoint holds under one of the [`WRAPPERS`].
fn state_dict<'p>(pickle: &'p Pickle<'_>) -> Result<&'p [(Handle, Handle)]> {
    let inner =
        WRAPPERS.iter().find_map(|wrapper| mapping(pickle, entry(pickle, pickle.root(), wrapper)?));
    inner.or_else(|| mapping(pickle, pickle.root())).ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            "the file holds no dict of tensors; save `model.state_dict()` with torch.save",
        )
    })
}

fn mapping<'p>(pickle: &'p Pickle<'_>, handle: Handle) -> Option<&'p [(Handle, Handle)]> {
    match pickle.node(handle) {
        Node::Mapping(entries) => Some(entries),
        _ => None,
    }
}

/// The value of a key; the last counts.
fn entry(pickle: &Pickle<'_>, dict: Handle, wanted: &str) -> Option<Handle> {
    mapping(pickle, dict)?
        .iter()
        .rev()
        .find(|&&(key, _)| pickle.text(key) == Some(wanted))
        .map(|&(_, value)| value)
}

/// Removes a prefix that every name has; several wrappers give several.
fn without_prefixes(mut weights: Weights) -> Weights {
    for _ in PREFIXES {
        for prefix in PREFIXES {
            if weights.keys().all(|name| name.starts_with(prefix)) {
                weights = without(prefix, weights);
            }
        }
    }
    weights
}

fn without(prefix: &str, weights: Weights) -> Weights {
    let stripped = |name: String| name[prefix.len()..].to_owned();
    weights.into_iter().map(|(name, tensor)| (stripped(name), tensor)).collect()
}

/// A tensor's place in its storage, as far as it can be checked without the storage.
struct View {
    element: Element,
    /// First element within the bytes of the storage's key.
    first: usize,
    /// The same of the element after the storage's last.
    end: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
    /// Product of the shape.
    count: usize,
}

impl View {
    fn of(pickle: &Pickle<'_>, tensor: Tensor) -> Result<Self> {
        let shape = sizes(pickle, tensor.shape)?;
        let strides = sizes(pickle, tensor.strides)?;
        if shape.len() != strides.len() {
            return Err(damaged("a tensor with more sizes than strides or fewer"));
        }
        let storage = tensor.storage;
        let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
        let first = storage.first.checked_add(tensor.offset);
        let end = storage.first.checked_add(storage.count);
        let (Some(count), Some(first), Some(end)) = (count, first, end) else {
            return Err(damaged("a tensor of impossible size"));
        };
        Ok(Self { element: storage.element, first, end, shape, strides, count })
    }

    fn read(self, order: ByteOrder, storage: &[u8]) -> Result<NamedTensor> {
        let values = if self.count == 0 {
            Vec::new()
        } else if self.is_contiguous() {
            floats::decode(self.element, order, self.span(storage)?)
        } else {
            self.gather(order, self.span(storage)?)
        };
        Ok(NamedTensor { shape: self.shape, values })
    }

    /// The bytes from the first element to the last.
    fn span<'a>(&self, storage: &'a [u8]) -> Result<&'a [u8]> {
        let mut last = Some(self.first);
        for (&size, &stride) in self.shape.iter().zip(&self.strides) {
            let reach = (size - 1).checked_mul(stride);
            last = last.zip(reach).and_then(|(last, reach)| last.checked_add(reach));
        }
        let past_last = last.and_then(|last| last.checked_add(1)).filter(|&past| past <= self.end);
        let bytes = self.element.bytes();
        past_last
            .and_then(|past| past.checked_mul(bytes))
            .and_then(|end| storage.get(self.first.checked_mul(bytes)?..end))
            .ok_or_else(|| damaged("a tensor reaches beyond its storage"))
    }

    /// Whether the elements lie in row-major order without gaps.
    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        for (&size, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if size != 1 && stride != expected {
                return false;
            }
            expected *= size;
        }
        true
    }

    /// Copies element by element; `span` begins at the first.
    fn gather(&self, order: ByteOrder, span: &[u8]) -> Vec<f32> {
        let bytes = self.element.bytes();
        let mut index = vec![0; self.shape.len()];
        let mut at = 0;
        let mut values = Vec::with_capacity(self.count);
        for _ in 0..self.count {
            values.push(floats::value(self.element, order, &span[at * bytes..][..bytes]));
            self.advance(&mut index, &mut at);
        }
        values
    }

    /// Steps to the next element in row-major order, after the last to the first.
    ///
    /// Wrapping, because the stride of an axis of size 1 is any number and never used.
    fn advance(&self, index: &mut [usize], at: &mut usize) {
        for axis in (0..index.len()).rev() {
            index[axis] += 1;
            *at = at.wrapping_add(self.strides[axis]);
            if index[axis] < self.shape[axis] {
                return;
            }
            *at = at.wrapping_sub(self.strides[axis].wrapping_mul(self.shape[axis]));
            index[axis] = 0;
        }
    }
}

fn sizes(pickle: &Pickle<'_>, handle: Handle) -> Result<Vec<usize>> {
    let sizes = pickle.sequence(handle).filter(|sizes| sizes.len() <= MOST_SIZES);
    sizes
        .and_then(|sizes| sizes.iter().map(|&size| pickle.count(size)).collect())
        .ok_or_else(|| damaged("a tensor whose shape or strides are no list of sizes"))
}

fn no_torch_file() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "a pickle that torch.save did not write; save `model.state_dict()` with torch.save, or \
         save the weights as safetensors",
    )
}

fn no_tensors(pickle: &Pickle<'_>, entries: &[(Handle, Handle)]) -> Error {
    let names: Vec<String> =
        entries.iter().filter_map(|&(key, _)| pickle.text(key)).take(8).map(clipped).collect();
    let found = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    Error::invalid(format!(
        "the file holds no float tensors (found: {found}); save `model.state_dict()` itself"
    ))
}

fn damaged(what: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("the PyTorch file is cut off or damaged ({what}); download it again"),
    )
}
