//! Answers: the hits of a query with all that is shown of them, whatever the format.

use std::collections::HashMap;
use std::path::PathBuf;

use looksee::encoder::Encoder;
use looksee::filter::{Fields, Filter};
use looksee::hits;
use looksee::index::{Hit, Index};
use looksee::units::ItemId;
use looksee::vectors::Vectors;
use looksee::{Error, Result, index};
use serde::Serialize;

/// Pictures at least this alike (cosine) are shown as one with `--hide-duplicates`.
const ALIKE: f32 = 0.99;

/// How much closeness counts against difference with `--diverse`, 0 to 1.
const CLOSENESS: f32 = 0.5;

/// The answer to one query, as `--json` prints it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Answer {
    /// The query as it was understood.
    pub(crate) query: String,
    /// Items that were searched: all that pass the filter.
    pub(crate) total: usize,
    /// Whether the best hit rather matches than not; unknown for pictures.
    pub(crate) confident: Option<bool>,
    /// Embedding and search, in milliseconds; in a batch the query's share.
    pub(crate) took_ms: f64,
    pub(crate) hits: Vec<Shown>,
}

/// One hit.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Shown {
    /// From 1, counted over all answers, those before `--offset` included.
    pub(crate) rank: usize,
    pub(crate) id: ItemId,
    #[serde(serialize_with = "as_text")]
    pub(crate) image: PathBuf,
    /// Cosine, greater is closer.
    pub(crate) score: f32,
    /// Euclidean distance of the unit vectors, less is closer.
    pub(crate) distance: f32,
    /// Chance that the hit matches, 0 to 1; unknown for pictures.
    pub(crate) probability: Option<f32>,
    pub(crate) title: Option<String>,
    pub(crate) fields: Fields,
    /// Items that show the same picture, with `--hide-duplicates`.
    pub(crate) duplicates: Vec<ItemId>,
}

/// Which hits are wanted.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) top: usize,
    pub(crate) offset: usize,
    pub(crate) filter: Option<Filter>,
    pub(crate) hide_duplicates: bool,
    pub(crate) diverse: bool,
    pub(crate) min_probability: Option<f32>,
}

impl Choice {
    /// Answers up to the last that is shown.
    fn wanted(&self) -> usize {
        self.offset.saturating_add(self.top)
    }

    /// Hits to ask the index for, so that enough remain when some are folded or passed over.
    fn candidates(&self) -> usize {
        match (self.diverse, self.hide_duplicates) {
            (true, _) => self.wanted().saturating_mul(10).max(100),
            (false, true) => self.wanted().saturating_mul(2).saturating_add(20),
            (false, false) => self.wanted(),
        }
    }
}

/// What answers are drawn from.
#[derive(Clone, Copy)]
pub(crate) struct Finder<'a> {
    pub(crate) index: &'a Index,
    pub(crate) encoder: &'a dyn Encoder,
    pub(crate) choice: &'a Choice,
    /// Items that pass the filter.
    pub(crate) total: usize,
}

/// A query's name and whether its scores are calibrated.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) query: String,
    pub(crate) words_only: bool,
}

/// A hit and those folded behind it.
type Folded = (Hit, Vec<Hit>);

