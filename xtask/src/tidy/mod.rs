//! `tidy`: the rules that no compiler checks, each a pure function from the files of the
//! repository to sentences.
//!
//! The rules read text, not syntax trees: comments, strings and test code are blanked first
//! ([`source`]), and what is left is searched for words. That is enough for rules about words, and
//! it keeps this package free of dependencies.

mod banned;
mod layers;
mod links;
mod messages;
mod named_tests;
mod source;

use std::fmt;
use std::path::Path;

use crate::steps::Result;

/// One file of the repository; the path is relative to the root, with `/`.
#[derive(Debug)]
struct File {
    path: String,
    text: String,
    /// Compiled only for tests: below a folder `tests`, or a module declared so.
    is_test: bool,
}

impl File {
    fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }
}

/// Something that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    path: String,
    /// From 1; 0 when the whole file is meant.
    line: usize,
    message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}: {}", self.path, self.line, self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

/// Checks the repository and prints every problem.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut files = Vec::new();
    gather(root, root, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    mark_tests(&mut files);
    let exists = |path: &str| root.join(path).exists();
    let mut problems = layers::problems(&files);
    problems.extend(banned::problems(&files));
    problems.extend(links::problems(&files, &exists));
    problems.extend(messages::problems(&files));
    problems.extend(named_tests::problems(&files));
    for problem in &problems {
        eprintln!("{problem}");
    }
    match problems.len() {
        0 => {
            println!("tidy: {} files are in order\n", files.len());
            Ok(())
        }
        1 => Err("tidy found 1 problem".to_owned()),
        many => Err(format!("tidy found {many} problems")),
    }
}

/// Folders that hold nothing of ours: build output, the demo's files, files lent by others.
const LEFT_OUT: [&str; 4] = ["target", "demo", "shared", "node_modules"];

fn gather(root: &Path, folder: &Path, files: &mut Vec<File>) -> Result<()> {
    let cannot = |e| format!("cannot read {}: {e}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            gather(root, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "md") {
            let text = std::fs::read_to_string(&path)
                .map_err(|e| format!("cannot read {}: {e}", path.display()))?;
            let path =
                path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            files.push(File { path, text, is_test: false });
        }
    }
    Ok(())
}

/// Finds the files that are compiled only for tests.
fn mark_tests(files: &mut [File]) {
    let sources = files.iter().filter(|file| file.has_extension("rs"));
    let modules: Vec<String> = sources
        .flat_map(|file| {
            let folder = folder_of_children(&file.path);
            source::test_modules(&file.text).into_iter().map(move |name| format!("{folder}/{name}"))
        })
        .collect();
    for file in files {
        let is_below = |module: &String| {
            let rest = file.path.strip_prefix(module.as_str());
            rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        file.is_test = file.path.starts_with("tests/")
            || file.path.contains("/tests/")
            || modules.iter().any(is_below);
    }
}

/// Where the modules that a file declares stand: `a` for `a.rs`, `a/mod.rs` and `a/lib.rs`.
fn folder_of_children(path: &str) -> &str {
    let stem = path.trim_end_matches(".rs");
    ["/mod", "/lib", "/main"].iter().find_map(|end| stem.strip_suffix(end)).unwrap_or(stem)
}

#[cfg(test)]
fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned(), is_test: path.contains("tests/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_declared_for_tests_are_marked() {
        let declares = "#[cfg(test)]\nmod testing;\nmod real;";
        let mut files = [
            file("src/a/mod.rs", declares),
            file("src/a/testing.rs", ""),
            file("src/a/testing/more.rs", ""),
            file("src/a/real.rs", ""),
            file("src/testing.rs", ""),
            file("cli/tests/it/main.rs", ""),
        ];
        mark_tests(&mut files);
        assert_eq!(files.map(|file| file.is_test), [false, true, true, false, false, true]);
    }
}
