//! Both towers of a model and their passes from batches to tensors and vectors.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::gru::{Gru, TextTower};
use super::image::{Depth, Freeze, ImageTower, Pool};
use super::parameters::{Parameters, Pass};
use crate::error::Result;
use crate::images::{Frame, ImageBatch};
use crate::ops::values_of;
use crate::tokens::TokenBatch;
use crate::units::Seed;
use crate::vectors::Vectors;

/// Everything about a model's shape but its vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Network that sees the pictures.
    pub image: Depth,
    /// How its last feature map becomes one vector.
    pub image_pool: Pool,
    /// Values of an embedding.
    pub dim: usize,
    /// The size of picture it takes.
    pub frame: Frame,
    /// Network that reads the texts.
    pub text: TextTower,
}

/// A number that whoever wrote a file chose, and the range that it must lie in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounded {
    key: &'static str,
    value: f64,
    low: f64,
    high: f64,
}

impl Bounded {
    pub(crate) fn new(key: &'static str, value: impl Into<f64>, low: f64, high: f64) -> Self {
        Self { key, value: value.into(), low, high }
    }

    /// A whole number; what is lost beyond 2^53 lies out of every range.
    pub(crate) fn size(key: &'static str, value: usize, low: f64, high: f64) -> Self {
        Self::new(key, value as f64, low, high)
    }

    /// The sentence about the first of `all` that lies outside.
    pub(crate) fn first_outside(all: &[Self]) -> Option<String> {
        let outside = |one: &&Self| !(one.low..=one.high).contains(&one.value);
        all.iter().find(outside).map(|Self { key, value, low, high }| {
            format!("{key} is {value}; it must lie between {low} and {high}")
        })
    }
}

impl Architecture {
    /// Every size that a file can choose, under the `keys` of that file: values of an embedding,
    /// width and height of the frame, and of the text tower the embedding, the state, the longest
    /// text and the dropout.
    pub(crate) fn bounded(&self, keys: [&'static str; 7]) -> [Bounded; 7] {
        let Self { dim, frame, text, .. } = self;
        let [of_dim, width, height, embedding, hidden, longest, dropout] = keys;
        [
            Bounded::size(of_dim, *dim, 1.0, 65_536.0),
            Bounded::size(width, frame.width_px, 16.0, 4096.0),
            Bounded::size(height, frame.height_px, 16.0, 4096.0),
            Bounded::size(embedding, text.embedding, 1.0, 8192.0),
            Bounded::size(hidden, text.hidden, 1.0, 8192.0),
            Bounded::size(longest, text.longest, 1.0, 8192.0),
            Bounded::new(dropout, text.dropout, 0.0, 0.99),
        ]
    }
}

/// The two networks, without their numbers.
#[derive(Clone, Debug)]
pub(crate) struct Towers {
    image: ImageTower,
    text: Gru,
}

impl Towers {
    pub(crate) fn new(architecture: &Architecture, vocabulary: usize) -> Self {
        let &Architecture { image: depth, image_pool: pool, dim, text: tower, .. } = architecture;
        Self { image: ImageTower::new(depth, pool, dim), text: Gru { tower, vocabulary, dim } }
    }

    /// Fresh parameters.
    pub(crate) fn parameters(&self, seed: Seed) -> Parameters {
        let mut parameters = Parameters::default();
        self.image.add_parameters(&mut parameters, seed);
        self.text.add_parameters(&mut parameters, seed);
        parameters
    }

    /// The parameters of the image tower, waiting for their values.
    pub(crate) fn waiting_image(&self) -> Parameters {
        let mut parameters = Parameters::waiting();
        self.image.add_parameters(&mut parameters, Seed(0));
        parameters
    }

    /// The parameters of the text tower, waiting for their values.
    pub(crate) fn waiting_text(&self) -> Parameters {
        let mut parameters = Parameters::waiting();
        self.text.add_parameters(&mut parameters, Seed(0));
        parameters
    }

    /// Stops the learning of what `freeze` holds of the image tower.
    pub(crate) fn freeze(&self, parameters: &mut Parameters, freeze: Freeze) {
        self.image.freeze(parameters, freeze);
    }

    /// Fresh parameters of the image tower alone.
    pub(crate) fn image_parameters(&self, seed: Seed) -> Parameters {
        let mut parameters = Parameters::default();
        self.image.add_parameters(&mut parameters, seed);
        parameters
    }

    /// Fresh parameters of the text tower alone.
    pub(crate) fn text_parameters(&self, seed: Seed) -> Parameters {
        let mut parameters = Parameters::default();
        self.text.add_parameters(&mut parameters, seed);
        parameters
    }

    /// Pictures -> `[n, dim]`, of the length that the tower gives them.
    pub(crate) fn unscaled_images(&self, pass: &Pass, batch: &ImageBatch) -> Tensor<2> {
        self.image.forward(pass, batch)
    }

    /// Embedded tokens `[n·len, embedding]` -> `[n, hidden·directions]`, before the linear layer.
    pub(crate) fn text_features(
        &self,
        pass: &Pass,
        embedded: &Tensor<2>,
        batch: &TokenBatch,
    ) -> Tensor<2> {
        self.text.features(pass, embedded, batch)
    }

    /// Pictures -> `[n, dim]`, rows of length 1.
    pub(crate) fn images(&self, pass: &Pass, batch: &ImageBatch) -> Tensor<2> {
        unit_rows(self.unscaled_images(pass, batch))
    }

    /// Texts -> `[n, dim]`, rows of length 1.
    pub(crate) fn texts(
        &self,
        pass: &Pass,
        batch: &TokenBatch,
        chance: &mut fastrand::Rng,
    ) -> Tensor<2> {
        unit_rows(self.text.forward(pass, batch, chance))
    }

    /// Pictures -> vectors; `pass` does not learn.
    pub(crate) fn embed_images(&self, pass: &Pass, batch: &ImageBatch) -> Result<Vectors> {
        Vectors::normalised(self.image.dim, values_of(self.images(pass, batch)))
    }

    /// Texts -> vectors; `pass` does not learn.
    pub(crate) fn embed_texts(&self, pass: &Pass, batch: &TokenBatch) -> Result<Vectors> {
        let mut no_chance = Seed(0).stream("inference", 0);
        Vectors::normalised(self.text.dim, values_of(self.texts(pass, batch, &mut no_chance)))
    }
}

/// Scales rows to length 1; a row of zeros stays one, and its gradient is finite.
pub(super) fn unit_rows(x: Tensor<2>) -> Tensor<2> {
    let length = (x.clone().powi_scalar(2).sum_dim(1) + 1e-12).sqrt(); // [n, 1]
    x / length
}
