//! The optimiser's update of one parameter in one pass over its memory.

use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::host::buffer::{CpuTensor, contiguous, is_on_cpu, to_tensor, values};
use crate::host::pointwise::TASK;

/// What an update does, beside its tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdUpdate {
    /// η.
    pub learning_rate: f64,
    /// μ; with 0 there is no velocity.
    pub momentum: f64,
    /// Whether the newest gradient counts once more.
    pub nesterov: bool,
    /// What is added to the gradient for each unit of weight: 2 λ₂ for the penalty λ₂ Σ w².
    pub l2_slope: f64,
    /// Factor of the gradient, below 1 where it was clipped.
    pub scale: f64,
    /// Weights move towards 0 by η times this, and no further than 0: λ₁ of the penalty λ₁ Σ |w|.
    pub l1: f64,
}

impl SgdUpdate {
    /// One update without autodiff: weights, gradient and velocity have one shape; no velocity is one of
    /// zeros.
    ///
    /// ```text
    /// g ← (g + l2_slope · w) · scale
    /// v ← μ v + g
    /// w ← w − η d, d = g + μ v with Nesterov, else v
    /// u ← w; w ← u − clamp(u, −η l1, η l1); v ← v + (u − w) / η      with l1
    /// ```
    ///
    /// A rate that is 0 as `f32` moves nothing by l1.
    ///
    /// Returns the weights, and the velocity unless μ is 0. On the CPU the buffers of weights and velocity
    /// are changed in place where nothing else holds them.
    ///
    /// # Panics
    ///
    /// If the shapes differ.
    #[track_caller]
    pub fn apply<const D: usize>(
        &self,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        velocity: Option<Tensor<D>>,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        assert_eq!(weights.dims(), gradient.dims(), "weights and gradient of different shapes");
        let velocity = velocity.filter(|_| self.momentum != 0.0);
        if let Some(velocity) = &velocity {
            assert_eq!(weights.dims(), velocity.dims(), "weights and velocity of different shapes");
        }
        if !(plain(&weights) && plain(&gradient) && velocity.as_ref().is_none_or(plain)) {
            return self.fallback(weights, gradient, velocity);
        }
        let primitive = |tensor: Tensor<D>| tensor.try_into_primitive::<Flex>().expect("it is on `flex`");
        let (weights, velocity) =
            self.on_cpu(primitive(weights), &primitive(gradient), velocity.map(primitive));
        let tensor = Tensor::from_primitive::<Flex>;
        (tensor(weights), velocity.map(tensor))
    }

    /// The squares of what the update takes as the gradient before it is scaled: (g + l2_slope · w)².
    ///
    /// # Panics
    ///
    /// If the shapes differ.
    #[track_caller]
    pub fn squares<const D: usize>(&self, weights: Tensor<D>, gradient: Tensor<D>) -> Tensor<D> {
        assert_eq!(weights.dims(), gradient.dims(), "weights and gradient of different shapes");
        if !(plain(&weights) && plain(&gradient)) {
            return self.penalised(&weights, gradient).square();
        }
        let shape = gradient.dims();
        let [weights, gradient] = [weights, gradient]
            .map(|tensor| contiguous(tensor.try_into_primitive::<Flex>().expect("it is on `flex`")));
        let l2_slope = self.l2_slope as f32;
        let pairs = values(&weights).par_iter().zip(values(&gradient)).with_min_len(TASK);
        let squares = pairs.map(|(w, g)| (g + w * l2_slope).powi(2)).collect();
        Tensor::from_primitive::<Flex>(to_tensor(squares, &shape))
    }

    /// g + l2_slope · w, by Burn's operations.
    fn penalised<const D: usize>(&self, weights: &Tensor<D>, gradient: Tensor<D>) -> Tensor<D> {
        match self.l2_slope {
            0.0 => gradient,
            l2_slope => gradient + weights.clone().mul_scalar(l2_slope),
        }
    }

    /// How far l1 moves a weight.
    fn threshold(&self) -> f64 {
        if self.learning_rate as f32 == 0.0 { 0.0 } else { self.learning_rate * self.l1 }
    }

