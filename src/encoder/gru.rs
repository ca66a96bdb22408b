//! The text tower: word embedding, bidirectional GRU (Cho et al., 2014), pool over the tokens,
//! linear layer. A token's embedding is that of its word and, where the vocabulary has character
//! n-grams, the mean of theirs (Bojanowski et al., 2017; PyTorch's `nn.EmbeddingBag`). The mean of the
//! token embeddings may stand beside the pooled states: it keeps what each word says by itself, which
//! short queries need more than the order of words.
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
use crate::tokens::{Grams, TokenBatch, UNKNOWN};
use crate::units::Seed;

/// The standard deviation of the values that a token's embedding begins with.
pub(crate) const EMBEDDING_DEVIATION: f32 = 0.1;
/// Where these are among a model's parameters: `[tokens, embedding]`.
pub(crate) const EMBEDDING: &str = "text.embedding.weight";

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
    /// Whether the mean of the token embeddings stands beside the pooled states before the linear
    /// layer, which then has `hidden·directions + embedding` inputs.
    #[serde(default, skip_serializing_if = "is_off")]
    pub mean: bool,
    /// Buckets of character n-grams that the vocabulary has; the mean of a token's n-grams is added
    /// to its embedding. 0 for a vocabulary without them.
    #[serde(default, skip_serializing_if = "is_none")]
    pub grams: usize,
}

/// Models before there was a mean have no word of it, and their fingerprint is made of that text.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_off(on: &bool) -> bool {
    !on
}

