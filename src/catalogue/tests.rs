//! Whole catalogues of every format, and all that can be wrong with them.

use std::io::Write;

use serde_json::json;

use super::*;
use crate::error::FieldRole;

/// A folder with files, gone at the end of the test.
struct Shop(tempfile::TempDir);

impl Shop {
    fn new(files: &[(&str, &str)]) -> Self {
        let shop = Self(tempfile::tempdir().unwrap());
        for (name, content) in files {
            shop.write(name, content.as_bytes());
        }
        shop
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.0.path().to_path_buf() } else { self.0.path().join(name) }
    }

    fn source(&self, name: &str) -> Source {
        Source::new([self.path(name)])
    }
}

fn read(source: &Source) -> (Vec<Item>, Ledger) {
    let mut items = source.open().unwrap();
    let all = items.by_ref().map(Result::unwrap).collect();
    (all, items.into_ledger())
}

fn ids(source: &Source) -> Vec<String> {
    read(source).0.iter().map(|item| item.id.to_string()).collect()
}

/// Place (line), reason and message of each skip.
fn skips(ledger: &Ledger) -> Vec<(Option<u64>, Reason, &str)> {
    ledger.skipped.iter().map(|skip| (skip.place.line, skip.reason, &*skip.message)).collect()
}

/// The error of a source that cannot be used, without the temporary folder.
fn error(shop: &Shop, source: &Source) -> String {
    let error = match source.load() {
        Ok(catalogue) => panic!("read {} items", catalogue.items.len()),
        Err(error) => error.whole(),
    };
    error.replace(&format!("{}/", shop.path("").display()), "")
}

const HATS: &str = concat!(
    r#"{"id": 1, "image": "red.jpg", "title": "Red hat", "price": 7.5, "group": "g1"}"#,
    "\n",
    r#"{"id": 2, "image": "blue.jpg", "title": "Blue hat", "captions": ["A hat", ""], "group": "g1"}"#,
    "\n",
    r#"{"id": "c", "image": "/pictures/green.jpg", "text": "Green"}"#,
    "\n"
);

#[test]
fn json_lines_become_items() {
    let shop = Shop::new(&[("hats.jsonl", HATS)]);
    let (items, ledger) = read(&shop.source("hats.jsonl"));
    assert_eq!(items[0].id.as_str(), "1");
    assert_eq!(items[0].image.path(), shop.path("red.jpg"));
    assert_eq!(items[0].texts, ["Red hat"]);
    assert_eq!(serde_json::Value::Object(items[0].fields.clone()), json!({"price": 7.5}));
    assert_eq!(items[0].group.as_deref(), Some("g1"));
    assert_eq!(&*items[0].place.file, shop.path("hats.jsonl"));
    assert_eq!(items[0].place.line, Some(1));
    assert_eq!(items[1].texts, ["Blue hat", "A hat"]);
    assert_eq!(items[2].image.path(), Path::new("/pictures/green.jpg"));
    assert_eq!(items[2].group, None);
    assert_eq!(ledger.summary(), "3 pictures, 0 skipped");
    let shared = items[0].group.as_ref().zip(items[1].group.as_ref());
    assert!(shared.is_some_and(|(a, b)| Arc::ptr_eq(a, b)));
}

#[test]
fn an_array_a_gzip_file_and_a_byte_order_mark_read_the_same() {
    let array = format!("\u{feff}[{}]", HATS.trim().replace('\n', ",\n"));
    let shop = Shop::new(&[("hats.jsonl", HATS), ("hats.json", &array)]);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(HATS.as_bytes()).unwrap();
    shop.write("packed.jsonl.gz", &packed.finish().unwrap());
    for name in ["hats.jsonl", "hats.json", "packed.jsonl.gz"] {
        assert_eq!(ids(&shop.source(name)), ["1", "2", "c"], "{name}");
    }
}

