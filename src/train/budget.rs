//! A budget of time becomes a number of steps, once.
//!
//! A run with a budget first takes a few steps that it takes back again, to see how long one is,
//! and a validation, which it needs anyway. [`Plan::new`] says how many steps fit into what is left,
//! and the checkpoint keeps the plan. From then on the run is one of so many steps and looks at no
//! clock: it may be interrupted and goes on to the same bytes, and the same number of steps in the
//! recipe makes the same model.
//!
//! The price is that the budget is kept as well as the first steps tell: on a machine that has
//! more to do later the run takes longer. A schedule that follows the clock to its end keeps its
//! budget better, and then nobody can repeat what it did.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::schedule::{VALIDATIONS, Validations};
use crate::error::{Error, Result};

/// A year.
const MINUTES_MOST: f64 = 525_600.0;
/// Share of what is left of a budget that goes into measuring.
const SHARE: f64 = 0.02;
/// Steps that are measured, whatever the share; one more before them fills buffers and caches.
const MEASURED: std::ops::RangeInclusive<u32> = 3..=50;
/// Far beyond any run.
pub(super) const STEPS_MOST: u64 = 1 << 40;

/// The time that a run has used and may use.
pub(super) struct Clock<'a> {
    /// Time since this sitting began.
    now: &'a dyn Fn() -> Duration,
    /// Time used in earlier sittings.
    pub(super) before: Duration,
    /// All that may be used, if there is a bound.
    pub(super) budget: Option<Duration>,
}

impl<'a> Clock<'a> {
    /// A clock over the time that `now` tells; the budget must be between no time and a year.
    pub(super) fn new(minutes: Option<f64>, now: &'a dyn Fn() -> Duration) -> Result<Self> {
        let budget = match minutes {
            Some(minutes) if !(0.0..=MINUTES_MOST).contains(&minutes) => {
                return Err(Error::invalid(format!(
                    "a budget of {minutes} minutes cannot be kept; it must lie between 0 and \
                     {MINUTES_MOST}, which is a year"
                )));
            }
            minutes => minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0)),
        };
        Ok(Self { now, before: Duration::ZERO, budget })
    }

    /// Time since this sitting began.
    pub(super) fn now(&self) -> Duration {
        (self.now)()
    }

    /// Time since `earlier`, in seconds.
    pub(super) fn since(&self, earlier: Duration) -> f64 {
        self.now().saturating_sub(earlier).as_secs_f64()
    }

    /// Time used in all sittings.
    pub(super) fn used(&self) -> Duration {
        self.before + self.now()
    }
}

impl fmt::Debug for Clock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("before", &self.before).finish_non_exhaustive()
    }
}

/// How long the parts of a run take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Rate {
    /// Seconds of a step.
    pub(super) step_s: f64,
    /// Seconds of a validation, the writing of what it found included.
    pub(super) validation_s: f64,
}

/// What a budget came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// Steps of the whole run, those that had been done among them.
    pub(super) steps: u64,
    /// The budget in seconds.
    pub(super) budget_s: f64,
    /// Seconds that had been used when this was decided.
    pub(super) used_s: f64,
    /// Steps that had been done by then.
    pub(super) done: u64,
    /// Steps that were done under another length; only from 0 on can the run be repeated.
    pub(super) since: u64,
    /// What was measured.
    pub(super) rate: Rate,
}

impl Plan {
    /// As many steps as fit into what is left of `budget` when `used` of it is gone and `done`
    /// steps are done; at least one in all.
    pub(super) fn new(
        budget: Duration,
        used: Duration,
        done: u64,
        rate: Rate,
        validations: Validations,
    ) -> Self {
        let (budget_s, used_s) = (budget.as_secs_f64(), used.as_secs_f64());
        let more = steps_within(budget_s - used_s, rate, validations);
        let steps = done.saturating_add(more).clamp(1, STEPS_MOST);
        Self { steps, budget_s, used_s, done, since: done, rate }
    }

    /// The plan of a run that goes on under `budget` after `step`: the same when that is the same,
    /// otherwise one from the rate that was measured then.
    pub(super) fn under(self, budget: Duration, step: u64, validations: Validations) -> Self {
        if budget == Duration::from_secs_f64(self.budget_s) {
            return self;
        }
        let used = Duration::from_secs_f64(self.used_s);
        Self { since: step, ..Self::new(budget, used, self.done, self.rate, validations) }
    }

