//! `model.toml`: what a model is, and what guards every part of it.
//!
//! The file carries a checksum of itself, so that neither damage nor a hand that changes a digit of
//! the calibration goes unseen: XXH3-64, in hex, of the text without the line `checksum = "…"`. Its
//! other checksums are kept a part, so that whoever needs one part reads that part alone. Sizes are
//! a stranger's claim: they are held to the ranges of a recipe before anything is allocated.
//!
//! Formats 1 and 2, which are still read, described a model as [`FormerArchitecture`] says. Format 1
//! also had one checksum of the whole weight file, none of itself, and fixed names for its other
//! files.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::architecture::{Architecture, Bounded};
use super::former::FormerArchitecture;
use crate::error::{Error, ErrorKind, Result};
use crate::files;

/// Version of the model folder that this build writes; it reads those before as well.
const FORMAT: u32 = 3;
/// The version that had the checksums of this one, and the architecture of the first.
const FORMER_FORMAT: u32 = 2;
/// What the line begins with that the checksum of the text leaves out.
const OWN_LINE: &str = "checksum = ";
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
    /// Short name of exactly these weights, this vocabulary, this architecture and what becomes of
    /// pictures and texts before it.
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
pub(super) struct Written {
    pub(super) card: Card,
    /// The checksum in hex of the whole weight file, in format 1.
    pub(super) whole: Option<String>,
    /// The text of the architecture in the card's own format.
    shape: String,
}

impl Written {
    /// The fingerprint that the parts and the architecture make.
    pub(super) fn fingerprint_of_parts(&self) -> String {
        fingerprint(&self.card.checksums, &self.shape)
    }

    /// The fingerprint of format 1: over the files' bytes and the architecture.
    pub(super) fn fingerprint_of_files(&self, weights: &[u8], vocabulary: &[u8]) -> String {
        files::fingerprint([weights, vocabulary, self.shape.as_bytes()])
    }
}

fn fingerprint(checksums: &Checksums, shape: &str) -> String {
    let Checksums { image, text, vocabulary } = checksums;
    files::fingerprint([image, text, vocabulary, shape].map(str::as_bytes))
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

    /// Fills in fingerprint and checksum and gives the text of the file.
    pub(super) fn seal(&mut self) -> Result<String> {
        self.fingerprint = fingerprint(&self.checksums, &toml_of(&self.architecture)?);
        self.checksum = String::new();
        self.checksum = checksum_of_text(&toml::to_string(self).map_err(cannot_write)?);
        toml::to_string(self).map_err(cannot_write)
    }

    /// Refuses sizes and numbers that no model has.
    fn check(&self) -> Result<()> {
        let Calibration { scale, offset } = self.calibration;
        let named = |name: &str| Cow::from(format!("architecture.{name}"));
        let sizes = self.architecture.bounded().into_iter();
        let mut bounds: Vec<Bounded> = sizes.map(|size| size.renamed(named)).collect();
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
struct First {
    format: u32,
    fingerprint: String,
    weights_checksum: String,
    architecture: FormerArchitecture,
    calibration: Calibration,
    data: toml::Table,
    metrics: toml::Table,
    recipe: toml::Table,
}

/// Reads the text of a `model.toml`, without looking at the files that it names.
pub(super) fn parse(text: &str) -> Result<Written> {
    let version = text.parse::<toml::Table>().ok().and_then(|t| t.get("format")?.as_integer());
    let version = version.map(|version| u32::try_from(version).unwrap_or(u32::MAX));
    let written = match version {
        Some(1) => first(text)?,
        Some(FORMER_FORMAT) => second(text)?,
        Some(version) if version > FORMAT => return Err(newer(version)),
        _ => present(text)?,
    };
    written.card.check()?;
    Ok(written)
}

fn newer(version: u32) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "made by a newer looksee (format {version}, this build reads {FORMAT}): update looksee"
        ),
    )
}

