//! JPEG, by the port of libjpeg-turbo: the pixels are Pillow's to the bit, whatever the order of scans and
//! the sampling.
//!
//! Read are the processes that are in use: 8 bits, Huffman codes, sequential or progressive. Data that run
//! out before the last block, or restart markers out of order, are refused; the decoder sees both because it
//! counts blocks. What surrounds the image is forgiven as Pillow forgives it: bytes between segments, before
//! and after the markers.

use std::borrow::Cow;

use image::metadata::Orientation;
use libjpeg_turbo_rs::{
    ComponentInfo, DecodeLimits, Decoder, FrameHeader, JpegError, PixelFormat, RestartResyncStrategy,
    ResyncAction,
};

use crate::fault::{Fault, damaged};
use crate::picture::{Header, Picture, allowance, check_size, upright};
use crate::pixels::{Alpha, cmyk_to_rgb, picture};

pub(crate) fn read_header(bytes: &[u8], max_pixels: u64) -> Result<Header, Fault> {
    let scans = Scans::of(bytes);
    let ended = scans.with_end(bytes);
    let decoder = open(&ended, max_pixels)?;
    let frame = decoder.header();
    let (height, width) = (frame.height(), frame.width());
    let header = upright(height, width, frame.components.len() != 1, orientation(&decoder));
    Ok(Header { has_end: scans.has_end, ..header })
}

pub(crate) fn decode(bytes: &[u8], max_pixels: u64) -> Result<Picture, Fault> {
    let scans = Scans::of(bytes);
    if !scans.complete {
        return Err(Fault::Damaged("its data end before the last of its scans".to_owned()));
    }
    let ended = scans.with_end(bytes);
    let mut decoder = open(&ended, max_pixels)?;
    if scans.mixed {
        return Err(unsupported("a JPEG with some of its components in a common scan"));
    }
    decoder.set_resync_strategy(RefuseDisorder);
    let format = match decoder.header().components.len() {
        1 => PixelFormat::Grayscale,
        3 => PixelFormat::Rgb,
        _ => PixelFormat::Cmyk,
    };
    decoder.set_output_format(format);
    let image = decoder.decode_image().map_err(|error| fault(&error))?;
    // Adobe's programs store inverted CMYK values, and all others do the same.
    let samples = if format == PixelFormat::Cmyk { cmyk_to_rgb(&image.data) } else { image.data };
    picture([image.height, image.width], Alpha::None, samples, orientation(&decoder))
}

fn open(bytes: &[u8], max_pixels: u64) -> Result<Decoder<'_>, Fault> {
    let limits = DecodeLimits { max_scans: 1000, ..DecodeLimits::default() };
    let mut decoder = Decoder::new_with_limits(bytes, limits).map_err(|error| fault(&error))?;
    let frame = decoder.header();
    let (height, width) = (frame.height() as u64, frame.width() as u64);
    check_size(height, width, max_pixels)?;
    let unusual = match frame {
        _ if decoder.is_arithmetic() => "a JPEG with arithmetic codes".to_owned(),
        frame if frame.is_lossless => "a lossless JPEG".to_owned(),
        frame if frame.precision != 8 => format!("a JPEG of {} bits a sample", frame.precision),
        frame if ![1, 3, 4].contains(&frame.components.len()) => {
            format!("a JPEG of {} components", frame.components.len())
        }
        frame if repeats_a_component(frame) => "a JPEG whose components share a name".to_owned(),
        frame if finer_chroma(frame) => "a JPEG whose chroma is finer than its luma".to_owned(),
        _ => {
            let limits = DecodeLimits { max_pixels, max_memory: Some(allowance(height * width)), ..limits };
            decoder.set_limits(limits);
            return Ok(decoder);
        }
    };
    Err(unsupported(&unusual))
}

/// Its scans name components by these identifiers.
fn repeats_a_component(frame: &FrameHeader) -> bool {
    let components = &frame.components;
    (1..components.len())
        .any(|index| components[..index].iter().any(|other| other.id == components[index].id))
}

