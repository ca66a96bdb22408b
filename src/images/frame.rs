//! A picture of any shape brought into a frame of one shape.
//!
//! [`plan`] decides which part of the picture goes where, in numbers only; [`frame`] does it. The
//! filter is the frame's, widened when shrinking, so that fine patterns do not alias; small
//! pictures are enlarged, because a model has learned things at the size at which they fill the
//! frame.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use serde::{Deserialize, Serialize};

use super::Decoded;

const WHITE: u8 = 255;

/// How a picture of another shape is brought into the frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// The whole picture, the rest white.
    #[default]
    Letterbox,
    /// The middle of the picture, the frame full.
    Crop,
    /// The whole picture, its shape changed.
    Stretch,
}

/// How the pixels of one size are made of those of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Piecewise cubic; Pillow calls it bicubic.
    #[default]
    CatmullRom,
    /// A triangle.
    Bilinear,
}

impl Filter {
    fn kernel(self) -> FilterType {
        match self {
            Self::CatmullRom => FilterType::CatmullRom,
            Self::Bilinear => FilterType::Bilinear,
        }
    }
}

/// The size of picture a model wants, and how a picture comes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frame {
    /// Width in pixels.
    pub width_px: usize,
    /// Height in pixels.
    pub height_px: usize,
    /// How other shapes are brought in.
    pub fit: Fit,
    /// How pixels of its size are made.
    pub filter: Filter,
}

impl Frame {
    /// Bytes of one picture: `height · width · 3`.
    pub fn bytes(&self) -> usize {
        self.width_px * self.height_px * 3
    }
}

/// A picture in its frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framed {
    /// `[height, width, 3]` of the frame.
    pub rgb: Vec<u8>,
    /// The file ended early; the rest is grey.
    pub truncated: bool,
}

/// Brings a decoded picture into the frame.
///
/// # Panics
/// When `picture.rgb` has not `height · width · 3` bytes.
pub fn frame(picture: &Decoded, frame: Frame) -> Framed {
    if frame.bytes() == 0 || picture.rgb.is_empty() {
        return Framed { rgb: vec![WHITE; frame.bytes()], truncated: picture.truncated };
    }
    let plan = plan(picture, frame);
    let part = resize(picture.into(), plan.from, plan.size_px, frame.filter.kernel());
    let rgb = if plan.size_px == (frame.width_px, frame.height_px) {
        part
    } else {
        on_white(&part, plan.size_px, frame)
    };
    Framed { rgb, truncated: picture.truncated }
}

/// Pixels `[height, width, 3]` that someone else holds.
#[derive(Clone, Copy)]
pub(super) struct Pixels<'a> {
    pub(super) width_px: usize,
    pub(super) height_px: usize,
    pub(super) rgb: &'a [u8],
}

impl<'a> From<&'a Decoded> for Pixels<'a> {
    fn from(picture: &'a Decoded) -> Self {
        Self { width_px: picture.width_px, height_px: picture.height_px, rgb: &picture.rgb }
    }
}

/// A part of a picture in pixels, not always whole ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Part {
    /// A part of this size whose place is `across` and `down`, from 0 (left, top) to 1, of the room
    /// that is left in a picture of `whole` pixels.
    pub(super) fn within(whole: (usize, usize), size: (f64, f64), across: f64, down: f64) -> Self {
        let (whole_width, whole_height) = (whole.0 as f64, whole.1 as f64);
        let (width, height) = (size.0.min(whole_width), size.1.min(whole_height));
        let (left, top) = ((whole_width - width) * across, (whole_height - height) * down);
        // Rounding must not push the far edge over the picture's.
        Self {
            left,
            top,
            width: width.min(whole_width - left),
            height: height.min(whole_height - top),
        }
    }
}

/// Which part of a picture is used, and how large it becomes in the middle of the frame.
struct Plan {
    from: Part,
    size_px: (usize, usize),
}

fn plan(picture: &Decoded, frame: Frame) -> Plan {
    let whole = (picture.width_px, picture.height_px);
    let (width, height) = (whole.0 as f64, whole.1 as f64);
    let (across, down) = (frame.width_px as f64 / width, frame.height_px as f64 / height);
    let full = (frame.width_px, frame.height_px);
    match frame.fit {
        Fit::Stretch => {
            Plan { from: Part::within(whole, (width, height), 0.0, 0.0), size_px: full }
        }
        Fit::Crop => {
            let scale = across.max(down);
            let size = (frame.width_px as f64 / scale, frame.height_px as f64 / scale);
            Plan { from: Part::within(whole, size, 0.5, 0.5), size_px: full }
        }
        Fit::Letterbox => {
            let scale = across.min(down);
            let side =
                |length: f64, most: usize| ((length * scale).round() as usize).clamp(1, most);
            Plan {
                from: Part::within(whole, (width, height), 0.0, 0.0),
                size_px: (side(width, full.0), side(height, full.1)),
            }
        }
    }
}

fn on_white(part: &[u8], size_px: (usize, usize), frame: Frame) -> Vec<u8> {
    let mut rgb = vec![WHITE; frame.bytes()];
    let (left, top) = ((frame.width_px - size_px.0) / 2, (frame.height_px - size_px.1) / 2);
    let rows = rgb.chunks_exact_mut(frame.width_px * 3).skip(top);
    for (to, from) in rows.zip(part.chunks_exact(size_px.0 * 3)) {
        to[left * 3..][..from.len()].copy_from_slice(from);
    }
    rgb
}

