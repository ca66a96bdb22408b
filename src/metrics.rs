//! Retrieval metrics as pure functions over ranks.
//!
//! A rank says how many gallery rows a user must look at to meet the first right one. All other
//! figures are computed from ranks alone, so that two models can be compared query by query.

use std::collections::BTreeMap;

use looksee_kernels::search::scan::dot;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::units::Seed;
use crate::vectors::Vectors;

/// Queries that share one pass over the gallery.
const QUERIES_A_BLOCK: usize = 16;
/// Resamples behind an interval; more would move its ends by less than a printed digit.
const RESAMPLES: usize = 1000;
/// Standard deviations to either side that hold 95 % of a normal distribution.
const NORMAL_95: f64 = 1.96;

/// The rank (from 1) of each query's best right gallery row, ties counted against us.
///
/// `right(query, row)` says whether `row` answers `query`; a query without a right row gets
/// `None`. `skip(query, row)` takes a row out of a query's gallery (itself, in picture->picture).
/// Other right rows do not stand in the way of the best one.
///
/// # Panics
/// When queries and gallery have rows of different sizes.
pub fn ranks(
    queries: &Vectors,
    gallery: &Vectors,
    right: &(dyn Fn(usize, usize) -> bool + Sync),
    skip: &(dyn Fn(usize, usize) -> bool + Sync),
) -> Vec<Option<usize>> {
    assert_eq!(queries.dim(), gallery.dim(), "queries and gallery of different sizes");
    let numbers: Vec<usize> = (0..queries.len()).collect();
    let rank = |(&query, scores): (&usize, Vec<f32>)| {
        rank_of(&scores, &|row| right(query, row), &|row| skip(query, row))
    };
    let block = |block: &[usize]| -> Vec<Option<usize>> {
        block.iter().zip(cosines(queries, block, gallery)).map(rank).collect()
    };
    numbers.par_chunks(QUERIES_A_BLOCK).flat_map_iter(block).collect()
}

/// The rank of the best right row among `scores`, one a gallery row.
fn rank_of(
    scores: &[f32],
    right: &dyn Fn(usize) -> bool,
    skip: &dyn Fn(usize) -> bool,
) -> Option<usize> {
    let answers = (0..scores.len()).filter(|&row| right(row) && !skip(row));
    let best = answers.map(|row| scores[row]).max_by(f32::total_cmp)?;
    let before = scores.iter().enumerate().filter(|&(_, &score)| score >= best);
    Some(1 + before.filter(|&(row, _)| !right(row) && !skip(row)).count())
}

/// The cosines of some queries with all gallery rows, a list a query.
fn cosines(queries: &Vectors, block: &[usize], gallery: &Vectors) -> Vec<Vec<f32>> {
    let mut scores = vec![Vec::with_capacity(gallery.len()); block.len()];
    for row in gallery.rows() {
        for (scores, &query) in scores.iter_mut().zip(block) {
            scores.push(dot(queries.row(query), row));
        }
    }
    scores
}

/// What the ranks of many queries say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of queries with a right answer in the gallery.
    pub queries: usize,
    /// Share of queries whose right answer is first.
    pub r1: f64,
    /// Share among the first 5.
    pub r5: f64,
    /// Share among the first 10.
    pub r10: f64,
    /// Mean of 1/rank.
    pub mrr: f64,
    /// Median rank.
    pub median_rank: f64,
    /// Mean rank.
    pub mean_rank: f64,
    /// 95 % bootstrap intervals.
    pub ci95: Intervals,
}

/// 95 % intervals over resampled queries, `[low, high]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intervals {
    /// Of [`Summary::r1`].
    pub r1: [f64; 2],
    /// Of [`Summary::r5`].
    pub r5: [f64; 2],
    /// Of [`Summary::r10`].
    pub r10: [f64; 2],
    /// Of [`Summary::mrr`].
    pub mrr: [f64; 2],
}

/// Summarises ranks (from 1); `None` when there are none.
///
/// The intervals come from 1,000 resamples of the queries (percentile bootstrap); the same seed
/// gives the same intervals.
pub fn summarise(ranks: &[usize], seed: Seed) -> Option<Summary> {
    if ranks.is_empty() {
        return None;
    }
    let [r1, r5, r10, mrr] = means(ranks.iter().copied());
    Some(Summary {
        queries: ranks.len(),
        r1,
        r5,
        r10,
        mrr,
        median_rank: median(ranks),
        mean_rank: ranks.iter().sum::<usize>() as f64 / ranks.len() as f64,
        ci95: bootstrap(ranks, seed),
    })
}

