//! Folders with files of a person's own, links, damage, full disks: what the commands that write an
//! index leave alone, what `check` says and whether it works.

use std::path::{Path, PathBuf};

use crate::shop;
use crate::util::{Folder, Ran};

fn looksee(folder: &Folder, words: &str) -> Ran {
    folder.run(words.split(' '))
}

/// Runs a command that must succeed; what it printed.
#[track_caller]
fn done(folder: &Folder, words: &str) -> String {
    let ran = looksee(folder, words);
    assert_eq!(ran.code, Some(0), "{words}: {ran:?}");
    ran.stdout
}

/// Runs a command that must fail; what it said.
#[track_caller]
fn refused(folder: &Folder, words: &str) -> String {
    let ran = looksee(folder, words);
    assert_eq!(ran.code, Some(2), "{words}: {ran:?}");
    ran.stderr
}

/// What `looksee index --json` printed.
fn summary(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

fn segments(folder: &Folder) -> Vec<PathBuf> {
    let list = std::fs::read_dir(folder.path().join("index/segments")).unwrap();
    let mut files: Vec<PathBuf> = list.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Turns the sign of values in the first rows of a segment.
fn turn_signs(segment: &Path) {
    let mut bytes = std::fs::read(segment).unwrap();
    for offset in (64 + 3..64 + 640).step_by(4) {
        bytes[offset] ^= 0x80;
    }
    std::fs::write(segment, bytes).unwrap();
}

#[test]
fn a_folder_with_clips_of_a_persons_own_is_refused_and_keeps_them() {
    let folder = Folder::new();
    shop::write(&folder);
    shop::copy(&shop::model(), &folder.path().join("model"));
    let clip = folder.write("video/segments/clip1.mp4", "precious");
    let said = refused(&folder, "index shop.jsonl -m model -o video --limit 5");
    assert!(said.contains("holds other files (segments); name a new folder"), "{said}");
    assert_eq!(std::fs::read(clip).unwrap(), b"precious");
    assert_eq!(std::fs::read_dir(folder.path().join("video")).unwrap().count(), 1);
    let photo = folder.write("album/model/photo.jpg", "precious");
    refused(&folder, "index shop.jsonl -m model -o album --limit 5");
    assert_eq!(std::fs::read(photo).unwrap(), b"precious");
}

#[cfg(unix)]
#[test]
fn an_index_with_links_in_it_is_refused_by_every_command_that_writes() {
    let folder = shop::indexed();
    done(&folder, "merge index -o part");
    let thesis = folder.write("docs/thesis.txt", "precious");
    for link in ["segments", ".lock"] {
        let (place, aside) = (folder.path().join("index").join(link), folder.path().join("aside"));
        std::fs::rename(&place, &aside).unwrap();
        let target = if link == "segments" { "../docs" } else { "../docs/thesis.txt" };
        std::os::unix::fs::symlink(target, &place).unwrap();
        for words in [
            "compact index",
            "remove index red-disc-1",
            "index shop.jsonl -o index",
            "merge part -o index",
        ] {
            let said = refused(&folder, words);
            assert!(said.contains("symbolic link"), "{words}: {said}");
        }
        assert_eq!(std::fs::read(&thesis).unwrap(), b"precious");
        std::fs::remove_file(&place).unwrap();
        std::fs::rename(&aside, &place).unwrap();
    }
    done(&folder, "check index");
}

#[test]
fn damaged_vectors_are_not_made_right_by_any_command_but_are_embedded_again() {
    let folder = shop::indexed();
    let before = done(&folder, "search index red+disc --json");
    turn_signs(&segments(&folder)[0]);
    assert!(refused(&folder, "check index").contains("run `looksee index CATALOGUE -o INDEX`"));
    assert!(refused(&folder, "search index red").contains("run `looksee index`"));
    refused(&folder, "merge index -o merged");
    done(&folder, "remove index blue-bar-1");
    assert!(refused(&folder, "compact index").contains("is not what was written"));
    refused(&folder, "check index");

    let summary = summary(&done(&folder, "index shop.jsonl -o index --json"));
    // As many items as the first segment had; a slow machine commits more often.
    let mended = summary["mended"].as_u64().unwrap();
    assert!(mended > 50, "{summary}");
    assert_eq!((&summary["added"], &summary["removed"]), (&1.into(), &0.into()), "{summary}");
    assert_eq!(summary["unchanged"], 99 - mended, "{summary}");
    assert!(done(&folder, "check index").contains("every checksum and count is right"));
    let after = done(&folder, "search index red+disc --json");
    let hits = |text: &str| {
        let answer: serde_json::Value = serde_json::from_str(text).unwrap();
        answer["hits"].clone()
    };
    assert_eq!(hits(&after), hits(&before));
}

#[test]
fn what_check_says_works_for_missing_cut_and_changed_segments() {
    let folder = shop::indexed();
    let damages: [fn(&Path); 4] = [
        |segment| std::fs::remove_file(segment).unwrap(),
        |segment| std::fs::write(segment, "").unwrap(),
        |segment| {
            let file = std::fs::File::options().write(true).open(segment).unwrap();
            file.set_len(1000).unwrap();
        },
        turn_signs,
    ];
    for (number, damage) in damages.iter().enumerate() {
        for segment in segments(&folder) {
            damage(&segment);
        }
        let ran = looksee(&folder, "check index");
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stdout.starts_with("0 items in "), "{ran:?}");
        let each = segments(&folder).len().max(2);
        assert!(ran.stdout.matches(" items are lost\n").count() >= each, "{ran:?}");
        assert!(ran.stderr.contains("run `looksee index CATALOGUE -o INDEX`"), "{ran:?}");
        let verify = if number % 2 == 0 { "" } else { " --verify" };
        let words = format!("index shop.jsonl -o index --json{verify}");
        let summary = summary(&done(&folder, &words));
        assert_eq!((&summary["mended"], &summary["removed"]), (&100.into(), &0.into()));
        done(&folder, "check index");
        done(&folder, "search index red");
    }
}

#[test]
fn a_database_beyond_mending_is_made_anew_in_a_new_folder() {
    let folder = shop::indexed();
    let database = folder.path().join("index/index.sqlite");
    let mut bytes = std::fs::read(&database).unwrap();
    let end = bytes.len();
    bytes[4096..end].fill(0x5A);
    std::fs::write(&database, bytes).unwrap();
    for words in ["check index", "search index red", "index shop.jsonl -o index", "compact index"] {
        let said = refused(&folder, words);
        assert!(said.contains("looksee index CATALOGUE -m MODEL -o NEW"), "{words}: {said}");
    }
    done(&folder, "index shop.jsonl -m index/model -o new");
    assert!(done(&folder, "check new").contains("every checksum and count is right"));
}

#[test]
fn an_empty_database_is_made_anew_by_the_plain_command() {
    let folder = shop::indexed();
    std::fs::write(folder.path().join("index/index.sqlite"), "").unwrap();
    assert!(refused(&folder, "check index").contains("index.sqlite is empty"));
    assert!(done(&folder, "index shop.jsonl -o index").starts_with("100 added"));
    done(&folder, "check index");
}

#[test]
fn the_model_inside_is_checked_and_put_in_place_again() {
    let folder = shop::indexed();
    let inside = folder.path().join("index/model");
    let mut files = std::fs::read_dir(&inside).unwrap().map(|entry| entry.unwrap().path());
    let is_vocabulary = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "json");
    let vocabulary = files.find(is_vocabulary).unwrap();
    let bytes = std::fs::read(&vocabulary).unwrap();
    std::fs::write(&vocabulary, &bytes[..bytes.len() / 2]).unwrap();
    let ran = looksee(&folder, "check index");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stdout.contains("the model inside: "), "{ran:?}");
    assert!(ran.stderr.contains("looksee index CATALOGUE -m MODEL -o INDEX"), "{ran:?}");
    assert!(done(&folder, "index shop.jsonl -m model -o index").contains("100 unchanged"));
    done(&folder, "check index");
    done(&folder, "search index red");
}

