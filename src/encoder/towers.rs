//! Both towers of a model and their passes from batches to tensors and vectors.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::architecture::Architecture;
use super::parameters::{Parameters, Pass};
use super::preprocessing::{Pixels, Preprocessing};
use super::tower::{Freeze, Tower};
use crate::error::Result;
use crate::images::ImageBatch;
use crate::ops::values_of;
use crate::tokens::TokenBatch;
use crate::units::Seed;
use crate::vectors::Vectors;

/// The two networks, without their numbers, and what comes before them.
#[derive(Clone, Debug)]
pub(crate) struct Towers {
    dim: usize,
    image: Arc<dyn Tower<Input = Pixels>>,
    text: Arc<dyn Tower<Input = TokenBatch>>,
    preprocessing: Preprocessing,
}

impl Towers {
    /// The towers for a vocabulary of so many tokens.
    pub(crate) fn new(architecture: &Architecture, vocabulary: usize) -> Self {
        let Architecture { dim, image, text, preprocessing } = architecture;
        Self {
            dim: *dim,
            image: image.tower(*dim),
            text: text.tower(vocabulary, *dim),
            preprocessing: preprocessing.clone(),
        }
    }

    /// What becomes of pictures and texts before these towers.
    pub(crate) fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
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
        parameters.freeze(|name| freeze.holds(self.image.stage(name)));
    }

    /// Whether `name` is of the image tower's network: a parameter that pretrained weights bring.
    pub(crate) fn is_of_the_network(&self, name: &str) -> bool {
        self.image.stage(name).is_some()
    }

    /// Fresh parameters of the image tower alone.
    #[cfg(any(test, feature = "bench"))]
    pub(crate) fn image_parameters(&self, seed: Seed) -> Parameters {
        let mut parameters = Parameters::default();
        self.image.add_parameters(&mut parameters, seed);
        parameters
    }

    /// Fresh parameters of the text tower alone.
    #[cfg(any(test, feature = "bench"))]
    pub(crate) fn text_parameters(&self, seed: Seed) -> Parameters {
        let mut parameters = Parameters::default();
        self.text.add_parameters(&mut parameters, seed);
        parameters
    }

    /// Pictures -> `[n, dim]`, of the length that the tower gives them.
    pub(crate) fn unscaled_images(
        &self,
        pass: &Pass,
        batch: &ImageBatch,
        chance: &mut fastrand::Rng,
    ) -> Tensor<2> {
        self.image.forward(pass, self.preprocessing.pictures.pixels.of(batch), chance)
    }

    /// Pictures -> `[n, dim]`, rows of length 1.
    pub(crate) fn images(
        &self,
        pass: &Pass,
        batch: &ImageBatch,
        chance: &mut fastrand::Rng,
    ) -> Tensor<2> {
        unit_rows(self.unscaled_images(pass, batch, chance))
    }

    /// Texts -> `[n, dim]`, rows of length 1.
    pub(crate) fn texts(
        &self,
        pass: &Pass,
        batch: &TokenBatch,
        chance: &mut fastrand::Rng,
    ) -> Tensor<2> {
        unit_rows(self.text.forward(pass, batch.clone(), chance))
    }

    /// Pictures -> vectors; `pass` does not learn.
    pub(crate) fn embed_images(&self, pass: &Pass, batch: &ImageBatch) -> Result<Vectors> {
        Vectors::normalised(self.dim, values_of(self.images(pass, batch, &mut no_chance())))
    }

    /// Texts -> vectors; `pass` does not learn.
    pub(crate) fn embed_texts(&self, pass: &Pass, batch: &TokenBatch) -> Result<Vectors> {
        Vectors::normalised(self.dim, values_of(self.texts(pass, batch, &mut no_chance())))
    }
}

/// For a pass in which nothing is random.
fn no_chance() -> fastrand::Rng {
    Seed(0).stream("inference", 0)
}

/// Scales rows to length 1; a row of zeros stays one, and its gradient is finite.
pub(super) fn unit_rows(x: Tensor<2>) -> Tensor<2> {
    let length = (x.clone().powi_scalar(2).sum_dim(1) + 1e-12).sqrt(); // [n, 1]
    x / length
}
