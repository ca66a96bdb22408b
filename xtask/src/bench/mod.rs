//! `bench`: measurements that anybody can repeat, looksee alone or beside other programs.
//!
//! Each work has a module. What a measurement needs from Python (vectors, a judge who is the same
//! for all, other programs) is in `xtask/peers`; scripts answer with lines of a name, a tab and a
//! value ([`answers`]), so that nothing here has to read JSON. Results go to standard output,
//! everything else to standard error.

mod answers;
mod arguments;
mod contenders;
mod fields;
mod figures;
mod machine;
mod map;
mod output;
mod python;
mod record;
mod work;

use std::path::Path;

use crate::steps::Result;
use work::arguments::Kind;

pub(crate) const USAGE: &str = "\
usage: cargo xtask bench map [OPTIONS]
       cargo xtask bench train|embed|gru|conv [OPTIONS]

docs/performance.md says what is counted.

map lays out the same vectors with looksee, and with other programs in turn, and judges all layouts
alike:

  --points N,N    how many vectors, 100 to 1,000,000 [2000,20000,100000]
  --runs R        how often each is measured [3]
  --threads N     for every program [as many as the machine has]
  --peers         other programs too; installed below target/peers the first time
  --only A,B      of the other programs only these (implies --peers)
  --program FILE  measures this looksee instead of building it
  --json          one JSON object a row instead of the table
  --record        adds the rows to bench-record/PROCESSOR/DATE.csv

The others do the same work, from the same weights and inputs, with looksee and with other programs
in turn, one work at a time, and check what comes out:

  train           a training step of ResNet50, by Adam
  embed           decoded pictures to vectors
  gru             a training step of the recurrent layer that reads texts
  conv            every convolution of ResNet50, forward and both gradients

  --sizes NxPX,…  pictures at once and their pixels [what docs/performance.md shows]; gru: N,…
  --network NAME  resnet50 or efficientnet-lite2 (embed)
  --runs R        rounds, in which each program is a new process [3]
  --repeats N     how often each does the work in a round, in turn, after a warm-up [5]
  --threads N     for every program [as many as the machine has]
  --peers         other programs too: PyTorch, for embed also ONNX Runtime; about 5 GB are installed
                  below target/peers the first time
  --only A,B      of the other programs only these (implies --peers)
  --python FILE   an interpreter that has them already; nothing is installed
  --program FILE  measures this example `work` instead of building it
  --json          one JSON object a row instead of the table
  --record        adds the rows to bench-record/PROCESSOR/DATE-work.csv
";

/// The works that can be measured.
const WORKS: [&str; 5] = ["map", "train", "embed", "gru", "conv"];

/// Runs `cargo xtask bench` with these arguments.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    match arguments {
        ["map", options @ ..] => map::run(root, &arguments::parse(options)?),
        [name, options @ ..] if let Some(kind) = Kind::named(name) => {
            work::run(root, &work::arguments::parse(kind, options)?)
        }
        _ => Err(unknown(arguments.first().copied())),
    }
}

fn unknown(name: Option<&str>) -> String {
    let found = name.map_or_else(|| "no name".to_owned(), |name| format!("`{name}`"));
    format!("bench: {found} where a work to measure was expected; there are: {}", WORKS.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_work_that_is_not_there_is_answered_with_those_that_are() {
        assert_eq!(
            run(Path::new("."), &["juggle"]).unwrap_err(),
            "bench: `juggle` where a work to measure was expected; there are: map, train, embed, \
             gru, conv"
        );
        assert!(run(Path::new("."), &[]).unwrap_err().starts_with("bench: no name where"));
    }

    #[test]
    fn the_help_knows_every_option() {
        for option in arguments::OPTIONS.iter().chain(&work::arguments::OPTIONS) {
            assert!(USAGE.contains(&format!("  {option} ")), "{option}");
        }
    }
}
