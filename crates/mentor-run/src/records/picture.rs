//! Images in the files of a run, for the report.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mentor_data::{DataError, Dataset};
use serde::{Deserialize, Serialize};

/// Longer side of a thumbnail, at most: there are hundreds of them.
const MAX_SIDE: usize = 64;

/// An image as bytes: `[channels, height, width]`, base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// 1 or 3.
    pub channels: usize,
    /// Pixels.
    pub height: usize,
    /// Pixels.
    pub width: usize,
    /// `channels * height * width` bytes, channel by channel, base64 (standard alphabet, padded).
    pub pixels: String,
}

impl Picture {
    /// The image of a sample, as its data set holds it.
    ///
    /// # Errors
    ///
    /// [`DataError`] if it cannot be read.
    pub fn of(dataset: &Dataset, sample: usize) -> Result<Self, DataError> {
        Ok(Self::new(dataset.format().shape(), &bytes(dataset, sample)?))
    }

    /// The image of a sample, at most 64 pixels high and wide.
    ///
    /// # Errors
    ///
    /// [`DataError`] if it cannot be read.
    pub fn thumbnail(dataset: &Dataset, sample: usize) -> Result<Self, DataError> {
        let (shape, bytes) = shrink(dataset.format().shape(), &bytes(dataset, sample)?);
        Ok(Self::new(shape, &bytes))
    }

    /// The image of a sample, at most `side` pixels high and wide.
    ///
    /// # Errors
    ///
    /// [`DataError`] if it cannot be read.
    pub fn shrunk(dataset: &Dataset, sample: usize, side: usize) -> Result<Self, DataError> {
        let (shape, bytes) = shrink_to(side, dataset.format().shape(), &bytes(dataset, sample)?);
        Ok(Self::new(shape, &bytes))
    }

    fn new([channels, height, width]: [usize; 3], bytes: &[u8]) -> Self {
        Self { channels, height, width, pixels: STANDARD.encode(bytes) }
    }
}

fn bytes(dataset: &Dataset, sample: usize) -> Result<Vec<u8>, DataError> {
    let mut bytes = vec![0; dataset.format().num_values()];
    dataset.read(sample, &mut bytes)?;
    Ok(bytes)
}

/// At most [`MAX_SIDE`] high and wide.
fn shrink(shape: [usize; 3], bytes: &[u8]) -> ([usize; 3], Vec<u8>) {
    shrink_to(MAX_SIDE, shape, bytes)
}

/// At most `most` pixels high and wide: each pixel the mean of a square of pixels, of what there is of it at
/// the edges.
fn shrink_to(most: usize, [channels, height, width]: [usize; 3], bytes: &[u8]) -> ([usize; 3], Vec<u8>) {
    let side = height.max(width).div_ceil(most.max(1)).max(1);
    let mean = |channel: usize, row: usize, column: usize| {
        let rows = row * side..height.min((row + 1) * side);
        let columns = column * side..width.min((column + 1) * side);
        let area = rows.len() * columns.len();
        let square = rows.flat_map(|row| &bytes[(channel * height + row) * width..][columns.clone()]);
        // The mean of bytes, rounded, is a byte.
        ((square.map(|&byte| usize::from(byte)).sum::<usize>() + area / 2) / area) as u8
    };
    let (rows, columns) = (height.div_ceil(side), width.div_ceil(side));
    let mut means = Vec::with_capacity(channels * rows * columns);
    for channel in 0..channels {
        for row in 0..rows {
            means.extend((0..columns).map(|column| mean(channel, row, column)));
        }
    }
    ([channels, rows, columns], means)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_picture_keeps_its_pixels() {
        let bytes = [1, 2, 3, 4, 5, 6];
        assert_eq!(shrink([1, 2, 3], &bytes), ([1, 2, 3], bytes.to_vec()));
    }

    #[test]
    fn a_large_picture_is_shrunk_by_means_of_squares() {
        // Squares of 2: a pair of columns 10 and 21, and a last column without its pair.
        let row = [[10, 21].repeat(32), vec![7]].concat();
        let (shape, shown) = shrink([1, 2, 65], &[row.clone(), row].concat());
        assert_eq!(shape, [1, 1, 33]);
        assert_eq!((shown[0], shown[31], shown[32]), (16, 16, 7));
        let planes = [vec![1; 130 * 70], vec![2; 130 * 70], vec![3; 130 * 70]].concat();
        let (shape, shown) = shrink([3, 70, 130], &planes);
        assert_eq!(shape, [3, 24, 44]);
        assert_eq!(shown, [[1; 24 * 44], [2; 24 * 44], [3; 24 * 44]].concat());
    }
}
