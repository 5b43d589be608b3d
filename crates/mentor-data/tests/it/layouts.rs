//! What the folders of a data set are taken for: classes, splits, or neither.

use std::path::Path;

use mentor_data::{DataError, OpenOptions, Source, Split};
use tempfile::{TempDir, tempdir};

use crate::files::{open, png, refused};

/// Four images in each place, no two alike.
fn folders(places: &[&str]) -> TempDir {
    let root = tempdir().unwrap();
    add(root.path(), places);
    root
}

fn add(root: &Path, places: &[&str]) {
    for (position, place) in places.iter().enumerate() {
        for i in 0..4 {
            png(&root.join(place).join(format!("{i}.png")), [4, 4], [position as u8 * 9 + 1; 3], i * 20);
        }
    }
}

fn notes(source: &Source) -> String {
    source.notes().iter().map(|note| format!("{note}\n")).collect()
}

/// The classes, and the numbers of images of train, val and test.
#[track_caller]
fn is_read_as(root: &Path, classes: &[&str], counts: [usize; 3]) -> Source {
    let options = OpenOptions { val_fraction: 0.0, ..OpenOptions::default() };
    let source = Source::open(root.to_str().unwrap(), &options).unwrap();
    assert_eq!(source.classes(), classes);
    assert_eq!(Split::ALL.map(|split| source.num_samples(split)), counts);
    source
}

#[test]
fn folders_of_splits_are_known_by_their_usual_names() {
    for [train, test] in [
        ["Train", "Test"],
        ["Training", "Testing"],
        ["TRAIN", "TEST"],
        ["training_set", "test_set"],
        ["train_images", "test_images"],
        ["seg_train", "seg_test"],
        ["trainset", "testset"],
        ["train", "Eval"],
        ["tr", "te"],
        ["train2017", "test2017"],
        ["My Train Data", "My Test Data"],
    ] {
        let places =
            [train, test].map(|split| ["cat", "dog"].map(|class| format!("{split}/{class}"))).concat();
        let root = folders(&places.iter().map(String::as_str).collect::<Vec<_>>());
        is_read_as(root.path(), &["cat", "dog"], [8, 0, 8]);
    }
    for val in ["val", "Valid", "VALIDATION", "dev", "val_images"] {
        let places =
            ["train", val].map(|split| ["cat", "dog"].map(|class| format!("{split}/{class}"))).concat();
        let root = folders(&places.iter().map(String::as_str).collect::<Vec<_>>());
        is_read_as(root.path(), &["cat", "dog"], [8, 8, 0]);
    }
}

#[test]
fn a_split_may_repeat_its_name_below() {
    let root = folders(&[
        "seg_train/seg_train/a",
        "seg_train/seg_train/b",
        "seg_test/seg_test/a",
        "seg_test/seg_test/b",
    ]);
    is_read_as(root.path(), &["a", "b"], [8, 0, 8]);
    let root = folders(&["train/images/a", "train/images/b", "test/images/a", "test/images/b"]);
    is_read_as(root.path(), &["a", "b"], [8, 0, 8]);
}

#[test]
fn splits_below_class_folders_are_read() {
    let root = folders(&["cat/train", "cat/Test", "dog/train", "dog/Test"]);
    is_read_as(root.path(), &["cat", "dog"], [8, 0, 8]);
    add(root.path(), &["fox"]);
    let error = refused(root.path(), &["\"cat\" holds folders named for splits", "\"train\"", "\"Test\""]);
    assert!(matches!(error, DataError::SplitsInClass { .. }));
    let root = folders(&["small/train/a", "small/test/a", "large/train/a", "large/test/a"]);
    refused(root.path(), &["holds folders named for splits", "name \"large\" itself"]);
}

#[test]
fn a_class_may_be_named_like_a_split_and_that_is_said() {
    let root = folders(&["car", "plane", "train"]);
    let source = open(root.path());
    assert_eq!(source.classes(), ["car", "plane", "train"]);
    assert!(notes(&source).contains("took the folder train for a class"), "{}", notes(&source));
    let root = folders(&["en", "tr", "train_station", "bus_station", "dev_board"]);
    let source = open(root.path());
    assert_eq!((source.classes().len(), notes(&source).as_str()), (5, ""));
}

#[test]
fn what_may_be_a_split_or_a_class_is_refused_by_name() {
    let root = folders(&["train/a", "train/b", "car/a", "car/b"]);
    let error = refused(root.path(), &["\"train\" may be a split or a class", "beside \"car\"", "rename it"]);
    assert!(matches!(error, DataError::SplitOrClass { .. }));
    let root = folders(&["train/a", "train/b", "val/a", "val/b", "valid/a", "valid/b"]);
    let error = refused(root.path(), &["\"val\", \"valid\" are all named for the val split"]);
    assert!(matches!(error, DataError::SplitTwice { split: Split::Val, .. }));
}

