//! Image files to pixels: JPEG, PNG, GIF (first frame), BMP, WebP (first frame), PNM and TIFF (first page).
//!
//! A crate of its own for one reason: the decoders of `image` are generic over what they read from, and so
//! are compiled anew, for minutes, by the crate that names the reader. Here that happens once, and not at
//! each change of `mentor-data`.
//!
//! The content decides the format. The header is checked against the limit before memory is taken for the
//! pixels, and what a file holds beside them (profiles, texts, tables) may take 16 MiB more. A file gives the
//! pixels that Pillow gives or is refused; `docs/definitions.md` states the rules, and the tests of
//! `mentor-data` compare several hundred files. No panic of a decoder gets out: it is a [`Fault`] of the file
//! like any other.

mod common_formats;
mod fault;
mod guard;
mod jpeg;
mod picture;
mod pixels;
mod tiff_file;

pub use fault::Fault;
pub use guard::catch_panic;
pub use picture::{Extent, Header, Picture};

/// Size and colour, without decoding the pixels.
///
/// # Errors
///
/// A [`Fault`] if the bytes are no image of a known kind, their header is damaged, or it declares more than
/// `max_pixels`.
///
/// ```
/// let header = mentor_codec::read_header(b"P5 2 1 255\n\x07\x09", 100)?;
/// assert_eq!((header.height, header.width, header.colour), (1, 2, false));
/// assert!(mentor_codec::read_header(b"no image at all", 100).is_err());
/// assert!(mentor_codec::read_header(b"P5 200 100 255\n", 100).unwrap_err().to_string().contains("100x200"));
/// # Ok::<(), mentor_codec::Fault>(())
/// ```
pub fn read_header(bytes: &[u8], max_pixels: u64) -> Result<Header, Fault> {
    guard::guarded(|| match Kind::of(bytes) {
        Kind::Jpeg => jpeg::read_header(bytes, max_pixels),
        Kind::Tiff => tiff_file::read_header(bytes, max_pixels),
        Kind::Other => common_formats::read_header(bytes, max_pixels),
    })
}

/// The pixels of an image file: upright, alpha composited on white, 16 bits brought to 8.
///
/// # Errors
///
/// Those of [`read_header`]; a [`Fault`] if the pixels are damaged, or some are missing.
///
/// ```
/// let picture = mentor_codec::decode(b"P6 1 1 255\n\x07\x09\xff", 100)?;
/// assert_eq!((picture.channels, &picture.bytes[..]), (3, &[7, 9, 255][..]));
/// assert!(mentor_codec::decode(b"P6 1 1 255\n\x07\x09", 100).is_err());
/// # Ok::<(), mentor_codec::Fault>(())
/// ```
pub fn decode(bytes: &[u8], max_pixels: u64) -> Result<Picture, Fault> {
    guard::guarded(|| match Kind::of(bytes) {
        Kind::Jpeg => jpeg::decode(bytes, max_pixels),
        Kind::Tiff => tiff_file::decode(bytes, max_pixels),
        Kind::Other => common_formats::decode(bytes, max_pixels),
    })
}

enum Kind {
    Jpeg,
    Tiff,
    Other,
}

impl Kind {
    fn of(bytes: &[u8]) -> Self {
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Self::Jpeg,
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Self::Tiff,
            _ => Self::Other,
        }
    }
}
