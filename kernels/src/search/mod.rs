//! Exact nearest rows: of few queries, and of every row of a matrix.

pub mod nearest;
pub mod scan;
