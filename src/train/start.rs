//! Where a run begins: at its first step, or where an interrupted one stopped.

use super::checkpoint::{self, Best, State};
use super::folder::Found;
use super::optimiser::Optimiser;
use super::recipe::{Recipe, TextChoice};
use super::{Job, Material, Tune, schedule};
use crate::encoder::folder::card_of;
use crate::encoder::gru;
use crate::encoder::parameters::Parameters;
use crate::encoder::{Card, Model};
use crate::error::{Error, ErrorKind, Fact, Result};
use crate::files;
use crate::metrics::Summary;
use crate::tokens::Vocabulary;
use crate::tokens::vectors::WordVectors;
use crate::units::{Event, Listener};

/// The state in which the run begins; of a checkpoint, its weights too.
pub(super) fn begin(
    job: &Job,
    found: Found,
    task: String,
    material: &Material,
    parameters: &mut Parameters,
    listener: Listener<'_>,
) -> Result<(State, Optimiser)> {
    if found == Found::Checkpoint {
        let is_same = |state: &State| check_same_task(state, &task, job);
        let (mut state, optimiser) = checkpoint::load(&job.output, parameters, is_same)?;
        if state.best.is_some() && !holds_a_whole_model(job, listener) {
            state.best = None;
        }
        return Ok((state, optimiser));
    }
    let mut state = fresh(job, task);
    if found == Found::Model {
        let card = model_to_begin_beside(job)?;
        state.best = best_of(&card, material).filter(|_| holds_a_whole_model(job, listener));
    }
    if job.resume {
        listener(Event::Note("there is no checkpoint yet: the run begins at its first step"));
    }
    Ok((state, Optimiser::default()))
}

fn fresh(job: &Job, task: String) -> State {
    State {
        step: 0,
        elapsed_s: 0.0,
        seed: job.seed,
        task,
        plateau: schedule::Plateau::default(),
        untrained: None,
        linear: None,
        best: None,
        plan: None,
        pretrained: None,
        tune_plan: None,
        tunes: false,
    }
}

/// Whether the model of the folder can be used; if not, the listener hears why.
fn holds_a_whole_model(job: &Job, listener: Listener<'_>) -> bool {
    match Model::load(&job.output).and_then(|model| model.verify()) {
        Ok(()) => true,
        Err(error) => {
            listener(Event::Warning(&format!(
                "the best model so far cannot be used ({}); the next one that is measured takes \
                 its place",
                error.whole()
            )));
            false
        }
    }
}

fn check_same_task(state: &State, task: &str, job: &Job) -> Result<()> {
    let what = if state.seed != job.seed {
        format!("its seed is {}, not {}", state.seed.0, job.seed.0)
    } else if state.task != task {
        "the recipe or the catalogue has changed since".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Mismatch, format!("the interrupted run cannot go on: {what}"))
        .with_fact(Fact::OtherRun)
        .at_file(&job.output))
}

/// The card of a model without a checkpoint, which must be one that this job makes as well: the
/// run will write over it.
pub(super) fn model_to_begin_beside(job: &Job) -> Result<Card> {
    let Some(card) = card_of(&job.output) else {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "this is damaged, and there is no checkpoint to go on from",
        )
        .with_fact(Fact::DamagedRun)
        .at_file(job.output.join("model.toml")));
    };
    let seed = card.data.get("seed").and_then(toml::Value::as_str);
    let same_seed = seed == Some(&job.seed.0.to_string());
    let own: toml::Table = job.recipe.to_toml().parse().unwrap_or_default();
    if same_seed && without_length(&card.recipe) == without_length(&own) {
        return Ok(card);
    }
    Err(Error::new(
        ErrorKind::Mismatch,
        "there is a model of another recipe or seed here, and no checkpoint to go on from",
    )
    .with_fact(Fact::OtherRun)
    .at_file(&job.output))
}

/// A recipe without its length, which may differ between two sittings, and without a mean of the
/// tokens that is not taken: older recipes do not speak of it.
fn without_length(recipe: &toml::Table) -> toml::Table {
    let mut recipe = recipe.clone();
    if let Some(toml::Value::Table(tower)) = recipe.get_mut("text_tower") {
        tower.retain(|key, value| key != "mean" || value.as_bool() != Some(false));
    }
    for part in ["schedule", "tune"] {
        if let Some(toml::Value::Table(part)) = recipe.get_mut(part) {
            part.remove("epochs");
            part.remove("steps");
        }
    }
    recipe
}

