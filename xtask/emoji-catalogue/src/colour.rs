//! Recolouring of pictures that have one hue.
//!
//! All is done in OKLCH (Ottosson, 2020: lightness, chroma, hue), where a turn of the hue keeps
//! the perceived lightness. That alone makes no yellow: a blue bucket turned to yellow is olive,
//! because yellow is a light colour. So lightness and chroma move, too, to where the wanted colour
//! is at home, by as much as a pixel is coloured; outlines, glints and small parts of another hue stay.

use std::collections::HashMap;

use image::RgbaImage;

/// Chroma above which a pixel counts as coloured (the purest sRGB colours have 0.2 to 0.3).
const COLOURED: f32 = 0.06;
/// Share of the visible pixels that must be coloured.
const COLOURED_SHARE: f32 = 0.35;
/// Hues within so many degrees of the mean are one hue ...
const ONE_HUE_DEGREES: f32 = 25.0;
/// ... if they hold this share of all colour.
const ONE_HUE_SHARE: f32 = 0.88;
/// Hues farther than this from the mean belong to something else, the leaf of an apple, and stay.
const OTHER_HUE_DEGREES: f32 = 45.0;
/// Chroma of greys, which stay grey; between it and [`COLOURED`] a pixel is moved in part.
const GREY: f32 = 0.03;

/// A colour in OKLCH.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Lch {
    /// 0 (black) to 1 (white).
    pub(crate) lightness: f32,
    /// 0 (grey) to about 0.3.
    pub(crate) chroma: f32,
    /// Degrees.
    pub(crate) hue: f32,
}

const fn lch(lightness: f32, chroma: f32, hue: f32) -> Lch {
    Lch { lightness, chroma, hue }
}

/// The colours that pictures are turned to, each where most people would name it so.
pub(crate) const COLOURS: [(&str, Lch); 5] = [
    ("red", lch(0.58, 0.21, 24.0)),
    ("yellow", lch(0.88, 0.17, 94.0)),
    ("green", lch(0.64, 0.17, 142.0)),
    ("blue", lch(0.58, 0.16, 254.0)),
    ("purple", lch(0.52, 0.18, 306.0)),
];

/// The mean colour of a picture's coloured pixels, if they are many and of one hue.
pub(crate) fn one_hue(picture: &RgbaImage) -> Option<Lch> {
    let visible: Vec<Lch> =
        picture.pixels().filter(|p| p.0[3] >= 128).map(|p| to_lch([p[0], p[1], p[2]])).collect();
    let coloured: Vec<Lch> = visible.iter().copied().filter(|c| c.chroma > COLOURED).collect();
    if (coloured.len() as f32) < COLOURED_SHARE * visible.len() as f32 || coloured.is_empty() {
        return None;
    }
    let mean = mean(&coloured);
    let near = coloured.iter().filter(|c| degrees_between(c.hue, mean.hue) <= ONE_HUE_DEGREES);
    let near: f32 = near.map(|c| c.chroma).sum();
    let all: f32 = coloured.iter().map(|c| c.chroma).sum();
    (near >= ONE_HUE_SHARE * all).then_some(mean)
}

/// Turns a picture of mean colour `from` to `to`; transparency stays.
pub(crate) fn recolour(picture: &RgbaImage, from: Lch, to: Lch) -> RgbaImage {
    let mut known = HashMap::new();
    let mut out = picture.clone();
    for pixel in out.pixels_mut().filter(|pixel| pixel.0[3] > 0) {
        let rgb = [pixel[0], pixel[1], pixel[2]];
        let new = *known.entry(rgb).or_insert_with(|| to_rgb(moved(to_lch(rgb), from, to)));
        pixel.0[..3].copy_from_slice(&new);
    }
    out
}

/// `colour` after the move that takes `from` to `to`.
fn moved(colour: Lch, from: Lch, to: Lch) -> Lch {
    let is_grey = colour.chroma <= GREY;
    if is_grey || degrees_between(colour.hue, from.hue) > OTHER_HUE_DEGREES {
        return colour;
    }
    let share = ((colour.chroma - GREY) / (from.chroma - GREY)).min(1.0);
    let away = colour.lightness - from.lightness;
    // Shades keep their distance from the mean, or what there is room for.
    let room = if away > 0.0 {
        (1.0 - to.lightness) / (1.0 - from.lightness)
    } else {
        to.lightness / from.lightness
    };
    let lightness = to.lightness + away * room.min(1.0);
    Lch {
        lightness: colour.lightness + share * (lightness - colour.lightness),
        chroma: colour.chroma * to.chroma / from.chroma,
        hue: to.hue + (colour.hue - from.hue),
    }
}

fn mean(colours: &[Lch]) -> Lch {
    let weight: f32 = colours.iter().map(|c| c.chroma).sum();
    let a: f32 = colours.iter().map(|c| c.chroma * c.hue.to_radians().cos()).sum();
    let b: f32 = colours.iter().map(|c| c.chroma * c.hue.to_radians().sin()).sum();
    Lch {
        lightness: colours.iter().map(|c| c.chroma * c.lightness).sum::<f32>() / weight,
        chroma: weight / colours.len() as f32,
        hue: b.atan2(a).to_degrees(),
    }
}

