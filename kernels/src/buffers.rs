//! Memory that is used again: a training step needs the same lengths as the one before.
//!
//! Fresh memory of a megabyte or more comes from the operating system page by page, zeroed; for the
//! activations of a step that took a tenth of its time. Buffers of the same length change hands
//! here instead.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Values that may lie here unused: 1 GB. What is given back beyond is freed.
const MOST_VALUES: usize = 1 << 28;

/// Unused vectors by their length.
#[derive(Default)]
struct Kept {
    by_length: HashMap<usize, Shelf>,
    values: usize,
}

/// The vectors of one length.
#[derive(Default)]
struct Shelf {
    unused: Vec<Vec<f32>>,
    /// How many are out. What was never taken from here is freed, not kept.
    lent: usize,
}

fn kept() -> MutexGuard<'static, Kept> {
    static KEPT: OnceLock<Mutex<Kept>> = OnceLock::new();
    KEPT.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// A vector of `len` values that hold whatever the last user left.
pub fn take(len: usize) -> Vec<f32> {
    let mut kept = kept();
    let shelf = kept.by_length.entry(len).or_default();
    shelf.lent += 1;
    let values = shelf.unused.pop();
    kept.values -= values.as_ref().map_or(0, Vec::len);
    drop(kept);
    values.unwrap_or_else(|| vec![0.0; len])
}

/// Gives a vector back for the next [`take`] of its length; one that was not taken is freed.
pub fn give(values: Vec<f32>) {
    let mut kept = kept();
    let room = kept.values + values.len() <= MOST_VALUES;
    let Some(shelf) = kept.by_length.get_mut(&values.len()).filter(|shelf| shelf.lent > 0) else {
        return;
    };
    shelf.lent -= 1;
    if room {
        let len = values.len();
        shelf.unused.push(values);
        kept.values += len;
    }
}

/// Frees what lies here unused.
pub fn clear() {
    *kept() = Kept::default();
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
    fn a_buffer_comes_back_when_it_is_dropped() {
        Buffer::new(12_349)[7] = 2.0;
        assert_eq!(Buffer::new(12_349)[7].to_bits(), 2.0f32.to_bits());
    }
}
