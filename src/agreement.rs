//! How well two sides agree: pictures and the texts that belong to them, or rows and their map.
//!
//! Pure functions over rows of numbers. Row `i` of the pictures and row `i` of the texts are
//! *partners*. Where a figure would need all pairs of many rows, it is estimated over pairs drawn
//! with a seed. Nothing depends on the number of threads: what they find is added up in order.
//!
//! All functions on two sides panic when these have different numbers of rows or values, and give
//! NaN where there are too few rows for the figure to mean anything.

use looksee_kernels::scan::{Scored, dot, top_k};
use rayon::prelude::*;
use serde::Serialize;

use crate::units::Seed;
use crate::vectors::Vectors;

/// Up to so many rows, [`uniformity`] looks at all pairs.
const ALL_PAIRS: usize = 1500;
/// Pairs that stand for all of them beyond that.
const PAIRS: usize = 1 << 20;
/// Pairs of one stream of chance.
const PAIRS_A_BLOCK: usize = 1 << 14;
/// Points of a map that stand for all of them.
const POINTS: usize = 2000;
/// Bins of a [`Histogram`].
const BINS: usize = 40;
/// The greatest distance of two unit vectors.
const FARTHEST: f64 = 2.0;

/// The Euclidean distance between the centroids of the two sides, 0 to 2; 0 when they lie in the
/// same place.
///
/// `|mean(pictures) - mean(texts)|`, the *modality gap* of Liang et al., "Mind the Gap" (2022).
pub fn modality_gap(pictures: &Vectors, texts: &Vectors) -> f64 {
    expect_partners(pictures, texts);
    let square = |(a, b): (f64, f64)| (a - b) * (a - b);
    let pairs = centroid(pictures).into_iter().zip(centroid(texts));
    pairs.map(square).sum::<f64>().sqrt()
}

fn centroid(vectors: &Vectors) -> Vec<f64> {
    let mut sums = vec![0.0; vectors.dim()];
    for row in vectors.rows() {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    sums.into_iter().map(|sum| sum / vectors.len() as f64).collect()
}

/// The share of partners that are each other's nearest on the other side, 0 to 1; greater is
/// better. A partner that only ties for the first place is not the nearest.
pub fn mutual_nearest(pictures: &Vectors, texts: &Vectors) -> f64 {
    expect_partners(pictures, texts);
    let (from_pictures, from_texts) =
        (finds_partner(pictures, texts), finds_partner(texts, pictures));
    let mutual = from_pictures.iter().zip(&from_texts).filter(|&(&a, &b)| a && b).count();
    mutual as f64 / pictures.len() as f64
}

/// Whether each query's partner is nearer than any other row.
fn finds_partner(queries: &Vectors, gallery: &Vectors) -> Vec<bool> {
    let alone = |(query, best): (usize, &Vec<Scored>)| match best[..] {
        [first] => first.row == query,
        [first, second, ..] => first.row == query && second.score < first.score,
        [] => false,
    };
    let best = top_k(gallery.as_slice(), gallery.dim(), None, queries.as_slice(), 2);
    best.iter().enumerate().map(alone).collect()
}

/// The mean squared distance of partners, 0 to 4; less is better.
///
/// `mean(|p - t|^2)`, the *alignment* of Wang and Isola, "Understanding Contrastive
/// Representation Learning through Alignment and Uniformity on the Hypersphere" (2020), alpha = 2.
pub fn alignment(pictures: &Vectors, texts: &Vectors) -> f64 {
    expect_partners(pictures, texts);
    let squares = pictures.rows().zip(texts.rows()).map(|(p, t)| squared_distance(p, t));
    squares.sum::<f64>() / pictures.len() as f64
}

/// How evenly rows lie on the sphere, -8 to 0; less is more even, 0 is all in one place.
///
/// `ln mean(exp(-2 |x - y|^2))` over pairs of different rows, the *uniformity* of Wang and Isola
/// (see [`alignment`]), t = 2. Over all pairs of up to 1,500 rows, else over 2^20 pairs that the
/// seed draws.
pub fn uniformity(rows: &Vectors, seed: Seed) -> f64 {
    let potential =
        |a: usize, b: usize| (-2.0 * (2.0 - 2.0 * f64::from(dot(rows.row(a), rows.row(b))))).exp();
    let count = rows.len();
    let (sums, pairs): (Vec<f64>, usize) = if count <= ALL_PAIRS {
        let row = |a: usize| (0..a).map(|b| potential(a, b)).sum();
        ((0..count).into_par_iter().map(row).collect(), count * count.saturating_sub(1) / 2)
    } else {
        let block = |number: usize| {
            let mut rng = seed.stream("uniformity", number as u64);
            let mut pair = || {
                let a = rng.usize(..count);
                (a, other_than(a, count, &mut rng))
            };
            (0..PAIRS_A_BLOCK).map(|_| pair()).map(|(a, b)| potential(a, b)).sum()
        };
        ((0..PAIRS / PAIRS_A_BLOCK).into_par_iter().map(block).collect(), PAIRS)
    };
    (sums.iter().sum::<f64>() / pairs as f64).ln()
}

/// A number below `count` that is not `number`.
fn other_than(number: usize, count: usize, rng: &mut fastrand::Rng) -> usize {
    let other = rng.usize(..count - 1);
    if other < number { other } else { other + 1 }
}

/// How far partners lie apart, beside how far any picture and text do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Histogram {
    /// Ends of the bins, from 0 to 2, one more than there are bins. A distance belongs to the bin
    /// that it begins; 2 to the last.
    pub edges: Vec<f64>,
    /// Partners in each bin.
    pub matched: Vec<usize>,
    /// Pictures with a random text of another picture, in each bin.
    pub random: Vec<usize>,
    /// Mean distance of partners.
    pub mean_matched: f64,
    /// Mean distance of a picture and a random text.
    pub mean_random: f64,
}

