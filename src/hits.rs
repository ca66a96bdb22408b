//! From closest rows to answers: duplicates and diversity.

use looksee_kernels::search::scan::dot;

use crate::error::Result;
use crate::index::{Hit, Index};

/// Groups hits that show the same picture (same file content, or cosine at least `alike`):
/// the first of each group stays, with the others behind it.
///
/// Hits are compared with the first of each group only, so that a chain of small changes does not
/// pull different pictures together.
pub fn fold_duplicates(index: &Index, hits: Vec<Hit>, alike: f32) -> Result<Vec<(Hit, Vec<Hit>)>> {
    let mut groups: Vec<(Hit, Vec<Hit>)> = Vec::new();
    for hit in hits {
        match same_picture(index, &groups, &hit, alike)? {
            Some(place) => groups[place].1.push(hit),
            None => groups.push((hit, Vec::new())),
        }
    }
    Ok(groups)
}

/// The first group whose first hit shows the same picture as `hit`.
fn same_picture(
    index: &Index,
    groups: &[(Hit, Vec<Hit>)],
    hit: &Hit,
    alike: f32,
) -> Result<Option<usize>> {
    for (place, (first, _)) in groups.iter().enumerate() {
        let same_file = index.content(first.row) == index.content(hit.row);
        if same_file || cosine(index, first, hit)? >= alike {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// Picks `top` hits that are close to the query but unlike each other: maximal marginal relevance
/// (Carbonell and Goldstein, 1998) with weight `lambda` (1 = only closeness).
///
/// Each pick is the hit with the greatest `lambda * score - (1 - lambda) * s`, where `s` is its
/// greatest cosine with a hit picked before; the earlier of equals. The first pick is the closest.
pub fn diverse(index: &Index, hits: Vec<Hit>, top: usize, lambda: f32) -> Result<Vec<Hit>> {
    // Each hit with its greatest cosine to what was picked.
    let mut left: Vec<(Hit, Option<f32>)> = hits.into_iter().map(|hit| (hit, None)).collect();
    let mut picked = Vec::new();
    while picked.len() < top
        && let Some(best) = best_place(&left, lambda)
    {
        let (hit, _) = left.remove(best);
        for (other, nearest) in &mut left {
            let cosine = cosine(index, &hit, other)?;
            *nearest = Some(nearest.map_or(cosine, |nearest| nearest.max(cosine)));
        }
        picked.push(hit);
    }
    Ok(picked)
}

fn best_place(left: &[(Hit, Option<f32>)], lambda: f32) -> Option<usize> {
    let value = |place: &usize| {
        let (hit, nearest) = &left[*place];
        lambda * hit.score - (1.0 - lambda) * nearest.unwrap_or(0.0)
    };
    // `max_by` takes the last of equals; in reverse that is the first.
    (0..left.len()).rev().max_by(|a, b| value(a).total_cmp(&value(b)))
}

fn cosine(index: &Index, a: &Hit, b: &Hit) -> Result<f32> {
    Ok(dot(index.picture(a.row)?, index.picture(b.row)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Fields;
    use crate::index::{NoModel, Query, Record, Space, Stamp, Writer};
    use crate::vectors::Vectors;

    /// Items in the plane: name, content of the file, angle in degrees.
    fn index(items: &[(&str, u64, f32)]) -> (tempfile::TempDir, Index) {
        let folder = tempfile::tempdir().unwrap();
        let space = Space { fingerprint: "f".to_owned(), dim: 2 };
        let mut writer = Writer::open(folder.path(), &space, &NoModel).unwrap();
        let record = |&(id, content, _): &(&str, u64, f32)| Record {
            id: id.into(),
            image: id.into(),
            texts: Vec::new(),
            fields: Fields::new(),
            group: None,
            stamp: Stamp { size: 1, modified_ns: 0, content },
        };
        let records: Vec<Record> = items.iter().map(record).collect();
        let angles = items.iter().map(|(_, _, degrees)| degrees.to_radians());
        let rows = angles.flat_map(|angle| [angle.cos(), angle.sin()]).collect();
        let vectors = Vectors::normalised(2, rows).unwrap();
        writer.add(&records, &vectors, &vec![None; items.len()]).unwrap();
        writer.commit().unwrap();
        let index = Index::open(folder.path()).unwrap();
        (folder, index)
    }

    /// All items by their closeness to the angle 0.
    fn hits(index: &Index) -> Vec<Hit> {
        let vectors = Vectors::normalised(2, vec![1.0, 0.0]).unwrap();
        let query = Query { vectors: &vectors, top: index.len(), filter: None };
        index.search(&query).unwrap().remove(0)
    }

    fn names(hits: &[Hit]) -> Vec<&str> {
        hits.iter().map(|hit| hit.id.as_str()).collect()
    }

    #[test]
    fn copies_and_near_copies_stand_behind_the_first_of_them() {
        let (_folder, index) =
            index(&[("a", 1, 0.0), ("b", 2, 10.0), ("c", 3, 11.0), ("d", 1, 60.0), ("e", 4, 80.0)]);
        let groups = fold_duplicates(&index, hits(&index), 0.999).unwrap();
        let found: Vec<_> =
            groups.iter().map(|(first, others)| (first.id.as_str(), names(others))).collect();
        assert_eq!(found, [("a", vec!["d"]), ("b", vec!["c"]), ("e", vec![])]);
    }

    #[test]
    fn a_chain_of_small_changes_is_not_one_group() {
        let (_folder, index) = index(&[("a", 1, 0.0), ("b", 2, 20.0), ("c", 3, 40.0)]);
        let groups = fold_duplicates(&index, hits(&index), 25f32.to_radians().cos()).unwrap();
        assert_eq!(groups.len(), 2);
    }

    #[test]
    fn diverse_hits_begin_with_the_closest_and_leave_its_likes_for_later() {
        let (_folder, index) =
            index(&[("a", 1, 0.0), ("b", 2, 5.0), ("c", 3, -50.0), ("d", 4, 60.0)]);
        let picked = |top, lambda| diverse(&index, hits(&index), top, lambda).unwrap();
        assert_eq!(names(&picked(3, 0.3)), ["a", "d", "c"]);
        assert_eq!(names(&picked(3, 1.0)), ["a", "b", "c"]);
        assert_eq!(picked(9, 0.5).len(), 4);
        assert!(diverse(&index, Vec::new(), 9, 0.5).unwrap().is_empty());
    }
}
