//! `looksee eval`: how well a model finds what belongs together, alone or beside another.

use std::io::Write;
use std::path::Path;

use looksee::Result;
use looksee::catalogue::Source;
use looksee::eval::{self, Comparison, Options, Report};
use serde::Serialize;

use super::tell_skips;
use crate::args::{AskArg, EvalArgs, ReportFormat};
use crate::console::Console;
use crate::outcome::{Failure, Outcome, Status};
use crate::render::report;
use crate::{folders, output};

pub(crate) fn run(args: &EvalArgs, console: &mut Console) -> Outcome {
    let format = args.catalogue_format.as_deref();
    let source = args.catalogue.source(&args.paths, format, console.seed)?;
    let first = measure(&args.model, args, &source, console)?;
    tell_ledger(&first, console);
    let json = console.json || args.format == Some(ReportFormat::Json);
    match &args.compare {
        None if json => output::document(&first)?,
        None => print(&args.model, &first)?,
        Some(other) => {
            let second = measure(other, args, &source, console)?;
            let comparison = eval::compare(&first, &second, console.seed)?;
            let pair = Pair { first, second, comparison };
            if json { output::document(&pair)? } else { print_pair([&args.model, other], &pair)? }
        }
    }
    Ok(Status::Done)
}

/// Two models on the same queries, as `--json` prints them.
#[derive(Serialize)]
struct Pair {
    first: Report,
    second: Report,
    comparison: Comparison,
}

fn measure(
    folder: &Path,
    args: &EvalArgs,
    source: &Source,
    console: &mut Console,
) -> Result<Report> {
    let model = folders::model(folder)?;
    let options = Options {
        gallery: args.gallery,
        ask: AskArg::ask(args.ask),
        seed: console.seed,
        label_field: args.label_field.clone(),
        ..Options::default()
    };
    console.watch(|stop, listener| eval::run(source, &model, &options, stop, listener))
}

fn tell_ledger(report: &Report, console: &mut Console) {
    tell_skips(&report.ledger, console);
    let hint = if report.ledger.skipped.is_empty() { "" } else { "; --verbose lists them" };
    console.note(&format!("{}{hint}", report.ledger.summary()));
}

fn print(model: &Path, measured: &Report) -> Result<(), Failure> {
    let mut out = output::stdout();
    report::write(&mut out, &model.to_string_lossy(), measured)?;
    Ok(out.flush()?)
}

fn print_pair([first, second]: [&Path; 2], pair: &Pair) -> Result<(), Failure> {
    let names = [first.to_string_lossy(), second.to_string_lossy()];
    let mut out = output::stdout();
    report::write(&mut out, &names[0], &pair.first)?;
    writeln!(out)?;
    report::write(&mut out, &names[1], &pair.second)?;
    writeln!(out)?;
    report::write_comparison(&mut out, [&names[0], &names[1]], &pair.comparison)?;
    Ok(out.flush()?)
}
