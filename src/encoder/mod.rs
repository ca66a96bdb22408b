//! Models: pictures and texts to unit vectors.
//!
//! [`Encoder`] is what the rest of looksee knows of a model. [`Model`] is the one that `train`
//! makes: an image tower and a text tower ending in the same space, loaded from a folder.
//! [`Architecture`] says what both are and what becomes of pictures and texts before them; each
//! kind of tower is an implementation of `tower::Tower` in a file of its own. `card` is a model's
//! description, `folder` how it is written and taken away, `weight_file` how a part of its numbers
//! is read. With `ops` and `train`, this is the only module that names the tensor framework.

pub(crate) mod architecture;
mod card;
mod colours;
mod convolutional;
mod efficientnet;
pub(crate) mod folder;
mod former;
pub(crate) mod gru;
mod model;
pub(crate) mod network;
pub(crate) mod parameters;
pub(crate) mod preprocessing;
pub(crate) mod pretrained;
#[cfg(test)]
mod reference;
mod resnet;
mod silent;
pub(crate) mod statistics;
pub(crate) mod tower;
pub(crate) mod towers;
mod weight_file;
pub mod weights;

pub use architecture::{Architecture, ImageArchitecture, Kept, Pool, TextArchitecture};
pub use card::{Calibration, Card, Checksums, Files};
pub use convolutional::{Convention, Convolutional, ConvolutionalNetwork, Head};
pub(crate) use convolutional::{FEATURE_DEVIATION, FEATURE_MEAN, MOMENTUM};
pub use folder::clear;
pub(crate) use folder::save;
pub use gru::GruTower;
pub use model::Model;
pub use preprocessing::{PicturePreprocessing, PixelScale, Preprocessing, TextPreprocessing};
pub use pretrained::Pretrained;
pub(crate) use tower::Freeze;

use crate::catalogue::Learnt;
use crate::error::Result;
use crate::images::{Frame, ImageBatch};
use crate::vectors::Vectors;

/// Turns pictures and texts into unit vectors of one space, where closer means more alike.
pub trait Encoder: Send + Sync {
    /// Short name of exactly these weights; vectors of other fingerprints do not compare.
    fn fingerprint(&self) -> &str;
    /// Values a vector.
    fn dim(&self) -> usize;
    /// The size of picture this encoder takes, and how pictures come to it.
    fn frame(&self) -> Frame;
    /// The texts of an item as the one that [`Encoder::texts`] is asked for; `None` when there is
    /// no word in them. Full stops between them, unless the encoder was trained otherwise.
    fn join(&self, texts: &[String]) -> Option<String> {
        preprocessing::join_plainly(texts)
    }
    /// `[n, height, width, 3]` -> `[n, dim]`.
    fn images(&self, batch: &ImageBatch) -> Result<Vectors>;
    /// Whether it reads texts; if not, [`Encoder::texts`] is an error and [`Encoder::join`] never
    /// gives any.
    fn reads_texts(&self) -> bool {
        true
    }
    /// n texts -> `[n, dim]`.
    fn texts(&self, texts: &[&str]) -> Result<Vectors>;
    /// Words of a query that the encoder has never seen.
    fn unknown_words(&self, text: &str) -> Vec<String>;
    /// The chance that a picture at this cosine from a text matches it.
    fn probability(&self, cosine: f32) -> f32;
    /// What it has learnt from, where that is known.
    fn learnt(&self) -> Option<Learnt> {
        None
    }
}

/// What [`save`] writes besides the numbers.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) architecture: Architecture,
    pub(crate) calibration: Calibration,
    pub(crate) data: toml::Table,
    pub(crate) metrics: toml::Table,
    pub(crate) recipe: toml::Table,
}
