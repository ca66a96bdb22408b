//! How much there is to compute: the multiplications and additions of matrix products and
//! convolutions, in units of 10^9. Norms, activations, pools and the optimiser are not counted,
//! though their time is.

use super::{DIM, Size};
use crate::encoder::Convention;
use crate::error::Result;

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
    let network = super::recipe(size.network, size.side)?.image.tower.layers(Convention::Original);
    let convolutions = network.convolutions(size.batch, size.side);
    let mut products = convolutions.iter().map(|conv| conv.multiplications() as f64);
    let stem = products.next().unwrap_or_default();
    let linear = (size.batch * network.features() * DIM) as f64;
    Ok(Count { stem, all: stem + products.sum::<f64>() + linear })
}

#[cfg(test)]
mod tests {
    use super::*;

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
