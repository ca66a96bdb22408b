//! Texts to numbers.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Result;

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
        /// Largest number of pieces.
        size: usize,
    },
}

/// The number of the padding token.
pub const PADDING: u32 = 0;
/// The number of the unknown token.
pub const UNKNOWN: u32 = 1;

/// Which tokens there are; travels with the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {}

impl Vocabulary {
    /// Learns from texts; the same texts in any order give the same vocabulary.
    pub fn learn<'a>(texts: impl IntoIterator<Item = &'a str>, rules: &Rules) -> Self {
        let _ = (texts.into_iter().count(), rules);
        unimplemented!()
    }

    /// Number of tokens, padding and unknown included.
    pub fn len(&self) -> usize {
        unimplemented!()
    }

    /// Never: padding and unknown are always there.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The token numbers of one text; at least one ([`UNKNOWN`] for a text without tokens).
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let _ = text;
        unimplemented!()
    }

    /// Encodes texts and pads them to the longest, which is cut at `longest` tokens.
    pub fn batch<T: AsRef<str>>(&self, texts: &[T], longest: usize) -> TokenBatch {
        let _ = (texts, longest);
        unimplemented!()
    }

    /// Words of `text` that the vocabulary has never seen (for a search to name).
    pub fn unknown_words(&self, text: &str) -> Vec<String> {
        let _ = text;
        unimplemented!()
    }

    /// Writes `vocabulary.json`, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        let _ = path;
        unimplemented!()
    }

    /// Reads what [`Vocabulary::save`] wrote.
    pub fn load(path: &Path) -> Result<Self> {
        let _ = path;
        unimplemented!()
    }
}

/// Encoded texts, padded to one length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenBatch {
    /// Tokens a text, padding included.
    pub len: usize,
    /// `[n, len]` token numbers.
    pub ids: Vec<u32>,
    /// `[n]` tokens of each text before its padding, at least 1.
    pub lengths: Vec<u32>,
}