/// The distances of partners, and of each picture from one text of another that the seed draws.
pub fn distances(pictures: &Vectors, texts: &Vectors, seed: Seed) -> Histogram {
    expect_partners(pictures, texts);
    let count = pictures.len();
    let distance = |p: usize, t: usize| squared_distance(pictures.row(p), texts.row(t)).sqrt();
    let mut rng = seed.stream("random partners", 0);
    let matched: Vec<f64> = (0..count).map(|row| distance(row, row)).collect();
    let random: Vec<f64> = (0..if count > 1 { count } else { 0 })
        .map(|row| distance(row, other_than(row, count, &mut rng)))
        .collect();
    Histogram {
        edges: (0..=BINS).map(|edge| FARTHEST * edge as f64 / BINS as f64).collect(),
        matched: binned(&matched),
        random: binned(&random),
        mean_matched: mean(&matched),
        mean_random: mean(&random),
    }
}

fn binned(distances: &[f64]) -> Vec<usize> {
    let mut bins = vec![0; BINS];
    for distance in distances {
        let bin = (distance / FARTHEST * BINS as f64) as usize;
        bins[bin.min(BINS - 1)] += 1;
    }
    bins
}

/// The mean rank, from 1, of a text's own picture among `gallery` pictures: its own and others
/// that the seed draws anew for each text. 1 is best, `(gallery + 1) / 2` is chance; ties count
/// against us.
///
/// The others are drawn one by one, so that one may come twice: that leaves the mean as it is.
/// Where there are no more than `gallery` pictures, all of them are the gallery.
pub fn average_rank_among(pictures: &Vectors, texts: &Vectors, gallery: usize, seed: Seed) -> f64 {
    expect_partners(pictures, texts);
    let count = pictures.len();
    let rank = |text: usize| {
        let score = |picture: usize| dot(texts.row(text), pictures.row(picture));
        let own = score(text);
        let before = if count <= gallery {
            (0..count).filter(|&other| other != text && score(other) >= own).count()
        } else {
            let mut rng = seed.stream("gallery", text as u64);
            let others = (1..gallery).map(|_| other_than(text, count, &mut rng));
            others.filter(|&other| score(other) >= own).count()
        };
        (1 + before) as f64
    };
    mean(&(0..count).into_par_iter().map(rank).collect::<Vec<f64>>())
}

