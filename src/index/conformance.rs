//! What every place for a collection has to do, as tests: for the local index, for a list in memory
//! that is searched by comparing every pair, and for whatever comes next.
//!
//! Another implementation implements [`MakesCollections`] and asserts that [`failures`] finds none.
//! The tests see traits only. That each of them can fail is tested as well: the list in memory has
//! [`memory::Fault`]s, and each must be found by the test that is there for it.

mod memory;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Filter;
use crate::filter::tests::table;
use crate::units::{ItemId, Seed};
use crate::vectors::Vectors;
use memory::{Fault, Memory};

/// A way to make collections.
pub(crate) trait MakesCollections {
    /// A new and empty place for vectors of this space.
    fn make(&self, space: &Space) -> Box<dyn Place>;
}

/// Where one collection lies.
pub(crate) trait Place {
    /// The one who changes it; the last one was dropped.
    fn sink(&self) -> Box<dyn Sink>;
    /// What was committed last.
    fn collection(&self) -> Arc<dyn Collection>;
}

/// A test and its name.
type Test = (&'static str, fn(&dyn MakesCollections));

/// All tests.
const SUITE: [Test; 18] = [
    ("hits are those of comparing every pair", search_agrees_with_every_pair),
    ("equal scores are ordered by name", ties_go_to_the_smaller_name),
    ("as many hits as were asked for", top_may_be_nothing_or_everything),
    ("a filter means the same everywhere", a_filter_means_the_same_everywhere),
    ("a filter means what the table says", a_filter_means_what_the_table_says),
    ("a filter sees id, group and title", a_filter_sees_id_group_and_title),
    ("looking up keeps the order and the gaps", get_keeps_order_and_gaps),
    ("what was asked for is carried, and only that", only_what_was_asked_for_is_carried),
    ("a visit is in order and ends with its error", a_visit_is_in_order_and_ends_with_its_error),
    ("rows are all vectors in the order of names", rows_are_all_vectors),
    ("items change as they were told to", items_change_as_they_were_told_to),
    ("unseen items go", unseen_items_go),
    ("a root changes no picture's place", a_root_changes_no_place),
    ("nothing shows before a commit", nothing_shows_before_a_commit),
    ("a snapshot stays as it is and can be renewed", a_snapshot_stays_and_is_renewed),
    ("what does not fit is an error of its kind", what_does_not_fit_is_an_error),
    ("an empty collection answers", an_empty_collection_answers),
    ("values are counted and ordered", values_are_counted_and_ordered),
];

/// The names of the tests that an implementation does not pass.
pub(crate) fn failures(makes: &dyn MakesCollections) -> Vec<&'static str> {
    let fails = |test: &&Test| catch_unwind(AssertUnwindSafe(|| (test.1)(makes))).is_err();
    SUITE.iter().filter(fails).map(|test| test.0).collect()
}

/// Indexes in folders of their own.
#[derive(Debug)]
struct Folders;

/// An index in a folder that goes with it.
struct Folder {
    folder: tempfile::TempDir,
    space: Space,
}

impl MakesCollections for Folders {
    fn make(&self, space: &Space) -> Box<dyn Place> {
        let folder = tempfile::tempdir().unwrap();
        drop(Writer::open(folder.path(), space, &NoModel).unwrap());
        Box::new(Folder { folder, space: space.clone() })
    }
}

impl Place for Folder {
    fn sink(&self) -> Box<dyn Sink> {
        Box::new(Writer::open(self.folder.path(), &self.space, &NoModel).unwrap())
    }

    fn collection(&self) -> Arc<dyn Collection> {
        Arc::new(Index::open(self.folder.path()).unwrap())
    }
}

#[test]
fn the_local_index_conforms() {
    assert_eq!(failures(&Folders), [""; 0]);
}

#[test]
fn a_list_in_memory_conforms() {
    assert_eq!(failures(&Memory::default()), [""; 0]);
}

