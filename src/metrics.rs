//! Retrieval metrics as pure functions over ranks.
//!
//! A rank says how many gallery rows a user must look at to meet the first right one. [`Summary`] is
//! computed from ranks alone, so that two models can be compared query by query.
//!
//! A question that many rows answer is judged by all of them ([`answers`]): the share of right ones
//! in the nine places that a grid shows, average precision, and discounted gain.

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

/// Places of the grid that a search shows.
pub const GRID: usize = 9;
/// Places whose discounted gain counts.
const GAIN_PLACES: usize = 10;

/// How well one question with several right rows was answered; each figure from 0 to 1, greater is
/// better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// Share of right rows among the nine nearest (P@9); among all of a smaller gallery.
    pub p9: f64,
    /// Average precision: the mean, over the right rows, of the share of right ones up to there.
    pub ap: f64,
    /// Normalised discounted cumulative gain of the ten nearest: right rows count `1 / log2(1 +
    /// place)`, divided by what the best order gives (Järvelin and Kekäläinen, 2002).
    pub ndcg10: f64,
}

/// What rows in random order would give, on average, with `right` right ones among `gallery`.
///
/// A place is right with probability `r / g`. Average precision sums, over the places i, the chance
/// that i is right times the share expected up to there, `(1 + (i-1)(r-1)/(g-1)) / i`, which is
/// `(H_g + (g - H_g)(r-1)/(g-1)) / g` with the harmonic number `H_g` (Bestgen, 2015).
pub fn answered_by_chance(right: usize, gallery: usize) -> Answered {
    if right == 0 || gallery == 0 {
        return Answered::default();
    }
    let right = right.min(gallery);
    let (r, g) = (right as f64, gallery as f64);
    let harmonic: f64 = (1..=gallery).map(|place| 1.0 / place as f64).sum();
    let others = if gallery > 1 { (r - 1.0) / (g - 1.0) } else { 0.0 };
    let gain: f64 = (1..=GAIN_PLACES.min(gallery)).map(discount).sum();
    Answered {
        p9: r / g,
        ap: (harmonic + (g - harmonic) * others) / g,
        ndcg10: r / g * gain / best_gain(right),
    }
}

/// How well each question is answered by the gallery in the order of its cosines, ties counted
/// against us; `None` for a question without a right row.
///
/// `questions` is `[n, dim]`, `gallery` is `[rows, dim]`; `right` has, for each question, the numbers
/// of the gallery rows that answer it, ascending.
///
/// # Panics
/// When questions and gallery have rows of different sizes, or there are not as many lists as
/// questions.
pub fn answers<R: AsRef<[usize]> + Sync>(
    questions: &Vectors,
    gallery: &Vectors,
    right: &[R],
) -> Vec<Option<Answered>> {
    assert_eq!(questions.dim(), gallery.dim(), "questions and gallery of different sizes");
    assert_eq!(questions.len(), right.len(), "a list of right rows for each question");
    let numbers: Vec<usize> = (0..questions.len()).collect();
    let block = |block: &[usize]| -> Vec<Option<Answered>> {
        let scores = block.iter().zip(cosines(questions, block, gallery));
        scores.map(|(&question, scores)| answered(&scores, right[question].as_ref())).collect()
    };
    numbers.par_chunks(QUERIES_A_BLOCK).flat_map_iter(block).collect()
}

/// How well each picture is answered by all others of `pictures` `[n, dim]`, itself left out; `None`
/// for one without a right row. `right` is as for [`answers`].
///
/// # Panics
/// When there are not as many lists as pictures.
pub fn answers_among_others<R: AsRef<[usize]> + Sync>(
    pictures: &Vectors,
    right: &[R],
) -> Vec<Option<Answered>> {
    assert_eq!(pictures.len(), right.len(), "a list of right rows for each picture");
    let numbers: Vec<usize> = (0..pictures.len()).collect();
    let without = |(&picture, mut scores): (&usize, Vec<f32>)| {
        scores.remove(picture);
        let right = right[picture].as_ref().iter().filter(|&&row| row != picture);
        let right: Vec<usize> = right.map(|&row| row - usize::from(row > picture)).collect();
        answered(&scores, &right)
    };
    let block = |block: &[usize]| -> Vec<Option<Answered>> {
        block.iter().zip(cosines(pictures, block, pictures)).map(without).collect()
    };
    numbers.par_chunks(QUERIES_A_BLOCK).flat_map_iter(block).collect()
}

/// One question: the places of its right rows, and what they come to.
fn answered(scores: &[f32], right: &[usize]) -> Option<Answered> {
    let places = places(scores, right);
    if places.is_empty() {
        return None;
    }
    let within = |most: usize| places.iter().take_while(move |&&place| place <= most);
    let shares = (1..).zip(&places).map(|(found, &place)| f64::from(found) / place as f64);
    // Summed from 0: a sum of nothing is -0, which would be told as it is.
    let gain = within(GAIN_PLACES).fold(0.0, |gain, &place| gain + discount(place));
    Some(Answered {
        p9: within(GRID).count() as f64 / GRID.min(scores.len()) as f64,
        ap: shares.sum::<f64>() / places.len() as f64,
        ndcg10: gain / best_gain(places.len()),
    })
}

