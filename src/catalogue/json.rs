//! JSON lines, one JSON array of objects, and the Python dictionaries of Amazon's 2014 files.
//!
//! An array is cut into its elements by counting brackets, and each element is parsed by itself: the
//! whole array is never in memory, and a broken element costs one line of the ledger.

use std::io::BufRead;

use serde_json::Value;

use super::lines::{self, Line, Lines, Text, cannot_go_on};
use super::python;
use super::rows::{Row, Rows};
use crate::error::Result;
use crate::filter::Fields;

/// Which literals the rows are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Not known before the first row that can be read.
    Open,
    /// JSON.
    Json,
    /// Python dictionaries, or JSON, row by row.
    Python,
}

/// Starts to read; the first sign of the text tells lines from an array.
pub(super) fn open(mut text: Text, dialect: Dialect) -> Result<Box<dyn Rows>> {
    let mut blank_lines = 0;
    match next_sign(&mut text, &mut blank_lines, u8::is_ascii_whitespace)? {
        Some(b'[') => {
            text.consume(1);
            Ok(Box::new(ArrayRows { text, line: blank_lines + 1, dialect, ended: false }))
        }
        _ => Ok(Box::new(LineRows { lines: Lines::after(text, blank_lines), dialect })),
    }
}

/// The next byte that is not to be `skipped`, left in place; line ends before it are counted.
fn next_sign(
    text: &mut Text,
    line_ends: &mut u64,
    skipped: impl Fn(&u8) -> bool,
) -> Result<Option<u8>> {
    loop {
        let bytes = text.fill_buf().map_err(|e| cannot_go_on(e, *line_ends + 1))?;
        let length = bytes.iter().take_while(|byte| skipped(byte)).count();
        *line_ends += count_line_ends(&bytes[..length]);
        let found = bytes.get(length).copied();
        let ended = bytes.is_empty();
        text.consume(length);
        if found.is_some() || ended {
            return Ok(found);
        }
    }
}

fn count_line_ends(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

struct LineRows {
    lines: Lines,
    dialect: Dialect,
}

impl Rows for LineRows {
    fn next_row(&mut self) -> Result<Option<Row>> {
        loop {
            let mut line = Vec::new();
            let content = match self.lines.next_into(&mut line)? {
                Line::End => return Ok(None),
                Line::TooLong => Err(lines::too_long()),
                Line::Whole if line.trim_ascii().is_empty() => continue,
                Line::Whole => object(&line, &mut self.dialect),
            };
            return Ok(Some(Row { line: self.lines.number(), bytes: line.len(), content }));
        }
    }
}

struct ArrayRows {
    text: Text,
    /// The line that is being read, from 1.
    line: u64,
    dialect: Dialect,
    ended: bool,
}

impl Rows for ArrayRows {
    fn next_row(&mut self) -> Result<Option<Row>> {
        if self.ended {
            return Ok(None);
        }
        let between = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b'}');
        let sign = next_sign(&mut self.text, &mut self.line, between)?;
        let line = self.line;
        if !matches!(sign, None | Some(b']')) {
            let element = self.element()?;
            let bytes = element.as_ref().map_or(0, Vec::len);
            let content = match element {
                Some(element) => object(&element, &mut self.dialect),
                None => Err(lines::too_long()),
            };
            return Ok(Some(Row { line, bytes, content }));
        }
        self.ended = true;
        let content = Err("the array is never closed: expected ]; is the file whole?".to_owned());
        Ok(sign.is_none().then_some(Row { line, bytes: 0, content }))
    }
}

impl ArrayRows {
    /// The bytes of the element that begins here; `None` where it is too long.
    fn element(&mut self) -> Result<Option<Vec<u8>>> {
        let mut element = Vec::new();
        let mut too_long = false;
        let mut cut = Cut::default();
        loop {
            let bytes = self.text.fill_buf().map_err(|e| cannot_go_on(e, self.line))?;
            let (length, ended) = cut.advance(bytes);
            let ended = ended || bytes.is_empty();
            too_long |= element.len() + length > lines::MAX_ROW_BYTES;
            if too_long {
                element = Vec::new();
            } else {
                element.extend_from_slice(&bytes[..length]);
            }
            self.line += count_line_ends(&bytes[..length]);
            self.text.consume(length);
            if ended {
                return Ok((!too_long).then_some(element));
            }
        }
    }
}

/// Finds the end of one element of an array.
#[derive(Default)]
struct Cut {
    depth: usize,
    in_text: bool,
    escaped: bool,
}

enum Step {
    On,
    EndsBefore,
    EndsAfter,
}

impl Cut {
    /// How many of `bytes` belong to the element, and whether it ends there.
    fn advance(&mut self, bytes: &[u8]) -> (usize, bool) {
        for (at, byte) in bytes.iter().enumerate() {
            match self.step(*byte) {
                Step::On => {}
                Step::EndsBefore => return (at, true),
                Step::EndsAfter => return (at + 1, true),
            }
        }
        (bytes.len(), false)
    }

    fn step(&mut self, byte: u8) -> Step {
        if self.in_text {
            return self.step_in_text(byte);
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' | b',' if self.depth == 0 => return Step::EndsBefore,
            b'}' | b']' => {
                self.depth -= 1;
                return if self.depth == 0 { Step::EndsAfter } else { Step::On };
            }
            _ => {}
        }
        Step::On
    }

