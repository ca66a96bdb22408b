//! What developers and CI run, one command an intention: `cargo xtask check`, `test`, `demo`,
//! `torture`, `fuzz`, `bench`, `arm`, `tidy`, `deny`, `fixtures`.
//!
//! Each command is a list of ordinary commands that are printed before they run, so that any of
//! them can be repeated by hand. CI calls the same list (`.ci/run`): what passes here passes there.

mod bench;
mod checks;
mod demo;
mod deny;
mod fixtures;
mod fuzz;
mod steps;
mod tidy;
#[cfg_attr(not(unix), path = "torture_elsewhere.rs")]
mod torture;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  check           the quick part of test: formatting, lints, tidy, deny
  test            everything that CI runs; stops at the first failure
  demo [--keep]   makes a catalogue of emoji, learns from it and searches it, all below demo/;
                  --keep goes on with the catalogue and the model of the last run
  torture         kills looksee, fills its disks, hurts its files, and compares what it then says
                  with a reference; `torture --help` lists the options
  fuzz            mutates what strangers may send to every reader; `fuzz --help` likewise
  bench map       how fast maps are made and how good they are, beside other programs with --peers;
                  `bench --help` lists the options (needs Python)
  bench train|embed|gru|conv
                  how fast looksee learns and embeds; Python is needed for --peers alone
  arm             the kernels' tests with the instructions of an ARM processor, under emulation
  tidy            the rules of ARCHITECTURE.md and CONTRIBUTING.md that no compiler checks
  deny            licences, packages and sources of the dependencies, as deny.toml has them
  fixtures        makes the reference numbers in testdata/ again (needs Python)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = root();
    let outcome = match arguments.as_slice() {
        ["check"] => checks::check(&root),
        ["test"] => checks::test(&root),
        ["demo"] => demo::run(&root, demo::Earlier::Remove),
        ["demo", "--keep"] => demo::run(&root, demo::Earlier::Keep),
        ["bench", "help" | "--help" | "-h"] => {
            print!("{}", bench::USAGE);
            return ExitCode::SUCCESS;
        }
        ["torture", "help" | "--help" | "-h"] => {
            print!("{}", torture::USAGE);
            return ExitCode::SUCCESS;
        }
        ["fuzz", "help" | "--help" | "-h"] => {
            print!("{}", fuzz::USAGE);
            return ExitCode::SUCCESS;
        }
        ["fuzz", rest @ ..] => fuzz::run(&root, rest),
        ["torture", rest @ ..] => torture::run(&root, rest),
        ["bench", rest @ ..] => bench::run(&root, rest),
        ["arm"] => checks::arm(&root),
        ["tidy"] => tidy::run(&root),
        ["deny"] => deny::run(&root),
        ["fixtures"] => fixtures::run(&root),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The repository's root: the folder above this package.
fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}
