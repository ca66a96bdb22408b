//! Made-up pictures in plain colours, and a model that has learned them.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use image::{Rgb, RgbImage};
use looksee::Result;
use looksee::catalogue::Source;
use looksee::encoder::Model;
use looksee::train::{self, Job, Outcome, Recipe};
use looksee::units::{Seed, Stop};

pub(crate) const COLOURS: [(&str, [u8; 3]); 5] = [
    ("red", [220, 40, 40]),
    ("green", [40, 170, 60]),
    ("blue", [40, 70, 220]),
    ("yellow", [240, 210, 40]),
    ("black", [20, 20, 20]),
];
/// Squares of each colour in the catalogue that is learned from.
pub(crate) const LEARNED: std::ops::Range<u32> = 0..12;
/// And those that no model saw: they lie elsewhere in the picture.
pub(crate) const HELD_OUT: std::ops::Range<u32> = 12..16;

/// A square of this colour, in another place for each number.
fn picture(number: u32, colour: [u8; 3]) -> RgbImage {
    let (left, top) = (number % 4 * 3, number / 4 * 3);
    RgbImage::from_fn(24, 24, |x, y| {
        let is_inside = (left..left + 12).contains(&x) && (top..top + 12).contains(&y);
        if is_inside { Rgb(colour) } else { Rgb([255; 3]) }
    })
}

/// Writes a catalogue with these squares of each colour and returns its file.
pub(crate) fn write(folder: &Path, name: &str, numbers: std::ops::Range<u32>) -> PathBuf {
    let mut rows = String::from("id,image,title,colour\n");
    for (colour, rgb) in COLOURS {
        for number in numbers.clone() {
            let id = format!("{colour}-{number}");
            picture(number, rgb).save(folder.join(format!("{id}.png"))).unwrap();
            writeln!(rows, "{id},{id}.png,{colour} square,{colour}").unwrap();
        }
    }
    let path = folder.join(name);
    std::fs::write(&path, rows).unwrap();
    path
}

/// The catalogue in this file.
pub(crate) fn source(catalogue: &Path) -> Source {
    Source::new([catalogue])
}

/// A small network, trained for a few seconds.
pub(crate) fn job(catalogue: &Path, output: &Path) -> Job {
    let mut recipe = Recipe::named("default").unwrap();
    for (key, value) in [
        ("dim", "8"),
        ("image.width", "16"),
        ("image.height", "16"),
        ("image.crop", "1.0"),
        ("text_tower.embedding", "8"),
        ("text_tower.hidden", "8"),
        ("batch_size", "16"),
        ("validation", "0.2"),
        ("schedule.steps", "60"),
        ("schedule.learning_rate", "0.003"),
    ] {
        recipe.set(key, value).unwrap();
    }
    Job {
        recipe,
        source: source(catalogue),
        output: output.to_path_buf(),
        label_field: None,
        weights: None,
        word_vectors: None,
        resume: false,
        minutes: None,
        seed: Seed(1),
    }
}

/// Trains without listening.
pub(crate) fn train(job: &Job) -> Result<Outcome> {
    train::run(job, &Stop::default(), &mut |_| {})
}

/// A folder with both catalogues and a model of the first, made once for all tests.
pub(crate) struct Shop {
    folder: tempfile::TempDir,
}

impl Shop {
    pub(crate) fn shared() -> &'static Self {
        static SHOP: OnceLock<Shop> = OnceLock::new();
        SHOP.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let learned = write(folder.path(), "learned.csv", LEARNED);
            write(folder.path(), "held-out.csv", HELD_OUT);
            train(&job(&learned, &folder.path().join("model"))).unwrap();
            Self { folder }
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn model(&self) -> Model {
        Model::load(&self.path("model")).unwrap()
    }
}
