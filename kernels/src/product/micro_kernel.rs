//! The innermost loop of a product (the micro-kernel of a GEMM), for all vectors.

use super::Epilogue;
use crate::cpu::lanes::{Lanes, MOST_LANES};
#[cfg(target_arch = "x86_64")]
use crate::cpu::simd::SimdLevel;
use crate::cpu::simd::simd_level;

/// Most rows of a tile, of any processor.
const MOST_ROWS: usize = 12;

/// Columns of the widest tile, of any processor.
const WIDEST: usize = 2 * MOST_LANES;

/// Rows of the largest tile: two sums a row leave registers for the two vectors of the right
/// matrix, a value of the left one and one more.
pub(super) const fn tile_rows<L: Lanes>() -> usize {
    let rows = (L::REGISTERS - 4) / 2;
    if rows < MOST_ROWS { rows } else { MOST_ROWS }
}

/// Whether a product asks for its next panel ahead. Where vectors are widest, caches are large, and
/// it was measured to gain nothing.
const fn asks_ahead<L: Lanes>() -> bool {
    L::COUNT < MOST_LANES
}

/// `c[rows, count] (+)= a[rows, depth] b[depth, count]`.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    pub(super) rows: usize,
    pub(super) depth: usize,
    /// The left matrix, and the strides of its rows and depths, of which one is 1.
    pub(super) a: *const f32,
    pub(super) strides: (usize, usize),
    /// Rows of two vectors.
    pub(super) b: *const f32,
    /// The result, and the stride of its rows.
    pub(super) c: *mut f32,
    pub(super) c_stride: usize,
    pub(super) count: usize,
    pub(super) accumulate: bool,
    pub(super) finish: Option<TileEpilogue>,
    /// What to bring into the second cache meanwhile, so many bytes further at each depth.
    pub(super) ahead: *const f32,
    pub(super) ahead_step: usize,
}

/// An [`Epilogue`] from the first column of a tile on.
#[derive(Clone, Copy)]
pub(super) struct TileEpilogue {
    bias: *const f32,
    limits: [f32; 2],
}

impl TileEpilogue {
    /// That of the tile which begins at this column of the whole matrix.
    pub(super) fn of(epilogue: &Epilogue, column: usize) -> Self {
        Self { bias: epilogue.bias.as_ptr().wrapping_add(column), limits: epilogue.limits }
    }

    /// What is to be done to one sum.
    ///
    /// # Safety
    /// The bias of `column` can be read.
    unsafe fn apply(self, sum: f32, column: usize) -> f32 {
        let [low, high] = self.limits;
        // NaN stays NaN.
        // SAFETY: the caller's.
        (sum + unsafe { *self.bias.add(column) }).clamp(low, high)
    }
}

impl Tile {
    /// Computes the tile, of at most [`tile_rows`] rows.
    ///
    /// # Safety
    /// `a` can be read at all rows and depths, `b` holds `depth` rows of two vectors, and `count`
    /// values (at most two vectors) of each of the rows can be written to `c`; `finish` has a bias for
    /// each of these.
    #[inline(always)]
    pub(super) unsafe fn run<L: Lanes>(self, lanes: L) {
        macro_rules! by_rows {
            ($($rows:literal)*) => {
                match self.rows {
                    $(
                        // SAFETY: the caller's.
                        $rows if $rows <= tile_rows::<L>() => unsafe {
                            self.run_rows::<L, $rows>(lanes)
                        },
                    )*
                    rows => debug_assert_eq!(rows, 0, "a tile has at most `tile_rows` rows"),
                }
            };
        }
        by_rows!(1 2 3 4 5 6 7 8 9 10 11 12);
    }

