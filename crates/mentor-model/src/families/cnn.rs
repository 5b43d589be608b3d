//! `cnn` and `cnn:wide`: a small convolutional network.

use std::fmt;

use burn::module::Module;
use burn::tensor::Tensor;

use super::family::{self, Family};
use crate::init::Init;
use crate::layers::{Conv2d, Dense, Dropout, max_pool};
use crate::network::erased::ErasedNetwork;
use crate::{ModelSpec, Network, Output, Pass};

pub(crate) const FAMILY: Family = Family {
    name: "cnn",
    pattern: "cnn, cnn:wide",
    description: "three 3x3 convolutions (32, 64, 128), two max-pools, 256 units; twice as many in the wide \
                  one",
    examples: &["cnn", "cnn:wide"],
    dropout: Some("before the classifier"),
    stochastic_depth: false,
    batch_norm: false,
    is_dense: false,
    learning_rate: 0.02,
    summary: "cnn, cnn:wide",
    parse: |name| match name {
        "cnn" => family::shape(Ok(Shape { wide: false })),
        "cnn:wide" => family::shape(Ok(Shape { wide: true })),
        _ => None,
    },
};

#[derive(Debug)]
struct Shape {
    wide: bool,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.wide { "cnn:wide" } else { "cnn" })
    }
}

impl family::Shape for Shape {
    fn min_side(&self) -> usize {
        4
    }

    fn build(&self, spec: &ModelSpec, init: &mut Init<'_>) -> Box<dyn ErasedNetwork> {
        Box::new(Cnn::new(spec, self.wide, init))
    }
}

const CHANNELS: [usize; 3] = [32, 64, 128];
const NUM_FEATURES: usize = 256;

/// conv 3x3 (32), conv 3x3 (64), max-pool 2, conv 3x3 (128), max-pool 2, 256 units (the features), dropout,
/// head; a ReLU after each convolution and after the hidden layer. `cnn:wide` has twice the channels and
/// units.
///
/// Without batch normalisation: a sample's scores depend on that sample alone, so the gradient of a whole
/// training set, accumulated in chunks, is exact.
#[derive(Module, Debug)]
pub(crate) struct Cnn {
    conv1: Conv2d,
    conv2: Conv2d,
    conv3: Conv2d,
    hidden: Dense,
    head: Dense,
    dropout: Dropout,
}

impl Cnn {
    fn new(spec: &ModelSpec, wide: bool, init: &mut Init<'_>) -> Self {
        let factor = if wide { 2 } else { 1 };
        let [first, second, third] = CHANNELS.map(|channels| factor * channels);
        let features = factor * NUM_FEATURES;
        let [channels, height, width] = spec.input;
        // Each of the two pools halves a side and drops an odd last row.
        let pooled = third * (height / 2 / 2) * (width / 2 / 2);
        Self {
            conv1: Conv2d::with_bias(init, channels, first, 3),
            conv2: Conv2d::with_bias(init, first, second, 3),
            conv3: Conv2d::with_bias(init, second, third, 3),
            hidden: Dense::hidden(init, pooled, features),
            head: Dense::head(init, features, spec.head.size()),
            dropout: Dropout::new(spec.dropout, 0),
        }
    }
}

impl Network for Cnn {
    fn forward(&self, images: Tensor<4>, pass: &Pass<'_>) -> Output {
        // The shapes are those of `cnn`.
        let x = self.conv1.forward_relu(images); // [B, 32, H, W]
        let x = self.conv2.forward_relu(x); // [B, 64, H, W]
        let x = max_pool(x, 2, 2, 0); // [B, 64, H/2, W/2]
        let x = self.conv3.forward_relu(x); // [B, 128, H/2, W/2]
        let x = max_pool(x, 2, 2, 0); // [B, 128, H/4, W/4]
        let features = self.hidden.forward_relu(x.flatten(1, 3)); // [B, 256]
        let head = self.head.forward(self.dropout.forward(features.clone(), pass));
        Output { features, head }
    }
}
