//! Layer normalisation (Ba, Kiros and Hinton 2016) of the rows of a tensor.
//!
//! ```text
//! μ = Σ x / D, σ² = Σ (x − μ)² / D                 over the D values of a row
//! y = γ x̂ + β                                      x̂ = (x − μ) / √(σ² + ε)
//! dγ = Σ g x̂, dβ = Σ g                             over rows
//! dx = (h − Σ h / D − x̂ Σ h x̂ / D) / √(σ² + ε)     h = γ g
//! ```
//!
//! A row is in the cache after its first pass, so the forward pass reads x once and writes y once.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Dispatch, Flex, TensorMetadata};
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::host::buffer::{CpuTensor, contiguous, filled, is_on_cpu, to_tensor, values};
use crate::host::lanes::{self, multiversion, sum_over};
use crate::ops::extension::KernelOps;
use crate::simd::Fused;

/// Rows of a task, whose parts of dγ and dβ are added in order.
const ROWS: usize = 64;

/// y = γ (x − μ) / √(σ² + ε) + β with mean and variance (divided by D) of each row.
///
/// `x` `[…, D]`, `gamma` and `beta` `[D]`. The gradient goes through μ and σ².
///
/// # Panics
///
/// If the shapes do not fit.
#[track_caller]
pub fn layer_norm<const R: usize>(
    x: Tensor<R>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<R> {
    let shape = x.dims();
    let width = shape.last().copied().unwrap_or(0);
    assert!(
        gamma.dims() == [width] && beta.dims() == [width],
        "layer_norm: input {shape:?}, gamma {:?} and beta {:?} do not fit",
        gamma.dims(),
        beta.dims(),
    );
    let filled = shape.iter().product::<usize>() > 0;
    if filled && is_on_cpu(&x) && is_on_cpu(&gamma) && is_on_cpu(&beta) {
        let (x, gamma, beta) = (x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch());
        Tensor::from_dispatch(<Dispatch as KernelOps>::mentor_layer_norm(x, gamma, beta, epsilon))
    } else {
        fallback(x, gamma, beta, epsilon)
    }
}

/// The same by Burn's operations, for devices without kernels.
pub(crate) fn fallback<const R: usize>(
    x: Tensor<R>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<R> {
    burn::tensor::module::layer_norm(x, gamma, Some(beta), epsilon)
}

/// μ and 1 / √(σ² + ε) of a row.
#[derive(Clone, Copy, Debug, Default)]
struct Statistics {
    mean: f32,
    inverse: f32,
}

fn compute(x: &CpuTensor, gamma: &CpuTensor, beta: &CpuTensor, epsilon: f64) -> (CpuTensor, Vec<Statistics>) {
    let (x, gamma, beta) = (values(x), values(gamma), values(beta));
    let (wide, width) = (lanes::wide(), gamma.len());
    let mut y = filled(x.len());
    let mut statistics = vec![Statistics::default(); x.len() / width];
    let parts = y.par_chunks_mut(ROWS * width).zip(statistics.par_chunks_mut(ROWS));
    parts.zip(x.par_chunks(ROWS * width)).for_each(|((y, statistics), x)| {
        normalise_on(wide, x, gamma, beta, epsilon, statistics, y);
    });
    (to_tensor(y, &[x.len()]), statistics)
}

/// Without a tape.
pub(crate) fn forward(x: CpuTensor, gamma: &CpuTensor, beta: &CpuTensor, epsilon: f64) -> CpuTensor {
    let shape = x.shape();
    let (gamma, beta) = (contiguous(gamma.clone()), contiguous(beta.clone()));
    compute(&contiguous(x), &gamma, &beta, epsilon).0.reshape(shape)
}

type Tracked = FloatTensor<Autodiff<Flex>>;

/// With the backward pass on the tape.
pub(crate) fn record<C: CheckpointStrategy>(
    x: Tracked,
    gamma: Tracked,
    beta: Tracked,
    epsilon: f64,
) -> Tracked {
    let nodes = [x.node(), gamma.node(), beta.node()];
    let [x, gamma, beta] = [x, gamma, beta].map(|tensor| contiguous(tensor.into_primitive()));
    let (y, statistics) = compute(&x, &gamma, &beta, epsilon);
    let y = y.reshape(x.shape());
    match LayerNormBackward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(State { x, gamma, statistics }, y),
        OpsKind::UnTracked(prep) => prep.finish(y),
    }
}

#[derive(Debug)]
struct LayerNormBackward;

#[derive(Clone, Debug)]
struct State {
    x: CpuTensor,
    gamma: CpuTensor,
    statistics: Vec<Statistics>,
}

impl Backward<Flex, 3> for LayerNormBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let g = contiguous(grads.consume::<Flex>(&ops.node));
        let State { x, gamma, statistics } = ops.state;
        let shape = x.shape().to_vec();
        let (x, g, gamma) = (values(&x), values(&g), values(&gamma));
        let (wide, width) = (lanes::wide(), gamma.len());
        let mut dx = filled(x.len());
        let rows =
            x.par_chunks(ROWS * width).zip(g.par_chunks(ROWS * width)).zip(statistics.par_chunks(ROWS));
        // dγ and dβ of each task, side by side.
        let parts: Vec<Vec<f32>> = dx
            .par_chunks_mut(ROWS * width)
            .zip(rows)
            .map(|(dx, ((x, g), statistics))| {
                let mut sums = vec![0.0; 2 * width];
                slopes_on(wide, x, g, gamma, statistics, dx, &mut sums);
                sums
            })
            .collect();
        let mut sums = vec![0.0; 2 * width];
        for part in parts {
            sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        let beta_sums = sums.split_off(width);
        let [node_x, node_gamma, node_beta] = ops.parents;
        if let Some(node) = node_x {
            grads.register::<Flex>(node.id, to_tensor(dx, &shape));
        }
        if let Some(node) = node_gamma {
            grads.register::<Flex>(node.id, to_tensor(sums, &[width]));
        }
        if let Some(node) = node_beta {
            grads.register::<Flex>(node.id, to_tensor(beta_sums, &[width]));
        }
    }
}

