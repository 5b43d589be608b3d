//! Sums over the coordinates of all pairs of rows.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::vectors::{WIDTH, dispatch};

/// What a pair of rows is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairTerm {
    /// Σ_k (a_k − b_k)².
    ///
    /// Differences, not a Gram matrix: nothing cancels, equal points are exactly 0 apart, the result does not
    /// depend on which of the two is the row, and numbers without rounding (a lattice) give distances
    /// without. On processors that add and multiply side by side it costs what a matrix product costs.
    SquaredDistance,
    /// The root of it.
    Distance,
    /// Σ_k a_k·b_k.
    Product,
}

/// Rows in panels: groups of eight, transposed, the last one filled up with rows of zeros.
///
/// ```
/// use mentor_simd::{PairTerm, Panels};
///
/// let points = Panels::new(&[0.0_f32, 0.0, 3.0, 4.0], 2);
/// let mut distances = vec![0.0; points.stride()];
/// points.sums(PairTerm::Distance, 0..1, &points, 0, &mut [&mut distances]);
/// assert_eq!(distances[..2], [0.0, 5.0]);
/// ```
#[derive(Clone, Debug)]
pub struct Panels {
    /// `[panels, width, WIDTH]`.
    values: Vec<f64>,
    width: usize,
    stride: usize,
}

impl Panels {
    /// Panels of `rows` `[N, width]`, row-major.
    ///
    /// # Panics
    ///
    /// If `width` does not divide the number of values.
    pub fn new<T: Copy + Into<f64>>(rows: &[T], width: usize) -> Self {
        let num_rows = rows.len() / width.max(1);
        assert_eq!(rows.len(), num_rows * width, "rows of {width} values");
        Self::with_stride(rows, width, num_rows.next_multiple_of(WIDTH))
    }

    /// With rows of zeros up to `stride`, a multiple of [`WIDTH`].
    pub fn with_stride<T: Copy + Into<f64>>(rows: &[T], width: usize, stride: usize) -> Self {
        let mut values = vec![0.0; stride * width];
        if width > 0 {
            for (panel, group) in values.chunks_exact_mut(WIDTH * width).zip(rows.chunks(WIDTH * width)) {
                for (lane, row) in group.chunks_exact(width).enumerate() {
                    for (column, &value) in panel.chunks_exact_mut(WIDTH).zip(row) {
                        column[lane] = value.into();
                    }
                }
            }
        }
        Self { values, width, stride }
    }

    /// How many results a row has: the number of rows, padded to whole panels.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Writes the `term` of each of these `rows` with the rows of `others` from `columns` on: `out` is
    /// `[rows, a whole number of panels]`. What stands past the last row of `others` is that of a row of
    /// zeros.
    ///
    /// Sums are taken in `f64` and in the order of the coordinates: the same pair has the same bits anywhere.
    ///
    /// # Panics
    ///
    /// If `rows` or `columns` do not start at a panel (a multiple of eight), do not exist, or differ in
    /// width.
    pub fn sums(
        &self,
        term: PairTerm,
        rows: Range<usize>,
        others: &Self,
        columns: usize,
        out: &mut [&mut [f64]],
    ) {
        assert_eq!(self.width, others.width, "rows of different widths");
        assert!(rows.start.is_multiple_of(WIDTH) && columns.is_multiple_of(WIDTH));
        assert_eq!(out.len(), rows.len());
        let num_columns = out.first().map_or(0, |row| row.len());
        let part = |first: usize, end: usize| first * self.width..end * self.width;
        let rows = &self.values[part(rows.start, rows.end.next_multiple_of(WIDTH))];
        let columns = &others.values[part(columns, columns + num_columns)];
        dispatch(PairSums { term, rows, columns, width: self.width, out });
    }
}

/// One call's work.
struct PairSums<'a, 'b> {
    term: PairTerm,
    /// Panels; the last one may hold more rows than `out`.
    rows: &'a [f64],
    /// Panels.
    columns: &'a [f64],
    width: usize,
    out: &'a mut [&'b mut [f64]],
}

impl WithSimd for PairSums<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.term {
            PairTerm::Product => self.tiled::<S, true>(simd),
            PairTerm::SquaredDistance | PairTerm::Distance => self.tiled::<S, false>(simd),
        }
    }
}

impl PairSums<'_, '_> {
    /// As many rows at once as the registers hold sums for.
    #[inline(always)]
    fn tiled<S: Simd, const PRODUCT: bool>(self, simd: S) {
        match S::F64_LANES {
            8 => self.run::<S, PRODUCT, 8, 1>(simd),
            4 => self.run::<S, PRODUCT, 4, 2>(simd),
            2 => self.run::<S, PRODUCT, 4, 4>(simd),
            _ => self.run::<S, PRODUCT, 1, 8>(simd),
        }
    }

    /// `R` rows at once, with `V` vectors in [`WIDTH`] columns.
    #[inline(always)]
    fn run<S: Simd, const PRODUCT: bool, const R: usize, const V: usize>(self, simd: S) {
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
                            accumulate::<S, PRODUCT, V>(simd, sums, value, column);
                        }
                    }
                    for (out, sums) in out[first..].iter_mut().zip(sums) {
                        let (out, _) = S::as_mut_simd_f64s(&mut out[panel * WIDTH..][..WIDTH]);
                        for (out, sum) in out.iter_mut().zip(sums) {
                            *out = if self.term == PairTerm::Distance { simd.sqrt_f64s(sum) } else { sum };
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn accumulate<S: Simd, const PRODUCT: bool, const V: usize>(
    simd: S,
    sums: &mut [S::f64s; V],
    value: f64,
    column: &[S::f64s],
) {
    let value = simd.splat_f64s(value);
    for (sum, &column) in sums.iter_mut().zip(column) {
        *sum = if PRODUCT {
            simd.mul_add_e_f64s(column, value, *sum)
        } else {
            let difference = simd.sub_f64s(column, value);
            simd.mul_add_e_f64s(difference, difference, *sum)
        };
    }
}
