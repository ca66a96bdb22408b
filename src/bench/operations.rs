//! How much there is to compute: the multiplications and additions of matrix products and
//! convolutions, in units of 10^9. Norms, activations, pools and the optimiser are not counted,
//! though their time is.

use looksee_kernels::conv::ConvShape;

use super::{DIM, Size};
use crate::error::{Error, Result};

/// Multiplications of a forward pass of the image tower.
struct Count {
    /// Of the first convolution, whose input wants no gradient.
    stem: f64,
    all: f64,
}

/// One pass forward.
pub(super) fn of_image_forward(size: Size<'_>) -> Result<f64> {
    Ok(2e-9 * count(size)?.all)
}

/// A pass forward and both gradients of every layer, but for the gradient of the pictures.
pub(super) fn of_image_step(size: Size<'_>) -> Result<f64> {
    let Count { stem, all } = count(size)?;
    Ok(2e-9 * (3.0 * all - stem))
}

/// The same of a GRU in both directions over so many tokens; the inputs want no gradient.
pub(super) fn of_text_step(tokens: usize, inputs: usize, hidden: usize) -> f64 {
    let gates = 2.0 * tokens as f64 * (3 * hidden) as f64;
    2e-9 * gates * (2.0 * inputs as f64 + 3.0 * hidden as f64)
}

fn count(size: Size<'_>) -> Result<Count> {
    match size.network {
        "resnet50" => Ok(of_resnet50(size)),
        "efficientnet-lite2" => Ok(of_efficientnet_lite2(size)),
        other => Err(Error::invalid(format!(
            "nobody has counted the operations of {other}; known are resnet50 and \
             efficientnet-lite2"
        ))),
    }
}

fn of_resnet50(size: Size<'_>) -> Count {
    let shapes = resnet50(size.batch, size.side);
    let all: f64 = shapes.iter().map(multiplications).sum();
    let linear = (size.batch * 2048 * DIM) as f64;
    Count { stem: shapes.first().map_or(0.0, multiplications), all: all + linear }
}

pub(super) fn multiplications(shape: &ConvShape) -> f64 {
    shape.rows() as f64 * shape.taps() as f64 * shape.outputs as f64
}

/// The convolutions of ResNet50 for square pictures, from the first to the last.
pub(super) fn resnet50(n: usize, side: usize) -> Vec<ConvShape> {
    let layer = |side, inputs, outputs, kernel, stride| ConvShape {
        n,
        height: side,
        width: side,
        inputs,
        outputs,
        kernel,
        stride,
        padding: kernel / 2,
    };
    let mut layers = vec![layer(side, 3, 64, 7, 2)];
    let (mut side, mut inputs) = (side.div_ceil(4), 64);
    for (middle, blocks, stride) in [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)] {
        for block in 0..blocks {
            let stride = if block == 0 { stride } else { 1 };
            let after = side.div_ceil(stride);
            layers.push(layer(side, inputs, middle, 1, 1));
            layers.push(layer(side, middle, middle, 3, stride));
            layers.push(layer(after, middle, 4 * middle, 1, 1));
            if block == 0 {
                layers.push(layer(side, inputs, 4 * middle, 1, stride));
            }
            (side, inputs) = (after, 4 * middle);
        }
    }
    layers
}

/// A stage of EfficientNet-Lite2: how much its blocks widen, channels, blocks, stride, kernel. From
/// the table of EfficientNet-B0 (Tan and Le, 2019) with 1.1 times the channels, to a multiple of 8,
/// and 1.2 times the blocks, rounded up, but for the first and the last stage.
const LITE2: [(usize, usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1, 3),
    (6, 24, 3, 2, 3),
    (6, 48, 3, 2, 5),
    (6, 88, 4, 2, 3),
    (6, 120, 4, 1, 5),
    (6, 208, 5, 2, 5),
    (6, 352, 1, 1, 3),
];

fn of_efficientnet_lite2(size: Size<'_>) -> Count {
    let n = size.batch as f64;
    let product =
        |side: usize, inputs: usize, outputs: usize| n * (side * side * inputs * outputs) as f64;
    let mut side = size.side.div_ceil(2);
    let stem = product(side, 9 * 3, 32);
    let (mut all, mut inputs) = (stem, 32);
    for (widening, outputs, blocks, stride, kernel) in LITE2 {
        for block in 0..blocks {
            let middle = widening * inputs;
            if widening > 1 {
                all += product(side, inputs, middle);
            }
            side = side.div_ceil(if block == 0 { stride } else { 1 });
            all += product(side, kernel * kernel, middle) + product(side, middle, outputs);
            inputs = outputs;
        }
    }
    all += product(side, inputs, 1280) + n * (1280 * DIM) as f64;
    Count { stem, all }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::towers::Towers;
    use crate::units::Seed;

    #[test]
    fn the_convolutions_have_as_many_weights_as_the_tower() {
        let size = Size { network: "resnet50", batch: 1, side: 64 };
        let towers = Towers::new(&super::super::architecture(size).unwrap(), 2);
        let parameters = towers.parameters(Seed(0));
        let of_tower = parameters.iter().filter(|(name, parameter)| {
            name.starts_with("image.") && !name.contains("fc.") && parameter.shape.len() == 2
        });
        let of_tower: usize = of_tower.map(|(_, parameter)| parameter.values.len()).sum();
        let counted: usize = resnet50(1, 64).iter().map(|s| s.taps() * s.outputs).sum();
        assert_eq!(counted, of_tower);
    }

    #[test]
    fn the_counts_are_those_of_the_literature() {
        // torchvision's documentation: 4.09 GFLOPS (multiplications) for 1000 classes.
        let count = of_image_forward(Size { network: "resnet50", batch: 1, side: 224 }).unwrap();
        assert!((count / 2.0 - 4.087).abs() < 0.01, "{count}");
        // Google's README of the Lite models: 869 million at 260 pixels.
        let size = Size { network: "efficientnet-lite2", batch: 1, side: 260 };
        let count = of_image_forward(size).unwrap();
        assert!((count / 2.0 - 0.869).abs() < 0.02, "{count}");
        assert!(of_image_step(Size { network: "vgg", ..size }).is_err());
    }
}
