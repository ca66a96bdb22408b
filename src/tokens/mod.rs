//! Texts to numbers.
//!
//! A [`Vocabulary`] is learned once from the training texts and travels with the model; it turns a
//! text into token numbers for the text tower and tells a search which of its words were never
//! trained. There are three [`Rules`]: whole words, as the article has it, sub-word pieces, which
//! keep the parts of a rare word, and whole words with character n-grams beside them, which make
//! something of any word (docs/adr/0006-sub-word-pieces.md). All cut texts into the same words (see
//! `words`), but for numbers, so they differ in what becomes of a word.
//!
//! ```
//! use looksee::tokens::{Rules, Vocabulary};
//!
//! let texts = ["red dress", "red shoe", "blue dress"];
//! let vocabulary = Vocabulary::learn(texts, &Rules::Words { min_count: 1 });
//! let batch = vocabulary.batch(&["a red dress!", "shoe"], 70);
//! assert_eq!((batch.len, batch.lengths.as_slice()), (4, [4, 1].as_slice()));
//! assert_eq!(vocabulary.unknown_words("red xyzzy"), ["xyzzy"]);
//! ```

mod grams;
mod pieces;
mod stored;
pub(crate) mod vectors;
mod whole;
mod words;

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::files;
use grams::WordsAndGrams;
use pieces::Pieces;
use whole::WholeWords;
use words::{Cut, Words};

/// How a text is cut and which cuts get a number of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Rules {
    /// Whole words, as the article has it: lower case, punctuation and digits split off.
    Words {
        /// Words seen less often become the unknown token.
        min_count: usize,
    },
    /// Sub-word pieces (byte-pair encoding), so that a rare word keeps its parts.
    Pieces {
        /// Largest number of pieces; every character of the texts gets one even beyond it, so
        /// that no character that was seen is ever unknown.
        size: usize,
    },
    /// Whole words, and beside each its character n-grams (3 to 5, ends marked), hashed into buckets
    /// (Bojanowski et al., 2017): a word that was never seen is what its n-grams are. Numbers are
    /// whole words.
    WordsAndGrams {
        /// Words seen less often are their n-grams alone.
        #[serde(default = "usual_min_count")]
        min_count: usize,
        /// How many buckets n-grams share, at least 1.
        #[serde(default = "usual_buckets")]
        buckets: usize,
    },
}

fn usual_min_count() -> usize {
    2
}

fn usual_buckets() -> usize {
    20_000
}

impl Rules {
    /// Buckets of n-grams; 0 where there are none.
    pub fn buckets(&self) -> usize {
        match *self {
            Self::WordsAndGrams { buckets, .. } => buckets,
            Self::Words { .. } | Self::Pieces { .. } => 0,
        }
    }

    fn cut(&self) -> Cut {
        match self {
            Self::WordsAndGrams { .. } => Cut::Numbers,
            Self::Words { .. } | Self::Pieces { .. } => Cut::Digits,
        }
    }
}

/// The number of the padding token.
pub const PADDING: u32 = 0;
/// The number of the unknown token.
pub const UNKNOWN: u32 = 1;
/// Most bytes of a vocabulary's file: room for ten million words.
pub(crate) const MOST_BYTES: u64 = 256 << 20;
/// The number of the first token that stands for something.
const FIRST: u32 = 2;

/// Which tokens there are; travels with the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Words(WholeWords),
    Pieces(Pieces),
    WordsAndGrams(WordsAndGrams),
}

