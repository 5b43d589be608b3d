//! Winograd's convolution for kernels of 3 × 3 with stride 1: 16 multiplications for 2 × 2 results instead
//! of 36.
//!
//! The result is cut into tiles of 2 × 2, each of which depends on 4 × 4 values d of the padded image:
//!
//! ```text
//! y = Aᵀ [ Σ_c (G g_c Gᵀ) ⊙ (Bᵀ d_c B) ] A                ⊙ element by element, 16 of them
//!
//!      1  0 −1  0            1    0    0             1  1  1  0
//! Bᵀ = 0  1  1  0       G =  1/2  1/2  1/2      Aᵀ = 0  1 −1 −1
//!      0 −1  1  0            1/2 −1/2  1/2
//!      0  1  0 −1            0    0    1
//! ```
//!
//! For each of the 16 elements the sum over channels is a matrix product
//! `[outputs, channels] · [channels, tiles]`.
//!
//! **Numerics.** The sums are nine times shorter than the direct ones and the transforms only add, subtract
//! and halve: on uniform values with 64 channels the relative error (root mean square) is 2.6e-7, and 4.1e-7
//! for the direct sum. But an error is relative to the largest values around a tile, not to the result
//! itself. One infinite or NaN value of the image makes the whole tile NaN, not only the results that depend
//! on it.
//!
//! **Source.** Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015, section 4.1: F(2×2,
//! 3×3).

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::pad;
use super::plan::{Cache, Source};
use super::shape::ConvShape;
use crate::host::scratch::Scratch;
use crate::kernels::gemm::rows::{self, Product};
use crate::simd::Level;
use transforms::{finish, neighbourhoods, transform_kernel};

mod tiling;
mod transforms;
mod weights;

pub(crate) use tiling::{ELEMENTS, Tiling};
pub(crate) use weights::{TileSums, kernel_gradient};

/// Channels from which the transforms cost less than they save.
const MIN_CHANNELS: usize = 12;
/// Padded images of a group, at most, unless it is one image: 320 KiB.
const GROUP_VALUES: usize = 80 << 10;
/// Transformed values of a band of tiles, about: 320 KiB.
const BAND_VALUES: usize = 80 << 10;
/// Tiles of a band, at least and at most, if a row does not have more.
const BAND_TILES: [usize; 2] = [40, 96];
/// Products of a block of outputs before they are transformed: 128 KiB.
const BLOCK_VALUES: usize = 32 << 10;

/// A convolution by tiles: 3 × 3, stride 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) level: Level,
    pub(crate) channels: usize,
    pub(crate) outputs: usize,
    /// Rows and columns of the image, without padding.
    pub(crate) image: [usize; 2],
    pub(crate) padding: usize,
}

impl Geometry {
    /// The forward pass of `shape`, if tiles suit it.
    pub(crate) fn forward(level: Level, shape: &ConvShape) -> Option<Self> {
        let fits = shape.kernel == [3, 3] && shape.stride == 1 && shape.dilation == 1 && shape.padding <= 2;
        let channels = shape.in_channels.min(shape.out_channels);
        let tiled = |size: usize| size >= 4 && size.is_multiple_of(2);
        let suits = fits && channels >= MIN_CHANNELS && tiled(shape.out_height()) && tiled(shape.out_width());
        suits.then_some(Self {
            level,
            channels: shape.in_channels,
            outputs: shape.out_channels,
            image: [shape.height, shape.width],
            padding: shape.padding,
        })
    }

    /// The input gradient of `shape`, a convolution of dy, if tiles suit it.
    pub(crate) fn input_gradient(level: Level, shape: &ConvShape) -> Option<Self> {
        let turned = ConvShape {
            in_channels: shape.out_channels,
            out_channels: shape.in_channels,
            height: shape.out_height(),
            width: shape.out_width(),
            padding: 2usize.checked_sub(shape.padding)?,
            ..*shape
        };
        Self::forward(level, &turned)
    }

    /// Looked up, or made once.
    pub(crate) fn tiling(&self) -> Arc<Tiling> {
        static TILINGS: Cache<Geometry, Tiling> = Cache::new();
        TILINGS.get(*self, || self.make_tiling())
    }

