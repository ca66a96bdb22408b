//! What those who search, judge and draw see of a collection of embedded items, wherever it lies.
//!
//! [`Index`](super::Index), the local folder that is scanned exactly, is the first implementation,
//! and the one that others are compared with. `src/index/conformance.rs` holds the tests that each
//! implementation passes; docs/adding-a-collection.md says how another one is added.
//!
//! ```
//! use looksee::index::{Carry, Collection, Nearest};
//! use looksee::vectors::Vectors;
//!
//! /// The names and pictures' files of what is nearest to a vector.
//! fn nearest(collection: &dyn Collection, vector: Vectors) -> looksee::Result<Vec<String>> {
//!     let query = Nearest::new(&vector, 10).carrying(Carry::RECORD);
//!     let hits = collection.search(&query)?.pop().unwrap_or_default();
//!     Ok(hits.into_iter().map(|hit| format!("{} {:.3}", hit.item.id, hit.score)).collect())
//! }
//! ```

use std::collections::HashMap;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::Space;
use super::record::Record;
use crate::error::{Error, ErrorKind, Fact, FieldRole, Result};
use crate::filter::{self, Fields, Filter};
use crate::units::ItemId;
use crate::vectors::Vectors;

/// What is read with a hit or a look-up. Each part costs a read of its own, so ask for what is
/// used; write `Carry { picture: true, ..Carry::NOTHING }` for a mixture of your own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each part is asked for by itself")]
pub struct Carry {
    /// Texts, fields, group and the picture's place.
    pub record: bool,
    /// What tells copies of a picture.
    pub content: bool,
    /// The vector of the picture.
    pub picture: bool,
    /// The vector of the texts.
    pub text: bool,
}

impl Carry {
    /// Only the name.
    pub const NOTHING: Self = Self { record: false, content: false, picture: false, text: false };
    /// What people are shown.
    pub const RECORD: Self = Self { record: true, ..Self::NOTHING };
    /// The vectors of the picture and the texts.
    pub const VECTORS: Self = Self { picture: true, text: true, ..Self::NOTHING };
    /// What tells whether two items show the same: content and vector of the picture.
    pub const LOOKS: Self = Self { content: true, picture: true, ..Self::NOTHING };
    /// Everything.
    pub const ALL: Self = Self { record: true, content: true, picture: true, text: true };
}

/// An item with as much of it as was asked for by a [`Carry`]: a part that was not is `None`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Found {
    /// The item's name.
    pub id: ItemId,
    /// Everything but the vectors.
    pub record: Option<Record>,
    /// XXH3-64 of the picture's file as it was embedded: the same for copies of a file.
    pub content: Option<u64>,
    /// The vector of the picture, `[dim]`.
    pub picture: Option<Vec<f32>>,
    /// The vector of the texts, `[dim]`; `None` also where the item has no text.
    pub text: Option<Vec<f32>>,
}

impl Found {
    /// An item of which nothing was read but its name.
    pub fn new(id: ItemId) -> Self {
        Self { id, record: None, content: None, picture: None, text: None }
    }
}

/// One answer of a search.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Hit {
    /// Cosine with the query, -1 to 1; greater is closer.
    pub score: f32,
    /// The item, with what the search was to carry.
    pub item: Found,
}

impl Hit {
    /// A hit on `item`.
    pub fn new(score: f32, item: Found) -> Self {
        Self { score, item }
    }
}

/// What to look for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Nearest<'a> {
    /// One query a row, `[n, dim]`.
    pub vectors: &'a Vectors,
    /// How many answers a query; 0 is allowed, and more than there are items.
    pub top: usize,
    /// Only among items that pass.
    pub filter: Option<&'a Filter>,
    /// What is read with each hit.
    pub carry: Carry,
}

impl<'a> Nearest<'a> {
    /// The `top` nearest of all items, with nothing but their names.
    pub fn new(vectors: &'a Vectors, top: usize) -> Self {
        Self { vectors, top, filter: None, carry: Carry::NOTHING }
    }

    /// Only among the items that pass `filter`, where there is one.
    #[must_use]
    pub fn among(self, filter: Option<&'a Filter>) -> Self {
        Self { filter, ..self }
    }

    /// With so much of each hit.
    #[must_use]
    pub fn carrying(self, carry: Carry) -> Self {
        Self { carry, ..self }
    }
}

/// Which end of an order comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The least first.
    #[default]
    Ascending,
    /// The greatest first.
    Descending,
}

