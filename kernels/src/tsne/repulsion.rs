//! The repulsion in a t-SNE map (the repulsive forces of its gradient): every point pushes every
//! other away, as charges do.
//!
//! [`push`] adds up all pairs. For many points the push is the gradient of a field that is sampled
//! on a mesh (the interpolation of `FIt-SNE`): [`Charges::spread`] lays each point on the 4 x 4
//! nodes around it, the caller convolves the mesh with the kernel, and [`Charges::read`]
//! interpolates the field and its slope at each point. Both use cubic B-splines, so the slope is
//! the exact derivative of what is interpolated.
//!
//! Points are taken in strips of the mesh: a strip's rows stay in the first cache, and each strip
//! writes to rows of its own, so that a sum does not depend on the number of threads.

use crate::cpu::simd::{SimdLevel, multiversion, simd_level};
use rayon::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

/// Points that push together.
const LANES: usize = 16;
/// Points of a task.
const TASK_POINTS: usize = 4096;
/// Nodes under a cubic spline, a direction.
const NODES: usize = 4;
/// Rows of a strip.
const STRIP: usize = 16;
/// Rows that a strip's points reach beyond it.
const OVERLAP: usize = NODES - 1;
/// Steps in which the offset of a point within its cell is tabulated.
pub const OFFSETS: usize = 16;

/// Adds up all pairs: the push on each point `i`, the sum of `(y_i - y_j) / (1 + d^2)^2`, and for each
/// the sum of `1 / (1 + d^2)` over the others, `d` being `|y_i - y_j|`.
///
/// # Panics
/// When the lengths differ.
pub fn push(positions: &[[f32; 2]], pushes: &mut [[f32; 2]], sums: &mut [f32]) {
    assert_eq!(positions.len(), pushes.len(), "positions and pushes");
    assert_eq!(positions.len(), sums.len(), "positions and sums");
    let all = FixedPoints::new(positions);
    let tasks = positions.par_chunks(8).zip(pushes.par_chunks_mut(8)).zip(sums.par_chunks_mut(8));
    tasks.for_each(|((positions, pushes), sums)| {
        for ((&own, push), sum) in positions.iter().zip(pushes).zip(sums) {
            let (total, near) = all.push_at(own);
            // A point does not push itself.
            (*push, *sum) = (total, near - 1.0);
        }
    });
}

/// Points that push others and are not pushed.
#[derive(Clone, Debug)]
pub struct FixedPoints {
    x: Vec<f32>,
    y: Vec<f32>,
}

impl FixedPoints {
    /// Points at these positions.
    pub fn new(positions: &[[f32; 2]]) -> Self {
        let [x, y] = [0, 1].map(|axis| {
            // Far away, the points that fill up the last group push with nothing.
            let values = positions.iter().map(|position| position[axis]);
            let fill = positions.len().next_multiple_of(LANES) - positions.len();
            values.chain(std::iter::repeat_n(1e18, fill)).collect()
        });
        Self { x, y }
    }

    /// The push on a point at `own`, the sum of `(own - y_j) / (1 + d^2)^2`, and the sum of
    /// `1 / (1 + d^2)`.
    pub fn push_at(&self, own: [f32; 2]) -> ([f32; 2], f32) {
        let [x, y, sum] = push_one(own, &self.x, &self.y);
        ([x, y], sum)
    }
}

multiversion! {
    fn push_one(own: [f32; 2], x: &[f32], y: &[f32]) -> [f32; 3] {
        let mut lanes = [[0.0f32; LANES]; 3];
        for (x, y) in x.as_chunks::<LANES>().0.iter().zip(y.as_chunks::<LANES>().0) {
            for lane in 0..LANES {
                let (dx, dy) = (own[0] - x[lane], own[1] - y[lane]);
                let near = 1.0 / (1.0 + dx * dx + dy * dy);
                let square = near * near;
                lanes[0][lane] += square * dx;
                lanes[1][lane] += square * dy;
                lanes[2][lane] += near;
            }
        }
        let mut sums = [0.0; 3];
        for (sum, lanes) in sums.iter_mut().zip(&lanes) {
            for lane in lanes {
                *sum += lane;
            }
        }
        sums
    }
}

