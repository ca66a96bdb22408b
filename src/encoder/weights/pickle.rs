//! Python's pickle machine, cut down to what a state dict needs.
//!
//! A pickle is a program for a stack machine with a memo. Python's machine can import any name and
//! call it; this one knows a dozen names ([`Global`]), builds a graph of [`Node`]s and calls
//! nothing. Every other name and opcode is refused and named in the error.
//!
//! Values live in one vector and refer to each other by [`Handle`]. A program can thus nest lists
//! as deep as it likes, or put a list into itself, without recursion or leaks on our side; and the
//! memory it takes is bounded by its number of steps.

use std::collections::HashMap;

use super::clipped;
use super::floats::Element;
use crate::error::{Error, ErrorKind, Result};

/// The PROTO opcode, with which every pickle of protocol 2 or later begins.
pub(super) const FIRST_BYTE: u8 = 0x80;

/// A checkpoint of ten thousand tensors with its optimiser takes about a million steps.
const MOST_STEPS: usize = 1 << 22;

/// What to do about a file that a state dict reader cannot take.
const ADVICE: &str = "looksee runs no pickle code and reads plain state dicts only: save \
                      `model.state_dict()` with torch.save, or save the weights as safetensors";

/// The place of a [`Node`] in its [`Pickle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle(u32);

/// A value that a pickle made.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node<'a> {
    /// None, a fraction, bytes: values that no tensor is made of.
    Other,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number beyond 64 bits, little-endian two's complement.
    Long(&'a [u8]),
    /// A string.
    Text(&'a str),
    /// A tuple, list or set.
    Sequence(Vec<Handle>),
    /// A dict or `OrderedDict`; of equal keys the last counts.
    Mapping(Vec<(Handle, Handle)>),
    /// One of the names that a pickle may import.
    Global(Global),
    /// Numbers that lie outside the pickle.
    Storage(Storage),
    /// A view of a storage.
    Tensor(Tensor),
}

/// Numbers that lie outside the pickle, by key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    /// What the numbers are.
    pub(super) element: Element,
    /// A text: the name of the entry, or of the place after an old pickle.
    pub(super) key: Handle,
    /// First element, counted from the start of the numbers with this key.
    pub(super) first: usize,
    /// Number of elements.
    pub(super) count: usize,
}

/// A strided view; shape and strides are unchecked, as the pickle has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tensor {
    /// Where the numbers are.
    pub(super) storage: Storage,
    /// First element within the storage.
    pub(super) offset: usize,
    /// A sequence of sizes.
    pub(super) shape: Handle,
    /// A sequence of steps, in elements, one a size.
    pub(super) strides: Handle,
}

