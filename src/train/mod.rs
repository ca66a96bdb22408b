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

mod baseline;
mod batches;
mod budget;
mod calibrate;
mod checkpoint;
mod curves;
mod diagnose;
mod features;
mod fit;
mod folder;
mod log;
mod loss;
mod material;
mod miner;
mod optimiser;
mod phase;
mod pretrained;
mod recipe;
mod report;
mod schedule;
mod start;
mod subspace;
mod truth;
mod typed;
mod verdict;
mod watch;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use curves::{Curves, StepPoint, ValidationPoint};
pub use loss::{Distance, Loss, LossKind, Spared};
pub use miner::Miner;
pub use phase::Tune;
pub use recipe::{Flip, ImageRecipe, Recipe, TextChoice, TextRecipe};
pub use report::{Confusion, Figures, Found as FoundPicture, Grid, InTheWay, Picture, Ran, Report};
pub use schedule::{Schedule, ScheduleKind};
pub use typed::Typed;
pub use verdict::{Engine, Verdict};

pub(crate) use optimiser::Learner;
#[cfg(any(test, feature = "bench"))]
pub(crate) use optimiser::Optimiser;

use crate::catalogue::{Catalogue, Ledger, Source};
use crate::encoder::parameters::Parameters;
use crate::encoder::towers::{KEPT, Towers};
use crate::encoder::{FEATURE_DEVIATION, FEATURE_MEAN, Freeze, Pretrained};
use crate::error::{Fact, Result};
use crate::files::{FolderLock, Made};
use crate::images::Augment;
use crate::units::{Event, Listener, Seed, Stop};
use batches::Material;
use budget::Clock;
use features::Features;
use fit::Trainer;
use folder::Found;
use phase::Phase;

/// Pictures whose features decide which of them are kept; more say the same.
const SUBSPACE_ROWS: usize = 8192;

/// Length of a picture's colours beside what the network sees, where features are kept.
const COLOURS: f32 = 0.5;

/// One training run.
#[derive(Clone, Debug)]
pub struct Job {
    /// The recipe with all overrides.
    pub recipe: Recipe,
    /// What to learn from.
    pub source: Source,
    /// The model folder.
    pub output: PathBuf,
    /// The field that says which pictures are alike, to learn from in place of texts: the value is an
    /// item's only text, and pictures with the same value are brought together.
    pub label_field: Option<String>,
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
    /// Steps of the run but for those in which the network was tuned. As `schedule.steps` in the recipe
    /// they make the same model again, unless the run was interrupted and went on with another length.
    pub steps: u64,
    /// Steps behind those in which the network was tuned: `tune.steps` in the recipe.
    pub tuned: u64,
    /// What would help the model most; `None` when nothing was put aside to tell by.
    pub verdict: Option<Verdict>,
    /// All there is to show of the run and of the model that was kept; `None` when nothing was put
    /// aside, or it could not be made, of which a warning tells.
    pub report: Option<Report>,
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
    let pretrained = pretrained::read(job)?;
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
    pretrained: Option<&Pretrained>,
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
    let (mut material, ledger) = material::prepare(job, catalogue, stop, listener)?;
    let towers = Towers::new(&job.recipe.architecture(), material.vocabulary.len());
    let mut parameters = towers.parameters(job.seed);
    if let Some(pretrained) = pretrained.filter(|_| found != Found::Checkpoint) {
        pretrained::start_from(pretrained, &towers, &mut parameters, listener)
            .map_err(|e| e.at_file(job.weights.as_deref().unwrap_or(&job.output)))?;
    }
    start::with_word_vectors(job, &material.vocabulary, &mut parameters, listener)?;
    job.recipe.loss.add_parameters(&mut parameters, job.seed);
    let (mut state, optimiser) =
        start::begin(job, found, task, &material, &mut parameters, listener)?;
    let demands = pretrained::demands(pretrained, found, &mut state);
    let architecture = pretrained::architecture(job, demands);
    let towers = Towers::new(&architecture, material.vocabulary.len());
    let fresh = pretrained.filter(|_| found != Found::Checkpoint);
    if let (Some(pretrained), false) = (fresh, stop.asked()) {
        pretrained::look_at_statistics(pretrained, &towers, &parameters, &material, listener);
    }
    if found != Found::Checkpoint && pretrained.is_none() && job.recipe.freeze() == Freeze::All {
        listener(Event::Suspicion(
            "the network that sees keeps its weights, and they are those of chance, because none were \
             given",
            Fact::NothingToKeep,
        ));
    }
    // A network that is tuned already says other things, and is not asked for features again.
    if job.recipe.keeps_features() && !state.tunes {
        take_features(job, &mut material, &towers, &mut parameters, stop, listener)?;
    }
    clock.before = Duration::from_secs_f64(state.elapsed_s);
    let mut trainer = Trainer {
        job,
        recipe: job.recipe.clone(),
        architecture,
        phase: Phase::learning(&job.recipe, job.minutes),
        towers,
        material: &material,
        learner: Learner::new(parameters, optimiser),
        state,
        clock,
    };
    let (summary, steps, tuned) = trainer.run(stop, listener)?;
    let verdict = trainer.verdict();
    let length = (steps + tuned, (tuned > 0).then_some(steps));
    let report = report::of(&trainer, length, verdict.clone(), stop, listener);
    let report = report.unwrap_or_else(|error| {
        let error = error.whole();
        listener(Event::Warning(&format!(
            "the model is whole, but its report cannot be made: {error}"
        )));
        None
    });
    Ok(Outcome { summary, ledger, steps, tuned, verdict, report })
}

