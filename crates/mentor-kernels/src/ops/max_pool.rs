//! Max pooling: the largest value of each window, and where it stood.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Dispatch, Flex, TensorMetadata};
use burn::tensor::Tensor;
use burn::tensor::ops::MaxPoolOptions;
use rayon::prelude::*;

use crate::host::buffer::{CpuTensor, contiguous, filled, is_on_cpu, to_tensor, values};
use crate::host::pointwise::TASK;
use crate::ops::extension::KernelOps;
use crate::simd::{Level, Simd, with_simd};

/// The largest side of a window: a position in it is kept in one byte.
const MAX_SIDE: usize = 16;

/// The largest value of each window of `side` × `side`, `stride` apart; `padding` counts as −∞.
///
/// `[B, C, H, W]` to `[B, C, H', W']` with H' = ⌊(H + 2 padding − side) / stride⌋ + 1, and W' alike.
///
/// # Gradient
///
/// That of the output goes to the first largest value of the window. NaN counts as the largest.
///
/// # Panics
///
/// If `stride` is 0, `padding` more than half of `side`, a window larger than the padded image, or the image
/// empty.
#[track_caller]
pub fn max_pool2d(x: Tensor<4>, side: usize, stride: usize, padding: usize) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    assert!(
        side > 0
            && stride > 0
            && 2 * padding <= side
            && height * width > 0
            && height.min(width) + 2 * padding >= side,
        "max_pool2d: windows of {side}, stride {stride} and padding {padding} do not fit {:?}",
        x.dims(),
    );
    if is_on_cpu(&x) && side <= MAX_SIDE {
        let windows = Windows { side, stride, padding };
        Tensor::from_dispatch(<Dispatch as KernelOps>::mentor_max_pool(x.into_dispatch(), windows))
    } else {
        fallback(x, side, stride, padding)
    }
}

/// The same by Burn's operations, for devices without kernels.
pub(crate) fn fallback(x: Tensor<4>, side: usize, stride: usize, padding: usize) -> Tensor<4> {
    let options = MaxPoolOptions::new([side; 2]).with_stride([stride; 2]).with_padding([padding; 2]);
    burn::tensor::module::max_pool2d(x, options)
}

/// The windows of a pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    side: usize,
    stride: usize,
    padding: usize,
}

impl Windows {
    fn output(&self, size: usize) -> usize {
        (size + 2 * self.padding - self.side) / self.stride + 1
    }

    /// Windows of 2 × 2 that cover the plane without overlap.
    fn are_pairs(&self) -> bool {
        [self.side, self.stride, self.padding] == [2, 2, 0]
    }

    /// The part of the window at `position` that lies in an axis of `size`, and the place of its first value.
    fn clip(&self, position: usize, size: usize) -> (std::ops::Range<usize>, usize) {
        let start = position * self.stride;
        let skipped = self.padding.saturating_sub(start);
        let first = (start + skipped) - self.padding;
        let end = (start + self.side - self.padding).min(size);
        (first..end.max(first), skipped)
    }

    /// Plane `[H, W]` to `[H', W']`, and the place of the largest in its window, counted in rows of `side`.
    fn forward(
        &self,
        level: Level,
        plane: &[f32],
        [height, width]: [usize; 2],
        largest: &mut [f32],
        places: &mut [u8],
    ) {
        if self.are_pairs() {
            assert!(level.exists());
            // SAFETY: the level exists.
            return unsafe {
                with_simd!(
                    level,
                    forward_pairs(plane: &[f32], width: usize, largest: &mut [f32], places: &mut [u8])
                )
            };
        }
        let out_width = self.output(width);
        let rows = largest.chunks_exact_mut(out_width).zip(places.chunks_exact_mut(out_width));
        for (i, (largest, places)) in rows.enumerate() {
            let (window_rows, skipped_rows) = self.clip(i, height);
            for (j, (largest, place)) in largest.iter_mut().zip(places).enumerate() {
                let (columns, skipped) = self.clip(j, width);
                let mut best = (f32::NEG_INFINITY, None);
                for (r, row) in window_rows.clone().enumerate() {
                    for (c, &value) in plane[row * width..][columns.clone()].iter().enumerate() {
                        if best.1.is_none() || exceeds(value, best.0) {
                            best = (value, Some((r + skipped_rows) * self.side + c + skipped));
                        }
                    }
                }
                (*largest, *place) = (best.0, best.1.unwrap_or(0) as u8);
            }
        }
    }

