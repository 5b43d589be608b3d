//! Images in arrays and archives: npz with the npy in it, IDX, tar.

use std::io::{Cursor, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use mentor_data::{Array, Limits, OpenOptions, Source, Split};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::place::{folder, put};

/// What a fuzzer reaches.
const LIMITS: Limits = Limits { max_pixels: 1 << 12, max_file_bytes: 1 << 16, max_memory_bytes: 1 << 24 };

/// Opens data and loads every split of it.
pub(super) fn open(path: &Path) {
    let options = OpenOptions { limits: LIMITS, ..OpenOptions::default() };
    let path = path.to_str().expect("a temporary path is text");
    for source in [Source::open(path, &options), Source::open_undivided(path, &options)] {
        let Ok(source) = source else { continue };
        for split in Split::ALL.into_iter().filter(|&split| source.has(split)) {
            let _ = source.load(split);
        }
    }
}

/// An archive of arrays.
pub fn npz(bytes: &[u8]) {
    let path = folder("npz", |_| {}).join("data.npz");
    put(&path, bytes);
    open(&path);
}

/// An array by itself; then one of images, or of labels if the first byte is odd, in an archive that is
/// otherwise whole.
pub fn npy(bytes: &[u8]) {
    let Some((&kind, array)) = bytes.split_first() else { return };
    let path = folder("npy", |_| {}).join("array.npy");
    put(&path, array);
    if let Ok(array) = Array::read(&path, &LIMITS) {
        assert_eq!(array.shape.iter().product::<usize>(), array.values.len());
    }
    let images = header("|u1", "(4, 2, 2)", &(0..16).collect::<Vec<u8>>());
    let labels = header("|u1", "(4,)", &[0, 1, 0, 1]);
    let arrays = if kind & 1 == 0 { [array, &labels] } else { [&images, array] };
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, array) in ["x.npy", "y.npy"].into_iter().zip(arrays) {
        archive.start_file(name, stored).expect("a short name");
        archive.write_all(array).expect("memory");
    }
    npz(archive.finish().expect("memory").get_ref());
}

/// A shard of images, gzipped here if the first byte is odd.
pub fn tar(bytes: &[u8]) {
    let Some((&kind, shard)) = bytes.split_first() else { return };
    let folder = folder("tar", |_| {});
    if kind & 1 == 0 {
        put(&folder.join("data.tar"), shard);
        return open(&folder.join("data.tar"));
    }
    let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
    zipped.write_all(shard).expect("memory");
    put(&folder.join("data.tar.gz"), &zipped.finish().expect("memory"));
    open(&folder.join("data.tar.gz"));
}

fn header(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes(), values].concat()
}

/// Images, or labels if the first byte is odd. Its second bit compresses what follows; else a gzip
/// stream is one that the fuzzer wrote.
pub fn idx(bytes: &[u8]) {
    let Some((&kind, array)) = bytes.split_first() else { return };
    let mut content = array.to_vec();
    if kind & 2 != 0 {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(array).expect("memory");
        content = encoder.finish().expect("memory");
    }
    let images =
        [&[0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 2][..], &(0..16).collect::<Vec<u8>>()].concat();
    let labels = [0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 0, 1];
    let (images, labels) =
        if kind & 1 == 0 { (&content[..], &labels[..]) } else { (&images[..], &content[..]) };
    let place = folder("idx", |_| {});
    put(&place.join("train-images-idx3-ubyte"), images);
    put(&place.join("train-labels-idx1-ubyte"), labels);
    open(&place);
}
