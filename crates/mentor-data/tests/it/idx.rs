//! IDX files: the names in circulation, plain and gzipped, and what is wrong with them.

use mentor_data::{DataError, Limits, OpenOptions, Source, Split};
use proptest::prelude::*;
use tempfile::tempdir;

use crate::files::{gzip, idx, open, refused, refused_with, write_idx};

#[test]
fn images_labels_and_ids_are_read_back() {
    for zipped in [false, true] {
        let folder = tempdir().unwrap();
        write_idx(folder.path(), "train", 20, 0, zipped);
        write_idx(folder.path(), "t10k", 4, 100, !zipped);
        let source = open(folder.path());
        assert_eq!(source.classes(), ["0", "1"]);
        assert_eq!(source.format().shape(), [1, 2, 2]);
        assert_eq!(Split::ALL.map(|split| source.num_samples(split)), [18, 2, 4]);
        let test = source.load(Split::Test).unwrap();
        let mut image = [0; 4];
        test.read(1, &mut image).unwrap();
        assert_eq!((image, test.targets()[1], test.id(1)), ([104, 105, 106, 107], 1, "test[1]"));
    }
}

#[test]
fn names_with_a_dot_and_a_file_instead_of_its_folder_are_found() {
    let folder = tempdir().unwrap();
    write_idx(folder.path(), "train", 10, 0, false);
    for (from, to) in [("images-idx3", "images.idx3"), ("labels-idx1", "labels.idx1")] {
        let path = |name: &str| folder.path().join(format!("train-{name}-ubyte"));
        std::fs::rename(path(from), path(to)).unwrap();
    }
    let source = open(&folder.path().join("train-images.idx3-ubyte"));
    assert_eq!(Split::ALL.map(|split| source.num_samples(split)), [6, 2, 2], "no t10k: test is split off");
}

fn rename(folder: &std::path::Path, change: impl Fn(&str) -> String) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap).collect::<Vec<_>>() {
        let name = entry.file_name().into_string().unwrap();
        std::fs::rename(entry.path(), folder.join(change(&name))).unwrap();
    }
}

#[test]
fn names_of_later_data_sets_are_read() {
    let changes: [fn(&str) -> String; 5] = [
        |name| name.replace("t10k", "test"),
        |name| format!("emnist-letters-{}", name.replace("t10k", "test")),
        |name| format!("qmnist-{}", name.replace("t10k", "test50k")),
        |name| name.replace("-idx", ".idx").to_uppercase(),
        |name| name.replace("-ubyte", "").replace("t10k", "Testing"),
    ];
    for (position, change) in changes.into_iter().enumerate() {
        for zipped in [false, true] {
            let folder = tempdir().unwrap();
            write_idx(folder.path(), "train", 20, 0, zipped);
            write_idx(folder.path(), "t10k", 4, 100, zipped);
            rename(folder.path(), change);
            let source = open(folder.path());
            let counts = Split::ALL.map(|split| source.num_samples(split));
            assert_eq!(counts, [18, 2, 4], "change {position}, zipped: {zipped}");
            assert!(source.notes().is_empty(), "{:?}", source.notes());
        }
    }
}

#[test]
fn a_validation_split_is_read_and_other_files_are_named() {
    let folder = tempdir().unwrap();
    for (part, count, first) in [("train", 20, 0), ("val", 3, 100), ("t10k", 4, 150)] {
        write_idx(folder.path(), part, count, first, false);
    }
    std::fs::write(folder.path().join("mapping.txt"), "0 48").unwrap();
    std::fs::write(folder.path().join(".DS_Store"), "").unwrap();
    let source = open(folder.path());
    assert_eq!(Split::ALL.map(|split| source.num_samples(split)), [20, 3, 4]);
    let notes: Vec<String> = source.notes().iter().map(ToString::to_string).collect();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].contains("left out mapping.txt"), "{notes:?}");
}

#[test]
fn of_several_data_sets_one_is_named_by_a_file() {
    let folder = tempdir().unwrap();
    write_idx(folder.path(), "emnist-digits-train", 10, 0, true);
    write_idx(folder.path(), "emnist-letters-train", 20, 0, true);
    let error =
        refused(folder.path(), &["several data sets (emnist-digits, emnist-letters)", "name a file of one"]);
    assert!(matches!(error, DataError::SeveralSets { .. }));
    let source = open(&folder.path().join("emnist-letters-train-images-idx3-ubyte.gz"));
    assert_eq!(Split::ALL.iter().map(|&split| source.num_samples(split)).sum::<usize>(), 20);

    let folder = tempdir().unwrap();
    for part in ["train", "t10k", "test"] {
        write_idx(folder.path(), part, 4, 0, false);
    }
    refused(folder.path(), &["t10k", "test-", "are all named for the test split"]);
}

