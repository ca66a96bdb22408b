//! Max pooling over windows and over whole pictures, and the gradients.
//!
//! The backward pass finds the maxima again instead of keeping their places: comparing nine values
//! costs less than writing and reading an index for each output. Of equal values the first in
//! window order gets the gradient; a NaN counts as larger than any number, so it stays visible.

use crate::cpu::simd::multiversion;
use crate::layers::conv::out_size;
use rayon::prelude::*;

/// The sizes of a max pool: square window, the same stride and padding in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolShape {
    /// Pictures.
    pub n: usize,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Channels of input and output.
    pub channels: usize,
    /// Height and width of the window, at least 1.
    pub kernel: usize,
    /// Distance between neighbouring windows, at least 1.
    pub stride: usize,
    /// Border around the input that no value comes from, less than `kernel`.
    pub padding: usize,
}

impl PoolShape {
    /// Height of the output.
    pub fn out_height(&self) -> usize {
        out_size(self.height, self.kernel, self.stride, self.padding)
    }

    /// Width of the output.
    pub fn out_width(&self) -> usize {
        out_size(self.width, self.kernel, self.stride, self.padding)
    }

    /// Input values of one picture.
    fn image(&self) -> usize {
        self.height * self.width * self.channels
    }

    fn check(&self, x: &[f32], y: &[f32]) {
        assert!(
            self.kernel > 0 && self.stride > 0 && self.padding < self.kernel,
            "{self:?} needs a window and a stride above 0 and less padding than window"
        );
        assert_eq!(x.len(), self.n * self.image(), "input values of {self:?}");
        let outputs = self.n * self.out_height() * self.out_width() * self.channels;
        assert_eq!(y.len(), outputs, "output values of {self:?}");
    }

    /// Where the pixels under the window at (`row`, `column`) start in their picture, in window
    /// order.
    #[inline(always)]
    fn window(self, row: usize, column: usize) -> impl Iterator<Item = usize> {
        let span = move |at: usize, size: usize| {
            let start = at * self.stride;
            start.saturating_sub(self.padding)..(start + self.kernel - self.padding).min(size)
        };
        let columns = span(column, self.width);
        span(row, self.height)
            .flat_map(move |y| columns.clone().map(move |x| (y * self.width + x) * self.channels))
    }
}

/// Whether `value` takes the place of `best`: larger, or the first NaN.
#[inline(always)]
fn wins(value: f32, best: f32) -> bool {
    (value > best) | (value.is_nan() & !best.is_nan())
}

/// `y` `[n, out height, out width, channels]`: the largest value of `x`
/// `[n, height, width, channels]` under each window.
///
/// # Panics
/// When a length does not follow from the shape.
pub fn max_forward(shape: &PoolShape, x: &[f32], y: &mut [f32]) {
    shape.check(x, y);
    if y.is_empty() {
        return;
    }
    let out_row = shape.out_width() * shape.channels;
    y.par_chunks_mut(out_row).enumerate().for_each(|(row, y)| {
        let (picture, row) = (row / shape.out_height(), row % shape.out_height());
        max_row(*shape, row, &x[picture * shape.image()..][..shape.image()], y);
    });
}

/// The gradient of the input, `dx` `[n, height, width, channels]`: each value of `dy` goes to the
/// first maximum under its window. `dx` is overwritten.
///
/// # Panics
/// When a length does not follow from the shape.
pub fn max_backward(shape: &PoolShape, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    shape.check(x, dy);
    assert_eq!(x.len(), dx.len(), "values of the input and of its gradient");
    if dy.is_empty() {
        dx.fill(0.0);
        return;
    }
    let outputs = dy.len() / shape.n;
    dx.par_chunks_mut(shape.image())
        .zip(x.par_chunks(shape.image()).zip(dy.par_chunks(outputs)))
        .for_each(|(dx, (x, dy))| {
            dx.fill(0.0);
            max_backward_picture(*shape, x, dy, dx);
        });
}

/// The largest value of each channel over all positions: `x` `[n, positions, channels]`, `y`
/// `[n, channels]`; minus infinity when there is no position.
///
/// # Panics
/// When a length does not follow from the sizes.
pub fn global_max_forward(n: usize, positions: usize, channels: usize, x: &[f32], y: &mut [f32]) {
    check_global(n, positions, channels, x, y);
    if y.is_empty() {
        return;
    }
    y.par_chunks_mut(channels).enumerate().for_each(|(picture, y)| {
        y.fill(f32::NEG_INFINITY);
        max_positions(&x[picture * positions * channels..][..positions * channels], y);
    });
}

