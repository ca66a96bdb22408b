//! The best rows seen so far (top k, in a heap).

use super::Scored;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// At most `top` rows: those with the greatest scores, of equal scores those with the smallest
/// numbers.
pub(super) struct Best {
    top: usize,
    /// The worst is on top of the heap.
    heap: BinaryHeap<WorstFirst>,
    /// The score that a row must at least have to be kept.
    floor: f32,
}

/// A row that is the greater, the worse it is. Its score is not NaN and not -0.
struct WorstFirst(Scored);

impl Ord for WorstFirst {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.score.total_cmp(&self.0.score).then(self.0.row.cmp(&other.0.row))
    }
}

impl PartialOrd for WorstFirst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for WorstFirst {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for WorstFirst {}

impl Best {
    pub(super) fn new(top: usize) -> Self {
        let floor = if top == 0 { f32::NAN } else { f32::NEG_INFINITY };
        Self { top, heap: BinaryHeap::new(), floor }
    }

    /// Whether a row with this score may be kept. False for NaN.
    #[inline(always)]
    pub(super) fn admits(&self, score: f32) -> bool {
        score >= self.floor
    }

    /// Looks at a row, whose score [`Best::admits`].
    #[cold]
    #[inline(never)]
    pub(super) fn push(&mut self, row: usize, score: f32) {
        // Adding 0 makes -0 a 0, so that both are one score.
        let entry = WorstFirst(Scored { row, score: score + 0.0 });
        if self.heap.len() < self.top {
            self.heap.push(entry);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && entry < *worst
        {
            *worst = entry;
        }
        if self.heap.len() == self.top
            && let Some(WorstFirst(worst)) = self.heap.peek()
        {
            self.floor = worst.score;
        }
    }

    /// Looks at the rows that another scan kept.
    pub(super) fn absorb(&mut self, other: Self) {
        for WorstFirst(Scored { row, score }) in other.heap {
            if self.admits(score) {
                self.push(row, score);
            }
        }
    }

    /// The rows, the best first.
    pub(super) fn into_sorted(self) -> Vec<Scored> {
        self.heap.into_sorted_vec().into_iter().map(|WorstFirst(scored)| scored).collect()
    }
}
