//! What was asked for on the command line.

use std::path::PathBuf;

use super::contenders::{self, Contender};
use crate::steps::Result;

/// Every option, for the error about one that is unknown.
pub(super) const OPTIONS: [&str; 8] =
    ["--points", "--runs", "--threads", "--peers", "--only", "--program", "--json", "--record"];

/// From how many vectors there are ninety neighbours to as many as the scripts have.
const POINTS: std::ops::RangeInclusive<usize> = 100..=1_000_000;

/// How the rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Table,
    Json,
}

/// Whether the rows are kept in `bench-record/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    No,
    Yes,
}

/// What `bench map` was asked to do.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) points: Vec<usize>,
    pub(super) runs: usize,
    pub(super) threads: usize,
    /// The other programs; empty without `--peers`.
    pub(super) peers: Vec<&'static Contender>,
    /// A looksee to measure instead of the one that is built here.
    pub(super) program: Option<PathBuf>,
    pub(super) format: Format,
    pub(super) record: Record,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            points: vec![2_000, 20_000, 100_000],
            runs: 3,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            peers: Vec::new(),
            program: None,
            format: Format::Table,
            record: Record::No,
        }
    }
}

/// The options of `bench map`.
pub(super) fn parse(options: &[&str]) -> Result<Plan> {
    let mut plan = Plan::default();
    let mut options = options.iter().copied();
    while let Some(option) = options.next() {
        let mut value =
            || options.next().ok_or_else(|| format!("bench: {option} needs a value after it"));
        match option {
            "--points" => plan.points = points(value()?)?,
            "--runs" => plan.runs = count(option, value()?)?,
            "--threads" => plan.threads = count(option, value()?)?,
            "--peers" if plan.peers.is_empty() => plan.peers = contenders::PEERS.iter().collect(),
            "--peers" => {}
            "--only" => plan.peers = only(value()?)?,
            "--program" => plan.program = Some(value()?.into()),
            "--json" => plan.format = Format::Json,
            "--record" => plan.record = Record::Yes,
            _ => {
                let known = OPTIONS.join(", ");
                return Err(format!("bench: `{option}` is no option of map; there are: {known}"));
            }
        }
    }
    Ok(plan)
}

fn points(list: &str) -> Result<Vec<usize>> {
    let mut points = Vec::new();
    for word in list.split(',') {
        let number: usize = word.parse().map_err(|_| {
            format!("bench: --points takes numbers such as 2000,20000; found `{word}`")
        })?;
        if !POINTS.contains(&number) {
            let (least, most) = (POINTS.start(), POINTS.end());
            return Err(format!("bench: --points goes from {least} to {most}; found {number}"));
        }
        points.push(number);
    }
    Ok(points)
}

/// A number from 1.
pub(super) fn count(option: &str, word: &str) -> Result<usize> {
    let number = word.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("bench: {option} takes a number from 1; found `{word}`"))
}

fn only(list: &str) -> Result<Vec<&'static Contender>> {
    list.split(',').map(contenders::named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(plan: &Plan) -> Vec<&str> {
        plan.peers.iter().map(|peer| peer.name).collect()
    }

    #[test]
    fn without_options_looksee_is_measured_alone() {
        let plan = parse(&[]).unwrap();
        assert_eq!((plan.points, plan.runs), (vec![2_000, 20_000, 100_000], 3));
        assert!(plan.peers.is_empty() && plan.threads >= 1 && plan.program.is_none());
        assert_eq!((plan.format, plan.record), (Format::Table, Record::No));
    }

    #[test]
    fn every_option_reaches_the_plan() {
        let plan = parse(&[
            "--points",
            "2000,50000",
            "--runs",
            "5",
            "--threads",
            "4",
            "--peers",
            "--program",
            "a/looksee",
            "--json",
            "--record",
        ]);
        let plan = plan.unwrap();
        assert_eq!((&plan.points[..], plan.runs, plan.threads), (&[2_000, 50_000][..], 5, 4));
        assert_eq!(plan.peers.len(), contenders::PEERS.len());
        assert_eq!(plan.program, Some(PathBuf::from("a/looksee")));
        assert_eq!((plan.format, plan.record), (Format::Json, Record::Yes));
    }

    #[test]
    fn some_of_the_others_can_be_asked_for_in_either_order() {
        let asked = ["umap-learn", "opentsne-fft-annoy"];
        for options in [
            &["--only", "umap-learn,opentsne-fft-annoy"][..],
            &["--peers", "--only", "umap-learn,opentsne-fft-annoy"],
            &["--only", "umap-learn,opentsne-fft-annoy", "--peers"],
        ] {
            assert_eq!(names(&parse(options).unwrap()), asked);
        }
    }

    #[test]
    fn what_cannot_be_done_is_said_with_what_can() {
        let error = |options: &[&str]| parse(options).unwrap_err();
        assert_eq!(error(&["--runs"]), "bench: --runs needs a value after it");
        assert_eq!(error(&["--runs", "0"]), "bench: --runs takes a number from 1; found `0`");
        assert_eq!(
            error(&["--points", "2000,many"]),
            "bench: --points takes numbers such as 2000,20000; found `many`"
        );
        assert_eq!(
            error(&["--points", "50"]),
            "bench: --points goes from 100 to 1000000; found 50"
        );
        assert!(error(&["--fast"]).starts_with("bench: `--fast` is no option of map; there are:"));
        assert!(error(&["--only", "gnuplot"]).contains("opentsne-fft-annoy"));
    }
}
