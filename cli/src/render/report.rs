//! The result of `looksee eval` for a person.

use std::io::{self, Write};

use looksee::eval::{Comparison, Report};
use looksee::metrics::Summary;

use super::columns::{self, Side};
use super::text;
use crate::figures;

/// Queries won or lost that are listed; the JSON form has them all.
const LISTED: usize = 10;

/// Writes a report as a table: a row a direction, a column a metric with its interval.
pub(crate) fn write(out: &mut impl Write, name: &str, report: &Report) -> io::Result<()> {
    let name = text::one_line(name);
    writeln!(out, "{name}: gallery of {}", figures::count(report.gallery, "picture"))?;
    let head = ["", "R@1", "R@5", "R@10", "MRR", "median", "mean"].map(str::to_owned).to_vec();
    let mut rows = vec![
        head,
        measured("text -> picture", &report.text_to_image),
        measured("picture -> text", &report.image_to_text),
    ];
    rows.extend(report.image_to_image.as_ref().map(|s| measured("picture -> picture", s)));
    rows.push(by_chance(&report.chance));
    let mut sides = vec![Side::Left];
    sides.resize(rows[0].len(), Side::Right);
    columns::write(out, &sides, &rows)
}

/// Writes the difference of two models and the queries that tell them apart.
pub(crate) fn write_comparison(
    out: &mut impl Write,
    names: [&str; 2],
    comparison: &Comparison,
) -> io::Result<()> {
    let names = names.map(text::one_line);
    let [low, high] = comparison.ci95.map(|x| format!("{:+.1}", x * 100.0));
    let difference = comparison.difference_r10 * 100.0;
    let verdict = if comparison.ci95[0] > 0.0 {
        format!("{} is better", names[0])
    } else if comparison.ci95[1] < 0.0 {
        format!("{} is better", names[1])
    } else {
        "the difference may be chance".to_owned()
    };
    writeln!(
        out,
        "difference of R@10, {} - {}: {difference:+.1} points ({low} to {high}): {verdict}",
        names[0], names[1]
    )?;
    write_queries(out, &names[0], &comparison.won)?;
    write_queries(out, &names[1], &comparison.lost)
}

fn write_queries(out: &mut impl Write, name: &str, queries: &[String]) -> io::Result<()> {
    writeln!(out, "\nfound among 10 by {name} only: {}", figures::count(queries.len(), "text"))?;
    for query in queries.iter().take(LISTED) {
        writeln!(out, "  {}", text::cut(&text::one_line(query), 90))?;
    }
    if queries.len() > LISTED {
        let more = figures::thousands(queries.len() - LISTED);
        writeln!(out, "  and {more} more (--format json lists all)")?;
    }
    Ok(())
}

fn measured(name: &str, summary: &Summary) -> Vec<String> {
    let ci = &summary.ci95;
    vec![
        name.to_owned(),
        recall(summary.r1, ci.r1),
        recall(summary.r5, ci.r5),
        recall(summary.r10, ci.r10),
        format!("{:.3} ({:.3}-{:.3})", summary.mrr, ci.mrr[0], ci.mrr[1]),
        rank(summary.median_rank),
        rank(summary.mean_rank),
    ]
}

fn by_chance(summary: &Summary) -> Vec<String> {
    vec![
        "chance".to_owned(),
        figures::percent(summary.r1),
        figures::percent(summary.r5),
        figures::percent(summary.r10),
        format!("{:.3}", summary.mrr),
        rank(summary.median_rank),
        rank(summary.mean_rank),
    ]
}

fn recall(share: f64, [low, high]: [f64; 2]) -> String {
    format!("{} ({:.1}-{:.1})", figures::percent(share), low * 100.0, high * 100.0)
}

fn rank(rank: f64) -> String {
    format!("{rank:.1}")
}

#[cfg(test)]
mod tests {
    use looksee::catalogue::Ledger;
    use looksee::metrics::Intervals;

    use super::*;

    fn summary(r10: f64) -> Summary {
        let [r1, r5, mrr] = [r10 / 4.0, r10 / 2.0, r10 / 3.0];
        let around = |x: f64| [x - 0.01, x + 0.01];
        let ci95 = Intervals { r1: around(r1), r5: around(r5), r10: around(r10), mrr: around(mrr) };
        Summary { queries: 1000, r1, r5, r10, mrr, median_rank: 20.0, mean_rank: 61.25, ci95 }
    }

    fn report() -> Report {
        Report {
            gallery: 1000,
            text_to_image: summary(0.4),
            image_to_text: summary(0.36),
            image_to_image: None,
            chance: summary(0.01),
            ranks: Vec::new(),
            ledger: Ledger::default(),
            queries: Vec::new(),
        }
    }

    #[test]
    fn a_report_is_read_row_by_row_with_intervals_and_chance() {
        let mut out = Vec::new();
        write(&mut out, "model", &report()).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "model: gallery of 1,000 pictures");
        assert_eq!(
            lines[2],
            "text -> picture  10.0 % (9.0-11.0)  20.0 % (19.0-21.0)  40.0 % (39.0-41.0)  \
             0.133 (0.123-0.143)    20.0  61.2"
        );
        let chance: Vec<_> = lines[4].split_whitespace().collect();
        assert_eq!(chance, ["chance", "0.2", "%", "0.5", "%", "1.0", "%", "0.003", "20.0", "61.2"]);
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn pictures_to_pictures_have_a_row_where_groups_exist() {
        let mut out = Vec::new();
        let report = Report { image_to_image: Some(summary(0.5)), ..report() };
        write(&mut out, "model", &report).unwrap();
        assert!(String::from_utf8(out).unwrap().contains("\npicture -> picture  12.5 %"));
    }

    #[test]
    fn a_difference_whose_interval_holds_zero_is_called_chance() {
        let comparison = |ci95| Comparison {
            difference_r10: 0.02,
            ci95,
            won: vec!["red dress".to_owned(); 12],
            lost: Vec::new(),
        };
        let mut out = Vec::new();
        write_comparison(&mut out, ["a", "b"], &comparison([-0.01, 0.05])).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with(
            "difference of R@10, a - b: +2.0 points (-1.0 to +5.0): the difference may be chance\n"
        ));
        assert!(text.contains("only: 12 texts\n  red dress\n"), "{text}");
        assert!(text.contains("and 2 more"), "{text}");
        let mut out = Vec::new();
        write_comparison(&mut out, ["a", "b"], &comparison([0.01, 0.05])).unwrap();
        assert!(String::from_utf8(out).unwrap().contains("a is better"));
    }
}
