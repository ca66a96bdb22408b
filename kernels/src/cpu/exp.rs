//! Exponential, logarithm, sigmoid and tanh (elementary functions) as plain arithmetic that a
//! compiler can vectorise.
//!
//! All but the logarithm split `e^x` into a power of two and a polynomial. `tanh` is taken from
//! `e^2x - 1`, not from `e^2x`, so that small arguments keep their digits. Relative error below
//! 1e-6; NaN stays NaN.

/// Adding and subtracting this rounds an `f32` to a whole number, and leaves the number in its
/// low bits in between.
const ROUNDING: f32 = 12_582_912.0;
/// ln 2 as a short number whose small multiples are exact, and the rest.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Arguments beyond have no `e^x` in `f32`.
const LARGEST: f32 = 87.0;
/// `tanh` is 1 in `f32` from here on.
const SATURATED: f32 = 10.0;

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    let (power, fraction) = split_exp(clamp(-x, LARGEST));
    1.0 / (1.0 + (power + power * fraction))
}

/// Hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let (power, fraction) = split_exp(2.0 * clamp(x, SATURATED));
    let exp_minus_one = power * fraction + (power - 1.0);
    exp_minus_one / (exp_minus_one + 2.0)
}

/// `e^x`; as if `x` were within -87 and 87.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let (power, fraction) = split_exp(clamp(x, LARGEST));
    power + power * fraction
}

/// Natural logarithm of a normal number above 0.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    // The power of two is taken out so that what is left lies around 1.
    let bits = x.to_bits().wrapping_sub(std::f32::consts::FRAC_1_SQRT_2.to_bits());
    let power = (bits as i32) >> 23;
    let rest = f32::from_bits(x.to_bits().wrapping_sub((power as u32) << 23));
    // ln x = 2 artanh((x - 1) / (x + 1)); the next term of the series is below 1e-8.
    let t = (rest - 1.0) / (rest + 1.0);
    let square = t * t;
    let series = 1.0 / 7.0 + square * (1.0 / 9.0);
    let series = 1.0 + square * (1.0 / 3.0 + square * (1.0 / 5.0 + square * series));
    power as f32 * std::f32::consts::LN_2 + 2.0 * t * series
}

/// `x` within `-limit..=limit`; NaN stays NaN.
#[inline(always)]
fn clamp(x: f32, limit: f32) -> f32 {
    let x = if x > limit { limit } else { x };
    if x < -limit { -limit } else { x }
}

/// A power of two and a fraction with `e^x = power * (1 + fraction)`, for `x` in -87..=87.
#[inline(always)]
fn split_exp(x: f32) -> (f32, f32) {
    let shifted = x * std::f32::consts::LOG2_E + ROUNDING;
    let whole = shifted - ROUNDING;
    let rest = (x - whole * LN2_HIGH) - whole * LN2_LOW;
    // The series of e^rest - 1; |rest| is below 0.35, so the next term is below 1e-8.
    let series = 1.0 / 720.0 + rest * (1.0 / 5040.0);
    let series = 1.0 / 24.0 + rest * (1.0 / 120.0 + rest * series);
    let fraction = rest + rest * rest * (0.5 + rest * (1.0 / 6.0 + rest * series));
    (f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits())), fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of a thousandth from -20 to 20, then large ones, then tiny ones.
    fn arguments() -> impl Iterator<Item = f32> {
        let steps = (-20_000..=20_000).map(|step| step as f32 / 1000.0);
        let large = (-85..=85).map(|step| step as f32);
        steps.chain(large).chain([1e-3, -1e-4, 1e-6, -1e-10, 1e-20, -1e-30])
    }

    #[test]
    fn the_logarithm_is_within_a_millionth_of_f64() {
        for x in arguments().map(f32::exp).chain([1.0, f32::MAX, f32::MIN_POSITIVE]) {
            let exact = f64::from(x).ln();
            let error = (f64::from(ln(x)) - exact).abs();
            assert!(error <= 1e-6 * exact.abs().max(0.3), "of {x}: {}, expected {exact}", ln(x));
        }
    }

    fn assert_near(x: f32, found: f32, exact: f64) {
        let error = (f64::from(found) - exact).abs();
        assert!(error <= 1e-6 * exact.abs(), "of {x}: {found}, expected {exact}");
    }

    #[test]
    fn both_are_within_a_millionth_of_f64() {
        for x in arguments() {
            assert_near(x, sigmoid(x), 1.0 / (1.0 + (-f64::from(x)).exp()));
            assert_near(x, tanh(x), f64::from(x).tanh());
            assert_near(x, exp(x), f64::from(x).exp());
        }
    }

    #[test]
    fn the_ends_are_the_limits_and_nan_stays() {
        for (function, low) in [(sigmoid as fn(f32) -> f32, 0.0), (tanh, -1.0)] {
            assert!((function(f32::INFINITY) - 1.0).abs() < 1e-6);
            assert!((function(f32::NEG_INFINITY) - low).abs() < 1e-6);
            assert!((function(f32::MAX) - 1.0).abs() < 1e-6);
            assert!(function(f32::NAN).is_nan());
        }
    }
}
