//! Everything in an index compared with its checksum: what [`Index::check`](super::Index::check)
//! tells, and what [`Sink::look_for_damage`](super::Sink::look_for_damage) has mended.
//!
//! Both ask here, so that what the one finds is what the other mends.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;
use rusqlite::Connection;

use super::bits::Keys;
use super::record::{Known, json};
use super::segment::{Segment, SegmentEntry, SegmentKind};
use super::store::{self, Format, Item, Location, Raw};
use crate::error::{Error, Result};
use crate::units::ItemId;

/// Records that are read before they are compared on all cores.
const RECORDS_A_BLOCK: usize = 8192;

/// A segment that the database names, or why it cannot be used at all.
#[derive(Debug)]
pub(super) struct Part<S> {
    pub(super) entry: SegmentEntry,
    pub(super) segment: Result<S>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Items in the database.
    pub(super) items: usize,
    /// Items that cannot be used as they are, and why.
    pub(super) lost: BTreeMap<ItemId, Lost>,
    /// Segments that are damaged, and a sentence for each.
    pub(super) segments: BTreeMap<u32, String>,
    /// A sentence for what is wrong beyond items and segments and goes when these are mended.
    pub(super) others: Vec<String>,
}

/// Why an item cannot be used as it is.
#[derive(Debug)]
pub(super) enum Lost {
    /// A vector of it is in a damaged part of a segment.
    Vector,
    /// Something else, in a sentence.
    Other(String),
}

impl Findings {
    /// A sentence for everything that is wrong.
    pub(super) fn sentences(self) -> Vec<String> {
        let items = self.lost.into_iter().filter_map(|(id, lost)| match lost {
            Lost::Vector => None,
            Lost::Other(why) => Some(format!("item {id}: {why}")),
        });
        self.segments.into_values().chain(items).chain(self.others).collect()
    }
}

/// Reads everything that the database names and compares it with its checksums.
pub(super) fn examine<S: Borrow<Segment>>(
    connection: &Connection,
    format: Format,
    parts: &[Part<S>],
) -> Result<Findings> {
    let damaged_pages = compare(parts);
    let mut items = Items::new(parts);
    store::each_row(connection, format, |id, item| {
        items.look_at(id, item);
        Ok(())
    })?;
    items.compare_records(connection)?;
    Ok(items.findings(&damaged_pages))
}

/// Compares all pages; how many of each segment are damaged.
fn compare<S: Borrow<Segment>>(parts: &[Part<S>]) -> Vec<usize> {
    let pages = |part: &Part<S>| part.segment.as_ref().map_or(0, |it| it.borrow().compare());
    parts.iter().map(pages).collect()
}

/// What the record of an item must be.
#[derive(Debug)]
struct Expected {
    id: ItemId,
    known: Known,
    has_text: bool,
}

/// The items of a database while they are looked at.
struct Items<'a, S> {
    parts: &'a [Part<S>],
    places: BTreeMap<u32, usize>,
    /// For each segment the last row that an item has: rows ascend with the names.
    last: Vec<Option<u32>>,
    /// Items that each segment lost.
    lost_rows: Vec<usize>,
    count: usize,
    /// The items that have their vectors, by the keys of their records.
    by_key: HashMap<i64, Expected>,
    findings: Findings,
}

impl<'a, S: Borrow<Segment>> Items<'a, S> {
    fn new(parts: &'a [Part<S>]) -> Self {
        Self {
            parts,
            places: parts.iter().enumerate().map(|(n, part)| (part.entry.number, n)).collect(),
            last: vec![None; parts.len()],
            lost_rows: vec![0; parts.len()],
            count: 0,
            by_key: HashMap::new(),
            findings: Findings::default(),
        }
    }

    fn look_at(&mut self, id: &str, item: Option<Item>) {
        self.count += 1;
        let name = ItemId::from(id);
        let Some(item) = item else {
            let why = "its row in the database is not the one that was written".to_owned();
            self.findings.lost.insert(name, Lost::Other(why));
            return;
        };
        if let Some(lost) = self.lost_place(&item) {
            self.findings.lost.insert(name, lost);
            return;
        }
        if let Some(other) = self.by_key.get(&item.key) {
            let why = format!("it shares its record with item {}", other.id);
            self.findings.lost.insert(name, Lost::Other(why));
            return;
        }
        let has_text = item.text.is_some();
        self.by_key.insert(item.key, Expected { id: name, known: item.known, has_text });
    }

    /// What is wrong with the places of an item's vectors.
    fn lost_place(&mut self, item: &Item) -> Option<Lost> {
        let picture = self.look_at_place(item.picture, SegmentKind::Pictures);
        let text = item.text.and_then(|text| self.look_at_place(text, SegmentKind::Texts));
        match (picture, text) {
            (Some(Lost::Other(why)), _) | (_, Some(Lost::Other(why))) => Some(Lost::Other(why)),
            (None, None) => None,
            _ => Some(Lost::Vector),
        }
    }

