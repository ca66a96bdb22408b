use super::*;
use crate::testing::{Sum, in_both_kinds, in_pools, random};

/// `left` `[m, k]` times `right` `[k, n]`, value by value.
fn expected(m: usize, k: usize, n: usize, left: &[f32], right: &[f32]) -> Vec<Sum> {
    let term = |at: usize, i: usize| (left[at / n * k + i], right[i * n + at % n]);
    (0..m * n).map(|at| Sum::of((0..k).map(|i| term(at, i)))).collect()
}

fn transposed(rows: usize, columns: usize, from: &[f32]) -> Vec<f32> {
    (0..from.len()).map(|at| from[at % rows * columns + at / rows]).collect()
}

const SIZES: [(usize, usize, usize); 10] = [
    (1, 1, 1),
    (2, 3, 5),
    (7, 13, 8),
    (13, 7, 17),
    (5, 2, 33),
    (25, 40, 32),
    (12, 100, 48),
    (11, 64, 7),
    (49, 129, 65),
    (3, 1, 130),
];

#[test]
fn a_product_agrees_with_sums_in_f64_from_rows_and_from_columns() {
    for ((m, k, n), numbers, agree) in in_both_kinds(SIZES) {
        let (left, right) = (numbers(m * k, 1), numbers(k * n, 2));
        let expected = expected(m, k, n, &left, &right);
        let mut packed = vec![f32::NAN; panels_len(k, n)];
        pack(&right, k, n, n, &mut packed);
        let panels = Panels::new(&packed, k, n);
        let turned = transposed(m, k, &left);
        for left in [Left::rows(&left, m, k, k), Left::columns(&turned, m, k, m)] {
            let mut out = vec![f32::NAN; m * n];
            let mut block = Block::new(&mut out, m, n, n);
            multiply(&left, &panels, 0..k, 0..n, &mut block, Write::Overwrite);
            agree(&out, &expected);
        }
    }
}

#[test]
fn blocks_in_any_pool_and_parts_of_the_depth_add_up_to_the_whole() {
    for ((m, k, n), numbers, agree) in in_both_kinds(SIZES) {
        let (left, right) = (numbers(m * k, 1), numbers(k * n, 2));
        let expected = expected(m, k, n, &left, &right);
        let mut packed = vec![f32::NAN; panels_len(k, n)];
        pack_transposed(&[&transposed(k, n, &right)], k, n, &mut packed);
        let panels = Panels::new(&packed, k, n);
        in_pools(|| {
            let mut out = vec![f32::NAN; m * n];
            grid(&mut out, n, 5, panel_width(), |mut block| {
                let (rows, columns) = (block.rows(), block.columns());
                for (number, depths) in [0..k / 2, k / 2..k].into_iter().enumerate() {
                    let write = if number == 0 { Write::Overwrite } else { Write::Accumulate };
                    let values = &left[(rows.start * k + depths.start).min(left.len())..];
                    let part = Left::rows(values, rows.len(), depths.len(), k);
                    multiply(&part, &panels, depths, columns.clone(), &mut block, write);
                }
            });
            agree(&out, &expected);
        });
    }
}

#[test]
fn unaligned_values_and_rows_further_apart_are_read_and_written_right() {
    let (m, k, n) = (13, 21, 35);
    for (shift, numbers, agree) in in_both_kinds(0..5) {
        let (left, right) = (numbers(m * k, 1), numbers(k * n, 2));
        let expected = expected(m, k, n, &left, &right);
        let mut packed = vec![0.0; panels_len(k, n)];
        pack(&right, k, n, n, &mut packed);
        let mut spread = vec![f32::NAN; shift + m * (k + 3)];
        for row in 0..m {
            spread[shift + row * (k + 3)..][..k].copy_from_slice(&left[row * k..][..k]);
        }
        let mut out = vec![7.0; shift + m * (n + 2)];
        let mut block = Block::new(&mut out[shift..], m, n, n + 2);
        let left = Left::rows(&spread[shift..], m, k, k + 3);
        let panels = Panels::new(&packed, k, n);
        multiply(&left, &panels, 0..k, 0..n, &mut block, Write::Overwrite);
        for row in 0..m {
            let out = &out[shift + row * (n + 2)..][..n + 2];
            agree(&out[..n], &expected[row * n..][..n]);
            assert_eq!(out[n..], [7.0; 2]);
        }
    }
}

