//! How well a model finds what belongs together.
//!
//! The gallery is a list of items of which no two show the same thing. Each text asks for its
//! picture among all pictures of the gallery, each picture for its text, and where pictures
//! belong together by group or label, each picture for its likes. Everything else is computed
//! from the ranks (see [`crate::metrics`]), so that two models can be compared query by query.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use crate::catalogue::{Item, Ledger, Place, Reason, Skip, Source};
use crate::embed;
use crate::encoder::Encoder;
use crate::error::{Error, ErrorKind, Result};
use crate::files::Blob;
use crate::images::{self, Limits};
use crate::metrics::{self, Summary};
use crate::units::{Event, ItemId, Listener, Seed, Stop};
use crate::vectors::Vectors;

/// Other pictures of a group that join its first one where pictures ask for pictures.
const PARTNERS: usize = 4;
/// Queries that a comparison names on each side.
const NAMED_QUERIES: usize = 20;
/// The first so many answers count as found in a comparison.
const FOUND: usize = 10;

/// How many items the gallery holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gallery {
    /// The first so many items in file order, one a group.
    First(usize),
    /// All items, one a group.
    All,
}

/// Which text of an item is the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryText {
    /// The first text field.
    Title,
    /// All texts joined.
    All,
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// The gallery.
    pub gallery: Gallery,
    /// The queries.
    pub text: QueryText,
    /// Chance for the intervals.
    pub seed: Seed,
    /// Bounds on pictures.
    pub limits: Limits,
    /// Pictures with the same value of this field answer each other; groups when `None`.
    pub label_field: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            gallery: Gallery::First(1000),
            text: QueryText::Title,
            seed: Seed::default(),
            limits: Limits::default(),
            label_field: None,
        }
    }
}

/// The result of [`run`], as `looksee eval --format json` prints it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Items in the gallery.
    pub gallery: usize,
    /// Texts as queries, pictures as answers.
    pub text_to_image: Summary,
    /// Pictures as queries, texts as answers.
    pub image_to_text: Summary,
    /// Pictures as queries and answers, where groups or labels exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_to_image: Option<Summary>,
    /// What chance would give for text to image.
    pub chance: Summary,
    /// Rank of each text query's picture, in gallery order.
    #[serde(skip)]
    pub ranks: Vec<usize>,
    /// What was used and what was not.
    #[serde(skip)]
    pub ledger: Ledger,
    /// The gallery's items and the texts asked, for "queries won and lost".
    #[serde(skip)]
    pub queries: Vec<String>,
}

/// Two models on the same queries.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Mean difference of recall@10 (first minus second).
    pub difference_r10: f64,
    /// Its 95 % interval over resampled queries.
    pub ci95: [f64; 2],
    /// Queries that only the first finds among 10; at most 20 of them.
    pub won: Vec<String>,
    /// Queries that only the second finds among 10; at most 20 of them.
    pub lost: Vec<String>,
}

