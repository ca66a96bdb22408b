//! Search: from what a person asks to the answers that are shown.
//!
//! ```text
//! "red dress - sleeves"  --Query::parse-->  Query   parts with weights, nothing opened
//!                        --Searcher------>  a unit vector: the normalised weighted sum
//!                        --Collection---->  hits, more than are shown where some will be folded
//!                        --Choice-------->  Answer: copies folded, unlike ones preferred, chances
//! ```
//!
//! [`Searcher`] joins a collection with the encoder that made its vectors. It can be shared by
//! threads, takes a newer snapshot on request without disturbing searches that are under way, and
//! never lets a query of words wait for pictures that are being embedded.
//!
//! A query is text from a person, and a server's persons are strangers. Parsing therefore opens no
//! file and does not even ask for one; what a part may refer to is an [`Allowed`], and only the
//! caller's own [`References`] can turn a part into the bytes of a picture. The default of both
//! knows words and items and nothing else.
//!
//! ```no_run
//! use looksee::search::Searcher;
//!
//! let answer = Searcher::open("shop")?.search("red shoe")?;
//! for hit in &answer.hits {
//!     println!("{} {} {:.3}", hit.rank, hit.id, hit.score);
//! }
//! # Ok::<(), looksee::Error>(())
//! ```

mod answer;
mod choice;
mod finder;
mod fold;
mod parse;
mod query;
mod references;
mod searcher;
mod sums;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Shown};
pub use choice::Choice;
pub use parse::{Argument, Parsed, starts_like_path};
pub use query::{Content, IntoQuery, Part, Query};
pub use references::{Allowed, NoPictures, PictureFiles, References, Uploads};
pub use searcher::{Searcher, model_of};