#[test]
fn labels_from_one_and_tables_of_labels_are_read() {
    let folder = tempdir().unwrap();
    write_idx(folder.path(), "emnist-letters-train", 6, 0, false);
    let labels = idx([0, 0, 8, 1], &[6], &[1, 2, 3, 1, 2, 3]);
    std::fs::write(folder.path().join("emnist-letters-train-labels-idx1-ubyte"), labels).unwrap();
    assert_eq!(open(folder.path()).classes(), ["1", "2", "3"]);

    let folder = tempdir().unwrap();
    write_idx(folder.path(), "qmnist-train", 4, 0, false);
    std::fs::remove_file(folder.path().join("qmnist-train-labels-idx1-ubyte")).unwrap();
    let rows: Vec<u8> =
        [[1, 70_000], [0, 5], [1, 6], [0, 7]].concat().into_iter().flat_map(i32::to_be_bytes).collect();
    let path = folder.path().join("qmnist-train-labels-idx2-int");
    std::fs::write(&path, idx([0, 0, 12, 2], &[4, 2], &rows)).unwrap();
    let options = OpenOptions { val_fraction: 0.0, test_fraction: 0.0, ..OpenOptions::default() };
    let source = Source::open(folder.path().to_str().unwrap(), &options).unwrap();
    assert_eq!(source.load(Split::Train).unwrap().targets(), [1, 0, 1, 0]);
    assert!(source.notes()[0].to_string().contains("took the first of 2 numbers"), "{:?}", source.notes());
}

#[test]
fn test_images_alone_can_be_evaluated_but_not_trained_on() {
    let folder = tempdir().unwrap();
    write_idx(folder.path(), "t10k", 4, 0, true);
    let source = open(folder.path());
    assert_eq!(source.load(Split::Test).unwrap().len(), 4);
    assert!(matches!(source.load(Split::Train).unwrap_err(), DataError::NoSplit { .. }));
}

#[test]
fn damaged_files_are_refused_by_name() {
    let images = idx([0, 0, 8, 3], &[4, 2, 2], &[7; 16]);
    let labels = idx([0, 0, 8, 1], &[4], &[0, 1, 0, 1]);
    let with = |images: &[u8], labels: &[u8], file: &str, parts: &[&str]| {
        let folder = tempdir().unwrap();
        std::fs::write(folder.path().join("train-images-idx3-ubyte"), images).unwrap();
        std::fs::write(folder.path().join("train-labels-idx1-ubyte"), labels).unwrap();
        let Err(error) = Source::open(folder.path().to_str().unwrap(), &OpenOptions::default()) else {
            panic!("opened, but {parts:?} was expected")
        };
        super::files::check_message(&error, &folder.path().join(file), parts);
    };
    let (image_file, label_file) = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte");
    with(&images[..30], &labels, image_file, &["truncated", "16 bytes", "14 are there"]);
    with(&images[..10], &labels, image_file, &["truncated"]);
    with(&gzip(&images)[..25], &labels, image_file, &["truncated"]);
    with(&[images.clone(), vec![1]].concat(), &labels, image_file, &["more than the 16 bytes"]);
    with(b"not an IDX file at all", &labels, image_file, &["6e 6f 74 20"]);
    with(&labels, &labels, image_file, &["00 00 08 01 is not the start of IDX images"]);
    with(&images, &images, label_file, &["IDX labels"]);
    with(&images, &idx([0, 0, 8, 1], &[3], &[0, 1, 0]), label_file, &["3 labels for 4 images"]);
    with(&images, &idx([0, 0, 8, 1], &[4], &[0, 1, 200, 1]), label_file, &["label 200 at index 2"]);
    let wide = idx([0, 0, 8, 3], &[4, 1, 5000], &[7; 20_000]);
    with(&wide, &labels, image_file, &["images of 1x5000 pixels", "each from 1 to 4096"]);
    with(&idx([0, 0, 8, 3], &[4, 2, 0], &[]), &labels, image_file, &["4 images of 2x0 pixels"]);
    with(&idx([0, 0, 8, 3], &[0, 2, 2], &[]), &idx([0, 0, 8, 1], &[0], &[]), image_file, &["no images"]);
    let mut corrupt = gzip(&images);
    let last = corrupt.len() - 6;
    corrupt[last] ^= 0xff;
    with(&corrupt, &labels, image_file, &["gzip"]);
}

#[test]
fn what_belongs_together_must_be_there() {
    let folder = tempdir().unwrap();
    write_idx(folder.path(), "train", 4, 0, false);
    std::fs::remove_file(folder.path().join("train-labels-idx1-ubyte")).unwrap();
    let Err(error) = Source::open(folder.path().to_str().unwrap(), &OpenOptions::default()) else {
        panic!("opened without labels")
    };
    assert!(error.to_string().contains("labels is missing"), "{error}");

    let folder = tempdir().unwrap();
    write_idx(folder.path(), "train", 4, 0, false);
    let one = idx([0, 0, 8, 1], &[4], &[0; 4]);
    std::fs::write(folder.path().join("train-labels-idx1-ubyte"), one).unwrap();
    refused(folder.path(), &["only the class \"0\""]);
}

