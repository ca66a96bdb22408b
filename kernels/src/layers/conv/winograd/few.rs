//! Winograd's convolution where tiles are few and channels many, as in the late layers.
//!
//! The transformed weights are four times as many as the weights, and with few tiles most of the
//! time would go into writing and reading them. Here a task has all tiles and some of the channels:
//! it transforms its own weights a few at a time, uses them while they are in the second cache, and
//! forgets them.

use super::super::ConvShape;
use super::transforms::{
    LANES, Taps, gather_tile, gather_weights, spread_gradient_tile, spread_tile, transform_kernels,
};
use super::{OUTSIDE, PRODUCTS, SIDE, TILE, Tile, all_tiles, fits};
use crate::cpu::buffers::Buffer;
use crate::cpu::parallel::{piece_len, pieces, threads};
use crate::cpu::scratch::with_scratch;
use crate::cpu::simd::simd_level;
use crate::product::{
    Block, Left, Panels, Write, apart, grid, multiply, pack_part_transposed, panel_width,
};
use rayon::prelude::*;
use std::ops::Range;

/// Most tiles: with the sums of more, the second cache is too small.
pub(super) const MOST_TILES: usize = 160;
/// Channels of the input whose weights are transformed at a time. With AVX-512 they stay in the
/// second cache, 295 KB. Half of such a cache has no room for weights and sums anyway: there long runs,
/// and few passes over the sums, were measured to be faster.
fn depth_at_a_time() -> usize {
    if simd_level().has_large_cache() { 64 } else { 256 }
}
/// Most tiles whose products are taken together: four of the largest tiles of a product.
const GROUP: usize = 48;
/// Most inputs of a task of the gradient of the weights.
const WEIGHTS_INPUTS: usize = 32;

