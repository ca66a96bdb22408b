//! Operations as compositions of the framework's own.
//!
//! This is what runs on a device that our kernels do not know, and the oracle that the kernels are
//! tested against; the layers of a convolutional network have no other form. It is written for
//! plainness: shapes and layout (NHWC, taps in the order row, column, channel) are those of
//! [`ops`](super), and the framework differentiates it.

use std::sync::Arc;

use burn::tensor::module::{conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Bool, Device, IndexingUpdateOp, Int, Tensor, TensorData, activation};
use looksee_kernels::layers::gru::Direction;
use looksee_kernels::layers::norm::{Activation, Moments};
use looksee_kernels::network::Layer;

use super::{GruParameters, values_of};
use crate::tokens::Grams;

/// NHWC -> NCHW, which the framework's pictures are.
fn channels_first(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

/// NCHW -> NHWC.
fn channels_last(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}

/// The convolution of a layer, without bias: `x [n, h, w, inputs]`, `weights [taps, outputs]` ->
/// `[n, oh, ow, outputs]`.
pub(crate) fn convolution(x: Tensor<4>, weights: Tensor<2>, layer: &Layer) -> Tensor<4> {
    let &Layer { inputs, outputs, kernel, stride, depthwise, .. } = layer;
    let (inputs, groups) = if depthwise { (1, outputs) } else { (inputs, 1) };
    let weights = weights.reshape([kernel, kernel, inputs, outputs]).permute([3, 2, 0, 1]);
    let [_, height, width, _] = x.dims();
    let x = padded(x, [layer.zeros(height), layer.zeros(width)]);
    let options = ConvOptions::new([stride; 2], [0; 2], [1; 2], groups);
    channels_last(conv2d(channels_first(x), weights, None, options))
}

/// Zeros before and after the rows and the columns: `[n, h, w, c]` -> `[n, h + .., w + .., c]`.
fn padded(x: Tensor<4>, zeros: [(usize, usize); 2]) -> Tensor<4> {
    if zeros == [(0, 0); 2] {
        return x;
    }
    let [(top, bottom), (left, right)] = zeros;
    let [n, height, width, channels] = x.dims();
    let padded = [n, top + height + bottom, left + width + right, channels];
    Tensor::zeros(padded, &x.device())
        .slice_assign([0..n, top..top + height, left..left + width, 0..channels], x)
}

/// Mean and biased variance of each channel, `[c]` each, with gradient.
fn mean_and_variance(x: Tensor<4>) -> [Tensor<1>; 2] {
    let [n, height, width, channels] = x.dims();
    let rows = x.reshape([n * height * width, channels]);
    let mean = rows.clone().mean_dim(0); // [1, c]
    let variance = (rows - mean.clone()).powi_scalar(2).mean_dim(0); // [1, c]
    [mean, variance].map(|moment| moment.reshape([channels]))
}

/// Mean and biased variance of each channel over all rows of `x [n, h, w, c]`; no gradient.
pub(crate) fn moments(x: &Tensor<4>) -> Moments {
    let [mean, variance] = mean_and_variance(x.clone().without_autodiff()).map(values_of);
    Moments { mean, variance }
}

/// Normalise, scale, shift, by the moments that are given, which have no gradient, or by those of
/// `x` itself, which have.
pub(crate) fn batch_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    given: Option<&Moments>,
    epsilon: f32,
) -> Tensor<4> {
    let constant = |values: &[f32]| -> Tensor<1> {
        Tensor::from_data(TensorData::new(values.to_vec(), vec![values.len()]), &x.device())
    };
    let [mean, variance] = match given {
        Some(Moments { mean, variance }) => [mean, variance].map(|values| constant(values)),
        None => mean_and_variance(x.clone()),
    };
    let scale = gamma / (variance + epsilon).sqrt();
    (x - mean.unsqueeze()) * scale.unsqueeze() + beta.unsqueeze()
}

/// What follows a batch norm or a sum.
pub(crate) fn activated(x: Tensor<4>, activation: Activation) -> Tensor<4> {
    match activation {
        Activation::None => x,
        Activation::Relu => activation::relu(x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
    }
}

/// Max pool over windows: `[n, h, w, c]` -> `[n, oh, ow, c]`.
pub(crate) fn max_pool(x: Tensor<4>, kernel: usize, stride: usize, padding: usize) -> Tensor<4> {
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

pub(super) fn means_of_rows(table: Tensor<2>, grams: &Grams) -> Tensor<2> {
    let [_, width] = table.dims();
    let device = table.device();
    let numbers = |numbers: Vec<i32>| -> Tensor<1, Int> {
        let count = numbers.len();
        Tensor::from_data(TensorData::new(numbers, vec![count]), &device)
    };
    // Each token's n-grams one after the other, then all that a token has added up.
    let (mut rows, mut tokens, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for (token, &list) in grams.lists.iter().enumerate() {
        let span = grams.starts[list as usize] as usize..grams.starts[list as usize + 1] as usize;
        for &row in &grams.buckets[span.clone()] {
            rows.push(row as i32);
            tokens.push(token as i32);
            shares.push(1.0 / span.len() as f32);
        }
    }
    let means = Tensor::zeros([grams.lists.len(), width], &device);
    if rows.is_empty() {
        return means;
    }
    let count = shares.len();
    let shares: Tensor<2> = Tensor::from_data(TensorData::new(shares, vec![count, 1]), &device);
    let terms = table.select(0, numbers(rows)) * shares; // [n-grams, width]
    means.select_assign(0, numbers(tokens), terms, IndexingUpdateOp::Add)
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
