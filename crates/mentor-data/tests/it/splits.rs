//! Splits, and what is done about images that two of them share.

use mentor_data::{DataError, Note, OpenOptions, Source, Split};
use tempfile::tempdir;

use super::files::{idx, open};

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
    let mut removed: Vec<[String; 2]> = source
        .notes()
        .iter()
        .flat_map(|note| match note {
            Note::LeaksRemoved { pairs, .. } => pairs.clone(),
            other => panic!("{other}"),
        })
        .collect();
    removed.sort_unstable();
    assert_eq!(removed, [["train[3]", "test[1]"], ["train[4]", "test[3]"]]);

    let options = OpenOptions { keep_duplicates: true, ..OpenOptions::default() };
    let kept = Source::open(folder.path().to_str().unwrap(), &options).unwrap();
    assert_eq!(Split::ALL.map(|split| kept.num_samples(split)), [18, 2, 4]);
    assert!(
        kept.notes().iter().all(|note| matches!(note, Note::LeaksKept { .. })) && !kept.notes().is_empty()
    );
    assert_ne!(kept.fingerprint(), source.fingerprint());
}

#[test]
fn repeats_inside_training_stay_and_are_reported() {
    let folder = one_pixel_images(&[7, 7, 7, 1, 2, 3, 4, 5, 6, 8], &[200, 201]);
    let options = OpenOptions { val_fraction: 0.0, ..OpenOptions::default() };
    let source = Source::open(folder.path().to_str().unwrap(), &options).unwrap();
    assert_eq!(source.num_samples(Split::Train), 10);
    let [Note::Repeated { split: Split::Train, pairs, num_conflicting }] = source.notes() else {
        panic!("{:?}", source.notes())
    };
    assert_eq!((pairs.len(), *num_conflicting), (2, 1));
}

#[test]
fn nothing_left_for_training_is_an_error() {
    let folder = one_pixel_images(&[1, 2, 3, 4], &[1, 2, 3, 4]);
    let Err(error) = Source::open(folder.path().to_str().unwrap(), &OpenOptions::default()) else {
        panic!("opened")
    };
    assert!(matches!(error, DataError::NothingLeft { split: Split::Train, .. }), "{error}");
}
