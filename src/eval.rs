//! How well a model finds what belongs together.

use serde::Serialize;

use crate::catalogue::{Ledger, Source};
use crate::encoder::Encoder;
use crate::error::Result;
use crate::images::Limits;
use crate::metrics::Summary;
use crate::units::{Listener, Seed, Stop};

/// How many items the gallery holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gallery {
    /// The first so many items in file order, one a group.
    First(usize),
    /// All items.
    All,
}

/// Which text of an item is the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryText {
    /// The first text field.
    Title,
    /// All texts joined.
    All,
}

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The gallery.
    pub gallery: Gallery,
    /// The queries.
    pub text: QueryText,
    /// Chance for the intervals.
    pub seed: Seed,
    /// Bounds on pictures.
    pub limits: Limits,
}

/// The result of [`run`], as `looksee eval --format json` prints it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Items in the gallery.
    pub gallery: usize,
    /// Texts as queries, pictures as answers.
    pub text_to_image: Summary,
    /// Pictures as queries, texts as answers.
    pub image_to_text: Summary,
    /// Pictures as queries and answers, where groups or labels exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_to_image: Option<Summary>,
    /// What chance would give for text to image.
    pub chance: Summary,
    /// Rank of each text query's picture, in gallery order.
    #[serde(skip)]
    pub ranks: Vec<usize>,
    /// What was used and what was not.
    #[serde(skip)]
    pub ledger: Ledger,
    /// The gallery's items and the texts asked, for "queries won and lost".
    #[serde(skip)]
    pub queries: Vec<String>,
}

/// Two models on the same queries.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Mean difference of recall@10 (first minus second).
    pub difference_r10: f64,
    /// Its 95 % interval over resampled queries.
    pub ci95: [f64; 2],
    /// Queries that only the first finds among 10.
    pub won: Vec<String>,
    /// Queries that only the second finds among 10.
    pub lost: Vec<String>,
}

/// Measures `encoder` on a catalogue.
pub fn run(
    source: &Source,
    encoder: &dyn Encoder,
    options: &Options,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<Report> {
    let _ = (source, encoder, options, stop, listener);
    unimplemented!()
}

/// Compares two reports over the same catalogue and options.
pub fn compare(first: &Report, second: &Report, seed: Seed) -> Result<Comparison> {
    let _ = (first, second, seed);
    unimplemented!()
}
