//! IDX, the format of MNIST: a magic number, the sizes, then the values; plain or gzipped.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

use super::idx_files::{Content, IdxPart, is_idx_file, is_idx_folder, parts};
use super::numbered::NumberedClasses;
use crate::decode::hex;
use crate::error::DataError;
use crate::format::ImageFormat;
use crate::notes::Note;
use crate::options::{Limits, Purpose};
use crate::readers::listing::{Format, Listed, Listing, Pictures};
use crate::split::Split;

struct Part {
    split: Option<Split>,
    images: Array,
    labels: Vec<i64>,
    labels_path: PathBuf,
    images_path: PathBuf,
}

/// Lists the data set of a folder with IDX files, or that which one of the files belongs to.
pub(crate) const FORMAT: Format = Format {
    recognises: |path| if path.is_dir() { is_idx_folder(path) } else { is_idx_file(path) },
    list: |path, options, purpose| list(path, &options.limits, purpose),
};

fn list(path: &Path, limits: &Limits, purpose: Purpose) -> Result<Listing, DataError> {
    let mut notes = Vec::new();
    let mut found = Vec::new();
    for part in parts(path, &mut notes)? {
        found.push(read_part(part, limits, &mut notes)?);
    }
    let labels = found.iter().map(|part| (part.labels_path.as_path(), &part.labels[..]));
    let classes = NumberedClasses::of(labels, purpose)?;
    // Training images alone are divided.
    let divided = matches!(&found[..], [part] if part.split.is_none_or(|split| split == Split::Train));

    let mut shape: Option<ImageFormat> = None;
    let mut bytes = Vec::new();
    let mut samples = Vec::new();
    for part in found {
        let [_, height, width] = part.images.sizes;
        let format = ImageFormat::new(1, height, width);
        if let Err(error) = format.check() {
            let reason = format!("its header declares images of {height}x{width} pixels, and {error}");
            return Err(DataError::Damaged { path: part.images_path, reason });
        }
        match &shape {
            Some(expected) if *expected != format => {
                return Err(DataError::ShapeMismatch {
                    path: part.images_path,
                    found: format.to_string(),
                    expected: expected.to_string(),
                });
            }
            _ => shape = Some(format),
        }
        let name = part.split.map_or("images".to_owned(), |split| split.to_string());
        let split = part.split.filter(|_| !divided);
        for (index, &label) in part.labels.iter().enumerate() {
            let (id, target) = (format!("{name}[{index}]"), Some(classes.target(label)));
            samples.push(Listed { id, target, split, row: samples.len() as u32, problem: None });
        }
        if bytes.is_empty() {
            bytes = part.images.bytes;
        } else {
            bytes.extend_from_slice(&part.images.bytes);
        }
    }
    let shape = shape.ok_or_else(|| DataError::Empty {
        path: path.to_owned(),
        what: "IDX images",
        hint: "add train-images-idx3-ubyte and train-labels-idx1-ubyte".to_owned(),
    })?;
    let pictures = Pictures::Array { shape, bytes: Arc::new(bytes) };
    Ok(Listing { kind: "IDX files", classes: classes.names(), samples, pictures, notes })
}

fn read_part(part: IdxPart, limits: &Limits, notes: &mut Vec<Note>) -> Result<Part, DataError> {
    let IdxPart { split, images: images_path, labels: labels_path } = part;
    // Labels first: they are small, and a wrong count is found before the images are read.
    let labels = read_array(&labels_path, Content::Labels, limits)?;
    let images = read_array(&images_path, Content::Images, limits)?;
    let [num_images, height, width] = images.sizes;
    let [num_labels, columns, _] = labels.sizes;
    if num_labels != num_images {
        let (images, labels) = (num_images as u64, num_labels as u64);
        return Err(DataError::CountMismatch { path: labels_path, images, labels });
    }
    if num_images == 0 || height == 0 || width == 0 || columns == 0 {
        let hint = format!("its header declares {num_images} images of {height}x{width} pixels");
        return Err(DataError::Empty { path: images_path, what: "images", hint });
    }
    if columns > 1 {
        notes.push(Note::LabelColumns { path: labels_path.to_string_lossy().into_owned(), columns });
    }
    let labels = labels.integers().into_iter().step_by(columns).collect();
    Ok(Part { split, images, labels, labels_path, images_path })
}

struct Array {
    /// Sizes of the dimensions; unused ones are 1.
    sizes: [usize; 3],
    /// The code of the type, see [`width_of`].
    element: u8,
    bytes: Vec<u8>,
}

impl Array {
    fn integers(&self) -> Vec<i64> {
        let values = self.bytes.chunks_exact(width_of(self.element));
        values
            .map(|bytes| match *bytes {
                [byte] if self.element == 0x08 => i64::from(byte),
                [byte] => i64::from(byte as i8),
                [high, low] => i64::from(i16::from_be_bytes([high, low])),
                [a, b, c, d] => i64::from(i32::from_be_bytes([a, b, c, d])),
                _ => unreachable!("an integer of IDX has 1, 2 or 4 bytes"),
            })
            .collect()
    }
}

