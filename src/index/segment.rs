//! Segment files: rows of vectors that are written once, mapped, and never changed.
//!
//! ```text
//! offset  bytes
//!      0      8  "LOOKSEEV"
//!      8      4  format of the file, 1
//!     12      4  kind: 0 pictures, 1 texts
//!     16      8  rows
//!     24      4  dim, values a vector
//!     28      4  dim rounded up to a multiple of 8
//!     32      8  XXH3-64 of the data
//!     40     16  zero
//!     56      8  XXH3-64 of the 56 bytes before
//!     64         rows x dim rounded up x f32; little-endian like all numbers above
//! ```

use std::io::Write;
use std::path::{Path, PathBuf};

use looksee_kernels::mapped::Mapped;
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, ErrorKind, Result};
use crate::files;

const MAGIC: &[u8; 8] = b"LOOKSEEV";
const FORMAT: u32 = 1;
const HEADER_BYTES: usize = 64;
/// Farther than this from length 1, a row cannot come from an encoder.
const UNIT_TOLERANCE: f64 = 1e-3;

/// What the vectors of a segment stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pictures,
    Texts,
}

impl Kind {
    pub(super) fn code(self) -> u32 {
        match self {
            Self::Pictures => 0,
            Self::Texts => 1,
        }
    }

    pub(super) fn of_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Pictures),
            1 => Some(Self::Texts),
            _ => None,
        }
    }
}

/// A segment as the database names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) rows: usize,
    /// XXH3-64 of the data.
    pub(super) checksum: u64,
}

/// `dim` rounded up to what the scan takes.
pub(super) fn padded(dim: usize) -> usize {
    dim.next_multiple_of(8)
}

/// Rows `[n, dim]`, one after the other, as `[n, padded(dim)]`.
pub(super) fn pad<'a>(rows: impl Iterator<Item = &'a [f32]>, dim: usize) -> Vec<f32> {
    let gap = padded(dim) - dim;
    rows.flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0.0, gap))).collect()
}

/// The folder of the segments of an index.
pub(super) fn folder(index: &Path) -> PathBuf {
    index.join("segments")
}

/// The file of a segment.
pub(super) fn path(index: &Path, number: u32) -> PathBuf {
    folder(index).join(format!("{number:06}.vectors"))
}

/// Writes rows `[n, dim]` as segment `number`, whole or not at all.
pub(super) fn write<'a>(
    index: &Path,
    number: u32,
    kind: Kind,
    dim: usize,
    rows: impl Iterator<Item = &'a [f32]> + Clone,
) -> Result<Entry> {
    let mut entry = Entry { number, kind, rows: 0, checksum: 0 };
    let mut hash = Xxh3::new();
    for row in rows.clone() {
        hash.update(&row_bytes(row, dim));
        entry.rows += 1;
    }
    entry.checksum = hash.digest();
    let no_write = |e| Error::io("cannot write the vectors", e);
    files::replace(&path(index, number), |out| {
        out.write_all(&header(&entry, dim)).map_err(no_write)?;
        for row in rows {
            out.write_all(&row_bytes(row, dim)).map_err(no_write)?;
        }
        Ok(())
    })?;
    Ok(entry)
}

fn row_bytes(row: &[f32], dim: usize) -> Vec<u8> {
    let mut bytes = files::f32_bytes(row);
    bytes.resize(padded(dim) * size_of::<f32>(), 0);
    bytes
}

fn header(entry: &Entry, dim: usize) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[12..16].copy_from_slice(&entry.kind.code().to_le_bytes());
    bytes[16..24].copy_from_slice(&(entry.rows as u64).to_le_bytes());
    bytes[24..28].copy_from_slice(&(dim as u32).to_le_bytes());
    bytes[28..32].copy_from_slice(&(padded(dim) as u32).to_le_bytes());
    bytes[32..40].copy_from_slice(&entry.checksum.to_le_bytes());
    let checksum = files::checksum(&bytes[..56]);
    bytes[56..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// A mapped segment.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) entry: Entry,
    dim: usize,
    path: PathBuf,
    map: Mapped,
}

impl Segment {
    /// Maps the file of `entry` and compares its header and length with what the database says.
    pub(super) fn open(index: &Path, entry: Entry, dim: usize) -> Result<Self> {
        let path = path(index, entry.number);
        let map = Mapped::open(&path)
            .map_err(|e| Error::io("cannot read the vectors", e).at_file(&path))?;
        check_header(map.bytes(), &entry, dim).map_err(|e| e.at_file(&path))?;
        Ok(Self { entry, dim, path, map })
    }

    /// All rows, `[rows, padded(dim)]`.
    pub(super) fn rows(&self) -> &[f32] {
        // The length was compared when the file was mapped.
        self.map.f32s(HEADER_BYTES, self.entry.rows * padded(self.dim)).unwrap_or_default()
    }

