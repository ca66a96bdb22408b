//! Winograd's convolution: 3x3 kernels of stride 1 with a quarter of the multiplications, by
//! minimal filtering F(4x4, 3x3) (Lavin and Gray, 2016), on the points 0, 1, -1, 2, -2 and
//! infinity.
//!
//! The output is cut into tiles of 4x4. The 6x6 inputs of a tile and the 3x3 weights are taken to 36
//! numbers each, whose products, summed over the channels, are taken back to the 16 outputs: 36
//! multiplications a tile and pair of channels where the definition has 144. The 36 sums are matrix
//! products of their own, `[tiles, inputs] [inputs, outputs]`.
//!
//! The price is in the last digits: the transforms subtract numbers of like size. Measured against
//! `f64` the error is 2e-6 of the result's size where that of the plain sum is 2.5e-7
//! (docs/performance.md); `LOOKSEE_WINOGRAD=off` turns it off.

pub(super) mod few;
mod transforms;

use super::{ConvShape, Way};
use crate::cpu::buffers::Buffer;
use crate::cpu::parallel::{piece_len, pieces, shares, threads};
use crate::cpu::scratch::with_scratch;
use crate::cpu::simd::simd_level;
use crate::product::{Block, Left, Panels, Write, apart, multiply, panel_width, panels_len};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};
use transforms::{
    LANES, Taps, gather_tile, gather_weights, spread_gradient_tile, spread_tile, transform_kernels,
};

/// Side of a tile of the output.
const TILE: usize = 4;
/// Side of the inputs under it.
const SIDE: usize = 6;
/// Products of a tile and a pair of channels.
const PRODUCTS: usize = SIDE * SIDE;
/// Values of transformed inputs of a task: half of the second cache, or little more.
const TASK_VALUES: usize = 75_000;
/// Fewest and most tiles of a task.
const TASK_TILES: [usize; 2] = [24, 64];

/// Tasks at least that the estimates count with.
const TASKS: f64 = 2.0;

/// 0 while nobody has asked, 1 for off, 2 for on.
static SWITCH: AtomicU8 = AtomicU8::new(0);

/// Whether it may be used: as [`super::use_winograd`] said last, else as `LOOKSEE_WINOGRAD` says.
fn is_on() -> bool {
    match SWITCH.load(Ordering::Relaxed) {
        0 => {
            let on = std::env::var("LOOKSEE_WINOGRAD").as_deref() != Ok("off");
            switch(on);
            on
        }
        state => state == 2,
    }
}

pub(super) fn switch(on: bool) {
    SWITCH.store(1 + u8::from(on), Ordering::Relaxed);
}

/// Whether the convolution can be done this way.
pub(super) fn fits(shape: &ConvShape) -> bool {
    let whole = |channels: usize| channels > 0 && channels.is_multiple_of(LANES);
    (shape.kernel, shape.stride, shape.padding) == (3, 1, 1)
        && whole(shape.inputs)
        && whole(shape.outputs)
}

/// The way that is likely to be the fastest, from counts of operations and bytes that hold for any
/// processor about alike, and from sizes alone: the number of threads does not decide how a sum is
/// taken. `ready` says that the weights are transformed already.
pub(super) fn way(shape: &ConvShape, ready: bool) -> Way {
    if !fits(shape) || !is_on() {
        return Way::Plain;
    }
    let pairs = (shape.inputs * shape.outputs) as f64;
    let tiles = tiles(shape) as f64;
    // Seconds of one thread at 50 products, 3 transformed values or 4 values of weights read a
    // nanosecond; weights that stay in the second cache are transformed at twice the rate.
    let plain = 9.0 * shape.rows() as f64 * pairs / 50e9;
    let products = PRODUCTS as f64 * tiles * pairs / 50e9;
    let transforms = PRODUCTS as f64 * tiles * (shape.inputs + shape.outputs) as f64 / 3e9;
    let made = if ready { 0.0 } else { PRODUCTS as f64 * pairs / 3e9 };
    let tasks = (tiles / tiles_of_task(shape) as f64).ceil().max(TASKS);
    let read = PRODUCTS as f64 * pairs * tasks / 4e9;
    let many = products.max(read) + transforms + made;
    let few = products + transforms + PRODUCTS as f64 * pairs / 6e9;
    fastest(shape, plain, many, few)
}