impl Finder<'_> {
    /// The answers to queries with these vectors, `[n, dim]`; `took_ms` is left at 0.
    pub(crate) fn answers(&self, asked: &[Asked], vectors: &Vectors) -> Result<Vec<Answer>> {
        let found = self.search(vectors, self.choice.candidates())?;
        let numbered = asked.iter().zip(found).enumerate();
        numbered.map(|(row, (asked, hits))| self.answer(asked, vectors, row, hits)).collect()
    }

    fn answer(
        &self,
        asked: &Asked,
        vectors: &Vectors,
        row: usize,
        hits: Vec<Hit>,
    ) -> Result<Answer> {
        let chosen = self.choose(self.enough(asked, vectors, row, hits)?)?;
        let best = chosen.first().map(|(hit, _)| self.encoder.probability(hit.score));
        let confident = asked.words_only.then(|| best.is_some_and(|chance| chance >= 0.5));
        let ranked = chosen.into_iter().enumerate().skip(self.choice.offset);
        let hits = ranked.map(|(place, folded)| self.show(place + 1, folded, asked.words_only));
        Ok(Answer {
            query: asked.query.clone(),
            total: self.total,
            confident,
            took_ms: 0.0,
            hits: hits.collect::<Result<_>>()?,
        })
    }

    /// Folds duplicates and asks for more hits until enough differ, or none is left that could be
    /// an answer.
    fn enough(
        &self,
        asked: &Asked,
        vectors: &Vectors,
        row: usize,
        mut hits: Vec<Hit>,
    ) -> Result<Vec<Folded>> {
        let mut ask = self.choice.candidates();
        loop {
            let last_passes = hits.last().is_some_and(|hit| self.passes(asked, hit));
            let more = hits.len() == ask && ask < self.total && last_passes;
            let folded = self.fold(asked, hits)?;
            if !more || folded.len() >= self.choice.wanted() {
                return Ok(folded);
            }
            ask = ask.saturating_mul(4).min(self.total);
            hits = self.search(&vectors.select(&[row]), ask)?.pop().unwrap_or_default();
        }
    }

    fn search(&self, vectors: &Vectors, top: usize) -> Result<Vec<Vec<Hit>>> {
        let filter = self.choice.filter.as_ref();
        self.index.search(&index::Query { vectors, top: top.min(self.total.max(1)), filter })
    }

    /// Whether a hit is likely enough, where that is asked and known.
    fn passes(&self, asked: &Asked, hit: &Hit) -> bool {
        match self.choice.min_probability {
            Some(least) if asked.words_only => self.encoder.probability(hit.score) >= least,
            _ => true,
        }
    }

    fn fold(&self, asked: &Asked, mut hits: Vec<Hit>) -> Result<Vec<Folded>> {
        hits.retain(|hit| self.passes(asked, hit));
        if self.choice.hide_duplicates {
            hits::fold_duplicates(self.index, hits, ALIKE)
        } else {
            Ok(hits.into_iter().map(|hit| (hit, Vec::new())).collect())
        }
    }

    fn choose(&self, mut folded: Vec<Folded>) -> Result<Vec<Folded>> {
        let wanted = self.choice.wanted();
        if !self.choice.diverse {
            folded.truncate(wanted);
            return Ok(folded);
        }
        let heads = folded.iter().map(|(hit, _)| hit.clone()).collect();
        let mut behind: HashMap<usize, Vec<Hit>> =
            folded.into_iter().map(|(hit, others)| (hit.row, others)).collect();
        let diverse = hits::diverse(self.index, heads, wanted, CLOSENESS)?;
        let with_others = |hit: Hit| {
            let others = behind.remove(&hit.row).unwrap_or_default();
            (hit, others)
        };
        Ok(diverse.into_iter().map(with_others).collect())
    }

    fn show(&self, rank: usize, (hit, others): Folded, words_only: bool) -> Result<Shown> {
        let record = self.index.record(hit.row)?;
        Ok(Shown {
            rank,
            id: hit.id,
            image: record.image,
            score: hit.score,
            distance: distance(hit.score),
            probability: words_only.then(|| self.encoder.probability(hit.score)),
            title: record.texts.into_iter().next(),
            fields: record.fields,
            duplicates: others.into_iter().map(|hit| hit.id).collect(),
        })
    }
}

/// The chance that a hit matches is calibrated on words: a bound on it needs a query of words.
pub(crate) fn expect_calibrated(choice: &Choice, asked: &Asked) -> Result<()> {
    if choice.min_probability.is_none() || asked.words_only {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "--min-probability needs a query of words: the chance of a match is not known for \"{}\"",
        asked.query
    )))
}

/// The Euclidean distance of two unit vectors with this cosine.
fn distance(cosine: f32) -> f32 {
    (2.0 - 2.0 * cosine).max(0.0).sqrt()
}

