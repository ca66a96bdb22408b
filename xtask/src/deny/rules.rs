//! `deny.toml`, as far as this package understands it: the lists of licences and of banned packages.

use std::collections::{BTreeMap, BTreeSet};

use crate::steps::Result;

/// What the dependencies may be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    /// Licences that every package may have.
    pub(super) licences: BTreeSet<String>,
    /// Licences that one package may have besides, by its name.
    pub(super) exceptions: BTreeMap<String, BTreeSet<String>>,
    /// Packages that may not be there.
    pub(super) banned: BTreeSet<String>,
}

impl Rules {
    /// Reads the lists; an error when one that must be there is not, so that a file in another
    /// shape never passes for one without rules.
    pub(super) fn read(text: &str) -> Result<Self> {
        let licences = section(text, "licenses")?;
        let bans = section(text, "bans")?;
        let licence_list = list(&licences, "allow")?;
        let exceptions = list(&licences, "exceptions")?;
        let rules = Self {
            licences: quoted(&licence_list).collect(),
            exceptions: tables(&exceptions)
                .filter_map(|table| {
                    let mut words = quoted(table);
                    Some((words.next()?, words.collect()))
                })
                .collect(),
            banned: tables(&list(&bans, "deny")?).filter_map(|t| quoted(t).next()).collect(),
        };
        if rules.licences.is_empty() || rules.banned.is_empty() {
            return Err("deny.toml has an empty list of licences or of bans".to_owned());
        }
        Ok(rules)
    }

    /// Whether the package may have this licence.
    pub(super) fn allows(&self, package: &str, licence: &str) -> bool {
        let own = self.exceptions.get(package);
        self.licences.contains(licence) || own.is_some_and(|own| own.contains(licence))
    }
}

/// The lines of `[name]` without comments, as one text.
fn section(text: &str, name: &str) -> Result<String> {
    let header = format!("[{name}]");
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let lines = lines.skip_while(|line| *line != header).skip(1);
    let is_header = |line: &str| line.starts_with('[') && line.ends_with(']') && line != "[]";
    let lines: Vec<&str> = lines.take_while(|line| !is_header(line)).collect();
    if lines.is_empty() { Err(format!("deny.toml has no [{name}]")) } else { Ok(lines.join("\n")) }
}

/// What stands between the brackets of `key = [...]`.
fn list(section: &str, key: &str) -> Result<String> {
    let missing = || format!("deny.toml has no list `{key}` where it is expected");
    let start = section.find(&format!("\n{key} = [")).map(|at| at + key.len() + 5);
    let start =
        start.or_else(|| section.starts_with(&format!("{key} = [")).then_some(key.len() + 4));
    let start = start.ok_or_else(missing)?;
    let mut depth = 1;
    for (at, letter) in section[start..].char_indices() {
        depth += i32::from(letter == '[') - i32::from(letter == ']');
        if depth == 0 {
            return Ok(section[start..start + at].to_owned());
        }
    }
    Err(missing())
}

/// The inline tables of a list.
fn tables(list: &str) -> impl Iterator<Item = &str> {
    list.split('{').skip(1).map(|table| table.split('}').next().unwrap_or_default())
}

/// The strings of a text.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.split('"').skip(1).step_by(2).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[graph]\nall = true\n[licenses]\n# Free \"ones\".\nallow = [\n    \"MIT\",\n    \
                        \"Zlib\", # short\n]\nexceptions = [\n    { crate = \"colored\", allow = [\"MPL-2.0\"] },\n]\n\
                        [bans]\nwildcards = \"deny\"\ndeny = [\n    { crate = \"tch\" },\n]\n";

    #[test]
    fn the_lists_are_read() {
        let rules = Rules::read(TEXT).unwrap();
        assert!(
            rules.allows("a", "MIT") && rules.allows("a", "Zlib") && !rules.allows("a", "ones")
        );
        assert!(rules.allows("colored", "MPL-2.0") && !rules.allows("a", "MPL-2.0"));
        assert_eq!(rules.banned, BTreeSet::from(["tch".to_owned()]));
    }

    #[test]
    fn a_file_without_a_list_is_no_file_without_rules() {
        for (part, other) in
            [("[licenses]", "[x]"), ("allow = [\n", "allows = [\n"), ("\"MIT\"", "")]
        {
            let text = TEXT.replacen(part, other, 1).replace("\"Zlib\",", "");
            Rules::read(&text).unwrap_err();
        }
        Rules::read(&TEXT.replace("deny = [", "denied = [")).unwrap_err();
    }
}
