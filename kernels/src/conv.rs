//! Two-dimensional convolution without bias, `[n, height, width, inputs]` to
//! `[n, out height, out width, outputs]`, and both of its gradients.
//!
//! A convolution is a matrix product: row `r` of the left matrix holds the input values under the
//! kernel at output position `r` (its *patch*), the right matrix holds the weights. A 1x1 kernel
//! of stride 1 needs no patches, the input is the matrix. Otherwise patches are laid out in
//! chunks of about 1.5 MB a thread, so that they are still in the cache when the product reads
//! them; the whole patch matrix would be nine times the input for a 3x3 kernel.
//!
//! How the work is dealt out:
//! - Many rows: chunks of rows are tasks. Few rows (the late layers of a small batch): all threads
//!   share one product, which the product splits in both directions.
//! - The gradient of the weights sums over rows. Small weights: each thread sums its rows into an
//!   accumulator of its own. Large ones: each thread takes some rows of the weights.
//! - The gradient of the input at stride 1 is itself a convolution, of the output's gradient with
//!   the mirrored kernel. Only larger strides add patches back onto the picture.

mod patches;

use crate::matmul::{View, Workers, Write, product, transpose};
use crate::parallel::{piece_len, pieces, threads};
use crate::scratch::with_scratch;
use patches::{add_patches, with_patches};
use rayon::prelude::*;
use std::ops::Range;

/// Values of a chunk of patches: 1.5 MB, what a core's second cache holds beside the weights.
const CHUNK_VALUES: usize = 1_500_000 / 4;
/// Fewest rows of a chunk; below, packing the weights costs more than the product.
const CHUNK_ROWS: usize = 256;
/// Rows of a chunk when the input itself is the matrix.
const PRODUCT_ROWS: usize = 1024;
/// Largest weights for which each thread keeps an accumulator of its own.
const PRIVATE_VALUES: usize = 300_000;

/// The sizes of a convolution: square kernel, the same stride and padding in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    /// Pictures.
    pub n: usize,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Height and width of the kernel, at least 1.
    pub kernel: usize,
    /// Distance between neighbouring kernel positions, at least 1.
    pub stride: usize,
    /// Zeros around the input, fewer than `kernel`.
    pub padding: usize,
}

impl ConvShape {
    /// Height of the output.
    pub fn out_height(&self) -> usize {
        out_size(self.height, self.kernel, self.stride, self.padding)
    }

    /// Width of the output.
    pub fn out_width(&self) -> usize {
        out_size(self.width, self.kernel, self.stride, self.padding)
    }

    /// Output positions of all pictures: rows of the patch matrix.
    pub fn rows(&self) -> usize {
        self.n * self.out_height() * self.out_width()
    }

    /// Input values under the kernel: columns of the patch matrix.
    pub fn taps(&self) -> usize {
        self.kernel * self.kernel * self.inputs
    }

    /// Whether the input itself is the patch matrix.
    fn is_product(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.padding == 0
    }

    /// Whether the rows are too few to give each thread chunks of its own.
    fn has_few_rows(&self) -> bool {
        self.rows() <= CHUNK_ROWS * threads()
    }

    /// Rows of a chunk, so that each of `parts` equal shares of `rows` is whole chunks.
    fn chunk_rows(&self, rows: usize, parts: usize) -> usize {
        let most = if self.is_product() {
            PRODUCT_ROWS
        } else {
            (CHUNK_VALUES / self.taps().max(1)).max(CHUNK_ROWS)
        };
        piece_len(rows, rows.div_ceil(most).next_multiple_of(parts), 8)
    }

    /// The convolution that takes the gradient of the output to that of the input (stride 1).
    fn mirrored(&self) -> Self {
        Self {
            height: self.out_height(),
            width: self.out_width(),
            inputs: self.outputs,
            outputs: self.inputs,
            padding: self.kernel - 1 - self.padding,
            ..*self
        }
    }

