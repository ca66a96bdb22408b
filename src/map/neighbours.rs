//! The nearest rows of each row.
//!
//! Rows are first gathered into cells around centroids found by k-means on a sample, and numbered
//! anew so that a cell's rows follow each other and near cells are near: the rest of a map profits,
//! because what belongs together lies together in memory. Inside a cell, rows ascend by their
//! distance to its centroid.
//!
//! A block of a cell's rows is compared with its own cell, then with the others, the nearest
//! centroid first. By the triangle inequality a row `y` of another cell with centroid `c` is at least
//! `| |x - c| - |y - c| |` away from `x`, so once `x` has neighbours, only a range of the cell can hold
//! nearer ones, often none. That is exact whatever the rows are; with rows in clusters it leaves out
//! nearly everything. For very many rows a limit on the number of cells makes it approximate, and
//! [`Cells::recall`] measures by how much.

use std::ops::Range;

use looksee_kernels::search::nearest::{Candidates, Nearest, half_squares, products};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::units::Stop;

/// Fewer rows are one cell.
const ONE_CELL: usize = 4096;
/// A cell has so many rows on average, or more.
const CELL_ROWS: usize = 256;
/// Rows of the sample a cell.
const SAMPLE: usize = 40;
/// Rounds of k-means.
const ROUNDS: usize = 8;
/// A cell that has more times the mean number of rows is cut.
const LARGEST_CELL: usize = 4;
/// Rows that are searched together.
const BLOCK: usize = 192;
/// A distance to a centroid is right within this share of the longest row.
const SLACK: f32 = 2e-3;

/// Rows in cells.
#[derive(Debug)]
pub struct Cells {
    dim: usize,
    /// The rows less their mean, cell after cell, `[n, dim]`.
    rows: Vec<f32>,
    halves: Vec<f32>,
    /// The caller's number of each row.
    order: Vec<u32>,
    ranges: Vec<Range<usize>>,
    /// `[cells, dim]`.
    centroids: Vec<f32>,
    /// Distance of each row to its cell's centroid, ascending in a cell.
    radii: Vec<f32>,
    slack: f32,
}

/// The nearest others of each row, the nearest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbours {
    /// Neighbours a row.
    pub count: usize,
    /// Their numbers, `[n, count]`.
    pub numbers: Vec<u32>,
    /// Their squared distances, `[n, count]`.
    pub squares: Vec<f32>,
}

/// How many cells a row's neighbours are looked for in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Search {
    /// [`Search::Exact`] up to 50,000 rows, [`Search::Cells`] of 12 beyond, of more where those
    /// miss too many.
    #[default]
    Auto,
    /// As many as may hold one.
    Exact,
    /// So many at most, besides its own.
    Cells(usize),
}

/// Rows up to which [`Search::Auto`] is exact.
const EXACT_UP_TO: usize = 50_000;
/// Cells that [`Search::Auto`] looks in beyond that.
const CELLS: usize = 12;

impl Search {
    /// The greatest number of cells besides a row's own, for `rows` rows.
    pub(super) fn limit(self, rows: usize) -> usize {
        match self {
            Self::Auto if rows > EXACT_UP_TO => CELLS,
            Self::Auto | Self::Exact => usize::MAX,
            Self::Cells(limit) => limit,
        }
    }
}

impl Cells {
    /// Gathers rows `[n, dim]` of any length.
    ///
    /// Fails when the rows are not whole, and with the row's number when a value is not finite.
    pub fn gather(rows: &[f32], dim: usize) -> Result<Self> {
        check(rows, dim)?;
        let mean = mean(rows, dim);
        let centred =
            |row: &[f32]| -> Vec<f32> { row.iter().zip(&mean).map(|(x, m)| x - m).collect() };
        let count = rows.len() / dim;
        let cells = match count {
            ..ONE_CELL => 1,
            _ => ((count as f64).sqrt() as usize).min(count / CELL_ROWS),
        };
        let step = (count / (cells * SAMPLE)).max(1);
        let sample: Vec<f32> = rows.chunks_exact(dim).step_by(step).flat_map(centred).collect();
        let centroids = chain(&centroids(&sample, dim, cells), dim);
        let homes = homes(rows, &mean, dim, &centroids);
        Ok(Self::arrange(rows, dim, &mean, &centroids, &homes))
    }

