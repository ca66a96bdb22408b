//! A collection that is a list in memory, and what could be wrong with one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::{MakesCollections, Place};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Filter;
use crate::index::collection::expect_dim;
use crate::index::*;
use crate::units::ItemId;
use crate::vectors::Vectors;

/// A mistake, for the tests of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    LeavesOutTheBest,
    TiesByLastName,
    OneTooMany,
    SearchIgnoresFilter,
    CountIgnoresFilter,
    FilterKnowsNoCase,
    NoTitle,
    SortsWhatItGets,
    CarriesEverything,
    CarriesNoText,
    GoesOnAfterAnError,
    RowsOutOfOrder,
    RenewForgetsThePicture,
    RenewKeepsTheText,
    KeepsTheRemoved,
    ForgetsWhatItSaw,
    CutsTheRootOff,
    ShowsAtOnce,
    SnapshotMoves,
    NeverRenewed,
    TakesAnySize,
    KnowsEveryField,
    EmptyIsAnError,
    VisitIgnoresFilter,
}

impl Fault {
    /// Each with the name of the test that is there for it.
    pub(super) const ALL: [(Self, &'static str); 24] = [
        (Self::LeavesOutTheBest, "hits are those of comparing every pair"),
        (Self::TiesByLastName, "equal scores are ordered by name"),
        (Self::OneTooMany, "as many hits as were asked for"),
        (Self::SearchIgnoresFilter, "a filter means the same everywhere"),
        (Self::CountIgnoresFilter, "a filter means the same everywhere"),
        (Self::FilterKnowsNoCase, "a filter means what the table says"),
        (Self::NoTitle, "a filter sees id, group and title"),
        (Self::SortsWhatItGets, "looking up keeps the order and the gaps"),
        (Self::CarriesEverything, "what was asked for is carried, and only that"),
        (Self::CarriesNoText, "what was asked for is carried, and only that"),
        (Self::GoesOnAfterAnError, "a visit is in order and ends with its error"),
        (Self::RowsOutOfOrder, "rows are all vectors in the order of names"),
        (Self::RenewForgetsThePicture, "items change as they were told to"),
        (Self::RenewKeepsTheText, "items change as they were told to"),
        (Self::KeepsTheRemoved, "items change as they were told to"),
        (Self::ForgetsWhatItSaw, "unseen items go"),
        (Self::CutsTheRootOff, "a root changes no picture's place"),
        (Self::ShowsAtOnce, "nothing shows before a commit"),
        (Self::SnapshotMoves, "a snapshot stays as it is and can be renewed"),
        (Self::NeverRenewed, "a snapshot stays as it is and can be renewed"),
        (Self::TakesAnySize, "what does not fit is an error of its kind"),
        (Self::KnowsEveryField, "what does not fit is an error of its kind"),
        (Self::EmptyIsAnError, "an empty collection answers"),
        (Self::VisitIgnoresFilter, "values are counted and ordered"),
    ];
}

/// Makes collections in memory.
#[derive(Debug, Default)]
pub(super) struct Memory {
    fault: Option<Fault>,
}

impl Memory {
    /// Collections with a mistake.
    pub(super) fn with(fault: Fault) -> Self {
        Self { fault: Some(fault) }
    }
}

impl MakesCollections for Memory {
    fn make(&self, space: &Space) -> Box<dyn Place> {
        Box::new(Spot { space: space.clone(), fault: self.fault, state: Arc::default() })
    }
}

#[derive(Clone, Debug)]
struct Item {
    record: Record,
    picture: Vec<f32>,
    text: Option<Vec<f32>>,
}

type Items = BTreeMap<ItemId, Item>;

/// What was committed, and how often something was.
#[derive(Debug, Default)]
struct State {
    commits: usize,
    items: Arc<Items>,
}

/// Where one collection lies.
#[derive(Clone, Debug)]
struct Spot {
    space: Space,
    fault: Option<Fault>,
    state: Arc<Mutex<State>>,
}

impl Spot {
    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn snapshot(&self) -> List {
        let state = self.state.lock().unwrap();
        List { spot: self.clone(), commits: state.commits, items: Arc::clone(&state.items) }
    }
}

impl Place for Spot {
    fn sink(&self) -> Box<dyn Sink> {
        let items = (*self.snapshot().items).clone();
        Box::new(Changes { spot: self.clone(), items, seen: BTreeSet::new() })
    }

    fn collection(&self) -> Arc<dyn Collection> {
        Arc::new(self.snapshot())
    }
}

/// A snapshot.
#[derive(Clone, Debug)]
struct List {
    spot: Spot,
    commits: usize,
    items: Arc<Items>,
}

impl List {
    fn items(&self) -> Arc<Items> {
        let moves = self.spot.has(Fault::SnapshotMoves);
        if moves { self.spot.snapshot().items } else { Arc::clone(&self.items) }
    }

