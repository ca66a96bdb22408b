//! A picture, or whatever else has bytes, as a place in something.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Take};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{paths, regular, sums};
use crate::error::{Error, ErrorKind, Result};

/// Where bytes lie: a whole file, or a range of one, as a member of an archive or a cell of a table.
///
/// A value that is cheap to clone and says nothing of what the bytes are. Whoever makes one opens
/// nothing; whoever opens one gets a reader over its range alone, and only of a regular file.
///
/// ```
/// use looksee::files::Blob;
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("shop.tar");
/// # std::fs::write(&path, b"headRED SHOEtail").unwrap();
/// let shoe = Blob::part(path.as_path(), 4, 8, Some("red-shoe.jpg"))?;
/// assert_eq!(shoe.read(1 << 20)?, b"RED SHOE");
/// assert!(shoe.to_string().ends_with("shop.tar#red-shoe.jpg"));
/// // What an index keeps: below a root, so that both can be moved together.
/// let kept = shoe.to_bytes(Some(folder.path()));
/// assert_eq!(kept, b"shop.tar\x004\x008\x00red-shoe.jpg");
/// assert_eq!(Blob::from_bytes(&kept, Some(folder.path()))?, shoe);
/// # Ok::<(), looksee::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Blob {
    file: Arc<Path>,
    part: Option<Arc<Part>>,
}

/// A range of a file, which ends before 2^63.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Part {
    offset: u64,
    length: u64,
    /// What the range is called inside of the file.
    name: Option<Box<str>>,
}

/// What tells bytes from newer ones at the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// How many bytes there are.
    pub size: u64,
    /// Nanoseconds since 1970 of the file's last change.
    pub modified_ns: i64,
    /// XXH3-64 of the bytes.
    pub content: u64,
}

impl Blob {
    /// All of a file.
    pub fn whole(file: impl Into<Arc<Path>>) -> Self {
        Self { file: file.into(), part: None }
    }

    /// `length` bytes of a file from `offset` on, which may be called `name` there.
    ///
    /// Fails when no file is so long; whether this one is, opening it says.
    pub fn part(
        file: impl Into<Arc<Path>>,
        offset: u64,
        length: u64,
        name: Option<&str>,
    ) -> Result<Self> {
        let file = file.into();
        let ends = offset.checked_add(length).is_some_and(|end| i64::try_from(end).is_ok());
        if !ends {
            let message = format!("no file holds {length} bytes from byte {offset} on");
            return Err(Error::invalid(message).at_file(&file));
        }
        let part = Part { offset, length, name: name.map(Box::from) };
        Ok(Self { file, part: Some(Arc::new(part)) })
    }

    /// The file that holds the bytes, or is them.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// First byte and number of bytes; `None` for a whole file.
    pub fn range(&self) -> Option<(u64, u64)> {
        self.part.as_ref().map(|part| (part.offset, part.length))
    }

    /// What the range is called inside of its file.
    pub fn name(&self) -> Option<&str> {
        self.part.as_ref()?.name.as_deref()
    }

    /// The same place under its path from the root of the disk; what it names is not looked at.
    pub fn absolute(&self) -> Result<Self> {
        let file = std::path::absolute(&self.file)
            .map_err(|e| Error::io("cannot read", e).at_file(self.shown()))?;
        Ok(Self { file: file.into(), part: self.part.clone() })
    }

    /// A reader of these bytes and no others.
    ///
    /// Never waits: a pipe, a device and a folder are [`ErrorKind::Invalid`], and so is a range that
    /// ends beyond the file.
    pub fn open(&self) -> Result<Take<File>> {
        let mut file = regular::open(&self.file).map_err(|e| e.at_file(self.shown()))?;
        let Some(part) = &self.part else { return Ok(file.take(u64::MAX)) };
        let mut place = || {
            part.expect_within(file.metadata()?.len())?;
            file.seek(SeekFrom::Start(part.offset))
        };
        place().map_err(|e| self.cannot(e))?;
        Ok(file.take(part.length))
    }

