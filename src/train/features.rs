//! The features of pictures by a network that keeps its weights, taken once and kept on disk.
//!
//! A frozen network says the same of a picture in every epoch, and takes a hundred times as long for
//! it as the head behind it. So its features are taken once, of the picture and of some changed views
//! of it, and the head is trained on those. Values are kept as half floats (IEEE 754 binary16): what
//! they lose lies far below what a pooled feature means.
//!
//! Layout, numbers little-endian:
//!
//! ```text
//! 4096 bytes        header: magic, version, views, values a view, rows, key, own checksum
//! rows · v · w · 2  features, [views, values] a row
//! tail              for each row the checksum of its picture's pixels (u64), and its own (u64)
//! ```
//!
//! The key is a hash over the network, its weights and its pool, the frame and the views, and part of the
//! file's name. A row belongs to the pixels of a picture, whatever the picture is called and wherever
//! it lies: a catalogue that grows takes features of what is new, and a run that was stopped while it
//! took them goes on. A row that is not what its checksum says is taken again.

use std::collections::{HashMap, HashSet};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use half::f16;
use looksee_kernels::cpu::mapped::Mapped;
use rayon::prelude::*;

use crate::encoder::parameters::{Mode, Parameters, Pass};
use crate::encoder::towers::Towers;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, Cut, FileKind};
use crate::images::{Augment, ImageBatch, PixelCache};
use crate::units::{Event, Listener, Seed, Stop};

const MAGIC: [u8; 8] = *b"lookfea\0";
/// Counts changes of the layout, and of how views are made.
const VERSION: u32 = 1;
/// One page, so that the rows begin on a page of their own.
const HEADER_BYTES: usize = 4096;
/// Views that pass through the network together.
const BATCH: usize = 64;
const ABSENT: u32 = u32::MAX;

/// Features of a training set in one mapped file.
#[derive(Debug)]
pub(super) struct Features {
    map: Mapped,
    shape: Shape,
    /// For each picture its row, or [`ABSENT`].
    rows: Vec<u32>,
}

/// How the rows of a file lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    views: usize,
    /// Values a view.
    width: usize,
}

impl Shape {
    fn row_bytes(self) -> usize {
        self.views * self.width * 2
    }
}

/// What features are taken of, and by what.
pub(super) struct Order<'a> {
    pub(super) cache: &'a PixelCache,
    /// Numbers of the pictures in the cache.
    pub(super) pictures: &'a [usize],
    pub(super) towers: &'a Towers,
    pub(super) parameters: &'a Arc<Parameters>,
    /// Views a picture, at least 1: the picture itself, its mirror image, then changed ones.
    pub(super) views: usize,
    /// How the changed ones are changed.
    pub(super) augment: Augment,
}

impl Order<'_> {
    fn shape(&self) -> Shape {
        Shape { views: self.views.max(1), width: self.towers.feature_count() }
    }

    fn key(&self) -> String {
        let frame = self.cache.frame();
        let settings = format!("{VERSION} {:?} {frame:?} {:?}", self.shape(), self.augment);
        let pixels = format!("{:?}", self.towers.preprocessing().pictures.pixels);
        let network = self.parameters.checksum_of(|name| self.towers.is_of_the_network(name));
        let tower = self.towers.description();
        let parts = [settings, pixels, tower, format!("{network:016x}")];
        files::fingerprint(parts.iter().map(String::as_bytes))
    }

    /// Picture `number` as one of its views, at the end of `batch`. Its chance depends on its pixels
    /// and the view alone.
    fn push(&self, (number, checksum): (usize, u64), view: usize, batch: &mut ImageBatch) {
        let rgb = self.cache.get(number).unwrap_or_default();
        let mut rng = Seed(checksum).stream("view", view as u64);
        let plain = Augment { flip: 0.0, crop: 1.0, light: 0.0 };
        let change = match view {
            0 => plain,
            1 => Augment { flip: 1.0, ..plain },
            _ => self.augment,
        };
        change.push(rgb, batch, &mut rng);
    }
}

