//! Answers as comma-separated values (RFC 4180), one line a hit.
//!
//! Columns do not depend on the query: the hit's own, then one for each field that items of the
//! index have, as `fields.NAME` so that a field called `id` does not hide the item's.
//!
//! A spreadsheet takes a cell that begins with `=` for a formula, and a formula can send what
//! stands beside it to a stranger or start a program. Such cells get an apostrophe in front, which
//! spreadsheets show as text; `--raw` leaves it out, for programs that read the very texts.

use std::borrow::Cow;
use std::io::{self, Write};

use serde_json::Value;

use super::text;
use crate::output;
use looksee::search::{Answer, Shown};

const COLUMNS: [&str; 8] =
    ["query", "rank", "id", "image", "score", "distance", "probability", "title"];

/// What becomes of a cell that a spreadsheet would take for a formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Formulas {
    /// It becomes a text.
    Quoted,
    /// It stays.
    Raw,
}

impl Formulas {
    /// What `--raw` says.
    pub(crate) fn of(raw: bool) -> Self {
        if raw { Self::Raw } else { Self::Quoted }
    }
}

/// Writes the header line.
pub(crate) fn header(
    out: &mut impl Write,
    fields: &[String],
    formulas: Formulas,
) -> io::Result<()> {
    let own = COLUMNS.iter().map(|&name| name.to_owned());
    line(out, own.chain(fields.iter().map(|name| format!("fields.{name}"))), formulas)
}

/// Writes the hits of one answer.
pub(crate) fn write(
    out: &mut impl Write,
    answer: &Answer,
    fields: &[String],
    formulas: Formulas,
) -> io::Result<()> {
    for hit in &answer.hits {
        let own = cells(&answer.query, hit).into_iter();
        line(out, own.chain(fields.iter().map(|name| field(hit, name))), formulas)?;
    }
    Ok(())
}

fn cells(query: &str, hit: &Shown) -> Vec<String> {
    vec![
        query.to_owned(),
        hit.rank.to_string(),
        hit.id.to_string(),
        hit.image.to_string(),
        hit.score.to_string(),
        hit.distance.to_string(),
        hit.probability.map_or(String::new(), |chance| chance.to_string()),
        hit.title.clone().unwrap_or_default(),
    ]
}

/// A string as it is, a missing or null value empty, anything else as JSON.
fn field(hit: &Shown, name: &str) -> String {
    match hit.fields.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Writes one line, cells quoted where they must be.
pub(super) fn line(
    out: &mut impl Write,
    cells: impl Iterator<Item = String>,
    formulas: Formulas,
) -> io::Result<()> {
    let text = |cell: String| match formulas {
        Formulas::Quoted if is_formula(&cell) => format!("'{cell}"),
        _ => cell,
    };
    let seen = output::is_terminal();
    let shown = |cell: String| if seen { text::visible(&cell) } else { cell };
    let cells: Vec<String> = cells.map(|cell| quoted(&shown(text(cell))).into_owned()).collect();
    writeln!(out, "{}", cells.join(","))
}

/// Whether a spreadsheet may take the cell for a formula: by its first sign, as OWASP lists them,
/// and it is no number.
fn is_formula(cell: &str) -> bool {
    let sign = |letter: char| matches!(letter, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n');
    let wide = |letter: char| matches!(letter, '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}');
    cell.starts_with(|letter| sign(letter) || wide(letter)) && !is_number(cell)
}

fn is_number(cell: &str) -> bool {
    let digits = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    cell.chars().all(digits) && cell.parse::<f64>().is_ok()
}

fn quoted(cell: &str) -> Cow<'_, str> {
    if cell.contains([',', '"', '\n', '\r']) {
        Cow::Owned(format!("\"{}\"", cell.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn cells_with_commas_quotes_and_line_breaks_are_quoted() {
        let fields = ["price", "sizes", "brand"].map(str::to_owned);
        let mut out = Vec::new();
        header(&mut out, &fields, Formulas::Quoted).unwrap();
        write(&mut out, &samples::answer(), &fields, Formulas::Quoted).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "query,rank,id,image,score,distance,probability,title,\
             fields.price,fields.sizes,fields.brand\n\
             red dress,1,B1,/shop/1.jpg,0.875,0.5,0.931,Red summer dress,\
             19.5,\"[\"\"S\"\",\"\"M\"\"]\",\n\
             red dress,2,\"B,2\",\"/shop/b, 2.jpg\",0.875,0.5,0.931,\
             \"The \"\"one\"\"\nand\x1b[31m <only>\",19.5,\"[\"\"S\"\",\"\"M\"\"]\",\n"
        );
    }

    #[test]
    fn a_formula_becomes_a_text_and_a_number_stays_a_number() {
        let written = |cell: &str, formulas| {
            let mut out = Vec::new();
            line(&mut out, std::iter::once(cell.to_owned()), formulas).unwrap();
            String::from_utf8(out).unwrap()
        };
        for cell in ["=1+1", "+1+cmd|'/C calc'!A0", "-2+3", "@SUM(1)", "-", "+", "-1-", "\u{ff1d}1"]
        {
            assert_eq!(written(cell, Formulas::Quoted), format!("'{cell}\n"));
            assert_eq!(written(cell, Formulas::Raw), format!("{cell}\n"));
        }
        assert_eq!(written("=A(\"x\",1)", Formulas::Quoted), "\"'=A(\"\"x\"\",1)\"\n");
        assert_eq!(written("\r=1", Formulas::Quoted), "\"'\r=1\"\n");
        assert_eq!(written("\t=1", Formulas::Quoted), "'\t=1\n");
        for cell in ["-12.5", "-1e-7", "+3", "0", "a=b", "1-2", "", "'=1"] {
            assert_eq!(written(cell, Formulas::Quoted), format!("{cell}\n"));
        }
    }
}
