//! Folders that hold other things, files that were changed, databases that strangers made.

use rusqlite::Connection;

use super::*;
use crate::error::Fact;
use crate::index::store::Opened;

/// Changes one bit of a file.
pub(super) fn flip(path: &Path, offset: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[offset] ^= 0x40;
    files::replace_bytes(path, &bytes).unwrap();
}

fn database(folder: &Path) -> Connection {
    Connection::open(store::path(folder)).unwrap()
}

/// Runs SQL on the database of an index.
fn sql(folder: &Path, sql: &str) {
    database(folder).execute_batch(sql).unwrap();
}

/// What lies in a folder, at any depth, with its content.
fn everything(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let about = path.symlink_metadata().unwrap();
        if about.is_dir() {
            all.extend(everything(&path));
        } else if about.is_file() {
            all.push((path.clone(), std::fs::read(&path).unwrap()));
        } else {
            all.push((path, Vec::new()));
        }
    }
    all.sort();
    all
}

/// Adds again what was lost, as an update does; the names.
fn mend(folder: &Path, items: &[(&str, [f32; DIM])]) -> Vec<String> {
    let mut writer = writer(folder);
    let count = writer.look_for_damage().unwrap();
    let lost: Vec<(&str, [f32; DIM])> =
        items.iter().copied().filter(|(id, _)| writer.is_lost(&(*id).into())).collect();
    for (id, _) in items {
        let unknown = writer.known(&(*id).into()).unwrap().is_none();
        assert_eq!(unknown, writer.is_lost(&(*id).into()), "{id}");
        if !unknown {
            writer.keep(&(*id).into()).unwrap();
        }
    }
    if !lost.is_empty() {
        add(&mut writer, &lost);
    }
    writer.commit().unwrap();
    writer.remove_unseen().unwrap();
    writer.drop_damaged().unwrap();
    writer.finish().unwrap();
    assert!(lost.len() <= count, "{} of {count}", lost.len());
    lost.iter().map(|(id, _)| (*id).to_owned()).collect()
}

const THREE: [(&str, [f32; DIM]); 3] = [("a", X), ("b", Y), ("c", Z)];

/// Items `a` and `b` in segments 1 and 2, `c` in 3 and 4.
fn two_commits() -> TempDir {
    let folder = index_of(&THREE[..2]);
    let mut writer = writer(folder.path());
    add(&mut writer, &THREE[2..]);
    writer.commit().unwrap();
    folder
}

#[test]
fn a_folder_with_files_of_a_persons_own_is_refused_and_stays_as_it_was() {
    for name in [
        "segments/clip1.mp4",
        "segments/000001.vectors",
        "segments/deep/000001.vectors",
        "model/photo.jpg",
        ".model.tmp/photo.jpg",
        ".index.sqlite.tmp",
        ".index.sqlite.tmp-wal",
        "index.sqlite-wal",
        ".hidden",
        "photo.jpg",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "precious").unwrap();
        let before = everything(folder.path());
        let error = open(folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name}: {error}");
        assert_eq!(everything(folder.path()), before, "{name}");
    }
}

