//! `bench map`: the same vectors laid out by looksee and by others in turn, judged alike.

use std::path::{Path, PathBuf};

use super::answers::Answer;
use super::arguments::{Format, Plan};
use super::contenders::{Contender, LOOKSEE, Programs, Work};
use super::fields;
use super::figures::{Quality, Row, Run};
use super::machine::{self, Machine};
use super::output;
use super::python::{self, Needs};
use super::record;
use crate::steps::{Result, Step, target_folder};

/// Where everything is.
struct Place<'a> {
    root: &'a Path,
    programs: Programs,
    /// The vectors and the layouts.
    folder: PathBuf,
}

/// One contender at one size, on its way through the rounds.
struct Entry {
    contender: &'static Contender,
    layout: String,
    runs: Vec<Run>,
    has_failed: bool,
}

impl Entry {
    fn work<'a>(&'a self, vectors: &'a str, plan: &Plan) -> Work<'a> {
        Work { vectors, layout: &self.layout, threads: plan.threads }
    }
}

/// Measures, prints, and fails if an answer of looksee was wrong.
pub(super) fn run(root: &Path, plan: &Plan) -> Result<()> {
    // Asked before we keep the machine busy ourselves.
    let busy = machine::busy_warning();
    let commit = record::commit(root, plan.record, plan.program.is_some())?;
    let place = Place::prepare(root, plan)?;
    if let Some(warning) = busy {
        eprintln!("{warning}");
    }
    let machine = Machine::of_this(root, plan.threads);
    place.make_vectors(&plan.points)?;
    let mut wrong = Vec::new();
    for &points in &plan.points {
        let rows = place.measure(points, plan)?;
        let fields: Vec<_> = rows.iter().map(|row| output::fields(row, &machine)).collect();
        match plan.format {
            Format::Table => print!("{}", output::table(&rows, &machine)),
            Format::Json => fields.iter().for_each(|row| println!("{}", fields::json(row))),
        }
        if let Some(commit) = &commit {
            record::append(root, &machine, commit, "", &fields)?;
        }
        let of_looksee = rows.iter().filter(|row| row.program == LOOKSEE.name);
        wrong.extend(of_looksee.filter_map(|row| {
            let problem = row.problem.as_ref()?;
            Some(format!("{} points: {problem}", fields::with_commas(points)))
        }));
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("looksee is wrong at {}", wrong.join("; "))) }
}

impl<'a> Place<'a> {
    /// Builds and installs what is to be measured and what measures it.
    fn prepare(root: &'a Path, plan: &Plan) -> Result<Self> {
        let target = target_folder()?;
        let scripts = root.join("xtask/peers");
        let has_scripts = plan.peers.iter().any(|peer| peer.is_script());
        let needs = if has_scripts { Needs::Peers } else { Needs::Judge };
        let python = python::prepare(root, &scripts, &target, needs)?;
        let looksee = match &plan.program {
            Some(program) => std::path::absolute(program)
                .map_err(|e| format!("cannot find {}: {e}", program.display()))?,
            None => build_looksee(root, &target)?,
        };
        let bhtsne = target.join("peers/bhtsne");
        if plan.peers.iter().any(|peer| peer.is_bhtsne()) {
            build_bhtsne(root, &bhtsne)?;
        }
        let programs = Programs {
            looksee: text(&looksee),
            bhtsne: text(&bhtsne.join("release/bhtsne-peer")),
            python: text(&python),
            scripts: text(&scripts),
        };
        Ok(Self { root, programs, folder: target.join("peers/map") })
    }

    fn make_vectors(&self, points: &[usize]) -> Result<()> {
        let counts: Vec<String> = points.iter().map(ToString::to_string).collect();
        let folder = text(&self.folder);
        let mut arguments = vec![folder.as_str()];
        arguments.extend(counts.iter().map(String::as_str));
        self.script("map_data.py", &arguments).map(drop)
    }