#[test]
fn splits_without_class_folders_are_no_classes() {
    for places in [&["Train", "Test"][..], &["train", "val", "test"], &["train"], &["cat_train", "cat_test"]]
    {
        let root = folders(places);
        let first = format!("{:?}", places[places.len() - 1]);
        let error = refused(root.path(), &["no class folders", "have names of splits", &first]);
        assert!(matches!(error, DataError::Empty { .. }));
    }
    let root = folders(&["train/a", "train/b", "test"]);
    let source = is_read_as(root.path(), &["a", "b"], [8, 0, 0]);
    let said = "left out the folder test: its images lie in no class folders";
    assert!(notes(&source).contains(said), "{}", notes(&source));
}

#[test]
fn what_lies_beside_classes_and_splits_is_left_out_with_its_reason() {
    let root = folders(&["cat", "dog", "."]);
    let said = "left out 4 images outside the class folders (such as 0.png)";
    assert!(notes(&open(root.path())).contains(said));
    let root = folders(&["train/a", "train/b", "test/a", "extra/c"]);
    std::fs::create_dir(root.path().join("val")).unwrap();
    let source = is_read_as(root.path(), &["a", "b"], [8, 0, 4]);
    for said in ["the folder extra: it is none of train, val and test", "the folder val: it holds no images"]
    {
        assert!(notes(&source).contains(said), "{}", notes(&source));
    }
}

#[test]
fn a_folder_around_the_data_is_named() {
    let root = folders(&["a/b/photos/cat", "a/b/photos/dog"]);
    let path = root.path().join("a/b/photos").display().to_string();
    refused(root.path(), &["only the class \"a\"", &path, "\"cat\", \"dog\"", "name that folder"]);
    let root = folders(&["archive/train/cat", "archive/test/cat"]);
    refused(root.path(), &["only the class \"archive\"", "\"test\", \"train\"", "name that folder"]);
    let root = tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("MNIST/raw")).unwrap();
    super::files::write_idx(&root.path().join("MNIST/raw"), "train", 4, 0, false);
    refused(root.path(), &["MNIST/raw holds IDX files"]);
}

#[test]
fn splits_under_names_that_are_not_known_are_told_of() {
    for [train, test] in [
        ["Entrenamiento", "Prueba"],
        ["Trains", "Tests"],
        ["entra\u{ee}nement", "essai"],
        ["Trainingsdaten", "Testdaten"],
        ["\u{8bad}\u{7ec3}", "\u{6d4b}\u{8bd5}"],
    ] {
        let places =
            [train, test].map(|split| ["cat", "dog"].map(|class| format!("{split}/{class}"))).concat();
        let root = folders(&places.iter().map(String::as_str).collect::<Vec<_>>());
        let said = notes(&open(root.path()));
        assert!(said.contains(r#"all hold the folders "cat", "dog"; name them train"#), "{said}");
    }
    // Classes with folders of their own, or with one that says nothing.
    for places in [
        &["cat/young", "cat/old", "dog/puppy", "dog/old"][..],
        &["cat/images", "dog/images"],
        &["cat/1", "cat/2", "dog/1", "dog/2"],
        &["cat/a", "cat/b", "cat", "dog/a", "dog/b"],
        &["cat", "dog"],
    ] {
        let said = notes(&open(folders(places).path()));
        assert_eq!(said, "", "{places:?}");
    }
}

#[test]
fn a_folder_around_splits_is_not_called_one_of_classes() {
    let root = folders(&["archive/train/cat", "archive/train/dog", "archive/test/cat"]);
    let error = refused(root.path(), &["holds the splits \"test\", \"train\": name that folder"]);
    assert!(!error.help()[0].contains("if they are"), "{:?}", error.help());
}

#[test]
fn files_of_other_kinds_in_class_folders_are_named() {
    for places in [&["cat/1.heic", "dog/2.avif"][..], &["train/cat/1.CR2", "train/dog/2.NEF"], &["1.heic"]] {
        let root = tempdir().unwrap();
        for place in places {
            std::fs::create_dir_all(root.path().join(place).parent().unwrap()).unwrap();
            std::fs::write(root.path().join(place), b"\0\0\0\x18ftypheic").unwrap();
        }
        refused(root.path(), &["are not PNG, JPEG", "convert them, or name another folder"]);
        let error = Source::open_unlabelled(root.path().to_str().unwrap(), &OpenOptions::default());
        let help = error.err().unwrap().help();
        assert!(help[0].contains("convert them"), "{help:?}");
    }
    // A phone's photo under another extension.
    let root = folders(&["cat", "dog"]);
    std::fs::write(root.path().join("cat/9.jpg"), b"\0\0\0\x18ftypheic\0\0\0\0mif1").unwrap();
    let Err(error) = Source::open(root.path().to_str().unwrap(), &OpenOptions::default()) else {
        panic!("opened")
    };
    assert!(error.to_string().contains("9.jpg: an HEIC image, which is not read"), "{error}");
}

#[test]
fn idx_files_in_several_folders_are_all_named() {
    let root = tempdir().unwrap();
    for split in ["train", "test"] {
        std::fs::create_dir(root.path().join(split)).unwrap();
        super::files::write_idx(&root.path().join(split), split, 4, 0, false);
    }
    refused(root.path(), &["\"test\", \"train\" hold IDX files", "put the files of all into one"]);
}
