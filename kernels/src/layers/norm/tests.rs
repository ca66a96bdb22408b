use super::*;
use crate::testing::{Sum, assert_close, in_pool, in_pools, random};

const EPSILON: f32 = 1e-3;

/// One channel in f64: mean, biased variance.
fn exact_moments(column: &[f64]) -> (f64, f64) {
    let rows = column.len() as f64;
    let mean = column.iter().sum::<f64>() / rows;
    (mean, column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / rows)
}

fn column(x: &[f32], channels: usize, channel: usize) -> Vec<f64> {
    x.iter().skip(channel).step_by(channels).map(|&x| f64::from(x)).collect()
}

const SIZES: [(usize, usize); 8] =
    [(1, 1), (2, 3), (3, 2), (7, 5), (13, 13), (130, 7), (1000, 33), (257, 600)];

#[test]
fn moments_agree_with_f64() {
    for (rows, channels) in SIZES {
        let x = random(rows * channels, 1);
        let exact: Vec<_> =
            (0..channels).map(|c| exact_moments(&column(&x, channels, c))).collect();
        let means: Vec<Sum> = exact.iter().map(|&(mean, _)| Sum::near(mean, 1.0, 8.0)).collect();
        let variances: Vec<Sum> = exact.iter().map(|&(_, v)| Sum::near(v, 1.0, 8.0)).collect();
        in_pools(|| {
            let found = moments(&x, channels);
            assert_close(&found.mean, &means);
            assert_close(&found.variance, &variances);
        });
    }
}

#[test]
fn a_large_mean_does_not_drown_the_variance() {
    let x: Vec<f32> = random(5000, 2).into_iter().map(|x| 10_000.0 + x).collect();
    let (mean, variance) = exact_moments(&column(&x, 1, 0));
    let found = moments(&x, 1);
    assert_close(&found.mean, &[Sum::exact(mean)]);
    assert_close(&found.variance, &[Sum::near(variance, variance, 100.0)]);
}

#[test]
fn moments_do_not_depend_on_the_number_of_threads() {
    let x = random(3000 * 21, 3);
    assert_eq!(in_pool(1, || moments(&x, 21)), in_pool(7, || moments(&x, 21)));
}

/// The loss `sum(dout * normalise(x))` and its pieces in f64, one channel.
struct Channel {
    x: Vec<f64>,
    dout: Vec<f64>,
    gamma: f64,
    beta: f64,
    activation: Activation,
}

impl Channel {
    fn out(&self) -> Vec<f64> {
        let (mean, variance) = exact_moments(&self.x);
        let inverse = 1.0 / (variance + f64::from(EPSILON)).sqrt();
        let act = |value: f64| match self.activation {
            Activation::None => value,
            Activation::Relu => value.max(0.0),
            Activation::Relu6 => value.clamp(0.0, 6.0),
        };
        self.x.iter().map(|x| act((x - mean) * inverse * self.gamma + self.beta)).collect()
    }

    fn loss(&self) -> f64 {
        self.out().iter().zip(&self.dout).map(|(out, dout)| out * dout).sum()
    }

    /// The slope of the loss by central differences, as `change` moves one of the inputs.
    fn slope(&mut self, change: impl Fn(&mut Self, f64)) -> f64 {
        let step = 1e-5;
        change(self, step);
        let above = self.loss();
        change(self, -2.0 * step);
        let below = self.loss();
        change(self, step);
        (above - below) / (2.0 * step)
    }
}

/// `random` values moved away from 0 after the normalisation, so that no difference crosses the
/// corner of the `ReLU`: two groups far apart.
fn two_groups(count: usize) -> Vec<f32> {
    random(count, 4).into_iter().map(|x| 0.3 * x + x.signum()).collect()
}