#[test]
fn a_gzip_file_that_breaks_off_is_an_error_and_ends_the_stream() {
    let shop = Shop::new(&[]);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    packed.write_all(HATS.repeat(2_000).as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    shop.write("half.jsonl.gz", &packed[..packed.len() / 2]);
    let mut items = shop.source("half.jsonl.gz").open().unwrap();
    let broken = items.by_ref().find_map(Result::err).unwrap().to_string();
    assert!(broken.contains("cannot read to the end of the file; is it whole?"), "{broken}");
    assert!(items.next().is_none());
}

#[test]
fn csv_and_tsv_become_items_with_typed_fields() {
    let csv = "Image,title,price,code,note,sku\r\na.jpg,\"Hat, \"\"red\"\"\",7.50,007,,1e5\r\nb.jpg,2012,8,x,true,5\r\n";
    let tsv = csv.replace(',', "\t").replace("\"Hat\t", "\"Hat,");
    let shop = Shop::new(&[("hats.csv", csv), ("hats.tsv", &tsv)]);
    for name in ["hats.csv", "hats.tsv"] {
        let (items, _) = read(&shop.source(name));
        assert_eq!(items[0].texts, ["Hat, \"red\""], "{name}");
        assert_eq!(items[0].id.as_str(), "1e5");
        let fields = serde_json::Value::Object(items[0].fields.clone());
        assert_eq!(fields, json!({"price": 7.5, "code": "007"}));
        assert_eq!(items[1].texts, ["2012"]);
        assert_eq!(items[1].fields["note"], "true");
        assert_eq!(items[1].place.line, Some(3));
    }
}

#[test]
fn rows_that_cannot_be_used_go_to_the_ledger_and_the_run_goes_on() {
    let shop = Shop::new(&[]);
    let rows: [&[u8]; 7] = [
        b"{\"image\": \"a.jpg\", \"title\": \"A\"}",
        b"{\"image\": \"b.jpg\", ",
        b"caf\xe9",
        b"{\"title\": \"no picture\", \"id\": 4}",
        b"{\"image\": \"\", \"title\": \"empty\"}",
        b"{\"image\": 5}",
        b"{\"image\": \"c.jpg\"}",
    ];
    shop.write("hats.jsonl", &rows.join(&b'\n'));
    let (items, ledger) = read(&shop.source("hats.jsonl"));
    assert_eq!(items.len(), 2);
    assert_eq!((items[1].id.as_str(), items[1].place.line), ("c.jpg", Some(7)));
    let lines: Vec<_> = ledger.skipped.iter().map(|skip| skip.place.line.unwrap()).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6]);
    assert!(ledger.skipped.iter().all(|skip| skip.reason == Reason::BadRow));
    let messages: Vec<_> = ledger.skipped[1..].iter().map(|skip| &*skip.message).collect();
    assert_eq!(
        messages,
        [
            "the row is not UTF-8 text (byte 4); save the file as UTF-8",
            "no field \"image\" in this row",
            "field \"image\" is empty",
            "field \"image\" is a number, expected a picture's path",
        ]
    );
    assert_eq!(ledger.skipped[2].id.as_ref().map(ItemId::as_str), Some("4"));
}

#[test]
fn ragged_csv_rows_name_their_line_and_both_counts() {
    let csv = "image,title\na.jpg,\"two\nlines\"\nb.jpg\nc.jpg,C,more\nd.jpg,D\n";
    let shop = Shop::new(&[("hats.csv", csv)]);
    let (items, ledger) = read(&shop.source("hats.csv"));
    assert_eq!(items.iter().map(|item| item.place.line.unwrap()).collect::<Vec<_>>(), [2, 6]);
    assert_eq!(
        skips(&ledger),
        [
            (Some(4), Reason::BadRow, "found 1 cells, expected 2 as in the header"),
            (Some(5), Reason::BadRow, "found 3 cells, expected 2 as in the header"),
        ]
    );
}

#[test]
fn the_first_of_two_equal_ids_wins_across_files_too() {
    let shop = Shop::new(&[
        ("a.csv", "image,id\na.jpg,1\nb.jpg,1\n"),
        ("b.jsonl", "{\"image\": \"c.jpg\", \"id\": 1}\n{\"image\": \"d.jpg\", \"id\": 2}\n"),
    ]);
    let source = Source::new([shop.path("a.csv"), shop.path("b.jsonl")]);
    let (items, ledger) = read(&source);
    assert_eq!(
        items.iter().map(|item| item.image.path().to_path_buf()).collect::<Vec<_>>(),
        [shop.path("a.jpg"), shop.path("d.jpg")]
    );
    let message = "the id 1 was used by an earlier item";
    assert_eq!(
        skips(&ledger),
        [(Some(3), Reason::DuplicateId, message), (Some(1), Reason::DuplicateId, message)]
    );
    assert_eq!(ledger.summary(), "2 pictures, 2 skipped (2 duplicate ids)");
}

#[test]
fn a_title_of_a_million_characters_is_read_whole() {
    let title = "ü".repeat(1_000_000);
    let shop = Shop::new(&[
        ("long.csv", &format!("image,title\na.jpg,{title}\n")),
        ("long.jsonl", &format!("{{\"image\": \"a.jpg\", \"title\": \"{title}\"}}")),
    ]);
    for name in ["long.csv", "long.jsonl"] {
        assert_eq!(shop.source(name).load().unwrap().items[0].texts, [&*title], "{name}");
    }
}

#[test]
fn one_usable_row_is_a_catalogue() {
    let shop = Shop::new(&[("one.csv", "image\na.jpg\n")]);
    let catalogue = shop.source("one.csv").load().unwrap();
    assert_eq!(catalogue.items.len(), 1);
    assert!(catalogue.items[0].texts.is_empty());
    assert_eq!(catalogue.ledger.used, 1);
}

#[test]
fn load_keeps_what_open_streams() {
    let shop = Shop::new(&[("hats.jsonl", HATS)]);
    let source = shop.source("hats.jsonl");
    let streamed: Vec<Item> = source.open().unwrap().map(Result::unwrap).collect();
    let loaded = source.load().unwrap().items;
    let parts = |item: &Item| (item.id.clone(), item.texts.clone(), item.fields.clone());
    assert!(!loaded[0].fields.is_empty() && loaded.iter().all(|item| !item.texts.is_empty()));
    assert_eq!(
        loaded.iter().map(parts).collect::<Vec<_>>(),
        streamed.iter().map(parts).collect::<Vec<_>>()
    );
}

#[test]
fn a_catalogue_without_a_picture_field_lists_the_fields_it_has() {
    let shop = Shop::new(&[
        ("a.jsonl", "{\"id\": 1, \"price\": 2, \"title\": \"A\"}\n"),
        ("b.csv", "id,title,price\n1,A,2\n"),
        ("c.csv", "image,title\n,A\n"),
    ]);
    assert_eq!(
        error(&shop, &shop.source("a.jsonl")),
        "a.jsonl: no field \"image\" (found: id, price, title)"
    );
    assert_eq!(
        error(&shop, &shop.source("b.csv")),
        "b.csv: no field \"image\" (found: id, title, price)"
    );
    assert!(
        error(&shop, &shop.source("c.csv")).starts_with("c.csv: field \"image\" holds no picture")
    );
}

