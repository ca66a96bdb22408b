use super::*;
use crate::testing::{in_pools, random};

fn positions(count: usize, scale: f32) -> Vec<[f32; 2]> {
    random(2 * count, 4).chunks(2).map(|pair| [pair[0] * scale, pair[1] * scale]).collect()
}

/// Every point held to `degree` others, some of them more than 32,767 numbers away.
fn lists(count: usize, degree: usize) -> Vec<(Vec<u32>, Vec<f32>)> {
    let list = |own: usize| {
        let others = (1..=degree).map(|step| ((own + step * step * 977) % count) as u32).collect();
        (others, random(degree, own as u64 + 1).iter().map(|x| (x + 1.5) / 1e4).collect())
    };
    (0..count).map(list).collect()
}

fn springs(lists: &[(Vec<u32>, Vec<f32>)], piece: usize) -> Springs {
    let pieces = lists.chunks(piece).enumerate().map(|(number, lists)| {
        let mut own = SpringPiece::starting_at(number * piece);
        for (others, weights) in lists {
            own.push(others, weights);
        }
        own
    });
    Springs::new(pieces.collect())
}

#[test]
fn the_pull_is_the_sum_over_springs_in_f64() {
    for (count, degree) in [(1, 0), (2, 1), (5, 3), (700, 13), (70_000, 5)] {
        let (lists, positions) = (lists(count, degree), positions(count, 7.0));
        let springs = springs(&lists, 300);
        let exact = |own: usize| {
            let mut sum = [0.0f64; 3];
            for (&other, &weight) in lists[own].0.iter().zip(&lists[own].1) {
                let difference = [0, 1].map(|axis| {
                    f64::from(positions[own][axis]) - f64::from(positions[other as usize][axis])
                });
                let square = difference[0].powi(2) + difference[1].powi(2);
                let strength = f64::from(weight) / (1.0 + square);
                sum[0] += strength * difference[0];
                sum[1] += strength * difference[1];
                sum[2] += strength * square.sqrt();
            }
            sum
        };
        in_pools(|| {
            let mut forces = vec![[f32::NAN; 2]; count];
            springs.pull(&positions, &mut forces);
            for (own, force) in forces.iter().enumerate().step_by(count / 500 + 1) {
                let [x, y, size] = exact(own);
                for (found, exact) in force.iter().zip([x, y]) {
                    let error = (f64::from(*found) - exact).abs();
                    // Weights keep eight digits: half a unit of 1/256 of each.
                    assert!(error <= size / 480.0 + 1e-12, "{own}: {found}, expected {exact}");
                }
            }
        });
    }
}

#[test]
fn all_instructions_pull_alike() {
    let (lists, positions) = (lists(70_000, 6), positions(70_000, 3.0));
    let springs = springs(&lists, 1 << 15);
    let all = |level: SimdLevel| {
        let mut forces = vec![[0.0; 2]; positions.len()];
        for (piece, first, forces) in springs.shares(&mut forces) {
            pull(level, piece, first, &positions, forces);
        }
        forces
    };
    let expected = all(SimdLevel::Portable);
    for level in SimdLevel::available() {
        for (found, expected) in all(level).iter().flatten().zip(expected.iter().flatten()) {
            assert!((found - expected).abs() <= 1e-6 * 1e-3, "{level:?}: {found} {expected}");
        }
    }
}

#[test]
fn springs_come_back_with_weights_of_eight_digits() {
    let lists = lists(50_000, 7);
    let springs = springs(&lists, 9_000);
    let (near, far) = springs.counts();
    assert!(near > 0 && far > 0, "both kinds are tested");
    for own in [0, 8_999, 9_000, 49_999] {
        let mut found: Vec<(usize, f32)> = springs.of(own).collect();
        found.sort_by_key(|&(other, _)| other);
        let mut expected: Vec<(u32, f32)> =
            lists[own].0.iter().copied().zip(lists[own].1.iter().copied()).collect();
        expected.sort_by_key(|&(other, _)| other);
        for ((other, weight), (expected, exact)) in found.iter().zip(&expected) {
            assert_eq!(*other, *expected as usize);
            assert!((weight / exact - 1.0).abs() <= 1.0 / 512.0, "{weight} {exact}");
        }
        assert_eq!(found.len(), expected.len());
    }
}

#[test]
fn the_divergence_is_the_sum_over_springs_in_f64() {
    let (lists, positions) = (lists(40_000, 6), positions(40_000, 5.0));
    let springs = springs(&lists, 5_000);
    let z = 12_345.6f64;
    let term = |own: usize| -> f64 {
        springs
            .of(own)
            .map(|(other, weight)| {
                let square: f64 = [0, 1]
                    .map(|axis| f64::from(positions[own][axis] - positions[other][axis]).powi(2))
                    .iter()
                    .sum();
                f64::from(weight) * (f64::from(weight) * z * (1.0 + square)).ln()
            })
            .sum()
    };
    let exact: f64 = (0..positions.len()).map(term).sum();
    let found = springs.divergence(&positions, z);
    assert!((found / exact - 1.0).abs() < 1e-5, "{found}, expected {exact}");
}

#[test]
#[should_panic(expected = "leads to point 7 of 2")]
fn a_spring_to_nowhere_is_refused() {
    let mut piece = SpringPiece::starting_at(0);
    piece.push(&[1], &[0.5]);
    piece.push(&[7], &[0.5]);
    Springs::new(vec![piece]);
}