/// Measures `encoder` on a catalogue.
///
/// Items without a text, and those whose picture cannot be used, make room in the gallery for the
/// next ones and are listed in the ledger. Where groups exist, up to four more pictures of each
/// group of the gallery join for picture to picture.
pub fn run(
    source: &Source,
    encoder: &dyn Encoder,
    options: &Options,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<Report> {
    let (entries, mut ledger) = read(source, encoder, options)?;
    ledger.used = 0;
    let limits = options.limits;
    let mut hall = Hall { entries, encoder, limits, stop, ledger, looked_at: 0 };
    let shown = hall.gallery(options.gallery, listener)?;
    if shown.entries.is_empty() {
        hall.list_textless();
        let summary = hall.ledger.summary();
        let message = format!("no item has both a usable picture and a text: {summary}");
        return Err(Error::invalid(message));
    }
    let asked: Vec<&str> = shown.entries.iter().filter_map(|&e| hall.text(e)).collect();
    let texts = embed::texts(&asked, encoder, stop, listener)?;
    let queries = shown.entries.iter().zip(&asked);
    let queries = queries.map(|(&e, text)| format!("{}: {text}", hall.entries[e].id)).collect();
    let (ranks, text_to_image) = partners(&texts, &shown.vectors, options.seed)?;
    let (_, image_to_text) = partners(&shown.vectors, &texts, options.seed)?;
    let kin = match options.label_field {
        Some(_) => Some(shown),
        None => hall.with_partners(shown, listener)?,
    };
    let image_to_image = kin.and_then(|kin| hall.likes(&kin, options.seed));
    hall.list_textless();
    let chance = metrics::chance(&vec![1; ranks.len()], ranks.len()).ok_or_else(no_ranks)?;
    Ok(Report {
        gallery: ranks.len(),
        text_to_image,
        image_to_text,
        image_to_image,
        chance,
        ranks,
        ledger: hall.ledger,
        queries,
    })
}

/// What is kept of an item while it may enter the gallery.
struct Entry {
    id: ItemId,
    image: Blob,
    text: Option<String>,
    /// Its group, or its label where a label field is named.
    kin: Option<Arc<str>>,
    /// Items of one group show the same thing.
    group: Option<Arc<str>>,
    place: Place,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Shown,
    Refused,
}

/// Entries with their picture vectors, in file order.
struct Shown {
    entries: Vec<usize>,
    vectors: Vectors,
}

fn read(source: &Source, encoder: &dyn Encoder, options: &Options) -> Result<(Vec<Entry>, Ledger)> {
    let mut items = source.open()?;
    let mut names = BTreeSet::new();
    let mut entries = Vec::new();
    for item in items.by_ref() {
        let item = item?;
        if options.label_field.is_some() {
            remember_names(&item, &mut names);
        }
        entries.push(Entry::of(item, encoder, options));
    }
    if let Some(label) = &options.label_field
        && !names.contains(label)
    {
        let names: Vec<String> = names.into_iter().collect();
        let message = format!("no item has a field \"{label}\" (found: {})", names.join(", "));
        return Err(Error::invalid(message));
    }
    Ok((entries, items.into_ledger()))
}

fn remember_names(item: &Item, names: &mut BTreeSet<String>) {
    for name in item.fields.keys() {
        if !names.contains(name) {
            names.insert(name.clone());
        }
    }
}

impl Entry {
    fn of(item: Item, encoder: &dyn Encoder, options: &Options) -> Self {
        let text = match options.text {
            QueryText::Title => {
                item.texts.iter().find_map(|text| encoder.join(std::slice::from_ref(text)))
            }
            QueryText::All => encoder.join(&item.texts),
        };
        let label = |field: &String| label(item.fields.get(field)?);
        let kin = match &options.label_field {
            Some(field) => label(field),
            None => item.group.clone(),
        };
        let (id, image, group, place) = (item.id, item.image, item.group, item.place);
        Self { id, image, text, kin, group, place, state: State::Waiting }
    }
}

fn label(value: &serde_json::Value) -> Option<Arc<str>> {
    match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.as_str().into()),
        other => Some(other.to_string().into()),
    }
}

/// The entries and what is needed to look at their pictures.
struct Hall<'a> {
    entries: Vec<Entry>,
    encoder: &'a dyn Encoder,
    limits: Limits,
    stop: &'a Stop,
    ledger: Ledger,
    /// Entries before this one were looked at for the gallery.
    looked_at: usize,
}

