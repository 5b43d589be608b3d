//! Names of classes that are one text, or look like one; and classes that lose their images.

use std::path::Path;

use mentor_data::{BadImage, DataError, Note, OpenOptions, Source, Split, inspect};
use tempfile::tempdir;

use crate::files::{open, png};

fn images(root: &Path, place: &str, count: u8, value: u8) {
    for i in 0..count {
        png(&root.join(place).join(format!("{i}.png")), [4, 4], [value; 3], i * 20);
    }
}

fn skip() -> OpenOptions {
    OpenOptions { on_bad_image: BadImage::Skip, ..OpenOptions::default() }
}

fn absent(notes: &[Note]) -> Vec<(Split, Vec<String>)> {
    let found = notes.iter().filter_map(|note| match note {
        Note::AbsentClasses { split, classes, .. } => Some((*split, classes.clone())),
        _ => None,
    });
    found.collect()
}

#[test]
fn one_name_in_two_unicode_forms_is_one_class_also_across_splits() {
    let root = tempdir().unwrap();
    images(root.path(), "caf\u{e9}", 4, 10);
    images(root.path(), "cafe\u{301}", 4, 60);
    images(root.path(), "tea", 4, 200);
    let source = open(root.path());
    assert_eq!(source.classes(), ["caf\u{e9}", "tea"]);
    assert!(source.notes().iter().any(|note| note.to_string().contains("two Unicode forms")));

    let root = tempdir().unwrap();
    images(root.path(), "train/caf\u{e9}", 4, 10);
    images(root.path(), "train/tea", 4, 200);
    images(root.path(), "test/cafe\u{301}", 4, 60);
    let source = open(root.path());
    assert_eq!(source.load(Split::Test).unwrap().targets(), [0; 4]);

    let root = tempdir().unwrap();
    images(root.path(), "cafe\u{301}", 4, 10);
    images(root.path(), "tea", 4, 200);
    assert_eq!(
        open(root.path()).classes(),
        ["caf\u{e9}", "tea"],
        "a model and its data agree whatever the form"
    );
}

#[test]
fn names_that_differ_in_case_or_spaces_stay_apart_and_are_named() {
    for pair in [["Cat", "cat"], ["cat", "cat "], ["red fox", "red_fox"], ["1", "01"]] {
        let root = tempdir().unwrap();
        images(root.path(), pair[0], 4, 10);
        images(root.path(), pair[1], 4, 200);
        let source = open(root.path());
        assert_eq!(source.classes().len(), 2);
        let alike = |note: &Note| note.to_string().contains("look alike");
        assert!(source.notes().iter().any(alike), "{pair:?}: {:?}", source.notes());
    }
}

#[test]
fn a_class_whose_images_are_all_damaged_is_named() {
    let root = tempdir().unwrap();
    for (class, value) in [("cat", 10), ("dog", 90), ("fox", 200)] {
        images(root.path(), class, 6, value);
    }
    let options = skip();
    let damage = |class: &str, header: bool| {
        for i in 0..6_u8 {
            let path = root.path().join(format!("{class}/{i}.png"));
            let mut bytes = std::fs::read(&path).unwrap();
            let end = bytes.len() - 12;
            if header {
                bytes.truncate(10)
            } else {
                bytes[43..end].fill(i)
            }
            std::fs::write(path, bytes).unwrap();
        }
    };
    // What the header shows is found at opening, the rest when the split is decoded.
    for header in [true, false] {
        images(root.path(), "dog", 6, 90);
        damage("dog", header);
        let source = Source::open(root.path().to_str().unwrap(), &options).unwrap();
        let train = source.load(Split::Train).unwrap();
        assert_eq!(absent(source.notes()).iter().any(|(split, _)| *split == Split::Train), header);
        let notes = [source.notes(), train.notes()].concat();
        assert!(absent(&notes).contains(&(Split::Train, vec!["dog".to_owned()])), "{notes:?}");
        let found = inspect(root.path().to_str().unwrap(), &options).unwrap();
        assert!(absent(&found.notes).contains(&(Split::Train, vec!["dog".to_owned()])), "{:?}", found.notes);
    }
    damage("fox", true);
    damage("dog", true);
    let Err(error) = Source::open(root.path().to_str().unwrap(), &options) else { panic!("opened") };
    assert!(matches!(&error, DataError::OneClassLeft { class, .. } if class == "cat"), "{error}");
}

