//! Models: pictures and texts to unit vectors.
//!
//! [`Encoder`] is what the rest of looksee knows of a model. [`Model`] is the one that `train`
//! makes: an image tower and a text tower ending in the same space, loaded from a folder. `card` is
//! its description, `folder` how it is written and taken away, `weight_file` how a part of its
//! numbers is read. With `ops` these are the only modules that name the tensor framework.

mod card;
mod efficientnet;
pub(crate) mod folder;
mod gru;
mod image;
mod model;
pub(crate) mod network;
pub(crate) mod parameters;
#[cfg(test)]
mod reference;
mod resnet;
pub(crate) mod towers;
mod weight_file;
pub mod weights;

pub use card::{Calibration, Card, Checksums, Files};
pub use folder::clear;
pub(crate) use folder::save;
pub use gru::TextTower;
pub use image::{Depth, Pool};
pub(crate) use image::{Freeze, MOMENTUM};
pub use model::Model;
pub use towers::Architecture;

use crate::error::Result;
use crate::images::{Frame, ImageBatch};
use crate::vectors::Vectors;

/// Turns pictures and texts into unit vectors of one space, where closer means more alike.
pub trait Encoder: Send + Sync {
    /// Short name of exactly these weights; vectors of other fingerprints do not compare.
    fn fingerprint(&self) -> &str;
    /// Values a vector.
    fn dim(&self) -> usize;
    /// The size of picture this encoder takes.
    fn frame(&self) -> Frame;
    /// `[n, height, width, 3]` -> `[n, dim]`.
    fn images(&self, batch: &ImageBatch) -> Result<Vectors>;
    /// n texts -> `[n, dim]`.
    fn texts(&self, texts: &[&str]) -> Result<Vectors>;
    /// Words of a query that the encoder has never seen.
    fn unknown_words(&self, text: &str) -> Vec<String>;
    /// The chance that a picture at this cosine from a text matches it.
    fn probability(&self, cosine: f32) -> f32;
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
