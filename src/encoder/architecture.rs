//! What a model is but for its numbers and its vocabulary: two towers, the space that they end in,
//! and what becomes of pictures and texts before them.
//!
//! A tower is named by its `kind`; what else it needs to be said are the fields of that kind. A new
//! kind is a variant here and a [`Tower`] in a file of its own (docs/adding-a-tower.md).

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::convolutional::Convolutional;
use super::gru::GruTower;
use super::preprocessing::Preprocessing;
use super::silent::Silent;
use super::tower::{ImageTower, Tower};
use crate::tokens::TokenBatch;

/// Everything about a model but its numbers and its vocabulary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Values of an embedding.
    pub dim: usize,
    /// What sees the pictures.
    pub image: ImageArchitecture,
    /// What reads the texts.
    pub text: TextArchitecture,
    /// What becomes of pictures and texts before.
    pub preprocessing: Preprocessing,
    /// What the vectors of pictures keep of the features beside the common space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
}

/// What the vector of a picture keeps of its tower's own features, in values of their own behind the
/// common space, where the vector of a text has zeros.
///
/// Texts teach the common space what a catalogue speaks of, and it forgets what else pictures share.
/// With `s` the share, the cosine of two pictures is `(1 - s)` times that in the common space plus `s`
/// times that of their features; the cosine of a picture and a text is `sqrt(1 - s)` times that in the
/// common space, so that texts find the same pictures in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Values behind those of the common space.
    pub dim: usize,
    /// Their share of a picture's vector, 0 to 1.
    pub share: f32,
}

/// What sees the pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ImageArchitecture {
    /// A convolutional network with a pool and a linear layer behind it.
    Convolutional(Convolutional),
}

/// What reads the texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TextArchitecture {
    /// Recurrent layers with a pool and a linear layer behind them.
    Gru(GruTower),
    /// Nothing: pictures find pictures, and texts have no place.
    None,
}

/// How the positions of a map, or the states of a text, become one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pool {
    /// The largest value of each feature.
    #[default]
    Max,
    /// The mean of each feature.
    Average,
    /// The means, and beside them the largest values.
    Both,
}

impl Pool {
    /// How many values it makes of each feature.
    pub(super) fn parts(self) -> usize {
        match self {
            Self::Max | Self::Average => 1,
            Self::Both => 2,
        }
    }
}

impl ImageArchitecture {
    /// The tower, ending in `dim` values.
    pub(super) fn tower(&self, dim: usize) -> Arc<dyn ImageTower> {
        match self {
            Self::Convolutional(convolutional) => Arc::new(convolutional.tower(dim)),
        }
    }

    fn bounded(&self, dim: usize) -> Vec<Bounded> {
        match self {
            Self::Convolutional(convolutional) => convolutional.bounded(dim),
        }
    }
}

impl TextArchitecture {
    /// The tower for so many tokens, ending in `dim` values.
    pub(super) fn tower(
        &self,
        vocabulary: usize,
        dim: usize,
    ) -> Arc<dyn Tower<Input = TokenBatch>> {
        match self {
            Self::Gru(gru) => Arc::new(gru.tower(vocabulary, dim)),
            Self::None => Arc::new(Silent { dim }),
        }
    }

    /// Buckets of n-grams that the vocabulary must have.
    pub(super) fn buckets(&self) -> usize {
        match self {
            Self::Gru(gru) => gru.grams,
            Self::None => 0,
        }
    }

    fn bounded(&self) -> Vec<Bounded> {
        match self {
            Self::Gru(gru) => gru.bounded(),
            Self::None => Vec::new(),
        }
    }
}

impl Architecture {
    /// Values of a vector: those of the common space, and what is kept behind them.
    pub fn vector_dim(&self) -> usize {
        self.dim + self.kept.map_or(0, |kept| kept.dim)
    }

    /// Whether it has a text tower.
    pub fn reads_texts(&self) -> bool {
        self.text != TextArchitecture::None
    }

    /// Every number that a file can choose, by its name below `architecture` in `model.toml`.
    pub(crate) fn bounded(&self) -> Vec<Bounded> {
        let mut bounds = vec![Bounded::size("dim", self.dim, 1.0, 65_536.0)];
        if let Some(Kept { dim, share }) = self.kept {
            bounds.push(Bounded::size("kept.dim", dim, 1.0, 65_536.0));
            bounds.push(Bounded::new("kept.share", share, 0.0, 0.99));
        }
        bounds.extend(self.image.bounded(self.dim));
        bounds.extend(self.text.bounded());
        bounds.extend(self.preprocessing.bounded());
        bounds
    }
}

/// A number that whoever wrote a file chose, and the range that it must lie in.
#[derive(Clone, Debug)]
pub(crate) struct Bounded {
    key: Cow<'static, str>,
    value: f64,
    low: f64,
    high: f64,
}

impl Bounded {
    pub(crate) fn new(
        key: impl Into<Cow<'static, str>>,
        value: impl Into<f64>,
        low: f64,
        high: f64,
    ) -> Self {
        Self { key: key.into(), value: value.into(), low, high }
    }

    /// A whole number; what is lost beyond 2^53 lies out of every range.
    pub(crate) fn size(
        key: impl Into<Cow<'static, str>>,
        value: usize,
        low: f64,
        high: f64,
    ) -> Self {
        Self::new(key, value as f64, low, high)
    }

    /// The same number under the name that another file has for it.
    pub(crate) fn renamed(self, name: impl FnOnce(&str) -> Cow<'static, str>) -> Self {
        Self { key: name(&self.key), ..self }
    }

    /// The sentence about the first of `all` that lies outside.
    pub(crate) fn first_outside(all: &[Self]) -> Option<String> {
        let outside = |one: &&Self| !(one.low..=one.high).contains(&one.value);
        all.iter().find(outside).map(|Self { key, value, low, high }| {
            format!("{key} is {value}; it must lie between {low} and {high}")
        })
    }
}
