//! The parts of a run: the head first, on features that are taken once; then the network itself.
//!
//! A head and a text tower that know nothing yet would spoil a network that knows a lot, and they
//! learn a hundred times as fast while the network stands still. So with pretrained weights they
//! learn first. Then the last stages of the network are let go, with a rate that is small and smaller
//! for each stage below, because what lies near the pixels is true of all pictures (Howard and Ruder,
//! 2018, section 3.2).

use serde::{Deserialize, Serialize};

use super::recipe::Recipe;
use super::schedule::Schedule;
use crate::encoder::Freeze;

/// How the network is tuned when the head has learned. Nothing of it happens with 0 epochs and
/// steps, unless a budget of time has a share for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tune {
    /// What of the network keeps its weights even now: `stage1` to `stage4`, `none`, `all`.
    pub freeze: String,
    /// Times that the catalogue is gone through.
    pub epochs: usize,
    /// Length in steps; 0: as many as the epochs have.
    pub steps: u64,
    /// Share of a budget of time that is left for it, 0 to below 1.
    pub share: f64,
    /// Budgets of fewer minutes have none of it.
    pub from_minutes: f64,
    /// Pictures a step, at least 2.
    pub batch_size: usize,
    /// Learning rate of the head and the text tower at its peak.
    pub learning_rate: f32,
    /// What the last stage of the network has of that.
    pub network: f32,
    /// What each stage has of the rate of the one above it.
    pub decay: f32,
}

impl Default for Tune {
    /// Nothing is tuned.
    fn default() -> Self {
        Self {
            freeze: "all".to_owned(),
            epochs: 0,
            steps: 0,
            share: 0.0,
            from_minutes: 0.0,
            batch_size: 128,
            learning_rate: 0.0005,
            network: 0.0,
            decay: 1.0,
        }
    }
}

/// One part of a run.
#[derive(Clone, Debug)]
pub(super) struct Phase {
    /// Whether the network is tuned: the second part.
    pub(super) tunes: bool,
    /// Steps of the run before it.
    pub(super) first: u64,
    pub(super) schedule: Schedule,
    /// Pairs a step, if there are so many.
    pub(super) batch_size: usize,
    /// Whether it learns from features that were taken once.
    pub(super) from_features: bool,
    pub(super) freeze: Freeze,
    /// Share of the whole budget that is used up at its end.
    pub(super) until: f64,
    /// What the last stage of the network has of the rate, and each stage of the one above.
    network: (f32, f32),
}

impl Phase {
    /// The first part of a run, which is all of it unless something is tuned.
    pub(super) fn learning(recipe: &Recipe, minutes: Option<f64>) -> Self {
        let tunes = recipe.tunes(minutes);
        Self {
            tunes: false,
            first: 0,
            schedule: recipe.schedule.clone(),
            batch_size: recipe.batch_size,
            from_features: recipe.keeps_features(),
            freeze: recipe.freeze(),
            until: if tunes { 1.0 - recipe.tune.share } else { 1.0 },
            network: (1.0, 1.0),
        }
    }

    /// The part that follows after `first` steps.
    pub(super) fn tuning(recipe: &Recipe, first: u64) -> Self {
        let Tune { epochs, steps, batch_size, learning_rate, network, decay, .. } = recipe.tune;
        Self {
            tunes: true,
            first,
            schedule: Schedule { epochs, steps, learning_rate, ..recipe.schedule.clone() },
            batch_size,
            from_features: false,
            // Checked when the recipe was read.
            freeze: Freeze::named(&recipe.tune.freeze).unwrap_or_default(),
            until: 1.0,
            network: (network, decay),
        }
    }

    /// What a parameter has of the learning rate; `below` says how many stages it lies below the
    /// top of the network, if it is of the network.
    pub(super) fn share_of_the_rate(&self, below: Option<usize>) -> f32 {
        let (top, decay) = self.network;
        below.map_or(1.0, |below| top * decay.powi(below as i32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_smaller_for_each_stage_below_the_top() {
        let mut recipe = Recipe::named("pretrained").unwrap();
        (recipe.tune.network, recipe.tune.decay) = (0.5, 0.5);
        let shares = [None, Some(0), Some(1), Some(2)];
        let tuning = Phase::tuning(&recipe, 10);
        let learning = Phase::learning(&recipe, None);
        for (below, expected) in shares.into_iter().zip([1.0, 0.5, 0.25, 0.125]) {
            assert!((tuning.share_of_the_rate(below) - expected).abs() < 1e-6, "{below:?}");
            assert!((learning.share_of_the_rate(below) - 1.0).abs() < 1e-6, "{below:?}");
        }
    }

    #[test]
    fn a_budget_has_a_second_part_from_so_many_minutes_on() {
        let mut recipe = Recipe::named("pretrained").unwrap();
        (recipe.tune.share, recipe.tune.from_minutes) = (0.75, 20.0);
        for (minutes, expected) in [(None, 1.0), (Some(19.0), 1.0), (Some(20.0), 0.25)] {
            let until = Phase::learning(&recipe, minutes).until;
            assert!((until - expected).abs() < 1e-9, "{minutes:?}: {until}");
        }
    }
}
