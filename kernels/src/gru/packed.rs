//! Matrix products whose right matrix is packed once and used at every step.
//!
//! The products of a step are small (a few dozen rows), so that a general product spends much of
//! its time on laying out the right matrix anew, each step. Here it lies in *panels*: all rows of
//! two vectors' worth of columns, one after the other, which a tile reads from front to back while
//! its sums stay in registers. The left matrix is read in place, in either order, so that the
//! gradient of the weights needs no transpose.
//!
//! The tile is written once, over a trait of the few operations it needs. A value of [`Avx512`],
//! [`Avx2`] or [`Neon`] can only be made on a processor that has these instructions, so it is the
//! licence to use them. Sums run over the terms in order, one after the other, whatever the tile.

use crate::simd::SimdLevel;
use rayon::prelude::*;
#[cfg(target_arch = "aarch64")]
use std::arch::aarch64 as arch;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64 as arch;
use std::ops::Range;

/// Most rows of a tile, of any processor.
const MOST_ROWS: usize = 8;

/// What a tile needs of a processor. A value proves that the processor can do it.
trait Lanes: Copy {
    /// Neighbouring values.
    type Vector: Copy;
    /// Values of a vector.
    const COUNT: usize;
    /// Rows of a tile, so that two vectors of sums a row leave registers for its operands.
    const ROWS: usize;

    /// The same value in every lane.
    fn splat(self, value: f32) -> Self::Vector;

    /// # Safety
    /// `from` points to at least `COUNT` values.
    unsafe fn load(self, from: *const f32) -> Self::Vector;

    /// # Safety
    /// `to` points to room for at least `COUNT` values.
    unsafe fn store(self, vector: Self::Vector, to: *mut f32);

    /// `sum + a * b`, lane by lane.
    fn add_product(self, sum: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector;
}

/// Columns of a panel at this level.
pub(super) fn panel_columns(level: SimdLevel) -> usize {
    match licence(level) {
        #[cfg(target_arch = "x86_64")]
        Licence::Avx512(_) => 2 * Avx512::COUNT,
        #[cfg(target_arch = "x86_64")]
        Licence::Avx2(_) => 2 * Avx2::COUNT,
        #[cfg(target_arch = "aarch64")]
        Licence::Neon(_) => 2 * Neon::COUNT,
        Licence::Portable(_) => 2 * Portable::COUNT,
    }
}

/// A left matrix: value (`row`, `term`) is `values[row * per_row + term * per_term]`.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    pub(super) values: &'a [f32],
    pub(super) per_row: usize,
    pub(super) per_term: usize,
}

/// A right matrix `[terms, columns]` in panels; the last panel is filled up with zeros.
pub(super) struct Packed {
    level: SimdLevel,
    terms: usize,
    columns: usize,
    values: Vec<f32>,
}

impl Packed {
    /// Packs the matrix whose element (term, column) is `value(term, column)`, on all threads.
    pub(super) fn new(
        level: SimdLevel,
        terms: usize,
        columns: usize,
        value: impl Fn(usize, usize) -> f32 + Sync,
    ) -> Self {
        let width = panel_columns(level);
        let mut values = vec![0.0; columns.div_ceil(width) * terms * width];
        if terms > 0 {
            values.par_chunks_exact_mut(terms * width).enumerate().for_each(|(panel, values)| {
                for (term, row) in values.chunks_exact_mut(width).enumerate() {
                    for (column, place) in (panel * width..columns).zip(row) {
                        *place = value(term, column);
                    }
                }
            });
        }
        Self { level, terms, columns, values }
    }

    /// Room for one panel of up to `terms` terms, to be filled by [`Packed::take`].
    pub(super) fn room(level: SimdLevel, terms: usize) -> Self {
        let width = panel_columns(level);
        Self { level, terms: 0, columns: width, values: vec![0.0; terms * width] }
    }

    /// Becomes the panel of `columns` of the rows `[.., per_row]`, as many as there are.
    pub(super) fn take(&mut self, rows: &[f32], per_row: usize, columns: Range<usize>) {
        let width = panel_columns(self.level);
        (self.terms, self.columns) = (rows.len() / per_row, columns.len());
        for (place, row) in self.values.chunks_exact_mut(width).zip(rows.chunks_exact(per_row)) {
            place[..columns.len()].copy_from_slice(&row[columns.clone()]);
            place[columns.len()..].fill(0.0);
        }
    }

    /// Adds the sum of each column of one panel to `sums`.
    pub(super) fn add_columns(&self, sums: &mut [f32]) {
        for row in self.panel(0).chunks_exact(panel_columns(self.level)) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }

