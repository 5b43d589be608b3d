//! Scores: products of rows of x with columns of w, tile by tile.

use super::layout::{Columns, MAX_LANES, by_columns, tiles};
use crate::simd::Simd;

/// `scores = x w + bias` for some rows.
///
/// # Safety
///
/// The instructions of `S` exist; `x` `[rows, inputs]` and `scores` `[rows, outputs]` hold `rows` rows.
#[inline(always)]
pub(super) unsafe fn scores_of_rows<S: Simd>(
    rows: usize,
    x: &[f32],
    w: &Columns,
    bias: &[f32],
    scores: &mut [f32],
) {
    for (start, count) in tiles(w.outputs) {
        let mut row = 0;
        while row < rows {
            // SAFETY: the rows and outputs of each tile exist.
            unsafe {
                // As many rows as there are registers for.
                row += if S::LANES == MAX_LANES && row + 4 <= rows {
                    by_columns!(count, dots::<S, 4>(row, start, x, w, bias, scores))
                } else if row + 2 <= rows {
                    by_columns!(count, dots::<S, 2>(row, start, x, w, bias, scores))
                } else {
                    by_columns!(count, dots::<S, 1>(row, start, x, w, bias, scores))
                };
            }
        }
    }
}

/// The products of `R` rows of x with `C` columns of w; returns `R`.
///
/// # Safety
///
/// As [`scores_of_rows`]; rows and outputs exist.
#[inline(always)]
unsafe fn dots<S: Simd, const R: usize, const C: usize>(
    row: usize,
    start: usize,
    x: &[f32],
    w: &Columns,
    bias: &[f32],
    scores: &mut [f32],
) -> usize {
    let Columns { inputs, outputs, stride, .. } = *w;
    let whole = inputs / S::LANES * S::LANES;
    // SAFETY: `k + LANES ≤ inputs` in the rows of x, and up to `stride` in the columns of w; the last values
    // of a row are read from a copy.
    unsafe {
        let x = x.as_ptr().add(row * inputs);
        let w = w.values.as_ptr().add(start * stride);
        let mut sums = [[S::splat(0.0); C]; R];
        let mut k = 0;
        while k < whole {
            products::<S, R, C>(x.add(k), inputs, w.add(k), stride, &mut sums);
            k += S::LANES;
        }
        if whole < inputs {
            let mut last = [[0.0; MAX_LANES]; R];
            let mut r = 0;
            while r < R {
                std::ptr::copy_nonoverlapping(
                    x.add(r * inputs + whole),
                    last[r].as_mut_ptr(),
                    inputs - whole,
                );
                r += 1;
            }
            products::<S, R, C>(last.as_flattened().as_ptr(), MAX_LANES, w.add(whole), stride, &mut sums);
        }
        let sums = lane_sums::<S, R, C>(&sums);
        for (r, sums) in sums.iter().enumerate() {
            let scores = &mut scores[(row + r) * outputs + start..][..C];
            scores.iter_mut().zip(sums).zip(&bias[start..]).for_each(|((to, sum), bias)| *to = sum + bias);
        }
    }
    R
}

/// Adds to each sum the products of one vector of x and one of w, which are `x_stride` and `w_stride` apart.
///
/// # Safety
///
/// The instructions of `S` exist, and the vectors are there.
#[inline(always)]
unsafe fn products<S: Simd, const R: usize, const C: usize>(
    x: *const f32,
    x_stride: usize,
    w: *const f32,
    w_stride: usize,
    sums: &mut [[S::Vector; C]; R],
) {
    // SAFETY: the caller's conditions.
    unsafe {
        let mut rows = [S::splat(0.0); R];
        let mut r = 0;
        while r < R {
            rows[r] = S::load(x.add(r * x_stride));
            r += 1;
        }
        let mut c = 0;
        while c < C {
            let column = S::load(w.add(c * w_stride));
            let mut r = 0;
            while r < R {
                sums[r][c] = S::mul_add(rows[r], column, sums[r][c]);
                r += 1;
            }
            c += 1;
        }
    }
}

/// The sum of the lanes of each vector: neighbours are added until a vector holds the sums of as many as it
/// has lanes.
///
/// # Safety
///
/// The instructions of `S` exist.
#[inline(always)]
unsafe fn lane_sums<S: Simd, const R: usize, const C: usize>(vectors: &[[S::Vector; C]; R]) -> [[f32; C]; R] {
    let vectors = vectors.as_flattened();
    let mut sums = [[0.0; C]; R];
    let flat = sums.as_flattened_mut();
    let mut first = 0;
    while first < R * C {
        let count = if R * C - first < S::LANES { R * C - first } else { S::LANES };
        // SAFETY: the caller's condition; there is room for all lanes.
        unsafe {
            let mut tree = [S::splat(0.0); MAX_LANES];
            let mut i = 0;
            while i < count {
                tree[i] = vectors[first + i];
                i += 1;
            }
            add_neighbours::<S>(&mut tree, count);
            add_neighbours::<S>(&mut tree, count.div_ceil(2));
            if S::LANES > 4 {
                add_neighbours::<S>(&mut tree, count.div_ceil(4));
            }
            if S::LANES > 8 {
                add_neighbours::<S>(&mut tree, count.div_ceil(8));
            }
            let mut lanes = [0.0; MAX_LANES];
            S::store(lanes.as_mut_ptr(), tree[0]);
            flat[first..first + count].copy_from_slice(&lanes[..count]);
        }
        first += S::LANES;
    }
    sums
}

/// Halves the vectors in number: each new one has the sums of neighbouring lanes of two.
///
/// # Safety
///
/// The instructions of `S` exist.
#[inline(always)]
unsafe fn add_neighbours<S: Simd>(tree: &mut [S::Vector; MAX_LANES], count: usize) {
    let mut i = 0;
    while i < count.div_ceil(2) {
        // SAFETY: the caller's condition.
        unsafe {
            let [even, odd] = S::deinterleave(tree[2 * i], tree[2 * i + 1]);
            tree[i] = S::add(even, odd);
        }
        i += 1;
    }
}
