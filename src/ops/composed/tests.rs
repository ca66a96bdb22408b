use std::cell::Cell;
use std::collections::BTreeMap;

use super::super as ops;
use super::*;
use crate::encoder::parameters::{Mode, Pass};
use crate::encoder::towers::Towers;
use crate::images::ImageBatch;
use crate::tokens::{Rules, Vocabulary};
use crate::train::Recipe;
use crate::units::Seed;

thread_local! {
    static FORCED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside of [`composed_only`].
pub(crate) fn forced() -> bool {
    FORCED.get()
}

/// Runs `work` with compositions in the place of all kernels that this thread would call.
fn composed_only<R>(work: impl FnOnce() -> R) -> R {
    FORCED.set(true);
    let result = work();
    FORCED.set(false);
    result
}

/// What an operation made of its inputs: its result, then the gradient of each.
fn run(inputs: &[Vec<f32>], op: &dyn Fn(&[Tensor<1>]) -> Tensor<1>) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let vector = |values: &Vec<f32>| -> Tensor<1> {
        Tensor::from_data(TensorData::new(values.clone(), vec![values.len()]), &device)
    };
    let leaves: Vec<Tensor<1>> = inputs.iter().map(|x| vector(x).require_grad()).collect();
    let out = op(&leaves);
    let cotangent = vector(&random(out.dims()[0], 99));
    let mut gradients = (out.clone() * cotangent).sum().backward();
    let of_leaves = leaves.iter().map(|leaf| values_of(leaf.grad_remove(&mut gradients).unwrap()));
    std::iter::once(values_of(out)).chain(of_leaves).collect()
}

/// Values in -1..1.
fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = Seed(seed).stream("composed", 0);
    (0..count).map(|_| 2.0 * rng.f32() - 1.0).collect()
}

/// How far values may lie apart, as a share of the largest of them.
const BOUND: f32 = 2e-5;

fn assert_near(found: &[f32], expected: &[f32], at: &str) {
    assert_eq!(found.len(), expected.len(), "{at}");
    let largest = expected.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
    for (place, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let near = (found - expected).abs() <= BOUND * largest.max(1e-6);
        assert!(near, "{at}, value {place}: {found}, composed {expected}");
    }
}

/// The kernel and the composition agree in the result and in the gradients of all inputs.
fn check(name: &str, sizes: &[usize], op: impl Fn(&[Tensor<1>]) -> Tensor<1>) {
    let inputs: Vec<Vec<f32>> = (1..).zip(sizes).map(|(seed, &n)| random(n, seed)).collect();
    let fused = run(&inputs, &op);
    let composed = composed_only(|| run(&inputs, &op));
    for (number, (fused, composed)) in fused.iter().zip(&composed).enumerate() {
        let what = if number == 0 { "result".to_owned() } else { format!("gradient {number}") };
        assert_near(fused, composed, &format!("{name}, {what}"));
    }
}

fn flat<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let count = x.dims().iter().product::<usize>();
    x.reshape([count])
}

/// `[n, h, w, c]`: odd sizes, one row, few channels.
const MAPS: [[usize; 4]; 5] =
    [[1, 1, 7, 1], [2, 7, 5, 3], [3, 5, 5, 13], [1, 13, 9, 3], [2, 3, 2, 1]];

#[test]
fn pools_over_all_positions_agree() {
    for map in MAPS {
        check(&format!("{map:?}"), &[map.iter().product()], |inputs| {
            flat(ops::global_max_pool(inputs[0].clone().reshape(map)))
        });
    }
}

#[test]
fn recurrent_layers_and_their_pools_agree() {
    for (lengths, len, inputs, hidden) in [
        (vec![1], 1, 1, 1),
        (vec![3, 0, 2], 3, 5, 2),
        (vec![2, 5, 1, 4, 5], 5, 3, 13),
        (vec![7, 7], 7, 2, 37),
    ] {
        for direction in [Direction::Forward, Direction::Backward] {
            let n = lengths.len();
            let lengths: Arc<[u32]> = lengths.clone().into();
            let gates = 3 * hidden;
            let sizes = [n * len * inputs, inputs * gates, gates, hidden * gates, gates];
            let name = format!("{lengths:?} {inputs} to {hidden} {direction:?}");
            let states = |tensors: &[Tensor<1>]| {
                let parameters = GruParameters {
                    input: tensors[1].clone().reshape([inputs, gates]),
                    input_bias: tensors[2].clone(),
                    hidden: tensors[3].clone().reshape([hidden, gates]),
                    hidden_bias: tensors[4].clone(),
                };
                let x = tensors[0].clone().reshape([n, len, inputs]);
                ops::gru(x, parameters, Arc::clone(&lengths), direction)
            };
            check(&name, &sizes, |tensors| flat(states(tensors)));
            check(&format!("{name}, pooled"), &sizes, |tensors| {
                flat(ops::max_over_steps(states(tensors), Arc::clone(&lengths)))
            });
        }
    }
}

