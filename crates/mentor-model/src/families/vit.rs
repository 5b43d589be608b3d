//! `vit-P-D-L`: vision transformers (Dosovitskiy et al., ICLR 2021, arXiv 2010.11929).

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::architecture::HEAD_WIDTH;
use crate::init::{Fill, Init};
use crate::layers::{Dense, Dropout, LayerNorm, StochasticDepth};
use crate::pass::Output;
use crate::{ModelSpec, Pass};

/// Width of a block's hidden layer over that of its tokens, as in the paper.
const MLP_RATIO: usize = 4;
const INITIAL_DEVIATION: f32 = 0.02;

/// Patches of P × P pixels become tokens of D values, to which learned positions are added; L blocks of attention and
/// two dense layers, each behind a layer normalisation; a last normalisation; the mean over the tokens (the features).
///
/// The mean in place of a class token is that of Beyer, Zhai and Kolesnikov, Better plain ViT baselines
/// (arXiv 2205.01580), who find it as good or better; there is one token fewer, and 64 of them for a 32 × 32
/// image. Weights and positions begin as a normal with deviation 0.02 cut off at two deviations, biases at 0 (Touvron et
/// al. 2021). Dropout follows the positions and every dense layer but that of queries, keys and values (appendix B.1).
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
pub(crate) struct VitShape {
    pub(crate) patch: usize,
    pub(crate) width: usize,
    pub(crate) depth: usize,
}

impl VisionTransformer {
    pub(crate) fn new(spec: &ModelSpec, shape: VitShape, init: &mut Init<'_>) -> Self {
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

    pub(crate) fn forward(&self, images: Tensor<4>, pass: &Pass<'_>) -> Output {
        let tokens = self.patches.forward_tokens(self.cut(images)); // [B, N, D]
        let mut x = self.dropout.forward(tokens + self.positions.val().unsqueeze(), pass);
        for block in &self.blocks {
            x = block.forward(x, pass);
        }
        let [batch, _, width] = x.dims();
        let features = self.norm.forward(x).mean_dim(1).reshape([batch, width]); // [B, D]
        Output { head: self.head.forward(features.clone()), features }
    }

    /// `[B, C, H, W]` to `[B, N, C·P·P]`: the patches row by row, the values of each as they lie in a kernel of a convolution.
    fn cut(&self, images: Tensor<4>) -> Tensor<3> {
        let [batch, channels, height, width] = images.dims();
        let side = self.patch;
        let (rows, columns) = (height / side, width / side);
        let parts: Tensor<6> = images.reshape([batch, channels, rows, side, columns, side]);
        // [B, H/P, W/P, C, P, P]
        parts.permute([0, 2, 4, 1, 3, 5]).reshape([batch, rows * columns, channels * side * side])
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
        let qkv = self.qkv.forward_tokens(self.norm1.forward(x.clone())); // [B, N, 3D]
        let branch = self.projection.forward_tokens(mentor_kernels::attention(qkv, self.num_heads));
        let x = x + self.skips[0].forward(drop(0, branch), pass);
        let hidden = self.expand.forward_tokens(self.norm2.forward(x.clone())); // [B, N, 4D]
        let branch = if self.dropouts[1].acts(pass) {
            self.contract.forward_tokens(drop(1, mentor_kernels::gelu(hidden)))
        } else {
            self.contract.forward_tokens_of_gelu(hidden)
        };
        x + self.skips[1].forward(drop(2, branch), pass)
    }
}
