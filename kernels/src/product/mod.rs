//! The matrix product (GEMM) under the convolutions, the recurrent layer and the search for
//! neighbours: a left matrix read where it lies, a right matrix packed into *panels* (packing),
//! and a loop that keeps a tile of the result in registers ([`micro_kernel`]).
//!
//! It is the only one. Convolutions and recurrent steps need what a product from elsewhere does not
//! offer: weights packed once for many products, patches made while they are multiplied, a bias and
//! an activation before a value leaves its register. The search for neighbours, which needs none of
//! these, loses nothing by it.
//!
//! A panel holds as many columns as two vector registers, one row of them after the other, so that
//! the innermost loop reads it in order. The left matrix needs no packing: its values are broadcast
//! one by one, and a cache line that holds sixteen of them is used sixteen times. What that needs
//! is that either the values of a row or those of a column lie next to each other.
//!
//! A tile of the result stays in registers for the whole depth: 12 rows by 32 columns with AVX-512,
//! 6 by 16 with AVX2 and NEON. On the processors measured this is the peak of the multiply-add
//! units (docs/performance.md).
//!
//! The order of a sum depends on the depth alone: neither the number of threads nor the cut into
//! blocks along rows and columns changes a byte.

mod micro_kernel;

use crate::cpu::lanes::{Lanes, on_lanes};
use crate::cpu::parallel::{piece_len, pieces, threads};
use crate::cpu::simd::{SimdLevel, simd_level};
use micro_kernel::{Tile, TileEpilogue, tile_rows, turn_square};
use rayon::prelude::*;
use std::marker::PhantomData;
use std::ops::Range;

/// Columns of a panel at the level in use.
pub(crate) fn panel_width() -> usize {
    match simd_level() {
        SimdLevel::Avx512 => 32,
        SimdLevel::Avx2 | SimdLevel::Neon | SimdLevel::Portable => 16,
    }
}

/// Rows of the largest tile of a result at the level in use.
pub(crate) fn tile_height() -> usize {
    rows_of_tile(simd_level())
}

on_lanes! {
    fn rows_of_tile<L>(_lanes,) -> usize {
        tile_rows::<L>()
    }
}

/// What happens to the old values of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Overwrite,
    Accumulate,
}

/// A left matrix `[rows, depth]`: value (r, k) is at `r * row_stride + k * depth_stride`, and one
/// of the strides is 1.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    values: &'a [f32],
    rows: usize,
    depth: usize,
    row_stride: usize,
    depth_stride: usize,
}

impl<'a> Left<'a> {
    /// Rows of `depth` values each, `stride` apart.
    pub(crate) fn rows(values: &'a [f32], rows: usize, depth: usize, stride: usize) -> Self {
        let left = Self { values, rows, depth, row_stride: stride, depth_stride: 1 };
        left.check();
        left
    }

    /// The transpose of `[depth, rows]` with rows `stride` apart.
    #[cfg(test)]
    pub(crate) fn columns(values: &'a [f32], rows: usize, depth: usize, stride: usize) -> Self {
        let left = Self { values, rows, depth, row_stride: 1, depth_stride: stride };
        left.check();
        left
    }

    /// The same values with rows and depths exchanged.
    pub(crate) fn transposed(&self) -> Self {
        Self {
            rows: self.depth,
            depth: self.rows,
            row_stride: self.depth_stride,
            depth_stride: self.row_stride,
            ..*self
        }
    }

    fn check(&self) {
        if self.rows > 0 && self.depth > 0 {
            let last = (self.rows - 1) * self.row_stride + (self.depth - 1) * self.depth_stride;
            assert!(last < self.values.len(), "a left matrix reaches beyond its values");
        }
    }
}

/// Values from one row to the next, or from one matrix to the next, for `len` values of each: an odd
/// number of cache lines. What is read or written together at distances that are powers of two
/// would take each other's place in the first cache.
pub(crate) fn apart(len: usize) -> usize {
    len.next_multiple_of(16) | 16
}

/// Values of the panels of a right matrix `[depth, columns]`.
pub(crate) fn panels_len(depth: usize, columns: usize) -> usize {
    depth * columns.next_multiple_of(panel_width())
}

