//! The two products that every solver is made of: scores X̃W and correlations X̃ᵀG.
//!
//! X̃ is the data with a last feature of 1, which the bias is the weight of. Classes stand in panels of
//! sixteen, so that a row's scores are whole vectors: weights are `[panels, features + 1, 16]`, and what
//! belongs to samples is `[samples, 16 · panels]`. What stands past the last class is 0.
//!
//! Work is cut into the same parts for any number of threads, and parts are added in order.

use std::ops::Range;

use mentor_simd::dispatch;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::vectors::Real;

/// Classes of a panel.
pub(crate) const PANEL: usize = 16;
/// Rows that go through both products while they are in the cache.
const BLOCK: usize = 48;
/// Parts have no fewer rows than this, and there are at most `MOST_PARTS` of them.
const SMALLEST_PART: usize = 192;
const MOST_PARTS: usize = 64;

/// The data, and how many classes are scored on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    features: &'a [f32],
    pub(crate) num_samples: usize,
    pub(crate) num_features: usize,
    pub(crate) num_classes: usize,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(features: &'a [f32], num_features: usize, num_classes: usize) -> Self {
        Self { features, num_samples: features.len() / num_features, num_features, num_classes }
    }

    /// The same data, scored on so many classes.
    pub(crate) fn with_classes(&self, num_classes: usize) -> Self {
        Self { num_classes, ..*self }
    }

    pub(crate) fn num_panels(&self) -> usize {
        self.num_classes.div_ceil(PANEL)
    }

    /// Numbers that a sample has.
    pub(crate) fn stride(&self) -> usize {
        self.num_panels() * PANEL
    }

    /// Numbers of a panel of weights, the bias included.
    pub(crate) fn panel_len(&self) -> usize {
        (self.num_features + 1) * PANEL
    }

    pub(crate) fn num_weights(&self) -> usize {
        self.num_panels() * self.panel_len()
    }

    /// Where the weight of a class and feature is; feature D is the bias.
    pub(crate) fn weight(&self, class: usize, feature: usize) -> usize {
        class / PANEL * self.panel_len() + feature * PANEL + class % PANEL
    }

    pub(crate) fn row(&self, sample: usize) -> &'a [f32] {
        self.of(sample..sample + 1)
    }

    fn of(&self, rows: Range<usize>) -> &'a [f32] {
        &self.features[rows.start * self.num_features..rows.end * self.num_features]
    }

    /// Σ_i f(i) over all samples, `f` being `[width]` numbers: added to what a part has so far, parts in
    /// order.
    pub(crate) fn sum(&self, width: usize, add: impl Fn(usize, &mut [f64]) + Sync) -> Vec<f64> {
        let part = |rows: Range<usize>| {
            let mut sum = vec![0.0; width];
            rows.for_each(|sample| add(sample, &mut sum));
            sum
        };
        let parts: Vec<Vec<f64>> = self.parts().into_par_iter().map(&part).collect();
        let mut total = vec![0.0; width];
        for part in parts {
            total.iter_mut().zip(part).for_each(|(total, value)| *total += value);
        }
        total
    }

    /// Rows of a part.
    pub(crate) fn part_len(&self) -> usize {
        self.num_samples.div_ceil(MOST_PARTS).max(SMALLEST_PART)
    }

    /// The parts that the work is cut into.
    pub(crate) fn parts(&self) -> Vec<Range<usize>> {
        let len = self.part_len();
        (0..self.num_samples).step_by(len).map(|first| first..(first + len).min(self.num_samples)).collect()
    }

    /// X̃W, `[samples, stride]`.
    pub(crate) fn scores<T: Real>(&self, weights: &[T], out: &mut Vec<T>) {
        out.resize(self.num_samples * self.stride(), T::default());
        let parts = self.parts();
        let chunks = out.par_chunks_mut(self.part_len() * self.stride());
        parts.into_par_iter().zip(chunks).for_each(|(rows, out)| {
            let mut scratch = Vec::new();
            for (rows, out) in blocks(rows).zip(out.chunks_mut(BLOCK * self.stride())) {
                self.block_scores(T::of(self.of(rows), &mut scratch), weights, out);
            }
        });
    }

    /// X̃ᵀG, in the layout of weights; `fill` writes the rows of G, `[samples, stride]`, over zeros.
    pub(crate) fn correlations<T: Real>(&self, fill: impl Fn(Range<usize>, &mut [T]) + Sync) -> Vec<f64> {
        self.sum_of_parts(|rows| {
            let mut sum = vec![T::default(); self.num_weights()];
            let mut scratch = Vec::new();
            let mut values = vec![T::default(); BLOCK * self.stride()];
            for rows in blocks(rows) {
                let values = &mut values[..rows.len() * self.stride()];
                fill(rows.clone(), values);
                self.add_block(T::of(self.of(rows), &mut scratch), values, &mut sum);
            }
            sum
        })
    }

    /// X̃ᵀ f(X̃V) in one pass over the data: `transform` turns the scores of a block of rows into what is
    /// correlated.
    pub(crate) fn through<T: Real>(
        &self,
        weights: &[T],
        transform: impl Fn(Range<usize>, &mut [T]) + Sync,
    ) -> Vec<f64> {
        self.sum_of_parts(|rows| {
            let mut sum = vec![T::default(); self.num_weights()];
            let mut scratch = Vec::new();
            let mut scores = vec![T::default(); BLOCK * self.stride()];
            for rows in blocks(rows) {
                let scores = &mut scores[..rows.len() * self.stride()];
                let features = T::of(self.of(rows.clone()), &mut scratch);
                self.block_scores(features, weights, scores);
                transform(rows, scores);
                self.add_block(features, scores, &mut sum);
            }
            sum
        })
    }

    fn sum_of_parts<T: Real>(&self, part: impl Fn(Range<usize>) -> Vec<T> + Sync) -> Vec<f64> {
        let parts: Vec<Vec<T>> = self.parts().into_par_iter().map(&part).collect();
        let mut total = vec![0.0; self.num_weights()];
        for part in parts {
            total.iter_mut().zip(part).for_each(|(total, value)| *total += value.into());
        }
        total
    }

    fn block_scores<T: Real>(&self, features: &[T], weights: &[T], out: &mut [T]) {
        let (width, stride) = (self.num_features, self.stride());
        for (panel, weights) in weights.chunks_exact(self.panel_len()).enumerate() {
            dispatch(Scores { features, width, weights, out: &mut out[panel * PANEL..], stride });
        }
    }

    fn add_block<T: Real>(&self, features: &[T], values: &[T], out: &mut [T]) {
        let (width, stride) = (self.num_features, self.stride());
        for (panel, out) in out.chunks_exact_mut(self.panel_len()).enumerate() {
            dispatch(Outer { features, width, values: &values[panel * PANEL..], stride, out });
        }
    }
}

