//! Retrieval metrics as pure functions over ranks.

use serde::Serialize;

use crate::units::Seed;
use crate::vectors::Vectors;

/// The rank (from 1) of each query's best right gallery row, ties counted against us.
///
/// `right(query, row)` says whether `row` answers `query`; a query without a right row gets
/// `None`. `skip(query, row)` takes a row out of a query's gallery (itself, in picture->picture).
pub fn ranks(
    queries: &Vectors,
    gallery: &Vectors,
    right: &(dyn Fn(usize, usize) -> bool + Sync),
    skip: &(dyn Fn(usize, usize) -> bool + Sync),
) -> Vec<Option<usize>> {
    let _ = (queries, gallery, right, skip);
    unimplemented!()
}

/// What the ranks of many queries say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Number of queries with a right answer in the gallery.
    pub queries: usize,
    /// Share of queries whose right answer is first.
    pub r1: f64,
    /// Share among the first 5.
    pub r5: f64,
    /// Share among the first 10.
    pub r10: f64,
    /// Mean of 1/rank.
    pub mrr: f64,
    /// Median rank.
    pub median_rank: f64,
    /// Mean rank.
    pub mean_rank: f64,
    /// 95 % bootstrap intervals.
    pub ci95: Intervals,
}

/// 95 % intervals over resampled queries, `[low, high]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Intervals {
    /// Of [`Summary::r1`].
    pub r1: [f64; 2],
    /// Of [`Summary::r5`].
    pub r5: [f64; 2],
    /// Of [`Summary::r10`].
    pub r10: [f64; 2],
    /// Of [`Summary::mrr`].
    pub mrr: [f64; 2],
}

/// Summarises ranks (from 1); `None` when there are none.
pub fn summarise(ranks: &[usize], seed: Seed) -> Option<Summary> {
    let _ = (ranks, seed);
    unimplemented!()
}

/// What ranks drawn by chance would give: each query has `right[i]` right rows among `gallery`.
pub fn chance(right: &[usize], gallery: usize) -> Option<Summary> {
    let _ = (right, gallery);
    unimplemented!()
}