#[test]
fn what_systems_put_into_folders_and_what_a_killed_run_left_is_no_hindrance() {
    let folder = tempfile::tempdir().unwrap();
    let segments = segment::folder(folder.path());
    std::fs::create_dir_all(&segments).unwrap();
    std::fs::create_dir(folder.path().join("lost+found")).unwrap();
    for (name, content) in [
        (".DS_Store", b"x".as_slice()),
        (".index.sqlite.tmp", b"SQLite format 3\0 and"),
        (".index.sqlite.tmp-shm", b""),
        ("segments/000001.vectors", b"LOOKSEEV and more"),
        ("segments/000002.vectors", b"LOOK"),
        ("segments/.000003.vectors.12.tmp", b"\0\0\0\0\0\0\0\0\0"),
    ] {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    drop(writer(folder.path()));
    assert_eq!(segment_files(folder.path()), 0);
    assert!(folder.path().join("lost+found").exists() && folder.path().join(".DS_Store").exists());
    assert!(!folder.path().join(".index.sqlite.tmp").exists());
    assert_whole(&Index::open(folder.path()).unwrap());
}

#[test]
fn files_that_are_not_ours_outlive_every_command_on_an_index() {
    let folder = index_of(&THREE);
    let segments = segment::folder(folder.path());
    let foreign = ["clip1.mp4", "000077.vectors", ".000078.vectors.12.tmp", "1.vectors"];
    for name in foreign {
        std::fs::write(segments.join(name), "precious").unwrap();
    }
    std::fs::create_dir(segments.join("000079.vectors")).unwrap();
    let mut writer = writer(folder.path());
    add(&mut writer, &[("d", X)]);
    writer.remove(&["a".into()]).unwrap();
    writer.commit().unwrap();
    writer.look_for_damage().unwrap();
    writer.drop_damaged().unwrap();
    writer.compact().unwrap();
    drop(writer);
    for name in foreign {
        assert_eq!(std::fs::read(segments.join(name)).unwrap(), b"precious", "{name}");
    }
    assert_eq!(segment_files(folder.path()), 2 + foreign.len() + 1);
    assert_whole(&Index::open(folder.path()).unwrap());
}

#[test]
fn a_new_segment_takes_the_place_of_no_file_that_is_none() {
    let folder = index_of(&THREE);
    let mut writer = writer(folder.path());
    let taken = segment::path(folder.path(), 3);
    std::fs::write(&taken, "precious").unwrap();
    add(&mut writer, &[("d", X)]);
    let error = writer.commit().unwrap_err();
    assert_eq!((error.kind(), error.file()), (ErrorKind::Invalid, Some(taken.as_path())));
    assert_eq!(std::fs::read(&taken).unwrap(), b"precious");
}

#[cfg(unix)]
#[test]
fn links_in_an_index_are_refused_and_nothing_is_written_through_them() {
    for (name, target) in [
        ("segments", "docs"),
        ("model", "docs"),
        (".model.tmp", "docs"),
        (".lock", "docs/thesis.txt"),
        ("index.sqlite", "other/index.sqlite"),
        ("index.sqlite-wal", "docs/thesis.txt"),
        ("index.sqlite-shm", "docs/thesis.txt"),
        (".index.sqlite.tmp", "docs/thesis.txt"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let [docs, other, index] = ["docs", "other", "index"].map(|name| folder.path().join(name));
        std::fs::create_dir(&docs).unwrap();
        std::fs::write(docs.join("thesis.txt"), "precious").unwrap();
        drop(writer(&other));
        drop(writer(&index));
        let path = index.join(name);
        let _ = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
        std::os::unix::fs::symlink(Path::new("..").join(target), &path).unwrap();
        let before = everything(folder.path());
        for opened in [open(&index), Writer::open_existing(&index)] {
            let error = opened.unwrap_err();
            assert!(error.message().contains("symbolic link"), "{name}: {error}");
            assert_eq!(error.file(), Some(path.as_path()));
        }
        assert_eq!(everything(folder.path()), before, "{name}");
    }
}

#[test]
fn the_model_inside_is_always_the_one_that_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    let inside = || std::fs::read(model.join("model.toml")).unwrap();
    // A run with another model was killed before it made the database.
    for half in ["model", ".model.tmp"] {
        std::fs::create_dir_all(folder.path().join(half)).unwrap();
        std::fs::write(folder.path().join(half).join("model.toml"), "other").unwrap();
    }
    drop(writer(folder.path()));
    assert_eq!(inside(), b"x");
    // The model inside was damaged.
    std::fs::write(model.join("model.toml"), "y").unwrap();
    drop(writer(folder.path()));
    assert_eq!(inside(), b"x");
    // It is gone.
    std::fs::remove_dir_all(&model).unwrap();
    let check = Check::of(folder.path()).unwrap();
    assert_eq!(check.remedy, Remedy::UpdateWithModel);
    drop(writer(folder.path()));
    assert_eq!(inside(), b"x");
    assert_whole(&Index::open(folder.path()).unwrap());
    assert!(!folder.path().join(".model.tmp").exists());
}

#[test]
fn removing_and_compacting_need_no_model() {
    let folder = index_of(&THREE);
    let mut writer = Writer::open_existing(folder.path()).unwrap();
    assert_eq!(*writer.space(), space());
    assert_eq!(writer.remove(&["a".into()]).unwrap(), 1);
    writer.compact().unwrap();
    drop(writer);
    assert_eq!(names(&Index::open(folder.path()).unwrap()), ["b", "c"]);
    let nothing = tempfile::tempdir().unwrap();
    Writer::open_existing(nothing.path()).unwrap_err();
    assert_eq!(std::fs::read_dir(nothing.path()).unwrap().count(), 0);
}

#[test]
fn damaged_vectors_are_not_searched_compared_compacted_or_merged() {
    let folder = two_commits();
    flip(&segment::path(folder.path(), 1), 64 + 3);
    let index = Index::open(folder.path()).unwrap();
    let corrupt = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert_eq!(error.file(), Some(segment::path(folder.path(), 1).as_path()));
        assert_eq!(error.fact(), Some(&Fact::DamagedItems), "{error}");
    };
    let query = vectors(&[X]);
    let query = Nearest::new(&query, 1);
    corrupt(index.search(&query).unwrap_err());
    corrupt(index.picture(1).unwrap_err());
    corrupt(index.all_vectors().unwrap_err());
    assert_eq!(index.picture(2).unwrap(), Z);
    // A search that does not read the damaged page does not know of it.
    let filter = Filter::parse("id = \"c\"").unwrap();
    let among_few = query.among(Some(&filter));
    assert_eq!(index.search(&among_few).unwrap()[0][0].item.id.as_str(), "c");

    let before = everything(folder.path());
    let mut writer = writer(folder.path());
    corrupt(writer.compact().unwrap_err());
    drop(writer);
    assert_eq!(Index::open(folder.path()).unwrap().len(), 3);
    let segments = |all: Vec<(std::path::PathBuf, Vec<u8>)>| -> Vec<_> {
        all.into_iter().filter(|(path, _)| path.to_string_lossy().contains("segments")).collect()
    };
    assert_eq!(segments(everything(folder.path())), segments(before));

    let target = index_of(&[("d", X)]);
    let mut writer = open(target.path()).unwrap();
    corrupt(writer.merge(&index).unwrap_err());
    writer.commit().unwrap();
    drop(writer);
    assert_eq!(names(&Index::open(target.path()).unwrap()), ["d"]);
}