#[test]
fn a_field_that_the_user_named_and_no_row_has_is_an_error() {
    let shop = Shop::new(&[("hats.csv", "photo,caption,sku\na.jpg,Hat,1\n")]);
    let source = |change: fn(&mut Source)| {
        let mut source = shop.source("hats.csv");
        change(&mut source);
        source
    };
    let found = "(found: photo, caption, sku)";
    assert_eq!(
        error(&shop, &source(|source| source.image_field = Some("foto".into()))),
        format!("hats.csv: no field \"foto\" {found}; did you mean \"photo\"?")
    );
    assert_eq!(
        error(&shop, &source(|source| source.text_fields = vec!["caption".into(), "body".into()])),
        format!("hats.csv: no field \"body\" {found}")
    );
    assert!(
        error(&shop, &source(|source| source.id_field = Some("skew".into()))).contains("\"sku\"?")
    );
    let refused = source(|source| source.group_field = Some("lot".into())).load().unwrap_err();
    let (role, field) = (FieldRole::Group, "lot".to_owned());
    assert_eq!(refused.fact(), Some(&Fact::MissingField { role, field, meant: None }));
}

#[test]
fn fields_that_the_user_named_are_used() {
    let shop = Shop::new(&[(
        "hats.jsonl",
        "{\"title\": \"t\", \"image\": \"x.jpg\", \"pic\": \"y.jpg\", \"words\": [\"w\"], \"nr\": 9, \"lot\": 4}\n",
    )]);
    let mut source = shop.source("hats.jsonl");
    source.image_field = Some("pic".into());
    source.text_fields = vec!["words".into()];
    source.id_field = Some("nr".into());
    source.group_field = Some("lot".into());
    source.images = Some(shop.path(""));
    let (items, _) = read(&source);
    assert_eq!(items[0].image.path(), shop.path("y.jpg"));
    assert_eq!((items[0].id.as_str(), items[0].group.as_deref()), ("9", Some("4")));
    assert_eq!(items[0].texts, ["w"]);
    let fields = serde_json::Value::Object(items[0].fields.clone());
    assert_eq!(fields, json!({"title": "t", "image": "x.jpg"}));
}

#[test]
fn a_field_that_only_a_later_row_has_is_found() {
    let shop = Shop::new(&[(
        "hats.jsonl",
        "{\"a\": 1}\n{\"image\": \"a.jpg\"}\n{\"image\": \"b.jpg\", \"blurb\": \"B\"}\n",
    )]);
    let mut source = shop.source("hats.jsonl");
    source.text_fields = vec!["blurb".into()];
    let (items, ledger) = read(&source);
    assert_eq!(items.len(), 2);
    assert_eq!(items[1].texts, ["B"]);
    assert_eq!(skips(&ledger), [(Some(1), Reason::BadRow, "no field \"image\" in this row")]);
}

