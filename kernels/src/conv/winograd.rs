//! 3x3 convolutions of stride 1 with a quarter of the multiplications: Winograd's F(4x4, 3x3)
//! (Lavin and Gray, 2016), on the points 0, 1, -1, 2, -2 and infinity.
//!
//! The output is cut into tiles of 4x4. The 6x6 inputs of a tile and the 3x3 weights are taken to 36
//! numbers each, whose products, summed over the channels, are taken back to the 16 outputs: 36
//! multiplications a tile and pair of channels where the definition has 144. The 36 sums are matrix
//! products of their own, `[tiles, inputs] [inputs, outputs]`.
//!
//! The price is in the last digits: the transforms subtract numbers of like size. Measured against
//! `f64` the error is 2e-6 of the result's size where that of the plain sum is 2.5e-7
//! (docs/performance.md); `LOOKSEE_WINOGRAD=off` turns it off.

use super::ConvShape;
use crate::buffers::Buffer;
use crate::matmul::Write;
use crate::panels::{Block, Left, Panels, multiply, panel_width, panels_len};
use crate::parallel::{piece_len, pieces, threads};
use crate::scratch::with_scratch;
use crate::simd::multiversion;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};

/// Side of a tile of the output.
const TILE: usize = 4;
/// Side of the inputs under it.
const SIDE: usize = 6;
/// Products of a tile and a pair of channels.
const PRODUCTS: usize = SIDE * SIDE;
/// Channels that are transformed at a time.
const LANES: usize = 16;
/// Values of transformed inputs of a task: most of the second cache of a small processor.
const TASK_VALUES: usize = 150_000;
/// Fewest and most tiles of a task.
const TASK_TILES: [usize; 2] = [24, 64];

/// Tasks at least that the estimates count with.
const TASKS: f64 = 2.0;

/// A few channels of one position.
type Lane = [f32; LANES];

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

/// Whether it is likely to be faster than the definition, from counts of operations and bytes that
/// hold for any processor about alike, and from sizes alone: the number of threads does not decide
/// which way a sum is taken. `ready` says that the weights are transformed already.
pub(super) fn pays(shape: &ConvShape, ready: bool) -> bool {
    if !fits(shape) || !is_on() {
        return false;
    }
    let pairs = (shape.inputs * shape.outputs) as f64;
    let tiles = tiles(shape) as f64;
    // Seconds of one thread at 50 products, 3 transformed values or 4 values of weights read a
    // nanosecond.
    let plain = 9.0 * shape.rows() as f64 * pairs / 50e9;
    let products = PRODUCTS as f64 * tiles * pairs / 50e9;
    let transforms = PRODUCTS as f64 * tiles * (shape.inputs + shape.outputs) as f64 / 3e9;
    let made = if ready { 0.0 } else { PRODUCTS as f64 * pairs / 3e9 };
    let tasks = (tiles / tiles_of_task(shape) as f64).ceil().max(TASKS);
    let read = PRODUCTS as f64 * pairs * tasks / 4e9;
    products.max(read) + transforms + made < 0.9 * plain
}

fn tiles(shape: &ConvShape) -> usize {
    shape.n * shape.height.div_ceil(TILE) * shape.width.div_ceil(TILE)
}

fn tiles_of_task(shape: &ConvShape) -> usize {
    (TASK_VALUES / (PRODUCTS * shape.inputs)).clamp(TASK_TILES[0], TASK_TILES[1])
}

/// Values of the transformed weights.
pub(super) fn weights_len(inputs: usize, outputs: usize) -> usize {
    PRODUCTS * panels_len(inputs, outputs)
}

/// Transforms weights in panels, `[panel][9 taps][inputs][width]`, to `[panel][36][inputs][width]`.
pub(super) fn transform_weights(panels: &[f32], inputs: usize, to: &mut [f32]) {
    let width = panel_width();
    let (from_len, to_len) = (9 * inputs * width, PRODUCTS * inputs * width);
    assert_eq!(panels.len() * PRODUCTS, to.len() * 9, "weights and transformed weights");
    if to.is_empty() {
        return;
    }
    to.par_chunks_mut(to_len)
        .zip(panels.par_chunks(from_len))
        .for_each(|(to, from)| transform_panel(from, inputs * width, to));
}