    /// Gives the gradient of each output of a plane to the place of its largest value.
    fn backward(&self, gradient: &[f32], places: &[u8], width: usize, plane: &mut [f32]) {
        let out_width = self.output(width);
        let rows = gradient.chunks_exact(out_width).zip(places.chunks_exact(out_width));
        if self.are_pairs() {
            // Every value of the plane is written once; an odd last row or column keeps its zeros.
            for ((gradient, places), two) in rows.zip(plane.chunks_exact_mut(2 * width)) {
                let (upper, lower) = two.split_at_mut(width);
                backward_pairs(gradient, places, upper, lower);
            }
            return;
        }
        for (i, (gradient, places)) in rows.enumerate() {
            for (j, (gradient, place)) in gradient.iter().zip(places).enumerate() {
                let place = usize::from(*place);
                let row = i * self.stride + place / self.side - self.padding;
                let column = j * self.stride + place % self.side - self.padding;
                plane[row * width + column] += gradient;
            }
        }
    }
}

/// Whether a value takes the place of the largest so far; NaN does, and keeps it.
#[inline(always)]
fn exceeds(value: f32, largest: f32) -> bool {
    value > largest || (value.is_nan() && !largest.is_nan())
}

/// A plane of windows of 2 × 2 without overlap: without a branch, so that the compiler makes vectors of it,
/// as long as `S` allows.
///
/// # Safety
///
/// The instructions of `S` exist.
#[inline(always)]
unsafe fn forward_pairs<S: Simd>(plane: &[f32], width: usize, largest: &mut [f32], places: &mut [u8]) {
    let rows = largest.chunks_exact_mut(width / 2).zip(places.chunks_exact_mut(width / 2));
    for ((largest, places), two) in rows.zip(plane.chunks_exact(2 * width)) {
        let (upper, lower) = two.split_at(width);
        let columns = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
        for ((largest, place), (upper, lower)) in largest.iter_mut().zip(places).zip(columns) {
            let (mut best, mut at) = (upper[0], 0u8);
            for (value, index) in [(upper[1], 1), (lower[0], 2), (lower[1], 3)] {
                let better = exceeds(value, best);
                best = if better { value } else { best };
                at = if better { index } else { at };
            }
            (*largest, *place) = (best, at);
        }
    }
}

fn backward_pairs(gradient: &[f32], places: &[u8], upper: &mut [f32], lower: &mut [f32]) {
    let columns = upper.chunks_exact_mut(2).zip(lower.chunks_exact_mut(2));
    for ((gradient, place), (upper, lower)) in gradient.iter().zip(places).zip(columns) {
        upper[0] = if *place == 0 { *gradient } else { 0.0 };
        upper[1] = if *place == 1 { *gradient } else { 0.0 };
        lower[0] = if *place == 2 { *gradient } else { 0.0 };
        lower[1] = if *place == 3 { *gradient } else { 0.0 };
    }
}

/// The pool of all planes: values and places.
fn compute(x: CpuTensor, windows: Windows) -> (CpuTensor, Vec<u8>) {
    let shape = x.shape().to_vec();
    let (height, width) = (shape[2], shape[3]);
    let (out_height, out_width) = (windows.output(height), windows.output(width));
    let x = contiguous(x);
    let count = shape[0] * shape[1] * out_height * out_width;
    let (mut largest, mut places) = (filled(count), vec![0; count]);
    let (plane, out_plane) = (height * width, out_height * out_width);
    let level = Level::current();
    let planes = (TASK / plane.max(1)).max(1);
    if count > 0 {
        let outputs =
            largest.par_chunks_mut(planes * out_plane).zip(places.par_chunks_mut(planes * out_plane));
        values(&x).par_chunks(planes * plane).zip(outputs).for_each(|(x, (largest, places))| {
            let outputs = largest.chunks_exact_mut(out_plane).zip(places.chunks_exact_mut(out_plane));
            for (x, (largest, places)) in x.chunks_exact(plane).zip(outputs) {
                windows.forward(level, x, [height, width], largest, places);
            }
        });
    }
    (to_tensor(largest, &[shape[0], shape[1], out_height, out_width]), places)
}

/// The pool without a tape.
pub(crate) fn forward(x: CpuTensor, windows: Windows) -> CpuTensor {
    compute(x, windows).0
}

