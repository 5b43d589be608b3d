//! Random numbers as a pure function of a key, never of time, threads or what was drawn before.
//!
//! Everything random in mentor (weights, order, augmentation, dropout) draws from a [`Stream`] that is
//! opened with a [`Purpose`] and the numbers that identify the draw, such as `[epoch, sample]`. The
//! same key gives the same stream on every machine and for every number of threads, which is
//! what makes a run that was killed end in the same weights as one that was not.
//!
//! The generator is SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), its key mixed by the same finaliser.

/// What a stream is for. Two purposes never share a stream, whatever their indices are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// First values of a parameter: `[parameter]`.
    Weights = 1,
    /// Order of the samples in an epoch: `[epoch]`.
    Order = 2,
    /// Augmentation of one image: `[draw, sample]`.
    Augmentation = 3,
    /// Dropout of one sample in one layer: `[draw, sample, layer]`.
    Dropout = 4,
    /// Stochastic depth of one sample in one block: `[draw, sample, block]`.
    StochasticDepth = 5,
    /// Membership of the samples in splits: `[class]`.
    Split = 6,
    /// Resamples of a bootstrap: `[resample]`.
    Bootstrap = 16,
    /// Pairs and samples that stand for all in an analysis: `[figure, class]`.
    Analysis = 17,
    /// Which samples of a class keep their labels, and which of these are the audit set: `[class, 0 or 1]`.
    Labelled = 18,
    /// Where clusters begin: `[draw]`.
    Clusters = 32,
    /// Images that are chosen by chance: `[]`.
    Choice = 33,
    /// Parts of cross-validation: `[class]`.
    Folds = 34,
}

/// A stream of random numbers, a pure function of `(seed, purpose, indices)`.
///
/// ```
/// use mentor_random::{Purpose, Stream};
/// let draw = |sample| Stream::new(7, Purpose::Augmentation, &[0, sample]).next_u64();
/// assert_eq!(draw(1), draw(1));
/// assert_ne!(draw(1), draw(2));
/// ```
#[derive(Clone, Debug)]
pub struct Stream {
    state: u64,
}

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Stream {
    /// Opens the stream of `purpose` that `indices` identify, under the run's `seed`.
    pub fn new(seed: u64, purpose: Purpose, indices: &[u64]) -> Self {
        let absorb = |state: u64, word: u64| {
            mix(state.wrapping_add(GOLDEN_GAMMA) ^ mix(word.wrapping_add(GOLDEN_GAMMA)))
        };
        let state =
            indices.iter().fold(absorb(mix(seed), purpose as u64), |state, &index| absorb(state, index));
        Self { state }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// Uniform in `[0, 1)`, with 24 bits: every value is exact in `f32`.
    pub fn uniform(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// Uniform in `[low, high)`.
    pub fn uniform_in(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// Uniform in `0..bound`, without modulo bias (Lemire, 2019).
    ///
    /// # Panics
    ///
    /// If `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "Stream::below needs a bound of at least 1");
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            if product as u64 >= threshold {
                return (product >> 64) as u64;
            }
        }
    }

    /// Standard normal, by the polar method of Box and Muller.
    pub fn normal(&mut self) -> f32 {
        // 53-bit uniforms, the first in (0, 1] so that its logarithm is finite.
        let mut unit = || (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let radius = (-2.0 * (1.0 - unit()).ln()).sqrt();
        (radius * (std::f64::consts::TAU * unit()).cos()) as f32
    }

    /// A uniform permutation of `0..len` (Fisher and Yates).
    pub fn permutation(&mut self, len: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..len).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, self.below(last as u64 + 1) as usize);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_different_keys_differ() {
        let first = |seed, purpose, indices: &[u64]| Stream::new(seed, purpose, indices).next_u64();
        let base = first(0, Purpose::Dropout, &[0, 0, 0]);
        for other in [
            first(1, Purpose::Dropout, &[0, 0, 0]),
            first(0, Purpose::Order, &[0, 0, 0]),
            first(0, Purpose::Dropout, &[0, 0]),
            first(0, Purpose::Dropout, &[0, 0, 1]),
            first(0, Purpose::Dropout, &[1, 0, 0]),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn numbers_are_the_same_on_every_machine() {
        let mut stream = Stream::new(42, Purpose::Weights, &[3]);
        let drawn = [stream.next_u64(), stream.next_u64()];
        assert_eq!(
            drawn,
            [3_559_864_723_055_787_170, 3_910_822_652_320_330_502],
            "a change here changes every run"
        );
    }

    #[test]
    fn permutation_holds_every_index_once() {
        let mut order = Stream::new(1, Purpose::Order, &[0]).permutation(1000);
        assert_ne!(order, (0..1000).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut stream = Stream::new(5, Purpose::Weights, &[]);
        let count = 100_000;
        let uniform_mean = (0..count).map(|_| f64::from(stream.uniform())).sum::<f64>() / f64::from(count);
        let normals: Vec<f64> = (0..count).map(|_| f64::from(stream.normal())).collect();
        let mean = normals.iter().sum::<f64>() / f64::from(count);
        let variance = normals.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(count);
        assert!((uniform_mean - 0.5).abs() < 0.005, "{uniform_mean}");
        assert!(mean.abs() < 0.015 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }
}
