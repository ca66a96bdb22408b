//! A catalogue that changes and the index that follows it.

use serde_json::json;

use super::fake::{Colours, Shop};
use super::*;
use crate::index::{Carry, Collection, Found, Index, Nearest, Writer};

const RED: [u8; 3] = [255, 0, 0];
const GREEN: [u8; 3] = [0, 255, 0];
const BLUE: [u8; 3] = [0, 0, 255];

/// A shop with a red, a green and a blue thing.
fn shop() -> Shop {
    let shop = Shop::new();
    for (name, colour) in [("r.png", RED), ("g.png", GREEN), ("b.png", BLUE)] {
        shop.picture(name, colour);
    }
    shop.rows(&[
        json!({"id": "r", "image": "r.png", "title": "red hat", "price": 3}),
        json!({"id": "g", "image": "g.png", "title": "green hat"}),
        json!({"id": "b", "image": "b.png"}),
    ]);
    shop
}

fn run(shop: &Shop, encoder: &Colours, options: &UpdateOptions) -> Result<Updated> {
    run_into(shop, "index", encoder, options, &Stop::default())
}

fn run_into(
    shop: &Shop,
    index: &str,
    encoder: &Colours,
    options: &UpdateOptions,
    stop: &Stop,
) -> Result<Updated> {
    let mut writer = shop.writer(index);
    update(&shop.source(), encoder, &mut writer, options, stop, &mut |_| {})
}

fn counts(updated: &Updated) -> [usize; 4] {
    [updated.added, updated.changed, updated.unchanged, updated.removed]
}

fn open(shop: &Shop) -> Index {
    Index::open(&shop.path("index")).unwrap()
}

fn names(index: &Index) -> Vec<String> {
    index.ids(None).unwrap().iter().map(ToString::to_string).collect()
}

fn item(index: &Index, id: &str) -> Found {
    index.get(&[id.into()], Carry::ALL).unwrap().remove(0).unwrap()
}

#[test]
fn an_index_holds_the_pictures_texts_and_fields_of_the_catalogue() {
    let (shop, encoder) = (shop(), Colours::default());
    let updated = run(&shop, &encoder, &UpdateOptions::default()).unwrap();
    assert_eq!((counts(&updated), updated.ledger.used), ([3, 0, 0, 0], 3));
    assert_eq!(encoder.counted(), (3, 2));
    let index = open(&shop);
    assert_eq!(names(&index), ["b", "g", "r"]);
    let query = encoder.texts(&["blue"]).unwrap();
    let hits = index.search(&Nearest::new(&query, 1)).unwrap();
    assert_eq!(hits[0][0].item.id.as_str(), "b");
    let red = item(&index, "r");
    assert!(item(&index, "b").text.is_none() && red.text.unwrap()[0] > 0.9);
    let red = red.record.unwrap();
    assert_eq!((&red.texts[..], &red.fields["price"]), (&["red hat".to_owned()][..], &json!(3)));
    assert_eq!(red.image, Blob::from(shop.path("r.png")).absolute().unwrap());
    assert!(index.check().unwrap().problems.is_empty());
}

#[test]
fn a_second_run_embeds_nothing() {
    let (shop, encoder) = (shop(), Colours::default());
    run(&shop, &encoder, &UpdateOptions::default()).unwrap();
    encoder.counted();
    let updated = run(&shop, &encoder, &UpdateOptions::default()).unwrap();
    assert_eq!((counts(&updated), encoder.counted()), ([0, 0, 3, 0], (0, 0)));
}

#[test]
fn each_change_costs_what_it_must() {
    let (shop, encoder) = (shop(), Colours::default());
    run(&shop, &encoder, &UpdateOptions::default()).unwrap();
    encoder.counted();
    shop.picture("b.png", [0, 0, 9]);
    shop.picture("b2.png", BLUE);
    shop.rows(&[
        // Another price, another text, another picture, a new item.
        json!({"id": "r", "image": "r.png", "title": "red hat", "price": 4}),
        json!({"id": "g", "image": "g.png", "title": "blue hat"}),
        json!({"id": "b", "image": "b2.png"}),
        json!({"id": "n", "image": "b.png"}),
    ]);
    let mut file = fs_err::read(shop.path("b2.png")).unwrap();
    file.push(0);
    files::replace_bytes(&shop.path("b2.png"), &file).unwrap();
    let updated = run(&shop, &encoder, &UpdateOptions::default()).unwrap();
    assert_eq!((counts(&updated), encoder.counted()), ([1, 3, 0, 0], (2, 1)));
    let index = open(&shop);
    assert_eq!(item(&index, &names(&index)[3]).record.unwrap().fields["price"], 4);
    let second = item(&index, &names(&index)[1]);
    assert!(second.text.unwrap()[2] > 0.9 && second.picture.unwrap()[1] > 0.9);
    assert!(index.check().unwrap().problems.is_empty());
}

