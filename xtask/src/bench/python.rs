//! An interpreter that has what the scripts in `xtask/peers` import, made once below `target/`.

use std::path::{Path, PathBuf};

use crate::steps::{Result, Step};

const INSTALL: &str = "the comparison needs Python 3.11 or newer with its `venv` module \
    (Debian and Ubuntu: python3 and python3-venv; macOS: `brew install python`); the variable \
    PYTHON names another interpreter than `python3`";

/// What has to be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// To make vectors and judge layouts.
    Judge,
    /// The other programs too.
    Peers,
    /// The programs that train and embed.
    Work,
}

impl Needs {
    /// The list of packages, and all lists that it takes in.
    fn files(self) -> &'static [&'static str] {
        match self {
            Self::Judge => &["requirements.txt"],
            Self::Peers => &["requirements-peers.txt", "requirements.txt"],
            Self::Work => &["requirements-work.txt"],
        }
    }
}

/// The interpreter, after the packages were installed if they are not there yet.
pub(super) fn prepare(root: &Path, scripts: &Path, target: &Path, needs: Needs) -> Result<PathBuf> {
    let folder = target.join("peers").join("venv");
    let python = folder.join("bin").join("python");
    let wanted = wanted(scripts, needs)?;
    let marker = folder.join(format!("{}.installed", needs.files()[0]));
    if python.exists() && std::fs::read_to_string(&marker).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    if !python.exists() {
        make(root, &folder)?;
    }
    let list = scripts.join(needs.files()[0]);
    let (interpreter, list) = (python.to_string_lossy(), list.to_string_lossy());
    Step::new(&[&interpreter, "-m", "pip", "install", "--quiet", "--requirement", &list])
        .answer(root)
        .map_err(|error| format!("{error}; is the network there?"))?;
    std::fs::write(&marker, wanted)
        .map_err(|e| format!("cannot write {}: {e}", marker.display()))?;
    Ok(python)
}

/// Makes the folder of an interpreter of our own.
fn make(root: &Path, folder: &Path) -> Result<()> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let is_new = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))";
    if !Step::new(&[&python, "-c", is_new]).succeeds(root) {
        return Err(format!("`{python}` is not there or will not do: {INSTALL}"));
    }
    let made = Step::new(&[&python, "-m", "venv", &folder.to_string_lossy()]).answer(root);
    made.map(drop).map_err(|error| format!("{error}: {INSTALL}"))
}

/// The text that tells one list of packages from another.
fn wanted(scripts: &Path, needs: Needs) -> Result<String> {
    let texts = needs.files().iter().map(|file| {
        let path = scripts.join(file);
        std::fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_pinned_and_every_list_is_taken_in() {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let texts = [Needs::Peers, Needs::Work].map(|needs| wanted(&scripts, needs).unwrap());
        let text = texts.concat();
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            let included = line.strip_prefix("-r ");
            let known = included.is_some_and(|file| Needs::Peers.files().contains(&file));
            assert!(known || line.contains("=="), "{line}");
        }
    }
}
