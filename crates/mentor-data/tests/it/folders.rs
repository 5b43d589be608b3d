//! Image folders.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use mentor_data::{
    DataError, ImageFormat, Limits, Note, OpenOptions, Preprocessing, ReadObserver, Reading, Source, Split,
    inspect,
};
use tempfile::tempdir;

use crate::files::{open, png, refused};

fn open_with(path: &std::path::Path, options: &OpenOptions) -> Source {
    Source::open(path.to_str().unwrap(), options).unwrap()
}

#[test]
fn folders_with_splits_are_read_in_natural_class_order() {
    let root = tempdir().unwrap();
    for (split, count, base) in [("train", 20_u8, 0), ("valid", 2, 100), ("test", 3, 160)] {
        for (position, class) in ["10", "2", "1"].into_iter().enumerate() {
            for i in 0..count {
                let value = base + i + position as u8;
                let path = root.path().join(format!("{split}/{class}/{i}.png"));
                png(&path, [6, 5], [value; 3], position as u8 * 50 + i);
            }
        }
    }
    std::fs::write(root.path().join("train/2/.hidden.png"), "hidden files do not count").unwrap();
    let source = open(root.path());
    assert_eq!(source.classes(), ["1", "2", "10"]);
    assert_eq!(source.format(), &ImageFormat::new(1, 6, 5));
    assert_eq!(Split::ALL.map(|split| source.num_samples(split)), [60, 6, 9]);
    let test = source.load(Split::Test).unwrap();
    assert_eq!(test.class_counts(), [3, 3, 3]);
    assert_eq!((test.id(0), test.id(8)), ("test/1/0.png", "test/10/2.png"));
    let mut image = [0; 30];
    test.read(8, &mut image).unwrap();
    assert_eq!(image[..3], [2, 162, 162]);
}

#[test]
fn one_root_is_split_by_class_and_nothing_is_lost() {
    let root = tempdir().unwrap();
    for class in ["cat", "dog"] {
        for i in 0..20 {
            let path = root.path().join(class).join(format!("deeper/{i}.png"));
            png(&path, [4, 4], [i, 200, class.len() as u8 + class.as_bytes()[0]], 9);
        }
    }
    let source = open(root.path());
    assert_eq!(source.format().channels, 3);
    let loaded = Split::ALL.map(|split| source.load(split).unwrap());
    assert_eq!(loaded.each_ref().map(|split| split.class_counts()), [[14, 14], [2, 2], [4, 4]]);
    let mut ids: Vec<String> =
        loaded.iter().flat_map(|split| (0..split.len()).map(|i| split.id(i).to_owned())).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 40);
    assert_eq!(source.fingerprint(), open(root.path()).fingerprint());
    png(&root.path().join("cat/deeper/3.png"), [4, 4], [9, 9, 200], 9);
    assert_ne!(source.fingerprint(), open(root.path()).fingerprint());
}

#[test]
fn size_and_channels_are_decided_once_and_can_be_asked_for() {
    let root = tempdir().unwrap();
    for (i, size) in [[8, 8], [8, 8], [40, 20], [8, 8], [8, 8], [8, 8]].into_iter().enumerate() {
        for class in ["a", "b"] {
            png(&root.path().join(format!("{class}/{i}.png")), size, [i as u8 * 9; 3], class.as_bytes()[0]);
        }
    }
    let source = open(root.path());
    assert_eq!(source.format().shape(), [1, 32, 32]);
    assert!(
        source
            .notes()
            .iter()
            .any(|note| matches!(note, Note::Resized { split: Some(Split::Train), num_sizes: 2, .. }))
    );
    let options = OpenOptions { size: Some([5, 7]), channels: Some(3), ..OpenOptions::default() };
    let train = open_with(root.path(), &options).load(Split::Train).unwrap();
    assert_eq!(train.format().shape(), [3, 5, 7]);
    let stored = ImageFormat::new(1, 3, 3);
    assert_eq!(source.load_as(Split::Test, &stored).unwrap().format(), &stored);
}

