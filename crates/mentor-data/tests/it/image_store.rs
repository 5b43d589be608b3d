//! Images of a store of the caller's own: batches as of a data set, and what a store that breaks its promise
//! gets.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

use mentor_data::{
    Augment, DataError, Dataset, HostBatch, ImageFormat, ImageStore, Loader, LoaderOptions, OpenOptions,
    Order, Preprocessing, ReadObserver, Source, Split,
};

/// Hands on the images of a data set, one at a time, as a database would.
#[derive(Debug)]
struct Rows {
    images: Dataset,
    /// Gives the target of each image in the place of its own.
    targets: fn(u32, usize) -> Option<u32>,
    broken: Option<usize>,
}

impl ImageStore for Rows {
    fn len(&self) -> usize {
        self.images.len()
    }

    fn format(&self) -> &ImageFormat {
        self.images.format()
    }

    fn classes(&self) -> &[String] {
        self.images.classes()
    }

    fn target(&self, index: usize) -> Option<u32> {
        (self.targets)(self.images.targets()[index], index)
    }

    fn id(&self, index: usize) -> Cow<'_, str> {
        self.images.id(index).into()
    }

    fn read(&self, index: usize, out: &mut [u8]) -> Result<(), DataError> {
        if self.broken == Some(index) {
            return Err(DataError::store(self.id(index), "the row is gone"));
        }
        self.images.read(index, out)
    }
}

fn digits() -> Dataset {
    Source::open("digits", &OpenOptions::default()).unwrap().load(Split::Val).unwrap()
}

fn rows() -> Rows {
    Rows { images: digits(), targets: |target, _| Some(target), broken: None }
}

fn of_store(rows: Rows) -> Result<Dataset, DataError> {
    Dataset::from_store(rows, &ReadObserver::default())
}

fn epoch(images: impl ImageStore + 'static, options: &LoaderOptions) -> Vec<HostBatch> {
    let preprocessing = Preprocessing::fit(&digits());
    Loader::new(images, preprocessing, options.clone()).epoch(3, 0).collect::<Result<_, _>>().unwrap()
}

#[test]
fn batches_are_those_of_the_data_set_bit_for_bit() {
    let balanced = Order::ClassBalanced { classes_per_batch: 4, samples_per_class: 3 };
    for order in [Order::Sequential, Order::Shuffled, balanced] {
        let augment = "shift:1".parse::<Augment>().unwrap();
        let options = LoaderOptions { batch_size: 16, order, augment, workers: 2, ..Default::default() };
        let expected = epoch(Arc::new(digits()), &options);
        assert_eq!(epoch(rows(), &options), expected);
        assert_eq!(epoch(Arc::new(of_store(rows()).unwrap()), &options), expected);
        let erased: Arc<dyn ImageStore> = Arc::new(rows());
        assert_eq!(epoch(erased, &options), expected);
    }
}

#[test]
fn a_data_set_of_a_store_is_that_of_its_images() {
    let (stored, own) = (of_store(rows()).unwrap(), digits());
    assert_eq!(Preprocessing::fit(&stored), Preprocessing::fit(&own));
    assert_eq!(stored.images_blake3(), own.images_blake3());
    assert_eq!((stored.targets(), stored.id(5)), (own.targets(), own.id(5)));
    assert!(own.in_memory() && !stored.in_memory());
    let subset = stored.subset(&[7, 2]);
    let mut images = [[0; 64]; 2];
    subset.read(1, &mut images[0]).unwrap();
    own.read(2, &mut images[1]).unwrap();
    assert_eq!(images[0], images[1]);
    let unlabelled = of_store(Rows { targets: |_, _| None, ..rows() }).unwrap();
    assert!(!unlabelled.is_labelled() && unlabelled.len() == own.len());
}

#[test]
fn a_store_that_breaks_its_promise_is_refused_with_the_reason() {
    type Labels = fn(u32, usize) -> Option<u32>;
    let cases: [(Labels, &str); 2] = [
        (|target, index| (index > 0).then_some(target), "of 145 images have a target"),
        (|_, index| Some(if index == 4 { 10 } else { 0 }), "target 10"),
    ];
    for (targets, reason) in cases {
        let error = of_store(Rows { targets, ..rows() }).unwrap_err();
        assert!(
            matches!(error, DataError::Inconsistent { .. }) && error.to_string().contains(reason),
            "{error}"
        );
        let loader =
            Loader::new(Rows { targets, ..rows() }, Preprocessing::fit(&digits()), LoaderOptions::default());
        assert!(loader.epoch(0, 0).any(|batch| matches!(batch, Err(DataError::Inconsistent { .. }))));
    }
}

#[test]
fn an_error_of_a_store_names_the_image() {
    let id = digits().id(9).to_owned();
    let expected = format!("{id}: the row is gone");
    let error = of_store(Rows { broken: Some(9), ..rows() }).unwrap_err();
    assert_eq!(error.to_string(), expected);
    let options = LoaderOptions { order: Order::Sequential, ..LoaderOptions::default() };
    let loader = Loader::new(Rows { broken: Some(9), ..rows() }, Preprocessing::fit(&digits()), options);
    let outcomes: Vec<_> = loader.epoch(0, 0).collect();
    assert_eq!(outcomes[0].as_ref().unwrap_err().to_string(), expected);
    assert!(outcomes[1].is_ok(), "the epoch goes on");
}

#[test]
fn an_observer_ends_the_reading_of_a_store() {
    let observer = ReadObserver::new(|_| ControlFlow::Break(()));
    assert!(matches!(Dataset::from_store(rows(), &observer), Err(DataError::Interrupted)));
}