multiversion!(normalise_on => normalise(
    x: &[f32], gamma: &[f32], beta: &[f32], epsilon: f64, statistics: &mut [Statistics], y: &mut [f32]));

#[inline(always)]
fn normalise<V: Fused>(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    epsilon: f64,
    statistics: &mut [Statistics],
    y: &mut [f32],
) {
    let width = gamma.len();
    let rows = x.chunks_exact(width).zip(y.chunks_exact_mut(width));
    for ((x, y), statistics) in rows.zip(statistics) {
        let mean = sum_over::<32>(width, |i| x[i]) / width as f32;
        let variance = sum_over::<32>(width, |i| (x[i] - mean) * (x[i] - mean)) / width as f32;
        let inverse = (1.0 / (f64::from(variance) + epsilon).sqrt()) as f32;
        *statistics = Statistics { mean, inverse };
        for (((x, y), gamma), beta) in x.iter().zip(y).zip(gamma).zip(beta) {
            *y = V::fused((x - mean) * inverse, *gamma, *beta);
        }
    }
}

multiversion!(slopes_on => slopes(
    x: &[f32], g: &[f32], gamma: &[f32], statistics: &[Statistics], dx: &mut [f32], sums: &mut [f32]));

/// Writes dx and adds to dγ and dβ, which lie side by side in `sums`.
#[inline(always)]
fn slopes<V: Fused>(
    x: &[f32],
    g: &[f32],
    gamma: &[f32],
    statistics: &[Statistics],
    dx: &mut [f32],
    sums: &mut [f32],
) {
    let width = gamma.len();
    let (of_gamma, of_beta) = sums.split_at_mut(width);
    let rows = x.chunks_exact(width).zip(g.chunks_exact(width)).zip(dx.chunks_exact_mut(width));
    for (((x, g), dx), &Statistics { mean, inverse }) in rows.zip(statistics) {
        let parts = of_gamma.iter_mut().zip(of_beta.iter_mut());
        for ((x, g), (of_gamma, of_beta)) in x.iter().zip(g).zip(parts) {
            *of_gamma = V::fused(*g, (x - mean) * inverse, *of_gamma);
            *of_beta += g;
        }
        let plain = sum_over::<32>(width, |i| g[i] * gamma[i]) / width as f32;
        let product = sum_over::<32>(width, |i| (g[i] * gamma[i]) * ((x[i] - mean) * inverse)) / width as f32;
        for (((x, g), dx), gamma) in x.iter().zip(g).zip(dx).zip(gamma) {
            let normal = (x - mean) * inverse;
            *dx = (V::fused(*g, *gamma, -plain) - normal * product) * inverse;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, with_level};
    use crate::testing::{close, random};
    use burn::tensor::{Device, TensorData};
    use mentor_testkit::gradient::gradient_check;
    use proptest::prelude::*;

    const EPSILON: f64 = 1e-6;

    fn tensor<const R: usize>(values: Vec<f32>, shape: [usize; R]) -> Tensor<R> {
        Tensor::<R>::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
    }

    fn host<const R: usize>(tensor: Tensor<R>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    type Call<const R: usize> = fn(Tensor<R>, Tensor<1>, Tensor<1>, f64) -> Tensor<R>;

    /// Output, and the gradients of Σ r·y for random r: of x, γ and β.
    fn run<const R: usize>(call: Call<R>, shape: [usize; R]) -> [Vec<f32>; 4] {
        let (count, width) = (shape.iter().product(), shape[R - 1]);
        let x = random(1, count).into_iter().map(|x| 2.0 * x + 3.0).collect();
        let x = tensor(x, shape).require_grad();
        let gamma = tensor(random(2, width), [width]).require_grad();
        let beta = tensor(random(3, width), [width]).require_grad();
        let y = call(x.clone(), gamma.clone(), beta.clone(), EPSILON);
        let grads = (y.clone() * tensor(random(4, count), shape)).sum().backward();
        [
            host(y),
            host(x.grad(&grads).unwrap()),
            host(gamma.grad(&grads).unwrap()),
            host(beta.grad(&grads).unwrap()),
        ]
    }

    /// The same in `f64`, entry by entry.
    fn oracle(rows: usize, width: usize) -> [Vec<f64>; 4] {
        let exact = |stream, count| random(stream, count).into_iter().map(f64::from).collect::<Vec<_>>();
        let x: Vec<f64> = random(1, rows * width).into_iter().map(|x| f64::from(2.0 * x + 3.0)).collect();
        let (gamma, beta, g) = (exact(2, width), exact(3, width), exact(4, rows * width));
        let (mut y, mut dx) = (Vec::new(), Vec::new());
        let (mut of_gamma, mut of_beta) = (vec![0.0; width], vec![0.0; width]);
        for (x, g) in x.chunks(width).zip(g.chunks(width)) {
            let mean = |f: &dyn Fn(usize) -> f64| (0..width).map(f).sum::<f64>() / width as f64;
            let centre = mean(&|i| x[i]);
            let deviation = (mean(&|i| (x[i] - centre).powi(2)) + EPSILON).sqrt();
            let normal: Vec<f64> = x.iter().map(|x| (x - centre) / deviation).collect();
            let plain = mean(&|i| g[i] * gamma[i]);
            let product = mean(&|i| g[i] * gamma[i] * normal[i]);
            for i in 0..width {
                y.push(gamma[i] * normal[i] + beta[i]);
                dx.push((g[i] * gamma[i] - plain - normal[i] * product) / deviation);
                of_gamma[i] += g[i] * normal[i];
                of_beta[i] += g[i];
            }
        }
        [y, dx, of_gamma, of_beta]
    }

    fn check(rows: usize, width: usize) {
        let expected = oracle(rows, width);
        for level in [Level::Portable, Level::current()] {
            let found = with_level(level, || run::<2>(layer_norm, [rows, width]));
            for (found, expected) in found.iter().zip(&expected) {
                // Few values in a row may lie close together, and σ then multiplies what rounding leaves.
                close(found, expected, if width < 8 { 2e-3 } else { 3e-5 });
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        #[test]
        fn value_and_gradients_are_those_of_the_oracle(rows in 1..150usize, width in 2..90usize) {
            check(rows, width);
        }
    }

    #[test]
    fn kernel_and_burn_agree_over_odd_shapes() {
        for shape in [[1, 1, 8], [3, 5, 17], [2, 64, 33], [5, 49, 192]] {
            let (found, expected) = (run::<3>(layer_norm, shape), run::<3>(fallback, shape));
            for (found, expected) in found.iter().zip(expected) {
                close(found, &expected.into_iter().map(f64::from).collect::<Vec<_>>(), 3e-5);
            }
        }
    }

    #[test]
    fn the_gradient_is_the_derivative() {
        let x = random(5, 24);
        let weights = random(6, 24);
        let loss = |x: Tensor<2>| {
            let device = x.device();
            let y = layer_norm(x, Tensor::ones([8], &device), Tensor::zeros([8], &device), EPSILON);
            (y * Tensor::from_data(TensorData::new(weights.clone(), [3, 8]), &device)).sum()
        };
        let oracle = |x: &[f64]| {
            let row = |(x, weights): (&[f64], &[f32])| {
                let mean = x.iter().sum::<f64>() / 8.0;
                let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 8.0;
                let normal = x.iter().map(|x| (x - mean) / (variance + EPSILON).sqrt());
                normal.zip(weights).map(|(normal, weight)| normal * f64::from(*weight)).sum::<f64>()
            };
            x.chunks(8).zip(weights.chunks(8)).map(row).sum::<f64>()
        };
        gradient_check(&x, [3, 8], loss, oracle, 1e-5).unwrap();
    }

    #[test]
    fn equal_values_give_the_bias_and_a_finite_gradient() {
        let x = tensor(vec![7.0; 10], [2, 5]).require_grad();
        let beta = tensor(random(1, 5), [5]);
        let y = layer_norm(x.clone(), tensor(vec![1.0; 5], [5]), beta.clone(), EPSILON);
        let grads = y.clone().sum().backward();
        assert_eq!(host(y)[5..], host(beta));
        assert!(host(x.grad(&grads).unwrap()).iter().all(|value| value.is_finite()));
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        let run_on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run::<2>(layer_norm, [300, 40]))
        };
        assert_eq!(run_on(1), run_on(2));
    }

    #[test]
    #[should_panic(expected = "layer_norm: input [2, 3], gamma [4] and beta [3] do not fit")]
    fn shapes_that_do_not_fit_are_named() {
        let ones = |count: usize| tensor(vec![1.0; count], [count]);
        layer_norm(tensor(vec![0.0; 6], [2, 3]), ones(4), ones(3), EPSILON);
    }
}
