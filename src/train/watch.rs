//! Notices a run that has gone wrong and says what to try.

use super::loss::LossKind;
use super::verdict;
use crate::metrics::Summary;

/// Steps in a row before a suspicion is spoken of.
const PATIENCE: usize = 500;
/// Steps that a smoothed loss remembers.
const MEMORY: f32 = 50.0;
/// Steps in a row with a loss far above what it was before that is spoken of.
const DIVERGED_FOR: usize = 200;
/// Validations in a row that are no better before a gap between learned and unseen is spoken of.
const VALIDATIONS: usize = 3;

/// Watches for the collapse of an embedding (all pictures and texts in one point), for a loss that
/// goes up again, and for learning by heart.
#[derive(Debug, Default)]
pub(super) struct Watch {
    suspicious: usize,
    warned: bool,
    loss: SmoothLoss,
    heart: ByHeart,
}

/// A loss over the last steps, beside where it began and where it was lowest.
#[derive(Debug, Default)]
struct SmoothLoss {
    steps: usize,
    now: f32,
    first: f32,
    lowest: f32,
    high: usize,
    warned: bool,
}

impl SmoothLoss {
    /// What it must not stay above: half of the way from its lowest back to its beginning, or half of
    /// that again above its lowest where it never came far down.
    fn most(&self) -> f32 {
        self.lowest + 0.5 * (self.first - self.lowest).max(0.5 * self.first)
    }

    fn add(&mut self, loss: f32) {
        self.steps += 1;
        // The mean of the first ones, then one that forgets.
        self.now += (loss - self.now) / (self.steps as f32).min(MEMORY);
        if self.steps as f32 <= MEMORY {
            (self.first, self.lowest) = (self.now, self.now);
        }
        self.high = if self.now > self.most() { self.high + 1 } else { 0 };
        self.lowest = self.lowest.min(self.now);
    }
}

/// How long validations have been no better.
#[derive(Debug, Default)]
struct ByHeart {
    best: Option<f64>,
    waited: usize,
    warned: bool,
}

impl Watch {
    /// Takes note of a step; returns a warning the first time it is sure.
    ///
    /// `distance` is the mean squared distance of pairs that do not belong together, `resting` the
    /// loss of an embedding that tells nothing apart.
    pub(super) fn see(
        &mut self,
        kind: LossKind,
        loss: f32,
        distance: f32,
        resting: f32,
    ) -> Option<String> {
        let stuck = (loss - resting).abs() < 0.001 && distance < 0.01;
        self.suspicious = if stuck { self.suspicious + 1 } else { 0 };
        if self.suspicious < PATIENCE || self.warned {
            return None;
        }
        self.warned = true;
        let what = match kind {
            LossKind::Triplet => "the margin",
            LossKind::InfoNce | LossKind::Sigmoid => "the loss of guessing",
        };
        Some(format!(
            "the loss has stayed within 0.001 of {what} ({resting:.3}) for {PATIENCE} steps and \
             the mean cosine is {:.3}: the embedding has probably collapsed",
            1.0 - distance / 2.0
        ))
    }

    /// Takes note of the loss of a step; returns a warning the first time that it has stayed far above
    /// what it was. What was noted is forgotten while `another` loss is to come.
    pub(super) fn see_loss(&mut self, loss: f32, another: bool) -> Option<String> {
        if another {
            self.loss = SmoothLoss { warned: self.loss.warned, ..SmoothLoss::default() };
            return None;
        }
        let smooth = &mut self.loss;
        smooth.add(loss);
        if smooth.high < DIVERGED_FOR || smooth.warned {
            return None;
        }
        smooth.warned = true;
        Some(format!(
            "the loss had come down to {:.3} and has been above {:.3} for {DIVERGED_FOR} steps (now \
             {:.3}): training has probably diverged",
            smooth.lowest,
            smooth.most(),
            smooth.now
        ))
    }

    /// Takes note of a validation (`score`: greater is better); returns a warning the first time that
    /// recall among pairs that were `learnt` lies far above that among others, which rises no more.
    pub(super) fn see_validation(
        &mut self,
        score: f64,
        learnt: Option<&Summary>,
        others: &Summary,
    ) -> Option<String> {
        let heart = &mut self.heart;
        let better = heart.best.is_none_or(|best| score > best);
        heart.waited = if better { 0 } else { heart.waited + 1 };
        heart.best = if better { Some(score) } else { heart.best };
        let learnt = learnt.filter(|learnt| verdict::is_far_above(learnt, others))?;
        if heart.waited < VALIDATIONS || heart.warned {
            return None;
        }
        heart.warned = true;
        Some(format!(
            "{VALIDATIONS} validations in a row were no better, and {}",
            verdict::overfitted(learnt, others)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collapse_is_spoken_of_once_and_only_after_its_patience() {
        let mut watch = Watch::default();
        let mut see = |loss, distance| watch.see(LossKind::Triplet, loss, distance, 0.4);
        assert!((0..499).all(|_| see(0.4, 0.001).is_none()));
        let warning = see(0.4, 0.001).unwrap();
        assert!(warning.contains("collapsed"), "{warning}");
        assert!((0..2000).all(|_| see(0.4, 0.001).is_none()));
    }

    #[test]
    fn a_loss_at_the_margin_with_spread_vectors_is_no_collapse() {
        let mut watch = Watch::default();
        assert!((0..2000).all(|_| watch.see(LossKind::Triplet, 0.4, 1.9, 0.4).is_none()));
    }

    #[test]
    fn a_loss_that_stays_far_above_what_it_was_is_spoken_of_once() {
        let mut watch = Watch::default();
        let falls = |step: usize| 6.0 - 4.0 * (step as f32 / 1000.0);
        assert!((0..1000).all(|step| watch.see_loss(falls(step), false).is_none()));
        // A step or two are nothing, nor is a little more for long.
        assert!((0..5).all(|_| watch.see_loss(9.0, false).is_none()));
        assert!((0..1000).all(|_| watch.see_loss(2.5, false).is_none()));
        let warnings: Vec<String> = (0..1000).filter_map(|_| watch.see_loss(5.5, false)).collect();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("diverged"), "{warnings:?}");
    }

    #[test]
    fn a_loss_that_only_rises_has_diverged_and_one_that_begins_anew_has_not() {
        let mut watch = Watch::default();
        let rises = |step: usize| 6.0 + step as f32 / 100.0;
        assert!((0..2000).any(|step| watch.see_loss(rises(step), false).is_some()));
        let mut watch = Watch::default();
        assert!((0..500).all(|_| watch.see_loss(0.1, true).is_none()));
        assert!((0..2000).all(|_| watch.see_loss(0.7, false).is_none()));
    }

    #[test]
    fn learning_by_heart_is_spoken_of_when_validation_rises_no_more() {
        use super::verdict::tests::summary;
        let see = |scores: &[f64], learnt: f64| {
            let mut watch = Watch::default();
            let others = summary(0.6);
            let learnt = summary(learnt);
            let warn = |score: &f64| watch.see_validation(*score, Some(&learnt), &others);
            scores.iter().filter_map(warn).collect::<Vec<_>>()
        };
        let stays = [0.4, 0.5, 0.5, 0.49, 0.5, 0.5, 0.5];
        let warnings = see(&stays, 0.95);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("R@10 95.0 %"), "{warnings:?}");
        assert!(see(&stays, 0.65).is_empty());
        assert!(see(&[0.4, 0.5, 0.5, 0.5, 0.6, 0.6, 0.6], 0.95).is_empty());
    }
}
