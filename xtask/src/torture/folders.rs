//! Folders: copied, listed, compared, and hurt.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::chance::Chance;
use super::say;
use crate::steps::Result;

/// The files below a folder, their paths relative to it, and what is in them.
pub(super) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Copies a folder with everything in it.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).map_err(say("cannot make a folder", to))?;
    for (entry, is_folder) in entries(from)? {
        let name = entry.file_name().unwrap_or_default();
        if is_folder {
            copy(&entry, &to.join(name))?;
        } else {
            std::fs::copy(&entry, to.join(name)).map_err(say("cannot copy", &entry))?;
        }
    }
    Ok(())
}

/// The regular files below `folder`, as paths, in order.
pub(super) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for (entry, is_folder) in entries(folder)? {
        if is_folder {
            files.extend(list(&entry)?);
        } else if entry.is_file() {
            files.push(entry);
        }
    }
    files.sort();
    Ok(files)
}

/// What is directly in a folder, each with whether it is a folder itself (a link is none).
fn entries(folder: &Path) -> Result<Vec<(PathBuf, bool)>> {
    let read = std::fs::read_dir(folder).map_err(say("cannot list", folder))?;
    let entry = |entry: std::fs::DirEntry| {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        (entry.path(), is_folder)
    };
    Ok(read.flatten().map(entry).collect())
}

/// Bytes of all files below `folder`.
pub(super) fn size(folder: &Path) -> Result<u64> {
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |about| about.len());
    Ok(list(folder)?.iter().map(size).sum())
}

/// The files that make the model in `folder`, wherever it stands: its description, its weights and
/// its vocabulary under whatever names.
pub(super) fn model(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    for path in list(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_part =
            name == "model.toml" || name.starts_with("weights") || name.starts_with("vocabulary");
        if is_part && path.parent() == Some(folder) {
            let bytes = std::fs::read(&path).map_err(say("cannot read", &path))?;
            files.insert(name.into(), bytes);
        }
    }
    Ok(files)
}

/// What killed runs left half-written anywhere below `folder`.
pub(super) fn left_overs(folder: &Path) -> Result<Vec<PathBuf>> {
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_left = |path: &PathBuf| name(path).starts_with('.') && name(path).contains(".tmp");
    Ok(list(folder)?.into_iter().filter(is_left).collect())
}

/// How a file was hurt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Harm {
    Flipped {
        byte: usize,
        bit: u8,
    },
    Cut {
        to: usize,
    },
    Zeroed {
        from: usize,
        length: usize,
    },
    Removed,
    /// The same bytes as before: there was nothing to hurt.
    None,
}

/// Hurts a file by chance.
pub(super) fn hurt(path: &Path, chance: &mut Chance) -> Result<Harm> {
    let mut bytes = std::fs::read(path).map_err(say("cannot read", path))?;
    let harm = choose(bytes.len(), chance);
    let before = bytes.clone();
    match harm {
        Harm::Flipped { byte, bit } => bytes[byte] ^= 1 << bit,
        Harm::Cut { to } => bytes.truncate(to),
        Harm::Zeroed { from, length } => bytes[from..from + length].fill(0),
        Harm::Removed => {
            std::fs::remove_file(path).map_err(say("cannot remove", path))?;
            return Ok(harm);
        }
        Harm::None => {}
    }
    if bytes == before {
        return Ok(Harm::None);
    }
    std::fs::write(path, bytes).map_err(say("cannot write", path))?;
    Ok(harm)
}

fn choose(length: usize, chance: &mut Chance) -> Harm {
    if length == 0 {
        return Harm::None;
    }
    match chance.below(10) {
        0..=4 => Harm::Flipped { byte: place(length, chance), bit: chance.below(8) as u8 },
        5 | 6 => Harm::Cut { to: if chance.once_in(4) { 0 } else { place(length, chance) } },
        7 | 8 => {
            let from = place(length, chance) / 4096 * 4096;
            Harm::Zeroed { from, length: (length - from).min(4096) }
        }
        _ => Harm::Removed,
    }
}

/// Anywhere, but once in three times near the beginning, where headers stand.
fn place(length: usize, chance: &mut Chance) -> usize {
    let within = if chance.once_in(3) { length.min(256) } else { length };
    chance.below(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_hurt_as_is_said() {
        let path = std::env::temp_dir().join(format!("torture-hurt-{}", std::process::id()));
        let before: Vec<u8> = (0..9000_u32).map(|n| n as u8 | 1).collect();
        for seed in 0..60 {
            std::fs::write(&path, &before).unwrap();
            let harm = hurt(&path, &mut Chance::new(seed)).unwrap();
            let after = std::fs::read(&path).unwrap_or_default();
            let differ = before.iter().zip(&after).filter(|(a, b)| a != b).count();
            match harm {
                Harm::Flipped { byte, .. } => assert!(differ == 1 && before[byte] != after[byte]),
                Harm::Cut { to } => assert!(differ == 0 && after.len() == to),
                Harm::Zeroed { length, .. } => assert_eq!(differ, length),
                Harm::Removed => assert!(!path.exists()),
                Harm::None => unreachable!("there was something to hurt"),
            }
        }
        let _ = std::fs::remove_file(&path);
        assert_eq!(choose(0, &mut Chance::new(1)), Harm::None);
    }
}
