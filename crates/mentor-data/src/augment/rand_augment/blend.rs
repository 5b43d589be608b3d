//! Operations that move an image away from, or towards, a duller version of itself: Pillow's `ImageEnhance`.

use crate::decode::raster::luma;
use crate::format::ImageFormat;

/// `dull + factor·(value − dull)`, in f32 and rounded towards zero as Pillow's `Image.blend`; the cast keeps
/// it within a byte.
fn blend(dull: u8, value: u8, factor: f32) -> u8 {
    (f32::from(dull) + factor * f32::from(i16::from(value) - i16::from(dull))) as u8
}

/// The three planes of a colour image; `None` for a gray one.
fn planes(image: &mut [u8], plane: usize) -> Option<[&mut [u8]; 3]> {
    if image.len() != 3 * plane {
        return None;
    }
    let (red, rest) = image.split_at_mut(plane);
    let (green, blue) = rest.split_at_mut(plane);
    Some([red, green, blue])
}

/// Dull is the image in gray.
pub(super) fn color(image: &mut [u8], plane: usize, factor: f32) {
    let Some([red, green, blue]) = planes(image, plane) else { return };
    for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
        let gray = luma(*red, *green, *blue);
        for value in [red, green, blue] {
            *value = blend(gray, *value, factor);
        }
    }
}

/// Dull is an even image of the mean gray.
pub(super) fn contrast(image: &mut [u8], plane: usize, factor: f32) {
    let sum: u64 = match planes(image, plane) {
        Some([red, green, blue]) => red
            .iter()
            .zip(&*green)
            .zip(&*blue)
            .map(|((&red, &green), &blue)| u64::from(luma(red, green, blue)))
            .sum(),
        None => image.iter().map(|&value| u64::from(value)).sum(),
    };
    let mean = (sum as f64 / plane as f64 + 0.5) as u8;
    for value in image {
        *value = blend(mean, *value, factor);
    }
}

/// Dull is black.
pub(super) fn brightness(image: &mut [u8], factor: f32) {
    for value in image {
        *value = blend(0, *value, factor);
    }
}

/// Dull is the image smoothed by a kernel of ones with 5 in the middle; its border, and images with a side
/// under 3, stay as they are.
pub(super) fn sharpness(format: &ImageFormat, image: &mut [u8], factor: f32, scratch: &mut Vec<u8>) {
    let (height, width) = (format.height, format.width);
    if height < 3 || width < 3 {
        return;
    }
    scratch.clear();
    scratch.extend_from_slice(image);
    let plane = height * width;
    for (image, source) in image.chunks_exact_mut(plane).zip(scratch.chunks_exact(plane)) {
        for y in 1..height - 1 {
            let above = &source[(y - 1) * width..][..width];
            let row = &source[y * width..][..width];
            let below = &source[(y + 1) * width..][..width];
            let target = &mut image[y * width + 1..][..width - 2];
            let triples = above.windows(3).zip(row.windows(3)).zip(below.windows(3));
            for (target, ((above, row), below)) in target.iter_mut().zip(triples) {
                let sum = |values: &[u8]| values.iter().map(|&value| u16::from(value)).sum::<u16>();
                let weighted = sum(above) + sum(row) + sum(below) + 4 * u16::from(row[1]);
                // To the nearest; 13 is odd, so there is no tie for Pillow's floats to decide.
                let smooth = ((2 * weighted + 13) / 26) as u8;
                *target = blend(smooth, row[1], factor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blending_is_rounded_towards_zero_and_kept_in_range() {
        assert_eq!(blend(0, 100, 0.5), 50);
        assert_eq!(blend(10, 13, 0.5), 11);
        assert_eq!(blend(0, 200, 1.9), 255);
        assert_eq!(blend(200, 100, 1.9), 10);
        assert_eq!(blend(200, 50, 1.9), 0);
    }

    #[test]
    fn gray_has_no_saturation() {
        let mut image = [1, 2, 3, 4];
        color(&mut image, 4, 0.1);
        assert_eq!(image, [1, 2, 3, 4]);
        let mut image = [90; 12];
        color(&mut image, 4, 0.1);
        assert_eq!(image, [90; 12]);
    }
}
