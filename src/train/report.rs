//! What a run came to, for whoever wants to see it: figures beside what they mean nothing without,
//! the curves, what is mixed up, and what is found for short queries.
//!
//! A figure says how good a model is; the pictures say what it is good at. Everything here is about
//! the pairs that were put aside, by the model that was kept. The library gives values, and whoever
//! shows them opens the pictures.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::path::Path;

use looksee_kernels::search::scan::{Scored, top_k};
use serde::Serialize;

use super::batches::Material;
use super::curves::Curves;
use super::fit::Trainer;
use super::verdict::{Engine, Verdict};
use crate::catalogue::{Item, as_typed};
use crate::encoder::{Encoder, Model};
use crate::error::Result;
use crate::files::{self, Blob, Cut, FileKind};
use crate::images::ImageBatch;
use crate::metrics::{self, GRID, Summary};
use crate::questions::{Kind, Question};
use crate::short::{self, Asked, Short};
use crate::units::{Event, ItemId, Listener, Stop};
use crate::vectors::Vectors;

/// Titles whose picture is found worst.
const CONFUSIONS: usize = 12;
/// Pictures that are shown before the right one.
const BEFORE: usize = 3;
/// Nearest pictures among which these are looked for: right ones are passed over.
const NEAREST: usize = 32;
/// Pictures that are first for other titles most often.
const IN_THE_WAY: usize = 6;
/// Questions of the catalogue's own that are shown.
const OWN_QUERIES: usize = 12;
/// Pictures that pass through the model together.
const BATCH: usize = 64;
/// Queries that any shop for clothes and jewellery is asked.
const USUAL_QUERIES: [&str; 12] = [
    "blue tshirt",
    "blue shirt",
    "red dress",
    "halloween outfit",
    "baggy pants",
    "gold ring",
    "black trousers",
    "animal pendant",
    "black white tshirt",
    "women red hoodie",
    "animal outfit",
    "men flipflops",
];

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What the run was.
    pub run: Ran,
    /// How titles find their pictures.
    pub figures: Figures,
    /// What would help the model most.
    pub verdict: Option<Verdict>,
    /// How the run went.
    pub curves: Curves,
    /// How short questions are answered, and the weakest fields and words.
    pub short: Option<Short>,
    /// The titles whose picture ranks worst, the worst one first; at most 12.
    pub confusions: Vec<Confusion>,
    /// The pictures that are first for titles of others most often, at least twice; at most 6.
    pub in_the_way: Vec<InTheWay>,
    /// What is found for queries that shops for clothes are asked; those whose words are known, and
    /// none when fewer than half of them are.
    pub usual_queries: Vec<Grid>,
    /// What is found for questions of the catalogue's own; at most 12, of all kinds.
    pub own_queries: Vec<Grid>,
}

impl Report {
    /// The name of the page that shows a report, beside its model.
    pub const FILE: &str = "report.html";
    /// What such a page begins with: by this it is told from a page of somebody's.
    pub const BEGINNING: &str =
        "<!doctype html>\n<!-- what a training run of looksee came to -->\n";

    /// Whether a page may be written to `path`: nothing is there, or a page of an earlier run.
    pub fn may_replace(path: &Path) -> Result<bool> {
        let beginning = (0, Self::BEGINNING.as_bytes());
        Ok(match files::kind(path)? {
            FileKind::Absent => true,
            _ => files::begins(path, beginning, Cut::Empty),
        })
    }
}

/// What a run was.
#[derive(Clone, Debug, Serialize)]
pub struct Ran {
    /// The recipe's name.
    pub recipe: String,
    /// The network that sees.
    pub network: &'static str,
    /// How it came to its weights.
    pub engine: Engine,
    /// Pixels of a picture as the network sees it, width and height.
    pub picture_px: [usize; 2],
    /// Values a vector.
    pub dim: usize,
    /// What was learned from, as it was given.
    pub catalogue: Vec<String>,
    /// Pairs that were learned from.
    pub training_pairs: usize,
    /// Pairs that were put aside to measure on.
    pub validation_pairs: usize,
    /// Entries of the vocabulary.
    pub tokens: usize,
    /// Steps of the run.
    pub steps: u64,
    /// Steps after which the network itself was tuned, if it was.
    pub tuned_from: Option<u64>,
    /// Step of the model that was kept.
    pub best_step: u64,
    /// Minutes that the run took, in all sittings.
    pub minutes: f64,
    /// The seed.
    pub seed: u64,
}

