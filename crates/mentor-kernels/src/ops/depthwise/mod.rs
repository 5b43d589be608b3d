//! The depthwise convolution: each channel by a window of its own.
//!
//! ```text
//! y[c, i, j] = b[c] + Σ_{d, e} w[c, d, e] x[c, s i + d − top, s j + e − left]
//! dx[c, u, v] = Σ w[c, d, e] g[c, i, j] over s i + d − top = u, s j + e − left = v
//! dw[c, d, e] = Σ_{images, i, j} g[c, i, j] x[c, s i + d − top, s j + e − left]        db[c] = Σ g[c, i, j]
//! ```
//!
//! The zeros before the first row and column are given, and those after the last follow from the number of
//! results: TensorFlow's SAME has fewer before than after.

mod planes;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Dispatch, Flex, TensorMetadata};
use burn::tensor::Tensor;
use burn::tensor::ops::ConvOptions;
use rayon::prelude::*;

use self::planes::Planes;
use crate::host::buffer::{CpuTensor, contiguous, filled, is_on_cpu, to_tensor, values};
use crate::host::pointwise::TASK;
use crate::ops::extension::KernelOps;
use crate::simd::Level;

/// Where the window of a depthwise convolution goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseWindow {
    /// From one result to the next, at least 1.
    pub stride: usize,
    /// Zeros above the first row and left of the first column, fewer than the side of the window.
    pub before: [usize; 2],
    /// Rows and columns of results; a window may reach into zeros after the last row and column.
    pub output: [usize; 2],
}

/// A convolution of each channel alone: `x` `[B, C, H, W]`, `weight` `[C, 1, k, k]`, `bias` `[C]`; result
/// `[B, C, H', W']` with the rows and columns of `window`. Groups as PyTorch's `groups = C`.
///
/// # Panics
///
/// If the shapes do not fit, or a window would lie in zeros alone.
#[track_caller]
pub fn depthwise_conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    window: DepthwiseWindow,
) -> Tensor<4> {
    let ([_, channels, height, width], [filters, one, kernel, side]) = (x.dims(), weight.dims());
    let DepthwiseWindow { stride, before, output } = window;
    let axis = |size: usize, before: usize, count: usize| {
        before < kernel && count > 0 && (count - 1) * stride < size + before
    };
    assert!(
        filters == channels
            && one == 1
            && kernel == side
            && stride > 0
            && bias.dims() == [channels]
            && axis(height, before[0], output[0])
            && axis(width, before[1], output[1]),
        "depthwise_conv2d: input {:?}, weight {:?}, bias {:?} and {window:?} do not fit",
        x.dims(),
        weight.dims(),
        bias.dims(),
    );
    if !(is_on_cpu(&x) && is_on_cpu(&weight) && is_on_cpu(&bias)) {
        return fallback(x, weight, bias, window);
    }
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(<Dispatch as KernelOps>::mentor_depthwise_conv2d(x, weight, bias, window))
}

/// The same by Burn's operations, for devices without kernels.
fn fallback(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, window: DepthwiseWindow) -> Tensor<4> {
    let ([batch, channels, height, width], [_, _, kernel, _]) = (x.dims(), weight.dims());
    let DepthwiseWindow { stride, before: [top, left], output } = window;
    let [rows, columns] = output.map(|count| (count - 1) * stride + kernel);
    let (seen_rows, seen_columns) = (height.min(rows - top), width.min(columns - left));
    let seen = x.slice([0..batch, 0..channels, 0..seen_rows, 0..seen_columns]);
    let zeros = Tensor::zeros([batch, channels, rows, columns], &seen.device());
    let place = [0..batch, 0..channels, top..top + seen_rows, left..left + seen_columns];
    let padded = zeros.slice_assign(place, seen);
    let options = ConvOptions::new([stride; 2], [0, 0], [1, 1], channels);
    burn::tensor::module::conv2d(padded, weight, Some(bias), options)
}

/// Without a tape.
pub(crate) fn forward(x: CpuTensor, w: CpuTensor, bias: CpuTensor, window: DepthwiseWindow) -> CpuTensor {
    let (x, w, bias) = (contiguous(x), contiguous(w), contiguous(bias));
    let state = State::new(x, w, window);
    let y = state.forward(values(&bias));
    let [batch, channels, ..] = state.shape;
    to_tensor(y, &[batch, channels, window.output[0], window.output[1]])
}