/// A right matrix `[depth, columns]` in panels; columns beyond the last are zeros.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a> {
    values: &'a [f32],
    depth: usize,
    columns: usize,
    next: Option<&'a [f32]>,
}

impl<'a> Panels<'a> {
    /// What one of the `pack` functions filled.
    pub(crate) fn new(values: &'a [f32], depth: usize, columns: usize) -> Self {
        assert_eq!(values.len(), panels_len(depth, columns), "values of panels");
        Self { values, depth, columns, next: None }
    }

    /// The same, with the values which the product after this one begins with: they are asked for
    /// ahead. Without, or with none, this product's first panel is asked for again.
    pub(crate) fn then(self, next: Option<&'a [f32]>) -> Self {
        Self { next: next.filter(|next| !next.is_empty()), ..self }
    }
}

/// Rows that are packed into one panel before the next panel's turn: they are read along the rows
/// and written along the panels, a few pages of memory at a time.
const PACK_ROWS: usize = 16;

/// Packs a row-major matrix `[depth, columns]` whose rows are `stride` apart.
pub(crate) fn pack(from: &[f32], depth: usize, columns: usize, stride: usize, to: &mut [f32]) {
    assert_eq!(to.len(), panels_len(depth, columns), "values of panels");
    let width = panel_width();
    for rows in pieces(depth, PACK_ROWS) {
        for (number, start) in (0..columns).step_by(width).enumerate() {
            let count = width.min(columns - start);
            let panel = &mut to[number * depth * width..][..depth * width];
            for (row, to) in rows.clone().zip(panel[rows.start * width..].chunks_exact_mut(width)) {
                let from = &from[row * stride + start..][..count];
                if count == width {
                    copy_whole(from, to);
                } else {
                    to[..count].copy_from_slice(from);
                    to[count..].fill(0.0);
                }
            }
        }
    }
}

/// Copies a row of a panel; of a length known to the compiler, a copy needs no call.
#[inline(always)]
fn copy_whole(from: &[f32], to: &mut [f32]) {
    for (from, to) in from.as_chunks::<16>().0.iter().zip(to.as_chunks_mut::<16>().0) {
        *to = *from;
    }
}

/// [`pack`] of a whole matrix on all threads.
pub(crate) fn pack_on_all(from: &[f32], depth: usize, columns: usize, to: &mut [f32]) {
    assert_eq!(from.len(), depth * columns, "values of a {depth} x {columns} matrix");
    pack_part_on_all(from, depth, columns, columns, to);
}

/// [`pack`] on all threads.
pub(crate) fn pack_part_on_all(
    from: &[f32],
    depth: usize,
    columns: usize,
    stride: usize,
    to: &mut [f32],
) {
    in_shares(depth, columns, to, |share, to| {
        pack(&from[share.start.min(from.len())..], depth, share.len(), stride, to);
    });
}

/// Packs the transpose of parts of `[columns, depth]`: `parts` matrices, each a row-major
/// `[columns, part depth]`, become `[parts * part depth, columns]`, on all threads.
pub(crate) fn pack_transposed(parts: &[&[f32]], part_depth: usize, columns: usize, to: &mut [f32]) {
    let depth = parts.len() * part_depth;
    let width = panel_width();
    assert!(parts.iter().all(|part| part.len() == part_depth * columns), "values of each part");
    in_shares(depth, columns, to, |share, to| {
        for (number, part) in parts.iter().enumerate() {
            for ks in pieces(part_depth, TRANSPOSE) {
                for (panel, start) in share.clone().step_by(width).enumerate() {
                    let first = (panel * depth + number * part_depth + ks.start) * width;
                    let to = &mut to[first..][..ks.len() * width];
                    let from = &part[start * part_depth..];
                    transpose_into(from, part_depth, ks.clone(), width.min(share.end - start), to);
                }
            }
        }
    });
}

/// Packs the transpose of part of a row-major matrix with rows `stride` apart into one panel: the
/// values `ks` of its first `count` rows.
pub(crate) fn pack_part_transposed(
    from: &[f32],
    stride: usize,
    ks: Range<usize>,
    count: usize,
    to: &mut [f32],
) {
    assert_eq!(to.len(), panels_len(ks.len(), panel_width()), "values of a panel");
    let start = ks.start;
    for ks in pieces(ks.len(), TRANSPOSE) {
        let to = &mut to[ks.start * panel_width()..][..ks.len() * panel_width()];
        transpose_into(from, stride, start + ks.start..start + ks.end, count, to);
    }
}

