//! Catalogues made of clusters of unit vectors, with rows that are known to be wrong.

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::error::ErrorKind;
use crate::filter::Fields;
use crate::index::{Index, NoModel, Record, Sink, Space, Stamp, Writer};
use crate::vectors::Vectors;

const DIM: usize = 32;

/// Rows in clusters: each picture and text is its cluster's middle and some noise.
struct Catalogue {
    records: Vec<Record>,
    pictures: Vec<Vec<f32>>,
    texts: Vec<Option<Vec<f32>>>,
}

impl Catalogue {
    fn new(rows: usize, clusters: usize, noise: f32) -> Self {
        let mut rng = Seed(7).stream("clusters", 0);
        let mut draw = |around: &[f32], by: f32| -> Vec<f32> {
            around.iter().map(|x| x + by * (rng.f32() - 0.5)).collect()
        };
        let middles: Vec<_> = (0..clusters).map(|_| unit(draw(&[0.0; DIM], 1.0))).collect();
        let (mut records, mut pictures, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..rows {
            let middle = &middles[row % clusters];
            records.push(record(row));
            pictures.push(unit(draw(middle, noise)));
            texts.push(Some(unit(draw(middle, noise))));
        }
        Self { records, pictures, texts }
    }

    fn swap_texts(&mut self, a: usize, b: usize) {
        self.texts.swap(a, b);
        let texts = std::mem::take(&mut self.records[a].texts);
        self.records[a].texts = std::mem::replace(&mut self.records[b].texts, texts);
    }

    fn index(&self) -> (TempDir, Index) {
        let folder = tempfile::tempdir().unwrap();
        let space = Space { fingerprint: "f".to_owned(), dim: DIM };
        let mut writer = Writer::open(folder.path(), &space, &NoModel).unwrap();
        let pictures = Vectors::normalised(DIM, self.pictures.concat()).unwrap();
        writer.add(&self.records, &pictures, &self.texts).unwrap();
        writer.commit().unwrap();
        let index = Index::open(folder.path()).unwrap();
        (folder, index)
    }
}

fn unit(row: Vec<f32>) -> Vec<f32> {
    Vectors::normalised(row.len(), row).unwrap().as_slice().to_vec()
}

fn record(row: usize) -> Record {
    Record {
        id: name(row).into(),
        image: format!("/pictures/{row}.png").into(),
        texts: vec![format!("text of {row}")],
        fields: Fields::new(),
        group: None,
        stamp: Stamp { size: 1, modified_ns: 0, content: row as u64 },
    }
}

fn name(row: usize) -> String {
    format!("i{row:04}")
}

fn audit(index: &Index, options: Options) -> Report {
    run(index, &options, &Stop::default(), &mut |_| {}).unwrap()
}

fn of_kind(report: &Report, kind: Kind) -> Vec<&Finding> {
    report.findings.iter().filter(|finding| finding.kind == kind).collect()
}

/// 1,000 rows of 25 clusters, of which 20 rows have their texts swapped in pairs.
fn planted() -> (Catalogue, Vec<usize>) {
    let mut catalogue = Catalogue::new(1000, 25, 0.35);
    let rows: Vec<usize> = (0..20).map(|at| at * 47).collect();
    for pair in rows.chunks(2) {
        catalogue.swap_texts(pair[0], pair[1]);
    }
    (catalogue, rows)
}

#[test]
fn swapped_rows_are_found_first_and_told_with_whom() {
    let (catalogue, rows) = planted();
    let (_folder, index) = catalogue.index();
    let report = audit(&index, Options { top: 20, ..Options::default() });
    let wrong = of_kind(&report, Kind::WrongPicture);
    let planted = |finding: &&&Finding| rows.iter().any(|&row| name(row) == finding.id.as_str());
    let hits = wrong.iter().filter(planted).count();
    assert!(hits >= 18, "{hits} of the first {} are wrong", wrong.len());
    assert_eq!((report.items, report.compared), (1000, 1000));
    // Each text belongs to a cluster in which only its partner stands out; where the partner's
    // picture lies at the edge of the cluster, the nearest picture is named instead.
    let partner = |row: usize| rows[rows.iter().position(|&r| r == row).unwrap() ^ 1];
    let told = rows.iter().filter(|&&row| {
        let finding = wrong.iter().find(|finding| finding.id.as_str() == name(row));
        let better = finding.and_then(|finding| finding.better.as_ref());
        better.is_some_and(|b| b.suspicious && b.swapped && b.id.as_str() == name(partner(row)))
    });
    let told = told.count();
    assert!(told >= 9, "{told} of 20 are told with whom");
}

#[test]
fn rows_that_agree_are_not_accused() {
    let (_folder, index) = Catalogue::new(1000, 25, 0.35).index();
    let report = audit(&index, Options::default());
    let found = report.found;
    assert!(found.wrong_picture <= 3, "{found:?}");
    assert_eq!((found.same_picture, found.generic_text, found.empty_text), (0, 0, 0));
}

#[test]
fn a_sampled_reference_finds_them_too_and_the_seed_decides() {
    let (catalogue, rows) = planted();
    let (_folder, index) = catalogue.index();
    let options = Options { top: 20, reference: 400, ..Options::default() };
    let report = audit(&index, options);
    let planted = |finding: &&Finding| rows.iter().any(|&row| name(row) == finding.id.as_str());
    assert!(of_kind(&report, Kind::WrongPicture).into_iter().filter(planted).count() >= 16);
    assert_eq!(report.findings, audit(&index, options).findings);
    let other = audit(&index, Options { seed: Seed(1), ..options });
    assert_ne!(report.findings, other.findings);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let (catalogue, _) = planted();
    let (_folder, index) = catalogue.index();
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let with = |threads| pool(threads).install(|| audit(&index, Options::default()));
    assert_eq!(with(1).findings, with(5).findings);
}

#[test]
fn one_file_under_two_texts_is_found_once_and_under_one_text_never() {
    let mut catalogue = Catalogue::new(200, 10, 0.35);
    // Row 11 is of another cluster than row 10, row 20 of the same.
    for copy in [11, 20] {
        catalogue.pictures[copy] = catalogue.pictures[10].clone();
        catalogue.records[copy].stamp.content = 10;
    }
    catalogue.pictures[33] = catalogue.pictures[32].clone();
    let (_folder, index) = catalogue.index();
    let options = Options { kind: Some(Kind::SamePicture), ..Options::default() };
    let report = audit(&index, options);
    let named: Vec<_> = report
        .findings
        .iter()
        .map(|f| (f.rank, f.id.to_string(), f.others.iter().map(ToString::to_string).collect()))
        .collect::<Vec<(usize, String, Vec<String>)>>();
    let names = |of: &str| named.iter().find(|found| found.1 == of).map(|found| found.2.clone());
    assert_eq!(named.len(), 2, "{named:?}");
    assert_eq!(names("i0010"), Some(vec![name(11)]));
    assert_eq!(names("i0032"), Some(vec![name(33)]));
    let reason = |of: &str| &report.findings.iter().find(|f| f.id.as_str() == of).unwrap().reason;
    assert_eq!(reason("i0010"), "the same file stands in 1 other row under another text");
    assert!(reason("i0032").starts_with("nearly the same picture"));
}

#[test]
fn a_text_under_many_unlike_pictures_is_generic_and_one_under_alike_pictures_is_not() {
    let mut catalogue = Catalogue::new(500, 25, 0.35);
    let vague = unit(vec![1.0; DIM]);
    for row in 101..109 {
        catalogue.records[row].texts = vec!["product".to_owned()];
        catalogue.texts[row] = Some(vague.clone());
    }
    for row in (0..500).step_by(25).take(8) {
        catalogue.records[row].texts = vec!["red shoe".to_owned()];
        catalogue.texts[row] = catalogue.texts[0].clone();
    }
    let (_folder, index) = catalogue.index();
    let report = audit(&index, Options::default());
    let generic = of_kind(&report, Kind::GenericText);
    assert_eq!((generic[0].id.as_str(), generic[0].others.len()), ("i0101", 7));
    assert_eq!(generic[0].title.as_deref(), Some("product"));
    assert!(generic.iter().all(|finding| finding.title.as_deref() != Some("red shoe")));
    let wrong = of_kind(&report, Kind::WrongPicture);
    assert!(wrong.iter().all(|finding| finding.title.as_deref() != Some("product")));
}

#[test]
fn texts_without_letters_and_missing_ones_are_empty() {
    let mut catalogue = Catalogue::new(50, 5, 0.35);
    catalogue.records[3].texts = vec![" -- ! ".to_owned()];
    catalogue.records[4].texts.clear();
    catalogue.texts[4] = None;
    catalogue.records[5].texts = vec!["?".to_owned(), "42".to_owned()];
    let (_folder, index) = catalogue.index();
    let report = audit(&index, Options { kind: Some(Kind::EmptyText), ..Options::default() });
    let found: Vec<_> = report.findings.iter().map(|f| (f.id.as_str(), &f.reason[..])).collect();
    let expected = [("i0003", "its text has no letter and no number"), ("i0004", "it has no text")];
    assert_eq!(found, expected);
    assert_eq!(report.compared, 49);
}

#[test]
fn an_index_without_texts_is_refused_and_one_with_few_is_told_so() {
    let mut catalogue = Catalogue::new(30, 5, 0.35);
    catalogue.records.iter_mut().for_each(|record| record.texts.clear());
    catalogue.texts.fill(None);
    let (_folder, index) = catalogue.index();
    let error = run(&index, &Options::default(), &Stop::default(), &mut |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().starts_with("none of the 30 items has a text"), "{error}");

    let (_folder, index) = Catalogue::new(5, 5, 0.35).index();
    let mut warned = false;
    let mut listener = |event: Event<'_>| warned |= matches!(event, Event::Warning(_));
    let report = run(&index, &Options::default(), &Stop::default(), &mut listener).unwrap();
    assert!(warned && report.findings.is_empty());
}

#[test]
fn a_stop_ends_it() {
    let (_folder, index) = Catalogue::new(30, 5, 0.35).index();
    let stop = Stop::default();
    stop.ask();
    let error = run(&index, &Options::default(), &stop, &mut |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
}

#[test]
fn a_finding_is_written_with_stable_names() {
    let (catalogue, _) = planted();
    let (_folder, index) = catalogue.index();
    let report = audit(&index, Options { top: 1, ..Options::default() });
    let value = serde_json::to_value(&report).unwrap();
    assert_eq!(value["findings"][0]["kind"], json!("wrong_picture"));
    let names: Vec<_> = value["findings"][0].as_object().unwrap().keys().cloned().collect();
    let mut expected = [
        "rank", "kind", "id", "image", "title", "score", "cosine", "expected", "better", "others",
        "reason",
    ];
    expected.sort_unstable();
    let mut names: Vec<_> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, expected);
}
