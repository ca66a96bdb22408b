//! Where a row's picture is: local paths, and the files that were fetched for URLs.
//!
//! A local path is taken as it is written; whether the file is there is the decoder's to find out.
//! A URL is looked up by its file name in a folder that is listed once, because asking the disk for
//! each of half a million names is slow and a listing is not.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};

use super::{PICTURE_ENDINGS, Remote};
use crate::error::{Error, Result};

/// A folder of pictures, and the names of its files once somebody asks for one.
#[derive(Debug)]
pub(super) struct Pictures {
    folder: PathBuf,
    listed: bool,
    /// The endings of the files with a stem, each with its dot; `""` for a name without one.
    endings: HashMap<Box<str>, Vec<Box<str>>>,
    /// Which URL a file name belongs to, by checksum: two URLs may end in the same name.
    owners: HashMap<u64, u64>,
}

impl Pictures {
    pub(super) fn of(folder: &Path) -> Self {
        let (endings, owners) = (HashMap::new(), HashMap::new());
        Self { folder: folder.to_path_buf(), listed: false, endings, owners }
    }

    /// With the names of the files; a folder that is not there holds none yet.
    pub(super) fn listed(&mut self) -> Result<&mut Self> {
        if !self.listed {
            self.listed = true;
            match std::fs::read_dir(self.shown_folder()) {
                Ok(entries) => self.list(entries),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
                Err(e) => Err(e),
            }
            .map_err(|e| {
                Error::io("cannot list the folder of pictures", e).at_file(&self.folder)
            })?;
        }
        Ok(self)
    }

    fn list(&mut self, entries: std::fs::ReadDir) -> std::io::Result<()> {
        for entry in entries {
            if let Some(name) = entry?.file_name().to_str() {
                let (stem, ending) = name.split_at(stem_length(name));
                self.endings.entry(stem.into()).or_default().push(ending.into());
            }
        }
        Ok(())
    }

    /// What relative paths are relative to; empty for the working directory.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn shown_folder(&self) -> &Path {
        if self.folder.as_os_str().is_empty() { Path::new(".") } else { &self.folder }
    }

    /// The file called `name`.
    pub(super) fn named(&self, name: &str) -> Option<PathBuf> {
        let (stem, ending) = name.split_at(stem_length(name));
        let found = self.endings.get(stem)?.iter().any(|known| **known == *ending);
        found.then(|| self.folder.join(name))
    }

    /// The picture called `stem` and one of the usual endings, the earliest in their list.
    pub(super) fn with_stem(&self, stem: &str) -> Option<PathBuf> {
        let endings = self.endings.get(stem)?;
        let rank = |ending: &str| {
            let ending = ending.strip_prefix('.')?;
            PICTURE_ENDINGS.iter().position(|known| ending.eq_ignore_ascii_case(known))
        };
        let ending = endings.iter().filter(|e| rank(e).is_some()).min_by_key(|e| (rank(e), *e))?;
        Some(self.folder.join(format!("{stem}{ending}")))
    }

    /// The file that was fetched from `url`, or under which name to fetch it.
    ///
    /// The name is the URL's own. The first URL to use a name owns it; another one that ends in the
    /// same name gets the URL's checksum added.
    pub(super) fn fetched(&mut self, url: &str) -> Result<PathBuf, Remote> {
        let name = file_name(url).filter(|name| is_safe(name));
        let own = name.filter(|name| self.owns(name, url));
        let file = own.map_or_else(|| name_with_checksum(name, url), str::to_owned);
        let decoded = percent_decoded(&file);
        let found = self.named(&file).or_else(|| self.named(&decoded?));
        found.ok_or_else(|| Remote { url: url.to_owned(), file })
    }

    fn owns(&mut self, name: &str, url: &str) -> bool {
        let url = checksum(url);
        match self.owners.entry(checksum(name)) {
            Entry::Vacant(entry) => *entry.insert(url) == url,
            Entry::Occupied(entry) => *entry.get() == url,
        }
    }
}

fn checksum(text: &str) -> u64 {
    crate::files::checksum(text.as_bytes())
}

