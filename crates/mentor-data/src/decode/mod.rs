//! One image file to pixels. The content decides the format, never the file's name, and the header is
//! checked against the limits before memory is taken for the pixels.

pub(crate) mod format;
pub(crate) mod raster;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use crate::decode::format::ImageFormat;
use crate::decode::raster::Raster;
use crate::error::DataError;
use crate::options::Limits;

/// What the first bytes of an image file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// The file stores colour; its pixels may still all be gray.
    pub(crate) colour: bool,
}

/// Decodes the bytes of an image file and brings them to `format`: `[channel, height, width]`.
///
/// PNG, JPEG, GIF (first frame), BMP, WebP, PNM and TIFF; alpha is composited on white; 16 bits become
/// 8; the orientation that a camera recorded is applied.
///
/// # Errors
///
/// [`DataError::BadImage`] if the bytes are no image, are damaged, or declare more pixels than allowed
/// (refused before memory is taken for them); its path is `image`, as only bytes were given.
/// [`DataError::InvalidOption`] if the format is outside its range.
///
/// ```
/// use mentor_data::{ImageFormat, Limits, decode};
/// let pgm = b"P5 2 1 255 \x07\xff";
/// assert_eq!(decode(pgm, &ImageFormat::new(1, 1, 2), &Limits::default())?, [7, 255]);
/// assert!(decode(b"a text file", &ImageFormat::new(1, 1, 2), &Limits::default()).is_err());
/// # Ok::<(), mentor_data::DataError>(())
/// ```
pub fn decode(bytes: &[u8], format: &ImageFormat, limits: &Limits) -> Result<Vec<u8>, DataError> {
    format.check()?;
    match decode_raster(bytes, limits) {
        Ok(raster) => Ok(raster.into_format(format)),
        Err(reason) => Err(DataError::BadImage { path: "image".into(), reason }),
    }
}

/// Reads an image file and brings it to `format`, as [`decode`] does.
///
/// # Errors
///
/// Those of [`decode`], with the file's path; [`DataError::NotFound`] and [`DataError::Io`].
pub fn decode_file(path: &Path, format: &ImageFormat, limits: &Limits) -> Result<Vec<u8>, DataError> {
    format.check()?;
    let raster = read_limited(path, limits).and_then(|bytes| match bytes {
        Ok(bytes) => decode_raster(&bytes, limits).map_err(|reason| bad(path, reason)),
        Err(reason) => Err(bad(path, reason)),
    })?;
    Ok(raster.into_format(format))
}

fn bad(path: &Path, reason: String) -> DataError {
    DataError::BadImage { path: path.to_owned(), reason }
}

/// The bytes of a file of at most the allowed length; the inner error is a reason to call it bad.
pub(crate) fn read_limited(path: &Path, limits: &Limits) -> Result<Result<Vec<u8>, String>, DataError> {
    let io = |error| DataError::io(path, error);
    // Before it is opened: a pipe would keep its reader waiting.
    let metadata = std::fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        return Ok(Err("is no file".to_owned()));
    }
    let length = metadata.len();
    let file = File::open(path).map_err(io)?;
    let too_large = |length: u64| {
        Ok(Err(format!("{length} bytes are over the limit of {} (`max_file_bytes`)", limits.max_file_bytes)))
    };
    if length > limits.max_file_bytes {
        return too_large(length);
    }
    let mut bytes = Vec::with_capacity(length as usize);
    // The file may grow while it is read.
    file.take(limits.max_file_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > limits.max_file_bytes {
        return too_large(bytes.len() as u64);
    }
    Ok(Ok(bytes))
}

/// Size and colour, without decoding the pixels.
pub(crate) fn read_header(bytes: &[u8], limits: &Limits) -> Result<Header, String> {
    let (height, width, colour, orientation) = if is_jpeg(bytes) {
        let (decoder, height, width, colour) = open_jpeg(bytes, limits)?;
        (height, width, colour, jpeg_orientation(&decoder))
    } else {
        let mut decoder = open_other(bytes, limits)?;
        let (width, height) = decoder.dimensions();
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        (height as usize, width as usize, decoder.color_type().has_color(), orientation)
    };
    let (height, width) = if turns_sides(orientation) { (width, height) } else { (height, width) };
    Ok(Header { height, width, colour })
}

/// Decodes to gray or colour, whatever the file holds.
pub(crate) fn decode_raster(bytes: &[u8], limits: &Limits) -> Result<Raster, String> {
    let (mut picture, orientation) = if is_jpeg(bytes) {
        decode_jpeg(bytes, limits)?
    } else {
        let mut decoder = open_other(bytes, limits)?;
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        (DynamicImage::from_decoder(decoder).map_err(|error| one_line(&error))?, orientation)
    };
    picture.apply_orientation(orientation);
    let (height, width) = (picture.height() as usize, picture.width() as usize);
    let (channels, bytes) = match (picture.color().has_color(), picture.color().has_alpha()) {
        (false, false) => (1, picture.into_luma8().into_raw()),
        (true, false) => (3, picture.into_rgb8().into_raw()),
        (false, true) => (1, on_white(picture.into_luma_alpha8().as_raw(), 2)),
        (true, true) => (3, on_white(picture.into_rgba8().as_raw(), 4)),
    };
    Ok(Raster { channels, height, width, bytes })
}

