//! Vectors as a numpy file: version 1.0, little-endian float32, C order, `[n, dim]`.
//!
//! The header is padded so that the values begin at a multiple of 64 bytes, as numpy writes it, and
//! can be mapped: `numpy.load("vectors.npy", mmap_mode="r")`.

use std::io::Write;
use std::path::Path;

use looksee::vectors::Vectors;
use looksee::{Error, Result, files};

/// Values that are turned into bytes at a time.
const BLOCK: usize = 1 << 16;

/// Writes `vectors` to `path`, whole or not at all.
pub(crate) fn write(path: &Path, vectors: &Vectors) -> Result<()> {
    files::replace(path, |out| {
        write_to(out, vectors).map_err(|e| Error::io("cannot write the vectors", e))
    })
}

fn write_to(out: &mut impl Write, vectors: &Vectors) -> std::io::Result<()> {
    out.write_all(&header(vectors.len(), vectors.dim()))?;
    for block in vectors.as_slice().chunks(BLOCK) {
        out.write_all(&files::f32_bytes(block))?;
    }
    Ok(())
}

/// Magic, version 1.0, the length of what follows, the description, spaces, a newline.
fn header(rows: usize, dim: usize) -> Vec<u8> {
    let mut description =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dim}), }}");
    let before = 10;
    let length = (before + description.len() + 1).next_multiple_of(64) - before;
    while description.len() + 1 < length {
        description.push(' ');
    }
    description.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend_from_slice(&(length as u16).to_le_bytes());
    header.extend_from_slice(description.as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_what_numpy_writes_for_the_same_array() {
        let header = header(2, 3);
        assert_eq!(header.len(), 128);
        assert_eq!(&header[..10], b"\x93NUMPY\x01\x00\x76\x00");
        let text = std::str::from_utf8(&header[10..]).unwrap();
        assert_eq!(text.trim_end(), "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
        assert!(text.ends_with(" \n"));
    }

    #[test]
    fn values_begin_at_a_multiple_of_64_whatever_the_shape() {
        for rows in [0, 9, 99, 1_000_000_000] {
            assert_eq!(header(rows, 256).len() % 64, 0);
        }
    }

    #[test]
    fn rows_follow_the_header_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.npy");
        let vectors = Vectors::normalised(2, vec![3.0, 4.0, 0.0, -2.0]).unwrap();
        write(&path, &vectors).unwrap();
        let bytes = files::read(&path).unwrap();
        assert_eq!(files::f32_values(&bytes[128..]), [0.6, 0.8, 0.0, -1.0]);
    }
}
