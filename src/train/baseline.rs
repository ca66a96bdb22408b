//! A linear baseline: what plain features of pictures and words find, so that a network's figures can
//! be told from those that any model would have.
//!
//! Pictures are colours on a coarse grid and orientations of edges in cells of it (Dalal and Triggs,
//! 2005, without their blocks); titles are words weighted by tf-idf. Canonical correlation analysis
//! with ridges (Hardoon, Szedmak and Shawe-Taylor, 2004, section 4) gives the common space, with
//! pictures weighted by the correlations. With S the covariances, L and M the Cholesky factors of Sxx
//! and Syy with their ridges:
//!
//! ```text
//! K = L⁻¹ · Sxy · M⁻ᵀ           its singular values are the correlations
//! Q = its first right singular vectors, [words, 128]
//! pictures -> x · L⁻ᵀ · K · Q    titles -> y · M⁻ᵀ · Q
//! ```
//!
//! It takes seconds whatever the size of the catalogue: of a large one, a part is learned from.

use std::collections::HashMap;

use burn::tensor::Tensor;
use looksee_kernels::search::scan::dot;
use rayon::prelude::*;

use super::batches::Material;
use super::subspace::principal;
use crate::encoder::parameters::{Mode, Parameters, Pass};
use crate::error::Result;
use crate::images::Frame;
use crate::ops::values_of;
use crate::tokens::each_word;
use crate::units::{Event, Listener, Seed, Stop};
use crate::vectors::Vectors;

/// Pairs to learn from below which its figures are a matter of luck.
const LEAST_PAIRS: usize = 200;
/// Pairs that are learned from at most; more change little.
const MOST_PAIRS: usize = 24_000;
/// Side of the grid that a picture is brought to, in cells.
const GRID: usize = 32;
/// Side of the grid of its colours.
const COLOURS: usize = 16;
/// Side of the grid of its edges, and orientations in each cell.
const CELLS: usize = 8;
const ORIENTATIONS: usize = 8;
/// Values of a picture's colours, and of all of it.
const COLOUR_VALUES: usize = COLOURS * COLOURS * 3;
const WIDTH: usize = COLOUR_VALUES + CELLS * CELLS * ORIENTATIONS;
/// Words that count: the most frequent.
const WORDS: usize = 1024;
/// Values of a vector, if there are so many words.
const DIM: usize = 128;
/// Rows whose products are summed at once.
const BLOCK: usize = 2048;
/// What is added to the diagonals of the covariances, in means of those diagonals.
const RIDGE_OF_PICTURES: f32 = 0.1;
const RIDGE_OF_WORDS: f32 = 1.0;

/// Pictures and titles of the pairs to measure on, `[n, dim]` each, by a linear model of those to
/// learn from; `None` when there are too few to learn from, or they are all alike.
pub(super) fn embed(
    material: &Material,
    seed: Seed,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<Option<(Vectors, Vectors)>> {
    let training = &material.training;
    if training.len() < LEAST_PAIRS {
        let (few, pairs) = (LEAST_PAIRS, training.len());
        listener(Event::Note(&format!(
            "no linear baseline to compare with: {pairs} pairs to learn from, fewer than {few}"
        )));
        return Ok(None);
    }
    let count = training.len().min(MOST_PAIRS);
    let part: Vec<usize> = (0..count).map(|n| training[n * training.len() / count]).collect();
    let titles = |members: &[usize]| -> Vec<&str> {
        members.iter().map(|&member| material.pairs[member].texts[0].as_str()).collect()
    };
    let (pixels, words) = (pictures(material, &part), titles(&part));
    stop.check()?;
    let Some(linear) = Linear::learn(pixels, &words, seed) else { return Ok(None) };
    stop.check()?;
    let asked = &material.validation;
    let images = linear.pictures.embed(pictures(material, asked));
    let texts = linear.titles(&titles(asked));
    // Rows of length 0, where all are alike, are no vectors.
    let embedded = Vectors::normalised(linear.dim, images)
        .and_then(|images| Ok((images, Vectors::normalised(linear.dim, texts)?)));
    Ok(embedded.ok())
}

/// `[members, WIDTH]`
fn pictures(material: &Material, members: &[usize]) -> Vec<f32> {
    let frame = material.cache.frame();
    let of_one = |&member: &usize| {
        // Pairs whose picture failed never became material.
        features(material.cache.get(material.pairs[member].picture).unwrap_or_default(), frame)
    };
    members.par_iter().flat_map_iter(of_one).collect()
}

/// The plain features of a picture `[height, width, 3]`: colours, then the square roots of how much
/// edge there is, by cell and orientation.
fn features(rgb: &[u8], frame: Frame) -> Vec<f32> {
    let grid = reduced(rgb, frame);
    let mut values = Vec::with_capacity(WIDTH);
    let side = GRID / COLOURS;
    for cell in 0..COLOURS * COLOURS {
        let (top, left) = (cell / COLOURS * side, cell % COLOURS * side);
        for channel in 0..3 {
            let row = |y: usize| (0..side).map(move |x| (y, x));
            let sum: f32 = (0..side)
                .flat_map(row)
                .map(|(y, x)| grid[((top + y) * GRID + left + x) * 3 + channel])
                .sum();
            values.push(sum / (side * side) as f32);
        }
    }
    values.extend(edges(&grid));
    values
}

/// Brings a picture to the grid by means over its cells, `[GRID, GRID, 3]`, each from 0 to 1.
fn reduced(rgb: &[u8], Frame { width_px, height_px, .. }: Frame) -> Vec<f32> {
    let mut grid = vec![0.0; GRID * GRID * 3];
    // A picture smaller than the grid has pixels that count for several cells.
    let range = |cell: usize, pixels: usize| {
        let first = cell * pixels / GRID;
        first..((cell + 1) * pixels / GRID).max(first + 1)
    };
    for (cell, to) in grid.chunks_exact_mut(3).enumerate() {
        let (rows, columns) = (range(cell / GRID, height_px), range(cell % GRID, width_px));
        let count = (rows.len() * columns.len()) as f32 * 255.0;
        let mut sums = [0u32; 3];
        for row in rows {
            let row = &rgb[(row * width_px + columns.start) * 3..][..columns.len() * 3];
            for pixel in row.chunks_exact(3) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += u32::from(value);
                }
            }
        }
        for (to, sum) in to.iter_mut().zip(sums) {
            *to = sum as f32 / count;
        }
    }
    grid
}