impl Features {
    /// Opens the features of exactly these pictures by this network under `folder`, or takes those
    /// that are not there yet. When the run is to stop, what was taken so far is kept.
    pub(super) fn open_or_take(
        folder: &Path,
        order: &Order<'_>,
        stop: &Stop,
        listener: Listener<'_>,
    ) -> Result<Self> {
        let key = order.key();
        let path = folder.join(format!("cache-{key}.features"));
        let wanted = checksums(order);
        let old = match Kept::open(&path, order.shape(), &key)?.complete(order, &wanted) {
            Ok(features) => return Ok(features),
            Err(old) => old,
        };
        files::make_folder(folder)?;
        files::replace(&path, |out| take(out, &key, order, &wanted, &old, stop, listener))?;
        drop(old);
        remove_others(folder, &path);
        stop.check()?;
        let kept = Kept::open(&path, order.shape(), &key)?;
        kept.complete(order, &wanted).map_err(|_| {
            let what = "the features cannot be read back; is the disk failing?";
            Error::new(ErrorKind::Corrupt, what).at_file(&path)
        })
    }

    /// Views a picture.
    pub(super) fn views(&self) -> usize {
        self.shape.views
    }

    /// Mean and standard deviation of each value over the plain views of these pictures; never a
    /// deviation near 0.
    pub(super) fn moments(&self, pictures: impl Iterator<Item = usize>) -> (Vec<f32>, Vec<f32>) {
        let width = self.shape.width;
        let (mut sums, mut squares) = (vec![0.0f64; width], vec![0.0f64; width]);
        let (mut count, mut values) = (0usize, Vec::new());
        for picture in pictures {
            values.clear();
            self.push(picture, 0, &mut values);
            for ((sum, square), &value) in sums.iter_mut().zip(&mut squares).zip(&values) {
                let value = f64::from(value);
                *sum += value;
                *square += value * value;
            }
            count += 1;
        }
        let n = count.max(1) as f64;
        let mean: Vec<f64> = sums.iter().map(|sum| sum / n).collect();
        let of_square = squares.iter().zip(&mean);
        let deviation = of_square
            .map(|(square, mean)| ((square / n - mean * mean).max(0.0).sqrt() + 1e-3) as f32);
        (mean.iter().map(|&mean| mean as f32).collect(), deviation.collect())
    }

    /// Adds the features of a view of a picture to the end of `values`.
    pub(super) fn push(&self, picture: usize, view: usize, values: &mut Vec<f32>) {
        let row = self.rows.get(picture).copied().unwrap_or(ABSENT);
        if row == ABSENT {
            values.resize(values.len() + self.shape.width, 0.0);
            return;
        }
        let row = &self.map.bytes()[HEADER_BYTES + row as usize * self.shape.row_bytes()..];
        let (halves, _) = row[view * self.shape.width * 2..][..self.shape.width * 2].as_chunks();
        values.extend(halves.iter().map(|half| f16::from_le_bytes(*half).to_f32()));
    }
}

/// The pictures with the checksums of their pixels.
fn checksums(order: &Order<'_>) -> Vec<(usize, u64)> {
    let checksum =
        |&number: &usize| order.cache.get(number).map(|rgb| (number, files::checksum(rgb)));
    order.pictures.par_iter().filter_map(checksum).collect()
}

/// What an earlier run has left, as far as it is sound.
struct Kept {
    map: Option<Mapped>,
    shape: Shape,
    /// Row by the checksum of the pixels.
    rows: HashMap<u64, u32>,
}

impl Kept {
    fn open(path: &Path, shape: Shape, key: &str) -> Result<Self> {
        let nothing = Self { map: None, shape, rows: HashMap::new() };
        if files::kind(path)? != FileKind::File {
            return Ok(nothing);
        }
        let Ok(map) = Mapped::open(path) else { return Ok(nothing) };
        let Some(rows) = sound_rows(map.bytes(), shape, key) else { return Ok(nothing) };
        Ok(Self { map: Some(map), shape, rows })
    }

