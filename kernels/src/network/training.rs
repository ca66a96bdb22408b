//! The forward pass that remembers (on a tape), and the way back (backpropagation).

use std::sync::Arc;

use super::{
    Block, Convolution, Layer, LayerSource, MapShape, Network, Shortcut, Stage, crop, pad,
    pool_shape, pooled,
};
use crate::cpu::buffers::{self, Buffer};
use crate::cpu::parallel::in_pool;
use crate::layers::conv::{self, ConvShape};
use crate::layers::depthwise::{self, Epilogue};
use crate::layers::elementwise::add_assign;
use crate::layers::norm::{self, Activation, Moments, Norm, NormGradients};
use crate::layers::pool::{self, PoolShape};

/// The moments of a batch at one layer that learns.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The layer's number.
    pub layer: usize,
    /// Mean and variance of each channel.
    pub moments: Moments,
    /// How many rows they were taken over.
    pub rows: usize,
}

/// The gradients of one layer's parameters.
#[derive(Debug)]
pub struct LayerGradients {
    /// The layer's number.
    pub layer: usize,
    /// Of the weights, in their layout; to be given back with [`crate::cpu::buffers::give`].
    pub weights: Vec<f32>,
    /// Of the batch norm's factors and offsets.
    pub norm: NormGradients,
}

/// A map of features with its values.
#[derive(Debug)]
struct Map {
    shape: MapShape,
    values: Buffer,
}

impl Map {
    fn new(shape: MapShape) -> Self {
        Self { shape, values: Buffer::new(shape.values()) }
    }
}

/// What a layer's way back needs.
#[derive(Debug)]
struct LayerTape {
    number: usize,
    layer: Layer,
    convolution: Convolution,
    /// With the zeros around it that are not the same on all sides.
    input: Arc<Map>,
    /// The sizes of the input without those zeros, if there are any.
    without_zeros: Option<MapShape>,
    /// The convolution's result, before the batch norm.
    raw: Buffer,
    moments: Moments,
}

#[derive(Debug)]
enum StageTape {
    Layer(Box<LayerTape>),
    MaxPool(PoolShape, Arc<Map>),
    Block(Box<BlockTape>),
}

#[derive(Debug)]
struct BlockTape {
    path: Vec<LayerTape>,
    around: ShortcutTape,
    activation: Activation,
    output: Arc<Map>,
}

#[derive(Debug)]
enum ShortcutTape {
    Nothing,
    Identity,
    Projection(Box<LayerTape>),
}

/// What [`Network::train`] keeps for the way back.
#[derive(Debug)]
pub struct Tape {
    /// The stages from the first that learns on.
    stages: Vec<StageTape>,
    output: Arc<Map>,
    seen: Vec<Seen>,
}

impl Network {
    /// The features of a batch, `x` of the sizes of `input`, with batch moments where a layer
    /// learns and its moments are not fixed; they and all that the way back needs are in the result.
    ///
    /// # Panics
    /// When a length does not follow from the sizes.
    pub fn train(&self, source: &dyn LayerSource, input: MapShape, x: &[f32]) -> Tape {
        assert_eq!(x.len(), input.values(), "values of {input:?}");
        in_pool(|| self.walk(source, input, x))
    }

    fn walk(&self, source: &dyn LayerSource, input: MapShape, x: &[f32]) -> Tape {
        let mut first = Map::new(input);
        first.values.copy_from_slice(x);
        let mut walk = Walk { source, next: 0, learning: false, seen: Vec::new() };
        let mut map = Arc::new(first);
        let mut stages = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            let (output, tape) = walk.stage(stage, &map);
            // What comes before all learning is not gone back through.
            if walk.learning {
                stages.push(tape);
            }
            map = output;
        }
        Tape { stages, output: map, seen: walk.seen }
    }
}

/// A forward pass on its way.
struct Walk<'a> {
    source: &'a dyn LayerSource,
    next: usize,
    /// Whether a layer has come that learns.
    learning: bool,
    seen: Vec<Seen>,
}

