//! What bad input gets: one clear sentence or a line of the ledger, exit code 2 or the rest of the
//! work done, and nothing half-written.

use std::path::Path;
use std::process::Command;

use crate::shop;
use crate::util::{Folder, Ran};

/// Asserts exit code 2 and, after what was said on the way, one line that holds all of `parts`.
#[track_caller]
fn refused(ran: &Ran, parts: &[&str]) {
    assert_eq!(ran.code, Some(2), "{} {}", ran.stdout, ran.stderr);
    let said = ran.stderr.lines().last().unwrap_or_default();
    assert!(said.starts_with("looksee: "), "{}", ran.stderr);
    for part in parts {
        assert!(said.contains(part), "\"{part}\" is not in: {said}");
    }
}

/// Whether a folder holds anything but what a writer may leave for its successor.
fn leftovers(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != ".lock").collect()
}

fn train(folder: &Folder, catalogue: &str) -> Ran {
    let mut words = vec!["train", catalogue, "-o", "model", "--epochs=1"];
    words.extend(shop::SMALL);
    folder.run(&words)
}

#[test]
fn a_missing_catalogue_leaves_no_model_folder() {
    let folder = Folder::new();
    refused(&train(&folder, "absent.jsonl"), &["absent.jsonl"]);
    assert!(!folder.path().join("model").exists());
}

#[test]
fn an_empty_catalogue() {
    let folder = Folder::new();
    folder.write("empty.jsonl", "");
    refused(&train(&folder, "empty.jsonl"), &["empty.jsonl"]);
    std::fs::create_dir(folder.path().join("pictures")).unwrap();
    refused(&train(&folder, "pictures"), &["pictures"]);
    assert_eq!(leftovers(&folder.path().join("model")), [""; 0]);
}