    fn row(&self, checksum: u64) -> Option<&[u8]> {
        let row = *self.rows.get(&checksum)? as usize;
        let bytes = self.map.as_ref()?.bytes();
        Some(&bytes[HEADER_BYTES + row * self.shape.row_bytes()..][..self.shape.row_bytes()])
    }

    /// The features when every picture has its row.
    fn complete(self, order: &Order<'_>, wanted: &[(usize, u64)]) -> Result<Features, Self> {
        let mut rows = vec![ABSENT; order.cache.len()];
        for (number, checksum) in wanted {
            match self.rows.get(checksum) {
                Some(row) => rows[*number] = *row,
                None => return Err(self),
            }
        }
        match self.map {
            Some(map) => Ok(Features { map, shape: self.shape, rows }),
            None => Err(self),
        }
    }
}

/// The rows of a whole file that are what they were written as; `None` for another file.
fn sound_rows(bytes: &[u8], shape: Shape, key: &str) -> Option<HashMap<u64, u32>> {
    let count = bytes.get(20..28)?.try_into().map(u64::from_le_bytes).ok()?;
    if bytes.get(..HEADER_BYTES)? != header(shape, count, key) {
        return None;
    }
    let count = usize::try_from(count).ok()?;
    let values = count.checked_mul(shape.row_bytes())?;
    let tail = bytes.get(HEADER_BYTES.checked_add(values)?..)?;
    let (sums, rest) = tail.as_chunks::<16>();
    if sums.len() != count || !rest.is_empty() || count > ABSENT as usize {
        return None;
    }
    let rows = bytes[HEADER_BYTES..][..values].par_chunks(shape.row_bytes().max(1));
    let sound = rows.zip(sums).enumerate().filter_map(|(row, (values, sums))| {
        let (of_pixels, own) = sums.split_at(8);
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        (files::checksum(values) == number(own)).then_some((number(of_pixels), row as u32))
    });
    Some(sound.collect::<Vec<_>>().into_iter().collect())
}

fn header(shape: Shape, rows: u64, key: &str) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for number in [VERSION, shape.views as u32, shape.width as u32] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(rows.to_le_bytes());
    bytes.extend(key.as_bytes());
    bytes.resize(HEADER_BYTES - 8, 0);
    bytes.extend(files::checksum(&bytes).to_le_bytes());
    bytes
}

/// Writes a file of the rows that are wanted: those that are kept, then the others, each once.
fn take(
    out: &mut BufWriter<fs_err::File>,
    key: &str,
    order: &Order<'_>,
    wanted: &[(usize, u64)],
    old: &Kept,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<()> {
    let cannot = |e| Error::io("cannot write the features", e);
    let mut sheet = Sheet { out, tail: Vec::new(), rows: 0 };
    sheet.out.write_all(&[0; HEADER_BYTES]).map_err(cannot)?;
    let mut seen = HashSet::new();
    let mut missing = Vec::new();
    for &(number, checksum) in wanted {
        if !seen.insert(checksum) {
            continue;
        }
        match old.row(checksum) {
            Some(row) => sheet.add(checksum, row)?,
            None => missing.push((number, checksum)),
        }
    }
    let pass = Pass::new(Arc::clone(order.parameters), Mode::Inference);
    let (mut done, total) = (0, missing.len());
    for chunk in missing.chunks((BATCH / order.shape().views).max(1)) {
        if stop.asked() {
            break;
        }
        let mut batch = ImageBatch::new(order.cache.frame());
        for &picture in chunk {
            (0..order.shape().views).for_each(|view| order.push(picture, view, &mut batch));
        }
        let values = order.towers.features(&pass, &batch);
        let rows = values.chunks_exact(values.len() / chunk.len());
        for (&(number, checksum), row) in chunk.iter().zip(rows) {
            if row.iter().any(|value| !value.is_finite() || value.abs() > f16::MAX.to_f32()) {
                return Err(Error::invalid(format!(
                    "the network gives values for picture {} that no half float can hold; are these \
                     the weights of this network, and for pictures of this scale?",
                    number + 1
                )));
            }
            let halves = row.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes());
            sheet.add(checksum, &halves.collect::<Vec<u8>>())?;
        }
        done += chunk.len();
        listener(Event::Progress { what: "taking features", done, total });
    }
    let Sheet { out, tail, rows } = sheet;
    out.write_all(&tail).map_err(cannot)?;
    out.seek(SeekFrom::Start(0)).map_err(cannot)?;
    out.write_all(&header(order.shape(), rows, key)).map_err(cannot)
}