multiversion! {
    /// `G g G^T` for each of `pairs` kernels whose taps are `pairs` values apart.
    fn transform_panel(from: &[f32], pairs: usize, to: &mut [f32]) {
        let mut start = 0;
        while start < pairs {
            let count = (pairs - start).min(LANES);
            let mut taps = [[0.0f32; LANES]; 9];
            for (tap, lane) in taps.iter_mut().enumerate() {
                lane[..count].copy_from_slice(&from[tap * pairs + start..][..count]);
            }
            let mut half = [[0.0f32; LANES]; 18];
            for column in 0..3 {
                let spread = spread_kernel([&taps[column], &taps[3 + column], &taps[6 + column]]);
                for row in 0..SIDE {
                    half[row * 3 + column] = spread[row];
                }
            }
            for row in 0..SIDE {
                let spread =
                    spread_kernel([&half[row * 3], &half[row * 3 + 1], &half[row * 3 + 2]]);
                for (column, lane) in spread.iter().enumerate() {
                    to[(row * SIDE + column) * pairs + start..][..count]
                        .copy_from_slice(&lane[..count]);
                }
            }
            start += LANES;
        }
    }
}

/// `G g`.
#[inline(always)]
fn spread_kernel([a, b, c]: [&Lane; 3]) -> [Lane; SIDE] {
    let mut out = [[0.0; LANES]; SIDE];
    for i in 0..LANES {
        let (even, quarter) = (a[i] + c[i], a[i] + 4.0 * c[i]);
        out[0][i] = a[i] * 0.25;
        out[1][i] = (even + b[i]) * (-1.0 / 6.0);
        out[2][i] = (even - b[i]) * (-1.0 / 6.0);
        out[3][i] = (quarter + 2.0 * b[i]) * (1.0 / 24.0);
        out[4][i] = (quarter - 2.0 * b[i]) * (1.0 / 24.0);
        out[5][i] = c[i];
    }
    out
}

/// `B^T d`.
#[inline(always)]
fn spread_input([a, b, c, d, e, f]: [&Lane; SIDE]) -> [Lane; SIDE] {
    let mut out = [[0.0; LANES]; SIDE];
    for i in 0..LANES {
        let (even, odd) = (e[i] - 4.0 * c[i], d[i] - 4.0 * b[i]);
        let (near, far) = (e[i] - c[i], 2.0 * (d[i] - b[i]));
        out[0][i] = 4.0 * a[i] - 5.0 * c[i] + e[i];
        out[1][i] = even + odd;
        out[2][i] = even - odd;
        out[3][i] = near + far;
        out[4][i] = near - far;
        out[5][i] = 4.0 * b[i] - 5.0 * d[i] + f[i];
    }
    out
}

/// `A^T m`.
#[inline(always)]
fn gather([a, b, c, d, e, f]: [&Lane; SIDE]) -> [Lane; TILE] {
    let mut out = [[0.0; LANES]; TILE];
    for i in 0..LANES {
        let (even, odd) = (b[i] + c[i], b[i] - c[i]);
        let (far_even, far_odd) = (d[i] + e[i], d[i] - e[i]);
        out[0][i] = a[i] + even + far_even;
        out[1][i] = odd + 2.0 * far_odd;
        out[2][i] = even + 4.0 * far_even;
        out[3][i] = odd + 8.0 * far_odd + f[i];
    }
    out
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
    let each = piece_len(strips, least.next_multiple_of(threads()), 1);
    // Rows of tiles, cut where the pictures end: each is a run of rows of the output.
    let first_row = |strip: usize| {
        (strip / high * shape.height + (strip % high * TILE).min(shape.height)) * shape.width
    };
    let mut tasks = Vec::new();
    let mut rest = y;
    for start in (0..strips).step_by(each) {
        let end = (start + each).min(strips);
        let rows = first_row(start)..first_row(end);
        let (part, after) = rest.split_at_mut(rows.len() * shape.outputs);
        rest = after;
        tasks.push((start..end, rows, part));
    }
    tasks.into_par_iter().for_each(|(strips, rows, part)| {
        let tiles: Vec<Tile> = strips
            .flat_map(|strip| {
                let (picture, y) = (strip / high, strip % high * TILE);
                (0..across).map(move |x| Tile { picture, y, x: x * TILE })
            })
            .collect();
        run_tiles(shape, x, weights, &tiles, rows.start, part, write);
        let mut block = Block::new(part, rows.len(), shape.outputs, shape.outputs);
        then(block.at_row(rows.start));
    });
}

