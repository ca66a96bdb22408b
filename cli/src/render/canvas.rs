//! Pixels and what is drawn on them: rectangles, pictures, letters, round dots, thin lines.
//!
//! The PNG renderers share it and keep their layout to themselves. The letters are a fixed bitmap
//! font of the Latin alphabets and all mixing of colours is in whole numbers or in single
//! multiplications, so the same drawing gives the same bytes on every machine; other scripts show
//! a replacement sign. What lies outside of the canvas is left out.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};
use looksee::{Error, ErrorKind, Result};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

pub(super) const WHITE: Rgb<u8> = Rgb([255, 255, 255]);
pub(super) const INK: Rgb<u8> = Rgb([28, 28, 32]);
pub(super) const GREY: Rgb<u8> = Rgb([120, 120, 128]);
pub(super) const LINE: Rgb<u8> = Rgb([218, 218, 222]);

/// A font and the distance of its lines.
#[derive(Clone, Copy)]
pub(super) struct Font {
    weight: FontWeight,
    height: RasterHeight,
    /// Pixels from one line to the next.
    pub(super) line: usize,
}

pub(super) const HEADING: Font =
    Font { weight: FontWeight::Bold, height: RasterHeight::Size20, line: 26 };
pub(super) const BODY: Font =
    Font { weight: FontWeight::Regular, height: RasterHeight::Size16, line: 19 };

impl Font {
    /// Letters that fit in so many pixels.
    pub(super) fn letters(self, width: usize) -> usize {
        width / get_raster_width(self.weight, self.height)
    }

    /// Pixels that a text takes.
    pub(super) fn width(self, text: &str) -> usize {
        text.chars().count() * get_raster_width(self.weight, self.height)
    }
}

/// A colour and how much of it: 0 for nothing, 255 for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ink {
    pub(super) colour: Rgb<u8>,
    pub(super) cover: u8,
}

/// Pixels that can be drawn on.
pub(super) struct Canvas(RgbImage);

impl Canvas {
    /// A white one.
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self(RgbImage::from_pixel(width as u32, height as u32, WHITE))
    }

    /// As a PNG file.
    pub(super) fn png(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.0
            .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)
            .map_err(|e| Error::new(ErrorKind::Io, "cannot encode the picture").with_source(e))?;
        Ok(bytes)
    }

    pub(super) fn fill(
        &mut self,
        (x, y): (usize, usize),
        (width, height): (usize, usize),
        colour: Rgb<u8>,
    ) {
        for (row, column) in (y..y + height).flat_map(|y| (x..x + width).map(move |x| (y, x))) {
            if let Some(pixel) = self.0.get_pixel_mut_checked(column as u32, row as u32) {
                *pixel = colour;
            }
        }
    }

    /// [`Canvas::fill`] that lets through what is below.
    pub(super) fn tint(&mut self, at: (usize, usize), (width, height): (usize, usize), ink: Ink) {
        for (row, column) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            self.mix((at.0 + column) as i64, (at.1 + row) as i64, ink.colour, ink.cover);
        }
    }

    /// A square picture `[side, side, 3]`.
    pub(super) fn picture(&mut self, (x, y): (usize, usize), rgb: &[u8], side: usize) {
        for (number, pixel) in rgb.chunks_exact(3).enumerate() {
            let at = ((x + number % side) as u32, (y + number / side) as u32);
            if let Some(target) = self.0.get_pixel_mut_checked(at.0, at.1) {
                *target = Rgb([pixel[0], pixel[1], pixel[2]]);
            }
        }
    }

    pub(super) fn text(&mut self, (x, y): (usize, usize), text: &str, font: Font, colour: Rgb<u8>) {
        let step = get_raster_width(font.weight, font.height);
        for (number, letter) in text.chars().enumerate() {
            self.letter((x + number * step, y), letter, font, colour);
        }
    }

    fn letter(&mut self, (x, y): (usize, usize), letter: char, font: Font, colour: Rgb<u8>) {
        let known = get_raster(letter, font.weight, font.height);
        let unknown = || get_raster(char::REPLACEMENT_CHARACTER, font.weight, font.height);
        let Some(raster) = known.or_else(unknown) else { return };
        for (row, line) in raster.rows().enumerate() {
            for (column, &cover) in line.iter().enumerate() {
                self.mix((x + column) as i64, (y + row) as i64, colour, cover);
            }
        }
    }

    /// A round dot with a soft edge, `x` and `y` its middle.
    pub(super) fn dot(&mut self, (x, y): (f32, f32), radius: f32, ink: Ink) {
        let reach = radius + 0.5;
        for row in (y - reach).floor() as i64..=(y + reach).floor() as i64 {
            for column in (x - reach).floor() as i64..=(x + reach).floor() as i64 {
                let (dx, dy) = (column as f32 + 0.5 - x, row as f32 + 0.5 - y);
                let inside = (reach - (dx * dx + dy * dy).sqrt()).clamp(0.0, 1.0);
                self.mix(column, row, ink.colour, (inside * f32::from(ink.cover)) as u8);
            }
        }
    }

    /// A line one pixel wide with soft edges: in each step along its longer side, two pixels share
    /// the ink.
    pub(super) fn line(&mut self, from: (f32, f32), to: (f32, f32), ink: Ink) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let steep = dy.abs() > dx.abs();
        let (start, along, slope) = if steep {
            ((from.1, from.0), dy, dx / dy)
        } else {
            ((from.0, from.1), dx, if dx == 0.0 { 0.0 } else { dy / dx })
        };
        let (first, last) = (start.0.min(start.0 + along), start.0.max(start.0 + along));
        for step in first.floor() as i64..=last.floor() as i64 {
            let middle = (step as f32 + 0.5).clamp(first, last);
            let across = start.1 + (middle - start.0) * slope - 0.5;
            let below = across.floor();
            let share = across - below;
            for (place, part) in [(below as i64, 1.0 - share), (below as i64 + 1, share)] {
                let (column, row) = if steep { (place, step) } else { (step, place) };
                self.mix(column, row, ink.colour, (part * f32::from(ink.cover)) as u8);
            }
        }
    }

    fn mix(&mut self, x: i64, y: i64, colour: Rgb<u8>, cover: u8) {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
        if let Some(pixel) = self.0.get_pixel_mut_checked(x, y) {
            *pixel = blend(*pixel, colour, cover);
        }
    }
}

