//! Small random changes to a training picture: mirror image, crop, light.
//!
//! All chance comes from the generator that is passed in, so a step is the same when it is run
//! again. A change that is switched off costs nothing and draws nothing.

use fast_image_resize::FilterType;
use serde::{Deserialize, Serialize};

use super::ImageBatch;
use super::frame::{Part, Pixels, resize};

/// Small random changes that leave a picture's meaning as it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Augment {
    /// Chance of a mirror image, 0 to 1.
    pub flip: f32,
    /// Smallest share of the area that a random crop keeps; 1 for no crop.
    pub crop: f32,
    /// Largest change of brightness and of contrast, as a share; 0 for none.
    pub light: f32,
}

impl Default for Augment {
    fn default() -> Self {
        Self { flip: 0.5, crop: 1.0, light: 0.0 }
    }
}

impl Augment {
    /// Writes a changed copy of `rgb` (`[height, width, 3]`) to the end of `batch`.
    ///
    /// A crop keeps a share of the area between [`Augment::crop`] and 1, its width to height within
    /// 3/4 to 4/3 of the frame's, and is enlarged to the frame again.
    ///
    /// # Panics
    /// When the picture has another size than the batch.
    pub fn push(&self, rgb: &[u8], batch: &mut ImageBatch, rng: &mut fastrand::Rng) {
        let start = batch.rgb.len();
        if self.crop < 1.0 {
            let picture = Pixels { width_px: batch.width_px, height_px: batch.height_px, rgb };
            batch.push(&self.cropped(picture, rng));
        } else {
            batch.push(rgb);
        }
        let copy = &mut batch.rgb[start..];
        if self.flip > 0.0 && rng.f32() < self.flip {
            mirror(copy, batch.width_px);
        }
        if self.light > 0.0 {
            self.relight(copy, rng);
        }
    }

    fn cropped(&self, picture: Pixels<'_>, rng: &mut fastrand::Rng) -> Vec<u8> {
        let whole = (picture.width_px, picture.height_px);
        let size = self.crop_size(whole, rng);
        let part = Part::within(whole, size, rng.f64(), rng.f64());
        resize(picture, part, whole, FilterType::Bilinear)
    }

    /// Width and height of a random crop; the whole picture when ten draws stick out of it.
    fn crop_size(&self, whole: (usize, usize), rng: &mut fastrand::Rng) -> (f64, f64) {
        let (width, height) = (whole.0 as f64, whole.1 as f64);
        let least = f64::from(self.crop.clamp(0.01, 1.0));
        for _ in 0..10 {
            let share = least + (1.0 - least) * rng.f64();
            // Even in the logarithm, so that wide and tall are as likely.
            let aspect = (4.0f64 / 3.0).powf(2.0 * rng.f64() - 1.0);
            let (across, down) = ((share * aspect).sqrt(), (share / aspect).sqrt());
            if across <= 1.0 && down <= 1.0 {
                return ((across * width).max(1.0), (down * height).max(1.0));
            }
        }
        (width, height)
    }

    /// Multiplies the picture's mean by one random factor and the distance from it by another.
    fn relight(&self, rgb: &mut [u8], rng: &mut fastrand::Rng) {
        let mut factor = || 1.0 + self.light.min(1.0) * (2.0 * rng.f32() - 1.0);
        let (brightness, contrast) = (factor(), factor());
        let mean =
            rgb.iter().map(|&value| u64::from(value)).sum::<u64>() as f32 / rgb.len().max(1) as f32;
        let changed: [u8; 256] = std::array::from_fn(|value| {
            (brightness * (mean + contrast * (value as f32 - mean))).round() as u8
        });
        for value in rgb {
            *value = changed[usize::from(*value)];
        }
    }
}

