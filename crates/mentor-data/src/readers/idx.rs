//! IDX, the format of MNIST: a magic number, the sizes, then the values; plain or gzipped.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
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
use crate::readers::listing::{Format, Listed, Listing, Pictures, SAMPLE_BYTES};
use crate::split::Split;

/// Images with their labels, of one split.
struct Part {
    split: Option<Split>,
    images: Array,
    labels: Array,
}

/// Lists the data set of a folder with IDX files, or that which one of the files belongs to.
pub(crate) const FORMAT: Format = Format {
    recognises: |path| if path.is_dir() { is_idx_folder(path) } else { is_idx_file(path) },
    list: |path, options, purpose| list(path, &options.limits, purpose),
};

/// All headers before all values: what does not fit together, or into memory, is refused before anything is
/// read.
fn list(path: &Path, limits: &Limits, purpose: Purpose) -> Result<Listing, DataError> {
    let mut notes = Vec::new();
    let mut found = Vec::new();
    let (mut num_bytes, mut in_memory) = (0_u64, 0_u64);
    for part in parts(path, &mut notes)? {
        let part = open_part(part, limits, &mut notes)?;
        num_bytes = num_bytes.saturating_add(part.images.num_bytes);
        let of_samples = (part.images.sizes[0] as u64).saturating_mul(SAMPLE_BYTES);
        let others = part.labels.num_bytes.saturating_add(of_samples);
        in_memory = in_memory.saturating_add(part.images.num_bytes).saturating_add(others);
        let what = "the number of bytes of the images with labels and names";
        check_memory(&part.images.path, what, in_memory, limits)?;
        found.push(part);
    }
    let mut labels: Vec<(PathBuf, Vec<i64>)> = Vec::new();
    for part in &mut found {
        labels.push((part.labels.path.clone(), part.labels.read_integers()?));
    }
    let classes =
        NumberedClasses::of(labels.iter().map(|(path, labels)| (path.as_path(), &labels[..])), purpose)?;
    // Training images alone are divided.
    let divided = matches!(&found[..], [part] if part.split.is_none_or(|split| split == Split::Train));

    let out_of_memory = |_| DataError::io(path, ErrorKind::OutOfMemory.into());
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(num_bytes).unwrap_or(usize::MAX)).map_err(out_of_memory)?;
    let mut shape: Option<ImageFormat> = None;
    let mut samples = Vec::new();
    for (mut part, (_, labels)) in found.into_iter().zip(labels) {
        part.images.read_into(&mut bytes)?;
        let [_, height, width] = part.images.sizes;
        let format = ImageFormat::new(1, height, width);
        if let Err(error) = format.check() {
            let reason = format!("its header declares images of {height}x{width} pixels, and {error}");
            return Err(DataError::Damaged { path: part.images.path, reason });
        }
        match &shape {
            Some(expected) if *expected != format => {
                return Err(DataError::ShapeMismatch {
                    path: part.images.path,
                    found: format.to_string(),
                    expected: expected.to_string(),
                });
            }
            _ => shape = Some(format),
        }
        let name = part.split.map_or("images".to_owned(), |split| split.to_string());
        let split = part.split.filter(|_| !divided);
        for (index, label) in labels.into_iter().enumerate() {
            let (id, target) = (format!("{name}[{index}]"), Some(classes.target(label)));
            samples.push(Listed { id, target, split, row: samples.len() as u32, problem: None });
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

fn open_part(part: IdxPart, limits: &Limits, notes: &mut Vec<Note>) -> Result<Part, DataError> {
    let labels = Array::open(part.labels, Content::Labels, limits)?;
    let images = Array::open(part.images, Content::Images, limits)?;
    let [num_images, height, width] = images.sizes;
    let [num_labels, columns, _] = labels.sizes;
    if num_labels != num_images {
        let (images, path) = (num_images as u64, labels.path);
        return Err(DataError::CountMismatch { path, images, labels: num_labels as u64 });
    }
    if num_images == 0 || height == 0 || width == 0 || columns == 0 {
        let hint = format!("its header declares {num_images} images of {height}x{width} pixels");
        return Err(DataError::Empty { path: images.path, what: "images", hint });
    }
    if columns > 1 {
        notes.push(Note::LabelColumns { path: labels.path.to_string_lossy().into_owned(), columns });
    }
    Ok(Part { split: part.split, images, labels })
}

/// A file of which the header is read, and what follows it not yet.
struct Array {
    path: PathBuf,
    /// Sizes of the dimensions; unused ones are 1.
    sizes: [usize; 3],
    /// The code of the type, see [`width_of`].
    element: u8,
    /// What the header declares.
    num_bytes: u64,
    reader: Box<dyn Read>,
}

impl Array {
    /// Reads magic number and sizes.
    fn open(path: PathBuf, content: Content, limits: &Limits) -> Result<Self, DataError> {
        let mut reader = unpacked(&path)?;
        let mut magic = Vec::new();
        append(&path, &mut reader, 4, &mut magic)?;
        let (known, expected) = magics(content);
        if !known.iter().any(|known| known.starts_with(&magic)) {
            return Err(DataError::WrongMagic { path, found: hex(&magic), expected });
        }
        let (element, dimensions) = (magic.get(2).copied().unwrap_or(0), magic.get(3).copied().unwrap_or(1));
        let mut header = Vec::new();
        append(&path, &mut reader, 4 * u64::from(dimensions), &mut header)?;
        if magic.len() < 4 || header.len() != 4 * usize::from(dimensions) {
            let reason =
                format!("truncated: its header of {} bytes is too short", magic.len() + header.len());
            return Err(DataError::Damaged { path, reason });
        }
        let mut sizes = [1_usize; 3];
        for (size, word) in sizes.iter_mut().zip(header.chunks_exact(4)) {
            *size = word.iter().fold(0, |value, &byte| value << 8 | usize::from(byte));
        }
        let width = width_of(element) as u64;
        let declared = sizes.iter().try_fold(width, |product, &size| product.checked_mul(size as u64));
        let num_bytes = declared.unwrap_or(u64::MAX);
        check_memory(&path, "the number of bytes that its header declares", num_bytes, limits)?;
        Ok(Self { path, sizes, element, num_bytes, reader })
    }

    /// Appends exactly the bytes that the header declares, and checks that nothing follows them.
    fn read_into(&mut self, bytes: &mut Vec<u8>) -> Result<(), DataError> {
        let (path, expected) = (&self.path, self.num_bytes);
        let start = bytes.len();
        let cut_off = append(path, &mut self.reader, expected, bytes)?;
        let found = (bytes.len() - start) as u64;
        if found < expected {
            return Err(DataError::Truncated { path: path.clone(), expected, found });
        }
        // Reading on also makes the gzip reader check its checksum.
        let mut more = Vec::new();
        if cut_off || append(path, &mut self.reader, 1, &mut more)? {
            let reason = "truncated: the gzip stream ends before its checksum".to_owned();
            return Err(DataError::Damaged { path: path.clone(), reason });
        }
        if !more.is_empty() {
            let reason = format!("holds more than the {expected} bytes of data that its header declares");
            return Err(DataError::Damaged { path: path.clone(), reason });
        }
        Ok(())
    }

    /// The first integer of each row.
    fn read_integers(&mut self) -> Result<Vec<i64>, DataError> {
        let mut bytes = Vec::new();
        self.read_into(&mut bytes)?;
        let first = bytes.chunks_exact(width_of(self.element)).step_by(self.sizes[1]);
        Ok(first
            .map(|bytes| match *bytes {
                [byte] if self.element == 0x08 => i64::from(byte),
                [byte] => i64::from(byte as i8),
                [high, low] => i64::from(i16::from_be_bytes([high, low])),
                [a, b, c, d] => i64::from(i32::from_be_bytes([a, b, c, d])),
                _ => unreachable!("an integer of IDX has 1, 2 or 4 bytes"),
            })
            .collect())
    }
}

fn check_memory(path: &Path, what: &'static str, size: u64, limits: &Limits) -> Result<(), DataError> {
    let limit = limits.max_memory_bytes;
    match size <= limit {
        true => Ok(()),
        false => {
            let path = path.to_owned();
            Err(DataError::TooLarge { path, what, size, limit, option: "max_memory_bytes" })
        }
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

/// The content of a file, which may be gzipped, whatever it is called.
fn unpacked(path: &Path) -> Result<Box<dyn Read>, DataError> {
    let io = |error| DataError::io(path, error);
    let mut buffered = BufReader::with_capacity(1 << 16, File::open(path).map_err(io)?);
    let is_gzip = buffered.fill_buf().map_err(io)?.starts_with(&[0x1f, 0x8b]);
    Ok(if is_gzip { Box::new(MultiGzDecoder::new(buffered)) } else { Box::new(buffered) })
}

/// Appends up to `limit` bytes, fewer where the stream ends; and says whether it is a gzip stream that is cut
/// off. Memory grows with what is there, not with what a header claims.
fn append(path: &Path, reader: &mut impl Read, limit: u64, bytes: &mut Vec<u8>) -> Result<bool, DataError> {
    match reader.take(limit).read_to_end(bytes) {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData) => {
            Err(DataError::Damaged {
                path: path.to_owned(),
                reason: format!("damaged gzip stream ({error})"),
            })
        }
        Err(error) => Err(DataError::io(path, error)),
    }
}
