//! Which fields of a catalogue hold what people ask for: colours, kinds of thing, brands.
//!
//! They are found by their values, because every shop calls them otherwise: short values in letters
//! that many items share. What is a code, an address, a price or a size in numbers is none of them,
//! and neither is a field with one value, or one whose values are nearly all different.

use std::collections::HashMap;

use serde_json::Value;

use super::{Item, markup};
use crate::filter::Fields;

/// Most words of a value that people type.
const MOST_WORDS: usize = 4;
/// Most letters of it.
const MOST_LETTERS: usize = 48;
/// At least this share of a value's signs are letters.
const LETTERS: f64 = 2.0 / 3.0;
/// At least this share of a field's values are such that people type them.
const TYPED: f64 = 0.7;
/// Items that share a value, on average.
const SHARED: f64 = 2.0;
/// Different values of one field that are counted; a field with more is no such field.
const MOST_VALUES: usize = 20_000;
/// Values that say nothing.
const NOTHING: [&str; 20] = [
    "na",
    "n/a",
    "nan",
    "null",
    "none",
    "nil",
    "unknown",
    "unspecified",
    "undefined",
    "multi",
    "other",
    "others",
    "misc",
    "default",
    "various",
    "-",
    "true",
    "false",
    "yes",
    "no",
];
/// Names of the parts of a data set, which describe no picture.
const PARTS: [&str; 9] =
    ["train", "training", "test", "testing", "val", "valid", "validation", "dev", "holdout"];

/// The descriptive fields of a catalogue, by name.
///
/// ```
/// use looksee::catalogue::Telling;
/// use looksee::filter::Fields;
/// let row = |color: &str, sku: &str| -> Fields {
///     [("color", color), ("sku", sku)].map(|(k, v)| (k.to_owned(), v.into())).into_iter().collect()
/// };
/// let rows = [row("Red", "A10"), row("Blue", "A11"), row("red", "A12"), row("blue", "A13")];
/// let telling = Telling::of_fields(&rows);
/// assert_eq!(telling.names(), ["color"]);
/// assert_eq!(telling.values(&rows[0]), [Some("red".to_owned())]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telling {
    names: Vec<String>,
}

impl Telling {
    /// Finds the descriptive fields of these items.
    pub fn of(items: &[Item]) -> Self {
        Self::of_fields(items.iter().map(|item| &item.fields))
    }

    /// Finds the descriptive fields among those of many items.
    pub fn of_fields<'a>(items: impl IntoIterator<Item = &'a Fields>) -> Self {
        let mut fields: HashMap<&str, Census> = HashMap::new();
        for (name, value) in items.into_iter().flatten() {
            fields.entry(name).or_default().add(value);
        }
        let telling = fields.into_iter().filter(|(_, census)| census.is_telling());
        let mut names: Vec<String> = telling.map(|(name, _)| name.to_owned()).collect();
        names.sort_unstable();
        Self { names }
    }

    /// The names of the fields, in alphabetical order; may be empty.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What an item has in each of the fields, in the order of [`Telling::names`], as people type
    /// it: in lower case, with single blanks. Of a list, its first value that can be typed.
    pub fn values(&self, fields: &Fields) -> Vec<Option<String>> {
        self.all_values(fields).into_iter().map(|values| values.into_iter().next()).collect()
    }

    /// As [`Telling::values`], with every value of a list.
    pub fn all_values(&self, fields: &Fields) -> Vec<Vec<String>> {
        self.names.iter().map(|name| fields.get(name).map_or(Vec::new(), typed_values)).collect()
    }
}

/// What is seen of one field.
#[derive(Debug, Default)]
struct Census {
    /// Items whose value can be typed.
    typed: usize,
    /// Items with another value.
    others: usize,
    /// Items whose value names a part of a data set.
    parts: usize,
    /// Items that have each value.
    values: HashMap<String, usize>,
}

impl Census {
    fn add(&mut self, value: &Value) {
        let values = typed_values(value);
        match values.first() {
            None => self.others += usize::from(says_something(value)),
            Some(first) => {
                self.typed += 1;
                self.parts += usize::from(PARTS.contains(&first.as_str()));
            }
        }
        for value in values {
            if self.values.len() <= MOST_VALUES {
                *self.values.entry(value).or_default() += 1;
            }
        }
    }

    fn is_telling(&self) -> bool {
        let (typed, different) = (self.typed as f64, self.values.len());
        let shared: usize = self.values.values().sum();
        (2..=MOST_VALUES).contains(&different)
            && typed >= TYPED * (self.typed + self.others) as f64
            && shared as f64 >= SHARED * different as f64
            && self.parts * 2 < self.typed
    }
}

/// A text as people type it: without markup, in lower case, with single blanks between its words.
pub fn as_typed(text: &str) -> String {
    let text = markup::plain(text);
    let words = text.split(|letter: char| letter.is_whitespace() || letter == '_');
    let words: Vec<String> = words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    words.join(" ")
}

/// The values of a field that people may type, each once.
fn typed_values(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |value: &Value| {
        let typed = value.as_str().map(as_typed).filter(|text| can_be_typed(text));
        found.extend(typed.filter(|text| !NOTHING.contains(&text.as_str())));
    };
    match value {
        Value::Array(list) => list.iter().for_each(add),
        value => add(value),
    }
    let mut once: Vec<String> = Vec::with_capacity(found.len());
    for text in found {
        if !once.contains(&text) {
            once.push(text);
        }
    }
    once
}

