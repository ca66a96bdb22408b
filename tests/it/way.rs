//! The way of a picture: catalogue, model, index, answers, figures.

use std::path::Path;

use looksee::catalogue::Reason;
use looksee::embed::{self, UpdateOptions, Updated};
use looksee::encoder::Model;
use looksee::eval::{self, Options};
use looksee::filter::Filter;
use looksee::index::{Carry, Check, Space, Writer};
use looksee::search::{Choice, NoPictures, Searcher};
use looksee::train::Job;
use looksee::units::{Seed, Stop};
use looksee::{Encoder, ErrorKind, Result};

use crate::shop::{self, COLOURS, HELD_OUT, LEARNED, Shop};

/// Brings the index up to date with the catalogue in this file.
fn update(catalogue: &Path, model: &Model, index: &Path, stop: &Stop) -> Result<Updated> {
    let mut writer = Writer::open(index, &embed::space_of(model), model)?;
    let (source, options) = (shop::source(catalogue), UpdateOptions::default());
    embed::update(&source, model, &mut writer, &options, stop, &mut |_| {})
}

/// The names of the closest pictures to these words.
fn found(shop: &Searcher, words: &str, top: usize, filter: Option<Filter>) -> Vec<String> {
    let choice = Choice { top, filter, ..Choice::default() };
    let hits = shop.answer(words, &choice, &NoPictures).unwrap().hits;
    hits.into_iter().map(|hit| hit.id.to_string()).collect()
}

#[test]
fn words_find_the_pictures_that_they_describe_among_those_never_seen() {
    let shop = Shop::shared();
    let (model, folder) = (shop.model(), tempfile::tempdir().unwrap());
    let catalogue = shop.path("held-out.csv");
    let updated = update(&catalogue, &model, folder.path(), &Stop::default()).unwrap();
    assert_eq!((updated.added, updated.ledger.used), (20, 20));
    let searcher = Searcher::open(folder.path()).unwrap();
    let index = searcher.collection();
    assert_eq!((index.count(None).unwrap(), index.space()), (20, &embed::space_of(&model)));
    for (colour, _) in COLOURS {
        let mut expected: Vec<_> = HELD_OUT.map(|number| format!("{colour}-{number}")).collect();
        let mut names = found(&searcher, &format!("{colour} square"), 4, None);
        expected.sort();
        names.sort();
        assert_eq!(names, expected);
    }
    // A condition is kept, whatever the words say.
    let filter = Filter::parse("colour = \"blue\"").unwrap();
    let names = found(&searcher, "red square", 9, Some(filter.clone()));
    assert_eq!(names.len(), 4);
    assert!(names.iter().all(|name| name.starts_with("blue-")), "{names:?}");
    assert_eq!(index.count(Some(&filter)).unwrap(), 4);
    let found = index.get(&[names[0].as_str().into()], Carry::RECORD).unwrap().remove(0).unwrap();
    assert_eq!(found.record.unwrap().texts, ["blue square"]);
}

#[test]
fn a_model_is_measured_on_pictures_that_it_never_saw() {
    let shop = Shop::shared();
    let (source, options) = (shop::source(&shop.path("held-out.csv")), Options::default());
    let report =
        eval::run(&source, &shop.model(), &options, &Stop::default(), &mut |_| {}).unwrap();
    assert_eq!(report.gallery, 20);
    let texts = report.texts.unwrap();
    // Four of twenty answer a text that they share.
    assert!((texts.chance.r1 - 0.2).abs() < 1e-6, "{:?}", texts.chance);
    assert!(texts.text_to_image.r1 > 0.9, "{:?}", texts.text_to_image);
}

#[test]
fn an_update_that_was_stopped_goes_on_and_one_of_another_model_is_refused() {
    let shop = Shop::shared();
    let (model, folder) = (shop.model(), tempfile::tempdir().unwrap());
    let catalogue = shop.path("learned.csv");
    let stop = Stop::default();
    stop.ask();
    let error = update(&catalogue, &model, folder.path(), &stop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    let all = COLOURS.len() * LEARNED.len();
    for (added, unchanged) in [(all, 0), (0, all)] {
        let updated = update(&catalogue, &model, folder.path(), &Stop::default()).unwrap();
        assert_eq!((updated.added, updated.unchanged, updated.changed), (added, unchanged, 0));
    }
    let other = Space { fingerprint: "another".to_owned(), ..embed::space_of(&model) };
    let error = Writer::open(folder.path(), &other, &model).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    assert_eq!(Check::of(folder.path()).unwrap().items, all);
}

#[test]
fn a_picture_that_cannot_be_read_costs_itself_alone_and_is_told() {
    let (model, folder) = (Shop::shared().model(), tempfile::tempdir().unwrap());
    let catalogue = shop::write(folder.path(), "shop.csv", 0..1);
    std::fs::write(folder.path().join("blue-0.png"), "no picture").unwrap();
    let index = folder.path().join("index");
    let updated = update(&catalogue, &model, &index, &Stop::default()).unwrap();
    assert_eq!((updated.added, updated.ledger.skipped.len()), (4, 1));
    let skipped = &updated.ledger.skipped[0];
    // The third row after the header.
    assert_eq!((skipped.reason, skipped.place.line), (Reason::Unreadable, Some(4)));
}

#[test]
fn the_same_seed_makes_the_same_model_and_a_folder_with_a_model_is_not_written_over() {
    let shop = Shop::shared();
    let folder = tempfile::tempdir().unwrap();
    let short = |output: &str, seed| {
        let mut job = shop::job(&shop.path("learned.csv"), &folder.path().join(output));
        job.recipe.set("schedule.steps", "2").unwrap();
        Job { seed: Seed(seed), ..job }
    };
    let jobs = [short("model", 1), short("again", 1), short("other", 2)];
    let fingerprints = jobs.each_ref().map(|job| {
        assert_eq!(shop::train(job).unwrap().steps, 2);
        Model::load(&job.output).unwrap().fingerprint().to_owned()
    });
    assert_eq!(fingerprints[0], fingerprints[1]);
    assert_ne!(fingerprints[0], fingerprints[2]);
    let error = shop::train(&jobs[0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(error.file(), Some(jobs[0].output.as_path()));
}