    /// The rows of one size: looksee's first, then those of the others that can take so many.
    fn measure(&self, points: usize, plan: &Plan) -> Result<Vec<Row>> {
        let vectors = text(&self.folder.join(format!("X_{points}.npy")));
        let mut entries = self.entries(points, plan);
        // Each in turn, so that a machine that is busy for a while is so for all.
        for round in 1..=plan.runs {
            for entry in entries.iter_mut().filter(|entry| !entry.has_failed) {
                let (name, runs) = (entry.contender.name, plan.runs);
                eprintln!("# {points} points, round {round} of {runs}: {name}");
                match self.lay_out(entry.contender, entry.work(&vectors, plan)) {
                    Ok(run) => entry.runs.push(run),
                    Err(error) if name == LOOKSEE.name => return Err(error),
                    Err(error) => {
                        eprintln!("warning: {name} is left out: {error}");
                        entry.has_failed = true;
                    }
                }
            }
        }
        entries.retain(|entry| !entry.has_failed);
        let looksee = entries.first().map_or_else(Vec::new, |entry| entry.runs.clone());
        let mut rows = Vec::new();
        for Entry { contender, layout, runs, .. } in &entries {
            let quality = self.judge(points, &vectors, layout, plan.threads)?;
            let row = Row::new(contender.name, points, runs, &looksee, quality);
            // The others' own figures are shown; only ours must be right.
            let is_ours = contender.name == LOOKSEE.name;
            rows.extend(if is_ours { row.map(Row::with_own_kl_checked) } else { row });
        }
        Ok(rows)
    }

    fn entries(&self, points: usize, plan: &Plan) -> Vec<Entry> {
        let (able, unable): (Vec<&Contender>, Vec<_>) =
            plan.peers.iter().partition(|peer| peer.takes(points));
        for peer in unable {
            eprintln!("{} would take too long at {points} points: left out", peer.name);
        }
        let contenders = std::iter::once(&LOOKSEE).chain(able);
        let entry = |contender: &'static Contender| {
            let layout = self.folder.join(format!("Y_{}_{points}.npy", contender.name));
            Entry { contender, layout: text(&layout), runs: Vec::new(), has_failed: false }
        };
        contenders.map(entry).collect()
    }

    /// One run of one contender.
    fn lay_out(&self, contender: &Contender, work: Work<'_>) -> Result<Run> {
        // What an earlier call has left must not be taken for the answer of this one.
        if Path::new(work.layout).exists() {
            std::fs::remove_file(work.layout)
                .map_err(|e| format!("cannot remove {}: {e}", work.layout))?;
        }
        let command = contender.command(&self.programs, work);
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        Run::read(&self.script("map_run.py", &command)?, contender.name)
    }

    /// How good the layout is, or what is wrong with it; an error of its own if that is not known.
    fn judge(
        &self,
        points: usize,
        vectors: &str,
        layout: &str,
        threads: usize,
    ) -> Result<Result<Quality>> {
        let arguments = [vectors, layout, "--threads", &threads.to_string()];
        Ok(Quality::read(&self.script("map_judge.py", &arguments)?, points))
    }

    fn script(&self, name: &str, arguments: &[&str]) -> Result<Answer> {
        let script = format!("{}/{name}", self.programs.scripts);
        let mut words = vec![self.programs.python.as_str(), &script];
        words.extend(arguments);
        Ok(Answer::new(&Step::new(&words).answer(self.root)?))
    }
}

fn build_looksee(root: &Path, target: &Path) -> Result<PathBuf> {
    Step::new(&["cargo", "build", "--release", "-p", "looksee-cli"]).answer(root)?;
    Ok(target.join("release/looksee"))
}

fn build_bhtsne(root: &Path, target: &Path) -> Result<()> {
    let manifest = "xtask/peers/bhtsne/Cargo.toml";
    let target = text(target);
    let build = ["cargo", "build", "--release", "--locked", "--manifest-path", manifest];
    let words: Vec<&str> = build.into_iter().chain(["--target-dir", &target]).collect();
    Step::new(&words).answer(root).map(drop)
}

/// A path as a word of a command.
pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
