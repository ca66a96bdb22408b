//! The convolution of a layer, with any zeros around the picture, against the framework's own with
//! even ones, forward and backward.

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};
use looksee_kernels::layers::norm::Activation;
use looksee_kernels::network::{Layer, Padding};

use super::composed::convolution;
use super::*;
use crate::units::Seed;

fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut chance = Seed(seed).stream("values", 0);
    let values = (0..shape.iter().product()).map(|_| 2.0 * chance.f32() - 1.0).collect();
    let data = TensorData::new::<f32, _>(values, shape);
    let tensor: Tensor<D> = Tensor::from_data(data, &Device::flex().autodiff());
    tensor.require_grad()
}

/// What a convolution gave, and the gradients of input and weights.
type Found = [Vec<f32>; 3];

/// Runs `forward` and asks for the gradient of the sum of its values times random ones.
fn run(
    x: &Tensor<4>,
    weights: &Tensor<2>,
    forward: impl Fn(Tensor<4>, Tensor<2>) -> Tensor<4>,
) -> Found {
    let y = forward(x.clone(), weights.clone());
    let mut gradients = (y.clone() * random(y.dims(), 3)).sum().backward();
    let of_x = x.grad_remove(&mut gradients).unwrap();
    let of_weights = weights.grad_remove(&mut gradients).unwrap();
    [values_of(y), values_of(of_x), values_of(of_weights)]
}

/// The framework's convolution of a picture that already has its zeros, in our layouts.
fn frameworks(x: Tensor<4>, weights: Tensor<2>, layer: &Layer) -> Tensor<4> {
    let [_, height, width, inputs] = x.dims();
    let zeros = [layer.zeros(height), layer.zeros(width)];
    let &Layer { kernel, stride, depthwise, .. } = layer;
    let groups = if depthwise { inputs } else { 1 };
    let [_, outputs] = weights.dims();
    // [k·k·ci, co] -> [co, ci, k, k]
    let weights = weights.reshape([kernel, kernel, inputs / groups, outputs]).permute([3, 2, 0, 1]);
    let most = zeros.iter().map(|&(before, after)| before.max(after)).max().unwrap();
    // More zeros than needed at the front, whose outputs are then left out.
    let x = x.permute([0, 3, 1, 2]);
    let x = Tensor::cat(vec![zero_columns(&x, zeros[1].0), x.clone(), zero_columns(&x, most)], 3);
    let x = x.permute([0, 1, 3, 2]);
    let x = Tensor::cat(vec![zero_columns(&x, zeros[0].0), x.clone(), zero_columns(&x, most)], 3);
    let x = x.permute([0, 1, 3, 2]);
    let options = ConvOptions::new([stride; 2], [0; 2], [1; 2], groups);
    let y = conv2d(x, weights, None, options).permute([0, 2, 3, 1]);
    let out = |size: usize, (before, after): (usize, usize)| {
        (size + before + after - kernel) / stride + 1
    };
    let [n, _, _, outputs] = y.dims();
    y.slice([0..n, 0..out(height, zeros[0]), 0..out(width, zeros[1]), 0..outputs])
}

fn zero_columns(x: &Tensor<4>, count: usize) -> Tensor<4> {
    let [n, channels, height, _] = x.dims();
    Tensor::zeros([n, channels, height, count], &x.device())
}

fn assert_close(ours: &Found, frameworks: &Found, at: &str) {
    for (ours, frameworks) in ours.iter().zip(frameworks) {
        assert_eq!(ours.len(), frameworks.len(), "{at}");
        for (ours, frameworks) in ours.iter().zip(frameworks) {
            // Sums of at most some hundred products of numbers below 1.
            assert!((ours - frameworks).abs() < 1e-4, "{at}: {ours}, not {frameworks}");
        }
    }
}

/// Layers from `inputs` channels with every window and padding that a network here has.
fn layers(inputs: usize, depthwise: bool) -> impl Iterator<Item = Layer> {
    let outputs = if depthwise { inputs } else { 5 };
    let paddings = [Padding::Same, Padding::Even(0), Padding::Even(1)];
    let sizes = [(3, 1), (3, 2), (5, 1), (5, 2)];
    let (activation, epsilon) = (Activation::None, 1e-3);
    sizes.into_iter().flat_map(move |(kernel, stride)| {
        paddings.into_iter().map(move |padding| Layer {
            inputs,
            outputs,
            kernel,
            stride,
            padding,
            depthwise,
            activation,
            epsilon,
        })
    })
}

fn check(size: [usize; 4], depthwise: bool) {
    for layer in layers(size[3], depthwise) {
        let (x, weights) = (random(size, 1), random([layer.taps(), layer.outputs], 2));
        let ours = run(&x, &weights, |x, weights| convolution(x, weights, &layer));
        let theirs = run(&x, &weights, |x, weights| frameworks(x, weights, &layer));
        assert_close(&ours, &theirs, &format!("{layer:?} on {size:?}"));
    }
}

#[test]
fn convolutions_with_any_padding_are_the_frameworks() {
    check([2, 8, 7, 3], false);
    check([2, 9, 12, 3], false);
}

#[test]
fn depthwise_convolutions_are_the_frameworks() {
    check([2, 8, 7, 5], true);
    check([2, 9, 12, 20], true);
}
