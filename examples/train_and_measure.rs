//! Trains a model on one catalogue and measures it on another that it has never seen.
//!
//! ```text
//! cargo run --release --example train_and_measure -- CATALOGUE HELD_OUT MODEL
//! ```

#![expect(clippy::print_stdout, reason = "a program, not the library: its lines are its answer")]

use std::error::Error;
use std::path::Path;

use looksee::eval::{self, Options, Report};
use looksee::train::{self, Job, Recipe};
use looksee::{Event, Model, Seed, Source, Stop};

/// Trains by `recipe`, and measures how often a text finds its picture.
pub(crate) fn run(
    recipe: Recipe,
    catalogue: &Path,
    held_out: &Path,
    model: &Path,
) -> looksee::Result<Report> {
    let job = Job {
        recipe,
        source: Source::new([catalogue]),
        output: model.to_path_buf(),
        label_field: None,
        weights: None,
        word_vectors: None,
        resume: false,
        minutes: None,
        seed: Seed(1),
    };
    let stop = Stop::default();
    let trained = train::run(&job, &stop, &mut |event| {
        if let Event::Note(line) | Event::Warning(line) = event {
            println!("{line}");
        }
    })?;
    println!("{}", trained.summary);
    let (source, options) = (Source::new([held_out]), Options::default());
    eval::run(&source, &Model::load(model)?, &options, &stop, &mut |_| {})
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [catalogue, held_out, model] = words.as_slice() else {
        return Err("give CATALOGUE HELD_OUT MODEL".into());
    };
    let recipe = Recipe::named("default")?;
    let report = run(recipe, catalogue.as_ref(), held_out.as_ref(), model.as_ref())?;
    for note in &report.notes {
        println!("{note}");
    }
    if let Some(texts) = &report.texts {
        println!(
            "among {} pictures, texts find theirs first: {:.1} % (by chance {:.1} %)",
            report.gallery,
            100.0 * texts.text_to_image.r1,
            100.0 * texts.chance.r1
        );
    }
    Ok(())
}
