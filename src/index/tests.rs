//! Whole indexes in temporary folders: what a writer does and what readers see of it.

mod damage;

use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, Blob};
use crate::filter::Filter;
use crate::units::{ItemId, Seed};
use crate::vectors::Vectors;

const DIM: usize = 3;

fn space() -> Space {
    Space { fingerprint: "3fa9c1".to_owned(), dim: DIM }
}

/// A model of one file, whose content is its name.
#[derive(Clone, Copy, Debug)]
struct Toy(&'static str);

impl Companion for Toy {
    fn is_in(&self, folder: &Path) -> bool {
        files::read(&folder.join("model.toml")).is_ok_and(|found| found == self.0.as_bytes())
    }

    fn write_to(&self, folder: &Path) -> Result<()> {
        files::replace_bytes(&folder.join("model.toml"), self.0.as_bytes())
    }

    fn clear(&self, folder: &Path) -> Result<()> {
        let list = || std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        if let Some(other) = list().find(|path| !path.ends_with("model.toml")) {
            return Err(Error::invalid("no part of a model").at_file(other));
        }
        list().for_each(|path| std::fs::remove_file(path).unwrap());
        Ok(())
    }
}

const MODEL: Toy = Toy("x");

fn open(folder: &Path) -> Result<Writer> {
    Writer::open(folder, &space(), &MODEL)
}

fn writer(folder: &Path) -> Writer {
    open(folder).unwrap()
}

fn record(id: &str, texts: &[&str]) -> Record {
    Record {
        id: id.into(),
        image: format!("/pictures/{id}.png").into(),
        texts: texts.iter().map(|&text| text.to_owned()).collect(),
        fields: crate::filter::Fields::new(),
        group: None,
        stamp: Stamp { size: 1, modified_ns: 2, content: files::checksum(id.as_bytes()) },
    }
}

fn vectors(rows: &[[f32; DIM]]) -> Vectors {
    Vectors::normalised(DIM, rows.concat()).unwrap()
}

/// Adds items with a text each whose vector is that of the picture, turned by one place.
fn add(writer: &mut Writer, items: &[(&str, [f32; DIM])]) {
    let records: Vec<Record> = items.iter().map(|(id, _)| record(id, &[id])).collect();
    let pictures = vectors(&items.iter().map(|(_, vector)| *vector).collect::<Vec<_>>());
    let turned = |row: &[f32]| Some(vec![row[2], row[0], row[1]]);
    let texts: Vec<_> = pictures.rows().map(turned).collect();
    writer.add(&records, &pictures, &texts).unwrap();
}

fn index_of(items: &[(&str, [f32; DIM])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), items);
    folder
}

fn fill(folder: &Path, items: &[(&str, [f32; DIM])]) {
    let mut writer = writer(folder);
    add(&mut writer, items);
    writer.commit().unwrap();
}

fn find(index: &Index, query: [f32; DIM], top: usize) -> Vec<String> {
    let hits = index.search(&Nearest::new(&vectors(&[query]), top)).unwrap();
    hits[0].iter().map(|hit| hit.item.id.to_string()).collect()
}

fn names(index: &Index) -> Vec<String> {
    (0..index.len()).map(|row| index.id(row).to_string()).collect()
}

fn segment_files(folder: &Path) -> usize {
    std::fs::read_dir(segment::folder(folder)).unwrap().count()
}

fn assert_whole(index: &Index) {
    let check = index.check().unwrap();
    assert_eq!(check.problems, Vec::<String>::new());
    assert_eq!(check.items, index.len());
}

const X: [f32; 3] = [1.0, 0.0, 0.0];
const Y: [f32; 3] = [0.0, 1.0, 0.0];
const Z: [f32; 3] = [0.0, 0.0, 1.0];

#[test]
fn what_was_added_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path());
    let mut shoe = record("shoe", &["red shoe", "a shoe"]);
    shoe.fields.insert("price".to_owned(), json!(19.9));
    shoe.group = Some("g1".into());
    let texts = [Some(vec![0.0, 0.6, 0.8]), None];
    writer.add(&[shoe.clone(), record("hat", &[])], &vectors(&[X, Y]), &texts).unwrap();
    writer.commit().unwrap();

    let index = Index::open(folder.path()).unwrap();
    assert_eq!(*index.space(), space());
    assert_eq!(names(&index), ["hat", "shoe"]);
    let row = index.row_of(&"shoe".into()).unwrap();
    let back = index.record(row).unwrap();
    assert_eq!(back.checksum(None), shoe.checksum(None));
    assert_eq!((back.image, back.stamp), (shoe.image, shoe.stamp));
    assert_eq!(
        (index.picture(row).unwrap(), index.text(row).unwrap()),
        (X.as_slice(), Some([0.0, 0.6, 0.8].as_slice()))
    );
    assert_eq!(index.text(0).unwrap(), None);
    assert_eq!(index.row_of(&"scarf".into()), None);
    assert_eq!(index.model_folder().join("model.toml").metadata().unwrap().len(), 1);
    assert_whole(&index);
}