/// Packs the transpose of a row-major matrix `[columns, depth]`.
pub(crate) fn pack_rows(from: &[f32], depth: usize, columns: usize, to: &mut [f32]) {
    assert_eq!(from.len(), columns * depth, "values of a {columns} x {depth} matrix");
    assert_eq!(to.len(), panels_len(depth, columns), "values of panels");
    let width = panel_width();
    let panels = to.chunks_exact_mut((depth * width).max(1));
    for (start, panel) in (0..columns).step_by(width).zip(panels) {
        let count = width.min(columns - start);
        pack_part_transposed(&from[start * depth..], depth, 0..depth, count, panel);
    }
}

/// Gives each thread some of the panels of `to`: `task(columns, their panels)`.
fn in_shares(
    depth: usize,
    columns: usize,
    to: &mut [f32],
    task: impl Fn(Range<usize>, &mut [f32]) + Sync,
) {
    assert_eq!(to.len(), panels_len(depth, columns), "values of panels");
    if to.is_empty() {
        return;
    }
    let share = piece_len(columns, 2 * threads(), panel_width());
    to.par_chunks_mut(share * depth).enumerate().for_each(|(number, to)| {
        task(number * share..((number + 1) * share).min(columns), to);
    });
}

/// Depths that are transposed at a time: four cache lines of each row.
const TRANSPOSE: usize = 64;

/// Writes `count` rows of `from`, `stride` apart, as columns: value (row, k) of these `ks` comes to
/// row `k` of `to`, which is rows of a panel; the rest of a row is zeros.
fn transpose_into(from: &[f32], stride: usize, ks: Range<usize>, count: usize, to: &mut [f32]) {
    let width = panel_width();
    let whole = count / 8 * 8;
    for start in (0..whole).step_by(8) {
        let rows: [&[f32]; 8] =
            std::array::from_fn(|row| &from[(start + row) * stride..][ks.clone()]);
        transpose_eight(rows, &mut to[start..], width);
    }
    for (k, to) in ks.zip(to.chunks_exact_mut(width)) {
        for row in whole..count {
            to[row] = from[row * stride + k];
        }
        to[count..].fill(0.0);
    }
}

/// Writes eight rows of equal length as columns: value (row, k) to `to[k * width + row]`.
fn transpose_eight(rows: [&[f32]; 8], to: &mut [f32], width: usize) {
    let len = rows[0].len();
    assert!(rows.iter().all(|row| row.len() == len), "rows of equal length");
    let whole = len / 8 * 8;
    for k in (0..whole).step_by(8) {
        turn_square(rows.map(|row| &row[k..]), &mut to[k * width..], width);
    }
    for k in whole..len {
        for (to, row) in to[k * width..].iter_mut().zip(rows) {
            *to = row[k];
        }
    }
}

/// A rectangle of a row-major matrix that nobody else reads or writes.
pub(crate) struct Block<'a> {
    start: *mut f32,
    stride: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    lender: PhantomData<&'a mut [f32]>,
}

// SAFETY: a block is the only way to its values, as a `&mut [f32]` would be.
unsafe impl Send for Block<'_> {}

impl<'a> Block<'a> {
    /// All of `values` as `[rows, columns]` with rows `stride` apart.
    pub(crate) fn new(values: &'a mut [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(columns <= stride || rows <= 1, "rows of {columns} values every {stride}");
        let needed = if rows == 0 { 0 } else { (rows - 1) * stride + columns };
        assert!(values.len() >= needed, "a block reaches beyond its values");
        let start = values.as_mut_ptr();
        Self { start, stride, rows: 0..rows, columns: 0..columns, lender: PhantomData }
    }

    /// The same block, its rows counted from `first` on.
    pub(crate) fn at_row(&mut self, first: usize) -> &mut Self {
        self.rows = first..first + self.rows.len();
        self
    }

    /// Which rows of the matrix.
    pub(crate) fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// Which columns of the matrix.
    pub(crate) fn columns(&self) -> Range<usize> {
        self.columns.clone()
    }