#[test]
fn colour_files_that_show_gray_are_gray() {
    let root = tempdir().unwrap();
    for class in ["a", "b"] {
        for i in 0..4_u8 {
            let path = root.path().join(format!("{class}/{i}.png"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let gray = image::Rgb([i + class.as_bytes()[0]; 3]);
            image::RgbImage::from_pixel(4, 4, gray).save(path).unwrap();
        }
    }
    assert_eq!(open(root.path()).format().channels, 1);
}

#[test]
fn colour_is_found_wherever_it_is() {
    let root = tempdir().unwrap();
    let write = |class: &str, i: usize, rgb: [u8; 3]| {
        let path = root.path().join(format!("train/{class}/{i:04}.png"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::from_pixel(2, 2, image::Rgb(rgb)).save(path).unwrap();
    };
    // Depth, infrared and colour of each scene, all stored as colour.
    for class in ["a", "b"] {
        for i in 0..513 {
            write(class, i, if i % 3 == 2 { [200, 10, 30] } else { [(i % 250) as u8; 3] });
        }
    }
    let options = OpenOptions { val_fraction: 0.0, ..OpenOptions::default() };
    assert_eq!(open_with(root.path(), &options).format().channels, 3);
    // One image is enough.
    for class in ["a", "b"] {
        (0..513).for_each(|i| write(class, i, [(i % 250) as u8; 3]));
    }
    assert_eq!(open_with(root.path(), &options).format().channels, 1);
    write("b", 400, [1, 2, 3]);
    assert_eq!(open_with(root.path(), &options).format().channels, 3);
}

#[test]
fn an_observer_hears_of_every_file_and_may_end_the_reading() {
    let root = tempdir().unwrap();
    for class in ["a", "b"] {
        for i in 0..10 {
            png(&root.path().join(format!("{class}/{i}.png")), [6, 6], [i * 9, class.as_bytes()[0], 7], i);
        }
    }
    let path = root.path().to_str().unwrap();
    let heard = Arc::new(Mutex::new(BTreeMap::<&str, [u64; 2]>::new()));
    let observe = |end_at: Option<&'static str>| {
        let heard = Arc::clone(&heard);
        let observer = ReadObserver::new(move |reading: Reading| {
            let mut heard = heard.lock().unwrap();
            let counts = heard.entry(reading.what).or_default();
            *counts = [reading.done.max(counts[0]), reading.total];
            match end_at {
                Some(what) if reading.what == what && reading.done > 1 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
        OpenOptions { observer, ..OpenOptions::default() }
    };
    let source = Source::open(path, &observe(None)).unwrap();
    source.load(Split::Train).unwrap();
    let told = heard.lock().unwrap().clone();
    assert_eq!(told["reading files"], [20, 20]);
    assert_eq!(told["decoding images"], [14, 14]);
    assert_eq!(told["comparing images"][1], 4, "the test images, after the validation images");

    assert!(matches!(Source::open(path, &observe(Some("reading files"))), Err(DataError::Interrupted)));
    for what in ["decoding images", "comparing images"] {
        let source = Source::open(path, &observe(Some(what))).unwrap();
        assert!(matches!(source.load(Split::Train), Err(DataError::Interrupted)), "{what}");
    }
    assert!(matches!(inspect(path, &observe(Some("decoding images"))), Err(DataError::Interrupted)));
}

#[test]
fn a_folder_over_the_memory_limit_gives_the_same_images_on_demand() {
    let root = tempdir().unwrap();
    for class in ["a", "b"] {
        for i in 0..10 {
            let path = root.path().join(format!("{class}/{i}.png"));
            png(&path, [6, 6], [i * 9, class.as_bytes()[0], 7], i);
        }
    }
    let limits = Limits { max_memory_bytes: 100, ..Limits::default() };
    let small = OpenOptions { limits, ..OpenOptions::default() };
    let in_memory = open(root.path()).load(Split::Train).unwrap();
    let on_demand = open_with(root.path(), &small).load(Split::Train).unwrap();
    assert!(in_memory.in_memory() && !on_demand.in_memory());
    assert_eq!(Preprocessing::fit(&in_memory), Preprocessing::fit(&on_demand));
    let (mut a, mut b) = (vec![0; 108], vec![0; 108]);
    for i in 0..in_memory.len() {
        in_memory.read(i, &mut a).unwrap();
        on_demand.read(i, &mut b).unwrap();
        assert_eq!((&a, in_memory.id(i)), (&b, on_demand.id(i)));
    }
}

#[test]
fn folders_that_hold_no_classes_are_refused() {
    let root = tempdir().unwrap();
    refused(root.path(), &["no class folders", "put the images of each class into a folder"]);
    png(&root.path().join("loose.png"), [2, 2], [1; 3], 1);
    refused(root.path(), &["no class folders"]);
    std::fs::write(root.path().join("list.csv"), "path,label\n").unwrap();
    refused(root.path(), &["list.csv describes the data"]);
    png(&root.path().join("cat/1.png"), [2, 2], [1; 3], 1);
    refused(root.path(), &["only the class \"cat\""]);
    std::fs::create_dir(root.path().join("dog")).unwrap();
    let error = refused(root.path(), &["dog", "no images"]);
    assert!(matches!(error, DataError::Empty { .. }));
    refused(&root.path().join("nowhere"), &["no such file or folder", "digits"]);
    refused(&root.path().join("loose.png"), &["not a data set"]);
}

#[test]
fn a_class_that_training_lacks_is_refused() {
    let root = tempdir().unwrap();
    for place in ["train/a", "train/b", "test/a", "test/c"] {
        png(
            &root.path().join(place).join("1.png"),
            [2, 2],
            [place.len() as u8; 3],
            *place.as_bytes().last().unwrap(),
        );
    }
    refused(root.path(), &["class \"c\" occurs in test but not in train"]);
}

#[test]
fn inspection_counts_what_is_there_and_what_is_wrong() {
    let root = tempdir().unwrap();
    for (place, value) in [("train/a/1", 1), ("train/a/2", 2), ("train/b/3", 3), ("train/b/4", 1)] {
        png(&root.path().join(format!("{place}.png")), [4, 4], [value; 3], 0);
    }
    png(&root.path().join("val/a/9.png"), [4, 4], [9; 3], 0);
    png(&root.path().join("test/a/5.png"), [4, 4], [2; 3], 0);
    png(&root.path().join("test/b/6.png"), [8, 4], [6; 3], 0);
    std::fs::write(root.path().join("train/a/notes.txt"), "a note").unwrap();
    std::fs::create_dir(root.path().join("docs")).unwrap();
    let whole = std::fs::read(root.path().join("train/a/1.png")).unwrap();
    std::fs::write(root.path().join("train/a/0.png"), &whole[..whole.len() - 20]).unwrap();

    let found = inspect(root.path().to_str().unwrap(), &OpenOptions::default()).unwrap();
    assert!(!found.is_clean());
    assert_eq!((found.num_train, found.num_val, found.num_test), (4, 1, 2));
    assert_eq!(found.classes.iter().map(|class| class.train).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(found.corrupt.iter().map(|file| file.id.as_str()).collect::<Vec<_>>(), ["train/a/0.png"]);
    assert_eq!(
        found.sizes.iter().map(|size| (size.height, size.count)).collect::<Vec<_>>(),
        [(4, 6), (8, 1)]
    );
    let [within] = &found.duplicates.within[..] else { panic!("{:?}", found.duplicates) };
    assert_eq!(within.pairs, [["train/a/1.png", "train/b/4.png"]]);
    assert_eq!(within.num_conflicting, 1);
    let [across] = &found.duplicates.across[..] else { panic!("{:?}", found.duplicates) };
    assert_eq!(across.pairs, [["train/a/2.png", "test/a/5.png"]]);
    assert_eq!(found.notes.len(), 2, "the text file and the folder: {:?}", found.notes);
}
