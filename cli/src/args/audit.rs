//! The flags of `looksee audit`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use looksee::audit::Kind;

use super::values;

const EXAMPLES: &str = "\
Examples:
  looksee audit shop
  looksee audit shop -o suspicious.html
  looksee audit shop --kind wrong-picture -k 200 --format csv";

pub(super) const ABOUT: &str = "\
List the rows of a catalogue whose picture and text disagree

Four kinds of rows are listed, the worst of each first: a wrong picture (the text fits other \
pictures), the same picture under clearly different texts, a generic text that does not tell one \
picture from another, and an empty text. A row is compared with its neighbours in the index; it is \
listed when it stands out, which is a reason to look at it and no proof.

Ends with 1 when nothing is found.";

#[derive(Args, Debug)]
#[command(before_help = EXAMPLES)]
pub(crate) struct AuditArgs {
    /// The index
    pub(crate) index: PathBuf,
    /// Look for the pictures under this folder [default: where they were when they were indexed]
    #[arg(long = "images", value_name = "ROOT")]
    pub(crate) root: Option<PathBuf>,
    /// How many rows of each kind
    #[arg(long, short = 'k', value_name = "K", default_value = "50", value_parser = values::items)]
    pub(crate) top: NonZeroUsize,
    /// Only rows of this kind
    #[arg(long, value_enum, value_name = "KIND")]
    pub(crate) kind: Option<KindArg>,
    /// How the rows are printed
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Output")]
    pub(crate) format: Option<AuditFormat>,
    /// CSV cells as they are, also those that a spreadsheet would take for a formula
    #[arg(long, help_heading = "Output")]
    pub(crate) raw: bool,
    /// Also write a page with the pictures into an .html file
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
}

/// The kinds of rows.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum KindArg {
    /// The text fits other pictures better than its own
    WrongPicture,
    /// The same picture stands under clearly different texts
    SamePicture,
    /// The text does not tell one picture from another
    GenericText,
    /// There is no text, or one without a letter and a number
    EmptyText,
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::WrongPicture => Self::WrongPicture,
            KindArg::SamePicture => Self::SamePicture,
            KindArg::GenericText => Self::GenericText,
            KindArg::EmptyText => Self::EmptyText,
        }
    }
}

/// How the rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuditFormat {
    /// For a person
    Table,
    /// One JSON document
    Json,
    /// One JSON object a row, one a line
    Jsonl,
    /// Comma-separated with a header line
    Csv,
}
