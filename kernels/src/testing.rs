//! What the tests of all kernels share: random values, pools of several sizes, and agreement by a
//! bound instead of equality.

/// Sums of `f32` products in any order may differ from the exact sum by about
/// `terms * EPSILON * sum|x y|`; this factor covers several roundings a term.
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

    /// A value reached by sums of about `terms` terms whose sizes add up to `size`.
    pub(crate) fn near(value: f64, size: f64, terms: f64) -> Self {
        let bound = SLACK * terms * f64::from(f32::EPSILON) * size + f64::from(f32::MIN_POSITIVE);
        Self { value, bound }
    }
}

/// A sum of products that is still growing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    value: f64,
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
        Sum::near(self.value, self.size, self.count)
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