#[test]
fn nothing_to_read_is_an_error_that_says_what_was_seen() {
    let shop = Shop::new(&[
        ("empty.jsonl", ""),
        ("blank.csv", "\n\n"),
        ("header.csv", "image,title\n"),
        ("broken.jsonl", "\n{\n}\n"),
        ("a.parquet", "PAR1"),
        ("shard.tar.gz", ""),
        ("notes.xyz", "hello"),
        ("photo.jpg", ""),
        ("utf16.csv", ""),
    ]);
    shop.write("utf16.csv", b"\xff\xfei\0");
    let cases = [
        ("nowhere.jsonl", "nowhere.jsonl: no such file or folder"),
        ("empty.jsonl", "empty.jsonl: the catalogue is empty: expected one row a picture"),
        ("blank.csv", "blank.csv: the catalogue is empty: expected one row a picture"),
        ("header.csv", "header.csv: the catalogue has a header line and no rows"),
        (
            "broken.jsonl",
            "broken.jsonl:2: none of 2 rows can be read; the first one: the row is not JSON",
        ),
        (
            "a.parquet",
            "a.parquet: parquet is not read by this build; it reads a folder of pictures, .jsonl",
        ),
        ("shard.tar.gz", "shard.tar.gz: tar is not read by this build"),
        (
            "notes.xyz",
            "notes.xyz: cannot tell what kind of catalogue this is (found .xyz, expected",
        ),
        ("photo.jpg", "photo.jpg: this is a picture; name the folder that holds it"),
        ("utf16.csv", "utf16.csv: the file is UTF-16 text"),
    ];
    for (name, expected) in cases {
        let message = error(&shop, &shop.source(name));
        assert!(message.starts_with(expected), "{name}: {message}");
    }
    let kind = shop.source("nowhere.jsonl").open().unwrap_err().kind();
    assert_eq!(kind, ErrorKind::NotFound);
    assert_eq!(shop.source("a.parquet").open().unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(
        Source::default().open().unwrap_err().to_string().starts_with("no catalogue was named")
    );
    let mut source = shop.source("header.csv");
    source.images = Some(shop.path("pictures"));
    assert!(error(&shop, &source).starts_with("pictures: no such folder"));
    source.images = None;
    source.format = Some(Format::Folder);
    assert_eq!(error(&shop, &source), "header.csv: expected a folder, found a file");
}

#[test]
fn a_bad_file_is_found_before_the_first_one_is_read() {
    let shop = Shop::new(&[("hats.jsonl", HATS), ("bad.csv", "title\nx\n")]);
    let error = Source::new([shop.path("hats.jsonl"), shop.path("bad.csv")]).open().unwrap_err();
    assert!(error.to_string().contains("no field \"image\""));
}

#[test]
fn when_no_row_is_left_the_error_counts_them() {
    let shop = Shop::new(&[("hats.jsonl", HATS), ("urls.csv", "image\nhttp://x.org/a.jpg\n")]);
    let mut source = shop.source("hats.jsonl");
    source.filter = Some(Filter::parse("price > 100").unwrap());
    assert_eq!(
        error(&shop, &source),
        "no picture can be used: 0 pictures, 0 skipped, 3 left out by the filter"
    );
    let message = error(&shop, &shop.source("urls.csv"));
    assert!(
        message.contains("1 skipped (1 missing); the first one: urls.csv:2: a.jpg is not in"),
        "{message}"
    );
    let refused = shop.source("urls.csv").load().unwrap_err();
    assert_eq!(refused.fact(), Some(&Fact::NotFetched));
}

#[test]
fn the_filter_sees_the_whole_row_and_the_usual_names() {
    let csv = "image,sku,caption,price,lot\na.jpg,x1,Red hat,7.5,g\nb.jpg,x2,Blue hat,,g\n";
    let shop = Shop::new(&[("hats.csv", csv)]);
    let kept = |expression: &str| {
        let mut source = shop.source("hats.csv");
        source.group_field = Some("lot".into());
        source.filter = Some(Filter::parse(expression).unwrap());
        ids(&source)
    };
    assert_eq!(kept("price < 8"), ["x1"]);
    assert_eq!(kept("price is null"), ["x2"]);
    assert_eq!(
        kept("sku = 'X1' and id = 'x1' and title like 'red%' and caption contains 'hat'"),
        ["x1"]
    );
    assert_eq!(kept("group = 'g' and lot = 'g' and image = 'b.jpg'"), ["x2"]);
}

#[test]
fn limits_and_samples_keep_the_order_and_the_seed_decides() {
    let rows: String = (0..200)
        .map(|n| format!("{{\"image\": \"{n}.jpg\", \"id\": {n}}}\n"))
        .collect::<Vec<_>>()
        .concat();
    let shop = Shop::new(&[("many.jsonl", &rows)]);
    let mut source = shop.source("many.jsonl");
    source.limit = Some(3);
    assert_eq!(ids(&source), ["0", "1", "2"]);
    source.limit = None;
    source.sample = Some(20);
    let (sample, ledger) = read(&source);
    assert_eq!(ledger.used, 20);
    let numbers: Vec<u32> = sample.iter().map(|item| item.id.as_str().parse().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers.len() == 20 && numbers[19] > 100);
    let first = ids(&source);
    assert_eq!(first, ids(&source));
    source.seed = Seed(1);
    assert_ne!(first, ids(&source));
    source.limit = Some(5);
    assert_eq!(ids(&source), ["0", "1", "2", "3", "4"]);
    source.sample = Some(0);
    assert!(ids(&source).is_empty());
}

#[test]
fn a_sample_is_even() {
    let rows: String =
        (0..10).map(|n| format!("{{\"image\": \"{n}.jpg\"}}\n")).collect::<Vec<_>>().concat();
    let shop = Shop::new(&[("ten.jsonl", &rows)]);
    let mut counts = [0; 10];
    for seed in 0..400 {
        let mut source = shop.source("ten.jsonl");
        (source.sample, source.seed) = (Some(3), Seed(seed));
        for id in ids(&source) {
            counts[usize::from(id.as_bytes()[0] - b'0')] += 1;
        }
    }
    assert!(counts.iter().all(|count| (80..160).contains(count)), "{counts:?}");
}

#[test]
fn pictures_named_by_url_are_looked_up_and_the_rest_is_listed_to_fetch() {
    let csv = "id,image\n1,https://x.org/p/a.jpg\n2,http://x.org/b%20c.png?w=9\n3,https://x.org/q/a.jpg\n4,https://x.org/d.jpg\n5,https://x.org/d.jpg\n";
    let shop = Shop::new(&[("shop.csv", csv), ("pics/a.jpg", ""), ("pics/b c.png", "")]);
    let mut source = shop.source("shop.csv");
    source.images = Some(shop.path("pics"));
    let (items, ledger) = read(&source);
    assert_eq!(items[0].image.path(), shop.path("pics/a.jpg"));
    assert_eq!(items[1].image.path(), shop.path("pics/b c.png"));
    assert_eq!(items.len(), 2);
    assert!(ledger.skipped.iter().all(|skip| skip.reason == Reason::Missing));
    let remotes = source.remotes().unwrap();
    let remotes = remotes.pictures;
    assert_eq!(remotes.len(), 2);
    assert!(remotes[0].url.ends_with("q/a.jpg") && remotes[0].file.starts_with("a-"));
    assert_eq!(remotes[1].file, "d.jpg");
    shop.write(&format!("pics/{}", remotes[0].file), b"");
    assert_eq!(ids(&source), ["1", "2", "3"]);
    source.images = Some(shop.path("not-made-yet"));
    assert_eq!(source.remotes().unwrap().pictures.len(), 4);
    source.limit = Some(2);
    assert_eq!(source.remotes().unwrap().pictures.len(), 2);
}

const AMAZON_2014: &str = concat!(
    r#"{'asin': 'A0001', 'title': "Men's 12&quot; boot", 'price': 19.5, 'imUrl': 'http://i.example/I/31%2BG._SY300_.jpg', "#,
    r#"'brand': 'Acme', 'categories': [['Clothing', 'Shoes']], 'description': 'Warm.\nDry.', 'related': {'also_viewed': ['A0002']}}"#,
    "\n",
    r#"{'asin': 'A0002', 'title': u'Caf\xe9 mug', 'imUrl': 'http://i.example/I/42.png', 'salesRank': {'Home &amp; Kitchen': 5}}"#,
    "\n",
    r#"{'asin': 'A0003', 'title': 'No picture'}"#,
    "\n",
    r#"{'asin': 'A0004', 'title': 'broken', "#,
    "\n"
);

#[test]
fn amazon_2014_is_read_from_python_dictionaries() {
    let shop = Shop::new(&[("meta.json", AMAZON_2014), ("pics/A0001.jpg", "")]);
    let mut source = shop.source("meta.json");
    source.images = Some(shop.path("pics"));
    let (items, ledger) = read(&source);
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].id.as_str(), "A0001");
    assert_eq!(items[0].image.path(), shop.path("pics/A0001.jpg"));
    assert_eq!(items[0].texts, ["Men's 12\" boot", "Warm. Dry."]);
    assert_eq!(items[0].fields["category"], "Shoes");
    assert_eq!(items[0].fields["price"], 19.5);
    assert!(!items[0].fields.contains_key("imUrl"));
    assert_eq!(ledger.summary(), "1 picture, 3 skipped (1 missing, 2 bad rows)");
    assert_eq!(ledger.skipped[1].message, "the row names no picture");
    assert!(ledger.skipped[2].message.contains("nor a Python dictionary"));
    let remote = Remote { url: "http://i.example/I/42.png".into(), file: "A0002.png".into() };
    assert_eq!(source.remotes().unwrap().pictures, [remote]);
    shop.write("pics/A0002.png", b"");
    assert_eq!(read(&source).0[1].texts, ["Café mug"]);
}