fn present(text: &str) -> Result<Written> {
    check_own(text)?;
    let card: Card = toml::from_str(text).map_err(|e| unknown_to_this_build(&e))?;
    check_names(&card.files)?;
    Ok(Written { shape: toml_of(&card.architecture)?, card, whole: None })
}

/// Format 2: a card of today but for its architecture.
fn second(text: &str) -> Result<Written> {
    check_own(text)?;
    let mut table: toml::Table = text.parse().map_err(|e| no_description(&e))?;
    let former = table.remove("architecture").unwrap_or_else(|| toml::Table::new().into());
    let former: FormerArchitecture = former.try_into().map_err(|e| no_description(&e))?;
    let today = toml::Value::try_from(Architecture::from(former)).map_err(cannot_write)?;
    table.insert("architecture".to_owned(), today);
    let card: Card = table.try_into().map_err(|e| no_description(&e))?;
    check_names(&card.files)?;
    Ok(Written { card, whole: None, shape: toml_of(&former)? })
}

fn first(text: &str) -> Result<Written> {
    let first: First = toml::from_str(text).map_err(|e| no_description(&e))?;
    let card = Card {
        format: first.format,
        fingerprint: first.fingerprint,
        files: Files {
            weights: super::folder::FORMER_WEIGHTS.to_owned(),
            vocabulary: super::folder::FORMER_VOCABULARY.to_owned(),
        },
        data: first.data,
        metrics: first.metrics,
        recipe: first.recipe,
        ..Card::new(first.architecture.into(), first.calibration)
    };
    let shape = toml_of(&first.architecture)?;
    Ok(Written { card, whole: Some(first.weights_checksum), shape })
}

/// A name decides which file is opened: it must not lead out of the folder.
fn check_names(files: &Files) -> Result<()> {
    let of_content = super::folder::is_named_by_content;
    for (name, stem, ending) in
        [(&files.weights, "weights", "safetensors"), (&files.vocabulary, "vocabulary", "json")]
    {
        if !of_content(name, stem, ending) {
            return Err(corrupt(format!(
                "the description names a file that no model has (expected {stem}-, 16 hex digits \
                 and .{ending}); copy the model folder again"
            )));
        }
    }
    Ok(())
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

fn toml_of(architecture: &impl Serialize) -> Result<String> {
    toml::to_string(architecture).map_err(cannot_write)
}

fn cannot_write(source: toml::ser::Error) -> Error {
    Error::invalid("cannot write the model's description").with_source(source)
}

fn no_description(source: &toml::de::Error) -> Error {
    corrupt(Cow::from("this is no description of a model; copy the model folder again"))
        .with_source(source.message().to_owned())
}

/// The text is the one that was written, so whoever wrote it knew more than this build.
fn unknown_to_this_build(source: &toml::de::Error) -> Error {
    let message = source.message().trim().replace('\n', " ");
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "this build does not know all that describes the model ({message}): update looksee, or \
             train again"
        ),
    )
}