/// A square mesh over a map.
#[derive(Clone, Copy, Debug)]
pub struct Mesh {
    /// Nodes a side.
    pub side: usize,
    /// Where node (0, 0) lies; every point is at least one node away from the sides, two from the
    /// far ones.
    pub origin: [f32; 2],
    /// Distance of neighbouring nodes.
    pub spacing: f32,
}

impl Mesh {
    /// The cell of a point and its offset in it, 0 to 1, a direction. Points outside of the mesh
    /// (and NaN) are taken to its nearest cell.
    #[inline(always)]
    fn cell(self, place: f32) -> (usize, f32) {
        let place = if place > 1.0 { place } else { 1.0 };
        let place = if place < self.end() { place } else { self.end() };
        (place as usize, place - (place as usize) as f32)
    }

    /// The last place that has two nodes beyond it.
    #[inline(always)]
    fn end(self) -> f32 {
        ((self.side - 2) as f32).next_down()
    }

    fn strips(self) -> usize {
        self.side.div_ceil(STRIP)
    }

    /// Length of the values that [`Charges::spread`] writes.
    pub fn strip_values(self) -> usize {
        self.strips() * (STRIP + OVERLAP) * self.side
    }
}

/// Adds up row `row` `[side]` of the mesh from what [`Charges::spread`] wrote.
///
/// # Panics
/// When a length does not fit or there is no such row.
pub fn spread_row(mesh: Mesh, strips: &[f32], row: usize, sums: &mut [f32]) {
    let side = mesh.side;
    assert_eq!(strips.len(), mesh.strip_values(), "values of all strips");
    assert!(row < side && sums.len() == side, "row {row} of {side}, {} values", sums.len());
    let (strip, within) = (row / STRIP, row % STRIP);
    let at = |strip: usize, within: usize| {
        &strips[(strip * (STRIP + OVERLAP) + within) * side..][..side]
    };
    sums.copy_from_slice(at(strip, within));
    if within < OVERLAP && strip > 0 {
        for (sum, value) in sums.iter_mut().zip(at(strip - 1, STRIP + within)) {
            *sum += value;
        }
    }
}

/// The field at a point: its value, and its slope along both directions.
pub type Field = [f32; 4];

/// The field of a point itself, by its offset within its cell: `[OFFSETS + 1, OFFSETS + 1]`, in steps
/// of `1 / OFFSETS`, the second direction first; or none.
pub type OwnField<'a> = &'a [Field];

/// Points sorted by the strip of the mesh in which they lie.
#[derive(Debug, Default)]
pub struct Charges {
    /// Where each point is in the sorted order.
    places: Vec<u32>,
    /// Position in cells, packed, in sorted order. Atomic only because all threads fill it.
    sorted: Vec<AtomicU64>,
    /// Where each strip begins, and the end.
    starts: Vec<u32>,
    /// What each point reads, in sorted order.
    fields: Vec<Field>,
}

impl Charges {
    /// Sorts points by the strips of a mesh.
    ///
    /// # Panics
    /// When the mesh has fewer than 8 nodes a side.
    pub fn sort(&mut self, mesh: Mesh, positions: &[[f32; 2]]) {
        assert!(mesh.side >= 2 * NODES, "a mesh of {} nodes a side", mesh.side);
        let strips = mesh.strips();
        self.places.resize(positions.len(), 0);
        self.sorted.resize_with(positions.len(), AtomicU64::default);
        self.fields.resize(positions.len(), Field::default());
        let scale = 1.0 / mesh.spacing;
        let [left, top] = mesh.origin;
        let place = |[x, y]: [f32; 2]| [(x - left) * scale, (y - top) * scale];
        let strip = |place: [f32; 2]| (mesh.cell(place[1]).0 - 1) / STRIP;
        let mut counts = vec![0u32; positions.len().div_ceil(TASK_POINTS).max(1) * strips];
        counts.par_chunks_mut(strips).zip(positions.par_chunks(TASK_POINTS)).for_each(
            |(counts, positions)| positions.iter().for_each(|p| counts[strip(place(*p))] += 1),
        );
        self.starts = starts(&mut counts, strips);
        let Self { places, sorted, .. } = self;
        let tasks = counts.par_chunks_mut(strips).zip(positions.par_chunks(TASK_POINTS));
        tasks.zip(places.par_chunks_mut(TASK_POINTS)).for_each(|((next, positions), places)| {
            for (position, own) in positions.iter().zip(places) {
                let place = place(*position);
                let next = &mut next[strip(place)];
                *own = *next;
                sorted[*next as usize].store(pack(place), Ordering::Relaxed);
                *next += 1;
            }
        });
    }

