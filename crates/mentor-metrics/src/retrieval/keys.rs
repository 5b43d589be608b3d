//! What the neighbours of a query are ordered by, for some queries and the whole gallery at once.

use std::ops::Range;

use mentor_simd::{PairTerm, Panels};

use super::distance::cosine_key;
use super::embeddings::{Embeddings, Metric};

/// Queries and gallery as the distances of all pairs take them.
pub(super) struct Keys {
    metric: Metric,
    /// Absent where the queries are the gallery.
    queries: Option<Side>,
    gallery: Side,
}

/// Embeddings in `f64`, and for the cosine the squares of their lengths.
struct Side {
    panels: Panels,
    squares: Vec<f64>,
}

impl Side {
    fn new(metric: Metric, embeddings: &Embeddings<'_>) -> Self {
        let squares = match metric {
            Metric::Euclidean => Vec::new(),
            Metric::Cosine => {
                let rows = embeddings.values().chunks_exact(embeddings.dim());
                rows.map(|row| row.iter().map(|&x| f64::from(x).powi(2)).sum()).collect()
            }
        };
        Self { panels: Panels::new(embeddings.values(), embeddings.dim()), squares }
    }
}

impl Keys {
    /// Of `queries` against `gallery`, or against each other.
    pub(super) fn new(metric: Metric, queries: &Embeddings<'_>, gallery: Option<&Embeddings<'_>>) -> Self {
        let queries = Side::new(metric, queries);
        match gallery {
            Some(gallery) => Self { metric, queries: Some(queries), gallery: Side::new(metric, gallery) },
            None => Self { metric, queries: None, gallery: queries },
        }
    }

    /// Keys of one query: of each gallery sample, and some that mean nothing.
    pub(super) fn stride(&self) -> usize {
        self.gallery.panels.stride()
    }

    /// Writes ‖a − b‖², or 2·(1 − cosine), of each of these queries with each gallery sample: `out` becomes
    /// `[queries, stride]`. The queries start at a multiple of eight.
    pub(super) fn of(&self, queries: Range<usize>, out: &mut Vec<f64>) {
        let stride = self.stride();
        out.resize(queries.len() * stride, 0.0);
        if stride == 0 {
            return;
        }
        let side = self.queries.as_ref().unwrap_or(&self.gallery);
        let term = match self.metric {
            Metric::Euclidean => PairTerm::SquaredDistance,
            Metric::Cosine => PairTerm::Product,
        };
        let mut rows: Vec<&mut [f64]> = out.chunks_exact_mut(stride).collect();
        side.panels.sums(term, queries.clone(), &self.gallery.panels, 0, &mut rows);
        if self.metric == Metric::Cosine {
            for (row, query) in rows.into_iter().zip(queries) {
                for (key, square) in row.iter_mut().zip(&self.gallery.squares) {
                    *key = cosine_key(*key, side.squares[query], *square);
                }
            }
        }
    }
}
