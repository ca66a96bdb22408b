//! What people ask of a catalogue, with the right answers: "red", "shirts", "red shirts".
//!
//! `train` asks these at every validation and `eval` in its report, so that both say what a user
//! will get who types a word or two. A title finds one picture, and a model can learn that without
//! ever being asked for a colour; here every item answers that has the values which were asked for.
//! The questions come from the catalogue's own descriptive fields ([`Telling`]), all of them by one
//! rule, so that nobody chooses the ones that a model is good at. Where there are no such fields,
//! short pieces of titles are asked.
//!
//! ```
//! use looksee::catalogue::Telling;
//! use looksee::filter::Fields;
//! use looksee::questions::{self, Described};
//! let fields: Vec<Fields> = (0..40)
//!     .map(|n| Fields::from_iter([("color".to_owned(), ["red", "blue"][n % 2].into())]))
//!     .collect();
//! let items: Vec<Described> = fields.iter().map(|fields| Described { texts: &[], fields }).collect();
//! let asked = questions::of(&items, &Telling::of_fields(&fields), 200);
//! assert_eq!(asked.len(), 2);
//! assert_eq!((asked[1].text.as_str(), asked[1].right.len()), ("red", 20));
//! ```

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use serde::{Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_64;

use crate::catalogue::{Item, Telling, as_typed};
use crate::filter::Fields;

/// Right items that a question has at least, the first of these that gives [`ENOUGH`] questions.
const LEAST_RIGHT: [usize; 3] = [10, 5, 3];
/// Questions from which on a number of right items is kept.
const ENOUGH: usize = 10;
/// Fields that are asked for: those that most items have.
const MOST_FIELDS: usize = 8;
/// Pairs of fields that are asked for together.
const MOST_PAIRS: usize = 6;
/// Words of a piece of a title.
const PIECE: [usize; 2] = [2, 3];
/// Pieces that are looked at; those of a large catalogue are many, and any will do.
const MOST_PIECES: usize = 20_000;
/// Words that begin and end no piece, because nobody asks for them.
const FUNCTION_WORDS: [&str; 24] = [
    "the", "and", "with", "for", "from", "his", "her", "their", "its", "are", "that", "this",
    "into", "near", "und", "der", "die", "das", "ein", "eine", "mit", "für", "von", "aus",
];

/// An item as questions see it.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a> {
    /// Its texts, the title first.
    pub texts: &'a [String],
    /// Its fields.
    pub fields: &'a Fields,
}

impl<'a> From<&'a Item> for Described<'a> {
    fn from(item: &'a Item) -> Self {
        Self { texts: &item.texts, fields: &item.fields }
    }
}

/// What a question asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The values of two fields, the one with fewer different values first.
    Pair(String, String),
    /// A value of one field.
    Field(String),
    /// Words out of a title.
    Piece,
}

