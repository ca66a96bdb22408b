//! What the answers to short questions say: how good each kind is, and what is found worst.
//!
//! `train` writes it into the report beside a model and `eval` into its own, so that both name the same
//! fields and words.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::metrics::{self, AnswerMeans, Answered, Answers};
use crate::questions::{Kind, Question};
use crate::units::Seed;
use crate::vectors::Vectors;

/// Words that are named as the weakest.
const WEAKEST: usize = 10;

/// How short questions are answered.
#[derive(Clone, Debug, Serialize)]
pub struct Short {
    /// All questions together.
    pub all: Answers,
    /// A kind of question after the other.
    pub kinds: Vec<OfKind>,
    /// What is found worst.
    pub weakest: Weakest,
    /// Each question and how it was answered, in the order in which they were asked.
    #[serde(skip)]
    pub asked: Vec<Asked>,
}

/// The answers to the questions of one kind.
#[derive(Clone, Debug, Serialize)]
pub struct OfKind {
    /// What is asked for: `color + category`, `color`, `pieces of titles`.
    pub kind: Kind,
    /// How it is answered.
    #[serde(flatten)]
    pub answers: Answers,
}

/// The fields and words whose questions are answered worst, the worst one first, by nDCG@10: of all
/// figures the one that does not depend on how many right answers there are.
#[derive(Clone, Debug, Serialize)]
pub struct Weakest {
    /// All fields that are asked for.
    pub fields: Vec<WeakField>,
    /// The ten worst words, each in all questions that it is part of.
    pub words: Vec<WeakWord>,
}

/// A field in all questions that ask for it.
#[derive(Clone, Debug, Serialize)]
pub struct WeakField {
    /// Its name.
    pub field: String,
    /// Questions that ask for it, alone or with another.
    pub questions: usize,
    /// Their mean figures.
    #[serde(flatten)]
    pub means: AnswerMeans,
}

/// A value of a field, or a word of titles, in all questions that ask for it.
#[derive(Clone, Debug, Serialize)]
pub struct WeakWord {
    /// The field that it is a value of; none for words of titles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The word or words.
    pub word: String,
    /// Questions that ask for it, alone or with another.
    pub questions: usize,
    /// Their mean figures.
    #[serde(flatten)]
    pub means: AnswerMeans,
}

/// One question and how it was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The question; its right answers are rows of the gallery.
    pub question: Question,
    /// How it was answered.
    pub answered: Answered,
    /// What chance would give.
    pub chance: Answered,
}

/// How pictures `[gallery, dim]` answer questions, whose vectors `[n, dim]` these are; a question without
/// a right answer among them is left out.
pub(crate) fn answered(questions: &[Question], vectors: &Vectors, gallery: &Vectors) -> Vec<Asked> {
    let right: Vec<&[usize]> = questions.iter().map(|question| &question.right[..]).collect();
    let answers = metrics::answers(vectors, gallery, &right);
    let asked = questions.iter().zip(answers).filter_map(|(question, answered)| {
        let chance = metrics::answered_by_chance(question.right.len(), gallery.len());
        Some(Asked { question: question.clone(), answered: answered?, chance })
    });
    asked.collect()
}

/// The report on questions that were asked; `None` when there are none.
pub(crate) fn report(asked: Vec<Asked>, seed: Seed) -> Option<Short> {
    let all = summarise(asked.iter(), seed)?;
    let mut kinds: BTreeMap<&Kind, Vec<&Asked>> = BTreeMap::new();
    for one in &asked {
        kinds.entry(&one.question.kind).or_default().push(one);
    }
    let of_kind = |(kind, asked): (&Kind, Vec<&Asked>)| {
        Some(OfKind { kind: kind.clone(), answers: summarise(asked.into_iter(), seed)? })
    };
    let kinds = kinds.into_iter().filter_map(of_kind).collect();
    let weakest = Weakest { fields: weak_fields(&asked), words: weak_words(&asked) };
    Some(Short { all, kinds, weakest, asked })
}

