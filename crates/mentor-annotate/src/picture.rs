//! A picture as the page shows it: decoded here, so that every format can be seen, and no larger than a
//! screen.

use std::path::Path;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _};
use mentor_data::{DataError, Limits, Picture, decode_picture_file};

/// The file as a PNG whose longer side is at most `side` pixels.
///
/// # Errors
///
/// If the file cannot be decoded.
pub(crate) fn png(file: &Path, limits: &Limits, side: usize) -> Result<Vec<u8>, DataError> {
    let picture = decode_picture_file(file, limits)?;
    let (height, width, bytes) = shrunk(&picture, side);
    let colour = if picture.channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Sub)
        .write_image(&bytes, width as u32, height as u32, colour)
        .map_err(|error| DataError::store(file.to_string_lossy(), error))?;
    Ok(png)
}

/// Each pixel the mean of a square of pixels, of what there is of it at the edges.
fn shrunk(picture: &Picture, side: usize) -> (usize, usize, Vec<u8>) {
    let Picture { channels, height, width, ref bytes, .. } = *picture;
    let step = height.max(width).div_ceil(side.max(1)).max(1);
    if step == 1 {
        return (height, width, bytes.clone());
    }
    let (rows, columns) = (height.div_ceil(step), width.div_ceil(step));
    let mut means = Vec::with_capacity(rows * columns * channels);
    for row in 0..rows {
        for column in 0..columns {
            let of_row = row * step..height.min((row + 1) * step);
            let of_column = column * step..width.min((column + 1) * step);
            let area = of_row.len() * of_column.len();
            for channel in 0..channels {
                let pixel = |row: usize, column: usize| bytes[(row * width + column) * channels + channel];
                let sum: usize = of_row
                    .clone()
                    .flat_map(|row| of_column.clone().map(move |column| usize::from(pixel(row, column))))
                    .sum();
                means.push(((sum + area / 2) / area) as u8);
            }
        }
    }
    (rows, columns, means)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_shrunk_by_means_and_a_small_one_kept() {
        let picture = Picture {
            channels: 1,
            height: 2,
            width: 5,
            bytes: vec![0, 2, 9, 9, 7, 4, 6, 9, 9, 7],
            extent: None,
        };
        assert_eq!(shrunk(&picture, 3), (1, 3, vec![3, 9, 7]));
        assert_eq!(shrunk(&picture, 5).2, picture.bytes);
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        std::fs::write(&path, "no picture").unwrap();
        assert!(png(&path, &Limits::default(), 100).is_err());
        std::fs::write(&path, b"P5 2 1 255 \x07\xff").unwrap();
        assert!(png(&path, &Limits::default(), 100).unwrap().starts_with(b"\x89PNG"));
    }
}
