//! A folder of pictures: each picture is an item, its texts lie beside it or are its name.
//!
//! Folders are read one at a time in the order of their names, so a million pictures need the
//! listings on the way down to the current one, not the whole tree.

use std::collections::HashSet;
use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::fs::FileType;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::json::kind_of;
use super::layout::{Layout, Roles, listed};
use super::table::unwritable;
use super::{Found, Item, PICTURE_ENDINGS, Place, Reason, Skip, Source};
use crate::error::{Error, ErrorKind, Fact, FieldRole, Result};
use crate::files;
use crate::filter::Fields;
use crate::units::ItemId;

/// Longer texts beside a picture are not read.
const MAX_SIDECAR_BYTES: u64 = 16 << 20;

/// A folder that is being walked.
pub(super) struct Folder {
    source: Arc<Source>,
    root: PathBuf,
    canonical_root: PathBuf,
    /// The folders from the root down to the current one, each with what is left of it.
    open: Vec<Listing>,
    /// Folders that were entered, so that a link cannot lead in circles.
    entered: HashSet<PathBuf>,
    /// The fields that were named and that no text beside a picture has had yet.
    unseen: Vec<(String, FieldRole)>,
    /// Names of the fields that were seen.
    names: Vec<String>,
    pictures: usize,
    /// Other files, for the error about a folder without pictures.
    others: usize,
}

/// The visible entries of one folder, by name.
struct Listing {
    folder: PathBuf,
    entries: std::vec::IntoIter<(OsString, FileType)>,
    /// Names of the texts beside pictures.
    sidecars: HashSet<OsString>,
}

impl Folder {
    pub(super) fn open(root: &Path, source: &Arc<Source>) -> Result<Self> {
        let cannot = |e| Error::io("cannot read the folder", e).at_file(root);
        let canonical_root = root.canonicalize().map_err(cannot)?;
        let listing = list(root).map_err(cannot)?;
        let texts = source.text_fields.iter().map(|field| (field.clone(), FieldRole::Text));
        let id = source.id_field.iter().map(|field| (field.clone(), FieldRole::Id));
        let group = source.group_field.iter().map(|field| (field.clone(), FieldRole::Group));
        Ok(Self {
            source: Arc::clone(source),
            root: root.to_path_buf(),
            entered: HashSet::from([canonical_root.clone()]),
            canonical_root,
            open: vec![listing],
            unseen: texts.chain(id).chain(group).collect(),
            names: Vec::new(),
            pictures: 0,
            others: 0,
        })
    }

    fn found(&mut self) -> Result<Option<Found>> {
        while let Some(listing) = self.open.last_mut() {
            let Some((name, kind)) = listing.entries.next() else {
                self.open.pop();
                continue;
            };
            let path = listing.folder.join(&name);
            if is_folder(&path, kind) {
                if let Err(e) = self.enter(&path, kind) {
                    let message = format!("cannot read the folder: {e}");
                    return Ok(Some(skip(&path, Reason::Unreadable, message)));
                }
            } else if is_picture(&name) {
                self.pictures += 1;
                return Ok(Some(self.item(path)));
            } else {
                self.others += 1;
            }
        }
        self.finish().map(|()| None)
    }

    /// Goes down into a folder, unless it was entered before or will be on its own path.
    fn enter(&mut self, path: &Path, kind: FileType) -> std::io::Result<()> {
        let canonical = path.canonicalize()?;
        let has_own_path = kind.is_symlink() && canonical.starts_with(&self.canonical_root);
        if !has_own_path && self.entered.insert(canonical) {
            self.open.push(list(path)?);
        }
        Ok(())
    }

