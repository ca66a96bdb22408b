use super::*;
use crate::testing::{in_pools, random};
use std::cell::Cell;

fn layer(inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Layer {
    let (padding, activation) = (Padding::Even(kernel / 2), Activation::Relu);
    Layer { inputs, outputs, kernel, stride, padding, depthwise: false, activation, epsilon: 1e-3 }
}

fn end(layer: Layer) -> Layer {
    Layer { activation: Activation::None, ..layer }
}

/// Every kind of stage, with sizes that are no multiple of anything.
fn network() -> Network {
    let relu6 = |layer: Layer| Layer { activation: Activation::Relu6, ..layer };
    let depthwise = |channels, stride| Layer {
        depthwise: true,
        padding: Padding::Same,
        ..relu6(layer(channels, channels, 3, stride))
    };
    let stages = vec![
        Stage::Layer(Layer { padding: Padding::Same, ..layer(3, 5, 3, 2) }),
        Stage::MaxPool { kernel: 3, stride: 2, padding: 1 },
        Stage::Block(Block {
            path: vec![layer(5, 3, 1, 1), layer(3, 3, 3, 2), end(layer(3, 9, 1, 1))],
            shortcut: Shortcut::Projection(end(layer(5, 9, 1, 2))),
            activation: Activation::Relu,
        }),
        Stage::Block(Block {
            path: vec![layer(9, 3, 1, 1), end(layer(3, 9, 3, 1))],
            shortcut: Shortcut::Identity,
            activation: Activation::Relu,
        }),
        Stage::Block(Block {
            path: vec![relu6(layer(9, 17, 1, 1)), depthwise(17, 1), end(layer(17, 9, 1, 1))],
            shortcut: Shortcut::Identity,
            activation: Activation::None,
        }),
        Stage::Block(Block {
            path: vec![depthwise(9, 2), end(layer(9, 7, 1, 1))],
            shortcut: Shortcut::None,
            activation: Activation::None,
        }),
    ];
    Network { stages }
}

/// Numbers for every layer.
#[derive(Clone)]
struct Numbers {
    layers: Vec<[Vec<f32>; 5]>,
    learning_from: usize,
}

impl Numbers {
    fn new(network: &Network) -> Self {
        let numbers = |(number, layer): (usize, &Layer)| {
            let seed = 10 * number as u64;
            let taps = layer.taps();
            let scaled = |seed, by: f32, plus: f32| {
                random(layer.outputs, seed).into_iter().map(|x| x * by + plus).collect()
            };
            let size = (3.0 / taps as f32).sqrt();
            let weights = random(taps * layer.outputs, seed).into_iter().map(|x| x * size);
            [
                weights.collect(),
                scaled(seed + 1, 0.5, 1.0),
                scaled(seed + 2, 0.3, 0.0),
                scaled(seed + 3, 0.3, 0.0),
                scaled(seed + 4, 0.5, 1.0),
            ]
        };
        let layers = network.layers().enumerate().map(numbers).collect();
        Self { layers, learning_from: 0 }
    }
}

impl LayerSource for Numbers {
    fn layer(&self, number: usize) -> LayerParameters<'_> {
        let [weights, gamma, beta, mean, variance] = &self.layers[number];
        let learns = number >= self.learning_from;
        LayerParameters { weights, gamma, beta, mean, variance, learns, fixed_moments: false }
    }
}

const INPUT: MapShape = MapShape { n: 3, height: 22, width: 27, channels: 3 };

/// The numbers of the layers in `f64`, in the order of [`LayerParameters`].
type ExactNumbers = Vec<[Vec<f64>; 5]>;

fn exact_numbers(numbers: &Numbers) -> ExactNumbers {
    let wide = |values: &Vec<f32>| values.iter().copied().map(f64::from).collect();
    numbers.layers.iter().map(|layer| layer.each_ref().map(wide)).collect()
}

/// A map in `f64`.
type ExactMap = (MapShape, Vec<f64>);

/// A network by the definition of each operation.
struct Definition<'a> {
    network: &'a Network,
    learning_from: usize,
    /// How near a value came to the bend of an activation, or to its rival in a maximum.
    nearest_bend: Cell<f64>,
}

impl<'a> Definition<'a> {
    fn new(network: &'a Network, learning_from: usize) -> Self {
        Self { network, learning_from, nearest_bend: Cell::new(f64::INFINITY) }
    }

    fn see_bend(&self, distance: f64) {
        self.nearest_bend.set(self.nearest_bend.get().min(distance));
    }

    fn activated(&self, activation: Activation, value: f64) -> f64 {
        let (low, high) = match activation {
            Activation::None => return value,
            Activation::Relu => (0.0, f64::INFINITY),
            Activation::Relu6 => (0.0, 6.0),
        };
        self.see_bend((value - low).abs().min((value - high).abs()));
        value.clamp(low, high)
    }

