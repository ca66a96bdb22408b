use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::encoder::folder::{FORMER_VOCABULARY, FORMER_WEIGHTS, clear, save};
use crate::encoder::former::FormerArchitecture;
use crate::encoder::{About, Calibration, TextPreprocessing};
use crate::train::Recipe;
use crate::units::Seed;

/// The parts of a small model.
struct Parts {
    recipe: Recipe,
    vocabulary: Vocabulary,
    parameters: Parameters,
}

impl Parts {
    fn new(seed: u64) -> Self {
        let mut recipe = Recipe::named("default").unwrap();
        for (key, value) in [
            ("dim", "4"),
            ("image.tower", "efficientnet-lite0"),
            ("image.width", "32"),
            ("image.height", "32"),
            ("text_tower.embedding", "8"),
            ("text_tower.hidden", "8"),
            // What earlier builds could describe.
            ("image.colours", "false"),
            ("text_tower.mean", "false"),
        ] {
            recipe.set(key, value).unwrap();
        }
        let vocabulary = Vocabulary::learn(["red hat", "blue hat"], &recipe.tokens);
        let towers = Towers::new(&recipe.architecture(), vocabulary.len());
        let parameters = towers.parameters(Seed(seed));
        Self { recipe, vocabulary, parameters }
    }

    fn about(&self) -> About {
        About {
            architecture: self.recipe.architecture(),
            calibration: Calibration::default(),
            data: toml::Table::new(),
            metrics: toml::Table::new(),
            recipe: toml::Table::new(),
        }
    }

    fn save(&self, folder: &Path) -> Card {
        save(folder, &self.parameters, &self.vocabulary, self.about()).unwrap()
    }

    /// Writes the model as format 1 had it.
    fn save_former(&self, folder: &Path) {
        let paths = [FORMER_WEIGHTS, FORMER_VOCABULARY].map(|name| folder.join(name));
        let tensors = self.parameters.to_weights();
        weights::write(&paths[0], &tensors, &BTreeMap::new()).unwrap();
        self.vocabulary.save(&paths[1]).unwrap();
        let [bytes, words] = paths.map(|path| files::read(&path).unwrap());
        let shape = FormerArchitecture::of(&self.recipe);
        let text_of_shape = toml::to_string(&shape).unwrap();
        let text = format!(
            "format = 1\nfingerprint = \"{}\"\nweights_checksum = \"{}\"\n\n[data]\n\n[metrics]\n\n\
             [recipe]\n\n[calibration]\nscale = 10.0\noffset = -5.0\n\n{}",
            files::fingerprint([&bytes, &words, text_of_shape.as_bytes()]),
            hex(files::checksum(&bytes)),
            toml::to_string(&toml::Table::from_iter([(
                "architecture".to_owned(),
                toml::Value::try_from(shape).unwrap(),
            )]))
            .unwrap(),
        );
        std::fs::write(folder.join(CARD), text).unwrap();
    }
}

fn saved() -> (tempfile::TempDir, Card) {
    let folder = tempfile::tempdir().unwrap();
    let card = Parts::new(0).save(folder.path());
    (folder, card)
}

fn of_words(model: &Model) -> Result<Vectors> {
    model.texts(&["red hat", "green"])
}

fn of_pictures(model: &Model) -> Result<Vectors> {
    let mut batch = ImageBatch::new(model.frame());
    batch.push(&vec![77; model.frame().bytes()]);
    model.images(&batch)
}

