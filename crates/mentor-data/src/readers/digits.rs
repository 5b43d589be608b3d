//! The embedded handwritten digits (Alpaydin and Kaynak 1998, CC BY 4.0; see `data/README.md`).

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use flate2::read::GzDecoder;

use crate::error::DataError;
use crate::format::ImageFormat;
use crate::readers::listing::{Format, Listed, Listing, Pictures};

/// Name of the embedded data set. A folder of that name is opened as `./digits`.
pub(crate) const DIGITS: &str = "digits";

static ARCHIVE: &[u8] = include_bytes!("../../data/digits.csv.gz");
const SIDE: usize = 8;
/// Largest value in the file.
const WHITE: u32 = 16;

pub(crate) const FORMAT: Format =
    Format { recognises: |path| path.as_os_str() == DIGITS, list: |_, _, _| list() };

fn list() -> Result<Listing, DataError> {
    let damaged = |reason: String| DataError::Damaged { path: PathBuf::from(DIGITS), reason };
    let mut text = String::new();
    GzDecoder::new(ARCHIVE).read_to_string(&mut text).map_err(|error| damaged(error.to_string()))?;
    let mut bytes = Vec::with_capacity(text.lines().count() * SIDE * SIDE);
    let mut samples = Vec::new();
    for (row, line) in text.lines().enumerate() {
        let values: Result<Vec<u32>, _> = line.split(',').map(str::parse).collect();
        let values = values.map_err(|error| damaged(format!("line {}: {error}", row + 1)))?;
        match values.split_last() {
            Some((&target, pixels)) if target < 10 && pixels.len() == SIDE * SIDE => {
                bytes.extend(pixels.iter().map(|&value| to_byte(value)));
                let id = format!("digits[{row}]");
                samples.push(Listed {
                    id,
                    target: Some(target),
                    split: None,
                    row: row as u32,
                    problem: None,
                });
            }
            _ => return Err(damaged(format!("line {}: not 64 pixels and a digit", row + 1))),
        }
    }
    Ok(Listing {
        kind: "embedded digits",
        classes: (0..10).map(|class| class.to_string()).collect(),
        samples,
        pictures: Pictures::Array { shape: ImageFormat::new(1, SIDE, SIDE), bytes: Arc::new(bytes) },
        notes: Vec::new(),
    })
}

/// `round(255 value / 16)`.
fn to_byte(value: u32) -> u8 {
    ((value.min(WHITE) * 255 + WHITE / 2) / WHITE) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_digits_are_there_and_the_first_is_a_zero() {
        let listing = list().unwrap();
        assert_eq!(listing.samples.len(), 1797);
        assert_eq!(listing.samples[0].target, Some(0));
        let Pictures::Array { bytes, .. } = listing.pictures else { panic!("digits are an array") };
        assert_eq!(bytes[..8], [0, 0, 80, 207, 143, 16, 0, 0], "0 0 5 13 9 1 0 0 of 16");
        assert_eq!([to_byte(0), to_byte(16), to_byte(8)], [0, 255, 128]);
    }
}
