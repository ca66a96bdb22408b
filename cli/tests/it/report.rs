//! The page that a training run leaves beside its model.

use std::path::PathBuf;

use serde_json::Value;

use crate::shop;
use crate::util::{Folder, Ran};

/// The shop with a model of one epoch as `model`, and what its training said.
fn trained(more: &[&str]) -> (Folder, Ran) {
    let folder = Folder::new();
    shop::write(&folder);
    let ran = train(&folder, more);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    (folder, ran)
}

fn train(folder: &Folder, more: &[&str]) -> Ran {
    folder.run([&["train", "shop.jsonl", "-o", "model"], shop::SMALL, more].concat())
}

fn page(folder: &Folder) -> PathBuf {
    folder.path().join("model/report.html")
}

#[test]
fn a_run_leaves_a_page_with_figures_curves_and_what_is_found() {
    let (folder, ran) = trained(&["--epochs=2", "--json"]);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(told["report"], "model/report.html");
    let verdict = told["verdict"].as_str().unwrap();
    assert!(
        verdict.starts_with("this is an engine whose network began from nothing; "),
        "{verdict}"
    );
    assert!(ran.stderr.contains(verdict), "{}", ran.stderr);
    let page = std::fs::read_to_string(page(&folder)).unwrap();
    assert!(page.starts_with("<!doctype html>\n<!-- what a training run of looksee came to -->\n"));
    for part in ["figures", "short", "curves", "own", "run"] {
        assert!(page.contains(&format!("<section id=\"{part}\">")), "{part} is not in the page");
    }
    // Fewer than 200 pairs tell nothing of a linear baseline, and it says so.
    assert!(ran.stderr.contains("no linear baseline to compare with"), "{}", ran.stderr);
    assert!(ran.stderr.contains("to compare with, by chance, among 20: R@1"), "{}", ran.stderr);
    assert!(page.contains("<td>untrained</td>") && !page.contains("<td>a linear baseline</td>"));
    // The colours are a field of the shop, and its pictures are there.
    let own = page.split("<section id=\"own\">").nth(1).unwrap();
    assert!(own.contains("<bdi>red</bdi>") && own.contains("src=\"data:image/jpeg;base64,"));
    assert!(!page.contains("picture not found") && !page.contains("<script"));
    // Nobody asks a shop of discs and bars for a pendant.
    assert!(!page.contains("animal pendant"));
}

#[test]
fn a_page_of_ones_own_stays_and_that_of_an_earlier_run_is_replaced() {
    let (folder, _) = trained(&["--epochs=1"]);
    let first = std::fs::read_to_string(page(&folder)).unwrap();
    let ran = train(&folder, &["--epochs=2", "--resume"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(std::fs::read_to_string(page(&folder)).unwrap() != first);
    folder.write("model/report.html", "<!doctype html>\n<html>my thesis");
    let ran = train(&folder, &["--epochs=3", "--resume"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("report.html: this is not a page that looksee wrote"), "{ran:?}");
    assert!(std::fs::read_to_string(page(&folder)).unwrap().ends_with("my thesis"));
}
