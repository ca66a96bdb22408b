//! The matrix product: a safe door to the `gemm` crate, which runs at the processor's peak.

use crate::cpu::parallel::threads;
use gemm::Parallelism;

/// A matrix that is a view of a slice; strides may be in either order, so a transpose is free.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// All of `values` as `[rows, columns]`, row-major.
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "values of a {rows} x {columns} matrix");
        Self { values, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// The same values with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// What happens to the old values of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Overwrite,
    Accumulate,
}

/// Who computes a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workers {
    /// The calling thread alone, because the caller is one of many tasks.
    One,
    /// All threads of the current pool.
    All,
}

/// `out (+)= a b`, `a` `[m, k]`, `b` `[k, n]`, `out` `[m, n]` row-major.
pub(crate) fn product(a: View, b: View, out: &mut [f32], write: Write, workers: Workers) {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    assert_eq!(k, b.rows, "columns of the left and rows of the right matrix");
    assert_eq!(out.len(), m * n, "values of the {m} x {n} result");
    if out.is_empty() {
        return;
    }
    if k == 0 {
        if write == Write::Overwrite {
            out.fill(0.0);
        }
        return;
    }
    let parallelism = match workers {
        Workers::One => Parallelism::None,
        Workers::All => Parallelism::Rayon(threads()),
    };
    // SAFETY: a `View` is made from `rows * columns` values and its strides only exchange, so
    // every element of `a` and `b` lies in its slice; `out` has m * n values and is borrowed
    // mutably, so it overlaps neither.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            write == Write::Accumulate,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// `out = a b` on all threads: `a` `[m, k]`, `b` `[k, n]`, `out` `[m, n]`, all row-major.
///
/// # Panics
/// When a length is not the product of its two sizes.
pub fn matmul(m: usize, k: usize, n: usize, a: &[f32], b: &[f32], out: &mut [f32]) {
    product(View::new(a, m, k), View::new(b, k, n), out, Write::Overwrite, Workers::All);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Sum, assert_close, in_pools, random};

    #[test]
    fn a_product_agrees_with_sums_in_f64() {
        for (m, k, n) in
            [(1, 1, 1), (1, 13, 5), (7, 2, 3), (33, 70, 17), (5, 300, 1), (130, 64, 65)]
        {
            let (a, b) = (random(m * k, 1), random(k * n, 2));
            let expected: Vec<Sum> = (0..m * n)
                .map(|at| Sum::of((0..k).map(|i| (a[at / n * k + i], b[i * n + at % n]))))
                .collect();
            in_pools(|| {
                let mut out = vec![f32::NAN; m * n];
                matmul(m, k, n, &a, &b, &mut out);
                assert_close(&out, &expected);
            });
        }
    }

    #[test]
    fn a_transposed_view_is_the_transpose_and_accumulation_adds() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 10.0, 100.0]);
        let mut out = [0.5, 0.5];
        let (a, b) = (View::new(&a, 3, 2).transposed(), View::new(&b, 3, 1));
        product(a, b, &mut out, Write::Accumulate, Workers::One);
        assert_close(&out, &[Sum::exact(531.5), Sum::exact(642.5)]);
    }

    #[test]
    fn no_terms_make_a_zero() {
        let mut out = [3.0; 2];
        matmul(1, 0, 2, &[], &[], &mut out);
        assert!(out.iter().all(|&x| x == 0.0));
    }
}
