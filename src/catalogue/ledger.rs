//! The account of a run: what was used, and what was not and why.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::files;
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
    /// Items that were not.
    pub skipped: Vec<Skip>,
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

impl Ledger {
    /// `12,345 pictures, 12 skipped (9 unreadable, 2 missing, 1 too large)`; truncated pictures
    /// are added when there are any.
    pub fn summary(&self) -> String {
        let pictures = if self.used == 1 { "picture" } else { "pictures" };
        let (used, skipped) = (with_commas(self.used), with_commas(self.skipped.len()));
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
        let count = |reason| self.skipped.iter().filter(|skip| skip.reason == reason).count();
        let counted = Reason::ALL.into_iter().map(|reason| (reason, count(reason)));
        counted
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| format!("{} {}", with_commas(count), reason.words(count)))
            .collect()
    }

    /// Writes the skipped things as JSON lines (`file`, `line`, `id`, `reason`, `message`).
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
                serde_json::to_writer(&mut *out, &entry).map_err(|e| cannot(e.into()))?;
                out.write_all(b"\n").map_err(cannot)?;
            }
            Ok(())
        })
    }
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
        Ledger { used, skipped: skipped.collect(), truncated: 0 }
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
}
