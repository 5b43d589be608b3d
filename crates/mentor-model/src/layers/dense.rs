//! The fully connected layer.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::init::{Fill, Init};

/// y = x W + b, with W of shape `[D_in, D_out]`: row d holds what input d adds to each output. (PyTorch
/// stores the transpose.)
#[derive(Module, Debug)]
pub(crate) struct Dense {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Dense {
    /// A layer before a ReLU: He normal by fan-in, so that activations keep their variance on the way
    /// forward.
    pub(crate) fn hidden(init: &mut Init<'_>, inputs: usize, outputs: usize) -> Self {
        Self::new(init, inputs, outputs, Fill::HeNormal { fan: inputs })
    }

    /// The head of a network: uniform in ±1/√fan_in.
    pub(crate) fn head(init: &mut Init<'_>, inputs: usize, outputs: usize) -> Self {
        Self::new(init, inputs, outputs, Fill::Uniform { fan_in: inputs })
    }

    /// All weights 0: right only where the loss is convex in them.
    pub(crate) fn zeros(init: &mut Init<'_>, inputs: usize, outputs: usize) -> Self {
        Self::new(init, inputs, outputs, Fill::Zeros)
    }

    /// Normal with a deviation, drawn again beyond two of them.
    pub(crate) fn truncated_normal(
        init: &mut Init<'_>,
        inputs: usize,
        outputs: usize,
        deviation: f32,
    ) -> Self {
        Self::new(init, inputs, outputs, Fill::TruncatedNormal { deviation })
    }

    fn new(init: &mut Init<'_>, inputs: usize, outputs: usize, fill: Fill) -> Self {
        let weight = init.parameter([inputs, outputs], fill);
        let bias = init.parameter([outputs], Fill::Zeros);
        Self { weight, bias }
    }

    /// `[B, D_in]` to `[B, D_out]`.
    pub(crate) fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        mentor_kernels::linear(input, self.weight.val(), self.bias.val())
    }

    /// [`forward`](Self::forward) and a ReLU.
    pub(crate) fn forward_relu(&self, input: Tensor<2>) -> Tensor<2> {
        mentor_kernels::linear_relu(input, self.weight.val(), self.bias.val())
    }

    /// Each token alone: `[B, N, D_in]` to `[B, N, D_out]`.
    pub(crate) fn forward_tokens(&self, input: Tensor<3>) -> Tensor<3> {
        each_token(input, |rows| self.forward(rows))
    }

    /// [`forward_tokens`](Self::forward_tokens) behind an exact GELU, which is computed again in the backward
    /// pass: one tensor of the input's size is kept instead of two.
    pub(crate) fn forward_tokens_of_gelu(&self, input: Tensor<3>) -> Tensor<3> {
        each_token(input, |rows| mentor_kernels::gelu_linear(rows, self.weight.val(), self.bias.val()))
    }
}

/// Applies `layer` to the rows of `[B, N, D_in]`.
fn each_token(input: Tensor<3>, layer: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Tensor<3> {
    let [batch, tokens, width] = input.dims();
    let output = layer(input.reshape([batch * tokens, width]));
    let outputs = output.dims()[1];
    output.reshape([batch, tokens, outputs])
}
