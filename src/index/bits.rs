//! Sets of numbers, one bit each: which rows live, which items pass, which records were seen.

use std::collections::HashMap;

/// Bit `i` is bit `i % 64` of word `i / 64`, the layout that the scan takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    /// An empty set with room for numbers below `len`.
    pub(super) fn with_room(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)] }
    }

    /// Puts `number` in.
    pub(super) fn insert(&mut self, number: usize) {
        let word = number / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (number % 64);
    }

    /// Whether `number` is in.
    pub(super) fn contains(&self, number: usize) -> bool {
        self.words.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// How many numbers are in.
    pub(super) fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The words.
    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }
}

/// A set of keys of the database, whatever their size: it takes memory for the keys that are in,
/// not for the largest, which is what a stranger wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    words: HashMap<i64, u64>,
}

impl Keys {
    /// Puts `key` in.
    pub(super) fn insert(&mut self, key: i64) {
        *self.words.entry(key.div_euclid(64)).or_default() |= 1 << key.rem_euclid(64);
    }

    /// Whether `key` is in.
    pub(super) fn contains(&self, key: i64) -> bool {
        let word = self.words.get(&key.div_euclid(64));
        word.is_some_and(|word| word >> key.rem_euclid(64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_any_size_take_little_memory() {
        let mut keys = Keys::default();
        for key in [i64::MIN, -65, -64, -1, 0, 63, 64, 1 << 62, i64::MAX] {
            assert!(!keys.contains(key));
            keys.insert(key);
            assert!(keys.contains(key));
        }
        assert!(!keys.contains(1) && !keys.contains(-2));
        assert!(keys.words.len() <= 9);
    }

    #[test]
    fn a_set_holds_what_was_put_in_and_grows() {
        let mut bits = Bits::with_room(3);
        for number in [0, 2, 63, 64, 200] {
            bits.insert(number);
        }
        let held: Vec<usize> = (0..300).filter(|&number| bits.contains(number)).collect();
        assert_eq!(held, [0, 2, 63, 64, 200]);
        assert_eq!(bits.len(), 5);
        assert_eq!(bits.words()[0], 1 | 1 << 2 | 1 << 63);
    }
}
