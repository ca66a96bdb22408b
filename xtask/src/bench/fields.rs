//! Rows as values with names: as JSON, as lines of the record, and what tables are made of.

use std::fmt::Write as _;

use super::figures::Spread;

/// A name and what stands under it.
pub(super) type Field = (String, Value);

/// A named value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Word(String),
    Number(f64),
    Truth(bool),
    Nothing,
}

impl From<Option<f64>> for Value {
    fn from(number: Option<f64>) -> Self {
        number.map_or(Self::Nothing, Self::Number)
    }
}

/// To so many digits after the point.
pub(super) fn rounded(number: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (number * scale).round() / scale
}

/// One JSON object, without a line break; what is not known is left out.
pub(super) fn json(fields: &[Field]) -> String {
    let pairs = fields.iter().filter_map(|(name, value)| {
        let value = match value {
            Value::Word(word) => json_string(word),
            Value::Number(number) => number.to_string(),
            Value::Truth(truth) => truth.to_string(),
            Value::Nothing => return None,
        };
        Some(format!("{}:{value}", json_string(name)))
    });
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

fn json_string(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => write!(out, "\\u{:04x}", c as u32).unwrap_or_default(),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The first line of a record.
pub(super) fn csv_header(fields: &[Field]) -> String {
    let names = fields.iter().map(|(name, _)| name.clone());
    std::iter::once("commit".to_owned()).chain(names).collect::<Vec<_>>().join(",")
}

/// One line of a record, with what was measured by its name in version control.
pub(super) fn csv_line(fields: &[Field], commit: &str) -> String {
    let values = fields.iter().map(|(_, value)| match value {
        Value::Word(word) => csv_word(word),
        Value::Number(number) => number.to_string(),
        Value::Truth(truth) => truth.to_string(),
        Value::Nothing => String::new(),
    });
    std::iter::once(csv_word(commit)).chain(values).collect::<Vec<_>>().join(",")
}

fn csv_word(word: &str) -> String {
    if word.contains([',', '"', '\n']) {
        format!("\"{}\"", word.replace('"', "\"\""))
    } else {
        word.to_owned()
    }
}

/// Three figures or so.
pub(super) fn short(number: f64) -> String {
    match number {
        n if n < 9.995 => format!("{n:.2}"),
        n if n < 99.95 => format!("{n:.1}"),
        n => format!("{n:.0}"),
    }
}

/// `20,000`.
pub(super) fn with_commas(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Columns: the first at the left, all others at the right of their width.
pub(super) fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column| lines.iter().filter_map(|line| line.get(column)).map(String::len).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for line in lines {
        let mut text = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            _ = if column == 0 {
                write!(text, "  {cell:<width$}")
            } else {
                write!(text, "  {cell:>width$}")
            };
        }
        out += text.trim_end();
        out.push('\n');
    }
    out
}

/// `(1.00-2.00)`.
pub(super) fn ends(spread: Spread, show: fn(f64) -> String) -> String {
    format!("({}-{})", show(spread.least), show(spread.most))
}

pub(super) fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_json_may_hold_anything() {
        assert_eq!(json_string("a\n\u{1}é"), "\"a\\u000a\\u0001é\"");
    }

    #[test]
    fn long_numbers_are_read_in_threes() {
        assert_eq!(
            [5, 1000, 123_456, 1_000_000].map(with_commas),
            ["5", "1,000", "123,456", "1,000,000"]
        );
    }
}
