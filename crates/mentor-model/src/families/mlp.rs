//! `mlp:H1,H2,…`: fully connected layers.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::init::Init;
use crate::layers::{Dense, Dropout};
use crate::pass::Output;
use crate::{ModelSpec, Pass};

/// Each hidden layer is followed by a ReLU and dropout; the features are the last hidden activations, before
/// their dropout.
#[derive(Module, Debug)]
pub(crate) struct Mlp {
    hidden: Vec<Dense>,
    head: Dense,
    dropout: Vec<Dropout>,
}

impl Mlp {
    pub(crate) fn new(spec: &ModelSpec, hidden: &[usize], init: &mut Init<'_>) -> Self {
        let mut width = spec.input.iter().product();
        let mut layers = Vec::with_capacity(hidden.len());
        for &units in hidden {
            layers.push(Dense::hidden(init, width, units));
            width = units;
        }
        let dropout = (0..hidden.len()).map(|layer| Dropout::new(spec.dropout, layer)).collect();
        Self { hidden: layers, head: Dense::head(init, width, spec.head.size()), dropout }
    }

    pub(crate) fn forward(&self, images: Tensor<4>, pass: &Pass<'_>) -> Output {
        let mut input: Tensor<2> = images.flatten(1, 3); // [B, C·H·W]
        let mut features = input.clone();
        for (layer, dropout) in self.hidden.iter().zip(&self.dropout) {
            features = layer.forward_relu(input);
            input = dropout.forward(features.clone(), pass);
        }
        Output { features, head: self.head.forward(input) }
    }
}
