//! Gradients against the slopes of the loss, which is computed in f64 by plain loops: there steps can
//! be so small that no activation crosses its bend, and no rounding hides a wrong part of a gradient.
//!
//! Slopes are taken along random signs. An error of a gradient that is hidden from one direction, as
//! one at right angles to the gradient itself is hidden from the gradient's, shows in others.

use super::*;

/// A map of features in f64.
type Exact = (MapShape, Vec<f64>);

/// The numbers of all layers in f64.
#[derive(Clone)]
struct ExactNumbers {
    layers: Vec<[Vec<f64>; 5]>,
    learning_from: usize,
}

impl ExactNumbers {
    fn new(numbers: &Numbers) -> Self {
        let exact = |of_layer: &[Vec<f32>; 5]| {
            of_layer.each_ref().map(|values| values.iter().map(|&x| f64::from(x)).collect())
        };
        Self {
            layers: numbers.layers.iter().map(exact).collect(),
            learning_from: numbers.learning_from,
        }
    }
}

/// A pass in f64 on its way.
struct ExactPass<'a> {
    numbers: &'a ExactNumbers,
    next: usize,
    /// How near a value came to the bend of an activation, or to its rival in a maximum.
    nearest: f64,
}

impl ExactPass<'_> {
    fn convolved(&self, layer: &Layer, weights: &[f64], (shape, x): &Exact) -> Exact {
        let output = layer.output(*shape);
        let ((top, _), (left, _)) = (layer.zeros(shape.height), layer.zeros(shape.width));
        let mut raw = vec![0.0; output.values()];
        for (row, sums) in raw.chunks_exact_mut(output.channels).enumerate() {
            let (across, down) = (row % output.width, row / output.width % output.height);
            let picture = row / (output.width * output.height);
            for tap in 0..layer.kernel * layer.kernel {
                let y = (down * layer.stride + tap / layer.kernel).checked_sub(top);
                let x_at = (across * layer.stride + tap % layer.kernel).checked_sub(left);
                let (Some(y), Some(x_at)) = (y, x_at) else { continue };
                if y >= shape.height || x_at >= shape.width {
                    continue;
                }
                let start = ((picture * shape.height + y) * shape.width + x_at) * shape.channels;
                for (input, value) in x[start..start + shape.channels].iter().enumerate() {
                    if layer.depthwise {
                        sums[input] += value * weights[tap * shape.channels + input];
                        continue;
                    }
                    let from = (tap * layer.inputs + input) * layer.outputs;
                    for (sum, weight) in sums.iter_mut().zip(&weights[from..]) {
                        *sum += value * weight;
                    }
                }
            }
        }
        (output, raw)
    }

    /// Convolution and batch norm of the next layer.
    fn normalised(&mut self, layer: &Layer, input: &Exact) -> Exact {
        let [weights, gamma, beta, mean, variance] = &self.numbers.layers[self.next];
        let learns = self.next >= self.numbers.learning_from;
        self.next += 1;
        let (shape, mut raw) = self.convolved(layer, weights, input);
        let rows = (shape.n * shape.height * shape.width) as f64;
        for channel in 0..shape.channels {
            let values = || raw.iter().skip(channel).step_by(shape.channels);
            let (mean, variance) = if learns {
                let mean = values().sum::<f64>() / rows;
                (mean, values().map(|x| (x - mean).powi(2)).sum::<f64>() / rows)
            } else {
                (mean[channel], variance[channel])
            };
            let scale = gamma[channel] / (variance + f64::from(layer.epsilon)).sqrt();
            for value in raw.iter_mut().skip(channel).step_by(shape.channels) {
                *value = (*value - mean) * scale + beta[channel];
            }
        }
        (shape, raw)
    }

    fn activated(&mut self, (shape, mut x): Exact, activation: Activation) -> Exact {
        for value in &mut x {
            let (low, high) = match activation {
                Activation::None => continue,
                Activation::Relu => (0.0, f64::INFINITY),
                Activation::Relu6 => (0.0, 6.0),
            };
            self.nearest = self.nearest.min((*value - low).abs()).min((*value - high).abs());
            *value = value.clamp(low, high);
        }
        (shape, x)
    }

    fn layer(&mut self, layer: &Layer, input: &Exact) -> Exact {
        let out = self.normalised(layer, input);
        self.activated(out, layer.activation)
    }

    fn pooled(&mut self, shape: &PoolShape, (input, x): &Exact) -> Exact {
        let output = pooled(shape);
        let value = |at: usize| {
            let (channel, row) = (at % output.channels, at / output.channels);
            let (across, down) = (row % output.width, row / output.width % output.height);
            let picture = row / (output.width * output.height);
            let mut found = [f64::NEG_INFINITY; 2];
            for place in 0..shape.kernel * shape.kernel {
                let y = (down * shape.stride + place / shape.kernel).wrapping_sub(shape.padding);
                let x_at =
                    (across * shape.stride + place % shape.kernel).wrapping_sub(shape.padding);
                if y < input.height && x_at < input.width {
                    let start =
                        ((picture * input.height + y) * input.width + x_at) * input.channels;
                    let value = x[start + channel];
                    if value > found[0] {
                        found = [value, found[0]];
                    } else {
                        found[1] = found[1].max(value);
                    }
                }
            }
            found
        };
        let found: Vec<[f64; 2]> = (0..output.values()).map(value).collect();
        for [first, second] in &found {
            // All of them may be what a `ReLU` made 0: then no gradient goes on.
            if *first > 0.0 {
                self.nearest = self.nearest.min(first - second);
            }
        }
        (output, found.into_iter().map(|[first, _]| first).collect())
    }

    fn stage(&mut self, stage: &Stage, map: Exact) -> Exact {
        match stage {
            Stage::Layer(layer) => self.layer(layer, &map),
            &Stage::MaxPool { kernel, stride, padding } => {
                self.pooled(&pool_shape(map.0, kernel, stride, padding), &map)
            }
            Stage::Block(block) => {
                let (shape, mut out) =
                    block.path.iter().fold(map.clone(), |x, layer| self.layer(layer, &x));
                let around = match &block.shortcut {
                    Shortcut::None => vec![0.0; out.len()],
                    Shortcut::Identity => map.1,
                    Shortcut::Projection(layer) => self.layer(layer, &map).1,
                };
                out.iter_mut().zip(around).for_each(|(out, around)| *out += around);
                self.activated((shape, out), block.activation)
            }
        }
    }
}

