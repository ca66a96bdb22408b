//! Words that stand only where they are allowed.

use super::source::{code, code_without_tests, line_of, words};
use super::{File, Problem};

/// A word that must not be used, where it is looked for, and why.
struct Rule {
    word: Word,
    applies: fn(&str) -> bool,
    tests: Tests,
    message: &'static str,
}

enum Word {
    /// An identifier of its own.
    Plain(&'static str),
    /// A macro call: the name and `!`.
    Macro(&'static str),
    /// A function named by its type or module: `File` and `create`.
    Call(&'static str, &'static str),
    /// An attribute.
    Attribute(&'static str),
}

#[derive(PartialEq, Eq)]
enum Tests {
    Checked,
    Free,
}

const NO_PRINTING: &str =
    "the library never prints; tell the caller through `units::Listener` or an error";
const WHOLE_OR_ABSENT: &str =
    "write through `crate::files`, so that a reader finds the whole file or none";
const NO_STUBS: &str = "nothing unfinished is taken in; finish it or return an error that says so";

const RULES: [Rule; 11] = [
    Rule {
        word: Word::Plain("unsafe"),
        applies: |path| !path.starts_with("kernels/"),
        tests: Tests::Checked,
        message: "`unsafe` may stand only in kernels/",
    },
    printing("println"),
    printing("print"),
    printing("eprintln"),
    printing("eprint"),
    printing("dbg"),
    stub("todo"),
    stub("unimplemented"),
    writing("fs", "write"),
    writing("File", "create"),
    Rule {
        word: Word::Attribute("ignore"),
        applies: |_| true,
        tests: Tests::Checked,
        message: "a test that does not run shows nothing; make it run or take it out",
    },
];

const fn printing(name: &'static str) -> Rule {
    let applies = |path: &str| path.starts_with("src/") || path.starts_with("kernels/src/");
    Rule { word: Word::Macro(name), applies, tests: Tests::Free, message: NO_PRINTING }
}

const fn writing(module: &'static str, name: &'static str) -> Rule {
    let applies = |path: &str| path.starts_with("src/") && !path.starts_with("src/files/");
    Rule { word: Word::Call(module, name), applies, tests: Tests::Free, message: WHOLE_OR_ABSENT }
}

const fn stub(name: &'static str) -> Rule {
    Rule { word: Word::Macro(name), applies: |_| true, tests: Tests::Checked, message: NO_STUBS }
}

/// Every use of a word where it is not allowed.
pub(super) fn problems(files: &[File]) -> Vec<Problem> {
    let sources = files.iter().filter(|file| file.has_extension("rs"));
    sources.flat_map(problems_in).collect()
}

fn problems_in(file: &File) -> Vec<Problem> {
    let (all, without_tests) = (code(&file.text), code_without_tests(&file.text));
    let mut problems = Vec::new();
    for rule in RULES.iter().filter(|rule| (rule.applies)(&file.path)) {
        if file.is_test && rule.tests == Tests::Free {
            continue;
        }
        let code = if rule.tests == Tests::Free { &without_tests } else { &all };
        problems.extend(places(code, &rule.word).into_iter().map(|place| Problem {
            path: file.path.clone(),
            line: line_of(code, place),
            message: rule.message.to_owned(),
        }));
    }
    problems
}

fn places(code: &str, word: &Word) -> Vec<usize> {
    let (Word::Plain(name) | Word::Macro(name) | Word::Call(_, name) | Word::Attribute(name)) =
        word;
    let found = words(code).filter(|(_, found)| found == name);
    let fits = |&(at, _): &(usize, &str)| {
        let (before, after) = (code[..at].trim_end(), &code[at + name.len()..]);
        match word {
            Word::Plain(_) => true,
            Word::Macro(_) => after.starts_with('!') && !after.starts_with("!="),
            Word::Call(module, _) => {
                before.strip_suffix("::").is_some_and(|path| path.ends_with(module))
            }
            Word::Attribute(_) => before.ends_with("#["),
        }
    };
    found.filter(fits).map(|(at, _)| at).collect()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn check(path: &str, text: &str) -> Vec<String> {
        problems(&[file(path, text)]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn unsafe_stands_only_in_kernels() {
        let text = "\nfn a() { unsafe { b() } }";
        assert_eq!(check("src/a.rs", text), ["src/a.rs:2: `unsafe` may stand only in kernels/"]);
        assert_eq!(check("cli/tests/it/main.rs", text).len(), 1);
        assert_eq!(check("kernels/src/a.rs", text), [""; 0]);
        assert_eq!(check("src/a.rs", "#![forbid(unsafe_code)] // unsafe"), [""; 0]);
    }

    #[test]
    fn the_library_does_not_print_but_its_tests_may() {
        for name in ["println", "eprintln", "dbg", "print"] {
            assert_eq!(check("src/a.rs", &format!("fn a() {{ {name}!(1) }}")).len(), 1, "{name}");
        }
        assert_eq!(check("cli/src/main.rs", "fn a() { println!(1) }"), [""; 0]);
        assert_eq!(check("src/a.rs", "#[cfg(test)] mod tests { fn a() { dbg!(1) } }"), [""; 0]);
    }

    #[test]
    fn unfinished_code_is_found_everywhere() {
        assert_eq!(check("cli/src/a.rs", "fn a() { todo!() }").len(), 1);
        assert_eq!(check("tests/it/a.rs", "fn a() { unimplemented!() }").len(), 1);
        assert_eq!(check("src/a.rs", "if todo != 3 { } // todo!()"), [""; 0]);
    }

    #[test]
    fn the_library_writes_through_files() {
        assert_eq!(check("src/a.rs", "fn a() { std::fs::write(b, c) }").len(), 1);
        assert_eq!(check("src/a.rs", "fn a() { fs_err::File::create(b) }").len(), 1);
        assert_eq!(check("src/a.rs", "fn a() { File::create(b) }").len(), 1);
        assert_eq!(check("src/a.rs", "fn a() { std::fs::read(b); out.write(c) }"), [""; 0]);
        assert_eq!(check("src/files/whole.rs", "fn a() { File::create(b) }"), [""; 0]);
        assert_eq!(check("src/a/tests/b.rs", "fn a() { std::fs::write(b, c) }"), [""; 0]);
    }

    #[test]
    fn a_test_that_is_left_out_is_found() {
        assert_eq!(check("tests/it/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}").len(), 1);
    }
}
