//! Work on the channels of `[B, C, H, W]`, whose planes lie apart in memory.
//!
//! A task is a few neighbouring channels, so that what it reads of each image is a run of at least [`RUN`]
//! values: a machine fetches ahead within a page of memory, not across planes of a few lines.

use std::ops::Range;

/// 4 KiB.
const RUN: usize = 1024;

/// The planes of a group of channels, to be written: image after image.
pub(crate) type Written<'a> = Vec<&'a mut [f32]>;

/// The sizes of `[batch, channels, plane]`, and the channels of a group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planes {
    pub(crate) batch: usize,
    pub(crate) channels: usize,
    pub(crate) plane: usize,
    group: usize,
}

impl Planes {
    /// Those of a tensor `[B, C, …]` that is not empty.
    pub(crate) fn of(shape: &[usize]) -> Self {
        let plane = shape[2..].iter().product();
        Self { batch: shape[0], channels: shape[1], plane, group: RUN.div_ceil(plane) }
    }

    /// The channels of a group.
    pub(crate) fn channels_of(self, group: usize) -> Range<usize> {
        group * self.group..((group + 1) * self.group).min(self.channels)
    }

    /// The planes of a group, image after image.
    pub(crate) fn read(self, values: &[f32], group: usize) -> Vec<&[f32]> {
        let Range { start, end } = self.channels_of(group);
        let images = values.chunks_exact(self.channels * self.plane);
        images
            .flat_map(|image| image[start * self.plane..end * self.plane].chunks_exact(self.plane))
            .collect()
    }

    /// The planes of each group, for tasks that write them.
    pub(crate) fn split(self, values: &mut [f32]) -> Vec<Written<'_>> {
        let groups = 0..self.channels.div_ceil(self.group);
        let mut groups: Vec<_> = groups.map(|_| Vec::with_capacity(self.batch * self.group)).collect();
        for (index, plane) in values.chunks_exact_mut(self.plane).enumerate() {
            groups[index % self.channels / self.group].push(plane);
        }
        groups
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
    fn a_group_is_neighbouring_planes_of_every_image() {
        let planes = Planes { batch: 2, channels: 3, plane: 2, group: 2 };
        let mut values: Vec<f32> = (0..12).map(|value| value as f32).collect();
        assert_eq!(planes.read(&values, 0), [[0.0, 1.0], [2.0, 3.0], [6.0, 7.0], [8.0, 9.0]]);
        assert_eq!(planes.read(&values, 1), [[4.0, 5.0], [10.0, 11.0]]);
        let [mut first, mut second] = planes.split(&mut values).try_into().unwrap();
        (first[3][0], second[1][1]) = (-1.0, -2.0);
        assert_eq!(shared(&first).len(), 4);
        assert_eq!(values[6..], [6.0, 7.0, -1.0, 9.0, 10.0, -2.0]);
    }

    #[test]
    fn groups_are_runs_of_a_page_and_cover_all_channels() {
        for (shape, groups) in [([1, 5, 64, 64], 5), ([2, 20, 8, 8], 2), ([1, 3, 1, 1], 1)] {
            let planes = Planes::of(&shape);
            let covered: Vec<usize> = (0..groups).flat_map(|group| planes.channels_of(group)).collect();
            assert_eq!(covered, (0..shape[1]).collect::<Vec<_>>());
            assert_eq!(planes.split(&mut vec![0.0; shape.iter().product()]).len(), groups);
        }
    }
}
