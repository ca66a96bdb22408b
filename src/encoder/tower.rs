//! What looksee asks of a tower, whatever network it is.

use std::fmt::Debug;

use burn::tensor::Tensor;

use super::parameters::{Parameters, Pass};
use super::preprocessing::Pixels;
use crate::error::{Error, Result};
use crate::units::Seed;

/// A network from a batch of pictures or texts to the common space. It holds no numbers: those are
/// [`Parameters`], by name, and a [`Pass`] over them.
///
/// The names of an image tower begin with `image.`, those of a text tower with `text.`: a weight
/// file keeps the two apart by that.
pub(crate) trait Tower: Debug + Send + Sync {
    /// A batch: [`Pixels`](super::preprocessing::Pixels) or
    /// [`TokenBatch`](crate::tokens::TokenBatch).
    type Input;

    /// Adds all parameters, each with its shape, its layout in a file and its start.
    fn add_parameters(&self, parameters: &mut Parameters, seed: Seed);

    /// The stage that a parameter belongs to, 0 for what is nearest to the input; `None` for one
    /// that is learned whatever is frozen, such as the layer into the common space.
    fn stage(&self, parameter: &str) -> Option<usize>;

    /// A batch -> `[n, dim]`, not normalised. `chance` is for what is random in training.
    fn forward(&self, pass: &Pass, input: Self::Input, chance: &mut fastrand::Rng) -> Tensor<2>;
}

/// An image tower has two parts: a network from pictures to features, which may keep its weights,
/// and a head from features into the common space. Features of a network that does not learn are
/// the same in every epoch and need to be taken only once.
pub(crate) trait ImageTower: Tower<Input = Pixels> {
    /// Values of a picture's features.
    fn feature_count(&self) -> usize;

    /// How many of those, the first, are of the last map of the network, each once.
    fn network_features(&self) -> usize;

    /// How many, the first, say all once: those, and the colours behind them.
    fn plain_features(&self) -> usize;

    /// A text that differs where the same weights and pixels give other features.
    fn description(&self) -> String;

    /// Pictures -> features, `[n, feature_count]`.
    fn features(&self, pass: &Pass, input: Pixels) -> Tensor<2>;

    /// Features -> `[n, dim]`, not normalised.
    fn head(&self, pass: &Pass, features: Tensor<2>, chance: &mut fastrand::Rng) -> Tensor<2>;
}

/// What of the image tower keeps its weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Freeze {
    #[default]
    None,
    /// The stages up to this one (1 to 4). Of a convolutional network these are all layers whose
    /// map is at least a quarter, an eighth, a 16th or a 32nd as wide as the picture.
    Stages(usize),
    /// All but the layer at the end.
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

    /// Whether a parameter of this [stage](Tower::stage) keeps its values.
    pub(super) fn holds(self, stage: Option<usize>) -> bool {
        match (self, stage) {
            (Self::None, _) | (_, None) => false,
            (Self::Stages(last), Some(stage)) => stage <= last,
            (Self::All, Some(_)) => true,
        }
    }
}
