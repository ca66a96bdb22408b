//! Pictures from files to pixels of one size.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::catalogue::Reason;
use crate::error::{Error, Result};
use crate::units::{Listener, Stop};

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

/// The size of picture a model wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Width in pixels.
    pub width_px: usize,
    /// Height in pixels.
    pub height_px: usize,
    /// How other shapes are brought in.
    pub fit: Fit,
}

impl Frame {
    /// Bytes of one picture: `height · width · 3`.
    pub fn bytes(&self) -> usize {
        self.width_px * self.height_px * 3
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
pub fn decode(bytes: &[u8], limits: Limits) -> Result<Decoded> {
    let _ = (bytes, limits);
    unimplemented!()
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
pub fn frame(picture: &Decoded, frame: Frame) -> Framed {
    let _ = (picture, frame);
    unimplemented!()
}

/// Reads, decodes and frames one file.
pub fn load(path: &Path, frame: Frame, limits: Limits) -> Result<Framed> {
    let _ = (path, frame, limits);
    unimplemented!()
}

/// [`load`] for many files on all cores, in order.
pub fn load_many<P: AsRef<Path> + Sync>(
    paths: &[P],
    frame: Frame,
    limits: Limits,
) -> Vec<Result<Framed>> {
    let _ = (paths, frame, limits);
    unimplemented!()
}

/// The ledger's word for an error of [`load`].
pub fn reason(error: &Error) -> Reason {
    let _ = error;
    unimplemented!()
}

/// Framed pictures ready for an encoder: `[n, height, width, 3]`, 8 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageBatch {
    /// Width in pixels.
    pub width_px: usize,
    /// Height in pixels.
    pub height_px: usize,
    /// All pictures, one after the other.
    pub rgb: Vec<u8>,
}

impl ImageBatch {
    /// An empty batch for pictures of this frame.
    pub fn new(frame: Frame) -> Self {
        Self { width_px: frame.width_px, height_px: frame.height_px, rgb: Vec::new() }
    }

    /// Adds a picture `[height, width, 3]`.
    ///
    /// # Panics
    /// When it has another size.
    pub fn push(&mut self, rgb: &[u8]) {
        assert_eq!(rgb.len(), self.width_px * self.height_px * 3, "a picture of another size");
        self.rgb.extend_from_slice(rgb);
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.rgb.len() / (self.width_px * self.height_px * 3)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rgb.is_empty()
    }
}

/// Small random changes that leave a picture's meaning as it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Augment {
    /// Chance of a mirror image, 0 to 1.
    pub flip: f32,
    /// Smallest share of the area that a random crop keeps; 1 for no crop.
    pub crop: f32,
    /// Largest change of brightness and of contrast, as a share; 0 for none.
    pub light: f32,
}

impl Default for Augment {
    fn default() -> Self {
        Self { flip: 0.5, crop: 1.0, light: 0.0 }
    }
}

impl Augment {
    /// Writes a changed copy of `rgb` (`[height, width, 3]`) to the end of `batch`.
    pub fn push(&self, rgb: &[u8], batch: &mut ImageBatch, rng: &mut fastrand::Rng) {
        let _ = (rgb, batch, rng);
        unimplemented!()
    }
}

/// Framed pictures of a training set in one mapped file, so that an epoch never decodes.
#[derive(Debug)]
pub struct PixelCache {}

/// A cache and what did not get into it.
#[derive(Debug)]
pub struct Cached {
    /// The pictures.
    pub cache: PixelCache,
    /// Numbers of the paths that could not be used, each with its error.
    pub failed: Vec<(usize, Error)>,
    /// Numbers of the pictures whose file ended early.
    pub truncated: Vec<usize>,
}

impl PixelCache {
    /// Opens the cache for exactly these files (path, size, time) and this frame under `folder`,
    /// or makes it. Made under another name and renamed when whole.
    pub fn open_or_make<P: AsRef<Path> + Sync>(
        folder: &Path,
        paths: &[P],
        frame: Frame,
        limits: Limits,
        stop: &Stop,
        listener: Listener<'_>,
    ) -> Result<Cached> {
        let _ = (folder, paths, frame, limits, stop, listener);
        unimplemented!()
    }

    /// Picture `number` as `[height, width, 3]`; `None` for one that failed.
    pub fn get(&self, number: usize) -> Option<&[u8]> {
        let _ = number;
        unimplemented!()
    }

    /// Number of paths, failed ones included.
    pub fn len(&self) -> usize {
        unimplemented!()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
