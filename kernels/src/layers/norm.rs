//! Batch normalisation over rows of channels, with the `ReLU` or `ReLU6` that usually follows it.
//!
//! Every pass is bound by memory, so each reads its input once. The variance is taken about a
//! pivot near the mean (the average of a few rows spread over the input): `E[x^2] - E[x]^2` about
//! 0 loses all digits when the mean is large, and a second pass over the input would cost as much
//! as the first. Sums are `f32` inside a block of rows and `f64` across blocks.

use crate::cpu::parallel::{pieces, task_values};
use crate::cpu::simd::multiversion;
use crate::layers::elementwise::relu;
use crate::product::Block;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Rows of a block, summed in `f32`.
const BLOCK_ROWS: usize = 64;
/// Fewest rows of a task.
const TASK_ROWS: usize = 128;
/// Rows the pivot is the average of.
const PIVOT_ROWS: usize = 64;
/// The same for a block of a few hundred rows.
const BLOCK_PIVOT_ROWS: usize = 8;

/// Mean and variance of each channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// Means, `[channels]`.
    pub mean: Vec<f32>,
    /// Biased variances (divided by the number of rows), `[channels]`.
    pub variance: Vec<f32>,
}

/// What follows the normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

/// The gradients of the parameters of a normalisation.
#[derive(Clone, Debug, PartialEq)]
pub struct NormGradients {
    /// Of the factors, `[channels]`.
    pub gamma: Vec<f32>,
    /// Of the offsets, `[channels]`.
    pub beta: Vec<f32>,
}

/// A normalisation: the moments and what follows them.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// Means and variances, `[channels]`.
    pub moments: &'a Moments,
    /// Added to the variance.
    pub epsilon: f32,
    /// Factors, `[channels]`.
    pub gamma: &'a [f32],
    /// Offsets, `[channels]`.
    pub beta: &'a [f32],
    /// Whether the moments are constants, and not those of what is normalised: then no gradient flows
    /// through them.
    pub fixed: bool,
}

impl<'a> Norm<'a> {
    fn affine(&self, channels: usize) -> Affine<'a> {
        Affine::new(channels, self.moments, self.epsilon, self.gamma, self.beta)
    }
}

/// Moments of a matrix that appears block by block, taken while each block is in the cache.
///
/// Each block is summed about the average of a few of its own rows; the blocks are then joined in
/// their order (Chan, Golub and `LeVeque`, 1983), so that nothing depends on which was first.
pub(crate) struct MomentsOfBlocks {
    channels: usize,
    blocks: Mutex<Vec<BlockSums>>,
}

/// What is kept of a block.
struct BlockSums {
    first_row: usize,
    first_channel: usize,
    rows: usize,
    /// Pivot, sum and sum of squares about the pivot of each channel, `[3, channels]`.
    sums: Vec<f32>,
}

impl MomentsOfBlocks {
    pub(crate) fn new(channels: usize) -> Self {
        Self { channels, blocks: Mutex::default() }
    }

    /// Adds a finished block.
    pub(crate) fn see(&self, block: &Block) {
        let (rows, channels) = (block.rows(), block.columns());
        let mut sums = vec![0.0; 3 * channels.len()];
        let (pivot, rest) = sums.split_at_mut(channels.len());
        let (first, second) = rest.split_at_mut(channels.len());
        let count = rows.len().min(BLOCK_PIVOT_ROWS);
        for number in 0..count {
            let row = block.row(number * rows.len() / count);
            pivot.iter_mut().zip(row).for_each(|(sum, &value)| *sum += value / count as f32);
        }
        for start in (0..rows.len()).step_by(4) {
            if start + 4 <= rows.len() {
                let rows = [0, 1, 2, 3].map(|offset| block.row(start + offset));
                sum_four_about(rows, pivot, first, second);
            } else {
                for row in start..rows.len() {
                    sum_about(block.row(row), pivot, first, second);
                }
            }
        }
        let (first_row, first_channel) = (rows.start, channels.start);
        let sums = BlockSums { first_row, first_channel, rows: rows.len(), sums };
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner).push(sums);
    }

    /// The moments of all that was seen.
    pub(crate) fn finish(self) -> Moments {
        let mut blocks = self.blocks.into_inner().unwrap_or_else(PoisonError::into_inner);
        blocks.sort_by_key(|block| (block.first_row, block.first_channel));
        // Rows so far, their mean and their squares about it.
        let mut so_far = vec![(0.0f64, 0.0f64, 0.0f64); self.channels];
        for BlockSums { first_channel, rows, sums, .. } in &blocks {
            let channels = sums.len() / 3;
            let n = *rows as f64;
            for channel in 0..channels {
                let [pivot, first, second] =
                    [0, 1, 2].map(|which| f64::from(sums[which * channels + channel]));
                let (mean, squares) = (pivot + first / n, second - first * first / n);
                let (seen, old, spread) = &mut so_far[first_channel + channel];
                let (total, step) = (*seen + n, mean - *old);
                *old += step * n / total;
                *spread += squares + step * step * *seen * n / total;
                *seen = total;
            }
        }
        Moments {
            mean: so_far.iter().map(|&(_, mean, _)| mean as f32).collect(),
            variance: so_far
                .iter()
                .map(|&(n, _, m2)| (not_below_zero(m2) / n.max(1.0)) as f32)
                .collect(),
        }
    }
}

