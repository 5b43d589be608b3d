//! The convolution as an operation on tensors; the arithmetic is in [`conv`](crate::kernels::conv).

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Dispatch, Flex, TensorMetadata};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, activation};

use crate::host::buffer::{CpuTensor, contiguous, filled, is_on_cpu, to_tensor, values};
use crate::kernels::conv::{
    ConvShape, conv2d_bias_gradient, conv2d_forward, conv2d_input_gradient, conv2d_weight_gradient,
};
use crate::ops::extension::KernelOps;

/// A convolution with a square stride and zeros around the image.
///
/// `x` `[B, C_in, H, W]`, `weight` `[C_out, C_in, k_h, k_w]`, `bias` `[C_out]`; result `[B, C_out, H', W']`
/// with H' = ⌊(H + 2 padding − k_h) / stride⌋ + 1, and W' alike. (As everywhere in deep learning, a
/// correlation.)
///
/// # Panics
///
/// If the shapes do not fit, or the stride is 0.
#[track_caller]
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: usize,
    padding: usize,
) -> Tensor<4> {
    apply(x, weight, bias, Geometry { stride, padding, relu: false })
}

/// [`conv2d`] and a ReLU, whose gradient at the kink is 0.
///
/// # Panics
///
/// As [`conv2d`].
#[track_caller]
pub fn conv2d_relu(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: usize,
    padding: usize,
) -> Tensor<4> {
    apply(x, weight, bias, Geometry { stride, padding, relu: true })
}

/// What is not in the shapes of the tensors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    stride: usize,
    padding: usize,
    relu: bool,
}

impl Geometry {
    fn shape(&self, x: &CpuTensor, w: &CpuTensor) -> ConvShape {
        let (x, w) = (x.shape(), w.shape());
        ConvShape {
            batch: x[0],
            in_channels: x[1],
            height: x[2],
            width: x[3],
            out_channels: w[0],
            kernel: [w[2], w[3]],
            stride: self.stride,
            padding: self.padding,
            dilation: 1,
        }
    }
}

#[track_caller]
fn apply(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, geometry: Geometry) -> Tensor<4> {
    let ([_, inputs, height, width], [outputs, channels, rows, columns]) = (x.dims(), weight.dims());
    let fits = |size: usize, kernel: usize| kernel > 0 && size + 2 * geometry.padding >= kernel;
    assert!(
        inputs == channels
            && geometry.stride > 0
            && fits(height, rows)
            && fits(width, columns)
            && bias.as_ref().is_none_or(|bias| bias.dims() == [outputs]),
        "conv2d: input {:?}, weight {:?}, bias {:?} and {geometry:?} do not fit",
        x.dims(),
        weight.dims(),
        bias.as_ref().map(|bias| bias.dims()),
    );
    if !(is_on_cpu(&x) && is_on_cpu(&weight) && bias.as_ref().is_none_or(is_on_cpu)) {
        return fallback(x, weight, bias, geometry);
    }
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        Some(bias) => <Dispatch as KernelOps>::mentor_conv2d(x, weight, bias.into_dispatch(), geometry),
        None => <Dispatch as KernelOps>::mentor_conv2d_without_bias(x, weight, geometry),
    })
}

/// The same by Burn's operations, for devices without kernels.
pub(crate) fn fallback(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    geometry: Geometry,
) -> Tensor<4> {
    let options = ConvOptions::new([geometry.stride; 2], [geometry.padding; 2], [1, 1], 1);
    let y = burn::tensor::module::conv2d(x, weight, bias, options);
    if geometry.relu { activation::relu(y) } else { y }
}

