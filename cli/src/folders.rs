//! Which folder is a model, which is an index: said before anything is read from it.

use std::path::{Path, PathBuf};

use looksee::encoder::Model;
use looksee::index::{Gone, Index};
use looksee::{Error, ErrorKind, Result};

use crate::console::Console;
use crate::figures;
use crate::render::text;

/// Whether `folder` holds a model.
pub(crate) fn is_model(folder: &Path) -> bool {
    folder.join("model.toml").is_file()
}

/// Whether `folder` holds an index.
pub(crate) fn is_index(folder: &Path) -> bool {
    folder.join("index.sqlite").is_file()
}

/// Loads the model in `folder`.
pub(crate) fn model(folder: &Path) -> Result<Model> {
    expect_folder(folder)?;
    if is_model(folder) {
        return Model::load(folder);
    }
    let hint = if is_index(folder) {
        "; it is an index, its model is in the folder `model` inside it"
    } else {
        "; `looksee train CATALOGUE -o MODEL` makes a model"
    };
    Err(Error::invalid(format!("this is no model folder (it has no model.toml){hint}"))
        .at_file(folder))
}

/// Opens the index in `folder`.
pub(crate) fn index(folder: &Path) -> Result<Index> {
    expect_index(folder)?;
    Index::open(folder)
}

/// Opens the index in `folder`, with its pictures below `root` where the user has named another one.
pub(crate) fn index_at(folder: &Path, root: Option<&Path>) -> Result<Index> {
    let index = index(folder)?;
    match root {
        Some(root) => index.at_root(root),
        None => Ok(index),
    }
}

/// Warns once when pictures are not where the index says.
pub(crate) fn tell_gone(gone: &Gone, console: &mut Console) {
    let Some(first) = gone.first.as_ref() else { return };
    let all = figures::count(gone.looked_for, "picture");
    let verb = if gone.count == 1 { "is" } else { "are" };
    let what = format!(
        "{} of {all} {verb} not where the index says (the first: {first})",
        figures::thousands(gone.count)
    );
    let keep = "`looksee index CATALOGUE -o INDEX` keeps it";
    let advice = match (&gone.found_below, &gone.root) {
        (Some(folder), _) => {
            let folder = folder.display();
            format!("there is such a file in {folder}: --images {folder} looks there, and {keep}")
        }
        (None, Some(root)) => {
            let root = root.display();
            format!("if {root} has moved, --images ROOT names its new place, and {keep}")
        }
        (None, None) => {
            "if they have moved, `looksee index CATALOGUE -o INDEX` finds them again".to_owned()
        }
    };
    console.warn(&text::one_line(&format!("{what}; {advice}")));
}

/// Refuses a folder that is no index.
pub(crate) fn expect_index(folder: &Path) -> Result<()> {
    expect_folder(folder)?;
    if is_index(folder) {
        return Ok(());
    }
    let hint = if is_model(folder) {
        "; it is a model, `looksee index CATALOGUE -m MODEL -o INDEX` makes an index with it"
    } else {
        "; `looksee index CATALOGUE -m MODEL -o INDEX` makes an index"
    };
    Err(Error::invalid(format!("this is no index folder (it has no index.sqlite){hint}"))
        .at_file(folder))
}

/// Refuses a file to be written whose folder does not exist: before the work, not after it.
pub(crate) fn expect_room_for(file: &Path) -> Result<()> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => expect_folder(folder),
        _ => Ok(()),
    }
}

/// The model for `looksee index`: the one that was named, else the one inside the index.
pub(crate) fn model_for_index(named: Option<&Path>, index: &Path) -> Result<PathBuf> {
    if let Some(folder) = named {
        return Ok(folder.to_path_buf());
    }
    let inside = index.join("model");
    if is_model(&inside) {
        return Ok(inside);
    }
    Err(Error::invalid("there is no model in this index yet; name one with --model MODEL")
        .at_file(index))
}

/// Refuses a path that is no folder.
pub(crate) fn expect_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let (kind, what) = if folder.exists() {
        (ErrorKind::Invalid, "this is a file, and a folder is needed here")
    } else {
        (ErrorKind::NotFound, "there is no such folder")
    };
    Err(Error::new(kind, what).at_file(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_given_as_a_model_is_told_where_its_model_is() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("index.sqlite"), "").unwrap();
        let error = model(folder.path()).unwrap_err().to_string();
        assert!(error.contains("it is an index, its model is in the folder `model`"), "{error}");
    }

    #[test]
    fn without_a_name_the_model_inside_the_index_is_used() {
        let folder = tempfile::tempdir().unwrap();
        assert!(model_for_index(None, folder.path()).is_err());
        let inside = folder.path().join("model");
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(inside.join("model.toml"), "").unwrap();
        assert_eq!(model_for_index(None, folder.path()).unwrap(), inside);
    }
}
