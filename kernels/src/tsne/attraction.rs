//! The attraction in a t-SNE map (the attractive forces of its gradient): every pair of neighbours
//! is held together by a spring.
//!
//! A step of the map visits every spring, and there are a hundred a point: from some ten thousand
//! points on, this is bound by how many bytes a spring takes. So a spring to a point whose number
//! is near takes four bytes, a distance in numbers and a weight of 16 bits; only one to a point
//! further away than 32,767 takes six. Number the points so that neighbours have near numbers.
//!
//! A weight keeps the exponent and eight binary digits of its `f32`: it is off by at most 0.2 %,
//! to either side.

use crate::cpu::exp::ln;
use crate::cpu::simd::{SimdLevel, multiversion, simd_level};
use rayon::prelude::*;

/// Springs that are computed together; lists are filled up to whole groups with springs of weight
/// 0 from a point to itself.
const LANES: usize = 8;
/// Points of a task.
const TASK_POINTS: usize = 256;

/// The springs of `count` points.
#[derive(Debug, Default)]
pub struct Springs {
    count: usize,
    pieces: Vec<SpringPiece>,
}

/// The springs of consecutive points.
#[derive(Debug, Default)]
pub struct SpringPiece {
    first: usize,
    /// Where the near springs of each point begin, and the end.
    near_starts: Vec<u32>,
    near: Vec<NearSprings>,
    far_starts: Vec<u32>,
    far: Vec<u32>,
    far_weights: Vec<u16>,
    /// One above the greatest number of a point.
    end: usize,
}

/// Eight springs to points with near numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
struct NearSprings {
    steps: [i16; LANES],
    weights: [u16; LANES],
}

/// `weight` in 16 bits; it must not be negative.
fn pack(weight: f32) -> u16 {
    ((weight.to_bits() + (1 << 14)) >> 15) as u16
}

#[inline(always)]
fn unpack(weight: u16) -> f32 {
    f32::from_bits(u32::from(weight) << 15)
}

impl SpringPiece {
    /// No springs yet; the next point has the number `first`.
    pub fn starting_at(first: usize) -> Self {
        Self { first, near_starts: vec![0], far_starts: vec![0], end: first, ..Self::default() }
    }

    /// Adds the springs of the next point: the `others` that it is held to, and how strongly.
    ///
    /// # Panics
    /// When the lengths differ, or a weight is negative or not finite.
    pub fn push(&mut self, others: &[u32], weights: &[f32]) {
        assert_eq!(others.len(), weights.len(), "points and weights");
        let own = self.first + self.near_starts.len() - 1;
        let empty = NearSprings { steps: [0; LANES], weights: [0; LANES] };
        let (mut group, mut filled) = (empty, 0);
        for (&other, &weight) in others.iter().zip(weights) {
            assert!(weight >= 0.0 && weight.is_finite(), "a spring of weight {weight}");
            self.end = self.end.max(other as usize + 1);
            if let Ok(step) = i16::try_from(i64::from(other) - own as i64) {
                (group.steps[filled], group.weights[filled]) = (step, pack(weight));
                filled += 1;
            } else {
                self.far.push(other);
                self.far_weights.push(pack(weight));
            }
            if filled == LANES {
                self.near.push(std::mem::replace(&mut group, empty));
                filled = 0;
            }
        }
        if filled > 0 {
            self.near.push(group);
        }
        self.near_starts.push(self.near.len() as u32);
        self.far_starts.push(self.far.len() as u32);
        self.end = self.end.max(own + 1);
    }

    fn len(&self) -> usize {
        self.near_starts.len() - 1
    }

    /// The springs of the point number `at` of this piece: others and weights.
    fn springs(&self, at: usize) -> impl Iterator<Item = (usize, f32)> {
        let own = self.first + at;
        let near = self.near(at).iter().flat_map(move |group| {
            let steps = group.steps.iter().map(move |&step| own.wrapping_add_signed(step.into()));
            steps.zip(group.weights.map(unpack))
        });
        let range = self.far_starts[at] as usize..self.far_starts[at + 1] as usize;
        let others = self.far[range.clone()].iter().map(|&other| other as usize);
        let far = others.zip(self.far_weights[range].iter().map(|&weight| unpack(weight)));
        near.chain(far).filter(|&(_, weight)| weight > 0.0)
    }

