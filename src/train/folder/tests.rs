use super::*;
use crate::catalogue::Source;
use crate::train::Recipe;
use crate::units::Seed;

/// What each file that a run makes begins with.
const OURS: &[(&str, &[u8])] = &[
    (".lock", b""),
    ("cache-0123456789ab.pixels", b"lookpix\0\x02\0\0\0"),
    (".cache-0123456789ab.pixels.4711.tmp", b"\0\0\0\0\0\0\0\0\0\0"),
    ("log.jsonl", b""),
    ("weights-0123456789abcdef.safetensors", b"\x20\0\0\0\0\0\0\0{\"image.conv1.weight\":"),
    ("vocabulary-0123456789abcdef.json", b"{\"format\":\"looksee-vocabulary\",\"version\":1}"),
    (".weights-0123456789abcdef.safetensors.4711.tmp", b"\x20\0\0\0"),
    (".model.toml.4711.tmp", b"format = 2"),
    (".report.html.4711.tmp", b"<!doctype html>\n<!-- what a tr"),
    ("checkpoints/.last.safetensors.4711.tmp", b"\x20\0\0"),
];

fn write(folder: &Path, name: &str, content: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn job(output: &Path, resume: bool) -> Job {
    Job {
        recipe: Recipe::named("default").unwrap(),
        source: Source::default(),
        output: output.to_path_buf(),
        label_field: None,
        weights: None,
        word_vectors: None,
        resume,
        minutes: None,
        seed: Seed(0),
    }
}

/// What the plain command and `--resume` get.
fn both(folder: &Path) -> [Option<Found>; 2] {
    [false, true].map(|resume| admit(&job(folder, resume)).ok())
}

#[test]
fn a_new_or_an_empty_folder_is_begun_in_and_holds_nothing_to_resume() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("new"), folder.path().to_path_buf()] {
        assert_eq!(both(&path), [Some(Found::Nothing), None]);
    }
    write(folder.path(), ".DS_Store", b"x");
    assert_eq!(both(folder.path()), [Some(Found::Nothing), None]);
}

#[test]
fn what_a_run_leaves_before_its_first_checkpoint_is_begun_in_either_way() {
    let all = tempfile::tempdir().unwrap();
    for (name, content) in OURS {
        let folder = tempfile::tempdir().unwrap();
        for folder in [folder.path(), all.path()] {
            write(folder, name, content);
            assert_eq!(both(folder), [Some(Found::Preparation); 2], "{name}");
        }
    }
    write(all.path(), "log.jsonl", b"{\"active\":0.5}\n");
    assert_eq!(both(all.path()), [Some(Found::Preparation); 2]);
}

#[test]
fn a_model_or_a_checkpoint_is_gone_on_from_with_resume_alone() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "model.toml", b"format = 1\nfingerprint");
    assert_eq!(both(folder.path()), [None, Some(Found::Model)]);
    write(folder.path(), "checkpoints/last.safetensors", b"");
    assert_eq!(both(folder.path()), [None, Some(Found::Checkpoint)]);
    std::fs::remove_file(folder.path().join("model.toml")).unwrap();
    assert_eq!(both(folder.path()), [None, Some(Found::Checkpoint)]);
    // The page of an earlier run is in nobody's way.
    write(folder.path(), "report.html", Report::BEGINNING.as_bytes());
    assert_eq!(both(folder.path()), [None, Some(Found::Checkpoint)]);
    // What a person put beside a model of ours is no hindrance.
    write(folder.path(), "model.toml", b"format = 1\nfingerprint");
    write(folder.path(), "notes.txt", b"mine");
    assert_eq!(both(folder.path()), [None, Some(Found::Checkpoint)]);
}

