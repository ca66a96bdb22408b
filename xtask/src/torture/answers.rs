//! What an index answers, in a form that can be compared.

use std::collections::BTreeMap;

use super::program::shortened;

/// Scores of the same vectors differ by no more: they are sums in another order at most.
const NEARLY: f64 = 2e-5;
/// Numbers of an answer that are compared within [`NEARLY`].
const NUMBERS: [&str; 2] = ["score", "probability"];
/// Numbers that follow from the others, or from the place in the list.
const LEFT_OUT: [&str; 2] = ["rank", "distance"];

/// One item in the answer to one query.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    numbers: Vec<f64>,
    rest: String,
}

/// Every item in the answer to every query, by query and item.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answers(BTreeMap<String, Line>);

impl Answers {
    /// Reads what `search --format jsonl` printed.
    pub(super) fn read(printed: &str) -> Result<Self, String> {
        let mut answers = BTreeMap::new();
        for text in printed.lines() {
            let (Some(query), Some(id)) = (value(text, "query"), value(text, "id")) else {
                return Err(format!("an answer without query or id: {}", shortened(text)));
            };
            if answers.insert(format!("{query} -> {id}"), line(text)).is_some() {
                return Err(format!("item {id} twice in the answer to {query}"));
            }
        }
        Ok(Self(answers))
    }

    /// Number of items over all queries.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What differs from what was expected, the first of it.
    pub(super) fn compare(&self, expected: &Self) -> Result<(), String> {
        if let Some((key, line)) = expected.0.iter().find(|(key, _)| !self.0.contains_key(*key)) {
            return Err(format!("an answer is missing: {key} ({})", shortened(&line.rest)));
        }
        self.within(&[expected])
    }

    /// What stands in none of these states, the first of it: answers while something is changed
    /// come from one of them item by item.
    pub(super) fn within(&self, states: &[&Self]) -> Result<(), String> {
        let known = |key: &str, line: &Line| {
            states.iter().any(|state| state.0.get(key).is_some_and(|other| other.is_nearly(line)))
        };
        let Some((key, found)) = self.0.iter().find(|(key, line)| !known(key, line)) else {
            return Ok(());
        };
        let expected = states.iter().find_map(|state| state.0.get(key));
        Err(match expected {
            Some(line) => format!("{key}: expected {}, found {}", line.show(), found.show()),
            None => format!("{key} should not be there: {}", found.show()),
        })
    }

    /// What of `unchanged` is missing: items that no change touches are always there.
    pub(super) fn holds(&self, unchanged: &Self) -> Result<(), String> {
        match unchanged.0.keys().find(|key| !self.0.contains_key(*key)) {
            Some(key) => Err(format!("{key} is missing, and no change touches it")),
            None => Ok(()),
        }
    }

    /// The answers that are in both, nearly the same.
    pub(super) fn common(&self, other: &Self) -> Self {
        let same = |key: &str, line: &Line| other.0.get(key).is_some_and(|o| o.is_nearly(line));
        Self(
            self.0
                .iter()
                .filter(|(k, l)| same(k, l))
                .map(|(k, l)| (k.clone(), l.clone()))
                .collect(),
        )
    }

    /// The item with the greatest score for a query.
    pub(super) fn best(&self, query: &str) -> Option<&str> {
        let start = format!("{query} -> ");
        let hits = self.0.range(start.clone()..).take_while(|(key, _)| key.starts_with(&start));
        let best = hits.max_by(|a, b| a.1.numbers[0].total_cmp(&b.1.numbers[0]))?;
        best.0.strip_prefix(&start)
    }
}

impl Line {
    fn is_nearly(&self, other: &Self) -> bool {
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= NEARLY;
        self.rest == other.rest
            && self.numbers.len() == other.numbers.len()
            && self.numbers.iter().zip(&other.numbers).all(near)
    }

    fn show(&self) -> String {
        format!("{:?} {}", self.numbers, shortened(&self.rest))
    }
}

fn line(text: &str) -> Line {
    let mut rest = text.to_owned();
    let mut numbers = Vec::new();
    for name in NUMBERS {
        numbers.extend(take(&mut rest, name).and_then(|number| number.parse::<f64>().ok()));
    }
    for name in LEFT_OUT {
        take(&mut rest, name);
    }
    Line { numbers, rest }
}

/// The text after `"name":"`, up to the next quote; names of this catalogue hold none.
fn value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split_once(&format!("\"{name}\":\""))?.1.split('"').next()
}

/// Cuts `"name":NUMBER,` out of the line.
fn take(line: &mut String, name: &str) -> Option<String> {
    let start = line.find(&format!("\"{name}\":"))?;
    let from = start + name.len() + 3;
    let length = line[from..].find([',', '}'])?;
    let number = line[from..from + length].to_owned();
    line.replace_range(start..from + length, "");
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(id: &str, rank: u32, score: f32, title: &str) -> String {
        format!(
            "{{\"query\":\"red\",\"rank\":{rank},\"id\":\"{id}\",\"score\":{score},\"distance\":1.0,\
             \"probability\":null,\"title\":\"{title}\",\"fields\":{{\"size\":3}}}}\n"
        )
    }

    fn answers(lines: &[String]) -> Answers {
        Answers::read(&lines.concat()).unwrap()
    }

    #[test]
    fn order_and_the_last_bits_of_a_score_do_not_matter() {
        let one = answers(&[printed("a", 1, 0.5, "A"), printed("b", 2, 0.4, "B")]);
        let two = answers(&[printed("b", 1, 0.400_001, "B"), printed("a", 2, 0.5, "A")]);
        assert_eq!(one.compare(&two), Ok(()));
        assert_eq!(one.best("red"), Some("a"));
    }

    #[test]
    fn another_score_title_or_number_of_items_is_a_difference() {
        let right = answers(&[printed("a", 1, 0.5, "A"), printed("b", 2, 0.4, "B")]);
        for wrong in [
            answers(&[printed("a", 1, 0.5, "A")]),
            answers(&[printed("a", 1, 0.51, "A"), printed("b", 2, 0.4, "B")]),
            answers(&[printed("a", 1, 0.5, "A"), printed("b", 2, 0.4, "b")]),
            answers(&[
                printed("a", 1, 0.5, "A"),
                printed("b", 2, 0.4, "B"),
                printed("c", 3, 0., ""),
            ]),
        ] {
            assert!(wrong.compare(&right).is_err());
        }
        assert!(Answers::read(&printed("a", 1, 0.5, "A").repeat(2)).is_err());
    }

    #[test]
    fn an_answer_between_two_states_takes_each_item_from_one_of_them() {
        let before = answers(&[printed("a", 1, 0.5, "A"), printed("b", 2, 0.4, "B")]);
        let after = answers(&[printed("a", 1, 0.5, "A"), printed("c", 2, 0.3, "C")]);
        let between = answers(&[printed("a", 1, 0.5, "A")]);
        assert_eq!(between.within(&[&before, &after]), Ok(()));
        assert_eq!(between.holds(&before.common(&after)), Ok(()));
        let torn = answers(&[printed("a", 1, 0.5, "C")]);
        assert!(torn.within(&[&before, &after]).is_err());
        assert!(answers(&[]).holds(&before.common(&after)).is_err());
    }
}