/// Recall at 1, 5 and 10 and mean reciprocal rank.
fn means(ranks: impl ExactSizeIterator<Item = usize>) -> [f64; 4] {
    let count = ranks.len() as f64;
    let mut sums = [0.0; 4];
    for rank in ranks {
        for (sum, first) in sums.iter_mut().zip([1, 5, 10]) {
            *sum += f64::from(u8::from(rank <= first));
        }
        sums[3] += 1.0 / rank as f64;
    }
    sums.map(|sum| sum / count)
}

fn median(ranks: &[usize]) -> f64 {
    let mut sorted = ranks.to_vec();
    sorted.sort_unstable();
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle] as f64
    } else {
        (sorted[middle - 1] + sorted[middle]) as f64 / 2.0
    }
}

fn bootstrap(ranks: &[usize], seed: Seed) -> Intervals {
    let resamples: Vec<[f64; 4]> = (0..RESAMPLES)
        .into_par_iter()
        .map(|number| {
            let mut rng = seed.stream("bootstrap", number as u64);
            means((0..ranks.len()).map(|_| ranks[rng.usize(..ranks.len())]))
        })
        .collect();
    let of = |metric: usize| interval(resamples.iter().map(|resample| resample[metric]).collect());
    Intervals { r1: of(0), r5: of(1), r10: of(2), mrr: of(3) }
}

/// The values between which the middle 95 % of `values` lie.
fn interval(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
    [at(0.025), at(0.975)]
}

/// The mean of paired differences and its 95 % interval over resampled queries; `None` when there
/// are none.
pub fn mean_difference(differences: &[f64], seed: Seed) -> Option<(f64, [f64; 2])> {
    if differences.is_empty() {
        return None;
    }
    let count = differences.len();
    let resampled = |number: usize| {
        let mut rng = seed.stream("paired bootstrap", number as u64);
        (0..count).map(|_| differences[rng.usize(..count)]).sum::<f64>() / count as f64
    };
    let means = (0..RESAMPLES).into_par_iter().map(resampled).collect();
    Some((differences.iter().sum::<f64>() / count as f64, interval(means)))
}

/// What ranks drawn by chance would give: each query has `right[i]` right rows among `gallery`.
///
/// For a query with `r` right rows among `g` in random order, the best of them is
/// - beyond place `k` with probability `C(g-k, r) / C(g, r)`, the product of
///   `(g-r-i) / (g-i)` over `i < k`; recall at `k` is one minus that,
/// - on average at place `(g+1) / (r+1)`.
///
/// The mean reciprocal rank is the sum of `P(rank = k) / k`, the median is that of the mixture of
/// all queries, and the intervals are those in which 95 % of guessing models fall (normal
/// approximation). Queries without a right row do not count; `None` when no query is left.
pub fn chance(right: &[usize], gallery: usize) -> Option<Summary> {
    let mut queries: BTreeMap<usize, usize> = BTreeMap::new();
    for &right in right.iter().filter(|&&right| right > 0 && gallery > 0) {
        *queries.entry(right.min(gallery)).or_default() += 1;
    }
    let count: usize = queries.values().sum();
    if count == 0 {
        return None;
    }
    let guesses: Vec<(f64, Guess)> = queries
        .iter()
        .map(|(&right, &share)| (share as f64 / count as f64, Guess::new(right, gallery)))
        .collect();
    let mean = |value: &dyn Fn(&Guess) -> f64| -> f64 {
        guesses.iter().map(|(share, guess)| share * value(guess)).sum()
    };
    let recall = |k: usize| mean(&|guess| guess.within(k));
    let recall_interval =
        |k: usize| normal(recall(k), mean(&|g| g.within(k) * (1.0 - g.within(k))), count);
    let mrr = mean(&Guess::reciprocal);
    let spread = mean(&|guess| guess.reciprocal_square() - guess.reciprocal().powi(2));
    Some(Summary {
        queries: count,
        r1: recall(1),
        r5: recall(5),
        r10: recall(10),
        mrr,
        median_rank: mixture_median(&recall, gallery),
        mean_rank: mean(&|guess| (gallery + 1) as f64 / (guess.right + 1) as f64),
        ci95: Intervals {
            r1: recall_interval(1),
            r5: recall_interval(5),
            r10: recall_interval(10),
            mrr: normal(mrr, spread, count),
        },
    })
}

