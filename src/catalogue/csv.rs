//! Comma- and tab-separated files with a header line.
//!
//! Records are gathered line by line here, so that their line numbers are right and a quote that is
//! never closed costs one line instead of the rest of the file; the cells of each record are then
//! read by the `csv` crate.

use std::io::{Cursor, SeekFrom};

use super::lines::{self, Line, Lines, Text};
use super::rows::{Row, Rows};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Fields;

pub(super) struct CsvRows {
    lines: Lines,
    delimiter: u8,
    cutter: Cutter,
    header: Vec<String>,
    /// Bytes that may still be read in vain for the end of a quote.
    patience: usize,
}

/// A quote that is never closed is looked for up to the end of the file. A few of them are a slip;
/// a file that is made of them would be read once for each of its rows.
const PATIENCE: usize = 256 << 20;

/// A record's bytes, or the ledger's sentence.
type Record = Result<Vec<u8>, String>;

impl CsvRows {
    /// Reads the header. A `.csv` file that has no comma in it but semicolons or tabs, as
    /// spreadsheets of many countries write it, is cut at those.
    pub(super) fn open(text: Text, delimiter: u8) -> Result<Self> {
        let (lines, cutter) = (Lines::new(text), Cutter::new(delimiter));
        let mut rows = Self { lines, delimiter, cutter, header: Vec::new(), patience: PATIENCE };
        let Some((line, bytes)) = rows.next_record()? else { return Ok(rows) };
        let bytes = bytes.map_err(|message| Error::invalid(message).at_line(line))?;
        if bytes.contains(&b'\r') {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the lines end in CR alone; save the file with LF or CRLF line ends",
            ));
        }
        rows.delimiter = delimiter_of(&bytes, delimiter);
        rows.cutter = Cutter::new(rows.delimiter);
        let names = rows.cutter.cells(bytes);
        let names = names.map_err(|message| Error::invalid(message).at_line(line))?;
        rows.header = names.iter().map(|name| name.trim().to_owned()).collect();
        Ok(rows)
    }

    /// The next record without its line end, and the line it begins at.
    fn next_record(&mut self) -> Result<Option<(u64, Record)>> {
        loop {
            let mut record = Vec::new();
            let found = self.lines.next_into(&mut record)?;
            let line = self.lines.number();
            match found {
                Line::End => return Ok(None),
                Line::TooLong => return Ok(Some((line, Err(lines::too_long())))),
                Line::Whole if record.trim_ascii().is_empty() => {}
                Line::Whole => return Ok(Some((line, self.rest_of(record, line)?))),
            }
        }
    }

    /// Adds the lines that belong to a record because a quote is open.
    fn rest_of(&mut self, mut record: Vec<u8>, line: u64) -> Result<Record> {
        let first_line = record.len();
        let mut quotes = Quotes::Start;
        let mut scanned = 0;
        loop {
            quotes = quotes.after(&record[scanned..], self.delimiter);
            scanned = record.len();
            if quotes != Quotes::Open {
                trim_line_end(&mut record);
                return Ok(Ok(record));
            }
            let whole = self.patience > 0 && self.lines.next_into(&mut record)? == Line::Whole;
            if !whole || record.len() > lines::MAX_ROW_BYTES {
                self.patience = self.patience.saturating_sub(record.len());
                self.lines.put_back(record.split_off(first_line), line);
                return Ok(Err("a quote that opens in this row is never closed".to_owned()));
            }
        }
    }

    fn fields(&mut self, record: Vec<u8>) -> Result<Fields, String> {
        let cells = self.cutter.cells(record)?;
        let (found, expected) = (cells.len(), self.header.len());
        if found != expected {
            return Err(format!("found {found} cells, expected {expected} as in the header"));
        }
        let named = self.header.iter().zip(&cells).filter(|(name, _)| !name.is_empty());
        Ok(named.map(|(name, cell)| (name.clone(), cell.into())).collect())
    }
}

/// Cuts records into cells. The reader is kept, because making one takes longer than a record.
struct Cutter(csv::Reader<Cursor<Vec<u8>>>);

impl Cutter {
    fn new(delimiter: u8) -> Self {
        let mut settings = csv::ReaderBuilder::new();
        settings.delimiter(delimiter).has_headers(false).flexible(true);
        // Line ends within a record stand between quotes; one CR alone is part of its cell.
        settings.terminator(csv::Terminator::Any(b'\n'));
        Self(settings.from_reader(Cursor::default()))
    }

    fn cells(&mut self, record: Vec<u8>) -> Result<csv::StringRecord, String> {
        lines::utf8(&record)?;
        *self.0.get_mut() = Cursor::new(record);
        let mut cells = csv::StringRecord::new();
        let start = self.0.seek_raw(SeekFrom::Start(0), csv::Position::new());
        match start.and_then(|()| self.0.read_record(&mut cells)) {
            Ok(_) => Ok(cells),
            Err(error) => Err(format!("the row cannot be cut into cells: {error}")),
        }
    }
}

impl Rows for CsvRows {
    fn next_row(&mut self) -> Result<Option<Row>> {
        let Some((line, record)) = self.next_record()? else { return Ok(None) };
        let bytes = record.as_ref().map_or(0, Vec::len);
        let content = record.and_then(|record| self.fields(record));
        Ok(Some(Row { line, bytes, content }))
    }

    fn header(&self) -> &[String] {
        &self.header
    }
}

fn delimiter_of(header: &[u8], usual: u8) -> u8 {
    let candidates = [usual, b';', b'\t'];
    candidates.into_iter().find(|delimiter| header.contains(delimiter)).unwrap_or(usual)
}

