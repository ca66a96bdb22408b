//! Small types that carry a meaning: what is an item's name, what is a seed, who may stop a run.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Fact, Result};

/// The name of one picture in a catalogue, unique within an index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct ItemId(Arc<str>);

impl ItemId {
    /// The name as written in the catalogue.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for ItemId {
    fn from(name: T) -> Self {
        Self(name.into())
    }
}

impl From<ItemId> for String {
    fn from(id: ItemId) -> Self {
        id.as_str().to_owned()
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where all chance in a run comes from: the same seed gives the same run.
///
/// Streams are derived by name and number and never share state, so a step draws the same values
/// whether or not the run was interrupted before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// The generator for purpose `name`, step `number`.
    pub fn stream(self, name: &str, number: u64) -> fastrand::Rng {
        let name = xxhash_rust::xxh3::xxh3_64_with_seed(name.as_bytes(), self.0);
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&number.to_le_bytes());
        fastrand::Rng::with_seed(xxhash_rust::xxh3::xxh3_64_with_seed(&bytes, name))
    }
}

/// A flag that asks a long run to stop at its next safe point; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks the run to stop.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether a stop was asked for.
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// An [`ErrorKind::Interrupted`] error if a stop was asked for.
    pub fn check(&self) -> Result<()> {
        if self.asked() { Err(Error::new(ErrorKind::Interrupted, "interrupted")) } else { Ok(()) }
    }
}

/// What a long run tells its caller; the library itself never prints.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// `done` of `total` (0 when unknown) units of `what` are finished.
    Progress {
        /// What is being done, as a verb: "decoding", "embedding".
        what: &'a str,
        /// Units finished.
        done: usize,
        /// Units in all; 0 when unknown.
        total: usize,
    },
    /// A figure that tells how a long run is doing, to be shown beside its progress.
    Measured {
        /// What was measured: "KL".
        what: &'a str,
        /// Its value.
        value: f64,
    },
    /// One line worth reading: a finished epoch, a decision that was taken.
    Note(&'a str),
    /// Something that will probably surprise the user, with what to try.
    Warning(&'a str),
    /// A warning about something that a caller can name the remedy of in its own terms.
    Suspicion(&'a str, Fact),
}

/// Receives [`Event`]s; called from the thread that runs the work.
pub type Listener<'a> = &'a mut dyn FnMut(Event<'_>);
