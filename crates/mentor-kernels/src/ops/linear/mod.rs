//! The fully connected layer.

pub(crate) mod blocked;
pub(crate) mod narrow;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Dispatch, Flex, TensorMetadata};
use burn::tensor::Tensor;
use burn::tensor::activation;

use crate::host::buffer::{CpuTensor, contiguous, is_on_cpu, to_tensor, values};
use crate::host::pointwise;
use crate::ops::extension::KernelOps;
use crate::ops::gelu;
use blocked::MIN_ROWS;
use narrow::{MAX_OUTPUTS, Sizes};

/// y = x W + b: `x` `[B, D_in]`, `weight` `[D_in, D_out]`, `bias` `[D_out]`, result `[B, D_out]`.
///
/// # Gradient
///
/// dx = g Wᵀ, dW = xᵀ g, db = Σ_b g.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    apply(x, weight, bias, Activation::None)
}

/// y = max(0, x W + b), shapes as in [`linear`]. At the kink the gradient is 0.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn linear_relu(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    apply(x, weight, bias, Activation::Relu)
}

/// y = gelu(x) W + b, shapes as in [`linear`]; the exact function of [`gelu`](crate::gelu()).
///
/// Of x and gelu(x) only x is kept for the backward pass, which computes the other again on its way to the
/// derivative.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn gelu_linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    apply(x, weight, bias, Activation::GeluBefore)
}

/// What the layer does beside its product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    None,
    /// A ReLU of its output, in the same pass over memory.
    Relu,
    /// A GELU of its input.
    GeluBefore,
}

#[track_caller]
fn apply(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, activation: Activation) -> Tensor<2> {
    let ([_, inputs], [rows, outputs]) = (x.dims(), weight.dims());
    assert!(
        inputs == rows && bias.dims() == [outputs],
        "linear: input {:?}, weight {:?} and bias {:?} do not fit",
        x.dims(),
        weight.dims(),
        bias.dims(),
    );
    if is_on_cpu(&x) && is_on_cpu(&weight) && is_on_cpu(&bias) {
        let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
        Tensor::from_dispatch(<Dispatch as KernelOps>::mentor_linear(x, weight, bias, activation))
    } else {
        fallback(x, weight, bias, activation)
    }
}

/// The same by Burn's operations, for devices without kernels.
pub(crate) fn fallback(
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    activation: Activation,
) -> Tensor<2> {
    let linear = |x| burn::tensor::module::linear(x, weight, Some(bias));
    match activation {
        Activation::None => linear(x),
        Activation::Relu => activation::relu(linear(x)),
        Activation::GeluBefore => linear(activation::gelu(x)),
    }
}

fn sizes(x: &CpuTensor, w: &CpuTensor) -> Sizes {
    let (x, w) = (x.shape(), w.shape());
    Sizes { rows: x[0], inputs: x[1], outputs: w[1] }
}

/// Whether [`blocked`] multiplies, rather than [`narrow`] or, for a handful of rows, the engine.
fn is_blocked(sizes: Sizes) -> bool {
    sizes.outputs > MAX_OUTPUTS && sizes.rows >= MIN_ROWS
}

/// x W + b, and its positive part if `relu`.
fn product(x: &CpuTensor, w: &CpuTensor, bias: &[f32], relu: bool) -> CpuTensor {
    let sizes = sizes(x, w);
    if sizes.outputs > MAX_OUTPUTS && !is_blocked(sizes) {
        return pointwise::add_bias_relu(Flex::float_matmul(x.clone(), w.clone()), bias, relu);
    }
    let (x, w) = (contiguous(x.clone()), contiguous(w.clone()));
    if is_blocked(sizes) {
        let y = blocked::forward(sizes, values(&x), values(&w), Some(bias), relu);
        return to_tensor(y, &[sizes.rows, sizes.outputs]);
    }
    let mut y = narrow::forward(sizes, values(&x), values(&w), bias);
    if relu {
        y.iter_mut().for_each(|y| *y = pointwise::floor_at(*y, 0.0));
    }
    to_tensor(y, &[sizes.rows, sizes.outputs])
}

