//! A gated recurrent unit (GRU) over whole sequences, with the formulas and gate order of PyTorch:
//!
//! ```text
//! r  = sigmoid(x W_r + h U_r + b_r)
//! z  = sigmoid(x W_z + h U_z + b_z)
//! n  = tanh(x W_n + b_n + r * (h U_n + c_n))
//! h' = (1 - z) * n + z * h
//! ```
//!
//! A layer is a chain of small products, one a step, and the cost of handing each to several
//! threads would be as large as the product. So the sequences are dealt to threads instead, and a
//! thread goes through all steps of its team without waiting for anyone. Within a team longer
//! sequences come first: those still running at a step are its first rows, and no time goes into
//! padding.
//!
//! The weights are packed once a pass: with the few dozen rows of a step, laying them out anew each
//! time would be much of the work. Four values a state are written side by side: `x W_n`, the sums
//! for r and z, `h U_n`. The gates take their place, and in the backward pass the gates' gradients
//! in the order n, r, z, r * n: the first three belong to the input's weights, the last three to
//! the state's.

use crate::cpu::buffers::Buffer;
use crate::cpu::exp::{sigmoid, tanh};
use crate::cpu::parallel::{in_pool, piece_len, pieces, threads};
use crate::cpu::simd::multiversion;
use crate::layers::pool;
use crate::product::{
    Block, Left, Panels, Write, multiply, pack, pack_part_on_all, pack_transposed, panel_width,
    panels_len,
};
use rayon::prelude::*;
use std::ops::Range;

/// Values of a panel of gradients that a task sums over at a time: half of the first cache.
const CHUNK_VALUES: usize = 4096;
/// Rows whose gradients of the inputs are taken at a time: their gates stay in the second cache.
const INPUT_ROWS: usize = 60;
/// Most columns of the weights whose gradients a task sums: for all but the first panel of them, the
/// states of a chunk of rows come from the second cache.
const WEIGHTS_COLUMNS: usize = 256;

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
    /// Values of an input.
    pub inputs: usize,
    /// Values of a state.
    pub hidden: usize,
    /// The order of reading.
    pub direction: Direction,
}

/// The parameters of a recurrent layer; each row holds the parts for r, z and n.
#[derive(Clone, Copy, Debug)]
pub struct GruWeights<'a> {
    /// `[inputs, 3 * hidden]`.
    pub input: &'a [f32],
    /// `[3 * hidden]`.
    pub input_bias: &'a [f32],
    /// `[hidden, 3 * hidden]`.
    pub hidden: &'a [f32],
    /// `[3 * hidden]`.
    pub hidden_bias: &'a [f32],
}

/// What [`backward`] needs of [`forward_keeping`]: for each step its inputs, the state before it
/// and its gates.
#[derive(Clone, Debug)]
pub struct GruTape {
    teams: Vec<TeamTape>,
}

#[derive(Clone, Debug)]
struct TeamTape {
    team: Team,
    // [rows, inputs], [rows, hidden], [rows, 4 * hidden]; rows as in `Team::rows_of_steps`.
    x: Vec<f32>,
    before: Buffer,
    gates: Buffer,
}

/// The gradients of a recurrent layer.
#[derive(Clone, Debug, PartialEq)]
pub struct GruGradients {
    /// Of the inputs, `[n, len, inputs]`; 0 at padding.
    pub x: Vec<f32>,
    /// Of the parameters, in the order and shapes of [`GruWeights`].
    pub input: Vec<f32>,
    /// `[3 * hidden]`.
    pub input_bias: Vec<f32>,
    /// `[hidden, 3 * hidden]`.
    pub hidden: Vec<f32>,
    /// `[3 * hidden]`.
    pub hidden_bias: Vec<f32>,
}

/// Runs the layer from a state of zeros over `x` `[n, len, inputs]`; `lengths` `[n]` say how many
/// steps of each sequence are valid. `out` `[n, len, hidden]` becomes the state after each step,
/// 0 at padding.
///
/// # Panics
/// When a length does not follow from the shape or exceeds `len`.
pub fn forward(
    shape: &GruShape,
    lengths: &[u32],
    x: &[f32],
    weights: &GruWeights,
    out: &mut [f32],
) {
    in_pool(|| Layer::new(shape, lengths, x, weights).forward(lengths, x, out));
}

