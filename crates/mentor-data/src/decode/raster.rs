//! A decoded image of any size, and how it is brought to a format.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};
use mentor_codec::Extent;

use crate::format::{ImageFormat, Resize, ResizeFilter};

/// Beyond this ratio of its sides only the middle of a photograph is resized: its ends would be cut off.
const MAX_RATIO: usize = 4;

/// A decoded image: rows of pixels, 1 or 3 bytes each, already without alpha.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Raster {
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// `[height, width, channel]`.
    pub(crate) bytes: Vec<u8>,
    /// Of a file whose values bytes do not hold.
    pub(crate) extent: Option<Extent>,
}

impl Raster {
    /// From `[channel, height, width]`.
    pub(crate) fn from_planes(format: &ImageFormat, planes: &[u8]) -> Self {
        let plane = format.height * format.width;
        let mut bytes = vec![0; planes.len()];
        for (channel, values) in planes.chunks_exact(plane).enumerate() {
            for (pixel, &value) in bytes.chunks_exact_mut(format.channels).zip(values) {
                pixel[channel] = value;
            }
        }
        Self { channels: format.channels, height: format.height, width: format.width, bytes, extent: None }
    }

    /// Whether all channels of every pixel are equal.
    pub(crate) fn is_gray(&self) -> bool {
        self.channels == 1 || self.bytes.chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2])
    }

    /// A hash of the picture: of its size, and of its pixels as gray if all of them are.
    pub(crate) fn content(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for size in [self.height, self.width] {
            hasher.update(&(size as u64).to_le_bytes());
        }
        match self.channels == 3 && self.is_gray() {
            true => hasher.update(&self.bytes.iter().step_by(3).copied().collect::<Vec<u8>>()),
            false => hasher.update(&self.bytes),
        };
        hasher.finalize()
    }

    /// The image as the format wants it, `[channel, height, width]`.
    pub(crate) fn into_format(self, format: &ImageFormat) -> Vec<u8> {
        let raster = self.with_channels(format.channels).resized(format);
        let plane = format.height * format.width;
        if format.channels == 1 {
            return raster.bytes;
        }
        let mut planes = vec![0; format.num_values()];
        for (channel, values) in planes.chunks_exact_mut(plane).enumerate() {
            for (value, pixel) in values.iter_mut().zip(raster.bytes.chunks_exact(format.channels)) {
                *value = pixel[channel];
            }
        }
        planes
    }

    fn with_channels(self, channels: usize) -> Self {
        let bytes = match (self.channels, channels) {
            (1, 3) => self.bytes.iter().flat_map(|&gray| [gray; 3]).collect(),
            (3, 1) => self.bytes.chunks_exact(3).map(|p| luma(p[0], p[1], p[2])).collect(),
            _ => self.bytes,
        };
        Self { channels, bytes, ..self }
    }

    fn resized(self, format: &ImageFormat) -> Self {
        let (height, width) = (format.height, format.width);
        if let Resize::CenterShare { permille, filter } = format.resize {
            return self.center_share(height, width, usize::from(permille), filter);
        }
        if [self.height, self.width] == [height, width] {
            return self;
        }
        match format.resize {
            Resize::CenterShare { .. } => unreachable!("returned above"),
            Resize::Stretch => self.scaled(height, width, ResizeOptions::new()),
            Resize::CropCenter => self.scaled(height, width, ResizeOptions::new().fit_into_destination(None)),
            Resize::FitPad => {
                let scale = (height as f64 / self.height as f64).min(width as f64 / self.width as f64);
                let fitted =
                    |side: usize, limit: usize| ((side as f64 * scale).round() as usize).clamp(1, limit);
                let inner_height = fitted(self.height, height);
                let inner_width = fitted(self.width, width);
                let inner = self.scaled(inner_height, inner_width, ResizeOptions::new());
                inner.centred_on_black(height, width)
            }
        }
    }

    /// See [`Resize::CenterShare`].
    fn center_share(self, height: usize, width: usize, permille: usize, filter: ResizeFilter) -> Self {
        let (high, wide) = (self.height.min(MAX_RATIO * self.width), self.width.min(MAX_RATIO * self.height));
        let corner = [(self.height - high) / 2, (self.width - wide) / 2];
        let middle = self.cut(corner, high, wide);
        let short = |side: usize| (side * 1000 / permille).max(side);
        // The shorter side is exact, and the other in proportion, rounded down.
        let (to_height, to_width) = match high <= wide {
            true => (short(height), (short(height) * wide / high).max(width)),
            false => ((short(width) * high / wide).max(height), short(width)),
        };
        let filter = match filter {
            ResizeFilter::Bilinear => FilterType::Bilinear,
            ResizeFilter::Bicubic => FilterType::CatmullRom,
        };
        let resized = match [high, wide] == [to_height, to_width] {
            true => middle,
            false => middle.filtered(to_height, to_width, ResizeOptions::new(), filter),
        };
        // Rounded to even, as by Python.
        let margin = |from: usize, to: usize| {
            let half = (from - to) / 2;
            if (from - to).is_multiple_of(2) { half } else { half + half % 2 }
        };
        resized.cut([margin(to_height, height), margin(to_width, width)], height, width)
    }

    /// The pixels from `[top, left]` on.
    fn cut(self, [top, left]: [usize; 2], height: usize, width: usize) -> Self {
        if [self.height, self.width] == [height, width] {
            return self;
        }
        let channels = self.channels;
        let rows = self.bytes.chunks_exact(channels * self.width).skip(top).take(height);
        let bytes = rows.flat_map(|row| &row[channels * left..channels * (left + width)]).copied().collect();
        Self { channels, height, width, bytes, extent: self.extent }
    }

    /// Bilinear where the image grows; where it shrinks the filter widens with it and every pixel counts
    /// (convolution with antialiasing, as in Pillow).
    fn scaled(&self, height: usize, width: usize, options: ResizeOptions) -> Self {
        self.filtered(height, width, options, FilterType::Bilinear)
    }

    fn filtered(&self, height: usize, width: usize, options: ResizeOptions, filter: FilterType) -> Self {
        let options = options.resize_alg(ResizeAlg::Convolution(filter)).use_alpha(false);
        let mut bytes = vec![0; self.channels * height * width];
        match self.channels {
            1 => self.scale_pixels::<U8>(height, width, &mut bytes, &options),
            _ => self.scale_pixels::<U8x3>(height, width, &mut bytes, &options),
        }
        Self { channels: self.channels, height, width, bytes, extent: self.extent }
    }

    /// The resizer is compiled here for the types of pixels that it is called with. For all that it knows,
    /// which its untyped call names, that takes minutes.
    fn scale_pixels<P: PixelTrait>(
        &self,
        height: usize,
        width: usize,
        bytes: &mut [u8],
        options: &ResizeOptions,
    ) {
        let source = TypedImageRef::<P>::from_buffer(self.width as u32, self.height as u32, &self.bytes)
            .expect("a raster holds channels * height * width bytes");
        let mut target = TypedImage::<P>::from_buffer(width as u32, height as u32, bytes)
            .expect("the buffer has channels * height * width bytes");
        Resizer::new().resize_typed(&source, &mut target, options).expect("the crop is inside the source");
    }

    fn centred_on_black(self, height: usize, width: usize) -> Self {
        let mut bytes = vec![0; self.channels * height * width];
        let (top, left) = ((height - self.height) / 2, (width - self.width) / 2);
        for (row, values) in self.bytes.chunks_exact(self.width * self.channels).enumerate() {
            let start = ((top + row) * width + left) * self.channels;
            bytes[start..start + values.len()].copy_from_slice(values);
        }
        Self { channels: self.channels, height, width, bytes, extent: self.extent }
    }
}

