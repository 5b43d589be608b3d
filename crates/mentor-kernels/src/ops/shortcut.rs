//! The shortcut of a residual block that has no parameters.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Dispatch, Flex, TensorMetadata};
use burn::tensor::Tensor;
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use rayon::prelude::*;

use crate::host::buffer::{CpuTensor, contiguous, filled, is_on_cpu, to_tensor, values};
use crate::host::pointwise::TASK;
use crate::ops::extension::KernelOps;

/// `[B, C, H, W]` to `[B, C + new_channels, ⌈H/stride⌉, ⌈W/stride⌉]`: every `stride`th pixel of every
/// `stride`th row, from the first, and zeros for the new channels.
///
/// Its gradient is that of the pixels taken, at their places, and 0 elsewhere.
///
/// **Source.** K. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 3.3,
/// option A.
///
/// # Panics
///
/// If `stride` is 0.
#[track_caller]
pub fn shortcut(x: Tensor<4>, stride: usize, new_channels: usize) -> Tensor<4> {
    assert!(stride > 0, "shortcut: a stride of 0");
    if stride == 1 && new_channels == 0 {
        return x;
    }
    if is_on_cpu(&x) && x.dims().iter().all(|&count| count > 0) {
        let step = Step { stride, new_channels };
        Tensor::from_dispatch(<Dispatch as KernelOps>::mentor_shortcut(x.into_dispatch(), step))
    } else {
        fallback(x, stride, new_channels)
    }
}

/// The same by Burn's operations, for devices without kernels: an average over windows of one pixel.
fn fallback(x: Tensor<4>, stride: usize, new_channels: usize) -> Tensor<4> {
    let taken = match stride {
        1 => x,
        _ => avg_pool2d(x, AvgPoolOptions::new([1, 1]).with_stride([stride; 2])),
    };
    if new_channels == 0 {
        return taken;
    }
    let [batch, _, height, width] = taken.dims();
    let zeros = Tensor::zeros([batch, new_channels, height, width], &taken.device());
    Tensor::cat(vec![taken, zeros], 1)
}

/// How far apart the pixels are that are taken, and how many channels are added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    stride: usize,
    new_channels: usize,
}

impl Step {
    fn output(self, [batch, channels, height, width]: [usize; 4]) -> [usize; 4] {
        [batch, channels + self.new_channels, height.div_ceil(self.stride), width.div_ceil(self.stride)]
    }

    /// Calls `each(place in the input, place in the output)` for the pixels of a plane that are taken.
    fn taken(self, [height, width]: [usize; 2], mut each: impl FnMut(usize, usize)) {
        let [out_height, out_width] = [height, width].map(|side| side.div_ceil(self.stride));
        for row in 0..out_height {
            for column in 0..out_width {
                each(row * self.stride * width + column * self.stride, row * out_width + column);
            }
        }
    }
}

fn shape_of(x: &CpuTensor) -> [usize; 4] {
    let shape = x.shape();
    [shape[0], shape[1], shape[2], shape[3]]
}

/// The shortcut without a tape.
pub(crate) fn forward(x: CpuTensor, step: Step) -> CpuTensor {
    let shape @ [_, channels, height, width] = shape_of(&x);
    let out_shape @ [_, _, out_height, out_width] = step.output(shape);
    let x = contiguous(x);
    let (plane, out_plane) = (height * width, out_height * out_width);
    let mut out = filled(out_shape.iter().product());
    let images = out.par_chunks_mut(out_shape[1] * out_plane).zip(values(&x).par_chunks(channels * plane));
    images.with_min_len(TASK.div_ceil(channels * plane)).for_each(|(out, x)| {
        // The planes past those of the input stay zero.
        for (out, x) in out.chunks_exact_mut(out_plane).zip(x.chunks_exact(plane)) {
            step.taken([height, width], |from, to| out[to] = x[from]);
        }
    });
    to_tensor(out, &out_shape)
}

/// The shortcut with its backward pass on the tape.
pub(crate) fn record<C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<Flex>>,
    step: Step,
) -> FloatTensor<Autodiff<Flex>> {
    let (x, node) = x.into_parts();
    let shape = shape_of(&x);
    let out = forward(x, step);
    match ShortcutBackward.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish((shape, step), out),
        OpsKind::UnTracked(prep) => prep.finish(out),
    }
}

#[derive(Debug)]
struct ShortcutBackward;

impl Backward<Flex, 1> for ShortcutBackward {
    /// The shape of the input.
    type State = ([usize; 4], Step);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let g = contiguous(grads.consume::<Flex>(&ops.node));
        let [Some(node)] = ops.parents else { return };
        let (shape @ [_, channels, height, width], step) = ops.state;
        let [_, out_channels, out_height, out_width] = step.output(shape);
        let (plane, out_plane) = (height * width, out_height * out_width);
        let mut dx = filled(shape.iter().product());
        let images = dx.par_chunks_mut(channels * plane).zip(values(&g).par_chunks(out_channels * out_plane));
        images.with_min_len(TASK.div_ceil(channels * plane)).for_each(|(dx, g)| {
            for (dx, g) in dx.chunks_exact_mut(plane).zip(g.chunks_exact(out_plane)) {
                step.taken([height, width], |from, to| dx[from] = g[to]);
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

    fn run(
        call: fn(Tensor<4>, usize, usize) -> Tensor<4>,
        shape: [usize; 4],
        step: [usize; 2],
    ) -> [Vec<f32>; 2] {
        let device = Device::flex().autodiff();
        let x = TensorData::new(random(1, shape.iter().product()), shape);
        let x = Tensor::<4>::from_data(x, &device).require_grad();
        let y = call(x.clone(), step[0], step[1]);
        let weights = TensorData::new(random(2, y.dims().iter().product()), y.dims());
        let grads = (y.clone() * Tensor::from_data(weights, &device)).sum().backward();
        [y.into_data(), x.grad(&grads).unwrap().into_data()].map(|data| data.try_to_vec().unwrap())
    }

    #[test]
    fn every_second_pixel_is_taken_from_the_first() {
        let plane = |side: usize| {
            let values: Vec<f32> = (0..side * side).map(|value| value as f32).collect();
            Tensor::<1>::from_floats(values.as_slice(), &Device::flex()).reshape([1, 1, side, side])
        };
        let values = |tensor: Tensor<4>| tensor.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(values(shortcut(plane(3), 2, 0)), [0.0, 2.0, 6.0, 8.0]);
        assert_eq!(values(shortcut(plane(4), 2, 1)), [0.0, 2.0, 8.0, 10.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn kernel_and_burn_give_the_same_bits_in_value_and_gradient() {
        for shape in [[1, 1, 1, 1], [2, 3, 5, 7], [3, 40, 4, 4], [1, 2, 33, 64]] {
            for step in [[1, 3], [2, 0], [2, 5], [3, 1]] {
                assert_eq!(run(shortcut, shape, step), run(fallback, shape, step), "{shape:?} {step:?}");
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        let run_on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(shortcut, [9, 70, 13, 11], [2, 70]))
        };
        assert_eq!(run_on(1), run_on(2));
    }
}
