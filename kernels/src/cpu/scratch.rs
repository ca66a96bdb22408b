//! Memory that a thread keeps between calls (a workspace); [`crate::cpu::buffers`] has what
//! outlives a call.
//!
//! A fresh buffer of a megabyte costs more in page faults than the copy that fills it.

use std::cell::RefCell;

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
}
