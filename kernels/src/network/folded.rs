//! A network that no longer learns (inference): each batch norm worked into the weights before it
//! (batch-norm folding).

use super::{
    Block, Convolution, Layer, LayerSource, MapShape, Network, Shortcut, Stage, pad, pool_shape,
    pooled,
};
use crate::cpu::buffers::Buffer;
use crate::cpu::parallel::{in_pool, shares};
use crate::cpu::simd::simd_level;
use crate::layers::conv::{self, Finish, Packed, Residual};
use crate::layers::depthwise::{self, Epilogue};
use crate::layers::elementwise;
use crate::layers::norm::Activation;
use crate::layers::pool;
use std::sync::Arc;

/// Values of a stage's input and output that pictures which go through it together may have. A large
/// cache keeps eight megabytes until the next stage; where all of the last cache is no more than
/// that, larger groups were measured to be faster, because they read the weights less often.
fn group_values() -> usize {
    if simd_level().has_large_cache() { 2_000_000 } else { 8_000_000 }
}

/// A network with its numbers, ready to embed.
#[derive(Debug)]
pub struct Folded {
    stages: Vec<Stage>,
    layers: Vec<FoldedLayer>,
}

#[derive(Debug)]
struct FoldedLayer {
    weights: FoldedWeights,
    bias: Vec<f32>,
}

#[derive(Debug)]
enum FoldedWeights {
    Full(Packed),
    Depthwise(Vec<f32>),
}

/// One stage with its numbers.
struct FoldedStage<'a> {
    stage: &'a Stage,
    layers: &'a [FoldedLayer],
    /// How many pictures it sees at a time.
    group: usize,
}

/// A map of features on its way.
type Map = (MapShape, Arc<Buffer>);

impl Folded {
    /// Works the running moments into the weights: `w' = w * gamma / sqrt(variance + epsilon)`,
    /// `b' = beta - mean * gamma / sqrt(variance + epsilon)`.
    ///
    /// # Panics
    /// When a length does not follow from the network.
    pub fn new(network: &Network, source: &dyn LayerSource) -> Self {
        let layers = network.stages.iter().flat_map(Stage::layers).enumerate();
        let layers = layers.map(|(number, layer)| fold(layer, source, number)).collect();
        Self { stages: network.stages.clone(), layers }
    }

    /// The features of a batch, `x` of the sizes of `input`.
    ///
    /// # Panics
    /// When a length does not follow from the sizes.
    pub fn run(&self, input: MapShape, x: &[f32]) -> (MapShape, Vec<f32>) {
        assert_eq!(x.len(), input.values(), "values of {input:?}");
        in_pool(|| {
            let (shape, values) = run_steps(&self.steps(input), input, x);
            (shape, values.to_vec())
        })
    }

    /// Each stage with its layers and how many pictures it sees at a time.
    fn steps(&self, mut shape: MapShape) -> Vec<FoldedStage<'_>> {
        let mut layers = self.layers.as_slice();
        let mut steps = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            let (own, rest) = layers.split_at(stage.layers().count());
            let output = stage.output(shape);
            let picture = (shape.values() + output.values()) / shape.n.max(1);
            let group = (group_values() / picture.max(1)).clamp(1, shape.n.max(1));
            steps.push(FoldedStage { stage, layers: own, group });
            (layers, shape) = (rest, output);
        }
        steps
    }
}

impl FoldedStage<'_> {
    fn run(&self, map: Map) -> Map {
        let mut layers = self.layers.iter();
        match self.stage {
            Stage::Layer(layer) => run(layer, layers.next(), &map, None, layer.activation),
            &Stage::MaxPool { kernel, stride, padding } => {
                let shape = pool_shape(map.0, kernel, stride, padding);
                let mut out = Buffer::new(pooled(&shape).values());
                pool::max_forward(&shape, &map.1, &mut out);
                (pooled(&shape), Arc::new(out))
            }
            Stage::Block(block) => run_block(block, &mut layers, map),
        }
    }
}

/// Takes a batch, `x` of the sizes of `input`, through these steps. Those with large maps see a few
/// pictures at a time, and so do all before them.
fn run_steps(steps: &[FoldedStage], input: MapShape, x: &[f32]) -> Map {
    let Some(last) = steps.iter().rposition(|step| step.group < input.n) else {
        let mut first = Buffer::new(x.len());
        first.copy_from_slice(x);
        let first = (input, Arc::new(first));
        return steps.iter().fold(first, |map, step| step.run(map));
    };
    let (apart, together) = steps.split_at(last + 1);
    let picture = x.len() / input.n;
    let mut joined: Option<(MapShape, Buffer)> = None;
    // Of nearly equal size: for a last single picture all weights would be read as well.
    let groups = input.n.div_ceil(apart[last].group);
    for pictures in shares(input.n, groups) {
        let x = &x[pictures.start * picture..pictures.end * picture];
        let (shape, part) = run_steps(apart, MapShape { n: pictures.len(), ..input }, x);
        let whole = MapShape { n: input.n, ..shape };
        let (_, joined) = joined.get_or_insert_with(|| (whole, Buffer::new(whole.values())));
        let start = pictures.start * shape.values() / shape.n;
        joined[start..start + part.len()].copy_from_slice(&part);
    }
    let (shape, joined) = joined.expect("at least one group");
    together.iter().fold((shape, Arc::new(joined)), |map, step| step.run(map))
}

