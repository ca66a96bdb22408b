//! looksee learns one embedding for pictures and their texts, and finds pictures by words or by
//! another picture.
//!
//! ```text
//! a folder, a table, a product listing             words, a picture
//!                |                                        |
//!            catalogue                                    |
//!                |                                        |
//!         images, tokens  <---------------------------  search
//!                |                                        ^
//!             encoder   <-- train writes it               |
//!                |                                        |
//!             vectors  -->  index  -->  hits  ------------'
//! ```
//!
//! The left side is walked once for each catalogue, the right side once for each question, through
//! the very same encoder. What has been indexed is searched in two lines:
//!
//! ```no_run
//! let answer = looksee::Searcher::open("shop")?.search("red shoe")?;
//! println!("{} of {} items", answer.hits.len(), answer.total);
//! # Ok::<(), looksee::Error>(())
//! ```
//!
//! and an index is made by [`embed::update`] with a [`Model`] that [`train::run`] made, or with any
//! [`Encoder`] of your own. `examples/` has the whole way in four short programs.
//!
//! | to | see |
//! |---|---|
//! | read a catalogue | [`catalogue::Source`] |
//! | train a model, and measure it | [`train`], [`eval`] |
//! | make an index, keep it up to date | [`embed`], [`index`] |
//! | search | [`search`], [`filter`] |
//! | draw the space, find what is wrong in a catalogue | [`map`], [`audit`] |
//!
//! The library never prints: a long run tells a [`Listener`] what it does and asks a [`Stop`]
//! whether to go on. Every function that can fail returns an [`Error`] with a [`kind`](ErrorKind)
//! to branch on and a sentence to read.
//!
//! The modules stand in the order in which a picture passes through them; each uses only those
//! above it (ARCHITECTURE.md has the table, `cargo xtask tidy` checks it).

pub mod error;
pub mod units;

pub mod files;
pub mod filter;

pub mod catalogue;

pub mod images;
pub mod questions;
pub mod tokens;

pub mod vectors;

pub mod agreement;
pub mod encoder;
pub mod metrics;
mod ops;
pub mod short;

pub mod index;
pub mod train;

pub mod embed;
pub mod search;

pub mod audit;
pub mod eval;
pub mod map;

#[cfg(any(test, feature = "bench"))]
pub mod bench;

#[cfg(test)]
mod fuzz;

pub use catalogue::{Catalogue, Item, Source};
pub use encoder::{Encoder, Model};
pub use error::{Error, ErrorKind, Fact, FieldRole, Result};
pub use filter::Filter;
pub use index::{Collection, Hit, Index};
pub use search::{Answer, Choice, Query, Searcher};
pub use units::{Event, ItemId, Listener, Seed, Stop};
pub use vectors::Vectors;