/// The mean share of a point's `k` nearest rows that are among its `k` nearest in the map, 0 to 1;
/// greater is better, `k / (n - 1)` is chance.
///
/// `rows` are `[n, dim]` of any length, `positions` their places in the map. Points that are as
/// far as the k-th all count as near, and the share is taken of the larger of the two sets: copies
/// cost nothing, and a map that puts everything in one place gains nothing. Beyond 2,000 points,
/// so many that the seed draws stand for all; each is compared with all. See Venna and Kaski,
/// "Neighborhood preservation in nonlinear projection methods" (2001).
///
/// # Panics
/// When there is not one position for each row, or `k` is not below their number.
pub fn neighbourhood_preservation(
    rows: &[f32],
    dim: usize,
    positions: &[[f32; 2]],
    k: usize,
    seed: Seed,
) -> f64 {
    let space = Space::new(rows, dim, positions, k);
    let share = |&point: &usize| {
        let (far, near) = (space.distances(point), space.distances_in_map(point));
        let (far_bound, near_bound) = (smallest(&far, k), smallest(&near, k));
        let among = |distances: &[f64], bound| distances.iter().filter(|&&d| d <= bound).count();
        let both = far.iter().zip(&near).filter(|&(&f, &n)| f <= far_bound && n <= near_bound);
        both.count() as f64 / among(&far, far_bound).max(among(&near, near_bound)) as f64
    };
    mean(&space.sample(seed).par_iter().map(share).collect::<Vec<f64>>())
}

/// How far the `k` neighbours that a map shows are to be trusted, 0 to 1; greater is better.
///
/// `1 - 2 / (n k (2n - 3k - 1)) * sum(max(0, r - k))` over each point's `k` nearest in the map,
/// where `r` is the neighbour's rank by distance among the rows: *trustworthiness*, Venna and
/// Kaski (2001). Arguments and sampling as in [`neighbourhood_preservation`]; rows that are
/// equally far have the better rank, equally near ones in the map are taken by number.
///
/// # Panics
/// When there is not one position for each row, or `k` is not below half of their number.
pub fn trustworthiness(
    rows: &[f32],
    dim: usize,
    positions: &[[f32; 2]],
    k: usize,
    seed: Seed,
) -> f64 {
    let space = Space::new(rows, dim, positions, k);
    let count = positions.len();
    assert!(
        2 * k < count,
        "{k} neighbours of {count} points: trustworthiness needs fewer than half"
    );
    let intruders = |&point: &usize| {
        let (far, near) = (space.distances(point), space.distances_in_map(point));
        let mut order: Vec<usize> = (0..near.len()).collect();
        let nearer = |&a: &usize, &b: &usize| near[a].total_cmp(&near[b]).then(a.cmp(&b));
        order.select_nth_unstable_by(k - 1, nearer);
        let rank = |other: usize| 1 + far.iter().filter(|&&d| d < far[other]).count();
        order[..k].iter().map(|&other| rank(other).saturating_sub(k)).sum::<usize>() as f64
    };
    let penalties: Vec<f64> = space.sample(seed).par_iter().map(intruders).collect();
    1.0 - 2.0 * mean(&penalties) / (k * (2 * count - 3 * k - 1)) as f64
}

/// Rows and their places in a map.
struct Space<'a> {
    rows: &'a [f32],
    dim: usize,
    positions: &'a [[f32; 2]],
}

impl<'a> Space<'a> {
    fn new(rows: &'a [f32], dim: usize, positions: &'a [[f32; 2]], k: usize) -> Self {
        let count = positions.len();
        assert_eq!(rows.len(), count * dim, "values of rows of {dim} for {count} positions");
        assert!((1..count).contains(&k), "{k} neighbours of {count} points");
        Self { rows, dim, positions }
    }

    fn sample(&self, seed: Seed) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..self.positions.len()).collect();
        if numbers.len() > POINTS {
            seed.stream("points of a map", 0).shuffle(&mut numbers);
            numbers.truncate(POINTS);
        }
        numbers
    }

    /// Squared distances of the rows of all other points.
    fn distances(&self, point: usize) -> Vec<f64> {
        let row = |number: usize| &self.rows[number * self.dim..][..self.dim];
        self.others(point).map(|other| squared_distance(row(point), row(other))).collect()
    }

    /// Squared distances of the places of all other points.
    fn distances_in_map(&self, point: usize) -> Vec<f64> {
        let place = |number: usize| &self.positions[number];
        self.others(point).map(|other| squared_distance(place(point), place(other))).collect()
    }

    fn others(&self, point: usize) -> impl Iterator<Item = usize> {
        (0..point).chain(point + 1..self.positions.len())
    }
}

/// The `k`-th smallest value, from 1.
fn smallest(values: &[f64], k: usize) -> f64 {
    let mut values = values.to_vec();
    *values.select_nth_unstable_by(k - 1, f64::total_cmp).1
}

