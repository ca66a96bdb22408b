//! `bench train`, `embed`, `gru` and `conv`: the same work by looksee and by others in turn.
//!
//! In each round every program is a new process (`examples/work.rs` or `xtask/peers/work_peer.py`)
//! that warms up, works several times, in turn with the others, and says what it came to. That is
//! checked against `xtask/peers/work_answers.tsv`, which PyTorch computed in f64 from the same weights
//! and inputs. Convolutions are many works in one process, which is why their programs follow each
//! other.

mod allocators;
pub(super) mod arguments;
mod cases;
mod check;
mod report;
mod rows;
mod turns;

use std::path::{Path, PathBuf};

use super::answers::Answer;
use super::arguments::Format;
use super::fields;
use super::machine::{self, Machine};
use super::map::text;
use super::python::{self, Needs};
use super::record;
use crate::steps::{Result, Step, target_folder};
use arguments::Plan;
use cases::{Case, Kind, LOOKSEE};
use check::{Check, Recorded};
use rows::{Row, Run};
use turns::Worker;

/// Where everything is.
struct Place<'a> {
    root: &'a Path,
    /// The example that does looksee's works.
    looksee: String,
    /// An interpreter that has what the others need; empty when there are no others.
    python: String,
}

/// One program at one case, on its way through the rounds.
struct Entry {
    program: &'static str,
    runs: Vec<Run>,
    has_failed: bool,
}

impl Entry {
    /// Takes what a round came to.
    fn add(&mut self, run: Result<Run>) -> Result<()> {
        match run {
            Ok(run) => {
                self.runs.push(run);
                Ok(())
            }
            Err(error) => self.fail(error),
        }
    }

    /// Without looksee there is nothing to show; another program is left out from now on.
    fn fail(&mut self, error: String) -> Result<()> {
        if self.program == LOOKSEE {
            return Err(error);
        }
        eprintln!("warning: {} is left out: {error}", self.program);
        self.has_failed = true;
        Ok(())
    }
}

/// Those that have not failed.
fn present(entries: &mut [Entry]) -> impl Iterator<Item = &mut Entry> {
    entries.iter_mut().filter(|entry| !entry.has_failed)
}