fn flip(path: &Path, place: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[place] ^= 4;
    std::fs::write(path, bytes).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn loaded_and_verified(folder: &Path) -> Result<()> {
    Model::load(folder)?.verify()
}

#[test]
fn weights_that_are_not_finite_are_refused_by_the_name_of_their_tensor() {
    let folder = tempfile::tempdir().unwrap();
    let mut parts = Parts::new(0);
    let (_, broken) = parts.parameters.iter_mut().find(|(n, _)| *n == "text.fc.weight").unwrap();
    broken.values[3] = f32::NEG_INFINITY;
    let card = parts.save(folder.path());
    let model = Model::load(folder.path()).unwrap();
    for error in [of_words(&model).unwrap_err(), model.verify().unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(error.file(), Some(folder.path().join(&card.files.weights).as_path()));
        assert!(error.to_string().contains("tensor text.fc.weight holds 1 values"), "{error}");
    }
    assert!(of_pictures(&model).is_ok());
}

#[test]
fn a_query_of_words_reads_only_the_text_tower() {
    let (folder, card) = saved();
    let expected = of_words(&Model::load(folder.path()).unwrap()).unwrap();
    let weights = folder.path().join(&card.files.weights);
    let Guard::Parts { header, image, .. } =
        Guard::parts(&card, &Towers::new(&card.architecture, Parts::new(0).vocabulary.len()))
    else {
        panic!("format 1");
    };
    flip(&weights, header.len());
    flip(&weights, header.len() + image.bytes() as usize - 1);
    let model = Model::load(folder.path()).unwrap();
    assert_eq!(of_words(&model).unwrap(), expected);
    for error in [of_pictures(&model).unwrap_err(), model.verify().unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("other values of the image tower"), "{error}");
    }
}

#[test]
fn words_are_embedded_while_the_image_tower_is_at_work() {
    let (folder, _) = saved();
    let model = Model::load(folder.path()).unwrap();
    let (done, words) = std::sync::mpsc::channel();
    let at_work = model.passes.of_side(Side::Image);
    std::thread::scope(|scope| {
        scope.spawn(|| done.send(of_words(&model).map(drop)));
        let waited = words.recv_timeout(std::time::Duration::from_mins(1));
        drop(at_work);
        waited.expect("the words wait for the pictures").unwrap();
    });
}

