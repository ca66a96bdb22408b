//! The flags of `looksee map`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use looksee::map::neighbours::Search;
use looksee::map::{Method, Start};

use super::values;

const EXAMPLES: &str = "\
Examples:
  looksee map shop -o map.html --color-by colour
  looksee map shop -o map.png --recipe article
  looksee map --vectors vectors.npy --labels labels.txt -o map.html
  looksee map --vectors vectors.npy -o layout.npy";

pub(super) const ABOUT: &str = "\
Draw pictures and texts on a plane, alike ones close together (t-SNE)

The ending of FILE chooses what is written: .html a page to walk about in (with a folder \
FILE_files beside it when there are many pictures), .png and .svg a picture, .json the points, \
.npy the bare [n, 2] layout: all pictures in the order of their names, then all texts. \
Ctrl-C ends the run early and keeps the map as it is by then.";

#[derive(Args, Debug)]
#[command(before_help = EXAMPLES)]
#[command(group = ArgGroup::new("source").required(true))]
pub(crate) struct MapArgs {
    /// The index to draw
    #[arg(group = "source")]
    pub(crate) index: Option<PathBuf>,
    /// Look for the pictures under this folder [default: where they were when they were indexed]
    #[arg(long = "images", value_name = "ROOT", requires = "index")]
    pub(crate) root: Option<PathBuf>,
    /// Draw the rows of a numpy file instead: float32 [n, d], of any length
    #[arg(long, value_name = "FILE.npy", group = "source")]
    pub(crate) vectors: Option<PathBuf>,
    /// A file with one label a line, or a numpy file of whole numbers, for the rows of --vectors
    #[arg(long, value_name = "FILE", requires = "vectors")]
    pub(crate) labels: Option<PathBuf>,
    /// The file to write: .html, .png, .svg, .json or .npy
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Settings to begin with; article: 10,000 items, random start
    #[arg(long, value_enum, default_value_t = MapRecipe::Default)]
    pub(crate) recipe: MapRecipe,
    /// Draw N items (or rows), taken by chance [default: all]
    #[arg(long, value_name = "N", value_parser = values::items)]
    pub(crate) sample: Option<NonZeroUsize>,
    /// Colour the points by this field of the items
    #[arg(long, value_name = "FIELD", requires = "index")]
    pub(crate) color_by: Option<String>,
    /// Keep the points of an earlier map (.json, or .npy for --vectors) and place only new ones
    #[arg(long, value_name = "FILE", conflicts_with_all = ["recipe", "method"])]
    pub(crate) onto: Option<PathBuf>,
    /// How many neighbours a point has, in effect
    #[arg(long, value_name = "P", default_value = "30", value_parser = perplexity, help_heading = "t-SNE")]
    pub(crate) perplexity: f32,
    /// How the push between all points is computed
    #[arg(long, value_enum, default_value_t = MethodArg::Auto, help_heading = "t-SNE")]
    pub(crate) method: MethodArg,
    /// Neighbours: exact, auto (exact up to 50,000 points), or the number of cells to look in
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = search, help_heading = "t-SNE")]
    pub(crate) neighbours: Search,
    /// Where the points begin [default: pca, random for the article]
    #[arg(long, value_enum, help_heading = "t-SNE")]
    pub(crate) init: Option<InitArg>,
    /// Iterations after the 250 in which clusters are drawn together
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = values::number, help_heading = "t-SNE")]
    pub(crate) iterations: usize,
}

/// Settings of a map that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MapRecipe {
    /// All items, principal components as start
    Default,
    /// 10,000 pictures and their texts, random start
    Article,
}

/// How the push is computed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum MethodArg {
    /// Exact for up to 4,000 points, fft for more
    Auto,
    /// Pair by pair
    Exact,
    /// By a tree of cells
    BarnesHut,
    /// By Fourier transforms of a mesh
    Fft,
}

impl From<MethodArg> for Method {
    fn from(method: MethodArg) -> Self {
        match method {
            MethodArg::Auto => Self::Auto,
            MethodArg::Exact => Self::Exact,
            MethodArg::BarnesHut => Self::BarnesHut,
            MethodArg::Fft => Self::Mesh,
        }
    }
}

/// Where the points begin.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum InitArg {
    /// At their principal components
    Pca,
    /// By chance
    Random,
}

impl From<InitArg> for Start {
    fn from(init: InitArg) -> Self {
        match init {
            InitArg::Pca => Self::Pca,
            InitArg::Random => Self::Random,
        }
    }
}

/// Three times as many neighbours are kept for each point.
const MOST_PERPLEXITY: f64 = 10_000.0;

fn perplexity(text: &str) -> Result<f32, String> {
    match values::positive(text)? {
        value if (1.0..=MOST_PERPLEXITY).contains(&value) => Ok(value as f32),
        _ => Err(format!("expected a number from 1 to {MOST_PERPLEXITY}; 5 to 50 are usual")),
    }
}

fn search(text: &str) -> Result<Search, String> {
    match text {
        "auto" => Ok(Search::Auto),
        "exact" => Ok(Search::Exact),
        _ => match values::items(text) {
            Ok(cells) => Ok(Search::Cells(cells.get())),
            Err(_) => Err("expected auto, exact, or a number of cells such as 12".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_a_word_or_a_number_of_cells() {
        assert_eq!(search("auto"), Ok(Search::Auto));
        assert_eq!(search("12"), Ok(Search::Cells(12)));
        assert!(search("0").is_err() && search("fast").is_err());
        assert!(perplexity("0.5").is_err() && perplexity("nan").is_err());
        assert!(perplexity("10000").is_ok() && perplexity("10001").is_err());
        assert!(search("18446744073709551615").is_err());
    }
}
