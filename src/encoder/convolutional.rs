//! The convolutional image tower: a network, a pool over the positions of its last feature map, and
//! a head into the common space.

use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

use super::architecture::{Bounded, Pool};
use super::colours;
use super::efficientnet::{self, EfficientNet};
use super::network::{Network, PREFIX};
use super::parameters::{Init, Layout, Mode, Parameters, Pass};
use super::preprocessing::{PixelScale, Pixels};
use super::resnet::{self, ResNet};
use super::tower::{ImageTower, Tower};
use crate::error::{Error, Result};
use crate::ops;
use crate::units::Seed;

/// Mean of each pooled feature over the pictures learned from.
pub(crate) const FEATURE_MEAN: &str = "image.features.mean";
/// Standard deviation of each.
pub(crate) const FEATURE_DEVIATION: &str = "image.features.deviation";

/// Share of the new in running statistics, as in PyTorch.
pub(crate) const MOMENTUM: f32 = 0.1;

/// A convolutional network, by the name of its paper and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConvolutionalNetwork {
    /// Two 3x3 convolutions a block, 512 features.
    ResNet18,
    /// Twice as many such blocks, 512 features.
    ResNet34,
    /// Bottleneck blocks, 2048 features.
    ResNet50,
    /// Twice as many such blocks, 2048 features.
    ResNet101,
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

/// How the layers of a network are computed, where programs that trained it differ. The numbers of
/// one are of little use to the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Convention {
    /// As those did who published the network: of ResNet torchvision, of EfficientNet-Lite
    /// TensorFlow (padding "SAME", 1e-3 added to the variances of batch norms).
    #[default]
    Original,
    /// As timm trains EfficientNet-Lite itself: as many zeros on each side of a map, 1e-5 added to
    /// variances. A `ResNet` is like that in any case.
    Timm,
}

/// Whether a field has the value that it has when it is left out.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl ConvolutionalNetwork {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ResNet18,
        Self::ResNet34,
        Self::ResNet50,
        Self::ResNet101,
        Self::EfficientNetLite0,
        Self::EfficientNetLite1,
        Self::EfficientNetLite2,
    ];

    /// The name that a recipe has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ResNet18 => "resnet18",
            Self::ResNet34 => "resnet34",
            Self::ResNet50 => "resnet50",
            Self::ResNet101 => "resnet101",
            Self::EfficientNetLite0 => "efficientnet-lite0",
            Self::EfficientNetLite1 => "efficientnet-lite1",
            Self::EfficientNetLite2 => "efficientnet-lite2",
        }
    }

    /// The network of a name.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::error::ErrorKind::Invalid) for a name that none has.
    pub fn named(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|network| network.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::invalid(format!("there is no network {name:?}; expected one of {known}"))
        })
    }

    /// How the network wants its pixels.
    pub(crate) fn pixels(self) -> PixelScale {
        match self {
            Self::ResNet18 | Self::ResNet34 | Self::ResNet50 | Self::ResNet101 => resnet::PIXELS,
            Self::EfficientNetLite0 | Self::EfficientNetLite1 | Self::EfficientNetLite2 => {
                efficientnet::PIXELS
            }
        }
    }

    /// Its layers, without their numbers.
    pub(crate) fn layers(self, convention: Convention) -> Network {
        match self {
            Self::ResNet18 => ResNet::Eighteen.network(),
            Self::ResNet34 => ResNet::ThirtyFour.network(),
            Self::ResNet50 => ResNet::Fifty.network(),
            Self::ResNet101 => ResNet::HundredAndOne.network(),
            Self::EfficientNetLite0 => EfficientNet::LITE0.network(convention),
            Self::EfficientNetLite1 => EfficientNet::LITE1.network(convention),
            Self::EfficientNetLite2 => EfficientNet::LITE2.network(convention),
        }
    }
}

/// What a convolutional image tower is, as `model.toml` says it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convolutional {
    /// The network.
    pub network: ConvolutionalNetwork,
    /// How its layers are computed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub convention: Convention,
    /// How its last feature map becomes one vector.
    pub pool: Pool,
    /// Whether the colours of the picture stand beside that vector.
    #[serde(default, skip_serializing_if = "is_default")]
    pub colours: bool,
    /// How that vector comes into the common space.
    #[serde(default, skip_serializing_if = "is_default")]
    pub head: Head,
}

