//! `torture`: looksee is killed, its disks are filled, its files are hurt, and what it then says
//! and leaves is compared with a reference that was itself checked.
//!
//! ```text
//! reference   every state of an index and a model, made twice, checked            (reference)
//! scenario    a folder of its own, commands, harm, what must hold                 (scenarios)
//! harm        SIGKILL at a time or a system call, no room, a bit, somebody's files
//! judgement   a clean end, answers of a known state, nothing lost, nothing left   (run, answers)
//! ```
//!
//! A run is decided by its seed alone but for the moment at which a signal arrives: what is printed
//! with a failure runs it again. System calls are counted and hit with strace and disks are mounted
//! where the machine has the one and allows the other; what is left out is said.

mod answers;
mod arguments;
mod catalogue;
mod chance;
mod disk;
mod folders;
mod program;
mod reference;
mod run;
mod scenarios;
mod tally;
mod works;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::steps::{Result, Step, readable, target_folder};
pub(crate) use arguments::Plan;
use disk::Disk;
use program::{Program, shortened};
use reference::World;
use run::Run;
use scenarios::Scenario;
use tally::{Kinds, Table};

/// How `torture` is called.
pub(crate) const USAGE: &str = "\
usage: cargo xtask torture [OPTIONS]

  --minutes N      time for everything, the reference included (default: 1)
  --seed S         where chance comes from (default: the clock); run number n has the seed S + n
  --program PATH   a looksee to torture (default: the one of the dev profile, built here)
  --only A,B       these scenarios alone
  --runs N         at most so many runs
  --jobs N         runs at the same time (default: one a processor)

Folders in which something is wrong stay in target/torture/wrong/, each with the record of its
commands. Ends with a table of counts, and with 1 when anything was wrong.
";

/// Faults of a kind, and kinds of faults, that are printed and whose folders are kept.
const MOST_OF_A_KIND: u64 = 2;
const MOST_KINDS: usize = 40;
/// Time between two lines about how far it is.
const REPORT_EVERY: Duration = Duration::from_mins(1);

/// What `torture` with these options does.
pub(crate) fn run(root: &Path, options: &[&str]) -> Result<()> {
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let clock = clock.map_or(0, |time| time.as_secs());
    torture(root, &arguments::parse(options, clock)?)
}

/// Tortures as planned; an error when anything was wrong.
pub(crate) fn torture(root: &Path, plan: &Plan) -> Result<()> {
    let start = Instant::now();
    let folder = target_folder()?.join("torture");
    let _alone = alone_in(&folder)?;
    empty(&folder)?;
    let program = Program::new(program(root, plan)?);
    println!("torture of {} with seed {}", program.path.display(), plan.seed);
    say_what_is_left_out(&program, &folder)?;
    let world = World::make(program, &folder.join("reference"))?;
    println!("  the reference was made and checked in {}", readable(start.elapsed()));
    let progress = Progress::new(&folder, plan, start);
    std::thread::scope(|scope| {
        for _ in 0..plan.jobs {
            scope.spawn(|| work(&world, plan, &progress));
        }
    });
    progress.end()
}

/// The program: the one that was named, else the dev profile's, built.
fn program(root: &Path, plan: &Plan) -> Result<PathBuf> {
    if let Some(path) = &plan.program {
        let absolute = std::path::absolute(path).map_err(say("cannot find", path))?;
        let there = absolute.is_file();
        return there.then_some(absolute).ok_or(format!("no program at {}", path.display()));
    }
    Step::new(&["cargo", "build", "--package", "looksee-cli"]).run(root)?;
    Ok(target_folder()?.join("debug/looksee"))
}

/// The right to use the folder, for as long as the file lives: a second torture would take away
/// what the first one works on.
fn alone_in(folder: &Path) -> Result<File> {
    std::fs::create_dir_all(folder).map_err(say("cannot make a folder", folder))?;
    let path = folder.join("lock");
    let file = File::options().create(true).append(true).open(&path);
    let file = file.map_err(say("cannot open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(format!("another torture works in {}; wait for its end", folder.display()))
        }
        Err(TryLockError::Error(error)) => Err(say("cannot lock", &path)(error)),
    }
}

/// Empties the folder but for what earlier tortures found wrong.
fn empty(folder: &Path) -> Result<()> {
    for name in ["reference", "runs"] {
        remove(&folder.join(name))?;
    }
    let reference = folder.join("reference");
    std::fs::create_dir_all(&reference).map_err(say("cannot make a folder", &reference))
}

/// Removes a folder of ours; disks that a killed torture left mounted in it come off first.
fn remove(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder).map_err(say("cannot list", folder))?.flatten() {
        let place = entry.path().join("out").to_string_lossy().into_owned();
        if Step::new(&["mountpoint", "-q", &place]).succeeds(Path::new("/")) {
            Step::new(&["umount", "-l", &place]).succeeds(Path::new("/"));
        }
    }
    std::fs::remove_dir_all(folder).map_err(say("cannot remove", folder))
}

