//! `resnet-N`: residual networks (He et al., CVPR 2016, arXiv 1512.03385).

use std::fmt;

use burn::module::Module;
use burn::tensor::Tensor;
use mentor_kernels::{Normalised, add_relu, fork};

use super::family::{self, Family, MAX_DEPTH, parse_number};
use crate::init::Init;
use crate::layers::{BatchNorm, Conv2d, Dense, Dropout, StochasticDepth, Sum, global_average, max_pool};
use crate::network::erased::ErasedNetwork;
use crate::{ModelSpec, Network, Output, Pass};

pub(crate) const SMALL_IMAGES: Family = Family {
    name: "resnet",
    pattern: "resnet-N, N = 6n+2",
    description: "residual network for small images (He et al. 2016), 16-32-64 channels",
    examples: &["resnet-20", "resnet-32", "resnet-56"],
    dropout: Some("before the classifier"),
    stochastic_depth: true,
    batch_norm: true,
    is_dense: false,
    learning_rate: 0.1,
    summary: "resnet-N (resnet-20, resnet-18)",
    parse: |name| match name {
        "resnet" => Some(Err("the depth is missing, as in resnet-20".into())),
        "resnet-18" | "resnet-34" => None,
        _ => family::shape(parse_depth(name.strip_prefix("resnet-")?).map(|depth| Shape { depth })),
    },
};

pub(crate) const LARGE_IMAGES: Family = Family {
    pattern: "resnet-18, resnet-34",
    description: "residual network with 64-128-256-512 channels (He et al. 2016), small stem below 64 px",
    examples: &["resnet-18", "resnet-34"],
    summary: "",
    parse: |name| match name {
        "resnet-18" => family::shape(Ok(Shape { depth: 18 })),
        "resnet-34" => family::shape(Ok(Shape { depth: 34 })),
        _ => None,
    },
    ..SMALL_IMAGES
};

/// Number of layers with weights.
#[derive(Debug)]
struct Shape {
    depth: usize,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "resnet-{}", self.depth)
    }
}

impl family::Shape for Shape {
    fn min_side(&self) -> usize {
        8
    }

    fn build(&self, spec: &ModelSpec, init: &mut Init<'_>) -> Box<dyn ErasedNetwork> {
        Box::new(ResNet::new(spec, self.depth, init))
    }
}

fn parse_depth(depth: &str) -> Result<usize, String> {
    let depth = parse_number(depth, "the depth", MAX_DEPTH)?;
    match depth {
        // 50 and 152 happen to be 6n+2, yet everybody means the bottleneck networks by these names.
        50 | 101 | 152 => {
            Err("bottleneck networks are not offered; use resnet-34, or resnet-56 or resnet-110 \
             for small images"
                .into())
        }
        _ if depth >= 8 && depth % 6 == 2 => Ok(depth),
        _ => Err("the depth must be 6n+2 (8, 14, 20, 32, 44, 56, 110, …), 18 or 34".into()),
    }
}

/// Images with a side below this keep their size in the stem of `resnet-18` and `resnet-34`.
const SMALL_IMAGE: usize = 64;

/// Two forms of one network of basic blocks, chosen by the depth.
///
/// **6n+2** (section 4.2, for 32x32 images): a 3x3 stem, three stages of n blocks with 16, 32 and 64
/// channels, and shortcuts without parameters (the paper's option A: subsample, then zeros for the new
/// channels), which gives `resnet-20` its 0.27 million parameters.
///
/// **18 and 34** (table 1): four stages with 64, 128, 256 and 512 channels and 1x1 projections where the
/// shape changes (option B). The stem is the paper's 7x7 with stride 2 and a max-pool for images of
/// 64 pixels or more; below, a 3x3 with stride 1 and no pool, since the paper's stem would leave 8x8 pixels
/// of a 32x32 image.
///
/// The mean over the image plane gives the features; dropout acts between them and the head.
#[derive(Module, Debug)]
pub(crate) struct ResNet {
    stem: Conv2d,
    norm: BatchNorm,
    blocks: Vec<BasicBlock>,
    head: Dense,
    dropout: Dropout,
    pool_stem: bool,
}

