//! The nearest neighbour of each of some samples, beside the retrieval of all.

use std::sync::atomic::{AtomicBool, Ordering};

use super::embeddings::{Embeddings, Metric};
use super::error::RetrievalError;
use super::evaluate::evaluate_until;
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
    /// `values` are one row for each of at least one label; `None` once `stop` is set.
    ///
    /// # Errors
    ///
    /// [`RetrievalError`] if the values are no such rows, or not finite.
    pub fn of(
        values: &[f32],
        labels: &[u32],
        metric: Metric,
        stop: &AtomicBool,
    ) -> Result<Option<Self>, RetrievalError> {
        let dim = values.len() / labels.len().max(1);
        let embeddings = Embeddings::new(values, dim)?;
        let options = RetrievalOptions { metric, ..RetrievalOptions::default() };
        let Some(retrieval) = evaluate_until(&embeddings, labels, None, &options, stop)? else {
            return Ok(None);
        };
        let mut nearest_labels = Vec::with_capacity(labels.len());
        for (sample, query) in values.chunks_exact(dim).enumerate() {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let found = nearest(&embeddings, query, 2, metric)?;
            let other = found.iter().find(|neighbour| neighbour.index != sample);
            // A lone sample has no other; no label is this one.
            nearest_labels.push(other.map_or(u32::MAX, |neighbour| labels[neighbour.index]));
        }
        Ok(Some(Self { dim, retrieval, nearest_labels }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f32], labels: &[u32]) -> Neighbourhoods {
        Neighbourhoods::of(values, labels, Metric::Euclidean, &AtomicBool::new(false)).unwrap().unwrap()
    }

    #[test]
    fn three_samples_on_a_line() {
        let found = of(&[0.0, 1.0, 3.0], &[0, 0, 1]);
        assert_eq!((found.dim, found.nearest_labels.as_slice()), (1, [0, 0, 0].as_slice()));
        assert_eq!(found.retrieval.precision_at_1, Some(1.0), "the lone sample is left out");
    }

    #[test]
    fn a_copy_is_a_neighbour_and_not_the_sample_itself() {
        let found = of(&[2.0, 2.0, 2.0], &[0, 1, 1]);
        assert_eq!(found.nearest_labels, [1, 0, 0]);
    }
}
