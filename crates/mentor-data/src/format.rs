//! The size and the channels that all images of a data set and of its model have.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// How an image of another size or aspect ratio is brought to the format's size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// Both sides are scaled to fit; the aspect ratio is lost.
    #[default]
    Stretch,
    /// Scaled until the whole image fits, centred, the rest filled with black.
    FitPad,
    /// Scaled until the format is covered, the centre cut out.
    CropCenter,
    /// What a pretrained network wants: the shorter side is scaled to the format's side divided by a share of
    /// `permille` thousandths, and the centre cut out, as by `Resize` and `CenterCrop` of torchvision on a
    /// picture of Pillow. Of an image that is more than four times as long as it is wide only the middle is
    /// seen. Images of every size are resized so, unless they were given as pixels in the format's shape.
    CenterShare {
        /// From 500 to 1000.
        permille: u16,
        /// How pixels are interpolated.
        filter: ResizeFilter,
    },
}

/// How pixels are interpolated; where the image shrinks the filter widens with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResizeFilter {
    /// Linear between neighbours.
    Bilinear,
    /// Catmull-Rom's cubic, Pillow's `BICUBIC`.
    Bicubic,
}

impl FromStr for Resize {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "stretch" => Ok(Self::Stretch),
            "fit-pad" => Ok(Self::FitPad),
            "crop-center" => Ok(Self::CropCenter),
            _ => Err(DataError::InvalidOption {
                name: "resize",
                value: text.to_owned(),
                allowed: "stretch, fit-pad or crop-center",
            }),
        }
    }
}

impl fmt::Display for Resize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stretch => "stretch",
            Self::FitPad => "fit-pad",
            Self::CropCenter => "crop-center",
            Self::CenterShare { .. } => "center-share",
        })
    }
}

/// Shape of every image, and how images of other shapes are brought to it.
///
/// Decided once, when a data set is opened for training; stored in the model; applied at evaluation
/// and prediction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageFormat {
    /// 1 (gray) or 3 (red, green, blue).
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// What happens to images of another size.
    #[serde(default)]
    pub resize: Resize,
}

/// Longest side of a format. Networks here work on small images; a larger side is a mistake in a file.
const MAX_SIDE: usize = 4096;

impl ImageFormat {
    /// A format that stretches images of other sizes.
    pub fn new(channels: usize, height: usize, width: usize) -> Self {
        Self { channels, height, width, resize: Resize::default() }
    }

    /// Number of bytes of one image: `channels * height * width`.
    pub fn num_values(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// Whether images of the two formats have the same shape.
    pub(crate) fn same_shape(&self, other: &Self) -> bool {
        self.shape() == other.shape()
    }

    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// [`DataError::InvalidOption`] if channels are not 1 or 3, or a side is not in 1..=4096.
    pub fn check(&self) -> Result<(), DataError> {
        if ![1, 3].contains(&self.channels) {
            let value = self.channels.to_string();
            return Err(DataError::InvalidOption { name: "channels", value, allowed: "1 or 3" });
        }
        let sides = 1..=MAX_SIDE;
        if !sides.contains(&self.height) || !sides.contains(&self.width) {
            let value = format!("[{}, {}]", self.height, self.width);
            return Err(DataError::InvalidOption {
                name: "size",
                value,
                allowed: "[height, width], each from 1 to 4096",
            });
        }
        if let Resize::CenterShare { permille, .. } = self.resize
            && !(500..=1000).contains(&permille)
        {
            let value = permille.to_string();
            return Err(DataError::InvalidOption { name: "permille", value, allowed: "from 500 to 1000" });
        }
        Ok(())
    }
}

/// Height x width, as everywhere.
impl fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colour = if self.channels == 1 { "gray" } else { "colour" };
        write!(f, "{}x{} {colour}", self.height, self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_and_sides_outside_their_range_are_refused() {
        assert!(ImageFormat::new(1, 28, 28).check().is_ok());
        for bad in [[2, 8, 8], [0, 8, 8], [3, 0, 8], [1, 8, 5000]] {
            let error = ImageFormat::new(bad[0], bad[1], bad[2]).check().unwrap_err();
            assert!(matches!(error, DataError::InvalidOption { .. }), "{error}");
        }
    }

    #[test]
    fn the_height_comes_first() {
        assert_eq!(ImageFormat::new(1, 2, 3).to_string(), "2x3 gray");
        assert_eq!(ImageFormat::new(3, 20, 4).to_string(), "20x4 colour");
    }

    #[test]
    fn resize_names_are_read_back() {
        for resize in [Resize::Stretch, Resize::FitPad, Resize::CropCenter] {
            assert_eq!(resize.to_string().parse::<Resize>().unwrap(), resize);
        }
        assert!("stretched".parse::<Resize>().is_err());
    }
}
