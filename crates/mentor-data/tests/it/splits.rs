//! Splits, and what is done about images that two of them share.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use mentor_data::{DataError, Limits, Note, OpenOptions, ReadObserver, Source, Split, SplitBy, inspect};
use tempfile::tempdir;

use crate::files::{crc, idx, open};

fn ids(source: &Source, split: Split) -> Vec<String> {
    let dataset = source.load(split).unwrap();
    (0..dataset.len()).map(|index| dataset.id(index).to_owned()).collect()
}

#[test]
fn digits_are_split_by_class_and_by_seed() {
    let source = Source::open("digits", &OpenOptions::default()).unwrap();
    let counts = Split::ALL.map(|split| source.num_samples(split));
    assert_eq!(counts.iter().sum::<usize>(), 1797);
    assert_eq!(counts, [1293, 145, 359]);
    let again = Source::open("digits", &OpenOptions::default()).unwrap();
    assert_eq!(source.fingerprint(), again.fingerprint());
    let options = OpenOptions { split_seed: 1, ..OpenOptions::default() };
    let other = Source::open("digits", &options).unwrap();
    assert_ne!(ids(&source, Split::Test), ids(&other, Split::Test));
    assert_ne!(source.fingerprint(), other.fingerprint());
    let test = source.load(Split::Test).unwrap();
    assert!(test.class_counts().iter().all(|&count| (35..=37).contains(&count)), "{:?}", test.class_counts());
}

/// Train and test IDX files from one-pixel images; labels 0 and 1 in turn.
fn one_pixel_images(train: &[u8], test: &[u8]) -> tempfile::TempDir {
    let folder = tempdir().unwrap();
    for (part, pixels) in [("train", train), ("t10k", test)] {
        let count = pixels.len() as u32;
        let labels: Vec<u8> = (0..count).map(|i| (i % 2) as u8).collect();
        let write =
            |name: &str, bytes| std::fs::write(folder.path().join(format!("{part}-{name}-ubyte")), bytes);
        write("images-idx3", idx([0, 0, 8, 3], &[count, 1, 1], pixels)).unwrap();
        write("labels-idx1", idx([0, 0, 8, 1], &[count], &labels)).unwrap();
    }
    folder
}

#[test]
fn training_and_validation_images_that_test_has_are_removed_and_named() {
    let train: Vec<u8> = (0..20).collect();
    let folder = one_pixel_images(&train, &[200, 3, 201, 4]);
    let source = open(folder.path());
    let kept = [ids(&source, Split::Train), ids(&source, Split::Val)].concat();
    assert_eq!(kept.len(), 18);
    assert!(!kept.iter().any(|id| id == "train[3]" || id == "train[4]"));
    assert_eq!(source.num_samples(Split::Test), 4, "test is never changed");
    let notes = |source: &Source| -> Vec<Note> {
        Split::ALL.iter().flat_map(|&split| source.load(split).unwrap().notes().to_vec()).collect()
    };
    let mut removed: Vec<[String; 2]> = notes(&source)
        .iter()
        .flat_map(|note| match note {
            Note::LeaksRemoved { pairs, num_other_bytes: 0, .. } => pairs.clone(),
            other => panic!("{other}"),
        })
        .collect();
    removed.sort_unstable();
    assert_eq!(removed, [["train[3]", "test[1]"], ["train[4]", "test[3]"]]);

    let options = OpenOptions { keep_duplicates: true, ..OpenOptions::default() };
    let kept = Source::open(folder.path().to_str().unwrap(), &options).unwrap();
    assert_eq!(Split::ALL.map(|split| kept.num_samples(split)), [18, 2, 4]);
    assert_eq!(ids(&kept, Split::Train).len(), 18);
    let notes = notes(&kept);
    assert!(notes.iter().all(|note| matches!(note, Note::LeaksKept { .. })) && !notes.is_empty());
    assert_ne!(kept.fingerprint(), source.fingerprint());
}

#[test]
fn repeats_inside_training_stay_and_are_reported() {
    let folder = one_pixel_images(&[7, 7, 7, 1, 2, 3, 4, 5, 6, 8], &[200, 201]);
    let options = OpenOptions { val_fraction: 0.0, ..OpenOptions::default() };
    let source = Source::open(folder.path().to_str().unwrap(), &options).unwrap();
    assert_eq!(source.num_samples(Split::Train), 10);
    let train = source.load(Split::Train).unwrap();
    let [Note::Repeated { split: Some(Split::Train), pairs, num_conflicting, .. }] = train.notes() else {
        panic!("{:?}", train.notes())
    };
    assert_eq!((train.len(), pairs.len(), *num_conflicting), (10, 2, 1));
}