fn as_text<S: serde::Serializer>(path: &std::path::Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use looksee::images::{Filter, Fit, Frame, ImageBatch};
    use looksee::index::{NoModel, Record, Space, Stamp, Writer};

    use super::*;

    fn choice(top: usize) -> Choice {
        Choice {
            top,
            offset: 0,
            filter: None,
            hide_duplicates: false,
            diverse: false,
            min_probability: None,
        }
    }

    #[test]
    fn distance_follows_the_cosine_and_is_never_not_a_number() {
        for (cosine, expected) in [(1.0, 0.0), (1.000_000_1, 0.0), (0.5, 1.0), (-1.0, 2.0)] {
            assert!((distance(cosine) - expected).abs() < 1e-6, "{cosine}");
        }
    }

    #[test]
    fn plain_searches_ask_for_no_more_than_is_shown() {
        assert_eq!(choice(9).candidates(), 9);
        assert_eq!(Choice { offset: 18, ..choice(9) }.candidates(), 27);
    }

    #[test]
    fn folding_and_diversity_ask_for_more() {
        assert!(Choice { hide_duplicates: true, ..choice(9) }.candidates() > 9);
        assert_eq!(Choice { diverse: true, ..choice(9) }.candidates(), 100);
        assert_eq!(Choice { diverse: true, ..choice(usize::MAX) }.candidates(), usize::MAX);
    }

    #[test]
    fn a_bound_on_the_chance_is_refused_for_a_picture() {
        let bound = Choice { min_probability: Some(0.5), ..choice(9) };
        let asked = |words_only| Asked { query: "./a.jpg".to_owned(), words_only };
        assert!(expect_calibrated(&bound, &asked(true)).is_ok());
        assert!(expect_calibrated(&bound, &asked(false)).is_err());
        assert!(expect_calibrated(&choice(9), &asked(false)).is_ok());
    }

    /// A model of two values a vector, to which a cosine is a chance.
    struct Cosine;

    impl Encoder for Cosine {
        fn fingerprint(&self) -> &'static str {
            "cosine"
        }
        fn dim(&self) -> usize {
            2
        }
        fn frame(&self) -> Frame {
            Frame { width_px: 1, height_px: 1, fit: Fit::Crop, filter: Filter::default() }
        }
        fn images(&self, _: &ImageBatch) -> Result<Vectors> {
            Ok(Vectors::empty(2))
        }
        fn texts(&self, _: &[&str]) -> Result<Vectors> {
            Ok(Vectors::empty(2))
        }
        fn unknown_words(&self, _: &str) -> Vec<String> {
            Vec::new()
        }
        fn probability(&self, cosine: f32) -> f32 {
            cosine.max(0.0)
        }
    }

    /// Items at these angles (degrees) from the query, named by their place.
    fn index_of(folder: &std::path::Path, angles: &[f32]) -> Index {
        let space = Space { fingerprint: "cosine".to_owned(), dim: 2 };
        let mut writer = Writer::open(folder, &space, &NoModel).unwrap();
        let values = angles.iter().map(|angle| angle.to_radians()).flat_map(|a| [a.cos(), a.sin()]);
        let pictures = Vectors::normalised(2, values.collect()).unwrap();
        let records: Vec<_> = (0..angles.len()).map(record).collect();
        writer.add(&records, &pictures, &vec![None; angles.len()]).unwrap();
        writer.commit().unwrap();
        Index::open(folder).unwrap()
    }

    fn record(place: usize) -> Record {
        Record {
            id: format!("i{place:02}").into(),
            image: format!("/{place}.jpg").into(),
            texts: vec![format!("title {place}"), "more".to_owned()],
            fields: Fields::new(),
            group: None,
            stamp: Stamp { size: 1, modified_ns: 1, content: place as u64 },
        }
    }

    fn answer_of(angles: &[f32], choice: &Choice, words_only: bool) -> Answer {
        let folder = tempfile::tempdir().unwrap();
        let index = index_of(folder.path(), angles);
        let finder = Finder { index: &index, encoder: &Cosine, choice, total: index.len() };
        let asked = Asked { query: "red".to_owned(), words_only };
        let query = Vectors::normalised(2, vec![1.0, 0.0]).unwrap();
        finder.answers(&[asked], &query).unwrap().remove(0)
    }

    fn ids(answer: &Answer) -> Vec<&str> {
        answer.hits.iter().map(|hit| hit.id.as_str()).collect()
    }

    #[test]
    fn hits_come_closest_first_and_ranks_count_from_the_first_of_all() {
        let answer = answer_of(&[50.0, 10.0, 90.0, 30.0], &choice(2), true);
        assert_eq!(ids(&answer), ["i01", "i03"]);
        assert_eq!((answer.total, answer.confident), (4, Some(true)));
        assert_eq!(answer.hits[0].title.as_deref(), Some("title 1"));
        let next = Choice { offset: 2, ..choice(2) };
        let answer = answer_of(&[50.0, 10.0, 90.0, 30.0], &next, true);
        assert_eq!(ids(&answer), ["i00", "i02"]);
        assert_eq!(answer.hits[0].rank, 3);
        assert_eq!(answer.confident, Some(true), "the best of all hits counts");
    }

    #[test]
    fn duplicates_stand_behind_the_first_and_do_not_use_up_places() {
        let mut angles = vec![5.0; 40];
        angles.push(45.0);
        let folded = Choice { hide_duplicates: true, ..choice(2) };
        let answer = answer_of(&angles, &folded, true);
        assert_eq!(ids(&answer), ["i00", "i40"]);
        assert_eq!(answer.hits[0].duplicates.len(), 39);
    }

    #[test]
    fn a_bound_on_the_chance_may_leave_nothing() {
        let bound = |least| Choice { min_probability: Some(least), ..choice(9) };
        assert_eq!(ids(&answer_of(&[50.0, 10.0], &bound(0.9), true)), ["i01"]);
        let answer = answer_of(&[50.0, 60.0], &bound(0.9), true);
        assert!(answer.hits.is_empty() && answer.confident == Some(false));
    }

    #[test]
    fn chance_and_confidence_of_a_picture_are_unknown() {
        let answer = answer_of(&[10.0], &choice(1), false);
        assert_eq!((answer.confident, answer.hits[0].probability), (None, None));
    }

    #[test]
    fn diverse_answers_pass_over_what_looks_the_same() {
        let angles = [5.0, 5.1, 5.2, -35.0];
        let plain = answer_of(&angles, &choice(2), true);
        assert_eq!(ids(&plain), ["i00", "i01"]);
        let diverse = answer_of(&angles, &Choice { diverse: true, ..choice(2) }, true);
        assert_eq!(ids(&diverse), ["i00", "i03"]);
    }

    #[test]
    fn an_answer_has_the_names_of_the_contract() {
        let answer = crate::render::samples::answer();
        let json = serde_json::to_value(&answer).unwrap();
        let mut names: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        names.sort();
        assert_eq!(names, ["confident", "hits", "query", "took_ms", "total"]);
        let mut names: Vec<_> = json["hits"][0].as_object().unwrap().keys().cloned().collect();
        names.sort();
        assert_eq!(
            names,
            [
                "distance",
                "duplicates",
                "fields",
                "id",
                "image",
                "probability",
                "rank",
                "score",
                "title"
            ]
        );
    }
}