/// The pool with its backward pass on the tape.
pub(crate) fn record<C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<Flex>>,
    windows: Windows,
) -> FloatTensor<Autodiff<Flex>> {
    let (x, node) = x.into_parts();
    let shape = x.shape();
    let shape = [shape[0], shape[1], shape[2], shape[3]];
    let (largest, places) = compute(x, windows);
    match PoolBackward.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(State { windows, shape, places: Arc::new(places) }, largest),
        OpsKind::UnTracked(prep) => prep.finish(largest),
    }
}

#[derive(Debug)]
struct PoolBackward;

#[derive(Clone, Debug)]
struct State {
    windows: Windows,
    /// Of the input.
    shape: [usize; 4],
    places: Arc<Vec<u8>>,
}

impl Backward<Flex, 1> for PoolBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node] = ops.parents;
        let g = contiguous(grads.consume::<Flex>(&ops.node));
        let Some(node) = node else { return };
        let State { windows, shape: [batch, channels, height, width], places } = ops.state;
        let (plane, out_plane) = (height * width, windows.output(height) * windows.output(width));
        let mut dx = filled(batch * channels * plane);
        let planes = (TASK / plane.max(1)).max(1);
        if !dx.is_empty() {
            let from = values(&g).par_chunks(planes * out_plane).zip(places.par_chunks(planes * out_plane));
            dx.par_chunks_mut(planes * plane).zip(from).for_each(|(dx, (g, places))| {
                let from = g.chunks_exact(out_plane).zip(places.chunks_exact(out_plane));
                for (dx, (g, places)) in dx.chunks_exact_mut(plane).zip(from) {
                    windows.backward(g, places, width, dx);
                }
            });
        }
        grads.register::<Flex>(node.id, to_tensor(dx, &[batch, channels, height, width]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::with_level;
    use crate::testing::random;
    use burn::tensor::{Device, TensorData};

    fn run(call: impl Fn(Tensor<4>) -> Tensor<4>, values: &[f32], shape: [usize; 4]) -> [Vec<f32>; 2] {
        let device = Device::flex().autodiff();
        let x = Tensor::<4>::from_data(TensorData::new(values.to_vec(), shape), &device).require_grad();
        let y = call(x.clone());
        let weights = random(5, y.dims().iter().product());
        let weights = Tensor::<4>::from_data(TensorData::new(weights, y.dims()), &device);
        let grads = (y.clone() * weights).sum().backward();
        [y.into_data(), x.grad(&grads).unwrap().into_data()].map(|data| data.try_to_vec().unwrap())
    }

    #[test]
    fn kernel_and_burn_give_the_same_values_and_gradients() {
        for (side, stride, padding) in [(2, 2, 0), (3, 2, 1), (3, 1, 0), (1, 1, 0), (2, 1, 1)] {
            for shape in [[1, 1, 3, 3], [2, 3, 8, 6], [1, 2, 7, 9], [3, 40, 5, 4], [1, 2, 6, 75]] {
                let x = random(1, shape.iter().product());
                let expected = run(|x| fallback(x, side, stride, padding), &x, shape);
                for level in Level::available() {
                    let found =
                        with_level(level, || run(|x| max_pool2d(x, side, stride, padding), &x, shape));
                    assert_eq!(found[0], expected[0], "{side} {stride} {padding} {shape:?}");
                    for (found, expected) in found[1].iter().zip(&expected[1]) {
                        assert!((found - expected).abs() < 1e-5, "{side} {stride} {padding} {shape:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn ties_go_to_the_first_and_a_nan_is_seen() {
        let [largest, gradient] = run(|x| max_pool2d(x, 2, 2, 0), &[1.0; 4], [1, 1, 2, 2]);
        assert_eq!(largest, [1.0]);
        assert_eq!(gradient[1..], [0.0; 3]);
        assert_ne!(gradient[0], 0.0);
        let [largest, _] = run(|x| max_pool2d(x, 2, 2, 0), &[1.0, f32::NAN, 2.0, 3.0], [1, 1, 2, 2]);
        assert!(largest[0].is_nan());
    }

    #[test]
    #[should_panic(expected = "windows of 3, stride 1 and padding 0 do not fit [1, 1, 2, 2]")]
    fn a_window_larger_than_the_image_is_refused() {
        max_pool2d(Tensor::zeros([1, 1, 2, 2], &Device::flex()), 3, 1, 0);
    }
}
