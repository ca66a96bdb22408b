//! The account of a run: what was used, and what was not and why.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::files::{self, FileKind};
use crate::units::ItemId;

/// Where in which file an item stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The catalogue file, or the picture itself in a folder.
    pub file: Arc<Path>,
    /// The line (from 1), where the format has lines.
    pub line: Option<u64>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file.display())?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// Why something was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The file is there but is no picture that can be decoded.
    Unreadable,
    /// The picture's file is not there.
    Missing,
    /// Beyond the limits on bytes or pixels.
    TooLarge,
    /// The row breaks its format or lacks a field.
    BadRow,
    /// The id was used by an earlier item.
    DuplicateId,
    /// No text, where one is needed.
    NoText,
}

impl Reason {
    const ALL: [Self; 6] = [
        Self::Unreadable,
        Self::Missing,
        Self::TooLarge,
        Self::BadRow,
        Self::DuplicateId,
        Self::NoText,
    ];

    /// The name in a ledger file: one word, for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Missing => "missing",
            Self::TooLarge => "too_large",
            Self::BadRow => "bad_row",
            Self::DuplicateId => "duplicate_id",
            Self::NoText => "no_text",
        }
    }

    /// As it reads after a number of things.
    fn words(self, count: usize) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Missing => "missing",
            Self::TooLarge => "too large",
            Self::BadRow if count == 1 => "bad row",
            Self::BadRow => "bad rows",
            Self::DuplicateId if count == 1 => "duplicate id",
            Self::DuplicateId => "duplicate ids",
            Self::NoText => "without text",
        }
    }
}

/// One thing that was left out.
#[derive(Clone, Debug)]
pub struct Skip {
    /// Where it stands.
    pub place: Place,
    /// The item's name, if it got that far.
    pub id: Option<ItemId>,
    /// What kind of trouble.
    pub reason: Reason,
    /// The sentence for a person.
    pub message: String,
}

/// Counts what was used and lists what was not.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Items that were used.
    pub used: usize,
    /// Items that were not, those added by [`Ledger::skip`] up to a million.
    pub skipped: Vec<Skip>,
    /// How many more there were for each reason: a file of a few megabytes can unpack to rows
    /// without end, and the list of them must not take all memory.
    pub unlisted: BTreeMap<Reason, usize>,
    /// How many of those that are missing lie on the web and were not fetched.
    pub not_fetched: usize,
    /// Pictures that end early and were used with their rest grey.
    pub truncated: usize,
}

/// A line of a ledger file.
#[derive(Serialize)]
struct Entry<'a> {
    file: std::borrow::Cow<'a, str>,
    line: Option<u64>,
    id: Option<&'a str>,
    reason: &'static str,
    message: &'a str,
}

/// Skipped things that are listed one by one.
const MOST_LISTED: usize = 1_000_000;

impl Ledger {
    /// Adds something that was left out.
    pub fn skip(&mut self, skip: Skip) {
        if self.skipped.len() < MOST_LISTED {
            self.skipped.push(skip);
        } else {
            *self.unlisted.entry(skip.reason).or_default() += 1;
        }
    }

    /// How many things were left out, listed or not.
    pub fn skips(&self) -> usize {
        self.skipped.len() + self.unlisted.values().sum::<usize>()
    }

    /// `12,345 pictures, 12 skipped (9 unreadable, 2 missing, 1 too large)`; truncated pictures
    /// are added when there are any.
    pub fn summary(&self) -> String {
        let pictures = if self.used == 1 { "picture" } else { "pictures" };
        let (used, skipped) = (with_commas(self.used), with_commas(self.skips()));
        let mut summary = format!("{used} {pictures}, {skipped} skipped");
        let reasons = self.reasons();
        if !reasons.is_empty() {
            summary = format!("{summary} ({})", reasons.join(", "));
        }
        if self.truncated > 0 {
            let truncated = with_commas(self.truncated);
            summary = format!("{summary}, {truncated} truncated and used");
        }
        summary
    }

    /// The count of each reason that occurs, in words.
    fn reasons(&self) -> Vec<String> {
        let unlisted = |reason| self.unlisted.get(&reason).copied().unwrap_or(0);
        let listed = |reason| self.skipped.iter().filter(|skip| skip.reason == reason).count();
        let count = |reason| listed(reason) + unlisted(reason);
        let counted = Reason::ALL.into_iter().map(|reason| (reason, count(reason)));
        counted
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| format!("{} {}", with_commas(count), reason.words(count)))
            .collect()
    }

    /// Whether a list may be written to `path`: nothing is there, or a list of an earlier run.
    pub fn may_replace(path: &Path) -> Result<bool> {
        Ok(match files::kind(path)? {
            FileKind::Absent => true,
            FileKind::File => begins_as_a_list(path)?,
            FileKind::Link | FileKind::Folder | FileKind::Special => false,
        })
    }

    /// Removes the list of an earlier run; anything else stays.
    pub fn remove(path: &Path) {
        files::remove_own(path, (0, BEGINNING), files::Cut::Nowhere);
    }

    /// Writes the skipped things as JSON lines (`file`, `line`, `id`, `reason`, `message`).
    ///
    /// What a terminal could take for a command is written as an escape.
    pub fn write(&self, path: &Path) -> Result<()> {
        files::replace(path, |out| {
            for skip in &self.skipped {
                let entry = Entry {
                    file: skip.place.file.to_string_lossy(),
                    line: skip.place.line,
                    id: skip.id.as_ref().map(ItemId::as_str),
                    reason: skip.reason.name(),
                    message: &skip.message,
                };
                let cannot = |e| Error::io("cannot write", e);
                let line = serde_json::to_string(&entry).map_err(|e| cannot(e.into()))?;
                writeln!(out, "{}", harmless(&line)).map_err(cannot)?;
            }
            Ok(())
        })
    }
}

