//! Files that are no images, or damaged, or too large: refused by name, or left out and listed.

use std::path::{Path, PathBuf};

use mentor_data::{
    BadImage, DataError, ImageFormat, Limits, Note, OpenOptions, Source, Split, decode, decode_file, inspect,
};
use tempfile::{TempDir, tempdir};

use crate::files::{check_message, crc, png, refused};

/// Two classes of ten images each, and one file more: `train/a/5b.png`.
fn folder_with(bad: &[u8]) -> (TempDir, PathBuf) {
    let root = tempdir().unwrap();
    for class in ["a", "b"] {
        for i in 0..10 {
            png(&root.path().join(format!("train/{class}/{i}.png")), [4, 4], [i; 3], class.as_bytes()[0]);
        }
    }
    let path = root.path().join("train/a/5b.png");
    std::fs::write(&path, bad).unwrap();
    (root, path)
}

/// A PNG that declares so many pixels and holds none.
fn png_header(height: u32, width: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 2, 0, 0, 0]);
    let check = crc(&chunk).to_be_bytes();
    let mut bytes = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d".to_vec();
    bytes.extend(chunk);
    bytes.extend(check);
    bytes.extend(b"\x00\x00\x00\x00IDAT\x35\xaf\x06\x1e");
    bytes
}

fn bad_kinds() -> Vec<(Vec<u8>, &'static str)> {
    let whole = {
        let folder = tempdir().unwrap();
        let path = folder.path().join("whole.png");
        png(&path, [4, 4], [1, 2, 3], 9);
        std::fs::read(path).unwrap()
    };
    vec![
        (b"a text file named .png".to_vec(), "it holds text"),
        (Vec::new(), "empty"),
        (vec![0; 100], "not an image of a known format"),
        (png_header(50_000, 40_000), "50000x40000 pixels, over the limit of 64000000"),
        (whole[..whole.len() / 2].to_vec(), ""),
        (b"\xff\xd8\xff\xe0 no JPEG".to_vec(), ""),
    ]
}

#[test]
fn the_first_bad_image_stops_with_its_name() {
    for (bytes, reason) in bad_kinds() {
        let (root, path) = folder_with(&bytes);
        let opened = Source::open(root.path().to_str().unwrap(), &OpenOptions::default());
        let Err(error) = opened.and_then(|source| {
            source.load(Split::Train)?;
            source.load(Split::Val)
        }) else {
            panic!("loaded despite: {reason}")
        };
        assert!(matches!(error, DataError::BadImage { .. }), "{error}");
        check_message(&error, &path, &[reason, "skip or quarantine"]);
    }
}

#[test]
fn bad_images_are_left_out_and_listed_when_asked() {
    for (policy, marked) in [(BadImage::Skip, false), (BadImage::Quarantine, true)] {
        for (bytes, _) in bad_kinds() {
            let (root, path) = folder_with(&bytes);
            let options = OpenOptions { on_bad_image: policy, ..OpenOptions::default() };
            let source = Source::open(root.path().to_str().unwrap(), &options).unwrap();
            let [train, val] = [Split::Train, Split::Val].map(|split| source.load(split).unwrap());
            assert_eq!(train.len() + val.len(), 20);
            let notes = [source.notes(), train.notes(), val.notes()].concat();
            let [Note::BadImage { file, quarantine }] = &notes[..] else { panic!("{notes:?}") };
            assert_eq!((file.id.as_str(), *quarantine), ("train/a/5b.png", marked));
            assert_eq!(std::fs::read(path).unwrap(), bytes, "the user's file stays as it is");
        }
    }
}

#[test]
fn a_folder_of_bad_images_only_is_an_error_also_when_skipping() {
    let root = tempdir().unwrap();
    for class in ["a", "b"] {
        std::fs::create_dir_all(root.path().join(class)).unwrap();
        for i in 0..5 {
            std::fs::write(root.path().join(format!("{class}/{i}.png")), format!("text {i}")).unwrap();
        }
    }
    let options = OpenOptions { on_bad_image: BadImage::Skip, ..OpenOptions::default() };
    super::files::refused_with(root.path(), &options, &["nothing is left"]);
    refused(&root.path().join("a/0.png"), &["not a data set"]);
}

