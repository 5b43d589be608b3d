//! A few images on their way through a network, and the memory for them.

use super::kernels::columns::Pixels;
use super::kernels::padded;

/// `[image, row, column, channel]`.
#[derive(Debug)]
pub(crate) struct ImageBatch {
    pub(crate) images: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
    /// Values from one pixel to the next; those past the channels are zeros.
    pub(crate) stride: usize,
    pub(crate) values: Vec<f32>,
}

impl ImageBatch {
    /// Of what the scratch has, with padded channels and values from before.
    pub(crate) fn take(
        images: usize,
        [height, width]: [usize; 2],
        channels: usize,
        scratch: &mut Scratch,
    ) -> Self {
        let stride = padded(channels);
        let values = scratch.take(images * height * width * stride);
        Self { images, height, width, channels, stride, values }
    }

    /// Normalised pixels `[image, row, column, 3]`.
    pub(crate) fn of_pixels(pixels: &[f32], [height, width]: [usize; 2], scratch: &mut Scratch) -> Self {
        let mut values = scratch.take(pixels.len());
        values.copy_from_slice(pixels);
        let images = pixels.len() / (height * width * 3);
        Self { images, height, width, channels: 3, stride: 3, values }
    }

    /// Values of an image.
    pub(crate) fn image_len(&self) -> usize {
        self.height * self.width * self.stride
    }

    /// Where the pixels of an image lie.
    pub(crate) fn pixels(&self, image: usize) -> Pixels<'_> {
        let values = &self.values[image * self.image_len()..][..self.image_len()];
        let Self { height, width, channels, stride, .. } = *self;
        Pixels { values, height, width, channels, stride }
    }
}

/// Memory that layers take and give back, so that the allocator does not fetch fresh pages for each.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    free: Vec<Vec<f32>>,
}

impl Scratch {
    /// `len` values, whatever they were: the smallest that is large enough, or the largest there is.
    pub(crate) fn take(&mut self, len: usize) -> Vec<f32> {
        let fits = |at: &usize| self.free[*at].capacity() >= len;
        let smallest = (0..self.free.len()).filter(fits).min_by_key(|&at| self.free[at].capacity());
        let largest = || (0..self.free.len()).max_by_key(|&at| self.free[at].capacity());
        let mut values = smallest.or_else(largest).map(|at| self.free.swap_remove(at)).unwrap_or_default();
        values.resize(len, 0.0);
        values
    }

    /// Memory for whoever takes next.
    pub(crate) fn give(&mut self, values: Vec<f32>) {
        self.free.push(values);
    }
}
