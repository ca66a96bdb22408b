//! `ResNet` (He et al., 2016) in torchvision's form.
//!
//! torchvision's ResNet50 has its stride in the 3x3 convolution of a block ("v1.5"); names are
//! torchvision's, below `image.`.

use looksee_kernels::layers::norm::Activation;
use looksee_kernels::network::{Block, Layer, Padding, Shortcut, Stage};

use super::network::{Description, Network};
use super::preprocessing::PixelScale;

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

const STEM_POOL: Stage = Stage::MaxPool { kernel: 3, stride: 2, padding: 1 };

/// Where a block stands and how large it is.
struct BlockPlace {
    name: String,
    inputs: usize,
    width: usize,
    outputs: usize,
    stride: usize,
}

impl ResNet {
    pub(super) fn network(self) -> Network {
        let mut description = Description::default();
        let stem = description.named("conv1", "bn1", layer([3, 64], 7, 2));
        description.push(Stage::Layer(stem));
        description.push(STEM_POOL);
        let (sizes, widening) = match self {
            Self::Eighteen => (STAGES_18, 1),
            Self::Fifty => (STAGES_50, 4),
        };
        let mut inputs = 64;
        for (stage, (width, count)) in sizes.into_iter().enumerate() {
            for number in 0..count {
                let stride = if stage > 0 && number == 0 { 2 } else { 1 };
                let name = format!("layer{}.{number}", stage + 1);
                let outputs = width * widening;
                let place = BlockPlace { name, inputs, width, outputs, stride };
                let block = self.block(&mut description, &place);
                description.push(Stage::Block(block));
                inputs = outputs;
            }
        }
        description.finish()
    }

    fn block(self, description: &mut Description, place: &BlockPlace) -> Block {
        let path = self.path(description, place);
        let shortcut = if place.stride != 1 || place.inputs != place.outputs {
            Shortcut::Projection(projection(description, place))
        } else {
            Shortcut::Identity
        };
        Block { path, shortcut, activation: Activation::Relu }
    }

    /// The convolutions along the block's main path.
    fn path(self, description: &mut Description, place: &BlockPlace) -> Vec<Layer> {
        let &BlockPlace { ref name, inputs, width, outputs, stride } = place;
        let mut step = |number: usize, layer| {
            description.named(&format!("{name}.conv{number}"), &format!("{name}.bn{number}"), layer)
        };
        let mut path = match self {
            Self::Eighteen => vec![
                step(1, layer([inputs, width], 3, stride)),
                step(2, layer([width, width], 3, 1)),
            ],
            Self::Fifty => vec![
                step(1, layer([inputs, width], 1, 1)),
                step(2, layer([width, width], 3, stride)),
                step(3, layer([width, outputs], 1, 1)),
            ],
        };
        if let Some(last) = path.last_mut() {
            last.activation = Activation::None; // it follows the sum
        }
        path
    }
}

fn projection(description: &mut Description, place: &BlockPlace) -> Layer {
    let (conv, norm) =
        (format!("{}.downsample.0", place.name), format!("{}.downsample.1", place.name));
    let layer = layer([place.inputs, place.outputs], 1, place.stride);
    description.named(&conv, &norm, Layer { activation: Activation::None, ..layer })
}

/// A convolution that keeps the size (but for its stride), followed by a `ReLU`.
fn layer([inputs, outputs]: [usize; 2], kernel: usize, stride: usize) -> Layer {
    Layer {
        inputs,
        outputs,
        kernel,
        stride,
        padding: Padding::Even(kernel / 2),
        depthwise: false,
        activation: Activation::Relu,
        epsilon: EPSILON,
    }
}
