//! A catalogue put into two files: one to learn from, one to measure on.

use std::io::Write;
use std::path::Path;

use super::{Catalogue, Item, Ledger, Source, Split};
use crate::error::{Error, Result};
use crate::files;
use crate::units::Seed;

/// What is learnt from.
const TRAINING: &str = "train.jsonl";
/// What is put aside.
const HELD_OUT: &str = "held-out.jsonl";

/// What [`Source::split_into`] wrote.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Items in `train.jsonl`.
    pub training: usize,
    /// Items in `held-out.jsonl`.
    pub held_out: usize,
    /// What was left out of both.
    pub ledger: Ledger,
}

impl Source {
    /// Writes `train.jsonl` and `held-out.jsonl`, which has about `fraction` of the items, into
    /// `folder`: both or nothing.
    ///
    /// Rows have every field that they had under its name, the picture's with its path from the root
    /// of the disk, so that they are read from wherever they lie; where the usual names would not give
    /// the same item, `id`, `group`, `title` and `image` are added. Groups stay together as in
    /// [`Catalogue::split`], by a chance of their own: what a training run then puts aside has nothing
    /// to do with it.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) where `folder` is something other than new or an empty
    /// folder, and where the catalogue cannot be parted because all of it is one group.
    pub fn split_into(&self, fraction: f64, seed: Seed, folder: &Path) -> Result<Parts> {
        let source = Self { whole_rows: true, ..self.clone() };
        let catalogue = source.load()?;
        let Split { training, validation } = catalogue.split(fraction, chance(seed));
        if training.is_empty() || validation.is_empty() {
            return Err(Error::invalid(format!(
                "{} cannot be parted: a part to learn from and one to measure on need two groups, or \
                 two items without one",
                catalogue.ledger.summary()
            )));
        }
        files::fill_folder(folder, |folder| {
            write(&folder.join(HELD_OUT), &catalogue, &validation)?;
            write(&folder.join(TRAINING), &catalogue, &training)
        })?;
        let (training, held_out) = (training.len(), validation.len());
        Ok(Parts { training, held_out, ledger: catalogue.ledger })
    }
}

/// The chance of this split. A training run splits by the seed itself; if it were the same, all that
/// falls below its border would lie in the other file.
fn chance(seed: Seed) -> Seed {
    Seed(seed.stream("held out", 0).u64(..))
}

fn write(path: &Path, catalogue: &Catalogue, items: &[usize]) -> Result<()> {
    files::replace(path, |out| {
        for item in items.iter().map(|&number| &catalogue.items[number]) {
            write_row(out, item)?;
        }
        Ok(())
    })
}

fn write_row(out: &mut impl Write, item: &Item) -> Result<()> {
    let cannot = |e: std::io::Error| Error::io("cannot write", e);
    serde_json::to_writer(&mut *out, &item.fields).map_err(|e| cannot(e.into()))?;
    out.write_all(b"\n").map_err(cannot)
}
