//! How fast the kernels are on this machine that `cargo xtask bench` does not take apart: the
//! depthwise convolutions of EfficientNet-Lite2, the passes of a two-way recurrent layer, the
//! optimiser, and exact search. The full convolutions are `cargo xtask bench conv`.
//!
//! ```text
//! cargo run --release -p looksee-kernels --example speed [threads]
//! ```
//!
//! Each figure is the best of several runs, so that a busy machine disturbs it least.

use looksee_kernels::cpu::simd::simd_level;
use looksee_kernels::layers::adam::Adam;
use looksee_kernels::layers::conv::{self, ConvShape};
use looksee_kernels::layers::depthwise::{self, DepthwiseShape, Epilogue, same_padding};
use looksee_kernels::layers::gru::{self, Direction, GruShape, GruWeights};
use looksee_kernels::layers::norm::Activation;
use looksee_kernels::search::scan;
use std::time::Instant;

fn main() {
    let threads = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(2);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let Ok(pool) = pool else { return };
    println!("{threads} threads, {}", simd_level().name());
    pool.install(|| {
        product();
        depthwise_layers(16, 128);
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
    let shape = ConvShape::product(size, size, size);
    let seconds = best(|| conv::forward(&shape, &a, &b, &mut out));
    println!("product {size}: {:.0} GFLOP/s", 2.0 * (size as f64).powi(3) / seconds / 1e9);
}

/// The depthwise layers of EfficientNet-Lite2: channels, side at 128 pixels, kernel, stride, and
/// how many there are.
const DEPTHWISE: [[usize; 5]; 12] = [
    [32, 64, 3, 1, 1],
    [96, 64, 3, 2, 1],
    [144, 32, 3, 1, 2],
    [144, 32, 5, 2, 1],
    [288, 16, 5, 1, 2],
    [288, 16, 3, 2, 1],
    [528, 8, 3, 1, 3],
    [528, 8, 5, 1, 1],
    [720, 8, 5, 1, 3],
    [720, 8, 5, 2, 1],
    [1248, 4, 5, 1, 4],
    [1248, 4, 3, 1, 1],
];

/// All depthwise layers for square pictures.
fn depthwise_layers(n: usize, side_px: usize) {
    let (mut operations, mut bytes, mut seconds) = (0.0, 0.0, [0.0; 3]);
    for [channels, side, kernel, stride, times] in DEPTHWISE {
        let (side, times) = (side * side_px / 128, times as f64);
        let (before, after) = same_padding(side, kernel, stride);
        let (before, after) = ([before; 2], [after; 2]);
        let (height, width) = (side, side);
        let shape = DepthwiseShape { n, height, width, channels, kernel, stride, before, after };
        operations += times * 2.0 * (shape.outputs() * kernel * kernel) as f64;
        bytes += times * 4.0 * (shape.inputs() + shape.outputs() + shape.weights()) as f64;
        for (total, layer) in seconds.iter_mut().zip(depthwise_layer(&shape)) {
            *total += times * layer;
        }
    }
    let [forward, input, weights] = seconds.map(|seconds| {
        let (operations, bytes) = (operations / seconds / 1e9, bytes / seconds / 1e9);
        format!("{:.1} ms {operations:.0} GFLOP/s {bytes:.0} GB/s", seconds * 1e3)
    });
    println!(
        "EfficientNet-Lite2 {n} x {side_px}, depthwise: forward {forward}; input {input}; weights \
         {weights}"
    );
}

/// Seconds of the forward pass and of both gradients.
fn depthwise_layer(shape: &DepthwiseShape) -> [f64; 3] {
    let (x, weights) = (values(shape.inputs()), values(shape.weights()));
    let bias = values(shape.channels);
    let epilogue = Epilogue { bias: Some(&bias), activation: Activation::Relu6 };
    let mut y = vec![0.0; shape.outputs()];
    let (mut dx, mut dw) = (x.clone(), weights.clone());
    [
        best(|| depthwise::forward(shape, &x, &weights, epilogue, &mut y)),
        best(|| depthwise::backward_input(shape, &y, &weights, &mut dx)),
        best(|| depthwise::backward_weights(shape, &x, &y, &mut dw)),
    ]
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
