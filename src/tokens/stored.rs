//! `vocabulary.json`: a vocabulary on disk, readable by people and by other programs.
//!
//! Tokens are listed in the order of their numbers, the first having number 2 after padding and
//! unknown. Joins are pairs of places in the list of pieces, in the order in which they apply.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::grams::WordsAndGrams;
use super::pieces::Pieces;
use super::whole::WholeWords;
use super::{Kind, Vocabulary};
use crate::error::{Error, ErrorKind, Result};

const FORMAT: &str = "looksee-vocabulary";
/// The newest version that this build reads. Each kind of vocabulary is written as the first that had
/// it, so that earlier builds read what they know.
const VERSION: u32 = 2;
/// Ten times as many as there are words in the largest dictionary.
const MOST_TOKENS: usize = 1 << 24;

/// Read first, so that a newer file is told from a damaged one.
#[derive(Serialize, Deserialize)]
struct Header<'a> {
    format: Cow<'a, str>,
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    #[serde(flatten)]
    header: Header<'a>,
    #[serde(flatten)]
    content: Content<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Content<'a> {
    Words {
        words: Cow<'a, [String]>,
    },
    Pieces {
        pieces: Cow<'a, [String]>,
        joins: Cow<'a, [(u32, u32)]>,
        seen: Cow<'a, [u32]>,
    },
    /// Since version 2. n-grams are hashed by XXH3-64 of their UTF-8, modulo `buckets`.
    WordsAndGrams {
        words: Cow<'a, [String]>,
        rare: Cow<'a, [String]>,
        buckets: u32,
    },
}

impl Content<'_> {
    /// The first version that had this kind.
    fn version(&self) -> u32 {
        match self {
            Self::Words { .. } | Self::Pieces { .. } => 1,
            Self::WordsAndGrams { .. } => 2,
        }
    }
}

/// The bytes of `vocabulary.json`.
pub(super) fn to_bytes(vocabulary: &Vocabulary) -> Result<Vec<u8>> {
    let content = match &vocabulary.0 {
        Kind::Words(words) => Content::Words { words: words.words().into() },
        Kind::Pieces(pieces) => Content::Pieces {
            pieces: pieces.pieces().into(),
            joins: pieces.joins().into(),
            seen: pieces.seen().into(),
        },
        Kind::WordsAndGrams(words) => Content::WordsAndGrams {
            words: words.words().into(),
            rare: words.rare().into(),
            buckets: words.buckets() as u32,
        },
    };
    let header = Header { format: FORMAT.into(), version: content.version() };
    serde_json::to_vec(&Stored { header, content })
        .map_err(|e| Error::io("cannot write the vocabulary", e.into()))
}

pub(super) fn parse(bytes: &[u8]) -> Result<Vocabulary> {
    check_header(bytes)?;
    let stored: Stored<'_> = serde_json::from_slice(bytes)
        .map_err(|e| corrupt("the vocabulary is damaged").with_source(e))?;
    match stored.content {
        Content::Words { words } => {
            check_tokens(&words)?;
            Ok(Vocabulary(Kind::Words(WholeWords::new(words.into_owned()))))
        }
        Content::Pieces { pieces, joins, seen } => {
            check_tokens(&pieces)?;
            Pieces::new(pieces.into_owned(), joins.into_owned(), seen.into_owned())
                .map(|pieces| Vocabulary(Kind::Pieces(pieces)))
                .map_err(|rule| corrupt(&format!("the vocabulary is damaged: {rule}")))
        }
        Content::WordsAndGrams { words, rare, buckets } => {
            check_tokens(&words)?;
            WordsAndGrams::new(words.into_owned(), rare.into_owned(), buckets)
                .map(|words| Vocabulary(Kind::WordsAndGrams(words)))
                .map_err(|rule| corrupt(&format!("the vocabulary is damaged: {rule}")))
        }
    }
}

fn check_header(bytes: &[u8]) -> Result<()> {
    let header: Header<'_> = serde_json::from_slice(bytes)
        .map_err(|e| corrupt("this is no vocabulary of looksee").with_source(e))?;
    if header.format != FORMAT {
        return Err(corrupt(&format!(
            "this is no vocabulary of looksee: its format is \"{}\", not \"{FORMAT}\"",
            header.format
        )));
    }
    if !(1..=VERSION).contains(&header.version) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the vocabulary has version {}, this looksee reads versions up to {VERSION}; use the \
                 looksee that wrote it or train again",
                header.version
            ),
        ));
    }
    Ok(())
}

