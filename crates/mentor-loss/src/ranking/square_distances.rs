//! Distances of rows to columns, the first of the two large pieces of arithmetic.

use pulp::{Simd, WithSimd};

use super::simd::WIDTH;

/// Squared Euclidean distances of rows to columns: `out[r][j] = Σ_k (rows[r][k] − columns[j][k])²`.
///
/// Differences, not a Gram matrix: nothing cancels, equal points are exactly 0 apart, the result does not
/// depend on which of the two is the row, and numbers without rounding (a lattice) give distances without.
/// On processors that add and multiply side by side it costs what a matrix product costs.
pub(super) struct SquareDistances<'a, 'b> {
    /// `[R / WIDTH][width][WIDTH]`, see [`panels`]; the last may hold more rows than `out`.
    pub(super) rows: &'a [f64],
    /// The same of the columns.
    pub(super) columns: &'a [f64],
    pub(super) width: usize,
    /// `[R]` rows, each as long as there are columns.
    pub(super) out: &'a mut [&'b mut [f64]],
    /// Whether to take the root.
    pub(super) root: bool,
}

/// Rows `[N, width]` in panels: groups of [`WIDTH`] rows, transposed, up to `num_rows` with rows of zeros.
pub(super) fn panels(rows: &[f64], width: usize, num_rows: usize) -> Vec<f64> {
    let mut panels = vec![0.0; num_rows * width];
    if width > 0 {
        for (panel, group) in panels.chunks_exact_mut(WIDTH * width).zip(rows.chunks(WIDTH * width)) {
            for (lane, row) in group.chunks_exact(width).enumerate() {
                for (column, &value) in panel.chunks_exact_mut(WIDTH).zip(row) {
                    column[lane] = value;
                }
            }
        }
    }
    panels
}

impl WithSimd for SquareDistances<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // As many rows at once as the registers hold sums for.
        match S::F64_LANES {
            8 => self.run::<S, 8, 1>(simd),
            4 => self.run::<S, 4, 2>(simd),
            2 => self.run::<S, 4, 4>(simd),
            _ => self.run::<S, 1, 8>(simd),
        }
    }
}

impl SquareDistances<'_, '_> {
    /// `R` rows at once, with `V` vectors in [`WIDTH`] columns.
    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) {
        if self.width == 0 {
            self.out.iter_mut().for_each(|row| row.fill(0.0));
            return;
        }
        let panel_size = WIDTH * self.width;
        for (panel, columns) in self.columns.chunks_exact(panel_size).enumerate() {
            let (columns, _) = S::as_simd_f64s(columns);
            for (rows, out) in self.rows.chunks_exact(panel_size).zip(self.out.chunks_mut(WIDTH)) {
                for first in (0..out.len()).step_by(R) {
                    let mut sums = [[simd.splat_f64s(0.0); V]; R];
                    for (column, row) in columns.chunks_exact(V).zip(rows.as_chunks::<WIDTH>().0) {
                        for (sums, &value) in sums.iter_mut().zip(&row[first..first + R]) {
                            accumulate(simd, sums, value, column);
                        }
                    }
                    for (out, sums) in out[first..].iter_mut().zip(sums) {
                        let (out, _) = S::as_mut_simd_f64s(&mut out[panel * WIDTH..][..WIDTH]);
                        for (out, sum) in out.iter_mut().zip(sums) {
                            *out = if self.root { simd.sqrt_f64s(sum) } else { sum };
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn accumulate<S: Simd, const V: usize>(simd: S, sums: &mut [S::f64s; V], value: f64, column: &[S::f64s]) {
    let value = simd.splat_f64s(value);
    for (sum, &column) in sums.iter_mut().zip(column) {
        let difference = simd.sub_f64s(column, value);
        *sum = simd.mul_add_e_f64s(difference, difference, *sum);
    }
}
