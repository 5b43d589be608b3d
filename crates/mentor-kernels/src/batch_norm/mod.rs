//! Batch normalisation in training, with the ReLU that follows it.
//!
//! ```text
//! μ = Σ x / n, σ² = Σ (x − μ)² / n        over the n = B·H·W values of a channel
//! y = γ (x − μ) / √(σ² + ε) + β           and its positive part with the ReLU
//! dβ = Σ g, dγ = Σ g x̂                    x̂ = (x − μ) / √(σ² + ε); with the ReLU g is 0 where y is not positive
//! dx = γ / √(σ² + ε) · (g − dβ / n − x̂ dγ / n)
//! ```
//!
//! A channel is a task: its values, 256 KiB in a usual layer, are read from memory once and then from the cache.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Dispatch, Flex, TensorMetadata};
use burn::tensor::{Tensor, activation};

use crate::buffer::{CpuTensor, contiguous, is_on_cpu, to_tensor, values};
use crate::channels::{Planes, for_each_channel};
use crate::extension::KernelOps;
use crate::lanes::{self, Lanes, multiversion, sum_over};
use crate::pointwise::floor_at;

/// What [`batch_norm`] gives.
#[derive(Clone, Debug)]
pub struct BatchNormOutput {
    /// As the input, `[B, C, H, W]`.
    pub output: Tensor<4>,
    /// μ of the batch, `[C]`; no gradient flows through it.
    pub mean: Tensor<1>,
    /// σ² of the batch, divided by n, `[C]`; no gradient flows through it.
    pub variance: Tensor<1>,
}

/// y = γ (x − μ) / √(σ² + ε) + β with the statistics of the batch, and its positive part if `relu`.
///
/// `x` `[B, C, H, W]`, `gamma` and `beta` `[C]`. The gradient goes through μ and σ², and is 0 where the ReLU's
/// argument is not positive.
///
/// # Panics
///
/// If the shapes do not fit.
#[track_caller]
pub fn batch_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
    relu: bool,
) -> BatchNormOutput {
    let [_, channels, _, _] = x.dims();
    assert!(
        gamma.dims() == [channels] && beta.dims() == [channels],
        "batch_norm: input {:?}, gamma {:?} and beta {:?} do not fit",
        x.dims(),
        gamma.dims(),
        beta.dims(),
    );
    if is_on_cpu(&x) && is_on_cpu(&gamma) && is_on_cpu(&beta) && x.shape().num_elements() > 0 {
        let (x, gamma, beta) = (x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch());
        let kind = Kind { epsilon, relu };
        let (output, mean, variance) = <Dispatch as KernelOps>::mentor_batch_norm(x, gamma, beta, kind);
        BatchNormOutput {
            output: Tensor::from_dispatch(output),
            mean: Tensor::from_dispatch(mean),
            variance: Tensor::from_dispatch(variance),
        }
    } else {
        fallback(x, gamma, beta, epsilon, relu)
    }
}

/// The same by Burn's operations, for devices without kernels.
pub(crate) fn fallback(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
    relu: bool,
) -> BatchNormOutput {
    let found = burn::tensor::module::batch_norm_train(x, gamma, beta, epsilon);
    let output = if relu { activation::relu(found.output) } else { found.output };
    BatchNormOutput { output, mean: found.mean.detach(), variance: found.variance.detach() }
}

/// What is not in the tensors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    epsilon: f64,
    relu: bool,
}

/// Mean and variance of a channel, in `f64` from partial sums in `f32`.
#[derive(Clone, Copy, Debug, Default)]
struct Statistics {
    mean: f32,
    variance: f32,
}

/// What a value of a channel is multiplied by and what is added to it.
#[derive(Clone, Copy)]
struct Affine {
    scale: f32,
    shift: f32,
    floor: f32,
}

impl Affine {
    fn new(statistics: Statistics, gamma: f32, beta: f32, kind: Kind) -> Self {
        let scale = gamma * inverse_deviation(statistics, kind);
        let floor = if kind.relu { 0.0 } else { f32::NEG_INFINITY };
        Self { scale, shift: beta, floor }
    }
}

