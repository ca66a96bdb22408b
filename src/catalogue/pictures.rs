//! Where a row's picture is: local paths, and the files that were fetched for URLs.
//!
//! A local path is taken as it is written; whether the file is there is the decoder's to find out.
//! A URL is looked up by its file name in a folder that is listed once, because asking the disk for
//! each of half a million names is slow and a listing is not.
//!
//! A catalogue's URLs go to a downloader, one `url<TAB>file` a line. What a URL may not hold is
//! percent-encoded, one with a control character is refused, and the file name is taken from it
//! only when it is a plain name on any system; both are then visible ASCII, so that no catalogue can
//! write a line, a column or an option of its own, or name a file outside of the folder.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};

use super::{PICTURE_ENDINGS, Remote};
use crate::error::{Error, Result};

/// Why a row's picture is not to be had.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The row names none; the ledger's sentence.
    Nowhere(String),
    /// It is named by an address that is not passed on; the ledger's sentence.
    Refused(String),
    ToFetch(Remote),
}

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
    /// The name is the URL's own where it can be a file's name anywhere. The first URL to use a name
    /// owns it; another one that ends in the same name gets the URL's checksum added. A picture
    /// that was fetched under the name as the catalogue writes it, or decoded, is found as well.
    pub(super) fn fetched(&mut self, url: &str) -> Result<PathBuf, Lost> {
        let url = url.trim();
        let encoded = encoded(url).map_err(Lost::Refused)?;
        let written = file_name(url).filter(|name| is_safe(name));
        let name = file_name(&encoded).filter(|name| is_portable(name));
        let owned = name.or(written).is_some_and(|name| self.owns(name, url));
        let own = name.filter(|_| owned);
        let file = own.map_or_else(|| name_with_checksum(name, url), str::to_owned);
        let written = written.filter(|_| owned);
        let names = [Some(&*file), written].into_iter().flatten();
        let found = names
            .clone()
            .find_map(|name| self.named(name))
            .or_else(|| names.filter_map(percent_decoded).find_map(|name| self.named(&name)));
        found.ok_or(Lost::ToFetch(Remote { url: encoded, file }))
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

/// The URL as a downloader can be given it, or the ledger's sentence.
///
/// Signs beyond ASCII, blanks and those that no URL may hold (RFC 3986) are percent-encoded, square
/// brackets too where they do not name a host, because some downloaders expand them.
pub(super) fn encoded(url: &str) -> Result<String, String> {
    if let Some(control) = url.chars().find(|letter| letter.is_control()) {
        let code = u32::from(control);
        return Err(format!("the URL holds the control character U+{code:04X}; write it anew"));
    }
    let host = url.find("://").map_or(0, |at| at + 3);
    let host_end = url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at);
    let mut out = String::with_capacity(url.len());
    for (at, letter) in url.char_indices() {
        let bracket = matches!(letter, '[' | ']');
        let forbidden = matches!(letter, '\\' | '"' | '<' | '>' | '`' | '{' | '}' | '|' | '^');
        if letter.is_ascii_graphic() && !forbidden && !(bracket && at >= host_end) {
            out.push(letter);
        } else {
            percent_encode(letter, &mut out);
        }
    }
    Ok(out)
}

fn percent_encode(letter: char, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
        let digit = |half: u8| DIGITS[usize::from(half)] as char;
        out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
    }
}

/// Whether a name from a stranger's file can be that of a file in a folder.
pub(super) fn is_safe(name: &str) -> bool {
    let harmless =
        |c: char| !c.is_control() && !matches!(c, '/' | '\\' | ':' | '"' | '<' | '>' | '|' | '*');
    !name.is_empty() && name.len() <= 200 && !name.starts_with('.') && name.chars().all(harmless)
}

/// Whether a name can be a file's on any system and an argument of any program: visible ASCII, no
/// sign that a system reserves, not an option, hidden or a device, also after it is decoded.
fn is_portable(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?')
        && percent_decoded(name).is_some_and(|decoded| {
            [name, &decoded].into_iter().all(|name| {
                is_safe(name) && !name.starts_with(['-', '~', ' ']) && !name.ends_with(['.', ' '])
            }) && !is_device(&decoded)
        })
}

/// Whether Windows would open a device of this name, whatever its ending.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or("").trim_end().to_ascii_uppercase();
    let numbered = |device: &str| {
        stem.strip_prefix(device).is_some_and(|number| {
            number.chars().count() == 1 && number.chars().all(char::is_numeric)
        })
    };
    matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || numbered("COM")
        || numbered("LPT")
}

