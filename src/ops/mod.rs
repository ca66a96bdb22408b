//! Tensor operations bound to the kernels.
