//! A layer of a fine-tuned network: its parameters, and what of it has none.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData, activation};
use mentor_backbone::{Activation, ConvLayer, Gate, Padding, Window};
use mentor_kernels::{
    DepthwiseWindow, conv2d, conv2d_relu, depthwise_conv2d, gelu, global_average, hard_swish, relu6,
    scale_planes, silu,
};

/// A convolution, and its activation.
#[derive(Module, Debug)]
pub(super) struct Layer {
    /// `[filters, channels, k, k]`; of a depthwise one `[channels, 1, k, k]`.
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    shape: Shape,
}

/// What is no parameter.
#[derive(Clone, Copy, Debug)]
struct Shape {
    window: Window,
    depthwise: bool,
    activation: Activation,
}

impl Layer {
    pub(super) fn new(layer: &ConvLayer, device: &Device) -> Self {
        let ConvLayer { filters, window, depthwise, activation } = layer;
        let weight = TensorData::new(filters.weights.clone(), filters.shape);
        let bias = TensorData::new(filters.bias.clone(), [filters.bias.len()]);
        Self {
            weight: Param::from_tensor(Tensor::from_data(weight, device)),
            bias: Param::from_tensor(Tensor::from_data(bias, device)),
            shape: Shape { window: *window, depthwise: *depthwise, activation: *activation },
        }
    }

    pub(super) fn is_relu(&self) -> bool {
        self.shape.activation == Activation::Relu
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        if self.is_relu() && !self.shape.depthwise {
            let (x, stride, padding) = self.padded(x);
            return conv2d_relu(x, self.weight.val(), Some(self.bias.val()), stride, padding);
        }
        activate(self.linear(x), self.shape.activation)
    }

    /// Without the activation.
    pub(super) fn linear(&self, x: Tensor<4>) -> Tensor<4> {
        if self.shape.depthwise {
            let [_, _, height, width] = x.dims();
            let window = self.shape.window;
            let ((top, rows), (left, columns)) = (window.along(height), window.along(width));
            let window =
                DepthwiseWindow { stride: window.stride, before: [top, left], output: [rows, columns] };
            return depthwise_conv2d(x, self.weight.val(), self.bias.val(), window);
        }
        let (x, stride, padding) = self.padded(x);
        conv2d(x, self.weight.val(), Some(self.bias.val()), stride, padding)
    }

    /// Of the rows `[B, C]` of images of one pixel.
    pub(super) fn forward_rows(&self, x: Tensor<2>) -> Tensor<2> {
        let [filters, channels, ..] = self.weight.val().dims();
        let weight = self.weight.val().reshape([filters, channels]).transpose();
        activate(mentor_kernels::linear(x, weight, self.bias.val()), self.shape.activation)
    }

    /// The images with stride and padding of their convolution; where TensorFlow's zeros are fewer before
    /// than after, which only the stem has, images with their zeros.
    fn padded(&self, x: Tensor<4>) -> (Tensor<4>, usize, usize) {
        let Window { kernel, stride, padding } = self.shape.window;
        if let Padding::Each(padding) = padding {
            return (x, stride, padding);
        }
        let [batch, channels, height, width] = x.dims();
        let [(top, rows), (left, columns)] = [height, width].map(|size| self.shape.window.along(size));
        let [rows, columns] = [rows, columns].map(|count| (count - 1) * stride + kernel);
        let is_even = |size: usize, before: usize, padded: usize| size + 2 * before == padded;
        if top == left && is_even(height, top, rows) && is_even(width, left, columns) {
            return (x, stride, top);
        }
        let (seen_rows, seen_columns) = (height.min(rows - top), width.min(columns - left));
        let seen = x.slice([0..batch, 0..channels, 0..seen_rows, 0..seen_columns]);
        let zeros = Tensor::zeros([batch, channels, rows, columns], &seen.device());
        let place = [0..batch, 0..channels, top..top + seen_rows, left..left + seen_columns];
        (zeros.slice_assign(place, seen), stride, 0)
    }
}

fn activate<const D: usize>(x: Tensor<D>, function: Activation) -> Tensor<D> {
    match function {
        Activation::None => x,
        Activation::Relu => activation::relu(x),
        Activation::Relu6 => relu6(x),
        Activation::HardSwish => hard_swish(x),
        Activation::Silu => silu(x),
        Activation::Gelu => gelu(x),
    }
}

/// Factors of channels from what the whole image holds (Hu et al. 2018).
#[derive(Module, Debug)]
pub(super) struct Squeeze {
    reduce: Layer,
    expand: Layer,
    #[module(skip)]
    gate: Gate,
}

impl Squeeze {
    pub(super) fn new(squeeze: &mentor_backbone::Squeeze, device: &Device) -> Self {
        let mentor_backbone::Squeeze { reduce, expand, gate } = squeeze;
        Self { reduce: Layer::new(reduce, device), expand: Layer::new(expand, device), gate: *gate }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [x, seen] = mentor_kernels::fork(x);
        let values = self.expand.forward_rows(self.reduce.forward_rows(global_average(seen)));
        let factors = match self.gate {
            Gate::Sigmoid => activation::sigmoid(values),
            Gate::HardSigmoid => values.add_scalar(3.0).clamp(0.0, 6.0).div_scalar(6.0),
        };
        scale_planes(x, factors)
    }
}
