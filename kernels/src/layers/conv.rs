//! Two-dimensional convolution (conv2d, by im2col and by Winograd) without bias,
//! `[n, height, width, inputs]` to `[n, out height, out width, outputs]`, and both of its gradients.
//!
//! A convolution is a matrix product: row `r` of the left matrix holds the input values under the
//! kernel at output position `r` (its *patch*), the right matrix holds the weights. A 1x1 kernel
//! of stride 1 needs no patches, the input is the matrix. Otherwise patches are copied a block at a
//! time, so that they are still in the second cache when the product reads them; the whole patch
//! matrix would be nine times the input for a 3x3 kernel.
//!
//! How the work is dealt out: a task is a rectangle of the result. Where there are many rows, a
//! task has all columns of some of them; where there are few (the late layers, a single picture),
//! columns are shared out too. The gradient of the weights is cut the same way, and each task sums
//! over all positions: no value depends on the number of threads. Moments do, by rounding: they are
//! joined from those of the blocks.
//!
//! The gradient of the input at stride 1 is itself a convolution, of the output's gradient with
//! the mirrored kernel. Only larger strides add patches back onto the picture.
//!
//! That is the plain way. 3x3 kernels of stride 1 mostly take Winograd's (`winograd`), and maps
//! that are mostly padding go position by position (`positions`); sizes alone decide.

mod patches;
mod positions;
mod winograd;

use crate::cpu::parallel::{TASK_VALUES, piece_len, pieces, threads};
use crate::cpu::scratch::with_scratch;
use crate::cpu::simd::{multiversion, simd_level};
use crate::layers::elementwise::relu;
use crate::layers::norm::{Activation, Moments, MomentsOfBlocks, relu6};
use crate::product::{
    Block, Epilogue, Left, Panels, Write, grid, multiply, multiply_then, pack, pack_on_all,
    pack_transposed, panel_width, panels_len, tile_height,
};
use patches::{Along, add_patches, with_patches};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::OnceLock;
use winograd::few::{self, Kernels};

/// Rows of a block, in the largest tiles.
const BLOCK_TILES: usize = 14;
/// Most of the depth that is worked off at a time: 344 KB of patches with AVX-512, 172 KB else.
const BLOCK_DEPTH: usize = 512;
/// Values of patches that are added back onto a picture at a time.
const SCATTER_VALUES: usize = 100_000;
/// Positions, taps and outputs of the gradient of the weights that are worked off at a time.
const WEIGHTS_BLOCK: [usize; 3] = [384, 192, 256];

/// How a convolution or one of its gradients is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Blocks of patches.
    Plain,
    /// Pairs of positions, see [`positions`].
    Positions,
    /// Winograd's: a task has some of the tiles, and all tasks read the same transformed weights.
    ManyTiles,
    /// Winograd's: a task has some of the channels, see [`few`].
    FewTiles,
}

