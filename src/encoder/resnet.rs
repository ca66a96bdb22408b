//! The image tower: ResNet (He et al., 2016) in torchvision's form, pooled and projected.
//!
//! torchvision's ResNet50 has its stride in the 3x3 convolution of a block ("v1.5"); names are
//! torchvision's, below `image.`. Activations are NHWC.

use std::sync::Arc;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::parameters::{Init, Layout, Mode, Parameters, Pass};
use crate::error::{Error, Result};
use crate::images::ImageBatch;
use crate::ops::{self, Activation, Geometry, NormMode};
use crate::units::Seed;

/// Share of the new in running statistics, as in PyTorch.
pub(crate) const MOMENTUM: f32 = 0.1;
const EPSILON: f32 = 1e-5;
const PREFIX: &str = "image.";

/// ImageNet's mean and standard deviation of red, green and blue, on a scale of 0 to 1.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// Which network sees the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// Two 3x3 convolutions a block, 512 features.
    ResNet18,
    /// Bottleneck blocks, 2048 features.
    ResNet50,
}

/// How the positions of the last feature map become one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pool {
    /// The largest value of each feature.
    #[default]
    Max,
    /// The mean of each feature.
    Average,
}

/// What of the image tower keeps its weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Freeze {
    #[default]
    None,
    /// The stem and the stages up to this one (1 to 4).
    Stages(usize),
    /// All but the linear layer at the end.
    All,
}

impl Freeze {
    /// Parses `none`, `all`, `stage1` … `stage4`.
    pub(crate) fn named(name: &str) -> Result<Self> {
        match name {
            "none" => Ok(Self::None),
            "all" => Ok(Self::All),
            _ => match name.strip_prefix("stage").and_then(|n| n.parse().ok()) {
                Some(stage @ 1..=4) => Ok(Self::Stages(stage)),
                _ => Err(Error::invalid(format!(
                    "freeze is \"{name}\"; expected none, all or stage1 to stage4"
                ))),
            },
        }
    }

    /// Whether the parameter (full name) keeps its value.
    pub(crate) fn holds(self, name: &str) -> bool {
        let Some(name) = name.strip_prefix(PREFIX) else { return false };
        if name.starts_with("fc.") {
            return false;
        }
        match self {
            Self::None => false,
            Self::All => true,
            Self::Stages(last) => name
                .strip_prefix("layer")
                .and_then(|rest| rest.split('.').next()?.parse::<usize>().ok())
                .is_none_or(|stage| stage <= last),
        }
    }
}

/// Architecture of an image tower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResNet {
    pub(crate) depth: Depth,
    pub(crate) pool: Pool,
    pub(crate) dim: usize,
}

/// Channels inside a block and number of blocks of each stage.
const STAGES_18: [(usize, usize); 4] = [(64, 2), (128, 2), (256, 2), (512, 2)];
const STAGES_50: [(usize, usize); 4] = [(64, 3), (128, 4), (256, 6), (512, 3)];

const STEM: Geometry = Geometry { kernel: 7, stride: 2, padding: 3 };
const STEM_POOL: Geometry = Geometry { kernel: 3, stride: 2, padding: 1 };

fn square(kernel: usize, stride: usize) -> Geometry {
    Geometry { kernel, stride, padding: kernel / 2 }
}

/// One residual block: where it stands and what it does.
struct Block {
    name: String,
    inputs: usize,
    width: usize,
    outputs: usize,
    stride: usize,
}

impl Block {
    /// Whether the block's input must be projected before it is added to the output.
    fn projects(&self) -> bool {
        self.stride != 1 || self.inputs != self.outputs
    }
}

/// A convolution of a block with its batch norm.
struct Step {
    conv: String,
    norm: String,
    inputs: usize,
    outputs: usize,
    geometry: Geometry,
    activation: Activation,
}

impl ResNet {
    /// Features before the linear layer.
    pub(crate) fn features(self) -> usize {
        match self.depth {
            Depth::ResNet18 => 512,
            Depth::ResNet50 => 2048,
        }
    }

