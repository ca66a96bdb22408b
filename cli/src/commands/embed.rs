//! `looksee embed`: vectors of pictures or texts as a numpy file.

use std::path::{Path, PathBuf};

use looksee::encoder::Model;
use looksee::files::Blob;
use looksee::images::Limits;
use looksee::vectors::Vectors;
use looksee::{Error, Result, embed};
use serde_json::json;

use crate::args::EmbedArgs;
use crate::console::Console;
use crate::outcome::{Outcome, Status};
use crate::{advice, figures, folders, lines, npy, output};

pub(crate) fn run(args: &EmbedArgs, console: &mut Console) -> Outcome {
    output::expect_place_for(&args.output)?;
    let model = folders::model(&args.model)?;
    let (vectors, left_out) = match &args.texts {
        Some(file) => (texts(file, &model, console)?, 0),
        None => pictures(args, &model, console)?,
    };
    npy::write(&args.output, &vectors)?;
    report(args, &vectors, left_out, console)
}

fn texts(file: &Path, model: &Model, console: &mut Console) -> Result<Vectors> {
    let texts = lines::all(file)?;
    if texts.is_empty() {
        return Err(Error::invalid("there is no text in it; give one a line").at_file(file));
    }
    console.watch(|stop, listener| embed::texts(&texts, model, stop, listener))
}

/// The vectors of the pictures that can be used, and how many cannot.
fn pictures(args: &EmbedArgs, model: &Model, console: &mut Console) -> Result<(Vectors, usize)> {
    let paths = picture_paths(&args.images)?;
    let pictures: Vec<Blob> = paths.iter().map(Blob::from).collect();
    let (vectors, failed) = console.watch(|stop, listener| {
        embed::pictures(&pictures, model, Limits::default(), stop, listener)
    })?;
    for (number, error) in &failed {
        console.warn(&without_place_twice(error, &paths[*number]));
    }
    if !failed.is_empty() && (args.strict || vectors.is_empty()) {
        return Err(Error::invalid(format!(
            "{} of {} cannot be used; nothing was written",
            figures::thousands(failed.len()),
            figures::count(paths.len(), "picture")
        )));
    }
    Ok((vectors, failed.len()))
}

fn without_place_twice(error: &Error, path: &Path) -> String {
    let sentence = advice::sentence(error);
    if error.file().is_some() { sentence } else { format!("{}: {sentence}", path.display()) }
}

/// The paths that were typed, or those on standard input.
fn picture_paths(typed: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let paths: Vec<PathBuf> = if typed == [PathBuf::from("-")] {
        lines::all(Path::new("-"))?.into_iter().map(PathBuf::from).collect()
    } else {
        typed.to_vec()
    };
    if paths.is_empty() {
        return Err(Error::invalid("there is no path on standard input; give one a line"));
    }
    match paths.iter().find(|path| path.is_dir()) {
        None => Ok(paths),
        Some(folder) => Err(Error::invalid(
            "this is a folder; name its pictures, or pipe their paths to `--images -`, so that \
             the order of the rows is known",
        )
        .at_file(folder)),
    }
}

fn report(args: &EmbedArgs, vectors: &Vectors, left_out: usize, console: &mut Console) -> Outcome {
    if left_out > 0 {
        console.warn(&format!(
            "{} left out: row numbers do not follow the input; --strict makes this an error",
            figures::count(left_out, "row")
        ));
    }
    let (rows, dim) = (vectors.len(), vectors.dim());
    if console.json {
        let file = args.output.to_string_lossy();
        output::document(&json!({"file": file, "rows": rows, "dim": dim, "left_out": left_out}))?;
    } else {
        let rows = figures::count(rows, "row");
        output::line(&format!("{rows} of {dim} values in {}", args.output.display()))?;
    }
    Ok(Status::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_refused_because_the_order_of_its_rows_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let error = picture_paths(&[folder.path().to_path_buf()]).unwrap_err().to_string();
        assert!(error.contains("this is a folder"), "{error}");
    }

    #[test]
    fn an_empty_line_between_texts_keeps_its_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts");
        std::fs::write(&path, "red\r\n\nblue\n").unwrap();
        assert_eq!(lines::all(&path).unwrap(), ["red", "", "blue"]);
    }

    #[test]
    fn a_failed_picture_is_named_once() {
        let error = Error::invalid("no picture");
        assert_eq!(without_place_twice(&error, Path::new("a.jpg")), "a.jpg: no picture");
        let error = Error::invalid("no picture").at_file("a.jpg");
        assert_eq!(without_place_twice(&error, Path::new("a.jpg")), "a.jpg: no picture");
    }
}