    /// All bytes, `most` of them; more are [`ErrorKind::TooLarge`] before memory is taken for them.
    pub fn read(&self, most: u64) -> Result<Vec<u8>> {
        let Some(part) = &self.part else { return regular::read_at_most(&self.file, most) };
        if part.length > most {
            let length = part.length;
            let message = format!("it has {length} bytes; at most {most} are read here");
            return Err(Error::new(ErrorKind::TooLarge, message).at_file(self.shown()));
        }
        let mut bytes = Vec::new();
        let reader = &mut self.open()?;
        let mut read = || {
            bytes.try_reserve_exact(usize::try_from(part.length).unwrap_or(usize::MAX))?;
            reader.read_to_end(&mut bytes)?;
            // The file may have been cut short since it was opened.
            part.expect_within(part.offset + bytes.len() as u64)
        };
        read().map_err(|e| self.cannot(e))?;
        Ok(bytes)
    }

    /// XXH3-64 of the bytes, `most` of them, as in [`Stamp::content`].
    pub fn checksum(&self, most: u64) -> Result<u64> {
        Ok(sums::checksum(&self.read(most)?))
    }

    /// How many bytes there are and when their file changed; they are not read, and
    /// [`Stamp::content`] is 0.
    pub fn stamp(&self) -> Result<Stamp> {
        let about = std::fs::metadata(&self.file)
            .and_then(|about| match &self.part {
                Some(part) => part.expect_within(about.len()).map(|()| about),
                None => Ok(about),
            })
            .map_err(|e| self.cannot(e))?;
        let modified = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Ok(Stamp {
            size: self.part.as_ref().map_or(about.len(), |part| part.length),
            modified_ns: modified.map_or(0, |time| time.as_nanos() as i64),
            content: 0,
        })
    }

    /// Whether there is such a file, and it is long enough.
    pub fn is_there(&self) -> bool {
        std::fs::metadata(&self.file).is_ok_and(|about| {
            about.is_file()
                && self.part.as_ref().is_none_or(|part| part.expect_within(about.len()).is_ok())
        })
    }

    /// What an index keeps: the path, of a file below `root` the rest of it, and of a range also
    /// where it is and what it is called, all with a zero byte between them.
    ///
    /// No path has a zero byte, so that [`Blob::from_bytes`] gives the same blob again.
    pub fn to_bytes(&self, root: Option<&Path>) -> Vec<u8> {
        let below = root.and_then(|root| self.file.strip_prefix(root).ok());
        let below = below.filter(|below| !below.as_os_str().is_empty());
        let mut bytes = below.map_or_else(|| paths::to_bytes(&self.file), paths::relative_to_bytes);
        if let Some(part) = &self.part {
            bytes.extend_from_slice(format!("\0{}\0{}", part.offset, part.length).as_bytes());
            if let Some(name) = &part.name {
                bytes.push(0);
                bytes.extend_from_slice(name.as_bytes());
            }
        }
        bytes
    }

    /// The blob that [`Blob::to_bytes`] was given, with a relative path looked up below `root`.
    ///
    /// Anything but such bytes is [`ErrorKind::Corrupt`].
    pub fn from_bytes(bytes: &[u8], root: Option<&Path>) -> Result<Self> {
        let mut parts = bytes.splitn(4, |&byte| byte == 0);
        let path = paths::from_bytes(parts.next().unwrap_or_default().to_vec());
        if path.as_os_str().is_empty() {
            return Err(no_place());
        }
        let file = match root {
            // An absolute path stays what it is.
            Some(root) => root.join(path),
            None => path,
        };
        let Some(offset) = parts.next() else { return Ok(Self::whole(file)) };
        let offset = number(offset).ok_or_else(no_place)?;
        let length = parts.next().and_then(number).ok_or_else(no_place)?;
        let name = parts.next().map(std::str::from_utf8).transpose().map_err(|_| no_place())?;
        Self::part(file, offset, length, name).map_err(|_| no_place())
    }

