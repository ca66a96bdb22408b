//! The inner loops (micro-kernels): one row of outputs, and one row's share of the weights'
//! gradient.

use super::Epilogue;
use super::reach::Reach;
use crate::cpu::lanes::{Lanes, MOST_LANES, Plain, on_lanes};
use crate::cpu::simd::SimdLevel;
use crate::layers::norm::Activation;

/// Columns whose products are summed in registers before they are added to the weights' gradient.
const COLUMNS: usize = 32;

/// One row of outputs: the input rows under it, and the kernel rows that go with them.
pub(super) struct Line<'a> {
    /// The input rows, each `[across.size, channels]`.
    pub(super) x: &'a [f32],
    /// How many.
    pub(super) rows: usize,
    /// `[kernel, kernel, channels]`; not read by [`add_weight_sums`].
    pub(super) weights: &'a [f32],
    /// The kernel row of the first input row, and the step to the next one's.
    pub(super) first_row: usize,
    pub(super) row_step: isize,
    pub(super) kernel: usize,
    pub(super) channels: usize,
    pub(super) across: Reach,
    pub(super) epilogue: Epilogue<'a>,
}

impl Line<'_> {
    /// Where the weights of tap `t` of the `row`-th input row begin.
    #[inline(always)]
    fn weights_at(&self, row: usize, t: usize) -> usize {
        let kernel_row = (self.first_row as isize + row as isize * self.row_step) as usize;
        (kernel_row * self.kernel + self.across.tap(t)) * self.channels
    }

    /// Where output `j` begins in its row.
    #[inline(always)]
    fn out_at(&self, j: usize) -> usize {
        (self.across.first_out + j * self.across.out_step) * self.channels
    }
}

/// Writes the line's outputs into the row `y`; other values of the row stay.
pub(super) fn write_line(level: SimdLevel, line: &Line, y: &mut [f32]) {
    match Width::new(level, line.channels) {
        Width::Level(level) => write_wide(level, line, y),
        Width::Four(lanes) => write(lanes, line, y),
        Width::One(lanes) => write(lanes, line, y),
    }
}

/// Adds the products of the line's inputs with `dy` `[count, channels]` to `sum`
/// `[kernel, kernel, channels]`.
pub(super) fn add_weight_sums(level: SimdLevel, line: &Line, dy: &[f32], sum: &mut [f32]) {
    match Width::new(level, line.channels) {
        Width::Level(level) => weigh_wide(level, line, dy, sum),
        Width::Four(lanes) => weigh(lanes, line, dy, sum),
        Width::One(lanes) => weigh(lanes, line, dy, sum),
    }
}

on_lanes! {
    fn write_wide<L>(lanes, line: &Line, y: &mut [f32]) {
        write(lanes, line, y);
    }
}

on_lanes! {
    fn weigh_wide<L>(lanes, line: &Line, dy: &[f32], sum: &mut [f32]) {
        weigh(lanes, line, dy, sum);
    }
}

/// The widest vectors that are not wider than a row of channels.
enum Width {
    /// Those of a level.
    Level(SimdLevel),
    Four(Plain<4>),
    One(Plain<1>),
}

impl Width {
    fn new(level: SimdLevel, channels: usize) -> Self {
        match channels {
            16.. => Self::Level(level),
            8.. => Self::Level(level.min(SimdLevel::Avx2)),
            4.. => Self::Four(Plain),
            _ => Self::One(Plain),
        }
    }
}

/// The body for each of the first numbers, as a constant: loops that the compiler must not leave
/// as loops, because each turn works on other registers.
macro_rules! unrolled {
    ($i:ident below $end:expr, $body:block) => {
        unrolled!(@ $i, $end, $body, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18)
    };
    (@ $i:ident, $end:expr, $body:block, $($number:literal)*) => {
        $({
            const $i: usize = $number;
            if $i < $end $body
        })*
    };
}

/// A vector of `values` from `place` on.
///
/// # Safety
/// `place + L::COUNT` is at most the number of values.
#[inline(always)]
unsafe fn load<L: Lanes>(lanes: L, values: &[f32], place: usize) -> L::Vector {
    debug_assert!(place + L::COUNT <= values.len(), "{place} of {}", values.len());
    // SAFETY: the caller promises that the values are there.
    unsafe { lanes.load(values.as_ptr().add(place)) }
}

