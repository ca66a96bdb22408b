//! Both towers of a model and their passes from batches to tensors and vectors.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::architecture::{Architecture, Kept};
use super::parameters::{Layout, Parameters, Pass};
use super::preprocessing::Preprocessing;
use super::tower::{Freeze, ImageTower, Tower};
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
    image: Arc<dyn ImageTower>,
    text: Arc<dyn Tower<Input = TokenBatch>>,
    preprocessing: Preprocessing,
    kept: Option<Kept>,
}

/// Features of the network -> what the vector of a picture keeps of them.
pub(crate) const KEPT: &str = "image.kept.weight";

impl Towers {
    /// The towers for a vocabulary of so many tokens.
    pub(crate) fn new(architecture: &Architecture, vocabulary: usize) -> Self {
        let Architecture { dim, image, text, preprocessing, kept } = architecture;
        Self {
            dim: *dim,
            image: image.tower(*dim),
            text: text.tower(vocabulary, *dim),
            preprocessing: preprocessing.clone(),
            kept: *kept,
        }
    }

    fn add_image(&self, parameters: &mut Parameters, seed: Seed) {
        self.image.add_parameters(parameters, seed);
        if let Some(kept) = self.kept {
            let shape = [self.image.plain_features(), kept.dim];
            parameters.add_fixed(KEPT, shape, Layout::Transposed);
        }
    }

    /// Values of a vector.
    pub(crate) fn vector_dim(&self) -> usize {
        self.dim + self.kept.map_or(0, |kept| kept.dim)
    }

    /// How many values of the features, the first, are of the last map of the network, each once.
    pub(crate) fn network_features(&self) -> usize {
        self.image.network_features()
    }

    /// How many values of the features, the first, say all once: those, and the colours behind them.
    pub(crate) fn plain_features(&self) -> usize {
        self.image.plain_features()
    }

    /// What becomes of pictures and texts before these towers.
    pub(crate) fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// Fresh parameters.
    pub(crate) fn parameters(&self, seed: Seed) -> Parameters {
        let mut parameters = Parameters::default();
        self.add_image(&mut parameters, seed);
        self.text.add_parameters(&mut parameters, seed);
        parameters
    }

    /// The parameters of the image tower, waiting for their values.
    pub(crate) fn waiting_image(&self) -> Parameters {
        let mut parameters = Parameters::waiting();
        self.add_image(&mut parameters, Seed(0));
        parameters
    }

    /// The parameters of the text tower, waiting for their values.
    pub(crate) fn waiting_text(&self) -> Parameters {
        let mut parameters = Parameters::waiting();
        self.text.add_parameters(&mut parameters, Seed(0));
        parameters
    }

    /// How far below its last stage a parameter of the image tower's network lies, in stages; `None`
    /// for a parameter of its head or of the text tower.
    pub(crate) fn below_the_top(&self, name: &str) -> Option<usize> {
        const TOP: usize = 4;
        self.image.stage(name).map(|stage| TOP.saturating_sub(stage))
    }

    /// Stops the learning of what `freeze` holds of the image tower.
    pub(crate) fn freeze(&self, parameters: &mut Parameters, freeze: Freeze) {
        parameters.freeze(|name| freeze.holds(self.image.stage(name)));
    }

    /// Whether `name` is of the image tower's network: a parameter that pretrained weights bring.
    pub(crate) fn is_of_the_network(&self, name: &str) -> bool {
        self.image.stage(name).is_some()
    }

    /// A text that differs where the same weights and pixels give other features.
    pub(crate) fn description(&self) -> String {
        self.image.description()
    }

    /// Values of a picture's features, which the head of the image tower gets.
    pub(crate) fn feature_count(&self) -> usize {
        self.image.feature_count()
    }

    /// Pictures -> their features, `[n, feature_count]` row-major; `pass` does not learn.
    pub(crate) fn features(&self, pass: &Pass, batch: &ImageBatch) -> Vec<f32> {
        values_of(self.image.features(pass, self.preprocessing.pictures.pixels.of(batch)))
    }

    /// Features `[n, feature_count]` -> `[n, dim]`, rows of length 1.
    pub(crate) fn images_of_features(
        &self,
        pass: &Pass,
        features: Vec<f32>,
        chance: &mut fastrand::Rng,
    ) -> Tensor<2> {
        let count = self.image.feature_count();
        let n = features.len() / count;
        unit_rows(self.image.head(pass, pass.tensor(features, &[n, count]), chance))
    }

    /// Fresh parameters of the image tower alone.
    #[cfg(any(test, feature = "bench"))]
    pub(crate) fn image_parameters(&self, seed: Seed) -> Parameters {
        let mut parameters = Parameters::default();
        self.add_image(&mut parameters, seed);
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
        let pixels = self.preprocessing.pictures.pixels.of(batch);
        self.vectors_of(pass, self.image.features(pass, pixels))
    }

    /// Features -> vectors; `pass` does not learn.
    pub(crate) fn embed_features(&self, pass: &Pass, features: Vec<f32>) -> Result<Vectors> {
        let count = self.image.feature_count();
        let n = features.len() / count;
        self.vectors_of(pass, pass.tensor(features, &[n, count]))
    }

    fn vectors_of(&self, pass: &Pass, features: Tensor<2>) -> Result<Vectors> {
        let n = features.dims()[0];
        let joint = unit_rows(self.image.head(pass, features.clone(), &mut no_chance()));
        let whole = match self.kept {
            None => joint,
            Some(Kept { share, .. }) => {
                let own = features.slice([0..n, 0..self.image.plain_features()]);
                let own = unit_rows(own.matmul(pass.matrix(KEPT))) * share.sqrt();
                Tensor::cat(vec![joint * (1.0 - share).sqrt(), own], 1)
            }
        };
        Vectors::normalised(self.vector_dim(), values_of(whole))
    }

    /// Texts -> vectors; `pass` does not learn.
    pub(crate) fn embed_texts(&self, pass: &Pass, batch: &TokenBatch) -> Result<Vectors> {
        let joint = self.texts(pass, batch, &mut no_chance());
        let whole = match self.kept {
            None => joint,
            Some(Kept { dim, .. }) => {
                let n = batch.lengths.len();
                Tensor::cat(vec![joint, pass.tensor(vec![0.0; n * dim], &[n, dim])], 1)
            }
        };
        Vectors::normalised(self.vector_dim(), values_of(whole))
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