/// The squared Euclidean distance, in eight sums that the processor can add at once.
fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0f32; 8];
    for (a, b) in a.iter().zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += (a - b) * (a - b);
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| f64::from(a - b).powi(2));
    sums.into_iter().map(f64::from).sum::<f64>() + rest.sum::<f64>()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn expect_partners(pictures: &Vectors, texts: &Vectors) {
    assert_eq!(pictures.dim(), texts.dim(), "values of a picture and of a text");
    assert_eq!(pictures.len(), texts.len(), "each picture needs its text");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(rows: &[[f32; 2]]) -> Vectors {
        Vectors::normalised(2, rows.concat()).unwrap()
    }

    fn drawn(rows: usize, dim: usize, stream: u64) -> Vectors {
        let mut rng = Seed(3).stream("test", stream);
        let values = (0..rows * dim).map(|_| rng.f32() - 0.5).collect();
        Vectors::normalised(dim, values).unwrap()
    }

    fn turned(vectors: &Vectors) -> Vectors {
        let last = vectors.len() - 1;
        vectors.select(&std::iter::once(last).chain(0..last).collect::<Vec<_>>())
    }

    #[track_caller]
    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
    }

    const RIGHT: [f32; 2] = [1.0, 0.0];
    const UP: [f32; 2] = [0.0, 1.0];
    const LEFT: [f32; 2] = [-1.0, 0.0];

    #[test]
    fn the_gap_lies_between_the_centroids() {
        // Centroids (0.5, 0.5) and (-0.5, 0.5).
        close(modality_gap(&vectors(&[RIGHT, UP]), &vectors(&[LEFT, UP])), 1.0);
        close(modality_gap(&vectors(&[RIGHT]), &vectors(&[LEFT])), 2.0);
    }

    #[test]
    fn identical_sides_agree_in_everything() {
        let side = drawn(200, 16, 0);
        close(modality_gap(&side, &side), 0.0);
        close(alignment(&side, &side), 0.0);
        close(mutual_nearest(&side, &side), 1.0);
        close(average_rank_among(&side, &side, 100, Seed(1)), 1.0);
        close(distances(&side, &side, Seed(1)).mean_matched, 0.0);
    }

    #[test]
    fn partners_that_are_moved_by_one_place_are_no_ones_nearest() {
        let side = drawn(200, 16, 0);
        let moved = turned(&side);
        close(mutual_nearest(&side, &moved), 0.0);
        close(modality_gap(&side, &moved), 0.0);
        assert!(alignment(&side, &moved) > 1.5);
    }

    #[test]
    fn a_partner_that_ties_for_the_first_place_is_not_the_nearest() {
        let (pictures, texts) = (vectors(&[RIGHT, RIGHT, UP]), vectors(&[RIGHT, LEFT, UP]));
        // Pictures 0 and 1 tie for text 0; text 1 is nobody's nearest; only the third are mutual.
        close(mutual_nearest(&pictures, &texts), 1.0 / 3.0);
        close(mutual_nearest(&vectors(&[RIGHT]), &vectors(&[LEFT])), 1.0);
    }

    #[test]
    fn alignment_is_the_mean_of_squared_distances() {
        // Squared distances 2 and 4.
        close(alignment(&vectors(&[RIGHT, RIGHT]), &vectors(&[UP, LEFT])), 3.0);
    }

    #[test]
    fn uniformity_of_three_rows_worked_by_hand() {
        // Squared distances of the pairs: 2, 4, 2.
        let expected = ((2.0 * (-4f64).exp() + (-8f64).exp()) / 3.0).ln();
        close(uniformity(&vectors(&[RIGHT, UP, LEFT]), Seed(1)), expected);
        close(uniformity(&vectors(&[UP, UP]), Seed(1)), 0.0);
    }

    #[test]
    fn uniformity_over_drawn_pairs_is_near_that_over_all_pairs() {
        let rows = drawn(ALL_PAIRS + 500, 8, 1);
        let pair = |a: usize, b: usize| (-2.0 * squared_distance(rows.row(a), rows.row(b))).exp();
        let all: f64 = (0..rows.len()).map(|a| (0..a).map(|b| pair(a, b)).sum::<f64>()).sum();
        let exact = (all / (rows.len() * (rows.len() - 1) / 2) as f64).ln();
        let found = uniformity(&rows, Seed(1));
        // The mean of 2^20 values with a spread of about four times their mean: 0.4 %.
        assert!((found - exact).abs() < 0.02, "{found} is not {exact}");
        assert_eq!(found.to_bits(), uniformity(&rows, Seed(1)).to_bits());
    }

    #[test]
    fn distances_fall_into_bins_that_do_not_depend_on_them() {
        let found = distances(&vectors(&[RIGHT, RIGHT]), &vectors(&[RIGHT, LEFT]), Seed(1));
        assert_eq!((found.edges[0], found.edges[1], found.edges[BINS]), (0.0, 0.05, 2.0));
        // Partners at 0 and 2; the only other text of each is the other's.
        for bins in [&found.matched, &found.random] {
            assert_eq!((bins[0], bins[BINS - 1], bins.iter().sum::<usize>()), (1, 1, 2));
        }
        close(found.mean_matched, 1.0);
        close(found.mean_random, 1.0);
    }

    #[test]
    fn the_average_rank_of_a_small_gallery_is_counted_and_ties_stand_before() {
        // Text 0 finds its own first; text 1 has both others at least as near as its own.
        let pictures = vectors(&[RIGHT, LEFT, RIGHT]);
        let texts = vectors(&[RIGHT, RIGHT, LEFT]);
        // Ranks 2 (a tie), 3, 3 (its own and one other are equally far).
        close(average_rank_among(&pictures, &texts, 1000, Seed(1)), 8.0 / 3.0);
    }

    #[test]
    fn the_average_rank_of_random_partners_is_the_middle_of_the_gallery() {
        let (pictures, texts) = (drawn(3000, 12, 1), drawn(3000, 12, 2));
        let rank = average_rank_among(&pictures, &texts, 101, Seed(1));
        // A rank is spread evenly over 1 to 101: its mean over 3,000 has a spread of 0.53.
        assert!((rank - 51.0).abs() < 2.5, "{rank}");
    }

    /// A line of points at 0, 1, 2, ... and a map of them.
    fn line(count: usize) -> Vec<f32> {
        (0..count).map(|place| place as f32).collect()
    }

    fn places(of: &[f32]) -> Vec<[f32; 2]> {
        of.iter().map(|&x| [x, 0.0]).collect()
    }

    #[test]
    fn a_map_that_keeps_all_distances_keeps_all_neighbours() {
        let rows = line(30);
        close(neighbourhood_preservation(&rows, 1, &places(&rows), 5, Seed(1)), 1.0);
        close(trustworthiness(&rows, 1, &places(&rows), 5, Seed(1)), 1.0);
    }

    #[test]
    fn a_map_of_four_points_worked_by_hand() {
        // Rows 0, 1, 3, 7 shown at 0, 7, 3, 1. The nearest of the rows are 1, 0, 1, 2; those in
        // the map are 3, 2, 3, 0: none is kept. Their ranks among the rows are 3, 2, 3, 3.
        let rows = [0.0, 1.0, 3.0, 7.0];
        let map = places(&[0.0, 7.0, 3.0, 1.0]);
        close(neighbourhood_preservation(&rows, 1, &map, 1, Seed(1)), 0.0);
        // 1 - 2 / (4 * 1 * (8 - 3 - 1)) * (2 + 1 + 2 + 2)
        close(trustworthiness(&rows, 1, &map, 1, Seed(1)), 1.0 - 2.0 / 16.0 * 7.0);
    }

    #[test]
    fn a_map_of_one_place_keeps_nothing_but_chance_and_copies_cost_nothing() {
        let one_place = vec![[0.0; 2]; 101];
        close(neighbourhood_preservation(&line(101), 1, &one_place, 5, Seed(1)), {
            // Rows have 5 neighbours, 6 where two tie for the fifth place: all but the three at
            // each end. Shares of 100.
            (95.0 * 6.0 + 6.0 * 5.0) / 101.0 / 100.0
        });
        let copies = vec![1.0; 101];
        close(neighbourhood_preservation(&copies, 1, &one_place, 5, Seed(1)), 1.0);
    }

    #[test]
    fn points_that_stand_for_all_give_nearly_the_same() {
        let rows = drawn(POINTS + 500, 3, 4);
        let positions: Vec<[f32; 2]> = rows.rows().map(|row| [row[0], row[1]]).collect();
        let found = neighbourhood_preservation(rows.as_slice(), 3, &positions, 10, Seed(1));
        let other = neighbourhood_preservation(rows.as_slice(), 3, &positions, 10, Seed(2));
        assert!((found - other).abs() < 0.02, "{found}, {other}");
        assert_ne!(found.to_bits(), other.to_bits());
        // The sphere seen from above: two sheets lie on each other.
        let trust = trustworthiness(rows.as_slice(), 3, &positions, 10, Seed(1));
        assert!(found > 0.3 && found < 0.8 && trust > 0.6 && trust < 0.95, "{found}, {trust}");
    }
}