    fn look_at_place(&mut self, at: Location, kind: SegmentKind) -> Option<Lost> {
        let Some(&place) = self.places.get(&at.segment) else {
            let why = format!("its vector is in segment {}, which is not there", at.segment);
            return Some(Lost::Other(why));
        };
        let Part { entry, segment } = &self.parts[place];
        if entry.kind != kind || at.row as usize >= entry.rows {
            let why = format!("segment {} has no row {} for it", at.segment, at.row);
            return Some(Lost::Other(why));
        }
        if self.last[place].is_some_and(|last| last >= at.row) {
            return Some(Lost::Other("its vector is out of order".to_owned()));
        }
        self.last[place] = Some(at.row);
        let sound = segment.as_ref().is_ok_and(|it| it.borrow().is_sound(at.row as usize));
        self.lost_rows[place] += usize::from(!sound);
        (!sound).then_some(Lost::Vector)
    }

    /// Compares the record of each item that has its vectors.
    fn compare_records(&mut self, connection: &Connection) -> Result<()> {
        let (mut seen, mut count, mut block) = (Keys::default(), 0, Vec::new());
        store::each_record(connection, |key, raw| {
            count += 1;
            seen.insert(key);
            block.push((key, raw));
            if block.len() == RECORDS_A_BLOCK {
                self.compare_block(std::mem::take(&mut block));
            }
            Ok(())
        })?;
        self.compare_block(block);
        for (key, expected) in &self.by_key {
            if !seen.contains(*key) {
                let why = Lost::Other("its record is missing".to_owned());
                self.findings.lost.insert(expected.id.clone(), why);
            }
        }
        if count != self.count {
            let sentence = format!("there are {} items but {count} records", self.count);
            self.findings.others.push(sentence);
        }
        Ok(())
    }

    fn compare_block(&mut self, block: Vec<(i64, Option<Raw>)>) {
        let by_key = &self.by_key;
        let wrong = |(key, raw)| {
            let expected = by_key.get(&key)?;
            Some((expected.id.clone(), expected.wrong_record(raw)?))
        };
        let lost: Vec<(ItemId, String)> = block.into_par_iter().filter_map(wrong).collect();
        let lost = lost.into_iter().map(|(id, why)| (id, Lost::Other(why)));
        self.findings.lost.extend(lost);
    }

    fn findings(self, damaged_pages: &[usize]) -> Findings {
        let mut findings = self.findings;
        findings.items = self.count;
        for ((part, &pages), &lost) in self.parts.iter().zip(damaged_pages).zip(&self.lost_rows) {
            if let Some(sentence) = damage(part, pages, lost) {
                findings.segments.insert(part.entry.number, sentence);
            }
        }
        findings
    }
}

impl Expected {
    /// What is wrong with the record that was found.
    fn wrong_record(&self, raw: Option<Raw>) -> Option<String> {
        let Some(raw) = raw else { return Some("its record cannot be read".to_owned()) };
        let stored = raw.into_stored(self.id.clone(), self.known.stamp);
        let wrong = if stored.checksum() != self.known.record {
            "its record is not the one that was written"
        } else if stored.texts_checksum() != self.known.texts {
            "its texts are not those that were written"
        } else {
            let texts = json::<Vec<String>>(&self.id, "texts", &stored.texts);
            let wordless = self.has_text && texts.is_ok_and(|texts| texts.is_empty());
            return wordless.then(|| "it has a text vector but no text".to_owned());
        };
        Some(wrong.to_owned())
    }
}

/// What is wrong with a segment of which `pages` are damaged and so many items `lost` a vector.
fn damage<S: Borrow<Segment>>(part: &Part<S>, pages: usize, lost: usize) -> Option<String> {
    let items = if lost == 1 { "1 item".to_owned() } else { format!("{lost} items") };
    match &part.segment {
        Err(error) => Some(unusable(error, &items)),
        Ok(segment) if pages > 0 => {
            let (name, pages) = (segment.borrow().path().display(), count_pages(pages));
            Some(format!("{name}: {pages} not what was written, the vectors of {items} are lost"))
        }
        Ok(segment) => {
            let (name, odd) = (segment.borrow().path().display(), segment.borrow().odd_rows());
            (!odd.is_empty()).then(|| format!("{name}: {} vectors are not of length 1", odd.len()))
        }
    }
}

fn count_pages(pages: usize) -> String {
    if pages == 1 { "1 page is".to_owned() } else { format!("{pages} pages are") }
}

/// The sentence of an error up to its explanation, and what it means for the index.
fn unusable(error: &Error, items: &str) -> String {
    let file = error.file().map(|file| format!("{}: ", file.display())).unwrap_or_default();
    let what = error.message().split([':', ';']).next().unwrap_or_default();
    format!("{file}{what}; the vectors of {items} are lost")
}
