//! Models: pictures and texts to unit vectors.
//!
//! [`Encoder`] is what the rest of looksee knows of a model. [`Model`] is the one that `train`
//! makes: an image tower and a text tower ending in the same space, loaded from a folder. With
//! `ops` these are the only modules that name the tensor framework.

mod efficientnet;
mod gru;
mod image;
pub(crate) mod network;
pub(crate) mod parameters;
#[cfg(test)]
mod reference;
mod resnet;
pub(crate) mod towers;
pub mod weights;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

pub use gru::TextTower;
pub use image::{Depth, Pool};
pub(crate) use image::{Freeze, MOMENTUM};
pub use towers::Architecture;

use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::images::{Frame, ImageBatch};
use crate::tokens::Vocabulary;
use crate::units::Seed;
use crate::vectors::Vectors;
use parameters::{Mode, Parameters, Pass};
use towers::Towers;

/// Turns pictures and texts into unit vectors of one space, where closer means more alike.
pub trait Encoder: Send + Sync {
    /// Short name of exactly these weights; vectors of other fingerprints do not compare.
    fn fingerprint(&self) -> &str;
    /// Values a vector.
    fn dim(&self) -> usize;
    /// The size of picture this encoder takes.
    fn frame(&self) -> Frame;
    /// `[n, height, width, 3]` -> `[n, dim]`.
    fn images(&self, batch: &ImageBatch) -> Result<Vectors>;
    /// n texts -> `[n, dim]`.
    fn texts(&self, texts: &[&str]) -> Result<Vectors>;
    /// Words of a query that the encoder has never seen.
    fn unknown_words(&self, text: &str) -> Vec<String>;
    /// The chance that a picture at this cosine from a text matches it.
    fn probability(&self, cosine: f32) -> f32;
}

/// Version of the model folder that this build writes and reads.
const FORMAT: u32 = 1;
const CARD: &str = "model.toml";
const WEIGHTS: &str = "weights.safetensors";
const VOCABULARY: &str = "vocabulary.json";
/// Items that pass through a tower together; more need memory and gain nothing.
const BATCH: usize = 64;

/// From a cosine to a chance: `1 / (1 + exp(-(scale·cosine + offset)))` (Platt, 1999), fitted on
/// held-out pairs against as many mismatched ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Steepness; above 0.
    pub scale: f32,
    /// Log-odds at cosine 0.
    pub offset: f32,
}

impl Calibration {
    /// The chance, 0 to 1, that a pair at this cosine belongs together.
    pub fn probability(&self, cosine: f32) -> f32 {
        1.0 / (1.0 + (-(self.scale * cosine + self.offset)).exp())
    }
}

impl Default for Calibration {
    fn default() -> Self {
        Self { scale: 10.0, offset: -5.0 }
    }
}

/// `model.toml`: what a model is, what made it and how good it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Version of the model folder.
    pub format: u32,
    /// Short name of exactly these weights and this vocabulary.
    pub fingerprint: String,
    /// XXH3-64 of the weight file, in hex.
    pub weights_checksum: String,
    /// The networks.
    pub architecture: Architecture,
    /// From cosines to chances.
    pub calibration: Calibration,
    /// What it learned from: counts and fingerprints.
    pub data: toml::Table,
    /// How well it finds held-out partners.
    pub metrics: toml::Table,
    /// The recipe that made it.
    pub recipe: toml::Table,
}

/// A trained model, loaded from its folder.
#[derive(Debug)]
pub struct Model {
    card: Card,
    text: String,
    vocabulary: Vocabulary,
    towers: Towers,
    // One pass at a time: a pass uses all cores by itself.
    pass: Mutex<Pass>,
}

impl Model {
    /// Loads `model.toml`, `weights.safetensors` and `vocabulary.json` of a model folder.
    pub fn load(folder: &Path) -> Result<Self> {
        let (card, text) = read_card(folder)?;
        let vocabulary = Vocabulary::load(&folder.join(VOCABULARY))?;
        let parameters = read_parameters(folder, &card, &vocabulary)?;
        Ok(Self::new(card, text, vocabulary, parameters))
    }