/// A file that is being written.
struct Sheet<'a> {
    out: &'a mut BufWriter<fs_err::File>,
    tail: Vec<u8>,
    rows: u64,
}

impl Sheet<'_> {
    fn add(&mut self, checksum: u64, row: &[u8]) -> Result<()> {
        self.out.write_all(row).map_err(|e| Error::io("cannot write the features", e))?;
        self.tail.extend(checksum.to_le_bytes());
        self.tail.extend(files::checksum(row).to_le_bytes());
        self.rows += 1;
        Ok(())
    }
}

/// Removes the features of other networks, frames and views.
fn remove_others(folder: &Path, keep: &Path) {
    let Ok(entries) = fs_err::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path != keep && beginning_of(name).is_some() {
            files::remove_own(&path, (0, &MAGIC), Cut::Nowhere);
        }
    }
}

/// What a file called `name` begins with when it holds features: `cache-`, 12 hex digits,
/// `.features`.
pub(super) fn beginning_of(name: &str) -> Option<&'static [u8]> {
    let key = name.strip_prefix("cache-")?.strip_suffix(".features")?;
    let is_key = key.len() == 12 && key.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_key.then_some(&MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::files::Blob;
    use crate::images::{Cached, Limits};
    use crate::train::Recipe;

    /// A folder of plain pictures and a small network that sees them.
    struct Studio {
        folder: tempfile::TempDir,
        towers: Towers,
        parameters: Arc<Parameters>,
        recipe: Recipe,
    }

    impl Studio {
        fn new() -> Self {
            let mut recipe = Recipe::named("pretrained").unwrap();
            for (key, value) in [
                ("image.tower", "efficientnet-lite0"),
                ("image.width", "16"),
                ("image.height", "16"),
                ("dim", "4"),
            ] {
                recipe.set(key, value).unwrap();
            }
            let towers = Towers::new(&recipe.architecture(), 2);
            let parameters = Arc::new(towers.parameters(Seed(1)));
            Self { folder: tempfile::tempdir().unwrap(), towers, parameters, recipe }
        }

        fn cache(&self, count: u8) -> PixelCache {
            let picture = |number: u8| {
                let path = self.folder.path().join(format!("{number}.png"));
                let color = image::Rgb([number * 20, 255 - number * 20, 90]);
                let mut picture = image::RgbImage::from_pixel(16, 16, color);
                picture.put_pixel(0, 0, image::Rgb([0, 0, 0]));
                picture.save(&path).unwrap();
                Blob::whole(path.as_path())
            };
            let pictures: Vec<Blob> = (0..count).map(picture).collect();
            let (frame, limits) = (self.recipe.frame(), Limits::default());
            let output = self.folder.path().join("model");
            let Cached { cache, .. } = PixelCache::open_or_make(
                &output,
                &pictures,
                frame,
                limits,
                &Stop::default(),
                &mut |_| {},
            )
            .unwrap();
            cache
        }

        /// The features of the first pictures, and how many had to be taken.
        fn take(&self, count: u8, stop: &Stop) -> (Result<Features>, usize) {
            let cache = self.cache(count);
            let pictures: Vec<usize> = (0..usize::from(count)).collect();
            let order = Order {
                cache: &cache,
                pictures: &pictures,
                towers: &self.towers,
                parameters: &self.parameters,
                views: 2,
                augment: Augment::default(),
            };
            let mut taken = 0;
            let output = self.folder.path().join("model");
            let features = Features::open_or_take(&output, &order, stop, &mut |event| {
                if let Event::Progress { what: "taking features", done, .. } = event {
                    taken = done;
                }
            });
            (features, taken)
        }

        fn file(&self) -> std::path::PathBuf {
            let entries = std::fs::read_dir(self.folder.path().join("model")).unwrap().flatten();
            let mut paths = entries.map(|entry| entry.path());
            paths.find(|path| path.extension().is_some_and(|it| it == "features")).unwrap()
        }
    }

    fn row(features: &Features, picture: usize, view: usize) -> Vec<f32> {
        let mut values = Vec::new();
        features.push(picture, view, &mut values);
        values
    }

    #[test]
    fn features_are_what_the_network_says_of_each_view() {
        let studio = Studio::new();
        let (features, _) = studio.take(3, &Stop::default());
        let features = features.unwrap();
        let cache = studio.cache(3);
        let pass = Pass::new(Arc::clone(&studio.parameters), Mode::Inference);
        for picture in 0..3 {
            let mut mirrored = ImageBatch::new(cache.frame());
            let flip = Augment { flip: 1.0, crop: 1.0, light: 0.0 };
            flip.push(cache.get(picture).unwrap(), &mut mirrored, &mut Seed(0).stream("", 0));
            let mut plain = ImageBatch::new(cache.frame());
            plain.push(cache.get(picture).unwrap());
            for (view, batch) in [plain, mirrored].iter().enumerate() {
                let expected = studio.towers.features(&pass, batch);
                for (found, expected) in row(&features, picture, view).iter().zip(expected) {
                    let bound = 1e-3 * expected.abs() + 1e-6;
                    assert!((found - expected).abs() < bound, "{found} and {expected}");
                }
            }
        }
        assert_ne!(row(&features, 0, 0), row(&features, 0, 1));
    }

    #[test]
    fn a_catalogue_that_grows_has_features_taken_of_what_is_new() {
        let studio = Studio::new();
        let (before, taken) = studio.take(3, &Stop::default());
        assert_eq!(taken, 3);
        let before = row(&before.unwrap(), 1, 0);
        let (after, taken) = studio.take(5, &Stop::default());
        assert_eq!((taken, row(&after.unwrap(), 1, 0)), (2, before));
        assert_eq!(studio.take(5, &Stop::default()).1, 0);
    }

    #[test]
    fn a_row_that_is_damaged_is_taken_again() {
        let studio = Studio::new();
        let sound = row(&studio.take(3, &Stop::default()).0.unwrap(), 0, 0);
        let path = studio.file();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[HEADER_BYTES + 5] ^= 0x11;
        std::fs::write(&path, bytes).unwrap();
        let (mended, taken) = studio.take(3, &Stop::default());
        assert_eq!((taken, row(&mended.unwrap(), 0, 0)), (1, sound));
        // And of a file that is cut short, all.
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        assert_eq!(studio.take(3, &Stop::default()).1, 3);
    }

    #[test]
    fn what_was_taken_before_a_stop_is_not_taken_again() {
        let studio = Studio::new();
        studio.take(3, &Stop::default()).0.unwrap();
        let stop = Stop::default();
        stop.ask();
        let (stopped, taken) = studio.take(5, &stop);
        assert_eq!((stopped.unwrap_err().kind(), taken), (ErrorKind::Interrupted, 0));
        assert_eq!(studio.take(5, &Stop::default()).1, 2);
    }
}
