use super::*;
use crate::testing::{in_pools, random};

fn positions(count: usize, scale: f32) -> Vec<[f32; 2]> {
    random(2 * count, 4).chunks(2).map(|pair| [pair[0] * scale, pair[1] * scale]).collect()
}

const MESH: Mesh = Mesh { side: 53, origin: [-8.0, -7.5], spacing: 0.3 };

/// A value for each step of the own field.
fn own() -> Vec<Field> {
    let values = random(3 * (OFFSETS + 1) * (OFFSETS + 1), 6);
    values.chunks(3).map(|part| [part[0], part[1], part[2], 0.0]).collect()
}

#[test]
fn the_push_is_the_sum_over_pairs_in_f64() {
    for count in [1, 2, 3, 15, 16, 17, 130] {
        let positions = positions(count, 3.0);
        in_pools(|| {
            let (mut pushes, mut sums) = (vec![[f32::NAN; 2]; count], vec![f32::NAN; count]);
            push(&positions, &mut pushes, &mut sums);
            for (own, (push, sum)) in pushes.iter().zip(&sums).enumerate() {
                let mut exact = [0.0f64; 3];
                for other in (0..count).filter(|&other| other != own) {
                    let [x, y] = [0, 1].map(|axis| {
                        f64::from(positions[own][axis]) - f64::from(positions[other][axis])
                    });
                    let near = 1.0 / (1.0 + x * x + y * y);
                    exact =
                        [exact[0] + near * near * x, exact[1] + near * near * y, exact[2] + near];
                }
                let bound = 1e-6 * (count as f64 + 1.0);
                for (found, exact) in [push[0], push[1], *sum].iter().zip(exact) {
                    assert!((f64::from(*found) - exact).abs() < bound, "{found}, expected {exact}");
                }
            }
        });
    }
}

#[test]
fn a_spread_point_has_the_weight_1_and_its_place_as_centre() {
    for point in [[0.0, 0.0], [-3.21, 5.77], [4.0, -6.9]] {
        let mut charges = Charges::default();
        charges.sort(MESH, &[point]);
        let mut strips = vec![f32::NAN; MESH.strip_values()];
        charges.spread(MESH, &mut strips);
        let mut sums = [0.0f64; 3];
        for row in 0..MESH.side {
            let mut line = vec![0.0; MESH.side];
            spread_row(MESH, &strips, row, &mut line);
            for (column, &value) in line.iter().enumerate() {
                let value = f64::from(value);
                sums[0] += value;
                sums[1] += value * (f64::from(MESH.origin[0]) + column as f64 * 0.3);
                sums[2] += value * (f64::from(MESH.origin[1]) + row as f64 * 0.3);
            }
        }
        assert!((sums[0] - 1.0).abs() < 1e-5, "{sums:?}");
        assert!((sums[1] - f64::from(point[0])).abs() < 1e-4, "{sums:?} {point:?}");
        assert!((sums[2] - f64::from(point[1])).abs() < 1e-4, "{sums:?} {point:?}");
    }
}

#[test]
fn a_cubic_field_is_read_with_its_slope() {
    // A spline of the coefficients of x + 2 y is x + 2 y itself.
    let place = |at: usize| MESH.origin.map(|origin| origin + at as f32 * MESH.spacing);
    let field: Vec<f32> = (0..MESH.side * MESH.side)
        .map(|at| place(at % MESH.side)[0] + 2.0 * place(at / MESH.side)[1])
        .collect();
    let positions = positions(300, 7.0);
    let mut charges = Charges::default();
    charges.sort(MESH, &positions);
    charges.read(MESH, &field, &vec![Field::default(); (OFFSETS + 1) * (OFFSETS + 1)]);
    for (point, [x, y]) in positions.iter().enumerate() {
        let [value, across, down, _] = charges.field(point);
        assert!((value - (x + 2.0 * y)).abs() < 1e-4, "{value} at {x}, {y}");
        assert!((across - 1.0).abs() < 1e-3 && (down - 2.0).abs() < 1e-3, "{across} {down}");
    }
}

#[test]
fn all_instructions_spread_and_read_alike() {
    let (positions, field, own) = (positions(500, 7.4), random(MESH.side * MESH.side, 2), own());
    let mut charges = Charges::default();
    charges.sort(MESH, &positions);
    let mut expected = Vec::new();
    let levels = std::iter::once(SimdLevel::Portable).chain(SimdLevel::available());
    for level in levels {
        let mut found = vec![0.0; (STRIP + OVERLAP) * MESH.side];
        spread_strip(level, MESH, STRIP, charges.strip(1), &mut found);
        let mut fields = vec![Field::default(); positions.len()];
        read_points(level, MESH, &charges.sorted, &field, &own, &mut fields);
        found.extend(fields.iter().flatten());
        if expected.is_empty() {
            expected = found;
            continue;
        }
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 2e-5, "{level:?}: {found}, expected {expected}");
        }
    }
}

#[test]
fn the_sums_do_not_depend_on_the_threads() {
    let positions = positions(20_000, 7.4);
    let spread = || {
        let mut charges = Charges::default();
        charges.sort(MESH, &positions);
        let mut strips = vec![0.0; MESH.strip_values()];
        charges.spread(MESH, &mut strips);
        strips
    };
    let expected = spread();
    in_pools(|| assert!(spread() == expected));
}

#[test]
fn points_outside_of_the_mesh_and_nan_are_taken_to_its_edge() {
    let outside = [[1e9, -1e9], [f32::NAN, 0.0], [f32::INFINITY, f32::NEG_INFINITY]];
    let field = vec![3.0; MESH.side * MESH.side];
    for level in SimdLevel::available() {
        let mut charges = Charges::default();
        charges.sort(MESH, &outside);
        let mut fields = vec![Field::default(); 3];
        let none = vec![Field::default(); (OFFSETS + 1) * (OFFSETS + 1)];
        read_points(level, MESH, &charges.sorted, &field, &none, &mut fields);
        assert!(fields.iter().all(|field| (field[0] - 3.0).abs() < 1e-5), "{level:?} {fields:?}");
        let mut strips = vec![0.0; MESH.strip_values()];
        charges.spread(MESH, &mut strips);
        assert!((strips.iter().sum::<f32>() - 3.0).abs() < 1e-4);
    }
}