impl ResNet {
    fn new(spec: &ModelSpec, depth: usize, init: &mut Init<'_>) -> Self {
        let (stages, project) = stages(depth);
        let [channels, height, width] = spec.input;
        let large_stem = project && height.min(width) >= SMALL_IMAGE;
        let first = stages[0].0;
        let (side, stride) = if large_stem { (7, 2) } else { (3, 1) };
        let stem = Conv2d::without_bias(init, channels, first, side, stride);
        let norm = BatchNorm::new(init, first);

        let num_blocks = stages.iter().map(|&(_, count)| count).sum();
        let mut blocks = Vec::with_capacity(num_blocks);
        let mut inputs = first;
        for (stage, &(outputs, count)) in stages.iter().enumerate() {
            for position in 0..count {
                let stride = if stage > 0 && position == 0 { 2 } else { 1 };
                let skip = StochasticDepth::new(spec.stochastic_depth, blocks.len(), num_blocks);
                blocks.push(BasicBlock::new(init, inputs, outputs, stride, project, skip));
                inputs = outputs;
            }
        }
        let head = Dense::head(init, inputs, spec.head.size());
        Self { stem, norm, blocks, head, dropout: Dropout::new(spec.dropout, 0), pool_stem: large_stem }
    }
}

impl Network for ResNet {
    fn forward(&self, images: Tensor<4>, pass: &Pass<'_>) -> Output {
        let stem = self.norm.forward_relu_of(Sum { shortcut: self.stem.forward(images), branch: None }, pass);
        let mut x = [stem.output, stem.twin];
        if self.pool_stem {
            let [stem, _] = x;
            let pooled = max_pool(stem, 3, 2, 1);
            x = [pooled.clone(), pooled];
        }
        for block in &self.blocks {
            x = block.forward(x, pass);
        }
        let [x, _] = x;
        let features = global_average(x); // [B, 64] or [B, 512]
        let head = self.head.forward(self.dropout.forward(features.clone(), pass));
        Output { features, head }
    }
}

/// (channels, blocks) of each stage, and whether shortcuts project.
fn stages(depth: usize) -> (Vec<(usize, usize)>, bool) {
    match depth {
        18 => (vec![(64, 2), (128, 2), (256, 2), (512, 2)], true),
        34 => (vec![(64, 3), (128, 4), (256, 6), (512, 3)], true),
        _ => {
            let blocks = (depth - 2) / 6;
            (vec![(16, blocks), (32, blocks), (64, blocks)], false)
        }
    }
}

/// relu(shortcut(x) + norm(conv(relu(norm(conv(x)))))).
#[derive(Module, Debug)]
struct BasicBlock {
    conv1: Conv2d,
    norm1: BatchNorm,
    conv2: Conv2d,
    norm2: BatchNorm,
    projection: Option<Projection>,
    skip: StochasticDepth,
    stride: usize,
    new_channels: usize,
}

/// The shortcut of option B: a 1x1 convolution and its normalisation.
#[derive(Module, Debug)]
struct Projection {
    conv: Conv2d,
    norm: BatchNorm,
}

impl BasicBlock {
    fn new(
        init: &mut Init<'_>,
        inputs: usize,
        outputs: usize,
        stride: usize,
        project: bool,
        skip: StochasticDepth,
    ) -> Self {
        let changes_shape = stride != 1 || inputs != outputs;
        Self {
            conv1: Conv2d::without_bias(init, inputs, outputs, 3, stride),
            norm1: BatchNorm::new(init, outputs),
            conv2: Conv2d::without_bias(init, outputs, outputs, 3, 1),
            norm2: BatchNorm::new(init, outputs),
            projection: (project && changes_shape).then(|| Projection {
                conv: Conv2d::without_bias(init, inputs, outputs, 1, stride),
                norm: BatchNorm::new(init, outputs),
            }),
            skip,
            stride,
            new_channels: outputs - inputs,
        }
    }

    /// From and to two handles of the same values: one for the branch and one for the shortcut of a block.
    fn forward(&self, [input, twin]: [Tensor<4>; 2], pass: &Pass<'_>) -> [Tensor<4>; 2] {
        let branch = self.norm1.forward_relu(self.conv1.forward(input), pass);
        let branch = self.conv2.forward(branch);
        let shortcut = self.shortcut(twin, pass);
        if self.skip.acts(pass) {
            let branch = self.skip.forward(self.norm2.forward(branch, pass), pass);
            return fork(add_relu(shortcut, branch));
        }
        let Normalised { output, twin, .. } = self.norm2.forward_plus_relu(branch, shortcut, pass);
        [output, twin]
    }

    fn shortcut(&self, input: Tensor<4>, pass: &Pass<'_>) -> Tensor<4> {
        if let Some(projection) = &self.projection {
            return projection.norm.forward(projection.conv.forward(input), pass);
        }
        mentor_kernels::shortcut(input, self.stride, self.new_channels)
    }
}
