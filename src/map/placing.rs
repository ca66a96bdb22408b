//! New points on a finished map.

use looksee_kernels::search::nearest::{Candidates, Nearest, half_squares};
use looksee_kernels::tsne::perplexity::meet_perplexity;
use looksee_kernels::tsne::repulsion::FixedPoints;
use rayon::prelude::*;

use crate::error::{Error, ErrorKind, Result};
use crate::units::Stop;

/// Rows that are searched together.
const BLOCK: usize = 64;
/// Iterations of a new point.
const ITERATIONS: usize = 250;
/// What its affinities are multiplied by, which keeps it among its neighbours.
const EXAGGERATION: f32 = 1.5;
/// Learning rate.
const RATE: f32 = 0.1;
/// Share of the last step that is kept.
const MOMENTUM: f32 = 0.8;
/// No gradient is taken for longer than this.
const LONGEST: f32 = 0.25;

/// Where new rows `[q, dim]` lie on a map of `old` rows `[n, dim]` at `positions`, which do not move.
///
/// Each new row begins at the median of its neighbours and finds its place among them alone, as if no
/// other new row were there: placing one by one equals placing together. (Policar, Strazar & Zupan
/// 2021, whose openTSNE calls it `transform`; perplexity 5 is usual.)
///
/// Fails when rows are not whole or not finite, when the map is empty, and when a stop was asked for.
pub fn place(
    old: &[f32],
    dim: usize,
    positions: &[[f32; 2]],
    new: &[f32],
    perplexity: f32,
    stop: &Stop,
) -> Result<Vec<[f32; 2]>> {
    super::neighbours::check(old, dim)?;
    super::neighbours::check(new, dim)?;
    if positions.is_empty() || positions.len() != old.len() / dim {
        let message = format!("a map of {} points for {} rows", positions.len(), old.len() / dim);
        return Err(Error::new(ErrorKind::Mismatch, message));
    }
    let count = ((3.0 * perplexity).ceil() as usize).clamp(1, positions.len());
    let (halves, fixed) = (half_squares(old, dim), FixedPoints::new(positions));
    let candidates = Candidates { rows: old, halves: &halves, first: 0 };
    let blocks = new.par_chunks(BLOCK * dim).map(|block| {
        stop.check()?;
        let mut nearest = Nearest::new(dim, count);
        nearest.clear(block.len() / dim);
        nearest.meet(block, candidates);
        let rows = block.chunks_exact(dim).enumerate();
        Ok(rows
            .map(|(query, row)| {
                let mut neighbours = Held { numbers: vec![0; count], weights: vec![0.0; count] };
                nearest.take(query, row, old, &mut neighbours.numbers, &mut neighbours.weights);
                meet_perplexity(&mut neighbours.weights, perplexity.min(count as f32));
                neighbours.settle(positions, &fixed)
            })
            .collect::<Vec<_>>())
    });
    let placed: Vec<Vec<[f32; 2]>> = blocks.collect::<Result<_>>()?;
    Ok(placed.concat())
}

/// What holds a new point.
struct Held {
    numbers: Vec<u32>,
    weights: Vec<f32>,
}

impl Held {
    /// Where the point comes to rest.
    fn settle(&self, positions: &[[f32; 2]], fixed: &FixedPoints) -> [f32; 2] {
        let mut own = [0, 1].map(|axis| self.median(positions, axis));
        let (mut step, mut gain) = ([0.0f32; 2], [1.0f32; 2]);
        for _ in 0..ITERATIONS {
            let (push, sum) = fixed.push_at(own);
            let pull = self.pull(own, positions);
            let mut gradient = [0, 1].map(|axis| EXAGGERATION * pull[axis] - push[axis] / sum);
            let length = gradient[0].hypot(gradient[1]);
            if length > LONGEST {
                gradient = gradient.map(|x| x * (LONGEST / length));
            }
            for axis in 0..2 {
                let against = step[axis] * gradient[axis] > 0.0;
                gain[axis] = if against { gain[axis] * 0.8 + 0.01 } else { gain[axis] + 0.2 };
                step[axis] = MOMENTUM * step[axis] - RATE * gain[axis] * gradient[axis];
                own[axis] += step[axis];
            }
        }
        own
    }

    fn pull(&self, own: [f32; 2], positions: &[[f32; 2]]) -> [f32; 2] {
        let mut pull = [0.0; 2];
        for (&number, weight) in self.numbers.iter().zip(&self.weights) {
            let other = positions[number as usize];
            let [x, y] = [own[0] - other[0], own[1] - other[1]];
            let strength = weight / (1.0 + x * x + y * y);
            pull = [pull[0] + strength * x, pull[1] + strength * y];
        }
        pull
    }

    fn median(&self, positions: &[[f32; 2]], axis: usize) -> f32 {
        let mut values: Vec<f32> =
            self.numbers.iter().map(|&number| positions[number as usize][axis]).collect();
        let middle = values.len() / 2;
        *values.select_nth_unstable_by(middle, f32::total_cmp).1
    }
}

#[cfg(test)]
mod tests;