/// `from` of a picture as `[height, width, 3]` of `size_px` (width, height).
///
/// # Panics
/// When the pixels do not fit their size or the part lies outside of them.
pub(super) fn resize(
    picture: Pixels<'_>,
    from: Part,
    size_px: (usize, usize),
    filter: FilterType,
) -> Vec<u8> {
    let mut rgb = vec![WHITE; size_px.0 * size_px.1 * 3];
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).crop(
        from.left,
        from.top,
        from.width,
        from.height,
    );
    let (width, height) = (picture.width_px as u32, picture.height_px as u32);
    let source = ImageRef::new(width, height, picture.rgb, PixelType::U8x3)
        .expect("the pixels have the size they are said to have");
    let mut target =
        Image::from_slice_u8(size_px.0 as u32, size_px.1 as u32, &mut rgb, PixelType::U8x3)
            .expect("the buffer was made for this size");
    Resizer::new().resize(&source, &mut target, &options).expect("the part lies in the picture");
    rgb
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(
        width_px: usize,
        height_px: usize,
        colour: impl Fn(usize, usize) -> [u8; 3],
    ) -> Decoded {
        let places = (0..height_px).flat_map(|y| (0..width_px).map(move |x| (x, y)));
        let rgb = places.flat_map(|(x, y)| colour(x, y)).collect();
        Decoded { width_px, height_px, rgb, truncated: false }
    }

    fn framed(picture: &Decoded, width_px: usize, height_px: usize, fit: Fit) -> Vec<[u8; 3]> {
        let frame = Frame { width_px, height_px, fit, filter: Filter::default() };
        let framed = super::frame(picture, frame).rgb;
        assert_eq!(framed.len(), frame.bytes());
        framed.chunks_exact(3).map(|c| [c[0], c[1], c[2]]).collect()
    }

    const RED: [u8; 3] = [200, 0, 0];
    const BLUE: [u8; 3] = [0, 0, 200];
    const BLANK: [u8; 3] = [255; 3];

    #[test]
    fn a_letterbox_shows_the_whole_picture_in_the_middle_of_white() {
        let wide = picture(8, 4, |_, _| RED);
        let rows = [[BLANK; 8], [BLANK; 8], [RED; 8], [RED; 8], [RED; 8], [RED; 8], [BLANK; 8]];
        let rows: Vec<_> = rows.into_iter().chain([[BLANK; 8]]).flatten().collect();
        assert_eq!(framed(&wide, 8, 8, Fit::Letterbox), rows);
    }

    #[test]
    fn a_crop_keeps_the_middle() {
        let flag = picture(12, 4, |x, _| if (4..8).contains(&x) { BLUE } else { RED });
        assert_eq!(framed(&flag, 4, 4, Fit::Crop), [BLUE; 16]);
    }

    #[test]
    fn a_stretch_keeps_both_ends() {
        let flag = picture(40, 4, |x, _| if x < 20 { RED } else { BLUE });
        let pixels = framed(&flag, 4, 4, Fit::Stretch);
        // Not exactly: the filter sharpens the border a little.
        assert!(pixels[0][0] > 190 && pixels[0][2] == 0, "{:?}", pixels[0]);
        assert!(pixels[3][2] > 190 && pixels[3][0] == 0, "{:?}", pixels[3]);
    }

    #[test]
    fn a_picture_of_the_frames_size_is_left_as_it_is() {
        let noise = picture(5, 7, |x, y| [x as u8 * 40, y as u8 * 30, (x * y) as u8]);
        for fit in [Fit::Letterbox, Fit::Crop, Fit::Stretch] {
            assert_eq!(framed(&noise, 5, 7, fit).concat(), noise.rgb);
        }
    }

    #[test]
    fn a_small_picture_is_enlarged() {
        let dot = picture(1, 1, |_, _| RED);
        assert_eq!(framed(&dot, 16, 16, Fit::Letterbox), [RED; 256]);
    }

    #[test]
    fn shrinking_averages_a_fine_pattern_instead_of_picking_from_it() {
        let stripes = picture(256, 256, |x, _| if x % 2 == 0 { [0; 3] } else { [255; 3] });
        for [red, ..] in framed(&stripes, 16, 16, Fit::Stretch) {
            assert!((120..=135).contains(&red), "{red}");
        }
    }

    #[test]
    fn the_filter_of_the_frame_decides_the_pixels() {
        // Between black and white, a triangle stays within both, and a cubic sharpens the border.
        let border = picture(8, 1, |x, _| if x < 4 { [50; 3] } else { [200; 3] });
        let values = |filter| {
            let frame = Frame { width_px: 16, height_px: 1, fit: Fit::Stretch, filter };
            super::frame(&border, frame).rgb
        };
        let within = |value: &u8| (50..=200).contains(value);
        assert!(values(Filter::Bilinear).iter().all(within));
        assert!(!values(Filter::CatmullRom).iter().all(within));
    }

    #[test]
    fn extreme_shapes_fill_every_frame() {
        for (width, height) in [(1, 5000), (5000, 1), (1, 1), (3, 16_384), (4999, 7)] {
            let plain = picture(width, height, |_, _| RED);
            for fit in [Fit::Letterbox, Fit::Crop, Fit::Stretch] {
                for (frame_width, frame_height) in [(32, 32), (1, 50), (31, 1), (1, 1)] {
                    let pixels = framed(&plain, frame_width, frame_height, fit);
                    assert!(pixels.contains(&RED), "{width}x{height} {fit:?}");
                    assert!(pixels.iter().all(|p| [RED, BLANK].contains(p)));
                    assert!(fit == Fit::Letterbox || !pixels.contains(&BLANK));
                }
            }
        }
    }

    #[test]
    fn truncation_is_passed_on() {
        let cut = Decoded { truncated: true, ..picture(2, 2, |_, _| RED) };
        let filter = Filter::default();
        let frame = Frame { width_px: 4, height_px: 4, fit: Fit::Crop, filter };
        assert!(super::frame(&cut, frame).truncated);
    }
}
