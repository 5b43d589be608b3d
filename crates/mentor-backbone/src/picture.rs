//! An image file to the pixels that a network sees.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use mentor_codec::Picture;

use crate::error::BackboneError;
use crate::layouts::preprocessing::{BackbonePreprocessing, Filter};

/// Beyond this ratio of its sides only the middle of an image is resized: the ends would be cut off anyway.
const MAX_RATIO: usize = 4;

/// Reads and decodes an image file at its own size, after its length and its header were looked at.
///
/// # Errors
///
/// [`BackboneError::Io`], or [`BackboneError::Picture`] where the file is damaged or over a limit.
pub fn read_picture(path: &Path, max_pixels: u64, max_file_bytes: u64) -> Result<Picture, BackboneError> {
    let io = |source| BackboneError::Io { path: path.to_owned(), source };
    let bad = |reason: String| BackboneError::Picture { path: path.to_owned(), reason };
    let metadata = std::fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        return Err(bad("is no file".to_owned()));
    }
    let mut bytes = Vec::with_capacity(metadata.len().min(max_file_bytes) as usize);
    File::open(path)
        .map_err(io)?
        .take(max_file_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if bytes.len() as u64 > max_file_bytes {
        return Err(bad(format!("has more than {max_file_bytes} bytes")));
    }
    mentor_codec::decode(&bytes, max_pixels).map_err(|fault| bad(fault.to_string()))
}

impl BackbonePreprocessing {
    /// Values `[size, size, 3]`, in the order of torchvision's `Resize`, `CenterCrop`, `ToTensor` and
    /// `Normalize` on a picture of Pillow: bytes are resized to bytes.
    #[must_use]
    pub fn apply(&self, picture: &Picture) -> Vec<f32> {
        let size = self.size;
        let (height, width, bytes) = middle(picture);
        let short = ((size as f64 / self.crop).floor() as usize).max(size);
        let (to_height, to_width) = if height <= width {
            (short, (short * width / height).max(short))
        } else {
            ((short * height / width).max(short), short)
        };
        let filter = match self.filter {
            Filter::Bilinear => FilterType::Bilinear,
            Filter::Bicubic => FilterType::CatmullRom,
        };
        let mut resized = vec![0; 3 * to_height * to_width];
        resize(&bytes, [height, width], &mut resized, [to_height, to_width], filter);
        let (top, left) = (margin(to_height, size), margin(to_width, size));
        let table: Vec<[f32; 3]> = (0..=255_u8)
            .map(|byte| [0, 1, 2].map(|at| (f32::from(byte) / 255.0 - self.mean[at]) / self.std[at]))
            .collect();
        let mut values = Vec::with_capacity(3 * size * size);
        for row in resized.chunks_exact(3 * to_width).skip(top).take(size) {
            for pixel in row.as_chunks::<3>().0.iter().skip(left).take(size) {
                values.extend([0, 1, 2].map(|at| table[usize::from(pixel[at])][at]));
            }
        }
        values
    }
}

/// What is cut off before the middle, rounded to even as by Python.
fn margin(from: usize, to: usize) -> usize {
    let half = (from - to) / 2;
    if (from - to).is_multiple_of(2) { half } else { half + half % 2 }
}

/// The picture in colour, without the ends of a very long one.
fn middle(picture: &Picture) -> (usize, usize, Vec<u8>) {
    let Picture { channels, height, width, bytes, .. } = picture;
    let (high, wide) = ((*height).min(MAX_RATIO * width), (*width).min(MAX_RATIO * height));
    let (top, left) = ((height - high) / 2, (width - wide) / 2);
    let rows = bytes.chunks_exact(channels * width).skip(top).take(high);
    let rows = rows.map(|row| &row[channels * left..channels * (left + wide)]);
    let bytes = match channels {
        1 => rows.flatten().flat_map(|&gray| [gray; 3]).collect(),
        _ => rows.flatten().copied().collect(),
    };
    (high, wide, bytes)
}

fn resize(
    from: &[u8],
    [height, width]: [usize; 2],
    to: &mut [u8],
    [to_height, to_width]: [usize; 2],
    filter: FilterType,
) {
    if [height, width] == [to_height, to_width] {
        to.copy_from_slice(from);
        return;
    }
    let source = TypedImageRef::<U8x3>::from_buffer(width as u32, height as u32, from)
        .expect("rows of three bytes a pixel fill the image");
    let mut target = TypedImage::<U8x3>::from_buffer(to_width as u32, to_height as u32, to)
        .expect("rows of three bytes a pixel fill the image");
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).use_alpha(false);
    Resizer::new().resize_typed(&source, &mut target, &options).expect("nothing is cropped");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(height: usize, width: usize) -> Picture {
        let bytes = (0..height * width * 3).map(|at| (at * 7 % 251) as u8).collect();
        Picture { channels: 3, height, width, bytes, extent: None }
    }

    #[test]
    fn margins_are_those_of_torchvision() {
        assert_eq!(
            [(256, 224), (341, 224), (343, 224), (224, 224)].map(|(a, b)| margin(a, b)),
            [16, 58, 60, 0]
        );
    }

    #[test]
    fn an_image_of_the_right_size_is_normalised_and_no_more() {
        let (mean, std) = ([0.5, 0.25, 0.0], [0.5, 0.5, 1.0]);
        let preprocessing = BackbonePreprocessing { size: 4, crop: 1.0, filter: Filter::Bicubic, mean, std };
        let picture = picture(4, 4);
        let values = preprocessing.apply(&picture);
        assert_eq!(values.len(), 48);
        for (at, (value, &byte)) in values.iter().zip(&picture.bytes).enumerate() {
            assert_eq!(*value, (f32::from(byte) / 255.0 - mean[at % 3]) / std[at % 3]);
        }
    }

    #[test]
    fn any_shape_gives_a_square_and_takes_bounded_memory() {
        let [mean, std] = [[0.0; 3], [1.0; 3]];
        let preprocessing =
            BackbonePreprocessing { size: 32, crop: 0.875, filter: Filter::Bilinear, mean, std };
        for (height, width) in [(1, 1), (1, 100_000), (100_000, 1), (31, 77), (500, 32)] {
            assert_eq!(preprocessing.apply(&picture(height, width)).len(), 32 * 32 * 3, "{height}x{width}");
        }
        let gray = Picture { channels: 1, height: 2, width: 2, bytes: vec![51; 4], extent: None };
        assert!(preprocessing.apply(&gray).iter().all(|value| (value - 0.2).abs() < 1e-6));
    }
}
