//! What a map is drawn of: rows, and what each stands for.

use std::collections::HashMap;
use std::path::Path;

use looksee::index::{Carry, Collection, Found, Index, Record};
use looksee::units::{ItemId, Seed};
use looksee::vectors::Vectors;
use looksee::{Error, ErrorKind, Result};
use serde_json::Value;

use crate::args::MapArgs;
use crate::figures::{count, thousands};
use crate::render::map::{Item, Kind, Legend, PALETTE};
use crate::{folders, npy};

/// Links are drawn between partners that are nearer on the map than this share of all partners.
const LINKED_SHARE: f64 = 0.9;

/// Items that are read together.
const ITEMS_A_READ: usize = 1024;

/// Rows with their meaning.
#[derive(Debug)]
pub(super) struct Subject {
    name: String,
    /// `[n, dim]`, a row a point.
    pub(super) rows: Vec<f32>,
    pub(super) dim: usize,
    pub(super) points: Vec<Place>,
    pub(super) items: Vec<Item>,
    pub(super) legend: Option<Legend>,
    /// Points of a picture and its text.
    partners: Vec<[u32; 2]>,
    /// What it was drawn of, unless that is a file of vectors.
    pub(super) index: Option<Index>,
}

/// What a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) kind: Kind,
    /// A place in [`Subject::items`].
    pub(super) item: u32,
}

/// What is read of an item beside its picture.
struct Told {
    /// The value of the field to colour by.
    value: Option<String>,
    /// The vector of its text.
    text: Option<Vec<f32>>,
}

impl Subject {
    pub(super) fn of(args: &MapArgs, sample: Option<usize>, seed: Seed) -> Result<Self> {
        match (&args.index, &args.vectors) {
            (Some(index), _) => {
                let index = folders::index_at(index, args.root.as_deref())?;
                let subject = Self::of_index(&index, args.color_by.as_deref(), sample, seed)?;
                Ok(Self { index: Some(index), ..subject })
            }
            (None, Some(vectors)) => {
                Self::of_vectors(vectors, args.labels.as_deref(), sample, seed)
            }
            (None, None) => Err(Error::invalid("name an index, or a file with --vectors")),
        }
    }

    /// All pictures in the order of their names, then all texts.
    fn of_index(
        index: &dyn Collection,
        field: Option<&str>,
        sample: Option<usize>,
        seed: Seed,
    ) -> Result<Self> {
        if let Some(field) = field {
            expect_field(index, field)?;
        }
        let ids = index.ids(None)?;
        let ids: Vec<ItemId> =
            chosen(ids.len(), sample, seed).into_iter().map(|number| ids[number].clone()).collect();
        let mut subject = Self {
            name: name_of(index.place()),
            rows: Vec::new(),
            dim: index.space().dim,
            points: Vec::new(),
            items: Vec::new(),
            legend: None,
            partners: Vec::new(),
            index: None,
        };
        let told = subject.add_items(index, &ids, field)?;
        let (values, texts): (Vec<_>, Vec<_>) =
            told.into_iter().map(|told| (told.value, told.text)).unzip();
        subject.add_texts(index, texts)?;
        let (legend, categories) = legend(field.unwrap_or_default(), &values);
        subject.legend = field.and(legend);
        for (item, category) in subject.items.iter_mut().zip(categories) {
            item.category = category;
        }
        Ok(subject)
    }

    /// Adds items with their pictures, and returns what else is read of each.
    fn add_items(
        &mut self,
        index: &dyn Collection,
        ids: &[ItemId],
        field: Option<&str>,
    ) -> Result<Vec<Told>> {
        let mut told = Vec::new();
        for ids in ids.chunks(ITEMS_A_READ) {
            for found in index.get(ids, Carry::ALL)?.into_iter().flatten() {
                let Found { record: Some(record), picture: Some(picture), text, .. } = found else {
                    continue;
                };
                told.push(Told { value: field.and_then(|field| value(&record, field)), text });
                self.items.push(item(record));
                self.add(Kind::Picture, self.items.len() - 1, &picture);
                self.expect_finite(index, self.items.len() - 1)?;
            }
        }
        Ok(told)
    }

    fn add_texts(&mut self, index: &dyn Collection, texts: Vec<Option<Vec<f32>>>) -> Result<()> {
        for (item, text) in texts.into_iter().enumerate() {
            if let Some(text) = text {
                self.partners.push([item as u32, self.points.len() as u32]);
                self.add(Kind::Text, item, &text);
                self.expect_finite(index, item)?;
            }
        }
        Ok(())
    }

