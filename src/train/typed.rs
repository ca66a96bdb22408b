//! Texts as people type them.
//!
//! A catalogue says all that is known of an item; somebody who looks for it types a colour and a
//! kind, a name, or a piece of it. A model that has only ever read whole descriptions does not know
//! what to do with two words. So each time an item is learned from, one of the texts is drawn that
//! somebody might type who has that item in mind.

use serde::{Deserialize, Serialize};

use super::batches::Pair;
use crate::encoder::TextPreprocessing;

/// How often an item is asked for by what. The shares need not sum to 1: they are weights. What an
/// item does not have (a second text, fields) leaves its share to the title.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typed {
    /// Its first text.
    pub title: f32,
    /// One of its other texts.
    pub other: f32,
    /// All its texts, joined.
    pub all: f32,
    /// Some words of the title that stand together.
    pub piece: f32,
    /// The title with words left out, each by chance.
    pub thinned: f32,
    /// The value of one field: "shirts".
    pub one_field: f32,
    /// The values of two fields in any order: "blue shirts".
    pub two_fields: f32,
    /// The values of three.
    pub three_fields: f32,
}

/// Chance that a word of a thinned title is left out.
const LEFT_OUT: f32 = 0.4;

impl Typed {
    /// Its shares by their names.
    pub(super) fn shares(&self) -> [(&'static str, f32); 8] {
        let &Self { title, other, all, piece, thinned, one_field, two_fields, three_fields } = self;
        [
            ("title", title),
            ("other", other),
            ("all", all),
            ("piece", piece),
            ("thinned", thinned),
            ("one_field", one_field),
            ("two_fields", two_fields),
            ("three_fields", three_fields),
        ]
    }

    /// Something that somebody might type who means this item.
    pub(super) fn draw(
        &self,
        pair: &Pair,
        preprocessing: &TextPreprocessing,
        rng: &mut fastrand::Rng,
    ) -> String {
        let title = &pair.texts[0];
        let drawn = match self.kind(rng) {
            "other" if pair.texts.len() > 1 => {
                Some(pair.texts[rng.usize(1..pair.texts.len())].clone())
            }
            "all" => preprocessing.join(&pair.texts),
            "piece" => piece(title, rng),
            "thinned" => thinned(title, rng),
            "one_field" => values(pair, 1, rng),
            "two_fields" => values(pair, 2, rng),
            "three_fields" => values(pair, 3, rng),
            _ => None,
        };
        drawn.unwrap_or_else(|| title.clone())
    }

    fn kind(&self, rng: &mut fastrand::Rng) -> &'static str {
        let shares = self.shares();
        let mut left = rng.f32() * shares.iter().map(|(_, share)| share).sum::<f32>();
        for (name, share) in shares {
            if left < share {
                return name;
            }
            left -= share;
        }
        "title"
    }
}

/// Some words of a text that stand together; `None` for a text of one word.
fn piece(text: &str, rng: &mut fastrand::Rng) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    (words.len() > 1).then(|| {
        let count = rng.usize(1..words.len());
        let first = rng.usize(0..=words.len() - count);
        words[first..first + count].join(" ")
    })
}

/// A text with words left out; `None` when none is left.
fn thinned(text: &str, rng: &mut fastrand::Rng) -> Option<String> {
    let left: Vec<&str> = text.split_whitespace().filter(|_| rng.f32() >= LEFT_OUT).collect();
    (!left.is_empty()).then(|| left.join(" "))
}

/// The values of so many fields in any order, fewer where there are fewer; `None` without any.
fn values(pair: &Pair, count: usize, rng: &mut fastrand::Rng) -> Option<String> {
    let count = count.min(pair.values.len());
    let mut values: Vec<&str> = pair.values.iter().map(String::as_str).collect();
    rng.shuffle(&mut values);
    (count > 0).then(|| values[..count].join(" "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::encoder::Preprocessing;
    use crate::train::Recipe;
    use crate::units::Seed;

    fn drawn(mix: Typed, pair: &Pair) -> BTreeSet<String> {
        let Preprocessing { texts, .. } = Recipe::named("default").unwrap().preprocessing();
        let mut rng = Seed(1).stream("typed", 0);
        (0..400).map(|_| mix.draw(pair, &texts, &mut rng)).collect()
    }

    const NOTHING: Typed = Typed {
        title: 0.0,
        other: 0.0,
        all: 0.0,
        piece: 0.0,
        thinned: 0.0,
        one_field: 0.0,
        two_fields: 0.0,
        three_fields: 0.0,
    };

    fn pair(texts: &[&str], values: &[&str]) -> Pair {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Pair { picture: 0, texts: owned(texts), values: owned(values), group: 0 }
    }

    #[test]
    fn each_share_draws_what_its_name_says() {
        let item = pair(&["acme blue shirt", "made of wool"], &["blue", "shirts"]);
        let set =
            |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<BTreeSet<_>>();
        let only = |change: fn(&mut Typed)| {
            let mut mix = NOTHING;
            change(&mut mix);
            drawn(mix, &item)
        };
        assert_eq!(only(|mix| mix.title = 1.0), set(&["acme blue shirt"]));
        assert_eq!(only(|mix| mix.other = 1.0), set(&["made of wool"]));
        assert_eq!(only(|mix| mix.all = 1.0), set(&["acme blue shirt. made of wool"]));
        let pieces = set(&["acme", "blue", "shirt", "acme blue", "blue shirt"]);
        assert_eq!(only(|mix| mix.piece = 1.0), pieces);
        assert_eq!(only(|mix| mix.one_field = 1.0), set(&["blue", "shirts"]));
        assert_eq!(only(|mix| mix.two_fields = 1.0), set(&["blue shirts", "shirts blue"]));
        assert_eq!(only(|mix| mix.three_fields = 1.0), set(&["blue shirts", "shirts blue"]));
        // Any of the words in their order, but not none of them.
        assert_eq!(only(|mix| mix.thinned = 1.0).len(), 7);
    }

    #[test]
    fn an_item_without_fields_and_further_texts_is_asked_for_by_its_title() {
        let item = pair(&["hat"], &[]);
        let mix = Typed { other: 1.0, piece: 1.0, one_field: 1.0, two_fields: 1.0, ..NOTHING };
        assert_eq!(drawn(mix, &item), BTreeSet::from(["hat".to_owned()]));
    }

    #[test]
    fn a_mixture_draws_everything_it_has_a_share_of() {
        let item = pair(&["acme shirt", "wool"], &["blue"]);
        let mix = Typed { title: 0.5, other: 0.25, one_field: 0.25, ..NOTHING };
        let expected = ["acme shirt", "wool", "blue"].map(str::to_owned);
        assert_eq!(drawn(mix, &item), BTreeSet::from(expected));
    }
}
