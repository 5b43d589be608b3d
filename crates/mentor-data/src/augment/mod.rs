//! Augmentation: small random changes of an image that keep its class, a pure function of
//! `(seed, draw, sample)`.

mod crop;
pub(crate) mod rand_augment;

use std::fmt;
use std::num::NonZeroU8;
use std::str::FromStr;

use mentor_random::{Purpose, Stream};
use serde::{Deserialize, Serialize};

use crate::augment::crop::Part;
use crate::augment::rand_augment::RandAugment;
use crate::error::DataError;
use crate::format::ImageFormat;

/// What is done to training images. Pixels that come from outside the image are 0 (black).
///
/// Written, in configurations too, as `none`, `flip`, `shift`, `shift:2`, `shift+flip`, `shift:2+flip`,
/// `crop`, `crop+flip`, `standard` or [`RandAugment`]'s form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Augment {
    /// Nothing.
    #[default]
    None,
    /// Half of the images mirrored left to right. Suits photographs, not letters or digits.
    Flip,
    /// Padded and cropped at a random place.
    Shift {
        /// Most pixels in each direction. `None`: 1 for sides under 12, 2 for sides under 24, else 4. A
        /// network that does not share its weights over places learns from small moves and is held up by
        /// large ones.
        reach: Option<NonZeroU8>,
        /// Also as [`Flip`](Self::Flip): the usual recipe for small photographs.
        flip: bool,
    },
    /// A random part, of 35 % of the area or more and sides of up to 4:3, brought to the size of the whole
    /// (Szegedy et al. 2015). Suits photographs of at least some hundred pixels.
    Crop {
        /// Also as [`Flip`](Self::Flip).
        flip: bool,
    },
    /// Moved by up to the usual number of pixels, half of the images mirrored left to right, turned by up to
    /// 10 degrees about the centre, and in a quarter of them a rectangle with sides from an eighth to a half
    /// of the image's erased.
    Standard,
    /// Some of fourteen operations, drawn at random. The strong noise of self-training.
    RandAugment(RandAugment),
}

impl TryFrom<String> for Augment {
    type Error = DataError;

    fn try_from(text: String) -> Result<Self, DataError> {
        text.parse()
    }
}

impl From<Augment> for String {
    fn from(augment: Augment) -> Self {
        augment.to_string()
    }
}

impl FromStr for Augment {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "none" => Ok(Self::None),
            "flip" => Ok(Self::Flip),
            "crop" => Ok(Self::Crop { flip: false }),
            "crop+flip" => Ok(Self::Crop { flip: true }),
            "standard" => Ok(Self::Standard),
            _ if text.starts_with(RandAugment::NAME) => text.parse().map(Self::RandAugment),
            _ => parse_shift(text).ok_or_else(|| DataError::InvalidOption {
                name: "augment",
                value: text.to_owned(),
                allowed: "none, flip, shift, shift:N with N from 1 to 255, shift+flip, shift:N+flip, \
                          crop, crop+flip, standard or rand-augment",
            }),
        }
    }
}

fn parse_shift(text: &str) -> Option<Augment> {
    let (shift, flip) = match text.strip_suffix("+flip") {
        Some(shift) => (shift, true),
        None => (text, false),
    };
    let reach = match shift.strip_prefix("shift")? {
        "" => None,
        reach => Some(reach.strip_prefix(':')?.parse().ok()?),
    };
    Some(Augment::Shift { reach, flip })
}

impl fmt::Display for Augment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Flip => f.write_str("flip"),
            Self::Shift { reach, flip } => {
                f.write_str("shift")?;
                reach.map_or(Ok(()), |reach| write!(f, ":{reach}"))?;
                f.write_str(if *flip { "+flip" } else { "" })
            }
            Self::Crop { flip: false } => f.write_str("crop"),
            Self::Crop { flip: true } => f.write_str("crop+flip"),
            Self::Standard => f.write_str("standard"),
            Self::RandAugment(chosen) => chosen.fmt(f),
        }
    }
}

impl Augment {
    /// `shift`: by the usual number of pixels, without mirroring.
    pub const SHIFT: Self = Self::Shift { reach: None, flip: false };

