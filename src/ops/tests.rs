//! Our operations against the framework's own, forward and backward.

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};

use super::*;
use crate::units::Seed;

fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    constant(shape, seed).require_grad()
}

fn constant<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut chance = Seed(seed).stream("values", 0);
    let values = (0..shape.iter().product()).map(|_| 2.0 * chance.f32() - 1.0).collect();
    let data = TensorData::new::<f32, _>(values, shape);
    Tensor::from_data(data, &Device::flex().autodiff())
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
fn frameworks(x: Tensor<4>, weights: Tensor<2>, window: Window, groups: usize) -> Tensor<4> {
    let [_, height, width, inputs] = x.dims();
    let zeros = [window.zeros(height), window.zeros(width)];
    let Window { kernel, stride, .. } = window;
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

fn windows() -> impl Iterator<Item = Window> {
    let paddings = [Padding::Same, Padding::Even(0), Padding::Even(1)];
    let sizes = [(3, 1), (3, 2), (5, 1), (5, 2)];
    sizes.into_iter().flat_map(move |(kernel, stride)| {
        paddings.into_iter().map(move |padding| Window { kernel, stride, padding })
    })
}

#[test]
fn convolutions_with_any_padding_are_the_frameworks() {
    for window in windows() {
        for (height, width) in [(8, 7), (9, 12)] {
            let x = random([2, height, width, 3], 1);
            let weights = random([window.kernel * window.kernel * 3, 5], 2);
            let ours = run(&x, &weights, |x, weights| conv(x, weights, window));
            let theirs = run(&x, &weights, |x, weights| frameworks(x, weights, window, 1));
            assert_close(&ours, &theirs, &format!("{window:?} on {height} x {width}"));
        }
    }
}

#[test]
fn depthwise_convolutions_are_the_frameworks() {
    for window in windows() {
        for (height, width, channels) in [(8, 7, 5), (9, 12, 20)] {
            let x = random([2, height, width, channels], 1);
            let weights = random([window.kernel * window.kernel, channels], 2);
            let ours = run(&x, &weights, |x, weights| depthwise(x, weights, window));
            let theirs = run(&x, &weights, |x, weights| frameworks(x, weights, window, channels));
            assert_close(&ours, &theirs, &format!("{window:?} on {height} x {width}"));
        }
    }
}

#[test]
fn only_what_the_result_needs_is_asked_for_a_gradient() {
    // Pixels are constants: the weights' gradient alone must come out.
    let window = Window { kernel: 3, stride: 2, padding: Padding::Same };
    let x: Tensor<4> = constant([1, 8, 8, 3], 1);
    let weights = random([27, 4], 2);
    let y = conv(x.clone(), weights.clone(), window);
    assert_eq!(y.dims(), [1, 4, 4, 4]);
    let mut gradients = y.sum().backward();
    assert!(weights.grad_remove(&mut gradients).is_some());
    assert!(x.grad_remove(&mut gradients).is_none());
}
