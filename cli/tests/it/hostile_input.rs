//! What strangers send and what users mistype: pipes and devices where a file is meant, claims
//! without an end, numbers without a bound. Each is one sentence, at once, and nothing of a
//! person's is touched.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::shop;
use crate::util::{Folder, Ran};

/// Runs the program with bounds on its time and its memory, so that what never ends fails a test
/// and not the machine.
#[cfg(unix)]
#[track_caller]
fn bounded(folder: &Folder, words: &[&str], input: Stdio) -> Ran {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 12000000; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_looksee")]);
    command.args(words).current_dir(folder.path()).stdin(input);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_mins(1) {
            child.kill().unwrap();
            panic!("{words:?} does not end: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ran::of(child.wait_with_output().unwrap())
}

#[cfg(unix)]
fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[cfg(unix)]
fn link(to: &str, path: &Path) {
    std::os::unix::fs::symlink(to, path).unwrap();
}

#[track_caller]
fn refused(ran: &Ran, parts: &[&str]) {
    assert_eq!(ran.code, Some(2), "{} {}", ran.stdout, ran.stderr);
    for part in parts {
        assert!(ran.stderr.contains(part), "\"{part}\" is not in: {}", ran.stderr);
    }
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_beside_pictures_cost_their_row() {
    let folder = shop::indexed();
    std::fs::create_dir(folder.path().join("odd")).unwrap();
    let odd = |name: &str| folder.path().join("odd").join(name);
    for name in ["a", "b", "c", "d", "e"] {
        std::fs::copy(folder.path().join("pictures/red-disc-1.png"), odd(&format!("{name}.png")))
            .unwrap();
    }
    pipe(&odd("a.txt"));
    link("/dev/zero", &odd("b.txt"));
    link("/dev/zero", &odd("c.json"));
    std::fs::create_dir(odd("d.txt")).unwrap();
    pipe(&odd("f.jpg"));
    link("/dev/zero", &odd("g.jpg"));
    let words = ["index", "odd", "-m", "model", "-o", "out"];
    let ran = bounded(&folder, &words, Stdio::null());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("1 picture, 6 skipped"), "{}", ran.stdout);
    let list = std::fs::read_to_string(folder.path().join("out/skipped.jsonl")).unwrap();
    assert_eq!(list.matches("a pipe or a device").count(), 6, "{list}");
}

#[cfg(unix)]
#[test]
fn a_query_that_is_a_pipe_a_device_or_too_long_is_refused_at_once() {
    let folder = shop::indexed();
    pipe(&folder.path().join("pipe.jpg"));
    let long = std::fs::File::create(folder.path().join("long.jpg")).unwrap();
    long.set_len(300 << 30).unwrap();
    folder.write("queries", "red\n./pipe.jpg\n");
    let run = |words: &[&str]| {
        let words: Vec<&str> = ["search", "index"].iter().chain(words).copied().collect();
        bounded(&folder, &words, Stdio::null())
    };
    refused(&run(&["./pipe.jpg"]), &["./pipe.jpg", "a pipe or a device"]);
    refused(&run(&["/dev/zero"]), &["/dev/zero", "a pipe or a device"]);
    refused(&run(&["--image", "/dev/zero"]), &["/dev/zero", "a pipe or a device"]);
    refused(&run(&["./long.jpg"]), &["./long.jpg", "322122547200 bytes"]);
    refused(&run(&["--queries", "queries"]), &["./pipe.jpg", "a pipe or a device"]);
    refused(&run(&["--queries", "/dev/zero"]), &["/dev/zero", "a pipe or a device"]);
}

#[cfg(unix)]
#[test]
fn a_line_without_an_end_is_named() {
    let folder = shop::indexed();
    folder.write("long", format!("red\n{}\n", "x".repeat(2 << 20)));
    let zero = || Stdio::from(std::fs::File::open("/dev/zero").unwrap());
    let search = ["search", "index", "--queries"];
    let run = |file: &str, input: Stdio| {
        bounded(&folder, &[search[0], search[1], search[2], file], input)
    };
    refused(&run("long", Stdio::null()), &["long:2: the line has more than 1048576 bytes"]);
    refused(&run("-", zero()), &["standard input:1: the line has more than"]);
    let ran = bounded(&folder, &["embed", "model", "--texts", "-", "-o", "v.npy"], zero());
    refused(&ran, &["standard input:1: the line has more than"]);
    let ran = bounded(&folder, &["embed", "model", "--images", "-", "-o", "v.npy"], zero());
    refused(&ran, &["standard input:1: the line has more than"]);
    let ran = bounded(&folder, &["remove", "index", "-"], zero());
    refused(&ran, &["standard input:1: the line has more than"]);
}

#[cfg(unix)]
#[test]
fn lists_and_arrays_that_are_no_files_are_refused_at_once() {
    let folder = shop::indexed();
    for name in ["pipe", "pipe.npy", "pipe.json", "pipe.toml"] {
        pipe(&folder.path().join(name));
    }
    crate::map::write_vectors(&folder, 30);
    for words in [
        &["map", "--vectors", "pipe.npy", "-o", "y.npy"][..],
        &["map", "--vectors", "/dev/zero", "-o", "y.npy"],
        &["map", "--vectors", "x.npy", "--labels", "pipe", "-o", "y.npy"],
        &["map", "--vectors", "x.npy", "--labels", "pipe.npy", "-o", "y.npy"],
        &["map", "index", "--onto", "pipe.json", "-o", "y.json"],
        &["map", "--vectors", "x.npy", "--onto", "pipe.npy", "-o", "y.npy"],
        &["embed", "model", "--images", "pipe", "--strict", "-o", "v.npy"],
        &["embed", "model", "--texts", "/dev/zero", "-o", "v.npy"],
        &["train", "--print-recipe", "--recipe", "pipe.toml"],
        &["index", "/dev/zero", "--format", "json", "-o", "index"],
        &["eval", "model", "/dev/zero", "--catalogue-format", "csv"],
        &["urls", "/dev/zero", "--format", "tsv"],
    ] {
        let ran = bounded(&folder, words, Stdio::null());
        assert_eq!(ran.code, Some(2), "{words:?} {} {}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("device, and a"), "{words:?} {}", ran.stderr);
    }
}

#[cfg(unix)]
#[test]
fn rows_and_queries_may_come_through_a_pipe() {
    let folder = shop::indexed();
    pipe(&folder.path().join("rows.jsonl"));
    pipe(&folder.path().join("queries"));
    let write = |name: &str, content: Vec<u8>| {
        let path = folder.path().join(name);
        std::thread::spawn(move || std::fs::write(path, content).unwrap())
    };
    let rows = std::fs::read(folder.path().join("shop.jsonl")).unwrap();
    let writing = write("rows.jsonl", rows);
    let ran = bounded(&folder, &["index", "rows.jsonl", "-o", "index"], Stdio::null());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("100 unchanged"), "{}", ran.stdout);
    writing.join().unwrap();
    let writing = write("queries", b"red disc\n".to_vec());
    let ran = bounded(&folder, &["search", "index", "--queries", "queries"], Stdio::null());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    writing.join().unwrap();
}

/// Commands with a number in each place where one can be typed; `N` stands for it.
const NUMBERS: [&str; 32] = [
    "search index red -k N",
    "search index red --offset N",
    "search index red --min-probability N",
    "search index N:red",
    "search index red --where size<N",
    "search index red --threads N",
    "search index red --seed N",
    "search index red -k 9 --diverse --offset N",
    "index shop.jsonl -o index --batch-size N",
    "index shop.jsonl -o index --shard 1/N",
    "index shop.jsonl -o index --shard N/1",
    "index shop.jsonl -o index --keep-missing --limit N",
    "index shop.jsonl -o index --keep-missing --sample N",
    "urls shop.jsonl --limit N",
    "audit index -k N",
    "audit index --seed N",
    "eval model shop.jsonl --gallery N",
    "split shop.jsonl -o parts --held-out N",
    "split shop.jsonl -o parts --seed N",
    "map index -o m.json --iterations 1 --sample N",
    "map index -o m.json --iterations 1 --perplexity N",
    "map index -o m.json --iterations 1 --neighbours N",
    "train --print-recipe --minutes N",
    "train --print-recipe --image-size N",
    "train --print-recipe --image-size 32xN",
    "train --print-recipe --dim N",
    "train --print-recipe --margin N",
    "train --print-recipe --epochs N",
    "train --print-recipe --batch-size N",
    "train --print-recipe --lr N",
    "train --print-recipe --set image.crop=N",
    "train --print-recipe --set validation=N",
];

#[test]
fn no_number_that_can_be_typed_panics_or_aborts() {
    let folder = shop::indexed();
    for command in NUMBERS {
        for number in ["0", "-1", "18446744073709551615", "1e300", "nan", "inf"] {
            let typed = command.replace('N', number);
            let ran = folder.run(typed.split(' '));
            let ends = ran.code.is_some_and(|code| code <= 2);
            assert!(ends && !ran.stderr.contains("panicked"), "{typed}: {}", ran.stderr);
        }
    }
    // A map of all iterations that can be typed would take a day; what is beyond them is refused.
    let ran = folder.run(["map", "index", "-o", "m.json", "--iterations", "18446744073709551615"]);
    refused(&ran, &["a whole number from 0 to 1000000000"]);
    let ran = folder.run(["train", "shop.jsonl", "-o", "m", "--minutes", "1e300"]);
    refused(&ran, &["at most 525600 minutes"]);
    let ran = folder.run(["index", "shop.jsonl", "-o", "index", "--batch-size", "5000"]);
    refused(&ran, &["a whole number from 1 to 4096"]);
}

#[test]
fn the_list_of_what_was_skipped_does_not_quote_files_of_the_machine() {
    let folder = shop::indexed();
    folder.write("private/notes", "root:x:0:0:my password is swordfish");
    folder.write("private/key.pem", b"\x30\x82\x01\x22swordfish");
    let row = |file: &str| format!("{{\"image\":\"{file}\",\"title\":\"t\"}}\n");
    let rows =
        row("../private/notes") + &row("../private/key.pem") + &row("../pictures/red-disc-1.png");
    folder.write("sent/rows.jsonl", rows);
    let ran = folder.run(["index", "sent/rows.jsonl", "-m", "model", "-o", "out", "-v"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let list = std::fs::read_to_string(folder.path().join("out/skipped.jsonl")).unwrap();
    assert_eq!(list.lines().count(), 2, "{list}");
    for told in [&list, &ran.stderr, &ran.stdout] {
        assert!(!told.contains("root") && !told.contains("sword"), "{told}");
    }
}

#[test]
fn a_list_that_looksee_did_not_write_is_neither_removed_nor_replaced() {
    let folder = shop::indexed();
    let mine = "{\"day\": \"skipped school\"}\n";
    let list = folder.write("index/skipped.jsonl", mine);
    let ran = folder.run(["index", "shop.jsonl", "-o", "index"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("skipped.jsonl is not a list that looksee wrote"),
        "{}",
        ran.stderr
    );
    let rows = ["gone", "pictures/red-disc-1"]
        .map(|name| format!("{{\"image\":\"{name}.png\",\"title\":\"t\"}}\n"));
    folder.write("more.jsonl", rows.concat());
    let ran = folder.run(["index", "more.jsonl", "-o", "index", "--keep-missing"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(std::fs::read_to_string(&list).unwrap(), mine);
    std::fs::remove_file(&list).unwrap();
    folder.run(["index", "more.jsonl", "-o", "index", "--keep-missing"]);
    assert!(std::fs::read_to_string(&list).unwrap().contains("gone.png"));
    folder.run(["index", "shop.jsonl", "-o", "index"]);
    assert!(!list.exists(), "a list of ours goes when nothing is skipped");
}

#[cfg(unix)]
#[test]
fn files_to_be_written_are_never_written_through_a_link() {
    let folder = shop::indexed();
    crate::map::write_vectors(&folder, 30);
    folder.write("precious", "years of work");
    for ending in ["npy", "json", "html", "svg", "png"] {
        link("precious", &folder.path().join(format!("link.{ending}")));
    }
    for words in [
        "embed model --texts shop.jsonl -o link.npy",
        "map --vectors x.npy -o link.npy",
        "map index -o link.json",
        "map index -o link.html",
        "map index -o link.svg",
        "map index -o link.png",
        "search index red --grid link.png",
        "search index red --grid link.html",
        "audit index -o link.html",
    ] {
        let ran = folder.run(words.split(' '));
        refused(&ran, &["this is a symbolic link; name the file that it leads to"]);
    }
    let precious = std::fs::read_to_string(folder.path().join("precious")).unwrap();
    assert_eq!(precious, "years of work");
}

#[test]
fn a_page_beside_a_folder_of_somebody_else_is_refused_before_the_work() {
    let folder = shop::indexed();
    folder.write("map_files/logo.png", "mine");
    folder.write("map.html", "a page that a browser saved");
    let ran = folder.run(["map", "index", "-o", "map.html"]);
    refused(&ran, &["map_files: this folder holds other files", "name the page otherwise"]);
    let page = std::fs::read_to_string(folder.path().join("map.html")).unwrap();
    assert_eq!(page, "a page that a browser saved");
    assert!(folder.path().join("map_files/logo.png").exists());
}

/// Writes NaN over the first value of each segment of pictures.
fn spoil(folder: &Folder) {
    for entry in std::fs::read_dir(folder.path().join("index/segments")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        if bytes[12] == 0 {
            bytes[64..68].copy_from_slice(&f32::NAN.to_le_bytes());
            std::fs::write(&path, bytes).unwrap();
        }
    }
}

#[test]
fn a_damaged_vector_is_named_by_its_file() {
    let folder = shop::indexed();
    spoil(&folder);
    for words in [&["map", "index", "-o", "m.json"][..], &["audit", "index"]] {
        let ran = folder.run(words);
        refused(&ran, &["index/segments/0000", ".vectors: page 1 of 1 is not what was written"]);
        assert!(!folder.path().join("m.json").exists());
    }
    crate::map::write_vectors(&folder, 30);
    let vectors = folder.path().join("x.npy");
    let mut bytes = std::fs::read(&vectors).unwrap();
    bytes[128 + 5 * 16..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&vectors, bytes).unwrap();
    let ran = folder.run(["map", "--vectors", "x.npy", "-o", "y.npy"]);
    refused(&ran, &["x.npy: row 5 holds NaN"]);
}

#[test]
fn rows_without_an_end_or_a_bottom_cost_a_line_of_the_ledger() {
    let folder = shop::indexed();
    let good = |id: &str| format!("{{\"image\":\"pictures/red-disc-1.png\",\"id\":\"{id}\"}}\n");
    let deep = format!("{{\"image\":{}1{}}}\n", "[".repeat(100_000), "]".repeat(100_000));
    let python = format!("{{'image':{}1{}}}\n", "(".repeat(100_000), ")".repeat(100_000));
    let long = format!("{{\"image\":\"{}\"}}\n", "x".repeat(17 << 20));
    let twice = "{\"image\":\"gone.png\",\"image\":\"pictures/red-disc-2.png\",\"id\":\"b\"}\n";
    let rows = [&*good("a"), &deep, &long, twice, &python, &good("c")].concat();
    folder.write("odd.jsonl", rows);
    let ran = folder.run(["index", "odd.jsonl", "-m", "model", "-o", "odd"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("3 pictures, 3 skipped (3 bad rows)"), "{}", ran.stdout);
    let list = std::fs::read_to_string(folder.path().join("odd/skipped.jsonl")).unwrap();
    assert!(list.contains("longer than 16 MiB"), "{list}");
}