#[test]
fn amazon_2018_is_read_in_both_forms() {
    let first = json!({
        "asin": "B1", "title": "Cap", "image": ["https://i.example/I/61B._SS40_.jpg"], "price": "$7.86",
        "description": ["Soft", "", "warm"], "feature": ["Cotton"], "category": ["Clothing", "Caps", "Cotton"],
        "main_cat": "Fashion", "tech1": "",
    });
    let second = json!({
        "asin": "B2", "title": "Hat", "imageURL": ["https://i.example/I/71C._SS40_.jpg"], "price": "",
        "imageURLHighRes": ["https://i.example/I/71C.jpg"], "also_buy": [], "main_cat": "Books",
    });
    let shop = Shop::new(&[
        ("v1.json", &first.to_string()),
        ("v2.json", &second.to_string()),
        ("B2.webp", ""),
    ]);
    shop.write("61B.jpg", b"");
    let (items, _) = read(&shop.source("v1.json"));
    assert_eq!(items[0].image.path(), shop.path("61B.jpg"));
    assert_eq!(items[0].texts, ["Cap", "Soft warm", "Cotton"]);
    let fields = serde_json::Value::Object(items[0].fields.clone());
    let expected = json!({"categories": ["Clothing", "Caps"], "category": "Caps", "main_cat": "Fashion", "price": 7.86});
    assert_eq!(fields, expected);
    let (items, _) = read(&shop.source("v2.json"));
    assert_eq!(items[0].image.path(), shop.path("B2.webp"));
    let fields = serde_json::Value::Object(items[0].fields.clone());
    assert_eq!(fields, json!({"main_cat": "Books", "category": "Books"}));
}

#[test]
fn amazon_2023_is_read_and_its_largest_picture_fetched() {
    let row = json!({
        "parent_asin": "C1", "title": "Dress", "store": "Baleaf", "price": 31.99, "features": ["Zip", "Hood"],
        "description": [], "categories": ["Clothing", "Dresses"], "average_rating": 4.2, "bought_together": null,
        "images": [{"thumb": "https://i.example/I/31z._SR38,50_.jpg", "large": "https://i.example/I/31z._AC_.jpg",
                    "variant": "MAIN", "hi_res": "https://i.example/I/61K._AC_UL1500_.jpg"}],
        "details": {"Color": "Navy"}, "videos": [],
    });
    let shop = Shop::new(&[("meta.jsonl", &row.to_string())]);
    let source = shop.source("meta.jsonl");
    let remote = Remote { url: "https://i.example/I/61K.jpg".into(), file: "C1.jpg".into() };
    assert_eq!(source.remotes().unwrap().pictures, [remote]);
    shop.write("C1.jpg", b"");
    let (items, _) = read(&source);
    assert_eq!(items[0].texts, ["Dress", "Zip Hood"]);
    assert_eq!(items[0].fields["brand"], "Baleaf");
    assert_eq!(items[0].fields["color"], "Navy");
    assert_eq!(items[0].group, None);
    assert!(!items[0].fields.contains_key("images"));
}