#[test]
fn a_damaged_record_is_not_shown_filtered_or_merged() {
    let folder = index_of(&THREE);
    sql(folder.path(), "UPDATE records SET fields = '{\"price\":1}' WHERE item = 2");
    let index = Index::open(folder.path()).unwrap();
    let filter = Filter::parse("id = \"a\"").unwrap();
    for error in [
        index.record(1).unwrap_err(),
        index.count(Some(&filter)).unwrap_err(),
        index.field_names().unwrap_err(),
        writer(index_of(&[]).path()).merge(&index).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains("item b: its record"), "{error}");
    }
    assert!(index.record(0).is_ok());
    sql(folder.path(), "DELETE FROM records WHERE item = 2");
    let index = Index::open(folder.path()).unwrap();
    assert!(index.count(Some(&filter)).unwrap_err().message().contains("3 items but 2 records"));
}

/// Damages an index with three items in two commits.
type Damage = fn(&Path);

#[test]
fn an_update_embeds_again_what_was_damaged_and_nothing_else() {
    let damages: [(Damage, &[&str]); 13] = [
        (|index| std::fs::remove_file(segment::path(index, 1)).unwrap(), &["a", "b"]),
        (|index| std::fs::remove_file(segment::path(index, 4)).unwrap(), &["c"]),
        (|index| flip(&segment::path(index, 3), 64 + 3), &["c"]),
        (|index| flip(&segment::path(index, 2), 70), &["a", "b"]),
        (|index| flip(&segment::path(index, 1), 20), &["a", "b"]),
        (|index| std::fs::write(segment::path(index, 3), b"").unwrap(), &["c"]),
        (|index| std::fs::write(segment::path(index, 3), b"LOOKSEEV cut").unwrap(), &["c"]),
        (|index| sql(index, "UPDATE items SET picture_row = 1 WHERE id = 'a'"), &["a"]),
        (|index| sql(index, "UPDATE items SET item = 1 WHERE id = 'b'"), &["b"]),
        (|index| sql(index, "UPDATE items SET text_segment = 'x' WHERE id = 'c'"), &["c"]),
        (|index| sql(index, "UPDATE items SET size = size + 1"), &["a", "b", "c"]),
        (|index| sql(index, "DELETE FROM records WHERE item = 3"), &["c"]),
        (|index| sql(index, "INSERT INTO records VALUES (9, x'2F', '[]', '{}', NULL)"), &[]),
    ];
    for (number, (damage, lost)) in damages.into_iter().enumerate() {
        let folder = two_commits();
        damage(folder.path());
        let check = Check::of(folder.path()).unwrap();
        assert_eq!(check.remedy, Remedy::Update, "{number}: {:?}", check.problems);
        assert_eq!(check.items, 3 - lost.len(), "{number}: {:?}", check.problems);
        assert_eq!(mend(folder.path(), &THREE), lost, "{number}");
        let index = Index::open(folder.path()).unwrap();
        assert_whole(&index);
        assert_eq!(names(&index), ["a", "b", "c"], "{number}");
        for (row, (_, vector)) in THREE.iter().enumerate() {
            assert_eq!(index.picture(row).unwrap(), vector, "{number}");
            assert_eq!(index.record(row).unwrap().texts, [THREE[row].0], "{number}");
        }
        assert_eq!(mend(folder.path(), &THREE), Vec::<String>::new(), "{number}");
    }
}