    fn blocks(self) -> Vec<Block> {
        let (stages, widening) = match self.depth {
            Depth::ResNet18 => (STAGES_18, 1),
            Depth::ResNet50 => (STAGES_50, 4),
        };
        let mut inputs = 64;
        let mut blocks = Vec::new();
        for (stage, (width, count)) in stages.into_iter().enumerate() {
            for number in 0..count {
                let stride = if stage > 0 && number == 0 { 2 } else { 1 };
                let name = format!("{PREFIX}layer{}.{number}", stage + 1);
                let outputs = width * widening;
                blocks.push(Block { name, inputs, width, outputs, stride });
                inputs = outputs;
            }
        }
        blocks
    }

    /// The convolutions along the block's main path.
    fn path(self, block: &Block) -> Vec<Step> {
        let step = |number: usize, inputs, outputs, geometry, activation| Step {
            conv: format!("{}.conv{number}", block.name),
            norm: format!("{}.bn{number}", block.name),
            inputs,
            outputs,
            geometry,
            activation,
        };
        let (width, stride) = (block.width, block.stride);
        match self.depth {
            Depth::ResNet18 => vec![
                step(1, block.inputs, width, square(3, stride), Activation::Relu),
                step(2, width, width, square(3, 1), Activation::None),
            ],
            Depth::ResNet50 => vec![
                step(1, block.inputs, width, square(1, 1), Activation::Relu),
                step(2, width, width, square(3, stride), Activation::Relu),
                step(3, width, block.outputs, square(1, 1), Activation::None),
            ],
        }
    }

    fn stem() -> Step {
        Step {
            conv: format!("{PREFIX}conv1"),
            norm: format!("{PREFIX}bn1"),
            inputs: 3,
            outputs: 64,
            geometry: STEM,
            activation: Activation::Relu,
        }
    }

    fn projection(block: &Block) -> Step {
        Step {
            conv: format!("{}.downsample.0", block.name),
            norm: format!("{}.downsample.1", block.name),
            inputs: block.inputs,
            outputs: block.outputs,
            geometry: square(1, block.stride),
            activation: Activation::None,
        }
    }

    /// Adds this tower's parameters with He's initialisation (fan-out, as torchvision).
    pub(crate) fn add_parameters(self, parameters: &mut Parameters, seed: Seed) {
        add_step(parameters, &Self::stem(), seed);
        for block in self.blocks() {
            for step in self.path(&block) {
                add_step(parameters, &step, seed);
            }
            if block.projects() {
                add_step(parameters, &Self::projection(&block), seed);
            }
        }
        let (features, bound) = (self.features(), 1.0 / (self.features() as f32).sqrt());
        let init = Init::Uniform(bound);
        let weight = format!("{PREFIX}fc.weight");
        parameters.add(weight, &[features, self.dim], Layout::Transposed, init, seed);
        parameters.add(format!("{PREFIX}fc.bias"), &[self.dim], Layout::Plain, init, seed);
    }

    /// Pictures -> `[n, dim]`, not normalised.
    pub(crate) fn forward(self, pass: &Pass, batch: &ImageBatch) -> Tensor<2> {
        let x = pixels(pass, batch); // [n, h, w, 3]
        let x = run_step(pass, &Self::stem(), x); // [n, h/2, w/2, 64]
        let mut x = ops::max_pool(x, STEM_POOL); // [n, h/4, w/4, 64]
        for block in self.blocks() {
            x = self.run_block(pass, &block, x);
        }
        let features = self.pooled(x); // [n, features]
        let weight = pass.matrix(&format!("{PREFIX}fc.weight"));
        let bias = pass.vector(&format!("{PREFIX}fc.bias"));
        let out = features.matmul(weight) + bias.unsqueeze();
        pass.watch("image.fc", &out);
        out
    }

    fn run_block(self, pass: &Pass, block: &Block, x: Tensor<4>) -> Tensor<4> {
        let shortcut = if block.projects() {
            run_step(pass, &Self::projection(block), x.clone())
        } else {
            x.clone()
        };
        let path = self.path(block);
        let out = path.iter().fold(x, |x, step| run_step(pass, step, x));
        ops::add_relu(out, shortcut)
    }

    fn pooled(self, x: Tensor<4>) -> Tensor<2> {
        match self.pool {
            Pool::Max => ops::global_max_pool(x),
            Pool::Average => {
                let [n, height, width, channels] = x.dims();
                x.reshape([n, height * width, channels]).mean_dim(1).reshape([n, channels])
            }
        }
    }
}

