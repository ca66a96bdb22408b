//! Rows that are probably wrong, for a person (a table a kind) and comma-separated.

use std::io::{self, Write};

use looksee::audit::{Finding, Kind, Report};
use looksee::units::ItemId;

use super::columns::{self, Side};
use super::csv::Formulas;
use super::{csv, text};
use crate::figures;

/// Characters of a title that are shown.
const TITLE: usize = 50;

const SIDES: [Side; 8] = [
    Side::Right,
    Side::Right,
    Side::Right,
    Side::Right,
    Side::Left,
    Side::Left,
    Side::Left,
    Side::Left,
];

/// Writes how many rows of each kind there are and the ones that were chosen.
pub(crate) fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let (items, compared) = (report.items, figures::thousands(report.compared));
    writeln!(out, "{}, {compared} with picture and text", figures::count(items, "item"))?;
    for kind in Kind::ALL {
        let rows: Vec<&Finding> = of_kind(report, kind).collect();
        if rows.is_empty() {
            continue;
        }
        writeln!(out, "\n{}", heading(report, kind))?;
        let head = ["", "score", "cosine", "expected", "id", "title", "see", "picture"];
        let head = head.map(str::to_owned).to_vec();
        let rows: Vec<_> = std::iter::once(head).chain(rows.into_iter().map(row)).collect();
        columns::write(out, &SIDES, &rows)?;
    }
    Ok(())
}

/// The findings of one kind.
pub(super) fn of_kind(report: &Report, kind: Kind) -> impl Iterator<Item = &Finding> {
    report.findings.iter().filter(move |finding| finding.kind == kind)
}

/// `wrong picture: 50 of 1,214 (The text ...)`.
pub(super) fn heading(report: &Report, kind: Kind) -> String {
    let shown = figures::thousands(of_kind(report, kind).count());
    let found = figures::thousands(report.found.of(kind));
    format!("{}: {shown} of {found} ({})", kind.name(), kind.sentence())
}

fn row(finding: &Finding) -> Vec<String> {
    let title = text::one_line(finding.title.as_deref().unwrap_or(""));
    vec![
        finding.rank.to_string(),
        figure(finding.score),
        figure(finding.cosine),
        figure(finding.expected),
        text::one_line(finding.id.as_str()),
        text::cut(&title, TITLE),
        text::one_line(&see(finding)),
        text::one_line(&finding.image.to_string()),
    ]
}

fn figure(value: Option<f32>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.3}"))
}

/// The item to look at beside it, and whether there are more.
fn see(finding: &Finding) -> String {
    if let Some(better) = &finding.better {
        return better.id.to_string();
    }
    match &finding.others[..] {
        [] => "-".to_owned(),
        [one] => one.to_string(),
        [first, more @ ..] => format!("{first} (+ {})", more.len()),
    }
}

const COLUMNS: [&str; 11] = [
    "kind", "rank", "id", "image", "score", "cosine", "expected", "title", "better", "others",
    "reason",
];

/// Writes one line a finding below a header line; `others` are parted by spaces.
pub(crate) fn write_csv(
    out: &mut impl Write,
    report: &Report,
    formulas: Formulas,
) -> io::Result<()> {
    csv::line(out, COLUMNS.iter().map(|&name| name.to_owned()), formulas)?;
    for finding in &report.findings {
        csv::line(out, cells(finding).into_iter(), formulas)?;
    }
    Ok(())
}

fn cells(finding: &Finding) -> [String; 11] {
    let number = |value: Option<f32>| value.map_or(String::new(), |value| value.to_string());
    let others: Vec<&str> = finding.others.iter().map(ItemId::as_str).collect();
    [
        finding.kind.name().to_owned(),
        finding.rank.to_string(),
        finding.id.to_string(),
        finding.image.to_string(),
        number(finding.score),
        number(finding.cosine),
        number(finding.expected),
        finding.title.clone().unwrap_or_default(),
        finding.better.as_ref().map_or(String::new(), |better| better.id.to_string()),
        others.join(" "),
        finding.reason.clone(),
    ]
}

#[cfg(test)]
pub(super) mod tests {
    use looksee::audit::{Found, Partner};

    use super::*;

    /// A swapped row with a title that is awkward to print, and one without a text.
    pub(in crate::render) fn report() -> Report {
        let wrong = Finding {
            rank: 1,
            kind: Kind::WrongPicture,
            id: "B,1".into(),
            image: "/shop/1.jpg".into(),
            title: Some("A \"red\"\n<b>shoe</b>\x1b[31m".to_owned()),
            score: Some(0.75),
            cosine: Some(-0.125),
            expected: Some(0.5),
            better: Some(Partner {
                id: "B2".into(),
                image: "/shop/2.jpg".into(),
                title: Some("hat".to_owned()),
                cosine: 0.5,
                suspicious: true,
                swapped: true,
            }),
            others: Vec::new(),
            reason: "its text fits <another>".to_owned(),
        };
        let empty = Finding {
            kind: Kind::EmptyText,
            id: "B3".into(),
            image: "/shop/3.jpg".into(),
            title: None,
            score: None,
            cosine: None,
            expected: None,
            better: None,
            others: vec!["B4".into(), "B5".into()],
            reason: "it has no text".to_owned(),
            ..wrong.clone()
        };
        Report {
            items: 1200,
            compared: 1199,
            found: Found { wrong_picture: 7, empty_text: 1, ..Found::default() },
            findings: vec![wrong, empty],
        }
    }

    fn written(write: impl Fn(&mut Vec<u8>, &Report) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out, &report()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_kind_has_a_table_and_a_row_is_one_line() {
        let expected = "\
1,200 items, 1,199 with picture and text

wrong picture: 1 of 7 (The text fits other pictures better than its own)
   score  cosine  expected  id   title                         see  picture
1  0.750  -0.125     0.500  B,1  A \"red\" <b>shoe</b> [31m  B2   /shop/1.jpg

empty text: 1 of 1 (There is no text, or one without a letter and a number)
   score  cosine  expected  id  title  see         picture
1      -       -         -  B3         B4 (+ 1)  /shop/3.jpg
";
        let lines = |text: &str| -> Vec<String> {
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
        };
        assert_eq!(lines(&written(write)), lines(expected));
    }

    #[test]
    fn csv_quotes_what_must_be_and_leaves_unknown_figures_empty() {
        assert_eq!(
            written(|out, report| write_csv(out, report, Formulas::Quoted)),
            "kind,rank,id,image,score,cosine,expected,title,better,others,reason\n\
             wrong picture,1,\"B,1\",/shop/1.jpg,0.75,-0.125,0.5,\
             \"A \"\"red\"\"\n<b>shoe</b>\x1b[31m\",B2,,its text fits <another>\n\
             empty text,1,B3,/shop/3.jpg,,,,,,B4 B5,it has no text\n"
        );
    }
}