    /// Refuses the row that was added last when its vector is damaged: index and item are known
    /// here and no more where rows are laid out.
    fn expect_finite(&self, index: &dyn Collection, item: usize) -> Result<()> {
        let row = &self.rows[self.rows.len() - self.dim..];
        let Some(wrong) = row.iter().find(|value| !value.is_finite()) else { return Ok(()) };
        let side = if self.partners.is_empty() { "picture" } else { "text" };
        let message = format!(
            "the vector of its {side} holds {wrong}, so it is damaged; `looksee check` says what is"
        );
        let error = Error::new(ErrorKind::Corrupt, message).at_file(index.place());
        Err(error.at_item(&*self.items[item].id))
    }

    fn add(&mut self, kind: Kind, item: usize, row: &[f32]) {
        self.points.push(Place { kind, item: item as u32 });
        self.rows.extend_from_slice(row);
    }

    fn of_vectors(
        file: &Path,
        labels: Option<&Path>,
        sample: Option<usize>,
        seed: Seed,
    ) -> Result<Self> {
        let (mut rows, dim) = npy::read_rows(file)?;
        let all = rows.len() / dim;
        let labels = labels.map(|labels| read_labels(labels, all)).transpose()?;
        let chosen = chosen(all, sample, seed);
        if chosen.len() < all {
            rows = chosen.iter().flat_map(|&row| &rows[row * dim..][..dim]).copied().collect();
        }
        let label = |row: usize| labels.as_ref().map(|labels| labels[row].clone());
        let values: Vec<Option<String>> = chosen.iter().map(|&row| label(row)).collect();
        let (legend, categories) = legend("label", &values);
        let items =
            chosen.iter().zip(values).zip(categories).map(|((row, value), category)| Item {
                id: row.to_string(),
                title: value.unwrap_or_else(|| format!("row {row}")),
                image: None,
                category,
            });
        let place = |item| Place { kind: Kind::Vector, item: item as u32 };
        Ok(Self {
            name: name_of(file),
            rows,
            dim,
            points: (0..chosen.len()).map(place).collect(),
            items: items.collect(),
            legend,
            partners: Vec::new(),
            index: None,
        })
    }

    /// `shop: 10,000 pictures and 9,870 texts`.
    pub(super) fn describe(&self) -> String {
        let number = |kind| self.points.iter().filter(|point| point.kind == kind).count();
        let (pictures, texts) = (number(Kind::Picture), number(Kind::Text));
        let what = match (pictures, texts) {
            (0, 0) => count(self.points.len(), "vector"),
            (_, 0) => count(pictures, "picture"),
            _ => format!("{} and {}", count(pictures, "picture"), count(texts, "text")),
        };
        format!("{}: {what}", self.name)
    }

    /// The vectors of the pictures that have texts, and of these; `None` when there are none.
    pub(super) fn sides(&self) -> Option<(Vectors, Vectors)> {
        let side = |which: usize| {
            let rows = self
                .partners
                .iter()
                .flat_map(|pair| &self.rows[pair[which] as usize * self.dim..][..self.dim]);
            Vectors::normalised(self.dim, rows.copied().collect()).ok()
        };
        (!self.partners.is_empty()).then(|| Some((side(0)?, side(1)?))).flatten()
    }

    /// Partners nearer on the map, by the sum of both differences, than nine in ten.
    pub(super) fn links(&self, positions: &[[f32; 2]]) -> Vec<[u32; 2]> {
        let distance = |pair: &[u32; 2]| {
            let [[a, b], [c, d]] = pair.map(|point| positions[point as usize]);
            (a - c).abs() + (b - d).abs()
        };
        let mut distances: Vec<f32> = self.partners.iter().map(distance).collect();
        distances.sort_unstable_by(f32::total_cmp);
        let place = (LINKED_SHARE * distances.len() as f64) as usize;
        let Some(&limit) = distances.get(place) else { return self.partners.clone() };
        self.partners.iter().filter(|pair| distance(pair) < limit).copied().collect()
    }
}

/// `sample` of `all` rows by chance, ascending; all without a sample.
fn chosen(all: usize, sample: Option<usize>, seed: Seed) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..all).collect();
    if let Some(sample) = sample.filter(|&sample| sample < all) {
        seed.stream("map sample", 0).shuffle(&mut rows);
        rows.truncate(sample);
        rows.sort_unstable();
    }
    rows
}

