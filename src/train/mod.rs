//! Training: a recipe and a catalogue in, a model folder out.
//!
//! [`run`] plans (material, split, vocabulary, networks) and hands over to `fit`, the loop, which
//! is given loss, miner, schedule, optimiser and checkpoint as values. All chance is drawn from
//! the seed and the step, and the state of a run is one file, so that a run that was interrupted
//! goes on to the same bytes. A budget of minutes becomes a number of steps once (`budget`), which
//! the recipe in `model.toml` holds: that recipe and the seed make the model again, the minutes and
//! the seed make another number of steps.
//!
//! # A run that dies can be run again
//!
//! A run makes its files in this order: the lock, the decoded pictures, a checkpoint of step 0, the
//! log, then models and later checkpoints by turns. Whatever ends it, a kill, the power or a full
//! disk, leaves its folder in one of these states, which `folder` tells apart, and in each of them
//! a command goes on:
//!
//! | what is there | the plain command | `--resume` |
//! |---|---|---|
//! | nothing | begins | says that there is nothing to go on with |
//! | the lock, decoded pictures, half-written files | begins | begins, and says so |
//! | a model, no checkpoint | names `--resume` | begins at step 0, and says so, when the model is of the same recipe and seed; only a better one takes its place |
//! | a checkpoint | names `--resume` | goes on from there |
//! | a damaged checkpoint | names `--resume` | names the file to delete; then it begins anew |
//! | anything that is not ours | refuses | refuses |
//!
//! A model is whole at every moment (`encoder::folder`). The last checkpoint only serves a longer
//! run: when there is no room for it, the run has still done its work, and that is a warning.

mod batches;
mod budget;
mod calibrate;
mod checkpoint;
mod diagnose;
mod fit;
mod folder;
mod log;
mod loss;
mod material;
mod miner;
mod optimiser;
mod recipe;
mod schedule;
mod start;
mod watch;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use loss::{Loss, LossKind};
pub use miner::Miner;
pub use recipe::{Flip, ImageRecipe, Recipe, TextChoice, TextRecipe};
pub use schedule::{Schedule, ScheduleKind};

pub(crate) use optimiser::Learner;
#[cfg(any(test, feature = "bench"))]
pub(crate) use optimiser::Optimiser;

use crate::catalogue::{Catalogue, Ledger, Source};
use crate::encoder::parameters::Parameters;
use crate::encoder::towers::Towers;
use crate::encoder::weights;
use crate::error::Result;
use crate::files::{FolderLock, Made};
use crate::units::{Event, Listener, Seed, Stop};
use batches::Material;
use budget::Clock;
use fit::Trainer;
use folder::Found;

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
    /// Word vectors that the embedding of the text tower begins with: the text form of word2vec,
    /// `GloVe` or fastText, packed or not, as wide as the embedding.
    pub word_vectors: Option<PathBuf>,
    /// Go on where an interrupted run stopped.
    pub resume: bool,
    /// About how many minutes the run may take, preparation of the pictures included; a year at
    /// most. It becomes a number of steps once the rate of a few is known, in place of the recipe's
    /// own length; an interrupted run that goes on under the same minutes keeps that number.
    pub minutes: Option<f64>,
    /// Where chance comes from.
    pub seed: Seed,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// A few lines for a person: recall beside chance and the untrained model.
    pub summary: String,
    /// What was used and what was not.
    pub ledger: Ledger,
    /// Steps of the whole run. As `schedule.steps` in the recipe they make the same model again,
    /// unless the run was interrupted and went on with another length.
    pub steps: u64,
}

/// Trains until the recipe or the budget ends. A stop that was asked for saves a checkpoint and
/// returns an [`Interrupted`](crate::ErrorKind::Interrupted) error that says how to go on.
///
/// The output folder must be new, empty, or one of an earlier run; what else it may hold is never
/// touched. A run that fails before there is anything to go on from leaves no folder behind.
pub fn run(job: &Job, stop: &Stop, listener: Listener<'_>) -> Result<Outcome> {
    let started = Instant::now();
    run_by(&|| started.elapsed(), job, stop, listener)
}