#[test]
fn a_change_in_any_file_is_found() {
    let (folder, card) = saved();
    let length = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().len() as usize;
    assert!(loaded_and_verified(folder.path()).is_ok());
    for name in [CARD, &card.files.weights, &card.files.vocabulary] {
        let (path, length) = (folder.path().join(name), length(name));
        for place in [0, 7, 8, length / 100, length / 3, length / 2, length - 2, length - 1] {
            flip(&path, place);
            let error = loaded_and_verified(folder.path()).unwrap_err();
            assert_ne!(error.kind(), ErrorKind::Io, "byte {place} of {name}: {error}");
            flip(&path, place);
        }
        let whole = std::fs::read(&path).unwrap();
        for cut in [0, 10, length / 2, length - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(loaded_and_verified(folder.path()).is_err(), "{cut} bytes of {name}");
        }
        std::fs::remove_file(&path).unwrap();
        let error = loaded_and_verified(folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        std::fs::write(&path, whole).unwrap();
    }
    assert!(loaded_and_verified(folder.path()).is_ok());
}

#[test]
fn texts_are_joined_and_cut_as_the_description_says() {
    let (folder, parts) = (tempfile::tempdir().unwrap(), Parts::new(0));
    let mut about = parts.about();
    about.architecture.preprocessing.texts =
        TextPreprocessing { separator: " + ".to_owned(), longest: 1 };
    save(folder.path(), &parts.parameters, &parts.vocabulary, about).unwrap();
    let model = Model::load(folder.path()).unwrap();
    assert_eq!(model.join(&["red".to_owned(), "hat".to_owned()]).unwrap(), "red + hat");
    let of = |model: &Model, text| model.texts(&[text]).unwrap();
    assert_eq!(of(&model, "red"), of(&model, "red hat"));
    parts.save(folder.path());
    let model = Model::load(folder.path()).unwrap();
    assert_ne!(of(&model, "red"), of(&model, "red hat"));
}

#[test]
fn pixels_are_scaled_as_the_description_says() {
    let (folder, parts) = (tempfile::tempdir().unwrap(), Parts::new(0));
    parts.save(folder.path());
    let plain = of_pictures(&Model::load(folder.path()).unwrap()).unwrap();
    let mut about = parts.about();
    about.architecture.preprocessing.pictures.pixels.mean[1] += 0.25;
    save(folder.path(), &parts.parameters, &parts.vocabulary, about).unwrap();
    assert_ne!(of_pictures(&Model::load(folder.path()).unwrap()).unwrap(), plain);
}

#[test]
fn a_model_of_format_1_is_read_and_gives_the_same_vectors() {
    let (folder, _) = saved();
    let former = tempfile::tempdir().unwrap();
    Parts::new(0).save_former(former.path());
    let [model, former] = [&folder, &former].map(|f| Model::load(f.path()).unwrap());
    assert_eq!(of_words(&model).unwrap(), of_words(&former).unwrap());
    assert_eq!(of_pictures(&model).unwrap(), of_pictures(&former).unwrap());
    assert_ne!(model.fingerprint(), former.fingerprint());
    former.verify().unwrap();
}

#[test]
fn a_change_of_what_decides_a_vector_is_found_in_format_1_too() {
    let folder = tempfile::tempdir().unwrap();
    Parts::new(0).save_former(folder.path());
    assert!(loaded_and_verified(folder.path()).is_ok());
    let path = |name: &str| folder.path().join(name);
    for (name, from, to) in [
        (CARD, "longest = 64", "longest = 1"),
        (CARD, "image_pool = \"max\"", "image_pool = \"average\""),
        (FORMER_VOCABULARY, "\"l\"", "\"x\""),
    ] {
        let whole = std::fs::read_to_string(path(name)).unwrap();
        assert!(whole.contains(from), "{from} is not in {whole}");
        std::fs::write(path(name), whole.replacen(from, to, 1)).unwrap();
        let error = loaded_and_verified(folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        std::fs::write(path(name), whole).unwrap();
    }
    flip(&path(FORMER_WEIGHTS), 5000);
    let error = loaded_and_verified(folder.path()).unwrap_err();
    assert!(error.to_string().contains("cut short or changed"), "{error}");
}

#[test]
fn sizes_that_the_weight_file_has_not_cost_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    Parts::new(0).save_former(folder.path());
    let text = std::fs::read_to_string(folder.path().join(CARD)).unwrap();
    for (from, to) in [
        ("dim = 4", "dim = 4611686018427387904"),
        ("dim = 4", "dim = 65536"),
        ("hidden = 8", "hidden = 4611686018427387904"),
        ("hidden = 8", "hidden = 8192"),
        ("embedding = 8", "embedding = 1000000000000"),
        ("embedding = 8", "embedding = 8192"),
        ("width_px = 32", "width_px = 0"),
        ("width_px = 32", "width_px = 4611686018427387904"),
        ("width_px = 32", "width_px = 1000000"),
    ] {
        assert!(text.contains(from), "{from} is not in {text}");
        std::fs::write(folder.path().join(CARD), text.replace(from, to)).unwrap();
        let error = Model::load(folder.path()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Mismatch), "{to}: {error}");
    }
}

#[test]
fn a_run_that_dies_between_the_files_of_a_model_leaves_the_model_that_was_there() {
    let (folder, first) = saved();
    let newer = tempfile::tempdir().unwrap();
    let second = Parts::new(1).save(newer.path());
    let expected = of_words(&Model::load(folder.path()).unwrap()).unwrap();
    // The order in which the files of the second come.
    for name in [&second.files.weights, &second.files.vocabulary] {
        std::fs::copy(newer.path().join(name), folder.path().join(name)).unwrap();
        let model = Model::load(folder.path()).unwrap();
        assert_eq!(model.fingerprint(), first.fingerprint);
        assert_eq!(of_words(&model).unwrap(), expected);
    }
    std::fs::copy(newer.path().join(CARD), folder.path().join(CARD)).unwrap();
    assert!(loaded_and_verified(folder.path()).is_ok());
    // What the first left goes with the next save.
    assert!(names(folder.path()).contains(&first.files.weights));
    Parts::new(1).save(folder.path());
    assert_eq!(names(folder.path()), names(newer.path()));
}

