//! What a query may refer to: the caller's policy, and the only door to a picture's bytes.

use std::borrow::Cow;

use super::query::Content;
use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::images::Limits;

/// What the parts of a query may refer to besides words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Items of the collection, by name.
    pub items: bool,
    /// Files of this machine, and its standard input.
    pub files: bool,
    /// How many pictures came with the request.
    pub uploads: usize,
}

impl Allowed {
    /// Words alone.
    pub const WORDS: Self = Self { items: false, files: false, uploads: 0 };
    /// Words and items: nothing of the machine that searches. What a stranger may be given.
    pub const WORDS_AND_ITEMS: Self = Self { items: true, ..Self::WORDS };
    /// Whatever the user of this machine may name: for a command line.
    pub const LOCAL: Self = Self { items: true, files: true, uploads: 0 };

    /// Refuses a part that is not allowed.
    pub(super) fn expect(self, content: &Content) -> Result<()> {
        let is_allowed = match content {
            Content::Words(_) => true,
            Content::Item(_) => self.items,
            Content::File(_) | Content::StandardInput => self.files,
            Content::Upload(number) => *number < self.uploads,
        };
        if is_allowed {
            return Ok(());
        }
        let what = match content {
            Content::Upload(_) => format!("\"{content}\" did not come with the query"),
            Content::Item(_) => format!("\"{content}\" names an item, which is not allowed here"),
            _ => format!(
                "\"{content}\" names a file, and a query must not refer to files here; send the \
                 picture itself"
            ),
        };
        Err(Error::invalid(what))
    }
}

/// Where the pictures of queries come from. Whoever searches for others hands in one that knows
/// what was sent along and nothing else ([`Uploads`], [`NoPictures`]).
pub trait References: Sync {
    /// What a query may refer to; anything else is refused before [`References::bytes`] is asked.
    fn allowed(&self) -> Allowed;

    /// The bytes of the picture that `content` (a file, standard input, or an upload) refers to.
    fn bytes(&self, content: &Content) -> Result<Cow<'_, [u8]>>;
}

/// Words and items only.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPictures;

impl References for NoPictures {
    fn allowed(&self) -> Allowed {
        Allowed::WORDS_AND_ITEMS
    }

    fn bytes(&self, content: &Content) -> Result<Cow<'_, [u8]>> {
        Err(no_such(content))
    }
}

/// The files of this machine: for programs that search for the person who started them.
#[derive(Clone, Copy, Debug, Default)]
pub struct PictureFiles;

impl References for PictureFiles {
    fn allowed(&self) -> Allowed {
        Allowed::LOCAL
    }

    fn bytes(&self, content: &Content) -> Result<Cow<'_, [u8]>> {
        match content {
            Content::File(path) => {
                files::read_at_most(path, Limits::default().file_bytes).map(Cow::Owned)
            }
            _ => Err(no_such(content)),
        }
    }
}

/// Pictures that came with a request, by their number.
///
/// ```
/// use looksee::search::{Allowed, Content, References, Uploads};
///
/// let uploads = Uploads(vec![b"a picture's bytes".to_vec()]);
/// assert_eq!(uploads.allowed(), Allowed { uploads: 1, ..Allowed::WORDS_AND_ITEMS });
/// assert!(uploads.bytes(&Content::File("/etc/passwd".into())).is_err());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Uploads(pub Vec<Vec<u8>>);

impl References for Uploads {
    fn allowed(&self) -> Allowed {
        Allowed { uploads: self.0.len(), ..Allowed::WORDS_AND_ITEMS }
    }

    fn bytes(&self, content: &Content) -> Result<Cow<'_, [u8]>> {
        let bytes = match content {
            Content::Upload(number) => self.0.get(*number),
            _ => None,
        };
        bytes.map(|bytes| Cow::Borrowed(bytes.as_slice())).ok_or_else(|| no_such(content))
    }
}

fn no_such(content: &Content) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no picture \"{content}\" here"))
}
