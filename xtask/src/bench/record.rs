//! `bench-record/`: what was measured, a file a day and processor.

use std::io::Write as _;
use std::path::Path;

use super::fields::{self, Field};
use super::machine::Machine;
use crate::steps::{Result, Step};

/// Adds the rows, which have the same names, to today's record of this processor. Other names need
/// a file with another `ending`.
pub(super) fn append(
    root: &Path,
    machine: &Machine,
    ending: &str,
    rows: &[Vec<Field>],
) -> Result<()> {
    let Some(first) = rows.first() else { return Ok(()) };
    let date = Step::new(&["date", "+%F"]).answer(root)?;
    let commit = Step::new(&["git", "describe", "--always", "--dirty", "--abbrev=9"]).answer(root);
    let commit = commit.unwrap_or_else(|_| "unknown".to_owned());
    let folder = root.join("bench-record").join(machine.folder());
    let path = folder.join(format!("{}{ending}.csv", date.trim()));
    let mut lines = String::new();
    if !path.exists() {
        lines += &fields::csv_header(first);
        lines.push('\n');
    }
    for row in rows {
        lines += &fields::csv_line(row, commit.trim());
        lines.push('\n');
    }
    let append = || {
        std::fs::create_dir_all(&folder)?;
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path)?;
        file.write_all(lines.as_bytes())
    };
    append().map_err(|e: std::io::Error| format!("cannot write {}: {e}", path.display()))
}