#[test]
fn nothing_left_for_training_is_an_error() {
    let folder = one_pixel_images(&[1, 2, 3, 4], &[1, 2, 3, 4]);
    let source = open(folder.path());
    assert!(!source.has(Split::Train));
    let error = source.load(Split::Train).unwrap_err();
    assert!(matches!(error, DataError::NothingLeft { split: Split::Train, .. }), "{error}");
    assert_eq!(ids(&source, Split::Test).len(), 4, "what is left out of training can still be evaluated");
}

#[test]
fn all_of_a_data_set_is_every_image_however_often_it_occurs() {
    // Twins lie in train and test, and within each.
    let folder = one_pixel_images(&[1, 2, 3, 4, 1, 2], &[1, 2, 9, 9]);
    let path = folder.path().to_str().unwrap();
    for split_by in [SplitBy::Sample, SplitBy::Class] {
        // Two classes are too few to divide by class, and nobody asked for that.
        let options = OpenOptions { split_by, ..OpenOptions::default() };
        let source = Source::open_undivided(path, &options).unwrap();
        let all = source.load_all_as(source.format()).unwrap();
        let ids: Vec<&str> = (0..all.len()).map(|index| all.id(index)).collect();
        assert_eq!((ids.len(), ids[0], ids[6]), (10, "train[0]", "test[0]"));
        let [note @ Note::Repeated { split: None, pairs, .. }] = all.notes() else {
            panic!("{:?}", all.notes())
        };
        assert_eq!(pairs.len(), 5);
        let text = note.to_string();
        assert!(text.starts_with("5 images repeat an earlier one byte for byte"), "{text}");
        assert!(text.ends_with("all of them count"), "{text}");
    }
    let source = Source::open_for_evaluation(path, &OpenOptions::default()).unwrap();
    let train = source.load_whole_as(Split::Train, source.format()).unwrap();
    assert!(train.len() > source.num_samples(Split::Train), "some are in test too");
    let parts = Split::ALL.map(|split| source.num_images(split));
    assert_eq!((parts[0], parts.iter().sum::<usize>()), (train.len(), 10));
}

/// A gray PNG with a chunk of text, so that its bytes differ from those of another with the same pixels.
fn with_text(png: &[u8], text: &str) -> Vec<u8> {
    let mut chunk = b"tEXtComment\0".to_vec();
    chunk.extend(text.as_bytes());
    let crc = crc(&chunk);
    let header = 8 + 25;
    let mut bytes = png[..header].to_vec();
    bytes.extend((chunk.len() as u32 - 4).to_be_bytes());
    bytes.extend(chunk);
    bytes.extend(crc.to_be_bytes());
    bytes.extend(&png[header..]);
    bytes
}

/// A folder whose test images have the pixels of training images, in other bytes each: with a text chunk, as
/// BMP, as colour, as PPM, with alpha. One image of each class is of its own.
fn twins_in_other_bytes() -> tempfile::TempDir {
    let folder = tempdir().unwrap();
    let picture = |seed: u32| {
        let mix = |x: u32, y: u32| {
            let product = (x * 31 + y * 57 + seed * 83 + 1).wrapping_mul(2_654_435_761);
            (product ^ product >> 15).wrapping_mul(2_246_822_519) >> 24
        };
        image::GrayImage::from_fn(9, 7, |x, y| image::Luma([mix(x, y) as u8]))
    };
    let place = |split: &str, class: u32, name: String| {
        let place = folder.path().join(split).join(["cat", "dog"][class as usize]);
        std::fs::create_dir_all(&place).unwrap();
        place.join(name)
    };
    for seed in 0..10 {
        picture(seed).save(place("train", seed % 2, format!("{seed}.png"))).unwrap();
        picture(seed + 100).save(place("train", seed % 2, format!("own{seed}.png"))).unwrap();
        let test = |end: &str| place("test", seed % 2, format!("{seed}.{end}"));
        let twin = image::DynamicImage::from(picture(seed));
        match seed {
            0..6 => {
                let bytes = std::fs::read(place("train", seed % 2, format!("{seed}.png"))).unwrap();
                std::fs::write(test("png"), with_text(&bytes, &"again ".repeat(seed as usize))).unwrap();
            }
            6 => twin.save(test("bmp")).unwrap(),
            7 => twin.into_rgb8().save(test("png")).unwrap(),
            8 => twin.into_rgb8().save(test("ppm")).unwrap(),
            _ => twin.into_rgba8().save(test("png")).unwrap(),
        }
    }
    folder
}

