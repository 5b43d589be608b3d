//! Dense symmetric matrices in `f32`: Gram matrices of rows, their Cholesky factors, and solving with them.
//!
//! A matrix approximates a block of the Hessian. What it lacks in digits costs iterations, never correctness.

use mentor_simd::dispatch;
use pulp::{Simd, WithSimd};

/// Columns that a tile has.
const TILE: usize = 32;
/// Rows of a tile, and of a block of the factorisation.
const TILE_ROWS: usize = 8;
/// Rows that are summed while a tile is in registers.
const DEPTH: usize = 256;

/// The upper half of a symmetric matrix, rows padded to whole tiles.
#[derive(Clone, Debug)]
pub(crate) struct Symmetric {
    values: Vec<f32>,
    len: usize,
    stride: usize,
}

impl Symmetric {
    /// scale · Σ r rᵀ + diagonal, over the rows r of `rows`, `[any, stride_of(len)]` with zeros past `len`.
    pub(crate) fn gram(rows: &[f32], len: usize, scale: f32, diagonal: impl Fn(usize) -> f32) -> Self {
        let stride = Self::stride_of(len);
        let mut values = vec![0.0; stride * stride];
        subtract_outer(rows, stride, 0, &mut values);
        for (row, values) in values.chunks_exact_mut(stride).enumerate() {
            values.iter_mut().for_each(|value| *value *= -scale);
            values[row] += if row < len { diagonal(row) } else { 1.0 };
        }
        Self { values, len, stride }
    }

    /// Completes the lower half, for [`Symmetric::row`].
    pub(crate) fn mirror(&mut self) {
        for row in 0..self.stride {
            for column in 0..row {
                self.values[row * self.stride + column] = self.values[column * self.stride + row];
            }
        }
    }

    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.stride..][..self.stride]
    }

    /// Numbers of a padded row.
    pub(crate) fn stride_of(len: usize) -> usize {
        len.next_multiple_of(TILE)
    }

    /// The factor U of M = UᵀU in place of M. A pivot that rounding has made too small is raised.
    pub(crate) fn factorise(mut self) -> Cholesky {
        let stride = self.stride;
        let diagonal: Vec<f32> = (0..stride).map(|row| self.values[row * stride + row]).collect();
        for first in (0..stride).step_by(TILE) {
            let (done, rest) = self.values.split_at_mut(first * stride);
            subtract_outer(done, stride, first, &mut rest[..TILE * stride]);
            for row in first..first + TILE {
                let (above, own) = rest[..(row - first + 1) * stride].split_at_mut((row - first) * stride);
                let own = &mut own[row..stride];
                for above in above.chunks_exact(stride) {
                    let factor = above[row];
                    dispatch(Axpy { factor: -factor, x: &above[row..], y: own });
                }
                let pivot = own[0].max(diagonal[row] * 1e-6).max(f32::MIN_POSITIVE).sqrt();
                own[0] = pivot * pivot;
                own.iter_mut().for_each(|value| *value /= pivot);
            }
        }
        Cholesky(self)
    }
}

/// The upper factor of a matrix.
#[derive(Clone, Debug)]
pub(crate) struct Cholesky(Symmetric);

impl Cholesky {
    /// M⁻¹r in place of r.
    pub(crate) fn solve(&self, right: &mut [f32]) {
        let Symmetric { values, len, stride } = &self.0;
        let right = &mut right[..*len];
        let rows = || values.chunks_exact(*stride).take(*len).enumerate();
        for (row, values) in rows() {
            let (head, tail) = right[row..].split_at_mut(1);
            head[0] /= values[row];
            dispatch(Axpy { factor: -head[0], x: &values[row + 1..*len], y: tail });
        }
        for (row, values) in rows().rev() {
            let (head, tail) = right[row..].split_at_mut(1);
            head[0] = (head[0] - dispatch(Dot { x: &values[row + 1..*len], y: tail })) / values[row];
        }
    }
}

/// out −= rowsᵀ rows, for the rows of the matrix from `first` on, and columns at or after each tile of the
/// diagonal.
fn subtract_outer(rows: &[f32], stride: usize, first: usize, out: &mut [f32]) {
    let mut panel = Vec::new();
    for rows in rows.chunks(DEPTH * stride) {
        for column in (first..stride).step_by(TILE) {
            panel.clear();
            for row in rows.chunks_exact(stride) {
                panel.extend_from_slice(&row[column..column + TILE]);
            }
            for (tile, out) in out.chunks_exact_mut(TILE_ROWS * stride).enumerate() {
                let left = first + tile * TILE_ROWS;
                if left < column + TILE {
                    dispatch(Tile { rows, panel: &panel, left, column, stride, out });
                }
            }
        }
    }
}