    /// Lays the points on the nodes around them: the sums of each strip's points, on its own rows
    /// and on those it reaches beyond them. [`spread_row`] puts them together.
    ///
    /// # Panics
    /// When the length of `strips` does not fit the mesh, or the points were sorted by another one.
    pub fn spread(&self, mesh: Mesh, strips: &mut [f32]) {
        assert_eq!(strips.len(), mesh.strip_values(), "values of all strips");
        assert_eq!(self.starts.len(), mesh.strips() + 1, "strips of the mesh");
        let level = simd_level();
        let strips = strips.par_chunks_mut((STRIP + OVERLAP) * mesh.side).enumerate();
        strips.for_each(|(strip, sums)| {
            sums.fill(0.0);
            spread_strip(level, mesh, strip * STRIP, self.strip(strip), sums);
        });
    }

    fn strip(&self, strip: usize) -> &[AtomicU64] {
        &self.sorted[self.starts[strip] as usize..self.starts[strip + 1] as usize]
    }

    /// Reads the field `[side, side]` and its slope at each point, less that of the point itself.
    ///
    /// # Panics
    /// When a length does not fit, or the points were sorted by another mesh.
    pub fn read(&mut self, mesh: Mesh, field: &[f32], own: OwnField<'_>) {
        assert_eq!(field.len(), mesh.side * mesh.side, "nodes of the mesh");
        assert_eq!(own.len(), (OFFSETS + 1) * (OFFSETS + 1), "steps of the own field");
        let Self { sorted, fields, .. } = self;
        let tasks = sorted.par_chunks(512).zip(fields.par_chunks_mut(512));
        let level = simd_level();
        tasks.for_each(|(places, fields)| read_points(level, mesh, places, field, own, fields));
    }

    /// What point number `point` read; the fourth value is 0.
    pub fn field(&self, point: usize) -> Field {
        self.fields[self.places[point] as usize]
    }

    /// The places of the points in the order of [`Charges::fields`].
    pub fn places(&self) -> &[u32] {
        &self.places
    }

    /// What the points read, sorted: point `i` at place `places[i]`.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }
}

/// Turns counts by task and strip into the place where each task's points of each strip begin, and
/// gives where the strips begin.
fn starts(counts: &mut [u32], strips: usize) -> Vec<u32> {
    let mut starts = Vec::with_capacity(strips + 1);
    let mut next = 0;
    for strip in 0..strips {
        starts.push(next);
        for count in counts.iter_mut().skip(strip).step_by(strips) {
            next += std::mem::replace(count, next);
        }
    }
    starts.push(next);
    starts
}

#[inline(always)]
fn pack([x, y]: [f32; 2]) -> u64 {
    u64::from(x.to_bits()) | u64::from(y.to_bits()) << 32
}

#[inline(always)]
fn unpack(place: &AtomicU64) -> [f32; 2] {
    let bits = place.load(Ordering::Relaxed);
    [f32::from_bits(bits as u32), f32::from_bits((bits >> 32) as u32)]
}