/// [`run`] by a clock that tells the time since the run began.
fn run_by(
    now: &dyn Fn() -> Duration,
    job: &Job,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<Outcome> {
    let clock = Clock::new(job.minutes, now)?;
    let found = folder::admit(job)?;
    folder::refuse_weights_inside(job)?;
    // Weights are read first: a wrong file should not cost the decoding of a catalogue.
    let pretrained = job.weights.as_deref().map(|path| read_weights(path, job)).transpose()?;
    start::word_vectors(job)?;
    let catalogue = job.source.load()?;
    let made = Made::folder(&job.output)?;
    let outcome = prepare_and_fit(job, catalogue, pretrained.as_ref(), clock, stop, listener);
    if let Err(error) = &outcome {
        folder::discard(job, found, &made, error);
    }
    outcome
}

/// The run in its folder, which is there.
fn prepare_and_fit(
    job: &Job,
    catalogue: Catalogue,
    pretrained: Option<&weights::Weights>,
    mut clock: Clock<'_>,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<Outcome> {
    let _lock = FolderLock::take(&job.output)?;
    // Again, because it may have changed before the lock was ours.
    let found = folder::admit(job)?;
    if found == Found::Model {
        start::model_to_begin_beside(job)?;
    }
    folder::tidy(&job.output);
    let task = start::task_of(job, &catalogue.fingerprint());
    let (material, ledger) = material::prepare(job, catalogue, stop, listener)?;
    let towers = Towers::new(&job.recipe.architecture(), material.vocabulary.len());
    let mut parameters = towers.parameters(job.seed);
    if let Some(pretrained) = pretrained {
        let taken = start_from(&mut parameters, pretrained)
            .map_err(|e| e.at_file(job.weights.as_deref().unwrap_or(&job.output)))?;
        listener(Event::Note(&format!("{taken} tensors taken from the pretrained weights")));
    }
    start::with_word_vectors(job, &material.vocabulary, &mut parameters, listener)?;
    let (state, optimiser) = start::begin(job, found, task, &material, &mut parameters, listener)?;
    towers.freeze(&mut parameters, job.recipe.freeze());
    clock.before = Duration::from_secs_f64(state.elapsed_s);
    let mut trainer = Trainer {
        job,
        recipe: job.recipe.clone(),
        towers,
        material: &material,
        learner: Learner::new(parameters, optimiser),
        state,
        clock,
    };
    let (summary, steps) = trainer.fit(stop, listener)?;
    Ok(Outcome { summary, ledger, steps })
}

/// Reads pretrained weights and tries them on a tower, so that it fails where they would not fit.
fn read_weights(path: &Path, job: &Job) -> Result<weights::Weights> {
    let pretrained = weights::read(path)?;
    let mut trial = Towers::new(&job.recipe.architecture(), 1).parameters(job.seed);
    start_from(&mut trial, &pretrained).map_err(|e| e.at_file(path))?;
    Ok(pretrained)
}

/// Takes an image tower under the names of its PyTorch original, but not the linear layer at its
/// end.
fn start_from(parameters: &mut Parameters, pretrained: &weights::Weights) -> Result<usize> {
    // Weights of a looksee model carry the tower below "image.".
    let own = pretrained.keys().any(|name| name.starts_with("image."));
    let prefix = if own { "" } else { "image." };
    let wanted = |name: &str| name.starts_with("image.") && !name.starts_with("image.fc.");
    Ok(parameters.load(pretrained, prefix, wanted)?.len())
}

#[cfg(test)]
mod whole_runs;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::parameters::Parameters;
    use crate::error::ErrorKind;

    fn small(seed: u64) -> Parameters {
        let mut recipe = Recipe::named("default").unwrap();
        recipe.set("dim", "8").unwrap();
        Towers::new(&recipe.architecture(), 10).parameters(Seed(seed))
    }

    #[test]
    fn a_tower_starts_from_torchvisions_names_or_from_a_model_of_ours() {
        let of_a_model = small(1).to_weights();
        let torchvision: weights::Weights = of_a_model
            .iter()
            .filter_map(|(name, tensor)| {
                Some((name.strip_prefix("image.")?.to_owned(), tensor.clone()))
            })
            .collect();
        for pretrained in [of_a_model, torchvision] {
            let mut parameters = small(2);
            let fresh = parameters.clone();
            let taken = start_from(&mut parameters, &pretrained).unwrap();
            // ResNet18: 20 convolutions, and 20 batch norms of 4 tensors each.
            assert_eq!(taken, 100);
            let stem = "image.layer1.0.conv1.weight";
            assert_eq!(parameters.get(stem), small(1).get(stem));
            for kept in ["image.fc.weight", "text.fc.weight"] {
                assert_eq!(parameters.get(kept), fresh.get(kept));
            }
        }
    }

    #[test]
    fn weights_of_another_architecture_are_refused() {
        let mut recipe = Recipe::named("article").unwrap();
        recipe.set("dim", "8").unwrap();
        let resnet50 = Towers::new(&recipe.architecture(), 10).parameters(Seed(0)).to_weights();
        let error = start_from(&mut small(0), &resnet50).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch);
    }
}