fn corrupt(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Recipe;

    /// One that earlier builds could describe.
    fn former_recipe() -> Recipe {
        let mut recipe = Recipe::named("default").unwrap();
        (recipe.image.colours, recipe.text_tower.mean) = (false, false);
        recipe
    }

    fn text() -> String {
        let architecture = former_recipe().architecture();
        let mut card = Card::new(architecture, Calibration::default());
        card.files.weights = "weights-0123456789abcdef.safetensors".to_owned();
        card.files.vocabulary = "vocabulary-0123456789abcdef.json".to_owned();
        card.seal().unwrap()
    }

    /// The card as format 2 had it.
    fn former_text() -> String {
        let table: toml::Table = text().parse().unwrap();
        let former = FormerArchitecture::of(&former_recipe());
        let checksums = table["checksums"].clone().try_into().unwrap();
        let mut former_table = table.clone();
        former_table["format"] = FORMER_FORMAT.into();
        former_table["architecture"] = toml::Value::try_from(former).unwrap();
        former_table["fingerprint"] = fingerprint(&checksums, &toml_of(&former).unwrap()).into();
        sealed_anew(&toml::to_string(&former_table).unwrap())
    }

    fn sealed_anew(text: &str) -> String {
        let own = text.lines().find(|line| line.starts_with(OWN_LINE)).unwrap().to_owned();
        text.replace(&own, &format!("{OWN_LINE}\"{}\"", checksum_of_text(text)))
    }

    /// The text with `from` replaced and a checksum that fits, as a hostile writer would do it.
    fn forged(from: &str, to: &str) -> String {
        let text = text();
        assert!(text.contains(from), "{from} is not in {text}");
        sealed_anew(&text.replace(from, to))
    }

    #[test]
    fn what_was_sealed_is_read_again() {
        let written = parse(&text()).unwrap();
        let architecture = former_recipe().architecture();
        assert_eq!(written.card.architecture, architecture);
        assert_eq!((written.card.format, &written.whole), (3, &None));
        assert_eq!(written.card.fingerprint, written.fingerprint_of_parts());
        assert!(parse(&forged("offset = -5.0", "offset = -4.0")).is_ok());
    }

    #[test]
    fn a_card_of_format_2_becomes_todays_and_keeps_its_fingerprint() {
        let (former, today) = (parse(&former_text()).unwrap(), parse(&text()).unwrap());
        assert_eq!(former.card.format, FORMER_FORMAT);
        assert_eq!(former.card.architecture, today.card.architecture);
        assert_eq!(former.card.fingerprint, former.fingerprint_of_parts());
        assert_ne!(former.card.fingerprint, today.card.fingerprint);
        let error = parse(&former_text().replace("dim = 128", "dim = 64")).unwrap_err();
        assert!(error.to_string().contains("undo the change"), "{error}");
        let without = former_text().replace("[architecture", "[another");
        assert!(parse(&sealed_anew(&without)).is_err());
    }

    #[test]
    fn whatever_decides_a_vector_is_part_of_the_fingerprint() {
        let fingerprint = |text: &str| parse(text).unwrap().fingerprint_of_parts();
        for (from, to) in [
            (
                "kind = \"convolutional\"\nnetwork = \"resnet18\"",
                "kind = \"convolutional\"\nnetwork = \"resnet50\"",
            ),
            ("fit = \"letterbox\"\nfilter", "fit = \"crop\"\nfilter"),
            ("filter = \"catmull-rom\"", "filter = \"bilinear\""),
            ("mean = [0.485", "mean = [0.5"),
            ("deviation = [0.229", "deviation = [0.25"),
            ("separator = \". \"", "separator = \" \""),
            ("longest = 64", "longest = 32"),
        ] {
            assert_ne!(fingerprint(&forged(from, to)), fingerprint(&text()), "{to}");
        }
    }

    #[test]
    fn what_this_build_does_not_know_is_refused_by_its_name() {
        for (from, to, named) in [
            ("kind = \"convolutional\"", "kind = \"transformer\"", "`transformer`"),
            ("kind = \"gru\"", "kind = \"lstm\"", "`lstm`"),
            ("network = \"resnet18\"", "network = \"resnet152\"", "`resnet152`"),
            ("filter = \"catmull-rom\"", "filter = \"lanczos\"", "`lanczos`"),
            ("separator = ", "glue = ", "`glue`"),
        ] {
            let error = parse(&forged(from, to)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains(named), "{error}");
            assert!(error.to_string().contains("update looksee"), "{error}");
        }
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
            (
                "width_px = 64",
                "width_px = 0",
                "architecture.preprocessing.pictures.frame.width_px is 0",
            ),
            ("deviation = [0.229", "deviation = [0.0", "pictures.pixels.deviation is 0"),
            ("mean = [0.485", "mean = [nan", "pictures.pixels.mean is NaN"),
            ("hidden = 128", "hidden = 0", "architecture.text.hidden is 0"),
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
