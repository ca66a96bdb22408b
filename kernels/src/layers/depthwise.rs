//! Depthwise convolution: each channel has a kernel of its own. `[n, height, width, channels]` to
//! `[n, out height, out width, channels]`, and both of its gradients.
//!
//! A dense convolution multiplies each value that it loads with many weights; here each is used
//! once a tap, so the loops are written to load little: vectors lie along the channels, and up to
//! eight neighbouring outputs of a row are summed in registers, so that each input of a row is
//! loaded once for all of them and each weight once for eight. Nothing is copied or padded: a
//! block of outputs at the border leaves out the inputs that do not exist.
//!
//! All three passes are the same sum over neighbours (`reach`): at stride 1 the gradient of the
//! input is a convolution of the output's gradient with the kernel turned by half a turn; at a
//! larger stride `s`, each of `s` interleaved sets of columns is one, with every `s`-th tap.
//!
//! Tasks are rows of a picture. Channels beyond whole vectors are computed by one more vector that
//! overlaps its neighbour.

mod kernel;
mod reach;

use crate::cpu::parallel::{piece_len, pieces, threads};
use crate::cpu::simd::{SimdLevel, simd_level};
use crate::layers::norm::Activation;
use kernel::{Line, add_weight_sums, write_line};
use rayon::prelude::*;
use reach::{Axis, Reach};
use std::ops::Range;

/// The sizes of a depthwise convolution: square kernel, the same stride in both directions,
/// padding of its own on each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseShape {
    /// Pictures.
    pub n: usize,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Channels of input and output.
    pub channels: usize,
    /// Height and width of the kernel, at least 1.
    pub kernel: usize,
    /// Distance between neighbouring kernel positions, at least 1.
    pub stride: usize,
    /// Zeros above and left of the input, fewer than `kernel`.
    pub before: [usize; 2],
    /// Zeros below and right of the input, fewer than `kernel`.
    pub after: [usize; 2],
}

impl DepthwiseShape {
    /// Height of the output.
    pub fn out_height(&self) -> usize {
        self.out_size(self.height, 0)
    }

    /// Width of the output.
    pub fn out_width(&self) -> usize {
        self.out_size(self.width, 1)
    }

    /// Values of the output.
    pub fn outputs(&self) -> usize {
        self.n * self.out_height() * self.out_width() * self.channels
    }

    /// Values of the input.
    pub fn inputs(&self) -> usize {
        self.n * self.height * self.width * self.channels
    }

    /// Values of the weights.
    pub fn weights(&self) -> usize {
        self.kernel * self.kernel * self.channels
    }

    fn out_size(&self, size: usize, axis: usize) -> usize {
        let padded = size + self.before[axis] + self.after[axis];
        padded.checked_sub(self.kernel).map_or(0, |free| free / self.stride + 1)
    }

    fn vertical(&self) -> Axis {
        self.axis(0, self.height, self.out_height())
    }

    fn horizontal(&self) -> Axis {
        self.axis(1, self.width, self.out_width())
    }

    fn axis(&self, axis: usize, input: usize, output: usize) -> Axis {
        let &Self { kernel, stride, .. } = self;
        Axis { input, output, kernel, stride, before: self.before[axis] }
    }

    fn check(&self, x: &[f32], weights: &[f32], y: &[f32]) {
        let most = self.before.iter().chain(&self.after).max();
        assert!(
            self.kernel > 0 && self.stride > 0 && most < Some(&self.kernel),
            "{self:?} needs a kernel and a stride above 0 and less padding than kernel"
        );
        assert_eq!(x.len(), self.inputs(), "input values of {self:?}");
        assert_eq!(weights.len(), self.weights(), "weights of {self:?}");
        assert_eq!(y.len(), self.outputs(), "output values of {self:?}");
    }
}

/// Zeros before and after an axis of `size` with which a window has `size / stride` positions,
/// rounded up: TensorFlow's "SAME". An odd zero goes to the end.
///
/// ```
/// use looksee_kernels::layers::depthwise::same_padding;
/// assert_eq!(same_padding(8, 3, 2), (0, 1));
/// assert_eq!(same_padding(7, 3, 2), (1, 1));
/// assert_eq!(same_padding(8, 5, 1), (2, 2));
/// ```
pub fn same_padding(size: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let covered = (size.div_ceil(stride).saturating_sub(1)) * stride + kernel;
    let total = covered.saturating_sub(size);
    (total / 2, total - total / 2)
}

/// What is done to a sum before it is written.
#[derive(Clone, Copy, Debug)]
pub struct Epilogue<'a> {
    /// Added to each channel, `[channels]`.
    pub bias: Option<&'a [f32]>,
    /// Then applied.
    pub activation: Activation,
}

impl Epilogue<'_> {
    /// Nothing is done.
    pub const NONE: Self = Epilogue { bias: None, activation: Activation::None };
}

/// `y = activation(x * weights + bias)`: `x` `[n, height, width, channels]`, `weights`
/// `[kernel * kernel, channels]` with taps in the order row, column; `y` `[n, out height, out
/// width, channels]` is overwritten.
///
/// # Panics
/// When a length does not follow from the shape.
pub fn forward(
    shape: &DepthwiseShape,
    x: &[f32],
    weights: &[f32],
    epilogue: Epilogue,
    y: &mut [f32],
) {
    forward_at(simd_level(), shape, x, weights, epilogue, y);
}

