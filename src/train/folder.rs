//! What lies in the output folder of a run, and whether the run may begin there.
//!
//! A folder is ours when it holds a model or a checkpoint of looksee, or nothing but what a run
//! leaves before its first checkpoint. Everything else is somebody's, and refused before any work:
//! a name such as `weights.safetensors` or `log.jsonl` proves nothing.

use std::path::{Path, PathBuf};

use super::{Job, Report, checkpoint, features, log};
use crate::encoder::folder as model;
use crate::error::{Error, ErrorKind, Fact, Result};
use crate::files::{self, Cut, FileKind, FolderLock, Made};
use crate::images;

/// The list of what was left out, which the command line writes here when a run has ended.
const SKIPPED: &str = "skipped.jsonl";
/// What the description of a model begins with.
const CARD_BEGINS_WITH: files::Beginning = (0, b"format = ");
/// What a checkpoint begins with, after the length of its header.
const CHECKPOINT_BEGINS_WITH: files::Beginning = (8, b"{\"__metadata__\":");

/// What of looksee's lies in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing: no folder, or an empty one.
    Nothing,
    /// What comes before a run's first checkpoint.
    Preparation,
    /// A model, and no checkpoint.
    Model,
    /// A checkpoint, with a model or not yet.
    Checkpoint,
}

/// Whether the job may begin in its folder, and where it begins. Changes nothing.
pub(super) fn admit(job: &Job) -> Result<Found> {
    let found = look(&job.output)?;
    match (found, job.resume) {
        (Found::Nothing, true) => {
            Err(Error::new(ErrorKind::NotFound, "there is no interrupted run to go on with here")
                .with_fact(Fact::NoRun)
                .at_file(&job.output))
        }
        (Found::Model | Found::Checkpoint, false) => {
            Err(Error::invalid("there is a model or an interrupted run here already")
                .with_fact(Fact::RunIsThere)
                .at_file(&job.output))
        }
        _ => Ok(found),
    }
}

/// Refuses pretrained weights that lie in the output folder, whose files come and go.
pub(super) fn refuse_weights_inside(job: &Job) -> Result<()> {
    let Some(weights) = &job.weights else { return Ok(()) };
    let (Ok(folder), Ok(file)) = (job.output.canonicalize(), weights.canonicalize()) else {
        return Ok(());
    };
    if !file.starts_with(&folder) {
        return Ok(());
    }
    Err(Error::invalid(
        "the pretrained weights lie in the folder that the model is to be written to; move them \
         elsewhere, or choose another folder",
    )
    .at_file(weights))
}

/// Takes away what a run that failed has made in a folder in which nothing was, and the folder, unless
/// there is something to go on from: a checkpoint, a model, or decoded pictures for a run that was
/// interrupted.
pub(super) fn discard(job: &Job, found: Found, made: &Made, error: &Error) {
    let folder = &job.output;
    if found != Found::Nothing || !matches!(look(folder), Ok(Found::Nothing | Found::Preparation)) {
        return;
    }
    // Nobody else may be writing here: whoever took the lock before us is.
    let Ok(lock) = FolderLock::take(folder) else { return };
    let Ok(paths) = entries(folder) else { return };
    if error.kind() == ErrorKind::Interrupted && paths.iter().any(|path| is_cache(path)) {
        return;
    }
    for path in paths {
        if path.file_name().is_some_and(|name| name == checkpoint::FOLDER) {
            files::tidy(&path, beginning_of_checkpoint);
            let _ = std::fs::remove_dir(path);
        } else if is_preparation(&path) {
            files::remove_own(&path, (0, b""), Cut::Nowhere);
        }
    }
    drop(lock);
    made.undo();
}

fn is_cache(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    beginning_of_cache(name).is_some()
}

/// What a file called `name` begins with when it keeps what was made of the pictures.
fn beginning_of_cache(name: &str) -> Option<&'static [u8]> {
    images::beginning_of_cache(name).or_else(|| features::beginning_of(name))
}

/// Takes away what killed runs left half-written. Call it under the folder's lock.
pub(super) fn tidy(folder: &Path) {
    model::tidy(folder);
    files::tidy(folder, beginning_of);
    files::tidy(&folder.join(checkpoint::FOLDER), beginning_of_checkpoint);
}

