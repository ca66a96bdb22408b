//! What the texts themselves say: which are empty, and which rows have the same.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::index::{Carry, Collection, Record};
use crate::units::{Event, Listener, Stop};

/// Rows between two looks at the stop flag.
const ROWS_A_BLOCK: usize = 4096;
/// From so many rows on, a text that they share may be one that says nothing.
const MANY: usize = 5;

/// The texts of all rows of a collection.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// Rows without a text that says anything, ascending.
    pub(super) empty: Vec<u32>,
    /// Groups of many rows that have the same texts, each ascending.
    pub(super) shared: Vec<Vec<u32>>,
}

/// Reads those of all `total` items.
pub(super) fn read(
    collection: &dyn Collection,
    total: usize,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<Texts> {
    let mut texts = Texts::default();
    let mut rows_of: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    // Rows and items are both in the order of the names.
    let mut row: usize = 0;
    collection.visit(None, Carry::RECORD, &mut |item| {
        if row.is_multiple_of(ROWS_A_BLOCK) {
            stop.check()?;
            listener(Event::Progress { what: "reading texts", done: row, total });
        }
        match item.record {
            Some(record) if !says_nothing(&record) => {
                rows_of.entry(record.texts_checksum()).or_default().push(row as u32);
            }
            _ => texts.empty.push(row as u32),
        }
        row += 1;
        Ok(())
    })?;
    texts.shared = rows_of.into_values().filter(|rows| rows.len() >= MANY).collect();
    // By row, not by checksum, so that the order means something.
    texts.shared.sort_unstable();
    Ok(texts)
}

/// Whether no text has a letter or a number.
fn says_nothing(record: &Record) -> bool {
    !record.texts.iter().any(|text| text.chars().any(char::is_alphanumeric))
}
