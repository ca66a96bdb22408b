//! `check` and `test`: what must hold before a change is taken.
//!
//! All steps share one profile, one target folder and one feature set (`--workspace`), so that
//! nothing is compiled twice. The tests come last, so that the runner's own closing line is the
//! last thing on the screen; they are built before that, and the program that they run is tortured
//! for a moment.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::steps::{Result, Step, readable, target_folder};
use crate::{deny, tidy, torture};

const FORMAT: Step = Step::new(&["cargo", "fmt", "--all", "--check"]);
/// With what only benchmarks need, so that it is looked at as well.
const LINT: Step = Step::new(&[
    "cargo",
    "clippy",
    "--workspace",
    "--all-targets",
    "--features",
    "looksee/bench",
    "--",
    "-D",
    "warnings",
]);
const DOCUMENT: Step = Step {
    variables: &[("RUSTDOCFLAGS", "-D warnings")],
    words: &["cargo", "doc", "--no-deps", "--workspace"],
};
const DOCUMENTED_EXAMPLES: Step = Step::new(&["cargo", "test", "--doc", "--workspace"]);
const LEVELS: [[(&str, &str); 1]; 2] = [[("LOOKSEE_SIMD", "avx2")], [("LOOKSEE_SIMD", "portable")]];
/// The kernels alone, as a part of the workspace: by themselves they and what they use would be
/// compiled anew, for the features that they alone ask for.
const KERNELS_BY_NEXTEST: [&str; 7] = [
    "cargo",
    "nextest",
    "run",
    "--workspace",
    "--status-level=fail",
    "-E",
    "package(looksee-kernels)",
];
/// The same where there is no nextest, which alone can choose the tests of one package.
const KERNELS_BY_TEST: [&str; 6] = ["cargo", "test", "--quiet", "-p", "looksee-kernels", "--lib"];
const NEXTEST: Step = Step::new(&["cargo", "nextest", "run", "--workspace"]);
const NEXTEST_BUILD: Step = Step::new(&["cargo", "nextest", "run", "--workspace", "--no-run"]);
const CARGO_TEST: Step =
    Step::new(&["cargo", "test", "--workspace", "--lib", "--bins", "--tests", "--examples"]);
const CARGO_TEST_BUILD: Step = Step::new(&[
    "cargo",
    "test",
    "--workspace",
    "--lib",
    "--bins",
    "--tests",
    "--examples",
    "--no-run",
]);
const PAGE_TESTS: &str = "cli/src/render/map/page/tests";
/// The torture that belongs to the tests.
const TORTURE: Duration = Duration::from_secs(30);

/// The kernels' tests with ARM's instructions, under emulation.
const ARM: Step = Step {
    variables: &[
        ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc"),
        ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "qemu-aarch64 -L /usr/aarch64-linux-gnu"),
    ],
    words: &[
        "cargo",
        "test",
        "--target",
        "aarch64-unknown-linux-gnu",
        "-p",
        "looksee-kernels",
        "--lib",
    ],
};

/// The quick part: formatting, lints, tidy, deny.
pub(crate) fn check(root: &Path) -> Result<()> {
    tidy_step(root)?;
    deny_step(root)?;
    in_order(root, &[FORMAT, LINT])
}

/// Everything that CI runs.
pub(crate) fn test(root: &Path) -> Result<()> {
    let nextest = Step::new(&["cargo", "nextest", "--version"]).succeeds(root);
    tidy_step(root)?;
    deny_step(root)?;
    page_step(root)?;
    in_order(root, &[FORMAT, LINT, DOCUMENT, DOCUMENTED_EXAMPLES])?;
    let (build, tests, words) = if nextest {
        (NEXTEST_BUILD, NEXTEST, &KERNELS_BY_NEXTEST[..])
    } else {
        (CARGO_TEST_BUILD, CARGO_TEST, &KERNELS_BY_TEST[..])
    };
    // Once more with fewer instructions than the processor has: the last step has all of them.
    let kernels = LEVELS.each_ref().map(|variables| Step { variables, words });
    in_order(root, &[build, kernels[0], kernels[1]])?;
    torture_step(root)?;
    in_order(root, &[tests])
}

/// The kernels' tests as an ARM processor would run them.
pub(crate) fn arm(root: &Path) -> Result<()> {
    for (program, package) in
        [("qemu-aarch64", "qemu-user"), ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu")]
    {
        if !Step::new(&[program, "--version"]).succeeds(root) {
            return Err(format!(
                "`{program}` is missing; Debian has it as {package} (and libc6-dev-arm64-cross), \
                 and `rustup target add aarch64-unknown-linux-gnu` is needed too"
            ));
        }
    }
    in_order(root, &[ARM])
}

fn tidy_step(root: &Path) -> Result<()> {
    println!("$ cargo xtask tidy");
    tidy::run(root).map_err(|error| stopped(&error))
}

/// The tests of what computes in the map's page, where there is node to run them.
fn page_step(root: &Path) -> Result<()> {
    if !Step::new(&["node", "--version"]).succeeds(root) {
        println!("node is not installed; the tests of the map's page are skipped\n");
        return Ok(());
    }
    let tests = page_tests(root)?;
    let mut words = vec!["node", "--test", "--test-reporter=dot"];
    words.extend(tests.iter().map(String::as_str));
    let time = Step::new(&words).run(root).map_err(|error| stopped(&error))?;
    println!("  done in {}\n", readable(time));
    Ok(())
}

/// `PAGE_TESTS/*.test.js`, from the root.
fn page_tests(root: &Path) -> Result<Vec<String>> {
    let cannot = |e| format!("cannot read {PAGE_TESTS}: {e}");
    let mut tests = Vec::new();
    for entry in std::fs::read_dir(root.join(PAGE_TESTS)).map_err(cannot)? {
        let name = entry.map_err(cannot)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".test.js") {
            tests.push(format!("{PAGE_TESTS}/{name}"));
        }
    }
    tests.sort();
    Ok(tests)
}

fn deny_step(root: &Path) -> Result<()> {
    println!("$ cargo xtask deny");
    deny::run(root).map_err(|error| stopped(&error))
}

/// Tortures the program that the tests were built with.
fn torture_step(root: &Path) -> Result<()> {
    println!("\n$ cargo xtask torture --program target/debug/looksee --minutes 0.5 --seed 1");
    let start = Instant::now();
    let program = target_folder()?.join("debug/looksee");
    torture::torture(root, &torture::Plan::short(program, TORTURE))
        .map_err(|error| stopped(&error))?;
    println!("  done in {}\n", readable(start.elapsed()));
    Ok(())
}

fn stopped(error: &str) -> String {
    format!("{error}; stopped there, nothing after it was run")
}

/// Runs the steps until one fails.
fn in_order(root: &Path, steps: &[Step]) -> Result<()> {
    for (number, step) in steps.iter().enumerate() {
        let time = step.run(root).map_err(|error| stopped(&error))?;
        if number + 1 < steps.len() {
            println!("  done in {}\n", readable(time));
        }
    }
    Ok(())
}
