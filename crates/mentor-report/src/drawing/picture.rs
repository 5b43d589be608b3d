//! Images as PNG in `data:` addresses, so that the report is one file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use mentor_run::records::Picture;
use mentor_run::records::analysis::WeightImage;

/// Colour of weights below zero; its opacity is the size of the weight, so zero is the page itself.
const NEGATIVE: [u8; 3] = [31, 111, 180];
/// Colour of weights above zero. Blue and orange stay apart for every kind of colour vision.
const POSITIVE: [u8; 3] = [222, 107, 20];

/// Bytes of a sheet, at most: one wide and one high picture would make a sheet of both sides.
const MAX_SHEET: usize = 64 << 20;

/// A picture in bytes: `[channels, height, width]`, of 1 or 3 channels.
struct Planes {
    channels: usize,
    height: usize,
    width: usize,
    bytes: Vec<u8>,
}

impl Planes {
    /// `None` when the bytes are not what the size says.
    fn decode(picture: &Picture) -> Option<Self> {
        let Picture { channels, height, width, ref pixels } = *picture;
        let bytes = STANDARD.decode(pixels).ok()?;
        let length = height.checked_mul(width)?.checked_mul(channels)?;
        let sound = matches!(channels, 1 | 3) && length == bytes.len();
        sound.then_some(Self { channels, height, width, bytes })
    }
}

/// The address of a picture from `analysis.json`; `None` when its bytes are not what its size says.
pub(crate) fn photo(picture: &Picture) -> Option<String> {
    let Planes { channels, height, width, bytes } = Planes::decode(picture)?;
    if channels == 3 {
        encode(&interleave(&bytes, height * width), width, height, ExtendedColorType::Rgb8)
    } else {
        encode(&bytes, width, height, ExtendedColorType::L8)
    }
}

/// The address of many pictures side by side, `columns` in a row, and the size `[width, height]` of the place
/// of each, in which a smaller one lies in the upper left corner; `None` when one of them is not what its
/// size says, or the sheet would be too large.
pub(crate) fn sheet(pictures: &[Picture], columns: usize) -> Option<(String, [usize; 2])> {
    let pictures: Vec<Planes> = pictures.iter().map(Planes::decode).collect::<Option<_>>()?;
    let width = pictures.iter().map(|picture| picture.width).max()?;
    let height = pictures.iter().map(|picture| picture.height).max()?;
    let rows = pictures.len().div_ceil(columns);
    let channels = if pictures.iter().any(|picture| picture.channels == 3) { 3 } else { 1 };
    let row_bytes = columns.checked_mul(width)?.checked_mul(channels)?;
    let num_bytes = rows.checked_mul(height)?.checked_mul(row_bytes)?;
    let mut bytes = vec![0; Some(num_bytes).filter(|&num| num <= MAX_SHEET)?];
    for (index, picture) in pictures.iter().enumerate() {
        let area = picture.height * picture.width;
        let (left, top) = (index % columns * width, index / columns * height);
        for pixel in 0..area {
            let (row, column) = (pixel / picture.width, pixel % picture.width);
            let place = (top + row) * row_bytes + (left + column) * channels;
            for channel in 0..channels {
                bytes[place + channel] = picture.bytes[area * channel.min(picture.channels - 1) + pixel];
            }
        }
    }
    let color = if channels == 3 { ExtendedColorType::Rgb8 } else { ExtendedColorType::L8 };
    Some((encode(&bytes, columns * width, rows * height, color)?, [width, height]))
}

/// The address of the weights of one class as a picture.
///
/// One channel: blue below zero, orange above, as strong as the weight. Three channels: each
/// channel's weights brighten or darken that channel of mid-gray. Weights beyond `scale` saturate.
pub(crate) fn weights(image: &WeightImage, scale: f32) -> Option<String> {
    let area = image.height.checked_mul(image.width)?;
    if area.checked_mul(image.channels)? != image.values.len() {
        return None;
    }
    // A weight that is not finite counts as zero; all of zero when there is no scale.
    let share =
        |value: &f32| if value.is_finite() && scale > 0.0 { (value / scale).clamp(-1.0, 1.0) } else { 0.0 };
    let (bytes, color) = match image.channels {
        1 => (
            image.values.iter().flat_map(|value| diverging(share(value))).collect(),
            ExtendedColorType::Rgba8,
        ),
        3 => {
            let planes: Vec<u8> =
                image.values.iter().map(|value| (127.5 + 127.5 * share(value)) as u8).collect();
            (interleave(&planes, area), ExtendedColorType::Rgb8)
        }
        _ => return None,
    };
    encode(&bytes, image.width, image.height, color)
}

