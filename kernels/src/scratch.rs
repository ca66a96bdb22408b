//! Memory that is kept between calls.
//!
//! A fresh buffer of a megabyte costs more in page faults than the copy that fills it.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

thread_local! {
    static KEPT: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Lends `len` values of a buffer of this thread; they hold whatever the last user left.
///
/// Buffers are taken and put back like plates from a pile, so a nested call gets one of its own,
/// and the same one at each turn of a loop.
pub(crate) fn with_scratch<R>(len: usize, use_it: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut buffer = KEPT.with_borrow_mut(Vec::pop).unwrap_or_default();
    if buffer.len() < len {
        buffer = vec![0.0; len];
    }
    let result = use_it(&mut buffer[..len]);
    KEPT.with_borrow_mut(|kept| kept.push(buffer));
    result
}

/// Values that the pile keeps for later: 128 MB.
const PILE_VALUES: usize = 32 << 20;

/// Buffers that nobody uses at present, of all threads.
static PILE: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

/// A buffer that outlives the call that filled it and, when it is dropped, serves the next one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reused {
    // At least `len` values.
    buffer: Vec<f32>,
    len: usize,
}

impl Reused {
    /// `len` values, which hold whatever the last user left.
    pub(crate) fn new(len: usize) -> Self {
        let mut pile = PILE.lock().unwrap_or_else(PoisonError::into_inner);
        // The smallest that is large enough, so that a large one stays for who needs it.
        let fitting = pile.iter().enumerate().filter(|(_, buffer)| buffer.len() >= len);
        let found = fitting.min_by_key(|(_, buffer)| buffer.len()).map(|(at, _)| at);
        let found = found.map(|at| pile.swap_remove(at));
        drop(pile);
        Self { buffer: found.unwrap_or_else(|| vec![0.0; len]), len }
    }
}

impl Deref for Reused {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.buffer[..self.len]
    }
}

impl DerefMut for Reused {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.buffer[..self.len]
    }
}

impl Drop for Reused {
    fn drop(&mut self) {
        let mut pile = PILE.lock().unwrap_or_else(PoisonError::into_inner);
        pile.push(std::mem::take(&mut self.buffer));
        // The oldest go first.
        while pile.iter().map(Vec::len).sum::<usize>() > PILE_VALUES {
            pile.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_users_do_not_share_memory() {
        with_scratch(3, |outer| {
            outer.fill(1.0);
            with_scratch(5, |inner| inner.fill(2.0));
            assert_eq!(outer, [1.0; 3]);
        });
    }

    #[test]
    fn two_users_at_a_time_have_buffers_of_their_own() {
        for len in [0, 1, 1000] {
            let (mut first, mut second) = (Reused::new(len), Reused::new(len));
            first.fill(1.0);
            second.fill(2.0);
            assert_eq!((&*first, &*second), (vec![1.0; len].as_slice(), vec![2.0; len].as_slice()));
        }
    }

    #[test]
    fn the_pile_does_not_grow_without_limit() {
        for _ in 0..3 {
            drop(Reused::new(PILE_VALUES / 2 + 1));
            drop(Reused::new(PILE_VALUES + 1));
        }
        let pile = PILE.lock().unwrap();
        assert!(pile.iter().map(Vec::len).sum::<usize>() <= PILE_VALUES);
    }
}
