//! A model folder: written so that a model is there at every moment, and cleared of nothing but
//! what looksee wrote.
//!
//! The files that `model.toml` names are called by their content, so a new model never writes over
//! the one that is there: first come its weights and its vocabulary under names of their own, then
//! `model.toml` is renamed, which in one step makes the new model the one of the folder, and only
//! then the files go that no `model.toml` names any more. Whoever stops in between, a kill or a
//! full disk, leaves the old model or the new one, and files that the next save takes away.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::card::{self, Card, Checksums, Files, hex};
use super::{About, weights};
use crate::encoder::parameters::Parameters;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, Cut, FileKind};
use crate::tokens::{self, Vocabulary};

pub(super) const CARD: &str = "model.toml";
pub(super) const FORMER_WEIGHTS: &str = "weights.safetensors";
pub(super) const FORMER_VOCABULARY: &str = "vocabulary.json";
/// A description is some 3 KB; ours never come near this.
const CARD_MOST: u64 = 1 << 20;

/// Whether `name` is `STEM-` with 16 hex digits and `.ENDING`.
pub(super) fn is_named_by_content(name: &str, stem: &str, ending: &str) -> bool {
    let digits = name
        .strip_prefix(stem)
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|rest| rest.strip_suffix(ending))
        .and_then(|rest| rest.strip_suffix('.'));
    digits.is_some_and(|digits| {
        digits.len() == 16 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// The kinds of file that make a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ModelPart {
    Card,
    Weights,
    Vocabulary,
}

impl ModelPart {
    /// What `name` is the name of, by any format.
    fn of(name: &str) -> Option<Self> {
        match name {
            CARD => Some(Self::Card),
            FORMER_WEIGHTS => Some(Self::Weights),
            FORMER_VOCABULARY => Some(Self::Vocabulary),
            _ if is_named_by_content(name, "weights", "safetensors") => Some(Self::Weights),
            _ if is_named_by_content(name, "vocabulary", "json") => Some(Self::Vocabulary),
            _ => None,
        }
    }

    /// What a file of this kind begins with, after so many bytes that differ.
    fn beginning(self) -> files::Beginning {
        match self {
            Self::Card => (0, b"format = "),
            // The length of the header comes first, and names are in order.
            Self::Weights => (8, b"{\"image."),
            Self::Vocabulary => (0, b"{\"format\":\"looksee-vocabulary\""),
        }
    }
}

/// Whose a name can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamedBy {
    Content,
    Anybody,
}

impl NamedBy {
    fn of(name: &str) -> Self {
        if matches!(name, CARD | FORMER_WEIGHTS | FORMER_VOCABULARY) {
            Self::Anybody
        } else {
            Self::Content
        }
    }
}

/// What the file at `path` must begin with to be part of a model, by its name.
fn expected(path: &Path) -> Option<(files::Beginning, Cut)> {
    let name = path.file_name()?.to_str()?;
    // The other names could be anybody's. An empty file holds nothing to lose.
    let cut = if NamedBy::of(name) == NamedBy::Content { Cut::Anywhere } else { Cut::Empty };
    Some((ModelPart::of(name)?.beginning(), cut))
}

/// Whether the regular file at `path` is part of a model by name and beginning.
pub(crate) fn is_own(path: &Path) -> bool {
    expected(path).is_some_and(|(beginning, cut)| files::begins(path, beginning, cut))
}

/// Whether `path` has one of the names that are given by content, so that no other program's file
/// is called so by chance.
pub(crate) fn has_name_by_content(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    ModelPart::of(name).is_some() && NamedBy::of(name) == NamedBy::Content
}

/// For [`files::tidy`]: what a half-written file of a model called `name` begins with.
pub(crate) fn beginning_of(name: &str) -> Option<files::Beginning> {
    ModelPart::of(name).map(ModelPart::beginning)
}

fn remove(path: &Path) -> bool {
    expected(path).is_some_and(|(beginning, cut)| files::remove_own(path, beginning, cut))
}

/// Reads `model.toml`.
pub(super) fn read_card(folder: &Path) -> Result<String> {
    let path = folder.join(CARD);
    let bytes = files::read_at_most(&path, CARD_MOST)?;
    String::from_utf8(bytes).map_err(|_| {
        Error::new(
            ErrorKind::Corrupt,
            "this is no description of a model: it is no UTF-8 text; copy the model folder again",
        )
        .at_file(&path)
    })
}

/// The card of a folder, when there is one that can be read; nothing else is looked at.
pub(crate) fn card_of(folder: &Path) -> Option<Card> {
    Some(card::parse(&read_card(folder).ok()?).ok()?.card)
}

/// Writes a model into a folder; what was there stays usable until the new one is whole.
pub(crate) fn save(
    folder: &Path,
    parameters: &Parameters,
    vocabulary: &Vocabulary,
    about: About,
) -> Result<Card> {
    files::make_folder(folder)?;
    let former = former_files(folder);
    let words = vocabulary.to_bytes()?;
    let mut tensors = parameters.to_weights();
    // What a loss learns beside the towers is of no use behind them.
    tensors.retain(|name, _| name.starts_with("image.") || name.starts_with("text."));
    let mut card = describe(&tensors, &words, about);
    let text = card.seal()?;
    weights::write(&folder.join(&card.files.weights), &tensors, &BTreeMap::new())?;
    files::replace_bytes(&folder.join(&card.files.vocabulary), &words)?;
    files::replace_bytes(&folder.join(CARD), text.as_bytes())?;
    for path in former {
        remove(&path);
    }
    remove_unnamed(folder, Some(&card.files));
    Ok(card)
}