fn mirror(rgb: &mut [u8], width_px: usize) {
    for row in rgb.chunks_exact_mut(width_px * 3) {
        let (pixels, _) = row.as_chunks_mut::<3>();
        pixels.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::{Filter, Fit, Frame};

    const FRAME: Frame =
        Frame { width_px: 12, height_px: 8, fit: Fit::Stretch, filter: Filter::CatmullRom };
    const NOTHING: Augment = Augment { flip: 0.0, crop: 1.0, light: 0.0 };

    fn gradient() -> Vec<u8> {
        (0..FRAME.bytes()).map(|i| (40 + (i / 3) % 12 * 10 + i / 36) as u8).collect()
    }

    fn augmented(augment: Augment, seed: u64) -> Vec<u8> {
        let mut batch = ImageBatch::new(FRAME);
        augment.push(&gradient(), &mut batch, &mut fastrand::Rng::with_seed(seed));
        assert_eq!(batch.len(), 1);
        batch.rgb
    }

    #[test]
    fn with_everything_off_the_bytes_are_the_same() {
        assert_eq!(augmented(NOTHING, 1), gradient());
    }

    #[test]
    fn the_same_seed_gives_the_same_picture_and_another_seed_another() {
        let all = Augment { flip: 0.5, crop: 0.3, light: 0.4 };
        assert_eq!(augmented(all, 7), augmented(all, 7));
        assert_ne!(augmented(all, 7), augmented(all, 8));
    }

    #[test]
    fn a_mirror_image_twice_is_the_picture() {
        let once = augmented(Augment { flip: 1.0, ..NOTHING }, 1);
        assert_eq!(once[..3], gradient()[33..36]);
        let mut twice = once;
        mirror(&mut twice, FRAME.width_px);
        assert_eq!(twice, gradient());
    }

    #[test]
    fn a_flip_happens_as_often_as_asked() {
        let augment = Augment { flip: 0.25, ..NOTHING };
        let flipped = (0..1000).filter(|&seed| augmented(augment, seed) != gradient()).count();
        assert!((200..300).contains(&flipped), "{flipped}");
    }

    #[test]
    fn a_crop_keeps_the_area_and_shape_it_is_allowed() {
        let augment = Augment { crop: 0.5, ..NOTHING };
        let mut rng = fastrand::Rng::with_seed(3);
        let shares: Vec<f64> = (0..500)
            .map(|_| {
                let (width, height) = augment.crop_size((120, 80), &mut rng);
                let aspect = width / height / 1.5;
                assert!((0.749..1.334).contains(&aspect), "{aspect}");
                assert!(width <= 120.0 && height <= 80.0);
                width * height / 9600.0
            })
            .collect();
        assert!(shares.iter().all(|share| (0.499..=1.0).contains(share)));
        assert!(shares.iter().any(|&share| share < 0.55) && shares.iter().any(|&s| s > 0.9));
    }

    #[test]
    fn a_crop_of_a_plain_picture_is_plain_and_stays_within_the_colours() {
        let cropped = augmented(Augment { crop: 0.2, ..NOTHING }, 5);
        let (low, high) = (*gradient().iter().min().unwrap(), *gradient().iter().max().unwrap());
        assert!(cropped.iter().all(|value| (low..=high).contains(value)));
        assert_ne!(cropped, gradient());
    }

    #[test]
    fn light_keeps_the_order_of_brightness_and_moves_the_mean() {
        let mean = |rgb: &[u8]| rgb.iter().map(|&v| f64::from(v)).sum::<f64>() / rgb.len() as f64;
        let before = gradient();
        let mut means = Vec::new();
        for seed in 0..50 {
            let after = augmented(Augment { light: 0.3, ..NOTHING }, seed);
            let mut pairs: Vec<_> = before.iter().zip(&after).collect();
            pairs.sort();
            assert!(pairs.is_sorted_by_key(|(_, after)| *after));
            means.push(mean(&after) / mean(&before));
        }
        assert!(means.iter().all(|ratio| (0.69..1.31).contains(ratio)), "{means:?}");
        assert!(means.iter().any(|&r| r < 0.8) && means.iter().any(|&r| r > 1.2));
    }

    #[test]
    fn tiny_pictures_can_be_cropped() {
        let frame = Frame { width_px: 1, height_px: 1, ..FRAME };
        let mut batch = ImageBatch::new(frame);
        let augment = Augment { flip: 1.0, crop: 0.0, light: 0.0 };
        augment.push(&[1, 2, 3], &mut batch, &mut fastrand::Rng::with_seed(1));
        assert_eq!(batch.rgb, [1, 2, 3]);
    }
}