/// `share` in `[-1, 1]` as red, green, blue and opacity.
fn diverging(share: f32) -> [u8; 4] {
    let [red, green, blue] = if share < 0.0 { NEGATIVE } else { POSITIVE };
    [red, green, blue, (share.abs() * 255.0) as u8]
}

/// From channel by channel to pixel by pixel.
fn interleave(planes: &[u8], area: usize) -> Vec<u8> {
    (0..area).flat_map(|pixel| [planes[pixel], planes[area + pixel], planes[2 * area + pixel]]).collect()
}

fn encode(bytes: &[u8], width: usize, height: usize, color: ExtendedColorType) -> Option<String> {
    let (width, height) = (u32::try_from(width).ok()?, u32::try_from(height).ok()?);
    if width == 0 || height == 0 {
        return None;
    }
    let mut png = Vec::new();
    PngEncoder::new(&mut png).write_image(bytes, width, height, color).ok()?;
    Some(format!("data:image/png;base64,{}", STANDARD.encode(png)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(address: &str) -> image::RgbaImage {
        let png = STANDARD.decode(address.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        let decoder = image::codecs::png::PngDecoder::new(std::io::Cursor::new(png)).unwrap();
        image::DynamicImage::from_decoder(decoder).unwrap().to_rgba8()
    }

    #[test]
    fn a_colour_picture_keeps_its_pixels() {
        let pixels = STANDARD.encode([10, 20, 30, 40, 50, 60]);
        let address = photo(&Picture { channels: 3, height: 1, width: 2, pixels }).unwrap();
        assert_eq!(decode(&address).into_raw(), [10, 30, 50, 255, 20, 40, 60, 255]);
    }

    #[test]
    fn a_sheet_holds_gray_and_colour_side_by_side() {
        let gray = Picture { channels: 1, height: 1, width: 1, pixels: STANDARD.encode([9]) };
        let colour =
            Picture { channels: 3, height: 1, width: 2, pixels: STANDARD.encode([1, 2, 3, 4, 5, 6]) };
        let (address, size) = sheet(&[gray, colour.clone()], 2).unwrap();
        assert_eq!(size, [2, 1]);
        assert_eq!(decode(&address).into_raw(), [9, 9, 9, 255, 0, 0, 0, 255, 1, 3, 5, 255, 2, 4, 6, 255]);
        assert_eq!(sheet(&[Picture { width: 3, ..colour }], 1), None);
        assert_eq!(sheet(&[], 1), None);
        let stripe = |height, width| {
            let pixels = STANDARD.encode(vec![0; height * width]);
            Picture { channels: 1, height, width, pixels }
        };
        assert_eq!(sheet(&[stripe(1, 100_000), stripe(100_000, 1)], 2), None);
    }

    #[test]
    fn a_picture_whose_bytes_do_not_fit_is_left_out() {
        let pixels = STANDARD.encode([1, 2, 3]);
        for (channels, height, width) in [(1, 2, 2), (3, 1, 2), (2, 1, 1), (1, 0, 0), (3, usize::MAX, 2)] {
            let picture = Picture { channels, height, width, pixels: pixels.clone() };
            assert_eq!((photo(&picture), sheet(&[picture], 1)), (None, None));
        }
        let pixels = "not base64".to_owned();
        assert_eq!(photo(&Picture { channels: 1, height: 1, width: 1, pixels }), None);
    }

    #[test]
    fn signs_have_colours_and_zero_is_clear() {
        let values = vec![-2.0, 0.0, 0.5, f32::NAN];
        let image = WeightImage { class: 0, channels: 1, height: 2, width: 2, values };
        let shown = decode(&weights(&image, 1.0).unwrap());
        assert_eq!(shown.get_pixel(0, 0).0, [31, 111, 180, 255]);
        assert_eq!(shown.get_pixel(1, 0).0[3], 0);
        assert_eq!(shown.get_pixel(0, 1).0, [222, 107, 20, 127]);
        assert_eq!(shown.get_pixel(1, 1).0[3], 0);
    }

    #[test]
    fn weights_that_are_all_zero_still_make_a_picture() {
        let image = WeightImage { class: 0, channels: 3, height: 1, width: 1, values: vec![0.0; 3] };
        assert_eq!(decode(&weights(&image, 0.0).unwrap()).get_pixel(0, 0).0, [127, 127, 127, 255]);
    }
}
