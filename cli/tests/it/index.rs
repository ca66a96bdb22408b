//! Commands that need an index but no model: it is made here, of vectors that mean nothing.

use std::path::Path;

use looksee::index::{Record, Space, Stamp, Writer};
use looksee::vectors::Vectors;

use crate::shop;
use crate::util::Folder;

/// Makes the index `name` in the folder, with an item for each id.
fn make(folder: &Folder, name: &str, fingerprint: &str, ids: &[&str]) {
    let path = folder.path().join(name);
    let space = Space { fingerprint: fingerprint.to_owned(), dim: 2 };
    let fill_model = |to: &Path| {
        shop::copy(&shop::model(), to);
        Ok(())
    };
    let mut writer = Writer::open(&path, &space, fill_model).unwrap();
    let records: Vec<_> = ids.iter().map(|id| record(id)).collect();
    let pictures = Vectors::normalised(2, [1.0, 0.0].repeat(ids.len())).unwrap();
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
    let json: serde_json::Value =
        serde_json::from_str(&folder.run(["info", "shop", "--json"]).stdout).unwrap();
    assert_eq!((&json["items"], &json["model"]), (&2.into(), &"abc".into()));
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
    make(&folder, "part1", "abc", &["B1", "B2"]);
    make(&folder, "part2", "abc", &["B3"]);
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
        "shop: none of the 2 items has a text, so there is nothing to compare the pictures with; \
         index a catalogue with texts",
    );
}