/// `sum(features * dout)`, and how near a value came to where its slope changes.
fn loss(network: &Network, numbers: &ExactNumbers, x: &[f32], dout: &[f32]) -> (f64, f64) {
    let mut pass = ExactPass { numbers, next: 0, nearest: f64::INFINITY };
    let first = (INPUT, x.iter().map(|&x| f64::from(x)).collect());
    let (_, features) =
        network.stages.iter().fold(first, |map: Exact, stage| pass.stage(stage, map));
    let loss = features.iter().zip(dout).map(|(y, &d)| y * f64::from(d)).sum();
    (loss, pass.nearest)
}

/// Directions along which each gradient is compared.
const DIRECTIONS: u64 = 4;
/// Far above rounding in f64, and far below the distance to the next bend.
const STEP: f64 = 1e-6;
/// How far the slope along random signs may be from that of the gradient, as a share of its length:
/// rounding in f32, with Winograd's convolutions. An error of one percent is ten times as much in
/// one direction of two.
const BOUND: f64 = 1e-3;

#[test]
fn gradients_are_the_slopes_of_the_loss_along_random_signs() {
    let network = network();
    let x = random(INPUT.values(), SEED);
    for learning_from in [0, 5] {
        let numbers = Numbers { learning_from, ..Numbers::new(&network) };
        let exact = ExactNumbers::new(&numbers);
        let tape = network.train(&numbers, INPUT, &x);
        let dout = random(tape.features().len(), 7);
        let (_, nearest) = loss(&network, &exact, &x, &dout);
        assert!(
            nearest > 2e-5,
            "a value lies within rounding of a bend ({nearest}): take other ones"
        );
        let gradients = tape.backward(&numbers, &dout);
        // Layer 5 is the first of the second block.
        let expected = numbers.layers.len() - learning_from;
        let learnt = gradients.iter().filter(|found| !found.weights.is_empty()).count();
        assert_eq!(learnt, expected, "layers with gradients from {learning_from} on");
        for found in gradients.iter().filter(|found| found.layer >= learning_from) {
            let parts = [&found.weights, &found.norm.gamma, &found.norm.beta];
            for (which, gradient) in parts.into_iter().enumerate() {
                let length = gradient.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
                for direction in 0..DIRECTIONS {
                    let signs: Vec<f64> = random(gradient.len(), 100 + direction)
                        .into_iter()
                        .map(|x| f64::from(x.signum()))
                        .collect();
                    let moved = |step: f64| {
                        let mut numbers = exact.clone();
                        let values = &mut numbers.layers[found.layer][which];
                        values.iter_mut().zip(&signs).for_each(|(x, sign)| *x += step * sign);
                        loss(&network, &numbers, &x, &dout).0
                    };
                    let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                    let along: f64 =
                        gradient.iter().zip(&signs).map(|(&g, sign)| f64::from(g) * sign).sum();
                    assert!(
                        (slope - along).abs() <= BOUND * length.max(0.1),
                        "layer {} {which}: a slope of {slope}, the gradient (of length {length}) \
                         says {along}",
                        found.layer
                    );
                }
            }
        }
    }
}

/// Of the picture: one with which no value lies within rounding of a bend.
const SEED: u64 = 99;
