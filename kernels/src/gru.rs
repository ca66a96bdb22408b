//! A gated recurrent unit over whole sequences, with the formulas and gate order of PyTorch:
//!
//! ```text
//! r  = sigmoid(x_r + h W_r + b_r)
//! z  = sigmoid(x_z + h W_z + b_z)
//! n  = tanh(x_n + r * (h W_n + b_n))
//! h' = (1 - z) * n + z * h
//! ```
//!
//! `x` is the input times its own weights, which the caller computes in one product for all steps.
//! What is left is a chain of small products, one a step, and the cost of handing each to several
//! threads would be as large as the product. So the sequences are dealt to threads instead, and a
//! thread goes through all steps of its team without waiting for anyone. Within a team longer
//! sequences come first: those still running at a step are its first rows, and no time goes into
//! padding.
//!
//! The backward pass keeps nothing of the forward pass but its result: the states before all steps
//! are known, so one large product gives the gates again, faster than reading them from memory
//! would have been worth writing them.

use crate::activate::{sigmoid, tanh};
use crate::matmul::{View, Workers, Write, product, transpose};
use crate::parallel::threads;
use crate::simd::multiversion;
use rayon::prelude::*;
use std::ops::Range;

/// The order in which a sequence is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the first step.
    Forward,
    /// From the last valid step.
    Backward,
}

/// The sizes of a recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GruShape {
    /// Sequences.
    pub n: usize,
    /// Steps of each sequence, padding included.
    pub len: usize,
    /// Values of a state.
    pub hidden: usize,
    /// The order of reading.
    pub direction: Direction,
}

/// The gradients of a recurrent layer.
#[derive(Clone, Debug, PartialEq)]
pub struct GruGradients {
    /// Of the inputs, `[n, len, 3 * hidden]`; 0 at padding.
    pub inputs: Vec<f32>,
    /// Of the recurrent weights, `[hidden, 3 * hidden]`.
    pub w_h: Vec<f32>,
    /// Of the recurrent offsets, `[3 * hidden]`.
    pub b_h: Vec<f32>,
}

/// What both passes read.
#[derive(Clone, Copy)]
struct Layer<'a> {
    shape: GruShape,
    inputs: &'a [f32],
    w_h: &'a [f32],
    b_h: &'a [f32],
}

/// Runs the layer from a state of zeros. `inputs` `[n, len, 3 * hidden]` are the inputs times their
/// weights plus offsets; `lengths` `[n]` say how many steps of each sequence are valid; `w_h`
/// `[hidden, 3 * hidden]` and `b_h` `[3 * hidden]` belong to the state. `out` `[n, len, hidden]`
/// becomes the state after each step, 0 at padding.
///
/// # Panics
/// When a length does not follow from the shape or exceeds `len`.
pub fn forward(
    shape: &GruShape,
    lengths: &[u32],
    inputs: &[f32],
    w_h: &[f32],
    b_h: &[f32],
    out: &mut [f32],
) {
    let layer = Layer { shape: *shape, inputs, w_h, b_h };
    layer.check(lengths, out);
    if out.is_empty() {
        return;
    }
    let teams = Team::deal(lengths);
    let outs = deal_rows(&teams, out, shape.len * shape.hidden);
    teams.par_iter().zip(outs).for_each(|(team, mut outs)| layer.run(team, &mut outs));
}

