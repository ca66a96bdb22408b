//! How formats 1 and 2 of `model.toml` described a model, and what of it was never written down.
//!
//! They knew one kind of tower on each side, and the code that read them knew the rest: how pixels
//! are scaled and resized and what texts are joined with. An old model is read into today's
//! [`Architecture`] with that stated, and keeps its fingerprint, which is made of the old text.

use serde::{Deserialize, Serialize};

use super::architecture::{Architecture, ImageArchitecture, Pool, TextArchitecture};
use super::convolutional::{Convention, Convolutional, ConvolutionalNetwork, Head};
use super::gru::GruTower;
use super::preprocessing::Preprocessing;
use crate::images::{Filter, Fit, Frame};

/// The table `architecture` of formats 1 and 2, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FormerArchitecture {
    image: ConvolutionalNetwork,
    image_pool: Pool,
    dim: usize,
    frame: FormerFrame,
    text: FormerText,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct FormerFrame {
    width_px: usize,
    height_px: usize,
    fit: Fit,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FormerText {
    embedding: usize,
    hidden: usize,
    bidirectional: bool,
    pool: Pool,
    longest: usize,
    dropout: f32,
}

impl From<FormerArchitecture> for Architecture {
    fn from(former: FormerArchitecture) -> Self {
        let FormerArchitecture { image: network, image_pool, dim, frame, text } = former;
        let FormerFrame { width_px, height_px, fit } = frame;
        let FormerText { embedding, hidden, bidirectional, pool, longest, dropout } = text;
        let frame = Frame { width_px, height_px, fit, filter: Filter::CatmullRom };
        Self {
            dim,
            image: ImageArchitecture::Convolutional(Convolutional {
                network,
                convention: Convention::Original,
                pool: image_pool,
                colours: false,
                head: Head::Linear,
            }),
            text: TextArchitecture::Gru(GruTower {
                embedding,
                hidden,
                bidirectional,
                pool,
                dropout,
                mean: false,
                grams: 0,
            }),
            preprocessing: Preprocessing::new(frame, network.pixels(), longest),
            kept: None,
        }
    }
}

#[cfg(test)]
impl FormerArchitecture {
    /// How earlier builds described the model of a recipe.
    pub(super) fn of(recipe: &crate::train::Recipe) -> Self {
        let (image, text) = (&recipe.image, &recipe.text_tower);
        let (width_px, height_px, fit) = (image.width, image.height, image.fit);
        Self {
            image: image.tower,
            image_pool: image.pool,
            dim: recipe.dim,
            frame: FormerFrame { width_px, height_px, fit },
            text: FormerText {
                embedding: text.embedding,
                hidden: text.hidden,
                bidirectional: text.bidirectional,
                pool: text.pool,
                longest: text.longest,
                dropout: text.dropout,
            },
        }
    }
}
