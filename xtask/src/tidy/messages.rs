//! The library's messages state facts: which option or command helps is the command line's to say
//! (`cli/src/advice.rs`), since a server or another program has other names for it.

use super::source::{line_of, strings_without_tests};
use super::{File, Problem};

const FACTS_ONLY: &str = "the library knows no option and no command; give the error a `Fact` and \
                          let cli/src/advice.rs say what to type";

/// Every string of the library that speaks of an option or a command of the program.
pub(super) fn problems(files: &[File]) -> Vec<Problem> {
    let is_library =
        |file: &&File| file.path.starts_with("src/") && file.has_extension("rs") && !file.is_test;
    files.iter().filter(is_library).flat_map(problems_in).collect()
}

fn problems_in(file: &File) -> Vec<Problem> {
    let strings = strings_without_tests(&file.text).into_iter();
    let typed =
        strings.filter(|(_, string)| names_an_option(string) || string.contains("`looksee "));
    typed
        .map(|(at, _)| Problem {
            path: file.path.clone(),
            line: line_of(&file.text, at),
            message: FACTS_ONLY.to_owned(),
        })
        .collect()
}

/// Whether a word begins with two dashes and a letter.
fn names_an_option(string: &str) -> bool {
    string.match_indices("--").any(|(at, dashes)| {
        let before = string[..at].chars().next_back();
        let after = string[at + dashes.len()..].chars().next();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '-')
            && after.is_some_and(|c| c.is_ascii_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        problems(&[file(path, text)]).iter().map(|problem| problem.line).collect()
    }

    #[test]
    fn options_and_commands_are_found_in_the_strings_of_the_library_alone() {
        let text = "fn a() {\n    b(\"go on with --resume\");\n    c(\"run `looksee index`\");\n}";
        assert_eq!(lines("src/a.rs", text), [2, 3]);
        assert_eq!(lines("src/a.rs", "const A: &str = r#\"(--where)\"#;"), [1]);
        assert_eq!(lines("cli/src/a.rs", text), [0; 0]);
        assert_eq!(lines("src/a/tests/b.rs", text), [0; 0]);
        assert_eq!(
            lines("src/a.rs", "#[cfg(test)]\nmod tests { const A: &str = \"--b\"; }"),
            [0; 0]
        );
    }

    #[test]
    fn dashes_that_name_no_option_and_comments_are_free() {
        let text =
            "//! `looksee train --resume`\nfn a() { b(\"x -- y\", \"-->\", \"a--b\", '-', x--y) }";
        assert_eq!(lines("src/a.rs", text), [0; 0]);
    }
}
