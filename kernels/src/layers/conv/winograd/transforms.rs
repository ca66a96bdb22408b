//! Winograd's transforms of F(4x4, 3x3), a vector of channels at a time: first of the columns,
//! then of the rows of what they gave.

use super::{OUTSIDE, PRODUCTS, SIDE, TILE};
use crate::cpu::simd::multiversion;
use crate::product::{Block, Write, apart};

/// Channels that are transformed at a time.
pub(super) const LANES: usize = 16;

/// A few channels of one position.
type Lane = [f32; LANES];

/// Channels on their way through a transform: on a cache line of their own, so that no vector that
/// is put aside lies on two.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Aside(Lane);

/// Nothing yet.
const EMPTY: Aside = Aside(ZEROS);

/// Zeros for positions outside the picture.
const ZEROS: Lane = [0.0; LANES];

#[inline(always)]
fn lane_at(values: &[f32], start: usize) -> &Lane {
    values[start..].first_chunk().expect("whole lanes")
}

#[inline(always)]
fn lane_of(values: &mut [f32], start: usize) -> &mut Lane {
    values[start..].first_chunk_mut().expect("whole lanes")
}

/// The lane of a position, or zeros outside of the picture.
#[inline(always)]
fn lane_or_zeros(values: &[f32], place: usize, start: usize) -> &Lane {
    if place == OUTSIDE { &ZEROS } else { lane_at(values, place + start) }
}

/// Where nine taps of some pairs of channels lie.
#[derive(Clone, Copy)]
pub(super) struct Taps {
    /// Values from a tap to the next.
    pub(super) tap: usize,
    /// Values from an input to the next.
    pub(super) row: usize,
    /// Inputs.
    pub(super) rows: usize,
    /// Outputs, whose values are neighbours.
    pub(super) columns: usize,
    /// Values from an input to the next in the result.
    pub(super) width: usize,
}

impl Taps {
    /// Values from one product to the next in the result.
    pub(super) fn step(&self) -> usize {
        apart(self.rows * self.width)
    }
}

multiversion! {
    /// `G g G^T` for each pair of channels: product number `i` of input `r` and output `c` comes to
    /// `to[i * step + r * width + c]`.
    pub(super) fn transform_kernels(from: &[f32], taps: &Taps, to: &mut [f32]) {
        let &Taps { tap, row, rows, columns, width } = taps;
        let step = taps.step();
        for input in 0..rows {
            let mut start = 0;
            while start < columns {
                let from = &from[input * row + start..];
                let left = spread_kernel([0, 3, 6].map(|number| lane_at(from, number * tap)));
                let middle = spread_kernel([1, 4, 7].map(|number| lane_at(from, number * tap)));
                let right = spread_kernel([2, 5, 8].map(|number| lane_at(from, number * tap)));
                let to = &mut to[input * width + start..];
                for row in 0..SIDE {
                    let spread = spread_kernel([&left[row].0, &middle[row].0, &right[row].0]);
                    for (column, lane) in spread.iter().enumerate() {
                        *lane_of(to, (row * SIDE + column) * step) = lane.0;
                    }
                }
                start += LANES;
            }
        }
    }
}

/// `G g`.
#[inline(always)]
fn spread_kernel([a, b, c]: [&Lane; 3]) -> [Aside; SIDE] {
    let mut out = [EMPTY; SIDE];
    for i in 0..LANES {
        let (even, quarter) = (a[i] + c[i], a[i] + 4.0 * c[i]);
        out[0].0[i] = a[i] * 0.25;
        out[1].0[i] = (even + b[i]) * (-1.0 / 6.0);
        out[2].0[i] = (even - b[i]) * (-1.0 / 6.0);
        out[3].0[i] = (quarter + 2.0 * b[i]) * (1.0 / 24.0);
        out[4].0[i] = (quarter - 2.0 * b[i]) * (1.0 / 24.0);
        out[5].0[i] = c[i];
    }
    out
}

multiversion! {
    /// `B^T d B` of one tile: product number `i` of channel `c` comes to `to[i * step + c]`.
    pub(super) fn spread_tile(
        x: &[f32],
        places: &[usize; PRODUCTS],
        channels: usize,
        to: &mut [f32],
        step: usize,
    ) {
        let mut start = 0;
        while start < channels {
            let half = [
                spread_column(x, places, 0, start),
                spread_column(x, places, 1, start),
                spread_column(x, places, 2, start),
                spread_column(x, places, 3, start),
                spread_column(x, places, 4, start),
                spread_column(x, places, 5, start),
            ];
            for row in 0..SIDE {
                let spread = spread_input(row_of(&half, row));
                for (column, lane) in spread.iter().enumerate() {
                    *lane_of(to, (row * SIDE + column) * step + start) = lane.0;
                }
            }
            start += LANES;
        }
    }
}