type Tracked = FloatTensor<Autodiff<Flex>>;

/// With the backward pass on the tape.
pub(crate) fn record<C: CheckpointStrategy>(
    x: Tracked,
    w: Tracked,
    bias: Tracked,
    window: DepthwiseWindow,
) -> Tracked {
    let nodes = [x.node(), w.node(), bias.node()];
    let (x, w) = (contiguous(x.into_primitive()), contiguous(w.into_primitive()));
    let y = forward(x.clone(), w.clone(), bias.into_primitive(), window);
    match DepthwiseBackward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(State::new(x, w, window), y),
        OpsKind::UnTracked(prep) => prep.finish(y),
    }
}

/// What the backward pass needs.
#[derive(Clone, Debug)]
struct State {
    x: CpuTensor,
    w: CpuTensor,
    /// Of x.
    shape: [usize; 4],
    kernel: usize,
    window: DepthwiseWindow,
}

impl State {
    fn new(x: CpuTensor, w: CpuTensor, window: DepthwiseWindow) -> Self {
        let (dims, kernel) = (x.shape(), w.shape()[2]);
        let shape = [dims[0], dims[1], dims[2], dims[3]];
        Self { x, w, shape, kernel, window }
    }

    fn planes(&self) -> Planes {
        Planes::new(Level::current(), self.kernel, [self.shape[2], self.shape[3]], self.window)
    }

    /// The weights of a plane's channel.
    fn weights(&self, plane: usize) -> &[f32] {
        let taps = self.kernel * self.kernel;
        &values(&self.w)[plane % self.shape[1] * taps..][..taps]
    }

    fn sizes(&self) -> [usize; 2] {
        [self.shape[2] * self.shape[3], self.window.output[0] * self.window.output[1]]
    }

    fn forward(&self, bias: &[f32]) -> Vec<f32> {
        let ([input, output], [batch, channels, ..]) = (self.sizes(), self.shape);
        let (planes, mut y) = (self.planes(), filled(batch * channels * output));
        let each = y.par_chunks_mut(output).zip(values(&self.x).par_chunks(input)).enumerate();
        each.with_min_len(TASK.div_ceil(output)).for_each(|(plane, (y, x))| {
            planes.forward(x, self.weights(plane), bias[plane % channels], y);
        });
        y
    }

    fn input_gradient(&self, g: &[f32]) -> CpuTensor {
        let [input, output] = self.sizes();
        let (planes, mut dx) = (self.planes(), filled(values(&self.x).len()));
        let each = dx.par_chunks_mut(input).zip(g.par_chunks(output)).enumerate();
        each.with_min_len(TASK.div_ceil(input)).for_each(|(plane, (dx, g))| {
            planes.input_gradient(g, self.weights(plane), dx);
        });
        to_tensor(dx, &self.shape)
    }

    /// Of the weights and of the bias; a channel is summed over its images in their order.
    fn parameter_gradients(&self, g: &[f32]) -> [CpuTensor; 2] {
        let ([input, output], [batch, channels, ..]) = (self.sizes(), self.shape);
        let (planes, taps) = (self.planes(), self.kernel * self.kernel);
        let (mut dw, mut db) = (filled(channels * taps), filled(channels));
        let each = dw.par_chunks_mut(taps).zip(db.par_iter_mut()).enumerate();
        each.for_each(|(channel, (dw, db))| {
            let mut sums = vec![0.0_f64; taps + 1];
            for image in 0..batch {
                let plane = image * channels + channel;
                let x = &values(&self.x)[plane * input..][..input];
                planes.add_parameter_gradients(x, &g[plane * output..][..output], &mut sums);
            }
            dw.iter_mut().zip(&sums).for_each(|(dw, &sum)| *dw = sum as f32);
            *db = sums[taps] as f32;
        });
        [to_tensor(dw, &[channels, 1, self.kernel, self.kernel]), to_tensor(db, &[channels])]
    }
}

#[derive(Debug)]
struct DepthwiseBackward;

