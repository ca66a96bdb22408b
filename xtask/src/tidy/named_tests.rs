//! A statement that names the test that shows it names one that is there.
//!
//! `docs/security.md` promises what strangers' files cannot do, each line with its test. A test that
//! is renamed or taken out would leave the promise without a proof, and nobody would notice.

use std::collections::HashSet;

use super::{File, Problem};

/// The documents whose statements name tests.
const DOCUMENTS: [&str; 1] = ["docs/security.md"];
/// A name in code with so many underscores is a sentence, and so a test's.
const UNDERSCORES_OF_A_SENTENCE: usize = 3;

/// Names of tests in [`DOCUMENTS`] that no source defines.
pub(super) fn problems(files: &[File]) -> Vec<Problem> {
    let sources = files.iter().filter(|file| file.has_extension("rs"));
    let defined: HashSet<&str> = sources.flat_map(|file| functions(&file.text)).collect();
    let documents = files.iter().filter(|file| DOCUMENTS.contains(&file.path.as_str()));
    let mut problems = Vec::new();
    for document in documents {
        for (number, line) in document.text.lines().enumerate() {
            for name in sentences(line).filter(|name| !defined.contains(name)) {
                problems.push(Problem {
                    path: document.path.clone(),
                    line: number + 1,
                    message: format!("no source has a test `{name}`; name the one that shows it"),
                });
            }
        }
    }
    problems
}

/// The names after each `fn` of a source.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next())
}

/// The code spans of a line that are names with the length of a sentence.
fn sentences(line: &str) -> impl Iterator<Item = &str> {
    let is_name = |span: &&str| {
        span.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            && span.matches('_').count() >= UNDERSCORES_OF_A_SENTENCE
    };
    line.split('`').skip(1).step_by(2).filter(is_name)
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn a_test_that_is_named_and_not_there_is_a_problem() {
        let document = "| a | `this_is_a_test`, `this_is_no_test`, `RUST_LOG_AND_MORE`, `a_word` |";
        let files = [
            file("src/a.rs", "#[test]\nfn this_is_a_test() {}"),
            file("docs/security.md", document),
            file("docs/other.md", "`this_is_no_test`"),
        ];
        let problems = problems(&files);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].message.contains("`this_is_no_test`"), "{}", problems[0]);
    }
}
