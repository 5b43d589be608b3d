//! What retrieval and ranking losses need of data: splits without a class in common, batches of P classes
//! with K samples, triplets from a file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mentor_data::{
    Augment, ClassBalance, DataError, Dataset, HostBatch, ImageFormat, Loader, LoaderOptions, Note,
    OpenOptions, Order, Preprocessing, Source, Split, SplitBy, read_triplets,
};
use tempfile::{TempDir, tempdir};

use crate::files::{check_message, png, refused_with};

fn by_class() -> OpenOptions {
    OpenOptions { split_by: SplitBy::Class, ..OpenOptions::default() }
}

fn classes_of(source: &Source, split: Split) -> BTreeSet<u32> {
    if !source.has(split) {
        return BTreeSet::new();
    }
    source.load(split).unwrap().targets().iter().copied().collect()
}

fn assert_disjoint(source: &Source) -> [usize; 3] {
    let [train, val, test] = Split::ALL.map(|split| classes_of(source, split));
    assert!(train.is_disjoint(&val) && train.is_disjoint(&test) && val.is_disjoint(&test));
    [train.len(), val.len(), test.len()]
}

/// `train/` and `test/` with these classes, three images of each.
fn folders(train: &[&str], test: &[&str]) -> TempDir {
    let root = tempdir().unwrap();
    let mut mark = 0;
    for (split, classes) in [("train", train), ("test", test)] {
        for class in classes {
            for i in 0..3 {
                mark += 1;
                png(&root.path().join(format!("{split}/{class}/{i}.png")), [3, 3], [i * 50; 3], mark);
            }
        }
    }
    root
}

#[test]
fn whole_classes_go_to_each_split() {
    let source = Source::open("digits", &by_class()).unwrap();
    assert_eq!(assert_disjoint(&source), [6, 2, 2]);
    assert_eq!(source.classes().len(), 10, "the names of all classes stay");
    assert_eq!(Split::ALL.map(|split| source.num_samples(split)).iter().sum::<usize>(), 1797);
    assert!(source.notes().is_empty());
    let halves = OpenOptions { test_fraction: 0.5, val_fraction: 0.0, ..by_class() };
    assert_eq!(assert_disjoint(&Source::open("digits", &halves).unwrap()), [5, 0, 5]);
    let other = OpenOptions { split_seed: 8, ..halves.clone() };
    let test = |options| classes_of(&Source::open("digits", options).unwrap(), Split::Test);
    assert_ne!(test(&halves), test(&other));
}

#[test]
fn splits_with_common_classes_are_put_together_and_that_is_said() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let root = folders(&names, &names);
    let source = Source::open(root.path().to_str().unwrap(), &by_class()).unwrap();
    assert_eq!(assert_disjoint(&source), [2, 2, 2]);
    assert_eq!(Split::ALL.map(|split| source.num_samples(split)), [12, 12, 12]);
    let [note @ Note::DividedByClass { num_classes: [2, 2, 2] }] = source.notes() else {
        panic!("{:?}", source.notes())
    };
    assert!(note.to_string().ends_with("2 for training, 2 for validation, 2 for testing"), "{note}");
}

#[test]
fn splits_without_a_common_class_are_kept() {
    let root = folders(&["a", "b", "c", "d"], &["x", "y"]);
    let path = root.path();
    let source = Source::open(path.to_str().unwrap(), &by_class()).unwrap();
    assert_eq!(assert_disjoint(&source), [2, 2, 2]);
    assert_eq!(classes_of(&source, Split::Test), BTreeSet::from([4, 5]));
    assert!(source.notes().is_empty());
    let no_val = OpenOptions { val_fraction: 0.0, ..by_class() };
    assert_eq!(assert_disjoint(&Source::open(path.to_str().unwrap(), &no_val).unwrap()), [4, 0, 2]);
    // By samples, a class that only the test split has is still an error.
    let error = refused_with(path, &OpenOptions::default(), &["x", "test"]);
    assert!(matches!(error, DataError::UnknownClass { .. }), "{error}");
}

#[test]
fn too_few_classes_to_split_are_refused() {
    let root = folders(&["a", "b", "c"], &["a"]);
    let error = refused_with(root.path(), &by_class(), &["3 classes", "train, val and test"]);
    assert!(matches!(error, DataError::TooFewClasses { num_classes: 3, .. }), "{error}");
    assert!("classes".parse::<SplitBy>().is_err());
    assert_eq!("class".parse::<SplitBy>().unwrap().to_string(), "class");
}

