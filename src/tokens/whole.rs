//! A vocabulary of whole words: those seen often enough, most frequent first.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::FIRST;

/// Words and their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WholeWords {
    words: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl WholeWords {
    /// Keeps words seen at least `min_count` times; equally frequent ones in the order of letters.
    pub(super) fn learn(counts: HashMap<String, u64>, min_count: usize) -> Self {
        let mut counts: Vec<_> =
            counts.into_iter().filter(|(_, count)| *count >= min_count as u64).collect();
        counts.sort_unstable_by(|(a, a_count), (b, b_count)| {
            (Reverse(a_count), a).cmp(&(Reverse(b_count), b))
        });
        Self::new(counts.into_iter().map(|(word, _)| word).collect())
    }

    /// From words in the order of their numbers; a repeated word has the last one.
    pub(super) fn new(words: Vec<String>) -> Self {
        let numbers = words.iter().cloned().zip(FIRST..).collect();
        Self { words, numbers }
    }

    /// The words in the order of their numbers.
    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    /// Tokens, padding and unknown included.
    pub(super) fn len(&self) -> usize {
        self.words.len() + FIRST as usize
    }

    pub(super) fn number(&self, word: &str) -> Option<u32> {
        self.numbers.get(word).copied()
    }
}