/// How each line of a list begins.
const BEGINNING: &[u8] = b"{\"file\":\"";

fn begins_as_a_list(path: &Path) -> Result<bool> {
    let mut found = Vec::with_capacity(BEGINNING.len());
    let cannot = |e| Error::io("cannot read the old list", e).at_file(path);
    files::open(path)?.take(BEGINNING.len() as u64).read_to_end(&mut found).map_err(cannot)?;
    Ok(found == BEGINNING)
}

/// JSON with escapes for the signs that JSON allows and that command a terminal or turn the reading
/// direction round.
fn harmless(json: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(json.len());
    for letter in json.chars() {
        let turns = matches!(
            letter,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        );
        if letter.is_control() || turns {
            let _ = write!(out, "\\u{:04x}", u32::from(letter));
        } else {
            out.push(letter);
        }
    }
    out
}

/// `1234567` as `1,234,567`.
pub(super) fn with_commas(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(used: usize, reasons: &[(Reason, usize)]) -> Ledger {
        let skip = |reason| Skip {
            place: Place { file: Path::new("shoes.csv").into(), line: Some(7) },
            id: Some(ItemId::from("a")),
            reason,
            message: "no \"picture\"".to_owned(),
        };
        let skipped = reasons.iter().flat_map(|(reason, n)| std::iter::repeat_n(skip(*reason), *n));
        Ledger { used, skipped: skipped.collect(), ..Ledger::default() }
    }

    #[test]
    fn the_summary_counts_each_reason() {
        let mut ledger =
            ledger(12_345, &[(Reason::Missing, 2), (Reason::TooLarge, 1), (Reason::Unreadable, 9)]);
        assert_eq!(
            ledger.summary(),
            "12,345 pictures, 12 skipped (9 unreadable, 2 missing, 1 too large)"
        );
        ledger.truncated = 3;
        assert_eq!(
            ledger.summary(),
            "12,345 pictures, 12 skipped (9 unreadable, 2 missing, 1 too large), 3 truncated and used"
        );
    }

    #[test]
    fn beyond_a_million_skips_are_counted_and_not_kept() {
        let mut full = ledger(0, &[(Reason::BadRow, 1)]);
        let skip = full.skipped[0].clone();
        for _ in 1..MOST_LISTED + 2 {
            full.skip(Skip { message: String::new(), ..skip.clone() });
        }
        assert_eq!((full.skipped.len(), full.skips()), (MOST_LISTED, MOST_LISTED + 2));
        assert_eq!(full.summary(), "0 pictures, 1,000,002 skipped (1,000,002 bad rows)");
    }

    #[test]
    fn the_summary_knows_one_and_none() {
        assert_eq!(ledger(1, &[]).summary(), "1 picture, 0 skipped");
        assert_eq!(
            ledger(0, &[(Reason::BadRow, 1), (Reason::DuplicateId, 1_000)]).summary(),
            "0 pictures, 1,001 skipped (1 bad row, 1,000 duplicate ids)"
        );
    }

    #[test]
    fn the_file_has_one_json_object_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("skipped.jsonl");
        ledger(0, &[(Reason::BadRow, 2)]).write(&path).unwrap();
        let line = r#"{"file":"shoes.csv","line":7,"id":"a","reason":"bad_row","message":"no \"picture\""}"#;
        assert_eq!(std::fs::read_to_string(path).unwrap(), format!("{line}\n{line}\n"));
    }

    #[test]
    fn a_list_that_is_looked_at_on_a_terminal_commands_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("skipped.jsonl");
        let mut ledger = ledger(0, &[(Reason::BadRow, 1)]);
        let message = "a\u{1b}[31m\u{9b}31m\u{7f}\u{202e}b\u{2028}gr\u{fc}n";
        message.clone_into(&mut ledger.skipped[0].message);
        ledger.write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.chars().filter(|c| c.is_control()).collect::<String>(), "\n");
        assert!(!text.contains(['\u{202e}', '\u{2028}']) && text.contains("gr\u{fc}n"));
        let entry: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(entry["message"], message);
    }

    #[test]
    fn only_a_list_of_ours_is_replaced_or_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("skipped.jsonl");
        assert!(Ledger::may_replace(&path).unwrap());
        ledger(0, &[(Reason::BadRow, 1)]).write(&path).unwrap();
        assert!(Ledger::may_replace(&path).unwrap());
        Ledger::remove(&path);
        assert!(!path.exists());
        for theirs in ["", "{\"day\":1}\n", "{\"file"] {
            std::fs::write(&path, theirs).unwrap();
            assert!(!Ledger::may_replace(&path).unwrap(), "{theirs}");
            Ledger::remove(&path);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), theirs);
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(!Ledger::may_replace(&path).unwrap());
    }
}
