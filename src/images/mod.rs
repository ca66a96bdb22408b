//! Pictures from their bytes to pixels of one size.
//!
//! A picture is decoded under limits, turned upright, laid on white where it is transparent and
//! brought into the frame that a model wants; training takes it from there through [`Augment`] and
//! a [`PixelCache`], search and indexing through [`load`]. What cannot be used is an error that
//! names the reason in one sentence and is counted by the caller; nothing in here panics because
//! of what a file holds.
//!
//! Decoding is `image` (pure Rust, checked bounds) and resizing `fast_image_resize`: together they
//! are several times faster than Pillow, and `image`'s own resizing would halve that. Pictures are
//! spread over the cores, never the work on one picture, so memory is bounded by the number of
//! threads.
//!
//! ```no_run
//! use looksee::images::{Filter, Fit, Frame, Limits, load};
//!
//! let (fit, filter) = (Fit::Letterbox, Filter::default());
//! let frame = Frame { width_px: 128, height_px: 128, fit, filter };
//! let picture = load(&"shoe.jpg".into(), frame, Limits::default())?;
//! assert_eq!(picture.rgb.len(), frame.bytes());
//! # Ok::<(), looksee::Error>(())
//! ```

mod augment;
mod cache;
mod decode;
mod frame;
mod jpeg;
mod sniff;

use rayon::prelude::*;

use crate::catalogue::Reason;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, Blob};

pub use augment::Augment;
pub(crate) use cache::beginning_of as beginning_of_cache;
pub use cache::{Cached, PixelCache};
pub use decode::{Decoded, Limits, decode};
pub use frame::{Filter, Fit, Frame, Framed, frame};

/// Reads, decodes and frames one picture.
pub fn load(picture: &Blob, frame: Frame, limits: Limits) -> Result<Framed> {
    load_with_checksum(picture, frame, limits).map(|(framed, _)| framed)
}

/// [`load`], and the checksum of the picture's bytes, which are read once for both.
pub(crate) fn load_with_checksum(
    picture: &Blob,
    frame: Frame,
    limits: Limits,
) -> Result<(Framed, u64)> {
    let load = || {
        let bytes = picture.read(limits.file_bytes)?;
        let framed = self::frame(&decode(&bytes, limits)?, frame);
        Ok((framed, files::checksum(&bytes)))
    };
    load().map_err(|error: Error| error.at_file(picture.shown()))
}

/// Reads and decodes one picture, in its own size.
pub fn open(picture: &Blob, limits: Limits) -> Result<Decoded> {
    let bytes = picture.read(limits.file_bytes)?;
    decode(&bytes, limits).map_err(|e| e.at_file(picture.shown()))
}

/// [`load`] for many pictures on all cores, in order.
pub fn load_many(pictures: &[Blob], frame: Frame, limits: Limits) -> Vec<Result<Framed>> {
    pictures.par_iter().map(|picture| load(picture, frame, limits)).collect()
}

/// The ledger's word for an error of [`load`].
pub fn reason(error: &Error) -> Reason {
    match error.kind() {
        ErrorKind::NotFound => Reason::Missing,
        ErrorKind::TooLarge => Reason::TooLarge,
        _ => Reason::Unreadable,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame =
        Frame { width_px: 4, height_px: 2, fit: Fit::Stretch, filter: Filter::CatmullRom };

    fn png(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
        let picture = image::RgbImage::from_pixel(width, height, image::Rgb(colour));
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn many_files_come_back_in_order_each_with_its_own_outcome() {
        let folder = tempfile::tempdir().unwrap();
        let name = |number: usize| folder.path().join(format!("{number}.png"));
        for number in [0, 1, 3] {
            std::fs::write(name(number), png(4, 2, [number as u8; 3])).unwrap();
        }
        std::fs::write(name(4), "not a picture").unwrap();
        let pictures: Vec<_> = (0..5).map(name).map(Blob::from).collect();
        let loaded = load_many(&pictures, FRAME, Limits::default());
        for number in [0, 1, 3] {
            assert_eq!(loaded[number].as_ref().unwrap().rgb, [number as u8; 24]);
        }
        assert_eq!(reason(loaded[2].as_ref().unwrap_err()), Reason::Missing);
        assert_eq!(reason(loaded[4].as_ref().unwrap_err()), Reason::Unreadable);
        assert_eq!(loaded[4].as_ref().unwrap_err().file(), Some(&*name(4)));
    }

    #[test]
    fn a_file_beyond_the_limit_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.png");
        std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let error = load(&path.into(), FRAME, Limits::default()).unwrap_err();
        assert_eq!(reason(&error), Reason::TooLarge);
        assert!(error.to_string().contains("1099511627776 bytes"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_and_a_device_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe.jpg");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [pipe.as_path(), std::path::Path::new("/dev/zero")] {
            let error = open(&path.into(), Limits::default()).unwrap_err();
            assert_eq!((reason(&error), error.file()), (Reason::Unreadable, Some(path)));
            assert!(load(&path.into(), FRAME, Limits::default()).is_err());
        }
    }

    #[test]
    fn a_picture_inside_of_a_file_is_decoded_and_an_error_names_both() {
        let folder = tempfile::tempdir().unwrap();
        let (path, picture) = (folder.path().join("shop.tar"), png(4, 2, [7; 3]));
        let length = picture.len() as u64;
        std::fs::write(&path, [b"head", &*picture, b"tail"].concat()).unwrap();
        let inside = |offset, name| Blob::part(path.as_path(), offset, length, Some(name)).unwrap();
        let (framed, content) =
            load_with_checksum(&inside(4, "a.png"), FRAME, Limits::default()).unwrap();
        assert_eq!((framed.rgb, content), (vec![7; 24], files::checksum(&picture)));
        assert_eq!(open(&inside(4, "a.png"), Limits::default()).unwrap().width_px, 4);
        let error = load(&inside(3, "b.png"), FRAME, Limits::default()).unwrap_err();
        assert_eq!(error.file(), Some(&*folder.path().join("shop.tar#b.png")));
    }

    #[test]
    fn a_folder_is_no_picture() {
        let folder = tempfile::tempdir().unwrap();
        let error = load(&folder.path().into(), FRAME, Limits::default()).unwrap_err();
        assert_eq!(reason(&error), Reason::Unreadable);
    }
}
