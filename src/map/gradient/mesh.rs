//! The push of all points at once, from a field on a mesh.
//!
//! With `K(r) = 1 / (1 + r^2)` and the field `phi = sum_j K(|y - y_j|)`, the push on a point is
//! `-grad phi / 2`, and the normaliser `Z` is the sum of `phi` over the points less what each adds
//! to its own place. So one charge a point, one transform forth and one back give both, where
//! FIt-SNE (Linderman et al. 2019) convolves four charges. The method is the particle mesh of
//! Hockney & Eastwood (Computer Simulation Using Particles, 1988, chapters 5 and 8): charges are
//! laid on the mesh by cubic B-splines, the kernel's spectrum is multiplied by their optimal
//! influence function, and the field is read by the same splines.
//!
//! A transform of the whole map needs a mesh of twice its width, or the far side would be felt as a
//! neighbour. Instead the kernel is split as Ewald did for crystals:
//! `K = exp(-t (1 + r^2)) K + (1 - exp(-t (1 + r^2))) K`. The first part ends after a few units, so
//! its mesh needs only a margin; the second is so smooth that a mesh of a fourth of the nodes a
//! side carries it, and that one is cheap at twice the width. A cubic spline is a sum of cubic
//! splines of half the width (the two-scale relation), so charges and field go from one mesh to
//! the other without another error. Maps of few nodes do with one mesh.
//!
//! The spacing is fixed once the map is wide; while it is small, as after the start, the mesh
//! shrinks with it on a ladder of spacings. Spectra are kept for as long as size and spacing stay.

use std::cell::RefCell;
use std::sync::Arc;

use looksee_kernels::tsne::repulsion::{
    Charges, Field, Mesh as Nodes, OFFSETS, slopes, spread_row, weights,
};
use rayon::prelude::*;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

use super::Repulsion;

/// A small map has at least so many nodes across.
const LEAST_NODES: f32 = 96.0;
/// A wide map has at most so many nodes across: points far away from all others would else take
/// all memory. The map of a million points is some 700 nodes wide after the usual steps.
const MOST_NODES: f32 = 4096.0;
/// Ratio of neighbouring spacings of the ladder.
const LADDER: f32 = 0.8;
/// Nodes beyond the outermost points.
const MARGIN: usize = 3;
/// From so many nodes a side on, the kernel is split over two meshes.
const SPLIT_FROM: usize = 192;
/// How many times the spacing is doubled for the smooth part.
const HALVINGS: usize = 2;
/// The smooth part's spectrum at the end of what its mesh carries, as a power of e.
const SMOOTH_END: f32 = 11.5;
/// The near part where its mesh ends, as a power of e.
const NEAR_END: f32 = 13.8;
/// The near part ends within so many units at any spacing that occurs.
const WIDEST: u32 = 1 << 15;
/// Rows or columns of a task.
const TASK: usize = 8;
/// Aliases of the spectrum that the influence function knows, to either side.
const ALIASES: i32 = 4;

/// The push from a field on a mesh.
///
/// With the default spacing the push is off by 0.6 % (root mean square over all points, relative to
/// that of the push), and `Z` by some 1e-5.
pub struct Mesh {
    spacing: f32,
    planners: Planners,
    plan: Option<Plan>,
    charges: Charges,
    strips: Vec<f32>,
    field: Vec<f32>,
    buffers: Buffers,
}

impl std::fmt::Debug for Mesh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mesh").field("spacing", &self.spacing).finish_non_exhaustive()
    }
}

impl Default for Mesh {
    fn default() -> Self {
        Self::with_spacing(1.0 / 3.0)
    }
}

impl Mesh {
    /// With nodes `spacing` apart where the map is wide; between 0.2 (exact to 0.2 %) and 0.5 (3 %).
    pub fn with_spacing(spacing: f32) -> Self {
        Self {
            spacing,
            planners: Planners::new(),
            plan: None,
            charges: Charges::default(),
            strips: Vec::new(),
            field: Vec::new(),
            buffers: Buffers::default(),
        }
    }

    /// Changes the spacing from the next push on.
    pub fn set_spacing(&mut self, spacing: f32) {
        self.spacing = spacing;
    }

