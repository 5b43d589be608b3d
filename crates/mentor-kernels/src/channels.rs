//! Work on one channel of `[B, C, H, W]` after the other: its planes lie apart in memory.

/// The planes of one channel, to be written.
pub(crate) type Written<'a> = Vec<&'a mut [f32]>;

/// The sizes of `[batch, channels, plane]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planes {
    pub(crate) batch: usize,
    pub(crate) channels: usize,
    pub(crate) plane: usize,
}

impl Planes {
    /// Those of a tensor `[B, C, …]`.
    pub(crate) fn of(shape: &[usize]) -> Self {
        Self { batch: shape[0], channels: shape[1], plane: shape[2..].iter().product() }
    }

    /// The planes of one channel, in the order of the batch.
    pub(crate) fn channel(self, values: &[f32], channel: usize) -> Vec<&[f32]> {
        values.chunks_exact(self.plane).skip(channel).step_by(self.channels).collect()
    }

    /// The planes of each channel, for tasks that write them.
    pub(crate) fn split(self, values: &mut [f32]) -> Vec<Written<'_>> {
        let mut channels: Vec<_> = (0..self.channels).map(|_| Vec::with_capacity(self.batch)).collect();
        for (index, plane) in values.chunks_exact_mut(self.plane).enumerate() {
            channels[index % self.channels].push(plane);
        }
        channels
    }
}

/// Planes that were written, to be read.
pub(crate) fn shared<'a>(planes: &'a [&mut [f32]]) -> Vec<&'a [f32]> {
    planes.iter().map(|plane| &**plane).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_a_plane_of_every_image() {
        let planes = Planes::of(&[2, 3, 1, 2]);
        let mut values: Vec<f32> = (0..12).map(|value| value as f32).collect();
        assert_eq!(planes.channel(&values, 1), [[2.0, 3.0], [8.0, 9.0]]);
        for (channel, mut planes) in planes.split(&mut values).into_iter().enumerate() {
            planes[1][0] = -(channel as f32);
            assert_eq!(shared(&planes)[1][0], -(channel as f32));
        }
        assert_eq!(values[6..], [0.0, 7.0, -1.0, 9.0, -2.0, 11.0]);
    }
}
