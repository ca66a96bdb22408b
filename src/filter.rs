//! Filter expressions over an item's fields.

use crate::error::Result;

/// The fields of an item by name, as the catalogue has them.
pub type Fields = serde_json::Map<String, serde_json::Value>;

/// A parsed condition such as `color = "red" and price < 20 and not brand in ("x", "y")`.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {}

impl Filter {
    /// Parses an expression; the error names the column and what was expected there.
    pub fn parse(text: &str) -> Result<Self> {
        let _ = text;
        unimplemented!()
    }

    /// Whether an item with these fields passes.
    pub fn matches(&self, fields: &Fields) -> bool {
        let _ = fields;
        unimplemented!()
    }

    /// The names of all fields the expression reads, in order of appearance, each once.
    pub fn field_names(&self) -> Vec<&str> {
        unimplemented!()
    }
}
