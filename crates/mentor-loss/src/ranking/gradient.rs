//! The gradient of the embeddings, from the weights of a block of anchors: two matrix products.

use mentor_simd::dispatch;
use rayon::prelude::*;

use super::element::Element;
use super::points::Points;
use super::product::{AddToAnchors, AddToSamples, Weights};
use super::sink::Weighed;
use crate::Distance;

/// Samples that are multiplied together: their weights stay in the cache for both products.
const COLUMNS: usize = 128;

/// Samples that one task takes: enough tasks for some threads, and, since each has sums of its own for the
/// anchors, not too many. A function of N alone, so that threads do not change the order of a sum.
fn task_columns(num_samples: usize) -> usize {
    (num_samples / 8).clamp(COLUMNS, 2048).next_multiple_of(COLUMNS)
}

/// The embeddings less their mean, as the products take them.
pub(super) struct Centred<T> {
    /// `[num_slices, stride, WIDTH]`: some coordinates of all samples, then the next ones; the padding is 0.
    slices: Vec<T>,
    num_slices: usize,
    stride: usize,
}

impl<T: Element> Centred<T> {
    pub(super) fn new(points: &Points) -> Self {
        let stride = points.stride();
        let num_slices = points.dim.div_ceil(T::WIDTH);
        let mut mean = vec![0.0; points.dim];
        for row in points.rows.chunks_exact(points.width.max(1)) {
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / points.num_samples as f64);
        }
        let mut slices = vec![T::default(); num_slices * stride * T::WIDTH];
        for (slice, out) in slices.chunks_exact_mut(stride * T::WIDTH).enumerate() {
            let first = slice * T::WIDTH;
            for (out, row) in out.chunks_exact_mut(T::WIDTH).zip(points.rows.chunks_exact(points.width)) {
                for ((out, x), mean) in out.iter_mut().zip(&row[first..]).zip(&mean[first..]) {
                    *out = T::narrow(x - mean);
                }
            }
        }
        Self { slices, num_slices, stride }
    }

    /// Some coordinates of `count` samples from `first` on, `[count, WIDTH]`.
    fn slice(&self, slice: usize, first: usize, count: usize) -> &[T] {
        &self.slices[(slice * self.stride + first) * T::WIDTH..][..count * T::WIDTH]
    }

    /// The distance below which the products lose too much of the difference of an embedding and another:
    /// they take each of them by itself.
    pub(super) fn near(&self, distance: Distance, row: usize) -> f64 {
        let slices = (0..self.num_slices).flat_map(|slice| self.slice(slice, row, 1));
        let square = T::NEAR.powi(2) * slices.map(|x| x.widen().powi(2)).sum::<f64>();
        match distance {
            Distance::Euclidean => square.sqrt(),
            Distance::SquaredEuclidean => square,
            Distance::Cosine => 0.5 * square,
        }
    }

    /// Adds Σ w_aj (x_a − x_j) to each anchor a from `start` on, and Σ w_aj (x_j − x_a) to each sample j.
    ///
    /// `weights` are `[anchors, stride]`, a multiple of [`ROWS`](super::product::ROWS) anchors, 0 past the
    /// last one, and 0 for the near pairs, which are pushed one by one.
    pub(super) fn add_gradient(
        &self,
        points: &Points,
        start: usize,
        weights: &[T],
        weighed: &[Weighed],
        gradient: &mut [f64],
    ) {
        if self.num_slices == 0 {
            return;
        }
        let width = points.width;
        let task_columns = task_columns(points.num_samples);
        let tasks = gradient.par_chunks_mut(task_columns * width).enumerate();
        let of_anchors: Vec<Vec<f64>> = tasks
            .map(|(task, part)| self.add_to_samples(start, weights, task * task_columns, width, part))
            .collect();
        let num_anchors = weights.len() / self.stride;
        let mut products = vec![0.0; num_anchors * self.num_slices * T::WIDTH];
        for part in of_anchors {
            products.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
        }
        let totals: Vec<f64> = weighed.iter().map(|weighed| weighed.total).collect();
        let of_anchors = &mut gradient[start * width..][..totals.len() * width];
        for (slice, products) in products.chunks_exact(num_anchors * T::WIDTH).enumerate() {
            let x = self.slice(slice, start, totals.len());
            dispatch(|| add(of_anchors, width, slice * T::WIDTH, (x, &totals), products));
        }
        for (anchor, weighed) in (start..).zip(weighed) {
            for &(sample, weight) in &weighed.near_pairs {
                points.push(gradient, anchor, sample, weight);
            }
        }
    }

    /// Adds to the `gradient` of the samples from `first` on; gives Σ w_aj x_j over them,
    /// `[num_slices, anchors, WIDTH]`.
    fn add_to_samples(
        &self,
        start: usize,
        weights: &[T],
        first: usize,
        width: usize,
        gradient: &mut [f64],
    ) -> Vec<f64> {
        let num_anchors = weights.len() / self.stride;
        let mut of_anchors = vec![T::default(); num_anchors * self.num_slices * T::WIDTH];
        let mut of_samples = vec![T::default(); COLUMNS * T::WIDTH];
        for (part, gradient) in gradient.chunks_mut(COLUMNS * width).enumerate() {
            let first = first + part * COLUMNS;
            let count = COLUMNS.min(self.stride - first);
            let weights = Weights { values: weights, stride: self.stride, first, count };
            let totals = dispatch(|| column_sums(weights));
            for (slice, of_anchors) in of_anchors.chunks_exact_mut(num_anchors * T::WIDTH).enumerate() {
                let x = self.slice(slice, first, count);
                dispatch(AddToAnchors { weights, x, out: of_anchors });
                let of_samples = &mut of_samples[..count * T::WIDTH];
                of_samples.fill(T::default());
                let anchors = self.slice(slice, start, num_anchors);
                dispatch(AddToSamples { weights, x: anchors, out: of_samples });
                dispatch(|| add(gradient, width, slice * T::WIDTH, (x, &totals), of_samples));
            }
        }
        of_anchors.into_iter().map(T::widen).collect()
    }
}

/// The sum of each column, in `f64`.
#[inline(always)]
fn column_sums<T: Element>(weights: Weights<'_, T>) -> [f64; COLUMNS] {
    let mut sums = [0.0; COLUMNS];
    for row in weights.values.chunks_exact(weights.stride) {
        let row = &row[weights.first..][..weights.count];
        sums.iter_mut().zip(row).for_each(|(sum, weight)| *sum += weight.widen());
    }
    sums
}

/// Adds `total · x − product` to each row of the gradient, in the coordinates from `first` on.
#[inline(always)]
fn add<T: Element, P: Element>(
    gradient: &mut [f64],
    width: usize,
    first: usize,
    (x, totals): (&[T], &[f64]),
    products: &[P],
) {
    let rows = x.chunks_exact(T::WIDTH).zip(totals).zip(products.chunks_exact(T::WIDTH));
    for (gradient, ((x, total), product)) in gradient.chunks_exact_mut(width).zip(rows) {
        let gradient = &mut gradient[first..];
        let count = T::WIDTH.min(gradient.len());
        for ((gradient, x), product) in gradient[..count].iter_mut().zip(x).zip(product) {
            *gradient += total * x.widen() - product.widen();
        }
    }
}
