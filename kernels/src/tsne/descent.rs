//! A step of gradient descent on a t-SNE map: momentum, and a gain for each coordinate.

use crate::cpu::simd::multiversion;
use rayon::prelude::*;

/// Points of a task.
const TASK_POINTS: usize = 4096;

/// How [`step`] moves the points.
#[derive(Clone, Copy, Debug)]
pub struct StepSettings {
    /// Weight of the pull of the springs: the exaggeration.
    pub exaggeration: f32,
    /// Weight of the push: 1 over the sum of all `1 / (1 + d^2)`.
    pub push: f32,
    /// Learning rate.
    pub rate: f32,
    /// Share of the last step that is kept.
    pub momentum: f32,
    /// What is added to a gain that shrinks.
    pub least_gain: f32,
    /// No point moves further in one step.
    pub longest: f32,
}

/// State of the points of a map: `[n, 2]` each.
#[derive(Debug)]
pub struct MapPoints<'a> {
    /// Where they are.
    pub positions: &'a mut [[f32; 2]],
    /// Their last steps.
    pub steps: &'a mut [[f32; 2]],
    /// Gain of each coordinate, 1 at the beginning.
    pub gains: &'a mut [[f32; 2]],
}

/// Moves all points down the gradient `exaggeration * pulls - push * pushes`, with momentum, and
/// with a gain for each coordinate that grows by 0.2 while the last step led downhill and shrinks to
/// 0.8 when it leads uphill (delta-bar-delta, Jacobs 1988, as van der Maaten's t-SNE has it).
///
/// # Panics
/// When the lengths differ.
pub fn step(step: StepSettings, points: MapPoints<'_>, pulls: &[[f32; 2]], pushes: &[[f32; 2]]) {
    let MapPoints { positions, steps, gains } = points;
    let count = positions.len();
    assert!([steps.len(), gains.len(), pulls.len(), pushes.len()] == [count; 4], "points of a map");
    let state = positions.par_chunks_mut(TASK_POINTS).zip(steps.par_chunks_mut(TASK_POINTS));
    let state = state.zip(gains.par_chunks_mut(TASK_POINTS));
    let forces = pulls.par_chunks(TASK_POINTS).zip(pushes.par_chunks(TASK_POINTS));
    state.zip(forces).for_each(|(((positions, steps), gains), (pulls, pushes))| {
        let flat = (steps.as_flattened_mut(), gains.as_flattened_mut());
        let longest = accelerate(step, flat.0, flat.1, pulls.as_flattened(), pushes.as_flattened());
        if longest * std::f32::consts::SQRT_2 > step.longest {
            for point in steps.iter_mut() {
                shorten(point, step.longest);
            }
        }
        advance(positions.as_flattened_mut(), steps.as_flattened());
    });
}

multiversion! {
    /// New gains and steps; gives the greatest coordinate of a step.
    fn accelerate(step: StepSettings, steps: &mut [f32], gains: &mut [f32], pulls: &[f32], pushes: &[f32]) -> f32 {
        let mut longest = 0.0f32;
        for (((last, gain), pull), push) in steps.iter_mut().zip(gains).zip(pulls).zip(pushes) {
            let gradient = step.exaggeration * pull - step.push * push;
            let against = *last * gradient > 0.0;
            *gain = if against { *gain * 0.8 + step.least_gain } else { *gain + 0.2 };
            *last = step.momentum * *last - step.rate * *gain * gradient;
            let length = last.abs();
            longest = if length > longest { length } else { longest };
        }
        longest
    }
}

multiversion! {
    fn advance(positions: &mut [f32], steps: &[f32]) {
        for (position, step) in positions.iter_mut().zip(steps) {
            *position += step;
        }
    }
}

fn shorten(step: &mut [f32; 2], longest: f32) {
    let length = (step[0] * step[0] + step[1] * step[1]).sqrt();
    if length > longest {
        *step = step.map(|x| x * (longest / length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gain_grows_downhill_and_shrinks_uphill() {
        let settings = StepSettings {
            exaggeration: 1.0,
            push: 0.0,
            rate: 1.0,
            momentum: 0.5,
            least_gain: 0.01,
            longest: 5.0,
        };
        let (mut positions, mut steps, mut gains) = ([[0.0; 2]], [[-1.0, 1.0]], [[1.0; 2]]);
        let points = MapPoints { positions: &mut positions, steps: &mut steps, gains: &mut gains };
        step(settings, points, &[[2.0, 2.0]], &[[0.0; 2]]);
        assert_eq!(gains, [[1.2, 0.81]]);
        assert_eq!(steps, [[-0.5 - 2.4, 0.5 - 1.62]]);
        assert_eq!(positions, steps);
    }

    #[test]
    fn no_step_is_longer_than_the_longest() {
        let settings = StepSettings {
            exaggeration: 1.0,
            push: 1.0,
            rate: 100.0,
            momentum: 0.0,
            least_gain: 0.01,
            longest: 5.0,
        };
        let (mut positions, mut steps, mut gains) = ([[0.0; 2]; 2], [[0.0; 2]; 2], [[1.0; 2]; 2]);
        let points = MapPoints { positions: &mut positions, steps: &mut steps, gains: &mut gains };
        step(settings, points, &[[3.0, 4.0], [0.01, 0.0]], &[[0.0; 2]; 2]);
        assert!((steps[0][0] + 3.0).abs() < 1e-5 && (steps[0][1] + 4.0).abs() < 1e-5, "{steps:?}");
        assert!((steps[1][0] + 1.2).abs() < 1e-5);
    }
}
