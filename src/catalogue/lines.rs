//! Catalogue files as lines: plain or gzip, with a bound on what one line may take.
//!
//! All row formats read through here, so that a damaged file costs a line of the ledger and never
//! the memory of the machine. A pipe that the user named is read as a file is; a device is not,
//! because it may never end.

use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, ErrorKind, Result};
use crate::files;

/// Longer rows are not read: 16 MiB, far above any product description. What is made of a row takes
/// some thirty times its length at worst.
pub(super) const MAX_ROW_BYTES: usize = 16 << 20;

/// A catalogue file's decompressed bytes.
pub(super) type Text = Box<dyn BufRead + Send>;

/// Opens a file, undoes gzip (told by its first bytes) and drops the mark of UTF-8.
pub(super) fn open(path: &Path) -> Result<Text> {
    let cannot = |e| Error::io("cannot read", e).at_file(path);
    let mut raw = BufReader::with_capacity(1 << 17, files::open_stream(path)?);
    let packed = raw.fill_buf().map_err(cannot)?.starts_with(&[0x1f, 0x8b]);
    let mut text: Text = if packed {
        Box::new(BufReader::with_capacity(1 << 17, MultiGzDecoder::new(raw)))
    } else {
        Box::new(raw)
    };
    let mark = text.fill_buf().map_err(cannot)?;
    if mark.starts_with(&[0xff, 0xfe]) || mark.starts_with(&[0xfe, 0xff]) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "the file is UTF-16 text; save it as UTF-8 and try again",
        )
        .at_file(path));
    }
    if mark.starts_with(&[0xef, 0xbb, 0xbf]) {
        text.consume(3);
    }
    Ok(text)
}

/// What [`Lines::next_into`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The buffer holds a line with its end (the last line may have none).
    Whole,
    /// The line has more than [`MAX_ROW_BYTES`] and was passed over.
    TooLong,
    /// There is no more.
    End,
}

/// A text, and what was read of it and put back.
struct Ahead {
    put_back: Cursor<Vec<u8>>,
    rest: Text,
}

impl Ahead {
    fn put_back(&mut self, mut bytes: Vec<u8>) {
        let read = self.put_back.position() as usize;
        bytes.extend_from_slice(&self.put_back.get_ref()[read..]);
        self.put_back = Cursor::new(bytes);
    }

    fn is_ahead(&self) -> bool {
        self.put_back.position() < self.put_back.get_ref().len() as u64
    }
}

impl Read for Ahead {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        if self.is_ahead() { self.put_back.read(to) } else { self.rest.read(to) }
    }
}

impl BufRead for Ahead {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.is_ahead() { self.put_back.fill_buf() } else { self.rest.fill_buf() }
    }

    fn consume(&mut self, bytes: usize) {
        if self.is_ahead() { self.put_back.consume(bytes) } else { self.rest.consume(bytes) }
    }
}

/// Lines with their numbers.
pub(super) struct Lines {
    text: Ahead,
    /// Number of the line that was read last, from 1.
    number: u64,
    limit: usize,
}

impl Lines {
    pub(super) fn new(text: Text) -> Self {
        Self::after(text, 0)
    }

    /// Lines of a text whose first `number` lines were read already.
    pub(super) fn after(text: Text, number: u64) -> Self {
        Self {
            text: Ahead { put_back: Cursor::default(), rest: text },
            number,
            limit: MAX_ROW_BYTES,
        }
    }

    #[cfg(test)]
    pub(super) fn with_limit(text: Text, limit: usize) -> Self {
        Self { limit, ..Self::new(text) }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Puts `bytes`, which begin a line after line `number`, back in front of what follows.
    pub(super) fn put_back(&mut self, bytes: Vec<u8>, number: u64) {
        self.text.put_back(bytes);
        self.number = number;
    }

    /// Appends the next line to `line`.
    pub(super) fn next_into(&mut self, line: &mut Vec<u8>) -> Result<Line> {
        self.number += 1;
        let cannot = |e| cannot_go_on(e, self.number);
        let mut bounded = self.text.by_ref().take(self.limit as u64 + 1);
        let read = bounded.read_until(b'\n', line).map_err(cannot)?;
        match read {
            0 => Ok(Line::End),
            n if n > self.limit => {
                line.truncate(line.len() - n);
                line.shrink_to(1 << 20);
                self.text.skip_until(b'\n').map_err(cannot)?;
                Ok(Line::TooLong)
            }
            _ => Ok(Line::Whole),
        }
    }
}

/// The error for a file that breaks off, such as a gzip file that was not copied whole.
pub(super) fn cannot_go_on(source: std::io::Error, line: u64) -> Error {
    Error::io("cannot read to the end of the file; is it whole?", source).at_line(line)
}

/// The ledger's sentence for a row that is too long.
pub(super) fn too_long() -> String {
    format!("the row is longer than {} MiB", MAX_ROW_BYTES >> 20)
}

/// The row as text, or the ledger's sentence.
pub(super) fn utf8(row: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(row).map_err(|e| {
        format!("the row is not UTF-8 text (byte {}); save the file as UTF-8", e.valid_up_to() + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &'static [u8], limit: usize) -> Vec<(Line, Vec<u8>, u64)> {
        let mut lines = Lines::with_limit(Box::new(text), limit);
        let mut all = Vec::new();
        loop {
            let mut line = Vec::new();
            let found = lines.next_into(&mut line).unwrap();
            if found == Line::End {
                return all;
            }
            all.push((found, line, lines.number()));
        }
    }

    #[test]
    fn a_line_beyond_the_limit_is_passed_over_and_the_next_one_is_read() {
        let found = lines(b"one\nseventeen bytes..\nend", 8);
        assert_eq!(found[0], (Line::Whole, b"one\n".to_vec(), 1));
        assert_eq!(found[1], (Line::TooLong, Vec::new(), 2));
        assert_eq!(found[2], (Line::Whole, b"end".to_vec(), 3));
    }

    #[test]
    fn what_is_put_back_is_read_again_before_the_rest() {
        let mut lines = Lines::new(Box::new(b"a\nb\nc\nd".as_slice()));
        let mut read = Vec::new();
        for _ in 0..3 {
            lines.next_into(&mut read).unwrap();
        }
        lines.put_back(read.split_off(2), 1);
        lines.next_into(&mut read).unwrap();
        assert_eq!((read.as_slice(), lines.number()), (b"a\nb\n".as_slice(), 2));
        lines.put_back(read.split_off(2), 1);
        while lines.next_into(&mut read).unwrap() != Line::End {}
        assert_eq!(read, b"a\nb\nc\nd");
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_no_catalogue() {
        let error = open("/dev/zero".as_ref()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }

    #[test]
    fn utf16_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, b"\xff\xfei\0m\0").unwrap();
        let error = open(&path).err().unwrap();
        assert!(error.to_string().contains("save it as UTF-8"), "{error}");
    }

    #[test]
    fn a_gzip_file_of_two_members_is_read_whole() {
        use std::io::Write;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gz");
        let mut bytes = Vec::new();
        for part in ["one\n", "two\n"] {
            let mut gz = flate2::write::GzEncoder::new(&mut bytes, flate2::Compression::fast());
            gz.write_all(part.as_bytes()).unwrap();
            gz.finish().unwrap();
        }
        std::fs::write(&path, bytes).unwrap();
        let mut text = String::new();
        open(&path).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "one\ntwo\n");
    }
}
