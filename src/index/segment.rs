//! Segment files: rows of vectors that are written once, mapped, and never changed.
//!
//! ```text
//! offset  bytes
//!      0      8  "LOOKSEEV"
//!      8      4  format of the file, 2
//!     12      4  kind: 0 pictures, 1 texts
//!     16      8  rows
//!     24      4  dim, values a vector
//!     28      4  dim rounded up to a multiple of 8
//!     32      8  XXH3-64 of the page table
//!     40      4  bytes of data a page
//!     44     12  zero
//!     56      8  XXH3-64 of the 56 bytes before
//!     64         data: rows x dim rounded up x f32; little-endian like all numbers above
//!                page table: the XXH3-64 of each page of the data, 8 bytes a page
//! ```
//!
//! Whoever reads a row compares the pages that hold it with the table first, once for each time
//! that the file is mapped: a search knows that what it compares is what was written, and a search
//! among few rows reads few pages. In format 1, which is still read, there is no table, and the
//! number at offset 32 is the checksum of all data: one page as long as the file.

use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use looksee_kernels::cpu::mapped::Mapped;
use rayon::prelude::*;

use crate::error::{Error, ErrorKind, Fact, Result};
use crate::files;

/// What a segment begins with.
pub(super) const MAGIC: &[u8; 8] = b"LOOKSEEV";
/// The format that this build writes, and the newest it reads.
const FORMAT: u32 = 2;
const HEADER_BYTES: usize = 64;
/// Bytes of data a page. At 256 values a page has 64 rows, and the table is a 8192nd of the data.
const PAGE_BYTES: usize = 1 << 16;
/// Pages that a thread takes at a time: less than this is not worth the way to another one.
const PAGES_A_TASK: usize = 8;
/// Rows of the largest segment: 1 GiB at 256 values.
pub(super) const MOST_ROWS: usize = 1 << 20;
/// Farther than this from length 1, a row cannot come from an encoder.
const UNIT_TOLERANCE: f64 = 1e-3;

/// What the vectors of a segment stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SegmentKind {
    Pictures,
    Texts,
}

impl SegmentKind {
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
pub(super) struct SegmentEntry {
    pub(super) number: u32,
    pub(super) kind: SegmentKind,
    pub(super) rows: usize,
    /// XXH3-64 of the page table; in format 1 of the data.
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
    folder(index).join(name(number))
}

fn name(number: u32) -> String {
    format!("{number:06}.vectors")
}

/// The number of the segment whose file has this name.
pub(super) fn number_of(file: &str) -> Option<u32> {
    let number = file.strip_suffix(".vectors")?.parse().ok()?;
    (name(number) == file).then_some(number)
}

/// Writes rows `[n, dim]` as segment `number`, whole or not at all.
pub(super) fn write<'a>(
    index: &Path,
    number: u32,
    kind: SegmentKind,
    dim: usize,
    rows: impl Iterator<Item = &'a [f32]> + Clone,
) -> Result<SegmentEntry> {
    let (count, table) = page_table(rows.clone(), dim);
    let entry = SegmentEntry { number, kind, rows: count, checksum: files::checksum(&table) };
    let no_write = |e| Error::io("cannot write the vectors", e);
    files::replace(&path(index, number), |out| {
        out.write_all(&header(&entry, dim, FORMAT)).map_err(no_write)?;
        for row in rows {
            out.write_all(&row_bytes(row, dim)).map_err(no_write)?;
        }
        out.write_all(&table).map_err(no_write)
    })?;
    Ok(entry)
}

