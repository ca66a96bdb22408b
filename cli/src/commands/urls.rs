//! `looksee urls`: what a downloader should fetch.

use std::io::Write;

use looksee::catalogue::Skip;
use serde_json::json;

use crate::args::UrlsArgs;
use crate::console::Console;
use crate::outcome::{Outcome, Status};
use crate::{figures, output};

/// Refused addresses that are listed without `--verbose`.
const LISTED: usize = 10;

pub(crate) fn run(args: &UrlsArgs, console: &mut Console) -> Outcome {
    let source = args.catalogue.source(&args.paths, args.format.format.as_deref(), console.seed)?;
    let remotes = source.remotes()?;
    if console.json {
        let pictures = remotes.pictures.iter().map(|r| json!({"url": r.url, "file": r.file}));
        output::document(&pictures.collect::<Vec<_>>())?;
    } else {
        let mut out = output::stdout();
        for remote in &remotes.pictures {
            writeln!(out, "{}\t{}", remote.url, remote.file)?;
        }
        out.flush()?;
    }
    tell_refused(&remotes.refused, console);
    Ok(if remotes.pictures.is_empty() { Status::NothingFound } else { Status::Done })
}

/// What was left out because no downloader should be given it.
fn tell_refused(refused: &[Skip], console: &mut Console) {
    for (number, skip) in refused.iter().enumerate() {
        let sentence = format!("{}: {}", skip.place, skip.message);
        if number < LISTED { console.warn(&sentence) } else { console.detail(&sentence) }
    }
    if !refused.is_empty() {
        let more = if refused.len() > LISTED { "; --verbose lists all" } else { "" };
        console.warn(&format!("{} left out{more}", figures::count(refused.len(), "URL")));
    }
}