    /// Whether bytes of [`Blob::to_bytes`] depend on where the root is.
    pub(crate) fn is_below_root(bytes: &[u8]) -> bool {
        let path = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        paths::from_bytes(path.to_vec()).is_relative()
    }

    /// The path as the system has it, and of a range what [`Blob`] displays: for other programs.
    pub fn as_shown(&self) -> Cow<'_, [u8]> {
        match &self.part {
            None => self.file.as_os_str().as_encoded_bytes().into(),
            Some(_) => self.shown().into_os_string().into_encoded_bytes().into(),
        }
    }

    /// What errors name.
    pub(crate) fn shown(&self) -> PathBuf {
        let Some(part) = &self.part else { return self.file.to_path_buf() };
        let mut shown = OsString::from(self.file.as_os_str());
        shown.push(part.to_string());
        shown.into()
    }

    fn cannot(&self, error: io::Error) -> Error {
        let error = match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::invalid(error.to_string()),
            _ => Error::io("cannot read", error),
        };
        error.at_file(self.shown())
    }
}

impl Part {
    /// An error when a file of so many bytes ends before the range does.
    fn expect_within(&self, file_bytes: u64) -> io::Result<()> {
        let end = self.offset + self.length;
        if end <= file_bytes {
            return Ok(());
        }
        let message = format!(
            "bytes {} to {end} are asked for, and the file ends after {file_bytes}; it was cut \
             short or is another one",
            self.offset
        );
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, message))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "#{name}"),
            None => write!(f, "#{}+{}", self.offset, self.length),
        }
    }
}

/// A decimal number as it is written: no sign, no zero in front.
fn number(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

fn no_place() -> Error {
    Error::new(ErrorKind::Corrupt, "this names no file and no part of one")
}

/// `shop/shoe.jpg`, `shop.tar#shoe.jpg`, or `shop.parquet#4096+8192` for a range without a name.
impl fmt::Display for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        self.part.as_ref().map_or(Ok(()), |part| part.fmt(f))
    }
}

impl From<PathBuf> for Blob {
    fn from(file: PathBuf) -> Self {
        Self::whole(file)
    }
}

impl From<&Path> for Blob {
    fn from(file: &Path) -> Self {
        Self::whole(file)
    }
}

impl From<&PathBuf> for Blob {
    fn from(file: &PathBuf) -> Self {
        Self::whole(file.as_path())
    }
}

impl From<&str> for Blob {
    fn from(file: &str) -> Self {
        Self::whole(Path::new(file))
    }
}

impl From<String> for Blob {
    fn from(file: String) -> Self {
        Self::whole(PathBuf::from(file))
    }
}

