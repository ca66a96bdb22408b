//! The commands under torture: from which state they start, and to which they must come.

use std::path::{Path, PathBuf};

use super::catalogue;
use super::reference::{Known, World};

/// A command that changes a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// A new index of the first catalogue.
    Index,
    /// The second catalogue over an index of the first.
    Update,
    /// Items out of an index of the second.
    Remove,
    /// The rows of these items out of its segments.
    Compact,
    /// An index of the second catalogue from two parts.
    Merge,
    /// A new model.
    Train,
    /// An interrupted run that goes on.
    Resume,
}

impl Work {
    /// All.
    pub(super) const ALL: [Self; 7] = [
        Self::Index,
        Self::Update,
        Self::Remove,
        Self::Compact,
        Self::Merge,
        Self::Train,
        Self::Resume,
    ];

    /// The folder of the reference that it begins with, if any.
    pub(super) fn start(self, world: &World) -> Option<PathBuf> {
        let name = match self {
            Self::Index | Self::Merge | Self::Train => return None,
            Self::Update => "index-first",
            Self::Remove => "index-second",
            Self::Compact => "index-removed",
            Self::Resume => "interrupted",
        };
        Some(world.pristine(name))
    }

    /// The command with `out` as its folder.
    pub(super) fn words(self, world: &World, out: &Path) -> Vec<String> {
        let pristine = |name| text(&world.pristine(name));
        let out = text(out);
        match self {
            Self::Index => index("first.jsonl", Some(&world.pristine("model")), Path::new(&out)),
            Self::Update => index("second.jsonl", None, Path::new(&out)),
            Self::Remove => {
                let mut words = strings(&["remove", "-q", &out]);
                words.extend(catalogue::to_remove());
                words
            }
            Self::Compact => strings(&["compact", "-q", &out]),
            Self::Merge => {
                strings(&["merge", "-q", &pristine("part-1"), &pristine("part-2"), "-o", &out])
            }
            Self::Train => train(Path::new(&out), 0),
            Self::Resume => {
                let mut words = train(Path::new(&out), 0);
                words.push("--resume".to_owned());
                words
            }
        }
    }

    /// What an index answers before and after it; before there is one, nothing.
    pub(super) fn states(self, world: &World) -> (Option<&Known>, &Known) {
        match self {
            Self::Index | Self::Train | Self::Resume => (None, &world.first),
            Self::Update => (Some(&world.first), &world.second),
            Self::Remove => (Some(&world.second), &world.removed),
            Self::Compact => (Some(&world.removed), &world.removed),
            Self::Merge => (None, &world.second),
        }
    }

    /// The folder of the reference that it comes to.
    pub(super) fn result(self, world: &World) -> PathBuf {
        world.pristine(match self {
            Self::Index => "index-first",
            Self::Update | Self::Merge => "index-second",
            Self::Remove | Self::Compact => "index-removed",
            Self::Train | Self::Resume => "model",
        })
    }

    /// Whether it makes a model.
    pub(super) fn learns(self) -> bool {
        matches!(self, Self::Train | Self::Resume)
    }
}

/// `looksee index`.
pub(super) fn index(catalogue: &str, model: Option<&Path>, out: &Path) -> Vec<String> {
    let mut words = strings(&["index", "-q", "--threads", "1", catalogue, "-o", &text(out)]);
    if let Some(model) = model {
        words.extend(strings(&["-m", &text(model)]));
    }
    words
}

/// `looksee train` of a model so small that it takes seconds.
pub(super) fn train(out: &Path, seed: u64) -> Vec<String> {
    let mut words = strings(&["train", "-q", "--threads", "1", "first.jsonl", "-o", &text(out)]);
    words.extend(strings(&[
        "--image-tower=efficientnet-lite0",
        "--image-size=32",
        "--dim=16",
        "--batch-size=16",
        "--epochs=4",
        "--lr=0.003",
        "--set=text_tower.embedding=16",
        "--set=text_tower.hidden=16",
        "--set=image.crop=1.0",
        "--set=validation=0.2",
    ]));
    words.push(format!("--seed={seed}"));
    words
}

/// The path as a word of a command; all paths here are our own and are text.
pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Words of a command.
pub(super) fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
