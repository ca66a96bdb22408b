//! Memory that is used again: a training step needs the same lengths as the one before.
//!
//! Fresh memory of a megabyte or more comes from the operating system page by page, zeroed; for the
//! activations of a step that took a tenth of its time. Buffers of the same length change hands
//! here instead. When too much lies unused, what has lain longest is freed: a validation with other
//! sizes takes no place from the steps after it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Values that may lie here unused: 1 GB.
const MOST_VALUES: usize = 1 << 28;

/// Unused vectors, and how many of each length are out.
#[derive(Default)]
struct Kept {
    /// The longest unused first.
    unused: VecDeque<Vec<f32>>,
    values: usize,
    /// What was never taken from here is freed, not kept.
    lent: BTreeMap<usize, usize>,
}

impl Kept {
    fn take(&mut self, len: usize) -> Option<Vec<f32>> {
        *self.lent.entry(len).or_default() += 1;
        let at = self.unused.iter().rposition(|values| values.len() == len)?;
        self.values -= len;
        self.unused.remove(at)
    }

    /// Keeps `values` if their length is lent; gives back what has no place any more.
    fn give(&mut self, values: Vec<f32>) -> Vec<Vec<f32>> {
        match self.lent.get_mut(&values.len()) {
            Some(lent) if *lent > 0 => *lent -= 1,
            _ => return vec![values],
        }
        self.values += values.len();
        self.unused.push_back(values);
        let mut freed = Vec::new();
        while self.values > MOST_VALUES {
            let Some(oldest) = self.unused.pop_front() else { break };
            self.values -= oldest.len();
            freed.push(oldest);
        }
        freed
    }
}

fn kept() -> MutexGuard<'static, Kept> {
    static KEPT: Mutex<Kept> =
        Mutex::new(Kept { unused: VecDeque::new(), values: 0, lent: BTreeMap::new() });
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A vector of `len` values that hold whatever the last user left.
pub fn take(len: usize) -> Vec<f32> {
    let values = kept().take(len);
    values.unwrap_or_else(|| vec![0.0; len])
}

/// Gives a vector back for the next [`take`] of its length; one that was not taken is freed.
pub fn give(values: Vec<f32>) {
    // Freed after the lock: it can take the system a while.
    let freed = kept().give(values);
    drop(freed);
}

/// A vector that is given back when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Buffer(Vec<f32>);

impl Buffer {
    /// [`take`]n values.
    pub(crate) fn new(len: usize) -> Self {
        Self(take(len))
    }

    /// The vector, which nobody gives back.
    pub(crate) fn into_vec(mut self) -> Vec<f32> {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        give(std::mem::take(&mut self.0));
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_taken_again() {
        // A length that no other test uses.
        let mut values = take(12_347);
        values[5] = 3.0;
        give(values);
        assert_eq!(take(12_347)[5].to_bits(), 3.0f32.to_bits());
        assert_eq!(take(12_347), vec![0.0; 12_347]);
        give(vec![1.0; 12_351]);
        assert_eq!(take(12_351), vec![0.0; 12_351], "what was not taken is not kept");
    }

    #[test]
    fn what_has_lain_longest_makes_room() {
        let mut kept = Kept::default();
        let half = MOST_VALUES / 2 + 1;
        for len in [half, half + 1, half] {
            let values = kept.take(len).unwrap_or_else(|| vec![0.0; len]);
            let freed = kept.give(values);
            assert!(kept.values <= MOST_VALUES && kept.unused.len() == 1);
            assert!(freed.iter().all(|freed| freed.len() != len), "the newest stays");
        }
    }

    #[test]
    fn a_buffer_comes_back_when_it_is_dropped() {
        Buffer::new(12_349)[7] = 2.0;
        assert_eq!(Buffer::new(12_349)[7].to_bits(), 2.0f32.to_bits());
    }
}
