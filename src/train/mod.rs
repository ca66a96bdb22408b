//! Training: a recipe, a catalogue, a model folder.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::catalogue::{Ledger, Source};
use crate::error::Result;
use crate::units::{Listener, Seed, Stop};

/// Everything that decides a training run but the catalogue; a readable TOML.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {}

impl Recipe {
    /// `article` or `default`; the error lists the names.
    pub fn named(name: &str) -> Result<Self> {
        let _ = name;
        unimplemented!()
    }
    /// Reads a recipe's TOML; unknown keys are errors that list the known ones.
    pub fn parse(text: &str) -> Result<Self> {
        let _ = text;
        unimplemented!()
    }
    /// The TOML text.
    pub fn to_toml(&self) -> String {
        unimplemented!()
    }
    /// Sets one value by its dotted key, as the command line's overrides do.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let _ = (key, value);
        unimplemented!()
    }
}

/// One training run.
#[derive(Clone, Debug)]
pub struct Job {
    /// The recipe with all overrides.
    pub recipe: Recipe,
    /// What to learn from.
    pub source: Source,
    /// The model folder.
    pub output: PathBuf,
    /// Pretrained weights for the image tower.
    pub weights: Option<PathBuf>,
    /// Go on where an interrupted run stopped.
    pub resume: bool,
    /// Wall-clock budget in minutes.
    pub minutes: Option<f64>,
    /// Where chance comes from.
    pub seed: Seed,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// One line for a person: recall beside chance and the untrained model.
    pub summary: String,
    /// What was used and what was not.
    pub ledger: Ledger,
}

/// Trains until the recipe or the budget ends. A stop that was asked for saves a checkpoint and
/// returns an [`crate::ErrorKind::Interrupted`] error that says how to go on.
pub fn run(job: &Job, stop: &Stop, listener: Listener<'_>) -> Result<Outcome> {
    let _ = (job, stop, listener);
    unimplemented!()
}
