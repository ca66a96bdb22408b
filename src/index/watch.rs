//! Whether a snapshot is still the latest, at the cost of one small read.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, MAIN_DB};

use super::segment::{Identity, identity};
use super::store::{self, failed};
use crate::error::Result;

/// Looks at what is committed, beside a snapshot that cannot see it.
#[derive(Debug)]
pub(super) struct Watch {
    folder: PathBuf,
    /// The file of the database when the snapshot was taken.
    database: Option<Identity>,
    /// Without a transaction, so that each look sees the latest commit. Opened by the first look,
    /// because most snapshots are never asked.
    connection: Mutex<Option<Connection>>,
}

impl Watch {
    /// For a snapshot of `folder` that is taken next.
    pub(super) fn of(folder: &Path) -> Self {
        let database = database(folder);
        Self { folder: folder.to_path_buf(), database, connection: Mutex::default() }
    }

    /// The number of the latest commit; `None` when another index stands in the folder.
    pub(super) fn generation(&self) -> Result<Option<i64>> {
        let now = database(&self.folder);
        if now.is_some() && now != self.database {
            return Ok(None);
        }
        let mut kept = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = kept.as_ref().filter(|_| now.is_some()) {
            return latest(connection).map(Some).map_err(|e| e.at_file(&self.folder));
        }
        let connection = store::for_reading(&self.folder)?.connection;
        let generation = latest(&connection)?;
        // One that takes the file for unchanging would never see another commit.
        if !connection.is_readonly(MAIN_DB).map_err(failed)? {
            connection.execute_batch("COMMIT").map_err(failed)?;
            *kept = Some(connection);
        }
        Ok(Some(generation))
    }
}

fn latest(connection: &Connection) -> Result<i64> {
    store::meta(connection, "generation")
}

/// The file of the database, if there is one.
fn database(folder: &Path) -> Option<Identity> {
    fs_err::metadata(store::path(folder)).ok().map(|about| identity(&about))
}
