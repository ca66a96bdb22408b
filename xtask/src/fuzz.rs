//! `fuzz`: what strangers may send, mutated for as long as one likes.
//!
//! The targets are tests of the library and of the command line (`src/fuzz/`, `cli/src/fuzz.rs`),
//! which the ordinary tests run for a moment each. Here they are built as those are and run for
//! minutes, under a bound of memory, so that an allocation that an input asks for ends the program
//! and leaves the input in `target/fuzz/TARGET/`.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::steps::{Result, Step, minutes, readable, target_folder};

/// How `fuzz` is called.
pub(crate) const USAGE: &str = "\
usage: cargo xtask fuzz [OPTIONS]

  --minutes N      time for all targets together (default: 1)
  --seed S         where chance comes from (default: the clock)
  --target NAME    this target alone

Each input stands in target/fuzz/TARGET/ while it is tried, and what it found stays there as
found-N. What is mended goes to testdata/cases/TARGET/, where the tests try it for ever.
";

/// The targets of the library, in the order of their files.
const OF_THE_LIBRARY: [&str; 19] = [
    "filter",
    "recipe",
    "pictures",
    "rows-json",
    "rows-csv",
    "rows-tsv",
    "rows-amazon",
    "rows-packed",
    "beside-json",
    "beside-text",
    "weights",
    "vocabulary",
    "index-database",
    "index-segment",
    "index-first",
    "index-rows",
    "pixel-cache",
    "model",
    "checkpoint",
];
/// The targets of the command line.
const OF_THE_COMMAND_LINE: [&str; 4] = ["query", "npy", "arguments", "terminal"];

/// Address space in KiB (16 GiB): far above what any input deserves.
const MEMORY_KIB: u32 = 16 << 20;

/// What `fuzz` was asked to do.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    time: Duration,
    seed: u64,
    target: Option<String>,
}

/// What `fuzz` with these options does.
pub(crate) fn run(root: &Path, options: &[&str]) -> Result<()> {
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let plan = parse(options, clock.map_or(0, |time| time.as_secs()))?;
    let start = Instant::now();
    println!("fuzzing with seed {}", plan.seed);
    let result = fuzz(root, &plan, processors());
    println!("fuzzed for {}", readable(start.elapsed()));
    let inputs = target_folder()?.join("fuzz");
    result.map_err(|error| format!("{error}; the inputs are in {}", inputs.display()))
}

/// Builds the tests as `test` does, so that nothing is compiled twice, then runs those that fuzz.
fn fuzz(root: &Path, plan: &Plan, jobs: u32) -> Result<()> {
    Step::new(&["cargo", "test", "--workspace", "--lib", "--bins", "--no-run"]).run(root)?;
    let (seconds, seed) = (plan.seconds_each(jobs).to_string(), plan.seed.to_string());
    let mut variables =
        vec![("LOOKSEE_FUZZ_SECONDS", seconds.as_str()), ("LOOKSEE_FUZZ_SEED", seed.as_str())];
    variables.extend(plan.target.as_deref().map(|target| ("LOOKSEE_FUZZ_ONLY", target)));
    // The tests of the library are no reason to leave out those of the command line.
    let script = format!(
        "ulimit -v {MEMORY_KIB} && cargo test --workspace --lib --bins --no-fail-fast fuzz:: -- \
         --nocapture --test-threads={jobs}"
    );
    Step { variables: &variables, words: &["sh", "-c", &script] }.run(root).map(drop)
}

impl Plan {
    /// Time of each target when `jobs` of them run at once.
    fn seconds_each(&self, jobs: u32) -> u64 {
        let targets = OF_THE_LIBRARY.len() + OF_THE_COMMAND_LINE.len();
        let share = match self.target {
            Some(_) => 1.0,
            None => f64::from(jobs) / targets as f64,
        };
        (self.time.as_secs_f64() * share).ceil().max(1.0) as u64
    }
}

fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u32)
}

fn parse(options: &[&str], clock: u64) -> Result<Plan> {
    let mut plan = Plan { time: Duration::from_mins(1), seed: clock, target: None };
    let mut options = options.iter().copied();
    while let Some(option) = options.next() {
        let mut value =
            || options.next().ok_or_else(|| format!("fuzz: {option} needs a value after it"));
        match option {
            "--minutes" => plan.time = minutes(value()?)?,
            "--seed" => {
                let word = value()?;
                let seed = word.parse();
                plan.seed =
                    seed.map_err(|_| format!("fuzz: --seed takes a whole number; found `{word}`"))?;
            }
            "--target" => plan.target = Some(target(value()?)?),
            _ => {
                let known = "--minutes, --seed, --target";
                return Err(format!("fuzz: `{option}` is no option; there are: {known}"));
            }
        }
    }
    Ok(plan)
}

fn target(name: &str) -> Result<String> {
    let known: Vec<&str> = OF_THE_LIBRARY.into_iter().chain(OF_THE_COMMAND_LINE).collect();
    if known.contains(&name) {
        return Ok(name.to_owned());
    }
    Err(format!("fuzz: there is no target `{name}`; there are: {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_reaches_the_plan() {
        let plan = parse(&["--minutes", "2", "--seed", "7", "--target", "filter"], 9).unwrap();
        let target = Some("filter".to_owned());
        assert_eq!(plan, Plan { time: Duration::from_mins(2), seed: 7, target });
        assert_eq!(plan.seconds_each(2), 120);
        let all = parse(&[], 9).unwrap();
        assert_eq!((all.seed, all.seconds_each(2)), (9, 6));
        assert!(parse(&["--target", "filters"], 9).unwrap_err().contains("filter, recipe"));
        assert!(parse(&["--fast"], 9).unwrap_err().contains("--minutes"));
    }

    #[test]
    fn the_targets_are_those_of_the_tests() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let text = |folder: &str| {
            let files = std::fs::read_dir(root.join(folder)).unwrap().flatten();
            files.map(|file| std::fs::read_to_string(file.path()).unwrap()).collect::<String>()
        };
        let of_the_command_line = std::fs::read_to_string(root.join("cli/src/fuzz.rs")).unwrap();
        for (targets, source) in
            [(&OF_THE_LIBRARY[..], text("src/fuzz")), (&OF_THE_COMMAND_LINE, of_the_command_line)]
        {
            for target in targets {
                assert!(source.contains(&format!("\"{target}\"")), "{target}");
            }
            let written = source.matches("name: \"").count();
            assert!(written <= targets.len(), "{written} targets are written, {targets:?}");
        }
    }
}