struct Tile<'a> {
    rows: &'a [f32],
    panel: &'a [f32],
    left: usize,
    column: usize,
    stride: usize,
    out: &'a mut [f32],
}

impl WithSimd for Tile<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.run::<S, 2, 8>(simd),
            8 => self.run::<S, 4, 2>(simd),
            4 => self.run::<S, 8, 1>(simd),
            _ => self.run::<S, 32, 1>(simd),
        }
    }
}

impl Tile<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize, const R: usize>(self, simd: S) {
        for part in (0..TILE_ROWS).step_by(R) {
            let mut sums = [[simd.splat_f32s(0.0); V]; R];
            let rows = self.rows.chunks_exact(self.stride);
            for (row, panel) in rows.zip(self.panel.chunks_exact(TILE)) {
                let left = &row[self.left + part..][..R];
                let panel = &S::as_simd_f32s(panel).0[..V];
                for (sums, &value) in sums.iter_mut().zip(left) {
                    let value = simd.splat_f32s(value);
                    for (sum, &column) in sums.iter_mut().zip(panel) {
                        *sum = simd.mul_add_e_f32s(value, column, *sum);
                    }
                }
            }
            for (row, sums) in sums.iter().enumerate() {
                let out = &mut self.out[(part + row) * self.stride + self.column..][..TILE];
                for (out, &sum) in S::as_mut_simd_f32s(out).0.iter_mut().zip(sums) {
                    *out = simd.sub_f32s(*out, sum);
                }
            }
        }
    }
}

/// y += factor · x
struct Axpy<'a> {
    factor: f32,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Axpy<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let len = self.y.len();
        let (x, x_rest) = S::as_simd_f32s(&self.x[..len]);
        let (y, y_rest) = S::as_mut_simd_f32s(self.y);
        let factor = simd.splat_f32s(self.factor);
        for (y, &x) in y.iter_mut().zip(x) {
            *y = simd.mul_add_e_f32s(factor, x, *y);
        }
        for (y, &x) in y_rest.iter_mut().zip(x_rest) {
            *y += self.factor * x;
        }
    }
}

struct Dot<'a> {
    x: &'a [f32],
    y: &'a [f32],
}

impl WithSimd for Dot<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let (x, x_rest) = S::as_simd_f32s(self.x);
        let (y, y_rest) = S::as_simd_f32s(self.y);
        let mut sums = [simd.splat_f32s(0.0); 4];
        for (x, y) in x.chunks(4).zip(y.chunks(4)) {
            for (sum, (&x, &y)) in sums.iter_mut().zip(x.iter().zip(y)) {
                *sum = simd.mul_add_e_f32s(x, y, *sum);
            }
        }
        let [a, b, c, d] = sums;
        let sum = simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d)));
        sum + x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum::<f32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solving_undoes_multiplying() {
        for len in [1, 7, 32, 45, 100] {
            let stride = Symmetric::stride_of(len);
            let num_rows = 2 * len + 300;
            let value = |place: usize| ((place * 7919 + 13) % 101) as f32 / 101.0 - 0.5;
            let mut rows = vec![0.0; num_rows * stride];
            for (row, values) in rows.chunks_exact_mut(stride).enumerate() {
                values[..len].iter_mut().enumerate().for_each(|(k, v)| *v = value(row * len + k * k));
            }
            let solution: Vec<f32> = (0..len).map(|k| value(3 * k + 5)).collect();
            let mut right: Vec<f32> = solution.iter().map(|x| 0.25 * x).collect();
            for row in rows.chunks_exact(stride) {
                let product: f32 = row.iter().zip(&solution).map(|(a, b)| a * b).sum();
                right.iter_mut().zip(row).for_each(|(right, a)| *right += 0.5 * product * a);
            }
            Symmetric::gram(&rows, len, 0.5, |_| 0.25).factorise().solve(&mut right);
            let worst = right.iter().zip(&solution).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-3, "{len}: {worst}");
        }
    }
}