/// A model as [`save`] writes it, that lies in no folder yet.
#[derive(Clone, Debug)]
pub(super) struct Unwritten {
    pub(super) card: Card,
    pub(super) text: String,
    pub(super) weights: Vec<u8>,
    pub(super) words: Vec<u8>,
}

/// The files of a model.
pub(super) fn seal(
    parameters: &Parameters,
    vocabulary: &Vocabulary,
    about: About,
) -> Result<Unwritten> {
    let words = vocabulary.to_bytes()?;
    let tensors = parameters.to_weights();
    let mut card = describe(&tensors, &words, about);
    let text = card.seal()?;
    Ok(Unwritten { card, text, weights: weights::to_bytes(&tensors)?, words })
}

fn describe(tensors: &weights::Weights, words: &[u8], about: About) -> Card {
    let bytes = |side: &'static str| {
        let of_side = tensors.iter().filter(move |(name, _)| name.starts_with(side));
        of_side.map(|(_, tensor)| files::f32_bytes(&tensor.values))
    };
    let header = weights::header(weights::shapes(tensors), &BTreeMap::new());
    let all = std::iter::once(header).chain(bytes(""));
    let vocabulary = hex(files::checksum(words));
    let About { architecture, calibration, data, metrics, recipe } = about;
    Card {
        files: Files {
            weights: format!("weights-{}.safetensors", hex(files::checksum_of_parts(all))),
            vocabulary: format!("vocabulary-{vocabulary}.json"),
        },
        checksums: Checksums {
            image: hex(files::checksum_of_parts(bytes("image."))),
            text: hex(files::checksum_of_parts(bytes("text."))),
            vocabulary,
        },
        data,
        metrics,
        recipe,
        ..Card::new(architecture, calibration)
    }
}

/// Weights and vocabulary of a model of format 1 in `folder`. Their names could be anybody's, so
/// they are ours only when the fingerprint of the card that is there was made of them.
fn former_files(folder: &Path) -> Vec<PathBuf> {
    let found = || {
        let written = card::parse(&read_card(folder).ok()?).ok()?;
        written.whole.as_ref()?;
        let paths = [FORMER_WEIGHTS, FORMER_VOCABULARY].map(|name| folder.join(name));
        let weights = files::read_at_most(&paths[0], weights::MOST_BYTES).ok()?;
        let words = files::read_at_most(&paths[1], tokens::MOST_BYTES).ok()?;
        let made = written.fingerprint_of_files(&weights, &words);
        (made == written.card.fingerprint).then(|| paths.to_vec())
    };
    found().unwrap_or_default()
}

/// Takes away what killed runs left of models in `folder`. Call it under the folder's lock.
pub(crate) fn tidy(folder: &Path) {
    files::tidy(folder, beginning_of);
    match files::kind(&folder.join(CARD)) {
        Ok(FileKind::Absent) => remove_unnamed(folder, None),
        // A card that cannot be read may name any of them.
        _ => {
            if let Some(card) = card_of(folder) {
                remove_unnamed(folder, Some(&card.files));
            }
        }
    }
}

/// Removes files named by their content that `named` does not name.
fn remove_unnamed(folder: &Path, named: Option<&Files>) {
    let Ok(entries) = fs_err::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let is_named =
            named.is_some_and(|files| name == *files.weights || name == *files.vocabulary);
        if has_name_by_content(&path) && !is_named {
            // One that cannot be removed is no trouble: nothing reads it.
            remove(&path);
        }
    }
}

/// Takes a model of any format out of `folder`, and what a killed run left of one. When there is
/// anything that is not looksee's, by name and by beginning, that is an error and nothing is taken
/// out; files that systems put into every folder stay and are no hindrance.
pub fn clear(folder: &Path) -> Result<()> {
    let mut own = Vec::new();
    let cannot = |e| Error::io("cannot look into the folder", e).at_file(folder);
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if files::is_of_the_system(&name) {
            continue;
        }
        if !is_own(&path) && !files::is_left_over(&path, beginning_of) {
            return Err(Error::invalid(
                "this is no part of a model of looksee, which writes a model only where nothing \
                 else lies; move it away",
            )
            .at_file(&path));
        }
        own.push(path);
    }
    // The card first: without it, no half of a model is taken for a whole one.
    own.sort_by_key(|path| path.file_name().is_none_or(|name| name != CARD));
    for path in own {
        let is_half_written = files::is_left_over(&path, beginning_of);
        let is_gone =
            remove(&path) || (is_half_written && files::remove_own(&path, (0, b""), Cut::Nowhere));
        if !is_gone {
            return Err(Error::new(ErrorKind::Io, "the file cannot be removed").at_file(&path));
        }
    }
    files::flush_folder(folder);
    Ok(())
}
