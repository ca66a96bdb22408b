//! From cosines to chances: Platt's method on held-out pairs.

use crate::encoder::Calibration;
use crate::vectors::Vectors;

/// Newton steps; the loss is convex in two unknowns.
const STEPS: usize = 50;
/// Pulls the two unknowns weakly towards 0, so that pairs which can be told apart entirely do not
/// send them to infinity.
const RIDGE: f64 = 1e-3;

/// Fits the chance that a picture and a text at a cosine belong together, on the held-out pairs
/// (row i of both belong together) against as many mismatched ones: a chance of 0.5 means that
/// this cosine is as usual among partners as among strangers.
///
/// `None` when there are fewer than 10 pairs.
pub(super) fn fit(images: &Vectors, texts: &Vectors, groups: &[u32]) -> Option<Calibration> {
    let n = groups.len();
    if n < 10 {
        return None;
    }
    let cosine = |i: usize, j: usize| -> f64 {
        let products = images.row(i).iter().zip(texts.row(j)).map(|(a, b)| f64::from(a * b));
        products.sum()
    };
    let matched: Vec<f64> = (0..n).map(|i| cosine(i, i)).collect();
    // Strangers at every distance in the list, the same number a pair.
    let strides = [1, 2, 3, 5, 8];
    let pairs = strides.iter().flat_map(|&stride| (0..n).map(move |i| (i, (i + stride) % n)));
    let strangers: Vec<f64> =
        pairs.filter(|&(i, j)| groups[i] != groups[j]).map(|(i, j)| cosine(i, j)).collect();
    if strangers.is_empty() {
        return None;
    }
    let weight = matched.len() as f64 / strangers.len() as f64;
    let samples: Vec<(f64, f64, f64)> = matched
        .iter()
        .map(|&x| (x, 1.0, 1.0))
        .chain(strangers.iter().map(|&x| (x, 0.0, weight)))
        .collect();
    let (scale, offset) = logistic(&samples);
    (scale > 0.0).then_some(Calibration { scale: scale as f32, offset: offset as f32 })
}

/// Weighted logistic regression of `(x, target, weight)` by Newton's method: slope, intercept.
fn logistic(samples: &[(f64, f64, f64)]) -> (f64, f64) {
    let (mut slope, mut intercept) = (1.0, 0.0);
    for _ in 0..STEPS {
        let (mut g, mut h) = ([RIDGE * slope, RIDGE * intercept], [RIDGE, 0.0, RIDGE]);
        for &(x, target, weight) in samples {
            let p = 1.0 / (1.0 + f64::exp(-(slope * x + intercept)));
            let (error, bend) = (weight * (p - target), weight * p * (1.0 - p));
            g[0] += error * x;
            g[1] += error;
            h[0] += bend * x * x;
            h[1] += bend * x;
            h[2] += bend;
        }
        let determinant = h[0] * h[2] - h[1] * h[1];
        // Half steps near a cliff: Newton may overshoot where the curve is flat.
        let bound = |step: f64| step.clamp(-10.0, 10.0);
        slope -= bound((h[2] * g[0] - h[1] * g[1]) / determinant);
        intercept -= bound((h[0] * g[1] - h[1] * g[0]) / determinant);
    }
    (slope, intercept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logistic_curve_is_found_again() {
        // Counts drawn from the curve itself: target = p(x), which is where the fit must end.
        let curve = |x: f64| 1.0 / (1.0 + f64::exp(-(6.0 * x - 2.0)));
        let xs = (0..2001).map(|i| f64::from(i) / 1000.0 - 1.0);
        let samples: Vec<_> = xs.map(|x| (x, curve(x), 1.0)).collect();
        let (slope, intercept) = logistic(&samples);
        assert!(
            (slope - 6.0).abs() < 0.01 && (intercept + 2.0).abs() < 0.01,
            "{slope} {intercept}"
        );
    }

    #[test]
    fn partners_are_likelier_than_strangers() {
        let n = 40;
        // Pictures on a circle, each text a little further round than its picture.
        let on_circle = |angle: f32| [angle.cos(), angle.sin()];
        let rows = |shift: f32| {
            let values = (0..n).flat_map(|i| on_circle(i as f32 * 0.157 + shift)).collect();
            Vectors::normalised(2, values).unwrap()
        };
        let groups: Vec<u32> = (0..n as u32).collect();
        let calibration = fit(&rows(0.0), &rows(0.05), &groups).unwrap();
        assert!(calibration.probability(0.999) > 0.5);
        assert!(calibration.probability(0.0) < 0.1);
        assert!(fit(&rows(0.0), &rows(0.0), &groups[..5]).is_none());
    }
}