/// The gradient of the input of [`global_max_forward`]: each value of `dy` `[n, channels]` goes to
/// the first maximum of its channel, `dx` `[n, positions, channels]` is 0 elsewhere.
///
/// # Panics
/// When a length does not follow from the sizes.
pub fn global_max_backward(
    n: usize,
    positions: usize,
    channels: usize,
    x: &[f32],
    dy: &[f32],
    dx: &mut [f32],
) {
    check_global(n, positions, channels, x, dy);
    assert_eq!(x.len(), dx.len(), "values of the input and of its gradient");
    if dx.is_empty() {
        return;
    }
    let picture = positions * channels;
    dx.par_chunks_mut(picture).zip(x.par_chunks(picture).zip(dy.par_chunks(channels))).for_each(
        |(dx, (x, dy))| {
            dx.fill(0.0);
            global_backward_picture(x, dy, dx);
        },
    );
}

fn check_global(n: usize, positions: usize, channels: usize, x: &[f32], y: &[f32]) {
    assert_eq!(x.len(), n * positions * channels, "values of {n} x {positions} x {channels}");
    assert_eq!(y.len(), n * channels, "maxima of {n} x {channels}");
}

multiversion! {
    /// One row of the output of one picture.
    fn max_row(shape: PoolShape, row: usize, x: &[f32], y: &mut [f32]) {
        for (column, best) in y.chunks_exact_mut(shape.channels).enumerate() {
            best.fill(f32::NEG_INFINITY);
            for pixel in shape.window(row, column) {
                keep_largest(&x[pixel..pixel + shape.channels], best);
            }
        }
    }
}

multiversion! {
    fn max_positions(x: &[f32], best: &mut [f32]) {
        for pixel in x.chunks_exact(best.len()) {
            keep_largest(pixel, best);
        }
    }
}

#[inline(always)]
fn keep_largest(pixel: &[f32], best: &mut [f32]) {
    for (best, &value) in best.iter_mut().zip(pixel) {
        *best = if wins(value, *best) { value } else { *best };
    }
}

/// The largest value of each channel so far and the number of its pixel.
#[inline(always)]
fn keep_largest_place(number: u32, pixel: &[f32], best: &mut [f32], place: &mut [u32]) {
    for ((best, place), &value) in best.iter_mut().zip(place).zip(pixel) {
        let better = wins(value, *best);
        *best = if better { value } else { *best };
        *place = if better { number } else { *place };
    }
}

multiversion! {
    fn max_backward_picture(shape: PoolShape, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        let channels = shape.channels;
        let (mut best, mut place) = (vec![0.0; channels], vec![0; channels]);
        for (window, dy) in dy.chunks_exact(channels).enumerate() {
            let (row, column) = (window / shape.out_width(), window % shape.out_width());
            best.fill(f32::NEG_INFINITY);
            place.fill(0);
            for (number, pixel) in (0..).zip(shape.window(row, column)) {
                keep_largest_place(number, &x[pixel..pixel + channels], &mut best, &mut place);
            }
            // One pass a pixel with a comparison vectorises; a jump a channel does not.
            for (number, pixel) in (0..).zip(shape.window(row, column)) {
                let dx = &mut dx[pixel..pixel + channels];
                for ((dx, &place), &dy) in dx.iter_mut().zip(&place).zip(dy) {
                    *dx += if place == number { dy } else { 0.0 };
                }
            }
        }
    }
}

