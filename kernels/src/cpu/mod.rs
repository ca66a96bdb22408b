//! What every other room stands on: SIMD levels and vectors, threads, memory, a mapped file.

pub mod buffers;
pub(crate) mod exp;
pub(crate) mod lanes;
pub mod mapped;
pub(crate) mod parallel;
pub(crate) mod scratch;
pub mod simd;
