//! Layer normalisation (Ba, Kiros and Hinton 2016).

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::init::{Fill, Init};

/// That of the vision transformer's authors; PyTorch's default is 1e-5.
const EPSILON: f64 = 1e-6;

/// y = γ (x − μ) / √(σ² + 1e-6) + β, with mean and variance (divided by D) of the last axis: each token
/// alone, the same in training and inference.
#[derive(Module, Debug)]
pub(crate) struct LayerNorm {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
}

impl LayerNorm {
    pub(crate) fn new(init: &mut Init<'_>, width: usize) -> Self {
        Self { gamma: init.parameter([width], Fill::Ones), beta: init.parameter([width], Fill::Zeros) }
    }

    /// `[B, N, D]`, unchanged in shape.
    pub(crate) fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        mentor_kernels::layer_norm(input, self.gamma.val(), self.beta.val(), EPSILON)
    }
}
