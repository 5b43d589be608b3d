//! Opens image files of every format but JPEG: PNG, BMP, GIF, WebP, PNM and TIFF.
//!
//! A crate of its own for one reason: the decoders of `image` are generic over what they read from, and so are compiled
//! anew, for minutes, by the crate that names the reader. Here that happens once, and not at each change of `mentor-data`.

use std::io::Cursor;

use image::{ImageDecoder, ImageReader, ImageResult, Limits};

/// A decoder of `bytes` that allocates at most `max_alloc` bytes; `None` where the format is not known.
///
/// # Errors
///
/// When the header is damaged, or asks for more than is allowed.
///
/// ```
/// let gray = b"P5 2 1 255\n\x07\x09";
/// let decoder = mentor_codec::open(gray, 1 << 20)?.unwrap();
/// assert_eq!(decoder.dimensions(), (2, 1));
/// assert!(mentor_codec::open(b"no image at all", 1 << 20)?.is_none());
/// # Ok::<(), image::ImageError>(())
/// ```
pub fn open<'a>(bytes: &'a [u8], max_alloc: u64) -> ImageResult<Option<Box<dyn ImageDecoder + 'a>>> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    if reader.format().is_none() {
        return Ok(None);
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(max_alloc);
    reader.limits(limits);
    Ok(Some(Box::new(reader.into_decoder()?)))
}
