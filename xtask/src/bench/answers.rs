//! What scripts answer: lines of a name, a tab and a value; of two lines with one name the later
//! counts.

use std::collections::BTreeMap;

use crate::steps::Result;

/// The values of an answer by their names.
#[derive(Debug, Default)]
pub(super) struct Answer(BTreeMap<String, String>);

impl Answer {
    /// Reads an answer; lines without a tab are not part of it.
    pub(super) fn new(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once('\t'));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
    }

    /// The number of that name, if there is one and it is finite.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.0.get(name)?.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// The word or sentence of that name.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The numbers whose names begin with `prefix`, under the rest of their names.
    pub(super) fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        let inside = self.0.range(prefix.to_owned()..);
        let inside = inside.map_while(move |(name, _)| Some((name, name.strip_prefix(prefix)?)));
        inside.filter_map(|(name, rest)| Some((rest, self.number(name)?)))
    }

    /// [`Answer::number`], or a sentence about who did not give it.
    pub(super) fn needed(&self, name: &str, who: &str) -> Result<f64> {
        self.number(name).ok_or_else(|| match self.0.get(name) {
            Some(found) => format!("{who} gave `{found}` where a number was expected for `{name}`"),
            None => format!("{who} did not say `{name}`"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_names_and_the_later_one_counts() {
        let answer = Answer::new("a warning\nwall_s\t2.5\nseconds.total\t1e-3\nwall_s\t2.25\n");
        assert_eq!(answer.number("wall_s"), Some(2.25));
        assert_eq!(answer.number("seconds.total"), Some(0.001));
        assert_eq!(answer.number("a warning"), None);
    }

    #[test]
    fn what_is_missing_or_no_number_is_said() {
        let answer = Answer::new("kl\tnan\nmethod\tfft\n");
        assert_eq!(answer.needed("x", "the judge").unwrap_err(), "the judge did not say `x`");
        assert_eq!(
            answer.needed("method", "looksee").unwrap_err(),
            "looksee gave `fft` where a number was expected for `method`"
        );
        assert_eq!(answer.number("kl"), None);
    }
}