/// The names a pickle may import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// `collections.OrderedDict`
    OrderedDict,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`
    RebuildTensor,
    /// `torch._utils._rebuild_parameter` and `torch.nn.parameter.Parameter`
    Parameter,
    /// `torch.Size`
    Size,
    /// `torch.FloatStorage` and the like
    Storage(Element),
}

impl Global {
    fn named(module: &str, name: &str) -> Result<Self> {
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") | ("torch.nn.parameter", "Parameter") => {
                Self::Parameter
            }
            ("torch", "Size") => Self::Size,
            ("torch", "FloatStorage") => Self::Storage(Element::F32),
            ("torch", "HalfStorage") => Self::Storage(Element::F16),
            ("torch", "BFloat16Storage") => Self::Storage(Element::Bf16),
            ("torch", "DoubleStorage") => Self::Storage(Element::F64),
            ("torch", "LongStorage") => Self::Storage(Element::Whole(8)),
            ("torch", "IntStorage") => Self::Storage(Element::Whole(4)),
            ("torch", "ShortStorage") => Self::Storage(Element::Whole(2)),
            ("torch", "CharStorage" | "ByteStorage" | "BoolStorage") => {
                Self::Storage(Element::Whole(1))
            }
            _ => return Err(refused_name(module, name)),
        })
    }
}

/// What one pickle made.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    nodes: Vec<Node<'a>>,
    root: Handle,
    /// Bytes the pickle takes; what follows it is not its own.
    pub(super) length: usize,
}

impl<'a> Pickle<'a> {
    /// Runs the pickle at the start of `bytes`.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self> {
        Machine::new(bytes).run()
    }

    /// The value the program left.
    pub(super) fn root(&self) -> Handle {
        self.root
    }

    /// A value.
    pub(super) fn node(&self, handle: Handle) -> &Node<'a> {
        &self.nodes[handle.0 as usize]
    }

    /// The string at `handle`, if it is one.
    pub(super) fn text(&self, handle: Handle) -> Option<&'a str> {
        match self.node(handle) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements at `handle`, if it is a tuple, list or set.
    pub(super) fn sequence(&self, handle: Handle) -> Option<&[Handle]> {
        match self.node(handle) {
            Node::Sequence(elements) => Some(elements),
            _ => None,
        }
    }

    /// The whole number at `handle`, if it is one that counts something.
    pub(super) fn count(&self, handle: Handle) -> Option<usize> {
        match self.node(handle) {
            Node::Int(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    /// Every storage the program names, in its order.
    pub(super) fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Storage(storage) => Some(storage),
            _ => None,
        })
    }
}

/// The stack machine.
struct Machine<'a> {
    input: Input<'a>,
    nodes: Vec<Node<'a>>,
    stack: Vec<Handle>,
    /// Heights of the stack that MARK remembers; what lies below the last is out of reach.
    marks: Vec<usize>,
    memo: HashMap<u32, Handle>,
    steps_left: usize,
}

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            input: Input { bytes, at: 0 },
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            steps_left: MOST_STEPS,
        }
    }

    fn run(mut self) -> Result<Pickle<'a>> {
        loop {
            self.spend(1)?;
            let opcode = self.input.byte()?;
            if opcode == b'.' {
                let root = self.pop()?;
                return Ok(Pickle { nodes: self.nodes, root, length: self.input.at });
            }
            self.step(opcode)?;
        }
    }

    fn spend(&mut self, steps: usize) -> Result<()> {
        self.steps_left = self.steps_left.checked_sub(steps).ok_or_else(|| {
            Error::new(
                ErrorKind::TooLarge,
                format!("the pickle has more than {MOST_STEPS} steps; save the state dict alone"),
            )
        })?;
        Ok(())
    }

    /// Does one opcode; the names are those of Python's `pickletools`.
    #[expect(clippy::too_many_lines, reason = "one flat list")]
    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            // PROTO, FRAME: nothing that matters here
            0x80 => self.input.skip(1)?,
            0x95 => self.input.skip(8)?,

            // NONE, NEWTRUE, NEWFALSE; BINFLOAT
            b'N' => self.push(Node::Other),
            0x88 => self.push(Node::Bool(true)),
            0x89 => self.push(Node::Bool(false)),
            b'G' => {
                self.input.skip(8)?;
                self.push(Node::Other);
            }

            // BININT, BININT1, BININT2, LONG1, INT, LONG
            b'J' => {
                let number = self.input.u32()? as i32;
                self.push(Node::Int(number.into()));
            }
            b'K' => {
                let number = self.input.byte()?;
                self.push(Node::Int(number.into()));
            }
            b'M' => {
                let number = self.input.u16()?;
                self.push(Node::Int(number.into()));
            }
            0x8a => {
                let bytes = self.input.after_u8()?;
                self.push(whole(bytes));
            }
            b'I' | b'L' => {
                let line = self.input.line()?;
                self.push(decimal(line)?);
            }

            // SHORT_BINUNICODE, SHORT_BINSTRING; BINUNICODE, BINSTRING; BINUNICODE8
            0x8c | b'U' => {
                let bytes = self.input.after_u8()?;
                self.push(text(bytes)?);
            }
            b'X' | b'T' => {
                let bytes = self.input.after_u32()?;
                self.push(text(bytes)?);
            }
            0x8d => {
                let bytes = self.input.after_u64()?;
                self.push(text(bytes)?);
            }

            // SHORT_BINBYTES, BINBYTES
            b'C' => {
                self.input.after_u8()?;
                self.push(Node::Other);
            }
            b'B' => {
                self.input.after_u32()?;
                self.push(Node::Other);
            }

            // EMPTY_TUPLE, EMPTY_LIST, EMPTY_SET; EMPTY_DICT
            b')' | b']' | 0x8f => self.push(Node::Sequence(Vec::new())),
            b'}' => self.push(Node::Mapping(Vec::new())),

            // TUPLE1, TUPLE2, TUPLE3
            0x85..=0x87 => {
                let elements = self.pop_many(usize::from(opcode - 0x84))?;
                self.push(Node::Sequence(elements));
            }

            // MARK; TUPLE, LIST, FROZENSET; DICT
            b'(' => self.marks.push(self.stack.len()),
            b't' | b'l' | 0x91 => {
                let elements = self.pop_to_mark()?;
                self.push(Node::Sequence(elements));
            }
            b'd' => {
                let elements = self.pop_to_mark()?;
                self.push(Node::Mapping(pairs(&elements)?));
            }

            // APPEND; APPENDS, ADDITEMS; SETITEM; SETITEMS
            b'a' => {
                let elements = self.pop_many(1)?;
                self.extend_sequence(&elements)?;
            }
            b'e' | 0x90 => {
                let elements = self.pop_to_mark()?;
                self.extend_sequence(&elements)?;
            }
            b's' => {
                let elements = self.pop_many(2)?;
                self.extend_mapping(&elements)?;
            }
            b'u' => {
                let elements = self.pop_to_mark()?;
                self.extend_mapping(&elements)?;
            }

            // POP, POP_MARK, DUP
            b'0' => self.discard()?,
            b'1' => self.pop_to_mark().map(drop)?,
            b'2' => self.stack.push(self.top()?),

            // BINPUT, LONG_BINPUT, PUT, MEMOIZE
            b'q' => {
                let index = self.input.byte()?;
                self.remember(index.into())?;
            }
            b'r' => {
                let index = self.input.u32()?;
                self.remember(index)?;
            }
            b'p' => {
                let index = memo_index(self.input.line()?)?;
                self.remember(index)?;
            }
            0x94 => self.remember(self.memo.len() as u32)?,

            // BINGET, LONG_BINGET, GET
            b'h' => {
                let index = self.input.byte()?;
                self.recall(index.into())?;
            }
            b'j' => {
                let index = self.input.u32()?;
                self.recall(index)?;
            }
            b'g' => {
                let index = memo_index(self.input.line()?)?;
                self.recall(index)?;
            }

            // GLOBAL, STACK_GLOBAL; REDUCE, NEWOBJ; BUILD; BINPERSID
            b'c' => self.import_line()?,
            0x93 => self.import_stack()?,
            b'R' | 0x81 => self.call()?,
            b'b' => self.build()?,
            b'Q' => self.persistent()?,

            _ => return Err(refused_opcode(opcode)),
        }
        Ok(())
    }

    fn push(&mut self, node: Node<'a>) {
        // A step makes at most one node, so their number stays below `MOST_STEPS`.
        self.stack.push(Handle(self.nodes.len() as u32));
        self.nodes.push(node);
    }

    /// How many values may be popped before the last mark is reached.
    fn reach(&self) -> usize {
        self.stack.len() - self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Handle> {
        match self.stack.last() {
            Some(&top) if self.reach() > 0 => Ok(top),
            _ => Err(damaged("a value is missing on the stack")),
        }
    }

    fn pop(&mut self) -> Result<Handle> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Handle>> {
        if self.reach() < count {
            return Err(damaged("a value is missing on the stack"));
        }
        Ok(self.stack.split_off(self.stack.len() - count))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Handle>> {
        let height = self.marks.pop().ok_or_else(|| damaged("a mark is missing on the stack"))?;
        Ok(self.stack.split_off(height))
    }

    /// POP takes a value, or the mark if there is none above it.
    fn discard(&mut self) -> Result<()> {
        if self.reach() > 0 { self.pop().map(drop) } else { self.pop_to_mark().map(drop) }
    }

    fn extend_sequence(&mut self, elements: &[Handle]) -> Result<()> {
        let Handle(top) = self.top()?;
        let Node::Sequence(sequence) = &mut self.nodes[top as usize] else {
            return Err(damaged("an element is added to what is no list"));
        };
        sequence.extend_from_slice(elements);
        Ok(())
    }

    fn extend_mapping(&mut self, elements: &[Handle]) -> Result<()> {
        let Handle(top) = self.top()?;
        let Node::Mapping(mapping) = &mut self.nodes[top as usize] else {
            return Err(damaged("an entry is added to what is no dict"));
        };
        mapping.extend(pairs(elements)?);
        Ok(())
    }

    fn remember(&mut self, index: u32) -> Result<()> {
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<()> {
        let value =
            self.memo.get(&index).ok_or_else(|| damaged("a remembered value is missing"))?;
        self.stack.push(*value);
        Ok(())
    }

    fn node(&self, handle: Handle) -> &Node<'a> {
        &self.nodes[handle.0 as usize]
    }

    fn import_line(&mut self) -> Result<()> {
        let (module, name) = (self.input.line()?, self.input.line()?);
        self.push(Node::Global(Global::named(module, name)?));
        Ok(())
    }

    fn import_stack(&mut self) -> Result<()> {
        let (name, module) = (self.pop()?, self.pop()?);
        let (&Node::Text(module), &Node::Text(name)) = (self.node(module), self.node(name)) else {
            return Err(damaged("an imported name is not text"));
        };
        self.push(Node::Global(Global::named(module, name)?));
        Ok(())
    }

    /// Stands in for a call: `name, arguments -> value`.
    fn call(&mut self) -> Result<()> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let (&Node::Global(global), Node::Sequence(arguments)) =
            (self.node(callee), self.node(arguments))
        else {
            return Err(damaged("a call of what is no name"));
        };
        match (global, arguments.as_slice()) {
            (Global::OrderedDict, []) => self.push(Node::Mapping(Vec::new())),
            (Global::OrderedDict, &[entries]) => self.ordered_dict(entries)?,
            (Global::Size | Global::Parameter, &[value, ..]) => self.stack.push(value),
            (Global::RebuildTensor, &[storage, offset, shape, strides, ..]) => {
                let tensor = self.tensor(storage, offset, shape, strides)?;
                self.push(Node::Tensor(tensor));
            }
            _ => return Err(damaged("a call with the wrong arguments")),
        }
        Ok(())
    }

    /// A dict of a list of pairs, as Python 2 wrote it.
    fn ordered_dict(&mut self, list: Handle) -> Result<()> {
        // One call may copy a long list, so it counts as many steps.
        self.spend(self.sequence(list)?.len())?;
        let pair = |&pair: &Handle| match self.sequence(pair)? {
            &[key, value] => Ok((key, value)),
            _ => Err(damaged("an entry of a dict is no pair")),
        };
        let entries = self.sequence(list)?.iter().map(pair).collect::<Result<_>>()?;
        self.push(Node::Mapping(entries));
        Ok(())
    }

    fn sequence(&self, handle: Handle) -> Result<&[Handle]> {
        match self.node(handle) {
            Node::Sequence(elements) => Ok(elements),
            _ => Err(damaged("a list is missing")),
        }
    }

    fn tensor(
        &self,
        storage: Handle,
        offset: Handle,
        shape: Handle,
        strides: Handle,
    ) -> Result<Tensor> {
        let (&Node::Storage(storage), Some(offset)) = (self.node(storage), self.count(offset))
        else {
            return Err(damaged("a tensor without storage or offset"));
        };
        Ok(Tensor { storage, offset, shape, strides })
    }

    fn count(&self, handle: Handle) -> Option<usize> {
        match self.node(handle) {
            Node::Int(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    /// BUILD gives an object its fields; a state dict carries `_metadata` so, which is not needed.
    fn build(&mut self) -> Result<()> {
        self.pop()?;
        let top = self.top()?;
        match self.node(top) {
            Node::Mapping(_) | Node::Tensor(_) => Ok(()),
            _ => Err(damaged("fields for what has none")),
        }
    }

    fn persistent(&mut self) -> Result<()> {
        let id = self.pop()?;
        let storage = self.storage(id).ok_or_else(|| damaged("a storage is described wrongly"))?;
        self.push(Node::Storage(storage));
        Ok(())
    }

    /// `('storage', torch.FloatStorage, key, device, count)`; old files add `None` or the part of
    /// the storage that is meant, `(key, first, count)`.
    fn storage(&self, id: Handle) -> Option<Storage> {
        let Node::Sequence(id) = self.node(id) else { return None };
        let &[tag, kind, key, _device, count, ref rest @ ..] = id.as_slice() else { return None };
        let (Node::Text("storage"), &Node::Global(Global::Storage(element)), Node::Text(_)) =
            (self.node(tag), self.node(kind), self.node(key))
        else {
            return None;
        };
        let (first, count) = match rest.first().map(|&view| self.node(view)) {
            Some(Node::Sequence(view)) => (self.count(*view.get(1)?)?, self.count(*view.get(2)?)?),
            _ => (0, self.count(count)?),
        };
        Some(Storage { element, key, first, count })
    }
}

/// The bytes of a program and how far it is read.
struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..count).ok_or_else(|| damaged("it ends too early"))?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn skip(&mut self, count: usize) -> Result<()> {
        self.take(count).map(drop)
    }

    fn byte(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// The bytes after their number.
    fn after_u8(&mut self) -> Result<&'a [u8]> {
        let count = self.byte()?;
        self.take(count.into())
    }

    fn after_u32(&mut self) -> Result<&'a [u8]> {
        let count = self.u32()?;
        self.take(count as usize)
    }

    fn after_u64(&mut self) -> Result<&'a [u8]> {
        let count = self.array().map(u64::from_le_bytes)?;
        self.take(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// The text up to a line feed, which is read too.
    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(length.ok_or_else(|| damaged("it ends too early"))?)?;
        self.at += 1;
        std::str::from_utf8(line).map_err(|_| damaged("a name is not UTF-8"))
    }
}

fn pairs(elements: &[Handle]) -> Result<Vec<(Handle, Handle)>> {
    if elements.len() % 2 == 1 {
        return Err(damaged("a key without a value"));
    }
    Ok(elements.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

fn text(bytes: &[u8]) -> Result<Node<'_>> {
    std::str::from_utf8(bytes).map(Node::Text).map_err(|_| damaged("a text is not UTF-8"))
}

/// Little-endian two's complement of any length.
fn whole(bytes: &[u8]) -> Node<'_> {
    if bytes.len() > 8 {
        return Node::Long(bytes);
    }
    let is_negative = bytes.last().is_some_and(|byte| byte >> 7 == 1);
    let mut number = [if is_negative { 0xff } else { 0 }; 8];
    number[..bytes.len()].copy_from_slice(bytes);
    Node::Int(i64::from_le_bytes(number))
}

/// `12`, `12L`, and protocol 0's `00` and `01` for false and true.
fn decimal(line: &str) -> Result<Node<'static>> {
    match line {
        "00" => Ok(Node::Bool(false)),
        "01" => Ok(Node::Bool(true)),
        _ => {
            let digits = line.strip_suffix('L').unwrap_or(line);
            digits.parse().map(Node::Int).map_err(|_| damaged("a number is not decimal"))
        }
    }
}

fn memo_index(line: &str) -> Result<u32> {
    line.parse().map_err(|_| damaged("a memo index is not decimal"))
}

fn damaged(what: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("the pickle in the file is damaged ({what}); download or save the file again"),
    )
}

fn refused_name(module: &str, name: &str) -> Error {
    let name = clipped(&format!("{module}.{name}"));
    Error::new(
        ErrorKind::Unsupported,
        format!("the pickle asks for `{name}`, which no state dict needs; {ADVICE}"),
    )
}

fn refused_opcode(opcode: u8) -> Error {
    let name = match opcode {
        b'F' => "FLOAT",
        b'P' => "PERSID",
        b'S' => "STRING",
        b'V' => "UNICODE",
        b'i' => "INST",
        b'o' => "OBJ",
        0x82 => "EXT1",
        0x83 => "EXT2",
        0x84 => "EXT4",
        0x8b => "LONG4",
        0x8e => "BINBYTES8",
        0x92 => "NEWOBJ_EX",
        0x96 => "BYTEARRAY8",
        0x97 => "NEXT_BUFFER",
        0x98 => "READONLY_BUFFER",
        _ => return damaged(&format!("{opcode:#04x} is no opcode")),
    };
    Error::new(
        ErrorKind::Unsupported,
        format!("the pickle uses the opcode {name}, which no state dict needs; {ADVICE}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(program: &[u8]) -> ErrorKind {
        Pickle::read(program).unwrap_err().kind()
    }

    #[test]
    fn whole_numbers_are_twos_complement_of_any_length() {
        assert_eq!(whole(&[]), Node::Int(0));
        assert_eq!(whole(&[0xff]), Node::Int(-1));
        assert_eq!(whole(&[0xff, 0]), Node::Int(255));
        assert_eq!(whole(&[0; 9]), Node::Long(&[0; 9]));
    }

    #[test]
    fn a_value_below_the_mark_is_out_of_reach() {
        // NONE, MARK, TUPLE1: the tuple must not take the None.
        assert_eq!(kind(b"N(\x85."), ErrorKind::Corrupt);
        // NONE, MARK, APPEND
        assert_eq!(kind(b"](a."), ErrorKind::Corrupt);
    }

    #[test]
    fn a_list_that_holds_itself_ends() {
        // EMPTY_LIST, BINPUT 0, BINGET 0, APPEND
        let pickle = Pickle::read(b"]q\x00h\x00a.").unwrap();
        assert_eq!(pickle.sequence(pickle.root()), Some([pickle.root()].as_slice()));
    }

    #[test]
    fn a_million_nested_tuples_need_no_recursion() {
        let mut program = b"N".to_vec();
        program.resize(1_000_000, 0x85);
        program.push(b'.');
        assert!(Pickle::read(&program).is_ok());
    }

    #[test]
    fn a_program_without_end_is_stopped() {
        assert_eq!(kind(&vec![b'N'; MOST_STEPS + 1]), ErrorKind::TooLarge);
    }

    #[test]
    fn names_and_opcodes_beyond_a_state_dict_are_named_in_the_refusal() {
        let error = Pickle::read(b"cos\nsystem\n(U\x02lstR.").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("`os.system`"), "{error}");
        assert!(error.message().contains("model.state_dict()"), "{error}");
        let error = Pickle::read(b"(ios\nsystem\n.").unwrap_err();
        assert!(error.message().contains("INST"), "{error}");
    }

    #[test]
    fn names_taken_from_the_stack_are_checked_too() {
        let error = Pickle::read(b"\x8c\x02os\x8c\x06system\x93.").unwrap_err();
        assert!(error.message().contains("`os.system`"), "{error}");
    }

    #[test]
    fn an_ordered_dict_of_python_2_is_a_list_of_pairs() {
        // OrderedDict([["a", 1]])
        let program = b"ccollections\nOrderedDict\n]]U\x01aaK\x01aa\x85R.";
        let pickle = Pickle::read(program).unwrap();
        let Node::Mapping(entries) = pickle.node(pickle.root()) else { panic!("no dict") };
        assert_eq!(entries.len(), 1);
        assert_eq!(pickle.text(entries[0].0), Some("a"));
        assert_eq!(pickle.count(entries[0].1), Some(1));
    }

    #[test]
    fn copying_one_long_list_again_and_again_is_stopped() {
        // A list of 30,000 pairs, then OrderedDict(list) and POP, 3,000 times.
        let mut program = b"ccollections\nOrderedDict\nq\x00](".to_vec();
        program.extend(b"NN\x86".repeat(30_000));
        program.extend(b"e\x85q\x01");
        program.extend(b"h\x00h\x01R0".repeat(3_000));
        program.push(b'.');
        assert_eq!(kind(&program), ErrorKind::TooLarge);
    }

    #[test]
    fn a_length_beyond_the_file_is_damage() {
        assert_eq!(kind(b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff."), ErrorKind::Corrupt);
        assert_eq!(kind(b"X\xff\xff\xff\x7fabc"), ErrorKind::Corrupt);
    }

    #[test]
    fn a_large_memo_index_takes_no_memory() {
        // NONE, LONG_BINPUT 0xffffffff, LONG_BINGET 0xffffffff
        assert!(Pickle::read(b"Nr\xff\xff\xff\xffj\xff\xff\xff\xff.").is_ok());
    }
}