/// The places (from 1) of the right rows among all, ascending: each stands behind the wrong rows
/// that are at least as close.
fn places(scores: &[f32], right: &[usize]) -> Vec<usize> {
    let descending = |a: &f32, b: &f32| b.total_cmp(a);
    let mut of_right: Vec<f32> = right.iter().map(|&row| scores[row]).collect();
    of_right.sort_unstable_by(descending);
    let Some(&least) = of_right.last() else { return Vec::new() };
    // Wrong rows behind the last right one change no place.
    let mut of_wrong = Vec::new();
    let mut rights = right.iter().peekable();
    for (row, &score) in scores.iter().enumerate() {
        if rights.next_if(|&&right| right == row).is_none() && score >= least {
            of_wrong.push(score);
        }
    }
    of_wrong.sort_unstable_by(descending);
    let mut before = 0;
    let place = |(number, score): (usize, f32)| {
        before += of_wrong[before..].iter().take_while(|&&wrong| wrong >= score).count();
        1 + number + before
    };
    of_right.into_iter().enumerate().map(place).collect()
}

fn discount(place: usize) -> f64 {
    1.0 / (1.0 + place as f64).log2()
}

/// The gain of an order with all right rows first.
fn best_gain(right: usize) -> f64 {
    (1..=right.min(GAIN_PLACES)).map(discount).sum()
}

/// What the answers to many questions say: means, with 95 % intervals over resampled questions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// Number of questions.
    pub questions: usize,
    /// Mean of [`Answered::p9`].
    pub p9: f64,
    /// Mean average precision.
    pub map: f64,
    /// Mean of [`Answered::ndcg10`].
    pub ndcg10: f64,
    /// What rows in random order give on the same questions.
    pub chance: AnswerMeans,
    /// 95 % bootstrap intervals.
    pub ci95: AnswerIntervals,
}

/// Means over questions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerMeans {
    /// Of [`Answered::p9`].
    pub p9: f64,
    /// Of [`Answered::ap`].
    pub map: f64,
    /// Of [`Answered::ndcg10`].
    pub ndcg10: f64,
}

/// 95 % intervals over resampled questions, `[low, high]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerIntervals {
    /// Of [`Answers::p9`].
    pub p9: [f64; 2],
    /// Of [`Answers::map`].
    pub map: [f64; 2],
    /// Of [`Answers::ndcg10`].
    pub ndcg10: [f64; 2],
}