impl Way {
    /// Leaves out the padding where the plain way would multiply much of it.
    fn or_positions(self, shape: &ConvShape) -> Self {
        if self == Self::Plain && positions::pays(shape) { Self::Positions } else { self }
    }
}

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
    /// The convolution that is the product of two matrices, `[rows, inputs]` and `[inputs, outputs]`.
    pub fn product(rows: usize, inputs: usize, outputs: usize) -> Self {
        let [n, width, kernel, stride, padding] = [1, 1, 1, 1, 0];
        Self { n, height: rows, width, inputs, outputs, kernel, stride, padding }
    }

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
        assert_eq!(weights.len(), self.taps() * self.outputs, "weights of {self:?}");
        self.check_maps(x, y);
    }

    fn check_maps(&self, x: &[f32], y: &[f32]) {
        assert_eq!(x.len(), self.image() * self.n, "input values of {self:?}");
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

/// Lets convolutions of the whole process take Winograd's way, or not: it is faster and its last
/// digits are worse. Without a call the environment variable `LOOKSEE_WINOGRAD` decides, which turns
/// it off when it is `off`.
pub fn use_winograd(on: bool) {
    winograd::switch(on);
}

/// `y = x * weights`: `x` `[n, height, width, inputs]`, `weights` `[kernel * kernel * inputs,
/// outputs]` with taps in the order row, column, channel; `y` `[n, out height, out width,
/// outputs]` is overwritten.
///
/// # Panics
/// When a length does not follow from the shape.
pub fn forward(shape: &ConvShape, x: &[f32], weights: &[f32], y: &mut [f32]) {
    forward_then(shape, x, weights, y, |_| {});
}

/// [`forward`], and the moments of each channel of the result, taken while it is in the cache.
///
/// # Panics
/// When a length does not follow from the shape.
pub(crate) fn forward_with_moments(
    shape: &ConvShape,
    x: &[f32],
    weights: &[f32],
    y: &mut [f32],
) -> Moments {
    let moments = MomentsOfBlocks::new(shape.outputs);
    forward_then(shape, x, weights, y, |block| moments.see(block));
    moments.finish()
}

/// [`forward`], and `then` for each block of the result while it is in the cache.
pub(crate) fn forward_then(
    shape: &ConvShape,
    x: &[f32],
    weights: &[f32],
    y: &mut [f32],
    then: impl Fn(&mut Block) + Sync,
) {
    shape.check(x, weights, y);
    let (taps, outputs) = (shape.taps(), shape.outputs);
    match winograd::way(shape, false).or_positions(shape) {
        Way::FewTiles => {
            few::convolve(shape, x, Kernels::Plain(weights), y, Write::Overwrite, then);
        }
        Way::Positions => positions::convolve(shape, x, weights, y, then),
        way => with_scratch(panels_len(taps, outputs), |packed| {
            pack_on_all(weights, taps, outputs, packed);
            convolve_panels(shape, x, packed, way, y, Write::Overwrite, then);
        }),
    }
}

/// The weights of a convolution that runs often, packed once.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    panels: Vec<f32>,
    taps: usize,
    outputs: usize,
    /// Made at the first use: small pictures never need them.
    transformed: OnceLock<Vec<f32>>,
}

impl Packed {
    /// Packs `weights` `[kernel * kernel * inputs, outputs]`.
    ///
    /// # Panics
    /// When a length does not follow from the sizes.
    pub(crate) fn new(weights: &[f32], kernel: usize, inputs: usize, outputs: usize) -> Self {
        let taps = kernel * kernel * inputs;
        let mut panels = vec![0.0; panels_len(taps, outputs)];
        pack_on_all(weights, taps, outputs, &mut panels);
        Self { panels, taps, outputs, transformed: OnceLock::new() }
    }
}

/// What is done to the result of a convolution while it is in the cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finish<'a> {
    /// Added to each channel, `[outputs]`.
    pub(crate) bias: &'a [f32],
    /// Added to the result.
    pub(crate) residual: Residual<'a>,
    /// Then applied.
    pub(crate) activation: Activation,
}

/// What is added to the result of a convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Residual<'a> {
    /// Nothing.
    None,
    /// What was in its place before.
    InPlace,
    /// These values, of its shape.
    Of(&'a [f32]),
}

impl<'a> Finish<'a> {
    /// Bias and activation while values are in registers.
    fn epilogue(&self) -> Epilogue<'a> {
        let limits = match self.activation {
            Activation::None => [f32::NEG_INFINITY, f32::INFINITY],
            Activation::Relu => [0.0, f32::INFINITY],
            Activation::Relu6 => [0.0, 6.0],
        };
        Epilogue { bias: self.bias, limits }
    }
}