    /// The nodes over a map, which has a plan now.
    fn lay(&mut self, positions: &[[f32; 2]]) -> Nodes {
        let (low, high) = extent(positions);
        let span = (high[0] - low[0]).max(high[1] - low[1]).max(1e-6);
        let mut spacing = self.spacing;
        while span / spacing < LEAST_NODES {
            spacing *= LADDER;
        }
        while span / spacing > MOST_NODES {
            spacing /= LADDER;
        }
        let needed = (span / spacing).ceil() as usize + 2 * MARGIN + 2;
        let fits = |plan: &Plan| {
            plan.spacing.to_bits() == spacing.to_bits()
                && (needed..needed + needed / 4).contains(&plan.near.side)
        };
        if !self.plan.as_ref().is_some_and(fits) {
            self.plan = Some(Plan::new(needed, spacing, &mut self.planners));
        }
        let side = self.plan.as_ref().map_or(needed, |plan| plan.near.side);
        // The map lies in the middle of the nodes that are left over.
        let origin = [0, 1].map(|axis| {
            let middle = 0.5 * (low[axis] + high[axis]);
            middle - 0.5 * (side - 1) as f32 * spacing
        });
        Nodes { side, origin, spacing }
    }
}

impl Repulsion for Mesh {
    fn push(&mut self, positions: &[[f32; 2]], pushes: &mut [[f32; 2]]) -> f64 {
        if positions.is_empty() {
            return 0.0;
        }
        let nodes = self.lay(positions);
        let Some(plan) = &mut self.plan else { return 0.0 };
        self.charges.sort(nodes, positions);
        self.strips.resize(nodes.strip_values(), 0.0);
        self.field.resize(nodes.side * nodes.side, 0.0);
        self.charges.spread(nodes, &mut self.strips);
        plan.field(nodes, &self.strips, &mut self.field, &mut self.buffers);
        self.charges.read(nodes, &self.field, &plan.own);
        // The field of K - 1 lacks 1 for each point but the one itself.
        let own_value = plan.own_value.unwrap_or(1.0 - positions.len() as f32);
        collect(&self.charges, pushes, own_value)
    }
}

/// Takes the pushes of all points from what they read, and gives the sum of the field.
fn collect(charges: &Charges, pushes: &mut [[f32; 2]], own_value: f32) -> f64 {
    const POINTS: usize = 4096;
    let fields = charges.fields();
    let tasks = pushes.par_chunks_mut(POINTS).zip(charges.places().par_chunks(POINTS));
    let sums: Vec<f64> = tasks
        .map(|(pushes, places)| {
            let mut sum = 0.0;
            for (push, &place) in pushes.iter_mut().zip(places) {
                let [value, across, down, _] = fields[place as usize];
                *push = [-0.5 * across, -0.5 * down];
                sum += f64::from(value - own_value);
            }
            sum
        })
        .collect();
    sums.iter().sum()
}

/// The least and the greatest coordinates.
fn extent(positions: &[[f32; 2]]) -> ([f32; 2], [f32; 2]) {
    let none = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
    let wider = |a: ([f32; 2], [f32; 2]), b: ([f32; 2], [f32; 2])| {
        ([0, 1].map(|axis| a.0[axis].min(b.0[axis])), [0, 1].map(|axis| a.1[axis].max(b.1[axis])))
    };
    let of = |positions: &[[f32; 2]]| positions.iter().fold(none, |all, &p| wider(all, (p, p)));
    positions.par_chunks(1 << 14).map(of).reduce(|| none, wider)
}

/// Where the transforms of all sizes come from; what two sizes share is made once.
struct Planners {
    real: RealFftPlanner<f32>,
    complex: FftPlanner<f32>,
}

impl Planners {
    fn new() -> Self {
        Self { real: RealFftPlanner::new(), complex: FftPlanner::new() }
    }
}

/// The part of the kernel that a mesh carries, by the squared distance.
type Kernel<'a> = &'a (dyn Fn(f64) -> f64 + Sync);

