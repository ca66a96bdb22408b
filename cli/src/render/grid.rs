//! The best hits with their pictures on one sheet, as a PNG or an HTML file.
//!
//! A [`Sheet`] holds everything that is drawn, pictures already framed; how it is laid out belongs
//! to the format. A picture that cannot be opened any more keeps its cell and says so.

use std::path::Path;

use looksee::files::{self, Blob};
use looksee::images::{self, Decoded, Filter, Fit, Frame, Limits};
use looksee::{Error, Result};
use rayon::prelude::*;

use super::{grid_html, grid_png};
use crate::figures;
use looksee::search::{Answer, Shown};

/// What stands in the cell of a picture that is gone.
pub(super) const NOT_FOUND: &str = "picture not found";

/// The file formats of a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Png,
    Html,
}

impl Kind {
    /// The format that the file's name asks for.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        match ending.to_str() {
            Some("png") => Ok(Self::Png),
            Some("html" | "htm") => Ok(Self::Html),
            _ => Err(Error::invalid("a grid is a .png or an .html file").at_file(path)),
        }
    }

    /// Pixels of a picture's side; a browser may show it larger, or on a finer screen.
    fn side(self) -> usize {
        match self {
            Self::Png => grid_png::SIDE,
            Self::Html => 400,
        }
    }
}

/// What is drawn.
pub(super) struct Sheet<'a> {
    pub(super) answer: &'a Answer,
    /// Pixels of the side of each picture.
    pub(super) side: usize,
    /// Pictures of the query, `[side, side, 3]`.
    pub(super) asked: Vec<Vec<u8>>,
    /// The hits' pictures, `[side, side, 3]`; `None` for one that cannot be opened.
    pub(super) found: Vec<Option<Vec<u8>>>,
}

/// Draws an answer into `path`; `asked` are the query's pictures.
pub(crate) fn write(path: &Path, kind: Kind, answer: &Answer, asked: &[Decoded]) -> Result<()> {
    let frame = square(kind.side());
    let sheet = Sheet {
        answer,
        side: kind.side(),
        asked: asked.iter().map(|picture| images::frame(picture, frame).rgb).collect(),
        found: answer.hits.par_iter().map(|hit| open(&hit.image, frame)).collect(),
    };
    let bytes = match kind {
        Kind::Png => grid_png::draw(&sheet)?,
        Kind::Html => grid_html::page(&sheet)?.into_bytes(),
    };
    files::replace_bytes(path, &bytes)
}

impl Sheet<'_> {
    /// Hits a row: as near to a square as possible.
    pub(super) fn columns(&self) -> usize {
        columns(self.found.len())
    }

    /// `9 of 70,000 pictures`.
    pub(super) fn summary(&self) -> String {
        let found = figures::thousands(self.found.len());
        format!("{found} of {}", figures::count(self.answer.total, "picture"))
    }
}

/// `0.875 · 93 % match`, the second part where it is known.
pub(super) fn score_line(hit: &Shown) -> String {
    match hit.probability {
        Some(chance) => format!("{:.3} · {:.0} % match", hit.score, chance * 100.0),
        None => format!("{:.3}", hit.score),
    }
}

/// The text below a picture: its title, else its name.
pub(super) fn title(hit: &Shown) -> &str {
    hit.title.as_deref().unwrap_or(hit.id.as_str())
}

/// The picture in its frame, `[side, side, 3]`; `None` when it cannot be opened any more.
pub(super) fn open(picture: &Blob, frame: Frame) -> Option<Vec<u8>> {
    images::load(picture, frame, Limits::default()).ok().map(|framed| framed.rgb)
}

/// The frame of a cell.
pub(super) fn square(side: usize) -> Frame {
    Frame { width_px: side, height_px: side, fit: Fit::Letterbox, filter: Filter::default() }
}

fn columns(hits: usize) -> usize {
    let root = hits.isqrt();
    if root * root < hits { root + 1 } else { root }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::render::samples;

    /// Two hits: the first a red picture, the second gone.
    pub(in crate::render) fn sheet(answer: &Answer, side: usize) -> Sheet<'_> {
        let red = [200, 20, 40].repeat(side * side);
        Sheet { answer, side, asked: vec![red.clone()], found: vec![Some(red), None] }
    }

    #[test]
    fn nine_hits_are_three_by_three_and_ten_need_a_fourth_column() {
        assert_eq!([0, 1, 2, 4, 5, 9, 10].map(columns), [0, 1, 2, 2, 3, 3, 4]);
    }

    #[test]
    fn the_ending_of_the_name_chooses_the_format() {
        assert_eq!(Kind::of(Path::new("a.PNG")).unwrap(), Kind::Png);
        assert_eq!(Kind::of(Path::new("a.b.html")).unwrap(), Kind::Html);
        assert!(Kind::of(Path::new("a.jpg")).is_err());
        assert!(Kind::of(Path::new("png")).is_err());
    }

    #[test]
    fn a_score_without_a_known_chance_stands_alone() {
        let mut hit = samples::hit(1, "B1", "/a.jpg", "x");
        assert_eq!(score_line(&hit), "0.875 · 93 % match");
        hit.probability = None;
        assert_eq!(score_line(&hit), "0.875");
    }
}
