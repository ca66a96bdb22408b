//! A catalogue whose ids, titles, fields and paths try to command whoever looks at them: nothing
//! that is printed may hold a control character or a sign that turns the reading direction round.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::formats;
use crate::shop;
use crate::util::{Folder, Ran};

/// Rewrites the window's title, colours, links, turns the direction, ends its line.
const EVIL: &str = "\u{1b}]0;PWNED\u{7}\u{1b}[31m\u{9b}31m\u{1b}]8;;http://evil\u{7}\u{202e}gpj.exe\
                    \u{2066}\r\nlooksee: forged\u{85}\u{2028}line\u{7f}\u{e0065}";

/// Whether a sign could command a terminal, or hide or turn what stands beside it.
fn is_harmful(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{e0000}'..='\u{e0fff}'
        )
}

#[track_caller]
fn harmless(what: &str, text: &str) {
    let found = text.lines().find(|line| line.contains(is_harmful));
    assert_eq!(found, None, "{what}");
    assert!(!text.lines().any(|line| line.starts_with("looksee: forged")), "{what}: {text}");
}

/// A picture with a name that no shop would choose, where the file system takes it.
fn evil_picture(folder: &Folder) -> String {
    let name = format!("pictures/{}.png", EVIL.replace('/', "_"));
    let from = folder.path().join("pictures/red-disc-1.png");
    match std::fs::copy(&from, folder.path().join(&name)) {
        Ok(_) => name,
        Err(_) => "pictures/red-disc-1.png".to_owned(),
    }
}

/// The shop's folder with `evil.jsonl` and its index `evil`.
fn evil_shop() -> Folder {
    let folder = shop::indexed();
    let evil_path = evil_picture(&folder);
    let mut rows = String::new();
    for number in 0..30 {
        let picture = match number {
            0 => evil_path.clone(),
            _ => format!("pictures/{}-disc-{}.png", ["red", "blue"][number % 2], 1 + number % 5),
        };
        let title = ["red disc", "blue disc", EVIL, "=1+1", ""][number % 5];
        let row = json!({
            "image": picture, "id": format!("{number}{EVIL}"), "title": format!("{title}{EVIL}"),
            format!("field{EVIL}"): format!("=cmd{EVIL}"),
        });
        writeln!(rows, "{row}").unwrap();
    }
    writeln!(rows, "{}", json!({"image": format!("gone{EVIL}.png"), "id": EVIL})).unwrap();
    writeln!(rows, "{}", json!({"image": format!("http://x.org/{EVIL}"), "id": "url"})).unwrap();
    writeln!(rows, "{}", json!({"image": format!("http://x.org/\u{202e}a b.jpg"), "id": "u2"}))
        .unwrap();
    writeln!(rows, "{{\"image\": {EVIL}").unwrap();
    folder.write("evil.jsonl", rows);
    let ran = folder.run(["index", "evil.jsonl", "-m", "model", "-o", "evil", "-v"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("30 pictures"), "{}", ran.stdout);
    harmless("index", &(ran.stdout + &ran.stderr));
    folder
}

/// What is printed for a person or as JSON, whatever it is printed to.
fn words() -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = [
        "search evil red -k 30",
        "search evil red -k 30 --json",
        "search evil red -k 30 --format jsonl",
        "search evil --queries queries.txt",
        "eval model evil.jsonl --compare model -v",
        "map evil -o map.json",
        "map evil -o map.svg --color-by nothing",
        "audit evil",
        "audit evil --json",
        "audit evil --format jsonl",
        "check evil",
        "info evil",
        "info evil --json",
        "info model",
        "urls evil.jsonl --images . -v",
        "urls evil.jsonl --json",
        "train evil.jsonl -o model",
    ]
    .iter()
    .map(|line| line.split(' ').map(str::to_owned).collect())
    .collect();
    for line in [
        vec!["search", "evil", EVIL],
        vec!["search", "evil", "--image", EVIL],
        vec!["search", "evil", "red", "--where", EVIL],
        vec!["search", EVIL, "red"],
        vec!["search", "evil", "red", EVIL, "--no-such-flag\u{1b}[31m"],
        vec!["embed", "model", "--images", EVIL, "-o", "v.npy"],
        vec!["remove", "evil", EVIL],
        vec!["urls", "evil.jsonl", "--text-field", EVIL],
    ] {
        all.push(line.into_iter().map(str::to_owned).collect());
    }
    all.push(vec!["search".to_owned(), "evil".to_owned(), format!("id:0{EVIL}")]);
    all
}

