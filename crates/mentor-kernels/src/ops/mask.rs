//! Values times factors that are not learnt: the masks of dropout and of stochastic depth.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Dispatch, Flex, TensorMetadata};
use burn::tensor::{Tensor, TensorData};

use crate::host::buffer::{CpuTensor, is_on_cpu};
use crate::host::pointwise::{TASK, update};
use crate::ops::extension::KernelOps;
use crate::ops::residual::scaled;

/// `x` `[B, …]` times `factors`: one for each value, row-major, or one for each sample. The gradient is
/// multiplied by the same.
///
/// # Panics
///
/// If there is another number of factors.
#[track_caller]
pub fn mask<const D: usize>(x: Tensor<D>, factors: Vec<f32>) -> Tensor<D> {
    let shape = x.dims();
    let num_values = shape.iter().product::<usize>();
    assert!(
        factors.len() == num_values || factors.len() == shape[0],
        "mask: {} factors for {shape:?}",
        factors.len()
    );
    if is_on_cpu(&x) && num_values > 0 {
        let factors = Factors(Arc::new(factors));
        Tensor::from_dispatch(<Dispatch as KernelOps>::mentor_mask(x.into_dispatch(), factors))
    } else {
        fallback(x, factors)
    }
}

/// The same by Burn's operations, for devices without kernels.
fn fallback<const D: usize>(x: Tensor<D>, factors: Vec<f32>) -> Tensor<D> {
    let mut shape = x.dims();
    if factors.len() != shape.iter().product::<usize>() {
        shape[1..].fill(1);
    }
    let factors = Tensor::<D>::from_data(TensorData::new(factors, shape), &x.device());
    x * factors
}

/// One for each run of values.
#[derive(Clone, Debug)]
pub(crate) struct Factors(Arc<Vec<f32>>);

/// The product without a tape; in place where `x` is not shared.
pub(crate) fn forward(x: CpuTensor, Factors(factors): &Factors) -> CpuTensor {
    match x.shape().iter().product::<usize>() / factors.len() {
        1 => update(x, TASK, |start, part| {
            part.iter_mut().zip(&factors[start..]).for_each(|(value, factor)| *value *= factor);
        }),
        run => scaled(x, run, factors),
    }
}

/// The product with its backward pass on the tape.
pub(crate) fn record<C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<Flex>>,
    factors: Factors,
) -> FloatTensor<Autodiff<Flex>> {
    let (x, node) = x.into_parts();
    let y = forward(x, &factors);
    match MaskBackward.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(factors, y),
        OpsKind::UnTracked(prep) => prep.finish(y),
    }
}

#[derive(Debug)]
struct MaskBackward;

impl Backward<Flex, 1> for MaskBackward {
    type State = Factors;

    fn backward(self, ops: Ops<Factors, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let g = grads.consume::<Flex>(&ops.node);
        let [Some(node)] = ops.parents else { return };
        grads.register::<Flex>(node.id, forward(g, &ops.state));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;
    use burn::tensor::Device;

    fn run(call: fn(Tensor<3>, Vec<f32>) -> Tensor<3>, shape: [usize; 3], count: usize) -> [Vec<f32>; 2] {
        let device = Device::flex().autodiff();
        let tensor = |stream| {
            let values = TensorData::new(random(stream, shape.iter().product()), shape);
            Tensor::<3>::from_data(values, &device)
        };
        let x = tensor(1).require_grad();
        let y = call(x.clone(), random(2, count));
        let grads = (y.clone() * tensor(3)).sum().backward();
        [y.into_data(), x.grad(&grads).unwrap().into_data()].map(|data| data.try_to_vec().unwrap())
    }

    #[test]
    fn kernel_and_burn_give_the_same_bits_for_any_number_of_threads() {
        for shape in [[1, 1, 1], [3, 5, 7], [70, 33, 31]] {
            for count in [shape.iter().product(), shape[0]] {
                let run_on = |threads| {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                    pool.install(|| run(mask, shape, count))
                };
                assert_eq!(run_on(1), run(fallback, shape, count));
                assert_eq!(run_on(1), run_on(2));
            }
        }
    }

    #[test]
    #[should_panic(expected = "mask: 2 factors for [3, 4]")]
    fn another_number_of_factors_is_refused() {
        mask(Tensor::<2>::zeros([3, 4], &Device::flex()), vec![1.0; 2]);
    }
}