    fn arrange(
        rows: &[f32],
        dim: usize,
        mean: &[f32],
        centroids: &[f32],
        homes: &[(u32, f32)],
    ) -> Self {
        let mut order: Vec<u32> = (0..homes.len() as u32).collect();
        let key = |&number: &u32| {
            let (cell, radius) = homes[number as usize];
            (cell, radius.to_bits(), number)
        };
        order.par_sort_unstable_by_key(key);
        let mut sorted = vec![0.0; rows.len()];
        sorted.par_chunks_mut(dim).zip(&order).for_each(|(sorted, &number)| {
            let row = &rows[number as usize * dim..][..dim];
            for ((sorted, value), mean) in sorted.iter_mut().zip(row).zip(mean) {
                *sorted = value - mean;
            }
        });
        let radii = order.iter().map(|&number| homes[number as usize].1).collect();
        let halves = half_squares(&sorted, dim);
        let longest = halves.iter().fold(0.0f32, |longest, &half| longest.max(half));
        let (ranges, centroids) = ranges(&order, homes, centroids, dim);
        let slack = SLACK * (2.0 * longest).sqrt();
        Self { dim, rows: sorted, halves, order, ranges, centroids, radii, slack }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Number of cells.
    pub fn cells(&self) -> usize {
        self.ranges.len()
    }

    /// The caller's number of each row.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// The rows in their new order, less their mean, `[n, dim]`.
    pub fn rows(&self) -> &[f32] {
        &self.rows
    }

    /// Values a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The `count` nearest others of each row (fewer if there are not so many), in the new numbers.
    ///
    /// Fails when a stop was asked for.
    pub fn neighbours(&self, count: usize, search: Search, stop: &Stop) -> Result<Neighbours> {
        let count = count.min(self.len().saturating_sub(1));
        let mut found = Neighbours {
            count,
            numbers: vec![0; self.len() * count],
            squares: vec![0.0; self.len() * count],
        };
        if count == 0 {
            return Ok(found);
        }
        let limit = search.limit(self.len());
        let (mut numbers, mut squares) = (&mut found.numbers[..], &mut found.squares[..]);
        let mut tasks = Vec::new();
        for (cell, range) in self.ranges.iter().enumerate() {
            let size = range.len().div_ceil(range.len().div_ceil(BLOCK));
            for start in range.clone().step_by(size) {
                let block = start..(start + size).min(range.end);
                let own;
                (own, numbers) = numbers.split_at_mut(block.len() * count);
                let own_squares;
                (own_squares, squares) = squares.split_at_mut(block.len() * count);
                tasks.push((cell, block, own, own_squares));
            }
        }
        let worker = || (Nearest::new(self.dim, count + 1), Near::default());
        tasks.into_par_iter().for_each_init(worker, |(nearest, near), task| {
            if !stop.asked() {
                let (cell, block, numbers, squares) = task;
                self.search(cell, block.clone(), limit, nearest, near);
                let rows = block.zip(numbers.chunks_mut(count).zip(squares.chunks_mut(count)));
                for (query, (row, (numbers, squares))) in rows.enumerate() {
                    nearest.finish(query, row as u32, &self.rows, numbers, squares);
                }
            }
        });
        stop.check()?;
        Ok(found)
    }

    /// Lets a block of a cell's rows meet whatever may be near.
    fn search(
        &self,
        cell: usize,
        block: Range<usize>,
        limit: usize,
        nearest: &mut Nearest,
        near: &mut Near,
    ) {
        let queries = &self.rows[block.start * self.dim..block.end * self.dim];
        nearest.clear(block.len());
        nearest.meet(queries, self.candidates(self.ranges[cell].clone()));
        if self.ranges.len() == 1 {
            return;
        }
        near.measure(self, cell, queries, &self.halves[block.clone()]);
        let mut left = limit;
        for at in 0..near.order.len() {
            let other = near.order[at] as usize;
            near.reach(nearest, &self.halves[block.clone()]);
            let range = self.within(&self.ranges[other], near.bounds(other));
            // With a limit, the cells that are nearest count, whether they hold anything or not.
            if left == 0 && near.longest_reach().is_finite() {
                break;
            }
            left = left.saturating_sub(1);
            if !range.is_empty() {
                nearest.meet(queries, self.candidates(range));
                near.known = false;
            }
        }
    }

    /// The rows of a cell whose distance to its centroid is within the bounds.
    fn within(&self, cell: &Range<usize>, (low, high): (f32, f32)) -> Range<usize> {
        let radii = &self.radii[cell.clone()];
        let first = radii.partition_point(|&radius| radius < low - self.slack);
        let end = radii.partition_point(|&radius| radius <= high + self.slack);
        cell.start + first..cell.start + end.max(first)
    }

    fn candidates(&self, range: Range<usize>) -> Candidates<'_> {
        Candidates {
            rows: &self.rows[range.start * self.dim..range.end * self.dim],
            halves: &self.halves[range.clone()],
            first: range.start as u32,
        }
    }

