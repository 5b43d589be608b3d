//! Dropout (Srivastava et al. 2014) whose masks are a pure function of (seed, epoch, sample, layer).

use burn::module::Module;
use burn::tensor::Tensor;
use mentor_random::{Purpose, Stream};

use crate::{Noise, Pass};

/// Inverted dropout: in training each value of a sample is kept with probability 1 − rate and then divided by
/// that probability, so that its expectation, and inference, are unchanged.
///
/// The probability is a multiple of 2⁻¹⁶, the nearest to 1 − rate that is neither 0 nor 1; the division uses
/// that multiple, so the expectation is exact. Four values share one 64-bit draw.
#[derive(Module, Debug)]
pub(crate) struct Dropout {
    rate: f64,
    layer: usize,
}

impl Dropout {
    /// `layer` tells the dropouts of a network apart.
    pub(crate) fn new(rate: f64, layer: usize) -> Self {
        Self { rate, layer }
    }

    /// Whether it changes anything.
    pub(crate) fn acts(&self, pass: &Pass<'_>) -> bool {
        self.rate > 0.0 && matches!(pass, Pass::Training(_))
    }

    /// Any shape `[B, …]`; the first axis is that of the samples.
    pub(crate) fn forward<const D: usize>(&self, input: Tensor<D>, pass: &Pass<'_>) -> Tensor<D> {
        let noise = match pass {
            Pass::Training(noise) if self.rate > 0.0 => noise,
            _ => return input,
        };
        let shape = input.dims();
        let width = shape[1..].iter().product();
        mentor_kernels::mask(input, self.mask(noise, width))
    }

    /// Row-major `[samples, width]`, each value 0 or 1/keep.
    fn mask(&self, noise: &Noise<'_>, width: usize) -> Vec<f32> {
        const STEPS: f64 = 65_536.0;
        let kept_steps = ((1.0 - self.rate) * STEPS).round().clamp(1.0, STEPS - 1.0);
        let threshold = kept_steps as u16;
        let scale = (STEPS / kept_steps) as f32;
        let mut mask = Vec::with_capacity(noise.samples.len() * width);
        for &sample in noise.samples {
            let key = [noise.draw, u64::from(sample), self.layer as u64];
            let mut stream = Stream::new(noise.seed, Purpose::Dropout, &key);
            let value = |bits: u16| if bits < threshold { scale } else { 0.0 };
            let quarters =
                |word: u64| [word, word >> 16, word >> 32, word >> 48].map(|part| value(part as u16));
            for _ in 0..width / 4 {
                mask.extend_from_slice(&quarters(stream.next_u64()));
            }
            if !width.is_multiple_of(4) {
                mask.extend_from_slice(&quarters(stream.next_u64())[..width % 4]);
            }
        }
        mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn noise(samples: &[u32]) -> Noise<'_> {
        Noise { seed: 9, draw: 2, samples }
    }

    #[test]
    fn the_mask_of_a_sample_does_not_depend_on_its_batch() {
        let dropout = Dropout::new(0.3, 1);
        for width in [1, 3, 4, 7, 1200] {
            let batch = dropout.mask(&noise(&[5, 40_000, 7]), width);
            assert_eq!(batch.len(), 3 * width);
            assert_eq!(batch[width..2 * width], dropout.mask(&noise(&[40_000]), width));
        }
    }

    #[test]
    fn masks_differ_between_samples_layers_epochs_and_seeds() {
        let base = Dropout::new(0.5, 0).mask(&noise(&[1]), 256);
        assert_ne!(base, Dropout::new(0.5, 0).mask(&noise(&[2]), 256));
        assert_ne!(base, Dropout::new(0.5, 1).mask(&noise(&[1]), 256));
        assert_ne!(base, Dropout::new(0.5, 0).mask(&Noise { draw: 3, ..noise(&[1]) }, 256));
        assert_ne!(base, Dropout::new(0.5, 0).mask(&Noise { seed: 8, ..noise(&[1]) }, 256));
    }

    #[test]
    fn the_expectation_is_one_and_the_rate_is_the_stated_one() {
        for rate in [0.1, 0.5, 0.8] {
            let mask = Dropout::new(rate, 0).mask(&noise(&[0]), 200_000);
            let mean = mask.iter().map(|&value| f64::from(value)).sum::<f64>() / 200_000.0;
            let dropped = mask.iter().filter(|&&value| value == 0.0).count() as f64 / 200_000.0;
            assert!((mean - 1.0).abs() < 0.02, "{rate}: {mean}");
            assert!((dropped - rate).abs() < 0.005, "{rate}: {dropped}");
        }
    }

    #[test]
    fn extreme_rates_stay_finite() {
        for rate in [1e-9, 1.0 - 1e-9] {
            let mask = Dropout::new(rate, 0).mask(&noise(&[0, 1]), 100_000);
            assert!(mask.iter().all(|value| value.is_finite()));
            assert!(mask.iter().any(|&value| value > 0.0), "{rate}");
        }
    }

    #[test]
    fn without_noise_the_input_passes_unchanged() {
        let input = Tensor::<2>::ones([2, 8], &Device::flex());
        let samples = [3, 4];
        let noise = noise(&samples);
        for (rate, pass) in [(0.5, Pass::Inference), (0.0, Pass::Training(&noise))] {
            let output = Dropout::new(rate, 0).forward(input.clone(), &pass);
            assert_eq!(output.into_data().try_to_vec::<f32>().unwrap(), [1.0; 16]);
        }
        let output = Dropout::new(0.5, 0).forward(input, &Pass::Training(&noise));
        let values = output.into_data().try_to_vec::<f32>().unwrap();
        assert!(values.iter().all(|&value| value == 0.0 || value == 2.0));
        assert!(values.contains(&0.0) && values.contains(&2.0));
    }
}
