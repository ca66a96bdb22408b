//! The one error type of the library: what kind of thing went wrong, where, and the sentence a
//! person reads.
//!
//! A message says what was found, what was expected and what to do. Places (file, line, item) are
//! added by whoever knows them, on the way up, so that a decoder need not know file names. The
//! type is opaque and one pointer wide; callers branch on [`Error::kind`].

use std::fmt;
use std::path::{Path, PathBuf};

/// A result with the library's own error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure an [`Error`] is; programs branch on this, people read the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file, folder, item or field that was named does not exist.
    NotFound,
    /// Input that can be read but breaks a rule: a bad row, an unknown field, a wrong flag value.
    Invalid,
    /// A format, version or feature that this build does not read.
    Unsupported,
    /// Two things that must belong together do not: index and model, vectors of other sizes.
    Mismatch,
    /// A picture or file beyond the limits that protect memory and time.
    TooLarge,
    /// A file of ours is damaged: wrong length, wrong checksum.
    Corrupt,
    /// The operating system refused: permission, full disk, broken pipe.
    Io,
    /// The user asked to stop.
    Interrupted,
}

/// An error of this library: kind, sentence, place, source.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    file: Option<PathBuf>,
    line: Option<u64>,
    item: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with a sentence for a person; add the place with [`Error::at_file`] and friends.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            file: None,
            line: None,
            item: None,
            source: None,
        }))
    }

    /// Shorthand for [`ErrorKind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// An input/output failure while doing `what` ("cannot read", "cannot write").
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        let kind = match source.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::Interrupted => ErrorKind::Interrupted,
            _ => ErrorKind::Io,
        };
        Self::new(kind, what).with_source(source)
    }

    /// Names the file the error is about, unless a file is named already.
    #[must_use]
    pub fn at_file(mut self, file: impl AsRef<Path>) -> Self {
        self.0.file.get_or_insert_with(|| file.as_ref().to_path_buf());
        self
    }

    /// Names the line (from 1), unless one is named already.
    #[must_use]
    pub fn at_line(mut self, line: u64) -> Self {
        self.0.line.get_or_insert(line);
        self
    }

    /// Names the catalogue item, unless one is named already.
    #[must_use]
    pub fn at_item(mut self, item: impl Into<String>) -> Self {
        self.0.item.get_or_insert_with(|| item.into());
        self
    }

    /// Keeps the error that caused this one; its text is appended to the message.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What sort of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The sentence without place and source.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The file the error is about, if known.
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// The line (from 1), if known.
    pub fn line(&self) -> Option<u64> {
        self.0.line
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some(file) = &inner.file {
            write!(f, "{}:", file.display())?;
            if let Some(line) = inner.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        } else if let Some(line) = inner.line {
            write!(f, "line {line}: ")?;
        }
        if let Some(item) = &inner.item {
            write!(f, "item {item}: ")?;
        }
        f.write_str(&inner.message)?;
        if let Some(source) = &inner.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({self})", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| {
            let source: &(dyn std::error::Error + 'static) = &**source;
            source
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_place_then_sentence() {
        let error =
            Error::invalid("no field \"image\" (found: id, title); name it with --image-field")
                .at_file("shoes.jsonl")
                .at_line(4182);
        assert_eq!(
            error.to_string(),
            "shoes.jsonl:4182: no field \"image\" (found: id, title); name it with --image-field"
        );
    }

    #[test]
    fn the_innermost_place_wins() {
        let error = Error::invalid("x").at_line(3).at_line(9).at_file("a").at_file("b");
        assert_eq!(error.to_string(), "a:3: x");
    }

    #[test]
    fn a_missing_file_is_not_found() {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        assert_eq!(Error::io("cannot read", source).kind(), ErrorKind::NotFound);
    }
}