/// How pooled features come into the common space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Head {
    /// A linear layer.
    #[default]
    Linear,
    /// A linear layer, and beside it two with GELU (Hendrycks and Gimpel, 2016) between them, on
    /// features that were brought to mean 0 and deviation 1; the sum of both.
    Residual {
        /// Values between the two layers.
        hidden: usize,
        /// Chance that one of them is left out (dropout).
        dropout: f32,
    },
    /// Nothing: the features are the vector.
    None,
}

impl Convolutional {
    /// The tower that ends in `dim` values.
    pub(super) fn tower(self, dim: usize) -> ConvolutionalTower {
        let Self { network, convention, pool, colours, head } = self;
        ConvolutionalTower { network: network.layers(convention), pool, colours, head, dim }
    }

    /// Values of a picture's features.
    pub(super) fn feature_count(self) -> usize {
        self.tower(1).feature_count()
    }

    pub(super) fn bounded(self, dim: usize) -> Vec<Bounded> {
        match self.head {
            Head::Residual { hidden, dropout } => vec![
                Bounded::size("image.head.hidden", hidden, 1.0, 65_536.0),
                Bounded::new("image.head.dropout", dropout, 0.0, 0.99),
            ],
            Head::Linear => Vec::new(),
            Head::None => {
                let features = self.feature_count() as f64;
                vec![Bounded::size("dim", dim, features, features)]
            }
        }
    }
}

/// A network with the pool and the head behind it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ConvolutionalTower {
    network: Network,
    pool: Pool,
    colours: bool,
    head: Head,
    /// Values of an embedding.
    dim: usize,
}

impl Tower for ConvolutionalTower {
    type Input = Pixels;

    fn add_parameters(&self, parameters: &mut Parameters, seed: Seed) {
        self.network.add_parameters(parameters, seed);
        let features = self.feature_count();
        let mut linear = |name: &str, inputs: usize, outputs: usize| {
            let init = Init::Uniform(1.0 / (inputs as f32).sqrt());
            let weight = format!("{PREFIX}{name}.weight");
            parameters.add(weight, &[inputs, outputs], Layout::Transposed, init, seed);
            parameters.add(format!("{PREFIX}{name}.bias"), &[outputs], Layout::Plain, init, seed);
        };
        match self.head {
            Head::None => {}
            Head::Linear => linear("fc", features, self.dim),
            Head::Residual { hidden, .. } => {
                linear("fc", features, self.dim);
                linear("head.fc1", features, hidden);
                linear("head.fc2", hidden, self.dim);
                parameters.add_statistic(FEATURE_MEAN, features, 0.0);
                parameters.add_statistic(FEATURE_DEVIATION, features, 1.0);
            }
        }
    }

    /// The number of the resolution of the parameter's layer ([`Network::resolutions`]).
    fn stage(&self, parameter: &str) -> Option<usize> {
        let (module, _) = parameter.rsplit_once('.')?;
        let mut layers = self.network.resolutions();
        let own = layers.find(|(_, names)| module == names.conv || module == names.norm);
        own.map(|(resolution, _)| resolution)
    }

    fn forward(&self, pass: &Pass, input: Pixels, chance: &mut fastrand::Rng) -> Tensor<2> {
        self.head(pass, self.features(pass, input), chance)
    }
}

impl ImageTower for ConvolutionalTower {
    fn feature_count(&self) -> usize {
        let colours = if self.colours { colours::COUNT } else { 0 };
        self.network.features() * self.pool.parts() + colours
    }

    fn network_features(&self) -> usize {
        self.network.features()
    }

    fn plain_features(&self) -> usize {
        self.network.features() + if self.colours { colours::COUNT } else { 0 }
    }

    fn description(&self) -> String {
        format!("{:?} {:?} {}", self.network, self.pool, self.colours)
    }

    fn features(&self, pass: &Pass, pixels: Pixels) -> Tensor<2> {
        let colours = self.colours.then(|| colours::of(pass, &pixels));
        let x = self.network.forward(pass, pixels);
        let mut features = match self.pool {
            Pool::Max => vec![ops::global_max_pool(x)],
            Pool::Average => vec![average(x)],
            Pool::Both => vec![average(x.clone()), ops::global_max_pool(x)],
        };
        if let Some(colours) = colours {
            features.insert(1, colours);
        }
        if features.len() == 1 { features.remove(0) } else { Tensor::cat(features, 1) }
    }

