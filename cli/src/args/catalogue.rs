//! The flags of every command that reads a catalogue.

use std::path::PathBuf;

use clap::Args;
use looksee::catalogue::{Format, Source};
use looksee::filter::Filter;
use looksee::units::Seed;
use looksee::{Error, ErrorKind, Result};

use super::values;

/// How the catalogue is to be read.
#[derive(Args, Debug)]
#[command(next_help_heading = "Catalogue")]
pub(crate) struct CatalogueArgs {
    /// Look for pictures under this folder [default: the catalogue's own]
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Field with the picture's path [default: found among image, filepath, path, ...]
    #[arg(long, value_name = "FIELD")]
    image_field: Option<String>,
    /// Field with a text, most telling first; may be given several times [default: found among
    /// title, caption, text, ...]
    #[arg(long = "text-field", value_name = "FIELD")]
    text_fields: Vec<String>,
    /// Field with the item's name [default: found among id, asin, sku, else the picture's path]
    #[arg(long, value_name = "FIELD")]
    id_field: Option<String>,
    /// Field that items showing the same thing share [default: found among group, product]
    #[arg(long, value_name = "FIELD")]
    group_field: Option<String>,
    /// Stop after so many items
    #[arg(long, value_name = "N", value_parser = values::number)]
    limit: Option<usize>,
    /// Keep a random sample of so many items
    #[arg(long, value_name = "N", value_parser = values::number)]
    sample: Option<usize>,
    /// Keep only items whose fields pass, such as 'color = "red" and price < 20'
    #[arg(long = "where", value_name = "EXPR")]
    condition: Option<String>,
}

/// `--format` where nothing is printed in a format of its own; `eval` has `--catalogue-format`.
#[derive(Args, Debug)]
pub(crate) struct FormatArgs {
    /// How the catalogue is written: folder, json, csv, tsv, amazon [default: found by looking]
    #[arg(
        long,
        visible_alias = "catalogue-format",
        value_name = "FORMAT",
        help_heading = "Catalogue"
    )]
    pub(crate) format: Option<String>,
}

impl CatalogueArgs {
    /// The source that these flags describe. A path that does not exist is an error here, before
    /// a model is loaded or a training run prepared.
    pub(crate) fn source(
        &self,
        paths: &[PathBuf],
        format: Option<&str>,
        seed: Seed,
    ) -> Result<Source> {
        expect_paths(paths)?;
        Ok(Source {
            paths: paths.to_vec(),
            format: format.map(Format::named).transpose()?,
            images: self.images.clone(),
            image_field: self.image_field.clone(),
            text_fields: self.text_fields.clone(),
            id_field: self.id_field.clone(),
            group_field: self.group_field.clone(),
            limit: self.limit,
            sample: self.sample,
            filter: self.condition.as_deref().map(Filter::parse).transpose()?,
            seed,
            whole_rows: false,
        })
    }
}

fn expect_paths(paths: &[PathBuf]) -> Result<()> {
    match paths.iter().find(|path| !path.exists()) {
        None => Ok(()),
        Some(path) => {
            let what = "there is no such catalogue; give a file or a folder of pictures";
            Err(Error::new(ErrorKind::NotFound, what).at_file(path))
        }
    }
}