/// Two sums of each channel, `[channels]` each.
struct Sums {
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Sums {
    fn new(channels: usize) -> Self {
        Self { first: vec![0.0; channels], second: vec![0.0; channels] }
    }

    fn add<T: Copy + Into<f64>>(&mut self, first: &[T], second: &[T]) {
        for (total, &term) in self.first.iter_mut().zip(first) {
            *total += term.into();
        }
        for (total, &term) in self.second.iter_mut().zip(second) {
            *total += term.into();
        }
    }

    /// Sums of blocks of rows: `block(range of values, first, second)` adds to two zeroed rows of
    /// channels. What is added to what depends on sizes only.
    fn over_blocks(
        len: usize,
        channels: usize,
        block: impl Fn(Range<usize>, &mut [f32], &mut [f32]) + Sync,
    ) -> Self {
        let task = task_values(channels, TASK_ROWS);
        let parts: Vec<Self> = (0..len.div_ceil(task))
            .into_par_iter()
            .map(|number| {
                let start = number * task;
                let len = task.min(len - start);
                Self::of_blocks(len, channels, |range, first, second| {
                    block(start + range.start..start + range.end, first, second);
                })
            })
            .collect();
        Self::total(&parts, channels)
    }

    /// The blocks of one task, one after the other.
    fn of_blocks(
        len: usize,
        channels: usize,
        mut block: impl FnMut(Range<usize>, &mut [f32], &mut [f32]),
    ) -> Self {
        let mut sums = Self::new(channels);
        let mut rows = vec![0.0; 2 * channels];
        for range in pieces(len, BLOCK_ROWS * channels) {
            rows.fill(0.0);
            let (first, second) = rows.split_at_mut(channels);
            block(range, first, second);
            sums.add(first, second);
        }
        sums
    }

    fn total(parts: &[Self], channels: usize) -> Self {
        let mut total = Self::new(channels);
        for part in parts {
            total.add(&part.first, &part.second);
        }
        total
    }

    /// As sums of gradients and of gradients times distances from the mean.
    fn gradients(&self, affine: &Affine) -> NormGradients {
        let scaled = self.second.iter().zip(&affine.inverse_deviation);
        NormGradients {
            gamma: scaled.map(|(&sum, &inverse)| (sum * f64::from(inverse)) as f32).collect(),
            beta: self.first.iter().map(|&sum| sum as f32).collect(),
        }
    }
}

/// Mean and biased variance of each channel of `x` `[rows, channels]`; zeros without rows.
///
/// # Panics
/// When `x` is not whole rows.
pub fn moments(x: &[f32], channels: usize) -> Moments {
    let rows = rows_of(x, channels);
    if rows == 0 {
        return Moments { mean: vec![0.0; channels], variance: vec![0.0; channels] };
    }
    let pivot = pivot(x, channels);
    let sums = Sums::over_blocks(x.len(), channels, |range, first, second| {
        sum_about(&x[range], &pivot, first, second);
    });
    let (mut mean, mut variance) = (Vec::with_capacity(channels), Vec::with_capacity(channels));
    for ((&pivot, &first), &second) in pivot.iter().zip(&sums.first).zip(&sums.second) {
        let offset = first / rows as f64;
        mean.push((f64::from(pivot) + offset) as f32);
        let about_mean = second / rows as f64 - offset * offset;
        variance.push(not_below_zero(about_mean) as f32);
    }
    Moments { mean, variance }
}

/// `max(x, 0)`, but NaN of NaN.
fn not_below_zero(x: f64) -> f64 {
    if x < 0.0 { 0.0 } else { x }
}

/// The average of rows spread evenly over the input.
fn pivot(x: &[f32], channels: usize) -> Vec<f32> {
    let rows = x.len() / channels;
    let count = rows.min(PIVOT_ROWS);
    let mut sum = vec![0.0f64; channels];
    for number in 0..count {
        let row = &x[number * rows / count * channels..][..channels];
        for (sum, &value) in sum.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    sum.into_iter().map(|sum| (sum / count as f64) as f32).collect()
}

/// `out = act((x - mean) / sqrt(variance + epsilon) * gamma + beta)`, `x` and `out`
/// `[rows, channels]`, the others `[channels]`.
///
/// # Panics
/// When a length does not fit.
pub fn normalise(x: &[f32], channels: usize, norm: &Norm, activation: Activation, out: &mut [f32]) {
    rows_of(x, channels);
    assert_eq!(x.len(), out.len(), "values of input and output");
    let affine = norm.affine(channels);
    let task = task_values(channels, 1);
    out.par_chunks_mut(task)
        .zip(x.par_chunks(task))
        .for_each(|(out, x)| normalise_block(x, &affine, activation, out));
}

/// The gradients of [`normalise`] when `moments` are those of `x` itself (training): `dx`
/// `[rows, channels]` is overwritten, those of `gamma` and `beta` are returned.
///
/// # Panics
/// When a length does not fit.
pub fn normalise_backward(
    x: &[f32],
    channels: usize,
    norm: &Norm,
    activation: Activation,
    dout: &[f32],
    dx: &mut [f32],
) -> NormGradients {
    let rows = rows_of(x, channels);
    assert_eq!(x.len(), dout.len(), "values of input and output gradient");
    assert_eq!(x.len(), dx.len(), "values of input and input gradient");
    let affine = norm.affine(channels);
    let sums = Sums::over_blocks(x.len(), channels, |range, first, second| {
        sum_gradients(&x[range.clone()], &affine, activation, &dout[range], first, second);
    });
    let means = GradientMeans::new(&sums, &affine, rows, norm.fixed);
    let task = task_values(channels, 1);
    dx.par_chunks_mut(task)
        .zip(x.par_chunks(task).zip(dout.par_chunks(task)))
        .for_each(|(dx, (x, dout))| backward_block(x, &affine, activation, &means, dout, dx));
    sums.gradients(&affine)
}

/// `out = act((x - mean) / sqrt(variance + epsilon) * gamma + beta + residual)`, `x`, `residual`
/// and `out` `[rows, channels]`.
///
/// # Panics
/// When a length does not fit.
pub(crate) fn normalise_add(
    x: &[f32],
    channels: usize,
    norm: &Norm,
    residual: &[f32],
    activation: Activation,
    out: &mut [f32],
) {
    rows_of(x, channels);
    assert_eq!(x.len(), out.len(), "values of input and output");
    assert_eq!(x.len(), residual.len(), "values of input and residual");
    let affine = norm.affine(channels);
    let task = task_values(channels, 1);
    out.par_chunks_mut(task).zip(x.par_chunks(task).zip(residual.par_chunks(task))).for_each(
        |(out, (x, residual))| normalise_add_block(x, &affine, residual, activation, out),
    );
}

/// [`normalise_backward`] with the result in the place of the output's gradient: `dout` becomes
/// the gradient of `x`.
///
/// # Panics
/// When a length does not fit.
pub(crate) fn normalise_backward_in_place(
    x: &[f32],
    channels: usize,
    norm: &Norm,
    activation: Activation,
    dout: &mut [f32],
) -> NormGradients {
    let rows = rows_of(x, channels);
    assert_eq!(x.len(), dout.len(), "values of input and output gradient");
    let affine = norm.affine(channels);
    let sums = Sums::over_blocks(x.len(), channels, |range, first, second| {
        sum_gradients(&x[range.clone()], &affine, activation, &dout[range], first, second);
    });
    let means = GradientMeans::new(&sums, &affine, rows, norm.fixed);
    let task = task_values(channels, 1);
    dout.par_chunks_mut(task)
        .zip(x.par_chunks(task))
        .for_each(|(dout, x)| backward_block_in_place(x, &affine, activation, &means, dout));
    sums.gradients(&affine)
}

/// The gradients of [`normalise_add`] with a `ReLU`, whose result was `out`, when the moments are
/// those of `x` itself: `dout` becomes the gradient of the residual (its values where `out` is
/// above 0 or NaN), `dx` that of `x`.
///
/// # Panics
/// When a length does not fit.
pub(crate) fn normalise_add_backward(
    x: &[f32],
    channels: usize,
    norm: &Norm,
    out: &[f32],
    dout: &mut [f32],
    dx: &mut [f32],
) -> NormGradients {
    let rows = rows_of(x, channels);
    let lengths = [out.len(), dout.len(), dx.len()];
    assert_eq!(lengths, [x.len(); 3], "values of input, output and their gradients");
    let affine = norm.affine(channels);
    let task = task_values(channels, TASK_ROWS);
    let parts: Vec<Sums> = dout
        .par_chunks_mut(task)
        .zip(x.par_chunks(task).zip(out.par_chunks(task)))
        .map(|(dout, (x, out))| {
            Sums::of_blocks(dout.len(), channels, |range, first, second| {
                let (x, out, dout) = (&x[range.clone()], &out[range.clone()], &mut dout[range]);
                cut_and_sum(x, &affine, out, dout, first, second);
            })
        })
        .collect();
    let sums = Sums::total(&parts, channels);
    let means = GradientMeans::new(&sums, &affine, rows, norm.fixed);
    let task = task_values(channels, 1);
    let dout: &[f32] = dout;
    dx.par_chunks_mut(task)
        .zip(x.par_chunks(task).zip(dout.par_chunks(task)))
        .for_each(|(dx, (x, dout))| backward_block(x, &affine, Activation::None, &means, dout, dx));
    sums.gradients(&affine)
}

fn rows_of(x: &[f32], channels: usize) -> usize {
    assert!(channels > 0, "rows need at least one channel");
    assert!(x.len().is_multiple_of(channels), "{} values in rows of {channels}", x.len());
    x.len() / channels
}

/// The normalisation of each channel as `(x - mean) * scale + beta`.
struct Affine<'a> {
    mean: &'a [f32],
    inverse_deviation: Vec<f32>,
    scale: Vec<f32>,
    beta: &'a [f32],
}

impl<'a> Affine<'a> {
    fn new(
        channels: usize,
        moments: &'a Moments,
        epsilon: f32,
        gamma: &[f32],
        beta: &'a [f32],
    ) -> Self {
        let lengths = [moments.mean.len(), moments.variance.len(), gamma.len(), beta.len()];
        assert_eq!(lengths, [channels; 4], "means, variances, factors and offsets of channels");
        let inverse =
            |&variance: &f32| (1.0 / (f64::from(variance) + f64::from(epsilon)).sqrt()) as f32;
        let inverse_deviation: Vec<f32> = moments.variance.iter().map(inverse).collect();
        let scale = gamma.iter().zip(&inverse_deviation).map(|(g, i)| g * i).collect();
        Self { mean: &moments.mean, inverse_deviation, scale, beta }
    }
}

/// What the batch statistics subtract from a gradient: `average + (x - mean) * slope`.
struct GradientMeans {
    average: Vec<f32>,
    slope: Vec<f32>,
}

impl GradientMeans {
    fn new(sums: &Sums, affine: &Affine, rows: usize, fixed: bool) -> Self {
        if fixed {
            let nothing = vec![0.0; sums.first.len()];
            return Self { average: nothing.clone(), slope: nothing };
        }
        let rows = rows.max(1) as f64;
        let slope =
            |(&sum, &inverse): (&f64, &f32)| (sum / rows * f64::from(inverse).powi(2)) as f32;
        Self {
            average: sums.first.iter().map(|&sum| (sum / rows) as f32).collect(),
            slope: sums.second.iter().zip(&affine.inverse_deviation).map(slope).collect(),
        }
    }
}

multiversion! {
    /// Adds `x - pivot` and its square, four rows at a time to spare trips to the sums.
    fn sum_about(x: &[f32], pivot: &[f32], first: &mut [f32], second: &mut [f32]) {
        let channels = pivot.len();
        let mut groups = x.chunks_exact(4 * channels);
        for rows in &mut groups {
            let (a, rest) = rows.split_at(channels);
            let (b, rest) = rest.split_at(channels);
            let (c, d) = rest.split_at(channels);
            sum_four([a, b, c, d], pivot, first, second);
        }
        for row in groups.remainder().chunks_exact(channels) {
            let sums = first.iter_mut().zip(second.iter_mut()).zip(pivot);
            for (((first, second), &pivot), &value) in sums.zip(row) {
                *first += value - pivot;
                *second += (value - pivot) * (value - pivot);
            }
        }
    }
}

multiversion! {
    /// The same of four rows that lie anywhere.
    fn sum_four_about(rows: [&[f32]; 4], pivot: &[f32], first: &mut [f32], second: &mut [f32]) {
        sum_four(rows, pivot, first, second);
    }
}

#[inline(always)]
fn sum_four([a, b, c, d]: [&[f32]; 4], pivot: &[f32], first: &mut [f32], second: &mut [f32]) {
    let sums = first.iter_mut().zip(second.iter_mut()).zip(pivot);
    for (((((first, second), &pivot), &a), &b), (&c, &d)) in sums.zip(a).zip(b).zip(c.iter().zip(d))
    {
        let (a, b, c, d) = (a - pivot, b - pivot, c - pivot, d - pivot);
        *first += (a + b) + (c + d);
        *second += (a * a + b * b) + (c * c + d * d);
    }
}

multiversion! {
    fn normalise_block(x: &[f32], affine: &Affine, activation: Activation, out: &mut [f32]) {
        match activation {
            Activation::None => normalise_rows(x, affine, |value| value, out),
            Activation::Relu => normalise_rows(x, affine, relu, out),
            Activation::Relu6 => normalise_rows(x, affine, relu6, out),
        }
    }
}

multiversion! {
    fn normalise_add_block(
        x: &[f32],
        affine: &Affine,
        residual: &[f32],
        activation: Activation,
        out: &mut [f32],
    ) {
        match activation {
            Activation::None => normalise_add_rows(x, affine, residual, |value| value, out),
            Activation::Relu => normalise_add_rows(x, affine, residual, relu, out),
            Activation::Relu6 => normalise_add_rows(x, affine, residual, relu6, out),
        }
    }
}

#[inline(always)]
fn normalise_add_rows(
    x: &[f32],
    affine: &Affine,
    residual: &[f32],
    activation: impl Fn(f32) -> f32,
    out: &mut [f32],
) {
    let channels = affine.scale.len();
    let rows = x.chunks_exact(channels).zip(residual.chunks_exact(channels));
    for (out, (x, residual)) in out.chunks_exact_mut(channels).zip(rows) {
        let parameters = affine.mean.iter().zip(&affine.scale).zip(affine.beta);
        for ((out, (&x, &residual)), ((&mean, &scale), &beta)) in
            out.iter_mut().zip(x.iter().zip(residual)).zip(parameters)
        {
            *out = activation((x - mean) * scale + beta + residual);
        }
    }
}

#[inline(always)]
fn normalise_rows(x: &[f32], affine: &Affine, activation: impl Fn(f32) -> f32, out: &mut [f32]) {
    let channels = affine.scale.len();
    for (out, x) in out.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
        let parameters = affine.mean.iter().zip(&affine.scale).zip(affine.beta);
        for ((out, &x), ((&mean, &scale), &beta)) in out.iter_mut().zip(x).zip(parameters) {
            *out = activation((x - mean) * scale + beta);
        }
    }
}