/// Like [`forward`], and keeps what [`backward`] needs.
///
/// # Panics
/// When a length does not follow from the shape or exceeds `len`.
pub fn forward_keeping(
    shape: &GruShape,
    lengths: &[u32],
    x: &[f32],
    weights: &GruWeights,
    out: &mut [f32],
) -> GruTape {
    in_pool(|| Layer::new(shape, lengths, x, weights).forward_keeping(lengths, x, out))
}

/// The gradients of [`forward_keeping`], from the gradient `dout` `[n, len, hidden]` of its result;
/// `dout` at padding is not read.
///
/// # Panics
/// When a length does not follow from the shape, or `kept` is of another shape.
pub fn backward(
    shape: &GruShape,
    weights: &GruWeights,
    kept: GruTape,
    dout: &[f32],
) -> GruGradients {
    in_pool(|| backward_in_pool(shape, weights, kept, dout))
}

fn backward_in_pool(
    shape: &GruShape,
    weights: &GruWeights,
    mut kept: GruTape,
    dout: &[f32],
) -> GruGradients {
    let GruShape { n, len, inputs, hidden, .. } = *shape;
    check_weights(shape, weights);
    assert_eq!(dout.len(), n * len * hidden, "gradients of the states of {shape:?}");
    let mut dx = vec![0.0; n * len * inputs];
    let back = Back {
        shape: *shape,
        input: Packed::of_transpose(weights.input, 3 * hidden, inputs),
        hidden: Packed::of_transpose(weights.hidden, 3 * hidden, hidden),
        dout,
    };
    let rows = deal_rows(kept.teams.iter().map(|kept| &kept.team), &mut dx, len * inputs);
    kept.teams.par_iter_mut().zip(rows).for_each(|(kept, mut dx)| back.run(kept, &mut dx));
    sum_weights(shape, &kept, dx)
}

/// The largest value of each channel over the valid steps of each sequence: `x`
/// `[n, len, channels]`, `y` `[n, channels]`; 0 for a sequence without steps.
///
/// # Panics
/// When a length does not fit or exceeds `len`.
pub fn max_over_steps(len: usize, channels: usize, lengths: &[u32], x: &[f32], y: &mut [f32]) {
    check_steps(len, channels, lengths, x, y);
    let rows = y.par_chunks_mut(channels.max(1)).zip(x.par_chunks((len * channels).max(1)));
    rows.zip(lengths.par_iter()).for_each(|((y, x), &length)| match length as usize {
        0 => y.fill(0.0),
        length => pool::global_max_forward(1, length, channels, &x[..length * channels], y),
    });
}

/// The gradient of [`max_over_steps`]: each value of `dy` goes to the first maximum; `dx`
/// `[n, len, channels]` is overwritten.
///
/// # Panics
/// When a length does not fit or exceeds `len`.
pub fn max_over_steps_backward(
    len: usize,
    channels: usize,
    lengths: &[u32],
    x: &[f32],
    dy: &[f32],
    dx: &mut [f32],
) {
    check_steps(len, channels, lengths, x, dy);
    assert_eq!(x.len(), dx.len(), "values of the input and of its gradient");
    let sequence = (len * channels).max(1);
    let rows = dx.par_chunks_mut(sequence).zip(x.par_chunks(sequence));
    rows.zip(dy.par_chunks(channels.max(1)).zip(lengths.par_iter())).for_each(
        |((dx, x), (dy, &length))| {
            let (valid, padding) = dx.split_at_mut(length as usize * channels);
            padding.fill(0.0);
            if length > 0 {
                let x = &x[..length as usize * channels];
                pool::global_max_backward(1, length as usize, channels, x, dy, valid);
            }
        },
    );
}

fn check_steps(len: usize, channels: usize, lengths: &[u32], x: &[f32], y: &[f32]) {
    assert_eq!(x.len(), lengths.len() * len * channels, "values of {} sequences", lengths.len());
    assert_eq!(y.len(), lengths.len() * channels, "maxima of {} sequences", lengths.len());
    check_lengths(len, lengths);
}

fn check_lengths(len: usize, lengths: &[u32]) {
    if let Some(longest) = lengths.iter().max() {
        assert!(*longest as usize <= len, "a sequence has {longest} of {len} steps");
    }
}