fn blend(below: Rgb<u8>, above: Rgb<u8>, cover: u8) -> Rgb<u8> {
    let cover = u32::from(cover);
    let mixed = |b: u8, a: u8| ((u32::from(b) * (255 - cover) + u32::from(a) * cover) / 255) as u8;
    Rgb([0, 1, 2].map(|channel| mixed(below.0[channel], above.0[channel])))
}

/// Typographic signs that the font lacks, by the plain ones it has.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '\u{2018}' | '\u{2019}' | '\u{2032}' => '\'',
            '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{2033}' => '"',
            '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
            '\u{2022}' => '\u{b7}',
            other => other,
        })
        .collect::<String>()
        .replace('\u{2026}', "...")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLACK: Ink = Ink { colour: Rgb([0, 0, 0]), cover: 255 };

    /// How much ink lies on the canvas, in full pixels.
    fn inked(canvas: &Canvas) -> f32 {
        canvas.0.pixels().map(|pixel| 1.0 - f32::from(pixel.0[0]) / 255.0).sum()
    }

    #[test]
    fn typographic_signs_become_letters_that_the_font_has() {
        let plain = printable("Women’s “A–Z”…");
        assert_eq!(plain, "Women's \"A-Z\"...");
        for letter in plain.chars() {
            assert!(get_raster(letter, BODY.weight, BODY.height).is_some(), "{letter:?}");
        }
    }

    #[test]
    fn a_dot_has_the_area_of_its_circle_wherever_its_middle_lies() {
        for (x, y) in [(16.0, 16.0), (16.5, 16.5), (15.3, 16.7)] {
            let mut canvas = Canvas::new(32, 32);
            canvas.dot((x, y), 6.0, BLACK);
            let area = std::f32::consts::PI * 36.0;
            assert!((inked(&canvas) - area).abs() < 0.02 * area, "{}", inked(&canvas));
            assert_eq!(canvas.0.get_pixel(x as u32, y as u32), &BLACK.colour);
        }
    }

    #[test]
    fn a_line_has_one_pixel_of_ink_a_step_in_every_direction() {
        for to in [(28.0, 4.0), (28.0, 20.0), (9.0, 28.0), (4.0, 28.0), (28.0, 28.0)] {
            let (mut there, mut back) = (Canvas::new(32, 32), Canvas::new(32, 32));
            there.line((4.0, 4.0), to, BLACK);
            back.line(to, (4.0, 4.0), BLACK);
            assert!((inked(&there) - 24.5).abs() < 0.8, "{to:?}: {}", inked(&there));
            assert!((inked(&there) - inked(&back)).abs() < 0.2);
        }
    }

    #[test]
    fn what_lies_outside_of_the_canvas_is_left_out() {
        let mut canvas = Canvas::new(8, 8);
        canvas.dot((-20.0, 4.0), 3.0, BLACK);
        canvas.line((-9.0, -3.0), (-2.0, 30.0), BLACK);
        canvas.line((3.0, 3.0), (3.0, 3.0), Ink { cover: 0, ..BLACK });
        assert_eq!(canvas.0.as_raw(), &vec![255; 8 * 8 * 3]);
    }

    #[test]
    fn half_an_ink_lets_half_of_the_ground_through() {
        let mut canvas = Canvas::new(3, 1);
        canvas.tint((1, 0), (1, 1), Ink { cover: 128, ..BLACK });
        assert_eq!(canvas.0.get_pixel(1, 0), &Rgb([127, 127, 127]));
        assert_eq!(canvas.0.get_pixel(2, 0), &WHITE);
    }
}
