//! Queries to unit vectors.
//!
//! All words of a batch of queries go through the encoder together, and so do all pictures; then
//! each query sums its own.

use std::cell::OnceCell;
use std::io::Read;

use looksee::encoder::Encoder;
use looksee::images::{self, Decoded, ImageBatch, Limits};
use looksee::index::Index;
use looksee::units::{ItemId, Stop};
use looksee::vectors::Vectors;
use looksee::{Error, ErrorKind, Result, embed};

use super::{Content, Part, Query};

/// Pictures that go through the encoder together.
const BATCH: usize = 32;

/// Knows everything that a part of a query can refer to.
pub(crate) struct Reference<'a> {
    pub(crate) encoder: &'a dyn Encoder,
    pub(crate) index: &'a Index,
    standard_input: OnceCell<Vec<u8>>,
}

impl<'a> Reference<'a> {
    pub(crate) fn new(encoder: &'a dyn Encoder, index: &'a Index) -> Self {
        Self { encoder, index, standard_input: OnceCell::new() }
    }

    /// The vectors of queries, `[n, dim]`.
    pub(crate) fn vectors(&self, queries: &[Query]) -> Result<Vectors> {
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
        for (part, row) in parts.iter().zip(&mut rows) {
            if let Content::Item(id) = &part.content {
                *row = self.index.picture(self.find(id)?)?.to_vec();
            }
        }
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
            |part: &Part| matches!(part.content, Content::Picture(_) | Content::StandardInput);
        let numbers: Vec<usize> = (0..parts.len()).filter(|&n| is_picture(parts[n])).collect();
        for numbers in numbers.chunks(BATCH) {
            let mut batch = ImageBatch::new(self.encoder.frame());
            for &number in numbers {
                let picture = self.picture(&parts[number].content)?;
                batch.push(&images::frame(&picture, self.encoder.frame()).rgb);
            }
            let vectors = self.encoder.images(&batch)?;
            for (&number, row) in numbers.iter().zip(vectors.rows()) {
                rows[number] = row.to_vec();
            }
        }
        Ok(())
    }

    /// The picture of a part that is none of words.
    pub(crate) fn picture(&self, content: &Content) -> Result<Decoded> {
        match content {
            Content::Picture(path) => images::open(&path.into(), Limits::default()),
            Content::Item(id) => {
                images::open(&self.index.record(self.find(id)?)?.image, Limits::default())
            }
            Content::StandardInput => images::decode(self.standard_input()?, Limits::default())
                .map_err(|e| e.at_file("standard input")),
            Content::Words(words) => {
                Err(Error::invalid(format!("{words:?} are words and no picture")))
            }
        }
    }

    fn standard_input(&self) -> Result<&[u8]> {
        if let Some(bytes) = self.standard_input.get() {
            return Ok(bytes);
        }
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .take(Limits::default().file_bytes + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io("cannot read the picture on standard input", e))?;
        Ok(self.standard_input.get_or_init(|| bytes))
    }

    fn find(&self, id: &ItemId) -> Result<usize> {
        self.index.find(id)?.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("no item {:?} in this index; a search shows the names", id.as_str()),
            )
        })
    }
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