    /// The features of the made-up pictures.
    fn features(&self, numbers: &ExactNumbers) -> Vec<f64> {
        let x = random(INPUT.values(), 99).into_iter().map(f64::from).collect();
        let mut next = 0..;
        let mut layer = |layer: &Layer, map: &ExactMap| {
            let number = next.next().unwrap();
            let raw = convolved(layer, &numbers[number][0], map);
            self.normalised(layer, number, numbers, raw)
        };
        let mut map = (INPUT, x);
        for stage in &self.network.stages {
            map = match stage {
                Stage::Layer(only) => layer(only, &map),
                &Stage::MaxPool { kernel, stride, padding } => {
                    self.max_pooled(&pool_shape(map.0, kernel, stride, padding), &map.1)
                }
                Stage::Block(block) => {
                    let start = map.clone();
                    let (shape, mut out) = block.path.iter().fold(map, |map, one| layer(one, &map));
                    let around = match &block.shortcut {
                        Shortcut::None => vec![0.0; out.len()],
                        Shortcut::Identity => start.1,
                        Shortcut::Projection(one) => layer(one, &start).1,
                    };
                    for (out, around) in out.iter_mut().zip(around) {
                        *out = self.activated(block.activation, *out + around);
                    }
                    (shape, out)
                }
            };
        }
        map.1
    }

    fn normalised(
        &self,
        layer: &Layer,
        number: usize,
        numbers: &ExactNumbers,
        (shape, mut values): ExactMap,
    ) -> ExactMap {
        let [_, gamma, beta, mean, variance] = &numbers[number];
        let rows = (values.len() / shape.channels) as f64;
        for channel in 0..shape.channels {
            let column = || values.iter().skip(channel).step_by(shape.channels);
            let (mean, variance) = if number >= self.learning_from {
                let mean = column().sum::<f64>() / rows;
                (mean, column().map(|x| (x - mean).powi(2)).sum::<f64>() / rows)
            } else {
                (mean[channel], variance[channel])
            };
            let factor = gamma[channel] / (variance + f64::from(layer.epsilon)).sqrt();
            for value in values.iter_mut().skip(channel).step_by(shape.channels) {
                *value = self.activated(layer.activation, (*value - mean) * factor + beta[channel]);
            }
        }
        (shape, values)
    }

    fn max_pooled(&self, shape: &PoolShape, x: &[f64]) -> ExactMap {
        let output = pooled(shape);
        let maximum = |at: usize| {
            let (position, channel) = (at / shape.channels, at % shape.channels);
            let (row, across) = (position / output.width, position % output.width);
            let (picture, down) = (row / output.height, row % output.height);
            let mut best = [f64::NEG_INFINITY; 2];
            for tap in 0..shape.kernel * shape.kernel {
                let y = (down * shape.stride + tap / shape.kernel).wrapping_sub(shape.padding);
                let x_at = (across * shape.stride + tap % shape.kernel).wrapping_sub(shape.padding);
                if y < shape.height && x_at < shape.width {
                    let pixel = (picture * shape.height + y) * shape.width + x_at;
                    let value = x[pixel * shape.channels + channel];
                    best = if value > best[0] {
                        [value, best[0]]
                    } else {
                        [best[0], best[1].max(value)]
                    };
                }
            }
            // Rivals may all be what a `ReLU` made 0: then no gradient goes on.
            if best[0] > 0.0 {
                self.see_bend(best[0] - best[1]);
            }
            best[0]
        };
        let maxima = (0..output.values()).map(maximum).collect();
        (output, maxima)
    }
}

fn convolved(layer: &Layer, weights: &[f64], (input, x): &ExactMap) -> ExactMap {
    let output = layer.output(*input);
    let (top, left) = (layer.zeros(input.height).0, layer.zeros(input.width).0);
    let mut sums = vec![0.0; output.values()];
    for (position, sums) in sums.chunks_exact_mut(layer.outputs).enumerate() {
        let (row, across) = (position / output.width, position % output.width);
        let (picture, down) = (row / output.height, row % output.height);
        for tap in 0..layer.kernel * layer.kernel {
            let y = (down * layer.stride + tap / layer.kernel).wrapping_sub(top);
            let x_at = (across * layer.stride + tap % layer.kernel).wrapping_sub(left);
            if y >= input.height || x_at >= input.width {
                continue;
            }
            let pixel = (picture * input.height + y) * input.width + x_at;
            let pixel = &x[pixel * input.channels..][..input.channels];
            if layer.depthwise {
                let weights = &weights[tap * layer.outputs..][..layer.outputs];
                let terms = pixel.iter().zip(weights).map(|(x, weight)| x * weight);
                sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
                continue;
            }
            let weights = &weights[tap * layer.inputs * layer.outputs..];
            for (x, weights) in pixel.iter().zip(weights.chunks_exact(layer.outputs)) {
                sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += x * weight);
            }
        }
    }
    (output, sums)
}

/// Fails where a value is off by more than so much of the greatest.
fn assert_near(found: &[f32], expected: &[f64], share: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected.iter().fold(0.0f64, |size, x| size.max(x.abs()));
    for (at, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected).abs();
        assert!(error <= share * size, "{what} {at}: {found}, not {expected}");
    }
}