/// Coefficients of `t^3`, `t^2`, `t` and 1 for the four nodes around an offset `t`.
type Cubic = [[f32; NODES]; 4];
const CUBIC: Cubic = [
    [-1.0 / 6.0, 0.5, -0.5, 1.0 / 6.0],
    [0.5, -1.0, 0.5, 0.0],
    [-0.5, 0.0, 0.5, 0.0],
    [1.0 / 6.0, 2.0 / 3.0, 1.0 / 6.0, 0.0],
];

/// The weights of the nodes around a point at the offset `t` of its cell: the uniform cubic B-spline.
pub fn weights(t: f32) -> [f32; NODES] {
    let [cube, square, line, constant] = CUBIC;
    std::array::from_fn(|at| ((cube[at] * t + square[at]) * t + line[at]) * t + constant[at])
}

/// The derivatives of the weights by `t`.
pub fn slopes(t: f32) -> [f32; NODES] {
    let [cube, square, line, _] = CUBIC;
    std::array::from_fn(|at| (3.0 * cube[at] * t + 2.0 * square[at]) * t + line[at])
}

/// Lays points on the rows `sums` from `first` on.
fn spread_strip(
    level: SimdLevel,
    mesh: Mesh,
    first: usize,
    places: &[AtomicU64],
    sums: &mut [f32],
) {
    match level {
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512 | SimdLevel::Avx2 if level.is_available() => {
            // SAFETY: the processor has the features.
            unsafe { avx2::spread_strip(mesh, first, places, sums) }
        }
        _ => spread_strip_portable(mesh, first, places, sums),
    }
}

fn spread_strip_portable(mesh: Mesh, first: usize, places: &[AtomicU64], sums: &mut [f32]) {
    for place in places {
        let [u, v] = unpack(place);
        let ((column, u), (row, v)) = (mesh.cell(u), mesh.cell(v));
        let (across, down) = (weights(u), weights(v));
        let corner = (row - 1 - first) * mesh.side + column - 1;
        for (node, weight) in down.into_iter().enumerate() {
            let sums = &mut sums[corner + node * mesh.side..][..NODES];
            sums.iter_mut().zip(across).for_each(|(sum, across)| *sum += weight * across);
        }
    }
}

/// Reads the field at points.
fn read_points(
    level: SimdLevel,
    mesh: Mesh,
    places: &[AtomicU64],
    field: &[f32],
    own: OwnField<'_>,
    fields: &mut [Field],
) {
    match level {
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512 | SimdLevel::Avx2 if level.is_available() => {
            // SAFETY: the processor has the features.
            unsafe { avx2::read_points(mesh, places, field, own, fields) }
        }
        _ => read_points_portable(mesh, places, field, own, fields),
    }
}