impl Hall<'_> {
    fn text(&self, entry: usize) -> Option<&str> {
        self.entries[entry].text.as_deref()
    }

    /// The first entries in file order, one a group; those whose pictures cannot be used are
    /// replaced by the next.
    fn gallery(&mut self, gallery: Gallery, listener: Listener<'_>) -> Result<Shown> {
        let wanted = match gallery {
            Gallery::First(count) => count,
            Gallery::All => usize::MAX,
        };
        let mut rows = BTreeMap::new();
        loop {
            let candidates = self.candidates(wanted - rows.len());
            if candidates.is_empty() {
                break;
            }
            rows.append(&mut self.show(&candidates, listener)?);
        }
        if let Gallery::First(count) = gallery
            && !rows.is_empty()
            && rows.len() < count
        {
            let note = format!("the gallery holds all {} items of the catalogue", rows.len());
            listener(Event::Note(&note));
        }
        self.shown(rows)
    }

    fn candidates(&mut self, count: usize) -> Vec<usize> {
        let shown = self.entries.iter().filter(|entry| entry.state == State::Shown);
        let mut groups: BTreeSet<Arc<str>> =
            shown.filter_map(|entry| entry.group.clone()).collect();
        let mut candidates = Vec::new();
        for (number, entry) in self.entries.iter_mut().enumerate() {
            if candidates.len() == count {
                break;
            }
            self.looked_at = self.looked_at.max(number + 1);
            if entry.state != State::Waiting || entry.text.is_none() {
                continue;
            }
            if entry.group.clone().is_none_or(|group| groups.insert(group)) {
                candidates.push(number);
            }
        }
        candidates
    }

    /// Lists the items that a text would have brought into the gallery.
    fn list_textless(&mut self) {
        for entry in &self.entries[..self.looked_at] {
            if entry.state == State::Waiting && entry.text.is_none() {
                let message = "the item has no text to ask for it".to_owned();
                self.ledger.skipped.push(entry.skip(Reason::NoText, message));
            }
        }
    }

    /// Embeds the pictures of these entries: the rows of those that can be used.
    fn show(
        &mut self,
        numbers: &[usize],
        listener: Listener<'_>,
    ) -> Result<BTreeMap<usize, Vec<f32>>> {
        let pictures: Vec<Blob> = numbers.iter().map(|&n| self.entries[n].image.clone()).collect();
        let (vectors, failed) =
            embed::pictures(&pictures, self.encoder, self.limits, self.stop, listener)?;
        for (place, error) in &failed {
            let entry = &mut self.entries[numbers[*place]];
            entry.state = State::Refused;
            self.ledger.skipped.push(entry.skip(images::reason(error), error.whole()));
        }
        let usable = |number: &&usize| self.entries[**number].state == State::Waiting;
        let usable: Vec<usize> = numbers.iter().filter(usable).copied().collect();
        for &number in &usable {
            self.entries[number].state = State::Shown;
        }
        self.ledger.used += usable.len();
        Ok(usable.into_iter().zip(vectors.rows().map(<[f32]>::to_vec)).collect())
    }

    fn shown(&self, rows: BTreeMap<usize, Vec<f32>>) -> Result<Shown> {
        let (entries, rows): (Vec<usize>, Vec<Vec<f32>>) = rows.into_iter().unzip();
        Ok(Shown { entries, vectors: Vectors::normalised(self.encoder.dim(), rows.concat())? })
    }

    /// The gallery with more pictures of its groups; `None` when no group has any.
    fn with_partners(&mut self, shown: Shown, listener: Listener<'_>) -> Result<Option<Shown>> {
        let groups = shown.entries.iter().filter_map(|&entry| self.entries[entry].group.clone());
        let mut room: BTreeMap<Arc<str>, usize> = groups.map(|group| (group, PARTNERS)).collect();
        let mut others = Vec::new();
        for (number, entry) in self.entries.iter().enumerate() {
            let Some(room) = entry.group.as_ref().and_then(|group| room.get_mut(group)) else {
                continue;
            };
            if entry.state == State::Waiting && *room > 0 {
                *room -= 1;
                others.push(number);
            }
        }
        if others.is_empty() {
            return Ok(None);
        }
        let mut rows = self.show(&others, listener)?;
        let old = shown.vectors.rows().map(<[f32]>::to_vec);
        rows.extend(shown.entries.into_iter().zip(old));
        self.shown(rows).map(Some)
    }

    /// Pictures that ask for others of their kin, themselves left out.
    fn likes(&self, shown: &Shown, seed: Seed) -> Option<Summary> {
        let kin: Vec<Option<&Arc<str>>> =
            shown.entries.iter().map(|&entry| self.entries[entry].kin.as_ref()).collect();
        let right = |query: usize, row: usize| kin[query].is_some() && kin[query] == kin[row];
        let itself = |query: usize, row: usize| query == row;
        let ranks = metrics::ranks(&shown.vectors, &shown.vectors, &right, &itself);
        metrics::summarise(&ranks.into_iter().flatten().collect::<Vec<_>>(), seed)
    }
}

impl Entry {
    fn skip(&self, reason: Reason, message: String) -> Skip {
        Skip { place: self.place.clone(), id: Some(self.id.clone()), reason, message }
    }
}

/// Each query's answer is the gallery row of its own number.
fn partners(queries: &Vectors, gallery: &Vectors, seed: Seed) -> Result<(Vec<usize>, Summary)> {
    let ranks = metrics::ranks(queries, gallery, &|query, row| query == row, &|_, _| false);
    let ranks: Vec<usize> = ranks.into_iter().flatten().collect();
    let summary = metrics::summarise(&ranks, seed).ok_or_else(no_ranks)?;
    Ok((ranks, summary))
}

