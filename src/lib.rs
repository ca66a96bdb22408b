//! looksee learns one embedding for pictures and their texts, and searches pictures by words or by
//! another picture.
//!
//! The modules stand in the order in which a picture passes through them; each uses only those
//! above it (ARCHITECTURE.md has the table, `cargo xtask tidy` checks it).

pub mod error;
pub mod units;

pub mod files;
pub mod filter;

pub mod catalogue;

pub mod images;
pub mod tokens;

pub mod vectors;

pub mod agreement;
pub mod encoder;
pub mod metrics;
mod ops;

pub mod index;
pub mod train;

pub mod embed;
pub mod hits;

pub mod audit;
pub mod eval;
pub mod map;

#[cfg(feature = "bench")]
pub mod bench;
#[cfg(not(feature = "bench"))]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "for benchmarks and for tests, which know its formula"
)]
mod bench;

#[cfg(test)]
mod fuzz;

pub use error::{Error, ErrorKind, Fact, FieldRole, Result};