#[test]
fn search_agrees_with_comparing_every_pair() {
    let (dim, count) = (13, 300);
    let mut rng = Seed(1).stream("test", 0);
    let mut draw = |rows: usize| {
        Vectors::normalised(dim, (0..rows * dim).map(|_| rng.f32() - 0.5).collect()).unwrap()
    };
    let (pictures, queries) = (draw(count), draw(4));
    let folder = tempfile::tempdir().unwrap();
    let space = Space { dim, ..space() };
    let mut writer = Writer::open(folder.path(), &space, &MODEL).unwrap();
    for numbers in (0..count).collect::<Vec<_>>().chunks(70) {
        let records: Vec<Record> =
            numbers.iter().map(|number| record(&format!("{:03}", count - number), &[])).collect();
        writer.add(&records, &pictures.select(numbers), &vec![None; numbers.len()]).unwrap();
        writer.commit().unwrap();
    }
    let index = Index::open(folder.path()).unwrap();
    let found = index.search(&Nearest::new(&queries, 9)).unwrap();
    for (query, found) in queries.rows().zip(&found) {
        let cosine = |row: &[f32]| row.iter().zip(query).map(|(x, y)| x * y).sum::<f32>();
        let mut expected: Vec<(f32, usize)> = pictures.rows().map(cosine).zip(0..).collect();
        expected.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (hit, (score, number)) in found.iter().zip(expected) {
            assert_eq!(hit.item.id.as_str(), format!("{:03}", count - number));
            assert!((hit.score - score).abs() < 1e-5);
        }
        assert_eq!(found.len(), 9);
    }
}

#[test]
fn ties_go_to_the_smaller_id_within_and_across_segments() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path());
    add(&mut writer, &[("f", X), ("b", X), ("d", X)]);
    writer.commit().unwrap();
    add(&mut writer, &[("e", X), ("c", X), ("a", X)]);
    writer.commit().unwrap();
    let index = Index::open(folder.path()).unwrap();
    for top in 0..=6 {
        assert_eq!(find(&index, X, top), ["a", "b", "c", "d", "e", "f"][..top]);
    }
    assert_eq!(find(&index, X, 100).len(), 6);
}

#[test]
fn a_reader_keeps_its_state_through_commits_removals_and_compaction() {
    let folder = index_of(&[("a", X), ("b", Y)]);
    let before = Index::open(folder.path()).unwrap();
    assert!(before.is_current().unwrap());

    let mut writer = writer(folder.path());
    add(&mut writer, &[("a", Z), ("c", X)]);
    assert_eq!(names(&Index::open(folder.path()).unwrap()), ["a", "b"]);
    writer.remove(&["b".into()]).unwrap();
    assert_eq!(names(&Index::open(folder.path()).unwrap()), ["a", "b"]);
    writer.commit().unwrap();
    writer.compact().unwrap();
    drop(writer);

    let after = Index::open(folder.path()).unwrap();
    assert_eq!(names(&after), ["a", "c"]);
    assert_eq!(
        (find(&after, X, 1), find(&after, Z, 1)),
        (vec!["c".to_owned()], vec!["a".to_owned()])
    );
    assert_eq!(names(&before), ["a", "b"]);
    assert_eq!(
        (find(&before, X, 1), find(&before, Y, 1)),
        (vec!["a".to_owned()], vec!["b".to_owned()])
    );
    assert_eq!(before.record(1).unwrap().texts, ["b"]);
    assert!(!before.is_current().unwrap());
    assert_whole(&before);
    assert_whole(&after);
}

#[test]
fn a_snapshot_knows_that_another_index_took_its_place() {
    let (folder, other) = (tempfile::tempdir().unwrap(), index_of(&[("b", Y)]));
    let place = folder.path().join("index");
    std::fs::create_dir(&place).unwrap();
    fill(&place, &[("a", X)]);
    let before = Index::open(&place).unwrap();
    assert!(before.is_current().unwrap() && before.is_current().unwrap());
    std::fs::rename(&place, folder.path().join("away")).unwrap();
    assert_eq!(before.is_current().unwrap_err().kind(), ErrorKind::NotFound);
    std::fs::rename(other.path(), &place).unwrap();
    assert!(!before.is_current().unwrap());
    let after = before.renewed().unwrap().unwrap();
    assert_eq!(after.ids(None).unwrap(), ["b".into()]);
    assert_eq!(names(&before), ["a"]);
}

