use super::*;
use crate::testing::{Sum, assert_close, in_pool, in_pools, random};

/// A layer in f64, written step by step from the formulas.
#[derive(Clone)]
struct Oracle {
    shape: GruShape,
    lengths: Vec<u32>,
    x: Vec<f64>,
    input: Vec<f64>,
    input_bias: Vec<f64>,
    hidden: Vec<f64>,
    hidden_bias: Vec<f64>,
}

impl Oracle {
    fn out(&self) -> Vec<f64> {
        let GruShape { n, len, inputs, hidden, .. } = self.shape;
        let mut out = vec![0.0; n * len * hidden];
        for sequence in 0..n {
            let mut steps: Vec<usize> = (0..self.lengths[sequence] as usize).collect();
            if self.shape.direction == Direction::Backward {
                steps.reverse();
            }
            let mut state = vec![0.0; hidden];
            for step in steps {
                let at = sequence * len + step;
                state = self.next(&self.x[at * inputs..][..inputs], &state);
                out[at * hidden..][..hidden].copy_from_slice(&state);
            }
        }
        out
    }

    fn next(&self, x: &[f64], state: &[f64]) -> Vec<f64> {
        let hidden = state.len();
        let affine = |values: &[f64], weights: &[f64], bias: &[f64], column: usize| {
            let terms = values.iter().enumerate();
            terms.map(|(i, value)| value * weights[i * 3 * hidden + column]).sum::<f64>()
                + bias[column]
        };
        let of_x = |column| affine(x, &self.input, &self.input_bias, column);
        let of_state = |column| affine(state, &self.hidden, &self.hidden_bias, column);
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        (0..hidden)
            .map(|i| {
                let r = sigmoid(of_x(i) + of_state(i));
                let z = sigmoid(of_x(hidden + i) + of_state(hidden + i));
                let n = (of_x(2 * hidden + i) + r * of_state(2 * hidden + i)).tanh();
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

/// A layer with random numbers in it.
struct Case {
    shape: GruShape,
    lengths: Vec<u32>,
    x: Vec<f32>,
    parameters: [Vec<f32>; 4],
    dout: Vec<f32>,
}

impl Case {
    fn new(lengths: &[u32], len: usize, inputs: usize, hidden: usize, d: Direction) -> Self {
        let shape = GruShape { n: lengths.len(), len, inputs, hidden, direction: d };
        let sizes = [inputs * 3 * hidden, 3 * hidden, hidden * 3 * hidden, 3 * hidden];
        Self {
            shape,
            lengths: lengths.to_vec(),
            x: random(shape.n * len * inputs, 1),
            parameters: std::array::from_fn(|i| random(sizes[i], 2 + i as u64)),
            dout: random(shape.n * len * hidden, 9),
        }
    }

    fn weights(&self) -> GruWeights<'_> {
        let [input, input_bias, hidden, hidden_bias] = &self.parameters;
        GruWeights { input, input_bias, hidden, hidden_bias }
    }

    fn oracle(&self) -> Oracle {
        let [input, input_bias, hidden, hidden_bias] =
            std::array::from_fn(|i| wide(&self.parameters[i]));
        let (shape, lengths, x) = (self.shape, self.lengths.clone(), wide(&self.x));
        Oracle { shape, lengths, x, input, input_bias, hidden, hidden_bias }
    }

    /// States of both forward passes, which must be the same bytes, and all gradients.
    fn run(&self) -> (Vec<f32>, GruGradients) {
        let layer = Layer::new(&self.shape, &self.lengths, &self.x, &self.weights());
        let mut out = vec![f32::NAN; self.dout.len()];
        layer.forward(&self.lengths, &self.x, &mut out);
        let mut again = vec![f32::NAN; out.len()];
        let kept = layer.forward_keeping(&self.lengths, &self.x, &mut again);
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&out), bits(&again));
        (out, backward(&self.shape, &self.weights(), kept, &self.dout))
    }
}

#[test]
fn states_and_gradients_agree_with_f64_in_both_directions() {
    for (lengths, len, inputs, hidden) in [
        (vec![1], 1, 1, 1),
        (vec![3, 0, 2], 3, 5, 2),
        (vec![5, 1, 4, 5, 2], 5, 2, 3),
        (vec![2, 2], 4, 3, 13),
        (vec![0, 0], 3, 1, 5),
        (vec![1, 7, 3, 6, 2, 5, 4], 7, 7, 5),
        (vec![2; 21], 2, 2, 7),
        (vec![1, 2], 2, 0, 3),
    ] {
        for direction in [Direction::Forward, Direction::Backward] {
            let case = Case::new(&lengths, len, inputs, hidden, direction);
            let mut oracle = case.oracle();
            let near = |value: f64| Sum { value, bound: 2e-6 };
            let expected: Vec<Sum> = oracle.out().into_iter().map(near).collect();
            let slopes = [
                oracle.slopes(&case.dout, |o| &mut o.x),
                oracle.slopes(&case.dout, |o| &mut o.input),
                oracle.slopes(&case.dout, |o| &mut o.input_bias),
                oracle.slopes(&case.dout, |o| &mut o.hidden),
                oracle.slopes(&case.dout, |o| &mut o.hidden_bias),
            ];
            in_pools(|| {
                let (out, found) = case.run();
                assert_close(&out, &expected);
                assert_close(&found.x, &slopes[0]);
                assert_close(&found.input, &slopes[1]);
                assert_close(&found.input_bias, &slopes[2]);
                assert_close(&found.hidden, &slopes[3]);
                assert_close(&found.hidden_bias, &slopes[4]);
            });
        }
    }
}

#[test]
fn a_layer_of_many_panels_and_chunks_agrees_with_f64() {
    agrees_at_some_places(23, 37);
    agrees_at_some_places(93, 37);
    // More columns than a task has.
    agrees_at_some_places(5, 270);
}

/// More rows than a chunk or more states than a panel; few values are compared by slopes.
fn agrees_at_some_places(sequences: u32, hidden: usize) {
    let lengths: Vec<u32> = (0..sequences).map(|i| i % 12).collect();
    let mut case = Case::new(&lengths, 11, 3, hidden, Direction::Backward);
    for value in case.parameters.iter_mut().flatten() {
        *value *= 1.2 / (hidden as f32).sqrt();
    }
    let expected: Vec<Sum> =
        case.oracle().out().into_iter().map(|value| Sum { value, bound: 2e-6 }).collect();
    let loss = |oracle: &Oracle| -> f64 {
        oracle.out().iter().zip(&case.dout).map(|(out, &dout)| out * f64::from(dout)).sum()
    };
    let slope = |change: &dyn Fn(&mut Oracle, f64)| {
        let (mut above, mut below) = (case.oracle(), case.oracle());
        change(&mut above, 1e-5);
        change(&mut below, -1e-5);
        (loss(&above) - loss(&below)) / 2e-5
    };
    let row = 3 * hidden;
    let last_rows = row * (hidden - 3);
    let places =
        [0, hidden - 1, hidden, 2 * hidden - 1, 2 * hidden, row - 1, 2 * row - 2, 3 * row - 1];
    let input = places.map(|at| slope(&|o, step| o.input[at] += step));
    let states = places.map(|at| slope(&|o, step| o.hidden[at + last_rows] += step));
    in_pools(|| {
        let (out, found) = case.run();
        assert_close(&out, &expected);
        for (at, (input, state)) in places.iter().zip(input.iter().zip(states)) {
            // Sums of 120 to 500 terms of size 1.
            let near = |found: f32, value: f64| (f64::from(found) - value).abs() < 3e-5;
            assert!(near(found.input[*at], *input), "input {at}: {}, {input}", found.input[*at]);
            let found = found.hidden[at + last_rows];
            assert!(near(found, state), "hidden {at}: {found}, {state}");
        }
    });
}

#[test]
fn what_stands_at_padding_changes_nothing() {
    let run = |padding: f32| {
        let mut case = Case::new(&[1, 3], 3, 2, 2, Direction::Backward);
        case.x[2..6].fill(padding);
        case.dout[2..6].fill(padding);
        case.run()
    };
    assert_eq!(run(0.0), run(f32::NAN));
}

#[test]
fn the_same_threads_give_the_same_bytes() {
    let case = Case::new(&[6, 5, 1, 2, 6, 3, 4, 0, 2], 6, 5, 11, Direction::Forward);
    for threads in 1..=16 {
        let run = || case.run();
        assert_eq!(in_pool(threads, run), in_pool(threads, run));
    }
}

#[test]
fn values_that_are_not_numbers_stay_in_their_sequence() {
    let mut case = Case::new(&[2, 2, 2], 2, 3, 1, Direction::Forward);
    case.x[0] = f32::NAN;
    case.x[13] = f32::INFINITY;
    let (out, gradients) = case.run();
    assert!(out[0].is_nan() && out[1].is_nan(), "{out:?}");
    assert!(out[2].is_finite() && out[3].is_finite(), "{out:?}");
    assert!(gradients.x[..6].iter().all(|dx| dx.is_nan()), "{gradients:?}");
    assert!(gradients.x[6..12].iter().all(|dx| dx.is_finite()), "{gradients:?}");
    assert!(gradients.hidden.iter().all(|dw| dw.is_nan()), "{gradients:?}");
}

#[test]
fn the_maximum_over_steps_sees_no_padding() {
    let x = [1.0, -5.0, 3.0, -7.0, 9.0, 9.0, -2.0, -3.0, 8.0, 8.0, 8.0, 8.0];
    for lengths in [[2, 1], [0, 3]] {
        let (mut y, mut dx) = ([f32::NAN; 4], [f32::NAN; 12]);
        max_over_steps(3, 2, &lengths, &x, &mut y);
        max_over_steps_backward(3, 2, &lengths, &x, &[1.0, 2.0, 3.0, 4.0], &mut dx);
        let mut expected = [0.0; 12];
        if lengths[0] == 2 {
            assert_close(&y, &[3.0, -5.0, -2.0, -3.0].map(Sum::exact));
            (expected[2], expected[1], expected[6], expected[7]) = (1.0, 2.0, 3.0, 4.0);
        } else {
            assert_close(&y, &[0.0, 0.0, 8.0, 8.0].map(Sum::exact));
            (expected[8], expected[9]) = (3.0, 4.0);
        }
        assert_close(&dx, &expected.map(Sum::exact));
    }
}

#[test]
#[should_panic(expected = "a sequence has 4 of 3 steps")]
fn a_length_beyond_the_sequence_is_refused() {
    Case::new(&[4], 3, 1, 1, Direction::Forward).run();
}
