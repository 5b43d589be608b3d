//! Mean, variance and their sums for each channel.

use crate::host::buffer::{CpuTensor, to_tensor, values};

/// Mean and variance of a channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moments {
    pub(super) mean: f32,
    pub(super) variance: f32,
}

impl Moments {
    /// Those of each channel, from contiguous tensors `[C]`.
    pub(super) fn from_tensors(mean: &CpuTensor, variance: &CpuTensor) -> Vec<Self> {
        let pairs = values(mean).iter().zip(values(variance));
        pairs.map(|(&mean, &variance)| Self { mean, variance }).collect()
    }

    pub(super) fn to_tensors(moments: &[Self]) -> (CpuTensor, CpuTensor) {
        let channels = [moments.len()];
        let mean = moments.iter().map(|moments| moments.mean).collect();
        let variance = moments.iter().map(|moments| moments.variance).collect();
        (to_tensor(mean, &channels), to_tensor(variance, &channels))
    }

    /// 1 / √(σ² + ε).
    pub(super) fn inverse_deviation(self, epsilon: f64) -> f32 {
        (1.0 / (f64::from(self.variance) + epsilon).sqrt()) as f32
    }
}

/// y = scale · (x − mean) + shift, and its positive part with the ReLU.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine {
    pub(super) mean: f32,
    pub(super) scale: f32,
    pub(super) shift: f32,
    pub(super) relu: bool,
}

/// dx = of_gradient · g + of_deviation · (x − mean) + constant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slope {
    pub(super) mean: f32,
    pub(super) of_gradient: f32,
    pub(super) of_deviation: f32,
    pub(super) constant: f32,
}

impl Slope {
    /// From Σ g and Σ g x̂ over the `count` values whose mean and variance were taken, or with a count of
    /// infinity if those are constants.
    pub(super) fn new(
        affine: Affine,
        inverse_deviation: f32,
        [sum, sum_of_products]: [f64; 2],
        count: f64,
    ) -> Self {
        let scale = f64::from(affine.scale);
        Self {
            mean: affine.mean,
            of_gradient: affine.scale,
            of_deviation: (-scale * f64::from(inverse_deviation) * sum_of_products / count) as f32,
            constant: (-scale * sum / count) as f32,
        }
    }
}
