//! Whether a file is taken for an image: by its extension, or else by its first bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Extensions of files that are taken for images. What they hold is found out when they are decoded.
const EXTENSIONS: [&str; 19] = [
    "png", "apng", "jpg", "jpeg", "jpe", "jfif", "jif", "jfi", "bmp", "dib", "gif", "webp", "tif", "tiff",
    "pnm", "pgm", "ppm", "pbm", "pam",
];

/// What is taken for an image, as a message says it.
pub(crate) const KNOWN_FORMATS: &str = "PNG, JPEG, GIF, BMP, WebP, TIFF or PNM";

/// Whether the file's extension is that of an image.
pub(crate) fn has_image_extension(path: &Path) -> bool {
    let extension = extension(path);
    EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension))
}

/// Whether the file begins as an image does. A file that cannot be read does not.
pub(crate) fn has_image_content(path: &Path) -> bool {
    // A pipe would keep its reader waiting.
    if !path.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return false;
    }
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(32).read_to_end(&mut start));
    read.is_ok() && begins_as_image(&start, extension(path).is_empty())
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or("")
}

/// The signatures of the formats that are decoded. TIFF is also how cameras and microscopes store raw data,
/// so that it counts only in a file `without_extension`.
fn begins_as_image(start: &[u8], without_extension: bool) -> bool {
    let at =
        |position: usize, bytes: &[u8]| start.get(position..).is_some_and(|rest| rest.starts_with(bytes));
    let is_bmp = || {
        let header =
            start.get(14..18).map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
        at(0, b"BM") && at(6, &[0; 4]) && matches!(header, Some(12 | 40 | 52 | 56 | 64 | 108 | 124))
    };
    let is_pnm = || {
        matches!(
            start,
            [b'P', b'1'..=b'7', b' ' | b'\n' | b'\r' | b'\t', b'0'..=b'9' | b'#' | b'W' | b'H', ..]
        )
    };
    let is_tiff = || at(0, b"II*\0") || at(0, b"MM\0*");
    at(0, b"\x89PNG\r\n\x1a\n")
        || at(0, &[0xff, 0xd8, 0xff])
        || at(0, b"GIF87a")
        || at(0, b"GIF89a")
        || (at(0, b"RIFF") && at(8, b"WEBP"))
        || is_bmp()
        || is_pnm()
        || (without_extension && is_tiff())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_images_from_other_files() {
        let bmp = [b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0".as_slice(), &40_u32.to_le_bytes()].concat();
        let images: [&[u8]; 6] = [
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff\xe0",
            b"GIF89a",
            b"RIFF\0\0\0\0WEBPVP8 ",
            b"P5 2 1 255 ",
            &bmp,
        ];
        images.iter().for_each(|start| assert!(begins_as_image(start, false), "{start:?}"));
        let others: [&[u8]; 7] = [
            b"",
            b"BMW is a maker of cars",
            b"P5 stands for",
            b"RIFF\0\0\0\0WAVE",
            b"PK\x03\x04",
            b"II*\0",
            b"\0\0\0\x18ftypheic",
        ];
        others.iter().for_each(|start| assert!(!begins_as_image(start, false), "{start:?}"));
        assert!(begins_as_image(b"II*\0", true));
    }

    #[test]
    fn extensions_are_known_in_any_case() {
        for name in ["a.PNG", "b.jfif", "c.jpe", "d.Tiff"] {
            assert!(has_image_extension(Path::new(name)), "{name}");
        }
        assert!(!has_image_extension(Path::new("png")) && !has_image_extension(Path::new("a.jpg_large")));
    }
}
