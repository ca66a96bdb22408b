use std::sync::Arc;

use super::*;
use crate::bench::made::made;
use crate::encoder::parameters::{Mode, Pass};
use crate::images::ImageBatch;
use crate::ops::values_of;

/// A weight file's tensors for a network, under the names of the originals, with other values for
/// every tensor.
fn original(network: ConvolutionalNetwork) -> Weights {
    let mut parameters = Parameters::default();
    network.layers(Convention::Original).add_parameters(&mut parameters, Seed(7));
    let of_network = parameters.to_weights().into_iter();
    let mut weights: Weights = of_network
        .map(|(name, tensor)| (name.strip_prefix(PREFIX).unwrap().to_owned(), tensor))
        .collect();
    // What statistics there are begins alike: make each its own.
    for (number, tensor) in weights.values_mut().enumerate() {
        tensor.values[0] = number as f32;
    }
    let head = if is_resnet(network) { "fc" } else { "_fc" };
    weights.insert(format!("{head}.bias"), NamedTensor { shape: vec![3], values: vec![0.0; 3] });
    weights
}

/// The same tensors as timm names them, written down from the tables of its EfficientNet-Lite:
/// `counts` are the blocks of each stage.
fn as_timm(weights: &Weights, counts: [usize; 7]) -> Weights {
    let mut table = BTreeMap::from([
        ("_conv_stem".to_owned(), "conv_stem".to_owned()),
        ("_bn0".to_owned(), "bn1".to_owned()),
        ("_conv_head".to_owned(), "conv_head".to_owned()),
        ("_bn1".to_owned(), "bn2".to_owned()),
        ("_fc".to_owned(), "classifier".to_owned()),
    ]);
    let first = [
        ("_depthwise_conv", "conv_dw"),
        ("_bn1", "bn1"),
        ("_project_conv", "conv_pw"),
        ("_bn2", "bn2"),
    ];
    let others = [
        ("_expand_conv", "conv_pw"),
        ("_bn0", "bn1"),
        ("_depthwise_conv", "conv_dw"),
        ("_bn1", "bn2"),
        ("_project_conv", "conv_pwl"),
        ("_bn2", "bn3"),
    ];
    let mut number = 0;
    for (stage, count) in counts.into_iter().enumerate() {
        for block in 0..count {
            let parts: &[_] = if stage == 0 { &first } else { &others };
            for (port, timm) in parts {
                let timm = format!("blocks.{stage}.{block}.{timm}");
                table.insert(format!("_blocks.{number}.{port}"), timm);
            }
            number += 1;
        }
    }
    let renamed = |(name, tensor): (&String, &NamedTensor)| {
        let (module, kind) = name.rsplit_once('.').unwrap();
        (format!("{}.{kind}", table[module]), tensor.clone())
    };
    weights.iter().map(renamed).collect()
}

fn called(names: &[&str]) -> Surroundings {
    let names = names.iter().map(|&name| name.to_owned()).collect();
    Surroundings { names, ..Surroundings::default() }
}

const LITE0: [usize; 7] = [1, 2, 2, 3, 3, 4, 1];
const LITE1: [usize; 7] = [1, 3, 3, 4, 4, 5, 1];

#[test]
fn every_network_is_known_by_its_tensors() {
    for network in ConvolutionalNetwork::ALL {
        let found = Pretrained::of(original(network), &Surroundings::default()).unwrap();
        assert_eq!(found.network(), network);
        assert_eq!(found.pixels(), network.pixels());
        assert!(found.expect(network).is_ok());
    }
}

#[test]
fn weights_of_another_network_are_named_even_when_the_smaller_one_would_fit() {
    let found =
        Pretrained::of(original(ConvolutionalNetwork::ResNet34), &Surroundings::default()).unwrap();
    let error = found.expect(ConvolutionalNetwork::ResNet18).unwrap_err();
    assert_eq!(error.to_string(), "these are weights of resnet34, and the image tower is resnet18");
    assert_eq!(error.fact(), Some(&Fact::OtherNetwork));
}

