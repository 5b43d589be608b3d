//! CSV manifests.

use std::path::{Path, PathBuf};

use mentor_data::{BadImage, DataError, Note, OpenOptions, Source, Split, inspect};
use tempfile::{TempDir, tempdir};

use crate::files::{check_message, open, png, refused};

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
    let cases: [(&str, &[&str]); 11] = [
        ("file,label\nimages/0.png,a\n", &[":1:", "no column \"path\"", "file, label"]),
        ("path,class\nimages/0.png,a\n", &[":1:", "no column \"label\""]),
        ("images/0.png,a\nimages/1.png,b\n", &[":1:", "is a row of data", "put `path,label`"]),
        ("path,label,Label\nimages/0.png,a,b\n", &[":1:", "two columns are named \"label\""]),
        ("path,label\n\"images/0.png,a\nimages/1.png\",b\n", &[":2:", "a quotation mark is not closed"]),
        ("path,label\nimages/0.png,a\nimages/1.png\n", &[":3:", "1 columns where the first line has 2"]),
        ("path,label\nimages/0.png,\n", &[":2:", "label is empty"]),
        ("path,label,split\nimages/0.png,a,fold 3\n", &[":2:", "\"fold 3\" must be train, val or test"]),
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

/// The notes about a manifest that opens, without those about classes too small to be split.
fn notes(path: &Path) -> Vec<String> {
    let source = open(path);
    let about_splits = |note: &&Note| matches!(note, Note::AbsentClasses { .. });
    source.notes().iter().filter(|note| !about_splits(note)).map(ToString::to_string).collect()
}

#[test]
fn other_separators_and_encodings_are_read_and_said() {
    let rows = |separator: char| {
        let rows = lines(|i| format!("images/{i}.png{separator}{}", ["cat", "dog"][usize::from(i) % 2]));
        format!("Path{separator}LABEL\n{rows}")
    };
    let utf16 = |text: &str, to_bytes: fn(u16) -> [u8; 2]| {
        text.encode_utf16().flat_map(to_bytes).collect::<Vec<u8>>()
    };
    let files: [(&str, Vec<u8>, &str); 8] = [
        ("a.csv", rows(';').into_bytes(), "semicolons"),
        ("a.tsv", rows('\t').into_bytes(), "tabs"),
        ("b.csv", rows('|').into_bytes(), "vertical bars"),
        ("c.csv", format!("sep=;\r\n{}", rows(';').replace('\n', "\r\n")).into_bytes(), "semicolons"),
        ("d.csv", utf16(&format!("\u{feff}{}", rows('\t')), u16::to_le_bytes), "UTF-16 with tabs"),
        ("e.csv", utf16(&format!("\u{feff}{}", rows(',')), u16::to_be_bytes), "UTF-16 with commas"),
        ("f.csv", utf16(&rows(','), u16::to_le_bytes), "UTF-16 with commas"),
        ("g.csv", rows(',').into_bytes(), ""),
    ];
    for (name, bytes, said) in files {
        let (folder, _) = manifest("");
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(open(&path).classes(), ["cat", "dog"], "{name}");
        let notes = notes(&path);
        assert_eq!(
            notes.iter().any(|note| note.contains("read the manifest as")),
            !said.is_empty(),
            "{notes:?}"
        );
        assert!(notes.iter().all(|note| note.contains(said)), "{name}: {notes:?}");
    }
    let (_folder, path) = manifest("");
    std::fs::write(&path, b"path,label\nimages/0.png,caf\xe9\n").unwrap();
    refused(&path, &[":2:", "not UTF-8 text", "e9", "save the file as UTF-8"]);
}

#[test]
fn paths_of_other_systems_are_found() {
    let (folder, path) = manifest("");
    for name in ["a b.png", "caf\u{e9}.png"] {
        png(&folder.path().join("images").join(name), [3, 3], [250; 3], name.len() as u8);
    }
    let odd = ["images\\0.png", "images/a%20b.png", "images/cafe\u{301}.png", "./images/1.png"];
    let rows: String =
        odd.iter().zip(["a", "b", "a", "b"]).map(|(path, label)| format!("{path},{label}\n")).collect();
    std::fs::write(&path, format!("path,label\n{rows}images/2.png,a\nimages/3.png,b\n")).unwrap();
    let source = open(&path);
    assert_eq!(Split::ALL.iter().map(|&split| source.num_samples(split)).sum::<usize>(), 6);
    let notes = notes(&path).join("\n");
    for said in ["1 path of the manifest with / for \\", "percent signs decoded", "another Unicode form"] {
        assert!(notes.contains(said), "{said:?} is missing in: {notes}");
    }
}

#[test]
fn a_row_without_its_file_is_a_bad_image() {
    let rows = lines(|i| format!("images/{i}.png,{}", i % 2));
    let absent = "images/99.png,0\nimages,1\n~/x.png,0\nhttps://example.org/x.png,1\nimages/0.png/x.png,1\n";
    let (folder, path) = manifest(&format!("path,label\n{rows}{absent}"));
    let Err(error) = Source::open(path.to_str().unwrap(), &OpenOptions::default()) else { panic!("opened") };
    let parts = ["no such file", "line 14 of the manifest", "skip or quarantine"];
    check_message(&error, &folder.path().join("images/99.png"), &parts);
    assert!(matches!(error, DataError::BadImage { .. }));

    let options = OpenOptions { on_bad_image: BadImage::Skip, ..OpenOptions::default() };
    let source = Source::open(path.to_str().unwrap(), &options).unwrap();
    assert_eq!(Split::ALL.iter().map(|&split| source.num_samples(split)).sum::<usize>(), 12);
    let found = inspect(path.to_str().unwrap(), &OpenOptions::default()).unwrap();
    let reasons: Vec<&str> = found.corrupt.iter().map(|file| file.reason.as_str()).collect();
    assert_eq!(reasons.len(), 5, "{reasons:?}");
    for part in
        ["no such file", "is a folder", "~ is not the home folder", "fetch the image first", "line 18"]
    {
        assert!(reasons.iter().any(|reason| reason.contains(part)), "{part:?} is missing in {reasons:?}");
    }
}

#[test]
fn doubtful_labels_and_rows_are_warned_of() {
    let label = |i: u8| ["0", "0.0", "nan", "cat", "Cat"][usize::from(i) % 5];
    let rows = lines(|i| format!("images/{i}.png,{},1", label(i)));
    let repeats = "images/3.png,cat,1\nimages/3.png,0,1\n";
    let (_folder, path) = manifest(&format!("path,label,size\n{rows}{repeats}"));
    let notes = notes(&path).join("\n");
    for said in [
        "the classes \"0\", \"0.0\" look alike",
        "the classes \"Cat\", \"cat\" look alike",
        "took the label \"nan\" of 2 lines for a class",
        "2 lines name the file of an earlier line (such as images/3.png, lines 5 and 15), 1 of them with \
         another label",
        "left out the column \"size\"",
    ] {
        assert!(notes.contains(said), "{said:?} is missing in: {notes}");
    }
}

#[test]
fn names_of_splits_are_read_in_any_case() {
    let split = |i: u8| ["Training", "TRAIN", "Dev", "testing"][usize::from(i) % 4];
    let (_folder, path) = manifest(&format!(
        "path,label,Split\n{}",
        lines(|i| format!("images/{i}.png,{},{}", i % 3, split(i)))
    ));
    assert_eq!(Split::ALL.map(|split| open(&path).num_samples(split)), [6, 3, 3]);
}

#[test]
fn a_manifest_whose_files_are_gone_is_not_said_to_hold_damaged_ones() {
    let options = OpenOptions { on_bad_image: BadImage::Skip, ..OpenOptions::default() };
    let (_folder, path) = manifest(&format!("path,label\n{}", lines(|i| format!("gone/{i}.png,{}", i % 2))));
    let Err(error) = Source::open(path.to_str().unwrap(), &options) else { panic!("opened") };
    assert!(error.to_string().contains("leaving out files that cannot be read"), "{error}");
    // Only those of training.
    let rows = lines(|i| match i % 2 {
        0 => format!("images/{i}.png,{},test", i % 4),
        _ => format!("gone/{i}.png,{},train", (i - 1) % 4),
    });
    let (_folder, path) = manifest(&format!("path,label,split\n{rows}"));
    let source = Source::open(path.to_str().unwrap(), &options).unwrap();
    let error = source.load(Split::Train).unwrap_err();
    assert!(matches!(error, DataError::NothingLeft { split: Split::Train, .. }), "{error}");
}