/// The weights of a convolution, `[9 * inputs, outputs]`.
#[derive(Clone, Copy)]
pub(in super::super) enum Kernels<'a> {
    /// Its own.
    Plain(&'a [f32]),
    /// Those of the convolution of which it is the gradient of the input: turned by half a turn,
    /// inputs and outputs exchanged.
    Mirrored(&'a [f32]),
    /// Its own in panels.
    Packed(&'a [f32]),
}

impl Kernels<'_> {
    /// Transforms the kernels of some inputs and of one panel of outputs, `[36, inputs, width]`.
    fn transform(
        self,
        shape: &ConvShape,
        inputs: Range<usize>,
        outputs: Range<usize>,
        to: &mut [f32],
    ) {
        let width = panel_width();
        let each = shape.inputs * shape.outputs;
        let (rows, columns) = (inputs.len(), outputs.len());
        match self {
            Self::Plain(weights) => {
                let from = &weights[inputs.start * shape.outputs + outputs.start..];
                let taps = Taps { tap: each, row: shape.outputs, rows, columns, width };
                transform_kernels(from, &taps, to);
            }
            Self::Packed(panels) => {
                let from = (outputs.start * 9 * shape.inputs) + inputs.start * width;
                let taps = Taps { tap: shape.inputs * width, row: width, rows, columns, width };
                transform_kernels(&panels[from..], &taps, to);
            }
            Self::Mirrored(weights) => with_scratch(9 * rows * width, |turned| {
                for (tap, turned) in turned.chunks_exact_mut(rows * width).enumerate() {
                    let from = &weights[(8 - tap) * each + outputs.start * shape.inputs..];
                    pack_part_transposed(from, shape.inputs, inputs.clone(), columns, turned);
                }
                let taps = Taps { tap: rows * width, row: width, rows, columns, width };
                transform_kernels(turned, &taps, to);
            }),
        }
    }
}

/// Transformed inputs of all tiles: groups of tiles one after the other, each
/// `[36, tiles, stride]`.
struct Spread {
    values: Buffer,
    group: usize,
    count: usize,
    stride: usize,
    step: usize,
}

impl Spread {
    fn of(shape: &ConvShape, x: &[f32], all: &[Tile], group: usize) -> Self {
        let stride = apart(shape.inputs);
        let step = apart(group * stride);
        let mut values = Buffer::new(all.len().div_ceil(group) * PRODUCTS * step);
        values.par_chunks_mut(PRODUCTS * step).zip(all.par_chunks(group)).for_each(
            |(to, tiles)| {
                for (number, tile) in tiles.iter().enumerate() {
                    let places = tile.places(shape, shape.inputs, SIDE, 1);
                    let to = &mut to[number * stride..];
                    spread_tile(x, &places, shape.inputs, to, step);
                }
            },
        );
        Self { values, group, count: all.len(), stride, step }
    }

    /// Tiles of each group, and their values for each product.
    fn groups(&self) -> impl Iterator<Item = (Range<usize>, &[f32])> {
        let values = self.values.chunks_exact(PRODUCTS * self.step);
        pieces(self.count, self.group).zip(values)
    }
}

/// The convolution.
pub(in super::super) fn convolve(
    shape: &ConvShape,
    x: &[f32],
    kernels: Kernels,
    y: &mut [f32],
    write: Write,
    then: impl Fn(&mut Block) + Sync,
) {
    assert!(fits(shape), "{shape:?} has no Winograd form here");
    let (inputs, outputs, width) = (shape.inputs, shape.outputs, panel_width());
    let all = all_tiles(shape);
    let group = piece_len(all.len(), threads(), 4).min(GROUP);
    let spread = Spread::of(shape, x, &all, group);
    let rows = shape.rows();
    grid(y, outputs, rows, width, |mut block| {
        let columns = block.columns();
        let count = columns.len();
        let sums_step = apart(group * width);
        let groups = all.len().div_ceil(group);
        let most = depth_at_a_time().min(inputs);
        with_scratch(PRODUCTS * (apart(most * width) + groups * sums_step), |scratch| {
            let (right, sums) = scratch.split_at_mut(PRODUCTS * apart(most * width));
            let mut write_sums = Write::Overwrite;
            for channels in pieces(inputs, most) {
                let depth = channels.len();
                kernels.transform(shape, channels.clone(), columns.clone(), right);
                let groups = spread.groups().zip(sums.chunks_exact_mut(PRODUCTS * sums_step));
                for ((tiles, left), sums) in groups {
                    let lefts = left.chunks_exact(spread.step);
                    let rights = right.chunks_exact(apart(depth * width));
                    let sums = sums.chunks_exact_mut(sums_step);
                    for ((left, right), sums) in lefts.zip(rights).zip(sums) {
                        let left = &left[channels.start..];
                        let left = Left::rows(left, tiles.len(), depth, spread.stride);
                        let right = Panels::new(&right[..depth * width], depth, count);
                        let mut block = Block::new(sums, tiles.len(), count, width);
                        multiply(&left, &right, 0..depth, 0..count, &mut block, write_sums);
                    }
                }
                write_sums = Write::Accumulate;
            }
            for (tiles, sums) in all.chunks(group).zip(sums.chunks_exact(PRODUCTS * sums_step)) {
                for (number, tile) in tiles.iter().enumerate() {
                    let places = tile.places(shape, 1, TILE, 0);
                    let sums = &sums[number * width..];
                    gather_tile(sums, sums_step, count, &places, 0, &mut block, write);
                }
            }
        });
        then(&mut block);
    });
}

/// The gradient of the weights, `dw` `[9 * inputs, outputs]`.
pub(in super::super) fn backward_weights(shape: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    assert!(fits(shape), "{shape:?} has no Winograd form here");
    let (inputs, outputs, width) = (shape.inputs, shape.outputs, panel_width());
    let all = all_tiles(shape);
    let count = all.len();
    // Two groups whatever the threads: a sum is cut where a group ends.
    let spread = Spread::of(shape, x, &all, piece_len(count, 2, 4));
    let gradients = spread_gradients(shape, dy, &all);
    let each = piece_len(inputs, 4 * threads(), LANES).min(WEIGHTS_INPUTS);
    in_parts(dw, inputs * outputs, each * outputs).into_par_iter().enumerate().for_each(
        |(number, mut taps)| {
            let own = number * each..((number + 1) * each).min(inputs);
            let panels = gradients.chunks_exact(PRODUCTS * apart(count * width));
            for (columns, right) in pieces(outputs, width).zip(panels) {
                let pairs = own.len() * columns.len();
                with_scratch(PRODUCTS * apart(pairs) + 9 * pairs, |scratch| {
                    let (sums, gradient) = scratch.split_at_mut(PRODUCTS * apart(pairs));
                    sum_products(&spread, own.clone(), right, columns.len(), sums);
                    gather_weights(sums, apart(pairs), pairs, gradient);
                    for (gradient, tap) in gradient.chunks_exact(pairs).zip(&mut taps) {
                        let rows = tap.chunks_exact_mut(outputs);
                        for (row, gradient) in rows.zip(gradient.chunks_exact(columns.len())) {
                            row[columns.clone()].copy_from_slice(gradient);
                        }
                    }
                });
            }
        },
    );
}

/// The products of these inputs with the gradients `right` of one panel, summed over the tiles,
/// `[36, inputs, columns]` with the products [`apart`].
fn sum_products(
    spread: &Spread,
    own: Range<usize>,
    right: &[f32],
    columns: usize,
    sums: &mut [f32],
) {
    let len = spread.count * panel_width();
    let rights = right.chunks_exact(apart(len));
    let sums = sums.chunks_exact_mut(apart(own.len() * columns));
    for (product, (right, sums)) in rights.zip(sums).enumerate() {
        let right = Panels::new(&right[..len], spread.count, columns);
        let mut block = Block::new(sums, own.len(), columns, columns);
        let mut write = Write::Overwrite;
        for (tiles, left) in spread.groups() {
            let left = &left[product * spread.step + own.start..];
            let left = Left::rows(left, tiles.len(), own.len(), spread.stride).transposed();
            multiply(&left, &right, tiles, 0..columns, &mut block, write);
            write = Write::Accumulate;
        }
    }
}

/// The nine taps of `len` values each, cut into parts of `part` values: of each part its nine taps.
fn in_parts(dw: &mut [f32], len: usize, part: usize) -> Vec<Vec<&mut [f32]>> {
    let mut parts: Vec<Vec<&mut [f32]>> = Vec::new();
    for tap in dw.chunks_exact_mut(len) {
        for (number, values) in tap.chunks_mut(part).enumerate() {
            match parts.get_mut(number) {
                Some(part) => part.push(values),
                None => parts.push(vec![values]),
            }
        }
    }
    parts
}

/// Transformed gradients of all tiles, a panel of outputs after the other, each
/// `[36, tiles, width]`.
fn spread_gradients(shape: &ConvShape, dy: &[f32], all: &[Tile]) -> Buffer {
    let (outputs, width) = (shape.outputs, panel_width());
    let step = apart(all.len() * width);
    let mut values = Buffer::new(outputs.div_ceil(width) * PRODUCTS * step);
    values.par_chunks_mut(PRODUCTS * step).enumerate().for_each(|(number, to)| {
        let first = number * width;
        let channels = width.min(outputs - first);
        for (number, tile) in all.iter().enumerate() {
            let shifted = |place| if place == OUTSIDE { place } else { place + first };
            let places = tile.places(shape, outputs, TILE, 0).map(shifted);
            spread_gradient_tile(dy, &places, channels, &mut to[number * width..], step, 0, width);
        }
    });
    values
}
