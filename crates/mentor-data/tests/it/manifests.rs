//! CSV manifests.

use std::path::PathBuf;

use mentor_data::{DataError, OpenOptions, Source, Split};
use tempfile::{TempDir, tempdir};

use super::files::{open, png, refused};

/// Twelve images in `images/`, and a manifest.
fn manifest(text: &str) -> (TempDir, PathBuf) {
    let folder = tempdir().unwrap();
    for i in 0..12 {
        png(&folder.path().join(format!("images/{i}.png")), [3, 3], [i * 20; 3], i);
    }
    let path = folder.path().join("data.csv");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn lines(line: impl Fn(u8) -> String) -> String {
    (0..12).map(|i| line(i) + "\n").collect()
}

#[test]
fn paths_are_relative_to_the_manifest_and_splits_are_taken() {
    let split = |i: u8| ["train", "train", "validation", "test"][usize::from(i) % 4];
    let rows = lines(|i| format!("class {}, images/{i}.png ,{},ignored", i % 3 * 5, split(i)));
    let (_folder, path) = manifest(&format!("\u{feff}label,path,split,comment\n{rows}"));
    let source = open(&path);
    assert_eq!(source.classes(), ["class 0", "class 5", "class 10"]);
    assert_eq!(Split::ALL.map(|split| source.num_samples(split)), [6, 3, 3]);
    let test = source.load(Split::Test).unwrap();
    assert_eq!((test.id(1), test.targets()), ("images/7.png", &[0, 1, 2][..]));
}

#[test]
fn without_a_split_column_every_class_is_split() {
    let (_folder, path) =
        manifest(&format!("path,label\n{}", lines(|i| format!("images/{i}.png,{}", i % 2))));
    let source = open(&path);
    assert_eq!(Split::ALL.map(|split| source.num_samples(split)), [8, 2, 2]);
    let options = OpenOptions { test_fraction: 0.5, val_fraction: 0.0, ..OpenOptions::default() };
    let source = Source::open(path.to_str().unwrap(), &options).unwrap();
    assert_eq!(Split::ALL.map(|split| source.num_samples(split)), [6, 0, 6]);
    assert!(!source.has(Split::Val));
    assert!(matches!(source.load(Split::Val).unwrap_err(), DataError::NoSplit { .. }));
}

#[test]
fn every_mistake_is_named_with_its_line() {
    let cases: [(&str, &[&str]); 9] = [
        ("file,label\nimages/0.png,a\n", &[":1:", "no column \"path\"", "file, label"]),
        ("path,class\nimages/0.png,a\n", &[":1:", "no column \"label\""]),
        ("path,label\nimages/0.png,a\nimages/99.png,b\n", &[":3:", "no such file", "99.png"]),
        ("path,label\nimages/0.png,a\nimages/1.png\n", &[":3:", "1 columns where the first line has 2"]),
        ("path,label\nimages/0.png,\n", &[":2:", "label is empty"]),
        ("path,label,split\nimages/0.png,a,dev\n", &[":2:", "\"dev\" must be train, val or test"]),
        ("path,label\n", &["no lines with images"]),
        ("", &["no column \"path\""]),
        ("path,label\nimages/0.png,a\nimages/1.png,a\n", &["only the class \"a\""]),
    ];
    for (text, parts) in cases {
        let (_folder, path) = manifest(text);
        refused(&path, parts);
    }
    let (_folder, path) =
        manifest("path,label,split\nimages/0.png,a,train\nimages/1.png,b,train\nimages/2.png,c,test\n");
    refused(&path, &["class \"c\" occurs in test"]);
}
