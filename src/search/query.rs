//! A query as a value: a weighted sum of words, pictures and items.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::references::Allowed;
use crate::error::{Error, Result};
use crate::units::ItemId;

/// What is asked: at least one part. Its vector is the normalised weighted sum of the unit vectors
/// of its parts, so that `./shoe.jpg + 0.5:blue` lies between the picture and the word.
///
/// ```
/// use looksee::search::{Allowed, Content, Query};
///
/// let query = Query::parse("red dress - 0.5:sleeves", Allowed::WORDS)?.query;
/// assert_eq!(query.parts[1].weight, -0.5);
/// assert_eq!(query.to_string(), "red dress - 0.5:sleeves");
///
/// let like_it = Query::of(Content::Upload(0)).and(0.5, Content::Words("blue".to_owned()));
/// assert_eq!(like_it.to_string(), "picture 1 + 0.5:blue");
/// # Ok::<(), looksee::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// The summands.
    pub parts: Vec<Part>,
}

/// One summand of a [`Query`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Its share of the sum; below 0 for what is taken away, never 0.
    pub weight: f32,
    /// What it shows or says.
    pub content: Content,
}

/// What a [`Part`] shows or says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Words of any language that the model has learned.
    Words(String),
    /// The picture in a file. Nothing opens it but a [`References`](super::References) that allows
    /// files.
    File(PathBuf),
    /// The picture on standard input.
    StandardInput,
    /// A picture that came with the request, by its number from 0.
    Upload(usize),
    /// The picture of an item of the collection.
    Item(ItemId),
}

impl Query {
    /// A query of one part with weight 1.
    pub fn of(content: Content) -> Self {
        Self { parts: vec![Part { weight: 1.0, content }] }
    }

    /// The query with one part more.
    #[must_use]
    pub fn and(mut self, weight: f32, content: Content) -> Self {
        self.parts.push(Part { weight, content });
        self
    }

    /// The words of the parts that are words.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match &part.content {
            Content::Words(words) => Some(words.as_str()),
            _ => None,
        })
    }

    /// Whether all parts are words: the chance that a hit matches is known for these only.
    pub fn is_words_only(&self) -> bool {
        self.words().count() == self.parts.len()
    }

    /// Refuses what parsing never gives but a value made by hand, or read from a stranger, may be:
    /// no parts, weights that are no numbers, and parts that `allowed` does not know.
    pub(super) fn check(&self, allowed: Allowed) -> Result<()> {
        if self.parts.is_empty() {
            return Err(Error::invalid("the query has no parts"));
        }
        for part in &self.parts {
            if part.weight == 0.0 || !part.weight.is_finite() {
                let sentence = format!(
                    "the weight of \"{}\" is {}; it must be a number other than 0",
                    part.content, part.weight
                );
                return Err(Error::invalid(sentence));
            }
            allowed.expect(&part.content)?;
        }
        Ok(())
    }
}

/// The query as it was understood, in the notation that [`Query::parse`] reads.
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
            Self::File(path) => write!(f, "{}", path.display()),
            Self::StandardInput => f.write_str("picture on standard input"),
            Self::Upload(number) => write!(f, "picture {}", number + 1),
            Self::Item(id) => write!(f, "id:{id}"),
        }
    }
}

/// What [`Searcher::search`](super::Searcher::search) takes: a [`Query`], or a text that is read as
/// one of words and items.
pub trait IntoQuery {
    /// The query.
    fn into_query(self) -> Result<Query>;
}

impl IntoQuery for Query {
    fn into_query(self) -> Result<Query> {
        Ok(self)
    }
}

impl IntoQuery for &Query {
    fn into_query(self) -> Result<Query> {
        Ok(self.clone())
    }
}

impl IntoQuery for &str {
    fn into_query(self) -> Result<Query> {
        Ok(Query::parse(self, Allowed::WORDS_AND_ITEMS)?.query)
    }
}

impl IntoQuery for &String {
    fn into_query(self) -> Result<Query> {
        self.as_str().into_query()
    }
}