    /// The share of the true neighbours that was found, over `sample` rows evenly among all.
    pub fn recall(&self, found: &Neighbours, sample: usize) -> f64 {
        if found.count == 0 {
            return 1.0;
        }
        let step = (self.len() / sample.max(1)).max(1);
        let rows: Vec<usize> = (step / 2..self.len()).step_by(step).collect();
        let hits: usize = rows.par_chunks(32).map(|rows| self.hits(rows, found)).sum();
        hits as f64 / (rows.len() * found.count) as f64
    }

    /// How many of the neighbours that were found for these rows are as near as the true ones.
    fn hits(&self, rows: &[usize], found: &Neighbours) -> usize {
        let row = |number: usize| &self.rows[number * self.dim..][..self.dim];
        let queries: Vec<f32> = rows.iter().flat_map(|&number| row(number)).copied().collect();
        let mut nearest = Nearest::new(self.dim, found.count + 1);
        nearest.clear(rows.len());
        nearest.meet(&queries, self.candidates(0..self.len()));
        let (mut numbers, mut squares) = (vec![0; found.count], vec![0.0; found.count]);
        let mut hits = 0;
        for (query, &number) in rows.iter().enumerate() {
            nearest.finish(query, number as u32, &self.rows, &mut numbers, &mut squares);
            let farthest = squares[found.count - 1] * (1.0 + 1e-5);
            let own = &found.squares[number * found.count..][..found.count];
            hits += own.iter().filter(|&&square| square <= farthest).count();
        }
        hits
    }

    /// Lets go of the rows and keeps their order.
    pub fn into_order(self) -> Order {
        Order(self.order)
    }
}

/// The caller's number of each row.
#[derive(Clone, Debug)]
pub struct Order(Vec<u32>);

impl Order {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts values of the rows in the order of the cells into the caller's.
    ///
    /// # Panics
    /// When there are not as many values as rows.
    pub fn restore<T: Copy + Default>(&self, values: &[T]) -> Vec<T> {
        assert_eq!(values.len(), self.0.len(), "values of the rows");
        let mut restored = vec![T::default(); values.len()];
        for (&number, &value) in self.0.iter().zip(values) {
            restored[number as usize] = value;
        }
        restored
    }
}

/// How far a block's rows are from the centroids and from their neighbours.
#[derive(Debug, Default)]
struct Near {
    /// The other cells, the nearest centroid first.
    order: Vec<u32>,
    /// Distance of each row to each centroid, `[rows, cells]`.
    distances: Vec<f32>,
    cells: usize,
    reaches: Vec<f32>,
    /// Whether `reaches` are those of the candidates met so far.
    known: bool,
}

