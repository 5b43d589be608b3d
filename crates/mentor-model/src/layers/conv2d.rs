//! The convolution.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::init::{Fill, Init};

/// A convolution with a square kernel of odd side k, padding (k − 1)/2 and a stride; weights
/// `[C_out, C_in, k, k]`.
#[derive(Module, Debug)]
pub(crate) struct Conv2d {
    weight: Param<Tensor<4>>,
    bias: Option<Param<Tensor<1>>>,
    stride: usize,
    padding: usize,
}

impl Conv2d {
    /// With a bias and He normal by fan-in: before a ReLU in a network without normalisation, where the
    /// activations must keep their variance on the way forward.
    pub(crate) fn with_bias(init: &mut Init<'_>, inputs: usize, outputs: usize, side: usize) -> Self {
        let weight =
            init.parameter([outputs, inputs, side, side], Fill::HeNormal { fan: inputs * side * side });
        let bias = Some(init.parameter([outputs], Fill::Zeros));
        Self { weight, bias, stride: 1, padding: side / 2 }
    }

    /// Without a bias (the normalisation next to it has one) and He normal by fan-out, as residual networks
    /// are published.
    pub(crate) fn without_bias(
        init: &mut Init<'_>,
        inputs: usize,
        outputs: usize,
        side: usize,
        stride: usize,
    ) -> Self {
        let weight =
            init.parameter([outputs, inputs, side, side], Fill::HeNormal { fan: outputs * side * side });
        Self { weight, bias: None, stride, padding: side / 2 }
    }

    /// `[B, C_in, H, W]` to `[B, C_out, ⌈H/stride⌉, ⌈W/stride⌉]`.
    pub(crate) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let bias = self.bias.as_ref().map(|bias| bias.val());
        mentor_kernels::conv2d(input, self.weight.val(), bias, self.stride, self.padding)
    }

    /// [`forward`](Self::forward) and a ReLU.
    pub(crate) fn forward_relu(&self, input: Tensor<4>) -> Tensor<4> {
        let bias = self.bias.as_ref().map(|bias| bias.val());
        mentor_kernels::conv2d_relu(input, self.weight.val(), bias, self.stride, self.padding)
    }
}
