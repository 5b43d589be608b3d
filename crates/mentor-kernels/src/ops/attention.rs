//! Self-attention with several heads (Vaswani et al. 2017), from queries, keys and values that lie side by
//! side.
//!
//! ```text
//! P = softmax(Q Kᵀ / √d) by rows, O = P V            for each head, Q, K, V and O being [N, d]
//! dV = Pᵀ dO, dP = dO Vᵀ, dS = P ∘ (dP − rowsum(dP ∘ P)) / √d, dQ = dS K, dK = dSᵀ Q
//! ```
//!
//! A sample is a task. Its heads are read and written where they lie, so that no tensor is permuted or
//! copied, and the matrices of a head, 16 KiB each for 64 tokens, stay in the cache between the two products
//! and the softmax. They are not kept for the backward pass, which computes P again.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Dispatch, Flex, TensorMetadata};
use burn::tensor::{Tensor, activation};
use rayon::prelude::*;

use crate::host::buffer::{CpuTensor, contiguous, filled, is_on_cpu, to_tensor, values};
use crate::host::exponential::exp_of_non_positive;
use crate::host::lanes::{max_over, multiversion, sum_over};
use crate::host::matrices::{Block, Matrix};
use crate::host::scratch::Scratch;
use crate::kernels::gemm::tiles::Product;
use crate::ops::extension::KernelOps;
use crate::simd::{Fused, Level};

/// softmax(Q Kᵀ / √d) V of each head, the heads side by side.
///
/// `qkv` `[B, N, 3 · D]` holds for each token its queries, keys and values, each of `num_heads` heads of d =
/// D / `num_heads` values; result `[B, N, D]`.
///
/// # Panics
///
/// If the last axis is not three times a multiple of `num_heads`.
#[track_caller]
pub fn attention(qkv: Tensor<3>, num_heads: usize) -> Tensor<3> {
    let shape = qkv.dims();
    assert!(
        num_heads > 0 && shape[2].is_multiple_of(3 * num_heads),
        "attention: {num_heads} heads do not fit queries, keys and values of shape {shape:?}"
    );
    if is_on_cpu(&qkv) && shape.iter().product::<usize>() > 0 {
        Tensor::from_dispatch(<Dispatch as KernelOps>::mentor_attention(qkv.into_dispatch(), num_heads))
    } else {
        fallback(qkv, num_heads)
    }
}

/// The same by Burn's operations, for devices without kernels.
pub(crate) fn fallback(qkv: Tensor<3>, num_heads: usize) -> Tensor<3> {
    let [batch, tokens, width] = qkv.dims();
    let head = width / 3 / num_heads;
    // [B, N, 3, heads, d] to [3, B, heads, N, d]
    let parts = qkv.reshape([batch, tokens, 3, num_heads, head]).permute([2, 0, 3, 1, 4]);
    let part = |index| parts.clone().narrow(0, index, 1).squeeze_dim::<4>(0);
    let (queries, keys, values) = (part(0), part(1), part(2));
    let scores = queries.matmul(keys.swap_dims(2, 3)) / (head as f64).sqrt();
    let output = activation::softmax(scores, 3).matmul(values); // [B, heads, N, d]
    output.swap_dims(1, 2).reshape([batch, tokens, width / 3])
}

/// The sizes of a sample.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    tokens: usize,
    heads: usize,
    /// Values of a head for a token.
    head: usize,
}

impl Sizes {
    fn of(shape: &[usize], heads: usize) -> Self {
        Self { tokens: shape[1], heads, head: shape[2] / 3 / heads }
    }

    /// D.
    fn width(&self) -> usize {
        self.heads * self.head
    }

    /// Values of a sample's output; its input has three times as many.
    fn outputs(&self) -> usize {
        self.tokens * self.width()
    }

    /// Probabilities of a head.
    fn square(&self) -> usize {
        self.tokens * self.tokens
    }

    fn scale(&self) -> f32 {
        (1.0 / (self.head as f64).sqrt()) as f32
    }

    /// Queries, keys and values of a head.
    fn parts<'a>(&self, qkv: &'a [f32], head: usize) -> [Matrix<'a>; 3] {
        [0, 1, 2].map(|part| Matrix::rows(&qkv[part * self.width() + head * self.head..], 3 * self.width()))
    }
}

fn compute(qkv: &CpuTensor, num_heads: usize) -> CpuTensor {
    let shape = qkv.shape().to_vec();
    let sizes = Sizes::of(&shape, num_heads);
    let level = Level::current();
    let mut output = filled(shape[0] * sizes.outputs());
    let samples = output.par_chunks_mut(sizes.outputs()).zip(values(qkv).par_chunks(3 * sizes.outputs()));
    samples.for_each(|(output, qkv)| sample_forward(level, sizes, qkv, output));
    to_tensor(output, &[shape[0], sizes.tokens, sizes.width()])
}

