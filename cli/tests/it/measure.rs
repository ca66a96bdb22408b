//! `looksee eval` and `looksee split`: what is put aside, what is asked, and what is not judged.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::shop;
use crate::util::{Folder, Ran};

/// A folder with the trained model as `model`, and `held-out.jsonl`: 80 pictures of 20 things.
fn held_out() -> Folder {
    let folder = Folder::new();
    shop::write_held_out(&folder);
    shop::copy(&shop::model(), &folder.path().join("model"));
    folder
}

fn done(ran: Ran) -> Ran {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran
}

fn eval(folder: &Folder, more: &[&str]) -> Ran {
    let words = ["eval", "model", "held-out.jsonl", "--gallery=all"];
    done(folder.run(words.iter().chain(more)))
}

fn report(folder: &Folder, more: &[&str]) -> Value {
    serde_json::from_str(&eval(folder, &[more, &["--json"]].concat()).stdout).unwrap()
}

fn rows(folder: &Folder, catalogue: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.path().join(catalogue)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn write_rows(folder: &Folder, catalogue: &str, rows: &[Value]) {
    let lines: Vec<String> = rows.iter().map(ToString::to_string).collect();
    folder.write(catalogue, lines.join("\n"));
}

#[test]
fn titles_and_short_questions_are_asked_unless_one_is_chosen() {
    let folder = held_out();
    let both = report(&folder, &[]);
    let short = &both["short"];
    assert_eq!(
        (&short["kinds"][0]["kind"], &short["all"]["questions"]),
        (&json!("color"), &json!(5))
    );
    // Sixteen of eighty pictures have each colour.
    assert!((short["all"]["chance"]["p9"].as_f64().unwrap() - 0.2).abs() < 1e-9, "{short}");
    assert!(short["all"]["p9"].as_f64().unwrap() > 0.6, "{short}");
    assert!(short["kinds"][0]["ci95"]["p9"].is_array(), "{short}");
    let weakest: BTreeSet<&str> = short["weakest"]["words"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word["word"].as_str().unwrap())
        .collect();
    assert_eq!(weakest, shop::COLOURS.iter().map(|(name, _)| *name).collect());
    assert_eq!(short["weakest"]["fields"][0]["field"], "color");

    let titles = report(&folder, &["--ask=titles"]);
    assert!(titles.get("short").is_none() && titles["text_to_image"]["r10"].is_number());
    assert_eq!(report(&folder, &["--text", "title"]), titles, "the flag's former name");
    let short_alone = report(&folder, &["--ask=short"]);
    assert!(short_alone.get("text_to_image").is_none());
    assert_eq!(&short_alone["short"], short);

    let table = eval(&folder, &[]).stdout;
    assert!(table.contains("\nshort questions  asked  "), "{table}");
    assert!(table.contains("\nweakest words, by P@9: "), "{table}");
}

#[test]
fn pieces_of_titles_are_asked_where_no_field_tells() {
    let folder = held_out();
    let without = |mut row: Value| {
        row.as_object_mut().unwrap().remove("color");
        row
    };
    let rows: Vec<Value> = rows(&folder, "held-out.jsonl").into_iter().map(without).collect();
    write_rows(&folder, "held-out.jsonl", &rows);
    let kinds = report(&folder, &["--ask=short"])["short"]["kinds"].clone();
    assert_eq!(
        (&kinds[0]["kind"], &kinds[0]["questions"]),
        (&json!("pieces of titles"), &json!(20))
    );
}

#[test]
fn equal_captions_are_equal_answers_whatever_their_case() {
    let folder = held_out();
    let rows: Vec<Value> = rows(&folder, "held-out.jsonl")
        .into_iter()
        .enumerate()
        .map(|(n, row)| {
            let caption = format!("{} thing", row["color"].as_str().unwrap());
            let caption = if n % 2 == 0 { caption.to_uppercase() } else { caption };
            json!({"image": row["image"], "id": row["id"], "caption": caption})
        })
        .collect();
    write_rows(&folder, "held-out.jsonl", &rows);
    let report = report(&folder, &["--ask=titles"]);
    let r1 = |key: &str| report[key]["r1"].as_f64().unwrap();
    // Sixteen of eighty have the caption of the query.
    assert!((r1("chance") - 0.2).abs() < 1e-9, "{report}");
    assert!(r1("text_to_image") > 0.5 && r1("image_to_text") > 0.5, "{report}");
    assert_eq!(
        report["notes"],
        json!(["the 80 texts are 5 different ones; equal texts are equal answers"])
    );
}

#[test]
fn a_few_pairs_get_a_sentence_in_place_of_figures() {
    let folder = held_out();
    let report = report(&folder, &["--limit", "19"]);
    for figures in ["text_to_image", "image_to_text", "chance", "short"] {
        assert!(report.get(figures).is_none(), "{report}");
    }
    let said = eval(&folder, &["--limit", "19"]).stdout;
    // Some of these are among what it has learnt from, which is said as well.
    let said: String =
        said.split_inclusive('\n').filter(|line| !line.contains("has learnt from about")).collect();
    assert_eq!(
        said,
        "model: gallery of 19 pictures\n\
         note: 19 pictures with a text are too few to judge by: at least 20 are needed\n\
         note: 19 pictures are too few to judge by: at least 20 are needed\n"
    );
    let said = eval(&folder, &["--limit", "19", "--compare", "model"]).stdout;
    assert!(said.ends_with("\nthere is too little to compare the models by\n"), "{said}");
}

#[test]
fn a_label_says_which_pictures_are_alike() {
    let folder = held_out();
    let likes = report(&folder, &["--label-field", "color"])["image_to_image"].clone();
    assert_eq!(likes["queries"], 80);
    // Fifteen of the seventy-nine others have the colour of a picture.
    let chance = likes["chance"]["r1"].as_f64().unwrap();
    assert!((chance - 15.0 / 79.0).abs() < 1e-9, "{likes}");
    assert!(likes["answers"]["map"].as_f64().unwrap() > 0.5, "{likes}");
    assert!(likes["answers"]["ndcg10"].is_number() && likes["r1"].is_number(), "{likes}");
    let ran = folder.run(["eval", "model", "held-out.jsonl", "--label-field", "colour"]);
    ran.failed_with_part("no item has a field \"colour\"");
}

#[test]
fn two_models_are_compared_on_short_questions_too() {
    let folder = held_out();
    let pair = report(&folder, &["--compare", "model"]);
    let short = &pair["comparison"]["short"][0];
    assert_eq!((&short["kind"], &short["difference_p9"]), (&json!("color"), &json!(0.0)));
    assert_eq!((&short["won"], &short["lost"]), (&json!([]), &json!([])));
    assert_eq!(pair["comparison"]["difference_r10"], 0.0);
    let table = eval(&folder, &["--compare", "model"]).stdout;
    assert!(table.contains("fewer than 20 questions tell nothing"), "{table}");
}

#[test]
fn a_catalogue_is_split_into_parts_that_are_read_from_anywhere() {
    let folder = Folder::new();
    shop::write(&folder);
    let mut lines = std::fs::read_to_string(folder.path().join("shop.jsonl")).unwrap();
    lines.push_str("{\"title\": \"no picture\"}\n");
    folder.write("shop.jsonl", lines);
    let ran = done(folder.run(["split", "shop.jsonl", "--held-out=0.3", "-o", "deep/parts"]));
    let parts = ["train", "held-out"].map(|name| format!("deep/parts/{name}.jsonl"));
    let [training, held_out] = parts.each_ref().map(|part| rows(&folder, part));
    assert_eq!(training.len() + held_out.len(), 100);
    assert!((15..45).contains(&held_out.len()), "{}", held_out.len());
    assert_eq!(
        ran.stdout,
        format!(
            "{} items to learn from in deep/parts/train.jsonl\n\
             {} items to measure on in deep/parts/held-out.jsonl\n\
             100 pictures, 1 skipped (1 bad row); list in deep/parts/skipped.jsonl\n",
            training.len(),
            held_out.len()
        )
    );
    // Every field is there, and the pictures are found from another folder.
    assert!(training.iter().all(|row| row["size"].is_number() && row["color"].is_string()));
    shop::copy(&shop::model(), &folder.path().join("model"));
    let words = ["eval", "model", &parts[0], &parts[1], "--gallery=all", "--json"];
    let measured: Value = serde_json::from_str(&done(folder.run(words)).stdout).unwrap();
    assert_eq!(measured["gallery"], 100);

    let before = std::fs::read(folder.path().join(&parts[0])).unwrap();
    let again = folder.run(["split", "shop.jsonl", "-o", "deep/parts"]);
    again.failed_with_part("name a new folder");
    assert!(std::fs::read(folder.path().join(&parts[0])).unwrap() == before);
}

#[test]
fn a_split_repeats_with_its_seed_and_keeps_groups_together() {
    let folder = Folder::new();
    let row = |n: usize| format!("{n}.jpg,{n},model {}\n", n / 4);
    let table: String = (0..80).map(row).collect();
    folder.write("shoes.csv", format!("image,id,style\n{table}"));
    let split = |output: &str, seed: &str| {
        let words = ["split", "shoes.csv", "-o", output, "--group-field=style", "--seed", seed];
        let said = done(folder.run(words.iter().chain(&["--json"]))).stdout;
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["ledger"]["used"], 80);
        let held_out = rows(&folder, said["held_out"]["path"].as_str().unwrap());
        assert_eq!(said["held_out"]["items"], held_out.len());
        held_out.iter().map(|row| row["style"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let [one, again, other] = [("a", "1"), ("b", "1"), ("c", "2")].map(|(o, seed)| split(o, seed));
    assert!(one == again && one != other);
    let groups: BTreeSet<&String> = one.iter().collect();
    assert_eq!(one.len(), 4 * groups.len(), "a group is on one side: {one:?}");
}
