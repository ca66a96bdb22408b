//! Filter expressions over an item's fields.
//!
//! The command line (`--where`), the catalogue and the collections all ask the same question of an
//! item's fields, so it is parsed once, here, and answered here. The language is the part of SQL's
//! `where` that people type from memory; there are no functions and no arithmetic, so a filter from
//! a stranger can do nothing but compare.
//!
//! ```text
//! condition  = and-part { "or" and-part }
//! and-part   = not-part { "and" not-part }
//! not-part   = "not" not-part | "(" condition ")" | test
//! test       = field ( "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=" ) value
//!            | field [ "not" ] "in" "(" value { "," value } ")"
//!            | field [ "not" ] ( "like" | "contains" ) text
//!            | field "is" [ "not" ] "null"
//! field      = letters, digits, "_", ".", "-"  |  "`" anything "`"
//! value      = text in '..' or ".." | number | true | false
//! ```
//!
//! # What passes
//!
//! Every place that answers a filter answers as this table says; its rows are the tests of this
//! module. A place with a language of its own walks over [`Filter::condition`], or takes the text
//! that a filter prints, which parses to the same tree.
//!
//! | fields | condition | passes | because |
//! |---|---|---|---|
//! | `{"a": "Red"}` | `a = 'rED'` | yes | texts compare without regard to case |
//! | `{"a": "GRÜN"}` | `a = 'grün'` | yes | in every script: as Unicode's lower case |
//! | `{"a": "Acme"}` | `a < 'b'` | yes | and in the order of their characters in lower case |
//! | `{"a": " Red"}` | `a = 'red'` | no | spaces count |
//! | `{"A": 1}` | `a = 1` | no | names of fields have a case |
//! | `{"a": 19.49}` | `a < 20` | yes | numbers compare by value |
//! | `{"a": 19.49}` | `a > 19.48` | yes | to the last digit |
//! | `{"a": 2012}` | `a = 2012.0` | yes | however they are written |
//! | `{"a": 9007199254740993}` | `a = 9007199254740992` | yes | as 64-bit floating point |
//! | `{"a": " 19.49 "}` | `a < 20` | yes | a text that is a number compares with a number |
//! | `{"a": "$19.49"}` | `a < 20` | no | this one is none |
//! | `{"a": "$19.49"}` | `a >= 20` | no | so it is neither less nor greater |
//! | `{"a": "inf"}` | `a > 20` | no | and what is not finite is no number |
//! | `{"a": 19.49}` | `a = '19.49'` | yes | a number compares with a text that is one |
//! | `{"a": 19.49}` | `a < 'b'` | no | and with no other |
//! | `{"a": "10"}` | `a < '9'` | yes | two texts compare as texts, also where both are numbers |
//! | `{"a": true}` | `a = true` | yes | flags are flags |
//! | `{"a": false}` | `a < true` | yes | false comes before true |
//! | `{"a": true}` | `a = 'TRUE'` | yes | or the text of that name |
//! | `{"a": "False"}` | `a = false` | yes | either way |
//! | `{"a": 1}` | `a = true` | no | but no number |
//! | `{"a": true}` | `a = 1` | no | either way |
//! | `{"a": "Plaid Shirt"}` | `a like 'plaid%'` | yes | `%` stands for any run of characters |
//! | `{"a": "Plaid Shirt"}` | `a like '_laid shirt'` | yes | `_` for one |
//! | `{"a": "Plaid Shirt"}` | `a like 'plaid'` | no | the whole text has to be like it |
//! | `{"a": "Plaid Shirt"}` | `a contains 'SHIRT'` | yes | a part has to be there |
//! | `{"a": "Plaid Shirt"}` | `a contains 'plaid  shirt'` | no | just as it is written |
//! | `{"a": "50%"}` | `a contains '0%'` | yes | with no characters that stand for others |
//! | `{"a": 19.5}` | `a like '19%'` | yes | numbers and flags are searched as they are shown |
//! | `{"a": "red"}` | `a in ('BLUE', 'RED')` | yes | one of them is equal |
//! | `{"a": 2}` | `a in ('2', 3)` | yes | as `=` has it |
//! | `{"a": "reddish"}` | `a in ('red', 3)` | no | and not only alike |
//! | `{"a": ["S", 42]}` | `a = 's' and a = 42` | yes | a list passes when one of its elements does |
//! | `{"a": ["S", 42]}` | `a != 's'` | no | so `!=` means that none is equal |
//! | `{"a": [["S"]]}` | `a = 's'` | yes | lists in lists too |
//! | `{"a": []}` | `a = 's'` | no | an empty list has no element that passes |
//! | `{"a": []}` | `a is null` | no | and is not missing |
//! | `{"a": [null]}` | `a is null` | no | nor is one of nothing |
//! | `{}` | `a = 1 or a < 1 or a > 1 or a in (1) or a like '%'` | no | a missing field passes no test |
//! | `{}` | `a is null` | yes | but this one |
//! | `{}` | `a is not null` | no | and not its negation |
//! | `{}` | `a != 1 and a not in (1) and a not like '%' and not a < 1` | yes | the other negations pass |
//! | `{"a": null}` | `a is null and a != 1` | yes | null is as missing |
//! | `{"a": null}` | `a = 1 or a contains ''` | no | in each test |
//! | `{"a": {"b": "Red"}}` | `a.b = 'red'` | yes | dots lead into a field |
//! | `{"a.b": 1, "a": {"b": 2}}` | `a.b = 1` | yes | unless there is one of the whole name |
//! | `{"a": {"b": {"c": 1}}}` | `a.b.c = 1` | yes | to any depth |
//! | `{"a": {"b": 1}}` | `a.c is null` | yes | what is not there is missing |
//! | `{"a": [{"b": 1}]}` | `a.b = 1` | no | but not into the elements of a list |
//! | `{"a": {"b": 1}}` | `a = 1 or a like '%' or a is null` | no | a field with fields is no value, and not missing |
//! | `{"net weight": 3, "in": 1}` | ``` `net weight` = 3 and `in` = 1 ``` | yes | any name can stand in backquotes |
//! | `{"a": 1, "b": 2}` | `a = 2 and b = 2 or b = 2` | yes | `and` binds closer than `or` |
//! | `{"a": 1, "b": 2}` | `not a = 2 and b = 3` | no | and `not` closer than both |