impl Kind {
    /// The fields that are asked for.
    pub fn fields(&self) -> Vec<&str> {
        match self {
            Self::Pair(first, second) => vec![first, second],
            Self::Field(field) => vec![field],
            Self::Piece => Vec::new(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pair(first, second) => write!(f, "{first} + {second}"),
            Self::Field(field) => f.write_str(field),
            Self::Piece => f.write_str("pieces of titles"),
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// A question and the items that answer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is asked for.
    pub kind: Kind,
    /// What is typed: lower case, single blanks.
    pub text: String,
    /// What it is made of: the value or the values; the words of a piece.
    pub parts: Vec<String>,
    /// Numbers of the items that are right, ascending; at least one, and not all of them.
    pub right: Vec<usize>,
}

/// The questions that these items answer, kind by kind, at most `most` of each kind.
///
/// A question has at least 10 right items; at least 5 or 3 where there would hardly be any questions
/// otherwise. Of more than `most`, those are kept whose texts have the smallest checksums: no seed
/// chooses, and a catalogue that grows keeps most of its questions. Empty where items have neither
/// fields in common nor words.
pub fn of(items: &[Described<'_>], telling: &Telling, most: usize) -> Vec<Question> {
    let found =
        if telling.names().is_empty() { pieces(items, most) } else { of_fields(items, telling) };
    let mut kinds: BTreeMap<Kind, Vec<Question>> = BTreeMap::new();
    for question in found {
        kinds.entry(question.kind.clone()).or_default().push(question);
    }
    for questions in kinds.values_mut() {
        questions.sort_by_key(|question| xxh3_64(question.text.as_bytes()));
        questions.truncate(most);
        questions.sort_by(|a, b| a.text.cmp(&b.text));
    }
    kinds.into_values().flatten().collect()
}

/// What is asked for in one or two fields, and the items that have it.
type Wanted = BTreeMap<(Kind, Vec<String>), Vec<usize>>;

fn of_fields(items: &[Described<'_>], telling: &Telling) -> Vec<Question> {
    let values: Vec<Vec<Vec<String>>> =
        items.iter().map(|item| telling.all_values(item.fields)).collect();
    let columns = columns(&values, telling.names());
    let mut wanted = Wanted::new();
    for (item, values) in values.iter().enumerate() {
        for column in &columns {
            for value in &values[column.number] {
                let key = (Kind::Field(column.name.clone()), vec![value.clone()]);
                wanted.entry(key).or_default().push(item);
            }
        }
        for (first, second) in &pairs(&columns) {
            let kind = Kind::Pair(first.name.clone(), second.name.clone());
            for a in &values[first.number] {
                for b in values[second.number].iter().filter(|b| *b != a) {
                    let key = (kind.clone(), vec![a.clone(), b.clone()]);
                    wanted.entry(key).or_default().push(item);
                }
            }
        }
    }
    wanted.retain(|_, right| right.len() < items.len());
    let least = LEAST_RIGHT
        .into_iter()
        .find(|&least| wanted.values().filter(|right| right.len() >= least).count() >= ENOUGH);
    let least = least.unwrap_or(LEAST_RIGHT[LEAST_RIGHT.len() - 1]);
    let asked = wanted.into_iter().filter(|(_, right)| right.len() >= least);
    asked
        .map(|((kind, parts), right)| Question { text: parts.join(" "), kind, parts, right })
        .collect()
}

/// A field that is asked for.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    /// Its number among the telling fields.
    number: usize,
    /// Items that have a value in it.
    items: usize,
    /// Different values.
    different: usize,
}

/// The fields that most items have, those with few different values first.
fn columns(values: &[Vec<Vec<String>>], names: &[String]) -> Vec<Column> {
    let column = |(number, name): (usize, &String)| {
        let mut different = BTreeSet::new();
        let mut items = 0;
        for values in values {
            items += usize::from(!values[number].is_empty());
            different.extend(&values[number]);
        }
        Column { name: name.clone(), number, items, different: different.len() }
    };
    let mut columns: Vec<Column> = names.iter().enumerate().map(column).collect();
    columns.retain(|column| column.different > 1);
    columns.sort_by_key(|column| Reverse(column.items));
    columns.truncate(MOST_FIELDS);
    columns.sort_by(|a, b| (a.different, &a.name).cmp(&(b.different, &b.name)));
    columns
}

/// The pairs of fields that are asked for, the one with fewer different values first: colours before
/// kinds of thing.
fn pairs(columns: &[Column]) -> Vec<(&Column, &Column)> {
    let mut pairs = Vec::new();
    for (number, first) in columns.iter().enumerate() {
        pairs.extend(columns[number + 1..].iter().map(|second| (first, second)));
    }
    pairs.sort_by_key(|(first, second)| Reverse(first.items.min(second.items)));
    pairs.truncate(MOST_PAIRS);
    pairs
}

/// Short pieces of titles; the items are right whose texts hold all words of a piece.
fn pieces(items: &[Described<'_>], most: usize) -> Vec<Question> {
    let mut holders: HashMap<String, Vec<usize>> = HashMap::new();
    let mut all = BTreeSet::new();
    for (item, described) in items.iter().enumerate() {
        let words: BTreeSet<String> = described.texts.iter().flat_map(|text| words(text)).collect();
        for word in words {
            holders.entry(word).or_default().push(item);
        }
        if let Some(title) = described.texts.first() {
            all.extend(pieces_of(&words_in_order(title)));
        }
    }
    let mut all: Vec<Vec<String>> = all.into_iter().collect();
    all.sort_by_cached_key(|piece| xxh3_64(piece.join(" ").as_bytes()));
    all.truncate(MOST_PIECES);
    let right: Vec<Vec<usize>> = all.iter().map(|piece| holding(piece, &holders)).collect();
    let asked = |least: usize| -> Vec<Question> {
        let pieces = all.iter().zip(&right);
        let pieces = pieces.filter(|(_, right)| (least..items.len()).contains(&right.len()));
        let question = |(parts, right): (&Vec<String>, &Vec<usize>)| Question {
            kind: Kind::Piece,
            text: parts.join(" "),
            parts: parts.clone(),
            right: right.clone(),
        };
        pieces.take(most).map(question).collect()
    };
    let enough = LEAST_RIGHT.into_iter().map(asked).find(|asked| asked.len() >= ENOUGH);
    enough.unwrap_or_else(|| asked(1))
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '\'');
    words.map(as_typed).filter(|word| !word.is_empty()).collect()
}

/// The words of a title; what is no word of letters becomes an empty one, over which no piece goes.
fn words_in_order(title: &str) -> Vec<String> {
    let asked_for = |word: &str| word.chars().count() > 2 && word.chars().all(char::is_alphabetic);
    let short_ones_out = |word: String| if asked_for(&word) { word } else { String::new() };
    words(title).into_iter().map(short_ones_out).collect()
}

/// Runs of two and three words; the whole of a title that has one word.
fn pieces_of(words: &[String]) -> Vec<Vec<String>> {
    if let [word] = words {
        return if word.is_empty() { Vec::new() } else { vec![vec![word.clone()]] };
    }
    let is_end =
        |word: Option<&String>| word.is_some_and(|word| FUNCTION_WORDS.contains(&word.as_str()));
    let runs = PIECE.into_iter().flat_map(|length| words.windows(length));
    let runs = runs.filter(|run| run.iter().all(|word| !word.is_empty()));
    runs.filter(|run| !is_end(run.first()) && !is_end(run.last())).map(<[String]>::to_vec).collect()
}

/// The items that hold all words of a piece.
fn holding(piece: &[String], holders: &HashMap<String, Vec<usize>>) -> Vec<usize> {
    let mut lists: Vec<&Vec<usize>> = piece.iter().filter_map(|word| holders.get(word)).collect();
    lists.sort_by_key(|list| list.len());
    let Some((shortest, others)) = lists.split_first() else { return Vec::new() };
    let in_all = |item: &&usize| others.iter().all(|list| list.binary_search(item).is_ok());
    shortest.iter().filter(in_all).copied().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(row: &serde_json::Value) -> Fields {
        row.as_object().unwrap().clone()
    }

    fn asked(rows: &[Fields], most: usize) -> Vec<Question> {
        let items: Vec<Described<'_>> =
            rows.iter().map(|fields| Described { texts: &[], fields }).collect();
        of(&items, &Telling::of_fields(rows), most)
    }

    /// 5 colours, 3 kinds; a row has the colour and kind of its number.
    fn shop(count: usize) -> Vec<Fields> {
        let colours = ["Red", "Blue", "Green", "Black", "White"];
        let kinds = ["Shirt", "Shoes", "Hat"];
        let row = |n: usize| json!({"color": colours[n % 5], "kind": kinds[n / 5 % 3], "id": n});
        (0..count).map(|n| fields(&row(n))).collect()
    }

    fn find<'a>(questions: &'a [Question], text: &str) -> &'a Question {
        questions.iter().find(|question| question.text == text).unwrap()
    }

    #[test]
    fn values_and_pairs_of_values_are_asked_and_answered_by_the_items_that_have_them() {
        let rows = shop(150);
        let questions = asked(&rows, 200);
        assert_eq!(questions.len(), 5 + 3 + 15);
        let red = find(&questions, "red");
        assert_eq!(red.kind, Kind::Field("color".to_owned()));
        assert_eq!(red.right, (0..150).step_by(5).collect::<Vec<_>>());
        // The field with fewer values comes first.
        let pair = find(&questions, "shoes red");
        assert_eq!(pair.kind.to_string(), "kind + color");
        assert_eq!(pair.parts, ["shoes", "red"]);
        assert!(pair.right.iter().all(|n| n % 5 == 0 && n / 5 % 3 == 1));
        assert_eq!(pair.right.len(), 10);
    }

    #[test]
    fn a_question_has_ten_right_answers_and_fewer_only_where_there_are_hardly_any() {
        // One more kind with 9 items is not asked for in a large set.
        let mut rows = shop(150);
        rows.extend((0..9).map(|_| fields(&json!({"color": "Red", "kind": "Scarf"}))));
        assert!(asked(&rows, 200).iter().all(|question| question.right.len() >= 10));
        let small = asked(&shop(45), 200);
        assert_eq!(small.iter().map(|question| question.right.len()).min(), Some(3));
    }

    #[test]
    fn of_many_questions_the_same_ones_are_kept_whatever_the_order_of_the_items() {
        let mut rows = shop(150);
        let some = asked(&rows, 4);
        assert_eq!(some.len(), 4 + 3 + 4);
        let all = asked(&rows, 200);
        assert!(some.iter().all(|question| all.contains(question)));
        rows.reverse();
        let texts = |questions: &[Question]| -> Vec<String> {
            questions.iter().map(|question| question.text.clone()).collect()
        };
        assert_eq!(texts(&some), texts(&asked(&rows, 4)));
    }

    #[test]
    fn each_value_of_a_list_is_answered_and_one_that_all_have_is_not_asked() {
        let kinds = ["Shirt", "Hat"];
        let rows: Vec<Fields> =
            (0..40).map(|n| fields(&json!({"kind": ["Clothing", kinds[n % 2]]}))).collect();
        let questions = asked(&rows, 200);
        let texts: Vec<&str> = questions.iter().map(|question| question.text.as_str()).collect();
        assert_eq!(texts, ["hat", "shirt"]);
    }

    #[test]
    fn without_fields_pieces_of_titles_are_asked() {
        let titles = ["A dog runs on the beach", "Two cats in 2 boxes", "The black dog on a sofa"];
        let texts: Vec<Vec<String>> =
            (0..60).map(|n| vec![titles[n % 3].to_owned(), format!("dog {n}")]).collect();
        let none = Fields::new();
        let items: Vec<Described<'_>> =
            texts.iter().map(|texts| Described { texts, fields: &none }).collect();
        let questions = of(&items, &Telling::default(), 200);
        let found: Vec<&str> = questions.iter().map(|question| question.text.as_str()).collect();
        assert_eq!(found, ["black dog", "dog runs", "two cats"]);
        assert_eq!(questions[0].right, (2..60).step_by(3).collect::<Vec<_>>());
        assert!(questions.iter().all(|question| question.kind == Kind::Piece));
    }

    #[test]
    fn titles_of_one_word_are_asked_whole_and_nothing_gives_no_question() {
        let texts: Vec<Vec<String>> =
            (0..30).map(|n| vec![["Anchor", "Brain", "Camera"][n % 3].to_owned()]).collect();
        let none = Fields::new();
        let items: Vec<Described<'_>> =
            texts.iter().map(|texts| Described { texts, fields: &none }).collect();
        let questions = of(&items, &Telling::default(), 200);
        let found: Vec<&str> = questions.iter().map(|question| question.text.as_str()).collect();
        assert_eq!(found, ["anchor", "brain", "camera"]);
        assert_eq!(of(&[], &Telling::default(), 200), []);
    }
}