/// Sequences that one task takes through all steps, the longest first.
#[derive(Clone, Debug)]
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

    /// Where the sequence of `row` is read at `step`.
    fn position(&self, direction: Direction, row: usize, step: usize) -> usize {
        match direction {
            Direction::Forward => step,
            Direction::Backward => self.lengths[row] - 1 - step,
        }
    }

    /// The values of `x` `[n, len, size]` in the order of the team's rows.
    fn gathered(&self, shape: &GruShape, x: &[f32], size: usize) -> Vec<f32> {
        let rows: usize = self.lengths.iter().sum();
        let mut gathered = Vec::with_capacity(rows * size);
        for step in 0..self.steps() {
            for row in 0..self.running(step) {
                let position = self.position(shape.direction, row, step);
                let start = (self.sequences[row] * shape.len + position) * size;
                gathered.extend_from_slice(&x[start..start + size]);
            }
        }
        gathered
    }
}

/// Cuts `values` into rows of `len`, one a sequence, and gives each team its own; empty ones when
/// there are no values.
fn deal_rows<'a, 't>(
    teams: impl Iterator<Item = &'t Team>,
    values: &'a mut [f32],
    len: usize,
) -> Vec<Vec<&'a mut [f32]>> {
    let mut rows: Vec<&mut [f32]> = values.chunks_exact_mut(len.max(1)).collect();
    let mut take =
        |&sequence: &usize| rows.get_mut(sequence).map(std::mem::take).unwrap_or_default();
    teams.map(|team| team.sequences.iter().map(&mut take).collect()).collect()
}

/// Weights in panels.
struct Packed {
    panels: Vec<f32>,
    depth: usize,
    columns: usize,
}

impl Packed {
    /// The columns of a matrix `[depth, per_row]` from `first` on.
    fn of_columns(
        values: &[f32],
        depth: usize,
        per_row: usize,
        first: usize,
        columns: usize,
    ) -> Self {
        let mut panels = vec![0.0; panels_len(depth, columns)];
        let values = &values[first.min(values.len())..];
        pack_part_on_all(values, depth, columns, per_row, &mut panels);
        Self { panels, depth, columns }
    }

    /// The transpose of a matrix `[columns, depth]`.
    fn of_transpose(values: &[f32], depth: usize, columns: usize) -> Self {
        let mut panels = vec![0.0; panels_len(depth, columns)];
        pack_transposed(&[values], depth, columns, &mut panels);
        Self { panels, depth, columns }
    }

    fn panels(&self) -> Panels<'_> {
        Panels::new(&self.panels, self.depth, self.columns)
    }
}

/// The part of a weight row, r, z or n, that makes each fourth of a row of gates: of the input's
/// weights and of the state's.
const SOURCES: [(Option<usize>, Option<usize>); 4] =
    [(Some(2), None), (Some(0), Some(0)), (Some(1), Some(1)), (None, Some(2))];

/// The layer, packed for the forward pass.
struct Layer {
    shape: GruShape,
    // The parts of the weights for r and z, and that for n.
    input: [Packed; 2],
    hidden: [Packed; 2],
    // What is added to each fourth of a row of gates.
    bias: Vec<f32>,
}