#[test]
fn amazon_rows_have_the_fields_that_the_user_names() {
    let row = json!({
        "parent_asin": "C1", "title": "Dress", "store": "Baleaf", "features": ["Zip", "Hood"],
        "images": [{"large": "https://i.example/I/31z.jpg"}],
    });
    let shop = Shop::new(&[("meta.jsonl", &row.to_string()), ("C1.jpg", "")]);
    let mut source = shop.source("meta.jsonl");
    source.text_fields = vec!["brand".into(), "features".into()];
    source.group_field = Some("store".into());
    let (items, _) = read(&source);
    assert_eq!(items[0].texts, ["Baleaf", "Zip Hood"]);
    assert_eq!(items[0].group.as_deref(), Some("Baleaf"));
    source.text_fields = vec!["colour".into()];
    assert!(error(&shop, &source).contains("no field \"colour\""));
}

#[test]
fn a_folder_reads_pictures_with_the_texts_beside_them() {
    let shop = Shop::new(&[
        ("pics/b.jpg", ""),
        ("pics/b.txt", "A red hat\r\n\r\n  Warm  \nA red hat\n"),
        ("pics/a/redShoe-01.PNG", ""),
        ("pics/a/notes.md", ""),
        ("pics/c.jpeg", ""),
        ("pics/c.json", "{\"title\": \"Boot\", \"price\": 5, \"group\": \"g\", \"asin\": \"X\"}"),
        ("pics/.hidden.jpg", ""),
        ("pics/.cache/d.jpg", ""),
        ("pics/e.gif", ""),
        ("pics/e.json", "[\"one\", \"two\"]"),
        ("pics/f.bmp", ""),
        ("pics/f.json", "{"),
    ]);
    let (items, ledger) = read(&shop.source("pics"));
    let found: Vec<_> = items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(found, ["a/redShoe-01.PNG", "b.jpg", "c.jpeg", "e.gif"]);
    assert_eq!(items[0].texts, ["red Shoe a"]);
    assert_eq!(items[0].fields["folder"], "a");
    assert_eq!(items[0].image.path(), shop.path("pics/a/redShoe-01.PNG"));
    assert_eq!(items[0].place, Place { file: items[0].image.path().into(), line: None });
    assert_eq!(items[1].texts, ["A red hat", "Warm"]);
    assert_eq!(items[2].texts, ["Boot"]);
    assert_eq!(items[2].group.as_deref(), Some("g"));
    let fields = serde_json::Value::Object(items[2].fields.clone());
    assert_eq!(fields, json!({"price": 5, "asin": "X"}));
    assert_eq!(items[3].texts, ["one", "two"]);
    assert_eq!(ledger.skipped.len(), 1);
    assert_eq!(*ledger.skipped[0].place.file, shop.path("pics/f.json"));
    assert!(ledger.skipped[0].message.starts_with("the file is not JSON"));
}

#[test]
fn a_folder_without_pictures_or_a_named_field_says_so() {
    let shop = Shop::new(&[
        ("pics/hats.jsonl", HATS),
        ("more/a.jpg", ""),
        ("more/a.json", "{\"title\": \"x\"}"),
    ]);
    let message = error(&shop, &shop.source("pics"));
    assert!(
        message.starts_with("pics: no pictures in this folder (1 other files); looked for jpg, "),
        "{message}"
    );
    let mut source = shop.source("more");
    source.text_fields = vec!["blurb".into()];
    let message = error(&shop, &source);
    assert!(message.contains("has a field \"blurb\" (found: title)"), "{message}");
    source.text_fields = vec![];
    source.filter = Some(Filter::parse("title = 'x' and id = 'a.jpg'").unwrap());
    assert_eq!(ids(&source), ["a.jpg"]);
}

#[cfg(unix)]
#[test]
fn links_that_lead_in_circles_are_followed_once() {
    use std::os::unix::fs::symlink;
    let shop = Shop::new(&[("pics/a/one.jpg", ""), ("else/two.jpg", "")]);
    symlink(shop.path("pics"), shop.path("pics/a/up")).unwrap();
    symlink(shop.path("pics/a"), shop.path("pics/0")).unwrap();
    symlink(shop.path("else"), shop.path("pics/b")).unwrap();
    symlink(shop.path("else"), shop.path("else/self")).unwrap();
    symlink(shop.path("else/two.jpg"), shop.path("pics/c.jpg")).unwrap();
    assert_eq!(ids(&shop.source("pics")), ["a/one.jpg", "b/two.jpg", "c.jpg"]);
}

#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_read_is_a_line_of_the_ledger() {
    use std::os::unix::fs::PermissionsExt;
    let shop = Shop::new(&[("pics/a.jpg", ""), ("pics/shut/b.jpg", "")]);
    let shut = shop.path("pics/shut");
    std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser may read everything.
    if std::fs::read_dir(&shut).is_err() {
        let (items, ledger) = read(&shop.source("pics"));
        assert_eq!(items.len(), 1);
        assert_eq!(ledger.skipped[0].reason, Reason::Unreadable);
    }
    std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn items_can_be_read_on_another_thread() {
    fn sendable<T: Send>(_: &T) {}
    let shop = Shop::new(&[("hats.jsonl", HATS)]);
    sendable(&shop.source("hats.jsonl").open().unwrap());
}

