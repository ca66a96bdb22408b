//! Every error is one line that says what was found and what to do, with exit code 2.

use std::process::Stdio;

use crate::shop;
use crate::util::Folder;

#[test]
fn a_catalogue_that_is_not_there() {
    let ran = Folder::new().run(["train", "shoes.jsonl", "-o", "model"]);
    ran.failed_with("shoes.jsonl: there is no such catalogue; give a file or a folder of pictures");
}

#[test]
fn a_folder_that_is_no_model() {
    let folder = Folder::new();
    folder.write("shoes.jsonl", "{}");
    folder.run(["eval", ".", "shoes.jsonl"]).failed_with(
        ".: this is no model folder (it has no model.toml); \
         `looksee train CATALOGUE -o MODEL` makes a model",
    );
}

#[test]
fn a_model_that_is_not_there() {
    let folder = Folder::new();
    folder.write("shoes.jsonl", "{}");
    folder.run(["eval", "mdel", "shoes.jsonl"]).failed_with("mdel: there is no such folder");
}

#[test]
fn a_file_where_a_model_is_needed() {
    let folder = Folder::new();
    folder.write("model.toml", "");
    folder
        .run(["embed", "model.toml", "--images", "a.jpg", "-o", "v.npy"])
        .failed_with("model.toml: this is a file, and a folder is needed here");
}

#[test]
fn a_folder_that_is_no_index() {
    let folder = Folder::new();
    let sentence = ".: this is no index folder (it has no index.sqlite); \
                    `looksee index CATALOGUE -m MODEL -o INDEX` makes an index";
    for words in [
        &["search", ".", "red dress"][..],
        &["remove", ".", "B1"],
        &["compact", "."],
        &["check", "."],
        &["merge", ".", "-o", "all"],
    ] {
        folder.run(words).failed_with(sentence);
    }
}

#[test]
fn a_model_given_as_an_index() {
    let folder = Folder::new();
    folder.write("model/model.toml", "");
    folder.run(["search", "model", "red"]).failed_with(
        "model: this is no index folder (it has no index.sqlite); it is a model, \
         `looksee index CATALOGUE -m MODEL -o INDEX` makes an index with it",
    );
}

#[test]
fn an_index_without_a_model_to_make_it_with() {
    let folder = Folder::new();
    folder.write("shoes.jsonl", "{}");
    folder
        .run(["index", "shoes.jsonl", "-o", "shop"])
        .failed_with("shop: there is no model in this index yet; name one with --model MODEL");
}

#[test]
fn a_folder_that_is_neither_model_nor_index() {
    Folder::new()
        .run(["info", "."])
        .failed_with(".: this is neither a model (no model.toml) nor an index (no index.sqlite)");
}

#[test]
fn what_the_library_found_is_answered_with_what_to_type() {
    let folder = Folder::new();
    folder.write("shoes.xlsx", "?");
    folder.write("shoes.csv", "photo,caption\na.jpg,Hat\n");
    folder.write("far.csv", "image\nhttp://shop.org/a.jpg\n");
    for (words, sentence) in [
        (
            &["train", "shoes.xlsx", "-o", "model"][..],
            "shoes.xlsx: cannot tell what kind of catalogue this is (found .xlsx, expected a folder \
             of pictures, .jsonl, .json, .csv, .tsv (each also as .gz)); name it with --format",
        ),
        (
            &["train", "shoes.csv", "-o", "model", "--image-field=picture_file"],
            "shoes.csv: no field \"picture_file\" (found: photo, caption); name the one with the \
             pictures with --image-field",
        ),
        (
            &["train", "shoes.csv", "-o", "model", "--image-field=photo", "--id-field=number"],
            "shoes.csv: no field \"number\" (found: photo, caption); name one of these with \
             --id-field",
        ),
        (
            &["train", "far.csv", "-o", "model"],
            "no picture can be used: 0 pictures, 1 skipped (1 missing); the first one: far.csv:2: \
             a.jpg is not in ., to which it has to be fetched; `looksee urls` \
             lists what to fetch; --images names the folder they were fetched to",
        ),
        (
            &["train", "--print-recipe", "--recipe=best"],
            "no recipe \"best\"; there are default, pretrained, article; a file is named with --recipe \
             FILE.toml",
        ),
    ] {
        folder.run(words).failed_with(sentence);
    }
}

#[test]
fn queries_that_say_nothing() {
    let folder = Folder::new();
    folder
        .run(["search", "shop", "red", "-"])
        .failed_with("nothing follows the - at the end of the query");
    folder
        .run(["search", "shop", " "])
        .failed_with("the query is empty; give words, ./picture.jpg or id:NAME");
}

#[test]
fn a_grid_of_an_unknown_kind_is_refused_before_anything_is_searched() {
    Folder::new()
        .run(["search", "shop", "red", "--grid", "red.pdf"])
        .failed_with("red.pdf: a grid is a .png or an .html file");
}

#[test]
fn a_file_to_be_written_into_a_folder_that_is_not_there() {
    let folder = Folder::new();
    folder.write("model/model.toml", "");
    folder
        .run(["embed", "model", "--images", "a.jpg", "-o", "out/v.npy"])
        .failed_with("out: there is no such folder");
    folder
        .run(["search", "shop", "red", "--grid", "out/red.png"])
        .failed_with("out: there is no such folder");
}

#[test]
fn formats_that_contradict_each_other() {
    Folder::new()
        .run(["search", "shop", "red", "--json", "--format", "csv"])
        .failed_with("--format, --json and -0 ask for different formats");
}

#[test]
fn a_models_description_is_printed_as_it_is_and_as_json() {
    let folder = Folder::new();
    shop::copy(&shop::model(), &folder.path().join("model"));
    let card = std::fs::read_to_string(folder.path().join("model/model.toml")).unwrap();
    assert_eq!(folder.run(["info", "model"]).stdout, card);
    let ran = folder.run(["info", "model", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let table: toml::Table = card.parse().unwrap();
    assert_eq!(json, serde_json::to_value(table).unwrap());
}

#[test]
fn a_damaged_model_description_is_an_error_in_one_line() {
    let folder = Folder::new();
    folder.write("model/model.toml", "dim = \n");
    let ran = folder.run(["info", "model", "--json"]);
    assert_eq!(ran.code, Some(2));
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let folder = Folder::new();
    // More than a pipe holds, so that the program must notice.
    let rows = (0..20_000).map(|n| format!("{{\"image\":\"http://shop.org/{n}.jpg\"}}\n"));
    folder.write("shoes.jsonl", rows.collect::<String>());
    let mut command = folder.program(["urls", "shoes.jsonl"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_output_is_an_error() {
    let folder = Folder::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = folder.program(["train", "--print-recipe"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let sentence = String::from_utf8(output.stderr).unwrap();
    assert!(sentence.starts_with("looksee: cannot write to standard output: "), "{sentence}");
}

#[test]
fn pictures_and_texts_at_once() {
    let folder = Folder::new();
    folder.write("model/model.toml", "");
    let words = ["embed", "model", "--images", "-", "-o", "v.npy", "--texts", "t"];
    let ran = folder.run_with_input(&words, b"a.jpg\n");
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("cannot be used with"), "{}", ran.stderr);
}
