//! A batch in host memory.

/// A batch in host memory.
#[derive(Clone, Debug, PartialEq)]
pub struct HostBatch {
    /// Normalised pixels, `[batch, channel, height, width]`.
    pub pixels: Vec<f32>,
    /// Shape of `pixels`.
    pub shape: [usize; 4],
    /// The class index of each sample; empty if the data set has no labels.
    pub targets: Vec<u32>,
    /// The index of each sample in the data set.
    pub samples: Vec<u32>,
    /// Which version of its samples it shows: [`Order::version`](crate::Order::version).
    pub version: u64,
}
