//! Which field of a row is the picture, the texts, the id and the group.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;

use super::Source;
use super::json::kind_of;
use super::ledger::with_commas;
use super::rows::Row;
use super::{amazon, csv, lines, markup};
use crate::error::{Error, Fact, FieldRole, Result};
use crate::filter::Fields;

/// Usual names for the picture, the most explicit first.
const IMAGE_NAMES: [&str; 17] = [
    "image",
    "filepath",
    "path",
    "image_path",
    "img",
    "picture",
    "file",
    "filename",
    "image_file",
    "image_name",
    "images",
    "photo",
    "image_url",
    "img_url",
    "im_url",
    "picture_url",
    "image_link",
];

/// Usual names for texts; all that a row has are used, in this order.
const TEXT_NAMES: [&str; 6] = ["title", "caption", "captions", "text", "name", "description"];

const ID_NAMES: [&str; 5] = ["id", "asin", "sku", "item_id", "product_id"];

const GROUP_NAMES: [&str; 3] = ["group", "product", "parent_asin"];

/// Rows that are read to find the fields before a file is given up.
const LOOK_AHEAD: usize = 10_000;

/// Bytes of such rows: they are kept in memory.
const LOOK_AHEAD_BYTES: usize = 4 * lines::MAX_ROW_BYTES;

/// How the rows of a file are taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// The picture's path or URL is in this field.
    Plain {
        /// Its name, as the file writes it.
        image: String,
    },
    /// Amazon's product metadata.
    Amazon,
}

impl Layout {
    fn image(&self) -> Option<&str> {
        match self {
            Self::Plain { image } => Some(image),
            Self::Amazon => None,
        }
    }
}

/// The field of a usual name: exactly so, or else in another spelling (`Image Path`).
fn usual<'a>(fields: &'a Fields, name: &str) -> Option<(&'a String, &'a Value)> {
    fields.get_key_value(name).or_else(|| fields.iter().find(|(other, _)| same_name(other, name)))
}

