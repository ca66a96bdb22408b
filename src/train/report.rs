//! What a run shows of its model: the figures, what it confuses most, and what it answers.
//!
//! All of it comes from the pairs that were put aside, by the model that lies in the folder, and the
//! pictures are those of the run, so that nothing has to be opened again. Questions of the
//! catalogue's own come with the right answers; others cannot.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use looksee_kernels::search::scan::dot;
use serde::Serialize;

use super::batches::{Material, Pictures};
use crate::catalogue::as_typed;
use crate::encoder::{Encoder, Model};
use crate::error::Result;
use crate::files::{self, Cut, FileKind};
use crate::images::{self, Decoded, Fit, Frame};
use crate::metrics::{self, Answers, Summary};
use crate::questions::Question;
use crate::units::Stop;
use crate::vectors::Vectors;

/// Titles that are shown because their own picture ranks worst.
const CONFUSIONS: usize = 12;
/// Questions of the catalogue's own that are shown with their answers.
const QUESTIONS: usize = 12;
/// Pixels of a picture's longer side.
const LONGER_SIDE: usize = 112;
/// Pairs that pass through the network together.
const BATCH: usize = 64;
/// What is asked of every model that knows the words.
const QUERIES: [&str; 12] = [
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

/// A model as its run shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The step that the model is of.
    pub step: u64,
    /// Pairs that were put aside to measure on; all that is shown is of these.
    pub held_out: usize,
    /// What was measured on them.
    pub figures: Figures,
    /// The titles whose own picture ranks worst, the worst first.
    pub confusions: Vec<Confusion>,
    /// Short queries and what comes first.
    pub grids: Vec<Grid>,
    /// The pictures of both, each once.
    pub pictures: Vec<Picture>,
}

/// The figures of a run on the pairs that were put aside.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Titles that find their pictures.
    pub trained: Option<Summary>,
    /// The same before the first step.
    pub untrained: Option<Summary>,
    /// The same by chance.
    pub chance: Option<Summary>,
    /// How well what people type is answered, by kind of question.
    pub short: BTreeMap<String, Answers>,
}

/// A title that finds another picture than its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// The title.
    pub text: String,
    /// The place of its own picture, from 1.
    pub rank: usize,
    /// Its own picture, a number in [`Report::pictures`].
    pub own: usize,
    /// The picture that comes first instead.
    pub first: usize,
}

/// A query and the pictures that come first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Grid {
    /// What was typed.
    pub query: String,
    /// The kind of a question of the catalogue's own.
    pub kind: Option<String>,
    /// At most nine, the nearest first.
    pub hits: Vec<Hit>,
}

/// A picture that answers a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// A number in [`Report::pictures`].
    pub picture: usize,
    /// Whether it is right, where that is known.
    pub right: Option<bool>,
}

/// A small picture, and what it is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Picture {
    /// Where the item's picture lies.
    pub path: String,
    /// The item's first text.
    pub title: String,
    /// Width in pixels, 112 at most.
    pub width_px: usize,
    /// Height in pixels, 112 at most.
    pub height_px: usize,
    /// `[height, width, 3]`, red first.
    #[serde(skip)]
    pub rgb: Vec<u8>,
}

impl Report {
    /// The name that the report as a page has in a model's folder.
    pub const FILE: &str = "report.html";
    /// What that page begins with.
    pub const BEGINNING: &str =
        "<!doctype html>\n<!-- what a training run of looksee came to -->\n";

    /// Whether a page may be written to `path`: nothing is there, or the page of an earlier run.
    pub fn may_replace(path: &Path) -> Result<bool> {
        Ok(match files::kind(path)? {
            FileKind::Absent => true,
            FileKind::File => files::begins(path, (0, Self::BEGINNING.as_bytes()), Cut::Nowhere),
            FileKind::Link | FileKind::Folder | FileKind::Special => false,
        })
    }
}

/// The report on the model in `folder`; `None` when a stop was asked for.
pub(super) fn of(
    folder: &Path,
    material: &Material,
    (step, figures): (u64, Figures),
    stop: &Stop,
) -> Result<Option<Report>> {
    let held_out = material.validation.len();
    let mut shown = Shown { material, numbers: HashMap::new(), pictures: Vec::new() };
    let (mut confusions, mut grids) = (Vec::new(), Vec::new());
    if held_out > 0 {
        let model = Model::load(folder)?;
        let (mut images, mut texts) = (Vectors::empty(model.dim()), Vectors::empty(model.dim()));
        for members in material.validation.chunks(BATCH) {
            if stop.asked() {
                return Ok(None);
            }
            if let Pictures::Pixels(batch) = material.pictures(members, model.frame(), false) {
                images.append(&model.images(&batch)?)?;
            }
            let titles: Vec<&str> = members.iter().map(|&member| title(material, member)).collect();
            texts.append(&model.texts(&titles)?)?;
        }
        confusions = shown.confusions(&texts, &images);
        grids = shown.grids(&model, &images)?;
    }
    Ok(Some(Report { step, held_out, figures, confusions, grids, pictures: shown.pictures }))
}

fn title(material: &Material, member: usize) -> &str {
    &material.pairs[member].texts[0]
}