impl Layer {
    fn new(shape: &GruShape, lengths: &[u32], x: &[f32], weights: &GruWeights) -> Self {
        let GruShape { n, len, inputs, hidden, .. } = *shape;
        check_weights(shape, weights);
        assert_eq!(lengths.len(), n, "lengths of {shape:?}");
        assert_eq!(x.len(), n * len * inputs, "inputs of {shape:?}");
        check_lengths(len, lengths);
        let pack = |values: &[f32], depth: usize| {
            [(0, 2 * hidden), (2 * hidden, hidden)].map(|(first, columns)| {
                Packed::of_columns(values, depth, 3 * hidden, first, columns)
            })
        };
        let bias = SOURCES.iter().flat_map(|&(input, state)| {
            let part = |bias: &'_ [f32], part: Option<usize>, at: usize| {
                part.map_or(0.0, |part| bias[part * hidden + at])
            };
            (0..hidden).map(move |at| {
                part(weights.input_bias, input, at) + part(weights.hidden_bias, state, at)
            })
        });
        Self {
            shape: *shape,
            input: pack(weights.input, inputs),
            hidden: pack(weights.hidden, hidden),
            bias: bias.collect(),
        }
    }

    fn forward(&self, lengths: &[u32], x: &[f32], out: &mut [f32]) {
        self.check_out(out);
        if out.is_empty() {
            return;
        }
        let teams = Team::deal(lengths);
        let outs = deal_rows(teams.iter(), out, self.shape.len * self.shape.hidden);
        teams.par_iter().zip(outs).for_each(|(team, mut outs)| self.run(team, x, &mut outs));
    }

    fn forward_keeping(&self, lengths: &[u32], x: &[f32], out: &mut [f32]) -> GruTape {
        self.check_out(out);
        if out.is_empty() {
            return GruTape { teams: Vec::new() };
        }
        let teams = Team::deal(lengths);
        let outs = deal_rows(teams.iter(), out, self.shape.len * self.shape.hidden);
        let kept = teams
            .into_par_iter()
            .zip(outs)
            .map(|(team, mut outs)| self.run_keeping(team, x, &mut outs));
        GruTape { teams: kept.collect() }
    }

    fn check_out(&self, out: &[f32]) {
        let GruShape { n, len, hidden, .. } = self.shape;
        assert_eq!(out.len(), n * len * hidden, "states of {:?}", self.shape);
    }

    /// Takes a team through all steps; `outs` are its rows `[len, hidden]` of the result.
    fn run(&self, team: &Team, x: &[f32], outs: &mut [&mut [f32]]) {
        let hidden = self.shape.hidden;
        let x = team.gathered(&self.shape, x, self.shape.inputs);
        let mut states = vec![0.0; outs.len() * hidden];
        let mut gates = vec![0.0; outs.len() * 4 * hidden];
        for (step, rows) in team.rows_of_steps().into_iter().enumerate() {
            let gates = &mut gates[..rows.len() * 4 * hidden];
            self.step(team, step, &x[self.inputs_of(&rows)], &states, gates, outs);
            self.hand_on(team, step, outs, &mut states);
        }
        self.clear_padding(team, outs);
    }

    /// Like [`Layer::run`], and keeps everything.
    fn run_keeping(&self, team: Team, x: &[f32], outs: &mut [&mut [f32]]) -> TeamTape {
        let hidden = self.shape.hidden;
        let x = team.gathered(&self.shape, x, self.shape.inputs);
        let steps = team.rows_of_steps();
        let rows = steps.last().map_or(0, |rows| rows.end);
        let (mut before, mut gates) = (Buffer::new(rows * hidden), Buffer::new(rows * 4 * hidden));
        if let Some(first) = steps.first() {
            before[..first.len() * hidden].fill(0.0);
        }
        for (step, rows) in steps.iter().enumerate() {
            let (states, next) = before.split_at_mut(rows.end * hidden);
            let states = &states[rows.start * hidden..];
            let gates = &mut gates[rows.start * 4 * hidden..rows.end * 4 * hidden];
            self.step(&team, step, &x[self.inputs_of(rows)], states, gates, outs);
            self.hand_on(&team, step, outs, next);
        }
        self.clear_padding(&team, outs);
        TeamTape { team, x, before, gates }
    }

    fn inputs_of(&self, rows: &Range<usize>) -> Range<usize> {
        rows.start * self.shape.inputs..rows.end * self.shape.inputs
    }

    /// One step of the running sequences: `x` `[running, inputs]` and `states` give `gates`
    /// `[running, 4 * hidden]` and the next states in `outs`.
    fn step(
        &self,
        team: &Team,
        step: usize,
        x: &[f32],
        states: &[f32],
        gates: &mut [f32],
        outs: &mut [&mut [f32]],
    ) {
        let GruShape { inputs, hidden, direction, .. } = self.shape;
        let rows = gates.len() / (4 * hidden);
        let x = Left::rows(x, rows, inputs, inputs);
        let state = Left::rows(states, rows, hidden, hidden);
        let ([input_rz, input_n], [state_rz, state_n]) = (&self.input, &self.hidden);
        let products = [
            (&x, input_n, 0, Write::Overwrite),
            (&x, input_rz, 1, Write::Overwrite),
            (&state, state_rz, 1, Write::Accumulate),
            (&state, state_n, 3, Write::Overwrite),
        ];
        for (number, (left, right, fourth, write)) in products.into_iter().enumerate() {
            let (_, next, ..) = products[(number + 1) % products.len()];
            let panels = right.panels().then(Some(&next.panels));
            let (depths, columns) = (0..right.depth, 0..right.columns);
            let out = &mut gates[fourth * hidden..];
            let mut out = Block::new(out, rows, right.columns, 4 * hidden);
            multiply(left, &panels, depths, columns, &mut out, write);
        }
        for row in 0..rows {
            let position = team.position(direction, row, step);
            step_forward(
                &self.bias,
                &states[row * hidden..][..hidden],
                &mut gates[row * 4 * hidden..][..4 * hidden],
                &mut outs[row][position * hidden..][..hidden],
            );
        }
    }

    /// Copies the states after `step` of the sequences that go on into `next`.
    fn hand_on(&self, team: &Team, step: usize, outs: &[&mut [f32]], next: &mut [f32]) {
        let GruShape { hidden, direction, .. } = self.shape;
        for (row, next) in next.chunks_exact_mut(hidden).take(team.running(step + 1)).enumerate() {
            let position = team.position(direction, row, step);
            next.copy_from_slice(&outs[row][position * hidden..][..hidden]);
        }
    }

    fn clear_padding(&self, team: &Team, outs: &mut [&mut [f32]]) {
        for (out, &length) in outs.iter_mut().zip(&team.lengths) {
            out[length * self.shape.hidden..].fill(0.0);
        }
    }
}