/// What a half-written file of a run begins with, the model's own not among them.
fn beginning_of(name: &str) -> Option<files::Beginning> {
    match name {
        log::NAME | SKIPPED => Some((0, b"{\"")),
        Report::FILE => Some((0, Report::BEGINNING.as_bytes())),
        _ => beginning_of_cache(name).map(|magic| (0, magic)),
    }
}

fn beginning_of_checkpoint(name: &str) -> Option<files::Beginning> {
    (name == checkpoint::LAST).then_some(CHECKPOINT_BEGINS_WITH)
}

/// What of looksee's lies in `folder`; anything that is not, where nothing proves the folder to be
/// ours, is an error, and so is a link or a device with a name of ours.
fn look(folder: &Path) -> Result<Found> {
    match std::fs::metadata(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(e) => return Err(Error::io("cannot look into the folder", e).at_file(folder)),
        Ok(about) if !about.is_dir() => {
            let what = "this is a file, and a folder is needed here; name another";
            return Err(Error::invalid(what).at_file(folder));
        }
        Ok(_) => {}
    }
    refuse_links(folder)?;
    let entries = entries(folder)?;
    let last = folder.join(checkpoint::FOLDER).join(checkpoint::LAST);
    let has_checkpoint = files::kind(&last)? == FileKind::File;
    let has_model = files::begins(&folder.join("model.toml"), CARD_BEGINS_WITH, Cut::Nowhere);
    let is_ours =
        has_model || (has_checkpoint && files::begins(&last, CHECKPOINT_BEGINS_WITH, Cut::Nowhere));
    if !is_ours && let Some(foreign) = entries.iter().find(|path| !is_preparation(path)) {
        return Err(Error::invalid(
            "this is not looksee's, and a model is written only into a new or an empty folder; \
             choose another folder",
        )
        .at_file(foreign));
    }
    Ok(match (has_checkpoint, has_model) {
        (true, _) => Found::Checkpoint,
        (false, true) => Found::Model,
        (false, false) if entries.is_empty() => Found::Nothing,
        (false, false) => Found::Preparation,
    })
}

/// Every entry of `folder` in the order of their names, without what systems put everywhere.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot = |e| Error::io("cannot look into the folder", e).at_file(folder);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        if !files::is_of_the_system(&entry.file_name().to_string_lossy()) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Refuses names that a run writes where they are not what a run makes of them.
fn refuse_links(folder: &Path) -> Result<()> {
    let checkpoints = folder.join(checkpoint::FOLDER);
    for path in ["model.toml", ".lock", log::NAME, SKIPPED, Report::FILE]
        .map(|name| folder.join(name))
        .into_iter()
        .chain([checkpoints.join(checkpoint::LAST)])
    {
        files::refuse_link(&path)?;
        if let FileKind::Special | FileKind::Folder = files::kind(&path)? {
            let what = "this is no regular file, and looksee keeps one of this name; move it away";
            return Err(Error::invalid(what).at_file(path));
        }
    }
    files::refuse_link(&checkpoints)
}

/// Whether a run leaves this before its first checkpoint.
fn is_preparation(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match name {
        // A lock that is no file was refused before.
        ".lock" => true,
        checkpoint::FOLDER => is_folder_of_checkpoints(path),
        log::NAME => {
            log::BEGINNINGS.iter().any(|known| files::begins(path, (0, known), Cut::Empty))
        }
        // Of a model that somebody took away.
        Report::FILE => files::begins(path, (0, Report::BEGINNING.as_bytes()), Cut::Nowhere),
        "model.toml" => std::fs::symlink_metadata(path).is_ok_and(|about| about.len() == 0),
        _ => match beginning_of_cache(name) {
            Some(magic) => files::begins(path, (0, magic), Cut::Nowhere),
            None => is_half_a_model(path) || files::is_left_over(path, beginning_of),
        },
    }
}

/// Weights or a vocabulary that no `model.toml` names yet, or a half-written file of a model.
fn is_half_a_model(path: &Path) -> bool {
    (model::has_name_by_content(path) && model::is_own(path))
        || files::is_left_over(path, model::beginning_of)
}

fn is_folder_of_checkpoints(path: &Path) -> bool {
    let is_one = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name == checkpoint::LAST)
            || files::is_left_over(path, beginning_of_checkpoint)
    };
    files::kind(path).is_ok_and(|kind| kind == FileKind::Folder)
        && entries(path).is_ok_and(|paths| paths.iter().all(is_one))
}

#[cfg(test)]
mod tests;
