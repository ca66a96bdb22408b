//! Networks as a whole against their layers one by one: features, gradients, moments. The kernels of
//! single layers have tests of their own in `kernels`.

use std::collections::BTreeMap;

use looksee_kernels::layers::norm::Activation;
use looksee_kernels::network::Padding;

use super::*;
use crate::encoder::preprocessing::PixelScale;
use crate::encoder::{Convention, ConvolutionalNetwork};
use crate::ops::{values_of, with_winograd};

const PLAIN: Layer = Layer {
    inputs: 3,
    outputs: 3,
    kernel: 1,
    stride: 1,
    padding: Padding::Even(0),
    depthwise: false,
    activation: Activation::None,
    epsilon: 1e-3,
};

fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = Seed(seed).stream("network", 0);
    (0..count).map(|_| 2.0 * rng.f32() - 1.0).collect()
}

/// A network of these stages, its layers named by their numbers.
fn network(stages: Vec<Stage>) -> Network {
    let mut description = Description::default();
    for layer in stages.iter().flat_map(Stage::layers) {
        let number = description.names.len();
        description.named(&format!("conv{number}"), &format!("norm{number}"), *layer);
    }
    for stage in stages {
        description.push(stage);
    }
    description.finish()
}

/// Numbers for every layer, the running moments too.
fn parameters(network: &Network) -> Parameters {
    let mut parameters = Parameters::default();
    network.add_parameters(&mut parameters, Seed(0));
    for (number, (name, parameter)) in parameters.iter_mut().enumerate() {
        let values = random(parameter.values.len(), 10 + number as u64);
        let taps = parameter.shape[0] as f32;
        let scaled = |x: f32| match name {
            _ if parameter.shape.len() == 2 => x * (3.0 / taps).sqrt(),
            _ if name.ends_with("weight") || name.ends_with("var") => 1.0 + 0.5 * x,
            _ => 0.3 * x,
        };
        parameter.values = values.into_iter().map(scaled).collect();
    }
    parameters
}

fn pixels([n, height, width, channels]: [usize; 4]) -> Pixels {
    let shape = network::MapShape { n, height, width, channels };
    let scale = PixelScale { mean: [0.0; 3], deviation: [1.0; 3] };
    Pixels { shape, values: random(shape.values(), 1), scale }
}

/// What a pass comes to.
struct Found {
    features: Vec<f32>,
    gradients: BTreeMap<String, Vec<f32>>,
    /// Mean and variance at each batch norm.
    moments: BTreeMap<String, Vec<f32>>,
}

fn run(network: &Network, parameters: &Parameters, x: &Pixels, mode: Mode, whole: bool) -> Found {
    let way = |pass: Pass| if whole { pass } else { pass.layer_by_layer() };
    run_by(network, parameters, x, mode, way)
}

fn run_by(
    network: &Network,
    parameters: &Parameters,
    x: &Pixels,
    mode: Mode,
    way: impl Fn(Pass) -> Pass,
) -> Found {
    let pass = way(Pass::new(Arc::new(parameters.clone()), mode));
    let out = network.forward(&pass, x.clone());
    let shape = out.dims();
    let features = values_of(out.clone());
    let gradients = match mode {
        Mode::Training => {
            let cotangent = random(features.len(), 2);
            let cotangent: Tensor<4> = pass.tensor(cotangent, &shape);
            pass.gradients((out * cotangent).sum().backward())
        }
        Mode::Inference => BTreeMap::new(),
    };
    let of_norm = |seen: super::super::parameters::Seen| {
        (seen.name, [seen.moments.mean, seen.moments.variance].concat())
    };
    Found { features, gradients, moments: pass.seen().into_iter().map(of_norm).collect() }
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, x| largest.max(x.abs()))
}

