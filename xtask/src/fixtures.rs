//! `fixtures`: the reference numbers in `testdata/`, made again by the scripts that stand beside
//! them.
//!
//! Tests only read the committed files; nobody needs Python to build or test. A script writes
//! beside itself and says in its first lines which packages and versions it wants.

use std::path::{Path, PathBuf};

use crate::steps::{Result, Step, readable};

/// Runs every `*.py` below `testdata/` in its own folder, in the order of their names, with the
/// interpreter that the variable `PYTHON` names, else `python3`.
pub(crate) fn run(root: &Path) -> Result<()> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut scripts = Vec::new();
    gather(&root.join("testdata"), &mut scripts);
    scripts.sort();
    if scripts.is_empty() {
        return Err("no script below testdata/".to_owned());
    }
    for script in &scripts {
        let (Some(folder), Some(name)) = (script.parent(), script.file_name()) else { continue };
        println!("in {}:", folder.strip_prefix(root).unwrap_or(folder).display());
        let time = Step::new(&[&python, &name.to_string_lossy()]).run(folder)?;
        println!("  done in {}\n", readable(time));
    }
    println!("{} scripts; `git diff --stat testdata` shows what changed", scripts.len());
    Ok(())
}

fn gather(folder: &Path, scripts: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            gather(&path, scripts);
        } else if path.extension().is_some_and(|extension| extension == "py") {
            scripts.push(path);
        }
    }
}
