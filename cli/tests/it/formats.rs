//! What earlier builds wrote is opened for ever (`testdata/formats`).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::util::{Folder, Ran};

/// The flags of the runs in `testdata/formats`, but for the weights that they started from.
const FLAGS: &[&str] = &[
    "--epochs=60",
    "--image-tower=efficientnet-lite0",
    "--image-size=32",
    "--dim=8",
    "--batch-size=4",
    "--lr=0.003",
    "--set=text_tower.embedding=8",
    "--set=text_tower.hidden=8",
    "--set=text_tower.mean=false",
    "--set=image.crop=1.0",
    "--set=validation=0.2",
    "--set=tokens.size=60",
    "--freeze=all",
    "--seed=1",
];

/// Copies a folder with all that is below it; what is compressed comes out as it was.
fn unpack(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_dir() {
            unpack(&path, &to.join(name));
        } else if path.extension().is_some_and(|ending| ending == "gz") {
            let mut bytes = Vec::new();
            let packed = std::fs::File::open(&path).unwrap();
            flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
            std::fs::write(to.join(path.file_stem().unwrap()), bytes).unwrap();
        } else {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// Everything that format 1 left, the model inside the index as well.
pub(crate) fn version_1() -> Folder {
    version("v1")
}

/// Everything that a format left, with the catalogue, which all have in common.
fn version(name: &str) -> Folder {
    let folder = Folder::new();
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/formats");
    let kept = all.join(name);
    unpack(&all.join("v1/pictures"), &folder.path().join("pictures"));
    std::fs::copy(all.join("v1/shop.jsonl"), folder.path().join("shop.jsonl")).unwrap();
    unpack(&kept, folder.path());
    unpack(&kept.join("model"), &folder.path().join("index/model"));
    let _ = std::fs::remove_file(folder.path().join("index/model/.lock"));
    folder
}

#[track_caller]
fn done(ran: Ran) -> Ran {
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    ran
}

/// Asks what was asked when the index was made: the same answers, but for rounding.
#[track_caller]
fn answers_as_then(folder: &Folder) {
    let answers = std::fs::read_to_string(folder.path().join("answers.json")).unwrap();
    let answers: Vec<Value> = serde_json::from_str(&answers).unwrap();
    assert_eq!(answers.len(), 5);
    for then in answers {
        let query = then["query"].as_str().unwrap();
        let ran = done(folder.run(["search", "index", query, "-k24", "--json"]));
        let now: Value = serde_json::from_str(&ran.stdout).unwrap();
        let scores = |answer: &Value| -> Vec<(String, f64)> {
            let hit = |hit: &Value| {
                (hit["id"].as_str().unwrap().to_owned(), hit["score"].as_f64().unwrap())
            };
            let mut scores: Vec<_> = answer["hits"].as_array().unwrap().iter().map(hit).collect();
            scores.sort_by(|a, b| a.0.cmp(&b.0));
            scores
        };
        let (then, now) = (scores(&then), scores(&now));
        assert_eq!((then.len(), now.len()), (24, 24), "{query}");
        for ((id, score), (id_now, score_now)) in then.iter().zip(&now) {
            assert_eq!(id, id_now, "{query}");
            assert!((score - score_now).abs() < 1e-3, "{query}: {id} {score} {score_now}");
        }
    }
}

fn right_and_answering(folder: &Folder) {
    let ran = done(folder.run(["check", "index"]));
    assert!(ran.stdout.contains("24 items") && ran.stdout.contains("right"), "{}", ran.stdout);
    answers_as_then(folder);
}

/// The names of the files with vectors.
fn segments(folder: &Folder) -> BTreeSet<OsString> {
    let entries = std::fs::read_dir(folder.path().join("index/segments")).unwrap();
    entries.map(|entry| entry.unwrap().file_name()).collect()
}

fn brought_up_to_date(folder: &Folder) {
    // The pictures lie elsewhere now, so the records change and the vectors stay.
    let before = segments(folder);
    let ran = done(folder.run(["index", "shop.jsonl", "-o", "index"]));
    assert!(
        ran.stdout.starts_with("0 added, 24 changed, 0 unchanged, 0 removed"),
        "{}",
        ran.stdout
    );
    assert!(segments(folder).is_subset(&before), "something was embedded again");
    right_and_answering(folder);
    done(folder.run(["compact", "index"]));
    right_and_answering(folder);
    // From now on the pictures are kept relative to the catalogue, which can move with them.
    std::fs::create_dir(folder.path().join("moved")).unwrap();
    for name in ["shop.jsonl", "pictures"] {
        std::fs::rename(folder.path().join(name), folder.path().join("moved").join(name)).unwrap();
    }
    let ran = done(folder.run(["index", "moved/shop.jsonl", "-o", "index"]));
    assert!(ran.stdout.starts_with("0 added, 0 changed, 24 unchanged"), "{}", ran.stdout);
}

fn making_the_same_vectors(folder: &Folder) {
    done(folder.run(["eval", "model", "shop.jsonl", "--gallery=all"]));
    done(folder.run(["index", "shop.jsonl", "-m", "model", "-o", "fresh"]));
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    std::fs::rename(folder.path().join("fresh"), folder.path().join("index")).unwrap();
    answers_as_then(folder);
}

fn going_on_to_the_end(folder: &Folder) {
    // The recipe that was the default then.
    let recipe =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/formats/default-recipe.toml");
    let recipe = recipe.to_str().unwrap();
    let mut words =
        vec!["train", "shop.jsonl", "-o", "interrupted", "--resume", "--recipe", recipe];
    words.extend(FLAGS);
    let ran = done(folder.run(&words));
    assert!(ran.stdout.contains("24 pictures, 0 skipped"), "{}", ran.stdout);
    let log = std::fs::read_to_string(folder.path().join("interrupted/log.jsonl")).unwrap();
    let steps = log.lines().filter(|line| line.contains("\"loss\""));
    // 60 epochs of 4 steps; some were done then.
    assert_eq!(steps.count(), 240, "{log}");
    done(folder.run(["eval", "interrupted", "shop.jsonl", "--gallery=all"]));
}

#[test]
fn an_index_of_format_1_is_right_and_answers_as_it_did() {
    right_and_answering(&version("v1"));
}

#[test]
fn an_index_of_format_2_is_right_and_answers_as_it_did() {
    right_and_answering(&version("v2"));
}

#[test]
fn an_index_of_format_1_is_brought_up_to_date_without_embedding_anything_again() {
    brought_up_to_date(&version("v1"));
}

#[test]
fn an_index_of_format_2_is_brought_up_to_date_without_embedding_anything_again() {
    brought_up_to_date(&version("v2"));
}

#[test]
fn an_index_with_whole_paths_says_so_where_another_place_is_named() {
    let folder = version("v2");
    let ran = done(folder.run(["search", "index", "red disc", "-k3"]));
    let advice = "if they have moved, `looksee index CATALOGUE -o INDEX` finds them again";
    assert!(
        ran.stderr.contains("3 of 3 pictures") && ran.stderr.contains(advice),
        "{}",
        ran.stderr
    );
    let ran = folder.run(["search", "index", "red disc", "--images", "."]);
    ran.failed_with_part("keeps the whole paths of its pictures");
    assert!(folder.run(["info", "index"]).stdout.contains("\npictures in   no one folder"));
}

#[test]
fn a_model_of_format_1_makes_the_vectors_that_it_made() {
    making_the_same_vectors(&version("v1"));
}

#[test]
fn a_model_of_format_2_makes_the_vectors_that_it_made() {
    making_the_same_vectors(&version("v2"));
}

#[test]
fn a_run_of_format_1_that_was_interrupted_goes_on_to_its_end() {
    going_on_to_the_end(&version("v1"));
}

#[test]
fn a_run_of_format_2_that_was_interrupted_goes_on_to_its_end() {
    going_on_to_the_end(&version("v2"));
}