/// `y = activation(x * weights + bias + residual)`; `y` is overwritten, or is itself the residual.
///
/// # Panics
/// When a length does not follow from the shape.
pub(crate) fn forward_packed(
    shape: &ConvShape,
    x: &[f32],
    weights: &Packed,
    finish: &Finish,
    y: &mut [f32],
) {
    let (taps, outputs) = (shape.taps(), shape.outputs);
    assert_eq!((weights.taps, weights.outputs), (taps, outputs), "packed weights of {shape:?}");
    assert_eq!(finish.bias.len(), outputs, "biases of {shape:?}");
    shape.check_maps(x, y);
    if let Residual::Of(residual) = finish.residual {
        assert_eq!(residual.len(), y.len(), "values of the residual");
    }
    let write = match finish.residual {
        Residual::InPlace => Write::Accumulate,
        Residual::None | Residual::Of(_) => Write::Overwrite,
    };
    let then = |block: &mut Block| finish_block(block, finish, outputs);
    match winograd::way(shape, true) {
        Way::Plain | Way::Positions => {
            let panels = Panels::new(&weights.panels, taps, outputs);
            // A large cache still has the block later on, and reads a residual from end to end.
            let later =
                simd_level().has_large_cache() || matches!(finish.residual, Residual::Of(_));
            let epilogue = (!later).then(|| finish.epilogue());
            convolve(shape, x, &panels, y, write, epilogue.as_ref(), |block| {
                if later {
                    then(block);
                }
            });
        }
        Way::ManyTiles => {
            let transformed = weights.transformed.get_or_init(|| {
                let mut values = vec![0.0; winograd::weights_len(shape.inputs, outputs)];
                winograd::transform_weights(&weights.panels, shape.inputs, &mut values);
                values
            });
            winograd::convolve(shape, x, transformed, y, write, then);
        }
        Way::FewTiles => {
            let kernels = Kernels::Packed(&weights.panels);
            few::convolve(shape, x, kernels, y, write, then);
        }
    }
}

multiversion! {
    /// Bias, residual and activation of a block of a result with rows of `outputs`.
    fn finish_block(block: &mut Block, finish: &Finish, outputs: usize) {
        match finish.activation {
            Activation::None => finish_rows(block, finish, outputs, |value| value),
            Activation::Relu => finish_rows(block, finish, outputs, relu),
            Activation::Relu6 => finish_rows(block, finish, outputs, relu6),
        }
    }
}

#[inline(always)]
fn finish_rows(
    block: &mut Block,
    finish: &Finish,
    outputs: usize,
    activation: impl Fn(f32) -> f32,
) {
    let (rows, columns) = (block.rows(), block.columns());
    let bias = &finish.bias[columns.clone()];
    for number in 0..rows.len() {
        let row = block.row_mut(number);
        let Residual::Of(residual) = finish.residual else {
            for (value, bias) in row.iter_mut().zip(bias) {
                *value = activation(*value + bias);
            }
            continue;
        };
        let start = (rows.start + number) * outputs + columns.start;
        let residual = &residual[start..start + columns.len()];
        for ((value, bias), residual) in row.iter_mut().zip(bias).zip(residual) {
            *value = activation(*value + (bias + residual));
        }
    }
}

/// The convolution with weights in panels: the plain way, or Winograd's by tiles.
fn convolve_panels(
    shape: &ConvShape,
    x: &[f32],
    panels: &[f32],
    way: Way,
    y: &mut [f32],
    write: Write,
    then: impl Fn(&mut Block) + Sync,
) {
    if way == Way::Plain {
        let panels = Panels::new(panels, shape.taps(), shape.outputs);
        convolve(shape, x, &panels, y, write, None, then);
        return;
    }
    with_scratch(winograd::weights_len(shape.inputs, shape.outputs), |transformed| {
        winograd::transform_weights(panels, shape.inputs, transformed);
        winograd::convolve(shape, x, transformed, y, write, then);
    });
}

/// The convolution with weights in panels; the epilogue on the way out of the registers, `then` for
/// each block.
fn convolve(
    shape: &ConvShape,
    x: &[f32],
    weights: &Panels,
    y: &mut [f32],
    write: Write,
    epilogue: Option<&Epilogue>,
    then: impl Fn(&mut Block) + Sync,
) {
    let depth = piece_len(shape.taps(), shape.taps().div_ceil(BLOCK_DEPTH), 16);
    let (rows, columns) = block_sizes(shape.rows(), shape.outputs);
    grid(y, shape.outputs, rows, columns, |mut block| {
        let mut write = write;
        for taps in pieces(shape.taps(), depth) {
            let epilogue = if taps.end == shape.taps() { epilogue } else { None };
            with_patches(shape, x, block.rows(), taps.clone(), Along::Rows, |left| {
                let columns = block.columns();
                multiply_then(left, weights, taps, columns, &mut block, write, epilogue);
            });
            write = Write::Accumulate;
        }
        then(&mut block);
    });
}

