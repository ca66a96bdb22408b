//! Batch norm over rows of channels, with the `ReLU` that usually follows it.
//!
//! Every pass is bound by memory, so each reads its input once. The variance is taken about a
//! pivot near the mean (the average of a few rows spread over the input): `E[x^2] - E[x]^2` about
//! 0 loses all digits when the mean is large, and a second pass over the input would cost as much
//! as the first. Sums are `f32` inside a block of rows and `f64` across blocks.

use crate::elementwise::relu;
use crate::parallel::task_values;
use crate::simd::multiversion;
use rayon::prelude::*;

/// Rows of a block, summed in `f32`.
const BLOCK_ROWS: usize = 64;
/// Fewest rows of a task.
const TASK_ROWS: usize = 128;
/// Rows the pivot is the average of.
const PIVOT_ROWS: usize = 64;

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
}

/// The gradients of the parameters of a normalisation.
#[derive(Clone, Debug, PartialEq)]
pub struct NormGradients {
    /// Of the factors, `[channels]`.
    pub gamma: Vec<f32>,
    /// Of the offsets, `[channels]`.
    pub beta: Vec<f32>,
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
        block: impl Fn(std::ops::Range<usize>, &mut [f32], &mut [f32]) + Sync,
    ) -> Self {
        let task = task_values(channels, TASK_ROWS);
        let parts: Vec<Self> = (0..len.div_ceil(task))
            .into_par_iter()
            .map(|number| {
                let mut sums = Self::new(channels);
                let mut rows = vec![0.0; 2 * channels];
                let end = ((number + 1) * task).min(len);
                for start in (number * task..end).step_by(BLOCK_ROWS * channels) {
                    rows.fill(0.0);
                    let (first, second) = rows.split_at_mut(channels);
                    block(start..(start + BLOCK_ROWS * channels).min(end), first, second);
                    sums.add(first, second);
                }
                sums
            })
            .collect();
        let mut total = Self::new(channels);
        for part in &parts {
            total.add(&part.first, &part.second);
        }
        total
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
        // Not `max`, which would make a number of NaN.
        variance.push(if about_mean < 0.0 { 0.0 } else { about_mean as f32 });
    }
    Moments { mean, variance }
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
#[expect(clippy::too_many_arguments, reason = "one argument each for the terms of the formula")]
pub fn normalise(
    x: &[f32],
    channels: usize,
    moments: &Moments,
    epsilon: f32,
    gamma: &[f32],
    beta: &[f32],
    activation: Activation,
    out: &mut [f32],
) {
    rows_of(x, channels);
    assert_eq!(x.len(), out.len(), "values of input and output");
    let affine = Affine::new(channels, moments, epsilon, gamma, beta);
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
#[expect(clippy::too_many_arguments, reason = "one argument each for the terms of the formula")]
pub fn normalise_backward(
    x: &[f32],
    channels: usize,
    moments: &Moments,
    epsilon: f32,
    gamma: &[f32],
    beta: &[f32],
    activation: Activation,
    dout: &[f32],
    dx: &mut [f32],
) -> NormGradients {
    let rows = rows_of(x, channels);
    assert_eq!(x.len(), dout.len(), "values of input and output gradient");
    assert_eq!(x.len(), dx.len(), "values of input and input gradient");
    let affine = Affine::new(channels, moments, epsilon, gamma, beta);
    let sums = Sums::over_blocks(x.len(), channels, |range, first, second| {
        sum_gradients(&x[range.clone()], &affine, activation, &dout[range], first, second);
    });
    let means = GradientMeans::new(&sums, &affine, rows);
    let task = task_values(channels, 1);
    dx.par_chunks_mut(task)
        .zip(x.par_chunks(task).zip(dout.par_chunks(task)))
        .for_each(|(dx, (x, dout))| backward_block(x, &affine, activation, &means, dout, dx));
    let scaled = sums.second.iter().zip(&affine.inverse_deviation);
    NormGradients {
        gamma: scaled.map(|(&sum, &inverse)| (sum * f64::from(inverse)) as f32).collect(),
        beta: sums.first.iter().map(|&sum| sum as f32).collect(),
    }
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
    fn new(sums: &Sums, affine: &Affine, rows: usize) -> Self {
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
            let sums = first.iter_mut().zip(second.iter_mut()).zip(pivot);
            for (((((first, second), &pivot), &a), &b), (&c, &d)) in
                sums.zip(a).zip(b).zip(c.iter().zip(d))
            {
                let (a, b, c, d) = (a - pivot, b - pivot, c - pivot, d - pivot);
                *first += (a + b) + (c + d);
                *second += (a * a + b * b) + (c * c + d * d);
            }
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
    fn normalise_block(x: &[f32], affine: &Affine, activation: Activation, out: &mut [f32]) {
        match activation {
            Activation::None => normalise_rows(x, affine, |value| value, out),
            Activation::Relu => normalise_rows(x, affine, relu, out),
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

/// The gradient that passes the activation: all of it, or where the result was above 0.
#[inline(always)]
fn passed(activation: Activation, centred: f32, scale: f32, beta: f32, dout: f32) -> f32 {
    match activation {
        Activation::None => dout,
        Activation::Relu if centred * scale + beta > 0.0 => dout,
        Activation::Relu => 0.0,
    }
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
        let channels = affine.scale.len();
        for (x, dout) in x.chunks_exact(channels).zip(dout.chunks_exact(channels)) {
            let parameters = affine.mean.iter().zip(&affine.scale).zip(affine.beta);
            let sums = first.iter_mut().zip(second.iter_mut());
            for (((first, second), (&x, &dout)), ((&mean, &scale), &beta)) in
                sums.zip(x.iter().zip(dout)).zip(parameters)
            {
                let centred = x - mean;
                let gradient = passed(activation, centred, scale, beta, dout);
                *first += gradient;
                *second += gradient * centred;
            }
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
        let channels = affine.scale.len();
        let rows = x.chunks_exact(channels).zip(dout.chunks_exact(channels));
        for (dx, (x, dout)) in dx.chunks_exact_mut(channels).zip(rows) {
            let parameters = affine.mean.iter().zip(&affine.scale).zip(affine.beta);
            let means = means.average.iter().zip(&means.slope);
            for (((dx, (&x, &dout)), ((&mean, &scale), &beta)), (&average, &slope)) in
                dx.iter_mut().zip(x.iter().zip(dout)).zip(parameters).zip(means)
            {
                let centred = x - mean;
                let gradient = passed(activation, centred, scale, beta, dout);
                *dx = scale * (gradient - average - centred * slope);
            }
        }
    }
}

#[cfg(test)]
mod tests;
