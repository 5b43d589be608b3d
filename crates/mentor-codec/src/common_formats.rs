//! PNG, GIF, BMP, WebP and PNM, by the decoders of the crate `image`.

use std::borrow::Cow;
use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::fault::{Fault, damaged, not_an_image, one_line};
use crate::picture::{Header, Picture, allowance, check_size, upright};
use crate::pixels::{Alpha, picture};

pub(crate) fn read_header(bytes: &[u8], max_pixels: u64) -> Result<Header, Fault> {
    let layout = Layout::of(bytes)?;
    let mut decoder = open(&layout, max_pixels)?;
    let (width, height) = decoder.dimensions();
    let orientation = layout.orientation(&mut decoder);
    let header = upright(height as usize, width as usize, decoder.color_type().has_color(), orientation);
    Ok(Header { has_end: matches!(layout.bytes, Cow::Borrowed(_)), ..header })
}

pub(crate) fn decode(bytes: &[u8], max_pixels: u64) -> Result<Picture, Fault> {
    let layout = Layout::of(bytes)?;
    let mut decoder = open(&layout, max_pixels)?;
    let orientation = layout.orientation(&mut decoder);
    let image = DynamicImage::from_decoder(decoder).map_err(|error| damaged(&error))?;
    let size = [image.height() as usize, image.width() as usize];
    let (alpha, samples) = match (image.color().has_color(), image.color().has_alpha()) {
        (false, false) => (Alpha::None, image.into_luma8().into_raw()),
        (true, false) => (Alpha::None, image.into_rgb8().into_raw()),
        (false, true) => (Alpha::Straight, image.into_luma_alpha8().into_raw()),
        (true, true) => (Alpha::Straight, image.into_rgba8().into_raw()),
    };
    picture(size, alpha, samples, orientation)
}

/// What has to be known of a file before its decoder sees it.
struct Layout<'a> {
    format: ImageFormat,
    /// With the chunk that ends a PNG, if the file ends just before it.
    bytes: Cow<'a, [u8]>,
    /// Height and width, if they are needed before the decoder tells them.
    size: Option<[u64; 2]>,
    /// Of a PNG, which may have it after the pixels.
    exif: Option<&'a [u8]>,
}

impl<'a> Layout<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, Fault> {
        let format = image::guess_format(bytes).map_err(|_| not_an_image(bytes))?;
        let layout = Self { format, bytes: Cow::Borrowed(bytes), size: None, exif: None };
        match format {
            ImageFormat::Png => layout.png(bytes),
            ImageFormat::WebP => {
                check_chunks(bytes)?;
                Ok(layout)
            }
            ImageFormat::Gif => {
                check_first_frame(bytes)?;
                Ok(layout)
            }
            ImageFormat::Bmp | ImageFormat::Pnm => Ok(layout),
            other => Err(Fault::Unsupported(format!("an image of a kind that is not read ({other:?})"))),
        }
    }

    fn png(mut self, bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut rest = bytes.get(8..).unwrap_or_default();
        let mut ended = false;
        // A length, a kind, the data and a checksum.
        while let Some((&[a, b, c, d, kind @ ..], after)) = rest.split_first_chunk::<8>() {
            let length = u32::from_be_bytes([a, b, c, d]) as usize;
            let Some((data, after)) = after.split_at_checked(length) else { break };
            match (&kind, data) {
                (b"IHDR", &[a, b, c, d, e, f, g, h, ..]) => {
                    let side = |bytes| u64::from(u32::from_be_bytes(bytes));
                    self.size = Some([side([e, f, g, h]), side([a, b, c, d])]);
                }
                (b"eXIf", exif) => self.exif = Some(exif),
                (b"IEND", _) => ended = true,
                _ => {}
            }
            rest = after.get(4..).unwrap_or_default();
            if ended {
                break;
            }
        }
        if self.size.is_none() {
            return Err(Fault::Damaged("the file ends in its header".to_owned()));
        }
        if !ended && rest.is_empty() {
            self.bytes = Cow::Owned([bytes, b"\0\0\0\0IEND\xae\x42\x60\x82"].concat());
        }
        Ok(self)
    }

    fn orientation(&self, decoder: &mut impl ImageDecoder) -> Orientation {
        let recorded = match self.format {
            ImageFormat::Png => self.exif.and_then(Orientation::from_exif_chunk),
            _ => decoder.orientation().ok(),
        };
        recorded.unwrap_or(Orientation::NoTransforms)
    }
}

fn open<'a>(layout: &'a Layout<'_>, max_pixels: u64) -> Result<Box<dyn ImageDecoder + 'a>, Fault> {
    let mut reader = ImageReader::with_format(Cursor::new(&layout.bytes[..]), layout.format);
    if let Some([height, width]) = layout.size {
        // This decoder inflates profiles before it tells the size.
        check_size(height, width, max_pixels)?;
        reader.limits(limits(height * width));
    }
    let mut decoder = reader.into_decoder().map_err(|error| match error {
        image::ImageError::Unsupported(error) => Fault::Unsupported(one_line(&error)),
        error => damaged(&error),
    })?;
    let (width, height) = decoder.dimensions();
    check_size(u64::from(height), u64::from(width), max_pixels)?;
    decoder.set_limits(limits(u64::from(height) * u64::from(width))).map_err(|error| damaged(&error))?;
    Ok(Box::new(decoder))
}

fn limits(pixels: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(allowance(pixels));
    limits
}

/// Every chunk of a WebP file lies inside it: the decoder takes memory for what a chunk declares.
fn check_chunks(bytes: &[u8]) -> Result<(), Fault> {
    let mut rest = bytes.get(12..).unwrap_or_default();
    while let Some((&[_, _, _, _, a, b, c, d], after)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > after.len() {
            return Err(Fault::Damaged("the file ends in the middle of the image".to_owned()));
        }
        rest = after.get(length + length % 2..).unwrap_or_default();
    }
    Ok(())
}

/// The first frame of a GIF lies inside the canvas: programs disagree about what sticks out.
fn check_first_frame(bytes: &[u8]) -> Result<(), Fault> {
    let word = |at: usize| match bytes.get(at..at + 2) {
        Some(&[low, high]) => u32::from(u16::from_le_bytes([low, high])),
        _ => 0,
    };
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut at = 13 + bytes.get(10).map_or(0, |&flags| table(flags));
    // Extensions: two bytes, then blocks with their length, to an empty one.
    while bytes.get(at) == Some(&0x21) {
        at += 2;
        while let Some(&length) = bytes.get(at).filter(|&&length| length > 0) {
            at += 1 + usize::from(length);
        }
        at += 1;
    }
    if bytes.get(at) == Some(&0x2c)
        && (word(at + 1) + word(at + 5) > word(6) || word(at + 3) + word(at + 7) > word(8))
    {
        return Err(Fault::Unsupported("a GIF whose first frame sticks out of its canvas".to_owned()));
    }
    Ok(())
}