fn finer_chroma(frame: &FrameHeader) -> bool {
    let sampling = |component: &ComponentInfo| (component.horizontal_sampling, component.vertical_sampling);
    let (horizontal, vertical) = sampling(&frame.components[0]);
    frame.components.iter().map(sampling).any(|(h, v)| h > horizontal || v > vertical)
}

fn fault(error: &JpegError) -> Fault {
    match error {
        JpegError::UnexpectedEof => Fault::Damaged("its data end in the middle of the image".to_owned()),
        JpegError::Unsupported(what) => unsupported(&format!("a JPEG with {what}")),
        error => damaged(error),
    }
}

fn unsupported(what: &str) -> Fault {
    Fault::Unsupported(format!("{what}, a kind that is not read"))
}

/// Refuses a restart marker that is missing or not the next: blocks were lost.
struct RefuseDisorder;

impl RestartResyncStrategy for RefuseDisorder {
    fn on_desync(&mut self, _expected: u8, _found: Option<u8>) -> ResyncAction {
        ResyncAction::Abort
    }
}

fn orientation(decoder: &Decoder<'_>) -> Orientation {
    decoder.exif_orientation().and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
}

/// What the scans of a file bring, from their headers.
struct Scans {
    /// Every coefficient of every component comes, to its last bit. A progressive file that was cut between
    /// two scans, or one without the scan of a colour, would otherwise be a blurred or gray picture.
    complete: bool,
    /// A sequential file with scans of more than one component and fewer than all.
    mixed: bool,
    /// The marker that ends the image follows the last scan.
    has_end: bool,
}

impl Scans {
    /// The file with the marker that ends it: the decoder looks for it, though it says nothing about the
    /// pixels.
    fn with_end<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if self.has_end { Cow::Borrowed(bytes) } else { Cow::Owned([bytes, &[0xff, 0xd9]].concat()) }
    }

    /// Walks from segment to segment. Markers of a thumbnail lie inside a segment and do not count.
    fn of(bytes: &[u8]) -> Self {
        let mut position = 2;
        // Of each component, its name and the coefficients of which the last bit has come.
        let mut components: Vec<(u8, u64)> = Vec::new();
        let (mut mixed, mut has_end) = (false, false);
        let mut sequential = true;
        while let Some(&marker) = bytes.get(position + 1) {
            match (bytes[position], marker) {
                (0xff, 0xd9) => {
                    has_end = true;
                    break;
                }
                // Data between markers, their stuffed bytes, restart markers and fill bytes.
                (0xff, 0x00 | 0x01 | 0xd0..=0xd8) => position += 2,
                (0xff, 0xff) => position += 1,
                (0xff, _) => {
                    let Some(&[high, low]) = bytes.get(position + 2..position + 4) else { break };
                    let end = position + 2 + usize::from(u16::from_be_bytes([high, low]));
                    let segment = bytes.get(position + 4..end).unwrap_or_default();
                    match (marker, segment) {
                        (0xc0..=0xc2, [_, _, _, _, _, _, named @ ..]) => {
                            sequential = marker != 0xc2;
                            components = named.chunks_exact(3).map(|component| (component[0], 0)).collect();
                        }
                        (0xda, [count, rest @ ..]) => {
                            let count = usize::from(*count);
                            mixed |= sequential && count > 1 && count < components.len();
                            let (named, bits) = rest.split_at(rest.len().min(2 * count));
                            finish(&mut components, named, bits);
                        }
                        _ => {}
                    }
                    position = end.max(position + 2);
                }
                _ => position += 1,
            }
        }
        let complete = components.iter().all(|&(_, finished)| finished == u64::MAX);
        Self { complete, mixed, has_end }
    }
}

/// Notes what a scan brings to the components that it names: coefficients `first` to `last`, if down to the
/// last bit.
fn finish(components: &mut [(u8, u64)], named: &[u8], bits: &[u8]) {
    let &[first, last, approximation] = bits else { return };
    if approximation & 15 != 0 || first > last || last > 63 {
        return;
    }
    let band = u64::MAX >> (63 - last) & u64::MAX << first;
    for name in named.chunks_exact(2).map(|pair| pair[0]) {
        let of_name = components.iter_mut().filter(|component| component.0 == name);
        of_name.for_each(|component| component.1 |= band);
    }
}
