//! `torture` where there are no signals to kill with.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::steps::Result;

/// How `torture` is called.
pub(crate) const USAGE: &str = "cargo xtask torture needs Linux or another Unix\n";

/// What to do; nothing, here.
#[derive(Debug)]
pub(crate) struct Plan;

impl Plan {
    /// The run that belongs to the tests.
    pub(crate) fn short(_program: PathBuf, _time: Duration) -> Self {
        Self
    }
}

/// An error that says where it can be run.
pub(crate) fn run(_root: &Path, _options: &[&str]) -> Result<()> {
    Err(USAGE.trim_end().to_owned())
}

/// Says that it is left out.
pub(crate) fn torture(_root: &Path, _plan: &Plan) -> Result<()> {
    println!("  left out: {}", USAGE.trim_end());
    Ok(())
}
