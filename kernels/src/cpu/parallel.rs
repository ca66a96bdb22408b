//! How work is cut into pieces for rayon's current pool.

use std::ops::Range;

/// Values a task of an elementwise loop gets: 256 KB, long against the cost of handing it out.
pub(crate) const TASK_VALUES: usize = 1 << 16;

/// Number of threads of the pool that work started here runs on.
pub(crate) fn threads() -> usize {
    rayon::current_num_threads().max(1)
}

/// Runs `work` on a thread of the pool. From outside, every parallel loop would wake the pool and
/// wait to be woken: embedding a single picture took a twentieth longer.
pub(crate) fn in_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| work())
}

/// Length of each piece (the last may be shorter) when `count` things are cut into at most
/// `pieces`, as a multiple of `multiple`; at least 1.
pub(crate) fn piece_len(count: usize, pieces: usize, multiple: usize) -> usize {
    count.div_ceil(pieces.max(1)).next_multiple_of(multiple).max(1)
}

/// The ranges of `0..count` in pieces of `len`.
pub(crate) fn pieces(count: usize, len: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count).step_by(len).map(move |start| start..(start + len).min(count))
}

/// `0..count` cut into so many ranges of nearly equal length, without a short last one.
pub(crate) fn shares(count: usize, parts: usize) -> impl Iterator<Item = Range<usize>> {
    (0..parts).map(move |part| part * count / parts..(part + 1) * count / parts)
}

/// Values a task gets when rows of `channels` must stay whole, and at least `rows` rows.
pub(crate) fn task_values(channels: usize, rows: usize) -> usize {
    (TASK_VALUES / channels.max(1)).max(rows) * channels.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_everything_once_and_are_of_nearly_equal_length() {
        for (count, parts) in [(0, 1), (1, 1), (9, 1), (13, 4), (16, 6), (10, 3), (16, 16), (2, 3)]
        {
            let all: Vec<_> = shares(count, parts).collect();
            assert_eq!(all.len(), parts);
            assert!(all.iter().cloned().flatten().eq(0..count), "{all:?}");
            let lens = || all.iter().map(ExactSizeIterator::len);
            assert!(lens().max() <= lens().min().map(|least| least + 1), "{all:?}");
        }
    }

    #[test]
    fn pieces_cover_everything_once() {
        for count in [0, 1, 7, 64, 65] {
            for parts in 1..9 {
                let len = piece_len(count, parts, 4);
                let all: Vec<usize> = pieces(count, len).flatten().collect();
                assert_eq!(all, (0..count).collect::<Vec<_>>());
                assert!(pieces(count, len).count() <= parts);
            }
        }
    }
}