/// The gradients of [`forward`], from its result `out` and the result's gradient `dout`, both
/// `[n, len, hidden]`; `dout` at padding is not read.
///
/// # Panics
/// When a length does not follow from the shape or exceeds `len`.
pub fn backward(
    shape: &GruShape,
    lengths: &[u32],
    inputs: &[f32],
    w_h: &[f32],
    b_h: &[f32],
    out: &[f32],
    dout: &[f32],
) -> GruGradients {
    let layer = Layer { shape: *shape, inputs, w_h, b_h };
    layer.check(lengths, out);
    assert_eq!(out.len(), dout.len(), "values of the result and of its gradient");
    let mut total = GruGradients {
        inputs: vec![0.0; inputs.len()],
        w_h: vec![0.0; w_h.len()],
        b_h: vec![0.0; b_h.len()],
    };
    if out.is_empty() {
        return total;
    }
    let mut turned = vec![0.0; w_h.len()];
    transpose(w_h, shape.hidden, 3 * shape.hidden, &mut turned);
    let teams = Team::deal(lengths);
    let dinputs = deal_rows(&teams, &mut total.inputs, 3 * shape.len * shape.hidden);
    let parts: Vec<_> = teams
        .par_iter()
        .zip(dinputs)
        .map(|(team, mut dinputs)| layer.run_back(team, &turned, out, dout, &mut dinputs))
        .collect();
    for (w_h, b_h) in &parts {
        add(w_h, &mut total.w_h);
        add(b_h, &mut total.b_h);
    }
    total
}

/// Sequences that one task takes through all steps, the longest first.
struct Team {
    sequences: Vec<usize>,
    lengths: Vec<usize>,
}

impl Team {
    /// One team a thread, of about equal work: sorted by length, the sequences go round.
    fn deal(lengths: &[u32]) -> Vec<Self> {
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        order.sort_by_key(|&sequence| std::cmp::Reverse(lengths[sequence]));
        let count = threads().min(lengths.len());
        (0..count)
            .map(|first| {
                let sequences: Vec<usize> =
                    order.iter().copied().skip(first).step_by(count).collect();
                let lengths = sequences.iter().map(|&s| lengths[s] as usize).collect();
                Self { sequences, lengths }
            })
            .collect()
    }

    /// Steps of the longest sequence.
    fn steps(&self) -> usize {
        self.lengths[0]
    }

    /// How many sequences, the first ones, are still running at `step`.
    fn running(&self, step: usize) -> usize {
        self.lengths.partition_point(|&length| length > step)
    }

    /// The rows of each step when the running sequences of all steps are put below each other.
    fn rows_of_steps(&self) -> Vec<Range<usize>> {
        let mut end = 0;
        (0..self.steps())
            .map(|step| {
                let start = end;
                end += self.running(step);
                start..end
            })
            .collect()
    }
}

/// Cuts `values` into rows of `len`, one a sequence, and gives each team its own.
fn deal_rows<'a>(teams: &[Team], values: &'a mut [f32], len: usize) -> Vec<Vec<&'a mut [f32]>> {
    let mut rows: Vec<&mut [f32]> = values.chunks_exact_mut(len).collect();
    let mut take = |&sequence: &usize| std::mem::take(&mut rows[sequence]);
    teams.iter().map(|team| team.sequences.iter().map(&mut take).collect()).collect()
}

fn add(terms: &[f32], totals: &mut [f32]) {
    for (total, &term) in totals.iter_mut().zip(terms) {
        *total += term;
    }
}