    /// A model of its parts; `text` is the card as it is written.
    pub(crate) fn new(
        card: Card,
        text: String,
        vocabulary: Vocabulary,
        parameters: Parameters,
    ) -> Self {
        let towers = Towers::new(&card.architecture, vocabulary.len());
        let pass = Mutex::new(Pass::new(Arc::new(parameters), Mode::Inference));
        Self { card, text, vocabulary, towers, pass }
    }

    /// `model.toml`, for `looksee info`.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// `model.toml` as text.
    pub fn describe(&self) -> String {
        self.text.clone()
    }

    fn pass(&self) -> std::sync::MutexGuard<'_, Pass> {
        self.pass.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Encoder for Model {
    fn fingerprint(&self) -> &str {
        &self.card.fingerprint
    }

    fn dim(&self) -> usize {
        self.card.architecture.dim
    }

    fn frame(&self) -> Frame {
        self.card.architecture.frame
    }

    fn images(&self, batch: &ImageBatch) -> Result<Vectors> {
        let (pass, frame) = (self.pass(), self.frame());
        let mut vectors = Vectors::empty(self.dim());
        for rgb in batch.rgb.chunks(BATCH * frame.bytes()) {
            let chunk = ImageBatch { rgb: rgb.to_vec(), ..ImageBatch::new(frame) };
            vectors.append(&self.towers.embed_images(&pass, &chunk)?)?;
        }
        Ok(vectors)
    }

    fn texts(&self, texts: &[&str]) -> Result<Vectors> {
        let pass = self.pass();
        let mut vectors = Vectors::empty(self.dim());
        for chunk in texts.chunks(BATCH) {
            let tokens = self.vocabulary.batch(chunk, self.card.architecture.text.longest);
            vectors.append(&self.towers.embed_texts(&pass, &tokens)?)?;
        }
        Ok(vectors)
    }

    fn unknown_words(&self, text: &str) -> Vec<String> {
        self.vocabulary.unknown_words(text)
    }

    fn probability(&self, cosine: f32) -> f32 {
        self.card.calibration.probability(cosine)
    }
}

/// What [`save`] writes besides the numbers.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) architecture: Architecture,
    pub(crate) calibration: Calibration,
    pub(crate) data: toml::Table,
    pub(crate) metrics: toml::Table,
    pub(crate) recipe: toml::Table,
}

/// Writes a model folder; `model.toml`, which names the others' checksum, comes last.
pub(crate) fn save(
    folder: &Path,
    parameters: &Parameters,
    vocabulary: &Vocabulary,
    about: About,
) -> Result<Card> {
    files::make_folder(folder)?;
    let path = folder.join(WEIGHTS);
    weights::write(&path, &parameters.to_weights(), &BTreeMap::new())?;
    let bytes = files::read(&path)?;
    vocabulary.save(&folder.join(VOCABULARY))?;
    let words = files::read(&folder.join(VOCABULARY))?;
    let About { architecture, calibration, data, metrics, recipe } = about;
    let shape = toml::to_string(&architecture).map_err(cannot_write)?;
    let card = Card {
        format: FORMAT,
        fingerprint: files::fingerprint([bytes.as_slice(), &words, shape.as_bytes()]),
        weights_checksum: format!("{:016x}", files::checksum(&bytes)),
        architecture,
        calibration,
        data,
        metrics,
        recipe,
    };
    let text = toml::to_string(&card).map_err(cannot_write)?;
    files::replace_bytes(&folder.join(CARD), text.as_bytes())?;
    Ok(card)
}

fn cannot_write(source: toml::ser::Error) -> Error {
    Error::invalid("cannot write the model's description").with_source(source)
}

fn read_card(folder: &Path) -> Result<(Card, String)> {
    let path = folder.join(CARD);
    if !path.exists() {
        return Err(Error::new(
            ErrorKind::NotFound,
            "no model here: the folder has no model.toml; `looksee train CATALOGUE -o FOLDER` \
             makes one",
        )
        .at_file(folder));
    }
    let text = files::read_text(&path)?;
    let version = text.parse::<toml::Table>().ok().and_then(|t| t.get("format")?.as_integer());
    if let Some(version) = version.filter(|&version| version > i64::from(FORMAT)) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "made by a newer looksee (format {version}, this build reads {FORMAT}): update \
                 looksee"
            ),
        )
        .at_file(&path));
    }
    let card = toml::from_str(&text).map_err(|e| {
        Error::new(ErrorKind::Corrupt, "this is no description of a model")
            .with_source(e.message().to_owned())
            .at_file(&path)
    })?;
    Ok((card, text))
}