    /// Writes the changed image to `dst`. Both are `[channel, height, width]`.
    ///
    /// # Panics
    ///
    /// If a slice is not as long as the format says.
    pub fn apply(&self, format: &ImageFormat, src: &[u8], dst: &mut [u8], seed: u64, draw: u64, sample: u32) {
        assert_eq!([src.len(), dst.len()], [format.num_values(); 2], "image of another format");
        let mut stream = Stream::new(seed, Purpose::Augmentation, &[draw, u64::from(sample)]);
        match self {
            Self::None => dst.copy_from_slice(src),
            Self::Flip => {
                dst.copy_from_slice(src);
                flip_half(format, dst, &mut stream);
            }
            Self::Shift { reach, flip } => {
                let reach = reach.map_or_else(|| usual_reach(format), |reach| reach.get().into());
                shift(format, src, dst, draw_offset(reach, &mut stream));
                if *flip {
                    flip_half(format, dst, &mut stream);
                }
            }
            Self::Crop { flip } => {
                Part::draw(&mut stream).resize(format, src, dst);
                if *flip {
                    flip_half(format, dst, &mut stream);
                }
            }
            Self::Standard => {
                let offset = draw_offset(usual_reach(format), &mut stream);
                let mirrored = stream.uniform() < 0.5;
                let degrees = stream.uniform_in(-MAX_DEGREES, MAX_DEGREES);
                turn(format, src, dst, offset, mirrored, degrees);
                if stream.uniform() < ERASE_PROBABILITY {
                    erase(format, dst, draw_rectangle(format, &mut stream));
                }
            }
            Self::RandAugment(chosen) => {
                dst.copy_from_slice(src);
                chosen.apply(format, dst, &mut stream);
            }
        }
    }
}

const MAX_DEGREES: f32 = 10.0;
const ERASE_PROBABILITY: f32 = 0.25;

/// Rows down and columns to the right.
type Offset = [isize; 2];

/// Rows and columns, each from start to end.
type Rectangle = [std::ops::Range<usize>; 2];

/// Pixels that an image of this size is moved by at most.
fn usual_reach(format: &ImageFormat) -> u64 {
    match format.height.min(format.width) {
        0..12 => 1,
        12..24 => 2,
        _ => 4,
    }
}

fn draw_offset(reach: u64, stream: &mut Stream) -> Offset {
    [(); 2].map(|()| stream.below(2 * reach + 1) as isize - reach as isize)
}

fn draw_rectangle(format: &ImageFormat, stream: &mut Stream) -> Rectangle {
    [format.height, format.width].map(|side| {
        let (shortest, longest) = ((side / 8).max(1), (side / 2).max(1));
        let length = shortest + stream.below((longest - shortest + 1) as u64) as usize;
        let start = stream.below((side - length + 1) as u64) as usize;
        start..start + length
    })
}

/// `dst[y][x] = src[y - down][x - right]`, 0 outside.
fn shift(format: &ImageFormat, src: &[u8], dst: &mut [u8], [down, right]: Offset) {
    let (height, width) = (format.height, format.width);
    dst.fill(0);
    let columns = width.saturating_sub(right.unsigned_abs());
    let (from, to) = if right < 0 { (right.unsigned_abs(), 0) } else { (0, right.unsigned_abs()) };
    let planes = src.chunks_exact(height * width).zip(dst.chunks_exact_mut(height * width));
    for (src, dst) in planes {
        for (y, row) in dst.chunks_exact_mut(width).enumerate() {
            let Some(source) = y.checked_add_signed(-down).filter(|&source| source < height) else {
                continue;
            };
            if columns > 0 {
                let values = &src[source * width + from..][..columns];
                row[to..to + columns].copy_from_slice(values);
            }
        }
    }
}

fn flip_half(format: &ImageFormat, image: &mut [u8], stream: &mut Stream) {
    if stream.uniform() < 0.5 {
        image.chunks_exact_mut(format.width).for_each(<[u8]>::reverse);
    }
}

