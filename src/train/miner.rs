//! Which negative an anchor is shown.

use serde::{Deserialize, Serialize};

/// How a triplet's negative is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Miner {
    /// Any text of the catalogue but the anchor's own.
    Random,
    /// The closest text of the batch that is farther than the anchor's own (Schroff et al., 2015);
    /// the farthest of all when there is none.
    SemiHard,
    /// The closest text of the batch that is not the anchor's own.
    Hard,
    /// The closest of the batch for pictures and for texts as anchors (VSE++; Faghri et al., 2018),
    /// after a warm-up in which all count.
    Hardest,
}

/// The negative of each anchor among the texts of its batch.
///
/// `similarity [n, n]` holds cosines of picture i and text j, `truth [n, n]` whether text j is true
/// of picture i and so no negative of it. An anchor without any negative gets itself, which makes its
/// triplet worth the margin and its gradient nothing.
pub(super) fn choose(miner: Miner, similarity: &[f32], truth: &[bool]) -> Vec<usize> {
    let n = truth.len().isqrt();
    (0..n)
        .map(|anchor| {
            let row = &similarity[anchor * n..][..n];
            let others = (0..n).filter(|&j| !truth[anchor * n + j]);
            let closest = |a: &usize, b: &usize| row[*a].total_cmp(&row[*b]);
            match miner {
                Miner::SemiHard => others
                    .clone()
                    .filter(|&j| row[j] < row[anchor])
                    .max_by(closest)
                    .or_else(|| others.min_by(closest)),
                Miner::Hard | Miner::Hardest | Miner::Random => others.max_by(closest),
            }
            .unwrap_or(anchor)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::truth::by_group;
    use super::*;

    #[test]
    fn hard_takes_the_closest_and_semi_hard_the_closest_beyond_the_positive() {
        // Anchor 0: own 0.5, others 0.9, 0.4, 0.1; text 1 belongs to the group of anchor 3.
        let mut similarity = vec![0.0; 16];
        similarity[..4].copy_from_slice(&[0.5, 0.9, 0.4, 0.1]);
        let groups = by_group(&[0, 1, 2, 1]);
        assert_eq!(choose(Miner::Hard, &similarity, &groups)[0], 1);
        assert_eq!(choose(Miner::SemiHard, &similarity, &groups)[0], 2);
    }

    #[test]
    fn a_text_of_the_same_group_is_never_a_negative() {
        let similarity = [0.1, 0.9, 0.3, 0.9, 0.1, 0.3, 0.9, 0.9, 0.1];
        let chosen = choose(Miner::Hard, &similarity, &by_group(&[7, 7, 8]));
        assert_eq!(chosen[..2], [2, 2]);
        assert_eq!(choose(Miner::Hard, &[1.0], &by_group(&[7])), [0]);
    }
}
