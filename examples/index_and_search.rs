//! Makes an index of a catalogue with a trained model, or brings one up to date, and searches it.
//!
//! ```text
//! cargo run --release --example index_and_search -- MODEL CATALOGUE INDEX "red shoe"
//! ```

#![expect(clippy::print_stdout, reason = "a program, not the library: its lines are its answer")]

use std::error::Error;
use std::path::Path;

use looksee::embed::{self, UpdateOptions};
use looksee::index::Writer;
use looksee::{Answer, Model, Searcher, Source, Stop};

/// Embeds what is new in the catalogue, and answers the query among all of it.
pub(crate) fn run(
    model: &Path,
    catalogue: &Path,
    index: &Path,
    query: &str,
) -> looksee::Result<Answer> {
    let model = Model::load(model)?;
    let mut writer = Writer::open(index, &embed::space_of(&model), &model)?;
    let source = Source::new([catalogue]);
    let (options, stop) = (UpdateOptions::default(), Stop::default());
    let updated = embed::update(&source, &model, &mut writer, &options, &stop, &mut |_| {})?;
    println!("{} added, {}", updated.added, updated.ledger.summary());
    Searcher::open(index)?.search(query)
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [model, catalogue, index, query] = words.as_slice() else {
        return Err("give MODEL CATALOGUE INDEX QUERY".into());
    };
    let answer = run(model.as_ref(), catalogue.as_ref(), index.as_ref(), query)?;
    for hit in answer.hits {
        println!("{}. {} (cosine {:.3})", hit.rank, hit.id, hit.score);
    }
    Ok(())
}