fn blocks(rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = rows.end;
    rows.step_by(BLOCK).map(move |first| first..(first + BLOCK).min(end))
}

/// Vectors that hold a panel.
pub(crate) const fn vectors_of_panel<S: Simd, T: Real>() -> usize {
    PANEL * size_of::<T>() / size_of::<T::Vector<S>>()
}

/// Scores of rows for the classes of one panel.
struct Scores<'a, T> {
    features: &'a [T],
    width: usize,
    weights: &'a [T],
    out: &'a mut [T],
    stride: usize,
}

impl<T: Real> WithSimd for Scores<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // As many rows at once as the registers hold sums for.
        match const { vectors_of_panel::<S, T>() } {
            1 => self.run::<S, 1, 12>(simd),
            2 => self.run::<S, 2, 6>(simd),
            4 => self.run::<S, 4, 2>(simd),
            8 => self.run::<S, 8, 1>(simd),
            _ => self.run::<S, 16, 1>(simd),
        }
    }
}

impl<T: Real> Scores<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const V: usize, const R: usize>(self, simd: S) {
        let weights = T::vectors::<S>(self.weights);
        let num_rows = self.features.len() / self.width;
        let whole = num_rows / R * R;
        for row in (0..whole).step_by(R) {
            let features = &self.features[row * self.width..(row + R) * self.width];
            rows_scores::<S, T, V, R>(
                simd,
                features,
                weights,
                &mut self.out[row * self.stride..],
                self.stride,
            );
        }
        for row in whole..num_rows {
            let features = &self.features[row * self.width..(row + 1) * self.width];
            rows_scores::<S, T, V, 1>(
                simd,
                features,
                weights,
                &mut self.out[row * self.stride..],
                self.stride,
            );
        }
    }
}

