//! What a forward pass takes besides images.

/// Whether the network trains or infers. An argument of the call, so that no model is ever left in the
/// wrong mode.
#[derive(Clone, Copy, Debug)]
pub enum Pass<'a> {
    /// No noise; batch normalisation uses its running statistics and does not change them.
    Inference,
    /// Dropout and stochastic depth act; batch normalisation uses the batch's statistics and updates its
    /// running ones.
    Training(&'a Noise<'a>),
}

impl Pass<'_> {
    /// The epoch of training, from 0; 0 where nothing is trained.
    pub fn epoch(&self) -> u64 {
        match self {
            Self::Inference => 0,
            Self::Training(noise) => noise.epoch,
        }
    }
}

/// What identifies the noise of a batch: every mask is a pure function of `(seed, epoch, sample, layer)`,
/// whatever else is in the batch.
///
/// Two draws for the same sample in the same epoch are the same mask. A caller who wants two views of a sample
/// in one epoch, or who feeds samples of two data sets whose indices overlap, gives them different seeds.
#[derive(Clone, Copy, Debug)]
pub struct Noise<'a> {
    /// The run's seed.
    pub seed: u64,
    /// The epoch, from 0.
    pub epoch: u64,
    /// Index in the data set of each image of the batch.
    pub samples: &'a [u32],
}
