//! Pretrained weights by themselves, and as the beginning of a training.
//!
//! The weights of the shop's model stand for those that others trained.

use crate::shop;
use crate::util::Folder;

/// The shop, and an index of it by the features of `weights.safetensors` alone.
fn by_features() -> Folder {
    let folder = Folder::new();
    shop::write(&folder);
    std::fs::copy(shop::weights_of(&shop::model()), folder.path().join("weights.safetensors"))
        .unwrap();
    let ran = folder.run([
        "index",
        "shop.jsonl",
        "--weights",
        "weights.safetensors",
        "--image-size=32",
        "-o",
        "index",
    ]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("pretrained weights: resnet18 of a looksee model"), "{ran:?}");
    assert!(ran.stdout.starts_with("100 added"), "{ran:?}");
    folder
}

#[test]
fn an_index_by_pretrained_features_is_asked_with_pictures() {
    let folder = by_features();
    let ran = folder.run(["search", "index", "./pictures/red-disc-3.png", "-k3", "--format=csv"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stdout.lines().count(), 4, "{}", ran.stdout);
    assert!(ran.stdout.lines().nth(1).unwrap().contains("red-disc-3"), "{}", ran.stdout);
    // By itself, in another place, without its weight file.
    std::fs::remove_file(folder.path().join("weights.safetensors")).unwrap();
    std::fs::rename(folder.path().join("index"), folder.path().join("moved")).unwrap();
    for words in [
        &["search", "moved", "id:blue-bar-2", "-k2"][..],
        &["map", "moved", "-o", "map.json", "--iterations=1"],
        &["info", "moved"],
        &["info", "moved/model"],
        &["check", "moved"],
        &["index", "shop.jsonl", "-o", "moved"],
    ] {
        let ran = folder.run(words);
        assert_eq!(ran.code, Some(0), "{words:?}: {}", ran.stderr);
    }
}

#[test]
fn an_index_by_pretrained_features_answers_words_with_what_to_do() {
    let folder = by_features();
    let sentence = "this model knows pictures alone and reads no words: ask with a picture, or train \
                    a model on pictures with texts; `looksee search INDEX ./picture.jpg` asks with a \
                    picture; ";
    for words in [
        &["search", "index", "red disc"][..],
        &["search", "index", "id:blue-bar-2 + red"],
        &["embed", "index/model", "--texts", "shop.jsonl", "-o", "texts.npy"],
    ] {
        folder.run(words).failed_with_part(sentence);
    }
}

#[test]
fn a_model_of_pictures_alone_is_measured_on_pictures_alone() {
    let folder = by_features();
    let ran = folder.run(["eval", "index/model", "shop.jsonl", "--label-field", "color"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("this model reads no texts"), "{}", ran.stdout);
}

#[test]
fn the_network_of_a_weight_file_is_found_or_must_be_the_one_that_is_named() {
    let folder = by_features();
    let index = |tower: &str| {
        let weights = "--weights=weights.safetensors";
        folder.run(["index", "shop.jsonl", weights, "-o", "other", "--image-tower", tower])
    };
    index("resnet50").failed_with_part(
        "these are weights of resnet18, and the image tower is resnet50; name the network of the file \
         with --image-tower",
    );
    index("resnet19")
        .failed_with_part("there is no network \"resnet19\"; expected one of resnet18");
}

#[test]
fn training_with_weights_takes_the_recipe_for_them_and_the_network_that_they_are_of() {
    let folder = Folder::new();
    let weights = shop::weights_of(&shop::model());
    let print = |more: &[&str]| {
        let weights = format!("--weights={}", weights.display());
        let mut words = vec!["train", "--print-recipe", weights.as_str()];
        words.extend(more);
        folder.run(&words).stdout
    };
    let recipe = print(&[]);
    assert!(recipe.contains("name = \"pretrained\""), "{recipe}");
    assert!(recipe.contains("tower = \"resnet18\""), "{recipe}");
    assert!(print(&["--recipe=article"]).contains("name = \"article\""));
}