/// How much edge there is of each orientation in each cell, as square roots.
fn edges(grid: &[f32]) -> Vec<f32> {
    let grey: Vec<f32> =
        grid.chunks_exact(3).map(|pixel| pixel.iter().sum::<f32>() / 3.0).collect();
    let mut sums = vec![0.0; CELLS * CELLS * ORIENTATIONS];
    let side = GRID / CELLS;
    for y in 1..GRID - 1 {
        for x in 1..GRID - 1 {
            let at = y * GRID + x;
            let (across, down) = (grey[at + 1] - grey[at - 1], grey[at + GRID] - grey[at - GRID]);
            let length = across.hypot(down);
            if length == 0.0 {
                continue;
            }
            // An edge has no direction: half a turn has all orientations.
            let turn = down.atan2(across).rem_euclid(std::f32::consts::PI) / std::f32::consts::PI;
            let orientation = ((turn * ORIENTATIONS as f32) as usize).min(ORIENTATIONS - 1);
            sums[(y / side * CELLS + x / side) * ORIENTATIONS + orientation] += length;
        }
    }
    sums.into_iter().map(f32::sqrt).collect()
}

/// The linear model.
struct Linear {
    dim: usize,
    pictures: OfPictures,
    words: Words,
    /// `[words, dim]`
    of_words: Vec<f32>,
}

/// What becomes of the features of pictures.
struct OfPictures {
    mean: Vec<f32>,
    /// What colours and edges are multiplied by, so that both count alike.
    scales: [f32; 2],
    /// `[WIDTH, dim]`
    into: Vec<f32>,
}

impl Linear {
    /// Learns from pictures `[n, WIDTH]` and their titles; `None` when these have no words in common.
    fn learn(mut pixels: Vec<f32>, titles: &[&str], seed: Seed) -> Option<Self> {
        let words = Words::learn(titles)?;
        let mut pictures = OfPictures::standardise(&mut pixels);
        let weighted: Vec<Vec<(usize, f32)>> =
            titles.iter().map(|title| words.weigh(title)).collect();
        let count = words.numbers.len();
        let lower = factor(covariance_of_pictures(&pixels), WIDTH, RIDGE_OF_PICTURES);
        let lower_words =
            factor(covariance_of_words(&weighted, &words.mean), count, RIDGE_OF_WORDS);
        let between = between(&pixels, &weighted, count); // [words, WIDTH]
        let half = solved(&lower, &between, WIDTH); // L⁻¹ Sxy, transposed
        let correlations = solved(&lower_words, &transposed(&half, WIDTH), count); // [WIDTH, words]
        let dim = DIM.min(count);
        let first = principal(correlations.clone(), count, dim, seed); // [words, dim]
        let weighted = product(&correlations, &first, [WIDTH, count, dim]); // [WIDTH, dim]
        pictures.into = solved_transposed(&lower, &weighted, [WIDTH, dim]);
        let of_words = solved_transposed(&lower_words, &first, [count, dim]);
        Some(Self { dim, pictures, words, of_words })
    }

