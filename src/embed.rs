//! Catalogues and files through an encoder: into vectors, or into an index.

use std::path::Path;

use crate::catalogue::{Ledger, Source};
use crate::encoder::Encoder;
use crate::error::{Error, Result};
use crate::images::Limits;
use crate::index::Writer;
use crate::units::{Listener, Stop};
use crate::vectors::Vectors;

/// How [`update`] treats what it finds.
#[derive(Clone, Copy, Debug)]
pub struct UpdateOptions {
    /// Keep items that the catalogue no longer has.
    pub keep_missing: bool,
    /// Compare contents, not only size and time.
    pub verify: bool,
    /// Part `shard.0` (from 1) of `shard.1`.
    pub shard: Option<(usize, usize)>,
    /// Pictures a batch.
    pub batch_size: usize,
    /// Bounds on pictures.
    pub limits: Limits,
}

impl Default for UpdateOptions {
    fn default() -> Self {
        Self {
            keep_missing: false,
            verify: false,
            shard: None,
            batch_size: 32,
            limits: Limits::default(),
        }
    }
}

/// What [`update`] did.
#[derive(Clone, Debug, Default)]
pub struct Updated {
    /// Items new in the index.
    pub added: usize,
    /// Items embedded again.
    pub changed: usize,
    /// Items left as they were.
    pub unchanged: usize,
    /// Items taken out.
    pub removed: usize,
    /// What was used and what was not.
    pub ledger: Ledger,
}

/// Brings an index up to date with a catalogue.
pub fn update(
    source: &Source,
    encoder: &dyn Encoder,
    writer: &mut Writer,
    options: &UpdateOptions,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<Updated> {
    let _ = (source, encoder, writer, options, stop, listener);
    unimplemented!()
}

/// Vectors of files in order; a file that cannot be used is left out and returned with its error.
pub fn pictures<P: AsRef<Path> + Sync>(
    paths: &[P],
    encoder: &dyn Encoder,
    limits: Limits,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<(Vectors, Vec<(usize, Error)>)> {
    let _ = (paths, encoder, limits, stop, listener);
    unimplemented!()
}

/// Vectors of texts in order.
pub fn texts<T: AsRef<str>>(
    texts: &[T],
    encoder: &dyn Encoder,
    stop: &Stop,
    listener: Listener<'_>,
) -> Result<Vectors> {
    let _ = (texts, encoder, stop, listener);
    unimplemented!()
}