#[test]
fn each_fault_is_found_by_the_test_for_it() {
    for (fault, test) in Fault::ALL {
        let found = failures(&Memory::with(fault));
        assert!(found.contains(&test), "{fault:?} is found by {found:?}, not by {test:?}");
    }
    for (test, _) in SUITE {
        assert!(
            Fault::ALL.iter().any(|fault| fault.1 == test),
            "nothing shows that {test:?} can fail"
        );
    }
}

// What the tests are made of.

const X: [f32; 2] = [1.0, 0.0];
const Y: [f32; 2] = [0.0, 1.0];
/// Between the two.
const XY: [f32; 2] = [0.6, 0.8];

fn plane() -> Space {
    Space { fingerprint: "3fa9c1".to_owned(), dim: 2 }
}

fn record(id: &str, fields: &Value) -> Record {
    Record {
        id: id.into(),
        image: format!("/pictures/{id}.png").into(),
        texts: vec![format!("title of {id}"), "more".to_owned()],
        fields: fields.as_object().unwrap().clone(),
        group: None,
        stamp: Stamp { size: 1, modified_ns: 2, content: id.len() as u64 },
    }
}

fn unit(rows: &[[f32; 2]]) -> Vectors {
    Vectors::normalised(2, rows.concat()).unwrap()
}

/// Adds items without fields, each with a text whose vector is the picture's with its two values
/// the other way round.
fn add(sink: &mut dyn Sink, items: &[(&str, [f32; 2])]) {
    for &(id, [x, y]) in items {
        sink.add(&[record(id, &json!({}))], &unit(&[[x, y]]), &[Some(vec![y, x])]).unwrap();
    }
}

/// A place with these items, committed.
fn place_of(makes: &dyn MakesCollections, items: &[(&str, [f32; 2])]) -> Box<dyn Place> {
    let place = makes.make(&plane());
    let mut sink = place.sink();
    add(&mut *sink, items);
    sink.commit().unwrap();
    drop(sink);
    place
}

/// A collection of items with these fields, and pictures from X to Y in their order.
fn with_fields(makes: &dyn MakesCollections, items: &[(&str, Value)]) -> Arc<dyn Collection> {
    let place = makes.make(&plane());
    let mut sink = place.sink();
    for (number, (id, fields)) in items.iter().enumerate() {
        let angle = number as f32 / items.len() as f32;
        sink.add(&[record(id, fields)], &unit(&[[angle.cos(), angle.sin()]]), &[None]).unwrap();
    }
    sink.commit().unwrap();
    drop(sink);
    place.collection()
}

fn names(collection: &dyn Collection) -> Vec<String> {
    collection.ids(None).unwrap().iter().map(ToString::to_string).collect()
}

fn find(collection: &dyn Collection, query: [f32; 2], top: usize) -> Vec<String> {
    let hits = collection.search(&Nearest::new(&unit(&[query]), top)).unwrap();
    assert_eq!(hits.len(), 1);
    hits[0].iter().map(|hit| hit.item.id.to_string()).collect()
}

fn get(collection: &dyn Collection, id: &str) -> Option<Found> {
    collection.get(&[id.into()], Carry::ALL).unwrap().pop().unwrap()
}

fn parsed(expression: &str) -> Filter {
    Filter::parse(expression).unwrap()
}

// The tests.

