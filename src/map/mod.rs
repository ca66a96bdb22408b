//! A picture of a space: t-SNE (van der Maaten & Hinton 2008), where rows that are near each other
//! lie near each other on a plane.
//!
//! The work is cut where openTSNE cuts it, and each joint is a value that can be replaced:
//!
//! ```text
//! rows -> Cells -> Neighbours -> Springs (affinities) -.
//!           |                                          v
//!           '-> start (pca, random) -----------------> Layout::run <- Repulsion (exact,
//!                                                      |              Barnes-Hut, mesh)
//!                                                      v
//!                                                    positions
//! ```
//!
//! [`lay_out`] runs the whole way with [`Settings`]; [`place`] puts new rows on a finished map.
//! Nothing depends on the number of threads: sums are cut by sizes alone.
//!
//! ```
//! use looksee::map::{Settings, lay_out};
//! use looksee::units::Stop;
//! let rows: Vec<f32> = (0..40).map(|x| (x / 10) as f32).collect();
//! let map = lay_out(&rows, 1, &Settings::default(), &Stop::default(), &mut |_| {})?;
//! assert_eq!(map.positions.len(), 40);
//! # Ok::<(), looksee::Error>(())
//! ```

pub mod affinity;
pub mod gradient;
pub mod init;
pub mod neighbours;
pub mod optimise;
mod placing;

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::units::{Event, Listener, Seed, Stop};
use gradient::{BarnesHut, Exact, Mesh, Repulsion};
use neighbours::{Cells, Neighbours, Search};
use optimise::{Layout, Phase};
pub use placing::place;

/// Up to so many points, adding up all pairs is faster than a mesh.
const EXACT_UP_TO: usize = 4000;
/// Rows whose neighbours are compared with the true ones.
const RECALL_SAMPLE: usize = 512;
/// [`Search::Auto`] is content with this share of the true neighbours.
const ENOUGH_RECALL: f64 = 0.97;

/// How the push of all points is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// [`Method::Exact`] for up to 4,000 points, [`Method::Mesh`] for more.
    #[default]
    Auto,
    /// Pair by pair.
    Exact,
    /// By a tree.
    BarnesHut,
    /// By Fourier transforms of a mesh.
    Mesh,
}

/// Where the points begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At their principal components, which keeps the large shape the same from run to run.
    #[default]
    Pca,
    /// By chance.
    Random,
}

/// Settings of a map.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many neighbours a point has, in effect; 5 to 50 are usual.
    pub perplexity: f32,
    /// How the push is computed.
    pub method: Method,
    /// How the neighbours are found.
    pub search: Search,
    /// Where the points begin.
    pub start: Start,
    /// The iterations.
    pub phases: Vec<Phase>,
    /// Where all chance comes from.
    pub seed: Seed,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            perplexity: 30.0,
            method: Method::default(),
            search: Search::default(),
            start: Start::default(),
            phases: Phase::usual(),
            seed: Seed::default(),
        }
    }
}

/// A finished map.
#[derive(Clone, Debug)]
pub struct Map {
    /// Where each row lies; their mean is 0.
    pub positions: Vec<[f32; 2]>,
    /// Kullback-Leibler divergence of the map from the affinities; smaller is better.
    pub kl: f64,
    /// Iterations that were run.
    pub iterations: usize,
    /// Whether a stop ended the run before its last iteration.
    pub stopped: bool,
    /// The perplexity that was used.
    pub perplexity: f32,
    /// The method that was used: never [`Method::Auto`].
    pub method: Method,
    /// Share of the true neighbours that was found, where they were not searched exactly.
    pub recall: Option<f64>,
    /// Where the time went.
    pub times: Times,
}

/// Where the time of a map went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// Finding neighbours.
    pub neighbours: Duration,
    /// From neighbours to affinities.
    pub affinities: Duration,
    /// Finding where to begin.
    pub start: Duration,
    /// Moving the points.
    pub optimise: Duration,
}

