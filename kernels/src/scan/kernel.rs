//! Scalar products of rows and queries with the instructions of each [`SimdLevel`].
//!
//! The scan is written once, over a trait of the few operations it needs. A value of [`Avx512`],
//! [`Avx2`] or [`Neon`] can only be made on a processor that has these instructions, so it is the
//! licence to use them; its methods become part of an entry point that is compiled for them.
//!
//! Every product has one vector of partial sums, to which the lanes of row and query are added in
//! order, the last ones filled with zeros; [`Lanes::sums`] adds up four such vectors at once and
//! each in the same order.

use super::best::Best;
use crate::simd::SimdLevel;
#[cfg(target_arch = "aarch64")]
use std::arch::aarch64 as arch;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64 as arch;

/// Rows of a tile.
const ROWS: usize = 4;

/// What the scan needs of a processor. A value proves that the processor can do it.
trait Lanes: Copy {
    /// Partial sums.
    type Vector: Copy;
    /// Values of a vector.
    const COUNT: usize;

    fn zero(self) -> Self::Vector;

    /// The first `COUNT` values.
    ///
    /// # Safety
    /// `from` points to at least `COUNT` values.
    unsafe fn load(self, from: *const f32) -> Self::Vector;

    /// The first `count` values, followed by zeros.
    ///
    /// # Safety
    /// `from` points to at least `count` values, and `count` is below `COUNT`.
    unsafe fn load_some(self, from: *const f32, count: usize) -> Self::Vector;

    /// `sum + a * b`, lane by lane.
    fn add_product(self, sum: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// The sum of the lanes of each vector.
    fn sums(self, vectors: [Self::Vector; ROWS]) -> [f32; ROWS];
}

/// The products of four rows with each of the queries, all of the same length.
#[inline(always)]
fn tile<L: Lanes, const Q: usize>(
    lanes: L,
    rows: [&[f32]; ROWS],
    queries: [&[f32]; Q],
) -> [[f32; ROWS]; Q] {
    let dim = rows[0].len();
    assert!(rows.iter().chain(&queries).all(|vector| vector.len() == dim));
    let mut sums = [[lanes.zero(); ROWS]; Q];
    let whole = dim - dim % L::COUNT;
    for at in (0..whole).step_by(L::COUNT) {
        // SAFETY: at + COUNT <= whole <= dim, the length of every vector.
        let load = |vector: &[f32]| unsafe { lanes.load(vector.as_ptr().add(at)) };
        add_products(lanes, rows, queries, load, &mut sums);
    }
    if whole < dim {
        // SAFETY: dim - whole values are left in every vector, fewer than COUNT.
        let load =
            |vector: &[f32]| unsafe { lanes.load_some(vector.as_ptr().add(whole), dim - whole) };
        add_products(lanes, rows, queries, load, &mut sums);
    }
    let mut scores = [[0.0; ROWS]; Q];
    for (scores, vectors) in scores.iter_mut().zip(sums) {
        *scores = lanes.sums(vectors);
    }
    scores
}

// Loops, not `array::map`: its closure may stay a function of its own, which then lacks the
// instructions of the tile; that cost nine tenths of the speed.
#[inline(always)]
fn add_products<L: Lanes, const Q: usize>(
    lanes: L,
    rows: [&[f32]; ROWS],
    queries: [&[f32]; Q],
    load: impl Fn(&[f32]) -> L::Vector,
    sums: &mut [[L::Vector; ROWS]; Q],
) {
    let mut row_values = [lanes.zero(); ROWS];
    for (values, row) in row_values.iter_mut().zip(rows) {
        *values = load(row);
    }
    for (sums, query) in sums.iter_mut().zip(queries) {
        let query = load(query);
        for (sum, row) in sums.iter_mut().zip(row_values) {
            *sum = lanes.add_product(*sum, row, query);
        }
    }
}

/// What a block is: the rows with these numbers, and the queries with their best rows.
struct Block<'a> {
    rows: &'a [f32],
    dim: usize,
    numbers: &'a [usize],
    queries: &'a [f32],
    best: &'a mut [Best],
}