/// Turns about the centre, then mirrors, then shifts, in one pass: for each target pixel the place in the
/// source is found and read between its four neighbours.
fn turn(
    format: &ImageFormat,
    src: &[u8],
    dst: &mut [u8],
    [down, right]: Offset,
    mirrored: bool,
    degrees: f32,
) {
    let (height, width) = (format.height, format.width);
    let (sine, cosine) = sine_and_cosine(degrees);
    let (centre_y, centre_x) = ((height as f32 - 1.0) / 2.0, (width as f32 - 1.0) / 2.0);
    let plane = height * width;
    for y in 0..height {
        let dy = y as f32 - down as f32 - centre_y;
        for x in 0..width {
            let unmirrored = x as f32 - right as f32 - centre_x;
            let dx = if mirrored { -unmirrored } else { unmirrored };
            let source_y = centre_y + cosine * dy - sine * dx;
            let source_x = centre_x + sine * dy + cosine * dx;
            let (top, left) = (source_y.floor(), source_x.floor());
            let (below, beside) = (source_y - top, source_x - left);
            let (top, left) = (top as isize, left as isize);
            for channel in 0..format.channels {
                let src = &src[channel * plane..][..plane];
                let pixel = |y: isize, x: isize| {
                    let inside = (0..height as isize).contains(&y) && (0..width as isize).contains(&x);
                    if inside { f32::from(src[y as usize * width + x as usize]) } else { 0.0 }
                };
                let upper = pixel(top, left) * (1.0 - beside) + pixel(top, left + 1) * beside;
                let lower = pixel(top + 1, left) * (1.0 - beside) + pixel(top + 1, left + 1) * beside;
                dst[channel * plane + y * width + x] = (upper * (1.0 - below) + lower * below + 0.5) as u8;
            }
        }
    }
}

/// By their series, exact to f32 for the small angles used here, so that every machine gives the same
/// bits; the system's functions need not.
fn sine_and_cosine(degrees: f32) -> (f32, f32) {
    let angle = f64::from(degrees).to_radians();
    let square = angle * angle;
    let sine = angle * (1.0 - square / 6.0 * (1.0 - square / 20.0 * (1.0 - square / 42.0)));
    let cosine = 1.0 - square / 2.0 * (1.0 - square / 12.0 * (1.0 - square / 30.0));
    (sine as f32, cosine as f32)
}

