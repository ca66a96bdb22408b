//! Loops over equal slices: the sum at the end of a residual block and its gradient.

use crate::cpu::parallel::TASK_VALUES;
use crate::cpu::simd::multiversion;
use crate::layers::norm::{Activation, relu6};
use rayon::prelude::*;

/// The larger of `x` and 0; NaN stays NaN, so that a diverged model is seen.
#[inline(always)]
pub(crate) fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

/// `out = relu(a + b)`.
///
/// # Panics
/// When the lengths differ.
pub fn add_relu(a: &[f32], b: &[f32], out: &mut [f32]) {
    assert_eq!(a.len(), b.len(), "values of both terms");
    assert_eq!(a.len(), out.len(), "values of a term and of the sum");
    out.par_chunks_mut(TASK_VALUES)
        .zip(a.par_chunks(TASK_VALUES).zip(b.par_chunks(TASK_VALUES)))
        .for_each(|(out, (a, b))| add_relu_block(a, b, out));
}

/// `sum = act(sum + term)`.
///
/// # Panics
/// When the lengths differ.
pub(crate) fn add_activate(sum: &mut [f32], term: &[f32], activation: Activation) {
    assert_eq!(sum.len(), term.len(), "values of both terms");
    sum.par_chunks_mut(TASK_VALUES)
        .zip(term.par_chunks(TASK_VALUES))
        .for_each(|(sum, term)| add_activate_block(sum, term, activation));
}

/// `sum += term`.
///
/// # Panics
/// When the lengths differ.
pub(crate) fn add_assign(sum: &mut [f32], term: &[f32]) {
    add_activate(sum, term, Activation::None);
}

/// The sum of the squares, in `f64`; the order of the terms depends on their number alone.
pub fn sum_of_squares(values: &[f32]) -> f64 {
    let parts: Vec<f64> = values.par_chunks(TASK_VALUES).map(sum_of_squares_block).collect();
    parts.into_iter().sum()
}

/// `values = values * factor`.
pub fn scale(values: &mut [f32], factor: f32) {
    values.par_chunks_mut(TASK_VALUES).for_each(|values| scale_block(values, factor));
}

/// The gradient of [`add_relu`] (or of a plain `ReLU`) for each of its terms: `dout` where the
/// result `out` is above 0 or NaN, else 0.
///
/// # Panics
/// When the lengths differ.
pub fn relu_backward(out: &[f32], dout: &[f32], dx: &mut [f32]) {
    assert_eq!(out.len(), dout.len(), "values of the result and of its gradient");
    assert_eq!(out.len(), dx.len(), "values of the result and of the term's gradient");
    dx.par_chunks_mut(TASK_VALUES)
        .zip(out.par_chunks(TASK_VALUES).zip(dout.par_chunks(TASK_VALUES)))
        .for_each(|(dx, (out, dout))| relu_backward_block(out, dout, dx));
}

multiversion! {
    fn sum_of_squares_block(values: &[f32]) -> f64 {
        let mut sums = [0.0f64; 16];
        let mut groups = values.chunks_exact(16);
        for group in &mut groups {
            for (sum, &value) in sums.iter_mut().zip(group) {
                *sum += f64::from(value) * f64::from(value);
            }
        }
        for (sum, &value) in sums.iter_mut().zip(groups.remainder()) {
            *sum += f64::from(value) * f64::from(value);
        }
        sums.iter().sum()
    }
}

multiversion! {
    fn scale_block(values: &mut [f32], factor: f32) {
        for value in values {
            *value *= factor;
        }
    }
}

multiversion! {
    fn add_activate_block(sum: &mut [f32], term: &[f32], activation: Activation) {
        match activation {
            Activation::None => sum.iter_mut().zip(term).for_each(|(sum, term)| *sum += term),
            Activation::Relu => {
                sum.iter_mut().zip(term).for_each(|(sum, term)| *sum = relu(*sum + term));
            }
            Activation::Relu6 => {
                sum.iter_mut().zip(term).for_each(|(sum, term)| *sum = relu6(*sum + term));
            }
        }
    }
}

multiversion! {
    fn add_relu_block(a: &[f32], b: &[f32], out: &mut [f32]) {
        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *out = relu(a + b);
        }
    }
}

multiversion! {
    fn relu_backward_block(out: &[f32], dout: &[f32], dx: &mut [f32]) {
        for ((dx, &out), &dout) in dx.iter_mut().zip(out).zip(dout) {
            *dx = if out <= 0.0 { 0.0 } else { dout };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Sum, assert_close, in_pools, random};

    #[test]
    fn the_sum_is_cut_at_zero_and_so_is_its_gradient() {
        for len in [0, 1, 7, 64, 1000, TASK_VALUES + 3] {
            let (a, b, dout) = (random(len, 1), random(len, 2), random(len, 3));
            let sums: Vec<f64> =
                a.iter().zip(&b).map(|(&a, &b)| f64::from(a) + f64::from(b)).collect();
            let expected: Vec<Sum> =
                sums.iter().map(|&sum| Sum::near(sum.max(0.0), 1.0, 1.0)).collect();
            in_pools(|| {
                let (mut out, mut dx) = (vec![f32::NAN; len], vec![f32::NAN; len]);
                add_relu(&a, &b, &mut out);
                assert_close(&out, &expected);
                relu_backward(&out, &dout, &mut dx);
                let passed: Vec<Sum> = (0..len)
                    .map(|i| Sum::exact(if out[i] > 0.0 { f64::from(dout[i]) } else { 0.0 }))
                    .collect();
                assert_close(&dx, &passed);
            });
        }
    }

    #[test]
    fn squares_are_summed_and_values_scaled() {
        for len in [0, 1, 15, 16, 33, 1000, TASK_VALUES + 5] {
            let values = random(len, 4);
            let expected: f64 = values.iter().map(|&x| f64::from(x).powi(2)).sum();
            in_pools(|| {
                let found = sum_of_squares(&values);
                assert!((found - expected).abs() <= 1e-12 * expected, "{found}, not {expected}");
                let mut scaled = values.clone();
                scale(&mut scaled, 0.25);
                assert!(scaled.iter().zip(&values).all(|(a, b)| (a * 4.0 - b).abs() < 1e-7));
            });
        }
        assert!(sum_of_squares(&[f32::NAN]).is_nan());
    }

    #[test]
    fn nan_stays_visible() {
        let (mut out, mut dx) = ([0.0; 3], [7.0; 3]);
        add_relu(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY], &[1.0; 3], &mut out);
        assert!(out[0].is_nan() && out[1] == f32::INFINITY && out[2] == 0.0, "{out:?}");
        relu_backward(&out, &[1.0; 3], &mut dx);
        assert_close(&dx, &[Sum::exact(1.0), Sum::exact(1.0), Sum::exact(0.0)]);
    }
}