/// The pictures that are shown so far.
struct Shown<'a> {
    material: &'a Material,
    /// The number among the pictures of each pair that was put aside.
    numbers: HashMap<usize, usize>,
    pictures: Vec<Picture>,
}

impl Shown<'_> {
    fn confusions(&mut self, texts: &Vectors, images: &Vectors) -> Vec<Confusion> {
        let material = self.material;
        let members = &material.validation;
        let titles: Vec<String> =
            members.iter().map(|&member| as_typed(title(material, member))).collect();
        // Equal texts are equal answers, as in a validation.
        let own = |query: usize, row: usize| query == row || titles[query] == titles[row];
        let ranks = metrics::ranks(texts, images, &own, &|_, _| false);
        let ranks = ranks.into_iter().enumerate();
        let mut worst: Vec<(usize, usize)> = ranks
            .filter_map(|(query, rank)| Some((query, rank.filter(|&rank| rank > 1)?)))
            .collect();
        worst.sort_by_key(|&(query, rank)| (Reverse(rank), query));
        let mut seen = BTreeSet::new();
        worst.retain(|&(query, _)| seen.insert(&titles[query]));
        worst.truncate(CONFUSIONS);
        let mut confusions = Vec::new();
        for (query, rank) in worst {
            let nearest = nearest(texts.row(query), images);
            // A wrong one that is as near as the right one counts before it.
            let Some(first) = nearest.into_iter().find(|&row| !own(query, row)) else { continue };
            let text = title(material, members[query]).to_owned();
            let (own, first) = (self.picture(query), self.picture(first));
            confusions.push(Confusion { text, rank, own, first });
        }
        confusions
    }

    fn grids(&mut self, model: &Model, images: &Vectors) -> Result<Vec<Grid>> {
        let known = QUERIES.into_iter().filter(|query| model.unknown_words(query).is_empty());
        let mut asked: Vec<(&str, Option<&Question>)> = known.map(|query| (query, None)).collect();
        let questions = some_of_each_kind(&self.material.questions);
        asked.extend(questions.into_iter().map(|asked| (asked.text.as_str(), Some(asked))));
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let queries: Vec<&str> = asked.iter().map(|&(query, _)| query).collect();
        let vectors = model.texts(&queries)?;
        let mut grids = Vec::new();
        for (number, (query, question)) in asked.into_iter().enumerate() {
            let mut nearest = nearest(vectors.row(number), images);
            nearest.truncate(metrics::GRID);
            let hit = |row: usize| Hit {
                picture: self.picture(row),
                right: question.map(|question| question.right.binary_search(&row).is_ok()),
            };
            grids.push(Grid {
                query: query.to_owned(),
                kind: question.map(|question| question.kind.to_string()),
                hits: nearest.into_iter().map(hit).collect(),
            });
        }
        Ok(grids)
    }

    /// The number of the picture of a pair that was put aside.
    fn picture(&mut self, row: usize) -> usize {
        if let Some(&number) = self.numbers.get(&row) {
            return number;
        }
        let member = self.material.validation[row];
        let picture = self.material.pairs[member].picture;
        let (width_px, height_px, rgb) = small(&self.material.cache, picture);
        self.numbers.insert(row, self.pictures.len());
        self.pictures.push(Picture {
            path: self.material.places[picture].to_string(),
            title: title(self.material, member).to_owned(),
            width_px,
            height_px,
            rgb,
        });
        self.pictures.len() - 1
    }
}

/// All rows, the nearest first.
fn nearest(query: &[f32], images: &Vectors) -> Vec<usize> {
    let cosines: Vec<f32> = images.rows().map(|row| dot(query, row)).collect();
    let mut rows: Vec<usize> = (0..cosines.len()).collect();
    rows.sort_by(|&a, &b| cosines[b].total_cmp(&cosines[a]).then(a.cmp(&b)));
    rows
}

/// A dozen questions, of every kind as many and from all over it.
fn some_of_each_kind(questions: &[Question]) -> Vec<&Question> {
    let kinds: Vec<&[Question]> = questions.chunk_by(|a, b| a.kind == b.kind).collect();
    let each = QUESTIONS.div_ceil(kinds.len().max(1));
    let mut some = Vec::new();
    for kind in kinds {
        let count = each.min(kind.len());
        some.extend((0..count).map(|n| &kind[n * kind.len() / count]));
    }
    some.truncate(QUESTIONS);
    some
}

/// Width, height and pixels of a picture of the run, made small.
fn small(cache: &images::PixelCache, picture: usize) -> (usize, usize, Vec<u8>) {
    let Frame { width_px, height_px, .. } = cache.frame();
    let rgb = cache.get(picture).unwrap_or_default().to_vec();
    let longer = width_px.max(height_px).max(1);
    if longer <= LONGER_SIDE {
        return (width_px, height_px, rgb);
    }
    let side = |size: usize| (size * LONGER_SIDE / longer).max(1);
    let frame = Frame {
        width_px: side(width_px),
        height_px: side(height_px),
        fit: Fit::Stretch,
        ..cache.frame()
    };
    let whole = Decoded { width_px, height_px, rgb, truncated: false };
    (frame.width_px, frame.height_px, images::frame(&whole, frame).rgb)
}