/// Summarises answers, each with what chance would give; `None` when there are none.
///
/// The intervals come from 1,000 resamples of the questions (percentile bootstrap); the same seed
/// gives the same intervals.
pub fn summarise_answers(answered: &[(Answered, Answered)], seed: Seed) -> Option<Answers> {
    if answered.is_empty() {
        return None;
    }
    let mean = |value: &dyn Fn(&(Answered, Answered)) -> f64| {
        answered.iter().map(value).sum::<f64>() / answered.len() as f64
    };
    let resample = |number: usize| {
        let mut rng = seed.stream("bootstrap of answers", number as u64);
        let mut sums = [0.0; 3];
        for _ in 0..answered.len() {
            let (one, _) = &answered[rng.usize(..answered.len())];
            for (sum, value) in sums.iter_mut().zip([one.p9, one.ap, one.ndcg10]) {
                *sum += value;
            }
        }
        sums.map(|sum| sum / answered.len() as f64)
    };
    let resamples: Vec<[f64; 3]> = (0..RESAMPLES).into_par_iter().map(resample).collect();
    let around = |figure: usize| interval(resamples.iter().map(|means| means[figure]).collect());
    Some(Answers {
        questions: answered.len(),
        p9: mean(&|(one, _)| one.p9),
        map: mean(&|(one, _)| one.ap),
        ndcg10: mean(&|(one, _)| one.ndcg10),
        chance: AnswerMeans {
            p9: mean(&|(_, chance)| chance.p9),
            map: mean(&|(_, chance)| chance.ap),
            ndcg10: mean(&|(_, chance)| chance.ndcg10),
        },
        ci95: AnswerIntervals { p9: around(0), map: around(1), ndcg10: around(2) },
    })
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

    #[test]
    fn answers_worked_out_by_hand() {
        // Right rows at places 1, 3 and 6 of 6.
        let scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4];
        let found = answered(&scores, &[0, 2, 5]).unwrap();
        close(found.p9, 3.0 / 6.0);
        close(found.ap, (1.0 + 2.0 / 3.0 + 3.0 / 6.0) / 3.0);
        let gain = 1.0 + 1.0 / 4.0_f64.log2() + 1.0 / 7.0_f64.log2();
        close(found.ndcg10, gain / (1.0 + 1.0 / 3.0_f64.log2() + 1.0 / 4.0_f64.log2()));
        assert_eq!(answered(&scores, &[]), None);
        let all_first = answered(&scores, &[0, 1, 2]).unwrap();
        close(all_first.ap, 1.0);
        close(all_first.ndcg10, 1.0);
    }

    #[test]
    fn only_nine_places_count_for_the_grid_and_ten_for_the_gain() {
        let scores: Vec<f32> = (0..20_u8).map(|n| 1.0 - f32::from(n) / 20.0).collect();
        let at = |place: usize| answered(&scores, &[place - 1]).unwrap();
        assert_eq!((at(9).p9, at(10).p9), (1.0 / 9.0, 0.0));
        close(at(10).ndcg10, 1.0 / 11.0_f64.log2());
        assert!(at(11).ndcg10 == 0.0 && at(11).ndcg10.is_sign_positive());
        close(at(20).ap, 1.0 / 20.0);
    }

    #[test]
    fn wrong_rows_as_close_as_right_ones_stand_before_them() {
        assert_eq!(places(&[0.5; 4], &[0, 1]), [3, 4]);
        assert_eq!(places(&[0.5, 0.9, 0.5, 0.7], &[0, 3]), [2, 4]);
    }

    #[test]
    fn answers_of_many_rows_agree_with_sorting() {
        let mut rng = Seed(6).stream("test", 0);
        let mut draw = |rows: usize| {
            let values = (0..rows * 37).map(|_| rng.f32() - 0.5).collect();
            Vectors::normalised(37, values).unwrap()
        };
        let (questions, gallery) = (draw(40), draw(70));
        let right: Vec<Vec<usize>> = (0..40)
            .map(|q| (0..70).filter(|row| row % 40 == q || row % 7 == q % 7).collect())
            .collect();
        for (q, found) in answers(&questions, &gallery, &right).into_iter().enumerate() {
            let mut order: Vec<usize> = (0..70).collect();
            let score = |row: &usize| dot(questions.row(q), gallery.row(*row));
            order.sort_by(|a, b| score(b).total_cmp(&score(a)));
            let hits: Vec<bool> = order.iter().map(|row| right[q].contains(row)).collect();
            let share = |n: usize| hits[..n].iter().filter(|&&hit| hit).count() as f64 / n as f64;
            close(found.unwrap().p9, share(9));
            let shares: Vec<f64> = (1..=70).filter(|&n| hits[n - 1]).map(share).collect();
            close(found.unwrap().ap, shares.iter().sum::<f64>() / shares.len() as f64);
        }
    }

    #[test]
    fn a_picture_that_asks_for_others_does_not_answer_itself() {
        let pictures = vectors(&[[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.8, 0.6]]);
        // To the first, 3 is nearer than 2; to 2, 3 (0.96) is nearer than 1 (0.8) and 0 (0.6).
        let found = answers_among_others(&pictures, &[vec![2], vec![], vec![0, 2], vec![2]]);
        close(found[0].unwrap().ap, 0.5);
        assert_eq!(found[1], None);
        close(found[2].unwrap().ap, 1.0 / 3.0);
        close(found[3].unwrap().ap, 1.0);
        close(found[3].unwrap().p9, 1.0 / 3.0);
    }

    #[test]
    fn chance_of_answers_is_what_counting_the_six_orders_gives() {
        // Two right rows among four, at the places 12 13 14 23 24 34.
        let orders = [[1, 2], [1, 3], [1, 4], [2, 3], [2, 4], [3, 4]];
        let scores = [0.9, 0.8, 0.7, 0.6];
        let found = orders.map(|[a, b]| answered(&scores, &[a - 1, b - 1]).unwrap());
        let mean = |value: fn(&Answered) -> f64| found.iter().map(value).sum::<f64>() / 6.0;
        let chance = answered_by_chance(2, 4);
        close(chance.p9, mean(|one| one.p9));
        close(chance.ap, mean(|one| one.ap));
        close(chance.ndcg10, mean(|one| one.ndcg10));
        close(answered_by_chance(1, 1).ap, 1.0);
        assert_eq!(answered_by_chance(0, 9), Answered::default());
    }

    #[test]
    fn a_summary_of_answers_is_their_mean_with_an_interval_and_chance() {
        let one = |p9: f64| Answered { p9, ap: p9 / 2.0, ndcg10: 1.0 };
        let answered = [(one(1.0), one(0.25)), (one(0.0), one(0.75)), (one(0.5), one(0.5))];
        let summary = summarise_answers(&answered, Seed(1)).unwrap();
        assert_eq!(summary.questions, 3);
        close(summary.p9, 0.5);
        close(summary.map, 0.25);
        close(summary.ndcg10, 1.0);
        close(summary.chance.p9, 0.5);
        let [low, high] = summary.ci95.p9;
        assert!(low < 0.5 && 0.5 < high, "{low} {high}");
        assert_eq!(summary, summarise_answers(&answered, Seed(1)).unwrap());
        assert_eq!(summarise_answers(&[], Seed(1)), None);
    }
}