/// `counts[c]` one-pixel samples of class c, classes one after the other.
fn dataset(counts: &[usize]) -> Arc<Dataset> {
    let targets: Vec<u32> =
        counts.iter().enumerate().flat_map(|(class, &count)| vec![class as u32; count]).collect();
    let names = |count: usize| (0..count).map(|i| i.to_string()).collect();
    let pixels = (0..targets.len()).map(|i| i as u8).collect();
    let ids = names(targets.len());
    Arc::new(
        Dataset::from_parts(names(counts.len()), ImageFormat::new(1, 1, 1), pixels, targets, ids).unwrap(),
    )
}

fn loader(dataset: &Arc<Dataset>, classes_per_batch: usize, samples_per_class: usize) -> Loader {
    let order = Order::ClassBalanced { classes_per_batch, samples_per_class };
    let batch_size = classes_per_batch * samples_per_class;
    let options = LoaderOptions { batch_size, order, seed: 3, ..LoaderOptions::default() };
    Loader::new(Arc::clone(dataset), Preprocessing::fit(dataset), options)
}

fn batches(loader: &Loader, epoch: u64, first: usize) -> Vec<HostBatch> {
    loader.epoch(epoch, first).collect::<Result<_, _>>().unwrap()
}

#[test]
fn the_loader_gives_p_classes_with_k_samples_and_resumes() {
    let dataset = dataset(&[12, 9, 30, 2, 1]);
    let loader = loader(&dataset, 3, 4);
    let whole = batches(&loader, 6, 0);
    assert_eq!(whole.len(), loader.num_batches());
    let mut seen = BTreeSet::new();
    for batch in &whole {
        let classes: BTreeSet<u32> = batch.targets.iter().copied().collect();
        assert_eq!((classes.len(), batch.shape[0]), (3, batch.samples.len()));
        for &class in &classes {
            let count = batch.targets.iter().filter(|&&target| target == class).count();
            assert_eq!(count, [4, 4, 4, 2, 1][class as usize]);
        }
        seen.extend(batch.samples.iter().copied());
    }
    assert_eq!(seen.len(), dataset.len(), "every sample comes");
    assert_eq!(whole.iter().flat_map(|batch| batch.samples.clone()).collect::<Vec<_>>(), loader.order(6));
    for first in [1, 4, whole.len(), 99] {
        assert_eq!(batches(&loader, 6, first)[..], whole[first.min(whole.len())..]);
    }
    assert_ne!(batches(&loader, 7, 0), whole);
}

#[test]
fn classes_that_cannot_fill_their_part_are_named_or_refused() {
    let dataset = dataset(&[5, 1, 3, 0, 1]);
    let balance = ClassBalance::of(&dataset, 2, 4).unwrap();
    assert_eq!((balance.lone_classes, balance.short_classes), (vec![1, 4], vec![2]));
    let message = |p, k| ClassBalance::of(&dataset, p, k).unwrap_err().to_string();
    assert_eq!(
        message(2, 6),
        "samples_per_class = 6: no class has so many samples, the largest, \"0\", has 5"
    );
    assert_eq!(message(5, 2), "classes_per_batch = 5: only 4 classes have samples for training");
    let help = |counts: &[usize], p, k| ClassBalance::of(&self::dataset(counts), p, k).unwrap_err().help();
    assert_eq!(help(&[5, 1], 2, 6)[0], "choose at most 5");
    // Two is the least: only more images for training help.
    let lower =
        "lower `data.options.val_fraction` and `data.options.test_fraction`, which take images from training";
    assert_eq!(help(&[1, 1], 2, 4), [lower, "add images"]);
    assert_eq!(help(&[5], 2, 2), ["add classes"]);
    assert_eq!(message(1, 2), "classes_per_batch = 1: must be at least 2");
    assert_eq!(message(2, 0), "samples_per_class = 0: must be at least 2");
}

#[test]
#[should_panic(expected = "batch_size 5 must be at least 2 classes x 3 samples")]
fn a_batch_size_that_is_too_small_is_a_bug() {
    let dataset = dataset(&[5, 5]);
    let order = Order::ClassBalanced { classes_per_batch: 2, samples_per_class: 3 };
    let options = LoaderOptions { batch_size: 5, order, ..LoaderOptions::default() };
    let _ = Loader::new(Arc::clone(&dataset), Preprocessing::fit(&dataset), options);
}