    /// `[titles, dim]`
    fn titles(&self, titles: &[&str]) -> Vec<f32> {
        let add = |to: &mut [f32], word: usize, weight: f32| {
            let row = &self.of_words[word * self.dim..][..self.dim];
            to.iter_mut().zip(row).for_each(|(to, value)| *to += weight * value);
        };
        let mut rows = vec![0.0; titles.len() * self.dim];
        for (row, title) in rows.chunks_exact_mut(self.dim).zip(titles) {
            self.words.weigh(title).into_iter().for_each(|(word, weight)| add(row, word, weight));
            self.words.mean.iter().enumerate().for_each(|(word, &mean)| add(row, word, -mean));
        }
        rows
    }
}

impl OfPictures {
    /// Takes the mean from `rows` and gives colours and edges the same length on average.
    fn standardise(rows: &mut [f32]) -> Self {
        let count = (rows.len() / WIDTH) as f32;
        let mut mean = vec![0.0; WIDTH];
        for row in rows.chunks_exact(WIDTH) {
            for (sum, value) in mean.iter_mut().zip(row) {
                *sum += value;
            }
        }
        for sum in &mut mean {
            *sum /= count;
        }
        let plain = Self { mean, scales: [1.0; 2], into: Vec::new() };
        plain.apply(rows);
        let mut squares = [0.0; 2];
        for row in rows.chunks_exact(WIDTH) {
            let (colours, edges) = row.split_at(COLOUR_VALUES);
            squares[0] += dot(colours, colours);
            squares[1] += dot(edges, edges);
        }
        let scales = squares.map(|square| 1.0 / (square / count).sqrt().max(1e-6));
        for row in rows.chunks_exact_mut(WIDTH) {
            let (colours, edges) = row.split_at_mut(COLOUR_VALUES);
            for (values, scale) in [(colours, scales[0]), (edges, scales[1])] {
                for value in values {
                    *value *= scale;
                }
            }
        }
        Self { scales, ..plain }
    }

    fn apply(&self, rows: &mut [f32]) {
        rows.par_chunks_exact_mut(WIDTH).for_each(|row| {
            for (place, (value, mean)) in row.iter_mut().zip(&self.mean).enumerate() {
                let scale = self.scales[usize::from(place >= COLOUR_VALUES)];
                *value = (*value - mean) * scale;
            }
        });
    }

    /// `[n, WIDTH]` -> `[n, dim]`
    fn embed(&self, mut rows: Vec<f32>) -> Vec<f32> {
        self.apply(&mut rows);
        let (n, dim) = (rows.len() / WIDTH, self.into.len() / WIDTH);
        product(&rows, &self.into, [n, WIDTH, dim])
    }
}

/// Words by frequency, and what each weighs.
struct Words {
    numbers: HashMap<String, usize>,
    /// The logarithm of how many titles there are for each that has the word.
    rarity: Vec<f32>,
    /// Mean weight over the titles.
    mean: Vec<f32>,
}

impl Words {
    fn learn(titles: &[&str]) -> Option<Self> {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for title in titles {
            let mut own = Vec::new();
            each_word(title, |word| own.push(word.to_owned()));
            own.sort_unstable();
            own.dedup();
            for word in own {
                *counts.entry(word).or_default() += 1;
            }
        }
        // A word of one title says nothing of others, and one of all titles nothing at all.
        counts.retain(|_, &mut count| count > 1 && count < titles.len());
        let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
        counts.sort_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then(a.cmp(b)));
        counts.truncate(WORDS);
        if counts.is_empty() {
            return None;
        }
        let rarity = |(_, count): &(String, usize)| (titles.len() as f32 / *count as f32).ln();
        let rarity = counts.iter().map(rarity).collect();
        let numbers = counts.into_iter().enumerate().map(|(number, (word, _))| (word, number));
        let mut words = Self { numbers: numbers.collect(), rarity, mean: Vec::new() };
        let mut mean = vec![0.0; words.numbers.len()];
        for title in titles {
            for (word, weight) in words.weigh(title) {
                mean[word] += weight;
            }
        }
        for sum in &mut mean {
            *sum /= titles.len() as f32;
        }
        words.mean = mean;
        Some(words)
    }

    /// The known words of a title, ascending, each with its weight; the squares of these add up to 1.
    fn weigh(&self, title: &str) -> Vec<(usize, f32)> {
        let mut known = Vec::new();
        each_word(title, |word| known.extend(self.numbers.get(word)));
        known.sort_unstable();
        let weight = |same: &[usize]| (same[0], same.len() as f32 * self.rarity[same[0]]);
        let mut weights: Vec<(usize, f32)> = known.chunk_by(usize::eq).map(weight).collect();
        let length = weights.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt();
        for (_, weight) in &mut weights {
            *weight /= length;
        }
        weights
    }
}