/// A snapshot of a collection of items that one model embedded.
///
/// What every implementation keeps to:
///
/// * **A snapshot.** All answers of one value are about the same state, whatever a writer commits
///   meanwhile; [`Collection::renewed`] gives the next state. Nothing uncommitted shows.
/// * **Order.** Items are ordered by the bytes of their names. Hits come closest first, and of
///   equal scores the smaller name first.
/// * **Filters** mean what the table in [`crate::filter`] says, over the fields that
///   [`seen_by_filter`] lists. One that names a field that no item has is an error
///   ([`expect_known_fields`]), because it is a slip of the pen far more often than a question.
/// * **Carrying.** A part that was asked for is there, one that was not is `None`, and only the
///   records of what is returned are read.
/// * **Damage** is an error ([`ErrorKind::Corrupt`]) wherever it is met, never a gap.
///
/// Room for what comes next, without a change to what is here:
///
/// * *Several vectors an item* (pictures, views): an item's score is that of its best vector, and
///   it is one hit. [`Found::picture`] is the first; the others get a field of their own, which
///   `#[non_exhaustive]` leaves room for.
/// * *A ranking by words*: a provided method beside [`Collection::search`] that returns [`Hit`]s
///   and is [`Unsupported`](ErrorKind::Unsupported) until an implementation has it.
/// * *Counts* and *orders* of a field's values are here already, over [`Collection::visit`]; one
///   that has a database overrides them.
pub trait Collection: Send + Sync + Debug {
    /// The model that made it.
    fn space(&self) -> &Space;

    /// Its folder or its address, for messages.
    fn place(&self) -> &Path;

    /// How many items pass a filter; how many there are without one.
    fn count(&self, filter: Option<&Filter>) -> Result<usize>;

    /// The names of all fields that items have, ascending.
    fn field_names(&self) -> Result<Vec<String>>;

    /// The closest pictures of each query, a list a query.
    ///
    /// Fails as [`ErrorKind::Mismatch`] when the queries have another size than the collection's
    /// vectors, and as [`ErrorKind::Invalid`] when the filter names a field that no item has.
    fn search(&self, query: &Nearest<'_>) -> Result<Vec<Vec<Hit>>>;

    /// The items with these names, in their order; `None` where there is none of that name. The
    /// cost depends on the number of names and not on that of items.
    fn get(&self, ids: &[ItemId], carry: Carry) -> Result<Vec<Option<Found>>>;

    /// Calls `visit` with each item that passes, ascending by name, until it fails.
    fn visit(
        &self,
        filter: Option<&Filter>,
        carry: Carry,
        visit: &mut dyn FnMut(Found) -> Result<()>,
    ) -> Result<()>;

    /// All vectors at once, for those who read most of them: borrowed where they are in memory or
    /// mapped. Fails when one is damaged or not finite.
    fn rows(&self) -> Result<Box<dyn Rows + '_>>;

    /// A snapshot of what was committed since this one; `None` when nothing was, which is cheap to
    /// ask. This one stays what it is.
    fn renewed(&self) -> Result<Option<Arc<dyn Collection>>>;

    /// The names of the items that pass, ascending.
    fn ids(&self, filter: Option<&Filter>) -> Result<Vec<ItemId>> {
        let mut ids = Vec::new();
        self.visit(filter, Carry::NOTHING, &mut |item| {
            ids.push(item.id);
            Ok(())
        })?;
        Ok(ids)
    }

    /// The values of a field among the items that pass, each as it was first met, with the number
    /// of items that have it: the most frequent first, of equals the smaller text.
    ///
    /// A value is a text (without regard to case), a number or a flag; each element of a list
    /// counts, once an item. Fails when no item has the field.
    fn value_counts(&self, field: &str, filter: Option<&Filter>) -> Result<Vec<(String, usize)>> {
        expect_known_names(&[field], &self.field_names()?).map_err(|e| e.at_file(self.place()))?;
        let mut counts = Counts::default();
        self.visit(filter, Carry::RECORD, &mut |item| {
            let fields = item.record.as_ref().map(seen_by_filter).unwrap_or_default();
            counts.add(filter::lookup(&fields, field));
            Ok(())
        })?;
        Ok(counts.sorted())
    }

    /// The names of the items that pass in the order of a field's value, of equals the smaller
    /// name first: numbers, and texts that are numbers, then texts without regard to case, then
    /// flags. Items without the field are last in either order. Of a list the first element counts.
    ///
    /// Fails when no item has the field.
    fn ids_by(&self, field: &str, order: Order, filter: Option<&Filter>) -> Result<Vec<ItemId>> {
        expect_known_names(&[field], &self.field_names()?).map_err(|e| e.at_file(self.place()))?;
        let (mut ranked, mut without) = (Vec::new(), Vec::new());
        self.visit(filter, Carry::RECORD, &mut |item| {
            let fields = item.record.as_ref().map(seen_by_filter).unwrap_or_default();
            match filter::lookup(&fields, field).and_then(filter::Rank::of) {
                Some(rank) => ranked.push((rank, item.id)),
                None => without.push(item.id),
            }
            Ok(())
        })?;
        // Stable, and visited ascending by name: equals stay in the order of their names.
        ranked.sort_by(|(a, _), (b, _)| match order {
            Order::Ascending => a.order(b),
            Order::Descending => b.order(a),
        });
        Ok(ranked.into_iter().map(|(_, id)| id).chain(without).collect())
    }
}

/// All vectors of a snapshot, numbered from 0 in the order of the items' names. They were compared
/// with their checksums, and are finite.
pub trait Rows: Send + Sync + Debug {
    /// Values a vector.
    fn dim(&self) -> usize;

