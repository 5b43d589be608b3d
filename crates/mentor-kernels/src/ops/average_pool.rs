//! The mean over the image plane.

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

/// `[B, C, H, W]` to `[B, C]`: Σ x / (H·W) over each plane, summed in sixteen `f32` lanes that are added up
/// in `f64`. Its gradient is that of the mean, shared out equally.
///
/// # Panics
///
/// If a plane has no values.
#[track_caller]
pub fn global_average(x: Tensor<4>) -> Tensor<2> {
    let [batch, channels, height, width] = x.dims();
    assert!(height * width > 0, "global_average: {:?} has no values to average", x.dims());
    if is_on_cpu(&x) && batch * channels > 0 {
        Tensor::from_dispatch(<Dispatch as KernelOps>::mentor_global_average(x.into_dispatch()))
    } else {
        fallback(x)
    }
}

/// The same by Burn's operations, for devices without kernels.
fn fallback(x: Tensor<4>) -> Tensor<2> {
    let [batch, channels, height, width] = x.dims();
    // [B, C, H, W] to [B, C, H·W] to [B, C, 1] to [B, C]
    x.reshape([batch, channels, height * width]).mean_dim(2).reshape([batch, channels])
}

/// The mean without a tape.
pub(crate) fn forward(x: CpuTensor) -> CpuTensor {
    let shape = x.shape().to_vec();
    let x = contiguous(x);
    let plane = shape[2] * shape[3];
    let mean = |plane: &[f32]| (plane_sum(plane) / plane.len() as f64) as f32;
    let means = values(&x).par_chunks(plane).with_min_len(TASK.div_ceil(plane)).map(mean).collect();
    to_tensor(means, &shape[..2])
}

/// In sixteen lanes.
fn plane_sum(plane: &[f32]) -> f64 {
    let (blocks, rest) = plane.as_chunks::<16>();
    let mut lanes = [0.0f32; 16];
    for block in blocks {
        lanes.iter_mut().zip(block).for_each(|(lane, value)| *lane += value);
    }
    lanes.iter().chain(rest).map(|&value| f64::from(value)).sum()
}

/// The mean with its backward pass on the tape.
pub(crate) fn record<C: CheckpointStrategy>(x: FloatTensor<Autodiff<Flex>>) -> FloatTensor<Autodiff<Flex>> {
    let (x, node) = x.into_parts();
    let shape = x.shape().to_vec();
    let means = forward(x);
    match AverageBackward.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(shape, means),
        OpsKind::UnTracked(prep) => prep.finish(means),
    }
}

#[derive(Debug)]
struct AverageBackward;

impl Backward<Flex, 1> for AverageBackward {
    /// The shape of the input.
    type State = Vec<usize>;

    fn backward(self, ops: Ops<Vec<usize>, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let g = contiguous(grads.consume::<Flex>(&ops.node));
        let [Some(node)] = ops.parents else { return };
        let shape = ops.state;
        let plane = shape[2] * shape[3];
        let mut dx = filled(shape.iter().product());
        let planes = dx.par_chunks_mut(plane).zip(values(&g)).with_min_len(TASK.div_ceil(plane));
        planes.for_each(|(dx, g)| dx.fill(g / plane as f32));
        grads.register::<Flex>(node.id, to_tensor(dx, &shape));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, random};
    use burn::tensor::{Device, TensorData};

    fn run(call: fn(Tensor<4>) -> Tensor<2>, shape: [usize; 4]) -> [Vec<f32>; 2] {
        let device = Device::flex().autodiff();
        let x = TensorData::new(random(1, shape.iter().product()), shape);
        let x = Tensor::<4>::from_data(x, &device).require_grad();
        let y = call(x.clone());
        let weights = TensorData::new(random(2, shape[0] * shape[1]), y.dims());
        let grads = (y.clone() * Tensor::from_data(weights, &device)).sum().backward();
        [y.into_data(), x.grad(&grads).unwrap().into_data()].map(|data| data.try_to_vec().unwrap())
    }

    #[test]
    fn kernel_and_burn_agree_in_value_and_gradient() {
        for shape in [[1, 1, 1, 1], [2, 3, 5, 7], [3, 40, 4, 4], [1, 2, 33, 64]] {
            let (found, expected) = (run(global_average, shape), run(fallback, shape));
            for (found, expected) in found.iter().zip(expected) {
                close(found, &expected.into_iter().map(f64::from).collect::<Vec<_>>(), 1e-6);
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        let run_on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(global_average, [9, 70, 13, 11]))
        };
        assert_eq!(run_on(1), run_on(2));
    }

    #[test]
    #[should_panic(expected = "global_average: [1, 2, 0, 3] has no values to average")]
    fn an_empty_plane_is_refused() {
        global_average(Tensor::zeros([1, 2, 0, 3], &Device::flex()));
    }
}
