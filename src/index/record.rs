//! What the index keeps of an item, and how it tells that an item changed.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::paths;
use crate::error::{Error, ErrorKind, Fact, Result};
use crate::files;
use crate::filter::Fields;
use crate::units::ItemId;

/// What tells a picture's file from a newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes of the file.
    pub size: u64,
    /// Nanoseconds since 1970 of its last change.
    pub modified_ns: i64,
    /// XXH3-64 of its bytes.
    pub content: u64,
}

/// Everything an index keeps of an item but its vectors.
#[derive(Clone, Debug)]
pub struct Record {
    /// The item's name.
    pub id: ItemId,
    /// The picture's file (absolute).
    pub image: PathBuf,
    /// Its texts.
    pub texts: Vec<String>,
    /// Its other fields.
    pub fields: Fields,
    /// Its group.
    pub group: Option<Arc<str>>,
    /// The file as it was embedded.
    pub stamp: Stamp,
}

/// What is known of an item that is in the index already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The file as it was embedded.
    pub stamp: Stamp,
    /// Checksum of texts, fields, group and path, as [`Record::checksum`] gives it.
    pub record: u64,
    /// Checksum of the texts alone: another one means that the text must be embedded again.
    pub texts: u64,
}

impl Record {
    /// Checksum of all but the stamp.
    pub fn checksum(&self) -> u64 {
        Stored::of(self).checksum()
    }

    /// Checksum of the texts alone.
    pub fn texts_checksum(&self) -> u64 {
        Stored::of(self).texts_checksum()
    }
}

/// A record as the database keeps it. Checksums are taken over these bytes, so that they can be
/// compared without reading numbers and writing them again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) id: ItemId,
    /// The path's bytes.
    pub(super) image: Vec<u8>,
    /// A JSON list of strings.
    pub(super) texts: String,
    /// A JSON object.
    pub(super) fields: String,
    pub(super) group: Option<Arc<str>>,
    pub(super) stamp: Stamp,
}

impl Stored {
    pub(super) fn of(record: &Record) -> Self {
        Self {
            id: record.id.clone(),
            image: paths::to_bytes(&record.image),
            texts: Value::from(record.texts.clone()).to_string(),
            fields: Value::Object(record.fields.clone()).to_string(),
            group: record.group.clone(),
            stamp: record.stamp,
        }
    }

    /// Checksum of all but the stamp: each part with its length in front, so that no two records
    /// give the same bytes.
    pub(super) fn checksum(&self) -> u64 {
        let mut bytes = vec![u8::from(self.group.is_some())];
        let group = self.group.as_deref().unwrap_or_default();
        for part in [
            self.id.as_str().as_bytes(),
            &self.image,
            self.texts.as_bytes(),
            self.fields.as_bytes(),
            group.as_bytes(),
        ] {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        }
        files::checksum(&bytes)
    }

    pub(super) fn texts_checksum(&self) -> u64 {
        files::checksum(self.texts.as_bytes())
    }

    pub(super) fn known(&self) -> Known {
        Known { stamp: self.stamp, record: self.checksum(), texts: self.texts_checksum() }
    }

    pub(super) fn into_record(self) -> Result<Record> {
        let texts = json(&self.id, "texts", &self.texts)?;
        let fields = json(&self.id, "fields", &self.fields)?;
        let image = paths::from_bytes(self.image);
        Ok(Record { id: self.id, image, texts, fields, group: self.group, stamp: self.stamp })
    }
}

/// Reads a JSON column of an item.
pub(super) fn json<T: serde::de::DeserializeOwned>(
    id: &ItemId,
    column: &str,
    text: &str,
) -> Result<T> {
    serde_json::from_str(text).map_err(|e| {
        Error::new(ErrorKind::Corrupt, format!("its {column} are not the JSON that was written"))
            .with_fact(Fact::DamagedItems)
            .at_item(id.as_str())
            .with_source(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            id: "a".into(),
            image: "/pictures/a.png".into(),
            texts: vec!["red shoe".to_owned(), "a shoe".to_owned()],
            fields: Fields::from_iter([("price".to_owned(), Value::from(0.1 + 0.2))]),
            group: Some("g".into()),
            stamp: Stamp { size: 3, modified_ns: -5, content: u64::MAX },
        }
    }

    #[test]
    fn every_part_of_a_record_but_the_stamp_changes_its_checksum() {
        let original = record().checksum();
        let change = |change: fn(&mut Record)| {
            let mut record = record();
            change(&mut record);
            record.checksum()
        };
        assert_ne!(original, change(|r| r.id = "b".into()));
        assert_ne!(original, change(|r| r.image = "/pictures/b.png".into()));
        assert_ne!(original, change(|r| r.texts = vec!["red shoe, a shoe".to_owned()]));
        assert_ne!(original, change(|r| r.fields.clear()));
        assert_ne!(original, change(|r| r.group = None));
        assert_ne!(change(|r| r.group = None), change(|r| r.group = Some("".into())));
        assert_eq!(original, change(|r| r.stamp.content = 0));
    }

    #[test]
    fn the_checksum_of_the_texts_depends_on_nothing_else() {
        let mut other = record();
        other.fields.clear();
        assert_eq!(other.texts_checksum(), record().texts_checksum());
        other.texts.pop();
        assert_ne!(other.texts_checksum(), record().texts_checksum());
    }

    #[test]
    fn a_record_comes_back_from_its_stored_form() {
        let back = Stored::of(&record()).into_record().unwrap();
        assert_eq!(back.checksum(), record().checksum());
        assert_eq!(back.stamp, record().stamp);
        assert_eq!(back.image, record().image);
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_no_unicode_survives() {
        let path = paths::from_bytes(vec![b'/', 0xFF, b'a']);
        let mut odd = record();
        odd.image.clone_from(&path);
        assert_eq!(Stored::of(&odd).into_record().unwrap().image, path);
    }
}