#[test]
fn a_text_that_is_gone_leaves_no_vector() {
    let (shop, encoder) = (shop(), Colours::default());
    run(&shop, &encoder, &UpdateOptions::default()).unwrap();
    shop.rows(&[json!({"id": "r", "image": "r.png"})]);
    run(&shop, &encoder, &UpdateOptions::default()).unwrap();
    let index = open(&shop);
    assert_eq!((names(&index), item(&index, "r").text), (vec!["r".to_owned()], None));
}

#[test]
fn what_vanished_is_removed_unless_it_shall_be_kept() {
    let (shop, encoder) = (shop(), Colours::default());
    run(&shop, &encoder, &UpdateOptions::default()).unwrap();
    shop.rows(&[
        json!({"id": "r", "image": "r.png", "title": "red hat", "price": 3}),
        json!({"id": "g", "image": "gone.png", "title": "green hat"}),
    ]);
    let keep = UpdateOptions { keep_missing: true, ..UpdateOptions::default() };
    let updated = run(&shop, &encoder, &keep).unwrap();
    assert_eq!((counts(&updated), open(&shop).len()), ([0, 0, 1, 0], 3));
    let updated = run(&shop, &encoder, &UpdateOptions::default()).unwrap();
    assert_eq!((counts(&updated), names(&open(&shop))), ([0, 0, 1, 2], vec!["r".to_owned()]));
    assert_eq!(updated.ledger.skipped[0].reason, Reason::Missing);
}

#[test]
fn a_picture_that_became_unreadable_is_listed_and_leaves_the_index() {
    for keep_missing in [false, true] {
        let (shop, encoder) = (shop(), Colours::default());
        run(&shop, &encoder, &UpdateOptions::default()).unwrap();
        files::replace_bytes(&shop.path("g.png"), b"no picture").unwrap();
        let options = UpdateOptions { keep_missing, ..UpdateOptions::default() };
        let updated = run(&shop, &encoder, &options).unwrap();
        assert_eq!(
            (counts(&updated), names(&open(&shop))),
            ([0, 0, 2, 1], vec!["b".to_owned(), "r".to_owned()])
        );
        let skip = &updated.ledger.skipped[0];
        assert_eq!((skip.id.as_ref().unwrap().as_str(), skip.reason), ("g", Reason::Unreadable));
        assert_eq!((skip.place.line, updated.ledger.used), (Some(2), 2));
    }
}

