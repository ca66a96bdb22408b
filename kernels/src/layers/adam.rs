//! One step of Adam with decoupled weight decay (`AdamW`: Kingma & Ba 2015; Loshchilov & Hutter
//! 2019).
//!
//! Four streams of memory are read and three written, so the step is fused, in place and on all
//! threads; a tensor framework that makes a temporary a term is several times slower.

use crate::cpu::parallel::TASK_VALUES;
use crate::cpu::simd::multiversion;
use rayon::prelude::*;

/// The settings of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Step size, typically 1e-5 to 1e-3.
    pub learning_rate: f32,
    /// Share of the old first moment that is kept, typically 0.9.
    pub beta1: f32,
    /// Share of the old second moment that is kept, typically 0.999.
    pub beta2: f32,
    /// Added to the root of the second moment, typically 1e-8.
    pub epsilon: f32,
    /// Share of each parameter that a step of size 1 takes away; 0 for plain Adam.
    pub weight_decay: f32,
}

/// What a block needs of the settings, with the corrections for the first steps worked in.
#[derive(Clone, Copy)]
struct Coefficients {
    keep: f32,
    beta1: f32,
    beta2: f32,
    step_size: f32,
    second_correction: f32,
    epsilon: f32,
}

impl Adam {
    /// Updates the parameters and both moments in place; `step` counts from 1 and the moments
    /// start as zeros.
    ///
    /// # Panics
    /// When `step` is 0 or the lengths differ.
    pub fn step(
        &self,
        step: u64,
        parameters: &mut [f32],
        gradients: &[f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        assert!(step > 0, "the first step has number 1");
        let len = parameters.len();
        assert_eq!(len, gradients.len(), "parameters and gradients");
        assert_eq!(len, first.len(), "parameters and first moments");
        assert_eq!(len, second.len(), "parameters and second moments");
        let coefficients = self.coefficients(step);
        parameters
            .par_chunks_mut(TASK_VALUES)
            .zip(gradients.par_chunks(TASK_VALUES))
            .zip(first.par_chunks_mut(TASK_VALUES).zip(second.par_chunks_mut(TASK_VALUES)))
            .for_each(|((parameters, gradients), (first, second))| {
                step_block(coefficients, parameters, gradients, first, second);
            });
    }

    fn coefficients(&self, step: u64) -> Coefficients {
        let power = i32::try_from(step).unwrap_or(i32::MAX);
        let correction = |beta: f32| 1.0 / (1.0 - f64::from(beta).powi(power));
        Coefficients {
            keep: 1.0 - self.learning_rate * self.weight_decay,
            beta1: self.beta1,
            beta2: self.beta2,
            step_size: (f64::from(self.learning_rate) * correction(self.beta1)) as f32,
            second_correction: correction(self.beta2) as f32,
            epsilon: self.epsilon,
        }
    }
}

multiversion! {
    fn step_block(
        c: Coefficients,
        parameters: &mut [f32],
        gradients: &[f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        let moments = first.iter_mut().zip(second);
        for ((parameter, &gradient), (first, second)) in
            parameters.iter_mut().zip(gradients).zip(moments)
        {
            *first = c.beta1 * *first + (1.0 - c.beta1) * gradient;
            *second = c.beta2 * *second + (1.0 - c.beta2) * gradient * gradient;
            let root = (*second * c.second_correction).sqrt() + c.epsilon;
            *parameter = c.keep * *parameter - c.step_size * *first / root;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Sum, assert_close, random};

    const SETTINGS: Adam =
        Adam { learning_rate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.1 };

    /// The published formulas, a parameter at a time, in f64.
    fn oracle(adam: &Adam, mut parameter: f64, gradients: &[f32]) -> f64 {
        let [rate, beta1, beta2, epsilon, decay] =
            [adam.learning_rate, adam.beta1, adam.beta2, adam.epsilon, adam.weight_decay]
                .map(f64::from);
        let (mut first, mut second) = (0.0, 0.0);
        for (step, &gradient) in (1..).zip(gradients) {
            let gradient = f64::from(gradient);
            first = beta1 * first + (1.0 - beta1) * gradient;
            second = beta2 * second + (1.0 - beta2) * gradient * gradient;
            let (m, v) = (first / (1.0 - beta1.powi(step)), second / (1.0 - beta2.powi(step)));
            parameter -= rate * decay * parameter;
            parameter -= rate * m / (v.sqrt() + epsilon);
        }
        parameter
    }

    #[test]
    fn steps_follow_the_published_formulas() {
        for len in [1, 13, TASK_VALUES + 5] {
            let start = random(len, 1);
            let gradients: Vec<Vec<f32>> = (0..5).map(|step| random(len, 10 + step)).collect();
            let mut parameters = start.clone();
            let (mut first, mut second) = (vec![0.0; len], vec![0.0; len]);
            for (step, gradients) in (1..).zip(&gradients) {
                SETTINGS.step(step, &mut parameters, gradients, &mut first, &mut second);
            }
            let expected: Vec<Sum> = (0..len)
                .map(|i| {
                    let mine: Vec<f32> = gradients.iter().map(|g| g[i]).collect();
                    Sum::near(oracle(&SETTINGS, f64::from(start[i]), &mine), 1.0, 10.0)
                })
                .collect();
            assert_close(&parameters, &expected);
        }
    }

    #[test]
    fn without_gradient_only_the_decay_acts() {
        let mut parameter = [2.0];
        SETTINGS.step(1, &mut parameter, &[0.0], &mut [0.0], &mut [0.0]);
        assert_close(&parameter, &[Sum::exact(2.0 * (1.0 - 0.001))]);
    }

    #[test]
    #[should_panic(expected = "number 1")]
    fn step_zero_is_refused() {
        SETTINGS.step(0, &mut [], &[], &mut [], &mut []);
    }
}