fn search_agrees_with_every_pair(makes: &dyn MakesCollections) {
    let (dim, count) = (13, 200);
    let mut rng = Seed(1).stream("conformance", 0);
    let mut draw = |rows: usize| {
        Vectors::normalised(dim, (0..rows * dim).map(|_| rng.f32() - 0.5).collect()).unwrap()
    };
    let (pictures, queries) = (draw(count), draw(3));
    let place = makes.make(&Space { dim, ..plane() });
    let mut sink = place.sink();
    let all: Vec<usize> = (0..count).collect();
    for numbers in all.chunks(70) {
        let records: Vec<Record> =
            numbers.iter().map(|n| record(&format!("{:03}", count - n), &json!({}))).collect();
        sink.add(&records, &pictures.select(numbers), &vec![None; numbers.len()]).unwrap();
        sink.commit().unwrap();
    }
    let found = place.collection().search(&Nearest::new(&queries, 9)).unwrap();
    assert_eq!(found.len(), 3);
    for (query, found) in queries.rows().zip(&found) {
        let cosine = |row: &[f32]| row.iter().zip(query).map(|(x, y)| x * y).sum::<f32>();
        let mut expected: Vec<(f32, usize)> = pictures.rows().map(cosine).zip(0..).collect();
        expected.sort_by(|a, b| b.0.total_cmp(&a.0));
        assert_eq!(found.len(), 9);
        for (hit, (score, number)) in found.iter().zip(expected) {
            assert_eq!(hit.item.id.as_str(), format!("{:03}", count - number));
            assert!((hit.score - score).abs() < 1e-5, "{} {score}", hit.score);
        }
    }
}

fn ties_go_to_the_smaller_name(makes: &dyn MakesCollections) {
    let place = place_of(makes, &[("f", X), ("b", X), ("d", X)]);
    let mut sink = place.sink();
    add(&mut *sink, &[("e", X), ("ä", X), ("c", X), ("B", X), ("a", Y)]);
    sink.commit().unwrap();
    // By the bytes of the names, in which capitals come first and umlauts last.
    let expected = ["B", "b", "c", "d", "e", "f", "ä", "a"];
    for top in 1..=expected.len() {
        assert_eq!(find(&*place.collection(), X, top), expected[..top]);
    }
}

fn top_may_be_nothing_or_everything(makes: &dyn MakesCollections) {
    let collection = place_of(makes, &[("a", Y), ("b", XY), ("c", X)]).collection();
    assert_eq!(find(&*collection, X, 0), [""; 0]);
    assert_eq!(find(&*collection, X, 2), ["c", "b"]);
    for top in [3, 4, 1000, usize::MAX] {
        assert_eq!(find(&*collection, X, top), ["c", "b", "a"]);
    }
    let queries = unit(&[X, Y]);
    let hits = collection.search(&Nearest::new(&queries, 1)).unwrap();
    let firsts: Vec<&str> = hits.iter().map(|hits| hits[0].item.id.as_str()).collect();
    assert_eq!(firsts, ["c", "a"]);
    assert!(hits.iter().flatten().all(|hit| (hit.score - 1.0).abs() < 1e-6));
}

fn a_filter_means_the_same_everywhere(makes: &dyn MakesCollections) {
    let ids: Vec<String> = (0..40).map(|number| format!("{number:02}")).collect();
    let fields = |number: usize| match number % 3 {
        0 => json!({"price": number}),
        1 => json!({"price": number.to_string(), "brand": "X"}),
        _ => json!({"brand": ["y", "x"]}),
    };
    let items: Vec<(&str, Value)> =
        ids.iter().enumerate().map(|(number, id)| (id.as_str(), fields(number))).collect();
    let collection = with_fields(makes, &items);
    for (expression, expected) in [
        ("price < 2", vec!["00", "01"]),
        ("price >= 37", vec!["37", "39"]),
        ("brand = 'y' and id > '34'", vec!["35", "38"]),
        ("brand is null and price > 30 and not price = 36", vec!["33", "39"]),
        ("price > 1000", vec![]),
    ] {
        let filter = parsed(expression);
        assert_eq!(collection.count(Some(&filter)).unwrap(), expected.len(), "{expression}");
        let visited = collection.ids(Some(&filter)).unwrap();
        assert_eq!(visited.iter().map(ItemId::as_str).collect::<Vec<_>>(), expected);
        // Pictures turn away from X in the order of the names.
        let query = unit(&[X]);
        let hits = collection.search(&Nearest::new(&query, 9).among(Some(&filter))).unwrap();
        let hits: Vec<&str> = hits[0].iter().map(|hit| hit.item.id.as_str()).collect();
        assert_eq!(hits, expected, "{expression}");
        let first = collection.search(&Nearest::new(&query, 1).among(Some(&filter))).unwrap();
        assert_eq!(first[0].len(), expected.len().min(1), "{expression}");
    }
    assert_eq!(collection.count(None).unwrap(), 40);
    assert_eq!(collection.field_names().unwrap(), ["brand", "price"]);
}

