//! Weight files of other programs, and the vocabulary of a model.

use std::collections::BTreeMap;

use super::driver::{Target, contents, testdata};
use crate::encoder::weights::{self, NamedTensor, Weights};
use crate::tokens::{Rules, Vocabulary};

fn small() -> Weights {
    let tensor = |n: usize| NamedTensor { shape: vec![n, 2], values: vec![0.5; n * 2] };
    Weights::from([("a.weight".to_owned(), tensor(3)), ("b".to_owned(), tensor(0))])
}

#[test]
fn whatever_a_weight_file_says_it_is_refused_or_read_alike_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, again) = (folder.path().join("ours"), folder.path().join("again"));
    let about = BTreeMap::from([("state".to_owned(), "{}".to_owned())]);
    weights::write(&ours, &small(), &about).unwrap();
    let mut seeds = contents(&testdata("weights"));
    seeds.retain(|bytes| bytes.len() < 1 << 16);
    seeds.push(std::fs::read(&ours).unwrap());
    let target = Target {
        name: "weights",
        file: "weights",
        seeds,
        words: &[
            "\"shape\":[",
            "\"data_offsets\":[",
            "__metadata__",
            "F32",
            "PK\u{1}\u{2}",
            "data.pkl",
            "ctorch._utils\n_rebuild_tensor_v2\n",
            "cos\nsystem\n",
            "\u{80}\u{2}",
            "}q",
            "R.",
            "state_dict",
        ],
        head: usize::MAX,
    };
    target.run(|file, _| {
        let metadata = weights::read_metadata(file);
        drop(metadata);
        let Ok(read) = weights::read(file) else { return };
        for (name, tensor) in &read {
            assert_eq!(tensor.shape.iter().product::<usize>(), tensor.values.len(), "{name}");
        }
        weights::write(&again, &read, &BTreeMap::new()).unwrap();
        let written = weights::read(&again).unwrap();
        assert!(written.keys().eq(read.keys()), "written and read: other tensors");
    });
}

#[test]
fn whatever_a_vocabulary_says_it_is_refused_or_written_as_it_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, again) = (folder.path().join("ours.json"), folder.path().join("again.json"));
    let texts = ["red hat", "blue hat with a feather", "green shoes, size 3"];
    let kinds = [Rules::Words { min_count: 1 }, Rules::Pieces { size: 40 }];
    let seeds = kinds.map(|rules| {
        Vocabulary::learn(texts, &rules).save(&ours).unwrap();
        std::fs::read(&ours).unwrap()
    });
    let target = Target {
        name: "vocabulary",
        file: "vocabulary.json",
        seeds: seeds.to_vec(),
        words: &["\"pieces\":[", "\"joins\":[[", "\"words\":[", "\"seen\":[", "],[", "\"\"", ","],
        head: usize::MAX,
    };
    target.run(|file, _| {
        let Ok(vocabulary) = Vocabulary::load(file) else { return };
        vocabulary.save(&again).unwrap();
        let written = Vocabulary::load(&again).unwrap();
        for text in texts.into_iter().chain(["", "\u{1b} ünknown", "hathathat"]) {
            let tokens = vocabulary.encode(text);
            assert!(tokens.iter().all(|&token| (token as usize) < vocabulary.len()), "{text}");
            assert_eq!(written.encode(text), tokens, "{text}");
        }
        vocabulary.batch(&texts, 5);
    });
}