/// The first channels of vectors that cover all `channels` (at least `L::COUNT`) in order; the
/// last one overlaps its neighbour where they are not whole vectors.
#[inline(always)]
fn vectors<L: Lanes>(_: L, channels: usize) -> impl Iterator<Item = usize> {
    (0..channels).step_by(L::COUNT).map(move |channel| channel.min(channels - L::COUNT))
}

/// The smallest and largest value that the activation leaves.
fn limits(activation: Activation) -> (f32, f32) {
    match activation {
        Activation::None => (f32::NEG_INFINITY, f32::INFINITY),
        Activation::Relu => (0.0, f32::INFINITY),
        Activation::Relu6 => (0.0, 6.0),
    }
}

#[inline(always)]
fn write<L: Lanes>(lanes: L, line: &Line, y: &mut [f32]) {
    match (line.across.taps, line.across.in_step) {
        (1, 1) => write_blocks::<L, 1, 1>(lanes, line, y),
        (2, 1) => write_blocks::<L, 2, 1>(lanes, line, y),
        (3, 1) => write_blocks::<L, 3, 1>(lanes, line, y),
        (3, 2) => write_blocks::<L, 3, 2>(lanes, line, y),
        (5, 1) => write_blocks::<L, 5, 1>(lanes, line, y),
        (5, 2) => write_blocks::<L, 5, 2>(lanes, line, y),
        _ => (0..line.across.count).for_each(|j| write_one(lanes, line, j, y)),
    }
}

/// All outputs of a line in blocks of 8, 4, 2 and 1.
#[inline(always)]
fn write_blocks<L: Lanes, const T: usize, const S: usize>(lanes: L, line: &Line, y: &mut [f32]) {
    let (count, mut j) = (line.across.count, 0);
    while count - j >= 8 {
        let (start, reach) = (line.across.start(j), 7 * S + T);
        if line.across.existing(start, reach) == (0..reach) {
            write_block::<L, 8, T, S, false>(lanes, line, j, y);
        } else {
            write_block::<L, 8, T, S, true>(lanes, line, j, y);
        }
        j += 8;
    }
    if count - j >= 4 {
        write_block::<L, 4, T, S, true>(lanes, line, j, y);
        j += 4;
    }
    if count - j >= 2 {
        write_block::<L, 2, T, S, true>(lanes, line, j, y);
        j += 2;
    }
    if count > j {
        write_block::<L, 1, T, S, true>(lanes, line, j, y);
    }
}

/// `P` neighbouring outputs from `j` on, with `T` taps and a step of `S` inputs from one output
/// to the next. Unless `BORDER`, all inputs exist.
#[inline(always)]
fn write_block<L: Lanes, const P: usize, const T: usize, const S: usize, const BORDER: bool>(
    lanes: L,
    line: &Line,
    j: usize,
    y: &mut [f32],
) {
    let start = line.across.start(j);
    let existing = line.across.existing(start, (P - 1) * S + T);
    assert!(BORDER || existing.len() == (P - 1) * S + T);
    for channel in vectors(lanes, line.channels) {
        if P == 8 {
            fetch_next_rows::<L, P, S>(lanes, line, start, channel);
        }
        let mut sums = [first_value(lanes, line, channel); P];
        for row in 0..line.rows {
            let mut weights = [lanes.splat(0.0); T];
            for (t, weight) in weights.iter_mut().enumerate() {
                // SAFETY: a tap of the kernel, and a whole vector of its channels.
                *weight = unsafe { load(lanes, line.weights, line.weights_at(row, t) + channel) };
            }
            let row_start = (row * line.across.size) as isize + start;
            unrolled!(I below (P - 1) * S + T, {
                if !BORDER || existing.contains(&I) {
                    let pixel = (row_start + I as isize) as usize;
                    // SAFETY: the input exists, and so does a whole vector of its channels.
                    let x = unsafe { load(lanes, line.x, pixel * line.channels + channel) };
                    for (p, sum) in sums.iter_mut().enumerate() {
                        if (p * S..p * S + T).contains(&I) {
                            *sum = lanes.add_product(*sum, weights[I - p * S], x);
                        }
                    }
                }
            });
        }
        for (p, sum) in sums.into_iter().enumerate() {
            finish(lanes, line, sum, &mut y[line.out_at(j + p) + channel..][..L::COUNT]);
        }
    }
}

