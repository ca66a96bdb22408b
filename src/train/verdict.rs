//! What would help a model most, in one honest sentence at the end of its training.
//!
//! Four things can hold a model back, and they are looked for in this order, because each makes the
//! ones after it hard to see: it has learned next to nothing; it has not learned for long enough; it
//! knows by heart what it learned from; its network sees too little.

use serde::Serialize;

use super::curves::ValidationPoint;
use crate::error::Fact;
use crate::metrics::Summary;

/// A score that rises by more than this over the last quarter of the steps still rises.
const STILL: f64 = 0.01;
/// A recall that is higher by more than this among pairs that were learned from is far higher.
const FAR: f64 = 0.1;

/// What would help a model most.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Which engine there is, what was seen and what would help, for a person.
    pub sentence: String,
    /// What a caller can name the remedy of.
    #[serde(skip)]
    pub fact: Fact,
}

/// How the network that sees came to its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// It began from nothing.
    FromNothing,
    /// It keeps those that others trained, behind a head that learned.
    Frozen,
    /// It began with those that others trained, and was tuned.
    Tuned,
}

impl Engine {
    /// A noun with its article: `a quick engine, ...`.
    pub fn name(self) -> &'static str {
        match self {
            Self::FromNothing => "an engine whose network began from nothing",
            Self::Frozen => "a quick engine, a head on a network that keeps the weights of others",
            Self::Tuned => "an engine whose network began with the weights of others and was tuned",
        }
    }
}

/// What a verdict goes by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) engine: Engine,
    /// Titles that find their pictures: among pairs that were put aside, by the best model.
    pub(super) trained: &'a Summary,
    /// The same among pairs that were learned from.
    pub(super) learnt: Option<&'a Summary>,
    /// The same by a linear baseline.
    pub(super) linear: Option<&'a Summary>,
    /// All validations of the last part of the run.
    pub(super) validations: &'a [ValidationPoint],
}

/// What would help most.
pub(super) fn of(seen: &Seen<'_>) -> Verdict {
    let (found, fact) = held_back_by(seen);
    Verdict { sentence: format!("this is {}; {found}", seen.engine.name()), fact }
}

fn held_back_by(seen: &Seen<'_>) -> (String, Fact) {
    let trained = seen.trained.r10;
    if let Some(linear) = seen.linear.filter(|linear| seen.trained.ci95.r10[0] <= linear.r10) {
        let how = if trained > linear.r10 { "hardly" } else { "no" };
        let sentence = format!(
            "titles find their pictures {how} better than with a linear baseline (R@10 {} against \
             {}): it has not learned what it could",
            percent(trained),
            percent(linear.r10)
        );
        return (sentence, Fact::HardlyBetterThanLinear);
    }
    if let Some(rise) = rise(seen.validations).filter(|&rise| rise > STILL) {
        let sentence = format!(
            "its score still rose by {:.1} points over the last quarter of the steps: a longer run \
             would help most",
            100.0 * rise
        );
        return (sentence, Fact::StillRising);
    }
    if let Some(learnt) = seen.learnt.filter(|learnt| is_far_above(learnt, seen.trained)) {
        return (overfitted(learnt, seen.trained), Fact::Overfitted);
    }
    let sentence = "neither a longer run nor more pairs would help much: tuning the network, a larger \
                    one or larger pictures would help most";
    (sentence.to_owned(), Fact::NetworkTooSmall)
}

/// By how much the best score of the last quarter lies above the best one before.
fn rise(validations: &[ValidationPoint]) -> Option<f64> {
    let last = validations.last()?.step;
    let first = validations.first()?.step;
    let quarter = last - (last - first) / 4;
    let best = |late: bool| {
        let of_part = validations.iter().filter(|point| (point.step > quarter) == late);
        of_part.filter_map(|point| point.score).max_by(f64::total_cmp)
    };
    Some(best(true)? - best(false)?)
}

/// Whether recall among pairs that were learned from lies so far above that among others that chance
/// does not explain it.
pub(super) fn is_far_above(learnt: &Summary, others: &Summary) -> bool {
    learnt.r10 > others.r10 + FAR && learnt.ci95.r10[0] > others.ci95.r10[1]
}

/// What is said of such recall.
pub(super) fn overfitted(learnt: &Summary, others: &Summary) -> String {
    format!(
        "training recall lies far above validation (R@10 {} among pairs that were learned from, {} \
         among those put aside): more pairs or more texts would help most",
        percent(learnt.r10),
        percent(others.r10)
    )
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::metrics::Intervals;

    pub(in crate::train) fn summary(r10: f64) -> Summary {
        let around = [r10 - 0.03, r10 + 0.03];
        let ci95 = Intervals { r1: around, r5: around, r10: around, mrr: around };
        let (r1, r5, mrr) = (r10, r10, r10);
        Summary { queries: 1000, r1, r5, r10, mrr, median_rank: 2.0, mean_rank: 9.0, ci95 }
    }

    fn validations(scores: &[f64]) -> Vec<ValidationPoint> {
        let point = |(number, &score): (usize, &f64)| ValidationPoint {
            step: 100 * (number as u64 + 1),
            score: Some(score),
            r10: score,
            training_r10: None,
            p9: None,
        };
        scores.iter().enumerate().map(point).collect()
    }

    fn fact(trained: f64, learnt: f64, linear: f64, scores: &[f64]) -> Fact {
        let (trained, learnt, linear) = (summary(trained), summary(learnt), summary(linear));
        let verdict = of(&Seen {
            engine: Engine::Frozen,
            trained: &trained,
            learnt: Some(&learnt),
            linear: Some(&linear),
            validations: &validations(scores),
        });
        assert!(verdict.sentence.starts_with("this is a quick engine"), "{verdict:?}");
        verdict.fact
    }

    #[test]
    fn what_holds_a_model_back_is_looked_for_in_order() {
        let (flat, rising) = ([0.3, 0.5, 0.5, 0.5, 0.505], [0.3, 0.4, 0.5, 0.6, 0.7]);
        assert_eq!(fact(0.69, 0.99, 0.68, &rising), Fact::HardlyBetterThanLinear);
        assert_eq!(fact(0.80, 0.99, 0.68, &rising), Fact::StillRising);
        assert_eq!(fact(0.80, 0.99, 0.68, &flat), Fact::Overfitted);
        assert_eq!(fact(0.80, 0.85, 0.68, &flat), Fact::NetworkTooSmall);
        assert_eq!(fact(0.80, 0.85, 0.68, &[0.5]), Fact::NetworkTooSmall);
    }

    #[test]
    fn what_is_worse_than_a_linear_baseline_is_not_called_better() {
        let said = |trained: f64| {
            let (trained, linear) = (summary(trained), summary(0.6));
            let engine = Engine::FromNothing;
            let validations = &[];
            let (trained, linear) = (&trained, Some(&linear));
            of(&Seen { engine, trained, learnt: None, linear, validations }).sentence
        };
        assert!(said(0.61).contains("hardly better"), "{}", said(0.61));
        assert!(said(0.1).contains(" no better than"), "{}", said(0.1));
        assert!(!said(0.7).contains("linear"), "{}", said(0.7));
    }

    #[test]
    fn a_score_that_falls_does_not_rise() {
        assert!(rise(&validations(&[0.3, 0.7, 0.6, 0.5, 0.4])).unwrap() < 0.0);
        assert!(rise(&[]).is_none());
    }
}
