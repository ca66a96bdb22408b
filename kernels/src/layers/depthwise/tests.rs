use super::*;
use crate::testing::{
    Agreement, Numbers, Sum, Terms, assert_close, in_both_kinds, in_pool, in_pools, random,
};

/// Calls `term(x index, weight index, y index)` for every product of the definition.
fn each_product(s: &DepthwiseShape, mut term: impl FnMut(usize, usize, usize)) {
    let (oh, ow) = (s.out_height(), s.out_width());
    for position in 0..s.n * oh * ow {
        let (picture, oy, ox) = (position / (oh * ow), position / ow % oh, position % ow);
        for tap in 0..s.kernel * s.kernel {
            let y = oy * s.stride + tap / s.kernel;
            let x = ox * s.stride + tap % s.kernel;
            let rows = s.before[0]..s.before[0] + s.height;
            let columns = s.before[1]..s.before[1] + s.width;
            if !rows.contains(&y) || !columns.contains(&x) {
                continue;
            }
            let pixel = (picture * s.height + y - rows.start) * s.width + x - columns.start;
            for channel in 0..s.channels {
                let at = |position: usize| position * s.channels + channel;
                term(at(pixel), at(tap), at(position));
            }
        }
    }
}

/// All three passes against the definition, at every level.
fn check(shape: &DepthwiseShape) {
    for (level, numbers, agree) in in_both_kinds(SimdLevel::available()) {
        check_at(level, shape, numbers, agree);
    }
}

fn check_at(level: SimdLevel, shape: &DepthwiseShape, numbers: Numbers, agree: Agreement) {
    let x = numbers(shape.inputs(), 1);
    let weights = numbers(shape.weights(), 2);
    let dy = numbers(shape.outputs(), 3);
    let mut terms = [dy.len(), x.len(), weights.len()].map(|len| vec![Terms::default(); len]);
    each_product(shape, |i, w, o| {
        terms[0][o].add(x[i], weights[w]);
        terms[1][i].add(dy[o], weights[w]);
        terms[2][w].add(dy[o], x[i]);
    });
    let expected = terms.map(|all| all.into_iter().map(Terms::sum).collect::<Vec<_>>());
    let mut y = vec![f32::NAN; dy.len()];
    forward_at(level, shape, &x, &weights, Epilogue::NONE, &mut y);
    agree(&y, &expected[0]);
    let mut dx = vec![f32::NAN; x.len()];
    backward_input_at(level, shape, &dy, &weights, &mut dx);
    agree(&dx, &expected[1]);
    let mut dw = vec![f32::NAN; weights.len()];
    backward_weights_at(level, shape, &x, &dy, &mut dw);
    agree(&dw, &expected[2]);
}

/// `[n, height, width, channels, kernel, stride]` with the padding that keeps `size / stride`.
fn same([n, height, width, channels, kernel, stride]: [usize; 6]) -> DepthwiseShape {
    let (top, bottom) = same_padding(height, kernel, stride);
    let (left, right) = same_padding(width, kernel, stride);
    let (before, after) = ([top, left], [bottom, right]);
    DepthwiseShape { n, height, width, channels, kernel, stride, before, after }
}

const SIZES: [usize; 6] = [1, 2, 3, 5, 7, 13];

#[test]
fn every_size_agrees_with_the_definition() {
    for height in SIZES {
        for width in SIZES {
            for (kernel, stride) in [(3, 1), (3, 2), (5, 1), (5, 2)] {
                check(&same([2, height, width, 19, kernel, stride]));
            }
        }
    }
}

#[test]
fn every_number_of_channels_agrees_with_the_definition() {
    for channels in (1..40).chain([48, 63, 96, 144]) {
        check(&same([1, 5, 9, channels, 3, 1]));
        check(&same([1, 9, 5, channels, 5, 2]));
    }
}

#[test]
fn every_kernel_and_stride_agrees_with_the_definition() {
    for kernel in 1..10 {
        for stride in 1..5 {
            check(&same([2, 7, 11, 5, kernel, stride]));
        }
    }
}

#[test]
fn every_padding_agrees_with_the_definition() {
    for before in 0..3 {
        for after in 0..3 {
            for (height, width, stride) in [(7, 8, 1), (8, 7, 2), (3, 2, 2), (4, 21, 3)] {
                let (before, after) = ([before, after], [after, before]);
                let [n, channels, kernel] = [1, 17, 3];
                let shape =
                    DepthwiseShape { n, height, width, channels, kernel, stride, before, after };
                check(&shape);
            }
        }
    }
}

#[test]
fn long_rows_agree_with_the_definition() {
    // Blocks without a border, and more columns than the sums of the weights stay in registers.
    for (kernel, stride) in [(3, 1), (3, 2), (5, 1), (5, 2)] {
        check(&same([1, 6, 83, 21, kernel, stride]));
    }
}

