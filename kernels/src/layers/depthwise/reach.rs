//! Which inputs an output sums over, along one axis; the same form for all three passes.

use std::ops::Range;

/// One axis of a depthwise convolution.
#[derive(Clone, Copy)]
pub(super) struct Axis {
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) before: usize,
}

/// The outputs `first_out`, `first_out + out_step`, … (`count` of them). The `j`-th is a sum over
/// `taps` neighbouring inputs from `first_in + j * in_step` on, of which those in `0..size` exist;
/// the `t`-th of them goes with the kernel's tap `first_tap + t * tap_step`.
#[derive(Clone, Copy)]
pub(super) struct Reach {
    pub(super) count: usize,
    pub(super) first_out: usize,
    pub(super) out_step: usize,
    pub(super) first_in: isize,
    pub(super) in_step: usize,
    pub(super) size: usize,
    pub(super) taps: usize,
    pub(super) first_tap: usize,
    pub(super) tap_step: isize,
}

impl Axis {
    /// From the input to the output.
    pub(super) fn forward(self) -> Reach {
        Reach {
            count: self.output,
            first_out: 0,
            out_step: 1,
            first_in: -(self.before as isize),
            in_step: self.stride,
            size: self.input,
            taps: self.kernel,
            first_tap: 0,
            tap_step: 1,
        }
    }

    /// From the output's gradient to that of the inputs whose place with the padding before them
    /// is `phase` modulo the stride. These alone meet the same taps: every `stride`-th one from
    /// `phase` on, the last first.
    pub(super) fn backward(self, phase: usize) -> Reach {
        let first_out = (phase + self.stride - self.before % self.stride) % self.stride;
        let taps = self.kernel.saturating_sub(phase).div_ceil(self.stride);
        let steps = taps.saturating_sub(1);
        Reach {
            count: self.input.saturating_sub(first_out).div_ceil(self.stride),
            first_out,
            out_step: self.stride,
            first_in: ((first_out + self.before) / self.stride) as isize - steps as isize,
            in_step: 1,
            size: self.output,
            taps,
            first_tap: phase + steps * self.stride,
            tap_step: -(self.stride as isize),
        }
    }
}

impl Reach {
    /// The input at the first tap of output `j`; may lie before the first one.
    #[inline(always)]
    pub(super) fn start(&self, j: usize) -> isize {
        self.first_in + (j * self.in_step) as isize
    }

    /// Which of `count` neighbours from input `start` on exist.
    #[inline(always)]
    pub(super) fn existing(&self, start: isize, count: usize) -> Range<usize> {
        let low = (-start).clamp(0, count as isize) as usize;
        let high = (self.size as isize - start).clamp(low as isize, count as isize) as usize;
        low..high
    }

    /// The kernel's tap at the `t`-th input.
    #[inline(always)]
    pub(super) fn tap(&self, t: usize) -> usize {
        (self.first_tap as isize + t as isize * self.tap_step) as usize
    }
}
