use super::*;
use crate::error::ErrorKind;

/// Rows around `clusters` centres, so far apart that a map must part them.
fn clustered(count: usize, clusters: usize, dim: usize, seed: u64) -> Vec<f32> {
    let mut chance = Seed(seed).stream("clusters", 0);
    let centres: Vec<f32> = (0..clusters * dim).map(|_| chance.f32() * 10.0).collect();
    (0..count)
        .flat_map(|row| (0..dim).map(move |at| (row, at)))
        .map(|(row, at)| centres[row % clusters * dim + at] + chance.f32())
        .collect()
}

fn quick() -> Settings {
    let mut settings = Settings { perplexity: 10.0, ..Settings::default() };
    settings.phases[0].iterations = 120;
    settings.phases[1].iterations = 150;
    settings
}

fn map(rows: &[f32], dim: usize, settings: &Settings) -> Map {
    lay_out(rows, dim, settings, &Stop::default(), &mut |_| {}).unwrap()
}

/// Share of points whose nearest point on the map is of their own cluster.
fn purity(positions: &[[f32; 2]], clusters: usize) -> f64 {
    let square = |a: [f32; 2], b: [f32; 2]| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2);
    let pure = |own: usize| {
        let others = (0..positions.len()).filter(|&other| other != own);
        let nearest = others.min_by(|&a, &b| {
            square(positions[own], positions[a]).total_cmp(&square(positions[own], positions[b]))
        });
        nearest.is_some_and(|nearest| nearest % clusters == own % clusters)
    };
    (0..positions.len()).filter(|&own| pure(own)).count() as f64 / positions.len() as f64
}

#[test]
fn clusters_stay_together_whatever_the_method_and_the_start() {
    let rows = clustered(300, 5, 8, 1);
    for method in [Method::Exact, Method::BarnesHut, Method::Mesh] {
        for start in [Start::Pca, Start::Random] {
            let map = map(&rows, 8, &Settings { method, start, ..quick() });
            assert_eq!((map.method, map.positions.len()), (method, 300));
            let purity = purity(&map.positions, 5);
            assert!(purity > 0.99, "{method:?} {start:?}: {purity}");
        }
    }
}

#[test]
fn all_methods_come_to_nearly_the_same_divergence() {
    let rows = clustered(300, 3, 8, 1);
    let kl = |method| map(&rows, 8, &Settings { method, ..quick() }).kl;
    let exact = kl(Method::Exact);
    for method in [Method::BarnesHut, Method::Mesh] {
        assert!(
            (kl(method) / exact - 1.0).abs() < 0.1,
            "{method:?}: {}, exact {exact}",
            kl(method)
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_the_threads() {
    let rows = clustered(5000, 40, 6, 2);
    let mut settings = quick();
    settings.phases[0].iterations = 30;
    settings.phases[1].iterations = 20;
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| map(&rows, 6, &settings)).positions
    };
    let expected = on(1);
    assert!(on(2) == expected && on(3) == expected);
    settings.start = Start::Random;
    let random = map(&rows, 6, &settings).positions;
    settings.seed = Seed(1);
    assert!(map(&rows, 6, &settings).positions != random, "another seed gives another map");
}

#[test]
fn few_rows_have_maps_too() {
    for count in 0..8 {
        for method in [Method::Exact, Method::BarnesHut, Method::Mesh] {
            let rows = clustered(count, 2, 3, 1);
            let map = map(&rows, 3, &Settings { method, ..quick() });
            assert_eq!(map.positions.len(), count);
            assert!(map.positions.iter().flatten().all(|x| x.is_finite()), "{count} {method:?}");
        }
    }
    assert_eq!(map(&[5.0, 6.0], 2, &quick()).positions, [[0.0; 2]]);
    let pair = map(&[0.0, 1.0], 1, &quick()).positions;
    // Two points have the right affinities at any distance, so any will do.
    assert!(pair[0][0].to_bits() != pair[1][0].to_bits());
}

#[test]
fn equal_rows_have_a_map() {
    for count in [2, 50, 4500] {
        for method in [Method::BarnesHut, Method::Mesh] {
            let mut settings = Settings { method, ..quick() };
            settings.phases.iter_mut().for_each(|phase| phase.iterations = 20);
            let map = map(&vec![0.3; count * 4], 4, &settings);
            assert!(map.positions.iter().flatten().all(|x| x.is_finite()), "{count} {method:?}");
        }
    }
}

#[test]
fn a_value_that_is_not_finite_is_refused_with_its_row() {
    for bad in [f32::NAN, f32::INFINITY] {
        let mut rows = clustered(20, 2, 3, 1);
        rows[3 * 7 + 1] = bad;
        let error = lay_out(&rows, 3, &quick(), &Stop::default(), &mut |_| {}).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("row 7 holds"), "{error}");
    }
}

#[test]
fn a_perplexity_beyond_a_third_of_the_points_is_lowered_with_a_word() {
    let rows = clustered(31, 2, 3, 1);
    let mut words = Vec::new();
    let settings = Settings { perplexity: 30.0, ..quick() };
    let map = lay_out(&rows, 3, &settings, &Stop::default(), &mut |event| {
        if let Event::Warning(text) = event {
            words.push(text.to_owned());
        }
    });
    assert!((map.unwrap().perplexity - 10.0).abs() < 1e-6);
    assert_eq!(words.len(), 1);
    assert!(words[0].contains("a perplexity of 30 needs more than 90 points, there are 31"));
}

#[test]
fn a_stop_keeps_the_map_as_it_is() {
    let rows = clustered(200, 2, 3, 1);
    let stop = Stop::default();
    let stopped = lay_out(&rows, 3, &quick(), &stop, &mut |event| {
        if matches!(event, Event::Progress { done: 40, .. }) {
            stop.ask();
        }
    });
    let stopped = stopped.unwrap();
    assert!(stopped.stopped && stopped.iterations == 40);
    let mut settings = quick();
    settings.phases = vec![Phase { iterations: 40, ..settings.phases[0] }];
    assert_eq!(map(&rows, 3, &settings).positions.len(), stopped.positions.len());
}

#[test]
fn progress_tells_the_divergence_which_falls_in_the_end() {
    let rows = clustered(200, 4, 3, 1);
    let (mut values, mut done_last) = (Vec::new(), 0);
    let _ = lay_out(&rows, 3, &quick(), &Stop::default(), &mut |event| match event {
        Event::Measured { what: "KL", value } => values.push(value),
        Event::Progress { done, total: 270, .. } => {
            assert_eq!(done, done_last + 1);
            done_last = done;
        }
        _ => {}
    });
    assert_eq!((values.len(), done_last), (3, 270));
    assert!(values[2] < values[0] && values[2] < values[1], "{values:?}");
}
