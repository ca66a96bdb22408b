//! Folders that may come from strangers: an index, a model, an interrupted run, a pixel cache. One
//! of their files is mutated, the others are whole.

use std::io::Read;
use std::path::Path;

use serde_json::json;

use super::driver::{Target, overwrite, testdata};
use crate::catalogue::Source;
use crate::embed::fake::{Colours, Shop};
use crate::embed::{UpdateOptions, update};
use crate::encoder::{Encoder, Model};
use crate::files::Blob;
use crate::images::{Filter, Fit, Frame, Limits, PixelCache};
use crate::index::{Carry, Collection, Index, Nearest};
use crate::train::{self, Job, Recipe};
use crate::units::{Seed, Stop};
use crate::vectors::Vectors;

/// A shop with pictures, texts and fields.
fn shop() -> Shop {
    let shop = Shop::new();
    let mut rows = Vec::new();
    for (number, (name, rgb)) in
        [("red", [250, 0, 0]), ("green", [0, 250, 0]), ("blue", [0, 0, 250]), ("grey", [9, 9, 9])]
            .into_iter()
            .cycle()
            .take(12)
            .enumerate()
    {
        let file = format!("{name}-{number}.png");
        shop.picture(&file, rgb);
        rows.push(
            json!({"id": file, "image": file, "title": format!("{name} hat"), "price": number}),
        );
    }
    shop.rows(&rows);
    shop
}

/// The shop with an index of it.
fn indexed() -> Shop {
    let shop = shop();
    let mut writer = shop.writer("index");
    let (options, stop) = (UpdateOptions::default(), Stop::default());
    update(&shop.source(), &Colours::default(), &mut writer, &options, &stop, &mut |_| {}).unwrap();
    drop(writer);
    shop
}

/// What an index answers to one query: ids and scores, and the records behind them.
fn answers(index: &Index) -> Option<Vec<String>> {
    let query = Vectors::normalised(index.space().dim, vec![1.0; index.space().dim]).ok()?;
    let hits = index.search(&Nearest::new(&query, 50).carrying(Carry::RECORD)).ok()?;
    let mut answers: Vec<String> = Vec::new();
    for hit in hits.first()? {
        let (id, record) = (&hit.item.id, hit.item.record.as_ref()?);
        answers.push(format!("{id} {} {:?} {:?}", hit.score, record.texts, record.fields));
    }
    answers.sort();
    Some(answers)
}

/// Every use of an index; one that its check finds right answers as the whole one does.
fn use_index(folder: &Path, right: Option<&[String]>) {
    let Ok(index) = Index::open(folder) else { return };
    let found = answers(&index);
    let _ = (index.field_names(), index.size(), index.count(None));
    let is_right = index.check().is_ok_and(|check| check.problems.is_empty());
    if is_right && let Some(right) = right {
        assert_eq!(found.as_deref(), Some(right), "check says right, and the answers are others");
    }
}

/// Takes away what SQLite keeps beside a database, which the next input is not to meet.
fn remove_logs(index: &Path) {
    for log in ["index.sqlite-wal", "index.sqlite-shm", "index.sqlite-journal"] {
        let _ = std::fs::remove_file(index.join(log));
    }
}

/// Mutates one file of an index.
fn fuzz_index(target: &Target<'_>, folder: &Path, file: &str, right: Option<&[String]>) {
    let path = folder.join(file);
    let seeds = vec![std::fs::read(&path).unwrap()];
    let &Target { name, file, words, head, .. } = target;
    Target { name, file, seeds, words, head }.run(|_, input| {
        overwrite(&path, input);
        use_index(folder, right);
        remove_logs(folder);
    });
}

const DATABASE: Target<'static> = Target {
    name: "index-database",
    file: "index.sqlite",
    seeds: Vec::new(),
    words: &["CREATE TABLE items", "CREATE VIEW", "SQLite format 3\0", "items", "id", "meta"],
    head: usize::MAX,
};

