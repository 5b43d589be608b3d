//! The nearest neighbour of each of some samples, beside the retrieval of all.

use super::embeddings::{Embeddings, Metric};
use super::error::RetrievalError;
use super::evaluate::evaluate;
use super::measures::{Retrieval, RetrievalOptions};
use super::nearest::nearest;

/// What the embeddings of some samples find among each other.
pub struct Neighbourhoods {
    /// Values of an embedding.
    pub dim: usize,
    /// Retrieval of the samples among each other.
    pub retrieval: Retrieval,
    /// Of each sample, the label of its nearest other one; of equally near ones the first.
    pub nearest_labels: Vec<u32>,
}

impl Neighbourhoods {
    /// `values` are one row for each of at least two labels.
    ///
    /// # Errors
    ///
    /// [`RetrievalError`] if the values are no such rows, or not finite.
    pub fn of(values: &[f32], labels: &[u32], metric: Metric) -> Result<Self, RetrievalError> {
        let dim = values.len() / labels.len().max(1);
        let embeddings = Embeddings::new(values, dim)?;
        let options = RetrievalOptions { metric, ..RetrievalOptions::default() };
        let retrieval = evaluate(&embeddings, labels, None, &options)?;
        let mut nearest_labels = Vec::with_capacity(labels.len());
        for (sample, query) in values.chunks_exact(dim).enumerate() {
            let found = nearest(&embeddings, query, 2, metric)?;
            let other = found.iter().find(|neighbour| neighbour.index != sample);
            // A lone sample has no other; no label is this one.
            nearest_labels.push(other.map_or(u32::MAX, |neighbour| labels[neighbour.index]));
        }
        Ok(Self { dim, retrieval, nearest_labels })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_samples_on_a_line() {
        let found = Neighbourhoods::of(&[0.0, 1.0, 3.0], &[0, 0, 1], Metric::Euclidean).unwrap();
        assert_eq!((found.dim, found.nearest_labels.as_slice()), (1, [0, 0, 0].as_slice()));
        assert_eq!(found.retrieval.precision_at_1, 1.0, "the lone sample is left out");
    }

    #[test]
    fn a_copy_is_a_neighbour_and_not_the_sample_itself() {
        let found = Neighbourhoods::of(&[2.0, 2.0, 2.0], &[0, 1, 1], Metric::Euclidean).unwrap();
        assert_eq!(found.nearest_labels, [1, 0, 0]);
    }
}
