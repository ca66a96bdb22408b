//! The flags of `looksee search`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::values;

const EXAMPLES: &str = "\
Examples:
  looksee search shop red dress
  looksee search shop ./shoe.jpg + 0.5:blue --where 'price < 50' --grid shoes.html
  looksee search shop \"red dress\" - sleeves -k 20 --json
  looksee search shop --queries queries.txt --format csv";

pub(super) const ABOUT: &str = "\
Find pictures by words, by pictures, or by both

A query is made of words, pictures (a path that begins with /, ./ or ../, --image FILE, or - for \
standard input) and items of the index (id:NAME). Several are put together with + and taken away \
with -; a number and a colon before one gives it a weight: ./shoe.jpg + 0.5:blue. \"without X\" is \
understood as - X.

Ends with 1 when nothing is found.";

#[derive(Args, Debug)]
#[command(before_help = EXAMPLES)]
pub(crate) struct SearchArgs {
    /// The index
    pub(crate) index: PathBuf,
    /// What to look for: words, ./picture.jpg, id:NAME, joined with + and -
    #[arg(value_name = "QUERY", required_unless_present_any = ["images", "queries"])]
    pub(crate) query: Vec<String>,
    /// A picture to look for, - for standard input; may be given several times
    #[arg(long = "image", value_name = "FILE")]
    pub(crate) images: Vec<PathBuf>,
    /// Look for the pictures under this folder [default: where they were when they were indexed]
    #[arg(long = "images", value_name = "ROOT")]
    pub(crate) root: Option<PathBuf>,
    /// A file with one query a line, - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["query", "images", "grid"])]
    pub(crate) queries: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) choice: ChoiceArgs,
    #[command(flatten)]
    pub(crate) print: PrintArgs,
}

/// Which answers are wanted.
#[derive(Args, Debug)]
#[command(next_help_heading = "Answers")]
pub(crate) struct ChoiceArgs {
    /// How many answers
    #[arg(long, short = 'k', value_name = "K", default_value = "9", value_parser = values::items)]
    pub(crate) top: NonZeroUsize,
    /// Leave out the first N answers
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = values::number)]
    pub(crate) offset: usize,
    /// Only items whose fields pass, such as 'color = "red" and price < 20'
    #[arg(long = "where", value_name = "EXPR")]
    pub(crate) condition: Option<String>,
    /// Show the same picture once
    #[arg(long)]
    pub(crate) hide_duplicates: bool,
    /// Prefer answers that differ from each other
    #[arg(long)]
    pub(crate) diverse: bool,
    /// Only answers that match with at least this chance, 0 to 1 (queries of words only)
    #[arg(long, value_name = "P", value_parser = values::probability)]
    pub(crate) min_probability: Option<f32>,
}

/// How they are shown.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct PrintArgs {
    /// How answers are printed
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<SearchFormat>,
    /// CSV cells as they are, also those that a spreadsheet would take for a formula
    #[arg(long)]
    pub(crate) raw: bool,
    /// Print paths that end with a zero byte, for xargs -0
    #[arg(short = '0', long = "null")]
    pub(crate) null: bool,
    /// Also draw the answers with their pictures into a .png or .html file
    #[arg(long, value_name = "FILE")]
    pub(crate) grid: Option<PathBuf>,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SearchFormat {
    /// For a person
    Table,
    /// The pictures' paths, one a line
    Paths,
    /// One JSON document a query
    Json,
    /// One JSON object an answer, one a line
    Jsonl,
    /// Comma-separated with a header line
    Csv,
}