#[test]
fn what_is_damaged_and_not_added_again_is_taken_out() {
    let folder = two_commits();
    std::fs::remove_file(segment::path(folder.path(), 1)).unwrap();
    let mut writer = writer(folder.path());
    assert_eq!(writer.look_for_damage().unwrap(), 2);
    add(&mut writer, &[("b", Y)]);
    writer.commit().unwrap();
    assert_eq!(writer.drop_damaged().unwrap(), 1);
    writer.finish().unwrap();
    drop(writer);
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(names(&index), ["b", "c"]);
    assert_whole(&index);
}

#[test]
fn a_mending_that_is_killed_goes_on_with_the_next() {
    let folder = two_commits();
    flip(&segment::path(folder.path(), 1), 64);
    let mut killed = writer(folder.path());
    killed.look_for_damage().unwrap();
    add(&mut killed, &[("a", X)]);
    killed.commit().unwrap();
    drop(killed);
    assert_eq!(mend(folder.path(), &THREE), ["b"]);
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(names(&index), ["a", "b", "c"]);
    assert_whole(&index);
}

#[test]
fn the_sound_pages_of_a_damaged_segment_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..5000).map(|number| format!("{number:04}")).collect();
    let items: Vec<(&str, [f32; DIM])> =
        names.iter().zip([X, Y, Z].into_iter().cycle()).map(|(name, row)| (&**name, row)).collect();
    let mut first = writer(folder.path());
    add(&mut first, &items);
    first.commit().unwrap();
    drop(first);
    // The second of three pages, which have 2048 rows each.
    flip(&segment::path(folder.path(), 1), 64 + (1 << 16) + 40);
    let check = Check::of(folder.path()).unwrap();
    assert_eq!(check.items, 5000 - 2048);
    assert!(
        check.problems[0]
            .ends_with("1 page is not what was written, the vectors of 2048 items are lost")
    );
    let mended = mend(folder.path(), &items);
    assert_eq!((mended.len(), &*mended[0], &*mended[2047]), (2048, "2048", "4095"));
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(index.len(), 5000);
    assert!((0..5000).all(|row| index.picture(row).unwrap() == items[row].1));
    assert_whole(&index);
}