fn inverse_deviation(statistics: Statistics, kind: Kind) -> f32 {
    (1.0 / (f64::from(statistics.variance) + kind.epsilon).sqrt()) as f32
}

/// Output, and the statistics of each channel.
fn compute(x: &CpuTensor, gamma: &CpuTensor, beta: &CpuTensor, kind: Kind) -> (CpuTensor, Vec<Statistics>) {
    let shape = x.shape().to_vec();
    let planes = Planes::of(&shape);
    let wide = lanes::wide();
    let (gamma, beta) = (contiguous(gamma.clone()), contiguous(beta.clone()));
    let (gamma, beta) = (values(&gamma), values(&beta));
    let source = values(x);
    let (output, statistics) = for_each_channel(planes, |channel, output| {
        let count = (planes.batch * planes.plane) as f64;
        let sum: f64 = planes.of_channel(source, channel).map(|plane| f64::from(sum_on(wide, plane))).sum();
        let mean = (sum / count) as f32;
        let squares =
            planes.of_channel(source, channel).map(|plane| f64::from(squares_on(wide, plane, mean)));
        let statistics = Statistics { mean, variance: (squares.sum::<f64>() / count) as f32 };
        let affine = Affine::new(statistics, gamma[channel], beta[channel], kind);
        for (from, to) in planes.of_channel(source, channel).zip(output) {
            normalise_on(wide, from, mean, affine, to);
        }
        statistics
    });
    (to_tensor(output, &shape), statistics)
}

fn to_tensors(statistics: &[Statistics]) -> (CpuTensor, CpuTensor) {
    let channels = [statistics.len()];
    let mean = statistics.iter().map(|statistics| statistics.mean).collect();
    let variance = statistics.iter().map(|statistics| statistics.variance).collect();
    (to_tensor(mean, &channels), to_tensor(variance, &channels))
}

/// Normalisation without a tape.
pub(crate) fn forward(
    x: CpuTensor,
    gamma: &CpuTensor,
    beta: &CpuTensor,
    kind: Kind,
) -> (CpuTensor, CpuTensor, CpuTensor) {
    let (output, statistics) = compute(&contiguous(x), gamma, beta, kind);
    let (mean, variance) = to_tensors(&statistics);
    (output, mean, variance)
}

type Tracked = FloatTensor<Autodiff<Flex>>;

