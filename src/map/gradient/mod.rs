//! The repulsive half of the gradient, in three ways.
//!
//! The gradient of the divergence by position `i` is, but for a factor 4 that goes into the learning
//! rate, `sum_j p_ij (y_i - y_j) / (1 + d^2)  -  1/Z sum_j (y_i - y_j) / (1 + d^2)^2` with
//! `Z = sum_k sum_l!=k 1 / (1 + d_kl^2)` (van der Maaten & Hinton 2008, equation 5, split as in van
//! der Maaten 2014, equation 8). The first sum runs over neighbours
//! ([`Springs`](looksee_kernels::tsne::attraction::Springs)); the second over all pairs, and is what a
//! [`Repulsion`] computes, with `Z`.

mod barnes_hut;
mod exact;
mod mesh;

pub use barnes_hut::BarnesHut;
pub use exact::Exact;
pub use mesh::Mesh;

/// How every point pushes every other away.
pub trait Repulsion: Send {
    /// Writes `sum_j (y_i - y_j) / (1 + d^2)^2` for each point and gives `Z`, the sum of
    /// `1 / (1 + d^2)` over all ordered pairs. Positions must be finite.
    fn push(&mut self, positions: &[[f32; 2]], pushes: &mut [[f32; 2]]) -> f64;
}

#[cfg(test)]
mod tests;
