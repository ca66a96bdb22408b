//! What becomes of pictures and texts before a tower sees them, as data of the model.
//!
//! Every number and every choice here decides where a vector lies, so all of it stands in
//! `model.toml`, is part of the fingerprint, and is obeyed from there: by training, by embedding
//! and by evaluation alike. Nothing of it is a constant of the code that does the work.

use looksee_kernels::network::MapShape;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::architecture::Bounded;
use crate::images::{Frame, ImageBatch};

/// What the texts of an item are joined with unless a model says otherwise.
const SEPARATOR: &str = ". ";

/// What becomes of pictures and texts before a tower sees them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// From decoded pictures to values.
    pub pictures: PicturePreprocessing,
    /// From an item's texts to tokens.
    pub texts: TextPreprocessing,
}

/// From decoded pictures to values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PicturePreprocessing {
    /// The size of picture, and how pictures come to it.
    pub frame: Frame,
    /// How 8-bit pixels become values.
    pub pixels: PixelScale,
}

/// How 8-bit pixels become values: `(pixel / 255 - mean) / deviation`, for red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PixelScale {
    /// What is taken away.
    pub mean: [f32; 3],
    /// What the rest is divided by.
    pub deviation: [f32; 3],
}

/// From an item's texts to tokens; which tokens there are says the vocabulary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextPreprocessing {
    /// What stands between the texts of an item.
    pub separator: String,
    /// Tokens after which a text is cut.
    pub longest: usize,
}

impl Preprocessing {
    /// What this build does with pictures of this frame and scale, and with texts that are cut
    /// after `longest` tokens.
    pub(crate) fn new(frame: Frame, pixels: PixelScale, longest: usize) -> Self {
        Self {
            pictures: PicturePreprocessing { frame, pixels },
            texts: TextPreprocessing { separator: SEPARATOR.to_owned(), longest },
        }
    }

    /// Every number that a file can choose, by its name in `model.toml`.
    pub(super) fn bounded(&self) -> Vec<Bounded> {
        let PicturePreprocessing { frame, pixels } = &self.pictures;
        let TextPreprocessing { separator, longest } = &self.texts;
        let of_frame = |side| format!("preprocessing.pictures.frame.{side}");
        let mut bounds = vec![
            Bounded::size(of_frame("width_px"), frame.width_px, 16.0, 4096.0),
            Bounded::size(of_frame("height_px"), frame.height_px, 16.0, 4096.0),
            Bounded::size("preprocessing.texts.longest", *longest, 1.0, 8192.0),
            Bounded::size(
                "the length of preprocessing.texts.separator",
                separator.len(),
                0.0,
                64.0,
            ),
        ];
        for (mean, deviation) in pixels.mean.into_iter().zip(pixels.deviation) {
            let of_pixels = |name| format!("preprocessing.pictures.pixels.{name}");
            bounds.push(Bounded::new(of_pixels("mean"), mean, -1e3, 1e3));
            bounds.push(Bounded::new(of_pixels("deviation"), deviation, 1e-6, 1e3));
        }
        bounds
    }
}

impl TextPreprocessing {
    /// The texts of an item as one; `None` when there is no word in them.
    pub fn join(&self, texts: &[String]) -> Option<String> {
        join(texts, &self.separator)
    }
}

/// Texts with [`SEPARATOR`] between them, for encoders that do not care.
pub(super) fn join_plainly(texts: &[String]) -> Option<String> {
    join(texts, SEPARATOR)
}

fn join(texts: &[String], separator: &str) -> Option<String> {
    let texts = texts.iter().map(|text| text.trim());
    let texts: Vec<&str> = texts.filter(|text| !text.is_empty()).collect();
    (!texts.is_empty()).then(|| texts.join(separator))
}

/// Pictures as an image tower sees them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pixels {
    /// Of 3 channels.
    pub(crate) shape: MapShape,
    /// `[n, height, width, 3]`.
    pub(crate) values: Vec<f32>,
    /// How the values were made of pixels.
    pub(crate) scale: PixelScale,
}

impl PixelScale {
    /// Whether mean and deviation lie in the ranges that a model may have.
    pub(crate) fn is_sound(&self) -> bool {
        self.mean.iter().all(|mean| mean.abs() <= 1e3)
            && self.deviation.iter().all(|deviation| (1e-6..=1e3).contains(deviation))
    }

    /// 8-bit pictures -> values.
    pub(crate) fn of(&self, batch: &ImageBatch) -> Pixels {
        let Self { mean, deviation } = self;
        let table: [[f32; 256]; 3] = std::array::from_fn(|channel| {
            std::array::from_fn(|value| (value as f32 / 255.0 - mean[channel]) / deviation[channel])
        });
        let mut values = vec![0.0; batch.rgb.len()];
        // Whole pixels, and enough of them to be worth handing out.
        let task = 3 << 13;
        values.par_chunks_mut(task).zip(batch.rgb.par_chunks(task)).for_each(|(to, rgb)| {
            for (to, pixel) in to.chunks_exact_mut(3).zip(rgb.chunks_exact(3)) {
                for channel in 0..3 {
                    to[channel] = table[channel][usize::from(pixel[channel])];
                }
            }
        });
        let (n, height, width) = (batch.len(), batch.height_px, batch.width_px);
        Pixels { shape: MapShape { n, height, width, channels: 3 }, values, scale: *self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn texts_are_joined_without_the_empty_ones() {
        let texts = |separator: &str| TextPreprocessing { separator: separator.into(), longest: 9 };
        let hats = owned(&["red hat", " ", "a hat"]);
        assert_eq!(texts(". ").join(&hats).unwrap(), "red hat. a hat");
        assert_eq!(texts("|").join(&hats).unwrap(), "red hat|a hat");
        assert_eq!(join_plainly(&hats), texts(". ").join(&hats));
        assert_eq!(texts(". ").join(&owned(&["", " "])), None);
    }

    #[test]
    fn pixels_are_scaled_a_channel_each() {
        let scale = PixelScale { mean: [0.0, 0.5, 1.0], deviation: [1.0, 0.5, 2.0] };
        let batch = ImageBatch { width_px: 2, height_px: 1, rgb: vec![0, 0, 0, 255, 255, 255] };
        let Pixels { shape, values, .. } = scale.of(&batch);
        assert_eq!((shape.n, shape.height, shape.width), (1, 1, 2));
        assert_eq!(values, [0.0, -1.0, -0.5, 1.0, 1.0, 0.0]);
    }
}