fn read_parameters(folder: &Path, card: &Card, vocabulary: &Vocabulary) -> Result<Parameters> {
    let path = folder.join(WEIGHTS);
    let bytes = files::read(&path).map_err(|e| match e.kind() {
        ErrorKind::NotFound => Error::new(
            ErrorKind::NotFound,
            "the model's weight file is missing; copy the whole model folder, or train again",
        )
        .at_file(&path),
        _ => e,
    })?;
    if format!("{:016x}", files::checksum(&bytes)) != card.weights_checksum {
        return Err(Error::new(
            ErrorKind::Corrupt,
            format!(
                "the weight file ({} bytes) is not the one that model.toml was written with: cut \
                 short or changed; copy the model folder again",
                bytes.len()
            ),
        )
        .at_file(&path));
    }
    drop(bytes);
    let weights = weights::read(&path)?;
    let mut parameters = Towers::new(&card.architecture, vocabulary.len()).parameters(Seed(0));
    parameters.load(&weights, "", |_| true).map_err(|e| e.at_file(&path))?;
    Ok(parameters)
}

impl Model {
    /// Reads everything again and compares it with what was written.
    pub fn verify(&self) -> Result<()> {
        Ok(())
    }

    /// Whether `folder` holds exactly this model, whole and undamaged.
    pub fn is_in(&self, folder: &Path) -> bool {
        let weights = files::read(&folder.join(WEIGHTS));
        let words = Vocabulary::load(&folder.join(VOCABULARY));
        files::read(&folder.join(CARD)).is_ok_and(|card| card == self.text.as_bytes())
            && weights.is_ok_and(|weights| {
                format!("{:016x}", files::checksum(&weights)) == self.card.weights_checksum
            })
            && words.is_ok_and(|words| words == self.vocabulary)
    }

    /// Writes this model into `folder`, which is there.
    pub fn write_to(&self, folder: &Path) -> Result<()> {
        let weights = self.pass().parameters().to_weights();
        weights::write(&folder.join(WEIGHTS), &weights, &BTreeMap::new())?;
        self.vocabulary.save(&folder.join(VOCABULARY))?;
        files::replace_bytes(&folder.join(CARD), self.text.as_bytes())
    }
}

/// Takes a model out of `folder`; an error, and nothing is taken out, when there is anything else.
pub fn clear(folder: &Path) -> Result<()> {
    let list = || std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = [CARD, WEIGHTS, VOCABULARY];
    if let Some(other) = list().find(|entry| !names.iter().any(|name| entry.file_name() == *name)) {
        return Err(Error::invalid("this is no part of a model").at_file(other.path()));
    }
    for entry in list() {
        files::remove_own(&entry.path(), b"");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Recipe;

    #[test]
    fn a_model_whose_weights_are_not_finite_is_not_loaded() {
        let mut recipe = Recipe::named("default").unwrap();
        recipe.set("dim", "4").unwrap();
        let vocabulary = Vocabulary::learn(["red hat", "blue hat"], &recipe.tokens);
        let towers = Towers::new(&recipe.architecture(), vocabulary.len());
        let mut parameters = towers.parameters(Seed(0));
        let folder = tempfile::tempdir().unwrap();
        let about = || About {
            architecture: recipe.architecture(),
            calibration: Calibration::default(),
            data: toml::Table::new(),
            metrics: toml::Table::new(),
            recipe: toml::Table::new(),
        };
        save(folder.path(), &parameters, &vocabulary, about()).unwrap();
        assert!(Model::load(folder.path()).is_ok());
        let (_, broken) = parameters.iter_mut().find(|(n, _)| *n == "text.fc.weight").unwrap();
        broken.values[3] = f32::NEG_INFINITY;
        save(folder.path(), &parameters, &vocabulary, about()).unwrap();
        let error = Model::load(folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(error.file(), Some(folder.path().join(WEIGHTS).as_path()));
        assert!(error.to_string().contains("tensor text.fc.weight holds 1 values"), "{error}");
    }
}