/// Takes an index back to the second format of the database, which had no root.
fn to_second_format(folder: &Path) {
    sql(
        folder,
        "DELETE FROM meta WHERE name = 'root'; UPDATE meta SET value = 2 WHERE name = 'format'",
    );
}

/// Takes an index back to the first format of the database.
fn to_first_format(folder: &Path) {
    to_second_format(folder);
    sql(
        folder,
        "ALTER TABLE items DROP COLUMN checksum; UPDATE meta SET value = 1 WHERE name = 'format'",
    );
}

#[test]
fn an_index_of_an_older_format_is_read_and_a_writer_brings_it_up_to_date() {
    brought_up_to_date(to_first_format);
    brought_up_to_date(to_second_format);
}

fn brought_up_to_date(take_back: fn(&Path)) {
    let folder = index_of(&THREE);
    take_back(folder.path());
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(
        (names(&index), find(&index, Y, 1)),
        (vec!["a".into(), "b".into(), "c".into()], vec!["b".to_owned()])
    );
    assert_whole(&index);
    drop(writer(folder.path()));
    let Opened { connection, .. } = store::for_reading(folder.path()).unwrap();
    assert_eq!(store::meta::<i64>(&connection, "format").unwrap(), 3);
    let later = Index::open(folder.path()).unwrap();
    assert_whole(&later);
    assert_eq!(find(&index, Z, 1), ["c"], "a reader that was open keeps its state");
}

#[test]
fn an_upgrade_makes_no_damage_right() {
    for damage in [
        "UPDATE items SET record = record + 1 WHERE id = 'b'",
        "UPDATE items SET text_row = NULL WHERE id = 'b'",
        "UPDATE records SET image = x'00' WHERE item = 2",
    ] {
        let folder = index_of(&THREE);
        to_first_format(folder.path());
        sql(folder.path(), damage);
        drop(writer(folder.path()));
        assert_eq!(Check::of(folder.path()).unwrap().items, 2, "{damage}");
        assert_eq!(mend(folder.path(), &THREE), ["b"], "{damage}");
        assert_whole(&Index::open(folder.path()).unwrap());
    }
}

#[test]
fn numbers_from_a_stranger_are_looked_at_before_memory_is_taken() {
    for damage in [
        "UPDATE items SET item = 4611686018427387904 WHERE id = 'b'",
        "UPDATE items SET item = -5 WHERE id = 'b'",
        "UPDATE items SET item = 200000000000 WHERE id = 'b'",
        "UPDATE items SET picture_segment = -1 WHERE id = 'b'",
        "UPDATE items SET picture_row = 4294967295 WHERE id = 'b'",
    ] {
        let folder = index_of(&THREE);
        to_first_format(folder.path());
        sql(folder.path(), damage);
        // Whatever it says, it says it at once.
        let _ = Index::open(folder.path());
        assert_eq!(mend(folder.path(), &THREE), ["b"], "{damage}");
        assert_whole(&Index::open(folder.path()).unwrap());
    }
}

