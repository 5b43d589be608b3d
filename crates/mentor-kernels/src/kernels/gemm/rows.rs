//! Packed rows times vectors that are read through offsets:
//! `results[m, v] = Σ_k left[m, k] source[offset_k + read_v …]`.

use std::ops::Range;

use crate::simd::{Level, Simd, with_simd};

/// The product of packed rows with vectors of `source`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product<'a> {
    /// `count` rows of `offsets.len()` values, as [`pack`] lays them out.
    pub(crate) left: &'a [f32],
    pub(crate) count: usize,
    pub(crate) source: &'a [f32],
    /// Where each term of the sum reads.
    pub(crate) offsets: &'a [u32],
    /// What is added to the offset for each vector.
    pub(crate) reads: &'a [u32],
    /// Where each vector of row 0 is written.
    pub(crate) writes: &'a [u32],
    /// The distance between rows of results.
    pub(crate) result_stride: usize,
    /// Added to each value of a row.
    pub(crate) bias: Option<&'a [f32]>,
    /// Whether negative results become zero.
    pub(crate) relu: bool,
}

/// Values of packed rows that are used for all vectors before the next rows: they stay in the second-level
/// cache.
const LEFT_VALUES: usize = 48 << 10;

/// Rows of a full tile.
const fn tile_rows(lanes: usize) -> usize {
    if lanes == 16 { 8 } else { 4 }
}

/// The rows of the next panel when `left` are left: full panels, then powers of two.
#[inline(always)]
fn panel_rows(left: usize, full: usize) -> usize {
    if left >= full { full } else { 1 << left.ilog2() }
}

/// Lays `count` rows of `depth` values out in panels `[depth, rows of the panel]`.
///
/// `fill(row, to, stride)` writes the `depth` values of a row to `to[0]`, `to[stride]`, ….
pub(crate) fn pack(
    level: Level,
    count: usize,
    depth: usize,
    left: &mut [f32],
    fill: impl Fn(usize, &mut [f32], usize),
) {
    assert_eq!(left.len(), count * depth);
    for rows in panels(level, if depth > 0 { count } else { 0 }) {
        let panel = &mut left[rows.start * depth..rows.end * depth];
        for (within, row) in rows.clone().enumerate() {
            fill(row, &mut panel[within..], rows.len());
        }
    }
}

/// The rows of each panel, as [`pack`] lays them out.
pub(crate) fn panels(level: Level, count: usize) -> impl Iterator<Item = Range<usize>> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let start = next;
        next += if start < count { panel_rows(count - start, tile_rows(level.lanes())) } else { 0 };
        (start < next).then_some(start..next)
    })
}

/// Computes the product into `results`.
///
/// # Panics
///
/// If a table leads outside `source` or `results`, or lengths disagree.
pub(crate) fn run(level: Level, product: &Product<'_>, results: &mut [f32]) {
    let Product { left, count, source, offsets, reads, writes, result_stride, bias, .. } = *product;
    let last = |values: &[u32]| values.iter().fold(0, |last, &value| last.max(value)) as usize;
    assert_eq!(left.len(), count * offsets.len());
    assert_eq!(reads.len(), writes.len());
    assert!(bias.is_none_or(|bias| bias.len() == count));
    assert!(level.exists());
    if count == 0 || reads.is_empty() {
        return;
    }
    assert!(last(offsets) + last(reads) + level.lanes() <= source.len());
    assert!((count - 1) * result_stride + last(writes) + level.lanes() <= results.len());
    let results = results.as_mut_ptr();
    // SAFETY: the machine has the level; every read and write was checked above against its slice.
    unsafe { with_simd!(level, all_tiles(product: &Product<'_>, results: *mut f32)) }
}

/// # Safety
///
/// The instructions of `S` exist, and the checks of [`run`] hold.
#[inline(always)]
unsafe fn all_tiles<S: Simd>(product: &Product<'_>, results: *mut f32) {
    let full = tile_rows(S::LANES);
    let depth = product.offsets.len();
    let block = (LEFT_VALUES / depth.max(1) / full).max(1) * full;
    let mut start = 0;
    while start < product.count {
        let end = (start + block).min(product.count);
        let mut vector = 0;
        while vector < product.reads.len() {
            // Two and two rather than three and one, which would wait for its own sums.
            let width = match product.reads.len() - vector {
                4 => 2,
                left => left.min(3),
            };
            let mut row = start;
            while row < end {
                let rows = panel_rows(product.count - row, full);
                // SAFETY: `row + rows` is at most `count` and `vector + width` the number of vectors.
                unsafe {
                    match (rows, width) {
                        (8, 3) => tile::<S, 8, 3>(product, results, row, vector),
                        (8, 2) => tile::<S, 8, 2>(product, results, row, vector),
                        (8, _) => tile::<S, 8, 1>(product, results, row, vector),
                        (4, 3) => tile::<S, 4, 3>(product, results, row, vector),
                        (4, 2) => tile::<S, 4, 2>(product, results, row, vector),
                        (4, _) => tile::<S, 4, 1>(product, results, row, vector),
                        (2, 3) => tile::<S, 2, 3>(product, results, row, vector),
                        (2, 2) => tile::<S, 2, 2>(product, results, row, vector),
                        (2, _) => tile::<S, 2, 1>(product, results, row, vector),
                        (_, 3) => tile::<S, 1, 3>(product, results, row, vector),
                        (_, 2) => tile::<S, 1, 2>(product, results, row, vector),
                        (_, _) => tile::<S, 1, 1>(product, results, row, vector),
                    }
                }
                row += rows;
            }
            vector += width;
        }
        start = end;
    }
}

/// `R` rows by `V` vectors.
///
/// # Safety
///
/// As [`all_tiles`]; rows and vectors exist, and the panel of `row` has `R` rows.
#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const V: usize>(
    product: &Product<'_>,
    results: *mut f32,
    row: usize,
    vector: usize,
) {
    let depth = product.offsets.len();
    // SAFETY: the panel starts after `row` whole rows. Offsets, reads and writes lead inside their slices
    // (checked by `run` for the largest of each), and `R` rows from `row` and `V` vectors from `vector`
    // exist.
    unsafe {
        let offsets = product.offsets.as_ptr();
        let left = product.left.as_ptr().add(row * depth);
        let mut from = [product.source.as_ptr(); V];
        let mut to = [results; V];
        let mut v = 0;
        while v < V {
            from[v] = from[v].add(*product.reads.get_unchecked(vector + v) as usize);
            to[v] =
                results.add(row * product.result_stride + *product.writes.get_unchecked(vector + v) as usize);
            v += 1;
        }
        let sums = S::sums::<R, V>(depth, left, offsets, from);
        let mut r = 0;
        while r < R {
            let bias = S::splat(match product.bias {
                Some(bias) => *bias.get_unchecked(row + r),
                None => 0.0,
            });
            let mut v = 0;
            while v < V {
                let mut value = S::add(sums[r][v], bias);
                if product.relu {
                    // In this order a NaN stays one.
                    value = S::max(S::splat(0.0), value);
                }
                S::store(to[v].add(r * product.result_stride), value);
                v += 1;
            }
            r += 1;
        }
    }
}
