//! Vectors as a numpy file: version 1.0, little-endian float32, C order, `[n, dim]`.
//!
//! The header is padded so that the values begin at a multiple of 64 bytes, as numpy writes it, and
//! can be mapped: `numpy.load("vectors.npy", mmap_mode="r")`.

use std::io::{Read, Write};
use std::path::Path;

use looksee::vectors::Vectors;
use looksee::{Error, Result, files};

/// Bytes from the beginning of a file in which its header must end; real ones have 128.
const LONGEST_HEADER: u64 = 1 << 16;

/// Values that are turned into bytes at a time.
const BLOCK: usize = 1 << 16;

/// Writes `vectors` to `path`, whole or not at all.
pub(crate) fn write(path: &Path, vectors: &Vectors) -> Result<()> {
    write_rows(path, vectors.as_slice(), vectors.dim())
}

/// Writes rows `[n, dim]` to `path`, whole or not at all.
pub(crate) fn write_rows(path: &Path, rows: &[f32], dim: usize) -> Result<()> {
    files::replace(path, |out| {
        write_to(out, rows, dim).map_err(|e| Error::io("cannot write the vectors", e))
    })
}

fn write_to(out: &mut impl Write, rows: &[f32], dim: usize) -> std::io::Result<()> {
    out.write_all(&header(rows.len() / dim.max(1), dim))?;
    for block in rows.chunks(BLOCK) {
        out.write_all(&files::f32_bytes(block))?;
    }
    Ok(())
}

/// Reads float32 rows `[n, dim]`: the values and `dim`.
pub(crate) fn read_rows(path: &Path) -> Result<(Vec<f32>, usize)> {
    let (array, bytes) = read(path)?;
    let expected = "expected float32 [n, d] in C order; numpy.save(FILE, x.astype(\"float32\"))";
    let wrong = |found: &str| Error::invalid(format!("found {found}, {expected}")).at_file(path);
    if array.kind != "<f4" {
        return Err(wrong(&format!("values of type {}", array.kind)));
    }
    if array.fortran {
        return Err(wrong("an array in Fortran order"));
    }
    let [_, dim] = array.shape[..] else {
        return Err(wrong(&format!("an array of {} dimensions", array.shape.len())));
    };
    if dim == 0 {
        return Err(wrong("rows without values"));
    }
    let values = bytes.as_chunks::<4>().0.iter().map(|&value| f32::from_le_bytes(value));
    Ok((values.collect(), dim))
}

/// Reads whole numbers `[n]` of 32 or 64 bits.
pub(crate) fn read_numbers(path: &Path) -> Result<Vec<i64>> {
    let (array, bytes) = read(path)?;
    let wide = |&value: &[u8; 8]| i64::from_le_bytes(value);
    let narrow = |&value: &[u8; 4]| i64::from(i32::from_le_bytes(value));
    match (array.kind.as_str(), array.shape.len()) {
        ("<i8", 1) => Ok(bytes.as_chunks::<8>().0.iter().map(wide).collect()),
        ("<i4", 1) => Ok(bytes.as_chunks::<4>().0.iter().map(narrow).collect()),
        (kind, dimensions) => {
            let message = format!(
                "found {dimensions} dimensions of type {kind}, expected int32 or int64 [n]"
            );
            Err(Error::invalid(message).at_file(path))
        }
    }
}

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
struct Array {
    kind: String,
    fortran: bool,
    shape: Vec<usize>,
}

