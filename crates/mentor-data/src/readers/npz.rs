//! npz files: images `x` with labels `y`, and optionally `x_val`, `y_val`, `x_test`, `y_test`. The names
//! `x_train` and `y_train` of Keras' exports stand for `x` and `y`.
//!
//! Pixels are from 0 to 255, integers or floats, or floats from 0 to 1; all arrays of a file alike.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zip::ZipArchive;

use super::npy::{Element, Header, Number, read_header};
use super::numbered::NumberedClasses;
use crate::error::DataError;
use crate::format::ImageFormat;
use crate::options::{Limits, Purpose};
use crate::readers::listing::{Listed, Listing, Pictures};
use crate::shown::listed;
use crate::split::Split;

type Archive = ZipArchive<BufReader<File>>;

/// How far floats may leave their range, as a share of it: interpolation overshoots. A quarter of a step of a byte.
const OVERSHOOT: f64 = 1e-3;

pub(crate) fn list(path: &Path, limits: &Limits, purpose: Purpose) -> Result<Listing, DataError> {
    let mut reader = NpzReader::open(path, limits)?;
    let train = if reader.has("x") || !reader.has("x_train") { ["x", "y"] } else { ["x_train", "y_train"] };
    let mut names = vec![(Split::Train, train)];
    names.extend([(Split::Val, ["x_val", "y_val"]), (Split::Test, ["x_test", "y_test"])]);
    names.retain(|(split, [images, labels])| {
        *split == Split::Train || reader.has(images) || reader.has(labels)
    });

    // Labels first: they are small, and wrong ones are found before the images are read.
    let mut labels: Vec<(PathBuf, Vec<i64>)> = Vec::new();
    for (_, [images, name]) in &names {
        let num_images = reader.header(images)?.shape.first().copied().unwrap_or(0);
        let found = reader.read_labels(name)?;
        let place = reader.place(name);
        if found.len() as u64 != num_images {
            let labels = found.len() as u64;
            return Err(DataError::CountMismatch { path: place, images: num_images, labels });
        }
        labels.push((place, found));
    }
    let parts = labels.iter().map(|(place, labels)| (place.as_path(), &labels[..]));
    let classes = NumberedClasses::of(parts, purpose)?;

    let has_splits = names.len() > 1;
    let mut samples = Vec::new();
    for ((split, [images, _]), (_, labels)) in names.iter().zip(&labels) {
        reader.read_images(images)?;
        for (index, &label) in labels.iter().enumerate() {
            let id = format!("{images}[{index}]");
            let split = has_splits.then_some(*split);
            let target = Some(classes.target(label));
            samples.push(Listed { id, target, split, row: samples.len() as u32, problem: None });
        }
    }
    let NpzReader { shape, bytes, .. } = reader;
    let shape = shape.filter(|_| !samples.is_empty()).ok_or_else(|| DataError::Empty {
        path: path.to_owned(),
        what: "images",
        hint: "x must have the shape (N, H, W), (N, H, W, C) or (N, C, H, W)".to_owned(),
    })?;
    let pictures = Pictures::Array { shape, bytes: Arc::new(bytes) };
    Ok(Listing { kind: "npz file", classes: classes.names(), samples, pictures, notes: Vec::new() })
}

struct NpzReader<'a> {
    path: &'a Path,
    limits: &'a Limits,
    archive: Archive,
    /// Of the first array of images; the others must have it too.
    shape: Option<ImageFormat>,
    /// What pixels are multiplied with, decided by the first array that is not black: 255 for floats from 0 to 1,
    /// else 1.
    scale: Option<f64>,
    /// `[row, channel, height, width]`, all arrays one after the other.
    bytes: Vec<u8>,
}

