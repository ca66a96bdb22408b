//! The rows of a catalogue that are probably wrong: picture and text disagree, the text says
//! nothing, one picture stands under two texts. The command line calls [`run`] on an index.
//!
//! The cosine of picture and text alone is a poor judge: some texts are near to many pictures,
//! and a model is weaker on some kinds of things than on others. So a row is compared with its own
//! neighbourhood, in four ways:
//!
//! ```text
//! p, t          picture and text of the row
//! near(p), ...  its k nearest among the other rows
//! gap 1         mean(p . near texts)      - p . t
//! gap 2         mean(t . near pictures)   - p . t
//! gap 3         mean(t . near texts)      - mean(t . texts of the pictures near p)
//! gap 4         mean(p . near pictures)   - mean(p . pictures of the texts near t)
//! disagreement  mean of the four
//! ```
//!
//! Gaps 1 and 2 are cross-domain similarity local scaling (Conneau et al., "Word Translation
//! Without Parallel Data", 2018). Gaps 3 and 4 never compare the row's own picture with its own
//! text, which a model that was trained on the wrong row may have learnt by heart. A row stands
//! out when its disagreement lies more than 3.5 robust deviations above the median (Iglewicz and
//! Hoaglin, "How to Detect and Handle Outliers", 1993).
//!
//! Rows whose texts were swapped on purpose come first (`tests.rs`, on a made-up catalogue).

mod judge;
mod measure;
mod texts;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Fact, Result};
use crate::files::Blob;
use crate::index::{Carry, Collection, Record};
use crate::units::{Event, ItemId, Listener, Seed, Stop};

/// What is probably wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The text fits other pictures, and pictures like this one have other texts.
    WrongPicture,
    /// The same picture stands under clearly different texts.
    SamePicture,
    /// The text says nothing that would tell one picture from another.
    GenericText,
    /// There is no text, or one without a letter and a number.
    EmptyText,
}

impl Kind {
    /// All kinds, in the order in which they are listed.
    pub const ALL: [Self; 4] =
        [Self::WrongPicture, Self::SamePicture, Self::GenericText, Self::EmptyText];

    /// `wrong picture`.
    pub fn name(self) -> &'static str {
        match self {
            Self::WrongPicture => "wrong picture",
            Self::SamePicture => "same picture",
            Self::GenericText => "generic text",
            Self::EmptyText => "empty text",
        }
    }

    /// What the kind means, as a sentence without its full stop.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::WrongPicture => "The text fits other pictures better than its own",
            Self::SamePicture => "The same picture stands under clearly different texts",
            Self::GenericText => "The text does not tell one picture from another",
            Self::EmptyText => "There is no text, or one without a letter and a number",
        }
    }
}

/// What to list.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// At most so many findings of each kind.
    pub top: usize,
    /// Only this kind; all when `None`.
    pub kind: Option<Kind>,
    /// Rows that are a row's neighbourhood, 1 or more.
    pub neighbours: usize,
    /// In a larger index, neighbours are looked for among so many rows that the seed draws: the
    /// time grows with the number of rows times this, the memory with this.
    pub reference: usize,
    /// Where chance comes from.
    pub seed: Seed,
}

impl Default for Options {
    fn default() -> Self {
        Self { top: 50, kind: None, neighbours: 10, reference: 1 << 16, seed: Seed(0) }
    }
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Items of the collection.
    pub items: usize,
    /// Items with both a picture and a text, which were compared.
    pub compared: usize,
    /// Rows of each kind, listed or not.
    pub found: Found,
    /// By kind in the order of [`Kind::ALL`], within a kind by score.
    pub findings: Vec<Finding>,
}

/// How many rows stand out, by kind. A row of one kind may be among those of another, but never
/// both generic and wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Of [`Kind::WrongPicture`].
    pub wrong_picture: usize,
    /// Of [`Kind::SamePicture`]: pictures, however many texts each has.
    pub same_picture: usize,
    /// Of [`Kind::GenericText`]: texts, however many rows each has.
    pub generic_text: usize,
    /// Of [`Kind::EmptyText`].
    pub empty_text: usize,
}

