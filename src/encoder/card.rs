//! `model.toml`: what a model is, and what guards every part of it.
//!
//! The file carries a checksum of itself, so that neither damage nor a hand that changes a digit of
//! the calibration goes unseen: XXH3-64, in hex, of the text without the line `checksum = "…"`. Its
//! other checksums are kept a part, so that whoever needs one part reads that part alone. Sizes are
//! a stranger's claim: they are held to the ranges of a recipe before anything is allocated.
//!
//! Format 1, which is still read, had one checksum of the whole weight file, none of itself, and
//! fixed names for its other files.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::towers::{Architecture, Bounded};
use crate::error::{Error, ErrorKind, Result};
use crate::files;

/// Version of the model folder that this build writes; it reads 1 as well.
const FORMAT: u32 = 2;
/// What the line begins with that the checksum of the text leaves out.
const OWN_LINE: &str = "checksum = ";
/// What the card calls the sizes of [`Architecture::bounded`].
const SIZES: [&str; 7] = [
    "architecture.dim",
    "architecture.frame.width_px",
    "architecture.frame.height_px",
    "architecture.text.embedding",
    "architecture.text.hidden",
    "architecture.text.longest",
    "architecture.text.dropout",
];

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

/// The other files of a model, each named by its content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// The tensors of both towers.
    pub weights: String,
    /// How texts are cut into tokens.
    pub vocabulary: String,
}

/// XXH3-64 of the parts of a model, in hex.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksums {
    /// The values of all tensors of the image tower, as they lie in the weight file.
    pub image: String,
    /// The values of all tensors of the text tower.
    pub text: String,
    /// The file of the vocabulary.
    pub vocabulary: String,
}

/// `model.toml`: what a model is, what made it and how good it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Version of the model folder.
    pub format: u32,
    /// XXH3-64, in hex, of this file without the line of this checksum; empty in format 1.
    pub checksum: String,
    /// Short name of exactly these weights, this vocabulary and this architecture.
    pub fingerprint: String,
    /// The model's other files.
    pub files: Files,
    /// What guards them; empty in format 1, which guards the weight file as a whole.
    pub checksums: Checksums,
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

/// A card as it was read.
#[derive(Clone, Debug)]
pub(super) enum Written {
    Present(Card),
    /// Of format 1, with the checksum of the whole weight file in hex.
    Former(Card, String),
}

impl Card {
    /// A card of this build without checksum, fingerprint, files and checksums.
    pub(super) fn new(architecture: Architecture, calibration: Calibration) -> Self {
        Self {
            format: FORMAT,
            checksum: String::new(),
            fingerprint: String::new(),
            files: Files::default(),
            checksums: Checksums::default(),
            architecture,
            calibration,
            data: toml::Table::new(),
            metrics: toml::Table::new(),
            recipe: toml::Table::new(),
        }
    }

    /// The fingerprint that the parts and the architecture make.
    pub(super) fn fingerprint_of_parts(&self) -> Result<String> {
        let Checksums { image, text, vocabulary } = &self.checksums;
        let shape = shape(&self.architecture)?;
        Ok(files::fingerprint([image, text, vocabulary, &shape].map(String::as_bytes)))
    }

    /// Fills in fingerprint and checksum and gives the text of the file.
    pub(super) fn seal(&mut self) -> Result<String> {
        self.fingerprint = self.fingerprint_of_parts()?;
        self.checksum = String::new();
        self.checksum = checksum_of_text(&toml::to_string(self).map_err(cannot_write)?);
        toml::to_string(self).map_err(cannot_write)
    }

    /// Refuses sizes and numbers that no model has.
    fn check(&self) -> Result<()> {
        let Calibration { scale, offset } = self.calibration;
        let mut bounds = self.architecture.bounded(SIZES).to_vec();
        bounds.push(Bounded::new("calibration.scale", scale, f64::MIN_POSITIVE, 1e6));
        bounds.push(Bounded::new("calibration.offset", offset, -1e6, 1e6));
        match Bounded::first_outside(&bounds) {
            Some(sentence) => Err(corrupt(format!(
                "the description of the model cannot be used: {sentence}; copy the model folder \
                 again, or train again"
            ))),
            None => Ok(()),
        }
    }
}

/// Format 1.
#[derive(Deserialize)]
struct Former {
    format: u32,
    fingerprint: String,
    weights_checksum: String,
    architecture: Architecture,
    calibration: Calibration,
    data: toml::Table,
    metrics: toml::Table,
    recipe: toml::Table,
}

/// Reads the text of a `model.toml`, without looking at the files that it names.
pub(super) fn parse(text: &str) -> Result<Written> {
    let version = text.parse::<toml::Table>().ok().and_then(|t| t.get("format")?.as_integer());
    match version {
        Some(1) => former(text),
        Some(version) if version > i64::from(FORMAT) => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "made by a newer looksee (format {version}, this build reads {FORMAT}): update \
                 looksee"
            ),
        )),
        _ => present(text),
    }
}

fn present(text: &str) -> Result<Written> {
    check_own(text)?;
    let card: Card = toml::from_str(text).map_err(|e| no_description(&e))?;
    card.check()?;
    let of_content = super::folder::is_named_by_content;
    for (name, stem, ending) in [
        (&card.files.weights, "weights", "safetensors"),
        (&card.files.vocabulary, "vocabulary", "json"),
    ] {
        // A name decides which file is opened: it must not lead out of the folder.
        if !of_content(name, stem, ending) {
            return Err(corrupt(format!(
                "the description names a file that no model has (expected {stem}-, 16 hex digits \
                 and .{ending}); copy the model folder again"
            )));
        }
    }
    Ok(Written::Present(card))
}

