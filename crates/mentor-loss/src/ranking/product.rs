//! A matrix product added to what is there, the second of the two large pieces of arithmetic.
//!
//! Weights of anchors (rows) and samples (columns) are multiplied from both sides: what the samples give to
//! each anchor, and what the anchors give to each sample. Vectors come in slices of [`Element::WIDTH`]
//! coordinates, so that all that an innermost loop reads of them lies side by side.

use pulp::{Simd, WithSimd};

use super::element::Element;

/// A part of the weights: all anchors of a block, and `count` samples from `first` on.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a, T> {
    /// `[anchors, stride]`, a multiple of [`ROWS`] anchors.
    pub(super) values: &'a [T],
    pub(super) stride: usize,
    pub(super) first: usize,
    /// A multiple of [`ROWS`].
    pub(super) count: usize,
}

/// Rows of a product come in multiples of this.
pub(super) const ROWS: usize = 8;

/// `out[a] += Σ_k weight(a, first + k) · x[k]`.
pub(super) struct AddToAnchors<'a, T> {
    pub(super) weights: Weights<'a, T>,
    /// `[count, WIDTH]`.
    pub(super) x: &'a [T],
    /// `[anchors, WIDTH]`.
    pub(super) out: &'a mut [T],
}

/// `out[k] += Σ_a weight(a, first + k) · x[a]`.
pub(super) struct AddToSamples<'a, T> {
    pub(super) weights: Weights<'a, T>,
    /// `[anchors, WIDTH]`.
    pub(super) x: &'a [T],
    /// `[count, WIDTH]`.
    pub(super) out: &'a mut [T],
}

/// Calls `run` with as many rows at once as the registers hold sums for, and with the vectors in
/// [`Element::WIDTH`] numbers.
macro_rules! run_tiled {
    ($self:ident, $simd:ident) => {
        match T::WIDTH * size_of::<T>() / size_of::<T::Vector<S>>() {
            1 => $self.run::<S, 8, 1>($simd),
            2 => $self.run::<S, 4, 2>($simd),
            4 => $self.run::<S, 2, 4>($simd),
            8 => $self.run::<S, 1, 8>($simd),
            _ => $self.run::<S, 1, 16>($simd),
        }
    };
}

impl<T: Element> WithSimd for AddToAnchors<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        run_tiled!(self, simd);
    }
}

impl<T: Element> WithSimd for AddToSamples<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        run_tiled!(self, simd);
    }
}

impl<T: Element> AddToAnchors<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) {
        let Weights { values, stride, first, count } = self.weights;
        let x = &T::vectors::<S>(self.x)[..count * V];
        for (weights, out) in values.chunks_exact(R * stride).zip(self.out.chunks_exact_mut(R * T::WIDTH)) {
            let rows: [&[T]; R] = std::array::from_fn(|row| &weights[row * stride + first..][..count]);
            let mut sums = [[T::splat(simd, T::default()); V]; R];
            for (k, x) in x.chunks_exact(V).enumerate() {
                for (sums, row) in sums.iter_mut().zip(&rows) {
                    accumulate(simd, sums, row[k], x);
                }
            }
            store(simd, sums, out);
        }
    }
}

impl<T: Element> AddToSamples<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) {
        let Weights { values, stride, first, count } = self.weights;
        let x = T::vectors::<S>(self.x);
        let places = (first..first + count).step_by(R);
        for (place, out) in places.zip(self.out.chunks_exact_mut(R * T::WIDTH)) {
            let mut sums = [[T::splat(simd, T::default()); V]; R];
            for (weights, x) in values.chunks_exact(stride).zip(x.chunks_exact(V)) {
                for (sums, &weight) in sums.iter_mut().zip(&weights[place..place + R]) {
                    accumulate(simd, sums, weight, x);
                }
            }
            store(simd, sums, out);
        }
    }
}

#[inline(always)]
fn accumulate<T: Element, S: Simd, const V: usize>(
    simd: S,
    sums: &mut [T::Vector<S>; V],
    weight: T,
    x: &[T::Vector<S>],
) {
    let weight = T::splat(simd, weight);
    for (sum, &x) in sums.iter_mut().zip(x) {
        *sum = T::mul_add(simd, weight, x, *sum);
    }
}

#[inline(always)]
fn store<T: Element, S: Simd, const R: usize, const V: usize>(
    simd: S,
    sums: [[T::Vector<S>; V]; R],
    out: &mut [T],
) {
    for (out, sum) in T::vectors_mut::<S>(out).iter_mut().zip(sums.as_flattened()) {
        *out = T::add(simd, *out, *sum);
    }
}
