//! Notices a run that has gone wrong and says what to try.

use super::loss::LossKind;

/// Steps in a row before a suspicion is spoken of.
const PATIENCE: usize = 500;

/// Watches for the collapse of an embedding: all pictures and texts in one point.
#[derive(Debug, Default)]
pub(super) struct Watch {
    suspicious: usize,
    warned: bool,
}

impl Watch {
    /// Takes note of a step; returns a warning the first time it is sure.
    ///
    /// `distance` is the mean squared distance of pairs that do not belong together, `resting` the
    /// loss of an embedding that tells nothing apart.
    pub(super) fn see(
        &mut self,
        kind: LossKind,
        loss: f32,
        distance: f32,
        resting: f32,
    ) -> Option<String> {
        let stuck = (loss - resting).abs() < 0.001 && distance < 0.01;
        self.suspicious = if stuck { self.suspicious + 1 } else { 0 };
        if self.suspicious < PATIENCE || self.warned {
            return None;
        }
        self.warned = true;
        let what = match kind {
            LossKind::Triplet => "the margin",
            LossKind::InfoNce | LossKind::Sigmoid => "the loss of guessing",
        };
        Some(format!(
            "the loss has stayed within 0.001 of {what} ({resting:.3}) for {PATIENCE} steps and \
             the mean cosine is {:.3}: the embedding has probably collapsed",
            1.0 - distance / 2.0
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collapse_is_spoken_of_once_and_only_after_its_patience() {
        let mut watch = Watch::default();
        let mut see = |loss, distance| watch.see(LossKind::Triplet, loss, distance, 0.4);
        assert!((0..499).all(|_| see(0.4, 0.001).is_none()));
        let warning = see(0.4, 0.001).unwrap();
        assert!(warning.contains("collapsed"), "{warning}");
        assert!((0..2000).all(|_| see(0.4, 0.001).is_none()));
    }

    #[test]
    fn a_loss_at_the_margin_with_spread_vectors_is_no_collapse() {
        let mut watch = Watch::default();
        assert!((0..2000).all(|_| watch.see(LossKind::Triplet, 0.4, 1.9, 0.4).is_none()));
    }
}
