//! `deny`: which licences, packages and sources the dependencies may have (`deny.toml`).
//!
//! Where cargo-deny is installed it does all of it and looks up known holes as well, when their
//! database can be had. Elsewhere licences, bans and sources are compared here: they need nothing
//! but cargo and `Cargo.lock`.

mod licence;
mod rules;

use std::path::Path;

use rules::Rules;

use crate::steps::{Result, Step};

const CARGO_DENY: Step = Step::new(&["cargo", "deny", "check", "licenses", "bans", "sources"]);
const FETCH_HOLES: Step = Step::new(&["cargo", "deny", "fetch"]);
const HOLES: Step = Step::new(&["cargo", "deny", "check", "advisories"]);
/// Every package with its licence, those of other systems included, which cargo may have to fetch.
const ALL: [&str; 10] = [
    "cargo",
    "tree",
    "--workspace",
    "--locked",
    "--target",
    "all",
    "--prefix",
    "none",
    "-f",
    "{p}\t{l}",
];
/// The same of this system's packages, which a build has fetched.
const OWN: [&str; 8] =
    ["cargo", "tree", "--workspace", "--locked", "--prefix", "none", "-f", "{p}\t{l}"];

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Compares the dependencies with `deny.toml`.
pub(crate) fn run(root: &Path) -> Result<()> {
    if Step::new(&["cargo", "deny", "--version"]).succeeds(root) {
        return with_cargo_deny(root);
    }
    let read = |name: &str| {
        std::fs::read_to_string(root.join(name)).map_err(|e| format!("cannot read {name}: {e}"))
    };
    let rules = Rules::read(&read("deny.toml")?)?;
    let packages = packages(root)?;
    let mut problems = package_problems(&packages, &rules);
    problems.extend(source_problems(&read("Cargo.lock")?));
    for problem in &problems {
        eprintln!("{problem}");
    }
    if !problems.is_empty() {
        return Err(format!("deny.toml forbids this ({} found)", problems.len()));
    }
    println!("deny: licences, bans and sources are in order");
    println!("deny: cargo-deny is not installed, so known holes are not looked up\n");
    Ok(())
}

fn with_cargo_deny(root: &Path) -> Result<()> {
    CARGO_DENY.run(root)?;
    if FETCH_HOLES.succeeds(root) {
        HOLES.run(root)?;
    } else {
        println!("deny: the database of known holes cannot be had, so they are not looked up");
    }
    Ok(())
}

/// Lines of package and licence.
fn packages(root: &Path) -> Result<String> {
    Step::new(&ALL).answer(root).or_else(|_| {
        println!("deny: packages of other systems cannot be fetched; theirs are not compared");
        Step::new(&OWN).answer(root)
    })
}

/// The packages that are banned and those whose licence is not allowed.
fn package_problems(packages: &str, rules: &Rules) -> Vec<String> {
    let mut problems: Vec<String> = packages
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter_map(|(package, licence)| package_problem(package, licence, rules))
        .collect();
    problems.sort();
    problems.dedup();
    problems
}

fn package_problem(package: &str, licence: &str, rules: &Rules) -> Option<String> {
    let name = package.split(' ').next().unwrap_or_default();
    if rules.banned.contains(name) {
        return Some(format!("{package}: this package is banned in deny.toml"));
    }
    let licence = licence.trim_end_matches(" (*)");
    let allowed = licence::permits(licence, &|one| rules.allows(name, one));
    (!allowed).then(|| format!("{package}: the licence `{licence}` is not in deny.toml"))
}

/// The packages from elsewhere than the registry, those included that no build of ours uses.
fn source_problems(lock: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut name = "";
    for line in lock.lines() {
        if let Some(value) = value(line, "name") {
            name = value;
        } else if let Some(source) = value(line, "source").filter(|source| *source != REGISTRY) {
            problems.push(format!("{name}: comes from {source}, not from the registry"));
        }
    }
    problems
}

/// `key = "value"` of a lock file.
fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules::read(
            "[licenses]\nallow = [\"MIT\"]\nexceptions = [{ crate = \"colored\", allow = [\"MPL-2.0\"] }]\n\
             [bans]\ndeny = [{ crate = \"tch\" }]\n",
        )
        .unwrap()
    }

    #[test]
    fn a_banned_package_and_a_licence_that_is_not_listed_are_found_once() {
        let packages = "a v1.0.0\tMIT\n\na v1.0.0\tMIT (*)\nb v2.0.0\tGPL-3.0-only\n\
                        b v2.0.0\tGPL-3.0-only (*)\ncolored v3.0.0\tMPL-2.0\nc v1.0.0\t\n\
                        tch v0.1.0\tMIT\n";
        assert_eq!(
            package_problems(packages, &rules()),
            [
                "b v2.0.0: the licence `GPL-3.0-only` is not in deny.toml",
                "c v1.0.0: the licence `` is not in deny.toml",
                "tch v0.1.0: this package is banned in deny.toml",
            ]
        );
    }

    #[test]
    fn a_package_from_elsewhere_is_found_in_the_lock_file() {
        let lock = format!(
            "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"{REGISTRY}\"\n\n\
             [[package]]\nname = \"b\"\nsource = \"git+https://example.org/b#0123\"\n\n\
             [[package]]\nname = \"own\"\nversion = \"0.1.0\"\ndependencies = [\n \"a\",\n]\n"
        );
        assert_eq!(
            source_problems(&lock),
            ["b: comes from git+https://example.org/b#0123, not from the registry"]
        );
    }
}