/// Asks for the inputs that the same outputs of the next line will be the first to read: the
/// processor does not see by itself that a few columns of all channels are one run of memory. Rows
/// beyond the picture are those of the next one, or nothing.
#[inline(always)]
fn fetch_next_rows<L: Lanes, const P: usize, const S: usize>(
    lanes: L,
    line: &Line,
    start: isize,
    channel: usize,
) {
    for row in line.rows..line.rows + S {
        let row_start = (row * line.across.size) as isize + start;
        for i in 0..P * S {
            let place = (row_start + i as isize) * line.channels as isize + channel as isize;
            lanes.fetch(line.x.as_ptr().wrapping_offset(place));
        }
    }
}

/// Output `j` with any number of taps at any step.
#[inline(always)]
fn write_one<L: Lanes>(lanes: L, line: &Line, j: usize, y: &mut [f32]) {
    let start = line.across.start(j);
    for channel in vectors(lanes, line.channels) {
        let mut sum = first_value(lanes, line, channel);
        for row in 0..line.rows {
            for t in line.across.existing(start, line.across.taps) {
                let pixel = row * line.across.size + (start + t as isize) as usize;
                // SAFETY: the tap and the input exist, and so do whole vectors of their channels.
                let (weight, x) = unsafe {
                    (
                        load(lanes, line.weights, line.weights_at(row, t) + channel),
                        load(lanes, line.x, pixel * line.channels + channel),
                    )
                };
                sum = lanes.add_product(sum, weight, x);
            }
        }
        finish(lanes, line, sum, &mut y[line.out_at(j) + channel..][..L::COUNT]);
    }
}

/// What a sum begins with: the bias.
#[inline(always)]
fn first_value<L: Lanes>(lanes: L, line: &Line, channel: usize) -> L::Vector {
    match line.epilogue.bias {
        // SAFETY: there is a bias for each channel.
        Some(bias) => unsafe { load(lanes, bias, channel) },
        None => lanes.splat(0.0),
    }
}

/// Activates a sum and writes it.
#[inline(always)]
fn finish<L: Lanes>(lanes: L, line: &Line, sum: L::Vector, to: &mut [f32]) {
    let (low, high) = limits(line.epilogue.activation);
    let value = lanes.clamp(sum, lanes.splat(low), lanes.splat(high));
    debug_assert_eq!(to.len(), L::COUNT);
    // SAFETY: `to` is one vector long.
    unsafe { lanes.store(value, to.as_mut_ptr()) }
}

#[inline(always)]
fn weigh<L: Lanes>(lanes: L, line: &Line, dy: &[f32], sum: &mut [f32]) {
    assert_eq!(dy.len(), line.across.count * line.channels, "gradients of a row");
    assert_eq!(sum.len(), line.kernel * line.kernel * line.channels, "sums of the weights");
    match (line.across.taps, line.across.in_step) {
        (3, 1) => weigh_blocks::<L, 3, 1>(lanes, line, dy, sum),
        (3, 2) => weigh_blocks::<L, 3, 2>(lanes, line, dy, sum),
        (5, 1) => weigh_blocks::<L, 5, 1>(lanes, line, dy, sum),
        (5, 2) => weigh_blocks::<L, 5, 2>(lanes, line, dy, sum),
        _ => weigh_all(lanes, line, dy, sum),
    }
}