fn say_what_is_left_out(program: &Program, folder: &Path) -> Result<()> {
    if !program.strace {
        println!("  no strace here: kills come at times only, not at chosen system calls");
    }
    if Disk::mount(folder.join("reference/disk"), 1 << 20)?.is_none() {
        let how = if program.strace { "calls that write fail instead" } else { "left out" };
        println!("  no disk may be mounted here: full disks are {how}");
    }
    Ok(())
}

/// Takes runs until the time is over.
fn work(world: &World, plan: &Plan, progress: &Progress<'_>) {
    while let Some(number) = progress.next() {
        let seed = plan.seed.wrapping_add(number);
        let scenario = scenarios::drawn(&plan.only, number);
        let folder = progress.folder.join(format!("runs/{number}"));
        let judgement = match Run::new(world, folder.clone(), seed) {
            Ok(mut run) => {
                let result = (scenario.run)(&mut run).map(|()| run.tally);
                if let Err(wrong) = &result {
                    run.keep_record(wrong);
                }
                result
            }
            Err(error) => Err(error),
        };
        progress.judge(scenario, seed, &folder, &judgement);
    }
}

/// How far a torture is, shared by its jobs.
struct Progress<'a> {
    folder: &'a Path,
    plan: &'a Plan,
    start: Instant,
    next: AtomicU64,
    counts: Mutex<Counts>,
}

struct Counts {
    table: Table,
    kinds: Kinds,
    reported: Instant,
}

impl<'a> Progress<'a> {
    fn new(folder: &'a Path, plan: &'a Plan, start: Instant) -> Self {
        let counts = Counts { table: Table::default(), kinds: Kinds::default(), reported: start };
        Self { folder, plan, start, next: AtomicU64::new(0), counts: Mutex::new(counts) }
    }

    /// The number of the next run, while there is time.
    fn next(&self) -> Option<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let is_time = number < self.plan.least || self.start.elapsed() < self.plan.time;
        (is_time && number < self.plan.runs).then_some(number)
    }

    /// Counts a run, says what was wrong, and keeps or removes its folder.
    fn judge(
        &self,
        scenario: &'static Scenario,
        seed: u64,
        folder: &Path,
        judgement: &tally::Judgement,
    ) {
        let Ok(mut counts) = self.counts.lock() else { return };
        counts.table.add(scenario.name, judgement);
        let (runs, wrong) = counts.table.totals();
        let mut kept = false;
        if let Err(what) = judgement
            && counts.kinds.add(scenario.name, what) <= MOST_OF_A_KIND
            && counts.kinds.len() <= MOST_KINDS
        {
            let to = self.folder.join(format!("wrong/{}-{seed}", scenario.name));
            kept = keep(folder, &to);
            println!("WRONG: {}: {}", scenario.name, shortened(what));
            let again = format!("--seed {seed} --only {} --runs 1", scenario.name);
            println!("       again: {again}; folder: {}", to.display());
        }
        if counts.reported.elapsed() >= REPORT_EVERY {
            counts.reported = Instant::now();
            println!("  {}: {runs} runs, {wrong} wrong", readable(self.start.elapsed()));
        }
        drop(counts);
        if !kept && let Err(error) = remove(folder) {
            println!("  {error}");
        }
    }

    /// Prints the table; an error when anything was wrong.
    fn end(&self) -> Result<()> {
        let counts = self.counts.lock().map_err(|_| "a job panicked".to_owned())?;
        let (runs, wrong) = counts.table.totals();
        print!("{}", counts.table.show());
        println!("  {runs} runs in {}", readable(self.start.elapsed()));
        for name in ["reference", "runs"] {
            remove(&self.folder.join(name))?;
        }
        match (runs, wrong) {
            (0, _) => Err("not a single run was asked for".to_owned()),
            (_, 0) => Ok(()),
            _ => {
                let kinds = counts.kinds.len();
                Err(format!("{wrong} of {runs} runs were wrong, in {kinds} ways, see above"))
            }
        }
    }
}

/// Moves what is wrong aside.
fn keep(folder: &Path, to: &Path) -> bool {
    let _ = std::fs::remove_dir_all(to);
    let above = to.parent().unwrap_or(to);
    std::fs::create_dir_all(above).and_then(|()| std::fs::rename(folder, to)).is_ok()
}

/// An error of the machine's, with what could not be done and where.
fn say<'a>(what: &'a str, path: &'a Path) -> impl FnOnce(std::io::Error) -> String + 'a {
    move |error| format!("{what} {}: {error}", path.display())
}