#[test]
fn a_network_that_looksee_does_not_have_is_refused_with_those_that_it_has() {
    let mut wide = original(ConvolutionalNetwork::ResNet50);
    wide.get_mut("layer1.0.conv1.weight").unwrap().shape = vec![128, 64, 1, 1];
    let error = Pretrained::of(wide, &Surroundings::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    assert!(error.to_string().contains("resnet101"), "{error}");
    let mut b0 = as_timm(&original(ConvolutionalNetwork::EfficientNetLite0), LITE0);
    let tensor = NamedTensor { shape: vec![1], values: vec![0.0] };
    b0.insert("blocks.0.0.se.conv_reduce.weight".to_owned(), tensor);
    let error = Pretrained::of(b0, &called(&["tf_efficientnet_b0"])).unwrap_err();
    assert!(error.to_string().contains("squeeze-and-excite"), "{error}");
}

#[test]
fn timms_names_come_to_the_tensors_of_the_port() {
    for (network, counts, name) in [
        (ConvolutionalNetwork::EfficientNetLite0, LITE0, "tf_efficientnet_lite0"),
        (ConvolutionalNetwork::EfficientNetLite1, LITE1, "tf_efficientnet_lite1"),
        (ConvolutionalNetwork::EfficientNetLite2, LITE1, "tf_efficientnet_lite2"),
    ] {
        let port = original(network);
        let found = Pretrained::of(as_timm(&port, counts), &called(&[name])).unwrap();
        assert_eq!(found.network(), network);
        let expected: Weights =
            port.into_iter().map(|(name, tensor)| (format!("{PREFIX}{name}"), tensor)).collect();
        assert_eq!(found.weights, expected);
    }
}

#[test]
fn the_name_tells_which_of_timms_two_trainings_a_file_is() {
    let lite0 = as_timm(&original(ConvolutionalNetwork::EfficientNetLite0), LITE0);
    for (names, convention, pixels) in [
        (&["tf_efficientnet_lite0-0aa007d2.pth", "Downloads"][..], Convention::Original, HALF),
        (&["efficientnet_lite0_ra-37913777.pth"], Convention::Timm, resnet::PIXELS),
        (
            &[
                "model.safetensors",
                "3882593",
                "snapshots",
                "models--timm--tf_efficientnet_lite0.in1k",
            ],
            Convention::Original,
            HALF,
        ),
        (&["model.safetensors", "efficientnet-lite0.ra_in1k"], Convention::Timm, resnet::PIXELS),
        // The nearest name counts.
        (&["tf_efficientnet_lite0.pth", "efficientnet_lite0"], Convention::Original, HALF),
    ] {
        let found = Pretrained::of(lite0.clone(), &called(names)).unwrap();
        assert_eq!(found.demands(), Demands { convention, pixels }, "{names:?}");
    }
    let error = Pretrained::of(lite0, &called(&["model.safetensors"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("rename the file"), "{error}");
}

#[test]
fn where_timm_has_one_training_alone_it_is_assumed_and_said() {
    let lite1 = as_timm(&original(ConvolutionalNetwork::EfficientNetLite1), LITE1);
    let found = Pretrained::of(lite1, &called(&["model.safetensors"])).unwrap();
    assert_eq!(found.demands(), Demands { convention: Convention::Original, pixels: HALF });
    assert!(found.origin().contains("assumed"), "{}", found.origin());
}

#[test]
fn a_configuration_beside_the_file_says_architecture_and_scaling() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let lite0 = as_timm(&original(ConvolutionalNetwork::EfficientNetLite0), LITE0);
    weights::write(&path, &lite0, &BTreeMap::from([("format".to_owned(), "pt".to_owned())]))
        .unwrap();
    let config = |mean: &str| {
        let text = format!(
            r#"{{"architecture": "tf_efficientnet_lite0", "num_features": 1280,
                "pretrained_cfg": {{"mean": [{mean}, 0.5, 0.5], "std": [0.25, 0.5, 0.5]}}}}"#
        );
        std::fs::write(folder.path().join("config.json"), text).unwrap();
    };
    config("0.25");
    let found = Pretrained::read(&path).unwrap();
    let pixels = PixelScale { mean: [0.25, 0.5, 0.5], deviation: [0.25, 0.5, 0.5] };
    assert_eq!(found.demands(), Demands { convention: Convention::Original, pixels });
    assert!(found.origin().contains("config.json"), "{}", found.origin());
    config("1e9");
    let error = Pretrained::read(&path).unwrap_err();
    assert!(error.to_string().contains("a mean or a deviation"), "{error}");
    // Metadata of the file itself come first.
    std::fs::remove_file(folder.path().join("config.json")).unwrap();
    let about = BTreeMap::from([("model".to_owned(), "efficientnet_lite0.ra_in1k".to_owned())]);
    weights::write(&path, &lite0, &about).unwrap();
    assert_eq!(Pretrained::read(&path).unwrap().demands().convention, Convention::Timm);
}

