//! How fast the kernels are on this machine: the convolutions and norms of a training step of
//! ResNet50, a two-way recurrent layer, and exact search.
//!
//! ```text
//! cargo run --release -p looksee-kernels --example speed [threads]
//! ```
//!
//! Each figure is the best of several runs, so that a busy machine disturbs it least.

use looksee_kernels::adam::Adam;
use looksee_kernels::conv::{self, ConvShape};
use looksee_kernels::gru::{self, Direction, GruShape, GruWeights};
use looksee_kernels::matmul::matmul;
use looksee_kernels::norm::{self, Activation};
use looksee_kernels::pool::{self, PoolShape};
use looksee_kernels::scan;
use looksee_kernels::simd::simd_level;
use std::time::Instant;

fn main() {
    let threads = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(2);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let Ok(pool) = pool else { return };
    println!("{threads} threads, {}", simd_level().name());
    pool.install(|| {
        product();
        for (n, side) in [(32, 64), (16, 128), (8, 224), (1, 224)] {
            residual_network(n, side);
        }
        optimiser();
        recurrent(32, 70, 50, 256);
        search(70_000, 50);
        search(250_000, 256);
    });
}

/// Seconds of the fastest of several runs.
fn best(mut run: impl FnMut()) -> f64 {
    (0..7)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

/// Values in -1..1 that are no pattern.
fn values(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn product() {
    let size = 2048;
    let (a, b, mut out) = (values(size * size), values(size * size), vec![0.0; size * size]);
    let seconds = best(|| matmul(size, size, size, &a, &b, &mut out));
    println!("product {size}: {:.0} GFLOP/s", 2.0 * (size as f64).powi(3) / seconds / 1e9);
}

/// The convolutions of ResNet50 for square pictures.
fn layers(n: usize, side: usize) -> Vec<ConvShape> {
    let layer = |side, inputs, outputs, kernel, stride| ConvShape {
        n,
        height: side,
        width: side,
        inputs,
        outputs,
        kernel,
        stride,
        padding: kernel / 2,
    };
    let mut layers = vec![layer(side, 3, 64, 7, 2)];
    let (mut side, mut inputs) = (side.div_ceil(4), 64);
    for (middle, blocks, stride) in [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)] {
        for block in 0..blocks {
            let stride = if block == 0 { stride } else { 1 };
            layers.push(layer(side, inputs, middle, 1, 1));
            layers.push(layer(side, middle, middle, 3, stride));
            let after = side.div_ceil(stride);
            layers.push(layer(after, middle, 4 * middle, 1, 1));
            if block == 0 {
                layers.push(layer(side, inputs, 4 * middle, 1, stride));
            }
            (side, inputs) = (after, 4 * middle);
        }
    }
    layers
}

#[derive(Default)]
struct Seconds {
    forward: f64,
    input: f64,
    weights: f64,
    moments: f64,
    normalise: f64,
    norm_backward: f64,
}

fn residual_network(n: usize, side: usize) {
    let mut total = Seconds::default();
    let mut known: Vec<(ConvShape, f64)> = Vec::new();
    for shape in layers(n, side) {
        match known.iter_mut().find(|(other, _)| *other == shape) {
            Some((_, times)) => *times += 1.0,
            None => known.push((shape, 1.0)),
        }
    }
    let mut operations = 0.0;
    for (shape, times) in known {
        operations += times * 2.0 * (shape.rows() * shape.taps() * shape.outputs) as f64;
        add_layer(&shape, times, &mut total);
    }
    let rate = |seconds: f64| operations / seconds / 1e9;
    println!(
        "ResNet50 {n} x {side}: convolution forward {:.0} ms {:.0} GFLOP/s, input {:.0} ms {:.0}, \
         weights {:.0} ms {:.0}; moments {:.0} ms, normalise {:.0} ms, backward {:.0} ms; pool {:.1} ms",
        total.forward * 1e3,
        rate(total.forward),
        total.input * 1e3,
        rate(total.input),
        total.weights * 1e3,
        rate(total.weights),
        total.moments * 1e3,
        total.normalise * 1e3,
        total.norm_backward * 1e3,
        max_pool(n, side / 2) * 1e3,
    );
}

fn add_layer(shape: &ConvShape, times: f64, total: &mut Seconds) {
    let x = values(shape.n * shape.height * shape.width * shape.inputs);
    let weights = values(shape.taps() * shape.outputs);
    let mut y = vec![0.0; shape.rows() * shape.outputs];
    let (mut dx, mut dw) = (x.clone(), weights.clone());
    total.forward += times * best(|| conv::forward(shape, &x, &weights, &mut y));
    total.input += times * best(|| conv::backward_input(shape, &y, &weights, &mut dx));
    total.weights += times * best(|| conv::backward_weights(shape, &x, &y, &mut dw));

    let channels = shape.outputs;
    let (gamma, beta) = (vec![1.0; channels], vec![0.0; channels]);
    let (mut out, mut dy) = (y.clone(), y.clone());
    let moments = norm::moments(&y, channels);
    total.moments += times * best(|| drop(norm::moments(&y, channels)));
    let act = Activation::Relu;
    total.normalise += times
        * best(|| norm::normalise(&y, channels, &moments, 1e-5, &gamma, &beta, act, &mut out));
    total.norm_backward += times
        * best(|| {
            norm::normalise_backward(
                &y, channels, &moments, 1e-5, &gamma, &beta, act, &out, &mut dy,
            );
        });
}

fn max_pool(n: usize, side: usize) -> f64 {
    let shape =
        PoolShape { n, height: side, width: side, channels: 64, kernel: 3, stride: 2, padding: 1 };
    let x = values(n * side * side * 64);
    let mut y = vec![0.0; n * shape.out_height() * shape.out_width() * 64];
    let mut dx = x.clone();
    best(|| {
        pool::max_forward(&shape, &x, &mut y);
        pool::max_backward(&shape, &x, &y, &mut dx);
    })
}

fn optimiser() {
    let count = 25_000_000;
    let (mut parameters, gradients) = (values(count), values(count));
    let (mut first, mut second) = (vec![0.0; count], vec![0.0; count]);
    let adam =
        Adam { learning_rate: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 };
    let seconds = best(|| adam.step(1, &mut parameters, &gradients, &mut first, &mut second));
    println!("Adam, 25 million parameters: {:.1} ms", seconds * 1e3);
}

/// A layer in both directions, as a training step needs it.
fn recurrent(n: usize, len: usize, inputs: usize, hidden: usize) {
    let x = values(n * len * inputs);
    let small = |count| -> Vec<f32> { values(count).iter().map(|w| 0.1 * w).collect() };
    let (w_i, w_h) = (small(inputs * 3 * hidden), small(hidden * 3 * hidden));
    let bias = vec![0.0; 3 * hidden];
    let weights = GruWeights { input: &w_i, input_bias: &bias, hidden: &w_h, hidden_bias: &bias };
    let lengths = vec![len as u32; n];
    let mut out = vec![0.0; n * len * hidden];
    let [mut alone, mut ahead, mut back] = [f64::INFINITY; 3];
    for _ in 0..7 {
        let [mut inference, mut forward, mut backward] = [0.0; 3];
        for direction in [Direction::Forward, Direction::Backward] {
            let shape = GruShape { n, len, inputs, hidden, direction };
            let start = Instant::now();
            gru::forward(&shape, &lengths, &x, &weights, &mut out);
            inference += start.elapsed().as_secs_f64();
            let start = Instant::now();
            let kept = gru::forward_keeping(&shape, &lengths, &x, &weights, &mut out);
            forward += start.elapsed().as_secs_f64();
            let start = Instant::now();
            drop(gru::backward(&shape, &weights, kept, &out));
            backward += start.elapsed().as_secs_f64();
        }
        (alone, ahead, back) = (alone.min(inference), ahead.min(forward), back.min(backward));
    }
    println!(
        "two-way GRU {n} x {len} x {inputs} -> {hidden}: inference {:.1} ms, forward {:.1} ms, \
         backward {:.1} ms",
        alone * 1e3,
        ahead * 1e3,
        back * 1e3
    );
}

fn search(rows: usize, dim: usize) {
    let vectors = values(rows * dim);
    let queries = values(32 * dim);
    let one = best(|| drop(scan::top_k(&vectors, dim, None, &queries[..dim], 9)));
    let many = best(|| drop(scan::top_k(&vectors, dim, None, &queries, 9)));
    println!(
        "search {rows} x {dim}: one query {:.2} ms, 32 queries {:.2} ms",
        one * 1e3,
        many * 1e3
    );
}
