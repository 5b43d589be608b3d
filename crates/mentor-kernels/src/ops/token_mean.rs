//! The mean over the tokens of a sequence.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Dispatch, Flex, TensorMetadata};
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::host::buffer::{CpuTensor, contiguous, filled, is_on_cpu, to_tensor, values};
use crate::host::pointwise::TASK;
use crate::ops::extension::KernelOps;

/// `[B, N, D]` to `[B, D]`: Σ x / N over the tokens, added up in their order. Its gradient is that of the
/// mean, shared out equally.
///
/// # Panics
///
/// If there are no tokens.
#[track_caller]
pub fn token_mean(x: Tensor<3>) -> Tensor<2> {
    let [batch, num_tokens, width] = x.dims();
    assert!(num_tokens > 0, "token_mean: {:?} has no tokens", x.dims());
    if is_on_cpu(&x) && batch * width > 0 {
        Tensor::from_dispatch(<Dispatch as KernelOps>::mentor_token_mean(x.into_dispatch()))
    } else {
        fallback(x)
    }
}

/// The same by Burn's operations, for devices without kernels.
fn fallback(x: Tensor<3>) -> Tensor<2> {
    let [batch, _, width] = x.dims();
    x.mean_dim(1).reshape([batch, width])
}

/// The mean without a tape.
pub(crate) fn forward(x: CpuTensor) -> CpuTensor {
    let shape = x.shape().to_vec();
    let x = contiguous(x);
    let (num_tokens, width) = (shape[1], shape[2]);
    let mut means = filled(shape[0] * width);
    let images = means.par_chunks_mut(width).zip(values(&x).par_chunks(num_tokens * width));
    images.with_min_len(TASK.div_ceil(num_tokens * width)).for_each(|(mean, tokens)| {
        for token in tokens.chunks_exact(width) {
            mean.iter_mut().zip(token).for_each(|(mean, value)| *mean += value);
        }
        mean.iter_mut().for_each(|mean| *mean /= num_tokens as f32);
    });
    to_tensor(means, &[shape[0], width])
}

/// The mean with its backward pass on the tape.
pub(crate) fn record<C: CheckpointStrategy>(x: FloatTensor<Autodiff<Flex>>) -> FloatTensor<Autodiff<Flex>> {
    let (x, node) = x.into_parts();
    let shape = x.shape().to_vec();
    let means = forward(x);
    match MeanBackward.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(shape, means),
        OpsKind::UnTracked(prep) => prep.finish(means),
    }
}

#[derive(Debug)]
struct MeanBackward;

impl Backward<Flex, 1> for MeanBackward {
    /// The shape of the input.
    type State = Vec<usize>;

    fn backward(self, ops: Ops<Vec<usize>, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let g = contiguous(grads.consume::<Flex>(&ops.node));
        let [Some(node)] = ops.parents else { return };
        let shape = ops.state;
        let (num_tokens, width) = (shape[1], shape[2]);
        let share = (1.0 / num_tokens as f64) as f32;
        let mut dx = filled(shape.iter().product());
        let images = dx.par_chunks_mut(num_tokens * width).zip(values(&g).par_chunks(width));
        images.with_min_len(TASK.div_ceil(num_tokens * width)).for_each(|(dx, g)| {
            for token in dx.chunks_exact_mut(width) {
                token.iter_mut().zip(g).for_each(|(dx, g)| *dx = share * g);
            }
        });
        grads.register::<Flex>(node.id, to_tensor(dx, &shape));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;
    use burn::tensor::{Device, TensorData};

    fn run(call: fn(Tensor<3>) -> Tensor<2>, shape: [usize; 3]) -> [Vec<f32>; 2] {
        let device = Device::flex().autodiff();
        let x = TensorData::new(random(1, shape.iter().product()), shape);
        let x = Tensor::<3>::from_data(x, &device).require_grad();
        let y = call(x.clone());
        let weights = TensorData::new(random(2, shape[0] * shape[2]), y.dims());
        let grads = (y.clone() * Tensor::from_data(weights, &device)).sum().backward();
        [y.into_data(), x.grad(&grads).unwrap().into_data()].map(|data| data.try_to_vec().unwrap())
    }

    #[test]
    fn kernel_and_burn_give_the_same_bits_for_any_number_of_threads() {
        for shape in [[1, 1, 1], [2, 3, 5], [3, 49, 64], [70, 31, 33]] {
            let run_on = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| run(token_mean, shape))
            };
            assert_eq!(run_on(1), run(fallback, shape));
            assert_eq!(run_on(1), run_on(2));
        }
    }

    #[test]
    #[should_panic(expected = "token_mean: [1, 0, 2] has no tokens")]
    fn no_tokens_are_refused() {
        token_mean(Tensor::zeros([1, 0, 2], &Device::flex()));
    }
}
