//! Several hundred small files of every kind against what Pillow makes of them; `reference/pictures.py`
//! writes both.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use mentor_data::{ImageFormat, Limits, decode};

/// Files that are refused, by name or by the beginning of it before a `*`, and what the message says.
const REFUSED: &[(&str, &str)] = &[
    // Damaged, cut or without some of their pixels. Pillow fills up what is missing if an end marker follows.
    ("cut-*", ""),
    ("restart-lost.jpg", "RST marker desync"),
    ("restart-short.jpg", "end in the middle"),
    ("scans-missing.jpg", "before the last of its scans"),
    ("progressive-unfinished.jpg", "before the last of its scans"),
    ("rows-missing.png", "not have enough data"),
    ("wrong-checksum.png", "critical chunk"),
    ("height-later.jpg", "0x37 pixels"),
    // JPEG processes and layouts that cameras and programs do not write.
    ("arithmetic.jpg", "arithmetic codes"),
    ("lossless.jpg", "a lossless JPEG"),
    ("hierarchical.jpg", "unsupported JPEG process"),
    ("bits-12.jpg", "12 bits a sample"),
    ("two-components.jpg", "2 components"),
    ("fraction*", "fractional chroma sampling"),
    ("luma-smaller*", "chroma is finer than its luma"),
    ("scans-luma-chroma.jpg", "a common scan"),
    ("scans-luma-cb.jpg", "a common scan"),
    // Programs disagree about these.
    ("beyond-canvas.gif", "sticks out of its canvas"),
    ("unspecified-fourth.tif", "its pixels (RGB(8))"),
    // TIFF of kinds that the decoder does not have.
    ("palette*.tif", "RGBPalette"),
    ("jpeg.tif", "JPEG compression"),
    ("gray-32.tif", "32 bits"),
    ("gray-signed.tif", "signed integers of 16 bits"),
    ("tiles-planar.tif", "its decoder failed on it"),
    ("gray-float-to-255.tif", "its floats lie between 0 and"),
    ("rgb-float-to-255.tif", "its floats lie between 0 and"),
];

/// Files that Pillow refuses and mentor reads: every pixel is there.
const ONLY_HERE: &[&str] = &[
    "without-end-marker.jpg",
    "without-end-marker-progressive.jpg",
    "half-an-end-marker.jpg",
    "444-doubled.jpg",
    "444-doubled-bands.jpg",
    "444-doubled-restart.jpg",
    "rgba.pam",
    "rgb-float-to-1.tif",
];

fn refusal(name: &str) -> Option<&'static str> {
    // The whole name counts more than its beginning.
    let matches = |pattern: &str| match pattern.split_once('*') {
        Some((start, end)) => name.starts_with(start) && name.ends_with(end),
        None => name == pattern,
    };
    let exact = REFUSED.iter().find(|(pattern, _)| *pattern == name);
    exact.or_else(|| REFUSED.iter().find(|(pattern, _)| matches(pattern))).map(|&(_, reason)| reason)
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pictures")
}

struct Expected {
    format: ImageFormat,
    /// `[height, width, channel]`.
    pixels: Vec<u8>,
}

/// What Pillow makes of each file; `None` if it refuses it.
fn expectations() -> BTreeMap<String, Option<Expected>> {
    let mut pixels = Vec::new();
    let packed = std::fs::File::open(folder().join("expected.gz")).unwrap();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut pixels).unwrap();
    let text = std::fs::read_to_string(folder().join("expected.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let number = |field: usize| fields[field].parse::<usize>().unwrap();
            let expected = (fields[1] != "refused").then(|| {
                let format = ImageFormat::new(number(1), number(2), number(3));
                let pixels = pixels[number(4)..][..format.num_values()].to_vec();
                Expected { format, pixels }
            });
            (fields[0].to_owned(), expected)
        })
        .collect()
}

/// The mean difference of the pixels, and the largest.
fn difference(expected: &Expected, planes: &[u8]) -> (f64, u8) {
    let plane = planes.len() / expected.format.channels;
    let mut sum = 0;
    let mut largest = 0;
    for (at, &value) in expected.pixels.iter().enumerate() {
        let (pixel, channel) = (at / expected.format.channels, at % expected.format.channels);
        let difference = value.abs_diff(planes[channel * plane + pixel]);
        sum += u64::from(difference);
        largest = largest.max(difference);
    }
    (sum as f64 / planes.len() as f64, largest)
}

