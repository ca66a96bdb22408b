//! What an image tower is made of, as a value: the layers in order, with their names, sizes and
//! what follows each, and the one way through them.
//!
//! [`super::resnet`] and [`super::efficientnet`] write such descriptions; whoever needs to know a
//! tower walks one: this module for fresh parameters and for the pass of training, `Freeze` for
//! which layers keep their weights. No network has code of its own for any of that, and a second
//! way of running them all, say with batch norms folded into the weights, is one more walk.

use std::sync::Arc;

use burn::tensor::Tensor;
use looksee_kernels::layers::norm::Moments;
use looksee_kernels::network::{self, Convolution, Folded, LayerParameters, LayerSource, MapShape};

use super::parameters::{Init, Layout, Mode, Parameters, Pass};
use super::preprocessing::Pixels;
use crate::ops::{self, Activation, Geometry, NetworkCall, NormMode, Padding, Window};
use crate::units::Seed;

/// Before the name of every parameter of an image tower.
pub(crate) const PREFIX: &str = "image.";

/// A convolution with the batch norm and the activation that follow it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layer {
    /// Full name of the convolution; its weights are `conv.weight`.
    pub(crate) conv: String,
    /// Full name of the batch norm.
    pub(crate) norm: String,
    /// Channels that come in.
    pub(crate) inputs: usize,
    /// Channels that go out; the same number when `depthwise`.
    pub(crate) outputs: usize,
    pub(crate) window: Window,
    /// Whether each channel has a kernel of its own (weights `[k·k, channels]`) instead of one
    /// over all of them (`[k·k·inputs, outputs]`).
    pub(crate) depthwise: bool,
    pub(crate) activation: Activation,
    /// Added to the variance of the batch norm.
    pub(crate) epsilon: f32,
}

/// What is added to the end of a block's path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shortcut {
    /// Nothing.
    None,
    /// The block's input.
    Identity,
    /// The block's input through this layer.
    Projection(Layer),
}

/// Layers in a row, and a way around them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Block {
    pub(crate) path: Vec<Layer>,
    pub(crate) shortcut: Shortcut,
    /// What follows the sum; the layers of the path have their own.
    pub(crate) activation: Activation,
}

/// One step of the way from pixels to features.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stage {
    Layer(Layer),
    MaxPool(Geometry),
    Block(Block),
}

/// A network from pictures to a map of features, without its numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Network {
    pub(crate) stages: Vec<Stage>,
    /// Channels of the last feature map.
    pub(crate) features: usize,
}

impl Layer {
    /// Full name of the convolution's weights.
    pub(crate) fn weights(&self) -> String {
        format!("{}.weight", self.conv)
    }

    /// Input values that each output value sums over.
    pub(crate) fn taps(&self) -> usize {
        let window = self.window.kernel * self.window.kernel;
        if self.depthwise { window } else { window * self.inputs }
    }

    /// Weights with He's initialisation (fan-out, as torchvision and TensorFlow's EfficientNet),
    /// and a batch norm that does nothing yet.
    fn add_parameters(&self, parameters: &mut Parameters, seed: Seed) {
        let kernel = self.window.kernel;
        let fan_out = kernel * kernel * if self.depthwise { 1 } else { self.outputs };
        parameters.add(
            self.weights(),
            &[self.taps(), self.outputs],
            Layout::Convolution { kernel },
            Init::Normal((2.0 / fan_out as f32).sqrt()),
            seed,
        );
        let (norm, size) = (&self.norm, self.outputs);
        let (scale, shift) = (Init::Constant(1.0), Init::Constant(0.0));
        parameters.add(format!("{norm}.weight"), &[size], Layout::Plain, scale, seed);
        parameters.add(format!("{norm}.bias"), &[size], Layout::Plain, shift, seed);
        parameters.add_statistic(format!("{norm}.running_mean"), size, 0.0);
        parameters.add_statistic(format!("{norm}.running_var"), size, 1.0);
    }

