//! As much of numpy's file format as this program needs: float32, two axes, rows one after another.

use std::path::Path;

use crate::Result;

const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";

/// The number of columns and all numbers of a file of float32 `[n, columns]`.
pub(crate) fn read(path: &Path) -> Result<(usize, Vec<f32>)> {
    let bytes = std::fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    parse(&bytes).ok_or_else(|| format!("{} is no npy file of float32 [n, d]", path.display()))
}

fn parse(bytes: &[u8]) -> Option<(usize, Vec<f32>)> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (header, body) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    let header = std::str::from_utf8(header).ok()?;
    if !header.contains("'<f4'") || !header.contains("'fortran_order': False") {
        return None;
    }
    let (_, shape) = header.split_once("'shape': (")?;
    let (rows, rest) = shape.split_once(", ")?;
    let (columns, _) = rest.split_once(')')?;
    let (rows, columns): (usize, usize) = (rows.parse().ok()?, columns.parse().ok()?);
    let (numbers, []) = body.as_chunks::<4>() else { return None };
    let numbers: Vec<f32> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
    (columns > 0 && rows.checked_mul(columns) == Some(numbers.len())).then_some((columns, numbers))
}

/// Writes float32 `[numbers.len() / columns, columns]`.
pub(crate) fn write(path: &Path, columns: usize, numbers: &[f32]) -> Result<()> {
    let bytes = bytes(columns, numbers);
    std::fs::write(path, bytes).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

fn bytes(columns: usize, numbers: &[f32]) -> Vec<u8> {
    let rows = numbers.len() / columns;
    let header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    // The numbers begin at a multiple of 64 bytes; the header ends with a line break.
    let length = (MAGIC.len() + 2 + header.len() + 1).next_multiple_of(64) - MAGIC.len() - 2;
    let header = format!("{header:<0$}\n", length - 1);
    let mut bytes = MAGIC.to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_again() {
        let numbers = [1.0, -2.5, 3.0, 1e-30, 5.0, 6.0];
        let bytes = bytes(2, &numbers);
        assert_eq!(bytes.len(), 128 + numbers.len() * 4);
        assert_eq!(parse(&bytes), Some((2, numbers.to_vec())));
    }

    #[test]
    fn a_file_that_is_cut_off_is_refused() {
        let bytes = bytes(2, &[1.0, 2.0]);
        for length in 0..bytes.len() {
            assert_eq!(parse(&bytes[..length]), None, "{length}");
        }
    }
}