/// Normalisation with its backward pass on the tape.
pub(crate) fn record<C: CheckpointStrategy>(
    x: Tracked,
    gamma: Tracked,
    beta: Tracked,
    kind: Kind,
) -> (Tracked, Tracked, Tracked) {
    let nodes = [x.node(), gamma.node(), beta.node()];
    let (x, gamma, beta) = (contiguous(x.into_primitive()), gamma.into_primitive(), beta.into_primitive());
    let (output, statistics) = compute(&x, &gamma, &beta, kind);
    let (mean, variance) = to_tensors(&statistics);
    let output = match BatchNormBackward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(State { kind, x, gamma, beta, statistics }, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    let constant = <Autodiff<Flex, C> as AutodiffBackend>::from_inner;
    (output, constant(mean), constant(variance))
}

#[derive(Debug)]
struct BatchNormBackward;

#[derive(Clone, Debug)]
struct State {
    kind: Kind,
    x: CpuTensor,
    gamma: CpuTensor,
    beta: CpuTensor,
    statistics: Vec<Statistics>,
}

impl Backward<Flex, 3> for BatchNormBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let g = contiguous(grads.consume::<Flex>(&ops.node));
        let State { kind, x, gamma, beta, statistics } = ops.state;
        let shape = x.shape().to_vec();
        let planes = Planes::of(&shape);
        let wide = lanes::wide();
        let (gamma, beta) = (contiguous(gamma), contiguous(beta));
        let (gamma, beta, x, g) = (values(&gamma), values(&beta), values(&x), values(&g));
        let (dx, sums) = for_each_channel(planes, |channel, dx| {
            let statistics = statistics[channel];
            let affine = Affine::new(statistics, gamma[channel], beta[channel], kind);
            let inverse = inverse_deviation(statistics, kind);
            let count = (planes.batch * planes.plane) as f64;
            let both = || planes.of_channel(x, channel).zip(planes.of_channel(g, channel));
            let (mut sum, mut sum_of_products) = (0.0, 0.0);
            for (x, g) in both() {
                let [plain, product] = sums_on(wide, x, g, statistics.mean, affine);
                sum += f64::from(plain);
                sum_of_products += f64::from(product);
            }
            let sum_of_products = sum_of_products * f64::from(inverse); // Σ g x̂
            let slope = Slope {
                mean: statistics.mean,
                of_gradient: affine.scale,
                of_deviation: (-f64::from(affine.scale) * f64::from(inverse) * sum_of_products / count)
                    as f32,
                constant: (-f64::from(affine.scale) * sum / count) as f32,
            };
            for ((x, g), dx) in both().zip(dx) {
                slope_on(wide, x, g, affine, slope, dx);
            }
            [sum as f32, sum_of_products as f32]
        });
        let [node_x, node_gamma, node_beta] = ops.parents;
        if let Some(node) = node_x {
            grads.register::<Flex>(node.id, to_tensor(dx, &shape));
        }
        let channel_gradient =
            |index: usize| to_tensor(sums.iter().map(|sums| sums[index]).collect(), &[planes.channels]);
        if let Some(node) = node_gamma {
            grads.register::<Flex>(node.id, channel_gradient(1));
        }
        if let Some(node) = node_beta {
            grads.register::<Flex>(node.id, channel_gradient(0));
        }
    }
}

/// dx = of_gradient · g + of_deviation · (x − mean) + constant.
#[derive(Clone, Copy)]
struct Slope {
    mean: f32,
    of_gradient: f32,
    of_deviation: f32,
    constant: f32,
}

multiversion!(sum_on => sum_of(plane: &[f32]) -> f32);

#[inline(always)]
fn sum_of<V: Lanes>(plane: &[f32]) -> f32 {
    sum_over::<32>(plane.len(), |i| plane[i])
}

multiversion!(squares_on => squares_of(plane: &[f32], mean: f32) -> f32);

#[inline(always)]
fn squares_of<V: Lanes>(plane: &[f32], mean: f32) -> f32 {
    sum_over::<32>(plane.len(), |i| (plane[i] - mean) * (plane[i] - mean))
}

multiversion!(normalise_on => normalise(x: &[f32], mean: f32, affine: Affine, y: &mut [f32]));

#[inline(always)]
fn normalise<V: Lanes>(x: &[f32], mean: f32, affine: Affine, y: &mut [f32]) {
    for (x, y) in x.iter().zip(y) {
        *y = floor_at(V::fused(*x - mean, affine.scale, affine.shift), affine.floor);
    }
}

/// The gradient behind the ReLU, whose argument is computed as the forward pass did, to the bit.
#[inline(always)]
fn masked<V: Lanes>(x: f32, g: f32, mean: f32, affine: Affine) -> f32 {
    if V::fused(x - mean, affine.scale, affine.shift) > affine.floor { g } else { 0.0 }
}

multiversion!(sums_on => sums_of(x: &[f32], g: &[f32], mean: f32, affine: Affine) -> [f32; 2]);

/// Σ g and Σ g (x − μ).
#[inline(always)]
fn sums_of<V: Lanes>(x: &[f32], g: &[f32], mean: f32, affine: Affine) -> [f32; 2] {
    const WIDTH: usize = 16;
    let (mut plain, mut products) = ([0.0f32; WIDTH], [0.0f32; WIDTH]);
    let (x_blocks, g_blocks) = (x.chunks_exact(WIDTH), g.chunks_exact(WIDTH));
    let rest = x_blocks.remainder().iter().zip(g_blocks.remainder());
    for (x, g) in x_blocks.zip(g_blocks) {
        for lane in 0..WIDTH {
            let g = masked::<V>(x[lane], g[lane], mean, affine);
            plain[lane] += g;
            products[lane] = V::fused(g, x[lane] - mean, products[lane]);
        }
    }
    let (mut sum, mut product) = (plain.iter().sum::<f32>(), products.iter().sum::<f32>());
    for (x, g) in rest {
        let g = masked::<V>(*x, *g, mean, affine);
        sum += g;
        product += g * (x - mean);
    }
    [sum, product]
}