impl Backward<Flex, 3> for DepthwiseBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let g = contiguous(grads.consume::<Flex>(&ops.node));
        let [of_x, of_w, of_bias] = ops.parents;
        if let Some(node) = of_x {
            grads.register::<Flex>(node.id, ops.state.input_gradient(values(&g)));
        }
        if of_w.is_some() || of_bias.is_some() {
            let [dw, db] = ops.state.parameter_gradients(values(&g));
            if let Some(node) = of_w {
                grads.register::<Flex>(node.id, dw);
            }
            if let Some(node) = of_bias {
                grads.register::<Flex>(node.id, db);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::with_level;
    use crate::testing::{close, random};
    use burn::tensor::{Device, TensorData};

    type Call = fn(Tensor<4>, Tensor<4>, Tensor<1>, DepthwiseWindow) -> Tensor<4>;

    /// Output, and the gradients of Σ r·y with random r: of x, w and the bias.
    fn run(call: Call, x: [usize; 4], kernel: usize, window: DepthwiseWindow) -> Vec<Vec<f32>> {
        let device = Device::flex().autodiff();
        let tensor = |stream, shape: [usize; 4]| {
            let values = random(stream, shape.iter().product());
            Tensor::<4>::from_data(TensorData::new(values, shape), &device)
        };
        let (images, w) = (tensor(1, x).require_grad(), tensor(2, [x[1], 1, kernel, kernel]).require_grad());
        let bias = TensorData::new(random(3, x[1]), [x[1]]);
        let bias = Tensor::<1>::from_data(bias, &device).require_grad();
        let y = call(images.clone(), w.clone(), bias.clone(), window);
        let grads = (y.clone() * tensor(4, y.dims())).sum().backward();
        let gradients = [images.grad(&grads).unwrap(), w.grad(&grads).unwrap()].map(Tensor::into_data);
        let found =
            [y.into_data()].into_iter().chain(gradients).chain([bias.grad(&grads).unwrap().into_data()]);
        found.map(|data| data.try_to_vec().unwrap()).collect()
    }

    /// Windows of a side over an image: PyTorch's padding, TensorFlow's SAME, and none.
    fn windows(kernel: usize, stride: usize, [height, width]: [usize; 2]) -> Vec<DepthwiseWindow> {
        let window = |before, output| DepthwiseWindow { stride, before, output };
        let same = |size: usize| {
            let count = size.div_ceil(stride);
            (((count - 1) * stride + kernel).saturating_sub(size) / 2, count)
        };
        let each = |size: usize| (kernel / 2, (size + 2 * (kernel / 2) - kernel) / stride + 1);
        let mut found = vec![];
        for of in [&same as &dyn Fn(usize) -> (usize, usize), &each] {
            let ((top, rows), (left, columns)) = (of(height), of(width));
            found.push(window([top, left], [rows, columns]));
        }
        if height.min(width) >= kernel {
            found.push(window([0, 0], [height, width].map(|size| (size - kernel) / stride + 1)));
        }
        found
    }

    #[test]
    fn kernel_and_burn_agree_in_value_and_gradients() {
        for (kernel, stride) in [(1, 1), (3, 1), (3, 2), (5, 1), (5, 2), (7, 1), (7, 2), (3, 3)] {
            for shape in [[1, 1, 1, 1], [2, 3, 5, 8], [1, 2, 23, 7], [2, 2, 14, 33]] {
                for window in windows(kernel, stride, [shape[2], shape[3]]) {
                    let expected = run(fallback, shape, kernel, window);
                    for level in Level::available() {
                        let found = with_level(level, || run(depthwise_conv2d, shape, kernel, window));
                        for (found, expected) in found.iter().zip(&expected) {
                            let expected: Vec<f64> = expected.iter().copied().map(f64::from).collect();
                            close(found, &expected, 2e-5);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        let window = windows(5, 2, [19, 26])[0];
        let run_on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(depthwise_conv2d, [3, 17, 19, 26], 5, window))
        };
        assert_eq!(run_on(1), run_on(2));
    }

    #[test]
    #[should_panic(expected = "depthwise_conv2d: input [1, 2, 4, 4], weight [3, 1, 3, 3]")]
    fn channels_that_do_not_fit_are_named() {
        let device = Device::flex();
        let (x, w) = (Tensor::zeros([1, 2, 4, 4], &device), Tensor::zeros([3, 1, 3, 3], &device));
        let window = DepthwiseWindow { stride: 1, before: [1, 1], output: [4, 4] };
        depthwise_conv2d(x, w, Tensor::zeros([3], &device), window);
    }
}