/// A weight file's tensors by the formula of `testdata/reference/README.md`, under their own names.
fn by_formula(shapes: Weights) -> Weights {
    let filled =
        shapes.into_iter().filter(|(name, _)| !name.contains("fc.") && name != "classifier.bias");
    filled
        .map(|(name, NamedTensor { shape, values })| {
            let fan_in: usize = shape[1..].iter().product();
            let (scale, shift) = match name.rsplit('.').next() {
                Some("running_mean" | "bias") => (0.1, 0.0),
                _ if shape.len() == 1 => (0.25, 1.0),
                _ => ((3.0 / fan_in as f64).sqrt() * 2.0_f64.sqrt(), 0.0),
            };
            let values = made(&name, values.len(), scale, shift);
            (name, NamedTensor { shape, values })
        })
        .collect()
}

/// The scene of `testdata/reference/pretrained.py`.
fn scene(width: i32, height: i32) -> Vec<u8> {
    let pixel = |x: i32, y: i32| {
        if (x - 25).abs() < 13 && (y - 40).abs() < 11 {
            [190, 35, 45]
        } else if (x - 60).pow(2) + (y - 17).pow(2) < 121 {
            [250, 215, 60]
        } else if y < 38 {
            [90 + y, 140 + y, 250 - x / 2]
        } else {
            [60 + x / 2, 130 - y / 2, 40 + (x * y) % 23]
        }
    };
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    places.flat_map(|(x, y)| pixel(x, y).map(|value| value as u8)).collect()
}

#[derive(Deserialize)]
struct Reference {
    height: usize,
    width: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    features: usize,
    l2: f64,
    first: Vec<f64>,
    last: Vec<f64>,
    f32_distance: f64,
}

#[test]
fn weights_under_torchvisions_and_timms_names_give_pytorchs_features() {
    let text = include_str!("../../../testdata/reference/pretrained.json");
    let Reference { height, width, cases } = serde_json::from_str(text).unwrap();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let shapes = match case.name.as_str() {
            "resnet34" => original(ConvolutionalNetwork::ResNet34),
            _ => as_timm(&original(ConvolutionalNetwork::EfficientNetLite0), LITE0),
        };
        let found = Pretrained::of(by_formula(shapes), &called(&[&case.name])).unwrap();
        let network = found.network().layers(found.demands().convention);
        let mut parameters = Parameters::waiting();
        network.add_parameters(&mut parameters, Seed(0));
        found.put_into(&mut parameters, |_| true).unwrap();
        let rgb = scene(width as i32, height as i32);
        let batch = ImageBatch { width_px: width, height_px: height, rgb };
        let pass = Pass::new(Arc::new(parameters), Mode::Inference);
        let map = network.forward(&pass, found.pixels().of(&batch));
        let [_, rows, columns, features] = map.dims();
        let mean = map.reshape([rows * columns, features]).mean_dim(0);
        let ours: Vec<f64> = values_of(mean).into_iter().map(f64::from).collect();
        assert_eq!(ours.len(), case.features);
        let l2 = ours.iter().map(|x| x * x).sum::<f64>().sqrt();
        let ends =
            ours.iter().zip(&case.first).chain(ours.iter().rev().zip(case.last.iter().rev()));
        let furthest = ends.map(|(a, b)| (a - b).abs()).fold((l2 - case.l2).abs(), f64::max);
        let bound = 4.0 * case.f32_distance.max(3e-7) * case.l2;
        assert!(furthest <= bound, "{}: off by {furthest}, and {bound} may be", case.name);
    }
}