#[test]
fn files_of_a_former_model_go_only_when_they_are_its_own() {
    let folder = tempfile::tempdir().unwrap();
    Parts::new(0).save_former(folder.path());
    Parts::new(1).save(folder.path());
    assert_eq!(names(folder.path()).len(), 3);
    assert!(loaded_and_verified(folder.path()).is_ok());
    // Here the description is not of format 1, so these names are somebody's.
    std::fs::write(folder.path().join(FORMER_WEIGHTS), "mine").unwrap();
    std::fs::write(folder.path().join("weights-of-mine.safetensors"), "mine").unwrap();
    Parts::new(2).save(folder.path());
    assert_eq!(names(folder.path()).len(), 5);
    // And here it is of format 1, but the weights are not those that it names.
    let folder = tempfile::tempdir().unwrap();
    Parts::new(0).save_former(folder.path());
    flip(&folder.path().join(FORMER_WEIGHTS), 9000);
    Parts::new(1).save(folder.path());
    assert!(names(folder.path()).contains(&FORMER_WEIGHTS.to_owned()));
}

#[test]
fn a_loaded_model_is_that_model_whatever_becomes_of_its_folder() {
    let (folder, card) = saved();
    let expected = of_pictures(&Model::load(folder.path()).unwrap()).unwrap();
    let model = Model::load(folder.path()).unwrap();
    assert!(model.is_in(folder.path()));
    Parts::new(1).save(folder.path());
    assert!(!folder.path().join(&card.files.weights).exists());
    assert!(!model.is_in(folder.path()));
    assert_eq!(of_pictures(&model).unwrap(), expected);
    let copy = tempfile::tempdir().unwrap();
    model.write_to(copy.path()).unwrap();
    assert!(model.is_in(copy.path()));
    let copied = Model::load(copy.path()).unwrap();
    assert_eq!(copied.fingerprint(), card.fingerprint);
    assert_eq!(of_pictures(&copied).unwrap(), expected);
}

#[test]
fn a_former_model_is_copied_as_it_is() {
    let [folder, copy] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    Parts::new(0).save_former(folder.path());
    let model = Model::load(folder.path()).unwrap();
    model.write_to(copy.path()).unwrap();
    assert!(model.is_in(copy.path()));
    for name in names(folder.path()) {
        let [from, to] = [&folder, &copy].map(|f| std::fs::read(f.path().join(&name)).unwrap());
        assert!(from == to, "{name} differs");
    }
}

#[test]
fn a_folder_with_a_damaged_or_a_cut_copy_does_not_hold_the_model() {
    let (folder, card) = saved();
    let model = Model::load(folder.path()).unwrap();
    for name in [CARD, &card.files.weights, &card.files.vocabulary] {
        let copy = tempfile::tempdir().unwrap();
        model.write_to(copy.path()).unwrap();
        let path = copy.path().join(name);
        let last = std::fs::metadata(&path).unwrap().len() as usize - 1;
        flip(&path, last);
        assert!(!model.is_in(copy.path()), "{name}");
        std::fs::remove_file(&path).unwrap();
        assert!(!model.is_in(copy.path()), "{name}");
    }
}