/// What is prepared for one size and spacing.
struct Plan {
    spacing: f32,
    near: Level,
    /// The smooth part of the kernel, when the kernel is split.
    smooth: Option<Level>,
    /// The field of a point itself by its offset in a cell, on the near mesh.
    own: Vec<Field>,
    /// What the smooth part adds to a point's own place; `None` when the field is that of `K - 1`.
    own_value: Option<f32>,
    /// The mesh at each halving.
    coarse: Vec<Vec<f32>>,
}

impl Plan {
    fn new(needed: usize, spacing: f32, planners: &mut Planners) -> Self {
        if needed < SPLIT_FROM {
            // K - 1, which does not lose a tiny map's slopes beside a large constant.
            let whole = |square: f64| -square / (1.0 + square);
            let near = Level::new(needed, 2 * needed, spacing, &whole, planners);
            let own = near.own_field(spacing);
            return Self { spacing, near, smooth: None, own, own_value: None, coarse: Vec::new() };
        }
        let whole = |square: f64| 1.0 / (1.0 + square);
        let wide = spacing * (1 << HALVINGS) as f32;
        // The smooth part's spectrum falls like exp(-k^2 / 4t); its mesh carries k up to pi / wide.
        let t = f64::from((std::f32::consts::PI / wide).powi(2) / (4.0 * SMOOTH_END));
        let end = (0..WIDEST)
            .find(|&r| t * f64::from(r * r) + f64::from(1 + r * r).ln() > f64::from(NEAR_END));
        let margin = (end.unwrap_or(WIDEST) as f32 / spacing).ceil() as usize;
        let reach = (margin as f64 * f64::from(spacing)).powi(2);
        let near = |square: f64| {
            if square > reach { 0.0 } else { (-t * (1.0 + square)).exp() * whole(square) }
        };
        let smooth = |square: f64| -(-t * (1.0 + square)).exp_m1() * whole(square);
        // Some room, so that a growing map does not need a new plan at each step.
        let side = needed + needed / 16;
        let near = Level::new(side, side + margin, spacing, &near, planners);
        let sides = coarse_sides(near.side);
        let last = sides[HALVINGS - 1];
        let smooth = Level::exactly(last, 2 * last, wide, &smooth, planners);
        let own_value = Some(smooth.own_value());
        let coarse = sides.iter().map(|side| vec![0.0; side * side]).collect();
        let own = near.own_field(spacing);
        Self { spacing, near, smooth: Some(smooth), own, own_value, coarse }
    }

    /// The field at all nodes from the charges on the strips.
    fn field(&mut self, nodes: Nodes, strips: &[f32], field: &mut [f32], buffers: &mut Buffers) {
        let side = nodes.side;
        field.par_chunks_mut(side).enumerate().for_each(|(row, sums)| {
            spread_row(nodes, strips, row, sums);
        });
        let Self { near, smooth, coarse, .. } = self;
        let sides = coarse_sides(side);
        if smooth.is_some() {
            halve(field, side, &mut coarse[0]);
            for halving in 1..coarse.len() {
                let (fine, wide) = coarse.split_at_mut(halving);
                halve(&fine[halving - 1], sides[halving - 1], &mut wide[0]);
            }
        }
        near.convolve(field, buffers);
        if let Some(smooth) = smooth {
            let last = coarse.len() - 1;
            smooth.convolve(&mut coarse[last], buffers);
            for halving in (1..coarse.len()).rev() {
                let (fine, wide) = coarse.split_at_mut(halving);
                fine[halving - 1].fill(0.0);
                add_doubled(&wide[0], &mut fine[halving - 1], sides[halving - 1]);
            }
            add_doubled(&coarse[0], field, side);
        }
    }
}

/// What a thread keeps for its transforms from one iteration to the next.
#[derive(Default)]
struct Scratch {
    line: Vec<f32>,
    lines: Vec<Complex32>,
    complex: Vec<Complex32>,
}

fn with_scratch(use_it: impl FnOnce(&mut Scratch)) {
    thread_local! {
        static KEPT: RefCell<Scratch> = RefCell::default();
    }
    KEPT.with_borrow_mut(use_it);
}

/// The first `len` values, whatever they are.
fn at_least<T: Copy>(values: &mut Vec<T>, len: usize, fill: T) -> &mut [T] {
    if values.len() < len {
        values.resize(len, fill);
    }
    &mut values[..len]
}

