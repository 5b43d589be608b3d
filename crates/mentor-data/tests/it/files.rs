//! Writers of tiny data sets.

use std::io::Write;
use std::path::Path;

use mentor_data::{DataError, OpenOptions, Source};

/// A PNG of one gray or RGB value everywhere but in its first pixel, which holds `mark`.
pub(crate) fn png(path: &Path, size: [u32; 2], rgb: [u8; 3], mark: u8) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let [height, width] = size;
    let mut picture = image::RgbImage::from_pixel(width, height, image::Rgb(rgb));
    picture.put_pixel(0, 0, image::Rgb([mark; 3]));
    if rgb[0] == rgb[1] && rgb[1] == rgb[2] {
        image::DynamicImage::from(picture).into_luma8().save(path).unwrap();
    } else {
        picture.save(path).unwrap();
    }
}

/// The checksum of a PNG's chunk.
pub(crate) fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ (0xedb8_8320 * (crc & 1)))
    })
}

/// An IDX file: magic number, sizes, data.
pub(crate) fn idx(magic: [u8; 4], sizes: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
    bytes.extend(data);
    bytes
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `count` images of 2x2, pixels counting up from `first`, labels 0 and 1 in turn.
pub(crate) fn write_idx(folder: &Path, part: &str, count: u8, first: u8, zipped: bool) {
    let pixels: Vec<u8> = (0..count * 4).map(|i| first.wrapping_add(i)).collect();
    let labels: Vec<u8> = (0..count).map(|i| i % 2).collect();
    let images = idx([0, 0, 8, 3], &[u32::from(count), 2, 2], &pixels);
    let labels = idx([0, 0, 8, 1], &[u32::from(count)], &labels);
    for (name, bytes) in [("images-idx3", images), ("labels-idx1", labels)] {
        let (bytes, end) = if zipped { (gzip(&bytes), ".gz") } else { (bytes, "") };
        std::fs::write(folder.join(format!("{part}-{name}-ubyte{end}")), bytes).unwrap();
    }
}

/// An array in NumPy's format, version 1.
pub(crate) fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

pub(crate) fn write_npz(path: &Path, arrays: &[(&str, Vec<u8>)]) {
    let mut archive = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    for (position, (name, bytes)) in arrays.iter().enumerate() {
        // numpy.savez stores, numpy.savez_compressed deflates.
        let method = [zip::CompressionMethod::Deflated, zip::CompressionMethod::Stored][position % 2];
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        archive.start_file(format!("{name}.npy"), options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
}

/// The error of opening `path`, whose message must hold all of `parts`, be one line, and name the path.
pub(crate) fn refused(path: &Path, parts: &[&str]) -> DataError {
    refused_with(path, &OpenOptions::default(), parts)
}

pub(crate) fn refused_with(path: &Path, options: &OpenOptions, parts: &[&str]) -> DataError {
    let Err(error) = Source::open(path.to_str().unwrap(), options) else {
        panic!("{} was opened", path.display())
    };
    check_message(&error, path, parts);
    error
}

pub(crate) fn check_message(error: &DataError, path: &Path, parts: &[&str]) {
    let (message, help) = (error.to_string(), error.help());
    assert!(message.starts_with(path.to_str().unwrap()), "does not begin with the path: {message}");
    assert!(!message.contains('\n') && !help.is_empty(), "not one line with a next step: {message}");
    let said = format!("{message}; {}", help.join(", or "));
    for part in parts {
        assert!(said.contains(part), "{part:?} is missing in: {said}");
    }
}

pub(crate) fn open(path: &Path) -> Source {
    Source::open(path.to_str().unwrap(), &OpenOptions::default()).unwrap()
}
