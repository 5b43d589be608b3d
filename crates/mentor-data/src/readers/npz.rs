//! npz files: images `x` with labels `y`, and optionally `x_val`, `y_val`, `x_test`, `y_test`. The names
//! `x_train` and `y_train` of Keras' exports stand for `x` and `y`.
//!
//! Pixels are from 0 to 255, integers or floats; or floats from 0 to 1, or bools; all arrays of a file alike.
//! They are kept as bytes. Floats that lose too much by that are refused.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zip::ZipArchive;

use super::npy::{Element, Header, Number, read_header};
use super::numbered::NumberedClasses;
use super::pixel_range::{PixelStatistics, Range};
use crate::error::DataError;
use crate::format::ImageFormat;
use crate::notes::Note;
use crate::options::observer::Counter;
use crate::options::{OpenOptions, Purpose};
use crate::readers::listing::{Format, Listed, Listing, Pictures, SAMPLE_BYTES, has_extension};
use crate::shown::listed;
use crate::split::Split;

type Archive = ZipArchive<BufReader<File>>;

pub(crate) const FORMAT: Format = Format { recognises: |path| has_extension(path, &["npz"]), list };

fn list(path: &Path, options: &OpenOptions, purpose: Purpose) -> Result<Listing, DataError> {
    let mut reader = NpzReader::open(path, options)?;
    let train = if reader.has("x") || !reader.has("x_train") { ["x", "y"] } else { ["x_train", "y_train"] };
    let mut names = vec![(Split::Train, train)];
    names.extend([(Split::Val, ["x_val", "y_val"]), (Split::Test, ["x_test", "y_test"])]);
    // Of a trained model's data the part that it is evaluated on is enough.
    let held_out = ["x_val", "y_val", "x_test", "y_test"].iter().any(|name| reader.has(name));
    let needs_train = purpose == Purpose::Training || !held_out;
    names.retain(|(split, [images, labels])| {
        *split == Split::Train && needs_train || reader.has(images) || reader.has(labels)
    });

    // All headers before all values: what does not fit together, or into memory, is refused before anything
    // is read.
    let num_elements = reader.check_headers(names.iter().map(|(_, names)| *names))?;
    let mut labels: Vec<(PathBuf, Vec<i64>)> = Vec::new();
    for (_, [_, name]) in &names {
        labels.push((reader.place(name), reader.read_labels(name)?));
    }
    let parts = labels.iter().map(|(place, labels)| (place.as_path(), &labels[..]));
    let classes = NumberedClasses::of(parts, purpose)?;

    let has_splits = names.len() > 1 || names.iter().any(|(split, _)| *split != Split::Train);
    let counter = options.observer.begin("reading arrays", num_elements);
    let mut samples = Vec::new();
    for ((split, [images, _]), (_, labels)) in names.iter().zip(&labels) {
        reader.read_images(images, &counter)?;
        for (index, &label) in labels.iter().enumerate() {
            let id = format!("{images}[{index}]");
            let split = has_splits.then_some(*split);
            let target = Some(classes.target(label));
            samples.push(Listed { id, target, split, row: samples.len() as u32, problem: None });
        }
    }
    let NpzReader { shape, bytes, notes, .. } = reader;
    let shape = shape.filter(|_| !samples.is_empty()).ok_or_else(|| DataError::Empty {
        path: path.to_owned(),
        what: "images",
        hint: "x must have the shape (N, H, W), (N, H, W, C) or (N, C, H, W)".to_owned(),
    })?;
    let pictures = Pictures::Array { shape, bytes: Arc::new(bytes) };
    Ok(Listing { kind: "npz file", classes: classes.names(), samples, pictures, notes })
}

struct NpzReader<'a> {
    path: &'a Path,
    options: &'a OpenOptions,
    archive: Archive,
    /// Of the first array of images; the others must have it too.
    shape: Option<ImageFormat>,
    /// Decided by the first array that is not black.
    range: Option<Range>,
    /// `[row, channel, height, width]`, all arrays one after the other.
    bytes: Vec<u8>,
    notes: Vec<Note>,
}

