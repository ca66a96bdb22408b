//! From closest rows to answers: duplicates, diversity, probabilities.

use crate::index::{Hit, Index};

/// Groups hits that show the same picture (same file content, or cosine at least `alike`):
/// the first of each group stays, with the others behind it.
pub fn fold_duplicates(index: &Index, hits: Vec<Hit>, alike: f32) -> Vec<(Hit, Vec<Hit>)> {
    let _ = (index, hits, alike);
    unimplemented!()
}

/// Picks `top` hits that are close to the query but unlike each other: maximal marginal relevance
/// (Carbonell and Goldstein, 1998) with weight `lambda` (1 = only closeness).
pub fn diverse(index: &Index, hits: Vec<Hit>, top: usize, lambda: f32) -> Vec<Hit> {
    let _ = (index, hits, top, lambda);
    unimplemented!()
}