    fn item(&mut self, image: PathBuf) -> Found {
        let (texts, fields) = match self.beside(&image) {
            Ok(beside) => beside,
            Err((sidecar, message)) => return skip(&sidecar, Reason::BadRow, message),
        };
        self.note_names(&fields);
        let relative = image.strip_prefix(&self.root).unwrap_or(&image);
        let parts: Vec<_> = relative.iter().map(OsStr::to_string_lossy).collect();
        let mut roles = Roles::beside(&fields, &self.source);
        roles.put_texts_first(texts);
        if roles.texts.is_empty() {
            roles.texts.extend(words(relative));
        }
        let beside = if self.source.whole_rows { fields.clone() } else { Fields::new() };
        let mut fields = roles.rest_beside(fields);
        if parts.len() > 1 {
            fields.entry("folder").or_insert(parts[..parts.len() - 1].join("/").into());
        }
        let id = roles.id.get_or_insert_with(|| parts.join("/")).as_str();
        let id = ItemId::from(id);
        if let Some(filter) = &self.source.filter
            && !filter.matches(&roles.view(fields.clone()))
        {
            return Found::Filtered;
        }
        let place = Place { file: image.as_path().into(), line: None };
        if self.source.whole_rows {
            let layout = Layout::Plain { image: "image".to_owned() };
            match roles.whole(fields, beside, &layout, &image, id.as_str()) {
                Some(whole) => fields = whole,
                None => return unwritable(place, id),
            }
        }
        let group = roles.group.as_deref().map(Arc::from);
        Found::Item(Item { id, image: image.into(), texts: roles.texts, fields, group, place })
    }

    /// The texts and fields in the files beside a picture; an error names the file and the trouble.
    fn beside(&self, image: &Path) -> Result<(Vec<String>, Fields), (PathBuf, String)> {
        let mut texts = Vec::new();
        let mut fields = Fields::new();
        if let Some(path) = self.sidecar(image, "txt") {
            let bytes = read_sidecar(&path).map_err(|message| (path, message))?;
            let lines = String::from_utf8_lossy(&bytes);
            let lines = lines.lines().map(|line| line.trim_matches(['\u{feff}', ' ', '\t']));
            texts.extend(lines.filter(|line| !line.is_empty()).map(str::to_owned));
        }
        if let Some(path) = self.sidecar(image, "json") {
            let bytes = read_sidecar(&path).map_err(|message| (path.clone(), message))?;
            match serde_json::from_slice(&bytes) {
                Ok(Value::Object(object)) => fields = object,
                Ok(value @ (Value::String(_) | Value::Array(_))) => {
                    fields.insert("text".to_owned(), value);
                }
                Ok(other) => {
                    return Err((path, format!("expected an object, found {}", kind_of(&other))));
                }
                Err(error) => return Err((path, format!("the file is not JSON: {error}"))),
            }
        }
        Ok((texts, fields))
    }

    fn sidecar(&self, image: &Path, ending: &str) -> Option<PathBuf> {
        let path = image.with_extension(ending);
        let there = self.open.last()?.sidecars.contains(path.file_name()?);
        there.then_some(path)
    }

    fn note_names(&mut self, fields: &Fields) {
        self.unseen.retain(|(name, _)| !fields.contains_key(name));
        if !self.unseen.is_empty() && self.names.len() < 100 {
            let new: Vec<_> = fields.keys().filter(|name| !self.names.contains(name)).collect();
            let new: Vec<String> = new.into_iter().cloned().collect();
            self.names.extend(new);
        }
    }

    /// What can only be said at the end.
    fn finish(&self) -> Result<()> {
        let error = if self.pictures == 0 {
            Error::invalid(format!(
                "no pictures in this folder ({} other files); looked for {}",
                self.others,
                PICTURE_ENDINGS.join(", ")
            ))
        } else if let Some((field, role)) = self.unseen.first() {
            let found = if self.names.is_empty() { "none".to_owned() } else { listed(&self.names) };
            Error::invalid(format!(
                "no .json file beside a picture has a field \"{field}\" (found: {found})"
            ))
            .with_fact(Fact::MissingField {
                role: *role,
                field: field.clone(),
                meant: None,
            })
        } else {
            return Ok(());
        };
        Err(error.at_file(&self.root))
    }
}

impl Iterator for Folder {
    type Item = Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        self.found().transpose()
    }
}

fn skip(path: &Path, reason: Reason, message: String) -> Found {
    let place = Place { file: path.into(), line: None };
    Found::Skip(Skip { place, id: None, reason, message })
}

/// The visible entries of `folder`, sorted by name.
fn list(folder: &Path) -> std::io::Result<Listing> {
    let mut entries = Vec::new();
    let mut sidecars = HashSet::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if has_ending(&name, &["txt", "json"]) {
            sidecars.insert(name.clone());
        }
        entries.push((name, entry.file_type()?));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Listing { folder: folder.to_path_buf(), entries: entries.into_iter(), sidecars })
}

fn is_folder(path: &Path, kind: FileType) -> bool {
    kind.is_dir() || (kind.is_symlink() && path.is_dir())
}