impl Walk<'_> {
    fn stage(&mut self, stage: &Stage, input: &Arc<Map>) -> (Arc<Map>, StageTape) {
        match stage {
            Stage::Layer(layer) => {
                let tape = self.convolve(layer, input);
                let output = Arc::new(self.normalise(&tape, None, layer.activation));
                (output, StageTape::Layer(Box::new(tape)))
            }
            &Stage::MaxPool { kernel, stride, padding } => {
                let shape = pool_shape(input.shape, kernel, stride, padding);
                let mut output = Map::new(pooled(&shape));
                pool::max_forward(&shape, &input.values, &mut output.values);
                (Arc::new(output), StageTape::MaxPool(shape, Arc::clone(input)))
            }
            Stage::Block(block) => {
                let tape = self.block(block, input);
                (Arc::clone(&tape.output), StageTape::Block(Box::new(tape)))
            }
        }
    }

    fn block(&mut self, block: &Block, input: &Arc<Map>) -> BlockTape {
        let (last, before) = block.path.split_last().expect("a block has at least one layer");
        let mut path = Vec::with_capacity(block.path.len());
        let mut x = Arc::clone(input);
        for layer in before {
            let tape = self.convolve(layer, &x);
            x = Arc::new(self.normalise(&tape, None, layer.activation));
            path.push(tape);
        }
        let end = self.convolve(last, &x);
        let (output, around) = match &block.shortcut {
            Shortcut::None => (self.normalise(&end, None, last.activation), ShortcutTape::Nothing),
            Shortcut::Identity => {
                (self.normalise(&end, Some(input), block.activation), ShortcutTape::Identity)
            }
            Shortcut::Projection(layer) => {
                let tape = self.convolve(layer, input);
                let projected = self.normalise(&tape, None, Activation::None);
                let output = self.normalise(&end, Some(&projected), block.activation);
                (output, ShortcutTape::Projection(Box::new(tape)))
            }
        };
        path.push(end);
        BlockTape { path, around, activation: block.activation, output: Arc::new(output) }
    }

    /// The convolution of the next layer, with its moments.
    fn convolve(&mut self, layer: &Layer, input: &Arc<Map>) -> LayerTape {
        let number = self.next;
        self.next += 1;
        let numbers = self.source.layer(number);
        self.learning |= numbers.learns;
        let own_moments = numbers.learns && !numbers.fixed_moments;
        let without_zeros = layer.uneven_zeros(input.shape).map(|_| input.shape);
        let (input, convolution) = prepared(layer, input);
        let output = convolution.output();
        let mut raw = Buffer::new(output.values());
        let batch = match convolution {
            Convolution::Full(shape) if own_moments => {
                Some(conv::forward_with_moments(&shape, &input.values, numbers.weights, &mut raw))
            }
            Convolution::Full(shape) => {
                conv::forward(&shape, &input.values, numbers.weights, &mut raw);
                None
            }
            Convolution::Depthwise(shape) => {
                let x = &input.values;
                depthwise::forward(&shape, x, numbers.weights, Epilogue::NONE, &mut raw);
                own_moments.then(|| norm::moments(&raw, output.channels))
            }
        };
        let moments = match batch {
            Some(moments) => {
                let rows = output.n * output.height * output.width;
                self.seen.push(Seen { layer: number, moments: moments.clone(), rows });
                moments
            }
            None => Moments { mean: numbers.mean.to_vec(), variance: numbers.variance.to_vec() },
        };
        LayerTape { number, layer: *layer, convolution, input, without_zeros, raw, moments }
    }

    /// The batch norm of a convolution's result, with what is added to it.
    fn normalise(&self, tape: &LayerTape, residual: Option<&Map>, activation: Activation) -> Map {
        let norm = tape.norm(self.source);
        let mut output = Map::new(tape.convolution.output());
        let channels = output.shape.channels;
        match residual {
            Some(residual) => norm::normalise_add(
                &tape.raw,
                channels,
                &norm,
                &residual.values,
                activation,
                &mut output.values,
            ),
            None => norm::normalise(&tape.raw, channels, &norm, activation, &mut output.values),
        }
        output
    }
}