fn a_filter_means_what_the_table_says(makes: &dyn MakesCollections) {
    let table = table();
    let ids: Vec<String> = (0..table.len()).map(|number| format!("{number:03}")).collect();
    let mut items: Vec<(&str, Value)> =
        ids.iter().zip(&table).map(|(id, row)| (id.as_str(), row.0.clone())).collect();
    // Every field that a condition names is one that some item has.
    items.push(("names", json!({"a": 0, "b": 0, "net weight": 0, "in": 0})));
    let collection = with_fields(makes, &items);
    for (id, (fields, condition, expected)) in ids.iter().zip(&table) {
        let passing = collection.ids(Some(&parsed(condition))).unwrap();
        let passes = passing.iter().any(|passing| passing.as_str() == id);
        assert_eq!(passes, *expected, "{condition} of {fields}");
    }
}

fn a_filter_sees_id_group_and_title(makes: &dyn MakesCollections) {
    let place = makes.make(&plane());
    let mut sink = place.sink();
    let mut grouped = record("a", &json!({"title": "of its own"}));
    grouped.group = Some("g".into());
    sink.add(&[grouped, record("b", &json!({}))], &unit(&[X, Y]), &[None, None]).unwrap();
    sink.commit().unwrap();
    let collection = place.collection();
    for (expression, expected) in [
        ("id = 'A'", vec!["a"]),
        ("group = 'g'", vec!["a"]),
        ("group is null", vec!["b"]),
        ("title = 'of its own'", vec!["a"]),
        ("title = 'title of b'", vec!["b"]),
        ("title contains 'title of a' or title contains 'more'", vec![]),
    ] {
        let passing = collection.ids(Some(&parsed(expression))).unwrap();
        assert_eq!(
            passing.iter().map(ItemId::as_str).collect::<Vec<_>>(),
            expected,
            "{expression}"
        );
    }
}

fn get_keeps_order_and_gaps(makes: &dyn MakesCollections) {
    let collection = place_of(makes, &[("a", X), ("b", Y), ("c", XY)]).collection();
    let ids = ["c", "nobody", "a", "", "c", "B"].map(ItemId::from);
    let found = collection.get(&ids, Carry::NOTHING).unwrap();
    let found: Vec<Option<&str>> =
        found.iter().map(|found| found.as_ref().map(|found| found.id.as_str())).collect();
    assert_eq!(found, [Some("c"), None, Some("a"), None, Some("c"), None]);
    assert!(collection.get(&[], Carry::ALL).unwrap().is_empty());
}

fn only_what_was_asked_for_is_carried(makes: &dyn MakesCollections) {
    let collection = place_of(makes, &[("a", X), ("bb", XY)]).collection();
    let query = unit(&[XY]);
    for number in 0..16 {
        let bit = |at: usize| number >> at & 1 == 1;
        let carry = Carry { record: bit(0), content: bit(1), picture: bit(2), text: bit(3) };
        let found = collection.get(&["bb".into()], carry).unwrap().remove(0).unwrap();
        let hit = collection.search(&Nearest::new(&query, 1).carrying(carry)).unwrap();
        let mut visited = Vec::new();
        let visit = &mut |item| {
            visited.push(item);
            Ok(())
        };
        collection.visit(None, carry, visit).unwrap();
        for found in [&found, &hit[0][0].item, &visited[1]] {
            assert_eq!(found.id.as_str(), "bb");
            let record = found.record.as_ref().map(|record| record.checksum(None));
            let expected = record_of("bb").checksum(None);
            assert_eq!(record, carry.record.then_some(expected), "{carry:?}");
            assert_eq!(found.content, carry.content.then_some(2), "{carry:?}");
            assert_eq!(found.picture, carry.picture.then(|| XY.to_vec()), "{carry:?}");
            assert_eq!(found.text, carry.text.then(|| vec![0.8, 0.6]), "{carry:?}");
        }
    }
    let all = get(&*collection, "bb").unwrap().record.unwrap();
    assert_eq!((all.stamp, all.texts), (record_of("bb").stamp, record_of("bb").texts));
}

