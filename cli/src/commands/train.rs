//! `looksee train`: a recipe, a catalogue, a model folder.

use std::path::{Path, PathBuf};

use looksee::train::{self, Job, Outcome as Trained, Recipe};
use looksee::{Error, Result, files};
use serde_json::json;

use super::{keep_ledger, ledger_json};
use crate::args::TrainArgs;
use crate::console::Console;
use crate::outcome::{Outcome, Status};
use crate::output;

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
        console.note(&format!(
            "this model again, step by step: --set schedule.steps={} in place of --minutes {minutes}",
            trained.steps
        ));
    }
    report(&trained, &job.output, console)
}

fn print_recipe(args: &TrainArgs, console: &Console) -> Outcome {
    let recipe = recipe(args)?;
    if console.json {
        output::document(&recipe)?;
    } else {
        // Unchanged, the recipe is shown as it was written, with its comments.
        let unchanged = args.recipe.overrides().is_empty();
        let source = Recipe::source(&args.recipe.recipe).filter(|_| unchanged);
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
        resume: args.resume,
        minutes: args.recipe.minutes,
        seed: console.seed,
    })
}

fn recipe(args: &TrainArgs) -> Result<Recipe> {
    let mut recipe = base_recipe(&args.recipe.recipe)?;
    for (key, value) in args.recipe.overrides() {
        recipe.set(&key, &value)?;
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
    if console.json {
        output::document(&json!({
            "model": model.to_string_lossy(),
            "steps": trained.steps,
            "summary": trained.summary,
            "ledger": ledger_json(&trained.ledger),
        }))?;
    } else {
        output::line(&format!("{}\n{ledger}", trained.summary))?;
    }
    Ok(Status::Done)
}
