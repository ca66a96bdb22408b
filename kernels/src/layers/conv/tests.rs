use super::*;
use crate::testing::{Sum, Terms, assert_close, in_both_kinds, in_pool, in_pools, random};

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

/// Winograd's transforms divide by up to 24 along each side: multiples of this stay whole.
const WHOLE: f32 = 576.0;
/// How many times further than those of a plain sum the roundings of Winograd's transforms carry.
const WINOGRADS: f64 = 8.0;

fn multiples(numbers: &[f32]) -> Vec<f32> {
    numbers.iter().map(|number| WHOLE * number).collect()
}

/// All three passes against the definition, with bounds so many times as wide.
fn check_within(shape: &ConvShape, times: f64) {
    for (shape, numbers, agree) in in_both_kinds([shape]) {
        let x = numbers(shape.n * shape.image(), 1);
        let weights = multiples(&numbers(shape.taps() * shape.outputs, 2));
        let dy = numbers(shape.rows() * shape.outputs, 3);
        let wide = multiples(&x);
        let mut terms = [dy.len(), x.len(), weights.len()].map(|len| vec![Terms::default(); len]);
        each_product(shape, |i, w, o| {
            terms[0][o].add(x[i], weights[w]);
            terms[1][i].add(dy[o], weights[w]);
            terms[2][w].add(dy[o], wide[i]);
        });
        let sum = |terms: Terms| terms.sum().within(times);
        let expected = terms.map(|all| all.into_iter().map(sum).collect::<Vec<_>>());
        in_pools(|| {
            let mut y = vec![f32::NAN; dy.len()];
            forward(shape, &x, &weights, &mut y);
            agree(&y, &expected[0]);
            let mut dx = vec![f32::NAN; x.len()];
            backward_input(shape, &dy, &weights, &mut dx);
            agree(&dx, &expected[1]);
            let mut dw = vec![f32::NAN; weights.len()];
            backward_weights(shape, &wide, &dy, &mut dw);
            agree(&dw, &expected[2]);
        });
    }
}

fn check(shape: &ConvShape) {
    check_within(shape, 1.0);
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
fn what_takes_winograds_way_agrees_with_the_definition() {
    use_winograd(true);
    for (sizes, way) in [
        ([1, 12, 12, 64, 64, 3, 1, 1], Way::FewTiles),
        ([8, 20, 19, 32, 32, 3, 1, 1], Way::ManyTiles),
    ] {
        let shape = shape(sizes);
        assert_eq!(winograd::way(&shape, false), way, "{shape:?}");
        assert_eq!(winograd::way(&shape.mirrored(), false), way, "{shape:?}");
        assert_eq!(winograd::way_for_weights(&shape), way, "{shape:?}");
        check_within(&shape, WINOGRADS);
    }
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
        check_packed(&shape(sizes));
    }
}

/// `max(sum + more, 0)`, where the sum may be one of Winograd's.
fn finished(sum: Sum, more: f32) -> Sum {
    let value = sum.value + f64::from(more);
    let Sum { bound, .. } = Sum::near(value, sum.value.abs() + f64::from(more).abs(), 1.0);
    Sum { value: value.max(0.0), bound: bound + sum.within(WINOGRADS).bound }
}

fn check_packed(shape: &ConvShape) {
    for (shape, numbers, agree) in in_both_kinds([shape]) {
        let outputs = shape.outputs;
        let x = numbers(shape.n * shape.image(), 1);
        let weights = multiples(&numbers(shape.taps() * outputs, 2));
        let (bias, residual) = (numbers(outputs, 3), numbers(shape.rows() * outputs, 4));
        let (bias, residual) = (multiples(&bias), multiples(&residual));
        let mut terms = vec![Terms::default(); residual.len()];
        each_product(shape, |i, w, o| terms[o].add(x[i], weights[w]));
        let sums: Vec<Sum> = terms.into_iter().map(Terms::sum).collect();
        let with = |more: &dyn Fn(usize) -> f32| -> Vec<Sum> {
            sums.iter().enumerate().map(|(at, &sum)| finished(sum, more(at))).collect()
        };
        let without = with(&|at| bias[at % outputs]);
        let with = with(&|at| bias[at % outputs] + residual[at]);
        let packed = Packed::new(&weights, shape.kernel, shape.inputs, outputs);
        let activation = Activation::Relu;
        in_pools(|| {
            let run = |residual, mut y: Vec<f32>| {
                let finish = Finish { bias: &bias, residual, activation };
                forward_packed(shape, &x, &packed, &finish, &mut y);
                y
            };
            let nothing = || vec![f32::NAN; residual.len()];
            agree(&run(Residual::None, nothing()), &without);
            agree(&run(Residual::Of(&residual), nothing()), &with);
            agree(&run(Residual::InPlace, residual.clone()), &with);
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
    let sizes = [
        [1, 1, 1, 16, 16],
        [2, 2, 3, 16, 48],
        [3, 4, 4, 32, 16],
        [1, 5, 7, 16, 32],
        [2, 13, 9, 48, 80],
        [1, 28, 30, 64, 64],
        [5, 6, 4, 144, 80],
    ];
    for ([n, height, width, inputs, outputs], numbers, agree) in in_both_kinds(sizes) {
        let shape = shape([n, height, width, inputs, outputs, 3, 1, 1]);
        let x = numbers(shape.n * shape.image(), 1);
        let weights = multiples(&numbers(shape.taps() * shape.outputs, 2));
        let dy = multiples(&numbers(shape.rows() * outputs, 3));
        let mut terms = vec![Terms::default(); shape.rows() * outputs];
        let mut of_weights = vec![Terms::default(); weights.len()];
        each_product(&shape, |i, w, o| {
            terms[o].add(x[i], weights[w]);
            of_weights[w].add(dy[o], x[i]);
        });
        let sum = |terms: Terms| terms.sum().within(WINOGRADS);
        let expected: Vec<Sum> = terms.into_iter().map(sum).collect();
        // Few tiles leave few terms in a sum, but the transforms' roundings remain.
        let of_weights: Vec<Sum> = of_weights
            .into_iter()
            .map(sum)
            .map(|sum| Sum { bound: sum.bound.max(2e-5 * f64::from(WHOLE)), ..sum })
            .collect();
        in_pools(|| {
            for backward_weights in [winograd::backward_weights, few::backward_weights] {
                let mut dw = vec![f32::NAN; weights.len()];
                backward_weights(&shape, &x, &dy, &mut dw);
                agree(&dw, &of_weights);
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
                agree(&y, &expected);
            }
            let mut y = vec![f32::NAN; expected.len()];
            by_winograd(&shape, &x, &weights, &mut y, Write::Overwrite);
            agree(&y, &expected);
            let mut onto = vec![0.5; expected.len()];
            by_winograd(&shape, &x, &weights, &mut onto, Write::Accumulate);
            let mut few_onto = vec![0.5; expected.len()];
            let kernels = Kernels::Plain(&weights);
            few::convolve(&shape, &x, kernels, &mut few_onto, Write::Accumulate, |_| {});
            let moved: Vec<Sum> = expected
                .iter()
                .map(|sum| Sum {
                    value: sum.value + 0.5,
                    bound: sum.bound + 1e-6 * sum.value.abs(),
                })
                .collect();
            agree(&onto, &moved);
            agree(&few_onto, &moved);
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
