//! Where the points of a map begin.

use rayon::prelude::*;

use crate::units::Seed;

/// Standard deviation of the first coordinate: so small that all points push each other alike, as
/// openTSNE and scikit-learn have it (Kobak & Berens 2019).
const SPREAD: f32 = 1e-4;
/// Rows that the principal directions are taken from, at most.
const SAMPLE: usize = 10_000;
/// Rounds of the power method.
const ROUNDS: usize = 60;

/// Independent normal coordinates.
pub fn random(points: usize, seed: Seed) -> Vec<[f32; 2]> {
    let mut chance = seed.stream("map start", 0);
    (0..points)
        .map(|_| {
            // Box & Muller 1958.
            let radius = (-2.0 * (1.0 - chance.f64()).ln()).sqrt();
            let angle = std::f64::consts::TAU * chance.f64();
            [angle.cos(), angle.sin()].map(|x| (f64::from(SPREAD) * radius * x) as f32)
        })
        .collect()
}

/// The two principal components of rows `[n, dim]` whose mean is 0, so scaled that the first has the
/// standard deviation 1e-4, with a hundredth of that added by chance, which parts equal rows.
///
/// The directions are those of at most 10,000 rows evenly among all, by the power method.
pub fn pca(rows: &[f32], dim: usize, seed: Seed) -> Vec<[f32; 2]> {
    let count = rows.len() / dim;
    let [first, second] = directions(rows, dim);
    let along = |row: &[f32], direction: &[f32]| -> f32 {
        row.iter().zip(direction).map(|(x, y)| x * y).sum()
    };
    let mut positions: Vec<[f32; 2]> =
        rows.par_chunks_exact(dim).map(|row| [along(row, &first), along(row, &second)]).collect();
    let square: f64 = positions.iter().map(|p| f64::from(p[0]) * f64::from(p[0])).sum();
    let deviation = (square / count.max(1) as f64).sqrt() as f32;
    let scale = if deviation > 0.0 { SPREAD / deviation } else { 0.0 };
    for (position, chance) in positions.iter_mut().zip(random(count, seed)) {
        *position = [0, 1].map(|axis| position[axis] * scale + 0.01 * chance[axis]);
    }
    positions
}

/// The two directions of greatest variance, each of length 1 with its greatest value positive.
fn directions(rows: &[f32], dim: usize) -> [Vec<f32>; 2] {
    let step = (rows.len() / dim).div_ceil(SAMPLE).max(1);
    let sample: Vec<f32> = rows.chunks_exact(dim).step_by(step).flatten().copied().collect();
    let mut chance = Seed(0).stream("principal directions", 0);
    let mut start = || (0..dim).map(|_| chance.f64() - 0.5).collect::<Vec<f64>>();
    let mut pair = [start(), start()];
    for _ in 0..ROUNDS {
        pair = orthonormal(through(&sample, dim, &pair));
    }
    pair.map(upright)
}

/// `X^T X v` for both directions, `X` `[n, dim]` being the sample.
fn through(sample: &[f32], dim: usize, pair: &[Vec<f64>; 2]) -> [Vec<f64>; 2] {
    let narrow = pair.each_ref().map(|v| v.iter().map(|&x| x as f32).collect::<Vec<f32>>());
    let part = |rows: &[f32]| {
        let mut sums = [vec![0.0f32; dim], vec![0.0; dim]];
        for row in rows.chunks_exact(dim) {
            for (sums, direction) in sums.iter_mut().zip(&narrow) {
                let along: f32 = row.iter().zip(direction).map(|(x, y)| x * y).sum();
                sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += along * x);
            }
        }
        sums
    };
    let parts: Vec<[Vec<f32>; 2]> = sample.par_chunks(256 * dim).map(part).collect();
    [0, 1].map(|which| {
        let sum = |at: usize| parts.iter().map(|part| f64::from(part[which][at])).sum();
        (0..dim).map(sum).collect()
    })
}

/// Gram and Schmidt's method; a direction of length 0 stays so.
fn orthonormal([mut first, mut second]: [Vec<f64>; 2]) -> [Vec<f64>; 2] {
    normalise(&mut first);
    let along: f64 = first.iter().zip(&second).map(|(x, y)| x * y).sum();
    let before = length(&second);
    second.iter_mut().zip(&first).for_each(|(y, x)| *y -= along * x);
    // Rows along one line leave nothing but rounding.
    if length(&second) < 1e-6 * before {
        second.fill(0.0);
    }
    normalise(&mut second);
    [first, second]
}

fn length(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn normalise(values: &mut [f64]) {
    let length = length(values);
    if length > 0.0 {
        for x in values {
            *x /= length;
        }
    }
}

fn upright(direction: Vec<f64>) -> Vec<f32> {
    let greatest = direction.iter().fold(0.0f64, |a, &b| if b.abs() > a.abs() { b } else { a });
    direction.into_iter().map(|x| (x * greatest.signum()) as f32).collect()
}

#[cfg(test)]
mod tests;
