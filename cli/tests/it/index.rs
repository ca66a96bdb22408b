//! Commands that need an index but no search: it is made here, of vectors that mean nothing.

use std::path::Path;

use looksee::encoder::{Encoder, Model};
use looksee::index::{Companion, Index, NoModel, Record, Sink, Space, Stamp, Writer};
use looksee::vectors::Vectors;

use crate::shop;
use crate::util::Folder;

/// Makes the index `name` in the folder, with an item for each id and no model inside.
fn make(folder: &Folder, name: &str, fingerprint: &str, ids: &[&str]) {
    let space = Space { fingerprint: fingerprint.to_owned(), dim: 2 };
    fill(folder, name, &space, &NoModel, ids);
}

/// Makes the index `name` with the shop's model inside.
fn make_with_model(folder: &Folder, name: &str, ids: &[&str]) {
    let model = Model::load(&shop::model()).unwrap();
    let space = Space { fingerprint: model.fingerprint().to_owned(), dim: model.dim() };
    fill(folder, name, &space, &model, ids);
}

fn fill(folder: &Folder, name: &str, space: &Space, model: &dyn Companion, ids: &[&str]) {
    let mut writer = Writer::open(&folder.path().join(name), space, model).unwrap();
    let records: Vec<_> = ids.iter().map(|id| record(id)).collect();
    let pictures = Vectors::normalised(space.dim, vec![1.0; space.dim * ids.len()]).unwrap();
    writer.add(&records, &pictures, &vec![None; ids.len()]).unwrap();
    writer.commit().unwrap();
}

fn record(id: &str) -> Record {
    let fields = serde_json::json!({"color": "red", "price": 20});
    Record {
        id: id.into(),
        image: format!("/pictures/{id}.jpg").into(),
        texts: vec![format!("title of {id}")],
        fields: fields.as_object().cloned().unwrap(),
        group: None,
        stamp: Stamp { size: 1, modified_ns: 1, content: 1 },
    }
}

#[test]
fn info_counts_items_and_names_fields() {
    let folder = Folder::new();
    make(&folder, "shop", "abc", &["B1", "B2"]);
    let ran = folder.run(["info", "shop"]);
    assert!(ran.stdout.starts_with("items         2\nvectors       2 values each\n"), "{ran:?}");
    assert!(ran.stdout.contains("\nfields        color, price\n"), "{ran:?}");
    assert!(
        ran.stdout.contains("\npictures in   no one folder (whole paths are kept)\n"),
        "{ran:?}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&folder.run(["info", "shop", "--json"]).stdout).unwrap();
    assert_eq!((&json["items"], &json["model"]), (&2.into(), &"abc".into()));
}

/// JSON knows no bytes: a path that is no Unicode must not end the program.
#[cfg(unix)]
#[test]
fn folders_whose_names_are_no_unicode_are_shown_all_the_same() {
    use std::os::unix::ffi::OsStringExt;
    let odd = |bytes: &[u8]| std::ffi::OsString::from_vec(bytes.to_vec());
    let folder = Folder::new();
    make_with_model(&folder, "part", &["B1"]);
    let model = Model::load(&shop::model()).unwrap();
    let space = Space { fingerprint: model.fingerprint().to_owned(), dim: model.dim() };
    let mut writer = Writer::open(&folder.path().join("part"), &space, &model).unwrap();
    writer.set_root(Some(odd(b"/shop \xFF\x1B[31m").into()));
    writer.finish().unwrap();
    drop(writer);
    let told = |words: &[&std::ffi::OsStr]| -> serde_json::Value {
        let ran = folder.run(words);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        serde_json::from_str(&ran.stdout).unwrap()
    };
    let info = told(&["info".as_ref(), "part".as_ref(), "--json".as_ref()]);
    assert_eq!(info["root"], "/shop \u{fffd}\u{1b}[31m");
    let info = folder.run(["info", "part"]).stdout;
    assert!(info.contains("\npictures in   /shop \u{fffd} [31m\n"), "{info}");
    let output = odd(b"all\xFF");
    let words = ["merge", "part", "-o"].map(std::ffi::OsStr::new);
    let merged = told(&[&words[..], &[&output, "--json".as_ref()]].concat());
    assert_eq!(merged["index"], "all\u{fffd}");
}

#[test]
fn removed_items_are_gone_and_unknown_ones_are_named() {
    let folder = Folder::new();
    make(&folder, "shop", "abc", &["B1", "B2", "B3"]);
    let ran = folder.run(["remove", "shop", "B1", "B9"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "1 item removed\n"));
    assert_eq!(ran.stderr, "looksee: warning: no item \"B9\" in the index\n");
    let ran = folder.run_with_input(&["remove", "shop", "-"], b"B2\n");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "1 item removed\n"));
    let ran = folder.run(["remove", "shop", "B1"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), "0 items removed\n"));
}

