//! How well two views of the same items agree: their pictures and their texts.
//!
//! Pure functions over rows, for the figures beside a map. They need no ground truth: row `i` of the
//! one side is the partner of row `i` of the other. Samples are drawn from a seed, and no result
//! depends on the number of threads.

use looksee_kernels::search::nearest::{Candidates, Nearest, half_squares};
use looksee_kernels::search::scan::{Scored, dot, top_k};
use rayon::prelude::*;
use serde::Serialize;

use crate::metrics;
use crate::units::Seed;
use crate::vectors::Vectors;

/// Pairs behind [`uniformity`], at most.
const PAIRS: usize = 200_000;
/// Points whose neighbourhoods are compared, at most.
const NEIGHBOURHOODS: usize = 1000;
/// Partners that look for each other among all rows, at most.
const PARTNERS: usize = 5000;
/// Bins of a [`Histogram`], from distance 0 to 2, which no two unit vectors exceed.
const BINS: usize = 40;
/// Pictures among which a text looks for its own.
const GALLERY: usize = 1000;
/// Galleries that [`mean_rank`] asks, at most.
const QUERIES: usize = 1000;
/// Rows that are searched together.
const BLOCK: usize = 64;

/// The figures that [`measure`] gives.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// Distance between the centroids of pictures and texts, 0 to 2 (Liang et al. 2022).
    pub modality_gap: f64,
    /// Share of partners that are each other's nearest across the two sides.
    pub mutual_nearest: f64,
    /// Mean squared distance of partners, 0 to 4; smaller is better (Wang & Isola 2020).
    pub alignment: f64,
    /// Of all rows: `ln mean exp(-2 d^2)`, 0 to about -4; smaller is more even (Wang & Isola 2020).
    pub uniformity: f64,
    /// Mean rank of the right picture of a text among `gallery`, from 1.
    pub mean_rank: f64,
    /// Pictures that the rank is counted among: 1,000, or all if there are fewer.
    pub gallery: usize,
    /// Distances of partners against those of random pairs.
    pub distances: Histogram,
}

/// How far partners lie from each other, and how far any picture from any text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Histogram {
    /// Bounds of the bins, ascending, one more than bins.
    pub edges: Vec<f32>,
    /// Partners in each bin.
    pub matched: Vec<u64>,
    /// Random pairs in each bin.
    pub random: Vec<u64>,
    /// Mean distance of partners.
    pub matched_mean: f64,
    /// Mean distance of random pairs.
    pub random_mean: f64,
}

/// All figures of pictures `[n, dim]` and their texts `[n, dim]`; `None` when there are fewer than
/// two.
///
/// # Panics
/// When the sides have different numbers or sizes of rows.
pub fn measure(pictures: &Vectors, texts: &Vectors, seed: Seed) -> Option<Agreement> {
    assert_eq!((pictures.len(), pictures.dim()), (texts.len(), texts.dim()), "rows of both sides");
    (pictures.len() > 1).then(|| Agreement {
        modality_gap: modality_gap(pictures, texts),
        mutual_nearest: mutual_nearest(pictures, texts),
        alignment: alignment(pictures, texts),
        uniformity: uniformity(pictures, texts, seed),
        mean_rank: mean_rank(pictures, texts, GALLERY, seed),
        gallery: pictures.len().min(GALLERY),
        distances: distances(pictures, texts, seed),
    })
}

/// The distance between the centroids of the two sides.
pub fn modality_gap(pictures: &Vectors, texts: &Vectors) -> f64 {
    let pairs = centroid(pictures).into_iter().zip(centroid(texts));
    pairs.map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt()
}