#[test]
fn parts_are_packed_one_below_the_other() {
    let parts = [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [7.0, 8.0, 9.0, 10.0, 11.0, 12.0]];
    // Each is [columns = 3, depth = 2].
    let mut packed = vec![f32::NAN; panels_len(4, 3)];
    pack_transposed(&[&parts[0], &parts[1]], 2, 3, &mut packed);
    let rows: Vec<&[f32]> = packed.chunks(panel_width()).map(|row| &row[..3]).collect();
    assert_eq!(rows, [[1.0, 3.0, 5.0], [2.0, 4.0, 6.0], [7.0, 9.0, 11.0], [8.0, 10.0, 12.0]]);
    assert!(packed.chunks(panel_width()).all(|row| row[3..].iter().all(|&x| x == 0.0)));
}

#[test]
fn rows_are_packed_as_the_columns_that_they_become() {
    for (depth, columns) in [(1, 1), (13, 7), (70, 33), (129, 100)] {
        let rows = random(columns * depth, 1);
        let (mut of_rows, mut expected) = (
            vec![f32::NAN; panels_len(depth, columns)],
            vec![f32::NAN; panels_len(depth, columns)],
        );
        pack_rows(&rows, depth, columns, &mut of_rows);
        pack(&transposed(columns, depth, &rows), depth, columns, columns, &mut expected);
        assert_eq!(of_rows, expected);
    }
}

#[test]
fn columns_of_a_wider_matrix_are_packed_in_any_pool() {
    let (depth, stride, first) = (21, 150, 3);
    let from = random(depth * stride, 1);
    for columns in [1, 31, 32, 130] {
        in_pools(|| {
            let mut packed = vec![f32::NAN; panels_len(depth, columns)];
            pack_part_on_all(&from[first..], depth, columns, stride, &mut packed);
            for (number, panel) in packed.chunks(depth * panel_width()).enumerate() {
                for (k, row) in panel.chunks(panel_width()).enumerate() {
                    for (column, &value) in (number * panel_width()..).zip(row) {
                        let place = k * stride + first + column;
                        let expected = if column < columns { from[place] } else { 0.0 };
                        assert_eq!(value.to_bits(), expected.to_bits());
                    }
                }
            }
        });
    }
}

#[test]
#[should_panic(expected = "reaches beyond")]
fn a_left_matrix_larger_than_its_values_is_refused() {
    let _ = Left::rows(&[0.0; 5], 2, 3, 3);
}

#[test]
fn an_epilogue_adds_the_bias_at_the_end_and_keeps_to_its_limits() {
    let limits = [[f32::NEG_INFINITY, f32::INFINITY], [0.0, f32::INFINITY], [0.0, 0.25]];
    for ((m, k, n), limits) in SIZES.into_iter().zip(limits.into_iter().cycle()) {
        let (left, right, bias) = (random(m * k, 1), random(k * n, 2), random(n, 3));
        let mut packed = vec![f32::NAN; panels_len(k, n)];
        pack(&right, k, n, n, &mut packed);
        let panels = Panels::new(&packed, k, n);
        let of = |epilogue: Option<&Epilogue>| {
            // What is there already is part of the sum.
            let mut out = random(m * n, 4);
            grid(&mut out, n, 5, panel_width(), |mut block| {
                let (rows, columns) = (block.rows(), block.columns());
                for depths in [0..k / 2, k / 2..k] {
                    let values = &left[(rows.start * k + depths.start).min(left.len())..];
                    let part = Left::rows(values, rows.len(), depths.len(), k);
                    let last = epilogue.filter(|_| depths.end == k);
                    let (columns, write) = (columns.clone(), Write::Accumulate);
                    multiply_then(&part, &panels, depths, columns, &mut block, write, last);
                }
            });
            out
        };
        let sums = of(None);
        let found = of(Some(&Epilogue { bias: &bias, limits }));
        for (at, (found, sum)) in found.into_iter().zip(sums).enumerate() {
            let expected = (sum + bias[at % n]).clamp(limits[0], limits[1]);
            let bound = 1e-6 * (sum.abs() + 1.0);
            assert!((found - expected).abs() <= bound, "{m} x {k} x {n}, {at}: {found} {expected}");
        }
    }
}

#[test]
fn what_is_not_a_number_passes_the_limits_of_an_epilogue() {
    for n in [1, 16, 40] {
        let packed = vec![f32::NAN; panels_len(1, n)];
        let (panels, bias, mut out) = (Panels::new(&packed, 1, n), vec![0.0; n], vec![0.0; n]);
        let epilogue = Epilogue { bias: &bias, limits: [0.0, 6.0] };
        let mut block = Block::new(&mut out, 1, n, n);
        let left = Left::rows(&[1.0], 1, 1, 1);
        multiply_then(&left, &panels, 0..1, 0..n, &mut block, Write::Overwrite, Some(&epilogue));
        assert!(out.iter().all(|value| value.is_nan()), "{out:?}");
    }
}
