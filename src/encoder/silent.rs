//! The text tower of a model that reads no texts.

use burn::tensor::Tensor;

use super::parameters::{Parameters, Pass};
use super::tower::Tower;
use crate::tokens::TokenBatch;
use crate::units::Seed;

/// Learns nothing and gives every text the vector of zeros, which lies in no direction: whoever
/// scales it to length 1 is told so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silent {
    /// Values of a vector.
    pub(super) dim: usize,
}

impl Tower for Silent {
    type Input = TokenBatch;

    fn add_parameters(&self, _: &mut Parameters, _: Seed) {}

    fn stage(&self, _: &str) -> Option<usize> {
        None
    }

    fn forward(&self, pass: &Pass, batch: TokenBatch, _: &mut fastrand::Rng) -> Tensor<2> {
        let n = batch.lengths.len();
        pass.tensor(vec![0.0; n * self.dim], &[n, self.dim])
    }
}