/// What was measured of the model that a card describes, if it was on the same pairs: then only a
/// better one takes its place.
fn best_of(card: &Card, material: &Material) -> Option<Best> {
    let count = |name: &str| card.data.get(name).and_then(toml::Value::as_integer);
    let same = [
        ("training_pairs", material.training.len()),
        ("validation_pairs", material.validation.len()),
        ("tokens", material.vocabulary.len()),
    ]
    .into_iter()
    .all(|(name, own)| count(name) == i64::try_from(own).ok());
    let summary = |name: &str| card.metrics.get(name)?.clone().try_into::<Summary>().ok();
    let (text_to_image, image_to_text) = (summary("text_to_image")?, summary("image_to_text")?);
    let short = card.metrics.get("short").and_then(|short| short.clone().try_into().ok());
    let short = short.unwrap_or_default();
    let image_to_image = summary("image_to_image");
    let score = match &image_to_image {
        Some(alike) => alike.mrr,
        None => super::fit::score(&text_to_image, &image_to_text, &short),
    };
    let step = u64::try_from(count("steps")?).ok()?;
    // Steps that are yet to be done count from 0: the best is the one of an earlier sitting.
    (same && score.is_finite()).then_some(Best {
        step,
        score,
        text_to_image,
        image_to_text,
        image_to_image,
        training: summary("training"),
        short,
    })
}

/// The file of the word vectors to begin with, looked at before any work is done.
pub(super) fn word_vectors(job: &Job) -> Result<Option<WordVectors>> {
    let width = job.recipe.text_tower.embedding;
    job.word_vectors.as_deref().map(|path| WordVectors::open(path, width)).transpose()
}

/// Puts the given word vectors, if there are any, in the place of the embedding that was drawn.
pub(super) fn with_word_vectors(
    job: &Job,
    vocabulary: &Vocabulary,
    parameters: &mut Parameters,
    listener: Listener<'_>,
) -> Result<()> {
    let Some(vectors) = word_vectors(job)? else { return Ok(()) };
    let found = vectors.of(vocabulary)?;
    let embedding = parameters.iter_mut().find(|(name, _)| *name == gru::EMBEDDING);
    if let Some((_, embedding)) = embedding {
        let width = job.recipe.text_tower.embedding;
        found.put(&mut embedding.values, width, gru::EMBEDDING_DEVIATION);
    }
    listener(Event::Note(&format!(
        "{} of {} tokens begin with one of the {} word vectors given",
        found.count(),
        vocabulary.len(),
        found.words
    )));
    Ok(())
}

/// What must be the same for a run to be resumed: catalogue, and all of the recipe but its length.
///
/// What earlier builds did not know is left out where nothing is made of it, so that their runs go on
/// with the recipe that they had.
pub(super) fn task_of(job: &Job, catalogue: &str) -> String {
    let mut recipe = job.recipe.clone();
    recipe.schedule.epochs = 0;
    recipe.schedule.steps = 0;
    recipe.tune.epochs = 0;
    recipe.tune.steps = 0;
    let recipe = as_it_was(&recipe);
    let parts = [recipe.as_bytes(), catalogue.as_bytes()].into_iter();
    files::fingerprint(parts.chain(job.label_field.as_ref().map(String::as_bytes)))
}

/// The text of a recipe without the values that stand for what was done before there were such keys.
fn as_it_was(recipe: &Recipe) -> String {
    const NEUTRAL: [&str; 11] = [
        "colours = false",
        "head = 0",
        "head_dropout = 0.0",
        "kept = 0",
        "views = 0",
        "mean = false",
        "distance = \"squared\"",
        "learned = false",
        "spared = \"group\"",
        "steps = 0",
        "miner_warm_up = 0.0",
    ];
    let (mixes, tunes) = (recipe.text == TextChoice::Typed, recipe.tune != Tune::default());
    let mut section = "";
    let mut text = String::new();
    for line in recipe.to_toml().split_inclusive('\n') {
        section = if line.starts_with('[') { line.trim_end() } else { section };
        let is_left_out = match section {
            "[typed]" => !mixes,
            "[tune]" => !tunes,
            "[image]" if line.starts_with("kept_share = ") => recipe.image.kept == 0,
            _ => NEUTRAL.contains(&line.trim_end()),
        };
        if !is_left_out {
            text.push_str(line);
        }
    }
    // No blank line is left where a section was.
    text.trim_end().to_owned() + "\n"
}
