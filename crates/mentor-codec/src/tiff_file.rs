//! TIFF, its first page, by the crate `tiff`: gray, RGB and CMYK of 8 or 16 bits, gray of 1, 2 and 4, alpha,
//! and floats from 0 to 1, in strips, tiles or planes, uncompressed or with LZW, Deflate, PackBits or fax
//! codes.

use std::io::Cursor;

use image::metadata::Orientation;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::{CompressionMethod, Tag};
use tiff::{ColorType, TiffError, TiffUnsupportedError};

use crate::fault::{Fault, damaged, one_line};
use crate::picture::{Extent, Header, Picture, allowance, check_size, upright};
use crate::pixels::{Alpha, cmyk_to_rgb, picture, to_byte};

type Tiff<'a> = Decoder<Cursor<&'a [u8]>>;

/// How the samples of a page are to be understood.
struct Page {
    size: [usize; 2],
    bits: u8,
    /// Of a pixel, alpha included.
    samples: usize,
    alpha: Alpha,
    cmyk: bool,
    orientation: Orientation,
}

pub(crate) fn read_header(bytes: &[u8], max_pixels: u64) -> Result<Header, Fault> {
    let (_, page) = open(bytes, max_pixels)?;
    let [height, width] = page.size;
    Ok(upright(height, width, page.samples >= 3, page.orientation))
}

pub(crate) fn decode(bytes: &[u8], max_pixels: u64) -> Result<Picture, Fault> {
    let (mut decoder, page) = open(bytes, max_pixels)?;
    let mut stored = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut stored).map_err(|error| fault(&error))?;
    let [height, width] = page.size;
    let mut extent = None;
    let samples = match stored {
        DecodingResult::U8(packed) if page.bits < 8 => unpack(&packed, width, page.bits),
        DecodingResult::U8(samples) => samples,
        DecodingResult::U16(samples) => {
            extent = page.extent(&samples, layout.planes, 65_535.0);
            samples.into_iter().map(to_byte).collect()
        }
        DecodingResult::F32(samples) => {
            extent = page.extent(&samples, layout.planes, 1.0);
            from_floats(&samples)?
        }
        _ => return Err(unsupported("its samples")),
    };
    let samples = if layout.planes > 1 { interleave(&samples, page.samples) } else { samples };
    if samples.len() != height * width * page.samples {
        return Err(Fault::Damaged("its data end in the middle of the image".to_owned()));
    }
    let samples = match page.cmyk {
        true => cmyk_to_rgb(&samples.into_iter().map(|ink| 255 - ink).collect::<Vec<_>>()),
        false => samples,
    };
    Ok(Picture { extent, ..picture(page.size, page.alpha, samples, page.orientation)? })
}

impl Page {
    /// Of samples pixel by pixel, or plane by plane. Ink is the other way round, and says nothing here.
    fn extent<T: Copy + Into<f64>>(&self, samples: &[T], planes: usize, white: f64) -> Option<Extent> {
        let has_alpha = self.alpha != Alpha::None;
        if self.cmyk {
            return None;
        }
        let colours = self.samples - usize::from(has_alpha);
        Some(match planes {
            0 | 1 => Extent::of(samples, self.samples, has_alpha, white),
            _ => Extent::of(&samples[..samples.len() / self.samples * colours], 1, false, white),
        })
    }
}

