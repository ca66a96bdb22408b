//! Documents: relative links lead to files, and no path of somebody's machine is written down.

use super::{File, Problem};

/// Folders that exist on one machine only.
const MACHINE_FOLDERS: [&str; 2] = ["/home/", "/root/"];

/// Broken links and machine paths in all `*.md`; `exists` is asked with paths from the root.
pub(super) fn problems(files: &[File], exists: &dyn Fn(&str) -> bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| file.has_extension("md")) {
        let mut in_block = false;
        for (number, line) in file.text.lines().enumerate() {
            let mut problem = |message| {
                problems.push(Problem { path: file.path.clone(), line: number + 1, message });
            };
            if let Some(folder) = machine_folder(line) {
                problem(format!("`{folder}` is a place on one machine; write a relative path"));
            }
            in_block ^= line.trim_start().starts_with("```");
            if in_block {
                continue;
            }
            for target in targets(line) {
                let path = resolved(&file.path, target);
                if !path.as_deref().is_some_and(exists) {
                    problem(format!("the link `{target}` leads to no file"));
                }
            }
        }
    }
    problems
}

fn machine_folder(line: &str) -> Option<&'static str> {
    MACHINE_FOLDERS.into_iter().find(|folder| {
        let is_start = |before: &str| {
            before.chars().next_back().is_none_or(|c| !(c.is_alphanumeric() || "._-~/".contains(c)))
        };
        line.match_indices(folder).any(|(at, _)| is_start(&line[..at]))
    })
}

/// The relative targets of the links in a line, without their `#part`.
fn targets(line: &str) -> Vec<&str> {
    let links = line.match_indices("](").filter(|(at, _)| !is_in_code(&line[..*at]));
    let targets = links.filter_map(|(at, open)| {
        let rest = &line[at + open.len()..];
        rest[..rest.find(')')?].split_whitespace().next()
    });
    let relative = targets.filter(|target| !target.contains(':') && !target.starts_with('#'));
    relative.filter_map(|target| target.split('#').next()).collect()
}

fn is_in_code(before: &str) -> bool {
    before.matches('`').count() % 2 == 1
}

/// `target` as a path from the root; `None` if it leads out of the repository.
fn resolved(document: &str, target: &str) -> Option<String> {
    let mut folders: Vec<&str> = document.split('/').collect();
    folders.pop();
    if target.starts_with('/') {
        return None;
    }
    for part in target.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            folders.pop()?;
        } else {
            folders.push(part);
        }
    }
    Some(folders.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn check(path: &str, text: &str) -> Vec<String> {
        let exists = |path: &str| ["README.md", "docs/adr/0001-a.md", "docs"].contains(&path);
        problems(&[file(path, text)], &exists).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_are_followed_from_the_document_that_has_them() {
        assert_eq!(check("README.md", "[a](docs/adr/0001-a.md#why) [b](docs/) [c](#d)"), [""; 0]);
        assert_eq!(check("docs/b.md", "[a](adr/0001-a.md) [b](../README.md)"), [""; 0]);
        assert_eq!(
            check("docs/b.md", "x\n[a](README.md)"),
            ["docs/b.md:2: the link `README.md` leads to no file"]
        );
        assert_eq!(check("docs/b.md", "[a](../../README.md)").len(), 1);
    }

    #[test]
    fn addresses_and_code_are_not_links_to_files() {
        let text = "[a](https://example.org/x) `[b](c)`\n```\n[d](e)\n```\n";
        assert_eq!(check("README.md", text), [""; 0]);
    }

    #[test]
    fn places_on_one_machine_are_found() {
        assert_eq!(check("README.md", "cd /home/me/looksee").len(), 1);
        assert_eq!(check("README.md", "`/root/x`").len(), 1);
        assert_eq!(check("README.md", "https://example.org/work/x and src/work/x"), [""; 0]);
    }
}
