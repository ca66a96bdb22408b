//! The whole way: a catalogue, a model, an index, answers.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::shop;
use crate::util::{Folder, Ran};

fn json(ran: &Ran) -> Value {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

fn ids(answer: &Value) -> Vec<String> {
    let hits = answer["hits"].as_array().unwrap();
    hits.iter().map(|hit| hit["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_trained_model_finds_held_out_pictures_far_better_than_chance() {
    let folder = Folder::new();
    shop::write(&folder);
    shop::write_held_out(&folder);
    let bytes_of = |catalogue: &str| {
        let text = std::fs::read_to_string(folder.path().join(catalogue)).unwrap();
        let picture = |row: &str| {
            let row: Value = serde_json::from_str(row).unwrap();
            std::fs::read(folder.path().join(row["image"].as_str().unwrap())).unwrap()
        };
        text.lines().map(picture).collect::<BTreeSet<_>>()
    };
    assert!(bytes_of("shop.jsonl").is_disjoint(&bytes_of("held-out.jsonl")));
    let model = shop::model();
    let report = json(&folder.run([
        "eval".as_ref(),
        model.as_os_str(),
        "held-out.jsonl".as_ref(),
        "--gallery=all".as_ref(),
        "--format=json".as_ref(),
    ]));
    assert_eq!(report["gallery"], 80);
    let [found, chance] =
        ["text_to_image", "chance"].map(|key| report[key]["r1"].as_f64().unwrap());
    // Four sizes share a text, and each of the four answers it.
    assert!((chance - 0.05).abs() < 1e-6, "{report}");
    assert!(found > 0.4, "{report}");
}

#[test]
fn words_find_pictures_that_they_describe() {
    let folder = shop::indexed();
    let answer = json(&folder.run(["search", "index", "red disc", "-k10", "--json"]));
    assert_eq!(answer["query"], "red disc");
    assert_eq!(answer["total"], 100);
    let found = ids(&answer);
    // Twenty of the hundred pictures are red, five of them discs.
    assert!(found[..5].iter().all(|id| id.starts_with("red-")), "{found:?}");
    let discs = found.iter().filter(|id| id.starts_with("red-disc")).count();
    assert!(discs >= 4, "{found:?}");
    let scores: Vec<f64> = answer["hits"].as_array().unwrap().iter().map(score).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    let first = &answer["hits"][0];
    let distance = first["distance"].as_f64().unwrap();
    assert!((distance * distance - (2.0 - 2.0 * scores[0])).abs() < 1e-4);
    assert_eq!(first["title"], "red disc");
    assert_eq!(first["fields"]["color"], "red");
    assert!((0.0..=1.0).contains(&first["probability"].as_f64().unwrap()));
}

fn score(hit: &Value) -> f64 {
    hit["score"].as_f64().unwrap()
}

#[test]
fn a_picture_finds_itself_first() {
    let folder = shop::indexed();
    let answer = json(&folder.run(["search", "index", "./pictures/blue-ring-3.png", "--json"]));
    assert_eq!(ids(&answer)[0], "blue-ring-3");
    assert!(score(&answer["hits"][0]) > 0.9999);
    let by_id = json(&folder.run(["search", "index", "id:blue-ring-3", "--json"]));
    assert_eq!(ids(&by_id)[0], "blue-ring-3");
}

#[test]
fn a_condition_is_kept_and_an_unknown_field_is_named() {
    let folder = shop::indexed();
    let words = ["search", "index", "square", "--where", "color = 'blue' and size < 3", "--json"];
    let answer = json(&folder.run(words));
    assert_eq!(answer["total"], 8);
    assert!(ids(&answer).iter().all(|id| id.starts_with("blue-")), "{answer}");
    let ran = folder.run(["search", "index", "square", "--where", "colour = 'blue'"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("colour") && ran.stderr.contains("color"), "{}", ran.stderr);
    let ran = folder.run(["search", "index", "square", "--where", "size > 99"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
}

#[test]
fn answers_come_in_every_format() {
    let folder = shop::indexed();
    let search = |format: &str| folder.run(["search", "index", "green bar", "-k3", format]);
    let paths = search("--format=paths").stdout;
    assert_eq!(paths.lines().count(), 3);
    assert!(paths.lines().all(|path| std::path::Path::new(path).is_file()), "{paths}");
    assert_eq!(search("-0").stdout.matches('\0').count(), 3);
    assert_eq!(search("--format=jsonl").stdout.lines().count(), 3);
    let csv = search("--format=csv").stdout;
    assert!(csv.starts_with("query,rank,id,image,score,"), "{csv}");
    assert_eq!(csv.lines().count(), 4);
    assert!(search("--format=table").stdout.contains("green bar"));
}

#[test]
fn grids_are_a_picture_and_a_page() {
    let folder = shop::indexed();
    let ran = folder.run(["search", "index", "yellow ring", "--grid", "grid.png"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let grid = image::open(folder.path().join("grid.png")).unwrap();
    assert!(grid.width() > 300 && grid.height() > 300);
    folder.run(["search", "index", "<b>ring", "--grid", "grid.html"]);
    let page = std::fs::read_to_string(folder.path().join("grid.html")).unwrap();
    assert!(page.contains("&lt;b&gt;ring") && !page.contains("<b>ring"));
    assert_eq!(page.matches("data:image/").count(), 9);
}

#[test]
fn many_queries_are_answered_line_by_line() {
    let folder = shop::indexed();
    folder.write("queries.txt", "red disc\nblue bar\n");
    let words = ["search", "index", "--queries", "queries.txt", "--format=json", "-k2"];
    let ran = folder.run(words);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let answers: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[1]["query"], "blue bar");
}

#[test]
fn an_index_follows_its_catalogue() {
    let folder = shop::indexed();
    let catalogue = std::fs::read_to_string(folder.path().join("shop.jsonl")).unwrap();
    let index = || {
        let ran = folder.run(["index", "shop.jsonl", "-o", "index"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.stdout + &ran.stderr
    };
    assert!(index().contains("100 unchanged"), "nothing changed");
    // One row goes, one is new, one picture is another.
    let mut lines: Vec<&str> = catalogue.lines().collect();
    lines.remove(0);
    let new = lines[0].replace("\"id\":\"red-disc-2\"", "\"id\":\"new\"");
    lines.push(&new);
    folder.write("shop.jsonl", lines.join("\n"));
    let pictures = folder.path().join("pictures");
    std::fs::copy(pictures.join("blue-bar-1.png"), pictures.join("red-ring-5.png")).unwrap();
    let said = index();
    for part in ["1 added", "1 changed", "98 unchanged", "1 removed"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let answer = json(&folder.run(["search", "index", "id:red-ring-5", "--json", "-k2"]));
    assert!(ids(&answer).contains(&"blue-bar-1".to_owned()), "{answer}");
    let ran = folder.run(["check", "index"]);
    assert_eq!(ran.code, Some(0), "{} {}", ran.stdout, ran.stderr);
}

#[test]
fn an_index_can_be_moved_and_searched_without_its_model() {
    let folder = shop::indexed();
    std::fs::remove_dir_all(folder.path().join("model")).unwrap();
    std::fs::rename(folder.path().join("index"), folder.path().join("moved")).unwrap();
    let answer = json(&folder.run(["search", "moved", "black square", "--json"]));
    assert_eq!(answer["hits"].as_array().unwrap().len(), 9);
}

#[test]
fn shards_merge_into_the_index_of_the_whole() {
    let folder = shop::indexed();
    for shard in ["1/2", "2/2"] {
        let part = format!("part{}", &shard[..1]);
        let ran = folder.run(["index", "shop.jsonl", "-m", "model", "-o", &part, "--shard", shard]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    let ran = folder.run(["merge", "part1", "part2", "-o", "merged"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let whole = json(&folder.run(["search", "index", "red square", "--json"]));
    let merged = json(&folder.run(["search", "merged", "red square", "--json"]));
    assert_eq!(merged["total"], 100);
    assert_eq!(ids(&merged), ids(&whole));
}

#[test]
fn vectors_leave_as_npy() {
    let folder = shop::indexed();
    let picture = "pictures/red-disc-1.png";
    let ran = folder.run(["embed", "model", "--images", picture, "-o", "v.npy"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let bytes = std::fs::read(folder.path().join("v.npy")).unwrap();
    assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"));
    let values: Vec<f32> = bytes[bytes.len() - 64..]
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect();
    let length: f32 = values.iter().map(|x| x * x).sum();
    assert!((length - 1.0).abs() < 1e-5);
}

#[test]
fn the_articles_recipe_trains_with_each_way_to_choose_negatives() {
    let folder = Folder::new();
    shop::write(&folder);
    for miner in ["random", "semi-hard", "hard"] {
        let mut words = vec!["train", "shop.jsonl", "-o", miner, "--recipe=article"];
        words.extend(["--miner", miner, "--image-tower=resnet18", "--epochs=2"]);
        words.extend(shop::SMALL);
        let ran = folder.run(&words);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let log = std::fs::read_to_string(folder.path().join(miner).join("log.jsonl")).unwrap();
        let first: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
        // Of three random points on a sphere, about half break the margin.
        let active = first["active"].as_f64().unwrap();
        assert!(active > 0.0 && active <= 1.0, "{first}");
        assert!(first["loss"].as_f64().unwrap() > 0.0, "{first}");
        assert!(log.lines().filter(|line| line.contains("validation")).count() == 2, "{log}");
    }
}

#[cfg(unix)]
fn interrupt(child: &std::process::Child) {
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// Waits until `seen`, at most a minute.
#[cfg(unix)]
fn wait_for(seen: impl Fn() -> bool) {
    let start = Instant::now();
    while !seen() {
        assert!(start.elapsed() < Duration::from_mins(1), "nothing happened");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(unix)]
#[test]
fn a_run_that_was_interrupted_ends_with_the_same_bytes_as_one_that_was_not() {
    let folder = Folder::new();
    shop::write(&folder);
    let train = |model: &str, more: &[&str]| {
        let mut words = vec!["train", "shop.jsonl", "-o", model, "--epochs=5"];
        words.extend(shop::SMALL);
        words.extend(more);
        folder.program(words)
    };
    assert!(train("whole", &[]).output().unwrap().status.success());
    let steps = |model: &str| {
        let log = std::fs::read_to_string(folder.path().join(model).join("log.jsonl")).unwrap();
        log.lines().filter(|line| line.contains("\"loss\"")).count()
    };
    // As soon as there is a log, which is before the first validation, and after one.
    for (model, line) in [("early", ""), ("late", "validation")] {
        let mut broken = train(model, &[]);
        let child = broken.stderr(std::process::Stdio::piped()).spawn().unwrap();
        let log = folder.path().join(model).join("log.jsonl");
        wait_for(|| std::fs::read_to_string(&log).is_ok_and(|log| log.contains(line)));
        interrupt(&child);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{said}");
        assert!(said.contains("--resume"), "{said}");
        let resumed = train(model, &["--resume"]).output().unwrap();
        assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
        for file in shop::model_files(&folder.path().join("whole")) {
            let [whole, broken] =
                ["whole", model].map(|m| std::fs::read(folder.path().join(m).join(&file)).unwrap());
            assert!(whole == broken, "{file} differs");
        }
        assert_eq!(steps("whole"), steps(model));
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_index_is_whole_and_goes_on() {
    let folder = shop::indexed();
    let row =
        |n| format!("{{\"image\":\"pictures/red-disc-1.png\",\"id\":\"{n}\",\"title\":\"x\"}}");
    let rows: Vec<String> = (0..3000).map(row).collect();
    folder.write("many.jsonl", rows.join("\n"));
    let words = ["index", "many.jsonl", "-m", "model", "-o", "many"];
    let child = folder.program(words).stderr(std::process::Stdio::piped()).spawn().unwrap();
    wait_for(|| folder.path().join("many/index.sqlite").exists());
    std::thread::sleep(Duration::from_millis(300));
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let ran = folder.run(["check", "many"]);
    assert_eq!(ran.code, Some(0), "{} {}", ran.stdout, ran.stderr);
    let ran = folder.run(words);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let info = json(&folder.run(["info", "many", "--json"]));
    assert_eq!(info["items"], 3000, "{info}");
}
