//! Weights and inputs by a formula of their names, the one of `testdata/reference/README.md`.

use super::Size;
use crate::encoder::parameters::Parameters;
use crate::images::ImageBatch;

/// The top 24 bits of `SplitMix64` from the FNV-1a of the name, as a share of 1.
pub(crate) fn uniform(name: &str, position: usize) -> f64 {
    share(seed(name), position)
}

fn seed(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, b| {
        (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
    })
}

fn share(seed: u64, position: usize) -> f64 {
    let mut z = seed.wrapping_add(position as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z >> 40) as f64 / f64::from(1 << 24)
}

/// `count` values within `scale` of `shift`.
pub(crate) fn made(name: &str, count: usize, scale: f64, shift: f64) -> Vec<f32> {
    let seed = seed(name);
    (0..count).map(|i| (scale * (2.0 * share(seed, i) - 1.0) + shift) as f32).collect()
}

/// The product of `values` with as many made-up ones.
pub(super) fn product(name: &str, values: &[f32]) -> f64 {
    let seed = seed(name);
    let terms = values.iter().enumerate();
    terms.map(|(i, &x)| f64::from(x) * (2.0 * share(seed, i) - 1.0)).sum()
}

/// A parameter's name without its tower: what the scripts call it.
pub(super) fn short(name: &str) -> &str {
    name.split_once('.').map_or(name, |(_, rest)| rest)
}

/// Gives every parameter the values of its name.
pub(super) fn fill(parameters: &mut Parameters) {
    parameters.set_all(|name, shape| {
        let name = short(name);
        let (scale, shift) = scale_and_shift(name, shape);
        made(name, shape.iter().product(), scale, shift)
    });
}

/// From a name and the shape in a file; each layer keeps about the size of what goes through it.
fn scale_and_shift(name: &str, shape: &[usize]) -> (f64, f64) {
    let fan_in: usize = shape[1..].iter().product();
    match name {
        _ if name.starts_with("gru.") => ((3.0 / shape[0] as f64).sqrt(), 0.0),
        _ if name.ends_with("running_mean") || name.ends_with("bias") => (0.1, 0.0),
        // The end of a residual block, small: sixteen blocks add up.
        _ if name.starts_with("layer") && name.ends_with(".bn3.weight") => (0.05, 0.2),
        _ if shape.len() == 1 => (0.25, 1.0),
        _ => ((3.0 / fan_in as f64).sqrt() * std::f64::consts::SQRT_2, 0.0),
    }
}

/// Square pictures without a pattern.
pub(super) fn pictures(size: Size<'_>) -> ImageBatch {
    let seed = seed("input.images");
    let count = size.batch * size.side * size.side * 3;
    let rgb = (0..count).map(|i| (share(seed, i) * 256.0) as u8).collect();
    ImageBatch { width_px: size.side, height_px: size.side, rgb }
}