/// Brightness by ITU-R BT.601, with Pillow's rounding: 0.299 R + 0.587 G + 0.114 B.
pub(crate) fn luma(red: u8, green: u8, blue: u8) -> u8 {
    ((u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471 + 0x8000) >> 16) as u8
}

impl ImageFormat {
    /// An image `[channels, height, width]` of format `from`, brought to this one as a file of its size would
    /// be.
    ///
    /// # Panics
    ///
    /// If the image is not as long as `from` says.
    ///
    /// ```
    /// use mentor_data::ImageFormat;
    /// let (gray, colour) = (ImageFormat::new(1, 1, 2), ImageFormat::new(3, 1, 1));
    /// assert_eq!(colour.convert(&gray, &[10, 30]), [20, 20, 20]);
    /// ```
    pub fn convert(&self, from: &Self, image: &[u8]) -> Vec<u8> {
        assert_eq!(image.len(), from.num_values(), "image of another format");
        if self.same_shape(from) {
            return image.to_vec();
        }
        Raster::from_planes(from, image).into_format(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray(height: usize, width: usize, bytes: &[u8]) -> Raster {
        Raster { channels: 1, height, width, bytes: bytes.to_vec(), extent: None }
    }

    fn format(height: usize, width: usize, resize: Resize) -> ImageFormat {
        ImageFormat { channels: 1, height, width, resize }
    }

    #[test]
    fn colour_becomes_brightness_as_in_pillow() {
        // Image.new("RGB", (1, 1), rgb).convert("L") gives these.
        for (rgb, expected) in [([255, 0, 0], 76), ([0, 255, 0], 150), ([0, 0, 255], 29), ([9, 9, 9], 9)] {
            assert_eq!(luma(rgb[0], rgb[1], rgb[2]), expected);
        }
    }

    #[test]
    fn same_size_is_left_as_it_is() {
        for resize in [Resize::Stretch, Resize::FitPad, Resize::CropCenter] {
            assert_eq!(gray(2, 2, &[1, 2, 3, 4]).into_format(&format(2, 2, resize)), [1, 2, 3, 4]);
        }
    }

    #[test]
    fn policies_stretch_pad_or_crop_a_wide_image() {
        // Left half 40, right half 200.
        let wide = gray(2, 4, &[40, 40, 200, 200, 40, 40, 200, 200]);
        assert_eq!(wide.clone().into_format(&format(1, 1, Resize::Stretch)), [120]);
        assert_eq!(wide.clone().into_format(&format(2, 2, Resize::CropCenter)), [40, 200, 40, 200]);
        let padded = wide.into_format(&format(4, 4, Resize::FitPad));
        assert_eq!(padded[..4], [0; 4]);
        assert_eq!(padded[4..12], [40, 40, 200, 200, 40, 40, 200, 200]);
        assert_eq!(padded[12..], [0; 4]);
    }

    #[test]
    fn a_pretrained_network_sees_the_middle_of_any_shape() {
        let ramp: Vec<u8> = (0..64).map(|at| (at % 8 * 30) as u8).collect();
        let share = |permille, filter| Resize::CenterShare { permille, filter };
        let whole = gray(8, 8, &ramp).into_format(&format(8, 8, share(1000, ResizeFilter::Bicubic)));
        assert_eq!(whole, ramp);
        // The middle half of a ramp, enlarged to the whole.
        let half = gray(8, 8, &ramp).into_format(&format(8, 8, share(500, ResizeFilter::Bilinear)));
        assert!(half[0].abs_diff(53) <= 1 && half[7].abs_diff(158) <= 1, "{half:?}");
        for (height, width) in [(1, 1), (1, 100_000), (100_000, 1), (31, 77)] {
            let image = gray(height, width, &vec![9; height * width]);
            assert_eq!(image.into_format(&format(4, 4, share(875, ResizeFilter::Bicubic))), [9; 16]);
        }
        assert!(format(4, 4, share(400, ResizeFilter::Bicubic)).check().is_err());
    }

    #[test]
    fn planes_and_pixels_are_two_views_of_one_image() {
        let format = ImageFormat::new(3, 1, 2);
        let planes = [1, 2, 3, 4, 5, 6];
        let raster = Raster::from_planes(&format, &planes);
        assert_eq!(raster.bytes, [1, 3, 5, 2, 4, 6]);
        assert_eq!(raster.into_format(&format), planes);
    }
}
