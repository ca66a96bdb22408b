//! What was asked for on the command line.

use std::path::PathBuf;

use super::super::arguments::{Format, Record, count};
pub(in super::super) use super::cases::Kind;
use super::cases::{self, Case};
use crate::steps::Result;

/// Every option, for the error about one that is unknown.
pub(in super::super) const OPTIONS: [&str; 11] = [
    "--sizes",
    "--network",
    "--runs",
    "--repeats",
    "--threads",
    "--peers",
    "--only",
    "--python",
    "--program",
    "--json",
    "--record",
];

/// What was asked for.
#[derive(Debug)]
pub(in super::super) struct Plan {
    pub(super) cases: Vec<Case>,
    /// How often each program has its turn.
    pub(super) rounds: usize,
    /// Counted runs of each turn.
    pub(super) repeats: usize,
    pub(super) threads: usize,
    /// The other programs; empty without `--peers`.
    pub(super) peers: Vec<&'static str>,
    /// An interpreter that has the packages, instead of one of our own.
    pub(super) python: Option<PathBuf>,
    /// An example `work` to measure instead of the one that is built here.
    pub(super) program: Option<PathBuf>,
    pub(super) format: Format,
    pub(super) record: Record,
}

/// The options of `bench train`, `embed`, `gru` and `conv`.
pub(in super::super) fn parse(kind: Kind, options: &[&str]) -> Result<Plan> {
    let mut plan = Plan {
        cases: kind.cases(),
        rounds: 3,
        repeats: 5,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        peers: Vec::new(),
        python: None,
        program: None,
        format: Format::Table,
        record: Record::No,
    };
    let (mut sizes, mut network) = (None, None);
    let mut options = options.iter().copied();
    while let Some(option) = options.next() {
        let mut value =
            || options.next().ok_or_else(|| format!("bench: {option} needs a value after it"));
        match option {
            "--sizes" => sizes = Some(cases::sizes(kind, value()?)?),
            "--network" => network = Some(known("network", value()?, kind, kind.networks())?),
            "--runs" => plan.rounds = count(option, value()?)?,
            "--repeats" => plan.repeats = count(option, value()?)?,
            "--threads" => plan.threads = count(option, value()?)?,
            "--peers" if plan.peers.is_empty() => plan.peers = kind.peers().to_vec(),
            "--peers" => {}
            "--only" => plan.peers = only(kind, value()?)?,
            "--python" => plan.python = Some(value()?.into()),
            "--program" => plan.program = Some(value()?.into()),
            "--json" => plan.format = Format::Json,
            "--record" => plan.record = Record::Yes,
            _ => {
                let (name, known) = (kind.name(), OPTIONS.join(", "));
                return Err(format!(
                    "bench: `{option}` is no option of {name}; there are: {known}"
                ));
            }
        }
    }
    plan.cases = chosen(kind, plan.cases, sizes, network);
    Ok(plan)
}

/// The standard cases of a network, or the sizes that were asked for.
fn chosen(
    kind: Kind,
    standard: Vec<Case>,
    sizes: Option<Vec<(usize, usize)>>,
    network: Option<&'static str>,
) -> Vec<Case> {
    let Some(sizes) = sizes else {
        let is_asked = |case: &Case| network.is_none_or(|network| case.network == network);
        return standard.into_iter().filter(is_asked).collect();
    };
    let network = network.unwrap_or(kind.networks()[0]);
    sizes.into_iter().map(|(batch, side)| Case { kind, network, batch, side }).collect()
}

fn only(kind: Kind, list: &str) -> Result<Vec<&'static str>> {
    list.split(',').map(|name| known("program", name, kind, kind.peers())).collect()
}

/// The name as we have it, if it is one of those.
fn known(
    what: &str,
    name: &str,
    kind: Kind,
    names: &'static [&'static str],
) -> Result<&'static str> {
    let found = names.iter().find(|known| **known == name).copied();
    found.ok_or_else(|| {
        let (kind, names) = (kind.name(), names.join(", "));
        format!("bench: `{name}` is no {what} of {kind}; there are: {names}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(kind: Kind, options: &str) -> Result<Plan> {
        parse(kind, &options.split_whitespace().collect::<Vec<_>>())
    }

    #[test]
    fn without_options_looksee_is_measured_alone_at_every_standard_case() {
        let plan = parsed(Kind::Embed, "").unwrap();
        assert_eq!((plan.cases.len(), plan.rounds, plan.repeats), (5, 3, 5));
        assert!(plan.peers.is_empty() && plan.threads >= 1 && plan.python.is_none());
        assert_eq!((plan.format, plan.record), (Format::Table, Record::No));
    }

    #[test]
    fn every_option_reaches_the_plan() {
        let plan = parsed(
            Kind::Embed,
            "--network efficientnet-lite2 --sizes 2x64 --runs 4 --repeats 2 --threads 3 --peers \
             --only onnxruntime --python a/python --program b/work --json --record",
        );
        let plan = plan.unwrap();
        let network = "efficientnet-lite2";
        assert_eq!(plan.cases, [Case { kind: Kind::Embed, network, batch: 2, side: 64 }]);
        assert_eq!((plan.rounds, plan.repeats, plan.threads), (4, 2, 3));
        assert_eq!(plan.peers, ["onnxruntime"]);
        assert_eq!(plan.python, Some(PathBuf::from("a/python")));
        assert_eq!(plan.program, Some(PathBuf::from("b/work")));
        assert_eq!((plan.format, plan.record), (Format::Json, Record::Yes));
    }

    #[test]
    fn a_network_without_sizes_keeps_its_standard_cases() {
        let plan = parsed(Kind::Embed, "--network efficientnet-lite2").unwrap();
        assert_eq!(plan.cases.iter().map(Case::size).collect::<Vec<_>>(), ["16x128"]);
    }

    #[test]
    fn what_cannot_be_done_is_said_with_what_can() {
        let error = |options| parsed(Kind::Gru, options).unwrap_err();
        assert_eq!(
            error("--only onnxruntime"),
            "bench: `onnxruntime` is no program of gru; there are: torch"
        );
        assert_eq!(
            error("--network resnet50"),
            "bench: `resnet50` is no network of gru; there are: gru"
        );
        assert!(
            error("--points 5").starts_with("bench: `--points` is no option of gru; there are")
        );
        assert_eq!(error("--repeats"), "bench: --repeats needs a value after it");
    }
}
