//! Pictures of every format: told apart, decoded, framed.

use std::io::Cursor;

use image::{ImageFormat, RgbImage};

use super::driver::{Target, contents, testdata};
use crate::images::{Filter, Fit, Frame, Limits, decode, frame};

/// A small picture in each format that can be written, and those of `testdata/`.
fn seeds() -> Vec<Vec<u8>> {
    let picture = RgbImage::from_fn(9, 7, |x, y| image::Rgb([x as u8 * 28, y as u8 * 36, 90]));
    let formats = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Bmp,
        ImageFormat::Gif,
        ImageFormat::Tiff,
        ImageFormat::WebP,
    ];
    let written = formats.map(|format| {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    });
    let found = contents(&testdata("images")).into_iter().filter(|bytes| bytes.len() < 1 << 16);
    written.into_iter().chain(found).collect()
}

#[test]
fn whatever_the_bytes_are_a_picture_has_all_its_pixels_or_is_an_error() {
    let target = Target {
        name: "pictures",
        file: "picture",
        seeds: seeds(),
        words: &[
            "IHDR",
            "IDAT",
            "acTL",
            "fcTL",
            "Exif\0\0",
            "ICC_PROFILE\0",
            "VP8X",
            "ANMF",
            "NETSCAPE2.0",
        ],
        head: 4096,
    };
    let limits = Limits::default();
    let (fit, filter) = (Fit::Letterbox, Filter::default());
    let shape = Frame { width_px: 8, height_px: 8, fit, filter };
    target.run(|_, input| {
        let Ok(picture) = decode(input, limits) else { return };
        let pixels = frame(&picture, shape);
        assert_eq!(pixels.rgb.len(), shape.bytes());
        let again = decode(input, limits).unwrap();
        assert_eq!(frame(&again, shape).rgb, pixels.rgb, "decoded twice, two pictures");
    });
}
