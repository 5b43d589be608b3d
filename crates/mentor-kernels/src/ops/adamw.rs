//! AdamW's update of one parameter in one pass over its memory.

use burn::backend::Flex;
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::host::buffer::{CpuTensor, contiguous, is_on_cpu, values};
use crate::host::lanes::{self, multiversion};
use crate::host::pointwise::TASK;
use crate::ops::update::owned;
use crate::simd::Fused;

/// What an update of AdamW does, beside its tensors.
///
/// ```text
/// m ← β₁ m + (1 − β₁) g          m̂ = m / (1 − β₁ᵗ)
/// v ← β₂ v + (1 − β₂) g²         v̂ = v / (1 − β₂ᵗ)
/// w ← w − η (m̂ / (√v̂ + ε) + λ w)
/// ```
///
/// **Source.** Loshchilov and Hutter 2019 (arXiv 1711.05101), algorithm 2, with the decay multiplied by the
/// whole rate η as in PyTorch, not by the schedule's factor alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWUpdate {
    /// η.
    pub learning_rate: f64,
    /// β₁ and β₂.
    pub betas: [f64; 2],
    /// ε.
    pub epsilon: f64,
    /// λ, the decoupled decay.
    pub weight_decay: f64,
    /// Factor of the gradient, below 1 where it was clipped.
    pub scale: f64,
    /// t, the number of this update, from 1.
    pub step: u64,
}

impl AdamWUpdate {
    /// One update without autodiff: weights, gradient and moments have one shape; no moments are zeros.
    ///
    /// Returns the weights, m and v. On the CPU buffers are changed in place where nothing else holds them.
    ///
    /// # Panics
    ///
    /// If the shapes differ, or the step is 0.
    #[track_caller]
    pub fn apply<const D: usize>(
        &self,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        moments: Option<[Tensor<D>; 2]>,
    ) -> (Tensor<D>, [Tensor<D>; 2]) {
        assert!(self.step > 0, "updates are counted from 1");
        let zeros = || Tensor::zeros(weights.shape(), &weights.device());
        let [first, second] = moments.unwrap_or_else(|| [zeros(), zeros()]);
        let same = [&gradient, &first, &second].iter().all(|tensor| tensor.dims() == weights.dims());
        assert!(same, "weights, gradient and moments of different shapes");
        let plain = |tensor: &Tensor<D>| is_on_cpu(tensor) && !tensor.is_autodiff();
        if ![&weights, &gradient, &first, &second].into_iter().all(plain) {
            return self.fallback(weights, gradient, [first, second]);
        }
        let [weights, gradient, first, second] = [weights, gradient, first, second]
            .map(|tensor| tensor.try_into_primitive::<Flex>().expect("it is on `flex`"));
        let [weights, first, second] = self.on_cpu(weights, gradient, first, second);
        let tensor = Tensor::from_primitive::<Flex>;
        (tensor(weights), [tensor(first), tensor(second)])
    }

    /// The same by Burn's operations, for devices without kernels.
    fn fallback<const D: usize>(
        &self,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        [first, second]: [Tensor<D>; 2],
    ) -> (Tensor<D>, [Tensor<D>; 2]) {
        let Factors { betas: [b1, b2], corrections: [c1, c2], .. } = self.factors();
        let gradient = gradient.mul_scalar(self.scale);
        let first = first.mul_scalar(b1) + gradient.clone().mul_scalar(1.0 - b1);
        let second = second.mul_scalar(b2) + gradient.square().mul_scalar(1.0 - b2);
        let direction = first.clone().mul_scalar(c1)
            / second.clone().mul_scalar(c2).sqrt().add_scalar(self.epsilon)
            + weights.clone().mul_scalar(self.weight_decay);
        (weights - direction.mul_scalar(self.learning_rate), [first, second])
    }

    fn on_cpu(&self, weights: CpuTensor, gradient: CpuTensor, m: CpuTensor, v: CpuTensor) -> [CpuTensor; 3] {
        let gradient = contiguous(gradient);
        let gradient = values(&gradient);
        let [mut weights, mut m, mut v] = [weights, m, v].map(owned);
        let (wide, factors) = (lanes::wide(), self.factors());
        {
            let [weights, m, v] = [&mut weights, &mut m, &mut v].map(|tensor| tensor.storage_mut::<f32>());
            let tasks = weights.par_chunks_mut(TASK).zip(m.par_chunks_mut(TASK)).zip(v.par_chunks_mut(TASK));
            tasks.zip(gradient.par_chunks(TASK)).for_each(|(((weights, m), v), gradient)| {
                descend_on(wide, &factors, weights, gradient, m, v);
            });
        }
        [weights, m, v]
    }

    fn factors(&self) -> Factors {
        // In f64: 1 − 0.999 in f32 is off by 1e-5 of itself.
        let exponent = i32::try_from(self.step).unwrap_or(i32::MAX);
        let [b1, b2] = self.betas;
        let f32 = |value: f64| value as f32;
        Factors {
            betas: [b1, b2].map(f32),
            shares: [1.0 - b1, 1.0 - b2].map(f32),
            corrections: [b1, b2].map(|beta| f32(1.0 / (1.0 - beta.powi(exponent)))),
            scale: f32(self.scale),
            epsilon: f32(self.epsilon),
            weight_decay: f32(self.weight_decay),
            learning_rate: f32(self.learning_rate),
        }
    }
}

