//! Every operation of [`ops`](super) as a composition of the framework's own.
//!
//! This is what runs on a device that our kernels do not know, and the oracle that the kernels are
//! tested against. It is written for plainness; signatures, shapes and layout (NHWC, taps in the
//! order row, column, channel) are those of [`ops`](super), and the framework differentiates it.

use std::sync::Arc;

use burn::tensor::module::{conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Bool, Device, Tensor, TensorData, activation};
use looksee_kernels::layers::gru::Direction;
use looksee_kernels::layers::norm::{Activation, Moments};

use super::{Geometry, GruParameters, NormMode, values_of};

/// NHWC -> NCHW, which the framework's pictures are.
fn channels_first(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

/// NCHW -> NHWC.
fn channels_last(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}

pub(super) fn conv(x: Tensor<4>, weights: Tensor<2>, geometry: Geometry) -> Tensor<4> {
    let Geometry { kernel, stride, padding } = geometry;
    let ([.., inputs], [_, outputs]) = (x.dims(), weights.dims());
    let weights = weights.reshape([kernel, kernel, inputs, outputs]).permute([3, 2, 0, 1]);
    let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1);
    channels_last(conv2d(channels_first(x), weights, None, options))
}

/// `x` has its zeros already.
pub(super) fn depthwise(x: Tensor<4>, weights: Tensor<2>, geometry: Geometry) -> Tensor<4> {
    let Geometry { kernel, stride, padding } = geometry;
    let [_, channels] = weights.dims();
    let weights = weights.reshape([kernel, kernel, 1, channels]).permute([3, 2, 0, 1]);
    let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], channels);
    channels_last(conv2d(channels_first(x), weights, None, options))
}

/// Mean and biased variance of each channel, `[c]` each, with gradient.
fn mean_and_variance(x: Tensor<4>) -> [Tensor<1>; 2] {
    let [n, height, width, channels] = x.dims();
    let rows = x.reshape([n * height * width, channels]);
    let mean = rows.clone().mean_dim(0); // [1, c]
    let variance = (rows - mean.clone()).powi_scalar(2).mean_dim(0); // [1, c]
    [mean, variance].map(|moment| moment.reshape([channels]))
}

pub(super) fn moments(x: Tensor<4>) -> Moments {
    let [mean, variance] = mean_and_variance(x).map(values_of);
    Moments { mean, variance }
}

/// The values are those of `moments`; the gradient is that of the moments of `x` itself.
pub(super) fn batch_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    moments: &Moments,
    mode: NormMode,
) -> Tensor<4> {
    let given = |values: &[f32]| -> Tensor<1> {
        Tensor::from_data(TensorData::new(values.to_vec(), vec![values.len()]), &x.device())
    };
    let [mean, variance] = mean_and_variance(x.clone());
    let mean = given(&moments.mean) + (mean.clone() - mean.detach());
    let variance = given(&moments.variance) + (variance.clone() - variance.detach());
    let scale = gamma / (variance + mode.epsilon).sqrt();
    let out = (x - mean.unsqueeze()) * scale.unsqueeze() + beta.unsqueeze();
    match mode.activation {
        Activation::None => out,
        Activation::Relu => activation::relu(out),
        Activation::Relu6 => out.clamp(0.0, 6.0),
    }
}

pub(super) fn add_relu(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    activation::relu(a + b)
}

pub(super) fn max_pool(x: Tensor<4>, geometry: Geometry) -> Tensor<4> {
    let Geometry { kernel, stride, padding } = geometry;
    let options =
        MaxPoolOptions::new([kernel; 2]).with_stride([stride; 2]).with_padding([padding; 2]);
    channels_last(max_pool2d(channels_first(x), options))
}

pub(super) fn global_max_pool(x: Tensor<4>) -> Tensor<2> {
    let [n, height, width, channels] = x.dims();
    x.reshape([n, height * width, channels]).max_dim(1).reshape([n, channels])
}

/// Whether a step of `[n, len, 1]` is padding.
fn padding(lengths: &[u32], len: usize, device: &Device) -> Tensor<3, Bool> {
    let steps = lengths.iter().flat_map(|&length| (0..len).map(move |at| at >= length as usize));
    let steps: Vec<bool> = steps.collect();
    Tensor::from_data(TensorData::new(steps, vec![lengths.len(), len, 1]), device)
}

pub(super) fn gru(
    x: Tensor<3>,
    parameters: GruParameters,
    lengths: &Arc<[u32]>,
    direction: Direction,
) -> Tensor<3> {
    let [n, len, inputs] = x.dims();
    let device = x.device();
    let [hidden, gates] = parameters.hidden.dims();
    let padding = padding(lengths, len, &device);
    // Nothing may come from padding, not even NaN, and neither may a gradient.
    let x = x.mask_fill(padding.clone().expand([n, len, inputs]), 0.0);
    let products =
        x.reshape([n * len, inputs]).matmul(parameters.input) + parameters.input_bias.unsqueeze();
    let products = products.reshape([n, len, gates]);
    let mut steps: Vec<usize> = (0..len).collect();
    if direction == Direction::Backward {
        steps.reverse();
    }
    let mut state = Tensor::<2>::zeros([n, hidden], &device);
    let mut states = Vec::with_capacity(len);
    for &step in &steps {
        let of_x = products.clone().narrow(1, step, 1).reshape([n, gates]);
        let of_state = state.clone().matmul(parameters.hidden.clone())
            + parameters.hidden_bias.clone().unsqueeze();
        let next = next_state(&of_x, &of_state, state);
        // Read from the end, a sequence still has its first state, zeros, when it begins.
        let over = padding.clone().narrow(1, step, 1).reshape([n, 1]).expand([n, hidden]);
        state = next.mask_fill(over, 0.0);
        states.push(state.clone().reshape([n, 1, hidden]));
    }
    if direction == Direction::Backward {
        states.reverse();
    }
    Tensor::cat(states, 1)
}

/// PyTorch's formulas: the products of input and state `[n, 3·hidden]` and the state before.
fn next_state(of_x: &Tensor<2>, of_state: &Tensor<2>, state: Tensor<2>) -> Tensor<2> {
    let [_, hidden] = state.dims();
    let gate =
        |products: &Tensor<2>, part: usize| products.clone().narrow(1, part * hidden, hidden);
    let r = activation::sigmoid(gate(of_x, 0) + gate(of_state, 0));
    let z = activation::sigmoid(gate(of_x, 1) + gate(of_state, 1));
    let n = (gate(of_x, 2) + r * gate(of_state, 2)).tanh();
    n.clone() + z * (state - n)
}

pub(super) fn max_over_steps(x: Tensor<3>, lengths: &Arc<[u32]>) -> Tensor<2> {
    let [n, len, channels] = x.dims();
    let device = x.device();
    let padding = padding(lengths, len, &device).expand([n, len, channels]);
    let largest = x.mask_fill(padding, f32::NEG_INFINITY).max_dim(1).reshape([n, channels]);
    let empty: Vec<bool> = lengths.iter().map(|&length| length == 0).collect();
    let empty: Tensor<2, Bool> = Tensor::from_data(TensorData::new(empty, vec![n, 1]), &device);
    largest.mask_fill(empty.expand([n, channels]), 0.0)
}

#[cfg(test)]
pub(super) use tests::forced;

#[cfg(test)]
mod tests;