#[test]
fn whatever_a_database_says_an_index_that_is_called_right_answers_right() {
    let shop = indexed();
    let folder = shop.path("index");
    let right = answers(&Index::open(&folder).unwrap()).unwrap();
    fuzz_index(&DATABASE, &folder, "index.sqlite", Some(&right));
}

#[test]
fn whatever_a_segment_says_an_index_that_is_called_right_answers_right() {
    let shop = indexed();
    let folder = shop.path("index");
    let right = answers(&Index::open(&folder).unwrap()).unwrap();
    let target = Target { name: "index-segment", file: "segment", ..DATABASE };
    fuzz_index(&target, &folder, "segments/000001.vectors", Some(&right));
}

/// The first format had no checksum a row, so that not every damage can be found in it.
#[test]
fn whatever_a_database_of_the_first_format_says_it_is_an_error_or_answers() {
    let shop = Shop::new();
    let folder = shop.path("index");
    copy(&testdata("formats/v1/index"), &folder);
    let target = Target { name: "index-first", ..DATABASE };
    fuzz_index(&target, &folder, "index.sqlite", None);
}

/// Each column of a database, set to what it should not hold.
fn changes(database: &Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(database).unwrap();
    let list = |question: &str| -> Vec<String> {
        let mut statement = connection.prepare(question).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let values = ["4611686018427387904", "200000000000", "-5", "NULL", "'text'", "x'00'", "1e300"];
    let mut changes = Vec::new();
    for table in list("SELECT name FROM sqlite_master WHERE type = 'table'") {
        for column in list(&format!("SELECT name FROM pragma_table_info('{table}')")) {
            let change = |value| format!("UPDATE \"{table}\" SET \"{column}\" = {value}");
            changes.extend(values.map(change));
            changes.extend(values.map(|value| format!("{} WHERE rowid = 2", change(value))));
        }
        changes.push(format!("DELETE FROM \"{table}\""));
        changes.push(format!("DROP TABLE \"{table}\""));
    }
    changes
}

#[test]
fn whatever_stands_in_the_rows_of_a_database_an_index_that_is_called_right_answers_right() {
    let shop = indexed();
    let folder = shop.path("index");
    let right = answers(&Index::open(&folder).unwrap()).unwrap();
    let path = folder.join("index.sqlite");
    let whole = std::fs::read(&path).unwrap();
    let changes = changes(&path);
    let target = Target {
        name: "index-rows",
        file: "change.sql",
        seeds: changes.iter().map(|change| change.clone().into_bytes()).collect(),
        words: &[" WHERE rowid = 3", "; UPDATE items SET ", "; DELETE FROM items", "randomblob(9)"],
        head: usize::MAX,
    };
    target.run(|_, input| {
        let Ok(change) = std::str::from_utf8(input) else { return };
        overwrite(&path, &whole);
        let changed = rusqlite::Connection::open(&path).and_then(|connection| {
            connection.execute_batch(change)?;
            connection.close().map_err(|(_, error)| error)
        });
        if changed.is_ok() {
            use_index(&folder, Some(&right));
        }
        remove_logs(&folder);
    });
}

#[test]
fn whatever_a_pixel_cache_says_its_pictures_are_whole() {
    let shop = shop();
    let pictures: Vec<Blob> =
        shop.source().load().unwrap().items.into_iter().map(|item| item.image).collect();
    let (fit, filter) = (Fit::Stretch, Filter::default());
    let frame = Frame { width_px: 4, height_px: 4, fit, filter };
    let caches = shop.path("caches");
    let open = || {
        let stop = Stop::default();
        PixelCache::open_or_make(&caches, &pictures, frame, Limits::default(), &stop, &mut |_| {})
    };
    let pixels = |cached: &PixelCache| {
        (0..cached.len()).map(|number| cached.get(number).map(<[u8]>::to_vec)).collect::<Vec<_>>()
    };
    let right = pixels(&open().unwrap().cache);
    let entry = std::fs::read_dir(&caches).unwrap().flatten().map(|entry| entry.path());
    let path =
        entry.into_iter().find(|path| path.extension().is_some_and(|e| e == "pixels")).unwrap();
    let target = Target {
        name: "pixel-cache",
        file: "cache.pixels",
        seeds: vec![std::fs::read(&path).unwrap()],
        words: &["lookpix\0"],
        head: usize::MAX,
    };
    target.run(|_, input| {
        overwrite(&path, input);
        let Ok(cached) = open() else { return };
        assert_eq!(pixels(&cached.cache), right, "pixels of a damaged cache were used");
    });
}

/// A run over the shop, as short as can be, into its folder `model`.
fn job(shop: &Shop, resume: bool) -> Job {
    let mut recipe = Recipe::named("default").unwrap();
    for (key, value) in [
        ("dim", "4"),
        ("batch_size", "4"),
        ("image.tower", "efficientnet-lite0"),
        ("image.width", "32"),
        ("image.height", "32"),
        ("text_tower.embedding", "4"),
        ("text_tower.hidden", "4"),
        ("schedule.epochs", "1"),
        ("validation", "0.3"),
    ] {
        recipe.set(key, value).unwrap();
    }
    let source: Source = shop.source();
    Job {
        recipe,
        source,
        output: shop.path("model"),
        label_field: None,
        weights: None,
        word_vectors: None,
        resume,
        minutes: None,
        seed: Seed(1),
    }
}

/// Copies a folder of `testdata/`, in which large files are packed.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else if let Some(name) = name.strip_suffix(".gz") {
            let mut unpacked = Vec::new();
            let packed = std::fs::File::open(&path).unwrap();
            flate2::read::GzDecoder::new(packed).read_to_end(&mut unpacked).unwrap();
            std::fs::write(to.join(name), unpacked).unwrap();
        } else {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// The first format, which has no checksum of the description itself: what is in it is believed or
/// refused by what it says.
#[test]
fn whatever_a_models_description_says_it_is_refused_or_can_be_used() {
    let shop = Shop::new();
    let folder = shop.path("model");
    copy(&testdata("formats/v1/model"), &folder);
    let path = folder.join("model.toml");
    let target = Target {
        name: "model",
        file: "model.toml",
        seeds: vec![std::fs::read(&path).unwrap()],
        words: &[
            "dim = ",
            "hidden = ",
            "width_px = ",
            "longest = ",
            "format = 1\n",
            "scale = ",
            "inf",
            "[architecture]\n",
        ],
        head: usize::MAX,
    };
    let right = Model::load(&folder).unwrap().texts(&["red disc"]).unwrap();
    target.run(|_, input| {
        overwrite(&path, input);
        let Ok(model) = Model::load(&folder) else { return };
        let texts = model.texts(&["red disc"]);
        assert!(texts.is_ok_and(|texts| texts == right), "a changed description, other vectors");
        assert!((0.0..=1.0).contains(&model.probability(0.5)));
        let frame = model.frame();
        assert!(frame.bytes() <= 1 << 30, "a frame of {} bytes", frame.bytes());
    });
}

#[test]
fn whatever_a_checkpoint_says_a_run_is_refused_or_goes_on() {
    let shop = shop();
    train::run(&job(&shop, false), &Stop::default(), &mut |_| {}).unwrap();
    let path = shop.path("model/checkpoints/last.safetensors");
    let whole = std::fs::read(&path).unwrap();
    let state = whole.windows(7).position(|window| window == b"\\\"step\\").unwrap_or(0);
    let target = Target {
        name: "checkpoint",
        file: "last.safetensors",
        seeds: vec![whole],
        words: &["\\\"elapsed_s\\\":", "\\\"step\\\":", "-1e300", "null", "\\\"best\\\":"],
        // The header, and the first of the values.
        head: state + (64 << 10),
    };
    let stop = Stop::default();
    stop.ask();
    target.run(|_, input| {
        overwrite(&path, input);
        let _ = train::run(&job(&shop, true), &stop, &mut |_| {});
    });
}
