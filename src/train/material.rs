//! From a catalogue to training material: decoded pictures, texts, groups, split, vocabulary.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::Job;
use super::batches::{Labels, Material, Pair};
use super::loss::Spared;
use super::recipe::TextChoice;
use super::truth::WordSet;
use crate::catalogue::{Catalogue, Item, Learnt, Ledger, Reason, Skip, Split, Telling, as_typed};
use crate::error::{Error, Result};
use crate::images::{self, Cached, Limits, PixelCache};
use crate::questions::{self, Described};
use crate::tokens::Vocabulary;
use crate::units::{Event, Listener, Stop};

/// Most pairs that a validation measures: enough for ±3 % at a recall of one half. Of a large
/// catalogue about so many are put aside; the rest is learned from.
const VALIDATION_MOST: usize = 1000;

/// Most questions of a kind that a validation asks.
const QUESTIONS_MOST: usize = 200;

/// Decodes the pictures (or finds them in the cache of an earlier run) and learns the vocabulary
/// from the training side of the split.
pub(super) fn prepare(
    job: &Job,
    mut catalogue: Catalogue,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<(Material, Ledger)> {
    if let Some(field) = &job.label_field {
        take_labels(&mut catalogue, field)?;
    }
    drop_items_without_text(&mut catalogue);
    let pictures: Vec<_> = catalogue.items.iter().map(|item| item.image.clone()).collect();
    let Cached { cache, failed, truncated } = PixelCache::open_or_make(
        &job.output,
        &pictures,
        job.recipe.frame(),
        Limits::default(),
        stop,
        listener,
    )?;
    let Catalogue { items, mut ledger } = catalogue;
    note_failures(&items, &failed, truncated.len(), &mut ledger);
    let groups = group_numbers(&items);
    let (pictures, kept): (Vec<usize>, Vec<Item>) =
        items.into_iter().enumerate().filter(|(picture, _)| cache.get(*picture).is_some()).unzip();
    let groups: Vec<u32> = pictures.iter().map(|&picture| groups[picture]).collect();
    let kept = Catalogue { items: kept, ledger };
    let (training, validation) = split(job, &kept, &groups)?;
    listener(Event::Note(&format!(
        "{} pairs to learn from, {} put aside to measure on",
        training.len(),
        validation.len()
    )));
    let Catalogue { items, ledger } = kept;
    let telling = Telling::of(&items);
    let asked: Vec<Described<'_>> = validation.iter().map(|&n| (&items[n]).into()).collect();
    let questions = questions::of(&asked, &telling, QUESTIONS_MOST);
    let aside: Vec<Item> = validation.iter().map(|&n| items[n].clone()).collect();
    let learnt = Learnt::of(training.iter().map(|&n| &items[n]));
    let pairs: Vec<Pair> = items
        .into_iter()
        .zip(pictures)
        .zip(groups)
        .map(|((item, picture), group)| Pair {
            picture,
            values: telling.values(&item.fields).into_iter().flatten().collect(),
            texts: item.texts,
            group,
        })
        .collect();
    let words = match job.recipe.loss.spared {
        Spared::Group => Vec::new(),
        Spared::True => pairs.iter().map(true_words).collect(),
    };
    let vocabulary = learn_words(job, &pairs, &training);
    let labels = job.label_field.as_ref().map(|_| labels(&pairs, &training));
    let features = None;
    Ok((
        Material {
            cache,
            features,
            pairs,
            words,
            training,
            validation,
            aside,
            questions,
            vocabulary,
            labels,
            learnt,
        },
        ledger,
    ))
}

fn true_words(pair: &Pair) -> WordSet {
    WordSet::of(pair.texts.iter().chain(&pair.values).map(String::as_str))
}

/// Makes the value of `field` the one text of every item, and nothing else that is said of it count:
/// what is learned from labels is which pictures are alike.
fn take_labels(catalogue: &mut Catalogue, field: &str) -> Result<()> {
    let mut names = BTreeSet::new();
    let mut found = false;
    for item in &mut catalogue.items {
        let label = match item.fields.get(field) {
            Some(serde_json::Value::String(label)) => as_typed(label),
            Some(serde_json::Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        found |= item.fields.contains_key(field);
        names.extend(std::mem::take(&mut item.fields).into_iter().map(|(name, _)| name));
        item.texts = if label.is_empty() { Vec::new() } else { vec![label] };
    }
    if found {
        return Ok(());
    }
    let names: Vec<String> = names.into_iter().collect();
    Err(Error::invalid(format!("no item has a field \"{field}\" (found: {})", names.join(", "))))
}

/// Equal numbers for pairs of equal labels.
fn labels(pairs: &[Pair], training: &[usize]) -> Labels {
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let of: Vec<u32> = pairs
        .iter()
        .map(|pair| {
            let next = numbers.len() as u32;
            *numbers.entry(pair.texts[0].as_str()).or_insert(next)
        })
        .collect();
    let mut members = vec![Vec::new(); numbers.len()];
    for &member in training {
        members[of[member] as usize].push(member);
    }
    Labels { of, members }
}

fn drop_items_without_text(catalogue: &mut Catalogue) {
    let Catalogue { items, ledger } = catalogue;
    items.retain(|item| {
        let has_text = !item.texts.is_empty();
        if !has_text {
            ledger.used -= 1;
            ledger.skipped.push(Skip {
                place: item.place.clone(),
                id: Some(item.id.clone()),
                reason: Reason::NoText,
                message: "the picture has no text to learn from".to_owned(),
            });
        }
        has_text
    });
}

fn note_failures(items: &[Item], failed: &[(usize, Error)], truncated: usize, ledger: &mut Ledger) {
    ledger.truncated += truncated;
    ledger.used -= failed.len();
    for (number, error) in failed {
        let item = &items[*number];
        ledger.skipped.push(Skip {
            place: item.place.clone(),
            id: Some(item.id.clone()),
            reason: images::reason(error),
            message: error.whole(),
        });
    }
}

/// Equal numbers for items of one group; items without a group get a number of their own.
fn group_numbers(items: &[Item]) -> Vec<u32> {
    let mut known: HashMap<Arc<str>, u32> = HashMap::new();
    let mut next = 0..;
    let mut fresh = || next.next().unwrap_or(u32::MAX);
    items
        .iter()
        .map(|item| match &item.group {
            Some(group) => *known.entry(Arc::clone(group)).or_insert_with(&mut fresh),
            None => fresh(),
        })
        .collect()
}

/// Item numbers to learn from and to measure on (one a group).
fn split(job: &Job, kept: &Catalogue, groups: &[u32]) -> Result<(Vec<usize>, Vec<usize>)> {
    let strangers = groups.iter().collect::<HashSet<_>>().len().max(1);
    let enough = 1.1 * VALIDATION_MOST as f64 / strangers as f64;
    let Split { training, mut validation } =
        kept.split(job.recipe.validation.min(enough), job.seed);
    if training.len() < 2 {
        return Err(Error::invalid(format!(
            "there are {} pairs of a picture and a text to learn from ({}); training needs at \
             least 2, and hundreds to be of use",
            training.len(),
            kept.ledger.summary()
        )));
    }
    let mut seen = HashSet::new();
    validation.retain(|&n| seen.insert(groups[n]));
    validation.truncate(VALIDATION_MOST);
    Ok((training, validation))
}

fn learn_words(job: &Job, pairs: &[Pair], training: &[usize]) -> Vocabulary {
    let texts = training.iter().flat_map(|&n| {
        let texts = &pairs[n].texts;
        let used = if job.recipe.text == TextChoice::Title { 1 } else { texts.len() };
        let typed = job.recipe.text == TextChoice::Typed;
        let values = if typed { pairs[n].values.as_slice() } else { &[] };
        texts[..used].iter().chain(values).map(String::as_str)
    });
    Vocabulary::learn(texts, &job.recipe.tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Place;
    use crate::units::ItemId;

    fn item(id: &str, group: Option<&str>) -> Item {
        Item {
            id: ItemId::from(id),
            image: id.into(),
            texts: vec![id.to_owned()],
            fields: serde_json::Map::new(),
            group: group.map(Arc::from),
            place: Place { file: Arc::from(std::path::Path::new("catalogue")), line: None },
        }
    }

    #[test]
    fn items_without_a_group_are_strangers_to_all() {
        let items = [item("a", None), item("b", Some("g")), item("c", Some("g")), item("d", None)];
        let numbers = group_numbers(&items);
        assert_eq!(numbers[1], numbers[2]);
        assert_ne!(numbers[0], numbers[3]);
        assert_ne!(numbers[0], numbers[1]);
    }
}
