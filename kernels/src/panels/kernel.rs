//! The innermost loop of a product, for every set of vector instructions.

#![expect(
    clippy::too_many_arguments,
    reason = "a tile is its sizes, its matrices and how they lie"
)]

use crate::simd::{SimdLevel, simd_level};

/// Rows of the largest tile of any level.
pub(super) const TILE_ROWS: usize = 12;

/// A vector register of `f32`.
trait Lanes: Copy {
    /// Values in it.
    const COUNT: usize;
    /// All the same.
    fn splat(value: f32) -> Self;
    /// # Safety
    /// `COUNT` values can be read from `from`.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// `COUNT` values can be written to `to`.
    unsafe fn store(self, to: *mut f32);
    /// `self * factor + term`.
    fn times_plus(self, factor: Self, term: Self) -> Self;
    /// The sum.
    fn plus(self, other: Self) -> Self;
    /// Asks for the cache line at `at`, which will be written.
    fn fetch(at: *const f32);
}

/// Eight values, which the compiler turns into whatever vectors every processor has.
#[derive(Clone, Copy)]
struct Portable([f32; 8]);

impl Lanes for Portable {
    const COUNT: usize = 8;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; 8])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's.
        Self(unsafe { from.cast::<[f32; 8]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    fn times_plus(self, factor: Self, term: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * factor.0[i] + term.0[i]))
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    #[inline(always)]
    fn fetch(_at: *const f32) {}
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Lanes;
    use std::arch::x86_64::{
        __m256, __m512, _MM_HINT_ET0, _mm_prefetch, _mm256_add_ps, _mm256_fmadd_ps,
        _mm256_loadu_ps, _mm256_set1_ps, _mm256_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps,
        _mm512_loadu_ps, _mm512_set1_ps, _mm512_storeu_ps,
    };

    // SAFETY of both implementations: they are inlined into functions that enable the features,
    // and these run only where the processor has them.

    #[derive(Clone, Copy)]
    pub(super) struct Avx512(__m512);

    impl Lanes for Avx512 {
        const COUNT: usize = 16;

        #[inline(always)]
        fn splat(value: f32) -> Self {
            // SAFETY: see the head of the module.
            Self(unsafe { _mm512_set1_ps(value) })
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller's.
            Self(unsafe { _mm512_loadu_ps(from) })
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller's.
            unsafe { _mm512_storeu_ps(to, self.0) }
        }

        #[inline(always)]
        fn times_plus(self, factor: Self, term: Self) -> Self {
            // SAFETY: see the head of the module.
            Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, term.0) })
        }

        #[inline(always)]
        fn plus(self, other: Self) -> Self {
            // SAFETY: see the head of the module.
            Self(unsafe { _mm512_add_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn fetch(at: *const f32) {
            // SAFETY: a hint that reads nothing; any address will do.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(at.cast()) }
        }
    }

    #[derive(Clone, Copy)]
    pub(super) struct Avx2(__m256);

    impl Lanes for Avx2 {
        const COUNT: usize = 8;

        #[inline(always)]
        fn splat(value: f32) -> Self {
            // SAFETY: see the head of the module.
            Self(unsafe { _mm256_set1_ps(value) })
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller's.
            Self(unsafe { _mm256_loadu_ps(from) })
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller's.
            unsafe { _mm256_storeu_ps(to, self.0) }
        }

        #[inline(always)]
        fn times_plus(self, factor: Self, term: Self) -> Self {
            // SAFETY: see the head of the module.
            Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, term.0) })
        }

        #[inline(always)]
        fn plus(self, other: Self) -> Self {
            // SAFETY: see the head of the module.
            Self(unsafe { _mm256_add_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn fetch(at: *const f32) {
            // SAFETY: a hint that reads nothing; any address will do.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(at.cast()) }
        }
    }
}

/// `c[R, W vectors] (+)= a b`; `ALONG` says that the values of a row of `a` are neighbours.
///
/// # Safety
/// `a` can be read at all of the tile's rows and depths, `b` holds `depth` rows of two vectors,
/// and `count` values of each row of `c` can be written.
#[inline(always)]
unsafe fn tile<V: Lanes, const R: usize, const W: usize, const ALONG: bool>(
    depth: usize,
    a: *const f32,
    stride: usize,
    b: *const f32,
    c: *mut f32,
    c_stride: usize,
    count: usize,
    accumulate: bool,
) {
    // The lines of the result come while the product is on its way.
    for row in 0..R {
        for number in 0..W {
            V::fetch(c.wrapping_add(row * c_stride + number * V::COUNT));
        }
    }
    let mut sums = [[V::splat(0.0); W]; R];
    let (mut a, mut b) = (a, b);
    for _ in 0..depth {
        let mut right = [V::splat(0.0); W];
        for (number, right) in right.iter_mut().enumerate() {
            // SAFETY: inside the panel, by the caller's promise.
            *right = unsafe { V::load(b.add(number * V::COUNT)) };
        }
        for (row, sums) in sums.iter_mut().enumerate() {
            let at = if ALONG { row * stride } else { row };
            // SAFETY: inside the left matrix, by the caller's promise.
            let left = V::splat(unsafe { *a.add(at) });
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum = left.times_plus(right, *sum);
            }
        }
        a = a.wrapping_add(if ALONG { 1 } else { stride });
        b = b.wrapping_add(2 * V::COUNT);
    }
    if count == W * V::COUNT {
        for (row, sums) in sums.iter().enumerate() {
            for (number, &sum) in sums.iter().enumerate() {
                // SAFETY: all `count` columns of the row can be written.
                unsafe {
                    let to = c.add(row * c_stride + number * V::COUNT);
                    let sum = if accumulate { sum.plus(V::load(to)) } else { sum };
                    sum.store(to);
                }
            }
        }
        return;
    }
    let mut row_values = [0.0f32; 32];
    for (row, sums) in sums.iter().enumerate() {
        for (number, &sum) in sums.iter().enumerate() {
            // SAFETY: two vectors of the widest kind fit.
            unsafe { sum.store(row_values.as_mut_ptr().add(number * V::COUNT)) };
        }
        for (column, &value) in row_values[..count].iter().enumerate() {
            // SAFETY: `count` columns of the row can be written.
            unsafe {
                let to = c.add(row * c_stride + column);
                *to = if accumulate { *to + value } else { value };
            }
        }
    }
}

