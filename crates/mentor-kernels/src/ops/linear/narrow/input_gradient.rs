//! The gradient of the input: combinations of the columns of w.

use super::layout::{Columns, MAX_LANES, MAX_OUTPUTS};
use crate::simd::Simd;

/// `gradient = g wᵀ` for some rows.
///
/// # Safety
///
/// The instructions of `S` exist; `g` `[rows, outputs]` and `gradient` `[rows, inputs]` hold `rows` rows.
#[inline(always)]
pub(super) unsafe fn gradient_of_rows<S: Simd>(rows: usize, g: &[f32], w: &Columns, gradient: &mut [f32]) {
    let mut row = 0;
    while row < rows {
        // SAFETY: the rows exist.
        unsafe {
            row += match rows - row {
                4.. => gradient_of::<S, 4>(row, g, w, gradient),
                _ => gradient_of::<S, 1>(row, g, w, gradient),
            };
        }
    }
}

/// The gradient of `R` rows; returns `R`.
///
/// # Safety
///
/// As [`gradient_of_rows`]; the rows exist.
#[inline(always)]
unsafe fn gradient_of<S: Simd, const R: usize>(
    row: usize,
    g: &[f32],
    w: &Columns,
    gradient: &mut [f32],
) -> usize {
    let Columns { inputs, outputs, stride, .. } = *w;
    assert!(outputs <= MAX_OUTPUTS);
    let mut factors = [[0.0; R]; MAX_OUTPUTS];
    let mut offsets = [0; MAX_OUTPUTS];
    for c in 0..outputs {
        for r in 0..R {
            factors[c][r] = g[(row + r) * outputs + c];
        }
        offsets[c] = (c * stride) as u32;
    }
    let mut k = 0;
    while k < inputs {
        // SAFETY: a column of w has `stride` values, and a row of the gradient `inputs`.
        unsafe {
            let from = w.values.as_ptr().add(k);
            let to = gradient.as_mut_ptr().add(row * inputs + k);
            let (factors, offsets) = (factors.as_ptr().cast(), offsets.as_ptr());
            if k + 2 * S::LANES <= inputs {
                let from = [from, from.add(S::LANES)];
                let sums = S::sums::<R, 2>(outputs, factors, offsets, from);
                for (r, sums) in sums.into_iter().enumerate() {
                    S::store(to.add(r * inputs), sums[0]);
                    S::store(to.add(r * inputs + S::LANES), sums[1]);
                }
                k += 2 * S::LANES;
            } else {
                let sums = S::sums::<R, 1>(outputs, factors, offsets, [from]);
                let mut lanes = [0.0; MAX_LANES];
                let count = (inputs - k).min(S::LANES);
                for (r, [sums]) in sums.into_iter().enumerate() {
                    S::store(lanes.as_mut_ptr(), sums);
                    std::ptr::copy_nonoverlapping(lanes.as_ptr(), to.add(r * inputs), count);
                }
                k += S::LANES;
            }
        }
    }
    R
}