/// A mesh with the spectrum of its part of the kernel.
struct Level {
    /// Nodes a side that may hold charges.
    side: usize,
    /// Nodes a side of the transform; those beyond `side` keep the far side away.
    size: usize,
    /// The kernel's spectrum times the influence function, `[size / 2 + 1, size / 2 + 1]`; it is
    /// even and symmetric.
    spectrum: Vec<f32>,
    rows_forth: Arc<dyn RealToComplex<f32>>,
    rows_back: Arc<dyn ComplexToReal<f32>>,
    columns_forth: Arc<dyn Fft<f32>>,
    columns_back: Arc<dyn Fft<f32>>,
}

/// Room for the transforms of any level.
#[derive(Default)]
struct Buffers {
    /// Transformed rows, `[side, size / 2 + 1]`.
    rows: Vec<Complex32>,
    /// The same by columns, `[size / 2 + 1, side]`.
    columns: Vec<Complex32>,
}

impl Level {
    /// For at least `side` nodes, with a transform of at least `size`; nodes that a good size has
    /// left over go to the side.
    fn new(
        side: usize,
        size: usize,
        spacing: f32,
        kernel: Kernel<'_>,
        planners: &mut Planners,
    ) -> Self {
        let good = good_size(size);
        let mut level = Self::exactly(side, good, spacing, kernel, planners);
        level.side = side + (good - size) / 2;
        level
    }

    fn exactly(
        side: usize,
        size: usize,
        spacing: f32,
        kernel: Kernel<'_>,
        planners: &mut Planners,
    ) -> Self {
        let size = good_size(size);
        let Planners { real, complex } = planners;
        let mut level = Self {
            side,
            size,
            spectrum: Vec::new(),
            rows_forth: real.plan_fft_forward(size),
            rows_back: real.plan_fft_inverse(size),
            columns_forth: complex.plan_fft_forward(size),
            columns_back: complex.plan_fft_inverse(size),
        };
        level.spectrum = level.kernel_spectrum(spacing, kernel);
        level
    }

    fn half(&self) -> usize {
        self.size / 2 + 1
    }

    /// The spectrum of `kernel` (of the squared distance) sampled at the nodes, times the influence
    /// function, over the square of the size, which the transforms leave in.
    fn kernel_spectrum(&self, spacing: f32, kernel: Kernel<'_>) -> Vec<f32> {
        let (size, half) = (self.size, self.half());
        let square = |nodes: usize| (nodes as f64 * f64::from(spacing)).powi(2);
        // An even function's transform needs one half of its rows and is real.
        let mut rows = vec![0.0f32; half * half];
        rows.par_chunks_mut(half).enumerate().for_each(|(y, spectrum)| {
            let mut line: Vec<f32> =
                (0..size).map(|x| kernel(square(x.min(size - x)) + square(y)) as f32).collect();
            if line.iter().all(|&value| value == 0.0) {
                // The kernel ends before this row.
                return;
            }
            let mut transformed = vec![Complex32::default(); half];
            // The lengths are those of the plan.
            let _ = self.rows_forth.process(&mut line, &mut transformed);
            spectrum.iter_mut().zip(transformed).for_each(|(real, value)| *real = value.re);
        });
        let factors: Vec<Influence> = (0..half).map(|k| Influence::at(k, size)).collect();
        let mut spectrum = vec![0.0; half * half];
        spectrum.par_chunks_mut(half).enumerate().for_each(|(x, spectrum)| {
            let mut line: Vec<f32> = (0..size).map(|y| rows[y.min(size - y) * half + x]).collect();
            let mut transformed = vec![Complex32::default(); half];
            let _ = self.rows_forth.process(&mut line, &mut transformed);
            for (y, (place, value)) in spectrum.iter_mut().zip(transformed).enumerate() {
                let influence = factors[x].with(&factors[y]);
                *place = (f64::from(value.re) * influence / (size * size) as f64) as f32;
            }
        });
        spectrum
    }

