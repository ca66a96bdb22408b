//! A convolutional network as a value: the layers of [`looksee_kernels::network`], and beside them
//! the names of their parameters.
//!
//! [`super::resnet`] and [`super::efficientnet`] write such descriptions; whoever needs to know a
//! network walks one: this module for fresh parameters and for a pass, `Freeze` for which layers
//! keep their weights. No network has code of its own for any of that. On the CPU a pass is one
//! operation; elsewhere, and where somebody wants to see what comes out of each layer, it is the
//! framework's own operations one by one.

use std::sync::Arc;

use burn::tensor::Tensor;
use looksee_kernels::layers::norm::Moments;
use looksee_kernels::network::{
    self, Block, Folded, Layer, LayerParameters, LayerSource, Shortcut, Stage,
};

use super::parameters::{Init, Layout, Mode, Parameters, Pass};
use super::preprocessing::Pixels;
use crate::ops::{self, NetworkCall, composed};
use crate::units::Seed;

/// Before the name of every parameter of an image tower.
pub(crate) const PREFIX: &str = "image.";

/// A network from pictures to a map of features, without its numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Network {
    layers: network::Network,
    /// Of each layer, in the order in which the kernels count them.
    names: Arc<[LayerNames]>,
}

/// A network that is being described.
#[derive(Debug, Default)]
pub(super) struct Description {
    stages: Vec<Stage>,
    names: Vec<LayerNames>,
}

impl Description {
    /// Names the next layer: layers are named in the order in which the kernels count them, in a
    /// block the path before the projection. The names are those of the original, of its
    /// convolution and of its batch norm.
    pub(super) fn named(&mut self, conv: &str, norm: &str, layer: Layer) -> Layer {
        self.names.push(LayerNames::new(conv, norm));
        layer
    }

    /// Adds what comes next on the way from pixels to features.
    pub(super) fn push(&mut self, stage: Stage) {
        self.stages.push(stage);
    }

    /// The whole of it.
    pub(super) fn finish(self) -> Network {
        let layers = network::Network { stages: self.stages };
        assert_eq!(self.names.len(), layers.layers().count(), "one name a layer");
        Network { layers, names: self.names.into() }
    }
}

/// What the parameters of a layer are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LayerNames {
    /// The convolution.
    pub(crate) conv: String,
    pub(crate) weights: String,
    /// The batch norm.
    pub(crate) norm: String,
    pub(crate) gamma: String,
    pub(crate) beta: String,
    mean: String,
    variance: String,
}

impl LayerNames {
    fn new(conv: &str, norm: &str) -> Self {
        let (conv, norm) = (format!("{PREFIX}{conv}"), format!("{PREFIX}{norm}"));
        Self {
            weights: format!("{conv}.weight"),
            gamma: format!("{norm}.weight"),
            beta: format!("{norm}.bias"),
            mean: format!("{norm}.running_mean"),
            variance: format!("{norm}.running_var"),
            conv,
            norm,
        }
    }
}

impl Network {
    /// Channels of the last feature map.
    pub(crate) fn features(&self) -> usize {
        let mut paths = self.layers.stages.iter().filter_map(|stage| stage.parts().0.last());
        paths.next_back().map_or(0, |layer| layer.outputs)
    }

    /// The number of the resolution of every layer: 0 where the map is half as wide as the picture
    /// or wider, 1 at a quarter, 2 at an eighth, and so on.
    pub(crate) fn resolutions(&self) -> impl Iterator<Item = (usize, &LayerNames)> {
        let mut reduction = 1;
        let of_stage = self.layers.stages.iter().flat_map(move |stage| {
            reduction *= stride(stage);
            let resolution = (reduction.ilog2() as usize).saturating_sub(1);
            stage.layers().map(move |_| resolution)
        });
        of_stage.zip(self.names.iter())
    }

    /// Adds fresh parameters of every layer.
    pub(crate) fn add_parameters(&self, parameters: &mut Parameters, seed: Seed) {
        for (layer, names) in self.layers.layers().zip(self.names.iter()) {
            add_parameters(layer, names, parameters, seed);
        }
    }

    /// Pictures -> the last feature map `[n, h, w, features]`.
    pub(crate) fn forward(&self, pass: &Pass, pixels: Pixels) -> Tensor<4> {
        let Pixels { shape: input, values: pixels, .. } = pixels;
        if pass.goes_layer_by_layer() {
            let x = pass.tensor(pixels, &[input.n, input.height, input.width, input.channels]);
            return self.walk(pass, x);
        }
        match pass.mode() {
            Mode::Training => {
                let source = Box::new(self.numbers(pass));
                let call = Arc::new(NetworkCall::new(self.layers.clone(), source, input, pixels));
                let features = ops::network(pass.device(), &call);
                pass.note_call(call, Arc::clone(&self.names));
                features
            }
            Mode::Inference => {
                let folded = pass.folded(|| Folded::new(&self.layers, &self.numbers(pass)));
                let (shape, features) = folded.run(input, &pixels);
                pass.tensor(features, &[shape.n, shape.height, shape.width, shape.channels])
            }
        }
    }