#[test]
fn training_and_embedding_agree_with_the_definition() {
    let network = network();
    let mut numbers = Numbers::new(&network);
    let x = random(INPUT.values(), 99);
    let features =
        |learning_from| Definition::new(&network, learning_from).features(&exact_numbers(&numbers));
    let (trained, embedded) = (features(0), features(usize::MAX));
    numbers.learning_from = usize::MAX;
    in_pools(|| {
        let learning = Numbers { learning_from: 0, ..numbers.clone() };
        let tape = network.train(&learning, INPUT, &x);
        assert_near(tape.features(), &trained, 2e-5, "trained");
        assert_eq!(tape.seen().len(), numbers.layers.len());
        let (shape, found) = Folded::new(&network, &numbers).run(INPUT, &x);
        assert_eq!(shape, tape.shape());
        assert_near(&found, &embedded, 2e-5, "embedded");
        assert_near(network.train(&numbers, INPUT, &x).features(), &embedded, 2e-5, "frozen");
    });
}

#[test]
fn pictures_in_groups_come_to_what_each_comes_to_by_itself() {
    // Maps so large that five pictures do not go through the first stage together.
    let stages = vec![
        Stage::Layer(layer(3, 17, 1, 2)),
        Stage::MaxPool { kernel: 7, stride: 7, padding: 0 },
        Stage::Layer(layer(17, 5, 3, 1)),
    ];
    let network = Network { stages };
    let mut numbers = Numbers::new(&network);
    numbers.learning_from = usize::MAX;
    let folded = Folded::new(&network, &numbers);
    let input = MapShape { n: 5, height: 590, width: 610, channels: 3 };
    let x = random(input.values(), 3);
    let alone = MapShape { n: 1, ..input };
    let expected: Vec<f64> = x
        .chunks_exact(alone.values())
        .flat_map(|x| folded.run(alone, x).1)
        .map(f64::from)
        .collect();
    let (shape, found) = folded.run(input, &x);
    assert_eq!(shape.n, 5);
    assert_near(&found, &expected, 2e-5, "in groups");
}

/// Far above rounding in `f64`, and far below the distance to the next bend.
const STEP: f64 = 1e-6;

/// The slope of `sum(features * dout)` along each value of one of a layer's parameters, by
/// differences in `f64`.
fn slopes(
    definition: &Definition,
    numbers: &mut ExactNumbers,
    (layer, which): (usize, usize),
    dout: &[f32],
) -> Vec<f64> {
    let loss = |numbers: &ExactNumbers| -> f64 {
        definition.features(numbers).iter().zip(dout).map(|(y, &d)| y * f64::from(d)).sum()
    };
    (0..numbers[layer][which].len())
        .map(|at| {
            let value = numbers[layer][which][at];
            let mut beside = |step: f64| {
                numbers[layer][which][at] = value + step;
                loss(numbers)
            };
            let slope = (beside(STEP) - beside(-STEP)) / (2.0 * STEP);
            numbers[layer][which][at] = value;
            slope
        })
        .collect()
}

#[test]
fn every_value_of_every_gradient_is_the_slope_of_the_loss() {
    let network = network();
    let x = random(INPUT.values(), 99);
    // Layer 5 is the first of the second block.
    for learning_from in [0, 5] {
        let numbers = Numbers { learning_from, ..Numbers::new(&network) };
        let tape = network.train(&numbers, INPUT, &x);
        let dout = random(tape.features().len(), 7);
        let gradients = tape.backward(&numbers, &dout);
        let learnt: Vec<_> = gradients.iter().filter(|found| !found.weights.is_empty()).collect();
        let expected = numbers.layers.len() - learning_from;
        assert_eq!(learnt.len(), expected, "layers with gradients from {learning_from} on");
        let definition = Definition::new(&network, learning_from);
        let mut exact = exact_numbers(&numbers);
        definition.features(&exact);
        let bend = definition.nearest_bend.get();
        assert!(bend > 10.0 * STEP, "a value is within {bend} of a bend: take other numbers");
        for found in learnt {
            let parts = [&found.weights, &found.norm.gamma, &found.norm.beta];
            for (which, part) in parts.into_iter().enumerate() {
                let slopes = slopes(&definition, &mut exact, (found.layer, which), &dout);
                let what = format!("layer {} from {learning_from} on, {which}:", found.layer);
                assert_near(part, &slopes, 1e-4, &what);
            }
        }
    }
}

#[test]
fn the_same_threads_give_the_same_bytes() {
    let network = network();
    let numbers = Numbers::new(&network);
    let x = random(INPUT.values(), 99);
    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let run = || {
        let tape = network.train(&numbers, INPUT, &x);
        let dout = random(tape.features().len(), 7);
        let features = bits(tape.features());
        let gradients = tape.backward(&numbers, &dout);
        (features, gradients.iter().map(|found| bits(&found.weights)).collect::<Vec<_>>())
    };
    assert_eq!(run(), run());
}
