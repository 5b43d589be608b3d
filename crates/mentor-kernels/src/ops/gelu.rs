//! The Gaussian error linear unit (Hendrycks and Gimpel 2016), exact: with the error function, not its tanh
//! form.
//!
//! ```text
//! y = x Φ(x), dx = g (Φ(x) + x φ(x))      Φ(x) = (1 + erf(x / √2)) / 2, φ(x) = e^(−x²/2) / √(2π)
//! ```
//!
//! Φ and φ share one exponential: with t = |x| the tail 1 − Φ(t) is e^(−t²/2) R(t), where R falls slowly from
//! 1/2 and is a polynomial of degree 9 in 1 / (1 + 0.21 t), without a constant, fitted to the least largest
//! relative error (2e-8 for t up to 14.5, where e^(−t²/2) ends). A negative x takes the tail itself, so that
//! nothing cancels. y is within 1.5e-7 + 2e-7 |y| of the exact value, the derivative within 4e-7; the tests
//! hold both.

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
use crate::host::lanes::{self, multiversion};
use crate::host::pointwise::{self, TASK};
use crate::ops::extension::KernelOps;
use crate::simd::Fused;

/// y = x Φ(x) for each value, Φ being the distribution function of the standard normal.
///
/// Any shape. NaN gives NaN.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if is_on_cpu(&x) {
        Tensor::from_dispatch(<Dispatch as KernelOps>::mentor_gelu(x.into_dispatch()))
    } else {
        fallback(x)
    }
}

/// The same by Burn's operations, for devices without kernels.
pub(crate) fn fallback<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::gelu(x)
}

/// Without a tape.
pub(crate) fn forward(x: CpuTensor) -> CpuTensor {
    let wide = lanes::wide();
    pointwise::update(x, TASK, |_, part| gelu_on(wide, part))
}

type Tracked = FloatTensor<Autodiff<Flex>>;

/// With the backward pass on the tape.
pub(crate) fn record<C: CheckpointStrategy>(x: Tracked) -> Tracked {
    let (x, node) = x.into_parts();
    let y = forward(x.clone());
    match GeluBackward.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(x, y),
        OpsKind::UnTracked(prep) => prep.finish(y),
    }
}

#[derive(Debug)]
struct GeluBackward;

impl Backward<Flex, 1> for GeluBackward {
    /// x.
    type State = CpuTensor;

    fn backward(self, ops: Ops<CpuTensor, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node] = ops.parents;
        let g = grads.consume::<Flex>(&ops.node);
        if let Some(node) = node {
            grads.register::<Flex>(node.id, backward(g, &ops.state));
        }
    }
}

/// The gradient times the derivative at `x`; in place where `gradient` is not shared.
pub(crate) fn backward(gradient: CpuTensor, x: &CpuTensor) -> CpuTensor {
    let wide = lanes::wide();
    let x = contiguous(x.clone());
    let x = values(&x);
    pointwise::update(gradient, TASK, |start, part| slope_on(wide, &x[start..][..part.len()], part))
}

/// [`backward`], and the function of `x`, which costs little beside it.
pub(crate) fn backward_with_value(gradient: CpuTensor, x: &CpuTensor) -> (CpuTensor, CpuTensor) {
    let shape = x.shape().to_vec();
    let wide = lanes::wide();
    let x = contiguous(x.clone());
    let x = values(&x);
    let mut y = filled(x.len());
    let slope = pointwise::with_values(gradient, |gradient| {
        let parts = gradient.par_chunks_mut(TASK).zip(y.par_chunks_mut(TASK));
        parts.zip(x.par_chunks(TASK)).for_each(|((gradient, y), x)| slope_and_value_on(wide, x, gradient, y));
    });
    (slope, to_tensor(y, &shape))
}

/// The fit of R: u = 1 / (1 + SLOPE t), and the coefficients of u⁹ to u¹.
const SLOPE: f32 = 0.21;
const TAIL: [f32; 9] = [
    -0.071_294_62,
    0.281_803_67,
    -0.326_491_42,
    0.344_984_56,
    -0.090_771_14,
    0.123_471_476,
    0.069_569_916,
    0.085_012_41,
    0.083_715_156,
];
const INVERSE_SQRT_TAU: f32 = 0.398_942_3;

/// Φ(x) and φ(x).
#[inline(always)]
fn normal<V: Fused>(x: f32) -> [f32; 2] {
    let t = x.abs();
    let exponential = exp_of_non_positive::<V>(-0.5 * t * t);
    let u = 1.0 / V::fused(t, SLOPE, 1.0);
    let mut polynomial = 0.0;
    for coefficient in TAIL {
        polynomial = V::fused(polynomial, u, coefficient);
    }
    let tail = polynomial * u * exponential;
    [if x > 0.0 { 1.0 - tail } else { tail }, INVERSE_SQRT_TAU * exponential]
}

multiversion!(gelu_on => gelu_of(values: &mut [f32]));

#[inline(always)]
fn gelu_of<V: Fused>(values: &mut [f32]) {
    values.iter_mut().for_each(|x| *x *= normal::<V>(*x)[0]);
}

multiversion!(slope_on => slope_of(x: &[f32], g: &mut [f32]));

#[inline(always)]
fn slope_of<V: Fused>(x: &[f32], g: &mut [f32]) {
    for (x, g) in x.iter().zip(g) {
        let [distribution, density] = normal::<V>(*x);
        *g *= V::fused(*x, density, distribution);
    }
}

