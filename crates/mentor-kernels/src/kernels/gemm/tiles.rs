//! Products of matrices in memory, by tiles of results whose sums stay in registers.
//!
//! ```text
//! into[m, n] = bias[n] + Σ_k left[m, k] · right[k, n]
//! ```
//!
//! Rows of the left factor are read where they lie, one broadcast a row and term. Where its columns are
//! contiguous instead, those of a band are brought together first: from a wide matrix they would share a few
//! lines of the cache. Of the right factor a panel, as wide as a tile and [`BAND`] terms deep, is copied into
//! the first-level cache, where all rows use it. Each result is one sum in the order of its terms, so its
//! bits depend neither on what is beside it nor on how the work is divided.

use super::panel_vectors;
use crate::host::matrices::{Block, Matrix};
use crate::host::scratch::Scratch;
use crate::kernels::conv::columns;
use crate::simd::{Level, Simd, with_simd};

/// Rows of a full tile.
pub(crate) const ROWS: usize = 6;
/// Terms of a panel.
const BAND: usize = 128;
/// Columns of the widest panel.
const MAX_WIDTH: usize = 64;

/// The product of two matrices, with what is applied to it before it is stored.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    pub(crate) left: Matrix<'a>,
    pub(crate) right: Matrix<'a>,
    /// Columns of the left factor and rows of the right one.
    pub(crate) depth: usize,
    /// Added to each row.
    pub(crate) bias: Option<&'a [f32]>,
    /// Whether negative results become zero.
    pub(crate) relu: bool,
}

impl<'a> Product<'a> {
    /// left · right and nothing else.
    pub(crate) fn of(left: Matrix<'a>, right: Matrix<'a>, depth: usize) -> Self {
        Self { left, right, depth, bias: None, relu: false }
    }

    /// The factors of the results from this row and column.
    pub(crate) fn from(self, row: usize, column: usize) -> Self {
        Self {
            left: self.left.from(row, 0),
            right: self.right.from(0, column),
            bias: self.bias.map(|bias| &bias[column..]),
            ..self
        }
    }

    /// Writes all of the block `into`, on this thread.
    ///
    /// # Panics
    ///
    /// If a factor or the bias is too small for it, or if neither rows nor columns of the right factor are
    /// contiguous.
    pub(crate) fn write(&self, level: Level, into: &mut Block<'_>) {
        self.left.check(into.rows(), self.depth);
        self.right.check(self.depth, into.columns());
        assert!(self.right.strides.contains(&1) && level.exists());
        assert!(self.bias.is_none_or(|bias| bias.len() >= into.columns()));
        if into.rows() == 0 {
            return;
        }
        let product = self;
        // SAFETY: the machine has the level; every read was checked above, and a block has room for its
        // entries.
        unsafe { with_simd!(level, all_panels(level: Level, product: &Product<'_>, into: &mut Block<'_>)) }
    }
}

