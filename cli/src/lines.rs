//! Queries, texts, names and paths, one a line, from a file or from standard input.
//!
//! A line is bounded before it is read: what a user pipes in may be the wrong file, and that must
//! be one sentence with the line in it and not the end of the machine's memory.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use looksee::{Error, ErrorKind, Result, files};

/// Bytes of the longest line: no query, path or text for one picture comes near.
const LONGEST: usize = 1 << 20;

/// Lines without their ends, with their place in every error.
pub(crate) struct Lines {
    name: PathBuf,
    input: Box<dyn BufRead>,
    /// The line that was read last, from 1.
    number: u64,
}

impl Lines {
    /// The lines of a regular file or a pipe, `-` for standard input.
    pub(crate) fn open(file: &Path) -> Result<Self> {
        if file.as_os_str() == "-" {
            return Ok(Self::of("standard input", BufReader::new(std::io::stdin())));
        }
        Ok(Self::of(file, BufReader::new(files::open_stream(file)?)))
    }

    fn of(name: impl Into<PathBuf>, input: impl BufRead + 'static) -> Self {
        Self { name: name.into(), input: Box::new(input), number: 0 }
    }

    /// The error with the place of the line that was read last.
    pub(crate) fn place(&self, error: Error) -> Error {
        error.at_file(&self.name).at_line(self.number)
    }

    fn read(&mut self) -> Result<Option<String>> {
        let mut line = Vec::new();
        let cannot = |e| Error::io("cannot read the line", e);
        let mut bounded = self.input.by_ref().take(LONGEST as u64 + 2);
        if bounded.read_until(b'\n', &mut line).map_err(cannot)? == 0 {
            return Ok(None);
        }
        if line.pop_if(|&mut last| last == b'\n').is_some() {
            line.pop_if(|&mut last| last == b'\r');
        }
        if line.len() > LONGEST {
            let sentence =
                format!("the line has more than {LONGEST} bytes; is this the right file?");
            return Err(Error::new(ErrorKind::TooLarge, sentence));
        }
        String::from_utf8(line).map(Some).map_err(|_| {
            Error::invalid("the line is not UTF-8 text; save the file as UTF-8 and try again")
        })
    }
}

impl Iterator for Lines {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        self.number += 1;
        self.read().map_err(|e| self.place(e)).transpose()
    }
}

/// All lines of a file, `-` for standard input; an empty last line is none.
pub(crate) fn all(file: &Path) -> Result<Vec<String>> {
    Lines::open(file)?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: Vec<u8>) -> Result<Vec<String>> {
        Lines::of("x", std::io::Cursor::new(text)).collect()
    }

    #[test]
    fn lines_end_in_either_way_and_an_empty_one_counts() {
        assert_eq!(lines(b"red\r\n\nblue".to_vec()).unwrap(), ["red", "", "blue"]);
        assert_eq!(lines(b"\n".to_vec()).unwrap(), [""]);
        assert_eq!(lines(Vec::new()).unwrap(), [""; 0]);
    }

    #[test]
    fn a_line_that_never_ends_is_an_error_with_its_number() {
        let endless = BufReader::new(std::io::Cursor::new("red\n").chain(std::io::repeat(0)));
        let error = Lines::of("x", endless).collect::<Result<Vec<_>>>().unwrap_err();
        assert_eq!((error.kind(), error.line()), (ErrorKind::TooLarge, Some(2)));
        let mut longest = vec![b'x'; LONGEST];
        longest.extend(b"\r\n");
        assert_eq!(lines(longest.clone()).unwrap()[0].len(), LONGEST);
        longest.insert(0, b'x');
        assert!(lines(longest).is_err());
    }

    #[test]
    fn bytes_that_are_no_text_are_named_by_their_line() {
        let error = lines(b"a\nb\xff\n".to_vec()).unwrap_err();
        assert_eq!(error.line(), Some(2));
        assert!(error.to_string().contains("save the file as UTF-8"), "{error}");
    }
}
