//! The one error type of the library: what kind of thing went wrong, where, and the sentence a
//! person reads.
//!
//! A message says what was found, what was expected and what to do. It knows no option and no
//! command of a program: what a caller answers in its own terms is a [`Fact`]. Places (file, line,
//! item) are added by whoever knows them, on the way up, so that a decoder need not know file names.
//! The type is opaque and one pointer wide; callers branch on [`Error::kind`] and [`Error::fact`].

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

/// What an [`Error`] found, where a caller has more to say about it than its sentence does: a
/// server answers [`Fact::Busy`] with "later", the command line adds the option that helps.
///
/// Each fact says here what helps in this library's own terms.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fact {
    /// Somebody else writes into this folder; it is free when they have ended.
    Busy,
    /// There is no model in this folder; [`train::run`](crate::train::run) makes one.
    NoModel,
    /// There is no index in this folder; [`index::Writer`](crate::index::Writer) makes one.
    NoIndex,
    /// The index holds no items; [`embed::update`](crate::embed::update) fills it.
    EmptyIndex,
    /// The index holds vectors of another model than the one that was given: give the one that
    /// made it, or make the index anew in another folder.
    OtherModel {
        /// The model that made the index, as its [`Space`](crate::index::Space) is written.
        made_by: String,
        /// The model that was given, likewise.
        given: String,
    },
    /// Items of an index are damaged; an update with their catalogue embeds them again.
    DamagedItems,
    /// A vector of an index is damaged; [`Check::of`](crate::index::Check::of) says what else is.
    DamagedVector,
    /// An index is damaged beyond mending: make it anew in another folder.
    DamagedIndex,
    /// A catalogue or a collection has no such field; [`Source`](crate::catalogue::Source) names others.
    MissingField {
        /// What the field was looked for.
        role: FieldRole,
        /// The name that was looked for.
        field: String,
        /// One of the catalogue's own that was probably meant.
        meant: Option<String>,
    },
    /// Nothing tells how a catalogue is written; name its
    /// [`format`](crate::catalogue::Source::format).
    UnknownFormat,
    /// No picture can be used, and some were never fetched:
    /// [`Source::remotes`](crate::catalogue::Source::remotes) lists them.
    NotFetched,
    /// No recipe of this name comes with the library;
    /// [`Recipe::parse`](crate::train::Recipe::parse) reads others.
    NoSuchRecipe,
    /// Pretrained weights are those of another network than the recipe's: name theirs
    /// ([`ImageRecipe::tower`](crate::train::ImageRecipe::tower)).
    OtherNetwork,
    /// A model without a text tower was asked for words; one that was trained on pictures with texts
    /// ([`train::run`](crate::train::run)) reads them.
    PicturesOnly,
    /// A model or an interrupted run is in the folder already: go on with it
    /// ([`Job::resume`](crate::train::Job::resume)) or choose another folder.
    RunIsThere,
    /// There is no interrupted run in the folder to go on with.
    NoRun,
    /// What lies in the folder was made by another job: give the same one, or another folder.
    OtherRun,
    /// A file of an interrupted run is damaged: without it the run begins at its first step.
    DamagedRun,
    /// The run was asked to stop, and can go on from where it is.
    Stopped {
        /// Steps that are done.
        step: u64,
    },
    /// Given word vectors are as wide as this, and the embedding of the recipe's text tower
    /// ([`TextRecipe`](crate::train::TextRecipe)) is not.
    OtherWidth {
        /// Values of each given vector.
        found: usize,
    },
    /// Training has left the finite numbers: a lower learning rate or clipped gradients may help.
    NotFinite,
    /// All vectors of a model have become alike: semi-hard negatives, another loss or a lower
    /// learning rate may help.
    Collapsed,
    /// A network is to keep weights that nobody trained: pretrained ones are missing.
    NothingToKeep,
    /// The loss has risen far above what it was: a lower learning rate or clipped gradients may help.
    Diverged,
    /// A model finds far more of what it learned from than of what was put aside: more pairs, or more
    /// texts of the same ones, help most.
    Overfitted,
    /// A model was still getting better when its training ended: a longer run helps most.
    StillRising,
    /// A model finds hardly more than a linear one: pretrained weights, a longer run or another
    /// learning rate may help.
    HardlyBetterThanLinear,
    /// A model has learned what its network sees: tuning that, a larger one or larger pictures help most.
    NetworkTooSmall,
    /// A model was measured on what it has learnt from; measure it on items that were put aside before
    /// ([`Catalogue::split`](crate::catalogue::Catalogue::split)).
    MeasuredOnLearnt,
}

/// What a field of a catalogue is to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldRole {
    /// Where its picture is.
    Image,
    /// A text of it.
    Text,
    /// Its name.
    Id,
    /// What it shares with others that show the same thing.
    Group,
    /// What a condition, an order or a count asks for.
    Condition,
}

/// An error of this library: kind, sentence, place, source.
///
/// Printed, it is its place and its sentence; what caused it is its
/// [`source`](std::error::Error::source). [`Error::whole`] is all of it on one line.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    fact: Option<Fact>,
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
            fact: None,
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

    /// Says what was found in a form that callers can answer.
    #[must_use]
    pub fn with_fact(mut self, fact: Fact) -> Self {
        self.0.fact = Some(fact);
        self
    }

    /// Keeps the error that caused this one.
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

    /// What was found, by this error or by the one that caused it.
    pub fn fact(&self) -> Option<&Fact> {
        self.0.fact.as_ref().or_else(|| self.cause()?.fact())
    }

    /// Place, sentence and causes on one line: `shop/model: cannot read: permission denied`.
    ///
    /// What another library's error says of its own causes is up to it.
    pub fn whole(&self) -> String {
        match (self.cause(), &self.0.source) {
            (Some(cause), _) => format!("{self}: {}", cause.whole()),
            (None, Some(source)) => format!("{self}: {source}"),
            (None, None) => self.to_string(),
        }
    }

    /// The cause, if it is an error of this library.
    fn cause(&self) -> Option<&Self> {
        self.0.source.as_ref()?.downcast_ref()
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
        f.write_str(&inner.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({})", self.0.kind, self.whole())
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
        let error = Error::invalid("no field \"image\" (found: id, title)")
            .at_file("shoes.jsonl")
            .at_line(4182);
        assert_eq!(error.to_string(), "shoes.jsonl:4182: no field \"image\" (found: id, title)");
    }

    #[test]
    fn a_cause_is_the_source_and_is_printed_once() {
        use std::error::Error as _;
        let cause = Error::io("cannot read", std::io::Error::other("no power")).at_file("a/b");
        let error = Error::new(ErrorKind::Corrupt, "no model").at_file("a").with_source(cause);
        assert_eq!(error.to_string(), "a: no model");
        assert_eq!(error.source().unwrap().to_string(), "a/b: cannot read");
        assert_eq!(error.whole(), "a: no model: a/b: cannot read: no power");
        assert_eq!(format!("{error:?}"), "Corrupt(a: no model: a/b: cannot read: no power)");
    }

    #[test]
    fn a_fact_is_found_behind_the_error_that_it_caused() {
        let busy = Error::new(ErrorKind::Io, "another is writing").with_fact(Fact::Busy);
        let error = Error::invalid("no update").with_source(busy);
        assert_eq!(error.fact(), Some(&Fact::Busy));
        let error = error.with_fact(Fact::NoIndex);
        assert_eq!(error.fact(), Some(&Fact::NoIndex));
        assert_eq!(Error::invalid("x").fact(), None);
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