/// A name as `looksee urls` may write it, percent-encoded where it must be; `None` where no file
/// should be called so.
pub(super) fn portable(name: &str) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter.is_ascii_graphic() && !matches!(letter, '?' | '%') {
            out.push(letter);
        } else {
            percent_encode(letter, &mut out);
        }
    }
    Some(out).filter(|name| is_portable(name))
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
        assert_eq!(
            to_fetch(&mut pictures, "https://x.org/e.jpg"),
            Remote { url: "https://x.org/e.jpg".into(), file: "e.jpg".into() }
        );
    }

    fn to_fetch(pictures: &mut Pictures, url: &str) -> Remote {
        match pictures.fetched(url) {
            Err(Lost::ToFetch(remote)) => remote,
            other => panic!("{url}: {other:?}"),
        }
    }

    #[test]
    fn two_urls_with_one_file_name_never_share_a_picture() {
        let folder = folder_with(&["main.jpg"]);
        let mut pictures = listed(folder.path());
        assert!(pictures.fetched("http://x.org/1/main.jpg").is_ok());
        let other = to_fetch(&mut pictures, "http://x.org/2/main.jpg");
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
            "http://x.org/%2e%2e%2fx",
            "http://x.org/-rf",
            "http://x.org/%2Drf",
            "http://x.org/~root",
            "http://x.org/CON",
            "http://x.org/com1.jpg",
            "http://x.org/nul%20.png",
            "http://x.org/a.jpg.",
            "http://x.org/a%0Ab.jpg",
            "http://x.org/%ff.jpg",
        ] {
            let file = to_fetch(&mut pictures, url).file;
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

    #[test]
    fn what_a_url_may_not_hold_is_encoded_and_a_control_character_refused() {
        for (url, expected) in [
            ("http://x.org/a b.jpg", "http://x.org/a%20b.jpg"),
            ("http://x.org/gr\u{fc}n\u{202e}.jpg", "http://x.org/gr%C3%BCn%E2%80%AE.jpg"),
            ("http://x.org/a\\b\"<>`{}|^", "http://x.org/a%5Cb%22%3C%3E%60%7B%7D%7C%5E"),
            ("http://[::1]:80/a[1-9].jpg", "http://[::1]:80/a%5B1-9%5D.jpg"),
            ("https://x.org/a%20b.jpg?w=1&h=2#t", "https://x.org/a%20b.jpg?w=1&h=2#t"),
        ] {
            assert_eq!(encoded(url).as_deref(), Ok(expected));
        }
        let mut pictures = listed(Path::new("/nowhere/at/all"));
        for url in
            ["http://x.org/a\nb", "http://x.org/a\tb", "http://x.org/\u{1b}", "http://\u{9b}"]
        {
            let Err(Lost::Refused(sentence)) = pictures.fetched(url) else { panic!("{url:?}") };
            assert!(sentence.contains("control character U+00"), "{sentence}");
        }
    }

    #[test]
    fn a_picture_is_found_under_the_name_that_is_printed_and_under_the_one_that_is_written() {
        let url = "http://x.org/gr\u{fc}n hat.jpg";
        for name in ["gr%C3%BCn%20hat.jpg", "gr\u{fc}n hat.jpg"] {
            let folder = folder_with(&[name]);
            assert_eq!(listed(folder.path()).fetched(url), Ok(folder.path().join(name)));
        }
        assert_eq!(
            to_fetch(&mut listed(Path::new("/nowhere/at/all")), url).file,
            "gr%C3%BCn%20hat.jpg"
        );
        let long = format!("http://x.org/{}.jpg", "\u{5e3d}".repeat(60));
        let name = file_name(&long).unwrap();
        let remote = to_fetch(&mut listed(Path::new("/nowhere/at/all")), &long);
        assert!(remote.file.starts_with("picture-"), "{}", remote.file);
        let folder = folder_with(&[&remote.file, name]);
        assert_eq!(listed(folder.path()).fetched(&long), Ok(folder.path().join(&remote.file)));
    }

    /// Pieces of which nasty addresses are made.
    const PIECES: [&str; 30] = [
        "a",
        ".jpg",
        "/",
        "\\",
        "..",
        ".",
        "-",
        "-rf",
        "~",
        " ",
        "\t",
        "\n",
        "\r",
        "\0",
        "\u{1b}[2J",
        "\u{9b}",
        "\u{202e}",
        "\u{2028}",
        "gr\u{fc}n",
        "%2e%2e%2f",
        "%0a",
        "%",
        "?",
        "#",
        "CON",
        "nul.",
        "$(id)",
        "'",
        "\"",
        "[1-9]",
    ];

    #[test]
    fn whatever_a_catalogue_holds_url_and_file_are_visible_and_the_file_stays_in_its_folder() {
        let mut draw = fastrand::Rng::with_seed(1);
        let mut pictures = listed(Path::new("/nowhere/at/all"));
        for _ in 0..20_000 {
            let tail: String = (0..draw.usize(0..8)).map(|_| PIECES[draw.usize(0..30)]).collect();
            let url = format!("http://{tail}");
            let remote = match pictures.fetched(&url) {
                Err(Lost::ToFetch(remote)) => remote,
                Err(Lost::Refused(_)) if url.trim().contains(char::is_control) => continue,
                other => panic!("{url:?}: {other:?}"),
            };
            let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
            assert!(visible(&remote.url) && visible(&remote.file), "{remote:?}");
            assert!(
                !remote.file.contains(['/', '\\']) && !remote.file.starts_with(['.', '-', '~'])
            );
            assert!((1..=220).contains(&remote.file.len()), "{remote:?}");
            let decoded = percent_decoded(&remote.file).unwrap();
            assert!(!decoded.starts_with(['.', '-']) && !is_device(&decoded), "{remote:?}");
        }
        for name in ["a b", "-rf", "../x", "CON", "a/b", "gr\u{fc}n", "%41", "a?b", ""] {
            if let Some(name) = portable(name) {
                assert!(is_portable(&name), "{name}");
            }
        }
        assert_eq!(portable("B0756MLWTH").as_deref(), Some("B0756MLWTH"));
        assert_eq!(portable("a b%41").as_deref(), Some("a%20b%2541"));
        assert_eq!(portable("-rf"), None);
    }
}
