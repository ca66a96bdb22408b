//! From the bytes of a file to upright 8-bit pixels on white.
//!
//! The header is read first and held against [`Limits`]; only then is memory for pixels asked for.
//! Orientation, transparency and depth are settled here, once, so that no later module has to know
//! that a picture can be stored sideways, with alpha or in 16 bits.

use std::io::Cursor;
use std::panic::{self, AssertUnwindSafe};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, RgbImage};

use super::{jpeg, sniff};
use crate::error::{Error, ErrorKind, Result};

/// Bounds on what is decoded; a picture beyond them is refused before its pixels are touched.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest side in pixels.
    pub side_px: u32,
    /// Pixels in all.
    pub pixels: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { side_px: 16_384, pixels: 64 << 20, file_bytes: 256 << 20 }
    }
}

impl Limits {
    /// Bytes of decoded pixels: 4 for each allowed pixel, so deep pictures must be smaller.
    fn decoded_bytes(self) -> u64 {
        self.pixels.saturating_mul(4)
    }

    /// What a decoder may allocate in all: the pixels, as much again for its own work, and tables.
    fn of_decoder(self) -> image::Limits {
        let mut limits = image::Limits::no_limits();
        limits.max_alloc = Some(self.decoded_bytes().saturating_mul(2).saturating_add(64 << 20));
        limits
    }

    pub(super) fn check_file(self, bytes: u64) -> Result<()> {
        if bytes > self.file_bytes {
            return Err(too_large(format!(
                "the file has {bytes} bytes; at most {} are read",
                self.file_bytes
            )));
        }
        Ok(())
    }

    fn check_header(self, header: &impl ImageDecoder) -> Result<()> {
        let (width, height) = header.dimensions();
        if width.max(height) > self.side_px {
            return Err(too_large(format!(
                "the picture is {width} x {height} pixels; a side may have at most {}",
                self.side_px
            )));
        }
        let pixels = u64::from(width) * u64::from(height);
        if pixels > self.pixels {
            return Err(too_large(format!(
                "the picture is {width} x {height} = {pixels} pixels; at most {} are decoded",
                self.pixels
            )));
        }
        if header.total_bytes() > self.decoded_bytes() {
            return Err(too_large(format!(
                "the picture takes {} bytes when decoded; at most {} are allowed",
                header.total_bytes(),
                self.decoded_bytes()
            )));
        }
        if pixels == 0 {
            return Err(Error::invalid(format!("the picture is empty: {width} x {height} pixels")));
        }
        Ok(())
    }
}

/// A decoded picture: upright, 8 bits, alpha laid on white.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Width in pixels.
    pub width_px: usize,
    /// Height in pixels.
    pub height_px: usize,
    /// `[height, width, 3]`, red first.
    pub rgb: Vec<u8>,
    /// The file ended early; the rest is grey.
    pub truncated: bool,
}

/// Decodes the bytes of a JPEG, PNG, WebP, GIF, BMP or TIFF (first frame of an animation).
///
/// A JPEG that ends early is decoded as far as it goes and marked [`Decoded::truncated`]; the other
/// formats cannot be decoded in part. [`ErrorKind::TooLarge`] tells of [`Limits`],
/// [`ErrorKind::Unsupported`] of a format that is not read here.
pub fn decode(bytes: &[u8], limits: Limits) -> Result<Decoded> {
    limits.check_file(bytes.len() as u64)?;
    let format = sniff::format(bytes)?;
    // A decoder that panics on one broken file must not end a run over a million good ones.
    panic::catch_unwind(AssertUnwindSafe(|| decode_as(format, bytes, limits))).unwrap_or_else(
        |_| {
            Err(Error::invalid(format!(
                "the {} is damaged in a way its decoder did not expect",
                sniff::name(format)
            )))
        },
    )
}

fn decode_as(format: ImageFormat, bytes: &[u8], limits: Limits) -> Result<Decoded> {
    let explain = |error| explain(error, format, limits);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits.of_decoder());
    let mut decoder = reader.into_decoder().map_err(explain)?;
    limits.check_header(&decoder)?;
    // A broken EXIF block is no reason to lose the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder).map_err(explain)?;
    let truncated = format == ImageFormat::Jpeg && jpeg::ends_early(bytes);
    Ok(upright(on_white(picture), orientation, truncated))
}

fn upright(picture: RgbImage, orientation: Orientation, truncated: bool) -> Decoded {
    let mut picture = DynamicImage::ImageRgb8(picture);
    picture.apply_orientation(orientation);
    Decoded {
        width_px: picture.width() as usize,
        height_px: picture.height() as usize,
        rgb: picture.into_rgb8().into_raw(),
        truncated,
    }
}

fn on_white(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let picture = picture.into_rgba8();
    let mut opaque = RgbImage::new(picture.width(), picture.height());
    for (to, from) in opaque.pixels_mut().zip(picture.pixels()) {
        let [red, green, blue, alpha] = from.0;
        to.0 = [red, green, blue].map(|colour| over_white(colour, alpha));
    }
    opaque
}

fn over_white(colour: u8, alpha: u8) -> u8 {
    let (colour, alpha) = (u32::from(colour), u32::from(alpha));
    ((colour * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

fn explain(error: ImageError, format: ImageFormat, limits: Limits) -> Error {
    let name = sniff::name(format);
    match error {
        ImageError::Limits(_) => too_large(format!(
            "decoding this {name} takes more memory than the {} bytes of pixels allowed",
            limits.decoded_bytes()
        )),
        ImageError::Unsupported(_) => Error::new(
            ErrorKind::Unsupported,
            format!("this kind of {name} is not supported; save it as an 8-bit JPEG or PNG"),
        )
        .with_source(error),
        _ => Error::invalid(format!("the {name} is damaged")).with_source(error),
    }
}

fn too_large(message: String) -> Error {
    Error::new(ErrorKind::TooLarge, message)
}

#[cfg(test)]
mod tests;
