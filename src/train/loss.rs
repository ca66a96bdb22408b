//! What training minimises.

use burn::tensor::{Int, Tensor, TensorData, activation};
use serde::{Deserialize, Serialize};

use super::miner::{self, Miner};
use crate::encoder::parameters::Pass;
use crate::ops::values_of;

/// Which loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossKind {
    /// `max(d(a, p) - d(a, n) + margin, 0)` with d the squared Euclidean distance.
    Triplet,
    /// Softmax cross-entropy over the batch, from pictures to texts and back.
    InfoNce,
}

/// A loss and its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// Which loss.
    pub kind: LossKind,
    /// How much farther a negative should be (triplet), 0 to 4.
    pub margin: f32,
    /// Which negatives (triplet).
    pub miner: Miner,
    /// What cosines are divided by (infonce), above 0.
    pub temperature: f32,
}

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
    /// Pairs of one group are never negatives of each other.
    pub(super) groups: &'a [u32],
}

impl Loss {
    /// The loss of a batch.
    pub(super) fn measure(&self, pass: &Pass, pairs: Pairs<'_>) -> Measured {
        match self.kind {
            LossKind::Triplet => self.triplet(pass, pairs),
            LossKind::InfoNce => self.infonce(pass, pairs),
        }
    }

    /// Schroff, Kalenichenko and Philbin, 2015, equation 3; pictures are the anchors.
    fn triplet(&self, pass: &Pass, pairs: Pairs<'_>) -> Measured {
        let n = pairs.groups.len();
        let negatives = if let Some(negatives) = pairs.negatives {
            negatives
        } else {
            let cosines = pairs.images.clone().matmul(pairs.texts.clone().transpose());
            let chosen = miner::choose(self.miner, &values_of(cosines), pairs.groups);
            let chosen: Vec<i32> = chosen.into_iter().map(|row| row as i32).collect();
            let chosen: Tensor<1, Int> =
                Tensor::from_data(TensorData::new(chosen, vec![n]), pass.device());
            pairs.texts.clone().select(0, chosen)
        };
        let positive = squared_distance(pairs.images.clone(), pairs.texts); // [n, 1]
        let negative = squared_distance(pairs.images, negatives); // [n, 1]
        let distances = values_of(negative.clone());
        let each = activation::relu(positive - negative + self.margin);
        let active = values_of(each.clone()).iter().filter(|&&loss| loss > 0.0).count();
        Measured { loss: each.mean(), active: share(active, n), distance: mean(&distances) }
    }

    /// Radford et al., 2021, figure 3, with a fixed temperature and negatives masked by group.
    fn infonce(&self, pass: &Pass, pairs: Pairs<'_>) -> Measured {
        let n = pairs.groups.len();
        let cosines = pairs.images.matmul(pairs.texts.transpose()); // [n, n]
        let seen = values_of(cosines.clone());
        let masked: Vec<f32> = (0..n * n)
            .map(|at| {
                let (i, j) = (at / n, at % n);
                if i != j && pairs.groups[i] == pairs.groups[j] { -1e4 } else { 0.0 }
            })
            .collect();
        let logits = cosines.div_scalar(self.temperature) + pass.tensor::<2>(masked, &[n, n]);
        let own: Vec<f32> = (0..n * n).map(|at| f32::from(u8::from(at / n == at % n))).collect();
        let own: Tensor<2> = pass.tensor(own, &[n, n]);
        let by_row = activation::log_softmax(logits.clone(), 1);
        let by_column = activation::log_softmax(logits, 0);
        let loss = ((by_row + by_column) * own).sum().div_scalar(-2.0 * n as f32);
        let wrong = (0..n).filter(|&i| !own_is_closest(&seen, pairs.groups, i)).count();
        Measured { loss, active: share(wrong, n), distance: mean_distance(&seen, pairs.groups) }
    }
}

/// Row by row, `[n, 1]`: `|x - y|²`, which is `2 - 2·cosine` for unit rows.
fn squared_distance(x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
    (x - y).powi_scalar(2).sum_dim(1)
}

fn own_is_closest(cosines: &[f32], groups: &[u32], i: usize) -> bool {
    let row = &cosines[i * groups.len()..][..groups.len()];
    (0..groups.len()).all(|j| groups[j] == groups[i] || row[j] < row[i])
}

fn mean_distance(cosines: &[f32], groups: &[u32]) -> f32 {
    let n = groups.len();
    let strangers = (0..n * n).filter(|at| groups[at / n] != groups[at % n]);
    let distances: Vec<f32> = strangers.map(|at| 2.0 - 2.0 * cosines[at]).collect();
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

    use super::super::Recipe;
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
            groups: &[0, 1],
        };
        let measured = Recipe::named("article").unwrap().loss.measure(&pass, pairs);
        assert!((values_of(measured.loss)[0] - 1.0).abs() < 1e-6);
        assert!((measured.active - 0.5).abs() < 1e-6);
        assert!((measured.distance - 1.2).abs() < 1e-6);
    }

    #[test]
    fn infonce_by_hand() {
        let pass = pass();
        let mut loss = Recipe::named("default").unwrap().loss;
        loss.temperature = 1.0;
        let pairs = Pairs {
            images: rows(&pass, &[1.0, 0.0, 0.0, 1.0]),
            texts: rows(&pass, &[1.0, 0.0, 0.6, 0.8]),
            negatives: None,
            groups: &[0, 1],
        };
        // Cosines [[1, 0.6], [0, 0.8]].
        let ce = |own: f64, other: f64| -(own.exp() / (own.exp() + other.exp())).ln();
        let expected = (ce(1.0, 0.6) + ce(0.8, 0.0) + ce(1.0, 0.0) + ce(0.8, 0.6)) / 4.0;
        let measured = loss.measure(&pass, pairs);
        assert!((f64::from(values_of(measured.loss)[0]) - expected).abs() < 1e-6);
        assert!(measured.active.abs() < 1e-6);
        assert!((measured.distance - 1.4).abs() < 1e-6);
    }

    #[test]
    fn texts_of_the_same_group_do_not_count_as_negatives() {
        let pass = pass();
        let loss = Recipe::named("default").unwrap().loss;
        let pairs = Pairs {
            images: rows(&pass, &[1.0, 0.0, 1.0, 0.0]),
            texts: rows(&pass, &[1.0, 0.0, 1.0, 0.0]),
            negatives: None,
            groups: &[3, 3],
        };
        assert!(values_of(loss.measure(&pass, pairs).loss)[0].abs() < 1e-6);
    }
}
