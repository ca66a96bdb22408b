//! How well a model finds what belongs together.
//!
//! The gallery is a list of items of which no two show the same thing. Each text asks for its
//! picture among all pictures of the gallery, each picture for its text, and where pictures
//! belong together by group or label, each picture for its likes. Equal texts are equal answers: no
//! model can tell the pictures of "a red ball" apart by these words. Then come short questions
//! ([`crate::questions`]), which many pictures answer. Everything else is computed from ranks and
//! places (see [`crate::metrics`]), so that two models can be compared query by query.

mod short;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::Serialize;

use crate::catalogue::{Item, Ledger, Place, Reason, Skip, Source, Telling, as_typed};
use crate::embed;
use crate::encoder::Encoder;
use crate::error::{Error, ErrorKind, Fact, Result};
use crate::files::Blob;
use crate::filter::Fields;
use crate::images::{self, Limits};
use crate::metrics::{self, Answers, Summary};
use crate::questions::Described;
use crate::units::{Event, ItemId, Listener, Seed, Stop};
use crate::vectors::Vectors;

pub use crate::short::{Asked, OfKind, Short, WeakField, WeakWord, Weakest};
pub use short::ShortComparison;

/// Other pictures of a group that join its first one where pictures ask for pictures.
const PARTNERS: usize = 4;
/// Queries that a comparison names on each side.
const NAMED_QUERIES: usize = 20;
/// The first so many answers count as found in a comparison.
const FOUND: usize = 10;
/// Queries below which a figure says nothing, whatever it is.
pub const FEWEST: usize = 20;

/// How many items the gallery holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gallery {
    /// The first so many items in file order, one a group.
    First(usize),
    /// All items, one a group.
    All,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The first text of each item, and short questions.
    TitlesAndShort,
    /// The first text of each item.
    Titles,
    /// All texts of each item, joined.
    All,
    /// Short questions: a value or two of the descriptive fields, or pieces of titles.
    Short,
}

impl Ask {
    fn has_texts(self) -> bool {
        self != Self::Short
    }

    fn has_short_questions(self) -> bool {
        matches!(self, Self::Short | Self::TitlesAndShort)
    }
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// The gallery.
    pub gallery: Gallery,
    /// The queries.
    pub ask: Ask,
    /// Chance for the intervals.
    pub seed: Seed,
    /// Bounds on pictures.
    pub limits: Limits,
    /// Pictures with the same value of this field answer each other; groups when `None`.
    pub label_field: Option<String>,
    /// No figures are given for fewer queries than so many.
    pub fewest: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            gallery: Gallery::First(1000),
            ask: Ask::TitlesAndShort,
            seed: Seed::default(),
            limits: Limits::default(),
            label_field: None,
            fewest: FEWEST,
        }
    }
}

/// The result of [`run`], as `looksee eval --format json` prints it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Pictures in the gallery.
    pub gallery: usize,
    /// Whole texts as queries and answers, where they were asked and there are enough of them.
    #[serde(flatten)]
    pub texts: Option<Texts>,
    /// Pictures as queries and answers, where groups or labels exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_to_image: Option<Likes>,
    /// Short questions, where they were asked and the catalogue has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short: Option<Short>,
    /// What has to be known to read the figures, a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What was used and what was not.
    #[serde(skip)]
    pub ledger: Ledger,
}

/// Whole texts and their pictures.
#[derive(Clone, Debug, Serialize)]
pub struct Texts {
    /// Texts as queries, pictures as answers.
    pub text_to_image: Summary,
    /// Pictures as queries, texts as answers.
    pub image_to_text: Summary,
    /// What chance would give for either.
    pub chance: Summary,
    /// Rank of each text query's best picture, in gallery order.
    #[serde(skip)]
    pub ranks: Vec<usize>,
    /// The items and the texts asked, for "queries won and lost".
    #[serde(skip)]
    pub queries: Vec<String>,
}

/// Pictures that look for their likes among all others.
#[derive(Clone, Debug, Serialize)]
pub struct Likes {
    /// The nearest one that is right.
    #[serde(flatten)]
    pub nearest: Summary,
    /// All that are right.
    pub answers: Answers,
    /// What chance would give for the nearest.
    pub chance: Summary,
}

/// Two models on the same queries.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// On whole texts, where both were asked enough of them.
    #[serde(flatten)]
    pub texts: Option<TextComparison>,
    /// On short questions, kind by kind.
    pub short: Vec<ShortComparison>,
}

