use image::{Luma, LumaA, Rgb, Rgba};

use super::*;

const RED: [u8; 3] = [200, 30, 30];
const BLUE: [u8; 3] = [30, 30, 200];

fn decoded(bytes: &[u8]) -> Decoded {
    decode(bytes, Limits::default()).unwrap()
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn testdata(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/images/");
    std::fs::read(format!("{folder}{name}")).unwrap()
}

/// A pattern in which no two of the 6 x 4 pixels are alike.
fn pattern() -> RgbImage {
    RgbImage::from_fn(6, 4, |x, y| Rgb([x as u8 * 40, y as u8 * 60, (x * y) as u8 * 10]))
}

fn pixel(picture: &Decoded, x: usize, y: usize) -> [u8; 3] {
    let start = (y * picture.width_px + x) * 3;
    [picture.rgb[start], picture.rgb[start + 1], picture.rgb[start + 2]]
}

fn assert_near(found: [u8; 3], expected: [u8; 3], within: u8, what: &str) {
    let near = found.iter().zip(expected).all(|(&a, b)| a.abs_diff(b) <= within);
    assert!(near, "{what}: found {found:?}, expected {expected:?}");
}

#[test]
fn formats_without_loss_give_back_the_same_pixels() {
    let picture = DynamicImage::ImageRgb8(pattern());
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
        let decoded = decoded(&encoded(&picture, format));
        assert_eq!((decoded.width_px, decoded.height_px), (6, 4), "{format:?}");
        assert_eq!(decoded.rgb, *pattern().as_raw(), "{format:?}");
        assert!(!decoded.truncated);
    }
}

#[test]
fn kinds_from_other_programs_show_red_left_and_blue_right() {
    for (name, within) in
        [("progressive.jpg", 8), ("animated.png", 0), ("animated.webp", 0), ("animated.gif", 0)]
    {
        let picture = decoded(&testdata(name));
        assert_eq!((picture.width_px, picture.height_px), (16, 16), "{name}");
        assert_near(pixel(&picture, 2, 8), RED, within, name);
        assert_near(pixel(&picture, 13, 8), BLUE, within, name);
        assert!(!picture.truncated);
    }
}

#[test]
fn a_cmyk_jpeg_has_the_colours_of_its_inks() {
    let picture = decoded(&testdata("cmyk.jpg"));
    assert_near(pixel(&picture, 2, 8), [255, 0, 0], 12, "left");
    assert_near(pixel(&picture, 13, 8), [0, 0, 255], 12, "right");
}

#[test]
fn grey_pictures_are_grey_at_any_depth() {
    let grey16 = decoded(&testdata("grey16.png"));
    assert_eq!((pixel(&grey16, 0, 0), pixel(&grey16, 15, 15)), ([0x40; 3], [0xC0; 3]));
    let grey = decoded(&testdata("grey.jpg"));
    assert_near(pixel(&grey, 2, 8), [64; 3], 6, "left");
    assert_near(pixel(&grey, 13, 8), [192; 3], 6, "right");
    let picture = DynamicImage::ImageLuma8(image::ImageBuffer::from_pixel(3, 3, Luma([77])));
    assert_eq!(decoded(&encoded(&picture, ImageFormat::Png)).rgb, [77; 27]);
}

#[test]
fn sixteen_bit_colours_are_scaled() {
    let colour = Rgb([0u16, 0x8080, 0xFFFF]);
    let picture = DynamicImage::ImageRgb16(image::ImageBuffer::from_pixel(1, 1, colour));
    assert_eq!(decoded(&encoded(&picture, ImageFormat::Png)).rgb, [0, 0x80, 255]);
}

