//! The curves of a run, from its `log.jsonl`.
//!
//! A long run has more steps than a picture of a curve has columns, so neighbouring steps are averaged.
//! A line that cannot be read is passed over: the log is for people, and no run depends on it.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::log;
use crate::error::Result;
use crate::files;

/// Points of a curve over the steps, at most.
const POINTS: usize = 240;

/// How a run went.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Curves {
    /// Means over neighbouring steps, ascending; at most 240.
    pub steps: Vec<StepPoint>,
    /// A validation each, ascending.
    pub validations: Vec<ValidationPoint>,
}

/// Some neighbouring steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StepPoint {
    /// The last of them.
    pub step: u64,
    /// Mean loss.
    pub loss: f64,
    /// Mean share of anchors that still pull, 0 to 1.
    pub active: f64,
    /// Mean learning rate.
    pub learning_rate: f64,
}

/// A validation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ValidationPoint {
    /// Steps that were done.
    pub step: u64,
    /// What the best model is chosen by, 0 to 1; logs of earlier builds do not have it.
    pub score: Option<f64>,
    /// R@10 of titles that find their pictures, 0 to 1.
    pub r10: f64,
    /// The same among as many pairs that were learned from.
    pub training_r10: Option<f64>,
    /// Share of right ones among the first nine, the mean over the kinds of short questions.
    pub p9: Option<f64>,
}

impl Curves {
    /// Reads the curves of the run in the folder `model`.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is no log, and what reading can end in.
    pub fn read(model: &Path) -> Result<Self> {
        Ok(Self::parse(&files::read(&model.join(log::NAME))?))
    }

    fn parse(lines: &[u8]) -> Self {
        let mut curves = Self::default();
        for line in lines.split(|&byte| byte == b'\n') {
            let Ok(line) = serde_json::from_slice::<Value>(line) else { continue };
            curves.validations.extend(ValidationPoint::of(&line));
            curves.steps.extend(StepPoint::of(&line));
        }
        curves.steps = thinned(&curves.steps, POINTS);
        curves
    }
}

impl StepPoint {
    fn of(line: &Value) -> Option<Self> {
        Some(Self {
            step: line["step"].as_u64()?,
            loss: line["loss"].as_f64()?,
            active: line["active"].as_f64()?,
            learning_rate: line["learning_rate"].as_f64()?,
        })
    }
}

impl ValidationPoint {
    fn of(line: &Value) -> Option<Self> {
        let measured = line.get("validation")?;
        let kinds = measured["short"].as_object();
        let shares: Vec<f64> = kinds
            .into_iter()
            .flat_map(|kinds| kinds.values())
            .filter_map(|k| k["p9"].as_f64())
            .collect();
        Some(Self {
            step: line["step"].as_u64()?,
            score: measured["score"].as_f64(),
            r10: measured["text_to_image"]["r10"].as_f64()?,
            training_r10: measured["training"]["r10"].as_f64(),
            p9: (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64),
        })
    }
}

/// At most `most` points, each the mean of as many neighbours.
fn thinned(steps: &[StepPoint], most: usize) -> Vec<StepPoint> {
    let together = steps.len().div_ceil(most).max(1);
    let mean = |steps: &[StepPoint]| {
        let mean = |value: fn(&StepPoint) -> f64| {
            steps.iter().map(value).sum::<f64>() / steps.len() as f64
        };
        StepPoint {
            step: steps.last().map_or(0, |last| last.step),
            loss: mean(|step| step.loss),
            active: mean(|step| step.active),
            learning_rate: mean(|step| step.learning_rate),
        }
    };
    steps.chunks(together).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_validations_are_read_and_torn_lines_passed_over() {
        let log = b"{\"active\":0.5,\"learning_rate\":0.1,\"loss\":2.0,\"step\":1}\n\
            {\"step\":1,\"validation\":{\"score\":0.4,\"text_to_image\":{\"r10\":0.25},\"training\":\
            {\"r10\":0.75},\"short\":{\"color\":{\"p9\":0.5},\"kind\":{\"p9\":1.0}}}}\n\
            {\"step\":2,\"validation\":{\"text_to_image\":{\"r10\":0.5},\"short\":{}}}\n\
            {\"active\":0.5,\"learn";
        let curves = Curves::parse(log);
        let step = StepPoint { step: 1, loss: 2.0, active: 0.5, learning_rate: 0.1 };
        assert_eq!(curves.steps, [step]);
        let validation = ValidationPoint {
            step: 1,
            score: Some(0.4),
            r10: 0.25,
            training_r10: Some(0.75),
            p9: Some(0.75),
        };
        let older =
            ValidationPoint { step: 2, score: None, r10: 0.5, training_r10: None, p9: None };
        assert_eq!(curves.validations, [validation, older]);
    }

    #[test]
    fn a_long_run_is_thinned_to_means_of_neighbours() {
        let step =
            |step: u64| StepPoint { step, loss: step as f64, active: 0.0, learning_rate: 0.0 };
        let steps: Vec<StepPoint> = (1..=5).map(step).collect();
        let thin = thinned(&steps, 3);
        assert_eq!(thin.iter().map(|point| point.step).collect::<Vec<_>>(), [2, 4, 5]);
        assert_eq!(thin.iter().map(|point| point.loss).collect::<Vec<_>>(), [1.5, 3.5, 5.0]);
    }
}
