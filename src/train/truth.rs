//! Which texts are true of which pictures, so that none of them is taught to be wrong.
//!
//! In a batch of a thousand shirts "blue shirt" fits many pictures, and a loss that takes all but
//! one of them for negatives teaches the opposite of what people ask. A text is taken to be true of
//! another picture when the item of that picture has every word of it, in its texts or in its
//! fields. This covers equal texts, texts that differ in their order, and pieces of texts alike.

use crate::tokens;

/// Words that are true of something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WordSet {
    /// A bit for each word, for a quick no.
    signature: u64,
    /// Hashes of the words, ascending.
    words: Box<[u32]>,
}

impl WordSet {
    /// The words of all these texts.
    pub(super) fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut words: Vec<u32> = Vec::new();
        for text in texts {
            tokens::each_word(text, |word| {
                // The s of "men's" says nothing.
                if word.len() > 1 || !word.is_ascii() || word.as_bytes()[0].is_ascii_digit() {
                    words.push(hash(stem(word)));
                }
            });
        }
        words.sort_unstable();
        words.dedup();
        let signature = words.iter().fold(0, |bits, word| bits | 1 << (word >> 26));
        Self { signature, words: words.into() }
    }

    /// Whether every word of `text` is among these.
    pub(super) fn has_all(&self, text: &Self) -> bool {
        text.signature & !self.signature == 0
            && text.words.iter().all(|word| self.words.binary_search(word).is_ok())
    }
}

/// The word without the ending of a plural, as English and its neighbours have it: "shirts" is true
/// of what is called a shirt.
fn stem(word: &str) -> &str {
    match word.strip_suffix('s') {
        Some(stem) if stem.len() > 2 && !stem.ends_with('s') => stem,
        _ => word,
    }
}

fn hash(word: &str) -> u32 {
    xxhash_rust::xxh3::xxh3_64(word.as_bytes()) as u32
}

/// `[n, n]`: whether text j is true of picture i, by their groups.
pub(super) fn by_group(groups: &[u32]) -> Vec<bool> {
    let n = groups.len();
    (0..n * n).map(|at| groups[at / n] == groups[at % n]).collect()
}

/// `[n, n]`: whether text j is true of picture i, by their groups or by every word of it.
pub(super) fn by_words(groups: &[u32], items: &[&WordSet], texts: &[WordSet]) -> Vec<bool> {
    let n = groups.len();
    (0..n * n)
        .map(|at| {
            let (i, j) = (at / n, at % n);
            groups[i] == groups[j] || items[i].has_all(&texts[j])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_true_of_whatever_has_all_its_words() {
        let shirt = WordSet::of(["Acme Men Blue Shirt", "Apparel - Shirts - Blue"]);
        for text in ["blue shirts", "Shirt, blue!", "acme", "Acme Men Blue Shirt", "men's shirt"] {
            assert!(shirt.has_all(&WordSet::of([text])), "{text}");
        }
        for text in ["red shirt", "blue shirt dress", "navy"] {
            assert!(!shirt.has_all(&WordSet::of([text])), "{text}");
        }
    }

    #[test]
    fn texts_of_a_group_are_true_of_each_other_whatever_they_say() {
        let items =
            ["red hat", "crimson hat", "red hat with a brim"].map(|text| WordSet::of([text]));
        let texts = ["red hat", "crimson hat", "brim"].map(|text| WordSet::of([text]));
        let truth = by_words(&[1, 1, 2], &items.each_ref(), &texts);
        assert_eq!(truth, [true, true, false, true, true, false, true, false, true]);
        assert_eq!(by_group(&[1, 1, 2])[..3], [true, true, false]);
    }
}
