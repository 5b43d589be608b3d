//! Embeddings as they come, and their exact distances.

use serde::{Deserialize, Serialize};

use super::error::RetrievalError;

/// What near means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// ‖a − b‖. The squared distance gives the same order.
    #[default]
    Euclidean,
    /// 1 − a·b / (‖a‖ ‖b‖), and 1 where one of them has length 0.
    Cosine,
}

/// Samples as rows of finite values.
#[derive(Clone, Copy, Debug)]
pub struct Embeddings<'a> {
    values: &'a [f32],
    dim: usize,
}

impl<'a> Embeddings<'a> {
    /// `values` are `[sample, dim]`. No values are no samples.
    ///
    /// # Errors
    ///
    /// If `dim` is 0 or does not divide the number of values, a value is not finite, or there are more than
    /// `u32::MAX` samples.
    pub fn new(values: &'a [f32], dim: usize) -> Result<Self, RetrievalError> {
        if dim == 0 || !values.len().is_multiple_of(dim) {
            return Err(RetrievalError::Shape { num_values: values.len(), dim });
        }
        if let Some(place) = values.iter().position(|value| !value.is_finite()) {
            let (row, column) = (place / dim, place % dim);
            return Err(RetrievalError::NotFinite { row, column, value: values[place] });
        }
        let count = values.len() / dim;
        if u32::try_from(count).is_err() {
            return Err(RetrievalError::TooMany { count });
        }
        Ok(Self { values, dim })
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Values of a sample.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All values, `[sample, dim]`.
    pub(super) fn values(&self) -> &'a [f32] {
        self.values
    }

    /// Sample `index`.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`Embeddings::len`].
    pub fn row(&self, index: usize) -> &'a [f32] {
        &self.values[index * self.dim..][..self.dim]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embeddings_are_whole_finite_rows() {
        assert_eq!(Embeddings::new(&[], 3).unwrap().len(), 0);
        assert!(matches!(Embeddings::new(&[1.0], 0).unwrap_err(), RetrievalError::Shape { .. }));
        assert!(matches!(Embeddings::new(&[1.0; 3], 2).unwrap_err(), RetrievalError::Shape { .. }));
        let error = Embeddings::new(&[0.0, 1.0, 2.0, f32::INFINITY], 2).unwrap_err();
        assert_eq!(error.to_string(), "embedding 1 has the value inf at 1");
    }
}
