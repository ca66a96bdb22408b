//! Checkpoints: everything a run needs to go on to the same bytes.
//!
//! A checkpoint is one safetensors file: weights and moments as tensors, the [`State`] as JSON in
//! the metadata, and beside it a checksum of all of these, names and shapes included. A run that
//! went on from a damaged one would end in other weights without a word. Those that were written
//! before there was a checksum have nothing but the state in their metadata, and are still read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::budget::{Plan, STEPS_MOST};
use super::optimiser::{Moments, Optimiser};
use super::schedule::Plateau;
use crate::encoder::parameters::Parameters;
use crate::encoder::pretrained::Demands;
use crate::encoder::weights::{self, NamedTensor, Weights};
use crate::error::{Error, ErrorKind, Fact, Result};
use crate::files;
use crate::metrics::{Answers, Summary};
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
    /// Validation of a linear baseline; none where there are too few pairs, and of earlier builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) linear: Option<Summary>,
    /// Validation of the model that was saved, with its score and step.
    pub(super) best: Option<Best>,
    /// What a budget of time came to, once that is known; earlier builds never knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) plan: Option<Plan>,
    /// What the pretrained weights demand that the run began with, if it did with any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pretrained: Option<Demands>,
    /// The same for the part in which the network is tuned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tune_plan: Option<Plan>,
    /// Whether the network itself is tuned by now, so that it has no longer the weights that features
    /// were taken with.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) tunes: bool,
}

/// The best model so far, which is the one in the folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Best {
    pub(super) step: u64,
    pub(super) score: f64,
    pub(super) text_to_image: Summary,
    pub(super) image_to_text: Summary,
    /// Pictures that find others of their label, where labels are learned from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) image_to_image: Option<Summary>,
    /// Titles that find their pictures among as many pairs that were learned from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) training: Option<Summary>,
    /// How well what people type is answered, by kind of question.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) short: BTreeMap<String, Answers>,
}

const STATE: &str = "state";
const CHECKSUM: &str = "checksum";
/// What a header may need beside the values.
const HEADER_MOST: u64 = 16 << 20;
/// What is read whatever the parameters are, so that the checkpoint of another recipe is told from
/// a damaged one.
const BYTES_OF_ANY: u64 = 1 << 30;
/// Far beyond any run, and still a time that can be counted with.
const ELAPSED_MOST_S: f64 = 1e9;

/// The folder of checkpoints inside a model's.
pub(super) const FOLDER: &str = "checkpoints";
/// The one file in it.
pub(super) const LAST: &str = "last.safetensors";

fn path_in(model: &Path) -> PathBuf {
    model.join(FOLDER).join(LAST)
}

/// Writes the checkpoint of `model`, whole or not at all.
pub(super) fn save(
    model: &Path,
    state: &State,
    parameters: &Parameters,
    optimiser: &Optimiser,
) -> Result<()> {
    files::make_own_folder(&model.join(FOLDER))?;
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
    let checksum = checksum(&state, &tensors);
    let metadata = BTreeMap::from([(STATE.to_owned(), state), (CHECKSUM.to_owned(), checksum)]);
    weights::write(&path_in(model), &tensors, &metadata)
}

/// XXH3-64, in hex, of the state, then of name, shape and values of every tensor.
fn checksum(state: &str, tensors: &Weights) -> String {
    let state = std::iter::once(state.as_bytes().to_vec());
    let tensors = tensors.iter().flat_map(|(name, tensor)| {
        let sizes: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
        let header = format!("\n{name} {}\n", sizes.join(" "));
        [header.into_bytes(), files::f32_bytes(&tensor.values)]
    });
    format!("{:016x}", files::checksum_of_parts(state.chain(tensors)))
}

/// Reads the checkpoint of `model` into `parameters`, when its run is the one that `is_same` lets
/// pass. Whatever in it was changed since it was written is an error.
pub(super) fn load(
    model: &Path,
    parameters: &mut Parameters,
    is_same: impl FnOnce(&State) -> Result<()>,
) -> Result<(State, Optimiser)> {
    let path = path_in(model);
    let values: usize =
        parameters.file_shapes().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    // The weights and two moments of each.
    let most = (12 * values as u64 + HEADER_MOST).max(BYTES_OF_ANY);
    let of_file = |e: Error| match e.kind() {
        ErrorKind::Io | ErrorKind::NotFound => e.at_file(&path),
        _ => damaged(e).at_file(&path),
    };
    let bytes = files::read_at_most(&path, most).map_err(of_file)?;
    let (tensors, metadata) = weights::parse(&bytes).map_err(of_file)?;
    drop(bytes);
    let state = read_state(&tensors, &metadata).map_err(of_file)?;
    is_same(&state)?;
    parameters.load(&below(&tensors, "parameter."), "", |_| true).map_err(of_file)?;
    let optimiser = moments(&tensors, parameters).map_err(of_file)?;
    Ok((state, optimiser))
}

