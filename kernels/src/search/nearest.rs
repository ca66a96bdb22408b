//! The rows nearest to each row of a block (exact k nearest neighbours), by Euclidean distance.
//!
//! [`scan`](crate::search::scan) answers few queries for few rows; here every row of a large
//! matrix is a query that wants a hundred neighbours, so the products go through the matrix
//! product. A block of queries meets one stretch of candidates after another ([`Nearest::meet`]),
//! in whatever order the caller finds promising, and says at any moment how far its current
//! neighbours reach ([`Nearest::reach`]), by which the caller may leave stretches out.
//!
//! With `x` a query and `y` a candidate, `|x - y|^2 = |x|^2 - 2 (x y - |y|^2 / 2)`: of one query's
//! candidates the one with the greatest `x y - |y|^2 / 2` is the nearest.

use crate::cpu::scratch::with_scratch;
use crate::cpu::simd::multiversion;
use crate::product::{Block, Left, Panels, Write, multiply, pack_rows, panels_len};

/// Candidates that are compared with a block of queries at a time.
const STRETCH: usize = 1024;
/// Scores that are looked at together before one is looked at alone.
const LANES: usize = 16;
/// Below this share of the squares, a squared distance from the product has lost its digits and is
/// taken from the rows.
const CANCELLED: f32 = 1e-3;

/// Half of the square of each row's length.
///
/// # Panics
/// When `dim` is 0 or the rows are not whole.
pub fn half_squares(rows: &[f32], dim: usize) -> Vec<f32> {
    assert!(dim > 0 && rows.len().is_multiple_of(dim), "{} values in rows of {dim}", rows.len());
    rows.chunks_exact(dim).map(|row| 0.5 * row.iter().map(|x| x * x).sum::<f32>()).collect()
}

/// The scalar product of each of the `queries` `[m, dim]` with each of the `rows` `[n, dim]`, `[m, n]`,
/// on the calling thread.
///
/// # Panics
/// When a length does not fit.
pub fn products(queries: &[f32], rows: &[f32], dim: usize, out: &mut [f32]) {
    let (m, n) = (queries.len() / dim, rows.len() / dim);
    assert_eq!(queries.len(), m * dim, "values of {m} queries");
    assert_eq!(out.len(), m * n, "products of {m} and {n} rows");
    with_scratch(panels_len(dim, n), |packed| {
        pack_rows(rows, dim, n, packed);
        let (queries, rows) = (Left::rows(queries, m, dim, dim), Panels::new(packed, dim, n));
        let mut out = Block::new(out, m, n, n);
        multiply(&queries, &rows, 0..dim, 0..n, &mut out, Write::Overwrite);
    });
}

/// Candidates: rows with their numbers from `first` on.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    /// `[n, dim]`.
    pub rows: &'a [f32],
    /// [`half_squares`] of the rows, `[n]`.
    pub halves: &'a [f32],
    /// Number of the first row.
    pub first: u32,
}

/// The nearest candidates so far of each query of a block.
#[derive(Debug)]
pub struct Nearest {
    count: usize,
    dim: usize,
    kept: Vec<BestOfQuery>,
}

impl Nearest {
    /// For blocks of rows of `dim` values, of which each keeps its `count` nearest.
    ///
    /// # Panics
    /// When `dim` or `count` is 0.
    pub fn new(dim: usize, count: usize) -> Self {
        assert!(dim > 0 && count > 0, "{count} neighbours of rows of {dim} values");
        Self { count, dim, kept: Vec::new() }
    }

    /// Forgets all candidates; the next block has `queries` rows.
    pub fn clear(&mut self, queries: usize) {
        self.kept.resize_with(queries, || BestOfQuery::new(self.count));
        self.kept.iter_mut().for_each(BestOfQuery::clear);
    }

    /// Compares the block's rows `queries` `[m, dim]` with candidates that it has not met.
    ///
    /// # Panics
    /// When a length does not fit.
    pub fn meet(&mut self, queries: &[f32], candidates: Candidates<'_>) {
        let Self { dim, kept, .. } = self;
        let dim = *dim;
        assert_eq!(queries.len(), kept.len() * dim, "values of {} queries", kept.len());
        assert_eq!(candidates.rows.len(), candidates.halves.len() * dim, "values of candidates");
        let stretches =
            candidates.rows.chunks(STRETCH * dim).zip(candidates.halves.chunks(STRETCH));
        let firsts = (candidates.first..).step_by(STRETCH);
        for ((rows, halves), first) in stretches.zip(firsts) {
            let width = halves.len();
            with_scratch(kept.len() * width, |scores| {
                products(queries, rows, dim, scores);
                for (kept, scores) in kept.iter_mut().zip(scores.chunks_exact(width)) {
                    scan(scores, halves, first, kept);
                }
            });
        }
    }

    /// The squared distance of query number `query` (whose half square is `half`) to the last of
    /// its neighbours so far; infinite while it has too few.
    pub fn reach(&mut self, query: usize, half: f32) -> f32 {
        let kept = &mut self.kept[query];
        kept.cut();
        (2.0 * (half - kept.floor)).max(0.0)
    }