/// Rows and columns of a task's part of a result: all columns where the rows give every thread
/// its share, else as many parts as it takes.
fn block_sizes(rows: usize, columns: usize) -> (usize, usize) {
    let (threads, width) = (threads(), panel_width());
    let mut down = rows.div_ceil(BLOCK_TILES * tile_height());
    // With 19 blocks one of two threads would have ten, and the other wait.
    if down >= 4 * threads {
        down = down.next_multiple_of(threads);
    }
    let fair =
        |across: usize| down * across >= 4 * threads || (down * across).is_multiple_of(threads);
    let most = columns.div_ceil(width).max(1);
    let across = (1..=threads.min(most)).find(|&across| fair(across)).unwrap_or(most.min(threads));
    (piece_len(rows, down, 1), piece_len(columns, across, width))
}

/// The gradient of the input, `dx` `[n, height, width, inputs]`, from that of the output, `dy`
/// `[n, out height, out width, outputs]`; `dx` is overwritten.
///
/// # Panics
/// When a length does not follow from the shape.
pub fn backward_input(shape: &ConvShape, dy: &[f32], weights: &[f32], dx: &mut [f32]) {
    write_input_gradient(shape, dy, weights, dx, Write::Overwrite);
}

/// [`backward_input`], added onto `dx`.
///
/// # Panics
/// When a length does not follow from the shape.
pub(crate) fn add_backward_input(shape: &ConvShape, dy: &[f32], weights: &[f32], dx: &mut [f32]) {
    write_input_gradient(shape, dy, weights, dx, Write::Accumulate);
}

fn write_input_gradient(
    shape: &ConvShape,
    dy: &[f32],
    weights: &[f32],
    dx: &mut [f32],
    write: Write,
) {
    shape.check(dx, weights, dy);
    let mirrored = shape.mirrored();
    let way = if shape.stride > 1 { Way::Plain } else { winograd::way(&mirrored, false) };
    let way = way.or_positions(shape);
    if way == Way::Positions {
        positions::backward_input(shape, dy, weights, dx, write);
        return;
    }
    let scatters = shape.stride > 1;
    if write == Write::Overwrite && (scatters || dy.is_empty()) {
        dx.par_chunks_mut(TASK_VALUES).for_each(|dx| dx.fill(0.0));
    }
    if dy.is_empty() || dx.is_empty() {
        return;
    }
    if scatters {
        scatter_input(shape, dy, weights, dx);
        return;
    }
    if way == Way::FewTiles {
        few::convolve(&mirrored, dy, Kernels::Mirrored(weights), dx, write, |_| {});
        return;
    }
    // The kernel turned by half a turn, inputs and outputs exchanged.
    let depth = shape.kernel * shape.kernel * shape.outputs;
    let taps = weights.chunks_exact((shape.inputs * shape.outputs).max(1)).rev();
    with_scratch(panels_len(depth, shape.inputs), |packed| {
        pack_transposed(&taps.collect::<Vec<_>>(), shape.outputs, shape.inputs, packed);
        convolve_panels(&mirrored, dy, packed, way, dx, write, |_| {});
    });
}

/// The gradient of the input at a stride above 1: patches of gradients, added where they came
/// from. A task is some pictures, because patches of one picture overlap.
fn scatter_input(shape: &ConvShape, dy: &[f32], weights: &[f32], dx: &mut [f32]) {
    let (taps, outputs) = (shape.taps(), shape.outputs);
    let pictures = piece_len(shape.n, 4 * threads(), 1);
    let positions = shape.out_height() * shape.out_width();
    with_scratch(panels_len(outputs, taps), |packed| {
        pack_transposed(&[weights], outputs, taps, packed);
        let panels = Panels::new(packed, outputs, taps);
        dx.par_chunks_mut(pictures * shape.image())
            .zip(dy.par_chunks(pictures * positions * outputs))
            .for_each(|(dx, dy)| {
                let part = ConvShape { n: dx.len() / shape.image(), ..*shape };
                scatter_part(part, dy, &panels, dx);
            });
    });
}

