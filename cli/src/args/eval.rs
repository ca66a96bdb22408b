//! The flags of `looksee eval`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use looksee::eval::{Gallery, QueryText};

use super::{CatalogueArgs, values};

const EXAMPLES: &str = "\
Examples:
  looksee eval model validation.jsonl
  looksee eval model validation.jsonl --gallery all --format json
  looksee eval model validation.jsonl --compare older-model";

pub(super) const ABOUT: &str = "\
Measure how well a model finds what belongs together

Each text looks for its picture in a gallery, and each picture for its text. R@10 is the share \
of queries whose partner is among the 10 closest, MRR the mean of 1/rank. Intervals are 95 %, \
over resampled queries; the last row is what chance would give.";

#[derive(Args, Debug)]
#[command(before_help = EXAMPLES)]
pub(crate) struct EvalArgs {
    /// The model to measure
    pub(crate) model: PathBuf,
    /// Catalogues with pictures and texts that the model has not learnt from
    #[arg(value_name = "CATALOGUE", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Items to search among: the first N in file order (one a group), or all
    #[arg(long, value_name = "N|all", default_value = "1000", value_parser = gallery)]
    pub(crate) gallery: Gallery,
    /// The text that is asked: the first field, or all joined
    #[arg(long, value_enum, default_value_t = TextArg::Title)]
    pub(crate) text: TextArg,
    /// A second model on the same queries; prints the paired difference
    #[arg(long, value_name = "MODEL2")]
    pub(crate) compare: Option<PathBuf>,
    /// How the result is printed
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<ReportFormat>,

    #[command(flatten)]
    pub(crate) catalogue: CatalogueArgs,
    /// How the catalogue is written: folder, json, csv, tsv, amazon [default: found by looking]
    #[arg(long, value_name = "FORMAT", help_heading = "Catalogue")]
    pub(crate) catalogue_format: Option<String>,
}

/// Which text is asked.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TextArg {
    /// The first text field
    Title,
    /// All texts joined
    All,
}

impl From<TextArg> for QueryText {
    fn from(text: TextArg) -> Self {
        match text {
            TextArg::Title => Self::Title,
            TextArg::All => Self::All,
        }
    }
}

/// How a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For a person
    Table,
    /// For a program
    Json,
}

fn gallery(text: &str) -> Result<Gallery, String> {
    match values::number(text) {
        _ if text == "all" => Ok(Gallery::All),
        Ok(number) if number > 1 => Ok(Gallery::First(number)),
        _ => Err("expected a number of items (2 or more), or all".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gallery_is_a_number_or_all() {
        assert_eq!(gallery("all"), Ok(Gallery::All));
        assert_eq!(gallery("1000"), Ok(Gallery::First(1000)));
        assert!(gallery("1").is_err() && gallery("some").is_err());
    }
}
