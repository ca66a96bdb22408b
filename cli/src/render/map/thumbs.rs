//! Small pictures on large sheets.
//!
//! A view of the map shows pictures that lie close together, so they are laid on sheets in the
//! order of a Hilbert curve: what is near on the map is near on the curve, and a view needs few
//! sheets. One sheet is made at a time, its pictures on all cores.

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use looksee::files::Blob;
use looksee::images::{Filter, Fit, Frame};
use looksee::{Error, ErrorKind, Result};
use rayon::prelude::*;

use super::ground::Ground;
use super::{Kind, Scene};

/// Pictures of a sheet from left to right, and from top to bottom.
pub(super) const ACROSS: usize = 16;

/// Of 100.
const QUALITY: u8 = 80;
const WHITE: u8 = 255;

/// How a picture is opened: its pixels `[side, side, 3]`, or `None` when it cannot be read.
pub(super) type Open<'a> = &'a (dyn Fn(&Blob, Frame) -> Option<Vec<u8>> + Sync);

/// The sheets of a scene: which item's picture lies where.
#[derive(Debug)]
pub(super) struct Sheets {
    /// Pixels of a picture's side.
    pub(super) side: usize,
    /// Items in the order in which they lie on the sheets.
    pub(super) order: Vec<u32>,
}

/// One sheet.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) jpeg: Vec<u8>,
    /// Items whose place is empty, because their picture cannot be read.
    pub(super) missing: Vec<u32>,
}

impl Sheets {
    /// Each item that has a picture and a dot that stands for it gets one place.
    pub(super) fn of(scene: &Scene) -> Self {
        let ground = Ground::of(&scene.points);
        let mut seen = vec![false; scene.items.len()];
        let mut places = Vec::new();
        for point in &scene.points {
            let item = point.item as usize;
            let has_picture = point.kind != Kind::Text && scene.items[item].image.is_some();
            if has_picture && !std::mem::replace(&mut seen[item], true) {
                places.push((hilbert(ground.place(point)), point.item));
            }
        }
        places.sort_unstable();
        let order: Vec<u32> = places.into_iter().map(|(_, item)| item).collect();
        Self { side: side(order.len()), order }
    }

    pub(super) fn count(&self) -> usize {
        self.order.len().div_ceil(ACROSS * ACROSS)
    }

    /// Pictures up to the end of a sheet.
    pub(super) fn end(&self, number: usize) -> usize {
        self.order.len().min((number + 1) * ACROSS * ACROSS)
    }

    /// Makes one sheet; it is as high as its pictures need.
    pub(super) fn draw(&self, number: usize, scene: &Scene, open: Open<'_>) -> Result<Sheet> {
        let items = &self.order[number * ACROSS * ACROSS..self.end(number)];
        let (fit, filter) = (Fit::Letterbox, Filter::default());
        let frame = Frame { width_px: self.side, height_px: self.side, fit, filter };
        let image = |item: &u32| scene.items[*item as usize].image.as_ref();
        let pictures: Vec<_> = items
            .par_iter()
            .map(|item| image(item).and_then(|picture| open(picture, frame)))
            .collect();
        let (width, height) = (ACROSS * self.side, items.len().div_ceil(ACROSS) * self.side);
        let mut rgb = vec![WHITE; width * height * 3];
        let mut missing = Vec::new();
        for (place, picture) in pictures.iter().enumerate() {
            match picture {
                Some(picture) => lay(&mut rgb, picture, place, self.side),
                None => missing.push(items[place]),
            }
        }
        Ok(Sheet { jpeg: jpeg(&rgb, width, height)?, missing })
    }
}

/// Many pictures are small ones: they are looked at as a crowd.
fn side(pictures: usize) -> usize {
    match pictures {
        0..=1_500 => 96,
        1_501..=30_000 => 64,
        _ => 48,
    }
}

fn lay(sheet: &mut [u8], picture: &[u8], place: usize, side: usize) {
    let (column, row) = (place % ACROSS, place / ACROSS);
    for (y, line) in picture.chunks_exact(side * 3).enumerate() {
        let start = ((row * side + y) * ACROSS + column) * side * 3;
        sheet[start..start + side * 3].copy_from_slice(line);
    }
}

