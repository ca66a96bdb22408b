//! Networks for pictures (convolutional networks) as a whole: convolutions with batch norm, blocks
//! with a shortcut, pools.
//!
//! One operation at a time, each result would be written, read by the next, and kept or thrown away
//! by somebody who does not know what follows. Here the whole is known: moments are taken while a
//! convolution's result is in the cache, a shortcut is added while its block is normalised,
//! gradients of two branches are summed by the product that makes one of them, and memory goes
//! from step to step ([`crate::cpu::buffers`]).
//!
//! [`Network::train`] keeps what [`Tape::backward`] needs; [`Folded`] is the same network with
//! each batch norm worked into the weights before it, for embedding.

mod folded;
mod training;

pub use folded::Folded;
pub use training::{LayerGradients, Seen, Tape};

use crate::layers::conv::{ConvShape, out_size};
use crate::layers::depthwise::{DepthwiseShape, same_padding};
use crate::layers::norm::Activation;
use crate::layers::pool::PoolShape;

/// Zeros around a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// As many on each side.
    Even(usize),
    /// TensorFlow's "SAME": the result is `size / stride` long, rounded up.
    Same,
}

/// A convolution with its batch norm and the activation after it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer {
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output; the same number when `depthwise`.
    pub outputs: usize,
    /// Height and width of the kernel.
    pub kernel: usize,
    /// Distance between kernel positions.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: Padding,
    /// Whether each channel has a kernel of its own.
    pub depthwise: bool,
    /// What follows the batch norm.
    pub activation: Activation,
    /// Added to the variance of the batch norm.
    pub epsilon: f32,
}

/// What is added to the end of a block's path.
#[derive(Clone, Debug, PartialEq)]
pub enum Shortcut {
    /// Nothing.
    None,
    /// The block's input.
    Identity,
    /// The block's input through this layer, which has no activation.
    Projection(Layer),
}

/// Layers in a row and a way around them. The last layer of a path with a shortcut has no
/// activation of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The layers in a row.
    pub path: Vec<Layer>,
    /// The way around them.
    pub shortcut: Shortcut,
    /// What follows the sum, none or a `ReLU`; without a shortcut none.
    pub activation: Activation,
}

/// One step of the way from pixels to features.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// A single layer.
    Layer(Layer),
    /// A max pool.
    MaxPool {
        /// Height and width of the window.
        kernel: usize,
        /// Distance between windows.
        stride: usize,
        /// Border of the input that no value comes from.
        padding: usize,
    },
    /// Layers with a way around them.
    Block(Block),
}

/// A network without its numbers. Its layers are counted in the order of the stages, in a block
/// the path before the projection.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// From pixels to features.
    pub stages: Vec<Stage>,
}

/// The numbers of one layer.
#[derive(Clone, Copy, Debug)]
pub struct LayerParameters<'a> {
    /// `[kernel * kernel * inputs, outputs]`, depthwise `[kernel * kernel, outputs]`.
    pub weights: &'a [f32],
    /// Factors of the batch norm, `[outputs]`.
    pub gamma: &'a [f32],
    /// Offsets of the batch norm, `[outputs]`.
    pub beta: &'a [f32],
    /// Running means, `[outputs]`.
    pub mean: &'a [f32],
    /// Running variances, `[outputs]`.
    pub variance: &'a [f32],
    /// Whether the layer learns: it then uses its batch's own moments. Layers that do not learn
    /// come before all that do.
    pub learns: bool,
    /// Whether it learns with its running moments in the place of its batch's, as constants.
    pub fixed_moments: bool,
}

/// Where the numbers of a network are.
pub trait LayerSource: Send + Sync {
    /// The numbers of layer `number`.
    fn layer(&self, number: usize) -> LayerParameters<'_>;
}

/// The sizes of a map of features, `[n, height, width, channels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapShape {
    /// Pictures.
    pub n: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Values of a position.
    pub channels: usize,
}

impl MapShape {
    /// Values of the map.
    pub fn values(&self) -> usize {
        self.n * self.height * self.width * self.channels
    }
}

impl Network {
    /// Its layers, in the order in which they are counted.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.stages.iter().flat_map(Stage::layers)
    }

    /// The convolution of every layer for a batch of these sizes, in the order in which layers are
    /// counted.
    pub fn convolutions(&self, mut input: MapShape) -> Vec<Convolution> {
        let mut all = Vec::new();
        for stage in &self.stages {
            let mut map = input;
            let (path, projection) = stage.parts();
            for layer in path {
                all.push(layer.convolution(map));
                map = layer.output(map);
            }
            all.extend(projection.map(|layer| layer.convolution(input)));
            input = stage.output(input);
        }
        all
    }
}

impl Stage {
    /// Its layers, in the order in which they are counted.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        let (path, projection) = self.parts();
        path.iter().chain(projection)
    }

    /// The layers in a row, and that of the way around them.
    pub fn parts(&self) -> (&[Layer], Option<&Layer>) {
        match self {
            Self::Layer(layer) => (std::slice::from_ref(layer), None),
            Self::MaxPool { .. } => (&[], None),
            Self::Block(Block { path, shortcut: Shortcut::Projection(layer), .. }) => {
                (path, Some(layer))
            }
            Self::Block(block) => (&block.path, None),
        }
    }

    /// The sizes of its result.
    fn output(&self, input: MapShape) -> MapShape {
        match self {
            Self::Layer(layer) => layer.output(input),
            &Self::MaxPool { kernel, stride, padding } => {
                pooled(&pool_shape(input, kernel, stride, padding))
            }
            Self::Block(block) => block.path.iter().fold(input, |map, layer| layer.output(map)),
        }
    }
}

