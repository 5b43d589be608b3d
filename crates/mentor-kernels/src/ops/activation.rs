//! The activations of mobile networks, a pass over memory each.
//!
//! ```text
//! ReLU6       y = min(max(x, 0), 6)         dx = g where 0 < y < 6, else 0 (Howard et al. 2017)
//! SiLU        y = x σ(x)                    dx = g σ(x) (1 + x (1 − σ(x))) (Elfwing et al. 2018)
//! hard swish  y = x min(max(x + 3, 0), 6) / 6        (Howard et al. 2019, section 5.2)
//!             dx = g · 0 for x ≤ −3, g for x ≥ 3, g (2 x + 3) / 6 between
//! ```

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Dispatch, Flex};
use burn::tensor::{Tensor, activation};

use crate::host::buffer::{CpuTensor, contiguous, is_on_cpu, values};
use crate::host::exponential::exp_of_non_positive;
use crate::host::lanes::{self, multiversion};
use crate::host::pointwise::{self, TASK};
use crate::ops::extension::KernelOps;
use crate::simd::Fused;

/// A function of each value alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Relu6,
    Silu,
    HardSwish,
}

/// min(max(x, 0), 6) of each value; the gradient at both kinks is 0. NaN gives NaN.
pub fn relu6<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    apply(x, Function::Relu6)
}

/// x σ(x) of each value, also called swish. NaN gives NaN.
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    apply(x, Function::Silu)
}

/// x min(max(x + 3, 0), 6) / 6 of each value. NaN gives NaN.
pub fn hard_swish<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    apply(x, Function::HardSwish)
}

fn apply<const D: usize>(x: Tensor<D>, function: Function) -> Tensor<D> {
    if is_on_cpu(&x) {
        Tensor::from_dispatch(<Dispatch as KernelOps>::mentor_activation(x.into_dispatch(), function))
    } else {
        fallback(x, function)
    }
}

/// The same by Burn's operations, for devices without kernels.
fn fallback<const D: usize>(x: Tensor<D>, function: Function) -> Tensor<D> {
    match function {
        Function::Relu6 => x.clamp(0.0, 6.0),
        Function::Silu => activation::silu(x),
        Function::HardSwish => x.clone() * (x.add_scalar(3.0).clamp(0.0, 6.0)).div_scalar(6.0),
    }
}

/// Without a tape.
pub(crate) fn forward(x: CpuTensor, function: Function) -> CpuTensor {
    let wide = lanes::wide();
    pointwise::update(x, TASK, |_, part| value_on(wide, function, part))
}

type Tracked = FloatTensor<Autodiff<Flex>>;

/// With the backward pass on the tape.
pub(crate) fn record<C: CheckpointStrategy>(x: Tracked, function: Function) -> Tracked {
    let (x, node) = x.into_parts();
    // The next layer keeps y, so that ReLU6, whose slope y tells too, need not keep x.
    let (kept, y) = match function {
        Function::Relu6 => (None, forward(x, function)),
        Function::Silu | Function::HardSwish => (Some(x.clone()), forward(x, function)),
    };
    match ActivationBackward.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let kept = kept.unwrap_or_else(|| y.clone());
            prep.finish(State { function, kept }, y)
        }
        OpsKind::UnTracked(prep) => prep.finish(y),
    }
}

#[derive(Clone, Debug)]
struct State {
    function: Function,
    /// y of ReLU6, x of the others.
    kept: CpuTensor,
}

#[derive(Debug)]
struct ActivationBackward;

impl Backward<Flex, 1> for ActivationBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let g = grads.consume::<Flex>(&ops.node);
        let [Some(node)] = ops.parents else { return };
        let State { function, kept } = ops.state;
        let (wide, kept) = (lanes::wide(), contiguous(kept));
        let kept = values(&kept);
        let dx = pointwise::update(g, TASK, |start, part| {
            slope_on(wide, function, &kept[start..][..part.len()], part);
        });
        grads.register::<Flex>(node.id, dx);
    }
}

/// 1 / (1 + e⁻ˣ), from e^−|x| so that nothing overflows.
#[inline(always)]
fn sigmoid<V: Fused>(x: f32) -> f32 {
    let tail = exp_of_non_positive::<V>(-x.abs());
    (if x < 0.0 { tail } else { 1.0 }) / (1.0 + tail)
}

