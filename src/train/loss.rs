//! What training minimises.

use burn::tensor::{Int, Tensor, TensorData, activation};
use serde::{Deserialize, Serialize};

use super::miner::{self, Miner};
use crate::encoder::parameters::{Init, Layout, Parameters, Pass};
use crate::ops::values_of;
use crate::units::Seed;

/// Which loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossKind {
    /// `max(d(a, p) - d(a, n) + margin, 0)`, with d as [`Loss::distance`] says.
    Triplet,
    /// Softmax cross-entropy over the batch, from pictures to texts and back.
    InfoNce,
    /// A yes or no for each picture and text of the batch (`SigLIP`; Zhai et al., 2023).
    Sigmoid,
}

/// The distance of a triplet loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distance {
    /// The squared Euclidean one, 0 to 4.
    #[default]
    Squared,
    /// The Euclidean one, 0 to 2.
    Plain,
}

/// A loss and its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// Which loss.
    pub kind: LossKind,
    /// How much farther a negative should be (triplet), 0 to 4.
    pub margin: f32,
    /// Farther by which distance (triplet).
    #[serde(default)]
    pub distance: Distance,
    /// Which negatives (triplet).
    pub miner: Miner,
    /// Share of the run in which all negatives of the batch count before the hardest alone does, 0
    /// to 1 (miner hardest).
    #[serde(default)]
    pub miner_warm_up: f32,
    /// What cosines are divided by (infonce, sigmoid), above 0.
    pub temperature: f32,
    /// Whether that is where it begins, and is learned from there (infonce, sigmoid).
    #[serde(default)]
    pub learned: bool,
    /// Which texts of a batch are no negatives of a picture.
    #[serde(default)]
    pub spared: Spared,
}

/// Which texts of a batch are no negatives of a picture, although they are not its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spared {
    /// Those of its group.
    #[default]
    Group,
    /// Those, and all whose every word is true of the picture's item.
    True,
}

/// The parameter of a learned temperature: the logarithm of what cosines are multiplied by.
const SCALE: &str = "loss.scale";
/// The parameter of a sigmoid loss that says how likely any text is true of any picture.
const BIAS: &str = "loss.bias";
/// Where it begins (Zhai et al., 2023, section 3.2): nearly all are not.
const BIAS_START: f32 = -10.0;
/// Most that a learned temperature multiplies cosines by (Radford et al., 2021, section 2.5).
const SCALE_MOST: f32 = 100.0;

/// A loss and what it says about the batch.
pub(super) struct Measured {
    /// The mean over the batch, with gradient.
    pub(super) loss: Tensor<1>,
    /// Share of anchors that still pull: triplets above 0, or pictures whose own text is not the
    /// closest of the batch.
    pub(super) active: f32,
    /// Mean squared distance between pictures and texts that do not belong together, 0 to 4.
    pub(super) distance: f32,
}

/// A batch of unit rows `[n, dim]`, picture i beside text i.
pub(super) struct Pairs<'a> {
    pub(super) images: Tensor<2>,
    pub(super) texts: Tensor<2>,
    /// Texts drawn for the pictures as negatives, if the miner draws.
    pub(super) negatives: Option<Tensor<2>>,
    /// `[n, n]`: whether text j is true of picture i, and so no negative of it.
    pub(super) truth: &'a [bool],
}

impl Pairs<'_> {
    fn count(&self) -> usize {
        self.truth.len().isqrt()
    }
}

impl Loss {
    /// Adds what the loss itself learns.
    pub(super) fn add_parameters(&self, parameters: &mut Parameters, seed: Seed) {
        if self.kind != LossKind::Triplet && self.learned {
            let start = Init::Constant(-self.temperature.ln());
            parameters.add(SCALE, &[1], Layout::Plain, start, seed);
        }
        if self.kind == LossKind::Sigmoid {
            parameters.add(BIAS, &[1], Layout::Plain, Init::Constant(BIAS_START), seed);
        }
    }

    /// What cosines are multiplied by, `[1, 1]`.
    fn scale(&self, pass: &Pass) -> Tensor<2> {
        if self.learned {
            return pass.vector(SCALE).clamp_max(SCALE_MOST.ln()).exp().unsqueeze();
        }
        pass.tensor(vec![1.0 / self.temperature], &[1, 1])
    }