impl<'a> NpzReader<'a> {
    fn open(path: &'a Path, options: &'a OpenOptions) -> Result<Self, DataError> {
        let file = File::open(path).map_err(|error| DataError::io(path, error))?;
        let archive = ZipArchive::new(BufReader::new(file)).map_err(|error| DataError::Damaged {
            path: path.to_owned(),
            reason: format!("not a readable npz file ({error})"),
        })?;
        Ok(Self { path, options, archive, shape: None, range: None, bytes: Vec::new(), notes: Vec::new() })
    }

    /// Checks that arrays of images and their labels fit together and into memory, and takes the memory for
    /// the pixels, which the system gives as they arrive. Gives the number of elements of all images.
    fn check_headers<'n>(&mut self, names: impl Iterator<Item = [&'n str; 2]>) -> Result<usize, DataError> {
        let (mut num_bytes, mut num_samples) = (0_u64, 0_u64);
        for [images, labels] in names {
            let (of_images, of_labels) = (self.header(images)?, self.header(labels)?);
            let [num_images, num_labels] =
                [&of_images, &of_labels].map(|header| header.shape.first().copied().unwrap_or(0));
            if num_images != num_labels {
                let path = self.place(labels);
                return Err(DataError::CountMismatch { path, images: num_images, labels: num_labels });
            }
            let (format, _) = layout(&of_images).map_err(|reason| self.bad_array(images, reason))?;
            match &self.shape {
                Some(expected) if *expected != format => {
                    return Err(DataError::ShapeMismatch {
                        path: self.place(images),
                        found: format.to_string(),
                        expected: expected.to_string(),
                    });
                }
                _ => self.shape = Some(format),
            }
            // Saturated sizes are over every limit.
            num_bytes = num_bytes.saturating_add(of_images.num_elements().unwrap_or(u64::MAX));
            num_samples = num_samples.saturating_add(num_images);
            self.check_memory(images, "the number of bytes of the images", num_bytes)?;
            let with_samples = num_bytes.saturating_add(num_samples.saturating_mul(SAMPLE_BYTES));
            self.check_memory(
                images,
                "the number of bytes of the images with labels and names",
                with_samples,
            )?;
        }
        let out_of_memory = |_| DataError::io(self.path, std::io::ErrorKind::OutOfMemory.into());
        let num = usize::try_from(num_bytes).unwrap_or(usize::MAX);
        self.bytes.try_reserve_exact(num).map_err(out_of_memory)?;
        Ok(num)
    }

    fn check_memory(&self, name: &str, what: &'static str, size: u64) -> Result<(), DataError> {
        let limit = self.options.limits.max_memory_bytes;
        if size <= limit {
            return Ok(());
        }
        let path = self.place(name);
        Err(DataError::TooLarge { path, what, size, limit, option: "max_memory_bytes" })
    }

    fn names(&self) -> impl Iterator<Item = String> {
        let names = self.archive.file_names().filter_map(Result::ok);
        names.filter_map(|name| name.strip_suffix(".npy").map(str::to_owned))
    }

    fn has(&self, name: &str) -> bool {
        self.names().any(|found| found == name)
    }

    /// Where to say that something is wrong: `data.npz[y_test]`.
    fn place(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("{}[{name}]", self.path.display()))
    }

    fn bad_array(&self, name: &str, reason: String) -> DataError {
        DataError::BadArray { path: self.path.to_owned(), name: name.to_owned(), reason }
    }

    fn header(&mut self, name: &str) -> Result<Header, DataError> {
        self.with_array(name, |_, _| Ok(()))?.map(|(header, ())| header)
    }

    /// Opens an array and gives its header and elements to `read`, whose error is a reason.
    fn with_array<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&Header, &mut dyn Read) -> Result<T, String>,
    ) -> Result<Result<(Header, T), DataError>, DataError> {
        if !self.has(name) {
            let mut found: Vec<String> = self.names().collect();
            found.sort_unstable();
            let found = listed(&found);
            return Err(DataError::MissingArray { path: self.path.to_owned(), name: name.to_owned(), found });
        }
        let outcome = match self.archive.by_name(&format!("{name}.npy")) {
            Ok(mut entry) => read_header(&mut entry)
                .and_then(|header| read(&header, &mut entry).map(|value| (header, value))),
            Err(error) => Err(format!("cannot be read ({error})")),
        };
        Ok(outcome.map_err(|reason| self.bad_array(name, reason)))
    }

    fn read_labels(&mut self, name: &str) -> Result<Vec<i64>, DataError> {
        let read = |header: &Header, reader: &mut dyn Read| {
            if header.element == Element::Float {
                return Err("holds floats, but labels must be integers".to_owned());
            }
            if !matches!(header.shape[..], [_] | [_, 1]) {
                return Err(format!("has the shape {:?}, but labels must have the shape (N)", header.shape));
            }
            // One a sample, and these were counted.
            let num = header.shape[0];
            let mut labels = Vec::new();
            for_each(header, reader, num, |_, number| {
                if let Number::Integer(label) = number {
                    labels.push(label);
                }
                true
            })?;
            check_end(reader)?;
            Ok(labels)
        };
        self.with_array(name, read)?.map(|(_, labels)| labels)
    }

    /// Appends an array of images to `bytes`, which has room for it.
    fn read_images(&mut self, name: &str, counter: &Counter<'_>) -> Result<(), DataError> {
        let header = self.header(name)?;
        let (format, channels_last) = layout(&header).map_err(|reason| self.bad_array(name, reason))?;
        let num = header.num_elements().unwrap_or(u64::MAX);
        let range = match (header.element, header.size) {
            (Element::Unsigned, 1) => Range::Bytes,
            _ => self.check_values(name, num)?,
        };
        let mut bytes = std::mem::take(&mut self.bytes);
        let start = bytes.len();
        let mut interrupted = Ok(());
        let append = |header: &Header, reader: &mut dyn Read| {
            for_each_chunk(header, reader, num, |_, chunk| {
                match (header.element, header.size) {
                    (Element::Unsigned, 1) => bytes.extend_from_slice(chunk),
                    _ => bytes.extend(
                        chunk
                            .chunks_exact(header.size)
                            .map(|bytes| range.to_byte(as_float(header.number(bytes)))),
                    ),
                }
                interrupted = counter.advance(chunk.len() / header.size);
                interrupted.is_ok()
            })?;
            if interrupted.is_ok() { check_end(reader) } else { Ok(()) }
        };
        let appended = self.with_array(name, append)?;
        self.bytes = bytes;
        interrupted?;
        appended?;
        if header.element == Element::Unsigned && header.size == 1 {
            self.check_range(name, range)?;
        }
        if channels_last && format.channels > 1 {
            channels_to_front(&format, &mut self.bytes[start..]);
        }
        Ok(())
    }

    /// A pass over the values, without keeping them: all finite, and of a range that bytes can hold, as those
    /// of the arrays before.
    fn check_values(&mut self, name: &str, num: u64) -> Result<Range, DataError> {
        let (mut statistics, mut not_finite) = (PixelStatistics::default(), None);
        let scan = |header: &Header, reader: &mut dyn Read| {
            for_each(header, reader, num, |index, number| {
                let value = as_float(number);
                if !value.is_finite() {
                    not_finite = Some((index, value));
                }
                statistics.add(value);
                value.is_finite()
            })?;
            // A damaged file is called that before its values are judged.
            if not_finite.is_none() { check_end(reader) } else { Ok(()) }
        };
        let (header, ()) = self.with_array(name, scan)??;
        if let Some((index, value)) = not_finite {
            let (path, name, index) = (self.path.to_owned(), name.to_owned(), header.position(index));
            return Err(DataError::NotFinite { path, name, index, value });
        }
        // Black is black in both ranges, and says nothing about other arrays.
        if matches!(header.element, Element::Float | Element::Bool) && statistics.is_black() {
            return Ok(self.range.unwrap_or(Range::Bytes));
        }
        let range = statistics.range(header.element).map_err(|reason| self.bad_array(name, reason))?;
        self.check_range(name, range)?;
        if let Some([min, max]) = statistics.rounded(header.element, range) {
            self.notes.push(Note::RoundedPixels { name: name.to_owned(), min, max });
        }
        Ok(range)
    }

    /// One range for all arrays: a training set of 0 to 255 beside a test set of 0 to 1 is a mistake of the
    /// export.
    fn check_range(&mut self, name: &str, range: Range) -> Result<(), DataError> {
        let first = *self.range.get_or_insert(range);
        if first == range {
            return Ok(());
        }
        let reason = format!("has pixels that are {range}, but those before are {first}");
        Err(self.bad_array(name, reason))
    }
}