    /// A line end closes a text that was left open, so that one missing quote does not swallow the
    /// rest of the file: JSON has no line ends within texts.
    fn step_in_text(&mut self, byte: u8) -> Step {
        if self.escaped {
            self.escaped = false;
            return Step::On;
        }
        match byte {
            b'\\' => self.escaped = true,
            b'"' | b'\n' => self.in_text = false,
            _ => {}
        }
        Step::On
    }
}

/// The row's fields, or the ledger's sentence.
fn object(row: &[u8], dialect: &mut Dialect) -> Result<Fields, String> {
    let row = lines::utf8(row)?.trim();
    let value = match serde_json::from_str(row) {
        Ok(value) => {
            if *dialect == Dialect::Open {
                *dialect = Dialect::Json;
            }
            value
        }
        Err(error) => literal(row, dialect, &error)?,
    };
    match value {
        Value::Object(fields) => Ok(fields),
        other => Err(format!("expected an object in braces, found {}", kind_of(&other))),
    }
}

/// A row that is no JSON: a Python dictionary where those are expected, or JSON with the `NaN` that
/// Python's `json` module writes.
fn literal(row: &str, dialect: &mut Dialect, error: &serde_json::Error) -> Result<Value, String> {
    let no_json = || {
        let sentence = format!("the row is not JSON: {error}");
        sentence.replace("at line 1 column", "at column")
    };
    if *dialect == Dialect::Python {
        return python::parse(row)
            .map_err(|e| format!("the row is neither JSON nor a Python dictionary: {e}"));
    }
    let python = *dialect == Dialect::Open && begins_as_python(row);
    if !(python || row.contains("NaN") || row.contains("Infinity")) {
        return Err(no_json());
    }
    let value = python::parse(row).map_err(|_| no_json())?;
    if python {
        *dialect = Dialect::Python;
    }
    Ok(value)
}

fn begins_as_python(row: &str) -> bool {
    row.strip_prefix('{').is_some_and(|row| {
        let row = row.trim_start();
        row.starts_with('\'') || row.starts_with("u'") || row.starts_with("u\"")
    })
}

/// What a value is, in words.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &'static [u8]) -> Vec<(u64, Result<String, String>)> {
        let mut rows = open(Box::new(text), Dialect::Open).unwrap();
        let mut all = Vec::new();
        while let Some(row) = rows.next_row().unwrap() {
            all.push((row.line, row.content.map(|fields| Value::Object(fields).to_string())));
        }
        all
    }

    fn ok(line: u64, fields: &str) -> (u64, Result<String, String>) {
        (line, Ok(fields.to_owned()))
    }

    #[test]
    fn lines_are_counted_with_the_blank_ones() {
        let found = rows(b"\n{\"a\":1}\r\n\n{\"a\":2}");
        assert_eq!(found, [ok(2, "{\"a\":1}"), ok(4, "{\"a\":2}")]);
    }

    #[test]
    fn a_broken_line_is_reported_and_the_next_one_read() {
        let found = rows(b"{\"a\":1}\n{\"a\":\n[1]\n\xff\n{\"a\":2}\n");
        assert_eq!(found[0], ok(1, "{\"a\":1}"));
        assert!(found[1].1.as_ref().unwrap_err().starts_with("the row is not JSON: EOF"));
        assert_eq!(found[2].1, Err("expected an object in braces, found a list".to_owned()));
        assert!(found[3].1.as_ref().unwrap_err().contains("not UTF-8 text (byte 1)"));
        assert_eq!(found[4], ok(5, "{\"a\":2}"));
    }

    #[test]
    fn an_array_reads_element_by_element() {
        let text =
            b" [\n {\"a\": \"]},{\\\"\"},\n\n {\"b\":\n  [{}, 1]}, 7, \"x,y\", {\"c\":1}\n]\n";
        let found = rows(text);
        assert_eq!(found[0], ok(2, "{\"a\":\"]},{\\\"\"}"));
        assert_eq!(found[1], ok(4, "{\"b\":[{},1]}"));
        assert_eq!(found[2], (5, Err("expected an object in braces, found a number".to_owned())));
        assert_eq!(found[3], (5, Err("expected an object in braces, found a text".to_owned())));
        assert_eq!(found[4], ok(5, "{\"c\":1}"));
        assert_eq!(found.len(), 5);
        assert_eq!(rows(b"[]"), []);
    }

    #[test]
    fn a_broken_element_of_an_array_costs_one_row() {
        let found = rows(b"[{\"a\":\"x},\n{\"a\":1},\n}{\"b\":2},\n{\"c\":3");
        assert!(found[0].1.is_err());
        assert!(found.iter().any(|row| row.1 == Ok("{\"b\":2}".to_owned())), "{found:?}");
        assert!(found.last().unwrap().1.as_ref().unwrap_err().contains("never closed"));
    }

    #[test]
    fn python_rows_are_read_once_one_was_seen_and_never_in_a_json_file() {
        let found = rows(b"{'a': 1}\n{\"a\": None}\n{'a': }\n");
        assert_eq!(found[..2], [ok(1, "{\"a\":1}"), ok(2, "{\"a\":null}")]);
        assert!(found[2].1.as_ref().unwrap_err().contains("nor a Python dictionary"));
        let found = rows(b"{\"a\":1}\n{'a': 1}\n");
        assert!(found[1].1.as_ref().unwrap_err().starts_with("the row is not JSON"));
    }

    #[test]
    fn nan_as_python_writes_it_is_null() {
        assert_eq!(rows(b"{\"a\": NaN, \"b\": 1}"), [ok(1, "{\"a\":null,\"b\":1}")]);
    }
}
