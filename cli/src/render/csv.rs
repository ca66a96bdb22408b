//! Answers as comma-separated values (RFC 4180), one line a hit.
//!
//! Columns do not depend on the query: the hit's own, then one for each field that items of the
//! index have, as `fields.NAME` so that a field called `id` does not hide the item's.

use std::borrow::Cow;
use std::io::{self, Write};

use serde_json::Value;

use crate::answer::{Answer, Shown};

const COLUMNS: [&str; 8] =
    ["query", "rank", "id", "image", "score", "distance", "probability", "title"];

/// Writes the header line.
pub(crate) fn header(out: &mut impl Write, fields: &[String]) -> io::Result<()> {
    let own = COLUMNS.iter().map(|&name| name.to_owned());
    line(out, own.chain(fields.iter().map(|name| format!("fields.{name}"))))
}

/// Writes the hits of one answer.
pub(crate) fn write(out: &mut impl Write, answer: &Answer, fields: &[String]) -> io::Result<()> {
    for hit in &answer.hits {
        let own = cells(&answer.query, hit).into_iter();
        line(out, own.chain(fields.iter().map(|name| field(hit, name))))?;
    }
    Ok(())
}

fn cells(query: &str, hit: &Shown) -> Vec<String> {
    vec![
        query.to_owned(),
        hit.rank.to_string(),
        hit.id.to_string(),
        hit.image.to_string_lossy().into_owned(),
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
pub(super) fn line(out: &mut impl Write, cells: impl Iterator<Item = String>) -> io::Result<()> {
    let cells: Vec<String> = cells.map(|cell| quoted(&cell).into_owned()).collect();
    writeln!(out, "{}", cells.join(","))
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
        header(&mut out, &fields).unwrap();
        write(&mut out, &samples::answer(), &fields).unwrap();
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
}