fn sample_forward(level: Level, sizes: Sizes, qkv: &[f32], output: &mut [f32]) {
    let Sizes { tokens, head: size, .. } = sizes;
    let mut probabilities = Scratch::take(sizes.square());
    for head in 0..sizes.heads {
        let [queries, keys, values] = sizes.parts(qkv, head);
        attend(level, sizes, queries, keys, &mut probabilities);
        let mut output = Block::of(&mut output[head * size..], tokens, size, sizes.width());
        Product::of(Matrix::rows(&probabilities, tokens), values, tokens).write(level, &mut output);
    }
}

/// The probabilities of a head.
fn attend(level: Level, sizes: Sizes, queries: Matrix<'_>, keys: Matrix<'_>, probabilities: &mut [f32]) {
    let Sizes { tokens, head: size, .. } = sizes;
    let mut scores = Block::of(probabilities, tokens, tokens, tokens);
    Product::of(queries, keys.transposed(), size).write(level, &mut scores);
    softmax_on(level != Level::Portable, tokens, sizes.scale(), probabilities);
}

/// Without a tape.
pub(crate) fn forward(qkv: CpuTensor, num_heads: usize) -> CpuTensor {
    compute(&contiguous(qkv), num_heads)
}

/// With the backward pass on the tape.
pub(crate) fn record<C: CheckpointStrategy>(
    qkv: FloatTensor<Autodiff<Flex>>,
    num_heads: usize,
) -> FloatTensor<Autodiff<Flex>> {
    let (qkv, node) = qkv.into_parts();
    let qkv = contiguous(qkv);
    let output = compute(&qkv, num_heads);
    match AttentionBackward.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(State { qkv, num_heads }, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

#[derive(Debug)]
struct AttentionBackward;

/// The probabilities are not kept: one product of seven more computes them again.
#[derive(Clone, Debug)]
struct State {
    qkv: CpuTensor,
    num_heads: usize,
}

impl Backward<Flex, 1> for AttentionBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node] = ops.parents;
        let g = contiguous(grads.consume::<Flex>(&ops.node));
        let Some(node) = node else { return };
        let State { qkv, num_heads } = ops.state;
        let shape = qkv.shape().to_vec();
        let sizes = Sizes::of(&shape, num_heads);
        let level = Level::current();
        let mut slopes = filled(shape[0] * 3 * sizes.outputs());
        let samples = slopes
            .par_chunks_mut(3 * sizes.outputs())
            .zip(values(&qkv).par_chunks(3 * sizes.outputs()))
            .zip(values(&g).par_chunks(sizes.outputs()));
        samples.for_each(|((slopes, qkv), g)| sample_backward(level, sizes, qkv, g, slopes));
        grads.register::<Flex>(node.id, to_tensor(slopes, &shape));
    }
}

/// Writes the gradients of a sample's queries, keys and values, side by side as they lie.
fn sample_backward(level: Level, sizes: Sizes, qkv: &[f32], g: &[f32], slopes: &mut [f32]) {
    let Sizes { tokens, head: size, .. } = sizes;
    let (width, stride) = (sizes.width(), 3 * sizes.width());
    let mut probabilities = Scratch::take(sizes.square());
    let mut scores = Scratch::take(sizes.square());
    for head in 0..sizes.heads {
        let [queries, keys, values] = sizes.parts(qkv, head);
        attend(level, sizes, queries, keys, &mut probabilities);
        let g = Matrix::rows(&g[head * size..], width);
        let mut of_probabilities = Block::of(&mut scores, tokens, tokens, tokens);
        Product::of(g, values.transposed(), size).write(level, &mut of_probabilities);
        softmax_slope_on(level != Level::Portable, tokens, sizes.scale(), &probabilities, &mut scores);
        let (scores, probabilities) = (Matrix::rows(&scores, tokens), Matrix::rows(&probabilities, tokens));
        let factors = [(scores, keys), (scores.transposed(), queries), (probabilities.transposed(), g)];
        for (part, (left, right)) in factors.into_iter().enumerate() {
            let slopes = &mut slopes[part * width + head * size..];
            Product::of(left, right, tokens).write(level, &mut Block::of(slopes, tokens, size, stride));
        }
    }
}

multiversion!(softmax_on => softmax(columns: usize, scale: f32, scores: &mut [f32]));

/// The softmax of each row of `[N, columns]` times `scale`, which is positive, in place.
#[inline(always)]
fn softmax<V: Fused>(columns: usize, scale: f32, scores: &mut [f32]) {
    for row in scores.chunks_exact_mut(columns) {
        // A NaN is not the largest, but its exponential stays one.
        let largest = max_over::<16>(row);
        row.iter_mut().for_each(|score| *score = exp_of_non_positive::<V>((*score - largest) * scale));
        let inverse = 1.0 / sum_over::<16>(columns, |i| row[i]);
        row.iter_mut().for_each(|value| *value *= inverse);
    }
}

multiversion!(softmax_slope_on => softmax_slope(
    columns: usize, scale: f32, probabilities: &[f32], slopes: &mut [f32]));

