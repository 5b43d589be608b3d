//! Products of rows with a packed matrix, by tiles whose sums stay in registers.
//!
//! ```text
//! out[m, n] = min(high, max(low, bias[n] + Σ_k left[m, k] · right[k, n] + add[m, n]))
//! ```
//!
//! Each result is one sum in the order of its terms: its bits depend neither on the rows beside it nor on
//! threads.

use pulp::{Simd, WithSimd};

use super::packed::{Packed, tile};

/// Values of left rows that all panels use before the next rows come: they stay in the second-level cache.
const BLOCK_VALUES: usize = 256 << 10;

/// A product and what becomes of it on its way to memory.
pub(crate) struct Product<'a> {
    /// Rows of `right.depth` values, `left_stride` apart.
    pub(crate) left: &'a [f32],
    pub(crate) left_stride: usize,
    pub(crate) rows: usize,
    pub(crate) right: &'a Packed,
    /// `right.columns` values, or none.
    pub(crate) bias: &'a [f32],
    /// What is added to each result, `out_stride` apart.
    pub(crate) add: Option<&'a [f32]>,
    /// The least and the greatest result.
    pub(crate) clamp: [f32; 2],
    /// Rows of `right.columns` values, `out_stride` apart.
    pub(crate) out: &'a mut [f32],
    pub(crate) out_stride: usize,
}

/// No limits.
pub(crate) const ANY: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.blocks::<S, 2, 12>(simd),
            8 => self.blocks::<S, 2, 6>(simd),
            4 => self.blocks::<S, 4, 6>(simd),
            _ => self.blocks::<S, 8, 2>(simd),
        }
    }
}

impl Product<'_> {
    #[inline(always)]
    fn blocks<S: Simd, const V: usize, const R: usize>(mut self, simd: S) {
        debug_assert_eq!(tile(S::F32_LANES), (V, R));
        let Packed { values, depth, columns } = self.right;
        assert_eq!(values.len(), depth * columns);
        assert!(self.bias.is_empty() || self.bias.len() == *columns);
        if self.rows == 0 || *columns == 0 {
            return;
        }
        let (width, depth) = (V * S::F32_LANES, *depth);
        let block = (BLOCK_VALUES / depth.max(1) / R).max(1) * R;
        for start in (0..self.rows).step_by(block) {
            let rows = start..self.rows.min(start + block);
            for (panel, column) in values.chunks(depth.max(1) * width).zip((0..*columns).step_by(width)) {
                if columns - column >= width {
                    self.tiles::<S, V, R>(simd, panel, column, rows.start, rows.end);
                } else {
                    self.tiles::<S, 1, R>(simd, panel, column, rows.start, rows.end);
                }
            }
        }
    }

    #[inline(always)]
    fn tiles<S: Simd, const V: usize, const R: usize>(
        &mut self,
        simd: S,
        panel: &[f32],
        column: usize,
        mut row: usize,
        end: usize,
    ) {
        let panel = S::as_simd_f32s(panel).0.as_chunks::<V>().0;
        while end - row >= R {
            self.tile::<S, V, R>(simd, panel, column, row);
            row += R;
        }
        while end - row >= 4 {
            self.tile::<S, V, 4>(simd, panel, column, row);
            row += 4;
        }
        while row < end {
            self.tile::<S, V, 1>(simd, panel, column, row);
            row += 1;
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const V: usize, const R: usize>(
        &mut self,
        simd: S,
        panel: &[[S::f32s; V]],
        column: usize,
        row: usize,
    ) {
        let depth = panel.len();
        let empty: &[f32] = &[];
        let mut rows = [empty; R];
        let mut r = 0;
        while r < R {
            rows[r] = &self.left[(row + r) * self.left_stride..][..depth];
            r += 1;
        }
        let mut begin = [simd.splat_f32s(0.0); V];
        if !self.bias.is_empty() {
            let bias = S::as_simd_f32s(&self.bias[column..][..V * S::F32_LANES]).0;
            begin.copy_from_slice(&bias[..V]);
        }
        let mut sums = [begin; R];
        for (term, right) in panel.iter().enumerate() {
            let mut r = 0;
            while r < R {
                let factor = simd.splat_f32s(rows[r][term]);
                let mut v = 0;
                while v < V {
                    sums[r][v] = simd.mul_add_f32s(factor, right[v], sums[r][v]);
                    v += 1;
                }
                r += 1;
            }
        }
        let (low, high) = (simd.splat_f32s(self.clamp[0]), simd.splat_f32s(self.clamp[1]));
        let mut r = 0;
        while r < R {
            let place = (row + r) * self.out_stride + column;
            if let Some(add) = self.add {
                let add = S::as_simd_f32s(&add[place..][..V * S::F32_LANES]).0;
                let mut v = 0;
                while v < V {
                    sums[r][v] = simd.add_f32s(sums[r][v], add[v]);
                    v += 1;
                }
            }
            let out = S::as_mut_simd_f32s(&mut self.out[place..][..V * S::F32_LANES]).0;
            let mut v = 0;
            while v < V {
                out[v] = simd.min_f32s(high, simd.max_f32s(low, sums[r][v]));
                v += 1;
            }
            r += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use mentor_simd::Level;

    use super::*;
    use crate::network::kernels::{padded, run};
    use crate::testing::random;

    #[test]
    fn products_are_those_of_a_plain_loop_at_every_level_and_size() {
        for [rows, depth, columns] in [[1, 1, 1], [5, 3, 17], [13, 40, 24], [49, 96, 32], [30, 7, 48]] {
            let (left, right) = (random(1, rows * (depth + 2)), random(2, depth * columns));
            let (bias, add) = (random(3, padded(columns)), random(4, rows * padded(columns)));
            let stride = padded(columns);
            for level in Level::available() {
                let packed = Packed::new(level, depth, columns, |k, n| right[k * columns + n]);
                let mut out = vec![f32::NAN; rows * stride];
                let (clamp, add) = ([-0.5, 2.0], Some(&add[..]));
                let (left_stride, out_stride) = (depth + 2, stride);
                let (left, bias, right) = (&left[..], &bias[..], &packed);
                run(
                    level,
                    Product { left, left_stride, rows, right, bias, add, clamp, out: &mut out, out_stride },
                );
                for (m, row) in out.chunks(stride).enumerate() {
                    for (n, &found) in row.iter().enumerate() {
                        let term = |k: usize| {
                            f64::from(
                                left[m * left_stride + k] * packed_at(&right.values, level, right, k, n),
                            )
                        };
                        let sum: f64 = (0..depth).map(term).sum();
                        let expected = (sum + f64::from(bias[n]) + f64::from(add.unwrap()[m * stride + n]))
                            .clamp(-0.5, 2.0);
                        assert!(
                            (f64::from(found) - expected).abs() < 1e-5,
                            "{level:?} {m} {n}: {found} {expected}"
                        );
                    }
                }
            }
        }
    }

    fn packed_at(values: &[f32], level: Level, packed: &Packed, term: usize, column: usize) -> f32 {
        let lanes = super::super::packed::lanes(level);
        let width = tile(lanes).0 * lanes;
        let panel = column / width * width;
        let this = width.min(packed.columns - panel);
        values[panel * packed.depth + term * this + column - panel]
    }
}
