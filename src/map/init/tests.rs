use super::*;

#[test]
fn a_random_start_has_the_spread_and_no_direction() {
    let positions = random(20_000, Seed(1));
    for axis in 0..2 {
        let values = || positions.iter().map(|p| f64::from(p[axis]));
        let mean = values().sum::<f64>() / 2e4;
        let deviation = (values().map(|x| x * x).sum::<f64>() / 2e4).sqrt();
        assert!(mean.abs() < 5e-6 && (deviation / 1e-4 - 1.0).abs() < 0.05, "{mean} {deviation}");
    }
}

#[test]
fn the_first_component_is_the_direction_of_greatest_variance() {
    let mut chance = Seed(2).stream("rows", 0);
    // Variance mostly along (3, 4) / 5, then along (4, -3) / 5, then along the third axis.
    let rows: Vec<f32> = (0..3000)
        .flat_map(|_| {
            let [a, b, c] = [10.0, 3.0, 0.1].map(|scale| (chance.f32() - 0.5) * scale);
            [0.6 * a + 0.8 * b, 0.8 * a - 0.6 * b, c]
        })
        .collect();
    let [first, second] = directions(&rows, 3);
    assert!((first[0] - 0.6).abs() < 0.02 && (first[1] - 0.8).abs() < 0.02, "{first:?}");
    assert!((second[0] - 0.8).abs() < 0.02 && (second[1] + 0.6).abs() < 0.02, "{second:?}");
    let positions = pca(&rows, 3, Seed(0));
    let square: f64 = positions.iter().map(|p| f64::from(p[0]).powi(2)).sum();
    assert!(((square / 3000.0).sqrt() / 1e-4 - 1.0).abs() < 0.01);
}

#[test]
fn rows_without_a_second_direction_start_along_a_line() {
    let rows: Vec<f32> = (0..100).flat_map(|at| [at as f32 - 49.5; 3]).collect();
    let positions = pca(&rows, 3, Seed(0));
    assert!(positions.iter().all(|p| p[1].abs() < 1e-5 && p[0].is_finite()));
}
