//! What a training run says of itself, on its way and in the page that it leaves beside its model.

use serde_json::Value;

use crate::shop;
use crate::util::Folder;

#[test]
fn a_run_leaves_a_page_with_figures_curves_and_what_is_found() {
    let folder = Folder::new();
    shop::write(&folder);
    let words = ["train", "shop.jsonl", "-o", "model", "--epochs=2", "--json"];
    let ran = folder.run([&words, shop::SMALL].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(told["report"], "model/report.html");
    let verdict = told["verdict"].as_str().unwrap();
    assert!(
        verdict.starts_with("this is an engine whose network began from nothing; "),
        "{verdict}"
    );
    assert!(ran.stderr.contains(verdict), "{}", ran.stderr);
    let page = std::fs::read_to_string(folder.path().join("model/report.html")).unwrap();
    assert!(page.starts_with("<!doctype html>\n<!-- what a training run of looksee came to -->\n"));
    for part in ["figures", "short", "curves", "own", "run"] {
        assert!(page.contains(&format!("<section id=\"{part}\">")), "{part} is not in the page");
    }
    // Fewer than 200 pairs tell nothing of a linear baseline, and it says so.
    assert!(ran.stderr.contains("no linear baseline to compare with"), "{}", ran.stderr);
    assert!(ran.stderr.contains("to compare with, by chance, among 19: R@1"), "{}", ran.stderr);
    assert!(page.contains("<td>untrained</td>") && !page.contains("<td>a linear baseline</td>"));
    // The colours are a field of the shop, and its pictures are there.
    let own = page.split("<section id=\"own\">").nth(1).unwrap();
    assert!(own.contains("<bdi>red</bdi>") && own.contains("src=\"data:image/jpeg;base64,"));
    assert!(!page.contains("picture not found") && !page.contains("<script"));
    // Nobody asks a shop of discs and bars for a pendant.
    assert!(!page.contains("animal pendant"));
}