multiversion!(slope_and_value_on => slope_and_value_of(x: &[f32], g: &mut [f32], y: &mut [f32]));

#[inline(always)]
fn slope_and_value_of<V: Fused>(x: &[f32], g: &mut [f32], y: &mut [f32]) {
    for ((x, g), y) in x.iter().zip(g).zip(y) {
        let [distribution, density] = normal::<V>(*x);
        *g *= V::fused(*x, density, distribution);
        *y = *x * distribution;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, with_level};
    use crate::testing::{close, random};
    use burn::tensor::{Device, TensorData};
    use mentor_testkit::gradient::gradient_check;

    /// Φ in `f64` by the series of erf whose terms all have one sign.
    fn distribution(x: f64) -> f64 {
        let z = x.abs() / 2f64.sqrt();
        let (mut term, mut sum, mut n) = (z, z, 0.0);
        while term > 1e-18 * sum {
            n += 1.0;
            term *= 2.0 * z * z / (2.0 * n + 1.0);
            sum += term;
        }
        let half = if z > 6.5 { 0.5 } else { sum * (-z * z).exp() / std::f64::consts::PI.sqrt() };
        if x > 0.0 { 0.5 + half } else { 0.5 - half }
    }

    fn density(x: f64) -> f64 {
        (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
    }

    /// Values, and the gradients of Σ r·y for random r.
    fn run<const D: usize>(call: fn(Tensor<D>) -> Tensor<D>, x: &[f32], shape: [usize; D]) -> [Vec<f32>; 2] {
        let device = Device::flex().autodiff();
        let input = Tensor::<D>::from_data(TensorData::new(x.to_vec(), shape), &device).require_grad();
        let weights = Tensor::<D>::from_data(TensorData::new(random(9, x.len()), shape), &device);
        let y = call(input.clone());
        let grads = (y.clone() * weights).sum().backward();
        [y.into_data(), input.grad(&grads).unwrap().into_data()].map(|data| data.try_to_vec().unwrap())
    }

    #[test]
    fn values_and_derivatives_are_within_the_stated_error_of_exact_ones() {
        let x: Vec<f32> = (-16_000..=16_000).map(|step| step as f32 / 1000.0).collect();
        for level in [Level::Portable, Level::current()] {
            let device = Device::flex().autodiff();
            let data = TensorData::new(x.clone(), [x.len()]);
            let (y, slope) = with_level(level, || {
                let input = Tensor::<1>::from_data(data, &device).require_grad();
                let y = gelu(input.clone());
                let grads = y.clone().sum().backward();
                let host = |tensor: Tensor<1>| tensor.into_data().try_to_vec::<f32>().unwrap();
                (host(y), host(input.grad(&grads).unwrap()))
            });
            for ((&x, y), slope) in x.iter().zip(y).zip(slope) {
                let x = f64::from(x);
                let (value, derivative) = (x * distribution(x), distribution(x) + x * density(x));
                assert!((f64::from(y) - value).abs() <= 1.5e-7 + 2e-7 * value.abs(), "{x}: {y}, {value}");
                assert!((f64::from(slope) - derivative).abs() <= 4e-7, "{x}: {slope}, {derivative}");
            }
        }
    }

    #[test]
    fn kernel_and_burn_agree_over_odd_shapes() {
        for shape in [[1, 1, 1], [2, 3, 5], [1, 17, 33], [3, 130, 100]] {
            let x: Vec<f32> = random(1, shape.iter().product()).into_iter().map(|x| 3.0 * x).collect();
            let expected = run(fallback::<3>, &x, shape);
            for level in Level::available() {
                let found = with_level(level, || run(gelu::<3>, &x, shape));
                for (found, expected) in found.iter().zip(&expected) {
                    close(found, &expected.iter().map(|&value| f64::from(value)).collect::<Vec<_>>(), 1e-6);
                }
            }
        }
    }

    #[test]
    fn the_gradient_is_the_derivative() {
        let x: Vec<f32> = random(2, 15).into_iter().map(|x| 2.0 * x).collect();
        let oracle = |x: &[f64]| x.iter().map(|&x| x * distribution(x)).sum::<f64>();
        gradient_check(&x, [3, 5], |x| gelu(x).sum(), oracle, 1e-6).unwrap();
    }

    #[test]
    fn tails_are_zero_or_the_value_and_nan_stays() {
        let x = [-1e30f32, -40.0, -0.0, 40.0, 1e30, f32::INFINITY, f32::NAN];
        let y = gelu(Tensor::<1>::from_floats(x, &Device::flex())).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(y[..6], [0.0, 0.0, 0.0, 40.0, 1e30, f32::INFINITY]);
        assert!(y[6].is_nan());
    }

    #[test]
    fn a_shared_input_is_left_alone_and_threads_do_not_change_the_bits() {
        let x = random(3, 100_000);
        let run_on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(gelu::<2>, &x, [1000, 100]))
        };
        assert_eq!(run_on(1), run_on(2));
        let input = Tensor::<1>::from_floats([1.0, -2.0], &Device::flex());
        let _ = gelu(input.clone());
        assert_eq!(input.into_data().try_to_vec::<f32>().unwrap(), [1.0, -2.0]);
    }
}