/// Row `row` of six columns.
#[inline(always)]
fn row_of<const ROWS: usize>(columns: &[[Aside; ROWS]; SIDE], row: usize) -> [&Lane; SIDE] {
    let [a, b, c, d, e, f] = columns;
    [&a[row].0, &b[row].0, &c[row].0, &d[row].0, &e[row].0, &f[row].0]
}

#[inline(always)]
fn spread_column(
    x: &[f32],
    places: &[usize; PRODUCTS],
    column: usize,
    start: usize,
) -> [Aside; SIDE] {
    spread_input([
        lane_or_zeros(x, places[column], start),
        lane_or_zeros(x, places[SIDE + column], start),
        lane_or_zeros(x, places[2 * SIDE + column], start),
        lane_or_zeros(x, places[3 * SIDE + column], start),
        lane_or_zeros(x, places[4 * SIDE + column], start),
        lane_or_zeros(x, places[5 * SIDE + column], start),
    ])
}

/// `B^T d`.
#[inline(always)]
fn spread_input([a, b, c, d, e, f]: [&Lane; SIDE]) -> [Aside; SIDE] {
    let mut out = [EMPTY; SIDE];
    for i in 0..LANES {
        let (even, odd) = (e[i] - 4.0 * c[i], d[i] - 4.0 * b[i]);
        let (near, far) = (e[i] - c[i], 2.0 * (d[i] - b[i]));
        out[0].0[i] = 4.0 * a[i] - 5.0 * c[i] + e[i];
        out[1].0[i] = even + odd;
        out[2].0[i] = even - odd;
        out[3].0[i] = near + far;
        out[4].0[i] = near - far;
        out[5].0[i] = 4.0 * b[i] - 5.0 * d[i] + f[i];
    }
    out
}

multiversion! {
    /// `A^T m A` of one tile, product number `i` of column `c` at `sums[i * step + c]`, written
    /// (or added) to these rows of `to`, from its column `first` on.
    pub(super) fn gather_tile(
        sums: &[f32],
        step: usize,
        columns: usize,
        rows: &[usize; TILE * TILE],
        first: usize,
        to: &mut Block,
        write: Write,
    ) {
        let mut start = 0;
        while start < columns {
            let half = [
                gather_column(sums, step, 0, start),
                gather_column(sums, step, 1, start),
                gather_column(sums, step, 2, start),
                gather_column(sums, step, 3, start),
                gather_column(sums, step, 4, start),
                gather_column(sums, step, 5, start),
            ];
            for row in 0..TILE {
                let gathered = gather(row_of(&half, row));
                for (column, lane) in gathered.iter().enumerate() {
                    let place = rows[row * TILE + column];
                    if place == OUTSIDE {
                        continue;
                    }
                    let to = lane_of(to.row_mut(place), first + start);
                    if write == Write::Accumulate {
                        to.iter_mut().zip(&lane.0).for_each(|(to, value)| *to += value);
                    } else {
                        *to = lane.0;
                    }
                }
            }
            start += LANES;
        }
    }
}

#[inline(always)]
fn gather_column(sums: &[f32], step: usize, column: usize, start: usize) -> [Aside; TILE] {
    gather(sums_of_column(sums, step, column, start))
}

/// The six sums of a column of products.
#[inline(always)]
fn sums_of_column(sums: &[f32], step: usize, column: usize, start: usize) -> [&Lane; SIDE] {
    [
        lane_at(sums, column * step + start),
        lane_at(sums, (SIDE + column) * step + start),
        lane_at(sums, (2 * SIDE + column) * step + start),
        lane_at(sums, (3 * SIDE + column) * step + start),
        lane_at(sums, (4 * SIDE + column) * step + start),
        lane_at(sums, (5 * SIDE + column) * step + start),
    ]
}

