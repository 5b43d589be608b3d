//! Sums of outer products: `sums[k, n] += Σ_p source[offset_k + position_p] · right[p, n]`.

use super::panel_vectors;
use crate::simd::{Level, Simd, with_simd};

/// A sum of outer products over positions, for one panel of columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sum<'a> {
    pub(crate) source: &'a [f32],
    /// Where each row of the sums reads.
    pub(crate) offsets: &'a [u32],
    /// What is added to the offset for each position.
    pub(crate) positions: &'a [u32],
    /// `[positions, vectors · lanes]`.
    pub(crate) right: &'a [f32],
    /// The width of the panel in vectors, at most [`panel_vectors`].
    pub(crate) vectors: usize,
}

/// Adds to `sums` `[offsets, vectors · lanes]`.
///
/// # Panics
///
/// If a table leads outside `source`, or lengths disagree.
pub(crate) fn add(level: Level, sum: &Sum<'_>, sums: &mut [f32]) {
    let Sum { source, offsets, positions, right, vectors } = *sum;
    let last = |values: &[u32]| values.iter().fold(0, |last, &value| last.max(value)) as usize;
    assert!(level.exists() && (1..=panel_vectors(level.lanes())).contains(&vectors));
    assert_eq!(sums.len(), offsets.len() * vectors * level.lanes());
    assert_eq!(right.len(), positions.len() * vectors * level.lanes());
    if offsets.is_empty() || positions.is_empty() {
        return;
    }
    assert!(last(offsets) + last(positions) < source.len());
    let sums = sums.as_mut_ptr();
    // SAFETY: the machine has the level; every read and write was checked above against its slice.
    unsafe { with_simd!(level, all_tiles(sum: &Sum<'_>, sums: *mut f32)) }
}

/// # Safety
///
/// The instructions of `S` exist, and the checks of [`add`] hold.
#[inline(always)]
unsafe fn all_tiles<S: Simd>(sum: &Sum<'_>, sums: *mut f32) {
    // SAFETY: `width` is the width of the panel.
    unsafe {
        match sum.vectors {
            1 => panel::<S, 1>(sum, sums),
            2 => panel::<S, 2>(sum, sums),
            3 if S::LANES == 16 => panel::<S, 3>(sum, sums),
            4 if S::LANES == 16 => panel::<S, 4>(sum, sums),
            _ => unreachable!("a panel has at most `panel_vectors` vectors"),
        }
    }
}

/// # Safety
///
/// As [`all_tiles`]; the panel is `V` vectors wide.
#[inline(always)]
unsafe fn panel<S: Simd, const V: usize>(sum: &Sum<'_>, sums: *mut f32) {
    let mut row = 0;
    while row < sum.offsets.len() {
        // SAFETY: the rows of each tile exist.
        unsafe {
            let to = sums.add(row * V * S::LANES);
            row += match sum.offsets.len() - row {
                6.. => tile::<S, 6, V>(sum, to, row),
                5 => tile::<S, 5, V>(sum, to, row),
                4 => tile::<S, 4, V>(sum, to, row),
                3 => tile::<S, 3, V>(sum, to, row),
                2 => tile::<S, 2, V>(sum, to, row),
                _ => tile::<S, 1, V>(sum, to, row),
            };
        }
    }
}

/// `R` rows by `V` vectors; returns `R`.
///
/// # Safety
///
/// As [`panel`]; `R` rows from `row` exist, whose sums start at `to`.
#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const V: usize>(sum: &Sum<'_>, to: *mut f32, row: usize) -> usize {
    // SAFETY: offsets and positions lead inside `source` (checked by `add` for the largest of each), `right`
    // has `V` vectors for each position, and the sums of `R` rows exist.
    unsafe {
        let mut from = [sum.source.as_ptr(); R];
        let mut sums = [[S::splat(0.0); V]; R];
        let mut r = 0;
        while r < R {
            from[r] = from[r].add(*sum.offsets.get_unchecked(row + r) as usize);
            let mut v = 0;
            while v < V {
                sums[r][v] = S::load(to.add((r * V + v) * S::LANES));
                v += 1;
            }
            r += 1;
        }
        let mut right = sum.right.as_ptr();
        for &position in sum.positions {
            let position = position as usize;
            let mut loaded = [S::splat(0.0); V];
            let mut v = 0;
            while v < V {
                loaded[v] = S::load(right.add(v * S::LANES));
                v += 1;
            }
            let mut r = 0;
            while r < R {
                let factor = S::splat(*from[r].add(position));
                let mut v = 0;
                while v < V {
                    sums[r][v] = S::mul_add(factor, loaded[v], sums[r][v]);
                    v += 1;
                }
                r += 1;
            }
            right = right.add(V * S::LANES);
        }
        let mut r = 0;
        while r < R {
            let mut v = 0;
            while v < V {
                S::store(to.add((r * V + v) * S::LANES), sums[r][v]);
                v += 1;
            }
            r += 1;
        }
    }
    R
}