/// # Safety
///
/// The instructions of `S` exist, and the checks of [`Product::write`] hold.
#[inline(always)]
unsafe fn all_panels<S: Simd>(level: Level, product: &Product<'_>, into: &mut Block<'_>) {
    let Product { left, right, depth, bias, relu } = *product;
    let (rows, columns, full) = (into.rows(), into.columns(), panel_vectors(S::LANES) * S::LANES);
    let mut panel = Scratch::take(BAND.min(depth) * full);
    // The sums of a last panel that ends within a vector.
    let mut edge = Scratch::take(if columns.is_multiple_of(S::LANES) { 0 } else { rows * full });
    let mut columns_of_left = Scratch::take(if left.strides[0] == 1 { BAND.min(depth) * rows } else { 0 });
    // Once without any terms too: then the results are the bias.
    for term in (0..depth.max(1)).step_by(BAND) {
        let terms = BAND.min(depth - term);
        let left = if left.strides[0] == 1 {
            for (at, column) in columns_of_left.chunks_exact_mut(rows).take(terms).enumerate() {
                column.copy_from_slice(&left.from(0, term + at).values[..rows]);
            }
            Matrix { values: &columns_of_left, strides: [1, rows] }
        } else {
            left.from(0, term)
        };
        for start in (0..columns).step_by(full) {
            let count = full.min(columns - start);
            let width = count.next_multiple_of(S::LANES);
            let panel = &mut panel[..terms * width];
            // SAFETY: the instructions exist.
            unsafe { copy_panel::<S>(level, right.from(term, start), terms, count, width, panel) };
            let (to, to_stride) =
                if count == width { (into.at(0, start), into.stride()) } else { (edge.as_mut_ptr(), width) };
            let mut begin = [0.0; MAX_WIDTH];
            if let Some(bias) = bias {
                begin[..count].copy_from_slice(&bias[start..][..count]);
            }
            // The sums begin with the bias in each row, and go on with what they have come to.
            let (from, from_stride) =
                if term == 0 { (begin.as_ptr(), 0) } else { (to.cast_const(), to_stride) };
            let band = Band {
                left: left.values.as_ptr(),
                left_strides: left.strides,
                right: panel.as_ptr(),
                terms,
                rows,
                from,
                from_stride,
                to,
                to_stride,
                relu: relu && term + terms == depth,
            };
            // SAFETY: the left factor has `rows` rows of `terms` values and the panel `terms` of `width`. At
            // `to` there is room for `rows` rows of `width` values, in the block or at the edge; `from` is
            // one row that is read again and again, or `to` after an earlier band has written it.
            unsafe {
                match width / S::LANES {
                    1 => all_tiles::<S, 1>(&band),
                    2 => all_tiles::<S, 2>(&band),
                    3 if S::LANES == 16 => all_tiles::<S, 3>(&band),
                    4 if S::LANES == 16 => all_tiles::<S, 4>(&band),
                    _ => unreachable!("a panel has at most `panel_vectors` vectors"),
                }
            }
        }
    }
    let (start, count) = (columns / full * full, columns % full);
    if !count.is_multiple_of(S::LANES) {
        for (row, sums) in edge.chunks_exact(count.next_multiple_of(S::LANES)).take(rows).enumerate() {
            into.write_row(row, start, &sums[..count]);
        }
    }
}

/// Writes `terms` rows of `width` values, of which `count` are of `right` and the others zero.
///
/// # Safety
///
/// The instructions of `S` exist.
#[inline(always)]
unsafe fn copy_panel<S: Simd>(
    level: Level,
    right: Matrix<'_>,
    terms: usize,
    count: usize,
    width: usize,
    panel: &mut [f32],
) {
    right.check(terms, count);
    assert_eq!(panel.len(), terms * width);
    let [row_stride, column_stride] = right.strides;
    if column_stride == 1 {
        for (row, to) in panel.chunks_exact_mut(width).enumerate() {
            let (from, to_rest) = (&right.values[row * row_stride..][..count], &mut to[count..]);
            to_rest.fill(0.0);
            let mut at = 0;
            while at + S::LANES <= count {
                // SAFETY: both rows have a vector at `at`.
                unsafe { S::store(to.as_mut_ptr().add(at), S::load(from.as_ptr().add(at))) };
                at += S::LANES;
            }
            to[at..count].copy_from_slice(&from[at..]);
        }
    } else if terms > 0 {
        let columns = &right.values[..(count - 1) * column_stride + terms];
        columns::transpose(level, columns, None, column_stride, count, width, panel);
    }
}

/// The tiles of a panel.
struct Band {
    left: *const f32,
    left_strides: [usize; 2],
    right: *const f32,
    terms: usize,
    rows: usize,
    from: *const f32,
    from_stride: usize,
    to: *mut f32,
    to_stride: usize,
    relu: bool,
}

/// # Safety
///
/// As [`all_panels`]; the panel is `V` vectors wide, and the pointers lead to what they stand for there.
#[inline(always)]
unsafe fn all_tiles<S: Simd, const V: usize>(band: &Band) {
    let mut row = 0;
    while row < band.rows {
        // SAFETY: the rows of each tile exist.
        unsafe {
            match band.rows - row {
                ROWS.. => tile::<S, ROWS, V>(band, row),
                5 => tile::<S, 5, V>(band, row),
                4 => tile::<S, 4, V>(band, row),
                3 => tile::<S, 3, V>(band, row),
                2 => tile::<S, 2, V>(band, row),
                _ => tile::<S, 1, V>(band, row),
            }
        }
        row += ROWS;
    }
}

