//! What is measured: which work, by which network, on how much at once.

use std::fmt;

use crate::steps::Result;

/// The name of the program of this repository among the others.
pub(super) const LOOKSEE: &str = "looksee";

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Kind {
    /// A training step of the image tower.
    Train,
    /// Pictures to vectors.
    Embed,
    /// A training step of the recurrent layer.
    Gru,
    /// The convolutions of ResNet50, each by itself.
    Conv,
}

impl Kind {
    pub(in super::super) fn named(name: &str) -> Option<Self> {
        [Self::Train, Self::Embed, Self::Gru, Self::Conv]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    pub(in super::super) fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Embed => "embed",
            Self::Gru => "gru",
            Self::Conv => "conv",
        }
    }

    /// The programs that can be measured beside looksee. Recurrent layers know no other order of
    /// their values, and ONNX Runtime does not train. A training step asks for much memory anew, so
    /// its best order is measured on other allocators too.
    pub(super) fn peers(self) -> &'static [&'static str] {
        match self {
            Self::Train => &[
                "torch",
                "torch-channels-last",
                "torch-channels-last-jemalloc",
                "torch-channels-last-tcmalloc",
            ],
            Self::Conv => &["torch", "torch-channels-last"],
            Self::Embed => &["torch", "torch-channels-last", "onnxruntime"],
            Self::Gru => &["torch"],
        }
    }

    /// The networks that do this work.
    pub(super) fn networks(self) -> &'static [&'static str] {
        match self {
            Self::Embed => &["resnet50", "efficientnet-lite2"],
            Self::Train | Self::Conv => &["resnet50"],
            Self::Gru => &["gru"],
        }
    }

    /// What is measured when nothing else is asked for.
    pub(super) fn cases(self) -> Vec<Case> {
        let case = |network, batch, side| Case { kind: self, network, batch, side };
        match self {
            Self::Train | Self::Conv => {
                [(32, 64), (16, 128), (8, 224)].map(|(n, side)| case("resnet50", n, side)).into()
            }
            Self::Embed => vec![
                case("resnet50", 16, 224),
                case("resnet50", 16, 128),
                case("resnet50", 1, 224),
                case("resnet50", 1, 128),
                case("efficientnet-lite2", 16, 128),
            ],
            Self::Gru => vec![case("gru", 32, 0)],
        }
    }

    /// What there are so many of in a batch.
    pub(super) fn unit(self) -> &'static str {
        if self == Self::Gru { "texts" } else { "images" }
    }
}

/// One line of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Case {
    pub(super) kind: Kind,
    pub(super) network: &'static str,
    pub(super) batch: usize,
    /// Height and width of the pictures; 0 for texts.
    pub(super) side: usize,
}

impl Case {
    /// `16x128`; `32` for texts.
    pub(super) fn size(&self) -> String {
        match self.side {
            0 => self.batch.to_string(),
            side => format!("{}x{side}", self.batch),
        }
    }

    /// The case as both measured programs take it.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = vec![self.kind.name().to_owned()];
        let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
        option("--batch", self.batch.to_string());
        if self.kind != Kind::Gru {
            option("--network", self.network.to_owned());
            option("--side", self.side.to_string());
        }
        words
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Self { kind, network, batch, side } = self;
        match kind {
            Kind::Gru => write!(f, "gru, {batch} texts"),
            _ => write!(f, "{}, {network}, {batch} x {side} px", kind.name()),
        }
    }
}

/// Reads `16x128,1x224`; `32,8` for texts.
pub(super) fn sizes(kind: Kind, list: &str) -> Result<Vec<(usize, usize)>> {
    list.split(',').map(|word| size(kind, word)).collect()
}

fn size(kind: Kind, word: &str) -> Result<(usize, usize)> {
    let number = |word: &str| word.parse::<usize>().ok().filter(|number| *number > 0);
    let found = match kind {
        Kind::Gru => number(word).map(|batch| (batch, 0)),
        _ => word.split_once('x').and_then(|(batch, side)| Some((number(batch)?, number(side)?))),
    };
    let example =
        if kind == Kind::Gru { "texts such as 32" } else { "batch x pixels as in 16x128" };
    let found = found.ok_or_else(|| format!("bench: --sizes takes {example}; found `{word}`"))?;
    // The last maps of the networks would have no position.
    if found.1 > 0 && found.1 < 32 {
        return Err(format!("bench: --sizes takes pictures from 32 pixels; found `{word}`"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_what_both_programs_are_told() {
        let [case, ..] = Kind::Embed.cases()[..] else { panic!("no cases") };
        assert_eq!(case.to_string(), "embed, resnet50, 16 x 224 px");
        assert_eq!(case.words().join(" "), "embed --batch 16 --network resnet50 --side 224");
        let texts = Kind::Gru.cases()[0];
        assert_eq!((texts.to_string(), texts.size()), ("gru, 32 texts".into(), "32".into()));
        assert_eq!(texts.words().join(" "), "gru --batch 32");
    }

    #[test]
    fn sizes_that_are_none_are_refused() {
        assert_eq!(sizes(Kind::Train, "2x64,1x96").unwrap(), [(2, 64), (1, 96)]);
        assert_eq!(sizes(Kind::Gru, "8").unwrap(), [(8, 0)]);
        let error = |list| sizes(Kind::Conv, list).unwrap_err();
        assert_eq!(error("64"), "bench: --sizes takes batch x pixels as in 16x128; found `64`");
        assert_eq!(error("0x64"), "bench: --sizes takes batch x pixels as in 16x128; found `0x64`");
        assert_eq!(error("1x16"), "bench: --sizes takes pictures from 32 pixels; found `1x16`");
    }
}
