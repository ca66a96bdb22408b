//! The convolutions of ResNet50, layer by layer: forward and both gradients.

use std::time::Instant;

use looksee_kernels::layers::conv::{self, ConvShape};
use looksee_kernels::network::Convolution;

use super::made;
use crate::encoder::{Convention, ConvolutionalNetwork};

/// What is measured of each layer.
pub const PASSES: [&str; 3] = ["forward", "input-gradient", "weights-gradient"];

/// Values of each result that are computed again.
const SAMPLED: usize = 24;

/// One shape of convolution.
#[derive(Clone, Debug)]
pub struct Layer {
    /// `64x64x3 to 64, 7x7 stride 2`.
    pub name: String,
    /// How often the network has it.
    pub times: usize,
    /// Multiplications and additions of one pass, in units of 10^9.
    pub gflop: f64,
    /// Seconds of every run of each of [`PASSES`]; empty where the network has no use for it.
    pub seconds: [Vec<f64>; 3],
    /// The largest difference from sums in f64, as a share of the sum of the terms' sizes.
    pub worst: f64,
}

/// Measures every shape that ResNet50 has for `n` square pictures: `warm` runs that are not
/// counted and `runs` that are.
pub fn convolutions(n: usize, side: usize, warm: usize, runs: usize) -> Vec<Layer> {
    let mut shapes: Vec<(ConvShape, usize)> = Vec::new();
    let all = ConvolutionalNetwork::ResNet50.layers(Convention::Original).convolutions(n, side);
    let full = all.into_iter().filter_map(|convolution| match convolution {
        Convolution::Full(shape) => Some(shape),
        Convolution::Depthwise(_) => None,
    });
    for shape in full {
        match shapes.iter_mut().find(|(other, _)| *other == shape) {
            Some((_, times)) => *times += 1,
            None => shapes.push((shape, 1)),
        }
    }
    let measure = |(shape, times)| Buffers::new(shape).measured(times, warm, runs);
    shapes.into_iter().map(measure).collect()
}

/// The inputs and the results of all three passes.
struct Buffers {
    shape: ConvShape,
    x: Vec<f32>,
    weights: Vec<f32>,
    dy: Vec<f32>,
    y: Vec<f32>,
    dx: Vec<f32>,
    dw: Vec<f32>,
}

impl Buffers {
    fn new(shape: ConvShape) -> Self {
        let inputs = shape.n * shape.height * shape.width * shape.inputs;
        let (taps, outputs) = (shape.taps() * shape.outputs, shape.rows() * shape.outputs);
        Self {
            shape,
            x: made::made("conv.x", inputs, 1.0, 0.0),
            weights: made::made("conv.weights", taps, 1.0, 0.0),
            dy: made::made("conv.dy", outputs, 1.0, 0.0),
            y: vec![0.0; outputs],
            dx: vec![0.0; inputs],
            dw: vec![0.0; taps],
        }
    }

    fn measured(mut self, times: usize, warm: usize, runs: usize) -> Layer {
        let ConvShape { height, width, inputs, outputs, kernel, stride, .. } = self.shape;
        let seconds = [0, 1, 2].map(|pass| {
            // Nobody asks for the gradient of the pictures.
            if pass == 1 && inputs == 3 {
                return Vec::new();
            }
            (0..warm).for_each(|_| self.run(pass));
            (0..runs).map(|_| self.timed(pass)).collect()
        });
        let has_input_gradient = !seconds[1].is_empty();
        Layer {
            name: format!(
                "{height}x{width}x{inputs} to {outputs}, {kernel}x{kernel} stride {stride}"
            ),
            times,
            gflop: 2e-9 * Convolution::Full(self.shape).multiplications() as f64,
            seconds,
            worst: self.worst(has_input_gradient),
        }
    }

    fn timed(&mut self, pass: usize) -> f64 {
        let start = Instant::now();
        self.run(pass);
        start.elapsed().as_secs_f64()
    }

    fn run(&mut self, pass: usize) {
        let Self { shape, x, weights, dy, y, dx, dw } = self;
        match pass {
            0 => conv::forward(shape, x, weights, y),
            1 => conv::backward_input(shape, dy, weights, dx),
            _ => conv::backward_weights(shape, x, dy, dw),
        }
    }

