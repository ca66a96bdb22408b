//! Searches pictures with an encoder of one's own: here a picture is its mean colour, and a text
//! the colours that it names. Whatever gives unit vectors of one size can take its place.
//!
//! ```text
//! cargo run --release --example own_encoder -- PICTURES INDEX "red green"
//! ```

#![expect(clippy::print_stdout, reason = "a program, not the library: its lines are its answer")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use looksee::embed::{self, UpdateOptions};
use looksee::images::{Filter, Fit, Frame, ImageBatch};
use looksee::index::{NoModel, Writer};
use looksee::{Answer, Encoder, Index, Result, Searcher, Source, Stop, Vectors};

const COLOURS: [&str; 3] = ["red", "green", "blue"];

/// Mean red, green and blue, less what is common to all three.
#[derive(Clone, Copy, Debug)]
struct MeanColour;

/// What is not grey in a colour; grey itself lies evenly between all three.
fn hue(rgb: [f32; 3]) -> [f32; 3] {
    let least = rgb.into_iter().fold(f32::INFINITY, f32::min);
    let hue = rgb.map(|value| value - least);
    if hue.iter().sum::<f32>() > 0.0 { hue } else { [1.0; 3] }
}

impl Encoder for MeanColour {
    fn fingerprint(&self) -> &'static str {
        "mean-colour-1"
    }

    fn dim(&self) -> usize {
        COLOURS.len()
    }

    fn frame(&self) -> Frame {
        let (fit, filter) = (Fit::Stretch, Filter::default());
        Frame { width_px: 8, height_px: 8, fit, filter }
    }

    fn images(&self, batch: &ImageBatch) -> Result<Vectors> {
        let of_channel = |picture: &[u8], channel: usize| {
            picture.iter().skip(channel).step_by(3).map(|&value| f32::from(value)).sum::<f32>()
        };
        let pictures = batch.rgb.chunks_exact(self.frame().bytes());
        let rows = pictures.flat_map(|picture| hue([0, 1, 2].map(|it| of_channel(picture, it))));
        Vectors::normalised(self.dim(), rows.collect())
    }

    fn texts(&self, texts: &[&str]) -> Result<Vectors> {
        let row =
            |text: &&str| hue(COLOURS.map(|colour| f32::from(u8::from(text.contains(colour)))));
        Vectors::normalised(self.dim(), texts.iter().flat_map(row).collect())
    }

    fn unknown_words(&self, text: &str) -> Vec<String> {
        text.split(' ').filter(|word| !COLOURS.contains(word)).map(str::to_owned).collect()
    }

    fn probability(&self, cosine: f32) -> f32 {
        cosine.clamp(0.0, 1.0)
    }
}

/// Makes the index and answers the query.
pub(crate) fn run(pictures: &Path, index: &Path, query: &str) -> Result<Answer> {
    let mut writer = Writer::open(index, &embed::space_of(&MeanColour), &NoModel)?;
    let (options, stop) = (UpdateOptions::default(), Stop::default());
    let source = Source::new([pictures]);
    embed::update(&source, &MeanColour, &mut writer, &options, &stop, &mut |_| {})?;
    let collection = Arc::new(Index::open(index)?);
    Searcher::new(collection, Arc::new(MeanColour))?.search(query)
}

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [pictures, index, query] = words.as_slice() else {
        return Err("give PICTURES INDEX QUERY".into());
    };
    for hit in run(pictures.as_ref(), index.as_ref(), query)?.hits {
        println!("{}. {} (cosine {:.3})", hit.rank, hit.id, hit.score);
    }
    Ok(())
}
