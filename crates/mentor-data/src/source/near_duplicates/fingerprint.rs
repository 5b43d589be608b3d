//! The fingerprint of an image, by which scaled, compressed or brightened copies are found.

use std::sync::LazyLock;

use super::alignment::SIDE;
use crate::format::ImageFormat;

/// Frequencies in each direction that the hash looks at.
const FREQUENCIES: usize = 8;

/// A 64-bit perceptual hash and a small gray picture of an image of any size.
///
/// The hash finds candidates among many images, the picture decides: on small images the hash alone is
/// no proof, since two different trousers share most of their lowest frequencies.
#[derive(Clone, Debug, PartialEq)]
pub struct Fingerprint {
    pub(super) hash: u64,
    /// Gray thumbnail with mean 0 and length 1, or all 0 for an image without structure.
    pub(super) thumbnail: [f32; SIDE * SIDE],
}

impl Fingerprint {
    /// Of one image, `[channel, height, width]`.
    ///
    /// # Panics
    ///
    /// If the slice is not as long as the format says.
    pub fn new(format: &ImageFormat, pixels: &[u8]) -> Self {
        assert_eq!(pixels.len(), format.num_values(), "image of another format");
        let gray = shrink(&to_gray(format, pixels), format.height, format.width);
        let mean = gray.iter().sum::<f32>() / gray.len() as f32;
        let length = gray.iter().map(|value| (value - mean).powi(2)).sum::<f32>().sqrt();
        // Half a gray level in each pixel is what rounding gives an even image.
        let even = length < 0.5 * SIDE as f32;
        let thumbnail = gray.map(|value| if even { 0.0 } else { (value - mean) / length });
        Self { hash: hash(&thumbnail), thumbnail }
    }

    /// Of the same picture, left and right exchanged.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        let mut thumbnail = self.thumbnail;
        thumbnail.chunks_exact_mut(SIDE).for_each(<[f32]>::reverse);
        Self { hash: hash(&thumbnail), thumbnail }
    }

    /// The perceptual hash: bit u + 8·v is set where the coefficient of frequency (u, v) in the discrete
    /// cosine transform of the thumbnail, u across and v down from 0 to 7, is above the median of the 64.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Number of bits, from 0 to 64, in which the hashes differ.
    pub fn distance(&self, other: &Self) -> u32 {
        (self.hash ^ other.hash).count_ones()
    }

    /// Pearson's correlation of the two thumbnails, from −1 to 1. Two images without structure have 1, one
    /// without and one with structure 0.
    pub fn correlation(&self, other: &Self) -> f32 {
        if self.is_blank() && other.is_blank() {
            return 1.0;
        }
        self.thumbnail.iter().zip(&other.thumbnail).map(|(a, b)| a * b).sum()
    }

    /// Whether the image has no structure.
    pub(crate) fn is_blank(&self) -> bool {
        self.thumbnail.iter().all(|&value| value == 0.0)
    }
}

/// Luma of ITU-R 601, from 0 to 255.
fn to_gray(format: &ImageFormat, pixels: &[u8]) -> Vec<f32> {
    let plane = format.height * format.width;
    match pixels.chunks_exact(plane).collect::<Vec<_>>()[..] {
        [red, green, blue] => red
            .iter()
            .zip(green)
            .zip(blue)
            .map(|((&red, &green), &blue)| {
                0.299 * f32::from(red) + 0.587 * f32::from(green) + 0.114 * f32::from(blue)
            })
            .collect(),
        _ => pixels.iter().map(|&value| f32::from(value)).collect(),
    }
}

/// The mean over the area that each pixel of the thumbnail covers, parts of pixels by their share.
fn shrink(gray: &[f32], height: usize, width: usize) -> [f32; SIDE * SIDE] {
    let (rows, columns) = (covered(height), covered(width));
    let mut thumbnail = [0.0; SIDE * SIDE];
    for (target, rows) in thumbnail.chunks_exact_mut(SIDE).zip(&rows) {
        for (target, columns) in target.iter_mut().zip(&columns) {
            for &(y, share_y) in rows {
                let row = &gray[y * width..][..width];
                let sum: f32 = columns.iter().map(|&(x, share_x)| share_x * row[x]).sum();
                *target += share_y * sum;
            }
        }
    }
    thumbnail
}

/// For each of the thumbnail's rows or columns the source's, with their shares, which sum to 1.
fn covered(length: usize) -> Vec<Vec<(usize, f32)>> {
    let scale = length as f64 / SIDE as f64;
    (0..SIDE)
        .map(|index| {
            let (from, to) = (index as f64 * scale, (index + 1) as f64 * scale);
            (from as usize..(to.ceil() as usize).min(length))
                .map(|place| {
                    let overlap = to.min((place + 1) as f64) - from.max(place as f64);
                    (place, (overlap / scale) as f32)
                })
                .collect()
        })
        .collect()
}

