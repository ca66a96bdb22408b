//! The layers of a network, their gradients, and the optimiser's step.

pub mod adam;
pub mod bags;
pub mod conv;
pub mod depthwise;
pub mod elementwise;
pub mod gru;
pub mod norm;
pub mod pool;
