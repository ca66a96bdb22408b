//! Standard output: buffered, and one JSON document where `--json` asks for it.

use std::io::{self, BufWriter, StdoutLock, Write};

use serde::Serialize;

use crate::outcome::Failure;

/// Standard output, locked and buffered; [`Write::flush`] it at the end.
pub(crate) fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(1 << 16, io::stdout().lock())
}

/// Prints one line.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    let mut out = stdout();
    writeln!(out, "{text}")?;
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
    serde_json::to_writer_pretty(&mut *out, value)?;
    out.write_all(b"\n")
}

/// Writes one JSON document on a line of its own.
pub(crate) fn write_json_line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}