fn open(bytes: &[u8], max_pixels: u64) -> Result<(Tiff<'_>, Page), Fault> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(|error| fault(&error))?;
    let (width, height) = decoder.dimensions().map_err(|error| fault(&error))?;
    check_size(u64::from(height), u64::from(width), max_pixels)?;
    let mut limits = Limits::default();
    let allowance = usize::try_from(allowance(u64::from(height) * u64::from(width))).unwrap_or(usize::MAX);
    (limits.decoding_buffer_size, limits.intermediate_buffer_size) = (allowance, allowance);
    decoder = decoder.with_limits(limits);

    let tag = |decoder: &mut Tiff<'_>, tag| {
        decoder.find_tag_unsigned_vec::<u16>(tag).map_err(|error| fault(&error))
    };
    let compression =
        tag(&mut decoder, Tag::Compression)?.and_then(|values| values.first().copied()).unwrap_or(1);
    if [CompressionMethod::JPEG, CompressionMethod::ModernJPEG]
        .map(|method| method.to_u16())
        .contains(&compression)
    {
        return Err(unsupported("its JPEG compression"));
    }
    let extra = tag(&mut decoder, Tag::ExtraSamples)?.unwrap_or_default();
    let formats = tag(&mut decoder, Tag::SampleFormat)?.unwrap_or_default();
    let orientation = tag(&mut decoder, Tag::Orientation)?.and_then(|values| values.first().copied());
    let orientation = orientation.and_then(|value| Orientation::from_exif(value.min(255) as u8));
    let colour = decoder.colortype().map_err(|error| fault(&error))?;
    let (bits, samples) = match colour {
        ColorType::Gray(bits) => (bits, 1),
        ColorType::Multiband { bit_depth, num_samples: 2 } if matches!(extra[..], [1 | 2]) => (bit_depth, 2),
        ColorType::RGB(bits) if extra.is_empty() => (bits, 3),
        ColorType::RGBA(bits) if matches!(extra[..], [1 | 2]) => (bits, 4),
        ColorType::CMYK(bits) if extra.is_empty() => (bits, 4),
        other => return Err(unsupported(&format!("its pixels ({other:?})"))),
    };
    let floats = formats.first() == Some(&3);
    let kind = match formats.first() {
        None | Some(1) => "integers",
        Some(2) => "signed integers",
        Some(3) => "floats",
        Some(_) => "values of an unknown kind",
    };
    let whole = formats.iter().all(|&format| format == 1);
    match bits {
        1 | 2 | 4 if samples == 1 && whole => {}
        8 | 16 if whole => {}
        32 if floats && formats.iter().all(|&format| format == 3) && extra.is_empty() => {}
        _ => return Err(unsupported(&format!("its samples, {kind} of {bits} bits"))),
    }
    let alpha = match extra[..] {
        [1] => Alpha::Associated,
        [2] => Alpha::Straight,
        _ => Alpha::None,
    };
    let page = Page {
        size: [height as usize, width as usize],
        bits,
        samples,
        alpha,
        cmyk: matches!(colour, ColorType::CMYK(_)),
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
    };
    Ok((decoder, page))
}

fn unsupported(what: &str) -> Fault {
    Fault::Unsupported(format!("a TIFF file of a kind that is not read: {what}"))
}

fn fault(error: &TiffError) -> Fault {
    match error {
        TiffError::UnsupportedError(TiffUnsupportedError::InterpretationWithBits(how, _)) => {
            unsupported(&format!("its pixels ({how:?})"))
        }
        TiffError::UnsupportedError(error) => unsupported(&one_line(error)),
        error => damaged(error),
    }
}

/// Gray of 1, 2 or 4 bits, rows padded to whole bytes.
fn unpack(packed: &[u8], width: usize, bits: u8) -> Vec<u8> {
    let (largest, per_byte) = ((1_u8 << bits) - 1, 8 / usize::from(bits));
    packed
        .chunks_exact(width.div_ceil(per_byte))
        .flat_map(|row| {
            (0..width).map(move |x| {
                let shift = 8 - bits as usize * (x % per_byte + 1);
                (row[x / per_byte] >> shift & largest) * (255 / largest)
            })
        })
        .collect()
}

/// Floats have no range of their own: from 0 to 1 is the one that all programs understand.
fn from_floats(samples: &[f32]) -> Result<Vec<u8>, Fault> {
    let (min, max) = samples.iter().fold((0.0_f32, 0.0_f32), |(min, max), &v| (min.min(v), max.max(v)));
    if samples.iter().any(|value| !value.is_finite()) {
        return Err(Fault::Unsupported("it holds floats that are not finite".to_owned()));
    }
    if min < 0.0 || max > 1.0 {
        return Err(Fault::Unsupported(format!(
            "its floats lie between {min} and {max}; only 0 to 1 is read"
        )));
    }
    Ok(samples.iter().map(|&value| (value * 255.0).round() as u8).collect())
}

fn interleave(planes: &[u8], count: usize) -> Vec<u8> {
    let length = planes.len() / count;
    (0..length).flat_map(|at| (0..count).map(move |plane| planes[plane * length + at])).collect()
}