/// The numbers of an update in the precision of its tensors.
struct Factors {
    betas: [f32; 2],
    /// 1 − β.
    shares: [f32; 2],
    /// 1 / (1 − βᵗ).
    corrections: [f32; 2],
    scale: f32,
    epsilon: f32,
    weight_decay: f32,
    learning_rate: f32,
}

multiversion!(
    descend_on => descend(factors: &Factors, weights: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32])
);

#[inline(always)]
fn descend<V: Fused>(factors: &Factors, weights: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
    let Factors { betas, shares, corrections, scale, epsilon, weight_decay, learning_rate } = *factors;
    for (((w, g), m), v) in weights.iter_mut().zip(g).zip(m).zip(v) {
        let g = g * scale;
        *m = V::fused(betas[0], *m, shares[0] * g);
        *v = V::fused(betas[1], *v, shares[1] * g * g);
        let direction = *m * corrections[0] / ((*v * corrections[1]).sqrt() + epsilon);
        *w -= learning_rate * V::fused(weight_decay, *w, direction);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, with_level};
    use crate::testing::{close, random};
    use burn::tensor::{Device, TensorData};

    const UPDATE: AdamWUpdate = AdamWUpdate {
        learning_rate: 0.01,
        betas: [0.9, 0.999],
        epsilon: 1e-8,
        weight_decay: 0.3,
        scale: 0.7,
        step: 1,
    };

    fn tensor(values: &[f32], shape: [usize; 2]) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
    }

    fn host(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    /// The equations in f64, one value after the other.
    fn oracle(weights: &[f32], gradients: &[Vec<f32>]) -> [Vec<f64>; 3] {
        let AdamWUpdate { learning_rate, betas: [b1, b2], epsilon, weight_decay, scale, .. } = UPDATE;
        let [mut ws, mut ms, mut vs] = [(); 3].map(|()| Vec::new());
        for (at, &w) in weights.iter().enumerate() {
            let (mut w, mut m, mut v) = (f64::from(w), 0.0, 0.0);
            for (t, gradient) in gradients.iter().enumerate() {
                let (g, t) = (scale * f64::from(gradient[at]), t as i32 + 1);
                m = b1 * m + (1.0 - b1) * g;
                v = b2 * v + (1.0 - b2) * g * g;
                let (m_hat, v_hat) = (m / (1.0 - b1.powi(t)), v / (1.0 - b2.powi(t)));
                w -= learning_rate * (m_hat / (v_hat.sqrt() + epsilon) + weight_decay * w);
            }
            ws.push(w);
            ms.push(m);
            vs.push(v);
        }
        [ws, ms, vs]
    }

    type Step = fn(&AdamWUpdate, Tensor<2>, Tensor<2>, Option<[Tensor<2>; 2]>) -> (Tensor<2>, [Tensor<2>; 2]);

    fn steps(step: Step, weights: &[f32], gradients: &[Vec<f32>], shape: [usize; 2]) -> [Vec<f32>; 3] {
        let (mut weights, mut moments) = (tensor(weights, shape), None);
        for (at, gradient) in gradients.iter().enumerate() {
            let update = AdamWUpdate { step: at as u64 + 1, ..UPDATE };
            let found = step(&update, weights, tensor(gradient, shape), moments);
            (weights, moments) = (found.0, Some(found.1));
        }
        let [m, v] = moments.unwrap();
        [weights, m, v].map(host)
    }

    #[test]
    fn kernel_and_burn_are_the_equations_over_five_updates() {
        for shape in [[1, 1], [3, 7], [300, 211]] {
            let count = shape.iter().product();
            let weights = random(1, count);
            let gradients: Vec<Vec<f32>> = (2..7).map(|stream| random(stream, count)).collect();
            let expected = oracle(&weights, &gradients);
            let by_burn: Step = |update, weights, gradient, moments| {
                let zeros = || Tensor::zeros(weights.shape(), &weights.device());
                let moments = moments.unwrap_or_else(|| [zeros(), zeros()]);
                update.fallback(weights, gradient, moments)
            };
            let check = |found: [Vec<f32>; 3]| {
                found.iter().zip(&expected).for_each(|(found, expected)| close(found, expected, 2e-6));
            };
            check(steps(by_burn, &weights, &gradients, shape));
            for level in Level::available() {
                let by_kernel: Step =
                    |update, weights, gradient, moments| update.apply(weights, gradient, moments);
                check(with_level(level, || steps(by_kernel, &weights, &gradients, shape)));
            }
        }
    }

    #[test]
    fn the_first_step_is_the_rate_against_the_sign_whatever_the_size_of_the_gradient() {
        let update = AdamWUpdate { weight_decay: 0.0, ..UPDATE };
        let gradient = tensor(&[1e-3, -50.0, 0.0], [1, 3]);
        let (weights, _) = update.apply(tensor(&[1.0; 3], [1, 3]), gradient, None);
        close(&host(weights), &[0.99, 1.01, 1.0], 1e-6);
    }

    #[test]
    fn a_buffer_that_someone_else_holds_is_left_alone_and_threads_do_not_change_the_bits() {
        let (weights, gradient) = (random(1, 100_000), random(2, 100_000));
        let held = tensor(&weights, [100, 1000]);
        let run_on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (moved, [m, v]) =
                pool.install(|| UPDATE.apply(held.clone(), tensor(&gradient, [100, 1000]), None));
            [moved, m, v].map(host)
        };
        assert_eq!(run_on(1), run_on(2));
        assert_eq!(host(held), weights);
    }
}
