//! First values of the parameters: a pure function of (seed, position of the parameter in its network).
//!
//! Values are drawn on the host by `mentor_random`, so that every device starts at the same bits, and lazily,
//! so that counting the parameters of a network, or loading its weights, draws nothing.

use burn::module::{Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};
use mentor_random::{Purpose, Stream};

/// How the values of one parameter begin.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fill {
    Zeros,
    Ones,
    /// Normal with variance 2 / fan (He et al. 2015, equations 10 and 14), for layers before a ReLU.
    HeNormal {
        fan: usize,
    },
    /// Uniform in ±1/√fan_in, for classifiers.
    Uniform {
        fan_in: usize,
    },
    /// Normal with this deviation, drawn again beyond two of them, for transformers.
    TruncatedNormal {
        deviation: f32,
    },
}

impl Fill {
    fn values(self, seed: u64, parameter: u64, count: usize) -> Vec<f32> {
        let mut stream = Stream::new(seed, Purpose::Weights, &[parameter]);
        match self {
            Self::Zeros => vec![0.0; count],
            Self::Ones => vec![1.0; count],
            Self::HeNormal { fan } => {
                let deviation = (2.0 / fan as f64).sqrt() as f32;
                (0..count).map(|_| deviation * stream.normal()).collect()
            }
            Self::Uniform { fan_in } => {
                let bound = (1.0 / fan_in as f64).sqrt() as f32;
                (0..count).map(|_| stream.uniform_in(-bound, bound)).collect()
            }
            Self::TruncatedNormal { deviation } => {
                let draws = std::iter::repeat_with(|| stream.normal()).filter(|draw| draw.abs() <= 2.0);
                draws.take(count).map(|draw| deviation * draw).collect()
            }
        }
    }
}

/// Hands out the parameters of one network in the order in which they are asked for.
#[derive(Debug)]
pub(crate) struct Init<'a> {
    seed: u64,
    device: &'a Device,
    next: u64,
    num_values: u64,
}

impl<'a> Init<'a> {
    pub(crate) fn new(seed: u64, device: &'a Device) -> Self {
        Self { seed, device, next: 0, num_values: 0 }
    }

    pub(crate) fn device(&self) -> &'a Device {
        self.device
    }

    /// How many values were promised so far. It saturates, so that an absurd network is still counted as one.
    pub(crate) fn num_values(&self) -> u64 {
        self.num_values
    }

    /// Identity of the next parameter or buffer: its position, so that a restarted process gives the same.
    pub(crate) fn next_id(&mut self) -> ParamId {
        self.next += 1;
        ParamId::from(self.next)
    }

    pub(crate) fn parameter<const D: usize>(&mut self, shape: [usize; D], fill: Fill) -> Param<Tensor<D>> {
        let id = self.next_id();
        let count = shape.iter().fold(1u64, |product, &side| product.saturating_mul(side as u64));
        self.num_values = self.num_values.saturating_add(count);
        let seed = self.seed;
        let draw = move |device: &Device, require_grad: bool| {
            let values = fill.values(seed, id.val(), shape.iter().product());
            Tensor::from_data(TensorData::new(values, shape), device).set_require_grad(require_grad)
        };
        Param::uninitialized(id, draw, self.device.clone(), true, shape.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_values_have_the_stated_spread() {
        let count = 50_000;
        let normal = Fill::HeNormal { fan: 8 }.values(3, 1, count);
        let variance = normal.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() / count as f64;
        assert!((variance - 0.25).abs() < 0.01, "{variance}");

        let uniform = Fill::Uniform { fan_in: 16 }.values(3, 1, count);
        let largest = uniform.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        assert!(largest <= 0.25 && largest > 0.249, "{largest}");

        let cut = Fill::TruncatedNormal { deviation: 0.02 }.values(3, 1, count);
        assert_eq!(cut.len(), count);
        let largest = cut.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        assert!(largest <= 0.04 && largest > 0.039, "{largest}");
        // Cut off at two deviations a normal keeps 0.77374 of its variance.
        let variance = cut.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() / count as f64;
        assert!((variance / 4e-4 - 0.773_74).abs() < 0.015, "{variance}");
    }

    #[test]
    fn parameters_of_one_seed_differ_from_each_other_and_from_another_seed() {
        let draw = |seed, parameter| Fill::HeNormal { fan: 2 }.values(seed, parameter, 4);
        assert_eq!(draw(0, 1), draw(0, 1));
        assert_ne!(draw(0, 1), draw(0, 2));
        assert_ne!(draw(0, 1), draw(1, 1));
    }
}