fn as_float(number: Number) -> f64 {
    match number {
        Number::Integer(value) => value as f64,
        Number::Float(value) => value,
    }
}

fn truncated(expected: u64, found: u64) -> String {
    format!("is truncated: {expected} elements declared, {found} there")
}

/// Calls `visit` with every element until it returns `false`.
fn for_each(
    header: &Header,
    reader: &mut dyn Read,
    num: u64,
    mut visit: impl FnMut(u64, Number) -> bool,
) -> Result<(), String> {
    for_each_chunk(header, reader, num, |first, chunk| {
        let numbers = chunk.chunks_exact(header.size).map(|bytes| header.number(bytes));
        (first..).zip(numbers).all(|(index, number)| visit(index, number))
    })
}

/// Calls `visit` with the bytes of some elements at a time, and the place of the first of them, until it
/// returns `false`.
fn for_each_chunk(
    header: &Header,
    reader: &mut dyn Read,
    num: u64,
    mut visit: impl FnMut(u64, &[u8]) -> bool,
) -> Result<(), String> {
    const CHUNK: u64 = 1 << 16;
    let mut buffer = Vec::new();
    let mut done = 0;
    while done < num {
        let wanted = CHUNK.min(num - done) * header.size as u64;
        buffer.clear();
        (&mut *reader).take(wanted).read_to_end(&mut buffer).map_err(cannot_be_read)?;
        let whole = buffer.len() / header.size;
        if !visit(done, &buffer[..whole * header.size]) {
            return Ok(());
        }
        done += whole as u64;
        if (buffer.len() as u64) < wanted {
            return Err(truncated(num, done));
        }
    }
    Ok(())
}

