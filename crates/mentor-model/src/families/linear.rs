//! `linear`: the linear classifier.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::init::Init;
use crate::layers::Dense;
use crate::pass::Output;
use crate::{Head, ModelSpec};

/// scores = x W + b. W and b start at 0: the losses are convex in them, so no start is better, and the loss of
/// the first step is the one that can be said beforehand (ln C for softmax, C − 1 for the hinge). The
/// features are the image itself, flattened.
#[derive(Module, Debug)]
pub(crate) struct Linear {
    head: Dense,
}

impl Linear {
    pub(crate) fn new(spec: &ModelSpec, init: &mut Init<'_>) -> Self {
        let inputs = spec.input.iter().product();
        Self {
            head: match spec.head {
                Head::Classifier { num_classes } => Dense::zeros(init, inputs, num_classes),
                // At W = 0 all embeddings are one point, which no ranking loss leaves.
                Head::Embedding { size, .. } => Dense::head(init, inputs, size),
            },
        }
    }

    pub(crate) fn forward(&self, images: Tensor<4>) -> Output {
        let features: Tensor<2> = images.flatten(1, 3); // [B, C·H·W]
        Output { head: self.head.forward(features.clone()), features }
    }
}
