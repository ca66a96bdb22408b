use super::*;

#[test]
fn sizes_have_small_factors() {
    assert_eq!([1, 5, 97, 258, 1001].map(good_size), [4, 8, 100, 288, 1024]);
}

/// What a mesh of splines adds up to at a place, in cells.
fn spline_sum(mesh: &[f32], side: usize, place: [f32; 2]) -> f64 {
    let [(column, across), (row, down)] = place.map(|x| (x as usize, weights(x.fract())));
    let mut sum = 0.0;
    for (r, down) in down.into_iter().enumerate() {
        for (c, across) in across.into_iter().enumerate() {
            let node = (row - 1 + r) * side + column - 1 + c;
            sum += f64::from(down) * f64::from(across) * f64::from(mesh[node]);
        }
    }
    sum
}

fn numbers(count: usize) -> Vec<f32> {
    let mut chance = crate::units::Seed(5).stream("numbers", 0);
    (0..count).map(|_| chance.f32() - 0.5).collect()
}

#[test]
fn a_doubled_field_is_the_wide_one_at_every_place() {
    for side in [20, 21] {
        let wide_side = halved_side(side);
        let wide = numbers(wide_side * wide_side);
        let mut fine = vec![0.0; side * side];
        add_doubled(&wide, &mut fine, side);
        for place in [[4.2f32, 9.7], [10.0, 10.0], [13.9, 5.01]] {
            let expected = spline_sum(&wide, wide_side, place.map(|x| x / 2.0 + 1.0));
            let found = spline_sum(&fine, side, place);
            assert!((found - expected).abs() < 1e-5, "{side} {place:?}: {found} {expected}");
        }
    }
}

#[test]
fn halving_is_the_transpose_of_doubling() {
    for side in [20, 21] {
        let wide_side = halved_side(side);
        let (fine, wide) = (numbers(side * side), numbers(wide_side * wide_side));
        let (mut halved, mut doubled) = (vec![0.0; wide.len()], vec![0.0; fine.len()]);
        halve(&fine, side, &mut halved);
        add_doubled(&wide, &mut doubled, side);
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let (left, right) = (dot(&halved, &wide), dot(&fine, &doubled));
        assert!((left - right).abs() < 1e-4, "{side}: {left} {right}");
    }
}