pub(super) fn is_picture(name: &OsStr) -> bool {
    has_ending(name, &PICTURE_ENDINGS)
}

fn has_ending(name: &OsStr, endings: &[&str]) -> bool {
    let ending = Path::new(name).extension().and_then(OsStr::to_str);
    ending.is_some_and(|ending| endings.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

/// What stands beside a picture, or what is wrong with it. Only a regular file is read: a pipe of
/// this name would never answer, and a device would never end.
fn read_sidecar(path: &Path) -> Result<Vec<u8>, String> {
    files::read_at_most(path, MAX_SIDECAR_BYTES).map_err(|error| match error.kind() {
        ErrorKind::TooLarge => {
            format!("the text is longer than {} MiB", MAX_SIDECAR_BYTES >> 20)
        }
        _ => match error.source() {
            Some(source) => format!("cannot read: {source}"),
            None => error.message().to_owned(),
        },
    })
}

/// The words in a picture's name, then those of its folders: `shoes/redSneaker_02.jpg` is
/// "red Sneaker shoes". `None` where there are none, as in `IMG_0042.jpg`.
fn words(relative: &Path) -> Option<String> {
    /// What cameras call their pictures.
    const CAMERA_NAMES: [&str; 7] = ["img", "dsc", "dscn", "dscf", "pxl", "mvimg", "image"];
    let stem = relative.file_stem().unwrap_or_default().to_string_lossy();
    let folders = relative.parent().into_iter().flat_map(Path::iter).map(OsStr::to_string_lossy);
    let names = std::iter::once(stem).chain(folders);
    let mut words: Vec<String> = names.flat_map(|name| words_of(&name)).collect();
    words.retain(|word| !CAMERA_NAMES.iter().any(|name| word.eq_ignore_ascii_case(name)));
    (!words.is_empty()).then(|| words.join(" "))
}

/// Cuts at all but letters, and where camelCase changes.
fn words_of(name: &str) -> Vec<String> {
    let chunks = name.split(|c: char| !c.is_alphanumeric() && c != '\'');
    chunks.filter_map(letters_of).flatten().flat_map(camel_parts).collect()
}

/// The runs of letters in a piece of a name that are words: `shoe42` holds one, while `B0756MLWTH`
/// and `647168f211` are numbers of something.
fn letters_of(chunk: &str) -> Option<Vec<&str>> {
    if !chunk.contains(char::is_numeric) {
        return Some(vec![chunk]);
    }
    let numbers = chunk.split(|c: char| !c.is_numeric()).filter(|run| !run.is_empty()).count();
    let is_word = |run: &&str| run.chars().count() > 1 && run.contains(char::is_lowercase);
    (numbers == 1).then(|| chunk.split(char::is_numeric).filter(is_word).collect())
}

/// `redSneaker` as `red`, `Sneaker`; `HTMLPage` as `HTML`, `Page`; `iPhone` stays.
fn camel_parts(run: &str) -> Vec<String> {
    let letters: Vec<char> = run.chars().collect();
    let mut parts = Vec::new();
    let mut start = 0;
    for at in 1..letters.len() {
        let upper = letters[at].is_uppercase();
        let after_lower = letters[at - 1].is_lowercase() && at - start > 1;
        let before_lower = letters[at - 1].is_uppercase()
            && letters.get(at + 1).is_some_and(|next| next.is_lowercase())
            && at - start > 1;
        if upper && (after_lower || before_lower) {
            parts.push(letters[start..at].iter().collect());
            start = at;
        }
    }
    parts.push(letters[start..].iter().collect::<String>());
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(path: &str) -> Option<String> {
        words(Path::new(path))
    }

    #[test]
    fn names_are_cut_into_words() {
        assert_eq!(text_of("shoes/redSneaker_02.jpg").as_deref(), Some("red Sneaker shoes"));
        assert_eq!(text_of("a/b-c/Blue.maxi dress.png").as_deref(), Some("Blue maxi dress a b c"));
        assert_eq!(text_of("HTMLPage3iPhone.gif").as_deref(), Some("HTML Page iPhone"));
        assert_eq!(text_of("women's größe42.gif").as_deref(), Some("women's größe"));
        assert_eq!(text_of("IMG_0042.jpg"), None);
        assert_eq!(text_of("B0756MLWTH.jpg"), None);
        assert_eq!(text_of("u1f985.png"), None);
        assert_eq!(text_of("1445754124_647168f211.jpg"), None);
    }
}
