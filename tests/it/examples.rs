//! The examples do what they say. Each is compiled here as a module, so that it cannot rot.

use std::path::Path;

use looksee::images::Limits;
use looksee::train::Recipe;

#[path = "../../examples/index_and_search.rs"]
#[expect(dead_code, reason = "its main is for the command line")]
mod index_and_search;
#[path = "../../examples/map_of_vectors.rs"]
#[expect(dead_code, reason = "its main is for the command line")]
mod map_of_vectors;
#[path = "../../examples/own_encoder.rs"]
#[expect(dead_code, reason = "its main is for the command line")]
mod own_encoder;
#[path = "../../examples/train_and_measure.rs"]
#[expect(dead_code, reason = "its main is for the command line")]
mod train_and_measure;

const COLOURS: [(&str, [u8; 3]); 4] =
    [("red", [220, 40, 40]), ("green", [40, 170, 60]), ("blue", [40, 70, 220]), ("grey", [128; 3])];

/// Pictures whose names are their texts: four colours, each so many times.
fn write_pictures(folder: &Path, each: usize) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, rgb) in COLOURS {
        for number in 0..each {
            let side = 16 + number as u32;
            let picture = image::RgbImage::from_pixel(side, side, image::Rgb(rgb));
            picture.save(folder.join(format!("{name} {number}.png"))).unwrap();
        }
    }
}

/// A recipe that is done in a moment.
fn tiny() -> Recipe {
    let mut recipe = Recipe::named("default").unwrap();
    for (key, value) in [
        ("image.width", "16"),
        ("image.height", "16"),
        ("dim", "8"),
        ("batch_size", "8"),
        ("schedule.steps", "20"),
        ("schedule.learning_rate", "0.003"),
        ("text_tower.embedding", "8"),
        ("text_tower.hidden", "8"),
        ("validation", "0.2"),
    ] {
        recipe.set(key, value).unwrap();
    }
    recipe
}

#[test]
fn a_model_is_trained_and_measured_and_its_index_searched() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    write_pictures(&path("shop"), 6);
    write_pictures(&path("held out"), 2);
    let report =
        train_and_measure::run(tiny(), &path("shop"), &path("held out"), &path("model")).unwrap();
    assert_eq!(report.gallery, 8);
    let answer =
        index_and_search::run(&path("model"), &path("shop"), &path("index"), "red").unwrap();
    assert_eq!((answer.total, answer.hits.len()), (24, 9));
    assert!(looksee::images::open(&answer.hits[0].image, Limits::default()).is_ok());
}

#[test]
fn an_encoder_of_ones_own_finds_by_its_own_measure() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    write_pictures(&pictures, 2);
    let answer = own_encoder::run(&pictures, &folder.path().join("index"), "green").unwrap();
    assert!(answer.hits[..2].iter().all(|hit| hit.id.as_str().starts_with("green")));
}

#[test]
fn what_lies_together_lies_together_on_the_map() {
    let each = 60;
    let map = map_of_vectors::run(&map_of_vectors::heaps(each)).unwrap();
    let nearest = |place: usize| {
        let distance = |other: &usize| {
            let (a, b) = (map.positions[place], map.positions[*other]);
            (a[0] - b[0]).hypot(a[1] - b[1])
        };
        let others = (0..map.positions.len()).filter(|&other| other != place);
        others.min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap()
    };
    let at_home = (0..3 * each).filter(|&place| place / each == nearest(place) / each).count();
    assert_eq!(at_home, 3 * each);
}
