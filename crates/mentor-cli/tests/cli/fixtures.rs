//! Small data sets on disk, whole and broken.

use std::fs;
use std::path::Path;

/// Samples of each class.
pub(crate) const PER_CLASS: usize = 12;

/// A gray 8x8 image: bright on the left or on the right, none like another.
fn picture(class: usize, index: usize) -> image::GrayImage {
    image::GrayImage::from_fn(8, 8, |x, y| {
        let bright = (x < 4) == (class == 0);
        let noise = ((x * 7 + y * 13 + index as u32 * 29) % 31) as u8;
        image::Luma([if bright { 200 + noise } else { noise }])
    })
}

/// An image folder with one folder a class.
pub(crate) fn image_folder(root: &Path, classes: &[&str]) {
    for (class, name) in classes.iter().enumerate() {
        fs::create_dir_all(root.join(name)).unwrap();
        for index in 0..PER_CLASS {
            picture(class, index).save(root.join(name).join(format!("img{index}.png"))).unwrap();
        }
    }
}

/// An IDX file of unsigned bytes.
pub(crate) fn idx(shape: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    shape.iter().for_each(|side| bytes.extend(side.to_be_bytes()));
    bytes.extend(values);
    bytes
}

/// A folder with the four files of MNIST, 8x8 pixels, two classes.
pub(crate) fn idx_folder(root: &Path) {
    fs::create_dir_all(root).unwrap();
    for (part, count) in [("train", 20), ("t10k", 6)] {
        let first = if part == "train" { 0 } else { 100 };
        let pixels: Vec<u8> =
            (0..count).flat_map(|index| picture(index % 2, first + index).into_raw()).collect();
        let labels: Vec<u8> = (0..count).map(|index| (index % 2) as u8).collect();
        fs::write(root.join(format!("{part}-images-idx3-ubyte")), idx(&[count as u32, 8, 8], &pixels))
            .unwrap();
        fs::write(root.join(format!("{part}-labels-idx1-ubyte")), idx(&[count as u32], &labels)).unwrap();
    }
}

/// A PNG whose header declares these sides, and whose pixels are a few bytes.
pub(crate) fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([8, 0, 0, 0, 0]);
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in
        [(&b"IHDR"[..], header.as_slice()), (b"IDAT", &[0x78, 0x9c, 3, 0, 0, 0, 0, 1]), (b"IEND", &[])]
    {
        bytes.extend((data.len() as u32).to_be_bytes());
        let chunk = [name, data].concat();
        bytes.extend(&chunk);
        bytes.extend(crc32(&chunk).to_be_bytes());
    }
    bytes
}

/// An npz file (a stored zip of npy arrays) with `x` of four 2x2 images of `f32` and `y` of labels.
pub(crate) fn npz(pixels: &[f32; 16], labels: &[i64; 4]) -> Vec<u8> {
    let npy = |descr: &str, shape: &str, data: Vec<u8>| {
        let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        while (10 + header.len() + 1) % 64 != 0 {
            header.push(' ');
        }
        header.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    };
    let x = npy("<f4", "(4, 2, 2)", pixels.iter().flat_map(|pixel| pixel.to_le_bytes()).collect());
    let y = npy("<i8", "(4,)", labels.iter().flat_map(|label| label.to_le_bytes()).collect());
    zip(&[("x.npy", x), ("y.npy", y)])
}

/// A zip archive whose files are stored as they are.
fn zip(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in files {
        let mut common = [20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0].to_vec();
        common.extend(crc32(data).to_le_bytes());
        common.extend((data.len() as u32).to_le_bytes());
        common.extend((data.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend((bytes.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend(name.as_bytes());
        bytes.extend(data);
    }
    let (start, count) = (bytes.len() as u32, files.len() as u16);
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}
