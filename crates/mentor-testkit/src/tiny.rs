//! The smallest real data set: a few images whose class a linear model can see.
//!
//! Images are gray squares with one bright quarter; the class says which. Each of 256 samples has its own
//! background, so that no two are byte-identical.

use std::fs;
use std::io;
use std::path::Path;

/// Names of the classes, in natural order.
pub const CLASSES: [&str; 4] = ["lower-left", "lower-right", "upper-left", "upper-right"];

/// One image: `side`×`side` gray pixels, row-major, bright in the quarter that `class` (an index of
/// [`CLASSES`]) names.
///
/// # Panics
///
/// If `sample` is not below 256: its image would be that of another.
pub fn image(class: usize, sample: usize, side: usize) -> Vec<u8> {
    assert!(sample < 256, "there are 256 samples, and no {sample}");
    let half = side / 2;
    (0..side * side)
        .map(|pixel| {
            let (row, column) = (pixel / side, pixel % side);
            let (lower, right) = (row >= half, column >= half);
            let quarter = usize::from(right) + if lower { 0 } else { 2 };
            let base = if quarter == class { 200 } else { 20 };
            // Texture from the sample's number: different at least in the first pixels, never near the
            // signal.
            base + ((sample >> (pixel % 8)) & 1) as u8 * 16 + ((sample * 7 + pixel * 13) % 16) as u8
        })
        .collect()
}

/// A PNG file of `width`×`height` pixels with 1 (gray) or 3 (RGB) interleaved channels of 8 bits.
///
/// # Panics
///
/// If the pixels do not fill the image exactly, or there are neither 1 nor 3 channels.
pub fn png(width: usize, height: usize, channels: usize, pixels: &[u8]) -> Vec<u8> {
    assert!(
        matches!(channels, 1 | 3) && pixels.len() == width * height * channels,
        "{} bytes do not fill {width}x{height}x{channels}",
        pixels.len()
    );
    let mut header = Vec::new();
    header.extend((width as u32).to_be_bytes());
    header.extend((height as u32).to_be_bytes());
    header.extend([8, if channels == 1 { 0 } else { 2 }, 0, 0, 0]);

    let mut lines = Vec::new();
    for line in pixels.chunks(width * channels) {
        lines.push(0); // no filter
        lines.extend_from_slice(line);
    }
    // zlib with stored blocks of at most 65,535 bytes: valid, and no compressor is needed.
    let mut data = vec![0x78, 0x01];
    let mut blocks = lines.chunks(65_535).peekable();
    while let Some(block) = blocks.next() {
        data.push(u8::from(blocks.peek().is_none()));
        data.extend((block.len() as u16).to_le_bytes());
        data.extend((!(block.len() as u16)).to_le_bytes());
        data.extend_from_slice(block);
    }
    data.extend(adler32(&lines).to_be_bytes());

    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, content) in [(b"IHDR", &header), (b"IDAT", &data), (b"IEND", &Vec::new())] {
        file.extend((content.len() as u32).to_be_bytes());
        let checked_from = file.len();
        file.extend_from_slice(kind);
        file.extend_from_slice(content);
        let checksum = crc32(&file[checked_from..]);
        file.extend(checksum.to_be_bytes());
    }
    file
}

/// Writes an image folder: `root/<class>/<sample>.png`, `per_class` images of each of the [`CLASSES`].
///
/// `first_sample` keeps splits apart: the same numbers give the same images.
///
/// # Errors
///
/// Those of writing files.
pub fn write_image_folder(root: &Path, per_class: usize, side: usize, first_sample: usize) -> io::Result<()> {
    for (class, name) in CLASSES.iter().enumerate() {
        let folder = root.join(name);
        fs::create_dir_all(&folder)?;
        for sample in first_sample..first_sample + per_class {
            let file = png(side, side, 1, &image(class, sample, side));
            fs::write(folder.join(format!("{sample}.png")), file)?;
        }
    }
    Ok(())
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut low, mut high) = (1u32, 0u32);
    for &byte in bytes {
        low = (low + u32::from(byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    high << 16 | low
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_the_published_ones() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn png_decodes_to_the_same_pixels_also_over_several_blocks() {
        for (width, height, channels) in [(8, 8, 1), (5, 3, 3), (300, 250, 1)] {
            let pixels: Vec<u8> = (0..width * height * channels).map(|k| (k * 31 % 251) as u8).collect();
            let png = io::Cursor::new(png(width, height, channels, &pixels));
            let decoder = image::codecs::png::PngDecoder::new(png).unwrap();
            let decoded = image::DynamicImage::from_decoder(decoder).unwrap();
            assert_eq!((decoded.width() as usize, decoded.height() as usize), (width, height));
            assert_eq!(usize::from(decoded.color().channel_count()), channels);
            assert_eq!(decoded.as_bytes(), pixels);
        }
    }

    #[test]
    fn images_are_all_different_and_show_their_class() {
        let mut seen = std::collections::HashSet::new();
        for class in 0..CLASSES.len() {
            for sample in 0..256 {
                let pixels = image(class, sample, 8);
                let brightest = (0..4).max_by_key(|&quarter| {
                    let (row, column) =
                        (if quarter < 2 { 6 } else { 2 }, if quarter % 2 == 1 { 6 } else { 2 });
                    pixels[row * 8 + column]
                });
                assert_eq!(brightest, Some(class));
                assert!(seen.insert(pixels), "class {class}, sample {sample}");
            }
        }
    }

    #[test]
    fn a_folder_holds_what_it_says() {
        let root = tempfile::tempdir().unwrap();
        write_image_folder(root.path(), 3, 8, 0).unwrap();
        let count = |folder: &str| fs::read_dir(root.path().join(folder)).unwrap().count();
        assert_eq!((count(""), count("upper-left")), (4, 3));
    }
}
