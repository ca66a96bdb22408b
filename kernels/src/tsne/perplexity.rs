//! How far each point of a t-SNE map looks: the width of its Gaussian, by its perplexity.

use crate::cpu::exp::exp;
use crate::cpu::simd::multiversion;

/// Squares that are summed together.
const LANES: usize = 8;
/// Newton steps and bisections at most; most rows need five.
const STEPS: usize = 64;
/// The entropy is met within this.
const TOLERANCE: f32 = 1e-5;

multiversion! {
    /// Turns the squared distances of one point to its neighbours into their conditional
    /// probabilities `p_j = exp(-b d_j^2) / sum exp(-b d^2)`, with the `b` for which their perplexity
    /// `exp(-sum p ln p)` is the given one (van der Maaten & Hinton 2008, section 2).
    ///
    /// The entropy falls as `b` grows, with the slope `-b var(d^2)`, so Newton's method finds it, kept
    /// between the bounds that it has met. Where all distances are equal, so are all probabilities.
    pub fn meet_perplexity(squares: &mut [f32], perplexity: f32) {
        let least = squares.iter().fold(f32::INFINITY, |least, &square| if square < least { square } else { least });
        for square in squares.iter_mut() {
            *square -= least;
        }
        let mean = squares.iter().sum::<f32>() / squares.len() as f32;
        let wanted = perplexity.ln();
        let (mut low, mut high, mut b) = (0.0f32, f32::INFINITY, 1.0 / if mean > 1e-30 { mean } else { 1e-30 });
        for _ in 0..STEPS {
            let [sum, first, second] = moments(squares, b);
            let mean = first / sum;
            let excess = sum.ln() + b * mean - wanted;
            if excess.abs() < TOLERANCE {
                break;
            }
            if excess > 0.0 { low = b } else { high = b }
            let variance = second / sum - mean * mean;
            let newton = b + excess / (b * variance);
            b = if newton > low && newton < high {
                newton
            } else if high == f32::INFINITY {
                if b < 1e36 { b * 2.0 } else { b }
            } else {
                0.5 * (low + high)
            };
        }
        let [sum, ..] = moments(squares, b);
        let scale = 1.0 / sum;
        for square in squares.iter_mut() {
            *square = exp(-b * *square) * scale;
        }
    }
}

/// The sums of `e`, `e d`, `e d^2` with `e = exp(-b d)`.
#[inline(always)]
fn moments(values: &[f32], b: f32) -> [f32; 3] {
    let mut lanes = [[0.0f32; LANES]; 3];
    let (groups, rest) = values.as_chunks::<LANES>();
    for group in groups {
        for lane in 0..LANES {
            let e = exp(-b * group[lane]);
            lanes[0][lane] += e;
            lanes[1][lane] += e * group[lane];
            lanes[2][lane] += e * group[lane] * group[lane];
        }
    }
    let mut sums = [0.0; 3];
    for (sum, lanes) in sums.iter_mut().zip(&lanes) {
        for lane in lanes {
            *sum += lane;
        }
    }
    for &value in rest {
        let e = exp(-b * value);
        sums = [sums[0] + e, sums[1] + e * value, sums[2] + e * value * value];
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;

    fn perplexity_of(probabilities: &[f32]) -> f64 {
        let entropy = |&p: &f32| if p > 0.0 { -f64::from(p) * f64::from(p).ln() } else { 0.0 };
        probabilities.iter().map(entropy).sum::<f64>().exp()
    }

    #[test]
    fn probabilities_sum_to_one_and_meet_the_perplexity() {
        for (count, wanted) in [(90, 30.0), (15, 5.0), (7, 2.0), (300, 99.0)] {
            for scale in [1e-9, 1.0, 1e12] {
                let mut row: Vec<f32> =
                    random(count, 5).iter().map(|x| (x + 2.0) * scale).collect();
                meet_perplexity(&mut row, wanted);
                let sum: f64 = row.iter().map(|&p| f64::from(p)).sum();
                assert!((sum - 1.0).abs() < 1e-5, "{sum}");
                let found = perplexity_of(&row);
                assert!((found / f64::from(wanted) - 1.0).abs() < 1e-3, "{found}, not {wanted}");
            }
        }
    }

    #[test]
    fn equal_distances_give_equal_probabilities() {
        for distance in [0.0, 3.0, 1e30] {
            let mut row = vec![distance; 12];
            meet_perplexity(&mut row, 4.0);
            assert!(row.iter().all(|p| (p - 1.0 / 12.0).abs() < 1e-6), "{row:?}");
        }
    }

    #[test]
    fn a_nearer_neighbour_is_never_less_probable() {
        let mut squares = random(50, 9);
        squares.sort_by(f32::total_cmp);
        meet_perplexity(&mut squares, 10.0);
        assert!(squares.is_sorted_by(|a, b| a >= b));
    }
}
