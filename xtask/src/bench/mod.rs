//! `bench`: measurements that anybody can repeat, looksee alone or beside other programs.
//!
//! Each work has a module. What a measurement needs from Python (vectors, a judge who is the same
//! for all, other programs) is in `xtask/peers`; scripts answer with lines of a name, a tab and a
//! value ([`answers`]), so that nothing here has to read JSON. Results go to standard output,
//! everything else to standard error.

mod answers;
mod arguments;
mod contenders;
mod figures;
mod machine;
mod map;
mod output;
mod python;

use std::path::Path;

use crate::steps::Result;

pub(crate) const USAGE: &str = "\
usage: cargo xtask bench map [OPTIONS]

Lays out the same vectors with looksee, and with other programs in turn, and judges all layouts
alike. docs/performance.md says what is counted.

  --points N,N    how many vectors, 100 to 1,000,000 [2000,20000,100000]
  --runs R        how often each is measured [3]
  --threads N     for every program [as many as the machine has]
  --peers         other programs too; installed below target/peers the first time
  --only A,B      of the other programs only these (implies --peers)
  --program FILE  measures this looksee instead of building it
  --json          one JSON object a row instead of the table
  --record        adds the rows to bench-record/PROCESSOR/DATE.csv
";

/// The works that can be measured.
const WORKS: [&str; 1] = ["map"];

/// Runs `cargo xtask bench` with these arguments.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    match arguments {
        ["map", options @ ..] => map::run(root, &arguments::parse(options)?),
        _ => Err(unknown(arguments.first().copied())),
    }
}

fn unknown(name: Option<&str>) -> String {
    let found = name.map_or_else(|| "no name".to_owned(), |name| format!("`{name}`"));
    format!("bench: {found} where a work to measure was expected; there is: {}", WORKS.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_work_that_is_not_there_is_answered_with_those_that_are() {
        assert_eq!(
            run(Path::new("."), &["gru"]).unwrap_err(),
            "bench: `gru` where a work to measure was expected; there is: map"
        );
        assert!(run(Path::new("."), &[]).unwrap_err().starts_with("bench: no name where"));
    }

    #[test]
    fn the_help_knows_every_option() {
        for option in arguments::OPTIONS {
            assert!(USAGE.contains(&format!("  {option} ")), "{option}");
        }
    }
}