#[inline(always)]
fn rows_scores<S: Simd, T: Real, const V: usize, const R: usize>(
    simd: S,
    features: &[T],
    weights: &[T::Vector<S>],
    out: &mut [T],
    stride: usize,
) {
    let width = features.len() / R;
    let rows: [&[T]; R] = std::array::from_fn(|row| &features[row * width..][..width]);
    let (weights, bias) = weights.split_at(width * V);
    let mut sums = [[T::splat(simd, T::default()); V]; R];
    for sums in &mut sums {
        sums.copy_from_slice(bias);
    }
    let weights = &weights[..width * V];
    for feature in 0..width {
        let weights = &weights[feature * V..][..V];
        for (sums, row) in sums.iter_mut().zip(&rows) {
            let value = T::splat(simd, row[feature]);
            for (sum, &weight) in sums.iter_mut().zip(weights) {
                *sum = T::mul_add(simd, value, weight, *sum);
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        T::vectors_mut::<S>(&mut out[row * stride..][..PANEL]).copy_from_slice(sums);
    }
}

/// The sum over rows of features times values, for the classes of one panel.
struct Outer<'a, T> {
    features: &'a [T],
    width: usize,
    values: &'a [T],
    stride: usize,
    out: &'a mut [T],
}

impl<T: Real> WithSimd for Outer<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match const { vectors_of_panel::<S, T>() } {
            1 => self.run::<S, 1, 12>(simd),
            2 => self.run::<S, 2, 6>(simd),
            4 => self.run::<S, 4, 2>(simd),
            8 => self.run::<S, 8, 1>(simd),
            _ => self.run::<S, 16, 1>(simd),
        }
    }
}

impl<T: Real> Outer<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const V: usize, const R: usize>(self, simd: S) {
        let out = T::vectors_mut::<S>(self.out);
        let num_rows = self.features.len() / self.width;
        let whole = num_rows / R * R;
        for row in (0..whole).step_by(R) {
            let features = &self.features[row * self.width..(row + R) * self.width];
            add_rows::<S, T, V, R>(simd, features, &self.values[row * self.stride..], self.stride, out);
        }
        for row in whole..num_rows {
            let features = &self.features[row * self.width..(row + 1) * self.width];
            add_rows::<S, T, V, 1>(simd, features, &self.values[row * self.stride..], self.stride, out);
        }
    }
}

#[inline(always)]
fn add_rows<S: Simd, T: Real, const V: usize, const R: usize>(
    simd: S,
    features: &[T],
    values: &[T],
    stride: usize,
    out: &mut [T::Vector<S>],
) {
    let width = features.len() / R;
    let rows: [&[T]; R] = std::array::from_fn(|row| &features[row * width..][..width]);
    let mut factors = [[T::splat(simd, T::default()); V]; R];
    for (row, factors) in factors.iter_mut().enumerate() {
        factors.copy_from_slice(T::vectors::<S>(&values[row * stride..][..PANEL]));
    }
    let (out, bias) = out.split_at_mut(width * V);
    let out = &mut out[..width * V];
    for feature in 0..width {
        let out = &mut out[feature * V..][..V];
        let mut sums = [T::splat(simd, T::default()); V];
        sums.copy_from_slice(out);
        for (row, factors) in rows.iter().zip(&factors) {
            let value = T::splat(simd, row[feature]);
            for (sum, &factor) in sums.iter_mut().zip(factors) {
                *sum = T::mul_add(simd, value, factor, *sum);
            }
        }
        out.copy_from_slice(&sums);
    }
    for factors in &factors {
        for (bias, &factor) in bias.iter_mut().zip(factors) {
            *bias = T::add(simd, *bias, factor);
        }
    }
}