/// A few dozen columns at a time, so that they are still in the first cache for the next kernel
/// row, and their sums in registers.
#[inline(always)]
fn weigh_blocks<L: Lanes, const T: usize, const S: usize>(
    lanes: L,
    line: &Line,
    dy: &[f32],
    sum: &mut [f32],
) {
    for first in (0..line.across.count).step_by(COLUMNS) {
        let end = (first + COLUMNS).min(line.across.count);
        let mut done = 0;
        for channel in vectors(lanes, line.channels) {
            for row in 0..line.rows {
                // Two sums a tap, so that an addition need not wait for the one before it.
                let mut sums = [[lanes.splat(0.0); T]; 2];
                let mut j = first;
                while end - j >= 4 {
                    weigh_block::<L, 4, T, S>(lanes, line, dy, row, j, channel, &mut sums);
                    j += 4;
                }
                while j < end {
                    weigh_block::<L, 1, T, S>(lanes, line, dy, row, j, channel, &mut sums);
                    j += 1;
                }
                let [even, odd] = sums;
                for (t, (even, odd)) in even.into_iter().zip(odd).enumerate() {
                    let both = lanes.add(even, odd);
                    let place = line.weights_at(row, t) + channel;
                    add_to(lanes, both, done - channel, &mut sum[place..place + L::COUNT]);
                }
            }
            done = channel + L::COUNT;
        }
    }
}

/// Adds the products of `P` neighbouring outputs with the inputs of one row to the sums of `T`
/// taps.
#[inline(always)]
fn weigh_block<L: Lanes, const P: usize, const T: usize, const S: usize>(
    lanes: L,
    line: &Line,
    dy: &[f32],
    row: usize,
    j: usize,
    channel: usize,
    sums: &mut [[L::Vector; T]; 2],
) {
    let start = line.across.start(j);
    let existing = line.across.existing(start, (P - 1) * S + T);
    let mut gradients = [lanes.splat(0.0); P];
    for (p, gradient) in gradients.iter_mut().enumerate() {
        // SAFETY: `j + p` is one of the outputs, and `channel` begins a vector of its channels.
        *gradient = unsafe { load(lanes, dy, (j + p) * line.channels + channel) };
    }
    let row_start = (row * line.across.size) as isize + start;
    unrolled!(I below (P - 1) * S + T, {
        if existing.contains(&I) {
            let pixel = (row_start + I as isize) as usize;
            // SAFETY: the input exists, and so does a whole vector of its channels.
            let x = unsafe { load(lanes, line.x, pixel * line.channels + channel) };
            for (p, &gradient) in gradients.iter().enumerate() {
                if (p * S..p * S + T).contains(&I) {
                    let sum = &mut sums[p % 2][I - p * S];
                    *sum = lanes.add_product(*sum, gradient, x);
                }
            }
        }
    });
}

/// The same for any number of taps at any step.
#[inline(always)]
fn weigh_all<L: Lanes>(lanes: L, line: &Line, dy: &[f32], sum: &mut [f32]) {
    let mut done = 0;
    for channel in vectors(lanes, line.channels) {
        for row in 0..line.rows {
            for t in 0..line.across.taps {
                let mut total = lanes.splat(0.0);
                for j in 0..line.across.count {
                    let column = line.across.start(j) + t as isize;
                    if column < 0 || column as usize >= line.across.size {
                        continue;
                    }
                    let pixel = row * line.across.size + column as usize;
                    // SAFETY: input and output exist, and so do whole vectors of their channels.
                    let (gradient, x) = unsafe {
                        (
                            load(lanes, dy, j * line.channels + channel),
                            load(lanes, line.x, pixel * line.channels + channel),
                        )
                    };
                    total = lanes.add_product(total, gradient, x);
                }
                let place = line.weights_at(row, t) + channel;
                add_to(lanes, total, done - channel, &mut sum[place..place + L::COUNT]);
            }
        }
        done = channel + L::COUNT;
    }
}

/// Adds the lanes from `skip` on: those before it belong to the neighbour that is overlapped.
#[inline(always)]
fn add_to<L: Lanes>(lanes: L, vector: L::Vector, skip: usize, to: &mut [f32]) {
    let mut values = [0.0; MOST_LANES];
    assert!(to.len() == L::COUNT && L::COUNT <= values.len());
    if skip == 0 {
        // SAFETY: `to` is one vector long.
        unsafe { lanes.store(lanes.add(load(lanes, to, 0), vector), to.as_mut_ptr()) }
        return;
    }
    // SAFETY: there is room for a vector, as was asserted.
    unsafe { lanes.store(vector, values.as_mut_ptr()) }
    for (to, value) in to.iter_mut().zip(values).skip(skip) {
        *to += value;
    }
}