/// Whether two names are the same but for case and what stands between their words.
fn same_name(a: &str, b: &str) -> bool {
    let letters = |name: &str| -> Vec<u8> {
        name.bytes().filter(u8::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
    };
    a.len().abs_diff(b.len()) <= 4 && a.is_ascii() && letters(a) == letters(b)
}

/// The picture in a value: a text, the first of a list, or the `path` of an object.
pub(super) fn written_picture(value: &Value) -> Option<&str> {
    match value {
        Value::String(path) => Some(path.trim()).filter(|path| !path.is_empty()),
        Value::Array(list) => list.iter().find_map(written_picture),
        Value::Object(object) => written_picture(object.get("path").or(object.get("url"))?),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// A text or a number, as written.
fn name_in(value: &Value) -> Option<String> {
    match value {
        Value::String(name) => Some(name.trim().to_owned()).filter(|name| !name.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The texts of a value: itself, or each element of a list, without markup.
fn add_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| add_texts(value, texts)),
        value => texts.extend(name_in(value).and_then(unmarked)),
    }
}

/// A text without its markup, if that leaves anything.
fn unmarked(text: String) -> Option<String> {
    let plain = match markup::plain(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(plain) => plain,
    };
    Some(plain).filter(|text| !text.is_empty())
}

/// Keeps the first of equal texts. By checksum: a stranger's list may have a million of them.
fn drop_repeats(texts: &mut Vec<String>) {
    let mut seen = HashSet::new();
    texts.retain(|text| seen.insert(xxhash_rust::xxh3::xxh3_128(text.as_bytes())));
}

/// The fields of a row that have a part to play.
#[derive(Debug, Default)]
pub(super) struct Roles {
    pub(super) id: Option<String>,
    pub(super) group: Option<String>,
    pub(super) texts: Vec<String>,
    /// The field with the picture.
    image: Option<String>,
    /// The names of the fields that these came from.
    used: Vec<String>,
}

impl Roles {
    /// Finds id, group and texts under the names of `source` or the usual ones.
    pub(super) fn find(fields: &Fields, layout: &Layout, source: &Source) -> Self {
        let (ids, text_names, groups): (&[&str], &[&str], &[&str]) = match layout {
            Layout::Plain { .. } => (&ID_NAMES, &TEXT_NAMES, &GROUP_NAMES),
            Layout::Amazon => (&amazon::ID_FIELDS, &amazon::TEXT_FIELDS, &GROUP_NAMES),
        };
        let mut roles = Self { image: layout.image().map(str::to_owned), ..Self::default() };
        roles.id = roles.name(fields, source.id_field.as_ref(), ids);
        roles.group = roles.name(fields, source.group_field.as_ref(), groups);
        roles.add_texts(fields, &source.text_fields, text_names);
        roles
    }

    /// Finds the roles in what is written beside a picture: its id is its path, unless the user
    /// named another field.
    pub(super) fn beside(fields: &Fields, source: &Source) -> Self {
        let mut roles = Self::default();
        roles.id = roles.name(fields, source.id_field.as_ref(), &[]);
        roles.group = roles.name(fields, source.group_field.as_ref(), &GROUP_NAMES);
        roles.add_texts(fields, &source.text_fields, &TEXT_NAMES);
        roles
    }

    /// Whether a usual name has no other part to play.
    fn is_free(&self, field: &String) -> bool {
        !self.used.contains(field) && self.image.as_ref() != Some(field)
    }

    fn name(
        &mut self,
        fields: &Fields,
        named: Option<&String>,
        usual_names: &[&str],
    ) -> Option<String> {
        let (field, value) = match named {
            Some(field) => fields.get_key_value(field).and_then(|(f, v)| Some((f, name_in(v)?)))?,
            None => usual_names.iter().find_map(|name| {
                let (field, value) = usual(fields, name)?;
                name_in(value).filter(|_| self.is_free(field)).map(|value| (field, value))
            })?,
        };
        self.used.push(field.clone());
        Some(value)
    }

    fn add_texts(&mut self, fields: &Fields, named: &[String], usual_names: &[&str]) {
        let found: Vec<_> = if named.is_empty() {
            let found = usual_names.iter().filter_map(|name| usual(fields, name));
            found.filter(|(field, _)| self.is_free(field)).collect()
        } else {
            named.iter().filter_map(|name| fields.get_key_value(name)).collect()
        };
        for (field, value) in found {
            add_texts(value, &mut self.texts);
            self.used.push(field.clone());
        }
        drop_repeats(&mut self.texts);
    }

    /// What remains of a row as metadata: all but its picture, id, group and texts.
    pub(super) fn rest(&self, fields: Fields, layout: &Layout) -> Fields {
        let mut fields = self.rest_beside(fields);
        match layout {
            Layout::Plain { image } => drop(fields.remove(image)),
            Layout::Amazon => {
                let pictures = amazon::PICTURE_FIELDS.into_iter().chain(["videos"]);
                pictures.for_each(|field| drop(fields.remove(field)));
            }
        }
        fields
    }

    /// The whole row, such that it gives the item called `id` again wherever it is written: with the
    /// picture's path from the root of the disk, and with the usual names where those that it has
    /// would not do. `None` where that path is no text.
    ///
    /// `written` has the fields that these roles came from as the file has them.
    pub(super) fn whole(
        &self,
        mut fields: Fields,
        written: Fields,
        layout: &Layout,
        image: &Path,
        id: &str,
    ) -> Option<Fields> {
        for (name, value) in written {
            if self.used.contains(&name) {
                fields.insert(name, value);
            }
        }
        let path = std::path::absolute(image).ok()?.to_str()?.to_owned();
        let name = match layout {
            Layout::Plain { image } => image.as_str(),
            Layout::Amazon => {
                for field in amazon::PICTURE_FIELDS {
                    fields.remove(field);
                }
                "image"
            }
        };
        fields.insert(name.to_owned(), path.as_str().into());
        if !IMAGE_NAMES.iter().any(|usual| same_name(usual, name)) {
            fields.entry("image").or_insert(path.into());
        }
        let image = name.to_owned();
        let again = Self::find(&fields, &Layout::Plain { image }, &Source::default());
        if again.id.as_deref() != Some(id) {
            fields.entry("id").or_insert(id.into());
        }
        if let Some(group) = self.group.as_ref().filter(|_| again.group != self.group) {
            fields.entry("group").or_insert(group.as_str().into());
        }
        if again.texts.is_empty() || (again.texts != self.texts && *layout == Layout::Amazon) {
            match &self.texts[..] {
                [] => {}
                [text] => drop(fields.insert("title".to_owned(), text.as_str().into())),
                texts => drop(fields.insert("title".to_owned(), texts.into())),
            }
        }
        Some(fields)
    }

    /// What remains of the fields beside a picture.
    pub(super) fn rest_beside(&self, mut fields: Fields) -> Fields {
        for field in &self.used {
            fields.remove(field);
        }
        fields
    }

    /// Puts `texts` before those that were found, each once and without markup.
    pub(super) fn put_texts_first(&mut self, texts: Vec<String>) {
        self.texts.splice(0..0, texts.into_iter().filter_map(unmarked));
        drop_repeats(&mut self.texts);
    }

    /// A row as a filter sees it: with `id`, `group` and `title`, whatever they are called in it.
    pub(super) fn view(&self, mut fields: Fields) -> Fields {
        let known =
            [("id", &self.id), ("group", &self.group), ("title", &self.texts.first().cloned())];
        for (name, value) in known {
            if let Some(value) = value
                && !fields.contains_key(name)
            {
                fields.insert(name.to_owned(), value.as_str().into());
            }
        }
        fields
    }
}

/// Cells of a text format: empty ones are missing values, numbers are numbers.
pub(super) fn typed_cells(fields: Fields) -> Fields {
    let present = fields.into_iter().filter(|(_, cell)| cell.as_str() != Some(""));
    let typed = |cell: Value| cell.as_str().map(csv::typed).unwrap_or(cell);
    present.map(|(name, cell)| (name, typed(cell))).collect()
}

/// What the first rows of a file tell about its fields.
pub(super) struct Survey<'a> {
    source: &'a Source,
    /// Whether rows are looked at for Amazon's form.
    amazon: bool,
    layout: Option<Layout>,
    /// All names that were seen, in order.
    names: Vec<String>,
    known: HashSet<String>,
    rows: usize,
    bytes: usize,
    /// The first row that could not be read.
    broken: Option<(u64, String)>,
}

impl<'a> Survey<'a> {
    /// `layout` is given where the user has said which it is.
    pub(super) fn new(source: &'a Source, amazon: bool, layout: Option<Layout>) -> Self {
        Self {
            source,
            amazon,
            layout,
            names: Vec::new(),
            known: HashSet::new(),
            rows: 0,
            bytes: 0,
            broken: None,
        }
    }

    pub(super) fn add_names<'n>(&mut self, names: impl IntoIterator<Item = &'n String>) {
        for name in names {
            if !name.is_empty() && self.known.insert(name.clone()) {
                self.names.push(name.clone());
            }
        }
    }

    pub(super) fn add(&mut self, row: &Row) {
        self.rows += 1;
        self.bytes += row.bytes;
        match &row.content {
            Ok(fields) => {
                self.add_names(fields.keys());
                if self.layout.is_none() {
                    self.layout = self.layout_of(fields);
                }
                if self.layout == Some(Layout::Amazon) {
                    let mut tidied = fields.clone();
                    amazon::tidy(&mut tidied);
                    self.add_names(tidied.keys());
                }
            }
            Err(message) => {
                self.broken.get_or_insert_with(|| (row.line, message.clone()));
            }
        }
    }

    fn layout_of(&self, fields: &Fields) -> Option<Layout> {
        if self.amazon && amazon::is_record(fields) {
            return Some(Layout::Amazon);
        }
        let (image, _) = match &self.source.image_field {
            Some(named) => {
                fields.get_key_value(named).filter(|(_, value)| written_picture(value).is_some())
            }
            None => IMAGE_NAMES.iter().find_map(|name| {
                usual(fields, name).filter(|(_, value)| written_picture(value).is_some())
            }),
        }?;
        Some(Layout::Plain { image: image.clone() })
    }

    /// Fields that the user named, and what for.
    fn named(&self) -> impl Iterator<Item = (&'a String, FieldRole)> {
        let source = self.source;
        let texts = source.text_fields.iter().map(|field| (field, FieldRole::Text));
        let id = source.id_field.iter().map(|field| (field, FieldRole::Id));
        let group = source.group_field.iter().map(|field| (field, FieldRole::Group));
        let image = source.image_field.iter().map(|field| (field, FieldRole::Image));
        image.chain(texts).chain(id).chain(group)
    }

    fn unseen(&self) -> Option<(&'a String, FieldRole)> {
        self.named().find(|(field, _)| !self.known.contains(*field))
    }

    /// Whether no more rows are needed.
    pub(super) fn is_done(&self) -> bool {
        (self.layout.is_some() && self.unseen().is_none()) || self.is_enough()
    }

    /// Whether the file is given up when its fields are not known by now.
    fn is_enough(&self) -> bool {
        self.rows >= LOOK_AHEAD || self.bytes > LOOK_AHEAD_BYTES
    }

    /// The layout, or what the file lacks.
    pub(super) fn finish(self) -> Result<Layout> {
        if self.rows == 0 && self.names.is_empty() {
            return Err(Error::invalid("the catalogue is empty: expected one row a picture"));
        }
        if self.rows == 0 {
            return Err(Error::invalid("the catalogue has a header line and no rows"));
        }
        if let (true, Some((line, message))) = (self.names.is_empty(), &self.broken) {
            let rows = with_commas(self.rows);
            let sentence = format!("none of {rows} rows can be read; the first one: {message}");
            return Err(Error::invalid(sentence).at_line(*line));
        }
        if let Some((field, role)) = self.unseen() {
            return Err(self.no_field(field, role, nearest(field, &self.names)));
        }
        match &self.layout {
            Some(layout) => Ok(layout.clone()),
            None => Err(self.no_picture()),
        }
    }

    fn no_picture(&self) -> Error {
        let named = self.source.image_field.as_ref();
        let empty = named.or_else(|| {
            let usual = |name: &&String| IMAGE_NAMES.iter().any(|usual| same_name(name, usual));
            self.names.iter().find(usual)
        });
        match empty {
            Some(field) => Error::invalid(format!(
                "field \"{field}\" holds no picture's path{} (found: {})",
                self.where_looked(),
                listed(&self.names)
            ))
            .with_fact(missing(field, FieldRole::Image, None)),
            None => self.no_field("image", FieldRole::Image, None),
        }
    }

    fn no_field(&self, field: &str, role: FieldRole, meant: Option<&String>) -> Error {
        let (looked, found) = (self.where_looked(), listed(&self.names));
        let question = meant.map(|meant| format!("; did you mean \"{meant}\"?"));
        let question = question.unwrap_or_default();
        Error::invalid(format!("no field \"{field}\"{looked} (found: {found}){question}"))
            .with_fact(missing(field, role, meant))
    }

    fn where_looked(&self) -> String {
        if !self.is_enough() {
            return String::new();
        }
        format!(" in the first {} rows", with_commas(self.rows))
    }
}

fn missing(field: &str, role: FieldRole, meant: Option<&String>) -> Fact {
    Fact::MissingField { role, field: field.to_owned(), meant: meant.cloned() }
}

/// The first names of many, for an error.
pub(super) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let mut text = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        text = format!("{text} and {} more", names.len() - SHOWN);
    }
    text
}