fn record_of(id: &str) -> Record {
    record(id, &json!({}))
}

fn a_visit_is_in_order_and_ends_with_its_error(makes: &dyn MakesCollections) {
    let collection = place_of(makes, &[("c", X), ("a", Y), ("d", X), ("b", XY)]).collection();
    assert_eq!(names(&*collection), ["a", "b", "c", "d"]);
    let mut seen = 0;
    let error = collection.visit(None, Carry::RECORD, &mut |item| {
        seen += 1;
        if item.id.as_str() == "b" { Err(Error::invalid("enough")) } else { Ok(()) }
    });
    assert_eq!((error.unwrap_err().message(), seen), ("enough", 2));
}

fn rows_are_all_vectors(makes: &dyn MakesCollections) {
    let place = place_of(makes, &[("ccc", X), ("a", Y)]);
    let mut sink = place.sink();
    sink.add(&[record_of("bb")], &unit(&[XY]), &[None]).unwrap();
    sink.commit().unwrap();
    let collection = place.collection();
    let rows = collection.rows().unwrap();
    assert_eq!((rows.len(), rows.dim(), rows.is_empty()), (3, 2, false));
    let ids: Vec<String> = (0..3).map(|row| rows.id(row).to_string()).collect();
    assert_eq!(ids, ["a", "bb", "ccc"]);
    let pictures: Vec<&[f32]> = (0..3).map(|row| rows.picture(row)).collect();
    assert_eq!(pictures, [Y, XY, X]);
    let texts: Vec<Option<&[f32]>> = (0..3).map(|row| rows.text(row)).collect();
    assert_eq!(texts, [Some(&X[..]), None, Some(&Y[..])]);
    assert_eq!([0, 1, 2].map(|row| rows.content(row)), [1, 2, 3]);
}

fn items_change_as_they_were_told_to(makes: &dyn MakesCollections) {
    let place = place_of(makes, &[("a", X), ("b", X), ("c", X), ("d", X), ("e", X)]);
    let mut sink = place.sink();
    let known = sink.known(&"a".into()).unwrap().unwrap();
    assert_eq!(
        (known.record, known.texts),
        (record_of("a").checksum(None), record_of("a").texts_checksum())
    );
    assert_eq!(known.stamp, record_of("a").stamp);
    let coloured = record("a", &json!({"color": "red"}));
    sink.renew(&coloured, None).unwrap();
    sink.renew(&Record { texts: vec!["new".to_owned()], ..record_of("b") }, Some(&XY)).unwrap();
    sink.renew(&Record { texts: Vec::new(), ..record_of("c") }, None).unwrap();
    sink.add(&[Record { group: Some("g".into()), ..record_of("d") }], &unit(&[Y]), &[None])
        .unwrap();
    assert_eq!(sink.remove(&["e".into(), "nobody".into()]).unwrap(), 1);
    assert_eq!(sink.known(&"a".into()).unwrap().unwrap().record, coloured.checksum(None));
    assert_eq!(sink.known(&"e".into()).unwrap(), None);
    sink.commit().unwrap();
    let collection = place.collection();
    assert_eq!(names(&*collection), ["a", "b", "c", "d"]);
    let of = |id| {
        let found = get(&*collection, id).unwrap();
        (found.picture.unwrap(), found.text)
    };
    assert_eq!(of("a"), (X.to_vec(), Some(Y.to_vec())));
    assert_eq!(of("b"), (X.to_vec(), Some(XY.to_vec())));
    assert_eq!(of("c"), (X.to_vec(), None));
    assert_eq!(of("d"), (Y.to_vec(), None));
    assert_eq!(collection.field_names().unwrap(), ["color"]);
    assert_eq!(find(&*collection, Y, 1), ["d"]);
    let group = get(&*collection, "d").unwrap().record.unwrap().group;
    assert_eq!(group.as_deref(), Some("g"));
}