#[test]
fn file_size_is_limited() {
    let (root, path) = folder_with(&vec![b'x'; 5000]);
    let limits = Limits { max_file_bytes: 4000, ..Limits::default() };
    let options = OpenOptions { limits: limits.clone(), ..OpenOptions::default() };
    let Err(error) = Source::open(root.path().to_str().unwrap(), &options) else { panic!("opened") };
    check_message(&error, &path, &["5000 bytes are over the limit of 4000"]);
    let error = decode_file(&path, &ImageFormat::new(1, 4, 4), &limits).unwrap_err();
    check_message(&error, &path, &["max_file_bytes"]);
}

fn encoded(picture: &image::DynamicImage, format: image::ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn every_format_with_exact_pixels_decodes_to_the_same_image() {
    let picture = image::RgbImage::from_fn(5, 4, |x, y| image::Rgb([x as u8 * 40, y as u8 * 60, 90]));
    let expected: Vec<u8> =
        (0..3).flat_map(|channel| picture.pixels().map(move |pixel| pixel[channel])).collect();
    let picture = image::DynamicImage::from(picture);
    for format in
        [image::ImageFormat::Png, image::ImageFormat::Bmp, image::ImageFormat::WebP, image::ImageFormat::Pnm]
    {
        let bytes = encoded(&picture, format);
        let decoded = decode(&bytes, &ImageFormat::new(3, 4, 5), &Limits::default()).unwrap();
        assert_eq!(decoded, expected, "{format:?}");
    }
}

#[test]
fn alpha_is_composited_on_white() {
    let picture =
        image::RgbaImage::from_raw(3, 1, vec![10, 20, 30, 255, 10, 20, 30, 0, 0, 0, 0, 128]).unwrap();
    let bytes = encoded(&picture.into(), image::ImageFormat::Png);
    let decoded = decode(&bytes, &ImageFormat::new(3, 1, 3), &Limits::default()).unwrap();
    assert_eq!(decoded, [10, 255, 127, 20, 255, 127, 30, 255, 127]);
}

#[test]
fn jpeg_is_decoded_whatever_its_name_and_a_cut_one_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("photo.png");
    std::fs::write(&path, JPEG).unwrap();
    let format = ImageFormat::new(1, 16, 16);
    let decoded = decode_file(&path, &format, &Limits::default()).unwrap();
    assert!(decoded.iter().all(|&value| value.abs_diff(128) <= 1), "{decoded:?}");
    // The last two bytes are the end marker, the one before is all the pixels.
    assert_eq!(decode(&JPEG[..JPEG.len() - 2], &format, &Limits::default()).unwrap(), decoded);
    for length in [3, 20, JPEG.len() - 3, JPEG.len() - 4] {
        assert!(decode(&JPEG[..length], &format, &Limits::default()).is_err(), "cut to {length}");
    }
    let limits = Limits { max_pixels: 200, ..Limits::default() };
    let error = decode(JPEG, &format, &limits).unwrap_err().to_string();
    assert!(error.contains("16x16 pixels, over the limit of 200"), "{error}");
}

#[test]
fn the_orientation_that_a_camera_recorded_is_applied() {
    // Rows and columns of the header, then two blocks of zero bits; orientation 6 is a quarter turn.
    let mut photo = JPEG.to_vec();
    photo[76..80].copy_from_slice(&[0, 8, 0, 16]);
    let data = photo.len() - 3;
    photo[data] = 0x0f;
    let tag = [0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0];
    let exif = [b"Exif\0\0II*\0\x08\0\0\0\x01\0".as_slice(), &tag, &[0; 4]].concat();
    let mut turned = vec![0xff, 0xd8, 0xff, 0xe1, 0, exif.len() as u8 + 2];
    turned.extend(exif);
    turned.extend(&photo[2..]);
    for (bytes, shape) in [(photo, [1, 8, 16]), (turned, [1, 16, 8])] {
        let root = tempdir().unwrap();
        for class in ["a", "b"] {
            for i in 0..4_u8 {
                let path = root.path().join(format!("{class}/{i}.jpg"));
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                // Bytes after the image make the files differ.
                std::fs::write(path, [&bytes[..], class.as_bytes(), &[i]].concat()).unwrap();
            }
        }
        // All show the same picture, which leaks are.
        let options = OpenOptions { keep_duplicates: true, ..OpenOptions::default() };
        let source = Source::open(root.path().to_str().unwrap(), &options).unwrap();
        assert_eq!(source.format().shape(), shape);
        assert_eq!(source.load(Split::Train).unwrap().len(), 4);
    }
}

