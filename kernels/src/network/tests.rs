mod slopes;

use super::*;
use crate::layers::conv;
use crate::layers::depthwise::{self, Epilogue};
use crate::layers::norm::{self, Moments, Norm};
use crate::testing::{in_pools, random};

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

fn layers(network: &Network) -> Vec<Layer> {
    let mut layers = Vec::new();
    for stage in &network.stages {
        match stage {
            Stage::Layer(layer) => layers.push(*layer),
            Stage::MaxPool { .. } => {}
            Stage::Block(block) => {
                layers.extend(&block.path);
                if let Shortcut::Projection(layer) = &block.shortcut {
                    layers.push(*layer);
                }
            }
        }
    }
    layers
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
            let window = layer.kernel * layer.kernel;
            let taps = if layer.depthwise { window } else { window * layer.inputs };
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
        let layers = layers(network).iter().enumerate().map(numbers).collect();
        Self { layers, learning_from: 0 }
    }
}

impl LayerSource for Numbers {
    fn layer(&self, number: usize) -> LayerParameters<'_> {
        let [weights, gamma, beta, mean, variance] = &self.layers[number];
        let learns = number >= self.learning_from;
        LayerParameters { weights, gamma, beta, mean, variance, learns }
    }
}

const INPUT: MapShape = MapShape { n: 3, height: 22, width: 27, channels: 3 };

/// One layer by the kernels of each operation, the slow way.
fn plainly(
    layer: &Layer,
    numbers: LayerParameters,
    input: MapShape,
    x: &[f32],
) -> (MapShape, Vec<f32>) {
    let [vertical, horizontal] = [layer.zeros(input.height), layer.zeros(input.width)];
    let wide = MapShape {
        height: input.height + vertical.0 + vertical.1,
        width: input.width + horizontal.0 + horizontal.1,
        ..input
    };
    let mut padded = vec![0.0; wide.values()];
    pad(input, x, [vertical, horizontal], &mut padded);
    let (output, raw) = if layer.depthwise {
        let shape = DepthwiseShape { before: [0; 2], after: [0; 2], ..layer.depthwise(wide) };
        let mut raw = vec![0.0; shape.outputs()];
        depthwise::forward(&shape, &padded, numbers.weights, Epilogue::NONE, &mut raw);
        (Convolution::Depthwise(shape).output(), raw)
    } else {
        let shape = layer.conv(wide, 0);
        let mut raw = vec![0.0; shape.rows() * shape.outputs];
        conv::forward(&shape, &padded, numbers.weights, &mut raw);
        (Convolution::Full(shape).output(), raw)
    };
    let moments = if numbers.learns {
        norm::moments(&raw, output.channels)
    } else {
        Moments { mean: numbers.mean.to_vec(), variance: numbers.variance.to_vec() }
    };
    let mut out = vec![0.0; raw.len()];
    let norm = Norm {
        moments: &moments,
        epsilon: layer.epsilon,
        gamma: numbers.gamma,
        beta: numbers.beta,
    };
    norm::normalise(&raw, output.channels, &norm, layer.activation, &mut out);
    (output, out)
}

/// The whole network that way.
fn all_plainly(network: &Network, numbers: &Numbers, x: &[f32]) -> Vec<f32> {
    let mut next = 0..;
    let mut one = |layer: &Layer, (shape, x): &(MapShape, Vec<f32>)| {
        plainly(layer, numbers.layer(next.next().unwrap()), *shape, x)
    };
    let mut map = (INPUT, x.to_vec());
    for stage in &network.stages {
        map = match stage {
            Stage::Layer(layer) => one(layer, &map),
            &Stage::MaxPool { kernel, stride, padding } => {
                let shape = pool_shape(map.0, kernel, stride, padding);
                let mut out = vec![0.0; pooled(&shape).values()];
                crate::layers::pool::max_forward(&shape, &map.1, &mut out);
                (pooled(&shape), out)
            }
            Stage::Block(block) => {
                let (shape, mut out) =
                    block.path.iter().fold(map.clone(), |map, layer| one(layer, &map));
                let around = match &block.shortcut {
                    Shortcut::None => vec![0.0; out.len()],
                    Shortcut::Identity => map.1,
                    Shortcut::Projection(layer) => one(layer, &map).1,
                };
                for (out, around) in out.iter_mut().zip(around) {
                    *out += around;
                    if block.activation == Activation::Relu {
                        *out = out.max(0.0);
                    }
                }
                (shape, out)
            }
        };
    }
    map.1
}

fn assert_near(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected.iter().fold(0.0f32, |size, x| size.max(x.abs()));
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= 2e-5 * size, "{what} {at}: {found}, not {expected}");
    }
}

#[test]
fn training_and_embedding_agree_with_the_operations_one_by_one() {
    let network = network();
    let mut numbers = Numbers::new(&network);
    let x = random(INPUT.values(), 99);
    let trained = all_plainly(&network, &numbers, &x);
    numbers.learning_from = usize::MAX;
    let embedded = all_plainly(&network, &numbers, &x);
    in_pools(|| {
        let learning = Numbers { learning_from: 0, ..numbers.clone() };
        let tape = network.train(&learning, INPUT, &x);
        assert_near(tape.features(), &trained, "trained");
        assert_eq!(tape.seen().len(), numbers.layers.len());
        let (shape, found) = Folded::new(&network, &numbers).run(INPUT, &x);
        assert_eq!(shape, tape.shape());
        assert_near(&found, &embedded, "embedded");
        assert_near(network.train(&numbers, INPUT, &x).features(), &embedded, "frozen");
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
    let expected: Vec<f32> =
        x.chunks_exact(alone.values()).flat_map(|x| folded.run(alone, x).1).collect();
    let (shape, found) = folded.run(input, &x);
    assert_eq!(shape.n, 5);
    assert_near(&found, &expected, "in groups");
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