/// `x` within 0 and 6; NaN stays NaN.
#[inline(always)]
pub(crate) fn relu6(x: f32) -> f32 {
    let x = relu(x);
    if x > 6.0 { 6.0 } else { x }
}

/// Chooses the gradient that passes an activation, of the value before it and the gradient after
/// it: all of it, or where the value is not cut off. The choice is made outside of the loops, and
/// by arithmetic: a branch inside would keep them from being vectorised.
macro_rules! by_activation {
    ($activation:expr, $passed:ident, $run:expr) => {
        match $activation {
            Activation::None => {
                let $passed = |_value: f32, dout: f32| dout;
                $run
            }
            Activation::Relu => {
                let $passed = |value: f32, dout: f32| if value > 0.0 { dout } else { 0.0 };
                $run
            }
            Activation::Relu6 => {
                // Above 0 and below 6: where the product is above 0.
                let $passed =
                    |value: f32, dout: f32| if value * (6.0 - value) > 0.0 { dout } else { 0.0 };
                $run
            }
        }
    };
}

multiversion! {
    /// Adds the gradient that passes the activation, and its product with `x - mean`.
    fn sum_gradients(
        x: &[f32],
        affine: &Affine,
        activation: Activation,
        dout: &[f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        by_activation!(activation, passed, sum_passed(x, affine, passed, dout, first, second));
    }
}

#[inline(always)]
fn sum_passed(
    x: &[f32],
    affine: &Affine,
    passed: impl Fn(f32, f32) -> f32,
    dout: &[f32],
    first: &mut [f32],
    second: &mut [f32],
) {
    let channels = affine.scale.len();
    for (x, dout) in x.chunks_exact(channels).zip(dout.chunks_exact(channels)) {
        let parameters = affine.mean.iter().zip(&affine.scale).zip(affine.beta);
        let sums = first.iter_mut().zip(second.iter_mut());
        for (((first, second), (&x, &dout)), ((&mean, &scale), &beta)) in
            sums.zip(x.iter().zip(dout)).zip(parameters)
        {
            let centred = x - mean;
            let gradient = passed(centred * scale + beta, dout);
            *first += gradient;
            *second += gradient * centred;
        }
    }
}

multiversion! {
    fn backward_block(
        x: &[f32],
        affine: &Affine,
        activation: Activation,
        means: &GradientMeans,
        dout: &[f32],
        dx: &mut [f32],
    ) {
        by_activation!(activation, passed, {
            let channels = affine.scale.len();
            let rows = x.chunks_exact(channels).zip(dout.chunks_exact(channels));
            for (dx, (x, dout)) in dx.chunks_exact_mut(channels).zip(rows) {
                let parameters = affine.mean.iter().zip(&affine.scale).zip(affine.beta);
                let means = means.average.iter().zip(&means.slope);
                for (((dx, (&x, &dout)), ((&mean, &scale), &beta)), (&average, &slope)) in
                    dx.iter_mut().zip(x.iter().zip(dout)).zip(parameters).zip(means)
                {
                    let centred = x - mean;
                    let gradient = passed(centred * scale + beta, dout);
                    *dx = scale * (gradient - average - centred * slope);
                }
            }
        });
    }
}

multiversion! {
    fn backward_block_in_place(
        x: &[f32],
        affine: &Affine,
        activation: Activation,
        means: &GradientMeans,
        dout: &mut [f32],
    ) {
        by_activation!(activation, passed, {
            let channels = affine.scale.len();
            for (dout, x) in dout.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                let parameters = affine.mean.iter().zip(&affine.scale).zip(affine.beta);
                let means = means.average.iter().zip(&means.slope);
                for (((dout, &x), ((&mean, &scale), &beta)), (&average, &slope)) in
                    dout.iter_mut().zip(x).zip(parameters).zip(means)
                {
                    let centred = x - mean;
                    let gradient = passed(centred * scale + beta, *dout);
                    *dout = scale * (gradient - average - centred * slope);
                }
            }
        });
    }
}

multiversion! {
    /// Leaves of `dout` what passes a `ReLU` with the result `out`, and adds it and its product
    /// with `x - mean`.
    fn cut_and_sum(
        x: &[f32],
        affine: &Affine,
        out: &[f32],
        dout: &mut [f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        let channels = affine.scale.len();
        let rows = x.chunks_exact(channels).zip(out.chunks_exact(channels));
        for (dout, (x, out)) in dout.chunks_exact_mut(channels).zip(rows) {
            let sums = first.iter_mut().zip(second.iter_mut()).zip(affine.mean);
            for (((first, second), &mean), (dout, (&x, &out))) in
                sums.zip(dout.iter_mut().zip(x.iter().zip(out)))
            {
                // NaN passes, as in `relu_backward`.
                let gradient = if out <= 0.0 { 0.0 } else { *dout };
                *dout = gradient;
                *first += gradient;
                *second += gradient * (x - mean);
            }
        }
    }
}

#[cfg(test)]
mod tests;