#[test]
fn files_that_lack_only_the_mark_at_their_end_are_read_and_noted() {
    let (root, _) = folder_with(&[]);
    std::fs::remove_file(root.path().join("train/a/5b.png")).unwrap();
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures");
    for name in ["without-end-marker.jpg", "without-end-marker-progressive.jpg", "without-end.png"] {
        std::fs::copy(pictures.join(name), root.path().join("train/a").join(name)).unwrap();
    }
    // Two of them show the same picture.
    let options = OpenOptions { keep_duplicates: true, ..OpenOptions::default() };
    let source = Source::open(root.path().to_str().unwrap(), &options).unwrap();
    let [train, val] = [Split::Train, Split::Val].map(|split| source.load(split).unwrap());
    assert_eq!(train.len() + val.len(), 23);
    let notes: Vec<String> = source.notes().iter().map(ToString::to_string).collect();
    let said = |note: &&String| {
        note.starts_with("3 files lack the mark that ends an image (such as train/a/without-end")
    };
    assert_eq!(notes.iter().filter(said).count(), 1, "{notes:?}");
}

#[test]
fn missing_files_are_not_called_bad_images() {
    let error = decode_file(Path::new("no/photo.png"), &ImageFormat::new(1, 4, 4), &Limits::default());
    assert!(matches!(error.unwrap_err(), DataError::NotFound { .. }));
}

/// A JPEG of 16x16 pixels, all of them 128: each of its four blocks has no coefficient.
const JPEG: &[u8] = &[
    255, 216, 255, 219, 0, 67, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 255, 192, 0, 11, 8, 0, 16, 0, 16, 1, 1, 17, 0, 255, 196, 0, 20, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 255, 196, 0, 20, 16, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 218,
    0, 8, 1, 1, 0, 0, 63, 0, 0, 255, 217,
];

/// A gray PNG of 16 bits with these values from left to right.
fn wide_png(values: &[u16]) -> Vec<u8> {
    let image =
        image::ImageBuffer::<image::Luma<u16>, _>::from_vec(values.len() as u32, 1, values.to_vec()).unwrap();
    encoded(&image.into(), image::ImageFormat::Png)
}

/// A gray TIFF, its directory first, of one row of samples of so many bits; format 1 is integers, 3 floats.
fn tiff(width: usize, bits: u16, format: u16, data: &[u8]) -> Vec<u8> {
    let tags: [(u16, u32); 10] = [
        (256, width as u32),
        (257, 1),
        (258, u32::from(bits)),
        (259, 1),
        (262, 1),
        (273, 8 + 2 + 10 * 12 + 4),
        (277, 1),
        (278, 1),
        (279, data.len() as u32),
        (339, u32::from(format)),
    ];
    let mut bytes = b"II*\0\x08\0\0\0\x0a\0".to_vec();
    for (tag, value) in tags {
        // All as numbers of 32 bits, one each.
        bytes.extend(tag.to_le_bytes().into_iter().chain([4, 0, 1, 0, 0, 0]).chain(value.to_le_bytes()));
    }
    bytes.extend([0; 4]);
    bytes.extend(data);
    bytes
}

