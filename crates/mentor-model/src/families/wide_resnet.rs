//! `wrn-D-K`: wide residual networks (Zagoruyko and Komodakis, BMVC 2016, arXiv 1605.07146).

use std::fmt;

use burn::module::Module;
use burn::tensor::Tensor;
use mentor_kernels::Normalised;

use super::family::{self, Family, MAX_DEPTH, parse_number};
use crate::init::Init;
use crate::layers::{BatchNorm, Conv2d, Dense, Dropout, StochasticDepth, Sum, global_average};
use crate::network::erased::ErasedNetwork;
use crate::{ModelSpec, Network, Output, Pass};

pub(crate) const FAMILY: Family = Family {
    name: "wrn",
    pattern: "wrn-D-K, D = 6n+4",
    description: "wide residual network of depth D and width K (Zagoruyko and Komodakis 2016)",
    examples: &["wrn-16-2", "wrn-28-2", "wrn-28-10"],
    dropout: Some("between the two convolutions of a block"),
    stochastic_depth: true,
    batch_norm: true,
    is_dense: false,
    learning_rate: 0.1,
    summary: "wrn-D-K (wrn-16-2)",
    parse: |name| match name {
        "wrn" => Some(Err("depth and width are missing, as in wrn-16-2".into())),
        _ => family::shape(parse_numbers(name.strip_prefix("wrn-")?)),
    },
};

const MAX_WIDTH: usize = 64;

#[derive(Debug)]
struct Shape {
    /// Number of layers with weights.
    depth: usize,
    /// Widening factor.
    width: usize,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wrn-{}-{}", self.depth, self.width)
    }
}

impl family::Shape for Shape {
    fn min_side(&self) -> usize {
        8
    }

    fn build(&self, spec: &ModelSpec, init: &mut Init<'_>) -> Box<dyn ErasedNetwork> {
        Box::new(WideResNet::new(spec, self.depth, self.width, init))
    }
}

fn parse_numbers(numbers: &str) -> Result<Shape, String> {
    let (depth, width) =
        numbers.split_once('-').ok_or_else(|| "depth and width are needed, as in wrn-16-2".to_string())?;
    let depth = parse_number(depth, "the depth", MAX_DEPTH)?;
    let width = parse_number(width, "the width", MAX_WIDTH)?;
    if depth < 10 || depth % 6 != 4 {
        return Err("the depth must be 6n+4 (10, 16, 22, 28, 40, …), as in wrn-16-2".into());
    }
    Ok(Shape { depth, width })
}

const STEM_CHANNELS: usize = 16;

/// A 3x3 stem of 16 channels, three groups of n = (D − 4)/6 blocks with 16K, 32K and 64K channels (table 1),
/// normalisation, ReLU, the mean over the image plane (the embeddings), scores.
#[derive(Module, Debug)]
pub(crate) struct WideResNet {
    stem: Conv2d,
    blocks: Vec<PreActivationBlock>,
    norm: BatchNorm,
    head: Dense,
}

impl WideResNet {
    fn new(spec: &ModelSpec, depth: usize, width: usize, init: &mut Init<'_>) -> Self {
        let stem = Conv2d::without_bias(init, spec.input[0], STEM_CHANNELS, 3, 1);
        let blocks_per_group = (depth - 4) / 6;
        let num_blocks = 3 * blocks_per_group;
        let mut blocks = Vec::with_capacity(num_blocks);
        let mut inputs = STEM_CHANNELS;
        for block in 0..num_blocks {
            let group = block / blocks_per_group;
            let outputs = (STEM_CHANNELS << group) * width;
            let stride = if group > 0 && block % blocks_per_group == 0 { 2 } else { 1 };
            let dropout = Dropout::new(spec.dropout, block);
            let skip = StochasticDepth::new(spec.stochastic_depth, block, num_blocks);
            blocks.push(PreActivationBlock::new(init, inputs, outputs, stride, dropout, skip));
            inputs = outputs;
        }
        let norm = BatchNorm::new(init, inputs);
        Self { stem, blocks, norm, head: Dense::head(init, inputs, spec.head.size()) }
    }
}

impl Network for WideResNet {
    fn forward(&self, images: Tensor<4>, pass: &Pass<'_>) -> Output {
        let mut x = Sum { shortcut: self.stem.forward(images), branch: None };
        for block in &self.blocks {
            x = block.forward(x, pass);
        }
        let features = global_average(self.norm.forward_relu_of(x, pass).output); // [B, 64K]
        Output { head: self.head.forward(features.clone()), features }
    }
}

/// a = relu(norm(x)); shortcut + conv(dropout(relu(norm(conv(a))))). The shortcut is x, or where the
/// number of channels changes a 1x1 convolution of a, as in the authors' code.
#[derive(Module, Debug)]
struct PreActivationBlock {
    norm1: BatchNorm,
    conv1: Conv2d,
    norm2: BatchNorm,
    conv2: Conv2d,
    projection: Option<Conv2d>,
    dropout: Dropout,
    skip: StochasticDepth,
}

impl PreActivationBlock {
    fn new(
        init: &mut Init<'_>,
        inputs: usize,
        outputs: usize,
        stride: usize,
        dropout: Dropout,
        skip: StochasticDepth,
    ) -> Self {
        Self {
            norm1: BatchNorm::new(init, inputs),
            conv1: Conv2d::without_bias(init, inputs, outputs, 3, stride),
            norm2: BatchNorm::new(init, outputs),
            conv2: Conv2d::without_bias(init, outputs, outputs, 3, 1),
            projection: (inputs != outputs).then(|| Conv2d::without_bias(init, inputs, outputs, 1, stride)),
            dropout,
            skip,
        }
    }

    fn forward(&self, input: Sum, pass: &Pass<'_>) -> Sum {
        let Normalised { input, output, twin, .. } = self.norm1.forward_relu_of(input, pass);
        let shortcut = match &self.projection {
            Some(projection) => projection.forward(twin),
            None => input,
        };
        let branch = self.norm2.forward_relu(self.conv1.forward(output), pass);
        let branch = self.conv2.forward(self.dropout.forward(branch, pass));
        Sum { shortcut, branch: Some(self.skip.forward(branch, pass)) }
    }
}
