//! The weight gradient by tiles: `dg = Gᵀ [ Σ_tiles (A dy Aᵀ) ⊙ (Bᵀ d B) ] G`.
//!
//! For each of the 16 elements the sum over tiles is a sum of outer products,
//! `[channels, tiles] · [tiles, outputs]`.

use std::ops::Range;

use super::{ELEMENTS, Geometry, Tiling, transform_band};
use crate::host::scratch::Scratch;
use crate::kernels::conv::{columns, pad};
use crate::kernels::gemm::outer::{self, Sum};
use crate::kernels::gemm::panel_vectors;
use crate::simd::{Level, Simd, with_simd};

/// How outputs are cut into panels for the sums of one part of the batch: `[panels][16][channels, width]`.
pub(crate) struct TileSums<'a> {
    pub(crate) geometry: &'a Geometry,
    pub(crate) tiling: &'a Tiling,
}

impl TileSums<'_> {
    /// Adds the images of a part. `sums` of a panel is `[16, channels, width]`, and `bias`
    /// `[outputs of all panels]`.
    pub(crate) fn add(
        &self,
        x: &[f32],
        dy: &[f32],
        relu: Option<&[f32]>,
        sums: &mut [f32],
        bias: &mut [f32],
    ) {
        let (geometry, tiling) = (self.geometry, self.tiling);
        let Geometry { level, channels, outputs, .. } = *geometry;
        let full = panel_vectors(level.lanes()) * level.lanes();
        let [tile_rows, tile_columns] = tiling.tiles;
        let out_len = outputs * 4 * tile_rows * tile_columns;
        let mut planes = Scratch::take(tiling.source_len);
        let mut values = Scratch::take(ELEMENTS * tiling.element);
        let positions = 4 * tiling.band * tile_columns;
        let mut pixels = Scratch::take(positions * full);
        let mut right = Scratch::take(4 * positions * full);
        let groups = x.chunks(tiling.group * geometry.in_len()).zip(dy.chunks(tiling.group * out_len));
        for (group, (x, dy)) in groups.enumerate() {
            let relu = relu.map(|relu| &relu[group * tiling.group * out_len..][..dy.len()]);
            pad::pad_group(level, &tiling.source, x, None, geometry.in_len(), &mut planes);
            for band in tiling.bands(dy.len() / out_len) {
                transform_band(geometry, tiling, &planes, band.clone(), &mut values);
                let tiles = band.len() * tile_columns;
                for (panel, first) in (0..outputs).step_by(full).enumerate() {
                    let count = (outputs - first).min(full);
                    let width = count.next_multiple_of(level.lanes());
                    let pixels = &mut pixels[..4 * tiles * width];
                    let right = &mut right[..ELEMENTS * tiles * width];
                    gather(level, tiling, band.clone(), dy, relu, [outputs, first, count], pixels);
                    let bias = &mut bias[first..first + width];
                    gradients(level, tile_columns, width, pixels, right, bias);
                    let sums = &mut sums[panel * full * ELEMENTS * channels..][..ELEMENTS * channels * width];
                    for (element, sums) in sums.chunks_exact_mut(channels * width).enumerate() {
                        let sum = Sum {
                            source: &values[element * tiling.element..][..channels * tiling.pitch],
                            offsets: &tiling.channel_starts,
                            positions: &tiling.tile_starts[..tiles],
                            right: &right[element * tiles * width..][..tiles * width],
                            vectors: width / level.lanes(),
                        };
                        outer::add(level, &sum, sums);
                    }
                }
            }
        }
    }
}

/// dy of a band, `[rows of pixels, columns of pixels, width]`, from `count` outputs after `first` of
/// `outputs`.
fn gather(
    level: Level,
    tiling: &Tiling,
    band: Range<usize>,
    dy: &[f32],
    relu: Option<&[f32]>,
    [outputs, first, count]: [usize; 3],
    pixels: &mut [f32],
) {
    let row = 4 * tiling.tiles[1];
    let plane = row * tiling.tiles[0];
    let width = count.next_multiple_of(level.lanes());
    let mut pixels = pixels;
    for (image, rows) in tiling.segments(band) {
        let (to, rest) = pixels.split_at_mut(rows.len() * row * width);
        pixels = rest;
        let start = (image * outputs + first) * plane + rows.start * row;
        let end = start + (count - 1) * plane + rows.len() * row;
        columns::transpose(
            level,
            &dy[start..end],
            relu.map(|relu| &relu[start..end]),
            plane,
            count,
            width,
            to,
        );
    }
}