#[test]
fn rubbish_in_any_format_never_panics() {
    let shop = Shop::new(&[]);
    let mut rng = Seed(11).stream("catalogue rubbish", 0);
    let pieces: [&[u8]; 18] = [
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"image\"",
        b":",
        b"\"a.jpg\"",
        b",",
        b"\n",
        b"\r\n",
        b"\xff",
        b"'asin'",
        b"'",
        b"http://x/",
        b"1e9",
        b"\"",
        b"\\",
        b"image",
    ];
    for round in 0..100 {
        let bytes: Vec<u8> = (0..rng.usize(0..40))
            .flat_map(|_| pieces[rng.usize(0..pieces.len())].to_vec())
            .collect();
        for name in ["r.json", "r.csv", "r.tsv"] {
            shop.write(name, &bytes);
            let mut source = shop.source(name);
            source.format = (round % 2 == 0 && name == "r.json").then_some(Format::Amazon);
            let _ = source.load();
            let _ = source.remotes();
        }
    }
}

#[test]
fn the_root_is_the_folder_in_which_pictures_are_looked_up() {
    let shop = Shop::new(&[
        ("shop/hats.jsonl", HATS),
        ("shop/pictures/a.jpg", ""),
        ("shop/more/shoes.csv", "image\na.jpg\n"),
        ("elsewhere/b.jpg", ""),
    ]);
    let root = |paths: &[&str], images: Option<&str>| {
        let mut source = Source::new(paths.iter().map(|path| shop.path(path)));
        source.images = images.map(|images| shop.path(images));
        source.root().unwrap()
    };
    let path = |name| Some(shop.path(name));
    assert_eq!(root(&["shop/hats.jsonl"], None), path("shop"));
    assert_eq!(root(&["shop/pictures"], None), path("shop/pictures"));
    assert_eq!(root(&["shop/hats.jsonl"], Some("elsewhere")), path("elsewhere"));
    assert_eq!(root(&["shop/pictures"], Some("elsewhere")), path("shop/pictures"));
    assert_eq!(root(&["shop/hats.jsonl", "shop/more/shoes.csv"], None), path("shop"));
    assert_eq!(root(&["shop/pictures", "elsewhere"], None), path(""));
    assert_eq!(
        root(&["shop/hats.jsonl"], None).unwrap().join("red.jpg"),
        shop.path("shop/red.jpg")
    );
    assert_eq!(Source::new([] as [&str; 0]).root().unwrap(), None);
    assert_eq!(Source::new(["/a/x.csv", "/b/x.csv"]).root().unwrap(), None);
    let here = Source::new(["x.csv"]).root().unwrap().unwrap();
    assert_eq!(here, std::env::current_dir().unwrap());
    assert_eq!(Source::new(["./x.csv"]).root().unwrap().unwrap().as_os_str(), here.as_os_str());
}

#[test]
fn texts_that_hold_markup_are_cleaned_in_every_format() {
    const TITLE: &str = "Red ball &ndash; 5&quot; &amp; up";
    const LONG: &str =
        "<div><p><strong>Red</strong>&nbsp;ball, 5 < 6.</p><script>var t;</script></div>";
    let row = json!({"image": "a.png", "title": TITLE, "description": LONG, "shop": "A &amp; B"});
    let amazon = json!({
        "asin": "a", "imUrl": "http://x/a.png", "title": TITLE, "description": LONG,
        "shop": "A &amp; B",
    });
    let shop = Shop::new(&[
        ("plain.jsonl", &row.to_string()),
        ("array.json", &json!([row]).to_string()),
        (
            "shop.csv",
            &format!("image,title,description,shop\na.png,{TITLE},\"{LONG}\",A &amp; B\n"),
        ),
        ("amazon.jsonl", &amazon.to_string()),
        ("a.png", ""),
        ("folder/a.png", ""),
        ("folder/a.txt", &format!("{TITLE}\n<p></p>\n")),
        ("folder/a.json", &json!({"description": LONG}).to_string()),
    ]);
    for name in ["plain.jsonl", "array.json", "shop.csv", "amazon.jsonl", "folder"] {
        let (items, ledger) = read(&shop.source(name));
        assert_eq!(items[0].texts, ["Red ball – 5\" & up", "Red ball, 5 < 6."], "{name}");
        assert_eq!(ledger.skipped.len(), 0);
        // What is no text of ours is nobody's to change; Amazon's reader always has.
        if let Some(field) = items[0].fields.get("shop") {
            assert_eq!(field, if name == "amazon.jsonl" { "A & B" } else { "A &amp; B" });
        }
    }
}

#[test]
fn a_filter_sees_the_title_that_is_shown() {
    let row = json!({"image": "a.png", "name": "Lace &amp; Tip"});
    let shop = Shop::new(&[("shop.jsonl", &row.to_string()), ("a.png", "")]);
    let filter = Some(Filter::parse("title = 'Lace & Tip'").unwrap());
    assert_eq!(read(&Source { filter, ..shop.source("shop.jsonl") }).0.len(), 1);
}

/// The items of a catalogue by id: texts, group, where the picture is.
type Known = std::collections::BTreeMap<String, (Vec<String>, Option<String>, PathBuf)>;

fn known(sources: &[Source]) -> Known {
    let item = |item: Item| {
        let image = std::path::absolute(item.image.path()).unwrap();
        (item.id.to_string(), (item.texts, item.group.map(|group| group.to_string()), image))
    };
    sources.iter().flat_map(|source| read(source).0).map(item).collect()
}