#[test]
fn nothing_that_any_command_prints_commands_hides_or_reorders() {
    let folder = evil_shop();
    folder.write(
        "queries.txt",
        format!("red\u{1b}[31m\u{202e}\nblue {}\n", EVIL.replace(['\r', '\n'], "")),
    );
    let card = folder.path().join("model/model.toml");
    let text = std::fs::read_to_string(&card).unwrap();
    let hidden = EVIL.replace(['\r', '\n'], " ");
    for words in words() {
        // Comments of a stranger's model; no TOML for the commands that read it.
        let comment = if words[0] == "info" { format!("# {hidden}\n") } else { String::new() };
        std::fs::write(&card, format!("{text}{comment}")).unwrap();
        let ran = folder.run(&words);
        assert!(ran.code.is_some_and(|code| code <= 2), "{words:?}: {}", ran.stderr);
        let tabs = if words[0] == "urls" { ran.stdout.replace('\t', " ") } else { ran.stdout };
        harmless(&words.join(" "), &tabs);
        harmless(&words.join(" "), &ran.stderr);
    }
}

#[test]
fn a_field_and_a_comment_stay_on_their_lines() {
    let folder = evil_shop();
    let ran = folder.run(["info", "evil"]);
    assert_eq!(ran.stdout.lines().count(), 7, "{}", ran.stdout);
    assert!(ran.stdout.contains("field ]0;PWNED [31m"), "{}", ran.stdout);
    // A description of format 1 has no checksum of itself, so a comment can be put into it; TOML
    // has no control characters in comments, but signs that turn the direction.
    let folder = formats::version_1();
    let card = folder.path().join("model/model.toml");
    let text = std::fs::read_to_string(&card).unwrap();
    std::fs::write(&card, format!("# a\u{202e}b\n{text}")).unwrap();
    assert!(folder.run(["info", "model"]).stdout.starts_with("# a\u{fffd}b\nformat = 1\n"));
}

#[test]
fn json_keeps_every_sign_of_a_title() {
    let folder = evil_shop();
    let ran = folder.run(["search", "evil", "red", "--json", "-k", "30"]);
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    let hits = answer["hits"].as_array().unwrap();
    assert_eq!(hits.len(), 30);
    assert!(hits.iter().all(|hit| hit["title"].as_str().unwrap().contains(EVIL.trim_end())));
}

#[test]
fn paths_and_raw_cells_reach_a_pipe_byte_for_byte() {
    let folder = evil_shop();
    let ran = folder.run(["search", "evil", "red", "-k", "30", "-0"]);
    let picture = evil_picture(&folder);
    let name = picture.rsplit('/').next().unwrap();
    assert!(ran.stdout.split('\0').any(|path| path.ends_with(name)), "{}", ran.stdout);
    let ran = folder.run(["search", "evil", "red", "-k", "30", "--format", "csv", "--raw"]);
    assert!(ran.stdout.contains(&format!("\"=cmd{EVIL}\"")), "{}", ran.stdout);
}