/// How a title finds its own picture among all that were put aside, by the model and by what it is
/// compared with.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// By the model that was kept.
    pub trained: Summary,
    /// Among as many pairs that were learned from.
    pub learnt: Option<Summary>,
    /// By a linear model of plain features of pictures and words.
    pub linear: Option<Summary>,
    /// By the model before its first step.
    pub untrained: Option<Summary>,
    /// By chance.
    pub chance: Option<Summary>,
    /// How a picture finds its title.
    pub image_to_text: Summary,
    /// How a picture finds others of its label, where labels were learned from.
    pub image_to_image: Option<Summary>,
}

/// A picture that was put aside.
#[derive(Clone, Debug, Serialize)]
pub struct Picture {
    /// The item's name.
    pub id: ItemId,
    /// Where it is.
    pub image: Blob,
    /// The item's title.
    pub title: String,
}

/// A title that does not find its picture.
#[derive(Clone, Debug, Serialize)]
pub struct Confusion {
    /// The picture that it should find.
    pub own: Picture,
    /// The place of that picture, from 1.
    pub rank: usize,
    /// What comes first instead; at most 3.
    pub before: Vec<Picture>,
}

/// A picture that is found for titles of others.
#[derive(Clone, Debug, Serialize)]
pub struct InTheWay {
    /// The picture.
    pub picture: Picture,
    /// Titles of others that it is first for.
    pub titles: usize,
}

/// The nine best pictures for a query.
#[derive(Clone, Debug, Serialize)]
pub struct Grid {
    /// What was asked.
    pub query: String,
    /// What kind of question of the catalogue's own it is.
    pub kind: Option<Kind>,
    /// How many pictures are right, if that is known.
    pub right: Option<usize>,
    /// The best first; at most 9.
    pub found: Vec<Found>,
}

/// A picture that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// The picture.
    pub picture: Picture,
    /// Cosine, greater is closer.
    pub score: f32,
    /// Whether it is right, if that is known.
    pub is_right: Option<bool>,
}

