//! Queries to unit vectors.
//!
//! All words of a batch of queries go through the encoder together, and so do all pictures; then
//! each query sums its own.

use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::query::{Content, Part, Query};
use super::references::References;
use crate::embed;
use crate::encoder::Encoder;
use crate::error::{Error, ErrorKind, Result};
use crate::images::{self, Decoded, ImageBatch, Limits};
use crate::index::{Carry, Collection, Found};
use crate::units::{ItemId, Stop};
use crate::vectors::Vectors;

/// Pictures that go through the encoder together.
const BATCH: usize = 32;

/// Knows everything that a part of a query can refer to.
pub(super) struct Sums<'a> {
    pub(super) encoder: &'a dyn Encoder,
    pub(super) collection: &'a dyn Collection,
    pub(super) references: &'a dyn References,
    pub(super) pictures: &'a PictureThreads,
}

/// Threads that decode and embed the pictures of queries; made when the first one comes.
///
/// Pictures keep all threads of a pool busy for long. In a pool of their own they leave the common
/// one to words and scans, and the system divides the processor between the two.
#[derive(Debug, Default)]
pub(super) struct PictureThreads(OnceLock<ThreadPool>);

impl PictureThreads {
    fn get(&self) -> Result<&ThreadPool> {
        if let Some(pool) = self.0.get() {
            return Ok(pool);
        }
        let pool = ThreadPoolBuilder::new()
            .num_threads(rayon::current_num_threads())
            .thread_name(|number| format!("picture-{number}"))
            .build();
        let cannot =
            |e| Error::new(ErrorKind::Io, "cannot start threads for pictures").with_source(e);
        let pool = pool.map_err(cannot)?;
        Ok(self.0.get_or_init(|| pool))
    }
}

impl Sums<'_> {
    /// The vectors of queries, `[n, dim]`.
    pub(super) fn vectors(&self, queries: &[Query]) -> Result<Vectors> {
        let parts: Vec<&Part> = queries.iter().flat_map(|query| &query.parts).collect();
        let rows = self.rows(&parts)?;
        let mut sums = Vectors::empty(self.encoder.dim());
        let mut start = 0;
        for query in queries {
            let end = start + query.parts.len();
            sums.append(&weighted_sum(query, &rows[start..end])?)?;
            start = end;
        }
        Ok(sums)
    }

    /// The unit vector of each part, `[dim]`.
    fn rows(&self, parts: &[&Part]) -> Result<Vec<Vec<f32>>> {
        let mut rows = vec![Vec::new(); parts.len()];
        self.fill_words(parts, &mut rows)?;
        self.fill_pictures(parts, &mut rows)?;
        self.fill_items(parts, &mut rows)?;
        Ok(rows)
    }

    fn fill_words(&self, parts: &[&Part], rows: &mut [Vec<f32>]) -> Result<()> {
        let words: Vec<(usize, &str)> = parts
            .iter()
            .enumerate()
            .filter_map(|(number, part)| match &part.content {
                Content::Words(words) => Some((number, words.as_str())),
                _ => None,
            })
            .collect();
        if words.is_empty() {
            return Ok(());
        }
        let texts: Vec<&str> = words.iter().map(|(_, text)| *text).collect();
        let vectors = embed::texts(&texts, self.encoder, &Stop::default(), &mut |_| {})?;
        for ((number, _), row) in words.iter().zip(vectors.rows()) {
            rows[*number] = row.to_vec();
        }
        Ok(())
    }

    fn fill_pictures(&self, parts: &[&Part], rows: &mut [Vec<f32>]) -> Result<()> {
        let is_picture =
            |part: &Part| !matches!(part.content, Content::Words(_) | Content::Item(_));
        let numbers: Vec<usize> = (0..parts.len()).filter(|&n| is_picture(parts[n])).collect();
        for numbers in numbers.chunks(BATCH) {
            let contents: Vec<&Content> = numbers.iter().map(|&n| &parts[n].content).collect();
            let vectors = self.pictures.get()?.install(|| self.embed(&contents))?;
            for (&number, row) in numbers.iter().zip(vectors.rows()) {
                rows[number] = row.to_vec();
            }
        }
        Ok(())
    }

    fn embed(&self, pictures: &[&Content]) -> Result<Vectors> {
        let frame = self.encoder.frame();
        let mut batch = ImageBatch::new(frame);
        for content in pictures {
            batch.push(&images::frame(&self.picture(content)?, frame).rgb);
        }
        self.encoder.images(&batch)
    }

    fn fill_items(&self, parts: &[&Part], rows: &mut [Vec<f32>]) -> Result<()> {
        let (numbers, ids): (Vec<usize>, Vec<ItemId>) = parts
            .iter()
            .enumerate()
            .filter_map(|(number, part)| match &part.content {
                Content::Item(id) => Some((number, id.clone())),
                _ => None,
            })
            .unzip();
        if ids.is_empty() {
            return Ok(());
        }
        let found = self.collection.get(&ids, Carry { picture: true, ..Carry::NOTHING })?;
        for ((number, id), found) in numbers.into_iter().zip(&ids).zip(found) {
            rows[number] = found.and_then(|found| found.picture).ok_or_else(|| unknown_item(id))?;
        }
        Ok(())
    }

    /// The picture of a part that is none of words.
    pub(super) fn picture(&self, content: &Content) -> Result<Decoded> {
        match content {
            Content::Words(words) => {
                Err(Error::invalid(format!("{words:?} are words and no picture")))
            }
            Content::Item(id) => self.picture_of(id),
            _ => {
                let bytes = self.references.bytes(content)?;
                images::decode(&bytes, Limits::default())
                    .map_err(|e| e.at_file(content.to_string()))
            }
        }
    }

    fn picture_of(&self, id: &ItemId) -> Result<Decoded> {
        let found = self.collection.get(std::slice::from_ref(id), Carry::RECORD)?.pop().flatten();
        let record = found.and_then(|Found { record, .. }| record);
        images::open(&record.ok_or_else(|| unknown_item(id))?.image, Limits::default())
    }
}

fn unknown_item(id: &ItemId) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("no item {:?} in this index; a search shows the names", id.as_str()),
    )
}

/// The normalised weighted sum of the rows of a query's parts.
fn weighted_sum(query: &Query, rows: &[Vec<f32>]) -> Result<Vectors> {
    let dim = rows.first().map_or(0, Vec::len);
    let mut sum = vec![0.0; dim];
    for (part, row) in query.parts.iter().zip(rows) {
        for (total, value) in sum.iter_mut().zip(row) {
            *total += part.weight * value;
        }
    }
    Vectors::normalised(dim, sum).map_err(|_| {
        Error::invalid(format!("the parts of the query \"{query}\" take each other away entirely"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(weights: &[f32]) -> Query {
        let part = |&weight: &f32| Part { weight, content: Content::Words("x".to_owned()) };
        Query { parts: weights.iter().map(part).collect() }
    }

    #[test]
    fn a_query_is_the_normalised_weighted_sum_of_its_parts() {
        let rows = [vec![1.0, 0.0], vec![0.0, 1.0]];
        let sum = weighted_sum(&query(&[3.0, -4.0]), &rows).unwrap();
        assert_eq!(sum.as_slice(), [0.6, -0.8]);
    }

    #[test]
    fn parts_that_cancel_out_are_refused_in_words() {
        let rows = [vec![1.0, 0.0], vec![1.0, 0.0]];
        let error = weighted_sum(&query(&[1.0, -1.0]), &rows).unwrap_err().to_string();
        assert!(error.contains("\"x - x\""), "{error}");
    }
}