    fn make_tiling(&self) -> Tiling {
        let lanes = self.level.lanes();
        let tiles = self.image.map(|size| (size + 2 * self.padding - 2) / 2);
        let image_len = self.channels * 4 * (tiles[0] + 2) * (tiles[1] + 1);
        let group = (GROUP_VALUES / image_len).clamp(1, 8);
        let band_tiles = (BAND_VALUES / ELEMENTS / self.channels).clamp(BAND_TILES[0], BAND_TILES[1]);
        let whole = lanes >> tiles[1].trailing_zeros().min(lanes.ilog2());
        let unit = if whole * tiles[1] <= BAND_TILES[1] { whole } else { 1 };
        let band = (band_tiles / tiles[1] + unit / 2).clamp(unit, (group * tiles[0]).next_multiple_of(unit));
        let band = band / unit * unit;
        // A vector that starts at the last tile of a row may reach past the last tile.
        let pitch = (band * tiles[1]).next_multiple_of(lanes) + lanes;
        // Not a power of two apart: sixteen streams would share a few sets of the first-level cache.
        let apart = |len: usize| len.next_multiple_of(1024) + 80;
        let source = Source {
            channels: self.channels,
            image: self.image,
            step: 2,
            planes: vec![[0, 0], [0, 1], [1, 0], [1, 1]],
            // One more than is read, so that it splits.
            rows: tiles[0] + 2,
            pitch: tiles[1] + 1,
            padding: [self.padding; 2],
        };
        let block = (BLOCK_VALUES / ELEMENTS / pitch).max(8) / 8 * 8;
        let small = |at: usize| u32::try_from(at).expect("a group of images of less than 2^32 values");
        Tiling {
            transforms: self.level.narrowest(tiles[1]),
            source_len: group * source.image_len() + 2 * lanes,
            source,
            tiles,
            group,
            unit,
            band,
            pitch,
            element: apart(self.channels * pitch),
            channel_starts: (0..self.channels).map(|channel| small(channel * pitch)).collect(),
            tile_starts: (0..band * tiles[1]).map(small).collect(),
            vector_starts: (0..(band * tiles[1]).div_ceil(lanes))
                .map(|vector| small(vector * lanes))
                .collect(),
            block,
            block_element: apart(block.min(self.outputs) * pitch),
        }
    }

    pub(crate) fn in_len(&self) -> usize {
        self.channels * self.image[0] * self.image[1]
    }

    /// Convolves `images` with `kernel(output, channel)` into `out`.
    pub(crate) fn run(
        &self,
        kernel: impl Fn(usize, usize) -> [f32; 9] + Sync,
        images: &[f32],
        relu_before: Option<&[f32]>,
        bias: Option<&[f32]>,
        relu: bool,
        out: &mut [f32],
    ) {
        let tiling = self.tiling();
        let mut left = Scratch::take(ELEMENTS * self.outputs * self.channels);
        self.transform_kernels(kernel, &mut left);
        let task = Task { geometry: self, tiling: &tiling, left: &left, bias, relu };
        let (in_len, out_len) = (self.in_len(), self.outputs * 4 * tiling.tiles[0] * tiling.tiles[1]);
        out.par_chunks_mut(tiling.group * out_len).enumerate().for_each(|(index, out)| {
            let start = index * tiling.group;
            let range = start * in_len..(start + out.len() / out_len) * in_len;
            task.group(&images[range.clone()], relu_before.map(|relu| &relu[range]), out);
        });
    }

    /// G g Gᵀ of all kernels, into packed rows for each element.
    fn transform_kernels(&self, kernel: impl Fn(usize, usize) -> [f32; 9] + Sync, left: &mut [f32]) {
        let panels: Vec<_> = rows::panels(self.level, self.outputs).collect();
        let mut parts: Vec<Vec<&mut [f32]>> = panels.iter().map(|_| Vec::with_capacity(ELEMENTS)).collect();
        for mut element in left.chunks_exact_mut(self.outputs * self.channels) {
            for (rows, parts) in panels.iter().zip(&mut parts) {
                parts.push(element.split_off_mut(..rows.len() * self.channels).expect("all panels"));
            }
        }
        panels.into_par_iter().zip(parts).for_each(|(rows, mut parts)| {
            for channel in 0..self.channels {
                for (within, output) in rows.clone().enumerate() {
                    let transformed = transform_kernel(kernel(output, channel));
                    for (part, value) in parts.iter_mut().zip(transformed) {
                        part[channel * rows.len() + within] = value;
                    }
                }
            }
        });
    }
}