/// The distribution of the best of `right` places drawn at random.
struct Guess {
    right: usize,
    /// Probability that the best place is beyond `k`, for `k` from 0 to the size of the gallery.
    beyond: Vec<f64>,
}

impl Guess {
    fn new(right: usize, gallery: usize) -> Self {
        let mut beyond = vec![1.0];
        for place in 0..gallery {
            let wrong = (gallery - right).saturating_sub(place) as f64;
            beyond.push(beyond[place] * wrong / (gallery - place) as f64);
        }
        Self { right, beyond }
    }

    fn within(&self, k: usize) -> f64 {
        1.0 - self.beyond[k.min(self.beyond.len() - 1)]
    }

    fn reciprocal(&self) -> f64 {
        self.mean_of(|place| 1.0 / place)
    }

    fn reciprocal_square(&self) -> f64 {
        self.mean_of(|place| 1.0 / (place * place))
    }

    fn mean_of(&self, value: impl Fn(f64) -> f64) -> f64 {
        let at = self.beyond.windows(2).map(|pair| pair[0] - pair[1]);
        (1..).zip(at).map(|(place, probability)| probability * value(f64::from(place))).sum()
    }
}

/// The middle of the places that half of the queries reach and half do not.
fn mixture_median(within: &dyn Fn(usize) -> f64, gallery: usize) -> f64 {
    // Sums of many small probabilities are a little off.
    const HALF: f64 = 0.5;
    const SLACK: f64 = 1e-9;
    let first = |bound: f64| first_place(gallery, &|place| within(place) >= bound);
    (first(HALF - SLACK) + first(HALF + SLACK)) as f64 / 2.0
}