/// The layer's input with zeros where the convolution does not know them, and the convolution.
fn prepared(layer: &Layer, input: &Arc<Map>) -> (Arc<Map>, Convolution) {
    let convolution = layer.convolution(input.shape);
    match (convolution, layer.uneven_zeros(input.shape)) {
        (Convolution::Full(ConvShape { height, width, .. }), Some(zeros)) => {
            let mut padded = Map::new(MapShape { height, width, ..input.shape });
            pad(input.shape, &input.values, zeros, &mut padded.values);
            (Arc::new(padded), convolution)
        }
        _ => (Arc::clone(input), convolution),
    }
}

impl LayerTape {
    fn norm<'a>(&'a self, source: &'a dyn LayerSource) -> Norm<'a> {
        let numbers = source.layer(self.number);
        Norm {
            moments: &self.moments,
            epsilon: self.layer.epsilon,
            gamma: numbers.gamma,
            beta: numbers.beta,
            fixed: !numbers.learns || numbers.fixed_moments,
        }
    }
}

impl Tape {
    /// The sizes of the features.
    pub fn shape(&self) -> MapShape {
        self.output.shape
    }

    /// The features.
    pub fn features(&self) -> &[f32] {
        &self.output.values
    }

    /// The moments of all layers that learn, in the order of their numbers within each block.
    pub fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// The gradients of all layers that learn, from that of the features.
    ///
    /// # Panics
    /// When `dout` has not as many values as the features.
    pub fn backward(self, source: &dyn LayerSource, dout: &[f32]) -> Vec<LayerGradients> {
        assert_eq!(dout.len(), self.output.values.len(), "values of the features' gradient");
        in_pool(|| self.walk_back(source, dout))
    }

    fn walk_back(self, source: &dyn LayerSource, dout: &[f32]) -> Vec<LayerGradients> {
        let Self { stages, output, .. } = self;
        drop(output);
        let mut gradient = Buffer::new(dout.len());
        gradient.copy_from_slice(dout);
        let mut back = Back { source, gradients: Vec::new() };
        for (number, stage) in stages.into_iter().enumerate().rev() {
            gradient = back.stage(stage, gradient, number > 0);
        }
        back.gradients
    }
}

/// A backward pass on its way.
struct Back<'a> {
    source: &'a dyn LayerSource,
    gradients: Vec<LayerGradients>,
}

