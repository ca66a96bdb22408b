//! Reads a whole index and says what is wrong with it.

use rusqlite::params;
use serde::Serialize;

use super::reader::Index;
use super::record::json;
use super::store::{self, failed};
use crate::error::Result;

/// The result of [`Index::check`].
#[derive(Clone, Debug, Default, Serialize)]
pub struct Check {
    /// Items whose rows and checksums are right.
    pub items: usize,
    /// Segments.
    pub segments: usize,
    /// A sentence for everything that is wrong.
    pub problems: Vec<String>,
}

impl Index {
    /// Reads everything and compares every checksum and count.
    ///
    /// That each vector's place exists and belongs to one item was seen when the index was opened.
    pub fn check(&self) -> Result<Check> {
        let mut problems = self.database_problems()?;
        for segment in self.segments() {
            problems.extend(segment.problems());
        }
        if !self.model_folder().is_dir() {
            problems.push("the folder \"model\" is missing: words cannot be searched".to_owned());
        }
        let mut items = 0;
        for row in 0..self.len() {
            let found = self.item_problems(row)?;
            items += usize::from(found.is_empty());
            problems.extend(found);
        }
        Ok(Check { items, segments: self.segments().len(), problems })
    }

    fn database_problems(&self) -> Result<Vec<String>> {
        let connection = self.connection();
        let mut check = connection.prepare("PRAGMA integrity_check").map_err(failed)?;
        let lines = check.query_map([], |row| row.get(0)).map_err(failed)?;
        let mut problems: Vec<String> = lines.collect::<rusqlite::Result<_>>().map_err(failed)?;
        problems.retain(|line| line != "ok");
        let records: i64 = connection
            .query_row("SELECT count(*) FROM records", params![], |row| row.get(0))
            .map_err(failed)?;
        if records != self.len() as i64 {
            problems.push(format!("there are {} items but {records} records", self.len()));
        }
        Ok(problems)
    }

    fn item_problems(&self, row: usize) -> Result<Vec<String>> {
        let id = self.id(row);
        let Some(item) = store::item(&self.connection(), &id)? else {
            return Ok(vec![format!("item {id}: the database does not find it by its name")]);
        };
        let Ok(stored) = self.stored(row) else {
            return Ok(vec![format!("item {id}: its record is missing")]);
        };
        let mut problems = Vec::new();
        if stored.checksum() != item.known.record {
            problems.push(format!("item {id}: its record is not the one that was written"));
        }
        if stored.texts_checksum() != item.known.texts {
            problems.push(format!("item {id}: its texts are not those that were written"));
        }
        let texts = json::<Vec<String>>(&id, "texts", &stored.texts);
        if item.text.is_some() && texts.is_ok_and(|texts| texts.is_empty()) {
            problems.push(format!("item {id}: it has a text vector but no text"));
        }
        Ok(problems)
    }
}
