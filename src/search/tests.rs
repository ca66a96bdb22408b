use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::*;
use crate::encoder::Encoder;
use crate::error::{ErrorKind, Result};
use crate::files::Blob;
use crate::filter::{Fields, Filter};
use crate::images::{self, Fit, Frame, ImageBatch};
use crate::index::{Index, NoModel, Record, Sink, Space, Stamp, Writer};
use crate::vectors::Vectors;

/// A model of two values a vector, to which a cosine is a chance: every text lies at 0 degrees,
/// every picture at 90.
#[derive(Default)]
struct Plane {
    /// Told when a batch of pictures has begun; it ends when the words have their answer.
    begun: Option<SyncSender<()>>,
    words_answered: AtomicBool,
}

impl Encoder for Plane {
    fn fingerprint(&self) -> &'static str {
        "plane"
    }
    fn dim(&self) -> usize {
        2
    }
    fn frame(&self) -> Frame {
        Frame { width_px: 1, height_px: 1, fit: Fit::Crop, filter: images::Filter::default() }
    }
    fn images(&self, batch: &ImageBatch) -> Result<Vectors> {
        if let Some(begun) = &self.begun {
            begun.send(()).unwrap();
            // All threads there are, as a real tower does.
            rayon::broadcast(|_| self.wait_for_words());
        }
        Vectors::normalised(2, [0.0, 1.0].repeat(batch.len()))
    }
    fn texts(&self, texts: &[&str]) -> Result<Vectors> {
        // On a thread of the common pool, as a real tower does.
        rayon::scope(|scope| scope.spawn(|_| ()));
        Vectors::normalised(2, [1.0, 0.0].repeat(texts.len()))
    }
    fn unknown_words(&self, text: &str) -> Vec<String> {
        text.split(' ').filter(|word| word.starts_with('x')).map(str::to_owned).collect()
    }
    fn probability(&self, cosine: f32) -> f32 {
        cosine.max(0.0)
    }
}

