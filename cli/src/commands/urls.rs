//! `looksee urls`: what a downloader should fetch.

use std::io::Write;

use serde_json::json;

use crate::args::UrlsArgs;
use crate::console::Console;
use crate::outcome::{Outcome, Status};
use crate::output;

pub(crate) fn run(args: &UrlsArgs, console: &mut Console) -> Outcome {
    let source = args.catalogue.source(&args.paths, args.format.format.as_deref(), console.seed)?;
    let remotes = source.remotes()?;
    if console.json {
        let pictures = remotes.iter().map(|r| json!({"url": r.url, "file": r.file}));
        output::document(&pictures.collect::<Vec<_>>())?;
    } else {
        let mut out = output::stdout();
        for remote in &remotes {
            writeln!(out, "{}\t{}", remote.url, remote.file)?;
        }
        out.flush()?;
    }
    Ok(if remotes.is_empty() { Status::NothingFound } else { Status::Done })
}