/// Two models on the same texts.
#[derive(Clone, Debug, Serialize)]
pub struct TextComparison {
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
/// next ones and are listed in the ledger; where no whole texts are asked or a label is named, items
/// without a text stay. Where groups exist, up to four more pictures of each group of the gallery
/// join for picture to picture.
///
/// An encoder that has learnt from items of the gallery is a warning with
/// [`Fact::MeasuredOnLearnt`].
pub fn run(
    source: &Source,
    encoder: &dyn Encoder,
    options: &Options,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<Report> {
    let (entries, mut ledger) = read(source, encoder, options)?;
    ledger.used = 0;
    let asks_texts = options.ask.has_texts() && encoder.reads_texts();
    let needs_text = asks_texts && options.label_field.is_none();
    let mut hall = Hall { entries, encoder, options, stop, needs_text, ledger, looked_at: 0 };
    let shown = hall.gallery(options.gallery, listener)?;
    if shown.entries.is_empty() {
        hall.list_textless();
        let summary = hall.ledger.summary();
        let what = if needs_text { "both a usable picture and a text" } else { "a usable picture" };
        return Err(Error::invalid(format!("no item has {what}: {summary}")));
    }
    let mut notes = Vec::new();
    notes.extend(hall.learnt(&shown, listener));
    let (mut texts, mut short) = (None, None);
    if !encoder.reads_texts() {
        notes.push(READS_NONE.to_owned());
    }
    if asks_texts {
        texts = hall.ask_texts(&shown, &mut notes, listener)?;
    }
    if options.ask.has_short_questions() && encoder.reads_texts() {
        short = hall.ask_short_questions(&shown, &mut notes, listener)?;
    }
    let gallery = shown.entries.len();
    let kin = match options.label_field {
        Some(_) => Some(shown),
        None => hall.with_partners(shown, listener)?,
    };
    let image_to_image = kin.and_then(|kin| hall.likes(&kin, &mut notes));
    hall.list_textless();
    Ok(Report { gallery, texts, image_to_image, short, notes, ledger: hall.ledger })
}

const READS_NONE: &str = "this model reads no texts: pictures are compared with pictures alone, and nothing is asked in words";

/// What is kept of an item while it may enter the gallery.
struct Entry {
    id: ItemId,
    image: Blob,
    /// The text that is asked.
    text: Option<String>,
    /// All its texts and fields, where short questions are asked.
    texts: Vec<String>,
    fields: Fields,
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
        let text = match options.ask {
            Ask::All => encoder.join(&item.texts),
            _ => item.texts.iter().find_map(|text| encoder.join(std::slice::from_ref(text))),
        };
        let label = |field: &String| label(item.fields.get(field)?);
        let kin = match &options.label_field {
            Some(field) => label(field),
            None => item.group.clone(),
        };
        let (texts, fields) = if options.ask.has_short_questions() {
            (item.texts, item.fields)
        } else {
            (Vec::new(), Fields::new())
        };
        let (id, image, group, place) = (item.id, item.image, item.group, item.place);
        Self { id, image, text, texts, fields, kin, group, place, state: State::Waiting }
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
    options: &'a Options,
    stop: &'a Stop,
    /// Whether an item without a text stays out of the gallery.
    needs_text: bool,
    ledger: Ledger,
    /// Entries before this one were looked at for the gallery.
    looked_at: usize,
}

impl Hall<'_> {
    fn lacks_text(&self, entry: &Entry) -> bool {
        self.needs_text && entry.text.is_none()
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
            if entry.state != State::Waiting || (self.needs_text && entry.text.is_none()) {
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
            if entry.state == State::Waiting && self.lacks_text(entry) {
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
            embed::pictures(&pictures, self.encoder, self.options.limits, self.stop, listener)?;
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

    /// Whether the encoder has learnt from items of the gallery: the sentence that says so.
    fn learnt(&self, shown: &Shown, listener: Listener<'_>) -> Option<String> {
        let items = shown.entries.iter().map(|&entry| {
            let Entry { id, group, image, .. } = &self.entries[entry];
            (id, group.as_deref(), image)
        });
        let overlap = self.encoder.learnt()?.overlap(items);
        if overlap.known == 0 {
            return None;
        }
        let share = 100.0 * overlap.known as f64 / overlap.compared as f64;
        let sentence = format!(
            "the model has learnt from about {share:.0} % of this gallery ({} of {} names that were \
             compared), so the figures say how well it remembers, not how well it finds what is new",
            overlap.known, overlap.compared
        );
        listener(Event::Suspicion(&sentence, Fact::MeasuredOnLearnt));
        Some(sentence)
    }

    /// Each text looks for its picture and each picture for its text; equal texts are one answer.
    fn ask_texts(
        &self,
        shown: &Shown,
        notes: &mut Vec<String>,
        listener: Listener<'_>,
    ) -> Result<Option<Texts>> {
        let asking = shown.entries.iter().enumerate();
        let asking =
            asking.filter_map(|(row, &e)| Some((row, e, self.entries[e].text.as_deref()?)));
        let asking: Vec<(usize, usize, &str)> = asking.collect();
        if asking.len() < self.options.fewest.max(1) {
            notes.push(too_few("pictures with a text", asking.len(), self.options.fewest));
            return Ok(None);
        }
        let asked: Vec<&str> = asking.iter().map(|(_, _, text)| *text).collect();
        let same = numbered(&asked);
        let different = same.iter().collect::<BTreeSet<_>>().len();
        if different < asked.len() {
            notes.push(format!(
                "the {} texts are {different} different ones; equal texts are equal answers",
                asked.len()
            ));
        }
        // The text of each row of the gallery.
        let mut text_of_row = vec![None; shown.entries.len()];
        for (&(row, _, _), &text) in asking.iter().zip(&same) {
            text_of_row[row] = Some(text);
        }
        let seed = self.options.seed;
        let texts = embed::texts(&asked, self.encoder, self.stop, listener)?;
        let is_picture = |query: usize, row: usize| text_of_row[row] == Some(same[query]);
        let ranks = metrics::ranks(&texts, &shown.vectors, &is_picture, &|_, _| false);
        let ranks: Vec<usize> = ranks.into_iter().flatten().collect();
        let is_text = |row: usize, text: usize| text_of_row[row] == Some(same[text]);
        let of_pictures = metrics::ranks(&shown.vectors, &texts, &is_text, &|_, _| false);
        let of_pictures: Vec<usize> = of_pictures.into_iter().flatten().collect();
        let right = |text: &usize| same.iter().filter(|other| *other == text).count();
        let right: Vec<usize> = same.iter().map(right).collect();
        let name = |(_, entry, text): &(usize, usize, &str)| {
            format!("{}: {text}", self.entries[*entry].id)
        };
        let summary = |ranks: &[usize]| metrics::summarise(ranks, seed).ok_or_else(no_ranks);
        Ok(Some(Texts {
            text_to_image: summary(&ranks)?,
            image_to_text: summary(&of_pictures)?,
            chance: metrics::chance(&right, shown.entries.len()).ok_or_else(no_ranks)?,
            queries: asking.iter().map(name).collect(),
            ranks,
        }))
    }

    fn ask_short_questions(
        &self,
        shown: &Shown,
        notes: &mut Vec<String>,
        listener: Listener<'_>,
    ) -> Result<Option<Short>> {
        if shown.entries.len() < self.options.fewest {
            notes.push(too_few("pictures", shown.entries.len(), self.options.fewest));
            return Ok(None);
        }
        let telling = Telling::of_fields(self.entries.iter().map(|entry| &entry.fields));
        let described = |&entry: &usize| {
            let Entry { texts, fields, .. } = &self.entries[entry];
            Described { texts, fields }
        };
        let items: Vec<Described<'_>> = shown.entries.iter().map(described).collect();
        let questions = short::questions(&items, &telling);
        let (seed, gallery) = (self.options.seed, &shown.vectors);
        let short = short::ask(&questions, gallery, self.encoder, seed, self.stop, listener)?;
        if short.is_none() {
            notes.push(
                "there are no short questions: no field and no words of titles that several \
                 pictures share"
                    .to_owned(),
            );
        }
        Ok(short)
    }

    /// Pictures that ask for others of their kin, themselves left out.
    fn likes(&self, shown: &Shown, notes: &mut Vec<String>) -> Option<Likes> {
        let kin: Vec<Option<&Arc<str>>> =
            shown.entries.iter().map(|&entry| self.entries[entry].kin.as_ref()).collect();
        let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (row, kin) in kin.iter().enumerate() {
            if let Some(kin) = kin {
                members.entry(kin).or_default().push(row);
            }
        }
        let others = |(row, kin): (usize, Option<&Arc<str>>)| -> Vec<usize> {
            let all = kin.and_then(|kin| members.get(&**kin));
            all.map_or(Vec::new(), |all| {
                all.iter().copied().filter(|&other| other != row).collect()
            })
        };
        let right: Vec<Vec<usize>> = kin.iter().copied().enumerate().map(others).collect();
        let asking = right.iter().filter(|right| !right.is_empty()).count();
        if asking < self.options.fewest.max(1) {
            if asking > 0 {
                notes.push(too_few("pictures with others like them", asking, self.options.fewest));
            }
            return None;
        }
        let (seed, pictures) = (self.options.seed, &shown.vectors);
        let is_right = |query: usize, row: usize| right[query].binary_search(&row).is_ok();
        let itself = |query: usize, row: usize| query == row;
        let ranks = metrics::ranks(pictures, pictures, &is_right, &itself);
        let counts: Vec<usize> = right.iter().map(Vec::len).collect();
        let gallery = pictures.len() - 1;
        let answers = metrics::answers_among_others(pictures, &right).into_iter().zip(&counts);
        let answers = answers.filter_map(|(answered, &right)| {
            Some((answered?, metrics::answered_by_chance(right, gallery)))
        });
        Some(Likes {
            nearest: metrics::summarise(&ranks.into_iter().flatten().collect::<Vec<_>>(), seed)?,
            answers: metrics::summarise_answers(&answers.collect::<Vec<_>>(), seed)?,
            chance: metrics::chance(&counts, gallery)?,
        })
    }
}

impl Entry {
    fn skip(&self, reason: Reason, message: String) -> Skip {
        Skip { place: self.place.clone(), id: Some(self.id.clone()), reason, message }
    }
}

/// Equal numbers for texts that are equal but for case and blanks.
fn numbered(texts: &[&str]) -> Vec<usize> {
    let mut known = HashMap::new();
    let number = |text: &&str| {
        let next = known.len();
        *known.entry(as_typed(text)).or_insert(next)
    };
    texts.iter().map(number).collect()
}

fn too_few(what: &str, count: usize, fewest: usize) -> String {
    format!("{count} {what} are too few to judge by: at least {fewest} are needed")
}

fn no_ranks() -> Error {
    Error::invalid("there is nothing to measure: the gallery is empty")
}

/// Compares two reports over the same catalogue and options.
pub fn compare(first: &Report, second: &Report, seed: Seed) -> Result<Comparison> {
    let texts = match (&first.texts, &second.texts) {
        (Some(first), Some(second)) => Some(compare_texts(first, second, seed)?),
        _ => None,
    };
    let short = match (&first.short, &second.short) {
        (Some(first), Some(second)) if !short::are_same(first, second) => {
            return Err(other_queries(first.asked.len(), second.asked.len()));
        }
        (Some(first), Some(second)) => short::compare(first, second, seed),
        _ => Vec::new(),
    };
    Ok(Comparison { texts, short })
}

fn other_queries(first: usize, second: usize) -> Error {
    let message = format!(
        "the models were asked different queries ({first} and {second}); compare them on the same \
         catalogue with the same options"
    );
    Error::new(ErrorKind::Mismatch, message)
}

fn compare_texts(first: &Texts, second: &Texts, seed: Seed) -> Result<TextComparison> {
    if first.queries != second.queries {
        return Err(other_queries(first.queries.len(), second.queries.len()));
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
    let (won, lost) = (named((true, false)), named((false, true)));
    Ok(TextComparison { difference_r10, ci95, won, lost })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::catalogue::Learnt;
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

    /// Galleries of a few pictures are measured, too.
    fn few() -> Options {
        Options { fewest: 0, ask: Ask::Titles, ..Options::default() }
    }

    fn texts(report: &Report) -> &Texts {
        report.texts.as_ref().unwrap()
    }

    fn measure(shop: &Shop, options: &Options) -> Result<Report> {
        let encoder = Colours::default();
        run(&shop.source(), &encoder, options, &Stop::default(), &mut |_| {})
    }

    #[test]
    fn a_model_that_knows_everything_finds_everything_first() {
        let report = measure(&three(["red hat", "green hat", "blue hat"]), &few()).unwrap();
        assert_eq!((report.gallery, report.ledger.used), (3, 3));
        let found = texts(&report);
        assert_eq!((found.text_to_image.r1, found.image_to_text.r1), (1.0, 1.0));
        assert!((found.chance.r1 - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(found.ranks, [1, 1, 1]);
        assert_eq!(found.queries, ["r: red hat", "g: green hat", "b: blue hat"]);
        let json = serde_json::to_value(&report).unwrap();
        assert!(json.get("image_to_image").is_none() && json["text_to_image"]["ci95"].is_object());
    }

    #[test]
    fn a_wrong_text_puts_its_picture_behind_all_others() {
        let report = measure(&three(["green hat", "red hat", "blue hat"]), &few()).unwrap();
        // To the words "green hat" the red and the blue picture are equally far: a tie.
        assert_eq!(texts(&report).ranks, [3, 3, 1]);
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
        let two = Options { gallery: Gallery::First(2), ..few() };
        let report = measure(&shop, &two).unwrap();
        assert_eq!(texts(&report).queries, ["2: red", "5: green"]);
        let skipped: Vec<_> = report.ledger.skipped.iter().map(|skip| skip.reason).collect();
        assert_eq!(skipped, [Reason::Unreadable, Reason::NoText]);
        let all = Options { gallery: Gallery::All, ..few() };
        assert_eq!(measure(&shop, &all).unwrap().gallery, 3);
    }

    #[test]
    fn all_texts_or_the_title_alone_are_the_query() {
        let rows =
            [json!({"id": "r", "image": "r.png", "title": "hat", "description": "a red one"})];
        let shop = shop(&[("r.png", RED)], &rows);
        assert_eq!(texts(&measure(&shop, &few()).unwrap()).queries, ["r: hat"]);
        let all = Options { ask: Ask::All, ..few() };
        assert_eq!(texts(&measure(&shop, &all).unwrap()).queries, ["r: hat & a red one"]);
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
        let report = measure(&shop, &few()).unwrap();
        let likes = report.image_to_image.unwrap();
        assert_eq!((report.gallery, likes.nearest.queries), (2, 4));
        // The reds are alike, green and blue are not: each has the three others as close.
        assert_eq!((likes.nearest.r1, likes.nearest.mean_rank), (0.5, 2.0));
        // Average precision is 1, 1, 1/3 and 1/3; one of three others is right by chance.
        assert!((likes.answers.map - 2.0 / 3.0).abs() < 1e-9, "{:?}", likes.answers);
        assert!((likes.chance.r1 - 1.0 / 3.0).abs() < 1e-9, "{:?}", likes.chance);
        assert!(report.ledger.skipped.is_empty(), "a partner needs no text");
    }

    #[test]
    fn a_label_field_says_which_pictures_are_alike() {
        let shop = three(["red", "green", "blue"]);
        let rows = [("r", "warm"), ("g", "cold"), ("b", "cold")].map(
            |(id, tone)| json!({"id": id, "image": format!("{id}.png"), "title": id, "tone": tone}),
        );
        shop.rows(&rows);
        let by = |field: &str| Options { label_field: Some(field.to_owned()), ..few() };
        let likes = measure(&shop, &by("tone")).unwrap().image_to_image.unwrap();
        assert_eq!((likes.nearest.queries, likes.nearest.mean_rank), (2, 2.0));
        let error = measure(&shop, &by("colour")).unwrap_err();
        assert!(error.message().starts_with("no item has a field \"colour\" (found: "), "{error}");
    }

    #[test]
    fn a_catalogue_without_usable_items_says_what_was_wrong() {
        let shop = shop(&[("r.png", RED)], &[json!({"id": "r", "image": "r.png"})]);
        let error = measure(&shop, &few()).unwrap_err();
        assert!(error.message().starts_with("no item has both"), "{error}");
    }

    #[test]
    fn equal_texts_are_equal_answers_in_both_directions() {
        let shop = shop(
            &[("r.png", RED), ("r2.png", [200, 0, 0]), ("g.png", GREEN)],
            &[
                json!({"id": "1", "image": "r.png", "title": "a green ball"}),
                json!({"id": "2", "image": "r2.png", "title": "A  red ball"}),
                json!({"id": "3", "image": "g.png", "title": "a green BALL"}),
            ],
        );
        let report = measure(&shop, &few()).unwrap();
        let found = texts(&report);
        // "a green ball" is answered by the green picture, whichever row asks.
        assert_eq!(found.ranks, [1, 2, 1]);
        assert_eq!(found.image_to_text.queries, 3);
        // Two of three answer two of the texts, one the other one.
        assert!((found.chance.r1 - (2.0 * 2.0 / 3.0 + 1.0 / 3.0) / 3.0).abs() < 1e-12);
        let note = "the 3 texts are 2 different ones; equal texts are equal answers";
        assert_eq!(report.notes, [note]);
    }

    #[test]
    fn fewer_than_twenty_pairs_are_counted_and_not_judged() {
        let shop = three(["red", "green", "blue"]);
        let options = Options { fewest: FEWEST, ask: Ask::TitlesAndShort, ..few() };
        let report = measure(&shop, &options).unwrap();
        assert!(report.texts.is_none() && report.short.is_none());
        assert_eq!(
            report.notes,
            [
                "3 pictures with a text are too few to judge by: at least 20 are needed",
                "3 pictures are too few to judge by: at least 20 are needed"
            ]
        );
        let json = serde_json::to_value(&report).unwrap();
        assert!(json.get("text_to_image").is_none() && json["gallery"] == 3, "{json}");
        let comparison = compare(&report, &report, Seed(1)).unwrap();
        assert!(comparison.texts.is_none() && comparison.short.is_empty());
    }

    /// 12 pictures, red, green and blue by turns, under codes; the red ones are called pink.
    fn coloured() -> Shop {
        let colours = [("pink", RED), ("green", GREEN), ("blue", BLUE)];
        let shop = Shop::new();
        let row = |n: usize| {
            let (name, rgb) = colours[n % 3];
            shop.picture(&format!("{n}.png"), rgb);
            json!({"id": n, "image": format!("{n}.png"), "color": name, "code": format!("x{n}00")})
        };
        let rows: Vec<Value> = (0..12).map(row).collect();
        shop.rows(&rows);
        shop
    }

    #[test]
    fn short_questions_are_asked_of_fields_and_need_no_texts() {
        let report = measure(&coloured(), &Options { ask: Ask::Short, ..few() }).unwrap();
        assert_eq!((report.gallery, report.texts.is_none()), (12, true));
        let short = report.short.unwrap();
        let asked: Vec<_> =
            short.asked.iter().map(|one| (&*one.question.text, one.question.right.len())).collect();
        assert_eq!(asked, [("blue", 4), ("green", 4), ("pink", 4)]);
        // Four of nine places, which is all there are; to "pink" all pictures are equally far.
        let p9 = |number: usize| short.asked[number].answered.p9;
        assert_eq!((p9(0), p9(1)), (4.0 / 9.0, 4.0 / 9.0));
        assert!(p9(2) < 4.0 / 9.0, "{:?}", short.asked[2]);
        assert_eq!(short.weakest.words[0].word, "pink");
        assert_eq!(short.weakest.fields[0].field, "color");
        assert!((short.all.chance.p9 - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_model_that_is_measured_on_what_it_learnt_from_is_told() {
        let shop = coloured();
        let learnt = Learnt::of(&shop.source().load().unwrap().items[..3]);
        let encoder = Colours::having_learnt(learnt);
        let mut told = Vec::new();
        let options = Options { ask: Ask::Short, ..few() };
        let report = run(&shop.source(), &encoder, &options, &Stop::default(), &mut |event| {
            if let Event::Suspicion(sentence, fact) = event {
                told.push((sentence.to_owned(), fact));
            }
        });
        let sentence = &report.unwrap().notes[0];
        assert!(sentence.contains("25 % of this gallery (3 of 12 names"), "{sentence}");
        assert_eq!(told, [(sentence.clone(), Fact::MeasuredOnLearnt)]);
    }

    #[test]
    fn a_comparison_names_the_queries_that_only_one_model_answers() {
        let base = measure(&three(["red hat", "green hat", "blue hat"]), &few()).unwrap();
        let with = |ranks: [usize; 3]| {
            let texts = Texts { ranks: ranks.to_vec(), ..texts(&base).clone() };
            Report { texts: Some(texts), ..base.clone() }
        };
        let comparison = compare(&with([1, 10, 11]), &with([11, 9, 400]), Seed(1)).unwrap();
        let comparison = comparison.texts.unwrap();
        assert!((comparison.difference_r10 - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!((comparison.won, comparison.lost), (vec!["r: red hat".to_owned()], vec![]));
        assert!(comparison.ci95[0] <= 1.0 / 3.0 && 1.0 / 3.0 <= comparison.ci95[1]);
        let other = Texts { queries: vec!["x".to_owned()], ..texts(&base).clone() };
        let other = Report { texts: Some(other), ..base.clone() };
        assert_eq!(compare(&base, &other, Seed(1)).unwrap_err().kind(), ErrorKind::Mismatch);
    }
}
