//! Which vector instructions (SIMD) the kernels use, chosen at run time (dynamic dispatch).
//!
//! One program serves every processor: a hot loop is compiled several times, and the version is
//! picked once a block by [`simd_level`]. Loops that a compiler vectorises well are written once,
//! in plain Rust, and multiplied by the `multiversion!` macro of this module. Plain loops use no
//! fused multiply-add, so their results are the same bytes at every level. Loops that must keep
//! vectors in registers are written over the vector operations of the private module `lanes`.

use std::sync::OnceLock;

/// A set of vector instructions, from the fewest to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SimdLevel {
    /// What every processor of the target has.
    Portable,
    /// Arm NEON, 128 bits.
    Neon,
    /// x86 AVX2 and FMA, 256 bits.
    Avx2,
    /// x86 AVX-512 (F, BW, DQ, VL), 512 bits.
    Avx512,
}

impl SimdLevel {
    /// The name that `LOOKSEE_SIMD` takes and reports show.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Whether this processor has the instructions.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            Self::Neon => cfg!(target_arch = "aarch64"),
            Self::Avx2 => has_avx2(),
            Self::Avx512 => has_avx2() && has_avx512(),
        }
    }

    /// Whether processors with this level mostly have a megabyte of second cache for each core, and
    /// not half of one, and a last cache to match. Loops that go over the same values again and again
    /// cut them accordingly.
    pub(crate) fn has_large_cache(self) -> bool {
        self == Self::Avx512
    }

    /// Every level of this processor, the best first.
    pub fn available() -> impl Iterator<Item = Self> {
        [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable]
            .into_iter()
            .filter(|level| level.is_available())
    }
}

/// The level in use: the best of this processor, or what the environment variable `LOOKSEE_SIMD`
/// (`portable`, `avx2`, `avx512`, `neon`) caps it to. Read once; an unknown name is ignored.
pub fn simd_level() -> SimdLevel {
    static LEVEL: OnceLock<SimdLevel> = OnceLock::new();
    *LEVEL.get_or_init(|| level_under(std::env::var("LOOKSEE_SIMD").ok().as_deref()))
}

fn level_under(cap: Option<&str>) -> SimdLevel {
    let names = [SimdLevel::Portable, SimdLevel::Neon, SimdLevel::Avx2, SimdLevel::Avx512];
    let cap = names.into_iter().find(|level| Some(level.name()) == cap);
    SimdLevel::available()
        .find(|&level| cap.is_none_or(|cap| level <= cap))
        .unwrap_or(SimdLevel::Portable)
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx512() -> bool {
    false
}

/// Compiles one plain function for each level and calls the version of [`simd_level`].
///
/// The body should be loops over slices of equal length; whatever it calls must be
/// `#[inline(always)]`, or it stays at the portable level.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?)
        $(-> $out:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $type),*) $(-> $out)? {
            #[inline(always)]
            fn body($($arg: $type),*) $(-> $out)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512($($arg: $type),*) $(-> $out)? {
                body($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $type),*) $(-> $out)? {
                body($($arg),*)
            }

            match $crate::cpu::simd::simd_level() {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: `simd_level` returns this only when the processor has the features.
                $crate::cpu::simd::SimdLevel::Avx512 => unsafe { avx512($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                $crate::cpu::simd::SimdLevel::Avx2 => unsafe { avx2($($arg),*) },
                _ => body($($arg),*),
            }
        }
    };
}
pub(crate) use multiversion;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_caps_the_level_and_never_raises_it() {
        let best = SimdLevel::available().next().unwrap();
        assert_eq!(level_under(None), best);
        assert_eq!(level_under(Some("portable")), SimdLevel::Portable);
        assert_eq!(level_under(Some("avx512")), best.min(SimdLevel::Avx512));
        assert_eq!(level_under(Some("sse9")), best);
        assert!(level_under(Some("avx2")) <= SimdLevel::Avx2);
    }
}