fn scatter_part(shape: ConvShape, dy: &[f32], weights: &Panels, dx: &mut [f32]) {
    let (taps, outputs) = (shape.taps(), shape.outputs);
    let rows_each = (SCATTER_VALUES / taps).clamp(1, shape.rows());
    for rows in pieces(shape.rows(), rows_each) {
        with_scratch(rows.len() * taps, |patches| {
            let mut block = Block::new(patches, rows.len(), taps, taps);
            let mut write = Write::Overwrite;
            for depths in pieces(outputs, piece_len(outputs, outputs.div_ceil(BLOCK_DEPTH), 16)) {
                let dy = &dy[rows.start * outputs + depths.start..];
                let left = Left::rows(dy, rows.len(), depths.len(), outputs);
                multiply(&left, weights, depths, 0..taps, &mut block, write);
                write = Write::Accumulate;
            }
            add_patches(shape, rows, patches, dx);
        });
    }
}

/// The gradient of the weights, `dw` `[kernel * kernel * inputs, outputs]`, from the input and the
/// gradient of the output; `dw` is overwritten.
///
/// # Panics
/// When a length does not follow from the shape.
pub fn backward_weights(shape: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    shape.check(x, dw, dy);
    if dy.is_empty() {
        dw.fill(0.0);
        return;
    }
    match winograd::way_for_weights(shape).or_positions(shape) {
        Way::Plain => {}
        Way::Positions => return positions::backward_weights(shape, x, dy, dw),
        Way::ManyTiles => return winograd::backward_weights(shape, x, dy, dw),
        Way::FewTiles => return few::backward_weights(shape, x, dy, dw),
    }
    let (taps, outputs) = weight_block_sizes(shape);
    grid(dw, shape.outputs, taps, outputs, |mut block| {
        let mut write = Write::Overwrite;
        for rows in pieces(
            shape.rows(),
            piece_len(shape.rows(), shape.rows().div_ceil(WEIGHTS_BLOCK[0]), 1),
        ) {
            sum_over_rows(shape, x, dy, rows, &mut block, write);
            write = Write::Accumulate;
        }
    });
}

/// Taps and outputs of a task's part of the weights. Tasks that share taps copy the same patches,
/// tasks that share outputs pack the same gradients: the longer side is cut first, and the outputs
/// where there are no patches to copy.
fn weight_block_sizes(shape: &ConvShape) -> (usize, usize) {
    let (threads, width) = (threads(), panel_width());
    let (taps, outputs) = (shape.taps(), shape.outputs);
    let wide = shape.is_product() && outputs >= threads * width;
    let (down, across) = if taps >= outputs && !wide {
        let down = threads.min(taps.div_ceil(12));
        (down, threads.div_ceil(down))
    } else {
        let across = threads.min(outputs.div_ceil(width));
        (threads.div_ceil(across), across)
    };
    (piece_len(taps, down, 4), piece_len(outputs, across, width))
}

/// `block (+)= patches^T dy` over these rows.
fn sum_over_rows(
    shape: &ConvShape,
    x: &[f32],
    dy: &[f32],
    rows: Range<usize>,
    block: &mut Block,
    write: Write,
) {
    let (all_taps, all_outputs) = (block.rows(), block.columns());
    for outputs in pieces(all_outputs.len(), WEIGHTS_BLOCK[2]) {
        with_scratch(panels_len(rows.len(), outputs.len()), |packed| {
            let first = all_outputs.start + outputs.start;
            let from = &dy[rows.start * shape.outputs + first..];
            pack(from, rows.len(), outputs.len(), shape.outputs, packed);
            let right = Panels::new(packed, rows.len(), outputs.len());
            for part in pieces(all_taps.len(), WEIGHTS_BLOCK[1]) {
                let taps = all_taps.start + part.start..all_taps.start + part.end;
                with_patches(shape, x, rows.clone(), taps, Along::Columns, |patches| {
                    let mut target = block.part(part, outputs.clone());
                    let all = 0..outputs.len();
                    multiply(&patches.transposed(), &right, 0..rows.len(), all, &mut target, write);
                });
            }
        });
    }
}

#[cfg(test)]
mod tests;
