//! From neighbours to affinities: how strongly a map should hold two points together.

use looksee_kernels::tsne::attraction::{SpringPiece, Springs};
use looksee_kernels::tsne::perplexity::meet_perplexity;
use rayon::prelude::*;

use super::neighbours::Neighbours;

/// Points whose springs are put together at a time, if there are so many.
const PIECE: usize = 1 << 15;
/// The springs of fewer points are not worth a task.
const LEAST_PIECE: usize = 1 << 11;

/// The symmetric affinities `p_ij = (p_j|i + p_i|j) / 2n`, which sum to 1 (van der Maaten & Hinton
/// 2008, section 3.1). `p_j|i` is the Gaussian affinity of `i`'s neighbours with the given perplexity
/// (section 2), 0 beyond the neighbours (van der Maaten 2014, section 3).
///
/// The perplexity must be at least 1 and at most a third of the number of neighbours for the cut to
/// matter little.
pub fn affinities(neighbours: Neighbours, perplexity: f32) -> Springs {
    let Neighbours { count, numbers, squares: mut weights } = neighbours;
    if count == 0 {
        return Springs::default();
    }
    weights.par_chunks_mut(count).for_each(|row| meet_perplexity(row, perplexity));
    let points = numbers.len() / count;
    let directed = Directed { count, numbers: &numbers, weights: &weights };
    let piece = (points / (2 * rayon::current_num_threads())).clamp(LEAST_PIECE, PIECE);
    let firsts: Vec<usize> = (0..points).step_by(piece).collect();
    let pieces =
        firsts.into_par_iter().map(|first| directed.piece(first, (first + piece).min(points)));
    Springs::new(pieces.collect())
}

/// `p_j|i`, `[n, count]`.
struct Directed<'a> {
    count: usize,
    numbers: &'a [u32],
    weights: &'a [f32],
}

impl Directed<'_> {
    /// The springs of the points from `first` to before `end`.
    fn piece(&self, first: usize, end: usize) -> SpringPiece {
        let scale = 0.5 / (self.numbers.len() / self.count) as f32;
        let incoming = self.incoming(first, end);
        let mut piece = SpringPiece::starting_at(first);
        let mut own = Vec::with_capacity(self.count);
        let (mut others, mut weights) = (Vec::new(), Vec::new());
        for point in first..end {
            let places = point * self.count..(point + 1) * self.count;
            own.clear();
            own.extend(
                self.numbers[places.clone()]
                    .iter()
                    .copied()
                    .zip(self.weights[places].iter().copied()),
            );
            own.sort_unstable_by_key(|&(other, _)| other);
            others.clear();
            weights.clear();
            merge(&own, incoming.of(point - first), |other, weight| {
                others.push(other);
                weights.push(weight * scale);
            });
            piece.push(&others, &weights);
        }
        piece
    }

    /// What leads to the points from `first` to before `end`, by point, ascending by source.
    fn incoming(&self, first: usize, end: usize) -> Incoming {
        let mut starts = vec![0u32; end - first + 1];
        let mut found = Vec::with_capacity((end - first) * self.count);
        for (place, &other) in self.numbers.iter().enumerate() {
            let within = (other as usize).wrapping_sub(first);
            if within < end - first {
                starts[within + 1] += 1;
                found.push(place as u64);
            }
        }
        for at in 0..end - first {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut springs = vec![(0, 0.0); found.len()];
        for place in found {
            let place = place as usize;
            let next = &mut next[self.numbers[place] as usize - first];
            springs[*next as usize] = ((place / self.count) as u32, self.weights[place]);
            *next += 1;
        }
        Incoming { starts, springs }
    }
}

struct Incoming {
    starts: Vec<u32>,
    springs: Vec<(u32, f32)>,
}

impl Incoming {
    fn of(&self, point: usize) -> &[(u32, f32)] {
        &self.springs[self.starts[point] as usize..self.starts[point + 1] as usize]
    }
}

/// Two ascending lists as one; what is in both is added up.
fn merge(mut a: &[(u32, f32)], mut b: &[(u32, f32)], mut give: impl FnMut(u32, f32)) {
    while let (Some((&left, rest_a)), Some((&right, rest_b))) = (a.split_first(), b.split_first()) {
        if left.0 <= right.0 {
            a = rest_a;
        }
        if right.0 <= left.0 {
            b = rest_b;
        }
        match left.0.cmp(&right.0) {
            std::cmp::Ordering::Less => give(left.0, left.1),
            std::cmp::Ordering::Equal => give(left.0, left.1 + right.1),
            std::cmp::Ordering::Greater => give(right.0, right.1),
        }
    }
    a.iter().chain(b).for_each(|&(other, weight)| give(other, weight));
}

#[cfg(test)]
mod tests;
