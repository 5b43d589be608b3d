//! `vit-P-D-L`: vision transformers (Dosovitskiy et al., ICLR 2021, arXiv 2010.11929).

use std::fmt;

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use mentor_kernels::{add, fork, token_mean};

use super::family::{self, Family, MAX_DEPTH, parse_number};
use crate::init::{Fill, Init};
use crate::layers::{Dense, Dropout, LayerNorm, StochasticDepth};
use crate::network::erased::ErasedNetwork;
use crate::{ModelSpec, Network, Output, Pass};

pub(crate) const FAMILY: Family = Family {
    name: "vit",
    pattern: "vit-P-D-L, D = 64n",
    description: "vision transformer of L blocks, patches of PxP, D values a token (Dosovitskiy et al. 2021)",
    examples: &["vit-4-192-4"],
    dropout: Some("after the positions and each dense layer but that of queries, keys and values"),
    stochastic_depth: true,
    batch_norm: false,
    is_dense: false,
    learning_rate: 0.02,
    summary: "vit-P-D-L (vit-4-192-4)",
    parse: |name| match name {
        "vit" => family::shape(Ok(VitShape { patch: 4, width: 192, depth: 4 })),
        _ => family::shape(parse_numbers(name.strip_prefix("vit-")?)),
    },
};

/// Values of a head, as in all networks of the paper; `vit-4-192-4` has three heads.
const HEAD_WIDTH: usize = 64;
const MAX_PATCH: usize = 1 << 10;
const MAX_TOKEN_WIDTH: usize = 1 << 14;

/// Width of a block's hidden layer over that of its tokens, as in the paper.
const MLP_RATIO: usize = 4;
const INITIAL_DEVIATION: f32 = 0.02;

/// Patches of P × P pixels become tokens of D values, to which learned positions are added; L blocks of
/// attention and two dense layers, each behind a layer normalisation; a last normalisation; the mean over the
/// tokens (the features).
///
/// The mean in place of a class token is that of Beyer, Zhai and Kolesnikov, Better plain ViT baselines
/// (arXiv 2205.01580), who find it as good or better; there is one token fewer, and 64 of them for a 32 × 32
/// image. Weights and positions begin as a normal with deviation 0.02 cut off at two deviations, biases at 0
/// (Touvron et al. 2021). Dropout follows the positions and every dense layer but that of queries, keys and
/// values (appendix B.1).
#[derive(Module, Debug)]
pub(crate) struct VisionTransformer {
    patches: Dense,
    positions: Param<Tensor<2>>,
    blocks: Vec<Block>,
    norm: LayerNorm,
    head: Dense,
    dropout: Dropout,
    patch: usize,
}

/// Patch, width and depth of a network.
#[derive(Clone, Copy, Debug)]
struct VitShape {
    /// Side of a patch in pixels.
    patch: usize,
    /// Values of a token, a multiple of 64: each head has 64.
    width: usize,
    /// Number of blocks.
    depth: usize,
}

impl fmt::Display for VitShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vit-{}-{}-{}", self.patch, self.width, self.depth)
    }
}

impl family::Shape for VitShape {
    fn min_side(&self) -> usize {
        self.patch
    }

    fn patch(&self) -> Option<usize> {
        Some(self.patch)
    }

    fn build(&self, spec: &ModelSpec, init: &mut Init<'_>) -> Box<dyn ErasedNetwork> {
        Box::new(VisionTransformer::new(spec, *self, init))
    }
}

fn parse_numbers(numbers: &str) -> Result<VitShape, String> {
    let missing = || "patch, width and depth are needed, as in vit-4-192-4".to_string();
    let (patch, rest) = numbers.split_once('-').ok_or_else(missing)?;
    let (width, depth) = rest.split_once('-').ok_or_else(missing)?;
    let patch = parse_number(patch, "the patch", MAX_PATCH)?;
    let width = parse_number(width, "the width", MAX_TOKEN_WIDTH)?;
    let depth = parse_number(depth, "the depth", MAX_DEPTH)?;
    if !width.is_multiple_of(HEAD_WIDTH) {
        return Err(format!(
            "the width must be a multiple of {HEAD_WIDTH}, the width of a head, as in vit-4-192-4"
        ));
    }
    Ok(VitShape { patch, width, depth })
}