/// `R` rows by `V` vectors.
///
/// # Safety
///
/// As [`all_tiles`]; `R` rows from `row` exist.
#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const V: usize>(band: &Band, row: usize) {
    // SAFETY: factors and sums have what is read and written here, by the caller's conditions.
    unsafe {
        let from = band.from.add(row * band.from_stride);
        let to = band.to.add(row * band.to_stride);
        let [row_stride, term_stride] = band.left_strides;
        let (mut left, mut right) = (band.left.add(row * row_stride), band.right);
        let mut sums = [[S::splat(0.0); V]; R];
        let mut r = 0;
        while r < R {
            let mut v = 0;
            while v < V {
                sums[r][v] = S::load(from.add(r * band.from_stride + v * S::LANES));
                v += 1;
            }
            r += 1;
        }
        let mut term = 0;
        while term < band.terms {
            let mut loaded = [S::splat(0.0); V];
            let mut v = 0;
            while v < V {
                loaded[v] = S::load(right.add(v * S::LANES));
                v += 1;
            }
            let mut r = 0;
            while r < R {
                let factor = S::splat(*left.add(r * row_stride));
                let mut v = 0;
                while v < V {
                    sums[r][v] = S::mul_add(factor, loaded[v], sums[r][v]);
                    v += 1;
                }
                r += 1;
            }
            // Past the last term they lead nowhere, and are not followed.
            left = left.wrapping_add(term_stride);
            right = right.add(V * S::LANES);
            term += 1;
        }
        let mut r = 0;
        while r < R {
            let mut v = 0;
            while v < V {
                let sum = sums[r][v];
                // In this order a NaN stays one.
                let sum = if band.relu { S::max(S::splat(0.0), sum) } else { sum };
                S::store(to.add(r * band.to_stride + v * S::LANES), sum);
                v += 1;
            }
            r += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Level;
    use crate::testing::{close, oracle_product, random};

    #[test]
    fn products_of_matrices_in_any_order_are_those_of_the_oracle_and_write_only_their_block() {
        for sizes in [[1, 1, 1], [3, 5, 2], [17, 33, 7], [13, 300, 150], [49, 64, 49], [6, 128, 64]] {
            let [m, k, n] = sizes;
            let (left, right, bias) = (random(1, m * (k + 3)), random(2, n * (k + 1)), random(3, n));
            let left_transposed: Vec<f32> = (0..m * k).map(|at| left[at % m * (k + 3) + at / m]).collect();
            let right_rows: Vec<f32> = (0..n * k).map(|at| right[at % n * (k + 1) + at / n]).collect();
            let sums = oracle_product(sizes, |i, l| left[i * (k + 3) + l], |l, j| right[j * (k + 1) + l]);
            let plus = |bias: &[f32]| -> Vec<f64> {
                sums.iter().enumerate().map(|(at, sum)| sum + f64::from(bias[at % n])).collect()
            };
            let lefts = [Matrix::rows(&left, k + 3), Matrix::rows(&left_transposed, m).transposed()];
            let rights = [Matrix::rows(&right, k + 1).transposed(), Matrix::rows(&right_rows, n)];
            for (left, right) in lefts.into_iter().zip(rights) {
                for (bias, relu) in [(None, false), (Some(&bias[..]), true)] {
                    let mut expected = plus(bias.unwrap_or(&vec![0.0; n]));
                    if relu {
                        expected.iter_mut().for_each(|value| *value = value.max(0.0));
                    }
                    for level in Level::available() {
                        let mut found = vec![f32::NAN; m * (n + 2)];
                        let product = Product { bias, relu, ..Product::of(left, right, k) };
                        product.write(level, &mut Block::of(&mut found, m, n, n + 2));
                        let rows: Vec<f32> = found.chunks(n + 2).flat_map(|row| row[..n].to_vec()).collect();
                        close(&rows, &expected, 1e-5);
                        assert!(found.chunks(n + 2).all(|row| row[n..].iter().all(|value| value.is_nan())));
                    }
                }
            }
        }
    }

    #[test]
    fn without_terms_the_results_are_the_bias() {
        let mut found = vec![f32::NAN; 3];
        let product = Product {
            bias: Some(&[1.0, -2.0, 3.0]),
            relu: true,
            ..Product::of(Matrix::rows(&[], 0), Matrix::rows(&[], 3), 0)
        };
        product.write(Level::current(), &mut Block::of(&mut found, 1, 3, 3));
        assert_eq!(found, [1.0, 0.0, 3.0]);
    }

    #[test]
    #[should_panic(expected = "a matrix of 2 × 2")]
    fn a_slice_that_is_too_short_is_refused() {
        let product = Product::of(Matrix::rows(&[0.0; 3], 2), Matrix::rows(&[0.0; 4], 2), 2);
        product.write(Level::current(), &mut Block::of(&mut [0.0; 4], 2, 2, 2));
    }
}
