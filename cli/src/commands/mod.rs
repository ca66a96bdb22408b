//! One file a command: from what the user typed to calls of the library, and from what those give
//! to standard output.

mod audit;
mod embed;
mod eval;
mod index;
mod info;
mod maintain;
mod map;
mod search;
mod split;
mod train;
mod urls;

use std::path::Path;

use looksee::catalogue::Ledger;
use looksee::{Error, Result};
use serde_json::{Value, json};

use crate::advice::NOT_FETCHED;
use crate::args::{Cli, Command};
use crate::console::{Console, Interrupt};
use crate::figures;
use crate::outcome::Outcome;

/// Runs the command that was asked for.
pub(crate) fn run(cli: Cli) -> Outcome {
    let console = &mut Console::open(&cli.global, interrupt(&cli.command))?;
    match cli.command {
        Command::Train(args) => train::run(&args, console),
        Command::Split(args) => split::run(&args, console),
        Command::Eval(args) => eval::run(&args, console),
        Command::Embed(args) => embed::run(&args, console),
        Command::Index(args) => index::run(&args, console),
        Command::Search(args) => search::run(&args, console),
        Command::Map(args) => map::run(&args, console),
        Command::Audit(args) => audit::run(&args, console),
        Command::Remove(args) => maintain::remove(&args, console),
        Command::Compact(args) => maintain::compact(&args, console),
        Command::Merge(args) => maintain::merge(&args, console),
        Command::Check(args) => maintain::check(&args, console),
        Command::Info(args) => info::run(&args, console),
        Command::Urls(args) => urls::run(&args, console),
    }
}

/// The long commands have safe points at which they stop; of the others nothing half done remains.
fn interrupt(command: &Command) -> Interrupt {
    match command {
        Command::Train(_)
        | Command::Eval(_)
        | Command::Embed(_)
        | Command::Index(_)
        | Command::Map(_)
        | Command::Audit(_) => Interrupt::AskFirst,
        _ => Interrupt::AtOnce,
    }
}

/// Writes `skipped.jsonl` into `folder`, or takes an old one away when nothing was skipped, and
/// gives the ledger's line. A file of that name that looksee did not write stays as it is.
fn keep_ledger(ledger: &Ledger, folder: &Path, console: &mut Console) -> Result<String> {
    let path = folder.join("skipped.jsonl");
    tell_skips(ledger, console);
    if ledger.not_fetched > 0 {
        let pictures = figures::count(ledger.not_fetched, "picture");
        console.note(&format!("{pictures} not fetched; {NOT_FETCHED}"));
    }
    if !Ledger::may_replace(&path)? {
        console.warn(&format!(
            "{} is not a list that looksee wrote, so it stays as it is; move it away, or see what \
             was skipped with --verbose",
            path.display()
        ));
        return Ok(ledger.summary());
    }
    if ledger.skipped.is_empty() {
        Ledger::remove(&path);
        return Ok(ledger.summary());
    }
    ledger.write(&path)?;
    Ok(format!("{}; list in {}", ledger.summary(), path.display()))
}

/// Refuses `--raw` where there are no CSV cells.
fn expect_csv(raw: bool, csv: bool) -> Result<()> {
    if raw && !csv {
        return Err(Error::invalid("--raw is about cells; it needs --format csv"));
    }
    Ok(())
}

/// With `--verbose`, everything that was skipped and why.
fn tell_skips(ledger: &Ledger, console: &mut Console) {
    for skip in &ledger.skipped {
        let file = skip.place.file.display();
        let line = skip.place.line.map(|line| format!(":{line}")).unwrap_or_default();
        console.detail(&format!("skipped {file}{line}: {}", skip.message));
    }
}

/// The ledger's counts for `--json`.
fn ledger_json(ledger: &Ledger) -> Value {
    json!({
        "used": ledger.used,
        "skipped": ledger.skips(),
        "truncated": ledger.truncated,
    })
}
