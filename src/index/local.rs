//! A snapshot of a local index as a [`Collection`].

use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use super::Space;
use super::collection::{Carry, Collection, Found, Hit, Nearest, Rows, expect_dim};
use super::reader::Index;
use crate::error::{Error, ErrorKind, Fact, Result};
use crate::filter::Filter;
use crate::units::ItemId;

impl Collection for Index {
    fn space(&self) -> &Space {
        self.made_by()
    }

    fn place(&self) -> &Path {
        self.folder()
    }

    fn count(&self, filter: Option<&Filter>) -> Result<usize> {
        match filter {
            Some(filter) => Ok(self.passing(filter)?.len()),
            None => Ok(self.len()),
        }
    }

    fn field_names(&self) -> Result<Vec<String>> {
        self.known_fields().map(<[String]>::to_vec)
    }

    /// Exact: every vector that passes is compared. Fails, as [`ErrorKind::Corrupt`], when what it
    /// has to read is damaged.
    fn search(&self, query: &Nearest<'_>) -> Result<Vec<Vec<Hit>>> {
        let advice = format!("; use the model in {}", self.model_folder().display());
        expect_dim(query.vectors, self.made_by(), &advice)?;
        let found = self.nearest(query.vectors, query.top, query.filter)?;
        let hit = |(score, row)| Ok(Hit::new(score, self.carried(row, query.carry)?));
        found.into_iter().map(|found| found.into_iter().map(hit).collect()).collect()
    }

    fn get(&self, ids: &[ItemId], carry: Carry) -> Result<Vec<Option<Found>>> {
        let carried = |id| self.row_of(id).map(|row| self.carried(row, carry)).transpose();
        ids.iter().map(carried).collect()
    }

    fn visit(
        &self,
        filter: Option<&Filter>,
        carry: Carry,
        visit: &mut dyn FnMut(Found) -> Result<()>,
    ) -> Result<()> {
        let passing = filter.map(|filter| self.passing(filter)).transpose()?;
        let passes = |row: &usize| passing.as_ref().is_none_or(|bits| bits.contains(*row));
        (0..self.len()).filter(passes).try_for_each(|row| visit(self.carried(row, carry)?))
    }

    fn rows(&self) -> Result<Box<dyn Rows + '_>> {
        Ok(Box::new(self.all_vectors()?))
    }

    fn renewed(&self) -> Result<Option<Arc<dyn Collection>>> {
        if self.is_current()? {
            return Ok(None);
        }
        let newer = Self::open(self.folder())?;
        Ok(Some(Arc::new(match self.told_root() {
            Some(root) => newer.at_root(root)?,
            None => newer,
        })))
    }
}

impl Index {
    /// The item in `row` with so much of it.
    fn carried(&self, row: usize, carry: Carry) -> Result<Found> {
        let mut found = Found::new(self.id(row));
        if carry.record {
            found.record = Some(self.record(row)?);
        }
        if carry.content {
            found.content = Some(self.content(row));
        }
        if carry.picture {
            found.picture = Some(self.picture(row)?.to_vec());
        }
        if carry.text {
            found.text = self.text(row)?.map(<[f32]>::to_vec);
        }
        Ok(found)
    }

    /// All vectors, compared with their checksums; fails when one is damaged, and by the item's
    /// name when one is not finite.
    pub(super) fn all_vectors(&self) -> Result<AllVectors<'_>> {
        self.compare_vectors()?;
        let vectors = AllVectors { index: self };
        (0..self.len()).into_par_iter().try_for_each(|row| vectors.expect_finite(row))?;
        Ok(vectors)
    }
}

/// All vectors of an index, compared with their checksums.
#[derive(Clone, Copy, Debug)]
pub(super) struct AllVectors<'a> {
    index: &'a Index,
}

impl Rows for AllVectors<'_> {
    fn dim(&self) -> usize {
        self.index.made_by().dim
    }

    fn len(&self) -> usize {
        self.index.len()
    }

    fn id(&self, row: usize) -> ItemId {
        self.index.id(row)
    }

    fn content(&self, row: usize) -> u64 {
        self.index.content(row)
    }

    fn picture(&self, row: usize) -> &[f32] {
        self.index.compared_picture(row)
    }

    fn text(&self, row: usize) -> Option<&[f32]> {
        self.index.compared_text(row)
    }
}

impl AllVectors<'_> {
    /// Refuses a vector that was made to be nobody's neighbour, or everybody's.
    fn expect_finite(self, row: usize) -> Result<()> {
        let sides = [("picture", Some(self.picture(row))), ("text", self.text(row))];
        for (side, values) in sides {
            let wrong = values.and_then(|values| values.iter().find(|value| !value.is_finite()));
            if let Some(wrong) = wrong {
                let what = format!("the vector of its {side} holds {wrong}, so it is damaged");
                let error = Error::new(ErrorKind::Corrupt, what).with_fact(Fact::DamagedVector);
                return Err(error.at_file(self.index.folder()).at_item(self.id(row).as_str()));
            }
        }
        Ok(())
    }
}