fn no_ranks() -> Error {
    Error::invalid("there is nothing to measure: the gallery is empty")
}

/// Compares two reports over the same catalogue and options.
pub fn compare(first: &Report, second: &Report, seed: Seed) -> Result<Comparison> {
    if first.queries != second.queries {
        return Err(Error::new(
            ErrorKind::Mismatch,
            format!(
                "the models were asked different queries ({} and {}); compare them on the same catalogue with the same options",
                first.queries.len(),
                second.queries.len()
            ),
        ));
    }
    let found = |ranks: &[usize]| ranks.iter().map(|&rank| rank <= FOUND).collect::<Vec<bool>>();
    let (first_found, second_found) = (found(&first.ranks), found(&second.ranks));
    let pairs = || first_found.iter().zip(&second_found);
    let differences: Vec<f64> =
        pairs().map(|(&a, &b)| f64::from(u8::from(a)) - f64::from(u8::from(b))).collect();
    let (difference_r10, ci95) =
        metrics::mean_difference(&differences, seed).ok_or_else(no_ranks)?;
    let named = |wins: (bool, bool)| {
        let queries = first.queries.iter().zip(pairs());
        let queries = queries.filter(|(_, (a, b))| (**a, **b) == wins);
        queries.map(|(query, _)| query.clone()).take(NAMED_QUERIES).collect()
    };
    Ok(Comparison { difference_r10, ci95, won: named((true, false)), lost: named((false, true)) })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::embed::fake::{Colours, Shop};
    use crate::files;

    const RED: [u8; 3] = [255, 0, 0];
    const GREEN: [u8; 3] = [0, 255, 0];
    const BLUE: [u8; 3] = [0, 0, 255];

    /// A shop with these pictures, and these rows as its catalogue.
    fn shop(pictures: &[(&str, [u8; 3])], rows: &[Value]) -> Shop {
        let shop = Shop::new();
        for (name, colour) in pictures {
            shop.picture(name, *colour);
        }
        shop.rows(rows);
        shop
    }

    fn three(titles: [&str; 3]) -> Shop {
        shop(
            &[("r.png", RED), ("g.png", GREEN), ("b.png", BLUE)],
            &[
                json!({"id": "r", "image": "r.png", "title": titles[0]}),
                json!({"id": "g", "image": "g.png", "title": titles[1]}),
                json!({"id": "b", "image": "b.png", "title": titles[2]}),
            ],
        )
    }

    fn measure(shop: &Shop, options: &Options) -> Result<Report> {
        let encoder = Colours::default();
        run(&shop.source(), &encoder, options, &Stop::default(), &mut |_| {})
    }

    #[test]
    fn a_model_that_knows_everything_finds_everything_first() {
        let report =
            measure(&three(["red hat", "green hat", "blue hat"]), &Options::default()).unwrap();
        assert_eq!((report.gallery, report.ledger.used), (3, 3));
        assert_eq!((report.text_to_image.r1, report.image_to_text.r1), (1.0, 1.0));
        assert!((report.chance.r1 - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(report.ranks, [1, 1, 1]);
        assert_eq!(report.queries, ["r: red hat", "g: green hat", "b: blue hat"]);
        let json = serde_json::to_value(&report).unwrap();
        assert!(json.get("image_to_image").is_none() && json["text_to_image"]["ci95"].is_object());
    }

    #[test]
    fn a_wrong_text_puts_its_picture_behind_all_others() {
        let report =
            measure(&three(["green hat", "red hat", "blue hat"]), &Options::default()).unwrap();
        // To the words "green hat" the red and the blue picture are equally far: a tie.
        assert_eq!(report.ranks, [3, 3, 1]);
    }

    #[test]
    fn the_gallery_takes_the_first_usable_item_of_each_group() {
        let shop = shop(
            &[("r.png", RED), ("g.png", GREEN), ("b.png", BLUE)],
            &[
                json!({"id": "1", "image": "bad.png", "title": "red", "group": "a"}),
                json!({"id": "2", "image": "r.png", "title": "red", "group": "a"}),
                json!({"id": "3", "image": "r.png", "title": "red too", "group": "a"}),
                json!({"id": "4", "image": "r.png"}),
                json!({"id": "5", "image": "g.png", "title": "green"}),
                json!({"id": "6", "image": "b.png", "title": "blue"}),
            ],
        );
        files::replace_bytes(&shop.path("bad.png"), b"no picture").unwrap();
        let two = Options { gallery: Gallery::First(2), ..Options::default() };
        let report = measure(&shop, &two).unwrap();
        assert_eq!(report.queries, ["2: red", "5: green"]);
        let skipped: Vec<_> = report.ledger.skipped.iter().map(|skip| skip.reason).collect();
        assert_eq!(skipped, [Reason::Unreadable, Reason::NoText]);
        let all = Options { gallery: Gallery::All, ..Options::default() };
        assert_eq!(measure(&shop, &all).unwrap().gallery, 3);
    }

    #[test]
    fn all_texts_or_the_title_alone_are_the_query() {
        let rows =
            [json!({"id": "r", "image": "r.png", "title": "hat", "description": "a red one"})];
        let shop = shop(&[("r.png", RED)], &rows);
        assert_eq!(measure(&shop, &Options::default()).unwrap().queries, ["r: hat"]);
        let all = Options { text: QueryText::All, ..Options::default() };
        assert_eq!(measure(&shop, &all).unwrap().queries, ["r: hat & a red one"]);
    }

    #[test]
    fn pictures_of_one_group_look_for_each_other() {
        let shop = shop(
            &[("r.png", RED), ("r2.png", [200, 0, 0]), ("g.png", GREEN), ("b.png", BLUE)],
            &[
                json!({"id": "1", "image": "r.png", "title": "red", "group": "a"}),
                json!({"id": "2", "image": "r2.png", "group": "a"}),
                json!({"id": "3", "image": "g.png", "title": "green", "group": "b"}),
                json!({"id": "4", "image": "b.png", "title": "blue", "group": "b"}),
            ],
        );
        let report = measure(&shop, &Options::default()).unwrap();
        let likes = report.image_to_image.unwrap();
        assert_eq!((report.gallery, likes.queries), (2, 4));
        // The reds are alike, green and blue are not: each has the three others as close.
        assert_eq!((likes.r1, likes.mean_rank), (0.5, 2.0));
        assert!(report.ledger.skipped.is_empty(), "a partner needs no text");
    }

    #[test]
    fn a_label_field_says_which_pictures_are_alike() {
        let shop = three(["red", "green", "blue"]);
        let rows = [("r", "warm"), ("g", "cold"), ("b", "cold")].map(
            |(id, tone)| json!({"id": id, "image": format!("{id}.png"), "title": id, "tone": tone}),
        );
        shop.rows(&rows);
        let by =
            |field: &str| Options { label_field: Some(field.to_owned()), ..Options::default() };
        let likes = measure(&shop, &by("tone")).unwrap().image_to_image.unwrap();
        assert_eq!((likes.queries, likes.mean_rank), (2, 2.0));
        let error = measure(&shop, &by("colour")).unwrap_err();
        assert!(error.message().starts_with("no item has a field \"colour\" (found: "), "{error}");
    }

    #[test]
    fn a_catalogue_without_usable_items_says_what_was_wrong() {
        let shop = shop(&[("r.png", RED)], &[json!({"id": "r", "image": "r.png"})]);
        let error = measure(&shop, &Options::default()).unwrap_err();
        assert!(error.message().starts_with("no item has both"), "{error}");
    }

    #[test]
    fn a_comparison_names_the_queries_that_only_one_model_answers() {
        let base =
            measure(&three(["red hat", "green hat", "blue hat"]), &Options::default()).unwrap();
        let with = |ranks: [usize; 3]| Report { ranks: ranks.to_vec(), ..base.clone() };
        let comparison = compare(&with([1, 10, 11]), &with([11, 9, 400]), Seed(1)).unwrap();
        assert!((comparison.difference_r10 - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!((comparison.won, comparison.lost), (vec!["r: red hat".to_owned()], vec![]));
        assert!(comparison.ci95[0] <= 1.0 / 3.0 && 1.0 / 3.0 <= comparison.ci95[1]);
        let other = Report { queries: vec!["x".to_owned()], ..base.clone() };
        assert_eq!(compare(&base, &other, Seed(1)).unwrap_err().kind(), ErrorKind::Mismatch);
    }
}
