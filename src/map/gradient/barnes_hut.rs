//! The push of all points from a tree: cells that look small from a point push as one (Barnes & Hut
//! 1986; for t-SNE van der Maaten 2014).
//!
//! Points are sorted along a Z-order curve, so that a cell is a range of them and the tree is a list
//! of ranges. The mesh is faster at every size here; the tree is kept for maps with outliers so far
//! away that a mesh would be too wide, and because it is what people compare with.

use rayon::prelude::*;

use super::Repulsion;

/// Points that are not worth another cell.
const LEAF: usize = 8;
/// Bits of a coordinate along the curve.
const BITS: u32 = 16;

/// The push from a tree of cells.
#[derive(Debug)]
pub struct BarnesHut {
    theta: f32,
}

impl Default for BarnesHut {
    fn default() -> Self {
        Self::with_theta(0.5)
    }
}

impl BarnesHut {
    /// A cell pushes as one when its side is below `theta` times its distance: 0 is exact, 0.5 usual,
    /// above 1 coarse.
    pub fn with_theta(theta: f32) -> Self {
        Self { theta }
    }
}

impl Repulsion for BarnesHut {
    fn push(&mut self, positions: &[[f32; 2]], pushes: &mut [[f32; 2]]) -> f64 {
        let tree = Tree::over(positions);
        // Neighbours on the curve walk the same cells, so tasks are runs of the curve.
        let sums: Vec<(Vec<[f32; 2]>, f64)> = tree
            .order
            .par_chunks(256)
            .map(|points| {
                let mut total = 0.0;
                let push = |&point: &u32| {
                    let (push, sum) = tree.push(positions[point as usize], self.theta);
                    total += sum;
                    push
                };
                (points.iter().map(push).collect(), total)
            })
            .collect();
        let ordered = sums.iter().flat_map(|(pushes, _)| pushes);
        for (&point, push) in tree.order.iter().zip(ordered) {
            pushes[point as usize] = *push;
        }
        sums.iter().map(|(_, sum)| sum).sum()
    }
}

/// Cells over sorted points.
struct Tree {
    /// Numbers of the points along the curve.
    order: Vec<u32>,
    /// Positions along the curve.
    sorted: Vec<[f32; 2]>,
    /// The root first; a cell's parts stand together.
    cells: Vec<Cell>,
}

#[derive(Clone, Copy)]
struct Cell {
    middle: [f32; 2],
    count: f32,
    /// Side of the square in which its points lie.
    side: f32,
    /// Its points, along the curve.
    first: u32,
    end: u32,
    /// Its parts among the cells; none for a leaf.
    parts: (u32, u32),
}

impl Tree {
    fn over(positions: &[[f32; 2]]) -> Self {
        let (low, side) = square(positions);
        let scale = (1u32 << BITS) as f32 / side;
        let code = |position: [f32; 2]| {
            let [x, y] = [0, 1]
                .map(|axis| (((position[axis] - low[axis]) * scale) as u32).min((1 << BITS) - 1));
            spread_bits(x) | spread_bits(y) << 1
        };
        let mut coded: Vec<(u32, u32)> = positions
            .par_iter()
            .enumerate()
            .map(|(number, &position)| (code(position), number as u32))
            .collect();
        coded.par_sort_unstable();
        let order: Vec<u32> = coded.iter().map(|&(_, number)| number).collect();
        let sorted: Vec<[f32; 2]> =
            order.iter().map(|&number| positions[number as usize]).collect();
        let mut tree = Self { order, sorted, cells: Vec::new() };
        if !positions.is_empty() {
            tree.build(&coded, side);
        }
        tree
    }

    /// Splits cells, the widest first, until they are leaves.
    fn build(&mut self, coded: &[(u32, u32)], side: f32) {
        self.cells.push(self.cell(0, coded.len(), side));
        let mut levels = vec![0u32];
        let mut next = 0;
        while next < self.cells.len() {
            let (cell, level) = (self.cells[next], levels[next]);
            if (cell.end - cell.first) as usize > LEAF && level < BITS {
                let first_part = self.cells.len() as u32;
                for (first, end) in quarters(coded, cell, level) {
                    self.cells.push(self.cell(first, end, cell.side * 0.5));
                    levels.push(level + 1);
                }
                self.cells[next].parts = (first_part, self.cells.len() as u32);
            }
            next += 1;
        }
    }