    /// [`Tile::run`] of `R` rows; a panel of which at most one vector counts is read by half.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    unsafe fn run_rows<L: Lanes, const R: usize>(self, lanes: L) {
        let along = self.strides.1 == 1;
        // SAFETY: the caller's.
        unsafe {
            match (along, self.count <= L::COUNT) {
                (true, false) => self.run_as::<L, R, 2, true>(lanes),
                (true, true) => self.run_as::<L, R, 1, true>(lanes),
                (false, false) => self.run_as::<L, R, 2, false>(lanes),
                (false, true) => self.run_as::<L, R, 1, false>(lanes),
            }
        }
    }

    /// [`Tile::run`] of `R` rows by `W` vectors; `ALONG` says that the values of a row of `a` are
    /// neighbours.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    unsafe fn run_as<L: Lanes, const R: usize, const W: usize, const ALONG: bool>(self, lanes: L) {
        // The lines of the result come while the product is on its way.
        for row in 0..R {
            for number in 0..W {
                let place = self.c.wrapping_add(row * self.c_stride + number * L::COUNT);
                lanes.fetch_to_write(place);
            }
        }
        // SAFETY: the caller's.
        let sums = unsafe { self.sums::<L, R, W, ALONG>(lanes) };
        if self.count == W * L::COUNT {
            if let Some(finish) = self.finish {
                // SAFETY: the caller's.
                unsafe { self.write_finished(lanes, finish, sums) };
                return;
            }
            for (row, sums) in sums.into_iter().enumerate() {
                for (number, sum) in sums.into_iter().enumerate() {
                    // SAFETY: all `count` columns of the row can be written.
                    unsafe {
                        let to = self.c.add(row * self.c_stride + number * L::COUNT);
                        let old = self.accumulate;
                        let sum = if old { lanes.add(sum, lanes.load(to)) } else { sum };
                        lanes.store(sum, to);
                    }
                }
            }
            return;
        }
        let mut values = [[0.0f32; WIDEST]; R];
        for (values, sums) in values.iter_mut().zip(sums) {
            for (number, sum) in sums.into_iter().enumerate() {
                // SAFETY: two vectors of the widest kind fit.
                unsafe { lanes.store(sum, values.as_mut_ptr().add(number * L::COUNT)) };
            }
        }
        // SAFETY: the caller's.
        unsafe { self.write_part(&values) };
    }

    /// Writes the columns that count of each row of sums. A function of its own: worked into each kind
    /// of tile, it had hundreds of addresses prepared for every panel, most of them never used.
    ///
    /// # Safety
    /// As [`Tile::run`].
    #[cold]
    #[inline(never)]
    unsafe fn write_part(self, values: &[[f32; WIDEST]]) {
        for (row, values) in values.iter().enumerate() {
            for (column, &value) in values[..self.count].iter().enumerate() {
                // SAFETY: `count` columns of the row can be written.
                unsafe {
                    let to = self.c.add(row * self.c_stride + column);
                    let value = if self.accumulate { *to + value } else { value };
                    *to = match self.finish {
                        Some(finish) => finish.apply(value, column),
                        None => value,
                    };
                }
            }
        }
    }

    /// Writes whole vectors of sums, and does before what is to be done at the end.
    ///
    /// # Safety
    /// As [`Tile::run`].
    #[inline(always)]
    unsafe fn write_finished<L: Lanes, const R: usize, const W: usize>(
        self,
        lanes: L,
        finish: TileEpilogue,
        mut sums: [[L::Vector; W]; R],
    ) {
        if self.accumulate {
            // SAFETY: the caller's.
            unsafe { add_rows(lanes, &mut sums, self.c, self.c_stride) };
        }
        let (low, high) = (lanes.splat(finish.limits[0]), lanes.splat(finish.limits[1]));
        for number in 0..W {
            // SAFETY: the caller's.
            let bias = unsafe { lanes.load(finish.bias.add(number * L::COUNT)) };
            for (row, sums) in sums.iter().enumerate() {
                let value = lanes.clamp(lanes.add(sums[number], bias), low, high);
                // SAFETY: the caller's.
                unsafe { lanes.store(value, self.c.add(row * self.c_stride + number * L::COUNT)) };
            }
        }
    }

    /// The sums over the whole depth.
    ///
    /// # Safety
    /// As [`Tile::run`].
    #[inline(always)]
    unsafe fn sums<L: Lanes, const R: usize, const W: usize, const ALONG: bool>(
        self,
        lanes: L,
    ) -> [[L::Vector; W]; R] {
        let stride = if ALONG { self.strides.0 } else { self.strides.1 };
        let mut sums = [[lanes.splat(0.0); W]; R];
        let (mut a, mut b, mut ahead) = (self.a, self.b, self.ahead);
        for _ in 0..self.depth {
            if asks_ahead::<L>() {
                lanes.fetch(ahead);
                ahead = ahead.wrapping_byte_add(self.ahead_step);
            }
            let mut right = [lanes.splat(0.0); W];
            for (number, right) in right.iter_mut().enumerate() {
                // SAFETY: inside the panel, by the caller's promise.
                *right = unsafe { lanes.load(b.add(number * L::COUNT)) };
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let at = if ALONG { row * stride } else { row };
                // SAFETY: inside the left matrix, by the caller's promise.
                let left = lanes.splat(unsafe { *a.add(at) });
                for (sum, right) in sums.iter_mut().zip(right) {
                    *sum = lanes.add_product(*sum, left, right);
                }
            }
            a = a.wrapping_add(if ALONG { 1 } else { stride });
            b = b.wrapping_add(2 * L::COUNT);
        }
        sums
    }
}