/// Splits a source and gives its parts, which read without any option as the same items.
fn parted(shop: &Shop, source: &Source) -> [Source; 2] {
    let parts = source.split_into(0.3, Seed(1), &shop.path("parts")).unwrap();
    let sources = ["parts/train.jsonl", "parts/held-out.jsonl"].map(|name| shop.source(name));
    let counts = sources.each_ref().map(|source| ids(source).len());
    assert_eq!(counts, [parts.training, parts.held_out]);
    assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
    assert_eq!(known(&sources), known(std::slice::from_ref(source)));
    sources
}

#[test]
fn a_table_is_parted_by_group_and_keeps_every_field_and_what_its_cells_say() {
    let row = |n: usize| format!("{n}.jpg,00{n},{n}.50,SKU {n},g{},\n", n / 2);
    let rows: String = (0..20).map(row).collect();
    let shop = Shop::new(&[("hats.csv", &format!("photo,id,price,title,group,empty\n{rows}"))]);
    let sources = parted(&shop, &shop.source("hats.csv"));
    let groups = sources.each_ref().map(|source| {
        let groups = read(source).0.into_iter().map(|item| item.group.unwrap());
        groups.collect::<HashSet<_>>()
    });
    assert!(groups[0].is_disjoint(&groups[1]));
    let hat =
        sources.iter().flat_map(|source| read(source).0).find(|item| item.id.as_str() == "007");
    assert_eq!(hat.unwrap().fields["price"], 7.5);
    // Nothing of what was written is touched by a second split.
    let again = shop.source("hats.csv").split_into(0.3, Seed(1), &shop.path("parts"));
    assert!(again.unwrap_err().message().contains("name a new folder"));
}

#[test]
fn named_fields_are_found_without_their_options_in_the_parts() {
    let row = |n: usize| json!({"Foto": format!("{n}.jpg"), "nr": n, "label": format!("hat {n}"), "set": n / 3, "x": [n]});
    let rows: Vec<String> = (0..12).map(|n| row(n).to_string()).collect();
    let shop = Shop::new(&[("hats.jsonl", &rows.join("\n"))]);
    let named = |name: &str| Some(name.to_owned());
    let source = Source {
        image_field: named("Foto"),
        id_field: named("nr"),
        group_field: named("set"),
        text_fields: vec!["label".to_owned()],
        ..shop.source("hats.jsonl")
    };
    let parts = parted(&shop, &source);
    let item = &read(&parts[0]).0[0];
    assert!(item.fields.contains_key("label") && item.fields["x"].is_array(), "{item:?}");
    // And with their options as well.
    let paths = parts.iter().flat_map(|part| part.paths.clone()).collect();
    let with_options = Source { paths, ..source.clone() };
    assert_eq!(known(&[with_options]), known(&[source]));
}

#[test]
fn a_folder_and_amazons_rows_are_parted_too() {
    let shop = Shop::new(&[("pictures/a/red hat.jpg", ""), ("pictures/a/red hat.txt", "A\nB")]);
    for n in 0..9 {
        shop.write(&format!("pictures/b/hat-{n}.png"), b"");
    }
    shop.write("pictures/b/hat-3.json", br#"{"color": "blue", "group": "g", "title": "three"}"#);
    let sources = parted(&shop, &shop.source("pictures"));
    let three = sources.iter().flat_map(|source| read(source).0);
    let three = three.into_iter().find(|item| item.id.as_str() == "b/hat-3.png").unwrap();
    assert_eq!((&three.fields["color"], &three.fields["folder"]), (&"blue".into(), &"b".into()));

    let row = |n: usize| {
        json!({
            "asin": format!("B{n:03}"), "title": format!("Hat &amp; {n}"), "price": "$9.00",
            "description": ["soft"], "feature": ["wool", "warm"],
            "imageURL": [format!("https://x/{n}.jpg")]
        })
    };
    let rows: Vec<String> = (0..9).map(|n| row(n).to_string()).collect();
    let shop = Shop::new(&[("meta.json", &rows.join("\n"))]);
    for n in 0..9 {
        shop.write(&format!("B{n:03}.jpg"), b"");
    }
    let sources = parted(&shop, &shop.source("meta.json"));
    assert_eq!(read(&sources[0]).0[0].fields["price"], 9.0);
}

#[test]
fn one_group_cannot_be_parted_and_leaves_no_folder() {
    let shop = Shop::new(&[("one.csv", "image,group\na.jpg,x\nb.jpg,x\n")]);
    let error = shop.source("one.csv").split_into(0.5, Seed(1), &shop.path("parts")).unwrap_err();
    assert!(error.message().starts_with("2 pictures, 0 skipped cannot be parted"), "{error}");
    assert!(!shop.path("parts").exists());
}

#[test]
fn what_is_held_out_is_not_what_a_run_of_the_same_seed_would_put_aside() {
    let rows: Vec<String> = (0..400).map(|n| format!("{n}.jpg,{n}\n")).collect();
    let shop = Shop::new(&[("many.csv", &format!("image,id\n{}", rows.concat()))]);
    shop.source("many.csv").split_into(0.1, Seed(1), &shop.path("parts")).unwrap();
    let training = shop.source("parts/train.jsonl").load().unwrap();
    let aside = training.split(0.1, Seed(1)).validation.len();
    assert!((20..60).contains(&aside), "{aside} of {}", training.items.len());
}