/// The way that takes the fewest of these seconds; Winograd's only for a tenth less.
fn fastest(shape: &ConvShape, plain: f64, many: f64, few: f64) -> Way {
    let few = if tiles(shape) <= few::MOST_TILES { few } else { f64::INFINITY };
    match many.min(few) {
        best if best >= 0.9 * plain => Way::Plain,
        best if best < few => Way::ManyTiles,
        _ => Way::FewTiles,
    }
}

fn tiles(shape: &ConvShape) -> usize {
    shape.n * shape.height.div_ceil(TILE) * shape.width.div_ceil(TILE)
}

fn tiles_of_task(shape: &ConvShape) -> usize {
    let values = if simd_level().has_large_cache() { 2 * TASK_VALUES } else { TASK_VALUES };
    (values / (PRODUCTS * shape.inputs)).clamp(TASK_TILES[0], TASK_TILES[1])
}

/// Values of the transformed weights.
pub(super) fn weights_len(inputs: usize, outputs: usize) -> usize {
    outputs.div_ceil(panel_width()) * PRODUCTS * apart(inputs * panel_width())
}

/// Transforms weights in panels, `[panel][9 taps][inputs][width]`, to `[panel][36][inputs][width]`
/// with the products [`apart`].
pub(super) fn transform_weights(panels: &[f32], inputs: usize, to: &mut [f32]) {
    let width = panel_width();
    let (from_len, to_len) = (9 * inputs * width, PRODUCTS * apart(inputs * width));
    assert_eq!(panels.len() * to_len, to.len() * from_len, "weights and transformed weights");
    if to.is_empty() {
        return;
    }
    let taps = Taps { tap: inputs * width, row: width, rows: inputs, columns: width, width };
    to.par_chunks_mut(to_len)
        .zip(panels.par_chunks(from_len))
        .for_each(|(to, from)| transform_kernels(from, &taps, to));
}

/// The convolution with transformed weights.
pub(super) fn convolve(
    shape: &ConvShape,
    x: &[f32],
    weights: &[f32],
    y: &mut [f32],
    write: Write,
    then: impl Fn(&mut Block) + Sync,
) {
    assert!(fits(shape), "{shape:?} has no Winograd form here");
    assert_eq!(weights.len(), weights_len(shape.inputs, shape.outputs), "transformed weights");
    let high = shape.height.div_ceil(TILE);
    let across = shape.width.div_ceil(TILE);
    let strips = shape.n * high;
    let least = strips.div_ceil((tiles_of_task(shape) / across).max(1));
    let count = least.next_multiple_of(threads()).min(strips);
    // Rows of tiles, cut where the pictures end: each is a run of rows of the output.
    let first_row = |strip: usize| {
        (strip / high * shape.height + (strip % high * TILE).min(shape.height)) * shape.width
    };
    let mut tasks = Vec::new();
    let mut rest = y;
    // A short last task would leave a thread without work.
    for strips in shares(strips, count) {
        let rows = first_row(strips.start)..first_row(strips.end);
        let (part, after) = rest.split_at_mut(rows.len() * shape.outputs);
        rest = after;
        tasks.push((strips, rows, part));
    }
    tasks.into_par_iter().with_max_len(1).for_each(|(strips, rows, part)| {
        let tiles: Vec<Tile> = strips
            .flat_map(|strip| {
                let (picture, y) = (strip / high, strip % high * TILE);
                (0..across).map(move |x| Tile { picture, y, x: x * TILE })
            })
            .collect();
        let mut block = Block::new(part, rows.len(), shape.outputs, shape.outputs);
        let block = block.at_row(rows.start);
        run_tiles(shape, x, weights, &tiles, block, write);
        then(block);
    });
}

