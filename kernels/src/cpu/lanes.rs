//! Vectors of `f32` (SIMD lanes) for loops that are written once and compiled for each
//! [`SimdLevel`].
//!
//! A value of `Avx512`, `Avx2` or `Neon` can only be made on a processor that has these
//! instructions, so it is the licence to use them; [`Plain`] needs none. The [`on_lanes!`] macro
//! compiles a function for the vectors of each level and checks the level once a call, outside of
//! all loops.
//!
//! Whatever such a function calls must become part of it: `#[inline(always)]`, and loops instead of
//! `array::map`, whose closure may stay a function of its own. Such a function lacks the
//! instructions, which cost the scan nine tenths of its speed.

use crate::cpu::simd::SimdLevel;
#[cfg(target_arch = "aarch64")]
use std::arch::aarch64 as arch;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64 as arch;

/// Values of the widest vector.
pub(crate) const MOST_LANES: usize = 16;

/// What loops need of a processor. A value proves that the processor can do it.
pub(crate) trait Lanes: Copy {
    /// Neighbouring values.
    type Vector: Copy;
    /// Values of a vector.
    const COUNT: usize;
    /// Vectors that the processor's registers hold.
    const REGISTERS: usize;

    /// The same value in every lane.
    fn splat(self, value: f32) -> Self::Vector;

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

    /// Writes `COUNT` values.
    ///
    /// # Safety
    /// `to` points to at least `COUNT` values that may be written.
    unsafe fn store(self, vector: Self::Vector, to: *mut f32);

