//! Training that is killed, and what the next command makes of what it left.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::shop;
use crate::util::Folder;

/// A small network for two epochs: a run takes a second or two.
fn words<'a>(model: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["train", "shop.jsonl", "-o", model, "--set=schedule.epochs=2"];
    words.push("--image-tower=efficientnet-lite0");
    words.extend(shop::SMALL);
    words.extend(more);
    words
}

fn shop() -> Folder {
    let folder = Folder::new();
    shop::write(&folder);
    folder
}

/// The files of a model by name.
fn model(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = shop::model_files(folder).into_iter();
    names.map(|name| (name.clone(), std::fs::read(folder.join(&name)).unwrap())).collect()
}

/// Starts training and kills it as soon as `path` is there.
fn kill_when(folder: &Folder, output: &str, path: &str) {
    let mut child = folder.program(words(output, &["-q"])).spawn().unwrap();
    let (path, started) = (folder.path().join(output).join(path), Instant::now());
    while !path.exists() && started.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_killed_run_goes_on_with_one_of_two_commands_to_the_same_model() {
    let folder = shop();
    let ran = folder.run(words("whole", &[]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let whole = model(&folder.path().join("whole"));
    for (output, path) in [
        ("prepared", ".lock"),
        ("begun", "checkpoints/last.safetensors"),
        ("trained", "model.toml"),
    ] {
        kill_when(&folder, output, path);
        let plain = folder.run(words(output, &[]));
        if plain.code != Some(0) {
            assert!(plain.stderr.contains("go on with --resume"), "{output}: {}", plain.stderr);
            let resumed = folder.run(words(output, &["--resume"]));
            assert_eq!(resumed.code, Some(0), "{output}: {}", resumed.stderr);
        }
        assert!(model(&folder.path().join(output)) == whole, "{output} differs");
    }
}

#[test]
fn a_run_of_so_many_minutes_prints_the_setting_that_makes_its_model_again() {
    let folder = shop();
    let ran = folder.run(words("budget", &["--minutes=0.05"]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let printed = ran.stderr.lines().find(|line| line.contains("--set schedule.steps="));
    let setting = printed.and_then(|line| line.split_whitespace().find(|w| w.contains("steps=")));
    let setting = format!("--set={}", setting.unwrap());
    let ran = folder.run(words("steps", &[&setting]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let [budget, steps] = ["budget", "steps"].map(|name| model(&folder.path().join(name)));
    assert!(budget == steps, "{setting} makes another model");
}

#[test]
fn a_run_leaves_a_page_that_shows_it_and_only_its_own_page_gives_way_to_the_next() {
    let folder = shop();
    let ran = folder.run(words("model", &[]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("report.html"), "{}", ran.stderr);
    let path = folder.path().join("model/report.html");
    let page = std::fs::read_to_string(&path).unwrap();
    for part in ["figures", "curves", "confusions", "questions"] {
        assert!(page.contains(&format!("<section id=\"{part}\">")), "no {part}");
    }
    for row in ["trained", "untrained", "chance"] {
        assert!(page.contains(&format!("<tr><td>{row}</td>")), "no {row}");
    }
    assert!(page.contains(" <span>(color; ") && page.contains("prefers-color-scheme: dark"));
    assert!(page.contains("<polyline") && page.contains("data:image/jpeg;base64,"));
    for other in ["http://", "https://", "<script", "<link"] {
        assert!(!page.contains(other), "{other}");
    }
    // No word of the article's queries but colours was learned.
    assert!(!page.contains("halloween"));
    std::fs::write(&path, page.replacen("</main>", "<p>earlier</p></main>", 1)).unwrap();
    let ran = folder.run(words("model", &["--resume"]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), page);
    std::fs::write(&path, "mine").unwrap();
    let ran = folder.run(words("model", &["--resume"]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("report.html is not a report that looksee wrote"),
        "{}",
        ran.stderr
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn ones_own_files_are_refused_and_stay() {
    let folder = shop();
    for name in ["weights.safetensors", "log.jsonl", "skipped.jsonl", "clip.mp4"] {
        folder.write(&format!("mine/{name}"), "mine");
        for more in [&[][..], &["--resume"]] {
            let ran = folder.run(words("mine", more));
            assert_eq!(ran.code, Some(2), "{}", ran.stderr);
            assert!(ran.stderr.contains(&format!("mine/{name}: this is not looksee's")), "{ran:?}");
        }
        assert_eq!(std::fs::read(folder.path().join("mine").join(name)).unwrap(), b"mine");
        assert_eq!(std::fs::read_dir(folder.path().join("mine")).unwrap().count(), 1);
        std::fs::remove_dir_all(folder.path().join("mine")).unwrap();
    }
}

#[test]
fn a_model_changed_by_hand_or_by_damage_is_shown_by_no_command() {
    let folder = Folder::new();
    shop::copy(&shop::model(), &folder.path().join("model"));
    let ran = folder.run(["info", "model"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(ran.stdout.starts_with("format = 3\nchecksum = "), "{}", ran.stdout);
    let card = folder.path().join("model/model.toml");
    let text = std::fs::read_to_string(&card).unwrap();
    for changed in [text.replacen("scale = ", "scale = 1", 1), text[..text.len() / 2].to_owned()] {
        std::fs::write(&card, changed).unwrap();
        folder.run(["info", "model"]).failed_with_part("model.toml: this file was changed");
        let ran = folder.run_with_input(&["embed", "model", "--texts", "-", "-o", "t.npy"], b"x\n");
        ran.failed_with_part("model.toml: this file was changed");
    }
    std::fs::write(&card, text).unwrap();
    let weights = shop::weights_of(&folder.path().join("model"));
    let mut bytes = std::fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    folder.run(["info", "model"]).failed_with_part("other values of the image tower");
    // Words need the other tower alone.
    let ran = folder.run_with_input(&["embed", "model", "--texts", "-", "-o", "t.npy"], b"x\n");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

/// Under strace a run can be killed at a chosen call; where there is none, the library's tests of
/// each state of the folder have to do.
#[cfg(target_os = "linux")]
#[test]
fn a_kill_between_the_files_of_a_better_model_leaves_the_one_that_was_there() {
    if std::process::Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: there is no strace here");
        return;
    }
    let folder = shop();
    let looksee = env!("CARGO_BIN_EXE_looksee");
    // Renames: pictures, checkpoint, log, then three a model.
    for call in [8, 9] {
        let output = format!("model{call}");
        let inject = format!("inject=rename:signal=KILL:when={call}");
        let mut command = std::process::Command::new("strace");
        command.args(["-f", "-o", "/dev/null", "-e", "trace=rename", "-e", &inject, looksee]);
        command
            .args(words(&output, &["--set=schedule.epochs=3", "-q", "--threads=1"]))
            .current_dir(folder.path());
        let status = command.status().unwrap();
        let ran = folder.run(["info", &output]);
        assert_eq!(ran.code, Some(0), "killed at rename {call} ({status}): {}", ran.stderr);
        let ran = folder.run(words(&output, &["--set=schedule.epochs=3", "--resume"]));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
}