fn damaged(source: Error) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "the run cannot go on from this checkpoint, which is damaged or none of looksee's",
    )
    .with_fact(Fact::DamagedRun)
    .with_source(source)
}

/// The state, when it and the tensors are those that were written.
fn read_state(tensors: &Weights, metadata: &BTreeMap<String, String>) -> Result<State> {
    let wrong = |sentence: &str| Error::new(ErrorKind::Corrupt, sentence.to_owned());
    let state = metadata.get(STATE).ok_or_else(|| wrong("there is no state of a run in it"))?;
    match metadata.get(CHECKSUM) {
        Some(expected) if *expected != checksum(state, tensors) => {
            return Err(wrong("its content is not what its checksum says"));
        }
        // Of an earlier build, which wrote the state alone.
        None if metadata.len() > 1 => return Err(wrong("it has no checksum")),
        _ => {}
    }
    let state: State = serde_json::from_str(state)
        .map_err(|e| wrong("its state cannot be read").with_source(e))?;
    state.check().map_err(|sentence| wrong(&sentence))?;
    Ok(state)
}

impl State {
    /// The sentence about the first number that no run has.
    fn check(&self) -> Result<(), String> {
        let within = |what: &str, value: f64, low: f64, high: f64| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(format!("its {what} is {value}; it must lie between {low} and {high}"))
        };
        within("time", self.elapsed_s, 0.0, ELAPSED_MOST_S)?;
        within("step", self.step as f64, 0.0, STEPS_MOST as f64)?;
        within("scale of the learning rate", f64::from(self.plateau.scale), 0.0, 1.0)?;
        within("best validation", self.plateau.best.unwrap_or(0.0), 0.0, 1.0)?;
        if let Some(best) = &self.best {
            within("best step", best.step as f64, 0.0, STEPS_MOST as f64)?;
            within("best score", best.score, 0.0, 1.0)?;
        }
        if self.pretrained.is_some_and(|demands| !demands.pixels.is_sound()) {
            return Err("its scaling of the pixels is none that a model may have".to_owned());
        }
        [self.plan, self.tune_plan]
            .into_iter()
            .flatten()
            .try_for_each(|plan| plan.check(ELAPSED_MOST_S))
    }
}