/// How many rows there are, and the checksum of each page of them.
fn page_table<'a>(rows: impl Iterator<Item = &'a [f32]>, dim: usize) -> (usize, Vec<u8>) {
    let (mut count, mut table, mut page) = (0, Vec::new(), Vec::with_capacity(PAGE_BYTES));
    for row in rows {
        count += 1;
        let bytes = row_bytes(row, dim);
        let mut left = bytes.as_slice();
        while !left.is_empty() {
            let (now, later) = left.split_at(left.len().min(PAGE_BYTES - page.len()));
            page.extend_from_slice(now);
            if page.len() == PAGE_BYTES {
                table.extend_from_slice(&files::checksum(&page).to_le_bytes());
                page.clear();
            }
            left = later;
        }
    }
    if !page.is_empty() {
        table.extend_from_slice(&files::checksum(&page).to_le_bytes());
    }
    (count, table)
}

fn row_bytes(row: &[f32], dim: usize) -> Vec<u8> {
    let mut bytes = files::f32_bytes(row);
    bytes.resize(padded(dim) * size_of::<f32>(), 0);
    bytes
}

fn header(entry: &SegmentEntry, dim: usize, format: u32) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&format.to_le_bytes());
    bytes[12..16].copy_from_slice(&entry.kind.code().to_le_bytes());
    bytes[16..24].copy_from_slice(&(entry.rows as u64).to_le_bytes());
    bytes[24..28].copy_from_slice(&(dim as u32).to_le_bytes());
    bytes[28..32].copy_from_slice(&(padded(dim) as u32).to_le_bytes());
    bytes[32..40].copy_from_slice(&entry.checksum.to_le_bytes());
    if format > 1 {
        bytes[40..44].copy_from_slice(&(PAGE_BYTES as u32).to_le_bytes());
    }
    let checksum = files::checksum(&bytes[..56]);
    bytes[56..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// A mapped segment.
#[derive(Debug)]
pub(super) struct Segment {
    entry: SegmentEntry,
    dim: usize,
    path: PathBuf,
    map: Mapped,
    pages: Pages,
    identity: Identity,
    odd: OnceLock<Vec<usize>>,
}

/// The checksums of the pages, and which of them were compared.
#[derive(Debug)]
struct Pages {
    /// Bytes of data a page.
    bytes: usize,
    checksums: Vec<u64>,
    /// Pages that were found to be what was written.
    sound: Vec<AtomicBool>,
    /// Whether all of them were.
    all_sound: AtomicBool,
}

impl Segment {
    /// Maps the file of `entry` and compares its header, its page table and its length with what
    /// the database says; its rows are compared when they are read.
    pub(super) fn open(index: &Path, entry: SegmentEntry, dim: usize) -> Result<Self> {
        let path = path(index, entry.number);
        let open = || {
            let file = files::open(&path)?;
            let no_read = |e| Error::io("cannot read the vectors", e);
            let about = file.metadata().map_err(no_read)?;
            let map = Mapped::of(&file).map_err(no_read)?;
            let format = check_header(map.bytes(), &entry, dim)?;
            let pages = Pages::of(map.bytes(), &entry, dim, format)?;
            Ok((map, pages, identity(&about)))
        };
        let (map, pages, identity) = open().map_err(|e: Error| e.at_file(&path))?;
        Ok(Self { entry, dim, path, map, pages, identity, odd: OnceLock::new() })
    }

    /// What the database says of it.
    pub(super) fn entry(&self) -> SegmentEntry {
        self.entry
    }

    /// Its file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// All rows, `[rows, padded(dim)]`, once they were compared with their checksums.
    pub(super) fn rows(&self) -> Result<&[f32]> {
        self.expect_whole_file()?;
        self.expect_sound(|| (0..self.pages.checksums.len()).collect())?;
        Ok(self.uncompared())
    }

    /// All rows, `[rows, padded(dim)]`, of which only those with these numbers may be read: the
    /// others were not compared with their checksums. The numbers ascend.
    pub(super) fn rows_for(&self, numbers: &[u32]) -> Result<&[f32]> {
        self.expect_whole_file()?;
        self.expect_sound(|| self.pages_of(numbers.iter().map(|&number| number as usize)))?;
        Ok(self.uncompared())
    }

    /// Row `number`, `[dim]`, once it was compared with its checksum.
    pub(super) fn row(&self, number: usize) -> Result<&[f32]> {
        self.expect_sound(|| self.pages_of([number]))?;
        Ok(self.uncompared_row(number))
    }

    /// Row `number`, `[dim]`; for those who called [`Segment::rows`] before.
    pub(super) fn uncompared_row(&self, number: usize) -> &[f32] {
        &self.uncompared()[number * padded(self.dim)..][..self.dim]
    }

    /// Compares every page, and looks for rows that no encoder makes; the number of pages that are
    /// damaged.
    pub(super) fn compare(&self) -> usize {
        if !self.is_whole_file() {
            return self.pages.checksums.len();
        }
        let damaged = self.compare_pages((0..self.pages.checksums.len()).collect()).len();
        self.odd_rows();
        damaged
    }

    /// Whether row `number` is there and was found to be what was written, by
    /// [`Segment::compare`].
    pub(super) fn is_sound(&self, number: usize) -> bool {
        number < self.entry.rows
            && self.pages_of([number]).iter().all(|&page| self.knows(page))
            && self.odd_rows().binary_search(&number).is_err()
    }

    /// The numbers of the rows that no encoder makes, ascending.
    pub(super) fn odd_rows(&self) -> &[usize] {
        let is_odd = |row: &[f32]| {
            let length = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            length.is_nan() || (length - 1.0).abs() > UNIT_TOLERANCE
        };
        self.odd.get_or_init(|| {
            let rows = self.uncompared().par_chunks_exact(padded(self.dim)).enumerate();
            rows.filter(|(_, row)| is_odd(row)).map(|(number, _)| number).collect()
        })
    }

    fn uncompared(&self) -> &[f32] {
        // The length was compared when the file was mapped.
        self.map.f32s(HEADER_BYTES, self.entry.rows * padded(self.dim)).unwrap_or_default()
    }

    /// Whether the file has not been cut short in place. It stays mapped when its name goes or is
    /// given to another file; it is not kept open, because there may be thousands.
    fn is_whole_file(&self) -> bool {
        let Ok(about) = std::fs::metadata(&self.path) else { return true };
        identity(&about) != self.identity || about.len() >= self.map.bytes().len() as u64
    }

    /// A file that was cut short under us is an error here where that can be had: a moment later
    /// the operating system would end the process.
    fn expect_whole_file(&self) -> Result<()> {
        if self.is_whole_file() {
            return Ok(());
        }
        let message = "the file was cut short while it was in use; files of an index are to be \
                       replaced, never written over: copy the index again";
        Err(Error::new(ErrorKind::Corrupt, message).at_file(&self.path))
    }

    /// An error when one of these pages is not what was written; each is compared once.
    fn expect_sound(&self, pages: impl FnOnce() -> Vec<usize>) -> Result<()> {
        if self.pages.all_sound.load(Ordering::Acquire) {
            return Ok(());
        }
        let damaged = self.compare_pages(pages());
        let Some(&first) = damaged.first() else { return Ok(()) };
        Err(self.damaged(first, damaged.len()))
    }

    /// Those of `pages` that are not what was written.
    fn compare_pages(&self, mut pages: Vec<usize>) -> Vec<usize> {
        pages.retain(|&page| !self.knows(page));
        let data = self.data();
        let is_damaged = |&page: &usize| {
            let place = page * self.pages.bytes;
            let bytes = &data[place..data.len().min(place.saturating_add(self.pages.bytes))];
            let sound = files::checksum(bytes) == self.pages.checksums[page];
            self.pages.sound[page].store(sound, Ordering::Release);
            !sound
        };
        let tasks = pages.into_par_iter().with_min_len(PAGES_A_TASK);
        let damaged: Vec<usize> = tasks.filter(is_damaged).collect();
        if (0..self.pages.checksums.len()).all(|page| self.knows(page)) {
            self.pages.all_sound.store(true, Ordering::Release);
        }
        damaged
    }

    fn knows(&self, page: usize) -> bool {
        self.pages.sound[page].load(Ordering::Acquire)
    }

    fn data(&self) -> &[u8] {
        &self.map.bytes()[HEADER_BYTES..][..data_bytes(&self.entry, self.dim)]
    }

    /// The pages that hold these rows, both ascending.
    fn pages_of(&self, rows: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let row_bytes = padded(self.dim) * size_of::<f32>();
        let (mut pages, mut next) = (Vec::new(), 0);
        for row in rows {
            let end = (row + 1) * row_bytes;
            // Most rows are in the page of the row before.
            if end > next * self.pages.bytes {
                let last = (end - 1) / self.pages.bytes;
                pages.extend(next.max(row * row_bytes / self.pages.bytes)..=last);
                next = last + 1;
            }
        }
        pages
    }

    /// The rows that lie in a page, wholly or in part.
    fn rows_of(&self, page: usize) -> Range<usize> {
        let row_bytes = padded(self.dim) * size_of::<f32>();
        let (start, end) = (page * self.pages.bytes, (page + 1).saturating_mul(self.pages.bytes));
        start / row_bytes..end.div_ceil(row_bytes).min(self.entry.rows)
    }

    fn damaged(&self, page: usize, count: usize) -> Error {
        let rows = self.rows_of(page);
        let more = match count - 1 {
            0 => String::new(),
            more => format!(" ({more} more pages are damaged)"),
        };
        let message = format!(
            "page {} of {} is not what was written: the vectors of {} items, rows {} to {}, are \
             damaged{more}",
            page + 1,
            self.pages.checksums.len(),
            rows.len(),
            rows.start,
            rows.end.saturating_sub(1),
        );
        Error::new(ErrorKind::Corrupt, message).with_fact(Fact::DamagedItems).at_file(&self.path)
    }
}

impl Pages {
    /// The page table of a file whose header was compared.
    fn of(bytes: &[u8], entry: &SegmentEntry, dim: usize, format: u32) -> Result<Self> {
        let data = data_bytes(entry, dim);
        let (bytes, checksums) = if format == 1 {
            (data.max(1), vec![entry.checksum])
        } else {
            let table = &bytes[HEADER_BYTES + data..];
            if files::checksum(table) != entry.checksum {
                return Err(corrupt("its page table is not the one that was written"));
            }
            let checksum = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
            (PAGE_BYTES, table.as_chunks().0.iter().map(checksum).collect())
        };
        let sound = checksums.iter().map(|_| AtomicBool::new(false)).collect();
        Ok(Self { bytes, checksums, sound, all_sound: AtomicBool::new(false) })
    }
}

/// What tells a file from another one of the same name.
pub(super) type Identity = (u64, u64);

#[cfg(unix)]
pub(super) fn identity(about: &std::fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (about.dev(), about.ino())
}

/// Elsewhere a file that is mapped cannot be cut short.
#[cfg(not(unix))]
pub(super) fn identity(_: &std::fs::Metadata) -> Identity {
    (0, 0)
}

fn data_bytes(entry: &SegmentEntry, dim: usize) -> usize {
    entry.rows * padded(dim) * size_of::<f32>()
}

/// The format of a file that has the length and the header that `entry` asks for.
fn check_header(bytes: &[u8], entry: &SegmentEntry, dim: usize) -> Result<u32> {
    if bytes.len() < HEADER_BYTES {
        return Err(corrupt(&format!("the file has {} bytes, less than a header", bytes.len())));
    }
    if bytes[..8] != *MAGIC {
        return Err(corrupt("this is no file of vectors"));
    }
    let format = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    if format > FORMAT {
        return Err(super::store::newer(i64::from(format), i64::from(FORMAT)));
    }
    let data = data_bytes(entry, dim);
    let table = if format == 1 { 0 } else { data.div_ceil(PAGE_BYTES) * size_of::<u64>() };
    let expected = HEADER_BYTES + data + table;
    if bytes.len() != expected {
        let (found, rows) = (bytes.len(), entry.rows);
        let message = format!("the file has {found} bytes, its {rows} vectors need {expected}");
        return Err(corrupt(&message));
    }
    if bytes[..HEADER_BYTES] != header(entry, dim, format) {
        return Err(corrupt("its header is not the one that the index knows"));
    }
    Ok(format)
}

fn corrupt(what: &str) -> Error {
    let message = format!("{what}: it is damaged or of another index");
    Error::new(ErrorKind::Corrupt, message).with_fact(Fact::DamagedItems)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(folder: &Path, rows: &[f32]) -> SegmentEntry {
        files::make_folder(&super::folder(folder)).unwrap();
        write(folder, 1, SegmentKind::Texts, 3, rows.chunks_exact(3)).unwrap()
    }

    /// Three pages of vectors of 3 values: 2048 rows of 32 bytes a page.
    fn three_pages(folder: &Path) -> Segment {
        let entry = written(folder, &[1.0, 0.0, 0.0].repeat(5000));
        Segment::open(folder, entry, 3).unwrap()
    }

    /// The same segment with the byte at `offset` of the data changed.
    fn changed(folder: &Path, offset: usize) -> Segment {
        let entry = three_pages(folder).entry;
        let mut bytes = files::read(&path(folder, 1)).unwrap();
        bytes[HEADER_BYTES + offset] ^= 0x40;
        files::replace_bytes(&path(folder, 1), &bytes).unwrap();
        Segment::open(folder, entry, 3).unwrap()
    }

    #[test]
    fn rows_come_back_padded_and_aligned() {
        let folder = tempfile::tempdir().unwrap();
        let entry = written(folder.path(), &[1.0, 0.0, 0.0, 0.6, 0.8, 0.0]);
        let segment = Segment::open(folder.path(), entry, 3).unwrap();
        let rows = segment.rows().unwrap();
        assert_eq!(rows.len(), 16);
        assert_eq!(rows[8..], [0.6, 0.8, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(segment.row(1).unwrap(), [0.6, 0.8, 0.0]);
        assert_eq!(rows.as_ptr().align_offset(64), 0);
        assert_eq!((segment.compare(), segment.odd_rows().len()), (0, 0));
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
        assert!(error.message().contains("has 80 bytes, its 1 vectors need 104"), "{error}");
    }

    #[test]
    fn a_changed_header_table_or_another_index_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let entry = written(folder.path(), &[1.0, 0.0, 0.0]);
        let path = path(folder.path(), 1);
        let mut bytes = files::read(&path).unwrap();
        let table = bytes.len() - 1;
        for (offset, kind) in [
            (0, ErrorKind::Corrupt),
            (8, ErrorKind::Unsupported),
            (40, ErrorKind::Corrupt),
            (table, ErrorKind::Corrupt),
        ] {
            bytes[offset] ^= 0x42;
            files::replace_bytes(&path, &bytes).unwrap();
            bytes[offset] ^= 0x42;
            assert_eq!(Segment::open(folder.path(), entry, 3).unwrap_err().kind(), kind);
        }
        let other = SegmentEntry { checksum: entry.checksum ^ 1, ..entry };
        files::replace_bytes(&path, &bytes).unwrap();
        assert!(Segment::open(folder.path(), other, 3).is_err());
    }

    #[test]
    fn a_flipped_bit_is_found_before_its_row_is_read_and_hides_no_other_page() {
        let folder = tempfile::tempdir().unwrap();
        let segment = changed(folder.path(), PAGE_BYTES + 32 * 7 + 3);
        let error = segment.rows().unwrap_err();
        assert_eq!((error.kind(), error.file()), (ErrorKind::Corrupt, Some(segment.path())));
        assert!(error.message().starts_with("page 2 of 3 "), "{error}");
        assert!(error.message().contains("2048 items, rows 2048 to 4095,"), "{error}");
        assert!(segment.row(2047).is_ok() && segment.row(4096).is_ok());
        assert!(segment.row(2048).is_err() && segment.row(4095).is_err());
        assert!(segment.rows_for(&[0, 4999]).is_ok() && segment.rows_for(&[0, 3000]).is_err());
        assert_eq!((segment.compare(), segment.odd_rows()), (1, [2055].as_slice()));
        let sound = (0..5001).filter(|&row| segment.is_sound(row)).count();
        assert_eq!(sound, 5000 - 2048);
    }

    #[test]
    fn a_row_across_two_pages_is_lost_with_either() {
        let folder = tempfile::tempdir().unwrap();
        files::make_folder(&super::folder(folder.path())).unwrap();
        let row = [[1.0].as_slice(), &[0.0; 99]].concat();
        let rows = row.repeat(400);
        let entry =
            write(folder.path(), 1, SegmentKind::Texts, 100, rows.chunks_exact(100)).unwrap();
        for (offset, lost) in [(0, 158), (PAGE_BYTES, 159)] {
            let mut bytes = files::read(&path(folder.path(), 1)).unwrap();
            bytes[HEADER_BYTES + offset] ^= 1;
            files::replace_bytes(&path(folder.path(), 1), &bytes).unwrap();
            let segment = Segment::open(folder.path(), entry, 100).unwrap();
            assert_eq!(segment.compare(), 1);
            assert_eq!((0..400).filter(|&row| !segment.is_sound(row)).count(), lost);
            bytes[HEADER_BYTES + offset] ^= 1;
            files::replace_bytes(&path(folder.path(), 1), &bytes).unwrap();
        }
    }

    #[test]
    fn a_file_that_was_cut_short_in_place_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let segment = three_pages(folder.path());
        let file = std::fs::File::options().write(true).open(segment.path()).unwrap();
        file.set_len(100).unwrap();
        let error = segment.rows().unwrap_err();
        assert!(error.message().starts_with("the file was cut short"), "{error}");
        assert_eq!(segment.compare(), 3);
    }

    #[test]
    fn the_first_format_is_one_page() {
        let folder = tempfile::tempdir().unwrap();
        let table = three_pages(folder.path()).entry;
        let path = path(folder.path(), 1);
        let mut bytes = files::read(&path).unwrap();
        bytes.truncate(HEADER_BYTES + 5000 * 32);
        let entry = SegmentEntry { checksum: files::checksum(&bytes[HEADER_BYTES..]), ..table };
        bytes[..HEADER_BYTES].copy_from_slice(&header(&entry, 3, 1));
        files::replace_bytes(&path, &bytes).unwrap();
        let segment = Segment::open(folder.path(), entry, 3).unwrap();
        assert_eq!(segment.row(4999).unwrap(), [1.0, 0.0, 0.0]);
        *bytes.last_mut().unwrap() ^= 1;
        files::replace_bytes(&path, &bytes).unwrap();
        let segment = Segment::open(folder.path(), entry, 3).unwrap();
        assert!(segment.row(0).is_err());
        assert!(!segment.is_sound(0));
    }

    #[test]
    fn only_names_that_a_segment_has_are_known() {
        for (name, number) in [
            ("000001.vectors", Some(1)),
            ("1234567.vectors", Some(1_234_567)),
            ("1.vectors", None),
            ("0000001.vectors", None),
            ("+00001.vectors", None),
            ("clip1.mp4", None),
        ] {
            assert_eq!(number_of(name), number, "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_in_place_of_a_segment_is_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let entry = three_pages(folder.path()).entry;
        std::fs::remove_file(path(folder.path(), 1)).unwrap();
        let made = std::process::Command::new("mkfifo").arg(path(folder.path(), 1)).status();
        assert!(made.unwrap().success());
        assert!(Segment::open(folder.path(), entry, 3).is_err());
    }
}
