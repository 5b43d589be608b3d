//! Files about which the system gives another answer than "not found": each is one bad image among others.

#![cfg(unix)]

use std::os::unix::fs::symlink;
use std::path::Path;

use mentor_data::{BadImage, DataError, Note, OpenOptions, Source, Split, inspect};
use tempfile::tempdir;

use crate::files::png;

fn two_classes(root: &Path) {
    for (position, class) in ["a", "b"].into_iter().enumerate() {
        for i in 0..6 {
            png(&root.join(format!("{class}/{i}.png")), [4, 4], [position as u8 * 90 + 1; 3], i * 20);
        }
    }
}

/// Opens with the policy `Error`, which must name `what`, and with `Skip`, which must leave out `bad` files.
#[track_caller]
fn check(path: &Path, what: &str, bad: usize) {
    let path = path.to_str().unwrap();
    let Err(error) = Source::open(path, &OpenOptions::default()) else { panic!("opened") };
    assert!(matches!(error, DataError::BadImage { .. }) && error.to_string().contains(what), "{error}");
    let options = OpenOptions { on_bad_image: BadImage::Skip, ..OpenOptions::default() };
    let source = Source::open(path, &options).unwrap();
    assert_eq!(Split::ALL.iter().map(|&split| source.num_samples(split)).sum::<usize>(), 12);
    let left_out = source.notes().iter().filter(|note| matches!(note, Note::BadImage { .. })).count();
    assert_eq!((left_out, inspect(path, &options).unwrap().corrupt.len()), (bad, bad));
}

#[test]
fn links_to_themselves_and_into_files_are_bad_images_in_folders() {
    let root = tempdir().unwrap();
    two_classes(root.path());
    symlink("self.png", root.path().join("a/self.png")).unwrap();
    check(root.path(), "self.png: cannot be read", 1);
    symlink("0.png/inside.png", root.path().join("a/through.png")).unwrap();
    symlink("x".repeat(300), root.path().join("b/long.png")).unwrap();
    symlink("nowhere", root.path().join("b/dangling.png")).unwrap();
    check(root.path(), ".png: ", 4);
}

#[test]
fn names_too_long_and_paths_through_files_are_bad_images_in_manifests() {
    let root = tempdir().unwrap();
    two_classes(root.path());
    symlink("self.png", root.path().join("self.png")).unwrap();
    let rows: String = ["a", "b"]
        .iter()
        .flat_map(|class| (0..6).map(move |i| format!("{class}/{i}.png,{class}\n")))
        .collect();
    let long = "y".repeat(5000);
    let text = format!("path,label\n{rows}self.png,a\na/0.png/x.png,a\n{long}.png,b\n");
    let manifest = root.path().join("m.csv");
    std::fs::write(&manifest, text).unwrap();
    check(&manifest, "line 14 of the manifest", 3);
}

#[test]
fn a_file_that_vanishes_after_opening_is_a_bad_image() {
    let root = tempdir().unwrap();
    two_classes(root.path());
    let all = OpenOptions { val_fraction: 0.0, test_fraction: 0.0, ..OpenOptions::default() };
    for (on_bad_image, left) in [(BadImage::Skip, Some(11)), (BadImage::Error, None)] {
        two_classes(root.path());
        let options = OpenOptions { on_bad_image, ..all.clone() };
        let source = Source::open(root.path().to_str().unwrap(), &options).unwrap();
        std::fs::remove_file(root.path().join("a/3.png")).unwrap();
        assert_eq!(source.load(Split::Train).ok().map(|train| train.len()), left);
    }
}