/// The output of the layer.
fn compute(x: &CpuTensor, w: &CpuTensor, bias: &CpuTensor, activation: Activation) -> CpuTensor {
    let bias = contiguous(bias.clone());
    match activation {
        Activation::GeluBefore => product(&gelu::forward(x.clone()), w, values(&bias), false),
        _ => product(x, w, values(&bias), activation == Activation::Relu),
    }
}

/// The layer without a tape.
pub(crate) fn forward(x: &CpuTensor, w: &CpuTensor, bias: &CpuTensor, activation: Activation) -> CpuTensor {
    compute(x, w, bias, activation)
}

/// The layer with its backward pass on the tape.
pub(crate) fn record<C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<Flex>>,
    w: FloatTensor<Autodiff<Flex>>,
    bias: FloatTensor<Autodiff<Flex>>,
    activation: Activation,
) -> FloatTensor<Autodiff<Flex>> {
    let nodes = [x.node(), w.node(), bias.node()];
    // What the backward pass does not ask for is not kept.
    let needs_x = w.is_tracked() || (activation == Activation::GeluBefore && x.is_tracked());
    let needs_w = x.is_tracked();
    let (x, w, bias) = (x.into_primitive(), w.into_primitive(), bias.into_primitive());
    let y = compute(&x, &w, &bias, activation);
    match LinearBackward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            // The zeros of a ReLU's output are its mask.
            let mask = (activation == Activation::Relu).then(|| y.clone());
            let state = State { x: needs_x.then_some(x), w: needs_w.then_some(w), activation, mask };
            prep.finish(state, y)
        }
        OpsKind::UnTracked(prep) => prep.finish(y),
    }
}

#[derive(Debug)]
struct LinearBackward;

/// What the backward pass needs.
#[derive(Clone, Debug)]
struct State {
    x: Option<CpuTensor>,
    w: Option<CpuTensor>,
    activation: Activation,
    mask: Option<CpuTensor>,
}

