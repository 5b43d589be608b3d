//! K = Q T Qᵀ with T tridiagonal and Q a product of reflections (Householder 1958; Golub and Van Loan 2013,
//! algorithm 8.3.1).
//!
//! The update of a step and the product of the next go over the matrix together, since reading it is what
//! takes the time.

use mentor_simd::dispatch;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Rows of a task.
const ROWS: usize = 32;

/// T, and the reflections that Q consists of.
pub(crate) struct Tridiagonal {
    /// `[n]`.
    pub(crate) diagonal: Vec<f64>,
    /// `[n − 1]`.
    pub(crate) beside: Vec<f64>,
    /// Reflection k is I − τ v vᵀ with v in `[k, k + 1..]` of `[n, n]`.
    reflections: Vec<f64>,
    /// τ, `[n]`; 0 if there is nothing to reflect.
    factors: Vec<f64>,
}

impl Tridiagonal {
    /// Reduces a symmetric matrix `[n, n]`.
    pub(crate) fn of(mut matrix: Vec<f64>, len: usize) -> Self {
        let (mut diagonal, mut beside) = (vec![0.0; len], vec![0.0; len.saturating_sub(1)]);
        let mut factors = vec![0.0; len];
        // The reflection v and the update w that the rows from `k` on still lack, 0 before them.
        let (mut before, mut update) = (vec![0.0; len], vec![0.0; len]);
        let mut vector = vec![0.0; len];
        for k in 0..len {
            let row = &mut matrix[k * len..(k + 1) * len];
            let (v, w) = (before[k], update[k]);
            for column in k..len {
                row[column] -= v * update[column] + w * before[column];
            }
            diagonal[k] = row[k];
            if k + 1 == len {
                break;
            }
            vector.fill(0.0);
            vector[k + 1..].copy_from_slice(&row[k + 1..]);
            let (factor, head) = reflection(&mut vector[k + 1..]);
            (factors[k], beside[k]) = (factor, head);
            // What stands in this row is not read again.
            row[k + 1..].copy_from_slice(&vector[k + 1..]);
            let rest = &mut matrix[(k + 1) * len..];
            let products: Vec<Vec<f64>> = rest
                .par_chunks_mut(ROWS * len)
                .enumerate()
                .map(|(task, rows)| {
                    let first = k + 1 + task * ROWS;
                    dispatch(Step { rows, len, first, from: k + 1, v: &before, w: &update, next: &vector })
                })
                .collect();
            update.fill(0.0);
            update[k + 1..].copy_from_slice(&products.concat());
            update.iter_mut().for_each(|value| *value *= factor);
            let overlap: f64 = update.iter().zip(&vector).map(|(w, v)| w * v).sum();
            update.iter_mut().zip(&vector).for_each(|(w, v)| *w -= 0.5 * factor * overlap * v);
            std::mem::swap(&mut before, &mut vector);
        }
        Self { diagonal, beside, reflections: matrix, factors }
    }

    /// Q times columns `[n, N]` whose rows from `last` on are 0.
    pub(crate) fn apply<const N: usize>(&self, columns: &mut [[f64; N]], last: usize) {
        dispatch(Apply { of: self, columns, last });
    }
}

/// Turns x into v, and returns τ and α with (I − τ v vᵀ) x = α e₁.
fn reflection(x: &mut [f64]) -> (f64, f64) {
    let norm = x.iter().map(|value| value * value).sum::<f64>().sqrt();
    let rest = x[1..].iter().map(|value| value * value).sum::<f64>();
    if rest == 0.0 || !norm.is_normal() {
        let head = x[0];
        x.fill(0.0);
        return (0.0, head);
    }
    let head = -norm.copysign(x[0]);
    x[0] -= head;
    (2.0 / (x[0] * x[0] + rest), head)
}

/// A −= v wᵀ + w vᵀ, and A·next, for some rows.
struct Step<'a> {
    rows: &'a mut [f64],
    len: usize,
    first: usize,
    from: usize,
    v: &'a [f64],
    w: &'a [f64],
    next: &'a [f64],
}

