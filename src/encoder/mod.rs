//! Models: pictures and texts to unit vectors.

pub mod weights;

use std::path::Path;

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

/// A trained model, loaded from its folder.
#[derive(Debug)]
pub struct Model {}

impl Model {
    /// Loads `model.toml`, `weights.safetensors` and `vocabulary.json` of a model folder.
    pub fn load(folder: &Path) -> Result<Self> {
        let _ = folder;
        unimplemented!()
    }
    /// `model.toml` as text, for `looksee info`.
    pub fn describe(&self) -> String {
        unimplemented!()
    }
}

impl Encoder for Model {
    fn fingerprint(&self) -> &str {
        unimplemented!()
    }
    fn dim(&self) -> usize {
        unimplemented!()
    }
    fn frame(&self) -> Frame {
        unimplemented!()
    }
    fn images(&self, batch: &ImageBatch) -> Result<Vectors> {
        let _ = batch;
        unimplemented!()
    }
    fn texts(&self, texts: &[&str]) -> Result<Vectors> {
        let _ = texts;
        unimplemented!()
    }
    fn unknown_words(&self, text: &str) -> Vec<String> {
        let _ = text;
        unimplemented!()
    }
    fn probability(&self, cosine: f32) -> f32 {
        let _ = cosine;
        unimplemented!()
    }
}