/// The convolution on the CPU.
pub(crate) fn forward(x: CpuTensor, w: CpuTensor, bias: Option<CpuTensor>, geometry: Geometry) -> CpuTensor {
    let (x, w, bias) = (contiguous(x), contiguous(w), bias.map(contiguous));
    let shape = geometry.shape(&x, &w);
    let mut y = filled(shape.output_len());
    conv2d_forward(values(&x), values(&w), bias.as_ref().map(values), geometry.relu, &shape, &mut y);
    to_tensor(y, &[shape.batch, shape.out_channels, shape.out_height(), shape.out_width()])
}

/// The convolution with its backward pass on the tape.
pub(crate) fn record<C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<Flex>>,
    w: FloatTensor<Autodiff<Flex>>,
    bias: FloatTensor<Autodiff<Flex>>,
    geometry: Geometry,
) -> FloatTensor<Autodiff<Flex>> {
    let nodes = [x.node(), w.node(), bias.node()];
    let tracked = [x.is_tracked(), w.is_tracked()];
    let bias = bias.into_primitive();
    let (x, w) = (contiguous(x.into_primitive()), contiguous(w.into_primitive()));
    let y = forward(x.clone(), w.clone(), Some(bias), geometry);
    match ConvBackward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(State::new(x, w, &y, tracked, geometry), y),
        OpsKind::UnTracked(prep) => prep.finish(y),
    }
}

/// [`record`] without a bias.
pub(crate) fn record_without_bias<C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<Flex>>,
    w: FloatTensor<Autodiff<Flex>>,
    geometry: Geometry,
) -> FloatTensor<Autodiff<Flex>> {
    let nodes = [x.node(), w.node()];
    let tracked = [x.is_tracked(), w.is_tracked()];
    let (x, w) = (contiguous(x.into_primitive()), contiguous(w.into_primitive()));
    let y = forward(x.clone(), w.clone(), None, geometry);
    match ConvBackward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(State::new(x, w, &y, tracked, geometry), y),
        OpsKind::UnTracked(prep) => prep.finish(y),
    }
}

/// What the backward pass needs; tensors that it does not are not kept.
#[derive(Clone, Debug)]
struct State {
    shape: ConvShape,
    x: Option<CpuTensor>,
    w: Option<CpuTensor>,
    /// The output of the ReLU, whose zeros are its mask.
    relu: Option<CpuTensor>,
}

impl State {
    fn new(x: CpuTensor, w: CpuTensor, y: &CpuTensor, tracked: [bool; 2], geometry: Geometry) -> Self {
        Self {
            shape: geometry.shape(&x, &w),
            x: tracked[1].then_some(x),
            w: tracked[0].then_some(w),
            relu: geometry.relu.then(|| y.clone()),
        }
    }

    fn input_gradient(&self, g: &CpuTensor) -> Option<CpuTensor> {
        let ConvShape { batch, in_channels, height, width, .. } = self.shape;
        let mut dx = filled(self.shape.input_len());
        conv2d_input_gradient(values(g), values(self.w.as_ref()?), self.relu(), &self.shape, &mut dx);
        Some(to_tensor(dx, &[batch, in_channels, height, width]))
    }

    /// The gradients of the weights and, in the same pass, of the bias if there is one.
    fn weight_gradient(&self, g: &CpuTensor, bias: bool) -> Option<(CpuTensor, Option<CpuTensor>)> {
        let ConvShape { out_channels, in_channels, kernel, .. } = self.shape;
        let mut dw = filled(self.shape.weight_len());
        let mut db = bias.then(|| filled(out_channels));
        let x = values(self.x.as_ref()?);
        conv2d_weight_gradient(x, values(g), self.relu(), &self.shape, &mut dw, db.as_deref_mut());
        let dw = to_tensor(dw, &[out_channels, in_channels, kernel[0], kernel[1]]);
        Some((dw, db.map(|db| to_tensor(db, &[out_channels]))))
    }

    fn bias_gradient(&self, g: &CpuTensor) -> CpuTensor {
        let mut db = filled(self.shape.out_channels);
        conv2d_bias_gradient(values(g), self.relu(), &self.shape, &mut db);
        to_tensor(db, &[self.shape.out_channels])
    }