fn unseen_items_go(makes: &dyn MakesCollections) {
    let place = place_of(makes, &[("a", X), ("b", Y), ("c", XY), ("d", XY)]);
    let mut sink = place.sink();
    sink.keep(&"a".into()).unwrap();
    sink.renew(&record_of("b"), None).unwrap();
    add(&mut *sink, &[("e", X)]);
    sink.commit().unwrap();
    assert_eq!(sink.remove_unseen().unwrap(), 2);
    sink.finish().unwrap();
    assert_eq!(names(&*place.collection()), ["a", "b", "e"]);
}

fn a_root_changes_no_place(makes: &dyn MakesCollections) {
    let place = makes.make(&plane());
    let images = |collection: &dyn Collection| {
        let image = |id| get(collection, id).unwrap().record.unwrap().image;
        [image("a"), image("b")]
    };
    let expected = ["a", "b"].map(|id| record_of(id).image);
    for root in [Some("/pictures"), Some("/elsewhere"), None] {
        let mut sink = place.sink();
        sink.set_root(root.map(Into::into));
        add(&mut *sink, &[("a", X), ("b", Y)]);
        sink.commit().unwrap();
        assert_eq!(images(&*place.collection()), expected, "{root:?}");
        drop(sink);
        // An update takes the item for unchanged.
        let sink = place.sink();
        let known = sink.known(&"a".into()).unwrap().unwrap();
        assert_eq!(known.record, record_of("a").checksum(sink.root()), "{root:?}");
    }
}

fn nothing_shows_before_a_commit(makes: &dyn MakesCollections) {
    let place = place_of(makes, &[("a", X)]);
    let mut sink = place.sink();
    add(&mut *sink, &[("b", Y)]);
    sink.remove(&["a".into()]).unwrap();
    assert_eq!(names(&*place.collection()), ["a"]);
    assert!(sink.known(&"b".into()).unwrap().is_some());
    drop(sink);
    let mut sink = place.sink();
    assert_eq!(names(&*place.collection()), ["a"]);
    assert!(sink.known(&"b".into()).unwrap().is_none());
    add(&mut *sink, &[("c", Y)]);
    sink.commit().unwrap();
    drop(sink);
    assert_eq!(names(&*place.collection()), ["a", "c"]);
}

fn a_snapshot_stays_and_is_renewed(makes: &dyn MakesCollections) {
    let place = place_of(makes, &[("a", X), ("b", Y)]);
    let before = place.collection();
    assert!(before.renewed().unwrap().is_none());
    let mut sink = place.sink();
    add(&mut *sink, &[("a", Y), ("c", X)]);
    assert!(before.renewed().unwrap().is_none());
    sink.commit().unwrap();
    sink.remove(&["b".into()]).unwrap();
    sink.finish().unwrap();
    drop(sink);
    let after = before.renewed().unwrap().unwrap();
    assert!(after.renewed().unwrap().is_none());
    assert_eq!(
        (names(&*after), find(&*after, X, 1)),
        (vec!["a".into(), "c".into()], vec!["c".into()])
    );
    assert_eq!(
        (names(&*before), find(&*before, X, 1)),
        (vec!["a".into(), "b".into()], vec!["a".into()])
    );
    let old = get(&*before, "a").unwrap();
    assert_eq!((old.picture.unwrap(), get(&*before, "c").is_none()), (X.to_vec(), true));
    assert_eq!((before.count(None).unwrap(), before.rows().unwrap().len()), (2, 2));
    assert!(before.renewed().unwrap().is_some(), "asking once more is allowed");
}

