//! The operations as Burn knows them: a trait of the backend, which `#[backend_extension]` routes to `flex` and to
//! its autodiff form. The public functions ask it only for tensors that are on `flex`.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use crate::linear;
use crate::score_loss::{self, Formula};

/// Operations with kernels and backward passes of their own.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait KernelOps: Backend {
    /// x w + b, and its positive part if `relu`.
    fn mentor_linear(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self>;

    /// The loss of each row of scores.
    fn mentor_score_loss(
        scores: FloatTensor<Self>,
        targets: IntTensor<Self>,
        formula: Formula,
    ) -> FloatTensor<Self>;
}

impl KernelOps for Flex {
    fn mentor_linear(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self> {
        linear::forward(&x, &w, &bias, relu)
    }

    fn mentor_score_loss(
        scores: FloatTensor<Self>,
        targets: IntTensor<Self>,
        formula: Formula,
    ) -> FloatTensor<Self> {
        score_loss::forward(scores, &targets, formula)
    }
}

impl<C: CheckpointStrategy> KernelOps for Autodiff<Flex, C> {
    fn mentor_linear(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self> {
        linear::record::<C>(x, w, bias, relu)
    }

    fn mentor_score_loss(
        scores: FloatTensor<Self>,
        targets: IntTensor<Self>,
        formula: Formula,
    ) -> FloatTensor<Self> {
        score_loss::record::<C>(scores, &targets, formula)
    }
}