/// `[WIDTH, WIDTH]` of rows whose mean is 0.
fn covariance_of_pictures(rows: &[f32]) -> Vec<f32> {
    let pass = pass();
    let n = rows.len() / WIDTH;
    let mut sum: Tensor<2> = pass.tensor(vec![0.0; WIDTH * WIDTH], &[WIDTH, WIDTH]);
    for block in rows.chunks(BLOCK * WIDTH) {
        let x: Tensor<2> = pass.tensor(block.to_vec(), &[block.len() / WIDTH, WIDTH]);
        sum = sum + x.clone().transpose().matmul(x);
    }
    values_of(sum.div_scalar(n as f32))
}

/// `[words, words]`
fn covariance_of_words(titles: &[Vec<(usize, f32)>], mean: &[f32]) -> Vec<f32> {
    let count = mean.len();
    let mut sums = vec![0.0; count * count];
    for title in titles {
        for &(a, of_a) in title {
            for &(b, of_b) in title {
                sums[a * count + b] += of_a * of_b;
            }
        }
    }
    for (row, of_row) in sums.chunks_exact_mut(count).zip(mean) {
        for (sum, of_column) in row.iter_mut().zip(mean) {
            *sum = *sum / titles.len() as f32 - of_row * of_column;
        }
    }
    sums
}

/// The covariance of words and pictures, `[words, WIDTH]`; the mean of the pictures is 0.
fn between(pictures: &[f32], titles: &[Vec<(usize, f32)>], words: usize) -> Vec<f32> {
    let mut with: Vec<Vec<(usize, f32)>> = vec![Vec::new(); words];
    for (picture, title) in titles.iter().enumerate() {
        for &(word, weight) in title {
            with[word].push((picture, weight));
        }
    }
    let mut sums = vec![0.0; words * WIDTH];
    sums.par_chunks_exact_mut(WIDTH).zip(&with).for_each(|(sums, with)| {
        for &(picture, weight) in with {
            let row = &pictures[picture * WIDTH..][..WIDTH];
            let weight = weight / titles.len() as f32;
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
        }
    });
    sums
}

/// The lower Cholesky factor of a covariance `[n, n]` with its ridge (Golub and Van Loan, Matrix
/// Computations, section 4.2); `ridge` is in means of its diagonal.
fn factor(mut matrix: Vec<f32>, n: usize, ridge: f32) -> Vec<f32> {
    let trace: f32 = (0..n).map(|i| matrix[i * n + i]).sum();
    let ridge = (ridge * trace / n as f32).max(1e-6);
    for i in 0..n {
        let (above, own) = matrix.split_at_mut(i * n);
        let own = &mut own[..n];
        for j in 0..i {
            let other = &above[j * n..][..=j];
            own[j] = (own[j] - dot(&own[..j], &other[..j])) / other[j];
        }
        own[i] = (own[i] + ridge - dot(&own[..i], &own[..i])).max(1e-12).sqrt();
        own[i + 1..].fill(0.0);
    }
    matrix
}

/// Solves `lower · z = row` for each row of `rows` `[m, n]`.
fn solved(lower: &[f32], rows: &[f32], n: usize) -> Vec<f32> {
    let mut solved = rows.to_vec();
    solved.par_chunks_exact_mut(n).for_each(|z| {
        for i in 0..n {
            let row = &lower[i * n..][..=i];
            z[i] = (z[i] - dot(&row[..i], &z[..i])) / row[i];
        }
    });
    solved
}

/// Solves `lowerᵀ · z = column` for each column of `columns` `[n, m]`; `[n, m]`.
fn solved_transposed(lower: &[f32], columns: &[f32], [n, m]: [usize; 2]) -> Vec<f32> {
    let upper = transposed(lower, n);
    let mut rows = transposed(columns, m); // [m, n]
    rows.par_chunks_exact_mut(n).for_each(|z| {
        for i in (0..n).rev() {
            let row = &upper[i * n..][..n];
            z[i] = (z[i] - dot(&row[i + 1..], &z[i + 1..])) / row[i];
        }
    });
    transposed(&rows, n)
}

