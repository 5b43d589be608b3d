//! One image file to pixels. The content decides the format, never the file's name, and the header is
//! checked against the limits before memory is taken for the pixels. What a file's pixels are is decided in
//! `mentor-codec`.

pub(crate) mod extents;
pub(crate) mod raster;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use mentor_codec::{Extent, Fault, Header, Picture};

use crate::decode::raster::Raster;
use crate::error::DataError;
use crate::format::ImageFormat;
use crate::options::Limits;

/// Decodes the bytes of an image file and brings them to `format`: `[channel, height, width]`.
///
/// PNG, JPEG, GIF (first frame), BMP, WebP, PNM and TIFF; alpha is composited on white; 16 bits become
/// 8; the orientation that a camera recorded is applied. `docs/definitions.md` states the rules; a picture
/// is within 4 of 255 of what Pillow decodes, in the mean, or it is refused.
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
        Err(fault) => Err(bad(Path::new("image"), fault)),
    }
}

/// Reads an image file and brings it to `format`, as [`decode`] does.
///
/// # Errors
///
/// Those of [`decode`], with the file's path; [`DataError::NotFound`] and [`DataError::Io`].
pub fn decode_file(path: &Path, format: &ImageFormat, limits: &Limits) -> Result<Vec<u8>, DataError> {
    Ok(decode_file_with_extent(path, format, limits)?.0)
}

/// As [`decode_file`], and with the values of a file of 16 bits or floats, for [`Extents`](crate::Extents).
///
/// # Errors
///
/// Those of [`decode_file`].
pub fn decode_file_with_extent(
    path: &Path,
    format: &ImageFormat,
    limits: &Limits,
) -> Result<(Vec<u8>, Option<Extent>), DataError> {
    format.check()?;
    let raster = decode_raster_file(path, limits)?;
    let extent = raster.extent;
    Ok((raster.into_format(format), extent))
}

/// Decodes the bytes of an image file at its own size and in its own colour, `[height, width, channel]`.
///
/// # Errors
///
/// Those of [`decode`].
pub fn decode_picture(bytes: &[u8], limits: &Limits) -> Result<Picture, DataError> {
    mentor_codec::decode(bytes, limits.max_pixels).map_err(|fault| bad(Path::new("image"), fault))
}

/// Reads an image file and decodes it at its own size and in its own colour, `[height, width, channel]`.
///
/// # Errors
///
/// Those of [`decode_file`].
pub fn decode_picture_file(path: &Path, limits: &Limits) -> Result<Picture, DataError> {
    let Raster { channels, height, width, bytes, extent } = decode_raster_file(path, limits)?;
    Ok(Picture { channels, height, width, bytes, extent })
}

/// Brings a picture of any size to `format`, as a file of its pixels would be: `[channel, height, width]`.
///
/// # Panics
///
/// If the picture has not the bytes that its size says, or the format is outside its range.
///
/// ```
/// use mentor_data::{ImageFormat, Picture, fit};
/// let picture = Picture { channels: 1, height: 1, width: 2, bytes: vec![10, 30], extent: None };
/// assert_eq!(fit(picture, &ImageFormat::new(3, 1, 1)), [20, 20, 20]);
/// ```
#[must_use]
pub fn fit(picture: Picture, format: &ImageFormat) -> Vec<u8> {
    let Picture { channels, height, width, bytes, extent } = picture;
    assert_eq!(bytes.len(), channels * height * width, "a picture of another size");
    Raster { channels, height, width, bytes, extent }.into_format(format)
}

/// Reads an image file and decodes it at its own size.
pub(crate) fn decode_raster_file(path: &Path, limits: &Limits) -> Result<Raster, DataError> {
    read_limited(path, limits).and_then(|bytes| match bytes {
        Ok(bytes) => decode_raster(&bytes, limits).map_err(|fault| bad(path, fault)),
        Err(fault) => Err(bad(path, fault)),
    })
}

pub(crate) fn bad(path: &Path, fault: Fault) -> DataError {
    DataError::BadImage { path: path.to_owned(), fault, can_be_skipped: false }
}

/// The bytes of a file of at most the allowed length; the inner error is a reason to call it bad.
pub(crate) fn read_limited(path: &Path, limits: &Limits) -> Result<Result<Vec<u8>, Fault>, DataError> {
    let io = |error| DataError::io(path, error);
    // Before it is opened: a pipe would keep its reader waiting.
    let metadata = std::fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        let reason = if metadata.is_dir() { "is a folder" } else { "is no file" }.to_owned();
        return Ok(Err(Fault::Unreadable { reason, advice: "remove it" }));
    }
    let length = metadata.len();
    let file = File::open(path).map_err(io)?;
    let too_large = |length: u64| {
        let reason = format!("{length} bytes are over the limit of {}", limits.max_file_bytes);
        Ok(Err(Fault::Unreadable { reason, advice: "raise data.options.limits.max_file_bytes" }))
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
pub(crate) fn read_header(bytes: &[u8], limits: &Limits) -> Result<Header, Fault> {
    mentor_codec::read_header(bytes, limits.max_pixels)
}

/// Decodes to gray or colour, whatever the file holds.
pub(crate) fn decode_raster(bytes: &[u8], limits: &Limits) -> Result<Raster, Fault> {
    let Picture { channels, height, width, bytes, extent } = mentor_codec::decode(bytes, limits.max_pixels)?;
    Ok(Raster { channels, height, width, bytes, extent })
}

/// Bytes as `89 50 4e 47`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