#[test]
fn a_folder_that_is_not_ours_is_refused_by_the_name_of_what_is_in_it() {
    let foreign: &[(&str, &[u8])] = &[
        ("weights.safetensors", b"\x20\0\0\0\0\0\0\0{\"image.conv1.weight\":"),
        ("weights-0123456789abcdef.safetensors", b"the weights of my dumb-bells"),
        ("vocabulary.json", b"{\"format\":\"looksee-vocabulary\""),
        ("log.jsonl", b"{\"event\":\"mine\"}"),
        ("skipped.jsonl", b"{\"file\":\"mine\"}"),
        ("report.html", b"<!doctype html>\n<html>my thesis"),
        ("model.toml", b"[package]"),
        ("cache-0123456789ab.pixels", b"mine"),
        ("checkpoints/epoch-3.pth", b"mine"),
        ("checkpoints/last.safetensors/mine", b""),
        ("pictures/cat.jpg", b"mine"),
        ("clip.mp4", b"mine"),
        (".notes.12.tmp", b"mine"),
    ];
    for (name, content) in foreign {
        let folder = tempfile::tempdir().unwrap();
        for (ours, content) in OURS {
            if ours != name && !name.starts_with(&format!("{ours}/")) {
                write(folder.path(), ours, content);
            }
        }
        write(folder.path(), name, content);
        assert_eq!(both(folder.path()), [None; 2], "{name}");
        let error = admit(&job(folder.path(), false)).unwrap_err();
        let first = Path::new(name).components().next().unwrap();
        assert!(error.file().unwrap().starts_with(folder.path().join(first)), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn links_are_refused_also_beside_a_model_of_ours() {
    for name in ["model.toml", ".lock", "log.jsonl", "skipped.jsonl", "report.html", "checkpoints"]
    {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("output");
        write(&output, "weights-0123456789abcdef.safetensors", b"");
        if name != "model.toml" {
            write(&output, "model.toml", b"format = 2\nchecksum");
        }
        write(folder.path(), "precious/last.safetensors", b"years of work");
        std::os::unix::fs::symlink("../precious", output.join(name)).unwrap();
        for resume in [false, true] {
            let error = admit(&job(&output, resume)).unwrap_err().to_string();
            assert!(error.contains("symbolic link"), "{name}: {error}");
        }
    }
}

#[test]
fn tidying_takes_what_is_half_written_and_nothing_that_is_named_or_foreign() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in OURS {
        write(folder.path(), name, content);
    }
    let stay = [".notes.12.tmp", "checkpoints/.notes.12.tmp", "weights.safetensors", "notes"];
    for name in stay {
        write(folder.path(), name, b"mine");
    }
    tidy(folder.path());
    let left = [".lock", "cache-0123456789ab.pixels", "log.jsonl"];
    for (name, _) in OURS {
        assert_eq!(folder.path().join(name).exists(), left.contains(name), "{name}");
    }
    assert!(stay.iter().all(|name| folder.path().join(name).exists()));
}

#[test]
fn pretrained_weights_in_the_output_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "output/resnet.pth", b"");
    write(folder.path(), "resnet.pth", b"");
    let refused = |name: &str| {
        let weights = Some(folder.path().join(name));
        refuse_weights_inside(&Job { weights, ..job(&folder.path().join("output"), true) })
    };
    assert!(refused("output/resnet.pth").is_err());
    assert!(refused("output/../resnet.pth").is_ok());
}

#[test]
fn a_run_that_failed_takes_away_what_it_made_and_no_more() {
    let failed = Error::invalid("failed");
    let stopped = Error::new(ErrorKind::Interrupted, "stopped");
    let all = tempfile::tempdir().unwrap();
    let output = all.path().join("new/model");
    let run = |files: &[&(&str, &[u8])], found, error: &Error| {
        let made = Made::folder(&output).unwrap();
        for (name, content) in files {
            write(&output, name, content);
        }
        discard(&job(&output, false), found, &made, error);
        output.exists()
    };
    let ours: Vec<_> = OURS.iter().collect();
    assert!(!run(&ours, Found::Nothing, &failed));
    assert!(!all.path().join("new").exists());
    assert!(!run(&[], Found::Nothing, &failed));
    // Interrupted, the decoded pictures are worth keeping.
    assert!(!run(&ours[..1], Found::Nothing, &stopped));
    assert!(run(&ours, Found::Nothing, &stopped));
    assert_eq!(both(&output), [Some(Found::Preparation); 2]);
    // What an earlier run left is not this one's.
    assert!(run(&ours, Found::Preparation, &failed));
    assert_eq!(entries(&output).unwrap().len(), OURS.len());
    for there in [
        ("checkpoints/last.safetensors", &b"\x20\0\0\0\0\0\0\0{\"__metadata__\":"[..]),
        ("model.toml", b"format = 2\n"),
        ("diary.txt", b"mine"),
    ] {
        std::fs::remove_dir_all(&output).unwrap();
        assert!(run(&[&there, ours[0]], Found::Nothing, &failed), "{}", there.0);
        assert!(output.join(there.0).is_file());
    }
}

#[test]
fn a_folder_that_was_there_stays_and_is_empty_again() {
    let folder = tempfile::tempdir().unwrap();
    let made = Made::folder(folder.path()).unwrap();
    for (name, content) in OURS {
        write(folder.path(), name, content);
    }
    discard(&job(folder.path(), false), Found::Nothing, &made, &Error::invalid("failed"));
    assert_eq!(entries(folder.path()).unwrap(), Vec::<PathBuf>::new());
}