#[test]
fn an_interrupted_run_goes_on_where_it_stopped() {
    let shop = Shop::new();
    let rows = (0..7u8).map(|number| {
        shop.picture(&format!("{number}.png"), [number, 99, 0]);
        json!({"id": number.to_string(), "image": format!("{number}.png")})
    });
    shop.rows(&rows.collect::<Vec<_>>());
    let stop = Stop::default();
    let encoder = Colours::stopping_after(4, &stop);
    let options = UpdateOptions { batch_size: 2, ..UpdateOptions::default() };
    let error = run_into(&shop, "index", &encoder, &options, &stop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!(
        (names(&open(&shop)), encoder.counted().0),
        (["0", "1", "2", "3"].map(str::to_owned).to_vec(), 4)
    );
    let updated = run(&shop, &Colours::default(), &options).unwrap();
    assert_eq!((counts(&updated), open(&shop).len()), ([3, 0, 4, 0], 7));
}

#[test]
fn a_file_with_another_time_and_the_same_content_is_not_embedded_again() {
    let (shop, encoder) = (shop(), Colours::default());
    run(&shop, &encoder, &UpdateOptions::default()).unwrap();
    encoder.counted();
    set_time(&shop.path("r.png"), std::time::UNIX_EPOCH + Duration::from_secs(5));
    let updated = run(&shop, &encoder, &UpdateOptions::default()).unwrap();
    assert_eq!((counts(&updated), encoder.counted()), ([0, 0, 3, 0], (0, 0)));
    let record = item(&open(&shop), "r").record.unwrap();
    assert_eq!(record.stamp.modified_ns, 5_000_000_000);
}

#[test]
fn verify_finds_another_content_of_the_same_size_and_time() {
    let (shop, encoder) = (shop(), Colours::default());
    let file = |name| fs_err::read(shop.path(name)).unwrap();
    assert_eq!(file("r.png").len(), file("g.png").len(), "the test needs files of one size");
    run(&shop, &encoder, &UpdateOptions::default()).unwrap();
    let time = std::fs::metadata(shop.path("r.png")).unwrap().modified().unwrap();
    files::replace_bytes(&shop.path("r.png"), &file("g.png")).unwrap();
    set_time(&shop.path("r.png"), time);
    let unseen = run(&shop, &encoder, &UpdateOptions::default()).unwrap();
    assert_eq!(counts(&unseen), [0, 0, 3, 0]);
    let verify = UpdateOptions { verify: true, ..UpdateOptions::default() };
    assert_eq!(counts(&run(&shop, &encoder, &verify).unwrap()), [0, 1, 2, 0]);
    assert!(item(&open(&shop), "r").picture.unwrap()[1] > 0.9);
}

fn set_time(path: &Path, time: std::time::SystemTime) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(time).unwrap();
}