impl Layer<'_> {
    fn check(&self, lengths: &[u32], out: &[f32]) {
        let GruShape { n, len, hidden, .. } = self.shape;
        assert_eq!(lengths.len(), n, "lengths of {:?}", self.shape);
        assert_eq!(self.inputs.len(), n * len * 3 * hidden, "inputs of {:?}", self.shape);
        assert_eq!(self.w_h.len(), hidden * 3 * hidden, "weights of {:?}", self.shape);
        assert_eq!(self.b_h.len(), 3 * hidden, "offsets of {:?}", self.shape);
        assert_eq!(out.len(), n * len * hidden, "states of {:?}", self.shape);
        if let Some(longest) = lengths.iter().max() {
            assert!(*longest as usize <= len, "a sequence has {longest} of {len} steps");
        }
    }

    /// Where a sequence of `length` steps is read at `step`.
    fn position(&self, length: usize, step: usize) -> usize {
        match self.shape.direction {
            Direction::Forward => step,
            Direction::Backward => length - 1 - step,
        }
    }

    /// The place of one step of one sequence in a matrix `[n, len, size]`.
    fn place(&self, team: &Team, row: usize, step: usize, size: usize) -> Range<usize> {
        let position = self.position(team.lengths[row], step);
        let start = (team.sequences[row] * self.shape.len + position) * size;
        start..start + size
    }

    /// Takes a team through all steps; `outs` are its rows `[len, hidden]` of the result.
    fn run(&self, team: &Team, outs: &mut [&mut [f32]]) {
        let hidden = self.shape.hidden;
        let w_h = View::new(self.w_h, hidden, 3 * hidden);
        let mut states = vec![0.0; outs.len() * hidden];
        let mut products = vec![0.0; outs.len() * 3 * hidden];
        for step in 0..team.steps() {
            let running = team.running(step);
            let products = &mut products[..running * 3 * hidden];
            let before = View::new(&states[..running * hidden], running, hidden);
            product(before, w_h, products, Write::Overwrite, Workers::One);
            for row in 0..running {
                let input = &self.inputs[self.place(team, row, step, 3 * hidden)];
                let state = &mut states[row * hidden..][..hidden];
                step_forward(input, &products[row * 3 * hidden..][..3 * hidden], self.b_h, state);
                let position = self.position(team.lengths[row], step);
                outs[row][position * hidden..][..hidden].copy_from_slice(state);
            }
        }
        for (out, &length) in outs.iter_mut().zip(&team.lengths) {
            out[length * hidden..].fill(0.0);
        }
    }

    /// Takes a team back through all steps and returns its part of the gradients of weights and
    /// offsets; `turned` is the transpose of the weights, `dinputs` the team's rows
    /// `[len, 3 * hidden]` of the gradient of the inputs, which start as zeros.
    fn run_back(
        &self,
        team: &Team,
        turned: &[f32],
        out: &[f32],
        dout: &[f32],
        dinputs: &mut [&mut [f32]],
    ) -> (Vec<f32>, Vec<f32>) {
        let hidden = self.shape.hidden;
        let steps = team.rows_of_steps();
        let before = self.states_before(team, &steps, out);
        let mut products = self.products(&before);
        let turned = View::new(turned, 3 * hidden, hidden);
        let mut carried = vec![0.0; dinputs.len() * hidden];
        for (step, rows) in steps.iter().enumerate().rev() {
            for (row, at) in rows.clone().enumerate() {
                let position = self.position(team.lengths[row], step);
                step_backward(
                    &self.inputs[self.place(team, row, step, 3 * hidden)],
                    &mut products[at * 3 * hidden..][..3 * hidden],
                    self.b_h,
                    &before[at * hidden..][..hidden],
                    &dout[self.place(team, row, step, hidden)],
                    &mut carried[row * hidden..][..hidden],
                    &mut dinputs[row][position * 3 * hidden..][..3 * hidden],
                );
            }
            let gradients = &products[rows.start * 3 * hidden..rows.end * 3 * hidden];
            let gradients = View::new(gradients, rows.len(), 3 * hidden);
            let carried = &mut carried[..rows.len() * hidden];
            product(gradients, turned, carried, Write::Accumulate, Workers::One);
        }
        self.sum_gradients(&before, &products)
    }

    /// The state before each step of each running sequence, `[rows, hidden]`.
    fn states_before(&self, team: &Team, steps: &[Range<usize>], out: &[f32]) -> Vec<f32> {
        let hidden = self.shape.hidden;
        let mut before = Vec::with_capacity(steps.last().map_or(0, |rows| rows.end) * hidden);
        for (step, rows) in steps.iter().enumerate() {
            for row in 0..rows.len() {
                match step.checked_sub(1) {
                    None => before.resize(before.len() + hidden, 0.0),
                    Some(last) => {
                        before.extend_from_slice(&out[self.place(team, row, last, hidden)]);
                    }
                }
            }
        }
        before
    }

    /// `states W`, `[rows, 3 * hidden]`.
    fn products(&self, states: &[f32]) -> Vec<f32> {
        let hidden = self.shape.hidden;
        let rows = states.len() / hidden;
        let mut products = vec![0.0; rows * 3 * hidden];
        let (states, w_h) =
            (View::new(states, rows, hidden), View::new(self.w_h, hidden, 3 * hidden));
        product(states, w_h, &mut products, Write::Overwrite, Workers::One);
        products
    }

    /// The gradients of weights and offsets, from the states `[rows, hidden]` and the gradients of
    /// their products `[rows, 3 * hidden]`.
    fn sum_gradients(&self, before: &[f32], gradients: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let hidden = self.shape.hidden;
        let rows = before.len() / hidden;
        let (mut dw, mut db) = (vec![0.0; self.w_h.len()], vec![0.0; self.b_h.len()]);
        let states = View::new(before, rows, hidden).transposed();
        let products = View::new(gradients, rows, 3 * hidden);
        product(states, products, &mut dw, Write::Overwrite, Workers::One);
        for row in gradients.chunks_exact(3 * hidden) {
            add(row, &mut db);
        }
        (dw, db)
    }
}

