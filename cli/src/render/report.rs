//! The result of `looksee eval` for a person.

use std::io::{self, Write};

use looksee::eval::{self, Comparison, Likes, Report, Short, TextComparison};
use looksee::metrics::{Answers, Summary};

use super::columns::{self, Side};
use super::text;
use crate::figures;

/// Queries won or lost that are listed; the JSON form has them all.
const LISTED: usize = 10;
/// Short questions won or lost that are listed, of each kind.
const LISTED_SHORT: usize = 5;

/// Writes a report as tables: a row a direction or a kind of question, a column a metric with its
/// interval.
pub(crate) fn write(out: &mut impl Write, name: &str, report: &Report) -> io::Result<()> {
    let name = text::one_line(name);
    writeln!(out, "{name}: gallery of {}", figures::count(report.gallery, "picture"))?;
    for note in &report.notes {
        writeln!(out, "note: {}", text::one_line(note))?;
    }
    let head = ["", "R@1", "R@5", "R@10", "MRR", "median", "mean"].map(str::to_owned).to_vec();
    let mut rows = vec![head];
    if let Some(texts) = &report.texts {
        rows.push(measured("text -> picture", &texts.text_to_image));
        rows.push(measured("picture -> text", &texts.image_to_text));
        rows.push(by_chance(&texts.chance));
    }
    if let Some(likes) = &report.image_to_image {
        rows.push(measured("picture -> picture", &likes.nearest));
        rows.push(by_chance(&likes.chance));
    }
    if rows.len() > 1 {
        columns::write(out, &sides(rows[0].len()), &rows)?;
    }
    if let Some(likes) = &report.image_to_image {
        write_likes(out, likes)?;
    }
    report.short.as_ref().map_or(Ok(()), |short| write_short(out, short))
}

/// The first column stands left, figures right.
fn sides(columns: usize) -> Vec<Side> {
    let mut sides = vec![Side::Left];
    sides.resize(columns, Side::Right);
    sides
}

fn write_likes(out: &mut impl Write, likes: &Likes) -> io::Result<()> {
    let Likes { answers, .. } = likes;
    writeln!(
        out,
        "picture -> picture, all that are alike: mAP {}, nDCG@10 {} (chance {}, {})",
        recall(answers.map, answers.ci95.map),
        recall(answers.ndcg10, answers.ci95.ndcg10),
        figures::percent(answers.chance.map),
        figures::percent(answers.chance.ndcg10)
    )
}

