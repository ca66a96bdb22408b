//! Which format a path has.

use std::ffi::OsStr;
use std::io::BufRead;
use std::path::Path;

use super::{folder, layout, lines};
use crate::error::{Error, ErrorKind, Fact, Result};

/// How a catalogue is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// A folder of pictures.
    Folder,
    /// JSON lines, or one JSON array of objects.
    Json,
    /// Comma-separated with a header line.
    Csv,
    /// Tab-separated with a header line.
    Tsv,
    /// Amazon product metadata of 2014, 2018, 2018 v2 or 2023 (told apart row by row).
    Amazon,
}

/// What there is, for errors.
const KNOWN: &str = "a folder of pictures, .jsonl, .json, .csv, .tsv (each also as .gz)";

impl Format {
    /// The format with this name as `--format` takes it.
    pub fn named(name: &str) -> Result<Self> {
        match name.to_ascii_lowercase().as_str() {
            "folder" => Ok(Self::Folder),
            "json" | "jsonl" | "ndjson" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            "tsv" => Ok(Self::Tsv),
            "amazon" => Ok(Self::Amazon),
            "parquet" | "tar" | "webdataset" => Err(unsupported(name)),
            _ => {
                let known = ["folder", "json", "csv", "tsv", "amazon"].map(str::to_owned);
                let near = layout::nearest(name, &known);
                let near = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
                let known = known.join(", ");
                Err(Error::invalid(format!("no format {name}: expected one of {known}{near}")))
            }
        }
    }

    /// The format of what is at `path`: by its kind, its name, or its first sign.
    pub(super) fn detect(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|e| cannot_find(path, e))?;
        if metadata.is_dir() {
            return Ok(Self::Folder);
        }
        match ending(path).as_str() {
            "jsonl" | "ndjson" | "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            "tsv" | "tab" => Ok(Self::Tsv),
            name @ ("parquet" | "tar") => Err(unsupported(name).at_file(path)),
            _ if folder::is_picture(path.as_os_str()) => {
                Err(Error::invalid("this is a picture; name the folder that holds it")
                    .at_file(path))
            }
            ending if metadata.is_file() => Self::by_first_sign(path, ending),
            ending => Err(unknown(path, ending)),
        }
    }

    /// This format, where `path` can have it.
    pub(super) fn of(self, path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|e| cannot_find(path, e))?;
        match (self, metadata.is_dir()) {
            (Self::Folder, false) => Err(Error::invalid("expected a folder, found a file")),
            (Self::Folder, true) | (_, false) => Ok(self),
            (_, true) => Err(Error::invalid("expected a file, found a folder")),
        }
        .map_err(|e| e.at_file(path))
    }

    /// Files of any name that begin with a brace or a bracket hold objects.
    fn by_first_sign(path: &Path, ending: &str) -> Result<Self> {
        let mut text = lines::open(path)?;
        let cannot = |e| Error::io("cannot read", e).at_file(path);
        let start = text.fill_buf().map_err(cannot)?.trim_ascii_start();
        match start.first() {
            Some(b'{' | b'[') => Ok(Self::Json),
            _ => Err(unknown(path, ending)),
        }
    }
}

/// The ending in lower case, before `.gz`.
fn ending(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let ending = Path::new(name).extension().and_then(OsStr::to_str);
    ending.unwrap_or_default().to_owned()
}

fn cannot_find(path: &Path, source: std::io::Error) -> Error {
    if source.kind() == std::io::ErrorKind::NotFound {
        return Error::new(ErrorKind::NotFound, "no such file or folder").at_file(path);
    }
    Error::io("cannot read", source).at_file(path)
}

fn unsupported(name: &str) -> Error {
    let message = format!("{name} is not read by this build; it reads {KNOWN}");
    Error::new(ErrorKind::Unsupported, message)
}

fn unknown(path: &Path, ending: &str) -> Error {
    let found = if ending.is_empty() { "no ending".to_owned() } else { format!(".{ending}") };
    let message =
        format!("cannot tell what kind of catalogue this is (found {found}, expected {KNOWN})");
    Error::new(ErrorKind::Unsupported, message).with_fact(Fact::UnknownFormat).at_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_have_names_and_suggestions() {
        assert_eq!(Format::named("JSONL").unwrap(), Format::Json);
        assert_eq!(Format::named("amazon").unwrap(), Format::Amazon);
        assert_eq!(Format::named("parquet").unwrap_err().kind(), ErrorKind::Unsupported);
        let error = Format::named("cvs").unwrap_err().to_string();
        assert_eq!(
            error,
            "no format cvs: expected one of folder, json, csv, tsv, amazon; did you mean csv?"
        );
        assert!(!Format::named("excel").unwrap_err().to_string().contains("did you mean"));
    }

    #[test]
    fn endings_are_read_before_gz_and_in_any_case() {
        assert_eq!(ending(Path::new("a/meta.JSON.gz")), "json");
        assert_eq!(ending(Path::new("a.b/meta")), "");
        assert_eq!(ending(Path::new("train-0001.tar.gz")), "tar");
    }
}