    #[inline(always)]
    fn near(&self, at: usize) -> &[NearSprings] {
        &self.near[self.near_starts[at] as usize..self.near_starts[at + 1] as usize]
    }
}

impl Springs {
    /// The springs of all points, from pieces in order. A spring must be in the lists of both its
    /// ends.
    ///
    /// # Panics
    /// When the pieces do not follow each other, or a spring leads to a point that is in none.
    pub fn new(pieces: Vec<SpringPiece>) -> Self {
        let mut count = 0;
        for piece in &pieces {
            assert_eq!(piece.first, count, "first point of a piece");
            count += piece.len();
        }
        let end = pieces.iter().map(|piece| piece.end).max().unwrap_or(0);
        assert!(end <= count, "a spring leads to point {} of {count}", end.max(1) - 1);
        Self { count, pieces }
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no point.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Springs to near and to far numbers; those that fill up a group are counted.
    pub fn counts(&self) -> (usize, usize) {
        let near = self.pieces.iter().map(|piece| piece.near.len() * LANES).sum();
        (near, self.pieces.iter().map(|piece| piece.far.len()).sum())
    }

    /// The springs of point `number`: the other end and the weight, as it was packed.
    ///
    /// # Panics
    /// When there is no such point.
    pub fn of(&self, number: usize) -> impl Iterator<Item = (usize, f32)> {
        let after = self.pieces.partition_point(|piece| piece.first <= number);
        let piece = &self.pieces[after - 1];
        piece.springs(number - piece.first)
    }

    /// The pull on each point `i`: the sum of `w (y_i - y_j) / (1 + |y_i - y_j|^2)` over its
    /// springs.
    ///
    /// # Panics
    /// When there are not as many positions or forces as points.
    pub fn pull(&self, positions: &[[f32; 2]], forces: &mut [[f32; 2]]) {
        assert_eq!(positions.len(), self.count, "positions of the points");
        assert_eq!(forces.len(), self.count, "forces on the points");
        let level = simd_level();
        self.shares(forces).into_par_iter().for_each(|(piece, first, forces)| {
            pull(level, piece, first, positions, forces);
        });
    }

    /// Values of all points cut into those of a task each, with the piece and the place in it.
    fn shares<'a, T>(
        &'a self,
        mut values: &'a mut [T],
    ) -> Vec<(&'a SpringPiece, usize, &'a mut [T])> {
        let mut shares = Vec::with_capacity(self.count / TASK_POINTS + self.pieces.len());
        for piece in &self.pieces {
            let (own, rest) = values.split_at_mut(piece.len());
            values = rest;
            let tasks = own.chunks_mut(TASK_POINTS).enumerate();
            shares.extend(tasks.map(|(task, own)| (piece, task * TASK_POINTS, own)));
        }
        shares
    }

    /// The Kullback-Leibler divergence of the map from the weights: the sum of
    /// `w ln(w z (1 + |y_i - y_j|^2))`, where `z` is the sum of `1 / (1 + |y_i - y_j|^2)` over all
    /// ordered pairs. The weights should sum to 1.
    ///
    /// # Panics
    /// When there are not as many positions as points.
    pub fn divergence(&self, positions: &[[f32; 2]], z: f64) -> f64 {
        assert_eq!(positions.len(), self.count, "positions of the points");
        let log_z = z.ln();
        let mut sums = vec![[0.0f32; 2]; self.count];
        self.shares(&mut sums).into_par_iter().for_each(|(piece, first, sums)| {
            divergences(piece, first, positions, sums);
        });
        let total = |which: usize| sums.iter().map(|sum| f64::from(sum[which])).sum::<f64>();
        total(0) + log_z * total(1)
    }
}