    /// Replaces the charges `[side, side]` by their field.
    fn convolve(&self, mesh: &mut [f32], buffers: &mut Buffers) {
        let values = self.side * self.half();
        let rows = at_least(&mut buffers.rows, values, Complex32::default());
        let columns = at_least(&mut buffers.columns, values, Complex32::default());
        self.transform_rows(mesh, rows);
        self.transform_columns(rows, columns);
        self.back_to_rows(columns, mesh);
    }

    fn transform_rows(&self, mesh: &[f32], rows: &mut [Complex32]) {
        let (side, size, half) = (self.side, self.size, self.half());
        let forth = &self.rows_forth;
        let tasks = rows.par_chunks_mut(TASK * half).zip(mesh.par_chunks(TASK * side));
        tasks.for_each(|(spectra, rows)| {
            with_scratch(|Scratch { line, complex, .. }| {
                let line = at_least(line, size, 0.0);
                let scratch = at_least(complex, forth.get_scratch_len(), Complex32::default());
                for (spectrum, row) in spectra.chunks_exact_mut(half).zip(rows.chunks_exact(side)) {
                    line[..side].copy_from_slice(row);
                    line[side..].fill(0.0);
                    // The lengths are those of the plan.
                    let _ = forth.process_with_scratch(line, spectrum, scratch);
                }
            });
        });
    }

    fn transform_columns(&self, rows: &[Complex32], columns: &mut [Complex32]) {
        let (side, size, half) = (self.side, self.size, self.half());
        let Self { columns_forth: forth, columns_back: back, spectrum, .. } = self;
        let none = Complex32::default();
        let scratch_len = forth.get_inplace_scratch_len().max(back.get_inplace_scratch_len());
        let tasks = columns.par_chunks_mut(TASK * side).zip(spectrum.par_chunks(TASK * half));
        tasks.enumerate().for_each(|(task, (columns, spectra))| {
            with_scratch(|Scratch { lines, complex, .. }| {
                let (first, count) = (task * TASK, columns.len() / side);
                let lines = at_least(lines, count * size, none);
                let scratch = at_least(complex, scratch_len, none);
                for (row, values) in rows.chunks_exact(half).enumerate() {
                    for (line, value) in values[first..first + count].iter().enumerate() {
                        lines[line * size + row] = *value;
                    }
                }
                let lines = lines.chunks_exact_mut(size).zip(spectra.chunks_exact(half));
                for ((line, spectrum), column) in lines.zip(columns.chunks_exact_mut(side)) {
                    line[side..].fill(none);
                    forth.process_with_scratch(line, scratch);
                    multiply(line, spectrum);
                    back.process_with_scratch(line, scratch);
                    column.copy_from_slice(&line[..side]);
                }
            });
        });
    }

    fn back_to_rows(&self, columns: &[Complex32], mesh: &mut [f32]) {
        let (side, size, half) = (self.side, self.size, self.half());
        let back = &self.rows_back;
        let none = Complex32::default();
        mesh.par_chunks_mut(TASK * side).enumerate().for_each(|(task, rows)| {
            with_scratch(|Scratch { line, lines, complex }| {
                let (first, count) = (task * TASK, rows.len() / side);
                let lines = at_least(lines, count * half, none);
                let line = at_least(line, size, 0.0);
                let scratch = at_least(complex, back.get_scratch_len(), none);
                for (column, values) in columns.chunks_exact(side).enumerate() {
                    for (row, value) in values[first..first + count].iter().enumerate() {
                        lines[row * half + column] = *value;
                    }
                }
                for (spectrum, row) in lines.chunks_exact_mut(half).zip(rows.chunks_exact_mut(side))
                {
                    // The transform of a real line begins and ends with a real value; what rounding
                    // left there would be refused.
                    spectrum[0].im = 0.0;
                    spectrum[half - 1].im = 0.0;
                    let _ = back.process_with_scratch(spectrum, line, scratch);
                    row.copy_from_slice(&line[..side]);
                }
            });
        });
    }

