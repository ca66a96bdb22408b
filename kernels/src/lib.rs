//! The numeric kernels of looksee and the one file-mapping wrapper.
//!
//! This is the only package of the project where `unsafe` may appear. Every entry point is safe,
//! concrete (`&[f32]` and explicit shapes) and works on whole blocks: it asserts its lengths once
//! and chooses the processor's instructions once a block.

pub mod mapped;