impl Layer {
    /// The sizes of its result.
    fn output(&self, input: MapShape) -> MapShape {
        let after = |size: usize| {
            let (before, after) = self.zeros(size);
            out_size(size + before + after, self.kernel, self.stride, 0)
        };
        let (height, width) = (after(input.height), after(input.width));
        MapShape { n: input.n, height, width, channels: self.outputs }
    }

    /// Input values that each output value sums over.
    pub fn taps(&self) -> usize {
        let window = self.kernel * self.kernel;
        if self.depthwise { window } else { window * self.inputs }
    }

    /// Zeros before and after an axis of `size`.
    pub fn zeros(&self, size: usize) -> (usize, usize) {
        match self.padding {
            Padding::Even(zeros) => (zeros, zeros),
            Padding::Same => same_padding(size, self.kernel, self.stride),
        }
    }

    /// Zeros before and after rows and columns, when they are not the same on all sides.
    fn uneven_zeros(&self, input: MapShape) -> Option<[(usize, usize); 2]> {
        let [vertical, horizontal] = [self.zeros(input.height), self.zeros(input.width)];
        let same = vertical == horizontal && vertical.0 == vertical.1;
        (!same && !self.depthwise).then_some([vertical, horizontal])
    }

    /// Its convolution; zeros that are not the same on all sides are part of the input.
    fn convolution(&self, input: MapShape) -> Convolution {
        if self.depthwise {
            return Convolution::Depthwise(self.depthwise(input));
        }
        let [(top, bottom), (left, right)] = [self.zeros(input.height), self.zeros(input.width)];
        if self.uneven_zeros(input).is_none() {
            return Convolution::Full(self.conv(input, top));
        }
        let (height, width) = (input.height + top + bottom, input.width + left + right);
        Convolution::Full(self.conv(MapShape { height, width, ..input }, 0))
    }

    /// The convolution of a full kernel over a map whose zeros are even, or already there.
    fn conv(&self, input: MapShape, padding: usize) -> ConvShape {
        let &Self { inputs, outputs, kernel, stride, .. } = self;
        assert_eq!(input.channels, inputs, "channels of the input of {self:?}");
        let MapShape { n, height, width, .. } = input;
        ConvShape { n, height, width, inputs, outputs, kernel, stride, padding }
    }

    fn depthwise(&self, input: MapShape) -> DepthwiseShape {
        let &Self { kernel, stride, .. } = self;
        let ((top, bottom), (left, right)) = (self.zeros(input.height), self.zeros(input.width));
        let MapShape { n, height, width, channels } = input;
        let (before, after) = ([top, left], [bottom, right]);
        DepthwiseShape { n, height, width, channels, kernel, stride, before, after }
    }
}

/// The sizes of one layer's convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convolution {
    /// Every output sees all inputs.
    Full(ConvShape),
    /// Each channel has a kernel of its own.
    Depthwise(DepthwiseShape),
}

impl Convolution {
    /// Multiplications of a pass forward, those with zeros around the picture included.
    pub fn multiplications(&self) -> usize {
        match self {
            Self::Full(shape) => shape.rows() * shape.taps() * shape.outputs,
            Self::Depthwise(shape) => self.output().values() * shape.kernel * shape.kernel,
        }
    }

    fn output(&self) -> MapShape {
        match self {
            Self::Full(shape) => MapShape {
                n: shape.n,
                height: shape.out_height(),
                width: shape.out_width(),
                channels: shape.outputs,
            },
            Self::Depthwise(shape) => MapShape {
                n: shape.n,
                height: shape.out_height(),
                width: shape.out_width(),
                channels: shape.channels,
            },
        }
    }
}

/// A max pool over a map.
fn pool_shape(input: MapShape, kernel: usize, stride: usize, padding: usize) -> PoolShape {
    let MapShape { n, height, width, channels } = input;
    PoolShape { n, height, width, channels, kernel, stride, padding }
}

fn pooled(shape: &PoolShape) -> MapShape {
    let (height, width) = (shape.out_height(), shape.out_width());
    MapShape { n: shape.n, height, width, channels: shape.channels }
}

/// `to` is `x` with zeros before and after its rows and columns.
fn pad(input: MapShape, x: &[f32], zeros: [(usize, usize); 2], to: &mut [f32]) {
    let [(top, _), (left, right)] = zeros;
    let row = input.width * input.channels;
    let wide = row + (left + right) * input.channels;
    let high = to.len() / input.n.max(1) / wide.max(1);
    to.fill(0.0);
    for (number, x) in x.chunks_exact(row.max(1)).enumerate() {
        let (picture, y) = (number / input.height, number % input.height);
        let start = (picture * high + top + y) * wide + left * input.channels;
        to[start..start + row].copy_from_slice(x);
    }
}

/// What [`pad`] undoes: `to`, of the sizes `inside`, is `x` of this height and width without the zeros.
fn crop(
    [height, width]: [usize; 2],
    x: &[f32],
    [(top, _), (left, _)]: [(usize, usize); 2],
    inside: MapShape,
    to: &mut [f32],
) {
    let (row, wide) = (inside.width * inside.channels, width * inside.channels);
    for (number, to) in to.chunks_exact_mut(row.max(1)).enumerate() {
        let (picture, y) = (number / inside.height, number % inside.height);
        let start = (picture * height + top + y) * wide + left * inside.channels;
        to.copy_from_slice(&x[start..start + row]);
    }
}

#[cfg(test)]
mod tests;
