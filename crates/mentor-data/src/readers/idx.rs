//! IDX, the format of MNIST: a magic number, the sizes, then bytes; plain or gzipped.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

use super::numbered::numbered_classes;
use crate::decode::hex;
use crate::error::DataError;
use crate::format::ImageFormat;
use crate::options::Limits;
use crate::readers::listing::{Listed, Listing, Pictures};
use crate::split::Split;

/// The names in circulation, without `.gz`.
const IMAGES: [[&str; 2]; 2] = [
    ["train-images-idx3-ubyte", "train-images.idx3-ubyte"],
    ["t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"],
];
const LABELS: [[&str; 2]; 2] = [
    ["train-labels-idx1-ubyte", "train-labels.idx1-ubyte"],
    ["t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"],
];
const SPLITS: [(Split, &str); 2] = [(Split::Train, "train"), (Split::Test, "test")];

/// Whether `folder` has a file with images or labels under one of the usual names.
pub(crate) fn is_idx_folder(folder: &Path) -> bool {
    IMAGES.iter().chain(&LABELS).any(|names| find(folder, names).is_some())
}

/// Whether `path` has one of the usual names.
pub(crate) fn is_idx_file(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let name = name.strip_suffix(".gz").unwrap_or(name);
    IMAGES.iter().chain(&LABELS).flatten().any(|&known| known == name)
}

fn find(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    let candidates = names.iter().flat_map(|name| [(*name).to_owned(), format!("{name}.gz")]);
    candidates.map(|name| folder.join(name)).find(|path| path.is_file())
}

struct Part {
    images: Array,
    labels: Vec<i64>,
    labels_path: PathBuf,
    images_path: PathBuf,
}

pub(crate) fn list(folder: &Path, limits: &Limits) -> Result<Listing, DataError> {
    let read = |which: usize| read_part(folder, which, limits);
    let (train, test) = rayon::join(|| read(0), || read(1));
    let parts = [train?, test?];
    let present = || parts.iter().flatten();
    let labels = present().map(|part| (part.labels_path.as_path(), &part.labels[..]));
    let classes = numbered_classes(labels)?;
    let only_train = parts[1].is_none();

    let mut shape: Option<ImageFormat> = None;
    let mut bytes = Vec::new();
    let mut samples = Vec::new();
    for (part, (split, name)) in parts.into_iter().zip(SPLITS) {
        let Some(part) = part else { continue };
        let [_, height, width] = part.images.sizes;
        let found = ImageFormat::new(1, height, width);
        if let Err(error) = found.check() {
            let reason = format!("its header declares images of {height}x{width} pixels, and {error}");
            return Err(DataError::Damaged { path: part.images_path, reason });
        }
        match &shape {
            Some(expected) if *expected != found => {
                return Err(DataError::ShapeMismatch {
                    path: part.images_path,
                    found: found.to_string(),
                    expected: expected.to_string(),
                });
            }
            _ => shape = Some(found),
        }
        for (index, &label) in part.labels.iter().enumerate() {
            let id = format!("{name}[{index}]");
            let split = (!only_train).then_some(split);
            samples.push(Listed { id, target: Some(label as u32), split, row: samples.len() as u32 });
        }
        if bytes.is_empty() {
            bytes = part.images.bytes;
        } else {
            bytes.extend_from_slice(&part.images.bytes);
        }
    }
    let shape = shape.ok_or_else(|| DataError::Empty {
        path: folder.to_owned(),
        what: "IDX images",
        hint: "add train-images-idx3-ubyte and train-labels-idx1-ubyte".to_owned(),
    })?;
    let pictures = Pictures::Array { shape, bytes: Arc::new(bytes) };
    Ok(Listing { kind: "IDX files", classes, samples, pictures, notes: Vec::new() })
}

fn read_part(folder: &Path, which: usize, limits: &Limits) -> Result<Option<Part>, DataError> {
    let (images_path, labels_path) = match (find(folder, &IMAGES[which]), find(folder, &LABELS[which])) {
        (Some(images), Some(labels)) => (images, labels),
        (Some(path), None) => return Err(DataError::MissingPartner { path, missing: "labels" }),
        (None, Some(path)) => return Err(DataError::MissingPartner { path, missing: "images" }),
        (None, None) => return Ok(None),
    };
    // Labels first: they are small, and a wrong count is found before the images are read.
    let labels = read_array(&labels_path, 1, limits)?;
    let images = read_array(&images_path, 3, limits)?;
    let [num_images, height, width] = images.sizes;
    if labels.sizes[0] != num_images {
        let (images, labels) = (num_images as u64, labels.sizes[0] as u64);
        return Err(DataError::CountMismatch { path: labels_path, images, labels });
    }
    if num_images == 0 || height == 0 || width == 0 {
        let hint = format!("its header declares {num_images} images of {height}x{width} pixels");
        return Err(DataError::Empty { path: images_path, what: "images", hint });
    }
    let labels = labels.bytes.into_iter().map(i64::from).collect();
    Ok(Some(Part { images, labels, labels_path, images_path }))
}

struct Array {
    /// Sizes of the dimensions; unused ones are 1.
    sizes: [usize; 3],
    bytes: Vec<u8>,
}

fn read_array(path: &Path, dimensions: u8, limits: &Limits) -> Result<Array, DataError> {
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
        parse(path, MultiGzDecoder::new(buffered), dimensions, limits)
    } else {
        parse(path, buffered, dimensions, limits)
    }
}

/// Reads magic number, sizes and exactly the bytes they declare. Memory grows with what is there, not
/// with what the header claims.
fn parse(path: &Path, mut reader: impl Read, dimensions: u8, limits: &Limits) -> Result<Array, DataError> {
    let (header, _) = read_up_to(path, &mut reader, 4 + 4 * u64::from(dimensions))?;
    let magic = [0, 0, 8, dimensions];
    if header.len() >= 4 && header[..4] != magic || !magic.starts_with(&header[..header.len().min(4)]) {
        let expected = if dimensions == 3 {
            "IDX images of bytes (00 00 08 03)"
        } else {
            "IDX labels of bytes (00 00 08 01)"
        };
        let found = hex(&header[..header.len().min(4)]);
        return Err(DataError::WrongMagic { path: path.to_owned(), found, expected });
    }
    let mut sizes = [1_usize; 3];
    let words = header.get(4..).unwrap_or(&[]).chunks_exact(4);
    if words.len() != usize::from(dimensions) {
        let reason = format!("truncated: its header of {} bytes is too short", header.len());
        return Err(DataError::Damaged { path: path.to_owned(), reason });
    }
    for (size, word) in sizes.iter_mut().zip(words) {
        *size = word.iter().fold(0, |value, &byte| value << 8 | usize::from(byte));
    }
    let declared = sizes.iter().try_fold(1_u64, |product, &size| product.checked_mul(size as u64));
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
    Ok(Array { sizes, bytes })
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
