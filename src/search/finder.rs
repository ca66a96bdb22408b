//! From vectors to answers: enough hits asked for, copies folded, the best chosen.

use super::answer::{Answer, Shown};
use super::choice::Choice;
use super::fold::{self, Folded};
use super::query::Query;
use crate::encoder::Encoder;
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Carry, Collection, Hit, Nearest};
use crate::units::ItemId;
use crate::vectors::Vectors;

/// Pictures at least this alike (cosine) are shown as one where duplicates are hidden.
const ALIKE: f32 = 0.99;

/// How much closeness counts against difference where hits shall be diverse, 0 to 1.
const CLOSENESS: f32 = 0.5;

/// What answers are drawn from.
#[derive(Clone, Copy)]
pub(super) struct Finder<'a> {
    pub(super) collection: &'a dyn Collection,
    pub(super) encoder: &'a dyn Encoder,
    pub(super) choice: &'a Choice,
    /// Items that pass the filter.
    pub(super) total: usize,
}

/// A query under way.
#[derive(Debug)]
struct Asked<'a> {
    query: String,
    /// Whether its scores are calibrated.
    words_only: bool,
    /// All vectors of its batch, and its row among them.
    vectors: &'a Vectors,
    row: usize,
}

impl Finder<'_> {
    /// The answers to queries with these vectors, `[n, dim]`; `took_ms` is left at 0.
    pub(super) fn answers(&self, queries: &[Query], vectors: &Vectors) -> Result<Vec<Answer>> {
        let found = self.search(vectors, self.choice.candidates())?;
        let numbered = queries.iter().zip(found).enumerate();
        let answer = |(row, (query, hits)): (usize, (&Query, Vec<Hit>))| {
            let (query, words_only) = (query.to_string(), query.is_words_only());
            self.answer(Asked { query, words_only, vectors, row }, hits)
        };
        numbered.map(answer).collect()
    }

    fn answer(&self, asked: Asked<'_>, hits: Vec<Hit>) -> Result<Answer> {
        let chosen = self.choose(self.enough(&asked, hits)?);
        let best = chosen.first().map(|folded| self.encoder.probability(folded.first.score));
        let confident = asked.words_only.then(|| best.is_some_and(|chance| chance >= 0.5));
        Ok(Answer {
            hits: self.show(chosen, asked.words_only)?,
            query: asked.query,
            total: self.total,
            confident,
            took_ms: 0.0,
        })
    }

    /// Folds duplicates and asks for more hits until enough differ, or none is left that could be
    /// an answer.
    fn enough(&self, asked: &Asked<'_>, mut hits: Vec<Hit>) -> Result<Vec<Folded>> {
        let mut ask = self.choice.candidates();
        loop {
            let last_passes = hits.last().is_some_and(|hit| self.passes(asked, hit));
            let more = hits.len() == ask && ask < self.total && last_passes;
            let folded = self.fold(asked, hits);
            if !more || folded.len() >= self.choice.wanted() {
                return Ok(folded);
            }
            ask = ask.saturating_mul(4).min(self.total);
            hits = self.search(&asked.vectors.select(&[asked.row]), ask)?.pop().unwrap_or_default();
        }
    }

    fn search(&self, vectors: &Vectors, top: usize) -> Result<Vec<Vec<Hit>>> {
        let nearest = Nearest::new(vectors, top.min(self.total.max(1)))
            .among(self.choice.filter.as_ref())
            .carrying(self.choice.carry());
        self.collection.search(&nearest)
    }

    /// Whether a hit is likely enough, where that is asked and known.
    fn passes(&self, asked: &Asked<'_>, hit: &Hit) -> bool {
        match self.choice.min_probability {
            Some(least) if asked.words_only => self.encoder.probability(hit.score) >= least,
            _ => true,
        }
    }

    fn fold(&self, asked: &Asked<'_>, mut hits: Vec<Hit>) -> Vec<Folded> {
        hits.retain(|hit| self.passes(asked, hit));
        if self.choice.hide_duplicates {
            fold::fold_duplicates(hits, ALIKE)
        } else {
            hits.into_iter().map(Folded::alone).collect()
        }
    }

    fn choose(&self, mut folded: Vec<Folded>) -> Vec<Folded> {
        let wanted = self.choice.wanted();
        if self.choice.diverse {
            return fold::diverse(folded, wanted, CLOSENESS);
        }
        folded.truncate(wanted);
        folded
    }

    /// What is shown of the hits behind the offset; their records are read here, once for all.
    fn show(&self, chosen: Vec<Folded>, words_only: bool) -> Result<Vec<Shown>> {
        let offset = self.choice.offset;
        let chosen: Vec<Folded> = chosen.into_iter().skip(offset).collect();
        let ids: Vec<ItemId> = chosen.iter().map(|folded| folded.first.item.id.clone()).collect();
        let found = self.collection.get(&ids, Carry::RECORD)?;
        let shown = |(place, (Folded { first, others }, found)): (usize, (Folded, Option<_>))| {
            let record = found.and_then(|found: crate::index::Found| found.record);
            let record = record.ok_or_else(|| without_record(&first.item.id))?;
            let probability = words_only.then(|| self.encoder.probability(first.score));
            Ok(Shown::new(offset + place + 1, &first, record, probability, others))
        };
        chosen.into_iter().zip(found).enumerate().map(shown).collect()
    }
}

fn without_record(id: &ItemId) -> Error {
    let message = "it was found by its vector but has no record";
    Error::new(ErrorKind::Corrupt, message).at_item(id.as_str())
}
