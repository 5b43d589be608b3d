//! Embeddings as the ranking losses compute with them: `f64`, padded, and grouped by class.

use std::ops::Range;

use mentor_simd::{PairTerm, Panels, WIDTH};
use rayon::prelude::*;

use crate::{Distance, LossError};

/// N embeddings with their classes. Rows are sorted by label, so that the positives of an anchor are a range.
pub(super) struct Points {
    pub(super) distance: Distance,
    pub(super) num_samples: usize,
    /// D.
    pub(super) dim: usize,
    /// D, padded.
    pub(super) width: usize,
    /// `[N, width]`; unit vectors for the cosine.
    pub(super) rows: Vec<f64>,
    /// The rows once more, transposed in groups.
    panels: Panels,
    /// Which sample each row is.
    pub(super) order: Vec<usize>,
    /// The rows of each row's class.
    pub(super) class: Vec<Range<usize>>,
    /// For the cosine: the length of each row before it became a unit vector, 0 where it could not.
    lengths: Vec<f64>,
}

impl Points {
    /// Checks and sorts. `embeddings` is `[N, D]`, row-major, and `labels` is `[N]`.
    pub(super) fn new<T: Copy + Into<f64>>(
        distance: Distance,
        embeddings: &[T],
        labels: &[u32],
    ) -> Result<Self, LossError> {
        let num_samples = labels.len();
        let mismatch = LossError::EmbeddingCount { labels: num_samples, values: embeddings.len() };
        let dim = match num_samples {
            0 if embeddings.is_empty() => 0,
            0 => return Err(mismatch),
            _ if !embeddings.len().is_multiple_of(num_samples) => return Err(mismatch),
            _ => embeddings.len() / num_samples,
        };
        let unusable = |&value: &T| !(value.into() as f32).is_finite();
        if let Some(index) = embeddings.iter().position(unusable) {
            let value = embeddings[index].into();
            return Err(LossError::Embedding { row: index / dim, column: index % dim, value });
        }
        let mut order: Vec<usize> = (0..num_samples).collect();
        order.sort_by_key(|&sample| labels[sample]);
        let mut class = Vec::with_capacity(num_samples);
        for group in order.chunk_by(|&a, &b| labels[a] == labels[b]) {
            let start = class.len();
            class.extend(std::iter::repeat_n(start..start + group.len(), group.len()));
        }
        let width = dim.next_multiple_of(WIDTH);
        let mut rows = vec![0.0; num_samples * width];
        for (row, &sample) in rows.chunks_exact_mut(width.max(1)).zip(&order) {
            for (value, &given) in row.iter_mut().zip(&embeddings[sample * dim..][..dim]) {
                *value = given.into();
            }
        }
        let mut lengths = Vec::new();
        if distance == Distance::Cosine {
            lengths = rows.chunks_exact_mut(width.max(1)).map(normalise).collect();
            lengths.resize(num_samples, 0.0);
        }
        let panels = Panels::with_stride(&rows, width, stride(num_samples));
        Ok(Self { distance, num_samples, dim, width, rows, panels, order, class, lengths })
    }

    /// One row's coordinates.
    pub(super) fn row(&self, row: usize) -> &[f64] {
        &self.rows[row * self.width..][..self.width]
    }

    /// Positives and negatives of the anchor in `row`, if it has both.
    pub(super) fn counts(&self, row: usize) -> Option<(usize, usize)> {
        let size = self.class[row].len();
        let counts = (size - 1, self.num_samples - size);
        (counts.0 > 0 && counts.1 > 0).then_some(counts)
    }

    /// Distances from `rows` to all rows from `columns` on: `out` is `[rows, a whole number of panels]`, and
    /// what lies past the last row means nothing. Both start at a panel.
    pub(super) fn distances(&self, rows: Range<usize>, columns: usize, mut out: Vec<&mut [f64]>) {
        let term = match self.distance {
            Distance::Euclidean => PairTerm::Distance,
            // Half of that of unit vectors is the cosine distance.
            Distance::SquaredEuclidean | Distance::Cosine => PairTerm::SquaredDistance,
        };
        self.panels.sums(term, rows.clone(), &self.panels, columns, &mut out);
        if self.distance == Distance::Cosine {
            for (out, row) in out.into_iter().zip(rows) {
                let end = self.num_samples.min(columns + out.len());
                out.iter_mut().zip(columns..end).for_each(|(d, column)| *d = self.cosine(row, column, *d));
            }
        }
    }

    /// 1 − â·b̂ = ½‖â − b̂‖² of unit vectors; 1 to a zero vector, but 0 from a row to itself.
    pub(super) fn cosine(&self, a: usize, b: usize, square: f64) -> f64 {
        match self.lengths[a] > 0.0 && self.lengths[b] > 0.0 {
            _ if a == b => 0.0,
            true => 0.5 * square,
            false => 1.0,
        }
    }

    /// The gradient `[N, D]` of the samples as they were given, from that of the rows `[N, width]`.
    pub(super) fn gradient(&self, mut of_rows: Vec<f64>, factor: f64) -> Vec<f64> {
        let mut gradient = vec![0.0; self.num_samples * self.dim];
        if self.dim == 0 {
            return gradient;
        }
        if self.distance == Distance::Cosine {
            let rows = self.rows.par_chunks_exact(self.width).zip(&self.lengths);
            of_rows.par_chunks_exact_mut(self.width).zip(rows).for_each(|(gradient, (unit, &length))| {
                let radial: f64 = gradient.iter().zip(unit).map(|(g, u)| g * u).sum();
                for (gradient, unit) in gradient.iter_mut().zip(unit) {
                    *gradient = if length > 0.0 { (*gradient - radial * unit) / length } else { 0.0 };
                }
            });
        }
        for (&sample, row) in self.order.iter().zip(of_rows.chunks_exact(self.width)) {
            for (gradient, row) in gradient[sample * self.dim..][..self.dim].iter_mut().zip(row) {
                // Adding 0 turns −0 into 0.
                *gradient = row * factor + 0.0;
            }
        }
        gradient
    }

    /// What rows of N numbers are padded to: an odd number of panels, because the rows of a matrix whose
    /// width is a multiple of a power of two would all fall on the same few lines of the cache.
    pub(super) fn stride(&self) -> usize {
        stride(self.num_samples)
    }
}

fn stride(num_samples: usize) -> usize {
    (num_samples.div_ceil(WIDTH) | 1) * WIDTH
}

/// Makes a vector one of length 1 and gives the length that it had; a zero vector stays one.
fn normalise(row: &mut [f64]) -> f64 {
    // Divided by the largest first, so that squares neither overflow nor vanish.
    let largest = row.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    if largest == 0.0 {
        return 0.0;
    }
    let length = largest * row.iter().map(|value| (value / largest).powi(2)).sum::<f64>().sqrt();
    row.iter_mut().for_each(|value| *value /= length);
    length
}
