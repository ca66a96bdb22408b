//! What is ours in a folder, and the right to change it.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::regular::{FileKind, kind, without_waiting};
use super::whole::{self, make_folder};
use crate::error::{Error, ErrorKind, Fact, Result};

/// The right to write into a folder; released when dropped, also when the process is killed.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock of `folder`, or says that another process writes there.
    ///
    /// The lock is the file `.lock`. Its content is never touched, and a link of that name is
    /// refused: whoever sent the folder must not choose which file is opened for writing.
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(".lock");
        refuse_other_than_file(&path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = not_following(&mut options)
            .open(&path)
            .map_err(|e| Error::io("cannot write into the folder", e).at_file(folder))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => Err(Error::new(
                ErrorKind::Io,
                "another looksee is writing here; wait for it to end and try again",
            )
            .with_fact(Fact::Busy)
            .at_file(folder)),
            Err(std::fs::TryLockError::Error(e)) => {
                Err(Error::io("cannot lock the folder", e).at_file(folder))
            }
        }
    }
}

/// An error when `path` itself is a symbolic link.
pub fn refuse_link(path: &Path) -> Result<()> {
    match kind(path)? {
        FileKind::Link => Err(link(path)),
        _ => Ok(()),
    }
}

/// Makes `path`, a folder inside of a folder of ours, unless it is there; a link or a file of this
/// name is refused.
pub fn make_own_folder(path: &Path) -> Result<()> {
    match kind(path)? {
        FileKind::Absent => make_folder(path),
        FileKind::Folder => Ok(()),
        FileKind::Link => Err(link(path)),
        FileKind::File | FileKind::Special => Err(Error::invalid(
            "this is a file, and looksee keeps a folder of this name; move it away",
        )
        .at_file(path)),
    }
}

/// Folders that were made for what a run writes, to be taken away when it comes to nothing.
#[derive(Debug, Default)]
pub struct Made(Vec<PathBuf>);

impl Made {
    /// Makes `path` and its parents and remembers which of them were not there.
    pub fn folder(path: &Path) -> Result<Self> {
        let absent = path.ancestors().take_while(|folder| {
            !folder.as_os_str().is_empty() && kind(folder).ok() == Some(FileKind::Absent)
        });
        let made = Self(absent.map(Path::to_path_buf).collect());
        make_folder(path).inspect_err(|_| made.undo())?;
        Ok(made)
    }

    /// Takes the folders away again that this made, the innermost first, as far as they are empty.
    pub fn undo(&self) {
        for folder in &self.0 {
            // Refused by the system where something is in it: then it is somebody's.
            if std::fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }
}

/// Whether systems put files or folders of this name into folders unasked: in nobody's way, and
/// never touched.
pub fn is_of_the_system(name: &str) -> bool {
    matches!(name, ".DS_Store" | ".directory" | "Thumbs.db" | "lost+found")
}

/// Removes a regular file that [`begins`] so; anything else stays. Whether it is gone.
///
/// The caller answers for the name. An empty beginning fits every file.
pub fn remove_own(path: &Path, beginning: Beginning, cut: Cut) -> bool {
    begins(path, beginning, cut) && fs_err::remove_file(path).is_ok()
}

/// What a file of ours begins with, after so many bytes that differ from file to file.
pub type Beginning = (usize, &'static [u8]);

/// How much of its beginning a file may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing.
    Nowhere,
    /// Nothing, unless the file is empty: then there is nothing to lose.
    Empty,
    /// It may end within its beginning, or have zeros there because that is written last, as what a
    /// crash leaves does.
    Anywhere,
}

/// Whether `path` is a regular file, and no link to one, that begins so.
pub fn begins(path: &Path, (skipped, beginning): Beginning, cut: Cut) -> bool {
    if kind(path).ok() != Some(FileKind::File) {
        return false;
    }
    let Ok(file) = not_following(OpenOptions::new().read(true)).open(path) else { return false };
    let mut found = Vec::with_capacity(skipped + beginning.len());
    if file.take((skipped + beginning.len()) as u64).read_to_end(&mut found).is_err() {
        return false;
    }
    let known = found.get(skipped..).unwrap_or_default();
    let whole = found.len() >= skipped && known == beginning;
    match cut {
        Cut::Nowhere => whole,
        Cut::Empty => whole || found.is_empty(),
        Cut::Anywhere => beginning.starts_with(known) || found.iter().all(|&byte| byte == 0),
    }
}

/// Whether `path` is what a killed [`replace`](super::replace) left of a file whose name `ours`
/// knows: `ours` answers with what such a file begins with.
pub fn is_left_over(path: &Path, ours: impl Fn(&str) -> Option<Beginning>) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    whole::name_of_temporary(name)
        .and_then(ours)
        .is_some_and(|beginning| begins(path, beginning, Cut::Anywhere))
}

/// Removes what killed runs left half-written in `folder`, see [`is_left_over`]. Call it under the
/// folder's lock: then nobody is writing these.
pub fn tidy(folder: &Path, ours: impl Fn(&str) -> Option<Beginning>) {
    let Ok(entries) = fs_err::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if is_left_over(&path, &ours) {
            // One that cannot be removed is no trouble: it has no name that is read.
            let _ = fs_err::remove_file(path);
        }
    }
}

