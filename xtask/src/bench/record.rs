//! `bench-record/`: what was measured, a file a day and processor.

use std::io::Write as _;
use std::path::Path;

use super::arguments::Record;
use super::fields::{self, Field};
use super::machine::Machine;
use crate::steps::{Result, Step};

/// The commit that a record names, if there is to be one. Asked before anything is measured: only
/// what a commit holds can be built again, so neither changed files nor a program from elsewhere are
/// recorded.
pub(super) fn commit(root: &Path, record: Record, has_program: bool) -> Result<Option<String>> {
    if record == Record::No {
        return Ok(None);
    }
    if has_program {
        return Err(
            "bench: --record is for the program that is built here, whose commit it names; \
                    leave out --program"
                .to_owned(),
        );
    }
    // A record that was written a moment ago is no part of what is measured.
    let status = ["git", "status", "--porcelain", "--untracked-files=no", "--", "."];
    let changed = Step::new(&[&status[..], &[":(exclude)bench-record"]].concat()).answer(root)?;
    refuse_changed(&changed)?;
    let commit = Step::new(&["git", "rev-parse", "--short=9", "HEAD"]).answer(root)?;
    Ok(Some(commit.trim().to_owned()))
}

/// The error for what `git status --porcelain` says, if that is anything.
fn refuse_changed(status: &str) -> Result<()> {
    match status.lines().next() {
        None => Ok(()),
        Some(line) => Err(format!(
            "bench: --record names a commit that can be built, and {} files differ from it, first \
             {}; commit them, or leave out --record",
            status.lines().count(),
            line.get(3..).unwrap_or(line)
        )),
    }
}

/// Adds the rows, which have the same names, to today's record of this processor. Other names need
/// a file with another `ending`.
pub(super) fn append(
    root: &Path,
    machine: &Machine,
    commit: &str,
    ending: &str,
    rows: &[Vec<Field>],
) -> Result<()> {
    let Some(first) = rows.first() else { return Ok(()) };
    let date = Step::new(&["date", "+%F"]).answer(root)?;
    let folder = root.join("bench-record").join(machine.folder());
    let path = folder.join(format!("{}{ending}.csv", date.trim()));
    let mut lines = String::new();
    if !path.exists() {
        lines += &fields::csv_header(first);
        lines.push('\n');
    }
    for row in rows {
        lines += &fields::csv_line(row, commit);
        lines.push('\n');
    }
    let append = || {
        std::fs::create_dir_all(&folder)?;
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path)?;
        file.write_all(lines.as_bytes())
    };
    append().map_err(|e: std::io::Error| format!("cannot write {}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_files_are_not_recorded() {
        assert_eq!(refuse_changed(""), Ok(()));
        let error = refuse_changed(" M src/lib.rs\nD  README.md\n").unwrap_err();
        assert!(error.contains("2 files differ from it, first src/lib.rs;"), "{error}");
    }

    #[test]
    fn a_program_from_elsewhere_is_not_recorded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(commit(root, Record::No, true), Ok(None));
        assert!(commit(root, Record::Yes, true).unwrap_err().contains("leave out --program"));
    }

    #[test]
    fn every_record_names_a_folder_of_one_processor() {
        let records = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench-record");
        for folder in std::fs::read_dir(records).unwrap().flatten() {
            if !folder.path().is_dir() {
                continue;
            }
            let mut levels = std::collections::BTreeSet::new();
            for file in std::fs::read_dir(folder.path()).unwrap().flatten() {
                let text = std::fs::read_to_string(file.path()).unwrap();
                let column = |line: &str, name: &str| {
                    let names = text.lines().next().unwrap().split(',');
                    let place = names.into_iter().position(|known| known == name).unwrap();
                    line.split(',').nth(place).unwrap().to_owned()
                };
                levels.extend(text.lines().skip(1).map(|line| column(line, "simd")));
            }
            levels.remove("");
            assert_eq!(levels.len(), 1, "{}: {levels:?}", folder.path().display());
        }
    }
}