/// Where a tile of the output begins.
#[derive(Clone, Copy)]
struct Tile {
    picture: usize,
    y: usize,
    x: usize,
}

/// All tiles, one picture after the other.
fn all_tiles(shape: &ConvShape) -> Vec<Tile> {
    let (high, across) = (shape.height.div_ceil(TILE), shape.width.div_ceil(TILE));
    let tile = |number: usize| Tile {
        picture: number / (high * across),
        y: number / across % high * TILE,
        x: number % across * TILE,
    };
    (0..tiles(shape)).map(tile).collect()
}

/// Marks a position outside the picture.
const OUTSIDE: usize = usize::MAX;

impl Tile {
    /// Where the values of `side` x `side` positions start in a map with `channels`, the first of
    /// them `before` above and left of the tile.
    fn places<const N: usize>(
        self,
        shape: &ConvShape,
        channels: usize,
        side: usize,
        before: usize,
    ) -> [usize; N] {
        std::array::from_fn(|number| {
            let (y, x) = (self.y + number / side, self.x + number % side);
            let inside = (before..shape.height + before).contains(&y)
                && (before..shape.width + before).contains(&x);
            if !inside {
                return OUTSIDE;
            }
            let row = (self.picture * shape.height + y - before) * shape.width;
            (row + x - before) * channels
        })
    }
}

/// Computes these tiles into the rows of the output that they are.
fn run_tiles(
    shape: &ConvShape,
    x: &[f32],
    weights: &[f32],
    tiles: &[Tile],
    to: &mut Block,
    write: Write,
) {
    let (inputs, outputs, width) = (shape.inputs, shape.outputs, panel_width());
    let count = tiles.len();
    let stride = apart(inputs);
    let (step, sums_step) = (apart(count * stride), apart(count * width));
    with_scratch(PRODUCTS * step, |spread| {
        for (number, tile) in tiles.iter().enumerate() {
            let places = tile.places(shape, inputs, SIDE, 1);
            spread_tile(x, &places, inputs, &mut spread[number * stride..], step);
        }
        let places: Vec<[usize; TILE * TILE]> = tiles
            .iter()
            .map(|tile| {
                let start = to.rows().start;
                let inside = |row| if row == OUTSIDE { OUTSIDE } else { row - start };
                tile.places(shape, 1, TILE, 0).map(inside)
            })
            .collect();
        let weights_step = apart(inputs * width);
        with_scratch(PRODUCTS * sums_step, |sums| {
            for (number, first) in (0..outputs).step_by(width).enumerate() {
                let columns = width.min(outputs - first);
                let weights = &weights[number * PRODUCTS * weights_step..];
                let products = (0..PRODUCTS).map(|product| &weights[product * weights_step..]);
                let sums_of = sums.chunks_exact_mut(sums_step);
                for ((left, right), sums) in spread.chunks_exact(step).zip(products).zip(sums_of) {
                    let left = Left::rows(left, count, inputs, stride);
                    let next = right.get(weights_step..);
                    let right = Panels::new(&right[..inputs * width], inputs, columns).then(next);
                    let mut block = Block::new(sums, count, columns, width);
                    multiply(&left, &right, 0..inputs, 0..columns, &mut block, Write::Overwrite);
                }
                for (tile, places) in places.iter().enumerate() {
                    let sums = &sums[tile * width..];
                    gather_tile(sums, sums_step, columns, places, first, to, write);
                }
            }
        });
    });
}

/// Tiles that a task of the gradient of the weights sums over at a time.
const WEIGHTS_TILES: usize = 96;