    fn check(&self, x: &[f32], weights: &[f32], y: &[f32]) {
        assert!(
            self.kernel > 0 && self.stride > 0 && self.padding < self.kernel,
            "{self:?} needs a kernel and a stride above 0 and less padding than kernel"
        );
        assert_eq!(x.len(), self.image() * self.n, "input values of {self:?}");
        assert_eq!(weights.len(), self.taps() * self.outputs, "weights of {self:?}");
        assert_eq!(y.len(), self.rows() * self.outputs, "output values of {self:?}");
    }

    /// Input values of one picture.
    fn image(&self) -> usize {
        self.height * self.width * self.inputs
    }
}

/// Positions of a window along an axis; 0 when it does not fit.
pub(crate) fn out_size(size: usize, kernel: usize, stride: usize, padding: usize) -> usize {
    (size + 2 * padding).checked_sub(kernel).map_or(0, |free| free / stride + 1)
}

/// `y = x * weights`: `x` `[n, height, width, inputs]`, `weights` `[kernel * kernel * inputs,
/// outputs]` with taps in the order row, column, channel; `y` `[n, out height, out width,
/// outputs]` is overwritten.
///
/// # Panics
/// When a length does not follow from the shape.
pub fn forward(shape: &ConvShape, x: &[f32], weights: &[f32], y: &mut [f32]) {
    shape.check(x, weights, y);
    if y.is_empty() {
        return;
    }
    let (rows, taps, outputs) = (shape.rows(), shape.taps(), shape.outputs);
    let weights = View::new(weights, taps, outputs);
    if shape.has_few_rows() {
        with_patches(shape, x, 0..rows, 0..taps, Workers::All, |patches| {
            product(patches, weights, y, Write::Overwrite, Workers::All);
        });
        return;
    }
    let chunk = shape.chunk_rows(rows, threads());
    y.par_chunks_mut(chunk * outputs).enumerate().for_each(|(number, y)| {
        let start = number * chunk;
        let rows = start..start + y.len() / outputs;
        with_patches(shape, x, rows, 0..taps, Workers::One, |patches| {
            product(patches, weights, y, Write::Overwrite, Workers::One);
        });
    });
}

/// The gradient of the input, `dx` `[n, height, width, inputs]`, from that of the output, `dy`
/// `[n, out height, out width, outputs]`; `dx` is overwritten.
///
/// # Panics
/// When a length does not follow from the shape.
pub fn backward_input(shape: &ConvShape, dy: &[f32], weights: &[f32], dx: &mut [f32]) {
    shape.check(dx, weights, dy);
    if dy.is_empty() {
        dx.fill(0.0);
        return;
    }
    if shape.stride == 1 {
        with_scratch(weights.len(), |mirrored| {
            mirror(shape, weights, mirrored);
            forward(&shape.mirrored(), dy, mirrored, dx);
        });
    } else {
        scatter_input(shape, dy, weights, dx);
    }
}

/// Turns the kernel by half a turn and exchanges inputs and outputs.
fn mirror(shape: &ConvShape, weights: &[f32], mirrored: &mut [f32]) {
    let (inputs, outputs) = (shape.inputs, shape.outputs);
    let size = inputs * outputs;
    if size == 0 {
        return;
    }
    mirrored
        .par_chunks_mut(size)
        .rev()
        .zip(weights.par_chunks(size))
        .for_each(|(to, from)| transpose(from, inputs, outputs, to));
}