fn trim_line_end(record: &mut Vec<u8>) {
    if record.ends_with(b"\n") {
        record.pop();
    }
    if record.ends_with(b"\r") {
        record.pop();
    }
}

/// Where between quotes a scan over a record stands, by the rules of the `csv` crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    /// At the start of a cell.
    Start,
    /// Within a cell that has no quotes, or after its closing one.
    Bare,
    /// Between quotes.
    Open,
    /// After a quote between quotes: the closing one, or the first of a pair.
    Closing,
}

impl Quotes {
    fn after(self, bytes: &[u8], delimiter: u8) -> Self {
        bytes.iter().fold(self, |quotes, byte| match (quotes, *byte) {
            (Self::Open, b'"') => Self::Closing,
            (Self::Start | Self::Closing, b'"') | (Self::Open, _) => Self::Open,
            (_, byte) if byte == delimiter => Self::Start,
            _ => Self::Bare,
        })
    }
}

/// A cell as the value it looks like: numbers become numbers, all else stays text.
///
/// Numbers with leading zeros are names (`007`, postcodes), and so are those that a 64-bit number
/// cannot hold.
pub(super) fn typed(cell: &str) -> serde_json::Value {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    let whole = digits.split(['.', 'e', 'E']).next().unwrap_or("");
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    let number_signs = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+');
    let numeric = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.ends_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(number_signs);
    if numeric && !leading_zero {
        if let Ok(number) = cell.parse::<i64>() {
            return number.into();
        }
        if whole.len() != digits.len()
            && let Ok(number) = cell.parse::<f64>()
            && number.is_finite()
        {
            return number.into();
        }
    }
    cell.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn rows(text: &'static [u8], delimiter: u8) -> Vec<(u64, Result<Value, String>)> {
        let mut rows = CsvRows::open(Box::new(text), delimiter).unwrap();
        let mut all = Vec::new();
        while let Some(row) = rows.next_row().unwrap() {
            all.push((row.line, row.content.map(Value::Object)));
        }
        all
    }

    #[test]
    fn quotes_hold_commas_line_ends_and_doubled_quotes() {
        let text = b"a, b\r\n\"1,\r\n2\",\"5\"\" screen\"\r\n\r\n3,x\"y\r\n";
        assert_eq!(
            rows(text, b','),
            [
                (2, Ok(json!({"a": "1,\r\n2", "b": "5\" screen"}))),
                (5, Ok(json!({"a": "3", "b": "x\"y"}))),
            ]
        );
    }

    #[test]
    fn a_ragged_row_says_how_many_cells_were_found_and_expected() {
        let found = rows(b"a\tb\n1\t2\n1\n1\t2\t3\n\"\t\"\t4\n", b'\t');
        assert_eq!(found[0], (2, Ok(json!({"a": "1", "b": "2"}))));
        assert_eq!(found[1], (3, Err("found 1 cells, expected 2 as in the header".to_owned())));
        assert_eq!(found[2], (4, Err("found 3 cells, expected 2 as in the header".to_owned())));
        assert_eq!(found[3], (5, Ok(json!({"a": "\t", "b": "4"}))));
    }

    #[test]
    fn a_quote_that_is_never_closed_costs_one_line() {
        let found = rows(b"a,b\n1,\"2\n3,4\n5,6\n", b',');
        let message = "a quote that opens in this row is never closed".to_owned();
        assert_eq!(found[0], (2, Err(message)));
        assert_eq!(found[1], (3, Ok(json!({"a": "3", "b": "4"}))));
        assert_eq!(found[2], (4, Ok(json!({"a": "5", "b": "6"}))));
    }

    #[test]
    fn a_file_made_of_quotes_that_are_never_closed_is_read_to_its_end() {
        // Whether a quote is open before it or not, such a row leaves one open.
        let mut text = b"a,b\n".to_vec();
        let rows = 40_000;
        for _ in 0..rows {
            text.extend(b"x\",\"\n");
        }
        let mut found = CsvRows::open(Box::new(std::io::Cursor::new(text)), b',').unwrap();
        found.patience = 1 << 20;
        let mut lines = 0;
        while let Some(row) = found.next_row().unwrap() {
            assert!(row.content.is_err());
            lines += 1;
        }
        assert_eq!(lines, rows);
    }

    #[test]
    fn a_row_that_is_not_utf8_is_reported() {
        let found = rows(b"a,b\n1,caf\xe9\n3,4\n", b',');
        assert!(found[0].1.as_ref().unwrap_err().contains("not UTF-8 text (byte 6)"));
        assert_eq!(found[1].0, 3);
    }

    #[test]
    fn semicolons_are_found_and_columns_without_a_name_left_out() {
        assert_eq!(rows(b"a;b;\n1;2;3\n", b','), [(2, Ok(json!({"a": "1", "b": "2"})))]);
    }

    #[test]
    fn cells_that_look_like_numbers_become_numbers() {
        for (cell, number) in [
            ("12", json!(12)),
            ("-3", json!(-3)),
            ("0.5", json!(0.5)),
            ("1e3", json!(1000.0)),
            ("0", json!(0)),
        ] {
            assert_eq!(typed(cell), number, "{cell}");
        }
        for cell in [
            "007",
            "1.",
            ".5",
            "+1",
            "1e",
            "true",
            "",
            "-",
            "$5",
            "12345678901234567890",
            "1e999",
            "1 2",
            "nan",
            "00.5",
            "1.2.3",
            "2012-01-02",
        ] {
            assert_eq!(typed(cell), json!(cell), "{cell}");
        }
    }
}
