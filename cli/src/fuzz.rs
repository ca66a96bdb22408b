//! What a person or a program types and hands over, mutated: queries, arguments, arrays of numpy,
//! and texts on their way to a terminal. `cargo xtask fuzz` runs these longer, with those of the
//! library.

#[path = "../../src/fuzz/driver.rs"]
mod driver;
#[path = "../../src/fuzz/mutator.rs"]
mod mutator;

use clap::Parser;
use driver::Target;
use looksee::search::{Allowed, Query};

use crate::args::Cli;
use crate::npy;
use crate::render::text;

fn seeds(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[test]
fn whatever_a_query_says_it_is_an_error_or_a_sum_of_finite_parts() {
    let target = Target {
        name: "query",
        file: "query.txt",
        seeds: seeds(&[
            "red dress - sleeves + 0.5:blue",
            "./shoe.jpg + 2:id:B0756 - id:x",
            "dress without sleeves and without a belt",
            "- ../a b.png + /c.jpg",
        ]),
        words: &[" + ", " - ", "id:", "0.5:", "./", "../", "/", " without ", ":", "1e30:"],
        head: 4096,
    };
    target.run(|_, input| {
        let Ok(line) = std::str::from_utf8(input) else { return };
        let Ok(parsed) = Query::parse(line, Allowed::LOCAL) else { return };
        assert!(!parsed.query.parts.is_empty());
        for part in &parsed.query.parts {
            assert!(part.weight.is_finite() && part.weight != 0.0, "weight {}", part.weight);
        }
        let again = Query::parse(line, Allowed::LOCAL).map(|again| again.query.to_string());
        assert_eq!(again.ok(), Some(parsed.query.to_string()), "read again: another query");
        // What is shown is for people; as a query it may be another one, and never a panic.
        let _ = Query::parse(&parsed.query.to_string(), Allowed::LOCAL);
    });
}

#[test]
fn whatever_an_array_says_its_rows_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ours.npy");
    npy::write_rows(&path, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3).unwrap();
    let numbers =
        b"\x93NUMPY\x01\x00v\x00{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }";
    let mut numbers = numbers.to_vec();
    numbers.resize(127, b' ');
    numbers.extend(b"\n\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0");
    let target = Target {
        name: "npy",
        file: "array.npy",
        seeds: vec![std::fs::read(&path).unwrap(), numbers],
        words: &[
            "'descr': '",
            "<f4",
            "<i8",
            "'shape': (",
            ", ",
            "'fortran_order': True",
            "\u{2}\0",
        ],
        head: usize::MAX,
    };
    target.run(|file, _| {
        if let Ok((values, dim)) = npy::read_rows(file) {
            assert!(dim > 0 && values.len().is_multiple_of(dim), "{} of {dim}", values.len());
        }
        if let Ok(numbers) = npy::read_numbers(file) {
            assert!(numbers.len() <= 1 << 20);
        }
    });
}

#[test]
fn whatever_the_arguments_are_they_are_read_or_refused() {
    let target = Target {
        name: "arguments",
        file: "arguments.txt",
        seeds: seeds(&[
            "search\nshop\nred dress\n-k\n20\n--where\nprice < 5\n--min-probability\n0.5",
            "train\na.jsonl\n-o\nmodel\n--minutes\n30\n--image-size\n192x256\n--set\ndim=4",
            "index\na.csv\n-o\nshop\n--shard\n1/2\n--batch-size\n32\n--threads\n2",
            "map\nshop\n-o\nmap.html\n--perplexity\n30",
            "remove\nshop\n-",
        ]),
        words: &[
            "\n--minutes\n",
            "\n--shard\n",
            "\n--seed\n",
            "\n-k\n",
            "\n--",
            "/",
            "x",
            "=",
            "NaN",
        ],
        head: usize::MAX,
    };
    target.run(|_, input| {
        let Ok(words) = std::str::from_utf8(input) else { return };
        let words = std::iter::once("looksee").chain(words.split('\n'));
        // A wrong flag is told with a sentence, which must not be empty.
        if let Err(error) = Cli::try_parse_from(words) {
            assert!(!error.to_string().trim().is_empty());
        }
    });
}

#[test]
fn whatever_a_text_says_it_cannot_command_the_terminal() {
    let target = Target {
        name: "terminal",
        file: "text.txt",
        seeds: seeds(&[
            "red hat \u{1b}[31m\u{7}\u{202e}tah",
            "a\tb\nc\r",
            "\u{9b}2J \u{2066}x\u{2069}",
        ]),
        words: &["\u{1b}]0;", "\u{202a}", "\u{2068}", "\u{200e}", "\u{85}", "\u{61c}", "\u{feff}"],
        head: usize::MAX,
    };
    target.run(|_, input| {
        let text = String::from_utf8_lossy(input);
        for shown in [text::one_line(&text), text::cut(&text::one_line(&text), 20)] {
            assert!(!shown.contains(commands), "{shown:?}");
        }
        let shown = text::visible(&text);
        assert!(!shown.contains(|c| commands(c) && c != '\n' && c != '\t'), "{shown:?}");
    });
}

/// Control characters, and those that turn the direction of what follows.
fn commands(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