struct Task<'a> {
    geometry: &'a Geometry,
    tiling: &'a Tiling,
    left: &'a [f32],
    bias: Option<&'a [f32]>,
    relu: bool,
}

impl Task<'_> {
    fn group(&self, images: &[f32], relu_before: Option<&[f32]>, out: &mut [f32]) {
        let &Self { geometry, tiling, .. } = self;
        let Geometry { level, channels, outputs, .. } = *geometry;
        let mut planes = Scratch::take(tiling.source_len);
        pad::pad_group(level, &tiling.source, images, relu_before, geometry.in_len(), &mut planes);
        let mut values = Scratch::take(ELEMENTS * tiling.element);
        let block = tiling.block.min(outputs);
        let mut products = Scratch::take(ELEMENTS * tiling.block_element);
        let [tile_rows, tile_columns] = tiling.tiles;
        // The last vector of a row that is not whole vectors writes past its end.
        let whole_vectors = tile_columns.is_multiple_of(tiling.transforms.lanes());
        let mut results = Scratch::take(4 * tiling.band * tile_columns + 2 * level.lanes());
        for band in tiling.bands(images.len() / geometry.in_len()) {
            let vectors = (band.len() * tile_columns).div_ceil(level.lanes());
            transform_band(geometry, tiling, &planes, band.clone(), &mut values);
            for start in (0..outputs).step_by(block) {
                let end = (start + block).min(outputs);
                for element in 0..ELEMENTS {
                    let rows = (element * outputs + start) * channels..(element * outputs + end) * channels;
                    let product = Product {
                        left: &self.left[rows],
                        count: end - start,
                        source: &values[element * tiling.element..][..channels * tiling.pitch],
                        offsets: &tiling.channel_starts,
                        reads: &tiling.vector_starts[..vectors],
                        writes: &tiling.vector_starts[..vectors],
                        result_stride: tiling.pitch,
                        bias: None,
                        relu: false,
                    };
                    rows::run(level, &product, &mut products[element * tiling.block_element..]);
                }
                for (image, rows) in tiling.segments(band.clone()) {
                    let first = image * tile_rows + rows.start - band.start;
                    for output in start..end {
                        let from = (output - start) * tiling.pitch + first * tile_columns;
                        let bias = self.bias.map_or(0.0, |bias| bias[output]);
                        let to = ((image * outputs + output) * tile_rows + rows.start) * 4 * tile_columns;
                        let out = &mut out[to..to + 4 * rows.len() * tile_columns];
                        let products = &products[from..];
                        if whole_vectors {
                            finish(tiling, rows.len(), products, bias, self.relu, out);
                        } else {
                            finish(tiling, rows.len(), products, bias, self.relu, &mut results);
                            out.copy_from_slice(&results[..out.len()]);
                        }
                    }
                }
            }
        }
    }
}

/// Bᵀ d B of a band of tiles: `values` is `[16, channels, tiles]`, at the distances of `tiling`.
pub(crate) fn transform_band(
    geometry: &Geometry,
    tiling: &Tiling,
    planes: &[f32],
    band: Range<usize>,
    values: &mut [f32],
) {
    let source = &tiling.source;
    for (image, rows) in tiling.segments(band.clone()) {
        let first = image * tiling.tiles[0] + rows.start - band.start;
        for channel in 0..geometry.channels {
            let planes = &planes[image * source.image_len() + channel * 4 * source.plane_len()..];
            let values = &mut values[channel * tiling.pitch + first * tiling.tiles[1]..];
            neighbourhoods(tiling, rows.clone(), planes, values);
        }
    }
}