    fn head(&self, pass: &Pass, features: Tensor<2>, chance: &mut fastrand::Rng) -> Tensor<2> {
        let out = match self.head {
            Head::None => return features,
            Head::Linear => linear(pass, "fc", features),
            Head::Residual { dropout, .. } => {
                let mean = pass.vector(FEATURE_MEAN).unsqueeze();
                let deviation = pass.vector(FEATURE_DEVIATION).unsqueeze();
                let x = (features - mean) / deviation;
                let hidden = activation::gelu(linear(pass, "head.fc1", x.clone()));
                let hidden = dropped(pass, hidden, dropout, chance);
                linear(pass, "fc", x) + linear(pass, "head.fc2", hidden)
            }
        };
        pass.watch(&format!("{PREFIX}fc"), &out);
        out
    }
}

/// `[n, h, w, c]` -> the mean over all positions, `[n, c]`.
fn average(x: Tensor<4>) -> Tensor<2> {
    let [n, height, width, channels] = x.dims();
    x.reshape([n, height * width, channels]).mean_dim(1).reshape([n, channels])
}

fn linear(pass: &Pass, name: &str, x: Tensor<2>) -> Tensor<2> {
    let weight = pass.matrix(&format!("{PREFIX}{name}.weight"));
    let bias = pass.vector(&format!("{PREFIX}{name}.bias"));
    x.matmul(weight) + bias.unsqueeze()
}

/// In training, leaves each value out by chance and makes up for it (Srivastava et al., 2014).
fn dropped(pass: &Pass, x: Tensor<2>, share: f32, chance: &mut fastrand::Rng) -> Tensor<2> {
    if pass.mode() == Mode::Inference || share <= 0.0 {
        return x;
    }
    let [n, width] = x.dims();
    let kept = 1.0 / (1.0 - share);
    let mask = (0..n * width).map(|_| if chance.f32() < share { 0.0 } else { kept }).collect();
    x * pass.tensor::<2>(mask, &[n, width])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::tower::Freeze;

    fn parameters(network: ConvolutionalNetwork, dim: usize) -> (ConvolutionalTower, Parameters) {
        let convention = Convention::Original;
        let (pool, head) = (Pool::Max, Head::Linear);
        let tower = Convolutional { network, convention, pool, colours: false, head }.tower(dim);
        let mut parameters = Parameters::default();
        tower.add_parameters(&mut parameters, Seed(0));
        (tower, parameters)
    }

    /// Whether each of these is still learned when `freeze` is applied.
    fn learned<const N: usize>(
        network: ConvolutionalNetwork,
        freeze: &str,
        names: [&str; N],
    ) -> [bool; N] {
        let (tower, mut parameters) = parameters(network, 8);
        let freeze = Freeze::named(freeze).unwrap();
        parameters.freeze(|name| freeze.holds(tower.stage(name)));
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
        for network in ConvolutionalNetwork::ALL.into_iter().take(4) {
            assert_eq!(learned(network, "none", names), [true; 5]);
            assert_eq!(learned(network, "stage2", names), [false, false, false, true, true]);
            assert_eq!(learned(network, "all", names), [false, false, false, false, true]);
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
            let found = learned(ConvolutionalNetwork::EfficientNetLite0, freeze, names);
            assert_eq!(found, learns_from(first), "{freeze}");
        }
    }

    #[test]
    fn the_towers_have_as_many_weights_as_the_originals() {
        // torchvision's, and those of Google's EfficientNet-Lite.
        for (network, expected) in [
            (ConvolutionalNetwork::ResNet18, 11_689_512),
            (ConvolutionalNetwork::ResNet34, 21_797_672),
            (ConvolutionalNetwork::ResNet50, 25_557_032),
            (ConvolutionalNetwork::ResNet101, 44_549_160),
            (ConvolutionalNetwork::EfficientNetLite0, 4_652_008),
            (ConvolutionalNetwork::EfficientNetLite1, 5_416_680),
            (ConvolutionalNetwork::EfficientNetLite2, 6_092_072),
        ] {
            let (_, parameters) = parameters(network, 1000);
            let learned = parameters.iter().filter(|(_, parameter)| parameter.trainable);
            assert_eq!(learned.map(|(_, p)| p.values.len()).sum::<usize>(), expected);
        }
    }
}
