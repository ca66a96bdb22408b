//! Whether pictures are what the batch norms of a network were made for.
//!
//! A batch norm takes away the mean of each channel and divides by its deviation, both of the pictures
//! that the network was trained on. Pictures that are scaled in another way, or whose channels lie in
//! another order, come to other means and deviations, in the first layer most of all, since nothing
//! has evened them out there yet. Numbers alone do not fail then: the network answers, only worse. So
//! before a run some pictures are sent through the network and the moments before each batch norm
//! compared with those that it has.

use std::fmt;
use std::sync::Arc;

use super::parameters::{Parameters, Pass, Seen};
use super::towers::Towers;
use crate::images::ImageBatch;

/// So far may the median channel's mean lie from the expected one, in expected deviations, and so many
/// times may its deviation be larger or smaller.
///
/// Of EfficientNet-Lite2 on 32 letterboxed pictures of 112 pixels each of groceries, clothes and
/// furniture, before its first batch norm:
///
/// | pixels | offset | spread |
/// |---|---|---|
/// | (x - 127) / 128, which is right | 0.03 to 0.18 | 1.0 to 1.2 |
/// | by `ImageNet`'s mean and deviation | 0.15 to 0.6 | 1.8 to 2.3 |
/// | 0 to 1 | 0.2 to 0.3 | 1.9 to 2.4 |
/// | 0 to 255 | 39 and more | 100 and more |
/// | x / 128, without a mean | 0.3 to 0.65 | 1.0 to 1.2 |
///
/// What is behind it evens most of that out, and red for blue is seen nowhere.
const OFFSET_MOST: f32 = 0.45;
const SPREAD_MOST: f32 = 1.5;

/// How far the moments of pictures lie from those that a network's batch norms have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StatisticsFit {
    /// Before the first batch norm.
    pub(crate) first: Distance,
    /// The median over all batch norms.
    pub(crate) all: Distance,
}

/// How far moments lie from others: the median over the channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Distance {
    /// Between the means, in deviations of the expected ones; 0 or more.
    pub(crate) offset: f32,
    /// How many times the deviation is larger, or smaller; 1 or more.
    pub(crate) spread: f32,
}

impl StatisticsFit {
    /// Whether the pictures may be such as the network was trained on.
    pub(crate) fn is_right(&self) -> bool {
        [self.first, self.all]
            .iter()
            .all(|Distance { offset, spread }| *offset <= OFFSET_MOST && *spread <= SPREAD_MOST)
    }
}

impl fmt::Display for StatisticsFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, all } = self;
        write!(
            f,
            "before its first batch norm the mean of the median channel lies {:.1} deviations from \
             the one that it was trained with and the deviation is {:.1} times off, before all of them \
             {:.1} and {:.1} (usual: at most {OFFSET_MOST} and {SPREAD_MOST})",
            first.offset, first.spread, all.offset, all.spread
        )
    }
}

/// Sends pictures through the network of an image tower and compares the moments before each batch
/// norm with those that it has; `None` for a tower without batch norms.
pub(crate) fn statistics_fit(
    towers: &Towers,
    parameters: &Arc<Parameters>,
    pictures: &ImageBatch,
) -> Option<StatisticsFit> {
    let pass = Pass::measuring(Arc::clone(parameters));
    towers.features(&pass, pictures);
    let distances: Vec<Distance> =
        pass.seen().iter().map(|seen| distance(seen, parameters)).collect();
    let all = Distance {
        offset: median(distances.iter().map(|one| one.offset).collect())?,
        spread: median(distances.iter().map(|one| one.spread).collect())?,
    };
    Some(StatisticsFit { first: *distances.first()?, all })
}

fn distance(seen: &Seen, parameters: &Parameters) -> Distance {
    let running = |which: &str| &parameters.get(&format!("{}.{which}", seen.name)).values;
    let (means, variances) = (running("running_mean"), running("running_var"));
    let found = seen.moments.mean.iter().zip(&seen.moments.variance);
    let both = || found.clone().zip(means.iter().zip(variances));
    let offsets = both().map(|((mean, _), (expected, variance))| {
        (mean - expected).abs() / (variance.max(0.0) + TINY).sqrt()
    });
    let spreads = both().map(|((_, variance), (_, expected))| {
        let times = ((variance + TINY) / (expected.max(0.0) + TINY)).sqrt();
        times.max(1.0 / times)
    });
    Distance {
        offset: median(offsets.collect()).unwrap_or_default(),
        spread: median(spreads.collect()).unwrap_or(1.0),
    }
}

/// Added to variances: a channel that is always the same would lie infinitely far off.
const TINY: f32 = 1e-5;

/// The value in the middle; `None` of none.
fn median(mut values: Vec<f32>) -> Option<f32> {
    let middle = values.len().checked_sub(1)? / 2;
    Some(*values.select_nth_unstable_by(middle, f32::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::PixelScale;
    use crate::encoder::parameters::Mode;
    use crate::train::Recipe;
    use crate::units::Seed;

    /// Pictures of plain patches.
    fn pictures() -> ImageBatch {
        let (side, mut chance) = (32, Seed(4).stream("patches", 0));
        let mut batch = ImageBatch { width_px: side, height_px: side, rgb: Vec::new() };
        for _ in 0..16 {
            let patches: Vec<[u8; 3]> =
                (0..16).map(|_| [(); 3].map(|()| chance.u8(20..=235))).collect();
            let place = |y: usize, x: usize| patches[y / 8 * 4 + x / 8];
            let pixels = (0..side).flat_map(|y| (0..side).map(move |x| (y, x)));
            batch.rgb.extend(pixels.flat_map(|(y, x)| place(y, x)));
        }
        batch
    }

    fn towers(pixels: Option<PixelScale>) -> Towers {
        let mut recipe = Recipe::named("default").unwrap();
        recipe.set("image.tower", "efficientnet-lite0").unwrap();
        recipe.set("dim", "4").unwrap();
        let mut architecture = recipe.architecture();
        if let Some(pixels) = pixels {
            architecture.preprocessing.pictures.pixels = pixels;
        }
        Towers::new(&architecture, 3)
    }

    #[test]
    fn another_scaling_of_the_pixels_is_seen_before_the_first_batch_norm() {
        let (right, pictures) = (towers(None), pictures());
        let mut parameters = right.parameters(Seed(3));
        let learning = Pass::new(Arc::new(parameters.clone()), Mode::Training);
        right.features(&learning, &pictures);
        // Only what was seen last counts: the statistics of these pictures themselves.
        parameters.keep_statistics(&learning.seen(), 1.0);
        let parameters = Arc::new(parameters);
        let fit = statistics_fit(&right, &parameters, &pictures).unwrap();
        assert!(fit.is_right(), "{fit}");
        assert!(fit.first.offset < 0.05 && fit.all.spread < 1.1, "{fit}");
        let scale =
            |mean: f32, deviation: f32| PixelScale { mean: [mean; 3], deviation: [deviation; 3] };
        for (named, wrong) in [
            ("ImageNet's", scale(0.45, 0.225)),
            ("0 to 1", scale(0.0, 1.0)),
            ("0 to 255", scale(0.0, 1.0 / 255.0)),
        ] {
            let fit = statistics_fit(&towers(Some(wrong)), &parameters, &pictures).unwrap();
            assert!(!fit.is_right() && fit.first.spread > SPREAD_MOST, "{named}: {fit}");
        }
    }

    #[test]
    fn the_median_of_none_is_none() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 9.0]), Some(3.0));
    }
}