/// Within rounding of the largest, or of a tenth of `of_all`: what adds up to nothing, such as the
/// gradient of an offset before another norm, is as far off as what was added up.
fn assert_near(found: &[f32], expected: &[f32], of_all: f32, at: &str) {
    assert_eq!(found.len(), expected.len(), "{at}");
    let largest = largest(expected).max(0.1 * of_all);
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        let near = (found - expected).abs() <= 5e-5 * largest;
        assert!(near, "{at}, value {place}: {found}, layer by layer {expected}");
    }
}

fn check_with(network: &Network, parameters: &Parameters, x: &Pixels, at: &str) {
    for mode in [Mode::Training, Mode::Inference] {
        let at = format!("{at}, {mode:?}");
        let whole = with_winograd(false, || run(network, parameters, x, mode, true));
        let layers = run(network, parameters, x, mode, false);
        assert_near(&whole.features, &layers.features, 0.0, &at);
        for (whole, layers) in
            [(&whole.gradients, &layers.gradients), (&whole.moments, &layers.moments)]
        {
            assert!(whole.keys().eq(layers.keys()), "{at}");
            let of_all = layers.values().map(|values| largest(values)).fold(0.0, f32::max);
            for (name, whole) in whole {
                assert_near(whole, &layers[name], of_all, &format!("{at}, {name}"));
            }
        }
    }
}

fn check(stages: Vec<Stage>, shape: [usize; 4], at: &str) {
    let network = network(stages);
    check_with(&network, &parameters(&network), &pixels(shape), at);
}

/// Pictures of odd sizes.
const PICTURES: [[usize; 4]; 4] = [[2, 7, 5, 3], [3, 5, 6, 3], [1, 13, 9, 3], [2, 1, 11, 3]];

#[test]
fn every_window_agrees() {
    for picture in PICTURES {
        for (kernel, stride) in [(1, 1), (1, 2), (3, 1), (3, 2), (5, 2), (7, 2)] {
            for padding in [Padding::Even(kernel / 2), Padding::Same] {
                for (depthwise, outputs) in [(false, 1), (false, 13), (true, 3)] {
                    let layer = Layer { kernel, stride, padding, depthwise, outputs, ..PLAIN };
                    // The gradient of the first one's weights needs that of the second one's input.
                    let stages = vec![Stage::Layer(PLAIN), Stage::Layer(layer)];
                    check(stages, picture, &format!("{layer:?} on {picture:?}"));
                }
            }
        }
    }
}

#[test]
fn every_activation_agrees() {
    for activation in [Activation::None, Activation::Relu, Activation::Relu6] {
        let layer = Layer { activation, outputs: 5, ..PLAIN };
        let after = Layer { inputs: 5, ..PLAIN };
        let stages = vec![Stage::Layer(layer), Stage::Layer(after)];
        check(stages, PICTURES[2], &format!("{activation:?}"));
    }
}

#[test]
fn every_pool_agrees() {
    for (kernel, stride, padding) in [(1, 1, 0), (2, 2, 1), (3, 1, 1), (3, 2, 1), (5, 3, 2)] {
        let pool = Stage::MaxPool { kernel, stride, padding };
        let stages = vec![Stage::Layer(PLAIN), pool, Stage::Layer(PLAIN)];
        check(stages, PICTURES[2], &format!("{kernel} {stride} {padding}"));
    }
}

