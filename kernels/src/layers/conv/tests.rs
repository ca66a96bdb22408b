use super::*;
use crate::testing::{Sum, Terms, assert_close, in_pool, in_pools, random};

/// Calls `term(x index, weight index, y index)` for every product of the definition.
fn each_product(s: &ConvShape, mut term: impl FnMut(usize, usize, usize)) {
    let (oh, ow) = (s.out_height(), s.out_width());
    for row in 0..s.rows() {
        let (picture, oy, ox) = (row / (oh * ow), row / ow % oh, row % ow);
        for tap in 0..s.kernel * s.kernel {
            let y = oy * s.stride + tap / s.kernel;
            let x = ox * s.stride + tap % s.kernel;
            let inside = s.padding..s.padding + s.height;
            if !inside.contains(&y) || !(s.padding..s.padding + s.width).contains(&x) {
                continue;
            }
            let pixel = (picture * s.height + y - s.padding) * s.width + x - s.padding;
            for input in 0..s.inputs {
                for output in 0..s.outputs {
                    let weight = (tap * s.inputs + input) * s.outputs + output;
                    term(pixel * s.inputs + input, weight, row * s.outputs + output);
                }
            }
        }
    }
}

fn check(shape: &ConvShape) {
    let x = random(shape.n * shape.image(), 1);
    let weights = random(shape.taps() * shape.outputs, 2);
    let dy = random(shape.rows() * shape.outputs, 3);
    let mut terms = [dy.len(), x.len(), weights.len()].map(|len| vec![Terms::default(); len]);
    each_product(shape, |i, w, o| {
        terms[0][o].add(x[i], weights[w]);
        terms[1][i].add(dy[o], weights[w]);
        terms[2][w].add(dy[o], x[i]);
    });
    let expected = terms.map(|all| all.into_iter().map(Terms::sum).collect::<Vec<_>>());
    in_pools(|| {
        let mut y = vec![f32::NAN; dy.len()];
        forward(shape, &x, &weights, &mut y);
        assert_close(&y, &expected[0]);
        let mut dx = vec![f32::NAN; x.len()];
        backward_input(shape, &dy, &weights, &mut dx);
        assert_close(&dx, &expected[1]);
        let mut dw = vec![f32::NAN; weights.len()];
        backward_weights(shape, &x, &dy, &mut dw);
        assert_close(&dw, &expected[2]);
    });
}

fn shape([n, height, width, inputs, outputs, kernel, stride, padding]: [usize; 8]) -> ConvShape {
    ConvShape { n, height, width, inputs, outputs, kernel, stride, padding }
}

#[test]
fn odd_sizes_agree_with_the_definition() {
    for sizes in [
        [1, 1, 1, 1, 1, 1, 1, 0],
        [1, 1, 1, 3, 5, 3, 1, 1],
        [2, 5, 7, 3, 13, 3, 1, 1],
        [3, 7, 5, 13, 7, 3, 2, 1],
        [2, 13, 13, 3, 5, 7, 2, 3],
        [5, 7, 7, 5, 3, 1, 2, 0],
        [3, 5, 2, 7, 2, 1, 1, 0],
        [1, 13, 5, 2, 3, 5, 3, 2],
        [2, 3, 3, 2, 2, 3, 1, 0],
        [1, 2, 2, 5, 1, 3, 2, 2],
        [1, 5, 5, 2, 2, 1, 3, 0],
        [2, 7, 7, 3, 2, 2, 2, 1],
    ] {
        check(&shape(sizes));
    }
}

#[test]
fn many_rows_agree_with_the_definition() {
    // More than 256 rows a thread on pools of up to three threads.
    check(&shape([2, 29, 31, 5, 3, 3, 1, 1]));
    check(&shape([2, 61, 59, 3, 4, 3, 2, 1]));
    check(&shape([1, 31, 29, 3, 5, 1, 1, 0]));
    // More than one chunk for each sum.
    check(&shape([5, 30, 30, 20, 1, 3, 1, 1]));
}

#[test]
fn maps_that_are_mostly_padding_agree_with_the_definition() {
    for sizes in [
        [8, 2, 2, 64, 80, 3, 1, 1],
        [9, 4, 3, 65, 64, 3, 2, 1],
        [13, 1, 5, 64, 67, 5, 1, 2],
        [8, 3, 3, 70, 64, 3, 3, 2],
    ] {
        let shape = shape(sizes);
        assert!(positions::pays(&shape), "{shape:?}");
        check(&shape);
    }
    assert!(!positions::pays(&shape([8, 8, 8, 64, 64, 3, 1, 1])), "few taps in the padding");
}

#[test]
fn wide_products_agree_with_the_definition() {
    // More weights than a thread keeps an accumulator for.
    check(&shape([1, 3, 3, 550, 551, 1, 1, 0]));
}

