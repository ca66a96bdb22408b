//! Where values stopped to be finite. Runs only after a step has failed, so that good steps pay
//! nothing for it: the forward pass is repeated with every layer's output looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::encoder::parameters::{Mode, Parameters, Pass};
use crate::error::{Error, Fact};

/// The error of a run that has left the finite numbers: `what` happened ("the loss of step 12 is
/// NaN"), where it began, what to try. `forward` repeats what went wrong with `pass`, which watches.
pub(super) fn not_finite(
    what: &str,
    pass: &Pass,
    gradients: &BTreeMap<String, Vec<f32>>,
    forward: impl FnOnce(&Pass),
) -> Error {
    forward(pass);
    let seen = pass.watched();
    let place = match seen.first_not_finite() {
        Some(layer) => from_layer(layer, &pass.parameters()),
        None => from_gradient(&seen.layers, gradients),
    };
    Error::invalid(format!("{what}; {place}")).with_fact(Fact::NotFinite)
}

/// The error of a validation after `step`: `error`, unless a layer's values are not finite.
pub(super) fn validation(
    error: Error,
    step: u64,
    parameters: &Arc<Parameters>,
    forward: impl FnOnce(&Pass),
) -> Error {
    let pass = Pass::watching(Arc::clone(parameters), Mode::Inference);
    forward(&pass);
    match pass.watched().first_not_finite() {
        None => error,
        Some(layer) => {
            let place = from_layer(layer, parameters);
            Error::invalid(format!("the vectors after step {step} are not finite; {place}"))
                .with_fact(Fact::NotFinite)
        }
    }
}

fn from_layer(layer: &str, parameters: &Parameters) -> String {
    let weights = match parameters.not_finite_below(layer) {
        0 => "its weights are finite".to_owned(),
        count => format!("its weights hold {count} that are not"),
    };
    format!("the first values that are not finite come out of {layer} ({weights})")
}