    /// The field that a charge makes `[down, across]` nodes from where it lies.
    fn response(&self) -> [[f64; 4]; 4] {
        let (size, half) = (self.size, self.half());
        let waves: Vec<Vec<f64>> = (0..4)
            .map(|nodes| {
                let wave = |k: usize| {
                    let twice = if k == 0 || k == size / 2 { 1.0 } else { 2.0 };
                    twice * (std::f64::consts::TAU * (k * nodes % size) as f64 / size as f64).cos()
                };
                (0..half).map(wave).collect()
            })
            .collect();
        let product = |values: &[f32], wave: &[f64]| -> f64 {
            values.iter().zip(wave).map(|(&value, wave)| f64::from(value) * wave).sum()
        };
        let by_column: Vec<[f64; 4]> = self
            .spectrum
            .par_chunks(half)
            .map(|column| [0, 1, 2, 3].map(|down| product(column, &waves[down])))
            .collect();
        [0, 1, 2, 3].map(|down| {
            [0, 1, 2, 3].map(|across| {
                by_column.iter().zip(&waves[across]).map(|(column, wave)| column[down] * wave).sum()
            })
        })
    }

    /// What a point reads of the field that it makes, by its offset within a cell.
    fn own_field(&self, spacing: f32) -> Vec<Field> {
        let response = self.response();
        let step = |step: usize| step as f32 / OFFSETS as f32;
        let offsets = (0..=OFFSETS).flat_map(|v| (0..=OFFSETS).map(move |u| (step(u), step(v))));
        offsets.map(|(u, v)| own_field_at(&response, u, v, spacing)).collect()
    }

    /// The mean of [`Level::own_field`].
    fn own_value(&self) -> f32 {
        let table = self.own_field(1.0);
        let whole_cell = table.chunks_exact(OFFSETS + 1).take(OFFSETS);
        let values = whole_cell.flat_map(|row| &row[..OFFSETS]).map(|field| field[0]);
        values.sum::<f32>() / (OFFSETS * OFFSETS) as f32
    }
}

fn own_field_at(response: &[[f64; 4]; 4], u: f32, v: f32, spacing: f32) -> Field {
    let (across, down) = (weights(u), weights(v));
    let (across_slope, down_slope) = (slopes(u), slopes(v));
    let mut sums = [0.0f64; 3];
    for (b, a) in (0..4usize).flat_map(|b| (0..4usize).map(move |a| (b, a))) {
        for (r, q) in (0..4).flat_map(|r| (0..4).map(move |q| (r, q))) {
            let charge = f64::from(down[r]) * f64::from(across[q]);
            let field = charge * response[b.abs_diff(r)][a.abs_diff(q)];
            sums[0] += field * f64::from(across[a] * down[b]);
            sums[1] += field * f64::from(across_slope[a] * down[b]);
            sums[2] += field * f64::from(across[a] * down_slope[b]);
        }
    }
    let spacing = f64::from(spacing);
    [sums[0] as f32, (sums[1] / spacing) as f32, (sums[2] / spacing) as f32, 0.0]
}

/// Multiplies a line's transform by a spectrum that is even.
fn multiply(line: &mut [Complex32], spectrum: &[f32]) {
    let (low, high) = line.split_at_mut(spectrum.len());
    for (value, factor) in low.iter_mut().zip(spectrum) {
        *value *= factor;
    }
    // Frequency size - k is frequency -k.
    for (value, factor) in high.iter_mut().rev().zip(&spectrum[1..]) {
        *value *= factor;
    }
}

/// What one direction adds to the optimal influence function (Hockney & Eastwood, 8-22): the
/// spline's squared transform and its sums over the aliases, with and without the squared frequency.
struct Influence {
    square: f64,
    spline: f64,
    all: f64,
    all_square: f64,
}

impl Influence {
    /// At frequency `k` of `size`.
    fn at(k: usize, size: usize) -> Self {
        let alias = |alias: i32| {
            let angle = std::f64::consts::TAU * (k as f64 / size as f64 + f64::from(alias));
            let half = 0.5 * angle;
            let sinc = if half.abs() < 1e-12 { 1.0 } else { half.sin() / half };
            (sinc.powi(8), angle * angle)
        };
        let (spline, square) = alias(0);
        let sums = (-ALIASES..=ALIASES)
            .map(alias)
            .fold((0.0, 0.0), |sums, (spline, square)| (sums.0 + spline, sums.1 + spline * square));
        Self { square, spline, all: sums.0, all_square: sums.1 }
    }

