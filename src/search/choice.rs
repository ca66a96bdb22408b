//! Which hits are wanted.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::index::Carry;

/// Which hits of a query are wanted, and how many.
///
/// ```
/// use looksee::search::Choice;
///
/// let second_page: Choice = serde_json::from_str(r#"{"top": 20, "offset": 20}"#).unwrap();
/// assert_eq!(second_page, Choice { top: 20, offset: 20, ..Choice::default() });
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Choice {
    /// How many, 9 by default.
    pub top: usize,
    /// How many of the best are passed over: those of the pages before.
    pub offset: usize,
    /// Only items that pass.
    pub filter: Option<Filter>,
    /// One hit for all items that show the same picture; the others stand behind it.
    pub hide_duplicates: bool,
    /// Hits that are unlike each other before hits that are closer.
    pub diverse: bool,
    /// Only hits that match with at least this chance, 0 to 1; for queries of words.
    pub min_probability: Option<f32>,
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            top: 9,
            offset: 0,
            filter: None,
            hide_duplicates: false,
            diverse: false,
            min_probability: None,
        }
    }
}

impl Choice {
    /// Answers up to the last that is shown.
    pub(super) fn wanted(&self) -> usize {
        self.offset.saturating_add(self.top)
    }

    /// Hits to ask for, so that enough remain when some are folded or passed over.
    pub(super) fn candidates(&self) -> usize {
        match (self.diverse, self.hide_duplicates) {
            (true, _) => self.wanted().saturating_mul(10).max(100),
            (false, true) => self.wanted().saturating_mul(2).saturating_add(20),
            (false, false) => self.wanted(),
        }
    }

    /// What hits must carry to be folded and compared.
    pub(super) fn carry(&self) -> Carry {
        Carry {
            content: self.hide_duplicates,
            picture: self.hide_duplicates || self.diverse,
            ..Carry::NOTHING
        }
    }

    /// Refuses bounds that no chance can meet, and a bound on a chance that is not known: it is
    /// calibrated on words.
    pub(super) fn check(&self, query: &str, words_only: bool) -> Result<()> {
        let Some(least) = self.min_probability else { return Ok(()) };
        if !(0.0..=1.0).contains(&least) {
            let sentence = format!("the least chance of a match is {least}; it must be 0 to 1");
            return Err(Error::invalid(sentence));
        }
        if words_only {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "a least chance of a match needs a query of words: the chance is not known for \
             \"{query}\""
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(top: usize) -> Choice {
        Choice { top, ..Choice::default() }
    }

    #[test]
    fn plain_searches_ask_for_no_more_than_is_shown() {
        assert_eq!(choice(9).candidates(), 9);
        assert_eq!(Choice { offset: 18, ..choice(9) }.candidates(), 27);
        assert_eq!(choice(9).carry(), Carry::NOTHING);
    }

    #[test]
    fn folding_and_diversity_ask_for_more() {
        assert!(Choice { hide_duplicates: true, ..choice(9) }.candidates() > 9);
        assert_eq!(Choice { diverse: true, ..choice(9) }.candidates(), 100);
        assert_eq!(Choice { diverse: true, ..choice(usize::MAX) }.candidates(), usize::MAX);
    }

    #[test]
    fn a_bound_on_the_chance_is_refused_for_a_picture_and_beyond_0_to_1() {
        let bound = |least| Choice { min_probability: Some(least), ..choice(9) };
        assert!(bound(0.5).check("red", true).is_ok());
        assert!(bound(0.5).check("./a.jpg", false).is_err());
        assert!(choice(9).check("./a.jpg", false).is_ok());
        assert!(bound(1.5).check("red", true).is_err());
        assert!(bound(f32::NAN).check("red", true).is_err());
    }

    #[test]
    fn a_choice_survives_json_with_its_filter() {
        let choice = Choice {
            filter: Some(Filter::parse("price < 20 and not color in ('red')").unwrap()),
            diverse: true,
            ..choice(3)
        };
        let json = serde_json::to_string(&choice).unwrap();
        assert_eq!(serde_json::from_str::<Choice>(&json).unwrap(), choice);
        assert!(serde_json::from_str::<Choice>(r#"{"tops": 3}"#).is_err());
    }
}
