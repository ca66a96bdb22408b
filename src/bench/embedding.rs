//! Decoded pictures to unit vectors, as `looksee index` and a search by picture do it.

use super::{DIM, Size, Work, made, operations};
use crate::encoder::towers::Towers;
use crate::encoder::{Encoder, Model};
use crate::error::Result;
use crate::images::ImageBatch;
use crate::tokens::{Rules, Vocabulary};
use crate::units::Seed;

/// How many values of the first and of the last vector an answer has.
const SHOWN: usize = 8;

/// A model and one batch of pictures.
#[derive(Debug)]
pub(super) struct Embedding {
    model: Model,
    batch: ImageBatch,
    gflop: f64,
}

impl Embedding {
    pub(super) fn new(size: Size<'_>) -> Result<Self> {
        let gflop = operations::of_image_forward(size)?;
        Ok(Self { model: model(size)?, batch: made::pictures(size), gflop })
    }
}

/// A model as it is after loading, with made-up weights.
fn model(size: Size<'_>) -> Result<Model> {
    let architecture = super::architecture(size)?;
    let vocabulary = Vocabulary::learn([], &Rules::Words { min_count: 1 });
    let towers = Towers::new(&architecture, vocabulary.len());
    let (mut image, text) = (towers.image_parameters(Seed(0)), towers.text_parameters(Seed(0)));
    made::fill(&mut image);
    Ok(Model::unsaved(architecture, vocabulary, image, text))
}

impl Work for Embedding {
    fn run(&mut self) -> Result<()> {
        self.model.images(&self.batch).map(drop)
    }

    fn gflop(&self) -> f64 {
        self.gflop
    }

    fn answer(&self) -> Result<Vec<(String, f64)>> {
        let vectors = self.model.images(&self.batch)?;
        let rows = [("first", vectors.row(0)), ("last", vectors.row(self.batch.len() - 1))];
        let step = DIM / SHOWN;
        let figures = rows.into_iter().flat_map(|(name, row)| {
            let shown = row.iter().step_by(step).enumerate();
            shown.map(move |(i, &value)| (format!("{name}.{i}"), f64::from(value)))
        });
        Ok(figures.collect())
    }
}
