//! A model that was loaded, and verified as far as it is used.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::architecture::{Architecture, Bounded, ImageArchitecture, Pool, TextArchitecture};
use super::card::{self, Card, Written, hex};
use super::convolutional::{Convolutional, Head};
use super::folder::{self, CARD, Unwritten};
use super::parameters::{Mode, Parameters, Pass};
use super::preprocessing::Preprocessing;
use super::pretrained::{Demands, Pretrained};
use super::towers::Towers;
use super::weight_file::{Guard, Side, WeightFile};
use super::{About, Encoder, weights};
use crate::catalogue::Learnt;
use crate::error::{Error, ErrorKind, Fact, Result};
use crate::files::{self, FileKind};
use crate::images::{Frame, ImageBatch};
use crate::tokens::{self, Vocabulary};
use crate::vectors::Vectors;

/// Items that pass through a tower together; more need memory and gain nothing.
const BATCH: usize = 64;
/// Most bytes of pixels that pass through together, so that a large frame takes no more memory
/// than [`BATCH`] pictures of 512 by 512 do.
const BATCH_BYTES: usize = BATCH * 3 * 512 * 512;
/// How often a model is read anew that is replaced while it is read.
const TRIES: usize = 5;

/// A trained model, loaded from its folder.
///
/// Loading reads its description and its vocabulary and opens the weight file. A tower is read,
/// compared with its checksum and made ready when it is first used, so that a query of words never
/// reads the image tower; [`Model::verify`] reads everything.
#[derive(Debug)]
pub struct Model {
    card: Card,
    text: String,
    words: Vec<u8>,
    vocabulary: Vocabulary,
    towers: Towers,
    weights: Numbers,
    passes: Passes,
}

/// Where the bytes of a model's weight file are.
#[derive(Debug)]
enum Numbers {
    /// In its folder.
    File(WeightFile),
    /// In memory: of a model that is yet to be written, of which both towers are ready.
    Here(Vec<u8>),
    /// Nowhere.
    #[cfg(any(test, feature = "bench"))]
    Nowhere,
}

impl Numbers {
    /// The whole file, every part of it compared with its checksum.
    fn whole(&self) -> Result<Vec<u8>> {
        match self {
            Self::File(file) => file.whole(),
            Self::Here(bytes) => Ok(bytes.clone()),
            #[cfg(any(test, feature = "bench"))]
            Self::Nowhere => Err(never_saved()),
        }
    }

    fn file(&self) -> Result<&WeightFile> {
        if let Self::File(file) = self { Ok(file) } else { Err(never_saved()) }
    }
}

fn never_saved() -> Error {
    Error::invalid("this model was never saved")
}

/// The towers that are ready. One pass of a tower at a time, because a pass uses all cores by
/// itself; but a query of words never waits for a batch of pictures.
#[derive(Debug, Default)]
struct Passes {
    image: Mutex<Option<Pass>>,
    text: Mutex<Option<Pass>>,
}

impl Passes {
    fn of(image: Parameters, text: Parameters) -> Self {
        Self { image: Mutex::new(Some(pass(image))), text: Mutex::new(Some(pass(text))) }
    }

    fn of_side(&self, side: Side) -> MutexGuard<'_, Option<Pass>> {
        let place = match side {
            Side::Image => &self.image,
            Side::Text => &self.text,
        };
        place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pass(parameters: Parameters) -> Pass {
    Pass::new(Arc::new(parameters), Mode::Inference)
}

impl Model {
    /// Loads the model of a folder.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none, [`ErrorKind::Unsupported`] for one of a newer
    /// build, [`ErrorKind::Corrupt`] when the description or the vocabulary is not what was written,
    /// or the weight file is another. Values of a tower that are not what was written are found
    /// by what uses them first, or by [`Model::verify`].
    pub fn load(folder: &Path) -> Result<Self> {
        let mut text = read_card(folder)?;
        for _ in 1..TRIES {
            match Self::with_card(folder, &text) {
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    // A training run that keeps a better model takes away the files of the last.
                    let newer = read_card(folder)?;
                    if newer == text {
                        return Err(e);
                    }
                    text = newer;
                }
                other => return other,
            }
        }
        Self::with_card(folder, &text)
    }

