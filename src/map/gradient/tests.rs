use super::*;
use crate::units::Seed;

fn points(count: usize, scale: f32) -> Vec<[f32; 2]> {
    let mut chance = Seed(3).stream("points", count as u64);
    // A sum of two, so that the middle is denser, as in a map.
    let mut draw = || (chance.f32() + chance.f32() - 1.0) * scale;
    (0..count).map(|_| [draw(), draw()]).collect()
}

/// How far a method's push and `Z` are from the exact ones, relative to their size (root mean
/// square over all points).
fn errors(method: &mut dyn Repulsion, positions: &[[f32; 2]]) -> (f64, f64) {
    let (mut exact, mut found) = (vec![[0.0; 2]; positions.len()], vec![[0.0; 2]; positions.len()]);
    let z = Exact::default().push(positions, &mut exact);
    let found_z = method.push(positions, &mut found);
    let (mut error, mut size) = (0.0, 0.0);
    for (exact, found) in exact.iter().flatten().zip(found.iter().flatten()) {
        assert!(found.is_finite());
        error += f64::from(exact - found).powi(2);
        size += f64::from(*exact).powi(2);
    }
    ((error / size.max(1e-30)).sqrt(), (found_z / z - 1.0).abs())
}

#[test]
fn the_mesh_is_within_a_hundredth_of_the_exact_push_at_every_width() {
    for (count, scale) in
        [(50, 1.0), (500, 0.01), (3000, 1e-4), (3000, 20.0), (3000, 60.0), (3000, 300.0)]
    {
        let (push, z) = errors(&mut Mesh::default(), &points(count, scale));
        assert!(push < 1e-2, "{count} points over {scale}: {push}");
        assert!(z < 1e-3, "{count} points over {scale}: Z {z}");
    }
}

#[test]
fn a_finer_mesh_is_nearer_to_the_exact_push() {
    let points = points(2000, 60.0);
    let errors: Vec<f64> = [0.5, 1.0 / 3.0, 0.2]
        .map(|spacing| errors(&mut Mesh::with_spacing(spacing), &points).0)
        .to_vec();
    assert!(errors.is_sorted_by(|a, b| *a > 2.0 * *b), "{errors:?}");
    assert!(errors[0] < 4e-2 && errors[2] < 2e-3, "{errors:?}");
}

#[test]
fn one_mesh_serves_a_growing_map_like_a_new_one() {
    let mut kept = Mesh::default();
    for scale in [1e-3, 0.1, 5.0, 30.0, 33.0, 36.0, 80.0, 20.0] {
        let points = points(800, scale);
        let (push, z) = errors(&mut kept, &points);
        assert!(push < 1e-2 && z < 1e-3, "{scale}: {push} {z}");
    }
}

#[test]
fn the_tree_is_within_its_bounds_and_exact_without_an_angle() {
    for (count, scale) in [(50, 1.0), (3000, 1e-4), (3000, 20.0), (3000, 300.0)] {
        let points = points(count, scale);
        let (push, z) = errors(&mut BarnesHut::default(), &points);
        assert!(push < 5e-2 && z < 2e-2, "{count} points over {scale}: {push} {z}");
        let (push, z) = errors(&mut BarnesHut::with_theta(0.0), &points);
        assert!(push < 1e-4 && z < 1e-5, "{count} points over {scale}: {push} {z}");
    }
}

#[test]
fn equal_points_pairs_and_single_points_do_no_harm() {
    let methods = || -> [Box<dyn Repulsion>; 3] {
        [Box::new(Exact::default()), Box::new(BarnesHut::default()), Box::new(Mesh::default())]
    };
    for mut method in methods() {
        assert!(method.push(&[], &mut []).abs() < 1e-12);
        let mut push = [[1.0; 2]];
        let z = method.push(&[[3.0, -2.0]], &mut push);
        assert!(z.abs() < 1e-3 && push.iter().flatten().all(|x| x.abs() < 1e-2), "{z} {push:?}");

        let mut pushes = vec![[1.0; 2]; 64];
        let z = method.push(&vec![[0.5, 0.5]; 64], &mut pushes);
        assert!((z / (64.0 * 63.0) - 1.0).abs() < 1e-2, "{z}");
        assert!(pushes.iter().flatten().all(|x| x.abs() < 0.7), "1 % of what 64 points could push");

        let mut pair = [[0.0; 2]; 2];
        method.push(&[[0.0, 0.0], [1.0, 0.0]], &mut pair);
        assert!((pair[0][0] + 0.25).abs() < 5e-3 && (pair[1][0] - 0.25).abs() < 5e-3, "{pair:?}");
    }
}

#[test]
fn a_point_far_away_does_not_blur_the_others() {
    let mut points = points(1000, 10.0);
    points.push([1000.0, 0.0]);
    let (push, z) = errors(&mut BarnesHut::default(), &points);
    assert!(push < 5e-2 && z < 1e-2, "{push} {z}");
    let (push, z) = errors(&mut Mesh::default(), &points);
    assert!(push < 1e-2 && z < 1e-3, "{push} {z}");
}

#[test]
fn a_point_beyond_all_bounds_costs_the_mesh_its_sharpness_and_no_memory() {
    let mut points = points(100, 10.0);
    points.push([1e7, 0.0]);
    let mut pushes = vec![[0.0; 2]; points.len()];
    let z = Mesh::default().push(&points, &mut pushes);
    assert!(z.is_finite() && pushes.iter().flatten().all(|x| x.is_finite()));
}
