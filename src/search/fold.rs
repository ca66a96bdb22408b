//! From closest hits to what a person wants to see: the same picture once, and on request answers
//! that are unlike each other. Folds and reorders, never invents.
//!
//! Hits must carry their picture's vector, and for folding the checksum of its content.

use looksee_kernels::search::scan::dot;

use crate::index::Hit;

/// A hit, and those that show the same picture behind it.
#[derive(Clone, Debug)]
pub(super) struct Folded {
    pub(super) first: Hit,
    pub(super) others: Vec<Hit>,
}

impl Folded {
    /// A hit that nothing is folded behind.
    pub(super) fn alone(hit: Hit) -> Self {
        Self { first: hit, others: Vec::new() }
    }
}

/// Groups hits that show the same picture (same file content, or cosine at least `alike`):
/// the first of each group stays, with the others behind it.
///
/// Hits are compared with the first of each group only, so that a chain of small changes does not
/// pull different pictures together.
pub(super) fn fold_duplicates(hits: Vec<Hit>, alike: f32) -> Vec<Folded> {
    let mut groups: Vec<Folded> = Vec::new();
    for hit in hits {
        match groups.iter_mut().find(|group| same_picture(&group.first, &hit, alike)) {
            Some(group) => group.others.push(hit),
            None => groups.push(Folded::alone(hit)),
        }
    }
    groups
}

fn same_picture(a: &Hit, b: &Hit, alike: f32) -> bool {
    let same_file = a.item.content.is_some() && a.item.content == b.item.content;
    same_file || cosine(a, b) >= alike
}

/// Picks `top` hits that are close to the query but unlike each other: maximal marginal relevance
/// (Carbonell and Goldstein, 1998) with weight `lambda` (1 = only closeness).
///
/// Each pick is the hit with the greatest `lambda * score - (1 - lambda) * s`, where `s` is its
/// greatest cosine with a hit picked before; the earlier of equals. The first pick is the closest.
pub(super) fn diverse(hits: Vec<Folded>, top: usize, lambda: f32) -> Vec<Folded> {
    // Each hit with its greatest cosine to what was picked.
    let mut left: Vec<(Folded, Option<f32>)> = hits.into_iter().map(|hit| (hit, None)).collect();
    let mut picked = Vec::new();
    while picked.len() < top
        && let Some(best) = best_place(&left, lambda)
    {
        let (hit, _) = left.remove(best);
        for (other, nearest) in &mut left {
            let cosine = cosine(&hit.first, &other.first);
            *nearest = Some(nearest.map_or(cosine, |nearest| nearest.max(cosine)));
        }
        picked.push(hit);
    }
    picked
}

fn best_place(left: &[(Folded, Option<f32>)], lambda: f32) -> Option<usize> {
    let value = |place: &usize| {
        let (hit, nearest) = &left[*place];
        lambda * hit.first.score - (1.0 - lambda) * nearest.unwrap_or(0.0)
    };
    // `max_by` takes the last of equals; in reverse that is the first.
    (0..left.len()).rev().max_by(|a, b| value(a).total_cmp(&value(b)))
}

/// The cosine of the pictures of two hits; hits without vectors are unlike anything.
fn cosine(a: &Hit, b: &Hit) -> f32 {
    match (&a.item.picture, &b.item.picture) {
        (Some(a), Some(b)) => dot(a, b),
        _ => -1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Found;

    /// Hits in the plane for the query at 0 degrees: name, content of the file, angle in degrees.
    fn hits(items: &[(&str, u64, f32)]) -> Vec<Hit> {
        let hit = |&(id, content, degrees): &(&str, u64, f32)| {
            let (sin, cos) = degrees.to_radians().sin_cos();
            let mut item = Found::new(id.into());
            item.content = Some(content);
            item.picture = Some(vec![cos, sin]);
            Hit::new(cos, item)
        };
        let mut hits: Vec<Hit> = items.iter().map(hit).collect();
        hits.sort_by(|a, b| b.score.total_cmp(&a.score));
        hits
    }

    fn names<'a>(hits: impl IntoIterator<Item = &'a Hit>) -> Vec<&'a str> {
        hits.into_iter().map(|hit| hit.item.id.as_str()).collect()
    }

    #[test]
    fn copies_and_near_copies_stand_behind_the_first_of_them() {
        let hits =
            hits(&[("a", 1, 0.0), ("b", 2, 10.0), ("c", 3, 11.0), ("d", 1, 60.0), ("e", 4, 80.0)]);
        let groups = fold_duplicates(hits, 0.999);
        let found: Vec<_> = groups
            .iter()
            .map(|group| (group.first.item.id.as_str(), names(&group.others)))
            .collect();
        assert_eq!(found, [("a", vec!["d"]), ("b", vec!["c"]), ("e", vec![])]);
    }

    #[test]
    fn a_chain_of_small_changes_is_not_one_group() {
        let hits = hits(&[("a", 1, 0.0), ("b", 2, 20.0), ("c", 3, 40.0)]);
        assert_eq!(fold_duplicates(hits, 25f32.to_radians().cos()).len(), 2);
    }

    #[test]
    fn diverse_hits_begin_with_the_closest_and_leave_its_likes_for_later() {
        let hits = hits(&[("a", 1, 0.0), ("b", 2, 5.0), ("c", 3, -50.0), ("d", 4, 60.0)]);
        let hits: Vec<Folded> = hits.into_iter().map(Folded::alone).collect();
        let picked = |top, lambda| diverse(hits.clone(), top, lambda);
        let firsts = |picked: Vec<Folded>| names(picked.iter().map(|hit| &hit.first)).join(" ");
        assert_eq!(firsts(picked(3, 0.3)), "a d c");
        assert_eq!(firsts(picked(3, 1.0)), "a b c");
        assert_eq!(picked(9, 0.5).len(), 4);
        assert!(diverse(Vec::new(), 9, 0.5).is_empty());
    }
}