impl VisionTransformer {
    fn new(spec: &ModelSpec, shape: VitShape, init: &mut Init<'_>) -> Self {
        let VitShape { patch, width, depth } = shape;
        let [channels, height, image_width] = spec.input;
        let tokens = (height / patch) * (image_width / patch);
        let patches = dense(init, channels * patch * patch, width);
        let positions =
            init.parameter([tokens, width], Fill::TruncatedNormal { deviation: INITIAL_DEVIATION });
        let blocks = (0..depth).map(|block| Block::new(spec, width, block, depth, init)).collect();
        Self {
            patches,
            positions,
            blocks,
            norm: LayerNorm::new(init, width),
            head: dense(init, width, spec.head.size()),
            dropout: Dropout::new(spec.dropout, 0),
            patch,
        }
    }

    /// `[B, C, H, W]` to `[B, N, C·P·P]`: the patches row by row, the values of each as they lie in a kernel
    /// of a convolution.
    fn cut(&self, images: Tensor<4>) -> Tensor<3> {
        let [batch, channels, height, width] = images.dims();
        let side = self.patch;
        let (rows, columns) = (height / side, width / side);
        let parts: Tensor<6> = images.reshape([batch, channels, rows, side, columns, side]);
        // [B, H/P, W/P, C, P, P]
        parts.permute([0, 2, 4, 1, 3, 5]).reshape([batch, rows * columns, channels * side * side])
    }
}

impl Network for VisionTransformer {
    fn forward(&self, images: Tensor<4>, pass: &Pass<'_>) -> Output {
        let tokens = self.patches.forward_tokens(self.cut(images)); // [B, N, D]
        let mut x = self.dropout.forward(tokens + self.positions.val().unsqueeze(), pass);
        for block in &self.blocks {
            x = block.forward(x, pass);
        }
        let features = token_mean(self.norm.forward(x)); // [B, D]
        Output { head: self.head.forward(features.clone()), features }
    }
}

fn dense(init: &mut Init<'_>, inputs: usize, outputs: usize) -> Dense {
    Dense::truncated_normal(init, inputs, outputs, INITIAL_DEVIATION)
}

/// x + projection(attention(norm(x))), and then x + contract(gelu(expand(norm(x)))).
#[derive(Module, Debug)]
struct Block {
    norm1: LayerNorm,
    qkv: Dense,
    projection: Dense,
    norm2: LayerNorm,
    expand: Dense,
    contract: Dense,
    num_heads: usize,
    dropouts: Vec<Dropout>,
    skips: Vec<StochasticDepth>,
}

impl Block {
    fn new(spec: &ModelSpec, width: usize, block: usize, depth: usize, init: &mut Init<'_>) -> Self {
        // Layer 0 is the one behind the positions.
        let dropout = |layer| Dropout::new(spec.dropout, 3 * block + layer);
        // Both branches of a block count.
        let skip = |branch| StochasticDepth::new(spec.stochastic_depth, 2 * block + branch, 2 * depth);
        Self {
            norm1: LayerNorm::new(init, width),
            qkv: dense(init, width, 3 * width),
            projection: dense(init, width, width),
            norm2: LayerNorm::new(init, width),
            expand: dense(init, width, MLP_RATIO * width),
            contract: dense(init, MLP_RATIO * width, width),
            num_heads: width / HEAD_WIDTH,
            dropouts: (1..=3).map(dropout).collect(),
            skips: (0..2).map(skip).collect(),
        }
    }

    fn forward(&self, x: Tensor<3>, pass: &Pass<'_>) -> Tensor<3> {
        let drop = |layer: usize, x| self.dropouts[layer].forward(x, pass);
        let [x, twin] = fork(x);
        let qkv = self.qkv.forward_tokens(self.norm1.forward(x)); // [B, N, 3D]
        let branch = self.projection.forward_tokens(mentor_kernels::attention(qkv, self.num_heads));
        let [x, twin] = fork(add(twin, self.skips[0].forward(drop(0, branch), pass)));
        let hidden = self.expand.forward_tokens(self.norm2.forward(x)); // [B, N, 4D]
        let branch = if self.dropouts[1].acts(pass) {
            self.contract.forward_tokens(drop(1, mentor_kernels::gelu(hidden)))
        } else {
            self.contract.forward_tokens_of_gelu(hidden)
        };
        add(twin, self.skips[1].forward(drop(2, branch), pass))
    }
}
