//! An encoder that a person can follow: a picture is its mean colour, a text the colours it names.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::catalogue::{Learnt, Source};
use crate::encoder::Encoder;
use crate::error::Result;
use crate::files;
use crate::images::{Filter, Fit, Frame, ImageBatch};
use crate::index::{NoModel, Space, Writer};
use crate::units::Stop;
use crate::vectors::Vectors;

/// A colour as a unit row; black pictures and texts without colours are grey.
fn colour(rgb: [f32; 3]) -> [f32; 3] {
    if rgb.iter().any(|&value| value > 0.0) { rgb } else { [1.0; 3] }
}

/// Red, green and blue, of pictures and of texts.
#[derive(Debug, Default)]
pub(crate) struct Colours {
    pictures: AtomicUsize,
    texts: AtomicUsize,
    /// The text that was encoded last.
    last_text: Mutex<String>,
    /// Asked to stop as soon as so many pictures were encoded.
    stop_after: Option<(usize, Stop)>,
    learnt: Option<Learnt>,
}

impl Colours {
    /// An encoder during whose work a person asks to stop.
    pub(crate) fn stopping_after(pictures: usize, stop: &Stop) -> Self {
        Self { stop_after: Some((pictures, stop.clone())), ..Self::default() }
    }

    /// An encoder that has seen some items before.
    pub(crate) fn having_learnt(learnt: Learnt) -> Self {
        Self { learnt: Some(learnt), ..Self::default() }
    }

    /// How many pictures and texts were encoded since the last call.
    pub(crate) fn counted(&self) -> (usize, usize) {
        (self.pictures.swap(0, Ordering::Relaxed), self.texts.swap(0, Ordering::Relaxed))
    }

    /// The text that was encoded last.
    pub(crate) fn last_text(&self) -> String {
        self.last_text.lock().unwrap().clone()
    }
}

impl Encoder for Colours {
    fn fingerprint(&self) -> &'static str {
        "colours"
    }

    fn dim(&self) -> usize {
        3
    }

    fn frame(&self) -> Frame {
        Frame { width_px: 4, height_px: 4, fit: Fit::Stretch, filter: Filter::default() }
    }

    /// In a way of its own.
    fn join(&self, texts: &[String]) -> Option<String> {
        (!texts.is_empty()).then(|| texts.join(" & "))
    }

    fn images(&self, batch: &ImageBatch) -> Result<Vectors> {
        let done = self.pictures.fetch_add(batch.len(), Ordering::Relaxed) + batch.len();
        if let Some((count, stop)) = &self.stop_after
            && done >= *count
        {
            stop.ask();
        }
        let mean = |picture: &[u8], channel: usize| {
            let sum: f32 = picture.iter().skip(channel).step_by(3).map(|&x| f32::from(x)).sum();
            sum / picture.len() as f32
        };
        let pictures = batch.rgb.chunks_exact(self.frame().bytes());
        let rows =
            pictures.flat_map(|picture| colour([0, 1, 2].map(|channel| mean(picture, channel))));
        Vectors::normalised(3, rows.collect())
    }

    fn texts(&self, texts: &[&str]) -> Result<Vectors> {
        self.texts.fetch_add(texts.len(), Ordering::Relaxed);
        self.last_text.lock().unwrap().replace_range(.., texts.last().copied().unwrap_or_default());
        let count =
            |text: &str, name: &str| text.split(' ').filter(|&word| word == name).count() as f32;
        let row = |text: &&str| colour(["red", "green", "blue"].map(|name| count(text, name)));
        Vectors::normalised(3, texts.iter().flat_map(row).collect())
    }

    fn unknown_words(&self, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn probability(&self, cosine: f32) -> f32 {
        cosine.clamp(0.0, 1.0)
    }

    fn learnt(&self) -> Option<Learnt> {
        self.learnt.clone()
    }
}

/// A folder with pictures, a catalogue of them and an index.
#[derive(Debug)]
pub(crate) struct Shop {
    folder: tempfile::TempDir,
}

impl Shop {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a picture of one colour.
    pub(crate) fn picture(&self, name: &str, rgb: [u8; 3]) {
        image::RgbImage::from_pixel(5, 5, image::Rgb(rgb)).save(self.path(name)).unwrap();
    }

    /// Writes the catalogue, a JSON object a line.
    pub(crate) fn rows(&self, rows: &[serde_json::Value]) {
        let lines: Vec<String> = rows.iter().map(ToString::to_string).collect();
        files::replace_bytes(&self.path("shop.jsonl"), lines.join("\n").as_bytes()).unwrap();
    }

    pub(crate) fn source(&self) -> Source {
        Source::new([self.path("shop.jsonl")])
    }

    pub(crate) fn writer(&self, index: &str) -> Writer {
        let space = Space { fingerprint: "colours".to_owned(), dim: 3 };
        Writer::open(&self.path(index), &space, &NoModel).unwrap()
    }
}