#[test]
fn each_commit_of_a_writer_is_seen_by_the_snapshots_before_it() {
    let folder = index_of(&[("a", X)]);
    let first = Index::open(folder.path()).unwrap();
    assert!(first.is_current().unwrap());
    let mut writer = writer(folder.path());
    for id in ["b", "c"] {
        let latest = Index::open(folder.path()).unwrap();
        add(&mut writer, &[(id, Y)]);
        assert!(latest.is_current().unwrap());
        writer.commit().unwrap();
        assert!(!latest.is_current().unwrap() && !first.is_current().unwrap());
    }
    writer.compact().unwrap();
    assert_eq!(first.renewed().unwrap().unwrap().count(None).unwrap(), 3);
    assert_eq!(names(&first), ["a"]);
}

#[test]
fn what_was_not_committed_is_gone_with_its_files() {
    let folder = index_of(&[("a", X)]);
    let mut killed = writer(folder.path());
    add(&mut killed, &[("b", Y)]);
    // Writes the segments, as a long run does, but never names them.
    killed.remove(&["a".into()]).unwrap();
    drop(killed);
    assert_eq!(segment_files(folder.path()), 4);
    files::replace_bytes(&segment::folder(folder.path()).join(".000009.vectors.1.tmp"), b"LOOKS")
        .unwrap();

    drop(writer(folder.path()));
    assert_eq!(segment_files(folder.path()), 2);
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(names(&index), ["a"]);
    assert_whole(&index);
}

/// A model that is never written to its end.
#[derive(Debug)]
struct Failing;

impl Companion for Failing {
    fn is_in(&self, _: &Path) -> bool {
        false
    }

    fn write_to(&self, folder: &Path) -> Result<()> {
        files::replace_bytes(&folder.join("model.toml"), b"half")?;
        Err(Error::invalid("stopped"))
    }

    fn clear(&self, folder: &Path) -> Result<()> {
        MODEL.clear(folder)
    }
}

#[test]
fn an_index_that_was_killed_while_it_was_made_is_made_whole() {
    let folder = tempfile::tempdir().unwrap();
    let failed = Writer::open(folder.path(), &space(), &Failing);
    assert!(failed.is_err());
    assert!(Index::open(folder.path()).is_err());
    drop(writer(folder.path()));
    let index = Index::open(folder.path()).unwrap();
    assert!(index.is_empty() && MODEL.is_in(&index.model_folder()));
    assert_eq!(find(&index, X, 3), Vec::<String>::new());
    assert_whole(&index);
}

#[test]
fn a_second_writer_is_refused() {
    let folder = index_of(&[("a", X)]);
    let _first = writer(folder.path());
    let error = open(folder.path()).unwrap_err();
    assert!(error.message().contains("another looksee is writing"), "{error}");
}

#[test]
fn an_index_of_another_model_is_refused_with_both_models() {
    let folder = index_of(&[("a", X)]);
    let other = Space { fingerprint: "b7702e".to_owned(), dim: 128 };
    let error = Writer::open(folder.path(), &other, &MODEL).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    let message = error.to_string();
    let expected = "was made by model 3fa9c1 (3-d) but this is from model b7702e (128-d)";
    assert!(message.contains(expected), "{message}");
}