/// `A^T m`.
#[inline(always)]
fn gather([a, b, c, d, e, f]: [&Lane; SIDE]) -> [Aside; TILE] {
    let mut out = [EMPTY; TILE];
    for i in 0..LANES {
        let (even, odd) = (b[i] + c[i], b[i] - c[i]);
        let (far_even, far_odd) = (d[i] + e[i], d[i] - e[i]);
        out[0].0[i] = a[i] + even + far_even;
        out[1].0[i] = odd + 2.0 * far_odd;
        out[2].0[i] = even + 4.0 * far_even;
        out[3].0[i] = odd + 8.0 * far_odd + f[i];
    }
    out
}

multiversion! {
    /// `A dy A^T` of one tile: product number `i` of column `c` of panel `p` comes to
    /// `to[i * step + p * panel + c]`.
    pub(super) fn spread_gradient_tile(
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
            let half = [
                spread_gradient_column(dy, places, 0, start),
                spread_gradient_column(dy, places, 1, start),
                spread_gradient_column(dy, places, 2, start),
                spread_gradient_column(dy, places, 3, start),
            ];
            let first = start / width * panel + start % width;
            for row in 0..SIDE {
                let [a, b, c, d] = &half;
                let spread = spread_gradient([&a[row].0, &b[row].0, &c[row].0, &d[row].0]);
                for (column, lane) in spread.iter().enumerate() {
                    *lane_of(to, (row * SIDE + column) * step + first) = lane.0;
                }
            }
            start += LANES;
        }
        // The rest of the last panel counts for nothing, but may not be NaN.
        while start % width != 0 {
            for product in 0..PRODUCTS {
                let at = product * step + start / width * panel + start % width;
                *lane_of(to, at) = ZEROS;
            }
            start += LANES;
        }
    }
}

#[inline(always)]
fn spread_gradient_column(
    dy: &[f32],
    places: &[usize; TILE * TILE],
    column: usize,
    start: usize,
) -> [Aside; SIDE] {
    spread_gradient([
        lane_or_zeros(dy, places[column], start),
        lane_or_zeros(dy, places[TILE + column], start),
        lane_or_zeros(dy, places[2 * TILE + column], start),
        lane_or_zeros(dy, places[3 * TILE + column], start),
    ])
}

/// `A y`.
#[inline(always)]
fn spread_gradient([a, b, c, d]: [&Lane; TILE]) -> [Aside; SIDE] {
    let mut out = [EMPTY; SIDE];
    for i in 0..LANES {
        let (even, odd) = (a[i] + c[i], b[i] + d[i]);
        let (far_even, far_odd) = (a[i] + 4.0 * c[i], 2.0 * b[i] + 8.0 * d[i]);
        out[0].0[i] = a[i];
        out[1].0[i] = even + odd;
        out[2].0[i] = even - odd;
        out[3].0[i] = far_even + far_odd;
        out[4].0[i] = far_even - far_odd;
        out[5].0[i] = d[i];
    }
    out
}

multiversion! {
    /// `G^T u G` for each of `pairs` sums of products: 36 are `step` values apart, what they come to
    /// is `[9, pairs]`.
    pub(super) fn gather_weights(sums: &[f32], step: usize, pairs: usize, to: &mut [f32]) {
        let mut start = 0;
        while start < pairs {
            let half = [
                gather_kernel(sums_of_column(sums, step, 0, start)),
                gather_kernel(sums_of_column(sums, step, 1, start)),
                gather_kernel(sums_of_column(sums, step, 2, start)),
                gather_kernel(sums_of_column(sums, step, 3, start)),
                gather_kernel(sums_of_column(sums, step, 4, start)),
                gather_kernel(sums_of_column(sums, step, 5, start)),
            ];
            for row in 0..3 {
                let gathered = gather_kernel(row_of(&half, row));
                for (column, lane) in gathered.iter().enumerate() {
                    *lane_of(to, (row * 3 + column) * pairs + start) = lane.0;
                }
            }
            start += LANES;
        }
    }
}

/// `G^T u`.
#[inline(always)]
fn gather_kernel([a, b, c, d, e, f]: [&Lane; SIDE]) -> [Aside; 3] {
    let mut out = [EMPTY; 3];
    for i in 0..LANES {
        let (near, far) = ((b[i] + c[i]) * (1.0 / 6.0), d[i] + e[i]);
        out[0].0[i] = a[i] * 0.25 - near + far * (1.0 / 24.0);
        out[1].0[i] = (c[i] - b[i]) * (1.0 / 6.0) + (d[i] - e[i]) * (1.0 / 12.0);
        out[2].0[i] = far * (1.0 / 6.0) - near + f[i];
    }
    out
}
