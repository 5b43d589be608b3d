//! Samples of any kind to upright gray or colour bytes.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};

use crate::fault::Fault;
use crate::picture::Picture;

/// What the last sample of a pixel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alpha {
    /// A colour like the others.
    None,
    /// Opacity; the colours are not multiplied by it.
    Straight,
    /// Opacity, by which the colours are multiplied already.
    Associated,
}

/// An image of bytes `[height, width, sample]`, with 1 or 3 colours and perhaps alpha, composited on white
/// and turned.
pub(crate) fn picture(
    [height, width]: [usize; 2],
    alpha: Alpha,
    samples: Vec<u8>,
    orientation: Orientation,
) -> Result<Picture, Fault> {
    let stride = samples.len() / (height * width).max(1);
    let bytes = match alpha {
        Alpha::None => samples,
        Alpha::Straight => on_white(&samples, stride, |value, alpha| {
            ((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        }),
        Alpha::Associated => {
            on_white(&samples, stride, |value, alpha| (u32::from(value) + 255 - alpha).min(255) as u8)
        }
    };
    let (wide, high) = (width as u32, height as u32);
    let image = if bytes.len() == height * width {
        GrayImage::from_raw(wide, high, bytes).map(DynamicImage::from)
    } else {
        RgbImage::from_raw(wide, high, bytes).map(DynamicImage::from)
    };
    let mut image = image.ok_or_else(|| {
        Fault::Damaged("the decoder gave another number of pixels than the header".to_owned())
    })?;
    image.apply_orientation(orientation);
    let channels = if image.color().has_color() { 3 } else { 1 };
    let (height, width) = (image.height() as usize, image.width() as usize);
    Ok(Picture { channels, height, width, bytes: image.into_bytes(), extent: None })
}

fn on_white(samples: &[u8], stride: usize, blend: impl Fn(u8, u32) -> u8) -> Vec<u8> {
    let blend = &blend;
    samples
        .chunks_exact(stride)
        .flat_map(|pixel| {
            let (colours, alpha) = pixel.split_at(stride - 1);
            let alpha = u32::from(alpha[0]);
            colours.iter().map(move |&value| blend(value, alpha))
        })
        .collect()
}

/// 16 bits to 8: the nearest of 256 equal steps.
pub(crate) fn to_byte(wide: u16) -> u8 {
    ((u32::from(wide) + 128) / 257) as u8
}

/// Ink to light, pixel by pixel, from the paper's share that each of cyan, magenta, yellow and black leaves:
/// 255 is no ink.
pub(crate) fn cmyk_to_rgb(left: &[u8]) -> Vec<u8> {
    let product = |a: u8, b: u8| ((u32::from(a) * u32::from(b) + 127) / 255) as u8;
    left.chunks_exact(4).flat_map(|pixel| [0, 1, 2].map(|colour| product(pixel[colour], pixel[3]))).collect()
}
