use super::*;
use crate::map::{Settings, lay_out};
use crate::units::Seed;

/// Three clusters of 60 rows, their map, and two more rows of each.
fn scene() -> (Vec<f32>, Vec<[f32; 2]>, Vec<f32>) {
    let mut chance = Seed(7).stream("rows", 0);
    let mut row = |at: usize| -> [f32; 4] {
        std::array::from_fn(|axis| if axis == at % 3 { 6.0 } else { 0.0 } + chance.f32())
    };
    let old: Vec<f32> = (0..180).flat_map(&mut row).collect();
    let new: Vec<f32> = (0..6).flat_map(&mut row).collect();
    let settings = Settings { perplexity: 15.0, ..Settings::default() };
    let map = lay_out(&old, 4, &settings, &Stop::default(), &mut |_| {}).unwrap();
    (old, map.positions, new)
}

#[test]
fn new_points_lie_in_their_clusters_and_the_old_do_not_move() {
    let (old, positions, new) = scene();
    let placed = place(&old, 4, &positions, &new, 5.0, &Stop::default()).unwrap();
    for (at, own) in placed.iter().enumerate() {
        let square = |other: &[f32; 2]| (own[0] - other[0]).powi(2) + (own[1] - other[1]).powi(2);
        let nearest =
            (0..180).min_by(|&a, &b| square(&positions[a]).total_cmp(&square(&positions[b])));
        assert_eq!(nearest.unwrap() % 3, at % 3);
    }
}

#[test]
fn placing_one_by_one_equals_placing_together() {
    let (old, positions, new) = scene();
    let together = place(&old, 4, &positions, &new, 5.0, &Stop::default()).unwrap();
    for (row, expected) in new.chunks(4).zip(&together) {
        let alone = place(&old, 4, &positions, row, 5.0, &Stop::default()).unwrap();
        for axis in 0..2 {
            assert!((alone[0][axis] - expected[axis]).abs() < 1e-3, "{alone:?} {expected:?}");
        }
    }
}

#[test]
fn a_map_of_other_rows_is_refused() {
    let error = place(&[0.0; 8], 4, &[[0.0; 2]; 3], &[0.0; 4], 5.0, &Stop::default());
    assert!(error.unwrap_err().to_string().contains("a map of 3 points for 2 rows"));
    assert!(place(&[], 4, &[], &[0.0; 4], 5.0, &Stop::default()).is_err());
}
