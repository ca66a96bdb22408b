//! Whole runs, ended in every way and run again.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::encoder::parameters::Parameters;
use crate::encoder::{Convention, ConvolutionalNetwork, Model, PixelScale, weights};
use crate::error::{Error, ErrorKind, Fact};
use crate::metrics::Summary;
use crate::units::Event;

/// Plain pictures in two colours, and their titles.
struct Shop(tempfile::TempDir);

impl Shop {
    fn new() -> Self {
        Self::of(20)
    }

    fn of(pictures: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut rows = String::new();
        for number in 0..pictures {
            let green = (number % 256) as u8;
            let (name, rgb) =
                if number % 2 == 0 { ("red", [200, green, 0]) } else { ("blue", [0, green, 200]) };
            let picture = image::RgbImage::from_pixel(16, 16, image::Rgb(rgb));
            picture.save(folder.path().join(format!("{number}.png"))).unwrap();
            let row = format!("{{\"image\":\"{number}.png\",\"title\":\"{name} {number}\"}}\n");
            rows.push_str(&row);
        }
        std::fs::write(folder.path().join("shop.jsonl"), rows).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Three epochs of a few steps each.
    fn job(&self, output: &str) -> Job {
        let mut recipe = Recipe::named("default").unwrap();
        for (key, value) in [
            ("dim", "4"),
            ("image.tower", "efficientnet-lite0"),
            ("image.width", "16"),
            ("image.height", "16"),
            ("text_tower.embedding", "4"),
            ("text_tower.hidden", "4"),
            ("batch_size", "8"),
            ("validation", "0.3"),
            ("schedule.epochs", "3"),
        ] {
            recipe.set(key, value).unwrap();
        }
        Job {
            recipe,
            source: Source { paths: vec![self.path("shop.jsonl")], ..Source::default() },
            output: self.path(output),
            label_field: None,
            weights: None,
            word_vectors: None,
            resume: false,
            minutes: None,
            seed: Seed(1),
        }
    }

    /// The head on features that were taken once, then the last stage of the network.
    fn job_in_two_parts(&self, output: &str) -> Job {
        let mut job = self.job(output);
        job.recipe = Recipe::named("pretrained").unwrap();
        for (key, value) in [
            ("dim", "4"),
            ("image.tower", "efficientnet-lite0"),
            ("image.width", "16"),
            ("image.height", "16"),
            ("image.head", "4"),
            ("image.kept", "3"),
            ("image.views", "2"),
            ("text_tower.embedding", "4"),
            ("text_tower.hidden", "4"),
            ("batch_size", "8"),
            ("validation", "0.3"),
            ("schedule.steps", "3"),
            ("tune.freeze", "stage3"),
            ("tune.steps", "3"),
            ("tune.batch_size", "4"),
        ] {
            job.recipe.set(key, value).unwrap();
        }
        job
    }

    fn resumed(&self, output: &str) -> Job {
        Job { resume: true, ..self.job(output) }
    }
}

/// What a run that ended well told.
fn told(job: &Job) -> Result<Vec<String>> {
    let mut told = Vec::new();
    run(job, &Stop::default(), &mut |event| {
        if let Event::Note(text) | Event::Warning(text) = event {
            told.push(text.to_owned());
        }
    })?;
    Ok(told)
}

fn refusal(job: &Job) -> Error {
    run(job, &Stop::default(), &mut |_| {}).unwrap_err()
}

/// The files that make the model of a folder, which must be whole.
fn model(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let model = Model::load(folder).unwrap();
    model.verify().unwrap();
    let names = model.card().files.clone();
    let names = [names.weights, names.vocabulary, "model.toml".to_owned()];
    names.map(|name| (name.clone(), crate::files::read(&folder.join(name)).unwrap())).into()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Every file of a folder with its size.
fn sizes(folder: &Path) -> BTreeMap<String, u64> {
    let size = |name: &String| folder.join(name).metadata().unwrap().len();
    let mut names = names(folder);
    names.push("checkpoints/last.safetensors".to_owned());
    names.retain(|name| folder.join(name).is_file());
    names.into_iter().map(|name| (name.clone(), size(&name))).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<_> = entries.map(|e| e.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_run_that_dies_at_any_moment_is_run_again_to_the_same_bytes() {
    dies_at_any_moment(Shop::job);
}

#[test]
fn a_run_in_two_parts_that_dies_at_any_moment_is_run_again_to_the_same_bytes() {
    dies_at_any_moment(Shop::job_in_two_parts);
}

fn dies_at_any_moment(job_to: fn(&Shop, &str) -> Job) {
    let shop = Shop::new();
    let mut states: Vec<BTreeMap<String, u64>> = Vec::new();
    let job = job_to(&shop, "whole");
    run(&job, &Stop::default(), &mut |_| {
        let state = sizes(&job.output);
        if states.last() != Some(&state) {
            copy(&job.output, &shop.path(&format!("state{}", states.len())));
            states.push(state);
        }
    })
    .unwrap();
    let whole = model(&job.output);
    assert!(states.len() >= 4, "{states:?}");
    for state in 0..states.len() {
        let name = format!("state{state}");
        let plain = told(&job_to(&shop, &name));
        let again = match &plain {
            Ok(_) => plain,
            Err(refusal) => {
                assert_eq!(refusal.fact(), Some(&Fact::RunIsThere), "{refusal}");
                told(&Job { resume: true, ..job_to(&shop, &name) })
            }
        };
        again.unwrap_or_else(|error| panic!("{name} cannot be run again: {error}"));
        assert!(model(&shop.path(&name)) == whole, "{name} differs");
    }
}

#[test]
fn a_run_shows_what_the_model_that_it_kept_finds() {
    let shop = Shop::new();
    let job = shop.job("model");
    let outcome = run(&job, &Stop::default(), &mut |_| {}).unwrap();
    let (report, model) = (outcome.report.unwrap(), Model::load(&job.output).unwrap());
    assert_eq!(report.run.steps, outcome.steps);
    assert_eq!(report.run.training_pairs + report.run.validation_pairs, 20);
    assert_eq!((report.run.engine, report.run.tuned_from), (Engine::FromNothing, None));
    let kept: Summary = model.card().metrics["text_to_image"].clone().try_into().unwrap();
    assert_eq!(report.figures.trained, kept);
    assert_eq!(report.curves.steps.len() as u64, outcome.steps);
    assert_eq!(report.curves.validations.len(), 3);
    assert!(
        report.curves.validations.iter().all(|v| v.score.is_some() && v.training_r10.is_some())
    );
    // The best is that of the step that was kept.
    let best = report.curves.validations.iter().find(|v| v.step == report.run.best_step).unwrap();
    assert_eq!(best.r10.to_bits(), report.figures.trained.r10.to_bits());
    // A title whose picture is not first is confused, and nothing else is.
    let wrong = ((1.0 - kept.r1) * kept.queries as f64).round() as usize;
    assert_eq!(report.confusions.len(), wrong.min(12));
    assert!(report.confusions.iter().all(|one| one.rank > 1 && !one.before.is_empty()));
    assert!(report.confusions.is_sorted_by_key(|one| std::cmp::Reverse(one.rank)));
    assert!(report.own_queries.iter().all(|grid| grid.found.iter().all(|f| f.is_right.is_some())));
    assert_eq!(report.verdict, outcome.verdict);
}

#[test]
fn a_linear_baseline_is_told_before_anything_is_learned_and_kept_with_the_model() {
    let shop = Shop::of(300);
    // Pictures of two halves, and the names of their colours: all of it can be seen.
    let colours = ["black", "red", "green", "blue", "white"];
    let mut rows = String::new();
    for number in 0..300_usize {
        let halves = [number % 5, number / 5 % 5];
        let rgb = |colour| [[0, 0, 0], [230, 0, 0], [0, 230, 0], [0, 0, 230], [250; 3]][colour];
        let picture =
            image::RgbImage::from_fn(16, 16, |x, _| image::Rgb(rgb(halves[usize::from(x >= 8)])));
        picture.save(shop.path(&format!("{number}.png"))).unwrap();
        let [left, right] = halves.map(|colour| colours[colour]);
        let title = format!("left{left} right{right}");
        rows += &(serde_json::json!({"image": format!("{number}.png"), "title": title})
            .to_string()
            + "\n");
    }
    std::fs::write(shop.path("shop.jsonl"), rows).unwrap();
    let mut job = shop.job("model");
    job.recipe.set("schedule.steps", "2").unwrap();
    let told = told(&job).unwrap();
    let place = |part: &str| told.iter().position(|text| text.contains(part));
    let baseline = place("to compare with, by a linear baseline").unwrap();
    assert!(place("to compare with, by chance").unwrap() < baseline);
    assert!(baseline < place("a title finds its picture among").unwrap(), "{told:?}");
    let model = Model::load(&job.output).unwrap();
    let figure = |name: &str| model.card().metrics[name].clone().try_into::<Summary>().unwrap().r10;
    assert!(figure("linear") > 1.5 * figure("chance"), "{} {}", figure("linear"), figure("chance"));
    // What is learned from says so; where there is too little, that is said.
    let few = shop_of_twenty_told();
    assert!(few.iter().any(|text| text.starts_with("no linear baseline")), "{few:?}");
}

fn shop_of_twenty_told() -> Vec<String> {
    let shop = Shop::new();
    let mut job = shop.job("model");
    job.recipe.set("schedule.steps", "1").unwrap();
    told(&job).unwrap()
}

#[test]
fn labels_alone_teach_which_pictures_are_alike() {
    let shop = Shop::new();
    let mut rows = std::fs::read_to_string(shop.path("shop.jsonl")).unwrap();
    rows = rows.replace("\"title\":\"red", "\"kind\":\"A\",\"title\":\"x");
    rows = rows.replace("\"title\":\"blue", "\"kind\":\"B\",\"title\":\"x");
    std::fs::write(shop.path("shop.jsonl"), rows).unwrap();
    let mut job = Job { label_field: Some("kind".to_owned()), ..shop.job_in_two_parts("labels") };
    (job.recipe.schedule.steps, job.recipe.tune.steps) = (60, 0);
    let outcome = run(&job, &Stop::default(), &mut |_| {}).unwrap();
    assert!(outcome.summary.contains("a picture finds others of its label"), "{}", outcome.summary);
    let card = Model::load(&job.output).unwrap().card().clone();
    let alike: crate::metrics::Summary = card.metrics["image_to_image"].clone().try_into().unwrap();
    assert!(alike.r1 > 0.99, "{alike:?}");
    // Labels are all that is read of the texts.
    let vocabulary = crate::files::read_text(&job.output.join(&card.files.vocabulary)).unwrap();
    assert!(!vocabulary.contains("\"x\""), "{vocabulary}");
    job.label_field = Some("sort".to_owned());
    job.output = shop.path("none");
    assert!(refusal(&job).to_string().contains("(found: kind)"));
}

#[test]
fn the_network_keeps_its_weights_while_the_head_learns_and_is_tuned_behind_that() {
    let shop = Shop::new();
    let mut job = shop.job_in_two_parts("whole");
    let fresh = Towers::new(&job.recipe.architecture(), 2).parameters(job.seed).to_weights();
    let moved = |job: &Job| -> Vec<String> {
        run(job, &Stop::default(), &mut |_| {}).unwrap();
        let checkpoint = job.output.join("checkpoints/last.safetensors");
        let now = weights::read(&checkpoint).unwrap();
        let convolutions = fresh.iter().filter(|(name, _)| name.contains("_conv"));
        let moved =
            convolutions.filter(|(name, of)| now[&format!("parameter.{name}")].values != of.values);
        moved.map(|(name, _)| name.clone()).collect()
    };
    let tuned = moved(&job);
    assert!(tuned.iter().any(|name| name.starts_with("image._conv_head")), "{tuned:?}");
    // Stage 3 of Lite0 ends with block 10.
    assert!(!tuned.iter().any(|name| name.starts_with("image._blocks.5.")), "{tuned:?}");
    (job.output, job.recipe.tune.steps) = (shop.path("head"), 0);
    assert_eq!(moved(&job), [""; 0]);
}

#[test]
fn a_run_without_a_checkpoint_begins_at_its_first_step_and_says_so() {
    let shop = Shop::new();
    let whole = shop.job("model");
    told(&whole).unwrap();
    let model_files = model(&whole.output);
    // As a run of an earlier build left it, which wrote its first model before a checkpoint.
    std::fs::remove_dir_all(whole.output.join("checkpoints")).unwrap();
    assert_eq!(refusal(&whole).fact(), Some(&Fact::RunIsThere));
    let said = told(&shop.resumed("model")).unwrap();
    assert!(said.iter().any(|line| line.contains("begins at its first step")), "{said:?}");
    assert!(model(&whole.output) == model_files);
    // And without the model, with either command.
    for (number, resume) in [(0, false), (1, true)] {
        let name = format!("prepared{number}");
        copy(&whole.output, &shop.path(&name));
        std::fs::remove_dir_all(shop.path(&name).join("checkpoints")).unwrap();
        std::fs::remove_file(shop.path(&name).join("model.toml")).unwrap();
        told(&Job { resume, ..shop.job(&name) }).unwrap();
        assert!(model(&shop.path(&name)) == model_files);
    }
}

#[test]
fn a_model_without_a_checkpoint_is_begun_beside_only_by_the_job_that_made_it() {
    let shop = Shop::new();
    let job = shop.job("model");
    told(&job).unwrap();
    std::fs::remove_dir_all(job.output.join("checkpoints")).unwrap();
    let before = model(&job.output);
    let mut recipe = job.recipe.clone();
    recipe.set("loss.margin", "0.3").unwrap();
    let resumed = shop.resumed("model");
    for other in [Job { recipe, ..resumed.clone() }, Job { seed: Seed(2), ..resumed.clone() }] {
        let error = refusal(&other);
        assert_eq!(error.kind(), ErrorKind::Mismatch);
        assert_eq!(error.fact(), Some(&Fact::OtherRun), "{error}");
        assert!(model(&job.output) == before);
    }
    // Nothing says of what a damaged description is.
    std::fs::write(job.output.join("model.toml"), "format = 2\nchecksum").unwrap();
    let error = refusal(&resumed);
    assert_eq!(error.file(), Some(job.output.join("model.toml").as_path()));
    assert_eq!(error.fact(), Some(&Fact::DamagedRun), "{error}");
    std::fs::remove_file(job.output.join("model.toml")).unwrap();
    told(&resumed).unwrap();
    assert!(model(&job.output) == before);
}

#[test]
fn a_run_of_another_recipe_or_seed_is_not_gone_on_with_nor_called_damaged() {
    let shop = Shop::new();
    let job = shop.job("model");
    told(&job).unwrap();
    let before = model(&job.output);
    let mut recipe = job.recipe.clone();
    recipe.set("dim", "5").unwrap();
    let resumed = shop.resumed("model");
    for other in [Job { recipe, ..resumed.clone() }, Job { seed: Seed(2), ..resumed }] {
        let error = refusal(&other);
        assert_eq!(error.kind(), ErrorKind::Mismatch, "{error}");
        assert_eq!(error.fact(), Some(&Fact::OtherRun), "{error}");
        assert!(model(&job.output) == before);
    }
}

#[test]
fn a_damaged_checkpoint_is_named_and_without_it_the_run_begins_anew() {
    let shop = Shop::new();
    let job = shop.job("model");
    told(&job).unwrap();
    let whole = model(&job.output);
    let path = job.output.join("checkpoints/last.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = refusal(&shop.resumed("model"));
    assert_eq!((error.kind(), error.file()), (ErrorKind::Corrupt, Some(path.as_path())));
    assert_eq!(error.fact(), Some(&Fact::DamagedRun), "{error}");
    std::fs::remove_file(path).unwrap();
    told(&shop.resumed("model")).unwrap();
    assert!(model(&job.output) == whole);
}

#[test]
fn a_damaged_model_beside_a_checkpoint_is_replaced_by_the_next() {
    let shop = Shop::new();
    let job = shop.job("model");
    told(&job).unwrap();
    let weights = Model::load(&job.output).unwrap().card().files.weights.clone();
    std::fs::write(job.output.join(weights), "damaged").unwrap();
    let said = told(&shop.resumed("model")).unwrap();
    assert!(said.iter().any(|line| line.contains("cannot be used")), "{said:?}");
    model(&job.output);
}

#[test]
fn a_last_checkpoint_for_which_there_is_no_room_is_a_warning() {
    let shop = Shop::new();
    let job = shop.job("model");
    let checkpoints = job.output.join("checkpoints");
    let mut warnings = Vec::new();
    let outcome = run(&job, &Stop::default(), &mut |event| match event {
        Event::Progress { what: "training", .. } if checkpoints.is_dir() => {
            // The first checkpoint has been written; no other can be.
            std::fs::remove_dir_all(&checkpoints).unwrap();
            std::fs::write(&checkpoints, "").unwrap();
        }
        Event::Warning(text) => warnings.push(text.to_owned()),
        _ => {}
    });
    assert!(outcome.unwrap().summary.contains("a title finds its own picture"));
    assert!(warnings.iter().any(|text| text.contains("last checkpoint")), "{warnings:?}");
    model(&job.output);
}

#[test]
fn a_report_shows_what_was_put_aside_by_the_model_that_was_kept() {
    let shop = Shop::new();
    let mut rows = std::fs::read_to_string(shop.path("shop.jsonl")).unwrap();
    for colour in ["red", "blue"] {
        let title = format!("\"title\":\"{colour} ");
        rows = rows.replace(&title, &format!("\"color\":\"{colour}\",{title}"));
    }
    std::fs::write(shop.path("shop.jsonl"), rows).unwrap();
    let mut job = shop.job("model");
    job.recipe.set("validation", "0.5").unwrap();
    let report = run(&job, &Stop::default(), &mut |_| {}).unwrap().report.unwrap();
    let model = Model::load(&job.output).unwrap();
    assert_eq!(model.card().data["steps"].as_integer(), Some(report.run.best_step as i64));
    let aside = report.run.validation_pairs;
    assert_eq!(report.figures.trained.queries, aside);
    assert!(report.figures.untrained.is_some() && report.figures.chance.is_some());
    // Of the article's queries, none is of words that were learned.
    assert!(report.usual_queries.is_empty());
    assert_eq!(report.own_queries.len(), 2, "red and blue");
    for grid in &report.own_queries {
        assert_eq!(grid.found.len(), aside.min(crate::metrics::GRID), "{}", grid.query);
        for found in &grid.found {
            let has_it = found.picture.title.contains(&grid.query);
            assert_eq!(found.is_right, Some(has_it), "{}", grid.query);
        }
    }
    let ranks: Vec<usize> = report.confusions.iter().map(|confusion| confusion.rank).collect();
    assert!(!ranks.is_empty() && ranks.is_sorted_by(|a, b| a >= b) && ranks.iter().all(|&r| r > 1));
    for Confusion { own, before, .. } in &report.confusions {
        assert!(!before.is_empty() && before.iter().all(|picture| picture.title != own.title));
        // The picture of item 4 is 4.png.
        let number = own.title.split(' ').next_back().unwrap();
        assert_eq!(own.image.path(), shop.path(&format!("{number}.png")));
    }
}

#[test]
fn somebody_elses_folder_is_refused_before_any_work_and_stays_as_it_is() {
    let shop = Shop::new();
    for name in ["weights.safetensors", "log.jsonl", "vocabulary.json", "skipped.jsonl", "a.jpg"] {
        let folder = format!("of-{name}");
        std::fs::create_dir(shop.path(&folder)).unwrap();
        std::fs::write(shop.path(&folder).join(name), "mine").unwrap();
        // No catalogue is read: this one is not even there.
        let source = Source { paths: vec![shop.path("absent.jsonl")], ..Source::default() };
        for resume in [false, true] {
            let job = Job { resume, source: source.clone(), ..shop.job(&folder) };
            let error = refusal(&job);
            assert_eq!(error.file(), Some(job.output.join(name).as_path()), "{error}");
            assert_eq!(names(&job.output), [name]);
        }
    }
}

#[test]
fn what_killed_runs_left_goes_with_the_next() {
    let shop = Shop::new();
    let job = shop.job("model");
    std::fs::create_dir_all(job.output.join("checkpoints")).unwrap();
    for name in [
        ".weights-0123456789abcdef.safetensors.1.tmp",
        "weights-0123456789abcdef.safetensors",
        ".cache-0123456789ab.pixels.1.tmp",
        "checkpoints/.last.safetensors.1.tmp",
    ] {
        std::fs::write(job.output.join(name), "").unwrap();
    }
    told(&job).unwrap();
    let left = names(&job.output);
    assert_eq!(left.len(), 7, "{left:?}");
    assert_eq!(names(&job.output.join("checkpoints")), ["last.safetensors"]);
}

#[test]
fn a_budget_that_no_clock_can_keep_is_refused() {
    let shop = Shop::new();
    for minutes in [-1.0, f64::NAN, f64::INFINITY, 1e18, 1e300] {
        let error = refusal(&Job { minutes: Some(minutes), ..shop.job("model") });
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("a year"), "{error}");
    }
    assert!(!shop.path("model").exists());
}

#[test]
fn a_run_that_is_stopped_before_its_first_step_leaves_what_is_worth_keeping() {
    let shop = Shop::new();
    let stop = Stop::default();
    stop.ask();
    let job = shop.job("new/model");
    let error = run(&job, &stop, &mut |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(!shop.path("new").exists());
    // Stopped when the pictures are decoded: they are kept, and the plain command goes on.
    let stop = Stop::default();
    let asks = |event: Event<'_>| {
        if matches!(event, Event::Progress { what: "decoding", .. }) {
            stop.ask();
        }
    };
    let error = run(&job, &stop, &mut { asks }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    let left = names(&job.output);
    assert!(matches!(&left[..], [lock, cache] if lock == ".lock" && cache.starts_with("cache-")));
    run(&job, &Stop::default(), &mut |_| {}).unwrap();
    model(&job.output);
}

#[test]
fn a_run_without_a_usable_picture_leaves_no_folder() {
    let shop = Shop::new();
    for number in 0..20 {
        std::fs::write(shop.path(&format!("{number}.png")), "no picture").unwrap();
    }
    let job = shop.job("new/model");
    assert_eq!(refusal(&job).kind(), ErrorKind::Invalid);
    assert!(!shop.path("new").exists());
}

/// A clock that goes on by so many milliseconds whenever it is looked at.
fn ticking(ms: u64) -> impl Fn() -> Duration {
    let now = Cell::new(Duration::ZERO);
    move || {
        now.set(now.get() + Duration::from_millis(ms));
        now.get()
    }
}

/// A job with a budget that is some eight steps by a clock of ten milliseconds.
fn brief(shop: &Shop, output: &str) -> Job {
    Job { minutes: Some(0.006), ..shop.job(output) }
}

/// Runs by a clock of so many milliseconds, and asks for a stop at the first event that `is_last`.
fn stopped(job: &Job, ms: u64, is_last: impl Fn(&Event<'_>) -> bool) -> Result<Outcome> {
    let stop = Stop::default();
    run_by(&ticking(ms), job, &stop, &mut |event| {
        if is_last(&event) {
            stop.ask();
        }
    })
}

/// Whether it is the event of this step of training.
fn is_step(step: u64) -> impl Fn(&Event<'_>) -> bool {
    // Eight pictures a step.
    let pictures = 8 * step as usize;
    move |event| matches!(event, Event::Progress { what: "training", done, .. } if *done == pictures)
}

fn never(_: &Event<'_>) -> bool {
    false
}

#[test]
fn a_budget_is_a_number_of_steps_that_repeats_the_run_to_the_same_bytes() {
    let shop = Shop::new();
    let budget = brief(&shop, "budget");
    let mut notes = Vec::new();
    let outcome = run_by(&ticking(10), &budget, &Stop::default(), &mut |event| {
        if let Event::Note(text) = event {
            notes.push(text.to_owned());
        }
    });
    let steps = outcome.unwrap().steps;
    // Three epochs have three steps.
    assert!((5..=20).contains(&steps), "{steps}");
    let setting = format!("schedule.steps={steps} repeats");
    assert!(notes.iter().any(|note| note.contains(&setting)), "{notes:?}");
    let mut job = shop.job("steps");
    job.recipe.set("schedule.steps", &steps.to_string()).unwrap();
    assert_eq!(run(&job, &Stop::default(), &mut |_| {}).unwrap().steps, steps);
    assert!(model(&budget.output) == model(&job.output));
    let card = Model::load(&job.output).unwrap().card().recipe.clone();
    assert_eq!(card["schedule"]["steps"].as_integer(), Some(steps as i64));
}

#[test]
fn a_run_with_a_budget_that_stops_after_every_step_goes_on_to_the_same_bytes() {
    let shop = Shop::new();
    let whole = brief(&shop, "whole");
    let steps = stopped(&whole, 10, never).unwrap().steps;
    let mut job = brief(&shop, "stopped");
    for last in 1..steps {
        // Later on a machine that is busy, with a checkpoint at almost every step.
        let ms = if job.resume { 100_000 } else { 10 };
        let error = stopped(&job, ms, is_step(last)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
        assert!(error.to_string().contains(&format!("after step {last}")), "{error}");
        job.resume = true;
    }
    assert_eq!(stopped(&job, 100_000, never).unwrap().steps, steps);
    assert!(model(&job.output) == model(&whole.output));
}

#[test]
fn a_run_that_stops_before_its_rate_is_known_goes_on_with_what_is_left() {
    let shop = Shop::new();
    let steps = stopped(&brief(&shop, "whole"), 10, never).unwrap().steps;
    let job = brief(&shop, "stopped");
    // Slower by so much that half of the budget has gone.
    let is_measuring =
        |event: &Event<'_>| matches!(event, Event::Progress { what: "measuring", .. });
    let error = stopped(&job, 40, is_measuring).unwrap_err();
    assert!(error.to_string().contains("after step 0"), "{error}");
    let less = stopped(&Job { resume: true, ..job }, 10, never).unwrap().steps;
    assert!(less < steps, "{less} of {steps}");
}

#[test]
fn a_run_that_had_no_budget_so_far_goes_on_under_one() {
    let shop = Shop::new();
    let job = shop.job("model");
    stopped(&job, 10, is_step(2)).unwrap_err();
    let steps = stopped(&Job { resume: true, ..brief(&shop, "model") }, 10, never).unwrap().steps;
    assert!(steps > 3, "{steps}");
    // Longer, by the rate that was measured then, whatever the clock says now.
    let longer = Job { resume: true, minutes: Some(0.009), ..job };
    let more = stopped(&longer, 100_000, never).unwrap().steps;
    assert!(more > steps + 3, "{more} after {steps}");
    let log = std::fs::read_to_string(longer.output.join("log.jsonl")).unwrap();
    assert_eq!(log.lines().filter(|line| line.contains("\"loss\"")).count() as u64, more);
}

/// A weight file of a ResNet18 with the configuration of the hub beside it, whose scaling is its own.
fn weights_with_a_scaling(shop: &Shop) -> PathBuf {
    let folder = shop.path("hub");
    std::fs::create_dir(&folder).unwrap();
    let mut parameters = Parameters::default();
    let network = ConvolutionalNetwork::ResNet18.layers(Convention::Original);
    network.add_parameters(&mut parameters, Seed(5));
    let path = folder.join("model.safetensors");
    let of_network = parameters.to_weights().into_iter();
    let torchvision = of_network.map(|(name, tensor)| (name.replace("image.", ""), tensor));
    weights::write(&path, &torchvision.collect(), &BTreeMap::new()).unwrap();
    let config = r#"{"pretrained_cfg": {"mean": [0.5, 0.25, 0.5], "std": [0.5, 0.5, 0.25]}}"#;
    std::fs::write(folder.join("config.json"), config).unwrap();
    path
}

#[test]
fn a_run_that_goes_on_without_its_weight_file_keeps_the_scaling_of_the_file() {
    let shop = Shop::new();
    let weights_path = weights_with_a_scaling(&shop);
    let with_weights = |output: &str| {
        let mut job = shop.job(output);
        job.recipe.set("image.tower", "resnet18").unwrap();
        Job { weights: Some(weights_path.clone()), ..job }
    };
    let whole = with_weights("whole");
    run(&whole, &Stop::default(), &mut |_| {}).unwrap();
    let scaled = PixelScale { mean: [0.5, 0.25, 0.5], deviation: [0.5, 0.5, 0.25] };
    let card = |output: &Path| Model::load(output).unwrap().card().clone();
    assert_eq!(card(&whole.output).architecture.preprocessing.pictures.pixels, scaled);

    let job = with_weights("stopped");
    let error = stopped(&job, 1, is_step(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    let job = Job { weights: None, resume: true, ..job };
    run(&job, &Stop::default(), &mut |_| {}).unwrap();
    assert_eq!(model(&job.output), model(&whole.output));
}