fn read_points_portable(
    mesh: Mesh,
    places: &[AtomicU64],
    field: &[f32],
    own: OwnField<'_>,
    fields: &mut [Field],
) {
    let scale = 1.0 / mesh.spacing;
    for (place, read) in places.iter().zip(fields) {
        let [u, v] = unpack(place);
        let ((column, u), (row, v)) = (mesh.cell(u), mesh.cell(v));
        let (across, across_slope) = (weights(u), slopes(u));
        let (down, down_slope) = (weights(v), slopes(v));
        let corner = (row - 1) * mesh.side + column - 1;
        let mut sums = [0.0f32; 3];
        for node in 0..NODES {
            let nodes = &field[corner + node * mesh.side..][..NODES];
            let dot = |weights: [f32; NODES]| -> f32 {
                nodes.iter().zip(weights).map(|(value, weight)| value * weight).sum()
            };
            let along = dot(across);
            sums[0] += down[node] * along;
            sums[1] += down[node] * dot(across_slope);
            sums[2] += down_slope[node] * along;
        }
        let [value, across, down, _] = own_field(own, u, v);
        *read = [sums[0] - value, sums[1] * scale - across, sums[2] * scale - down, 0.0];
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    //! The four nodes of a row at a time.

    use super::{AtomicU64, CUBIC, Field, Mesh, NODES, OFFSETS, Ordering, OwnField};
    use std::arch::x86_64 as arch;

    /// A point's cell and its offset within it.
    struct PointInCell {
        column: usize,
        row: usize,
        u: arch::__m128,
        v: arch::__m128,
    }

    /// The cell and offset of a point, as [`Mesh::cell`] gives them: column and row are at least 1 and
    /// at most `side - 3`.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn place(place: &AtomicU64, end: arch::__m128) -> PointInCell {
        let bits = place.load(Ordering::Relaxed);
        let pair = arch::_mm_castsi128_ps(arch::_mm_cvtsi64_si128(bits as i64));
        // The second operand is taken for NaN.
        let pair = arch::_mm_min_ps(arch::_mm_max_ps(pair, arch::_mm_set1_ps(1.0)), end);
        let cell = arch::_mm_cvttps_epi32(pair);
        let offset = arch::_mm_sub_ps(pair, arch::_mm_cvtepi32_ps(cell));
        PointInCell {
            column: arch::_mm_cvtsi128_si32(cell) as usize,
            row: arch::_mm_extract_epi32::<1>(cell) as usize,
            u: arch::_mm_shuffle_ps::<0x00>(offset, offset),
            v: arch::_mm_shuffle_ps::<0x55>(offset, offset),
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn cubic() -> [arch::__m128; 4] {
        let mut cubic = [arch::_mm_setzero_ps(); 4];
        for (vector, values) in cubic.iter_mut().zip(&CUBIC) {
            // SAFETY: there are four values.
            *vector = unsafe { arch::_mm_loadu_ps(values.as_ptr()) };
        }
        cubic
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn weights(cubic: [arch::__m128; 4], t: arch::__m128) -> arch::__m128 {
        let [cube, square, line, constant] = cubic;
        let sum = arch::_mm_fmadd_ps(cube, t, square);
        arch::_mm_fmadd_ps(arch::_mm_fmadd_ps(sum, t, line), t, constant)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn slopes(cubic: [arch::__m128; 4], t: arch::__m128) -> arch::__m128 {
        let [cube, square, line, _] = cubic;
        let cube = arch::_mm_mul_ps(arch::_mm_set1_ps(3.0), cube);
        arch::_mm_fmadd_ps(arch::_mm_fmadd_ps(cube, t, arch::_mm_add_ps(square, square)), t, line)
    }

    /// Each of the four values in all lanes.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn lanes(vector: arch::__m128) -> [arch::__m128; NODES] {
        [
            arch::_mm_shuffle_ps::<0x00>(vector, vector),
            arch::_mm_shuffle_ps::<0x55>(vector, vector),
            arch::_mm_shuffle_ps::<0xAA>(vector, vector),
            arch::_mm_shuffle_ps::<0xFF>(vector, vector),
        ]
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn spread_strip(mesh: Mesh, first: usize, places: &[AtomicU64], sums: &mut [f32]) {
        let (cubic, end) = (cubic(), arch::_mm_set1_ps(mesh.end()));
        for point in places {
            let PointInCell { column, row, u, v } = place(point, end);
            let (across, down) = (weights(cubic, u), lanes(weights(cubic, v)));
            let corner = (row - 1 - first) * mesh.side + column - 1;
            let sums = &mut sums[corner..][..3 * mesh.side + NODES];
            for (node, weight) in (0..).step_by(mesh.side).zip(down) {
                // SAFETY: node is at most 3 * side, so four values follow.
                unsafe {
                    let sum = sums.as_mut_ptr().add(node);
                    let more = arch::_mm_fmadd_ps(weight, across, arch::_mm_loadu_ps(sum));
                    arch::_mm_storeu_ps(sum, more);
                }
            }
        }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn read_points(
        mesh: Mesh,
        places: &[AtomicU64],
        field: &[f32],
        own: OwnField<'_>,
        fields: &mut [Field],
    ) {
        assert_eq!(own.len(), (OFFSETS + 1) * (OFFSETS + 1), "steps of the own field");
        let (cubic, end) = (cubic(), arch::_mm_set1_ps(mesh.end()));
        let scale = 1.0 / mesh.spacing;
        let scale = arch::_mm_setr_ps(1.0, scale, scale, 0.0);
        for (point, read) in places.iter().zip(fields) {
            let PointInCell { column, row, u, v } = place(point, end);
            let (down, down_slope) = (lanes(weights(cubic, v)), lanes(slopes(cubic, v)));
            let nodes = &field[(row - 1) * mesh.side + column - 1..][..3 * mesh.side + NODES];
            let (mut values, mut turned) = (arch::_mm_setzero_ps(), arch::_mm_setzero_ps());
            for (node, at) in (0..).step_by(mesh.side).take(NODES).enumerate() {
                // SAFETY: at is at most 3 * side, so four values follow.
                let row = unsafe { arch::_mm_loadu_ps(nodes.as_ptr().add(at)) };
                values = arch::_mm_fmadd_ps(down[node], row, values);
                turned = arch::_mm_fmadd_ps(down_slope[node], row, turned);
            }
            let (across, across_slope) = (weights(cubic, u), slopes(cubic, u));
            let value = arch::_mm_mul_ps(values, across);
            let along = arch::_mm_mul_ps(values, across_slope);
            let downward = arch::_mm_mul_ps(turned, across);
            let pairs = arch::_mm_hadd_ps(value, along);
            let sums = arch::_mm_hadd_ps(pairs, arch::_mm_hadd_ps(downward, downward));
            let itself = own_field(own, u, v);
            let field = arch::_mm_fmsub_ps(sums, scale, itself);
            // SAFETY: a field has four values.
            unsafe { arch::_mm_storeu_ps(read.as_mut_ptr(), field) };
        }
    }

    /// The own field between the steps of the table, all of whose values are there.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn own_field(own: OwnField<'_>, u: arch::__m128, v: arch::__m128) -> arch::__m128 {
        let pair = arch::_mm_mul_ps(arch::_mm_unpacklo_ps(u, v), arch::_mm_set1_ps(OFFSETS as f32));
        let cell = arch::_mm_cvttps_epi32(pair);
        let offset = arch::_mm_sub_ps(pair, arch::_mm_cvtepi32_ps(cell));
        let column = arch::_mm_cvtsi128_si32(cell) as usize;
        let row = arch::_mm_extract_epi32::<1>(cell) as usize;
        let corners = &own[row * (OFFSETS + 1) + column..][..OFFSETS + 3];
        // SAFETY: a field has four values.
        let at = |at: usize| unsafe { arch::_mm_loadu_ps(corners[at].as_ptr()) };
        let u = arch::_mm_shuffle_ps::<0x00>(offset, offset);
        let v = arch::_mm_shuffle_ps::<0x55>(offset, offset);
        let high = arch::_mm_fmadd_ps(u, arch::_mm_sub_ps(at(1), at(0)), at(0));
        let (left, right) = (at(OFFSETS + 1), at(OFFSETS + 2));
        let low = arch::_mm_fmadd_ps(u, arch::_mm_sub_ps(right, left), left);
        arch::_mm_fmadd_ps(v, arch::_mm_sub_ps(low, high), high)
    }
}

/// The own field at an offset within the cell, between the steps of the table.
#[inline(always)]
fn own_field(own: OwnField<'_>, u: f32, v: f32) -> Field {
    let (u, v) = (u * OFFSETS as f32, v * OFFSETS as f32);
    let (column, row) = ((u as usize).min(OFFSETS - 1), (v as usize).min(OFFSETS - 1));
    let (u, v) = (u - column as f32, v - row as f32);
    let corner = row * (OFFSETS + 1) + column;
    let (above, below) = (&own[corner..][..2], &own[corner + OFFSETS + 1..][..2]);
    let mut between = Field::default();
    for part in 0..NODES {
        let high = above[0][part] + u * (above[1][part] - above[0][part]);
        let low = below[0][part] + u * (below[1][part] - below[0][part]);
        between[part] = high + v * (low - high);
    }
    between
}

#[cfg(test)]
mod tests;