    /// `sum + a * b`, lane by lane.
    fn add_product(self, sum: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// `a + b`, lane by lane.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// Each value within `low..=high`; NaN stays NaN.
    fn clamp(self, vector: Self::Vector, low: Self::Vector, high: Self::Vector) -> Self::Vector;

    /// The sum of the lanes of each vector, added in the same order in each.
    fn sums(self, vectors: [Self::Vector; 4]) -> [f32; 4];

    /// Brings a place of memory into the second cache, if it exists and there is a way to ask.
    fn fetch(self, _place: *const f32) {}

    /// Brings a place of memory that will be written into the first cache, like [`Lanes::fetch`].
    fn fetch_to_write(self, _place: *const f32) {}
}

/// The proof for one level.
pub(crate) enum Licence {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    Plain(Plain<8>),
}

impl Licence {
    /// The licence for `level`, or the plain one where the processor cannot do it.
    pub(crate) fn new(level: SimdLevel) -> Self {
        let licence = match level {
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx512 => Avx512::new().map(Self::Avx512),
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx2 => Avx2::new().map(Self::Avx2),
            #[cfg(target_arch = "aarch64")]
            SimdLevel::Neon => Neon::new().map(Self::Neon),
            _ => None,
        };
        licence.unwrap_or(Self::Plain(Plain))
    }
}

/// Compiles `fn name<L>(lanes, ..)`, which is written for any [`Lanes`], for the instructions of
/// each level, and makes `fn name(level, ..)` of it.
///
/// The arguments stay arguments, not fields of a task: of a reference that is one the compiler
/// knows that nothing else changes what it refers to, and keeps that in registers.
macro_rules! on_lanes {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$L:ident>($lanes:ident, $($arg:ident: $type:ty),*
        $(,)?) $(-> $out:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name(level: $crate::cpu::simd::SimdLevel, $($arg: $type),*) $(-> $out)? {
            #[inline(always)]
            fn body<$L: $crate::cpu::lanes::Lanes>($lanes: $L, $($arg: $type),*) $(-> $out)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512(lanes: $crate::cpu::lanes::Avx512, $($arg: $type),*) $(-> $out)? {
                body(lanes, $($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2(lanes: $crate::cpu::lanes::Avx2, $($arg: $type),*) $(-> $out)? {
                body(lanes, $($arg),*)
            }

            match $crate::cpu::lanes::Licence::new(level) {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the licence proves that the processor has the features.
                $crate::cpu::lanes::Licence::Avx512(lanes) => unsafe { avx512(lanes, $($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                $crate::cpu::lanes::Licence::Avx2(lanes) => unsafe { avx2(lanes, $($arg),*) },
                #[cfg(target_arch = "aarch64")]
                $crate::cpu::lanes::Licence::Neon(lanes) => body(lanes, $($arg),*),
                $crate::cpu::lanes::Licence::Plain(lanes) => body(lanes, $($arg),*),
            }
        }
    };
}
pub(crate) use on_lanes;

/// Plain Rust, which the compiler turns into whatever vectors every processor of the target has.
/// `N` is a power of two.
#[derive(Clone, Copy)]
pub(crate) struct Plain<const N: usize>;

impl<const N: usize> Lanes for Plain<N> {
    type Vector = [f32; N];
    const COUNT: usize = N;
    // Sixteen registers of four values are the fewest of any target.
    const REGISTERS: usize = 16 * 4 / N;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        [value; N]
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::Vector {
        // SAFETY: the caller promises N values.
        unsafe { from.cast::<[f32; N]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_some(self, from: *const f32, count: usize) -> Self::Vector {
        let mut vector = [0.0; N];
        // SAFETY: the caller promises `count` values.
        vector[..count].copy_from_slice(unsafe { std::slice::from_raw_parts(from, count) });
        vector
    }

    #[inline(always)]
    unsafe fn store(self, vector: Self::Vector, to: *mut f32) {
        // SAFETY: the caller promises room for N values.
        unsafe { to.cast::<[f32; N]>().write_unaligned(vector) }
    }

    #[inline(always)]
    fn add_product(self, mut sum: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        for lane in 0..N {
            sum[lane] += a[lane] * b[lane];
        }
        sum
    }

    #[inline(always)]
    fn add(self, mut a: Self::Vector, b: Self::Vector) -> Self::Vector {
        for lane in 0..N {
            a[lane] += b[lane];
        }
        a
    }

    #[inline(always)]
    fn clamp(self, mut vector: Self::Vector, low: Self::Vector, high: Self::Vector) -> [f32; N] {
        for lane in 0..N {
            let value = vector[lane];
            let value = if value < low[lane] { low[lane] } else { value };
            vector[lane] = if value > high[lane] { high[lane] } else { value };
        }
        vector
    }

    /// The upper half is added to the lower one until one value is left.
    #[inline(always)]
    fn sums(self, vectors: [Self::Vector; 4]) -> [f32; 4] {
        let mut sums = [0.0; 4];
        for (sum, mut vector) in sums.iter_mut().zip(vectors) {
            let mut half = N / 2;
            while half > 0 {
                for lane in 0..half {
                    vector[lane] += vector[lane + half];
                }
                half /= 2;
            }
            *sum = vector[0];
        }
        sums
    }
}

/// AVX-512: sixteen lanes.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Avx512(Avx2);

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
    const REGISTERS: usize = 32;

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
    unsafe fn load_some(self, from: *const f32, count: usize) -> Self::Vector {
        // SAFETY: AVX-512F is proved; only the `count` lanes that the caller promises are read.
        unsafe { arch::_mm512_maskz_loadu_ps((1 << count) - 1, from) }
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

    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type proves AVX-512F.
        unsafe { arch::_mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn clamp(self, vector: Self::Vector, low: Self::Vector, high: Self::Vector) -> Self::Vector {
        // Of a number and a NaN these instructions give the second.
        // SAFETY: a value of this type proves AVX-512F.
        unsafe { arch::_mm512_min_ps(high, arch::_mm512_max_ps(low, vector)) }
    }

    #[inline(always)]
    fn sums(self, vectors: [Self::Vector; 4]) -> [f32; 4] {
        let mut halves = [self.0.splat(0.0); 4];
        for (half, vector) in halves.iter_mut().zip(vectors) {
            // SAFETY: a value of this type proves AVX-512F and AVX-512DQ.
            *half = unsafe {
                let high = arch::_mm512_extractf32x8_ps::<1>(vector);
                arch::_mm256_add_ps(arch::_mm512_castps512_ps256(vector), high)
            };
        }
        self.0.sums(halves)
    }

    #[inline(always)]
    fn fetch(self, place: *const f32) {
        self.0.fetch(place);
    }

    #[inline(always)]
    fn fetch_to_write(self, place: *const f32) {
        self.0.fetch_to_write(place);
    }
}

/// AVX2 and FMA: eight lanes.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

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
    const REGISTERS: usize = 16;

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
    unsafe fn load_some(self, from: *const f32, count: usize) -> Self::Vector {
        // SAFETY: AVX2 is proved; only the `count` lanes that the caller promises are read.
        unsafe {
            let numbers = arch::_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            let wanted = arch::_mm256_cmpgt_epi32(arch::_mm256_set1_epi32(count as i32), numbers);
            arch::_mm256_maskload_ps(from, wanted)
        }
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

    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type proves AVX2.
        unsafe { arch::_mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn clamp(self, vector: Self::Vector, low: Self::Vector, high: Self::Vector) -> Self::Vector {
        // Of a number and a NaN these instructions give the second.
        // SAFETY: a value of this type proves AVX2.
        unsafe { arch::_mm256_min_ps(high, arch::_mm256_max_ps(low, vector)) }
    }

    #[inline(always)]
    fn sums(self, vectors: [Self::Vector; 4]) -> [f32; 4] {
        // SAFETY: a value of this type proves AVX2.
        unsafe {
            // Two vectors at a time hold pairs of neighbours, then sums of four; both halves hold
            // all four vectors and are added last.
            let [a, b, c, d] = vectors;
            let fours =
                arch::_mm256_hadd_ps(arch::_mm256_hadd_ps(a, b), arch::_mm256_hadd_ps(c, d));
            let high = arch::_mm256_extractf128_ps::<1>(fours);
            let all = arch::_mm_add_ps(arch::_mm256_castps256_ps128(fours), high);
            let mut sums = [0.0; 4];
            arch::_mm_storeu_ps(sums.as_mut_ptr(), all);
            sums
        }
    }

    #[inline(always)]
    fn fetch(self, place: *const f32) {
        // SAFETY: a hint, which never faults; every processor with these vectors knows it.
        unsafe { arch::_mm_prefetch::<{ arch::_MM_HINT_T1 }>(place.cast()) }
    }

    #[inline(always)]
    fn fetch_to_write(self, place: *const f32) {
        // SAFETY: as above.
        unsafe { arch::_mm_prefetch::<{ arch::_MM_HINT_ET0 }>(place.cast()) }
    }
}

/// NEON, which every processor of this target has: two registers of four lanes.
#[cfg(target_arch = "aarch64")]
#[derive(Clone, Copy)]
pub(crate) struct Neon(());

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
    const REGISTERS: usize = 16;

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
    unsafe fn load_some(self, from: *const f32, count: usize) -> Self::Vector {
        // SAFETY: the caller promises `count` values; the copy has eight.
        unsafe { self.load(Plain::<8>.load_some(from, count).as_ptr()) }
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

    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: a value of this type proves NEON.
        unsafe { [arch::vaddq_f32(a[0], b[0]), arch::vaddq_f32(a[1], b[1])] }
    }

    #[inline(always)]
    fn clamp(
        self,
        mut vector: Self::Vector,
        low: Self::Vector,
        high: Self::Vector,
    ) -> Self::Vector {
        for (vector, (low, high)) in vector.iter_mut().zip(low.into_iter().zip(high)) {
            // Of a number and a NaN these instructions give NaN.
            // SAFETY: a value of this type proves NEON.
            *vector = unsafe { arch::vminq_f32(high, arch::vmaxq_f32(low, *vector)) };
        }
        vector
    }

    #[inline(always)]
    fn sums(self, vectors: [Self::Vector; 4]) -> [f32; 4] {
        let mut sums = [0.0; 4];
        for (sum, [low, high]) in sums.iter_mut().zip(vectors) {
            // SAFETY: a value of this type proves NEON.
            *sum = unsafe { arch::vaddvq_f32(arch::vaddq_f32(low, high)) };
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Sum, assert_close, random};

    on_lanes! {
        /// The values of `a` at each step of a few operations with `b` and `c`, in vectors.
        fn operations<L>(lanes, a: &[f32], b: &[f32], c: &[f32]) -> [Vec<f32>; 4] {
            let mut results = [const { Vec::new() }; 4];
            for at in (0..a.len()).step_by(L::COUNT) {
                let [a, b, c] = [a, b, c].map(|values| values[at..at + L::COUNT].as_ptr());
                // SAFETY: each has `COUNT` values.
                let [a, b, c] = unsafe { [lanes.load(a), lanes.load(b), lanes.load(c)] };
                let clamped = lanes.clamp(a, lanes.splat(-0.5), lanes.splat(0.25));
                let found = [a, lanes.add(a, b), lanes.add_product(a, b, c), clamped];
                for (result, vector) in results.iter_mut().zip(found) {
                    let start = result.len();
                    result.resize(start + L::COUNT, f32::NAN);
                    // SAFETY: there is room for `COUNT` values.
                    unsafe { lanes.store(vector, result[start..].as_mut_ptr()) }
                }
            }
            results
        }
    }

    on_lanes! {
        /// The sums of the first values of `from`, of one fewer, and so on.
        fn first_sums<L>(lanes, from: &[f32]) -> ([f32; 4], usize) {
            let mut vectors = [lanes.splat(0.0); 4];
            for (missing, vector) in vectors.iter_mut().enumerate() {
                let count = L::COUNT - 1 - missing;
                assert!(count <= from.len());
                // SAFETY: `count` values can be read.
                *vector = unsafe { lanes.load_some(from.as_ptr(), count) };
            }
            (lanes.sums(vectors), L::COUNT - 1)
        }
    }

    #[test]
    fn every_level_computes_what_plain_rust_does() {
        let (a, b, c) = (random(64, 1), random(64, 2), random(64, 3));
        let each = |value: &dyn Fn(usize) -> Sum| (0..64).map(value).collect::<Vec<_>>();
        for level in SimdLevel::available() {
            let [same, sum, product, clamped] = operations(level, &a, &b, &c);
            assert_close(&same, &each(&|i| Sum::exact(a[i].into())));
            assert_close(&sum, &each(&|i| Sum::of([(a[i], 1.0), (b[i], 1.0)])));
            assert_close(&product, &each(&|i| Sum::of([(a[i], 1.0), (b[i], c[i])])));
            assert_close(&clamped, &each(&|i| Sum::exact(a[i].clamp(-0.5, 0.25).into())));
        }
    }

    #[test]
    fn a_clamped_nan_stays_nan() {
        for level in SimdLevel::available() {
            let nan = [f32::NAN; 16];
            let [.., clamped] = operations(level, &nan, &nan, &nan);
            assert!(clamped.iter().all(|value| value.is_nan()), "{}: {clamped:?}", level.name());
        }
    }

    #[test]
    fn some_values_are_loaded_and_the_rest_is_zeros() {
        for level in SimdLevel::available() {
            for len in 15..20 {
                // What lies behind the values is not read.
                let mut values = random(len, 4);
                let most = first_sums(level, &values).1;
                values[most..].fill(f32::NAN);
                let (sums, _) = first_sums(level, &values);
                let expected = [0, 1, 2, 3]
                    .map(|missing| Sum::of(values[..most - missing].iter().map(|&x| (x, 1.0))));
                assert_close(&sums, &expected);
            }
        }
    }
}
