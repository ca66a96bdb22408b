//! What the row formats have in common.

use crate::error::Result;
use crate::filter::Fields;

/// One row of a catalogue file.
#[derive(Debug)]
pub(super) struct Row {
    /// The line it begins at, from 1.
    pub(super) line: u64,
    /// Bytes that it has in the file.
    pub(super) bytes: usize,
    /// Its fields, or the ledger's sentence about what is wrong with it.
    pub(super) content: Result<Fields, String>,
}

/// The rows of one file, in order.
pub(super) trait Rows: Send {
    /// The next row; an error ends the file (it breaks off, the disk fails).
    fn next_row(&mut self) -> Result<Option<Row>>;

    /// The names in the header line, where the format has one.
    fn header(&self) -> &[String] {
        &[]
    }
}
