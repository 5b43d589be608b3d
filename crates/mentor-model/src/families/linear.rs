//! `linear`: the linear classifier.

use std::fmt;

use burn::module::Module;
use burn::tensor::Tensor;

use super::family::{self, Family};
use crate::init::Init;
use crate::layers::Dense;
use crate::network::erased::ErasedNetwork;
use crate::{Head, ModelSpec, Network, Output, Pass};

pub(crate) const FAMILY: Family = Family {
    name: "linear",
    pattern: "linear",
    description: "scores = x W + b, the linear classifier; starts at W = 0",
    examples: &["linear"],
    dropout: None,
    stochastic_depth: false,
    batch_norm: false,
    is_dense: true,
    learning_rate: 0.01,
    summary: "linear",
    parse: |name| (name == "linear").then(|| family::shape(Ok(Shape)))?,
};

/// `linear`, of which there is one.
#[derive(Debug)]
pub(crate) struct Shape;

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("linear")
    }
}

impl family::Shape for Shape {
    fn min_side(&self) -> usize {
        1
    }

    fn build(&self, spec: &ModelSpec, init: &mut Init<'_>) -> Box<dyn ErasedNetwork> {
        Box::new(Linear::new(spec, init))
    }
}

/// scores = x W + b. W and b start at 0: the losses are convex in them, so no start is better, and the loss
/// of the first step is the one that can be said beforehand (ln C for softmax, C − 1 for the hinge). The
/// features are the image itself, flattened.
#[derive(Module, Debug)]
pub(crate) struct Linear {
    head: Dense,
}

impl Linear {
    fn new(spec: &ModelSpec, init: &mut Init<'_>) -> Self {
        let inputs = spec.input.iter().product();
        Self {
            head: match spec.head {
                Head::Classifier { num_classes } => Dense::zeros(init, inputs, num_classes),
                // At W = 0 all embeddings are one point, which no ranking loss leaves.
                Head::Embedding { size, .. } => Dense::head(init, inputs, size),
            },
        }
    }
}

impl Network for Linear {
    fn forward(&self, images: Tensor<4>, _: &Pass<'_>) -> Output {
        let features: Tensor<2> = images.flatten(1, 3); // [B, C·H·W]
        Output { head: self.head.forward(features.clone()), features }
    }
}