/// The first place from 1 on that is `enough`; all places behind it must be, too.
fn first_place(gallery: usize, enough: &dyn Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (1, gallery);
    while low < high {
        let middle = usize::midpoint(low, high);
        if enough(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// Where 95 % of the means of `count` draws fall whose variance is `spread`, within 0 and 1.
fn normal(mean: f64, spread: f64, count: usize) -> [f64; 2] {
    let reach = NORMAL_95 * (spread.max(0.0) / count as f64).sqrt();
    [(mean - reach).max(0.0), (mean + reach).min(1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(rows: &[[f32; 2]]) -> Vectors {
        Vectors::normalised(2, rows.concat()).unwrap()
    }

    fn same(query: usize, row: usize) -> bool {
        query == row
    }

    fn nothing(_: usize, _: usize) -> bool {
        false
    }

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    #[test]
    fn a_rank_counts_the_rows_that_are_at_least_as_close() {
        // Cosines: [1, 0.6, 0], [0.6, 1, 0.8], [-0.6, 0.28.., 0.8]; worked out by hand.
        let gallery = vectors(&[[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]);
        let queries = vectors(&[[1.0, 0.0], [0.0, 1.0], [-0.6, 0.8]]);
        assert_eq!(ranks(&queries, &gallery, &same, &nothing), [Some(1), Some(2), Some(1)]);
    }

    #[test]
    fn ties_count_against_us() {
        let gallery = vectors(&[[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]);
        assert_eq!(ranks(&gallery, &gallery, &same, &nothing), [Some(3); 3]);
    }

    #[test]
    fn the_best_of_several_right_rows_counts_and_the_others_do_not_stand_in_its_way() {
        let gallery = vectors(&[[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]]);
        let queries = vectors(&[[1.0, 0.0]]);
        let right = |_: usize, row: usize| row == 1 || row == 2;
        assert_eq!(ranks(&queries, &gallery, &right, &nothing), [Some(2)]);
    }

    #[test]
    fn a_query_that_is_in_the_gallery_does_not_find_itself() {
        let pictures = vectors(&[[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]);
        let right = |query: usize, row: usize| query / 2 == row / 2;
        // The third has no partner but itself.
        assert_eq!(ranks(&pictures, &pictures, &right, &same), [Some(1), Some(1), None]);
    }

    #[test]
    fn ranks_of_many_rows_agree_with_sorting() {
        let mut rng = Seed(5).stream("test", 0);
        let mut draw = |rows: usize| {
            let values = (0..rows * 37).map(|_| rng.f32() - 0.5).collect();
            Vectors::normalised(37, values).unwrap()
        };
        let (queries, gallery) = (draw(50), draw(70));
        for (query, rank) in ranks(&queries, &gallery, &same, &nothing).into_iter().enumerate() {
            let score = |row: &usize| dot(queries.row(query), gallery.row(*row));
            let mut order: Vec<usize> = (0..70).collect();
            order.sort_by(|a, b| score(b).total_cmp(&score(a)));
            assert_eq!(rank.unwrap(), 1 + order.iter().position(|&row| row == query).unwrap());
        }
    }

    #[test]
    fn a_summary_of_ranks_worked_out_by_hand() {
        let summary = summarise(&[1, 2, 4, 10, 20], Seed(1)).unwrap();
        assert_eq!(summary.queries, 5);
        close(summary.r1, 0.2);
        close(summary.r5, 0.6);
        close(summary.r10, 0.8);
        close(summary.mrr, (1.0 + 0.5 + 0.25 + 0.1 + 0.05) / 5.0);
        close(summary.median_rank, 4.0);
        close(summary.mean_rank, 37.0 / 5.0);
        close(summarise(&[1, 4], Seed(1)).unwrap().median_rank, 2.5);
        assert_eq!(summarise(&[], Seed(1)), None);
    }

    #[test]
    fn intervals_hold_the_value_repeat_with_the_seed_and_narrow_with_more_queries() {
        let few: Vec<usize> = (1..=20).collect();
        let many = few.repeat(50);
        let (narrow, wide) =
            (summarise(&many, Seed(1)).unwrap(), summarise(&few, Seed(1)).unwrap());
        assert!(wide.ci95.r5[0] <= 0.25 && 0.25 <= wide.ci95.r5[1]);
        let width = |interval: [f64; 2]| interval[1] - interval[0];
        assert!(width(narrow.ci95.r5) < width(wide.ci95.r5) / 4.0);
        assert_eq!(wide, summarise(&few, Seed(1)).unwrap());
        assert_ne!(wide.ci95, summarise(&few, Seed(2)).unwrap().ci95);
    }

    #[test]
    fn chance_with_one_right_row_is_the_share_of_the_gallery() {
        let chance = chance(&[1; 1000], 1000).unwrap();
        close(chance.r1, 0.001);
        close(chance.r5, 0.005);
        close(chance.r10, 0.01);
        close(chance.mean_rank, 500.5);
        close(chance.median_rank, 500.5);
        let harmonic: f64 = (1..=1000).map(|k| 1.0 / f64::from(k)).sum();
        close(chance.mrr, harmonic / 1000.0);
        assert!(chance.ci95.r10[0] < 0.01 && 0.01 < chance.ci95.r10[1]);
    }

    #[test]
    fn chance_with_two_right_rows_of_four_is_what_counting_the_six_cases_gives() {
        // Best places of the pairs: 1 1 1 2 2 3.
        let chance = chance(&[2, 0], 4).unwrap();
        assert_eq!(chance.queries, 1);
        close(chance.r1, 0.5);
        close(chance.r5, 1.0);
        close(chance.mean_rank, 10.0 / 6.0);
        close(chance.mrr, (3.0 + 2.0 / 2.0 + 1.0 / 3.0) / 6.0);
        close(chance.median_rank, 1.5);
    }

    #[test]
    fn chance_mixes_queries_and_needs_one() {
        close(chance(&[1, 3], 4).unwrap().r1, f64::midpoint(0.25, 0.75));
        close(chance(&[9], 4).unwrap().r1, 1.0);
        assert_eq!(chance(&[0], 4), None);
        assert_eq!(chance(&[1], 0), None);
    }

    #[test]
    fn a_paired_difference_is_the_mean_with_an_interval_around_it() {
        let (mean, [low, high]) = mean_difference(&[1.0, 0.0, 0.0, -1.0, 1.0], Seed(3)).unwrap();
        close(mean, 0.2);
        assert!(low < mean && mean < high, "{low} {high}");
        assert_eq!(mean_difference(&[], Seed(3)), None);
    }
}
