//! A library that moves to another place, its index with it.

use std::path::Path;

use serde_json::Value;

use crate::shop;
use crate::util::{Folder, Ran};

/// The shop and an index of it, with one row more that has no text, made in one place and moved to
/// another: the pictures and the catalogue to `library`, the index to `index`.
fn moved() -> Folder {
    let made = Folder::new();
    shop::write(&made);
    let rows = std::fs::read_to_string(made.path().join("shop.jsonl")).unwrap();
    let odd = r#"{"image": "pictures/red-disc-1.png", "id": "odd"}"#;
    made.write("shop.jsonl", format!("{rows}{odd}\n"));
    shop::copy(&shop::model(), &made.path().join("model"));
    done(&made.run(["index", "shop.jsonl", "-m", "model", "-o", "index"]));
    let there = Folder::new();
    std::fs::create_dir(there.path().join("library")).unwrap();
    for name in ["shop.jsonl", "pictures", "index"] {
        let to = if name == "index" { name.to_owned() } else { format!("library/{name}") };
        std::fs::rename(made.path().join(name), there.path().join(to)).unwrap();
    }
    there
}

#[track_caller]
fn done(ran: &Ran) -> &Ran {
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    ran
}

/// The pictures of an answer, or of the rows of an audit.
fn pictures(json: &str, list: &str) -> Vec<String> {
    let json: Value = serde_json::from_str(json).unwrap();
    let pictures = json[list].as_array().unwrap().iter();
    pictures.map(|row| row["image"].as_str().unwrap().to_owned()).collect()
}

fn warnings(ran: &Ran) -> Vec<&str> {
    ran.stderr.lines().filter(|line| line.starts_with("looksee: warning: ")).collect()
}

#[test]
fn answers_whose_pictures_are_gone_come_with_one_warning_that_says_what_to_do() {
    let folder = moved();
    let ran = folder.run(["search", "index", "red disc", "-k3", "--grid", "grid.html"]);
    let said = warnings(done(&ran));
    assert_eq!(said.len(), 1, "{}", ran.stderr);
    for part in ["3 of 3 pictures are not where the index says", "--images ROOT", "looksee index"] {
        assert!(said[0].contains(part), "{part}: {}", said[0]);
    }
    let grid = std::fs::read_to_string(folder.path().join("grid.html")).unwrap();
    assert_eq!(grid.matches("picture not found").count(), 3);
    folder.write("queries", "red disc\nblue ring\n");
    let ran = folder.run(["search", "index", "--queries", "queries", "-k3"]);
    let gone = "6 of 6 pictures are not where";
    assert!(matches!(warnings(&ran)[..], [one] if one.contains(gone)), "{ran:?}");
}

#[test]
fn a_folder_near_the_index_that_has_the_pictures_is_named_and_not_taken_unasked() {
    let folder = moved();
    std::fs::rename(folder.path().join("library/pictures"), folder.path().join("pictures"))
        .unwrap();
    let ran = folder.run(["search", "index", "red disc", "-k3", "--json"]);
    let place = folder.path().display();
    let named = format!("--images {place} looks there");
    assert!(matches!(warnings(&ran)[..], [one] if one.contains(&named)), "{}", ran.stderr);
    assert!(pictures(&ran.stdout, "hits").iter().all(|path| !Path::new(path).exists()));
}

#[test]
fn each_command_that_opens_pictures_can_be_told_where_they_are() {
    let folder = moved();
    let words = ["search", "index", "red disc", "-k3", "--images", "library", "--json"];
    let ran = folder.run(words.into_iter().chain(["--grid", "grid.html"]));
    assert_eq!(warnings(done(&ran)), [""; 0]);
    let found = pictures(&ran.stdout, "hits");
    assert!(found.len() == 3 && found.iter().all(|path| Path::new(path).is_file()), "{found:?}");
    let grid = std::fs::read_to_string(folder.path().join("grid.html")).unwrap();
    assert_eq!(grid.matches("picture not found").count(), 0);

    let words = ["audit", "index", "--kind", "empty-text", "--json"];
    let ran = folder.run(words);
    assert!(matches!(warnings(done(&ran))[..], [one] if one.contains("1 of 1 picture is not")));
    let ran = folder.run(words.into_iter().chain(["--images", "library", "-o", "audit.html"]));
    assert_eq!(warnings(done(&ran)), [""; 0]);
    assert!(pictures(&ran.stdout, "findings").iter().all(|path| Path::new(path).is_file()));

    let words = ["map", "index", "-o", "map.html", "--iterations=5", "-q"];
    let ran = folder.run(words);
    assert!(
        matches!(warnings(done(&ran))[..], [one] if one.contains("101 of 101 pictures are not"))
    );
    let ran = folder.run(words.into_iter().chain(["--images", "library"]));
    assert_eq!(warnings(done(&ran)), [""; 0]);

    let ran = folder.run(["search", "index", "red", "--images", "nowhere"]);
    ran.failed_with("nowhere: no such folder; it was named as the place of the pictures");
}

#[test]
fn an_update_in_the_new_place_embeds_nothing_and_remembers_it() {
    let folder = moved();
    let segments = || std::fs::read_dir(folder.path().join("index/segments")).unwrap().count();
    let before = segments();
    let ran = folder.run(["index", "library/shop.jsonl", "-o", "index"]);
    let counts = "0 added, 0 changed, 101 unchanged, 0 removed\n";
    assert!(done(&ran).stdout.starts_with(counts), "{}", ran.stdout);
    assert_eq!(segments(), before);
    let ran = folder.run(["search", "index", "red disc", "-k3", "--json"]);
    assert_eq!(warnings(done(&ran)), [""; 0]);
    assert!(pictures(&ran.stdout, "hits").iter().all(|path| Path::new(path).is_file()));
    done(&folder.run(["check", "index"]));
    let root = folder.path().join("library");
    let info = folder.run(["info", "index"]).stdout;
    assert!(info.contains(&format!("\npictures in   {}\n", root.display())), "{info}");
    let info: Value =
        serde_json::from_str(&folder.run(["info", "index", "--json"]).stdout).unwrap();
    assert_eq!(info["root"], root.to_str().unwrap());
}