    /// The same by Burn's operations, for devices without kernels.
    pub(crate) fn fallback<const D: usize>(
        &self,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        velocity: Option<Tensor<D>>,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        let mut gradient = self.penalised(&weights, gradient);
        if self.scale != 1.0 {
            gradient = gradient.mul_scalar(self.scale);
        }
        let (weights, velocity) = if self.momentum == 0.0 {
            (weights - gradient.mul_scalar(self.learning_rate), None)
        } else {
            let velocity = match velocity {
                Some(velocity) => velocity.mul_scalar(self.momentum) + gradient.clone(),
                None => gradient.clone(),
            };
            let direction = match self.nesterov {
                true => gradient + velocity.clone().mul_scalar(self.momentum),
                false => velocity.clone(),
            };
            (weights - direction.mul_scalar(self.learning_rate), Some(velocity))
        };
        let threshold = self.threshold();
        if threshold == 0.0 {
            return (weights, velocity);
        }
        let shrunk = weights.clone() - weights.clone().clamp(-threshold, threshold);
        let velocity =
            velocity.map(|velocity| velocity + (weights - shrunk.clone()).div_scalar(self.learning_rate));
        (shrunk, velocity)
    }

    fn on_cpu(
        &self,
        weights: CpuTensor,
        gradient: &CpuTensor,
        velocity: Option<CpuTensor>,
    ) -> (CpuTensor, Option<CpuTensor>) {
        let shape = weights.shape().to_vec();
        let gradient = contiguous(gradient.clone());
        let gradient = values(&gradient);
        let mut weights = owned(weights);
        if self.momentum == 0.0 {
            let weights = weights.storage_mut::<f32>();
            let task = |(weights, gradient): (&mut [f32], &[f32])| self.descend(weights, gradient);
            if weights.len() > TASK {
                weights.par_chunks_mut(TASK).zip(gradient.par_chunks(TASK)).for_each(task);
            } else {
                task((weights, gradient));
            }
        } else {
            let velocity = velocity.unwrap_or_else(|| to_tensor(vec![0.0; gradient.len()], &shape));
            let mut velocity = owned(velocity);
            let task = |((weights, velocity), gradient): ((&mut [f32], &mut [f32]), &[f32])| {
                self.descend_with_velocity(weights, gradient, velocity);
            };
            {
                let (weights, velocity) = (weights.storage_mut::<f32>(), velocity.storage_mut::<f32>());
                if weights.len() > TASK {
                    let both = weights.par_chunks_mut(TASK).zip(velocity.par_chunks_mut(TASK));
                    both.zip(gradient.par_chunks(TASK)).for_each(task);
                } else {
                    task(((weights, velocity), gradient));
                }
            }
            return (weights, Some(velocity));
        }
        (weights, None)
    }

    // Each product and sum is rounded, in the order of `fallback`, so that both give the same bits.

    fn descend(&self, weights: &mut [f32], gradient: &[f32]) {
        let [l2_slope, scale, learning_rate] =
            [self.l2_slope, self.scale, self.learning_rate].map(|x| x as f32);
        for (w, g) in weights.iter_mut().zip(gradient) {
            let g = (g + *w * l2_slope) * scale;
            *w -= g * learning_rate;
        }
        let threshold = self.threshold() as f32;
        if threshold > 0.0 {
            weights.iter_mut().for_each(|w| *w -= w.clamp(-threshold, threshold));
        }
    }

    fn descend_with_velocity(&self, weights: &mut [f32], gradient: &[f32], velocity: &mut [f32]) {
        let [l2_slope, scale, learning_rate] =
            [self.l2_slope, self.scale, self.learning_rate].map(|x| x as f32);
        let momentum = self.momentum as f32;
        let rows = weights.iter_mut().zip(&mut *velocity).zip(gradient);
        // The choice is made outside of the loop, which is then nothing but arithmetic.
        if self.nesterov {
            for ((w, v), g) in rows {
                let g = (g + *w * l2_slope) * scale;
                *v = *v * momentum + g;
                *w -= (g + *v * momentum) * learning_rate;
            }
        } else {
            for ((w, v), g) in rows {
                let g = (g + *w * l2_slope) * scale;
                *v = *v * momentum + g;
                *w -= *v * learning_rate;
            }
        }
        let threshold = self.threshold() as f32;
        if threshold > 0.0 {
            for (w, v) in weights.iter_mut().zip(velocity) {
                let shrunk = *w - w.clamp(-threshold, threshold);
                *v += (*w - shrunk) / learning_rate;
                *w = shrunk;
            }
        }
    }
}

