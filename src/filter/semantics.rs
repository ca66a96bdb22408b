//! Which fields pass: the table of [`crate::filter`], as functions.

use std::cmp::Ordering;

use serde_json::Value;

use super::Fields;
use super::tree::{Comparison, Condition, Literal, Test};

impl Condition {
    /// Whether an item with these fields passes.
    pub(super) fn holds(&self, fields: &Fields) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(fields)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(fields)),
            Self::Not(part) => !part.holds(fields),
            Self::Test { field, test } => test.holds(lookup(fields, field)),
        }
    }
}

/// The field called `name`, or the one reached by taking `name` apart at its dots.
pub(crate) fn lookup<'a>(fields: &'a Fields, name: &str) -> Option<&'a Value> {
    if let Some(value) = fields.get(name) {
        return Some(value);
    }
    let (head, rest) = name.split_once('.')?;
    lookup(fields.get(head)?.as_object()?, rest)
}

/// Whether the field `known` is the one called `name`, or one that `name` may lead into.
pub(crate) fn may_reach(known: &str, name: &str) -> bool {
    name.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The texts, numbers and flags of a field, as they are shown; of a list those of its elements.
pub(crate) fn shown_values(value: Option<&Value>) -> Vec<String> {
    match value {
        None | Some(Value::Null | Value::Object(_)) => Vec::new(),
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(elements)) => {
            elements.iter().flat_map(|element| shown_values(Some(element))).collect()
        }
        Some(value @ (Value::Number(_) | Value::Bool(_))) => vec![value.to_string()],
    }
}

/// Where a field's value stands among others: numbers and texts that are numbers, other texts
/// without regard to case, flags.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rank {
    Number(f64),
    Text(String),
    Flag(bool),
}

impl Rank {
    /// The rank of a value, or of a list's first element; `None` where there is nothing to order.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => number.as_f64().map(Self::Number),
            Value::String(text) => {
                Some(number_in(text).map_or_else(|| Self::Text(fold(text)), Self::Number))
            }
            Value::Bool(flag) => Some(Self::Flag(*flag)),
            Value::Array(elements) => elements.first().and_then(Self::of),
            Value::Null | Value::Object(_) => None,
        }
    }

    /// Orders ranks of different kinds.
    fn kind(&self) -> u8 {
        match self {
            Self::Number(_) => 0,
            Self::Text(_) => 1,
            Self::Flag(_) => 2,
        }
    }

    /// How two ranks stand to each other.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Flag(a), Self::Flag(b)) => a.cmp(b),
            _ => self.kind().cmp(&other.kind()),
        }
    }
}

impl Test {
    fn holds(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Self::IsNull, value) => value.is_none_or(Value::is_null),
            (_, None | Some(Value::Null)) => false,
            (_, Some(Value::Array(elements))) => {
                elements.iter().any(|element| self.holds(Some(element)))
            }
            (Self::Compare(comparison, literal), Some(value)) => {
                order(value, literal).is_some_and(|order| comparison.admits(order))
            }
            (Self::In(literals), Some(value)) => {
                literals.iter().any(|literal| order(value, literal) == Some(Ordering::Equal))
            }
            (Self::Like(pattern), Some(value)) => {
                text_of(value).is_some_and(|text| is_like(&text, pattern))
            }
            (Self::Contains(part), Some(value)) => {
                text_of(value).is_some_and(|text| text.contains(part.as_str()))
            }
        }
    }
}

impl Comparison {
    fn admits(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// How `value` stands to `literal`; `None` where the two cannot be compared.
fn order(value: &Value, literal: &Literal) -> Option<Ordering> {
    match (value, literal) {
        (Value::Number(number), Literal::Number(bound)) => number.as_f64()?.partial_cmp(bound),
        (Value::String(text), Literal::Number(bound)) => number_in(text)?.partial_cmp(bound),
        (Value::Number(number), Literal::Text(text)) => {
            number.as_f64()?.partial_cmp(&number_in(text)?)
        }
        (Value::String(text), Literal::Text(bound)) => Some(fold(text).as_str().cmp(bound)),
        (Value::Bool(flag), Literal::Flag(bound)) => Some(flag.cmp(bound)),
        (Value::Bool(flag), Literal::Text(text)) => Some(flag_name(*flag).cmp(text)),
        (Value::String(text), Literal::Flag(flag)) => {
            Some(fold(text).as_str().cmp(flag_name(*flag)))
        }
        _ => None,
    }
}

fn flag_name(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

/// The number that a text is.
pub(super) fn number_in(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite())
}

/// A text without its case.
pub(super) fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// A single value as lower-case text.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(fold(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag_name(*flag).to_owned()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// SQL's `like`: at a mismatch the latest `%` takes one character more.
fn is_like(text: &str, pattern: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut p) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        if pattern.get(p) == Some(&'%') {
            retry = Some((at, p));
            p += 1;
        } else if pattern.get(p).is_some_and(|c| *c == '_' || *c == text[at]) {
            (at, p) = (at + 1, p + 1);
        } else if let Some((taken, percent)) = retry {
            retry = Some((taken + 1, percent));
            (at, p) = (taken + 1, percent + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '%')
}