#[test]
fn a_header_beyond_the_limit_is_refused_before_anything_is_read() {
    let folder = tempdir().unwrap();
    write_idx(folder.path(), "train", 4, 0, false);
    let huge = idx([0, 0, 8, 3], &[u32::MAX, u32::MAX, u32::MAX], &[]);
    let path = folder.path().join("train-images-idx3-ubyte");
    std::fs::write(&path, huge).unwrap();
    let Err(error) = Source::open(folder.path().to_str().unwrap(), &OpenOptions::default()) else {
        panic!("opened")
    };
    assert!(error.help().iter().any(|way| way.contains("max_memory_bytes")), "{error}: {:?}", error.help());

    write_idx(folder.path(), "train", 4, 0, false);
    let limits = Limits { max_memory_bytes: 15, ..Limits::default() };
    let options = OpenOptions { limits, ..OpenOptions::default() };
    let error = refused_with(folder.path(), &options, &["16, over the limit of 15"]);
    assert!(matches!(error, DataError::TooLarge { .. }));

    // The files together, with what each sample takes beside its pixels.
    write_idx(folder.path(), "t10k", 4, 100, true);
    let limits = Limits { max_memory_bytes: 4096, ..Limits::default() };
    let options = OpenOptions { limits, ..OpenOptions::default() };
    let error = refused_with(folder.path(), &options, &["labels and names", "4136, over the limit of 4096"]);
    assert!(matches!(error, DataError::TooLarge { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_files_never_panic_and_open_only_when_consistent(
        head in prop::sample::select(vec![vec![], vec![0, 0, 8, 3], vec![0x1f, 0x8b]]),
        sizes in prop::collection::vec(0_u32..6, 0..4),
        data in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let folder = tempdir().unwrap();
        let mut bytes = head;
        sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
        bytes.extend(&data);
        std::fs::write(folder.path().join("train-images-idx3-ubyte"), &bytes).unwrap();
        let labels = idx([0, 0, 8, 1], &[4], &[0, 1, 0, 1]);
        std::fs::write(folder.path().join("train-labels-idx1-ubyte"), labels).unwrap();
        let options = OpenOptions { keep_duplicates: true, ..OpenOptions::default() };
        if let Ok(source) = Source::open(folder.path().to_str().unwrap(), &options) {
            prop_assert_eq!(source.format().num_values() * 4 + 16, bytes.len());
        }
    }
}

#[test]
fn names_of_other_exports_are_read() {
    let changes: [fn(&str) -> String; 4] = [
        |name| name.replace("-images-idx3-ubyte", "_images").replace("-labels-idx1-ubyte", "_labels"),
        |name| name.replace("images-idx3-ubyte", "x.idx").replace("labels-idx1-ubyte", "y.idx"),
        |name| name.replace("-images", "").replace("-labels", ""),
        |name| name.replace("images-idx3", "images-idx").replace("labels-idx1", "labels-idx"),
    ];
    for (position, change) in changes.into_iter().enumerate() {
        for zipped in [false, true] {
            let folder = tempdir().unwrap();
            write_idx(folder.path(), "train", 20, 0, zipped);
            write_idx(folder.path(), "test", 4, 100, zipped);
            rename(folder.path(), change);
            let source = open(folder.path());
            let counts = Split::ALL.map(|split| source.num_samples(split));
            assert_eq!(counts, [18, 2, 4], "change {position}, zipped: {zipped}");
        }
    }
    let folder = tempdir().unwrap();
    write_idx(folder.path(), "a", 10, 0, false);
    rename(folder.path(), |name| name.replace("a-images-", "a.").replace("a-labels-", "a."));
    assert_eq!(open(folder.path()).classes().len(), 2);
}

#[test]
fn idx_files_whose_names_say_nothing_are_called_that() {
    for name in ["train.idx", "pixels", "digits-ubyte", "pixels.gz"] {
        let folder = tempdir().unwrap();
        let bytes = idx([0, 0, 8, 3], &[1, 2, 2], &[1, 2, 3, 4]);
        let bytes = if name.ends_with("gz") { gzip(&bytes) } else { bytes };
        std::fs::write(folder.path().join(name), bytes).unwrap();
        std::fs::write(folder.path().join("readme.txt"), "images").unwrap();
        for path in [folder.path().to_owned(), folder.path().join(name)] {
            let error = refused(&path, &["is an IDX file", "train-images-idx3-ubyte"]);
            assert!(matches!(error, DataError::IdxName { .. }), "{error}");
        }
    }
    // Colour has a fourth dimension, and is one data set.
    let folder = tempdir().unwrap();
    write_idx(folder.path(), "train", 4, 0, false);
    rename(folder.path(), |name| name.replace("idx3", "idx4"));
    let images = idx([0, 0, 8, 4], &[4, 2, 2, 3], &[0; 48]);
    std::fs::write(folder.path().join("train-images-idx4-ubyte"), images).unwrap();
    refused(folder.path(), &["00 00 08 04 is not the start of IDX images"]);
}