impl Block<'_> {
    /// Takes `Q` queries at a time through all rows: as many as the registers hold the sums of.
    #[inline(always)]
    fn scan<const Q: usize>(self, lanes: impl Lanes) {
        let Self { rows, dim, numbers, queries, best } = self;
        let row = |number: usize| &rows[number * dim..][..dim];
        let mut queries = queries.chunks_exact(dim);
        let (groups, rest) = best.as_chunks_mut::<Q>();
        for best in groups {
            let mut group = [&[][..]; Q];
            for (place, query) in group.iter_mut().zip(&mut queries) {
                *place = query;
            }
            scan_rows(lanes, row, numbers, group, best);
        }
        for (query, best) in queries.zip(rest) {
            scan_rows(lanes, row, numbers, [query], std::array::from_mut(best));
        }
    }
}

/// All rows of a block against a few queries. The last tile repeats a row to be full.
#[inline(always)]
fn scan_rows<'a, L: Lanes, const Q: usize>(
    lanes: L,
    row: impl Fn(usize) -> &'a [f32],
    numbers: &[usize],
    queries: [&[f32]; Q],
    best: &mut [Best; Q],
) {
    for numbers in numbers.chunks(ROWS) {
        let number = |at: usize| numbers[at.min(numbers.len() - 1)];
        let rows = [row(number(0)), row(number(1)), row(number(2)), row(number(3))];
        let scores = tile(lanes, rows, queries);
        for (best, scores) in best.iter_mut().zip(scores) {
            keep(best, numbers, scores);
        }
    }
}

#[inline(always)]
fn keep(best: &mut Best, numbers: &[usize], scores: [f32; ROWS]) {
    if !scores.iter().any(|&score| best.admits(score)) {
        return;
    }
    for (&number, score) in numbers.iter().zip(scores) {
        if best.admits(score) {
            best.push(number, score);
        }
    }
}

/// Compares the rows with these numbers with all queries and keeps the best of each.
pub(super) fn scan_block(
    level: SimdLevel,
    rows: &[f32],
    dim: usize,
    numbers: &[usize],
    queries: &[f32],
    best: &mut [Best],
) {
    let block = Block { rows, dim, numbers, queries, best };
    match licence(level) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the licence proves that the processor has the features.
        Licence::Avx512(lanes) => unsafe { scan_avx512(lanes, block) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Licence::Avx2(lanes) => unsafe { scan_avx2(lanes, block) },
        #[cfg(target_arch = "aarch64")]
        Licence::Neon(lanes) => block.scan::<2>(lanes),
        Licence::Portable(lanes) => block.scan::<4>(lanes),
    }
}