    fn carried(&self, item: &Item, carry: Carry) -> Found {
        let all = self.spot.has(Fault::CarriesEverything);
        let mut found = Found::new(item.record.id.clone());
        found.record = (carry.record || all).then(|| item.record.clone());
        found.content = (carry.content || all).then_some(item.record.stamp.content);
        found.picture = (carry.picture || all).then(|| item.picture.clone());
        found.text = item.text.clone().filter(|_| carry.text || all);
        if self.spot.has(Fault::CarriesNoText) {
            found.text = None;
        }
        found
    }

    fn passing(&self, filter: Option<&Filter>) -> Result<Vec<Item>> {
        let items = self.items();
        let Some(filter) = filter else { return Ok(items.values().cloned().collect()) };
        if !self.spot.has(Fault::KnowsEveryField) {
            expect_known_fields(filter, &self.field_names()?)?;
        }
        let passes = |item: &&Item| filter.matches(&self.seen(&item.record));
        Ok(items.values().filter(passes).cloned().collect())
    }

    fn seen(&self, record: &Record) -> crate::filter::Fields {
        let mut seen = seen_by_filter(record);
        if self.spot.has(Fault::NoTitle) {
            seen = record.fields.clone();
            seen.insert("id".to_owned(), record.id.as_str().into());
        }
        if self.spot.has(Fault::FilterKnowsNoCase) {
            seen = seen.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
        }
        seen
    }
}

impl Collection for List {
    fn space(&self) -> &Space {
        &self.spot.space
    }

    fn place(&self) -> &Path {
        Path::new("memory")
    }

    fn count(&self, filter: Option<&Filter>) -> Result<usize> {
        let ignored = self.spot.has(Fault::CountIgnoresFilter);
        Ok(self.passing(filter.filter(|_| !ignored))?.len())
    }

    fn field_names(&self) -> Result<Vec<String>> {
        let items = self.items();
        let names: BTreeSet<&String> =
            items.values().flat_map(|item| item.record.fields.keys()).collect();
        Ok(names.into_iter().cloned().collect())
    }

    fn search(&self, query: &Nearest<'_>) -> Result<Vec<Vec<Hit>>> {
        if self.spot.has(Fault::EmptyIsAnError) && self.items().is_empty() {
            return Err(Error::invalid("there is nothing in it"));
        }
        if !self.spot.has(Fault::TakesAnySize) {
            expect_dim(query.vectors, self.space(), "")?;
        }
        let ignored = self.spot.has(Fault::SearchIgnoresFilter);
        let mut items = self.passing(query.filter.filter(|_| !ignored))?;
        if self.spot.has(Fault::TiesByLastName) {
            items.reverse();
        }
        let top = query.top.saturating_add(usize::from(self.spot.has(Fault::OneTooMany)));
        let answer = |row: &[f32]| {
            let cosine =
                |item: &Item| row.iter().zip(&item.picture).map(|(x, y)| x * y).sum::<f32>();
            let mut scored: Vec<(f32, &Item)> =
                items.iter().map(|item| (cosine(item), item)).collect();
            // Stable: equals stay in the order of their names.
            scored.sort_by(|a, b| b.0.total_cmp(&a.0));
            if self.spot.has(Fault::LeavesOutTheBest) && !scored.is_empty() {
                scored.remove(0);
            }
            scored.truncate(top);
            let hit = |(score, item)| Hit::new(score, self.carried(item, query.carry));
            scored.into_iter().map(hit).collect()
        };
        Ok(query.vectors.rows().map(answer).collect())
    }

    fn get(&self, ids: &[ItemId], carry: Carry) -> Result<Vec<Option<Found>>> {
        let items = self.items();
        let mut ids = ids.to_vec();
        if self.spot.has(Fault::SortsWhatItGets) {
            ids.sort();
        }
        Ok(ids.iter().map(|id| items.get(id).map(|item| self.carried(item, carry))).collect())
    }

    fn visit(
        &self,
        filter: Option<&Filter>,
        carry: Carry,
        visit: &mut dyn FnMut(Found) -> Result<()>,
    ) -> Result<()> {
        let goes_on = self.spot.has(Fault::GoesOnAfterAnError);
        let ignored = self.spot.has(Fault::VisitIgnoresFilter);
        for item in self.passing(filter.filter(|_| !ignored))? {
            match visit(self.carried(&item, carry)) {
                Err(_) if goes_on => {}
                result => result?,
            }
        }
        Ok(())
    }

    fn rows(&self) -> Result<Box<dyn Rows + '_>> {
        let mut items: Vec<Item> = self.items().values().cloned().collect();
        if self.spot.has(Fault::RowsOutOfOrder) {
            items.reverse();
        }
        Ok(Box::new(AllRows { dim: self.space().dim, items }))
    }

