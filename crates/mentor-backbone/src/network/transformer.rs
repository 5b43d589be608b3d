//! The vision transformer (Dosovitskiy et al. 2021), with class token, registers and pre-normalisation.

use std::sync::{Arc, Mutex, PoisonError};

use mentor_simd::Level;

use super::convolution::Convolution;
use super::image_batch::{ImageBatch, Scratch};
use super::kernels::elementwise::{LayerNorm, Softmax};
use super::kernels::packed::Packed;
use super::kernels::product::{ANY, Product};
use super::kernels::{padded, run};
use super::positions::Interpolation;

/// A layer normalisation over the width.
pub(crate) struct Norm {
    pub(crate) gain: Vec<f32>,
    pub(crate) bias: Vec<f32>,
    pub(crate) epsilon: f32,
}

/// Attention and two dense layers, each added to what came in. Scales of layers are folded into the last
/// weights of each.
pub(crate) struct Block {
    pub(crate) norm1: Norm,
    /// To queries, keys and values, one beside the other, each head after head.
    pub(crate) qkv: Convolution,
    pub(crate) project: Convolution,
    pub(crate) norm2: Norm,
    /// With GELU.
    pub(crate) expand: Convolution,
    pub(crate) reduce: Convolution,
}

/// Embeddings of positions for a number of rows and columns.
pub(crate) type Grid = ([usize; 2], Arc<[f32]>);

/// Embeddings of positions, for the grid that they were trained on.
pub(crate) struct Positions {
    /// `[rows, columns, width]`.
    pub(crate) grid: Vec<f32>,
    pub(crate) size: [usize; 2],
    pub(crate) interpolation: Interpolation,
    /// The grid for the last size that was asked for.
    pub(crate) last: Mutex<Option<Grid>>,
}

/// A vision transformer whose feature is the class token after the last normalisation.
pub(crate) struct Transformer {
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) patches: Convolution,
    /// The tokens before the patches, with their positions added: class, distillation or registers.
    pub(crate) tokens: Vec<f32>,
    /// The first so many tokens are averaged to the feature: 2 with a distillation token.
    pub(crate) num_pooled: usize,
    pub(crate) positions: Positions,
    pub(crate) blocks: Vec<Block>,
    pub(crate) norm: Norm,
}

impl Norm {
    fn forward(&self, level: Level, batch: &ImageBatch, scratch: &mut Scratch) -> ImageBatch {
        let mut out = ImageBatch::take(batch.images, [1, batch.width], batch.channels, scratch);
        let Self { gain, bias, epsilon } = self;
        let (values, stride, epsilon) = (&batch.values[..], batch.stride, *epsilon);
        run(level, LayerNorm { values, stride, gain, bias, epsilon, out: &mut out.values });
        out
    }
}

impl Positions {
    fn for_size(&self, size: [usize; 2], width: usize) -> Arc<[f32]> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, grid)) = &*last
            && *known == size
        {
            return Arc::clone(grid);
        }
        let grid: Arc<[f32]> = self.interpolation.apply(&self.grid, self.size, size, width).into();
        *last = Some((size, Arc::clone(&grid)));
        grid
    }
}

impl Transformer {
    /// The feature of each image, as an image of one pixel.
    pub(crate) fn forward(&self, level: Level, batch: ImageBatch, scratch: &mut Scratch) -> ImageBatch {
        let mut tokens = self.embed(level, batch, scratch);
        for block in &self.blocks {
            let normed = block.norm1.forward(level, &tokens, scratch);
            let qkv = block.qkv.forward(level, &normed, None, scratch);
            let attended = self.attend(level, &qkv, normed, scratch);
            let next = block.project.forward(level, &attended, Some(&tokens), scratch);
            [qkv, attended, tokens].into_iter().for_each(|batch| scratch.give(batch.values));
            let normed = block.norm2.forward(level, &next, scratch);
            let hidden = block.expand.forward(level, &normed, None, scratch);
            tokens = block.reduce.forward(level, &hidden, Some(&next), scratch);
            [normed, hidden, next].into_iter().for_each(|batch| scratch.give(batch.values));
        }
        let normed = self.norm.forward(level, &tokens, scratch);
        let mut result = ImageBatch::take(normed.images, [1, 1], self.width, scratch);
        let image_len = normed.image_len();
        for (image, out) in
            normed.values.chunks_exact(image_len).zip(result.values.chunks_exact_mut(self.width))
        {
            for (at, value) in out.iter_mut().enumerate() {
                let sum: f32 = (0..self.num_pooled).map(|token| image[token * self.width + at]).sum();
                *value = sum / self.num_pooled as f32;
            }
        }
        [tokens, normed].into_iter().for_each(|batch| scratch.give(batch.values));
        result
    }

    /// Tokens `[image, token, width]`, as images of one row.
    fn embed(&self, level: Level, batch: ImageBatch, scratch: &mut Scratch) -> ImageBatch {
        let patches = self.patches.forward(level, &batch, None, scratch);
        let positions = self.positions.for_size([patches.height, patches.width], self.width);
        let count = self.tokens.len() / self.width + patches.height * patches.width;
        let mut tokens = ImageBatch::take(batch.images, [1, count], self.width, scratch);
        let image_len = tokens.image_len();
        for (image, out) in tokens.values.chunks_exact_mut(image_len).enumerate() {
            let (first, rest) = out.split_at_mut(self.tokens.len());
            first.copy_from_slice(&self.tokens);
            let patches = patches.pixels(image).values;
            for ((out, patch), position) in rest.iter_mut().zip(patches).zip(&positions[..]) {
                *out = patch + position;
            }
        }
        [batch, patches].into_iter().for_each(|batch| scratch.give(batch.values));
        tokens
    }

    /// softmax(Q Kᵀ / √d) V of each head, written over `out`.
    fn attend(
        &self,
        level: Level,
        qkv: &ImageBatch,
        mut out: ImageBatch,
        scratch: &mut Scratch,
    ) -> ImageBatch {
        let (count, width, d) = (qkv.width, self.width, self.width / self.heads);
        let (stride, out_stride) = (qkv.stride, out.stride);
        let mut shares = scratch.take(count * padded(count));
        let mut packed = Packed { values: scratch.take(0), ..Packed::default() };
        let (image_len, out_len) = (qkv.image_len(), out.image_len());
        for (qkv, out) in qkv.values.chunks_exact(image_len).zip(out.values.chunks_exact_mut(out_len)) {
            for head in 0..self.heads {
                let [queries, keys, values] = [0, 1, 2].map(|part| &qkv[part * width + head * d..]);
                packed.fill(level, d, count, |term, token| keys[token * stride + term]);
                run(level, product(queries, stride, &packed, count, &mut shares, padded(count)));
                let scale = 1.0 / (d as f32).sqrt();
                run(level, Softmax { values: &mut shares, stride: padded(count), count, scale });
                packed.fill(level, count, d, |token, column| values[token * stride + column]);
                run(level, product(&shares, padded(count), &packed, count, &mut out[head * d..], out_stride));
            }
        }
        scratch.give(shares);
        scratch.give(packed.values);
        out
    }
}

fn product<'a>(
    left: &'a [f32],
    left_stride: usize,
    right: &'a Packed,
    rows: usize,
    out: &'a mut [f32],
    out_stride: usize,
) -> Product<'a> {
    Product { left, left_stride, rows, right, bias: &[], add: None, clamp: ANY, out, out_stride }
}
