//! `bench train`, `embed`, `gru` and `conv`: the same work by looksee and by others in turn.
//!
//! Each measurement is a process of its own (`examples/work.rs` or `xtask/peers/work_peer.py`) that
//! warms up, works several times, and says what it came to. That is checked against
//! `xtask/peers/work_answers.tsv`, which PyTorch computed in f64 from the same weights and inputs.

pub(super) mod arguments;
mod cases;
mod check;
mod report;
mod rows;

use std::path::{Path, PathBuf};

use super::answers::Answer;
use super::arguments::{Format, Record};
use super::fields;
use super::machine::{self, Machine};
use super::map::text;
use super::python::{self, Needs};
use super::record;
use crate::steps::{Result, Step, target_folder};
use arguments::Plan;
use cases::{Case, LOOKSEE};
use check::{Check, Recorded};
use rows::{Row, Run};

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

/// Measures, prints, and fails if an answer of looksee was wrong.
pub(super) fn run(root: &Path, plan: &Plan) -> Result<()> {
    // Asked before we keep the machine busy ourselves.
    let busy = machine::busy_warning();
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
        if plan.record == Record::Yes {
            let totals = rows.iter().filter(|row| row.part.layer.is_none());
            let totals: Vec<_> = totals.map(|row| report::fields(case, row, &machine)).collect();
            record::append(root, &machine, "-work", &totals)?;
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
        // Each in turn, so that a machine that is busy for a while is so for all.
        for round in 1..=plan.rounds {
            for entry in entries.iter_mut().filter(|entry| !entry.has_failed) {
                let program = entry.program;
                eprintln!("# {case}, round {round} of {}: {program}", plan.rounds);
                match self.run(program, case, plan) {
                    Ok(run) => entry.runs.push(run),
                    Err(error) if program == LOOKSEE => return Err(error),
                    Err(error) => {
                        eprintln!("warning: {program} is left out: {error}");
                        entry.has_failed = true;
                    }
                }
            }
        }
        entries.retain(|entry| !entry.has_failed);
        Ok(rows_of(case, &entries, recorded))
    }

    fn run(&self, program: &str, case: &Case, plan: &Plan) -> Result<Run> {
        let words = self.command(program, case, plan);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Run::read(&Answer::new(&Step::new(&words).answer(self.root)?), program)
    }

    fn command(&self, program: &str, case: &Case, plan: &Plan) -> Vec<String> {
        let mut words: Vec<String> = if program == LOOKSEE {
            vec![self.looksee.clone()]
        } else {
            let script = text(&self.root.join("xtask/peers/work_peer.py"));
            vec![self.python.clone(), script, program.to_owned()]
        };
        words.extend(case.words());
        for (option, number) in [("--threads", plan.threads), ("--runs", plan.repeats)] {
            words.extend([option.to_owned(), number.to_string()]);
        }
        words
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

fn build(root: &Path, target: &Path) -> Result<PathBuf> {
    // With the workspace's features, as the program has them.
    Step::new(&["cargo", "build", "--release", "--workspace", "--example", "work"]).answer(root)?;
    Ok(target.join("release/examples/work"))
}
