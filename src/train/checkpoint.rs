//! Checkpoints: everything a run needs to go on to the same bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::optimiser::{Moments, Optimiser};
use super::schedule::Plateau;
use crate::encoder::parameters::Parameters;
use crate::encoder::weights::{self, NamedTensor, Weights};
use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::metrics::Summary;
use crate::units::Seed;

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// Steps done.
    pub(super) step: u64,
    /// Seconds spent training in all sittings.
    pub(super) elapsed_s: f64,
    pub(super) seed: Seed,
    /// Fingerprint of recipe and catalogue.
    pub(super) task: String,
    pub(super) plateau: Plateau,
    /// Validation of the untrained model.
    pub(super) untrained: Option<Summary>,
    /// Validation of the model that was saved, with its score and step.
    pub(super) best: Option<Best>,
}

/// The best model so far, which is the one in the folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Best {
    pub(super) step: u64,
    pub(super) score: f64,
    pub(super) text_to_image: Summary,
    pub(super) image_to_text: Summary,
}

const STATE: &str = "state";

fn path_in(model: &Path) -> PathBuf {
    model.join("checkpoints").join("last.safetensors")
}

/// Whether `model` holds a checkpoint.
pub(super) fn exists(model: &Path) -> bool {
    path_in(model).exists()
}

/// Writes the checkpoint of `model`, whole or not at all.
pub(super) fn save(
    model: &Path,
    state: &State,
    parameters: &Parameters,
    optimiser: &Optimiser,
) -> Result<()> {
    let path = path_in(model);
    files::make_folder(&model.join("checkpoints"))?;
    let mut tensors = Weights::new();
    for (name, tensor) in parameters.to_weights() {
        tensors.insert(format!("parameter.{name}"), tensor);
    }
    for (name, moments) in &optimiser.moments {
        tensors.insert(format!("first.{name}"), flat(&moments.first));
        tensors.insert(format!("second.{name}"), flat(&moments.second));
    }
    let state = serde_json::to_string(state)
        .map_err(|e| Error::invalid("cannot write the state of the run").with_source(e))?;
    weights::write(&path, &tensors, &BTreeMap::from([(STATE.to_owned(), state)]))
}

/// Reads the checkpoint of `model` into `parameters`.
pub(super) fn load(model: &Path, parameters: &mut Parameters) -> Result<(State, Optimiser)> {
    let path = path_in(model);
    if !path.exists() {
        return Err(Error::new(
            ErrorKind::NotFound,
            "there is no interrupted run to go on with here; leave out --resume to start one",
        )
        .at_file(model));
    }
    let damaged = || {
        Error::new(ErrorKind::Corrupt, "this is no checkpoint of looksee; start anew elsewhere")
            .at_file(&path)
    };
    let tensors = weights::read(&path)?;
    let metadata = weights::read_metadata(&path)?;
    let state = metadata.get(STATE).ok_or_else(damaged)?;
    let state = serde_json::from_str(state).map_err(|e| damaged().with_source(e))?;
    let own: Weights = below(&tensors, "parameter.");
    parameters.load(&own, "", |_| true).map_err(|e| e.at_file(&path))?;
    let mut optimiser = Optimiser::default();
    for (name, first) in below(&tensors, "first.") {
        let second = tensors.get(&format!("second.{name}")).ok_or_else(damaged)?;
        let moments = Moments { first: first.values, second: second.values.clone() };
        optimiser.moments.insert(name, moments);
    }
    Ok((state, optimiser))
}

fn flat(values: &[f32]) -> NamedTensor {
    NamedTensor { shape: vec![values.len()], values: values.to_vec() }
}

fn below(tensors: &Weights, prefix: &str) -> Weights {
    tensors
        .iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone())))
        .collect()
}