/// Looks at what a run came to; `None` when nothing was put aside to look at.
///
/// # Errors
/// When the model that was kept cannot be read, or a stop is asked for.
pub(super) fn of(
    trainer: &Trainer<'_>,
    (steps, tuned_from): (u64, Option<u64>),
    verdict: Option<Verdict>,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<Option<Report>> {
    let (material, job) = (trainer.material, trainer.job);
    let (Some(best), Some(_)) = (&trainer.state.best, material.aside.first()) else {
        return Ok(None);
    };
    let model = Model::load(&job.output)?;
    let images = embed(material, &model, stop, listener)?;
    let gallery = Gallery { items: &material.aside, images, model: &model };
    let asked = gallery.ask(&material.questions)?;
    let (confusions, in_the_way) = gallery.confusions()?;
    let sources = job.source.paths.iter().map(|path| path.to_string_lossy().into_owned());
    Ok(Some(Report {
        run: Ran {
            recipe: trainer.recipe.name.clone(),
            network: trainer.recipe.image.tower.name(),
            engine: trainer.engine(),
            picture_px: [trainer.recipe.image.width, trainer.recipe.image.height],
            dim: gallery.images.dim(),
            catalogue: sources.collect(),
            training_pairs: material.training.len(),
            validation_pairs: material.validation.len(),
            tokens: material.vocabulary.len(),
            steps,
            tuned_from,
            best_step: best.step,
            minutes: trainer.state.elapsed_s / 60.0,
            seed: job.seed.0,
        },
        figures: Figures {
            trained: best.text_to_image.clone(),
            learnt: best.training.clone(),
            linear: trainer.state.linear.clone(),
            untrained: trainer.state.untrained.clone(),
            chance: trainer.chance(),
            image_to_text: best.image_to_text.clone(),
            image_to_image: best.image_to_image.clone(),
        },
        verdict,
        // A log that is gone is no reason to show nothing.
        curves: Curves::read(&job.output).unwrap_or_default(),
        confusions,
        in_the_way,
        usual_queries: gallery.usual_queries()?,
        own_queries: gallery.own_queries(&material.questions)?,
        short: short::report(asked, job.seed),
    }))
}

/// The pictures that were put aside, through the model.
fn embed(
    material: &Material,
    model: &Model,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<Vectors> {
    let mut images = Vectors::empty(model.dim());
    for members in material.validation.chunks(BATCH) {
        stop.check()?;
        let mut batch = ImageBatch::new(model.frame());
        for &member in members {
            // Pairs whose picture failed never became material.
            batch.push(material.cache.get(material.pairs[member].picture).unwrap_or_default());
        }
        images.append(&model.images(&batch)?)?;
        let (done, total) = (images.len(), material.validation.len());
        listener(Event::Progress { what: "looking at what was learned", done, total });
    }
    Ok(images)
}

/// What was put aside, in the model's space.
struct Gallery<'a> {
    items: &'a [Item],
    /// `[items, dim]`.
    images: Vectors,
    model: &'a Model,
}

impl Gallery<'_> {
    fn picture(&self, number: usize) -> Picture {
        let item = &self.items[number];
        let title = item.texts.first().cloned().unwrap_or_default();
        Picture { id: item.id.clone(), image: item.image.clone(), title }
    }

    /// The `top` nearest pictures of each query, nearest first.
    fn nearest(&self, queries: &Vectors, top: usize) -> Vec<Vec<Scored>> {
        top_k(self.images.as_slice(), self.images.dim(), None, queries.as_slice(), top)
    }

    fn ask(&self, questions: &[Question]) -> Result<Vec<Asked>> {
        let texts: Vec<&str> = questions.iter().map(|question| question.text.as_str()).collect();
        Ok(short::answered(questions, &self.model.texts(&texts)?, &self.images))
    }

    /// The titles whose picture ranks worst, and the pictures that stand before it most often. Equal
    /// titles are equal answers.
    fn confusions(&self) -> Result<(Vec<Confusion>, Vec<InTheWay>)> {
        let titles: Vec<&str> = self.items.iter().map(|item| item.texts[0].as_str()).collect();
        let typed: Vec<String> = titles.iter().map(|title| as_typed(title)).collect();
        let vectors = self.model.texts(&titles)?;
        let right = |query: usize, row: usize| typed[query] == typed[row];
        let ranks = metrics::ranks(&vectors, &self.images, &right, &|_, _| false);
        let nearest = self.nearest(&vectors, NEAREST);
        let mut worst: Vec<(usize, usize)> =
            ranks.iter().enumerate().filter_map(|(title, rank)| Some((title, (*rank)?))).collect();
        worst.retain(|&(_, rank)| rank > 1);
        worst.sort_by_key(|&(title, rank)| (Reverse(rank), title));
        let mut seen = HashSet::new();
        worst.retain(|&(title, _)| seen.insert(typed[title].as_str()));
        let confusion = |&(title, rank): &(usize, usize)| Confusion {
            own: self.picture(title),
            rank,
            before: nearest[title]
                .iter()
                .filter(|scored| !right(title, scored.row))
                .take(BEFORE.min(rank - 1))
                .map(|scored| self.picture(scored.row))
                .collect(),
        };
        let confusions = worst.iter().take(CONFUSIONS).map(confusion).collect();
        Ok((confusions, self.in_the_way(&nearest, &right)))
    }

    fn in_the_way(
        &self,
        nearest: &[Vec<Scored>],
        right: &dyn Fn(usize, usize) -> bool,
    ) -> Vec<InTheWay> {
        let mut titles = vec![0; self.items.len()];
        for (title, nearest) in nearest.iter().enumerate() {
            if let Some(first) = nearest.first().filter(|first| !right(title, first.row)) {
                titles[first.row] += 1;
            }
        }
        let mut most: Vec<usize> = (0..titles.len()).filter(|&row| titles[row] > 1).collect();
        most.sort_by_key(|&row| (Reverse(titles[row]), row));
        most.truncate(IN_THE_WAY);
        most.into_iter()
            .map(|row| InTheWay { picture: self.picture(row), titles: titles[row] })
            .collect()
    }

    fn usual_queries(&self) -> Result<Vec<Grid>> {
        let known = |query: &&str| self.model.unknown_words(query).is_empty();
        let known: Vec<&str> = USUAL_QUERIES.into_iter().filter(known).collect();
        if 2 * known.len() < USUAL_QUERIES.len() {
            return Ok(Vec::new());
        }
        let nearest = self.nearest(&self.model.texts(&known)?, GRID);
        let grid = |(query, found): (&&str, Vec<Scored>)| Grid {
            query: (*query).to_owned(),
            kind: None,
            right: None,
            found: self.found(&found, None),
        };
        Ok(known.iter().zip(nearest).map(grid).collect())
    }

    fn own_queries(&self, questions: &[Question]) -> Result<Vec<Grid>> {
        let chosen = chosen(questions, OWN_QUERIES);
        let texts: Vec<&str> = chosen.iter().map(|question| question.text.as_str()).collect();
        let nearest = self.nearest(&self.model.texts(&texts)?, GRID);
        let grid = |(question, found): (&&Question, Vec<Scored>)| Grid {
            query: question.text.clone(),
            kind: Some(question.kind.clone()),
            right: Some(question.right.len()),
            found: self.found(&found, Some(&question.right)),
        };
        Ok(chosen.iter().zip(nearest).map(grid).collect())
    }

    /// The pictures that were found, where `right` are the right ones.
    fn found(&self, found: &[Scored], right: Option<&[usize]>) -> Vec<Found> {
        let found = found.iter().map(|&Scored { row, score }| Found {
            picture: self.picture(row),
            score,
            is_right: right.map(|right| right.binary_search(&row).is_ok()),
        });
        found.collect()
    }
}