fn centroid(rows: &Vectors) -> Vec<f64> {
    let mut sums = vec![0.0; rows.dim()];
    for row in rows.rows() {
        sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    sums.into_iter().map(|sum| sum / rows.len().max(1) as f64).collect()
}

/// The share of partners that are each other's nearest among all rows of the other side, over at most
/// 5,000 partners evenly among all; who shares the first place is not the nearest.
pub fn mutual_nearest(pictures: &Vectors, texts: &Vectors) -> f64 {
    let step = pictures.len().div_ceil(PARTNERS).max(1);
    let asked: Vec<usize> = (0..pictures.len()).step_by(step).collect();
    let (of_pictures, of_texts) =
        (finds_partner(pictures, texts, &asked), finds_partner(texts, pictures, &asked));
    let mutual = of_pictures.iter().zip(&of_texts).filter(|&(&a, &b)| a && b).count();
    mutual as f64 / asked.len().max(1) as f64
}

/// Whether the partner of each of the rows `asked` is nearer than any other row.
fn finds_partner(queries: &Vectors, gallery: &Vectors, asked: &[usize]) -> Vec<bool> {
    let rows = queries.select(asked);
    let best = top_k(gallery.as_slice(), gallery.dim(), None, rows.as_slice(), 2);
    let alone = |(&query, best): (&usize, &Vec<Scored>)| match best[..] {
        [] => false,
        [first] => first.row == query,
        [first, second, ..] => first.row == query && second.score < first.score,
    };
    asked.iter().zip(&best).map(alone).collect()
}

/// The mean squared distance of partners.
pub fn alignment(pictures: &Vectors, texts: &Vectors) -> f64 {
    let partners = pictures.rows().zip(texts.rows());
    partners.map(|(x, y)| square(x, y)).sum::<f64>() / pictures.len().max(1) as f64
}

/// The squared distance of two unit rows.
fn square(x: &[f32], y: &[f32]) -> f64 {
    (2.0 - 2.0 * f64::from(dot(x, y))).max(0.0)
}

/// `ln mean exp(-2 d^2)` over pairs of different rows of both sides together: all pairs if there are
/// at most 200,000, else so many by chance.
pub fn uniformity(pictures: &Vectors, texts: &Vectors, seed: Seed) -> f64 {
    let count = pictures.len() + texts.len();
    let row = |at: usize| {
        if at < pictures.len() { pictures.row(at) } else { texts.row(at - pictures.len()) }
    };
    let term = |(a, b): (usize, usize)| (-2.0 * square(row(a), row(b))).exp();
    let all = count * count.saturating_sub(1) / 2;
    let pairs: Vec<(usize, usize)> = if all <= PAIRS {
        (0..count).flat_map(|a| (0..a).map(move |b| (a, b))).collect()
    } else {
        let mut chance = seed.stream("uniformity", 0);
        let mut pair = || {
            let (a, b) = (chance.usize(0..count), chance.usize(0..count - 1));
            (a, b + usize::from(b >= a))
        };
        (0..PAIRS).map(|_| pair()).collect()
    };
    let parts: Vec<f64> =
        pairs.par_chunks(4096).map(|pairs| pairs.iter().copied().map(term).sum()).collect();
    (parts.iter().sum::<f64>() / pairs.len().max(1) as f64).ln()
}

/// The mean rank of each text's picture in galleries of `gallery` pictures, its own among them, ties
/// counted against it; over at most 1,000 texts.
pub fn mean_rank(pictures: &Vectors, texts: &Vectors, gallery: usize, seed: Seed) -> f64 {
    let mut chance = seed.stream("mean rank", 0);
    let mut rows: Vec<usize> = (0..pictures.len()).collect();
    chance.shuffle(&mut rows);
    rows.truncate(gallery);
    let pictures = pictures.select(&rows);
    let queries = &rows[..rows.len().min(QUERIES)];
    let texts = texts.select(queries);
    let ranks = metrics::ranks(&texts, &pictures, &|query, row| query == row, &|_, _| false);
    let sum: usize = ranks.iter().flatten().sum();
    sum as f64 / queries.len().max(1) as f64
}

/// How far partners lie from each other, against pictures and texts put together by chance.
pub fn distances(pictures: &Vectors, texts: &Vectors, seed: Seed) -> Histogram {
    let mut chance = seed.stream("random pairs", 0);
    let count = pictures.len();
    let (mut matched, mut random) = (vec![0; BINS], vec![0; BINS]);
    let (mut matched_sum, mut random_sum) = (0.0, 0.0);
    let bin = |distance: f64| ((distance / 2.0 * BINS as f64) as usize).min(BINS - 1);
    for row in 0..count {
        let own = square(pictures.row(row), texts.row(row)).sqrt();
        matched[bin(own)] += 1;
        matched_sum += own;
        if count > 1 {
            let other = chance.usize(0..count - 1);
            let other = other + usize::from(other >= row);
            let distance = square(pictures.row(row), texts.row(other)).sqrt();
            random[bin(distance)] += 1;
            random_sum += distance;
        }
    }
    Histogram {
        edges: (0..=BINS).map(|edge| 2.0 * edge as f32 / BINS as f32).collect(),
        matched,
        random,
        matched_mean: matched_sum / count.max(1) as f64,
        random_mean: random_sum / count.max(1) as f64,
    }
}

/// The share of each row's `count` nearest rows that are among its nearest on the map, over at most
/// 1,000 rows evenly among all; 1 is best, chance is `count / (n - 1)`.
///
/// # Panics
/// When there are not as many positions as rows `[n, dim]`.
pub fn neighbourhood_preservation(
    rows: &[f32],
    dim: usize,
    positions: &[[f32; 2]],
    count: usize,
) -> f64 {
    assert_eq!(rows.len(), positions.len() * dim, "positions of the rows");
    let count = count.min(positions.len().saturating_sub(1));
    if count == 0 {
        return 1.0;
    }
    let step = positions.len().div_ceil(NEIGHBOURHOODS);
    let sample: Vec<usize> = (0..positions.len()).step_by(step).collect();
    let high = nearest(rows, dim, &sample, count);
    let low = nearest(positions.as_flattened(), 2, &sample, count);
    let shared =
        |(high, low): (&Vec<u32>, &Vec<u32>)| high.iter().filter(|n| low.contains(n)).count();
    let sum: usize = high.iter().zip(&low).map(shared).sum();
    sum as f64 / (sample.len() * count) as f64
}

/// The numbers of the `count` nearest others of each of the rows `sample`.
fn nearest(rows: &[f32], dim: usize, sample: &[usize], count: usize) -> Vec<Vec<u32>> {
    let halves = half_squares(rows, dim);
    let candidates = Candidates { rows, halves: &halves, first: 0 };
    let of_block = |block: &[usize]| -> Vec<Vec<u32>> {
        let row = |&at: &usize| &rows[at * dim..][..dim];
        let queries: Vec<f32> = block.iter().flat_map(row).copied().collect();
        let mut nearest = Nearest::new(dim, count + 1);
        nearest.clear(block.len());
        nearest.meet(&queries, candidates);
        let finish = |(query, &own): (usize, &usize)| {
            let (mut numbers, mut squares) = (vec![0; count], vec![0.0; count]);
            nearest.finish(query, own as u32, rows, &mut numbers, &mut squares);
            numbers
        };
        block.iter().enumerate().map(finish).collect()
    };
    let blocks: Vec<Vec<Vec<u32>>> = sample.par_chunks(BLOCK).map(of_block).collect();
    blocks.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(rows: &[[f32; 2]]) -> Vectors {
        Vectors::normalised(2, rows.as_flattened().to_vec()).unwrap()
    }

    fn random(count: usize, dim: usize, seed: u64) -> Vectors {
        let mut chance = Seed(seed).stream("rows", 0);
        Vectors::normalised(dim, (0..count * dim).map(|_| chance.f32() - 0.5).collect()).unwrap()
    }

    #[test]
    fn sides_that_are_equal_agree_in_everything() {
        let rows = random(300, 16, 1);
        let found = measure(&rows, &rows, Seed(0)).unwrap();
        assert!(found.modality_gap.abs() < 1e-9 && found.alignment < 1e-6);
        assert!((found.mutual_nearest - 1.0).abs() < 1e-9);
        assert!((found.mean_rank - 1.0).abs() < 1e-9);
        assert_eq!(found.distances.matched[0], 300);
    }

    #[test]
    fn sides_that_have_nothing_in_common_agree_by_chance() {
        let found = measure(&random(2000, 16, 1), &random(2000, 16, 2), Seed(0)).unwrap();
        assert!(found.mutual_nearest < 0.01, "{}", found.mutual_nearest);
        assert!((found.mean_rank - 500.5).abs() < 30.0, "{}", found.mean_rank);
        let Histogram { matched_mean, random_mean, .. } = found.distances;
        assert!((matched_mean - random_mean).abs() < 0.02, "{matched_mean} {random_mean}");
    }

    #[test]
    fn figures_of_a_square_are_those_of_paper_and_pencil() {
        let (pictures, texts) =
            (vectors(&[[1.0, 0.0], [0.0, 1.0]]), vectors(&[[0.0, 1.0], [-1.0, 0.0]]));
        // Centroids (1/2, 1/2) and (-1/2, 1/2).
        assert!((modality_gap(&pictures, &texts) - 1.0).abs() < 1e-6);
        // Both partners are a quarter turn apart.
        assert!((alignment(&pictures, &texts) - 2.0).abs() < 1e-6);
        // Each picture's nearest text is the first, which equals the second picture.
        assert!(mutual_nearest(&pictures, &texts).abs() < 1e-9);
        // Four pairs at d^2 = 2, one at 4, one at 0.
        let mean: f64 = (4.0 * (-4.0f64).exp() + (-8.0f64).exp() + 1.0) / 6.0;
        assert!((uniformity(&pictures, &texts, Seed(0)) - mean.ln()).abs() < 1e-6);
        // The first text is nearer to the other picture, the second is not.
        assert!((mean_rank(&pictures, &texts, 1000, Seed(0)) - 1.5).abs() < 1e-9);
    }

    #[test]
    fn who_shares_the_first_place_is_not_the_nearest() {
        let twins = vectors(&[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]);
        assert!((mutual_nearest(&twins, &twins) - 1.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_sample_of_pairs_is_near_to_all_pairs() {
        let (pictures, texts) = (random(300, 8, 1), random(300, 8, 2));
        let all = uniformity(&pictures, &texts, Seed(0));
        let many = random(2000, 8, 3);
        let sampled = uniformity(&many, &random(2000, 8, 4), Seed(0));
        assert!((all - sampled).abs() < 0.05, "{all} {sampled}");
        let other_seed = uniformity(&many, &random(2000, 8, 4), Seed(1));
        assert!((other_seed - sampled).abs() < 0.02);
    }

    #[test]
    fn a_map_that_is_the_space_keeps_all_neighbours_and_a_shuffled_one_few() {
        let rows = random(3000, 2, 5);
        let mut positions: Vec<[f32; 2]> = rows.rows().map(|row| [row[0], row[1]]).collect();
        let kept = neighbourhood_preservation(rows.as_slice(), 2, &positions, 10);
        assert!((kept - 1.0).abs() < 1e-9, "{kept}");
        Seed(1).stream("shuffle", 0).shuffle(&mut positions);
        assert!(neighbourhood_preservation(rows.as_slice(), 2, &positions, 10) < 0.02);
        assert!((neighbourhood_preservation(&[1.0], 1, &[[0.0; 2]], 10) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn fewer_than_two_partners_have_no_figures() {
        assert!(measure(&vectors(&[[1.0, 0.0]]), &vectors(&[[1.0, 0.0]]), Seed(0)).is_none());
    }
}
