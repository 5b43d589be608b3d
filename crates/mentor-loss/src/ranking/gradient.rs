//! The gradient of the embeddings, from the weights of a block of anchors: two matrix products.

use rayon::prelude::*;

use super::points::Points;
use super::product::AddProduct;
use super::simd::{Element, dispatch};

/// Samples that are multiplied together.
const COLUMNS: usize = 256;

/// Samples that one task takes: enough tasks for some threads, and, since each has sums of its own for the anchors, not
/// too many. A function of N alone, so that threads do not change the order of a sum.
fn task_columns(num_samples: usize) -> usize {
    (num_samples / 8).clamp(64, 2048)
}

/// The embeddings less their mean, as the products take them.
pub(super) struct Centred<T> {
    width: usize,
    rows: Vec<T>,
}

impl<T: Element> Centred<T> {
    pub(super) fn new(points: &Points) -> Self {
        let width = points.dim.next_multiple_of(T::WIDTH);
        let mut mean = vec![0.0; points.dim];
        for row in points.rows.chunks_exact(points.width.max(1)) {
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / points.num_samples as f64);
        }
        let mut rows = vec![T::default(); points.num_samples * width];
        let given = points.rows.chunks_exact(points.width.max(1));
        for (row, given) in rows.chunks_exact_mut(width.max(1)).zip(given) {
            for ((x, given), mean) in row.iter_mut().zip(given).zip(&mean) {
                *x = T::narrow(given - mean);
            }
        }
        Self { width, rows }
    }

    /// Adds Σ w_aj (x_a − x_j) to each anchor a from `start` on, and Σ w_aj (x_j − x_a) to each sample j.
    /// `totals` are the sums of the rows of `weights`.
    pub(super) fn add_gradient(
        &self,
        points: &Points,
        start: usize,
        weights: &[T],
        totals: &[f64],
        gradient: &mut [f64],
    ) {
        let (width, stride) = (self.width, points.stride());
        if width == 0 {
            return;
        }
        let anchors = &self.rows[start * width..(start + totals.len()) * width];
        let task_columns = task_columns(points.num_samples);
        let samples = self.rows.par_chunks(task_columns * width).enumerate();
        let tasks = gradient.par_chunks_mut(task_columns * points.width).zip(samples);
        let partial = |(gradient, (task, samples)): (&mut [f64], (usize, &[T]))| {
            let mut of_anchors = vec![T::default(); anchors.len()];
            let mut of_samples = vec![T::default(); COLUMNS * width];
            let mut totals = [0.0; COLUMNS];
            let parts = gradient.chunks_mut(COLUMNS * points.width).zip(samples.chunks(COLUMNS * width));
            for (part, (gradient, samples)) in parts.enumerate() {
                let column = task * task_columns + part * COLUMNS;
                let of_samples = &mut of_samples[..samples.len()];
                let weight = |i: usize, k: usize| -weights[i * stride + column + k];
                dispatch(AddProduct { weight, x: samples, width, out: &mut of_anchors });
                of_samples.fill(T::default());
                let weight = |i: usize, k: usize| -weights[k * stride + column + i];
                dispatch(AddProduct { weight, x: anchors, width, out: of_samples });
                totals.fill(0.0);
                let num_columns = samples.len() / width;
                for row in weights.chunks_exact(stride) {
                    let row = &row[column..][..num_columns];
                    totals.iter_mut().zip(row).for_each(|(total, &weight)| *total += weight.widen());
                }
                let rows = samples.chunks_exact(width).zip(of_samples.chunks_exact(width)).zip(&totals);
                for (gradient, ((x, product), &total)) in gradient.chunks_exact_mut(points.width).zip(rows) {
                    add(gradient, x, total);
                    add(gradient, product, 1.0);
                }
            }
            of_anchors
        };
        let partials: Vec<Vec<T>> = tasks.map(partial).collect();
        for (row, (x, &total)) in anchors.chunks_exact(width).zip(totals).enumerate() {
            let gradient = &mut gradient[(start + row) * points.width..][..points.width];
            add(gradient, x, total);
            for partial in &partials {
                add(gradient, &partial[row * width..][..width], 1.0);
            }
        }
    }
}

/// Adds `factor` times a row, whose padding may be longer.
fn add<T: Element>(gradient: &mut [f64], row: &[T], factor: f64) {
    for (gradient, &value) in gradient.iter_mut().zip(row) {
        *gradient += factor * value.widen();
    }
}