#[test]
fn a_model_that_a_killed_run_left_gives_way_to_the_one_that_is_used() {
    let folder = Folder::new();
    shop::write(&folder);
    shop::copy(&shop::model(), &folder.path().join("model"));
    // The kill fell between the model and the database of a run with another model.
    shop::copy(&shop::model(), &folder.path().join("index/model"));
    let vocabulary = std::fs::read_dir(folder.path().join("index/model")).unwrap();
    for path in vocabulary.map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|ending| ending == "json") {
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, text.replace("red", "rad")).unwrap();
        }
    }
    done(&folder, "index shop.jsonl -m model -o index");
    done(&folder, "check index");
    done(&folder, "search index red");
}

#[cfg(target_os = "linux")]
mod full_disk {
    use std::process::Command;

    use super::*;

    /// A file system of so many KiB, gone when dropped; `None` where nobody may mount one.
    struct Disk(Folder);

    impl Disk {
        fn new(kib: u64) -> Option<Self> {
            let folder = Folder::new();
            let disk = folder.path().join("disk");
            std::fs::create_dir(&disk).unwrap();
            let size = format!("size={kib}k");
            let mount = ["-t", "tmpfs", "-o", &size, "tmpfs"];
            let mounted = Command::new("mount").args(mount).arg(&disk).output();
            if mounted.is_ok_and(|ran| ran.status.success()) {
                return Some(Self(folder));
            }
            println!("left out: nothing can be mounted here, so no disk can be filled");
            None
        }

