//! The pictures' paths, for other programs.

use std::io::{self, Write};

use super::text;
use crate::output;
use looksee::search::Answer;

/// Writes the path of each hit, byte for byte, followed by `end`; on a terminal each is one line.
pub(crate) fn write(out: &mut impl Write, answer: &Answer, end: u8) -> io::Result<()> {
    let seen = output::is_terminal();
    for hit in &answer.hits {
        if seen {
            out.write_all(text::visible(&hit.image.to_string()).as_bytes())?;
        } else {
            out.write_all(&hit.image.as_shown())?;
        }
        out.write_all(&[end])?;
    }
    Ok(())
}