multiversion!(slope_on => slope_of(x: &[f32], g: &[f32], affine: Affine, slope: Slope, dx: &mut [f32]));

#[inline(always)]
fn slope_of<V: Lanes>(x: &[f32], g: &[f32], affine: Affine, slope: Slope, dx: &mut [f32]) {
    for ((x, g), dx) in x.iter().zip(g).zip(dx) {
        let g = masked::<V>(*x, *g, slope.mean, affine);
        let rest = V::fused(*x - slope.mean, slope.of_deviation, slope.constant);
        *dx = V::fused(g, slope.of_gradient, rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, with_level};
    use crate::testing::{close, random};
    use burn::tensor::{Device, TensorData};

    /// Output, mean, variance, and the gradients of Σ r·y for random r: of x, γ and β.
    fn run(
        call: fn(Tensor<4>, Tensor<1>, Tensor<1>, f64, bool) -> BatchNormOutput,
        shape: [usize; 4],
        relu: bool,
    ) -> Vec<Vec<f32>> {
        let device = Device::flex().autodiff();
        let count = shape.iter().product();
        let x: Vec<f32> = random(1, count).into_iter().map(|x| 2.0 * x + 3.0).collect();
        let x = Tensor::<4>::from_data(TensorData::new(x, shape), &device).require_grad();
        let channel = |stream| {
            Tensor::<1>::from_data(TensorData::new(random(stream, shape[1]), [shape[1]]), &device)
                .require_grad()
        };
        let (gamma, beta) = (channel(2), channel(3));
        let BatchNormOutput { output, mean, variance } =
            call(x.clone(), gamma.clone(), beta.clone(), 1e-5, relu);
        let weights = Tensor::<4>::from_data(TensorData::new(random(4, count), shape), &device);
        let grads = (output.clone() * weights).sum().backward();
        let found = [
            output.into_data(),
            mean.into_data(),
            variance.into_data(),
            x.grad(&grads).unwrap().into_data(),
            gamma.grad(&grads).unwrap().into_data(),
            beta.grad(&grads).unwrap().into_data(),
        ];
        found.into_iter().map(|data| data.try_to_vec().unwrap()).collect()
    }

    #[test]
    fn kernel_and_burn_agree_in_value_statistics_and_gradients() {
        for shape in [[2, 1, 1, 1], [3, 2, 5, 7], [2, 17, 8, 8], [4, 3, 1, 33]] {
            for relu in [false, true] {
                let expected = run(fallback, shape, relu);
                for level in Level::available() {
                    let found = with_level(level, || run(batch_norm, shape, relu));
                    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                        let expected: Vec<f64> = expected.iter().copied().map(f64::from).collect();
                        // Two values in a channel: x̂ is ±1, and its gradient the difference of equal numbers over σ.
                        let tolerance = if shape == [2, 1, 1, 1] && index == 3 { 1e-3 } else { 3e-5 };
                        close(found, &expected, tolerance);
                    }
                }
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        let run_on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(batch_norm, [5, 12, 9, 7], true))
        };
        assert_eq!(run_on(1), run_on(2));
    }

    #[test]
    fn a_value_that_is_not_a_number_is_not_hidden_by_the_relu() {
        let device = Device::flex();
        let x = Tensor::<4>::from_data(TensorData::new(vec![1.0f32, f32::NAN], [2, 1, 1, 1]), &device);
        let found = batch_norm(x, Tensor::ones([1], &device), Tensor::zeros([1], &device), 1e-5, true);
        let output: Vec<f32> = found.output.into_data().try_to_vec().unwrap();
        assert!(output.iter().all(|value| value.is_nan()));
    }
}
