//! What is taken for an image, what is left out, and what is said about it.

use std::path::Path;

use mentor_data::{LeftOut, Note, OpenOptions, Source, Split, find_images};
use tempfile::tempdir;

use crate::files::{open, png};

fn two_classes(root: &Path) {
    for (position, class) in ["cat", "dog"].into_iter().enumerate() {
        for i in 0..6 {
            png(&root.join(format!("{class}/{i}.png")), [4, 4], [position as u8 * 90 + 1; 3], i * 20);
        }
    }
}

fn count(source: &Source) -> usize {
    Split::ALL.iter().map(|&split| source.num_samples(split)).sum()
}

fn left_out(notes: &[Note], wanted: LeftOut) -> usize {
    let counts = notes.iter().map(|note| match note {
        Note::LeftOut { reason, count, .. } if *reason == wanted => *count,
        _ => 0,
    });
    counts.sum()
}

#[test]
fn files_and_folders_of_systems_are_left_out_in_one_line() {
    let root = tempdir().unwrap();
    two_classes(root.path());
    let made = [
        "cat/@eaDir/0.png/SYNOPHOTO_THUMB.png",
        "cat/.thumbnails/0.png",
        "__MACOSX/cat/._0.png",
        "cat/._0.png",
        "dog/.ipynb_checkpoints/0.png",
        "$RECYCLE.BIN/0.png",
        "#recycle/0.png",
        "lost+found/0.png",
        "System Volume Information/0.png",
        ".Trash-1000/files/0.png",
        ".git/0.png",
        "@__thumb/0.png",
        "_thumbs/0.png",
        ".thumbnails/0.png",
        "cat/__Thumbnails/0.png",
    ];
    made.iter().for_each(|place| png(&root.path().join(place).with_extension("png"), [2, 2], [9; 3], 7));
    for file in ["Thumbs.db", ".DS_Store"] {
        std::fs::write(root.path().join("dog").join(file), "x").unwrap();
    }
    let source = open(root.path());
    assert_eq!((source.classes().len(), count(&source)), (2, 12));
    assert_eq!(source.format().shape(), [1, 4, 4], "thumbnails do not resize the others");
    let lines: Vec<String> = source.notes().iter().map(ToString::to_string).collect();
    assert_eq!(lines.iter().filter(|line| line.contains("made by a system")).count(), 1, "{lines:?}");
    let unlabelled = Source::open_unlabelled(root.path().to_str().unwrap(), &OpenOptions::default()).unwrap();
    assert_eq!(count(&unlabelled), 12);
    assert_eq!(find_images(root.path()).unwrap().files.len(), 12);
}

#[test]
fn the_content_decides_what_is_an_image() {
    let root = tempdir().unwrap();
    two_classes(root.path());
    let others = ["a.jfif", "b.jpe", "c.jpg_large", "d.JPG", "e", "f.image", "g.jpg~"];
    for (i, name) in others.into_iter().enumerate() {
        let source = root.path().join("x.png");
        png(&source, [4, 4], [150; 3], i as u8 * 30);
        std::fs::rename(source, root.path().join("cat").join(name)).unwrap();
    }
    for (name, bytes) in
        [("notes.txt", &b"BMW and P5"[..]), ("README", b"text"), ("raw.cr2", b"II*\0raw"), ("empty", b"")]
    {
        std::fs::write(root.path().join("dog").join(name), bytes).unwrap();
    }
    let source = open(root.path());
    assert_eq!(count(&source), 12 + others.len());
    assert_eq!(left_out(source.notes(), LeftOut::NoImage), 4, "{:?}", source.notes());
    let found = find_images(root.path()).unwrap();
    assert_eq!((found.files.len(), left_out(&found.notes, LeftOut::NoImage)), (12 + others.len(), 4));
}

#[test]
fn a_class_of_files_in_unknown_formats_says_which_are_read() {
    let root = tempdir().unwrap();
    two_classes(root.path());
    std::fs::create_dir(root.path().join("fox")).unwrap();
    std::fs::write(root.path().join("fox/1.heic"), b"\0\0\0\x18ftypheic").unwrap();
    super::files::refused(root.path(), &["fox", "its files are not PNG, JPEG", "convert them"]);
}

#[test]
#[cfg(unix)]
fn a_link_that_leads_back_is_left_out_and_others_are_followed() {
    use std::os::unix::fs::symlink;
    let root = tempdir().unwrap();
    two_classes(root.path());
    symlink("..", root.path().join("cat/up")).unwrap();
    symlink(".", root.path().join("cat/self")).unwrap();
    symlink(root.path().parent().unwrap(), root.path().join("dog/out")).unwrap();
    let elsewhere = tempdir().unwrap();
    png(&elsewhere.path().join("more.png"), [4, 4], [200; 3], 3);
    symlink(elsewhere.path(), root.path().join("cat/more")).unwrap();
    symlink(root.path().join("cat"), elsewhere.path().join("back")).unwrap();
    let source = open(root.path());
    assert_eq!(count(&source), 13);
    assert_eq!(left_out(source.notes(), LeftOut::Circle), 4, "{:?}", source.notes());
    assert_eq!(find_images(root.path()).unwrap().files.len(), 13);
}

#[test]
fn names_in_notes_and_errors_are_escaped() {
    let root = tempdir().unwrap();
    two_classes(root.path());
    std::fs::write(root.path().join("cat/a\u{202e}txt\u{1b}[2J"), "text").unwrap();
    let notes: String = open(root.path()).notes().iter().map(ToString::to_string).collect();
    assert!(notes.contains(r"a\u{202e}txt\u{1b}[2J"), "{notes}");
    let bad = root.path().join("cat/b\u{1b}[2J.png");
    std::fs::write(&bad, "text").unwrap();
    let Err(error) = Source::open(root.path().to_str().unwrap(), &OpenOptions::default()) else {
        panic!("opened")
    };
    assert!(
        error.to_string().contains(r"b\u{1b}[2J.png: ") && !error.to_string().contains('\u{1b}'),
        "{error}"
    );
}

#[test]
fn thousands_of_files_are_counted_with_commas() {
    let note = Note::LeftOut { reason: LeftOut::NoImage, count: 38_404, example: "a.txt".to_owned() };
    assert!(note.to_string().starts_with("left out 38,404 files that hold no image"), "{note}");
}