    fn panel(&self, number: usize) -> &[f32] {
        let len = self.terms * panel_columns(self.level);
        &self.values[number * len..][..len]
    }
}

/// What happens to the old values of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    Overwrite,
    Accumulate,
}

/// The sum of some products, all of the same size, written to some columns of `out`.
pub(super) struct Products<'a> {
    /// Left and right matrices, at least one pair.
    pub(super) parts: &'a [(Left<'a>, &'a Packed)],
    /// Rows of every left matrix.
    pub(super) rows: usize,
    /// Row `i` of the result starts at `out[i * per_row]`.
    pub(super) out: &'a mut [f32],
    pub(super) per_row: usize,
    pub(super) write: Write,
}

impl Products<'_> {
    /// Computes them with the calling thread.
    pub(super) fn run(self) {
        let (_, first) = self.parts[0];
        for (left, right) in self.parts {
            let same = right.columns == first.columns && right.level == first.level;
            assert!(same, "products of one size and level");
            if self.rows > 0 && right.terms > 0 {
                let last = (self.rows - 1) * left.per_row + (right.terms - 1) * left.per_term;
                assert!(last < left.values.len(), "the left matrix is too short");
            }
        }
        if self.rows == 0 || first.columns == 0 {
            return;
        }
        let end = (self.rows - 1) * self.per_row + first.columns;
        assert!(end <= self.out.len() && first.columns <= self.per_row, "the result is too short");
        match licence(first.level) {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the licence proves that the processor has the features.
            Licence::Avx512(lanes) => unsafe { run_avx512(lanes, self) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Licence::Avx2(lanes) => unsafe { run_avx2(lanes, self) },
            #[cfg(target_arch = "aarch64")]
            Licence::Neon(lanes) => self.run_with(lanes),
            Licence::Portable(lanes) => self.run_with(lanes),
        }
    }

    /// All panels, and for each all rows in tiles of about equal height.
    #[inline(always)]
    fn run_with<L: Lanes>(mut self, lanes: L) {
        let tiles = self.rows.div_ceil(L::ROWS);
        let columns = self.parts[0].1.columns;
        for panel in 0..columns.div_ceil(2 * L::COUNT) {
            for tile in 0..tiles {
                let rows = tile * self.rows / tiles..(tile + 1) * self.rows / tiles;
                match rows.len() {
                    1 => self.tile::<L, 1>(lanes, rows.start, panel),
                    2 => self.tile::<L, 2>(lanes, rows.start, panel),
                    3 => self.tile::<L, 3>(lanes, rows.start, panel),
                    4 => self.tile::<L, 4>(lanes, rows.start, panel),
                    5 => self.tile::<L, 5>(lanes, rows.start, panel),
                    6 => self.tile::<L, 6>(lanes, rows.start, panel),
                    7 => self.tile::<L, 7>(lanes, rows.start, panel),
                    _ => self.tile::<L, MOST_ROWS>(lanes, rows.start, panel),
                }
            }
        }
    }

    /// The result at `R` rows from `row` on and the columns of a panel.
    #[inline(always)]
    fn tile<L: Lanes, const R: usize>(&mut self, lanes: L, row: usize, panel: usize) {
        let width = 2 * L::COUNT;
        let column = panel * width;
        let count = (self.parts[0].1.columns - column).min(width);
        let mut edge = [[0.0; 2 * 16]; R];
        let old = self.write == Write::Accumulate;
        let mut sums = [[lanes.splat(0.0); 2]; R];
        for (number, (sums, edge)) in sums.iter_mut().zip(&mut edge).enumerate() {
            if old {
                let out = &self.out[(row + number) * self.per_row + column..][..count];
                let out = if count == width {
                    out
                } else {
                    edge[..count].copy_from_slice(out);
                    &edge[..width]
                };
                // SAFETY: `out` has `width` values, two vectors.
                *sums = unsafe { [lanes.load(out.as_ptr()), lanes.load(out[L::COUNT..].as_ptr())] };
            }
        }
        for &(left, right) in self.parts {
            add_products(lanes, left, row, right.panel(panel), &mut sums);
        }
        for (number, ([low, high], edge)) in sums.into_iter().zip(&mut edge).enumerate() {
            let out = &mut self.out[(row + number) * self.per_row + column..][..count];
            let to = if count == width { &mut *out } else { &mut edge[..width] };
            // SAFETY: `to` has `width` values, two vectors.
            unsafe {
                lanes.store(low, to.as_mut_ptr());
                lanes.store(high, to[L::COUNT..].as_mut_ptr());
            }
            if count < width {
                out.copy_from_slice(&edge[..count]);
            }
        }
    }
}