/// The product of two vectors of the same length.
pub(super) fn dot(level: SimdLevel, a: &[f32], b: &[f32]) -> f32 {
    let rows = [a; ROWS];
    let scores = match licence(level) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the licence proves that the processor has the features.
        Licence::Avx512(lanes) => unsafe { tile_avx512(lanes, rows, b) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Licence::Avx2(lanes) => unsafe { tile_avx2(lanes, rows, b) },
        #[cfg(target_arch = "aarch64")]
        Licence::Neon(lanes) => tile(lanes, rows, [b])[0],
        Licence::Portable(lanes) => tile(lanes, rows, [b])[0],
    };
    scores[0]
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

    #[inline(always)]
    fn zero(self) -> Self::Vector {
        [0.0; 8]
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::Vector {
        // SAFETY: the caller promises eight values.
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_some(self, from: *const f32, count: usize) -> Self::Vector {
        let mut vector = [0.0; 8];
        // SAFETY: the caller promises `count` values.
        vector[..count].copy_from_slice(unsafe { std::slice::from_raw_parts(from, count) });
        vector
    }

    #[inline(always)]
    fn add_product(self, sum: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        std::array::from_fn(|lane| sum[lane] + a[lane] * b[lane])
    }

    #[inline(always)]
    fn sums(self, vectors: [Self::Vector; ROWS]) -> [f32; ROWS] {
        vectors.map(|[a, b, c, d, e, f, g, h]| ((a + e) + (c + g)) + ((b + f) + (d + h)))
    }
}

/// AVX-512: sixteen lanes.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct Avx512(Avx2);

#[cfg(target_arch = "x86_64")]
impl Avx512 {
    fn new() -> Option<Self> {
        SimdLevel::Avx512.is_available().then(Avx2::new).flatten().map(Self)
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes for Avx512 {
    type Vector = arch::__m512;
    const COUNT: usize = 16;

    #[inline(always)]
    fn zero(self) -> Self::Vector {
        // SAFETY: a value of this type proves AVX-512F.
        unsafe { arch::_mm512_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::Vector {
        // SAFETY: AVX-512F is proved, and the caller promises sixteen values.
        unsafe { arch::_mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_some(self, from: *const f32, count: usize) -> Self::Vector {
        // SAFETY: AVX-512F is proved; only the `count` lanes that the caller promises are read.
        unsafe { arch::_mm512_maskz_loadu_ps((1 << count) - 1, from) }
    }

    #[inline(always)]
    fn add_product(self, sum: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type proves AVX-512F.
        unsafe { arch::_mm512_fmadd_ps(a, b, sum) }
    }

    #[inline(always)]
    fn sums(self, vectors: [Self::Vector; ROWS]) -> [f32; ROWS] {
        let mut halves = [self.0.zero(); ROWS];
        for (half, vector) in halves.iter_mut().zip(vectors) {
            // SAFETY: a value of this type proves AVX-512F and AVX-512DQ.
            *half = unsafe {
                let high = arch::_mm512_extractf32x8_ps::<1>(vector);
                arch::_mm256_add_ps(arch::_mm512_castps512_ps256(vector), high)
            };
        }
        self.0.sums(halves)
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

    #[inline(always)]
    fn zero(self) -> Self::Vector {
        // SAFETY: a value of this type proves AVX2.
        unsafe { arch::_mm256_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::Vector {
        // SAFETY: AVX2 is proved, and the caller promises eight values.
        unsafe { arch::_mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_some(self, from: *const f32, count: usize) -> Self::Vector {
        // SAFETY: AVX2 is proved; only the `count` lanes that the caller promises are read.
        unsafe {
            let numbers = arch::_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            let wanted = arch::_mm256_cmpgt_epi32(arch::_mm256_set1_epi32(count as i32), numbers);
            arch::_mm256_maskload_ps(from, wanted)
        }
    }

    #[inline(always)]
    fn add_product(self, sum: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type proves FMA.
        unsafe { arch::_mm256_fmadd_ps(a, b, sum) }
    }

    #[inline(always)]
    fn sums(self, vectors: [Self::Vector; ROWS]) -> [f32; ROWS] {
        // SAFETY: a value of this type proves AVX2.
        unsafe {
            // Two vectors at a time hold pairs of neighbours, then sums of four; both halves hold
            // all four vectors and are added last.
            let [a, b, c, d] = vectors;
            let fours =
                arch::_mm256_hadd_ps(arch::_mm256_hadd_ps(a, b), arch::_mm256_hadd_ps(c, d));
            let high = arch::_mm256_extractf128_ps::<1>(fours);
            let sums = arch::_mm_add_ps(arch::_mm256_castps256_ps128(fours), high);
            let mut scores = [0.0; ROWS];
            arch::_mm_storeu_ps(scores.as_mut_ptr(), sums);
            scores
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
fn scan_avx512(lanes: Avx512, block: Block) {
    block.scan::<4>(lanes);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn scan_avx2(lanes: Avx2, block: Block) {
    block.scan::<2>(lanes);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
fn tile_avx512(lanes: Avx512, rows: [&[f32]; ROWS], query: &[f32]) -> [f32; ROWS] {
    tile(lanes, rows, [query])[0]
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn tile_avx2(lanes: Avx2, rows: [&[f32]; ROWS], query: &[f32]) -> [f32; ROWS] {
    tile(lanes, rows, [query])[0]
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

    #[inline(always)]
    fn zero(self) -> Self::Vector {
        // SAFETY: a value of this type proves NEON.
        [unsafe { arch::vdupq_n_f32(0.0) }; 2]
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::Vector {
        // SAFETY: NEON is proved, and the caller promises eight values.
        unsafe { [arch::vld1q_f32(from), arch::vld1q_f32(from.add(4))] }
    }

    #[inline(always)]
    unsafe fn load_some(self, from: *const f32, count: usize) -> Self::Vector {
        // SAFETY: the caller promises `count` values; the copy has eight.
        unsafe { self.load(Portable.load_some(from, count).as_ptr()) }
    }

    #[inline(always)]
    fn add_product(self, sum: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type proves NEON.
        unsafe { [arch::vfmaq_f32(sum[0], a[0], b[0]), arch::vfmaq_f32(sum[1], a[1], b[1])] }
    }

    #[inline(always)]
    fn sums(self, vectors: [Self::Vector; ROWS]) -> [f32; ROWS] {
        let mut scores = [0.0; ROWS];
        for (score, [low, high]) in scores.iter_mut().zip(vectors) {
            // SAFETY: a value of this type proves NEON.
            *score = unsafe { arch::vaddvq_f32(arch::vaddq_f32(low, high)) };
        }
        scores
    }
}
