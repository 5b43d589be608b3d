//! The gradient of the weights: sums of outer products over the rows, for a strip of inputs.

use super::layout::{MAX_LANES, ROWS, STRIP, Sizes, by_columns, tiles};
use crate::host::scratch::Scratch;
use crate::simd::Simd;

/// The gradient of the weights of some inputs from `start` on, `[inputs of the strip, outputs]`.
///
/// # Safety
///
/// The instructions of `S` exist; `x` and `g` hold the rows of `sizes`, and the inputs of the strip exist.
#[inline(always)]
pub(super) unsafe fn gradient_of_strip<S: Simd>(
    sizes: Sizes,
    start: usize,
    x: &[f32],
    g: &[f32],
    gradient: &mut [f32],
) {
    let Sizes { rows, inputs, outputs } = sizes;
    let width = gradient.len() / outputs;
    let whole = width / S::LANES * S::LANES;
    let mut sums = Scratch::take(outputs * STRIP);
    sums.fill(0.0);
    let mut row = 0;
    while row < rows {
        let count = (rows - row).min(ROWS);
        // SAFETY: the block's rows exist, and in them `whole` values from `start` on; the others are read
        // from a copy.
        unsafe {
            let (x, g) = (x.as_ptr().add(row * inputs + start), g.as_ptr().add(row * outputs));
            let mut k = 0;
            while k < whole {
                let (x, sums) = (x.add(k), sums.as_mut_ptr().add(k));
                k += if S::LANES == MAX_LANES && k + 4 * S::LANES <= whole {
                    all_outers::<S, 4>(count, x, inputs, g, outputs, sums)
                } else if k + 2 * S::LANES <= whole {
                    all_outers::<S, 2>(count, x, inputs, g, outputs, sums)
                } else {
                    all_outers::<S, 1>(count, x, inputs, g, outputs, sums)
                };
            }
            if whole < width {
                let mut last = [[0.0; MAX_LANES]; ROWS];
                for (r, last) in last.iter_mut().enumerate().take(count) {
                    let from = x.add(r * inputs + whole);
                    std::ptr::copy_nonoverlapping(from, last.as_mut_ptr(), width - whole);
                }
                let sums = sums.as_mut_ptr().add(whole);
                let last = last.as_flattened().as_ptr();
                all_outers::<S, 1>(count, last, MAX_LANES, g, outputs, sums);
            }
        }
        row += count;
    }
    for (c, sums) in sums.chunks_exact(STRIP).enumerate() {
        gradient[c..].iter_mut().step_by(outputs).zip(sums).for_each(|(to, sum)| *to = *sum);
    }
}

/// Adds the products of `V` vectors of inputs and all outputs over `rows` rows to `sums` `[outputs, STRIP]`;
/// returns the number of inputs.
///
/// # Safety
///
/// The instructions of `S` exist, and the rows of x and g and the sums are there.
#[inline(always)]
unsafe fn all_outers<S: Simd, const V: usize>(
    rows: usize,
    x: *const f32,
    x_stride: usize,
    g: *const f32,
    outputs: usize,
    sums: *mut f32,
) -> usize {
    for (start, count) in tiles(outputs) {
        // SAFETY: the caller's conditions; the outputs of a tile exist.
        unsafe {
            let (g, sums) = (g.add(start), sums.add(start * STRIP));
            by_columns!(count, outer::<S, V>(rows, x, x_stride, g, outputs, sums));
        }
    }
    V * S::LANES
}

/// [`all_outers`] for `C` outputs.
///
/// # Safety
///
/// As there.
#[inline(always)]
unsafe fn outer<S: Simd, const V: usize, const C: usize>(
    rows: usize,
    mut x: *const f32,
    x_stride: usize,
    mut g: *const f32,
    outputs: usize,
    to: *mut f32,
) {
    // SAFETY: the caller's conditions.
    unsafe {
        let mut sums = [[S::splat(0.0); V]; C];
        let mut row = 0;
        while row < rows {
            let mut vectors = [S::splat(0.0); V];
            let mut v = 0;
            while v < V {
                vectors[v] = S::load(x.add(v * S::LANES));
                v += 1;
            }
            let mut c = 0;
            while c < C {
                let factor = S::splat(*g.add(c));
                let mut v = 0;
                while v < V {
                    sums[c][v] = S::mul_add(factor, vectors[v], sums[c][v]);
                    v += 1;
                }
                c += 1;
            }
            (x, g) = (x.add(x_stride), g.add(outputs));
            row += 1;
        }
        let mut c = 0;
        while c < C {
            let mut v = 0;
            while v < V {
                let to = to.add(c * STRIP + v * S::LANES);
                S::store(to, S::add(S::load(to), sums[c][v]));
                v += 1;
            }
            c += 1;
        }
    }
}
