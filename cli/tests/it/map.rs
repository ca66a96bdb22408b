//! `looksee map`, from an index and from any vectors.

use std::path::Path;

use serde_json::Value;

use crate::shop;
use crate::util::Folder;

/// A numpy file of three clusters of rows of four values, and their labels.
pub(crate) fn write_vectors(folder: &Folder, rows: usize) {
    let values = (0..rows * 4).map(|at| {
        let (row, axis) = (at / 4, at % 4);
        let noise = (at * 7919 % 101) as f32 / 101.0;
        if axis == row % 3 { 8.0 + noise } else { noise }
    });
    let values: Vec<f32> = values.collect();
    let mut text =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, 4), }}").into_bytes();
    text.resize(118, b' ');
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend_from_slice(&text);
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    folder.write("x.npy", bytes);
    let labels: Vec<String> = (0..rows).map(|row| format!("kind {}", row % 3)).collect();
    folder.write("labels.txt", labels.join("\n"));
}

fn document(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Positions of a float32 [n, 2] numpy file.
fn layout(path: &Path) -> Vec<[f32; 2]> {
    let bytes = std::fs::read(path).unwrap();
    let values: Vec<f32> =
        bytes[128..].as_chunks::<4>().0.iter().map(|&value| f32::from_le_bytes(value)).collect();
    values.as_chunks::<2>().0.to_vec()
}

#[test]
fn an_index_is_drawn_in_every_format() {
    let folder = shop::indexed();
    for (file, begins) in [
        ("map.png", b"\x89PNG".as_slice()),
        ("map.svg", b"<svg"),
        ("map.html", b"<!doctype html>"),
        ("map.npy", b"\x93NUMPY"),
    ] {
        let ran = folder.run(["map", "index", "-o", file, "--color-by", "color"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(
            ran.stdout.contains(&format!("100 pictures and 100 texts in {file}")),
            "{}",
            ran.stdout
        );
        for figure in ["KL divergence", "modality gap", "mutual nearest", "uniformity", "mean rank"]
        {
            assert!(ran.stdout.contains(figure), "{figure}: {}", ran.stdout);
        }
        let bytes = std::fs::read(folder.path().join(file)).unwrap();
        assert!(bytes.starts_with(begins), "{file}");
    }
}

#[test]
fn the_json_of_a_map_has_every_picture_and_text() {
    let folder = shop::indexed();
    let ran = folder.run(["map", "index", "-o", "map.json", "--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&report["points"], &report["method"]), (&200.into(), &"exact".into()));
    let map = document(&folder.path().join("map.json"));
    let points = map["points"].as_array().unwrap();
    for kind in ["image", "text"] {
        assert_eq!(points.iter().filter(|point| point["kind"] == kind).count(), 100);
    }
    assert!(points.iter().all(|point| point["x"].is_f64() && point["id"].is_string()));
    assert!(map["kl"].as_f64().unwrap() > 0.0);
    assert!(
        map["alignment"]["modality_gap"].is_f64() && map["alignment"]["mutual_nearest"].is_f64()
    );
}

#[test]
fn the_article_draws_pictures_red_texts_blue_and_links_green() {
    let folder = shop::indexed();
    let article = ["map", "index", "--recipe", "article", "-o"];
    let ran = folder.run(article.into_iter().chain(["a.svg"]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let svg = std::fs::read_to_string(folder.path().join("a.svg")).unwrap();
    for what in ["100 pictures", "100 texts", "90 links", "mean rank", "random pairs"] {
        assert!(svg.contains(what), "{what}");
    }
    folder.run(article.into_iter().chain(["b.svg"]));
    let again = std::fs::read_to_string(folder.path().join("b.svg")).unwrap();
    assert!(svg == again, "the same seed draws the same picture");
}

#[test]
fn vectors_of_any_length_keep_their_clusters() {
    let folder = Folder::new();
    write_vectors(&folder, 150);
    let ran = folder.run(["map", "--vectors", "x.npy", "--labels", "labels.txt", "-o", "y.npy"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("x: 150 vectors in y.npy"), "{}", ran.stdout);
    let positions = layout(&folder.path().join("y.npy"));
    let square = |a: [f32; 2], b: [f32; 2]| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2);
    for (own, &position) in positions.iter().enumerate() {
        let others = (0..positions.len()).filter(|&other| other != own);
        let nearest = others.min_by(|&a, &b| {
            square(position, positions[a]).total_cmp(&square(position, positions[b]))
        });
        assert_eq!(nearest.unwrap() % 3, own % 3, "row {own}");
    }
}

#[test]
fn an_earlier_map_stays_where_it_is_when_new_points_come() {
    let folder = shop::indexed();
    let ran = folder.run(["map", "index", "--sample", "60", "-o", "old.json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let ran = folder.run(["map", "index", "--onto", "old.json", "-o", "new.json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let [old, new] = ["old.json", "new.json"].map(|file| document(&folder.path().join(file)));
    let (old, new) = (old["points"].as_array().unwrap(), new["points"].as_array().unwrap());
    assert_eq!((old.len(), new.len()), (120, 200));
    assert!(old.iter().all(|point| new.contains(point)), "an old point moved");

    write_vectors(&folder, 120);
    folder.run(["map", "--vectors", "x.npy", "-o", "y.npy"]);
    let before = layout(&folder.path().join("y.npy"));
    write_vectors(&folder, 130);
    let ran = folder.run(["map", "--vectors", "x.npy", "--onto", "y.npy", "-o", "z.npy"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let after = layout(&folder.path().join("z.npy"));
    assert!(after.len() == 130 && after[..120] == before);
    let sampled =
        ["map", "--vectors", "x.npy", "--sample", "30", "--onto", "y.npy", "-o", "s.json"];
    let ran = folder.run(sampled);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for point in document(&folder.path().join("s.json"))["points"].as_array().unwrap() {
        let row: usize = point["id"].as_str().unwrap().parse().unwrap();
        if let Some([x, y]) = before.get(row) {
            for (axis, old) in [("x", x), ("y", y)] {
                assert!(
                    (point[axis].as_f64().unwrap() - f64::from(*old)).abs() < 1e-4,
                    "row {row}"
                );
            }
        }
    }
}

#[test]
fn what_cannot_be_drawn_is_refused_with_what_to_do() {
    let folder = shop::indexed();
    write_vectors(&folder, 40);
    folder.write("short.txt", "a\nb\n");
    folder.write("notes.npy", "no numpy");
    folder.write("other.json", "{\"points\": []}");
    let filled = std::fs::read(folder.path().join("x.npy")).unwrap();
    write_vectors(&folder, 0);
    std::fs::rename(folder.path().join("x.npy"), folder.path().join("empty.npy")).unwrap();
    folder.write("x.npy", filled);
    let mut bytes = std::fs::read(folder.path().join("x.npy")).unwrap();
    bytes[128 + 16 * 7..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    folder.write("nan.npy", bytes);
    for (words, sentence) in [
        (
            &["map", "index", "-o", "map.gif"][..],
            "a map is an .html, .png, .svg, .json or .npy file",
        ),
        (
            &["map", "index", "-o", "m.png", "--color-by", "size2"],
            "no item has a field \"size2\" to colour by (fields: color, size)",
        ),
        (&["map", "--vectors", "notes.npy", "-o", "m.png"], "notes.npy: this is no numpy file"),
        (
            &["map", "--vectors", "x.npy", "--labels", "short.txt", "-o", "m.png"],
            "short.txt: 2 labels for 40 rows",
        ),
        (&["map", "--vectors", "nan.npy", "-o", "m.png"], "row 7 holds NaN"),
        (
            &["map", "index", "--onto", "other.json", "-o", "m.json"],
            "none of the points to draw is on this map",
        ),
        (
            &["map", "--vectors", "empty.npy", "-o", "m.png"],
            "empty.npy: there is nothing in it to draw",
        ),
        (&["map", "-o", "m.png"], "required"),
        (&["map", "index", "-o", "nowhere/m.png"], "nowhere: there is no such folder"),
    ] {
        let ran = folder.run(words);
        assert_eq!(ran.code, Some(2), "{words:?}");
        assert!(ran.stderr.contains(sentence), "{words:?}: {}", ran.stderr);
        assert!(!folder.path().join("m.png").exists());
    }
    let ran = folder.run(["map", "--vectors", "x.npy", "-o", "m.json", "--perplexity", "30"]);
    assert_eq!(ran.code, Some(0));
    assert!(
        ran.stderr.contains("warning: a perplexity of 30 needs more than 90 points, there are 40")
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_the_map_as_it_is() {
    let folder = Folder::new();
    write_vectors(&folder, 3000);
    let words = ["map", "--vectors", "x.npy", "-o", "y.npy", "--iterations", "100000000"];
    let child = folder.program(words).stderr(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("the map as it was by then is in y.npy"), "{said}");
    let positions = layout(&folder.path().join("y.npy"));
    assert!(positions.len() == 3000 && positions.iter().flatten().all(|x| x.is_finite()));
}
