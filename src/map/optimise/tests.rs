use super::*;
use crate::map::gradient::Exact;
use looksee_kernels::tsne::attraction::SpringPiece;

fn pair() -> Springs {
    let mut piece = SpringPiece::starting_at(0);
    piece.push(&[1], &[0.5]);
    piece.push(&[0], &[0.5]);
    Springs::new(vec![piece])
}

#[test]
fn a_layout_ends_centred() {
    let phase = Phase { iterations: 30, ..Phase::usual()[1] };
    let mut layout = Layout::starting_at(vec![[5.0, 5.0], [6.0, 5.0]]);
    let whole = layout.run(&[phase], &pair(), &mut Exact::default(), &Stop::default(), &mut |_| {});
    assert!(whole.unwrap());
    let [a, b] = [layout.positions()[0], layout.positions()[1]];
    assert!((a[0] + b[0]).abs() < 1e-5 && (a[1] + b[1]).abs() < 1e-5);
}

#[test]
fn a_map_that_falls_apart_is_an_error_with_advice() {
    let phase = Phase { iterations: 200, rate: Some(f32::MAX), ..Phase::usual()[1] };
    let mut layout = Layout::starting_at(vec![[5.0, 5.0], [f32::NAN, 5.0]]);
    let outcome =
        layout.run(&[phase], &pair(), &mut Exact::default(), &Stop::default(), &mut |_| {});
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("at iteration 0") && error.contains("lower"), "{error}");
}