impl Near {
    fn measure(&mut self, cells: &Cells, own: usize, queries: &[f32], halves: &[f32]) {
        self.cells = cells.ranges.len();
        self.known = false;
        self.distances.resize(halves.len() * self.cells, 0.0);
        products(queries, &cells.centroids, cells.dim, &mut self.distances);
        let centroid_halves = half_squares(&cells.centroids, cells.dim);
        for (distances, half) in self.distances.chunks_exact_mut(self.cells).zip(halves) {
            for (distance, other) in distances.iter_mut().zip(&centroid_halves) {
                *distance = (2.0 * (half + other - *distance)).max(0.0).sqrt();
            }
        }
        let mut from_own = vec![0.0; self.cells];
        let centroid = &cells.centroids[own * cells.dim..][..cells.dim];
        products(centroid, &cells.centroids, cells.dim, &mut from_own);
        let key = |&other: &u32| centroid_halves[other as usize] - from_own[other as usize];
        self.order.clear();
        self.order.extend((0..self.cells as u32).filter(|&other| other as usize != own));
        self.order.sort_unstable_by(|a, b| key(a).total_cmp(&key(b)).then(a.cmp(b)));
    }

    /// Learns how far the neighbours of each row are by now.
    fn reach(&mut self, nearest: &mut Nearest, halves: &[f32]) {
        if !self.known {
            self.reaches.clear();
            let reach = |(query, &half): (usize, &f32)| nearest.reach(query, half).sqrt();
            self.reaches.extend(halves.iter().enumerate().map(reach));
            self.known = true;
        }
    }

    fn longest_reach(&self) -> f32 {
        self.reaches.iter().fold(0.0, |longest, &reach| longest.max(reach))
    }

    /// How far from its centroid a row of a cell may be to be nearer to one of the block's rows than
    /// what that has.
    fn bounds(&self, cell: usize) -> (f32, f32) {
        let distances = self.distances.iter().skip(cell).step_by(self.cells);
        let rows = distances.zip(&self.reaches);
        rows.fold((f32::INFINITY, 0.0), |(low, high), (distance, reach)| {
            (low.min(distance - reach), high.max(distance + reach))
        })
    }
}

pub(super) fn check(rows: &[f32], dim: usize) -> Result<()> {
    if dim == 0 || !rows.len().is_multiple_of(dim) {
        return Err(Error::invalid(format!("{} values do not make rows of {dim}", rows.len())));
    }
    if rows.len() / dim > u32::MAX as usize / 2 {
        return Err(Error::invalid(format!("{} rows are too many", rows.len() / dim)));
    }
    match rows.par_iter().position_first(|value| !value.is_finite()) {
        None => Ok(()),
        Some(place) => Err(Error::invalid(format!(
            "row {} holds {}, which has no place on a map; take the row out or give it a number",
            place / dim,
            rows[place]
        ))),
    }
}

