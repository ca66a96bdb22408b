use super::*;
use crate::testing::{Sum, assert_same, random, whole};

/// The squared distance of two rows in `f64`.
fn square_between(rows: &[f32], dim: usize, one: usize, other: usize) -> f64 {
    let row = |at: usize| &rows[at * dim..][..dim];
    let pairs = row(one).iter().zip(row(other));
    pairs.map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum()
}

/// Numbers and squared distances of the nearest others, from sums in `f64`.
fn oracle(rows: &[f32], dim: usize, own: usize, count: usize) -> Vec<(u32, f64)> {
    let others = (0..rows.len() / dim).filter(|&at| at != own);
    let mut all: Vec<(u32, f64)> =
        others.map(|at| (at as u32, square_between(rows, dim, own, at))).collect();
    all.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    all.truncate(count);
    all
}

/// Neighbours of each row, found by meeting the rows in two parts.
fn found(rows: &[f32], dim: usize, count: usize) -> Vec<(Vec<u32>, Vec<f32>)> {
    let halves = half_squares(rows, dim);
    let middle = halves.len() / 3;
    let mut nearest = Nearest::new(dim, count + 1);
    nearest.clear(halves.len());
    for range in [middle..halves.len(), 0..middle] {
        let candidates = Candidates {
            rows: &rows[range.start * dim..range.end * dim],
            halves: &halves[range.clone()],
            first: range.start as u32,
        };
        nearest.meet(rows, candidates);
    }
    let finish = |own: usize| {
        let (mut numbers, mut squares) = (vec![0; count], vec![0.0; count]);
        let written = nearest.finish(own, own as u32, rows, &mut numbers, &mut squares);
        numbers.truncate(written);
        squares.truncate(written);
        (numbers, squares)
    };
    (0..halves.len()).map(finish).collect()
}

#[test]
fn the_nearest_rows_are_those_of_sums_in_f64() {
    for (rows, dim, count) in [(2, 1, 1), (40, 3, 5), (130, 7, 13), (1500, 50, 30)] {
        let values = random(rows * dim, 3);
        for (own, (numbers, squares)) in found(&values, dim, count).into_iter().enumerate() {
            let expected = oracle(&values, dim, own, count);
            for ((number, square), (expected, exact)) in numbers.iter().zip(&squares).zip(&expected)
            {
                // Rows at nearly the same distance may change places.
                let bound = 1e-5 * dim as f64;
                assert!((f64::from(*square) - exact).abs() < bound, "{number} {expected}");
            }
            assert_eq!(numbers.len(), expected.len());
        }
    }
}

#[test]
fn of_whole_numbers_all_distances_are_exact() {
    for (rows, dim, count) in [(40, 3, 5), (130, 17, 13), (1500, 50, 30)] {
        let values = whole(rows * dim, 3);
        for (own, (numbers, squares)) in found(&values, dim, count).into_iter().enumerate() {
            let expected: Vec<Sum> = oracle(&values, dim, own, count)
                .into_iter()
                .map(|(_, square)| Sum::exact(square))
                .collect();
            assert_same(&squares, &expected);
            let own: Vec<Sum> = numbers
                .iter()
                .map(|&number| Sum::exact(square_between(&values, dim, own, number as usize)))
                .collect();
            assert_same(&squares, &own);
            assert!(
                numbers.iter().all(|number| numbers.iter().filter(|&n| n == number).count() == 1)
            );
        }
    }
}

#[test]
fn equal_rows_are_at_distance_0_whatever_their_length() {
    let row = [1000.0, -2000.0, 0.5];
    let values = row.repeat(9);
    for (numbers, squares) in found(&values, 3, 4) {
        assert_eq!(squares, [0.0; 4]);
        assert_eq!(numbers.len(), 4);
    }
}

#[test]
fn a_row_is_never_its_own_neighbour_and_few_rows_give_few() {
    let values = random(4 * 5, 8);
    for (own, (numbers, _)) in found(&values, 5, 10).into_iter().enumerate() {
        let mut numbers = numbers;
        numbers.sort_unstable();
        let others: Vec<u32> = (0..4).filter(|&at| at != own as u32).collect();
        assert_eq!(numbers, others);
    }
}

#[test]
fn the_reach_is_infinite_until_there_are_enough_and_then_shrinks() {
    let values = [0.0, 1.0, 3.0, 10.0, 0.5];
    let halves = half_squares(&values, 1);
    let mut nearest = Nearest::new(1, 2);
    nearest.clear(1);
    let part = |range: std::ops::Range<usize>| Candidates {
        rows: &values[range.clone()],
        halves: &halves[range.clone()],
        first: range.start as u32,
    };
    nearest.meet(&values[..1], part(3..4));
    assert!(nearest.reach(0, halves[0]).is_infinite());
    nearest.meet(&values[..1], part(1..3));
    assert!((nearest.reach(0, halves[0]) - 9.0).abs() < 1e-6);
    nearest.meet(&values[..1], part(4..5));
    assert!((nearest.reach(0, halves[0]) - 1.0).abs() < 1e-6);
}

#[test]
fn scores_come_back_from_their_packed_form_in_order() {
    let scores = [f32::NEG_INFINITY, -3.5, -1e-30, 0.0, 1e-30, 2.0, f32::INFINITY];
    let entries = scores.map(|score| PackedScore::new(score, 7));
    assert!(entries.is_sorted_by(|a, b| a > b), "a greater score is a smaller entry");
    // Adding 0 makes -0 a 0.
    let bits = |score: f32| (score + 0.0).to_bits();
    assert!(entries.map(PackedScore::score).map(bits) == scores.map(bits));
    assert!(PackedScore::new(1.0, 3) < PackedScore::new(1.0, 4));
}
