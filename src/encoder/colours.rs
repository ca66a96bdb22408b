//! The colours of a picture, as plain figures beside what a network sees.
//!
//! A network that learned to name things has learned not to mind their colour, and colour is what
//! people type first. So the head may be given the colours themselves: how much there is of each
//! (Swain and Ballard, 1991), in the whole picture and in its middle, where the thing is, and a coarse
//! map of them. Shares of a histogram are taken by their square roots, which makes the usual distance
//! of vectors that of Hellinger between distributions.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::parameters::Pass;
use super::preprocessing::Pixels;

/// Steps of each of red, green and blue in a histogram.
const STEPS: usize = 6;
const BINS: usize = STEPS * STEPS * STEPS;
/// Cells of the map in each direction.
const CELLS: usize = 4;

/// Figures a picture: two histograms, and mean and deviation of three channels in each cell.
pub(super) const COUNT: usize = 2 * BINS + CELLS * CELLS * 6;

/// The colours of a batch, `[n, COUNT]`, each from 0 to 1. No gradient flows back from them.
pub(super) fn of(pass: &Pass, pixels: &Pixels) -> Tensor<2> {
    let n = pixels.shape.n;
    let size = pixels.values.len() / n.max(1);
    let figures: Vec<f32> =
        pixels.values.par_chunks(size.max(1)).flat_map_iter(|one| of_one(pixels, one)).collect();
    pass.tensor(figures, &[n, COUNT])
}

fn of_one(pixels: &Pixels, values: &[f32]) -> Vec<f32> {
    let (width, height) = (pixels.shape.width, pixels.shape.height);
    let (mean, deviation) = (pixels.scale.mean, pixels.scale.deviation);
    let mut sketch = Sketch::default();
    for (at, pixel) in values.chunks_exact(3).enumerate() {
        let rgb: [f32; 3] = std::array::from_fn(|channel| {
            (pixel[channel] * deviation[channel] + mean[channel]).clamp(0.0, 1.0)
        });
        sketch.add(rgb, (at % width, at / width), (width, height));
    }
    sketch.figures()
}

/// What is counted of one picture.
struct Sketch {
    whole: [f32; BINS],
    middle: [f32; BINS],
    cells: [Cell; CELLS * CELLS],
}

#[derive(Clone, Copy, Default)]
struct Cell {
    count: f32,
    sum: [f32; 3],
    squares: [f32; 3],
}

impl Default for Sketch {
    fn default() -> Self {
        Self { whole: [0.0; BINS], middle: [0.0; BINS], cells: Default::default() }
    }
}

impl Sketch {
    fn add(&mut self, rgb: [f32; 3], (x, y): (usize, usize), (width, height): (usize, usize)) {
        let step = |value: f32| ((value * STEPS as f32) as usize).min(STEPS - 1);
        let bin = (step(rgb[0]) * STEPS + step(rgb[1])) * STEPS + step(rgb[2]);
        self.whole[bin] += 1.0;
        let is_middle = |at: usize, of: usize| (of / 4..of - of / 4).contains(&at);
        if is_middle(x, width) && is_middle(y, height) {
            self.middle[bin] += 1.0;
        }
        let cell = &mut self.cells[y * CELLS / height * CELLS + x * CELLS / width];
        cell.count += 1.0;
        for (value, (sum, square)) in rgb.iter().zip(cell.sum.iter_mut().zip(&mut cell.squares)) {
            *sum += value;
            *square += value * value;
        }
    }

    fn figures(&self) -> Vec<f32> {
        let mut figures = Vec::with_capacity(COUNT);
        for histogram in [&self.whole, &self.middle] {
            let count = histogram.iter().sum::<f32>().max(1.0);
            figures.extend(histogram.iter().map(|share| (share / count).sqrt()));
        }
        for cell in &self.cells {
            let count = cell.count.max(1.0);
            let mean = cell.sum.map(|sum| sum / count);
            figures.extend(mean);
            figures.extend((0..3).map(|channel| {
                (cell.squares[channel] / count - mean[channel] * mean[channel]).max(0.0).sqrt()
            }));
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::encoder::parameters::{Mode, Parameters};
    use crate::encoder::preprocessing::PixelScale;
    use crate::images::ImageBatch;
    use crate::ops::values_of;

    const SCALE: PixelScale = PixelScale { mean: [0.4, 0.5, 0.6], deviation: [0.2, 0.3, 0.4] };

    fn colours(rgb: Vec<u8>, side: usize) -> Vec<f32> {
        let pass = Pass::new(Arc::new(Parameters::default()), Mode::Inference);
        let batch = ImageBatch { width_px: side, height_px: side, rgb };
        values_of(of(&pass, &SCALE.of(&batch)))
    }

    #[test]
    fn a_plain_picture_has_one_colour_everywhere() {
        let figures = colours([255, 0, 0].repeat(8 * 8), 8);
        assert_eq!(figures.len(), COUNT);
        let red = (STEPS - 1) * STEPS * STEPS;
        for (bin, share) in figures[..2 * BINS].iter().enumerate() {
            let expected = f32::from(u8::from(bin % BINS == red));
            assert!((share - expected).abs() < 1e-6, "{bin}");
        }
        for cell in figures[2 * BINS..].chunks(6) {
            assert!((cell[0] - 1.0).abs() < 1e-5 && cell[1..].iter().all(|v| v.abs() < 1e-3));
        }
    }

    #[test]
    fn what_is_in_the_middle_is_told_from_what_surrounds_it() {
        let blue = |x: usize, y: usize| (2..6).contains(&x) && (2..6).contains(&y);
        let rgb =
            (0..64).flat_map(|at| if blue(at % 8, at / 8) { [0, 0, 255] } else { [255, 255, 255] });
        let figures = colours(rgb.collect(), 8);
        let (blue, white) = (STEPS - 1, BINS - 1);
        assert!((figures[blue] - 0.5).abs() < 1e-6, "a quarter of the whole");
        assert!((figures[white] - 0.75f32.sqrt()).abs() < 1e-6);
        assert!((figures[BINS + blue] - 1.0).abs() < 1e-6, "all of the middle");
    }
}
