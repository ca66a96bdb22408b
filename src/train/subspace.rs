//! The few directions in which rows differ most from nothing: principal components about the origin.
//!
//! Found by orthogonal iteration (Golub and Van Loan, Matrix Computations, section 8.2): the span is
//! multiplied by the matrix of second moments and made orthogonal again, until it turns no more.

use burn::tensor::Tensor;
use looksee_kernels::search::scan::dot;

use crate::encoder::parameters::{Mode, Parameters, Pass};
use crate::ops::values_of;
use crate::units::Seed;

/// Turns; pooled features have a spectrum that falls fast.
const TURNS: usize = 12;

/// `[width, count]`: orthonormal columns that span the directions in which `rows` (`[n, width]`) are
/// longest. With fewer than `count` such directions the others are any.
pub(super) fn principal(rows: Vec<f32>, width: usize, count: usize, seed: Seed) -> Vec<f32> {
    let n = rows.len() / width.max(1);
    let pass = Pass::new(Parameters::default().into(), Mode::Inference);
    let x: Tensor<2> = pass.tensor(rows, &[n, width]);
    let moments = x.clone().transpose().matmul(x); // [width, width]
    let mut rng = seed.stream("subspace", 0);
    // A direction a row.
    let mut span: Vec<f32> = (0..count * width).map(|_| rng.f32() - 0.5).collect();
    make_orthonormal(&mut span, width);
    for _ in 0..TURNS {
        let turned = pass.tensor::<2>(span, &[count, width]).matmul(moments.clone());
        span = values_of(turned);
        make_orthonormal(&mut span, width);
    }
    (0..width).flat_map(|column| span.iter().skip(column).step_by(width).copied()).collect()
}

/// Modified Gram and Schmidt, twice, as once is not enough where rows nearly agree.
fn make_orthonormal(rows: &mut [f32], width: usize) {
    for row in 0..rows.len() / width {
        let (before, rest) = rows.split_at_mut(row * width);
        let own = &mut rest[..width];
        for _ in 0..2 {
            for other in before.chunks_exact(width) {
                let along = dot(own, other);
                for (own, other) in own.iter_mut().zip(other) {
                    *own -= along * other;
                }
            }
            let length = dot(own, own).sqrt().max(f32::MIN_POSITIVE);
            for value in &mut *own {
                *value /= length;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_span_holds_the_long_directions() {
        // Long along (1, 1, 0, 0) and (0, 0, 1, 0), short elsewhere.
        let mut rng = Seed(1).stream("rows", 0);
        let mut random = || rng.f32() - 0.5;
        let rows: Vec<f32> = (0..200)
            .flat_map(|_| {
                let (a, b, c) = (10.0 * random(), 5.0 * random(), 0.01 * random());
                [a + c, a - c, b, c]
            })
            .collect();
        let span = principal(rows, 4, 2, Seed(0));
        let column = |k: usize| -> Vec<f32> { (0..4).map(|row| span[row * 2 + k]).collect() };
        let (first, second) = (column(0), column(1));
        assert!((dot(&first, &first) - 1.0).abs() < 1e-5 && dot(&first, &second).abs() < 1e-5);
        for wanted in [[0.5f32.sqrt(), 0.5f32.sqrt(), 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]] {
            let within = dot(&wanted, &first).powi(2) + dot(&wanted, &second).powi(2);
            assert!(within > 0.999, "{wanted:?}: {within}");
        }
    }
}