    /// The largest error of some values of each result.
    fn worst(&self, has_input_gradient: bool) -> f64 {
        let outputs = self.shape.outputs;
        let sampled = |values: &[f32], name: &str, exact: &dyn Fn(usize) -> (f64, f64)| {
            let mut worst = 0.0_f64;
            for number in 0..SAMPLED {
                let at = (made::uniform(name, number) * values.len() as f64) as usize;
                let (sum, size) = exact(at);
                let error = (f64::from(values[at]) - sum).abs() / size.max(f64::MIN_POSITIVE);
                // A value that is not a number is as wrong as can be.
                worst = worst.max(if error.is_finite() { error } else { f64::INFINITY });
            }
            worst
        };
        let y = sampled(&self.y, "conv.at.y", &|at| self.exact_output(at / outputs, at % outputs));
        let dw = sampled(&self.dw, "conv.at.dw", &|at| self.exact_weight(at));
        let dx = if has_input_gradient {
            sampled(&self.dx, "conv.at.dx", &|at| self.exact_input(at))
        } else {
            0.0
        };
        y.max(dw).max(dx)
    }

    /// Where in the input the tap of an output row lies; `None` on the padding.
    fn under(&self, row: usize, tap: usize) -> Option<usize> {
        let ConvShape { height, width, inputs, kernel, stride, padding, .. } = self.shape;
        let (out_height, out_width) = (self.shape.out_height(), self.shape.out_width());
        let (channel, place) = (tap % inputs, tap / inputs);
        let (picture, position) = (row / (out_height * out_width), row % (out_height * out_width));
        let down = (position / out_width * stride + place / kernel).checked_sub(padding)?;
        let across = (position % out_width * stride + place % kernel).checked_sub(padding)?;
        let inside = down < height && across < width;
        inside.then(|| ((picture * height + down) * width + across) * inputs + channel)
    }

    fn exact_output(&self, row: usize, output: usize) -> (f64, f64) {
        sum((0..self.shape.taps()).filter_map(|tap| {
            Some((self.x[self.under(row, tap)?], self.weights[tap * self.shape.outputs + output]))
        }))
    }

    fn exact_weight(&self, at: usize) -> (f64, f64) {
        let (tap, output) = (at / self.shape.outputs, at % self.shape.outputs);
        sum((0..self.shape.rows()).filter_map(|row| {
            Some((self.x[self.under(row, tap)?], self.dy[row * self.shape.outputs + output]))
        }))
    }

    /// Every output row that has this input under one of its taps.
    fn exact_input(&self, at: usize) -> (f64, f64) {
        let ConvShape { height, width, inputs, outputs, kernel, .. } = self.shape;
        let rows_a_picture = self.shape.out_height() * self.shape.out_width();
        let picture = at / (height * width * inputs);
        let rows = picture * rows_a_picture..(picture + 1) * rows_a_picture;
        let taps = (0..kernel * kernel).map(|place| place * inputs + at % inputs);
        let pairs = taps.flat_map(|tap| rows.clone().map(move |row| (row, tap)));
        let touching = pairs.filter(|&(row, tap)| self.under(row, tap) == Some(at));
        sum(touching.flat_map(|(row, tap)| {
            let terms = 0..outputs;
            terms.map(move |o| (self.dy[row * outputs + o], self.weights[tap * outputs + o]))
        }))
    }
}

/// The sum of products, and of their sizes.
fn sum(terms: impl Iterator<Item = (f32, f32)>) -> (f64, f64) {
    terms.fold((0.0, 0.0), |(sum, size), (a, b)| {
        let term = f64::from(a) * f64::from(b);
        (sum + term, size + term.abs())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(kernel: usize, stride: usize) -> ConvShape {
        let padding = kernel / 2;
        ConvShape { n: 2, height: 9, width: 9, inputs: 5, outputs: 7, kernel, stride, padding }
    }

    #[test]
    fn right_answers_are_close_to_the_exact_sums_and_wrong_ones_are_not() {
        for (kernel, stride) in [(1, 1), (1, 2), (3, 1), (3, 2), (7, 2)] {
            let mut buffers = Buffers::new(shape(kernel, stride));
            (0..3).for_each(|pass| buffers.run(pass));
            assert!(buffers.worst(true) < 1e-6, "{kernel} {stride}");
            for spoilt in 0..3 {
                let Buffers { y, dx, dw, .. } = &mut buffers;
                let values = [y, dx, dw][spoilt].as_mut_slice();
                let before = values.to_vec();
                for value in values.iter_mut() {
                    *value = 1.01 * *value + 0.01;
                }
                assert!(buffers.worst(true) > 1e-4, "{kernel} {stride} {spoilt}");
                let Buffers { y, dx, dw, .. } = &mut buffers;
                [y, dx, dw][spoilt].copy_from_slice(&before);
            }
        }
    }

    #[test]
    fn every_convolution_of_the_network_is_measured_once() {
        let layers = convolutions(1, 32, 0, 1);
        assert_eq!(layers.iter().map(|layer| layer.times).sum::<usize>(), 53);
        assert!(layers[0].seconds[1].is_empty() && layers[1].seconds[1].len() == 1);
        assert_eq!(layers[0].name, "32x32x3 to 64, 7x7 stride 2");
        assert!(layers.iter().all(|layer| layer.worst < 1e-6));
    }
}