#[test]
fn pictures_of_few_bits_in_wide_words_are_told_of() {
    type Encode = fn(&[u16]) -> Vec<u8>;
    let pgm: Encode = |values| {
        let data = values.iter().flat_map(|value| value.to_be_bytes());
        format!("P5 {} 1 65535\n", values.len()).into_bytes().into_iter().chain(data).collect()
    };
    let tif: Encode = |values| {
        tiff(values.len(), 16, 1, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
    };
    let floats: Encode = |values| {
        let data = values.iter().flat_map(|&value| (f32::from(value) / 65_536.0).to_le_bytes());
        tiff(values.len(), 32, 3, &data.collect::<Vec<_>>())
    };
    let write = |root: &Path, encode: Encode, end: &str, largest: u16| {
        for (class, shift) in [("cat", 0), ("dog", 9)] {
            for i in 0..8_u16 {
                let mut values: Vec<u16> = (0..8).map(|x| largest / 8 * x).collect();
                (values[0], values[7]) = (i + shift, largest);
                let path = root.join(format!("{class}/{i}.{end}"));
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, encode(&values)).unwrap();
            }
        }
    };
    let kept = OpenOptions { keep_duplicates: true, ..OpenOptions::default() };
    let cases: [(Encode, &str, &str); 4] = [
        (wide_png, "png", " of 65535"),
        (tif, "tif", " of 65535"),
        (pgm, "pgm", " of 65535"),
        (floats, "tiff", " of 1 "),
    ];
    for (encode, end, white) in cases {
        for (largest, told) in [(4096, true), (1024, true), (16_384, true), (60_000, false)] {
            let root = tempdir().unwrap();
            write(root.path(), encode, end, largest);
            let path = root.path().to_str().unwrap();
            let train = Source::open(path, &kept).unwrap().load(Split::Train).unwrap();
            let said: String = train.notes().iter().map(|note| format!("{note}\n")).collect();
            let value = if end == "tiff" { f64::from(largest) / 65_536.0 } else { f64::from(largest) };
            let expected = format!("the brightest pixel is {value}{white}");
            assert_eq!(said.contains(&expected), told, "{end} {largest}: {said}");
            let found = inspect(path, &kept).unwrap();
            let is_such = |note: &Note| matches!(note, Note::FewLevels { split: None, num_files: 16, .. });
            assert_eq!(found.notes.iter().any(is_such), told, "{end} {largest}: {:?}", found.notes);
        }
    }
    // One dark picture among bright ones says nothing, and neither does a black one.
    for step in [100, 0] {
        let root = tempdir().unwrap();
        write(root.path(), wide_png, "png", 60_000);
        let dark: Vec<u16> = (0..8).map(|x| x * step).collect();
        std::fs::write(root.path().join("cat/0.png"), wide_png(&dark)).unwrap();
        let found = inspect(root.path().to_str().unwrap(), &kept).unwrap();
        assert!(!found.notes.iter().any(|note| matches!(note, Note::FewLevels { .. })), "{:?}", found.notes);
    }
}

#[test]
fn a_file_that_lacks_only_what_is_no_pixel_is_read() {
    let picture = image::RgbImage::from_fn(5, 4, |x, y| image::Rgb([x as u8 * 40, y as u8 * 60, 90]));
    let picture = image::DynamicImage::from(picture);
    let format = ImageFormat::new(3, 4, 5);
    // Rows of 15 bytes are filled up to 16; a PNG ends in twelve bytes that hold nothing.
    for (kind, spare) in [(image::ImageFormat::Bmp, 1), (image::ImageFormat::Png, 12)] {
        let whole = encoded(&picture, kind);
        let pixels = decode(&whole, &format, &Limits::default()).unwrap();
        for missing in 1..=spare {
            let cut = decode(&whole[..whole.len() - missing], &format, &Limits::default());
            assert_eq!(cut.unwrap(), pixels, "{kind:?} without {missing}");
        }
        let error = decode(&whole[..whole.len() - spare - 1], &format, &Limits::default());
        assert!(error.is_err(), "{kind:?} without a pixel");
    }
}

#[test]
fn a_file_that_is_cut_is_said_to_end_too_early() {
    let picture = image::DynamicImage::from(image::RgbImage::from_fn(40, 40, |x, y| {
        image::Rgb([(x * y) as u8, ((x * 31) ^ (y * 17)) as u8, y as u8 * 6])
    }));
    let [bmp, pnm] = [image::ImageFormat::Bmp, image::ImageFormat::Pnm].map(|kind| encoded(&picture, kind));
    for whole in [bmp, pnm, tiff(400, 8, 1, &[7; 400])] {
        let error = decode(&whole[..whole.len() / 2], &ImageFormat::new(3, 40, 40), &Limits::default());
        let said = error.unwrap_err().to_string();
        assert!(said.contains("the file ends in the middle of the image"), "{:?}: {said}", &whole[..2]);
    }
}