/// What Adam remembers of the parameters; each moment must be as long as its parameter.
fn moments(tensors: &Weights, parameters: &Parameters) -> Result<Optimiser> {
    let lengths: BTreeMap<&str, usize> = parameters
        .file_shapes()
        .map(|(name, shape)| (name, shape.iter().product::<usize>()))
        .collect();
    let mut optimiser = Optimiser::default();
    let (firsts, mut seconds) = (below(tensors, "first."), below(tensors, "second."));
    for (name, first) in firsts {
        let wrong = || {
            let sentence = format!("the moments of {name} are not those of such a parameter");
            Error::new(ErrorKind::Corrupt, sentence)
        };
        let second = seconds.remove(&name).ok_or_else(wrong)?;
        let length = lengths.get(name.as_str()).copied().ok_or_else(wrong)?;
        let sound = [&first.values, &second.values]
            .into_iter()
            .all(|values| values.len() == length && values.iter().all(|value| value.is_finite()));
        if !sound || second.values.iter().any(|&value| value < 0.0) {
            return Err(wrong());
        }
        optimiser.moments.insert(name, Moments { first: first.values, second: second.values });
    }
    match seconds.keys().next() {
        Some(name) => {
            Err(Error::new(ErrorKind::Corrupt, format!("the first moment of {name} is not there")))
        }
        None => Ok(optimiser),
    }
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

#[cfg(test)]
mod tests {
    use super::super::budget::Rate;
    use super::*;
    use crate::encoder::parameters::{Init, Layout};

    fn parameters(value: f32) -> Parameters {
        let mut parameters = Parameters::default();
        let init = Init::Constant(value);
        parameters.add("image.w", &[2, 3], Layout::Transposed, init, Seed(0));
        parameters.add("text.b", &[3], Layout::Plain, init, Seed(0));
        parameters
    }

    fn state() -> State {
        State {
            step: 41,
            elapsed_s: 12.5,
            seed: Seed(7),
            task: "0123456789ab".to_owned(),
            plateau: Plateau { scale: 0.25, best: Some(0.5), waited: 1 },
            untrained: None,
            linear: None,
            best: None,
            plan: Some(plan(41)),
            pretrained: None,
            tune_plan: None,
            tunes: false,
        }
    }

    fn plan(steps: u64) -> Plan {
        let rate = Rate { step_s: 0.25, validation_s: 1.5 };
        Plan { steps, budget_s: 60.0, used_s: 2.5, done: 0, since: 0, rate }
    }

    fn optimiser() -> Optimiser {
        let moments = |count| Moments { first: vec![0.5; count], second: vec![0.25; count] };
        let moments = [("image.w", 6), ("text.b", 3)].map(|(n, c)| (n.to_owned(), moments(c)));
        Optimiser { moments: BTreeMap::from(moments) }
    }

    fn saved() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), &state(), &parameters(1.5), &optimiser()).unwrap();
        folder
    }

    /// A checkpoint with this state and these moments, with a checksum that fits.
    fn forged(state: &State, optimiser: &Optimiser) -> Result<(State, Optimiser)> {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), state, &parameters(1.5), optimiser).unwrap();
        load(folder.path(), &mut parameters(0.0), |_| Ok(()))
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let folder = saved();
        let mut loaded = parameters(0.0);
        let (state_again, optimiser_again) = load(folder.path(), &mut loaded, |_| Ok(())).unwrap();
        assert_eq!((state_again, optimiser_again), (state(), optimiser()));
        assert_eq!(loaded, parameters(1.5));
    }

    #[test]
    fn a_change_of_any_bit_is_an_error() {
        let folder = saved();
        let path = path_in(folder.path());
        let whole = files::read(&path).unwrap();
        for place in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[place] ^= 1 << bit;
                std::fs::write(&path, bytes).unwrap();
                let loaded = load(folder.path(), &mut parameters(0.0), |_| Ok(()));
                assert!(loaded.is_err(), "bit {bit} of byte {place}");
            }
        }
    }

    #[test]
    fn a_damaged_checkpoint_says_what_to_do() {
        let folder = saved();
        let path = path_in(folder.path());
        for content in [&b""[..], b"a diary", &files::read(&path).unwrap()[..100]] {
            std::fs::write(&path, content).unwrap();
            let error = load(folder.path(), &mut parameters(0.0), |_| Ok(())).unwrap_err();
            assert_eq!((error.kind(), error.file()), (ErrorKind::Corrupt, Some(path.as_path())));
            assert_eq!(error.fact(), Some(&Fact::DamagedRun), "{error}");
        }
    }

    #[test]
    fn a_checkpoint_from_before_there_were_checksums_is_read() {
        let folder = saved();
        let path = path_in(folder.path());
        let (tensors, mut metadata) = weights::parse(&files::read(&path).unwrap()).unwrap();
        metadata.remove(CHECKSUM);
        weights::write(&path, &tensors, &metadata).unwrap();
        assert_eq!(load(folder.path(), &mut parameters(0.0), |_| Ok(())).unwrap().0, state());
    }

    #[test]
    fn numbers_that_no_run_has_are_refused() {
        assert!(forged(&state(), &optimiser()).is_ok());
        for elapsed_s in [-1.0, 1e300] {
            let error = forged(&State { elapsed_s, ..state() }, &optimiser()).unwrap_err();
            assert!(error.whole().contains("its time is"), "{error:?}");
        }
        assert!(forged(&State { step: u64::MAX, ..state() }, &optimiser()).is_err());
        assert!(forged(&State { plan: Some(plan(u64::MAX)), ..state() }, &optimiser()).is_err());
        let plateau = Plateau { scale: f32::MAX, ..state().plateau };
        assert!(forged(&State { plateau, ..state() }, &optimiser()).is_err());
    }

    #[test]
    fn moments_that_do_not_fit_their_parameter_are_refused() {
        for (name, moments) in [
            ("text.b", Moments { first: vec![0.0; 2], second: vec![0.0; 2] }),
            ("text.b", Moments { first: vec![0.0; 3], second: vec![0.0; 4] }),
            ("text.b", Moments { first: vec![0.0; 3], second: vec![-1.0; 3] }),
            ("text.b", Moments { first: vec![f32::NAN; 3], second: vec![0.0; 3] }),
            ("text.c", Moments { first: vec![0.0; 3], second: vec![0.0; 3] }),
        ] {
            let mut optimiser = optimiser();
            optimiser.moments.insert(name.to_owned(), moments);
            let error = forged(&state(), &optimiser).unwrap_err();
            assert!(error.whole().contains(&format!("the moments of {name}")), "{error:?}");
        }
    }
}