    fn with_card(folder: &Path, text: &str) -> Result<Self> {
        let written = card::parse(text).map_err(|e| e.at_file(folder.join(CARD)))?;
        match written.whole.clone() {
            None => Self::in_parts(folder, written, text),
            Some(checksum) => Self::first_format(folder, written, checksum, text),
        }
    }

    fn in_parts(folder: &Path, written: Written, text: &str) -> Result<Self> {
        let card = &written.card;
        let path = folder.join(&card.files.vocabulary);
        let words = read_words(&path)?;
        if hex(files::checksum(&words)) != card.checksums.vocabulary {
            return Err(other_vocabulary(&path));
        }
        let vocabulary = Vocabulary::parse(&words).map_err(|e| e.at_file(&path))?;
        check_buckets(card, &vocabulary).map_err(|e| e.at_file(&path))?;
        let towers = Towers::new(&card.architecture, vocabulary.len());
        let guard = Guard::parts(card, &towers);
        let weights = WeightFile::open(&folder.join(&card.files.weights), guard)?;
        if written.fingerprint_of_parts() != card.fingerprint {
            return Err(other_fingerprint(&folder.join(CARD)));
        }
        let (card, text, passes) = (written.card, text.to_owned(), Passes::default());
        Ok(Self { card, text, words, vocabulary, towers, weights: Numbers::File(weights), passes })
    }

    /// A model of format 1, whose weights are guarded only as a whole: all of it is read.
    fn first_format(folder: &Path, written: Written, checksum: String, text: &str) -> Result<Self> {
        let card = &written.card;
        let path = folder.join(&card.files.vocabulary);
        let words = read_words(&path)?;
        let vocabulary = Vocabulary::parse(&words).map_err(|e| e.at_file(&path))?;
        check_buckets(card, &vocabulary).map_err(|e| e.at_file(&path))?;
        let towers = Towers::new(&card.architecture, vocabulary.len());
        let guard = Guard::whole(checksum, &towers);
        let weights = WeightFile::open(&folder.join(&card.files.weights), guard)?;
        let bytes = weights.whole()?;
        if written.fingerprint_of_files(&bytes, &words) != card.fingerprint {
            // The weights are those of the description, so it is the vocabulary or a size.
            return Err(other_fingerprint(&folder.join(CARD)));
        }
        let (tensors, _) = weights::parse(&bytes).map_err(|e| e.at_file(weights.path()))?;
        let load = |mut parameters: Parameters| {
            parameters.load(&tensors, "", |_| true).map_err(|e| e.at_file(weights.path()))?;
            Ok::<_, Error>(parameters)
        };
        let passes = Passes::of(load(towers.waiting_image())?, load(towers.waiting_text())?);
        let (card, text) = (written.card, text.to_owned());
        Ok(Self { card, text, words, vocabulary, towers, weights: Numbers::File(weights), passes })
    }

    /// A model of pictures alone, whose vectors are the features of a network that others trained,
    /// averaged over the positions of its last map. Pictures come to it in `frame`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a frame that no model has.
    pub fn of_pictures(pretrained: &Pretrained, frame: Frame) -> Result<Self> {
        let Demands { convention, pixels } = pretrained.demands();
        let image = Convolutional {
            network: pretrained.network(),
            convention,
            pool: Pool::Average,
            colours: false,
            head: Head::None,
        };
        let architecture = Architecture {
            dim: image.feature_count(),
            image: ImageArchitecture::Convolutional(image),
            text: TextArchitecture::None,
            preprocessing: Preprocessing::new(frame, pixels, 1),
            kept: None,
        };
        if let Some(sentence) = Bounded::first_outside(&architecture.bounded()) {
            return Err(Error::invalid(format!("no model can be made of this: {sentence}")));
        }
        let vocabulary = Vocabulary::learn([], &tokens::Rules::Words { min_count: 1 });
        let towers = Towers::new(&architecture, vocabulary.len());
        let mut parameters = towers.waiting_image();
        pretrained.put_into(&mut parameters, |name| towers.is_of_the_network(name))?;
        let from = toml::Value::from(pretrained.origin());
        let about = About {
            architecture,
            calibration: card::Calibration::default(),
            data: toml::Table::from_iter([("pretrained".to_owned(), from)]),
            metrics: toml::Table::new(),
            recipe: toml::Table::new(),
        };
        let Unwritten { card, text, weights, words } =
            folder::seal(&parameters, &vocabulary, about)?;
        let passes = Passes::of(parameters, towers.waiting_text());
        let weights = Numbers::Here(weights);
        Ok(Self { card, text, words, vocabulary, towers, weights, passes })
    }

