//! Images without labels: flat or nested folders, splits, and what is said where labels were needed.

use std::path::Path;

use mentor_data::{DataError, OpenOptions, Source, Split};
use tempfile::tempdir;

use crate::files::{check_message, open, png, refused, write_idx};

fn unlabelled(path: &Path) -> Source {
    Source::open_unlabelled(path.to_str().unwrap(), &OpenOptions::default()).unwrap()
}

fn ids(source: &Source, split: Split) -> Vec<String> {
    let dataset = source.load(split).unwrap();
    assert!(!dataset.is_labelled() && dataset.targets().is_empty());
    (0..dataset.len()).map(|index| dataset.id(index).to_owned()).collect()
}

#[test]
fn a_flat_folder_gives_every_image_and_a_share_for_validation() {
    let root = tempdir().unwrap();
    for i in 0..20 {
        png(&root.path().join(format!("{i}.png")), [4, 4], [i * 10; 3], 7);
    }
    std::fs::write(root.path().join("notes.txt"), "not an image").unwrap();
    let source = unlabelled(root.path());
    assert_eq!((source.kind(), source.is_labelled()), ("folder of unlabelled images", false));
    assert_eq!(Split::ALL.map(|split| source.num_samples(split)), [18, 2, 0]);
    let mut all = ids(&source, Split::Train);
    all.extend(ids(&source, Split::Val));
    all.sort_unstable();
    let mut expected: Vec<String> = (0..20).map(|i| format!("{i}.png")).collect();
    expected.sort_unstable();
    assert_eq!(all, expected);
    assert!(source.notes().iter().any(|note| note.to_string().contains("notes.txt")));
    let all = OpenOptions { val_fraction: 0.0, ..OpenOptions::default() };
    let source = Source::open_unlabelled(root.path().to_str().unwrap(), &all).unwrap();
    assert_eq!(ids(&source, Split::Train)[..3], ["0.png", "1.png", "2.png"], "in natural order");
}

#[test]
fn nested_folders_are_searched_and_their_names_mean_nothing() {
    let root = tempdir().unwrap();
    for (place, value) in [("2023/may/a.png", 1), ("2023/b.png", 2), ("c.png", 3), ("2024/a.png", 4)] {
        png(&root.path().join(place), [4, 4], [value * 20; 3], value);
    }
    let options = OpenOptions { val_fraction: 0.0, ..OpenOptions::default() };
    let source = Source::open_unlabelled(root.path().to_str().unwrap(), &options).unwrap();
    assert!(source.classes().is_empty());
    assert_eq!(ids(&source, Split::Train), ["2023/b.png", "2023/may/a.png", "2024/a.png", "c.png"]);
}

#[test]
fn splits_at_the_top_stay_apart_and_leaks_are_removed() {
    let root = tempdir().unwrap();
    for (place, value) in [
        ("train/x/1.png", 1),
        ("train/2.png", 2),
        ("train/twin.png", 3),
        ("val/1.png", 4),
        ("test/deep/er/1.png", 3),
        ("other/1.png", 5),
    ] {
        png(&root.path().join(place), [4, 4], [value * 20; 3], value);
    }
    let source = unlabelled(root.path());
    assert_eq!(ids(&source, Split::Train), ["train/2.png", "train/x/1.png"]);
    assert_eq!(ids(&source, Split::Val), ["val/1.png"]);
    assert_eq!(ids(&source, Split::Test), ["test/deep/er/1.png"]);
    let train = source.load(Split::Train).unwrap();
    let notes: Vec<String> = source.notes().iter().chain(train.notes()).map(ToString::to_string).collect();
    assert!(notes.iter().any(|note| note.contains("the folder other")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("train/twin.png = test/deep/er/1.png")), "{notes:?}");
}

#[test]
fn labelled_data_of_another_form_keeps_its_splits_and_loses_its_labels() {
    let root = tempdir().unwrap();
    write_idx(root.path(), "train", 30, 0, false);
    write_idx(root.path(), "t10k", 5, 130, false);
    let (labelled, source) = (open(root.path()), unlabelled(root.path()));
    for split in Split::ALL {
        let (with, without) = (labelled.load(split).unwrap(), source.load(split).unwrap());
        assert!(with.is_labelled() && !without.is_labelled());
        assert_eq!(with.images_blake3(), without.images_blake3());
    }
    assert_ne!(labelled.fingerprint(), source.fingerprint());
    assert_eq!(labelled.without_labels().fingerprint(), source.fingerprint());
}

#[test]
fn files_change_the_hash_of_the_images_also_when_they_are_decoded_on_demand() {
    let root = tempdir().unwrap();
    for i in 0..4 {
        png(&root.path().join(format!("{i}.png")), [4, 4], [i * 10; 3], 7);
    }
    let hash = |max_memory_bytes| {
        let mut options = OpenOptions { val_fraction: 0.0, ..OpenOptions::default() };
        options.limits.max_memory_bytes = max_memory_bytes;
        let source = Source::open_unlabelled(root.path().to_str().unwrap(), &options).unwrap();
        source.load(Split::Train).unwrap().images_blake3()
    };
    let before = hash(1 << 20);
    assert_eq!(before, hash(10), "where the images are held does not matter");
    png(&root.path().join("2.png"), [4, 4], [99; 3], 7);
    assert_ne!(before, hash(1 << 20));
}

#[test]
fn what_needs_labels_or_images_says_so() {
    let root = tempdir().unwrap();
    for i in 0..3 {
        png(&root.path().join(format!("{i}.png")), [4, 4], [i * 10; 3], 7);
    }
    refused(root.path(), &["no class folders", "put the images of each class", "without a hard term"]);
    let source = unlabelled(root.path());
    let error = source.check_labelled("a hard weight above 0", "set the hard weight to 0").unwrap_err();
    let parts = ["have no labels", "a hard weight above 0 needs them", "set the hard weight to 0"];
    check_message(&error, root.path(), &parts);
    assert!(unlabelled(root.path()).load(Split::Test).is_err());

    let empty = tempdir().unwrap();
    std::fs::write(empty.path().join("readme.md"), "nothing here").unwrap();
    let options = OpenOptions::default();
    let Err(error) = Source::open_unlabelled(empty.path().to_str().unwrap(), &options) else {
        panic!("an empty folder was opened")
    };
    check_message(&error, empty.path(), &["holds no images", "PNG"]);
    let missing = empty.path().join("missing");
    let error = Source::open_unlabelled(missing.to_str().unwrap(), &options).map(|_| ()).unwrap_err();
    assert!(matches!(error, DataError::NoDataSet { .. }));
}

#[test]
fn beside_test_alone_all_other_folders_are_for_training() {
    let root = tempdir().unwrap();
    for (place, value) in [("2023/a.png", 1), ("Test/b.png", 2), ("c.png", 3)] {
        png(&root.path().join(place), [4, 4], [value * 20; 3], value);
    }
    let options = OpenOptions { val_fraction: 0.0, ..OpenOptions::default() };
    let source = Source::open_unlabelled(root.path().to_str().unwrap(), &options).unwrap();
    assert_eq!(ids(&source, Split::Train), ["2023/a.png", "c.png"]);
    assert_eq!(ids(&source, Split::Test), ["Test/b.png"]);
}
