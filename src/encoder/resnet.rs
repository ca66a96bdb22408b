//! `ResNet` (He et al., 2016) in torchvision's form.
//!
//! torchvision's bottleneck blocks have their stride in the 3x3 convolution ("v1.5"); names are
//! torchvision's, which timm has too, below `image.`.

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
    /// The same blocks, twice as many.
    ThirtyFour,
    /// Bottleneck blocks.
    Fifty,
    /// Bottleneck blocks, twice as many.
    HundredAndOne,
}

/// What a block is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BlockKind {
    /// Two 3x3 convolutions.
    Basic,
    /// A 3x3 convolution between two 1x1, of which the last widens four times.
    Bottleneck,
}

/// Channels inside a block of each stage.
const WIDTHS: [usize; 4] = [64, 128, 256, 512];

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
    /// What the blocks are, and how many of them each stage has (table 1 of the paper).
    fn blocks(self) -> (BlockKind, [usize; 4]) {
        match self {
            Self::Eighteen => (BlockKind::Basic, [2, 2, 2, 2]),
            Self::ThirtyFour => (BlockKind::Basic, [3, 4, 6, 3]),
            Self::Fifty => (BlockKind::Bottleneck, [3, 4, 6, 3]),
            Self::HundredAndOne => (BlockKind::Bottleneck, [3, 4, 23, 3]),
        }
    }

    pub(super) fn network(self) -> Network {
        let mut description = Description::default();
        let stem = description.named("conv1", "bn1", layer([3, 64], 7, 2));
        description.push(Stage::Layer(stem));
        description.push(STEM_POOL);
        let (kind, counts) = self.blocks();
        let mut inputs = 64;
        for (stage, (width, count)) in WIDTHS.into_iter().zip(counts).enumerate() {
            for number in 0..count {
                let stride = if stage > 0 && number == 0 { 2 } else { 1 };
                let name = format!("layer{}.{number}", stage + 1);
                let outputs = width * kind.widening();
                let place = BlockPlace { name, inputs, width, outputs, stride };
                let block = kind.block(&mut description, &place);
                description.push(Stage::Block(block));
                inputs = outputs;
            }
        }
        description.finish()
    }
}

impl BlockKind {
    /// How many times more channels leave a block than it has inside.
    fn widening(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
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
            Self::Basic => vec![
                step(1, layer([inputs, width], 3, stride)),
                step(2, layer([width, width], 3, 1)),
            ],
            Self::Bottleneck => vec![
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
