//! Stochastic depth (Huang et al. 2016), per sample, a pure function of (seed, epoch, sample, block).

use burn::module::Module;
use burn::tensor::Tensor;
use mentor_random::{Purpose, Stream};

use crate::{Noise, Pass};

/// In training the residual branch of a sample is dropped with a probability, and otherwise divided by the
/// probability of its survival, so that its expectation, and inference, are unchanged. (The paper
/// multiplies at inference instead, which is the same in expectation.)
#[derive(Module, Debug)]
pub(crate) struct StochasticDepth {
    drop_probability: f64,
    block: usize,
}

impl StochasticDepth {
    /// Block `block` (from 0) of `num_blocks`: the probability grows linearly, and the last block's is
    /// `last_probability`.
    pub(crate) fn new(last_probability: f64, block: usize, num_blocks: usize) -> Self {
        let drop_probability = last_probability * (block + 1) as f64 / num_blocks as f64;
        Self { drop_probability, block }
    }

    /// Whether it changes the branch in this pass.
    pub(crate) fn acts(&self, pass: &Pass<'_>) -> bool {
        matches!(pass, Pass::Training(_)) && self.drop_probability > 0.0
    }

    /// The branch `[B, …]` before it is added to the shortcut.
    pub(crate) fn forward<const D: usize>(&self, branch: Tensor<D>, pass: &Pass<'_>) -> Tensor<D> {
        let noise = match pass {
            Pass::Training(noise) if self.drop_probability > 0.0 => noise,
            _ => return branch,
        };
        mentor_kernels::mask(branch, self.mask(noise))
    }

    fn mask(&self, noise: &Noise<'_>) -> Vec<f32> {
        let survival = 1.0 - self.drop_probability;
        let factor = |&sample: &u32| {
            let key = [noise.draw, u64::from(sample), self.block as u64];
            let draw = Stream::new(noise.seed, Purpose::StochasticDepth, &key).uniform();
            if f64::from(draw) < survival { (1.0 / survival) as f32 } else { 0.0 }
        };
        noise.samples.iter().map(factor).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probability_grows_linearly_to_that_of_the_last_block() {
        let probabilities: Vec<f64> =
            (0..4).map(|block| StochasticDepth::new(0.2, block, 4).drop_probability).collect();
        for (probability, expected) in probabilities.iter().zip([0.05, 0.1, 0.15, 0.2]) {
            assert!((probability - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn a_branch_survives_with_its_probability_and_keeps_its_expectation() {
        let samples: Vec<u32> = (0..100_000).collect();
        let noise = Noise { seed: 1, draw: 0, samples: &samples };
        let mask = StochasticDepth::new(0.4, 1, 2).mask(&noise);
        let mean = mask.iter().map(|&factor| f64::from(factor)).sum::<f64>() / mask.len() as f64;
        let dropped = mask.iter().filter(|&&factor| factor == 0.0).count() as f64 / mask.len() as f64;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        assert!((dropped - 0.4).abs() < 0.01, "{dropped}");
        let alone = Noise { samples: &samples[777..778], ..noise };
        assert_eq!(StochasticDepth::new(0.4, 1, 2).mask(&alone), mask[777..778]);
    }
}
