//! What was asked for on the command line.

use std::path::PathBuf;
use std::time::Duration;

use super::scenarios::{self, Scenario};
use crate::steps::{Result, minutes};

/// Every option, for the error about one that is unknown.
const OPTIONS: &str = "--minutes, --seed, --program, --only, --runs, --jobs";

/// What `torture` was asked to do.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Time after which no new run begins, the making of the reference included.
    pub(super) time: Duration,
    /// Run number `n` has the seed `seed + n`.
    pub(super) seed: u64,
    /// A looksee to torture instead of the one that is built here.
    pub(super) program: Option<PathBuf>,
    /// These scenarios alone; empty for all.
    pub(super) only: Vec<&'static Scenario>,
    /// So many runs at least, however slow the machine is.
    pub(super) least: u64,
    /// At most so many runs.
    pub(super) runs: u64,
    /// Runs at the same time.
    pub(super) jobs: usize,
}

impl Plan {
    /// The run that belongs to the tests: this program, this long, another seed would do as well.
    pub(crate) fn short(program: PathBuf, time: Duration) -> Self {
        Self {
            time,
            seed: 1,
            program: Some(program),
            only: Vec::new(),
            least: 10,
            runs: u64::MAX,
            jobs: 2,
        }
    }
}

/// The options of `torture`; without a seed, chance comes from the clock.
pub(super) fn parse(options: &[&str], clock: u64) -> Result<Plan> {
    let mut plan = Plan {
        time: Duration::from_mins(1),
        seed: clock,
        program: None,
        only: Vec::new(),
        least: 1,
        runs: u64::MAX,
        jobs: std::thread::available_parallelism().map_or(1, usize::from),
    };
    let mut options = options.iter().copied();
    while let Some(option) = options.next() {
        let mut value =
            || options.next().ok_or_else(|| format!("torture: {option} needs a value after it"));
        match option {
            "--minutes" => plan.time = minutes(value()?)?,
            "--seed" => plan.seed = number(option, value()?)?,
            "--program" => plan.program = Some(value()?.into()),
            "--only" => plan.only = only(value()?)?,
            "--runs" => plan.runs = number(option, value()?)?,
            "--jobs" => plan.jobs = number(option, value()?)?.clamp(1, 64) as usize,
            _ => return Err(format!("torture: `{option}` is no option; there are: {OPTIONS}")),
        }
    }
    Ok(plan)
}

fn number(option: &str, word: &str) -> Result<u64> {
    word.parse().map_err(|_| format!("torture: {option} takes a whole number; found `{word}`"))
}

fn only(list: &str) -> Result<Vec<&'static Scenario>> {
    list.split(',').map(scenarios::named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_reaches_the_plan() {
        let plan = parse(
            &[
                "--minutes",
                "0.5",
                "--seed",
                "7",
                "--program",
                "a/looksee",
                "--only",
                "kill-index,readers",
                "--runs",
                "3",
                "--jobs",
                "1",
            ],
            99,
        );
        let plan = plan.unwrap();
        assert_eq!((plan.time, plan.seed), (Duration::from_secs(30), 7));
        assert_eq!((plan.runs, plan.jobs), (3, 1));
        assert_eq!(plan.program, Some(PathBuf::from("a/looksee")));
        let names: Vec<&str> = plan.only.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names, ["kill-index", "readers"]);
        assert_eq!(parse(&[], 99).unwrap().seed, 99);
    }

    #[test]
    fn what_cannot_be_done_is_said_with_what_can() {
        let error = |options: &[&str]| parse(options, 0).unwrap_err();
        assert_eq!(error(&["--seed"]), "torture: --seed needs a value after it");
        assert_eq!(error(&["--seed", "x"]), "torture: --seed takes a whole number; found `x`");
        assert!(error(&["--minutes", "-1"]).contains("found `-1`"));
        assert!(error(&["--fast"]).contains("--minutes, --seed"));
        assert!(error(&["--only", "kill-cat"]).contains("kill-compact"));
    }
}