fn fold(layer: &Layer, source: &dyn LayerSource, number: usize) -> FoldedLayer {
    let numbers = source.layer(number);
    let scales: Vec<f32> = numbers
        .gamma
        .iter()
        .zip(numbers.variance)
        .map(|(&gamma, &variance)| {
            (f64::from(gamma) / (f64::from(variance) + f64::from(layer.epsilon)).sqrt()) as f32
        })
        .collect();
    let offsets = numbers.beta.iter().zip(numbers.mean).zip(&scales);
    let bias = offsets.map(|((&beta, &mean), &scale)| beta - mean * scale).collect();
    let rows = numbers.weights.chunks_exact(layer.outputs.max(1));
    let weights: Vec<f32> =
        rows.flat_map(|row| row.iter().zip(&scales).map(|(&w, &scale)| w * scale)).collect();
    let weights = if layer.depthwise {
        FoldedWeights::Depthwise(weights)
    } else {
        FoldedWeights::Full(Packed::new(&weights, layer.kernel, layer.inputs, layer.outputs))
    };
    FoldedLayer { weights, bias }
}

fn run_block<'a>(
    block: &Block,
    layers: &mut impl Iterator<Item = &'a FoldedLayer>,
    input: Map,
) -> Map {
    let path: Vec<Option<&FoldedLayer>> = block.path.iter().map(|_| layers.next()).collect();
    let around = match &block.shortcut {
        Shortcut::None => None,
        Shortcut::Identity => Some(input.clone()),
        Shortcut::Projection(layer) => {
            Some(run(layer, layers.next(), &input, None, Activation::None))
        }
    };
    let mut around = around.map(|(_, around)| around);
    let last = block.path.len() - 1;
    let mut map = input;
    for (number, (layer, folded)) in block.path.iter().zip(path).enumerate() {
        map = match around.take_if(|_| number == last) {
            Some(around) => run(layer, folded, &map, Some(around), block.activation),
            None => run(layer, folded, &map, None, layer.activation),
        };
    }
    map
}

/// `act(convolution + bias + residual)`.
fn run(
    layer: &Layer,
    folded: Option<&FoldedLayer>,
    (shape, x): &Map,
    residual: Option<Arc<Buffer>>,
    activation: Activation,
) -> Map {
    let folded = folded.expect("as many layers as the network has");
    let convolution = layer.convolution(*shape);
    let output = convolution.output();
    let out = match (&folded.weights, convolution) {
        (FoldedWeights::Depthwise(weights), Convolution::Depthwise(shape)) => {
            let mut out = Buffer::new(output.values());
            let alone = if residual.is_some() { Activation::None } else { activation };
            let epilogue = Epilogue { bias: Some(&folded.bias), activation: alone };
            depthwise::forward(&shape, x, weights, epilogue, &mut out);
            if let Some(residual) = residual {
                elementwise::add_activate(&mut out, &residual, activation);
            }
            out
        }
        (FoldedWeights::Full(packed), Convolution::Full(conv)) => {
            let shared;
            let (mut out, residual) = match residual.map(take_over) {
                None => (Buffer::new(output.values()), Residual::None),
                Some(Ok(own)) => (own, Residual::InPlace),
                Some(Err(values)) => {
                    shared = values;
                    (Buffer::new(output.values()), Residual::Of(&shared))
                }
            };
            let finish = Finish { bias: &folded.bias, residual, activation };
            if let Some(zeros) = layer.uneven_zeros(*shape) {
                let mut padded = Buffer::new(conv.n * conv.height * conv.width * conv.inputs);
                pad(*shape, x, zeros, &mut padded);
                conv::forward_packed(&conv, &padded, packed, &finish, &mut out);
            } else {
                conv::forward_packed(&conv, x, packed, &finish, &mut out);
            }
            out
        }
        _ => unreachable!("a layer's weights are folded for its own convolution"),
    };
    (output, Arc::new(out))
}

/// The values of a residual that nobody else needs, to be added to where they lie: half the memory
/// goes through the cache. A large cache has room for both.
fn take_over(residual: Arc<Buffer>) -> Result<Buffer, Arc<Buffer>> {
    if simd_level().has_large_cache() { Err(residual) } else { Arc::try_unwrap(residual) }
}
