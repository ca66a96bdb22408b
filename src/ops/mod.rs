//! The operations that the encoder's towers are made of.
//!
//! The towers call these functions with the framework's own tensors. On the CPU a kernel of ours
//! answers; on any other device a composition of the framework's stock operations does
//! ([`composed`], which is the kernels' oracle in tests as well). Which of the two is decided in
//! [`has_kernels`] and nowhere else. A kernel takes as much as it can at once: a convolutional
//! network is one operation ([`network`]), and its layers one by one are compositions everywhere.
//! Activations are NHWC, contiguous `f32`. Gradients flow through every function.
//!
//! # Adding a GPU
//!
//! 1. Turn on the framework's feature for it in `Cargo.toml`, behind a feature of ours.
//! 2. Let the encoder's `Pass` take its device instead of `Device::flex()`.
//!
//! That is all for right results: every operation has its composition. A kernel of that backend's
//! own would be an implementation of `Fused` and `FusedGradients` in `binding`, its name beside
//! `Flex` in the attribute there, and its device in [`has_kernels`]. The compositions read nothing
//! back but the moments of a batch norm, which a kernel might keep on the device.

mod binding;
pub(crate) mod composed;

use std::sync::Arc;

use burn::backend::Dispatch;
use burn::tensor::{Device, Tensor};

use binding::Fused;
pub(crate) use binding::NetworkCall;
pub(crate) use looksee_kernels::layers::gru::Direction;

use crate::tokens::Grams;

/// Whether our kernels answer for tensors on this device.
pub(crate) fn has_kernels(device: &Device) -> bool {
    #[cfg(test)]
    if composed::forced() {
        return false;
    }
    *device == Device::flex()
}

/// The largest value of each channel over all positions: `[n, h, w, c]` -> `[n, c]`.
pub(crate) fn global_max_pool(x: Tensor<4>) -> Tensor<2> {
    if !has_kernels(&x.device()) {
        return composed::global_max_pool(x);
    }
    let [n, height, width, channels] = x.dims();
    let pooled: Tensor<2> =
        Tensor::from_dispatch(Dispatch::looksee_global_max_pool(x.into_dispatch()));
    debug_assert!(height * width > 0);
    pooled.reshape([n, channels])
}

/// The parameters of a GRU; each row holds the parts of the gates r, z and n, as in PyTorch.
#[derive(Clone, Debug)]
pub(crate) struct GruParameters {
    /// `[inputs, 3·hidden]`.
    pub input: Tensor<2>,
    /// `[3·hidden]`.
    pub input_bias: Tensor<1>,
    /// `[hidden, 3·hidden]`.
    pub hidden: Tensor<2>,
    /// `[3·hidden]`.
    pub hidden_bias: Tensor<1>,
}

/// A GRU over whole sequences in PyTorch's gate order and formulas: `x [n, len, inputs]` ->
/// `[n, len, hidden]`. Each sequence has its own length; states beyond it are 0.
pub(crate) fn gru(
    x: Tensor<3>,
    parameters: GruParameters,
    lengths: Arc<[u32]>,
    direction: Direction,
) -> Tensor<3> {
    if !has_kernels(&x.device()) {
        return composed::gru(x, parameters, &lengths, direction);
    }
    Tensor::from_dispatch(Dispatch::looksee_gru(
        x.into_dispatch(),
        parameters.input.into_dispatch(),
        parameters.input_bias.into_dispatch(),
        parameters.hidden.into_dispatch(),
        parameters.hidden_bias.into_dispatch(),
        lengths,
        direction,
    ))
}

/// The mean of the rows of `table [buckets, width]` that each token's n-grams have: -> `[tokens,
/// width]`, zeros for a token without n-grams.
pub(crate) fn means_of_rows(table: Tensor<2>, grams: Arc<Grams>) -> Tensor<2> {
    if !has_kernels(&table.device()) {
        return composed::means_of_rows(table, &grams);
    }
    Tensor::from_dispatch(Dispatch::looksee_means_of_rows(table.into_dispatch(), grams))
}

/// The features `[n, h, w, c]` of a whole network at once. Moments and, after the backward pass,
/// the gradients of its layers are left with the call.
pub(crate) fn network(device: &Device, call: &Arc<NetworkCall>) -> Tensor<4> {
    let trigger: Tensor<1> = Tensor::zeros([1], device).require_grad();
    Tensor::from_dispatch(Dispatch::looksee_network(trigger.into_dispatch(), Arc::clone(call)))
}

/// The largest value of each channel over the valid steps of each sequence: `x [n, len, c]` ->
/// `[n, c]`; 0 for a sequence without steps.
pub(crate) fn max_over_steps(x: Tensor<3>, lengths: Arc<[u32]>) -> Tensor<2> {
    if !has_kernels(&x.device()) {
        return composed::max_over_steps(x, &lengths);
    }
    Tensor::from_dispatch(Dispatch::looksee_max_over_steps(x.into_dispatch(), lengths))
}

/// Runs `run` with or without Winograd's convolutions. The switch is one for the whole process, so
/// tests that set it take turns.
#[cfg(test)]
pub(crate) fn with_winograd<R>(on: bool, run: impl FnOnce() -> R) -> R {
    use std::sync::{Mutex, PoisonError};
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    looksee_kernels::layers::conv::use_winograd(on);
    let result = run();
    looksee_kernels::layers::conv::use_winograd(true);
    result
}

/// The values of a tensor, row-major.
pub(crate) fn values_of<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().expect("every tensor of looksee is f32")
}

#[cfg(test)]
mod tests;