/// A block of every kind, dense and depthwise, behind a stem.
fn blocks() -> Network {
    let relu = Layer { activation: Activation::Relu, ..PLAIN };
    let same = |layer: Layer| Layer { kernel: 3, padding: Padding::Even(1), ..layer };
    let path = |middle: usize, outputs: usize, stride: usize| {
        vec![
            same(Layer { outputs: middle, stride, ..relu }),
            same(Layer { inputs: middle, outputs, ..PLAIN }),
        ]
    };
    let depthwise = Layer { depthwise: true, padding: Padding::Same, kernel: 5, ..relu };
    let depthwise = Layer { activation: Activation::Relu6, inputs: 4, outputs: 4, ..depthwise };
    let widened = |stride| {
        vec![
            Layer { outputs: 4, activation: Activation::Relu6, ..PLAIN },
            Layer { stride, ..depthwise },
            Layer { inputs: 4, ..PLAIN },
        ]
    };
    let block = |path, shortcut, activation| Stage::Block(Block { path, shortcut, activation });
    let projection = Shortcut::Projection(Layer { stride: 2, ..PLAIN });
    network(vec![
        Stage::Layer(same(Layer { stride: 2, ..relu })),
        Stage::MaxPool { kernel: 3, stride: 1, padding: 1 },
        block(path(6, 3, 1), Shortcut::Identity, Activation::Relu),
        block(widened(1), Shortcut::Identity, Activation::None),
        block(path(5, 3, 2), projection, Activation::Relu),
        block(widened(2), Shortcut::None, Activation::None),
    ])
}

#[test]
fn blocks_of_every_kind_agree_whatever_is_frozen() {
    let network = blocks();
    let x = pixels([3, 23, 26, 3]);
    for learning_from in [0, 1, 3, 6] {
        let mut parameters = parameters(&network);
        let frozen = &network.names[..learning_from];
        parameters.freeze(|name| {
            frozen.iter().any(|of| [&of.weights, &of.gamma, &of.beta].contains(&&name.to_owned()))
        });
        check_with(&network, &parameters, &x, &format!("from {learning_from} on"));
    }
}

#[test]
fn blocks_of_every_kind_agree_where_running_moments_stay() {
    let network = blocks();
    let x = pixels([3, 23, 26, 3]);
    let mut parameters = parameters(&network);
    for frozen in [0, 3] {
        parameters.freeze(|name| network.names[..frozen].iter().any(|of| of.weights == name));
        let fixed = |pass: Pass| pass.with_fixed_moments(true);
        let whole =
            with_winograd(false, || run_by(&network, &parameters, &x, Mode::Training, fixed));
        let layers =
            run_by(&network, &parameters, &x, Mode::Training, |pass| fixed(pass).layer_by_layer());
        assert!(whole.moments.is_empty() && layers.moments.is_empty());
        // What comes out is what comes out of a network that does not learn.
        let still = run(&network, &parameters, &x, Mode::Inference, true);
        assert_near(&whole.features, &still.features, 0.0, "still");
        assert_near(&whole.features, &layers.features, 0.0, "features");
        let of_all = layers.gradients.values().map(|values| largest(values)).fold(0.0, f32::max);
        let learned = network.names[frozen..].iter().map(|names| &names.weights);
        for name in learned {
            let (whole, layers) = (&whole.gradients[name], &layers.gradients[name]);
            assert!(largest(layers) > 0.0, "{name}");
            assert_near(whole, layers, of_all, name);
        }
    }
}

#[test]
fn values_that_are_not_finite_come_out_of_the_same_places() {
    let network = blocks();
    let parameters = parameters(&network);
    let mut x = pixels([3, 23, 26, 3]);
    // In the middle of the second picture.
    x.values[(23 + 11) * 26 * 3 + 40] = f32::NAN;
    for mode in [Mode::Training, Mode::Inference] {
        let places = |whole| {
            let found = with_winograd(false, || run(&network, &parameters, &x, mode, whole));
            found.features.iter().map(|x| x.is_nan()).collect::<Vec<bool>>()
        };
        let (whole, layers) = (places(true), places(false));
        assert!(whole.contains(&true), "{mode:?}");
        // Moments of the batch spread it over all pictures.
        assert_eq!(whole.contains(&false), mode == Mode::Inference, "{mode:?}");
        assert_eq!(whole, layers, "{mode:?}");
    }
}