impl Found {
    /// The number of one kind.
    pub fn of(&self, kind: Kind) -> usize {
        match kind {
            Kind::WrongPicture => self.wrong_picture,
            Kind::SamePicture => self.same_picture,
            Kind::GenericText => self.generic_text,
            Kind::EmptyText => self.empty_text,
        }
    }
}

/// A row that is probably wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// From 1, within its kind.
    pub rank: usize,
    /// What is probably wrong.
    pub kind: Kind,
    /// The item's name.
    pub id: ItemId,
    /// Where its picture is.
    pub image: Blob,
    /// The first text.
    pub title: Option<String>,
    /// How much is wrong, to be compared within a kind; greater is worse. Of a wrong picture the
    /// disagreement, of one picture under several texts 1 less the cosine of its most different
    /// texts; unknown for an empty text.
    pub score: Option<f32>,
    /// Cosine of picture and text.
    pub cosine: Option<f32>,
    /// The cosine that neighbours of this picture and of this text reach.
    pub expected: Option<f32>,
    /// The other item whose picture this text fits: the best of those that stand out themselves, else
    /// the nearest.
    pub better: Option<Partner>,
    /// The other rows with the same picture, or with the same text; at most 20.
    pub others: Vec<ItemId>,
    /// Why it is listed, in one sentence.
    pub reason: String,
}

/// An item whose picture would fit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Partner {
    /// The item's name.
    pub id: ItemId,
    /// Where its picture is.
    pub image: Blob,
    /// Its own first text.
    pub title: Option<String>,
    /// Cosine of its picture with the text of the finding.
    pub cosine: f32,
    /// Whether that row stands out as well.
    pub suspicious: bool,
    /// Whether that row's text also fits the picture of the finding: the two may have been swapped.
    pub swapped: bool,
}

/// Looks for rows that are probably wrong. The same collection and seed give the same report.
///
/// Fails when no item has a text. With fewer than 20 items that have both a picture and a text
/// there is nothing that one of them could stand out from: only empty texts are listed then, and
/// the listener is warned.
pub fn run(
    collection: &dyn Collection,
    options: &Options,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<Report> {
    let vectors = &*collection.rows()?;
    let rows: Vec<u32> =
        (0..vectors.len()).filter(|&r| vectors.text(r).is_some()).map(|r| r as u32).collect();
    if rows.is_empty() {
        return Err(no_texts(vectors.len(), collection.place()));
    }
    let texts = texts::read(collection, vectors.len(), stop, listener)?;
    let measured = if rows.len() < judge::FEWEST {
        listener(Event::Warning(&too_few(rows.len())));
        Vec::new()
    } else {
        measure::rows(vectors, &rows, options, stop, listener)?
    };
    let (found, chosen) = judge::choose(vectors, &measured, &texts, options);
    let shown = chosen.iter().flat_map(judge::Suspect::shown);
    let shown: Vec<ItemId> = shown.map(|row| vectors.id(row as usize)).collect();
    let records = records(collection, &shown)?;
    let findings = chosen.iter().filter_map(|suspect| suspect.finding(vectors, &records));
    Ok(Report { items: vectors.len(), compared: rows.len(), found, findings: findings.collect() })
}

/// The records of these items.
fn records(collection: &dyn Collection, ids: &[ItemId]) -> Result<HashMap<ItemId, Record>> {
    let found = collection.get(ids, Carry::RECORD)?.into_iter().flatten();
    Ok(found.filter_map(|found| Some((found.id, found.record?))).collect())
}

fn no_texts(items: usize, place: &Path) -> Error {
    let error = match items {
        0 => Error::invalid("the index is empty").with_fact(Fact::EmptyIndex),
        items => Error::invalid(format!(
            "none of the {items} items has a text that a model has read, so there is nothing to compare \
             the pictures with; index a catalogue with texts by a model that reads them"
        )),
    };
    error.at_file(place)
}

fn too_few(compared: usize) -> String {
    format!(
        "only {compared} items have a picture and a text, too few for one to stand out (it takes \
         {}); only empty texts are listed",
        judge::FEWEST
    )
}
