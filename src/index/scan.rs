//! The closest rows to some queries, by comparing with each.

/// A row and how close it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scored {
    pub(super) row: usize,
    /// The dot product; greater is closer.
    pub(super) score: f32,
}

/// The `top` closest of `rows` `[n, dim]` to each of `queries` `[m, dim]`, closest first, ties by
/// row; only rows whose bit in `live` is set.
pub(super) fn top_k(
    rows: &[f32],
    dim: usize,
    live: Option<&[u64]>,
    queries: &[f32],
    top: usize,
) -> Vec<Vec<Scored>> {
    let lives = |row: usize| live.is_none_or(|words| words[row / 64] >> (row % 64) & 1 == 1);
    let candidates = (0..rows.len() / dim).filter(|&row| lives(row));
    queries.chunks_exact(dim).map(|query| closest(rows, candidates.clone(), query, top)).collect()
}

/// [`top_k`] among the rows with these numbers.
pub(super) fn top_k_of(
    rows: &[f32],
    dim: usize,
    candidates: &[u32],
    queries: &[f32],
    top: usize,
) -> Vec<Vec<Scored>> {
    let candidates = candidates.iter().map(|&row| row as usize);
    queries.chunks_exact(dim).map(|query| closest(rows, candidates.clone(), query, top)).collect()
}

fn closest(
    rows: &[f32],
    candidates: impl Iterator<Item = usize>,
    query: &[f32],
    top: usize,
) -> Vec<Scored> {
    let dim = query.len();
    let mut scored: Vec<Scored> = candidates
        .map(|row| Scored { row, score: dot(&rows[row * dim..][..dim], query) })
        .collect();
    scored.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
    scored.truncate(top);
    scored
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