    fn relu(&self) -> Option<&[f32]> {
        self.relu.as_ref().map(values)
    }
}

/// With a bias (N = 3) or without (N = 2).
#[derive(Debug)]
struct ConvBackward;

impl<const N: usize> Backward<Flex, N> for ConvBackward {
    type State = State;

    fn backward(self, ops: Ops<State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let g = contiguous(grads.consume::<Flex>(&ops.node));
        let mut parents = ops.parents.into_iter();
        let [node_x, node_w, node_bias] = std::array::from_fn(|_| parents.next().flatten());
        if let Some(node) = node_x
            && let Some(dx) = ops.state.input_gradient(&g)
        {
            grads.register::<Flex>(node.id, dx);
        }
        match (node_w, node_bias) {
            (Some(node), node_bias) => {
                if let Some((dw, db)) = ops.state.weight_gradient(&g, node_bias.is_some()) {
                    grads.register::<Flex>(node.id, dw);
                    if let (Some(node), Some(db)) = (node_bias, db) {
                        grads.register::<Flex>(node.id, db);
                    }
                }
            }
            (None, Some(node)) => grads.register::<Flex>(node.id, ops.state.bias_gradient(&g)),
            (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, random};
    use burn::tensor::{Device, TensorData};

    type Call = fn(Tensor<4>, Tensor<4>, Option<Tensor<1>>, Geometry) -> Tensor<4>;

    /// Output, and the gradients of Σ r·y with random r: of x, w and the bias, if there is one.
    fn run(call: Call, x: [usize; 4], w: [usize; 4], bias: bool, geometry: Geometry) -> Vec<Vec<f32>> {
        let device = Device::flex().autodiff();
        let tensor = |stream, shape: [usize; 4]| {
            let values = random(stream, shape.iter().product());
            Tensor::<4>::from_data(TensorData::new(values, shape), &device)
        };
        let (x, w) = (tensor(1, x).require_grad(), tensor(2, w).require_grad());
        let values = TensorData::new(random(3, w.dims()[0]), [w.dims()[0]]);
        let bias = bias.then(|| Tensor::<1>::from_data(values, &device).require_grad());
        let y = call(x.clone(), w.clone(), bias.clone(), geometry);
        let grads = (y.clone() * tensor(4, y.dims())).sum().backward();
        let mut found =
            vec![y.into_data(), x.grad(&grads).unwrap().into_data(), w.grad(&grads).unwrap().into_data()];
        found.extend(bias.map(|bias| bias.grad(&grads).unwrap().into_data()));
        found.into_iter().map(|data| data.try_to_vec().unwrap()).collect()
    }

    #[test]
    fn kernel_and_burn_agree_in_value_and_gradients() {
        let shapes = [
            ([1, 1, 1, 1], [1, 1, 1, 1]),
            ([3, 3, 7, 9], [5, 3, 3, 3]),
            ([2, 17, 8, 8], [6, 17, 3, 3]),
            ([2, 4, 6, 5], [9, 4, 1, 1]),
        ];
        for (x, w) in shapes {
            for (stride, relu) in [(1, false), (1, true), (2, true), (2, false)] {
                for bias in [false, true] {
                    let geometry = Geometry { stride, padding: w[2] / 2, relu };
                    let found = run(apply, x, w, bias, geometry);
                    let expected = run(fallback, x, w, bias, geometry);
                    assert_eq!(found.len(), expected.len());
                    for (found, expected) in found.iter().zip(expected) {
                        let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
                        close(found, &expected, 2e-5);
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "conv2d: input [1, 2, 4, 4], weight [3, 3, 3, 3]")]
    fn channels_that_do_not_fit_are_named() {
        let device = Device::flex();
        conv2d(Tensor::zeros([1, 2, 4, 4], &device), Tensor::zeros([3, 3, 3, 3], &device), None, 1, 1);
    }
}