/// The known name that was probably meant: a slip for every three letters.
pub(super) fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a String> {
    let name = name.to_lowercase();
    let slips = |other: &&String| edits(&name, &other.to_lowercase());
    let best = known.iter().min_by_key(slips)?;
    (slips(&best) <= name.chars().count().div_ceil(3)).then_some(best)
}

/// Single-letter changes, insertions, deletions and swaps of neighbours between two words.
fn edits(a: &str, b: &str) -> usize {
    let letters = |word: &str| -> Vec<char> { word.chars().take(100).collect() };
    let (a, b) = (letters(a), letters(b));
    let mut least = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            if i == 0 || j == 0 {
                least[i][j] = i + j;
                continue;
            }
            let changed = least[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut edits = changed.min(least[i - 1][j] + 1).min(least[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                edits = edits.min(least[i - 2][j - 2] + 1);
            }
            least[i][j] = edits;
        }
    }
    least[a.len()][b.len()]
}

/// The ledger's sentence for a row without a picture.
pub(super) fn no_picture_in_row(fields: &Fields, image: &str) -> String {
    match fields.get(image) {
        None => format!("no field \"{image}\" in this row"),
        Some(Value::String(_)) => format!("field \"{image}\" is empty"),
        Some(other) => {
            format!("field \"{image}\" is {}, expected a picture's path", kind_of(other))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(value: &Value) -> Fields {
        value.as_object().unwrap().clone()
    }

    fn plain(image: &str) -> Layout {
        Layout::Plain { image: image.to_owned() }
    }

    #[test]
    fn usual_names_are_found_in_any_spelling() {
        let row = fields(&json!({"Image Path": "a.jpg", "Title": "Hat", "SKU": 7, "Group": "g"}));
        let source = Source::default();
        let survey = Survey::new(&source, true, None);
        let layout = survey.layout_of(&row).unwrap();
        assert_eq!(layout, plain("Image Path"));
        let roles = Roles::find(&row, &layout, &source);
        assert_eq!(roles.id.as_deref(), Some("7"));
        assert_eq!(roles.group.as_deref(), Some("g"));
        assert_eq!(roles.texts, ["Hat"]);
        assert!(roles.rest(row, &layout).is_empty());
    }

    #[test]
    fn texts_come_in_order_without_repeats_and_empty_ones() {
        let row = fields(&json!({
            "description": "A red hat", "captions": ["Hat", " ", "A hat ", null, 5], "title": "Hat",
            "name": "", "image": "a.jpg", "price": 3,
        }));
        let roles = Roles::find(&row, &plain("image"), &Source::default());
        assert_eq!(roles.texts, ["Hat", "A hat", "5", "A red hat"]);
        assert_eq!(roles.rest(row, &plain("image")), fields(&json!({"price": 3})));
    }

    #[test]
    fn the_group_named_group_goes_before_product() {
        let row = fields(&json!({"group": "g1", "product": "p1", "image": "a.jpg"}));
        let roles = Roles::find(&row, &plain("image"), &Source::default());
        assert_eq!(roles.group.as_deref(), Some("g1"));
        assert_eq!(roles.rest(row, &plain("image")), fields(&json!({"product": "p1"})));
        let row = fields(&json!({"group": "", "product": {"a": 1}, "image": "a.jpg"}));
        assert_eq!(Roles::find(&row, &plain("image"), &Source::default()).group, None);
    }

    #[test]
    fn a_slip_for_every_three_letters_is_understood() {
        let known = ["title".to_owned(), "caption".to_owned()];
        assert_eq!(nearest("titel", &known), Some(&known[0]));
        assert_eq!(nearest("Caption", &known), Some(&known[1]));
        assert_eq!(nearest("captions", &known), Some(&known[1]));
        assert_eq!(nearest("price", &known), None);
        assert_eq!((edits("kitten", "sitting"), edits("", "ab"), edits("a", "a")), (3, 2, 0));
        assert_eq!(edits("cvs", "csv"), 1);
    }

    #[test]
    fn a_picture_is_read_from_texts_lists_and_objects() {
        assert_eq!(written_picture(&json!(" a.jpg ")), Some("a.jpg"));
        assert_eq!(written_picture(&json!([null, "", "b.jpg"])), Some("b.jpg"));
        assert_eq!(written_picture(&json!({"bytes": null, "path": "c.jpg"})), Some("c.jpg"));
        assert_eq!(written_picture(&json!(3)), None);
    }
}