fn check_weights(shape: &GruShape, weights: &GruWeights) {
    let gates = 3 * shape.hidden;
    assert_eq!(weights.input.len(), shape.inputs * gates, "input weights of {shape:?}");
    assert_eq!(weights.hidden.len(), shape.hidden * gates, "hidden weights of {shape:?}");
    assert_eq!(weights.input_bias.len(), gates, "input offsets of {shape:?}");
    assert_eq!(weights.hidden_bias.len(), gates, "hidden offsets of {shape:?}");
}

/// The layer, packed for the backward pass.
struct Back<'a> {
    shape: GruShape,
    // Transposed: [3 * hidden, inputs] and [3 * hidden, hidden], both in the order r, z, n.
    input: Packed,
    hidden: Packed,
    dout: &'a [f32],
}

impl Back<'_> {
    /// Takes a team back through all steps: its gates become their gradients. `dx` are the team's
    /// rows `[len, inputs]` of the gradient of the inputs.
    fn run(&self, kept: &mut TeamTape, dx: &mut [&mut [f32]]) {
        let GruShape { len, hidden, direction, .. } = self.shape;
        let TeamTape { team, before, gates, .. } = kept;
        let steps = team.rows_of_steps();
        let mut carried = vec![0.0; team.lengths.len() * hidden];
        for (step, rows) in steps.iter().enumerate().rev() {
            for (row, at) in rows.clone().enumerate() {
                let position = team.position(direction, row, step);
                let place = (team.sequences[row] * len + position) * hidden;
                step_backward(
                    &before[at * hidden..][..hidden],
                    &self.dout[place..place + hidden],
                    &mut gates[at * 4 * hidden..][..4 * hidden],
                    &mut carried[row * hidden..][..hidden],
                );
            }
            if step > 0 {
                // Those of r, z and r * n lie side by side.
                let (values, count) = (&gates[(rows.start * 4 + 1) * hidden..], rows.len());
                let left = Left::rows(values, count, 3 * hidden, 4 * hidden);
                let mut out = Block::new(&mut carried, count, hidden, hidden);
                let (depths, panels) = (0..3 * hidden, self.hidden.panels());
                multiply(&left, &panels, depths, 0..hidden, &mut out, Write::Accumulate);
            }
        }
        self.input_gradients(team, &steps, gates, dx);
    }

    fn input_gradients(
        &self,
        team: &Team,
        steps: &[Range<usize>],
        gates: &[f32],
        dx: &mut [&mut [f32]],
    ) {
        let GruShape { inputs, hidden, direction, .. } = self.shape;
        let rows = steps.last().map_or(0, |rows| rows.end);
        if inputs == 0 || rows == 0 {
            return;
        }
        let mut products = vec![0.0; rows * inputs];
        let mut out = Block::new(&mut products, rows, inputs, inputs);
        for rows in pieces(rows, INPUT_ROWS) {
            let mut out = out.part(rows.clone(), 0..inputs);
            let gates = &gates[rows.start * 4 * hidden..];
            // Of the gates n comes first, of the weights last.
            for (first, depths, write) in [
                (hidden, 0..2 * hidden, Write::Overwrite),
                (0, 2 * hidden..3 * hidden, Write::Accumulate),
            ] {
                let left = Left::rows(&gates[first..], rows.len(), depths.len(), 4 * hidden);
                multiply(&left, &self.input.panels(), depths, 0..inputs, &mut out, write);
            }
        }
        for (step, rows) in steps.iter().enumerate() {
            for (row, at) in rows.clone().enumerate() {
                let position = team.position(direction, row, step);
                let product = &products[at * inputs..][..inputs];
                dx[row][position * inputs..][..inputs].copy_from_slice(product);
            }
        }
    }
}

