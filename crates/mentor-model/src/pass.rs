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
    /// The number of the draw, from 0; 0 in inference.
    pub fn draw(&self) -> u64 {
        match self {
            Self::Inference => 0,
            Self::Training(noise) => noise.draw,
        }
    }
}

/// The key of a batch's noise: every mask is a pure function of `(seed, draw, sample, layer)`, whatever else
/// is in the batch.
///
/// The same sample in the same draw has the same mask. A caller who wants two masks for a sample in one draw,
/// or who feeds samples of two data sets whose indices overlap, gives them different seeds.
#[derive(Clone, Copy, Debug)]
pub struct Noise<'a> {
    /// The run's seed.
    pub seed: u64,
    /// The number of the draw, from 0: the epoch, or the batch if a sample may occur several times in an
    /// epoch.
    pub draw: u64,
    /// Index in the data set of each image of the batch.
    pub samples: &'a [u32],
}