fn refuse_other_than_file(path: &Path) -> Result<()> {
    match kind(path)? {
        FileKind::Absent | FileKind::File => Ok(()),
        FileKind::Link => Err(link(path)),
        FileKind::Folder | FileKind::Special => Err(Error::invalid(
            "this is not a regular file, and looksee keeps one of this name; move it away",
        )
        .at_file(path)),
    }
}

fn link(path: &Path) -> Error {
    Error::invalid(
        "this is a symbolic link, and looksee writes through none: what it leads to may be \
         somebody else's; put the file or folder itself here",
    )
    .at_file(path)
}

#[cfg(unix)]
fn not_following(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    without_waiting(options).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
}

/// Elsewhere the look at the name before has to do.
#[cfg(not(unix))]
fn not_following(options: &mut OpenOptions) -> &mut OpenOptions {
    without_waiting(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_refused_until_the_first_ends() {
        let folder = tempfile::tempdir().unwrap();
        let first = FolderLock::take(folder.path()).unwrap();
        assert!(FolderLock::take(folder.path()).is_err());
        drop(first);
        assert!(FolderLock::take(folder.path()).is_ok());
    }

    #[test]
    fn a_lock_leaves_the_content_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".lock"), "mine").unwrap();
        drop(FolderLock::take(folder.path()).unwrap());
        assert_eq!(std::fs::read(folder.path().join(".lock")).unwrap(), b"mine");
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_that_is_a_link_is_refused_and_what_it_leads_to_is_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let precious = folder.path().join("precious");
        std::fs::write(&precious, "years of work").unwrap();
        let output = folder.path().join("output");
        std::fs::create_dir(&output).unwrap();
        std::os::unix::fs::symlink("../precious", output.join(".lock")).unwrap();
        let error = FolderLock::take(&output).unwrap_err().to_string();
        assert!(error.contains("symbolic link"), "{error}");
        assert_eq!(std::fs::read(&precious).unwrap(), b"years of work");
    }

    #[cfg(unix)]
    #[test]
    fn only_a_regular_file_with_our_beginning_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("ours"), "MAGIC and more").unwrap();
        std::fs::write(path("theirs"), "a diary").unwrap();
        std::fs::write(path("short"), "MAG").unwrap();
        std::os::unix::fs::symlink("ours", path("link")).unwrap();
        std::fs::create_dir(path("folder")).unwrap();
        for name in ["theirs", "short", "link", "folder", "absent"] {
            assert!(!remove_own(&path(name), (0, b"MAGIC"), Cut::Nowhere), "{name}");
        }
        assert!(remove_own(&path("ours"), (0, b"MAGIC"), Cut::Nowhere));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
    }

    #[test]
    fn how_much_of_its_beginning_a_file_may_lack_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let all = [Cut::Nowhere, Cut::Empty, Cut::Anywhere];
        for (content, expected) in [
            (&b"12MAGIC and more"[..], [true, true, true]),
            (b"..MAGIC", [true, true, true]),
            (b"..MAG", [false, false, true]),
            (b".", [false, false, true]),
            (b"", [false, true, true]),
            (b"\0\0\0\0\0\0\0\0", [false, false, true]),
            (b"..magic", [false, false, false]),
            (b"MAGIC..", [false, false, false]),
        ] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(all.map(|cut| begins(&path, (2, b"MAGIC"), cut)), expected, "{content:?}");
        }
        assert!(!begins(folder.path(), (0, b""), Cut::Anywhere));
    }

    #[test]
    fn folders_are_taken_away_again_as_far_as_they_were_made_and_are_empty() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("kept");
        std::fs::create_dir(&kept).unwrap();
        Made::folder(&kept.join("a/b/c")).unwrap().undo();
        assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 0);
        Made::folder(&kept).unwrap().undo();
        assert!(kept.is_dir(), "it was there before");
        let made = Made::folder(&kept.join("a/b")).unwrap();
        std::fs::write(kept.join("a/diary"), "mine").unwrap();
        made.undo();
        assert!(kept.join("a/diary").is_file() && !kept.join("a/b").exists());
        assert!(Made::folder(&kept.join("a/diary/c/d")).is_err());
    }

    #[test]
    fn what_a_killed_write_left_is_tidied_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let stay =
            [".notes.12.tmp", ".weights.12.tmp", ".weights.x.tmp", ".weights..tmp", "weights"];
        let go = [".weights.4711.tmp", ".weights.1.tmp", ".weights.2.tmp"];
        for (name, content) in stay.iter().map(|name| (name, "a diary")).chain([
            (&go[0], "MAGIC and"),
            (&go[1], "MA"),
            (&go[2], "\0\0\0\0\0\0"),
        ]) {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        tidy(folder.path(), |name| (name == "weights").then_some((0, b"MAGIC".as_slice())));
        let mut left: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let mut stay = stay.map(str::to_owned);
        stay.sort();
        assert_eq!(left, stay);
    }
}