impl WithSimd for Step<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<f64> {
        // Whole vectors: what stands before `from` meets zeros of v, w and next.
        let from = self.from / S::F64_LANES * S::F64_LANES;
        let (v, v_rest) = S::as_simd_f64s(&self.v[from..]);
        let (w, w_rest) = S::as_simd_f64s(&self.w[from..]);
        let (next, next_rest) = S::as_simd_f64s(&self.next[from..]);
        let of_row = |(place, row): (usize, &mut [f64])| {
            let (a, b) = (-self.v[self.first + place], -self.w[self.first + place]);
            let (row, rest) = S::as_mut_simd_f64s(&mut row[from..]);
            let (va, vb) = (simd.splat_f64s(a), simd.splat_f64s(b));
            let mut sums = [simd.splat_f64s(0.0); 2];
            for (place, (((row, &v), &w), &next)) in row.iter_mut().zip(v).zip(w).zip(next).enumerate() {
                *row = simd.mul_add_e_f64s(va, w, simd.mul_add_e_f64s(vb, v, *row));
                sums[place % 2] = simd.mul_add_e_f64s(*row, next, sums[place % 2]);
            }
            let mut sum = simd.reduce_sum_f64s(simd.add_f64s(sums[0], sums[1]));
            for (((row, v), w), next) in rest.iter_mut().zip(v_rest).zip(w_rest).zip(next_rest) {
                *row += a * w + b * v;
                sum += *row * next;
            }
            sum
        };
        self.rows.chunks_exact_mut(self.len).enumerate().map(of_row).collect()
    }
}

struct Apply<'a, const N: usize> {
    of: &'a Tridiagonal,
    columns: &'a mut [[f64; N]],
    last: usize,
}

impl<const N: usize> WithSimd for Apply<'_, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let len = self.columns.len();
        for k in (0..self.last.min(len.saturating_sub(1))).rev() {
            let factor = self.of.factors[k];
            if factor == 0.0 {
                continue;
            }
            let vector = &self.of.reflections[k * len + k + 1..(k + 1) * len];
            let columns = &mut self.columns[k + 1..];
            let mut sums = [0.0; N];
            for (&v, row) in vector.iter().zip(columns.iter()) {
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += v * value;
                }
            }
            sums.iter_mut().for_each(|sum| *sum *= factor);
            for (&v, row) in vector.iter().zip(columns.iter_mut()) {
                for (value, sum) in row.iter_mut().zip(&sums) {
                    *value -= v * sum;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reflections_take_a_matrix_to_a_tridiagonal_one_and_back() {
        for len in [1, 2, 3, 17, 70] {
            let value = |place: usize| ((place * 7919 + 13) % 101) as f64 / 101.0 - 0.5;
            let entry = |row: usize, column: usize| value(row.min(column) * 97 + row.max(column));
            let matrix: Vec<f64> = (0..len * len).map(|place| entry(place / len, place % len)).collect();
            let tridiagonal = Tridiagonal::of(matrix.clone(), len);
            // Q T, column by column, and then its rows by Q again: Q T Qᵀ.
            let half = |rows: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
                let mut out = vec![0.0; len * len];
                for column in 0..len {
                    let mut columns: Vec<[f64; 1]> = (0..len).map(|row| [rows(row, column)]).collect();
                    tridiagonal.apply(&mut columns, len);
                    (0..len).for_each(|row| out[row * len + column] = columns[row][0]);
                }
                out
            };
            let t = |row: usize, column: usize| match row.abs_diff(column) {
                0 => tridiagonal.diagonal[row],
                1 => tridiagonal.beside[row.min(column)],
                _ => 0.0,
            };
            let once = half(&t);
            let twice = half(&|row, column| once[column * len + row]);
            let worst = twice.iter().zip(&matrix).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-12, "{len}: {worst}");
        }
    }
}
