use super::*;
use crate::testing::{Sum, in_both_kinds, in_pools, random};

fn levels() -> Vec<SimdLevel> {
    SimdLevel::available().collect()
}

/// Scores of all rows in the arithmetic of `level`, then a plain stable sort.
fn oracle(
    level: SimdLevel,
    rows: &[f32],
    query: &[f32],
    chosen: &[u32],
    top: usize,
) -> Vec<Scored> {
    let dim = query.len();
    let mut all: Vec<Scored> = chosen
        .iter()
        .map(|&row| row as usize)
        .map(|row| Scored { row, score: kernel::dot(level, &rows[row * dim..][..dim], query) })
        .filter(|scored| !scored.score.is_nan())
        .collect();
    all.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap().then(a.row.cmp(&b.row)));
    all.truncate(top);
    all
}

#[test]
fn products_of_all_lengths_and_alignments_agree_with_f64() {
    for (len, numbers, agree) in in_both_kinds(0..=130) {
        for start in 0..4 {
            let (a, b) = (numbers(start + len, 1), numbers(len, 2));
            let a = &a[start..];
            let expected = Sum::of(a.iter().copied().zip(b.iter().copied()));
            for level in levels() {
                agree(&[kernel::dot(level, a, &b)], &[expected]);
            }
        }
    }
}

#[test]
fn values_after_the_end_of_a_row_are_not_read() {
    for len in 0..40 {
        let mut a = random(len + 16, 1);
        a[len..].fill(f32::NAN);
        for level in levels() {
            assert!(!kernel::dot(level, &a[..len], &random(len, 2)).is_nan(), "{level:?} {len}");
        }
    }
}

#[test]
fn every_way_to_search_gives_the_same_scores_in_the_same_order() {
    for (count, dim, queries) in
        [(0, 3, 2), (1, 1, 1), (7, 5, 3), (130, 13, 6), (900, 50, 5), (200, 33, 130)]
    {
        // Few values, so that equal rows and equal scores are common.
        let rows: Vec<f32> = random(count * dim, 1).iter().map(|x| (x * 1.4).round()).collect();
        let queries = random(queries * dim, 2);
        let live: Vec<u64> =
            random(count.div_ceil(64), 3).iter().map(|x| u64::from(x.to_bits()) << 9).collect();
        let all: Vec<u32> = (0..count as u32).collect();
        let some: Vec<u32> = all
            .iter()
            .copied()
            .filter(|row| live[*row as usize / 64] >> (row % 64) & 1 == 1)
            .collect();
        for level in levels() {
            let scan = Scan::new(&rows, dim, level);
            for top in [0, 1, 9, 5000] {
                let expected = |chosen: &[u32]| -> Vec<Vec<Scored>> {
                    let of_query = |query| oracle(level, &rows, query, chosen, top);
                    queries.chunks(dim).map(of_query).collect()
                };
                let (of_all, of_some) = (expected(&all), expected(&some));
                let reversed: Vec<u32> = some.iter().rev().copied().collect();
                in_pools(|| {
                    assert_eq!(scan.top_k(RowChoice::All(count), &queries, top), of_all);
                    assert_eq!(scan.top_k(RowChoice::Live(&live, count), &queries, top), of_some);
                    assert_eq!(scan.top_k(RowChoice::Listed(&some), &queries, top), of_some);
                    assert_eq!(scan.top_k(RowChoice::Listed(&reversed), &queries, top), of_some);
                });
            }
        }
    }
}

#[test]
fn equal_rows_come_in_the_order_of_their_numbers() {
    let rows = [[0.1f32, 0.7, 0.7].repeat(40), vec![0.0, 1.0, 0.0]].concat();
    let hits = &top_k(&rows, 3, None, &[0.0, 1.0, 0.0], 5)[0];
    assert_eq!(hits.iter().map(|hit| hit.row).collect::<Vec<_>>(), [40, 0, 1, 2, 3]);
    let zeros = &top_k(&[-0.0, 0.0, -0.0], 1, None, &[1.0], 3)[0];
    assert_eq!(zeros.iter().map(|hit| hit.row).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn a_score_that_is_not_a_number_never_wins() {
    let rows = [f32::NAN, 0.5, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    let hits = &top_k(&rows, 1, None, &[1.0], 5)[0];
    assert_eq!(hits.iter().map(|hit| hit.row).collect::<Vec<_>>(), [2, 1, 3]);
    assert!(top_k(&rows, 1, None, &[f32::NAN], 5)[0].is_empty());
}

#[test]
fn no_queries_no_answers() {
    assert!(top_k(&[1.0, 2.0], 2, None, &[], 3).is_empty());
    assert_eq!(top_k_of(&[1.0, 2.0], 2, &[], &[1.0, 1.0], 3), [vec![]]);
}

#[test]
#[should_panic(expected = "candidate 2 of 2 rows")]
fn a_candidate_beyond_the_rows_is_refused() {
    top_k_of(&[1.0, 2.0], 1, &[0, 2], &[1.0], 1);
}