    /// A part, by rows and columns counted from the block's first.
    pub(crate) fn part(&mut self, rows: Range<usize>, columns: Range<usize>) -> Block<'_> {
        let fits = rows.end <= self.rows.len() && columns.end <= self.columns.len();
        assert!(fits, "{rows:?} x {columns:?} of {:?} x {:?}", self.rows, self.columns);
        Block {
            // Stays inside the block, by the assertion; a part without rows is never read.
            start: self.start.wrapping_add(rows.start * self.stride + columns.start),
            stride: self.stride,
            rows: self.rows.start + rows.start..self.rows.start + rows.end,
            columns: self.columns.start + columns.start..self.columns.start + columns.end,
            lender: PhantomData,
        }
    }

    /// One row in `step`, from row `first` on. It counts its rows from 0, whatever they are in the
    /// matrix.
    pub(crate) fn every(&mut self, step: usize, first: usize) -> Block<'_> {
        assert!(step > 0 && first < self.rows.len(), "row {first} of {}", self.rows.len());
        Block {
            // The first row lies in the block, by the assertion, and so do those that follow.
            start: self.start.wrapping_add(first * self.stride),
            stride: step * self.stride,
            rows: 0..(self.rows.len() - first).div_ceil(step),
            columns: self.columns.clone(),
            lender: PhantomData,
        }
    }

    /// The values of row `row` of the block, counted from its first.
    pub(crate) fn row(&self, row: usize) -> &[f32] {
        assert!(row < self.rows.len(), "row {row} of {}", self.rows.len());
        // SAFETY: `new` and `grid` made sure that all rows lie in the lender's values.
        unsafe { std::slice::from_raw_parts(self.start.add(row * self.stride), self.columns.len()) }
    }

    /// [`Self::row`], to be changed.
    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [f32] {
        assert!(row < self.rows.len(), "row {row} of {}", self.rows.len());
        // SAFETY: `new` and `grid` made sure that all rows lie in the lender's values, and the
        // borrow of `self` is the only one.
        unsafe {
            std::slice::from_raw_parts_mut(self.start.add(row * self.stride), self.columns.len())
        }
    }
}

/// Cuts `out`, `[rows, columns]`, into blocks of `block_rows` by `block_columns` and runs `task`
/// on each, on all threads. Blocks are handed out one by one, so that a thread which is held up
/// leaves its own to the others.
pub(crate) fn grid(
    out: &mut [f32],
    columns: usize,
    block_rows: usize,
    block_columns: usize,
    task: impl Fn(Block) + Sync + Send,
) {
    if out.is_empty() {
        return;
    }
    assert!(out.len().is_multiple_of(columns), "{} values in rows of {columns}", out.len());
    let (block_rows, block_columns) = (block_rows.max(1), block_columns.clamp(1, columns));
    let across = columns.div_ceil(block_columns);
    let chunks = out.par_chunks_mut(block_rows * columns).enumerate().with_max_len(1);
    chunks.for_each(|(number, out)| {
        let first = number * block_rows;
        let rows = first..first + out.len() / columns;
        let origin = Origin(out.as_mut_ptr());
        let block = |number: usize| {
            let start = number * block_columns;
            let columns_here = start..(start + block_columns).min(columns);
            Block {
                // SAFETY: `start` is below `columns`, so this lies in the first row.
                start: unsafe { origin.get().add(start) },
                stride: columns,
                rows: rows.clone(),
                columns: columns_here,
                lender: PhantomData,
            }
        };
        // Blocks of one chunk share rows but no column.
        if across == 1 {
            task(block(0));
        } else {
            (0..across).into_par_iter().with_max_len(1).for_each(|number| task(block(number)));
        }
    });
}

/// A pointer that tasks share to make blocks of.
struct Origin(*mut f32);

impl Origin {
    fn get(&self) -> *mut f32 {
        self.0
    }
}

// SAFETY: only `grid` uses it, to give each task columns of its own.
unsafe impl Sync for Origin {}

/// What is done to the values of a result on their way out of the registers.
#[derive(Clone, Copy)]
pub(crate) struct Epilogue<'a> {
    /// Added to each column, one for each of the whole matrix.
    pub(crate) bias: &'a [f32],
    /// Then each value is brought within.
    pub(crate) limits: [f32; 2],
}

