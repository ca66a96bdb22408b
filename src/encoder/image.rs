//! The image tower: a network, a pool over the positions of its last feature map, and a linear
//! layer into the common space.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::efficientnet::EfficientNet;
use super::network::{Network, PREFIX};
use super::parameters::{Init, Layout, Parameters, Pass};
use super::resnet::ResNet;
use crate::error::{Error, Result};
use crate::images::ImageBatch;
use crate::ops;
use crate::units::Seed;

/// Share of the new in running statistics, as in PyTorch.
pub(crate) const MOMENTUM: f32 = 0.1;

/// Which network sees the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// Two 3x3 convolutions a block, 512 features.
    ResNet18,
    /// Bottleneck blocks, 2048 features.
    ResNet50,
    /// Depthwise blocks, 1280 features; 3.4 million weights.
    #[serde(rename = "efficientnet-lite0")]
    EfficientNetLite0,
    /// Deeper: 4.1 million weights.
    #[serde(rename = "efficientnet-lite1")]
    EfficientNetLite1,
    /// Deeper and wider: 4.8 million weights.
    #[serde(rename = "efficientnet-lite2")]
    EfficientNetLite2,
}

impl Depth {
    /// The network without its numbers.
    pub(crate) fn network(self) -> Network {
        match self {
            Self::ResNet18 => ResNet::Eighteen.network(),
            Self::ResNet50 => ResNet::Fifty.network(),
            Self::EfficientNetLite0 => EfficientNet::LITE0.network(),
            Self::EfficientNetLite1 => EfficientNet::LITE1.network(),
            Self::EfficientNetLite2 => EfficientNet::LITE2.network(),
        }
    }
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
    /// The stem and the stages up to this one (1 to 4): all layers whose map is at least a
    /// quarter, an eighth, a 16th or a 32nd as wide as the picture.
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

    /// Whether a layer of this resolution ([`Network::layers`]) keeps its weights.
    fn holds(self, resolution: usize) -> bool {
        match self {
            Self::None => false,
            Self::Stages(last) => resolution <= last,
            Self::All => true,
        }
    }
}

/// The architecture of an image tower.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ImageTower {
    pub(crate) network: Network,
    pub(crate) pool: Pool,
    /// Values of an embedding.
    pub(crate) dim: usize,
}

impl ImageTower {
    pub(crate) fn new(depth: Depth, pool: Pool, dim: usize) -> Self {
        Self { network: depth.network(), pool, dim }
    }

    /// Adds this tower's parameters.
    pub(crate) fn add_parameters(&self, parameters: &mut Parameters, seed: Seed) {
        self.network.add_parameters(parameters, seed);
        let features = self.network.features;
        let init = Init::Uniform(1.0 / (features as f32).sqrt());
        let weight = format!("{PREFIX}fc.weight");
        parameters.add(weight, &[features, self.dim], Layout::Transposed, init, seed);
        parameters.add(format!("{PREFIX}fc.bias"), &[self.dim], Layout::Plain, init, seed);
    }

    /// Stops the learning of the layers that `freeze` holds.
    pub(crate) fn freeze(&self, parameters: &mut Parameters, freeze: Freeze) {
        for (resolution, layer) in self.network.layers() {
            let of_layer = |name: &str| {
                let module = name.rsplit_once('.').map(|(module, _)| module);
                module == Some(&layer.conv) || module == Some(&layer.norm)
            };
            if freeze.holds(resolution) {
                parameters.freeze(of_layer);
            }
        }
    }

    /// Pictures -> `[n, dim]`, not normalised.
    pub(crate) fn forward(&self, pass: &Pass, batch: &ImageBatch) -> Tensor<2> {
        let features = self.features(pass, batch);
        let weight = pass.matrix(&format!("{PREFIX}fc.weight"));
        let bias = pass.vector(&format!("{PREFIX}fc.bias"));
        let out = features.matmul(weight) + bias.unsqueeze();
        pass.watch(&format!("{PREFIX}fc"), &out);
        out
    }

    /// Pictures -> what the linear layer gets, `[n, features]`.
    pub(crate) fn features(&self, pass: &Pass, batch: &ImageBatch) -> Tensor<2> {
        let x = self.network.forward(pass, batch);
        match self.pool {
            Pool::Max => ops::global_max_pool(x),
            Pool::Average => {
                let [n, height, width, channels] = x.dims();
                x.reshape([n, height * width, channels]).mean_dim(1).reshape([n, channels])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(depth: Depth, dim: usize) -> (ImageTower, Parameters) {
        let (tower, mut parameters) =
            (ImageTower::new(depth, Pool::Max, dim), Parameters::default());
        tower.add_parameters(&mut parameters, Seed(0));
        (tower, parameters)
    }

    /// Whether each of these is still learned when `freeze` is applied.
    fn learned<const N: usize>(depth: Depth, freeze: &str, names: [&str; N]) -> [bool; N] {
        let (tower, mut parameters) = parameters(depth, 8);
        tower.freeze(&mut parameters, Freeze::named(freeze).unwrap());
        names.map(|name| parameters.get(&format!("image.{name}")).trainable)
    }

    #[test]
    fn freezing_a_stage_freezes_what_comes_before_it() {
        let names = [
            "conv1.weight",
            "layer2.1.bn1.bias",
            "layer2.0.downsample.0.weight",
            "layer3.0.conv1.weight",
            "fc.weight",
        ];
        for depth in [Depth::ResNet18, Depth::ResNet50] {
            assert_eq!(learned(depth, "none", names), [true; 5]);
            assert_eq!(learned(depth, "stage2", names), [false, false, false, true, true]);
            assert_eq!(learned(depth, "all", names), [false, false, false, false, true]);
        }
        assert!(Freeze::named("stage5").is_err());
    }

    #[test]
    fn a_stage_of_efficientnet_is_a_resolution() {
        let names = [
            "_conv_stem.weight",
            "_bn0.bias",
            "_blocks.0._project_conv.weight", // half of the picture
            "_blocks.2._depthwise_conv.weight", // a quarter
            "_blocks.3._expand_conv.weight",  // of the block that leads to an eighth
            "_blocks.5._bn1.weight",          // a 16th
            "_blocks.11._bn2.bias",           // a 32nd
            "_conv_head.weight",
            "fc.weight",
        ];
        let learns_from = |first: usize| std::array::from_fn(|at| at >= first);
        for (freeze, first) in
            [("none", 0), ("stage1", 4), ("stage2", 5), ("stage3", 6), ("stage4", 8), ("all", 8)]
        {
            let found = learned(Depth::EfficientNetLite0, freeze, names);
            assert_eq!(found, learns_from(first), "{freeze}");
        }
    }

    #[test]
    fn the_towers_have_as_many_weights_as_the_originals() {
        // torchvision's, and those of Google's EfficientNet-Lite.
        for (depth, expected) in [
            (Depth::ResNet18, 11_689_512),
            (Depth::ResNet50, 25_557_032),
            (Depth::EfficientNetLite0, 4_652_008),
            (Depth::EfficientNetLite1, 5_416_680),
            (Depth::EfficientNetLite2, 6_092_072),
        ] {
            let (_, parameters) = parameters(depth, 1000);
            let learned = parameters.iter().filter(|(_, parameter)| parameter.trainable);
            assert_eq!(learned.map(|(_, p)| p.values.len()).sum::<usize>(), expected);
        }
    }
}
