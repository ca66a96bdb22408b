//! The few vector operations that a depthwise convolution needs, at each [`SimdLevel`].
//!
//! As in the scan, a value of [`Avx512`] or [`Avx2`] can only be made on a processor that has
//! these instructions, so it is the licence to use them.

use crate::simd::SimdLevel;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64 as arch;

/// What the loops need of a processor. A value proves that the processor can do it.
pub(super) trait Lanes: Copy {
    /// Values of neighbouring channels.
    type Vector: Copy;
    /// Values of a vector.
    const COUNT: usize;

    /// A vector of equal values.
    fn splat(self, value: f32) -> Self::Vector;

    /// The first `COUNT` values.
    ///
    /// # Safety
    /// `from` points to at least `COUNT` values.
    unsafe fn load(self, from: *const f32) -> Self::Vector;

    /// Writes `COUNT` values.
    ///
    /// # Safety
    /// `to` points to at least `COUNT` values that may be written.
    unsafe fn store(self, vector: Self::Vector, to: *mut f32);

    /// Brings a place of memory into the second cache, if it exists and there is a way to ask.
    fn fetch(self, _place: *const f32) {}

    /// `sum + a * b`, lane by lane.
    fn add_product(self, sum: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// `a + b`, lane by lane.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// Each value within `low..=high`; NaN stays NaN.
    fn clamp(self, vector: Self::Vector, low: Self::Vector, high: Self::Vector) -> Self::Vector;
}

/// The widest vectors of `level` that are not wider than a row of `channels`.
pub(super) enum Licence {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    Eight(Plain<8>),
    Four(Plain<4>),
    One(Plain<1>),
}

impl Licence {
    pub(super) fn new(level: SimdLevel, channels: usize) -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(lanes) = Avx512::new().filter(|_| level == SimdLevel::Avx512)
                && channels >= Avx512::COUNT
            {
                return Self::Avx512(lanes);
            }
            if let Some(lanes) = Avx2::new().filter(|_| level >= SimdLevel::Avx2)
                && channels >= Avx2::COUNT
            {
                return Self::Avx2(lanes);
            }
        }
        match channels {
            8.. => Self::Eight(Plain),
            4.. => Self::Four(Plain),
            _ => Self::One(Plain),
        }
    }
}

/// Plain Rust, which the compiler turns into whatever vectors every processor of the target has.
#[derive(Clone, Copy)]
pub(super) struct Plain<const N: usize>;

impl<const N: usize> Lanes for Plain<N> {
    type Vector = [f32; N];
    const COUNT: usize = N;

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
    unsafe fn store(self, vector: Self::Vector, to: *mut f32) {
        // SAFETY: the caller promises N values.
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
}

/// AVX-512: sixteen lanes.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

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
        // SAFETY: AVX-512F is proved, and the caller promises sixteen values.
        unsafe { arch::_mm512_storeu_ps(to, vector) }
    }

    #[inline(always)]
    fn fetch(self, place: *const f32) {
        // SAFETY: a hint, which never faults; every processor with these vectors knows it.
        unsafe { arch::_mm_prefetch::<{ arch::_MM_HINT_T1 }>(place.cast()) }
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
}

/// AVX2 and FMA: eight lanes.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

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
        // SAFETY: AVX2 is proved, and the caller promises eight values.
        unsafe { arch::_mm256_storeu_ps(to, vector) }
    }

    #[inline(always)]
    fn fetch(self, place: *const f32) {
        // SAFETY: a hint, which never faults; every processor with these vectors knows it.
        unsafe { arch::_mm_prefetch::<{ arch::_MM_HINT_T1 }>(place.cast()) }
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
}
