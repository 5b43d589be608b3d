//! Batches: the same for any number of workers, and a resumed epoch is the tail of a whole one.

use std::sync::Arc;

use mentor_data::{
    Augment, DataError, Dataset, HostBatch, ImageFormat, Limits, Loader, LoaderOptions, OpenOptions, Order,
    Preprocessing, RandAugment, Source, Split,
};
use proptest::prelude::*;
use tempfile::tempdir;

use crate::files::png;

fn dataset(num_samples: usize) -> Arc<Dataset> {
    let format = ImageFormat::new(3, 3, 2);
    let pixels = (0..num_samples * 18).map(|i| (i * 31 % 256) as u8).collect();
    let targets = (0..num_samples as u32).map(|i| i % 4).collect();
    let names = |count: usize| (0..count).map(|i| i.to_string()).collect();
    Arc::new(Dataset::from_parts(names(4), format, pixels, targets, names(num_samples)).unwrap())
}

fn batches(loader: &Loader, epoch: u64, first_batch: usize) -> Vec<HostBatch> {
    loader.epoch(epoch, first_batch).collect::<Result<_, _>>().unwrap()
}

/// The batches of an epoch made one after the other from the public parts, without a loader.
fn by_hand(
    dataset: &Dataset,
    preprocessing: &Preprocessing,
    order: &[u32],
    options: &LoaderOptions,
) -> Vec<HostBatch> {
    let format = dataset.format();
    let make = |samples: &[u32]| {
        let mut pixels = vec![0.0; samples.len() * format.num_values()];
        for (&sample, out) in samples.iter().zip(pixels.chunks_exact_mut(format.num_values())) {
            let mut image = vec![0; format.num_values()];
            dataset.read(sample as usize, &mut image).unwrap();
            let mut augmented = image.clone();
            options.augment.apply(format, &image, &mut augmented, options.seed, 7, sample);
            preprocessing.apply(&augmented, out);
        }
        HostBatch {
            pixels,
            shape: [samples.len(), format.channels, format.height, format.width],
            targets: samples.iter().map(|&sample| dataset.targets()[sample as usize]).collect(),
            samples: samples.to_vec(),
            draw: 7,
        }
    };
    let num_batches = order.len().div_ceil(options.batch_size);
    if num_batches > 8 || options.order == Order::Sequential {
        return order.chunks(options.batch_size).map(make).collect();
    }
    let end = |batch: usize| batch * order.len() / num_batches;
    (0..num_batches).map(|batch| make(&order[end(batch)..end(batch + 1)])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_loader_gives_the_batches_made_by_hand(
        num_samples in 1_usize..40,
        batch_size in 1_usize..12,
        workers in 0_usize..5,
        prefetch in 0_usize..6,
        shuffled in any::<bool>(),
        augment in prop::sample::select(vec![
            Augment::None,
            Augment::SHIFT,
            Augment::Shift { reach: None, flip: true },
            Augment::Standard,
            Augment::RandAugment(RandAugment::default()),
        ]),
        seed in any::<u64>(),
        first_batch in 0_usize..6,
    ) {
        let dataset = dataset(num_samples);
        let preprocessing = Preprocessing::fit(&dataset);
        let order = if shuffled { Order::Shuffled } else { Order::Sequential };
        let options = LoaderOptions { batch_size, order, augment, seed, workers, prefetch, views: None };
        let loader = Loader::new(Arc::clone(&dataset), preprocessing.clone(), options.clone());
        let expected = by_hand(&dataset, &preprocessing, &loader.order(7), &options);
        prop_assert_eq!(loader.num_batches(), expected.len());
        prop_assert_eq!(loader.epoch(7, 0).len(), expected.len());
        prop_assert_eq!(&batches(&loader, 7, 0), &expected);
        let tail = &expected[first_batch.min(expected.len())..];
        prop_assert_eq!(&batches(&loader, 7, first_batch)[..], tail);
    }
}

#[test]
fn every_sample_comes_once_and_epochs_differ() {
    let dataset = dataset(100);
    let options = LoaderOptions { batch_size: 7, ..LoaderOptions::default() };
    let loader = Loader::new(Arc::clone(&dataset), Preprocessing::fit(&dataset), options);
    let samples =
        |epoch| batches(&loader, epoch, 0).into_iter().flat_map(|batch| batch.samples).collect::<Vec<_>>();
    let (first, second) = (samples(0), samples(1));
    assert_ne!(first, second);
    for mut order in [first, second] {
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}

#[test]
fn with_k_views_epoch_e_shows_the_augmentation_of_epoch_e_mod_k() {
    let dataset = dataset(20);
    let loader = |views: Option<u64>| {
        let options = LoaderOptions {
            batch_size: 6,
            augment: Augment::Standard,
            views: views.map(|views| views.try_into().unwrap()),
            ..LoaderOptions::default()
        };
        Loader::new(Arc::clone(&dataset), Preprocessing::fit(&dataset), options)
    };
    // Image of each sample, in the order of the data set.
    let images = |loader: &Loader, epoch| {
        let mut images = vec![Vec::new(); 20];
        for batch in batches(loader, epoch, 0) {
            for (sample, image) in batch.samples.iter().zip(batch.pixels.chunks_exact(18)) {
                images[*sample as usize] = image.to_vec();
            }
        }
        images
    };
    let (fresh, three) = (loader(None), loader(Some(3)));
    for epoch in 0..9 {
        assert_eq!(images(&three, epoch), images(&fresh, epoch % 3));
        assert_eq!(three.order(epoch), fresh.order(epoch), "views do not touch the order");
        assert_eq!(images(&loader(Some(1)), epoch), images(&fresh, 0));
    }
    assert_ne!(images(&three, 0), images(&three, 1));
    assert_ne!(three.order(0), three.order(3));
}

#[test]
fn images_without_labels_are_served_without_targets() {
    let labelled = dataset(10);
    let unlabelled = Arc::new((*labelled).clone().without_labels());
    let options = LoaderOptions { batch_size: 4, ..LoaderOptions::default() };
    let loader = |dataset: &Arc<Dataset>| {
        Loader::new(Arc::clone(dataset), Preprocessing::fit(dataset), options.clone())
    };
    let expected = batches(&loader(&labelled), 2, 0);
    for (expected, found) in expected.into_iter().zip(batches(&loader(&unlabelled), 2, 0)) {
        assert_eq!(found, HostBatch { targets: Vec::new(), ..expected });
    }
}

#[test]
fn an_epoch_can_be_dropped_at_any_time() {
    let dataset = dataset(60);
    let options = LoaderOptions { batch_size: 1, workers: 3, prefetch: 50, ..LoaderOptions::default() };
    let loader = Loader::new(Arc::clone(&dataset), Preprocessing::fit(&dataset), options);
    for taken in [0, 1, 30, 60] {
        let mut epoch = loader.epoch(0, 0);
        assert_eq!(epoch.by_ref().take(taken).count(), taken);
        drop(epoch);
    }
    drop(loader);
    assert_eq!(Arc::strong_count(&dataset), 1, "all workers have ended");
}

#[test]
fn a_file_that_vanishes_is_an_error_in_its_place() {
    let root = tempdir().unwrap();
    for class in ["a", "b"] {
        for i in 0..5 {
            png(
                &root.path().join(format!("train/{class}/{i}.png")),
                [4, 4],
                [i * 30; 3],
                class.as_bytes()[0],
            );
        }
    }
    let limits = Limits { max_memory_bytes: 10, ..Limits::default() };
    let options = OpenOptions { limits, val_fraction: 0.0, ..OpenOptions::default() };
    let source = Source::open(root.path().to_str().unwrap(), &options).unwrap();
    let train = Arc::new(source.load(Split::Train).unwrap());
    std::fs::remove_file(root.path().join("train/a/4.png")).unwrap();
    let preprocessing = Preprocessing::fit(&train);
    let options = LoaderOptions {
        batch_size: 2,
        order: Order::Sequential,
        workers: 3,
        prefetch: 5,
        ..LoaderOptions::default()
    };
    let outcomes: Vec<_> = Loader::new(train, preprocessing, options).epoch(0, 0).collect();
    assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false, true, true]);
    assert!(matches!(outcomes[2], Err(DataError::NotFound { .. })), "{:?}", outcomes[2]);
}

#[test]
fn a_short_shuffled_epoch_has_no_batch_much_smaller_than_the_others() {
    let sizes = |num_samples: usize, batch_size: usize, order: Order| -> Vec<usize> {
        let dataset = dataset(num_samples);
        let preprocessing = Preprocessing::fit(&dataset);
        let options = LoaderOptions { batch_size, order, ..LoaderOptions::default() };
        let loader = Loader::new(dataset, preprocessing, options);
        batches(&loader, 0, 0).iter().map(|batch| batch.samples.len()).collect()
    };
    assert_eq!(sizes(136, 128, Order::Shuffled), [68, 68]);
    assert_eq!(sizes(257, 128, Order::Shuffled), [85, 86, 86]);
    assert_eq!(sizes(33, 32, Order::Shuffled), [16, 17]);
    assert_eq!(sizes(7, 128, Order::Shuffled), [7]);
    assert_eq!(sizes(256, 128, Order::Shuffled), [128, 128]);
    // Chunks of the exact gradient are weighed by their samples, and a long epoch has its remainder.
    assert_eq!(sizes(136, 128, Order::Sequential), [128, 8]);
    assert_eq!(sizes(33, 4, Order::Shuffled), [4, 4, 4, 4, 4, 4, 4, 4, 1]);
}