#[test]
fn the_same_threads_give_the_same_bytes() {
    let shape = shape([4, 19, 17, 7, 9, 3, 1, 1]);
    let (x, dy) = (random(4 * shape.image(), 1), random(shape.rows() * 9, 3));
    for threads in [2, 5] {
        let run = || {
            let mut dw = vec![0.0; shape.taps() * 9];
            backward_weights(&shape, &x, &dy, &mut dw);
            dw.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
        };
        assert_eq!(in_pool(threads, run), in_pool(threads, run));
    }
}

#[test]
fn a_window_larger_than_the_picture_has_no_output() {
    let shape = shape([1, 2, 2, 1, 1, 5, 1, 1]);
    assert_eq!(shape.rows(), 0);
    let mut dx = [1.0; 4];
    forward(&shape, &[1.0; 4], &[1.0; 25], &mut []);
    backward_input(&shape, &[], &[1.0; 25], &mut dx);
    assert_close(&dx, &[Sum::exact(0.0); 4]);
}

#[test]
fn values_that_are_not_numbers_pass_through() {
    let shape = shape([1, 3, 3, 1, 1, 1, 1, 0]);
    let x = [f32::NAN, 1.0, f32::INFINITY, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
    let mut y = [0.0; 9];
    forward(&shape, &x, &[2.0], &mut y);
    assert!(y[0].is_nan() && y[2] == f32::INFINITY && (y[1] - 2.0).abs() < 1e-6, "{y:?}");
}

#[test]
#[should_panic(expected = "input values")]
fn a_wrong_length_is_named() {
    forward(&shape([1, 2, 2, 1, 1, 1, 1, 0]), &[0.0; 3], &[0.0], &mut [0.0; 4]);
}

/// A convolution by Winograd's way, with weights `[taps, outputs]`.
fn by_winograd(shape: &ConvShape, x: &[f32], weights: &[f32], y: &mut [f32], write: Write) {
    let (taps, outputs) = (shape.taps(), shape.outputs);
    let mut panels = vec![0.0; panels_len(taps, outputs)];
    pack_on_all(weights, taps, outputs, &mut panels);
    let mut transformed = vec![f32::NAN; winograd::weights_len(shape.inputs, outputs)];
    winograd::transform_weights(&panels, shape.inputs, &mut transformed);
    winograd::convolve(shape, x, &transformed, y, write, |_| {});
}

#[test]
fn packed_weights_add_a_residual_wherever_it_lies() {
    for sizes in [
        [2, 7, 5, 33, 50, 1, 1, 0],
        [1, 9, 8, 520, 17, 1, 1, 0],
        [2, 9, 6, 7, 40, 3, 2, 1],
        [1, 11, 10, 3, 24, 7, 2, 3],
        [1, 20, 24, 64, 64, 3, 1, 1],
        [1, 4, 4, 128, 256, 3, 1, 1],
    ] {
        let shape = shape(sizes);
        let x = random(shape.n * shape.image(), 1);
        let weights = random(shape.taps() * shape.outputs, 2);
        let (bias, residual) = (random(shape.outputs, 3), random(shape.rows() * shape.outputs, 4));
        let packed = Packed::new(&weights, shape.kernel, shape.inputs, shape.outputs);
        let mut sums = vec![f32::NAN; residual.len()];
        forward(&shape, &x, &weights, &mut sums);
        let activation = Activation::Relu;
        in_pools(|| {
            let run = |residual, mut y: Vec<f32>| {
                let finish = Finish { bias: &bias, residual, activation };
                forward_packed(&shape, &x, &packed, &finish, &mut y);
                y
            };
            let nothing = || vec![f32::NAN; residual.len()];
            let without = run(Residual::None, nothing());
            let beside = run(Residual::Of(&residual), nothing());
            let in_place = run(Residual::InPlace, residual.clone());
            for (at, sum) in sums.iter().enumerate() {
                let alone = sum + bias[at % shape.outputs];
                let bound = 1e-5 * (shape.taps() as f32 + alone.abs() + 1.0);
                let is_near = |found: f32, sum: f32| (found - sum.max(0.0)).abs() <= bound;
                assert!(is_near(without[at], alone), "{shape:?} at {at}");
                assert!(is_near(beside[at], alone + residual[at]), "{shape:?} at {at}");
                assert!(is_near(in_place[at], alone + residual[at]), "{shape:?} at {at}");
            }
        });
    }
}

/// Weights turned by half a turn, inputs and outputs exchanged.
fn turned(shape: &ConvShape, weights: &[f32]) -> Vec<f32> {
    let (inputs, outputs) = (shape.inputs, shape.outputs);
    let from = |at: usize| {
        let (tap, output, input) = (at / (inputs * outputs), at / inputs % outputs, at % inputs);
        weights[((8 - tap) * inputs + input) * outputs + output]
    };
    (0..weights.len()).map(from).collect()
}

#[test]
fn winograd_agrees_with_the_definition() {
    for [n, height, width, inputs, outputs] in [
        [1, 1, 1, 16, 16],
        [2, 2, 3, 16, 48],
        [3, 4, 4, 32, 16],
        [1, 5, 7, 16, 32],
        [2, 13, 9, 48, 80],
        [1, 28, 30, 64, 64],
        [5, 6, 4, 144, 80],
    ] {
        let shape = shape([n, height, width, inputs, outputs, 3, 1, 1]);
        let x = random(shape.n * shape.image(), 1);
        let weights = random(shape.taps() * shape.outputs, 2);
        let dy = random(shape.rows() * outputs, 3);
        let mut terms = vec![Terms::default(); shape.rows() * outputs];
        let mut of_weights = vec![Terms::default(); weights.len()];
        each_product(&shape, |i, w, o| {
            terms[o].add(x[i], weights[w]);
            of_weights[w].add(dy[o], x[i]);
        });
        let expected: Vec<Sum> = terms.into_iter().map(Terms::sum).collect();
        // Few tiles leave few terms in a sum, but the transforms' roundings remain.
        let of_weights: Vec<Sum> = of_weights
            .into_iter()
            .map(Terms::sum)
            .map(|sum| Sum { bound: sum.bound.max(2e-5), ..sum })
            .collect();
        in_pools(|| {
            for backward_weights in [winograd::backward_weights, few::backward_weights] {
                let mut dw = vec![f32::NAN; weights.len()];
                backward_weights(&shape, &x, &dy, &mut dw);
                assert_close(&dw, &of_weights);
            }
            let mut panels = vec![0.0; panels_len(shape.taps(), outputs)];
            pack_on_all(&weights, shape.taps(), outputs, &mut panels);
            // Turned and exchanged twice, a kernel is itself.
            let turned = turned(&shape, &weights);
            for kernels in
                [Kernels::Plain(&weights), Kernels::Packed(&panels), Kernels::Mirrored(&turned)]
            {
                let mut y = vec![f32::NAN; expected.len()];
                few::convolve(&shape, &x, kernels, &mut y, Write::Overwrite, |_| {});
                assert_close(&y, &expected);
            }
            let mut y = vec![f32::NAN; expected.len()];
            by_winograd(&shape, &x, &weights, &mut y, Write::Overwrite);
            assert_close(&y, &expected);
            let mut onto = vec![0.5; expected.len()];
            by_winograd(&shape, &x, &weights, &mut onto, Write::Accumulate);
            let mut few_onto = vec![0.5; expected.len()];
            let kernels = Kernels::Plain(&weights);
            few::convolve(&shape, &x, kernels, &mut few_onto, Write::Accumulate, |_| {});
            let moved =
                expected.iter().map(|sum| Sum { value: sum.value + 0.5, bound: sum.bound + 1e-6 });
            let moved: Vec<Sum> = moved.collect();
            assert_close(&onto, &moved);
            assert_close(&few_onto, &moved);
        });
    }
}

/// The error of each way against `f64`, as a share of the result's size.
fn errors(shape: &ConvShape) -> [f64; 2] {
    let x: Vec<f32> = random(shape.n * shape.image(), 1).iter().map(|x| x.max(0.0)).collect();
    let weights = random(shape.taps() * shape.outputs, 2);
    let mut terms = vec![Terms::default(); shape.rows() * shape.outputs];
    each_product(shape, |i, w, o| terms[o].add(x[i], weights[w]));
    let exact: Vec<f64> = terms.into_iter().map(|terms| terms.sum().value).collect();
    let mut panels = vec![0.0; panels_len(shape.taps(), shape.outputs)];
    pack_on_all(&weights, shape.taps(), shape.outputs, &mut panels);
    let mut plain = vec![0.0; exact.len()];
    let right = Panels::new(&panels, shape.taps(), shape.outputs);
    convolve(shape, &x, &right, &mut plain, Write::Overwrite, None, |_| {});
    let mut quick = vec![0.0; exact.len()];
    by_winograd(shape, &x, &weights, &mut quick, Write::Overwrite);
    let size = exact.iter().map(|y| y * y).sum::<f64>();
    [plain, quick].map(|y| {
        let off = y.iter().zip(&exact).map(|(&y, exact)| (f64::from(y) - exact).powi(2));
        (off.sum::<f64>() / size).sqrt()
    })
}

#[test]
fn winograds_error_is_what_the_documents_say() {
    let [plain, quick] = errors(&shape([1, 8, 8, 128, 128, 3, 1, 1]));
    assert!(plain < 5e-7 && quick < 3e-6, "plain {plain:e}, Winograd {quick:e}");
}
