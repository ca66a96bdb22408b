//! What the tests of all kernels share: numbers, pools of several sizes, and two ways to agree.
//!
//! Is every term there, and none twice? [`whole`] numbers are so small that `f32` holds their sums of
//! products without rounding, in any order, and none is 0: [`assert_same`] sees each term. How far do
//! roundings carry? [`random`] numbers, and [`assert_close`] with a bound that grows with the root of
//! the number of terms.

/// Roundings go up as often as down, so the sum of `n` products, added in any order, is within
/// `s * sqrt(n) * EPSILON / 2 * sum|x y|` of the exact one but for a chance that falls with
/// `exp(-s^2 / 2)` (Higham and Mary 2019). This is `s / 2`.
const SLACK: f64 = 4.0;

/// The exact value of a sum, and the scale of its rounding errors.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) value: f64,
    pub(crate) bound: f64,
}

impl Sum {
    /// The sum of products.
    pub(crate) fn of(terms: impl IntoIterator<Item = (f32, f32)>) -> Self {
        let mut terms_so_far = Terms::default();
        for (x, y) in terms {
            terms_so_far.add(x, y);
        }
        terms_so_far.sum()
    }

    /// A value that a few roundings lead to.
    pub(crate) fn exact(value: f64) -> Self {
        Self::near(value, value.abs(), 1.0)
    }

    /// A value that about so many roundings of numbers of this size lead to, all in one direction.
    pub(crate) fn near(value: f64, size: f64, roundings: f64) -> Self {
        let bound = SLACK * roundings * f64::from(f32::EPSILON) * size;
        Self { value, bound: bound + f64::from(f32::MIN_POSITIVE) }
    }

    /// The same value with a wider bound.
    pub(crate) fn within(self, times: f64) -> Self {
        Self { bound: times * self.bound, ..self }
    }
}

/// A sum of products that is still growing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    pub(crate) value: f64,
    size: f64,
    count: f64,
}

impl Terms {
    pub(crate) fn add(&mut self, x: f32, y: f32) {
        let term = f64::from(x) * f64::from(y);
        self.value += term;
        self.size += term.abs();
        self.count += 1.0;
    }

    pub(crate) fn sum(self) -> Sum {
        Sum::near(self.value, self.size, self.count.sqrt())
    }
}

/// Fails with the first place where `found` is further from `expected` than its bound.
pub(crate) fn assert_close(found: &[f32], expected: &[Sum]) {
    assert_eq!(found.len(), expected.len(), "number of values");
    for (at, (&found, sum)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - sum.value).abs();
        assert!(error <= sum.bound, "value {at} is {found}, expected {sum:?}");
    }
}

/// Fails with the first place where `found` is not exactly the value of `expected`.
pub(crate) fn assert_same(found: &[f32], expected: &[Sum]) {
    assert_eq!(found.len(), expected.len(), "number of values");
    for (at, (&found, sum)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - sum.value).abs();
        assert!(error <= 0.0, "value {at} is {found}, not {}: {error}", sum.value);
    }
}

/// `count` values in -1..1, the same for the same seed.
pub(crate) fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// `count` of the numbers -2, -1, 1 and 2, the same for the same seed.
pub(crate) fn whole(count: usize, seed: u64) -> Vec<f32> {
    let size = |x: f32| if x.abs() < 0.5 { 1.0_f32 } else { 2.0 };
    random(count, seed).into_iter().map(|x| size(x).copysign(x)).collect()
}

/// Numbers of a kind: how many, and a seed.
pub(crate) type Numbers = fn(usize, u64) -> Vec<f32>;
/// How what was found must agree with what was expected.
pub(crate) type Agreement = fn(&[f32], &[Sum]);

/// Each case with both kinds of numbers, and with how sums of their products must agree.
pub(crate) fn in_both_kinds<T: Copy>(
    cases: impl IntoIterator<Item = T>,
) -> impl Iterator<Item = (T, Numbers, Agreement)> {
    let kinds: [(Numbers, Agreement); 2] = [(random, assert_close), (whole, assert_same)];
    let both = move |case| kinds.into_iter().map(move |(numbers, agree)| (case, numbers, agree));
    cases.into_iter().flat_map(both)
}

/// Runs `check` on pools of 1, 2, 3 and 16 threads.
pub(crate) fn in_pools(check: impl Fn() + Sync) {
    for threads in [1, 2, 3, 16] {
        in_pool(threads, &check);
    }
}

/// Runs `check` on a pool of `threads`.
pub(crate) fn in_pool<R: Send>(threads: usize, check: impl Fn() -> R + Sync) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(&check)
}