    /// Row `number`, `[dim]`.
    pub(super) fn row(&self, number: usize) -> &[f32] {
        &self.rows()[number * padded(self.dim)..][..self.dim]
    }

    /// Reads all data: a sentence for everything that is wrong.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let name = self.path.display();
        let found = files::checksum(&self.map.bytes()[HEADER_BYTES..]);
        if found != self.entry.checksum {
            problems.push(format!(
                "{name}: its data have checksum {found:016x}, written was {:016x}",
                self.entry.checksum
            ));
        }
        let odd = |row: &[f32]| {
            let length = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            length.is_nan() || (length - 1.0).abs() > UNIT_TOLERANCE
        };
        let odd = self.rows().chunks_exact(padded(self.dim)).filter(|row| odd(row)).count();
        if odd > 0 {
            problems.push(format!("{name}: {odd} vectors are not of length 1"));
        }
        problems
    }
}

fn check_header(bytes: &[u8], entry: &Entry, dim: usize) -> Result<()> {
    let corrupt = |message: String| Error::new(ErrorKind::Corrupt, message);
    let expected = HEADER_BYTES + entry.rows * padded(dim) * size_of::<f32>();
    if bytes.len() != expected {
        return Err(corrupt(format!(
            "the file has {} bytes, its {} vectors need {expected}; it is damaged, copy the index again or make it anew",
            bytes.len(),
            entry.rows
        )));
    }
    if bytes[..8] != *MAGIC {
        return Err(corrupt("this is no file of vectors; copy the index again".to_owned()));
    }
    let format = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    if format > FORMAT {
        return Err(super::store::newer(i64::from(format), i64::from(FORMAT)));
    }
    if bytes[..HEADER_BYTES] != header(entry, dim) {
        return Err(corrupt(
            "its header is not the one that the index knows; it is damaged or of another index, copy the index again or make it anew"
                .to_owned(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(folder: &Path, rows: &[f32]) -> Entry {
        files::make_folder(&super::folder(folder)).unwrap();
        write(folder, 1, Kind::Texts, 3, rows.chunks_exact(3)).unwrap()
    }

    #[test]
    fn rows_come_back_padded_and_aligned() {
        let folder = tempfile::tempdir().unwrap();
        let entry = written(folder.path(), &[1.0, 0.0, 0.0, 0.6, 0.8, 0.0]);
        let segment = Segment::open(folder.path(), entry, 3).unwrap();
        assert_eq!(segment.rows().len(), 16);
        assert_eq!(segment.rows()[8..], [0.6, 0.8, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(segment.row(1), [0.6, 0.8, 0.0]);
        assert_eq!(segment.rows().as_ptr().align_offset(64), 0);
        assert!(segment.problems().is_empty());
    }

    #[test]
    fn a_segment_of_another_length_is_refused_with_both_lengths() {
        let folder = tempfile::tempdir().unwrap();
        let entry = written(folder.path(), &[1.0, 0.0, 0.0]);
        let path = path(folder.path(), 1);
        let bytes = files::read(&path).unwrap();
        files::replace_bytes(&path, &bytes[..80]).unwrap();
        let error = Segment::open(folder.path(), entry, 3).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.message().contains("has 80 bytes, its 1 vectors need 96"), "{error}");
    }

    #[test]
    fn a_changed_header_or_another_index_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let entry = written(folder.path(), &[1.0, 0.0, 0.0]);
        let path = path(folder.path(), 1);
        let mut bytes = files::read(&path).unwrap();
        for (offset, kind) in
            [(0, ErrorKind::Corrupt), (8, ErrorKind::Unsupported), (40, ErrorKind::Corrupt)]
        {
            bytes[offset] ^= 0x42;
            files::replace_bytes(&path, &bytes).unwrap();
            bytes[offset] ^= 0x42;
            assert_eq!(Segment::open(folder.path(), entry, 3).unwrap_err().kind(), kind);
        }
        let other = Entry { checksum: entry.checksum ^ 1, ..entry };
        files::replace_bytes(&path, &bytes).unwrap();
        assert!(Segment::open(folder.path(), other, 3).is_err());
    }

    #[test]
    fn a_flipped_bit_and_a_long_vector_are_problems() {
        let folder = tempfile::tempdir().unwrap();
        let entry = written(folder.path(), &[1.0, 0.0, 0.0]);
        let path = path(folder.path(), 1);
        let mut bytes = files::read(&path).unwrap();
        bytes[HEADER_BYTES + 3] ^= 0x40;
        files::replace_bytes(&path, &bytes).unwrap();
        let problems = Segment::open(folder.path(), entry, 3).unwrap().problems();
        assert_eq!(problems.len(), 2, "{problems:?}");
    }
}
