//! Embeddings as they come, their exact distances, and the form that a matrix product takes.

use serde::{Deserialize, Serialize};

use super::RetrievalError;

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
    /// If `dim` is 0 or does not divide the number of values, a value is not finite, or there are more than `u32::MAX`
    /// samples.
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

    /// Sample `index`.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`Embeddings::len`].
    pub fn row(&self, index: usize) -> &'a [f32] {
        &self.values[index * self.dim..][..self.dim]
    }
}

/// What distances are ordered by: ‖a − b‖², or 2·(1 − cosine), in `f64` from `f32` values.
///
/// The differences of `f32` values are taken before squaring, so that near samples keep their digits, and the order of
/// summation is fixed, so that equal samples have equal keys.
pub(super) fn exact_key(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    match metric {
        Metric::Euclidean => sum(a, b, |a, b| (a - b) * (a - b)),
        Metric::Cosine => {
            let lengths = (sum(a, a, |a, b| a * b) * sum(b, b, |a, b| a * b)).sqrt();
            // The lower bound is for rounding: a cosine of 1 + 1e-16.
            if lengths == 0.0 { 2.0 } else { (2.0 - 2.0 * (sum(a, b, |a, b| a * b) / lengths)).max(0.0) }
        }
    }
}

/// The distance of a key.
pub(super) fn distance(metric: Metric, key: f64) -> f64 {
    match metric {
        Metric::Euclidean => key.sqrt(),
        Metric::Cosine => key / 2.0,
    }
}

/// Σ term(a_i, b_i) in four partial sums, which a processor can hold side by side.
fn sum(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    let mut partial = [0.0_f64; 4];
    let (a, b) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest = a.remainder().iter().zip(b.remainder());
    let rest: f64 = rest.map(|(&a, &b)| term(f64::from(a), f64::from(b))).sum();
    for (a, b) in a.zip(b) {
        for lane in 0..4 {
            partial[lane] += term(f64::from(a[lane]), f64::from(b[lane]));
        }
    }
    (partial[0] + partial[1]) + (partial[2] + partial[3]) + rest
}

/// Queries and gallery moved and scaled so that a product in `f32` orders them nearly as [`exact_key`] does:
/// key ≈ base(query) + base(gallery) − 2·(query · gallery), in units of `exact_key` times a constant.
pub(super) struct Prepared {
    /// `[query, dim]`; absent where the queries are the gallery.
    queries: Option<(Vec<f32>, Vec<f32>)>,
    /// `[sample, dim]`.
    pub(super) gallery: Vec<f32>,
    pub(super) gallery_bases: Vec<f32>,
    metric: Metric,
    dim: usize,
}

impl Prepared {
    /// Euclidean: about the gallery's mean, which takes out what all share, and divided by the largest value, which keeps
    /// squares in the range of `f32`. Cosine: unit length, and zero stays zero.
    pub(super) fn new(metric: Metric, queries: Option<&Embeddings<'_>>, gallery: &Embeddings<'_>) -> Self {
        let dim = gallery.dim;
        let mut mean = vec![0.0; dim];
        let mut scale = 1.0;
        if metric == Metric::Euclidean {
            for row in gallery.values.chunks_exact(dim) {
                mean.iter_mut().zip(row).for_each(|(mean, &value)| *mean += f64::from(value));
            }
            mean.iter_mut().for_each(|mean| *mean /= gallery.len().max(1) as f64);
            let rows = gallery
                .values
                .chunks_exact(dim)
                .chain(queries.iter().flat_map(|q| q.values.chunks_exact(dim)));
            let largest = rows
                .flat_map(|row| row.iter().zip(&mean).map(|(&value, mean)| (f64::from(value) - mean).abs()))
                .fold(0.0, f64::max);
            // A value of the smallest size must not become infinite.
            scale = if largest > 0.0 { (1.0 / largest).min(1e250) } else { 1.0 };
        }
        let place = |embeddings: &Embeddings<'_>| match metric {
            Metric::Euclidean => {
                let mut placed = Vec::with_capacity(embeddings.values.len());
                for row in embeddings.values.chunks_exact(dim) {
                    placed.extend(
                        row.iter()
                            .zip(&mean)
                            .map(|(&value, mean)| ((f64::from(value) - mean) * scale) as f32),
                    );
                }
                let bases = placed.chunks_exact(dim).map(|row| sum(row, row, |a, b| a * b) as f32).collect();
                (placed, bases)
            }
            Metric::Cosine => {
                let mut placed = Vec::with_capacity(embeddings.values.len());
                for row in embeddings.values.chunks_exact(dim) {
                    let length = sum(row, row, |a, b| a * b).sqrt();
                    let unit =
                        |&value: &f32| if length == 0.0 { 0.0 } else { (f64::from(value) / length) as f32 };
                    placed.extend(row.iter().map(unit));
                }
                (placed, vec![1.0; embeddings.len()])
            }
        };
        let (placed, gallery_bases) = place(gallery);
        Self { queries: queries.map(place), gallery: placed, gallery_bases, metric, dim }
    }

    /// The queries from `first` on, `[count, dim]`.
    pub(super) fn queries(&self, first: usize, count: usize) -> &[f32] {
        let values = self.queries.as_ref().map_or(&self.gallery, |(values, _)| values);
        &values[first * self.dim..(first + count) * self.dim]
    }

    /// What does not depend on the gallery in the key of a query.
    pub(super) fn query_base(&self, query: usize) -> f32 {
        self.queries.as_ref().map_or(&self.gallery_bases, |(_, bases)| bases)[query]
    }

    /// How far the approximate and the true key of a gallery sample can differ where either is at most `key`.
    ///
    /// With u = 2⁻²⁴, a product of `f32` errs by at most D·u·‖a‖‖b‖ in any order of summation, and rounding of inputs,
    /// bases and their sum adds less than 16·u·(‖a‖² + ‖b‖²); ‖b‖ ≤ ‖a‖ + √key by the triangle inequality.
    pub(super) fn error_bound(&self, query: usize, key: f64) -> f64 {
        let sizes = match self.metric {
            Metric::Euclidean => {
                let base = f64::from(self.query_base(query));
                let farthest = base.sqrt() + key.max(0.0).sqrt();
                base + farthest * farthest
            }
            Metric::Cosine => 2.0,
        };
        // The last term is for products below the smallest normal number.
        1.01 * (self.dim as f64 + 16.0) * 2_f64.powi(-24) * sizes + 1e-30
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
        assert_eq!(
            error.to_string(),
            "embedding 1 has the value inf at 1; only finite values have distances"
        );
    }

    #[test]
    fn keys_by_hand() {
        let (a, b) = ([3.0, 4.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!(distance(Metric::Euclidean, exact_key(Metric::Euclidean, &a, &b)), 5.0);
        assert_eq!(exact_key(Metric::Cosine, &[2.0, 0.0], &[0.0, 3.0]), 2.0);
        assert_eq!(distance(Metric::Cosine, exact_key(Metric::Cosine, &[2.0, 0.0], &[-5.0, 0.0])), 2.0);
        assert_eq!(exact_key(Metric::Cosine, &[0.0, 0.0], &[0.0, 0.0]), 2.0);
        assert_eq!(
            exact_key(Metric::Euclidean, &[f32::MAX], &[f32::MIN]),
            (2.0 * f64::from(f32::MAX)).powi(2)
        );
    }
}