fn write(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("triplets.csv");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn triplets_are_read_by_the_names_of_samples() {
    let (folder, dataset) = (tempdir().unwrap(), dataset(&[2, 2]));
    let text = "\u{feff}negative, anchor ,positive,comment\n3,0,1,x\n./2, 1,0,\n3,0,1,again\n";
    let found = read_triplets(&write(folder.path(), text), &dataset).unwrap();
    assert_eq!(found, [[0, 1, 3], [1, 0, 2], [0, 1, 3]]);
}

#[test]
fn triplets_name_samples_as_their_manifest_does() {
    let folder = tempdir().unwrap();
    let mut rows = "path,label,split\n".to_owned();
    for i in 0..4 {
        png(&folder.path().join(format!("img/{i}.png")), [3, 3], [i * 50; 3], i);
        rows += &format!("./img/{i}.png,{},train\n", i % 2);
    }
    let manifest = folder.path().join("data.csv");
    std::fs::write(&manifest, rows).unwrap();
    let options = OpenOptions { val_fraction: 0.0, ..OpenOptions::default() };
    let train = Source::open(manifest.to_str().unwrap(), &options).unwrap().load(Split::Train).unwrap();
    let text = "anchor,positive,negative\n./img/0.png,./img/2.png,./img/1.png\n";
    assert_eq!(read_triplets(&write(folder.path(), text), &train).unwrap(), [[0, 2, 1]]);
}

#[test]
fn bad_triplets_are_refused_with_their_line() {
    let (folder, dataset) = (tempdir().unwrap(), dataset(&[2, 2]));
    let cases: [(&str, &[&str]); 9] = [
        ("anchor,positive\n0,1\n", &[":1:", "negative", "`anchor,positive,negative`"]),
        ("anchor,positive,negative\n", &["holds no triplets"]),
        ("anchor,positive,negative\n0,1,2\n0,1\n", &[":3:", "2 columns where the first line has 3"]),
        ("anchor,positive,negative\n0,,2\n", &[":2:", "the positive is empty"]),
        ("anchor,positive,negative\n0,1,2\n\n0,1,9\n", &[":4:", "the negative \"9\"", "such as \"0\""]),
        ("anchor,positive,negative\n0,0,2\n", &[":2:", "its own positive"]),
        ("anchor,positive,negative\n0,1,0\n", &[":2:", "its own negative"]),
        ("anchor,positive,negative\n0,1,1\n", &[":2:", "the positive is also the negative"]),
        ("", &[":1:", "anchor"]),
    ];
    for (text, parts) in cases {
        let path = write(folder.path(), text);
        check_message(&read_triplets(&path, &dataset).unwrap_err(), &path, parts);
    }
    let missing = folder.path().join("none.csv");
    let error = read_triplets(&missing, &dataset).unwrap_err();
    check_message(&error, &missing, &["no such file or folder; check the path"]);
    assert!(!error.to_string().contains("digits"), "a file of triplets is no data set: {error}");
}

#[test]
fn given_triplets_stay_together_and_come_once_an_epoch() {
    let dataset = dataset(&[6, 6]);
    let triplets: Arc<[[u32; 3]]> = (0..5).map(|index| [index, index + 1, 11 - index]).collect();
    let options =
        LoaderOptions { batch_size: 7, order: Order::Triplets(triplets.clone()), ..LoaderOptions::default() };
    let loader = Loader::new(dataset.clone(), Preprocessing::fit(&dataset), options);
    let sizes: Vec<usize> = loader.epoch(3, 0).map(|batch| batch.unwrap().samples.len()).collect();
    assert_eq!(sizes, [6, 6, 3]);
    let order = loader.order(3);
    let mut found: Vec<[u32; 3]> =
        order.chunks_exact(3).map(|triplet| [triplet[0], triplet[1], triplet[2]]).collect();
    found.sort_unstable();
    assert_eq!(found, *triplets);
    assert_ne!(loader.order(3), loader.order(4));
}

#[test]
fn a_sample_that_comes_again_in_an_epoch_is_changed_anew() {
    let format = ImageFormat::new(1, 8, 8);
    let pixels = (0..22 * 64).map(|i| (i * 37 % 251) as u8).collect();
    let targets = (0..22).map(|sample| u32::from(sample >= 20)).collect();
    let ids = (0..22).map(|sample| sample.to_string()).collect();
    let classes = vec!["many".to_owned(), "two".to_owned()];
    let dataset = Arc::new(Dataset::from_parts(classes, format, pixels, targets, ids).unwrap());
    let order = Order::ClassBalanced { classes_per_batch: 2, samples_per_class: 2 };
    let options =
        LoaderOptions { batch_size: 4, order, augment: Augment::Standard, ..LoaderOptions::default() };
    let preprocessing = Preprocessing::fit(&dataset);
    let batches: Vec<HostBatch> =
        Loader::new(dataset, preprocessing, options).epoch(0, 0).map(Result::unwrap).collect();
    let shown: Vec<Vec<u32>> = batches
        .iter()
        .flat_map(|batch| batch.samples.iter().zip(batch.pixels.chunks(64)))
        .filter(|(sample, _)| **sample == 21)
        .map(|(_, pixels)| pixels.iter().map(|value| value.to_bits()).collect())
        .collect();
    let distinct: BTreeSet<&Vec<u32>> = shown.iter().collect();
    assert!(shown.len() == 10 && distinct.len() > 5, "{} of {}", distinct.len(), shown.len());
}
