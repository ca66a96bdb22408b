//! What learns: the parameters of a model and, for Adam, the moments of their gradients, with
//! decoupled weight decay and a bound on the gradient.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::Tensor;
use looksee_kernels::cpu::buffers;
use looksee_kernels::layers::adam::Adam;
use looksee_kernels::layers::elementwise;

use super::schedule::Schedule;
use crate::encoder::MOMENTUM;
use crate::encoder::parameters::{Mode, Parameters, Pass};
use crate::error::{Error, Result};

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// The two running moments of one parameter's gradient.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Moments {
    pub(super) first: Vec<f32>,
    pub(super) second: Vec<f32>,
}

/// What Adam remembers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Optimiser {
    pub(super) moments: BTreeMap<String, Moments>,
}

/// All that a step changes and the next one begins with: the parameters of a model and the moments
/// of their gradients.
///
/// It is the one owner of both while a run lasts. Everybody else sees them through a [`Pass`], which
/// must be over before the next step, so that they are changed where they lie, or reads them to write
/// a file. A device that keeps them would keep them here
/// (docs/adr/0007-why-are-parameters-plain-vectors.md).
#[derive(Clone, Debug, Default)]
pub(crate) struct Learner {
    parameters: Arc<Parameters>,
    optimiser: Optimiser,
}

/// A step whose gradients are not finite; the parameters are as they were before it.
#[derive(Debug)]
pub(crate) struct Diverged {
    pub(super) error: Error,
    pub(super) gradients: BTreeMap<String, Vec<f32>>,
}

impl From<Diverged> for Error {
    fn from(diverged: Diverged) -> Self {
        diverged.error
    }
}

impl Learner {
    pub(crate) fn new(parameters: Parameters, optimiser: Optimiser) -> Self {
        Self { parameters: Arc::new(parameters), optimiser }
    }

    /// The parameters as they are.
    pub(crate) fn parameters(&self) -> &Arc<Parameters> {
        &self.parameters
    }

    /// The moments as they are.
    pub(crate) fn optimiser(&self) -> &Optimiser {
        &self.optimiser
    }

    /// A pass over the parameters as they are.
    pub(crate) fn pass(&self, mode: Mode) -> Pass {
        Pass::new(Arc::clone(&self.parameters), mode)
    }

    /// All of a step that comes after the loss: the gradients of `pass`, the running statistics
    /// that it saw, and [`Optimiser::update`].
    pub(crate) fn descend(
        &mut self,
        pass: Pass,
        loss: &Tensor<1>,
        schedule: &Schedule,
        rate: impl Fn(&str) -> f32,
        step: u64,
    ) -> Result<f32, Diverged> {
        let mut gradients = pass.gradients(loss.backward());
        let seen = pass.seen();
        // It holds the parameters too; without it they are changed where they lie.
        drop(pass);
        let parameters = Arc::make_mut(&mut self.parameters);
        match self.optimiser.update(parameters, &mut gradients, schedule, rate, step) {
            Ok(length) => {
                parameters.keep_statistics(&seen, MOMENTUM);
                gradients.into_values().for_each(buffers::give);
                Ok(length)
            }
            Err(error) => Err(Diverged { error, gradients }),
        }
    }
}

impl Optimiser {
    /// Moves the parameters along `gradients`; `step` counts from 1. Returns the gradient's
    /// length before it was bounded.
    pub(super) fn update(
        &mut self,
        parameters: &mut Parameters,
        gradients: &mut BTreeMap<String, Vec<f32>>,
        schedule: &Schedule,
        rate: impl Fn(&str) -> f32,
        step: u64,
    ) -> Result<f32> {
        let length = gradient_length(gradients, step)?;
        if schedule.clip > 0.0 && length > schedule.clip {
            let scale = schedule.clip / length;
            for values in gradients.values_mut() {
                elementwise::scale(values, scale);
            }
        }
        for (name, parameter) in parameters.iter_mut() {
            let Some(gradient) = gradients.get(name) else { continue };
            let decays = parameter.shape.len() > 1;
            let adam = Adam {
                learning_rate: rate(name),
                beta1: BETA1,
                beta2: BETA2,
                epsilon: EPSILON,
                weight_decay: if decays { schedule.weight_decay } else { 0.0 },
            };
            let moments = self.moments.entry(name.to_owned()).or_default();
            moments.first.resize(gradient.len(), 0.0);
            moments.second.resize(gradient.len(), 0.0);
            let Moments { first, second } = moments;
            adam.step(step, &mut parameter.values, gradient, first, second);
        }
        Ok(length)
    }
}

/// The Euclidean length of all gradients together; one that is not finite is an error that names
/// the first parameter at fault.
fn gradient_length(gradients: &BTreeMap<String, Vec<f32>>, step: u64) -> Result<f32> {
    let squares: Vec<(&String, f64)> = gradients
        .iter()
        .map(|(name, values)| (name, elementwise::sum_of_squares(values)))
        .collect();
    if let Some((name, _)) = squares.iter().find(|(_, square)| !square.is_finite()) {
        return Err(Error::invalid(format!(
            "training left the finite numbers at step {step}: the gradient of {name} is not finite"
        )));
    }
    Ok(squares.iter().map(|(_, square)| square).sum::<f64>().sqrt() as f32)
}

#[cfg(test)]
mod tests {
    use super::super::Recipe;
    use super::*;
    use crate::encoder::parameters::{Init, Layout};
    use crate::units::Seed;

    fn one() -> Parameters {
        let mut parameters = Parameters::default();
        parameters.add("w", &[2], Layout::Plain, Init::Constant(1.0), Seed(0));
        parameters
    }

    #[test]
    fn the_first_step_is_as_long_as_the_rate_whatever_the_gradient() {
        // Kingma and Ba, 2015: with corrected moments the first step is rate · sign(g).
        let (mut parameters, mut optimiser) = (one(), Optimiser::default());
        let schedule = Recipe::named("article").unwrap().schedule;
        let mut gradients = BTreeMap::from([("w".to_owned(), vec![1e-3, -50.0])]);
        optimiser.update(&mut parameters, &mut gradients, &schedule, |_| 0.1, 1).unwrap();
        let values = &parameters.get("w").values;
        assert!((values[0] - 0.9).abs() < 1e-5 && (values[1] - 1.1).abs() < 1e-5, "{values:?}");
    }

    #[test]
    fn a_gradient_that_is_not_finite_names_step_and_parameter() {
        let (mut parameters, mut optimiser) = (one(), Optimiser::default());
        let schedule = Recipe::named("default").unwrap().schedule;
        let mut gradients = BTreeMap::from([("w".to_owned(), vec![f32::NAN, 0.0])]);
        let error =
            optimiser.update(&mut parameters, &mut gradients, &schedule, |_| 0.1, 41).unwrap_err();
        assert!(error.to_string().contains("step 41"), "{error}");
        assert!(error.to_string().contains("of w "), "{error}");
        assert_eq!(parameters, one());
    }
}
