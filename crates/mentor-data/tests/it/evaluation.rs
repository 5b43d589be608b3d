//! Data for evaluation: whatever classes it shows.

use std::path::Path;

use mentor_data::{OpenOptions, Source, Split, SplitBy};
use tempfile::tempdir;

use crate::files::{idx, npy, png, write_npz};

fn images(root: &Path, places: &[&str]) {
    for (i, place) in places.iter().enumerate() {
        png(&root.join(place), [4, 4], [i as u8 * 20; 3], i as u8);
    }
}

fn for_evaluation(path: &Path) -> Source {
    Source::open_for_evaluation(path.to_str().unwrap(), &OpenOptions::default()).unwrap()
}

#[test]
fn one_class_and_empty_class_folders_are_opened() {
    let root = tempdir().unwrap();
    images(root.path(), &["cat/1.png", "cat/2.png"]);
    std::fs::create_dir(root.path().join("dog")).unwrap();
    assert!(Source::open(root.path().to_str().unwrap(), &OpenOptions::default()).is_err());
    let source = for_evaluation(root.path());
    assert_eq!(source.classes(), ["cat"]);
    assert_eq!(Split::ALL.iter().map(|&split| source.num_samples(split)).sum::<usize>(), 2);
}

#[test]
fn a_test_split_may_show_classes_that_its_training_split_lacks() {
    let root = tempdir().unwrap();
    images(root.path(), &["train/a/1.png", "train/b/2.png", "test/a/3.png", "test/c/4.png"]);
    let source = for_evaluation(root.path());
    assert_eq!(source.classes(), ["a", "b", "c"]);
    let test = source.load(Split::Test).unwrap();
    assert_eq!(test.targets(), [0, 2]);
}

#[test]
fn a_test_split_alone_is_opened_also_for_a_model_of_splits_by_class() {
    let root = tempdir().unwrap();
    images(root.path(), &["test/a/1.png", "test/a/2.png", "test/b/3.png"]);
    let options = OpenOptions { split_by: SplitBy::Class, ..OpenOptions::default() };
    let source = Source::open_for_evaluation(root.path().to_str().unwrap(), &options).unwrap();
    assert_eq!(source.num_samples(Split::Test), 3);
}

#[test]
fn numbers_as_labels_may_leave_gaps() {
    let folder = tempdir().unwrap();
    let images = idx([0, 0, 8, 3], &[3, 1, 1], &[1, 2, 3]);
    std::fs::write(folder.path().join("t10k-images-idx3-ubyte"), images).unwrap();
    let labels = idx([0, 0, 8, 1], &[3], &[9, 4, 9]);
    std::fs::write(folder.path().join("t10k-labels-idx1-ubyte"), labels).unwrap();
    let source = for_evaluation(folder.path());
    assert_eq!(source.classes(), ["4", "9"]);
    assert_eq!(source.load(Split::Test).unwrap().targets(), [1, 0, 1]);
}

#[test]
fn an_npz_file_may_hold_the_evaluated_part_alone() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("test.npz");
    let pixels = npy("|u1", "(3, 2, 2)", &(0..12).map(|value| value * 20).collect::<Vec<u8>>());
    let labels: Vec<u8> = [4_i64, 0, 4].into_iter().flat_map(i64::to_le_bytes).collect();
    write_npz(&path, &[("x_test", pixels), ("y_test", npy("<i8", "(3,)", &labels))]);
    let source = for_evaluation(&path);
    assert_eq!(Split::ALL.map(|split| source.num_samples(split)), [0, 0, 3]);
    assert_eq!(source.load(Split::Test).unwrap().targets(), [1, 0, 1]);
    // Training has nothing to learn from.
    let Err(error) = Source::open(path.to_str().unwrap(), &OpenOptions::default()) else { panic!("opened") };
    assert!(error.to_string().contains("no array \"x\""), "{error}");
}
