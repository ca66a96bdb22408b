//! Files, folders and links of somebody else's in the folders that looksee writes: after every
//! command they are as they were.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::super::folders;
use super::super::program::End;
use super::super::run::Run;
use super::super::say;
use super::super::works::Work;
use crate::steps::Result;

/// Names that somebody's own files may have: harmless ones, and those that looksee uses too.
const NAMES: [&str; 27] = [
    "notes.txt",
    "photo.jpg",
    ".lock",
    "index.sqlite",
    "index.sqlite-wal",
    "index.sqlite-journal",
    ".index.sqlite.tmp",
    ".index.sqlite.tmp-wal",
    "skipped.jsonl",
    ".skipped.jsonl.4711.tmp",
    "segments/clip1.mp4",
    "segments/000001.vectors",
    "segments/000099.vectors",
    "segments/.000002.vectors.4711.tmp",
    "segments/album/photo.jpg",
    "model/diary.txt",
    "model/model.toml",
    "model/weights.safetensors",
    ".model.tmp/photo.jpg",
    "model.toml",
    "weights.safetensors",
    ".weights.safetensors.4711.tmp",
    "vocabulary.json",
    "log.jsonl",
    "checkpoints/last.safetensors",
    "checkpoints/.last.safetensors.4711.tmp",
    "cache-0123456789abcdef.pixels",
];
/// Names under which a link may lead to somebody's files: single files, then folders.
const LINKS_TO_FILES: [&str; 6] =
    [".lock", "index.sqlite", "log.jsonl", "skipped.jsonl", "weights.safetensors", "model.toml"];
const LINKS_TO_FOLDERS: [&str; 4] = ["segments", "model", "checkpoints", ".model.tmp"];

/// One to three of them, then a work, twice.
pub(super) fn files(run: &mut Run<'_>) -> Result<()> {
    let work = *run.chance.pick(&Work::ALL);
    let out = run.out();
    run.start(work, &out)?;
    std::fs::create_dir_all(&out).map_err(say("cannot make a folder", &out))?;
    let mut placed = Vec::new();
    for _ in 0..=run.chance.below(3) {
        place(run, &out, &mut placed)?;
    }
    let names: Vec<String> = placed.iter().map(|p| p.name.clone()).collect();
    let what = format!("{work:?} beside {}", names.join(", "));
    run.note(&what);
    for _ in 0..2 {
        let words = work.words(run.world, &out);
        let end = run.end(&words).map_err(|error| format!("{what}: {error}"))?;
        let said = if end == End::Done { "and ended well" } else { "and refused" };
        for placed in &placed {
            placed.is_untouched().map_err(|error| format!("{what}: {error}, {said}"))?;
        }
        if end == End::Done
            && !work.learns()
            && let Some(sentence) = run.check(&out)?
        {
            return Err(format!("{what}: it ended well, but check: {sentence}"));
        }
    }
    Ok(())
}

/// Something of somebody else's.
#[derive(Debug)]
struct Placed {
    name: String,
    /// The link, where it is one, and where it leads.
    link: Option<(PathBuf, PathBuf)>,
    /// Files and what must be in them.
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Placed {
    fn is_untouched(&self) -> Result<()> {
        if let Some((link, target)) = &self.link
            && std::fs::read_link(link).ok().as_ref() != Some(target)
        {
            return Err(format!("the link {} is gone or leads elsewhere", self.name));
        }
        for (path, expected) in &self.files {
            match std::fs::read(path) {
                Ok(found) if &found == expected => {}
                Ok(found) => {
                    let lengths = format!("{} bytes of {}", found.len(), expected.len());
                    return Err(format!("somebody's {} was changed: {lengths}", path.display()));
                }
                Err(_) => return Err(format!("somebody's {} was deleted", path.display())),
            }
        }
        Ok(())
    }
}

/// Puts one thing there, where nothing of this name is yet.
fn place(run: &mut Run<'_>, out: &Path, placed: &mut Vec<Placed>) -> Result<()> {
    let precious = run.folder.join(format!("precious-{}", placed.len()));
    std::fs::create_dir_all(&precious).map_err(say("cannot make a folder", &precious))?;
    let thing = match run.chance.below(5) {
        0 => link_to_file(run, out, &precious)?,
        1 => link_to_folder(run, out, &precious)?,
        _ => file(run, out)?,
    };
    placed.extend(thing);
    Ok(())
}

fn file(run: &mut Run<'_>, out: &Path) -> Result<Option<Placed>> {
    let name = *run.chance.pick(&NAMES);
    let path = out.join(name);
    // SQLite itself takes the log that stands beside a database for the database's own.
    let is_log_of_ours = name.starts_with("index.sqlite-") && out.join("index.sqlite").exists();
    let folder = path.parent().unwrap_or(out);
    if is_log_of_ours || path.symlink_metadata().is_ok() || std::fs::create_dir_all(folder).is_err()
    {
        return Ok(None);
    }
    let bytes = somebodys(run);
    std::fs::write(&path, &bytes).map_err(say("cannot write", &path))?;
    Ok(Some(Placed { name: name.to_owned(), link: None, files: vec![(path, bytes)] }))
}

fn link_to_file(run: &mut Run<'_>, out: &Path, precious: &Path) -> Result<Option<Placed>> {
    let name = *run.chance.pick(&LINKS_TO_FILES);
    let (link, target) = (out.join(name), precious.join("thesis.txt"));
    if link.symlink_metadata().is_ok() {
        return Ok(None);
    }
    let bytes = somebodys(run);
    std::fs::write(&target, &bytes).map_err(say("cannot write", &target))?;
    linked(name, link, target.clone(), vec![(target, bytes)])
}

/// A link to a folder with somebody's file; what stood there before moves into that folder.
fn link_to_folder(run: &mut Run<'_>, out: &Path, precious: &Path) -> Result<Option<Placed>> {
    let name = *run.chance.pick(&LINKS_TO_FOLDERS);
    let (link, target) = (out.join(name), precious.join("folder"));
    if link.is_symlink() || (link.exists() && std::fs::rename(&link, &target).is_err()) {
        return Ok(None);
    }
    std::fs::create_dir_all(&target).map_err(say("cannot make a folder", &target))?;
    let path = target.join("thesis.txt");
    std::fs::write(&path, somebodys(run)).map_err(say("cannot write", &path))?;
    let mut files = Vec::new();
    for path in folders::list(&target)? {
        let bytes = std::fs::read(&path).map_err(say("cannot read", &path))?;
        files.push((path, bytes));
    }
    linked(name, link, target, files)
}

fn linked(
    name: &str,
    link: PathBuf,
    target: PathBuf,
    files: Vec<(PathBuf, Vec<u8>)>,
) -> Result<Option<Placed>> {
    symlink(&target, &link).map_err(say("cannot link", &link))?;
    let name = format!("the link {name}");
    Ok(Some(Placed { name, link: Some((link, target)), files }))
}

/// Bytes that looksee never writes.
fn somebodys(run: &mut Run<'_>) -> Vec<u8> {
    "a line of years of work\n".repeat(1 + run.chance.below(400)).into_bytes()
}
