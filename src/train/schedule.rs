//! The learning rate over a run.

use serde::{Deserialize, Serialize};

/// How the rate moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// Rises over the warm-up, then falls along a half cosine to 0 (Loshchilov and Hutter, 2017).
    Cosine,
    /// Constant until validation stops to improve, then multiplied by `factor`.
    Plateau,
}

/// Learning rate, length and regularisation of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// How the rate moves.
    pub kind: ScheduleKind,
    /// Passes over the training set, when neither `steps` nor a budget of time is given.
    pub epochs: usize,
    /// Steps of the run; 0 for as many as the epochs have.
    #[serde(default)]
    pub steps: u64,
    /// The highest rate.
    pub learning_rate: f32,
    /// Share of the run over which the rate rises (cosine), 0 to 1.
    pub warm_up: f32,
    /// What the rate is multiplied by (plateau), 0 to 1.
    pub factor: f32,
    /// Validations without improvement before that (plateau).
    pub patience: usize,
    /// Decoupled weight decay, as a share of the rate; matrices only.
    pub weight_decay: f32,
    /// Largest length of the whole gradient; 0 for no bound.
    pub clip: f32,
}

/// Validations of a run that is counted in steps, at most.
pub(super) const VALIDATIONS: u64 = 12;

/// When a run that is counted in steps is validated; one that is counted in epochs is at the end of
/// each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validations {
    /// Steps between two, at least: as many as learn from as many pictures as a validation sees, so
    /// that most of the time goes into learning.
    pub(super) closest: u64,
}

impl Validations {
    /// Steps from one to the next in a run of `length` steps.
    pub(super) fn every(self, length: u64) -> u64 {
        length.div_ceil(VALIDATIONS).max(self.closest)
    }
}

/// What a plateau schedule remembers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plateau {
    /// What the rate is multiplied by now.
    pub(super) scale: f32,
    /// Best validation score so far, if there was one.
    pub(super) best: Option<f64>,
    /// Validations since then.
    pub(super) waited: usize,
}

impl Default for Plateau {
    fn default() -> Self {
        Self { scale: 1.0, best: None, waited: 0 }
    }
}

impl Schedule {
    /// Steps of the whole run, when an epoch has `per_epoch`.
    pub(super) fn length(&self, per_epoch: u64) -> u64 {
        match self.steps {
            0 => self.epochs as u64 * per_epoch,
            steps => steps,
        }
    }

    /// Steps from one validation to the next.
    pub(super) fn validate_every(&self, per_epoch: u64, validations: Validations) -> u64 {
        match self.steps {
            0 => per_epoch,
            steps => validations.every(steps),
        }
    }

    /// The rate when `progress` (0 to 1) of the run is done.
    pub(super) fn rate(&self, progress: f64, plateau: &Plateau) -> f32 {
        match self.kind {
            ScheduleKind::Plateau => self.learning_rate * plateau.scale,
            ScheduleKind::Cosine => self.learning_rate * self.cosine(progress) as f32,
        }
    }

    fn cosine(&self, progress: f64) -> f64 {
        let warm_up = f64::from(self.warm_up);
        if progress < warm_up {
            // Never exactly 0: the first step should teach something.
            return (progress / warm_up).max(0.01);
        }
        let rest = ((progress - warm_up) / (1.0 - warm_up).max(1e-9)).clamp(0.0, 1.0);
        0.5 * (1.0 + (std::f64::consts::PI * rest).cos())
    }

    /// Takes note of a validation score (greater is better).
    pub(super) fn validated(&self, score: f64, plateau: &mut Plateau) {
        if plateau.best.is_none_or(|best| score > best) {
            plateau.best = Some(score);
            plateau.waited = 0;
            return;
        }
        plateau.waited += 1;
        if self.kind == ScheduleKind::Plateau && plateau.waited > self.patience {
            plateau.scale *= self.factor;
            plateau.waited = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Recipe;
    use super::*;

    #[test]
    fn a_cosine_rises_then_falls_to_nothing() {
        let schedule = Recipe::named("default").unwrap().schedule;
        let rate = |progress| schedule.rate(progress, &Plateau::default());
        assert!(rate(0.0) > 0.0 && rate(0.0) < rate(0.02));
        assert!((rate(0.05) - schedule.learning_rate).abs() < 1e-6);
        assert!(rate(0.5) > rate(0.9));
        assert!(rate(1.0) < 1e-9);
    }

    #[test]
    fn a_run_of_so_many_steps_is_validated_a_dozen_times_but_not_more_than_it_learns() {
        let mut schedule = Recipe::named("default").unwrap().schedule;
        let validations = Validations { closest: 10 };
        assert_eq!((schedule.length(7), schedule.validate_every(7, validations)), (140, 7));
        for (steps, every) in [(1, 10), (120, 10), (240, 20), (241, 21)] {
            schedule.steps = steps;
            let found = (schedule.length(7), schedule.validate_every(7, validations));
            assert_eq!(found, (steps, every));
        }
    }

    #[test]
    fn a_plateau_lowers_the_rate_after_its_patience() {
        let schedule = Recipe::named("article").unwrap().schedule;
        let mut plateau = Plateau::default();
        for score in [0.5, 0.4, 0.4] {
            schedule.validated(score, &mut plateau);
        }
        assert!((plateau.scale - 1.0).abs() < 1e-6);
        schedule.validated(0.4, &mut plateau);
        assert!((plateau.scale - schedule.factor).abs() < 1e-6);
        schedule.validated(0.6, &mut plateau);
        assert_eq!(plateau.best, Some(0.6));
    }

    #[test]
    fn what_is_remembered_before_any_validation_can_be_read_again() {
        let plateau = Plateau::default();
        let written = serde_json::to_string(&plateau).unwrap();
        assert_eq!(serde_json::from_str::<Plateau>(&written).unwrap(), plateau);
    }
}