/// As [`is_off`], of n-grams.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_none(count: &usize) -> bool {
    *count == 0
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
            Bounded::size("text.grams", self.grams, 0.0, 1e7),
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
        let GruTower { embedding, hidden, mean, .. } = self.tower;
        let table = [self.vocabulary, embedding];
        let init = Init::Normal(EMBEDDING_DEVIATION);
        parameters.add(EMBEDDING, &table, Layout::Plain, init, seed);
        if self.tower.grams > 0 {
            let table = [self.tower.grams, embedding];
            parameters.add("text.grams.weight", &table, Layout::Plain, init, seed);
        }
        let bound = Init::Uniform(1.0 / (hidden as f32).sqrt());
        for (_, suffix) in self.directions() {
            for (part, inputs) in [("ih", embedding), ("hh", hidden)] {
                let weight = format!("text.gru.weight_{part}_l0{suffix}");
                parameters.add(weight, &[inputs, 3 * hidden], Layout::Transposed, bound, seed);
                let bias = format!("text.gru.bias_{part}_l0{suffix}");
                parameters.add(bias, &[3 * hidden], Layout::Plain, bound, seed);
            }
        }
        let states = hidden * self.directions().len() * self.tower.pool.parts();
        let features = states + if mean { embedding } else { 0 };
        let bound = Init::Uniform(1.0 / (features as f32).sqrt());
        let weight = [features, self.dim];
        parameters.add("text.fc.weight", &weight, Layout::Transposed, bound, seed);
        parameters.add("text.fc.bias", &[self.dim], Layout::Plain, bound, seed);
    }

    /// The embedding, then the states.
    fn stage(&self, parameter: &str) -> Option<usize> {
        let stages = [("text.embedding.", 0), ("text.grams.", 0), ("text.gru.", 1)];
        let own = stages.iter().find(|(prefix, _)| parameter.starts_with(prefix));
        own.map(|(_, stage)| *stage)
    }

    fn forward(&self, pass: &Pass, input: TokenBatch, chance: &mut fastrand::Rng) -> Tensor<2> {
        let embedded = self.embedded(pass, &input, chance); // [n·len, embedding]
        let features = self.features(pass, &embedded, &input); // [n, features]
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
    /// `[n, hidden·directions]`, and the mean of the tokens behind them if the tower has it.
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
        let mut features: Vec<Tensor<2>> = states.collect();
        if self.tower.mean {
            features.push(mean_of_tokens(pass, embedded, &lengths));
        }
        Tensor::cat(features, 1)
    }

    /// Adds to the embedded tokens `[n·len, embedding]` the mean of their n-grams; of a word without a
    /// number these are all that there is.
    fn with_grams(self, pass: &Pass, words: Tensor<2>, batch: &TokenBatch) -> Tensor<2> {
        let Grams { lists, starts, .. } = &batch.grams;
        if self.tower.grams == 0 || lists.is_empty() {
            return words;
        }
        pass.watch("text.embedding", &words);
        let has_grams = |list: u32| starts[list as usize] < starts[list as usize + 1];
        let tokens = batch.ids.iter().zip(lists);
        let counts =
            tokens.map(|(&id, &list)| if id == UNKNOWN && has_grams(list) { 0.0 } else { 1.0 });
        let counts: Tensor<2> = pass.tensor(counts.collect(), &[lists.len(), 1]);
        let grams = Arc::new(batch.grams.clone());
        let means = ops::means_of_rows(pass.matrix("text.grams.weight"), grams);
        pass.watch("text.grams", &means);
        words * counts + means
    }

    fn embedded(self, pass: &Pass, batch: &TokenBatch, chance: &mut fastrand::Rng) -> Tensor<2> {
        let (n, len, width) = (batch.lengths.len(), batch.len, self.tower.embedding);
        let ids: Vec<i32> = batch.ids.iter().map(|&id| id as i32).collect();
        let ids: Tensor<1, Int> =
            Tensor::from_data(TensorData::new(ids, vec![n * len]), pass.device());
        let embedded = pass.matrix(EMBEDDING).select(0, ids); // [n·len, width]
        let embedded = self.with_grams(pass, embedded, batch);
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

/// Embedded tokens `[n, len, embedding]` -> `[n, embedding]`, the mean over each text's real ones.
fn mean_of_tokens(pass: &Pass, embedded: Tensor<3>, lengths: &[u32]) -> Tensor<2> {
    let [n, len, width] = embedded.dims();
    let share = |length: u32, step: usize| {
        if step < length as usize { 1.0 / length as f32 } else { 0.0 }
    };
    let shares = lengths.iter().flat_map(|&length| (0..len).map(move |step| share(length, step)));
    let shares: Tensor<3> = pass.tensor(shares.collect(), &[n, len, 1]);
    (embedded * shares).sum_dim(1).reshape([n, width])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::architecture::{Architecture, TextArchitecture};
    use crate::ops::values_of;
    use crate::tokens::{Rules, Vocabulary};
    use crate::train::Recipe;

    const WIDTH: usize = 3;
    const HIDDEN: usize = 2;

    fn tower(mean: bool) -> GruTower {
        let (embedding, hidden) = (WIDTH, HIDDEN);
        let (bidirectional, pool, dropout, grams) = (true, Pool::Max, 0.0, 0);
        GruTower { embedding, hidden, bidirectional, pool, dropout, mean, grams }
    }

    fn parameters(tower: GruTower) -> Parameters {
        let mut parameters = Parameters::default();
        tower.tower(6, 4).add_parameters(&mut parameters, Seed(3));
        parameters
    }

    fn two_texts() -> TokenBatch {
        let ids = vec![2, 3, 4, 5, 0, 0];
        TokenBatch { len: 3, ids, lengths: vec![3, 1], ..TokenBatch::default() }
    }

    fn forward(tower: GruTower, mode: Mode) -> (Pass, Tensor<2>) {
        let pass = Pass::new(Arc::new(parameters(tower)), mode);
        let tower = tower.tower(6, 4);
        let batch = two_texts();
        let embedded = tower.embedded(&pass, &batch, &mut Seed(0).stream("chance", 0));
        let features = tower.features(&pass, &embedded, &batch);
        (pass, features)
    }

    #[test]
    fn the_mean_of_the_real_tokens_stands_behind_the_states() {
        let table = &parameters(tower(true)).get(EMBEDDING).values.clone();
        let row = |id: usize| &table[id * WIDTH..][..WIDTH];
        let (_, without) = forward(tower(false), Mode::Inference);
        let (_, with) = forward(tower(true), Mode::Inference);
        let [states, width] = [2 * HIDDEN, 2 * HIDDEN + WIDTH];
        assert_eq!((without.dims(), with.dims()), ([2, states], [2, width]));
        let (without, with) = (values_of(without), values_of(with));
        for (text, tokens) in [(0, vec![2, 3, 4]), (1, vec![5])] {
            let found = &with[text * width..][..width];
            assert_eq!(found[..states], without[text * states..][..states]);
            for feature in 0..WIDTH {
                let sum: f32 = tokens.iter().map(|&id| row(id)[feature]).sum();
                let expected = sum / tokens.len() as f32;
                assert!((found[states + feature] - expected).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn the_gradient_of_a_mean_is_shared_by_the_tokens_of_the_text() {
        let (pass, features) = forward(tower(true), Mode::Training);
        let mean = features.narrow(1, 2 * HIDDEN, WIDTH).sum();
        let gradients = pass.gradients(mean.backward());
        let table = &gradients[EMBEDDING];
        for (id, expected) in [(0, 0.0), (1, 0.0), (2, 1.0 / 3.0), (4, 1.0 / 3.0), (5, 1.0)] {
            let row = &table[id * WIDTH..][..WIDTH];
            assert!(row.iter().all(|value| (value - expected).abs() < 1e-6), "{id}: {row:?}");
        }
    }

    #[test]
    fn the_layer_at_the_end_takes_the_mean_in() {
        for (mean, inputs) in [(false, 4), (true, 7)] {
            assert_eq!(parameters(tower(mean)).get("text.fc.weight").shape, [inputs, 4]);
        }
    }

    #[test]
    fn a_description_without_a_mean_is_written_as_it_was_before_there_was_one() {
        let mut recipe = Recipe::named("article").unwrap();
        for (mean, said) in [(false, false), (true, true)] {
            recipe.text_tower.mean = mean;
            let text = toml::to_string(&recipe.architecture()).unwrap();
            let of_text = toml::to_string(&recipe.architecture().text).unwrap();
            assert_eq!(of_text.contains("mean"), said);
            let read: Architecture = toml::from_str(&text).unwrap();
            let TextArchitecture::Gru(gru) = read.text else { panic!("another tower") };
            assert_eq!((gru.mean, gru.grams), (mean, 0));
        }
        assert!(!toml::to_string(&recipe.architecture()).unwrap().contains("grams"));
    }

    /// The embedded tokens of a text, `[len, WIDTH]`, of a fresh tower.
    fn embedded(vocabulary: &Vocabulary, text: &str) -> Vec<f32> {
        let tower = GruTower { grams: vocabulary.buckets(), ..tower(false) };
        let tower = GruTower { embedding: 64, ..tower }.tower(vocabulary.len(), 4);
        let mut parameters = Parameters::default();
        tower.add_parameters(&mut parameters, Seed(5));
        let pass = Pass::new(Arc::new(parameters), Mode::Inference);
        let batch = vocabulary.batch(&[text], 70);
        values_of(tower.embedded(&pass, &batch, &mut Seed(0).stream("chance", 0)))
    }

    fn with_grams(texts: &[&str], min_count: usize) -> Vocabulary {
        let rules = Rules::WordsAndGrams { min_count, buckets: 5000 };
        Vocabulary::learn(texts.iter().copied(), &rules)
    }

    #[test]
    fn a_misspelling_lies_nearest_to_the_word_that_was_meant() {
        let words = ["tshirt", "shirt", "dress", "trousers", "regenjacke", "ワンピース", "قميص"];
        // Too rare for numbers: what is near is so by the n-grams alone.
        let vocabulary = with_grams(&words, 2);
        let cosine = |a: &[f32], b: &[f32]| {
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        };
        for (written, meant) in [
            ("tshrit", "tshirt"),
            ("dresss", "dress"),
            ("TROUSRES", "trousers"),
            ("Regenjacken", "regenjacke"),
            ("ミニワンピース", "ワンピース"),
            ("القميص", "قميص"),
        ] {
            let written = embedded(&vocabulary, written);
            let to = |word: &&str| cosine(&written, &embedded(&vocabulary, word));
            let nearest = words.iter().max_by(|a, b| to(a).total_cmp(&to(b)));
            assert_eq!(nearest, Some(&meant));
            assert!(to(&meant) > 0.3, "{meant}: {}", to(&meant));
        }
    }

    #[test]
    fn a_word_without_a_number_is_its_n_grams_and_one_without_either_the_unknown_token() {
        let vocabulary = with_grams(&["red red dress"], 2);
        let rows = |text| embedded(&vocabulary, text);
        let unknown = rows("xyzzy");
        assert_eq!(unknown, rows("qqqq"));
        let alone = rows("dress");
        assert_ne!(alone, unknown);
        // Whatever stands beside it.
        assert_eq!(rows("xyzzy dress red")[64..128], alone);
        // A word with a number is both: its n-grams are a part of it.
        let without = with_grams(&["red red"], 1);
        assert_eq!(rows("red").len(), embedded(&without, "red").len());
        assert_ne!(rows("red"), rows("redd"));
    }

    #[test]
    fn the_n_grams_of_a_batch_learn_and_those_of_other_words_do_not() {
        let vocabulary = with_grams(&["red dress", "xyzzy"], 1);
        let tower = GruTower { grams: vocabulary.buckets(), ..tower(true) };
        let tower = tower.tower(vocabulary.len(), 4);
        let mut parameters = Parameters::default();
        tower.add_parameters(&mut parameters, Seed(5));
        let pass = Pass::new(Arc::new(parameters), Mode::Training);
        let batch = vocabulary.batch(&["red dress", "red"], 70);
        let used: Vec<u32> = batch.grams.buckets.clone();
        let out = tower.forward(&pass, batch, &mut Seed(0).stream("chance", 0));
        let gradients = pass.gradients(out.sum().backward());
        let table = &gradients["text.grams.weight"];
        for (bucket, row) in table.chunks_exact(WIDTH).enumerate() {
            let moves = row.iter().any(|value| *value != 0.0);
            assert_eq!(moves, used.contains(&(bucket as u32)), "bucket {bucket}");
        }
    }
}