/// Whether a value counts when its field is judged.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => {
            let text = as_typed(text);
            !text.is_empty() && !NOTHING.contains(&text.as_str())
        }
        Value::Array(list) => list.iter().any(says_something),
        _ => true,
    }
}

/// Whether a normalised text is one to four words in letters, and no code, address or path.
fn can_be_typed(text: &str) -> bool {
    let signs = || text.chars().filter(|letter| !letter.is_whitespace());
    let count = signs().count();
    let letters = signs().filter(|letter| letter.is_alphabetic()).count();
    let words = text.split(' ').count();
    (letters > 1 || !text.is_ascii())
        && count <= MOST_LETTERS
        && words <= MOST_WORDS
        && letters as f64 >= LETTERS * count as f64
        && !text.contains(['@', '\\'])
        && !text.contains("://")
        && !text.starts_with(['/', '.', '#'])
        && !text.split(' ').any(|word| is_code(word) || is_file(word))
}

/// Whether letters and more than one digit make a word: `g4c0e5a02`, `sender181`.
fn is_code(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    digits > 1 && word.chars().any(char::is_alphabetic)
}

/// Whether a word ends like the name of a file or of a place in the net.
fn is_file(word: &str) -> bool {
    const ENDINGS: [&str; 16] = [
        "jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "txt", "json", "html", "com",
        "org", "net", "php", "pdf",
    ];
    let ending = word.rsplit_once('.').map(|(_, ending)| ending);
    ending.is_some_and(|ending| ENDINGS.contains(&ending))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn telling(rows: &[Value]) -> Telling {
        let rows: Vec<Fields> = rows.iter().map(|row| row.as_object().unwrap().clone()).collect();
        Telling::of_fields(&rows)
    }

    fn column(values: &[Value]) -> bool {
        let rows: Vec<Value> = values.iter().map(|value| json!({"field": value})).collect();
        telling(&rows).names() == ["field"]
    }

    fn words(words: &[&str]) -> bool {
        column(&words.repeat(3).iter().map(|word| json!(word)).collect::<Vec<_>>())
    }

    #[test]
    fn short_words_that_items_share_are_what_people_type() {
        assert!(words(&["Red", "Navy Blue", "Multi"]));
        assert!(words(&["Necklace and Chains", "T-Shirt", "7 For All Mankind"]));
        assert!(words(&["rot", "grün"]) && words(&["帽子", "靴"]));
        assert!(words(&["BOOKS_1973_AND_LATER", "SHIRT"]));
    }

    #[test]
    fn codes_addresses_paths_prices_dates_and_sizes_are_not() {
        assert!(!words(&["g4c0e5a02", "g41b2cea9"]));
        assert!(!words(&["sender181", "sender204"]));
        assert!(!words(&["B0756MLWTH", "B0721QB1JW"]));
        assert!(!words(&["https://shop.org/a", "https://shop.org/b"]));
        assert!(!words(&["red.jpg", "blue.jpg"]) && !words(&["/shop/red", "/shop/blue"]));
        assert!(!words(&["$19.49", "$8.90"]) && !words(&["9.49 EUR", "12.00 EUR"]));
        assert!(!words(&["2024-03-01", "2024-04-01"]));
        assert!(!words(&["60x120 cm", "15 cm"]) && !words(&["S", "M", "L"]));
        assert!(!words(&["Two-sided woven polyester which gives a soft fall", "Cut it off there"]));
        assert!(!words(&["train", "test", "iconic"]));
    }

    #[test]
    fn a_field_with_one_value_or_with_a_value_an_item_is_none() {
        assert!(!words(&["red"]));
        assert!(!column(&["red", "blue", "green", "black", "white"].map(|word| json!(word))));
        assert!(!column(&[json!(true), json!(false), json!(true), json!(false)]));
        assert!(!words(&["na", "none", "other", "red"]), "only one of these says anything");
    }

    #[test]
    fn a_few_odd_values_do_not_hide_a_field_and_many_do() {
        let with = |odd: usize| {
            let mut values: Vec<Value> =
                ["red", "blue"].repeat(4).into_iter().map(Value::from).collect();
            values.extend((0..odd).map(|n| json!(format!("x{n}00"))));
            column(&values)
        };
        assert!(with(2) && !with(6));
    }

    #[test]
    fn nobody_types_markup() {
        assert_eq!(as_typed("Black &amp; White"), "black & white");
        assert_eq!(as_typed("<b>Navy</b>_blue"), "navy blue");
    }

    #[test]
    fn values_come_in_the_order_of_the_names_as_people_type_them() {
        let rows = [
            json!({"kind": ["Shirt", "Top  Wear", "SHIRT"], "color": " Navy\tBLUE ", "id": 4}),
            json!({"kind": "shirt", "color": "NA"}),
            json!({"kind": "top wear", "color": "navy blue"}),
            json!({"kind": "top_wear", "color": "red"}),
            json!({"color": "Red"}),
        ];
        let telling = telling(&rows);
        assert_eq!(telling.names(), ["color", "kind"]);
        let of = |row: usize| telling.all_values(rows[row].as_object().unwrap());
        assert_eq!(of(0), [vec!["navy blue".to_owned()], vec!["shirt".into(), "top wear".into()]]);
        let first = telling.values(rows[0].as_object().unwrap());
        assert_eq!(first, [Some("navy blue".to_owned()), Some("shirt".to_owned())]);
        assert_eq!(of(1), [vec![], vec!["shirt".to_owned()]]);
        assert_eq!(of(3), [vec!["red".to_owned()], vec!["top wear".to_owned()]]);
    }
}