#[test]
fn a_class_that_gives_its_last_image_away_as_a_copy_is_named() {
    let root = tempdir().unwrap();
    images(root.path(), "train/a", 4, 10);
    images(root.path(), "train/b", 4, 90);
    images(root.path(), "train/c", 1, 200);
    images(root.path(), "test/c", 1, 200);
    let source = open(root.path());
    assert!(absent(source.notes()).contains(&(Split::Train, vec!["c".to_owned()])), "{:?}", source.notes());
}

#[test]
fn classes_too_small_for_every_split_are_named() {
    let root = tempdir().unwrap();
    images(root.path(), "a", 8, 10);
    images(root.path(), "b", 2, 90);
    images(root.path(), "c", 1, 200);
    let notes = absent(open(root.path()).notes());
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(notes, [(Split::Val, names(&["b", "c"])), (Split::Test, names(&["c"]))]);
}

#[test]
fn a_class_that_only_another_split_has_is_compared_with_those_of_training() {
    for (trained, tested) in [
        ("cat", "Cat"),
        ("cat", "cat "),
        ("red fox", "red_fox"),
        ("t-shirt", "t\u{2010}shirt"),
        ("caf\u{e9}", "CAFE\u{301}"),
        ("1", "01"),
    ] {
        let root = tempdir().unwrap();
        images(root.path(), &format!("train/{trained}"), 4, 10);
        images(root.path(), "train/zebra", 4, 90);
        images(root.path(), &format!("test/{tested}"), 2, 200);
        let Err(error) = Source::open(root.path().to_str().unwrap(), &OpenOptions::default()) else {
            panic!("opened")
        };
        let said = format!("not in train, which has \"{trained}\"");
        assert!(error.to_string().ends_with(&said), "{error}");
        assert_eq!(error.help(), ["give both the same name if they are one class"]);
    }
    let root = tempdir().unwrap();
    images(root.path(), "train/cat", 4, 10);
    images(root.path(), "train/zebra", 4, 90);
    images(root.path(), "test/emu", 2, 200);
    let Err(error) = Source::open(root.path().to_str().unwrap(), &OpenOptions::default()) else {
        panic!("opened")
    };
    assert!(error.to_string().ends_with("not in train") && error.help()[0] == "add it to train", "{error}");
}

#[test]
fn a_class_that_training_would_lose_to_copies_is_named_by_an_inspection() {
    let root = tempdir().unwrap();
    images(root.path(), "train/a", 4, 10);
    images(root.path(), "train/b", 4, 90);
    images(root.path(), "train/c", 1, 200);
    images(root.path(), "test/c", 1, 200);
    let path = root.path().to_str().unwrap();
    let found = inspect(path, &OpenOptions::default()).unwrap();
    assert!(absent(&found.notes).contains(&(Split::Train, vec!["c".to_owned()])), "{:?}", found.notes);
    assert!(!found.recommended_command.contains("--keep-duplicates"), "{}", found.recommended_command);
    // All of two classes of three: one is left, and training would refuse it.
    images(root.path(), "test/b", 4, 90);
    let found = inspect(path, &OpenOptions::default()).unwrap();
    assert!(found.recommended_command.ends_with(" --keep-duplicates"), "{}", found.recommended_command);
    let Err(error) = Source::open(path, &OpenOptions::default()) else { panic!("opened") };
    assert!(
        error.help().iter().any(|way| way.contains("`data.options.keep_duplicates`")),
        "{:?}",
        error.help()
    );
    let kept = OpenOptions { keep_duplicates: true, ..OpenOptions::default() };
    assert!(Source::open(path, &kept).is_ok());
}
