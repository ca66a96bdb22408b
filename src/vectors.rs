//! Unit vectors: the currency between encoder, index, eval and map.

use crate::error::{Error, ErrorKind, Result};

/// Unit rows `[n, dim]`, row-major; can only be built normalised and finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors {
    dim: usize,
    rows: Vec<f32>,
}

impl Vectors {
    /// Scales each of the rows `[n, dim]` to length 1.
    ///
    /// Fails with the row's number when a row is not finite or has length 0.
    pub fn normalised(dim: usize, mut rows: Vec<f32>) -> Result<Self> {
        if dim == 0 || !rows.len().is_multiple_of(dim) {
            return Err(Error::new(
                ErrorKind::Mismatch,
                format!("{} values do not make rows of {dim}", rows.len()),
            ));
        }
        for (number, row) in rows.chunks_exact_mut(dim).enumerate() {
            let length = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
            if !length.is_finite() || length == 0.0 {
                return Err(Error::invalid(format!(
                    "vector {number} has length {length}; a unit vector needs a finite length above 0"
                )));
            }
            for x in row {
                *x = (f64::from(*x) / length) as f32;
            }
        }
        Ok(Self { dim, rows })
    }

    /// No rows of size `dim`.
    pub fn empty(dim: usize) -> Self {
        Self { dim, rows: Vec::new() }
    }

    /// Values a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len() / self.dim
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All rows, `[n, dim]` row-major.
    pub fn as_slice(&self) -> &[f32] {
        &self.rows
    }

    /// Row `number`, `[dim]`.
    pub fn row(&self, number: usize) -> &[f32] {
        &self.rows[number * self.dim..][..self.dim]
    }

    /// The rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.rows.chunks_exact(self.dim)
    }

    /// Appends the rows of `other`, which must have the same size.
    pub fn append(&mut self, other: &Self) -> Result<()> {
        if other.dim != self.dim {
            return Err(Error::new(
                ErrorKind::Mismatch,
                format!("vectors of {} and {} values cannot be put together", self.dim, other.dim),
            ));
        }
        self.rows.extend_from_slice(&other.rows);
        Ok(())
    }

    /// The rows with these numbers, in this order.
    #[must_use]
    pub fn select(&self, numbers: &[usize]) -> Self {
        let rows = numbers.iter().flat_map(|&number| self.row(number)).copied().collect();
        Self { dim: self.dim, rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_scaled_to_length_one() {
        let vectors = Vectors::normalised(2, vec![3.0, 4.0, 0.0, -2.0]).unwrap();
        assert_eq!(vectors.as_slice(), [0.6, 0.8, 0.0, -1.0]);
    }

    #[test]
    fn a_row_that_is_zero_or_not_finite_is_refused_by_number() {
        for bad in [0.0, f32::NAN, f32::INFINITY] {
            let error = Vectors::normalised(1, vec![1.0, bad]).unwrap_err();
            assert!(error.to_string().starts_with("vector 1 "), "{error}");
        }
    }

    #[test]
    fn rows_of_another_size_do_not_mix() {
        let mut three = Vectors::empty(3);
        assert!(three.append(&Vectors::empty(2)).is_err());
    }
}