/// As `f32::clamp`, of which NaN stays NaN.
#[inline(always)]
fn between(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

multiversion!(value_on => value_of(function: Function, values: &mut [f32]));

#[inline(always)]
fn value_of<V: Fused>(function: Function, values: &mut [f32]) {
    // The choice is made outside of the loops, which are then nothing but arithmetic.
    match function {
        Function::Relu6 => values.iter_mut().for_each(|x| *x = between(*x, 0.0, 6.0)),
        Function::Silu => values.iter_mut().for_each(|x| *x *= sigmoid::<V>(*x)),
        Function::HardSwish => values.iter_mut().for_each(|x| *x *= between(*x + 3.0, 0.0, 6.0) / 6.0),
    }
}

multiversion!(slope_on => slope_of(function: Function, kept: &[f32], g: &mut [f32]));

#[inline(always)]
fn slope_of<V: Fused>(function: Function, kept: &[f32], g: &mut [f32]) {
    let pairs = g.iter_mut().zip(kept);
    match function {
        Function::Relu6 => pairs.for_each(|(g, &y)| *g = if y <= 0.0 || y >= 6.0 { 0.0 } else { *g }),
        Function::Silu => pairs.for_each(|(g, &x)| {
            let share = sigmoid::<V>(x);
            *g *= share * V::fused(x, 1.0 - share, 1.0);
        }),
        Function::HardSwish => pairs.for_each(|(g, &x)| {
            let slope = if x <= -3.0 { 0.0 } else { (2.0 * x + 3.0) / 6.0 };
            *g *= if x >= 3.0 { 1.0 } else { slope };
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, with_level};
    use crate::testing::{close, random};
    use burn::tensor::{Device, TensorData};

    const FUNCTIONS: [Function; 3] = [Function::Relu6, Function::Silu, Function::HardSwish];

    /// y, and the gradient of Σ r·y.
    fn run(call: fn(Tensor<2>, Function) -> Tensor<2>, function: Function, x: &[f32]) -> [Vec<f32>; 2] {
        let device = Device::flex().autodiff();
        let tensor =
            |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, [1, x.len()]), &device);
        let input = tensor(x.to_vec()).require_grad();
        let y = call(input.clone(), function);
        let grads = (y.clone() * tensor(random(9, x.len()))).sum().backward();
        [y.into_data(), input.grad(&grads).unwrap().into_data()].map(|data| data.try_to_vec().unwrap())
    }

    #[test]
    fn kernel_and_burn_agree_in_value_and_gradient_over_odd_lengths() {
        for function in FUNCTIONS {
            for count in [1, 7, 33, 130] {
                let x: Vec<f32> = random(1, count).into_iter().map(|x| 4.0 * x).collect();
                let expected = run(fallback, function, &x);
                for level in Level::available() {
                    let found = with_level(level, || run(apply, function, &x));
                    for (found, expected) in found.iter().zip(&expected) {
                        let expected: Vec<f64> = expected.iter().copied().map(f64::from).collect();
                        close(found, &expected, 2e-6);
                    }
                }
            }
        }
    }

    #[test]
    fn ends_and_kinks_are_as_documented() {
        let x = [-1e30, -3.0, 0.0, 3.0, 6.0, 1e30, f32::NAN];
        let values = |function| run(apply, function, &x)[0].clone();
        assert_eq!(values(Function::Relu6)[..6], [0.0, 0.0, 0.0, 3.0, 6.0, 6.0]);
        assert_eq!(values(Function::HardSwish)[..6], [0.0, 0.0, 0.0, 3.0, 6.0, 1e30]);
        let silu = values(Function::Silu);
        assert_eq!([silu[0], silu[2], silu[5]], [0.0, 0.0, 1e30]);
        assert!(FUNCTIONS.into_iter().all(|function| values(function)[6].is_nan()));
        let slopes = run(apply, Function::Relu6, &[0.0, 6.0])[1].clone();
        assert_eq!(slopes, [0.0, 0.0]);
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        let x = random(3, 100_003);
        for function in FUNCTIONS {
            let run_on = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| run(apply, function, &x))
            };
            assert_eq!(run_on(1), run_on(2));
        }
    }
}