fn mean(rows: &[f32], dim: usize) -> Vec<f32> {
    let sum = |rows: &[f32]| {
        let mut sums = vec![0.0f64; dim];
        for row in rows.chunks_exact(dim) {
            sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        sums
    };
    // Parts are added in order, so that the mean does not depend on the threads.
    let parts: Vec<Vec<f64>> = rows.par_chunks(dim * 4096).map(sum).collect();
    let count = (rows.len() / dim).max(1) as f64;
    (0..dim).map(|at| (parts.iter().map(|part| part[at]).sum::<f64>() / count) as f32).collect()
}

/// Centroids of a sample by k-means (Lloyd 1982), from rows evenly among it.
fn centroids(sample: &[f32], dim: usize, count: usize) -> Vec<f32> {
    let rows = sample.len() / dim;
    let start = |cell: usize| &sample[cell * rows / count * dim..][..dim];
    let mut centroids: Vec<f32> = if rows == 0 {
        vec![0.0; count * dim]
    } else {
        (0..count).flat_map(start).copied().collect()
    };
    if count == 1 {
        return vec![0.0; dim];
    }
    for _ in 0..ROUNDS {
        let homes = homes(sample, &vec![0.0; dim], dim, &centroids);
        let (mut sums, mut counts) = (vec![0.0f64; count * dim], vec![0.0f64; count]);
        for (row, (home, _)) in sample.chunks_exact(dim).zip(homes) {
            counts[home as usize] += 1.0;
            let sums = &mut sums[home as usize * dim..][..dim];
            sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        let cells = centroids.chunks_exact_mut(dim).zip(sums.chunks_exact(dim)).zip(counts);
        for ((centroid, sums), count) in cells.filter(|(_, count)| *count > 0.0) {
            centroid.iter_mut().zip(sums).for_each(|(value, sum)| *value = (sum / count) as f32);
        }
    }
    centroids
}

/// The nearest centroid of each row less the mean, and the distance to it.
fn homes(rows: &[f32], mean: &[f32], dim: usize, centroids: &[f32]) -> Vec<(u32, f32)> {
    let halves = half_squares(centroids, dim);
    let candidates = Candidates { rows: centroids, halves: &halves, first: 0 };
    let of_block = |nearest: &mut Nearest, block: &[f32]| -> Vec<(u32, f32)> {
        let centred: Vec<f32> = block
            .chunks_exact(dim)
            .flat_map(|row| row.iter().zip(mean).map(|(x, m)| x - m))
            .collect();
        nearest.clear(block.len() / dim);
        nearest.meet(&centred, candidates);
        let home = |(query, row): (usize, &[f32])| {
            let home = nearest.nearest(query).unwrap_or(0);
            let centroid = &centroids[home as usize * dim..][..dim];
            let square: f32 = row.iter().zip(centroid).map(|(x, c)| (x - c) * (x - c)).sum();
            (home, square.sqrt())
        };
        centred.chunks_exact(dim).enumerate().map(home).collect()
    };
    let blocks: Vec<_> =
        rows.par_chunks(BLOCK * dim).map_init(|| Nearest::new(dim, 1), of_block).collect();
    blocks.into_iter().flatten().collect()
}

/// Centroids one after the other, each time the nearest of those that are left.
fn chain(centroids: &[f32], dim: usize) -> Vec<f32> {
    let mut left: Vec<&[f32]> = centroids.chunks_exact(dim).collect();
    let mut chained = Vec::with_capacity(centroids.len());
    let mut last = left.swap_remove(0);
    chained.extend_from_slice(last);
    while !left.is_empty() {
        let square =
            |row: &[f32]| row.iter().zip(last).map(|(x, y)| (x - y) * (x - y)).sum::<f32>();
        let nearest = (0..left.len()).min_by(|&a, &b| square(left[a]).total_cmp(&square(left[b])));
        last = left.swap_remove(nearest.unwrap_or(0));
        chained.extend_from_slice(last);
    }
    chained
}

/// Where each cell's rows are; a cell with very many rows is several with the same centroid.
fn ranges(
    order: &[u32],
    homes: &[(u32, f32)],
    centroids: &[f32],
    dim: usize,
) -> (Vec<Range<usize>>, Vec<f32>) {
    let cells = centroids.len() / dim;
    let most = if cells == 1 { usize::MAX } else { LARGEST_CELL * order.len() / cells };
    let (mut ranges, mut own) = (Vec::with_capacity(cells), Vec::with_capacity(centroids.len()));
    let mut start = 0;
    while start < order.len() {
        let cell = homes[order[start] as usize].0;
        let upto = order.partition_point(|&number| homes[number as usize].0 <= cell);
        let end = upto.min(start.saturating_add(most));
        ranges.push(start..end);
        own.extend_from_slice(&centroids[cell as usize * dim..][..dim]);
        start = end;
    }
    (ranges, own)
}

#[cfg(test)]
mod tests;
