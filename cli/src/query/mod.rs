//! Queries: what the user wrote, understood as a weighted sum of words, pictures and items.
//!
//! [`parse`] reads the words and touches no file but to ask whether one exists; [`vectors`] turns
//! the parts into unit vectors. A query's own vector is the normalised weighted sum of the unit
//! vectors of its parts, so `./shoe.jpg + 0.5:blue` lies between the picture and the word.

pub(crate) mod parse;
pub(crate) mod vectors;

use std::fmt;
use std::path::PathBuf;

use looksee::units::ItemId;

/// One query: at least one part.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    pub(crate) parts: Vec<Part>,
}

/// One summand of a query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    /// Its share of the sum; below 0 for what is taken away, never 0.
    pub(crate) weight: f32,
    pub(crate) content: Content,
}

/// What a part shows or says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Words(String),
    Picture(PathBuf),
    /// The picture on standard input.
    StandardInput,
    /// The picture of an item in the index.
    Item(ItemId),
}

impl Query {
    /// The words of the parts that are words.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match &part.content {
            Content::Words(words) => Some(words.as_str()),
            _ => None,
        })
    }

    /// Whether all parts are words: the chance that a hit matches is known for these only.
    pub(crate) fn is_words_only(&self) -> bool {
        self.words().count() == self.parts.len()
    }
}

/// The query as it was understood, in the user's own notation.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, part) in self.parts.iter().enumerate() {
            match (number, part.weight < 0.0) {
                (0, true) => f.write_str("- ")?,
                (0, false) => {}
                (_, true) => f.write_str(" - ")?,
                (_, false) => f.write_str(" + ")?,
            }
            if (part.weight.abs() - 1.0).abs() > f32::EPSILON {
                write!(f, "{}:", part.weight.abs())?;
            }
            write!(f, "{}", part.content)?;
        }
        Ok(())
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(words) => f.write_str(words),
            Self::Picture(path) => write!(f, "{}", path.display()),
            Self::StandardInput => f.write_str("picture on standard input"),
            Self::Item(id) => write!(f, "id:{id}"),
        }
    }
}
