//! The fully connected layer.

pub(crate) mod narrow;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::{FloatTensorOps, ModuleOps};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Dispatch, Flex, TensorMetadata};
use burn::tensor::Tensor;
use burn::tensor::activation;

use crate::buffer::{CpuTensor, contiguous, is_on_cpu, to_tensor, values};
use crate::extension::KernelOps;
use crate::lanes::wide;
use crate::pointwise;
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
    apply(x, weight, bias, false)
}

/// y = max(0, x W + b), shapes as in [`linear`]. At the kink the gradient is 0.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn linear_relu(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    apply(x, weight, bias, true)
}

#[track_caller]
fn apply(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, relu: bool) -> Tensor<2> {
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
        Tensor::from_dispatch(<Dispatch as KernelOps>::mentor_linear(x, weight, bias, relu))
    } else {
        fallback(x, weight, bias, relu)
    }
}

/// The same by Burn's operations, for devices without kernels.
pub(crate) fn fallback(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, relu: bool) -> Tensor<2> {
    let y = burn::tensor::module::linear(x, weight, Some(bias));
    if relu { activation::relu(y) } else { y }
}

fn sizes(x: &CpuTensor, w: &CpuTensor) -> Sizes {
    let (x, w) = (x.shape(), w.shape());
    Sizes { rows: x[0], inputs: x[1], outputs: w[1] }
}

/// The layer on the CPU.
pub(crate) fn forward(x: &CpuTensor, w: &CpuTensor, bias: &CpuTensor, relu: bool) -> CpuTensor {
    let sizes = sizes(x, w);
    let (bias, outputs) = (contiguous(bias.clone()), sizes.outputs);
    let mut y = if outputs <= MAX_OUTPUTS {
        let (x, w) = (contiguous(x.clone()), contiguous(w.clone()));
        narrow::forward(wide(), sizes, values(&x), values(&w), values(&bias))
    } else {
        let y = Flex::float_matmul(x.clone(), w.clone());
        return pointwise::add_bias_relu(y, values(&bias), relu);
    };
    if relu {
        y.iter_mut().for_each(|y| *y = pointwise::floor_at(*y, 0.0));
    }
    to_tensor(y, &[sizes.rows, outputs])
}

/// The layer with its backward pass on the tape.
pub(crate) fn record<C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<Flex>>,
    w: FloatTensor<Autodiff<Flex>>,
    bias: FloatTensor<Autodiff<Flex>>,
    relu: bool,
) -> FloatTensor<Autodiff<Flex>> {
    let nodes = [x.node(), w.node(), bias.node()];
    // What the backward pass does not ask for is not kept.
    let (needs_x, needs_w) = (w.is_tracked(), x.is_tracked());
    let (x, w, bias) = (x.into_primitive(), w.into_primitive(), bias.into_primitive());
    let y = forward(&x, &w, &bias, relu);
    match LinearBackward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let state =
                State { x: needs_x.then_some(x), w: needs_w.then_some(w), y: relu.then(|| y.clone()) };
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
    /// The output, whose zeros are the mask of the ReLU.
    y: Option<CpuTensor>,
}

impl Backward<Flex, 3> for LinearBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_x, node_w, node_bias] = ops.parents;
        let State { x, w, y } = ops.state;
        let mut g = contiguous(grads.consume::<Flex>(&ops.node));
        if let Some(y) = y {
            g = pointwise::mask_by(g, &y);
        }
        let outputs = g.shape()[1];
        let narrow = outputs <= MAX_OUTPUTS;
        if let (Some(node), Some(w)) = (node_x, w) {
            let dx = if narrow {
                let w = contiguous(w);
                let sizes = Sizes { rows: g.shape()[0], inputs: w.shape()[0], outputs };
                let dx = narrow::input_gradient(wide(), sizes, values(&g), values(&w));
                to_tensor(dx, &[sizes.rows, sizes.inputs])
            } else {
                Flex::linear_x_backward(w, g.clone())
            };
            grads.register::<Flex>(node.id, dx);
        }
        if let Some(node) = node_bias {
            let sums = narrow::column_sums(outputs, values(&g));
            grads.register::<Flex>(node.id, to_tensor(sums, &[outputs]));
        }
        if let (Some(node), Some(x)) = (node_w, x) {
            let dw = if narrow {
                let x = contiguous(x);
                let sizes = Sizes { rows: x.shape()[0], inputs: x.shape()[1], outputs };
                let dw = narrow::weight_gradient(wide(), sizes, values(&x), values(&g));
                to_tensor(dw, &[sizes.inputs, outputs])
            } else {
                Flex::linear_weight_backward(x, g)
            };
            grads.register::<Flex>(node.id, dw);
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

    type Call = fn(Tensor<2>, Tensor<2>, Tensor<1>, bool) -> Tensor<2>;

    fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    /// Output, and the gradients of Σ r·y for random r: of x, W and b, where they are `tracked`.
    fn run(
        call: Call,
        [rows, inputs, outputs]: [usize; 3],
        relu: bool,
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
        let y = call(x.clone(), w.clone(), bias.clone().reshape([outputs]), relu);
        let grads = (y.clone() * matrix(4, [rows, outputs], false)).sum().backward();
        let gradient = |tensor: &Tensor<2>, tracked: bool| {
            tracked.then(|| host(tensor.grad(&grads).expect("a tracked tensor has a gradient")))
        };
        vec![Some(host(y)), gradient(&x, tracked[0]), gradient(&w, tracked[1]), gradient(&bias, tracked[2])]
    }

    fn check(sizes: [usize; 3], relu: bool, tracked: [bool; 3]) {
        let found = run(apply, sizes, relu, tracked);
        let portable = with_level(Level::Portable, || run(apply, sizes, relu, tracked));
        let expected = run(fallback, sizes, relu, tracked);
        for (found, expected) in found.iter().chain(&portable).zip(expected.iter().chain(&expected).cloned())
        {
            let expected = expected.map(|values| values.into_iter().map(f64::from).collect::<Vec<_>>());
            match (found, expected) {
                (Some(found), Some(expected)) => close(found, &expected, 2e-5),
                (found, expected) => assert_eq!(found.is_some(), expected.is_some()),
            }
        }
    }

    #[test]
    fn kernel_and_burn_agree_for_every_choice_of_tracked_tensors() {
        for sizes in [[5, 7, 3], [70, 40, 33]] {
            for choice in 1..8 {
                check(sizes, choice % 2 == 0, [choice & 1 > 0, choice & 2 > 0, choice & 4 > 0]);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn kernel_and_burn_agree_in_all_shapes(rows in 1..140usize, inputs in 1..90usize, outputs in 1..40usize, relu: bool) {
            check([rows, inputs, outputs], relu, [true; 3]);
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