/// The sums over all rows for some columns of the gates' gradients.
struct ColumnSums {
    columns: Range<usize>,
    // [inputs, columns], [hidden, columns], [columns]
    input: Vec<f32>,
    hidden: Vec<f32>,
    bias: Vec<f32>,
}

/// The gradients of all parameters, when `kept` holds those of the gates.
fn sum_weights(shape: &GruShape, kept: &GruTape, x: Vec<f32>) -> GruGradients {
    let GruShape { inputs, hidden, .. } = *shape;
    let pieces_each = hidden.div_ceil(WEIGHTS_COLUMNS).max(threads());
    let width = piece_len(hidden, pieces_each, panel_width());
    // Those for r and z, which ask for the most work, first: a thread that begins with the second half
    // is done early and takes some of them.
    let parts: Vec<Range<usize>> = [1, 2, 3, 0]
        .into_iter()
        .flat_map(|part| pieces(hidden, width).map(move |columns| (part, columns)))
        .map(|(part, columns)| part * hidden + columns.start..part * hidden + columns.end)
        .collect();
    let sums: Vec<ColumnSums> = parts
        .into_par_iter()
        .with_max_len(1)
        .map(|columns| sum_columns(shape, kept, columns))
        .collect();
    let gates = 3 * hidden;
    let mut total = GruGradients {
        x,
        input: vec![0.0; inputs * gates],
        input_bias: vec![0.0; gates],
        hidden: vec![0.0; hidden * gates],
        hidden_bias: vec![0.0; gates],
    };
    for sums in &sums {
        let (input, state) = SOURCES[sums.columns.start / hidden];
        let place = |part: usize| part * hidden + sums.columns.start % hidden;
        if let Some(part) = input {
            put_columns(&sums.input, &mut total.input, gates, place(part), sums.columns.len());
            put_columns(&sums.bias, &mut total.input_bias, gates, place(part), sums.columns.len());
        }
        if let Some(part) = state {
            put_columns(&sums.hidden, &mut total.hidden, gates, place(part), sums.columns.len());
            put_columns(&sums.bias, &mut total.hidden_bias, gates, place(part), sums.columns.len());
        }
    }
    total
}

fn put_columns(from: &[f32], to: &mut [f32], per_row: usize, column: usize, count: usize) {
    for (to, from) in to.chunks_exact_mut(per_row).zip(from.chunks_exact(count)) {
        to[column..column + count].copy_from_slice(from);
    }
}