fn degrees_between(a: f32, b: f32) -> f32 {
    let turn = (a - b).rem_euclid(360.0);
    turn.min(360.0 - turn)
}

fn to_lch(rgb: [u8; 3]) -> Lch {
    let [r, g, b] = rgb.map(linear);
    let l = (0.412_221_46 * r + 0.536_332_55 * g + 0.051_445_995 * b).cbrt();
    let m = (0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b).cbrt();
    let s = (0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b).cbrt();
    let a = 1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s;
    let b = 0.025_904_037 * l + 0.782_771_77 * m - 0.808_675_77 * s;
    Lch {
        lightness: 0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s,
        chroma: a.hypot(b),
        hue: b.atan2(a).to_degrees(),
    }
}

/// The colour on screen; chroma that a screen cannot show is taken back.
fn to_rgb(colour: Lch) -> [u8; 3] {
    let shown = |chroma| {
        let rgb = linear_rgb(Lch { chroma, ..colour });
        rgb.iter().all(|&x| (-1e-4..=1.0001).contains(&x)).then_some(rgb)
    };
    let rgb = shown(colour.chroma).unwrap_or_else(|| {
        let (mut low, mut high) = (0.0, colour.chroma);
        for _ in 0..12 {
            let middle = f32::midpoint(low, high);
            if shown(middle).is_some() { low = middle } else { high = middle }
        }
        linear_rgb(Lch { chroma: low, ..colour })
    });
    rgb.map(from_linear)
}

fn linear_rgb(colour: Lch) -> [f32; 3] {
    let (sin, cos) = colour.hue.to_radians().sin_cos();
    let (light, a, b) = (colour.lightness, colour.chroma * cos, colour.chroma * sin);
    let l = (light + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
    let m = (light - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
    let s = (light - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
    [
        4.076_741_7 * l - 3.307_711_6 * m + 0.230_969_94 * s,
        -1.268_438 * l + 2.609_757_4 * m - 0.341_319_4 * s,
        -0.004_196_086_3 * l - 0.703_418_6 * m + 1.707_614_7 * s,
    ]
}

fn linear(value: u8) -> f32 {
    let x = f32::from(value) / 255.0;
    if x <= 0.040_45 { x / 12.92 } else { ((x + 0.055) / 1.055).powf(2.4) }
}

fn from_linear(x: f32) -> u8 {
    let x = x.clamp(0.0, 1.0);
    let x = if x <= 0.003_130_8 { 12.92 * x } else { 1.055 * x.powf(1.0 / 2.4) - 0.055 };
    (x * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgba;

    fn plain(rgb: [u8; 3]) -> RgbaImage {
        RgbaImage::from_pixel(8, 8, Rgba([rgb[0], rgb[1], rgb[2], 255]))
    }

    #[test]
    fn a_colour_survives_the_way_to_oklch_and_back() {
        for rgb in [[0, 0, 0], [255, 255, 255], [221, 46, 68], [3, 200, 90], [12, 13, 250]] {
            let back = to_rgb(to_lch(rgb));
            for (a, b) in rgb.iter().zip(back) {
                assert!(a.abs_diff(b) <= 1, "{rgb:?} came back as {back:?}");
            }
        }
    }

    #[test]
    fn oklch_agrees_with_its_published_values() {
        // sRGB red is L 0.628, C 0.258, h 29.23.
        let red = to_lch([255, 0, 0]);
        assert!((red.lightness - 0.628).abs() < 1e-3, "{red:?}");
        assert!((red.chroma - 0.258).abs() < 1e-3, "{red:?}");
        assert!((red.hue - 29.23).abs() < 0.1, "{red:?}");
    }

    #[test]
    fn a_picture_of_one_hue_is_told_from_grey_and_from_two_hues() {
        assert!(one_hue(&plain([60, 90, 220])).is_some());
        assert_eq!(one_hue(&plain([128, 128, 130])), None);
        let mut two = plain([60, 90, 220]);
        for pixel in two.pixels_mut().take(32) {
            *pixel = Rgba([220, 60, 60, 255]);
        }
        assert_eq!(one_hue(&two), None);
    }

    #[test]
    fn every_colour_is_reached_from_every_other() {
        for (_, from) in COLOURS {
            let picture = plain(to_rgb(from));
            for (name, to) in COLOURS {
                let seen =
                    to_lch(recolour(&picture, from, to).get_pixel(0, 0).0[..3].try_into().unwrap());
                assert!(degrees_between(seen.hue, to.hue) < 3.0, "{name}: {seen:?}");
                assert!((seen.lightness - to.lightness).abs() < 0.02, "{name}: {seen:?}");
            }
        }
    }

    #[test]
    fn grey_and_transparent_pixels_stay_as_they_are() {
        let mut picture = plain([255, 255, 255]);
        picture.put_pixel(0, 0, Rgba([9, 8, 7, 0]));
        let out = recolour(&picture, COLOURS[3].1, COLOURS[0].1);
        assert_eq!(out, picture);
    }
}