impl Vocabulary {
    /// Learns from texts; the same texts in any order give the same vocabulary.
    pub fn learn<'a>(texts: impl IntoIterator<Item = &'a str>, rules: &Rules) -> Self {
        let counts = word_counts(texts, rules.cut());
        Self(match *rules {
            Rules::Words { min_count } => Kind::Words(WholeWords::learn(counts, min_count)),
            Rules::Pieces { size } => Kind::Pieces(Pieces::learn(&counts, size)),
            Rules::WordsAndGrams { min_count, buckets } => {
                Kind::WordsAndGrams(WordsAndGrams::learn(counts, min_count, buckets))
            }
        })
    }

    /// Number of tokens, padding and unknown included.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kind::Words(words) => words.len(),
            Kind::Pieces(pieces) => pieces.len(),
            Kind::WordsAndGrams(words) => words.len(),
        }
    }

    /// Buckets of character n-grams; 0 for a vocabulary without them.
    pub fn buckets(&self) -> usize {
        match &self.0 {
            Kind::Words(_) | Kind::Pieces(_) => 0,
            Kind::WordsAndGrams(words) => words.buckets(),
        }
    }

    fn cut(&self) -> Cut {
        match &self.0 {
            Kind::Words(_) | Kind::Pieces(_) => Cut::Digits,
            Kind::WordsAndGrams(_) => Cut::Numbers,
        }
    }

    /// Never: padding and unknown are always there.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The token numbers of one text; at least one ([`UNKNOWN`] for a text without tokens). The
    /// n-grams of words are in a [`batch`](Self::batch).
    pub fn encode(&self, text: &str) -> Vec<u32> {
        self.encode_at_most(text, usize::MAX, &mut HashMap::new())
    }

    /// Encodes texts and pads them to the longest, which is cut at `longest` tokens (at least 1).
    pub fn batch<T: AsRef<str>>(&self, texts: &[T], longest: usize) -> TokenBatch {
        if let Kind::WordsAndGrams(words) = &self.0 {
            return words.batch(texts, longest.max(1));
        }
        let mut known = HashMap::new();
        let rows: Vec<Vec<u32>> = texts
            .iter()
            .map(|text| self.encode_at_most(text.as_ref(), longest.max(1), &mut known))
            .collect();
        TokenBatch::padded(&rows)
    }

    /// Words of `text` that the vocabulary has never seen (for a search to name), each once, folded
    /// as [`Vocabulary::encode`] folds them. Punctuation is not worth a word to the user. Where words
    /// have n-grams, one is unknown when most of it lies in none of four characters or more that the
    /// training texts had: of "tshrit" enough is known, of "xyzzy" nothing.
    pub fn unknown_words(&self, text: &str) -> Vec<String> {
        let mut unknown: Vec<String> = Vec::new();
        let mut words = Words::of(text, self.cut());
        while let Some(word) = words.next() {
            let named = unknown.iter().any(|other| other == word);
            if !named && !words::is_punctuation(word) && !self.has_seen(word) {
                unknown.push(word.to_owned());
            }
        }
        unknown
    }

    /// Writes `vocabulary.json`, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        files::replace_bytes(path, &self.to_bytes()?)
    }

    /// What [`Vocabulary::save`] writes.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        stored::to_bytes(self)
    }

    /// Takes what [`Vocabulary::save`] wrote.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        stored::parse(bytes)
    }

    /// Reads what [`Vocabulary::save`] wrote; a file of more than 256 MB is refused.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = files::read_at_most(path, MOST_BYTES)?;
        Self::parse(&bytes).map_err(|error| error.at_file(path))
    }

    fn has_seen(&self, word: &str) -> bool {
        match &self.0 {
            Kind::Words(words) => words.number(word).is_some(),
            Kind::Pieces(pieces) => pieces.has_seen(word),
            Kind::WordsAndGrams(words) => words.knows(word),
        }
    }

    /// Stops at `most` tokens, so that a text of a million words costs no more than its beginning.
    /// `known` keeps the pieces of words met before.
    fn encode_at_most(
        &self,
        text: &str,
        most: usize,
        known: &mut HashMap<String, Vec<u32>>,
    ) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut words = Words::of(text, self.cut());
        while ids.len() < most
            && let Some(word) = words.next()
        {
            match &self.0 {
                Kind::Words(words) => ids.push(words.number(word).unwrap_or(UNKNOWN)),
                Kind::WordsAndGrams(words) => ids.push(words.number(word).unwrap_or(UNKNOWN)),
                Kind::Pieces(pieces) => {
                    if !known.contains_key(word) {
                        known.insert(word.to_owned(), pieces.encode(word));
                    }
                    ids.extend(&known[word]);
                }
            }
        }
        ids.truncate(most);
        if ids.is_empty() {
            ids.push(UNKNOWN);
        }
        ids
    }
}

/// Hands every word of a text to `take`, folded, punctuation left out: the words that two texts may
/// have in common, whatever a vocabulary makes of them.
pub(crate) fn each_word(text: &str, mut take: impl FnMut(&str)) {
    let mut words = Words::of(text, Cut::Numbers);
    while let Some(word) = words.next() {
        if !words::is_punctuation(word) {
            take(word);
        }
    }
}

fn word_counts<'a>(texts: impl IntoIterator<Item = &'a str>, cut: Cut) -> HashMap<String, u64> {
    let mut counts = HashMap::new();
    for text in texts {
        let mut words = Words::of(text, cut);
        while let Some(word) = words.next() {
            match counts.get_mut(word) {
                Some(count) => *count += 1,
                None => drop(counts.insert(word.to_owned(), 1)),
            }
        }
    }
    counts
}

/// Encoded texts, padded to one length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenBatch {
    /// Tokens a text, padding included.
    pub len: usize,
    /// `[n, len]` token numbers.
    pub ids: Vec<u32>,
    /// `[n]` tokens of each text before its padding, at least 1.
    pub lengths: Vec<u32>,
    /// The n-grams of the tokens, where the vocabulary has them.
    pub grams: Grams,
}

/// The character n-grams of a batch's tokens: what each of its words has, listed once a word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grams {
    /// `[n, len]` which of the lists a token has; the first, number 0, is empty. No numbers where the
    /// vocabulary has no n-grams.
    pub lists: Vec<u32>,
    /// Where each list begins in `buckets`, and where the last ends: one more than there are lists.
    pub starts: Vec<u32>,
    /// The buckets of all lists, each below [`Vocabulary::buckets`].
    pub buckets: Vec<u32>,
}

impl TokenBatch {
    fn padded(rows: &[Vec<u32>]) -> Self {
        let len = rows.iter().map(Vec::len).max().unwrap_or(1);
        let mut ids = vec![PADDING; rows.len() * len];
        for (to, row) in ids.chunks_exact_mut(len).zip(rows) {
            to[..row.len()].copy_from_slice(row);
        }
        let lengths = rows.iter().map(|row| row.len() as u32).collect();
        Self { len, ids, lengths, grams: Grams::default() }
    }
}

#[cfg(test)]
mod tests;
