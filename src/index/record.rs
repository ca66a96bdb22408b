//! What the index keeps of an item, and how it tells that an item changed.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::error::{Error, ErrorKind, Fact, Result};
use crate::files::{self, Blob, Stamp};
use crate::filter::Fields;
use crate::units::ItemId;

/// Everything an index keeps of an item but its vectors.
#[derive(Clone, Debug)]
pub struct Record {
    /// The item's name.
    pub id: ItemId,
    /// Where its picture is (absolute).
    pub image: Blob,
    /// Its texts.
    pub texts: Vec<String>,
    /// Its other fields.
    pub fields: Fields,
    /// Its group.
    pub group: Option<Arc<str>>,
    /// The picture as it was embedded.
    pub stamp: Stamp,
}

/// What is known of an item that is in the index already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The picture as it was embedded.
    pub stamp: Stamp,
    /// Checksum of texts, fields, group and place, as [`Record::checksum`] gives it.
    pub record: u64,
    /// Checksum of the texts alone: another one means that the text must be embedded again.
    pub texts: u64,
}

impl Record {
    /// Checksum of all but the stamp, the picture's place relative to `root`: the same after both
    /// have moved together.
    pub fn checksum(&self, root: Option<&Path>) -> u64 {
        Stored::of(self, root).checksum()
    }

    /// Checksum of the texts alone.
    pub fn texts_checksum(&self) -> u64 {
        Stored::of(self, None).texts_checksum()
    }
}

/// A record as the database keeps it. Checksums are taken over these bytes, so that they can be
/// compared without reading numbers and writing them again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) id: ItemId,
    /// [`Blob::to_bytes`], relative to the root of the index.
    pub(super) image: Vec<u8>,
    /// A JSON list of strings.
    pub(super) texts: String,
    /// A JSON object.
    pub(super) fields: String,
    pub(super) group: Option<Arc<str>>,
    pub(super) stamp: Stamp,
}

impl Stored {
    pub(super) fn of(record: &Record, root: Option<&Path>) -> Self {
        Self {
            id: record.id.clone(),
            image: record.image.to_bytes(root),
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

    /// The same record for an index with another root.
    pub(super) fn with_root(mut self, old: Option<&Path>, new: Option<&Path>) -> Result<Self> {
        if old != new {
            self.image = place(&self.id, &self.image, old)?.to_bytes(new);
        }
        Ok(self)
    }

    /// The record, its picture looked up below `root`.
    pub(super) fn into_record(self, root: Option<&Path>) -> Result<Record> {
        let texts = json(&self.id, "texts", &self.texts)?;
        let fields = json(&self.id, "fields", &self.fields)?;
        let image = place(&self.id, &self.image, root)?;
        Ok(Record { id: self.id, image, texts, fields, group: self.group, stamp: self.stamp })
    }
}

/// Reads the place of an item's picture.
fn place(id: &ItemId, bytes: &[u8], root: Option<&Path>) -> Result<Blob> {
    Blob::from_bytes(bytes, root).map_err(|e| {
        let message = "the place of its picture is not one that was written";
        Error::new(ErrorKind::Corrupt, message)
            .with_fact(Fact::DamagedItems)
            .at_item(id.as_str())
            .with_source(e)
    })
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
        let original = record().checksum(None);
        let change = |change: fn(&mut Record)| {
            let mut record = record();
            change(&mut record);
            record.checksum(None)
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
        for root in [None, Some(Path::new("/pictures")), Some(Path::new("/elsewhere"))] {
            let back = Stored::of(&record(), root).into_record(root).unwrap();
            assert_eq!(back.checksum(root), record().checksum(root));
            assert_eq!(back.stamp, record().stamp);
            assert_eq!(back.image, record().image);
        }
    }

    #[test]
    fn the_checksum_of_a_picture_below_the_root_is_the_same_wherever_that_is() {
        let (old, new) = (Some(Path::new("/pictures")), Some(Path::new("/new/place")));
        let mut moved = record();
        moved.image = "/new/place/a.png".into();
        assert_eq!(moved.checksum(new), record().checksum(old));
        assert_ne!(moved.checksum(new), record().checksum(None));
        assert_ne!(moved.checksum(old), record().checksum(old));
    }

    #[test]
    fn a_record_that_changes_its_root_stays_where_it_is() {
        let (old, new) = (Some(Path::new("/pictures")), Some(Path::new("/new/place")));
        let moved = Stored::of(&record(), old).with_root(old, new).unwrap();
        assert_eq!(moved.image, b"/pictures/a.png");
        assert_eq!(moved.clone().into_record(new).unwrap().image, record().image);
        assert_eq!(moved.with_root(new, old).unwrap().image, b"a.png");
    }

    #[test]
    fn a_place_that_no_index_wrote_is_damage() {
        let mut stored = Stored::of(&record(), None);
        stored.image = b"a.tar\0nowhere".to_vec();
        let error = stored.into_record(None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().starts_with("item a: the place of its picture"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_no_unicode_survives() {
        let path = files::path_from_bytes(vec![b'/', 0xFF, b'/', 0xFE, b'a']);
        let root = path.parent();
        let odd = Record { image: path.as_path().into(), ..record() };
        for root in [None, root] {
            let back = Stored::of(&odd, root).into_record(root).unwrap();
            assert_eq!(back.image.path(), path);
        }
    }
}
