//! Reads a whole index and says what is wrong with it.

use std::borrow::Borrow;
use std::path::Path;

use serde::Serialize;

use super::examine::{self, Findings, Part};
use super::reader::Index;
use super::segment::Segment;
use super::store::{self, Format};
use crate::error::{ErrorKind, Result};
use crate::files;

/// The result of [`Index::check`].
#[derive(Clone, Debug, Default, Serialize)]
pub struct Check {
    /// Items whose rows and checksums are right.
    pub items: usize,
    /// Segments.
    pub segments: usize,
    /// Fingerprint of the model that made it.
    pub model: String,
    /// A sentence for everything that is wrong.
    pub problems: Vec<String>,
    /// What mends it.
    pub remedy: Remedy,
}

/// What mends a damaged index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Nothing has to be mended.
    #[default]
    None,
    /// An update with the catalogue: it embeds again what was lost.
    Update,
    /// An update with the catalogue and the model, which is put inside once more.
    UpdateWithModel,
    /// Making the index anew in a new folder: nothing can mend this one.
    NewFolder,
}

impl Check {
    /// Checks the index in `folder`, also where it is too damaged to be opened for a search.
    pub fn of(folder: &Path) -> Result<Self> {
        match Index::open(folder) {
            Ok(index) => index.check(),
            Err(error) if error.kind() == ErrorKind::Corrupt => of_damaged(folder),
            Err(error) => Err(error),
        }
    }

    /// Compares everything.
    fn look<S: Borrow<Segment>>(
        mut self,
        folder: &Path,
        connection: &rusqlite::Connection,
        format: Format,
        parts: &[Part<S>],
    ) -> Result<Self> {
        for problem in store::structure_problems(connection).map_err(|e| e.at_file(folder))? {
            self.add(problem, Remedy::NewFolder);
        }
        let findings: Findings =
            examine::examine(connection, format, parts).map_err(|e| e.at_file(folder))?;
        self.items = findings.items - findings.lost.len();
        for sentence in findings.sentences() {
            self.add(sentence, Remedy::Update);
        }
        let model = folder.join(super::folder::MODEL);
        if files::kind(&model)? != files::FileKind::Folder {
            let problem = "the folder \"model\" is missing: words cannot be searched".to_owned();
            self.add(problem, Remedy::UpdateWithModel);
        }
        Ok(self)
    }

    /// Adds a problem and what mends it.
    pub fn add(&mut self, problem: String, remedy: Remedy) {
        self.problems.push(problem);
        self.remedy = self.remedy.max(remedy);
    }
}

impl Index {
    /// Reads everything and compares every checksum and count.
    pub fn check(&self) -> Result<Check> {
        let segments = self.segments().iter();
        let parts: Vec<Part<&Segment>> =
            segments.map(|segment| Part { entry: segment.entry(), segment: Ok(segment) }).collect();
        let made_by = self.made_by().fingerprint.clone();
        let check = Check { segments: parts.len(), model: made_by, ..Check::default() };
        check.look(self.folder(), &self.connection(), self.format(), &parts)
    }
}

fn of_damaged(folder: &Path) -> Result<Check> {
    let store::Opened { connection, space, format, .. } = store::for_reading(folder)?;
    let parts = open_all(folder, &connection, space.dim).map_err(|e| e.at_file(folder))?;
    let check = Check { segments: parts.len(), model: space.fingerprint, ..Check::default() };
    check.look(folder, &connection, format, &parts)
}

/// The segments that the database names, those included that are damaged. What only the system
/// refuses to read is no damage, but an error.
pub(super) fn open_all(
    folder: &Path,
    connection: &rusqlite::Connection,
    dim: usize,
) -> Result<Vec<Part<Segment>>> {
    let open = |entry| match Segment::open(folder, entry, dim) {
        Err(error) if error.kind() == ErrorKind::Io => Err(error),
        segment => Ok(Part { entry, segment }),
    };
    store::segments(connection)?.into_iter().map(open).collect()
}