/// Adds rows of `W` vectors that are `stride` values apart.
///
/// # Safety
/// They can be read.
#[inline(always)]
unsafe fn add_rows<L: Lanes, const R: usize, const W: usize>(
    lanes: L,
    sums: &mut [[L::Vector; W]; R],
    from: *const f32,
    stride: usize,
) {
    for (row, sums) in sums.iter_mut().enumerate() {
        for (number, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the caller's.
            let more = unsafe { lanes.load(from.add(row * stride + number * L::COUNT)) };
            *sum = lanes.add(*sum, more);
        }
    }
}

/// Writes the transpose of a square of eight rows, whose first eight values count: value (row, k)
/// to `to[k * stride + row]`.
///
/// # Panics
/// When a row or `to` is too short.
pub(super) fn turn_square(rows: [&[f32]; 8], to: &mut [f32], stride: usize) {
    assert!(rows.iter().all(|row| row.len() >= 8), "eight values of each row");
    assert!(to.len() >= 7 * stride + 8, "eight values of each column");
    match simd_level() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the level is one of this processor; lengths are checked above.
        SimdLevel::Avx512 | SimdLevel::Avx2 => unsafe { turn_square_avx2(rows, to, stride) },
        _ => {
            for (number, row) in rows.iter().enumerate() {
                for (k, &value) in row[..8].iter().enumerate() {
                    to[k * stride + number] = value;
                }
            }
        }
    }
}

/// # Safety
/// Each row holds 8 values, `to` holds `7 * stride + 8`, and the processor has AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn turn_square_avx2(rows: [&[f32]; 8], to: &mut [f32], stride: usize) {
    use std::arch::x86_64::{
        _mm256_loadu_ps, _mm256_permute2f128_ps, _mm256_setzero_ps, _mm256_shuffle_ps,
        _mm256_storeu_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps,
    };
    let mut lines = [_mm256_setzero_ps(); 8];
    for (line, row) in lines.iter_mut().zip(rows) {
        // SAFETY: a row holds 8 values.
        *line = unsafe { _mm256_loadu_ps(row.as_ptr()) };
    }
    // Neighbours, then pairs, then halves change places.
    let [a, b, c, d, e, f, g, h] = lines;
    let (ab, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    let (cd, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    let (ef, ef_high) = (_mm256_unpacklo_ps(e, f), _mm256_unpackhi_ps(e, f));
    let (gh, gh_high) = (_mm256_unpacklo_ps(g, h), _mm256_unpackhi_ps(g, h));
    let left = [
        _mm256_shuffle_ps::<0x44>(ab, cd),
        _mm256_shuffle_ps::<0xEE>(ab, cd),
        _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
        _mm256_shuffle_ps::<0xEE>(ab_high, cd_high),
    ];
    let right = [
        _mm256_shuffle_ps::<0x44>(ef, gh),
        _mm256_shuffle_ps::<0xEE>(ef, gh),
        _mm256_shuffle_ps::<0x44>(ef_high, gh_high),
        _mm256_shuffle_ps::<0xEE>(ef_high, gh_high),
    ];
    for (k, (left, right)) in left.into_iter().zip(right).enumerate() {
        // SAFETY: columns k and k + 4, at most 7, lie in `to`.
        unsafe {
            let low = _mm256_permute2f128_ps::<0x20>(left, right);
            let high = _mm256_permute2f128_ps::<0x31>(left, right);
            _mm256_storeu_ps(to.as_mut_ptr().add(k * stride), low);
            _mm256_storeu_ps(to.as_mut_ptr().add((k + 4) * stride), high);
        }
    }
}