/// A blob in JSON: a text for a whole file, an object for a range. What is no Unicode in a path is
/// replaced.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written<'a> {
    Whole(Cow<'a, str>),
    Part {
        file: Cow<'a, str>,
        offset: u64,
        length: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<Cow<'a, str>>,
    },
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let file = self.file.to_string_lossy();
        match &self.part {
            None => Written::Whole(file),
            Some(part) => Written::Part {
                file,
                offset: part.offset,
                length: part.length,
                name: part.name.as_deref().map(Cow::from),
            },
        }
        .serialize(to)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Written::deserialize(from)? {
            Written::Whole(file) => Ok(file.into_owned().into()),
            Written::Part { file, offset, length, name } => {
                Self::part(Path::new(&*file), offset, length, name.as_deref())
                    .map_err(D::Error::custom)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Seed;

    fn file_with(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.tar");
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn a_reader_gives_the_range_and_nothing_around_it() {
        let (_folder, path) = file_with(b"before, within, after");
        let whole = Blob::from(&path);
        assert_eq!(whole.read(1000).unwrap(), b"before, within, after");
        let part = Blob::part(path.as_path(), 8, 6, None).unwrap();
        let mut read = String::new();
        part.open().unwrap().read_to_string(&mut read).unwrap();
        assert_eq!((read.as_str(), part.read(6).unwrap().as_slice()), ("within", &b"within"[..]));
        assert_eq!(part.checksum(6).unwrap(), sums::checksum(b"within"));
        let empty = Blob::part(path.as_path(), 21, 0, None).unwrap();
        assert_eq!(empty.read(0).unwrap(), b"");
        assert!(part.is_there() && whole.is_there() && empty.is_there());
    }

    #[test]
    fn a_range_beyond_the_end_is_an_error_that_says_so() {
        let (_folder, path) = file_with(b"0123456789");
        let part = Blob::part(path.as_path(), 5, 6, Some("a.jpg")).unwrap();
        for error in [
            part.open().unwrap_err(),
            part.read(100).unwrap_err(),
            part.stamp().unwrap_err(),
            part.checksum(100).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            let sentence = format!(
                "{}#a.jpg: bytes 5 to 11 are asked for, and the file ends after 10; it was cut \
                 short or is another one",
                path.display()
            );
            assert_eq!(error.to_string(), sentence);
        }
        assert!(!part.is_there());
        assert!(Blob::part(path.as_path(), u64::MAX, 2, None).is_err());
        assert!(Blob::part(path.as_path(), 1 << 63, 0, None).is_err());
    }

    #[test]
    fn a_range_beyond_its_bound_is_refused_before_memory_is_taken() {
        let (_folder, path) = file_with(b"short");
        let long = Blob::part(path.as_path(), 0, 1 << 60, None).unwrap();
        assert_eq!(long.read(1000).unwrap_err().kind(), ErrorKind::TooLarge);
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_and_a_device_are_no_place_for_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [pipe.as_path(), Path::new("/dev/zero"), folder.path()] {
            for blob in [Blob::whole(path), Blob::part(path, 0, 1, None).unwrap()] {
                assert_eq!(blob.open().unwrap_err().kind(), ErrorKind::Invalid, "{blob}");
                assert_eq!(blob.read(10).unwrap_err().kind(), ErrorKind::Invalid, "{blob}");
                assert!(!blob.is_there(), "{blob}");
            }
        }
        let absent = Blob::from(folder.path().join("none"));
        assert_eq!(absent.read(10).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(absent.stamp().unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_stamp_has_the_size_of_the_range_and_the_time_of_the_file() {
        let (_folder, path) = file_with(b"0123456789");
        let whole = Blob::from(&path).stamp().unwrap();
        let part = Blob::part(path.as_path(), 2, 3, None).unwrap().stamp().unwrap();
        assert_eq!((whole.size, part.size), (10, 3));
        assert_eq!(whole.modified_ns, part.modified_ns);
        assert!(whole.modified_ns > 0);
    }

    #[test]
    fn what_a_person_sees_is_the_path_and_the_name_inside() {
        let whole = Blob::from("shop/a.jpg");
        let named = Blob::part(Path::new("shop.tar"), 512, 9, Some("b/a.jpg")).unwrap();
        let bare = Blob::part(Path::new("shop.parquet"), 512, 9, None).unwrap();
        let shown = [&whole, &named, &bare].map(ToString::to_string);
        assert_eq!(shown, ["shop/a.jpg", "shop.tar#b/a.jpg", "shop.parquet#512+9"]);
        for blob in [whole, named, bare] {
            assert_eq!(blob.as_shown(), blob.to_string().as_bytes());
            assert_eq!(blob.shown(), Path::new(&blob.to_string()));
        }
    }

    #[test]
    fn in_json_a_whole_file_is_its_path() {
        let whole = Blob::from("/shop/a.jpg");
        assert_eq!(serde_json::to_string(&whole).unwrap(), "\"/shop/a.jpg\"");
        let part = Blob::part(Path::new("/shop.tar"), 512, 9, Some("a.jpg")).unwrap();
        let text = serde_json::to_string(&part).unwrap();
        assert_eq!(text, r#"{"file":"/shop.tar","offset":512,"length":9,"name":"a.jpg"}"#);
        for blob in [whole, part] {
            let text = serde_json::to_string(&blob).unwrap();
            assert_eq!(serde_json::from_str::<Blob>(&text).unwrap(), blob);
        }
        let too_far = r#"{"file":"/a","offset":18446744073709551615,"length":9}"#;
        assert!(serde_json::from_str::<Blob>(too_far).is_err());
    }

    /// A path of odd names, absolute or not, without a zero byte.
    fn any_path(chance: &mut fastrand::Rng) -> PathBuf {
        let mut bytes = if chance.bool() { b"/".to_vec() } else { Vec::new() };
        for place in 0..chance.usize(1..5) {
            if place > 0 {
                bytes.push(b'/');
            }
            let names: [&[u8]; 7] =
                [b"a", b"b c", b"..", b"\xFF\xFE", b"#1+2", "größe".as_bytes(), b"-\n"];
            bytes.extend_from_slice(names[chance.usize(..names.len())]);
        }
        paths::from_bytes(bytes)
    }

    fn any_blob(chance: &mut fastrand::Rng) -> Blob {
        let file = any_path(chance);
        if chance.bool() {
            return Blob::from(file);
        }
        let names = [None, Some(""), Some("a/b.jpg"), Some("with\0zero"), Some("größe")];
        let bits = chance.u32(0..62);
        let (offset, length) = (chance.u64(..1 << bits), chance.u64(..1 << 20));
        Blob::part(file, offset, length, names[chance.usize(..names.len())]).unwrap()
    }

    #[cfg(unix)]
    #[test]
    fn whatever_a_blob_is_it_comes_back_from_its_bytes() {
        let mut chance = Seed(17).stream("blobs", 0);
        let roots = [None, Some(Path::new("/")), Some(Path::new("/a")), Some(Path::new("/a/b c"))];
        for _ in 0..20_000 {
            let blob = any_blob(&mut chance);
            let root = roots[chance.usize(..roots.len())];
            if root.is_some() && blob.path().is_relative() {
                continue;
            }
            let bytes = blob.to_bytes(root);
            assert_eq!(Blob::from_bytes(&bytes, root).unwrap(), blob, "{bytes:?} below {root:?}");
            let below =
                root.is_some_and(|root| blob.path() != root && blob.path().starts_with(root));
            assert_eq!(Blob::is_below_root(&bytes), below || blob.path().is_relative(), "{blob}");
        }
    }

    #[test]
    fn a_blob_below_its_root_moves_with_it_and_another_stays() {
        let (old, new) = (Path::new("/old/shop"), Path::new("/new place"));
        for (path, moved) in [
            ("/old/shop/pictures/a.jpg", "/new place/pictures/a.jpg"),
            ("/old/shopping/a.jpg", "/old/shopping/a.jpg"),
            ("/elsewhere/a.jpg", "/elsewhere/a.jpg"),
        ] {
            let part = Blob::part(Path::new(path), 1, 2, Some("x")).unwrap();
            for blob in [Blob::from(path), part] {
                let there = Blob::from_bytes(&blob.to_bytes(Some(old)), Some(new)).unwrap();
                assert_eq!((there.path(), there.range()), (Path::new(moved), blob.range()));
                assert_eq!(there.to_bytes(Some(new)), blob.to_bytes(Some(old)));
            }
        }
    }

    #[test]
    fn bytes_that_no_blob_gave_are_refused() {
        for bytes in [
            &b""[..],
            b"\0",
            b"\x000\x001",
            b"a.tar\0",
            b"a.tar\x001",
            b"a.tar\x001\0",
            b"a.tar\x00-1\x001",
            b"a.tar\x00+1\x001",
            b"a.tar\x0001\x001",
            b"a.tar\x00 1\x001",
            b"a.tar\x001\x001x",
            b"a.tar\x001\x00\xEF\xBC\x91",
            b"a.tar\x0018446744073709551615\x001",
            b"a.tar\x0018446744073709551616\x001",
            b"a.tar\x009223372036854775807\x001",
            b"a.tar\x001\x001\0\xFF",
        ] {
            for root in [None, Some(Path::new("/shop"))] {
                let error = Blob::from_bytes(bytes, root).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{bytes:?}");
            }
        }
    }
}