fn summarise<'a>(asked: impl Iterator<Item = &'a Asked>, seed: Seed) -> Option<Answers> {
    let answered: Vec<_> = asked.map(|one| (one.answered, one.chance)).collect();
    metrics::summarise_answers(&answered, seed)
}

fn weak_fields(asked: &[Asked]) -> Vec<WeakField> {
    let mut fields: BTreeMap<&str, Vec<&Answered>> = BTreeMap::new();
    for one in asked {
        for field in one.question.kind.fields() {
            fields.entry(field).or_default().push(&one.answered);
        }
    }
    let weak = fields.into_iter().map(|(field, answered)| WeakField {
        field: field.to_owned(),
        questions: answered.len(),
        means: means(&answered),
    });
    let mut weak: Vec<WeakField> = weak.collect();
    weak.sort_by(|a, b| a.means.ndcg10.total_cmp(&b.means.ndcg10));
    weak
}

fn weak_words(asked: &[Asked]) -> Vec<WeakWord> {
    let mut words: BTreeMap<(Option<&str>, &str), Vec<&Answered>> = BTreeMap::new();
    for Asked { question, answered, .. } in asked {
        let fields = question.kind.fields();
        for (number, word) in question.parts.iter().enumerate() {
            words.entry((fields.get(number).copied(), word)).or_default().push(answered);
        }
    }
    let weak = words.into_iter().map(|((field, word), answered)| WeakWord {
        field: field.map(str::to_owned),
        word: word.to_owned(),
        questions: answered.len(),
        means: means(&answered),
    });
    let mut weak: Vec<WeakWord> = weak.collect();
    weak.sort_by(|a, b| a.means.ndcg10.total_cmp(&b.means.ndcg10));
    weak.truncate(WEAKEST);
    weak
}

fn means(answered: &[&Answered]) -> AnswerMeans {
    let mean = |value: fn(&Answered) -> f64| {
        answered.iter().map(|one| value(one)).sum::<f64>() / answered.len().max(1) as f64
    };
    AnswerMeans { p9: mean(|one| one.p9), map: mean(|one| one.ap), ndcg10: mean(|one| one.ndcg10) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn asked(kind: &Kind, parts: &[&str], p9: f64) -> Asked {
        let parts: Vec<String> = parts.iter().map(|&part| part.to_owned()).collect();
        let text = parts.join(" ");
        Asked {
            question: Question { kind: kind.clone(), text, parts, right: vec![0, 1] },
            answered: Answered { p9, ap: p9, ndcg10: p9 },
            chance: Answered { p9: 0.1, ap: 0.1, ndcg10: 0.1 },
        }
    }

    pub(crate) fn kinds() -> [Kind; 2] {
        [Kind::Field("color".to_owned()), Kind::Pair("color".to_owned(), "kind".to_owned())]
    }

    #[test]
    fn the_worst_field_and_word_come_first_in_all_questions_that_ask_for_them() {
        let [color, pair] = kinds();
        let answers = vec![
            asked(&color, &["red"], 0.75),
            asked(&color, &["mauve"], 0.25),
            asked(&pair, &["red", "shoes"], 0.5),
            asked(&pair, &["mauve", "hat"], 0.0),
        ];
        let short = report(answers, Seed(1)).unwrap();
        assert_eq!(short.all.questions, 4);
        let found: Vec<_> = short.kinds.iter().map(|k| (&k.kind, k.answers.p9)).collect();
        assert_eq!(found, [(&pair, 0.25), (&color, 0.5)]);
        let fields: Vec<_> =
            short.weakest.fields.iter().map(|f| (&*f.field, f.questions, f.means.p9)).collect();
        assert_eq!(fields, [("kind", 2, 0.25), ("color", 4, 0.375)]);
        let words: Vec<_> =
            short.weakest.words.iter().map(|w| (&*w.word, w.questions, w.means.p9)).collect();
        let expected = [("hat", 1, 0.0), ("mauve", 2, 0.125), ("shoes", 1, 0.5), ("red", 2, 0.625)];
        assert_eq!(words, expected);
        assert!(report(Vec::new(), Seed(1)).is_none());
    }
}
