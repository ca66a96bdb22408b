//! A tiny catalogue of coloured shapes, and a model that has learned it.

use std::fmt::Write;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use serde_json::json;

use crate::util::Folder;

pub(crate) const COLOURS: [(&str, [u8; 3]); 5] = [
    ("red", [220, 40, 40]),
    ("green", [40, 170, 60]),
    ("blue", [40, 70, 220]),
    ("yellow", [240, 210, 40]),
    ("black", [20, 20, 20]),
];
const SHAPES: [&str; 4] = ["disc", "square", "bar", "ring"];

/// Flags that make a model small enough to be trained within a test.
pub(crate) const SMALL: &[&str] = &[
    "--image-size=32",
    "--dim=16",
    "--batch-size=16",
    "--lr=0.003",
    "--set=text_tower.embedding=16",
    "--set=text_tower.hidden=16",
    "--set=image.crop=1.0",
    "--set=validation=0.2",
];

/// Whether the pixel belongs to a shape of this radius around the middle.
fn inside(shape: &str, x: f64, y: f64, radius: f64) -> bool {
    let distance = x.hypot(y);
    match shape {
        "disc" => distance < radius,
        "square" => x.abs() < radius && y.abs() < radius,
        "bar" => x.abs() < radius && y.abs() < radius / 3.0,
        _ => distance < radius && distance > radius * 0.6,
    }
}

fn picture(shape: &str, colour: [u8; 3], radius: f64) -> RgbImage {
    RgbImage::from_fn(40, 40, |x, y| {
        let (x, y) = (f64::from(x) - 19.5, f64::from(y) - 19.5);
        if inside(shape, x, y, radius) { Rgb(colour) } else { Rgb([255; 3]) }
    })
}

/// Writes `shop.jsonl` and its pictures: 5 colours, 4 shapes, 5 sizes.
pub(crate) fn write(folder: &Folder) {
    write_sizes(folder, "shop.jsonl", "pictures", 1..=5, 8.0);
}

/// Writes `held-out.jsonl`: the same things in 4 sizes that are not in the shop.
pub(crate) fn write_held_out(folder: &Folder) {
    write_sizes(folder, "held-out.jsonl", "held-out", 1..=4, 9.0);
}

fn write_sizes(
    folder: &Folder,
    catalogue: &str,
    pictures: &str,
    sizes: RangeInclusive<u32>,
    smallest: f64,
) {
    std::fs::create_dir_all(folder.path().join(pictures)).unwrap();
    let mut lines = String::new();
    for (colour, rgb) in COLOURS {
        for shape in SHAPES {
            for size in sizes.clone() {
                let id = format!("{colour}-{shape}-{size}");
                let file = format!("{pictures}/{id}.png");
                let radius = smallest + 2.0 * f64::from(size);
                picture(shape, rgb, radius).save(folder.path().join(&file)).unwrap();
                let row = json!({
                    "image": file, "id": id, "title": format!("{colour} {shape}"),
                    "color": colour, "size": size, "group": id,
                });
                writeln!(lines, "{row}").unwrap();
            }
        }
    }
    folder.write(catalogue, lines);
}

/// The folder of a model trained on the shop, made once for all tests of this build.
pub(crate) fn model() -> PathBuf {
    let shared = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(shared).unwrap();
    let lock = std::fs::File::create(shared.join("shop-model.lock")).unwrap();
    lock.lock().unwrap();
    let program = std::fs::metadata(env!("CARGO_BIN_EXE_looksee")).unwrap().modified().unwrap();
    let made = shared.join("shop-model");
    let whole = made.join("model.toml");
    if std::fs::metadata(&whole).is_ok_and(|m| m.modified().unwrap() > program) {
        return made;
    }
    let _ = std::fs::remove_dir_all(&made);
    let folder = Folder::new();
    write(&folder);
    let mut words = vec!["train", "shop.jsonl", "-o", "model", "--epochs=30"];
    words.extend(SMALL);
    let ran = folder.run(&words);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    copy(&folder.path().join("model"), &made);
    made
}

/// The files that make the model in `folder`, the description last.
pub(crate) fn model_files(folder: &Path) -> Vec<String> {
    let card = std::fs::read_to_string(folder.join("model.toml")).unwrap();
    let card: toml::Table = card.parse().unwrap();
    let named = ["weights", "vocabulary"].map(|part| card["files"][part].as_str().unwrap());
    named.into_iter().chain(["model.toml"]).map(str::to_owned).collect()
}

/// The weight file of the model in `folder`.
pub(crate) fn weights_of(folder: &Path) -> PathBuf {
    folder.join(&model_files(folder)[0])
}

/// Copies the files that make a model, the description last.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in model_files(from) {
        std::fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

/// A folder with the shop's catalogue, the trained model as `model`, and an index as `index`.
pub(crate) fn indexed() -> Folder {
    let folder = Folder::new();
    write(&folder);
    copy(&model(), &folder.path().join("model"));
    let ran = folder.run(["index", "shop.jsonl", "-m", "model", "-o", "index"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    folder
}