#[test]
fn means_of_rows_agree() {
    let vocabulary = Vocabulary::learn(["red dress size 42"], &grams(13));
    for texts in [vec!["red"], vec!["red dress size 42 red dress", "", "red xyzzy 42"]] {
        let grams = Arc::new(vocabulary.batch(&texts, 70).grams);
        check(&format!("{texts:?}"), &[13 * 5], |inputs| {
            let table = inputs[0].clone().reshape([13, 5]);
            flat(ops::means_of_rows(table, Arc::clone(&grams)))
        });
    }
}

fn grams(buckets: usize) -> Rules {
    Rules::WordsAndGrams { min_count: 1, buckets }
}

/// Outputs and every gradient of both towers on a small batch.
fn whole_model() -> (Vec<f32>, BTreeMap<String, Vec<f32>>) {
    let mut recipe = Recipe::named("default").unwrap();
    for (key, value) in [("dim", "5"), ("image.tower", "resnet18"), ("text_tower.dropout", "0")] {
        recipe.set(key, value).unwrap();
    }
    recipe.tokens = grams(30);
    let vocabulary = Vocabulary::learn(["red dress size 42", "blue coat"], &recipe.tokens);
    let towers = Towers::new(&recipe.architecture(), vocabulary.len());
    let pass = Pass::new(Arc::new(towers.parameters(Seed(3))), Mode::Training);
    let (width_px, height_px) = (47, 66);
    let mut rng = Seed(4).stream("pixels", 0);
    let rgb = (0..3 * width_px * height_px * 3).map(|_| rng.u8(..)).collect();
    let images = towers.images(&pass, &ImageBatch { width_px, height_px, rgb }, &mut rng);
    let texts = vocabulary.batch(&["red dress 42", "blue", "size xyzzy coats"], 70);
    let texts = towers.texts(&pass, &texts, &mut rng);
    let out = Tensor::cat(vec![images, texts], 0);
    let cotangent: Tensor<2> = pass.tensor(random(30, 5), &[6, 5]);
    let gradients = pass.gradients((out.clone() * cotangent).sum().backward());
    (values_of(out), gradients)
}

#[test]
fn a_whole_model_agrees_in_every_gradient() {
    // The compositions add up as the definition says; with Winograd's last digits a value near zero
    // may switch its ReLU, as in the comparison with PyTorch.
    let (fused_out, fused) = ops::with_winograd(false, whole_model);
    let (composed_out, composed) = composed_only(whole_model);
    assert_near(&fused_out, &composed_out, "outputs");
    assert_eq!(fused.len(), composed.len());
    assert!(fused.len() > 60, "gradients of {} parameters", fused.len());
    let length = |x: &[f32]| x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    for (name, expected) in &composed {
        let difference: Vec<f32> = fused[name].iter().zip(expected).map(|(a, b)| a - b).collect();
        // Rounding grows on the way back through twenty batch norms of few rows.
        let share = length(&difference) / length(expected).max(1e-9);
        assert!(share < 1e-3, "the gradient of {name} is off by a share of {share}");
    }
}

#[test]
fn kernels_answer_on_the_cpu_unless_this_thread_asks_for_compositions() {
    assert!(ops::has_kernels(&Device::flex()) && ops::has_kernels(&Device::flex().autodiff()));
    composed_only(|| {
        assert!(!ops::has_kernels(&Device::flex()));
        // Threads beside this one are not touched.
        assert!(std::thread::spawn(|| ops::has_kernels(&Device::flex())).join().unwrap());
    });
    assert!(ops::has_kernels(&Device::flex()));
}

/// Values that are not finite come out of a pool, kernel or composition, as from PyTorch; those of
/// networks are looked at in `encoder/network/tests.rs`.
#[test]
fn values_that_are_not_finite_are_not_hidden() {
    let device = Device::flex();
    for bad in [f32::NAN, f32::INFINITY] {
        let mut values = random(2 * 5 * 5 * 3, 1);
        values[40] = bad;
        let x: Tensor<4> = Tensor::from_data(TensorData::new(values, vec![2, 5, 5, 3]), &device);
        let outputs = || {
            [
                flat(ops::global_max_pool(x.clone())),
                flat(ops::max_over_steps(x.clone().reshape([2, 25, 3]), [25, 25].into())),
            ]
            .map(|out| values_of(out).iter().map(|x| kind(*x)).collect::<String>())
        };
        let (fused, composed) = (outputs(), composed_only(outputs));
        for (number, (fused, composed)) in fused.iter().zip(&composed).enumerate() {
            assert!(fused.contains(['n', 'i']), "operation {number} hides {bad}: {fused}");
            assert_eq!(fused, composed, "operation {number} with {bad}");
        }
    }
}

/// `.` for a finite value, `n` for NaN, `i` for infinity.
fn kind(x: f32) -> char {
    if x.is_nan() {
        'n'
    } else if x.is_infinite() {
        'i'
    } else {
        '.'
    }
}