fn forward_at(
    level: SimdLevel,
    shape: &DepthwiseShape,
    x: &[f32],
    weights: &[f32],
    epilogue: Epilogue,
    y: &mut [f32],
) {
    shape.check(x, weights, y);
    if let Some(bias) = epilogue.bias {
        assert_eq!(bias.len(), shape.channels, "biases of {shape:?}");
    }
    if y.is_empty() {
        return;
    }
    let (down, across) = (shape.vertical().forward(), shape.horizontal().forward());
    let picture = shape.height * shape.width * shape.channels;
    y.par_chunks_mut(shape.out_width() * shape.channels).enumerate().for_each(|(row, y)| {
        let (number, row) = (row / shape.out_height(), row % shape.out_height());
        let x = &x[number * picture..][..picture];
        write_line(level, &Line::new(shape, x, weights, epilogue, down, row, across), y);
    });
}

/// The gradient of the input, `dx` `[n, height, width, channels]`, from that of the output, `dy`
/// `[n, out height, out width, channels]`; `dx` is overwritten.
///
/// # Panics
/// When a length does not follow from the shape.
pub fn backward_input(shape: &DepthwiseShape, dy: &[f32], weights: &[f32], dx: &mut [f32]) {
    backward_input_at(simd_level(), shape, dy, weights, dx);
}

fn backward_input_at(
    level: SimdLevel,
    shape: &DepthwiseShape,
    dy: &[f32],
    weights: &[f32],
    dx: &mut [f32],
) {
    shape.check(dx, weights, dy);
    if dx.is_empty() {
        return;
    }
    let (vertical, horizontal) = (shape.vertical(), shape.horizontal());
    let picture = shape.out_height() * shape.out_width() * shape.channels;
    dx.par_chunks_mut(shape.width * shape.channels).enumerate().for_each(|(row, dx)| {
        let (number, row) = (row / shape.height, row % shape.height);
        let dy = &dy[number * picture..][..picture];
        let down = vertical.backward((row + vertical.before) % shape.stride);
        let row = (row - down.first_out) / shape.stride;
        for phase in 0..shape.stride {
            let across = horizontal.backward(phase);
            let line = Line::new(shape, dy, weights, Epilogue::NONE, down, row, across);
            write_line(level, &line, dx);
        }
    });
}

/// The gradient of the weights, `dw` `[kernel * kernel, channels]`, from the input and the
/// gradient of the output; `dw` is overwritten.
///
/// # Panics
/// When a length does not follow from the shape.
pub fn backward_weights(shape: &DepthwiseShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    backward_weights_at(simd_level(), shape, x, dy, dw);
}

/// Each task sums over its rows into an accumulator of its own; these are added in order.
fn backward_weights_at(
    level: SimdLevel,
    shape: &DepthwiseShape,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
) {
    shape.check(x, dw, dy);
    dw.fill(0.0);
    if dy.is_empty() {
        return;
    }
    let rows = shape.n * shape.out_height();
    let shares: Vec<Range<usize>> = pieces(rows, piece_len(rows, threads(), 1)).collect();
    let sums: Vec<Vec<f32>> = shares
        .into_par_iter()
        .map(|rows| {
            let mut sum = vec![0.0; dw.len()];
            sum_weights(level, shape, x, dy, rows, &mut sum);
            sum
        })
        .collect();
    for sum in &sums {
        for (total, &term) in dw.iter_mut().zip(sum) {
            *total += term;
        }
    }
}

/// Adds the products of these rows of the output, counted over all pictures.
fn sum_weights(
    level: SimdLevel,
    shape: &DepthwiseShape,
    x: &[f32],
    dy: &[f32],
    rows: Range<usize>,
    sum: &mut [f32],
) {
    let (down, across) = (shape.vertical().forward(), shape.horizontal().forward());
    let (height, out_row) = (shape.out_height(), shape.out_width() * shape.channels);
    let picture = shape.height * shape.width * shape.channels;
    for row in rows {
        let x = &x[row / height * picture..][..picture];
        let dy = &dy[row * out_row..][..out_row];
        let line = Line::new(shape, x, &[], Epilogue::NONE, down, row % height, across);
        add_weight_sums(level, &line, dy, sum);
    }
}

impl<'a> Line<'a> {
    /// The outputs of `across` in output `row` of `down`, from one picture `x`.
    fn new(
        shape: &DepthwiseShape,
        x: &'a [f32],
        weights: &'a [f32],
        epilogue: Epilogue<'a>,
        down: Reach,
        row: usize,
        across: Reach,
    ) -> Self {
        let row_len = across.size * shape.channels;
        let start = down.start(row);
        let existing = down.existing(start, down.taps);
        let first = (start + existing.start as isize) as usize * row_len;
        Self {
            x: &x[if existing.is_empty() { 0..0 } else { first..first + existing.len() * row_len }],
            rows: existing.len(),
            weights,
            first_row: down.tap(existing.start),
            row_step: down.tap_step,
            kernel: shape.kernel,
            channels: shape.channels,
            across,
            epilogue,
        }
    }
}

#[cfg(test)]
mod tests;