/// Measures, prints, and fails if an answer of looksee was wrong.
pub(super) fn run(root: &Path, plan: &Plan) -> Result<()> {
    // Asked before we keep the machine busy ourselves.
    let busy = machine::busy_warning();
    let commit = record::commit(root, plan.record, plan.program.is_some())?;
    let recorded = Recorded::read(root)?;
    let place = Place::prepare(root, plan)?;
    if let Some(warning) = busy {
        eprintln!("{warning}");
    }
    let machine = Machine::of_this(root, plan.threads);
    let mut wrong = Vec::new();
    for case in &plan.cases {
        let rows = place.measure(case, plan, &recorded)?;
        print(case, &rows, &machine, plan);
        if let Some(commit) = &commit {
            let totals = rows.iter().filter(|row| row.part.layer.is_none());
            let totals: Vec<_> = totals.map(|row| report::fields(case, row, &machine)).collect();
            record::append(root, &machine, commit, "-work", &totals)?;
        }
        let of_looksee = rows.iter().find(|row| row.program == LOOKSEE);
        if let Some(Check::Wrong(problem)) = of_looksee.map(|row| &row.check) {
            wrong.push(format!("{case}: {problem}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("looksee is wrong at {}", wrong.join("; "))) }
}

fn print(case: &Case, rows: &[Row], machine: &Machine, plan: &Plan) {
    match plan.format {
        Format::Table => print!("{}", report::table(case, rows, machine, plan.repeats)),
        Format::Json => {
            for row in rows {
                println!("{}", fields::json(&report::fields(case, row, machine)));
            }
        }
    }
}

impl<'a> Place<'a> {
    /// Builds and installs what is to be measured.
    fn prepare(root: &'a Path, plan: &Plan) -> Result<Self> {
        let target = target_folder()?;
        let python = match &plan.python {
            _ if plan.peers.is_empty() => PathBuf::new(),
            Some(python) => absolute(python)?,
            None => python::prepare(root, &root.join("xtask/peers"), &target, Needs::Work)?,
        };
        let looksee = match &plan.program {
            Some(program) => absolute(program)?,
            None => build(root, &target)?,
        };
        Ok(Self { root, looksee: text(&looksee), python: text(&python) })
    }

    /// The rows of one case: looksee's first.
    fn measure(&self, case: &Case, plan: &Plan, recorded: &Recorded) -> Result<Vec<Row>> {
        let entry = |program| Entry { program, runs: Vec::new(), has_failed: false };
        let programs = std::iter::once(LOOKSEE).chain(plan.peers.iter().copied());
        let mut entries: Vec<Entry> = programs.map(entry).collect();
        for round in 1..=plan.rounds {
            let names: Vec<&str> = present(&mut entries).map(|entry| entry.program).collect();
            eprintln!("# {case}, round {round} of {}: {}", plan.rounds, names.join(", "));
            if case.kind == Kind::Conv {
                for entry in present(&mut entries) {
                    let run = self.run(entry.program, case, plan);
                    entry.add(run)?;
                }
            } else {
                self.work_in_turn(&mut entries, case, plan)?;
            }
        }
        entries.retain(|entry| !entry.has_failed);
        Ok(rows_of(case, &entries, recorded))
    }

    /// One round of programs that take turns after each work.
    fn work_in_turn(&self, entries: &mut [Entry], case: &Case, plan: &Plan) -> Result<()> {
        let mut workers = Vec::new();
        for entry in present(entries) {
            let started = self.command(entry.program, case, plan).and_then(|mut words| {
                words.push("--in-turn".to_owned());
                Worker::start(&words, self.root)
            });
            match started {
                Ok(worker) => workers.push((entry, worker)),
                Err(error) => entry.fail(error)?,
            }
        }
        for _ in 0..plan.repeats {
            let mut still = Vec::with_capacity(workers.len());
            for (entry, mut worker) in workers {
                match worker.work() {
                    Ok(()) => still.push((entry, worker)),
                    Err(error) => entry.fail(error)?,
                }
            }
            workers = still;
        }
        for (entry, worker) in workers {
            let said = worker.finish();
            let run = said.and_then(|said| Run::read(&Answer::new(&said), entry.program));
            entry.add(run)?;
        }
        Ok(())
    }

    fn run(&self, program: &str, case: &Case, plan: &Plan) -> Result<Run> {
        let words = self.command(program, case, plan)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Run::read(&Answer::new(&Step::new(&words).answer(self.root)?), program)
    }

    fn command(&self, program: &str, case: &Case, plan: &Plan) -> Result<Vec<String>> {
        let mut words: Vec<String> = if program == LOOKSEE {
            vec![self.looksee.clone()]
        } else {
            let script = text(&self.root.join("xtask/peers/work_peer.py"));
            let (program, mut words) = allocators::preloaded(program)?;
            words.extend([self.python.clone(), script, program.to_owned()]);
            words
        };
        words.extend(case.words());
        for (option, number) in [("--threads", plan.threads), ("--runs", plan.repeats)] {
            words.extend([option.to_owned(), number.to_string()]);
        }
        Ok(words)
    }
}

/// Every part of the work by every program.
fn rows_of(case: &Case, entries: &[Entry], recorded: &Recorded) -> Vec<Row> {
    let Some((looksee, others)) = entries.split_first() else { return Vec::new() };
    let peers: Vec<&[Run]> = others.iter().map(|entry| entry.runs.as_slice()).collect();
    let expected = recorded.of(case).or_else(|| check::answer_of_a_peer(&peers));
    let mut rows = Vec::new();
    for part in rows::parts(&looksee.runs) {
        let start = rows.len();
        for entry in entries {
            let check = check::check(&entry.runs, expected.as_ref());
            rows.extend(Row::new(entry.program, &part, &entry.runs, &looksee.runs, check));
        }
        rows::add_ratio(&mut rows[start..]);
    }
    rows
}

fn absolute(program: &Path) -> Result<PathBuf> {
    std::path::absolute(program).map_err(|e| format!("cannot find {}: {e}", program.display()))
}

const BUILD: [&str; 8] = [
    "cargo",
    "build",
    "--release",
    "--workspace",
    "--features",
    "looksee/bench",
    "--example",
    "work",
];

fn build(root: &Path, target: &Path) -> Result<PathBuf> {
    // With the workspace's features, as the program has them.
    Step::new(&BUILD).answer(root)?;
    Ok(target.join("release/examples/work"))
}