/// Where a tile of the output begins.
#[derive(Clone, Copy)]
struct Tile {
    picture: usize,
    y: usize,
    x: usize,
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

/// Computes these tiles, whose rows of the output begin with `first_row`, into `part`.
fn run_tiles(
    shape: &ConvShape,
    x: &[f32],
    weights: &[f32],
    tiles: &[Tile],
    first_row: usize,
    part: &mut [f32],
    write: Write,
) {
    let (inputs, outputs, width) = (shape.inputs, shape.outputs, panel_width());
    let count = tiles.len();
    // An odd number of cache lines, so that neighbouring rows fall on different sets of a cache.
    let stride = inputs | LANES;
    with_scratch(PRODUCTS * count * stride, |spread| {
        for (number, tile) in tiles.iter().enumerate() {
            let places = tile.places(shape, inputs, SIDE, 1);
            spread_tile(x, &places, inputs, &mut spread[number * stride..], count * stride);
        }
        let places: Vec<[usize; TILE * TILE]> = tiles
            .iter()
            .map(|tile| {
                let start = first_row * outputs;
                let inside = |place| if place == OUTSIDE { OUTSIDE } else { place - start };
                tile.places(shape, outputs, TILE, 0).map(inside)
            })
            .collect();
        let panel_len = PRODUCTS * inputs * width;
        with_scratch(PRODUCTS * count * width, |sums| {
            for (number, weights) in weights.chunks_exact(panel_len).enumerate() {
                let first = number * width;
                let columns = width.min(outputs - first);
                let products = weights.chunks_exact(inputs * width);
                let sums_of = sums.chunks_exact_mut(count * width);
                for ((left, right), sums) in
                    spread.chunks_exact(count * stride).zip(products).zip(sums_of)
                {
                    let left = Left::rows(left, count, inputs, stride);
                    let right = Panels::new(right, inputs, columns);
                    let mut block = Block::new(sums, count, columns, width);
                    multiply(&left, &right, 0..inputs, 0..columns, &mut block, Write::Overwrite);
                }
                for (tile, places) in places.iter().enumerate() {
                    let sums = &sums[tile * width..];
                    gather_tile(sums, count * width, columns, places, first, part, write);
                }
            }
        });
    });
}

/// Tiles that a task of the gradient of the weights sums over at a time.
const WEIGHTS_TILES: usize = 96;

/// Whether [`backward_weights`] is likely to be faster than the definition, counted as in [`pays`].
pub(super) fn pays_for_weights(shape: &ConvShape) -> bool {
    if !fits(shape) || !is_on() {
        return false;
    }
    let pairs = (shape.inputs * shape.outputs) as f64;
    let tiles = tiles(shape) as f64;
    let plain = 9.0 * shape.rows() as f64 * pairs / 50e9;
    let products = PRODUCTS as f64 * tiles * pairs / 40e9;
    // Each task transforms its own inputs, and all outputs.
    let channels = shape.inputs as f64 + TASKS * shape.outputs as f64;
    let transforms = PRODUCTS as f64 * tiles * channels / 3e9;
    let rounds = (tiles / WEIGHTS_TILES as f64).ceil();
    let summed = 2.0 * PRODUCTS as f64 * pairs * rounds / 4e9;
    products + transforms + summed < 0.9 * plain
}

/// The gradient of the weights, `dw` `[9 * inputs, outputs]`: the transpose of the forward way, so
/// `G^T (sum over tiles of (B^T d B) * (A dy A^T)) G`. A task has some of the inputs.
pub(super) fn backward_weights(shape: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    assert!(fits(shape), "{shape:?} has no Winograd form here");
    let (inputs, outputs) = (shape.inputs, shape.outputs);
    let (high, across) = (shape.height.div_ceil(TILE), shape.width.div_ceil(TILE));
    let tiles: Vec<Tile> = (0..shape.n * high * across)
        .map(|number| Tile {
            picture: number / (high * across),
            y: number / across % high * TILE,
            x: number % across * TILE,
        })
        .collect();
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
    let stride = own | LANES;
    let mut gradient = Buffer::new(9 * own * outputs);
    with_scratch(PRODUCTS * own * outputs, |sums| {
        let mut write = Write::Overwrite;
        for tiles in tiles.chunks(WEIGHTS_TILES) {
            let count = tiles.len();
            let panels = panels_len(count, outputs);
            with_scratch(PRODUCTS * (count * stride + panels), |spread| {
                let (left, right) = spread.split_at_mut(PRODUCTS * count * stride);
                for (number, tile) in tiles.iter().enumerate() {
                    let from =
                        |place| if place == OUTSIDE { place } else { place + channels.start };
                    let places = tile.places(shape, inputs, SIDE, 1).map(from);
                    spread_tile(x, &places, own, &mut left[number * stride..], count * stride);
                    let places = tile.places(shape, outputs, TILE, 0);
                    let to = &mut right[number * width..];
                    spread_gradient_tile(dy, &places, outputs, to, panels, count * width, width);
                }
                let products = left.chunks_exact(count * stride).zip(right.chunks_exact(panels));
                for ((left, right), sums) in products.zip(sums.chunks_exact_mut(own * outputs)) {
                    let left = Left::rows(left, count, own, stride).transposed();
                    let right = Panels::new(right, count, outputs);
                    let mut block = Block::new(sums, own, outputs, outputs);
                    multiply(&left, &right, 0..count, 0..outputs, &mut block, write);
                }
            });
            write = Write::Accumulate;
        }
        gather_weights(sums, own * outputs, &mut gradient);
    });
    gradient
}

multiversion! {
    /// `A dy A^T` of one tile: product number `i` of column `c` of panel `p` comes to
    /// `to[i * step + p * panel + c]`.
    fn spread_gradient_tile(
        dy: &[f32],
        places: &[usize; TILE * TILE],
        channels: usize,
        to: &mut [f32],
        step: usize,
        panel: usize,
        width: usize,
    ) {
        let mut start = 0;
        while start < channels {
            let mut half = [[0.0f32; LANES]; SIDE * TILE];
            for column in 0..TILE {
                let mut lanes = [&ZEROS; TILE];
                for (row, lane) in lanes.iter_mut().enumerate() {
                    let place = places[row * TILE + column];
                    if place != OUTSIDE {
                        *lane = lane_at(dy, place + start);
                    }
                }
                let spread = spread_gradient(lanes);
                for row in 0..SIDE {
                    half[row * TILE + column] = spread[row];
                }
            }
            for row in 0..SIDE {
                let h = |column: usize| &half[row * TILE + column];
                let spread = spread_gradient([h(0), h(1), h(2), h(3)]);
                for (column, lane) in spread.iter().enumerate() {
                    let at = (row * SIDE + column) * step + start / width * panel + start % width;
                    to[at..at + LANES].copy_from_slice(lane);
                }
            }
            start += LANES;
        }
        // The rest of the last panel counts for nothing, but may not be NaN.
        while start % width != 0 {
            for product in 0..PRODUCTS {
                let at = product * step + start / width * panel + start % width;
                to[at..at + LANES].fill(0.0);
            }
            start += LANES;
        }
    }
}

/// `A y`.
#[inline(always)]
fn spread_gradient([a, b, c, d]: [&Lane; TILE]) -> [Lane; SIDE] {
    let mut out = [[0.0; LANES]; SIDE];
    for i in 0..LANES {
        let (even, odd) = (a[i] + c[i], b[i] + d[i]);
        let (far_even, far_odd) = (a[i] + 4.0 * c[i], 2.0 * b[i] + 8.0 * d[i]);
        out[0][i] = a[i];
        out[1][i] = even + odd;
        out[2][i] = even - odd;
        out[3][i] = far_even + far_odd;
        out[4][i] = far_even - far_odd;
        out[5][i] = d[i];
    }
    out
}

multiversion! {
    /// `G^T u G` for each of `pairs` sums of products, `[36, pairs]` -> `[9, pairs]`.
    fn gather_weights(sums: &[f32], pairs: usize, to: &mut [f32]) {
        let mut start = 0;
        while start < pairs {
            let mut half = [[0.0f32; LANES]; 3 * SIDE];
            for column in 0..SIDE {
                let at = |row: usize| lane_at(sums, (row * SIDE + column) * pairs + start);
                let gathered = gather_kernel([at(0), at(1), at(2), at(3), at(4), at(5)]);
                for row in 0..3 {
                    half[row * SIDE + column] = gathered[row];
                }
            }
            for row in 0..3 {
                let h = |column: usize| &half[row * SIDE + column];
                let gathered = gather_kernel([h(0), h(1), h(2), h(3), h(4), h(5)]);
                for (column, lane) in gathered.iter().enumerate() {
                    to[(row * 3 + column) * pairs + start..][..LANES].copy_from_slice(lane);
                }
            }
            start += LANES;
        }
    }
}

/// `G^T u`.
#[inline(always)]
fn gather_kernel([a, b, c, d, e, f]: [&Lane; SIDE]) -> [Lane; 3] {
    let mut out = [[0.0; LANES]; 3];
    for i in 0..LANES {
        let (near, far) = ((b[i] + c[i]) * (1.0 / 6.0), d[i] + e[i]);
        out[0][i] = a[i] * 0.25 - near + far * (1.0 / 24.0);
        out[1][i] = (c[i] - b[i]) * (1.0 / 6.0) + (d[i] - e[i]) * (1.0 / 12.0);
        out[2][i] = far * (1.0 / 6.0) - near + f[i];
    }
    out
}

/// Zeros for positions outside the picture.
const ZEROS: Lane = [0.0; LANES];

multiversion! {
    /// `B^T d B` of one tile: product number `i` of channel `c` comes to `to[i * step + c]`.
    fn spread_tile(
        x: &[f32],
        places: &[usize; PRODUCTS],
        channels: usize,
        to: &mut [f32],
        step: usize,
    ) {
        let mut start = 0;
        while start < channels {
            let mut half = [[0.0f32; LANES]; PRODUCTS];
            for column in 0..SIDE {
                let mut lanes = [&ZEROS; SIDE];
                for (row, lane) in lanes.iter_mut().enumerate() {
                    let place = places[row * SIDE + column];
                    if place != OUTSIDE {
                        *lane = lane_at(x, place + start);
                    }
                }
                let spread = spread_input(lanes);
                for row in 0..SIDE {
                    half[row * SIDE + column] = spread[row];
                }
            }
            for row in 0..SIDE {
                let spread = spread_input(six(&half, row * SIDE, 1));
                for (column, lane) in spread.iter().enumerate() {
                    let at = (row * SIDE + column) * step + start;
                    to[at..at + LANES].copy_from_slice(lane);
                }
            }
            start += LANES;
        }
    }
}

#[inline(always)]
fn lane_at(values: &[f32], start: usize) -> &Lane {
    values[start..].first_chunk().expect("whole lanes")
}

/// Six of `lanes`.
#[inline(always)]
fn six(lanes: &[Lane; PRODUCTS], start: usize, step: usize) -> [&Lane; SIDE] {
    [
        &lanes[start],
        &lanes[start + step],
        &lanes[start + 2 * step],
        &lanes[start + 3 * step],
        &lanes[start + 4 * step],
        &lanes[start + 5 * step],
    ]
}

multiversion! {
    /// `A^T m A` of one tile, product number `i` of column `c` at `sums[i * step + c]`, written
    /// (or added) to its places in `to`, `first` columns further on.
    fn gather_tile(
        sums: &[f32],
        step: usize,
        columns: usize,
        places: &[usize; TILE * TILE],
        first: usize,
        to: &mut [f32],
        write: Write,
    ) {
        let mut start = 0;
        while start < columns {
            let mut half = [[0.0f32; LANES]; TILE * SIDE];
            for column in 0..SIDE {
                let at = |row: usize| lane_at(sums, (row * SIDE + column) * step + start);
                let gathered = gather([at(0), at(1), at(2), at(3), at(4), at(5)]);
                for row in 0..TILE {
                    half[row * SIDE + column] = gathered[row];
                }
            }
            for row in 0..TILE {
                let h = |column: usize| &half[row * SIDE + column];
                let gathered = gather([h(0), h(1), h(2), h(3), h(4), h(5)]);
                for (column, lane) in gathered.iter().enumerate() {
                    let place = places[row * TILE + column];
                    if place == OUTSIDE {
                        continue;
                    }
                    let to = &mut to[place + first + start..][..LANES];
                    if write == Write::Accumulate {
                        for i in 0..LANES {
                            to[i] += lane[i];
                        }
                    } else {
                        to.copy_from_slice(lane);
                    }
                }
            }
            start += LANES;
        }
    }
}