/// The tile of so many rows; a panel of which at most one vector counts is read by half.
macro_rules! by_rows {
    ($name:ident, $vector:ty, [$($rows:literal)*] $(, $feature:literal)?) => {
        $(#[target_feature(enable = $feature)])?
        unsafe fn $name(
            rows: usize,
            depth: usize,
            a: *const f32,
            strides: (usize, usize),
            b: *const f32,
            c: *mut f32,
            c_stride: usize,
            count: usize,
            accumulate: bool,
        ) {
            let along = strides.1 == 1;
            let half = count <= <$vector as Lanes>::COUNT;
            // SAFETY: the caller's, for each of the versions.
            unsafe {
                match (rows, along, half) {
                    $(
                        ($rows, true, false) => tile::<$vector, $rows, 2, true>(
                            depth, a, strides.0, b, c, c_stride, count, accumulate),
                        ($rows, true, true) => tile::<$vector, $rows, 1, true>(
                            depth, a, strides.0, b, c, c_stride, count, accumulate),
                        ($rows, false, false) => tile::<$vector, $rows, 2, false>(
                            depth, a, strides.1, b, c, c_stride, count, accumulate),
                        ($rows, false, true) => tile::<$vector, $rows, 1, false>(
                            depth, a, strides.1, b, c, c_stride, count, accumulate),
                    )*
                    _ => debug_assert_eq!(rows, 0, "a tile has at most `tile_rows` rows"),
                }
            }
        }
    };
}

by_rows!(portable, Portable, [1 2]);
#[cfg(target_arch = "x86_64")]
by_rows!(avx2, x86::Avx2, [1 2 3 4 5 6], "avx2,fma");
#[cfg(target_arch = "x86_64")]
by_rows!(
    avx512,
    x86::Avx512,
    [1 2 3 4 5 6 7 8 9 10 11 12],
    "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"
);

/// One tile: `c[rows, count] (+)= a[rows, depth] b[depth, count]`, `rows` at most
/// [`super::tile_rows`], `strides` those of rows and depths of `a` (one is 1).
///
/// # Safety
/// `a` can be read at all rows and depths, `b` holds `depth` rows of [`super::panel_width`] values,
/// and `count` values (at most a panel's width) of `rows` rows, `c_stride` apart, can be written
/// to `c`.
#[inline]
pub(super) unsafe fn run_tile(
    rows: usize,
    depth: usize,
    a: *const f32,
    strides: (usize, usize),
    b: *const f32,
    c: *mut f32,
    c_stride: usize,
    count: usize,
    accumulate: bool,
) {
    // SAFETY: the caller's; the level is one of this processor.
    unsafe {
        match simd_level() {
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx512 => {
                avx512(rows, depth, a, strides, b, c, c_stride, count, accumulate);
            }
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx2 => avx2(rows, depth, a, strides, b, c, c_stride, count, accumulate),
            _ => portable(rows, depth, a, strides, b, c, c_stride, count, accumulate),
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