multiversion! {
    /// For consecutive points, the sums of `w ln(w (1 + d^2))` and of `w`.
    fn divergences(piece: &SpringPiece, first: usize, positions: &[[f32; 2]], sums: &mut [[f32; 2]]) {
        for (at, sum) in (first..).zip(sums) {
            let number = piece.first + at;
            let own = positions[number];
            let mut lanes = [[0.0f32; LANES]; 2];
            for group in piece.near(at) {
                let mut others = [own; LANES];
                for lane in 0..LANES {
                    others[lane] = positions[number.wrapping_add_signed(group.steps[lane].into())];
                }
                for lane in 0..LANES {
                    let weight = unpack(group.weights[lane]);
                    let [term, weight] = divergence(own, others[lane], weight);
                    lanes[0][lane] += term;
                    lanes[1][lane] += weight;
                }
            }
            let range = piece.far_starts[at] as usize..piece.far_starts[at + 1] as usize;
            for place in range {
                let other = positions[piece.far[place] as usize];
                let [term, weight] = divergence(own, other, unpack(piece.far_weights[place]));
                lanes[0][0] += term;
                lanes[1][0] += weight;
            }
            *sum = [lanes[0].iter().sum(), lanes[1].iter().sum()];
        }
    }
}

/// A spring's terms; none for a weight of 0.
#[inline(always)]
fn divergence(own: [f32; 2], other: [f32; 2], weight: f32) -> [f32; 2] {
    let (x, y) = (own[0] - other[0], own[1] - other[1]);
    let log = ln(if weight > 1e-30 { weight } else { 1e-30 }) + ln(1.0 + (x * x + y * y));
    [weight * log, weight]
}

/// The pull on consecutive points of a piece, the first of which is its point number `first`.
fn pull(
    level: SimdLevel,
    piece: &SpringPiece,
    first: usize,
    positions: &[[f32; 2]],
    forces: &mut [[f32; 2]],
) {
    match level {
        #[cfg(target_arch = "x86_64")]
        SimdLevel::Avx512 | SimdLevel::Avx2 if level.is_available() => {
            // SAFETY: the processor has the features.
            unsafe { avx2::pull(piece, first, positions, forces) }
        }
        _ => pull_portable(piece, first, positions, forces),
    }
}

fn pull_portable(
    piece: &SpringPiece,
    first: usize,
    positions: &[[f32; 2]],
    forces: &mut [[f32; 2]],
) {
    for (at, force) in (first..).zip(forces) {
        let number = piece.first + at;
        let mut sums = [[0.0; LANES]; 2];
        for group in piece.near(at) {
            let mut others = [[0.0; 2]; LANES];
            for (other, step) in others.iter_mut().zip(group.steps) {
                *other = positions[number.wrapping_add_signed(step.into())];
            }
            add_group(positions[number], &others, group.weights.map(unpack), &mut sums);
        }
        let near = sums.map(|lanes| lanes.iter().sum());
        *force = add(near, pull_far(piece, at, positions));
    }
}

#[inline(always)]
fn add_group(
    own: [f32; 2],
    others: &[[f32; 2]; LANES],
    weights: [f32; LANES],
    sums: &mut [[f32; LANES]; 2],
) {
    for lane in 0..LANES {
        let [x, y] = [own[0] - others[lane][0], own[1] - others[lane][1]];
        let strength = weights[lane] / (1.0 + x * x + y * y);
        sums[0][lane] += strength * x;
        sums[1][lane] += strength * y;
    }
}

#[inline(always)]
fn add(a: [f32; 2], b: [f32; 2]) -> [f32; 2] {
    [a[0] + b[0], a[1] + b[1]]
}