/// A dy Aᵀ of tiles, `[16, tiles, width]`, from pixels `[2 · rows of tiles, 2 · columns, width]`; adds all
/// pixels to `bias`.
fn gradients(
    level: Level,
    columns: usize,
    width: usize,
    pixels: &[f32],
    right: &mut [f32],
    bias: &mut [f32],
) {
    assert!(level.exists() && columns > 0 && width.is_multiple_of(level.lanes()));
    assert_eq!(pixels.len() % (4 * columns * width), 0);
    assert_eq!([right.len(), bias.len()], [4 * pixels.len(), width]);
    let right = right.as_mut_ptr();
    // SAFETY: the level exists; `pixels` is whole rows of tiles and `right` has sixteen values for each four
    // of them.
    unsafe {
        with_simd!(
            level,
            gradients_on(columns: usize, width: usize, pixels: &[f32], right: *mut f32, bias: &mut [f32])
        );
    }
}

/// # Safety
///
/// The instructions of `S` exist, and the checks of [`gradients`] hold.
#[inline(always)]
unsafe fn gradients_on<S: Simd>(
    columns: usize,
    width: usize,
    pixels: &[f32],
    right: *mut f32,
    bias: &mut [f32],
) {
    let element = pixels.len() / 4;
    let tiles = element / width;
    let mut lane = 0;
    while lane < width {
        // SAFETY: `tile` and `lane` count the tiles and the vectors of the width; see the checks.
        unsafe {
            let mut total = S::splat(0.0);
            let mut tile = 0;
            while tile < tiles {
                let (row, column) = (tile / columns, tile % columns);
                let from = pixels.as_ptr().add((4 * row * columns + 2 * column) * width + lane);
                let below = from.add(2 * columns * width);
                let d =
                    [[S::load(from), S::load(from.add(width))], [S::load(below), S::load(below.add(width))]];
                // A = [1 0; 1 1; 1 −1; 0 −1], from the left.
                let zero = S::splat(0.0);
                let mut t = [[zero; 2]; 4];
                let mut j = 0;
                while j < 2 {
                    t[0][j] = d[0][j];
                    t[1][j] = S::add(d[0][j], d[1][j]);
                    t[2][j] = S::sub(d[0][j], d[1][j]);
                    t[3][j] = S::sub(zero, d[1][j]);
                    j += 1;
                }
                let to = right.add(tile * width + lane);
                let mut i = 0;
                while i < 4 {
                    let sum = S::add(t[i][0], t[i][1]);
                    if i == 1 {
                        total = S::add(total, sum);
                    }
                    S::store(to.add(4 * i * element), t[i][0]);
                    S::store(to.add((4 * i + 1) * element), sum);
                    S::store(to.add((4 * i + 2) * element), S::sub(t[i][0], t[i][1]));
                    S::store(to.add((4 * i + 3) * element), S::sub(zero, t[i][1]));
                    i += 1;
                }
                tile += 1;
            }
            let to = bias.as_mut_ptr().add(lane);
            S::store(to, S::add(S::load(to), total));
        }
        lane += S::LANES;
    }
}

/// Gᵀ u G.
pub(crate) fn kernel_gradient(u: [f32; ELEMENTS]) -> [f32; 9] {
    let three = |u: [f32; 4]| [u[0] + 0.5 * (u[1] + u[2]), 0.5 * (u[1] - u[2]), 0.5 * (u[1] + u[2]) + u[3]];
    let mut columns = [[0.0; 3]; 4];
    for j in 0..4 {
        columns[j] = three([u[j], u[4 + j], u[8 + j], u[12 + j]]);
    }
    let mut all = [0.0; 9];
    for i in 0..3 {
        let row = three([columns[0][i], columns[1][i], columns[2][i], columns[3][i]]);
        all[3 * i..][..3].copy_from_slice(&row);
    }
    all
}