#[test]
fn a_database_that_no_index_has_is_refused_with_the_way_out() {
    for damage in [
        "DROP TABLE items; CREATE VIEW items AS WITH RECURSIVE endless(id) AS \
         (SELECT 1 UNION ALL SELECT id + 1 FROM endless) SELECT id, 1 AS item FROM endless",
        "CREATE TRIGGER t AFTER INSERT ON items BEGIN DELETE FROM records; END",
        "CREATE VIEW sight AS SELECT 1",
        "CREATE INDEX i ON items (id || 'x')",
        "ALTER TABLE items ADD COLUMN made AS (item + 1)",
        "DROP TABLE records",
        "UPDATE meta SET value = 0 WHERE name = 'dim'",
        "UPDATE meta SET value = 65537 WHERE name = 'dim'",
        "UPDATE meta SET value = 'x' WHERE name = 'dim'",
        "DELETE FROM meta WHERE name = 'fingerprint'",
        "UPDATE meta SET value = -1 WHERE name = 'format'",
        "DELETE FROM meta WHERE name = 'root'",
        "UPDATE meta SET value = 'x' WHERE name = 'root'",
        "UPDATE segments SET rows = 1048577",
        "UPDATE segments SET rows = -1",
        "UPDATE segments SET kind = 7",
        "UPDATE segments SET number = -1 WHERE number = 1",
    ] {
        let folder = index_of(&THREE);
        sql(folder.path(), damage);
        for error in [
            Index::open(folder.path()).unwrap_err(),
            Check::of(folder.path()).unwrap_err(),
            open(folder.path()).and_then(|mut writer| writer.look_for_damage()).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{damage}: {error}");
            assert_eq!(error.fact(), Some(&Fact::DamagedIndex), "{damage}: {error}");
        }
    }
}

#[test]
fn segments_whose_numbers_were_set_back_are_not_written_over() {
    let folder = index_of(&THREE);
    sql(folder.path(), "UPDATE meta SET value = 1 WHERE name = 'next_segment'");
    let mut writer = writer(folder.path());
    add(&mut writer, &[("d", X)]);
    writer.commit().unwrap();
    drop(writer);
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(index.len(), 4);
    assert_whole(&index);
}

#[test]
fn an_empty_database_is_damage_for_readers_and_made_anew_by_a_writer() {
    let folder = index_of(&THREE);
    std::fs::write(store::path(folder.path()), "").unwrap();
    let error = Index::open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.message().ends_with("it was cut short"), "{error}");
    assert_eq!(error.fact(), Some(&Fact::DamagedItems));
    assert_eq!(Check::of(folder.path()).unwrap_err().kind(), ErrorKind::Corrupt);
    std::fs::write(folder.path().join("photo.jpg"), "precious").unwrap();
    open(folder.path()).unwrap_err();
    std::fs::remove_file(folder.path().join("photo.jpg")).unwrap();
    let mut writer = writer(folder.path());
    assert_eq!(writer.look_for_damage().unwrap(), 0);
    add(&mut writer, &THREE);
    writer.commit().unwrap();
    let index = Index::open(folder.path()).unwrap();
    assert_eq!((index.len(), segment_files(folder.path())), (3, 2));
    assert_whole(&index);
}

/// A database as a full disk left it: it has a log that lost its name.
fn without_tables(folder: &Path) {
    let file = store::path(folder);
    let connection = Connection::open(folder.join("made")).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection.execute_batch("CREATE TABLE meta (name, value)").unwrap();
    std::fs::copy(folder.join("made"), file).unwrap();
    std::fs::copy(folder.join("made-wal"), folder.join(".index.sqlite.tmp-wal")).unwrap();
    drop(connection);
    std::fs::remove_file(folder.join("made")).unwrap();
}

