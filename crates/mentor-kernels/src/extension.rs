//! The operations as Burn knows them: a trait of the backend, which `#[backend_extension]` routes to `flex` and to
//! its autodiff form. The public functions ask it only for tensors that are on `flex`.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use crate::batch_norm::{self, Kind};
use crate::convolution::{self, Geometry};
use crate::linear;
use crate::max_pool::{self, Windows};
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

    /// A convolution, and its positive part if the geometry says so.
    fn mentor_conv2d(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;

    /// A convolution without a bias.
    fn mentor_conv2d_without_bias(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;

    /// The largest value of each window.
    fn mentor_max_pool(x: FloatTensor<Self>, windows: Windows) -> FloatTensor<Self>;

    /// Normalised x, and mean and variance of its channels.
    fn mentor_batch_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        kind: Kind,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
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

    fn mentor_conv2d(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        convolution::forward(x, w, Some(bias), geometry)
    }

    fn mentor_conv2d_without_bias(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        convolution::forward(x, w, None, geometry)
    }

    fn mentor_max_pool(x: FloatTensor<Self>, windows: Windows) -> FloatTensor<Self> {
        max_pool::forward(x, windows)
    }

    fn mentor_batch_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        kind: Kind,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        batch_norm::forward(x, &gamma, &beta, kind)
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

    fn mentor_conv2d(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        convolution::record::<C>(x, w, bias, geometry)
    }

    fn mentor_conv2d_without_bias(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        convolution::record_without_bias::<C>(x, w, geometry)
    }

    fn mentor_max_pool(x: FloatTensor<Self>, windows: Windows) -> FloatTensor<Self> {
        max_pool::record::<C>(x, windows)
    }

    fn mentor_batch_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        kind: Kind,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        batch_norm::record::<C>(x, gamma, beta, kind)
    }
}
