//! The tensor framework's extension points, bound to the kernels.
//!
//! The encoder's towers call these functions with the framework's own tensors; whether a kernel
//! of ours or a composition of the framework's operations answers is decided here and nowhere
//! else. Activations are NHWC, contiguous `f32`. Gradients flow through every function.

mod binding;

use std::sync::Arc;

use burn::backend::Dispatch;
use burn::tensor::Tensor;
use looksee_kernels::norm::Moments;

use binding::Fused;
pub(crate) use binding::{Geometry, NormMode, Padding, Window};
pub(crate) use looksee_kernels::gru::Direction;
pub(crate) use looksee_kernels::norm::Activation;

/// Convolution without bias: `x [n, h, w, ci]`, `weights [k·k·ci, co]` -> `[n, oh, ow, co]`.
pub(crate) fn conv(x: Tensor<4>, weights: Tensor<2>, window: Window) -> Tensor<4> {
    let [_, height, width, _] = x.dims();
    let zeros = [window.zeros(height), window.zeros(width)];
    let Window { kernel, stride, .. } = window;
    // The kernel knows padding that is the same on all sides; other zeros are written down.
    let even = zeros.iter().flat_map(|&(before, after)| [before, after]).all(|z| z == zeros[0].0);
    let (x, padding) = if even { (x, zeros[0].0) } else { (pad(x, zeros), 0) };
    let geometry = Geometry { kernel, stride, padding };
    Tensor::from_dispatch(Dispatch::looksee_conv(
        x.into_dispatch(),
        weights.into_dispatch(),
        geometry,
    ))
}

/// Convolution of each channel with a kernel of its own, without bias: `x [n, h, w, c]`, `weights
/// [k·k, c]` -> `[n, oh, ow, c]`.
pub(crate) fn depthwise(x: Tensor<4>, weights: Tensor<2>, window: Window) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::looksee_depthwise(
        x.into_dispatch(),
        weights.into_dispatch(),
        window,
    ))
}

/// Zeros before and after the rows and the columns: `[n, h, w, c]` -> `[n, h + .., w + .., c]`.
fn pad(x: Tensor<4>, [(top, bottom), (left, right)]: [(usize, usize); 2]) -> Tensor<4> {
    let [n, height, width, channels] = x.dims();
    let padded = [n, top + height + bottom, left + width + right, channels];
    Tensor::zeros(padded, &x.device())
        .slice_assign([0..n, top..top + height, left..left + width, 0..channels], x)
}

/// Mean and variance (biased) of each channel over all rows of `x [n, h, w, c]`; no gradient.
pub(crate) fn moments(x: &Tensor<4>) -> Moments {
    let channels = x.dims()[3];
    let packed: Tensor<1> = Tensor::from_dispatch(Dispatch::looksee_moments(
        x.clone().without_autodiff().into_dispatch(),
    ));
    let mut mean = values_of(packed);
    let variance = mean.split_off(channels);
    Moments { mean, variance }
}

/// Batch norm and activation in one pass.
pub(crate) fn batch_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    moments: Arc<Moments>,
    mode: NormMode,
) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::looksee_batch_norm(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        moments,
        mode,
    ))
}

/// `max(a + b, 0)`, the end of a residual block.
pub(crate) fn add_relu(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::looksee_add_relu(a.into_dispatch(), b.into_dispatch()))
}

/// Max pool over windows: `[n, h, w, c]` -> `[n, oh, ow, c]`.
pub(crate) fn max_pool(x: Tensor<4>, geometry: Geometry) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::looksee_max_pool(x.into_dispatch(), geometry))
}

/// The largest value of each channel over all positions: `[n, h, w, c]` -> `[n, c]`.
pub(crate) fn global_max_pool(x: Tensor<4>) -> Tensor<2> {
    let [n, height, width, channels] = x.dims();
    let pooled: Tensor<2> =
        Tensor::from_dispatch(Dispatch::looksee_global_max_pool(x.into_dispatch()));
    debug_assert!(height * width > 0);
    pooled.reshape([n, channels])
}

/// A GRU over whole sequences in PyTorch's gate order and formulas.
///
/// `inputs [n, len, 3·hidden]` are the input products with their bias; `hidden_weights
/// [hidden, 3·hidden]`, `hidden_bias [3·hidden]`. Each sequence has its own length; states
/// beyond it are 0. -> `[n, len, hidden]`.
pub(crate) fn gru(
    inputs: Tensor<3>,
    hidden_weights: Tensor<2>,
    hidden_bias: Tensor<1>,
    lengths: Arc<[u32]>,
    direction: Direction,
) -> Tensor<3> {
    Tensor::from_dispatch(Dispatch::looksee_gru(
        inputs.into_dispatch(),
        hidden_weights.into_dispatch(),
        hidden_bias.into_dispatch(),
        lengths,
        direction,
    ))
}

/// The values of a tensor, row-major.
pub(crate) fn values_of<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().expect("every tensor of looksee is f32")
}

#[cfg(test)]
mod tests;