#[test]
fn a_spreadsheet_finds_no_formula_in_the_cells() {
    let folder = evil_shop();
    for words in [
        &["search", "evil", "=red", "-k", "30", "--format", "csv"][..],
        &["audit", "evil", "--format", "csv"],
    ] {
        let ran = folder.run(words);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let cells = ran.stdout.split([',', '\n', '\r']).map(|cell| cell.trim_start_matches('"'));
        let formulas: Vec<_> = cells.filter(|cell| cell.starts_with(['=', '+', '@'])).collect();
        assert_eq!(formulas, [""; 0], "{words:?}");
        assert!(ran.stdout.contains("'=1+1") || words[0] == "audit", "{}", ran.stdout);
    }
    let plain = folder.run(["search", "index", "red", "--format", "csv"]);
    let raw = folder.run(["search", "index", "red", "--format", "csv", "--raw"]);
    assert_eq!(plain.stdout, raw.stdout, "nothing else is changed");
    folder
        .run(["search", "index", "red", "--raw"])
        .failed_with("--raw is about cells; it needs --format csv");
}

#[test]
fn each_line_of_urls_is_an_address_and_a_file() {
    let folder = Folder::new();
    let rows = [
        "http://x.org/a.jpg\nhttp://evil.org/payload\t../../../../etc/cron.d/x",
        "http://x.org/b\u{1b}]0;PWN\u{7}.jpg",
        "http://x.org/p\tq/c.jpg?x=\t../../.bashrc",
        "http://x.org/d.jpg#\n-o /x/evil",
        "http://x.org/-rf",
        "http://x.org/CON",
        "http://x.org/%2e%2e%2fx",
        "http://x.org/a b\\c.jpg",
        "http://x.org/\u{202e}gpj.exe",
        "http://x.org/good.jpg",
    ];
    let rows = rows.map(|url| json!({"image": url, "title": "t"}).to_string());
    folder.write("urls.jsonl", rows.join("\n"));
    let ran = folder.run(["urls", "urls.jsonl"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let lines: Vec<(&str, &str)> =
        ran.stdout.lines().map(|line| line.split_once('\t').unwrap()).collect();
    assert_eq!(lines.len(), 6, "{}", ran.stdout);
    for (url, file) in &lines {
        assert!(url.starts_with("http://x.org/") && url.bytes().all(|b| b.is_ascii_graphic()));
        assert!(
            file.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
                && !file.starts_with(['-', '.'])
        );
    }
    assert_eq!(lines[5], ("http://x.org/good.jpg", "good.jpg"));
    for line in 1..=4 {
        assert!(
            ran.stderr.contains(&format!("urls.jsonl:{line}: the URL holds")),
            "{}",
            ran.stderr
        );
    }
    assert!(ran.stderr.contains("4 URLs left out"), "{}", ran.stderr);
    // What is printed is what is looked up.
    shop::write(&folder);
    for (_, file) in &lines {
        let picture = folder.path().join("pictures/red-disc-1.png");
        folder.write(&format!("fetched/{file}"), std::fs::read(picture).unwrap());
    }
    let ran = folder.run(["urls", "urls.jsonl", "--images", "fetched"]);
    assert_eq!((ran.code, &*ran.stdout), (Some(1), ""), "{}", ran.stderr);
}

/// The program with a terminal at its end, where there is a `script` to make one.
#[cfg(target_os = "linux")]
fn on_a_terminal(folder: &Folder, words: &str) -> Option<Ran> {
    let mut command = std::process::Command::new("script");
    command.args(["-q", "-e", "-c", &format!("{} {words}", env!("CARGO_BIN_EXE_looksee"))]);
    command.arg("/dev/null").current_dir(folder.path()).stdin(std::process::Stdio::null());
    Some(Ran::of(command.output().ok()?))
}

#[cfg(target_os = "linux")]
#[test]
fn paths_cells_and_addresses_command_no_terminal() {
    let folder = evil_shop();
    for words in [
        "search evil red -k 30 --quiet --format paths",
        "search evil red -k 30 --quiet --format csv",
        "search evil red -k 30 --quiet --format csv --raw",
        "search evil red -k 30 --quiet -0",
        "audit evil --quiet --format csv",
        "urls evil.jsonl --quiet",
    ] {
        let Some(ran) = on_a_terminal(&folder, words) else { return };
        let text = ran.stdout.replace("\r\n", "\n").replace('\t', " ");
        assert!(text.contains("pictures/") || text.contains("http://x.org/"), "{words}: {text}");
        harmless(words, &text);
    }
}
