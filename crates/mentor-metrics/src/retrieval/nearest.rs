//! The nearest neighbours of one query.

use rayon::prelude::*;

use super::distance::{distance, exact_key};
use super::embeddings::{Embeddings, Metric};
use super::error::RetrievalError;

/// A sample of the index and how far it is from the query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// Row in the index.
    pub index: usize,
    /// Distance by the metric.
    pub distance: f64,
}

/// The `k` samples of `index` that are nearest to `query`, nearest first, equal distances by the lower row;
/// all of them where there are fewer. Distances are those of `f64`; a query that is itself in the index finds
/// itself at 0, or an equal one of a lower index.
///
/// Takes one pass over the index.
///
/// # Errors
///
/// If the query's length is not the index's dimension, or one of its values is not finite.
///
/// ```
/// use mentor_metrics::retrieval::{Embeddings, Metric, nearest};
/// let index = Embeddings::new(&[0.0, 0.0, 3.0, 4.0, 0.0, 1.0], 2)?;
/// let found = nearest(&index, &[0.0, 0.0], 2, Metric::Euclidean)?;
/// let found: Vec<_> = found.iter().map(|found| (found.index, found.distance)).collect();
/// assert_eq!(found, [(0, 0.0), (2, 1.0)]);
/// # Ok::<(), mentor_metrics::retrieval::RetrievalError>(())
/// ```
pub fn nearest(
    index: &Embeddings<'_>,
    query: &[f32],
    k: usize,
    metric: Metric,
) -> Result<Vec<Neighbour>, RetrievalError> {
    if query.len() != index.dim() {
        return Err(RetrievalError::Dimensions { queries: query.len(), gallery: index.dim() });
    }
    let _finite = Embeddings::new(query, query.len())?;
    let keys = (0..index.len()).into_par_iter().with_min_len(1024);
    let mut keys: Vec<(f64, usize)> =
        keys.map(|row| (exact_key(metric, query, index.row(row)), row)).collect();
    let order = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    if k < keys.len() {
        keys.select_nth_unstable_by(k, order);
        keys.truncate(k);
    }
    keys.sort_unstable_by(order);
    Ok(keys.into_iter().map(|(key, index)| Neighbour { index, distance: distance(metric, key) }).collect())
}

/// The distance of two embeddings, in `f64`.
///
/// # Panics
///
/// If they differ in length.
pub fn distance_between(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "embeddings of {} and of {} values", a.len(), b.len());
    distance(metric, exact_key(metric, a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_lower_row_and_bad_queries_are_refused() {
        let values = [1.0, -1.0, 1.0, 0.5, -1.0];
        let index = Embeddings::new(&values, 1).unwrap();
        let rows = |k| -> Vec<usize> {
            nearest(&index, &[0.0], k, Metric::Euclidean).unwrap().iter().map(|found| found.index).collect()
        };
        assert!(rows(0).is_empty());
        assert_eq!(rows(3), [3, 0, 1]);
        assert_eq!(rows(9), [3, 0, 1, 2, 4]);
        assert!(nearest(&index, &[0.0, 1.0], 1, Metric::Cosine).is_err());
        assert!(nearest(&index, &[f32::NAN], 1, Metric::Cosine).is_err());
        let empty = Embeddings::new(&[], 1).unwrap();
        assert!(nearest(&empty, &[0.0], 3, Metric::Cosine).unwrap().is_empty());
    }
}