impl Plane {
    fn wait_for_words(&self) {
        let begun = Instant::now();
        while !self.words_answered.load(Ordering::Relaxed) {
            assert!(begun.elapsed() < Duration::from_mins(1), "the words wait for the picture");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn record(place: usize) -> Record {
    Record {
        id: format!("i{place:02}").into(),
        image: Blob::from(format!("/{place}.jpg")),
        texts: vec![format!("title {place}"), "more".to_owned()],
        fields: Fields::from_iter([("place".to_owned(), place.into())]),
        group: None,
        stamp: Stamp { size: 1, modified_ns: 1, content: place as u64 },
    }
}

/// Adds items at these angles (degrees), named by their place, the first of which is `first`.
fn add(folder: &Path, first: usize, angles: &[f32]) {
    let space = Space { fingerprint: "plane".to_owned(), dim: 2 };
    let mut writer = Writer::open(folder, &space, &NoModel).unwrap();
    let values = angles.iter().map(|angle| angle.to_radians()).flat_map(|a| [a.cos(), a.sin()]);
    let pictures = Vectors::normalised(2, values.collect()).unwrap();
    let records: Vec<_> = (first..first + angles.len()).map(record).collect();
    writer.add(&records, &pictures, &vec![None; angles.len()]).unwrap();
    writer.commit().unwrap();
}

fn searcher(angles: &[f32]) -> (tempfile::TempDir, Searcher) {
    let folder = tempfile::tempdir().unwrap();
    add(folder.path(), 0, angles);
    let index = Arc::new(Index::open(folder.path()).unwrap());
    let searcher = Searcher::new(index, Arc::new(Plane::default())).unwrap();
    (folder, searcher)
}

fn choice(top: usize) -> Choice {
    Choice { top, ..Choice::default() }
}

fn answer_of(angles: &[f32], choice: &Choice) -> Answer {
    searcher(angles).1.answer("red", choice, &NoPictures).unwrap()
}

fn ids(answer: &Answer) -> Vec<&str> {
    answer.hits.iter().map(|hit| hit.id.as_str()).collect()
}

fn png() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(2, 2).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[test]
fn hits_come_closest_first_and_ranks_count_from_the_first_of_all() {
    let answer = answer_of(&[50.0, 10.0, 90.0, 30.0], &choice(2));
    assert_eq!(ids(&answer), ["i01", "i03"]);
    assert_eq!((answer.total, answer.confident), (4, Some(true)));
    assert_eq!(answer.hits[0].title.as_deref(), Some("title 1"));
    let next = Choice { offset: 2, ..choice(2) };
    let answer = answer_of(&[50.0, 10.0, 90.0, 30.0], &next);
    assert_eq!(ids(&answer), ["i00", "i02"]);
    assert_eq!(answer.hits[0].rank, 3);
    assert_eq!(answer.confident, Some(true), "the best of all hits counts");
}

#[test]
fn duplicates_stand_behind_the_first_and_do_not_use_up_places() {
    let mut angles = vec![5.0; 40];
    angles.push(45.0);
    let answer = answer_of(&angles, &Choice { hide_duplicates: true, ..choice(2) });
    assert_eq!(ids(&answer), ["i00", "i40"]);
    assert_eq!(answer.hits[0].duplicates.len(), 39);
}

#[test]
fn a_bound_on_the_chance_may_leave_nothing() {
    let bound = |least| Choice { min_probability: Some(least), ..choice(9) };
    assert_eq!(ids(&answer_of(&[50.0, 10.0], &bound(0.9))), ["i01"]);
    let answer = answer_of(&[50.0, 60.0], &bound(0.9));
    assert!(answer.hits.is_empty() && answer.confident == Some(false));
}

#[test]
fn a_filter_narrows_what_is_counted_and_found() {
    let filter = Some(Filter::parse("place >= 2").unwrap());
    let answer = answer_of(&[0.0, 1.0, 40.0, 30.0], &Choice { filter, ..choice(9) });
    assert_eq!((answer.total, ids(&answer)), (2, vec!["i03", "i02"]));
}

#[test]
fn chance_and_confidence_of_a_picture_are_unknown() {
    let (_folder, searcher) = searcher(&[10.0, 80.0]);
    let query = Query::of(Content::Upload(0));
    let answer = searcher.answer(query, &choice(1), &Uploads(vec![png()])).unwrap();
    assert_eq!(ids(&answer), ["i01"]);
    assert_eq!((answer.confident, answer.hits[0].probability), (None, None));
}

#[test]
fn diverse_answers_pass_over_what_looks_the_same() {
    let angles = [5.0, 5.1, 5.2, -35.0];
    assert_eq!(ids(&answer_of(&angles, &choice(2))), ["i00", "i01"]);
    let diverse = answer_of(&angles, &Choice { diverse: true, ..choice(2) });
    assert_eq!(ids(&diverse), ["i00", "i03"]);
}

#[test]
fn a_query_may_name_items_and_is_their_weighted_sum() {
    let (_folder, searcher) = searcher(&[10.0, 50.0, 32.0]);
    let answer = searcher.search("id:i00 + id:i01").unwrap();
    assert_eq!(ids(&answer)[0], "i02", "between the two");
    let error = searcher.search("id:nobody").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn no_query_can_make_a_searcher_read_the_disk_of_whoever_searches_for_others() {
    let (folder, searcher) = searcher(&[10.0]);
    let path = folder.path().join("secret.png");
    std::fs::write(&path, png()).unwrap();
    let by_hand = Query::of(Content::File(path.clone()));
    let by_json: Query = serde_json::from_value(serde_json::json!({
        "parts": [{"weight": 1.0, "content": {"file": path}}]
    }))
    .unwrap();
    for query in [by_hand, by_json, Query::of(Content::StandardInput)] {
        for references in [&NoPictures as &dyn References, &Uploads(vec![png()])] {
            let refused = searcher.answer(&query, &choice(1), references).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Invalid, "{query}");
            let content = &query.parts[0].content;
            assert!(searcher.picture(content, references).is_err(), "{query}");
        }
    }
    assert!(searcher.search(path.to_str().unwrap()).is_err());
    let local = searcher.answer(Query::of(Content::File(path)), &choice(1), &PictureFiles);
    assert_eq!(local.unwrap().hits.len(), 1);
}

#[test]
fn a_query_from_a_stranger_has_parts_and_weights_that_are_numbers() {
    let (_folder, searcher) = searcher(&[10.0]);
    let words = || Content::Words("red".to_owned());
    for query in [
        Query { parts: Vec::new() },
        Query::of(words()).and(0.0, words()),
        Query::of(words()).and(f32::NAN, words()),
        Query::of(Content::Upload(0)),
    ] {
        let error = searcher.search(&query).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{query}");
    }
}

#[test]
fn words_that_the_model_has_never_seen_are_named() {
    let (_folder, searcher) = searcher(&[10.0]);
    let query = Query::parse("red xylo - xenon", Allowed::WORDS).unwrap().query;
    assert_eq!(searcher.unknown_words(&query), ["xylo", "xenon"]);
}

#[test]
fn a_searcher_takes_what_a_writer_committed_when_it_is_asked_to() {
    let (folder, searcher) = searcher(&[50.0]);
    assert!(!searcher.refresh().unwrap(), "nothing is newer");
    let before = searcher.collection();
    add(folder.path(), 1, &[10.0]);
    assert_eq!(ids(&searcher.search("red").unwrap()), ["i00"], "not before it is asked to");
    assert!(searcher.refresh().unwrap());
    assert_eq!(ids(&searcher.search("red").unwrap()), ["i01", "i00"]);
    assert_eq!(before.count(None).unwrap(), 1, "a search under way keeps what it began with");
    assert!(!searcher.refresh().unwrap());
}

#[test]
fn an_index_of_another_model_is_not_searched() {
    let folder = tempfile::tempdir().unwrap();
    let space = Space { fingerprint: "other".to_owned(), dim: 2 };
    drop(Writer::open(folder.path(), &space, &NoModel).unwrap());
    let index = Arc::new(Index::open(folder.path()).unwrap());
    let error = Searcher::new(index, Arc::new(Plane::default())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
}

#[test]
fn words_do_not_wait_for_pictures() {
    let folder = tempfile::tempdir().unwrap();
    add(folder.path(), 0, &[10.0]);
    let (begun, has_begun) = sync_channel(1);
    let encoder = Arc::new(Plane { begun: Some(begun), ..Plane::default() });
    let index = Arc::new(Index::open(folder.path()).unwrap());
    let searcher = Searcher::new(index, encoder.clone()).unwrap();
    let uploads = Uploads(vec![png()]);
    std::thread::scope(|scope| {
        let picture =
            scope.spawn(|| searcher.answer(Query::of(Content::Upload(0)), &choice(1), &uploads));
        has_begun.recv().unwrap();
        let words = searcher.search("red").unwrap();
        encoder.words_answered.store(true, Ordering::Relaxed);
        assert_eq!(words.hits.len(), 1);
        assert_eq!(picture.join().unwrap().unwrap().hits.len(), 1);
    });
}

#[test]
fn an_answer_has_the_names_of_the_contract() {
    let answer = answer_of(&[10.0], &choice(1));
    let json = serde_json::to_value(&answer).unwrap();
    let mut names: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
    names.sort();
    assert_eq!(names, ["confident", "hits", "query", "took_ms", "total"]);
    let mut names: Vec<_> = json["hits"][0].as_object().unwrap().keys().cloned().collect();
    names.sort();
    assert_eq!(
        names,
        [
            "distance",
            "duplicates",
            "fields",
            "id",
            "image",
            "probability",
            "rank",
            "score",
            "title"
        ]
    );
}
