//! Exact search (a brute-force scan): the rows whose scalar product with a query is greatest.
//!
//! A scan of many rows for one query is bound by memory; for many queries by arithmetic. Both go
//! through the same tile: four rows against one or four queries, so that each load serves several
//! products. The instructions are chosen once a block of rows, not once a vector, which measured
//! half the speed.
//!
//! The score of a query and a row depends on these two alone: the same lanes are added in the same
//! order in every tile, whatever the neighbours, the block, the threads or the list of candidates.
//! So rows with equal values have equal scores and keep the order of their numbers. Another
//! [`SimdLevel`] adds in another order and may differ in the last digits.

mod best;
mod kernel;

use crate::cpu::parallel::{piece_len, pieces, threads};
use crate::cpu::simd::{SimdLevel, simd_level};
use best::Best;
use rayon::prelude::*;
use std::ops::Range;

/// Values of the rows of a block: 128 KB, which stays in the second cache for all queries.
const BLOCK_VALUES: usize = 1 << 15;
/// Queries that go through a block together.
const GROUP: usize = 64;

/// A row and its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// Number of the row.
    pub row: usize,
    /// Scalar product of row and query; greater is closer.
    pub score: f32,
}

/// For each of the `queries` `[q, dim]`, the `top` best of the rows `[n, dim]`: score descending,
/// equal scores by ascending row. A row whose score is NaN is never among them.
///
/// `live` says which rows count, bit `i % 64` of word `i / 64` for row `i`; `None` means all.
///
/// ```
/// use looksee_kernels::search::scan::top_k;
/// let rows = [1.0, 0.0, 0.0, 1.0, 0.6, 0.8];
/// let best = &top_k(&rows, 2, None, &[0.0, 1.0], 2)[0];
/// assert_eq!(best.iter().map(|hit| hit.row).collect::<Vec<_>>(), [1, 2]);
/// ```
///
/// # Panics
/// When `dim` is 0, rows or queries are not whole, or `live` has too few words.
pub fn top_k(
    rows: &[f32],
    dim: usize,
    live: Option<&[u64]>,
    queries: &[f32],
    top: usize,
) -> Vec<Vec<Scored>> {
    let scan = Scan::new(rows, dim, simd_level());
    let choice = match live {
        None => RowChoice::All(scan.count()),
        Some(words) => {
            let enough = words.len() >= scan.count().div_ceil(64);
            assert!(enough, "{} words of live rows for {} rows", words.len(), scan.count());
            RowChoice::Live(words, scan.count())
        }
    };
    scan.top_k(choice, queries, top)
}

/// Like [`top_k`], among the rows with the numbers `candidates` only, each of which should appear
/// once.
///
/// # Panics
/// When `dim` is 0, rows or queries are not whole, or a candidate is not a row.
pub fn top_k_of(
    rows: &[f32],
    dim: usize,
    candidates: &[u32],
    queries: &[f32],
    top: usize,
) -> Vec<Vec<Scored>> {
    let scan = Scan::new(rows, dim, simd_level());
    if let Some(&last) = candidates.iter().max() {
        assert!((last as usize) < scan.count(), "candidate {last} of {} rows", scan.count());
    }
    scan.top_k(RowChoice::Listed(candidates), queries, top)
}

/// The scalar product of two vectors of the same length, as the scan computes it.
///
/// # Panics
/// When the lengths differ.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "values of both vectors");
    kernel::dot(simd_level(), a, b)
}

/// Which rows are looked at.
#[derive(Clone, Copy)]
enum RowChoice<'a> {
    All(usize),
    Live(&'a [u64], usize),
    Listed(&'a [u32]),
}

impl RowChoice<'_> {
    /// Number of places: rows, or candidates.
    fn len(self) -> usize {
        match self {
            Self::All(count) | Self::Live(_, count) => count,
            Self::Listed(candidates) => candidates.len(),
        }
    }

    /// Puts the rows at these places into `numbers`.
    fn rows_at(self, places: Range<usize>, numbers: &mut Vec<usize>) {
        numbers.clear();
        match self {
            Self::All(_) => numbers.extend(places),
            Self::Live(words, _) => {
                numbers.extend(places.filter(|place| words[place / 64] >> (place % 64) & 1 == 1));
            }
            Self::Listed(candidates) => {
                numbers.extend(candidates[places].iter().map(|&row| row as usize));
            }
        }
    }
}

/// Rows to search, with the instructions to use.
#[derive(Clone, Copy)]
struct Scan<'a> {
    rows: &'a [f32],
    dim: usize,
    level: SimdLevel,
}

impl<'a> Scan<'a> {
    fn new(rows: &'a [f32], dim: usize, level: SimdLevel) -> Self {
        assert!(dim > 0, "rows need at least one value");
        assert!(rows.len().is_multiple_of(dim), "{} values in rows of {dim}", rows.len());
        Self { rows, dim, level }
    }

    fn count(&self) -> usize {
        self.rows.len() / self.dim
    }

    /// Few queries share the rows out to the threads; many queries are shared out themselves,
    /// which leaves nothing to merge.
    fn top_k(&self, choice: RowChoice, queries: &[f32], top: usize) -> Vec<Vec<Scored>> {
        let dim = self.dim;
        assert!(queries.len().is_multiple_of(dim), "{} values in queries of {dim}", queries.len());
        let groups = queries.par_chunks(GROUP * dim);
        let best: Vec<Vec<Best>> = if groups.len() < 2 * threads() {
            queries.chunks(GROUP * dim).map(|group| self.by_rows(choice, group, top)).collect()
        } else {
            groups.map(|group| self.scan(choice, 0..choice.len(), group, top)).collect()
        };
        best.into_iter().flatten().map(Best::into_sorted).collect()
    }

    /// The best rows for a group of queries, found by all threads.
    fn by_rows(&self, choice: RowChoice, queries: &[f32], top: usize) -> Vec<Best> {
        let share = piece_len(choice.len(), 8 * threads(), self.block_rows());
        let shares: Vec<_> = pieces(choice.len(), share).collect();
        let parts = shares.into_par_iter().map(|places| self.scan(choice, places, queries, top));
        // Which parts are merged first does not matter: the order of rows is total.
        parts.reduce_with(merge).unwrap_or_else(|| self.scan(choice, 0..0, queries, top))
    }

    /// The best rows at these places for a group of queries.
    fn scan(
        &self,
        choice: RowChoice,
        places: Range<usize>,
        queries: &[f32],
        top: usize,
    ) -> Vec<Best> {
        let mut best: Vec<Best> = queries.chunks(self.dim).map(|_| Best::new(top)).collect();
        let mut numbers = Vec::with_capacity(self.block_rows());
        for start in places.clone().step_by(self.block_rows()) {
            choice.rows_at(start..(start + self.block_rows()).min(places.end), &mut numbers);
            kernel::scan_block(self.level, self.rows, self.dim, &numbers, queries, &mut best);
        }
        best
    }

    fn block_rows(&self) -> usize {
        (BLOCK_VALUES / self.dim).max(8)
    }
}

fn merge(mut left: Vec<Best>, right: Vec<Best>) -> Vec<Best> {
    for (left, right) in left.iter_mut().zip(right) {
        left.absorb(right);
    }
    left
}

#[cfg(test)]
mod tests;