fn former(text: &str) -> Result<Written> {
    let former: Former = toml::from_str(text).map_err(|e| no_description(&e))?;
    let card = Card {
        format: former.format,
        fingerprint: former.fingerprint,
        files: Files {
            weights: super::folder::FORMER_WEIGHTS.to_owned(),
            vocabulary: super::folder::FORMER_VOCABULARY.to_owned(),
        },
        data: former.data,
        metrics: former.metrics,
        recipe: former.recipe,
        ..Card::new(former.architecture, former.calibration)
    };
    card.check()?;
    Ok(Written::Former(card, former.weights_checksum))
}

/// The fingerprint of format 1: over the files' bytes and the architecture.
pub(super) fn former_fingerprint(card: &Card, weights: &[u8], vocabulary: &[u8]) -> Result<String> {
    let shape = shape(&card.architecture)?;
    Ok(files::fingerprint([weights, vocabulary, shape.as_bytes()]))
}

/// A checksum as it stands in the file.
pub(super) fn hex(checksum: u64) -> String {
    format!("{checksum:016x}")
}

/// Compares the text with the checksum that it carries.
fn check_own(text: &str) -> Result<()> {
    let own = text.lines().find_map(|line| line.strip_prefix(OWN_LINE));
    let Some(own) = own else {
        return Err(corrupt(
            "this is no description of a model: it has no checksum of itself; copy the model \
             folder again"
                .to_owned(),
        ));
    };
    let (own, found) = (own.trim_matches('"'), checksum_of_text(text));
    if own == found {
        return Ok(());
    }
    Err(corrupt(format!(
        "this file was changed or damaged after it was written (its text has the checksum {found}, \
         not the one that it names); nothing in it can be changed by hand: undo the change, or \
         copy the model folder again"
    )))
}

/// The checksum of a card's text without the line that holds it.
fn checksum_of_text(text: &str) -> String {
    let mut left_out = false;
    let mut keep = |line: &&str| {
        let own = !left_out && line.starts_with(OWN_LINE);
        left_out |= own;
        !own
    };
    hex(files::checksum_of_parts(text.split_inclusive('\n').filter(|line| keep(line))))
}

fn shape(architecture: &Architecture) -> Result<String> {
    toml::to_string(architecture).map_err(cannot_write)
}

fn cannot_write(source: toml::ser::Error) -> Error {
    Error::invalid("cannot write the model's description").with_source(source)
}

fn no_description(source: &toml::de::Error) -> Error {
    corrupt(Cow::from("this is no description of a model; copy the model folder again"))
        .with_source(source.message().to_owned())
}

fn corrupt(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Recipe;

    fn text() -> String {
        let architecture = Recipe::named("default").unwrap().architecture();
        let mut card = Card::new(architecture, Calibration::default());
        card.files.weights = "weights-0123456789abcdef.safetensors".to_owned();
        card.files.vocabulary = "vocabulary-0123456789abcdef.json".to_owned();
        card.seal().unwrap()
    }

    /// The text with `from` replaced and a checksum that fits, as a hostile writer would do it.
    fn forged(from: &str, to: &str) -> String {
        let text = text();
        assert!(text.contains(from), "{from} is not in {text}");
        let text = text.replace(from, to);
        let own = text.lines().find(|line| line.starts_with(OWN_LINE)).unwrap().to_owned();
        text.replace(&own, &format!("{OWN_LINE}\"{}\"", checksum_of_text(&text)))
    }

    #[test]
    fn what_was_sealed_is_read_again() {
        let Written::Present(card) = parse(&text()).unwrap() else { panic!("format 1") };
        assert_eq!(card.fingerprint, card.fingerprint_of_parts().unwrap());
        assert!(parse(&forged("offset = -5.0", "offset = -4.0")).is_ok());
    }

    #[test]
    fn the_checksum_is_that_of_the_text_without_its_line() {
        let text = text();
        let without: String =
            text.split_inclusive('\n').filter(|line| !line.starts_with("checksum = ")).collect();
        let own = format!("checksum = \"{:016x}\"", files::checksum(without.as_bytes()));
        assert_eq!(text.lines().filter(|line| *line == own).count(), 1, "{text}");
    }

    #[test]
    fn a_change_of_any_bit_is_an_error() {
        let text = text();
        for place in 0..text.len() {
            for bit in 0..7 {
                let mut bytes = text.clone().into_bytes();
                bytes[place] ^= 1 << bit;
                let changed = String::from_utf8(bytes).unwrap();
                assert!(parse(&changed).is_err(), "bit {bit} of byte {place}: {changed}");
            }
        }
    }

    #[test]
    fn a_change_by_hand_is_told_what_to_do() {
        let error = parse(&text().replace("scale = 10.0", "scale = 18.0")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("undo the change"), "{error}");
    }

    #[test]
    fn numbers_that_no_model_has_are_refused_by_their_name() {
        for (from, to, key) in [
            ("dim = 128", "dim = 4611686018427387904", "architecture.dim is"),
            ("dim = 128", "dim = 0", "architecture.dim is 0"),
            ("width_px = 64", "width_px = 0", "architecture.frame.width_px is 0"),
            ("height_px = 64", "height_px = 1000000", "height_px is 1000000"),
            ("scale = 10.0", "scale = nan", "calibration.scale is NaN"),
            ("scale = 10.0", "scale = -1.0", "calibration.scale is -1"),
            ("offset = -5.0", "offset = inf", "calibration.offset is inf"),
        ] {
            let error = parse(&forged(from, to)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains(key), "{error}");
        }
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        for name in ["../weights-0123456789abcdef.safetensors", "/etc/passwd", "weights-0.json"] {
            let error = parse(&forged("weights-0123456789abcdef.safetensors", name)).unwrap_err();
            assert!(error.to_string().contains("no model has"), "{error}");
        }
    }
}
