//! Distances of rows to columns, the first of the two large pieces of arithmetic.

use pulp::{Simd, WithSimd};

use super::simd::WIDTH;

/// Squared Euclidean distances of rows to columns: `out[r][j] = Σ_k (rows[r][k] − columns[j][k])²`.
///
/// Differences, not a Gram matrix: nothing cancels, equal points are exactly 0 apart, the result does not
/// depend on which of the two is the row, and numbers without rounding (a lattice) give distances without.
/// On processors that add and multiply side by side it costs what a matrix product costs.
pub(super) struct SquareDistances<'a> {
    /// `[R, width]`.
    pub(super) rows: &'a [f64],
    /// `[panels][width][WIDTH]`, see [`panels`].
    pub(super) panels: &'a [f64],
    pub(super) width: usize,
    /// `[R]` rows of at least `panels · WIDTH` numbers, each written from its start.
    pub(super) out: Vec<&'a mut [f64]>,
    /// Whether to take the root.
    pub(super) root: bool,
}

/// Rows `[N, width]` as columns: groups of [`WIDTH`] rows, transposed, up to `num_columns` with rows of zeros.
pub(super) fn panels(rows: &[f64], width: usize, num_columns: usize) -> Vec<f64> {
    let mut panels = vec![0.0; num_columns * width];
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

impl WithSimd for SquareDistances<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F64_LANES {
            8 => self.run::<S, 1>(simd),
            4 => self.run::<S, 2>(simd),
            2 => self.run::<S, 4>(simd),
            _ => self.run::<S, 8>(simd),
        }
    }
}

impl SquareDistances<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(mut self, simd: S) {
        if self.width == 0 {
            self.out.iter_mut().for_each(|row| row.fill(0.0));
            return;
        }
        for (panel, columns) in self.panels.chunks_exact(WIDTH * self.width).enumerate() {
            let (columns, _) = S::as_simd_f64s(columns);
            let groups = self.rows.chunks(4 * self.width).zip(self.out.chunks_mut(4));
            for (rows, out) in groups {
                let mut sums = [[simd.splat_f64s(0.0); V]; 4];
                if let [_, _, _, _] = out {
                    let (a, rest) = rows.split_at(self.width);
                    let (b, rest) = rest.split_at(self.width);
                    let (c, d) = rest.split_at(self.width);
                    let rows = a.iter().zip(b).zip(c.iter().zip(d));
                    for (column, ((a, b), (c, d))) in columns.chunks_exact(V).zip(rows) {
                        for (sums, &value) in sums.iter_mut().zip([a, b, c, d]) {
                            accumulate(simd, sums, value, column);
                        }
                    }
                } else {
                    for (sums, row) in sums.iter_mut().zip(rows.chunks_exact(self.width)) {
                        for (column, &value) in columns.chunks_exact(V).zip(row) {
                            accumulate(simd, sums, value, column);
                        }
                    }
                }
                for (out, sums) in out.iter_mut().zip(sums) {
                    let (out, _) = S::as_mut_simd_f64s(&mut out[panel * WIDTH..][..WIDTH]);
                    for (out, sum) in out.iter_mut().zip(sums) {
                        *out = if self.root { simd.sqrt_f64s(sum) } else { sum };
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
        let difference = simd.sub_f64s(value, column);
        *sum = simd.mul_add_e_f64s(difference, difference, *sum);
    }
}
