use super::*;

fn figure(answer: &[(String, f64)], name: &str) -> f64 {
    answer.iter().find(|(found, _)| found == name).unwrap().1
}

#[test]
fn a_step_is_taken_against_the_gradient_and_again_gives_the_same() {
    let mut work = text_training(2).unwrap();
    let answer = work.answer().unwrap();
    assert!(figure(&answer, "loss_after") < figure(&answer, "loss"));
    work.run().unwrap();
    work.run().unwrap();
    assert_eq!(work.answer().unwrap(), answer, "an answer starts anew");
}

#[test]
fn short_texts_are_learned_with_and_without_n_grams() {
    let losses = [false, true].map(|with_grams| {
        let answer = word_training(4, with_grams).unwrap().answer().unwrap();
        assert!(figure(&answer, "loss_after") < figure(&answer, "loss"), "n-grams: {with_grams}");
        figure(&answer, "loss")
    });
    assert!((losses[0] - losses[1]).abs() > 0.0, "n-grams are a part of what is read");
}

#[test]
fn works_that_are_not_there_are_refused() {
    let size = Size { network: "resnet51", batch: 1, side: 32 };
    assert!(image_training(size).is_err());
    assert!(embedding(size).is_err());
}

#[test]
fn an_embedding_has_eight_values_of_two_unit_vectors() {
    let work = embedding(Size { network: "resnet50", batch: 2, side: 32 }).unwrap();
    let answer = work.answer().unwrap();
    assert_eq!(answer.len(), 16);
    assert!(answer.iter().all(|(_, value)| value.abs() < 1.0 && *value != 0.0));
}