#[test]
fn a_damaged_model_is_not_copied() {
    let (folder, card) = saved();
    flip(&folder.path().join(&card.files.weights), 40_000);
    let model = Model::load(folder.path()).unwrap();
    let copy = tempfile::tempdir().unwrap();
    assert_eq!(model.write_to(copy.path()).unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(!copy.path().join(CARD).exists());
}

#[test]
fn clearing_takes_out_a_model_of_any_format_and_what_a_kill_left() {
    let (folder, card) = saved();
    Parts::new(0).save_former(folder.path());
    let temporary = format!(".{}.4711.tmp", card.files.weights);
    for name in [temporary.as_str(), "weights-00000000000000ff.safetensors", ".DS_Store"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    clear(folder.path()).unwrap();
    assert_eq!(names(folder.path()), [".DS_Store"]);
}

#[test]
fn clearing_takes_out_nothing_where_anything_else_lies() {
    let foreign: [(&str, &[u8]); 6] = [
        ("diary.txt", b"mine"),
        (FORMER_WEIGHTS, b"mine"),
        (FORMER_VOCABULARY, b"{\"words\": 3}"),
        ("weights-00000000000000ff.safetensors", b"the weights of my dumb-bells"),
        ("model.toml", b"[mine]"),
        (".diary.4711.tmp", b"mine"),
    ];
    for (name, content) in foreign {
        let (folder, _) = saved();
        std::fs::write(folder.path().join(name), content).unwrap();
        let before = names(folder.path());
        let error = clear(folder.path()).unwrap_err();
        assert_eq!(error.file(), Some(folder.path().join(name).as_path()), "{error}");
        assert_eq!(names(folder.path()), before, "{name}");
    }
}

#[cfg(unix)]
#[test]
fn clearing_takes_out_no_link() {
    let (folder, card) = saved();
    let precious: PathBuf = tempfile::tempdir().unwrap().keep();
    let (at, link) = (precious.join("weights"), folder.path().join(&card.files.weights));
    std::fs::rename(&link, &at).unwrap();
    std::os::unix::fs::symlink(&at, &link).unwrap();
    assert!(clear(folder.path()).is_err());
    assert!(at.exists() && link.exists());
    std::fs::remove_dir_all(precious).unwrap();
}

/// A model of pictures alone, of the image tower of [`Parts`].
fn without_texts() -> (tempfile::TempDir, Model) {
    let (folder, card) = saved();
    let pretrained = Pretrained::read(&folder.path().join(&card.files.weights)).unwrap();
    let frame = Parts::new(0).recipe.frame();
    (folder, Model::of_pictures(&pretrained, frame).unwrap())
}

#[test]
fn a_model_of_pictures_alone_gives_the_mean_features_and_comes_back_from_its_folder() {
    let (folder, model) = without_texts();
    let written = folder.path().join("written");
    std::fs::create_dir(&written).unwrap();
    assert!(!model.is_in(&written));
    model.write_to(&written).unwrap();
    assert!(model.is_in(&written));
    let read = Model::load(&written).unwrap();
    read.verify().unwrap();
    assert_eq!((read.fingerprint(), read.dim()), (model.fingerprint(), 1280));
    let mut batch = ImageBatch::new(model.frame());
    batch.push(&(0..model.frame().bytes()).map(|i| (i * 37 % 251) as u8).collect::<Vec<_>>());
    let vectors = model.images(&batch).unwrap();
    assert_eq!(read.images(&batch).unwrap().as_slice(), vectors.as_slice());
    // The mean over the last map of the network that it was made of.
    let mut recipe = Parts::new(0).recipe;
    recipe.set("image.pool", "average").unwrap();
    recipe.set("image.colours", "false").unwrap();
    let towers = Towers::new(&recipe.architecture(), 2);
    let pass = Pass::new(Arc::new(Parts::new(0).parameters), Mode::Inference);
    let features = Vectors::normalised(1280, towers.features(&pass, &batch)).unwrap();
    let cosine: f32 = features.as_slice().iter().zip(vectors.as_slice()).map(|(a, b)| a * b).sum();
    assert!(cosine > 0.9999, "{cosine}");
}

#[test]
fn a_model_of_pictures_alone_reads_no_words() {
    let (_folder, model) = without_texts();
    assert!(!model.reads_texts());
    assert_eq!(model.join(&["red hat".to_owned()]), None);
    assert_eq!(model.unknown_words("red hat"), Vec::<String>::new());
    assert_eq!(model.texts(&["red hat"]).unwrap_err().fact(), Some(&Fact::PicturesOnly));
}

#[test]
fn features_that_are_vectors_have_as_many_values_as_the_network_gives() {
    let (_folder, model) = without_texts();
    let mut architecture = model.card().architecture.clone();
    assert_eq!(Bounded::first_outside(&architecture.bounded()), None);
    architecture.dim = 1000;
    let sentence = Bounded::first_outside(&architecture.bounded()).unwrap();
    assert_eq!(sentence, "dim is 1000; it must lie between 1280 and 1280");
}