impl<'a> NpzReader<'a> {
    fn open(path: &'a Path, limits: &'a Limits) -> Result<Self, DataError> {
        let file = File::open(path).map_err(|error| DataError::io(path, error))?;
        let archive = ZipArchive::new(BufReader::new(file)).map_err(|error| DataError::Damaged {
            path: path.to_owned(),
            reason: format!("not a readable npz file ({error})"),
        })?;
        Ok(Self { path, limits, archive, shape: None, scale: None, bytes: Vec::new() })
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
        let limit = self.limits.max_memory_bytes;
        let read = |header: &Header, reader: &mut dyn Read| {
            if header.element == Element::Float {
                return Err("holds floats, but labels must be integers".to_owned());
            }
            if !matches!(header.shape[..], [_] | [_, 1]) {
                return Err(format!("has the shape {:?}, but labels must have the shape (N)", header.shape));
            }
            let num = header.num_elements().filter(|&num| num <= limit / 8);
            let num =
                num.ok_or_else(|| format!("has more labels than `max_memory_bytes` = {limit} holds"))?;
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

    /// Appends an array of images to `bytes`.
    fn read_images(&mut self, name: &str) -> Result<(), DataError> {
        let header = self.header(name)?;
        let (format, channels_last) = layout(&header).map_err(|reason| self.bad_array(name, reason))?;
        match &self.shape {
            Some(expected) if *expected != format => {
                return Err(DataError::ShapeMismatch {
                    path: self.place(name),
                    found: format.to_string(),
                    expected: expected.to_string(),
                });
            }
            _ => self.shape = Some(format.clone()),
        }
        let start = self.bytes.len();
        let limit = self.limits.max_memory_bytes;
        let size = header.num_elements().and_then(|num| num.checked_add(start as u64));
        let num = match (header.num_elements(), size) {
            (Some(num), Some(size)) if size <= limit => num,
            _ => {
                return Err(DataError::TooLarge {
                    path: self.place(name),
                    what: "the number of bytes of the images",
                    size: size.unwrap_or(u64::MAX),
                    limit,
                    option: "max_memory_bytes",
                });
            }
        };
        if header.element == Element::Unsigned && header.size == 1 {
            self.check_scale(name, 1.0)?;
            self.append_bytes(name, num)?;
        } else {
            let scale = self.check_values(name, num)?;
            let mut bytes = std::mem::take(&mut self.bytes);
            let append = |header: &Header, reader: &mut dyn Read| {
                for_each(header, reader, num, |_, number| {
                    // The cast clamps what overshoots.
                    bytes.push((as_float(number) * scale).round() as u8);
                    true
                })?;
                check_end(reader)
            };
            let appended = self.with_array(name, append)?;
            self.bytes = bytes;
            appended?;
        }
        if channels_last && format.channels > 1 {
            channels_to_front(&format, &mut self.bytes[start..]);
        }
        Ok(())
    }

    fn append_bytes(&mut self, name: &str, num: u64) -> Result<(), DataError> {
        let mut bytes = std::mem::take(&mut self.bytes);
        let start = bytes.len();
        let append = |_: &Header, reader: &mut dyn Read| {
            reader.take(num).read_to_end(&mut bytes).map_err(cannot_be_read)?;
            match (bytes.len() - start) as u64 {
                found if found == num => check_end(reader),
                found => Err(truncated(num, found)),
            }
        };
        let appended = self.with_array(name, append)?;
        self.bytes = bytes;
        appended.map(|_| ())
    }

    /// A pass over the values, without keeping them: all finite, and all in 0..1 or all in 0..255, as those of the arrays
    /// before. Gives what they are to be multiplied with.
    fn check_values(&mut self, name: &str, num: u64) -> Result<f64, DataError> {
        let (mut min, mut max, mut not_finite) = (f64::INFINITY, f64::NEG_INFINITY, None);
        let scan = |header: &Header, reader: &mut dyn Read| {
            for_each(header, reader, num, |index, number| {
                let value = as_float(number);
                if !value.is_finite() {
                    not_finite = Some((index, value));
                }
                (min, max) = (min.min(value), max.max(value));
                value.is_finite()
            })
        };
        let (header, ()) = self.with_array(name, scan)??;
        if let Some((index, value)) = not_finite {
            let (path, name, index) = (self.path.to_owned(), name.to_owned(), header.position(index));
            return Err(DataError::NotFinite { path, name, index, value });
        }
        let floats = header.element == Element::Float;
        // Black is black in both ranges, and says nothing about other arrays.
        if floats && min >= 0.0 && max <= 0.0 {
            return Ok(1.0);
        }
        let scale = if floats && max <= 1.0 + OVERSHOOT { 255.0 } else { 1.0 };
        let refuse =
            |why: &str| Err(self.bad_array(name, format!("has values from {min} to {max}, but {why}")));
        if min * scale < -255.0 * OVERSHOOT || max * scale > 255.0 * (1.0 + OVERSHOOT) {
            return refuse("pixels must be 0 to 255, or floats from 0 to 1");
        }
        // As bytes they would be black; more likely some are far outside of 0 to 1.
        if floats && scale == 1.0 && max < 2.0 {
            return refuse(
                "that is too much for floats from 0 to 1, and too little for pixels from 0 to 255",
            );
        }
        self.check_scale(name, scale)?;
        Ok(scale)
    }

    /// One scale for all arrays: a training set of 0 to 255 beside a test set of 0 to 1 is a mistake of the export.
    fn check_scale(&mut self, name: &str, scale: f64) -> Result<(), DataError> {
        let first = *self.scale.get_or_insert(scale);
        if first == scale {
            return Ok(());
        }
        let range = |scale: f64| if scale == 1.0 { "from 0 to 255" } else { "floats from 0 to 1" };
        let reason = format!("has pixels that are {}, but those before are {}", range(scale), range(first));
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
    const CHUNK: u64 = 8192;
    let mut buffer = Vec::with_capacity(CHUNK as usize * header.size);
    let mut done = 0;
    while done < num {
        let wanted = CHUNK.min(num - done) * header.size as u64;
        buffer.clear();
        (&mut *reader)
            .take(wanted)
            .read_to_end(&mut buffer)
            .map_err(|error| format!("cannot be read ({error})"))?;
        for bytes in buffer.chunks_exact(header.size) {
            if !visit(done, header.number(bytes)) {
                return Ok(());
            }
            done += 1;
        }
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
            "has the shape {:?}, but images must have the shape (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1 or 3",
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