    /// Number of items.
    fn len(&self) -> usize;

    /// Whether there is no item.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of item `row`.
    fn id(&self, row: usize) -> ItemId;

    /// What tells copies of a picture, as [`Found::content`].
    fn content(&self, row: usize) -> u64;

    /// The vector of the picture of item `row`, `[dim]`.
    fn picture(&self, row: usize) -> &[f32];

    /// The vector of its texts, `[dim]`, if it has any.
    fn text(&self, row: usize) -> Option<&[f32]>;
}

/// Names that a filter knows of every item, unless the catalogue has fields of these names.
const OF_EVERY_ITEM: [&str; 3] = ["id", "group", "title"];

/// What a filter sees of an item: its fields, and `id`, `group` and `title` (the first text) as
/// well, unless the catalogue has a field of that name.
pub fn seen_by_filter(record: &Record) -> Fields {
    let title = record.texts.first().map(String::as_str);
    described(record.fields.clone(), &record.id, record.group.as_deref(), title)
}

/// [`seen_by_filter`] of parts.
pub(super) fn described(
    mut fields: Fields,
    id: &ItemId,
    group: Option<&str>,
    title: Option<&str>,
) -> Fields {
    let named = [("id", Some(id.as_str())), ("group", group), ("title", title)];
    for (name, value) in named {
        if let Some(value) = value {
            fields.entry(name).or_insert_with(|| Value::from(value));
        }
    }
    fields
}

/// Whether a filter reads the texts of an item.
pub(super) fn reads_title(filter: &Filter) -> bool {
    filter.field_names().contains(&"title")
}

/// Refuses a filter that names a field that no item has, given the names of the fields there are.
pub fn expect_known_fields(filter: &Filter, known: &[String]) -> Result<()> {
    expect_known_names(&filter.field_names(), known)
}

fn expect_known_names(names: &[&str], known: &[String]) -> Result<()> {
    let is_known = |name: &str| {
        OF_EVERY_ITEM.contains(&name) || known.iter().any(|known| filter::may_reach(known, name))
    };
    let Some(unknown) = names.iter().find(|name| !is_known(name)) else { return Ok(()) };
    let mut all: Vec<&str> = known.iter().map(String::as_str).chain(OF_EVERY_ITEM).collect();
    all.sort_unstable();
    all.dedup();
    let message = format!("no item has a field \"{unknown}\" (fields: {})", all.join(", "));
    let (role, field) = (FieldRole::Condition, (*unknown).to_owned());
    Err(Error::invalid(message).with_fact(Fact::MissingField { role, field, meant: None }))
}

/// The error for queries of another size than the vectors of a collection.
pub(super) fn expect_dim(vectors: &Vectors, space: &Space, advice: &str) -> Result<()> {
    if vectors.dim() == space.dim {
        return Ok(());
    }
    let message = format!(
        "a query has {} values, the index was made by model {space}{advice}",
        vectors.dim()
    );
    Err(Error::new(ErrorKind::Mismatch, message))
}

/// How many items have each value of a field.
#[derive(Debug, Default)]
struct Counts {
    /// By the value in lower case: as it was first met, and the number.
    of: HashMap<String, (String, usize)>,
}

impl Counts {
    fn add(&mut self, value: Option<&Value>) {
        let mut names = filter::shown_values(value);
        names.sort_by_key(|name| name.to_lowercase());
        names.dedup_by_key(|name| name.to_lowercase());
        for name in names {
            self.of.entry(name.to_lowercase()).or_insert((name, 0)).1 += 1;
        }
    }

    fn sorted(self) -> Vec<(String, usize)> {
        let mut counts: Vec<_> = self.of.into_values().collect();
        counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts
    }
}
