//! A convolution, dense layers among them, with its normalisation folded in.

use mentor_simd::Level;

use super::image_batch::{ImageBatch, Scratch};
use super::kernels::columns::{Window, gather};
use super::kernels::depthwise::Depthwise;
use super::kernels::elementwise::{Each, gelu, hard_swish, silu};
use super::kernels::packed::Packed;
use super::kernels::product::{ANY, Product};
use super::kernels::{padded, run};

/// What becomes of each result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// It stays as it is.
    None,
    /// max(x, 0).
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
    /// x · min(max(x + 3, 0), 6) / 6.
    HardSwish,
    /// x · sigmoid(x).
    Silu,
    /// x · Φ(x).
    Gelu,
}

impl Activation {
    /// What the kernel does on the way to memory.
    pub(crate) fn clamp(self) -> [f32; 2] {
        match self {
            Self::Relu => [0.0, f32::INFINITY],
            Self::Relu6 => [0.0, 6.0],
            Self::None | Self::HardSwish | Self::Silu | Self::Gelu => ANY,
        }
    }

    /// What is done after it, while the values are in the cache.
    pub(crate) fn finish(self, level: Level, values: &mut [f32]) {
        match self {
            Self::None | Self::Relu | Self::Relu6 => {}
            Self::HardSwish => run(level, Each { values, function: hard_swish }),
            Self::Silu => run(level, Each { values, function: silu }),
            Self::Gelu => run(level, Each { values, function: gelu }),
        }
    }
}

/// Filters as they lie in a file, `[filters, channels, kernel, kernel]`, after the normalisation was folded
/// in.
#[derive(Clone, Debug)]
pub struct Filters {
    /// Filters, channels, rows and columns.
    pub shape: [usize; 4],
    /// Values in row-major order.
    pub weights: Vec<f32>,
    /// A value a filter.
    pub bias: Vec<f32>,
}

/// Values of rows whose results are finished together.
const BLOCK_VALUES: usize = 256 << 10;

/// A convolution over all channels.
pub(crate) struct Convolution {
    pub(crate) num_filters: usize,
    window: Window,
    /// `[kernel row, kernel column, channel]` × filters.
    weights: Packed,
    /// Padded.
    bias: Vec<f32>,
    activation: Activation,
}

impl Convolution {
    pub(crate) fn new(level: Level, filters: &Filters, window: Window, activation: Activation) -> Self {
        let [num_filters, channels, kernel, _] = filters.shape;
        assert!(kernel == window.kernel && filters.weights.len() == num_filters * channels * kernel * kernel);
        let weights = Packed::new(level, kernel * kernel * channels, num_filters, |term, filter| {
            let (place, channel) = (term / channels, term % channels);
            filters.weights[(filter * channels + channel) * kernel * kernel + place]
        });
        let mut bias = filters.bias.clone();
        bias.resize(padded(num_filters), 0.0);
        Self { num_filters, window, weights, bias, activation }
    }

    /// The results; `add` is added to them before the activation.
    pub(crate) fn forward(
        &self,
        level: Level,
        batch: &ImageBatch,
        add: Option<&ImageBatch>,
        scratch: &mut Scratch,
    ) -> ImageBatch {
        let Window { kernel, stride, .. } = self.window;
        let size = [batch.height, batch.width].map(|size| self.window.along(size).1);
        let mut out = ImageBatch::take(batch.images, size, self.num_filters, scratch);
        let (depth, out_stride) = (self.weights.depth, out.stride);
        assert_eq!(depth, kernel * kernel * batch.channels, "channels of a convolution");
        let add = add.map(|add| &add.values[..]);
        let block = (BLOCK_VALUES / depth.max(out_stride)).max(12) / 12 * 12;
        let finish = |left: &[f32], left_stride, out: &mut [f32], add: Option<&[f32]>| {
            let rows = out.len() / out_stride;
            let (right, bias, clamp) = (&self.weights, &self.bias[..], self.activation.clamp());
            run(level, Product { left, left_stride, rows, right, bias, add, clamp, out, out_stride });
            self.activation.finish(level, out);
        };
        if kernel == 1 && stride == 1 {
            for (at, out) in out.values.chunks_mut(block * out_stride).enumerate() {
                let add = add.map(|add| &add[at * block * out_stride..]);
                finish(&batch.values[at * block * batch.stride..], batch.stride, out, add);
            }
        } else {
            let mut rows = scratch.take(block * depth);
            let image_len = out.image_len();
            for (image, out) in out.values.chunks_exact_mut(image_len).enumerate() {
                let add = add.map(|add| &add[image * image_len..]);
                for (at, out) in out.chunks_mut(block * out_stride).enumerate() {
                    let rows = &mut rows[..out.len() / out_stride * depth];
                    gather(&batch.pixels(image), self.window, at * block, rows);
                    finish(rows, depth, out, add.map(|add| &add[at * block * out_stride..]));
                }
            }
            scratch.give(rows);
        }
        out
    }
}

/// A convolution of each channel by its own window.
pub(crate) struct DepthwiseConvolution {
    window: Window,
    /// `[kernel row, kernel column, channel]`, padded.
    weights: Vec<f32>,
    bias: Vec<f32>,
    activation: Activation,
}

impl DepthwiseConvolution {
    pub(crate) fn new(filters: &Filters, window: Window, activation: Activation) -> Self {
        let [channels, one, kernel, _] = filters.shape;
        assert!(one == 1 && kernel == window.kernel);
        let stride = padded(channels);
        let mut weights = vec![0.0; kernel * kernel * stride];
        for (place, row) in weights.chunks_exact_mut(stride).enumerate() {
            for (channel, weight) in row[..channels].iter_mut().enumerate() {
                *weight = filters.weights[channel * kernel * kernel + place];
            }
        }
        let mut bias = filters.bias.clone();
        bias.resize(stride, 0.0);
        Self { window, weights, bias, activation }
    }

    pub(crate) fn forward(&self, level: Level, batch: &ImageBatch, scratch: &mut Scratch) -> ImageBatch {
        let size = [batch.height, batch.width].map(|size| self.window.along(size).1);
        let mut result = ImageBatch::take(batch.images, size, batch.channels, scratch);
        let image_len = result.image_len();
        for (image, out) in result.values.chunks_exact_mut(image_len).enumerate() {
            let mut pixels = batch.pixels(image);
            pixels.channels = pixels.stride;
            let (window, clamp) = (self.window, self.activation.clamp());
            let (weights, bias) = (&self.weights[..], &self.bias[..]);
            run(level, Depthwise { pixels, window, weights, bias, clamp, out: &mut *out });
            self.activation.finish(level, out);
        }
        result
    }
}
