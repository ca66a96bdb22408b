//! The index: unit vectors in mapped segment files, everything else in SQLite, searched exactly.
//!
//! ```text
//! shoes.idx/
//!   index.sqlite             items, records, the list of segments; one transaction a commit
//!   segments/000001.vectors  rows of f32, never changed after they were written
//!   model/                   the model that made the vectors
//! ```
//!
//! A [`Writer`] (one at a time) puts new vectors into new segments and names them in one SQLite
//! transaction; a segment that no transaction names is a left-over of a killed writer and is
//! deleted by the next, if it is a regular file that begins as ours do. An [`Index`] is a snapshot:
//! it maps the segments, reads the small table of items and holds a read transaction, so that
//! nothing a writer does later shows in it.
//!
//! Those who use an index see a [`Collection`] or a [`Sink`], which say nothing of folders: another
//! place for a collection implements these two. What only a folder has (check, compaction, merging,
//! size) are methods of [`Index`] and [`Writer`].
//!
//! We scan every vector because approximate indices lose most on queries by text, and a million
//! rows take some tens of milliseconds. Vectors are outside SQLite because a scan wants them
//! aligned and in one piece; records are inside because they want transactions.
//!
//! Pictures below the root of the catalogue are kept relative to it, and the root once: when both
//! have moved, [`Index::at_root`] is told the new one, and a writer of the catalogue remembers it.
//!
//! Nothing that is read is taken on trust. A page of a segment, a row of the table of items and a
//! record each have a checksum, and each is compared when it is read: a search compares what it
//! reads, [`Check::of`] all there is. Rows are copied only after they were compared, so that
//! damage never gets a checksum of its own; [`Sink::look_for_damage`] lets an update embed again
//! what was lost.
//!
//! **Invariants.** The rows of a segment ascend by item id, so that a tie broken by row is a tie
//! broken by id. Segment numbers are never used again, so that a name means one content. Vectors
//! are padded with zeros to a multiple of 8 values, and a segment's data begin at byte 64.

mod bits;
mod check;
mod collection;
mod companion;
mod examine;
mod folder;
mod local;
mod reader;
mod record;
mod root;
mod segment;
mod sink;
mod store;
mod watch;
mod writer;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;

pub use crate::files::Stamp;
pub use check::{Check, Remedy};
pub use collection::{
    Carry, Collection, Found, Hit, Nearest, Order, Rows, expect_known_fields, seen_by_filter,
};
pub use companion::{Companion, NoModel};
pub use reader::Index;
pub use record::{Known, Record};
pub use root::Gone;
pub use sink::Sink;
pub use writer::Writer;

/// Which model made an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// The encoder's fingerprint.
    pub fingerprint: String,
    /// Values a vector.
    pub dim: usize,
}

impl std::fmt::Display for Space {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}-d)", self.fingerprint, self.dim)
    }
}
