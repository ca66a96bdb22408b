//! Memory that is used again (a buffer pool): a training step needs the same lengths as the one
//! before.
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
struct BufferPool {
    /// The longest unused first.
    unused: VecDeque<Vec<f32>>,
    values: usize,
    /// What was never taken from here is freed, not kept.
    lent: BTreeMap<usize, usize>,
}

impl BufferPool {
    /// A vector of `len` values or up to `most`, the smallest and newest that lies unused.
    fn take(&mut self, len: usize, most: usize) -> Option<Vec<f32>> {
        let fitting = self.unused.iter().enumerate().rev();
        let fitting = fitting.filter(|(_, values)| (len..=most).contains(&values.len()));
        let found = fitting.min_by_key(|(_, values)| values.len()).map(|(at, _)| at);
        let values = found.and_then(|at| self.unused.remove(at));
        self.values -= values.as_ref().map_or(0, Vec::len);
        *self.lent.entry(values.as_ref().map_or(len, Vec::len)).or_default() += 1;
        values
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

fn pool() -> MutexGuard<'static, BufferPool> {
    static POOL: Mutex<BufferPool> =
        Mutex::new(BufferPool { unused: VecDeque::new(), values: 0, lent: BTreeMap::new() });
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A vector of `len` values that hold whatever the last user left.
pub(crate) fn take(len: usize) -> Vec<f32> {
    let values = pool().take(len, len);
    values.unwrap_or_else(|| vec![0.0; len])
}

/// Gives a vector back for the next buffer of its length; one that did not come from here is freed.
pub fn give(values: Vec<f32>) {
    // Freed after the lock: it can take the system a while.
    let freed = pool().give(values);
    drop(freed);
}

/// Values that are given back when they are dropped; their memory may be up to twice as long, so
/// that lengths which are nearly the same, as those of texts, use it in turn.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    values: Vec<f32>,
    len: usize,
}

impl Buffer {
    /// `len` values that hold whatever the last user left.
    pub(crate) fn new(len: usize) -> Self {
        let values = pool().take(len, 2 * len);
        Self { values: values.unwrap_or_else(|| vec![0.0; len]), len }
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        give(std::mem::take(&mut self.values));
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.len]
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
        let mut pool = BufferPool::default();
        let half = MOST_VALUES / 2 + 1;
        for len in [half, half + 1, half] {
            let values = pool.take(len, len).unwrap_or_else(|| vec![0.0; len]);
            let freed = pool.give(values);
            assert!(pool.values <= MOST_VALUES && pool.unused.len() == 1);
            assert!(freed.iter().all(|freed| freed.len() != len), "the newest stays");
        }
    }

    #[test]
    fn a_buffer_comes_back_when_it_is_dropped() {
        // Lengths far from those of other tests.
        Buffer::new(7_654_321)[7] = 2.0;
        let shorter = Buffer::new(7_000_000);
        assert_eq!((shorter.len(), shorter[7].to_bits()), (7_000_000, 2.0f32.to_bits()));
    }

    #[test]
    fn two_users_at_a_time_have_buffers_of_their_own() {
        for len in [0, 1, 1000] {
            let (mut first, mut second) = (Buffer::new(len), Buffer::new(len));
            first.fill(1.0);
            second.fill(2.0);
            let third = first.clone();
            first.fill(3.0);
            assert_eq!((&*first, &*second), (vec![3.0; len].as_slice(), vec![2.0; len].as_slice()));
            assert_eq!(&*third, vec![1.0; len]);
        }
    }
}