/// Shape of one image, and whether its channels come last. Three dimensions are gray; of four, the last
/// is taken for the channels if it is 1 or 3, else the second.
fn layout(header: &Header) -> Result<(ImageFormat, bool), String> {
    let wrong = || {
        format!(
            "has the shape {:?}, but images must have the shape (N, H, W), (N, H, W, C) or (N, C, H, W) with \
             C = 1 or 3",
            header.shape
        )
    };
    let (channels, height, width, channels_last) = match header.shape[..] {
        [_, height, width] => (1, height, width, false),
        [_, height, width, channels @ (1 | 3)] => (channels, height, width, true),
        [_, channels @ (1 | 3), height, width] => (channels, height, width, false),
        _ => return Err(wrong()),
    };
    let side = |size: u64| usize::try_from(size).map_err(|_| wrong());
    let format = ImageFormat::new(channels as usize, side(height)?, side(width)?);
    format.check().map_err(|error| format!("has the shape {:?}, and {error}", header.shape))?;
    Ok((format, channels_last))
}

/// Reorders images from `[height, width, channel]` to `[channel, height, width]` in place.
fn channels_to_front(format: &ImageFormat, bytes: &mut [u8]) {
    let plane = format.height * format.width;
    let mut pixels = vec![0; format.num_values()];
    for image in bytes.chunks_exact_mut(format.num_values()) {
        pixels.copy_from_slice(image);
        for (channel, values) in image.chunks_exact_mut(plane).enumerate() {
            for (value, pixel) in values.iter_mut().zip(pixels.chunks_exact(format.channels)) {
                *value = pixel[channel];
            }
        }
    }
}

/// Nothing follows the last element. Reading on is also what makes the archive compare its checksum.
fn check_end(reader: &mut dyn Read) -> Result<(), String> {
    match reader.read(&mut [0]).map_err(cannot_be_read)? {
        0 => Ok(()),
        _ => Err("has more bytes than its header declares".to_owned()),
    }
}

fn cannot_be_read(error: std::io::Error) -> String {
    format!("cannot be read ({error})")
}