    /// The sentence about the first number that no plan has.
    pub(super) fn check(&self, most_s: f64) -> Result<(), String> {
        let seconds = [self.budget_s, self.used_s, self.rate.step_s, self.rate.validation_s];
        if seconds.iter().any(|seconds| !(0.0..=most_s).contains(seconds)) {
            return Err(format!("its plan has a time that is not between 0 and {most_s} s"));
        }
        if !(1..=STEPS_MOST).contains(&self.steps) || self.done.max(self.since) > STEPS_MOST {
            return Err(format!("its plan has {} steps", self.steps));
        }
        Ok(())
    }
}

/// Steps that fit into so many seconds, with the validations between them.
fn steps_within(left_s: f64, rate: Rate, validations: Validations) -> u64 {
    let Rate { step_s, validation_s } = rate;
    // `n` steps have at most so many validations, and at most n / closest + 1: both solutions fit.
    let seldom = (left_s - VALIDATIONS as f64 * validation_s) / step_s.max(1e-9);
    let each_s = step_s + validation_s / validations.closest as f64;
    let often = (left_s - validation_s) / each_s.max(1e-9);
    seldom.max(often).max(0.0) as u64
}

/// Whether so many steps, which took so long, are enough to tell the rate for what is left.
pub(super) fn is_enough(steps: u32, took: Duration, left: Duration) -> bool {
    steps >= *MEASURED.end() || (steps >= *MEASURED.start() && took >= left.mul_f64(SHARE))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { step_s: 0.25, validation_s: 4.0 };
    const CLOSEST: Validations = Validations { closest: 10 };

    fn plan(budget_s: u64, used_s: u64) -> Plan {
        let (budget, used) = (Duration::from_secs(budget_s), Duration::from_secs(used_s));
        Plan::new(budget, used, 0, RATE, CLOSEST)
    }

    /// Seconds of the steps of a plan and of the validations between them.
    fn takes_s(steps: u64) -> f64 {
        let every = CLOSEST.every(steps);
        steps as f64 * RATE.step_s + steps.div_ceil(every) as f64 * RATE.validation_s
    }

    #[test]
    fn steps_and_validations_fill_what_is_left_of_a_budget() {
        for (budget_s, used_s) in [(60, 0), (60, 30), (600, 0), (3600, 100), (90_000, 600)] {
            let steps = plan(budget_s, used_s).steps;
            let (takes_s, left_s) = (takes_s(steps), (budget_s - used_s) as f64);
            assert!(takes_s <= left_s, "{steps} steps take {takes_s} of {left_s} s");
            // What may be left over is less than one more validation and a few steps.
            assert!(takes_s > left_s - RATE.validation_s - 1.0, "{steps}: {takes_s} of {left_s} s");
        }
    }

    #[test]
    fn a_budget_that_is_used_up_has_one_step() {
        assert_eq!((plan(60, 60).steps, plan(60, 90).steps, plan(0, 0).steps), (1, 1, 1));
    }

    #[test]
    fn the_same_budget_keeps_the_number_and_another_one_the_rate() {
        let first = Plan { steps: 17, ..plan(60, 10) };
        assert_eq!(first.under(Duration::from_secs(60), 5, CLOSEST), first);
        let longer = Plan { since: 5, ..plan(600, 10) };
        assert_eq!(first.under(Duration::from_secs(600), 5, CLOSEST), longer);
    }

    #[test]
    fn a_fiftieth_of_the_time_is_measured_within_bounds() {
        let s = Duration::from_secs;
        assert!(!is_enough(2, s(60), s(60)) && is_enough(3, s(60), s(60)));
        assert!(!is_enough(10, s(1), s(100)) && is_enough(10, s(2), s(100)));
        assert!(is_enough(50, s(1), s(100_000)));
    }

    #[test]
    fn numbers_that_no_plan_has_are_told() {
        assert_eq!(plan(60, 0).check(1e9), Ok(()));
        for wrong in [
            Plan { steps: 0, ..plan(60, 0) },
            Plan { steps: u64::MAX, ..plan(60, 0) },
            Plan { budget_s: 1e300, ..plan(60, 0) },
            Plan { used_s: -1.0, ..plan(60, 0) },
            Plan { rate: Rate { step_s: f64::NAN, ..RATE }, ..plan(60, 0) },
        ] {
            assert!(wrong.check(1e9).is_err(), "{wrong:?}");
        }
    }
}