/// Adds the products of `R` rows of the left matrix, from `row` on, with one panel.
#[inline(always)]
fn add_products<L: Lanes, const R: usize>(
    lanes: L,
    left: Left,
    row: usize,
    panel: &[f32],
    sums: &mut [[L::Vector; 2]; R],
) {
    let terms = panel.len() / (2 * L::COUNT);
    if terms == 0 {
        return;
    }
    let last = (row + R - 1) * left.per_row + (terms - 1) * left.per_term;
    assert!(last < left.values.len(), "the left matrix is too short");
    let mut own = *sums;
    let start = &left.values[row * left.per_row..];
    for term in 0..terms {
        // SAFETY: term < terms, so that two vectors are left of the panel; the largest place that
        // is read of the left matrix is `last`, which was compared with its length.
        unsafe {
            let right = panel.as_ptr().add(term * 2 * L::COUNT);
            let (low, high) = (lanes.load(right), lanes.load(right.add(L::COUNT)));
            let left_values = start.as_ptr().add(term * left.per_term);
            for (number, sums) in own.iter_mut().enumerate() {
                let value = lanes.splat(*left_values.add(number * left.per_row));
                sums[0] = lanes.add_product(sums[0], value, low);
                sums[1] = lanes.add_product(sums[1], value, high);
            }
        }
    }
    *sums = own;
}

/// The proof for one level.
enum Licence {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    Portable(Portable),
}

/// The licence for `level`, or the portable one where the processor cannot do it.
fn licence(level: SimdLevel) -> Licence {
    let licence = match level {
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512 => Avx512::new().map(Licence::Avx512),
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx2 => Avx2::new().map(Licence::Avx2),
        #[cfg(target_arch = "aarch64")]
        SimdLevel::Neon => Neon::new().map(Licence::Neon),
        _ => None,
    };
    licence.unwrap_or(Licence::Portable(Portable))
}

/// Plain Rust, eight lanes.
#[derive(Clone, Copy)]
struct Portable;