multiversion! {
    fn global_backward_picture(x: &[f32], dy: &[f32], dx: &mut [f32]) {
        let channels = dy.len();
        let (mut best, mut place) = (vec![f32::NEG_INFINITY; channels], vec![0; channels]);
        for (number, pixel) in (0..).zip(x.chunks_exact(channels)) {
            keep_largest_place(number, pixel, &mut best, &mut place);
        }
        for ((channel, &place), &dy) in place.iter().enumerate().zip(dy) {
            dx[place as usize * channels + channel] = dy;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Sum, assert_close, in_pools, random};

    /// The place of the first maximum under each window of each channel, by the definition.
    fn winners(s: &PoolShape, x: &[f32]) -> Vec<usize> {
        let (oh, ow) = (s.out_height(), s.out_width());
        let mut winners = Vec::new();
        for at in 0..s.n * oh * ow * s.channels {
            let (window, channel) = (at / s.channels, at % s.channels);
            let (picture, oy, ox) = (window / (oh * ow), window / ow % oh, window % ow);
            let mut winner = None;
            for tap in 0..s.kernel * s.kernel {
                let (y, x_) = (oy * s.stride + tap / s.kernel, ox * s.stride + tap % s.kernel);
                if y < s.padding || x_ < s.padding {
                    continue;
                }
                let (y, x_) = (y - s.padding, x_ - s.padding);
                if y < s.height && x_ < s.width {
                    let place = ((picture * s.height + y) * s.width + x_) * s.channels + channel;
                    if winner.is_none_or(|best: usize| x[place] > x[best]) {
                        winner = Some(place);
                    }
                }
            }
            winners.push(winner.unwrap());
        }
        winners
    }

    /// Few different values, so that ties are common.
    fn stepped(len: usize) -> Vec<f32> {
        random(len, 5).into_iter().map(|x| (3.0 * x).round()).collect()
    }

    #[test]
    fn windows_and_their_gradients_agree_with_the_definition() {
        for [n, height, width, channels, kernel, stride, padding] in [
            [1, 1, 1, 1, 1, 1, 0],
            [2, 7, 5, 13, 3, 2, 1],
            [3, 13, 13, 7, 3, 2, 1],
            [1, 5, 7, 2, 2, 2, 0],
            [2, 3, 2, 5, 3, 1, 2],
            [1, 8, 8, 33, 5, 3, 2],
        ] {
            let shape = PoolShape { n, height, width, channels, kernel, stride, padding };
            let x = stepped(n * shape.image());
            let winners = winners(&shape, &x);
            let dy = random(winners.len(), 6);
            let mut gradients = vec![Vec::new(); x.len()];
            for (&winner, &dy) in winners.iter().zip(&dy) {
                gradients[winner].push((dy, 1.0));
            }
            let gradients: Vec<Sum> = gradients.into_iter().map(Sum::of).collect();
            let maxima: Vec<Sum> = winners.iter().map(|&w| Sum::exact(f64::from(x[w]))).collect();
            in_pools(|| {
                let (mut y, mut dx) = (vec![f32::NAN; dy.len()], vec![f32::NAN; x.len()]);
                max_forward(&shape, &x, &mut y);
                assert_close(&y, &maxima);
                max_backward(&shape, &x, &dy, &mut dx);
                assert_close(&dx, &gradients);
            });
        }
    }

    #[test]
    fn the_global_maximum_is_a_window_of_all_positions() {
        for (n, side, channels) in [(1, 1, 1), (3, 2, 5), (2, 7, 13), (5, 3, 64)] {
            let shape = PoolShape {
                n,
                height: side,
                width: side,
                channels,
                kernel: side,
                stride: 1,
                padding: 0,
            };
            let x = stepped(n * shape.image());
            let dy = random(n * channels, 8);
            let (mut y, mut dx) = (vec![f32::NAN; dy.len()], vec![f32::NAN; x.len()]);
            global_max_forward(n, side * side, channels, &x, &mut y);
            global_max_backward(n, side * side, channels, &x, &dy, &mut dx);
            let (mut expected_y, mut expected_dx) = (y.clone(), dx.clone());
            max_forward(&shape, &x, &mut expected_y);
            max_backward(&shape, &x, &dy, &mut expected_dx);
            let sums = |values: &[f32]| -> Vec<Sum> {
                values.iter().map(|&value| Sum::exact(f64::from(value))).collect()
            };
            assert_close(&y, &sums(&expected_y));
            assert_close(&dx, &sums(&expected_dx));
        }
    }

    #[test]
    fn a_nan_wins_and_the_gradient_finds_it() {
        let x = [1.0, f32::NAN, 3.0, f32::NAN];
        let (mut y, mut dx) = ([0.0], [9.0; 4]);
        global_max_forward(1, 4, 1, &x, &mut y);
        assert!(y[0].is_nan());
        global_max_backward(1, 4, 1, &x, &[5.0], &mut dx);
        assert_close(&dx, &[0.0, 5.0, 0.0, 0.0].map(Sum::exact));
        let below = [f32::NEG_INFINITY; 4];
        global_max_backward(1, 4, 1, &below, &[5.0], &mut dx);
        assert_close(&dx, &[5.0, 0.0, 0.0, 0.0].map(Sum::exact));
    }
}
