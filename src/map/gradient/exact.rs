//! The push of all points, pair by pair: the oracle, and the fastest up to some thousand points.

use looksee_kernels::tsne::repulsion;

use super::Repulsion;

/// Adds up all pairs.
#[derive(Debug, Default)]
pub struct Exact {
    sums: Vec<f32>,
}

impl Repulsion for Exact {
    fn push(&mut self, positions: &[[f32; 2]], pushes: &mut [[f32; 2]]) -> f64 {
        self.sums.resize(positions.len(), 0.0);
        repulsion::push(positions, pushes, &mut self.sums);
        self.sums.iter().map(|&sum| f64::from(sum)).sum()
    }
}