/// The gradient of the input at a stride above 1: patches of gradients, added where they came
/// from. A task is some pictures, because patches of one picture overlap.
fn scatter_input(shape: &ConvShape, dy: &[f32], weights: &[f32], dx: &mut [f32]) {
    let weights = View::new(weights, shape.taps(), shape.outputs).transposed();
    let workers = if shape.n < threads() { Workers::All } else { Workers::One };
    let pictures = piece_len(shape.n, threads(), 1);
    let positions = shape.out_height() * shape.out_width();
    dx.par_chunks_mut(pictures * shape.image())
        .zip(dy.par_chunks(pictures * positions * shape.outputs))
        .for_each(|(dx, dy)| {
            let part = ConvShape { n: dx.len() / shape.image(), ..*shape };
            dx.fill(0.0);
            for rows in pieces(part.rows(), part.chunk_rows(part.rows(), 1)) {
                let dy = &dy[rows.start * shape.outputs..rows.end * shape.outputs];
                let dy = View::new(dy, rows.len(), shape.outputs);
                with_scratch(rows.len() * shape.taps(), |patches| {
                    product(dy, weights, patches, Write::Overwrite, workers);
                    add_patches(part, rows, patches, dx);
                });
            }
        });
}

/// The gradient of the weights, `dw` `[kernel * kernel * inputs, outputs]`, from the input and the
/// gradient of the output; `dw` is overwritten.
///
/// # Panics
/// When a length does not follow from the shape.
pub fn backward_weights(shape: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    shape.check(x, dw, dy);
    if dy.is_empty() || dw.is_empty() {
        dw.fill(0.0);
    } else if dw.len() <= PRIVATE_VALUES && !shape.has_few_rows() {
        weights_by_rows(shape, x, dy, dw);
    } else if shape.is_product() {
        let x = View::new(x, shape.rows(), shape.inputs);
        let dy = View::new(dy, shape.rows(), shape.outputs);
        product(x.transposed(), dy, dw, Write::Overwrite, Workers::All);
    } else {
        weights_by_taps(shape, x, dy, dw);
    }
}

/// Each task sums over its rows into an accumulator of its own; these are added in order.
fn weights_by_rows(shape: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let share = piece_len(shape.rows(), threads(), 8);
    let shares: Vec<Range<usize>> = pieces(shape.rows(), share).collect();
    let sums: Vec<Vec<f32>> = shares
        .into_par_iter()
        .map(|rows| {
            let mut sum = vec![0.0; dw.len()];
            sum_over_rows(shape, x, dy, rows, 0..shape.taps(), &mut sum);
            sum
        })
        .collect();
    let piece = piece_len(dw.len(), threads(), 16);
    dw.par_chunks_mut(piece).enumerate().for_each(|(number, dw)| {
        let start = number * piece;
        dw.copy_from_slice(&sums[0][start..start + dw.len()]);
        for sum in &sums[1..] {
            for (total, &term) in dw.iter_mut().zip(&sum[start..]) {
                *total += term;
            }
        }
    });
}

/// Each task computes some rows of the weights, over all rows of patches.
fn weights_by_taps(shape: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let taps = piece_len(shape.taps(), threads(), 1);
    dw.par_chunks_mut(taps * shape.outputs).enumerate().for_each(|(number, dw)| {
        let start = number * taps;
        let taps = start..start + dw.len() / shape.outputs;
        sum_over_rows(shape, x, dy, 0..shape.rows(), taps, dw);
    });
}

/// `sum = patches^T dy` over these rows and taps, a chunk at a time.
fn sum_over_rows(
    shape: &ConvShape,
    x: &[f32],
    dy: &[f32],
    rows: Range<usize>,
    taps: Range<usize>,
    sum: &mut [f32],
) {
    let chunk = (2 * CHUNK_VALUES / taps.len().max(1)).max(CHUNK_ROWS);
    let mut write = Write::Overwrite;
    for piece in pieces(rows.len(), chunk) {
        let piece = rows.start + piece.start..rows.start + piece.end;
        let dy = &dy[piece.start * shape.outputs..piece.end * shape.outputs];
        let dy = View::new(dy, piece.len(), shape.outputs);
        with_patches(shape, x, piece, taps.clone(), Workers::One, |patches| {
            product(patches.transposed(), dy, sum, write, Workers::One);
        });
        write = Write::Accumulate;
    }
}

#[cfg(test)]
mod tests;