/// cos(π (2x + 1) u / 32) at `[u][x]`.
static WAVES: LazyLock<[[f32; SIDE]; FREQUENCIES]> = LazyLock::new(|| {
    std::array::from_fn(|u| {
        std::array::from_fn(|x| {
            let angle = std::f64::consts::PI * ((2 * x + 1) * u) as f64 / (2 * SIDE) as f64;
            angle.cos() as f32
        })
    })
});

fn hash(thumbnail: &[f32; SIDE * SIDE]) -> u64 {
    let waves = &*WAVES;
    let along = |values: &[f32], u: usize| -> f32 { values.iter().zip(&waves[u]).map(|(a, b)| a * b).sum() };
    // [u across][y], then [v down][u across]
    let across: [[f32; SIDE]; FREQUENCIES] =
        std::array::from_fn(|u| std::array::from_fn(|y| along(&thumbnail[y * SIDE..][..SIDE], u)));
    let coefficients: [f32; FREQUENCIES * FREQUENCIES] =
        std::array::from_fn(|bit| along(&across[bit % FREQUENCIES], bit / FREQUENCIES));
    let mut sorted = coefficients;
    sorted.sort_unstable_by(f32::total_cmp);
    let median = (sorted[31] + sorted[32]) / 2.0;
    let set = coefficients.iter().enumerate().filter(|(_, value)| **value > median);
    set.fold(0, |hash, (bit, _)| hash | 1 << bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(height: usize, width: usize, gain: f64, offset: f64) -> Vec<u8> {
        (0..height * width)
            .map(|index| {
                let y = (index / width) as f64 / height as f64 + 0.5 / height as f64;
                let x = (index % width) as f64 / width as f64 + 0.5 / width as f64;
                let wave = (7.0 * x * x + 3.0 * y).sin() * 50.0 + (5.0 * y * x - 4.0 * y).cos() * 60.0;
                (gain * wave + offset) as u8
            })
            .collect()
    }

    fn gray(height: usize, width: usize, pixels: &[u8]) -> Fingerprint {
        Fingerprint::new(&ImageFormat::new(1, height, width), pixels)
    }

    #[test]
    fn size_brightness_and_contrast_change_few_bits() {
        let base = gray(64, 64, &picture(64, 64, 1.0, 120.0));
        for other in [
            gray(48, 48, &picture(48, 48, 1.0, 120.0)),
            gray(28, 40, &picture(28, 40, 1.0, 120.0)),
            gray(64, 64, &picture(64, 64, 0.6, 140.0)),
        ] {
            let (distance, correlation) = (base.distance(&other), base.correlation(&other));
            assert!(distance <= 4 && correlation > 0.995, "{distance} {correlation}");
        }
    }

    #[test]
    fn another_picture_is_far() {
        let base = picture(32, 32, 1.0, 120.0);
        let mirrored: Vec<u8> = base.chunks(32).flat_map(|row| row.iter().rev().copied()).collect();
        let (base, mirrored) = (gray(32, 32, &base), gray(32, 32, &mirrored));
        assert!(base.distance(&mirrored) > 10 && base.correlation(&mirrored) < 0.9);
        let back = mirrored.mirrored();
        assert!(base.distance(&back) <= 1 && base.correlation(&back) > 0.999_99);
    }

    #[test]
    fn colour_counts_as_its_gray_and_an_even_image_as_no_structure() {
        let plane = picture(20, 20, 1.0, 120.0);
        let colour = Fingerprint::new(&ImageFormat::new(3, 20, 20), &plane.repeat(3));
        assert!(colour.correlation(&gray(20, 20, &plane)) > 0.999);
        let (black, white) = (gray(5, 5, &[0; 25]), gray(9, 9, &[255; 81]));
        assert_eq!((black.hash(), black.correlation(&white)), (white.hash(), 1.0));
        assert_eq!(black.correlation(&colour), 0.0);
    }

    #[test]
    fn images_smaller_than_the_thumbnail_are_no_special_case() {
        for side in [1, 2, 3, 8, 15, 17] {
            let shares = covered(side);
            assert!(
                shares
                    .iter()
                    .all(|row| (row.iter().map(|&(_, share)| share).sum::<f32>() - 1.0).abs() < 1e-5)
            );
            assert!(gray(side, side, &picture(side, side, 1.0, 120.0)).correlation(&gray(1, 1, &[3])) <= 1.0);
        }
    }
}