#[test]
fn queries_of_another_size_are_refused() {
    let index = Index::open(index_of(&[("a", X)]).path()).unwrap();
    let vectors = Vectors::normalised(2, vec![1.0, 0.0]).unwrap();
    let error = index.search(&Nearest::new(&vectors, 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
}

#[test]
fn what_is_no_index_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = Index::open(&folder.path().join("nothing")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    files::replace_bytes(&folder.path().join("photo.jpg"), b"").unwrap();
    let error = Index::open(folder.path()).unwrap_err();
    assert!(error.message().contains("not an index"), "{error}");
    let error = open(folder.path()).unwrap_err();
    assert!(error.message().contains("photo.jpg"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    files::replace_bytes(&store::path(folder.path()), &[7; 4096]).unwrap();
    assert_eq!(Index::open(folder.path()).unwrap_err().kind(), ErrorKind::Corrupt);
    std::fs::remove_file(store::path(folder.path())).unwrap();
    let foreign = rusqlite::Connection::open(store::path(folder.path())).unwrap();
    foreign.execute_batch("CREATE TABLE meta (name, value)").unwrap();
    let error = Index::open(folder.path()).unwrap_err();
    assert!(error.message().contains("another program"), "{error}");
}

#[test]
fn a_newer_format_asks_for_an_update() {
    let folder = index_of(&[("a", X)]);
    let connection = rusqlite::Connection::open(store::path(folder.path())).unwrap();
    connection.execute("UPDATE meta SET value = 4 WHERE name = 'format'", []).unwrap();
    let error = Index::open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.message(),
        "made by a newer looksee (format 4, this build reads 3): update looksee"
    );
    let error = open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn a_truncated_or_lost_segment_is_found_when_the_index_is_opened() {
    let folder = index_of(&[("a", X)]);
    let path = segment::path(folder.path(), 1);
    let bytes = files::read(&path).unwrap();
    files::replace_bytes(&path, &bytes[..bytes.len() - 1]).unwrap();
    let error = Index::open(folder.path()).unwrap_err();
    assert_eq!((error.kind(), error.file()), (ErrorKind::Corrupt, Some(path.as_path())));
    std::fs::remove_file(&path).unwrap();
    let error = Index::open(folder.path()).unwrap_err();
    assert_eq!((error.kind(), error.file()), (ErrorKind::Corrupt, Some(path.as_path())));
}

#[test]
fn check_finds_a_changed_vector_and_a_changed_record() {
    let folder = index_of(&[("a", X)]);
    let mut writer = writer(folder.path());
    add(&mut writer, &[("b", Y)]);
    writer.commit().unwrap();
    drop(writer);
    damage::flip(&segment::path(folder.path(), 1), 64);
    let connection = rusqlite::Connection::open(store::path(folder.path())).unwrap();
    connection.execute("UPDATE records SET fields = '{\"x\":1}' WHERE item = 2", []).unwrap();
    let check = Index::open(folder.path()).unwrap().check().unwrap();
    assert_eq!((check.items, check.segments, check.remedy), (0, 4, Remedy::Update));
    assert_eq!(check.problems.len(), 2, "{:?}", check.problems);
    assert!(
        check.problems[0]
            .ends_with("1 page is not what was written, the vectors of 1 item are lost")
    );
    assert!(check.problems[1].starts_with("item b: its record"));
}

#[test]
fn an_item_that_points_nowhere_or_at_another_item_is_damage() {
    for damage in ["picture_segment = 9", "picture_row = 7", "picture_row = 0", "text_segment = 1"]
    {
        for format in [1, 2, 3] {
            let folder = index_of(&[("a", X), ("b", Y)]);
            let connection = rusqlite::Connection::open(store::path(folder.path())).unwrap();
            connection.execute(&format!("UPDATE items SET {damage} WHERE id = 'b'"), []).unwrap();
            connection
                .execute("UPDATE meta SET value = ?1 WHERE name = 'format'", [format])
                .unwrap();
            let error = Index::open(folder.path()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{damage}: {error}");
        }
    }
}

#[test]
fn a_failed_write_leaves_the_last_commit() {
    let folder = index_of(&[("a", X)]);
    let mut writer = writer(folder.path());
    // A folder where the next segment should go, as good as a full disk.
    std::fs::create_dir(segment::path(folder.path(), 3)).unwrap();
    add(&mut writer, &[("a", Y), ("b", Z)]);
    writer.commit().unwrap_err();
    assert_eq!(writer.known(&"b".into()).unwrap(), None);
    drop(writer);
    let index = Index::open(folder.path()).unwrap();
    assert_eq!((names(&index), find(&index, X, 1)), (vec!["a".to_owned()], vec!["a".to_owned()]));
    assert_whole(&index);
}

#[test]
fn renewed_items_keep_their_picture_and_lose_or_change_their_text() {
    let folder = index_of(&[("a", X), ("b", X), ("c", X)]);
    let mut writer = writer(folder.path());
    let mut same_text = record("a", &["a"]);
    same_text.fields.insert("color".to_owned(), json!("red"));
    writer.renew(&same_text, None).unwrap();
    writer.renew(&record("b", &["new"]), Some(&Z)).unwrap();
    writer.renew(&record("c", &[]), None).unwrap();
    let error = writer.renew(&record("d", &[]), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    writer.commit().unwrap();

    let index = Index::open(folder.path()).unwrap();
    let texts: Vec<_> = (0..3).map(|row| index.text(row).unwrap()).collect();
    assert_eq!(texts, [Some(Y.as_slice()), Some(Z.as_slice()), None]);
    assert!((0..3).all(|row| index.picture(row).unwrap() == X));
    assert_eq!(index.record(0).unwrap().fields["color"], "red");
    assert_eq!(index.field_names().unwrap(), ["color"]);
    assert_whole(&index);
}

#[test]
fn an_item_that_waits_can_be_renewed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path());
    add(&mut writer, &[("a", X), ("b", Y)]);
    let mut renewed = record("a", &["a"]);
    renewed.group = Some("g".into());
    writer.renew(&renewed, None).unwrap();
    assert_eq!(writer.known(&"a".into()).unwrap().unwrap().record, renewed.checksum(None));
    assert_eq!(writer.remove(&["b".into(), "nobody".into()]).unwrap(), 1);
    writer.commit().unwrap();
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(
        (names(&index), index.picture(0).unwrap(), index.text(0).unwrap()),
        (vec!["a".to_owned()], X.as_slice(), Some(Y.as_slice()))
    );
    assert_eq!(index.record(0).unwrap().group.as_deref(), Some("g"));
}

#[test]
fn only_items_that_a_run_did_not_see_are_removed() {
    let folder = index_of(&[("a", X), ("b", Y), ("c", Z), ("d", Z)]);
    let mut writer = writer(folder.path());
    writer.keep(&"a".into()).unwrap();
    writer.renew(&record("b", &["b"]), None).unwrap();
    add(&mut writer, &[("e", X)]);
    writer.commit().unwrap();
    assert_eq!(writer.keep(&"nobody".into()).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(writer.remove_unseen().unwrap(), 2);
    writer.commit().unwrap();
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(names(&index), ["a", "b", "e"]);
    assert_whole(&index);
}

#[test]
fn compaction_gives_back_the_space_of_removed_rows() {
    let folder = index_of(&[("a", X), ("b", Y), ("c", Z)]);
    let mut writer = writer(folder.path());
    add(&mut writer, &[("b", X)]);
    writer.commit().unwrap();
    writer.remove(&["a".into()]).unwrap();
    writer.commit().unwrap();
    let (before, dead) = Index::open(folder.path()).unwrap().size().unwrap();
    assert_eq!((dead, segment_files(folder.path())), (4, 4));
    writer.compact().unwrap();
    drop(writer);
    let index = Index::open(folder.path()).unwrap();
    let (after, dead) = index.size().unwrap();
    assert_eq!((dead, segment_files(folder.path())), (0, 2));
    assert!(after < before, "{after} {before}");
    assert_eq!(
        (names(&index), find(&index, Z, 1)),
        (vec!["b".to_owned(), "c".to_owned()], vec!["c".to_owned()])
    );
    assert_eq!(index.text(0).unwrap(), Some(Y.as_slice()));
    assert_whole(&index);
}

#[test]
fn compaction_of_an_emptied_index_leaves_no_segment() {
    let folder = index_of(&[("a", X)]);
    let mut writer = writer(folder.path());
    assert_eq!(writer.remove_unseen().unwrap(), 1);
    writer.compact().unwrap();
    assert_eq!(segment_files(folder.path()), 0);
    assert!(Index::open(folder.path()).unwrap().is_empty());
}

#[test]
fn merging_takes_over_vectors_and_records_and_the_other_wins() {
    let (folder, other) =
        (index_of(&[("a", X), ("b", X)]), index_of(&[("b", Y), ("c", [0.1, 0.2, 0.3])]));
    let other = Index::open(other.path()).unwrap();
    let mut writer = writer(folder.path());
    assert_eq!(writer.merge(&other).unwrap(), 2);
    writer.commit().unwrap();
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(names(&index), ["a", "b", "c"]);
    assert_eq!(index.picture(1).unwrap(), Y);
    assert_eq!(
        (index.picture(2).unwrap(), index.text(2).unwrap()),
        (other.picture(1).unwrap(), other.text(1).unwrap())
    );
    assert_eq!(index.record(2).unwrap().checksum(None), other.record(1).unwrap().checksum(None));
    assert_whole(&index);

    let stranger = tempfile::tempdir().unwrap();
    let strange = Space { fingerprint: "b7702e".to_owned(), ..space() };
    drop(Writer::open(stranger.path(), &strange, &MODEL).unwrap());
    let error = writer.merge(&Index::open(stranger.path()).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
}

#[test]
fn vectors_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path());
    let (one, two) = (vectors(&[X]), Vectors::normalised(2, vec![1.0, 0.0]).unwrap());
    let records = [record("a", &["a"])];
    for (pictures, texts) in [
        (&one, vec![]),
        (&two, vec![None]),
        (&one, vec![Some(vec![1.0])]),
        (&Vectors::empty(DIM), vec![None]),
    ] {
        let error = writer.add(&records, pictures, &texts).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch, "{error}");
    }
}

/// Twenty items `00`..`19` in two segments with a price each, every other one of brand `x`.
fn priced() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path());
    for half in [0..10u16, 10..20] {
        let records: Vec<Record> = half
            .map(|number| {
                let mut record = record(&format!("{number:02}"), &[&format!("title {number}")]);
                record.fields.insert("price".to_owned(), json!(number));
                if number % 2 == 0 {
                    record.fields.insert("brand".to_owned(), json!("x"));
                }
                record.group = (number < 3).then(|| "low".into());
                record
            })
            .collect();
        let pictures = vectors(&[X; 10]);
        writer.add(&records, &pictures, &vec![Some(X.to_vec()); 10]).unwrap();
        writer.commit().unwrap();
    }
    folder
}

#[test]
fn a_filter_sees_fields_id_group_and_title() {
    let folder = priced();
    let index = Index::open(folder.path()).unwrap();
    for (condition, expected) in [
        ("price >= 3 and price < 5", vec!["03", "04"]),
        ("brand = \"x\" and price > 15", vec!["16", "18"]),
        ("id = \"07\"", vec!["07"]),
        ("group = \"low\"", vec!["00", "01", "02"]),
        ("title = \"title 12\"", vec!["12"]),
        ("price > 99", vec![]),
    ] {
        let filter = Filter::parse(condition).unwrap();
        let query = vectors(&[X]);
        let query = Nearest::new(&query, 9).among(Some(&filter));
        let found = index.search(&query).unwrap().remove(0);
        let found: Vec<&str> = found.iter().map(|hit| hit.item.id.as_str()).collect();
        assert_eq!(found, expected, "{condition}");
        assert_eq!(index.count(Some(&filter)).unwrap(), expected.len());
    }
    let many = Filter::parse("price < 19").unwrap();
    assert_eq!(index.count(Some(&many)).unwrap(), 19);
    let query = vectors(&[X]);
    let hits = index.search(&Nearest::new(&query, 19).among(Some(&many))).unwrap();
    assert_eq!(hits[0].last().unwrap().item.id.as_str(), "18");
    assert_eq!(index.count(None).unwrap(), 20);
}

#[test]
fn a_filter_on_a_field_that_no_item_has_lists_the_fields() {
    let folder = priced();
    let index = Index::open(folder.path()).unwrap();
    let error = index.count(Some(&Filter::parse("colour = 1").unwrap())).unwrap_err();
    assert_eq!(
        error.message(),
        "no item has a field \"colour\" (fields: brand, group, id, price, title)"
    );
}

#[test]
fn an_index_is_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Index>();
    let folder = index_of(&[("a", X), ("b", Y)]);
    let index = Index::open(folder.path()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(index.record(1).unwrap().id, ItemId::from("b")));
        }
    });
}