    /// The function at a pair of frequencies.
    fn with(&self, other: &Self) -> f64 {
        let square = self.square + other.square;
        if square == 0.0 {
            return 1.0;
        }
        let aliased = self.all_square * other.all + self.all * other.all_square;
        square * self.spline * other.spline / (self.all * other.all * aliased)
    }
}

/// The next number that is a multiple of 4 and has no prime factor above 5.
fn good_size(size: usize) -> usize {
    let smooth = |mut size: usize| {
        for prime in [2, 3, 5] {
            while size.is_multiple_of(prime) {
                size /= prime;
            }
        }
        size == 1
    };
    let mut size = size.max(4).next_multiple_of(4);
    while !smooth(size) {
        size += 4;
    }
    size
}

/// Weights of a wide cubic spline's five narrow ones, from its middle outwards.
const TWO_SCALE: [f32; 3] = [0.75, 0.5, 0.125];

/// Nodes a side of a mesh of twice the spacing whose splines cover one of `side`. Its node `j` lies
/// on node `2 (j - 1)` of the fine mesh.
fn halved_side(side: usize) -> usize {
    side.div_ceil(2) + 2
}

/// Nodes a side after each halving.
fn coarse_sides(side: usize) -> [usize; HALVINGS] {
    let mut last = side;
    [(); HALVINGS].map(|()| {
        last = halved_side(last);
        last
    })
}

/// The charges of a mesh on one of twice the spacing.
fn halve(fine: &[f32], side: usize, wide: &mut [f32]) {
    let wide_side = halved_side(side);
    wide.par_chunks_mut(wide_side).enumerate().for_each_init(
        || vec![0.0f32; side + 8],
        |line, (wide_row, sums)| {
            line.fill(0.0);
            for (row, weight) in narrow(wide_row) {
                if let Some(values) = row.and_then(|row| fine.get(row * side..(row + 1) * side)) {
                    // Four zeros stand before and behind the row.
                    let places = line[4..].iter_mut();
                    places.zip(values).for_each(|(sum, value)| *sum += weight * value);
                }
            }
            for (column, sum) in sums.iter_mut().enumerate() {
                // Node 2 (column - 1) is at 2 column + 2.
                let near = &line[2 * column..][..5];
                *sum = TWO_SCALE[0] * near[2]
                    + TWO_SCALE[1] * (near[1] + near[3])
                    + TWO_SCALE[2] * (near[0] + near[4]);
            }
        },
    );
}

/// The five nodes under a wide node, if they are 0 or more, with their weights.
fn narrow(wide: usize) -> [(Option<usize>, f32); 5] {
    [0, 1, 2, 3, 4].map(|at| ((2 * wide + at).checked_sub(4), TWO_SCALE[at.abs_diff(2)]))
}

/// Adds the field of a mesh of twice the spacing.
fn add_doubled(wide: &[f32], fine: &mut [f32], side: usize) {
    let wide_side = halved_side(side);
    fine.par_chunks_mut(side).enumerate().for_each_init(
        || vec![0.0f32; wide_side],
        |line, (row, fine)| {
            line.fill(0.0);
            for (wide_row, weight) in wide_nodes(row) {
                let values = &wide[wide_row * wide_side..][..wide_side];
                line.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
            }
            for (pair, near) in fine.chunks_mut(2).zip(line.windows(3)) {
                pair[0] += TWO_SCALE[0] * near[1] + TWO_SCALE[2] * (near[0] + near[2]);
                if let Some(odd) = pair.get_mut(1) {
                    *odd += TWO_SCALE[1] * (near[1] + near[2]);
                }
            }
        },
    );
}

/// The wide nodes whose splines cover a node, with their weights.
fn wide_nodes(node: usize) -> [(usize, f32); 3] {
    let below = node / 2;
    let [middle, beside, outer] = TWO_SCALE;
    if node.is_multiple_of(2) {
        [(below, outer), (below + 1, middle), (below + 2, outer)]
    } else {
        [(below, 0.0), (below + 1, beside), (below + 2, beside)]
    }
}

#[cfg(test)]
mod tests;