impl Backward<Flex, 3> for LinearBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_x, node_w, node_bias] = ops.parents;
        let State { mut x, w, activation, mask } = ops.state;
        let mut g = contiguous(grads.consume::<Flex>(&ops.node));
        if let Some(mask) = mask {
            g = pointwise::mask_by(g, &mask);
        }
        let [rows, outputs] = [g.shape()[0], g.shape()[1]];
        let sizes = |inputs| Sizes { rows, inputs, outputs };
        if let (Some(node), Some(w)) = (node_x, w) {
            let w = contiguous(w);
            let sizes = sizes(w.shape()[0]);
            let dx = if outputs <= MAX_OUTPUTS {
                narrow::input_gradient(sizes, values(&g), values(&w))
            } else {
                blocked::input_gradient(sizes, values(&g), values(&w))
            };
            let mut dx = to_tensor(dx, &[rows, sizes.inputs]);
            if activation == Activation::GeluBefore {
                let argument = x.expect("the argument of the GELU is kept");
                let (slope, value) = gelu::backward_with_value(dx, &argument);
                (dx, x) = (slope, Some(value));
            }
            grads.register::<Flex>(node.id, dx);
        } else if activation == Activation::GeluBefore {
            x = x.map(gelu::forward);
        }
        if let Some(node) = node_bias {
            let sums = narrow::column_sums(outputs, values(&g));
            grads.register::<Flex>(node.id, to_tensor(sums, &[outputs]));
        }
        if let (Some(node), Some(x)) = (node_w, x) {
            let x = contiguous(x);
            let sizes = sizes(x.shape()[1]);
            let dw = if outputs <= MAX_OUTPUTS {
                narrow::weight_gradient(sizes, values(&x), values(&g))
            } else {
                blocked::weight_gradient(sizes, values(&x), values(&g))
            };
            grads.register::<Flex>(node.id, to_tensor(dw, &[sizes.inputs, outputs]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, with_level};
    use crate::testing::{close, random};
    use burn::tensor::{Device, TensorData};
    use proptest::prelude::*;

    const ALL: [Activation; 3] = [Activation::None, Activation::Relu, Activation::GeluBefore];

    type Call = fn(Tensor<2>, Tensor<2>, Tensor<1>, Activation) -> Tensor<2>;

    fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    /// Output, and the gradients of Σ r·y for random r: of x, W and b, where they are `tracked`.
    ///
    /// r is 0 within rounding of the ReLU's kink, where either slope is right.
    fn run(
        call: Call,
        [rows, inputs, outputs]: [usize; 3],
        activation: Activation,
        tracked: [bool; 3],
    ) -> Vec<Option<Vec<f32>>> {
        let device = Device::flex().autodiff();
        let matrix = |stream, shape: [usize; 2], tracked| {
            let values = TensorData::new(random(stream, shape[0] * shape[1]), shape);
            let tensor = Tensor::<2>::from_data(values, &device);
            if tracked { tensor.require_grad() } else { tensor.without_autodiff() }
        };
        let x = matrix(1, [rows, inputs], tracked[0]);
        let w = matrix(2, [inputs, outputs], tracked[1]);
        let bias = matrix(3, [1, outputs], tracked[2]);
        let y = call(x.clone(), w.clone(), bias.clone().reshape([outputs]), activation);
        let mut weights = matrix(4, [rows, outputs], false);
        if activation == Activation::Relu {
            let [x, w, bias] = [&x, &w, &bias].map(|tensor| tensor.clone().without_autodiff());
            let argument = fallback(x, w, bias.reshape([outputs]), Activation::None);
            weights = weights.mask_fill(argument.abs().lower_elem(1e-5), 0.0);
        }
        let grads = (y.clone() * weights).sum().backward();
        let gradient = |tensor: &Tensor<2>, tracked: bool| {
            tracked.then(|| host(tensor.grad(&grads).expect("a tracked tensor has a gradient")))
        };
        vec![Some(host(y)), gradient(&x, tracked[0]), gradient(&w, tracked[1]), gradient(&bias, tracked[2])]
    }

    fn check(sizes: [usize; 3], activation: Activation, tracked: [bool; 3]) {
        let expected = run(fallback, sizes, activation, tracked);
        for level in Level::available() {
            let found = with_level(level, || run(apply, sizes, activation, tracked));
            for (found, expected) in found.iter().zip(&expected) {
                match (found, expected) {
                    (Some(found), Some(expected)) => {
                        close(
                            found,
                            &expected.iter().map(|&value| f64::from(value)).collect::<Vec<_>>(),
                            2e-5,
                        );
                    }
                    (found, expected) => assert_eq!(found.is_some(), expected.is_some()),
                }
            }
        }
    }

    #[test]
    fn kernel_and_burn_agree_for_every_choice_of_tracked_tensors() {
        for sizes in [[5, 7, 3], [5, 40, 50], [70, 40, 33]] {
            for choice in 1..8 {
                check(sizes, ALL[choice % 3], [choice & 1 > 0, choice & 2 > 0, choice & 4 > 0]);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn kernel_and_burn_agree_in_all_shapes(
            rows in 1..140usize,
            inputs in 1..90usize,
            outputs in 1..80usize,
            which in 0..3usize,
        ) {
            check([rows, inputs, outputs], ALL[which], [true; 3]);
        }
    }

    #[test]
    fn a_transposed_input_is_read_as_it_is_meant() {
        let device = Device::flex();
        let matrix = |stream, shape: [usize; 2]| {
            Tensor::<2>::from_data(TensorData::new(random(stream, shape[0] * shape[1]), shape), &device)
        };
        let (x, w) = (matrix(1, [6, 5]).transpose(), matrix(2, [3, 6]).transpose());
        let found = linear(x.clone(), w.clone(), Tensor::zeros([3], &device));
        let expected: Vec<f64> = host(x.matmul(w)).into_iter().map(f64::from).collect();
        close(&host(found), &expected, 1e-5);
    }

    #[test]
    #[should_panic(expected = "linear: input [2, 3], weight [4, 5] and bias [5] do not fit")]
    fn shapes_that_do_not_fit_are_named() {
        let device = Device::flex();
        linear(Tensor::zeros([2, 3], &device), Tensor::zeros([4, 5], &device), Tensor::zeros([5], &device));
    }
}