/// `[m, n]` -> `[n, m]`
fn transposed(matrix: &[f32], n: usize) -> Vec<f32> {
    (0..n).flat_map(|column| matrix.iter().skip(column).step_by(n).copied()).collect()
}

/// `[n, m] · [m, k]`
fn product(a: &[f32], b: &[f32], [n, m, k]: [usize; 3]) -> Vec<f32> {
    let pass = pass();
    let a: Tensor<2> = pass.tensor(a.to_vec(), &[n, m]);
    values_of(a.matmul(pass.tensor(b.to_vec(), &[m, k])))
}

fn pass() -> Pass {
    Pass::new(Parameters::default().into(), Mode::Inference)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::{Filter, Fit};
    use crate::metrics;

    fn frame(side: usize) -> Frame {
        Frame { width_px: side, height_px: side, fit: Fit::Stretch, filter: Filter::default() }
    }

    #[test]
    fn the_factor_of_a_matrix_solves_its_systems() {
        // Its mean diagonal, 2, is added: [[4, 1], [1, 4]] = L Lᵀ.
        let lower = factor(vec![2.0, 1.0, 1.0, 2.0], 2, 1.0);
        let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close(&lower, &[2.0, 0.0, 0.5, 3.75f32.sqrt()]), "{lower:?}");
        let z = solved(&lower, &[2.0, 1.0], 2);
        let back = solved_transposed(&lower, &z, [2, 1]);
        // The solution of the whole system with right side (2, 1).
        assert!(close(&back, &[7.0 / 15.0, 2.0 / 15.0]), "{back:?}");
    }

    #[test]
    fn an_upright_edge_is_told_from_a_flat_one_whatever_the_size() {
        for side in [16, 40] {
            let picture = |white: fn(usize, usize, usize) -> bool| -> Vec<u8> {
                let pixel = |at: usize| [u8::from(white(at % side, at / side, side)) * 255; 3];
                (0..side * side).flat_map(pixel).collect()
            };
            let sums = |rgb: &[u8]| -> Vec<f32> {
                let values = features(rgb, frame(side));
                assert_eq!(values.len(), WIDTH);
                let edges = &values[COLOUR_VALUES..];
                (0..ORIENTATIONS)
                    .map(|o| edges.iter().skip(o).step_by(ORIENTATIONS).sum())
                    .collect()
            };
            let upright = sums(&picture(|x, _, side| x < side / 2));
            let flat = sums(&picture(|_, y, side| y < side / 2));
            assert!(upright[0] > 0.0 && upright[1..].iter().all(|&sum| sum == 0.0), "{upright:?}");
            assert!(flat[ORIENTATIONS / 2] > 0.0 && flat[0] == 0.0, "{flat:?}");
        }
    }

    #[test]
    fn weights_of_a_title_are_of_length_one_and_rare_words_weigh_more() {
        let titles = ["red shoe", "red hat", "red hat", "blue shoe", "unique"];
        let words = Words::learn(&titles).unwrap();
        let weigh = |title: &str| words.weigh(title);
        let [(_, red), (_, hat)] = weigh("Red hat")[..] else { panic!("two known words") };
        assert!(hat > red && (red * red + hat * hat - 1.0).abs() < 1e-6);
        assert!(weigh("unique unseen").is_empty());
        assert!(Words::learn(&["a b", "a c"]).is_none());
    }

    #[test]
    fn colours_are_found_by_their_names() {
        let colours = [("red", [200, 20, 20]), ("green", [20, 180, 40]), ("blue", [30, 40, 210])];
        let mut rng = Seed(7).stream("pictures", 0);
        let mut pairs = |count: usize| -> (Vec<f32>, Vec<String>) {
            let mut rows = Vec::new();
            let mut titles = Vec::new();
            for number in 0..count {
                let (name, rgb) = colours[number % 3];
                let noise = rgb.map(|value: u8| value.saturating_add(rng.u8(..40)));
                rows.extend(features(&noise.repeat(64), frame(8)));
                titles.push(format!("{name} thing {}", rng.u8(..9)));
            }
            (rows, titles)
        };
        let (rows, titles) = pairs(300);
        let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
        let linear = Linear::learn(rows, &titles, Seed(1)).unwrap();
        let (rows, titles) = pairs(60);
        let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
        let images = Vectors::normalised(linear.dim, linear.pictures.embed(rows)).unwrap();
        let texts = Vectors::normalised(linear.dim, linear.titles(&titles)).unwrap();
        let right = |query: usize, row: usize| query % 3 == row % 3;
        let ranks = metrics::ranks(&texts, &images, &right, &|_, _| false);
        assert!(ranks.iter().all(|&rank| rank == Some(1)), "{ranks:?}");
    }
}
