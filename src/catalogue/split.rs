//! A whole catalogue, its split into a training and a validation part, and its fingerprint.

use std::borrow::Cow;

use super::{Item, Ledger};
use crate::files;
use crate::units::Seed;

/// A whole catalogue in memory.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// Items in file order.
    pub items: Vec<Item>,
    /// What was left out.
    pub ledger: Ledger,
}

/// Item numbers of a [`Catalogue::split`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// To learn from.
    pub training: Vec<usize>,
    /// To measure on.
    pub validation: Vec<usize>,
}

impl Catalogue {
    /// Puts about `fraction` of the items aside for validation: a group goes whole to one side,
    /// and an item's side depends only on the seed and its group (or id), so that a catalogue
    /// that grows keeps its split.
    ///
    /// `fraction` lies in 0..=1. Between the ends neither side is empty as long as there are two
    /// groups: the group nearest to the border changes sides where one would be.
    pub fn split(&self, fraction: f64, seed: Seed) -> Split {
        let places: Vec<f64> = self.items.iter().map(|item| place(item, seed)).collect();
        let border = border(&places, fraction);
        let (validation, training) = (0..places.len()).partition(|item| places[*item] < border);
        Split { training, validation }
    }

    /// A short name for what would be learned: 12 hex digits over ids, paths, texts and groups, not
    /// over fields, the same wherever the catalogue's folder lies.
    pub fn fingerprint(&self) -> String {
        let mut parts: Vec<Cow<'_, [u8]>> = Vec::new();
        for item in &self.items {
            let image = item.image.to_bytes(item.place.file.parent());
            parts.extend([item.id.as_str().as_bytes().into(), image.into()]);
            parts.extend(item.texts.iter().map(|text| text.as_bytes().into()));
            // Bytes that no UTF-8 text contains: the texts end here; there is no group.
            parts.push((&[0xfe]).into());
            parts.push(item.group.as_ref().map_or(&[0xff][..], |group| group.as_bytes()).into());
        }
        files::fingerprint(parts.iter().map(|part| &**part))
    }
}

/// Where between 0 and 1 an item's group, or else its id, falls by chance.
fn place(item: &Item, seed: Seed) -> f64 {
    let (kind, name) = match &item.group {
        Some(group) => ("group ", &**group),
        None => ("item ", item.id.as_str()),
    };
    let key = format!("{kind}{name}");
    let hash = xxhash_rust::xxh3::xxh3_64_with_seed(key.as_bytes(), seed.0);
    // 53 bits, all that a f64 below 1 holds.
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

/// Places below it are for validation: `fraction`, moved by one group where a side would be empty.
fn border(places: &[f64], fraction: f64) -> f64 {
    if fraction.is_nan() || fraction <= 0.0 || fraction >= 1.0 {
        return if fraction >= 1.0 { 1.0 } else { 0.0 };
    }
    let lowest = places.iter().copied().fold(1.0, f64::min);
    let highest = places.iter().copied().fold(0.0, f64::max);
    if lowest >= highest {
        return fraction;
    }
    if lowest >= fraction {
        // All would train: the border goes just above the lowest group.
        return lowest.next_up();
    }
    // All would validate: the highest group trains.
    if highest < fraction { highest } else { fraction }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Place;
    use crate::units::ItemId;
    use std::path::Path;

    fn item(id: &str, group: Option<&str>) -> Item {
        Item {
            id: ItemId::from(id),
            image: format!("shop/images/{id}.jpg").into(),
            texts: vec![format!("text of {id}")],
            fields: crate::filter::Fields::new(),
            group: group.map(Into::into),
            place: Place { file: Path::new("shop/a.csv").into(), line: Some(2) },
        }
    }

    fn catalogue(items: impl IntoIterator<Item = Item>) -> Catalogue {
        Catalogue { items: items.into_iter().collect(), ledger: Ledger::default() }
    }

    fn grouped(count: usize) -> Catalogue {
        catalogue((0..count).map(|n| {
            let group = format!("g{}", n / 3);
            item(&format!("i{n}"), (n % 2 == 0).then_some(group.as_str()))
        }))
    }

    #[test]
    fn about_the_fraction_is_set_aside_and_every_item_is_on_one_side() {
        let catalogue = grouped(3000);
        let split = catalogue.split(0.2, Seed(1));
        assert!((450..750).contains(&split.validation.len()), "{}", split.validation.len());
        let mut all = [split.training, split.validation].concat();
        all.sort_unstable();
        assert_eq!(all, (0..3000).collect::<Vec<_>>());
    }

    #[test]
    fn a_group_is_never_cut() {
        let catalogue = grouped(900);
        let split = catalogue.split(0.5, Seed(2));
        let sides = |items: &[usize]| -> std::collections::HashSet<_> {
            items.iter().filter_map(|n| catalogue.items[*n].group.clone()).collect()
        };
        assert!(sides(&split.training).is_disjoint(&sides(&split.validation)));
    }

    #[test]
    fn a_catalogue_that_grows_keeps_its_split_and_another_seed_has_another() {
        let (small, large) = (grouped(500), grouped(900));
        let side = |catalogue: &Catalogue, seed| catalogue.split(0.3, Seed(seed)).validation;
        let kept: Vec<usize> = side(&large, 5).into_iter().filter(|n| *n < 500).collect();
        assert_eq!(side(&small, 5), kept);
        assert_ne!(side(&small, 5), side(&small, 6));
    }

    #[test]
    fn neither_side_is_empty_when_there_are_two_groups() {
        for seed in 0..50 {
            for fraction in [1e-9, 0.1, 0.5, 1.0 - 1e-9] {
                let two = catalogue([item("a", Some("x")), item("b", Some("x")), item("c", None)]);
                let split = two.split(fraction, Seed(seed));
                assert!(!split.training.is_empty() && !split.validation.is_empty());
                let group_on_one_side = split.training.contains(&0) == split.training.contains(&1);
                assert!(group_on_one_side);
            }
        }
    }

    #[test]
    fn one_group_or_none_cannot_be_split_and_the_ends_set_aside_nothing_or_all() {
        assert_eq!(
            catalogue([]).split(0.5, Seed(1)),
            Split { training: vec![], validation: vec![] }
        );
        let one = catalogue([item("a", Some("x")), item("b", Some("x"))]).split(0.5, Seed(1));
        assert!(one.training.is_empty() || one.validation.is_empty());
        assert!(grouped(9).split(0.0, Seed(1)).validation.is_empty());
        assert!(grouped(9).split(f64::NAN, Seed(1)).validation.is_empty());
        assert!(grouped(9).split(1.0, Seed(1)).training.is_empty());
    }

    #[test]
    fn the_fingerprint_sees_each_part_and_not_the_folder() {
        let one = catalogue([item("a", None)]);
        let mut moved = one.clone();
        moved.items[0].image = "/elsewhere/images/a.jpg".into();
        moved.items[0].place.file = Path::new("/elsewhere/a.csv").into();
        assert_eq!(one.fingerprint(), moved.fingerprint());
        moved.items[0].fields.insert("color".to_owned(), "red".into());
        assert_eq!(one.fingerprint(), moved.fingerprint(), "fields are not learnt as such");
        let changes: [fn(&mut Item); 5] = [
            |item| item.id = ItemId::from("b"),
            |item| item.image = "shop/images/b.jpg".into(),
            |item| item.texts[0].push('!'),
            |item| item.texts.push(String::new()),
            |item| item.group = Some("".into()),
        ];
        for change in changes {
            let mut other = one.clone();
            change(&mut other.items[0]);
            assert_ne!(one.fingerprint(), other.fingerprint());
        }
    }
}
