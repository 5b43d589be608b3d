//! Networks that only compute: from normalised pixels to features.
//!
//! Batch normalisation is folded into the weights when they are read, so that a convolution is one product
//! and what happens to its results on the way to memory. An image is computed by one thread, so that its maps
//! stay near the core: the bits of a feature depend neither on the number of threads nor on the images beside
//! it.

pub(crate) mod blocks;
pub(crate) mod convolution;
pub(crate) mod image_batch;
pub(crate) mod kernels;
pub(crate) mod layers;
pub(crate) mod positions;
pub(crate) mod transformer;

use std::sync::{Mutex, PoisonError};

use mentor_simd::Level;
use rayon::prelude::*;

use self::convolution::Convolution;
use self::image_batch::{ImageBatch, Scratch};
use self::layers::Layer;
use self::transformer::Transformer;

/// What stands between pixels and features.
pub(crate) enum Body {
    Layers(Vec<Layer>),
    Transformer(Box<Transformer>),
}

/// A network with its weights.
pub struct Network {
    level: Level,
    body: Body,
    num_features: usize,
    /// From features to the scores of the classes that the network was trained on.
    head: Option<Convolution>,
    /// Memory that threads leave for the next image.
    scratch: Mutex<Vec<Scratch>>,
}

impl Network {
    pub(crate) fn new(level: Level, body: Body, num_features: usize, head: Option<Convolution>) -> Self {
        Self { level, body, num_features, head, scratch: Mutex::default() }
    }

    /// Values of a feature vector.
    pub fn num_features(&self) -> usize {
        self.num_features
    }

    /// Classes of the head that came with the weights, if there is one.
    pub fn num_classes(&self) -> Option<usize> {
        self.head.as_ref().map(|head| head.num_filters)
    }

    /// Features `[images, num_features]` of normalised pixels `[images, height, width, 3]`.
    ///
    /// # Panics
    ///
    /// If `pixels` are not whole images, or a transformer's images are not whole patches.
    #[must_use]
    pub fn features(&self, pixels: &[f32], [height, width]: [usize; 2]) -> Vec<f32> {
        let image = height * width * 3;
        assert!(image > 0 && pixels.len().is_multiple_of(image), "images of {height}x{width} pixels");
        let mut features = vec![0.0; pixels.len() / image * self.num_features];
        let images = pixels.par_chunks(image).zip(features.par_chunks_mut(self.num_features));
        images.for_each(|(pixels, feature)| {
            let mut scratch = self.lent().pop().unwrap_or_default();
            let batch = ImageBatch::of_pixels(pixels, [height, width], &mut scratch);
            let result = match &self.body {
                Body::Layers(layers) => {
                    layers.iter().fold(batch, |batch, layer| layer.forward(self.level, batch, &mut scratch))
                }
                Body::Transformer(transformer) => transformer.forward(self.level, batch, &mut scratch),
            };
            feature.copy_from_slice(&result.values[..self.num_features]);
            scratch.give(result.values);
            self.lent().push(scratch);
        });
        features
    }

    /// Scores `[images, num_classes]` of features, by the head that came with the weights.
    #[must_use]
    pub fn scores(&self, features: &[f32]) -> Option<Vec<f32>> {
        let head = self.head.as_ref()?;
        let mut scratch = Scratch::default();
        let batch = ImageBatch {
            images: features.len() / self.num_features,
            height: 1,
            width: 1,
            channels: self.num_features,
            stride: self.num_features,
            values: features.to_vec(),
        };
        let result = head.forward(self.level, &batch, None, &mut scratch);
        let rows = result.values.chunks_exact(result.stride);
        Some(rows.flat_map(|row| &row[..head.num_filters]).copied().collect())
    }

    fn lent(&self) -> std::sync::MutexGuard<'_, Vec<Scratch>> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