/// Composites pixels whose last byte is alpha on white.
fn on_white(bytes: &[u8], stride: usize) -> Vec<u8> {
    let blend = |value: u8, alpha: u32| ((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
    bytes
        .chunks_exact(stride)
        .flat_map(|pixel| {
            let (values, alpha) = pixel.split_at(stride - 1);
            let alpha = u32::from(alpha[0]);
            values.iter().map(move |&value| blend(value, alpha))
        })
        .collect()
}

fn check_size(height: u64, width: u64, limits: &Limits) -> Result<(), String> {
    if height == 0 || width == 0 {
        return Err(format!("its header declares {height}x{width} pixels"));
    }
    match height.checked_mul(width) {
        Some(pixels) if pixels <= limits.max_pixels => Ok(()),
        _ => Err(format!(
            "its header declares {height}x{width} pixels, over the limit of {} (`max_pixels`)",
            limits.max_pixels
        )),
    }
}

fn open_other<'a>(bytes: &'a [u8], limits: &Limits) -> Result<impl ImageDecoder + 'a, String> {
    let max_alloc = limits.max_pixels.saturating_mul(16);
    let decoder = mentor_codec::open(bytes, max_alloc).map_err(|error| one_line(&error))?;
    let decoder = decoder.ok_or_else(|| not_an_image(bytes))?;
    let (width, height) = decoder.dimensions();
    check_size(u64::from(height), u64::from(width), limits)?;
    Ok(decoder)
}

fn not_an_image(bytes: &[u8]) -> String {
    let start: String = bytes.iter().take(16).map(|&b| char::from(b)).collect();
    match bytes {
        [] => "the file is empty".to_owned(),
        _ if bytes.iter().take(64).all(|&b| (b' '..=b'~').contains(&b) || b.is_ascii_whitespace()) => {
            format!("not an image: it holds text ({start:?})")
        }
        _ => format!("not an image of a known format (it starts with {})", hex(&bytes[..bytes.len().min(8)])),
    }
}

/// Bytes as `89 50 4e 47`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

fn one_line(error: &dyn std::fmt::Display) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xd8, 0xff])
}

type Jpeg<'a> = JpegDecoder<ZCursor<&'a [u8]>>;

fn open_jpeg<'a>(bytes: &'a [u8], limits: &Limits) -> Result<(Jpeg<'a>, usize, usize, bool), String> {
    // Strict, or a damaged file would be filled up with gray in silence.
    let options =
        DecoderOptions::default().set_strict_mode(true).set_max_width(65_535).set_max_height(65_535);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| one_line(&error))?;
    let info = decoder.info().ok_or("its header cannot be read")?;
    let (height, width) = (usize::from(info.height), usize::from(info.width));
    check_size(height as u64, width as u64, limits)?;
    Ok((decoder, height, width, info.components != 1))
}

fn decode_jpeg(bytes: &[u8], limits: &Limits) -> Result<(DynamicImage, Orientation), String> {
    let (mut decoder, height, width, colour) = open_jpeg(bytes, limits)?;
    if !has_end_of_image(bytes) {
        return Err("the file ends in the middle of the image".to_owned());
    }
    let wanted = if colour { ColorSpace::RGB } else { ColorSpace::Luma };
    decoder.set_options(decoder.options().jpeg_set_out_colorspace(wanted));
    let pixels = decoder.decode().map_err(|error| one_line(&error))?;
    let (width, height) = (width as u32, height as u32);
    let picture = if colour {
        image::RgbImage::from_raw(width, height, pixels).map(DynamicImage::from)
    } else {
        image::GrayImage::from_raw(width, height, pixels).map(DynamicImage::from)
    };
    let picture = picture.ok_or("the decoder gave another number of pixels than the header")?;
    Ok((picture, jpeg_orientation(&decoder)))
}

/// Whether the marker that ends the image follows its pixels. Markers of a thumbnail, which lie inside
/// an earlier segment, do not count.
fn has_end_of_image(bytes: &[u8]) -> bool {
    let mut position = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(position..position + 4) {
        match marker {
            0xff => position += 1,
            0xda => return bytes[position..].windows(2).any(|pair| pair == [0xff, 0xd9]),
            _ => position += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    false
}

fn jpeg_orientation(decoder: &Jpeg<'_>) -> Orientation {
    decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif)).unwrap_or(Orientation::NoTransforms)
}

fn turns_sides(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}