/// Takes the features of all pictures that the run looks at, and tells the head how they lie.
fn take_features(
    job: &Job,
    material: &mut Material,
    towers: &Towers,
    parameters: &mut Parameters,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<()> {
    let members = material.training.iter().chain(&material.validation);
    let mut pictures: Vec<usize> = members.map(|&member| material.pairs[member].picture).collect();
    pictures.sort_unstable();
    let network = Arc::new(parameters.clone());
    let order = features::Order {
        cache: &material.cache,
        pictures: &pictures,
        towers,
        parameters: &network,
        views: job.recipe.image.views,
        augment: Augment { flip: 0.5, crop: job.recipe.image.crop, light: job.recipe.image.light },
    };
    let kept = Features::open_or_take(&job.output, &order, stop, listener)?;
    if parameters.has(FEATURE_MEAN) {
        let training = material.training.iter().map(|&member| material.pairs[member].picture);
        let (mean, deviation) = kept.moments(training);
        parameters.set_statistic(FEATURE_MEAN, mean);
        parameters.set_statistic(FEATURE_DEVIATION, deviation);
    }
    if parameters.has(KEPT) {
        parameters.set_statistic(KEPT, projection(job, material, towers, &kept));
    }
    material.features = Some(kept);
    Ok(())
}

/// `[plain features, kept]`: what the vector of a picture keeps of its features. What the network
/// sees and the colours are brought to one length first, the colours to [`COLOURS`] of it.
fn projection(job: &Job, material: &Material, towers: &Towers, features: &Features) -> Vec<f32> {
    let (width, seen) = (towers.plain_features(), towers.network_features());
    let every = material.training.len().div_ceil(SUBSPACE_ROWS).max(1);
    let mut rows = Vec::new();
    for &member in material.training.iter().step_by(every) {
        let first = rows.len();
        features.push(material.pairs[member].picture, 0, &mut rows);
        rows.truncate(first + width);
    }
    let length = |columns: Range<usize>| {
        let squares = |row: &[f32]| row[columns.clone()].iter().map(|v| v * v).sum::<f32>();
        let mean = rows.chunks(width).map(squares).sum::<f32>() / (rows.len() / width) as f32;
        mean.sqrt().max(1e-6)
    };
    let (network, colours) = (1.0 / length(0..seen), COLOURS / length(seen..width));
    let scale = |column: usize| if column < seen { network } else { colours };
    for row in rows.chunks_mut(width) {
        for (column, value) in row.iter_mut().enumerate() {
            *value *= scale(column);
        }
    }
    let kept = job.recipe.image.kept;
    let mut span = subspace::principal(rows, width, kept, job.seed);
    for (column, row) in span.chunks_mut(kept).enumerate() {
        for value in row {
            *value *= scale(column);
        }
    }
    span
}

#[cfg(test)]
mod whole_runs;
