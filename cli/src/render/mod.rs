//! Answers as text and pictures: one file a format.

pub(crate) mod audit;
pub(crate) mod audit_html;
mod canvas;
pub(crate) mod columns;
pub(crate) mod csv;
pub(crate) mod grid;
pub(crate) mod grid_html;
pub(crate) mod grid_png;
pub(crate) mod map;
pub(crate) mod paths;
pub(crate) mod report;
#[cfg(test)]
pub(crate) mod samples;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod train_html;

use std::io::{self, Write};

use serde::Serialize;

use crate::output;
use csv::Formulas;
use looksee::search::{Answer, Shown};

/// How answers are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Table,
    /// Paths, each followed by this byte.
    Paths(u8),
    /// One indented document.
    Json,
    /// One document a line, for many queries.
    JsonDocuments,
    /// One hit a line.
    JsonHits,
    /// With a column for each of these fields.
    Csv(Vec<String>, Formulas),
}

impl Format {
    /// Writes what stands once at the top.
    pub(crate) fn begin(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Csv(fields, formulas) => csv::header(out, fields, *formulas),
            _ => Ok(()),
        }
    }

    /// Writes one answer.
    pub(crate) fn write(&self, out: &mut impl Write, answer: &Answer) -> io::Result<()> {
        match self {
            Self::Table => table::write(out, answer),
            Self::Paths(end) => paths::write(out, answer, *end),
            Self::Json => output::write_document(out, answer),
            Self::JsonDocuments => output::write_json_line(out, answer),
            Self::JsonHits => json_hits(out, answer),
            Self::Csv(fields, formulas) => csv::write(out, answer, fields, *formulas),
        }
    }
}

/// A hit on a line of its own says to which query it belongs.
#[derive(Serialize)]
struct HitLine<'a> {
    query: &'a str,
    #[serde(flatten)]
    hit: &'a Shown,
}

fn json_hits(out: &mut impl Write, answer: &Answer) -> io::Result<()> {
    for hit in &answer.hits {
        output::write_json_line(out, &HitLine { query: &answer.query, hit })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: &Format) -> String {
        let mut out = Vec::new();
        format.begin(&mut out).unwrap();
        format.write(&mut out, &samples::answer()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_lines_hold_one_hit_each_with_its_query() {
        let text = written(&Format::JsonHits);
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1]["query"], "red dress");
        assert_eq!(lines[1]["rank"], 2);
    }

    #[test]
    fn one_document_a_line_for_many_queries() {
        let text = written(&Format::JsonDocuments);
        assert_eq!(text.lines().count(), 1);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["total"], 70_000);
    }

    #[test]
    fn paths_can_end_with_a_zero_byte() {
        assert_eq!(written(&Format::Paths(b'\n')), "/shop/1.jpg\n/shop/b, 2.jpg\n");
        assert_eq!(written(&Format::Paths(0)), "/shop/1.jpg\0/shop/b, 2.jpg\0");
    }
}
