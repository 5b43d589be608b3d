//! The operations as Burn knows them: a trait of the backend, which `#[backend_extension]` routes to `flex`
//! and to its autodiff form. The public functions ask it only for tensors that are on `flex`.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use crate::ops::activation::{self, Function};
use crate::ops::attention;
use crate::ops::average_pool;
use crate::ops::batch_norm;
use crate::ops::convolution::{self, Geometry};
use crate::ops::depthwise::{self, DepthwiseWindow};
use crate::ops::gelu;
use crate::ops::layer_norm;
use crate::ops::linear::{self, Activation};
use crate::ops::mask::{self, Factors};
use crate::ops::max_pool::{self, Windows};
use crate::ops::residual;
use crate::ops::score_loss::{self, Formula};
use crate::ops::shortcut::{self, Step};
use crate::ops::token_mean;

/// Operations with kernels and backward passes of their own.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait KernelOps: Backend {
    /// x w + b and its activation.
    fn mentor_linear(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
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

    /// The mean of each plane.
    fn mentor_global_average(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The mean over the tokens.
    fn mentor_token_mean(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Every so many pixels, and channels of zeros.
    fn mentor_shortcut(x: FloatTensor<Self>, step: Step) -> FloatTensor<Self>;

    /// Normalised x, and mean and variance of its channels.
    fn mentor_batch_norm(#[extension_type] inputs: batch_norm::Inputs<Self>) -> batch_norm::Outputs<Self>;

    /// x̂ of each row, times γ plus β.
    fn mentor_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;

    /// x Φ(x).
    fn mentor_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The heads' outputs, from queries, keys and values side by side.
    fn mentor_attention(qkv: FloatTensor<Self>, num_heads: usize) -> FloatTensor<Self>;

    /// A convolution of each channel alone.
    fn mentor_depthwise_conv2d(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        window: DepthwiseWindow,
    ) -> FloatTensor<Self>;

    /// A function of each value.
    fn mentor_activation(x: FloatTensor<Self>, function: Function) -> FloatTensor<Self>;

    /// The same tensor for two readers.
    fn mentor_fork(x: FloatTensor<Self>) -> residual::Twins<Self>;

    /// Values times factors that are not learnt.
    fn mentor_mask(x: FloatTensor<Self>, factors: Factors) -> FloatTensor<Self>;

    /// a + b, and its positive part with the ReLU.
    fn mentor_add(a: FloatTensor<Self>, b: FloatTensor<Self>, relu: bool) -> FloatTensor<Self>;

    /// Each plane times its factor.
    fn mentor_scale_planes(x: FloatTensor<Self>, factors: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl KernelOps for Flex {
    fn mentor_linear(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        linear::forward(&x, &w, &bias, activation)
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

    fn mentor_global_average(x: FloatTensor<Self>) -> FloatTensor<Self> {
        average_pool::forward(x)
    }

    fn mentor_token_mean(x: FloatTensor<Self>) -> FloatTensor<Self> {
        token_mean::forward(x)
    }

    fn mentor_shortcut(x: FloatTensor<Self>, step: Step) -> FloatTensor<Self> {
        shortcut::forward(x, step)
    }

    fn mentor_batch_norm(inputs: batch_norm::Inputs<Self>) -> batch_norm::Outputs<Self> {
        batch_norm::forward(inputs)
    }

    fn mentor_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        layer_norm::forward(x, &gamma, &beta, epsilon)
    }

    fn mentor_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        gelu::forward(x)
    }

    fn mentor_attention(qkv: FloatTensor<Self>, num_heads: usize) -> FloatTensor<Self> {
        attention::forward(qkv, num_heads)
    }

    fn mentor_depthwise_conv2d(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        window: DepthwiseWindow,
    ) -> FloatTensor<Self> {
        depthwise::forward(x, w, bias, window)
    }

    fn mentor_activation(x: FloatTensor<Self>, function: Function) -> FloatTensor<Self> {
        activation::forward(x, function)
    }

    fn mentor_fork(x: FloatTensor<Self>) -> residual::Twins<Self> {
        residual::fork_forward(x)
    }

    fn mentor_mask(x: FloatTensor<Self>, factors: Factors) -> FloatTensor<Self> {
        mask::forward(x, &factors)
    }

    fn mentor_add(a: FloatTensor<Self>, b: FloatTensor<Self>, relu: bool) -> FloatTensor<Self> {
        residual::add_forward(a, b, relu)
    }

    fn mentor_scale_planes(x: FloatTensor<Self>, factors: FloatTensor<Self>) -> FloatTensor<Self> {
        residual::scale_forward(x, factors)
    }
}

impl<C: CheckpointStrategy> KernelOps for Autodiff<Flex, C> {
    fn mentor_linear(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        linear::record::<C>(x, w, bias, activation)
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

    fn mentor_global_average(x: FloatTensor<Self>) -> FloatTensor<Self> {
        average_pool::record::<C>(x)
    }

    fn mentor_token_mean(x: FloatTensor<Self>) -> FloatTensor<Self> {
        token_mean::record::<C>(x)
    }

    fn mentor_shortcut(x: FloatTensor<Self>, step: Step) -> FloatTensor<Self> {
        shortcut::record::<C>(x, step)
    }

    fn mentor_batch_norm(inputs: batch_norm::Inputs<Self>) -> batch_norm::Outputs<Self> {
        batch_norm::record::<C>(inputs)
    }

    fn mentor_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        layer_norm::record::<C>(x, gamma, beta, epsilon)
    }

    fn mentor_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        gelu::record::<C>(x)
    }

    fn mentor_attention(qkv: FloatTensor<Self>, num_heads: usize) -> FloatTensor<Self> {
        attention::record::<C>(qkv, num_heads)
    }

    fn mentor_depthwise_conv2d(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        window: DepthwiseWindow,
    ) -> FloatTensor<Self> {
        depthwise::record::<C>(x, w, bias, window)
    }

    fn mentor_activation(x: FloatTensor<Self>, function: Function) -> FloatTensor<Self> {
        activation::record::<C>(x, function)
    }

    fn mentor_fork(x: FloatTensor<Self>) -> residual::Twins<Self> {
        residual::fork_record::<C>(x)
    }

    fn mentor_mask(x: FloatTensor<Self>, factors: Factors) -> FloatTensor<Self> {
        mask::record::<C>(x, factors)
    }

    fn mentor_add(a: FloatTensor<Self>, b: FloatTensor<Self>, relu: bool) -> FloatTensor<Self> {
        residual::add_record::<C>(a, b, relu)
    }

    fn mentor_scale_planes(x: FloatTensor<Self>, factors: FloatTensor<Self>) -> FloatTensor<Self> {
        residual::scale_record::<C>(x, factors)
    }
}
