//! The flags of `looksee eval`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use looksee::eval::{Ask, Gallery};

use super::{CatalogueArgs, values};

const EXAMPLES: &str = "\
Examples:
  looksee eval model validation.jsonl
  looksee eval model validation.jsonl --ask short --gallery all
  looksee eval model validation.jsonl --compare older-model";

pub(super) const ABOUT: &str = "\
Measure how well a model finds what belongs together

Each text looks for its picture in a gallery, and each picture for its text; equal texts are equal \
answers. R@10 is the share of queries whose partner is among the 10 closest, MRR the mean of 1/rank. \
Then come short questions as people type them, made of the catalogue's own fields (\"red\", \"shoes\", \
\"red shoes\") or of pieces of titles: P@9 is the share of right pictures among the 9 closest, mAP and \
nDCG@10 weigh the order. Intervals are 95 %, over resampled queries, beside what chance would give. \
Fewer than 20 pairs are not judged. `looksee split` makes a catalogue to measure on.";

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
    /// What is asked [default: titles and short]
    #[arg(long, visible_alias = "text", value_enum, value_name = "WHAT")]
    pub(crate) ask: Option<AskArg>,
    /// Field whose equal values make pictures alike, for picture -> picture [default: the group]
    #[arg(long, value_name = "FIELD")]
    pub(crate) label_field: Option<String>,
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

/// What is asked.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum AskArg {
    /// The first text field of each item
    #[value(alias = "title")]
    Titles,
    /// All texts of an item joined
    All,
    /// A word or two, as people type them
    Short,
}

impl AskArg {
    /// What the flag asks for; without it, titles and short questions.
    pub(crate) fn ask(flag: Option<Self>) -> Ask {
        match flag {
            None => Ask::TitlesAndShort,
            Some(Self::Titles) => Ask::Titles,
            Some(Self::All) => Ask::All,
            Some(Self::Short) => Ask::Short,
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
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn what_is_asked_has_one_flag_and_its_former_name() {
        let ask = |words: &[&str]| {
            let words = ["looksee", "eval", "m", "c"].iter().chain(words);
            match Cli::try_parse_from(words).unwrap().command {
                Command::Eval(args) => AskArg::ask(args.ask),
                _ => unreachable!("eval was asked for"),
            }
        };
        assert_eq!(ask(&[]), Ask::TitlesAndShort);
        assert_eq!(ask(&["--ask=titles"]), ask(&["--text=title"]));
        assert_eq!(ask(&["--ask=all"]), ask(&["--text=all"]));
        assert_eq!(ask(&["--ask=short"]), Ask::Short);
    }

    #[test]
    fn a_gallery_is_a_number_or_all() {
        assert_eq!(gallery("all"), Ok(Gallery::All));
        assert_eq!(gallery("1000"), Ok(Gallery::First(1000)));
        assert!(gallery("1").is_err() && gallery("some").is_err());
    }
}
