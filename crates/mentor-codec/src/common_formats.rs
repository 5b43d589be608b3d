//! PNG, GIF, BMP, WebP and PNM, by the decoders of the crate `image`.

use std::borrow::Cow;
use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::fault::{Fault, damaged, not_an_image, one_line};
use crate::picture::{Extent, Header, Picture, allowance, check_size, upright};
use crate::pixels::{Alpha, picture};

pub(crate) fn read_header(bytes: &[u8], max_pixels: u64) -> Result<Header, Fault> {
    let layout = Layout::of(bytes)?;
    let mut decoder = open(&layout, max_pixels)?;
    let (width, height) = decoder.dimensions();
    let orientation = layout.orientation(&mut decoder);
    let header = upright(height as usize, width as usize, decoder.color_type().has_color(), orientation);
    // Of a BMP no more than what fills up the last row can be missing.
    let has_end = matches!(layout.bytes, Cow::Borrowed(_)) || layout.format == ImageFormat::Bmp;
    Ok(Header { has_end, ..header })
}

pub(crate) fn decode(bytes: &[u8], max_pixels: u64) -> Result<Picture, Fault> {
    let layout = Layout::of(bytes)?;
    let mut decoder = open(&layout, max_pixels)?;
    let orientation = layout.orientation(&mut decoder);
    let image = DynamicImage::from_decoder(decoder).map_err(|error| damaged(&error))?;
    let size = [image.height() as usize, image.width() as usize];
    let of_wide = |samples: &[u16], stride, has_alpha| Some(Extent::of(samples, stride, has_alpha, 65_535.0));
    let extent = match &image {
        DynamicImage::ImageLuma16(image) => of_wide(image.as_raw(), 1, false),
        DynamicImage::ImageLumaA16(image) => of_wide(image.as_raw(), 2, true),
        DynamicImage::ImageRgb16(image) => of_wide(image.as_raw(), 3, false),
        DynamicImage::ImageRgba16(image) => of_wide(image.as_raw(), 4, true),
        _ => None,
    };
    let (alpha, samples) = match (image.color().has_color(), image.color().has_alpha()) {
        (false, false) => (Alpha::None, image.into_luma8().into_raw()),
        (true, false) => (Alpha::None, image.into_rgb8().into_raw()),
        (false, true) => (Alpha::Straight, image.into_luma_alpha8().into_raw()),
        (true, true) => (Alpha::Straight, image.into_rgba8().into_raw()),
    };
    Ok(Picture { extent, ..picture(size, alpha, samples, orientation)? })
}

/// What has to be known of a file before its decoder sees it.
struct Layout<'a> {
    format: ImageFormat,
    /// With the chunk that ends a PNG, if the file ends before it or in it; with what fills up the last row
    /// of a BMP.
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
            ImageFormat::Bmp => Ok(Self { bytes: with_last_row(bytes), ..layout }),
            ImageFormat::Pnm => Ok(layout),
            other => Err(Fault::Unsupported(format!("an image of a kind that is not read ({other:?})"))),
        }
    }

    fn png(mut self, bytes: &'a [u8]) -> Result<Self, Fault> {
        const END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";
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
                _ => {}
            }
            let Some(after) = after.get(4..) else { break };
            ended = kind == *b"IEND";
            if ended {
                break;
            }
            rest = after;
        }
        if self.size.is_none() {
            return Err(Fault::Damaged("the file ends in its header".to_owned()));
        }
        if !ended && END.starts_with(rest) {
            self.bytes = Cow::Owned([&bytes[..bytes.len() - rest.len()], END].concat());
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

/// The bytes of a BMP file, whose rows are filled up to four bytes each: what the last one lacks of that is
/// no pixel.
fn with_last_row(bytes: &[u8]) -> Cow<'_, [u8]> {
    let word = |at: usize| {
        bytes.get(at..at + 4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
    };
    let missing = || -> Option<usize> {
        let (first, header) = (word(10)? as usize, word(14)?);
        // The oldest header has other fields, run lengths have rows of any length.
        if header < 40 || !matches!(word(30)?, 0 | 3) {
            return None;
        }
        let (width, height) = (word(18)? as usize, (word(22)? as i32).unsigned_abs() as usize);
        let used = width.checked_mul((word(28)? & 0xffff) as usize)?.div_ceil(8);
        let end = used.next_multiple_of(4).checked_mul(height)?.checked_add(first)?;
        let missing = end.checked_sub(bytes.len())?;
        (1..=used.next_multiple_of(4) - used).contains(&missing).then_some(missing)
    };
    match missing() {
        Some(missing) => Cow::Owned([bytes, &[0; 3][..missing]].concat()),
        None => Cow::Borrowed(bytes),
    }
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