#[test]
fn any_number_of_threads_agrees_with_the_definition() {
    in_pools(|| {
        check(&same([3, 7, 5, 13, 3, 1]));
        check(&same([2, 7, 9, 21, 5, 2]));
    });
}

#[test]
fn the_same_threads_give_the_same_bytes() {
    let shape = same([4, 19, 17, 21, 3, 1]);
    let (x, dy) = (random(shape.inputs(), 1), random(shape.outputs(), 3));
    for threads in [2, 5] {
        let run = || {
            let mut dw = vec![0.0; shape.weights()];
            backward_weights(&shape, &x, &dy, &mut dw);
            dw.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
        };
        assert_eq!(in_pool(threads, run), in_pool(threads, run));
    }
}

#[test]
fn same_padding_gives_as_many_outputs_as_steps_fit() {
    for size in 1..30 {
        for kernel in [1, 3, 5, 7] {
            for stride in 1..4 {
                let shape = same([1, size, size, 1, kernel, stride]);
                assert_eq!(shape.out_width(), size.div_ceil(stride), "{shape:?}");
                assert!(shape.after[1] - shape.before[1] <= 1, "{shape:?}");
            }
        }
    }
}

#[test]
fn bias_and_activation_follow_the_sum() {
    let channels = 21;
    let shape = same([1, 5, 9, channels, 3, 1]);
    let x: Vec<f32> = random(shape.inputs(), 1).iter().map(|x| 10.0 * x).collect();
    let (weights, bias) = (random(shape.weights(), 2), random(channels, 3));
    for level in SimdLevel::available() {
        let run = |epilogue| {
            let mut y = vec![f32::NAN; shape.outputs()];
            forward_at(level, &shape, &x, &weights, epilogue, &mut y);
            y
        };
        let plain = run(Epilogue::NONE);
        let of = |limit: fn(f64) -> f64| -> Vec<Sum> {
            let with_bias = plain.iter().zip(bias.iter().cycle());
            with_bias
                .map(|(&y, &b)| Sum::near(limit(f64::from(y) + f64::from(b)), 100.0, 9.0))
                .collect()
        };
        for (activation, limit) in [
            (Activation::None, (|y| y) as fn(f64) -> f64),
            (Activation::Relu, |y| y.max(0.0)),
            (Activation::Relu6, |y| y.clamp(0.0, 6.0)),
        ] {
            let y = run(Epilogue { bias: Some(&bias), activation });
            assert_close(&y, &of(limit));
        }
        let cut = of(|y| y.clamp(0.0, 6.0)).iter().filter(|sum| sum.value >= 6.0).count();
        assert!(cut > 0, "some sums must reach 6");
    }
}

#[test]
fn a_window_larger_than_the_picture_has_no_output() {
    let (before, after) = ([1, 0], [0, 0]);
    let [n, height, width, channels, kernel, stride] = [1, 2, 2, 1, 5, 1];
    let shape = DepthwiseShape { n, height, width, channels, kernel, stride, before, after };
    assert_eq!(shape.outputs(), 0);
    let (mut dx, mut dw) = ([1.0; 4], [1.0; 25]);
    forward(&shape, &[1.0; 4], &[1.0; 25], Epilogue::NONE, &mut []);
    backward_input(&shape, &[], &[1.0; 25], &mut dx);
    assert_close(&dx, &[Sum::exact(0.0); 4]);
    backward_weights(&shape, &[1.0; 4], &[], &mut dw);
    assert_close(&dw, &[Sum::exact(0.0); 25]);
}

#[test]
fn values_that_are_not_numbers_are_seen_under_their_window_alone() {
    let channels = 18;
    let shape = same([1, 7, 7, channels, 3, 1]);
    let mut x = vec![1.0; shape.inputs()];
    let middle = (3 * 7 + 3) * channels + 17;
    x[middle] = f32::NAN;
    let weights = vec![1.0; shape.weights()];
    for level in SimdLevel::available() {
        for activation in [Activation::None, Activation::Relu, Activation::Relu6] {
            let mut y = vec![0.0; shape.outputs()];
            forward_at(level, &shape, &x, &weights, Epilogue { bias: None, activation }, &mut y);
            assert_eq!(y.iter().filter(|y| y.is_nan()).count(), 9);
            assert!(y[middle].is_nan());
        }
        let mut dx = vec![0.0; x.len()];
        backward_input_at(level, &shape, &x, &weights, &mut dx);
        assert_eq!(dx.iter().filter(|dx| dx.is_nan()).count(), 9);
        let mut dw = vec![0.0; weights.len()];
        backward_weights_at(level, &shape, &x, &x, &mut dw);
        assert_eq!(dw.iter().filter(|dw| dw.is_nan()).count(), 9);
    }
}

#[test]
#[should_panic(expected = "input values")]
fn a_wrong_length_is_named() {
    let shape = same([1, 2, 2, 1, 1, 1]);
    forward(&shape, &[0.0; 3], &[0.0], Epilogue::NONE, &mut [0.0; 4]);
}
