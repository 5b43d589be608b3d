//! What convolutional networks are made of, beside convolutions.

use mentor_simd::Level;

use super::convolution::{Convolution, DepthwiseConvolution};
use super::image_batch::{ImageBatch, Scratch};
use super::kernels::columns::Window;
use super::kernels::elementwise::{Each, MaxPool, Mean, ScaleChannels, hard_sigmoid, sigmoid};
use super::kernels::run;

/// A step from images to images.
pub(crate) enum Layer {
    Convolution(Convolution),
    Depthwise(DepthwiseConvolution),
    SqueezeExcite(SqueezeExcite),
    MaxPool(Window),
    /// The mean over all pixels.
    AveragePool,
    Residual(Residual),
}

/// `activation(last(body(x)) + shortcut(x))`, the activation being that of `last`.
pub(crate) struct Residual {
    pub(crate) body: Vec<Layer>,
    pub(crate) last: Convolution,
    /// Nothing: x itself.
    pub(crate) shortcut: Option<Convolution>,
}

/// Channels weighted by what the whole image holds (Hu et al. 2018).
pub(crate) struct SqueezeExcite {
    pub(crate) reduce: Convolution,
    pub(crate) expand: Convolution,
    pub(crate) gate: Gate,
}

/// What brings the weights of channels to [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// 1 / (1 + e⁻ˣ).
    Sigmoid,
    /// min(max(x + 3, 0), 6) / 6.
    HardSigmoid,
}

impl Layer {
    pub(crate) fn forward(&self, level: Level, batch: ImageBatch, scratch: &mut Scratch) -> ImageBatch {
        let result = match self {
            Self::Convolution(convolution) => convolution.forward(level, &batch, None, scratch),
            Self::Depthwise(depthwise) => depthwise.forward(level, &batch, scratch),
            Self::SqueezeExcite(squeeze) => return squeeze.forward(level, batch, scratch),
            Self::MaxPool(window) => max_pool(level, *window, &batch, scratch),
            Self::AveragePool => average_pool(level, &batch, scratch),
            Self::Residual(residual) => residual.forward(level, &batch, scratch),
        };
        scratch.give(batch.values);
        result
    }
}

impl Residual {
    fn forward(&self, level: Level, batch: &ImageBatch, scratch: &mut Scratch) -> ImageBatch {
        let mut within: Option<ImageBatch> = None;
        for layer in &self.body {
            let next = match (within.take(), layer) {
                (Some(within), layer) => layer.forward(level, within, scratch),
                (None, Layer::Convolution(first)) => first.forward(level, batch, None, scratch),
                (None, Layer::Depthwise(first)) => first.forward(level, batch, scratch),
                (None, _) => unreachable!("the body of a residual begins with a convolution"),
            };
            within = Some(next);
        }
        let shortcut = self.shortcut.as_ref().map(|shortcut| shortcut.forward(level, batch, None, scratch));
        let add = Some(shortcut.as_ref().unwrap_or(batch));
        let result = self.last.forward(level, within.as_ref().unwrap_or(batch), add, scratch);
        [within, shortcut].into_iter().flatten().for_each(|batch| scratch.give(batch.values));
        result
    }
}

impl SqueezeExcite {
    fn forward(&self, level: Level, mut batch: ImageBatch, scratch: &mut Scratch) -> ImageBatch {
        let mean = average_pool(level, &batch, scratch);
        let reduced = self.reduce.forward(level, &mean, None, scratch);
        let mut factors = self.expand.forward(level, &reduced, None, scratch);
        match self.gate {
            Gate::Sigmoid => run(level, Each { values: &mut factors.values, function: sigmoid }),
            Gate::HardSigmoid => run(level, Each { values: &mut factors.values, function: hard_sigmoid }),
        }
        let (image, channels) = (batch.image_len(), factors.stride);
        for (values, factors) in
            batch.values.chunks_exact_mut(image).zip(factors.values.chunks_exact(channels))
        {
            run(level, ScaleChannels { values, factors });
        }
        [mean, reduced, factors].into_iter().for_each(|batch| scratch.give(batch.values));
        batch
    }
}

fn max_pool(level: Level, window: Window, batch: &ImageBatch, scratch: &mut Scratch) -> ImageBatch {
    let size = [batch.height, batch.width].map(|size| window.along(size).1);
    let mut result = ImageBatch::take(batch.images, size, batch.channels, scratch);
    let image_len = result.image_len();
    for (image, out) in result.values.chunks_exact_mut(image_len).enumerate() {
        run(level, MaxPool { pixels: batch.pixels(image), window, out });
    }
    result
}

fn average_pool(level: Level, batch: &ImageBatch, scratch: &mut Scratch) -> ImageBatch {
    let mut result = ImageBatch::take(batch.images, [1, 1], batch.channels, scratch);
    let images = batch.values.chunks_exact(batch.image_len());
    for (values, out) in images.zip(result.values.chunks_exact_mut(result.stride)) {
        run(level, Mean { values, out });
    }
    result
}