    /// The loss of a batch, at this share of the run (0 to 1).
    pub(super) fn measure(&self, pass: &Pass, pairs: Pairs<'_>, progress: f32) -> Measured {
        match self.kind {
            LossKind::Triplet if self.miner == Miner::Hardest => {
                self.hardest(pass, pairs, progress >= self.miner_warm_up)
            }
            LossKind::Triplet => self.triplet(pass, pairs),
            LossKind::InfoNce => self.infonce(pass, pairs),
            LossKind::Sigmoid => self.sigmoid(pass, pairs),
        }
    }

    /// VSE++ (Faghri et al., 2018, equation 6), pictures and texts both as anchors: the hinge of the
    /// hardest negative each, or, before that is safe, the mean over all negatives.
    fn hardest(&self, pass: &Pass, pairs: Pairs<'_>, alone: bool) -> Measured {
        let (n, truth) = (pairs.count(), pairs.truth);
        let cosines = pairs.images.matmul(pairs.texts.transpose()); // [n, n]
        let seen = values_of(cosines.clone());
        let own = pass.tensor::<2>(identity(n), &[n, n]);
        let distances = self.distance_of(cosines);
        let positive = (distances.clone() * own).sum_dim(1); // [n, 1]
        let strangers: Vec<f32> =
            truth.iter().map(|&is_true| f32::from(u8::from(!is_true))).collect();
        let strangers: Tensor<2> = pass.tensor(strangers, &[n, n]);
        let hinge = |positive: Tensor<2>| {
            activation::relu(positive - distances.clone() + self.margin) * strangers.clone()
        };
        // Row i has the texts against picture i, column j the pictures against text j.
        let (by_row, by_column) = (hinge(positive.clone()), hinge(positive.transpose()));
        let loss = if alone {
            by_row.max_dim(1).mean() + by_column.max_dim(0).mean()
        } else {
            let count = truth.iter().filter(|&&is_true| !is_true).count().max(1) as f32;
            (by_row + by_column).sum().div_scalar(count)
        };
        let wrong = (0..n).filter(|&i| !own_is_closest(&seen, truth, i)).count();
        Measured { loss, active: share(wrong, n), distance: mean_distance(&seen, truth) }
    }

    /// Zhai et al., 2023, equation 1, without the pairs that are neither partners nor strangers.
    fn sigmoid(&self, pass: &Pass, pairs: Pairs<'_>) -> Measured {
        let (n, truth) = (pairs.count(), pairs.truth);
        let cosines = pairs.images.matmul(pairs.texts.transpose()); // [n, n]
        let seen = values_of(cosines.clone());
        let bias: Tensor<2> = pass.vector(BIAS).unsqueeze();
        let logits = cosines * self.scale(pass) + bias;
        // 1 for partners, -1 for strangers, 0 for what does not count.
        let sign = |at: usize| match (at / n == at % n, truth[at]) {
            (true, _) => 1.0,
            (false, false) => -1.0,
            (false, true) => 0.0,
        };
        let signs: Vec<f32> = (0..n * n).map(sign).collect();
        let counted: Vec<f32> = signs.iter().map(|sign| sign * sign).collect();
        let (signs, counted) = (pass.tensor::<2>(signs, &[n, n]), pass.tensor(counted, &[n, n]));
        let each = activation::log_sigmoid(logits * signs) * counted;
        let loss = each.sum().div_scalar(-(n as f32));
        let wrong = (0..n).filter(|&i| !own_is_closest(&seen, truth, i)).count();
        Measured { loss, active: share(wrong, n), distance: mean_distance(&seen, truth) }
    }

    /// The distances of unit rows at these cosines.
    fn distance_of(&self, cosines: Tensor<2>) -> Tensor<2> {
        let squared = cosines.mul_scalar(-2.0) + 2.0;
        match self.distance {
            Distance::Squared => squared,
            // Finite slope where two rows are one.
            Distance::Plain => squared.clamp_min(1e-8).sqrt(),
        }
    }

    /// Row by row, `[n, 1]`.
    fn distances(&self, x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
        let squared = squared_distance(x, y);
        match self.distance {
            Distance::Squared => squared,
            Distance::Plain => squared.clamp_min(1e-8).sqrt(),
        }
    }