#[test]
fn results_and_gradients_agree_with_differences_in_f64() {
    for (rows, channels) in [(2, 1), (3, 2), (7, 5), (13, 3), (70, 17)] {
        for activation in [Activation::None, Activation::Relu, Activation::Relu6] {
            let x = two_groups(rows * channels);
            let dout = random(rows * channels, 5);
            let gamma: Vec<f32> = random(channels, 6).iter().map(|g| g + g.signum()).collect();
            let beta: Vec<f32> = random(channels, 7).iter().map(|b| 0.1 * b).collect();
            let moments = moments(&x, channels);
            let (mut out, mut dx) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
            let norm = Norm {
                moments: &moments,
                epsilon: EPSILON,
                gamma: &gamma,
                beta: &beta,
                fixed: false,
            };
            normalise(&x, channels, &norm, activation, &mut out);
            let gradients = normalise_backward(&x, channels, &norm, activation, &dout, &mut dx);
            for channel in 0..channels {
                let mut exact = Channel {
                    x: column(&x, channels, channel),
                    dout: column(&dout, channels, channel),
                    gamma: f64::from(gamma[channel]),
                    beta: f64::from(beta[channel]),
                    activation,
                };
                let near = |value: f64| Sum { value, bound: 1e-4 };
                let mine = |values: &[f32]| -> Vec<f32> {
                    values.iter().copied().skip(channel).step_by(channels).collect()
                };
                let expected: Vec<Sum> = exact.out().into_iter().map(near).collect();
                assert_close(&mine(&out), &expected);
                let slopes: Vec<Sum> =
                    (0..rows).map(|row| near(exact.slope(|c, by| c.x[row] += by))).collect();
                assert_close(&mine(&dx), &slopes);
                let of_gamma = near(exact.slope(|c, by| c.gamma += by));
                assert_close(&gradients.gamma[channel..=channel], &[of_gamma]);
                let of_beta = near(exact.slope(|c, by| c.beta += by));
                assert_close(&gradients.beta[channel..=channel], &[of_beta]);
            }
        }
    }
}

#[test]
fn values_that_are_not_numbers_stay_in_their_channel() {
    let x = [f32::NAN, 1.0, 2.0, 3.0];
    let found = moments(&x, 2);
    assert!(found.mean[0].is_nan() && (found.mean[1] - 2.0).abs() < 1e-6, "{found:?}");
    let mut out = [0.0; 4];
    for activation in [Activation::Relu, Activation::Relu6] {
        let norm = Norm {
            moments: &found,
            epsilon: EPSILON,
            gamma: &[1.0; 2],
            beta: &[0.0; 2],
            fixed: false,
        };
        normalise(&x, 2, &norm, activation, &mut out);
        assert!(out[0].is_nan() && out[2].is_nan() && out[3] > 0.9, "{out:?}");
    }
}

#[test]
fn relu6_cuts_off_at_both_ends_and_so_does_its_gradient() {
    // With mean 0, variance 1 and factor 1 a value is its own normalisation.
    let x = [-1.0, 0.0, 0.5, 5.5, 6.0, 7.0, f32::INFINITY, f32::NEG_INFINITY];
    let moments = Moments { mean: vec![0.0], variance: vec![1.0] };
    let mut out = [f32::NAN; 8];
    let norm = Norm { moments: &moments, epsilon: 0.0, gamma: &[1.0], beta: &[0.0], fixed: false };
    normalise(&x, 1, &norm, Activation::Relu6, &mut out);
    assert_close(&out, &[0.0, 0.0, 0.5, 5.5, 6.0, 6.0, 6.0, 0.0].map(Sum::exact));
    let (finite, mut dx) = (&x[..6], [f32::NAN; 6]);
    let gradients = normalise_backward(
        finite,
        1,
        &norm,
        Activation::Relu6,
        &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0],
        &mut dx,
    );
    // Only the third and the fourth pass.
    assert_close(&gradients.beta, &[Sum::exact(12.0)]);
    assert_close(&gradients.gamma, &[Sum::exact(0.5 * 4.0 + 5.5 * 8.0)]);
}