#[test]
fn a_catalogue_with_one_usable_row() {
    let folder = Folder::new();
    shop::write(&folder);
    folder.write("one.jsonl", r#"{"image":"pictures/red-disc-1.png","title":"red disc"}"#);
    refused(&train(&folder, "one.jsonl"), &["1 pair", "at least 2"]);
    assert!(!folder.path().join("model").exists());
}

#[test]
fn training_that_fails_leaves_no_folder_that_looks_like_a_model() {
    let folder = Folder::new();
    shop::write(&folder);
    let rows = (0..9).map(|n| format!("{{\"image\":\"gone{n}.png\",\"title\":\"red {n}\"}}\n"));
    folder.write("gone.jsonl", rows.collect::<String>());
    refused(&train(&folder, "gone.jsonl"), &["training needs at least 2"]);
    assert!(!folder.path().join("model").exists());
    folder.write("weights.pth", "no weights");
    let words = ["train", "shop.jsonl", "-o", "model", "--weights", "weights.pth"];
    refused(&folder.run(words), &["weights.pth"]);
    assert!(!folder.path().join("model").exists());
    // A folder that was there stays, and nothing in it.
    std::fs::create_dir(folder.path().join("model")).unwrap();
    refused(&train(&folder, "gone.jsonl"), &["training needs at least 2"]);
    assert_eq!(std::fs::read_dir(folder.path().join("model")).unwrap().count(), 0);
}

#[test]
fn indexing_that_fails_leaves_no_folder_that_looks_like_an_index() {
    let folder = Folder::new();
    shop::write(&folder);
    shop::copy(&shop::model(), &folder.path().join("model"));
    folder.write("gone.jsonl", r#"{"image":"gone.png","title":"red disc"}"#);
    folder.write("fields.jsonl", r#"{"price":3}"#);
    for (catalogue, part) in [
        ("absent.jsonl", "absent.jsonl"),
        ("fields.jsonl", "no field \"image\""),
        ("gone.jsonl", "none of the 1 pictures can be used"),
    ] {
        refused(&folder.run(["index", catalogue, "-m", "model", "-o", "a/b/shop"]), &[part]);
        assert!(!folder.path().join("a").exists(), "{catalogue}");
    }
    // What was there before stays: an index with its items, and a folder.
    let ran = folder.run(["index", "shop.jsonl", "-m", "model", "-o", "shop", "--limit", "5"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    refused(&folder.run(["index", "gone.jsonl", "-o", "shop"]), &["the index stays as it is"]);
    assert!(folder.run(["info", "shop"]).stdout.starts_with("items         5\n"));
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    refused(&folder.run(["index", "gone.jsonl", "-m", "model", "-o", "empty"]), &["gone.png"]);
    assert_eq!(std::fs::read_dir(folder.path().join("empty")).unwrap().count(), 0);
}

#[test]
fn a_field_that_no_row_has_is_answered_with_those_that_are_there() {
    let folder = Folder::new();
    shop::write(&folder);
    let ran = folder.run(["train", "shop.jsonl", "-o", "model", "--text-field", "titel"]);
    refused(&ran, &["titel", "title", "color"]);
    folder.write("odd.jsonl", r#"{"pic":"a.png","words":"b"}"#);
    refused(&train(&folder, "odd.jsonl"), &["pic", "words", "--image-field"]);
}

#[test]
fn rows_and_pictures_that_cannot_be_used_are_listed_and_the_rest_is_indexed() {
    let folder = shop::indexed();
    let picture = |id: &str, file: &str| {
        format!("{{\"image\":\"{file}\",\"id\":\"{id}\",\"title\":\"x\"}}\n")
    };
    let good = std::fs::read(folder.path().join("pictures/red-disc-1.png")).unwrap();
    folder.write("zero.png", "");
    folder.write("half.png", &good[..good.len() / 2]);
    folder.write("page.jpg", "<!DOCTYPE html><html>404</html>");
    folder.write("bomb.png", bomb());
    let title = "word ".repeat(200_000);
    let mut rows = picture("good", "pictures/red-disc-1.png").into_bytes();
    for (id, file) in [
        ("good", "pictures/red-disc-2.png"),
        ("zero", "zero.png"),
        ("half", "half.png"),
        ("page", "page.jpg"),
        ("bomb", "bomb.png"),
        ("gone", "gone.png"),
    ] {
        rows.extend(picture(id, file).into_bytes());
    }
    rows.extend(b"{\"image\": broken\n{\"image\":\"a.png\",\"title\":\"\xff\xfe\"}\n");
    rows.extend(
        format!(
            "{{\"image\":\"pictures/red-disc-3.png\",\"id\":\"long\",\"title\":\"{title}\"}}\n"
        )
        .into_bytes(),
    );
    folder.write("mixed.jsonl", rows);
    let ran = folder.run(["index", "mixed.jsonl", "-m", "model", "-o", "mixed"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let said = ran.stdout + &ran.stderr;
    assert!(said.contains("2 pictures, 8 skipped"), "{said}");
    let list = std::fs::read_to_string(folder.path().join("mixed/skipped.jsonl")).unwrap();
    assert_eq!(list.lines().count(), 8);
    for part in ["zero", "half", "HTML", "30000", "gone.png", "mixed.jsonl", "UTF-8"] {
        assert!(list.contains(part), "{part} in {list}");
    }
    let ran = folder.run(["check", "mixed"]);
    assert_eq!(ran.code, Some(0), "{} {}", ran.stdout, ran.stderr);
}

/// A PNG header that claims 30,000 x 30,000 pixels.
fn bomb() -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(30_000u32.to_be_bytes());
    header.extend(30_000u32.to_be_bytes());
    header.extend([1, 0, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    file.extend(13u32.to_be_bytes());
    file.extend(&header);
    file.extend(crc32(&header).to_be_bytes());
    // A chunk of pixels, so that the header is read as a whole file's.
    file.extend(b"\0\0\0\0IDAT");
    file.extend(crc32(b"IDAT").to_be_bytes());
    file
}

/// The checksum of PNG chunks (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

#[test]
fn a_ragged_csv_keeps_its_good_rows() {
    let folder = shop::indexed();
    let rows = "image,id,title\npictures/red-disc-1.png,a,red\npictures/red-disc-2.png,b\n\
                pictures/red-disc-3.png,c,\"two\nlines\"\n";
    folder.write("ragged.csv", rows);
    let ran = folder.run(["index", "ragged.csv", "-m", "model", "-o", "ragged"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let list = std::fs::read_to_string(folder.path().join("ragged/skipped.jsonl")).unwrap();
    assert_eq!(list.lines().count(), 1, "{list}");
    assert!(list.contains("\"line\":3"), "{list}");
}

fn fingerprint(folder: &Folder, model: &str) -> String {
    let card = std::fs::read_to_string(folder.path().join(model).join("model.toml")).unwrap();
    let line = card.lines().find(|line| line.starts_with("fingerprint")).unwrap();
    line.split('"').nth(1).unwrap().to_owned()
}

#[test]
fn an_index_of_another_model_names_both() {
    let folder = shop::indexed();
    // A newer model takes the place of the one that made the index.
    let mut words = vec!["train", "shop.jsonl", "-o", "other", "--epochs=1"];
    words.extend(shop::SMALL);
    assert_eq!(folder.run(&words).code, Some(0));
    let [own, other] = ["model", "other"].map(|model| fingerprint(&folder, model));
    let ran = folder.run(["index", "shop.jsonl", "-m", "other", "-o", "index"]);
    refused(&ran, &[&other, &own]);
    assert_eq!(folder.run(["check", "index"]).code, Some(0));
}

#[test]
fn files_of_a_newer_version_ask_for_an_update() {
    let folder = shop::indexed();
    let card = folder.path().join("model/model.toml");
    let text = std::fs::read_to_string(&card).unwrap();
    std::fs::write(&card, text.replace("format = 3", "format = 99")).unwrap();
    let ran = folder.run(["eval", "model", "shop.jsonl"]);
    refused(&ran, &["newer looksee", "99", "update"]);
}

#[test]
fn a_missing_or_truncated_weight_file() {
    let folder = shop::indexed();
    let weights = shop::weights_of(&folder.path().join("model"));
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let eval = || folder.run(["eval", "model", "shop.jsonl"]);
    refused(&eval(), &["model/weights-", ".safetensors", "cut short"]);
    std::fs::remove_file(&weights).unwrap();
    refused(&eval(), &["model/weights-", ".safetensors", "missing"]);
}

/// Writes NaN over the first value of a tensor of a safetensors file.
fn spoil(weights: &Path, tensor: &str) {
    let mut bytes = std::fs::read(weights).unwrap();
    let header_len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header_len]).unwrap();
    let start = header[tensor]["data_offsets"][0].as_u64().unwrap() as usize;
    bytes[8 + header_len + start..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(weights, bytes).unwrap();
}

#[test]
fn weights_that_are_not_finite_are_refused_by_the_name_of_their_tensor() {
    let folder = shop::indexed();
    let weights = folder.path().join("spoilt.safetensors");
    std::fs::copy(shop::weights_of(&folder.path().join("model")), &weights).unwrap();
    spoil(&weights, "image.layer2.0.conv1.weight");
    let mut words = vec!["train", "shop.jsonl", "-o", "new", "--epochs=1"];
    words.extend(shop::SMALL);
    words.extend(["--weights", "spoilt.safetensors"]);
    let parts = ["spoilt.safetensors", "image.layer2.0.conv1.weight", "1 values of", "NaN"];
    refused(&folder.run(&words), &parts);
    assert_eq!(leftovers(&folder.path().join("new")), [""; 0]);
}

#[test]
fn a_run_that_leaves_the_finite_numbers_names_step_and_layer() {
    let folder = Folder::new();
    shop::write(&folder);
    let mut words = vec!["train", "shop.jsonl", "-o", "model", "--epochs=9", "--lr=100"];
    words.extend(shop::SMALL.iter().filter(|word| !word.starts_with("--lr")));
    // Each step turns the weights round and makes them a thousand times as large.
    words.push("--set=schedule.weight_decay=10");
    let ran = folder.run(&words);
    refused(&ran, &["step", "not finite", "come out of image.", "its weights", "a lower --lr"]);
}

#[test]
fn pictures_that_were_not_fetched_are_counted_with_what_to_type() {
    let folder = shop::indexed();
    let near = "{\"image\":\"pictures/red-disc-1.png\",\"title\":\"red disc\"}\n";
    folder.write("half.jsonl", near.to_owned() + "{\"image\":\"http://shop.org/a.jpg\"}\n");
    let ran = folder.run(["index", "half.jsonl", "-m", "model", "-o", "half"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let note = "1 picture not fetched; `looksee urls` lists what to fetch; --images names";
    assert!(ran.stderr.contains(note), "{}", ran.stderr);
    let list = std::fs::read_to_string(folder.path().join("half/skipped.jsonl")).unwrap();
    assert!(list.contains("a.jpg is not in ., to which it has to be fetched"), "{list}");
}

#[test]
fn a_model_folder_is_not_overwritten() {
    let folder = shop::indexed();
    refused(&train(&folder, "shop.jsonl"), &["model", "; go on with --resume"]);
}

#[test]
fn nothing_to_resume() {
    let folder = Folder::new();
    shop::write(&folder);
    let mut words = vec!["train", "shop.jsonl", "-o", "model", "--resume"];
    words.extend(shop::SMALL);
    refused(&folder.run(&words), &["no interrupted run", "; leave out --resume"]);
}

/// The program run by a user without rights, also where the tests run as root.
#[cfg(target_os = "linux")]
fn as_nobody(folder: &Folder, words: &[&str]) -> Option<Ran> {
    use std::os::unix::fs::PermissionsExt;
    let program = folder.path().join("looksee");
    std::fs::copy(env!("CARGO_BIN_EXE_looksee"), &program).unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let root = std::fs::metadata("/proc/self").unwrap();
    let is_root = std::os::unix::fs::MetadataExt::uid(&root) == 0;
    let mut command = if is_root {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
        command
    } else {
        Command::new(&program)
    };
    let output = command.args(words).current_dir(folder.path()).output().ok()?;
    Some(Ran::of(output))
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_without_permission() {
    use std::os::unix::fs::PermissionsExt;
    let folder = shop::indexed();
    let locked = folder.path().join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o500)).unwrap();
    let words = ["index", "shop.jsonl", "-m", "model", "-o", "locked"];
    let Some(ran) = as_nobody(&folder, &words) else { return };
    refused(&ran, &["locked", "ermission denied"]);
    assert_eq!(leftovers(&locked), [""; 0]);
}

/// Mounts a disk of `kilobytes` at `place`; `None` where that is not allowed.
#[cfg(target_os = "linux")]
struct SmallDisk(std::path::PathBuf);

#[cfg(target_os = "linux")]
impl SmallDisk {
    fn mount(place: &Path, kilobytes: usize) -> Option<Self> {
        std::fs::create_dir_all(place).unwrap();
        let size = format!("size={kilobytes}k");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(place);
        mount.output().ok()?.status.success().then(|| Self(place.to_path_buf()))
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_while_training_leaves_nothing_that_looks_whole() {
    let folder = Folder::new();
    shop::write(&folder);
    let Some(disk) = SmallDisk::mount(&folder.path().join("disk"), 2000) else { return };
    let mut words = vec!["train", "shop.jsonl", "-o", "disk/model", "--epochs=1"];
    words.extend(shop::SMALL);
    refused(&folder.run(&words), &["disk/model", "o space left"]);
    let model = disk.0.join("model");
    let names = leftovers(&model);
    assert!(!names.iter().any(|n| n.starts_with("model") || n.starts_with("weights")), "{names:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_while_indexing_keeps_what_was_committed() {
    let folder = shop::indexed();
    let folder_of_model = folder.path().join("model");
    let size = |name: &String| std::fs::metadata(folder_of_model.join(name)).unwrap().len();
    let model = shop::model_files(&folder_of_model).iter().map(size).sum::<u64>() as usize;
    let room = model / 1024 + 400;
    let Some(_disk) = SmallDisk::mount(&folder.path().join("disk"), room) else { return };
    let ran = folder.run(["index", "shop.jsonl", "-m", "model", "-o", "disk/index"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let note = "n".repeat(4000);
    let row = |n| {
        format!(
            "{{\"image\":\"pictures/red-disc-1.png\",\"id\":\"{n}\",\"title\":\"x\",\"note\":\"{note}\"}}\n"
        )
    };
    let rows: Vec<String> = (0..600).map(row).collect();
    folder.write("many.jsonl", rows.concat());
    let ran =
        folder.run(["index", "many.jsonl", "-m", "model", "-o", "disk/index", "--keep-missing"]);
    refused(&ran, &["disk/index"]);
    let ran = folder.run(["check", "disk/index"]);
    assert_eq!(ran.code, Some(0), "{} {}", ran.stdout, ran.stderr);
    let ran = folder.run(["search", "disk/index", "red disc"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}