    /// A model that lies in no folder.
    #[cfg(any(test, feature = "bench"))]
    pub(crate) fn unsaved(
        architecture: Architecture,
        vocabulary: Vocabulary,
        image: Parameters,
        text: Parameters,
    ) -> Self {
        let towers = Towers::new(&architecture, vocabulary.len());
        let mut card = Card::new(architecture, card::Calibration::default());
        "unsaved".clone_into(&mut card.fingerprint);
        Self {
            towers,
            card,
            text: String::new(),
            words: Vec::new(),
            vocabulary,
            weights: Numbers::Nowhere,
            passes: Passes::of(image, text),
        }
    }

    /// `model.toml`, for `looksee info`.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// `model.toml` as text.
    pub fn describe(&self) -> String {
        self.text.clone()
    }

    /// Reads all of the weight file and compares it with what was written; the rest was compared
    /// when the model was loaded.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] for the first part that is not what was written.
    pub fn verify(&self) -> Result<()> {
        self.weights.whole()?;
        if let Numbers::File(weights) = &self.weights
            && let Guard::Parts { .. } = weights.guard()
        {
            self.read(Side::Image)?;
            self.read(Side::Text)?;
        }
        Ok(())
    }

    /// Whether `folder` holds exactly this model, whole and undamaged.
    pub fn is_in(&self, folder: &Path) -> bool {
        let holds = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            files::kind(&path).is_ok_and(|kind| kind == FileKind::File)
                && files::read_at_most(&path, bytes.len() as u64).is_ok_and(|read| read == bytes)
        };
        let name = &self.card.files.weights;
        let path = folder.join(name);
        let holds_weights = || match &self.weights {
            Numbers::File(file) => {
                files::kind(&path).is_ok_and(|kind| kind == FileKind::File)
                    && WeightFile::open(&path, file.guard().clone()).and_then(|w| w.whole()).is_ok()
            }
            Numbers::Here(bytes) => holds(name, bytes),
            #[cfg(any(test, feature = "bench"))]
            Numbers::Nowhere => false,
        };
        holds(CARD, self.text.as_bytes())
            && holds(&self.card.files.vocabulary, &self.words)
            && holds_weights()
    }

    /// Writes this model into `folder`, which is there: the bytes that were loaded, whatever lies
    /// in the folder that they came from by now.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when the weights are not what was written; then there is no
    /// `model.toml` in `folder`. And what writing can end in.
    pub fn write_to(&self, folder: &Path) -> Result<()> {
        let Card { files: names, .. } = &self.card;
        files::replace_bytes(&folder.join(&names.weights), &self.weights.whole()?)?;
        files::replace_bytes(&folder.join(&names.vocabulary), &self.words)?;
        files::replace_bytes(&folder.join(CARD), self.text.as_bytes())
    }

    /// Reads and compares one tower.
    fn read(&self, side: Side) -> Result<Parameters> {
        let mut parameters = match side {
            Side::Image => self.towers.waiting_image(),
            Side::Text => self.towers.waiting_text(),
        };
        let weights = self.weights.file()?;
        let bytes = weights.tower(side)?;
        parameters.fill(&bytes).map_err(|e| e.at_file(weights.path()))?;
        Ok(parameters)
    }

    /// The pass of a tower, which is read at its first use.
    fn ready<'a>(&self, side: Side, place: &'a mut Option<Pass>) -> Result<&'a Pass> {
        if place.is_none() {
            *place = Some(pass(self.read(side)?));
        }
        place.as_ref().ok_or_else(never_saved)
    }
}

