use super::*;
use crate::map::neighbours::{Cells, Search};
use crate::units::{Seed, Stop};

fn neighbours(count: usize, wanted: usize) -> Neighbours {
    let mut chance = Seed(4).stream("rows", 0);
    let rows: Vec<f32> = (0..count * 4).map(|_| chance.f32()).collect();
    let cells = Cells::gather(&rows, 4).unwrap();
    cells.neighbours(wanted, Search::Exact, &Stop::default()).unwrap()
}

#[test]
fn affinities_sum_to_one_and_are_symmetric() {
    for count in [2, 3, 40, 700, 5000] {
        let springs = affinities(neighbours(count, 30), 10.0f32.min(count as f32 / 4.0).max(1.0));
        let all: Vec<Vec<(usize, f32)>> = (0..count).map(|own| springs.of(own).collect()).collect();
        let sum: f64 = all.iter().flatten().map(|&(_, weight)| f64::from(weight)).sum();
        assert!((sum - 1.0).abs() < 1e-3, "{count}: {sum}");
        for (own, springs) in all.iter().enumerate().step_by(7) {
            for &(other, weight) in springs {
                let back = all[other].iter().find(|(back, _)| *back == own);
                assert_eq!(back.map(|&(_, weight)| weight), Some(weight), "{own} {other}");
            }
            assert!(springs.iter().all(|&(other, _)| other != own));
        }
    }
}

#[test]
fn pieces_of_any_size_give_the_same_springs() {
    let Neighbours { count, numbers, mut squares } = neighbours(5000, 12);
    squares.chunks_mut(count).for_each(|row| meet_perplexity(row, 4.0));
    let directed = Directed { count, numbers: &numbers, weights: &squares };
    let whole = Springs::new(vec![directed.piece(0, 5000)]);
    let parts = Springs::new(vec![directed.piece(0, 1111), directed.piece(1111, 5000)]);
    for own in (0..5000).step_by(113) {
        assert!(whole.of(own).eq(parts.of(own)));
    }
}

#[test]
fn a_neighbour_of_both_sides_counts_twice() {
    let mut merged = Vec::new();
    merge(&[(1, 0.5), (4, 0.25)], &[(0, 1.0), (4, 0.5), (9, 2.0)], |other, weight| {
        merged.push((other, weight));
    });
    assert_eq!(merged, [(0, 1.0), (1, 0.5), (4, 0.75), (9, 2.0)]);
}