fn sum_columns(shape: &GruShape, kept: &GruTape, columns: Range<usize>) -> ColumnSums {
    let GruShape { inputs, hidden, .. } = *shape;
    let (of_input, of_state) = SOURCES[columns.start / hidden];
    let count = columns.len();
    let mut sums = ColumnSums {
        columns,
        input: vec![0.0; of_input.map_or(0, |_| inputs * count)],
        hidden: vec![0.0; of_state.map_or(0, |_| hidden * count)],
        bias: vec![0.0; count],
    };
    let chunk_rows = CHUNK_VALUES / panel_width();
    let mut packed = vec![0.0; panels_len(chunk_rows, count)];
    for kept in &kept.teams {
        for (chunk, gates) in kept.gates.chunks(chunk_rows * 4 * hidden).enumerate() {
            let (start, rows) = (chunk * chunk_rows, gates.len() / (4 * hidden));
            let packed = &mut packed[..panels_len(rows, count)];
            pack(&gates[sums.columns.start..], rows, count, 4 * hidden, packed);
            add_rows(packed, rows, &mut sums.bias);
            let panels = Panels::new(packed, rows, count);
            add_to(&kept.x[start * inputs..], rows, &panels, count, &mut sums.input);
            add_to(&kept.before[start * hidden..], rows, &panels, count, &mut sums.hidden);
        }
    }
    sums
}

/// Adds `rows` rows in panels to `sums` `[columns]`.
fn add_rows(panels: &[f32], rows: usize, sums: &mut [f32]) {
    let width = panel_width();
    for (panel, sums) in panels.chunks_exact(rows * width).zip(sums.chunks_mut(width)) {
        for row in panel.chunks_exact(width) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
}

/// `sums += values' panels`: `values` `[rows, size]`, `panels` `[rows, columns]`, `sums`
/// `[size, columns]` or empty.
fn add_to(values: &[f32], rows: usize, panels: &Panels, columns: usize, sums: &mut [f32]) {
    if !sums.is_empty() {
        let size = sums.len() / columns;
        let left = Left::rows(values, rows, size, size).transposed();
        let mut out = Block::new(sums, size, columns, columns);
        multiply(&left, panels, 0..rows, 0..columns, &mut out, Write::Accumulate);
    }
}

/// The fourths of a row of gates.
#[inline(always)]
fn fourths(row: &mut [f32], hidden: usize) -> [&mut [f32]; 4] {
    let (a, rest) = row.split_at_mut(hidden);
    let (b, rest) = rest.split_at_mut(hidden);
    let (c, d) = rest.split_at_mut(hidden);
    [a, b, c, &mut d[..hidden]]
}

multiversion! {
    /// One step of one sequence: `gates` holds `x W_n`, the sums of r and of z, and `h U_n`, and
    /// becomes n, r, z and `h U_n + c_n`; `next` becomes the next state.
    fn step_forward(bias: &[f32], state: &[f32], gates: &mut [f32], next: &mut [f32]) {
        let hidden = state.len();
        let next = &mut next[..hidden];
        let [g_n, g_r, g_z, g_h] = fourths(gates, hidden);
        let (b_n, b_r) = (&bias[..hidden], &bias[hidden..2 * hidden]);
        let (b_z, b_h) = (&bias[2 * hidden..3 * hidden], &bias[3 * hidden..4 * hidden]);
        for i in 0..hidden {
            let r = sigmoid(g_r[i] + b_r[i]);
            let z = sigmoid(g_z[i] + b_z[i]);
            let from_state = g_h[i] + b_h[i];
            let n = tanh((g_n[i] + b_n[i]) + r * from_state);
            (g_n[i], g_r[i], g_z[i], g_h[i]) = (n, r, z, from_state);
            next[i] = (1.0 - z) * n + z * state[i];
        }
    }
}

multiversion! {
    /// Back through one step of one sequence: the gates become their gradients. `carried` is what
    /// later steps send to the state after this one, and becomes the part of it that reaches the
    /// state before without passing through the weights.
    fn step_backward(state: &[f32], dout: &[f32], gates: &mut [f32], carried: &mut [f32]) {
        let hidden = state.len();
        let (dout, carried) = (&dout[..hidden], &mut carried[..hidden]);
        let [g_n, g_r, g_z, g_h] = fourths(gates, hidden);
        for i in 0..hidden {
            let (n, r, z, from_state) = (g_n[i], g_r[i], g_z[i], g_h[i]);
            let dstate = carried[i] + dout[i];
            let dn = dstate * (1.0 - z) * (1.0 - n * n);
            let dz = dstate * (state[i] - n) * z * (1.0 - z);
            let dr = dn * from_state * r * (1.0 - r);
            (g_n[i], g_r[i], g_z[i], g_h[i]) = (dn, dr, dz, dn * r);
            carried[i] = dstate * z;
        }
    }
}

#[cfg(test)]
mod tests;
