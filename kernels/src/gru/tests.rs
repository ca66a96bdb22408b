use super::*;
use crate::testing::{Sum, assert_close, in_pool, in_pools, random};

/// A layer in f64, written step by step from the formulas.
struct Oracle {
    shape: GruShape,
    lengths: Vec<u32>,
    inputs: Vec<f64>,
    w_h: Vec<f64>,
    b_h: Vec<f64>,
}

impl Oracle {
    fn out(&self) -> Vec<f64> {
        let GruShape { n, len, hidden, .. } = self.shape;
        let mut out = vec![0.0; n * len * hidden];
        for sequence in 0..n {
            let mut steps: Vec<usize> = (0..self.lengths[sequence] as usize).collect();
            if self.shape.direction == Direction::Backward {
                steps.reverse();
            }
            let mut state = vec![0.0; hidden];
            for step in steps {
                let at = sequence * len + step;
                state = self.next(&self.inputs[at * 3 * hidden..][..3 * hidden], &state);
                out[at * hidden..][..hidden].copy_from_slice(&state);
            }
        }
        out
    }

    fn next(&self, x: &[f64], state: &[f64]) -> Vec<f64> {
        let hidden = state.len();
        let from_state = |column: usize| {
            let terms = state.iter().enumerate();
            terms.map(|(i, h)| h * self.w_h[i * 3 * hidden + column]).sum::<f64>()
                + self.b_h[column]
        };
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        (0..hidden)
            .map(|i| {
                let r = sigmoid(x[i] + from_state(i));
                let z = sigmoid(x[hidden + i] + from_state(hidden + i));
                let n = (x[2 * hidden + i] + r * from_state(2 * hidden + i)).tanh();
                (1.0 - z) * n + z * state[i]
            })
            .collect()
    }

    /// The slope of `sum(dout * out)` by central differences, for each value of a field.
    fn slopes(&mut self, dout: &[f32], field: impl Fn(&mut Self) -> &mut Vec<f64>) -> Vec<Sum> {
        let loss = |oracle: &Self| -> f64 {
            oracle.out().iter().zip(dout).map(|(out, &dout)| out * f64::from(dout)).sum()
        };
        let step = 1e-5;
        (0..field(self).len())
            .map(|at| {
                field(self)[at] += step;
                let above = loss(self);
                field(self)[at] -= 2.0 * step;
                let below = loss(self);
                field(self)[at] += step;
                Sum { value: (above - below) / (2.0 * step), bound: 5e-6 }
            })
            .collect()
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

#[test]
fn states_and_gradients_agree_with_f64_in_both_directions() {
    for (lengths, len, hidden) in [
        (vec![1], 1, 1),
        (vec![3, 0, 2], 3, 2),
        (vec![5, 1, 4, 5, 2], 5, 3),
        (vec![2, 2], 4, 13),
        (vec![0, 0], 3, 5),
        (vec![1, 7, 3, 6, 2, 5, 4], 7, 5),
    ] {
        for direction in [Direction::Forward, Direction::Backward] {
            let shape = GruShape { n: lengths.len(), len, hidden, direction };
            let states = shape.n * len * hidden;
            let (inputs, dout) = (random(3 * states, 1), random(states, 4));
            let (w_h, b_h) = (random(3 * hidden * hidden, 2), random(3 * hidden, 3));
            let mut oracle = Oracle {
                shape,
                lengths: lengths.clone(),
                inputs: wide(&inputs),
                w_h: wide(&w_h),
                b_h: wide(&b_h),
            };
            let near = |value: f64| Sum { value, bound: 2e-6 };
            let expected: Vec<Sum> = oracle.out().into_iter().map(near).collect();
            let slopes = [
                oracle.slopes(&dout, |o| &mut o.inputs),
                oracle.slopes(&dout, |o| &mut o.w_h),
                oracle.slopes(&dout, |o| &mut o.b_h),
            ];
            in_pools(|| {
                let mut out = vec![f32::NAN; states];
                forward(&shape, &lengths, &inputs, &w_h, &b_h, &mut out);
                assert_close(&out, &expected);
                let found = backward(&shape, &lengths, &inputs, &w_h, &b_h, &out, &dout);
                assert_close(&found.inputs, &slopes[0]);
                assert_close(&found.w_h, &slopes[1]);
                assert_close(&found.b_h, &slopes[2]);
            });
        }
    }
}

#[test]
fn what_stands_at_padding_changes_nothing() {
    let shape = GruShape { n: 2, len: 3, hidden: 2, direction: Direction::Backward };
    let (w_h, b_h) = (random(12, 2), random(6, 3));
    let run = |padding: f32| {
        let (mut inputs, mut dout) = (random(36, 1), random(12, 4));
        inputs[6..18].fill(padding);
        dout[2..6].fill(padding);
        let mut out = vec![f32::NAN; 12];
        forward(&shape, &[1, 3], &inputs, &w_h, &b_h, &mut out);
        let gradients = backward(&shape, &[1, 3], &inputs, &w_h, &b_h, &out, &dout);
        (out, gradients)
    };
    assert_eq!(run(0.0), run(f32::NAN));
}

#[test]
fn the_same_threads_give_the_same_bytes() {
    let shape = GruShape { n: 9, len: 6, hidden: 11, direction: Direction::Forward };
    let lengths = [6, 5, 1, 2, 6, 3, 4, 0, 2];
    let (inputs, dout) = (random(9 * 6 * 33, 1), random(9 * 6 * 11, 4));
    let (w_h, b_h) = (random(11 * 33, 2), random(33, 3));
    let run = || {
        let mut out = vec![0.0; dout.len()];
        forward(&shape, &lengths, &inputs, &w_h, &b_h, &mut out);
        backward(&shape, &lengths, &inputs, &w_h, &b_h, &out, &dout)
    };
    for threads in [2, 5] {
        assert_eq!(in_pool(threads, run), in_pool(threads, run));
    }
}

#[test]
fn values_that_are_not_numbers_stay_in_their_sequence() {
    let shape = GruShape { n: 2, len: 2, hidden: 1, direction: Direction::Forward };
    let mut inputs = vec![0.5; 12];
    inputs[0] = f32::NAN;
    inputs[8] = f32::INFINITY;
    let mut out = vec![0.0; 4];
    forward(&shape, &[2, 2], &inputs, &[0.1; 3], &[0.0; 3], &mut out);
    assert!(out[0].is_nan() && out[1].is_nan(), "{out:?}");
    assert!(out[2].is_finite() && out[3].is_finite(), "{out:?}");
}

#[test]
#[should_panic(expected = "a sequence has 4 of 3 steps")]
fn a_length_beyond_the_sequence_is_refused() {
    let shape = GruShape { n: 1, len: 3, hidden: 1, direction: Direction::Forward };
    forward(&shape, &[4], &[0.0; 9], &[0.0; 3], &[0.0; 3], &mut [0.0; 3]);
}