/// A folder with an index, and pictures in a library that can be moved.
struct Library(TempDir);

impl Library {
    fn new() -> Self {
        let library = Self(tempfile::tempdir().unwrap());
        for name in ["old/pictures/a.png", "old/pictures/b.png", "elsewhere/c.png"] {
            library.write(name);
        }
        library
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), name).unwrap();
    }

    fn index(&self) -> Index {
        Index::open(&self.path("index")).unwrap()
    }

    /// A writer of the index for a catalogue in `root`.
    fn writer(&self, root: &str) -> Writer {
        let mut writer = writer(&self.path("index"));
        writer.set_root(Some(self.path(root)));
        writer
    }

    fn add(&self, writer: &mut Writer, id: &str, picture: &str) {
        let record = Record { image: self.path(picture).into(), ..record(id, &[]) };
        writer.add(&[record], &vectors(&[X]), &[None]).unwrap();
    }

    /// An index of all three pictures, one of which is outside of the root.
    fn indexed(&self) {
        let mut writer = self.writer("old");
        self.add(&mut writer, "a", "old/pictures/a.png");
        self.add(&mut writer, "b", "old/pictures/b.png");
        self.add(&mut writer, "c", "elsewhere/c.png");
        writer.finish().unwrap();
    }

    /// The pictures of an index, by their paths in the library's folder.
    fn pictures(&self, index: &Index) -> Vec<String> {
        let picture = |row| index.record(row).unwrap().image.path().to_path_buf();
        let all = (0..index.len()).map(picture);
        all.map(|path| path.strip_prefix(self.0.path()).unwrap().display().to_string()).collect()
    }
}