    /// Convolution, batch norm, activation.
    fn run(&self, pass: &Pass, x: Tensor<4>) -> Tensor<4> {
        let weights = pass.matrix(&self.weights());
        let x = if self.depthwise {
            ops::depthwise(x, weights, self.window)
        } else {
            ops::conv(x, weights, self.window)
        };
        pass.watch(&self.conv, &x);
        let gamma = pass.vector(&format!("{}.weight", self.norm));
        let beta = pass.vector(&format!("{}.bias", self.norm));
        let moments = Arc::new(self.moments(pass, &x));
        let mode = NormMode { epsilon: self.epsilon, activation: self.activation };
        let x = ops::batch_norm(x, gamma, beta, moments, mode);
        pass.watch(&self.norm, &x);
        x
    }

    /// The batch's own moments where the layer learns, the running ones elsewhere.
    fn moments(&self, pass: &Pass, x: &Tensor<4>) -> Moments {
        let learns = pass.parameter(&self.weights()).trainable;
        if pass.mode() == Mode::Training && learns {
            let moments = ops::moments(x);
            let [n, height, width, _] = x.dims();
            pass.note(&self.norm, &moments, n * height * width);
            return moments;
        }
        let running =
            |which| pass.parameter(&format!("{}.running_{which}", self.norm)).values.clone();
        Moments { mean: running("mean"), variance: running("var") }
    }
}

impl Layer {
    fn plan(&self) -> network::Layer {
        let Window { kernel, stride, padding } = self.window;
        let padding = match padding {
            Padding::Even(zeros) => network::Padding::Even(zeros),
            Padding::Same => network::Padding::Same,
        };
        let &Self { inputs, outputs, depthwise, activation, epsilon, .. } = self;
        network::Layer { inputs, outputs, kernel, stride, padding, depthwise, activation, epsilon }
    }
}

impl Block {
    fn plan(&self) -> network::Block {
        let shortcut = match &self.shortcut {
            Shortcut::None => network::Shortcut::None,
            Shortcut::Identity => network::Shortcut::Identity,
            Shortcut::Projection(layer) => network::Shortcut::Projection(layer.plan()),
        };
        let path = self.path.iter().map(Layer::plan).collect();
        network::Block { path, shortcut, activation: self.activation }
    }

    fn run(&self, pass: &Pass, x: Tensor<4>) -> Tensor<4> {
        let around = match &self.shortcut {
            Shortcut::None => None,
            Shortcut::Identity => Some(x.clone()),
            Shortcut::Projection(layer) => Some(layer.run(pass, x.clone())),
        };
        let out = self.path.iter().fold(x, |x, layer| layer.run(pass, x));
        match (around, self.activation) {
            (Some(around), Activation::Relu) => ops::add_relu(out, around),
            (Some(around), activation) => activated(out + around, activation),
            (None, activation) => activated(out, activation),
        }
    }
}

/// An activation that nothing of ours is fused with.
fn activated(x: Tensor<4>, activation: Activation) -> Tensor<4> {
    match activation {
        Activation::None => x,
        Activation::Relu => x.clamp_min(0.0),
        Activation::Relu6 => x.clamp(0.0, 6.0),
    }
}

impl Stage {
    /// Its layers: of a block the path, then the projection.
    fn layers(&self) -> Vec<&Layer> {
        match self {
            Self::Layer(layer) => vec![layer],
            Self::MaxPool(_) => Vec::new(),
            Self::Block(block) => {
                let mut layers: Vec<&Layer> = block.path.iter().collect();
                if let Shortcut::Projection(layer) = &block.shortcut {
                    layers.push(layer);
                }
                layers
            }
        }
    }

    fn plan(&self) -> network::Stage {
        match self {
            Self::Layer(layer) => network::Stage::Layer(layer.plan()),
            &Self::MaxPool(Geometry { kernel, stride, padding }) => {
                network::Stage::MaxPool { kernel, stride, padding }
            }
            Self::Block(block) => network::Stage::Block(block.plan()),
        }
    }

    /// How many times smaller the map is behind it, in each direction.
    fn stride(&self) -> usize {
        match self {
            Self::Layer(layer) => layer.window.stride,
            Self::MaxPool(geometry) => geometry.stride,
            Self::Block(block) => block.path.iter().map(|layer| layer.window.stride).product(),
        }
    }

