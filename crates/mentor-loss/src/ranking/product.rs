//! A matrix product added to what is there, the second of the two large pieces of arithmetic.

use pulp::{Simd, WithSimd};

use super::simd::Element;

/// `out[i] += Σ_k weight(i, k) · x[k]`.
pub(super) struct AddProduct<'a, T, F> {
    /// Asked once for each (i, k), in small blocks.
    pub(super) weight: F,
    /// `[K, width]`.
    pub(super) x: &'a [T],
    /// A multiple of [`Element::WIDTH`].
    pub(super) width: usize,
    /// `[I, width]`.
    pub(super) out: &'a mut [T],
}

/// Rows of `out` that share what is loaded of `x`.
const ROWS: usize = 6;
/// Rows of `x` that stay in the cache while all of `out` passes by.
const DEPTH: usize = 128;

impl<T: Element, F: Fn(usize, usize) -> T> WithSimd for AddProduct<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match T::WIDTH * size_of::<T>() / size_of::<T::Vector<S>>() {
            1 => self.run::<S, 1>(simd),
            2 => self.run::<S, 2>(simd),
            4 => self.run::<S, 4>(simd),
            8 => self.run::<S, 8>(simd),
            _ => self.run::<S, 16>(simd),
        }
    }
}

impl<T: Element, F: Fn(usize, usize) -> T> AddProduct<'_, T, F> {
    /// With `V` vectors in [`Element::WIDTH`] numbers.
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let Self { weight, x, width, out } = self;
        if width == 0 {
            return;
        }
        for (block, x) in x.chunks(DEPTH * width).enumerate() {
            for (group, out) in out.chunks_mut(ROWS * width).enumerate() {
                let rows = out.len() / width;
                let mut packed = [[T::default(); ROWS]; DEPTH];
                for (k, packed) in packed.iter_mut().enumerate().take(x.len() / width) {
                    for (row, packed) in packed.iter_mut().enumerate().take(rows) {
                        *packed = weight(ROWS * group + row, DEPTH * block + k);
                    }
                }
                for column in (0..width).step_by(T::WIDTH) {
                    add_columns::<T, S, V>(simd, &packed, x, width, column, out);
                }
            }
        }
    }
}

/// Adds to up to [`ROWS`] rows of `out` the `V` vectors from `column` on.
#[inline(always)]
fn add_columns<T: Element, S: Simd, const V: usize>(
    simd: S,
    weights: &[[T; ROWS]],
    x: &[T],
    width: usize,
    column: usize,
    out: &mut [T],
) {
    let mut sums = [[T::splat(simd, T::default()); V]; ROWS];
    for (x, weights) in x.chunks_exact(width).zip(weights) {
        let x = T::vectors::<S>(&x[column..][..T::WIDTH]);
        for (sums, &weight) in sums.iter_mut().zip(weights) {
            let weight = T::splat(simd, weight);
            for (sum, &x) in sums.iter_mut().zip(x) {
                *sum = T::mul_add(simd, weight, x, *sum);
            }
        }
    }
    for (out, sums) in out.chunks_exact_mut(width).zip(sums) {
        for (out, sum) in T::vectors_mut::<S>(&mut out[column..][..T::WIDTH]).iter_mut().zip(sums) {
            *out = T::add(simd, *out, sum);
        }
    }
}
