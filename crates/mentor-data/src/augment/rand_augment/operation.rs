//! The fourteen operations by name, and what a magnitude means to each.

use super::{blend, geometry, tone};
use crate::format::ImageFormat;

/// An operation of RandAugment on bytes, gray or colour. Every result is Pillow's, byte for byte.
///
/// With the strength m = magnitude/10 and the sign ± of the direction:
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Nothing.
    Identity,
    /// Each channel stretched to 0..=255: `ImageOps.autocontrast`. No magnitude.
    AutoContrast,
    /// Each channel's histogram made flat: `ImageOps.equalize`. No magnitude.
    Equalize,
    /// Turned by ±30·m degrees about the centre, positive against the clock: `Image.rotate`, nearest pixel.
    Rotate,
    /// Values from 256 − ⌊256·m⌋ on inverted: `ImageOps.solarize`.
    Solarize,
    /// Saturation 1 ± 0.9·m, 0 is gray: `ImageEnhance.Color`. Gray images stay as they are.
    Color,
    /// The highest 8 − round(4·m) bits kept, halves rounded up: `ImageOps.posterize`.
    Posterize,
    /// Distance from the mean gray times 1 ± 0.9·m: `ImageEnhance.Contrast`.
    Contrast,
    /// Values times 1 ± 0.9·m: `ImageEnhance.Brightness`.
    Brightness,
    /// Distance from the smoothed image times 1 ± 0.9·m: `ImageEnhance.Sharpness`.
    Sharpness,
    /// Row y moved left by ±0.3·m·y: `Image.transform`, affine, nearest pixel.
    ShearX,
    /// Column x moved up by ±0.3·m·x.
    ShearY,
    /// Moved left by ±⌊150/331·m·width⌋ pixels.
    TranslateX,
    /// Moved up by ±⌊150/331·m·height⌋ pixels.
    TranslateY,
}

impl Operation {
    /// All of them, in the order in which they are drawn.
    pub const ALL: [Self; 14] = [
        Self::Identity,
        Self::AutoContrast,
        Self::Equalize,
        Self::Rotate,
        Self::Solarize,
        Self::Color,
        Self::Posterize,
        Self::Contrast,
        Self::Brightness,
        Self::Sharpness,
        Self::ShearX,
        Self::ShearY,
        Self::TranslateX,
        Self::TranslateY,
    ];

    /// The end of every range.
    pub const MAX_MAGNITUDE: u8 = 10;

    /// Changes `image`, `[channel, height, width]`, in place. `negative` is the direction, without effect on
    /// operations that have none. `scratch` is memory that may be used again; its content means nothing.
    ///
    /// # Panics
    ///
    /// If the slice is not as long as the format says, or `magnitude` is above 10.
    pub fn apply(
        self,
        format: &ImageFormat,
        image: &mut [u8],
        magnitude: u8,
        negative: bool,
        scratch: &mut Vec<u8>,
    ) {
        assert_eq!(image.len(), format.num_values(), "image of another format");
        assert!(magnitude <= Self::MAX_MAGNITUDE, "magnitude {magnitude} is above 10");
        let plane = format.height * format.width;
        let signed = |size: f64| if negative { -size } else { size };
        let strength = f64::from(magnitude);
        let factor = (1.0 + signed(0.09 * strength)) as f32;
        let slope = signed(0.03 * strength);
        let pixels = |side: usize| {
            let size = (150 * usize::from(magnitude) * side / 3310) as isize;
            if negative { -size } else { size }
        };
        match self {
            Self::Identity => {}
            Self::AutoContrast => tone::auto_contrast(image, plane),
            Self::Equalize => tone::equalize(image, plane),
            Self::Solarize => tone::solarize(image, 256 - 256 * u16::from(magnitude) / 10),
            Self::Posterize => tone::posterize(image, 8 - (4 * u32::from(magnitude) + 5) / 10),
            Self::Color => blend::color(image, plane, factor),
            Self::Contrast => blend::contrast(image, plane, factor),
            Self::Brightness => blend::brightness(image, factor),
            Self::Sharpness => blend::sharpness(format, image, factor, scratch),
            Self::Rotate => geometry::rotate(format, image, signed(3.0 * strength), scratch),
            Self::ShearX => geometry::shear_x(format, image, slope, scratch),
            Self::ShearY => geometry::shear_y(format, image, slope, scratch),
            Self::TranslateX => geometry::translate(format, image, [0, pixels(format.width)], scratch),
            Self::TranslateY => geometry::translate(format, image, [pixels(format.height), 0], scratch),
        }
    }
}
