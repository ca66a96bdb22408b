//! The affinities and the two forces of a t-SNE map.

pub mod attraction;
pub mod perplexity;
pub mod repulsion;