fn expect_field(index: &dyn Collection, field: &str) -> Result<()> {
    let names = index.field_names()?;
    if names.iter().any(|name| name == field) {
        return Ok(());
    }
    let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let message = format!("no item has a field \"{field}\" to colour by (fields: {known})");
    Err(Error::invalid(message).at_file(index.place()))
}

/// A field's value as it is shown; lists show their first.
fn value(record: &Record, field: &str) -> Option<String> {
    let show = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    match record.fields.get(field)? {
        Value::Array(values) => values.first().and_then(show),
        value => show(value),
    }
}

fn item(record: Record) -> Item {
    Item {
        id: record.id.to_string(),
        title: record.texts.into_iter().next().unwrap_or_default(),
        image: Some(record.image),
        category: None,
    }
}

/// The most frequent values, as many as there are colours, and each item's place among them.
fn legend(field: &str, values: &[Option<String>]) -> (Option<Legend>, Vec<Option<u32>>) {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for value in values.iter().flatten() {
        *counts.entry(value).or_default() += 1;
    }
    if counts.is_empty() {
        return (None, vec![None; values.len()]);
    }
    let mut frequent: Vec<(&str, usize)> = counts.into_iter().collect();
    frequent.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    frequent.truncate(PALETTE.len());
    let places: HashMap<&str, u32> = frequent.iter().map(|pair| pair.0).zip(0..).collect();
    let place = |value: &Option<String>| value.as_deref().and_then(|v| places.get(v)).copied();
    let categories = values.iter().map(place).collect();
    let names = frequent.iter().map(|(value, _)| (*value).to_owned()).collect();
    (Some(Legend { field: field.to_owned(), values: names }), categories)
}

/// A label a row: lines of text, or whole numbers of a numpy file.
fn read_labels(file: &Path, rows: usize) -> Result<Vec<String>> {
    let labels: Vec<String> = if file.extension().is_some_and(|ending| ending == "npy") {
        npy::read_numbers(file)?.iter().map(ToString::to_string).collect()
    } else {
        looksee::files::read_text(file)?.lines().map(str::to_owned).collect()
    };
    if labels.len() == rows {
        return Ok(labels);
    }
    let message =
        format!("{} labels for {} rows; give one a row", thousands(labels.len()), thousands(rows));
    Err(Error::invalid(message).at_file(file))
}

fn name_of(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(values: &[&str]) -> Vec<Option<String>> {
        values.iter().map(|&value| (!value.is_empty()).then(|| value.to_owned())).collect()
    }

    #[test]
    fn a_legend_has_the_most_frequent_values_first_and_as_many_as_colours() {
        let (legend, places) = legend("colour", &named(&["red", "blue", "red", "", "green"]));
        assert_eq!(legend.unwrap().values, ["red", "blue", "green"]);
        assert_eq!(places, [Some(0), Some(1), Some(0), None, Some(2)]);
        let many: Vec<String> = (0..30).map(|at| format!("{at:02}")).collect();
        let values: Vec<_> = many.iter().cloned().map(Some).collect();
        let (legend, places) = super::legend("id", &values);
        assert_eq!(legend.unwrap().values.len(), PALETTE.len());
        assert_eq!(places[29], None);
    }

    #[test]
    fn a_sample_is_ascending_and_the_same_for_the_same_seed() {
        let sample = chosen(100, Some(10), Seed(1));
        assert!(sample.is_sorted() && sample.len() == 10);
        assert_eq!(sample, chosen(100, Some(10), Seed(1)));
        assert!(sample != chosen(100, Some(10), Seed(2)));
        assert_eq!(chosen(5, Some(10), Seed(1)), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn links_join_the_nine_in_ten_nearest_partners() {
        let subject = Subject {
            name: "shop".to_owned(),
            rows: vec![0.0; 20],
            dim: 1,
            points: (0..20)
                .map(|at| Place {
                    kind: if at < 10 { Kind::Picture } else { Kind::Text },
                    item: at % 10,
                })
                .collect(),
            items: vec![Item::default(); 10],
            legend: None,
            index: None,
            partners: (0..10).map(|at| [at, at + 10]).collect(),
        };
        let mut positions = vec![[0.0, 0.0]; 20];
        for (at, position) in positions.iter_mut().enumerate().skip(10) {
            *position = [0.0, at as f32];
        }
        let links = subject.links(&positions);
        assert_eq!(links.len(), 9);
        assert!(!links.contains(&[9, 19]), "the longest is left out");
        assert_eq!(subject.describe(), "shop: 10 pictures and 10 texts");
    }
}