/// `layers` in the order of the forward pass: gradients come the other way.
fn from_gradient(layers: &[String], gradients: &BTreeMap<String, Vec<f32>>) -> String {
    let broken = |layer: &&String| {
        let below = gradients.iter().filter(|(name, _)| Parameters::is_below(name, layer));
        below.into_iter().any(|(_, values)| values.iter().any(|value| !value.is_finite()))
    };
    match layers.iter().rev().find(broken) {
        Some(layer) => format!(
            "the values of all layers are finite, the first gradients on the way back that are \
             not are those of {layer}"
        ),
        None => "the values of all layers are finite, so that it began in the loss".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use super::*;
    use crate::encoder::parameters::{Init, Layout};
    use crate::encoder::towers::Towers;
    use crate::images::ImageBatch;
    use crate::tokens::{Rules, Vocabulary};
    use crate::train::Recipe;
    use crate::units::Seed;

    fn parameters() -> Parameters {
        let mut parameters = Parameters::default();
        for name in ["a.conv1.weight", "a.conv10.weight", "a.conv2.weight"] {
            parameters.add(name, &[2], Layout::Plain, Init::Constant(1.0), Seed(0));
        }
        parameters
    }

    /// Sets one value of a parameter.
    fn spoil(parameters: &mut Parameters, name: &str, value: f32) {
        let (_, parameter) = parameters.iter_mut().find(|(other, _)| *other == name).unwrap();
        parameter.values[0] = value;
    }

    fn forward(pass: &Pass, values: [f32; 3]) {
        for (layer, value) in ["a.conv1", "a.conv10", "a.conv2"].into_iter().zip(values) {
            let output: Tensor<1> = pass.tensor(vec![0.0, value], &[2]);
            pass.watch(layer, &output);
        }
    }

    fn said(parameters: &Parameters, values: [f32; 3], broken: &[&str]) -> String {
        let gradients = ["a.conv1.weight", "a.conv10.weight", "a.conv2.weight"].map(|name| {
            let value = if broken.contains(&name) { f32::INFINITY } else { 1.0 };
            (name.to_owned(), vec![value])
        });
        let error = not_finite(
            "the loss of step 12 is NaN",
            &Pass::watching(Arc::new(parameters.clone()), Mode::Training),
            &BTreeMap::from(gradients),
            |pass| forward(pass, values),
        );
        assert_eq!(error.fact(), Some(&Fact::NotFinite));
        error.to_string()
    }

    #[test]
    fn the_first_layer_is_named_with_its_weights() {
        let mut parameters = parameters();
        spoil(&mut parameters, "a.conv10.weight", f32::NAN);
        assert_eq!(
            said(&parameters, [0.0, f32::NAN, f32::NAN], &[]),
            "the loss of step 12 is NaN; the first values that are not finite come out of \
             a.conv10 (its weights hold 1 that are not)"
        );
        let error = said(&parameters, [f32::INFINITY, f32::NAN, 0.0], &[]);
        assert!(error.contains("out of a.conv1 (its weights are finite)"), "{error}");
    }

    #[test]
    fn a_validation_that_fails_for_another_reason_keeps_its_error() {
        let parameters = Arc::new(parameters());
        let error = |values| {
            let error = Error::invalid("vector 3 has length 0");
            validation(error, 7, &parameters, |pass| forward(pass, values)).to_string()
        };
        assert_eq!(error([0.0; 3]), "vector 3 has length 0");
        let found = error([0.0, 0.0, f32::NAN]);
        assert!(found.starts_with("the vectors after step 7 are not finite"), "{found}");
    }

    #[test]
    fn gradients_are_followed_from_the_end() {
        let error = said(&parameters(), [0.0; 3], &["a.conv1.weight", "a.conv10.weight"]);
        assert!(error.ends_with("are those of a.conv10"), "{error}");
        let error = said(&parameters(), [0.0; 3], &[]);
        assert!(error.contains("began in the loss"), "{error}");
    }

    #[test]
    fn every_layer_of_both_towers_is_watched() {
        let mut recipe = Recipe::named("default").unwrap();
        for (key, value) in [("dim", "4"), ("image.tower", "resnet18")] {
            recipe.set(key, value).unwrap();
        }
        recipe.tokens = Rules::WordsAndGrams { min_count: 1, buckets: 20 };
        let vocabulary = Vocabulary::learn(["red dress", "xyzzy"], &recipe.tokens);
        let towers = Towers::new(&recipe.architecture(), vocabulary.len());
        let fresh = towers.parameters(Seed(1));
        let images = ImageBatch { width_px: 32, height_px: 32, rgb: vec![90; 2 * 32 * 32 * 3] };
        let texts = vocabulary.batch(&["red dress", "xyzzy"], 70);
        let forward = |pass: &Pass| {
            let mut chance = Seed(0).stream("chance", 0);
            let _ = towers.images(pass, &images, &mut chance);
            let _ = towers.texts(pass, &texts, &mut chance);
        };
        for layer in [
            "image.conv1",
            "image.bn1",
            "image.layer3.0.conv2",
            "image.layer3.0.downsample.0",
            "image.layer4.1.bn2",
            "image.fc",
            "text.embedding",
            "text.grams",
            "text.gru",
            "text.fc",
        ] {
            let mut parameters = fresh.clone();
            let name = fresh.iter().map(|(name, _)| name.to_owned());
            let name = name.filter(|name| Parameters::is_below(name, layer)).last().unwrap();
            // The embedding of a word that occurs.
            let (_, parameter) = parameters.iter_mut().find(|(other, _)| *other == name).unwrap();
            parameter.values.fill(f32::NAN);
            let error = validation(Error::invalid("it"), 7, &Arc::new(parameters), forward);
            assert!(
                error.to_string().contains(&format!("out of {layer} (its weights hold")),
                "{error}"
            );
        }
    }
}
