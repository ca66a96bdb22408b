//! A network that no longer learns: each batch norm worked into the weights before it.

use super::{
    Block, Convolution, Layer, LayerSource, MapShape, Network, Shortcut, Stage, pad, pool_shape,
    pooled,
};
use crate::buffers::Buffer;
use crate::conv::{self, Finish, Packed};
use crate::depthwise::{self, Epilogue};
use crate::elementwise;
use crate::norm::Activation;
use crate::pool;
use std::sync::Arc;

/// A network with its numbers, ready to embed.
#[derive(Debug)]
pub struct Folded {
    stages: Vec<Stage>,
    layers: Vec<FoldedLayer>,
}

#[derive(Debug)]
struct FoldedLayer {
    weights: Weights,
    bias: Vec<f32>,
}

#[derive(Debug)]
enum Weights {
    Full(Packed),
    Depthwise(Vec<f32>),
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
        let mut layers = Vec::new();
        for stage in &network.stages {
            match stage {
                Stage::Layer(layer) => layers.push(fold(layer, source, layers.len())),
                Stage::MaxPool { .. } => {}
                Stage::Block(block) => {
                    for layer in &block.path {
                        layers.push(fold(layer, source, layers.len()));
                    }
                    if let Shortcut::Projection(layer) = &block.shortcut {
                        layers.push(fold(layer, source, layers.len()));
                    }
                }
            }
        }
        Self { stages: network.stages.clone(), layers }
    }

    /// The features of a batch, `x` of the sizes of `input`.
    ///
    /// # Panics
    /// When a length does not follow from the sizes.
    pub fn run(&self, input: MapShape, x: &[f32]) -> (MapShape, Vec<f32>) {
        assert_eq!(x.len(), input.values(), "values of {input:?}");
        let mut layers = self.layers.iter();
        let mut first = Buffer::new(x.len());
        first.copy_from_slice(x);
        let mut map = (input, Arc::new(first));
        for stage in &self.stages {
            map = match stage {
                Stage::Layer(layer) => run(layer, layers.next(), &map, None, layer.activation),
                &Stage::MaxPool { kernel, stride, padding } => {
                    let shape = pool_shape(map.0, kernel, stride, padding);
                    let mut out = Buffer::new(pooled(&shape).values());
                    pool::max_forward(&shape, &map.1, &mut out);
                    (pooled(&shape), Arc::new(out))
                }
                Stage::Block(block) => run_block(block, &mut layers, map),
            };
        }
        let (shape, values) = map;
        (shape, values.to_vec())
    }
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
        Weights::Depthwise(weights)
    } else {
        Weights::Full(Packed::new(&weights, layer.kernel, layer.inputs, layer.outputs))
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
    let last = block.path.len() - 1;
    let mut map = input;
    for (number, (layer, folded)) in block.path.iter().zip(path).enumerate() {
        map = match &around {
            Some((_, around)) if number == last => {
                run(layer, folded, &map, Some(around), block.activation)
            }
            _ => run(layer, folded, &map, None, layer.activation),
        };
    }
    map
}

/// `act(convolution + bias + residual)`.
fn run(
    layer: &Layer,
    folded: Option<&FoldedLayer>,
    (shape, x): &Map,
    residual: Option<&Arc<Buffer>>,
    activation: Activation,
) -> Map {
    let folded = folded.expect("as many layers as the network has");
    let bias = Some(folded.bias.as_slice());
    match &folded.weights {
        Weights::Depthwise(weights) => {
            let shape = layer.depthwise(*shape);
            let output = Convolution::Depthwise(shape).output();
            let mut out = Buffer::new(output.values());
            let alone = if residual.is_some() { Activation::None } else { activation };
            let epilogue = Epilogue { bias, activation: alone };
            depthwise::forward(&shape, x, weights, epilogue, &mut out);
            if let Some(residual) = residual {
                elementwise::add_activate(&mut out, residual, activation);
            }
            (output, Arc::new(out))
        }
        Weights::Full(packed) => {
            let finish =
                Finish { bias: &folded.bias, residual: residual.map(|r| &***r), activation };
            let Some(zeros) = layer.uneven_zeros(*shape) else {
                let shape = layer.conv(*shape, layer.zeros(shape.height).0);
                return finished(&shape, x, packed, &finish);
            };
            let wide = MapShape {
                height: shape.height + zeros[0].0 + zeros[0].1,
                width: shape.width + zeros[1].0 + zeros[1].1,
                ..*shape
            };
            let mut padded = Buffer::new(wide.values());
            pad(*shape, x, zeros, &mut padded);
            finished(&layer.conv(wide, 0), &padded, packed, &finish)
        }
    }
}

fn finished(shape: &conv::ConvShape, x: &[f32], packed: &Packed, finish: &Finish) -> Map {
    let output = Convolution::Full(*shape).output();
    let mut out = Buffer::new(output.values());
    conv::forward_packed(shape, x, packed, finish, &mut out);
    (output, Arc::new(out))
}
