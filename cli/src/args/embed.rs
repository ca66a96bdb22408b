//! The flags of `looksee embed`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

const EXAMPLES: &str = "\
Examples:
  looksee embed model --images a.jpg b.jpg -o pictures.npy
  looksee embed model --images - -o pictures.npy < paths.txt
  looksee embed model --texts queries.txt -o texts.npy";

pub(super) const ABOUT: &str = "\
Write the vectors of pictures or texts to a numpy file

float32 [n, dim], unit rows, in input order: numpy.load reads it, and a dot product of two \
rows is their cosine.";

#[derive(Args, Debug)]
#[command(before_help = EXAMPLES)]
#[command(group = ArgGroup::new("input").required(true))]
pub(crate) struct EmbedArgs {
    /// The model
    pub(crate) model: PathBuf,
    /// Picture files, or - for their paths on standard input, one a line
    #[arg(long, value_name = "PATH", num_args = 1.., group = "input")]
    pub(crate) images: Vec<PathBuf>,
    /// A file with one text a line, or - for standard input
    #[arg(long, value_name = "FILE", group = "input")]
    pub(crate) texts: Option<PathBuf>,
    /// The numpy file to write
    #[arg(long, short, value_name = "FILE.npy")]
    pub(crate) output: PathBuf,
    /// A picture that cannot be used is an error; without this its row is left out with a warning
    #[arg(long)]
    pub(crate) strict: bool,
}