    /// Schroff, Kalenichenko and Philbin, 2015, equation 3; pictures are the anchors.
    fn triplet(&self, pass: &Pass, pairs: Pairs<'_>) -> Measured {
        let n = pairs.count();
        let negatives = if let Some(negatives) = pairs.negatives {
            negatives
        } else {
            let cosines = pairs.images.clone().matmul(pairs.texts.clone().transpose());
            let chosen = miner::choose(self.miner, &values_of(cosines), pairs.truth);
            let chosen: Vec<i32> = chosen.into_iter().map(|row| row as i32).collect();
            let chosen: Tensor<1, Int> =
                Tensor::from_data(TensorData::new(chosen, vec![n]), pass.device());
            pairs.texts.clone().select(0, chosen)
        };
        let distances = values_of(squared_distance(pairs.images.clone(), negatives.clone()));
        let positive = self.distances(pairs.images.clone(), pairs.texts); // [n, 1]
        let negative = self.distances(pairs.images, negatives); // [n, 1]
        let each = activation::relu(positive - negative + self.margin);
        let active = values_of(each.clone()).iter().filter(|&&loss| loss > 0.0).count();
        Measured { loss: each.mean(), active: share(active, n), distance: mean(&distances) }
    }

    /// Radford et al., 2021, figure 3, without the negatives that are none.
    fn infonce(&self, pass: &Pass, pairs: Pairs<'_>) -> Measured {
        let (n, truth) = (pairs.count(), pairs.truth);
        let cosines = pairs.images.matmul(pairs.texts.transpose()); // [n, n]
        let seen = values_of(cosines.clone());
        let spared = |at: usize| truth[at] && at / n != at % n;
        let masked = (0..n * n).map(|at| if spared(at) { -1e4 } else { 0.0 }).collect();
        let logits = cosines * self.scale(pass) + pass.tensor::<2>(masked, &[n, n]);
        let own: Tensor<2> = pass.tensor(identity(n), &[n, n]);
        let by_row = activation::log_softmax(logits.clone(), 1);
        let by_column = activation::log_softmax(logits, 0);
        let loss = ((by_row + by_column) * own).sum().div_scalar(-2.0 * n as f32);
        let wrong = (0..n).filter(|&i| !own_is_closest(&seen, truth, i)).count();
        Measured { loss, active: share(wrong, n), distance: mean_distance(&seen, truth) }
    }
}

/// `[n, n]`, 1 on the diagonal.
fn identity(n: usize) -> Vec<f32> {
    (0..n * n).map(|at| f32::from(u8::from(at / n == at % n))).collect()
}

/// Row by row, `[n, 1]`: `|x - y|²`, which is `2 - 2·cosine` for unit rows.
fn squared_distance(x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
    (x - y).powi_scalar(2).sum_dim(1)
}

fn own_is_closest(cosines: &[f32], truth: &[bool], i: usize) -> bool {
    let n = truth.len().isqrt();
    let (row, truth) = (&cosines[i * n..][..n], &truth[i * n..][..n]);
    (0..n).all(|j| truth[j] || row[j] < row[i])
}

fn mean_distance(cosines: &[f32], truth: &[bool]) -> f32 {
    let strangers = cosines.iter().zip(truth).filter(|(_, is_true)| !**is_true);
    let distances: Vec<f32> = strangers.map(|(cosine, _)| 2.0 - 2.0 * cosine).collect();
    mean(&distances)
}

fn mean(values: &[f32]) -> f32 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f32>() / values.len() as f32 }
}

