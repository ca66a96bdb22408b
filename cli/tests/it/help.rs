//! What the program says of itself, and to a user who mistypes.

use crate::util::Folder;

const COMMANDS: [&str; 13] = [
    "train", "split", "eval", "embed", "index", "search", "audit", "remove", "compact", "merge",
    "check", "info", "urls",
];

#[test]
fn each_commands_help_begins_with_examples() {
    let folder = Folder::new();
    for command in COMMANDS {
        let ran = folder.run([command, "--help"]);
        assert_eq!(ran.code, Some(0), "{command}");
        let mut lines = ran.stdout.lines();
        assert!(lines.next().unwrap().starts_with("Example"), "{}", ran.stdout);
        let example = lines.next().unwrap();
        assert!(example.starts_with(&format!("  looksee {command} ")), "{example}");
    }
}

#[test]
fn the_programs_help_names_every_command() {
    let ran = Folder::new().run(["--help"]);
    for command in COMMANDS {
        assert!(ran.stdout.contains(&format!("\n  {command} ")), "{command}: {}", ran.stdout);
    }
}

#[test]
fn help_keeps_to_a_hundred_columns() {
    let folder = Folder::new();
    for command in COMMANDS {
        for line in folder.run([command, "-h"]).stdout.lines() {
            assert!(line.chars().count() <= 100, "{command}: {line}");
        }
    }
}

#[test]
fn a_mistyped_command_is_answered_with_the_right_one() {
    let ran = Folder::new().run(["serch"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("'search'"), "{}", ran.stderr);
}

#[test]
fn a_mistyped_flag_is_answered_with_the_right_one() {
    let ran = Folder::new().run(["search", "shop", "red", "--hide-duplicate"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("'--hide-duplicates'"), "{}", ran.stderr);
}

#[test]
fn wrong_values_of_flags_are_refused_with_what_was_expected() {
    let folder = Folder::new();
    let cases: [(&[&str], &str); 8] = [
        (&["index", "c", "-o", "i", "--shard", "9/8"], "a part such as 3/8"),
        (&["train", "c", "-o", "m", "--image-size", "big"], "192x256"),
        (&["search", "i", "x", "--min-probability", "2"], "a number from 0 to 1"),
        (&["eval", "m", "c", "--gallery", "few"], "a number of items"),
        (&["eval", "m", "c", "--ask", "words"], "titles, all, short"),
        (&["split", "c", "-o", "d", "--held-out", "1"], "a number between 0 and 1"),
        (&["search", "i", "x", "-k", "0"], "'0'"),
        (&["audit", "i", "--kind", "odd"], "wrong-picture"),
    ];
    for (words, expected) in cases {
        let ran = folder.run(words);
        assert_eq!(ran.code, Some(2), "{words:?}");
        assert!(ran.stderr.contains(expected), "{words:?}: {}", ran.stderr);
    }
}
