//! An image: its header, its pixels, and the limit of their number.

use image::metadata::Orientation;

use crate::fault::Fault;

/// A decoded image, upright and without alpha.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// 1 (gray) or 3 (red, green, blue).
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `[height, width, channel]`.
    pub bytes: Vec<u8>,
    /// The values that the file stores, if bytes do not hold all of them.
    pub extent: Option<Extent>,
}

/// The smallest and the largest of the values that stand for colours in a file of 16 bits or floats. If they
/// lie close together beside what stands for white, few bytes are left of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// The darkest.
    pub min: f64,
    /// The brightest.
    pub max: f64,
    /// What stands for white: 65535, or 1 of floats.
    pub white: f64,
}

impl Extent {
    /// Of samples, the last of each `stride` of which is alpha if `has_alpha`.
    pub(crate) fn of<T: Copy + Into<f64>>(samples: &[T], stride: usize, has_alpha: bool, white: f64) -> Self {
        let colours = stride - usize::from(has_alpha);
        let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
        for pixel in samples.chunks_exact(stride) {
            for &value in &pixel[..colours] {
                (min, max) = (min.min(value.into()), max.max(value.into()));
            }
        }
        Self { min, max, white }
    }
}

/// What the first bytes of an image file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Rows of the upright image.
    pub height: usize,
    /// Columns of the upright image.
    pub width: usize,
    /// The file stores colour; its pixels may still all be gray.
    pub colour: bool,
    /// The file has the mark that ends an image. JPEG files of some cameras lack it, and PNG files that were
    /// cut by a few bytes; if all pixels are there, they are read.
    pub has_end: bool,
}

/// What a decoder may take for an image of `pixels`: every format's samples and coefficients, and 16 MiB for
/// what is no pixel.
pub(crate) fn allowance(pixels: u64) -> u64 {
    pixels.saturating_mul(32).saturating_add(16 << 20)
}

pub(crate) fn check_size(height: u64, width: u64, max_pixels: u64) -> Result<(), Fault> {
    if height == 0 || width == 0 {
        return Err(Fault::Damaged(format!("its header declares {height}x{width} pixels")));
    }
    match height.checked_mul(width) {
        Some(pixels) if pixels <= max_pixels => Ok(()),
        _ => Err(Fault::TooLarge { height, width, max_pixels }),
    }
}

/// The header of an image that is stored as `height` times `width`.
pub(crate) fn upright(height: usize, width: usize, colour: bool, orientation: Orientation) -> Header {
    let turned = matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    let (height, width) = if turned { (width, height) } else { (height, width) };
    Header { height, width, colour, has_end: true }
}
