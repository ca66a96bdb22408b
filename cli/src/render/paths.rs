//! The pictures' paths, for other programs.

use std::io::{self, Write};

use crate::answer::Answer;

/// Writes the path of each hit, byte for byte, followed by `end`.
pub(crate) fn write(out: &mut impl Write, answer: &Answer, end: u8) -> io::Result<()> {
    for hit in &answer.hits {
        out.write_all(hit.image.as_os_str().as_encoded_bytes())?;
        out.write_all(&[end])?;
    }
    Ok(())
}
