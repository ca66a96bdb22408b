//! The numeric kernels of looksee and the one file-mapping wrapper.
//!
//! This is the only package of the project where `unsafe` may appear. Every entry point is safe,
//! concrete (`&[f32]` and explicit shapes) and works on whole blocks: it asserts its lengths once
//! and chooses the processor's instructions once a block.
//!
//! Rules that hold for every function here:
//! - Values are `f32`, matrices row-major, pictures `[n, height, width, channels]`, all contiguous.
//! - Work is dealt to rayon's current pool. The same inputs on the same number of threads give the
//!   same bytes, because what is added to what depends on sizes only, never on who is ready first.
//! - A wrong length is a mistake of the calling code and panics with both lengths; values are
//!   never checked, and NaN and infinity go the way of IEEE arithmetic: a maximum or a `ReLU` of NaN
//!   is NaN, as in PyTorch.
//!
//! | module | what it computes |
//! |---|---|
//! | [`conv`], [`depthwise`], [`norm`], [`pool`], [`elementwise`] | the layers of a network for pictures and their gradients |
//! | [`network`], [`buffers`] | those layers as one network, and the memory it uses again |
//! | [`gru`] | a recurrent layer over whole sequences, and its gradients |
//! | [`matmul`] | the matrix product under all of them |
//! | [`nearest`] | the rows nearest to each row of a block |
//! | [`perplexity`], [`springs`], [`charges`] | the affinities and the two forces of a t-SNE map |
//! | [`adam`] | one step of the optimiser |
//! | [`scan`] | exact nearest rows of a query |
//! | [`simd`] | which instructions are used, chosen at run time |
//! | [`mapped`] | a read-only mapped file |

#![expect(clippy::inline_always, reason = "what a versioned loop calls must become part of it")]

mod activate;
pub mod adam;
pub mod buffers;
pub mod charges;
pub mod conv;
pub mod depthwise;
pub mod elementwise;
pub mod gru;
mod lanes;
pub mod mapped;
pub mod matmul;
pub mod nearest;
pub mod network;
pub mod norm;
mod panels;
mod parallel;
pub mod perplexity;
pub mod pool;
pub mod scan;
mod scratch;
pub mod simd;
pub mod springs;
#[cfg(test)]
mod testing;