impl Encoder for Model {
    fn fingerprint(&self) -> &str {
        &self.card.fingerprint
    }

    fn dim(&self) -> usize {
        self.card.architecture.vector_dim()
    }

    fn frame(&self) -> Frame {
        self.card.architecture.preprocessing.pictures.frame
    }

    fn join(&self, texts: &[String]) -> Option<String> {
        if !self.reads_texts() {
            return None;
        }
        self.card.architecture.preprocessing.texts.join(texts)
    }

    fn images(&self, batch: &ImageBatch) -> Result<Vectors> {
        let (mut pass, frame) = (self.passes.of_side(Side::Image), self.frame());
        let pass = self.ready(Side::Image, &mut pass)?;
        let most = (BATCH_BYTES / frame.bytes()).clamp(1, BATCH);
        let mut vectors = Vectors::empty(self.dim());
        for rgb in batch.rgb.chunks(most * frame.bytes()) {
            let chunk = ImageBatch { rgb: rgb.to_vec(), ..ImageBatch::new(frame) };
            vectors.append(&self.towers.embed_images(pass, &chunk)?)?;
        }
        Ok(vectors)
    }

    fn reads_texts(&self) -> bool {
        self.card.architecture.reads_texts()
    }

    fn texts(&self, texts: &[&str]) -> Result<Vectors> {
        if !self.reads_texts() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "this model knows pictures alone and reads no words: ask with a picture, or train a \
                 model on pictures with texts",
            )
            .with_fact(Fact::PicturesOnly));
        }
        let mut pass = self.passes.of_side(Side::Text);
        let pass = self.ready(Side::Text, &mut pass)?;
        let mut vectors = Vectors::empty(self.dim());
        for chunk in texts.chunks(BATCH) {
            let longest = self.card.architecture.preprocessing.texts.longest;
            let tokens = self.vocabulary.batch(chunk, longest);
            vectors.append(&self.towers.embed_texts(pass, &tokens)?)?;
        }
        Ok(vectors)
    }

    fn unknown_words(&self, text: &str) -> Vec<String> {
        // One that reads none has not failed to learn some.
        if self.reads_texts() { self.vocabulary.unknown_words(text) } else { Vec::new() }
    }

    fn probability(&self, cosine: f32) -> f32 {
        self.card.calibration.probability(cosine)
    }

    fn learnt(&self) -> Option<Learnt> {
        self.card.data.get(Learnt::ENTRY)?.clone().try_into().ok()
    }
}

fn read_card(folder: &Path) -> Result<String> {
    folder::read_card(folder).map_err(|e| match e.kind() {
        ErrorKind::NotFound => {
            Error::new(ErrorKind::NotFound, "no model here: the folder has no model.toml")
                .with_fact(Fact::NoModel)
                .at_file(folder)
        }
        _ => e,
    })
}

fn read_words(path: &Path) -> Result<Vec<u8>> {
    files::read_at_most(path, tokens::MOST_BYTES).map_err(|e| match e.kind() {
        ErrorKind::NotFound => Error::new(
            ErrorKind::NotFound,
            "the model's vocabulary is missing; copy the whole model folder, or train again",
        )
        .at_file(path),
        _ => e,
    })
}

fn other_vocabulary(path: &Path) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "the vocabulary is not the one that model.toml was written with: cut short or changed; \
         copy the model folder again, or train again",
    )
    .at_file(path)
}

/// A bucket beyond the table of the model would be no row of it.
fn check_buckets(card: &Card, vocabulary: &Vocabulary) -> Result<()> {
    let (own, expected) = (vocabulary.buckets(), card.architecture.text.buckets());
    if own == expected {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Corrupt,
        format!(
            "the vocabulary has {own} buckets of n-grams and the model {expected}; copy the model \
             folder again, or train again"
        ),
    ))
}

fn other_fingerprint(path: &Path) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "the fingerprint in this file is not that of the weights, the vocabulary and the \
         architecture beside it: one of them was changed; copy the model folder again, or train \
         again",
    )
    .at_file(path)
}

#[cfg(test)]
mod tests;
