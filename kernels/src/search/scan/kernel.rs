//! Scalar products (the micro-kernel of a scan) of rows and queries with the instructions of each
//! [`SimdLevel`].
//!
//! Every product has one vector of partial sums, to which the lanes of row and query are added in
//! order, the last ones filled with zeros; [`Lanes::sums`] adds up four such vectors at once and
//! each in the same order.

use super::best::Best;
use crate::cpu::lanes::{Lanes, on_lanes};
use crate::cpu::simd::SimdLevel;

/// Rows of a tile.
const ROWS: usize = 4;

/// The products of four rows with each of the queries, all of the same length.
#[inline(always)]
fn tile<L: Lanes, const Q: usize>(
    lanes: L,
    rows: [&[f32]; ROWS],
    queries: [&[f32]; Q],
) -> [[f32; ROWS]; Q] {
    let dim = rows[0].len();
    assert!(rows.iter().chain(&queries).all(|vector| vector.len() == dim));
    let mut sums = [[lanes.splat(0.0); ROWS]; Q];
    let whole = dim - dim % L::COUNT;
    for at in (0..whole).step_by(L::COUNT) {
        // SAFETY: at + COUNT <= whole <= dim, the length of every vector.
        let load = |vector: &[f32]| unsafe { lanes.load(vector.as_ptr().add(at)) };
        add_products(lanes, rows, queries, load, &mut sums);
    }
    if whole < dim {
        // SAFETY: dim - whole values are left in every vector, fewer than COUNT.
        let load =
            |vector: &[f32]| unsafe { lanes.load_some(vector.as_ptr().add(whole), dim - whole) };
        add_products(lanes, rows, queries, load, &mut sums);
    }
    let mut scores = [[0.0; ROWS]; Q];
    for (scores, vectors) in scores.iter_mut().zip(sums) {
        *scores = lanes.sums(vectors);
    }
    scores
}

#[inline(always)]
fn add_products<L: Lanes, const Q: usize>(
    lanes: L,
    rows: [&[f32]; ROWS],
    queries: [&[f32]; Q],
    load: impl Fn(&[f32]) -> L::Vector,
    sums: &mut [[L::Vector; ROWS]; Q],
) {
    let mut row_values = [lanes.splat(0.0); ROWS];
    for (values, row) in row_values.iter_mut().zip(rows) {
        *values = load(row);
    }
    for (sums, query) in sums.iter_mut().zip(queries) {
        let query = load(query);
        for (sum, row) in sums.iter_mut().zip(row_values) {
            *sum = lanes.add_product(*sum, row, query);
        }
    }
}

/// What a block is: the rows with these numbers, and the queries with their best rows.
struct Block<'a> {
    rows: &'a [f32],
    dim: usize,
    numbers: &'a [usize],
    queries: &'a [f32],
    best: &'a mut [Best],
}

impl Block<'_> {
    /// Takes `Q` queries at a time through all rows: as many as the registers hold the sums of.
    #[inline(always)]
    fn scan<const Q: usize>(self, lanes: impl Lanes) {
        let Self { rows, dim, numbers, queries, best } = self;
        let row = |number: usize| &rows[number * dim..][..dim];
        let mut queries = queries.chunks_exact(dim);
        let (groups, rest) = best.as_chunks_mut::<Q>();
        for best in groups {
            let mut group = [&[][..]; Q];
            for (place, query) in group.iter_mut().zip(&mut queries) {
                *place = query;
            }
            scan_rows(lanes, row, numbers, group, best);
        }
        for (query, best) in queries.zip(rest) {
            scan_rows(lanes, row, numbers, [query], std::array::from_mut(best));
        }
    }
}

/// All rows of a block against a few queries. The last tile repeats a row to be full.
#[inline(always)]
fn scan_rows<'a, L: Lanes, const Q: usize>(
    lanes: L,
    row: impl Fn(usize) -> &'a [f32],
    numbers: &[usize],
    queries: [&[f32]; Q],
    best: &mut [Best; Q],
) {
    for numbers in numbers.chunks(ROWS) {
        let number = |at: usize| numbers[at.min(numbers.len() - 1)];
        let rows = [row(number(0)), row(number(1)), row(number(2)), row(number(3))];
        let scores = tile(lanes, rows, queries);
        for (best, scores) in best.iter_mut().zip(scores) {
            keep(best, numbers, scores);
        }
    }
}

#[inline(always)]
fn keep(best: &mut Best, numbers: &[usize], scores: [f32; ROWS]) {
    if !scores.iter().any(|&score| best.admits(score)) {
        return;
    }
    for (&number, score) in numbers.iter().zip(scores) {
        if best.admits(score) {
            best.push(number, score);
        }
    }
}

/// Compares the rows with these numbers with all queries and keeps the best of each.
pub(super) fn scan_block(
    level: SimdLevel,
    rows: &[f32],
    dim: usize,
    numbers: &[usize],
    queries: &[f32],
    best: &mut [Best],
) {
    scan(level, Block { rows, dim, numbers, queries, best });
}

on_lanes! {
    /// Sixteen registers hold the sums of two queries. Plain vectors overflow theirs either way,
    /// so that what counts is how often the rows are loaded.
    fn scan<L>(lanes, block: Block) {
        if L::REGISTERS == 16 { block.scan::<2>(lanes) } else { block.scan::<4>(lanes) }
    }
}

on_lanes! {
    /// The product of two vectors of the same length.
    pub(super) fn dot<L>(lanes, a: &[f32], b: &[f32]) -> f32 {
        tile(lanes, [a; ROWS], [b])[0][0]
    }
}
