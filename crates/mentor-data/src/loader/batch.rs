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
    /// The draw of its augmentation and dropout: [`Order::draw`](crate::Order::draw).
    pub draw: u64,
}