fn write_short(out: &mut impl Write, short: &Short) -> io::Result<()> {
    let head = ["short questions", "asked", "P@9", "mAP", "nDCG@10", "P@9 by chance"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for kind in &short.kinds {
        rows.push(answered(&text::one_line(&kind.kind.to_string()), &kind.answers));
    }
    if short.kinds.len() > 1 {
        rows.push(answered("all", &short.all));
    }
    writeln!(out)?;
    columns::write(out, &sides(rows[0].len()), &rows)?;
    let named = |word: &str, p9: f64| format!("{} {}", text::one_line(word), figures::percent(p9));
    let fields = short.weakest.fields.iter().map(|weak| named(&weak.field, weak.means.p9));
    let fields: Vec<String> = fields.collect();
    if fields.len() > 1 {
        writeln!(out, "weakest fields, by P@9: {}", fields.join(", "))?;
    }
    let words = short.weakest.words.iter().map(|weak| named(&weak.word, weak.means.p9));
    writeln!(out, "weakest words, by P@9: {}", words.collect::<Vec<_>>().join(", "))
}

fn answered(name: &str, answers: &Answers) -> Vec<String> {
    vec![
        name.to_owned(),
        figures::thousands(answers.questions),
        recall(answers.p9, answers.ci95.p9),
        recall(answers.map, answers.ci95.map),
        recall(answers.ndcg10, answers.ci95.ndcg10),
        figures::percent(answers.chance.p9),
    ]
}

/// Writes the differences of two models and the queries that tell them apart.
pub(crate) fn write_comparison(
    out: &mut impl Write,
    names: [&str; 2],
    comparison: &Comparison,
) -> io::Result<()> {
    let names = names.map(text::one_line);
    let [first, second] = names.each_ref().map(String::as_str);
    if let Some(texts) = &comparison.texts {
        let TextComparison { difference_r10, ci95, won, lost } = texts;
        let verdict = verdict([first, second], *difference_r10, *ci95, eval::FEWEST);
        writeln!(out, "difference of R@10, {first} - {second}: {verdict}")?;
        write_queries(out, &format!("found among 10 by {first} only"), won, LISTED)?;
        write_queries(out, &format!("found among 10 by {second} only"), lost, LISTED)?;
    }
    for short in &comparison.short {
        let verdict = verdict([first, second], short.difference_p9, short.ci95, short.questions);
        let kind = text::one_line(&short.kind.to_string());
        let asked = figures::count(short.questions, "question");
        writeln!(out, "\ndifference of P@9, {first} - {second}, {kind}, {asked}: {verdict}")?;
        write_queries(out, &format!("answered better by {first}"), &short.won, LISTED_SHORT)?;
        write_queries(out, &format!("answered better by {second}"), &short.lost, LISTED_SHORT)?;
    }
    if comparison.texts.is_none() && comparison.short.is_empty() {
        writeln!(out, "there is too little to compare the models by")?;
    }
    Ok(())
}

/// `+2.0 points (-1.0 to +5.0): the difference may be chance`.
fn verdict([first, second]: [&str; 2], difference: f64, ci95: [f64; 2], queries: usize) -> String {
    let verdict = if queries < eval::FEWEST {
        format!("fewer than {} questions tell nothing", eval::FEWEST)
    } else if ci95[0] > 0.0 {
        format!("{first} is better")
    } else if ci95[1] < 0.0 {
        format!("{second} is better")
    } else {
        "the difference may be chance".to_owned()
    };
    let [low, high] = ci95.map(|x| format!("{:+.1}", x * 100.0));
    format!("{:+.1} points ({low} to {high}): {verdict}", difference * 100.0)
}

fn write_queries(
    out: &mut impl Write,
    heading: &str,
    queries: &[String],
    listed: usize,
) -> io::Result<()> {
    writeln!(out, "\n{heading}: {}", figures::count(queries.len(), "text"))?;
    for query in queries.iter().take(listed) {
        writeln!(out, "  {}", text::cut(&text::one_line(query), 90))?;
    }
    if queries.len() > listed {
        let more = figures::thousands(queries.len() - listed);
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
    use looksee::eval::{OfKind, ShortComparison, Texts, WeakField, WeakWord, Weakest};
    use looksee::metrics::{AnswerIntervals, AnswerMeans, Intervals};
    use looksee::questions::Kind;

    use super::*;

    fn summary(r10: f64) -> Summary {
        let [r1, r5, mrr] = [r10 / 4.0, r10 / 2.0, r10 / 3.0];
        let around = |x: f64| [x - 0.01, x + 0.01];
        let ci95 = Intervals { r1: around(r1), r5: around(r5), r10: around(r10), mrr: around(mrr) };
        Summary { queries: 1000, r1, r5, r10, mrr, median_rank: 20.0, mean_rank: 61.25, ci95 }
    }

    fn report() -> Report {
        let texts = Texts {
            text_to_image: summary(0.4),
            image_to_text: summary(0.36),
            chance: summary(0.01),
            ranks: Vec::new(),
            queries: Vec::new(),
        };
        Report {
            gallery: 1000,
            texts: Some(texts),
            image_to_image: None,
            short: None,
            notes: Vec::new(),
            ledger: Ledger::default(),
        }
    }

    fn answers(p9: f64) -> Answers {
        let around = |x: f64| [x - 0.01, x + 0.01];
        let [map, ndcg10] = [p9 / 2.0, p9 * 0.9];
        let ci95 = AnswerIntervals { p9: around(p9), map: around(map), ndcg10: around(ndcg10) };
        let chance = AnswerMeans { p9: 0.05, map: 0.06, ndcg10: 0.07 };
        Answers { questions: 1200, p9, map, ndcg10, chance, ci95 }
    }

    fn written(report: &Report) -> String {
        let mut out = Vec::new();
        write(&mut out, "model", report).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_report_is_read_row_by_row_with_intervals_and_chance() {
        let text = written(&report());
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
    fn pictures_to_pictures_have_a_row_and_a_line_where_groups_exist() {
        let likes = Likes { nearest: summary(0.5), answers: answers(0.5), chance: summary(0.02) };
        let text = written(&Report { image_to_image: Some(likes), ..report() });
        assert!(text.contains("\npicture -> picture  12.5 %"), "{text}");
        assert!(
            text.ends_with(
                "mAP 25.0 % (24.0-26.0), nDCG@10 45.0 % (44.0-46.0) (chance 6.0 %, 7.0 %)\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn short_questions_are_a_table_with_what_is_found_worst() {
        let kind = |kind: Kind, p9: f64| OfKind { kind, answers: answers(p9) };
        let means = |p9: f64| AnswerMeans { p9, map: p9, ndcg10: p9 };
        let word = |word: &str, p9: f64| WeakWord {
            field: None,
            word: word.to_owned(),
            questions: 2,
            means: means(p9),
        };
        let field = |name: &str, p9: f64| WeakField {
            field: name.to_owned(),
            questions: 9,
            means: means(p9),
        };
        let pair = Kind::Pair("color".to_owned(), "kind".to_owned());
        let short = Short {
            all: answers(0.5),
            kinds: vec![kind(pair, 0.4), kind(Kind::Field("color".to_owned()), 0.6)],
            weakest: Weakest {
                fields: vec![field("kind", 0.4), field("color", 0.5)],
                words: vec![word("mauve\u{1b}[2J", 0.0), word("hat", 0.111)],
            },
            asked: Vec::new(),
        };
        let text = written(&Report { texts: None, short: Some(short), ..report() });
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], "");
        assert_eq!(
            lines[3],
            "color + kind     1,200  40.0 % (39.0-41.0)  20.0 % (19.0-21.0)  36.0 % (35.0-37.0)\
             \u{20}         5.0 %"
        );
        assert!(lines[5].starts_with("all              1,200  50.0 %"), "{text}");
        assert_eq!(lines[6], "weakest fields, by P@9: kind 40.0 %, color 50.0 %");
        assert_eq!(lines[7], "weakest words, by P@9: mauve [2J 0.0 %, hat 11.1 %");
    }

    #[test]
    fn what_was_not_judged_is_said_in_place_of_a_table() {
        let notes = vec!["3 pictures are too few to judge by".to_owned()];
        let text = written(&Report { gallery: 3, texts: None, notes, ..report() });
        assert_eq!(
            text,
            "model: gallery of 3 pictures\nnote: 3 pictures are too few to judge by\n"
        );
    }

    fn compared(comparison: &Comparison) -> String {
        let mut out = Vec::new();
        write_comparison(&mut out, ["a", "b"], comparison).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_difference_whose_interval_holds_zero_is_called_chance() {
        let comparison = |ci95| {
            let won = vec!["red dress".to_owned(); 12];
            let texts = TextComparison { difference_r10: 0.02, ci95, won, lost: Vec::new() };
            Comparison { texts: Some(texts), short: Vec::new() }
        };
        let text = compared(&comparison([-0.01, 0.05]));
        assert!(text.starts_with(
            "difference of R@10, a - b: +2.0 points (-1.0 to +5.0): the difference may be chance\n"
        ));
        assert!(text.contains("only: 12 texts\n  red dress\n"), "{text}");
        assert!(text.contains("and 2 more"), "{text}");
        assert!(compared(&comparison([0.01, 0.05])).contains("a is better"));
    }

    #[test]
    fn short_questions_are_compared_kind_by_kind_and_few_of_them_tell_nothing() {
        let of = |questions| ShortComparison {
            kind: Kind::Field("color".to_owned()),
            questions,
            difference_p9: -0.1,
            ci95: [-0.2, -0.05],
            won: Vec::new(),
            lost: vec!["red (+44 points)".to_owned()],
        };
        let text = compared(&Comparison { texts: None, short: vec![of(40)] });
        assert!(
            text.contains(
                "difference of P@9, a - b, color, 40 questions: -10.0 points (-20.0 to -5.0): b is \
                 better\n"
            ),
            "{text}"
        );
        assert!(text.contains("answered better by b: 1 text\n  red (+44 points)\n"), "{text}");
        let text = compared(&Comparison { texts: None, short: vec![of(19)] });
        assert!(text.contains("fewer than 20 questions tell nothing"), "{text}");
        let text = compared(&Comparison { texts: None, short: Vec::new() });
        assert_eq!(text, "there is too little to compare the models by\n");
    }
}
