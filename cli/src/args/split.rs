//! The flags of `looksee split`.

use std::path::PathBuf;

use clap::Args;

use super::{CatalogueArgs, FormatArgs, values};

const EXAMPLES: &str = "\
Examples:
  looksee split catalogue.jsonl -o parts
  looksee split shoes.csv --held-out 0.2 -o parts --group-field model
  looksee split photos/ -o parts --seed 7";

pub(super) const ABOUT: &str = "\
Put a part of a catalogue aside, to measure models on

Writes DIR/train.jsonl and DIR/held-out.jsonl, with every field of every item and the paths of its \
pictures from the root of the disk. Items of one group are never parted; which side an item falls on \
depends on --seed and its group (or id) alone, so that a catalogue that grows keeps its split.";

#[derive(Args, Debug)]
#[command(before_help = EXAMPLES)]
pub(crate) struct SplitArgs {
    /// Catalogues to split: folders of pictures, .jsonl, .csv, .tsv, Amazon metadata
    #[arg(value_name = "CATALOGUE", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Folder for both parts; it must be new or empty
    #[arg(long, short, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// The share that is put aside, between 0 and 1
    #[arg(long, value_name = "SHARE", default_value = "0.1", value_parser = values::share)]
    pub(crate) held_out: f64,

    #[command(flatten)]
    pub(crate) catalogue: CatalogueArgs,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}