/// The pull of the springs to far numbers.
#[inline(always)]
fn pull_far(piece: &SpringPiece, at: usize, positions: &[[f32; 2]]) -> [f32; 2] {
    let range = piece.far_starts[at] as usize..piece.far_starts[at + 1] as usize;
    let own = positions[piece.first + at];
    let mut sum = [0.0; 2];
    for (&other, &weight) in piece.far[range.clone()].iter().zip(&piece.far_weights[range]) {
        let other = positions[other as usize];
        let [x, y] = [own[0] - other[0], own[1] - other[1]];
        let strength = unpack(weight) / (1.0 + x * x + y * y);
        sum = add(sum, [strength * x, strength * y]);
    }
    sum
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    //! Eight springs at a time; what costs is fetching eight positions, not the arithmetic.

    use super::{LANES, NearSprings, SpringPiece, add, pull_far};
    use std::arch::x86_64 as arch;

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn pull(
        piece: &SpringPiece,
        first: usize,
        positions: &[[f32; 2]],
        forces: &mut [[f32; 2]],
    ) {
        assert!(positions.len() >= piece.end, "{} positions", positions.len());
        for (at, force) in (first..).zip(forces) {
            // SAFETY: `SpringPiece::push` raised `end` above this point and above every other end of its
            // springs, and there are at least `end` positions.
            let near = unsafe { pull_near(positions, piece.first + at, piece.near(at)) };
            *force = add(near, pull_far(piece, at, positions));
        }
    }

    /// # Safety
    /// `own` and every number that a step of `groups` leads to are numbers of positions.
    #[expect(clippy::cast_ptr_alignment, reason = "pairs are read as wherever they lie")]
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn pull_near(positions: &[[f32; 2]], own: usize, groups: &[NearSprings]) -> [f32; 2] {
        // SAFETY: by the caller's promise, all addresses are those of positions; a group's arrays
        // have eight values of 16 bits each.
        unsafe {
            let base = positions.as_ptr().add(own);
            let [x, y] = *base;
            let (x, y) = (arch::_mm256_set1_ps(x), arch::_mm256_set1_ps(y));
            let one = arch::_mm256_set1_ps(1.0);
            let (mut sum_x, mut sum_y) = (arch::_mm256_setzero_ps(), arch::_mm256_setzero_ps());
            for group in groups {
                let at = |lane: usize| base.offset(group.steps[lane] as isize).cast::<f64>();
                let pair = |a: usize, b: usize| {
                    let (a, b) = (at(a).read_unaligned(), at(b).read_unaligned());
                    arch::_mm_castpd_ps(arch::_mm_set_pd(b, a))
                };
                let join = |low, high| {
                    arch::_mm256_insertf128_ps::<1>(arch::_mm256_castps128_ps256(low), high)
                };
                let even = join(pair(0, 1), pair(4, 5));
                let odd = join(pair(2, 3), pair(6, 7));
                let dx = arch::_mm256_sub_ps(x, arch::_mm256_shuffle_ps::<0x88>(even, odd));
                let dy = arch::_mm256_sub_ps(y, arch::_mm256_shuffle_ps::<0xDD>(even, odd));
                let packed = arch::_mm_loadu_si128(group.weights.as_ptr().cast());
                let weights = arch::_mm256_slli_epi32::<15>(arch::_mm256_cvtepu16_epi32(packed));
                let square = arch::_mm256_fmadd_ps(dx, dx, arch::_mm256_fmadd_ps(dy, dy, one));
                let strength = arch::_mm256_div_ps(arch::_mm256_castsi256_ps(weights), square);
                sum_x = arch::_mm256_fmadd_ps(strength, dx, sum_x);
                sum_y = arch::_mm256_fmadd_ps(strength, dy, sum_y);
            }
            [sum(sum_x), sum(sum_y)]
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn sum(vector: arch::__m256) -> f32 {
        let mut lanes = [0.0; LANES];
        // SAFETY: there is room for eight values.
        unsafe { arch::_mm256_storeu_ps(lanes.as_mut_ptr(), vector) };
        let [a, b, c, d, e, f, g, h] = lanes;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}

#[cfg(test)]
mod tests;
