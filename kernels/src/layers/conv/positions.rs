//! Convolutions of small maps, one pair of positions at a time (direct convolution, a GEMM a
//! pair).
//!
//! On a map of 2x2, five of the nine taps of a 3x3 kernel lie in the padding, and the patch matrix
//! is mostly zeros. Here the rows of a product are the pictures: each output position is the sum,
//! over the input positions under its kernel, of a product `[pictures, inputs] [inputs, outputs]`
//! with the weights of one tap. The gradient of the input is the same with the ends exchanged, at
//! any stride; that of the weights has a product for each tap.

use super::ConvShape;
use crate::cpu::buffers::Buffer;
use crate::cpu::parallel::{piece_len, threads};
use crate::cpu::scratch::with_scratch;
use crate::product::{
    Block, Left, Panels, Write, apart, grid, multiply, pack, pack_on_all, pack_transposed,
    panel_width, panels_len,
};
use rayon::prelude::*;

/// Most positions of an output: beyond 4x4 few taps lie in the padding.
const MOST_POSITIONS: usize = 16;
/// Fewest pictures: a tile of rows.
const LEAST_PICTURES: usize = 8;
/// Fewest channels on either side, so that a product has some depth.
const LEAST_CHANNELS: usize = 64;
/// Inputs of a task of the gradient of the weights: eight of the largest tiles.
const WEIGHTS_INPUTS: usize = 96;

/// Whether so many taps lie in the padding that this way is worth its copies.
pub(super) fn pays(shape: &ConvShape) -> bool {
    let enough = shape.n >= LEAST_PICTURES && shape.inputs.min(shape.outputs) >= LEAST_CHANNELS;
    let positions = shape.out_height() * shape.out_width();
    enough && positions <= MOST_POSITIONS && {
        let all = positions * shape.kernel * shape.kernel;
        10 * links(shape).len() < 9 * all
    }
}

/// An input position under the kernel at an output position.
#[derive(Clone, Copy)]
struct Link {
    tap: usize,
    from: usize,
    to: usize,
}

/// Every pair of positions, those of one tap together.
fn links(shape: &ConvShape) -> Vec<Link> {
    let (high, wide) = (shape.out_height(), shape.out_width());
    let mut links = Vec::new();
    for tap in 0..shape.kernel * shape.kernel {
        for to in 0..high * wide {
            let y = to / wide * shape.stride + tap / shape.kernel;
            let x = to % wide * shape.stride + tap % shape.kernel;
            let inside = |at: usize, size| (shape.padding..shape.padding + size).contains(&at);
            if inside(y, shape.height) && inside(x, shape.width) {
                let from = (y - shape.padding) * shape.width + x - shape.padding;
                links.push(Link { tap, from, to });
            }
        }
    }
    links
}

/// A map with positions outermost, `[positions, pictures, stride]`.
struct ByPosition {
    values: Buffer,
    pictures: usize,
    channels: usize,
    stride: usize,
}

impl ByPosition {
    fn of(map: &[f32], pictures: usize, channels: usize) -> Self {
        let positions = map.len() / (pictures * channels);
        let stride = apart(channels);
        let mut values = Buffer::new(positions * pictures * stride);
        values.par_chunks_mut(pictures * stride).enumerate().for_each(|(position, rows)| {
            for (picture, row) in rows.chunks_exact_mut(stride).enumerate() {
                let from = (picture * positions + position) * channels;
                row[..channels].copy_from_slice(&map[from..from + channels]);
            }
        });
        Self { values, pictures, channels, stride }
    }

    fn at(&self, position: usize) -> Left<'_> {
        let from = position * self.pictures * self.stride;
        Left::rows(&self.values[from..], self.pictures, self.channels, self.stride)
    }
}

/// The convolution.
pub(super) fn convolve(
    shape: &ConvShape,
    x: &[f32],
    weights: &[f32],
    y: &mut [f32],
    then: impl Fn(&mut Block) + Sync,
) {
    let (taps, outputs) = (shape.taps(), shape.outputs);
    let from = ByPosition::of(x, shape.n, shape.inputs);
    with_scratch(panels_len(taps, outputs), |packed| {
        pack_on_all(weights, taps, outputs, packed);
        let panels = Panels::new(packed, taps, outputs);
        sum_links(&links(shape), &from, &panels, outputs, y, Write::Overwrite, then);
    });
}

