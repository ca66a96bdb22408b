//! The text tower: word embedding, bidirectional GRU (Cho et al., 2014), pool over the tokens,
//! linear layer.
//!
//! Names are PyTorch's for `nn.Embedding`, `nn.GRU` and `nn.Linear`, below `text.`. Padding takes
//! no part: each sequence ends at its own length, backward states start there, and the pool sees
//! real tokens alone.

use std::sync::Arc;

use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::architecture::{Bounded, Pool};
use super::parameters::{Init, Layout, Mode, Parameters, Pass};
use super::tower::Tower;
use crate::ops::{self, Direction, GruParameters};
use crate::tokens::TokenBatch;
use crate::units::Seed;

/// What a recurrent text tower is, as `model.toml` says it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GruTower {
    /// Values a token.
    pub embedding: usize,
    /// Values of a state, each direction.
    pub hidden: usize,
    /// Whether a second GRU reads from the end.
    pub bidirectional: bool,
    /// How the states of a text become one vector.
    pub pool: Pool,
    /// Chance that a feature of the embedding is left out for a whole text (spatial dropout).
    pub dropout: f32,
}

impl GruTower {
    /// The tower for so many tokens that ends in `dim` values.
    pub(crate) fn tower(self, vocabulary: usize, dim: usize) -> Gru {
        Gru { tower: self, vocabulary, dim }
    }

    pub(super) fn bounded(&self) -> Vec<Bounded> {
        vec![
            Bounded::size("text.embedding", self.embedding, 1.0, 8192.0),
            Bounded::size("text.hidden", self.hidden, 1.0, 8192.0),
            Bounded::new("text.dropout", self.dropout, 0.0, 0.99),
        ]
    }
}

/// A text tower with the sizes that come from elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gru {
    tower: GruTower,
    vocabulary: usize,
    dim: usize,
}

impl Tower for Gru {
    type Input = TokenBatch;

    /// With PyTorch's initialisation; embeddings start small.
    fn add_parameters(&self, parameters: &mut Parameters, seed: Seed) {
        let GruTower { embedding, hidden, .. } = self.tower;
        let table = [self.vocabulary, embedding];
        parameters.add("text.embedding.weight", &table, Layout::Plain, Init::Normal(0.1), seed);
        let bound = Init::Uniform(1.0 / (hidden as f32).sqrt());
        for (_, suffix) in self.directions() {
            for (part, inputs) in [("ih", embedding), ("hh", hidden)] {
                let weight = format!("text.gru.weight_{part}_l0{suffix}");
                parameters.add(weight, &[inputs, 3 * hidden], Layout::Transposed, bound, seed);
                let bias = format!("text.gru.bias_{part}_l0{suffix}");
                parameters.add(bias, &[3 * hidden], Layout::Plain, bound, seed);
            }
        }
        let features = hidden * self.directions().len() * self.tower.pool.parts();
        let bound = Init::Uniform(1.0 / (features as f32).sqrt());
        let weight = [features, self.dim];
        parameters.add("text.fc.weight", &weight, Layout::Transposed, bound, seed);
        parameters.add("text.fc.bias", &[self.dim], Layout::Plain, bound, seed);
    }

    /// The embedding, then the states.
    fn stage(&self, parameter: &str) -> Option<usize> {
        let stages = ["text.embedding.", "text.gru."];
        stages.iter().position(|stage| parameter.starts_with(stage))
    }

    fn forward(&self, pass: &Pass, input: TokenBatch, chance: &mut fastrand::Rng) -> Tensor<2> {
        let embedded = self.embedded(pass, &input, chance); // [n·len, embedding]
        let features = self.features(pass, &embedded, &input); // [n, hidden·directions]
        let (weight, bias) = (pass.matrix("text.fc.weight"), pass.vector("text.fc.bias"));
        let out = features.matmul(weight) + bias.unsqueeze();
        pass.watch("text.fc", &out);
        out
    }
}

impl Gru {
    fn directions(self) -> &'static [(Direction, &'static str)] {
        const BOTH: [(Direction, &str); 2] =
            [(Direction::Forward, ""), (Direction::Backward, "_reverse")];
        if self.tower.bidirectional { &BOTH } else { &BOTH[..1] }
    }

    /// Embedded tokens `[n·len, embedding]` -> the pooled states of both directions side by side,
    /// `[n, hidden·directions]`.
    pub(crate) fn features(
        self,
        pass: &Pass,
        embedded: &Tensor<2>,
        batch: &TokenBatch,
    ) -> Tensor<2> {
        let n = batch.lengths.len();
        pass.watch("text.embedding", embedded);
        let embedded = embedded.clone().reshape([n, batch.len, self.tower.embedding]);
        let lengths: Arc<[u32]> = batch.lengths.as_slice().into();
        let states = self.directions().iter().map(|&(direction, suffix)| {
            let weight = |part| pass.matrix(&format!("text.gru.weight_{part}_l0{suffix}"));
            let bias = |part| pass.vector(&format!("text.gru.bias_{part}_l0{suffix}"));
            let parameters = GruParameters {
                input: weight("ih"),
                input_bias: bias("ih"),
                hidden: weight("hh"),
                hidden_bias: bias("hh"),
            };
            let states = ops::gru(embedded.clone(), parameters, Arc::clone(&lengths), direction);
            pass.watch("text.gru", &states);
            self.pooled(pass, states, &lengths) // [n, hidden]
        });
        Tensor::cat(states.collect(), 1)
    }

    fn embedded(self, pass: &Pass, batch: &TokenBatch, chance: &mut fastrand::Rng) -> Tensor<2> {
        let (n, len, width) = (batch.lengths.len(), batch.len, self.tower.embedding);
        let ids: Vec<i32> = batch.ids.iter().map(|&id| id as i32).collect();
        let ids: Tensor<1, Int> =
            Tensor::from_data(TensorData::new(ids, vec![n * len]), pass.device());
        let embedded = pass.matrix("text.embedding.weight").select(0, ids); // [n·len, width]
        let drop = self.tower.dropout;
        if pass.mode() == Mode::Inference || drop <= 0.0 {
            return embedded;
        }
        let kept = |chance: &mut fastrand::Rng| {
            if chance.f32() < drop { 0.0 } else { 1.0 / (1.0 - drop) }
        };
        let mask = (0..n * width).map(|_| kept(chance)).collect();
        let mask: Tensor<3> = pass.tensor(mask, &[n, 1, width]);
        (embedded.reshape([n, len, width]) * mask).reshape([n * len, width])
    }

    /// States `[n, len, hidden]` -> `[n, hidden]` over each text's real tokens.
    fn pooled(self, pass: &Pass, states: Tensor<3>, lengths: &Arc<[u32]>) -> Tensor<2> {
        match self.tower.pool {
            Pool::Max => ops::max_over_steps(states, Arc::clone(lengths)),
            Pool::Average => average(pass, states, lengths),
            Pool::Both => {
                let means = average(pass, states.clone(), lengths);
                Tensor::cat(vec![means, ops::max_over_steps(states, Arc::clone(lengths))], 1)
            }
        }
    }
}

/// The mean of the states `[n, len, hidden]` over each text's real tokens, `[n, hidden]`.
fn average(pass: &Pass, states: Tensor<3>, lengths: &[u32]) -> Tensor<2> {
    let [n, _, hidden] = states.dims();
    // States at padding are 0.
    let shares = lengths.iter().map(|&length| 1.0 / length.max(1) as f32);
    let shares: Tensor<2> = pass.tensor(shares.collect(), &[n, 1]);
    states.sum_dim(1).reshape([n, hidden]) * shares
}