    fn cell(&self, first: usize, end: usize, side: f32) -> Cell {
        let points = &self.sorted[first..end];
        let sum = points.iter().fold([0.0f64; 2], |sum, point| {
            [sum[0] + f64::from(point[0]), sum[1] + f64::from(point[1])]
        });
        let middle = sum.map(|sum| (sum / points.len() as f64) as f32);
        let (first, end) = (first as u32, end as u32);
        Cell { middle, count: points.len() as f32, side, first, end, parts: (0, 0) }
    }

    /// The push on a point of the tree, and its share of `Z`.
    fn push(&self, own: [f32; 2], theta: f32) -> ([f32; 2], f64) {
        let (mut push, mut sum) = ([0.0; 2], 0.0);
        let mut waiting = vec![0u32];
        while let Some(number) = waiting.pop() {
            let cell = &self.cells[number as usize];
            let [x, y] = [own[0] - cell.middle[0], own[1] - cell.middle[1]];
            let square = x * x + y * y;
            if cell.side * cell.side < theta * theta * square {
                let near = 1.0 / (1.0 + square);
                let strength = cell.count * near * near;
                push = [push[0] + strength * x, push[1] + strength * y];
                sum += f64::from(cell.count * near);
            } else if cell.parts.0 == cell.parts.1 {
                let points = &self.sorted[cell.first as usize..cell.end as usize];
                let (pair_push, pair_sum) = push_each(own, points);
                push = [push[0] + pair_push[0], push[1] + pair_push[1]];
                sum += f64::from(pair_sum);
            } else {
                waiting.extend(cell.parts.0..cell.parts.1);
            }
        }
        // A point does not push itself: it met itself at distance 0, with the sum 1.
        (push, sum - 1.0)
    }
}

/// The push of each of `others` on a point at `own`, and the sum of `1 / (1 + d^2)` over them.
fn push_each(own: [f32; 2], others: &[[f32; 2]]) -> ([f32; 2], f32) {
    let (mut push, mut sum) = ([0.0; 2], 0.0);
    for other in others {
        let [x, y] = [own[0] - other[0], own[1] - other[1]];
        let near = 1.0 / (1.0 + x * x + y * y);
        push = [push[0] + near * near * x, push[1] + near * near * y];
        sum += near;
    }
    (push, sum)
}

/// The square around all points: its low corner and its side.
fn square(positions: &[[f32; 2]]) -> ([f32; 2], f32) {
    let (mut low, mut high) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
    for position in positions {
        for axis in 0..2 {
            low[axis] = low[axis].min(position[axis]);
            high[axis] = high[axis].max(position[axis]);
        }
    }
    (low, (high[0] - low[0]).max(high[1] - low[1]).max(f32::MIN_POSITIVE))
}

/// The low 16 bits with a zero before each.
fn spread_bits(bits: u32) -> u32 {
    let mut bits = bits & 0xFFFF;
    for (shift, mask) in [(8, 0x00FF_00FF), (4, 0x0F0F_0F0F), (2, 0x3333_3333), (1, 0x5555_5555)] {
        bits = (bits | bits << shift) & mask;
    }
    bits
}

/// The non-empty quarters of a cell, as ranges of points.
fn quarters(coded: &[(u32, u32)], cell: Cell, level: u32) -> impl Iterator<Item = (usize, usize)> {
    let shift = 2 * (BITS - 1 - level);
    let (first, end) = (cell.first as usize, cell.end as usize);
    let points = &coded[first..end];
    let upto = move |quarter: u32| {
        first + points.partition_point(|&(code, _)| code >> shift & 3 < quarter)
    };
    (0..4).map(move |quarter| (upto(quarter), upto(quarter + 1))).filter(|(first, end)| first < end)
}