/// dS from dP, in place: P ∘ (dP − rowsum(dP ∘ P)) · scale.
#[inline(always)]
fn softmax_slope<V: Fused>(columns: usize, scale: f32, probabilities: &[f32], slopes: &mut [f32]) {
    for (row, slopes) in probabilities.chunks_exact(columns).zip(slopes.chunks_exact_mut(columns)) {
        let sum = sum_over::<16>(columns, |i| row[i] * slopes[i]);
        for (slope, probability) in slopes.iter_mut().zip(row) {
            *slope = (*slope - sum) * (probability * scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, with_level};
    use crate::testing::{close, random};
    use burn::tensor::{Device, TensorData};
    use mentor_testkit::gradient::central_differences;

    /// Output, and the gradient of Σ r·y for random r.
    fn run(call: fn(Tensor<3>, usize) -> Tensor<3>, shape: [usize; 3], heads: usize) -> [Vec<f32>; 2] {
        let device = Device::flex().autodiff();
        let values = TensorData::new(random(1, shape.iter().product()), shape);
        let qkv = Tensor::<3>::from_data(values, &device).require_grad();
        let y = call(qkv.clone(), heads);
        let weights = TensorData::new(random(2, y.dims().iter().product()), y.dims());
        let grads = (y.clone() * Tensor::from_data(weights, &device)).sum().backward();
        [y.into_data(), qkv.grad(&grads).unwrap().into_data()].map(|data| data.try_to_vec().unwrap())
    }

    /// Attention in `f64`, entry by entry.
    fn oracle(qkv: &[f64], [batch, tokens, width]: [usize; 3], heads: usize) -> Vec<f64> {
        let (outputs, size) = (width / 3, width / 3 / heads);
        let mut y = vec![0.0; batch * tokens * outputs];
        let at = |sample: usize, token: usize, part: usize, channel: usize| {
            qkv[(sample * tokens + token) * width + part * outputs + channel]
        };
        for sample in 0..batch {
            for (head, query) in (0..heads).flat_map(|head| (0..tokens).map(move |query| (head, query))) {
                let channels = head * size..(head + 1) * size;
                let score = |key: usize| {
                    let products = channels
                        .clone()
                        .map(|channel| at(sample, query, 0, channel) * at(sample, key, 1, channel));
                    products.sum::<f64>() / (size as f64).sqrt()
                };
                let exponentials: Vec<f64> = (0..tokens).map(|key| score(key).exp()).collect();
                let sum: f64 = exponentials.iter().sum();
                for channel in channels.clone() {
                    let terms =
                        exponentials.iter().enumerate().map(|(key, e)| e / sum * at(sample, key, 2, channel));
                    y[(sample * tokens + query) * outputs + channel] = terms.sum();
                }
            }
        }
        y
    }

    #[test]
    fn value_and_gradient_are_those_of_the_oracle() {
        for (shape, heads) in [([1, 1, 3], 1), ([2, 3, 6], 2), ([1, 5, 27], 3), ([2, 4, 9], 1)] {
            let qkv: Vec<f64> = random(1, shape.iter().product()).into_iter().map(f64::from).collect();
            let expected = oracle(&qkv, shape, heads);
            let weights = random(2, expected.len());
            let weighted = |qkv: &[f64]| {
                oracle(qkv, shape, heads).iter().zip(&weights).map(|(y, w)| y * f64::from(*w)).sum::<f64>()
            };
            let gradient = central_differences(weighted, &qkv);
            for level in Level::available() {
                let found = with_level(level, || run(attention, shape, heads));
                close(&found[0], &expected, 2e-6);
                close(&found[1], &gradient, 5e-6);
            }
        }
    }

    #[test]
    fn kernel_and_burn_agree_over_odd_shapes() {
        for (shape, heads) in [([3, 17, 21], 1), ([2, 49, 3 * 2 * 33], 2), ([2, 65, 3 * 3 * 64], 3)] {
            let (found, expected) = (run(attention, shape, heads), run(fallback, shape, heads));
            for (found, expected) in found.iter().zip(expected) {
                close(found, &expected.into_iter().map(f64::from).collect::<Vec<_>>(), 2e-5);
            }
        }
    }

    #[test]
    fn large_scores_stay_finite_and_a_nan_is_not_hidden() {
        let device = Device::flex();
        let output = |values: [f32; 6]| {
            let y = attention(Tensor::<1>::from_floats(values, &device).reshape([1, 2, 3]), 1);
            y.into_data().try_to_vec::<f32>().unwrap()
        };
        assert_eq!(output([1e3, 1e3, 1.0, 1e3, -1e3, 2.0]), [1.0, 1.0]);
        assert!(output([f32::NAN, 1.0, 1.0, 1.0, 1.0, 2.0])[0].is_nan());
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        let run_on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(attention, [5, 20, 48], 2))
        };
        assert_eq!(run_on(1), run_on(2));
    }

    #[test]
    #[should_panic(expected = "attention: 2 heads do not fit queries, keys and values of shape [1, 2, 9]")]
    fn heads_that_do_not_divide_the_width_are_refused() {
        attention(Tensor::zeros([1, 2, 9], &Device::flex()), 2);
    }
}