#[test]
fn training_images_whose_pixels_test_has_in_other_bytes_are_removed() {
    let folder = twins_in_other_bytes();
    let path = folder.path().to_str().unwrap();
    let options = OpenOptions { val_fraction: 0.0, ..OpenOptions::default() };
    let source = Source::open(path, &options).unwrap();
    let train = source.load(Split::Train).unwrap();
    assert_eq!(train.len(), 10);
    assert!((0..10).all(|index| train.id(index).contains("own")));
    let [note @ Note::LeaksRemoved { pairs, num_other_bytes: 10, .. }] = train.notes() else {
        panic!("{:?}", train.notes())
    };
    assert_eq!(pairs.len(), 10);
    assert!(note.to_string().contains("a twin of the same pixels in other bytes"), "{note}");
    // Also where images are decoded on demand, and where they are kept.
    let limits = Limits { max_memory_bytes: 1, ..Limits::default() };
    let on_demand = Source::open(path, &OpenOptions { limits, ..options.clone() }).unwrap();
    assert_eq!(on_demand.load(Split::Train).unwrap().images_blake3(), train.images_blake3());
    let kept = Source::open(path, &OpenOptions { keep_duplicates: true, ..options }).unwrap();
    let kept = kept.load(Split::Train).unwrap();
    assert_eq!(kept.len(), 20);
    assert!(matches!(kept.notes(), [Note::LeaksKept { num_other_bytes: 10, .. }]), "{:?}", kept.notes());
}

#[test]
fn images_are_decoded_for_comparison_only_if_an_earlier_split_has_their_size() {
    let folder = twins_in_other_bytes();
    for class in ["cat", "dog"] {
        let large = image::GrayImage::from_pixel(9, 8, image::Luma([7]));
        large.save(folder.path().join("test").join(class).join("large.png")).unwrap();
    }
    let compared = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&compared);
    let observer = ReadObserver::new(move |reading| {
        if reading.what == "comparing images" {
            seen.lock().unwrap().push(reading);
        }
        ControlFlow::Continue(())
    });
    let options = OpenOptions { val_fraction: 0.0, observer, ..OpenOptions::default() };
    let source = Source::open(folder.path().to_str().unwrap(), &options).unwrap();
    assert_eq!(source.load(Split::Train).unwrap().len(), 10);
    assert_eq!(source.load(Split::Test).unwrap().len(), 12);
    let compared = compared.lock().unwrap();
    assert!(compared.len() == 10 && compared.iter().all(|reading| reading.total == 10), "{compared:?}");
}

#[test]
fn no_two_digits_of_two_splits_are_taken_for_one_picture() {
    let inspection = inspect("digits", &OpenOptions::default()).unwrap();
    assert!(inspection.near_duplicates.is_empty(), "{:?}", inspection.near_duplicates);
}

#[test]
fn inspection_knows_twins_in_other_bytes_and_offers_near_ones() {
    let folder = twins_in_other_bytes();
    let path = folder.path().to_str().unwrap();
    let inspection = inspect(path, &OpenOptions::default()).unwrap();
    assert!(!inspection.is_clean());
    let shared: usize = inspection.duplicates.across.iter().map(|leak| leak.pairs.len()).sum();
    let other_bytes: usize = inspection.duplicates.across.iter().map(|leak| leak.num_other_bytes).sum();
    assert_eq!((shared, other_bytes), (10, 10));
    assert!(inspection.near_duplicates.is_empty(), "twins are not offered again");

    let near = tempdir().unwrap();
    let wave = |seed: u32, x: u32, y: u32| {
        let (x, y, seed) = (f64::from(x), f64::from(y), f64::from(seed));
        let value = (x * (0.05 + seed * 0.01) + y * 0.04).sin() + (y * 0.09 - x * 0.03 * seed).cos();
        image::Luma([(120.0 + 50.0 * value) as u8])
    };
    for seed in 0..8 {
        for split in ["train", "test"] {
            let class = near.path().join(split).join(["a", "b"][(seed % 2) as usize]);
            std::fs::create_dir_all(&class).unwrap();
            let picture = image::GrayImage::from_fn(64, 64, |x, y| match (split, seed) {
                // Cropped by a pixel; mirrored; brightened; and strangers.
                ("test", 0) => wave(seed, x + 1, y),
                ("test", 1) => wave(seed, 63 - x, y),
                ("test", 2) => image::Luma([(f64::from(wave(seed, x, y).0[0]) * 0.8) as u8 + 30]),
                ("test", _) => wave(seed + 20, y, x),
                _ => wave(seed, x, y),
            });
            picture.save(class.join(format!("{seed}.png"))).unwrap();
        }
    }
    let inspection = inspect(near.path().to_str().unwrap(), &OpenOptions::default()).unwrap();
    assert!(inspection.is_clean() && inspection.duplicates.across.is_empty());
    let pairs: Vec<&[String; 2]> = inspection.near_duplicates.iter().flat_map(|leak| &leak.pairs).collect();
    assert_eq!(pairs.len(), 3, "{pairs:?}");
    let names = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    assert!(pairs.iter().all(|[from, to]| names(from) == names(to)), "{pairs:?}");
    let mirrored: usize = inspection.near_duplicates.iter().map(|leak| leak.num_mirrored).sum();
    assert_eq!(mirrored, 1);
}