/// The gradient of the input, at any stride.
pub(super) fn backward_input(
    shape: &ConvShape,
    dy: &[f32],
    weights: &[f32],
    dx: &mut [f32],
    write: Write,
) {
    let (inputs, outputs) = (shape.inputs, shape.outputs);
    let depth = shape.kernel * shape.kernel * outputs;
    let from = ByPosition::of(dy, shape.n, outputs);
    let taps: Vec<&[f32]> = weights.chunks_exact(inputs * outputs).collect();
    let mut links = links(shape);
    for link in &mut links {
        (link.from, link.to) = (link.to, link.from);
    }
    with_scratch(panels_len(depth, inputs), |packed| {
        pack_transposed(&taps, outputs, inputs, packed);
        let panels = Panels::new(packed, depth, inputs);
        sum_links(&links, &from, &panels, inputs, dx, write, |_| {});
    });
}

/// For each position of `out` the sum of the products of its links; `panels` holds the weights of
/// one tap after the other. A task has some of the channels.
fn sum_links(
    links: &[Link],
    from: &ByPosition,
    panels: &Panels,
    channels: usize,
    out: &mut [f32],
    write: Write,
    then: impl Fn(&mut Block) + Sync,
) {
    let rows = out.len() / channels;
    let positions = rows / from.pictures;
    let each = piece_len(channels, 4 * threads(), panel_width());
    grid(out, channels, rows, each, |mut block| {
        let columns = block.columns();
        let mut writes = vec![write; positions];
        for link in links {
            let depths = link.tap * from.channels..(link.tap + 1) * from.channels;
            let mut part = block.every(positions, link.to);
            let (left, write) = (from.at(link.from), writes[link.to]);
            multiply(&left, panels, depths, columns.clone(), &mut part, write);
            writes[link.to] = Write::Accumulate;
        }
        for row in 0..block.rows().len() {
            // No kernel sees it.
            if writes[row % positions] == Write::Overwrite {
                block.row_mut(row).fill(0.0);
            }
        }
        then(&mut block);
    });
}

/// The gradient of the weights, `dw` `[taps, outputs]`.
pub(super) fn backward_weights(shape: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let (inputs, outputs) = (shape.inputs, shape.outputs);
    let links = links(shape);
    let each = piece_len(inputs, threads(), 4).min(WEIGHTS_INPUTS);
    dw.par_chunks_mut(inputs * outputs).enumerate().for_each(|(tap, dw)| {
        let links: Vec<&Link> = links.iter().filter(|link| link.tap == tap).collect();
        if links.is_empty() {
            dw.fill(0.0);
            return;
        }
        // All rows that meet under this tap, one picture after the other for each link.
        let depth = links.len() * shape.n;
        let stride = apart(inputs);
        let mut left = Buffer::new(depth * stride);
        let mut right = Buffer::new(depth * outputs);
        let positions = [shape.height * shape.width, shape.out_height() * shape.out_width()];
        for (number, link) in links.iter().enumerate() {
            for picture in 0..shape.n {
                let row = number * shape.n + picture;
                let x = &x[(picture * positions[0] + link.from) * inputs..][..inputs];
                left[row * stride..][..inputs].copy_from_slice(x);
                let dy = &dy[(picture * positions[1] + link.to) * outputs..][..outputs];
                right[row * outputs..][..outputs].copy_from_slice(dy);
            }
        }
        let mut packed = Buffer::new(panels_len(depth, outputs));
        pack(&right, depth, outputs, outputs, &mut packed);
        let right = Panels::new(&packed, depth, outputs);
        dw.par_chunks_mut(each * outputs).enumerate().for_each(|(number, dw)| {
            let own = dw.len() / outputs;
            let left = Left::rows(&left[number * each..], depth, own, stride).transposed();
            let mut block = Block::new(dw, own, outputs, outputs);
            multiply(&left, &right, 0..depth, 0..outputs, &mut block, Write::Overwrite);
        });
    });
}
