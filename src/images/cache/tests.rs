use super::*;
use crate::images::Filter;
use std::path::PathBuf;

const FRAME: Frame =
    Frame { width_px: 6, height_px: 4, fit: Fit::Stretch, filter: Filter::CatmullRom };

/// A folder with pictures `0.png` to `9.png`, of which 3 is missing, 5 is text and 7 is cut short.
struct Shop {
    folder: tempfile::TempDir,
    paths: Vec<PathBuf>,
}

impl Shop {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> = (0..10).map(|n| folder.path().join(format!("{n}.png"))).collect();
        for (number, path) in paths.iter().enumerate() {
            match number {
                3 => {}
                5 => std::fs::write(path, "<html>not found</html>").unwrap(),
                7 => std::fs::write(path, cut_jpeg()).unwrap(),
                _ => plain(number).save(path).unwrap(),
            }
        }
        Self { folder, paths }
    }

    fn pictures(&self) -> Vec<Blob> {
        self.paths.iter().map(Blob::from).collect()
    }

    fn caches(&self) -> PathBuf {
        self.folder.path().join("caches")
    }

    fn open(&self) -> Cached {
        self.open_counting().0
    }

    /// The cache, and how often progress was told: never when it was only opened.
    fn open_counting(&self) -> (Cached, usize) {
        let mut calls = 0;
        let cached = PixelCache::open_or_make(
            &self.caches(),
            &self.pictures(),
            FRAME,
            Limits::default(),
            &Stop::default(),
            &mut |_| calls += 1,
        );
        (cached.unwrap(), calls)
    }

    fn files(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.caches()) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

fn plain(number: usize) -> image::RgbImage {
    image::RgbImage::from_pixel(6, 4, image::Rgb([number as u8, 10, 20]))
}

fn cut_jpeg() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    plain(7).write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
    let mut bytes = bytes.into_inner();
    bytes.truncate(bytes.len() - 2);
    bytes
}

fn sentences(cached: &Cached) -> Vec<String> {
    cached.failed.iter().map(|(number, error)| format!("{number} {error:?}")).collect()
}

#[test]
fn pictures_come_back_as_they_were_framed_and_failures_are_absent() {
    let shop = Shop::new();
    let cached = shop.open();
    assert_eq!((cached.cache.len(), cached.cache.frame()), (10, FRAME));
    for number in [0, 1, 2, 4, 6, 8, 9] {
        assert_eq!(cached.cache.get(number).unwrap(), plain(number).as_raw().as_slice());
    }
    for number in [3, 5, 10] {
        assert_eq!(cached.cache.get(number), None);
    }
    assert_eq!(cached.truncated, [7]);
    assert_eq!(cached.failed.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [3, 5]);
    assert_eq!(cached.failed[0].1.kind(), ErrorKind::NotFound);
    assert!(cached.failed[1].1.to_string().contains("5.png: the file is a web page"));
}

#[test]
fn a_second_opening_decodes_nothing_and_tells_the_same() {
    let shop = Shop::new();
    let (first, calls) = shop.open_counting();
    assert_eq!(calls, 1);
    let (second, calls) = shop.open_counting();
    assert_eq!(calls, 0);
    assert_eq!(sentences(&first), sentences(&second));
    assert_eq!(first.truncated, second.truncated);
    assert!((0..10).all(|number| first.cache.get(number) == second.cache.get(number)));
}

#[test]
fn a_changed_picture_makes_a_new_cache_in_place_of_the_old() {
    let shop = Shop::new();
    shop.open();
    let old = shop.files();
    let foreign = ["notes.txt", "cache-0123456789ab.pixels", ".cache-0123456789ab.pixels.1.tmp"];
    for name in foreign {
        std::fs::write(shop.caches().join(name), "mine").unwrap();
    }
    plain(3).save(&shop.paths[3]).unwrap();
    let cached = shop.open();
    assert!(cached.cache.get(3).is_some());
    assert_eq!((shop.files().len(), old.len()), (4, 1));
    assert!(!old[0].exists() && foreign.iter().all(|name| shop.caches().join(name).exists()));
}

#[test]
fn a_damaged_cache_is_made_again() {
    let shop = Shop::new();
    shop.open();
    let path = shop.files().remove(0);
    let whole = std::fs::read(&path).unwrap();
    let pixels = 8 * FRAME.bytes();
    let places = HEADER_BYTES + pixels;
    let checksums = places + 10 * 4;
    let mut damages = vec![0, 9, 13, 24, 25, 40, 60, 4095, places, checksums, whole.len() - 1];
    damages.extend((0..pixels).step_by(17).map(|place| HEADER_BYTES + place));
    for damage in damages {
        let mut bytes = whole.clone();
        bytes[damage] ^= 0x5A;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(shop.open_counting().1, 1, "byte {damage}");
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }
    for length in [0, 20, HEADER_BYTES, whole.len() - 1] {
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(shop.open_counting().1, 1, "{length} bytes");
    }
}

#[test]
fn an_interrupted_making_leaves_nothing_behind() {
    let shop = Shop::new();
    let many: Vec<_> = (0..3 * CHUNK).map(|n| Blob::from(&shop.paths[n % 3])).collect();
    let stop = Stop::default();
    let error = PixelCache::open_or_make(
        &shop.caches(),
        &many,
        FRAME,
        Limits::default(),
        &stop,
        &mut |event| {
            assert!(matches!(event, Event::Progress { what: "decoding", total: 768, .. }));
            stop.ask();
        },
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!(shop.files(), Vec::<PathBuf>::new());
}

#[test]
fn other_frames_and_limits_have_other_keys() {
    let shop = Shop::new();
    let (limits, pictures) = (Limits::default(), shop.pictures());
    let part = |offset| vec![Blob::part(shop.paths[0].as_path(), offset, 9, None).unwrap()];
    let keys = [
        key(&pictures, FRAME, limits),
        key(&pictures, Frame { fit: Fit::Crop, ..FRAME }, limits),
        key(&pictures, FRAME, Limits { side_px: 5, ..limits }),
        key(&pictures[1..], FRAME, limits),
        key(&pictures[..1], FRAME, limits),
        key(&part(0), FRAME, limits),
        key(&part(1), FRAME, limits),
    ];
    let mut distinct = keys.to_vec();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), keys.len());
}

#[test]
fn no_paths_make_an_empty_cache() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let cached = PixelCache::open_or_make(
            folder.path(),
            &[],
            FRAME,
            Limits::default(),
            &Stop::default(),
            &mut |_| {},
        )
        .unwrap();
        assert!(cached.cache.is_empty());
        assert_eq!(cached.cache.get(0), None);
    }
}
