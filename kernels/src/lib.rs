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
//! | room | what it computes |
//! |---|---|
//! | [`cpu`] | which instructions are used, chosen at run time; threads, memory, a mapped file |
//! | `product` | the matrix product under layers, networks and the search for neighbours |
//! | [`layers`] | the layers of a network and their gradients, and one step of the optimiser |
//! | [`network`] | those layers as one network for pictures |
//! | [`search`] | exact nearest rows of a query, or of every row of a matrix |
//! | [`tsne`] | the affinities and the two forces of a t-SNE map, and a step down its gradient |

#![expect(clippy::inline_always, reason = "what a versioned loop calls must become part of it")]

pub mod cpu;
pub mod layers;
pub mod network;
mod product;
pub mod search;
#[cfg(test)]
mod testing;
pub mod tsne;