/// The way to the gradient of the weights that is likely to be the fastest, counted as in [`way`].
pub(super) fn way_for_weights(shape: &ConvShape) -> Way {
    if !fits(shape) || !is_on() {
        return Way::Plain;
    }
    let pairs = (shape.inputs * shape.outputs) as f64;
    let tiles = tiles(shape) as f64;
    let plain = 9.0 * shape.rows() as f64 * pairs / 50e9;
    let products = PRODUCTS as f64 * tiles * pairs / 40e9;
    // Each task transforms its own inputs, and all outputs.
    let transforms = |channels: f64| PRODUCTS as f64 * tiles * channels / 3e9;
    let (inputs, outputs) = (shape.inputs as f64, shape.outputs as f64);
    let rounds = (tiles / WEIGHTS_TILES as f64).ceil();
    let summed = 2.0 * PRODUCTS as f64 * pairs * rounds / 4e9;
    let many = products + transforms(inputs + TASKS * outputs) + summed;
    let few = products + transforms(inputs + outputs) + PRODUCTS as f64 * pairs / 6e9;
    fastest(shape, plain, many, few)
}

/// The gradient of the weights, `dw` `[9 * inputs, outputs]`: the transpose of the forward way, so
/// `G^T (sum over tiles of (B^T d B) * (A dy A^T)) G`. A task has some of the inputs.
pub(super) fn backward_weights(shape: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    assert!(fits(shape), "{shape:?} has no Winograd form here");
    let (inputs, outputs) = (shape.inputs, shape.outputs);
    let tiles = all_tiles(shape);
    let each = piece_len(inputs, threads(), LANES);
    let parts: Vec<Buffer> = pieces(inputs, each)
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|channels| sum_products(shape, x, dy, &tiles, channels))
        .collect();
    dw.par_chunks_mut(inputs * outputs).enumerate().for_each(|(tap, dw)| {
        for (dw, part) in dw.chunks_mut(each * outputs).zip(&parts) {
            dw.copy_from_slice(&part[tap * dw.len()..(tap + 1) * dw.len()]);
        }
    });
}

/// The gradient of the weights of these inputs, `[9, channels, outputs]`.
fn sum_products(
    shape: &ConvShape,
    x: &[f32],
    dy: &[f32],
    tiles: &[Tile],
    channels: Range<usize>,
) -> Buffer {
    let (inputs, outputs, width) = (shape.inputs, shape.outputs, panel_width());
    let own = channels.len();
    let stride = apart(own);
    let mut gradient = Buffer::new(9 * own * outputs);
    let sums_step = apart(own * outputs);
    with_scratch(PRODUCTS * sums_step, |sums| {
        let mut write = Write::Overwrite;
        for tiles in tiles.chunks(WEIGHTS_TILES) {
            let count = tiles.len();
            let panels = panels_len(count, outputs);
            let (left_step, right_step) = (apart(count * stride), apart(panels));
            with_scratch(PRODUCTS * (left_step + right_step), |spread| {
                let (left, right) = spread.split_at_mut(PRODUCTS * left_step);
                for (number, tile) in tiles.iter().enumerate() {
                    let from =
                        |place| if place == OUTSIDE { place } else { place + channels.start };
                    let places = tile.places(shape, inputs, SIDE, 1).map(from);
                    spread_tile(x, &places, own, &mut left[number * stride..], left_step);
                    let places = tile.places(shape, outputs, TILE, 0);
                    let to = &mut right[number * width..];
                    spread_gradient_tile(
                        dy,
                        &places,
                        outputs,
                        to,
                        right_step,
                        count * width,
                        width,
                    );
                }
                let products = left.chunks_exact(left_step).zip(right.chunks_exact(right_step));
                for ((left, right), sums) in products.zip(sums.chunks_exact_mut(sums_step)) {
                    let left = Left::rows(left, count, own, stride).transposed();
                    let right = Panels::new(&right[..panels], count, outputs);
                    let mut block = Block::new(sums, own, outputs, outputs);
                    multiply(&left, &right, 0..count, 0..outputs, &mut block, write);
                }
            });
            write = Write::Accumulate;
        }
        gather_weights(sums, sums_step, own * outputs, &mut gradient);
    });
    gradient
}