fn jpeg(rgb: &[u8], width: usize, height: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode(rgb, width as u32, height as u32, ExtendedColorType::Rgb8)
        .map_err(|e| Error::new(ErrorKind::Io, "cannot encode a picture").with_source(e))?;
    Ok(bytes)
}

/// The distance along a Hilbert curve through 2^16 by 2^16 cells.
fn hilbert((x, y): (f32, f32)) -> u32 {
    let cell = |part: f32| (part * 65_535.0) as u32;
    let (mut x, mut y) = (cell(x), cell(y));
    let mut distance = 0;
    for level in (0..16).rev() {
        let side = 1 << level;
        let (right, below) = (u32::from(x & side > 0), u32::from(y & side > 0));
        distance += side * side * ((3 * right) ^ below);
        // Each quarter is the whole curve, turned.
        if below == 0 {
            if right == 1 {
                (x, y) = (65_535 - x, 65_535 - y);
            }
            std::mem::swap(&mut x, &mut y);
        }
    }
    distance
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::render::map::{Item, Point, samples};

    /// A picture of the colour that its file name says; `gone` cannot be opened.
    pub(in crate::render::map) fn painted(picture: &Blob, frame: Frame) -> Option<Vec<u8>> {
        let shade: u8 = picture.path().file_stem()?.to_str()?.parse().ok()?;
        Some(vec![shade; frame.bytes()])
    }

    /// So many pictures on a diagonal.
    pub(in crate::render::map) fn pictures(count: u32) -> Scene {
        let point = |item: u32| Point { x: item as f32, y: item as f32, kind: Kind::Picture, item };
        let item = |number: u32| Item {
            id: number.to_string(),
            image: Some(format!("/shop/{}.jpg", number % 200).into()),
            ..Item::default()
        };
        Scene {
            points: (0..count).map(point).collect(),
            items: (0..count).map(item).collect(),
            ..Scene::default()
        }
    }

    #[test]
    fn each_picture_lies_on_the_sheets_once() {
        let mut scene = pictures(600);
        scene.points.push(Point { kind: Kind::Vector, ..scene.points[3] });
        scene.items[9].image = None;
        let sheets = Sheets::of(&scene);
        let mut order = sheets.order.clone();
        order.sort_unstable();
        assert_eq!(order, (0..600).filter(|item| *item != 9).collect::<Vec<_>>());
        assert_eq!(sheets.count(), 3);
    }

    #[test]
    fn a_text_alone_brings_no_picture() {
        let mut scene = samples::scene();
        scene.points.retain(|point| point.kind == Kind::Text);
        assert_eq!(Sheets::of(&scene).order, [0; 0]);
        assert_eq!(Sheets::of(&scene).count(), 0);
    }

    #[test]
    fn a_picture_lies_where_its_place_in_the_order_says() {
        let scene = pictures(300);
        let sheets = Sheets::of(&scene);
        for number in 0..2 {
            let sheet = sheets.draw(number, &scene, &painted).unwrap();
            let image = image::load_from_memory(&sheet.jpeg).unwrap().to_rgb8();
            for place in 0..(300 - number * 256).min(256) {
                let item = sheets.order[number * 256 + place] as usize;
                let middle = |at: usize| (at * sheets.side + sheets.side / 2) as u32;
                let pixel = image.get_pixel(middle(place % ACROSS), middle(place / ACROSS));
                assert!(pixel.0[0].abs_diff((item % 200) as u8) < 4, "{item}");
            }
        }
    }

    #[test]
    fn a_picture_that_cannot_be_read_leaves_its_place_empty_and_is_named() {
        let mut scene = pictures(3);
        scene.items[1].image = Some("/shop/gone.jpg".into());
        let sheet = Sheets::of(&scene).draw(0, &scene, &painted).unwrap();
        assert_eq!(sheet.missing, [1]);
    }

    #[test]
    fn neighbours_on_the_curve_are_neighbours_on_the_map() {
        let mut cells: Vec<(u32, i32, i32)> = Vec::new();
        for (x, y) in (0..32).flat_map(|y| (0..32).map(move |x| (x, y))) {
            let middle = |cell: i32| (cell as f32 + 0.5) / 32.0;
            cells.push((hilbert((middle(x), middle(y))), x, y));
        }
        cells.sort_unstable();
        for pair in cells.windows(2) {
            assert_eq!((pair[0].1 - pair[1].1).abs() + (pair[0].2 - pair[1].2).abs(), 1);
        }
    }
}