impl Back<'_> {
    /// The gradient of the stage's input, when it is `wanted`.
    fn stage(&mut self, tape: StageTape, mut gradient: Buffer, wanted: bool) -> Buffer {
        match tape {
            StageTape::Layer(tape) => {
                self.through_norm(&tape, tape.layer.activation, &mut gradient);
                self.through_convolution(&tape, &gradient, wanted)
            }
            StageTape::MaxPool(shape, input) => {
                let mut dx = Buffer::new(if wanted { input.values.len() } else { 0 });
                if wanted {
                    pool::max_backward(&shape, &input.values, &gradient, &mut dx);
                }
                dx
            }
            StageTape::Block(tape) => self.block(*tape, gradient, wanted),
        }
    }

    fn block(&mut self, tape: BlockTape, mut gradient: Buffer, wanted: bool) -> Buffer {
        let BlockTape { mut path, around, activation, output } = tape;
        let end = path.pop().expect("a block has at least one layer");
        if matches!(around, ShortcutTape::Nothing) {
            self.through_norm(&end, end.layer.activation, &mut gradient);
            path.push(end);
            return self.path(path, gradient, wanted);
        }
        // `gradient` becomes that of both terms of the sum, `inner` goes on along the path.
        let mut inner = Buffer::new(gradient.len());
        let channels = output.shape.channels;
        if activation == Activation::None {
            inner.copy_from_slice(&gradient);
            self.through_norm(&end, Activation::None, &mut inner);
        } else {
            let norm = end.norm(self.source);
            let (raw, out) = (&end.raw, &output.values);
            let found =
                norm::normalise_add_backward(raw, channels, &norm, out, &mut gradient, &mut inner);
            self.note(end.number, found);
        }
        drop(output);
        path.push(end);
        match around {
            ShortcutTape::Projection(tape) => {
                self.through_norm(&tape, Activation::None, &mut gradient);
                let dx = self.through_convolution(&tape, &gradient, wanted);
                drop(gradient);
                self.path_onto(path, inner, dx, wanted)
            }
            ShortcutTape::Identity | ShortcutTape::Nothing => {
                self.path_onto(path, inner, gradient, wanted)
            }
        }
    }

    /// Back through layers of which the last one's batch norm is already behind.
    fn path(&mut self, mut path: Vec<LayerTape>, mut gradient: Buffer, wanted: bool) -> Buffer {
        while let Some(tape) = path.pop() {
            let wanted = wanted || !path.is_empty();
            gradient = self.through_convolution(&tape, &gradient, wanted);
            if let Some(before) = path.last() {
                self.through_norm(before, before.layer.activation, &mut gradient);
            }
        }
        gradient
    }

    /// The same, adding the result onto `sum`.
    fn path_onto(
        &mut self,
        mut path: Vec<LayerTape>,
        gradient: Buffer,
        mut sum: Buffer,
        wanted: bool,
    ) -> Buffer {
        let first = path.remove(0);
        let gradient = if path.is_empty() {
            gradient
        } else {
            let mut gradient = self.path(path, gradient, true);
            self.through_norm(&first, first.layer.activation, &mut gradient);
            gradient
        };
        self.weights(&first, &gradient);
        if wanted {
            let weights = self.source.layer(first.number).weights;
            match (first.convolution, first.without_zeros) {
                (Convolution::Full(shape), None) => {
                    conv::add_backward_input(&shape, &gradient, weights, &mut sum);
                }
                _ => add_assign(&mut sum, &self.input(&first, &gradient)),
            }
        }
        sum
    }

    fn through_norm(&mut self, tape: &LayerTape, activation: Activation, gradient: &mut [f32]) {
        let norm = tape.norm(self.source);
        let channels = tape.convolution.output().channels;
        let found =
            norm::normalise_backward_in_place(&tape.raw, channels, &norm, activation, gradient);
        self.note(tape.number, found);
    }

    /// Notes the gradients of a batch norm; those of the weights follow.
    fn note(&mut self, layer: usize, norm: NormGradients) {
        self.gradients.push(LayerGradients { layer, weights: Vec::new(), norm });
    }

    fn through_convolution(&mut self, tape: &LayerTape, dy: &[f32], wanted: bool) -> Buffer {
        self.weights(tape, dy);
        if wanted { self.input(tape, dy) } else { Buffer::default() }
    }

    fn weights(&mut self, tape: &LayerTape, dy: &[f32]) {
        if !self.source.layer(tape.number).learns {
            return;
        }
        let mut dw = buffers::take(self.source.layer(tape.number).weights.len());
        let x = &tape.input.values;
        match &tape.convolution {
            Convolution::Full(shape) => conv::backward_weights(shape, x, dy, &mut dw),
            Convolution::Depthwise(shape) => depthwise::backward_weights(shape, x, dy, &mut dw),
        }
        let own = self.gradients.iter_mut().rfind(|found| found.layer == tape.number);
        own.expect("its batch norm comes first").weights = dw;
    }

    fn input(&self, tape: &LayerTape, dy: &[f32]) -> Buffer {
        let weights = self.source.layer(tape.number).weights;
        let mut dx = Buffer::new(tape.input.values.len());
        match &tape.convolution {
            Convolution::Full(shape) => conv::backward_input(shape, dy, weights, &mut dx),
            Convolution::Depthwise(shape) => {
                depthwise::backward_input(shape, dy, weights, &mut dx);
            }
        }
        match (&tape.convolution, tape.without_zeros) {
            (Convolution::Full(shape), Some(inside)) => {
                let zeros = [tape.layer.zeros(inside.height), tape.layer.zeros(inside.width)];
                let mut cropped = Buffer::new(inside.values());
                crop([shape.height, shape.width], &dx, zeros, inside, &mut cropped);
                cropped
            }
            _ => dx,
        }
    }
}
