//! What `cargo xtask bench` measures: looksee's own training step, embedding and convolutions, on
//! made-up pictures.
//!
//! `examples/work.rs` is the only caller: one work, one process. The work is done by the code that
//! `looksee train` and `looksee index` run; what stands here only feeds it. Weights and pictures
//! come from a formula (`made`) that the scripts in `xtask/peers` know as well, so that other
//! programs do the very same work and must come to the same answer.
//!
//! Not part of the library: compiled with the feature `bench` and for the tests, which know the
//! same formula, and free to change.

mod convolutions;
mod embedding;
pub(crate) mod made;
mod operations;
mod training;

pub use convolutions::{Layer, PASSES, convolutions};

use crate::encoder::Architecture;
use crate::error::Result;
use crate::train::Recipe;
use embedding::Embedding;
use training::Training;

/// Values of an embedding.
const DIM: usize = 128;

/// How much is done at once, and by what.
#[derive(Clone, Copy, Debug)]
pub struct Size<'a> {
    /// Name of the network that sees the pictures, as a recipe has it.
    pub network: &'a str,
    /// Pictures or texts.
    pub batch: usize,
    /// Height and width of the pictures in pixels.
    pub side: usize,
}

/// Something that can be done again and again.
pub trait Work {
    /// Does it once.
    fn run(&mut self) -> Result<()>;

    /// Multiplications and additions of its matrix products and convolutions, in units of 10^9.
    fn gflop(&self) -> f64;

    /// What it comes to when it is done once from the start, by name. Another program that starts
    /// from the same weights and inputs must find the same.
    fn answer(&self) -> Result<Vec<(String, f64)>>;
}

/// `train`: one step of the image tower, loss the mean square of its unscaled output, by Adam.
pub fn image_training(size: Size<'_>) -> Result<Box<dyn Work>> {
    Ok(Box::new(Training::of_images(size)?))
}

/// `gru`: the same of the text tower between its embedding and its linear layer.
pub fn text_training(batch: usize) -> Result<Box<dyn Work>> {
    Ok(Box::new(Training::of_texts(batch)?))
}

/// `words`: the same of the whole text tower on short texts, its embedding included; `grams`: with
/// character n-grams beside the words.
pub fn word_training(batch: usize, with_grams: bool) -> Result<Box<dyn Work>> {
    Ok(Box::new(Training::of_words(batch, with_grams)?))
}

/// `embed`: decoded pictures to unit vectors.
pub fn embedding(size: Size<'_>) -> Result<Box<dyn Work>> {
    Ok(Box::new(Embedding::new(size)?))
}

/// The article's networks with another image tower.
fn recipe(network: &str, side: usize) -> Result<Recipe> {
    let mut recipe = Recipe::named("article")?;
    let (side, dim) = (side.to_string(), DIM.to_string());
    for (key, value) in [
        ("image.tower", network),
        ("image.width", &side),
        ("image.height", &side),
        ("dim", &dim),
        ("text_tower.dropout", "0.0"),
    ] {
        recipe.set(key, value)?;
    }
    Ok(recipe)
}

fn architecture(size: Size<'_>) -> Result<Architecture> {
    Ok(recipe(size.network, size.side)?.architecture())
}

#[cfg(test)]
mod tests;
