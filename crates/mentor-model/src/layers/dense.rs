//! The fully connected layer.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::init::{Fill, Init};

/// y = x W + b, with W of shape `[D_in, D_out]`: row d holds what input d adds to each output. (PyTorch stores
/// the transpose.)
#[derive(Module, Debug)]
pub(crate) struct Dense {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Dense {
    /// A layer before a ReLU: He normal by fan-in, so that activations keep their variance on the way forward.
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
}