#[test]
fn alpha_is_laid_on_white() {
    let colours = [[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 128], [10, 20, 30, 1]];
    let picture = image::RgbaImage::from_fn(4, 1, |x, _| Rgba(colours[x as usize]));
    let picture = decoded(&encoded(&DynamicImage::ImageRgba8(picture), ImageFormat::Png));
    assert_eq!(picture.rgb, [255, 0, 0, 255, 255, 255, 127, 127, 127, 254, 254, 254]);

    let grey = image::ImageBuffer::from_pixel(1, 1, LumaA([0u8, 51]));
    let grey = decoded(&encoded(&DynamicImage::ImageLumaA8(grey), ImageFormat::Png));
    assert_eq!(grey.rgb, [204; 3]);
}

#[test]
fn a_palette_may_be_partly_transparent() {
    let picture = decoded(&testdata("palette.png"));
    assert_eq!(pixel(&picture, 15, 0), BLUE);
    assert_near(pixel(&picture, 0, 0), [227, 142, 142], 1, "half red on white");
}

/// The picture as a JPEG with an EXIF block that holds only the orientation, written by `order`.
fn with_orientation(jpeg: &[u8], orientation: u16, little_endian: bool) -> Vec<u8> {
    let mut exif = b"Exif\0\0".to_vec();
    let mut put = |values: &[(u32, usize)]| {
        for &(value, size) in values {
            let bytes = value.to_le_bytes();
            if little_endian {
                exif.extend(&bytes[..size]);
            } else {
                exif.extend(bytes[..size].iter().rev());
            }
        }
    };
    let byte_order = if little_endian { 0x4949 } else { 0x4D4D };
    // Header and one directory entry: tag 0x0112, one SHORT, padded to 4 bytes; no next directory.
    put(&[(byte_order, 2), (42, 2), (8, 4), (1, 2)]);
    put(&[(0x0112, 2), (3, 2), (1, 4), (u32::from(orientation), 2), (0, 2), (0, 4)]);
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xFF, 0xE1], &length, &exif, &jpeg[2..]].concat()
}

#[test]
fn each_of_the_eight_orientations_is_turned_upright() {
    let jpeg = encoded(&DynamicImage::ImageRgb8(pattern()), ImageFormat::Jpeg);
    let stored = decoded(&jpeg);
    let (width, height) = (stored.width_px, stored.height_px);
    for orientation in 1..=8u16 {
        let upright = decoded(&with_orientation(&jpeg, orientation, orientation % 2 == 0));
        let turned = orientation >= 5;
        let expected_size = if turned { (height, width) } else { (width, height) };
        assert_eq!((upright.width_px, upright.height_px), expected_size);
        for y in 0..height {
            for x in 0..width {
                // Where row 0 and column 0 of the stored picture belong, by the EXIF standard.
                let (to_x, to_y) = match orientation {
                    1 => (x, y),
                    2 => (width - 1 - x, y),
                    3 => (width - 1 - x, height - 1 - y),
                    4 => (x, height - 1 - y),
                    5 => (y, x),
                    6 => (height - 1 - y, x),
                    7 => (height - 1 - y, width - 1 - x),
                    _ => (y, width - 1 - x),
                };
                assert_eq!(pixel(&upright, to_x, to_y), pixel(&stored, x, y), "{orientation}");
            }
        }
    }
}

#[test]
fn orientation_counts_in_webp_and_png_too() {
    for name in ["turned.webp", "turned.png"] {
        let picture = decoded(&testdata(name));
        assert_eq!(pixel(&picture, 8, 2), RED, "{name}");
        assert_eq!(pixel(&picture, 8, 13), BLUE, "{name}");
    }
}

#[test]
fn a_broken_exif_block_does_not_cost_the_picture() {
    let jpeg = encoded(&DynamicImage::ImageRgb8(pattern()), ImageFormat::Jpeg);
    let mut bytes = with_orientation(&jpeg, 6, true);
    bytes[16..30].fill(0xFE);
    assert_eq!(decoded(&bytes), decoded(&jpeg));
}