#[test]
fn a_compact_index_has_no_removed_rows() {
    let folder = Folder::new();
    make(&folder, "shop", "abc", &["B1", "B2", "B3"]);
    folder.run(["remove", "shop", "B1"]);
    assert!(folder.run(["info", "shop"]).stdout.contains("removed rows  1 ("));
    assert_eq!(folder.run(["compact", "shop"]).code, Some(0));
    assert!(folder.run(["info", "shop"]).stdout.ends_with("removed rows  0\n"));
}

#[test]
fn merged_parts_are_one_index_with_the_model_inside() {
    let folder = Folder::new();
    make_with_model(&folder, "part1", &["B1", "B2"]);
    make_with_model(&folder, "part2", &["B3"]);
    let ran = folder.run(["merge", "part1", "part2", "-o", "shop", "--quiet"]);
    assert_eq!(ran.stdout, "3 taken over, shop holds 3 items\n", "{ran:?}");
    assert!(folder.path().join("shop/model/model.toml").is_file());
    let ran = folder.run(["check", "shop"]);
    assert!(ran.stdout.starts_with("3 items in "), "{ran:?}");
    assert_eq!(ran.code, Some(0));
}

#[test]
fn parts_of_another_model_are_refused() {
    let folder = Folder::new();
    make(&folder, "part1", "abc", &["B1"]);
    make(&folder, "part2", "xyz", &["B2"]);
    let ran = folder.run(["merge", "part1", "part2", "-o", "shop", "-q"]);
    assert_eq!((ran.code, ran.stderr.lines().count()), (Some(2), 1), "{ran:?}");
    assert!(ran.stderr.contains("abc") && ran.stderr.contains("xyz"), "{ran:?}");
    assert!(!folder.path().join("shop").exists());
}

#[test]
fn a_damaged_index_is_found_by_check() {
    let folder = Folder::new();
    make(&folder, "shop", "abc", &["B1", "B2"]);
    let segment = largest_file(&folder.path().join("shop/segments"));
    let mut bytes = std::fs::read(&segment).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let ran = folder.run(["check", "shop"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

fn largest_file(folder: &Path) -> std::path::PathBuf {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.max_by_key(|path| path.metadata().unwrap().len()).unwrap()
}

#[test]
fn an_audit_of_an_index_without_texts_says_so() {
    let folder = Folder::new();
    make(&folder, "shop", "abc", &["B1", "B2"]);
    folder.run(["audit", "shop"]).failed_with(
        "shop: none of the 2 items has a text that a model has read, so there is nothing to \
         compare the pictures with; index a catalogue with texts by a model that reads them",
    );
}

/// While a snapshot is open, a process that ends must not take itself for the last one that uses
/// the database, and delete its log: this process has to keep its locks, whatever else it opens.
#[test]
fn a_second_look_at_an_index_keeps_the_locks_of_the_first() {
    let folder = Folder::new();
    make_with_model(&folder, "index", &["a", "b", "c"]);
    let path = folder.path().join("index");
    let first = Index::open(&path).unwrap();
    drop(Index::open(&path).unwrap());
    assert!(first.is_current().unwrap());
    let ran = folder.run(["remove", "index", "b"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(path.join("index.sqlite-wal").exists(), "the log went while it was in use");
    assert!(!first.is_current().unwrap());
    assert_eq!(first.len(), 3);
}
