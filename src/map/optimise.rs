//! Moving the points: gradient descent with momentum and gains, in phases.

use looksee_kernels::tsne::attraction::Springs;
use looksee_kernels::tsne::descent::{MapPoints, StepSettings, step};
use rayon::prelude::*;

use super::gradient::Repulsion;
use crate::error::{Error, ErrorKind, Result};
use crate::units::{Event, Listener, Stop};

/// Iterations between two measurements of the divergence.
const MEASURE_EVERY: usize = 100;

/// Some iterations with the same settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phase {
    /// How many.
    pub iterations: usize,
    /// What the affinities are multiplied by: above 1, clusters draw together and have room to pass
    /// each other (van der Maaten & Hinton 2008, section 3.4).
    pub exaggeration: f32,
    /// Learning rate, for gradients without their factor 4; `None` takes the number of points over
    /// the exaggeration (Belkina et al. 2019).
    pub rate: Option<f32>,
    /// Share of the last step that is kept, 0 to 1.
    pub momentum: f32,
}

impl Phase {
    /// The usual two: 250 iterations with an exaggeration of 12, then 500 without.
    pub fn usual() -> Vec<Self> {
        let early = Self { iterations: 250, exaggeration: 12.0, rate: None, momentum: 0.8 };
        vec![early, Self { iterations: 500, exaggeration: 1.0, ..early }]
    }
}

/// A map on its way: its points, and what moves them.
#[derive(Debug)]
pub struct Layout {
    positions: Vec<[f32; 2]>,
    steps: Vec<[f32; 2]>,
    gains: Vec<[f32; 2]>,
    pulls: Vec<[f32; 2]>,
    pushes: Vec<[f32; 2]>,
    iterations: usize,
}

/// The longest step of a point, in units of the map.
const LONGEST: f32 = 5.0;
/// What a gain that shrinks gets back, which keeps it above 0.05.
const LEAST_GAIN: f32 = 0.01;

impl Layout {
    /// Points at these positions, at rest.
    pub fn starting_at(positions: Vec<[f32; 2]>) -> Self {
        let none = vec![[0.0; 2]; positions.len()];
        Self {
            gains: vec![[1.0; 2]; positions.len()],
            steps: none.clone(),
            pulls: none.clone(),
            pushes: none,
            positions,
            iterations: 0,
        }
    }

    /// Runs the phases one after the other. `measured` is told the divergence every 100 iterations.
    ///
    /// Gives whether all iterations were run: a stop leaves the map as it is by then. Fails when
    /// positions are no longer finite.
    pub fn run(
        &mut self,
        phases: &[Phase],
        springs: &Springs,
        repulsion: &mut dyn Repulsion,
        stop: &Stop,
        listener: Listener<'_>,
    ) -> Result<bool> {
        let total = phases.iter().map(|phase| phase.iterations).sum();
        let mut done = 0;
        for phase in phases {
            // What was gained while clusters were drawn together is of no use afterwards.
            self.steps.fill([0.0; 2]);
            for _ in 0..phase.iterations {
                if stop.asked() {
                    return Ok(false);
                }
                let z = self.forces(springs, repulsion);
                if done % MEASURE_EVERY == 0 {
                    self.check(z)?;
                    let divergence = springs.divergence(&self.positions, z);
                    listener(Event::Measured { what: "KL", value: divergence });
                }
                self.advance(phase, z);
                done += 1;
                self.iterations += 1;
                listener(Event::Progress { what: "mapping", done, total });
            }
        }
        self.centre();
        Ok(true)
    }

    fn forces(&mut self, springs: &Springs, repulsion: &mut dyn Repulsion) -> f64 {
        // One change to the pool for all that follows, instead of one for each loop.
        rayon::scope(|_| {
            springs.pull(&self.positions, &mut self.pulls);
            repulsion.push(&self.positions, &mut self.pushes)
        })
    }

    fn advance(&mut self, phase: &Phase, z: f64) {
        let count = self.positions.len() as f32;
        let settings = StepSettings {
            exaggeration: phase.exaggeration,
            push: (1.0 / z.max(f64::MIN_POSITIVE)) as f32,
            rate: phase.rate.unwrap_or(count / phase.exaggeration),
            momentum: phase.momentum,
            least_gain: LEAST_GAIN,
            longest: LONGEST,
        };
        let points = MapPoints {
            positions: &mut self.positions,
            steps: &mut self.steps,
            gains: &mut self.gains,
        };
        step(settings, points, &self.pulls, &self.pushes);
    }

    fn check(&self, z: f64) -> Result<()> {
        let lost = self.positions.par_iter().flatten().any(|x| !x.is_finite());
        if !lost && z.is_finite() {
            return Ok(());
        }
        let message = format!(
            "the map fell apart at iteration {}: positions are no longer finite; try a lower \
             learning rate or a smaller exaggeration",
            self.iterations
        );
        Err(Error::new(ErrorKind::Invalid, message))
    }

    /// Puts the mean of the positions at 0.
    fn centre(&mut self) {
        let count = self.positions.len().max(1) as f64;
        let mean = [0, 1].map(|axis| {
            let sum: f64 = self.positions.iter().map(|position| f64::from(position[axis])).sum();
            (sum / count) as f32
        });
        for position in &mut self.positions {
            *position = [position[0] - mean[0], position[1] - mean[1]];
        }
    }

    /// The divergence of the map as it is.
    pub fn divergence(&mut self, springs: &Springs, repulsion: &mut dyn Repulsion) -> f64 {
        let z = repulsion.push(&self.positions, &mut self.pushes);
        springs.divergence(&self.positions, z)
    }

    /// Iterations that were run.
    pub fn iterations(&self) -> usize {
        self.iterations
    }

    /// Where the points are.
    pub fn positions(&self) -> &[[f32; 2]] {
        &self.positions
    }
}

#[cfg(test)]
mod tests;