    /// The number of the nearest candidate so far; the first of several.
    pub fn nearest(&self, query: usize) -> Option<u32> {
        self.kept[query].entries.iter().min().map(|entry| entry.number())
    }

    /// Writes the neighbours of query number `query`, the nearest first, equal distances by
    /// number, and their squared distances. `rows` `[n, dim]` are all candidates by number; the query
    /// is the one with the number `own`, and is left out.
    ///
    /// Returns how many were written: as many as fit and were met.
    pub fn finish(
        &mut self,
        query: usize,
        own: u32,
        rows: &[f32],
        numbers: &mut [u32],
        squares: &mut [f32],
    ) -> usize {
        let row = &rows[own as usize * self.dim..][..self.dim];
        let entries = self.sorted(query, row, rows);
        write(entries.iter().filter(|entry| entry.number() != own), numbers, squares)
    }

    /// [`Nearest::finish`] for a query that is `row` and none of the candidates.
    pub fn take(
        &mut self,
        query: usize,
        row: &[f32],
        rows: &[f32],
        numbers: &mut [u32],
        squares: &mut [f32],
    ) -> usize {
        write(self.sorted(query, row, rows).iter(), numbers, squares)
    }

    /// The neighbours with the negative of their squared distances, the nearest first.
    fn sorted(&mut self, query: usize, row: &[f32], rows: &[f32]) -> &[PackedScore] {
        let half = 0.5 * row.iter().map(|x| x * x).sum::<f32>();
        let kept = &mut self.kept[query];
        kept.cut();
        for entry in &mut kept.entries {
            let other = &rows[entry.number() as usize * self.dim..][..self.dim];
            *entry = PackedScore::new(-square(row, half, other, entry.score()), entry.number());
        }
        kept.entries.sort_unstable();
        &kept.entries
    }
}

fn write<'a>(
    entries: impl Iterator<Item = &'a PackedScore>,
    numbers: &mut [u32],
    squares: &mut [f32],
) -> usize {
    let places = numbers.iter_mut().zip(squares);
    let written = places.zip(entries).map(|((number, square), entry)| {
        (*number, *square) = (entry.number(), -entry.score());
    });
    written.count()
}

/// The squared distance of `row` and `other`, of which `score` is the score of their product.
fn square(row: &[f32], half: f32, other: &[f32], score: f32) -> f32 {
    let square = 2.0 * (half - score);
    if square > CANCELLED * half {
        return square;
    }
    row.iter().zip(other).map(|(x, y)| (x - y) * (x - y)).sum()
}

/// The candidates that one query keeps.
#[derive(Debug)]
struct BestOfQuery {
    /// How many are wanted.
    count: usize,
    entries: Vec<PackedScore>,
    /// A candidate must score above this.
    floor: f32,
}

/// A candidate's score and number as one number that is the smaller, the greater the score is;
/// equal scores by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PackedScore(u64);

impl PackedScore {
    #[inline(always)]
    fn new(score: f32, number: u32) -> Self {
        // The bits of a float ascend with it when negative ones are turned round.
        let bits = (-score + 0.0).to_bits();
        let ascending = bits ^ (((bits as i32) >> 31) as u32 | 0x8000_0000);
        Self(u64::from(ascending) << 32 | u64::from(number))
    }

    fn number(self) -> u32 {
        self.0 as u32
    }

    fn score(self) -> f32 {
        let ascending = (self.0 >> 32) as u32;
        let bits = if ascending >> 31 == 1 { ascending ^ 0x8000_0000 } else { !ascending };
        -f32::from_bits(bits)
    }
}

impl BestOfQuery {
    fn new(count: usize) -> Self {
        Self { count, entries: Vec::with_capacity(4 * count), floor: f32::NEG_INFINITY }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.floor = f32::NEG_INFINITY;
    }

    #[inline]
    fn push(&mut self, score: f32, number: u32) {
        self.entries.push(PackedScore::new(score, number));
        if self.entries.len() == 4 * self.count {
            self.cut();
        }
    }

    /// Keeps the best only.
    #[cold]
    fn cut(&mut self) {
        if self.entries.len() < self.count {
            return;
        }
        if self.entries.len() > self.count {
            self.entries.select_nth_unstable(self.count - 1);
            self.entries.truncate(self.count);
        }
        // After a selection the last wanted one is the worst; a list of just the right length is
        // in no order.
        if let Some(worst) = self.entries.iter().max() {
            self.floor = worst.score();
        }
    }
}

multiversion! {
    /// Keeps what scores above the floor.
    fn scan(scores: &[f32], halves: &[f32], first: u32, kept: &mut BestOfQuery) {
        let (mut number, mut floor) = (first, kept.floor);
        for (scores, halves) in scores.chunks(LANES).zip(halves.chunks(LANES)) {
            let mut above = false;
            for (score, half) in scores.iter().zip(halves) {
                above |= score - half > floor;
            }
            if above {
                for (lane, (score, half)) in scores.iter().zip(halves).enumerate() {
                    let score = score - half;
                    if score > floor {
                        kept.push(score, number + lane as u32);
                        floor = kept.floor;
                    }
                }
            }
            number += scores.len() as u32;
        }
    }
}

#[cfg(test)]
mod tests;