/// Bytes before the last dot, or all of them.
fn stem_length(name: &str) -> usize {
    name.rfind('.').filter(|at| *at > 0).unwrap_or(name.len())
}

/// Whether a picture is named by where it can be fetched.
pub(super) fn is_url(written: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        written.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// The last part of a URL's path, as written.
pub(super) fn file_name(url: &str) -> Option<&str> {
    let path = url.split(['?', '#']).next()?.split_once("://")?.1;
    path.split_once('/')?.1.rsplit('/').next().filter(|name| !name.is_empty())
}

/// Whether a name from a stranger's file can be a file name on any system.
pub(super) fn is_safe(name: &str) -> bool {
    let harmless =
        |c: char| !c.is_control() && !matches!(c, '/' | '\\' | ':' | '"' | '<' | '>' | '|' | '*');
    !name.is_empty() && name.len() <= 200 && !name.starts_with('.') && name.chars().all(harmless)
}

fn name_with_checksum(name: Option<&str>, url: &str) -> String {
    let name = name.unwrap_or("picture");
    let (stem, ending) = name.split_at(stem_length(name));
    format!("{stem}-{:016x}{ending}", checksum(url))
}

/// `a%20b` as `a b`; `None` where that is no UTF-8 or no safe file name.
pub(super) fn percent_decoded(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = code.filter(|_| first == b'%').and_then(|c| u8::from_str_radix(c, 16).ok());
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).ok().filter(|name| is_safe(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        folder
    }

    fn listed(folder: &Path) -> Pictures {
        let mut pictures = Pictures::of(folder);
        pictures.listed().unwrap();
        pictures
    }

    #[test]
    fn a_url_is_found_by_its_file_name_as_written_or_decoded() {
        let folder = folder_with(&["a b.jpg", "c%20d.png", "plain"]);
        let mut pictures = listed(folder.path());
        assert_eq!(
            pictures.fetched("http://x.org/p/a%20b.jpg?w=1"),
            Ok(folder.path().join("a b.jpg"))
        );
        assert_eq!(
            pictures.fetched("https://x.org/c%20d.png#top"),
            Ok(folder.path().join("c%20d.png"))
        );
        assert_eq!(pictures.fetched("https://x.org/plain"), Ok(folder.path().join("plain")));
        let remote = pictures.fetched("https://x.org/e.jpg").unwrap_err();
        assert_eq!(remote, Remote { url: "https://x.org/e.jpg".into(), file: "e.jpg".into() });
    }

    #[test]
    fn two_urls_with_one_file_name_never_share_a_picture() {
        let folder = folder_with(&["main.jpg"]);
        let mut pictures = listed(folder.path());
        assert!(pictures.fetched("http://x.org/1/main.jpg").is_ok());
        let other = pictures.fetched("http://x.org/2/main.jpg").unwrap_err();
        assert_eq!(other.file, format!("main-{:016x}.jpg", checksum(&other.url)));
        assert!(pictures.fetched("http://x.org/1/main.jpg").is_ok());
    }

    #[test]
    fn names_that_could_leave_the_folder_are_replaced() {
        let mut pictures = listed(Path::new("/nowhere/at/all"));
        for url in [
            "http://x.org/..",
            "http://x.org/",
            "http://x.org",
            "http://x.org/a\\b.jpg",
            "http://x.org/a\nb",
        ] {
            let file = pictures.fetched(url).unwrap_err().file;
            assert!(file.starts_with("picture-"), "{url}: {file}");
        }
        assert_eq!(percent_decoded("..%2f..%2fetc"), None);
        assert_eq!(percent_decoded("100%.jpg").as_deref(), Some("100%.jpg"));
        assert_eq!(percent_decoded("%ff"), None);
    }

    #[test]
    fn a_stem_is_found_with_the_first_usual_ending() {
        let folder = folder_with(&["A1.png", "A1.JPG", "A1.txt", "B2.txt", "C.3.webp"]);
        let pictures = listed(folder.path());
        assert_eq!(pictures.with_stem("A1"), Some(folder.path().join("A1.JPG")));
        assert_eq!(pictures.with_stem("B2"), None);
        assert_eq!(pictures.with_stem("C.3"), Some(folder.path().join("C.3.webp")));
    }
}