fn erase(format: &ImageFormat, image: &mut [u8], [rows, columns]: Rectangle) {
    for plane in image.chunks_exact_mut(format.height * format.width) {
        for row in plane.chunks_exact_mut(format.width).take(rows.end).skip(rows.start) {
            row[columns.clone()].fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(channels: usize, height: usize, width: usize) -> ImageFormat {
        ImageFormat::new(channels, height, width)
    }

    #[test]
    fn shift_moves_rows_and_columns_and_fills_with_black() {
        let image = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        let shifted = |offset| {
            let mut out = [99; 9];
            shift(&format(1, 3, 3), &image, &mut out, offset);
            out
        };
        assert_eq!(shifted([0, 0]), image);
        assert_eq!(shifted([1, 0]), [0, 0, 0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(shifted([-1, 2]), [0, 0, 4, 0, 0, 7, 0, 0, 0]);
        assert_eq!(shifted([0, -1]), [2, 3, 0, 5, 6, 0, 8, 9, 0]);
        assert_eq!(shifted([4, -4]), [0; 9]);
    }

    #[test]
    fn mirroring_and_shifting_without_turning_are_exact() {
        let image = [1, 2, 3, 4, 5, 6];
        let mut out = [99; 6];
        turn(&format(1, 2, 3), &image, &mut out, [0, 0], true, 0.0);
        assert_eq!(out, [3, 2, 1, 6, 5, 4]);
        turn(&format(1, 2, 3), &image, &mut out, [1, 1], false, 0.0);
        assert_eq!(out, [0, 0, 0, 0, 1, 2]);
        turn(&format(2, 1, 3), &image, &mut out, [0, 0], true, 0.0);
        assert_eq!(out, [3, 2, 1, 6, 5, 4]);
    }

    #[test]
    fn turning_moves_the_right_edge_down_and_keeps_the_centre() {
        let mut image = [0; 49];
        image[3 * 7 + 3] = 200;
        image[3 * 7 + 6] = 100;
        let mut out = [0; 49];
        turn(&format(1, 7, 7), &image, &mut out, [0, 0], false, 10.0);
        assert_eq!(out[3 * 7 + 3], 200);
        // (dy, dx) = (0, 3) goes to (0.52, 2.95) for a positive angle: half a pixel down.
        assert!(out[4 * 7 + 6] > 40 && out[3 * 7 + 6] > 40 && out[2 * 7 + 6] == 0, "{out:?}");
    }

    #[test]
    fn series_agree_with_the_functions() {
        for degrees in [-10.0_f32, -3.3, 0.0, 1e-3, 10.0] {
            let (sine, cosine) = sine_and_cosine(degrees);
            let angle = f64::from(degrees).to_radians();
            assert!((f64::from(sine) - angle.sin()).abs() < 1e-7);
            assert!((f64::from(cosine) - angle.cos()).abs() < 1e-7);
        }
    }

    #[test]
    fn erasing_blackens_the_rectangle_in_every_channel() {
        let mut image = [9; 12];
        erase(&format(2, 2, 3), &mut image, [1..2, 0..2]);
        assert_eq!(image, [9, 9, 9, 0, 0, 9, 9, 9, 9, 0, 0, 9]);
    }

    #[test]
    fn the_key_alone_decides_and_every_part_of_it_matters() {
        let format = format(3, 16, 16);
        let image: Vec<u8> = (0..768).map(|i| (i * 7 % 251) as u8 + 1).collect();
        let changed = |augment: Augment, seed, epoch, sample| {
            let mut out = vec![0; 768];
            augment.apply(&format, &image, &mut out, seed, epoch, sample);
            out
        };
        let strong = Augment::RandAugment(RandAugment::new(4, 9).unwrap());
        for augment in [Augment::Shift { reach: None, flip: true }, Augment::Standard, strong] {
            let base = changed(augment, 1, 2, 3);
            assert_eq!(base, changed(augment, 1, 2, 3));
            for other in [(2, 2, 3), (1, 3, 3), (1, 2, 4)] {
                assert_ne!(base, changed(augment, other.0, other.1, other.2));
            }
        }
        assert_eq!(changed(Augment::None, 1, 2, 3), image);
        let shifts: std::collections::HashSet<Vec<u8>> =
            (0..400).map(|sample| changed(Augment::SHIFT, 0, 0, sample)).collect();
        assert_eq!(shifts.len(), 25, "every offset of -2..=2 by -2..=2 occurs");
        let by = |reach: &str| format!("shift:{reach}").parse::<Augment>().unwrap();
        assert_eq!(changed(by("2"), 1, 2, 3), changed(Augment::SHIFT, 1, 2, 3), "the reach of this size");
        let shifts: std::collections::HashSet<Vec<u8>> =
            (0..400).map(|sample| changed(by("1"), 0, 0, sample)).collect();
        assert_eq!(shifts.len(), 9, "every offset of -1..=1 by -1..=1 occurs");
        let both: std::collections::HashSet<Vec<u8>> =
            (0..400).map(|sample| changed(by("1+flip"), 0, 0, sample)).collect();
        assert_eq!(both.len(), 18, "every offset occurs mirrored and not");
    }

    #[test]
    fn half_of_the_images_are_mirrored_row_by_row() {
        let image = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        let mirrored = [3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10];
        let is_mirrored = |sample| {
            let mut out = [99; 12];
            Augment::Flip.apply(&format(2, 2, 3), &image, &mut out, 0, 0, sample);
            assert!(out == image || out == mirrored, "{out:?}");
            out == mirrored
        };
        let count = (0..1000).filter(|&sample| is_mirrored(sample)).count();
        assert!((450..550).contains(&count), "{count}");
    }

    #[test]
    fn the_smallest_image_is_no_special_case() {
        let strong = Augment::RandAugment(RandAugment::new(14, 10).unwrap());
        let far = Augment::Shift { reach: Some(NonZeroU8::MAX), flip: true };
        for augment in [Augment::Flip, Augment::SHIFT, far, Augment::Standard, strong] {
            for sample in 0..50 {
                augment.apply(&format(1, 1, 1), &[7], &mut [0], 0, 0, sample);
            }
        }
    }

    #[test]
    fn every_name_is_read_back() {
        let strong = Augment::RandAugment(RandAugment::new(3, 0).unwrap());
        let near = |flip| Augment::Shift { reach: Some(NonZeroU8::MIN), flip };
        let moved = [Augment::SHIFT, Augment::Shift { reach: None, flip: true }, near(false), near(true)];
        for augment in [Augment::None, Augment::Flip, Augment::Standard, strong].into_iter().chain(moved) {
            assert_eq!(augment.to_string().parse::<Augment>().unwrap(), augment);
            assert_eq!(Augment::try_from(String::from(augment)).unwrap(), augment);
        }
        assert_eq!("rand-augment".parse::<Augment>().unwrap(), Augment::RandAugment(RandAugment::default()));
        for wrong in
            ["mirror", "flip+shift", "shiftflip", "shift:0", "shift:-1", "shift:256", "shift:", "+flip"]
        {
            let error = wrong.parse::<Augment>().unwrap_err().to_string();
            let allowed = "none, flip, shift, shift:N with N from 1 to 255, shift+flip, shift:N+flip, crop, \
                           crop+flip, standard or rand-augment";
            assert_eq!(error, format!("augment = {wrong}: must be {allowed}"));
        }
    }
}
