//! `linear`: the linear classifier.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::init::Init;
use crate::layers::Dense;
use crate::{ModelSpec, Output};

/// scores = x W + b. W and b start at 0: the losses are convex in them, so no start is better, and the loss of
/// the first step is the one that can be said beforehand (ln C for softmax, C − 1 for the hinge). The
/// embeddings are the image itself, flattened.
#[derive(Module, Debug)]
pub(crate) struct Linear {
    classifier: Dense,
}

impl Linear {
    pub(crate) fn new(spec: &ModelSpec, init: &mut Init<'_>) -> Self {
        Self { classifier: Dense::zeros(init, spec.input.iter().product(), spec.num_classes) }
    }

    pub(crate) fn forward(&self, images: Tensor<4>) -> Output {
        let embeddings: Tensor<2> = images.flatten(1, 3); // [B, C·H·W]
        let scores = self.classifier.forward(embeddings.clone());
        Output { embeddings, scores }
    }
}