fn check_tokens(tokens: &[String]) -> Result<()> {
    if tokens.len() > MOST_TOKENS {
        return Err(corrupt(&format!(
            "the vocabulary is damaged: it has {} tokens, and {MOST_TOKENS} are the most",
            tokens.len()
        )));
    }
    let mut met = HashSet::new();
    for (place, token) in tokens.iter().enumerate() {
        if token.is_empty() {
            return Err(corrupt(&format!("the vocabulary is damaged: token {place} is empty")));
        }
        if !met.insert(token) {
            return Err(corrupt(&format!(
                "the vocabulary is damaged: token {place}, \"{token}\", occurs twice"
            )));
        }
    }
    Ok(())
}

fn corrupt(message: &str) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Rules, Vocabulary};
    use super::*;

    fn vocabularies() -> [Vocabulary; 3] {
        let texts = ["Red dress 42\"", "red shoes 👗", "dressed in 红 silk"];
        let grams = Rules::WordsAndGrams { min_count: 2, buckets: 30 };
        [Rules::Words { min_count: 1 }, Rules::Pieces { size: 60 }, grams]
            .map(|rules| Vocabulary::learn(texts, &rules))
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        for vocabulary in vocabularies() {
            let path = folder.path().join("vocabulary.json");
            vocabulary.save(&path).unwrap();
            assert_eq!(Vocabulary::load(&path).unwrap(), vocabulary);
        }
    }

    #[test]
    fn a_vocabulary_that_is_not_there_is_not_found_by_its_path() {
        let error = Vocabulary::load(Path::new("/nowhere/vocabulary.json")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().starts_with("/nowhere/vocabulary.json: "), "{error}");
    }

    #[test]
    fn each_broken_rule_is_named() {
        const HEADER: &str = r#""format": "looksee-vocabulary", "version": 1"#;
        let pieces = |rest: &str| format!(r#"{{{HEADER}, "kind": "pieces", {rest}}}"#);
        let grams = |rest: &str| format!(r#"{{{HEADER}, "kind": "words-and-grams", {rest}}}"#);
        for (text, rule) in [
            ("{}".to_owned(), "no vocabulary"),
            (r#"{"format": "x", "version": 1}"#.to_owned(), "its format is \"x\""),
            (format!("{{{HEADER}}}"), "damaged"),
            (
                format!(r#"{{{HEADER}, "kind": "words", "words": ["a", "a"]}}"#),
                "\"a\", occurs twice",
            ),
            (format!(r#"{{{HEADER}, "kind": "words", "words": [""]}}"#), "token 0 is empty"),
            (pieces(r#""pieces": ["a"], "joins": [[0, 1]], "seen": []"#), "pieces 0 and 1 of 1"),
            (pieces(r#""pieces": ["a"], "joins": [[0, 0]], "seen": []"#), "is not there"),
            (pieces(r#""pieces": ["a", "aa"], "joins": [[0,0],[0,0]], "seen": []"#), "join occurs"),
            (pieces(r#""pieces": [], "joins": [], "seen": [2, 1]"#), "ascending"),
            (grams(r#""words": ["a"], "rare": [], "buckets": 0"#), "no bucket"),
            (grams(r#""words": ["a"], "rare": ["c", "b"], "buckets": 9"#), "not ascending"),
            (grams(r#""words": ["a"], "rare": ["a"], "buckets": 9"#), "has a number"),
            (grams(r#""words": ["a", "a"], "rare": [], "buckets": 9"#), "occurs twice"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(error.to_string().contains(rule), "{error}");
        }
    }

    #[test]
    fn a_newer_version_is_not_called_damaged() {
        let error = parse(br#"{"format": "looksee-vocabulary", "version": 3}"#).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("has version 3, this looksee reads versions up to 2"));
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error() {
        for vocabulary in vocabularies() {
            let bytes = to_bytes(&vocabulary).unwrap();
            for length in 0..bytes.len() {
                assert!(parse(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
            }
        }
    }

    #[test]
    fn a_vocabulary_longer_than_any_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vocabulary.json");
        std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(Vocabulary::load(&path).unwrap_err().kind(), ErrorKind::TooLarge);
    }
}