fn share(count: usize, of: usize) -> f32 {
    count as f32 / of.max(1) as f32
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Recipe, truth};
    use super::*;
    use crate::encoder::parameters::{Mode, Parameters};

    fn pass() -> Pass {
        Pass::new(Arc::new(Parameters::default()), Mode::Inference)
    }

    fn rows(pass: &Pass, values: &[f32]) -> Tensor<2> {
        pass.tensor(values.to_vec(), &[values.len() / 2, 2])
    }

    #[test]
    fn a_triplet_by_hand() {
        // Anchor (1, 0), positive (0.6, 0.8): d = 0.8. Negative (0, 1): d = 2. 0.8 - 2 + 0.4 < 0.
        // Anchor (0, 1), positive (1, 0): d = 2. Negative (0.6, 0.8): d = 0.4. 2 - 0.4 + 0.4 = 2.
        let pass = pass();
        let pairs = Pairs {
            images: rows(&pass, &[1.0, 0.0, 0.0, 1.0]),
            texts: rows(&pass, &[0.6, 0.8, 1.0, 0.0]),
            negatives: Some(rows(&pass, &[0.0, 1.0, 0.6, 0.8])),
            truth: &truth::by_group(&[0, 1]),
        };
        let measured = Recipe::named("article").unwrap().loss.measure(&pass, pairs, 1.0);
        assert!((values_of(measured.loss)[0] - 1.0).abs() < 1e-6);
        assert!((measured.active - 0.5).abs() < 1e-6);
        assert!((measured.distance - 1.2).abs() < 1e-6);
    }

    #[test]
    fn infonce_by_hand() {
        let pass = pass();
        let mut loss = Recipe::named("default").unwrap().loss;
        (loss.temperature, loss.learned) = (1.0, false);
        let pairs = Pairs {
            images: rows(&pass, &[1.0, 0.0, 0.0, 1.0]),
            texts: rows(&pass, &[1.0, 0.0, 0.6, 0.8]),
            negatives: None,
            truth: &truth::by_group(&[0, 1]),
        };
        // Cosines [[1, 0.6], [0, 0.8]].
        let ce = |own: f64, other: f64| -(own.exp() / (own.exp() + other.exp())).ln();
        let expected = (ce(1.0, 0.6) + ce(0.8, 0.0) + ce(1.0, 0.0) + ce(0.8, 0.6)) / 4.0;
        let measured = loss.measure(&pass, pairs, 1.0);
        assert!((f64::from(values_of(measured.loss)[0]) - expected).abs() < 1e-6);
        assert!(measured.active.abs() < 1e-6);
        assert!((measured.distance - 1.4).abs() < 1e-6);
    }

    #[test]
    fn texts_of_the_same_group_do_not_count_as_negatives() {
        let pass = pass();
        let loss = Loss { learned: false, ..Recipe::named("default").unwrap().loss };
        let pairs = Pairs {
            images: rows(&pass, &[1.0, 0.0, 1.0, 0.0]),
            texts: rows(&pass, &[1.0, 0.0, 1.0, 0.0]),
            negatives: None,
            truth: &truth::by_group(&[3, 3]),
        };
        assert!(values_of(loss.measure(&pass, pairs, 1.0).loss)[0].abs() < 1e-6);
    }

    #[test]
    fn a_text_that_is_true_of_a_picture_does_not_count_against_it() {
        let pass = pass();
        let loss = Loss { learned: false, ..Recipe::named("default").unwrap().loss };
        // Text 1 is true of picture 0; text 0 is not of picture 1, and far from it.
        let pairs = Pairs {
            images: rows(&pass, &[1.0, 0.0, -1.0, 0.0]),
            texts: rows(&pass, &[1.0, 0.0, -1.0, 0.0]),
            negatives: None,
            truth: &[true, true, false, true],
        };
        let measured = loss.measure(&pass, pairs, 1.0);
        assert!(values_of(measured.loss)[0] < 1e-6);
        assert!((measured.distance - 4.0).abs() < 1e-6);
    }

    #[test]
    fn a_learned_temperature_begins_where_the_recipe_says_and_has_a_gradient() {
        let loss =
            Loss { learned: true, temperature: 0.5, ..Recipe::named("default").unwrap().loss };
        let mut parameters = Parameters::default();
        loss.add_parameters(&mut parameters, Seed(0));
        let pass = Pass::new(Arc::new(parameters), Mode::Training);
        let pairs = |pass: &Pass| Pairs {
            images: rows(pass, &[1.0, 0.0, 0.0, 1.0]),
            texts: rows(pass, &[0.6, 0.8, 0.8, 0.6]),
            negatives: None,
            truth: &[true, false, false, true],
        };
        let learned = loss.measure(&pass, pairs(&pass), 1.0).loss;
        let fixed = Loss { learned: false, ..loss.clone() };
        let fixed = values_of(fixed.measure(&pass, pairs(&pass), 1.0).loss)[0];
        assert!((values_of(learned.clone())[0] - fixed).abs() < 1e-6);
        // The own texts are farther than the others, so that a higher scale makes it worse.
        let gradients = pass.gradients(learned.backward());
        assert!(gradients[SCALE][0] > 0.0, "{gradients:?}");
    }

    /// Three pictures and texts with cosines [[1, 0.6, 0], [0, 0.8, 1], [-1, -0.6, 0]].
    fn three<'a>(pass: &Pass, truth: &'a [bool]) -> Pairs<'a> {
        Pairs {
            images: rows(pass, &[1.0, 0.0, 0.0, 1.0, -1.0, 0.0]),
            texts: rows(pass, &[1.0, 0.0, 0.6, 0.8, 0.0, 1.0]),
            negatives: None,
            truth,
        }
    }

    fn triplet(miner: Miner, distance: Distance) -> Loss {
        let loss = Recipe::named("article").unwrap().loss;
        Loss { miner, distance, miner_warm_up: 0.5, ..loss }
    }

    #[test]
    fn the_hardest_negative_of_every_anchor_by_hand() {
        let pass = pass();
        let loss = triplet(Miner::Hardest, Distance::Squared);
        // Squared distances [[0, 0.8, 2], [2, 0.4, 0], [4, 3.2, 2]]; hinges with 0.4.
        let rows = [0.0f32, 0.4 - 0.0 + 0.4, 2.0 - 3.2 + 0.4];
        let columns = [0.0f32, 0.4 - 0.8 + 0.4, 2.0 - 0.0 + 0.4];
        let mean = |hinges: [f32; 3]| hinges.iter().map(|hinge| hinge.max(0.0)).sum::<f32>() / 3.0;
        let truth = truth::by_group(&[0, 1, 2]);
        let measured = loss.measure(&pass, three(&pass, &truth), 0.5);
        let expected = mean(rows) + mean(columns);
        assert!((values_of(measured.loss)[0] - expected).abs() < 1e-5);
        // Text 2 is true of picture 1, and so no negative of it.
        let mut spared = truth.clone();
        spared[3 + 2] = true;
        let measured = loss.measure(&pass, three(&pass, &spared), 0.5);
        // Behind it, only picture 0 is against text 2.
        let expected = mean([0.0, 0.4 - 2.0 + 0.4, rows[2]]) + mean([0.0, columns[1], 0.4]);
        assert!((values_of(measured.loss)[0] - expected).abs() < 1e-5);
    }

    #[test]
    fn all_negatives_count_before_the_hardest_alone_does() {
        let pass = pass();
        let loss = triplet(Miner::Hardest, Distance::Squared);
        let truth = truth::by_group(&[0, 1, 2]);
        let at =
            |progress: f32| values_of(loss.measure(&pass, three(&pass, &truth), progress).loss)[0];
        // Of the six hinges by row only 0.8 is above 0; by column 2.4 and 0.4.
        assert!((at(0.4) - (0.8 + 2.4 + 0.4) / 6.0).abs() < 1e-5, "{}", at(0.4));
        assert!(at(0.6) > at(0.4));
    }

    #[test]
    fn a_plain_distance_is_the_root_of_the_squared_one() {
        let pass = pass();
        let pairs = Pairs {
            images: rows(&pass, &[1.0, 0.0]),
            texts: rows(&pass, &[0.6, 0.8]),
            negatives: Some(rows(&pass, &[0.0, 1.0])),
            truth: &[true],
        };
        let loss = Loss { margin: 2.0, ..triplet(Miner::Random, Distance::Plain) };
        let expected = 0.8f32.sqrt() - 2.0f32.sqrt() + 2.0;
        assert!((values_of(loss.measure(&pass, pairs, 0.0).loss)[0] - expected).abs() < 1e-5);
    }

    #[test]
    fn a_sigmoid_by_hand() {
        let loss = Loss {
            kind: LossKind::Sigmoid,
            temperature: 0.5,
            learned: false,
            ..Recipe::named("default").unwrap().loss
        };
        let mut parameters = Parameters::default();
        loss.add_parameters(&mut parameters, Seed(0));
        let pass = Pass::new(Arc::new(parameters), Mode::Inference);
        let mut truth = truth::by_group(&[0, 1, 2]);
        truth[1] = true;
        let measured = loss.measure(&pass, three(&pass, &truth), 1.0);
        let logit = |cosine: f64| 2.0 * cosine - 10.0;
        let yes = |cosine: f64| -(1.0 / (1.0 + (-logit(cosine)).exp())).ln();
        let no = |cosine: f64| -(1.0 / (1.0 + logit(cosine).exp())).ln();
        // All but picture 0 with text 1.
        let partners = yes(1.0) + yes(0.8) + yes(0.0);
        let strangers = no(0.0) + no(0.0) + no(1.0) + no(-1.0) + no(-0.6);
        let expected = (partners + strangers) / 3.0;
        assert!((f64::from(values_of(measured.loss)[0]) - expected).abs() < 1e-4);
    }
}