/// The same network without a bend: no activation, so that no value can fall to the other side of
/// one, and whatever is wrong with a gradient shows beside rounding alone.
fn without_bends(network: &Network) -> Network {
    let straight = |layer: &Layer| Layer { activation: Activation::None, ..*layer };
    let stages = network.stages().iter().map(|stage| match stage {
        Stage::Layer(layer) => Stage::Layer(straight(layer)),
        Stage::MaxPool { .. } => stage.clone(),
        Stage::Block(block) => Stage::Block(Block {
            path: block.path.iter().map(straight).collect(),
            shortcut: block.shortcut.clone(),
            activation: Activation::None,
        }),
    });
    Network {
        layers: network::Network { stages: stages.collect() },
        names: Arc::clone(&network.names),
    }
}

fn length(values: &[f32]) -> f64 {
    values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt()
}

/// How far a gradient is from another: all its values together as a share of the other's length,
/// and the value that is furthest off as a share of the root of the mean square.
fn apart(found: &[f32], expected: &[f32], longest: f64) -> (f64, f64) {
    let difference: Vec<f32> = found.iter().zip(expected).map(|(a, b)| a - b).collect();
    // One that is nothing beside the longest, such as that of the offset before another norm, is 0
    // but for rounding.
    let scale = length(expected).max(1e-3 * longest);
    let furthest = difference.iter().fold(0.0, |most: f64, x| most.max(f64::from(x.abs())));
    (length(&difference) / scale, furthest / scale * (found.len() as f64).sqrt())
}

/// Five times what was measured on an AMD EPYC (Zen 4), with and without Winograd's convolutions:
/// 3e-5 and 1.3e-4.
const APART: (f64, f64) = (1.5e-4, 6.5e-4);

/// The first gradient that is further than [`APART`] from that of the layers one by one.
fn first_apart(found: &Found, expected: &Found) -> Option<String> {
    let longest = expected.gradients.values().map(|values| length(values)).fold(0.0, f64::max);
    found.gradients.iter().find_map(|(name, gradient)| {
        let (share, furthest) = apart(gradient, &expected.gradients[name], longest);
        let near = share <= APART.0 && furthest <= APART.1;
        (!near).then(|| format!("{name}: {share} of its length, {furthest} at one value"))
    })
}

/// Gradients in which one value of a single weight tensor is off by a hundredth of the tensor's
/// length: less than what was once let pass by five.
fn with_one_value_off(found: &Found, name: &str) -> Found {
    let mut gradients = found.gradients.clone();
    let gradient = gradients.get_mut(name).unwrap();
    let share = 0.01 * length(gradient) as f32;
    gradient[0] += share;
    Found { gradients, features: Vec::new(), moments: BTreeMap::new() }
}

fn without_bends_agree(tower: ConvolutionalNetwork, last: &str) {
    let network = without_bends(&tower.layers(Convention::Original));
    let parameters = parameters(&network);
    let x = pixels([3, 48, 40, 3]);
    let layers = run(&network, &parameters, &x, Mode::Training, false);
    for winograd in [false, true] {
        let whole =
            with_winograd(winograd, || run(&network, &parameters, &x, Mode::Training, true));
        assert!(whole.gradients.keys().eq(layers.gradients.keys()));
        assert_eq!(first_apart(&whole, &layers), None, "{tower:?}, winograd {winograd}");
        let wrong = with_one_value_off(&whole, last);
        assert!(first_apart(&wrong, &layers).is_some_and(|apart| apart.starts_with(last)));
    }
}

#[test]
fn resnet18_without_bends_has_the_gradients_of_its_layers() {
    without_bends_agree(ConvolutionalNetwork::ResNet18, "image.layer4.1.conv2.weight");
}

#[test]
fn resnet50_without_bends_has_the_gradients_of_its_layers() {
    without_bends_agree(ConvolutionalNetwork::ResNet50, "image.layer4.2.conv3.weight");
}

#[test]
fn efficientnet_without_bends_has_the_gradients_of_its_layers() {
    without_bends_agree(ConvolutionalNetwork::EfficientNetLite0, "image._conv_head.weight");
}