impl Lanes for Portable {
    type Vector = [f32; 8];
    const COUNT: usize = 8;
    const ROWS: usize = 2;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        [value; 8]
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::Vector {
        // SAFETY: the caller promises eight values.
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(self, vector: Self::Vector, to: *mut f32) {
        // SAFETY: the caller promises room for eight values.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(vector) }
    }

    #[inline(always)]
    fn add_product(self, sum: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        std::array::from_fn(|lane| sum[lane] + a[lane] * b[lane])
    }
}

/// AVX-512: sixteen lanes.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct Avx512(());

#[cfg(target_arch = "x86_64")]
impl Avx512 {
    fn new() -> Option<Self> {
        SimdLevel::Avx512.is_available().then_some(Self(()))
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes for Avx512 {
    type Vector = arch::__m512;
    const COUNT: usize = 16;
    const ROWS: usize = MOST_ROWS;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        // SAFETY: a value of this type proves AVX-512F.
        unsafe { arch::_mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::Vector {
        // SAFETY: AVX-512F is proved, and the caller promises sixteen values.
        unsafe { arch::_mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, vector: Self::Vector, to: *mut f32) {
        // SAFETY: AVX-512F is proved, and the caller promises room for sixteen values.
        unsafe { arch::_mm512_storeu_ps(to, vector) }
    }

    #[inline(always)]
    fn add_product(self, sum: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type proves AVX-512F.
        unsafe { arch::_mm512_fmadd_ps(a, b, sum) }
    }
}

/// AVX2 and FMA: eight lanes.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct Avx2(());

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    fn new() -> Option<Self> {
        SimdLevel::Avx2.is_available().then_some(Self(()))
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes for Avx2 {
    type Vector = arch::__m256;
    const COUNT: usize = 8;
    const ROWS: usize = 6;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        // SAFETY: a value of this type proves AVX2.
        unsafe { arch::_mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::Vector {
        // SAFETY: AVX2 is proved, and the caller promises eight values.
        unsafe { arch::_mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, vector: Self::Vector, to: *mut f32) {
        // SAFETY: AVX2 is proved, and the caller promises room for eight values.
        unsafe { arch::_mm256_storeu_ps(to, vector) }
    }

    #[inline(always)]
    fn add_product(self, sum: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type proves FMA.
        unsafe { arch::_mm256_fmadd_ps(a, b, sum) }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
fn run_avx512(lanes: Avx512, products: Products) {
    products.run_with(lanes);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2(lanes: Avx2, products: Products) {
    products.run_with(lanes);
}

/// NEON, which every processor of this target has: two registers of four lanes.
#[cfg(target_arch = "aarch64")]
#[derive(Clone, Copy)]
struct Neon(());

#[cfg(target_arch = "aarch64")]
impl Neon {
    fn new() -> Option<Self> {
        SimdLevel::Neon.is_available().then_some(Self(()))
    }
}

#[cfg(target_arch = "aarch64")]
impl Lanes for Neon {
    type Vector = [arch::float32x4_t; 2];
    const COUNT: usize = 8;
    const ROWS: usize = 6;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        // SAFETY: a value of this type proves NEON.
        [unsafe { arch::vdupq_n_f32(value) }; 2]
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::Vector {
        // SAFETY: NEON is proved, and the caller promises eight values.
        unsafe { [arch::vld1q_f32(from), arch::vld1q_f32(from.add(4))] }
    }

    #[inline(always)]
    unsafe fn store(self, vector: Self::Vector, to: *mut f32) {
        // SAFETY: NEON is proved, and the caller promises room for eight values.
        unsafe {
            arch::vst1q_f32(to, vector[0]);
            arch::vst1q_f32(to.add(4), vector[1]);
        }
    }

    #[inline(always)]
    fn add_product(self, sum: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type proves NEON.
        unsafe { [arch::vfmaq_f32(sum[0], a[0], b[0]), arch::vfmaq_f32(sum[1], a[1], b[1])] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Sum, assert_close, random};

    #[test]
    fn products_agree_with_f64_at_every_level_and_size() {
        for level in SimdLevel::available() {
            for (rows, terms, columns) in
                [(1, 1, 1), (2, 0, 3), (3, 5, 7), (5, 13, 16), (7, 2, 31), (8, 3, 32), (13, 7, 33)]
            {
                for transposed in [false, true] {
                    check_products(level, [rows, terms, columns], transposed);
                }
            }
        }
    }

    /// `out += a b + a b`, then `out = a b`, in rows with two values that belong to nobody.
    fn check_products(level: SimdLevel, [rows, terms, columns]: [usize; 3], transposed: bool) {
        let (a, b) = (random(rows * terms, 1), random(terms * columns, 2));
        let right = Packed::new(level, terms, columns, |term, column| b[term * columns + column]);
        let (per_row, per_term) = if transposed { (1, rows) } else { (terms, 1) };
        let left = Left { values: &a, per_row, per_term };
        let exact = |times: f32, start: f32| -> Vec<Sum> {
            (0..rows * columns)
                .map(|at| {
                    let (row, column) = (at / columns, at % columns);
                    let terms = (0..terms).map(|term| {
                        (times * a[row * per_row + term * per_term], b[term * columns + column])
                    });
                    Sum::of(terms.chain([(start, 1.0)]))
                })
                .collect()
        };
        let width = columns + 2;
        let mut out = vec![7.0; rows * width];
        let inner = |out: &[f32]| -> Vec<f32> {
            out.chunks(width).flat_map(|row| row[..columns].to_vec()).collect()
        };
        let twice = [(left, &right), (left, &right)];
        let write = Write::Accumulate;
        Products { parts: &twice, rows, out: &mut out, per_row: width, write }.run();
        assert_close(&inner(&out), &exact(2.0, 7.0));
        let write = Write::Overwrite;
        Products { parts: &twice[..1], rows, out: &mut out, per_row: width, write }.run();
        assert_close(&inner(&out), &exact(1.0, 0.0));
        let outside = out.chunks(width).flat_map(|row| &row[columns..]);
        assert!(outside.into_iter().all(|&value| value.to_bits() == 7.0f32.to_bits()));
    }

    #[test]
    fn a_panel_takes_columns_of_rows_and_sums_them() {
        for level in SimdLevel::available() {
            let rows = random(5 * 9, 3);
            let mut panel = Packed::room(level, 8);
            panel.take(&rows, 9, 2..6);
            let mut sums = [1.0; 4];
            panel.add_columns(&mut sums);
            let expected: Vec<Sum> = (2..6)
                .map(|column| {
                    let terms = rows.chunks(9).map(|row| (row[column], 1.0));
                    Sum::of(terms.chain([(1.0, 1.0)]))
                })
                .collect();
            assert_close(&sums, &expected);
        }
    }

    #[test]
    #[should_panic(expected = "the left matrix is too short")]
    fn a_left_matrix_that_is_too_short_is_refused() {
        let right = Packed::new(SimdLevel::Portable, 3, 2, |_, _| 1.0);
        let left = Left { values: &[0.0; 5], per_row: 3, per_term: 1 };
        let (mut out, write) = ([0.0; 4], Write::Overwrite);
        Products { parts: &[(left, &right)], rows: 2, out: &mut out, per_row: 2, write }.run();
    }
}
