//! Catalogues: rows of every format, and the texts beside the pictures of a folder.

use std::path::Path;

use super::driver::Target;
use super::seeds;
use crate::catalogue::{Format, Source};
use crate::filter::Filter;

const JSON: &[&str] = &[
    "{\"image\": \"a.png\", \"id\": \"1\", \"title\": \"Red hat\", \"price\": 3.5, \"tags\": [\"x\", null]}\n\
     {\"image\": \"http://x.org/b.jpg\", \"id\": \"2\", \"title\": \"Blue\", \"details\": {\"a\": {\"b\": true}}}\n",
    "[{\"image\": \"a.png\", \"title\": \"Red\"}, {\"image\": \"c.png\"}]",
];
const TABLE: &[&str] = &[
    "image,title,price,id\na.png,\"Red \"\"big\"\" hat\",7.5,1\nhttp://x.org/b.jpg?x=1,Blue,8,2\n",
    "image\ttitle\na.png\tRed hat\nb.png\tBlue\n",
];
const AMAZON: &[&str] = &[
    "{'asin': '0001', 'title': \"Red 'hat'\", 'imUrl': 'http://x.org/b.jpg', 'price': 3.5, 'related': {'also': ['1']}, 'n': None}\n",
    "{\"asin\": \"0002\", \"title\": \"Hat\", \"imageURLHighRes\": [\"http://x.org/c.jpg\"], \"details\": {\"a\": \"b\"}}\n",
    "{\"parent_asin\": \"0003\", \"title\": \"Hat\", \"images\": [{\"hi_res\": null, \"large\": \"https://x.org/d.jpg\"}]}\n",
];

/// Reads the input as a catalogue of this format twice, with every reader of rows there is.
fn read(file: &Path, format: Format) {
    let mut source = Source::new([file]);
    source.format = Some(format);
    source.filter = Some(Filter::parse("not price > 1e300").unwrap());
    let ids = |source: &Source| {
        let loaded = source.load().ok()?;
        let ids = loaded.items.iter().map(|item| item.id.to_string()).collect::<Vec<_>>();
        // A list is flushed to the disk, which takes longer than everything else here.
        if std::fs::metadata(file).is_ok_and(|about| about.len() % 16 == 0) {
            let ledger = file.with_file_name("skipped.jsonl");
            loaded.ledger.write(&ledger).unwrap();
            assert_lines_are_objects(&std::fs::read_to_string(ledger).unwrap());
        }
        Some((ids, loaded.ledger.summary()))
    };
    let first = ids(&source);
    assert_eq!(ids(&source), first, "read twice, two catalogues");
    let remotes = source.remotes().map(|remotes| remotes.pictures);
    for remote in remotes.unwrap_or_default() {
        assert_is_one_line(&remote.url);
        assert_is_one_line(&remote.file);
        assert!(!remote.file.contains(['/', '\\', ' ']), "a file name that leads away: {remote:?}");
        assert!(!remote.file.starts_with(['-', '.']), "a file name that is an option: {remote:?}");
        assert!(!remote.url.contains(' '), "a blank in a URL: {remote:?}");
    }
}

fn assert_lines_are_objects(ledger: &str) {
    for line in ledger.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(value.is_object(), "{line}");
    }
}

fn assert_is_one_line(text: &str) {
    assert!(!text.contains(char::is_control), "a URL that writes lines of its own: {text:?}");
}

fn run(name: &str, file: &str, format: Format, inputs: &[&str], words: &[&str]) {
    let target = Target { name, file, seeds: seeds(inputs), words, head: usize::MAX };
    target.run(|file, _| read(file, format));
}

#[test]
fn whatever_json_rows_say_they_are_read_alike_twice_and_name_only_files() {
    let words = [
        "{\"image\": \"",
        "\"}",
        "\\u0000",
        "\\n",
        "\\ud800",
        "http://",
        "null",
        ",",
        ":",
        "1e999",
    ];
    run("rows-json", "rows.jsonl", Format::Json, JSON, &words);
}

#[test]
fn whatever_comma_separated_rows_say_they_are_read_alike_twice() {
    run(
        "rows-csv",
        "rows.csv",
        Format::Csv,
        TABLE,
        &[",", "\"\"", "\",\"", "http://", "image", "title", "\n"],
    );
}

#[test]
fn whatever_tab_separated_rows_say_they_are_read_alike_twice() {
    run("rows-tsv", "rows.tsv", Format::Tsv, &[TABLE[1]], &["\t", "\"", "http://", "image", "\n"]);
}

#[test]
fn whatever_amazons_rows_say_they_are_read_alike_twice_and_name_only_files() {
    let words = [
        "'",
        "\"",
        "\\'",
        "None",
        "True",
        "u'",
        "'imUrl': 'http://",
        "\\x00",
        "\\n",
        "{",
        "}",
        "[",
        "]",
        ": ",
    ];
    run("rows-amazon", "rows.json", Format::Amazon, AMAZON, &words);
}

#[test]
fn whatever_is_packed_is_read_alike_twice() {
    let pack = |text: &&str| {
        use std::io::Write;
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    };
    let target = Target {
        name: "rows-packed",
        file: "rows.jsonl.gz",
        seeds: JSON.iter().map(pack).collect(),
        words: &["\u{1f}", "\u{8b}"],
        head: usize::MAX,
    };
    target.run(|file, _| read(file, Format::Json));
}

#[test]
fn whatever_stands_beside_a_picture_its_item_is_read_alike_twice() {
    for (name, file) in [("beside-json", "a.json"), ("beside-text", "a.txt")] {
        let target = Target {
            name,
            file,
            seeds: seeds(&[
                "{\"title\": \"Red hat\", \"price\": 3, \"tags\": [\"a\", \"b\"]}",
                "Red hat\nwith a feather\n",
            ]),
            words: &["{", "}", "\"title\": ", "null", "\u{feff}"],
            head: usize::MAX,
        };
        target.run(|file, _| {
            let folder = file.parent().unwrap();
            std::fs::write(folder.join("a.png"), b"a picture that nobody opens").unwrap();
            let mut source = Source::new([folder]);
            source.format = Some(Format::Folder);
            let texts = || {
                let items = source.load().map(|loaded| loaded.items).unwrap_or_default();
                items.into_iter().map(|item| item.texts).collect::<Vec<_>>()
            };
            assert_eq!(texts(), texts(), "read twice, two catalogues");
        });
    }
}
