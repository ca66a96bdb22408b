//! `ResNet` (He et al., 2016) in torchvision's form.
//!
//! torchvision's ResNet50 has its stride in the 3x3 convolution of a block ("v1.5"); names are
//! torchvision's, below `image.`.

use super::network::{Block, Layer, Network, PREFIX, Shortcut, Stage};
use super::preprocessing::PixelScale;
use crate::ops::{Activation, Geometry, Padding, Window};

const EPSILON: f32 = 1e-5;

/// ImageNet's mean and standard deviation of red, green and blue, on a scale of 0 to 1.
pub(super) const PIXELS: PixelScale =
    PixelScale { mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] };

/// Which of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResNet {
    /// Two 3x3 convolutions a block.
    Eighteen,
    /// Bottleneck blocks.
    Fifty,
}

/// Channels inside a block and number of blocks of each stage.
const STAGES_18: [(usize, usize); 4] = [(64, 2), (128, 2), (256, 2), (512, 2)];
const STAGES_50: [(usize, usize); 4] = [(64, 3), (128, 4), (256, 6), (512, 3)];

const STEM_POOL: Geometry = Geometry { kernel: 3, stride: 2, padding: 1 };

/// Where a block stands and how large it is.
struct Place {
    name: String,
    inputs: usize,
    width: usize,
    outputs: usize,
    stride: usize,
}

impl ResNet {
    pub(super) fn network(self) -> Network {
        let stem = layer(&format!("{PREFIX}conv1"), &format!("{PREFIX}bn1"), 3, 64, 7, 2);
        let mut stages = vec![Stage::Layer(stem), Stage::MaxPool(STEM_POOL)];
        let (sizes, widening) = match self {
            Self::Eighteen => (STAGES_18, 1),
            Self::Fifty => (STAGES_50, 4),
        };
        let mut inputs = 64;
        for (stage, (width, count)) in sizes.into_iter().enumerate() {
            for number in 0..count {
                let stride = if stage > 0 && number == 0 { 2 } else { 1 };
                let name = format!("{PREFIX}layer{}.{number}", stage + 1);
                let outputs = width * widening;
                let place = Place { name, inputs, width, outputs, stride };
                stages.push(Stage::Block(self.block(&place)));
                inputs = outputs;
            }
        }
        Network { stages, features: inputs }
    }

    fn block(self, place: &Place) -> Block {
        let shortcut = if place.stride != 1 || place.inputs != place.outputs {
            Shortcut::Projection(projection(place))
        } else {
            Shortcut::Identity
        };
        Block { path: self.path(place), shortcut, activation: Activation::Relu }
    }

    /// The convolutions along the block's main path.
    fn path(self, place: &Place) -> Vec<Layer> {
        let step = |number: usize, inputs, outputs, kernel, stride| {
            let (conv, norm) =
                (format!("{}.conv{number}", place.name), format!("{}.bn{number}", place.name));
            layer(&conv, &norm, inputs, outputs, kernel, stride)
        };
        let (width, stride) = (place.width, place.stride);
        let mut path = match self {
            Self::Eighteen => {
                vec![step(1, place.inputs, width, 3, stride), step(2, width, width, 3, 1)]
            }
            Self::Fifty => vec![
                step(1, place.inputs, width, 1, 1),
                step(2, width, width, 3, stride),
                step(3, width, place.outputs, 1, 1),
            ],
        };
        if let Some(last) = path.last_mut() {
            last.activation = Activation::None; // it follows the sum
        }
        path
    }
}

fn projection(place: &Place) -> Layer {
    let (conv, norm) =
        (format!("{}.downsample.0", place.name), format!("{}.downsample.1", place.name));
    let layer = layer(&conv, &norm, place.inputs, place.outputs, 1, place.stride);
    Layer { activation: Activation::None, ..layer }
}

/// A convolution that keeps the size (but for its stride), followed by a `ReLU`.
fn layer(
    conv: &str,
    norm: &str,
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
) -> Layer {
    Layer {
        conv: conv.to_owned(),
        norm: norm.to_owned(),
        inputs,
        outputs,
        window: Window { kernel, stride, padding: Padding::Even(kernel / 2) },
        depthwise: false,
        activation: Activation::Relu,
        epsilon: EPSILON,
    }
}
