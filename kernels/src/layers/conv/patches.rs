//! The patch matrix (im2col, and col2im on the way back): input values under the kernel, one row an
//! output position.
//!
//! In `[height, width, channels]` order the taps of one kernel row are one run of the input, cut
//! where the kernel reaches into the padding; so a patch is `kernel` copies, not one a tap.

use super::ConvShape;
use crate::cpu::scratch::with_scratch;
use crate::cpu::simd::multiversion;
use crate::product::{Left, apart, tile_height};
use std::ops::Range;

/// The taps of one kernel row at one output position.
struct Run {
    /// All taps of the kernel row.
    taps: Range<usize>,
    /// Those that lie on the picture; empty at the start of `taps` when none does.
    inside: Range<usize>,
    /// Where the values of `inside` start in the input.
    source: usize,
}

/// The position of a row of the patch matrix, with the input pixel under the kernel's corner.
#[derive(Clone, Copy)]
struct Corner {
    picture: usize,
    y: isize,
    x: isize,
}

impl Corner {
    #[inline(always)]
    fn of_row(shape: &ConvShape, row: usize) -> Self {
        let (height, width) = (shape.out_height(), shape.out_width());
        let position = row % (height * width);
        let place = |at: usize| (at * shape.stride) as isize - shape.padding as isize;
        Self {
            picture: row / (height * width),
            y: place(position / width),
            x: place(position % width),
        }
    }

    /// Where the value under the corner is, if the whole kernel lies on the picture.
    #[inline(always)]
    fn inside(self, shape: &ConvShape) -> Option<usize> {
        let (y, x) = (usize::try_from(self.y).ok()?, usize::try_from(self.x).ok()?);
        let inside = y + shape.kernel <= shape.height && x + shape.kernel <= shape.width;
        let row = self.picture * shape.height + y;
        inside.then_some((row * shape.width + x) * shape.inputs)
    }

    #[inline(always)]
    fn run(self, shape: &ConvShape, kernel_row: usize) -> Run {
        let tap = |column: usize| (kernel_row * shape.kernel + column) * shape.inputs;
        let taps = tap(0)..tap(shape.kernel);
        let y = self.y + kernel_row as isize;
        let first = (-self.x).max(0) as usize;
        let last = (shape.width as isize - self.x).clamp(0, shape.kernel as isize) as usize;
        if y < 0 || y >= shape.height as isize || first >= last {
            return Run { inside: taps.start..taps.start, taps, source: 0 };
        }
        let pixel = (self.picture * shape.height + y as usize) * shape.width;
        let column = (self.x + first as isize) as usize;
        Run { taps, inside: tap(first)..tap(last), source: (pixel + column) * shape.inputs }
    }
}

/// Channels from which on the rows of a picture lie so far apart that they take each other's place
/// in the first cache.
const FAR_APART: usize = 512;
/// Lines of one set of a first cache: more rows than these at a time take each other's place.
const WAYS: usize = 8;

/// How a product goes over its patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Along {
    /// A few rows at a time, from the first tap to the last.
    Rows,
    /// A few taps at a time, from the first row to the last.
    Columns,
}

impl Along {
    /// Whether the picture itself will do where it is the patch matrix; else its rows are copied
    /// closer together.
    fn in_place(self, shape: &ConvShape) -> bool {
        shape.inputs < FAR_APART || (self == Self::Rows && tile_height() <= WAYS)
    }
}

/// Calls `use_them` with the patch matrix `[rows, taps]` of these rows and taps.
pub(super) fn with_patches<R>(
    shape: &ConvShape,
    x: &[f32],
    rows: Range<usize>,
    taps: Range<usize>,
    along: Along,
    use_them: impl FnOnce(&Left) -> R,
) -> R {
    if shape.is_product() && along.in_place(shape) {
        let x = &x[rows.start * shape.inputs + taps.start..];
        return use_them(&Left::rows(x, rows.len(), taps.len(), shape.inputs));
    }
    let stride = apart(taps.len());
    with_scratch(rows.len() * stride, |patches| {
        copy_patches(shape, x, rows.start, &taps, patches, stride);
        use_them(&Left::rows(patches, rows.len(), taps.len(), stride))
    })
}

/// Fills `patches`, rows of `taps` values every `stride`, with the rows from `first_row` on.
fn copy_patches(
    shape: &ConvShape,
    x: &[f32],
    first_row: usize,
    taps: &Range<usize>,
    patches: &mut [f32],
    stride: usize,
) {
    let whole = *taps == (0..shape.taps());
    for (row, patch) in patches.chunks_exact_mut(stride).enumerate() {
        let corner = Corner::of_row(shape, first_row + row);
        if let (true, Some(source)) = (whole, corner.inside(shape)) {
            let run = shape.kernel * shape.inputs;
            for (kernel_row, patch) in patch[..shape.taps()].chunks_exact_mut(run).enumerate() {
                let source = source + kernel_row * shape.width * shape.inputs;
                copy_values(&x[source..source + run], patch);
            }
            continue;
        }
        for kernel_row in 0..shape.kernel {
            copy_run(&corner.run(shape, kernel_row), x, taps, patch);
        }
    }
}

/// Copies the part of a run that lies in `taps` to its place in `patch`.
fn copy_run(run: &Run, x: &[f32], taps: &Range<usize>, patch: &mut [f32]) {
    let all = clip(&run.taps, taps);
    if all.is_empty() {
        return;
    }
    let inside = clip(&run.inside, &all);
    let place = |range: Range<usize>| range.start - taps.start..range.end - taps.start;
    if inside.is_empty() {
        patch[place(all)].fill(0.0);
        return;
    }
    let source = run.source + inside.start - run.inside.start;
    patch[place(all.start..inside.start)].fill(0.0);
    copy_values(&x[source..source + inside.len()], &mut patch[place(inside.clone())]);
    patch[place(inside.end..all.end)].fill(0.0);
}

/// Copies slices of equal length; those of 16 to 32 values, as a row of the first layer's kernel has
/// them, as two vectors that overlap, without a call.
#[inline(always)]
fn copy_values(from: &[f32], to: &mut [f32]) {
    if let (16..=32, Some(first), Some(last)) =
        (from.len(), from.first_chunk::<16>(), from.last_chunk::<16>())
        && to.len() == from.len()
    {
        to[..16].copy_from_slice(first);
        let rest = to.len() - 16;
        to[rest..].copy_from_slice(last);
    } else {
        to.copy_from_slice(from);
    }
}

/// The part of `range` that lies in `limits`; an empty range lies at one of the ends.
fn clip(range: &Range<usize>, limits: &Range<usize>) -> Range<usize> {
    let start = range.start.clamp(limits.start, limits.end.max(limits.start));
    start..range.end.clamp(start, limits.end.max(start))
}

multiversion! {
    /// Adds `patches` `[rows, taps]` onto the pictures they were cut from.
    pub(super) fn add_patches(
        shape: ConvShape,
        rows: Range<usize>,
        patches: &[f32],
        pictures: &mut [f32],
    ) {
        for (row, patch) in rows.zip(patches.chunks_exact(shape.taps())) {
            let corner = Corner::of_row(&shape, row);
            for kernel_row in 0..shape.kernel {
                let run = corner.run(&shape, kernel_row);
                let target = &mut pictures[run.source..run.source + run.inside.len()];
                for (to, &from) in target.iter_mut().zip(&patch[run.inside]) {
                    *to += from;
                }
            }
        }
    }
}
