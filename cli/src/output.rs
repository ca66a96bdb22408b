//! Standard output: buffered, harmless where it is a terminal, and one JSON document where `--json`
//! asks for it.
//!
//! What is printed for a person went through [`text`] before it came here. Paths, CSV and addresses
//! are for other programs and reach a pipe or a file byte for byte; on a terminal the same bytes
//! could command it, so everything that goes there passes a sieve once more.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::path::Path;

use looksee::files::FileKind;
use looksee::{Error, Result, files};
use serde::Serialize;

use crate::folders;
use crate::outcome::Failure;
use crate::render::text::{self, Sieve};

/// Standard output, locked and buffered; [`Write::flush`] it at the end.
pub(crate) fn stdout() -> BufWriter<Stdout> {
    let out = io::stdout().lock();
    let out = if is_terminal() { Stdout::Terminal(Sifted::new(out)) } else { Stdout::Program(out) };
    BufWriter::with_capacity(1 << 16, out)
}

/// Whether standard output leads to a person: then what is exact for programs is put on one line,
/// because a line break in a path or a cell would forge a line.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Where standard output leads.
pub(crate) enum Stdout {
    /// To a person.
    Terminal(Sifted<StdoutLock<'static>>),
    /// To a program or a file.
    Program(StdoutLock<'static>),
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Terminal(out) => out.write(bytes),
            Self::Program(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Terminal(out) => out.flush(),
            Self::Program(out) => out.flush(),
        }
    }
}

/// Passes on what nobody can be harmed by: lines, tabs and harmless signs.
pub(crate) struct Sifted<W: Write> {
    out: W,
    sieve: Sieve,
    /// The first bytes of a sign whose others have not come yet.
    begun: Vec<u8>,
}

impl<W: Write> Sifted<W> {
    fn new(out: W) -> Self {
        Self { out, sieve: Sieve::default(), begun: Vec::new() }
    }

    fn sift(&mut self, letter: char, shown: &mut String) {
        if letter == '\n' {
            self.sieve = Sieve::default();
        }
        match letter {
            '\n' | '\t' => shown.push(letter),
            letter => shown.extend(self.sieve.pass(letter)),
        }
    }
}

impl<W: Write> Write for Sifted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        let whole = whole_signs(&all);
        let mut shown = String::with_capacity(whole);
        for chunk in all[..whole].utf8_chunks() {
            for letter in chunk.valid().chars() {
                self.sift(letter, &mut shown);
            }
            if !chunk.invalid().is_empty() {
                self.sift(char::REPLACEMENT_CHARACTER, &mut shown);
            }
        }
        self.begun = all.split_off(whole);
        self.out.write_all(shown.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Bytes before a sign at the end that is not whole.
fn whole_signs(bytes: &[u8]) -> usize {
    let Some(last) = bytes.utf8_chunks().last() else { return 0 };
    let rest = last.invalid();
    if is_begun(rest) { bytes.len() - rest.len() } else { bytes.len() }
}

/// Whether more bytes could make a sign of these.
fn is_begun(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// Prints a text of ours: each of its lines goes through [`text::lines`].
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    let mut out = stdout();
    writeln!(out, "{}", text::lines(text))?;
    Ok(out.flush()?)
}

/// Prints one JSON document, indented for a person.
pub(crate) fn document(value: &impl Serialize) -> Result<(), Failure> {
    let mut out = stdout();
    write_document(&mut out, value)?;
    Ok(out.flush()?)
}

/// Writes one JSON document, indented, with a newline at its end.
pub(crate) fn write_document(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(Escaped(&mut *out), value)?;
    out.write_all(b"\n")
}

/// Writes one JSON document on a line of its own.
pub(crate) fn write_json_line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(Escaped(&mut *out), value)?;
    out.write_all(b"\n")
}

/// JSON in which every sign that could command, hide or reorder is an escape: the same document to
/// every reader, and harmless where it is looked at. Such signs occur within texts only.
struct Escaped<W: Write>(W);

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n');
        match std::str::from_utf8(bytes) {
            Ok(text) if !bytes.iter().all(plain) => self.0.write_all(escaped(text).as_bytes())?,
            _ => self.0.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn escaped(json: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(json.len());
    for letter in json.chars() {
        if text::is_plain(letter) || letter == '\n' {
            out.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

/// Refuses a file to be written that could not be: before the work, not after it. Its folder must
/// be there, and where the file will be there is nothing yet, or a regular file to be replaced.
pub(crate) fn expect_place_for(file: &Path) -> Result<()> {
    folders::expect_room_for(file)?;
    let what = match files::kind(file)? {
        FileKind::Absent | FileKind::File => return Ok(()),
        FileKind::Link => "this is a symbolic link; name the file that it leads to",
        FileKind::Folder => "this is a folder; name a file",
        FileKind::Special => "this is a pipe or a device; name a file",
    };
    Err(Error::invalid(what).at_file(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sifted(parts: &[&[u8]]) -> String {
        let mut out = Sifted::new(Vec::new());
        for part in parts {
            out.write_all(part).unwrap();
        }
        out.flush().unwrap();
        String::from_utf8(out.out).unwrap()
    }

    #[test]
    fn a_terminal_gets_lines_and_tabs_and_no_commands() {
        assert_eq!(
            sifted(&[b"http://x\ta.jpg\n\x1b[2Jb\r\xe2\x80\xae.jpg\n"]),
            "http://x\ta.jpg\n [2Jb \u{fffd}.jpg\n"
        );
        assert_eq!(sifted(&[b"a\xff\xfeb\0"]), "a\u{fffd}\u{fffd}b ");
    }

    #[test]
    fn a_sign_that_comes_in_two_pieces_is_one_sign() {
        let text = "gr\u{fc}n \u{202e} \u{1f469}\u{200d}\u{1f52c}";
        for cut in 0..text.len() {
            let (before, after) = text.as_bytes().split_at(cut);
            assert_eq!(sifted(&[before, after]), text.replace('\u{202e}', "\u{fffd}"), "{cut}");
        }
    }

    #[test]
    fn json_is_the_same_document_with_nothing_in_it_that_commands() {
        let odd = "\u{1b}[31m \u{9b}31m \u{7f} \u{202e}gpj.exe \u{2028} \u{e0065} \u{ad} \
                   gr\u{fc}n \u{1f600}";
        let value = serde_json::json!({ odd: [odd, 1.5], "plain": null });
        let (mut document, mut line) = (Vec::new(), Vec::new());
        write_document(&mut document, &value).unwrap();
        write_json_line(&mut line, &value).unwrap();
        for out in [document, line] {
            let text = String::from_utf8(out).unwrap();
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
            assert!(text.chars().all(|c| text::is_plain(c) || c == '\n'), "{text:?}");
            assert!(text.contains("gr\u{fc}n \u{1f600}"), "{text}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_replaced_is_refused_before_the_work() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("old.npy"), "").unwrap();
        assert!(expect_place_for(&folder.path().join("old.npy")).is_ok());
        assert!(expect_place_for(&folder.path().join("new.npy")).is_ok());
        assert!(expect_place_for(folder.path()).is_err());
        assert!(expect_place_for(&folder.path().join("gone/new.npy")).is_err());
    }
}
