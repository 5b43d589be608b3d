//! Sums over the pixels of each channel, from which mean and deviation follow.

use crate::format::ImageFormat;

/// Sums over the pixels of one channel. Integers, so that the order of addition does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChannelSums {
    pub(crate) sum: u64,
    pub(crate) sum_of_squares: u64,
}

impl ChannelSums {
    /// Those of an image `[channel, height, width]`; zeros for the channels that it does not have.
    pub(crate) fn of_image(image: &[u8], format: &ImageFormat) -> [Self; 3] {
        let mut sums = [Self::default(); 3];
        for (sums, plane) in sums.iter_mut().zip(image.chunks_exact(format.height * format.width)) {
            *sums = Self::of(plane);
        }
        sums
    }

    fn of(plane: &[u8]) -> Self {
        plane.iter().fold(Self::default(), |sums, &byte| {
            let value = u64::from(byte);
            Self { sum: sums.sum + value, sum_of_squares: sums.sum_of_squares + value * value }
        })
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self { sum: self.sum + other.sum, sum_of_squares: self.sum_of_squares + other.sum_of_squares }
    }
}