#[test]
fn a_database_without_tables_is_made_anew_where_nothing_depends_on_it() {
    let folder = tempfile::tempdir().unwrap();
    without_tables(folder.path());
    assert!(Index::open(folder.path()).is_err());
    drop(writer(folder.path()));
    assert_whole(&Index::open(folder.path()).unwrap());
    assert_eq!(mend(folder.path(), &[]), Vec::<String>::new());

    // One of our own whose tables were lost, and no segment.
    let folder = tempfile::tempdir().unwrap();
    drop(writer(folder.path()));
    sql(folder.path(), "DROP TABLE records");
    drop(writer(folder.path()));
    assert_whole(&Index::open(folder.path()).unwrap());

    // Somebody else's database is nobody's to make anew, nor is one with segments.
    let folder = tempfile::tempdir().unwrap();
    sql(folder.path(), "CREATE TABLE diary (day, what)");
    let before = everything(folder.path());
    open(folder.path()).unwrap_err();
    assert_eq!(everything(folder.path()), before);
    let folder = index_of(&THREE);
    sql(folder.path(), "DROP TABLE records");
    assert_eq!(open(folder.path()).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(segment_files(folder.path()), 2);
}

/// The index that an earlier build wrote, without its model.
fn of_version_1() -> TempDir {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/formats/v1/index");
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(segment::folder(folder.path())).unwrap();
    for (path, bytes) in everything(&kept) {
        std::fs::write(folder.path().join(path.strip_prefix(&kept).unwrap()), bytes).unwrap();
    }
    folder
}

#[test]
fn what_an_earlier_build_wrote_is_right_stays_right_and_is_mended() {
    let folder = of_version_1();
    let about_the_model = ["the folder \"model\" is missing: words cannot be searched"];
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(index.check().unwrap().problems, about_the_model);
    let before: Vec<Vec<f32>> =
        (0..index.len()).map(|row| index.picture(row).unwrap().to_vec()).collect();
    drop(index);

    let mut writer = Writer::open_existing(folder.path()).unwrap();
    assert_eq!(writer.look_for_damage().unwrap(), 0);
    drop(writer);
    assert_eq!(Check::of(folder.path()).unwrap().problems, about_the_model);
    Writer::open_existing(folder.path()).unwrap().compact().unwrap();
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(index.check().unwrap().problems, about_the_model);
    assert!((0..index.len()).all(|row| index.picture(row).unwrap() == before[row]));

    // Its segments have one checksum each: with one bit, all of a segment is lost.
    let folder = of_version_1();
    flip(&segment::path(folder.path(), 1), 64);
    let check = Check::of(folder.path()).unwrap();
    assert!(check.items < index.len() && check.remedy == Remedy::UpdateWithModel);
    let mut writer = Writer::open_existing(folder.path()).unwrap();
    writer.compact().unwrap_err();
    let lost = writer.look_for_damage().unwrap();
    assert_eq!(lost, index.len() - check.items);
    assert_eq!(writer.drop_damaged().unwrap(), lost);
    writer.finish().unwrap();
    drop(writer);
    assert_eq!(Check::of(folder.path()).unwrap().problems, about_the_model);
    assert_eq!(Index::open(folder.path()).unwrap().len(), check.items);
}

#[test]
fn a_vector_that_was_written_as_nan_is_named_by_its_item() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path());
    let records = [record("a", &["a"]), record("b", &["b"])];
    let texts = [Some(vec![1.0, 0.0, 0.0]), Some(vec![f32::NAN; 3])];
    writer.add(&records, &vectors(&[X, Y]), &texts).unwrap();
    writer.commit().unwrap();
    let index = Index::open(folder.path()).unwrap();
    let error = index.all_vectors().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("item b: the vector of its text holds NaN"), "{error}");
    assert!(!index.check().unwrap().problems.is_empty());
}

#[test]
fn a_database_whose_header_forbids_writing_is_damaged_for_readers_and_writers() {
    let folder = index_of(&[("a", X)]);
    for place in [18, 19] {
        for bit in 0..8 {
            let path = store::path(folder.path());
            let whole = std::fs::read(&path).unwrap();
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << bit;
            std::fs::write(&path, bytes).unwrap();
            for error in [Index::open(folder.path()).unwrap_err(), open(folder.path()).unwrap_err()]
            {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                assert_eq!(error.fact(), Some(&Fact::DamagedIndex), "{error}");
            }
            std::fs::write(&path, whole).unwrap();
        }
    }
    assert_eq!(find(&Index::open(folder.path()).unwrap(), X, 1), ["a"]);
}