/// Whether the kernels run on it, and nothing is recorded.
fn plain<const D: usize>(tensor: &Tensor<D>) -> bool {
    is_on_cpu(tensor) && !tensor.is_autodiff()
}

/// Contiguous from the start of its buffer, so that `storage_mut` is its values.
pub(crate) fn owned(tensor: CpuTensor) -> CpuTensor {
    let tensor = contiguous(tensor);
    if tensor.bytes().len() == size_of_val(values(&tensor)) {
        tensor
    } else {
        let shape = tensor.shape().to_vec();
        to_tensor(values(&tensor).to_vec(), &shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;
    use burn::tensor::{Device, TensorData};

    fn tensor(stream: u64, shape: [usize; 2]) -> Tensor<2> {
        let values = random(stream, shape.iter().product());
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    fn host(tensor: &Tensor<2>) -> Vec<f32> {
        tensor.to_data().try_to_vec().unwrap()
    }

    #[test]
    fn kernel_and_burn_give_the_same_bits() {
        let plain = SgdUpdate {
            learning_rate: 0.3,
            momentum: 0.0,
            nesterov: false,
            l2_slope: 0.0,
            scale: 1.0,
            l1: 0.0,
        };
        let momentum = SgdUpdate { momentum: 0.9, l2_slope: 0.02, ..plain };
        let shrinking = [plain, momentum].map(|update| SgdUpdate { l1: 0.7, ..update });
        let nesterov = SgdUpdate { nesterov: true, scale: 0.7, ..momentum };
        for update in [plain, momentum, nesterov].into_iter().chain(shrinking) {
            for shape in [[1, 1], [3, 7], [300, 211]] {
                let (mut weights, mut velocity) = (tensor(1, shape), None);
                let (mut expected, mut expected_velocity) = (weights.clone(), None);
                for step in 2..5 {
                    let gradient = tensor(step, shape);
                    let penalised = update.penalised(&weights, gradient.clone());
                    let squares = update.squares(weights.clone(), gradient.clone());
                    assert_eq!(host(&squares), host(&penalised.square()), "{update:?}");
                    (weights, velocity) = update.apply(weights, gradient.clone(), velocity);
                    (expected, expected_velocity) = update.fallback(expected, gradient, expected_velocity);
                }
                assert_eq!(host(&weights), host(&expected), "{update:?}");
                assert_eq!(velocity.map(|v| host(&v)), expected_velocity.map(|v| host(&v)), "{update:?}");
            }
        }
    }

    #[test]
    fn a_buffer_that_someone_else_holds_is_left_alone() {
        let update = SgdUpdate {
            learning_rate: 1.0,
            momentum: 0.9,
            nesterov: true,
            l2_slope: 0.0,
            scale: 1.0,
            l1: 0.0,
        };
        let (weights, gradient, velocity) = (tensor(1, [2, 3]), tensor(2, [2, 3]), tensor(3, [2, 3]));
        let before = [&weights, &gradient, &velocity].map(host);
        let (moved, _) = update.apply(weights.clone(), gradient.clone(), Some(velocity.clone()));
        assert_ne!(host(&moved), before[0]);
        assert_eq!([&weights, &gradient, &velocity].map(host), before);
        // A view: transposed, and a part of a larger buffer.
        let part = weights.clone().transpose().narrow(0, 1, 1);
        let (moved, _) = update.apply(part.clone(), part.clone(), None);
        assert_eq!(moved.dims(), [1, 2]);
        assert_eq!(host(&weights), before[0]);
        assert_eq!(host(&moved), host(&update.fallback(part.clone(), part, None).0));
    }
}
