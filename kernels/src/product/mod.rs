//! Products of matrices.

pub mod matmul;
pub(crate) mod panels;
