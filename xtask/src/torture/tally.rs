//! Counts of a torture, and their table.

use std::collections::BTreeMap;
use std::fmt::Write;

/// What happened in one run that found nothing wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Commands that were killed.
    pub(super) killed: u64,
    /// Commands that refused with a clean error.
    pub(super) refused: u64,
    /// Outputs that were whole and right again at the end.
    pub(super) mended: u64,
}

/// What a run comes to: its counts, or what is wrong.
pub(super) type Judgement = Result<Tally, String>;

#[derive(Debug, Default)]
struct Row {
    runs: u64,
    tally: Tally,
    wrong: u64,
}

/// The counts of each scenario.
#[derive(Debug, Default)]
pub(super) struct Table(BTreeMap<&'static str, Row>);

/// How often each kind of fault was met: a fault that every tenth run meets must not bury the one
/// that a thousandth does.
#[derive(Debug, Default)]
pub(super) struct Kinds(BTreeMap<String, u64>);

impl Kinds {
    /// Counts a fault; how many of its kind were met now.
    pub(super) fn add(&mut self, scenario: &str, what: &str) -> u64 {
        let count = self.0.entry(kind(scenario, what)).or_insert(0);
        *count += 1;
        *count
    }

    /// Number of kinds.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A fault without what differs from run to run: numbers, paths, and what stands in parentheses.
fn kind(scenario: &str, what: &str) -> String {
    let mut depth = 0_u32;
    let mut outside = String::new();
    for letter in what.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 && !letter.is_ascii_digit() => outside.push(letter),
            _ => {}
        }
    }
    let words = outside.split_whitespace().filter(|word| !word.starts_with('/'));
    let words: Vec<&str> = words.take(16).collect();
    format!("{scenario}: {}", words.join(" "))
}

impl Table {
    /// Counts a run.
    pub(super) fn add(&mut self, scenario: &'static str, judgement: &Judgement) {
        let row = self.0.entry(scenario).or_default();
        row.runs += 1;
        match judgement {
            Ok(tally) => {
                row.tally.killed += tally.killed;
                row.tally.refused += tally.refused;
                row.tally.mended += tally.mended;
            }
            Err(_) => row.wrong += 1,
        }
    }

    /// All runs, and those in which something was wrong.
    pub(super) fn totals(&self) -> (u64, u64) {
        self.0.values().fold((0, 0), |(runs, wrong), row| (runs + row.runs, wrong + row.wrong))
    }

    /// A line a scenario.
    pub(super) fn show(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, columns: [&dyn std::fmt::Display; 5]| {
            let [runs, killed, refused, mended, wrong] = columns;
            let _ =
                writeln!(text, "{name:<16}{runs:>8}{killed:>8}{refused:>9}{mended:>8}{wrong:>7}");
        };
        line("scenario", [&"runs", &"killed", &"refused", &"mended", &"wrong"]);
        let mut all = Row::default();
        for (name, row) in &self.0 {
            let Row { runs, tally, wrong } = row;
            line(name, [runs, &tally.killed, &tally.refused, &tally.mended, wrong]);
            all.runs += runs;
            all.wrong += wrong;
            all.tally.killed += tally.killed;
            all.tally.refused += tally.refused;
            all.tally.mended += tally.mended;
        }
        let Row { runs, tally, wrong } = &all;
        line("all", [runs, &tally.killed, &tally.refused, &tally.mended, wrong]);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_a_kind_differ_in_numbers_paths_and_what_is_in_parentheses() {
        let mut kinds = Kinds::default();
        let said = "segments/000001.vectors (Cut { to: 8 }): check: /tmp/1/out: it is damaged";
        assert_eq!(kinds.add("damage-index", said), 1);
        let said = "segments/000002.vectors (Removed): check: /tmp/7/out: it is damaged";
        assert_eq!(kinds.add("damage-index", said), 2);
        assert_eq!(kinds.add("damage-index", "index.sqlite (Removed): it panicked"), 1);
        assert_eq!(kinds.add("damage-copied", said), 1);
        assert_eq!(kinds.len(), 3);
    }

    #[test]
    fn runs_and_wrong_ones_are_counted_by_scenario() {
        let mut table = Table::default();
        let fine = Tally { killed: 1, refused: 2, mended: 1 };
        table.add("kill-index", &Ok(fine));
        table.add("kill-index", &Err("lost".to_owned()));
        table.add("readers", &Ok(fine));
        assert_eq!(table.totals(), (3, 1));
        let rows: Vec<Vec<String>> = table
            .show()
            .lines()
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .collect();
        assert_eq!(rows[1], ["kill-index", "2", "1", "2", "1", "1"]);
        assert_eq!(rows[3], ["all", "3", "2", "4", "2", "1"]);
    }
}
