//! Feature vectors, and distances of many of them to some, block by block.

use mentor_simd::{PairTerm, Panels, WIDTH};
use rayon::prelude::*;

/// Rows whose distances are computed at once; a multiple of the width of a panel.
const BLOCK: usize = 8 * WIDTH;

/// Feature vectors of equal length, finite.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    values: &'a [f32],
    width: usize,
}

impl<'a> Rows<'a> {
    /// `values` are `[N, width]`, row-major.
    ///
    /// # Panics
    ///
    /// If `width` is 0 or does not divide the number of values, or there are more than `u32::MAX` rows.
    pub fn new(values: &'a [f32], width: usize) -> Self {
        assert!(width > 0 && values.len().is_multiple_of(width), "{} values, {width} a row", values.len());
        assert!(u32::try_from(values.len() / width).is_ok(), "more rows than a u32 counts");
        Self { values, width }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Values of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Row `index`.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    pub fn row(&self, index: usize) -> &'a [f32] {
        &self.values[index * self.width..][..self.width]
    }

    /// All values, `[N, width]`.
    pub(crate) fn values(&self) -> &'a [f32] {
        self.values
    }

    /// A copy of some rows.
    pub(crate) fn gather(&self, rows: &[u32]) -> Vec<f32> {
        rows.iter().flat_map(|&row| self.row(row as usize)).copied().collect()
    }

    /// The rows less their mean, each of length 1; a row that is the mean becomes 0.
    pub(crate) fn directions(&self) -> Vec<f32> {
        let mut directions = self.scaled();
        to_length_1(&mut directions, self.width);
        directions
    }

    /// The rows less their mean, divided by the root of the median of their squared lengths: two rows at
    /// random are about √2 apart, whatever the features are, and one that is far from all others changes
    /// nothing. Rows that are all equal become 0.
    #[must_use]
    pub fn scaled(&self) -> Vec<f32> {
        let count = self.len().max(1) as f64;
        let mut mean = vec![0.0_f64; self.width];
        for row in self.values.chunks_exact(self.width) {
            mean.iter_mut().zip(row).for_each(|(mean, &value)| *mean += f64::from(value));
        }
        mean.iter_mut().for_each(|mean| *mean /= count);
        let squared_length = |row: &[f32]| -> f64 {
            row.iter().zip(&mean).map(|(&x, mean)| (f64::from(x) - mean).powi(2)).sum()
        };
        let mut lengths: Vec<f64> = self.values.par_chunks_exact(self.width).map(squared_length).collect();
        // Where half of the rows are equal the others decide.
        lengths.retain(|&length| length > 0.0);
        let middle = lengths.len() / 2;
        let scale = match lengths.is_empty() {
            true => 0.0,
            false => 1.0 / lengths.select_nth_unstable_by(middle, f64::total_cmp).1.sqrt(),
        };
        let mut scaled = vec![0.0; self.values.len()];
        let rows = scaled.par_chunks_exact_mut(self.width).zip(self.values.par_chunks_exact(self.width));
        rows.for_each(|(to, from)| {
            for ((to, &x), mean) in to.iter_mut().zip(from).zip(&mean) {
                *to = ((f64::from(x) - mean) * scale) as f32;
            }
        });
        scaled
    }

    /// What `each` makes of the `term` of each of these rows with all of `others`: it is given the rows'
    /// place and, of each of `others`, the term. In order, whatever the number of threads.
    pub(crate) fn map_pairs<T: Send>(
        &self,
        term: PairTerm,
        others: &Panels,
        num_others: usize,
        each: impl Fn(usize, &mut [f64]) -> T + Sync,
    ) -> Vec<T> {
        let stride = others.stride();
        let blocks = self.values.par_chunks(BLOCK * self.width).enumerate();
        let mapped = blocks.map(|(block, values)| {
            let panels = Panels::new(values, self.width);
            let count = values.len() / self.width;
            let mut terms = vec![0.0; count * stride];
            if stride > 0 {
                let mut out: Vec<&mut [f64]> = terms.chunks_exact_mut(stride).collect();
                panels.sums(term, 0..count, others, 0, &mut out);
            }
            let mut rest = terms.as_mut_slice();
            let mut found = Vec::with_capacity(count);
            for row in 0..count {
                let (own, after) = rest.split_at_mut(stride);
                found.push(each(block * BLOCK + row, &mut own[..num_others]));
                rest = after;
            }
            found
        });
        mapped.collect::<Vec<Vec<T>>>().into_iter().flatten().collect()
    }
}

/// Makes each row one of length 1; a row of zeros stays.
pub(crate) fn to_length_1(values: &mut [f32], width: usize) {
    for row in values.chunks_exact_mut(width) {
        let length = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        if length > 0.0 {
            row.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaled_rows_have_mean_0_and_median_length_1() {
        let values = [1.0, 10.0, 3.0, 10.0, 5.0, 16.0, 7.0, 24.0, 9.0, 13.0];
        let scaled = Rows::new(&values, 2).scaled();
        for column in 0..2 {
            assert!(scaled.iter().skip(column).step_by(2).sum::<f32>().abs() < 1e-5);
        }
        let mut lengths: Vec<f32> =
            scaled.chunks_exact(2).map(|row| row.iter().map(|x| x * x).sum()).collect();
        lengths.sort_by(f32::total_cmp);
        assert!((lengths[2] - 1.0).abs() < 1e-5, "{lengths:?}");
        assert_eq!(Rows::new(&[3.0; 6], 2).scaled(), [0.0; 6]);
        assert!(Rows::new(&[], 2).scaled().is_empty());
    }

    #[test]
    fn pairs_come_in_order_and_without_padding() {
        let values: Vec<f32> = (0..200).map(|at| at as f32).collect();
        let others = Panels::new(&[0.0_f32, 3.0], 1);
        let found = Rows::new(&values, 1)
            .map_pairs(PairTerm::SquaredDistance, &others, 2, |row, terms| (row, terms.to_vec()));
        assert_eq!(found.len(), 200);
        for (at, (row, terms)) in found.into_iter().enumerate() {
            let x = at as f64;
            assert_eq!((row, terms), (at, vec![x * x, (x - 3.0) * (x - 3.0)]));
        }
    }
}