#[test]
fn pictures_below_the_root_are_found_where_the_root_is() {
    let library = Library::new();
    library.indexed();
    let index = library.index();
    assert_eq!(index.root(), Some(&*library.path("old")));
    let all = ["old/pictures/a.png", "old/pictures/b.png", "elsewhere/c.png"];
    assert_eq!(library.pictures(&index), all);
    assert_whole(&index);
    std::fs::rename(library.path("old"), library.path("new")).unwrap();
    let moved = index.at_root(&library.path("new")).unwrap();
    let all = ["new/pictures/a.png", "new/pictures/b.png", "elsewhere/c.png"];
    assert_eq!(library.pictures(&moved), all);
    assert_whole(&moved);
    let error = moved.at_root(&library.path("old")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_picture_in_an_archive_below_the_root_moves_with_it() {
    let library = Library::new();
    let shard = library.path("old/shards/0001.tar");
    let member = Blob::part(shard.as_path(), 512, 9, Some("a.jpg")).unwrap();
    let mut writer = library.writer("old");
    let record = Record { image: member.clone(), ..record("a", &[]) };
    writer.add(&[record], &vectors(&[X]), &[None]).unwrap();
    writer.finish().unwrap();
    let index = library.index();
    assert_eq!(index.record(0).unwrap().image, member);
    std::fs::create_dir(library.path("new")).unwrap();
    let moved = index.at_root(&library.path("new")).unwrap().record(0).unwrap().image;
    assert_eq!((moved.range(), moved.name()), (Some((512, 9)), Some("a.jpg")));
    assert_eq!(moved.path(), library.path("new/shards/0001.tar"));
}

#[test]
fn a_new_root_leaves_items_that_were_not_seen_where_they_are() {
    let library = Library::new();
    library.indexed();
    library.write("new/pictures/a.png");
    let mut writer = library.writer("new");
    let known = writer.known(&"a".into()).unwrap().unwrap();
    let a = Record { image: library.path("new/pictures/a.png").into(), ..record("a", &[]) };
    assert_eq!(known.record, a.checksum(writer.root()), "it lies below the root as it did");
    writer.keep(&"a".into()).unwrap();
    assert_eq!(library.index().root(), Some(&*library.path("old")), "nothing is committed yet");
    writer.finish().unwrap();
    let index = library.index();
    assert_eq!(index.root(), Some(&*library.path("new")));
    let all = ["new/pictures/a.png", "old/pictures/b.png", "elsewhere/c.png"];
    assert_eq!(library.pictures(&index), all);
    assert_whole(&index);
}

#[test]
fn a_root_that_changes_on_the_way_is_right_at_each_commit() {
    let library = Library::new();
    library.indexed();
    let mut writer = library.writer("new");
    library.add(&mut writer, "d", "new/d.png");
    writer.commit().unwrap();
    let expected = ["old/pictures/a.png", "old/pictures/b.png", "elsewhere/c.png", "new/d.png"];
    assert_eq!(library.pictures(&library.index()), expected);
    library.add(&mut writer, "a", "new/pictures/a.png");
    drop(writer);
    assert_eq!(library.pictures(&library.index()), expected);
    assert_whole(&library.index());
}

#[test]
fn a_run_that_changes_nothing_and_does_not_finish_leaves_the_root() {
    let library = Library::new();
    library.indexed();
    let mut writer = library.writer("new");
    writer.commit().unwrap();
    assert_eq!(library.index().root(), Some(&*library.path("old")));
}

#[test]
fn merged_parts_of_other_roots_keep_their_pictures() {
    let library = Library::new();
    library.indexed();
    let part = library.index();
    let other = tempfile::tempdir().unwrap();
    let mut whole = writer(other.path());
    whole.merge(&part).unwrap();
    whole.commit().unwrap();
    let index = Index::open(other.path()).unwrap();
    assert_eq!((index.root(), library.pictures(&index)), (part.root(), library.pictures(&part)));
    whole.set_root(Some(library.path("elsewhere")));
    whole.merge(&part).unwrap();
    whole.finish().unwrap();
    let index = Index::open(other.path()).unwrap();
    assert_eq!(index.root(), Some(&*library.path("elsewhere")));
    assert_eq!(library.pictures(&index), library.pictures(&part));
    assert_whole(&index);
}

#[test]
fn pictures_that_are_gone_are_counted_and_a_place_near_the_index_is_named() {
    let library = Library::new();
    library.indexed();
    let gone = |index: &Index| {
        let pictures: Vec<_> = (0..3).map(|row| index.record(row).unwrap().image).collect();
        let mut gone = Gone::of(index);
        gone.look(&pictures);
        gone
    };
    let found = gone(&library.index());
    assert_eq!((found.looked_for, found.count, found.first), (3, 0, None));
    // Both move together.
    std::fs::create_dir(library.path("new")).unwrap();
    for name in ["old", "index"] {
        std::fs::rename(library.path(name), library.path("new").join(name)).unwrap();
    }
    let index = Index::open(&library.path("new/index")).unwrap();
    let found = gone(&index);
    assert_eq!((found.looked_for, found.count), (3, 2));
    assert_eq!(found.first, Some(library.path("old/pictures/a.png").into()));
    assert_eq!(found.found_below.as_deref(), Some(&*library.path("new/old")));
    let index = index.at_root(&library.path("new/old")).unwrap();
    assert_eq!(gone(&index).count, 0);
    // Somewhere else.
    std::fs::rename(library.path("new/old"), library.path("far")).unwrap();
    let found = gone(&index);
    assert_eq!((found.count, found.found_below), (2, None));
}

#[test]
fn a_root_that_was_named_holds_for_newer_snapshots_too() {
    let library = Library::new();
    library.indexed();
    std::fs::rename(library.path("old"), library.path("new")).unwrap();
    let index = library.index().at_root(&library.path("new")).unwrap();
    let mut writer = Writer::open_existing(index.folder()).unwrap();
    writer.remove(&["b".into()]).unwrap();
    writer.commit().unwrap();
    let newer = index.renewed().unwrap().unwrap();
    let found = newer.get(&["a".into()], Carry::RECORD).unwrap().remove(0).unwrap();
    assert_eq!(found.record.unwrap().image, library.path("new/pictures/a.png").into());
}

#[test]
fn an_index_that_remembers_no_root_cannot_be_told_another() {
    let folder = index_of(&[("a", X)]);
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(index.root(), None);
    let error = index.at_root(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("whole paths"), "{error}");
}

#[test]
fn an_index_to_which_nothing_was_committed_is_taken_away_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/index");
    let mut fresh = writer(&path);
    add(&mut fresh, &[("a", X)]);
    fresh.discard_if_empty(&MODEL);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    // With something in it, it stays.
    let mut fresh = writer(&path);
    add(&mut fresh, &[("a", X)]);
    fresh.commit().unwrap();
    fresh.discard_if_empty(&MODEL);
    assert_eq!(names(&Index::open(&path).unwrap()), ["a"]);
    // And so does one that was there before, be it empty.
    let mut again = writer(&path);
    again.remove(&["a".into()]).unwrap();
    again.commit().unwrap();
    again.discard_if_empty(&MODEL);
    writer(&path).discard_if_empty(&MODEL);
    assert!(Index::open(&path).unwrap().is_empty());
}

#[test]
fn only_what_the_writer_made_is_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    // The folder was there, and the model in it; a note came later.
    std::fs::create_dir_all(kept.join("model")).unwrap();
    std::fs::write(kept.join("model/model.toml"), "x").unwrap();
    writer(&kept).discard_if_empty(&MODEL);
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 1);
    assert_eq!(std::fs::read(kept.join("model/model.toml")).unwrap(), b"x");
    let noted = folder.path().join("noted");
    let fresh = writer(&noted);
    std::fs::write(noted.join("note.txt"), "mine").unwrap();
    std::fs::write(noted.join("segments/clip.mp4"), "mine").unwrap();
    fresh.discard_if_empty(&MODEL);
    let mut left: Vec<_> =
        std::fs::read_dir(&noted).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["note.txt", "segments"]);
    assert!(noted.join("segments/clip.mp4").is_file());
}

/// A model that cannot be written.
struct Unwritable;

impl Companion for Unwritable {
    fn is_in(&self, _: &Path) -> bool {
        false
    }

    fn write_to(&self, folder: &Path) -> Result<()> {
        Err(Error::invalid("no room").at_file(folder))
    }

    fn clear(&self, _: &Path) -> Result<()> {
        Ok(())
    }
}

#[test]
fn an_index_that_cannot_be_made_leaves_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Writer::open(&folder.path().join("new/index"), &space(), &Unwritable).is_err());
    assert!(!folder.path().join("new").exists());
}
