//! From closest rows to answers: duplicates and diversity.

use crate::index::{Hit, Index};

/// Groups hits that show the same picture (same file content, or cosine at least `alike`):
/// the first of each group stays, with the others behind it.
///
/// Hits are compared with the first of each group only, so that a chain of small changes does not
/// pull different pictures together.
pub fn fold_duplicates(index: &Index, hits: Vec<Hit>, alike: f32) -> Vec<(Hit, Vec<Hit>)> {
    let same = |a: &Hit, b: &Hit| {
        index.content(a.row) == index.content(b.row) || cosine(index, a, b) >= alike
    };
    let mut groups: Vec<(Hit, Vec<Hit>)> = Vec::new();
    for hit in hits {
        match groups.iter_mut().find(|(first, _)| same(first, &hit)) {
            Some((_, others)) => others.push(hit),
            None => groups.push((hit, Vec::new())),
        }
    }
    groups
}

/// Picks `top` hits that are close to the query but unlike each other: maximal marginal relevance
/// (Carbonell and Goldstein, 1998) with weight `lambda` (1 = only closeness).
///
/// Each pick is the hit with the greatest `lambda * score - (1 - lambda) * s`, where `s` is its
/// greatest cosine with a hit picked before; the earlier of equals. The first pick is the closest.
pub fn diverse(index: &Index, hits: Vec<Hit>, top: usize, lambda: f32) -> Vec<Hit> {
    // Each hit with its greatest cosine to what was picked.
    let mut left: Vec<(Hit, Option<f32>)> = hits.into_iter().map(|hit| (hit, None)).collect();
    let mut picked = Vec::new();
    while picked.len() < top
        && let Some(best) = best_place(&left, lambda)
    {
        let (hit, _) = left.remove(best);
        for (other, nearest) in &mut left {
            let cosine = cosine(index, &hit, other);
            *nearest = Some(nearest.map_or(cosine, |nearest| nearest.max(cosine)));
        }
        picked.push(hit);
    }
    picked
}

fn best_place(left: &[(Hit, Option<f32>)], lambda: f32) -> Option<usize> {
    let value = |place: &usize| {
        let (hit, nearest) = &left[*place];
        lambda * hit.score - (1.0 - lambda) * nearest.unwrap_or(0.0)
    };
    // `max_by` takes the last of equals; in reverse that is the first.
    (0..left.len()).rev().max_by(|a, b| value(a).total_cmp(&value(b)))
}

fn cosine(index: &Index, a: &Hit, b: &Hit) -> f32 {
    index.picture(a.row).iter().zip(index.picture(b.row)).map(|(x, y)| x * y).sum()
}