/// `out (+)= left * right[depths, columns]`: `left` `[rows, depth]` is as long as the range of
/// depths, `out` has its rows and as many columns as the range; the range of columns starts at a
/// panel.
///
/// # Panics
/// When sizes do not fit.
pub(crate) fn multiply(
    left: &Left,
    right: &Panels,
    depths: Range<usize>,
    columns: Range<usize>,
    out: &mut Block,
    write: Write,
) {
    multiply_then(left, right, depths, columns, out, write, None);
}

/// [`multiply`], and then the epilogue: `out` is a block of a matrix with as many columns as there
/// are biases.
///
/// # Panics
/// When sizes do not fit.
pub(crate) fn multiply_then(
    left: &Left,
    right: &Panels,
    depths: Range<usize>,
    columns: Range<usize>,
    out: &mut Block,
    write: Write,
    epilogue: Option<&Epilogue>,
) {
    assert_eq!(left.rows, out.rows.len(), "rows of left matrix and result");
    assert_eq!(left.depth, depths.len(), "depth of left and right matrix");
    assert!(
        depths.end <= right.depth && columns.end <= right.columns,
        "a part of the right matrix"
    );
    assert_eq!(columns.len(), out.columns.len(), "columns of right matrix and result");
    assert!(columns.start.is_multiple_of(panel_width()), "columns start at a panel");
    let biases = epilogue.map_or(out.columns.end, |epilogue| epilogue.bias.len());
    assert!(out.columns.end <= biases, "a bias for each column");
    run(simd_level(), Product { left, right, depths, columns, out, write, epilogue });
}

/// [`multiply_then`] with sizes that fit, for any vectors.
struct Product<'a, 'out> {
    left: &'a Left<'a>,
    right: &'a Panels<'a>,
    depths: Range<usize>,
    columns: Range<usize>,
    out: &'a mut Block<'out>,
    write: Write,
    epilogue: Option<&'a Epilogue<'a>>,
}

on_lanes! {
    fn run<L>(lanes, product: Product) {
        product.run(lanes);
    }
}

impl Product<'_, '_> {
    /// All panels, and for each all rows in tiles.
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { left, right, depths, columns, out, write, epilogue } = self;
        let width = 2 * L::COUNT;
        assert_eq!(width, panel_width(), "vectors of the level in use");
        // Tiles of nearly equal height: a last one of a row or two would wait for itself.
        let tiles = left.rows.div_ceil(tile_rows::<L>()).max(1);
        let (height, higher) = (left.rows / tiles, left.rows % tiles);
        // Each tile asks for its share of the next panel.
        let share = depths.len() * width / tiles;
        let panel_at = |first: usize| {
            let start = (first / width * right.depth + depths.start) * width;
            &right.values[start..start + depths.len() * width]
        };
        for first in columns.clone().step_by(width) {
            let panel = panel_at(first);
            let next = match right.next {
                _ if first + width < columns.end => panel_at(first + width),
                Some(next) => next,
                None => panel_at(columns.start),
            };
            let count = width.min(columns.end - first);
            let column = first - columns.start;
            let mut end = 0;
            for tile in 0..tiles {
                let rows = end..end + height + usize::from(tile < higher);
                end = rows.end;
                let at = rows.start * out.stride + column;
                let finish =
                    epilogue.map(|epilogue| TileEpilogue::of(epilogue, out.columns.start + column));
                let tile = Tile {
                    rows: rows.len(),
                    depth: depths.len(),
                    a: left.values.as_ptr().wrapping_add(rows.start * left.row_stride),
                    strides: (left.row_stride, left.depth_stride),
                    b: panel.as_ptr(),
                    c: out.start.wrapping_add(at),
                    c_stride: out.stride,
                    count,
                    accumulate: write == Write::Accumulate,
                    finish,
                    ahead: next.as_ptr().wrapping_add(tile * share),
                    ahead_step: (4 * width).div_ceil(tiles),
                };
                // SAFETY: `rows` lies in `left` and in `out`, whose sizes `multiply_then` and their
                // constructors check, as it does the biases; `panel` is `depths.len()` rows of two
                // vectors; `count` columns from `first` on lie in `out`.
                unsafe { tile.run(lanes) }
            }
        }
    }
}

#[cfg(test)]
mod tests;