    fn run(&self, pass: &Pass, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Layer(layer) => layer.run(pass, x),
            Self::MaxPool(geometry) => ops::max_pool(x, *geometry),
            Self::Block(block) => block.run(pass, x),
        }
    }
}

impl Network {
    /// Every layer, with the number of its resolution: 0 where the map is half as wide as the
    /// picture or wider, 1 at a quarter, 2 at an eighth, and so on.
    pub(crate) fn layers(&self) -> Vec<(usize, &Layer)> {
        let mut reduction = 1;
        let mut layers = Vec::new();
        for stage in &self.stages {
            reduction *= stage.stride();
            let resolution = (reduction.ilog2() as usize).saturating_sub(1);
            layers.extend(stage.layers().into_iter().map(|layer| (resolution, layer)));
        }
        layers
    }

    /// Adds fresh parameters of every layer.
    pub(crate) fn add_parameters(&self, parameters: &mut Parameters, seed: Seed) {
        for (_, layer) in self.layers() {
            layer.add_parameters(parameters, seed);
        }
    }

    /// Pictures -> the last feature map `[n, h, w, features]`.
    pub(crate) fn forward(&self, pass: &Pass, pixels: Pixels) -> Tensor<4> {
        let Pixels { shape: input, values: pixels } = pixels;
        if pass.goes_layer_by_layer() {
            let x = pass.tensor(pixels, &[input.n, input.height, input.width, input.channels]);
            return self.stages.iter().fold(x, |x, stage| stage.run(pass, x));
        }
        match pass.mode() {
            Mode::Training => {
                let source = Box::new(self.numbers(pass));
                let call = Arc::new(NetworkCall::new(self.plan(), source, input, pixels));
                let features = ops::network(pass.device(), &call);
                pass.note_call(call, self.names());
                features
            }
            Mode::Inference => {
                let folded = pass.folded(|| Folded::new(&self.plan(), &self.numbers(pass)));
                let (shape, features) = folded.run(input, &pixels);
                pass.tensor(features, &[shape.n, shape.height, shape.width, shape.channels])
            }
        }
    }

    fn names(&self) -> Vec<LayerNames> {
        self.layers().into_iter().map(|(_, layer)| LayerNames::of(layer)).collect()
    }

    fn numbers(&self, pass: &Pass) -> Numbers {
        Numbers { parameters: pass.parameters(), names: self.names() }
    }

    /// The convolution of every layer for `n` square pictures, in the order in which layers are
    /// counted.
    pub(crate) fn convolutions(&self, n: usize, side: usize) -> Vec<Convolution> {
        self.plan().convolutions(MapShape { n, height: side, width: side, channels: 3 })
    }

    /// The same without names, as the kernels know it.
    fn plan(&self) -> network::Network {
        network::Network { stages: self.stages.iter().map(Stage::plan).collect() }
    }
}

/// What the parameters of a layer are called.
#[derive(Clone, Debug)]
pub(crate) struct LayerNames {
    pub(crate) weights: String,
    /// The batch norm.
    pub(crate) norm: String,
    pub(crate) gamma: String,
    pub(crate) beta: String,
    mean: String,
    variance: String,
}

impl LayerNames {
    fn of(layer: &Layer) -> Self {
        let norm = &layer.norm;
        Self {
            weights: layer.weights(),
            norm: norm.clone(),
            gamma: format!("{norm}.weight"),
            beta: format!("{norm}.bias"),
            mean: format!("{norm}.running_mean"),
            variance: format!("{norm}.running_var"),
        }
    }
}

/// The numbers of a network, for the kernels.
struct Numbers {
    parameters: Arc<Parameters>,
    names: Vec<LayerNames>,
}

impl LayerSource for Numbers {
    fn layer(&self, number: usize) -> LayerParameters<'_> {
        let names = &self.names[number];
        let values = |name: &str| self.parameters.get(name).values.as_slice();
        LayerParameters {
            weights: values(&names.weights),
            gamma: values(&names.gamma),
            beta: values(&names.beta),
            mean: values(&names.mean),
            variance: values(&names.variance),
            learns: self.parameters.get(&names.weights).trainable,
        }
    }
}