/// Lays out rows `[n, dim]`, of any length, on a plane.
///
/// A perplexity above `(n - 1) / 3` is lowered to that with a warning. Two rows lie apart, one at 0.
/// A stop during the search for neighbours is an error, a later one gives the map as it is by then.
///
/// Fails when the rows are not whole or hold a value that is not finite.
pub fn lay_out(
    rows: &[f32],
    dim: usize,
    settings: &Settings,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<Map> {
    let mut times = Times::default();
    let clock = Instant::now();
    let cells = Cells::gather(rows, dim)?;
    let perplexity = fitting_perplexity(settings.perplexity, cells.len(), listener);
    if cells.len() < 2 {
        return Ok(Map::of_one(cells.len(), perplexity));
    }
    let count = (3.0 * perplexity).ceil() as usize;
    let (neighbours, recall) = find_neighbours(&cells, count, settings.search, stop, listener)?;
    times.neighbours = clock.elapsed();

    let clock = Instant::now();
    let springs = affinity::affinities(neighbours, perplexity);
    times.affinities = clock.elapsed();

    let clock = Instant::now();
    let positions = start(&cells, settings);
    let order = cells.into_order();
    times.start = clock.elapsed();

    let clock = Instant::now();
    let (method, mut repulsion) = repulsion(settings.method, order.len());
    let mut layout = Layout::starting_at(positions);
    let whole = layout.run(&settings.phases, &springs, &mut *repulsion, stop, listener)?;
    let kl = layout.divergence(&springs, &mut *repulsion);
    times.optimise = clock.elapsed();
    Ok(Map {
        positions: order.restore(layout.positions()),
        kl,
        iterations: layout.iterations(),
        stopped: !whole,
        perplexity,
        method,
        recall,
        times,
    })
}

/// The vector instructions in use, such as `avx512`.
pub fn simd_name() -> &'static str {
    looksee_kernels::cpu::simd::simd_level().name()
}

/// The perplexity, or the greatest that so many points have neighbours for.
fn fitting_perplexity(wanted: f32, points: usize, listener: Listener<'_>) -> f32 {
    let most = (points.saturating_sub(1) as f32 / 3.0).max(1.0);
    if wanted <= most {
        return wanted.max(1.0);
    }
    if points > 1 {
        let text = format!(
            "a perplexity of {wanted} needs more than {} points, there are {points}; using {most:.1}",
            (3.0 * wanted) as usize
        );
        listener(Event::Warning(&text));
    }
    most
}

/// The neighbours, and their recall where they were not searched exactly. Left to itself, the search
/// looks in more cells until few are missing.
fn find_neighbours(
    cells: &Cells,
    count: usize,
    search: Search,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<(Neighbours, Option<f64>)> {
    let mut limit = search.limit(cells.len());
    loop {
        let found = cells.neighbours(count, Search::Cells(limit), stop)?;
        if limit >= cells.cells() {
            return Ok((found, None));
        }
        let recall = cells.recall(&found, RECALL_SAMPLE);
        if recall >= ENOUGH_RECALL || search != Search::Auto {
            let text = format!(
                "neighbours were searched in the {limit} nearest of {} cells and are {:.1} % of \
                 the true ones",
                cells.cells(),
                100.0 * recall
            );
            listener(Event::Note(&text));
            return Ok((found, Some(recall)));
        }
        limit *= 2;
    }
}

impl Map {
    /// The map of no row or of one.
    fn of_one(points: usize, perplexity: f32) -> Self {
        Self {
            positions: vec![[0.0; 2]; points],
            kl: 0.0,
            iterations: 0,
            stopped: false,
            perplexity,
            method: Method::Exact,
            recall: None,
            times: Times::default(),
        }
    }
}

/// Where the points begin, in the order of the cells.
fn start(cells: &Cells, settings: &Settings) -> Vec<[f32; 2]> {
    match settings.start {
        Start::Pca => init::pca(cells.rows(), cells.dim(), settings.seed),
        Start::Random => {
            // The caller's order counts, so that the start does not depend on the cells.
            let positions = init::random(cells.len(), settings.seed);
            cells.order().iter().map(|&number| positions[number as usize]).collect()
        }
    }
}

/// The method in use, and what computes it.
fn repulsion(method: Method, points: usize) -> (Method, Box<dyn Repulsion>) {
    match method {
        Method::Auto if points <= EXACT_UP_TO => repulsion(Method::Exact, points),
        Method::Auto => repulsion(Method::Mesh, points),
        Method::Exact => (method, Box::new(Exact::default())),
        Method::BarnesHut => (method, Box::new(BarnesHut::default())),
        Method::Mesh => (method, Box::new(Mesh::default())),
    }
}

#[cfg(test)]
mod tests;
