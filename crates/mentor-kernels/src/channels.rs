//! Work on one channel of `[B, C, H, W]` after the other: its planes lie apart in memory.

use rayon::prelude::*;

use crate::buffer::filled;

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
    pub(crate) fn of_channel(self, values: &[f32], channel: usize) -> impl Iterator<Item = &[f32]> {
        values.chunks_exact(self.plane).skip(channel).step_by(self.channels)
    }
}

/// Runs `task(channel, planes to write)` for each channel, on all threads; gives what was written, `[B, C, plane]`,
/// and what the tasks returned, by channel.
///
/// No size may be 0.
pub(crate) fn for_each_channel<R: Send>(
    planes: Planes,
    task: impl Fn(usize, Vec<&mut [f32]>) -> R + Sync,
) -> (Vec<f32>, Vec<R>) {
    let mut written = filled(planes.batch * planes.channels * planes.plane);
    let mut by_channel: Vec<Vec<&mut [f32]>> =
        (0..planes.channels).map(|_| Vec::with_capacity(planes.batch)).collect();
    for (index, plane) in written.chunks_exact_mut(planes.plane).enumerate() {
        by_channel[index % planes.channels].push(plane);
    }
    let results =
        by_channel.into_par_iter().enumerate().map(|(channel, planes)| task(channel, planes)).collect();
    (written, results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_reads_and_writes_its_own_planes() {
        let planes = Planes::of(&[2, 3, 1, 2]);
        let values: Vec<f32> = (0..12).map(|value| value as f32).collect();
        let (written, sums) = for_each_channel(planes, |channel, to| {
            for (from, to) in planes.of_channel(&values, channel).zip(to) {
                to.copy_from_slice(from);
            }
            planes.of_channel(&values, channel).flatten().sum::<f32>()
        });
        assert_eq!(written, values);
        assert_eq!(sums, [0.0 + 1.0 + 6.0 + 7.0, 2.0 + 3.0 + 8.0 + 9.0, 4.0 + 5.0 + 10.0 + 11.0]);
    }
}