#[test]
fn every_picture_is_that_of_pillow_or_refused() {
    let mut largest_mean: f64 = 0.0;
    let mut num_compared = 0;
    for (name, expected) in expectations() {
        let bytes = std::fs::read(folder().join(&name)).unwrap();
        let format =
            expected.as_ref().map_or(ImageFormat::new(3, 29, 37), |expected| expected.format.clone());
        let decoded = decode(&bytes, &format, &Limits::default());
        match (decoded, refusal(&name)) {
            (Err(error), Some(reason)) => assert!(error.to_string().contains(reason), "{name}: {error}"),
            (Err(error), None) => panic!("{name} is refused: {error}"),
            (Ok(_), Some(_)) => panic!("{name} is not refused any more"),
            (Ok(planes), None) => match expected {
                None => assert!(ONLY_HERE.contains(&name.as_str()), "{name}: Pillow refuses it"),
                Some(expected) => {
                    let (mean, largest) = difference(&expected, &planes);
                    assert!(mean <= 1.0 && largest <= 4, "{name}: mean {mean}, largest {largest}");
                    // What JPEG decoders disagree about is here the same to the bit: upsampling, transforms,
                    // colours.
                    assert!(!name.ends_with(".jpg") || largest <= 1, "{name}: largest {largest}");
                    largest_mean = largest_mean.max(mean);
                    num_compared += 1;
                }
            },
        }
    }
    assert!(num_compared > 220, "{num_compared}");
    assert!(largest_mean <= 0.5, "{largest_mean}");
}

/// Those that Pillow refuses only for the missing end are those of the whole file.
#[test]
fn a_missing_end_marker_changes_no_pixel() {
    let pixels = |name: &str| {
        let bytes = std::fs::read(folder().join(name)).unwrap();
        decode(&bytes, &ImageFormat::new(3, 29, 37), &Limits::default()).unwrap()
    };
    assert_eq!(pixels("without-end-marker.jpg"), pixels("420.jpg"));
    assert_eq!(pixels("half-an-end-marker.jpg"), pixels("420.jpg"));
    assert_eq!(pixels("without-end-marker-progressive.jpg"), pixels("420-bands.jpg"));
    assert_eq!(pixels("without-end.png"), pixels("rgb-8.png"));
}

/// Wherever a JPEG is cut, with an end marker behind the cut or not, it is refused, or no pixel is missing.
#[test]
fn a_jpeg_that_is_cut_is_refused_or_whole() {
    for (name, expected) in expectations() {
        let Some(expected) = expected.filter(|_| name.ends_with(".jpg") && refusal(&name).is_none()) else {
            continue;
        };
        let bytes = std::fs::read(folder().join(&name)).unwrap();
        let whole = decode(&bytes, &expected.format, &Limits::default()).unwrap();
        let last = (0..16).map(|back| bytes.len().saturating_sub(back));
        for length in (1..=20).map(|part| bytes.len() * part / 21).chain(last) {
            for end in [&[][..], &[0xff, 0xd9]] {
                let cut = [&bytes[..length], end].concat();
                let Ok(planes) = decode(&cut, &expected.format, &Limits::default()) else { continue };
                // The bits that fill the last byte may be missing too.
                let num_changed = planes.iter().zip(&whole).filter(|(a, b)| a.abs_diff(**b) > 2).count();
                assert!(
                    num_changed <= planes.len() / 20,
                    "{name} cut to {length}: {num_changed} values changed"
                );
            }
        }
    }
}

/// A few thousand damaged files: each gives pixels or an error, and the thread goes on.
#[test]
fn no_damage_ends_the_program() {
    let mut state = 7_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let limits = Limits { max_pixels: 1 << 20, ..Limits::default() };
    let format = ImageFormat::new(3, 8, 8);
    let mut num_read = 0;
    for name in expectations().keys() {
        let bytes = std::fs::read(folder().join(name)).unwrap();
        for variant in 0..20 {
            let mut damaged = bytes.clone();
            match variant {
                0..6 => damaged.truncate(random(bytes.len())),
                // Headers lie in front.
                _ => {
                    for _ in 0..1 + variant % 3 {
                        let at =
                            if variant < 13 { random(bytes.len().min(120)) } else { random(bytes.len()) };
                        damaged[at] = random(256) as u8;
                    }
                }
            }
            num_read += usize::from(decode(&damaged, &format, &limits).is_ok());
        }
    }
    assert!(num_read > 500, "{num_read}");
}

/// What a file declares beside its pixels takes no memory that its pixels would not.
#[test]
fn what_a_picture_holds_beside_its_pixels_is_limited() {
    let decode = |bytes: &[u8]| decode(bytes, &ImageFormat::new(1, 8, 8), &Limits::default());
    // A WebP file whose EXIF chunk declares 4 GiB, and a GIF frame of 4 gigapixels on a canvas of one.
    let webp = b"RIFF\x30\0\0\0WEBPVP8X\x0a\0\0\0\x08\0\0\0\x07\0\0\x07\0\0EXIF\xf0\xff\xff\xff....";
    assert!(decode(webp).unwrap_err().to_string().contains("ends in the middle"));
    let gif = b"GIF89a\x01\0\x01\0\0\0\0\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x4c\x01\0;";
    assert!(decode(gif).unwrap_err().to_string().contains("sticks out"));
}
