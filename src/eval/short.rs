//! Short questions as people type them: asked, and compared between two models.

use std::collections::BTreeMap;

use serde::Serialize;

use super::NAMED_QUERIES;
use crate::encoder::Encoder;
use crate::error::Result;
use crate::metrics;
use crate::questions::{Kind, Question};
use crate::short::{Asked, Short, answered, report};
use crate::units::{Listener, Seed, Stop};
use crate::vectors::Vectors;
use crate::{embed, questions};

/// Questions that are asked of each kind.
pub(super) const MOST: usize = 200;

/// Two models on the short questions of one kind.
#[derive(Clone, Debug, Serialize)]
pub struct ShortComparison {
    /// The kind of question.
    pub kind: Kind,
    /// Questions of this kind.
    pub questions: usize,
    /// Mean difference of P@9 (first minus second).
    pub difference_p9: f64,
    /// Its 95 % interval over resampled questions.
    pub ci95: [f64; 2],
    /// Questions that the first answers better, by P@9, the clearest first; at most 20 of them.
    pub won: Vec<String>,
    /// Questions that the second answers better; at most 20 of them.
    pub lost: Vec<String>,
}

/// Asks these questions of the pictures `[gallery, dim]`; `None` when there are none.
pub(super) fn ask(
    questions: &[Question],
    gallery: &Vectors,
    encoder: &dyn Encoder,
    seed: Seed,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<Option<Short>> {
    let texts: Vec<&str> = questions.iter().map(|question| question.text.as_str()).collect();
    let vectors = embed::texts(&texts, encoder, stop, listener)?;
    Ok(report(answered(questions, &vectors, gallery), seed))
}

/// Whether both were asked the same.
pub(super) fn are_same(first: &Short, second: &Short) -> bool {
    let questions = |short: &'_ Short| -> Vec<Question> {
        short.asked.iter().map(|asked| asked.question.clone()).collect()
    };
    questions(first) == questions(second)
}

/// Compares the answers of two models to the same questions, kind by kind.
pub(super) fn compare(first: &Short, second: &Short, seed: Seed) -> Vec<ShortComparison> {
    let mut kinds: BTreeMap<&Kind, Vec<(&Asked, f64)>> = BTreeMap::new();
    for (a, b) in first.asked.iter().zip(&second.asked) {
        let difference = a.answered.p9 - b.answered.p9;
        kinds.entry(&a.question.kind).or_default().push((a, difference));
    }
    let of_kind = |(kind, pairs): (&Kind, Vec<(&Asked, f64)>)| {
        let differences: Vec<f64> = pairs.iter().map(|(_, difference)| *difference).collect();
        let (difference_p9, ci95) = metrics::mean_difference(&differences, seed)?;
        Some(ShortComparison {
            kind: kind.clone(),
            questions: pairs.len(),
            difference_p9,
            ci95,
            won: told_apart(&pairs, 1.0),
            lost: told_apart(&pairs, -1.0),
        })
    };
    kinds.into_iter().filter_map(of_kind).collect()
}

/// The questions whose difference has this sign, the clearest first.
fn told_apart(pairs: &[(&Asked, f64)], sign: f64) -> Vec<String> {
    let mut apart: Vec<(f64, &Asked)> =
        pairs.iter().map(|(asked, difference)| (difference * sign, *asked)).collect();
    apart.retain(|(difference, _)| *difference > 0.0);
    apart.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let named = |(difference, asked): &(f64, &Asked)| {
        format!("{} ({:+.0} points)", asked.question.text, 100.0 * difference)
    };
    apart.iter().take(NAMED_QUERIES).map(named).collect()
}

/// What is asked of a gallery: at most 200 questions of each kind.
pub(super) fn questions(
    items: &[questions::Described<'_>],
    telling: &crate::catalogue::Telling,
) -> Vec<Question> {
    questions::of(items, telling, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::short::tests::{asked, kinds};

    #[test]
    fn a_comparison_names_the_questions_that_one_model_answers_better_kind_by_kind() {
        let [color, pair] = kinds();
        let model = |answers: [f64; 4]| {
            let [a, b, c, d] = answers;
            let asked = vec![
                asked(&color, &["red"], a),
                asked(&color, &["blue"], b),
                asked(&color, &["green"], c),
                asked(&pair, &["red", "hat"], d),
            ];
            report(asked, Seed(1)).unwrap()
        };
        let (first, second) = (model([0.5, 1.0, 0.0, 0.25]), model([0.25, 0.25, 0.5, 0.25]));
        assert!(are_same(&first, &second));
        let [of_pair, of_color] = &compare(&first, &second, Seed(1))[..] else {
            panic!("two kinds")
        };
        assert_eq!((&of_color.kind, of_color.questions), (&color, 3));
        assert!((of_color.difference_p9 - 0.5 / 3.0).abs() < 1e-12);
        assert!(of_color.ci95[0] <= of_color.difference_p9);
        assert_eq!(of_color.won, ["blue (+75 points)", "red (+25 points)"]);
        assert_eq!(of_color.lost, ["green (+50 points)"]);
        assert_eq!((of_pair.difference_p9, of_pair.won.len()), (0.0, 0));
        let mut other = second;
        other.asked[0].question.text = "pink".to_owned();
        assert!(!are_same(&first, &other));
    }
}
