//! `mlp:H1,H2,…`: fully connected layers.

use std::fmt;

use burn::module::Module;
use burn::tensor::Tensor;

use super::family::{self, Family, parse_number};
use crate::init::Init;
use crate::layers::{Dense, Dropout};
use crate::network::erased::ErasedNetwork;
use crate::{ModelSpec, Network, Output, Pass};

pub(crate) const FAMILY: Family = Family {
    name: "mlp",
    pattern: "mlp:H1,H2,…",
    description: "fully connected layers of H1, H2, … units with ReLU",
    examples: &["mlp:800,800", "mlp:1200,1200"],
    dropout: Some("after each hidden layer"),
    stochastic_depth: false,
    batch_norm: false,
    is_dense: true,
    learning_rate: 0.02,
    summary: "mlp:H1,H2,… (mlp:1200,1200)",
    parse: |name| match name {
        "mlp" => Some(Err("hidden layers are missing, as in mlp:1200,1200".into())),
        _ => family::shape(parse_hidden(name.strip_prefix("mlp:")?).map(Shape)),
    },
};

/// Bounds that keep a typing error from becoming an attempt to allocate all memory.
const MAX_HIDDEN_LAYERS: usize = 64;
const MAX_UNITS: usize = 1 << 20;

/// Number of units of each hidden layer.
#[derive(Debug)]
struct Shape(Vec<usize>);

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units: Vec<String> = self.0.iter().map(usize::to_string).collect();
        write!(f, "mlp:{}", units.join(","))
    }
}

impl family::Shape for Shape {
    fn min_side(&self) -> usize {
        1
    }

    fn build(&self, spec: &ModelSpec, init: &mut Init<'_>) -> Box<dyn ErasedNetwork> {
        Box::new(Mlp::new(spec, &self.0, init))
    }
}

fn parse_hidden(units: &str) -> Result<Vec<usize>, String> {
    let hidden: Vec<usize> = units
        .split(',')
        .map(|unit| {
            parse_number(unit, "a number of units", MAX_UNITS)
                .map_err(|problem| format!("{problem}; an example is mlp:1200,1200"))
        })
        .collect::<Result<_, _>>()?;
    if hidden.len() > MAX_HIDDEN_LAYERS {
        return Err(format!("{} hidden layers, at most {MAX_HIDDEN_LAYERS} are allowed", hidden.len()));
    }
    Ok(hidden)
}

/// Each hidden layer is followed by a ReLU and dropout; the features are the last hidden activations, before
/// their dropout.
#[derive(Module, Debug)]
pub(crate) struct Mlp {
    hidden: Vec<Dense>,
    head: Dense,
    dropout: Vec<Dropout>,
}

impl Mlp {
    fn new(spec: &ModelSpec, hidden: &[usize], init: &mut Init<'_>) -> Self {
        let mut width = spec.input.iter().product();
        let mut layers = Vec::with_capacity(hidden.len());
        for &units in hidden {
            layers.push(Dense::hidden(init, width, units));
            width = units;
        }
        let dropout = (0..hidden.len()).map(|layer| Dropout::new(spec.dropout, layer)).collect();
        Self { hidden: layers, head: Dense::head(init, width, spec.head.size()), dropout }
    }
}

impl Network for Mlp {
    fn forward(&self, images: Tensor<4>, pass: &Pass<'_>) -> Output {
        let mut input: Tensor<2> = images.flatten(1, 3); // [B, C·H·W]
        let mut features = input.clone();
        for (layer, dropout) in self.hidden.iter().zip(&self.dropout) {
            features = layer.forward_relu(input);
            input = dropout.forward(features.clone(), pass);
        }
        Output { features, head: self.head.forward(input) }
    }
}