mod parse;
mod semantics;
mod tree;

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::error::{Error, Result};

pub(crate) use semantics::{Rank, lookup, may_reach, shown_values};
pub use tree::{Comparison, Condition, Literal, Test};

/// The fields of an item by name, as the catalogue has them.
pub type Fields = serde_json::Map<String, Value>;

/// A parsed condition such as `color = "red" and price < 20 and not brand in ("x", "y")`.
///
/// It prints, and is stored by serde, as an expression that parses to the same tree.
///
/// ```
/// use looksee::filter::{Fields, Filter};
/// let filter = Filter::parse("color = 'red' and price < 20")?;
/// let mut fields = Fields::new();
/// fields.insert("color".into(), "Red".into());
/// fields.insert("price".into(), 19.49.into());
/// assert!(filter.matches(&fields));
/// assert_eq!(filter.to_string(), "color = 'red' and price < 20");
/// # Ok::<(), looksee::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    root: Condition,
}

impl Filter {
    /// Parses an expression; the error names the column and what was expected there.
    pub fn parse(text: &str) -> Result<Self> {
        parse::parse(text).map(|root| Self { root })
    }

    /// Whether an item with these fields passes.
    pub fn matches(&self, fields: &Fields) -> bool {
        self.root.holds(fields)
    }

    /// The tree, for those who ask another store.
    ///
    /// ```
    /// use looksee::filter::{Comparison, Condition, Filter, Literal, Test};
    ///
    /// /// The part of SQL that needs no thought.
    /// fn sql(condition: &Condition) -> Option<String> {
    ///     match condition {
    ///         Condition::All(parts) => {
    ///             let parts: Option<Vec<String>> = parts.iter().map(sql).collect();
    ///             Some(parts?.join(" AND "))
    ///         }
    ///         Condition::Test { field, test: Test::Compare(sign, Literal::Number(number)) } => {
    ///             Some(format!("{field} {} {number}", sign.sign()))
    ///         }
    ///         _ => None,
    ///     }
    /// }
    ///
    /// let filter = Filter::parse("price < 20 and stock >= 1")?;
    /// assert_eq!(sql(filter.condition()).unwrap(), "price < 20 AND stock >= 1");
    /// # Ok::<(), looksee::Error>(())
    /// ```
    pub fn condition(&self) -> &Condition {
        &self.root
    }

    /// The names of all fields the expression reads, in order of appearance, each once.
    pub fn field_names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.root.collect_names(&mut names);
        names
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.fmt(f)
    }
}

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
