//! Answers for a person: a line a hit, the picture's path last so that it can be copied whole.

use std::io::{self, Write};

use super::columns::{self, Side};
use super::text;
use crate::figures;
use looksee::search::{Answer, Shown};

/// Characters of a title that are shown.
const TITLE: usize = 60;

const SIDES: [Side; 6] =
    [Side::Right, Side::Right, Side::Right, Side::Left, Side::Left, Side::Left];

/// Writes the query, the table and what lies behind folded hits.
pub(crate) fn write(out: &mut impl Write, answer: &Answer) -> io::Result<()> {
    let query = text::one_line(&answer.query);
    let found = figures::thousands(answer.hits.len());
    let total = figures::thousands(answer.total);
    writeln!(out, "{query}: {found} of {total} pictures ({:.0} ms)", answer.took_ms)?;
    if answer.hits.is_empty() {
        return Ok(());
    }
    let head = ["", "score", "match", "id", "title", "picture"].map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(head).chain(answer.hits.iter().map(row)).collect();
    columns::write(out, &SIDES, &rows)
}

fn row(hit: &Shown) -> Vec<String> {
    let chance = hit.probability.map_or("-".to_owned(), |p| format!("{:.0} %", p * 100.0));
    let mut title = text::cut(&text::one_line(hit.title.as_deref().unwrap_or("")), TITLE);
    if !hit.duplicates.is_empty() {
        let behind = figures::count(hit.duplicates.len(), "duplicate");
        title = format!("{title} (+ {behind})");
    }
    vec![
        hit.rank.to_string(),
        format!("{:.3}", hit.score),
        chance,
        text::one_line(hit.id.as_str()),
        title,
        text::one_line(&hit.image.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    fn written(answer: &Answer) -> String {
        let mut out = Vec::new();
        write(&mut out, answer).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_hit_is_one_line_whatever_its_title_holds() {
        let expected = "\
red dress: 2 of 70,000 pictures (4 ms)
   score  match  id   title                                     picture
1  0.875    93 %  B1   Red summer dress                          /shop/1.jpg
2  0.875    93 %  B,2  The \"one\" and [31m <only> (+ 2 duplicates)  /shop/b, 2.jpg
";
        let lines = |text: &str| -> Vec<String> {
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
        };
        assert_eq!(lines(&written(&samples::answer())), lines(expected));
    }

    #[test]
    fn an_unknown_chance_is_a_dash() {
        let mut answer = samples::answer();
        answer.hits[0].probability = None;
        assert!(written(&answer).contains("0.875      -  B1"));
    }

    #[test]
    fn no_hits_give_no_empty_table() {
        let answer = Answer { hits: Vec::new(), ..samples::answer() };
        assert_eq!(written(&answer), "red dress: 0 of 70,000 pictures (4 ms)\n");
    }
}
