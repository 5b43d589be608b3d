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
mod pixels;
mod tiff_file;

use image::metadata::Orientation;

pub use fault::Fault;

/// A decoded image, upright and without alpha.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// 1 (gray) or 3 (red, green, blue).
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `[height, width, channel]`.
    pub bytes: Vec<u8>,
}

/// What the first bytes of an image file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Rows of the upright image.
    pub height: usize,
    /// Columns of the upright image.
    pub width: usize,
    /// The file stores colour; its pixels may still all be gray.
    pub colour: bool,
    /// The file has the mark that ends an image. JPEG files of some cameras lack it, and PNG files that were
    /// cut by a few bytes; if all pixels are there, they are read.
    pub has_end: bool,
}

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
    guard::catch_panic(|| match Kind::of(bytes) {
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
    guard::catch_panic(|| match Kind::of(bytes) {
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

/// What a decoder may take for an image of `pixels`: every format's samples and coefficients, and 16 MiB for
/// what is no pixel.
fn allowance(pixels: u64) -> u64 {
    pixels.saturating_mul(32).saturating_add(16 << 20)
}

fn check_size(height: u64, width: u64, max_pixels: u64) -> Result<(), Fault> {
    if height == 0 || width == 0 {
        return Err(Fault::Damaged(format!("its header declares {height}x{width} pixels")));
    }
    match height.checked_mul(width) {
        Some(pixels) if pixels <= max_pixels => Ok(()),
        _ => Err(Fault::TooLarge { height, width, max_pixels }),
    }
}

/// The header of an image that is stored as `height` times `width`.
fn upright(height: usize, width: usize, colour: bool, orientation: Orientation) -> Header {
    let turned = matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    let (height, width) = if turned { (width, height) } else { (height, width) };
    Header { height, width, colour, has_end: true }
}