fn what_does_not_fit_is_an_error(makes: &dyn MakesCollections) {
    let place = place_of(makes, &[("a", X)]);
    let collection = place.collection();
    let kind = |result: Result<()>| result.map_err(|error| error.kind());
    let three = Vectors::normalised(3, vec![1.0, 0.0, 0.0]).unwrap();
    let search = |query: &Nearest<'_>| kind(collection.search(query).map(drop));
    assert_eq!(search(&Nearest::new(&three, 1)), Err(ErrorKind::Mismatch));
    let (two, unknown) = (unit(&[X]), parsed("color = 1"));
    let invalid = Err(ErrorKind::Invalid);
    assert_eq!(search(&Nearest::new(&two, 1).among(Some(&unknown))), invalid);
    assert_eq!(kind(collection.count(Some(&unknown)).map(drop)), invalid);
    assert_eq!(kind(collection.ids(Some(&unknown)).map(drop)), invalid);
    assert_eq!(kind(collection.value_counts("color", None).map(drop)), invalid);
    assert_eq!(kind(collection.ids_by("color", Order::Ascending, None).map(drop)), invalid);

    let mismatch = Err(ErrorKind::Mismatch);
    let add = |pictures: &Vectors, texts: &[Option<Vec<f32>>]| {
        kind(place.sink().add(&[record_of("b")], pictures, texts))
    };
    assert_eq!(add(&three, &[None]), mismatch);
    assert_eq!(add(&two, &[]), mismatch);
    assert_eq!(add(&two, &[Some(vec![1.0])]), mismatch);
    assert_eq!(add(&Vectors::empty(2), &[None]), mismatch);
    let missing = Err(ErrorKind::NotFound);
    assert_eq!(kind(place.sink().keep(&"nobody".into())), missing);
    assert_eq!(kind(place.sink().renew(&record_of("nobody"), None)), missing);
    assert_eq!(names(&*place.collection()), ["a"]);
}

fn an_empty_collection_answers(makes: &dyn MakesCollections) {
    let place = makes.make(&plane());
    let collection = place.collection();
    assert_eq!(*collection.space(), plane());
    assert_eq!(*place.sink().space(), plane());
    assert_eq!((collection.count(None).unwrap(), names(&*collection)), (0, vec![]));
    let hits = collection.search(&Nearest::new(&unit(&[X, Y]), 3)).unwrap();
    assert!(hits.len() == 2 && hits.iter().all(Vec::is_empty));
    assert!(collection.rows().unwrap().is_empty());
    assert!(collection.get(&["a".into()], Carry::ALL).unwrap()[0].is_none());
    assert_eq!(collection.count(Some(&parsed("id = 'a'"))).unwrap(), 0);
    assert_eq!(collection.field_names().unwrap(), [""; 0]);
}

fn values_are_counted_and_ordered(makes: &dyn MakesCollections) {
    let collection = with_fields(
        makes,
        &[
            ("a", json!({"color": "Red", "price": 20, "details": {"size": "S"}})),
            ("b", json!({"color": ["red", "Blue", "RED"], "price": "3"})),
            ("c", json!({"color": "blue", "price": "on request"})),
            ("d", json!({"color": null, "price": 3.0})),
            ("e", json!({"color": "green"})),
        ],
    );
    let counted = |field, filter: Option<&Filter>| {
        let counts = collection.value_counts(field, filter).unwrap();
        counts.into_iter().map(|(value, count)| format!("{value} {count}")).collect::<Vec<_>>()
    };
    assert_eq!(counted("color", None), ["Blue 2", "Red 2", "green 1"]);
    assert_eq!(counted("color", Some(&parsed("price < 10"))), ["Blue 1", "red 1"]);
    assert_eq!(counted("details.size", None), ["S 1"]);
    let ordered = |order, filter: Option<&Filter>| {
        let ids = collection.ids_by("price", order, filter).unwrap();
        ids.iter().map(ToString::to_string).collect::<String>()
    };
    assert_eq!(ordered(Order::Ascending, None), "bdace");
    assert_eq!(ordered(Order::Descending, None), "cabde");
    assert_eq!(ordered(Order::Ascending, Some(&parsed("color is not null"))), "bace");
}