fn add_step(parameters: &mut Parameters, step: &Step, seed: Seed) {
    let kernel = step.geometry.kernel;
    let fan_out = (kernel * kernel * step.outputs) as f32;
    parameters.add(
        format!("{}.weight", step.conv),
        &[kernel * kernel * step.inputs, step.outputs],
        Layout::Convolution { kernel },
        Init::Normal((2.0 / fan_out).sqrt()),
        seed,
    );
    let (norm, size) = (&step.norm, step.outputs);
    let scale = Init::Constant(1.0);
    parameters.add(format!("{norm}.weight"), &[size], Layout::Plain, scale, seed);
    parameters.add(format!("{norm}.bias"), &[size], Layout::Plain, Init::Constant(0.0), seed);
    parameters.add_statistic(format!("{norm}.running_mean"), size, 0.0);
    parameters.add_statistic(format!("{norm}.running_var"), size, 1.0);
}

/// Convolution, batch norm, activation.
fn run_step(pass: &Pass, step: &Step, x: Tensor<4>) -> Tensor<4> {
    let weight = format!("{}.weight", step.conv);
    let x = ops::conv(x, pass.matrix(&weight), step.geometry);
    pass.watch(&step.conv, &x);
    let gamma = pass.vector(&format!("{}.weight", step.norm));
    let beta = pass.vector(&format!("{}.bias", step.norm));
    let moments = Arc::new(moments(pass, step, &x));
    let mode = NormMode { epsilon: EPSILON, activation: step.activation };
    let x = ops::batch_norm(x, gamma, beta, moments, mode);
    pass.watch(&step.norm, &x);
    x
}

/// The batch's own moments where the layer learns, the running ones elsewhere.
fn moments(pass: &Pass, step: &Step, x: &Tensor<4>) -> looksee_kernels::norm::Moments {
    let learns = pass.parameter(&format!("{}.weight", step.conv)).trainable;
    if pass.mode() == Mode::Training && learns {
        let moments = ops::moments(x);
        let [n, height, width, _] = x.dims();
        pass.note(&step.norm, &moments, n * height * width);
        return moments;
    }
    let running = |which| pass.parameter(&format!("{}.running_{which}", step.norm)).values.clone();
    looksee_kernels::norm::Moments { mean: running("mean"), variance: running("var") }
}

/// 8-bit pictures -> normalised values `[n, h, w, 3]`.
fn pixels(pass: &Pass, batch: &ImageBatch) -> Tensor<4> {
    let table: [[f32; 256]; 3] = std::array::from_fn(|channel| {
        std::array::from_fn(|value| (value as f32 / 255.0 - MEAN[channel]) / DEVIATION[channel])
    });
    let mut values = Vec::with_capacity(batch.rgb.len());
    for pixel in batch.rgb.chunks_exact(3) {
        values.extend((0..3).map(|channel| table[channel][usize::from(pixel[channel])]));
    }
    pass.tensor(values, &[batch.len(), batch.height_px, batch.width_px, 3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freezing_a_stage_freezes_what_comes_before_it() {
        let freeze = Freeze::named("stage2").unwrap();
        assert!(freeze.holds("image.conv1.weight"));
        assert!(freeze.holds("image.layer2.1.bn1.bias"));
        assert!(!freeze.holds("image.layer3.0.conv1.weight"));
        assert!(!freeze.holds("image.fc.weight"));
        assert!(!freeze.holds("text.embedding.weight"));
        assert!(Freeze::named("all").unwrap().holds("image.layer4.0.conv1.weight"));
        assert!(Freeze::named("stage5").is_err());
    }

    #[test]
    fn the_towers_have_as_many_weights_as_torchvisions() {
        for (depth, expected) in [(Depth::ResNet18, 11_689_512), (Depth::ResNet50, 25_557_032)] {
            let mut parameters = Parameters::default();
            ResNet { depth, pool: Pool::Max, dim: 1000 }.add_parameters(&mut parameters, Seed(0));
            let learned = parameters.iter().filter(|(_, parameter)| parameter.trainable);
            assert_eq!(learned.map(|(_, p)| p.values.len()).sum::<usize>(), expected);
        }
    }
}