#[test]
fn shards_share_the_items_among_them_and_merge_into_the_whole() {
    let shop = Shop::new();
    let rows = (0..20u8).map(|number| {
        shop.picture(&format!("{number}.png"), [number, 99, 0]);
        json!({"id": number.to_string(), "image": format!("{number}.png")})
    });
    shop.rows(&rows.collect::<Vec<_>>());
    let (encoder, stop) = (Colours::default(), Stop::default());
    let mut whole = shop.writer("index");
    for part in 1..=3 {
        let options = UpdateOptions { shard: Some((part, 3)), ..UpdateOptions::default() };
        let name = format!("part{part}");
        let updated = run_into(&shop, &name, &encoder, &options, &stop).unwrap();
        assert!(updated.added > 0 && updated.added < 20);
        assert_eq!(counts(&run_into(&shop, &name, &encoder, &options, &stop).unwrap())[0], 0);
        whole.merge(&Index::open(&shop.path(&name)).unwrap()).unwrap();
    }
    whole.commit().unwrap();
    assert_eq!((open(&shop).len(), encoder.counted().0), (20, 20));
    for shard in [(0, 3), (4, 3), (1, 0)] {
        let options = UpdateOptions { shard: Some(shard), ..UpdateOptions::default() };
        let error = run_into(&shop, "part1", &encoder, &options, &stop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

#[test]
fn a_disk_that_is_not_there_does_not_empty_the_index() {
    let (shop, encoder) = (shop(), Colours::default());
    run(&shop, &encoder, &UpdateOptions::default()).unwrap();
    for name in ["r.png", "g.png", "b.png"] {
        std::fs::remove_file(shop.path(name)).unwrap();
    }
    let error = run(&shop, &encoder, &UpdateOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().starts_with("none of the 3 pictures can be used"), "{error}");
    assert_eq!(open(&shop).len(), 3);
}

#[test]
fn vectors_of_files_leave_out_the_bad_ones_and_say_which() {
    let shop = shop();
    files::replace_bytes(&shop.path("bad.png"), b"no picture").unwrap();
    let paths = ["r.png", "bad.png", "b.png", "gone.png"].map(|name| Blob::from(shop.path(name)));
    let encoder = Colours::default();
    let (stop, limits) = (Stop::default(), Limits::default());
    let (vectors, failed) = pictures(&paths, &encoder, limits, &stop, &mut |_| {}).unwrap();
    assert_eq!(vectors.len(), 2);
    assert!(vectors.row(0)[0] > 0.9 && vectors.row(1)[2] > 0.9);
    assert_eq!(failed.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 3]);
    stop.ask();
    let error = pictures(&paths, &encoder, limits, &stop, &mut |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
}

#[test]
fn vectors_of_texts_come_in_order_across_batches() {
    let encoder = Colours::default();
    let asked: Vec<&str> = ["red", "green", "blue"].into_iter().cycle().take(100).collect();
    let vectors = texts(&asked, &encoder, &Stop::default(), &mut |_| {}).unwrap();
    assert_eq!(vectors.len(), 100);
    assert!((0..100).all(|number| vectors.row(number)[number % 3] > 0.9));
}

#[test]
fn texts_are_joined_as_the_encoder_wants_them() {
    let (shop, encoder) = (shop(), Colours::default());
    shop.rows(&[
        json!({"id": "r", "image": "r.png", "title": "red hat", "description": "a warm one"}),
    ]);
    run(&shop, &encoder, &UpdateOptions::default()).unwrap();
    assert_eq!(encoder.last_text(), "red hat & a warm one");
}

/// Copies a shop's catalogue and pictures, not its index, keeping the times of the files.
fn move_shop(shop: &Shop, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in ["shop.jsonl", "r.png", "g.png", "b.png"] {
        std::fs::rename(shop.path(name), to.join(name)).unwrap();
    }
}

#[test]
fn a_library_that_moved_is_unchanged_and_the_index_follows() {
    let (shop, encoder) = (shop(), Colours::default());
    run(&shop, &encoder, &UpdateOptions::default()).unwrap();
    encoder.counted();
    let new = shop.path("another place");
    move_shop(&shop, &new);
    let mut writer = shop.writer("index");
    let (source, options) = (Source::new([new.join("shop.jsonl")]), UpdateOptions::default());
    let moved = |writer: &mut Writer| {
        update(&source, &encoder, writer, &options, &Stop::default(), &mut |_| {}).unwrap()
    };
    assert_eq!((counts(&moved(&mut writer)), encoder.counted()), ([0, 0, 3, 0], (0, 0)));
    let index = open(&shop);
    assert_eq!(index.root(), Some(&*new));
    assert_eq!(item(&index, "r").record.unwrap().image.path(), new.join("r.png"));
    assert!(index.check().unwrap().problems.is_empty());
}

#[test]
fn catalogues_that_take_turns_in_an_index_leave_each_others_pictures_where_they_are() {
    let (shop, encoder) = (shop(), Colours::default());
    let more = Shop::new();
    more.picture("m.png", GREEN);
    more.rows(&[json!({"id": "m", "image": "m.png"})]);
    let keep = UpdateOptions { keep_missing: true, ..UpdateOptions::default() };
    let mut writer = shop.writer("index");
    let mut turn = |source: &Source| {
        let stop = Stop::default();
        counts(&update(source, &encoder, &mut writer, &keep, &stop, &mut |_| {}).unwrap())
    };
    assert_eq!(turn(&shop.source()), [3, 0, 0, 0]);
    assert_eq!(turn(&more.source()), [1, 0, 0, 0]);
    assert_eq!((turn(&shop.source()), turn(&more.source())), ([0, 0, 3, 0], [0, 0, 1, 0]));
    let index = open(&shop);
    let records = ["b", "g", "m", "r"].map(|id| item(&index, id).record.unwrap());
    let pictures = records.map(|record| record.image);
    let [b, g, r] = ["b.png", "g.png", "r.png"].map(|name| shop.path(name));
    assert_eq!(pictures.each_ref().map(Blob::path), [&*b, &g, &more.path("m.png"), &r]);
    assert_eq!(index.root(), Some(&*shop.path("")));
    assert!(index.check().unwrap().problems.is_empty());
}

#[test]
fn a_run_that_is_stopped_before_its_first_picture_leaves_no_index() {
    let (shop, stop) = (shop(), Stop::default());
    stop.ask();
    let mut writer = shop.writer("new/index");
    let options = UpdateOptions::default();
    let encoder = Colours::default();
    let stopped =
        update(&shop.source(), &encoder, &mut writer, &options, &stop, &mut |_| {}).unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Interrupted);
    writer.discard_if_empty(&crate::index::NoModel);
    assert!(!shop.path("new").exists());
}