    /// The same, each operation by itself.
    fn walk(&self, pass: &Pass, x: Tensor<4>) -> Tensor<4> {
        let mut walk = Walk { pass, names: self.names.iter() };
        self.layers.stages.iter().fold(x, |x, stage| walk.stage(stage, x))
    }

    fn numbers(&self, pass: &Pass) -> Numbers {
        Numbers {
            parameters: pass.parameters(),
            names: Arc::clone(&self.names),
            fixed_moments: pass.has_fixed_moments(),
        }
    }

    /// From pixels to features.
    #[cfg(test)]
    pub(super) fn stages(&self) -> &[Stage] {
        &self.layers.stages
    }

    /// The convolution of every layer for `n` square pictures, in the order in which layers are
    /// counted.
    #[cfg(any(test, feature = "bench"))]
    pub(crate) fn convolutions(&self, n: usize, side: usize) -> Vec<network::Convolution> {
        self.layers.convolutions(network::MapShape { n, height: side, width: side, channels: 3 })
    }
}

/// How many times smaller the map is behind a stage, in each direction.
fn stride(stage: &Stage) -> usize {
    match stage {
        Stage::MaxPool { stride, .. } => *stride,
        _ => stage.parts().0.iter().map(|layer| layer.stride).product(),
    }
}

/// Weights with He's initialisation (fan-out, as torchvision and TensorFlow's EfficientNet), and a
/// batch norm that does nothing yet.
fn add_parameters(layer: &Layer, names: &LayerNames, parameters: &mut Parameters, seed: Seed) {
    let (kernel, size) = (layer.kernel, layer.outputs);
    let fan_out = kernel * kernel * if layer.depthwise { 1 } else { size };
    let init = Init::Normal((2.0 / fan_out as f32).sqrt());
    let layout = Layout::Convolution { kernel };
    parameters.add(&names.weights, &[layer.taps(), size], layout, init, seed);
    parameters.add(&names.gamma, &[size], Layout::Plain, Init::Constant(1.0), seed);
    parameters.add(&names.beta, &[size], Layout::Plain, Init::Constant(0.0), seed);
    parameters.add_statistic(&names.mean, size, 0.0);
    parameters.add_statistic(&names.variance, size, 1.0);
}

/// A way through a network by the framework's own operations, each layer watched.
struct Walk<'a> {
    pass: &'a Pass,
    /// Of the layers to come.
    names: std::slice::Iter<'a, LayerNames>,
}

impl Walk<'_> {
    fn stage(&mut self, stage: &Stage, x: Tensor<4>) -> Tensor<4> {
        match stage {
            Stage::Layer(layer) => self.layer(layer, x),
            &Stage::MaxPool { kernel, stride, padding } => {
                composed::max_pool(x, kernel, stride, padding)
            }
            Stage::Block(block) => self.block(block, x),
        }
    }

    fn block(&mut self, block: &Block, x: Tensor<4>) -> Tensor<4> {
        let out = block.path.iter().fold(x.clone(), |x, layer| self.layer(layer, x));
        let sum = match &block.shortcut {
            Shortcut::None => out,
            Shortcut::Identity => out + x,
            Shortcut::Projection(layer) => out + self.layer(layer, x),
        };
        composed::activated(sum, block.activation)
    }

    /// Convolution, batch norm, activation.
    fn layer(&mut self, layer: &Layer, x: Tensor<4>) -> Tensor<4> {
        let (pass, names) = (self.pass, self.names.next().expect("one name a layer"));
        let x = composed::convolution(x, pass.matrix(&names.weights), layer);
        pass.watch(&names.conv, &x);
        let (gamma, beta) = (pass.vector(&names.gamma), pass.vector(&names.beta));
        let running = running_moments(pass, names, &x);
        let x = composed::batch_norm(x, gamma, beta, running.as_ref(), layer.epsilon);
        let x = composed::activated(x, layer.activation);
        pass.watch(&names.norm, &x);
        x
    }
}

/// The moments of a layer that does not learn; one that does goes by its batch's own, which are
/// noted.
fn running_moments(pass: &Pass, names: &LayerNames, x: &Tensor<4>) -> Option<Moments> {
    let learns = pass.mode() == Mode::Training && pass.parameter(&names.weights).trainable;
    if learns && !pass.has_fixed_moments() {
        let [n, height, width, _] = x.dims();
        pass.note(&names.norm, &composed::moments(x), n * height * width);
        return None;
    }
    if pass.measures() {
        let [n, height, width, _] = x.dims();
        pass.note(&names.norm, &composed::moments(x), n * height * width);
    }
    let running = |name: &str| pass.parameter(name).values.clone();
    Some(Moments { mean: running(&names.mean), variance: running(&names.variance) })
}

/// The numbers of a network, for the kernels.
struct Numbers {
    parameters: Arc<Parameters>,
    names: Arc<[LayerNames]>,
    fixed_moments: bool,
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
            fixed_moments: self.fixed_moments,
        }
    }
}

#[cfg(test)]
mod tests;