        /// Fills the disk up to so many bytes.
        fn leave(&self, bytes: u64) {
            let fill = self.0.path().join("disk/fill");
            let _ = std::fs::remove_file(&fill);
            let mut file = std::fs::File::create(&fill).unwrap();
            while std::io::Write::write(&mut file, &[0; 4096]).is_ok_and(|written| written > 0) {}
            let full = file.metadata().unwrap().len();
            file.set_len(full.saturating_sub(bytes)).unwrap();
        }

        fn make_room(&self) {
            let _ = std::fs::remove_file(self.0.path().join("disk/fill"));
        }
    }

    impl Drop for Disk {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg(self.0.path().join("disk")).output();
        }
    }

    fn size_of(folder: &Path) -> u64 {
        let files = std::fs::read_dir(folder).unwrap();
        files.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
    }

    #[test]
    fn an_intact_index_is_read_on_a_full_disk() {
        let Some(disk) = Disk::new(64 << 10) else { return };
        shop::write(&disk.0);
        shop::copy(&shop::model(), &disk.0.path().join("model"));
        done(&disk.0, "index shop.jsonl -m model -o disk/index");
        disk.leave(4096);
        done(&disk.0, "search disk/index red");
        done(&disk.0, "check disk/index");
    }

    #[test]
    fn an_index_whose_database_found_no_room_is_made_by_the_same_command_later() {
        let Some(disk) = Disk::new(64 << 10) else { return };
        shop::write(&disk.0);
        let model = disk.0.path().join("model");
        shop::copy(&shop::model(), &model);
        let needed = size_of(&model).next_multiple_of(4096);
        for room in [12, 28, 44, 76] {
            let index = disk.0.path().join("disk/index");
            let _ = std::fs::remove_dir_all(&index);
            disk.leave(needed + (room << 10));
            let _ = looksee(&disk.0, "index shop.jsonl -m model -o disk/index --limit 3 -q");
            disk.make_room();
            done(&disk.0, "index shop.jsonl -m model -o disk/index --limit 3 -q");
            done(&disk.0, "check disk/index");
        }
    }
}