fn noisy_jpeg() -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(1);
    let picture = RgbImage::from_fn(64, 64, |_, _| Rgb([rng.u8(..), rng.u8(..), rng.u8(..)]));
    encoded(&DynamicImage::ImageRgb8(picture), ImageFormat::Jpeg)
}

#[test]
fn a_truncated_jpeg_is_decoded_as_far_as_it_goes_and_marked() {
    let whole = noisy_jpeg();
    let half = decoded(&whole[..whole.len() / 2]);
    assert!(half.truncated && !decoded(&whole).truncated);
    assert_eq!((half.width_px, half.height_px), (64, 64));
    assert_eq!(half.rgb[..64 * 3], decoded(&whole).rgb[..64 * 3]);
    let last = pixel(&half, 63, 63);
    assert!(last[0].abs_diff(last[1]) <= 2 && last[1].abs_diff(last[2]) <= 2, "{last:?}");
}

#[test]
fn other_formats_that_end_early_are_unreadable() {
    let mut rng = fastrand::Rng::with_seed(2);
    let noise = RgbImage::from_fn(64, 64, |_, _| Rgb([rng.u8(..), rng.u8(..), rng.u8(..)]));
    let noise = DynamicImage::ImageRgb8(noise);
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff] {
        let whole = encoded(&noise, format);
        let error = decode(&whole[..whole.len() / 2], Limits::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains(&format!("the {} is damaged", sniff::name(format))));
    }
}

/// A PNG that claims this size and has hardly any pixels.
fn claiming(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    for (name, content) in [
        (b"IHDR", [size.as_slice(), &[8, 2, 0, 0, 0]].concat()),
        (b"IDAT", vec![0x78, 0x9C, 3, 0, 0, 0, 0, 1]),
        (b"IEND", Vec::new()),
    ] {
        let named = [name.as_slice(), &content].concat();
        bytes.extend((content.len() as u32).to_be_bytes());
        bytes.extend(&named);
        bytes.extend(crc32(&named).to_be_bytes());
    }
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[test]
fn a_header_beyond_the_limits_is_refused_with_both_sizes() {
    for (width, height, found, allowed) in [
        (30_000, 30_000, "30000 x 30000", "16384"),
        (16_000, 16_000, "256000000 pixels", "67108864"),
        (16_385, 1, "16385 x 1", "16384"),
    ] {
        let error = decode(&claiming(width, height), Limits::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        let sentence = error.to_string();
        assert!(sentence.contains(found) && sentence.contains(allowed), "{sentence}");
    }
    let tight = Limits { pixels: 23, ..Limits::default() };
    let picture = encoded(&DynamicImage::ImageRgb8(pattern()), ImageFormat::Jpeg);
    assert_eq!(decode(&picture, tight).unwrap_err().kind(), ErrorKind::TooLarge);
    let short = Limits { file_bytes: picture.len() as u64 - 1, ..Limits::default() };
    assert_eq!(decode(&picture, short).unwrap_err().kind(), ErrorKind::TooLarge);
    assert!(decode(&picture, Limits { pixels: 24, side_px: 6, ..Limits::default() }).is_ok());
}

#[test]
fn damaged_files_of_every_format_are_errors_or_pictures_but_never_a_panic() {
    let picture = DynamicImage::ImageRgb8(pattern());
    let mut rng = fastrand::Rng::with_seed(4);
    let formats = [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
    ];
    for format in formats {
        let whole = encoded(&picture, format);
        for _ in 0..200 {
            let mut bytes = whole.clone();
            for _ in 0..rng.usize(1..6) {
                let place = rng.usize(..bytes.len());
                bytes[place] = rng.u8(..);
            }
            bytes.truncate(rng.usize(..=bytes.len()));
            if let Ok(decoded) = decode(&bytes, Limits { pixels: 1 << 16, ..Limits::default() }) {
                assert_eq!(decoded.rgb.len(), decoded.width_px * decoded.height_px * 3);
            }
        }
    }
}