    fn renewed(&self) -> Result<Option<Arc<dyn Collection>>> {
        let latest = self.spot.snapshot();
        let is_old = latest.commits != self.commits && !self.spot.has(Fault::NeverRenewed);
        Ok(is_old.then(|| Arc::new(latest) as Arc<dyn Collection>))
    }
}

/// All vectors of a snapshot.
#[derive(Debug)]
struct AllRows {
    dim: usize,
    items: Vec<Item>,
}

impl Rows for AllRows {
    fn dim(&self) -> usize {
        self.dim
    }

    fn len(&self) -> usize {
        self.items.len()
    }

    fn id(&self, row: usize) -> ItemId {
        self.items[row].record.id.clone()
    }

    fn content(&self, row: usize) -> u64 {
        self.items[row].record.stamp.content
    }

    fn picture(&self, row: usize) -> &[f32] {
        &self.items[row].picture
    }

    fn text(&self, row: usize) -> Option<&[f32]> {
        self.items[row].text.as_deref()
    }
}

/// What is to become of a collection.
#[derive(Debug)]
struct Changes {
    spot: Spot,
    items: Items,
    seen: BTreeSet<ItemId>,
}

impl Changes {
    fn put(&mut self, mut item: Item) {
        if self.spot.has(Fault::CutsTheRootOff) {
            item.record.image = format!("{}.png", item.record.id).into();
        }
        if self.spot.has(Fault::ShowsAtOnce) {
            let mut state = self.spot.state.lock().unwrap();
            let mut items = (*state.items).clone();
            items.insert(item.record.id.clone(), item.clone());
            state.items = Arc::new(items);
        }
        self.seen.insert(item.record.id.clone());
        self.items.insert(item.record.id.clone(), item);
    }

    fn expect_fit(&self, vector: &[f32]) -> Result<()> {
        if vector.len() == self.spot.space.dim {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Mismatch, "a vector of another size"))
    }

    fn there(&self, id: &ItemId) -> Result<Item> {
        let missing = || Error::new(ErrorKind::NotFound, "no such item").at_item(id.as_str());
        self.items.get(id).cloned().ok_or_else(missing)
    }
}

impl Sink for Changes {
    fn space(&self) -> &Space {
        &self.spot.space
    }

    fn known(&self, id: &ItemId) -> Result<Option<Known>> {
        let known = |Item { record, .. }: &Item| Known {
            stamp: record.stamp,
            record: record.checksum(None),
            texts: record.texts_checksum(),
        };
        Ok(self.items.get(id).map(known))
    }

    fn keep(&mut self, id: &ItemId) -> Result<()> {
        self.there(id)?;
        self.seen.insert(id.clone());
        Ok(())
    }

    fn renew(&mut self, record: &Record, text_vector: Option<&[f32]>) -> Result<()> {
        let old = self.there(&record.id)?;
        text_vector.map_or(Ok(()), |vector| self.expect_fit(vector))?;
        let same_texts = old.record.texts_checksum() == record.texts_checksum();
        let keeps = same_texts || self.spot.has(Fault::RenewKeepsTheText);
        let text = match text_vector {
            Some(vector) => Some(vector.to_vec()),
            None => old.text.filter(|_| keeps),
        };
        let mut picture = old.picture;
        if self.spot.has(Fault::RenewForgetsThePicture) {
            picture.fill(0.0);
        }
        self.put(Item { record: record.clone(), picture, text });
        Ok(())
    }

    fn add(
        &mut self,
        records: &[Record],
        pictures: &Vectors,
        texts: &[Option<Vec<f32>>],
    ) -> Result<()> {
        if records.len() != pictures.len() || records.len() != texts.len() {
            return Err(Error::new(ErrorKind::Mismatch, "not one vector a record"));
        }
        for ((record, picture), text) in records.iter().zip(pictures.rows()).zip(texts) {
            self.expect_fit(picture)?;
            text.as_deref().map_or(Ok(()), |text| self.expect_fit(text))?;
            let (record, text) = (record.clone(), text.clone());
            self.put(Item { record, picture: picture.to_vec(), text });
        }
        Ok(())
    }

    fn remove(&mut self, ids: &[ItemId]) -> Result<usize> {
        let there = ids.iter().filter(|&id| self.items.contains_key(id)).count();
        if !self.spot.has(Fault::KeepsTheRemoved) {
            self.items.retain(|id, _| !ids.contains(id));
        }
        Ok(there)
    }

    fn remove_unseen(&mut self) -> Result<usize> {
        if self.spot.has(Fault::ForgetsWhatItSaw) {
            self.seen.clear();
        }
        let unseen = self.items.keys().filter(|&id| !self.seen.contains(id));
        let unseen: Vec<ItemId> = unseen.cloned().collect();
        self.remove(&unseen)
    }

    fn commit(&mut self) -> Result<()> {
        let mut state = self.spot.state.lock().unwrap();
        state.items = Arc::new(self.items.clone());
        state.commits += 1;
        Ok(())
    }
}
