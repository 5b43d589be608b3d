//! The transforms of images, kernels and results, on vectors of tiles.

use std::ops::Range;

use super::tiling::{ELEMENTS, Tiling};
use crate::simd::{Simd, with_simd};

/// G g Gᵀ.
pub(super) fn transform_kernel(g: [f32; 9]) -> [f32; ELEMENTS] {
    let three = |a: f32, b: f32, c: f32| [a, 0.5 * (a + c + b), 0.5 * (a + c - b), c];
    let columns = [0, 1, 2].map(|j| three(g[j], g[3 + j], g[6 + j]));
    let mut all = [0.0; ELEMENTS];
    for i in 0..4 {
        all[4 * i..][..4].copy_from_slice(&three(columns[0][i], columns[1][i], columns[2][i]));
    }
    all
}

/// Some rows of tiles of one channel of one image, from its four planes.
pub(super) fn neighbourhoods(tiling: &Tiling, rows: Range<usize>, planes: &[f32], values: &mut [f32]) {
    let (level, columns) = (tiling.transforms, tiling.tiles[1]);
    assert!(level.exists() && rows.start < rows.end && rows.end < tiling.source.rows);
    assert!(planes.len() >= 4 * tiling.source.plane_len() + 2 * level.lanes());
    // The last row's vector starts at its first column if a row has fewer tiles than a vector.
    let last = (rows.len() - 1) * columns + columns.max(level.lanes());
    assert!(values.len() >= (ELEMENTS - 1) * tiling.element + last);
    let (planes, values) = (planes.as_ptr(), values.as_mut_ptr());
    // SAFETY: the level exists. Of plane and row the kernel reads one vector from a column of the plane on,
    // at most two vectors past its end, and it writes vectors of tiles up to `last`; both were checked.
    unsafe {
        with_simd!(
            level,
            neighbourhoods_on(tiling: &Tiling, rows: Range<usize>, planes: *const f32, values: *mut f32)
        );
    }
}

/// # Safety
///
/// The instructions of `S` exist, and the checks of [`neighbourhoods`] hold.
#[inline(always)]
unsafe fn neighbourhoods_on<S: Simd>(
    tiling: &Tiling,
    rows: Range<usize>,
    planes: *const f32,
    values: *mut f32,
) {
    let columns = tiling.tiles[1];
    let (pitch, plane_len) = (tiling.source.pitch, tiling.source.plane_len());
    let mut row = rows.start;
    while row < rows.end {
        let mut column = 0;
        loop {
            // SAFETY: rows are `row` and the next, of `rows + 1`; see the caller for columns and `values`.
            // What lies past the last tile of a row is overwritten by the next row, or is room that nobody
            // reads.
            unsafe {
                let mut d = [[S::splat(0.0); 4]; 4];
                let mut i = 0;
                while i < 4 {
                    let mut j = 0;
                    while j < 4 {
                        let plane = planes.add((i % 2 * 2 + j % 2) * plane_len);
                        d[i][j] = S::load(plane.add((row + i / 2) * pitch + column + j / 2));
                        j += 1;
                    }
                    i += 1;
                }
                let mut t = [[S::splat(0.0); 4]; 4];
                let mut j = 0;
                while j < 4 {
                    t[0][j] = S::sub(d[0][j], d[2][j]);
                    t[1][j] = S::add(d[1][j], d[2][j]);
                    t[2][j] = S::sub(d[2][j], d[1][j]);
                    t[3][j] = S::sub(d[1][j], d[3][j]);
                    j += 1;
                }
                let to = values.add((row - rows.start) * columns + column);
                let mut i = 0;
                while i < 4 {
                    let to = to.add(4 * i * tiling.element);
                    S::store(to, S::sub(t[i][0], t[i][2]));
                    S::store(to.add(tiling.element), S::add(t[i][1], t[i][2]));
                    S::store(to.add(2 * tiling.element), S::sub(t[i][2], t[i][1]));
                    S::store(to.add(3 * tiling.element), S::sub(t[i][1], t[i][3]));
                    i += 1;
                }
            }
            if column + S::LANES >= columns {
                break;
            }
            column = (column + S::LANES).min(columns - S::LANES);
        }
        row += 1;
    }
}

/// Aᵀ m A of some rows of tiles of one output of one image, with bias and ReLU, into `plane`
/// `[2 · rows, 2 · columns]`.
///
/// `plane` has room for two vectors more unless a row is whole vectors.
pub(super) fn finish(
    tiling: &Tiling,
    rows: usize,
    products: &[f32],
    bias: f32,
    relu: bool,
    plane: &mut [f32],
) {
    let (level, columns) = (tiling.transforms, tiling.tiles[1]);
    let room = if columns.is_multiple_of(level.lanes()) { 0 } else { 2 * level.lanes() };
    assert!(level.exists() && rows > 0 && plane.len() >= 4 * rows * columns + room);
    let last = (rows - 1) * columns + columns.max(level.lanes());
    assert!(products.len() >= (ELEMENTS - 1) * tiling.block_element + last);
    let (products, plane) = (products.as_ptr(), plane.as_mut_ptr());
    // SAFETY: the level exists. The kernel reads vectors of tiles up to `last` of each element, and writes
    // two vectors from a column of `plane` on, at most two vectors past its end and none if a row is whole
    // vectors; both were checked.
    unsafe {
        with_simd!(
            level,
            finish_on(
                tiling: &Tiling, rows: usize, products: *const f32, bias: f32, relu: bool, plane: *mut f32,
            )
        );
    }
}

/// # Safety
///
/// The instructions of `S` exist, and the checks of [`finish`] hold.
#[inline(always)]
unsafe fn finish_on<S: Simd>(
    tiling: &Tiling,
    rows: usize,
    products: *const f32,
    bias: f32,
    relu: bool,
    plane: *mut f32,
) {
    let columns = tiling.tiles[1];
    let mut row = 0;
    while row < rows {
        let mut column = 0;
        loop {
            // SAFETY: see the caller. What is written past the end of a row is overwritten by the next row,
            // or is room.
            unsafe {
                let from = products.add(row * columns + column);
                let mut s = [[S::splat(0.0); 4]; 2];
                let mut j = 0;
                while j < 4 {
                    let m0 = S::load(from.add(j * tiling.block_element));
                    let m1 = S::load(from.add((4 + j) * tiling.block_element));
                    let m2 = S::load(from.add((8 + j) * tiling.block_element));
                    let m3 = S::load(from.add((12 + j) * tiling.block_element));
                    s[0][j] = S::add(m0, S::add(m1, m2));
                    s[1][j] = S::sub(S::sub(m1, m2), m3);
                    j += 1;
                }
                let bias = S::splat(bias);
                let mut i = 0;
                while i < 2 {
                    let mut even = S::add(S::add(s[i][0], S::add(s[i][1], s[i][2])), bias);
                    let mut odd = S::add(S::sub(S::sub(s[i][1], s[i][2]), s[i][3]), bias);
                    if relu {
                        // In this order a NaN stays one.
                        even = S::max(S::splat(0.0), even);
                        odd = S::max(S::splat(0.0), odd);
                    }
                    let [first, second] = S::interleave(even, odd);
                    let to = plane.add((2 * row + i) * 2 * columns + 2 * column);
                    S::store(to, first);
                    S::store(to.add(S::LANES), second);
                    i += 1;
                }
            }
            if column + S::LANES >= columns {
                break;
            }
            column = (column + S::LANES).min(columns - S::LANES);
        }
        row += 1;
    }
}