/// The header and the bytes of the values. The file's length is compared with what the header
/// claims before memory is taken for either.
fn read(path: &Path) -> Result<(Array, Vec<u8>)> {
    let invalid = |what: &str| Error::invalid(what).at_file(path);
    let cannot = |e| Error::io("cannot read the numpy file", e).at_file(path);
    let mut file = files::open(path)?;
    let length = file.metadata().map_err(cannot)?.len();
    let mut head = Vec::new();
    Read::by_ref(&mut file).take(LONGEST_HEADER).read_to_end(&mut head).map_err(cannot)?;
    let (array, start) = parse_header(&head)
        .ok_or_else(|| invalid("this is no numpy file; numpy.save makes one"))?;
    let found = length.saturating_sub(start as u64);
    if array.bytes() != Some(found) {
        return Err(invalid(&format!(
            "its header tells of an array {:?} of {}, but {found} bytes follow; copy it again",
            array.shape, array.kind
        )));
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(found as usize).map_err(|_| {
        invalid(&format!("it holds {found} bytes of values, more than there is memory for"))
    })?;
    bytes.extend_from_slice(&head[start..]);
    // The file may have changed meanwhile.
    file.take(found.saturating_sub(bytes.len() as u64)).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 != found {
        return Err(invalid("the file changed while it was read; copy it again"));
    }
    Ok((array, bytes))
}

impl Array {
    /// Bytes that its values take; `None` when no number can say so.
    fn bytes(&self) -> Option<u64> {
        let size: u64 = self.kind.get(2..)?.parse().ok()?;
        self.shape.iter().try_fold(size, |all, &side| all.checked_mul(side as u64))
    }
}

/// The header, and where the values begin.
fn parse_header(bytes: &[u8]) -> Option<(Array, usize)> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (length, start): (usize, usize) = match rest.first()? {
        1 => (usize::from(u16::from_le_bytes(*rest.get(2..4)?.first_chunk()?)), 10),
        2 | 3 => (u32::from_le_bytes(*rest.get(2..6)?.first_chunk()?) as usize, 12),
        _ => return None,
    };
    let text = std::str::from_utf8(bytes.get(start..start.checked_add(length)?)?).ok()?;
    let after = |key: &str| text.split_once(key).map(|(_, value)| value.trim_start());
    let kind = after("'descr':")?.strip_prefix('\'')?.split_once('\'')?.0;
    let shape = after("'shape':")?.strip_prefix('(')?.split_once(')')?.0;
    let sides = shape.split(',').map(str::trim).filter(|side| !side.is_empty());
    let array = Array {
        kind: kind.to_owned(),
        fortran: after("'fortran_order':")?.starts_with("True"),
        shape: sides.map(|side| side.parse().ok()).collect::<Option<_>>()?,
    };
    Some((array, start + length))
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

    #[test]
    fn rows_come_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.npy");
        write_rows(&path, &[1.0, -2.5, 0.0, 4.0, 5.0, 6.0], 3).unwrap();
        assert_eq!(read_rows(&path).unwrap(), (vec![1.0, -2.5, 0.0, 4.0, 5.0, 6.0], 3));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.pop();
        std::fs::write(&path, &bytes).unwrap();
        let error = read_rows(&path).unwrap_err().to_string();
        assert!(error.contains("an array [2, 3] of <f4, but 23 bytes follow"), "{error}");
    }

    #[test]
    fn arrays_of_another_kind_are_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.npy");
        let write = |kind: &str, fortran: &str, shape: &str, size: usize| {
            let text =
                format!("{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
            bytes.resize(bytes.len() + size, 0);
            std::fs::write(&path, &bytes).unwrap();
        };
        for (kind, fortran, shape, size, found) in [
            ("<f8", "False", "(2, 3)", 48, "values of type <f8"),
            ("<f4", "True", "(2, 3)", 24, "Fortran order"),
            ("<f4", "False", "(6,)", 24, "an array of 1 dimensions"),
            ("<f4", "False", "(2, 0)", 0, "rows without values"),
        ] {
            write(kind, fortran, shape, size);
            let error = read_rows(&path).unwrap_err().to_string();
            assert!(error.contains(found) && error.contains("expected float32"), "{error}");
        }
        write("<i8", "False", "(2,)", 16);
        assert_eq!(read_numbers(&path).unwrap(), [0, 0]);
        std::fs::write(&path, "no numpy").unwrap();
        assert!(read_rows(&path).unwrap_err().to_string().contains("this is no numpy file"));
    }

    #[test]
    fn a_header_that_claims_more_than_the_file_has_is_refused_before_memory_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.npy");
        for shape in [
            "(4611686018427387904, 1)",
            "(1000000000000, 1)",
            "(4294967296, 4294967296)",
            "(18446744073709551616, 1)",
            "(-1, 1)",
            "(1,",
        ] {
            let mut bytes = header(1, 1);
            let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
            bytes.truncate(10);
            bytes.extend(text.bytes());
            bytes.resize(128, b' ');
            bytes.extend([0; 4]);
            std::fs::write(&path, &bytes).unwrap();
            assert!(read_rows(&path).is_err(), "{shape}");
        }
        let mut long = b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec();
        long.resize(1 << 17, b' ');
        std::fs::write(&path, &long).unwrap();
        assert!(read_rows(&path).unwrap_err().to_string().contains("no numpy file"));
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_no_numpy_file() {
        let error = read_rows(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(error.contains("a regular file is needed"), "{error}");
    }
}
