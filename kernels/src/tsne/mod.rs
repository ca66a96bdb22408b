//! The affinities and the two forces of a t-SNE map.

pub mod attraction;
pub mod descent;
pub mod perplexity;
pub mod repulsion;