/// `most` of the questions, as many of each kind as of any other as far as there are, and those of a
/// kind from all of its list.
fn chosen(questions: &[Question], most: usize) -> Vec<&Question> {
    let kinds: Vec<&[Question]> =
        questions.chunk_by(|question, next| question.kind == next.kind).collect();
    let mut shares = vec![0; kinds.len()];
    let mut left = most;
    while left > 0 && kinds.iter().zip(&shares).any(|(kind, &share)| share < kind.len()) {
        for (kind, share) in kinds.iter().zip(&mut shares) {
            if left > 0 && *share < kind.len() {
                *share += 1;
                left -= 1;
            }
        }
    }
    let mut chosen = Vec::new();
    for (kind, share) in kinds.into_iter().zip(shares) {
        chosen.extend((0..share).map(|number| &kind[number * kind.len() / share]));
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_somebodys_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(Report::FILE);
        assert!(Report::may_replace(&path).unwrap());
        std::fs::write(&path, format!("{}<html>", Report::BEGINNING)).unwrap();
        assert!(Report::may_replace(&path).unwrap());
        std::fs::write(&path, "<!doctype html>\n<html>my thesis").unwrap();
        assert!(!Report::may_replace(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(!Report::may_replace(&path).unwrap());
    }

    #[test]
    fn questions_to_show_are_of_all_kinds_and_from_all_of_the_list() {
        let question = |kind: &str, text: &str| Question {
            kind: Kind::Field(kind.to_owned()),
            text: text.to_owned(),
            parts: vec![text.to_owned()],
            right: vec![0],
        };
        let mut questions: Vec<Question> =
            ["a", "b", "c", "d", "e", "f", "g", "h"].map(|text| question("color", text)).into();
        questions.push(question("kind", "hat"));
        let texts = |most: usize| -> Vec<String> {
            chosen(&questions, most).iter().map(|question| question.text.clone()).collect()
        };
        assert_eq!(texts(5), ["a", "c", "e", "g", "hat"]);
        assert_eq!(texts(1), ["a"]);
        assert_eq!(texts(100).len(), 9);
        assert!(chosen(&[], 12).is_empty());
    }
}
