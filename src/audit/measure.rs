//! Each row beside its neighbourhood: four scans a block of rows, everything else from those.

use looksee_kernels::search::scan::{Scored, dot, top_k};
use rayon::prelude::*;

use super::Options;
use crate::error::Result;
use crate::index::Rows;
use crate::units::{Event, Listener, Seed, Stop};

/// Rows that go through the scans together.
const ROWS_A_BLOCK: usize = 1024;
/// Pictures at least this alike (cosine) may be one picture in two files.
pub(super) const ALIKE: f32 = 0.999;

/// A row and what its neighbourhood says; all values are (mean) cosines.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) row: u32,
    /// Its picture with its text.
    pub(super) own: f32,
    /// Its picture with the nearest texts.
    pub(super) picture_to_texts: f32,
    /// Its text with the nearest pictures.
    pub(super) text_to_pictures: f32,
    /// Its picture with the nearest pictures.
    pub(super) pictures: f32,
    /// Its text with the nearest texts.
    pub(super) texts: f32,
    /// Its text with the texts of the nearest pictures.
    pub(super) text_by_pictures: f32,
    /// Its picture with the pictures of the nearest texts.
    pub(super) picture_by_texts: f32,
    /// The row whose picture is nearest to its text.
    pub(super) best: u32,
    /// Rows with nearly the same picture.
    pub(super) twins: Vec<u32>,
}

impl Measured {
    /// How much picture and text disagree; greater is worse.
    pub(super) fn disagreement(&self) -> f32 {
        let gaps = [
            self.picture_to_texts - self.own,
            self.text_to_pictures - self.own,
            self.texts - self.text_by_pictures,
            self.pictures - self.picture_by_texts,
        ];
        gaps.iter().sum::<f32>() / gaps.len() as f32
    }

    /// The cosine of a picture and a text that belong together in this neighbourhood.
    pub(super) fn expected(&self) -> f32 {
        f32::midpoint(self.picture_to_texts, self.text_to_pictures)
    }
}

/// Measures `rows`, which have texts.
pub(super) fn rows(
    vectors: &dyn Rows,
    rows: &[u32],
    options: &Options,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<Vec<Measured>> {
    let reference = Reference::of(vectors, rows, options);
    let mut measured = Vec::with_capacity(rows.len());
    for block in rows.chunks(ROWS_A_BLOCK) {
        stop.check()?;
        listener(Event::Progress { what: "comparing", done: measured.len(), total: rows.len() });
        measured.extend(reference.measure(vectors, block));
    }
    Ok(measured)
}

/// The rows among which neighbours are looked for.
struct Reference {
    dim: usize,
    neighbours: usize,
    /// Their numbers among all, ascending.
    rows: Vec<u32>,
    pictures: Vec<f32>,
    texts: Vec<f32>,
}

impl Reference {
    fn of(vectors: &dyn Rows, rows: &[u32], options: &Options) -> Self {
        let rows = sample(rows, options.reference.max(super::judge::FEWEST), options.seed);
        Self {
            dim: vectors.dim(),
            neighbours: options.neighbours.clamp(1, rows.len() - 1),
            pictures: pictures(vectors, &rows),
            texts: texts(vectors, &rows),
            rows,
        }
    }

    fn measure(&self, vectors: &dyn Rows, rows: &[u32]) -> Vec<Measured> {
        let (pictures, texts) = (pictures(vectors, rows), texts(vectors, rows));
        let near = |side: &[f32], queries: &[f32]| {
            // One more, because a row that is its own neighbour does not count.
            let found = top_k(side, self.dim, None, queries, self.neighbours + 1);
            let each = found.into_iter().zip(rows).map(|(found, &row)| self.others(found, row));
            each.collect::<Vec<_>>()
        };
        let scans = [
            near(&self.pictures, &pictures),
            near(&self.texts, &pictures),
            near(&self.pictures, &texts),
            near(&self.texts, &texts),
        ];
        let side = |side: &'_ [f32], at: usize| side[at * self.dim..][..self.dim].to_vec();
        let one = |at: usize| {
            let (picture, text) = (side(&pictures, at), side(&texts, at));
            self.beside(rows[at], &picture, &text, scans.each_ref().map(|scan| &scan[at][..]))
        };
        (0..rows.len()).into_par_iter().map(one).collect()
    }

    /// The nearest of the other rows; numbers are places in the reference.
    fn others(&self, mut found: Vec<Scored>, row: u32) -> Vec<Scored> {
        found.retain(|scored| self.rows[scored.row] != row);
        found.truncate(self.neighbours);
        found
    }

    fn beside(&self, row: u32, picture: &[f32], text: &[f32], near: [&[Scored]; 4]) -> Measured {
        let [by_picture, texts_of_picture, pictures_of_text, by_text] = near;
        let at = |side: &'_ [f32], with: &[f32], near: &[Scored]| {
            mean(near.iter().map(|scored| dot(with, &side[scored.row * self.dim..][..self.dim])))
        };
        let scores = |near: &[Scored]| mean(near.iter().map(|scored| scored.score));
        let twins = by_picture.iter().filter(|scored| scored.score >= ALIKE);
        Measured {
            row,
            own: dot(picture, text),
            picture_to_texts: scores(texts_of_picture),
            text_to_pictures: scores(pictures_of_text),
            pictures: scores(by_picture),
            texts: scores(by_text),
            text_by_pictures: at(&self.texts, text, by_picture),
            picture_by_texts: at(&self.pictures, picture, by_text),
            best: self.rows[pictures_of_text[0].row],
            twins: twins.map(|scored| self.rows[scored.row]).collect(),
        }
    }
}

fn mean(values: impl ExactSizeIterator<Item = f32>) -> f32 {
    let count = values.len();
    values.sum::<f32>() / count as f32
}

/// At most `most` of the rows, ascending.
fn sample(rows: &[u32], most: usize, seed: Seed) -> Vec<u32> {
    let mut chosen = rows.to_vec();
    if chosen.len() > most {
        seed.stream("audit reference", 0).shuffle(&mut chosen);
        chosen.truncate(most);
        chosen.sort_unstable();
    }
    chosen
}

fn pictures(vectors: &dyn Rows, rows: &[u32]) -> Vec<f32> {
    rows.iter().flat_map(|&row| vectors.picture(row as usize)).copied().collect()
}

fn texts(vectors: &dyn Rows, rows: &[u32]) -> Vec<f32> {
    rows.iter().filter_map(|&row| vectors.text(row as usize)).flatten().copied().collect()
}