/// The parts of a row `[3 * hidden]` that belong to the gates r, z and n.
#[inline(always)]
fn gates(row: &[f32], hidden: usize) -> [&[f32]; 3] {
    [&row[..hidden], &row[hidden..2 * hidden], &row[2 * hidden..3 * hidden]]
}

/// Like [`gates`], to write to.
#[inline(always)]
fn gates_mut(row: &mut [f32], hidden: usize) -> [&mut [f32]; 3] {
    let (r, rest) = row.split_at_mut(hidden);
    let (z, n) = rest.split_at_mut(hidden);
    [r, z, &mut n[..hidden]]
}

multiversion! {
    /// One step of one sequence: `product` is `state W`, `state` becomes the next one.
    fn step_forward(input: &[f32], product: &[f32], b_h: &[f32], state: &mut [f32]) {
        let hidden = state.len();
        let ([x_r, x_z, x_n], [h_r, h_z, h_n], [b_r, b_z, b_n]) =
            (gates(input, hidden), gates(product, hidden), gates(b_h, hidden));
        for i in 0..hidden {
            let r = sigmoid(x_r[i] + h_r[i] + b_r[i]);
            let z = sigmoid(x_z[i] + h_z[i] + b_z[i]);
            let n = tanh(x_n[i] + r * (h_n[i] + b_n[i]));
            state[i] = (1.0 - z) * n + z * state[i];
        }
    }
}

multiversion! {
    /// Back through one step of one sequence. `product` is `state W` and becomes its gradient;
    /// `carried` is what later steps send to the state after this one, and becomes the part of it
    /// that reaches the state before without passing through `W`.
    fn step_backward(
        input: &[f32],
        product: &mut [f32],
        b_h: &[f32],
        state: &[f32],
        dout: &[f32],
        carried: &mut [f32],
        dinput: &mut [f32],
    ) {
        let hidden = state.len();
        let (dout, carried) = (&dout[..hidden], &mut carried[..hidden]);
        let ([x_r, x_z, x_n], [b_r, b_z, b_n]) = (gates(input, hidden), gates(b_h, hidden));
        let [h_r, h_z, h_n] = gates_mut(product, hidden);
        let [dx_r, dx_z, dx_n] = gates_mut(dinput, hidden);
        for i in 0..hidden {
            let r = sigmoid(x_r[i] + h_r[i] + b_r[i]);
            let z = sigmoid(x_z[i] + h_z[i] + b_z[i]);
            let from_state = h_n[i] + b_n[i];
            let n = tanh(x_n[i] + r * from_state);
            let dstate = carried[i] + dout[i];
            let dn = dstate * (1.0 - z) * (1.0 - n * n);
            let dz = dstate * (state[i] - n) * z * (1.0 - z);
            let dr = dn * from_state * r * (1.0 - r);
            (dx_r[i], dx_z[i], dx_n[i]) = (dr, dz, dn);
            (h_r[i], h_z[i], h_n[i]) = (dr, dz, dn * r);
            carried[i] = dstate * z;
        }
    }
}

#[cfg(test)]
mod tests;