/// Bytes of an element: unsigned and signed bytes, and integers of 16 and 32 bits.
fn width_of(element: u8) -> usize {
    match element {
        0x0b => 2,
        0x0c => 4,
        _ => 1,
    }
}

/// The magic numbers that are read: two zeros, the type, the number of dimensions. QMNIST has tables of
/// labels, whose first column is the digit.
fn magics(content: Content) -> (&'static [[u8; 4]], &'static str) {
    match content {
        Content::Images => (&[[0, 0, 0x08, 3]], "IDX images of bytes (00 00 08 03)"),
        Content::Labels => (
            &[[0, 0, 0x08, 1], [0, 0, 0x09, 1], [0, 0, 0x0b, 1], [0, 0, 0x0c, 1], [0, 0, 0x0c, 2]],
            "IDX labels of bytes (00 00 08 01) or integers",
        ),
    }
}

fn read_array(path: &Path, content: Content, limits: &Limits) -> Result<Array, DataError> {
    let io = |error| DataError::io(path, error);
    let file = File::open(path).map_err(io)?;
    let mut start = [0; 2];
    let mut buffered = BufReader::with_capacity(1 << 16, file);
    let is_gzip = {
        let available = std::io::BufRead::fill_buf(&mut buffered).map_err(io)?;
        let length = available.len().min(2);
        start[..length].copy_from_slice(&available[..length]);
        start == [0x1f, 0x8b]
    };
    if is_gzip {
        parse(path, MultiGzDecoder::new(buffered), content, limits)
    } else {
        parse(path, buffered, content, limits)
    }
}

/// Reads magic number, sizes and exactly the bytes they declare. Memory grows with what is there, not
/// with what the header claims.
fn parse(path: &Path, mut reader: impl Read, content: Content, limits: &Limits) -> Result<Array, DataError> {
    let (magic, _) = read_up_to(path, &mut reader, 4)?;
    let (known, expected) = magics(content);
    if !known.iter().any(|known| known.starts_with(&magic)) {
        return Err(DataError::WrongMagic { path: path.to_owned(), found: hex(&magic), expected });
    }
    let (element, dimensions) = (magic.get(2).copied().unwrap_or(0), magic.get(3).copied().unwrap_or(1));
    let (header, _) = read_up_to(path, &mut reader, 4 * u64::from(dimensions))?;
    if magic.len() < 4 || header.len() != 4 * usize::from(dimensions) {
        let reason = format!("truncated: its header of {} bytes is too short", magic.len() + header.len());
        return Err(DataError::Damaged { path: path.to_owned(), reason });
    }
    let mut sizes = [1_usize; 3];
    for (size, word) in sizes.iter_mut().zip(header.chunks_exact(4)) {
        *size = word.iter().fold(0, |value, &byte| value << 8 | usize::from(byte));
    }
    let width = width_of(element) as u64;
    let declared = sizes.iter().try_fold(width, |product, &size| product.checked_mul(size as u64));
    let limit = limits.max_memory_bytes;
    let expected = declared.filter(|&bytes| bytes <= limit).ok_or_else(|| DataError::TooLarge {
        path: path.to_owned(),
        what: "the number of bytes that its header declares",
        size: declared.unwrap_or(u64::MAX),
        limit,
        option: "max_memory_bytes",
    })?;
    // One byte more than declared also makes the gzip reader check its checksum.
    let (bytes, cut_off) = read_up_to(path, &mut reader, expected.saturating_add(1))?;
    let found = bytes.len() as u64;
    if found < expected {
        return Err(DataError::Truncated { path: path.to_owned(), expected, found });
    }
    if cut_off {
        let reason = "truncated: the gzip stream ends before its checksum".to_owned();
        return Err(DataError::Damaged { path: path.to_owned(), reason });
    }
    if found > expected {
        let reason = format!("holds more than the {expected} bytes of data that its header declares");
        return Err(DataError::Damaged { path: path.to_owned(), reason });
    }
    Ok(Array { sizes, element, bytes })
}

/// Up to `limit` bytes, fewer where the stream ends; and whether it is a gzip stream that is cut off.
fn read_up_to(path: &Path, reader: &mut impl Read, limit: u64) -> Result<(Vec<u8>, bool), DataError> {
    let mut bytes = Vec::new();
    match reader.take(limit).read_to_end(&mut bytes) {
        Ok(_) => Ok((bytes, false)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok((bytes, true)),
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData) => {
            Err(DataError::Damaged {
                path: path.to_owned(),
                reason: format!("damaged gzip stream ({error})"),
            })
        }
        Err(error) => Err(DataError::io(path, error)),
    }
}
